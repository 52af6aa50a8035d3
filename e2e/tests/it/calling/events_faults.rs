//! Faults of a provider, and of the gateway, while a device sends: nothing that was taken is lost, nothing
//! comes out of its order, and a double is one that its provider can tell.

use std::time::Duration;

use entente_crds::v1alpha1::ActivationMode;
use entente_simulators::FaultKind;
use serde_json::json;

use super::events_fixture::{
    DEVICE, EventsFixture, KIND, PATIENCE, counted, device, event, ids, levels, without_doubles,
};
use super::played::{Played, Sent};

const DELIVERIES: &str = "entente_gateway_event_deliveries";

/// Fails unless the device has to keep its batch, and returns the seconds after which it comes again.
fn is_kept(sent: &Sent) -> u32 {
    assert_eq!(sent.status, 503, "{sent:?}");
    assert_eq!(sent.body["reason"], "ProviderUnavailable");
    sent.retry_after.expect("Retry-After")
}

// shows C16 K5
#[tokio::test]
async fn a_provider_that_is_down_busy_or_refuses_the_login_gets_the_batch_once_it_takes_it() {
    let mut fixture = EventsFixture::new("down", ActivationMode::ByOperator).await;
    let device = device(&fixture.calling, "NW5-0044").await;
    fixture.inbox.kill().await.unwrap();
    let batch = levels(&["1", "2"]);
    let sent = device.sends(&batch).await.unwrap();
    assert_eq!(is_kept(&sent), 10);
    let unreachable = counted(&fixture.calling, DELIVERIES, "Unreachable").await;
    assert_eq!(unreachable, 1);
    fixture.inbox.start_again().await.unwrap();
    let busy = FaultKind::HttpStatus {
        status: 503,
        retry_after_seconds: Some(7),
    };
    for (fault, outcome, seconds) in [
        (busy, "Busy", 7),
        (FaultKind::too_many_requests(3600), "Busy", 3600),
        (FaultKind::Unauthorized, "Unauthorized", 10),
        (FaultKind::http_500(), "WrongAnswer", 10),
    ] {
        let before = counted(&fixture.calling, DELIVERIES, outcome).await;
        fixture.inbox.set_fault(fault).await.unwrap();
        let sent = device.sends(&batch).await.unwrap();
        assert_eq!(is_kept(&sent), seconds, "{outcome}");
        assert_eq!(
            counted(&fixture.calling, DELIVERIES, outcome).await,
            before + 1
        );
        fixture.inbox.clear_faults().await.unwrap();
    }
    assert_eq!(ids(&fixture.inbox.taken()), [""; 0]);
    let sent = device.sends(&batch).await.unwrap();
    assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(2)));
    assert_eq!(ids(&fixture.inbox.taken()), ["1", "2"]);
    fixture.nothing_is_wrong();
}

// shows C16 K5
#[tokio::test]
async fn a_lost_or_late_answer_of_a_provider_makes_a_double_of_equal_source_and_id() {
    let fixture = EventsFixture::new("doubles", ActivationMode::ByOperator).await;
    let device = fixture.device("NW5-0045").await;
    let late = u64::try_from(2 * PATIENCE.as_millis()).unwrap();
    for (number, fault) in [
        (1, FaultKind::ResetAfterCommit),
        (2, FaultKind::Slow { milliseconds: late }),
    ] {
        fixture.inbox.set_fault(fault).await.unwrap();
        let events = [format!("{number}-a"), format!("{number}-b")];
        let batch = levels(&events.each_ref().map(String::as_str));
        let sent = device.sends(&batch).await.unwrap();
        is_kept(&sent);
        fixture.inbox.clear_faults().await.unwrap();
        let sent = device.sends(&batch).await.unwrap();
        assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(2)));
    }
    let taken = fixture.inbox.taken();
    let twice = ["1-a", "1-b", "1-a", "1-b", "2-a", "2-b", "2-a", "2-b"];
    assert_eq!(ids(&taken), twice);
    let source = format!("urn:uuid:{}", device.id());
    let once = ["1-a", "1-b", "2-a", "2-b"].map(|id| (&*source, id));
    assert_eq!(without_doubles(&taken), once.into());
    for double in taken.chunks(4) {
        assert_eq!(double[0].text, double[2].text);
        assert_eq!(double[1].text, double[3].text);
    }
    fixture.nothing_is_wrong();
}

