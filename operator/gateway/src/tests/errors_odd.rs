//! Errors and messages that went wrong between devices and servers of others. Each row names the report.

use serde_json::{Value, json};

use super::{
    errors::{cleared, error, errors, list_errors, raised},
    events::{begin, post, taken},
    inbox::{Inbox, Reply},
    stand::{Registered, Stand},
};

/// An error after batches: its state, and whether it began anew after the batch before the last one.
struct Row {
    report: &'static str,
    batches: Vec<Value>,
    raised: bool,
    anew: bool,
}

fn at(id: &str, time: &str, state: &str) -> Value {
    let mut event = error(id, json!({"state": state}));
    event["time"] = json!(time);
    event
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let row = |report, batches, raised, anew| Row {
        report,
        batches,
        raised,
        anew,
    };
    vec![
        // Two messages within a second made two alarms, of which one stayed.
        row(
            "thingsboard/thingsboard#2986",
            vec![json!([raised("1"), raised("2")]), json!([cleared("3")])],
            false,
            false,
        ),
        // An alarm that was cleared and came again was the former one.
        row(
            "thingsboard/thingsboard#7811",
            vec![json!([raised("1"), cleared("2")]), json!([raised("3")])],
            true,
            true,
        ),
        // The end of an alarm at nearly the same instant as its beginning was lost.
        row(
            "thingsboard/thingsboard#7909",
            vec![
                json!([]),
                json!([
                    at("1", "2027-03-20T01:02:03Z", "Raised"),
                    at("2", "2027-03-20T01:02:03Z", "Cleared"),
                ]),
            ],
            false,
            true,
        ),
        // The alarm was over while the device was away, and stayed at the server.
        row(
            "nerves-hub/nerves_hub_link#399",
            vec![json!([raised("1")]), json!([raised("1"), cleared("2")])],
            false,
            false,
        ),
        // The clock fell back by years, and what was sent was too old for the server.
        row(
            "jibrilsharafi/EnergyMe-Home#249",
            vec![
                json!([at("1", "2027-03-20T01:02:03Z", "Raised")]),
                json!([at("2", "2023-01-01T00:00:00Z", "Cleared")]),
            ],
            false,
            false,
        ),
        // The first message after a restart was of 1970.
        row(
            "arendst/Tasmota#2571",
            vec![
                json!([]),
                json!([at("1", "1970-01-01T00:00:03Z", "Raised")]),
            ],
            true,
            true,
        ),
        // The reasons of a printer vanished at the end of each job, and came back.
        row(
            "apple/cups#2323",
            vec![
                json!([raised("1")]),
                json!([cleared("2"), raised("3"), cleared("4"), raised("5")]),
            ],
            true,
            true,
        ),
        // A state that nobody took back stayed for ever: what is told again is no other state.
        row(
            "apple/cups#2126",
            vec![json!([raised("1")]), json!([raised("2"), raised("3")])],
            true,
            false,
        ),
    ]
}

// shows A1 A9
#[tokio::test]
async fn an_error_that_others_lost_or_had_twice_stands_in_the_twin_once_and_as_it_is() {
    for row in rows() {
        let stand = Stand::new().await;
        let device = stand.register("A1").await;
        list_errors(&stand).await;
        let mut since = None;
        let mut before = None;
        for batch in &row.batches {
            before = since;
            let number = u64::try_from(batch.as_array().unwrap().len()).unwrap();
            assert_eq!(taken(&stand, &device, batch).await, (number, json!([])));
            // The same again, as after an answer that was lost.
            assert_eq!(taken(&stand, &device, batch).await, (number, json!([])));
            stand.clock.jump(jiff::SignedDuration::from_mins(1));
            since = errors(&stand).first().map(|it| it.since);
        }
        let errors = errors(&stand);
        let [found] = &errors[..] else {
            panic!("{}: {errors:?}", row.report);
        };
        assert_eq!(found.until.is_none(), row.raised, "{}", row.report);
        assert_eq!(since != before, row.anew, "{}", row.report);
    }
}

