//! The waits that remote sides asked for themselves, each with the side that asked.
//!
//! Nothing that a person changes on our side shortens one: an edit, an annotation or a wish to
//! reconcile now is no leave to ask a server sooner than it said. Another server did not ask, so a
//! wait holds only where the key leads to the one that did. Part of the backoffs; lost at a restart.

use std::collections::BTreeMap;

use entente_crds::{condition::Reason, digest::Digest};
use jiff::{SignedDuration, Timestamp};

use crate::{
    backoff::is_asked_still,
    delivery::{Blocked, model::backoffs::BackoffKey},
    names::SubscriptionName,
    reasons::{Class, class},
};

/// The waits of a device and its service servers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct AskedWaits(BTreeMap<(BackoffKey, Digest), AskedWait>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct AskedWait {
    until: Timestamp,
    why: Blocked,
    /// True if a person changed something since: what failed may be right by now, and it is the wish
    /// alone that holds it back.
    is_all_that_is_left: bool,
}

impl AskedWaits {
    /// Returns the obstacle to requests of a key that leads to this side; `None` if it did not ask
    /// for a wait, or the wait is over.
    pub(super) fn pending(
        &self,
        key: &BackoffKey,
        asker: Digest,
        now: Timestamp,
    ) -> Option<Blocked> {
        let wait = self.0.get(&(key.clone(), asker))?;
        is_asked_still(wait.until, now).then(|| wait.obstacle())
    }

    /// Records that a side asked for a wait. One that is under way is never shortened.
    pub(super) fn ask(
        &mut self,
        key: BackoffKey,
        asker: Digest,
        why: Blocked,
        until: Timestamp,
        now: Timestamp,
    ) {
        self.0.retain(|_, wait| is_asked_still(wait.until, now));
        let known = self.0.get(&(key.clone(), asker));
        if until > now && known.is_none_or(|known| known.until < until) {
            let wait = AskedWait {
                until,
                why,
                is_all_that_is_left: false,
            };
            self.0.insert((key, asker), wait);
        }
    }

    /// Records that a person changed something.
    pub(super) fn outlive_a_change(&mut self) {
        for wait in self.0.values_mut() {
            wait.is_all_that_is_left = true;
        }
    }

    /// Drops the waits between polls of the operations of a subscription, which are over.
    pub(super) fn end_operations(&mut self, subscription: &SubscriptionName) {
        self.0
            .retain(|(key, _), _| !key.is_operation_of(subscription));
    }

    /// Moves the waits of a subscription to the one that has its instance by now.
    pub(super) fn hand_over(&mut self, from: &SubscriptionName, to: &SubscriptionName) {
        let waits = std::mem::take(&mut self.0).into_iter();
        let moved = waits.map(|((key, asker), wait)| {
            let key = key.handed_over(from, to).unwrap_or(key);
            ((key, asker), wait)
        });
        self.0 = moved.collect();
    }

    /// Returns the ends of the waits.
    pub(super) fn ends(&self) -> impl Iterator<Item = Timestamp> {
        self.0.values().map(|wait| wait.until)
    }
}

impl AskedWait {
    fn obstacle(&self) -> Blocked {
        let mut obstacle = Blocked {
            until: Some(self.until),
            ..self.why.clone()
        };
        if self.is_all_that_is_left {
            obstacle.message = format!(
                "{}; it asked for no request before {}",
                self.why.message,
                whole_second(self.until)
            );
            // No person is needed any more, only time.
            if class(obstacle.reason) == Class::Stalled {
                obstacle.reason = Reason::Busy;
            }
        }
        obstacle
    }
}

/// Returns the first whole second that is not before an instant: what is shown must not be too
/// early.
fn whole_second(instant: Timestamp) -> Timestamp {
    let second = SignedDuration::from_secs(1);
    match instant.subsec_nanosecond() {
        0 => instant,
        _ => Timestamp::from_second(instant.as_second())
            .and_then(|whole| whole.checked_add(second))
            .unwrap_or(instant),
    }
}
