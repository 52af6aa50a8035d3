//! Tests of the status of a device: what it answered, what is wanted of it, and who it is.

use std::{collections::BTreeMap, sync::Arc};

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{DeviceStatus, SyncResult},
};
use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::pass_fixture::{
    Remote, Story, delivered, device_status, now, ready, run, says as subscription_says, snapshot,
};
use crate::{
    condition::find,
    delivery::{Action, Answer, Backoffs, Claimant, DeviceSnapshot, Pass, is_reconcile_requested},
    reasons::reason,
    remote::{Failure, FailureKind},
};

/// Returns the status of the device after a pass in which every reading of it fails so.
fn failing(snapshot: DeviceSnapshot, kind: FailureKind) -> DeviceStatus {
    let mut remote = Remote::new();
    let (pass, object) = run(snapshot, &mut remote, |action| match action {
        Action::ReadDevice { .. } => Some(Answer::DeviceRead {
            result: Err(Failure::new(kind, "so it said")),
            claimed_by_another: None,
        }),
        _ => None,
    });
    device_status(&pass, &object)
}

fn says(status: &DeviceStatus, type_: ConditionType) -> String {
    find(&status.conditions, type_).map_or_else(String::new, |found| {
        format!("{}({})", found.status, found.reason)
    })
}

// shows D1 K2 K3
#[test]
fn a_device_on_which_everything_works_says_so_in_every_condition_and_is_counted() {
    let (snapshot, _) = delivered();
    let status = snapshot.device.and_then(|it| it.status.clone());
    let status = status.expect("it was reported");
    for (type_, said) in [
        (ConditionType::Ready, "True(Succeeded)"),
        (ConditionType::Accepted, "True(Valid)"),
        (ConditionType::ResolvedRefs, "True(Resolved)"),
        (ConditionType::Online, "True(Answered)"),
        (ConditionType::SettingsApplied, "True(Succeeded)"),
    ] {
        assert_eq!(says(&status, type_), said);
    }
    let counts = status.subscriptions.expect("they are counted");
    assert_eq!(
        (counts.total, counts.delivered, counts.failing),
        (1, 1, None)
    );
    assert_eq!(counts.summary, "1/1");
    let sync = status.last_sync.expect("it was read");
    assert_eq!((sync.at, sync.result), (now(), SyncResult::Answered));
    let identity = status.identity.expect("it said who it is");
    assert_eq!(identity.id.as_deref(), Some("urn:uuid:1"));
    assert_eq!(identity.product_name.as_deref(), Some("Northwind MFP 500"));
    let claim = status.claim.expect("it has its machine");
    assert_eq!(claim.since, Some(now()));
}

// shows K2 K3
#[test]
fn every_failure_is_the_reason_of_online_and_says_whether_the_device_answered() {
    for kind in [
        FailureKind::Unreachable,
        FailureKind::TimedOut,
        FailureKind::TlsFailed,
        FailureKind::Unauthorized,
        FailureKind::Busy,
        FailureKind::ProtocolError,
        FailureKind::AddressNotAllowed,
    ] {
        let status = failing(snapshot(), kind);
        let said = format!("False({})", reason(kind).as_str());
        assert_eq!(says(&status, ConditionType::Online), said);
        assert!(says(&status, ConditionType::Ready).starts_with("False"));
        let counts = status.subscriptions.expect("they are counted");
        assert_eq!((counts.total, counts.delivered), (1, 0), "{kind:?}");
        let sync = status.last_sync.expect("it was tried");
        assert_eq!(sync.result, SyncResult::NoAnswer, "{kind:?}");
        assert_eq!(status.identity, None, "nobody said who it is");
    }
}

// shows K2
#[test]
fn a_device_that_falls_silent_keeps_who_it_is_and_whose_it_is() {
    let (mut before, _) = delivered();
    before.reconcile_requested = true;
    let known = before.device.as_ref().and_then(|it| it.status.clone());
    let known = known.expect("it was reported");
    let status = failing(before, FailureKind::Unreachable);
    assert_eq!(status.identity, known.identity);
    assert_eq!(status.claim, known.claim);
    assert_eq!(says(&status, ConditionType::Online), "False(Unreachable)");
}

