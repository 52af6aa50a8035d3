//! Errors of a device in passes: a report becomes an entry of the status, an order that is known becomes a
//! message on the panel, and the message goes with the error.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    example,
    v1alpha1::{
        Connection, DeviceStatus, DisplayedMessage, ErrorState, MessageState, MessageText,
        ServiceOrders,
    },
};
use jiff::SignedDuration;

use super::pass_fixture::Story;
use crate::{
    condition::find,
    delivery::{Action, Answer, UnwrittenStatus},
    errors::{KnownLine, KnownOrder},
    names::ConnectionName,
    remote::{
        Failure, FailureKind, Panel, ReportedFault, ReportedSupply, StatusReport, SupplyLevel,
    },
};

const ORDER: &str = "lobby-mfp.toner-empty.black-toner.1";

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn report(reasons: &[&str], black: u8) -> StatusReport {
    let row = |(index, (colorant, percent)): (i64, (&str, u8))| ReportedSupply {
        index,
        kind: "toner".to_owned(),
        is_receptacle: false,
        colorant: Some(colorant.to_owned()),
        description: None,
        level: SupplyLevel::Percent(percent),
    };
    let rows = [
        ("black", black),
        ("cyan", 40),
        ("magenta", 40),
        ("yellow", 40),
    ];
    StatusReport {
        identity: Some("urn:uuid:1".to_owned()),
        faults: reasons
            .iter()
            .map(|it| ReportedFault::state_reason(it))
            .collect(),
        supplies: (1..).zip(rows).map(row).collect(),
        panel: Some(Panel::default()),
        ..StatusReport::default()
    }
}

/// A device of the examples whose model has errors, whose service orders supplies, and that is delivered.
fn story() -> Story {
    let mut story = Story::new();
    let colour = example::mfp_520().spec;
    let model = Arc::make_mut(story.snapshot.model.as_mut().expect("a model"));
    model.spec.supplies = colour.supplies;
    model.spec.errors = colour.errors;
    for error in &mut model.spec.errors {
        error.settle = None;
    }
    for service in story.snapshot.services.values_mut() {
        Arc::make_mut(service).spec.orders = Some(ServiceOrders::default());
    }
    let text = example::toner_empty_text();
    let texts = [(text.spec.error_type.clone(), Arc::new(text))];
    story.snapshot.message_texts = texts.into();
    story.remote.report = report(&["none"], 60);
    story.calm_pass(minutes(0));
    story.full_looks = false;
    story
}

fn status(story: &Story) -> DeviceStatus {
    let device = story.snapshot.device.as_ref().expect("a device");
    device.status.clone().expect("a status")
}

fn faulted(story: &Story) -> Option<String> {
    let conditions = status(story).conditions;
    find(&conditions, ConditionType::Faulted).map(|found| found.reason.clone())
}

/// Makes the order known, as the order controller would have it.
fn order(story: &mut Story, id: Option<&str>, is_open: bool) {
    story.snapshot.supply_orders = vec![KnownOrder {
        name: ORDER.to_owned(),
        lines: vec![KnownLine {
            supply: Some("black-toner".to_owned()),
            ..KnownLine::default()
        }],
        id: id.map(str::to_owned),
        is_open,
        ..KnownOrder::default()
    }];
}

fn message(story: &Story) -> Option<(MessageState, String)> {
    let messages = status(story).messages;
    let message = messages.iter().find(|message| message.id == ORDER)?;
    Some((
        message.state,
        message.text.clone().unwrap_or_default().to_string(),
    ))
}

// shows A1, A5, A8
#[test]
fn an_error_is_on_record_before_its_order_and_its_message_goes_with_it() {
    let mut story = story();
    assert_eq!((faulted(&story), status(&story).errors.len()), (None, 0));

    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    assert_eq!(faulted(&story).as_deref(), Some("SuppliesEmpty"));
    let [error] = &status(&story).errors[..] else {
        panic!("{:#?}", status(&story).errors);
    };
    assert_eq!((error.occurrence, error.state), (1, ErrorState::Open));
    let decided = error.order.clone().expect("an order");
    assert_eq!((decided.name.as_str(), decided.id), (ORDER, None));
    assert!(story.remote.shown.is_empty() && message(&story).is_none());

    // The SupplyOrder exists, without an id: there is nothing to show yet.
    order(&mut story, None, true);
    story.calm_pass(minutes(2));
    assert!(story.remote.shown.is_empty());

    order(&mut story, Some("PO-88123"), true);
    story.calm_pass(minutes(3));
    let text = "black-toner is empty. A new one is ordered: PO-88123";
    assert_eq!(story.remote.shown, [[text.to_owned()]]);
    assert_eq!(message(&story), Some((MessageState::Sent, text.to_owned())));
    let id = status(&story).errors[0].order.clone().unwrap().id;
    assert_eq!(id.as_deref(), Some("PO-88123"));

    // It stands: nothing is sent again.
    story.calm_pass(minutes(4));
    story.calm_pass(minutes(10));
    assert_eq!(story.remote.shown.len(), 1);

    story.remote.report = report(&["none"], 100);
    story.calm_pass(minutes(20));
    assert_eq!(
        message(&story).unwrap().0,
        MessageState::Sent,
        "it may come back"
    );
    story.calm_pass(minutes(31));
    let ended = &status(&story).errors[0];
    assert_eq!(
        (ended.state, ended.replaced.is_some()),
        (ErrorState::Closed, true)
    );
    story.calm_pass(minutes(32));
    assert_eq!(message(&story).unwrap().0, MessageState::Cleared);
    assert_eq!(faulted(&story), None);
}

// shows A2
#[test]
fn without_a_service_that_orders_supplies_the_status_says_so() {
    let mut story = story();
    for service in story.snapshot.services.values_mut() {
        Arc::make_mut(service).spec.orders = None;
    }
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    let error = status(&story).errors[0].clone();
    assert!(error.order.is_none(), "{error:?}");
    let none = error.not_ordered.expect("a reason");
    assert_eq!(
        none.message.as_str(),
        "no service that orders supplies is in force on the device"
    );
}

// shows K4
#[test]
fn the_report_of_another_machine_counts_for_nothing_and_is_told() {
    let mut story = story();
    story.remote.report = StatusReport {
        identity: Some("urn:uuid:2".to_owned()),
        ..report(&["toner-empty-error"], 0)
    };
    story.remote.reading.identity = Some("urn:uuid:2".to_owned());
    story.calm_pass(minutes(10));
    assert_eq!(status(&story).errors, []);
    let ready = find(&status(&story).conditions, ConditionType::Ready)
        .unwrap()
        .reason
        .clone();
    assert_eq!(ready, "IdentityMismatch");
}

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

#[test]
fn a_device_whose_model_has_no_errors_is_not_asked_for_its_status() {
    let mut story = Story::new();
    story.calm_pass(minutes(0));
    assert_eq!(story.remote.count("ReadStatus"), 0);
}
