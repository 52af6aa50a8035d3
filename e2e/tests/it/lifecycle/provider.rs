//! A change of provider in an exclusive group: the old instance serves until the new one is set up,
//! also while the new broker is down; then one write switches.

use entente_crds::v1alpha1::{
    AmendedService, Connection, Contract, ItemState, PromiseState, ServiceSubscription,
    SmartService,
};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now, starting_in};
use entente_e2e::peers::{OpenBroker, OpenBrokerOptions};
use entente_simulators::{Broker, FaultKind};
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, brief, contract_is, every_reason_is_listed, subscription_is,
    subscription_says,
};

const GROUP: &str = "backups";

/// Puts the service of the fixture into an exclusive group, together with another provider of it whose
/// broker is at `url`.
pub(super) async fn apply_other_provider(namespace: &TestNamespace<'_>, url: &str) {
    let mut connection = namespace.broker_connection(url);
    connection.metadata.name = Some(namespace.named("other-broker"));
    namespace.apply::<Connection>(&connection).await.unwrap();
    let mut backup = namespace.backup();
    backup.spec.exclusive_group = Some(GROUP.to_owned());
    namespace.apply::<SmartService>(&backup).await.unwrap();
    let mut other = backup;
    other.metadata.name = Some(namespace.named("other-backup"));
    let server = other.spec.server.as_mut().expect("it has a server");
    server.connection_ref = namespace.reference("other-broker");
    let device = other.spec.device.as_mut().expect("it has a device side");
    device.settings[0].value = Some("https://backup.southwind.example/v1".to_owned());
    namespace.apply::<SmartService>(&other).await.unwrap();
}

async fn holder(namespace: &TestNamespace<'_>, device: &str) -> Option<(String, jiff::Timestamp)> {
    let exclusive = namespace.read_device(device).await?.status?.exclusive;
    let hold = exclusive.into_iter().find(|hold| hold.group == GROUP)?;
    Some((hold.holder, hold.since))
}

fn endpoint(subscription: &ServiceSubscription) -> Option<ItemState> {
    let items = subscription.status.iter().flat_map(|status| &status.items);
    let mut items = items.filter(|item| item.key == "DeviceSetting/backup.endpoint");
    items.next().map(|item| item.state)
}

/// Waits until the new provider serves and the old instance is gone, and checks the order of all that
/// was sent since.
async fn takes_over(fixture: &DeliveryFixture<'_>, other: &Broker, sequence: u64) {
    let namespace = &fixture.namespace;
    let device = fixture.name(0);
    let parts = ["acme", "backup", device];
    let changed = subscription_is(namespace, parts, "Delivered").await;
    let promises = &changed.status.as_ref().unwrap().promises;
    assert!(
        promises.iter().all(|it| it.state == PromiseState::Kept),
        "{promises:#?}"
    );
    namespace
        .soon("the old instance is gone", async || {
            fixture.broker.instances().is_empty().then_some(())
        })
        .await
        .unwrap();
    let instances = other.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].parameters["enabled"], json!(true));
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write);
    let said: Vec<_> = sent.iter().map(|it| it.operation.as_str()).collect();
    let of_device = said
        .iter()
        .position(|it| !["provision", "update", "deprovision"].contains(it));
    assert_eq!(of_device, Some(1), "{:?}", brief(&sent));
    let mut of_brokers = said.clone();
    of_brokers.remove(1);
    assert_eq!(
        of_brokers,
        ["provision", "update", "update", "deprovision"],
        "{:?}",
        brief(&sent)
    );
    let gone = namespace.soon("nothing leaves any more", async || {
        let found = namespace.subscription("acme", "backup", device).await?;
        found.status?.leaving.is_none().then_some(())
    });
    gone.await.unwrap();
}

