//! The operator's care of the catalogue: probes of brokers and credentials, counts of users,
//! protection of used objects from deletion, and orphans.

use entente_crds::v1alpha1::{
    Connection, Contract, Device, DeviceModel, ServiceSubscription, SmartService,
};
use entente_crds::{ANNOTATION_ABANDON, FINALIZER_IN_USE};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::operator::OperatorOptions;
use entente_simulators::FaultKind;
use kube::core::ClusterResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::delivery_fixture::{DeliveryFixture, contract_is, subscription_says};

/// An allowance long enough that no promise is missed within a test.
const ALLOWED: &str = "1h";

/// Returns a cluster-scoped object of the namespace.
async fn read<K>(namespace: &TestNamespace<'_>, name: &str) -> Option<K>
where
    K: Resource<Scope = ClusterResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    namespace
        .catalogue::<K>()
        .get_opt(&namespace.named(name))
        .await
        .unwrap()
}

async fn connection(namespace: &TestNamespace<'_>, name: &str) -> Connection {
    read(namespace, name)
        .await
        .expect("the Connection is there")
}

/// Waits until these conditions of a Connection have these reasons.
async fn says(namespace: &TestNamespace<'_>, name: &str, expected: &[(&str, &str)]) -> Connection {
    let what = format!("the Connection {name} says {expected:?}");
    let found = namespace.soon(&what, async || {
        let connection = connection(namespace, name).await;
        let holds = |(condition, reason): &(&str, &str)| connection.reason(condition) == *reason;
        expected.iter().all(holds).then_some(connection)
    });
    found.await.unwrap()
}

/// Has a Connection probed now, as any change of its spec does: a probe that was answered is not
/// repeated for ten minutes.
async fn probe(namespace: &TestNamespace<'_>, connection: &mut Connection) {
    let retry = connection
        .spec
        .retry
        .as_mut()
        .expect("every Connection of tests sets it");
    let seconds = retry
        .max
        .length()
        .expect("every Connection of tests sets it")
        .as_secs();
    retry.max = format!("{}s", seconds + 1).into();
    namespace.apply::<Connection>(connection).await.unwrap();
}

// shows K2 K5
#[tokio::test]
async fn a_connection_says_whether_its_broker_answers_and_takes_the_credentials() {
    let fixture = DeliveryFixture::new("probed", 1).await;
    let (namespace, broker) = (&fixture.namespace, &fixture.broker);
    let answered = [
        ("Reachable", "Answered"),
        ("Authenticated", "Answered"),
        ("Ready", "Succeeded"),
    ];
    let mut wanted = namespace.broker_connection(&broker.url());
    says(namespace, "broker", &answered).await;

    broker.set_fault(FaultKind::Unauthorized).await.unwrap();
    probe(namespace, &mut wanted).await;
    let refused = [
        ("Reachable", "Answered"),
        ("Authenticated", "Unauthorized"),
        ("Ready", "Unauthorized"),
    ];
    let found = says(namespace, "broker", &refused).await;
    assert!(found.is("Reachable") && !found.is("Authenticated") && !found.is("Ready"));

    // The last known state of the credentials stays while nothing answers; it heals by itself.
    broker.clear_faults().await.unwrap();
    says(namespace, "broker", &answered).await;
    broker.set_fault(FaultKind::Offline).await.unwrap();
    probe(namespace, &mut wanted).await;
    let off = [
        ("Reachable", "Unreachable"),
        ("Authenticated", "Answered"),
        ("Ready", "Unreachable"),
    ];
    says(namespace, "broker", &off).await;
    broker.clear_faults().await.unwrap();
    says(namespace, "broker", &answered).await;

    // Devices are probed one by one; the Connection has nothing to probe.
    let devices = says(namespace, "devices", &[("Ready", "PerDevice")]).await;
    assert!(
        devices.condition("Reachable").is_none(),
        "{:?}",
        devices.conditions()
    );
    let probes = namespace.ledger().entries();
    assert!(probes.iter().all(|entry| entry.probe), "{probes:?}");
}

/// Returns, for each object of the catalogue that exists, whether it has a finalizer and is being
/// deleted.
async fn states(namespace: &TestNamespace<'_>) -> Vec<(&'static str, bool, bool)> {
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
        state("broker", read::<Connection>(namespace, "broker").await),
        state("devices", read::<Connection>(namespace, "devices").await),
        state("mfp-500", read::<DeviceModel>(namespace, "mfp-500").await),
        state(
            "data-backup",
            read::<SmartService>(namespace, "data-backup").await,
        ),
    ];
    all.into_iter().flatten().collect()
}

async fn are(namespace: &TestNamespace<'_>, what: &str, expected: &[(&'static str, bool, bool)]) {
    let found = namespace.soon(what, async || {
        (states(namespace).await == expected).then_some(())
    });
    if let Err(late) = found.await {
        panic!("{late}\nthey are {:?}", states(namespace).await);
    }
}