// shows A1 K5
#[tokio::test]
async fn a_provider_that_refuses_an_error_does_not_take_it_out_of_the_twin() {
    // bosch-io/iot-things-examples#54: what was over a quota was gone, and reported as delivered.
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    list_errors(&stand).await;
    stand.cluster.edit(
        super::stand::ACME,
        "lobby-mfp",
        |twin: &mut entente_crds::v1alpha1::DeviceTwin| {
            twin.spec.data_types[0].name = "error".to_owned();
        },
    );
    stand.until_seen("lobby-mfp").await;
    inbox.answers(|_| Reply::Refuse(422, ""));
    let refused = json!([{"id": "1", "reason": "RefusedByProvider"}]);
    let batch = json!([raised("1")]);
    assert_eq!(taken(&stand, &device, &batch).await, (0, refused));
    assert_eq!(errors(&stand).len(), 1);
}

async fn delta(stand: &Stand, device: &Registered) -> Value {
    let path = format!("/v1/devices/{}/twin", device.id);
    let read = super::stand::json_of(stand.get(&path, &device.token).await).await;
    read["delta"]["messages"].clone()
}

// shows A8
#[tokio::test]
async fn a_device_that_was_away_hears_of_a_message_and_one_that_shows_an_old_text_is_told() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let show = |order: &'static str| {
        let message = entente_crds::v1alpha1::TwinMessage {
            id: "lobby-mfp.toner-empty.black-toner.7".to_owned(),
            language: "en".to_owned(),
            text: format!("Black toner is empty. Ordered: {order}"),
            short: order.to_owned(),
        };
        let edit = |twin: &mut entente_crds::v1alpha1::DeviceTwin| {
            twin.spec.messages = vec![message.clone()];
        };
        stand.cluster.edit(super::stand::ACME, "lobby-mfp", edit);
    };
    let id = "lobby-mfp.toner-empty.black-toner.7";
    let open = json!({"show": [id], "clear": []});
    // Azure/azure-iot-sdk-node#885: what was wanted while a device was away never reached it.
    show("PO-1");
    show("PO-2");
    stand.until_seen("lobby-mfp").await;
    assert_eq!(delta(&stand, &device).await, open);
    // Azure/azure-iot-sdk-c#775: a device that came back reported the document before.
    let report = |text: &str| json!({"messages": {id: {"state": "Shown", "text": text}}});
    assert_eq!(stand.report(&device, &report("PO-1")).await.status(), 204);
    assert_eq!(delta(&stand, &device).await, open);
    assert_eq!(stand.report(&device, &report("PO-2")).await.status(), 204);
    assert_eq!(delta(&stand, &device).await["show"], json!([]));
}

// shows A1 K4
#[tokio::test]
async fn data_that_others_took_for_something_else_are_refused_with_their_place() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    list_errors(&stand).await;
    for (data, place) in [
        // cloudevents/sdk-java#430: a member that is null was another one than one that is absent.
        (
            json!({"state": "Raised", "impressions": null}),
            "/0/data/impressions",
        ),
        // apple/cups#6163: nobody knew which words there are.
        (
            json!({"state": "Raised", "reason": "Toner empty!"}),
            "/0/data/reason",
        ),
        (json!({"state": "RAISED"}), "/0/data/state"),
        (json!({"state": 1}), "/0/data/state"),
        (
            json!({"state": "Raised", "severity": "error"}),
            "/0/data/severity",
        ),
        (
            json!({"state": "Raised", "orderRequested": "true"}),
            "/0/data/orderRequested",
        ),
    ] {
        let answer = post(&stand, &device, &json!([error("1", data.clone())])).await;
        assert_eq!(answer.status(), 422, "{data}");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["errors"][0]["pointer"], place, "{answer}");
    }
    assert_eq!(errors(&stand), []);
}
