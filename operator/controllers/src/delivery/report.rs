//! Report: writes the status that the domain returns for each subscription and for the device, if
//! it differs.
//!
//! Runs at the end of every pass, and once before a first provision and before values of the device
//! are overwritten. A write that loses a race is decided again from the object read anew with the
//! same observations. Each object is reported alone: neither a write that fails nor a panic over one
//! of them loses the others.

use std::{collections::BTreeMap, sync::Arc};

use entente_crds::{
    FINALIZER_WITHDRAW,
    v1alpha1::{Device, DeviceStatus, ServiceSubscription, ServiceSubscriptionStatus},
};
use entente_domain::{
    delivery::{Answer, Pass, SubscriptionReport, UnsaidAttempts, next_date},
    names::SubscriptionName,
};
use jiff::Timestamp;
use kube::{Api, ResourceExt as _};

use super::{Delivery, publish};
use crate::{
    cache::Key,
    defect::{Defect, guarded_now},
    objects::{BY_DEVICE, path},
    status::{
        Reported, WriteError, add_finalizer, has_finalizer, remove_finalizer, report_defect,
        report_until_written, written_alone,
    },
};

/// Result of the reports of a pass.
#[derive(Default)]
pub(super) struct Written {
    /// Next instant that matters by time alone, also if writes failed.
    pub(super) wake: Option<Timestamp>,
    /// Error of the first status that could not be written.
    pub(super) failure: Option<WriteError>,
}

/// Writes every status of a pass. A write that fails, or panics, neither prevents the others nor
/// loses an instant.
pub(super) async fn write(delivery: &Delivery, pass: &Pass) -> Written {
    let mut written = Written::default();
    let mut wakes = Vec::new();
    let mut reports = BTreeMap::new();
    let snapshot = pass.snapshot();
    let device = Key::new(snapshot.namespace.clone(), snapshot.device_name.clone());
    let subscriptions = pass.resolved().subscriptions.iter();
    for subscription in subscriptions.filter(|it| !it.name.is_leaving()) {
        let name = &subscription.name;
        let work = Box::pin(write_subscription(delivery, pass, name));
        let report = match subscription_alone(delivery, pass, name, work).await {
            Ok(report) => report,
            Err(error) => {
                written.failure.get_or_insert(error);
                wakes.extend(known_date(delivery, pass, name));
                undelivered(delivery, pass, name)
            }
        };
        let Some(report) = report else { continue };
        wakes.extend(report.wake_at);
        reports.insert(name.clone(), report);
    }
    let unsaid = unsaid_attempts(pass, &reports);
    delivery.attempts.keep(&device, unsaid);
    match device_alone(delivery, pass, &reports).await {
        Ok(wake) => {
            wakes.extend(wake);
            // What waited for this status goes on at once.
            let waited = delivery.unwritten.written(&device);
            wakes.extend(waited.then(|| delivery.context.clock.now()));
        }
        Err(error) => {
            let (status, wake) = undelivered_device(delivery, pass, &reports);
            delivery
                .unwritten
                .failed(&device, error.to_string(), status);
            written.failure.get_or_insert(error);
            wakes.extend(wake);
        }
    }
    written.wake = wakes.into_iter().min();
    written
}

/// Returns the attempts that the stored statuses do not say. Those of a subscription without a report
/// are as they were.
fn unsaid_attempts(
    pass: &Pass,
    reports: &BTreeMap<SubscriptionName, SubscriptionReport>,
) -> UnsaidAttempts {
    let snapshot = pass.snapshot();
    let unsaid = snapshot.subscriptions.iter().filter_map(|object| {
        let uid = object.uid()?;
        let report = reports.get(object.name_any().as_str());
        let unsaid = match report {
            Some(report) => &report.unsaid_attempts,
            None => snapshot.unsaid_attempts.get(&uid)?,
        };
        (!unsaid.is_empty()).then(|| (uid, unsaid.clone()))
    });
    unsaid.collect()
}

/// Returns the report that a subscription would have got, for the instants and the attempts in it.
fn undelivered(
    delivery: &Delivery,
    pass: &Pass,
    name: &SubscriptionName,
) -> Option<SubscriptionReport> {
    let object = pass.snapshot().subscription(name)?;
    let now = delivery.context.clock.now();
    // It may be the panic that kept it from being written.
    guarded_now("report", || pass.report_subscription(object, now)).flatten()
}

/// Returns the status that a device would have got, and the next instant in its report.
fn undelivered_device(
    delivery: &Delivery,
    pass: &Pass,
    reports: &BTreeMap<SubscriptionName, SubscriptionReport>,
) -> (Option<DeviceStatus>, Option<Timestamp>) {
    let now = delivery.context.clock.now();
    let report = pass.snapshot().device.as_ref().and_then(|device| {
        // It may be the panic that kept it from being written.
        guarded_now("report", || pass.report_device(device, reports, now))
    });
    report.map_or((None, None), |(status, next)| {
        (Some(status), next.filter(|next| *next > now))
    })
}

