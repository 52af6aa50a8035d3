//! Tests of the whole order controller against an API server and an order server in this process.

use std::time::Duration;

use entente_crds::{
    example,
    v1alpha1::{
        CancelledOrder, Connection, Device, DeviceStatus, ErrorState, OrderCause, OrderState,
        ServiceSubscription, SmartService, SupplyOrder,
    },
};
use entente_drivers::fake::{FakeOrderServer, Fault, Operation};
use kube::ResourceExt as _;
use serde_json::json;

use super::SupplyOrders;
use crate::{
    in_process::{InProcess, Parts, comes_and_goes, edited, says, woken},
    supply_orders::triggers,
};

const NAMESPACE: &str = example::NAMESPACE;
const NAME: &str = "lobby-mfp.toner-empty.black-toner.7";
const URL: &str = "https://orders.northwind.example/";

fn orders(parts: Parts) -> SupplyOrders {
    SupplyOrders::new(parts.context, parts.objects, parts.profiles)
}

/// The Connection of the examples without a login.
fn connection() -> Connection {
    let mut connection = example::northwind_orders();
    connection.spec.credentials = None;
    connection
}

fn subscription() -> ServiceSubscription {
    let mut subscription = example::service_subscription();
    subscription.metadata.name = Some("banco-sul-2027.supplies.lobby-mfp".to_owned());
    subscription
}

fn service() -> SmartService {
    let mut service = example::data_backup();
    service.spec.provider = "Northwind".to_owned();
    let orders = json!({"connectionRef": {"name": "northwind-orders"}});
    service.spec.orders = Some(serde_json::from_value(orders).expect("orders"));
    service
}

/// A device whose black toner is empty, for which an order is decided on.
fn device() -> Device {
    let mut device = example::devices()[0].clone();
    let service = service().name_any();
    let error = json!([{
        "key": "TonerEmpty/black-toner",
        "type": "TonerEmpty",
        "unit": "black-toner",
        "occurrence": 7,
        "state": "Open",
        "since": "2027-05-12T09:14:03Z",
        "detail": "toner-empty-error",
        "order": {
            "name": NAME,
            "subscription": subscription().name_any(),
            "service": service,
        },
    }]);
    device.status = Some(DeviceStatus {
        errors: serde_json::from_value(error).expect("errors"),
        ..DeviceStatus::default()
    });
    device
}

fn apply_catalogue(process: &InProcess) {
    let mut model = example::mfp_500();
    let supplies = json!([{"name": "black-toner", "partNumber": "TN-500K"}]);
    model.spec.supplies = serde_json::from_value(supplies).expect("supplies");
    process.cluster.apply(&model);
    process.cluster.apply(&connection());
    process.cluster.apply(&service());
    process.cluster.apply(&subscription());
}

/// An API server with the catalogue and the device, and an order server.
fn prepared(server: FakeOrderServer) -> InProcess {
    let process = InProcess::at("2027-05-12T09:15:03Z");
    apply_catalogue(&process);
    process.world.put_order_server(URL, server);
    process
}

async fn started(server: FakeOrderServer) -> InProcess {
    let mut process = prepared(server);
    process.cluster.apply(&device());
    process.start(orders).await;
    process
}

fn order(process: &InProcess) -> Option<SupplyOrder> {
    process.cluster.get(NAMESPACE, NAME)
}

fn ready(process: &InProcess) -> String {
    let status = order(process).and_then(|order| order.status);
    says(&status.unwrap_or_default().conditions, "Ready")
}

fn log(process: &InProcess) -> Vec<String> {
    let server = process.world.order_server(URL).expect("a server");
    server.orders.iter().map(|order| order.id.clone()).collect()
}

async fn until(process: &InProcess, expected: &str) {
    let what = format!("the order says {expected}");
    process
        .until(&what, |process| ready(process) == expected)
        .await;
}

// shows A3 A4 A5
#[tokio::test(start_paused = true)]
async fn an_error_of_a_device_becomes_a_record_an_order_and_an_id() {
    let process = started(FakeOrderServer::default()).await;
    until(&process, "True(OrderPlaced)").await;
    assert_eq!(log(&process), ["PO-1"]);
    let order = order(&process).expect("an order");
    assert_eq!(order.spec.record.lines[0].part_number, "TN-500K");
    assert_eq!(order.metadata.owner_references, None);
    let status = order.status.expect("a status");
    assert_eq!(status.order.expect("an order").id, "PO-1");
    let placed = process.world.ledger();
    let placed = placed
        .iter()
        .find(|call| call.operation == Operation::OrderPlace);
    let body = &placed.expect("a call").values["body"];
    assert_eq!(body["error"]["id"], "lobby-mfp/TonerEmpty/black-toner/7");
    assert_eq!(body["device"]["serialNumber"], "NW500-0001");
}

