//! The catalogue as the operator looks after it: whether brokers answer and take our credentials,
//! who uses what, that nothing in use goes away, and what becomes of instances that could not be
//! removed.

use entente_crds::v1alpha1::{
    Connection, Contract, Device, DeviceModel, ServiceSubscription, SmartService,
};
use entente_crds::{ANNOTATION_ABANDON, FINALIZER_IN_USE};
use entente_e2e::operator::{Ground, OperatorOptions};
use entente_e2e::scene::read::Conditioned as _;
use entente_e2e::scene::{Scene, now};
use entente_simulators::FaultKind;
use kube::core::ClusterResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::standard::{Standard, contract_is, subscription_says};

/// Long enough that no promise is missed within a test.
const ALLOWED: &str = "1h";

/// A cluster-scoped object of the scene.
async fn read<K>(scene: &Scene<'_>, name: &str) -> Option<K>
where
    K: Resource<Scope = ClusterResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    scene
        .catalogue::<K>()
        .get_opt(&scene.named(name))
        .await
        .unwrap()
}

async fn connection(scene: &Scene<'_>, name: &str) -> Connection {
    read(scene, name).await.expect("the Connection is there")
}

/// Waits until these conditions of a Connection have these reasons.
async fn says(scene: &Scene<'_>, name: &str, expected: &[(&str, &str)]) -> Connection {
    let what = format!("the Connection {name} says {expected:?}");
    let found = scene.soon(&what, async || {
        let connection = connection(scene, name).await;
        let holds = |(condition, reason): &(&str, &str)| connection.reason(condition) == *reason;
        expected.iter().all(holds).then_some(connection)
    });
    found.await.unwrap()
}

/// Has a Connection probed now, as any change of its spec does: a probe that was answered is not
/// repeated for ten minutes.
async fn probe(scene: &Scene<'_>, connection: &mut Connection) {
    let retry = connection.spec.retry.as_mut().expect("scenes set it");
    let seconds = retry.max.length().expect("scenes set it").as_secs();
    retry.max = format!("{}s", seconds + 1).into();
    scene.apply::<Connection>(connection).await.unwrap();
}

// shows K2 K5
#[tokio::test]
async fn a_connection_says_whether_its_broker_answers_and_takes_the_credentials() {
    let world = Standard::new("probed", 1).await;
    let (scene, broker) = (&world.scene, &world.broker);
    let answered = [
        ("Reachable", "Answered"),
        ("Authenticated", "Answered"),
        ("Ready", "Succeeded"),
    ];
    let mut wanted = scene.broker_connection(&broker.url());
    says(scene, "broker", &answered).await;

    broker.set_fault(FaultKind::Unauthorized).await.unwrap();
    probe(scene, &mut wanted).await;
    let refused = [
        ("Reachable", "Answered"),
        ("Authenticated", "Unauthorized"),
        ("Ready", "Unauthorized"),
    ];
    let found = says(scene, "broker", &refused).await;
    assert!(found.is("Reachable") && !found.is("Authenticated") && !found.is("Ready"));

    // What was last known of the credentials stays while nobody answers; it heals by itself.
    broker.clear_faults().await.unwrap();
    says(scene, "broker", &answered).await;
    broker.set_fault(FaultKind::Offline).await.unwrap();
    probe(scene, &mut wanted).await;
    let off = [
        ("Reachable", "Unreachable"),
        ("Authenticated", "Answered"),
        ("Ready", "Unreachable"),
    ];
    says(scene, "broker", &off).await;
    broker.clear_faults().await.unwrap();
    says(scene, "broker", &answered).await;

    // Devices are asked one by one; there is nothing to probe.
    let devices = says(scene, "devices", &[("Ready", "PerDevice")]).await;
    assert!(
        devices.condition("Reachable").is_none(),
        "{:?}",
        devices.conditions()
    );
    let probes = scene.ledger().entries();
    assert!(probes.iter().all(|entry| entry.probe), "{probes:?}");
}

/// Numbers of users: devices, broker, model, service.
async fn used_by(scene: &Scene<'_>) -> [Option<i64>; 4] {
    let connection =
        async |name: &str| connection(scene, name).await.status.and_then(|s| s.used_by);
    let model = read::<DeviceModel>(scene, "mfp-500").await;
    let service = read::<SmartService>(scene, "data-backup").await;
    [
        connection("devices").await,
        connection("broker").await,
        model
            .and_then(|model| model.status)
            .and_then(|status| status.used_by),
        service
            .and_then(|service| service.status)
            .and_then(|status| status.used_by),
    ]
}

