//! A contract over time: started, amended twice, a device moved to another contract and given another
//! provider there, renewed by a successor, and ended; by dates alone.

use std::time::Duration;

use entente_crds::v1alpha1::{
    AmendedDevices, AmendedService, NameReference, PromiseState, ServiceSubscription, TransitionTo,
};
use entente_e2e::namespace::{now, starting_in};
use entente_simulators::Broker;
use jiff::Timestamp;
use serde_json::json;

use super::provider::apply_other_provider;
use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, brief, contract_is, contract_says, every_reason_is_listed,
    subscription_is, subscription_says,
};

/// Time between two instants of a life.
const STEP: Duration = Duration::from_secs(6);

fn weekdays(value: &str) -> AmendedService {
    AmendedService {
        name: "backup".to_owned(),
        parameters: [("weekdays".to_owned(), value.to_owned())].into(),
        ..AmendedService::default()
    }
}

fn devices(devices: AmendedDevices) -> AmendedService {
    AmendedService {
        name: "backup".to_owned(),
        devices: Some(devices),
        ..AmendedService::default()
    }
}

fn kept_at(found: &ServiceSubscription, instant: Timestamp) -> bool {
    let promises = found.status.iter().flat_map(|status| &status.promises);
    let mut of_instant = promises.filter(|promise| promise.effective == instant);
    of_instant.any(|promise| promise.state == PromiseState::Kept)
}

/// Instants of a life: two amendments, a change of provider, the renewal, and its end.
struct Instants {
    changed: Timestamp,
    moved: Timestamp,
    provider: Timestamp,
    renewed: Timestamp,
    ended: Timestamp,
}

fn service(name: NameReference) -> AmendedService {
    AmendedService {
        name: "backup".to_owned(),
        service_ref: Some(name),
        ..AmendedService::default()
    }
}

/// Agrees on everything that is to come: two amendments of the contract, one of which moves the
/// second device to the other contract, another provider there, and a renewal for the first device.
async fn agree(fixture: &DeliveryFixture<'_>) -> Instants {
    let namespace = &fixture.namespace;
    let at = |step: u32| starting_in(AHEAD + STEP * step);
    let instants = Instants {
        changed: at(1),
        moved: at(2),
        provider: at(3),
        renewed: at(4),
        ended: at(5),
    };
    let device = vec![fixture.name(1).to_owned()];
    let leaves = AmendedDevices {
        remove: device.clone(),
        ..AmendedDevices::default()
    };
    let comes = AmendedDevices {
        add: device,
        ..AmendedDevices::default()
    };
    for (name, contract, effective, change) in [
        ("weekdays", "first", instants.changed, weekdays("mon")),
        ("leaves", "first", instants.moved, devices(leaves)),
        ("comes", "other", instants.moved, devices(comes)),
        (
            "provider",
            "other",
            instants.provider,
            service(namespace.reference("other-backup")),
        ),
    ] {
        let amendment = namespace.amendment(name, contract, effective, vec![change]);
        namespace.apply(&amendment).await.unwrap();
    }
    let entry = namespace.entry("backup", "data-backup", &[fixture.name(0)], "15m");
    let mut renewal = namespace.contract("renewal", instants.renewed, vec![entry]);
    renewal.spec.succeeds = Some(NameReference {
        name: "first".to_owned(),
    });
    renewal.spec.term.end_time = Some(instants.ended.to_string());
    namespace.apply(&renewal).await.unwrap();
    instants
}

/// Waits until the contract says what is agreed.
async fn says_what_comes(fixture: &DeliveryFixture<'_>, instants: &Instants) {
    let namespace = &fixture.namespace;
    let upcoming = namespace
        .soon("the contract says what comes", async || {
            let status = namespace.read_contract("first").await?.status?;
            (status.upcoming.len() == 2).then_some(status.upcoming)
        })
        .await
        .unwrap();
    let effective: Vec<_> = upcoming.iter().map(|it| it.effective).collect();
    assert_eq!(effective, [instants.changed, instants.moved]);
    let counts = upcoming
        .iter()
        .map(|it| (&*it.amendment, it.adds, it.removes, it.changes));
    let counts: Vec<_> = counts.collect();
    assert_eq!(counts, [("weekdays", 0, 0, 2), ("leaves", 0, 1, 0)]);
}

