//! Tests of a withdrawal by single answers: nothing is left on a server without a record of it.

use std::sync::Arc;

use entente_crds::v1alpha1::DeletionPolicy;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pass_fixture::{Remote, delivered, now, ready, run, snapshot, status};
use crate::{
    delivery::{Action, Answer, DeviceSnapshot, instance_id},
    remote::{Failure, FailureKind, InstanceReading, ServerAnswer},
};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Returns the delivered snapshot after its subscription was deleted so long ago, and remote sides.
fn deleted(ago: SignedDuration) -> (DeviceSnapshot, Remote) {
    let (mut snapshot, remote) = delivered();
    snapshot.withdraw_deadline = DAY;
    let object = Arc::make_mut(&mut snapshot.subscriptions[0]);
    object.metadata.deletion_timestamp = Some(Time(now() - ago));
    (snapshot, remote)
}

/// Runs a pass over a deletion; true if the finalizer may go then.
fn withdrawn(
    snapshot: DeviceSnapshot,
    remote: &mut Remote,
    meddle: impl FnMut(&Action) -> Option<Answer>,
) -> (bool, String, bool) {
    let (pass, object) = run(snapshot, remote, meddle);
    let report = pass
        .report_subscription(&object, now())
        .expect("it is ours");
    let orphaned = status(&pass, &object)
        .server
        .is_some_and(|it| it.orphaned.is_some());
    (report.finalizer_may_go, ready(&pass, &object), orphaned)
}

// shows C10
#[test]
fn a_service_is_turned_off_removed_and_proved_gone_before_its_record_is_forgotten() {
    let (snapshot, mut remote) = deleted(SignedDuration::ZERO);
    let (gone, _, orphaned) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(gone && !orphaned);
    assert_eq!(remote.parameters, None);
    let order = ["Update", "Deprovision"].map(|action| {
        let position = remote.asked.iter().position(|asked| asked == action);
        position.unwrap_or_else(|| panic!("no {action} in {:?}", remote.asked))
    });
    assert!(order[0] < order[1], "{:?}", remote.asked);
    let last_read = remote
        .asked
        .iter()
        .rposition(|asked| asked == "ReadInstance");
    assert!(last_read > Some(order[1]), "proved: {:?}", remote.asked);
    let first_write = remote.asked.iter().position(|asked| asked == "WriteDevice");
    assert!(first_write > last_read, "off first: {:?}", remote.asked);
    let left: Vec<_> = remote.reading.values.values().collect();
    let first = Remote::new().reading.values;
    assert_eq!(left, first.values().collect::<Vec<_>>(), "as before");
}

// shows C10
#[test]
fn what_is_gone_already_is_removed_all_the_same() {
    // It may also be on its way: a broker says 404 of what it is still making.
    let (snapshot, mut remote) = deleted(SignedDuration::ZERO);
    remote.parameters = None;
    let (gone, ..) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(gone);
    assert_eq!(remote.count("Deprovision"), 1);
    assert_eq!(remote.count("Update"), 0, "there is nothing to turn off");
}

// shows C10
#[test]
fn what_was_never_sent_or_is_to_be_kept_is_let_go_without_a_request() {
    let (mut snapshot, mut remote) = deleted(SignedDuration::ZERO);
    let object = Arc::make_mut(&mut snapshot.subscriptions[0]);
    object.spec.contract.deletion_policy = DeletionPolicy::Keep;
    let (gone, ..) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(gone);
    let asked = ["Update", "Deprovision"].map(|action| remote.count(action));
    assert_eq!(asked, [0, 0]);
    assert!(remote.parameters.is_some(), "it is kept");
    // Its record was written, and the server was never asked to make it.
    let (mut snapshot, mut remote) = deleted(SignedDuration::ZERO);
    let object = Arc::make_mut(&mut snapshot.subscriptions[0]);
    let recorded = object.status.as_mut().and_then(|it| it.server.as_mut());
    recorded.expect("an instance").sent_digest = None;
    let (gone, _, orphaned) = withdrawn(snapshot, &mut remote, |action| {
        assert!(!matches!(action, Action::ReadInstance { .. }));
        None
    });
    assert!(gone && !orphaned);
    assert_eq!(remote.count("Deprovision"), 0);
}

