//! Report: the items with their proof, the subject of the proof, and the instance.

use entente_crds::{
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{Evidence, Item, ItemState, ServerInstance, ServiceSubscriptionStatus, StepType},
};

use crate::delivery::report::Report;
use crate::delivery::{
    CarriedItem, Intent, observations::record::may_exist, plan::is_preempted,
    plan::withdraw::Withdrawal, verify::VerifiedItem,
};

impl Report<'_> {
    /// Returns the subject against which the items of the same status were verified.
    pub(super) fn evidence(&self, previous: &ServiceSubscriptionStatus) -> Option<Evidence> {
        let target = self.resolved.target_digest;
        let (Some(device), Some(target)) = (&self.snapshot.device, target) else {
            return previous.evidence.clone();
        };
        let withdraws = matches!(
            self.subscription.intent,
            Intent::Withdraw { .. } | Intent::Detach
        );
        if self.verified.items.is_empty() || withdraws {
            return previous.evidence.clone();
        }
        let device_uid = device.metadata.uid.clone().unwrap_or_default();
        let is_same =
            |known: &&Evidence| known.device_uid == device_uid && known.target_digest == target;
        if let Some(known) = previous.evidence.as_ref().filter(is_same) {
            return Some(known.clone());
        }
        Some(Evidence {
            device_uid,
            target_digest: target,
            machine_digest: self.resolved.machine_digest,
        })
    }

    pub(super) fn items(
        &self,
        previous: &ServiceSubscriptionStatus,
        withdrawal: &Withdrawal,
    ) -> Vec<Item> {
        match (&self.subscription.intent, withdrawal) {
            (Intent::Scheduled { .. }, _)
                if self
                    .verified
                    .items
                    .iter()
                    .all(|item| item.verified_at.is_none() && item.problem.is_none()) =>
            {
                // It has begun before, or gets the place of another one.
                return self.with_values(previous).collect();
            }
            (Intent::Withdraw { .. } | Intent::Detach, _) => {
                return self.released(previous, withdrawal);
            }
            // What is wanted is not known.
            _ if self.verified.items.is_empty() && !self.wants_nothing() => {
                return self.kept(previous).collect();
            }
            _ => {}
        }
        let work = self.step_of_work();
        let mut items: Vec<Item> = self
            .verified
            .items
            .iter()
            .map(|item| self.item(item, previous, work))
            .chain(self.left_over(previous))
            .collect();
        items.sort_by(|a, b| a.key.cmp(&b.key));
        items
    }

    /// Returns the items of the status before as they are, with every attempt at them.
    pub(super) fn kept<'a>(
        &'a self,
        previous: &'a ServiceSubscriptionStatus,
    ) -> impl Iterator<Item = Item> + 'a {
        previous.items.iter().map(|item| Item {
            attempts: item
                .attempts
                .max(self.unsaid(&item.key, item.desired_digest)),
            ..item.clone()
        })
    }

    /// Returns the number of attempts at a value that the status before does not say, if there are
    /// some.
    fn unsaid(&self, item: &ItemKey, digest: Option<Digest>) -> Option<i32> {
        let object = self.object.metadata.uid.as_deref()?;
        let unsaid = self.snapshot.unsaid_attempts.get(object)?;
        let (key, digest) = (item.clone(), digest?);
        unsaid.get(&CarriedItem { key, digest }).copied()
    }

    /// True if the service in force was resolved and wants no item, so that none is listed.
    fn wants_nothing(&self) -> bool {
        let subscription = self.subscription;
        let is_known = subscription.refused.is_none() && subscription.device_fault.is_none();
        matches!(subscription.intent, Intent::SetUp)
            && is_known
            && subscription.items().count() == 0
    }

    fn item(
        &self,
        item: &VerifiedItem,
        previous: &ServiceSubscriptionStatus,
        work: Option<StepType>,
    ) -> Item {
        let before = previous.items.iter().find(|before| {
            before.key == item.key && before.desired_digest == Some(item.desired_digest)
        });
        let sent = self
            .observations
            .sent(&self.subscription.name, &item.key, item.desired_digest);
        // A request from before the service ended counts no more when it is in force again.
        let last_sent = before.filter(|before| before.released.is_none());
        let last_sent = last_sent.and_then(|before| before.last_sent);
        // A report that is made twice counts nothing twice.
        let counted = before.and_then(|before| before.last_sent);
        let news = sent.filter(|sent| Some(sent.at) != counted);
        let said = before.and_then(|before| before.attempts);
        let unsaid = self.unsaid(&item.key, Some(item.desired_digest));
        let attempts = said.max(unsaid).unwrap_or(0) + i32::from(news.is_some());
        let waits = item.state == ItemState::Unknown
            && item.problem.is_none()
            && (work.is_some_and(|step| step != item.step)
                || matches!(self.subscription.intent, Intent::Scheduled { .. }));
        Item {
            key: item.key.clone(),
            state: if waits {
                ItemState::Pending
            } else {
                item.state
            },
            desired_digest: Some(item.desired_digest),
            observed_digest: item.observed_digest,
            attempts: (attempts > 0).then_some(attempts),
            last_sent: sent.map(|sent| sent.at).or(last_sent),
            last_verified: item.verified_at,
            proof: item.proof,
            was_effective: item.was_effective,
            problem: item.problem.clone().map(Box::new),
            previous: self.previous_of(item, previous),
            released: None,
        }
    }

    /// Returns the instance as a report names it.
    pub(super) fn server(&self, withdrawal: &Withdrawal) -> Option<ServerInstance> {
        let named = self.server_to_name(withdrawal);
        named.filter(|recorded| !self.is_named_later(recorded))
    }

    /// True if an instance is named right before the first request for it and not earlier, so that one
    /// which is found before was not made by this subscription: it begins in the past, as what comes
    /// back after a restore does. Any other one is named as early as it is known, which saves a write.
    fn is_named_later(&self, recorded: &ServerInstance) -> bool {
        let spec = &self.object.spec;
        let status = self.object.status.as_ref();
        let was_named = status.is_some_and(|status| status.server.is_some());
        let first = spec.revisions.iter().map(|it| it.effective).min();
        let begins_in_the_past = first.is_some_and(|first| first < spec.contract.created);
        let is_unknown = !was_named && !may_exist(recorded) && recorded.adopted.is_none();
        is_unknown && (begins_in_the_past || spec.restored.is_some())
    }

    /// Returns the instance as it is named before the first request for it.
    pub(super) fn server_to_name(&self, withdrawal: &Withdrawal) -> Option<ServerInstance> {
        let recorded = self
            .observations
            .of(&self.subscription.name)
            .recorded
            .as_ref()?;
        match (&self.subscription.intent, withdrawal) {
            (Intent::Withdraw { .. } | Intent::Detach, Withdrawal::Released) => None,
            _ if self.has_made_room() || self.is_handed_over() => None,
            // While it waits for a removal nothing was sent for it: what is found afterwards is not
            // its own.
            _ if self.waits_for_a_removal(recorded) => None,
            (Intent::Withdraw { .. }, Withdrawal::Abandoned) => Some(ServerInstance {
                orphaned: recorded.orphaned.or(Some(self.now)),
                ..recorded.clone()
            }),
            _ => Some(recorded.clone()),
        }
    }

    /// True if the Connection may remove an instance of this id, which this subscription did not make.
    fn waits_for_a_removal(&self, recorded: &ServerInstance) -> bool {
        let removed = &self.snapshot.orphans_being_removed;
        let status = self.object.status.as_ref();
        let was_named = status.is_some_and(|status| status.server.is_some());
        removed.contains(&recorded.instance_id) && !was_named && !may_exist(recorded)
    }

    /// True if an instance that must be removed, because another contract has precedence or because
    /// it is not the wanted one any more, is gone.
    fn has_made_room(&self) -> bool {
        let left_over = self
            .subscription
            .server
            .as_ref()
            .is_some_and(|it| it.is_obsolete);
        let is_preempted = self.subscription.refused.as_ref().is_some_and(is_preempted);
        let heard = self.observations.of(&self.subscription.name);
        (left_over || is_preempted) && heard.is_gone()
    }
}
