//! From an error at the reference device to the number of its order on the panel, and to the new cartridge.

use std::time::Duration;

use entente_crds::example;
use entente_crds::v1alpha1::{
    Contract, Device, DeviceModel, DisplayedMessage, ErrorState, MessageState, MessageText, Settle,
};
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{Agent, AgentOptions, OrderServer, OrderServerOptions};

use super::fixture::{CallingFixture, TOKEN};
use crate::orders::{add_supplies, id, until};

const DEVICE: &str = "behind";
/// Type of the error, which no other test has: of two MessageTexts for one type the older counts.
const TYPE: &str = "TonerGone";
const ORDER: &str = "behind.toner-gone.black-toner.1";
const TONER: [&str; 2] = ["--reason=toner-empty", "--subject=black-toner"];

/// Applies a model that has the error, its text, a Device, and a contract of the service that orders.
async fn apply(namespace: &TestNamespace<'_>) {
    let colour = example::mfp_520().spec;
    let mut errors = colour.errors;
    errors.retain(|error| error.r#type == "TonerEmpty");
    for error in &mut errors {
        TYPE.clone_into(&mut error.r#type);
        error.settle = Some(Settle {
            begin: "0s".into(),
            end: "1s".into(),
        });
    }
    let mut model = namespace.model();
    model.spec.supplies = colour.supplies;
    model.spec.errors = errors;
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let mut text = example::toner_empty_text();
    text.metadata.name = Some(namespace.named("toner-gone"));
    TYPE.clone_into(&mut text.spec.error_type);
    let text = namespace.labelled(text);
    namespace.apply::<MessageText>(&text).await.unwrap();
    let device = namespace.calling_device(DEVICE, "NW5-0009");
    namespace.apply::<Device>(&device).await.unwrap();
    let entry = namespace.entry("supplies", "supplies", &[DEVICE], "1h");
    let contract = namespace.contract("now", now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
}

/// Waits until the message about the order has a state, and returns it.
async fn message(namespace: &TestNamespace<'_>, state: MessageState) -> DisplayedMessage {
    let look = async || {
        let device: Device = namespace.get(DEVICE).await?;
        let messages = device.status?.messages;
        let message = messages.into_iter().find(|it| it.id == ORDER)?;
        (message.state == state).then_some(message)
    };
    let what = format!("the message is {state:?}");
    let found = namespace.within(Duration::from_mins(1), &what, look).await;
    found.unwrap_or_else(|late| panic!("{late}"))
}

fn panel(agent: &Agent) -> String {
    let pages = agent.file("panel.json").unwrap_or_default();
    pages[0]["lines"].to_string()
}

// shows A1 A2 A3 A5 A6 A7 A8 A9 A10
#[tokio::test]
async fn an_error_at_a_device_that_calls_is_ordered_once_and_its_number_stands_on_its_panel() {
    let server = OrderServer::start(OrderServerOptions::default());
    let server = server.await.unwrap();
    let fixture = CallingFixture::new("supplies", "1h").await;
    let namespace = &fixture.namespace;
    add_supplies(namespace, &server.url()).await;
    apply(namespace).await;
    let mut options = AgentOptions::new("NW5-0009", TOKEN);
    let flags = ["--display=24x1", "--language=ja", "--no-ddi"];
    options.flags.extend(flags.map(str::to_owned));
    let mut agent = Agent::start(&fixture.gateway, &options).unwrap();
    let raised = async || {
        let words = ["raise", TONER[0], TONER[1]];
        agent.error(&words).await.ok()
    };
    namespace.soon("it is registered", raised).await.unwrap();

    let placed = until(namespace, ORDER, "OrderPlaced").await;
    let order = id(&placed);
    let shown = message(namespace, MessageState::Shown).await;
    assert_eq!(shown.text, Some(format!("注文 {order}").into()));
    assert_eq!(shown.language.as_deref(), Some("ja"));
    assert!(panel(&agent).contains(&order), "{}", panel(&agent));

    agent.restart().await.unwrap();
    assert!(panel(&agent).contains(&order), "{}", panel(&agent));
    let cleared = ["clear", TONER[0], TONER[1], "--replaced"];
    agent.error(&cleared).await.unwrap();
    message(namespace, MessageState::Cleared).await;
    assert_eq!(panel(&agent), "null");
    until(namespace, ORDER, "SupplyReplaced").await;
    let device: Device = namespace.get(DEVICE).await.unwrap();
    let errors = device.status.unwrap().errors;
    assert_eq!((errors.len(), errors[0].occurrence), (1, 1));
    assert_eq!(errors[0].state, ErrorState::Closed);
    assert_eq!(server.log().len(), 1, "{:?}", server.log());
}
