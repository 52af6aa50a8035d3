//! From an empty cartridge to its number on the panel and to the new cartridge, with a printer that others
//! wrote: `ippeveprinter`, whose supplies a person changes by its web page, and which prints what it
//! displays.

use std::time::Duration;

use entente_crds::example;
use entente_crds::v1alpha1::{
    Connection, Contract, Device, DeviceModel, ErrorState, MessageState, MessageText, Settle, Sync,
};
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{IppEvePrinter, IppEvePrinterOptions, OrderServer, OrderServerOptions};

use super::{id, ordering_at, until};

const DEVICE: &str = "lobby";
const ORDER: &str = "lobby.toner-empty.black-toner.1";

/// Opens the printer's page of supplies, as a person who changes one does: black is its second supply.
async fn set_black(printer: &IppEvePrinter, percent: u8) {
    let url = format!(
        "http://localhost:{}/supplies?supply0=25&supply1={percent}&supply2=50&supply3=33&supply4=67",
        printer.port()
    );
    let answer = reqwest::get(url).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn device(namespace: &TestNamespace<'_>) -> Device {
    namespace.get::<Device>(DEVICE).await.expect("a Device")
}

async fn within<T>(
    namespace: &TestNamespace<'_>,
    what: &str,
    look: impl Fn(&Device) -> Option<T>,
) -> T {
    let found = namespace.within(Duration::from_mins(2), what, async || {
        look(&device(namespace).await)
    });
    found.await.unwrap_or_else(|late| panic!("{late}"))
}

/// Applies a device with a model that has errors, and a contract of the service that orders.
async fn apply(namespace: &TestNamespace<'_>, printer: &IppEvePrinter) {
    let url = format!("ipp://localhost:{}/ipp/print", printer.port());
    let mut connection = namespace.ipp_connection("devices", &url);
    connection.spec.sync = Some(Sync {
        status: "1s".into(),
        ..Sync::default()
    });
    namespace.apply::<Connection>(&connection).await.unwrap();
    let mut model = example::mfp_520();
    model.metadata.name = Some(namespace.named("colour"));
    model.spec.product_names = vec!["Example Laser 9".to_owned()];
    for error in &mut model.spec.errors {
        error.settle = Some(Settle {
            begin: "0s".into(),
            end: "3s".into(),
        });
    }
    let model = namespace.labelled(model);
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let mut text = example::toner_empty_text();
    text.metadata.name = Some(namespace.named("toner-empty"));
    let text = namespace.labelled(text);
    namespace.apply::<MessageText>(&text).await.unwrap();
    let mut device = namespace.device_at(DEVICE, "127.0.0.1", "SN-1");
    device.spec.model_ref = namespace.reference("colour");
    device.spec.connections = vec![entente_crds::v1alpha1::DeviceConnection {
        name: namespace.named("devices"),
        ..Default::default()
    }];
    namespace.apply::<Device>(&device).await.unwrap();
    let entry = namespace.entry("supplies", "supplies", &[DEVICE], "1h");
    let contract = namespace.contract("now", now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
}

// shows A1 A2 A3 A4 A5 A8 A9 A10 D7
#[tokio::test]
async fn an_empty_cartridge_is_ordered_once_and_its_number_stands_on_the_panel_until_it_is_new() {
    let printer = IppEvePrinter::start(IppEvePrinterOptions {
        has_colour: true,
        ..IppEvePrinterOptions::default()
    });
    let printer = printer.await.unwrap();
    let server = OrderServer::start(OrderServerOptions::default());
    let server = server.await.unwrap();
    let namespace = &ordering_at("by-ipp", &server.url()).await;
    apply(namespace, &printer).await;
    within(namespace, "the device answers", |device| {
        let conditions = &device.status.as_ref()?.conditions;
        let online = conditions.iter().find(|it| it.type_ == "Online")?;
        (online.status == "True").then_some(())
    })
    .await;
    assert_eq!(server.log(), []);

    set_black(&printer, 0).await;
    let placed = until(namespace, ORDER, "OrderPlaced").await;
    let order = id(&placed);
    let shown = within(namespace, "the panel took the message", |device| {
        let messages = &device.status.as_ref()?.messages;
        let message = messages.iter().find(|it| it.id == ORDER)?;
        (message.state == MessageState::Sent).then(|| message.clone())
    })
    .await;
    let text = format!("black-toner is empty. A new one is ordered: {order}");
    assert_eq!(shown.text.as_deref(), Some(&*text));
    namespace
        .soon("the printer displays it", async || {
            printer.log().contains(&text).then_some(())
        })
        .await
        .unwrap();
    let error = device(namespace).await.status.unwrap().errors[0].clone();
    assert_eq!(
        (error.key.as_str(), error.occurrence),
        ("TonerEmpty/black-toner", 1)
    );
    assert_eq!(error.order.unwrap().id.as_deref(), Some(&*order));

    // A new cartridge: the message goes, the order counts as closed.
    set_black(&printer, 100).await;
    within(namespace, "the message is gone", |device| {
        let status = device.status.as_ref()?;
        let message = status.messages.iter().find(|it| it.id == ORDER)?;
        let is_over = message.state == MessageState::Cleared
            && status.errors[0].state == ErrorState::Closed
            && status.errors[0].replaced.is_some();
        is_over.then_some(())
    })
    .await;
    until(namespace, ORDER, "SupplyReplaced").await;
    assert_eq!(server.log().len(), 1, "{:?}", server.log());
}
