//! Tests of a Device's claim after a pass, and of the readings for it.

use std::collections::BTreeMap;

use entente_crds::{
    ANNOTATION_RECONCILE_AT,
    condition::{ConditionType, Reason},
    v1alpha1::{Connection, Device, DeviceConnection, DeviceModel, DeviceModelSpec, DeviceStatus},
};
use jiff::Timestamp;

use super::endpoint::{self, device_mut, lobby};
use crate::{
    condition::find,
    delivery::{
        Action, Backoffs, Claimant, DeviceSnapshot, Observations, plan::plan,
        report::device::report_device, resolve::resolve, verify::verify,
    },
    remote::{DeviceReading, Failure, FailureKind},
};

const PRODUCT: &str = "Northwind MFP 500";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// Returns a Device, the Connection that allows its address, and its model.
fn snapshot() -> DeviceSnapshot {
    let model = DeviceModelSpec {
        product_names: vec![PRODUCT.to_owned()],
        ..DeviceModelSpec::default()
    };
    DeviceSnapshot {
        model: Some(DeviceModel::new("mfp-500", model).into()),
        ..endpoint::snapshot(
            "ipp://{address}/",
            &[],
            Some("10.0.0.1"),
            DeviceConnection::default(),
        )
    }
}

fn answered(identity: &str) -> Observations {
    let mut observations = Observations::default();
    let reading = DeviceReading {
        product_name: Some(PRODUCT.to_owned()),
        identity: Some(identity.to_owned()),
        ..DeviceReading::default()
    };
    observations.record_device(&"hq".into(), Ok(reading), at(0));
    observations
}

/// Returns the reports of an object at the end of a pass over the snapshot.
fn said_of(
    snapshot: &DeviceSnapshot,
    object: &Device,
    observations: &Observations,
    now: i64,
) -> DeviceStatus {
    let resolved = resolve(snapshot, at(now));
    let (none, nobody) = (BTreeMap::new(), BTreeMap::new());
    report_device(
        snapshot,
        object,
        &resolved,
        &none,
        &nobody,
        observations,
        at(now),
    )
    .0
}

/// Makes a pass over the snapshot, and keeps its status there.
fn pass(snapshot: &mut DeviceSnapshot, observations: &Observations, now: i64) -> DeviceStatus {
    let object = snapshot.device.clone().expect("there is one");
    let status = said_of(snapshot, &object, observations, now);
    device_mut(snapshot).status = Some(status.clone());
    status
}

fn reads(snapshot: &DeviceSnapshot) -> bool {
    let resolved = resolve(snapshot, at(9));
    let observations = Observations::default();
    let verified = verify(snapshot, &resolved, &observations, at(9));
    let plan = plan(
        snapshot,
        &resolved,
        &verified,
        &observations,
        &Backoffs::default(),
        at(9),
    );
    let mut actions = plan.actions.iter();
    actions.any(|action| matches!(action, Action::ReadDevice { .. }))
}

fn since(status: &DeviceStatus) -> Option<Timestamp> {
    status.claim.as_ref()?.since
}

// shows K4
#[test]
fn a_claim_begins_with_proof_and_stays_until_the_device_means_another_place() {
    let mut snapshot = snapshot();
    let named = pass(&mut snapshot, &Observations::default(), 1);
    assert_eq!(since(&named), None, "it was not asked");
    assert_eq!(
        since(&pass(&mut snapshot, &answered("urn:1"), 2)),
        Some(at(2))
    );
    assert!(
        !reads(&snapshot),
        "what is proved is not read again at once"
    );
    assert_eq!(
        since(&pass(&mut snapshot, &answered("urn:1"), 3)),
        Some(at(2))
    );
    assert_eq!(
        since(&pass(&mut snapshot, &Observations::default(), 4)),
        Some(at(2))
    );
    let stranger = pass(&mut snapshot, &answered("urn:9"), 5);
    assert_eq!(since(&stranger), Some(at(2)), "a stranger takes nothing");

    device_mut(&mut snapshot).spec.address = Some("10.0.0.2".to_owned());
    assert_eq!(
        since(&pass(&mut snapshot, &Observations::default(), 6)),
        None
    );
    assert!(reads(&snapshot), "the machine there is asked who it is");
    assert_eq!(
        since(&pass(&mut snapshot, &answered("urn:1"), 7)),
        Some(at(7))
    );
}