// shows A5 A9
#[tokio::test(start_paused = true)]
async fn an_order_that_was_decided_on_is_made_once_also_when_the_error_ended_before() {
    let mut process = prepared(FakeOrderServer::default());
    let mut device = device();
    let error = &mut device.status.as_mut().expect("a status").errors[0];
    error.state = ErrorState::Closed;
    process.cluster.apply(&device);
    process.start(orders).await;
    until(&process, "True(OrderPlaced)").await;
    assert_eq!(log(&process), ["PO-1"]);
    // Delivery has noted it; a person removes the record.
    process
        .cluster
        .edit(NAMESPACE, "lobby-mfp", |device: &mut Device| {
            let error = &mut device.status.as_mut().expect("a status").errors[0];
            error.order.as_mut().expect("an order").recorded = true;
        });
    process.let_pass(Duration::from_mins(1)).await;
    process.cluster.delete::<SupplyOrder>(NAMESPACE, NAME);
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(process.cluster.names::<SupplyOrder>(), [""; 0]);
    assert_eq!(log(&process), ["PO-1"]);
}

// shows A9 K5
#[tokio::test(start_paused = true)]
async fn an_order_is_one_order_wherever_the_operator_is_killed_and_whatever_is_lost() {
    for fault in [
        Fault::LoseAnswer,
        Fault::Hang,
        Fault::Panic,
        Fault::Async { polls: 2 },
    ] {
        let mut process = prepared(FakeOrderServer::default());
        process.cluster.apply(&device());
        process
            .world
            .script(None, Operation::OrderPlace, fault.clone(), 1);
        process.start(orders).await;
        let asked = |process: &InProcess| process.world.count(Operation::OrderPlace) > 0;
        process.until("it is asked for", asked).await;
        process.kill();
        process.start(orders).await;
        until(&process, "True(OrderPlaced)").await;
        assert_eq!(log(&process), ["PO-1"], "{fault:?}");
    }
}

// shows A9
#[tokio::test(start_paused = true)]
async fn a_server_without_keys_and_searches_gets_an_order_once() {
    let server = FakeOrderServer {
        honours_key: false,
        is_searchable: false,
        ..FakeOrderServer::default()
    };
    let mut process = prepared(server);
    let mut connection = connection();
    let without = json!({"idempotencyKey": "Ignored"});
    connection.spec.orders = Some(serde_json::from_value(without).expect("promises"));
    process.cluster.apply(&connection);
    process.cluster.apply(&device());
    process
        .world
        .script(None, Operation::OrderPlace, Fault::LoseAnswer, 1);
    process.start(orders).await;
    until(&process, "False(OutcomeUnknown)").await;
    process.let_pass(Duration::from_hours(48)).await;
    assert_eq!(process.world.count(Operation::OrderPlace), 1);
    process
        .cluster
        .edit(NAMESPACE, NAME, |order: &mut SupplyOrder| {
            let found = json!({"orderId": "PO-1"});
            order.spec.found = serde_json::from_value(found).expect("an id");
        });
    until(&process, "True(OrderPlaced)").await;
}

