//! A contract over time: started, amended twice, a device moved to another contract, renewed by a
//! successor, and ended; by dates alone.

use std::time::Duration;

use entente_crds::v1alpha1::{
    AmendedDevices, AmendedService, ContractAmendment, NameReference, PromiseState,
    ServiceSubscription, TransitionTo,
};
use entente_e2e::namespace::{now, starting_in};
use jiff::Timestamp;
use serde_json::json;

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

// shows B1 B2 B7 D4
#[tokio::test]
async fn a_life_of_a_contract_keeps_one_instance_from_its_start_to_the_end_of_its_renewal() {
    let fixture = DeliveryFixture::new("life", 2).await;
    let namespace = &fixture.namespace;
    let (stays, moves) = (fixture.name(0), fixture.name(1));
    let backup = |devices: &[&str]| namespace.entry("backup", "data-backup", devices, "15m");
    let first = namespace.contract("first", now(), vec![backup(&[stays, moves])]);
    namespace.apply(&first).await.unwrap();
    contract_is(namespace, "first", "Delivered").await;
    let other = namespace.contract("other", now(), vec![backup(&["elsewhere"])]);
    namespace.apply(&other).await.unwrap();
    let found = subscription_is(namespace, ["first", "backup", stays], "Delivered").await;
    let server = found.status.unwrap().server;
    let id = server.expect("it has an instance").instance_id;
    let sequence = namespace.ledger().last_sequence();

    // Everything that follows is agreed now.
    let [one, two, three, end] = [1, 2, 3, 4].map(|step| starting_in(AHEAD + STEP * step));
    let moved = vec![moves.to_owned()];
    let leaves = AmendedDevices {
        remove: moved.clone(),
        ..AmendedDevices::default()
    };
    let comes = AmendedDevices {
        add: moved,
        ..AmendedDevices::default()
    };
    for (name, contract, effective, change) in [
        ("other-weekdays", "first", one, weekdays("mon")),
        ("leaves", "first", two, devices(leaves)),
        ("comes", "other", two, devices(comes)),
    ] {
        let amendment = namespace.amendment(name, contract, effective, vec![change]);
        namespace.apply(&amendment).await.unwrap();
    }
    let mut renewal = namespace.contract("renewal", three, vec![backup(&[stays])]);
    renewal.spec.succeeds = Some(NameReference {
        name: "first".to_owned(),
    });
    renewal.spec.term.end_time = Some(end.to_string());
    namespace.apply(&renewal).await.unwrap();
    let upcoming = namespace
        .soon("the contract says what comes", async || {
            let status = namespace.read_contract("first").await?.status?;
            (status.upcoming.len() == 2).then_some(status.upcoming)
        })
        .await
        .unwrap();
    let said: Vec<_> = upcoming
        .iter()
        .map(|it| {
            (
                &*it.amendment,
                it.effective,
                it.adds,
                it.removes,
                it.changes,
            )
        })
        .collect();
    assert_eq!(
        said,
        [("other-weekdays", one, 0, 0, 2), ("leaves", two, 0, 1, 0)]
    );

    namespace
        .soon("the first amendment is kept", async || {
            let found = namespace.subscription("first", "backup", stays).await?;
            kept_at(&found, one).then_some(())
        })
        .await
        .unwrap();
    assert_eq!(
        fixture.device(0).attribute("nw-backup-weekdays"),
        Some(json!("mon"))
    );
    let moved = ["other", "backup", moves];
    assert!(kept_at(
        &subscription_is(namespace, moved, "Delivered").await,
        two
    ));
    let renewed = ["renewal", "backup", stays];
    assert!(kept_at(
        &subscription_is(namespace, renewed, "Delivered").await,
        three
    ));
    subscription_says(namespace, renewed, "Ready", "Ended").await;
    contract_says(namespace, "renewal", "Ready", "Ended").await;

    // The instance of the device that stays had one id, and nothing removed it before the end.
    let mut sent = namespace.ledger().entries_since(sequence);
    let renewal = namespace.read_contract("renewal").await.unwrap();
    let history = renewal.status.unwrap().history;
    assert_eq!(history.last().map(|it| it.to), Some(TransitionTo::InForce));
    sent.retain(|it| it.write && it.key == id && it.operation != "update");
    let operations: Vec<_> = sent.iter().map(|it| it.operation.as_str()).collect();
    assert_eq!(operations, ["deprovision"], "{:?}", brief(&sent));

    // What has happened stands in the first contract.
    let first = namespace.read_contract("first").await.unwrap();
    let history = first.status.unwrap().history;
    let told: Vec<_> = history
        .iter()
        .map(|it| (it.to, it.amendment.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            (TransitionTo::Amended, "leaves"),
            (TransitionTo::Amended, "other-weekdays"),
            (TransitionTo::InForce, "")
        ]
    );
    let amendments = namespace.list::<ContractAmendment>().await;
    assert_eq!(amendments.len(), 3);
    every_reason_is_listed(namespace).await;
    fixture.finish().await;
}
