//! The operator listens to a device in this process, whose status is asked for once in an hour.

use std::time::Duration;

use entente_crds::{
    example,
    v1alpha1::{Connection, Device, Limit, Limits, Sync},
};
use entente_domain::remote::{FailureKind, PrinterEvent, ReportedFault, StatusReport};
use entente_drivers::fake::{FakeNotifications, Fault, Operation};
use tokio::time::Instant;

use crate::in_process::{InProcess, fake_device};

const NAMESPACE: &str = example::NAMESPACE;
const DEVICE: &str = example::DEVICES[0];
const URL: &str = "ipp://10.20.3.1:631/ipp/print";

/// Returns an operator whose device has notifications, and was asked for its status.
async fn listening(notifications: Option<FakeNotifications>, in_flight: i32) -> InProcess {
    let mut process = InProcess::at("2027-03-01T12:00:00Z");
    let mut device = fake_device("urn:uuid:1");
    device.notifications = notifications;
    process.world.put_device(URL, device);
    report(&process, "none");
    let mut connection = example::hq_ipp();
    connection.spec.sync = Some(Sync {
        status: "1h".into(),
        ..Sync::default()
    });
    connection.spec.limits = Some(Limits {
        per_host: Some(Limit {
            in_flight,
            per_second: 10,
        }),
        ..Limits::default()
    });
    process.cluster.apply::<Connection>(&connection);
    let mut model = example::mfp_500();
    let colour = example::mfp_520().spec;
    (model.spec.supplies, model.spec.errors) = (colour.supplies, colour.errors);
    for error in &mut model.spec.errors {
        error.settle = None;
    }
    process.cluster.apply(&model);
    process.cluster.apply::<Device>(&example::devices()[0]);
    process.start_all();
    let asked = |process: &InProcess| process.world.count(Operation::DeviceStatus) > 0;
    process.until("its status was asked for", asked).await;
    process
}

fn report(process: &InProcess, reason: &str) {
    process.world.change_device(URL, |device| {
        device.report = StatusReport {
            faults: vec![ReportedFault::state_reason(reason)],
            ..StatusReport::default()
        };
        if reason == "none" {
            device.report.faults.clear();
        }
    });
}

fn happens(process: &InProcess, event: PrinterEvent) {
    process.world.change_device(URL, |device| {
        let notifications = device.notifications.get_or_insert_default();
        notifications.events.push(event);
    });
}

fn errors(process: &InProcess) -> usize {
    let device: Option<Device> = process.cluster.get(NAMESPACE, DEVICE);
    let status = device.and_then(|device| device.status);
    status.map_or(0, |status| status.errors.len())
}

fn subscriptions(process: &InProcess) -> usize {
    let device = process.world.device(URL).expect("a device");
    device.notifications.map_or(0, |it| it.subscriptions.len())
}

async fn subscribed(process: &InProcess) {
    let is_subscribed = |process: &InProcess| subscriptions(process) == 1;
    process.until("it is subscribed to", is_subscribed).await;
}

// shows A1
#[tokio::test(start_paused = true)]
async fn an_error_is_noticed_when_the_printer_notifies_and_not_at_the_next_report() {
    let process = listening(Some(FakeNotifications::default()), 1).await;
    subscribed(&process).await;
    let began = Instant::now();
    report(&process, "toner-empty");
    happens(&process, PrinterEvent::StateChanged);
    process
        .until("the error is known", |it| errors(it) > 0)
        .await;
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "{:?}",
        began.elapsed()
    );
}

// shows A1
#[tokio::test(start_paused = true)]
async fn without_notifications_it_is_noticed_at_the_next_report() {
    let process = listening(None, 1).await;
    report(&process, "toner-empty");
    process.let_pass(Duration::from_mins(50)).await;
    assert_eq!(errors(&process), 0);
    process
        .until("the error is known", |it| errors(it) > 0)
        .await;
    assert_eq!(process.world.count(Operation::NotificationsChange), 0);
}