// shows C10 K2
#[test]
fn a_server_that_does_not_remove_it_keeps_the_finalizer_until_the_deadline() {
    for kind in [
        FailureKind::Unreachable,
        FailureKind::TimedOut,
        FailureKind::Busy,
        FailureKind::Concurrent,
        FailureKind::Unauthorized,
        FailureKind::ProtocolError,
        // There is no value in it that a person would have to change.
        FailureKind::RejectedValue,
        FailureKind::Unsupported,
        FailureKind::Conflict,
    ] {
        let refuse = |action: &Action| match action {
            Action::Deprovision { .. } => {
                Some(Answer::Server(Err(Failure::new(kind, "so it said"))))
            }
            _ => None,
        };
        let (snapshot, mut remote) = deleted(DAY / 2);
        let (pass, object) = run(snapshot, &mut remote, refuse);
        let report = pass.report_subscription(&object, now());
        let report = report.expect("it is ours");
        assert!(!report.finalizer_may_go, "{kind:?}");
        assert_eq!(report.status.server.and_then(|it| it.orphaned), None);
        let said = ready(&pass, &object);
        assert!(said.starts_with("False"), "{kind:?} {said}");
        assert_eq!(remote.count("Deprovision"), 1, "{kind:?}");
        assert!(pass.wake().is_some(), "{kind:?}: it is tried again");
    }
}

// shows C10
#[test]
fn a_withdrawal_needs_no_catalog() {
    let (mut snapshot, mut remote) = deleted(SignedDuration::ZERO);
    snapshot.catalogs.clear();
    let (gone, ..) = withdrawn(snapshot, &mut remote, |action| match action {
        Action::ReadCatalog { .. } => {
            let failure = Failure::new(FailureKind::ProtocolError, "no catalog");
            Some(Answer::Catalog(Err(failure)))
        }
        _ => None,
    });
    assert!(gone);
    assert_eq!(remote.parameters, None);
}

// shows C10
#[test]
fn a_withdrawal_needs_no_fetch_and_tries_once_to_turn_off_what_was_on() {
    for (kind, updates, refused) in [
        (FailureKind::ProtocolError, 1, false),
        (FailureKind::ProtocolError, 1, true),
        (FailureKind::TimedOut, 1, false),
        (FailureKind::Unauthorized, 1, false),
    ] {
        let (snapshot, mut remote) = deleted(SignedDuration::ZERO);
        let (gone, ..) = withdrawn(snapshot, &mut remote, |action| match action {
            Action::ReadInstance { .. } => {
                Some(Answer::Instance(Err(Failure::new(kind, "no fetch"))))
            }
            Action::Update { .. } if refused => {
                Some(Answer::Server(Err(Failure::new(kind, "no update"))))
            }
            _ => None,
        });
        assert!(gone, "{kind:?} {refused}");
        let asked = ["Update", "Deprovision"].map(|action| remote.count(action));
        assert_eq!(asked, [updates, 1], "{kind:?} {refused}");
    }
}

// shows C10 K2
#[test]
fn a_server_that_nothing_reaches_is_not_asked_for_more() {
    for kind in [FailureKind::Unreachable, FailureKind::Busy] {
        let (snapshot, mut remote) = deleted(SignedDuration::ZERO);
        let (pass, _) = run(snapshot, &mut remote, |action| match action {
            Action::ReadInstance { .. } => {
                Some(Answer::Instance(Err(Failure::new(kind, "no answer"))))
            }
            _ => None,
        });
        let asked = ["Update", "Deprovision"].map(|action| remote.count(action));
        assert_eq!(asked, [0, 0], "{kind:?}");
        assert!(pass.wake().is_some(), "{kind:?}");
    }
}

// shows C10 D2
#[test]
fn an_instance_that_the_server_does_not_know_is_gone_if_a_fetch_says_so_too() {
    let absent = InstanceReading::Absent;
    let unknown = Failure::new(FailureKind::ProtocolError, "500");
    for (second, expected) in [
        (Ok(absent), true),
        (Ok(InstanceReading::NotRetrievable), false),
        (Err(unknown), false),
    ] {
        let (snapshot, mut remote) = deleted(SignedDuration::ZERO);
        let mut denied = false;
        let (pass, object) = run(snapshot, &mut remote, |action| match action {
            Action::Deprovision { .. } => {
                denied = true;
                Some(Answer::Server(Ok(ServerAnswer::Absent {
                    message: "404".to_owned(),
                })))
            }
            Action::ReadInstance { .. } if denied => Some(Answer::Instance(second.clone())),
            _ => None,
        });
        let report = pass.report_subscription(&object, now());
        let gone = report.expect("it is ours").finalizer_may_go;
        assert_eq!(gone, expected, "{second:?}");
        assert_eq!(remote.count("Deprovision"), 1, "{second:?}");
        assert_eq!(pass.wake().is_none(), expected, "{second:?}");
    }
}

// shows C10
#[test]
fn past_the_deadline_it_is_an_orphan_and_goes_once_its_connection_has_taken_it_over() {
    let (mut snapshot, mut remote) = deleted(DAY * 2);
    let object = Arc::make_mut(&mut snapshot.subscriptions[0]);
    object.status.as_mut().expect("a status").ended = Some(now() - DAY * 2);
    let (gone, _, orphaned) = withdrawn(snapshot.clone(), &mut remote, |_| None);
    assert!(orphaned && !gone, "nobody has it yet");
    assert_eq!(remote.count("Deprovision"), 0);
    let object = snapshot.subscriptions[0].status.clone();
    let id = object.and_then(|it| it.server).expect("an instance");
    snapshot.orphans_taken_over.insert(id.instance_id);
    let (gone, ..) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(gone);
}

