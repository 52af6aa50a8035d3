//! Tests of requests that fail or whose answer is lost: nothing is proved by a reading older than
//! such a write, and what it did not carry stays proved.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{Item, ItemState, ServerOperationState, ServerOperationType},
};
use jiff::SignedDuration;
use serde_json::json;

use super::pass_fixture::{Story, said, weekdays};
use crate::{
    delivery::{Action, Answer, SubscriptionReport},
    remote::{Failure, FailureKind, Scalar, ServerAnswer},
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn refused() -> Failure {
    Failure::new(FailureKind::RejectedValue, "400")
}

fn in_doubt() -> Failure {
    Failure {
        doubtful: true,
        ..Failure::new(FailureKind::ProtocolError, "500")
    }
}

fn failing_updates(failure: &Failure) -> impl FnMut(&Action) -> Option<Answer> {
    move |action| match action {
        Action::Update { .. } => Some(Answer::Server(Err(failure.clone()))),
        _ => None,
    }
}

fn item<'a>(report: &'a SubscriptionReport, key: &str) -> &'a Item {
    let mut items = report.status.items.iter();
    let found = items.find(|it| it.key.as_str() == key);
    found.expect("an item of the examples")
}

/// Returns a story in which everything was delivered, and a parameter was changed since by
/// somebody else.
fn drifted() -> Story {
    let mut story = Story::new();
    let report = story.calm_pass(SignedDuration::ZERO);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    let known = story.remote.parameters.as_mut().expect("it was made");
    known.insert("mode".to_owned(), json!("Full"));
    story
}

// shows D2 K2
#[test]
fn what_was_changed_by_somebody_and_cannot_be_set_back_is_not_delivered_and_is_tried_again() {
    for failure in [refused(), in_doubt()] {
        let mut story = drifted();
        let report = story.pass(MINUTE, failing_updates(&failure));
        assert_eq!(story.remote.count("Update"), 1);
        let delivered = said(&report, ConditionType::Delivered);
        assert!(delivered.starts_with("False"), "{failure:?} {delivered}");
        let mode = item(&report, "ServerSetting/mode");
        assert_eq!(mode.state, ItemState::NotEffective, "{failure:?}");
        assert!(mode.problem.is_some(), "{failure:?}");
        let report = story.calm_pass(HOUR);
        assert_eq!(story.remote.count("Update"), 1, "{failure:?}");
        assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    }
}

// shows D2 K2
#[test]
fn a_device_that_was_changed_by_somebody_and_gives_no_answer_to_a_write_is_not_delivered() {
    let mut story = Story::new();
    story.calm_pass(SignedDuration::ZERO);
    for value in story.remote.reading.values.values_mut() {
        *value = vec![Scalar::Text("another".to_owned())];
    }
    let report = story.pass(MINUTE, |action| match action {
        Action::WriteDevice { .. } => Some(Answer::DeviceWritten(Err(in_doubt()))),
        _ => None,
    });
    let delivered = said(&report, ConditionType::Delivered);
    assert!(delivered.starts_with("False"), "{delivered}");
    assert_eq!(weekdays(&report).state, ItemState::NotEffective);
    story.full_looks = false;
    let report = story.calm_pass(HOUR);
    assert_eq!(story.remote.count("WriteDevice"), 3);
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}

// shows D2 K2
#[test]
fn what_is_being_set_back_is_in_progress_until_it_was_read() {
    let mut story = drifted();
    let report = story.pass(MINUTE, |action| match action {
        Action::Update { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
            operation: None,
            retry_after: None,
        }))),
        _ => None,
    });
    let mode = item(&report, "ServerSetting/mode");
    assert_eq!(mode.state, ItemState::InProgress);
    let delivered = said(&report, ConditionType::Delivered);
    assert!(delivered.starts_with("False"), "{delivered}");
    story.full_looks = false;
    story.calm_pass(HOUR);
    assert_eq!(story.remote.count("PollOperation"), 1);
}

// shows D2 K2
#[test]
fn an_activation_that_is_refused_leaves_what_was_proved_and_its_correction_is_sent() {
    let mut story = Story::new();
    let report = story.pass(SignedDuration::ZERO, failing_updates(&refused()));
    let problem = |key: &str| item(&report, key).problem.as_ref().map(|it| it.outcome);
    for key in ["ServerInstance", "ServerSetting/mode"] {
        assert_eq!(item(&report, key).state, ItemState::Effective, "{key}");
        assert_eq!(problem(key), None, "{key}");
    }
    assert_eq!(problem("Activation/enabled"), Some(Reason::RejectedValue));
    let services = &mut story.snapshot.services;
    let service = services.get_mut("data-backup").expect("the service");
    let server = Arc::make_mut(service).spec.server.as_mut();
    let activation = server.and_then(|server| server.activation.as_mut());
    activation.expect("an activation").active = "on".into();
    story.full_looks = false;
    let report = story.calm_pass(MINUTE);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
}

// shows D2 K2 K5
#[test]
fn nothing_is_delivered_on_a_reading_that_is_older_than_an_update_in_doubt() {
    let mut story = drifted();
    let report = story.pass(MINUTE, failing_updates(&in_doubt()));
    let operation = |report: &SubscriptionReport| {
        let server = report.status.server.clone();
        let operation = server.and_then(|it| it.operation);
        operation.map(|it| (it.r#type, it.state))
    };
    let update = ServerOperationType::Update;
    assert_eq!(
        operation(&report),
        Some((update, ServerOperationState::InDoubt))
    );
    // All that is still wanted was proved before the update.
    let service = story.snapshot.services.get_mut("data-backup");
    let server = Arc::make_mut(service.expect("the service"));
    let server = server.spec.server.as_mut().expect("a server side");
    server.settings.retain(|setting| setting.name != "mode");
    story.full_looks = false;
    let report = story.pass(HOUR, |action| match action {
        Action::ReadInstance { .. } => Some(Answer::Instance(Err(Failure::new(
            FailureKind::Unreachable,
            "no answer",
        )))),
        _ => None,
    });
    assert_eq!(story.remote.count("ReadInstance"), 1);
    let delivered = said(&report, ConditionType::Delivered);
    assert!(delivered.starts_with("False"), "{delivered}");
    let report = story.calm_pass(HOUR * 2);
    assert_eq!(operation(&report), None);
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}