// shows C16
#[tokio::test]
async fn what_a_provider_takes_and_loses_is_not_sent_again_and_is_counted_as_taken() {
    let fixture = EventsFixture::new("loses", ActivationMode::ByOperator).await;
    let device = fixture.device("NW5-0046").await;
    let loses = FaultKind::NotEffective {
        attributes: Vec::new(),
    };
    fixture.inbox.set_fault(loses).await.unwrap();
    let batch = levels(&["1", "2"]);
    let sent = device.sends(&batch).await.unwrap();
    assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(2)));
    fixture.inbox.clear_faults().await.unwrap();
    // Also if the device, whose answer was lost, sends it again.
    let sent = device.sends(&batch).await.unwrap();
    assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(2)));
    assert_eq!(fixture.inbox.requests().len(), 1);
    assert_eq!(ids(&fixture.inbox.taken()), [""; 0], "it has lost them");
    let events = "entente_gateway_events";
    assert_eq!(counted(&fixture.calling, events, "Forwarded").await, 2);
    assert_eq!(counted(&fixture.calling, events, "Repeated").await, 2);
    assert_eq!(counted(&fixture.calling, DELIVERIES, "Taken").await, 1);
}

// shows C16 K5
#[tokio::test]
async fn one_event_that_its_provider_refuses_costs_the_others_of_its_batch_nothing() {
    let fixture = EventsFixture::new("refuses", ActivationMode::ByOperator).await;
    let device = fixture.device("NW5-0047").await;
    let dislikes = FaultKind::Reject {
        attributes: vec!["2".to_owned()],
        status: entente_simulators::Rejection::default(),
    };
    fixture.inbox.set_fault(dislikes).await.unwrap();
    let sent = device.sends(&levels(&["1", "2", "3"])).await.unwrap();
    let refused = json!([{"id": "2", "reason": "RefusedByProvider"}]);
    assert_eq!((sent.status, &sent.body["refused"]), (202, &refused));
    assert_eq!(sent.body["accepted"], 2);
    assert_eq!(ids(&fixture.inbox.taken()), ["1", "3"]);
    fixture.inbox.clear_faults().await.unwrap();
    let sent = device.sends(&json!([event(KIND, "4")])).await.unwrap();
    assert_eq!(sent.status, 202);
    assert_eq!(ids(&fixture.inbox.taken()), ["1", "3", "4"]);
    fixture.nothing_is_wrong();
}

// shows C16 K5
#[tokio::test]
async fn a_gateway_that_is_killed_between_forwarding_and_answering_loses_nothing() {
    const KILLS: usize = 3;
    let mut fixture = EventsFixture::new("killed", ActivationMode::ByOperator).await;
    let mut sent_ids: Vec<String> = Vec::new();
    // The device is registered by its first life; later ones have its credential.
    let credential = fixture.device("NW5-0048").await.credential();
    for number in 0..KILLS {
        let late = FaultKind::Slow { milliseconds: 1500 };
        fixture.inbox.set_fault(late).await.unwrap();
        let events = ["a", "b"].map(|it| format!("{number}-{it}"));
        let batch = levels(&events.each_ref().map(String::as_str));
        sent_ids.extend(events.clone());
        let device = Played::resumed(&fixture.calling, DEVICE, &credential);
        let lost = tokio::spawn(device.sends(&batch));
        let has_it = async || {
            let taken = fixture.inbox.taken();
            taken.iter().any(|it| it.id == events[1]).then_some(())
        };
        let namespace = &fixture.calling.namespace;
        let what = "the provider has the batch";
        namespace
            .within(Duration::from_secs(30), what, has_it)
            .await
            .unwrap();
        fixture.calling.gateway.kill_hard().await.unwrap();
        assert!(lost.await.unwrap().is_err(), "it was answered");
        fixture.inbox.clear_faults().await.unwrap();
        fixture.calling.gateway.restart().await.unwrap();
        let device = Played::resumed(&fixture.calling, DEVICE, &credential);
        let sent = fixture.until_answered(&device, &batch).await;
        assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(2)));
    }
    let taken = fixture.inbox.taken();
    let source = format!("urn:uuid:{}", credential.id);
    let expected = sent_ids.iter().map(|id| (&*source, &**id));
    assert_eq!(without_doubles(&taken), expected.collect());
    let doubles = taken.len() - sent_ids.len();
    println!(
        "gateway killed {KILLS} times between forwarding and answering: {} events sent, 0 lost, {doubles} doubles",
        sent_ids.len()
    );
    assert_eq!(doubles, 2 * KILLS, "each kill was after the forwarding");
    fixture.nothing_is_wrong();
}
