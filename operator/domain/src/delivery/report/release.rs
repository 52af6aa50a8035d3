//! Report: when a subscription may go, and when it is looked at again.

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{Item, ItemState, Promise, PromiseState, RemedyType, ServiceSubscriptionStatus},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::Report;
use crate::{
    compensation::compensation_name,
    condition::is_true,
    delivery::{CompensationRecord, resolved::Intent, withdraw::Withdrawal},
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
        withdrawn && (self.world.namespace_terminating || self.is_recorded(&status.promises))
    }

    /// Whether everything that is owed is recorded and final (api section 10).
    fn is_recorded(&self, promises: &[Promise]) -> bool {
        promises
            .iter()
            .filter(|promise| promise.state == PromiseState::Missed)
            .all(|promise| {
                let mut revisions = self.object.spec.revisions.iter();
                let revision = revisions.find(|it| it.effective == promise.effective);
                revision.is_none_or(|revision| {
                    let mut owed = revision.remedies.iter().filter(|it| match it.r#type {
                        RemedyType::FeeCredit => revision.fee.is_some(),
                    });
                    owed.all(|remedy| self.is_remedy_recorded(promise, &remedy.name))
                })
            })
    }

    fn is_remedy_recorded(&self, promise: &Promise, remedy: &str) -> bool {
        let name = self.object.name_any();
        let records: Vec<&CompensationRecord> = self
            .world
            .compensations
            .iter()
            .filter(|record| {
                record.subscription == name
                    && record.promised == promise.effective
                    && record.remedy == remedy
            })
            .collect();
        // One that was made and that a person deleted is not waited for.
        let is_made = |wanted: &String| {
            promise.emitted.contains(wanted) || records.iter().any(|it| it.name == *wanted)
        };
        if records.is_empty() {
            return is_made(&compensation_name(&name, promise.effective, remedy));
        }
        records
            .iter()
            .all(|record| record.calculated && record.successor.as_ref().is_none_or(is_made))
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
