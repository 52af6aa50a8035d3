//! Tests of the readings of an instance: what proves it, what is sent again, and what cannot be
//! proved.

use entente_crds::{
    condition::{ConditionType, Reason},
    item_key::ItemKind,
    v1alpha1::{Item, ItemState, ServerOperation, ServerOperationState, ServerOperationType},
};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::pass_fixture::{
    Remote, Story, delivered, now, ready, run, said, says, snapshot, status,
};
use crate::{
    delivery::{Action, Answer, DeviceSnapshot},
    remote::{Failure, FailureKind, InstanceReading, OperationState, ServerAnswer},
};

/// Asks for a full look, so that what was proved before is read again.
fn looked_at(mut snapshot: DeviceSnapshot) -> DeviceSnapshot {
    snapshot.reconcile_requested = true;
    snapshot
}

/// Runs a full look over what was delivered, where every fetch of the instance is answered so.
fn fetched(reading: &InstanceReading) -> (String, Remote) {
    let (before, mut remote) = delivered();
    let (pass, object) = run(looked_at(before), &mut remote, |action| match action {
        Action::ReadInstance { .. } => Some(Answer::Instance(Ok(reading.clone()))),
        _ => None,
    });
    (ready(&pass, &object), remote)
}

fn parameters() -> Map<String, Value> {
    let (_, remote) = delivered();
    remote.parameters.expect("it was made")
}

fn present(parameters: Map<String, Value>) -> InstanceReading {
    InstanceReading::Present {
        service_id: None,
        plan_id: None,
        parameters: Some(parameters),
    }
}

// shows B7 D2
#[test]
fn what_is_read_as_it_was_sent_is_not_sent_again() {
    let (said, remote) = fetched(&present(parameters()));
    assert_eq!(said, "True(Delivered)");
    assert_eq!((remote.count("Provision"), remote.count("Update")), (0, 0));
    assert_eq!(remote.count("ReadInstance"), 1);
}

// shows B7 D2
#[test]
fn a_parameter_that_somebody_changed_is_sent_again_and_proved() {
    let (before, mut remote) = delivered();
    let known = remote.parameters.as_mut().expect("it was made");
    known.insert("mode".to_owned(), json!("Full"));
    let (pass, object) = run(looked_at(before), &mut remote, |_| None);
    assert_eq!(ready(&pass, &object), "True(Delivered)");
    assert_eq!(remote.count("Update"), 1);
    let read = remote.parameters.expect("it is there");
    assert_eq!(read["mode"], json!("Differential"));
}

// shows D2
#[test]
fn a_service_that_was_turned_off_is_turned_on_and_nothing_else_is_sent() {
    let (before, mut remote) = delivered();
    let known = remote.parameters.as_mut().expect("it was made");
    known.insert("enabled".to_owned(), json!(false));
    let mut sent = Vec::new();
    let (pass, object) = run(looked_at(before), &mut remote, |action| {
        if let Action::Update { parameters, .. } = action {
            sent.push(parameters.exposed());
        }
        None
    });
    assert_eq!(ready(&pass, &object), "True(Delivered)");
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["enabled"], json!(true));
}

// shows D2
#[test]
fn what_the_server_adds_of_its_own_disturbs_nobody() {
    let mut more = parameters();
    more.insert("region".to_owned(), json!("south"));
    let (said, remote) = fetched(&present(more));
    assert_eq!(said, "True(Delivered)");
    assert_eq!(remote.count("Update"), 0);
}

// shows D2 K2
#[test]
fn a_parameter_that_is_taken_and_not_kept_is_found_out_and_waits_before_it_is_tried_again() {
    let mut dropped = parameters();
    dropped.insert("mode".to_owned(), json!("Full"));
    let (before, mut remote) = delivered();
    let (pass, object) = run(looked_at(before), &mut remote, |action| match action {
        Action::ReadInstance { .. } => Some(Answer::Instance(Ok(present(dropped.clone())))),
        Action::Update { .. } => Some(Answer::Server(Ok(ServerAnswer::Done))),
        _ => None,
    });
    assert_eq!(ready(&pass, &object), "False(AcceptedNotEffective)");
    assert_eq!(remote.count("Update"), 1, "once in a pass");
    assert!(pass.wake().is_some_and(|wake| wake > now()));
    let items = status(&pass, &object).items;
    let mode = items.iter().find(|it| it.key == "ServerSetting/mode");
    assert_eq!(mode.map(|it| it.state), Some(ItemState::NotEffective));
}

