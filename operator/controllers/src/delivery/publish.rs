//! Events and metrics of delivery: on transitions only, never once per failed attempt.

use entente_crds::{
    ANNOTATION_ABANDON,
    condition::{ConditionType, Reason},
    v1alpha1::{
        AdoptedBy, Condition, Device, Item, Promise, PromiseState, ReleasedAs, ServerInstance,
        ServiceSubscription, ServiceSubscriptionStatus,
    },
};
use entente_domain::{
    condition::{find, is_true},
    delivery::{handles_in, handles_of, may_exist},
};
use kube::{Resource as _, ResourceExt as _};

use super::Delivery;
use crate::{cache::Key, events::EventReason};

/// Publishes events about the changes of a subscription.
pub(super) fn subscription(
    delivery: &Delivery,
    before: Option<&ServiceSubscription>,
    after: &ServiceSubscription,
) {
    let status = after.status.clone().unwrap_or_default();
    let old = before
        .and_then(|before| before.status.clone())
        .unwrap_or_default();
    promises(delivery, &old.promises, after);
    timed_out(delivery, &old, after);
    not_put_back(delivery, &old, after);
    adopted(delivery, &old, after);
    let Some(ready) = find(&status.conditions, ConditionType::Ready) else {
        return;
    };
    if find(&old.conditions, ConditionType::Ready).is_some_and(|old| old.reason == ready.reason) {
        return;
    }
    let Some(reason) = event_of(ready) else {
        return;
    };
    // What is owed is no matter of the device.
    if reason == EventReason::CompensationNotRecorded {
        let about = after.object_ref(&());
        let events = &delivery.context.events;
        events.publish(&about, reason, ready.message.clone(), None);
        return;
    }
    let device = Key::new(
        after.namespace().unwrap_or_default(),
        &after.spec.device_ref.name,
    );
    match delivery.objects.devices.get(&device) {
        // Reasons of the device become events of the device, related to the subscription.
        Some(device) => delivery.context.events.publish(
            &device.object_ref(&()),
            reason,
            ready.message.clone(),
            Some(after.object_ref(&())),
        ),
        None => delivery.context.events.publish(
            &after.object_ref(&()),
            reason,
            ready.message.clone(),
            None,
        ),
    }
}

/// Publishes events about promises that were missed, and counts those that were completed.
fn promises(delivery: &Delivery, old: &[Promise], after: &ServiceSubscription) {
    let status = after.status.iter();
    for promise in status.flat_map(|status| &status.promises) {
        let known = old
            .iter()
            .find(|known| known.effective == promise.effective);
        if promise.completed.is_some() && known.is_none_or(|known| known.completed.is_none()) {
            let late = promise
                .completed
                .map(|at| at.duration_since(promise.effective));
            let late = late.map_or(0.0, |late| late.as_secs_f64().max(0.0));
            delivery
                .context
                .metrics
                .setup_late_by(std::time::Duration::from_secs_f64(late));
        }
        let was_open = known.is_none_or(|known| known.state == PromiseState::Open);
        if promise.state != PromiseState::Open && was_open {
            delivery.context.metrics.promise_judged(promise.state);
        }
        let was_missed = known.is_some_and(|known| known.state == PromiseState::Missed);
        if promise.state == PromiseState::Missed && !was_missed {
            delivery.context.events.publish(
                &after.object_ref(&()),
                EventReason::StartDateMissed,
                "The promised instant passed without proof.",
                None,
            );
        }
    }
}

/// Publishes that an instance was there already and is taken over, once something may be sent to it.
fn adopted(delivery: &Delivery, old: &ServiceSubscriptionStatus, after: &ServiceSubscription) {
    let taken = |status: &ServiceSubscriptionStatus| {
        let server = status.server.clone()?;
        let adopted = server.adopted.clone().filter(|_| may_exist(&server))?;
        Some((server, adopted))
    };
    let Some((server, adopted)) = after.status.as_ref().and_then(taken) else {
        return;
    };
    if taken(old).is_some() {
        return;
    }
    let how = match adopted.by {
        AdoptedBy::Fetch => "a fetch found it before anything was sent",
        AdoptedBy::Identical => "the broker answered that the identical one exists",
        AdoptedBy::Conflict => "the broker answered that one with other values exists",
        AdoptedBy::Succession => "it is that of the contract that this one succeeds",
    };
    let note = format!(
        "The instance {} was on the broker of the Connection {} already ({how}), and is taken over: \
         it gets what the service wants.",
        server.instance_id, server.connection_ref.name
    );
    let regarding = after.object_ref(&());
    let events = &delivery.context.events;
    events.publish(&regarding, EventReason::InstanceAdopted, note, None);
}