async fn are_used_by(scene: &Scene<'_>, expected: [i64; 4]) {
    let what = format!("devices, broker, model and service are used by {expected:?}");
    let found = scene.soon(&what, async || {
        (used_by(scene).await == expected.map(Some)).then_some(())
    });
    if let Err(late) = found.await {
        panic!("{late}\nthey are used by {:?}", used_by(scene).await);
    }
}

// shows K2 K5
#[tokio::test]
async fn everything_in_the_catalogue_says_how_many_use_it_as_users_come_and_go() {
    let world = Standard::new("counted", 3).await;
    let scene = &world.scene;
    are_used_by(scene, [3, 0, 3, 0]).await;
    let names: Vec<&str> = (0..3).map(|place| world.name(place)).collect();
    let contract = |name: &str, devices: &[&str]| {
        let entry = scene.entry("backup", "data-backup", devices, ALLOWED);
        scene.contract(name, now(), vec![entry])
    };
    scene
        .apply::<Contract>(&contract("one", &names[..1]))
        .await
        .unwrap();
    are_used_by(scene, [3, 1, 3, 1]).await;
    scene
        .apply::<Contract>(&contract("two", &names[1..]))
        .await
        .unwrap();
    are_used_by(scene, [3, 3, 3, 3]).await;
    scene
        .delete::<Contract>(Some(scene.namespace()), "two")
        .await
        .unwrap();
    are_used_by(scene, [3, 1, 3, 1]).await;
    scene
        .delete::<Device>(Some(scene.namespace()), names[2])
        .await
        .unwrap();
    are_used_by(scene, [2, 1, 2, 1]).await;
}

/// Whether the objects of the catalogue are there, and whether each is held and going.
async fn states(scene: &Scene<'_>) -> Vec<(&'static str, bool, bool)> {
    fn state<K: Resource>(
        name: &'static str,
        object: Option<K>,
    ) -> Option<(&'static str, bool, bool)> {
        let object = object?;
        let held = object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER_IN_USE);
        Some((name, held, object.meta().deletion_timestamp.is_some()))
    }
    let all = [
        state("broker", read::<Connection>(scene, "broker").await),
        state("devices", read::<Connection>(scene, "devices").await),
        state("mfp-500", read::<DeviceModel>(scene, "mfp-500").await),
        state(
            "data-backup",
            read::<SmartService>(scene, "data-backup").await,
        ),
    ];
    all.into_iter().flatten().collect()
}

async fn are(scene: &Scene<'_>, what: &str, expected: &[(&'static str, bool, bool)]) {
    let found = scene.soon(what, async || {
        (states(scene).await == expected).then_some(())
    });
    if let Err(late) = found.await {
        panic!("{late}\nthey are {:?}", states(scene).await);
    }
}

// shows K2 K5
#[tokio::test]
async fn what_is_used_is_not_deleted_until_nobody_uses_it() {
    let world = Standard::new("held", 1).await;
    let scene = &world.scene;
    let namespace = Some(scene.namespace());
    scene
        .apply::<Contract>(&world.backup_contract("user", now(), ALLOWED))
        .await
        .unwrap();
    contract_is(scene, "user", "Delivered").await;
    let names = ["broker", "devices", "mfp-500", "data-backup"];
    are(
        scene,
        "all are held",
        &names.map(|name| (name, true, false)),
    )
    .await;

    for name in ["broker", "devices"] {
        scene
            .delete::<Connection>(None, &scene.named(name))
            .await
            .unwrap();
    }
    scene
        .delete::<DeviceModel>(None, &scene.named("mfp-500"))
        .await
        .unwrap();
    scene
        .delete::<SmartService>(None, &scene.named("data-backup"))
        .await
        .unwrap();
    are(
        scene,
        "all are going and held",
        &names.map(|name| (name, true, true)),
    )
    .await;
    let contract = contract_is(scene, "user", "Ready").await;
    assert!(contract.is("Delivered"), "the service goes on");

    // The withdrawal still goes through what is being deleted.
    scene.delete::<Contract>(namespace, "user").await.unwrap();
    let rest = [("devices", true, true), ("mfp-500", true, true)];
    are(scene, "broker and service are gone", &rest).await;
    assert!(
        world.broker.instances().is_empty(),
        "{:?}",
        world.broker.instances()
    );
    scene
        .delete::<Device>(namespace, world.name(0))
        .await
        .unwrap();
    are(scene, "all are gone", &[]).await;
}