// shows C10
#[test]
fn an_orphan_that_is_gone_is_forgotten_by_the_subscription_that_left_it_behind() {
    let (mut snapshot, mut remote) = deleted(SignedDuration::ZERO);
    let object = Arc::make_mut(&mut snapshot.subscriptions[0]);
    let status = object.status.as_mut().expect("a status");
    let recorded = status.server.as_mut().expect("an instance");
    recorded.orphaned = Some(now());
    snapshot.orphans_gone.insert(recorded.instance_id.clone());
    let (pass, object) = run(snapshot.clone(), &mut remote, |_| None);
    assert_eq!(super::pass_fixture::status(&pass, &object).server, None);
    let (gone, ..) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(gone);
    assert_eq!(remote.count("Deprovision"), 0);
}

// shows C10 K4
#[test]
fn nothing_is_sent_about_an_instance_while_the_one_that_was_left_behind_is_being_removed() {
    let mut waiting = snapshot();
    let id = instance_id(&waiting.namespace, &waiting.subscriptions[0]);
    waiting.orphans_being_removed.insert(id);
    let mut remote = Remote::new();
    let (pass, object) = run(waiting.clone(), &mut remote, |_| None);
    assert!(ready(&pass, &object).contains("OperationRunning"));
    for action in [
        "ReadInstance",
        "RecordInstance",
        "Provision",
        "Update",
        "PollOperation",
    ] {
        assert_eq!(remote.count(action), 0, "{action}");
    }
    waiting.orphans_being_removed.clear();
    run(waiting, &mut remote, |_| None);
    assert_eq!(remote.count("Provision"), 1);
}

// shows C10
#[test]
fn an_operator_that_was_down_until_the_deadline_tries_once_before_it_gives_up() {
    let (snapshot, mut remote) = deleted(DAY * 2);
    let (gone, _, orphaned) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(gone && !orphaned);
    assert_eq!(remote.count("Deprovision"), 1);
}

// shows C10
#[test]
fn a_person_who_abandons_it_does_not_wait_for_the_deadline() {
    let (mut snapshot, mut remote) = deleted(SignedDuration::ZERO);
    let contract = snapshot.subscriptions[0].spec.contract.uid.clone();
    snapshot.abandoned_contracts.insert(contract);
    let (_, _, orphaned) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(orphaned);
    assert_eq!(remote.count("Deprovision"), 0);
}

// shows C10 D2
#[test]
fn a_server_that_says_removed_and_still_has_it_is_not_believed() {
    let (snapshot, mut remote) = deleted(SignedDuration::ZERO);
    let kept = remote.parameters.clone().expect("it is there");
    let (gone, said, orphaned) = withdrawn(snapshot, &mut remote, |action| match action {
        Action::Deprovision { .. } => Some(Answer::Server(Ok(ServerAnswer::Done))),
        Action::ReadInstance { .. } => Some(Answer::Instance(Ok(InstanceReading::Present {
            service_id: None,
            plan_id: None,
            parameters: Some(kept.clone()),
        }))),
        _ => None,
    });
    assert!(!gone && !orphaned, "{said}");
    assert!(remote.count("Deprovision") <= 1, "once in a pass");
}

// shows C10
#[test]
fn a_namespace_that_goes_waits_for_its_instances_and_for_no_record() {
    let (mut snapshot, mut remote) = deleted(SignedDuration::ZERO);
    snapshot.namespace_terminating = true;
    let (gone, ..) = withdrawn(snapshot, &mut remote, |_| None);
    assert!(gone);
    assert_eq!(remote.parameters, None);
}

// shows K5
#[test]
fn nothing_is_withdrawn_by_a_clock_that_cannot_be_trusted() {
    let (mut snapshot, mut remote) = delivered();
    let object = Arc::make_mut(&mut snapshot.subscriptions[0]);
    let revision = Arc::make_mut(&mut object.spec.revisions[0]);
    revision.until = Some(now() - SignedDuration::from_mins(1));
    snapshot.clock_skew = Some(jiff::SignedDuration::from_hours(1));
    let (_, _, orphaned) = withdrawn(snapshot.clone(), &mut remote, |_| None);
    assert!(!orphaned);
    assert_eq!(remote.count("Deprovision"), 0);
    snapshot.clock_skew = None;
    withdrawn(snapshot, &mut remote, |_| None);
    assert_eq!(
        remote.count("Deprovision"),
        1,
        "with a right clock it has ended"
    );
}
