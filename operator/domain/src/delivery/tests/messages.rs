//! Messages about orders on the panel of a device that is dialled: what is sent and when, what is known of it,
//! and the reason for which one is not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    v1alpha1::{Connection, DeviceStatus, DisplayedMessage, MessageState, MessageText},
};

use super::errors::{minutes, order, report, status, story};
use super::pass_fixture::Story;
use crate::{
    delivery::{Action, Answer, UnwrittenStatus},
    names::ConnectionName,
    remote::{Failure, FailureKind},
};

// shows A8, K5
#[test]
fn a_panel_that_fails_is_told_and_tried_again_and_one_that_there_is_not_is_undeliverable() {
    for (kind, expected) in [
        (FailureKind::TimedOut, MessageState::Pending),
        (FailureKind::Busy, MessageState::Pending),
        (FailureKind::Unsupported, MessageState::Undeliverable),
    ] {
        let mut story = story();
        story.remote.report = report(&["toner-empty-error"], 0);
        story.calm_pass(minutes(1));
        order(&mut story, Some("PO-88123"), true);
        story.pass(minutes(2), |action| match action {
            Action::ShowMessages { .. } => {
                let failure = Failure::new(kind, "the panel failed");
                Some(Answer::MessagesShown(Err(failure)))
            }
            _ => None,
        });
        let found = status(&story).messages[0].clone();
        assert_eq!(
            (found.state, found.problem.as_deref()),
            (expected, Some("the panel failed"))
        );
        story.calm_pass(minutes(40));
        let state = status(&story).messages[0].state;
        let is_tried_again = expected == MessageState::Pending;
        assert_eq!(
            state == MessageState::Sent,
            is_tried_again,
            "{kind:?} {state:?}"
        );
    }
}

/// Returns the one message, with its order known since the second minute.
fn displayed(story: &Story) -> DisplayedMessage {
    displayed_in(&status(story))
}

fn displayed_in(status: &DeviceStatus) -> DisplayedMessage {
    let [message] = &status.messages[..] else {
        panic!("{:#?}", status.messages);
    };
    message.clone()
}

/// The black toner is empty, its order is known, and the panel answers so in the pass of the second minute.
fn ordered(panel: Option<FailureKind>) -> Story {
    let mut story = story();
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    order(&mut story, Some("PO-88123"), true);
    story.pass(minutes(2), |action| match (action, panel) {
        (Action::ShowMessages { .. }, Some(kind)) => {
            let failure = Failure::new(kind, "the panel failed");
            Some(Answer::MessagesShown(Err(failure)))
        }
        _ => None,
    });
    story
}

type Objects = (
    BTreeMap<ConnectionName, Arc<Connection>>,
    BTreeMap<String, Arc<MessageText>>,
);

fn objects(story: &Story) -> Objects {
    let snapshot = &story.snapshot;
    (snapshot.connections.clone(), snapshot.message_texts.clone())
}

fn put_back(story: &mut Story, (connections, texts): Objects) {
    story.snapshot.connections = connections;
    story.snapshot.message_texts = texts;
}

// shows A8 K5
#[test]
fn a_message_whose_connection_or_text_was_missing_for_a_pass_is_sent_when_it_is_there_again() {
    type Missing = fn(&mut Story);
    let without_connection: Missing = |story| {
        story.snapshot.connections.remove("hq-ipp");
    };
    let without_text: Missing = |story| story.snapshot.message_texts.clear();
    for (missing, reason) in [
        (without_connection, Reason::NoDisplay),
        (without_text, Reason::NoText),
    ] {
        // It has a text already, since the panel was busy with it.
        let mut story = ordered(Some(FailureKind::Busy));
        assert_eq!(displayed(&story).state, MessageState::Pending);
        let all = objects(&story);
        missing(&mut story);
        story.calm_pass(minutes(40));
        let lost = displayed(&story);
        assert_eq!(lost.state, MessageState::Undeliverable, "{reason}");
        assert_eq!(lost.reason, Some(reason));
        put_back(&mut story, all);
        story.calm_pass(minutes(80));
        let sent = displayed(&story);
        assert_eq!(
            (sent.state, sent.reason, sent.problem),
            (MessageState::Sent, None, None),
            "{reason}"
        );
        assert_eq!(story.remote.shown.len(), 1);
    }
}

// shows A8
#[test]
fn a_message_that_a_panel_took_stays_sent_while_its_connection_or_its_text_is_missing() {
    let mut story = ordered(None);
    let sent = displayed(&story);
    assert_eq!(sent.state, MessageState::Sent);
    let all = objects(&story);
    story.snapshot.connections.remove("hq-ipp");
    story.calm_pass(minutes(40));
    assert_eq!(displayed(&story), sent);
    put_back(&mut story, all);
    story.snapshot.message_texts.clear();
    story.calm_pass(minutes(80));
    assert_eq!(displayed(&story), sent);
    assert_eq!(story.remote.shown.len(), 1, "it is sent once");
}

