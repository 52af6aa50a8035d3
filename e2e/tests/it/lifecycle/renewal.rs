//! A contract is renewed by another one: the instance on the service server goes on, with its id.

use std::time::Duration;

use entente_crds::v1alpha1::{AdoptedBy, Connection, Contract, NameReference, PromiseState};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{now, starting_in};
use entente_e2e::operator::OperatorOptions;
use entente_e2e::peers::{OpenBroker, OpenBrokerOptions};
use entente_simulators::{Cause, Fault, FaultKind};
use jiff::Timestamp;
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, brief, contract_is, contract_says, every_reason_is_listed,
    promise_state, subscription_is, subscription_says,
};

/// Returns a contract that succeeds `old`, with another value for its backup.
fn renewal(fixture: &DeliveryFixture<'_>, name: &str, old: &str, start: Timestamp) -> Contract {
    let mut contract = fixture.backup_contract(name, start, "15m");
    contract.spec.succeeds = Some(NameReference {
        name: old.to_owned(),
    });
    let parameters = &mut contract.spec.services[0].parameters;
    parameters.insert("weekdays".to_owned(), "mon,wed".to_owned());
    contract
}

// shows B1 B2 B7
#[tokio::test]
async fn a_renewal_keeps_the_instance_and_sends_only_what_differs() {
    let fixture = DeliveryFixture::new("renewal", 1).await;
    let namespace = &fixture.namespace;
    let old = fixture.backup_contract("old", now(), "15m");
    namespace.apply(&old).await.unwrap();
    contract_is(namespace, "old", "Delivered").await;
    let before = fixture.broker.instances();
    assert_eq!(before.len(), 1, "{before:?}");
    let sequence = namespace.ledger().last_sequence();

    let start = starting_in(AHEAD);
    let new = renewal(&fixture, "new", "old", start);
    namespace.apply(&new).await.unwrap();
    let parts = ["new", "backup", fixture.name(0)];
    let scheduled = subscription_says(namespace, parts, "Ready", "Scheduled").await;
    let origin = scheduled.spec.origin.expect("it continues the other one");
    assert_eq!(
        (&*origin.contract, &*origin.service_name),
        ("old", "backup")
    );
    let renewed = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(promise_state(&renewed), PromiseState::Kept);
    let server = renewed.status.unwrap().server.expect("it has the instance");
    assert_eq!(server.adopted.map(|it| it.by), Some(AdoptedBy::Succession));
    let after = fixture.broker.instances();
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].id, before[0].id);
    assert_eq!(server.instance_id, before[0].id);
    assert_eq!(after[0].parameters["enabled"], json!(true));
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write && entry.key == before[0].id);
    let operations: Vec<_> = sent.iter().map(|it| it.operation.as_str()).collect();
    assert_eq!(operations, ["update"], "{:?}", brief(&sent));

    let parts = ["old", "backup", fixture.name(0)];
    let ended = subscription_says(namespace, parts, "Ready", "Ended").await;
    assert_eq!(promise_state(&ended), PromiseState::Kept);
    assert_eq!(ended.status.unwrap().server, None);
    contract_says(namespace, "old", "Ready", "Delivered").await;
    fixture.finish().await;
}

