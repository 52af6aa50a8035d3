//! Data of a device reach the provider of the service that wants them, in order, and nobody else; they end with
//! the service.

use entente_crds::v1alpha1::ActivationMode;
use entente_e2e::namespace::read::Conditioned as _;
use serde_json::json;

use super::events_fixture::{DEVICE, EventsFixture, KIND, UNWANTED, event, ids, levels};
use crate::security::canary::places_with;

// shows C8 C16
#[tokio::test]
async fn events_are_at_their_provider_as_the_device_sent_them_and_a_repeated_one_is_there_once() {
    let fixture = EventsFixture::new("events", ActivationMode::ByOperator).await;
    let device = fixture.device("NW5-0041").await;
    // The last one happened first: the order is that of the device, and `sequence` is its own.
    let mut odd = event(KIND, "火-3 \"'%2F");
    odd["sequence"] = json!("0000001");
    odd["data"] = json!({"pages": 12_345_678_901_234_567_u64, "text": "トナー"});
    let mut own = event(KIND, "2");
    own["applicationid"] = json!(device.application("backup"));
    let batch = json!([event(KIND, "1"), own, odd]);
    let sent = device.sends(&batch).await.unwrap();
    assert_eq!(sent.status, 202, "{sent:?}");
    assert_eq!(
        (&sent.body["accepted"], &sent.body["refused"]),
        (&json!(3), &json!([]))
    );
    let taken = fixture.inbox.taken();
    assert_eq!(ids(&taken), ["1", "2", "火-3 \"'%2F"]);
    let source = format!("urn:uuid:{}", device.id());
    for event in &taken {
        assert_eq!(event.source, source);
        assert_eq!(event.applicationid, Some(device.application("backup")));
        assert_eq!(event.kind, format!("dev.entente.{KIND}"));
    }
    assert_eq!(taken[2].sequence.as_deref(), Some("0000001"));
    let data = r#""data":{"pages":12345678901234567,"text":"トナー"}"#;
    assert!(taken[2].text.contains(data), "{}", taken[2].text);

    // Repeated, and with one that is new: a replica forwards none twice.
    let sent = device.sends(&levels(&["2", "4", "1"])).await.unwrap();
    assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(3)));
    let requests = fixture.inbox.requests();
    let sent: Vec<&[String]> = requests.iter().map(|it| &it.ids[..]).collect();
    assert_eq!(
        sent,
        [
            &["1", "2", "火-3 \"'%2F"].map(str::to_owned)[..],
            &["4".to_owned()]
        ]
    );
    fixture.nothing_is_wrong();
}

// shows C16
#[tokio::test]
async fn whatever_the_gateway_takes_is_an_event_to_the_sdk_of_others() {
    let fixture = EventsFixture::new("odd", ActivationMode::ByOperator).await;
    let device = fixture.device("NW5-0051").await;
    let longest = "火".repeat(128);
    let odd = json!([
        {"id": &longest}, {"id": " "}, {"id": "\u{e000}\u{10ffff}"},
        {"id": "nulls", "time": null, "subject": null, "sequence": null, "data": null, "source": null,
         "applicationid": null, "datacontenttype": null, "dataschema": null},
        {"id": "own", "source": format!("URN:UUID:{}", device.id().to_uppercase())},
        {"id": "first", "time": "1970-01-01T00:00:00Z"},
        {"id": "last", "time": "9999-12-30T00:00:00.999999999z"},
        {"id": "small", "time": "2027-04-01t00:00:02.5-23:59"},
        {"id": "subject", "subject": "é \u{fffd}\u{200d}".repeat(25)},
        {"id": "sequence", "sequence": "!~".repeat(32)},
        {"id": "type", "datacontenttype": "Application/Problem+JSON; charset=\"utf-8\""},
        {"id": "schema", "dataschema": "urn:x?a=%20#b"},
        {"id": "list", "data": [[[]], {"": ""}]}, {"id": "text", "data": "\u{0}\""},
        {"id": "number", "data": -1.5e300}, {"id": "false", "data": false},
    ]);
    let wanted = |members: &serde_json::Value| {
        let mut event = json!({"specversion": "1.0", "type": format!("dev.entente.{KIND}")});
        for (name, value) in members.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    };
    let batch: Vec<serde_json::Value> = odd.as_array().unwrap().iter().map(wanted).collect();
    let sent = device.sends(&json!(batch)).await.unwrap();
    assert_eq!(sent.status, 202, "{sent:?}");
    assert_eq!(
        (&sent.body["accepted"], &sent.body["refused"]),
        (&json!(batch.len()), &json!([]))
    );
    let taken = fixture.inbox.taken();
    let sent: Vec<&str> = batch.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids(&taken), sent);
    fixture.nothing_is_wrong();
}