// shows C11
#[tokio::test]
async fn while_the_new_broker_is_down_the_old_one_serves_and_then_the_switch_is_made() {
    let fixture = DeliveryFixture::new("provider", 1).await;
    let namespace = &fixture.namespace;
    let other = namespace.broker().await.unwrap();
    apply_other_provider(namespace, &other.url()).await;
    let contract = fixture.backup_contract("acme", now(), "15m");
    namespace.apply::<Contract>(&contract).await.unwrap();
    contract_is(namespace, "acme", "Delivered").await;
    let before = fixture.broker.instances();
    let device = fixture.name(0);
    let parts = ["acme", "backup", device];
    let name = parts.join(".");
    let (held_by, since) = namespace
        .soon("the group has a holder", async || {
            holder(namespace, device).await
        })
        .await
        .unwrap();
    assert_eq!(held_by, name);

    other.set_fault(FaultKind::Offline).await.unwrap();
    let sequence = namespace.ledger().last_sequence();
    let change = AmendedService {
        name: "backup".to_owned(),
        service_ref: Some(namespace.reference("other-backup")),
        ..AmendedService::default()
    };
    let amendment = namespace.amendment("other", "acme", starting_in(AHEAD), vec![change]);
    namespace.apply(&amendment).await.unwrap();
    let waits = subscription_says(namespace, parts, "Ready", "HandingOver").await;
    let status = waits.status.clone().unwrap();
    let leaving = status.leaving.expect("the old instance is set aside");
    assert_eq!(leaving.server.instance_id, before[0].id);
    assert_eq!(waits.reason("Delivered"), "HandingOver");
    assert_ne!(endpoint(&waits), Some(ItemState::Effective));
    assert_eq!(fixture.broker.instances(), before, "the old one serves");
    assert_eq!(holder(namespace, device).await, Some((name.clone(), since)));
    let sent = namespace.ledger().entries_since(sequence);
    let sent: Vec<_> = sent.into_iter().filter(|entry| entry.write).collect();
    assert_eq!(brief(&sent), [""; 0], "nothing is changed meanwhile");

    other.clear_faults().await.unwrap();
    takes_over(&fixture, &other, sequence).await;
    let (held_by, after) = holder(namespace, device).await.unwrap();
    assert_eq!(held_by, name);
    assert!(after > since, "the switch is a new hold");
    every_reason_is_listed(namespace).await;
}

// shows C11 K1
#[tokio::test]
async fn another_contract_with_another_provider_takes_over_between_two_real_brokers() {
    let fixture = DeliveryFixture::new("providers", 1).await;
    let namespace = &fixture.namespace;
    let start = async || {
        OpenBroker::start(OpenBrokerOptions::default())
            .await
            .unwrap()
    };
    let (old, mut new) = (start().await, start().await);
    let connection = namespace.broker_connection(&old.url());
    namespace.apply::<Connection>(&connection).await.unwrap();
    apply_other_provider(namespace, &new.url()).await;
    let ends = starting_in(AHEAD * 3);
    let mut first = fixture.backup_contract("first", now(), "15m");
    first.spec.term.end_time = Some(ends.to_string());
    namespace.apply::<Contract>(&first).await.unwrap();
    contract_is(namespace, "first", "Delivered").await;
    let before = old.instances().await.unwrap();
    let entry = namespace.entry("backup", "other-backup", &[fixture.name(0)], "15m");
    let second = namespace.contract("second", ends, vec![entry]);
    namespace.apply::<Contract>(&second).await.unwrap();
    new.kill().await.unwrap();
    let parts = ["second", "backup", fixture.name(0)];
    subscription_says(namespace, parts, "Ready", "HandingOver").await;
    let serving = ["first", "backup", fixture.name(0)];
    subscription_says(namespace, serving, "Ready", "HandingOver").await;
    let instances = old.instances().await.unwrap();
    assert!(instances.keys().eq(before.keys()), "{instances:?}");
    let instance = instances.values().next().unwrap();
    assert_eq!(
        instance.parameters["enabled"],
        json!(true),
        "it serves past its end"
    );

    new.start_again().await.unwrap();
    subscription_is(namespace, parts, "Delivered").await;
    subscription_says(namespace, serving, "Ready", "Ended").await;
    assert!(old.instances().await.unwrap().is_empty());
    let instances = new.instances().await.unwrap();
    assert_eq!(instances.len(), 1, "{instances:?}");
    let instance = instances.values().next().unwrap();
    assert_eq!(instance.parameters["enabled"], json!(true));
    let (held_by, _) = holder(namespace, fixture.name(0)).await.unwrap();
    assert_eq!(held_by, parts.join("."));
    every_reason_is_listed(namespace).await;
}
