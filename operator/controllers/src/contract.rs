//! The contract controller: one key per contract.
//!
//! observe → resolve → execute (its subscriptions) → report (the contract, its amendments and its
//! notices). It is the only writer of the status of a Contract, of a ContractAmendment and of a
//! ContractNotice, and of the specs of ServiceSubscriptions; of a Contract it writes nothing else but the finalizer.

mod amendments;
mod execute;
mod judged;
mod kin;
mod notices;
mod observe;
mod publish;
mod triggers;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use entente_crds::{
    FINALIZER_WITHDRAW,
    v1alpha1::{Contract, ContractStatus},
};
use entente_domain::contract::{
    ContractWorld, ResolvedContract, WriteOutcome, next_date, next_wake, report, resolve,
};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt as _};
use tokio::sync::Semaphore;

use crate::{
    cache::Key,
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    objects::{BY_CONTRACT, Objects, path},
    queue::Requeue,
    status::{
        Reported, WriteError, add_finalizer, has_finalizer, remove_finalizer, report_defect,
        report_until_written,
    },
};

use execute::Executed;

/// Interval between two writes that change counters only.
const COUNTERS: SignedDuration = SignedDuration::from_secs(1);

/// The contract controller.
pub(crate) struct Contracts {
    context: Context,
    objects: Arc<Objects>,
    /// Subscriptions whose deletion this process had not requested.
    recreated: Mutex<BTreeSet<Key>>,
    /// Subscriptions whose deletion this process requested.
    asked: Mutex<BTreeSet<Key>>,
    written: Mutex<HashMap<Key, Timestamp>>,
    /// Failure of the writes of a contract's subscriptions that the log said last.
    failing: Mutex<HashMap<Key, String>>,
    /// Writes of subscriptions that are under way, of all contracts together.
    writes: Semaphore,
}

impl Reconcile for Contracts {
    const NAME: &'static str = "contract";
    type Key = Key;

    fn object(&self, key: &Key) -> PassObject {
        PassObject::of(&self.objects.contracts, key.clone())
    }

    fn watch(&self, watches: &Watches<Self>) {
        let objects = &self.objects;
        watches.cache(&objects.contracts, triggers::contract);
        watches.cache(&objects.amendments, triggers::amendment);
        watches.cache(&objects.notices, triggers::notice);
        watches.cache(&objects.subscriptions, triggers::subscription);
        watches.cache(&objects.services, triggers::service);
        watches.cache(&objects.devices, triggers::device);
        watches.cache(&objects.compensations, triggers::compensation);
        watches.channel(self.context.skew.subscribe(), triggers::clock);
        let unreadable = objects.contracts.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable_contract);
        let unreadable = objects.subscriptions.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable_subscription);
        let unreadable = objects.amendments.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable_amendment);
        let unreadable = objects.services.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable_service);
        let unreadable = objects.devices.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable_device);
        let unreadable = objects.compensations.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable_compensation);
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        let Some(contract) = self.objects.contracts.get(key) else {
            self.forget(key);
            amendments::report_not_found(self, key).await?;
            notices::report_not_found(self, key).await?;
            return Ok(None);
        };
        if self.objects.contracts.is_unreadable(key) {
            return Ok(None);
        }
        let wake = self.pass(key, Contract::clone(&contract)).await?;
        Ok(wake.map(Requeue::At))
    }

    async fn report_defect(&self, key: &Key, defect: &Defect) {
        let api: Api<Contract> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let now = self.context.clock.now();
        report_defect(&api, &self.objects.contracts, key, defect, now).await;
    }

    fn next_instant(&self, key: &Key) -> Option<Timestamp> {
        let contract = self.objects.contracts.get(key)?;
        let of = path(&key.namespace, &key.name);
        let subscriptions = self.objects.subscriptions.by_index(BY_CONTRACT, &of);
        let subscriptions = subscriptions.iter().map(|found| &**found);
        let amendments = observe::amendments(&self.objects, &of);
        let amendments = amendments.iter().map(|found| &**found);
        let now = self.context.clock.now();
        let notices = observe::notices(&self.objects, &of);
        let notices = notices.iter().map(|found| &**found);
        next_date(&contract, subscriptions, amendments, notices, now)
    }
}

impl Contracts {
    pub(crate) fn new(context: Context, objects: Arc<Objects>) -> Self {
        Self {
            context,
            objects,
            recreated: Mutex::default(),
            asked: Mutex::default(),
            written: Mutex::default(),
            failing: Mutex::default(),
            writes: Semaphore::new(execute::AT_ONCE),
        }
    }

