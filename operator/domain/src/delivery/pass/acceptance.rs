//! The wait until a check by which a service counts as working is read again (api section 3,
//! `acceptance`).
//!
//! Decides the length of the wait: short and even while another value is no failure, then longer and
//! longer as after any failure. Called at the end of a pass.

use entente_crds::{condition::Reason, v1alpha1::ItemState};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::pass::Pass;
use crate::delivery::{
    Blocked, Intent, ResolvedSubscription, VerifiedItem, Wanted,
    model::backoffs::{BackoffKey, Delay},
};
use crate::names::ConnectionName;

/// The longest wait while another value is no failure.
const LONGEST: SignedDuration = SignedDuration::from_mins(1);

/// The shortest, however short the time is in which the check may pass.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);

/// Returns the wait between two readings while another value is no failure.
fn interval(within: SignedDuration) -> SignedDuration {
    (within / 10).clamp(SHORTEST, LONGEST)
}

/// A check that was read in this pass.
struct Checked {
    key: BackoffKey,
    item: VerifiedItem,
    connection: ConnectionName,
    within: SignedDuration,
}

impl Pass {
    /// Begins the wait after each check that was read in this pass and did not pass, and ends that
    /// of each that did.
    pub(super) fn wait_for_checks(&mut self, now: Timestamp, fraction: f64) {
        let subscriptions = self.resolved.subscriptions.iter();
        let in_force = subscriptions.filter(|it| it.intent == Intent::SetUp);
        let checked: Vec<Checked> = in_force.filter_map(|it| self.checked(it)).collect();
        for check in checked {
            self.wait_after(check, now, fraction);
        }
    }

    fn wait_after(&mut self, check: Checked, now: Timestamp, fraction: f64) {
        let problem = check.item.problem.as_ref();
        let why = match problem {
            Some(problem) => Blocked::new(problem.outcome, problem.message.to_string()),
            None => Blocked::new(
                Reason::AwaitingAcceptance,
                format!("{} is read again", check.item.key),
            ),
        };
        match check.item.state {
            ItemState::Effective => self.backoffs.clear(&check.key),
            ItemState::InProgress => {
                let until = now.checked_add(interval(check.within));
                let until = until.unwrap_or(Timestamp::MAX);
                self.backoffs.wait_to_look(check.key, why, until);
            }
            ItemState::NotEffective => {
                let delay = Delay {
                    policy: self.policy(Some(&check.connection)),
                    retry_after: None,
                    fraction,
                };
                self.backoffs.fail(check.key, why, delay, now);
            }
            ItemState::Unknown
            | ItemState::Pending
            | ItemState::AwaitingRestart
            | ItemState::Released => {}
        }
    }

    /// Returns the check of a subscription, if it was read in this pass.
    fn checked(&self, subscription: &ResolvedSubscription) -> Option<Checked> {
        let verified = self.verified.get(&subscription.name)?;
        verified.set_up_since()?;
        subscription.items().find_map(|(_, item)| {
            let Wanted::Acceptance {
                connection,
                place,
                within,
                ..
            } = &item.wanted
            else {
                return None;
            };
            let reading = self.observations.through(connection).reading_of(place)?;
            reading.result.is_ok().then_some(())?;
            Some(Checked {
                key: BackoffKey::item(&subscription.name, &item.key, item.digest),
                item: verified.item(&item.key)?.clone(),
                connection: connection.clone(),
                within: *within,
            })
        })
    }
}
