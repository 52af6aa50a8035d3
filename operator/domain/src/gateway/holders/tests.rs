use entente_crds::v1alpha1::{
    Condition, NameReference, Revision, ServiceSubscriptionSpec, ServiceSubscriptionStatus,
    SmartServiceSpec, SubscriptionActivation,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::*;
use crate::gateway::{activation::DeviceFacts, services::Services};

const OLD: &str = "acme-2026.toner.lobby";
const NEW: &str = "acme-2027.toner.lobby";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn revision(service: &str, effective: i64, until: Option<i64>) -> Arc<Revision> {
    Arc::new(Revision {
        effective: at(effective),
        until: until.map(at),
        service_ref: NameReference {
            name: service.to_owned(),
        },
        ..Revision::default()
    })
}

/// Returns a subscription whose condition Activated has this reason.
fn subscription(name: &str, revisions: Vec<Arc<Revision>>, reason: Reason) -> ServiceSubscription {
    let spec = ServiceSubscriptionSpec {
        revisions,
        time_zone: "UTC".to_owned(),
        ..ServiceSubscriptionSpec::default()
    };
    let mut subscription = ServiceSubscription::new(name, spec);
    let state = if reason == Reason::Active {
        ActivationState::Active
    } else {
        ActivationState::Inactive
    };
    let condition = Condition {
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        message: "".into(),
        observed_generation: None,
        reason: reason.as_str().to_owned(),
        status: "False".to_owned(),
        type_: "Activated".to_owned(),
    };
    subscription.status = Some(ServiceSubscriptionStatus {
        conditions: vec![condition],
        activation: Some(SubscriptionActivation {
            state,
            since: at(1),
        }),
        ..ServiceSubscriptionStatus::default()
    });
    subscription
}

fn of_group(name: &str) -> Arc<SmartService> {
    let spec = SmartServiceSpec {
        exclusive_group: (name != "alone").then(|| "toner".to_owned()),
        ..SmartServiceSpec::default()
    };
    Arc::new(SmartService::new(name, spec))
}

fn held(holder: &str, service: &str) -> ExclusiveHold {
    ExclusiveHold {
        group: "toner".to_owned(),
        holder: holder.to_owned(),
        service: Some(service.to_owned()),
        since: at(1),
        ..ExclusiveHold::default()
    }
}

/// Returns the states of the listed services with an application id, by their names, at second 150.
fn listed(subscriptions: Vec<ServiceSubscription>, hold: ExclusiveHold) -> Vec<(String, String)> {
    let subscriptions: Vec<_> = subscriptions.into_iter().map(Arc::new).collect();
    let holds = [hold];
    let device = DeviceFacts {
        holds: &holds,
        ..DeviceFacts::default()
    };
    let list = Services::of(
        &subscriptions,
        (|name: &str| Some(of_group(name)), &device),
        at(150),
    );
    let list = list.body("PT1H");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entries = list["services"].as_array().unwrap().iter();
    entries
        .filter_map(|it| Some((text(&it["applicationId"])?, text(&it["state"])?)))
        .collect()
}

// shows C3 C11
#[test]
fn of_two_contracts_the_one_before_is_listed_as_active_until_the_switch() {
    let old = |reason| subscription(OLD, vec![revision("old", 0, Some(100))], reason);
    let new = |service, from| {
        let revisions = vec![revision(service, from, None)];
        subscription(NEW, revisions, Reason::ExclusiveGroupHeld)
    };
    let names = |list: Vec<(String, String)>| {
        let list = list.into_iter().map(|(id, state)| format!("{id} {state}"));
        list.collect::<Vec<_>>().join(", ")
    };
    let both = format!("{OLD} Active, {NEW} Inactive");
    let alone = format!("{NEW} Inactive");
    for (what, subscriptions, hold, expected) in [
        (
            "before the switch",
            vec![old(Reason::Active), new("new", 100)],
            held(OLD, "old"),
            &both,
        ),
        (
            "after the switch",
            vec![old(Reason::Active), new("new", 100)],
            held(NEW, "new"),
            &alone,
        ),
        (
            "it was off",
            vec![old(Reason::DisabledLocally), new("new", 100)],
            held(OLD, "old"),
            &alone,
        ),
        (
            "the next one is of no group",
            vec![old(Reason::Active), new("alone", 100)],
            held(OLD, "old"),
            &alone,
        ),
        (
            "the next one has not begun",
            vec![old(Reason::Active), new("new", 200)],
            held(OLD, "old"),
            &format!("{NEW} Scheduled"),
        ),
    ] {
        assert_eq!(names(listed(subscriptions, hold)), *expected, "{what}");
    }
    let mut withdrawn = old(Reason::Active);
    withdrawn.status.as_mut().unwrap().ended = Some(at(140));
    let list = listed(vec![withdrawn, new("new", 100)], held(OLD, "old"));
    assert_eq!(names(list), alone, "its withdrawal has begun");
}

// shows C3 C11
#[test]
fn within_one_subscription_the_service_before_is_active_until_the_switch_unless_the_device_has_to_ask()
 {
    let changed = |reason| {
        let revisions = vec![revision("old", 0, Some(100)), revision("new", 100, None)];
        subscription(OLD, revisions, reason)
    };
    for (what, reason, hold, expected) in [
        (
            "before the switch",
            Reason::ExclusiveGroupHeld,
            held(OLD, "old"),
            "Active",
        ),
        (
            "the new one cannot be used",
            Reason::UnsupportedByDevice,
            held(OLD, "old"),
            "Active",
        ),
        (
            "the device has to ask",
            Reason::WaitingForDevice,
            held(OLD, "old"),
            "Inactive",
        ),
        (
            "switched off",
            Reason::DisabledLocally,
            held(OLD, "old"),
            "Inactive",
        ),
        (
            "after the switch",
            Reason::Waiting,
            held(OLD, "new"),
            "Inactive",
        ),
    ] {
        let list = listed(vec![changed(reason)], hold);
        assert_eq!(list, [(OLD.to_owned(), expected.to_owned())], "{what}");
    }
}
