//! Errors that an agent reports: the error of the Device, the order of the supply, and the message about it
//! on the panel, which the person in front of the device reads.

use entente_crds::example;
use entente_crds::v1alpha1::{
    Connection, Contract, DeviceError, DeviceModel, ErrorState, MessageState, MessageText, Settle,
    Sync,
};
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{Override, Snmpd};
use entente_simulators::OrderServer;

use super::{DEVICE, LOCATION, apply, log_in, setting};
use crate::delivery_fixture::{every_reason_is_listed, test_namespace};
use crate::orders::add_supplies;

/// The Printer MIB.
const PRINTER: &str = "1.3.6.1.2.1.43.";
/// Level of its black toner, and the code of its only alert.
pub(super) const LEVEL: &str = "1.3.6.1.2.1.43.11.1.1.9.1.1";
pub(super) const ALERT: &str = "1.3.6.1.2.1.43.18.1.1.7.1.1";
/// Columns of the panel.
const COLUMNS: i64 = 20;

/// Returns the objects of a printer whose black toner is empty.
pub(super) fn empty_toner() -> Vec<Override> {
    let number = |name: &str, value| Override::number(&format!("{PRINTER}{name}"), value);
    vec![
        number("11.1.1.3.1.1", 1),
        number("11.1.1.4.1.1", 3),
        number("11.1.1.5.1.1", 3),
        number("11.1.1.8.1.1", 100),
        Override::number(LEVEL, 0).writable(),
        Override::text(&format!("{PRINTER}12.1.1.4.1.1"), "black"),
        number("18.1.1.2.1.1", 3),
        number("18.1.1.4.1.1", 11),
        number("18.1.1.5.1.1", 1),
        Override::number(ALERT, 1101).writable(),
    ]
}

/// Waits until the only error of the device is in a state, and returns it.
async fn error_is(namespace: &TestNamespace<'_>, state: ErrorState) -> DeviceError {
    let what = format!("the error is {state:?}");
    let found = namespace.soon(&what, async || {
        let errors = namespace.read_device(DEVICE).await?.status?.errors;
        let [only] = &errors[..] else { return None };
        (only.state == state).then(|| only.clone())
    });
    found.await.unwrap()
}

/// Returns the lines of a panel of two lines that shows Japanese.
pub(super) fn panel() -> Vec<Override> {
    let object = |name: &str| format!("{PRINTER}{name}");
    vec![
        Override::number(&object("5.1.1.10.1"), 1),
        Override::number(&object("5.1.1.12.1"), COLUMNS),
        Override::text(&object("7.1.1.2.1.1"), "ja"),
        Override::number(&object("7.1.1.4.1.1"), 17),
        Override::text(&line(1), "Ready").writable(),
        Override::text(&line(2), "").writable(),
    ]
}

fn line(number: u8) -> String {
    format!("{PRINTER}16.5.1.2.1.{number}")
}

/// Applies a model with the supplies and errors of the example under another name of the error, which no
/// other namespace has a text for.
pub(super) async fn apply_model(namespace: &TestNamespace<'_>, error: &str) {
    let example = example::mfp_520().spec;
    let mut model = namespace.model_of("label", Snmpd::PRODUCT, setting("place", LOCATION));
    model.spec.identity = None;
    model.spec.supplies = example.supplies;
    model.spec.errors = example.errors;
    error.clone_into(&mut model.spec.errors[0].r#type);
    for r#type in &mut model.spec.errors {
        r#type.settle = Some(Settle {
            begin: "0s".into(),
            end: "1s".into(),
        });
    }
    namespace.apply::<DeviceModel>(&model).await.unwrap();
}

/// Applies the text of the example for an error.
pub(super) async fn apply_text(namespace: &TestNamespace<'_>, error: &str) {
    let mut text: MessageText = example::toner_empty_text();
    text.metadata.name = Some(namespace.named("toner-out"));
    error.clone_into(&mut text.spec.error_type);
    let text = namespace.labelled(text);
    namespace.apply::<MessageText>(&text).await.unwrap();
}

/// Returns the Connection to an agent whose status is looked at each second.
pub(super) fn often(namespace: &TestNamespace<'_>, agent: &Snmpd) -> Connection {
    let mut connection = namespace.snmp_connection("agents", agent.port());
    connection.spec.sync = Some(Sync {
        status: "1s".into(),
        ..Sync::default()
    });
    connection
}