/// Returns the first date of a subscription that passed while a pass went on: what was decided before it may
/// stand in a status, and the next instant in a report made after it lies beyond.
pub(super) fn date_that_passed(
    delivery: &Delivery,
    pass: &Pass,
    began: Timestamp,
) -> Option<Timestamp> {
    let now = delivery.context.clock.now();
    let subscriptions = pass.snapshot().subscriptions.iter();
    let dates = subscriptions.filter_map(|object| next_date(object, began));
    dates.filter(|date| *date <= now).min()
}

/// Returns the next instant of a subscription by its dates alone.
fn known_date(delivery: &Delivery, pass: &Pass, name: &SubscriptionName) -> Option<Timestamp> {
    let object = pass.snapshot().subscription(name)?;
    next_date(object, delivery.context.clock.now())
}

/// Reports in a device and its subscriptions that a pass over them ended in a defect of ours.
pub(super) async fn defective(delivery: &Delivery, key: &Key, defect: &Defect) {
    let (client, objects) = (&delivery.context.client, &delivery.objects);
    let now = delivery.context.clock.now();
    // It may have written to a machine whose identity is in no status.
    delivery.unwritten.failed(key, defect.sentence(), None);
    let api: Api<Device> = Api::namespaced(client.clone(), &key.namespace);
    report_defect(&api, &objects.devices, key, defect, now).await;
    let api: Api<ServiceSubscription> = Api::namespaced(client.clone(), &key.namespace);
    let device = path(&key.namespace, &key.name);
    for subscription in objects.subscriptions.by_index(BY_DEVICE, &device) {
        let key = Key::of(&*subscription);
        report_defect(&api, &objects.subscriptions, &key, defect, now).await;
    }
}

/// Writes the instance before its first provision or when it is handed over, or the values that the
/// device has before they are overwritten, and returns the subscription after the write.
pub(super) async fn record(
    delivery: &Delivery,
    pass: &Pass,
    name: &SubscriptionName,
    decide: impl Fn(&ServiceSubscription, Timestamp) -> Option<ServiceSubscriptionStatus>,
) -> Answer {
    let written = Box::pin(write_status(delivery, pass, name, decide));
    match subscription_alone(delivery, pass, name, written).await {
        Ok(written) => Answer::Recorded(written),
        Err(error) => {
            tracing::warn!(%error, subscription = name.as_str(), "the status could not be recorded");
            Answer::Recorded(None)
        }
    }
}

/// Writes the switch of a change of provider into the status of the device, and returns the holders of
/// exclusive groups that it has then. It is decided again for an object that was changed meanwhile.
pub(super) async fn switch(
    delivery: &Delivery,
    pass: &Pass,
    (group, to): (&str, &SubscriptionName),
) -> Answer {
    let Some(device) = &pass.snapshot().device else {
        return Answer::Switched(None);
    };
    let (key, now) = (Key::of(&**device), delivery.context.clock.now());
    let api: Api<Device> = Api::namespaced(delivery.context.client.clone(), &key.namespace);
    let cache = &delivery.objects.devices;
    let uid = device.uid();
    let work = report_until_written(&api, cache, &key, now, |object| {
        (object.uid() == uid).then(|| pass.switch(object, group, to, now))
    });
    let written = written_alone(&api, cache, &key, now, Box::pin(work)).await;
    let held = |object: Arc<Device>| {
        let status = object.status.as_ref();
        status.map_or_else(Vec::new, |status| status.exclusive.clone())
    };
    match written {
        Ok(Reported::Written(object)) => Answer::Switched(Some(held(object))),
        Ok(Reported::Unchanged) => Answer::Switched(cache.get(&key).map(held)),
        Ok(Reported::Gone) => Answer::Switched(None),
        Err(error) => {
            tracing::warn!(%error, group, "the switch could not be written");
            Answer::Switched(None)
        }
    }
}

/// Writes a status if it differs, and returns the object after the write; `None` if it is gone.
async fn write_status(
    delivery: &Delivery,
    pass: &Pass,
    name: &SubscriptionName,
    decide: impl Fn(&ServiceSubscription, Timestamp) -> Option<ServiceSubscriptionStatus>,
) -> Result<Option<Arc<ServiceSubscription>>, WriteError> {
    let snapshot = pass.snapshot();
    let key = Key::new(snapshot.namespace.clone(), name.as_str());
    let api = subscriptions(delivery, pass);
    let now = delivery.context.clock.now();
    let uid = snapshot.subscription(name).and_then(kube::ResourceExt::uid);
    let cache = &delivery.objects.subscriptions;
    let before = cache.get(&key);
    let reported = report_until_written(&api, cache, &key, now, |object| {
        // Outcomes belong to the object of the plan.
        (object.uid() == uid).then(|| decide(object, now)).flatten()
    })
    .await?;
    Ok(match reported {
        Reported::Gone => None,
        Reported::Written(object) => {
            publish::subscription(delivery, before.as_deref(), &object);
            Some(object)
        }
        Reported::Unchanged => cache.get(&key),
    })
}

