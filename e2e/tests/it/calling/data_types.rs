//! The kinds of data that services want from a device that calls: told, reported, and taken out.

use entente_crds::v1alpha1::{
    AgentData, Contract, DataEvent, DataType, DataVia, DeviceModel, SmartService, WantedDataType,
};
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use serde_json::{Value, json};

use super::activation::UNLIMITED;
use super::fixture::CallingFixture;
use super::played::{CONTRACT, Played};
use crate::delivery_fixture::contract_is;

const DEVICE: &str = "behind";

fn kind(name: &str, on: &[DataEvent], threshold: Option<i32>) -> DataType {
    DataType {
        name: name.to_owned(),
        on: on.to_vec(),
        threshold,
        period: "24h".into(),
        via: DataVia {
            agent: Some(AgentData {}),
        },
    }
}

fn wanted(name: &str, period: Option<&str>) -> WantedDataType {
    WantedDataType {
        name: name.to_owned(),
        period: period.map(Into::into),
    }
}

/// Applies a model of two kinds of data, and two services: one wants the first each 6 hours, the other each
/// hour together with the second kind.
async fn apply_catalogue(fixture: &CallingFixture<'_>) {
    let namespace = &fixture.namespace;
    let mut model = namespace.model();
    let events = [DataEvent::BelowThreshold, DataEvent::Replaced];
    model.spec.data_types = vec![
        kind("supplies.level", &events, Some(20)),
        kind("counters.total", &[], None),
    ];
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let level = |period| wanted("supplies.level", Some(period));
    for (mut service, kinds) in [
        (namespace.backup(), vec![level("6h")]),
        (
            namespace.parts(),
            vec![level("1h"), wanted("counters.total", None)],
        ),
    ] {
        let side = service.spec.device.as_mut().expect("a device side");
        side.data_types = kinds;
        namespace.apply::<SmartService>(&service).await.unwrap();
    }
    let entries = vec![
        namespace.entry("backup", "data-backup", &[DEVICE], "1h"),
        namespace.entry("parts", "parts-life", &[DEVICE], "1h"),
    ];
    let contract = namespace.contract(CONTRACT, now(), entries);
    namespace.apply::<Contract>(&contract).await.unwrap();
}

fn level(period: &str) -> Value {
    json!({"name": "supplies.level", "on": ["BelowThreshold", "Replaced"], "threshold": 20,
           "period": period})
}

fn counters() -> Value {
    json!({"name": "counters.total", "on": [], "period": "PT24H"})
}

/// Takes what the twin asks for until it asks for these kinds of data, and returns what was to be changed then.
async fn is_asked(device: &mut Played<'_>, fixture: &CallingFixture<'_>, kinds: &Value) -> Value {
    let what = format!("it is asked for {kinds}");
    let look = async || {
        let twin = device.twin().await?;
        if twin["desired"]["dataTypes"] == *kinds {
            return Some(twin["delta"]["dataTypes"].clone());
        }
        device.takes(&twin).await?;
        None
    };
    fixture.namespace.soon(&what, look).await.unwrap()
}

// shows C7
#[tokio::test]
async fn a_device_sends_what_its_services_want_at_the_shortest_period_and_nothing_else() {
    let fixture = CallingFixture::with_flags("data", "24h", &UNLIMITED).await;
    let namespace = &fixture.namespace;
    apply_catalogue(&fixture).await;
    let mut device = Played::register(&fixture, (DEVICE, "NW5-0036"), Value::Null).await;
    device.send_data(false);
    let both = json!([counters(), level("PT1H")]);
    let delta = is_asked(&mut device, &fixture, &both).await;
    let names = json!(["counters.total", "supplies.level"]);
    assert_eq!(delta, json!({"add": names, "remove": []}));
    // To have read what is wanted is no proof.
    let what = "the kinds are not in effect";
    let silent = device
        .takes_until("backup", what, |it| {
            it.reason("DataTypesConfigured") == "AcceptedNotEffective"
        })
        .await;
    assert!(!silent.is("Activated"), "{silent:#?}");
    let instances = fixture.broker.instances();
    assert_eq!(instances[0].parameters["enabled"], json!(false));

    device.send_data(true);
    for entry in ["backup", "parts"] {
        let sends = device.is_said(entry, "Active").await;
        assert!(sends.is("DataTypesConfigured"), "{sends:#?}");
    }
    contract_is(namespace, CONTRACT, "Delivered").await;
    let delta = is_asked(&mut device, &fixture, &both).await;
    assert_eq!(delta, json!({"add": [], "remove": []}));

    // One is switched off: the other one keeps what it wants, as often as it wants it.
    let off = json!({"active": false, "by": "Panel"});
    assert_eq!(device.says("parts", &off).await.0, 200);
    let delta = is_asked(&mut device, &fixture, &json!([level("PT6H")])).await;
    assert_eq!(delta, json!({"add": [], "remove": ["counters.total"]}));
    let is_off = device.is_off("parts").await;
    assert!(is_off.condition("DataTypesConfigured").is_none());
    let other = device.is_said("backup", "Active").await;
    assert!(other.is("DataTypesConfigured"), "{other:#?}");
    assert_eq!(device.says("backup", &off).await.0, 200);
    is_asked(&mut device, &fixture, &json!([])).await;

    // It is on again only when the device sends again.
    let on = json!({"active": true, "by": "Panel"});
    let asks = device.says("parts", &on);
    let (answer, sends) = tokio::join!(asks, device.is_said("parts", "Active"));
    assert_eq!(answer.1["state"], "Active", "{answer:?}");
    assert!(sends.is("DataTypesConfigured"), "{sends:#?}");
}