/// The person puts a new cartridge in.
async fn replace(agent: &Snmpd) {
    agent.set_number(LEVEL, 100).await.unwrap();
    // It is ready to print: an alert that is no error of the model.
    agent.set_number(ALERT, 507).await.unwrap();
}

// shows A1 A2 A5 A9
#[tokio::test]
async fn an_empty_supply_that_an_agent_reports_is_an_error_of_the_device_until_it_is_replaced() {
    let namespace = test_namespace("snmp-error").await;
    let namespace = &namespace;
    let agent = Snmpd::start(&empty_toner()).await.unwrap();
    log_in(namespace, None).await;
    let connection = often(namespace, &agent);
    apply(namespace, &agent, &connection, &[("place", "Lobby")]).await;
    apply_model(namespace, "TonerEmpty").await;

    let open = error_is(namespace, ErrorState::Open).await;
    assert_eq!(open.key, "TonerEmpty/black-toner");
    assert_eq!(open.unit.as_deref(), Some("black-toner"));
    assert_eq!(open.occurrence, 1);
    replace(&agent).await;
    let closed = error_is(namespace, ErrorState::Closed).await;
    assert!(closed.replaced.is_some(), "{closed:?}");
    every_reason_is_listed(namespace).await;
}

/// Applies a service that orders at a URL, and a contract of it on the device.
pub(super) async fn order_at(namespace: &TestNamespace<'_>, url: &str) {
    add_supplies(namespace, url).await;
    let entry = namespace.entry("supplies", "supplies", &[DEVICE], "15m");
    let contract = namespace.contract("supplies-2027", now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
}

/// Waits until the only message of the device is in a state.
async fn message_is(namespace: &TestNamespace<'_>, state: MessageState) {
    let what = format!("the message is {state:?}");
    let found = namespace.soon(&what, async || {
        let messages = namespace.read_device(DEVICE).await?.status?.messages;
        let [only] = &messages[..] else { return None };
        (only.state == state).then_some(())
    });
    found.await.unwrap();
}

/// Returns the text on both lines of the panel, as far as it is ASCII: snmpget shows octets of any other
/// set as numbers.
pub(super) async fn read_panel(agent: &Snmpd) -> String {
    let mut lines = Vec::new();
    for number in [1, 2] {
        let text = agent.get(&line(number)).await.unwrap();
        let octets: Result<Vec<u8>, _> = text
            .split_ascii_whitespace()
            .map(|octet| u8::from_str_radix(octet, 16))
            .collect();
        let is_shown = |octet: &u8| octet.is_ascii_graphic();
        lines.push(match octets {
            Ok(octets) => octets
                .into_iter()
                .filter(is_shown)
                .map(char::from)
                .collect(),
            Err(_) => text,
        });
    }
    lines.join("\n")
}

// shows A3 A6 A7 A8 A9 A10
#[tokio::test]
async fn the_id_of_the_order_stands_on_the_panel_until_the_supply_is_replaced() {
    let namespace = test_namespace("snmp-order").await;
    let namespace = &namespace;
    let server = OrderServer::start(0).await.unwrap();
    let agent = Snmpd::start(&[empty_toner(), panel()].concat())
        .await
        .unwrap();
    log_in(namespace, None).await;
    let connection = often(namespace, &agent);
    apply(namespace, &agent, &connection, &[("place", "Lobby")]).await;
    apply_model(namespace, "LabelTonerEmpty").await;
    apply_text(namespace, "LabelTonerEmpty").await;
    order_at(namespace, &server.url()).await;

    message_is(namespace, MessageState::Shown).await;
    let orders = server.orders();
    assert_eq!(orders.len(), 1, "one order for one occurrence: {orders:?}");
    let id = &orders[0].id;
    let shown = read_panel(&agent).await;
    assert!(shown.contains(id), "{id} is not whole in {shown}");

    replace(&agent).await;
    message_is(namespace, MessageState::Cleared).await;
    let shown = read_panel(&agent).await;
    assert!(!shown.contains(id), "{shown}");
    assert_eq!(server.orders().len(), 1, "nothing else was ordered");
    every_reason_is_listed(namespace).await;
}