    async fn pass(&self, key: &Key, contract: Contract) -> Result<Option<Timestamp>, Failed> {
        let api: Api<Contract> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let (contract, unheld) = match self.with_finalizer(&api, &contract).await {
            Ok(held) => (held, None),
            // Decided anew, on what came in between.
            Err(error @ (WriteError::Conflict { .. } | WriteError::Gone { .. })) => {
                return Err(error.into());
            }
            Err(error) => (contract, Some(error)),
        };
        let world = observe::world(self, contract);
        let now = self.context.clock.now();
        let resolved = resolve(&world, now);
        let executed = match &unheld {
            None => execute::changes(self, &world, &resolved).await,
            // Nothing is made for a contract whose withdrawal would not be waited for.
            Some(_) => Executed::default(),
        };
        let failure = unheld.or(executed.failure);
        let failed = failure.is_some() || executed.overtaken;
        let outcome = WriteOutcome {
            failure: failure.as_ref().map(ToString::to_string),
        };
        let wake = next_wake(&resolved, world.clock_skew, now);
        let reported = self.report(key, &api, world, &resolved, &outcome).await;
        let unwritten = failed || !resolved.changes.waiting.is_empty();
        let amendments = amendments::report(self, key, &resolved, unwritten).await;
        let failed_at = |error| Failed { error, at: wake };
        let pause = reported.map_err(failed_at)?;
        amendments.map_err(failed_at)?;
        // After the contract, whose status is the memory of what they said.
        let notices = notices::report(self, key, &resolved).await;
        notices.map_err(failed_at)?;
        // What is refused now may be refused for long: it waits longer each time.
        if let Some(error) = failure {
            return Err(failed_at(error));
        }
        if resolved.done && !failed {
            self.release(&api, key).await?;
            return Ok(None);
        }
        let retry = executed
            .overtaken
            .then(|| now.saturating_add(COUNTERS).unwrap_or(now));
        Ok([wake, pause, retry].into_iter().flatten().min())
    }

    async fn with_finalizer(
        &self,
        api: &Api<Contract>,
        contract: &Contract,
    ) -> Result<Contract, WriteError> {
        let holds = has_finalizer(contract, FINALIZER_WITHDRAW);
        if holds || contract.metadata.deletion_timestamp.is_some() {
            return Ok(contract.clone());
        }
        let mut held = add_finalizer(api, contract, FINALIZER_WITHDRAW).await?;
        held.metadata.managed_fields = None;
        self.objects.contracts.put_written(held.clone());
        Ok(held)
    }

    async fn release(&self, api: &Api<Contract>, key: &Key) -> Result<(), WriteError> {
        let Some(contract) = self.objects.contracts.get(key) else {
            return Ok(());
        };
        match remove_finalizer(api, &*contract, FINALIZER_WITHDRAW).await {
            Ok(freed) => {
                let (namespace, name) = (&key.namespace, &key.name);
                tracing::info!(
                    kind = "Contract",
                    namespace,
                    name,
                    "everything is withdrawn"
                );
                self.objects.contracts.put_written(freed);
            }
            Err(WriteError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes the status. Returns the time of the next pass if only counters changed too soon after
    /// the last write.
    async fn report(
        &self,
        key: &Key,
        api: &Api<Contract>,
        mut world: ContractWorld,
        resolved: &ResolvedContract,
        outcome: &WriteOutcome,
    ) -> Result<Option<Timestamp>, WriteError> {
        let now = self.context.clock.now();
        let of = path(&key.namespace, &key.name);
        let subscriptions = observe::subscriptions(&self.objects, &of);
        let compensations = self.objects.compensations.by_index(BY_CONTRACT, &of);
        let uid = world.contract.uid();
        let generation = world.contract.metadata.generation;
        // Another spec than the one that was decided on: the change has woken the key.
        let is_decided =
            |object: &Contract| object.uid() == uid && object.metadata.generation == generation;
        // Moved and changed instead of copied for each try: it holds a whole fleet.
        let mut decide = |object: &Contract| {
            world.contract = object.clone();
            report(
                &world,
                resolved,
                &subscriptions,
                &compensations,
                outcome,
                now,
            )
        };
        let before = self.objects.contracts.get(key);
        if let Some(before) = before.as_ref().filter(|it| is_decided(it))
            && let Some(pause) = self.pause(key, before, &decide(before), now)
        {
            return Ok(Some(pause));
        }
        let reported = report_until_written(api, &self.objects.contracts, key, now, |object| {
            is_decided(object).then(|| decide(object))
        })
        .await?;
        if let Reported::Written(after) = reported {
            self.written
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key.clone(), now);
            publish::news(self, before.as_deref(), &after);
        }
        Ok(None)
    }

    fn pause(
        &self,
        key: &Key,
        before: &Contract,
        status: &ContractStatus,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let old = before.status.as_ref()?;
        let is_news = states(old) != states(status)
            || old.established != status.established
            || old.term != status.term
            || old.observed_generation != status.observed_generation;
        if old == status || is_news {
            return None;
        }
        let written = self
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .copied();
        let next = written?.checked_add(COUNTERS).ok()?;
        (next > now).then_some(next)
    }

    fn forget(&self, key: &Key) {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        self.failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        let prefix = format!("{}.", key.name);
        for names in [&self.recreated, &self.asked] {
            names
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|name| name.namespace != key.namespace || !name.name.starts_with(&prefix));
        }
    }
}

/// Returns the part of the conditions that somebody may wait for: types, statuses, reasons and
/// generations.
fn states(status: &ContractStatus) -> Vec<(&str, &str, &str, Option<i64>)> {
    let conditions = status.conditions.iter();
    conditions
        .map(|said| {
            (
                said.type_.as_str(),
                said.status.as_str(),
                said.reason.as_str(),
                said.observed_generation,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