// shows K4
#[test]
fn who_is_not_let_to_a_machine_any_more_has_no_claim_and_begins_anew() {
    let mut snapshot = snapshot();
    pass(&mut snapshot, &answered("urn:1"), 1);
    let labels = std::mem::take(&mut snapshot.namespace_labels);
    assert_eq!(pass(&mut snapshot, &Observations::default(), 2).claim, None);
    snapshot.namespace_labels = labels;
    assert!(reads(&snapshot));
    assert_eq!(
        since(&pass(&mut snapshot, &answered("urn:1"), 3)),
        Some(at(3))
    );
}

// shows K4
#[test]
fn the_machine_of_another_device_is_remembered_and_not_pinned() {
    let mut snapshot = snapshot();
    let claimed = &mut snapshot.claimed_by_another;
    claimed.insert("hq".into(), Claimant::AnotherNamespace);
    let loser = pass(&mut snapshot, &answered("urn:1"), 1);
    assert_eq!(
        loser.identity, None,
        "a person who corrects the address means another machine"
    );
    let claim = loser.claim.unwrap();
    assert_eq!(
        (claim.since, claim.identity.as_deref()),
        (None, Some("urn:1"))
    );
    assert!(!reads(&snapshot));

    snapshot.claimed_by_another.clear();
    assert!(reads(&snapshot), "it takes over by proof");
    let winner = pass(&mut snapshot, &answered("urn:1"), 2);
    assert_eq!(since(&winner), Some(at(2)));
    assert_eq!(winner.identity.unwrap().id.as_deref(), Some("urn:1"));
}

/// Returns status and reason of the condition Online.
fn online(status: &DeviceStatus) -> String {
    let found = find(&status.conditions, ConditionType::Online).expect("it is said");
    format!("{}({})", found.status, found.reason)
}

fn claim_by_another(snapshot: &mut DeviceSnapshot) {
    let claimed = &mut snapshot.claimed_by_another;
    claimed.insert("hq".into(), Claimant::AnotherNamespace);
}

// shows K4
#[test]
fn an_endpoint_that_another_device_has_proved_is_never_asked() {
    let mut snapshot = snapshot();
    claim_by_another(&mut snapshot);
    assert!(reads(&snapshot), "only an answer tells what is there");
    snapshot.proved_by_others.insert("hq".into());
    assert!(!reads(&snapshot), "the place is the other's");
    let status = pass(&mut snapshot, &Observations::default(), 1);
    assert_eq!(online(&status), "Unknown(AlreadyClaimed)");
    snapshot.reconcile_requested = true;
    assert!(!reads(&snapshot), "whoever asks for it");

    snapshot.proved_by_others.clear();
    snapshot.claimed_by_another.clear();
    snapshot.reconcile_requested = false;
    assert!(reads(&snapshot), "it takes over by proof");
    let free = pass(&mut snapshot, &Observations::default(), 2);
    assert_eq!(online(&free), "Unknown(NeverSeen)", "until it is asked");
}

// shows K4
#[test]
fn a_device_whose_machine_another_has_is_not_asked_before_the_sync_period_is_over() {
    let mut snapshot = snapshot();
    let mut silent = Observations::default();
    let failure = Failure::new(FailureKind::TimedOut, "no answer".to_owned());
    silent.record_device(&"hq".into(), Err(failure), at(1));
    pass(&mut snapshot, &silent, 1);
    assert!(reads(&snapshot), "it is its own");
    claim_by_another(&mut snapshot);
    assert!(!reads(&snapshot));
    snapshot.reconcile_requested = true;
    assert!(reads(&snapshot), "a person asks for it");
}

// shows K4
#[test]
fn a_wish_for_a_look_at_the_machine_of_another_device_is_answered_without_one() {
    let mut snapshot = snapshot();
    claim_by_another(&mut snapshot);
    snapshot.proved_by_others.insert("hq".into());
    let wish = (ANNOTATION_RECONCILE_AT.to_owned(), "now".to_owned());
    device_mut(&mut snapshot).metadata.annotations = Some([wish].into());
    let nobody = Observations::default();
    let status = pass(&mut snapshot, &nobody, 1);
    let handled = status.last_handled_reconcile_at;
    assert_eq!(handled.as_deref(), Some("now"));
    assert_eq!(status.last_sync, None, "nobody looked");

    // Who is not let there is not told of the other Device.
    device_mut(&mut snapshot).status = None;
    snapshot.namespace_labels.clear();
    let refused = pass(&mut snapshot, &nobody, 2);
    assert_eq!(refused.last_handled_reconcile_at, None);
    assert_eq!(online(&refused), "Unknown(NeverSeen)");
}

