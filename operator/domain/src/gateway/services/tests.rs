use entente_crds::v1alpha1::{
    Condition, DeviceCapabilities, DeviceSide, LocalEnablement, NameReference, ServiceApplication,
    ServiceModel, ServiceSubscriptionSpec, ServiceSubscriptionStatus, SmartServiceSpec,
    SubscriptionActivation,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn revision(effective: &str, until: Option<&str>) -> Arc<Revision> {
    Arc::new(Revision {
        effective: at(effective),
        until: until.map(at),
        promised: true,
        service_ref: NameReference {
            name: "toner".to_owned(),
        },
        ..Revision::default()
    })
}

fn subscription(
    name: &str,
    revisions: Vec<Arc<Revision>>,
    delivered: bool,
) -> Arc<ServiceSubscription> {
    let mut spec = ServiceSubscriptionSpec {
        revisions,
        time_zone: "Asia/Tokyo".to_owned(),
        ..ServiceSubscriptionSpec::default()
    };
    spec.contract.created = at("2027-02-28T20:00:00Z");
    let mut subscription = ServiceSubscription::new(name, spec);
    let condition = Condition {
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        message: "".into(),
        observed_generation: None,
        reason: "Delivered".to_owned(),
        status: if delivered { "True" } else { "False" }.to_owned(),
        type_: "Delivered".to_owned(),
    };
    subscription.status = Some(ServiceSubscriptionStatus {
        conditions: vec![condition],
        ..ServiceSubscriptionStatus::default()
    });
    Arc::new(subscription)
}

fn smart(name: &str) -> Option<Arc<SmartService>> {
    let spec = SmartServiceSpec {
        provider: "Northwind".to_owned(),
        description: Some("Toner is sent".to_owned()),
        ..SmartServiceSpec::default()
    };
    (name == "toner").then(|| Arc::new(SmartService::new(name, spec)))
}

fn listed(subscriptions: &[Arc<ServiceSubscription>], now: &str) -> Value {
    let device = DeviceFacts::default();
    Services::of(subscriptions, (smart, &device), at(now)).body("PT24H")["services"].clone()
}

const START: &str = "2027-03-31T15:00:00Z";
const END: &str = "2027-09-30T15:00:00Z";

// shows C3
#[test]
fn the_state_follows_from_dates_and_proof_and_a_cancelled_one_has_no_application_id() {
    let revisions = || vec![revision(START, Some(END))];
    let proved = subscription("acme.toner.mfp", revisions(), true);
    let missing = subscription("acme.toner.mfp", revisions(), false);
    for (one, now, state, id) in [
        (&missing, "2027-03-01T00:00:00Z", "Scheduled", true),
        (&proved, "2027-03-31T14:59:59Z", "Scheduled", true),
        (&missing, START, "Inactive", true),
        (&proved, START, "Active", true),
        (&proved, "2027-09-30T14:59:59Z", "Active", true),
        (&proved, END, "Cancelled", false),
        (&proved, "2027-10-30T14:59:59Z", "Cancelled", false),
    ] {
        let listed = listed(std::slice::from_ref(one), now);
        assert_eq!(listed[0]["state"], state, "{now}");
        assert_eq!(listed[0]["applicationId"].is_string(), id, "{now}");
        assert_eq!(listed[0]["serviceId"], "toner");
    }
    assert_eq!(listed(&[proved], "2027-10-30T15:00:00Z"), json!([]));
}

// shows C3 C6
#[test]
fn the_state_of_a_service_in_force_is_that_of_its_activation() {
    for (state, told) in [
        (ActivationState::Inactive, "Inactive"),
        (ActivationState::Pending, "Pending"),
        (ActivationState::Active, "Active"),
    ] {
        let mut one = (*subscription("a.b.c", vec![revision(START, Some(END))], true)).clone();
        one.status.as_mut().unwrap().activation = Some(SubscriptionActivation {
            state,
            since: at(START),
        });
        assert_eq!(state_of(&one, at(START)), told);
        assert_eq!(state_of(&one, at(END)), "Cancelled");
        assert_eq!(listed(&[Arc::new(one)], START)[0]["state"], told);
    }
}

// shows C3
#[test]
fn a_service_says_what_it_needs_of_the_model_of_the_device_and_which_legs_are_missing() {
    let mut one = (*subscription("a.b.c", vec![revision(START, None)], false)).clone();
    let conditions = &mut one.status.as_mut().unwrap().conditions;
    conditions[0].type_ = "Activated".to_owned();
    conditions[0].reason = "DisabledLocally".to_owned();
    let application = |name: &str, version: &str| ServiceApplication {
        name: name.to_owned(),
        version: version.to_owned(),
    };
    let needs = |name: &str| {
        let model = |model: &str, version: &str| ServiceModel {
            name: model.to_owned(),
            minimum_firmware: None,
            applications: vec![application("agent", version)],
        };
        let mut found = smart(name)?;
        Arc::make_mut(&mut found).spec.device = Some(DeviceSide {
            models: vec![model("mfp-500", "2.1"), model("mfp-700", "3.0")],
            supplies: vec!["TN-500K".to_owned()],
            ..DeviceSide::default()
        });
        Some(found)
    };
    let of = |device: &DeviceFacts<'_>| {
        let services = Services::of(&[Arc::new(one.clone())], (needs, device), at(START));
        services.body("PT1H")["services"][0].clone()
    };
    let model = DeviceFacts {
        model: Some("mfp-700"),
        ..DeviceFacts::default()
    };
    let found = of(&model);
    assert_eq!(found["missing"], json!(["DisabledLocally"]));
    assert_eq!(found["requires"]["supplies"], json!(["TN-500K"]));
    let software = json!([{"name": "agent", "minimumVersion": "3.0"}]);
    assert_eq!(found["requires"]["software"], software);
    let none = of(&DeviceFacts::default());
    assert_eq!(none["requires"]["software"], json!([]));
}