// shows D2 K2
#[test]
fn a_server_that_tells_no_parameters_proves_none() {
    let reading = InstanceReading::Present {
        service_id: None,
        plan_id: None,
        parameters: None,
    };
    let mut remote = Remote::new();
    let (pass, object) = run(snapshot(), &mut remote, |action| match action {
        Action::ReadInstance { .. } => Some(Answer::Instance(Ok(reading.clone()))),
        _ => None,
    });
    let said = ready(&pass, &object);
    assert_ne!(said, "True(Delivered)");
    let delivered = says(&pass, &object, ConditionType::Delivered);
    assert!(delivered.starts_with("False"), "{delivered}");
}

// shows D2 K2
#[test]
fn an_instance_that_cannot_be_fetched_is_not_called_proved() {
    let mut remote = Remote::new();
    let (pass, object) = run(snapshot(), &mut remote, |action| match action {
        Action::ReadInstance { .. } => Some(Answer::Instance(Ok(InstanceReading::NotRetrievable))),
        _ => None,
    });
    assert_eq!(ready(&pass, &object), "False(NotVerifiable)");
    let items = status(&pass, &object).items;
    let proved = items
        .iter()
        .filter(|it| it.key.kind() != Some(ItemKind::DeviceSetting))
        .filter(|it| it.state == ItemState::Effective);
    assert_eq!(proved.count(), 0);
}

// shows D2 K5
#[test]
fn an_instance_that_is_gone_is_made_again_under_its_id() {
    let (before, mut remote) = delivered();
    let id = |snapshot: &DeviceSnapshot| {
        let status = snapshot.subscriptions[0].status.clone();
        status.and_then(|it| it.server).map(|it| it.instance_id)
    };
    let known = id(&before);
    remote.parameters = None;
    let mut made = None;
    let (pass, object) = run(looked_at(before), &mut remote, |action| {
        if let Action::Provision { instance, .. } = action {
            made = Some(instance.instance_id.clone());
        }
        None
    });
    assert_eq!(ready(&pass, &object), "True(Delivered)");
    assert_eq!(made, known);
}

// shows K2 K5
#[test]
fn a_fetch_that_fails_sends_nothing_and_keeps_what_was_proved_in_mind() {
    for kind in [
        FailureKind::Unreachable,
        FailureKind::TimedOut,
        FailureKind::Unauthorized,
        FailureKind::ProtocolError,
    ] {
        let (before, mut remote) = delivered();
        let (pass, _) = run(looked_at(before), &mut remote, |action| match action {
            Action::ReadInstance { .. } => {
                Some(Answer::Instance(Err(Failure::new(kind, "so it said"))))
            }
            _ => None,
        });
        assert_eq!((remote.count("Provision"), remote.count("Update")), (0, 0));
        assert!(pass.wake().is_some(), "{kind:?}");
    }
}

fn in_doubt() -> Failure {
    Failure {
        doubtful: true,
        ..Failure::new(FailureKind::TimedOut, "no answer came")
    }
}

// shows K5
#[test]
fn a_provision_whose_answer_was_lost_is_looked_for_and_not_repeated_blindly() {
    let mut remote = Remote::new();
    let mut lost = false;
    let (pass, object) = run(snapshot(), &mut remote, |action| match action {
        Action::Provision { .. } if !lost => {
            lost = true;
            Some(Answer::Server(Err(in_doubt())))
        }
        _ => None,
    });
    assert_eq!(remote.count("Provision"), 1, "it is held back");
    let recorded = status(&pass, &object).server.expect("it is recorded");
    let operation = recorded.operation.expect("it is in doubt");
    assert_eq!(operation.state, ServerOperationState::InDoubt);
    assert!(pass.wake().is_some());
}