// shows K2 K4
#[test]
fn a_delivered_device_whose_address_is_refused_says_that_it_was_not_dialled() {
    let (mut before, _) = delivered();
    before.reconcile_requested = true;
    let mut remote = Remote::new();
    let (pass, object) = run(before, &mut remote, |action| match action {
        Action::ReadDevice { .. } => Some(Answer::DeviceRead {
            result: Err(Failure::new(FailureKind::AddressNotAllowed, "so it said")),
            claimed_by_another: None,
        }),
        _ => None,
    });
    let status = device_status(&pass, &object);
    assert_eq!(says(&status, ConditionType::Stalled), "True(NotAllowed)");
    let online = find(&status.conditions, ConditionType::Online).expect("it is said");
    assert_eq!(online.message, "So it said; it was not dialled.");
    assert_eq!(ready(&pass, &object), "True(Delivered)", "the proof holds");
}

// shows K2 C14
#[test]
fn a_device_whose_model_lacks_a_setting_does_not_say_that_nothing_is_wanted() {
    let mut lacking = snapshot();
    let model = Arc::make_mut(lacking.model.as_mut().expect("a model"));
    model.spec.settings.retain(|it| it.name != "backup.mode");
    let name = lacking.subscriptions[0].name_any();
    let mut remote = Remote::new();
    let (pass, object) = run(lacking, &mut remote, |_| None);
    let status = device_status(&pass, &object);
    let applied = says(&status, ConditionType::SettingsApplied);
    assert_eq!(applied, "False(UnsupportedByModel)");
    let applied = find(&status.conditions, ConditionType::SettingsApplied);
    assert_eq!(
        applied.expect("it is said").message,
        format!(
            "The settings of {name} cannot be set: DeviceModel mfp-500 has no setting \
             backup.mode, which SmartService data-backup configures."
        )
    );
}

// shows K2
#[test]
fn a_device_that_misses_its_model_or_its_connection_says_which() {
    type Edit = fn(&mut DeviceSnapshot);
    let cases: [(Edit, &str); 2] = [
        (|it| it.model = None, "False(ModelNotFound)"),
        (
            |it| drop(it.connections.remove("hq-ipp")),
            "False(ConnectionNotFound)",
        ),
    ];
    for (edit, said) in cases {
        let mut broken = snapshot();
        edit(&mut broken);
        let mut remote = Remote::new();
        let (pass, object) = run(broken, &mut remote, |_| None);
        let status = device_status(&pass, &object);
        assert_eq!(says(&status, ConditionType::ResolvedRefs), said);
        assert_eq!(says(&status, ConditionType::Ready), said);
        assert_eq!(remote.count("WriteDevice"), 0);
    }
}

// shows K2 K4
#[test]
fn a_namespace_that_no_entry_allows_reaches_no_device_and_claims_none() {
    let mut stranger = snapshot();
    stranger.namespace_labels.clear();
    let mut remote = Remote::new();
    let (pass, object) = run(stranger, &mut remote, |_| None);
    let status = device_status(&pass, &object);
    assert_eq!(remote.count("ReadDevice"), 0);
    assert_eq!(status.claim, None);
    assert_eq!(says(&status, ConditionType::Ready), "False(NotAllowed)");
}

// shows K4
#[test]
fn a_machine_of_another_product_or_identity_is_refused_and_nothing_of_it_is_pinned() {
    let (mut before, _) = delivered();
    before.reconcile_requested = true;
    let known = before.device.as_ref().and_then(|it| it.status.clone());
    let pinned = known.and_then(|it| it.identity);
    for (product, identity) in [
        (Some("Southwind 9"), Some("urn:uuid:1")),
        (Some("Northwind MFP 500"), Some("urn:uuid:2")),
        (None, Some("urn:uuid:2")),
        (Some("Southwind 9"), None),
    ] {
        let mut remote = Remote::new();
        remote.reading.product_name = product.map(str::to_owned);
        remote.reading.identity = identity.map(str::to_owned);
        let (pass, object) = run(before.clone(), &mut remote, |_| None);
        let status = device_status(&pass, &object);
        let what = format!("{product:?} {identity:?}");
        let said = says(&status, ConditionType::Ready);
        assert_eq!(said, "False(IdentityMismatch)", "{what}");
        assert_eq!(remote.count("WriteDevice"), 0, "{what}");
        assert_eq!(status.identity, pinned, "{what}");
    }
}

// shows K2 K4
#[test]
fn a_device_that_shows_another_certificate_needs_a_person_and_is_not_only_silent() {
    let (mut before, _) = delivered();
    before.reconcile_requested = true;
    let status = failing(before, FailureKind::CertificateChanged);
    for (type_, said) in [
        (ConditionType::Ready, "False(CertificateChanged)"),
        (ConditionType::Stalled, "True(CertificateChanged)"),
        (ConditionType::SettingsApplied, "False(CertificateChanged)"),
        (ConditionType::Online, "False(CertificateChanged)"),
    ] {
        assert_eq!(says(&status, type_), said);
    }
}