// shows A8 A9
#[test]
fn a_message_that_was_sent_is_sent_also_if_the_device_fails_right_after() {
    let mut story = story();
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    order(&mut story, Some("PO-88123"), true);
    let mut was_shown = false;
    story.pass(minutes(2), |action| match action {
        Action::ShowMessages { .. } => {
            was_shown = true;
            None
        }
        Action::ReadStatus { .. } if was_shown => {
            let failure = Failure::new(FailureKind::Unreachable, "it was switched off");
            Some(Answer::Status(Err(failure)))
        }
        _ => None,
    });
    assert!(was_shown);
    let sent = displayed(&story);
    assert_eq!(sent.state, MessageState::Sent);
    assert_eq!(sent.language.as_deref(), Some("en"));
    let text = sent.text.expect("the text that was sent");
    assert_eq!(story.remote.shown, [[text.to_string()]]);
    story.calm_pass(minutes(40));
    assert_eq!(story.remote.shown.len(), 1, "it is sent once");
}

// shows A8 A9
#[test]
fn a_message_that_was_sent_and_is_not_on_record_is_not_sent_while_that_is_remembered_and_then_once()
{
    let mut story = ordered(None);
    let sent = status(&story);
    let forget = |story: &mut Story| {
        story.edit_device(|it| {
            it.status.as_mut().expect("a status").messages.clear();
        });
    };
    // The status could not be written, and still cannot.
    for later in [3, 4, 40] {
        forget(&mut story);
        let failure = "the API server is away".to_owned();
        let unwritten = UnwrittenStatus::new(failure, Some(sent.clone()));
        story.snapshot.unwritten = Some(unwritten);
        story.calm_pass(minutes(later));
        assert_eq!(displayed(&story), displayed_in(&sent));
        assert_eq!(story.remote.shown.len(), 1);
    }
    // The operator was stopped before it could be written.
    forget(&mut story);
    story.snapshot.unwritten = None;
    for later in [41, 42, 80] {
        story.calm_pass(minutes(later));
        assert_eq!(displayed(&story).state, MessageState::Sent);
    }
    let [first, second] = &story.remote.shown[..] else {
        panic!("{:?}", story.remote.shown);
    };
    assert_eq!(first, second);
}

// shows A8 K2
#[test]
fn the_reason_of_a_message_tells_a_refusal_from_a_device_that_is_offline() {
    for (kind, state, reason) in [
        (
            FailureKind::Unsupported,
            MessageState::Undeliverable,
            Some(Reason::MessageRefused),
        ),
        (
            FailureKind::RejectedNotSettable,
            MessageState::Undeliverable,
            Some(Reason::MessageRefused),
        ),
        (
            FailureKind::RejectedValue,
            MessageState::Pending,
            Some(Reason::MessageRefused),
        ),
        (
            FailureKind::Unreachable,
            MessageState::Pending,
            Some(Reason::DeviceOffline),
        ),
        (
            FailureKind::TimedOut,
            MessageState::Pending,
            Some(Reason::DeviceOffline),
        ),
        (FailureKind::Busy, MessageState::Pending, None),
    ] {
        let found = displayed(&ordered(Some(kind)));
        assert_eq!((found.state, found.reason), (state, reason), "{kind:?}");
    }
}

// shows A8 K2
#[test]
fn a_message_for_a_device_that_does_not_answer_waits_as_offline_until_it_does() {
    let mut story = story();
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    order(&mut story, Some("PO-88123"), true);
    let silent = || Failure::new(FailureKind::Unreachable, "no route to the device");
    story.full_looks = true;
    for later in [2, 3] {
        story.pass(minutes(later), |action| match action {
            Action::ReadDevice { .. } => Some(Answer::DeviceRead {
                result: Err(silent()),
                claimed_by_another: None,
            }),
            Action::ReadStatus { .. } => Some(Answer::Status(Err(silent()))),
            Action::ShowMessages { .. } => panic!("nothing is sent to a silent device"),
            _ => None,
        });
        let found = displayed(&story);
        assert_eq!(found.state, MessageState::Pending);
        assert_eq!(found.reason, Some(Reason::DeviceOffline), "{later}");
        assert_eq!(found.problem.as_deref(), Some("no route to the device"));
    }
    story.calm_pass(minutes(80));
    let found = displayed(&story);
    assert_eq!((found.state, found.reason), (MessageState::Sent, None));
}