// shows C5 C6 C8 C16
#[tokio::test]
async fn no_event_is_forwarded_after_the_service_was_switched_off_or_consent_withdrawn() {
    let fixture = EventsFixture::new("ended", ActivationMode::ByOperator).await;
    let mut device = fixture.device("NW5-0042").await;
    let sent = device.sends(&levels(&["1"])).await.unwrap();
    assert_eq!(sent.status, 202, "{sent:?}");
    assert!(fixture.is_on().await);

    let word = |active: bool| json!({"active": active, "by": "Panel"});
    let off = device.says("backup", &word(false)).await;
    assert_eq!(off, (200, json!({"state": "Inactive"})));
    // From the answer on, whatever else is still to be done.
    let sent = device.sends(&levels(&["2"])).await.unwrap();
    let refused = json!([{"id": "2", "reason": "NotRequested"}]);
    assert_eq!((sent.status, &sent.body["refused"]), (202, &refused));
    device.is_off("backup").await;
    assert!(!fixture.is_on().await, "its server was told");
    assert_eq!(ids(&fixture.inbox.taken()), ["1"]);

    let on = device.says("backup", &word(true));
    let (on, _) = tokio::join!(on, device.is_said("backup", "Active"));
    assert_eq!(on.1["state"], "Active", "{on:?}");
    let sent = fixture.until_answered(&device, &levels(&["3"])).await;
    assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(1)));
    assert_eq!(ids(&fixture.inbox.taken()), ["1", "3"]);

    assert_eq!(device.withdraws().await, 204);
    let sent = device.sends(&levels(&["4"])).await.unwrap();
    assert_eq!(
        (sent.status, &sent.body["reason"]),
        (403, &json!("ConsentWithdrawn"))
    );
    let is_said = async || {
        let subscription = device.subscription("backup").await?;
        let is_off = !fixture.is_on().await;
        (subscription.reason("Activated") == "ConsentWithdrawn" && is_off).then_some(())
    };
    let what = "the service is off at its server for want of consent";
    fixture.calling.namespace.soon(what, is_said).await.unwrap();
    assert_eq!(fixture.inbox.requests().len(), 2, "nothing else was sent");
    fixture.nothing_is_wrong();
}

// shows C16 K4
#[tokio::test]
async fn what_a_device_sends_is_at_its_provider_and_nowhere_else_and_what_nobody_asked_for_nowhere()
{
    let fixture = EventsFixture::new("quiet", ActivationMode::ByOperator).await;
    let device = fixture.device("NW5-0043").await;
    let canary = "canary-91c4-of-an-event";
    let marked = |kind: &str, id: &str| {
        let mut marked = event(kind, &format!("{id}-{canary}"));
        marked["subject"] = json!(canary);
        marked["data"] = json!({canary: canary});
        marked
    };
    let mut foreign = marked(KIND, "foreign");
    foreign["applicationid"] = json!("globex-2027.toner.lobby-mfp");
    let batch = json!([
        marked(UNWANTED, "unwanted"),
        foreign,
        marked(KIND, "wanted")
    ]);
    let sent = device.sends(&batch).await.unwrap();
    assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(1)));
    let refused: Vec<&serde_json::Value> =
        sent.body["refused"].as_array().unwrap().iter().collect();
    let reasons: Vec<&serde_json::Value> = refused.iter().map(|it| &it["reason"]).collect();
    assert_eq!(reasons, ["NotRequested", "NotRequested"]);
    // While the provider is away, and where the body has faults.
    let fault = entente_simulators::FaultKind::http_500();
    fixture.inbox.set_fault(fault).await.unwrap();
    let sent = device.sends(&json!([marked(KIND, "kept")])).await.unwrap();
    assert_eq!(sent.status, 503);
    let mut faulty = marked(KIND, "faulty");
    faulty["specversion"] = json!(canary);
    let sent = device.sends(&json!([faulty])).await.unwrap();
    assert_eq!(sent.status, 422);

    let taken = fixture.inbox.taken();
    assert_eq!(ids(&taken), [format!("wanted-{canary}")]);
    let namespace = &fixture.calling.namespace;
    let places = places_with(namespace, &[canary.to_owned()]).await;
    assert_eq!(places, Vec::<String>::new());
    let gateway = fixture.calling.gateway.view();
    let log = gateway.log();
    assert!(log.contains("a provider takes no events"), "{log}");
    let metrics = gateway.get("/metrics").await.unwrap();
    assert!(metrics.contains("entente_gateway_events_total"));
    for (place, text) in [("log", log), ("metrics", metrics)] {
        assert!(!text.contains(canary), "in the {place} of the gateway");
    }
    assert_eq!(
        device
            .subscription("backup")
            .await
            .map(|it| it.is("Activated")),
        Some(true)
    );
    assert!(namespace.read_device(DEVICE).await.is_some());
}
