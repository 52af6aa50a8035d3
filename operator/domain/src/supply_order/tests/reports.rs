//! Tests of conditions and of the message on the device.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{DeviceStatus, DisplayedMessage, MessageState};
use kube::ResourceExt as _;
use serde_json::json;

use super::*;

fn displayed(state: MessageState, at: Timestamp) -> DisplayedMessage {
    let message = json!({
        "id": order().name_any(),
        "connection": "panel",
        "via": "IPP",
        "language": "en",
        "text": "Ordered PO-1",
        "state": state,
        "at": at,
    });
    serde_json::from_value(message).expect("a message of a device")
}

// shows A8
#[test]
fn the_message_of_the_device_becomes_instants_that_stay() {
    let mut bench = Bench::new(keyed());
    let mut device = example::devices()[0].clone();
    let mut seen = Vec::new();
    for (minute, state) in [
        MessageState::Pending,
        MessageState::Sent,
        MessageState::Shown,
        MessageState::Cleared,
    ]
    .into_iter()
    .enumerate()
    {
        let minutes = i64::try_from(minute).expect("a small number");
        let now = begin() + SignedDuration::from_mins(minutes);
        device.status = Some(DeviceStatus {
            messages: vec![displayed(state, now)],
            ..DeviceStatus::default()
        });
        bench.facts.message = message_of(Some(&device), &bench.stored);
        bench.pass(|_| unreachable());
        seen.push(bench.says("Displayed"));
    }
    assert_eq!(
        seen,
        [
            "False(Pending)",
            "Unknown(MessageSent)",
            "True(MessageShown)",
            "False(Cleared)"
        ]
    );
    device.status = None;
    let kept = message_of(Some(&device), &bench.stored).expect("it stays");
    let minute = |minutes| Some(begin() + SignedDuration::from_mins(minutes));
    assert_eq!(
        (kept.sent, kept.shown, kept.cleared),
        (minute(1), minute(2), minute(3))
    );
    assert_eq!(message_of(None, &bench.stored), Some(kept));
}

// shows A8 K2
#[test]
fn displayed_says_why_a_message_is_not_on_the_display() {
    for (state, reason, expected) in [
        (MessageState::Pending, None, "False(Pending)"),
        (
            MessageState::Pending,
            Some(Reason::DeviceOffline),
            "False(DeviceOffline)",
        ),
        (
            MessageState::Undeliverable,
            Some(Reason::MessageRefused),
            "False(MessageRefused)",
        ),
        (
            MessageState::Undeliverable,
            Some(Reason::NoText),
            "False(NoText)",
        ),
        (
            MessageState::Undeliverable,
            Some(Reason::NoDisplay),
            "False(NoDisplay)",
        ),
    ] {
        let mut bench = Bench::new(keyed());
        let mut device = example::devices()[0].clone();
        // It has a way and a text, as one of which nobody knows whether it was tried.
        let message = DisplayedMessage {
            reason,
            ..displayed(state, begin())
        };
        device.status = Some(DeviceStatus {
            messages: vec![message],
            ..DeviceStatus::default()
        });
        bench.facts.message = message_of(Some(&device), &bench.stored);
        bench.pass(|_| unreachable());
        assert_eq!(bench.says("Displayed"), expected);
    }
}

// shows K2
#[test]
fn a_fault_of_the_connection_is_said_and_nothing_is_sent() {
    let mut bench = Bench::new(keyed());
    let message = "the Connection northwind-orders does not exist; create it";
    bench.facts.terms = None;
    bench.facts.fault = Some((Reason::ConnectionNotFound, message.to_owned()));
    bench.silent_pass();
    assert_eq!(bench.says("Ready"), "False(ConnectionNotFound)");
    assert_eq!(bench.says("Ordered"), "False(ConnectionNotFound)");
    assert_eq!(bench.says("Reconciling"), "True(ProgressingWithRetry)");
    bench.facts.fault = Some((Reason::NotAllowed, "not for this namespace".to_owned()));
    bench.silent_pass();
    assert_eq!(bench.says("Stalled"), "True(NotAllowed)");
}

// shows K5
#[test]
fn other_words_of_the_same_failure_are_no_reason_to_write() {
    let mut bench = Bench::new(keyed());
    let failing = |words: String| OrderAnswer::Failed(Failure::new(FailureKind::Busy, words));
    bench.pass(|_| failing("busy until 1".to_owned()));
    let writes = bench.writes;
    for number in 2..10 {
        bench.wait(SignedDuration::from_mins(1));
        bench.pass(|_| failing(format!("busy until {number}")));
    }
    assert_eq!(bench.writes, writes);
}

// shows K5
#[test]
fn a_pass_over_what_rests_writes_and_sends_nothing() {
    let mut bench = Bench::new(keyed());
    let next = bench.pass(|request| match request {
        OrderRequest::Place(_) => answered(ours("PO-1")),
        _ => none(),
    });
    let writes = bench.writes;
    assert_eq!(bench.silent_pass(), next);
    assert_eq!(bench.writes, writes);
}

// shows K2
#[test]
fn an_id_that_a_person_found_for_an_order_that_is_known_is_told_as_without_effect() {
    let found = |bench: &mut Bench, id: &str| {
        bench.stored.spec.found = Some(entente_crds::v1alpha1::FoundOrder {
            order_id: id.to_owned(),
        });
        bench.pass(|request| panic!("nothing is to be sent, and it is {request:?}"));
        bench.message()
    };
    let placed = || {
        let mut bench = Bench::new(keyed());
        bench.pass(|request| match request {
            OrderRequest::Place(_) => answered(ours("PO-1")),
            _ => none(),
        });
        bench
    };
    let note = "spec.found names PO-9 and has no effect: the order was known as PO-1 before";
    let message = found(&mut placed(), "PO-9");
    assert!(message.contains(note), "{message}");
    let message = found(&mut placed(), "PO-1");
    assert!(!message.contains("spec.found"), "{message}");

    let mut closed = Bench::new(keyed());
    closed.stored.spec.cancelled = Some(entente_crds::v1alpha1::CancelledOrder {
        reason: "not needed".to_owned(),
    });
    closed.silent_pass();
    let message = found(&mut closed, "PO-9");
    assert!(
        message.contains("has no effect: the order was closed before"),
        "{message}"
    );
    assert_eq!(closed.says("Ready"), "True(Cancelled)");
}

// shows K2
#[test]
fn a_cancellation_that_the_server_took_and_does_not_end_is_told_after_a_day() {
    let mut bench = Bench::new(keyed());
    bench.pass(|request| match request {
        OrderRequest::Place(_) => answered(ours("PO-1")),
        _ => none(),
    });
    bench.stored.spec.cancelled = Some(entente_crds::v1alpha1::CancelledOrder {
        reason: "not needed".to_owned(),
    });
    let taken = |request: &OrderRequest| match request {
        OrderRequest::Cancel { .. } => OrderAnswer::UnderWay {
            path: None,
            retry_after: None,
        },
        _ => answered(ours("PO-1")),
    };
    let begin = bench.now;
    let mut next = bench.pass(taken).expect("it is open");
    assert_eq!(bench.says("Ready"), "False(Progressing)");
    while bench.now < begin + SignedDuration::from_hours(24) {
        bench.now = next;
        next = bench.pass(taken).expect("it is open");
    }
    assert!(bench.now < begin + SignedDuration::from_hours(31));
    assert_eq!(bench.says("Ready"), "False(OrderServerUnavailable)");
    assert_eq!(bench.says("Ordered"), "True(OrderPlaced)");
}