// shows A10
#[tokio::test(start_paused = true)]
async fn an_order_is_followed_until_it_is_delivered_and_a_pass_over_it_sends_nothing_more() {
    let process = started(FakeOrderServer::default()).await;
    until(&process, "True(OrderPlaced)").await;
    process.world.change_order_server(URL, |server| {
        server.orders[0].state = Some(OrderState::Delivered);
        server.orders[0].tracking = Some("1Z 999".to_owned());
    });
    let is_closed = |process: &InProcess| {
        let status = order(process).and_then(|order| order.status);
        status.is_some_and(|status| status.closed.is_some())
    };
    process.until("it is closed", is_closed).await;
    let calls = process.world.ledger().len();
    process.let_pass(Duration::from_hours(48)).await;
    assert_eq!(process.world.ledger().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_person_cancels_an_order_and_makes_another_by_hand() {
    let process = started(FakeOrderServer::default()).await;
    until(&process, "True(OrderPlaced)").await;
    process
        .cluster
        .edit(NAMESPACE, NAME, |order: &mut SupplyOrder| {
            order.spec.cancelled = Some(CancelledOrder {
                reason: "the wrong colour".to_owned(),
            });
        });
    until(&process, "True(Cancelled)").await;
    let mut spare = example::supply_order();
    spare.metadata.name = Some("spare".to_owned());
    let record = &mut spare.spec.record;
    (record.cause, record.error, record.reference) = (OrderCause::Manual, None, None);
    process.cluster.apply(&spare);
    let is_placed = |process: &InProcess| {
        let spare: Option<SupplyOrder> = process.cluster.get(NAMESPACE, "spare");
        let status = spare.and_then(|spare| spare.status).unwrap_or_default();
        says(&status.conditions, "Ready") == "True(OrderPlaced)"
    };
    process.until("the other is placed", is_placed).await;
    assert_eq!(log(&process), ["PO-1", "PO-2"]);
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_missing_or_refuses_the_namespace_is_named_and_then_used() {
    let process = started(FakeOrderServer::default()).await;
    until(&process, "True(OrderPlaced)").await;

    let mut process = prepared(FakeOrderServer::default());
    let mut refusing = connection();
    refusing.spec.allow[0].namespaces = serde_json::from_value(json!({
        "matchLabels": {"kubernetes.io/metadata.name": "somebody-else"}
    }))
    .expect("a selector");
    process.cluster.apply(&refusing);
    process.cluster.apply(&device());
    process.start(orders).await;
    until(&process, "False(NotAllowed)").await;
    assert_eq!(process.world.ledger().len(), 0, "nothing was sent");
    process.cluster.apply(&connection());
    until(&process, "True(OrderPlaced)").await;
}

// shows A9 K2
#[tokio::test(start_paused = true)]
async fn a_record_that_waits_for_the_catalogue_is_made_when_it_is_there() {
    let mut process = InProcess::at("2027-05-12T09:15:03Z");
    process
        .world
        .put_order_server(URL, FakeOrderServer::default());
    process.cluster.apply(&device());
    process.start(orders).await;
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(process.cluster.names::<SupplyOrder>(), [""; 0]);
    let notice = |process: &InProcess| {
        let reason = "SupplyOrderNotRecorded Device lobby-mfp";
        process.cluster.events().iter().any(|it| it == reason)
    };
    process.until("it is said", notice).await;
    apply_catalogue(&process);
    until(&process, "True(OrderPlaced)").await;
}

// shows A8 A10
#[tokio::test(start_paused = true)]
async fn what_the_device_says_of_message_and_supply_comes_into_the_record() {
    let process = started(FakeOrderServer::default()).await;
    until(&process, "True(OrderPlaced)").await;
    process
        .cluster
        .edit(NAMESPACE, "lobby-mfp", |device: &mut Device| {
            let message = json!([{
                "id": NAME, "connection": "panel", "via": "IPP", "language": "en",
                "text": "Ordered PO-1", "state": "Sent", "at": "2027-05-12T09:16:00Z",
            }]);
            let status = device.status.as_mut().expect("a status");
            status.messages = serde_json::from_value(message).expect("messages");
        });
    let displayed = |process: &InProcess| {
        let status = order(process)
            .and_then(|order| order.status)
            .unwrap_or_default();
        says(&status.conditions, "Displayed")
    };
    let is_sent = |process: &InProcess| displayed(process) == "Unknown(MessageSent)";
    process.until("the message was sent", is_sent).await;
    process
        .cluster
        .edit(NAMESPACE, "lobby-mfp", |device: &mut Device| {
            let status = device.status.as_mut().expect("a status");
            status.errors[0].replaced = Some("2027-05-12T10:00:00Z".parse().expect("an instant"));
        });
    until(&process, "True(SupplyReplaced)").await;
}

#[tokio::test(start_paused = true)]
async fn each_change_wakes_the_orders_that_it_is_about() {
    let process = started(FakeOrderServer::default()).await;
    until(&process, "True(OrderPlaced)").await;
    let (parts, _trigger) = process.parts().await;
    let controller = orders(parts);
    let key = (format!("{NAMESPACE}/{NAME}"), Duration::ZERO);
    for change in comes_and_goes(&device()) {
        let found = woken(&controller, triggers::device, &change).await;
        assert_eq!(found, std::slice::from_ref(&key));
    }
    let mut unlinked = device();
    unlinked.status.as_mut().expect("a status").errors[0].order = None;
    let replaced = edited(&unlinked, |device| {
        let error = &mut device.status.as_mut().expect("a status").errors[0];
        error.replaced = Some(error.since);
    });
    let found = woken(&controller, triggers::device, &replaced).await;
    assert_eq!(
        found,
        std::slice::from_ref(&key),
        "of whatever occurrence it is"
    );
    let label = edited(&device(), |device| device.spec.suspend = true);
    let found = woken(&controller, triggers::device, &label).await;
    assert!(found.is_empty(), "{found:?}");
    let stored = order(&process).expect("an order");
    let cancelled = edited(&stored, |order| order.metadata.generation = Some(9));
    let found = woken(&controller, triggers::order, &cancelled).await;
    assert_eq!(found, std::slice::from_ref(&key));
    let moved = edited(&connection(), |connection| {
        connection.metadata.generation = Some(9);
    });
    let found = woken(&controller, triggers::connection, &moved).await;
    assert_eq!(found, std::slice::from_ref(&key));
    let [comes, _] = comes_and_goes(&subscription());
    let found = woken(&controller, triggers::subscription, &comes).await;
    assert_eq!(found, std::slice::from_ref(&key));
}