/// Waits for what is decided about one subscription and written to it.
async fn subscription_alone<T>(
    delivery: &Delivery,
    pass: &Pass,
    name: &SubscriptionName,
    work: impl Future<Output = Result<T, WriteError>>,
) -> Result<T, WriteError> {
    let key = Key::new(pass.snapshot().namespace.clone(), name.as_str());
    let (api, now) = (subscriptions(delivery, pass), delivery.context.clock.now());
    let cache = &delivery.objects.subscriptions;
    // On the heap: the state of a pass is large enough.
    written_alone(&api, cache, &key, now, Box::pin(work)).await
}

fn subscriptions(delivery: &Delivery, pass: &Pass) -> Api<ServiceSubscription> {
    Api::namespaced(delivery.context.client.clone(), &pass.snapshot().namespace)
}

async fn write_subscription(
    delivery: &Delivery,
    pass: &Pass,
    name: &SubscriptionName,
) -> Result<Option<SubscriptionReport>, WriteError> {
    let decide = |object: &ServiceSubscription, now| {
        let report = pass.report_subscription(object, now)?;
        Some(report.status)
    };
    let Some(object) = write_status(delivery, pass, name, decide).await? else {
        return Ok(None);
    };
    let report = pass.report_subscription(&object, delivery.context.clock.now());
    let object = with_finalizer(delivery, pass, object).await?;
    if report.as_ref().is_some_and(|it| it.finalizer_may_go) {
        let api = subscriptions(delivery, pass);
        let freed = remove_finalizer(&api, &*object, FINALIZER_WITHDRAW).await;
        match freed {
            Ok(freed) => delivery.objects.subscriptions.put_written(freed),
            Err(WriteError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

async fn device_alone(
    delivery: &Delivery,
    pass: &Pass,
    reports: &BTreeMap<SubscriptionName, SubscriptionReport>,
) -> Result<Option<Timestamp>, WriteError> {
    let Some(device) = &pass.snapshot().device else {
        return Ok(None);
    };
    let (key, now) = (Key::of(&**device), delivery.context.clock.now());
    let api: Api<Device> = Api::namespaced(delivery.context.client.clone(), &key.namespace);
    let work = Box::pin(write_device(delivery, pass, reports));
    written_alone(&api, &delivery.objects.devices, &key, now, work).await
}

/// Puts the finalizer back that a person removed from a subscription: without it a withdrawal would
/// leave an instance behind.
async fn with_finalizer(
    delivery: &Delivery,
    pass: &Pass,
    object: Arc<ServiceSubscription>,
) -> Result<Arc<ServiceSubscription>, WriteError> {
    let is_deleted = object.metadata.deletion_timestamp.is_some();
    if is_deleted || has_finalizer(&*object, FINALIZER_WITHDRAW) {
        return Ok(object);
    }
    let api = subscriptions(delivery, pass);
    match add_finalizer(&api, &*object, FINALIZER_WITHDRAW).await {
        Ok(held) => Ok(delivery.objects.subscriptions.share_written(held)),
        Err(WriteError::Gone { .. }) => Ok(object),
        Err(error) => Err(error),
    }
}

async fn write_device(
    delivery: &Delivery,
    pass: &Pass,
    reports: &BTreeMap<SubscriptionName, SubscriptionReport>,
) -> Result<Option<Timestamp>, WriteError> {
    let snapshot = pass.snapshot();
    let Some(device) = &snapshot.device else {
        return Ok(None);
    };
    let key = Key::of(&**device);
    let api: Api<Device> = Api::namespaced(delivery.context.client.clone(), &snapshot.namespace);
    let now = delivery.context.clock.now();
    let decide = |object: &Device| pass.report_device(object, reports, now);
    let uid = device.uid();
    let reported = report_until_written(&api, &delivery.objects.devices, &key, now, |object| {
        (object.uid() == uid).then(|| decide(object).0)
    })
    .await?;
    match &reported {
        Reported::Gone => return Ok(None),
        Reported::Written(written) => publish::device(delivery, device, written),
        Reported::Unchanged => {}
    }
    let next = delivery
        .objects
        .devices
        .get(&key)
        .and_then(|object| decide(&object).1);
    Ok(next.filter(|next| *next > now))
}