// shows D1 K2 K4
#[test]
fn an_answer_without_what_the_device_is_known_by_is_no_usable_answer_and_no_other_machine() {
    let (mut before, remote) = delivered();
    before.reconcile_requested = true;
    let known = before.device.as_ref().and_then(|it| it.status.clone());
    let known = known.expect("it was reported");
    for (product, identity, lacks) in [
        (None, None, "the name of the product"),
        (None, Some("urn:uuid:1"), "the name of the product"),
        (Some("Northwind MFP 500"), None, "printer-uuid"),
    ] {
        let mut remote = Remote {
            parameters: remote.parameters.clone(),
            ..Remote::new()
        };
        remote.reading.product_name = product.map(str::to_owned);
        remote.reading.identity = identity.map(str::to_owned);
        let (pass, object) = run(before.clone(), &mut remote, |_| None);
        let status = device_status(&pass, &object);
        let online = find(&status.conditions, ConditionType::Online).expect("it is said");
        let said = format!("The answer lacks {lacks}, by which the device is known.");
        assert_eq!(
            (&*online.reason, &*online.message),
            ("ProtocolError", &*said)
        );
        assert_eq!(remote.count("WriteDevice"), 0, "{lacks}");
        assert_eq!(status.identity, known.identity, "{lacks}");
        assert_eq!(status.claim, known.claim, "{lacks}");
        let delivered = subscription_says(&pass, &object, ConditionType::Delivered);
        assert_eq!(delivered, "True(Delivered)", "nobody else was seen");
        assert!(pass.wake().is_some(), "it is asked again");
    }
}

// shows K2
#[test]
fn a_device_without_subscriptions_is_ready_and_wants_nothing() {
    let (mut before, remote) = delivered();
    before.subscriptions.clear();
    let mut pass = Pass::new(before.clone(), Backoffs::default(), now());
    while let Some(action) = pass.next(now()) {
        let Action::ReadDevice { .. } = action else {
            panic!("nothing is wanted, and it asks {action:?}");
        };
        let answer = Answer::DeviceRead {
            result: Ok(remote.reading.clone()),
            claimed_by_another: None,
        };
        pass.record(&action, answer, now(), 1.0);
    }
    pass.finish(now(), 1.0);
    let device = before.device.expect("a device");
    let (status, _) = pass.report_device(&device, &BTreeMap::new(), now());
    assert_eq!(says(&status, ConditionType::Ready), "True(NothingWanted)");
    let applied = says(&status, ConditionType::SettingsApplied);
    assert_eq!(applied, "True(NothingWanted)");
}

// shows D1
#[test]
fn a_wish_for_a_full_look_is_acted_on_once_and_repeated_in_the_status() {
    let (mut before, mut remote) = delivered();
    let device = Arc::make_mut(before.device.as_mut().expect("a device"));
    let wish = entente_crds::ANNOTATION_RECONCILE_AT.to_owned();
    device.metadata.annotations = Some([(wish, "monday".to_owned())].into());
    assert!(is_reconcile_requested(device));
    let older = now() - SignedDuration::from_mins(5);
    let last = device.status.as_mut().and_then(|it| it.last_sync.as_mut());
    last.expect("it was looked at").at = older;
    before.reconcile_requested = true;
    let (pass, object) = run(before.clone(), &mut remote, |_| None);
    assert_eq!(
        (remote.count("ReadDevice"), remote.count("ReadInstance")),
        (1, 1)
    );
    let status = device_status(&pass, &object);
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("monday"));
    let sync = status.last_sync.as_ref().expect("it was looked at");
    assert_eq!(sync.at, now(), "what was asked for shows, however fresh");
    let device = Arc::make_mut(before.device.as_mut().expect("a device"));
    device.status = Some(status);
    assert!(!is_reconcile_requested(device));
}

/// Returns the status of the device after the last pass of a story.
fn reported(story: &Story) -> DeviceStatus {
    let device = story.snapshot.device.as_ref().expect("a device");
    device.status.clone().expect("it was reported")
}

fn unreachable(action: &Action) -> Option<Answer> {
    let failure = || Failure::new(FailureKind::Unreachable, "no route");
    matches!(action, Action::ReadDevice { .. }).then(|| Answer::DeviceRead {
        result: Err(failure()),
        claimed_by_another: None,
    })
}