// shows A1
#[tokio::test(start_paused = true)]
async fn a_notification_without_a_change_makes_nothing_known() {
    let process = listening(Some(FakeNotifications::default()), 1).await;
    subscribed(&process).await;
    let asked = process.world.count(Operation::DeviceStatus);
    let writes = process.cluster.writes().len();
    happens(&process, PrinterEvent::StateChanged);
    let was_asked = |it: &InProcess| it.world.count(Operation::DeviceStatus) > asked;
    process.until("its status is asked for", was_asked).await;
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(process.world.count(Operation::DeviceStatus), asked + 1);
    assert_eq!(
        (errors(&process), process.cluster.writes().len()),
        (0, writes)
    );
}

// shows A1
#[tokio::test(start_paused = true)]
async fn a_changed_setting_has_the_settings_read() {
    let process = listening(Some(FakeNotifications::default()), 1).await;
    subscribed(&process).await;
    let read = process.world.count(Operation::DeviceObserve);
    happens(&process, PrinterEvent::ConfigChanged);
    let was_read = |it: &InProcess| it.world.count(Operation::DeviceObserve) > read;
    process.until("its settings are read", was_read).await;
}

// shows A1
#[tokio::test(start_paused = true)]
async fn a_printer_that_has_forgotten_us_is_subscribed_to_anew_and_looked_at() {
    let process = listening(Some(FakeNotifications::default()), 1).await;
    subscribed(&process).await;
    let fetched = process.world.count(Operation::NotificationsAsk);
    let was_asked = |it: &InProcess| it.world.count(Operation::NotificationsAsk) > fetched;
    process.until("its events are asked for", was_asked).await;
    process.world.change_device(URL, |device| {
        device.notifications = Some(FakeNotifications {
            last: 40,
            ..FakeNotifications::default()
        });
    });
    report(&process, "toner-empty");
    process
        .until("the error is known", |it| errors(it) > 0)
        .await;
    subscribed(&process).await;
}

// shows A1
#[tokio::test(start_paused = true)]
async fn a_device_that_is_suspended_is_not_listened_to() {
    let process = listening(Some(FakeNotifications::default()), 1).await;
    subscribed(&process).await;
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |device: &mut Device| {
            device.spec.suspend = true;
        });
    process.let_pass(Duration::from_mins(1)).await;
    let asked = process.world.count(Operation::NotificationsAsk);
    process.let_pass(Duration::from_hours(2)).await;
    assert_eq!(process.world.count(Operation::NotificationsAsk), asked);
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |device: &mut Device| {
            device.spec.suspend = false;
        });
    let was_asked = |it: &InProcess| it.world.count(Operation::NotificationsAsk) > asked;
    process.until("it is listened to again", was_asked).await;
}

// shows A1
#[tokio::test(start_paused = true)]
async fn a_held_answer_wakes_at_once_and_keeps_neither_reports_nor_the_end_waiting() {
    let notifications = FakeNotifications {
        holds_for: Some(Duration::from_secs(30)),
        ..FakeNotifications::default()
    };
    let mut process = listening(Some(notifications), 2).await;
    subscribed(&process).await;
    // The first request for events is held by now.
    process.let_pass(Duration::from_secs(15)).await;
    let began = Instant::now();
    report(&process, "toner-empty");
    happens(&process, PrinterEvent::StateChanged);
    process
        .until("the error is known", |it| errors(it) > 0)
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    process.let_pass(Duration::from_secs(15)).await;
    let began = Instant::now();
    process.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

// shows A1 K7
#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_over_notifications_disturbs_no_report() {
    let process = listening(Some(FakeNotifications::default()), 1).await;
    for operation in [Operation::NotificationsAsk, Operation::NotificationsChange] {
        process.world.script(None, operation, Fault::Panic, 3);
        let refused = Fault::fail(FailureKind::Unauthorized);
        process.world.script(None, operation, refused, 1);
    }
    report(&process, "toner-empty");
    process
        .until("the error is known", |it| errors(it) > 0)
        .await;
}