// shows K4
#[test]
fn an_answer_proves_nothing_for_an_object_that_was_edited_meanwhile() {
    let snapshot = snapshot();
    let edited = lobby(Some("10.0.0.2"), DeviceConnection::default());
    let status = said_of(&snapshot, &edited, &answered("urn:1"), 1);
    assert_eq!(since(&status), None);
    assert_eq!(status.identity, None);
}

// shows K4
#[test]
fn a_device_that_its_connection_refuses_is_not_told_of_another() {
    let mut snapshot = snapshot();
    let claimed = &mut snapshot.claimed_by_another;
    claimed.insert("hq".into(), Claimant::AnotherNamespace);
    snapshot.namespace_labels.clear();
    let status = pass(&mut snapshot, &Observations::default(), 1);
    let ready = find(&status.conditions, ConditionType::Ready).unwrap();
    assert_eq!(ready.reason, Reason::NotAllowed.as_str());
}

// shows K4
#[test]
fn a_system_that_does_not_say_its_product_is_believed_beside_a_printer_that_does() {
    let system = |snapshot: &mut DeviceSnapshot| {
        let hq = snapshot.connections["hq"].clone();
        let mut spec = hq.spec.clone();
        spec.ipp.as_mut().unwrap().url = "ipp://{address}/ipp/system".to_owned();
        let host = Connection::new("host", spec);
        snapshot.connections.insert("host".into(), host.into());
        device_mut(snapshot)
            .spec
            .connections
            .push(DeviceConnection {
                name: "host".to_owned(),
                ..DeviceConnection::default()
            });
    };
    let nameless = || DeviceReading {
        identity: Some("urn:host".to_owned()),
        ..DeviceReading::default()
    };
    let ready = |status: &DeviceStatus| {
        let found = find(&status.conditions, ConditionType::Ready).unwrap();
        found.reason.clone()
    };
    let mut alone = snapshot();
    system(&mut alone);
    let mut only_host = Observations::default();
    only_host.record_device(&"host".into(), Ok(nameless()), at(0));
    let stranger = pass(&mut alone, &only_host, 1);
    let fault = stranger.connections[0].fault.as_ref();
    assert_eq!(fault.map(|it| it.reason), Some(Reason::ProtocolError));
    assert_eq!(stranger.identity, None, "nothing is pinned of a stranger");

    let mut both = answered("urn:1");
    both.record_device(&"host".into(), Ok(nameless()), at(0));
    let known = pass(&mut alone, &both, 2);
    assert_eq!(ready(&known), "NothingWanted");
    let host = known.connections.iter().find(|it| it.name == "host");
    assert_eq!(host.unwrap().identity.as_deref(), Some("urn:host"));

    // From now on another host is a stranger, whatever the printer reports.
    let mut moved = answered("urn:1");
    let other = DeviceReading {
        identity: Some("urn:other".to_owned()),
        ..DeviceReading::default()
    };
    moved.record_device(&"host".into(), Ok(other), at(0));
    assert_eq!(ready(&pass(&mut alone, &moved, 3)), "IdentityMismatch");
}

// shows K4
#[test]
fn a_claim_whose_identity_has_another_spelling_keeps_its_age() {
    let uuid = "4509a320-00a0-008f-00b6-00559a327d32";
    let mut snapshot = snapshot();
    pass(&mut snapshot, &answered(uuid), 1);
    let status = device_mut(&mut snapshot).status.as_mut().expect("reported");
    let claim = status.claim.as_mut().expect("it has its machine");
    claim.identity = Some(uuid.to_uppercase().into());
    let identity = status.identity.as_mut().expect("it was seen");
    identity.id = Some(format!("{{{uuid}}}").into());
    let spelled = answered(&format!("urn:uuid:{uuid}"));
    assert_eq!(since(&pass(&mut snapshot, &spelled, 2)), Some(at(1)));
}
