//! The compensation controller: one key per entry of a contract's services.
//!
//! One record per missed promise and owed remedy, by POST under its name, after a GET; it accrues,
//! and is calculated when the promise is closed, from a fresh LIST in order of promise, so that
//! caps count earlier credits. It is the only writer of Compensations. One key per entry keeps two
//! calculations that share a fee from running at once.

#[cfg(test)]
mod tests;
mod triggers;

use std::{sync::Arc, time::Duration};

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{Compensation, Condition, Promise, ServiceSubscription},
};
use entente_domain::{
    compensation::{
        UnreadableSource, first_accrual, next_accrual, records_for, report, report_unread,
        successor,
    },
    condition::{find, is_true},
    promise::{has_missed, promise_of},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Resource as _, ResourceExt as _, api::ListParams};

use crate::{
    cache::Key,
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    events::EventReason,
    objects::{BY_ENTRY, Objects, entry_label, path},
    queue::Requeue,
    status::{
        Created, Reported, WriteError, create, read, report_defect, report_until_written,
        written_alone,
    },
};

/// The compensation controller.
pub(crate) struct Compensations {
    context: Context,
    objects: Arc<Objects>,
}

impl Reconcile for Compensations {
    const NAME: &'static str = "compensation";
    type Key = Key;

    /// Returns the contract of the entry.
    fn object(&self, key: &Key) -> PassObject {
        let contract = key.name.split('.').next().unwrap_or_default();
        let contract = Key::new(key.namespace.clone(), contract);
        PassObject::of(&self.objects.contracts, contract)
    }

    fn watch(&self, watches: &Watches<Self>) {
        watches.cache(&self.objects.subscriptions, triggers::subscription);
        watches.cache(&self.objects.compensations, triggers::compensation);
        let unreadable = self.objects.subscriptions.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable);
        let unreadable = self.objects.compensations.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable);
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        let wake = self.pass(key).await?;
        Ok(wake.map(Requeue::At))
    }

    /// Reports a pass that ended in a defect in every compensation of the entry that is not final.
    async fn report_defect(&self, key: &Key, defect: &Defect) {
        let of = path(&key.namespace, &key.name);
        let api: Api<Compensation> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let (cache, now) = (&self.objects.compensations, self.context.clock.now());
        for compensation in cache.by_index(BY_ENTRY, &of) {
            if !is_final(&compensation) {
                report_defect(&api, cache, &Key::of(&*compensation), defect, now).await;
            }
        }
    }

    fn next_instant(&self, key: &Key) -> Option<Timestamp> {
        let of = path(&key.namespace, &key.name);
        let (interval, now) = (self.accrual_interval(), self.context.clock.now());
        let records = self.objects.compensations.by_index(BY_ENTRY, &of);
        let accruing = records.iter().filter(|record| {
            let known = self.known_promise(record);
            !is_final(record) && known.is_none_or(|promise| promise.closed.is_none())
        });
        let created = accruing.map(|record| created(record));
        created.map(|at| next_accrual(at, interval, now)).min()
    }
}

impl Compensations {
    pub(crate) fn new(context: Context, objects: Arc<Objects>) -> Self {
        Self { context, objects }
    }

    async fn pass(&self, key: &Key) -> Result<Option<Timestamp>, WriteError> {
        let of = path(&key.namespace, &key.name);
        let mut missed = self.objects.subscriptions.by_index(BY_ENTRY, &of);
        missed.retain(|subscription| has_missed(subscription));
        let known = self.objects.compensations.by_index(BY_ENTRY, &of);
        if missed.is_empty() && known.is_empty() {
            return Ok(None);
        }
        let api: Api<Compensation> = Api::namespaced(self.context.client.clone(), &key.namespace);
        // A record that fails prevents none of the others.
        let mut failed = Ok(());
        for subscription in &missed {
            later(&mut failed, self.issue(&api, key, subscription).await)?;
        }
        let wakes = self.calculate(&api, key).await?;
        failed.map(|()| wakes)
    }

    /// Makes the records that are missing.
    async fn issue(
        &self,
        api: &Api<Compensation>,
        key: &Key,
        subscription: &ServiceSubscription,
    ) -> Result<(), WriteError> {
        let device = subscription.spec.device_ref.name.clone();
        let device = self
            .objects
            .devices
            .get(&Key::new(key.namespace.clone(), device));
        let serial = device
            .as_ref()
            .map(|device| device.spec.serial_number.as_str());
        let mut failed = Ok(());
        for record in records_for(subscription, serial, &key.namespace) {
            let record_key = Key::of(&record);
            if self.objects.compensations.get(&record_key).is_some()
                || self.objects.compensations.is_unreadable(&record_key)
                || read(api, &record_key).await?.is_some()
            {
                continue;
            }
            later(&mut failed, self.make(api, &record).await)?;
        }
        failed
    }

