//! A service works on a device only while its contract is in force, its switch there is on, and the device can
//! do it: each leg missing once, alone, and the service server told of it.

use std::time::Duration;

use entente_crds::v1alpha1::{
    ActivationMode, Cause, ConsentWay, Contract, Device, DeviceModel, LocalEnablement,
    PromiseState, ServiceSubscription, SmartService, Supply,
};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::{TestNamespace, now, starting_in};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fixture::CallingFixture;
use super::played::{CONTRACT, Played};
use crate::delivery_fixture::brief;

/// A test asks more often than a device may.
pub(super) const UNLIMITED: [&str; 2] = ["--address-requests=0", "--device-requests=0"];
const DEVICE: &str = "behind";

fn word(active: bool, by: &str) -> Value {
    json!({"active": active, "by": by})
}

/// Applies a contract of the service `backup` on devices, which is in force.
async fn begin(fixture: &CallingFixture<'_>, devices: &[&str]) {
    let namespace = &fixture.namespace;
    let entry = namespace.entry("backup", "data-backup", devices, "1h");
    let contract = namespace.contract(CONTRACT, now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
}

/// Returns the number of requests that turned a service on at the service server.
fn turned_on(namespace: &TestNamespace<'_>) -> usize {
    let writes = namespace.ledger().writes();
    let values = writes.iter().map(|it| it.value("/parameters/enabled"));
    values.filter(|it| *it == Some("true")).count()
}

/// True if the only instance at the service server is turned on.
fn is_on(fixture: &CallingFixture<'_>) -> bool {
    let instances = fixture.broker.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    instances[0].parameters["enabled"] == json!(true)
}

/// Returns the cause and the reason of the delay that lasts.
fn delay(subscription: &ServiceSubscription) -> (Cause, &str) {
    let promise = subscription.promises().first().expect("a promise");
    assert_eq!(promise.completed, None, "{promise:?}");
    let delay = promise.delays.last().expect("a delay");
    assert_eq!(delay.until, None, "{promise:?}");
    (delay.cause, &delay.reason)
}

/// Waits until the Device says that its switch of the service `data-backup` was used last in this way.
async fn switched(namespace: &TestNamespace<'_>, by: ConsentWay) -> LocalEnablement {
    let service = namespace.named("data-backup");
    let look = async || {
        let switches = namespace
            .read_device(DEVICE)
            .await?
            .status?
            .local_enablement;
        let mut switches = switches.into_iter();
        switches.find(|it| it.service == service && it.by == by)
    };
    let what = format!("the switch was used by {by:?}");
    namespace.soon(&what, look).await.unwrap()
}

fn nothing_was_sent_twice(namespace: &TestNamespace<'_>) {
    let twice = namespace.ledger().duplicates();
    assert_eq!(brief(&twice), [""; 0]);
}

// shows C5 C6 D9
#[tokio::test]
async fn a_service_that_waits_for_its_device_is_turned_on_when_it_asks_and_not_before() {
    let fixture = CallingFixture::with_flags("asked", "24h", &UNLIMITED).await;
    let namespace = &fixture.namespace;
    let mut service = namespace.backup();
    service.spec.activation = ActivationMode::ByDevice;
    namespace.apply::<SmartService>(&service).await.unwrap();
    begin(&fixture, &[DEVICE]).await;
    let mut device = Played::register(&fixture, (DEVICE, "NW5-0031"), Value::Null).await;
    let waits = device.is_set_up("backup").await;
    assert_eq!(waits.reason("Activated"), "WaitingForDevice");
    assert_eq!(waits.reason("Delivered"), "WaitingForDevice");
    assert_eq!(delay(&waits), (Cause::Device, "WaitingForDevice"));
    assert!(!is_on(&fixture));
    assert_eq!(turned_on(namespace), 0);
    let listed = device.listed("backup").await.expect("a service");
    assert_eq!(listed["state"], "Inactive");
    assert_eq!(listed["activation"], "ByDevice");

    let asked = now();
    let answer = device.says("backup", &word(true, "Panel")).await;
    let answered = Timestamp::now();
    let (status, body) = &answer;
    assert_eq!((*status, &body["state"]), (200, &json!("Active")), "{body}");
    let instances = fixture.broker.instances();
    assert_eq!(body["provider"]["reference"], instances[0].id);
    assert!(is_on(&fixture));
    assert_eq!(turned_on(namespace), 1);
    let delivered = device.is_said("backup", "Active").await;
    assert!(delivered.is("Delivered"), "{delivered:#?}");
    let promise = &delivered.promises()[0];
    let completed = promise.completed.expect("it is complete");
    assert!(asked <= completed && completed <= answered, "{promise:?}");
    assert_eq!(promise.state, PromiseState::Kept);
    let again = device.says("backup", &word(true, "Panel")).await;
    assert_eq!(again, answer, "it is the same word");
    nothing_was_sent_twice(namespace);
}

// shows C5 C6
#[tokio::test]
async fn a_device_that_asks_before_the_beginning_is_refused_and_turned_on_when_it_begins() {
    let fixture = CallingFixture::with_flags("ahead", "24h", &UNLIMITED).await;
    let namespace = &fixture.namespace;
    let mut service = namespace.backup();
    service.spec.activation = ActivationMode::ByDevice;
    namespace.apply::<SmartService>(&service).await.unwrap();
    let mut device = Played::register(&fixture, (DEVICE, "NW5-0037"), Value::Null).await;
    let start = starting_in(Duration::from_secs(12));
    let contract = fixture.contract(CONTRACT, DEVICE, start);
    namespace.apply::<Contract>(&contract).await.unwrap();
    let listed = async || device.listed("backup").await;
    let listed = namespace.soon("it is listed", listed).await.unwrap();
    assert_eq!(listed["state"], "Scheduled");
    let (status, body) = device.says("backup", &word(true, "Panel")).await;
    assert!(Timestamp::now() < start, "it was in time");
    assert_eq!((status, &body["reason"]), (409, &json!("NotInForce")));
    assert_eq!(body["missing"], json!(["NotInForce"]));
    let ahead = device.is_said("backup", "NotInForce").await;
    assert!(!ahead.is("Activated"), "{ahead:#?}");

    let is_on_now = device.is_said("backup", "Active").await;
    let activation = is_on_now.status.and_then(|it| it.activation);
    assert!(activation.expect("it has begun").since >= start);
    assert_eq!(brief(&namespace.ledger().writes_before(start)), [""; 0]);
    assert!(is_on(&fixture));
}

// shows C5 C6 C15 D9
#[tokio::test]
async fn a_service_that_is_switched_off_at_the_panel_is_off_at_its_server_at_the_customers_cost() {
    let fixture = CallingFixture::with_flags("panel", "24h", &UNLIMITED).await;
    let namespace = &fixture.namespace;
    begin(&fixture, &[DEVICE]).await;
    let mut device = Played::register(&fixture, (DEVICE, "NW5-0032"), Value::Null).await;
    let listed = async || device.listed("backup").await;
    namespace.soon("it is listed", listed).await.unwrap();
    let inactive = (200, json!({"state": "Inactive"}));
    let off = word(false, "Panel");
    assert_eq!(device.says("backup", &off).await, inactive);
    let is_off = device.is_set_up("backup").await;
    assert_eq!(is_off.reason("Activated"), "DisabledLocally");
    assert_eq!(is_off.reason("Delivered"), "DisabledLocally");
    assert_eq!(delay(&is_off), (Cause::Customer, "DisabledLocally"));
    assert!(!is_on(&fixture));
    assert_eq!(turned_on(namespace), 0);
    let listed = device.listed("backup").await.expect("a service");
    assert_eq!(listed["missing"], json!(["DisabledLocally"]));

    let (status, body) = device.says("backup", &word(true, "Panel")).await;
    assert_eq!((status, &body["state"]), (200, &json!("Active")), "{body}");
    assert!(is_on(&fixture));
    let is_on_now = device.is_said("backup", "Active").await;
    let completed = is_on_now.promises()[0].completed;
    assert!(completed.is_some(), "{is_on_now:#?}");

    // Once more, when it had been on.
    let off = word(false, "Technician");
    assert_eq!(device.says("backup", &off).await, inactive);
    let is_off = device.is_off("backup").await;
    assert!(!is_on(&fixture), "its server was told");
    assert_eq!(is_off.promises()[0].completed, completed, "what was kept");
    let switch = switched(namespace, ConsentWay::Technician).await;
    assert!(!switch.enabled, "{switch:?}");
    let (status, body) = device.says("backup", &word(true, "Panel")).await;
    assert_eq!((status, &body["state"]), (200, &json!("Active")), "{body}");
    assert!(is_on(&fixture));
    nothing_was_sent_twice(namespace);
}

/// Names the service in the spec of the Device as one that is switched off there, or does not.
async fn command(namespace: &TestNamespace<'_>, serial_number: &str, disables: bool) {
    let mut device = namespace.calling_device(DEVICE, serial_number);
    let services = disables.then(|| namespace.named("data-backup"));
    device.spec.disabled_services = services.into_iter().collect();
    namespace.apply::<Device>(&device).await.unwrap();
}

// shows C15
#[tokio::test]
async fn a_command_switches_off_until_somebody_at_the_panel_says_otherwise() {
    let fixture = CallingFixture::with_flags("command", "24h", &UNLIMITED).await;
    let namespace = &fixture.namespace;
    begin(&fixture, &[DEVICE]).await;
    let serial_number = "NW5-0033";
    let mut device = Played::register(&fixture, (DEVICE, serial_number), Value::Null).await;
    device.is_said("backup", "Active").await;
    command(namespace, serial_number, true).await;
    device.is_off("backup").await;
    assert!(!is_on(&fixture));
    let by_command = switched(namespace, ConsentWay::Command).await;
    assert!(by_command.listed && !by_command.enabled);

    let (status, body) = device.says("backup", &word(true, "Panel")).await;
    assert_eq!((status, &body["state"]), (200, &json!("Active")), "{body}");
    assert!(is_on(&fixture));
    let at_the_panel = switched(namespace, ConsentWay::Panel).await;
    assert!(at_the_panel.listed && at_the_panel.enabled);
    let is_on_now = device.is_said("backup", "Active").await;
    assert!(is_on_now.is("Delivered"), "{is_on_now:#?}");

    // A command that is given anew counts again, and so does its end.
    command(namespace, serial_number, false).await;
    let unlisted = switched(namespace, ConsentWay::Command).await;
    assert!(unlisted.enabled && !unlisted.listed);
    command(namespace, serial_number, true).await;
    device.is_off("backup").await;
    assert!(!is_on(&fixture));
    command(namespace, serial_number, false).await;
    device.is_said("backup", "Active").await;
    assert!(is_on(&fixture));
    nothing_was_sent_twice(namespace);
}

// shows C14
#[tokio::test]
async fn a_device_that_cannot_use_the_supply_of_a_service_is_never_turned_on() {
    let fixture = CallingFixture::with_flags("supplies", "24h", &UNLIMITED).await;
    let namespace = &fixture.namespace;
    let mut model = namespace.model();
    model.spec.supplies = vec![Supply {
        row: None,
        name: "black-toner".to_owned(),
        part_number: "TN-500".to_owned(),
    }];
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let mut service = namespace.backup();
    let side = service.spec.device.as_mut().expect("a device side");
    side.supplies = vec!["TN-500K".to_owned()];
    namespace.apply::<SmartService>(&service).await.unwrap();
    let device = namespace.calling_device("able", "NW5-0035");
    namespace.apply::<Device>(&device).await.unwrap();
    begin(&fixture, &[DEVICE, "able"]).await;
    let mut device = Played::register(&fixture, (DEVICE, "NW5-0034"), Value::Null).await;
    let unable = device.is_set_up("backup").await;
    assert_eq!(unable.reason("Activated"), "UnsupportedByDevice");
    assert!(unable.message("Activated").contains("TN-500K"));
    assert!(unable.is("Stalled"), "{unable:#?}");
    assert_eq!(delay(&unable), (Cause::Device, "UnsupportedByDevice"));
    let listed = device.listed("backup").await.expect("a service");
    assert_eq!(listed["requires"]["supplies"], json!(["TN-500K"]));
    assert_eq!(listed["missing"], json!(["UnsupportedByDevice"]));
    let (status, body) = device.says("backup", &word(true, "Panel")).await;
    assert_eq!(
        (status, &body["reason"]),
        (409, &json!("UnsupportedByDevice"))
    );
    assert_eq!(body["missing"], json!(["UnsupportedByDevice"]));
    assert!(!is_on(&fixture));
    assert_eq!(turned_on(namespace), 0);

    // Words of a device on itself count before those of its model.
    let supplies = json!({"supplies": ["TN-500K"]});
    let mut able = Played::register(&fixture, ("able", "NW5-0035"), supplies).await;
    let is_on_now = able.is_said("backup", "Active").await;
    assert!(is_on_now.is("Delivered"), "{is_on_now:#?}");
    assert_eq!(turned_on(namespace), 1);
    let unable = device.is_said("backup", "UnsupportedByDevice").await;
    assert!(!unable.is("Delivered"));
}
