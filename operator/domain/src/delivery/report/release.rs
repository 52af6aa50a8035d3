//! Report: the release of a subscription's finalizer, and the time of its next pass.

use entente_crds::v1alpha1::{Item, ItemState, PromiseState, ServiceSubscriptionStatus};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::report::Report;
use crate::{
    delivery::{Intent, plan::withdraw::Withdrawal, previous::is_kept},
    promise::{deadline, is_recorded},
};

/// Interval between readings of a device that has to be restarted: no event reports the restart.
const RESTART_LOOK: SignedDuration = SignedDuration::from_mins(5);

impl Report<'_> {
    pub(super) fn is_taken_over(&self) -> bool {
        self.observations
            .of(&self.subscription.name)
            .recorded
            .as_ref()
            .is_none_or(|recorded| {
                self.snapshot
                    .orphans_taken_over
                    .contains(&recorded.instance_id)
            })
    }

    pub(super) fn finalizer_may_go(
        &self,
        status: &ServiceSubscriptionStatus,
        withdrawal: &Withdrawal,
    ) -> bool {
        if self.object.metadata.deletion_timestamp.is_none() {
            return false;
        }
        let withdrawn = match (&self.subscription.intent, withdrawal) {
            (Intent::Detach, _) | (Intent::Withdraw { .. }, Withdrawal::Released) => true,
            // It was deleted during the pass, which did not look at what is put back.
            (_, Withdrawal::Released) => !status.items.iter().any(is_kept),
            (_, Withdrawal::Abandoned) => status.server.is_none() || self.is_taken_over(),
            (_, Withdrawal::UnderWay) => false,
        };
        let records = &self.snapshot.compensations;
        withdrawn
            && status.leaving.is_none()
            && (self.snapshot.namespace_terminating
                || is_recorded(self.object, &status.promises, records))
    }

    pub(super) fn wake_at(
        &self,
        status: &ServiceSubscriptionStatus,
        is_stalled: bool,
    ) -> Option<Timestamp> {
        let mut instants: Vec<Timestamp> = Vec::new();
        if let Intent::Scheduled {
            effective,
            early_from,
        } = self.subscription.intent
        {
            instants.push(effective);
            instants.extend(early_from);
        }
        let keeps = status.server.is_some() || status.items.iter().any(is_kept);
        if let Intent::Withdraw { since, .. } = self.subscription.intent
            && keeps
        {
            instants.extend(since.checked_add(self.snapshot.withdraw_deadline).ok());
        }
        for revision in &self.object.spec.revisions {
            instants.push(revision.effective);
            instants.extend(revision.until);
            let open = status.promises.iter().any(|promise| {
                promise.effective == revision.effective && promise.state == PromiseState::Open
            });
            if open && let Ok(deadline) = deadline(revision) {
                let past = deadline.checked_add(SignedDuration::from_millis(1));
                instants.extend(past.ok());
            }
        }
        if !is_stalled {
            instants.extend(self.step_deadline());
        }
        let restarting = |item: &Item| item.state == ItemState::AwaitingRestart;
        let is_put_back = |item: &Item| restarting(item) && is_kept(item);
        if self.in_force() && status.items.iter().any(restarting)
            || self.withdraws() && status.items.iter().any(is_put_back)
        {
            instants.extend(self.now.checked_add(RESTART_LOOK).ok());
        }
        let names = [
            self.subscription.name.clone(),
            self.subscription.name.leaving(),
        ];
        let waits = names.iter().filter_map(|name| self.plan.waits.get(name));
        instants.extend(waits.filter_map(|wait| wait.until));
        instants.extend(self.end_of_removal(status));
        instants
            .into_iter()
            .filter(|instant| *instant > self.now)
            .min()
    }
}
