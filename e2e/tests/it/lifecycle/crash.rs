//! The operator is killed in the middle of a delivery, and continues from there.

use std::time::Duration;

use entente_crds::FINALIZER_IN_USE;
use entente_crds::v1alpha1::{Connection, DeviceModel, PromiseState, SmartService};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now, starting_in};
use entente_e2e::operator::OperatorOptions;
use entente_simulators::{Entry, Fault, FaultKind};
use kube::ResourceExt as _;
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, contract_is, promise_state, subscription_is,
};

/// Point of a delivery at which the operator is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// After the device accepted its first setting.
    FirstSetting,
    /// After the broker committed the provision, and before it answers.
    Provision,
}

impl Point {
    /// True if the ledger shows that this point is reached.
    fn is_reached(self, entries: &[Entry]) -> bool {
        let wanted = match self {
            Self::FirstSetting => "Set-Printer-Attributes",
            Self::Provision => "provision",
        };
        entries
            .iter()
            .any(|entry| entry.write && entry.operation == wanted)
    }
}

/// Starts an environment whose operator may be killed.
async fn own_environment() -> TestEnvironment {
    let options = OperatorOptions::default();
    TestEnvironment::start(options).await.unwrap()
}

/// Delivers a contract in an environment of its own, with the operator killed at that point.
async fn delivered_although_killed_at(point: Point) {
    let mut environment = own_environment().await;
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "crash", 2).await;
    let namespace = &fixture.namespace;
    // Every answer is late enough for the operator to be killed before it arrives.
    let slow = FaultKind::Slow { milliseconds: 700 };
    match point {
        Point::FirstSetting => {
            let slow = Fault::new(slow).on("Set-Printer-Attributes");
            fixture.fleet.set_fault(slow).await.unwrap();
        }
        Point::Provision => {
            let slow = Fault::new(slow).on("provision");
            fixture.broker.set_fault(slow).await.unwrap();
        }
    }
    let names = [fixture.name(0), fixture.name(1)];
    let mut entry = namespace.entry("backup", "data-backup", &names, "15m");
    entry.parameters = [("weekdays", "mon,wed"), ("mode", "Differential")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let contract = namespace.contract("crash", starting_in(AHEAD / 2), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    let reached = namespace
        .ledger()
        .wait_for(Duration::from_secs(20), |entries| point.is_reached(entries));
    reached.await.unwrap();
    environment.operator.kill_hard().await.unwrap();
    fixture.fleet.clear_faults().await.unwrap();
    fixture.broker.clear_faults().await.unwrap();
    environment.operator.restart().await.unwrap();

    contract_is(namespace, "crash", "Ready").await;
    for (place, name) in names.iter().enumerate() {
        let subscription = subscription_is(namespace, ["crash", "backup", name], "Ready").await;
        assert_eq!(promise_state(&subscription), PromiseState::Kept);
        let device = fixture.device(place);
        assert_eq!(
            device.attribute("nw-backup-mode"),
            Some(json!("differential"))
        );
        assert_eq!(
            device.attribute("nw-backup-weekdays"),
            Some(json!(["mon", "wed"]))
        );
    }
    let instances = fixture.broker.instances();
    assert_eq!(
        instances.len(),
        2,
        "one instance for each device: {instances:?}"
    );
    for instance in &instances {
        assert_eq!(instance.parameters["enabled"], json!(true), "{instance:?}");
    }
    fixture.finish().await;
}

// shows K5
#[tokio::test]
async fn killed_when_the_first_setting_is_taken_it_comes_to_the_same_end_and_sends_nothing_twice() {
    delivered_although_killed_at(Point::FirstSetting).await;
}

// shows K5
#[tokio::test]
async fn killed_when_the_provision_is_committed_it_comes_to_the_same_end_and_sends_nothing_twice() {
    delivered_although_killed_at(Point::Provision).await;
}

/// Waits until the operator has counted the users of every object of the catalogue, which it
/// gathers for some seconds.
async fn catalogue_is_settled(namespace: &TestNamespace<'_>, users: i64) {
    let is_counted = |used_by: Option<i64>, finalizers: &[String]| {
        used_by == Some(users) && finalizers.iter().any(|name| name == FINALIZER_IN_USE)
    };
    let connections = [namespace.named("devices"), namespace.named("broker")];
    let model = namespace.named("mfp-500");
    let service = namespace.named("data-backup");
    let settled = namespace.soon("everything in the catalogue is counted", async || {
        for name in &connections {
            let found = namespace.catalogue::<Connection>().get(name).await.ok()?;
            let used_by = found.status.as_ref()?.used_by;
            is_counted(used_by, found.finalizers()).then_some(())?;
        }
        let found = namespace
            .catalogue::<DeviceModel>()
            .get(&model)
            .await
            .ok()?;
        let used_by = found.status.as_ref()?.used_by;
        is_counted(used_by, found.finalizers()).then_some(())?;
        let found = namespace
            .catalogue::<SmartService>()
            .get(&service)
            .await
            .ok()?;
        let used_by = found.status.as_ref()?.used_by;
        // Ready says that the catalog of its broker was read, which its subscriptions may know before.
        (is_counted(used_by, found.finalizers()) && found.is("Ready")).then_some(())
    });
    settled.await.unwrap();
}

// shows K5
#[tokio::test]
async fn a_restart_writes_nothing_and_sends_nothing_when_all_is_delivered() {
    let mut environment = own_environment().await;
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "restart", 3).await;
    let namespace = &fixture.namespace;
    let names: Vec<&str> = (0..3).map(|place| fixture.name(place)).collect();
    let entry = namespace.entry("backup", "data-backup", &names, "15m");
    namespace
        .apply(&namespace.contract("restart", now(), vec![entry]))
        .await
        .unwrap();
    contract_is(namespace, "restart", "Ready").await;
    for name in &names {
        crate::delivery_fixture::reconciled(namespace, name).await;
    }
    catalogue_is_settled(namespace, 3).await;
    assert!(
        environment.operator.stop().await.unwrap().success(),
        "{}",
        environment.operator.log()
    );
    let position = environment.plane.audit_position().await.unwrap();
    let sequence = namespace.ledger().last_sequence();
    environment.operator.restart().await.unwrap();
    // A wish that is answered proves that the pass over each device was made.
    for name in &names {
        crate::delivery_fixture::reconciled(namespace, name).await;
    }
    let events = environment
        .plane
        .audit_events_since(position)
        .await
        .unwrap();
    let mut writes: Vec<_> = events
        .iter()
        .filter(|event| event.is_write() && event.user.ends_with(":entente-system:entente"))
        .filter(|event| event.group == "entente.dev")
        .map(|event| {
            format!(
                "{} {}/{} {}",
                event.verb, event.resource, event.subresource, event.name
            )
        })
        .collect();
    writes.sort();
    let mut wanted: Vec<_> = names
        .iter()
        .map(|name| format!("update devices/status {name}"))
        .collect();
    wanted.sort();
    assert_eq!(writes, wanted);
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write);
    assert_eq!(crate::delivery_fixture::brief(&sent), Vec::<String>::new());
    assert!(
        namespace
            .read_contract("restart")
            .await
            .unwrap()
            .is("Ready")
    );
}