// shows C5
#[test]
fn every_leg_that_is_missing_is_listed_and_not_only_the_first() {
    let needs = |name: &str| {
        let mut found = smart(name)?;
        Arc::make_mut(&mut found).spec.device = Some(DeviceSide {
            supplies: vec!["TN-500K".to_owned()],
            ..DeviceSide::default()
        });
        Some(found)
    };
    let mut one = (*subscription("a.b.c", vec![revision(START, None)], false)).clone();
    let conditions = &mut one.status.as_mut().unwrap().conditions;
    conditions[0].type_ = "Activated".to_owned();
    conditions[0].reason = "NotInForce".to_owned();
    let capabilities = DeviceCapabilities {
        supplies: Some(Vec::new()),
        ..DeviceCapabilities::default()
    };
    let switch = |service: &str, enabled| LocalEnablement {
        service: service.to_owned(),
        enabled,
        ..LocalEnablement::default()
    };
    let missing = |switches: &[LocalEnablement]| {
        let device = DeviceFacts {
            capabilities: Some(&capabilities),
            switches,
            ..DeviceFacts::default()
        };
        let one = [Arc::new(one.clone())];
        let services = Services::of(&one, (needs, &device), at(START));
        services.body("PT1H")["services"][0]["missing"].clone()
    };
    assert_eq!(
        missing(&[switch("toner", false)]),
        json!(["NotInForce", "DisabledLocally", "UnsupportedByDevice"])
    );
    assert_eq!(
        missing(&[switch("toner", true), switch("backup", false)]),
        json!(["NotInForce", "UnsupportedByDevice"])
    );
}

// shows C3
#[test]
fn a_service_is_described_in_the_time_zone_of_its_contract() {
    let subscriptions = [subscription(
        "acme.toner.mfp",
        vec![revision(START, None)],
        true,
    )];
    let expected = json!([{
        "applicationId": "acme.toner.mfp", "serviceId": "toner", "provider": "Northwind",
        "description": "Toner is sent", "appliedOn": "2027-03-01",
        "from": "2027-04-01T00:00:00+09:00", "until": null, "state": "Active",
        "activation": "ByOperator", "missing": [],
        "requires": {"supplies": [], "software": [], "dataTypes": []},
    }]);
    assert_eq!(listed(&subscriptions, START), expected);
}

#[test]
fn revisions_without_a_gap_are_one_service_and_one_after_a_gap_is_scheduled() {
    let middle = "2027-06-30T15:00:00Z";
    let changed = vec![revision(START, None), revision(middle, Some(END))];
    let list = listed(
        &[subscription("a.b.c", changed, true)],
        "2027-07-01T00:00:00Z",
    );
    assert_eq!(list[0]["from"], "2027-04-01T00:00:00+09:00");
    assert_eq!(list[0]["until"], "2027-10-01T00:00:00+09:00");
    let gap = vec![revision(START, Some(middle)), revision(END, None)];
    let list = listed(&[subscription("a.b.c", gap, true)], "2027-07-01T00:00:00Z");
    assert_eq!(list[0]["state"], "Scheduled");
    assert_eq!(list[0]["from"], "2027-10-01T00:00:00+09:00");
}

#[test]
fn one_that_was_withdrawn_or_is_being_deleted_is_cancelled_from_then_on() {
    let mut ended = (*subscription("a.b.c", vec![revision(START, None)], true)).clone();
    ended.status.as_mut().unwrap().ended = Some(at("2027-05-01T00:00:00Z"));
    let list = listed(&[Arc::new(ended.clone())], "2027-05-02T00:00:00Z");
    assert_eq!(
        (&list[0]["state"], &list[0]["applicationId"]),
        (&json!("Cancelled"), &Value::Null)
    );
    ended.status = None;
    ended.metadata.deletion_timestamp = Some(Time(at("2027-05-01T00:00:00Z")));
    let list = listed(&[Arc::new(ended)], "2027-05-02T00:00:00Z");
    assert_eq!(list[0]["state"], "Cancelled");
}

// shows C9
#[test]
fn the_tag_changes_with_the_list_and_the_next_change_is_known() {
    let one = [subscription(
        "a.b.c",
        vec![revision(START, Some(END))],
        true,
    )];
    let device = DeviceFacts::default();
    let of = |now: &str| Services::of(&one, (smart, &device), at(now));
    let before = of("2027-03-01T00:00:00Z");
    assert_eq!(before.changes, Some(at(START)));
    assert_eq!(before.etag(), of("2027-03-02T00:00:00Z").etag());
    let begun = of(START);
    assert_ne!(before.etag(), begun.etag());
    assert_eq!(begun.changes, Some(at(END)));
    assert_eq!(of(END).changes, Some(at("2027-10-30T15:00:00Z")));
    let over = of("2027-10-30T15:00:00Z");
    assert_eq!(
        (over.changes, over.body("PT1H")["services"].clone()),
        (None, json!([]))
    );
    let tag = over.etag();
    assert!(tag.len() == 34 && tag.starts_with('"'), "{tag}");
}

#[test]
fn services_are_ordered_by_their_ids_and_one_without_a_smart_service_is_listed_too() {
    let named = |name: &str| subscription(name, vec![revision(START, None)], true);
    let list = listed(&[named("b.b.c"), named("a.b.c")], START);
    assert_eq!(list[0]["applicationId"], "a.b.c");
    let device = DeviceFacts::default();
    let none = Services::of(&[named("a.b.c")], (|_: &str| None, &device), at(START));
    assert_eq!(none.body("PT1H")["services"][0]["provider"], "");
}
