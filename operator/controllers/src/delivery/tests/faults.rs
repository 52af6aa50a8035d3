//! Tests of faults on the device, at the API server and in the operator.

use std::time::Duration;

use entente_crds::{
    condition::Reason,
    example,
    v1alpha1::{
        Connection, Device, DeviceConnection, DeviceModel, IppOperation, ItemState, SmartService,
    },
};
use entente_domain::{
    delivery::{Backoffs, Pass},
    protocol::Place,
    remote::FailureKind,
};
use entente_drivers::fake::{FakeDevice, Fault, Operation};
use http::Method;
use jiff::SignedDuration;
use serde_json::json;

use super::{
    super::{observe, report},
    *,
};
use crate::cache::Key;

const STATUS: &str = "servicesubscriptions/banco-sul-2027.backup.lobby-mfp/status";

// shows D3 K2 K5
#[tokio::test(start_paused = true)]
async fn a_device_that_is_off_is_said_to_be_and_gets_everything_once_when_it_returns() {
    let process = waiting().await;
    let device = process.world.remove_device(DEVICE_URL).expect("a device");
    begin(&process);
    let off = |process: &InProcess| {
        ready(process) == "False(Unreachable)"
            && device_says(process, "Online") == "False(Unreachable)"
    };
    process.until("it is said to be off", off).await;
    let since = process.world.ledger().len();
    process.let_pass(Duration::from_mins(30)).await;
    let asked = process.world.ledger().len() - since;
    assert!(
        (3..=60).contains(&asked),
        "{asked} requests in half an hour"
    );
    assert_eq!(sent(&process), []);
    process.world.put_device(DEVICE_URL, device);
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
    assert_eq!(device_says(&process, "Online"), "True(Answered)");
    let promise = &status(&process).promises[0];
    let late = promise
        .completed
        .expect("a proof")
        .duration_since(promised());
    assert!(late >= SignedDuration::from_mins(30), "{late:?}");
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_device_that_a_person_has_touched_is_asked_at_once_whatever_is_held_back() {
    let process = waiting().await;
    let device = process.world.remove_device(DEVICE_URL).expect("a device");
    begin(&process);
    process.let_pass(Duration::from_mins(30)).await;
    process.world.put_device(DEVICE_URL, device);
    let edited = process.clock.now();
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |device: &mut Device| {
            device.metadata.labels = Some([("mended".to_owned(), "yes".to_owned())].into());
        });
    process.until("it is delivered", is_delivered).await;
    assert_eq!(process.clock.now(), edited);
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn a_status_of_a_device_that_could_not_be_written_is_written_later() {
    let process = waiting().await;
    let (part, failing) = ("devices/lobby-mfp/status", (500, "InternalError"));
    process.let_pass(Duration::from_secs(1)).await;
    process.cluster.refuse(Method::PUT, part, failing, 3);
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    let applied = |process: &InProcess| device_says(process, "SettingsApplied");
    assert_eq!(applied(&process), "True(NothingWanted)");
    let said = |process: &InProcess| applied(process) == "True(Succeeded)";
    process.until("the device says so, too", said).await;
    assert!(process.clock.now() < promised() + SignedDuration::from_mins(1));
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows B7 K2
#[tokio::test(start_paused = true)]
async fn a_value_that_is_refused_holds_its_item_and_no_other() {
    let process = waiting().await;
    process.world.change_device(DEVICE_URL, |device| {
        let refused = (ATTRIBUTES[0].to_owned(), FailureKind::RejectedValue);
        device.refused.extend([refused]);
    });
    begin(&process);
    let refused = |process: &InProcess| ready(process) == "False(RejectedValue)";
    process.until("the value is refused", refused).await;
    process.let_pass(Duration::from_mins(10)).await;
    let problem = item(&process, "DeviceSetting/backup.endpoint").problem;
    assert_eq!(problem.map(|it| it.outcome), Some(Reason::RejectedValue));
    for key in ["DeviceSetting/backup.weekdays", "DeviceSetting/backup.mode"] {
        let item = item(&process, key);
        assert_eq!(
            (item.state, item.attempts),
            (ItemState::Effective, Some(1)),
            "{key}"
        );
    }
    let tried = sent(&process);
    assert_eq!(
        tried,
        ALL_WRITES[..3],
        "each is sent once, and no step after it"
    );
    let cured = |device: &mut FakeDevice| device.refused.clear();
    process.world.change_device(DEVICE_URL, cured);
    process
        .cluster
        .edit("", "data-backup", |service: &mut SmartService| {
            let device = service.spec.device.as_mut().expect("a device's side");
            device.settings[0].value = Some("https://backup.northwind.example/v2".to_owned());
        });
    process
        .until("the mended value is delivered", is_delivered)
        .await;
    assert_eq!(process.world.count(Operation::DeviceApply), 4);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_status_that_loses_races_is_decided_again_and_nothing_is_sent_twice() {
    let process = waiting().await;
    for rival in ["first", "second", "third"] {
        process
            .cluster
            .overtake(Method::PUT, STATUS, move |subscription| {
                subscription["metadata"]["annotations"][rival] = json!("was here");
            });
    }
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(sent(&process), ALL_WRITES);
    let found: ServiceSubscription = process.cluster.get(NAMESPACE, SUBSCRIPTION).unwrap();
    assert_eq!(found.annotations().len(), 3, "{:?}", found.annotations());
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_watch_that_lags_sends_nothing_twice() {
    let process = waiting().await;
    process.cluster.lag();
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    process.let_pass(Duration::from_mins(10)).await;
    let writes = process.cluster.writes();
    process.cluster.catch_up();
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(process.cluster.writes(), writes);
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_recorded_is_not_made() {
    let mut process = prepared();
    clear_values(&process);
    let (cluster, failing) = (&process.cluster, (500, "InternalError"));
    cluster.refuse(Method::PUT, STATUS, failing, usize::MAX);
    process.start(delivery).await;
    begin(&process);
    process.let_pass(Duration::from_mins(10)).await;
    let tried = sent(&process);
    assert_eq!(tried, ALL_WRITES[..3], "settings need no record");
    process.cluster.recover();
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn values_of_a_device_that_cannot_be_kept_are_not_overwritten() {
    let mut process = prepared();
    let (cluster, failing) = (&process.cluster, (500, "InternalError"));
    cluster.refuse(Method::PUT, STATUS, failing, usize::MAX);
    process.start(delivery).await;
    begin(&process);
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(sent(&process), []);
    process.cluster.recover();
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn an_instance_whose_answer_was_lost_is_found_and_not_made_twice() {
    let process = waiting().await;
    process
        .world
        .script(None, Operation::Provision, Fault::LoseAnswer, 1);
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert_eq!(server.instances.len(), 1);
    let instance = status(&process).server.expect("an instance").instance_id;
    assert!(server.instances.contains_key(&instance), "{instance}");
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_down_holds_what_goes_through_it_and_nothing_else() {
    let mut process = prepared();
    let mut system: Connection = example::hq_ipp();
    system.metadata.name = Some("hq-system".to_owned());
    let system_url = "ipp://10.20.3.1:631/ipp/system";
    let endpoint = system.spec.ipp.as_mut().expect("an endpoint");
    endpoint.url = "ipp://{address}:631/ipp/system".to_owned();
    process.cluster.apply(&system);
    let of_the_system = |model: &mut DeviceModel| {
        let ipp = &mut model.spec.settings[0].via.ipp;
        ipp.as_mut().expect("IPP").operation = IppOperation::SetSystemAttributes;
    };
    process.cluster.edit("", "mfp-500", of_the_system);
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |device: &mut Device| {
            device.spec.connections.push(DeviceConnection {
                name: "hq-system".to_owned(),
                ..DeviceConnection::default()
            });
        });
    process.start(delivery).await;
    begin(&process);
    let down = |process: &InProcess| ready(process) == "False(Unreachable)";
    process.until("one connection is down", down).await;
    process.let_pass(Duration::from_mins(1)).await;
    for key in ["DeviceSetting/backup.weekdays", "DeviceSetting/backup.mode"] {
        assert_eq!(item(&process, key).state, ItemState::Effective, "{key}");
    }
    let problem = item(&process, "DeviceSetting/backup.endpoint").problem;
    assert_eq!(problem.map(|it| it.outcome), Some(Reason::Unreachable));
    let device: Device = process.cluster.get(NAMESPACE, DEVICE).unwrap();
    let connections = device.status.expect("a status").connections;
    let faulty: Vec<_> = connections.iter().filter(|it| it.fault.is_some()).collect();
    assert_eq!(faulty.len(), 1, "{connections:?}");
    assert_eq!(faulty[0].name, "hq-system");

    let mut device = fake_device("urn:uuid:2");
    let place = Place::ipp(IppOperation::SetSystemAttributes, ATTRIBUTES[0]);
    device.values.insert(place, Vec::new());
    process.world.put_device(system_url, device);
    process.until("it is delivered", is_delivered).await;
    let calls = process.world.ledger().into_iter();
    let applied = calls.filter(|call| call.operation == Operation::DeviceApply);
    let through: Vec<String> = applied.map(|call| call.connection).collect();
    assert_eq!(through, ["hq-ipp", "hq-ipp", "hq-system"]);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn outcomes_are_not_reported_on_objects_that_were_made_anew_under_their_names() {
    for anew in [false, true] {
        let process = prepared();
        let (parts, _trigger) = process.parts().await;
        let delivery = delivery(parts);
        let key = Key::new(NAMESPACE.to_owned(), DEVICE);
        let snapshot = observe::snapshot(&delivery, &key).await;
        let pass = Pass::new(snapshot, Backoffs::default(), process.clock.now());
        if anew {
            let uid = || Some("of another".to_owned());
            let cluster = &process.cluster;
            cluster.edit(NAMESPACE, DEVICE, |it: &mut Device| it.metadata.uid = uid());
            cluster.edit(NAMESPACE, SUBSCRIPTION, |it: &mut ServiceSubscription| {
                it.metadata.uid = uid();
            });
            process.let_pass(Duration::from_secs(1)).await;
        }
        report::write(&delivery, &pass).await;
        let device: Option<Device> = process.cluster.get(NAMESPACE, DEVICE);
        let subscription: Option<ServiceSubscription> =
            process.cluster.get(NAMESPACE, SUBSCRIPTION);
        let reported = [
            device.expect("a device").status.is_some(),
            subscription.expect("a subscription").status.is_some(),
        ];
        assert_eq!(reported, [!anew; 2], "made anew: {anew}");
    }
}
