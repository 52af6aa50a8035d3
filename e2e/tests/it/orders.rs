//! Orders of supplies at a server whose idempotency is a middleware of others; prism judges each request by
//! docs/api/orders.yaml.
//!
//! They are orders by hand, for a subscription whose device nobody reaches: how an error leads to one is
//! tried with devices.

mod by_ipp;
mod notifications;
mod occurrence;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use entente_crds::v1alpha1::{
    CancelledOrder, Connection, Contract, Device, OrderCause, OrderDevice, OrderLine, OrderRecord,
    OrderSubscription, RecordCustomer, ServiceSubscription, SmartService, SupplyOrder,
    SupplyOrderSpec, Timeouts,
};
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{OrderServer, OrderServerOptions, Prism};
use entente_simulators::{Fault, FaultKind};
use serde_json::json;

use crate::chart::repository;
use crate::delivery_fixture::test_namespace;
use crate::openapi::spectral_finds_nothing;

const DEVICE: &str = "lobby";
const CONTRACT: &str = "now";

fn document() -> PathBuf {
    repository().join("docs/api/orders.yaml")
}

#[tokio::test]
async fn spectral_finds_nothing_in_the_document() {
    spectral_finds_nothing(&document(), "placeOrder").await;
}

/// Returns a namespace with a service that orders at a URL.
async fn ordering_at(title: &str, url: &str) -> TestNamespace<'static> {
    let namespace = test_namespace(title).await;
    add_supplies(&namespace, url).await;
    namespace
}

/// Applies a service `supplies` that orders at a URL.
pub(crate) async fn add_supplies(namespace: &TestNamespace<'_>, url: &str) {
    let mut connection = namespace.order_connection(url);
    connection.spec.timeouts = Some(Timeouts {
        request: "2s".into(),
        ..Timeouts::default()
    });
    namespace.apply::<Connection>(&connection).await.unwrap();
    let service = namespace.supplies();
    namespace.apply::<SmartService>(&service).await.unwrap();
}

