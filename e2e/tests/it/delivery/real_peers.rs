//! The same with software we did not write: lprint, cupsd, ippeveprinter; and real Helm.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Connection, Device, DeviceConnection, DeviceModel, DeviceSetting, IppOperation, IppSetting,
    IppSyntax, ItemState, PromiseState, ServiceSubscription, SmartService, ValueType, Via,
    WantedSetting,
};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::{TestNamespace, now, starting_in};
use entente_e2e::peers::ipp_client::IppClient;
use entente_e2e::peers::{CupsServer, IppEvePrinter, IppEvePrinterOptions, LprintServer};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::delivery_fixture::{
    AHEAD, assert_credit, calculated, contract_is, contract_says, every_reason_is_listed, late,
    promise_state, subscription_is, subscription_says, test_namespace,
};
use crate::helm::helm;

const SETTING: &str = "place";
const KEY: &str = "DeviceSetting/place";

/// Returns the product name that the printer reports.
async fn product(uri: &str) -> String {
    let answer = IppClient::new()
        .get(uri, &["printer-make-and-model"])
        .await
        .unwrap();
    answer
        .text("printer-make-and-model")
        .expect("it says what it is")
}

/// Returns a model of one setting.
fn model(
    namespace: &TestNamespace<'_>,
    name: &str,
    product: &str,
    via: IppSetting,
    kind: ValueType,
) -> DeviceModel {
    let setting = DeviceSetting {
        name: SETTING.to_owned(),
        r#type: kind,
        via: Via {
            ipp: Some(via),
            ..Via::default()
        },
        ..DeviceSetting::default()
    };
    namespace.model_of(name, product, setting)
}

fn ipp(attribute: &str, syntax: IppSyntax, operation: IppOperation) -> IppSetting {
    IppSetting {
        attribute: attribute.to_owned(),
        syntax,
        operation,
    }
}

/// Returns a service of that one setting, on every model that has it.
fn service(namespace: &TestNamespace<'_>, value: &str) -> SmartService {
    let mut service = namespace.parts();
    service.metadata.name = Some(namespace.named("placing"));
    service.spec.parameters.clear();
    let device = service.spec.device.as_mut().expect("it has a device side");
    device.models.clear();
    device.settings = vec![WantedSetting {
        name: SETTING.to_owned(),
        value: Some(value.to_owned()),
        ..WantedSetting::default()
    }];
    service
}

/// Returns a Device of that model, reached by the Connection `devices`.
fn device(namespace: &TestNamespace<'_>, name: &str, model: &str, queue: Option<&str>) -> Device {
    let mut device = namespace.device_at(name, "127.0.0.1", &format!("SN-{name}"));
    device.spec.model_ref = namespace.reference(model);
    device.spec.connections = vec![DeviceConnection {
        name: namespace.named("devices"),
        queue: queue.map(str::to_owned),
        ..DeviceConnection::default()
    }];
    device
}