// shows K2 K5
#[tokio::test]
async fn what_is_used_is_not_deleted_until_nobody_uses_it() {
    let fixture = DeliveryFixture::new("held", 1).await;
    let namespace = &fixture.namespace;
    let name = Some(namespace.name());
    namespace
        .apply::<Contract>(&fixture.backup_contract("user", now(), ALLOWED))
        .await
        .unwrap();
    contract_is(namespace, "user", "Delivered").await;
    let names = ["broker", "devices", "mfp-500", "data-backup"];
    are(
        namespace,
        "all are held",
        &names.map(|name| (name, true, false)),
    )
    .await;

    for name in ["broker", "devices"] {
        namespace
            .delete::<Connection>(None, &namespace.named(name))
            .await
            .unwrap();
    }
    namespace
        .delete::<DeviceModel>(None, &namespace.named("mfp-500"))
        .await
        .unwrap();
    namespace
        .delete::<SmartService>(None, &namespace.named("data-backup"))
        .await
        .unwrap();
    are(
        namespace,
        "all are going and held",
        &names.map(|name| (name, true, true)),
    )
    .await;
    let contract = contract_is(namespace, "user", "Ready").await;
    assert!(contract.is("Delivered"), "the service goes on");

    // The withdrawal still uses the objects that are being deleted.
    namespace.delete::<Contract>(name, "user").await.unwrap();
    let rest = [("devices", true, true), ("mfp-500", true, true)];
    are(namespace, "broker and service are gone", &rest).await;
    assert!(
        fixture.broker.instances().is_empty(),
        "{:?}",
        fixture.broker.instances()
    );
    namespace
        .delete::<Device>(name, fixture.name(0))
        .await
        .unwrap();
    are(namespace, "all are gone", &[]).await;
}

/// Delivers a service and then kills its broker for good. The id of the instance there.
async fn left_behind(fixture: &DeliveryFixture<'_>, contract: &str) -> String {
    let namespace = &fixture.namespace;
    let applied = fixture.backup_contract(contract, now(), ALLOWED);
    namespace.apply::<Contract>(&applied).await.unwrap();
    contract_is(namespace, contract, "Delivered").await;
    let subscription = namespace
        .subscription(contract, "backup", fixture.name(0))
        .await
        .unwrap();
    let handle = subscription
        .status
        .and_then(|status| status.server)
        .expect("it has an instance");
    fixture.broker.set_fault(FaultKind::Offline).await.unwrap();
    namespace
        .delete::<Contract>(Some(namespace.name()), contract)
        .await
        .unwrap();
    handle.instance_id
}

/// Waits until the contract and its subscription are gone, and looks at the list of orphans.
async fn is_an_orphan(fixture: &DeliveryFixture<'_>, contract: &str, instance: &str) {
    let namespace = &fixture.namespace;
    let gone = namespace.soon("contract and subscription are gone", async || {
        let contract = namespace.read_contract(contract).await;
        let subscriptions = namespace.list::<ServiceSubscription>().await;
        (contract.is_none() && subscriptions.is_empty()).then_some(())
    });
    gone.await.unwrap();
    let orphans = connection(namespace, "broker")
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
    // A person finds the rest at the broker there, and the Connection can be removed when nothing
    // uses it any more.
    assert_eq!(
        fixture.broker.instances().len(),
        1,
        "the broker still has it"
    );
    namespace
        .delete::<SmartService>(None, &namespace.named("data-backup"))
        .await
        .unwrap();
    namespace
        .delete::<Connection>(None, &namespace.named("broker"))
        .await
        .unwrap();
    let gone = namespace.soon("the Connection is gone", async || {
        read::<Connection>(namespace, "broker")
            .await
            .is_none()
            .then_some(())
    });
    gone.await.unwrap();
}

// shows K2 K5
#[tokio::test]
async fn a_withdrawal_that_is_too_late_leaves_an_orphan_and_lets_the_contract_go() {
    let environment = TestEnvironment::start(OperatorOptions {
        flags: vec!["--withdraw-deadline=3s".to_owned()],
        ..OperatorOptions::default()
    });
    let environment = environment.await.unwrap();
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "orphaned", 1).await;
    let instance = left_behind(&fixture, "short").await;
    is_an_orphan(&fixture, "short", &instance).await;
}

// shows K2 K5
#[tokio::test]
async fn a_withdrawal_waits_for_its_broker_until_a_person_abandons_the_contract() {
    let fixture = DeliveryFixture::new("abandoned-contract", 1).await;
    let namespace = &fixture.namespace;
    let instance = left_behind(&fixture, "stuck").await;
    let parts = ["stuck", "backup", fixture.name(0)];
    let waiting = subscription_says(namespace, parts, "Ready", "Withdrawing").await;
    assert!(waiting.metadata.deletion_timestamp.is_some());
    let contract = namespace.read_contract("stuck").await.expect("it waits");
    let said = contract
        .condition("Ready")
        .expect("it says so")
        .message
        .clone();
    assert!(said.contains(&waiting.name_any()), "{said}");
    let annotation = format!("{ANNOTATION_ABANDON}=now");
    let annotate = [
        "annotate",
        "contract",
        "stuck",
        "-n",
        namespace.name(),
        &annotation,
    ];
    let output = namespace.plane().kubectl(annotate).await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    is_an_orphan(&fixture, "stuck", &instance).await;
}