/// Applies a contract of that service on a device that nobody can reach.
pub(crate) async fn contracted(namespace: &TestNamespace<'_>) {
    let device = namespace.device_at(DEVICE, "127.0.0.1", "NW5-0001");
    namespace.apply::<Device>(&device).await.unwrap();
    let entry = namespace.entry("supplies", "supplies", &[DEVICE], "1h");
    let contract = namespace.contract(CONTRACT, now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
}

/// Says in the Connection that the order server does not look at keys.
pub(super) async fn without_keys(namespace: &TestNamespace<'_>) {
    let connections = namespace.catalogue::<Connection>();
    let connection = connections.get(&namespace.named("orders")).await;
    let mut connection = connection.unwrap();
    let promises = json!({"idempotencyKey": "Ignored"});
    connection.spec.orders = serde_json::from_value(promises).unwrap();
    connection.metadata.managed_fields = None;
    connection.metadata.resource_version = None;
    connection.status = None;
    namespace.apply::<Connection>(&connection).await.unwrap();
}

/// Makes an order by hand.
pub(crate) async fn make(namespace: &TestNamespace<'_>, name: &str, part: &str) {
    let subscription = format!("{CONTRACT}.supplies.{DEVICE}");
    let made = namespace
        .soon("the subscription", async || {
            namespace.get::<ServiceSubscription>(&subscription).await
        })
        .await
        .unwrap();
    let record = OrderRecord {
        cause: OrderCause::Manual,
        device: OrderDevice {
            name: DEVICE.to_owned(),
            serial_number: "NW5-0001".to_owned(),
            ..OrderDevice::default()
        },
        subscription: OrderSubscription { name: subscription },
        contract: entente_crds::v1alpha1::NameReference {
            name: CONTRACT.to_owned(),
        },
        customer: RecordCustomer {
            id: made.spec.customer.id.clone(),
        },
        provider: "Northwind".to_owned(),
        connection_ref: namespace.reference("orders"),
        lines: vec![OrderLine {
            supply: Some("black-toner".to_owned()),
            part_number: part.to_owned(),
            quantity: 1,
        }],
        ..OrderRecord::default()
    };
    let spec = SupplyOrderSpec {
        record,
        ..SupplyOrderSpec::default()
    };
    let mut order = SupplyOrder::new(name, spec);
    order.metadata.namespace = Some(namespace.name().to_owned());
    namespace.apply::<SupplyOrder>(&order).await.unwrap();
}

/// Waits until Ready of an order has a reason, and returns the order.
pub(crate) async fn until(namespace: &TestNamespace<'_>, name: &str, reason: &str) -> SupplyOrder {
    let what = format!("{name} has the reason {reason}");
    let look = async || {
        let order = namespace.get::<SupplyOrder>(name).await?;
        let conditions = &order.status.as_ref()?.conditions;
        let ready = conditions.iter().find(|it| it.type_ == "Ready")?;
        (ready.reason == reason).then_some(order)
    };
    let found = namespace.within(Duration::from_mins(3), &what, look).await;
    found.unwrap_or_else(|late| panic!("{late}"))
}

pub(crate) fn id(order: &SupplyOrder) -> String {
    let status = order.status.as_ref().expect("a status");
    status.order.as_ref().expect("an order").id.to_string()
}

// shows A3 A4
#[tokio::test]
async fn each_request_about_an_order_is_one_of_the_document() {
    let server = OrderServer::start(OrderServerOptions::default());
    let server = server.await.unwrap();
    let document = repository().join("docs/api/orders.yaml");
    let prism = Prism::start(&document, &server.url()).await.unwrap();
    let namespace = ordering_at("orders", &prism.url()).await;
    contracted(&namespace).await;
    make(&namespace, "spare", "TN-500K").await;
    let placed = until(&namespace, "spare", "OrderPlaced").await;
    assert_eq!(server.log().len(), 1, "{}", prism.output());
    assert_eq!(server.log()[0].order_id, id(&placed));

    let mut cancelled = placed.clone();
    cancelled.spec.cancelled = Some(CancelledOrder {
        reason: "a spare was found".to_owned(),
    });
    cancelled.status = None;
    cancelled.metadata.managed_fields = None;
    cancelled.metadata.resource_version = None;
    namespace.apply::<SupplyOrder>(&cancelled).await.unwrap();
    // The state is looked at within a minute or two.
    until(&namespace, "spare", "Cancelled").await;

    make(&namespace, "unknown", "UNKNOWN-1").await;
    until(&namespace, "unknown", "ItemUnknown").await;
    let found = prism.output();
    assert!(!found.contains("Invalid request"), "{found}");
}

// shows A9 K5
#[tokio::test]
async fn the_log_of_the_server_has_one_order_for_each_record_whatever_is_lost() {
    let mut server = OrderServer::start(OrderServerOptions::default())
        .await
        .unwrap();
    let namespace = ordering_at("lost", &server.url()).await;
    contracted(&namespace).await;
    let faults = [
        ("plain", None),
        ("cut", Some(FaultKind::ResetAfterCommit)),
        (
            "late",
            Some(FaultKind::Slow {
                milliseconds: 4_000,
            }),
        ),
        (
            "failed",
            Some(FaultKind::HttpStatus {
                status: 500,
                retry_after_seconds: None,
            }),
        ),
        (
            "busy",
            Some(FaultKind::HttpStatus {
                status: 503,
                retry_after_seconds: Some(1),
            }),
        ),
    ];
    let mut expected = BTreeSet::new();
    for (name, fault) in faults {
        if let Some(fault) = fault {
            let fault = Fault::new(fault).for_requests(2);
            server.set_fault(fault).await.unwrap();
        }
        make(&namespace, name, "TN-500K").await;
        expected.insert(id(&until(&namespace, name, "OrderPlaced").await));
    }
    server.kill().await.unwrap();
    make(&namespace, "down", "TN-500K").await;
    until(&namespace, "down", "OrderServerUnavailable").await;
    server.start_again().await.unwrap();
    expected.insert(id(&until(&namespace, "down", "OrderPlaced").await));
    let log = server.log();
    let made: BTreeSet<String> = log.iter().map(|order| order.order_id.clone()).collect();
    assert_eq!((log.len(), made), (6, expected), "{}", server.output());
}

// shows A9
#[tokio::test]
async fn a_server_without_keys_is_asked_for_what_was_lost_and_one_without_both_gets_it_once() {
    let searched = OrderServer::start(OrderServerOptions {
        keys: false,
        search: true,
    });
    let searched = searched.await.unwrap();
    let blind = OrderServer::start(OrderServerOptions {
        keys: false,
        search: false,
    });
    let blind = blind.await.unwrap();
    for (server, title, reason) in [
        (&searched, "searched", "OrderPlaced"),
        (&blind, "blind", "OutcomeUnknown"),
    ] {
        let namespace = ordering_at(title, &server.url()).await;
        contracted(&namespace).await;
        without_keys(&namespace).await;
        let fault = Fault::new(FaultKind::ResetAfterCommit).for_requests(1);
        server.set_fault(fault).await.unwrap();
        make(&namespace, "spare", "TN-500K").await;
        until(&namespace, "spare", reason).await;
        assert_eq!(server.log().len(), 1, "{title}");
    }
}