// shows K5
#[test]
fn only_a_concurrency_error_tells_of_an_operation_on_the_instance() {
    for (kind, operation) in [
        (
            FailureKind::Concurrent,
            Some(ServerOperationState::UnderWay),
        ),
        (FailureKind::Busy, None),
    ] {
        let (before, mut remote) = delivered();
        let (pass, object) = run(looked_at(before), &mut remote, |action| match action {
            Action::ReadInstance { .. } => Some(Answer::Instance(Err(Failure::new(kind, "later")))),
            _ => None,
        });
        let recorded = status(&pass, &object).server.expect("it is recorded");
        let found = recorded.operation.map(|operation| operation.state);
        assert_eq!(found, operation, "{kind:?}");
    }
}

// shows K5
#[test]
fn an_operation_that_the_server_does_not_know_any_more_is_judged_by_what_is_there() {
    for kind in [FailureKind::RejectedValue, FailureKind::Unsupported] {
        let (mut before, mut remote) = delivered();
        let object = std::sync::Arc::make_mut(&mut before.subscriptions[0]);
        let status_before = object.status.as_mut().expect("a status");
        let recorded = status_before.server.as_mut().expect("an instance");
        recorded.operation = Some(ServerOperation {
            r#type: ServerOperationType::Update,
            id: Some("op-1".to_owned()),
            to_plan: None,
            since: now(),
            state: ServerOperationState::UnderWay,
            late_until: None,
        });
        let (pass, object) = run(looked_at(before), &mut remote, |action| match action {
            Action::PollOperation { .. } => {
                let unknown = Failure::new(kind, "no such operation");
                Some(Answer::Operation(Err(unknown)))
            }
            _ => None,
        });
        assert_eq!(remote.count("PollOperation"), 1, "{kind:?}");
        assert_eq!(remote.count("Provision"), 0, "{kind:?}");
        let recorded = status(&pass, &object).server.expect("it is recorded");
        assert_eq!(recorded.operation, None, "{kind:?}");
    }
}

// shows K2
#[test]
fn an_operation_that_ended_well_is_proved_by_reading_before_it_counts() {
    let mut remote = Remote::new();
    let mut begun = false;
    let (pass, object) = run(snapshot(), &mut remote, |action| match action {
        Action::Provision { .. } if !begun => {
            begun = true;
            Some(Answer::Server(Ok(ServerAnswer::UnderWay {
                operation: None,
                retry_after: None,
            })))
        }
        Action::PollOperation { .. } => Some(Answer::Operation(Ok(OperationState::Succeeded))),
        _ => None,
    });
    let said = ready(&pass, &object);
    assert_eq!(
        said,
        format!("False({})", Reason::OperationRunning.as_str())
    );
    let items = status(&pass, &object).items;
    let instance = items.iter().find(|it| it.key == "ServerInstance");
    assert_ne!(instance.map(|it| it.state), Some(ItemState::Effective));
}

// shows D2
#[test]
fn an_instance_of_another_service_or_plan_is_not_the_one_that_is_wanted() {
    for (service, plan, ours) in [
        (None, None, true),
        (Some("data-backup-id"), Some("standard-id"), true),
        (Some("another"), None, false),
        (None, Some("another"), false),
        (Some("data-backup-id"), Some("another"), false),
    ] {
        let mut story = Story::new();
        let report = story.pass(SignedDuration::ZERO, |_| None);
        assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
        let reading = InstanceReading::Present {
            service_id: service.map(str::to_owned),
            plan_id: plan.map(str::to_owned),
            parameters: Some(parameters()),
        };
        let report = story.pass(SignedDuration::from_mins(1), |action| match action {
            Action::ReadInstance { .. } => Some(Answer::Instance(Ok(reading.clone()))),
            _ => None,
        });
        let mut items = report.status.items.iter();
        let instance = items.find(|it| it.key == "ServerInstance");
        let is_effective = instance.map(|it| it.state) == Some(ItemState::Effective);
        assert_eq!(is_effective, ours, "{service:?} {plan:?}");
        let delivered = said(&report, ConditionType::Delivered).starts_with("True");
        assert_eq!(delivered, ours, "{service:?} {plan:?}");
    }
}