/// Delivers a service and then kills its broker for good. The id of the instance there.
async fn left_behind(world: &Standard<'_>, contract: &str) -> String {
    let scene = &world.scene;
    let applied = world.backup_contract(contract, now(), ALLOWED);
    scene.apply::<Contract>(&applied).await.unwrap();
    contract_is(scene, contract, "Delivered").await;
    let subscription = scene
        .subscription(contract, "backup", world.name(0))
        .await
        .unwrap();
    let handle = subscription
        .status
        .and_then(|status| status.server)
        .expect("it has an instance");
    world.broker.set_fault(FaultKind::Offline).await.unwrap();
    scene
        .delete::<Contract>(Some(scene.namespace()), contract)
        .await
        .unwrap();
    handle.instance_id
}

/// Waits until the contract and its subscription are gone, and looks at the list of orphans.
async fn is_an_orphan(world: &Standard<'_>, contract: &str, instance: &str) {
    let scene = &world.scene;
    let gone = scene.soon("contract and subscription are gone", async || {
        let contract = scene.read_contract(contract).await;
        let subscriptions = scene.list::<ServiceSubscription>().await;
        (contract.is_none() && subscriptions.is_empty()).then_some(())
    });
    gone.await.unwrap();
    let orphans = connection(scene, "broker")
        .await
        .status
        .expect("a status")
        .orphans;
    let [orphan] = orphans.as_slice() else {
        panic!("not one orphan: {orphans:?}")
    };
    assert_eq!(orphan.instance_id, instance);
    let (service, plan) = (orphan.service_id.as_str(), orphan.plan_id.as_str());
    assert_eq!(
        (service, plan),
        ("data-backup-id", "data-backup-standard-id")
    );
    assert!(orphan.reason.contains(contract), "{orphan:?}");
    // A person finds there what is left at the broker, and the Connection can go when nobody uses
    // it any more.
    assert_eq!(world.broker.instances().len(), 1, "the broker still has it");
    scene
        .delete::<SmartService>(None, &scene.named("data-backup"))
        .await
        .unwrap();
    scene
        .delete::<Connection>(None, &scene.named("broker"))
        .await
        .unwrap();
    let gone = scene.soon("the Connection is gone", async || {
        read::<Connection>(scene, "broker")
            .await
            .is_none()
            .then_some(())
    });
    gone.await.unwrap();
}

// shows K2 K5
#[tokio::test]
async fn a_withdrawal_that_is_too_late_leaves_an_orphan_and_lets_the_contract_go() {
    let ground = Ground::start(OperatorOptions {
        flags: vec!["--withdraw-deadline=3s".to_owned()],
        ..OperatorOptions::default()
    });
    let ground = ground.await.unwrap();
    let view = ground.operator.view();
    let world = Standard::on_plane(&ground.plane, view, "orphaned", 1).await;
    let instance = left_behind(&world, "short").await;
    is_an_orphan(&world, "short", &instance).await;
}

/// A withdrawal that waits for its dead broker, until a person annotates the object of that kind.
async fn abandon(title: &str, kind: &str) {
    let world = Standard::new(title, 1).await;
    let scene = &world.scene;
    let instance = left_behind(&world, "stuck").await;
    let parts = ["stuck", "backup", world.name(0)];
    let waiting = subscription_says(scene, parts, "Ready", "Withdrawing").await;
    assert!(waiting.metadata.deletion_timestamp.is_some());
    let contract = scene.read_contract("stuck").await.expect("it waits");
    let said = contract
        .condition("Ready")
        .expect("it says so")
        .message
        .clone();
    assert!(said.contains(&waiting.name_any()), "{said}");
    let name = if kind == "contract" {
        "stuck".to_owned()
    } else {
        waiting.name_any()
    };
    let annotation = format!("{ANNOTATION_ABANDON}=now");
    let annotate = [
        "annotate",
        kind,
        &name,
        "-n",
        scene.namespace(),
        &annotation,
    ];
    let output = scene.plane().kubectl(annotate).await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    is_an_orphan(&world, "stuck", &instance).await;
}

// shows K2 K5
#[tokio::test]
async fn a_withdrawal_waits_for_its_broker_until_a_person_abandons_the_subscription() {
    abandon("abandoned", "servicesubscription").await;
}

// shows K2 K5
#[tokio::test]
async fn a_withdrawal_waits_for_its_broker_until_a_person_abandons_the_contract() {
    abandon("abandoned-contract", "contract").await;
}
