//! Report: when a subscription may go, and when it is looked at again.

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{
        Item, ItemState, Promise, PromiseState, ServiceSubscription, ServiceSubscriptionStatus,
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::Report;
use crate::{
    compensation::{compensation_name, owed_remedies},
    condition::is_true,
    delivery::{resolved::Intent, withdraw::Withdrawal, world::CompensationRecord},
    time::parse_duration,
};

/// How often a device is looked at that is to be restarted: nobody tells when it was.
const RESTART_LOOK: SignedDuration = SignedDuration::from_mins(5);

impl Report<'_> {
    pub(super) fn is_taken_over(&self) -> bool {
        self.facts
            .handles
            .get(&self.subscription.name)
            .is_none_or(|handle| self.world.orphans_taken_over.contains(&handle.instance_id))
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
            (Intent::Forget, _) | (_, Withdrawal::Released) => true,
            (_, Withdrawal::Abandoned) => status.server.is_none() || self.is_taken_over(),
            (_, Withdrawal::UnderWay) => false,
        };
        let records = &self.world.compensations;
        withdrawn
            && (self.world.namespace_terminating
                || is_recorded(self.object, &status.promises, records))
    }

    pub(super) fn wake_at(&self, status: &ServiceSubscriptionStatus) -> Option<Timestamp> {
        let mut instants: Vec<Timestamp> = Vec::new();
        if let Intent::Scheduled {
            effective,
            early_from,
        } = self.subscription.intent
        {
            instants.push(effective);
            instants.extend(early_from);
        }
        if let Intent::Withdraw { since, .. } = self.subscription.intent
            && status.server.is_some()
        {
            instants.extend(since.checked_add(self.world.withdraw_deadline).ok());
        }
        for revision in &self.object.spec.revisions {
            instants.push(revision.effective);
            instants.extend(revision.until);
            let open = status.promises.iter().any(|promise| {
                promise.effective == revision.effective && promise.state == PromiseState::Open
            });
            if open {
                let allowed = parse_duration(&revision.service_level.allowed).unwrap_or_default();
                let past = allowed + SignedDuration::from_millis(1);
                instants.extend(revision.effective.checked_add(past).ok());
            }
        }
        if !is_true(&status.conditions, ConditionType::Stalled) {
            instants.extend(self.step_deadline());
        }
        let restarting = |item: &Item| item.state == ItemState::AwaitingRestart;
        if self.in_force() && status.items.iter().any(restarting) {
            instants.extend(self.now.checked_add(RESTART_LOOK).ok());
        }
        instants.extend(
            self.plan
                .waits
                .get(&self.subscription.name)
                .and_then(|wait| wait.until),
        );
        instants
            .into_iter()
            .filter(|instant| *instant > self.now)
            .min()
    }
}

/// True if everything that is owed is recorded and final (api section 10): each record that there
/// is, and one for each remedy that owes. One that was made and that a person deleted or voided is
/// not waited for, but what is to take the place of a voided one is.
fn is_recorded(
    subscription: &ServiceSubscription,
    promises: &[Promise],
    records: &[CompensationRecord],
) -> bool {
    let name = subscription.name_any();
    let missed = promises
        .iter()
        .filter(|promise| promise.state == PromiseState::Missed);
    missed.into_iter().all(|promise| {
        let records = || {
            records.iter().filter(|record| {
                record.subscription == name && record.promised == promise.effective
            })
        };
        let exists = |wanted: &String| {
            promise.emitted.contains(wanted) || records().any(|record| record.name == *wanted)
        };
        let settled = |record: &CompensationRecord| {
            if record.voided {
                record.successor.as_ref().is_none_or(exists)
            } else {
                record.calculated
            }
        };
        let revisions = &subscription.spec.revisions;
        let revision = revisions
            .iter()
            .find(|revision| revision.effective == promise.effective);
        let mut owed = revision.into_iter().flat_map(owed_remedies);
        records().all(settled)
            && owed.all(|remedy| exists(&compensation_name(&name, promise.effective, &remedy.name)))
    })
}

#[cfg(test)]
mod tests;
