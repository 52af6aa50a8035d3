//! Report: the current step of a subscription, its start, and its time limit (api section 3,
//! `stepTimeout`).
//!
//! A step begins with its first request, and ends when all of it is Effective. One that lasts
//! longer than stepTimeout is a recorded delay of the side on which it runs: it is reported, and
//! nothing is given up. If a person must change something, if an object is missing in the catalogue
//! or if the customer asked for a stop, that reason is kept, since the step does not wait for the
//! remote side then.

use entente_crds::{
    condition::Reason,
    v1alpha1::{Item, ItemState, ServiceSubscriptionStatus, StepType},
};
use jiff::Timestamp;

use crate::delivery::report::{Report, side_of};
use crate::{
    delivery::{
        Blocked, Intent, ResolvedStep,
        plan::turns::{is_after_the_switch, is_done},
        verify::VerifiedItem,
    },
    reasons::{Side, may_time_out},
};

impl Report<'_> {
    /// Returns the first step of which something is not Effective, and not left as it is either.
    pub(super) fn step_of_work(&self) -> Option<StepType> {
        let steps = || self.subscription.steps.iter();
        // Steps that wait for the switch are done after those that come before it.
        let before = steps().find(|step| {
            let is_after = is_after_the_switch(self.subscription, step.r#type);
            !is_after && !is_done(self.subscription, step, self.verified)
        });
        let is_open = |step: &&ResolvedStep| {
            let mut items = self.verified.required();
            items.any(|item| item.step == step.r#type && !item.is_done())
        };
        before
            .or_else(|| steps().find(is_open))
            .map(|step| step.r#type)
    }

    /// Returns the current step for the status: before the start only a step that has begun.
    pub(super) fn step(&self) -> Option<StepType> {
        let stands = match self.subscription.intent {
            Intent::SetUp => true,
            Intent::Scheduled { .. } => self.step_since().is_some(),
            Intent::Suspended | Intent::Withdraw { .. } | Intent::Detach => false,
        };
        stands.then(|| self.step_of_work()).flatten()
    }

    /// Returns the start of that step. Stored because it cannot be derived: `lastSent` moves with
    /// each retry, `problem.since` with each new problem, `operation.since` with each new
    /// operation.
    pub(super) fn step_since(&self) -> Option<Timestamp> {
        if self.subscription.refused.is_some() || !self.subscription.wants_set_up() {
            return None;
        }
        let step = self.step_of_work()?;
        if step == StepType::Acceptance {
            return self.check_since();
        }
        let previous = self.object.status.as_ref();
        let since = |status: &ServiceSubscriptionStatus| {
            status
                .step_since
                .filter(|_| self.is_same_work(step, status))
        };
        previous
            .and_then(since)
            .or_else(|| self.sent_now(step))
            .or_else(|| self.taken_before(step, previous?))
    }

    /// Returns the start of the check: all else is in effect, and the revision has begun. No request
    /// of its own begins it.
    fn check_since(&self) -> Option<Timestamp> {
        if !self.in_force() {
            return None;
        }
        let since = self.verified.set_up_since()?;
        let revision = self.subscription.revision.as_ref()?;
        Some(since.max(revision.effective))
    }

    /// True if the step that the status speaks of is this one: something of it is still to be set
    /// to the value and on the device of then.
    fn is_same_work(&self, step: StepType, previous: &ServiceSubscriptionStatus) -> bool {
        let same_device =
            side_of(step) != Side::Device || self.evidence(previous) == previous.evidence;
        previous.step == Some(step)
            && same_device
            && self
                .pending_of(step)
                .any(|item| wanted_before(item, previous).is_some())
    }

    /// Returns the time of the first request of the step in this pass.
    fn sent_now(&self, step: StepType) -> Option<Timestamp> {
        self.verified
            .of_step(step)
            .filter_map(|item| {
                let name = &self.subscription.name;
                let sent = self
                    .observations
                    .sent(name, &item.key, item.desired_digest)?;
                Some(sent.at)
            })
            .min()
    }

    /// Returns the time of a request that was accepted before the work was interrupted, by a
    /// suspension for example, and is not sent again: it waits for a restart or for an operation.
    fn taken_before(
        &self,
        step: StepType,
        previous: &ServiceSubscriptionStatus,
    ) -> Option<Timestamp> {
        let taken = |item: &&VerifiedItem| {
            matches!(
                item.state,
                ItemState::AwaitingRestart | ItemState::InProgress
            )
        };
        self.pending_of(step)
            .filter(taken)
            .filter_map(|item| wanted_before(item, previous)?.last_sent)
            .min()
    }

    fn pending_of(&self, step: StepType) -> impl Iterator<Item = &VerifiedItem> {
        self.verified
            .of_step(step)
            .filter(|item| item.state != ItemState::Effective)
    }

    /// Returns the instant from which the step takes too long. The check has a limit of its own.
    pub(super) fn step_deadline(&self) -> Option<Timestamp> {
        if self.step_of_work() == Some(StepType::Acceptance) {
            return None;
        }
        self.step_since()?
            .checked_add(self.subscription.step_timeout)
            .ok()
    }

    /// Returns the obstacle to report: StepTimedOut instead of it, if the step exceeds its limit
    /// and the obstacle allows that.
    pub(super) fn timed_out(&self, blocked: Option<Blocked>) -> Option<Blocked> {
        let (Some(step), Some(deadline)) = (self.step_of_work(), self.step_deadline()) else {
            return blocked;
        };
        let lasts = match &blocked {
            None => true,
            Some(blocked) => may_time_out(blocked.reason, side_of(step)),
        };
        if deadline > self.now || !lasts {
            return blocked;
        }
        let takes = format!("the step {step:?} takes longer than stepTimeout of its SmartService");
        Some(Blocked {
            reason: Reason::StepTimedOut,
            message: match &blocked {
                None => takes,
                Some(blocked) => format!("{takes}: {}", blocked.message),
            },
            side: Some(side_of(step)),
            until: blocked.and_then(|blocked| blocked.until),
        })
    }
}

/// Returns the item in the status, if the same value was wanted then.
fn wanted_before<'a>(
    item: &VerifiedItem,
    previous: &'a ServiceSubscriptionStatus,
) -> Option<&'a Item> {
    previous
        .items
        .iter()
        .find(|before| before.key == item.key && before.desired_digest == Some(item.desired_digest))
}