// shows D1 D3 D4 D5
#[tokio::test]
async fn lprint_lies_about_its_location_until_the_model_names_what_it_can_set() {
    let namespace = test_namespace("lprint").await;
    let namespace = &namespace;
    let lprint = LprintServer::start(&["lab1"]).await.unwrap();
    let url = format!("ipp://{{address}}:{}/ipp/print/{{queue}}", lprint.port());
    namespace
        .apply::<Connection>(&namespace.ipp_connection("devices", &url))
        .await
        .unwrap();
    let product = product(&lprint.uri("lab1")).await;
    let set = IppOperation::SetPrinterAttributes;
    let wrong = ipp("printer-location", IppSyntax::Text, set);
    let wrong = model(namespace, "label", &product, wrong, ValueType::String);
    namespace.apply::<DeviceModel>(&wrong).await.unwrap();
    let place = "geo:-23.5613,-46.6560";
    namespace
        .apply::<SmartService>(&service(namespace, place))
        .await
        .unwrap();
    let label_printer = device(namespace, "label-printer", "label", Some("lab1"));
    namespace.apply::<Device>(&label_printer).await.unwrap();
    let start = starting_in(AHEAD / 2);
    let entry = namespace.entry("placing", "placing", &["label-printer"], "1s");
    namespace
        .apply(&namespace.contract("lprint", start, vec![entry]))
        .await
        .unwrap();

    let parts = ["lprint", "placing", "label-printer"];
    let subscription =
        subscription_says(namespace, parts, "Delivered", "AcceptedNotEffective").await;
    let problem = subscription.item(KEY).unwrap().problem.as_ref().unwrap();
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    contract_is(namespace, "lprint", "PromiseMissed").await;

    let right = ipp("printer-geo-location", IppSyntax::Uri, set);
    let right = model(namespace, "label", &product, right, ValueType::String);
    namespace.apply::<DeviceModel>(&right).await.unwrap();
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(promise_state(&subscription), PromiseState::Missed);
    let read = IppClient::new()
        .get(&lprint.uri("lab1"), &["printer-geo-location"])
        .await
        .unwrap();
    assert_eq!(read.text("printer-geo-location").as_deref(), Some(place));
    let compensation = calculated(namespace).await;
    assert_credit(&compensation, start, late(&subscription));
    contract_says(namespace, "lprint", "Ready", "Delivered").await;
    every_reason_is_listed(namespace).await;
}

// shows B7 D1
#[tokio::test]
async fn lprint_takes_through_its_system_service_where_the_host_stands() {
    let namespace = test_namespace("lprint-system").await;
    let namespace = &namespace;
    // Its identity is made of the queue's name, and one identity belongs to one Device.
    let lprint = LprintServer::start(&["hall"]).await.unwrap();
    let url = format!("ipp://{{address}}:{}/ipp/print/{{queue}}", lprint.port());
    namespace
        .apply::<Connection>(&namespace.ipp_connection("devices", &url))
        .await
        .unwrap();
    let by = |product: &str, operation| {
        let via = ipp("system-location", IppSyntax::Text, operation);
        model(namespace, "host", product, via, ValueType::String)
    };
    let product = product(&lprint.uri("hall")).await;
    namespace
        .apply::<DeviceModel>(&by(&product, IppOperation::SetPrinterAttributes))
        .await
        .unwrap();
    namespace
        .apply::<SmartService>(&service(namespace, "Lobby"))
        .await
        .unwrap();
    namespace
        .apply::<Device>(&device(namespace, "host-1", "host", Some("hall")))
        .await
        .unwrap();
    let entry = namespace.entry("placing", "placing", &["host-1"], "15m");
    namespace
        .apply(&namespace.contract("lprint-system", now(), vec![entry]))
        .await
        .unwrap();
    // No printer has it, so a request to a printer does not find it.
    let parts = ["lprint-system", "placing", "host-1"];
    subscription_is(namespace, parts, "Stalled").await;

    namespace
        .apply::<DeviceModel>(&by(&product, IppOperation::SetSystemAttributes))
        .await
        .unwrap();
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    let item = subscription.item(KEY).expect("it is there");
    assert_eq!(item.attempts, Some(1), "{item:?}");
    let read = IppClient::new()
        .get_system(&lprint.system_uri(), &["system-location"])
        .await
        .unwrap();
    assert_eq!(read.text("system-location").as_deref(), Some("Lobby"));
    every_reason_is_listed(namespace).await;
}

/// Returns a model with one setting of the printer and one of its host.
fn model_of_both(namespace: &TestNamespace<'_>, name: &str, product: &str) -> DeviceModel {
    let set = IppOperation::SetPrinterAttributes;
    let via = ipp("printer-geo-location", IppSyntax::Uri, set);
    let mut model = model(namespace, name, product, via, ValueType::String);
    let mut room = model.spec.settings[0].clone();
    "room".clone_into(&mut room.name);
    room.via.ipp = Some(ipp(
        "system-location",
        IppSyntax::Text,
        IppOperation::SetSystemAttributes,
    ));
    model.spec.settings.push(room);
    model
}