/// Waits for each instant of a life, and for the proof of what was promised for it.
async fn live(fixture: &DeliveryFixture<'_>, instants: &Instants, other_broker: &Broker) {
    let namespace = &fixture.namespace;
    namespace
        .soon("the first amendment is kept", async || {
            let found = namespace
                .subscription("first", "backup", fixture.name(0))
                .await?;
            kept_at(&found, instants.changed).then_some(())
        })
        .await
        .unwrap();
    let value = fixture.device(0).attribute("nw-backup-weekdays");
    assert_eq!(value, Some(json!("mon")));
    let other = ["other", "backup", fixture.name(1)];
    let found = subscription_is(namespace, other, "Delivered").await;
    assert!(kept_at(&found, instants.moved), "{found:#?}");
    namespace
        .soon("the other provider serves alone", async || {
            let found = namespace
                .subscription("other", "backup", fixture.name(1))
                .await?;
            let is_gone = found.status.as_ref()?.leaving.is_none();
            (kept_at(&found, instants.provider) && is_gone).then_some(())
        })
        .await
        .unwrap();
    let instances = other_broker.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].parameters["enabled"], json!(true));
    assert_eq!(
        fixture.broker.instances().len(),
        1,
        "that of the first device"
    );
    let renewal = ["renewal", "backup", fixture.name(0)];
    let found = subscription_is(namespace, renewal, "Delivered").await;
    assert!(kept_at(&found, instants.renewed), "{found:#?}");
    subscription_says(namespace, renewal, "Ready", "Ended").await;
    contract_says(namespace, "renewal", "Ready", "Ended").await;
}

/// Asserts that the history of the contract tells its life.
async fn tells_its_history(fixture: &DeliveryFixture<'_>) {
    let first = fixture.namespace.read_contract("first").await.unwrap();
    let history = first.status.unwrap().history;
    let told = history.iter().map(|it| {
        let by = it.amendment.as_deref().or(it.successor.as_deref());
        (it.to, by.unwrap_or_default())
    });
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [
            (TransitionTo::Succeeded, "renewal"),
            (TransitionTo::Amended, "leaves"),
            (TransitionTo::Amended, "weekdays"),
            (TransitionTo::InForce, "")
        ]
    );
}

// shows B1 B2 B7 D4
#[tokio::test]
async fn a_life_of_a_contract_keeps_one_instance_from_its_start_to_the_end_of_its_renewal() {
    let fixture = DeliveryFixture::new("life", 2).await;
    let namespace = &fixture.namespace;
    let other_broker = namespace.broker().await.unwrap();
    apply_other_provider(namespace, &other_broker.url()).await;
    let backup = |devices: &[&str]| namespace.entry("backup", "data-backup", devices, "15m");
    let devices = [fixture.name(0), fixture.name(1)];
    let first = namespace.contract("first", now(), vec![backup(&devices)]);
    namespace.apply(&first).await.unwrap();
    contract_is(namespace, "first", "Delivered").await;
    let other = namespace.contract("other", now(), vec![backup(&["elsewhere"])]);
    namespace.apply(&other).await.unwrap();
    let found = subscription_is(namespace, ["first", "backup", devices[0]], "Delivered").await;
    let server = found.status.unwrap().server;
    let id = server.expect("it has an instance").instance_id;
    let sequence = namespace.ledger().last_sequence();

    let instants = agree(&fixture).await;
    says_what_comes(&fixture, &instants).await;
    live(&fixture, &instants, &other_broker).await;

    // The instance of the device that stays had one id, and nothing removed it before the end.
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|it| it.write && it.key == id && it.operation != "update");
    let operations: Vec<_> = sent.iter().map(|it| it.operation.as_str()).collect();
    assert_eq!(operations, ["deprovision"], "{:?}", brief(&sent));
    tells_its_history(&fixture).await;
    every_reason_is_listed(namespace).await;
    fixture.finish().await;
}