// shows B1 K1
#[tokio::test]
async fn a_contract_that_was_renewed_is_deleted_and_its_instance_stays_on_a_real_broker() {
    let fixture = DeliveryFixture::new("renewed", 1).await;
    let namespace = &fixture.namespace;
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let connection = namespace.broker_connection(&broker.url());
    namespace.apply::<Connection>(&connection).await.unwrap();
    let old = fixture.backup_contract("old", now(), "15m");
    namespace.apply(&old).await.unwrap();
    contract_is(namespace, "old", "Delivered").await;
    let before = broker.instances().await.unwrap();
    assert_eq!(before.len(), 1, "{before:?}");

    let new = renewal(&fixture, "new", "old", starting_in(AHEAD));
    namespace.apply(&new).await.unwrap();
    contract_is(namespace, "new", "Delivered").await;
    let old = namespace.delete::<Contract>(Some(namespace.name()), "old");
    old.await.unwrap();
    namespace
        .soon("the old contract is gone", async || {
            let left = namespace.read_contract("old").await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
    let after = broker.instances().await.unwrap();
    assert!(after.keys().eq(before.keys()), "{before:?} {after:?}");
    let instance = after.values().next().unwrap();
    assert_eq!(instance.state, "active");
    assert_eq!(instance.parameters["enabled"], json!(true));
    every_reason_is_listed(namespace).await;
}

/// Requests of a renewal of one service of which one value differs: three to the device and three to the
/// broker. After each of them the operator is killed once, and after some of them twice.
const POINTS: [usize; 10] = [1, 2, 3, 4, 5, 6, 1, 2, 4, 5];

// shows B1 B7 K5
#[tokio::test]
async fn ten_renewals_in_a_row_each_killed_at_another_point_keep_one_instance() {
    let mut environment = TestEnvironment::start(OperatorOptions::default())
        .await
        .unwrap();
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "chain", 1).await;
    let namespace = &fixture.namespace;
    let first = fixture.backup_contract("c0", now(), "15m");
    namespace.apply(&first).await.unwrap();
    contract_is(namespace, "c0", "Delivered").await;
    let before = fixture.broker.instances();
    assert_eq!(before.len(), 1, "{before:?}");
    // Every answer is late enough for the operator to be killed before it arrives.
    let slow = Fault::new(FaultKind::Slow { milliseconds: 250 });
    for (number, point) in POINTS.into_iter().enumerate() {
        let (old, new) = (format!("c{number}"), format!("c{}", number + 1));
        let start = starting_in(AHEAD);
        let mut contract = renewal(&fixture, &new, &old, start);
        let weekdays = ["mon", "wed"][number % 2].to_owned();
        let parameters = &mut contract.spec.services[0].parameters;
        parameters.insert("weekdays".to_owned(), weekdays);
        namespace.apply(&contract).await.unwrap();
        let parts = [new.as_str(), "backup", fixture.name(0)];
        subscription_says(namespace, parts, "Ready", "Scheduled").await;
        fixture.fleet.set_fault(slow.clone()).await.unwrap();
        fixture.broker.set_fault(slow.clone()).await.unwrap();
        let ledger = namespace.ledger();
        let reached = ledger.wait_for(Duration::from_secs(20), |entries| {
            let since = entries.iter().filter(|it| it.cause == Cause::Request);
            since
                .filter(|it| it.time_ms >= start.as_millisecond())
                .count()
                >= point
        });
        reached.await.unwrap();
        environment.operator.kill_hard().await.unwrap();
        fixture.fleet.clear_faults().await.unwrap();
        fixture.broker.clear_faults().await.unwrap();
        environment.operator.restart().await.unwrap();
        let renewed = subscription_is(namespace, parts, "Delivered").await;
        assert_eq!(promise_state(&renewed), PromiseState::Kept, "{new}");
        let server = renewed.status.unwrap().server.expect("it has the instance");
        assert_eq!(server.instance_id, before[0].id, "{new}");
        let parts = [old.as_str(), "backup", fixture.name(0)];
        let ended = subscription_says(namespace, parts, "Ready", "Ended").await;
        assert_eq!(ended.status.unwrap().server, None, "{old}");
    }
    let after = fixture.broker.instances();
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].id, before[0].id);
    let mut sent = namespace.ledger().writes();
    sent.retain(|entry| entry.key == before[0].id);
    let made: Vec<_> = sent.iter().map(|it| it.operation.as_str()).collect();
    assert_eq!(made[..2], ["provision", "update"], "{:?}", brief(&sent));
    assert!(
        made[2..].iter().all(|it| *it == "update"),
        "{:?}",
        brief(&sent)
    );
    assert!(namespace.compensations().await.is_empty());
    fixture.finish().await;
}

// shows K2
#[tokio::test]
async fn a_renewal_of_another_customer_is_refused_and_one_of_no_contract_waits() {
    let fixture = DeliveryFixture::new("refused-renewal", 1).await;
    let namespace = &fixture.namespace;
    let new = renewal(&fixture, "new", "old", starting_in(Duration::from_hours(1)));
    namespace.apply(&new).await.unwrap();
    let waiting = contract_says(namespace, "new", "ResolvedRefs", "ContractNotFound").await;
    assert!(waiting.status.unwrap().established.is_none());
    let mut old = fixture.backup_contract("old", now(), "15m");
    old.spec.customer.id = "C-1".to_owned();
    namespace.apply(&old).await.unwrap();
    contract_says(namespace, "new", "Accepted", "CustomerDiffers").await;
    every_reason_is_listed(namespace).await;
}