/// A second way to a host, on which nothing listens before it is joined.
struct Detour {
    listens: std::net::SocketAddr,
    leads_to: u16,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Detour {
    /// Reserves a port; nothing listens there before it is joined.
    fn to(port: u16) -> Self {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            listens: taken.local_addr().unwrap(),
            leads_to: port,
            running: None,
        }
    }

    async fn join(&mut self) {
        let listener = tokio::net::TcpListener::bind(self.listens).await.unwrap();
        let target = self.leads_to;
        self.running = Some(tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let far = tokio::net::TcpStream::connect(("127.0.0.1", target)).await;
                    if let Ok(mut far) = far {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        }));
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

// shows B7 D1 D9 K4
#[tokio::test]
async fn a_device_with_two_connections_has_one_of_them_down_and_the_other_goes_on() {
    let namespace = test_namespace("two-ways").await;
    let namespace = &namespace;
    let lprint = LprintServer::start(&["annex"]).await.unwrap();
    let mut detour = Detour::to(lprint.port());
    let printer = format!("ipp://{{address}}:{}/ipp/print/{{queue}}", lprint.port());
    let system = format!("ipp://{{address}}:{}/ipp/system", detour.listens.port());
    for (name, url) in [("devices", &printer), ("systems", &system)] {
        let connection = namespace.ipp_connection(name, url);
        namespace.apply::<Connection>(&connection).await.unwrap();
    }
    let product = product(&lprint.uri("annex")).await;
    let annex = model_of_both(namespace, "annex", &product);
    namespace.apply::<DeviceModel>(&annex).await.unwrap();
    let mut service = service(namespace, "geo:1,1");
    let wanted = &mut service.spec.device.as_mut().unwrap().settings;
    wanted.push(WantedSetting {
        name: "room".to_owned(),
        value: Some("Annex".to_owned()),
        ..WantedSetting::default()
    });
    namespace.apply::<SmartService>(&service).await.unwrap();
    let mut device = device(namespace, "annex", "annex", Some("annex"));
    device.spec.connections.push(DeviceConnection {
        name: namespace.named("systems"),
        ..DeviceConnection::default()
    });
    namespace.apply::<Device>(&device).await.unwrap();
    let entry = namespace.entry("placing", "placing", &["annex"], "15m");
    namespace
        .apply(&namespace.contract("two-ways", now(), vec![entry]))
        .await
        .unwrap();

    // One way is down: its own setting has that reason, and the other is in effect.
    let parts = ["two-ways", "placing", "annex"];
    let subscription = subscription_says(namespace, parts, "Delivered", "Unreachable").await;
    let state =
        |subscription: &ServiceSubscription, key: &str| subscription.item(key).unwrap().state;
    assert_eq!(state(&subscription, KEY), ItemState::Effective);
    let room = subscription.item("DeviceSetting/room").unwrap();
    assert_eq!(room.state, ItemState::Unknown);
    let problem = room.problem.as_ref().unwrap();
    assert_eq!(problem.outcome, Reason::Unreachable);

    detour.join().await;
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(
        state(&subscription, "DeviceSetting/room"),
        ItemState::Effective
    );
    let read = IppClient::new()
        .get_system(&lprint.system_uri(), &["system-location"])
        .await
        .unwrap();
    assert_eq!(read.text("system-location").as_deref(), Some("Annex"));
    every_reason_is_listed(namespace).await;
}

// shows B5 D1
#[tokio::test]
async fn cupsd_takes_through_its_own_operation_what_it_ignores_through_the_standard_one() {
    let namespace = test_namespace("cups").await;
    let namespace = &namespace;
    let cups = CupsServer::start(&["lab1"]).await.unwrap();
    let url = format!("ipp://{{address}}:{}/printers/{{queue}}", cups.port());
    namespace
        .apply::<Connection>(&namespace.ipp_connection("devices", &url))
        .await
        .unwrap();
    let product = product(&cups.uri("lab1")).await;
    let by = |operation| {
        let via = ipp("print-quality-default", IppSyntax::Enum, operation);
        model(namespace, "queue", &product, via, ValueType::Integer)
    };
    namespace
        .apply::<DeviceModel>(&by(IppOperation::SetPrinterAttributes))
        .await
        .unwrap();
    namespace
        .apply::<SmartService>(&service(namespace, "5"))
        .await
        .unwrap();
    namespace
        .apply::<Device>(&device(namespace, "queue-1", "queue", Some("lab1")))
        .await
        .unwrap();
    let entry = namespace.entry("placing", "placing", &["queue-1"], "15m");
    namespace
        .apply(&namespace.contract("cups", now(), vec![entry]))
        .await
        .unwrap();
    let parts = ["cups", "placing", "queue-1"];
    subscription_says(namespace, parts, "Delivered", "AcceptedNotEffective").await;

    namespace
        .apply::<DeviceModel>(&by(IppOperation::CupsAddModifyPrinter))
        .await
        .unwrap();
    subscription_is(namespace, parts, "Delivered").await;
    let read = IppClient::new()
        .get(&cups.uri("lab1"), &["print-quality-default"])
        .await
        .unwrap();
    assert_eq!(read.text("print-quality-default").as_deref(), Some("5"));
    every_reason_is_listed(namespace).await;
}

// shows K2 K5
#[tokio::test]
async fn helm_does_not_roll_back_a_contract_for_a_printer_that_cannot_be_set_at_all() {
    let namespace = test_namespace("helm").await;
    let namespace = &namespace;
    let printer = IppEvePrinter::start(IppEvePrinterOptions::default())
        .await
        .unwrap();
    let cups = CupsServer::start(&["lab1"]).await.unwrap();
    let set = IppOperation::SetPrinterAttributes;
    for (name, uri) in [("laser", printer.uri()), ("queue", cups.uri("lab1"))] {
        let via = ipp("printer-location", IppSyntax::Text, set);
        let model = model(
            namespace,
            name,
            &product(&uri).await,
            via,
            ValueType::String,
        );
        namespace.apply::<DeviceModel>(&model).await.unwrap();
        // Each printer of this test is reached by a Connection of its own, under its own URL.
        let port = uri
            .rsplit(':')
            .next()
            .and_then(|rest| rest.split('/').next())
            .unwrap();
        let path = uri.rsplit_once(port).unwrap().1;
        let url = format!("ipp://{{address}}:{port}{path}");
        namespace
            .apply::<Connection>(&namespace.ipp_connection(name, &url))
            .await
            .unwrap();
        let mut device = device(namespace, name, name, None);
        device.spec.connections[0].name = namespace.named(name);
        namespace.apply::<Device>(&device).await.unwrap();
    }
    namespace
        .apply::<SmartService>(&service(namespace, "Lobby"))
        .await
        .unwrap();
    let entry = namespace.entry("placing", "placing", &["laser", "queue"], "15m");
    let mut contract = namespace.contract("helm", now(), vec![entry]);
    contract.spec.max_unavailable = Some(IntOrString::Int(1));

    let said = helm(namespace, "install", &contract).await;
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    // It may be Ready, within maxUnavailable, before the device that cannot be set was asked.
    contract_says(namespace, "helm", "DevicesFailing", "DevicesNotProgressing").await;
    let contract = contract_says(namespace, "helm", "Ready", "DeliveredWithExceptions").await;
    assert!(contract.is("Ready") && !contract.is("Stalled") && contract.is("DevicesFailing"));
    let failing = subscription_is(namespace, ["helm", "placing", "laser"], "Stalled").await;
    assert_eq!(failing.reason("Stalled"), "Unsupported");
    let problem = failing.item(KEY).unwrap().problem.as_ref().unwrap();
    assert_eq!(problem.outcome, Reason::Unsupported);
    every_reason_is_listed(namespace).await;
}
