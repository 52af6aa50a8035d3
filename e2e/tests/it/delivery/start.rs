//! The start of a term: nothing before it, everything at it, nothing twice.

use entente_crds::v1alpha1::PromiseState;
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::{now, starting_in};
use entente_simulators::{Cause, Entry};
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, brief, contract_is, contract_says, late, promise_state, reconciled,
    subscription_is,
};

// shows B1 B3 B5 B6 B9 D1 D2
#[tokio::test]
async fn a_contract_that_is_applied_early_sends_nothing_before_its_start_and_is_delivered_at_it() {
    let fixture = DeliveryFixture::new("start", 2).await;
    let namespace = &fixture.namespace;
    let names = [fixture.name(0), fixture.name(1)];
    let start = starting_in(AHEAD);
    let mut backup = namespace.entry("backup", "data-backup", &names, "15m");
    backup.parameters = [("weekdays", "wed,sun"), ("mode", "Differential")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let parts = namespace.entry("parts", "parts-life", &names[..1], "15m");
    let contract = namespace.contract("start", start, vec![backup, parts]);
    namespace.apply(&contract).await.unwrap();
    let scheduled = contract_says(namespace, "start", "Ready", "Scheduled").await;
    assert!(scheduled.is("Ready") && !scheduled.is("InForce"));
    assert!(jiff::Timestamp::now() < start, "too slow");

    contract_is(namespace, "start", "Delivered").await;
    let early: Vec<_> = namespace
        .ledger()
        .entries()
        .into_iter()
        .filter(|entry| entry.cause == Cause::Request && !entry.probe && entry.time() < start)
        .collect();
    assert_eq!(brief(&early), Vec::<String>::new(), "sent before {start}");

    let first = namespace.ledger().writes().first().map(Entry::time);
    let mut latest: f64 = 0.0;
    for (service, device) in [("backup", 0), ("backup", 1), ("parts", 0)] {
        let parts = ["start", service, names[device]];
        let subscription = subscription_is(namespace, parts, "Ready").await;
        assert_eq!(promise_state(&subscription), PromiseState::Kept);
        latest = latest.max(late(&subscription));
    }
    println!(
        "from the promised instant: first write {:.0} ms, last proof {:.0} ms",
        first.map_or(f64::NAN, |at| at.duration_since(start).as_secs_f64() * 1e3),
        latest * 1e3
    );

    let device = fixture.device(0);
    assert_eq!(
        device.attribute("nw-backup-weekdays"),
        Some(json!(["sun", "wed"]))
    );
    assert_eq!(
        device.attribute("nw-backup-mode"),
        Some(json!("differential"))
    );
    assert_eq!(device.attribute("nw-alert-threshold"), Some(json!(20)));
    let instances = fixture.broker.instances();
    assert_eq!(
        instances.len(),
        2,
        "one instance for each device with a server side"
    );
    for instance in &instances {
        assert_eq!(instance.parameters["enabled"], json!(true), "{instance:?}");
        assert_eq!(instance.parameters["customer"], json!("C-4711"));
        assert_eq!(instance.parameters["mode"], json!("Differential"));
    }
    assert!(namespace.compensations().await.is_empty());
    fixture.finish().await;
}

// shows B6
#[tokio::test]
async fn a_service_is_turned_on_only_after_everything_before_it_is_proven() {
    let fixture = DeliveryFixture::new("activation", 1).await;
    let namespace = &fixture.namespace;
    let lie = entente_simulators::FaultKind::NotEffective {
        attributes: vec!["nw-backup-mode".to_owned()],
    };
    fixture.device(0).set_fault(lie).await.unwrap();
    let mut contract = fixture.backup_contract("activation", starting_in(AHEAD / 2), "15m");
    contract.spec.services[0]
        .parameters
        .insert("mode".to_owned(), "Differential".to_owned());
    namespace.apply(&contract).await.unwrap();
    let parts = ["activation", "backup", fixture.name(0)];
    crate::delivery_fixture::subscription_says(
        namespace,
        parts,
        "Delivered",
        "AcceptedNotEffective",
    )
    .await;
    assert!(
        fixture.broker.instances().is_empty(),
        "the service server was instructed before the device was proven"
    );

    fixture.device(0).clear_faults().await.unwrap();
    subscription_is(namespace, parts, "Delivered").await;
    let turned: Vec<_> = namespace
        .ledger()
        .writes()
        .into_iter()
        .filter_map(|entry| {
            Some((
                entry.operation.clone(),
                entry.value("/parameters/enabled")?.to_owned(),
            ))
        })
        .collect();
    assert_eq!(
        turned,
        [("provision", "false"), ("update", "true")]
            .map(|(operation, value)| (operation.to_owned(), value.to_owned()))
    );
    assert_eq!(
        fixture.device(0).attribute("nw-backup-mode"),
        Some(json!("differential"))
    );
}

// shows B7 K1
#[tokio::test]
async fn what_is_applied_twice_is_written_once() {
    let fixture = DeliveryFixture::new("twice", 2).await;
    let namespace = &fixture.namespace;
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("backup", "data-backup", &names, "15m");
    let contract = namespace.contract("twice", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "twice", "Ready").await;
    for name in names {
        reconciled(namespace, name).await;
    }
    let position = namespace.plane().audit_position().await.unwrap();
    let sequence = namespace.ledger().last_sequence();

    fixture.apply_catalogue().await;
    fixture.apply_devices().await;
    namespace.apply(&contract).await.unwrap();
    for name in names {
        reconciled(namespace, name).await;
    }

    let events = namespace
        .plane()
        .audit_events_since(position)
        .await
        .unwrap();
    let writes: Vec<_> = events
        .iter()
        .filter(|event| {
            event
                .user
                .starts_with("system:serviceaccount:entente-system:")
        })
        .filter(|event| event.is_write() && event.namespace == namespace.name())
        .filter(|event| event.resource != "events")
        .map(|event| {
            format!(
                "{} {}/{} {}",
                event.verb, event.resource, event.subresource, event.name
            )
        })
        .collect();
    // The answer to the wish for a reconcile, once for each device, is all there is.
    let mut wanted = names
        .map(|name| format!("update devices/status {name}"))
        .to_vec();
    wanted.sort();
    let mut writes = writes;
    writes.sort();
    assert_eq!(writes, wanted);
    let sent: Vec<_> = namespace
        .ledger()
        .entries_since(sequence)
        .into_iter()
        .filter(|entry| entry.write)
        .collect();
    assert_eq!(brief(&sent), Vec::<String>::new());
    fixture.finish().await;
}

// shows B2 B3
#[tokio::test]
async fn a_term_that_has_begun_before_it_was_known_is_set_up_at_once_and_promises_nothing() {
    let fixture = DeliveryFixture::new("begun", 1).await;
    let namespace = &fixture.namespace;
    let yesterday = now() - jiff::SignedDuration::from_hours(24);
    let contract = fixture.backup_contract("begun", yesterday, "1s");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "begun", "Delivered").await;
    let subscription = namespace
        .subscription("begun", "backup", fixture.name(0))
        .await
        .unwrap();
    assert!(
        subscription.promises().is_empty(),
        "{:?}",
        subscription.promises()
    );
    assert!(
        subscription
            .spec
            .revisions
            .iter()
            .all(|revision| !revision.promised)
    );
    assert!(namespace.compensations().await.is_empty());
    fixture.finish().await;
}

// shows B2 B3
#[tokio::test]
async fn two_terms_of_one_customer_begin_each_at_its_own_instant() {
    let fixture = DeliveryFixture::new("terms", 2).await;
    let namespace = &fixture.namespace;
    let (early, late_start) = (starting_in(AHEAD / 2), starting_in(AHEAD * 3 / 2));
    let entry = |place| namespace.entry("backup", "data-backup", &[fixture.name(place)], "15m");
    let first = namespace.contract("first", early, vec![entry(0)]);
    let second = namespace.contract("second", late_start, vec![entry(1)]);
    namespace.apply(&first).await.unwrap();
    namespace.apply(&second).await.unwrap();
    contract_is(namespace, "first", "Delivered").await;
    assert!(
        !namespace
            .read_contract("second")
            .await
            .unwrap()
            .is("InForce")
    );
    contract_is(namespace, "second", "Delivered").await;
    let second_writes = crate::delivery_fixture::writes_to(namespace, fixture.name(1));
    assert!(!second_writes.is_empty());
    assert!(second_writes.iter().all(|entry| entry.time() >= late_start));
    fixture.finish().await;
}