/// Publishes that a withdrawal ran out of time. One that a person gave up did not.
fn timed_out(delivery: &Delivery, old: &ServiceSubscriptionStatus, after: &ServiceSubscription) {
    let before = |recorded: &ServerInstance| {
        handles_in(old).any(|it| {
            it.orphaned.is_some()
                && it.instance_id == recorded.instance_id
                && it.connection_ref == recorded.connection_ref
        })
    };
    let mut recorded = handles_of(after).filter(|it| it.orphaned.is_some());
    let Some(recorded) = recorded.find(|it| !before(it)) else {
        return;
    };
    let contract = Key::new(
        after.namespace().unwrap_or_default(),
        &after.spec.contract.name,
    );
    let contract = delivery.objects.contracts.get(&contract);
    let annotations = contract.iter().flat_map(|it| it.annotations());
    let mut annotations = annotations.chain(after.annotations());
    if annotations.any(|(name, _)| name == ANNOTATION_ABANDON) {
        return;
    }
    let note = format!(
        "The withdrawal did not end in time and is given up: the instance {} is left on the broker \
         of the Connection {}.",
        recorded.instance_id, recorded.connection_ref.name
    );
    let regarding = after.object_ref(&());
    let events = &delivery.context.events;
    events.publish(&regarding, EventReason::FinalizerTimedOut, note, None);
}

/// Publishes that settings of the device could not be put back as they were before the service.
fn not_put_back(delivery: &Delivery, old: &ServiceSubscriptionStatus, after: &ServiceSubscription) {
    let is_given_up = |item: &&Item| item.released == Some(ReleasedAs::GivenUp);
    let status = after.status.iter();
    let given_up = status.flat_map(|status| status.items.iter().filter(is_given_up));
    let keys: Vec<&str> = given_up.map(|item| item.key.as_str()).collect();
    if keys.is_empty() || old.items.iter().any(|item| is_given_up(&item)) {
        return;
    }
    let note = format!(
        "The withdrawal did not end in time and is given up: the device {} keeps what the service \
         set: {}.",
        after.spec.device_ref.name,
        keys.join(", ")
    );
    let regarding = after.object_ref(&());
    let events = &delivery.context.events;
    events.publish(&regarding, EventReason::FinalizerTimedOut, note, None);
}

fn event_of(ready: &Condition) -> Option<EventReason> {
    let is = |reason: Reason| ready.reason == reason.as_str();
    if is(Reason::AcceptedNotEffective) {
        Some(EventReason::VerificationMismatch)
    } else if is(Reason::RejectedValue)
        || is(Reason::RejectedNotSettable)
        || is(Reason::Unsupported)
    {
        Some(EventReason::SettingsRejected)
    } else if is(Reason::IdentityMismatch) {
        Some(EventReason::IdentityMismatch)
    } else if is(Reason::Unauthorized) {
        Some(EventReason::CredentialsRejected)
    } else if is(Reason::OfferingChanged) {
        Some(EventReason::OfferingChanged)
    } else if is(Reason::BrokerChanged) {
        Some(EventReason::BrokerChanged)
    } else if is(Reason::CompensationNameTaken) {
        Some(EventReason::CompensationNotRecorded)
    } else {
        None
    }
}

/// Publishes events about the changes of a device.
pub(super) fn device(delivery: &Delivery, before: &Device, after: &Device) {
    let conditions = |device: &Device| {
        device
            .status
            .as_ref()
            .map(|status| status.conditions.clone())
            .unwrap_or_default()
    };
    let (old, new) = (conditions(before), conditions(after));
    let publish = |reason: EventReason, note: &str| {
        delivery
            .context
            .events
            .publish(&after.object_ref(&()), reason, note, None);
    };
    // A device that answers and refuses can be reached.
    let is_silent = |online: &&Condition| {
        let reasons = [Reason::Unreachable, Reason::TimedOut, Reason::TlsFailed];
        online.status == "False"
            && reasons
                .iter()
                .any(|reason| reason.as_str() == online.reason)
    };
    let online = find(&new, ConditionType::Online).filter(is_silent);
    let was_offline = find(&old, ConditionType::Online).is_some_and(|online| is_silent(&online));
    if let Some(online) = online
        && !was_offline
    {
        publish(EventReason::DeviceUnreachable, &online.message);
    }
    let applied = |conditions: &[Condition]| {
        find(conditions, ConditionType::SettingsApplied)
            .is_some_and(|found| found.status == "True" && found.reason == "Succeeded")
    };
    // A device that accepts its settings is no news: a fleet that starts would make one event each.
    let failed = find(&old, ConditionType::SettingsApplied).is_some_and(|found| {
        found.status == "False"
            && ![Reason::Progressing, Reason::NotStarted, Reason::Pending]
                .iter()
                .any(|reason| reason.as_str() == found.reason)
    });
    if failed && applied(&new) && is_true(&new, ConditionType::Ready) {
        publish(
            EventReason::DeviceConfigured,
            "The device has recovered: everything that is wanted on it was read back.",
        );
    }
}
