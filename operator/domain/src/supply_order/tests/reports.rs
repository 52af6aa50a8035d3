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