// shows K2 K3
#[test]
fn the_last_contact_is_written_when_its_result_changes_and_else_twice_a_period_at_most() {
    let hour = SignedDuration::from_hours(1);
    let mut story = Story::new();
    let mut last = |after, answers: bool| {
        story.pass(
            after,
            |action| if answers { None } else { unreachable(action) },
        );
        let sync = reported(&story).last_sync.expect("it was tried");
        (sync.at.duration_since(now()), sync.result)
    };
    let none = SignedDuration::ZERO;
    let (answered, silent) = (SyncResult::Answered, SyncResult::NoAnswer);
    assert_eq!(last(none, true), (none, answered));
    assert_eq!(last(hour, true), (none, answered), "it is fresh");
    assert_eq!(last(hour * 2, false), (hour * 2, silent), "it is news");
    assert_eq!(last(hour * 3, false), (hour * 2, silent));
    assert_eq!(last(hour * 4, true), (hour * 4, answered));
    assert_eq!(last(hour * 30, true), (hour * 30, answered));
}

// shows D1 K2
#[test]
fn a_setting_that_is_refused_is_said_at_the_device_with_the_subscription_that_waits() {
    let mut story = Story::new();
    story.pass(SignedDuration::ZERO, |action| match action {
        Action::WriteDevice { .. } => {
            let failure = Failure::new(FailureKind::RejectedValue, "so it said");
            Some(Answer::DeviceWritten(Err(failure)))
        }
        _ => None,
    });
    let status = reported(&story);
    for (type_, said) in [
        (ConditionType::Online, "True(Answered)"),
        (ConditionType::SettingsApplied, "False(RejectedValue)"),
        (ConditionType::Ready, "False(RejectedValue)"),
    ] {
        assert_eq!(says(&status, type_), said);
    }
    let ready = find(&status.conditions, ConditionType::Ready).expect("it is said");
    let name = story.snapshot.subscriptions[0].metadata.name.as_ref();
    let name = name.expect("a name");
    assert!(ready.message.contains(name), "{}", ready.message);
    assert!(ready.message.contains("so it said"), "{}", ready.message);
}

// shows K4
#[test]
fn a_device_whose_machine_another_one_has_says_so_and_keeps_no_pins_of_it() {
    let mut story = Story::new();
    let reading = story.remote.reading.clone();
    story.pass(SignedDuration::ZERO, |action| match action {
        Action::ReadDevice { .. } => Some(Answer::DeviceRead {
            result: Ok(reading.clone()),
            claimed_by_another: Some(Claimant::AnotherNamespace),
        }),
        _ => None,
    });
    let status = reported(&story);
    for type_ in [ConditionType::Ready, ConditionType::Accepted] {
        assert_eq!(says(&status, type_), "False(AlreadyClaimed)");
    }
    assert_eq!(status.identity, None);
    let since = status.claim.map(|it| it.since);
    assert_eq!(since, Some(None), "it waits for the machine");
    assert_eq!(story.remote.count("WriteDevice"), 0);
}

// shows K2
#[test]
fn a_zone_that_does_not_exist_is_refused_at_the_device_and_services_without_it_go_on() {
    let mut story = Story::new();
    story.edit_device(|it| it.spec.time_zone = Some("Asia/Tokio".to_owned()));
    story.pass(SignedDuration::ZERO, |_| None);
    let status = reported(&story);
    for type_ in [ConditionType::Ready, ConditionType::Accepted] {
        assert_eq!(says(&status, type_), "False(UnknownZone)");
    }
    let accepted = find(&status.conditions, ConditionType::Accepted).expect("it is said");
    let expected = "Spec.timeZone: time zone \"Asia/Tokio\" is unknown: must be a name of the time \
                    zone database such as \"America/Sao_Paulo\" or \"UTC\".";
    assert!(
        accepted.message.eq_ignore_ascii_case(expected),
        "{}",
        accepted.message
    );
    assert_ne!(story.remote.count("WriteDevice"), 0);
}

// shows K2
#[test]
fn a_device_that_is_suspended_is_ready_and_says_why_nothing_is_done() {
    let mut story = Story::new();
    story.edit_device(|it| it.spec.suspend = true);
    story.pass(SignedDuration::ZERO, |_| None);
    let status = reported(&story);
    assert_eq!(says(&status, ConditionType::Ready), "True(Suspended)");
    let counts = status.subscriptions.expect("they are counted");
    assert_eq!(counts.summary, "0/0", "none is in force");
    assert_eq!(story.remote.count("WriteDevice"), 0);
}