    /// Makes a record, with an event on its subscription.
    async fn make(&self, api: &Api<Compensation>, record: &Compensation) -> Result<(), WriteError> {
        match create(api, record).await {
            Ok(Created::New(made)) => {
                self.context.metrics.compensation("FeeCredit", "created");
                self.context.events.publish(
                    &subscription_of(&made),
                    EventReason::CompensationCreated,
                    format!("What is owed is recorded as {}.", made.name_any()),
                    Some(made.object_ref(&())),
                );
                self.objects.compensations.put_written(made);
                Ok(())
            }
            Ok(Created::Existing(existing)) => {
                self.objects.compensations.put_written(existing);
                Ok(())
            }
            Err(error) if error.is_namespace_terminating() => {
                // Events are refused in a namespace that is being deleted, so this one is about the
                // Namespace.
                let namespace = record.namespace().unwrap_or_default();
                if let Some(namespace) = self.objects.namespaces.get(&Key::new("", namespace)) {
                    self.context.events.publish(
                        &namespace.object_ref(&()),
                        EventReason::CompensationNotRecorded,
                        "What is owed could not be recorded: the namespace is being deleted.",
                        None,
                    );
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Calculates the records that are not final, in order of promise; returns when one accrues
    /// next.
    async fn calculate(
        &self,
        api: &Api<Compensation>,
        key: &Key,
    ) -> Result<Option<Timestamp>, WriteError> {
        let of = path(&key.namespace, &key.name);
        let mut open = self.objects.compensations.by_index(BY_ENTRY, &of);
        open.retain(|compensation| !is_final(compensation));
        if open.is_empty() {
            return Ok(None);
        }
        open.sort_by_key(|compensation| {
            (compensation.spec.record.promised, compensation.name_any())
        });
        let mut wakes = Vec::new();
        let mut failed = Ok(());
        let (cache, now) = (&self.objects.compensations, self.context.clock.now());
        for compensation in open {
            let key = Key::of(&*compensation);
            let work = Box::pin(self.calculate_one(api, &compensation));
            match written_alone(api, cache, &key, now, work).await {
                Ok(next) => wakes.extend(next),
                Err(error) => later(&mut failed, Err(error))?,
            }
        }
        failed.map(|()| wakes.into_iter().min())
    }

    /// Calculates a record; returns when it accrues next.
    async fn calculate_one(
        &self,
        api: &Api<Compensation>,
        compensation: &Compensation,
    ) -> Result<Option<Timestamp>, WriteError> {
        if let Some(unreadable) = self.unreadable_source(compensation) {
            return self.wait_for(api, compensation, unreadable).await;
        }
        let interval = self.accrual_interval();
        let others = self.fresh(api, compensation).await?;
        let promise = self.promise(compensation).await?;
        if let Some(next) = successor(compensation, promise.as_ref(), &others) {
            self.make(api, &next).await?;
        }
        let now = self.context.clock.now();
        let accrues = promise.as_ref().is_some_and(|it| it.closed.is_none());
        let created = created(compensation);
        // A report before its first accrual would be replaced a moment later.
        let first = first_accrual(created).filter(|first| *first > now);
        if accrues && compensation.spec.voided.is_none() && first.is_some() {
            return Ok(first);
        }
        let cache = &self.objects.compensations;
        let reported = report_until_written(api, cache, &Key::of(compensation), now, |object| {
            // A person voided it meanwhile: the pass that this change starts makes the new issue
            // before it reports that.
            if object.spec != compensation.spec {
                return None;
            }
            Some(report(object, promise.as_ref(), &others, interval, now))
        })
        .await?;
        if let Reported::Written(written) = &reported
            && is_final(written)
        {
            self.publish(written);
        }
        Ok(accrues.then(|| next_accrual(created, interval, now)))
    }

    /// Returns the object that cannot be read and on which the amount of a record depends: its
    /// subscription, of which there is no older version, or another record of the same entry.
    fn unreadable_source(&self, compensation: &Compensation) -> Option<UnreadableSource> {
        let subscriptions = &self.objects.subscriptions;
        let key = subscription_key(compensation);
        if subscriptions.is_unreadable(&key) && subscriptions.get(&key).is_none() {
            return Some(UnreadableSource::Subscription(key.name));
        }
        let record = &compensation.spec.record;
        let entry = format!("{}.{}", record.contract.name, record.service_name);
        let unreadable = self.objects.compensations.unreadable();
        let mut unreadable = unreadable.iter().map(|it| &it.key);
        let found = unreadable.find(|it| {
            it.namespace == key.namespace && entry_label(&it.name).as_ref() == Some(&entry)
        })?;
        Some(UnreadableSource::Compensation(found.name.clone()))
    }

    /// Says in a record that its amount waits for an object that cannot be read. The change of that
    /// object wakes the entry.
    async fn wait_for(
        &self,
        api: &Api<Compensation>,
        compensation: &Compensation,
        unreadable: UnreadableSource,
    ) -> Result<Option<Timestamp>, WriteError> {
        let (cache, now) = (&self.objects.compensations, self.context.clock.now());
        let key = Key::of(compensation);
        report_until_written(api, cache, &key, now, |object| {
            Some(report_unread(object, &unreadable, now))
        })
        .await?;
        Ok(None)
    }

    /// Publishes an event that a record is final or voided, related to its subscription, where the
    /// operators of the service look.
    fn publish(&self, written: &Compensation) {
        let concerned = subscription_of(written);
        let (what, reason) = match &written.spec.voided {
            None => ("calculated", EventReason::CompensationDelivered),
            Some(_) => ("voided", EventReason::CompensationVoided),
        };
        let ready = find(status_conditions(written), ConditionType::Ready);
        let note = ready.map_or_else(String::new, |ready| ready.message.to_string());
        self.context.metrics.compensation("FeeCredit", what);
        let events = &self.context.events;
        events.publish(&written.object_ref(&()), reason, note, Some(concerned));
    }

    /// Lists the compensations of the same contract and service at the API server: an amount may
    /// become final, and the cache could lack one that was made a moment ago.
    async fn fresh(
        &self,
        api: &Api<Compensation>,
        compensation: &Compensation,
    ) -> Result<Vec<Compensation>, WriteError> {
        // By fields of the spec, which cannot be changed; anybody can change labels.
        let record = &compensation.spec.record;
        let selector = format!(
            "spec.record.contract.name={},spec.record.serviceName={}",
            record.contract.name, record.service_name,
        );
        let list = tokio::time::timeout(
            Duration::from_secs(30),
            api.list(&ListParams::default().fields(&selector)),
        )
        .await;
        match list {
            Ok(Ok(list)) => Ok(list.items),
            _ => Err(WriteError::Conflict {
                kind: "Compensation".to_owned(),
                key: Key::of(compensation),
            }),
        }
    }

    /// Returns the promise that a record is about; `None` only if the API server says it is gone.
    async fn promise(&self, compensation: &Compensation) -> Result<Option<Promise>, WriteError> {
        if let Some(promise) = self.known_promise(compensation) {
            return Ok(Some(promise));
        }
        let key = subscription_key(compensation);
        let api: Api<ServiceSubscription> =
            Api::namespaced(self.context.client.clone(), &key.namespace);
        let found = read(&api, &key).await?;
        Ok(found.and_then(|found| promise_in(&found, compensation)))
    }

    /// Returns the promise that a record is about, as the cache has it.
    fn known_promise(&self, compensation: &Compensation) -> Option<Promise> {
        let key = subscription_key(compensation);
        let found = self.objects.subscriptions.get(&key)?;
        promise_in(&found, compensation)
    }

    fn accrual_interval(&self) -> SignedDuration {
        SignedDuration::try_from(self.context.options.accrual_interval)
            .unwrap_or(SignedDuration::from_hours(1))
    }
}

fn created(compensation: &Compensation) -> Option<Timestamp> {
    let created = compensation.metadata.creation_timestamp.as_ref();
    created.map(|time| time.0)
}

/// Returns the key of the subscription that a record is about.
fn subscription_key(compensation: &Compensation) -> Key {
    let namespace = compensation.namespace().unwrap_or_default();
    Key::new(namespace, &*compensation.spec.record.subscription.name)
}

/// Returns the promise that a record is about, if this is its subscription.
fn promise_in(subscription: &ServiceSubscription, compensation: &Compensation) -> Option<Promise> {
    let record = &compensation.spec.record;
    if subscription.uid().as_deref() != Some(&record.subscription.uid) {
        return None;
    }
    promise_of(subscription, record.promised).cloned()
}

/// Keeps the first error about one object for the end, so that what comes after it is done as well.
/// Without an answer of the API server nothing else would be answered either: that error is returned
/// at once.
fn later(
    failed: &mut Result<(), WriteError>,
    result: Result<(), WriteError>,
) -> Result<(), WriteError> {
    match result {
        Err(error @ WriteError::Unknown { .. }) => Err(error),
        Err(error) => {
            if failed.is_ok() {
                *failed = Err(error);
            }
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Returns the reference to the subscription that a record is about, for events.
fn subscription_of(record: &Compensation) -> ObjectReference {
    let subscription = &record.spec.record.subscription;
    ObjectReference {
        api_version: Some(ServiceSubscription::api_version(&()).into_owned()),
        kind: Some(ServiceSubscription::kind(&()).into_owned()),
        namespace: record.namespace(),
        name: Some(subscription.name.clone()),
        uid: Some(subscription.uid.clone()),
        ..ObjectReference::default()
    }
}

fn status_conditions(compensation: &Compensation) -> &[Condition] {
    let status = compensation.status.as_ref();
    status.map_or(&[], |status| &status.conditions)
}

/// True if nothing is left to calculate: the amount is final and, if it is voided, reported so.
fn is_final(compensation: &Compensation) -> bool {
    let Some(status) = &compensation.status else {
        return false;
    };
    let calculated = is_true(&status.conditions, ConditionType::Calculated);
    // Voiding a record is an edit, so conditions from before it are of another generation.
    calculated && status.observed_generation == compensation.metadata.generation
}
