//! Report: writes what the domain says of each subscription and of the device, where it differs.
//!
//! Runs at the end of every pass, and once before a first provision. A write that loses a race is
//! decided again from the object read anew with the same facts.

use std::collections::BTreeMap;

use entente_crds::{
    FINALIZER_WITHDRAW,
    v1alpha1::{Device, ServiceSubscription},
};
use entente_domain::delivery::{
    ResolvedSubscription, SubscriptionReport, Verified, World, report_device, report_subscription,
};
use jiff::Timestamp;
use kube::{Api, ResourceExt as _};

use super::{Delivery, Outcome, announce};
use crate::{
    cache::Key,
    objects::{BY_DEVICE, path},
    status::{Reported, WriteError, remove_finalizer, report_panic, report_until_written},
};

/// What came of reporting on a pass.
#[derive(Default)]
pub(super) struct Written {
    /// The next instant that matters by time alone, whatever could be written.
    pub(super) wake: Option<Timestamp>,
    /// Why a status could not be written; the first one.
    pub(super) failure: Option<WriteError>,
}

/// Writes every status of a pass. What cannot be written keeps nothing else from being written, and
/// no instant is lost with it.
pub(super) async fn write(delivery: &Delivery, outcome: &Outcome) -> Written {
    let mut written = Written::default();
    let mut wakes = Vec::new();
    let mut reports = BTreeMap::new();
    for subscription in &outcome.resolved.subscriptions {
        let report = match write_subscription(delivery, outcome, subscription).await {
            Ok(report) => report,
            Err(error) => {
                written.failure.get_or_insert(error);
                undelivered(delivery, outcome, subscription)
            }
        };
        let Some(report) = report else { continue };
        wakes.extend(report.wake_at);
        reports.insert(subscription.name.clone(), report);
    }
    match write_device(delivery, outcome, &reports).await {
        Ok(wake) => wakes.extend(wake),
        Err(error) => _ = written.failure.get_or_insert(error),
    }
    written.wake = wakes.into_iter().min();
    written
}

/// What would have been said of a subscription, for the instants in it.
fn undelivered(
    delivery: &Delivery,
    outcome: &Outcome,
    subscription: &ResolvedSubscription,
) -> Option<SubscriptionReport> {
    let mut objects = outcome.world.subscriptions.iter();
    let object = objects.find(|object| object.name_any() == subscription.name)?;
    let now = delivery.context.clock.now();
    Some(decided(outcome, subscription, object, now))
}

fn decided(
    outcome: &Outcome,
    subscription: &ResolvedSubscription,
    object: &ServiceSubscription,
    now: Timestamp,
) -> SubscriptionReport {
    let default = Verified::default();
    let verified = outcome.verified.get(&subscription.name).unwrap_or(&default);
    report_subscription(
        &outcome.world,
        &outcome.resolved,
        (subscription, verified),
        (&outcome.plan, &outcome.facts),
        object,
        now,
    )
}

/// Says of a device and its subscriptions that a pass over them ended in a defect of ours.
pub(super) async fn panicked(delivery: &Delivery, key: &Key) {
    let (client, objects) = (&delivery.context.client, &delivery.objects);
    let now = delivery.context.clock.now();
    let api: Api<Device> = Api::namespaced(client.clone(), &key.namespace);
    report_panic(&api, &objects.devices, key, now).await;
    let api: Api<ServiceSubscription> = Api::namespaced(client.clone(), &key.namespace);
    let device = path(&key.namespace, &key.name);
    for subscription in objects.subscriptions.by_index(BY_DEVICE, &device) {
        let key = Key::of(&*subscription);
        report_panic(&api, &objects.subscriptions, &key, now).await;
    }
}

/// Writes the handle of an instance before its first provision, and takes the answer into the
/// world of the pass.
pub(super) async fn record(
    delivery: &Delivery,
    outcome: &mut Outcome,
    name: &str,
) -> Result<(), WriteError> {
    let found = outcome
        .resolved
        .subscriptions
        .iter()
        .find(|entry| entry.name == name);
    let Some(subscription) = found.cloned() else {
        return Ok(());
    };
    write_subscription(delivery, outcome, &subscription).await?;
    let key = Key::new(outcome.world.namespace.clone(), name);
    if let Some(written) = delivery.objects.subscriptions.get(&key) {
        let known = outcome
            .world
            .subscriptions
            .iter_mut()
            .find(|object| object.name_any() == name);
        if let Some(known) = known {
            *known = written.into();
        }
    }
    Ok(())
}

async fn write_subscription(
    delivery: &Delivery,
    outcome: &Outcome,
    subscription: &ResolvedSubscription,
) -> Result<Option<SubscriptionReport>, WriteError> {
    let world = &outcome.world;
    let key = Key::new(world.namespace.clone(), subscription.name.clone());
    let api: Api<ServiceSubscription> =
        Api::namespaced(delivery.context.client.clone(), &world.namespace);
    let now = delivery.context.clock.now();
    let uid = uid_in(world, &subscription.name);
    let decide = |object: &ServiceSubscription| decided(outcome, subscription, object, now);
    let before = delivery.objects.subscriptions.get(&key);
    let cache = &delivery.objects.subscriptions;
    let reported = report_until_written(&api, cache, &key, now, |object| {
        // Outcomes belong to the object that they were planned for.
        (object.uid() == uid).then(|| decide(object).status)
    })
    .await?;
    let object = match reported {
        Reported::Gone => return Ok(None),
        Reported::Written(object) => {
            announce::subscription(delivery, before.as_deref(), &object);
            object
        }
        Reported::Unchanged => match delivery.objects.subscriptions.get(&key) {
            Some(object) => object,
            None => return Ok(None),
        },
    };
    let report = decide(&object);
    if report.finalizer_may_go {
        let freed = remove_finalizer(&api, &*object, FINALIZER_WITHDRAW).await;
        match freed {
            Ok(freed) => delivery.objects.subscriptions.put_written(freed),
            Err(WriteError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(report))
}

async fn write_device(
    delivery: &Delivery,
    outcome: &Outcome,
    reports: &BTreeMap<String, SubscriptionReport>,
) -> Result<Option<Timestamp>, WriteError> {
    let world = &outcome.world;
    let Some(device) = &world.device else {
        return Ok(None);
    };
    let key = Key::of(&**device);
    let api: Api<Device> = Api::namespaced(delivery.context.client.clone(), &world.namespace);
    let now = delivery.context.clock.now();
    let decide = |object: &Device| {
        report_device(
            world,
            object,
            &outcome.resolved,
            &outcome.verified,
            reports,
            &outcome.facts,
            now,
        )
    };
    let uid = device.uid();
    let reported = report_until_written(&api, &delivery.objects.devices, &key, now, |object| {
        (object.uid() == uid).then(|| decide(object).0)
    })
    .await?;
    match &reported {
        Reported::Gone => return Ok(None),
        Reported::Written(written) => announce::device(delivery, device, written),
        Reported::Unchanged => {}
    }
    let next = delivery
        .objects
        .devices
        .get(&key)
        .and_then(|object| decide(&object).1);
    Ok(next.filter(|next| *next > now))
}

fn uid_in(world: &World, name: &str) -> Option<String> {
    world
        .subscriptions
        .iter()
        .find(|object| object.name_any() == name)?
        .uid()
}
