//! Report: a change of provider in the status of a subscription (C11).
//!
//! Decides the words for both sides, and the instance that a subscription leaves: as the stages saw it
//! under its own key, and set aside or exchanged before any request. Called by the report.

use entente_crds::{
    condition::Reason,
    v1alpha1::{ActivationState, LeavingInstance, ServiceSubscriptionStatus},
};
use jiff::Timestamp;

use crate::condition::{Summary, Work, sentence};
use crate::delivery::{
    Blocked, Exchange, Intent, Turn,
    leaving::leaving,
    observations::record::may_exist,
    plan::turns::{awaits_the_other, is_over, told},
    report::Report,
    resolve::turns::{acts, set_aside_at},
};
use crate::reasons::{Class, class};

impl Report<'_> {
    /// True if another subscription has taken the place of this one and is not activated yet.
    pub(super) fn awaits_the_other(&self) -> bool {
        let (snapshot, verified) = (self.snapshot, self.all_verified);
        awaits_the_other(snapshot, verified, self.subscription, self.now).is_some()
    }

    /// True if the change of provider is the first thing to be said: that it waits for a remote side is
    /// no reason of its own while the one before serves.
    pub(super) fn is_handing_over(&self, blocked: Option<&Blocked>) -> bool {
        let is_stalled = blocked.is_some_and(|blocked| class(blocked.reason) == Class::Stalled);
        match &self.subscription.turn {
            Some(Turn::Comes { .. }) => !is_stalled,
            Some(Turn::Leaves { moved, .. }) => !moved,
            None => false,
        }
    }

    /// Returns the summary of both sides until the switch.
    pub(super) fn handing_over(&self, blocked: Option<&Blocked>) -> Summary {
        let (message, work) = match (&self.subscription.turn, blocked) {
            (Some(Turn::Leaves { to, .. }), _) => {
                let message = format!("The service has ended and serves until {to} is set up.");
                (message, Work::Progressing)
            }
            (Some(Turn::Comes { from, .. }), None) => {
                let message = format!(
                    "{} serves until this one is set up. {}",
                    sentence(&told(from)).trim_end_matches('.'),
                    self.progress()
                );
                (message, Work::Progressing)
            }
            (Some(Turn::Comes { from, .. }), Some(blocked)) => {
                let message = format!(
                    "{} serves until this one is set up; waits: {}",
                    sentence(&told(from)).trim_end_matches('.'),
                    sentence(&blocked.message)
                );
                (message, Work::of(blocked.reason))
            }
            (None, _) => (self.progress(), Work::Progressing),
        };
        Summary::open(Reason::HandingOver, message, work)
    }

    /// Sets the instance in status aside, or exchanges it with the one that was set aside.
    pub(super) fn exchange(&self, exchange: &Exchange, status: &mut ServiceSubscriptionStatus) {
        let recorded = self
            .observations
            .of(&self.subscription.name)
            .recorded
            .clone();
        match exchange {
            Exchange::Leaves { group, effective } => {
                let Some(server) = recorded.filter(may_exist) else {
                    return;
                };
                let acts = acts(self.snapshot, self.object, group);
                status.leaving = Some(Box::new(LeavingInstance {
                    group: group.clone(),
                    since: set_aside_at(self.snapshot, group, self.now),
                    effective: *effective,
                    ended: (!acts).then_some(self.now),
                    server,
                }));
                status.server = None;
                // The instance that is set aside was on, and no other.
                if let Some(activation) = &mut status.activation {
                    activation.state = ActivationState::Inactive;
                    activation.since = self.now;
                }
            }
            Exchange::Returns => {
                let Some(left) = status.leaving.take() else {
                    return;
                };
                let effective = self.subscription.revision.as_ref();
                status.leaving = recorded.filter(may_exist).map(|server| {
                    Box::new(LeavingInstance {
                        group: left.group.clone(),
                        since: left.since,
                        effective: effective.map_or(left.effective, |it| it.effective),
                        ended: Some(self.now),
                        server,
                    })
                });
                status.server = Some(left.server);
            }
            Exchange::Waits => status.leaving = self.leaving(),
        }
    }

    /// Returns the report of the instance that the subscription leaves, as a subscription of its own.
    fn of_leaving(&self) -> Option<Report<'_>> {
        let name = self.subscription.name.leaving();
        Some(Report {
            subscription: self.resolved.subscription(&name)?,
            verified: self.all_verified.get(&name)?,
            object: self.snapshot.subscription(&name)?,
            ..*self
        })
    }

    /// Returns the instance that the subscription leaves, after the requests of this pass.
    pub(super) fn leaving(&self) -> Option<Box<LeavingInstance>> {
        let before = leaving(self.snapshot.subscription(&self.subscription.name)?)?;
        let Some(left) = self.of_leaving() else {
            return Some(Box::new(before.clone()));
        };
        if is_over(&left.withdrawing_of()) {
            return None;
        }
        let server = left.server(&left.withdrawing_of().state())?;
        let ends = left.withdraws() && !left.awaits_the_other();
        Some(Box::new(LeavingInstance {
            ended: before.ended.or_else(|| ends.then_some(self.now)),
            server,
            ..before.clone()
        }))
    }

    /// Returns the instant at which the removal of the instance that the subscription leaves is given
    /// up.
    pub(super) fn end_of_removal(&self, status: &ServiceSubscriptionStatus) -> Option<Timestamp> {
        let ended = status.leaving.as_ref()?.ended?;
        let is_withdrawn =
            |left: &Report<'_>| matches!(left.subscription.intent, Intent::Withdraw { .. });
        self.of_leaving().filter(is_withdrawn)?;
        ended.checked_add(self.snapshot.withdraw_deadline).ok()
    }
}
