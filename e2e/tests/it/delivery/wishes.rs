//! A person's wish that what is on the devices of a contract is read now.

use entente_crds::v1alpha1::{Connection, Contract, Limit, Limits, ServiceSubscription};
use entente_e2e::namespace::starting_in;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::delivery_fixture::{AHEAD, DeliveryFixture, contract_is, reconciled};

/// Requests to the devices that begin in a second.
const PER_SECOND: i32 = 2;

/// Lets the requests to the devices begin at a slow pace.
async fn slow_down(fixture: &DeliveryFixture<'_>) {
    let namespace = &fixture.namespace;
    let mut connection: Connection = namespace.device_connection(fixture.fleet.port());
    connection.spec.limits = Some(Limits {
        total: Some(Limit {
            in_flight: 16,
            per_second: PER_SECOND,
        }),
        ..Limits::default()
    });
    namespace.apply(&connection).await.unwrap();
}

// shows D1 K1
#[tokio::test]
async fn a_wish_of_a_contract_reads_its_devices_at_the_pace_of_their_connection_and_sends_nothing()
{
    let fixture = DeliveryFixture::new("wish", 6).await;
    let namespace = &fixture.namespace;
    let names: Vec<&str> = (0..6).map(|place| fixture.name(place)).collect();
    let entry = namespace.entry("parts", "parts-life", &names, "15m");
    let contract = namespace.contract("wish", starting_in(AHEAD / 4), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "wish", "Delivered").await;
    slow_down(&fixture).await;
    for name in &names {
        reconciled(namespace, name).await;
    }
    let sequence = namespace.ledger().last_sequence();

    let at = Timestamp::now().to_string();
    let wish = json!({"metadata": {"annotations": {"entente.dev/reconcile-at": at}}});
    let (contracts, parameters) = (namespace.api::<Contract>(), PatchParams::default());
    let wish = Patch::Merge(&wish);
    contracts.patch("wish", &parameters, &wish).await.unwrap();
    let done = namespace.soon("each device of the contract was read", async || {
        let all = namespace.list::<ServiceSubscription>().await;
        let statuses = all.into_iter().map(|it| it.status.unwrap_or_default());
        let mut handled = statuses.map(|it| it.last_handled_reconcile_at);
        handled
            .all(|handled| handled.as_deref() == Some(&*at))
            .then_some(())
    });
    done.await.unwrap();
    let contract = namespace.read_contract("wish").await.unwrap();
    let handled = contract.status.unwrap().last_handled_reconcile_at;
    assert_eq!(handled.as_deref(), Some(&*at));

    let later = namespace.ledger().entries_since(sequence);
    assert!(later.iter().all(|entry| !entry.write), "{later:#?}");
    for name in &names {
        let is_read = later.iter().any(|entry| entry.name == **name);
        assert!(is_read, "{name} was not read: {later:#?}");
    }
    let times = || later.iter().map(entente_simulators::Entry::time);
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    let took = last.duration_since(first).as_secs_f64();
    let requests = u32::try_from(later.len()).unwrap();
    let paced = f64::from(requests) / f64::from(PER_SECOND) - 1.0;
    assert!(took >= 0.8 * paced, "{requests} requests in {took} s");
    fixture.finish().await;
}