// shows D2 K2
#[test]
fn while_an_operation_is_under_way_what_it_carries_is_in_progress_and_the_rest_is_not() {
    let mut story = Story::new();
    let report = story.pass(SignedDuration::ZERO, |action| match action {
        Action::Provision { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
            operation: Some("op-1".to_owned()),
            retry_after: None,
        }))),
        _ => None,
    });
    for item in &report.status.items {
        let state = match item.key.kind() {
            Some(ItemKind::DeviceSetting) => ItemState::Effective,
            // It is no part of the operation, and was not there before it.
            Some(ItemKind::Activation) => ItemState::NotEffective,
            _ => ItemState::InProgress,
        };
        assert_eq!(item.state, state, "{}", item.key.as_str());
    }
    let report = story.pass(SignedDuration::from_secs(5), |action| match action {
        Action::PollOperation { .. } => Some(Answer::Operation(Ok(OperationState::Failed(
            Failure::of_operation("no space"),
        )))),
        _ => None,
    });
    let in_progress = |it: &&Item| it.state == ItemState::InProgress;
    assert_eq!(report.status.items.iter().find(in_progress), None);
    assert_eq!(story.remote.count("PollOperation"), 1);
}

// shows D2 K2
#[test]
fn what_a_server_took_and_does_not_tell_is_said_once_and_since_when() {
    let mut told = parameters();
    told.remove("mode");
    let answer = |action: &Action| match action {
        Action::ReadInstance { .. } => Some(Answer::Instance(Ok(present(told.clone())))),
        _ => None,
    };
    let mut story = Story::new();
    story.pass(SignedDuration::ZERO, |_| None);
    let minute = SignedDuration::from_mins(1);
    for pass in 1..4 {
        let report = story.pass(minute * pass, answer);
        assert_eq!(
            said(&report, ConditionType::Delivered),
            "False(NotVerifiable)"
        );
        let mut items = report.status.items.iter();
        let mode = items.find(|it| it.key == "ServerSetting/mode");
        let mode = mode.expect("an item of the examples");
        assert_eq!(mode.state, ItemState::Unknown);
        assert_eq!(mode.observed_digest, None);
        let problem = mode.problem.as_ref().expect("a problem");
        assert_eq!(problem.since, now() + minute, "in pass {pass}");
        assert_eq!(mode.last_verified, Some(now() + minute), "in pass {pass}");
    }
    let report = story.pass(minute * 4, |_| None);
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}

// shows K2
#[test]
fn a_catalog_that_cannot_be_read_is_the_problem_of_what_was_not_proved() {
    let mut story = Story::new();
    let failing = |action: &Action| match action {
        Action::ReadCatalog { .. } => {
            let failure = Failure::new(FailureKind::TlsFailed, "no trust");
            Some(Answer::Catalog(Err(failure)))
        }
        _ => None,
    };
    let report = story.pass(SignedDuration::ZERO, failing);
    assert_eq!(
        said(&report, ConditionType::ServerConfigured),
        "False(TlsFailed)"
    );
    assert_eq!(
        said(&report, ConditionType::DeviceConfigured),
        "True(Succeeded)"
    );
    for item in &report.status.items {
        let of_device = item.key.kind() == Some(ItemKind::DeviceSetting);
        assert_eq!(item.state == ItemState::Effective, of_device);
        let problem = item.problem.as_ref().map(|it| it.outcome);
        let expected = (!of_device).then_some(Reason::TlsFailed);
        assert_eq!(problem, expected, "{}", item.key.as_str());
    }
}
