//! The start of a term: nothing before it, everything at it, nothing twice.

use entente_crds::v1alpha1::PromiseState;
use entente_e2e::scene::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::scene::{now, starting_in};
use entente_simulators::{Cause, Entry};
use serde_json::json;

use crate::standard::{
    AHEAD, Standard, brief, contract_is, contract_says, late, promise_state, reconciled,
    subscription_is,
};

// shows B1 B3 B5 B6 B9 D1 D2
#[tokio::test]
async fn a_contract_that_is_applied_early_sends_nothing_before_its_start_and_is_delivered_at_it() {
    let world = Standard::new("start", 2).await;
    let scene = &world.scene;
    let names = [world.name(0), world.name(1)];
    let start = starting_in(AHEAD);
    let mut backup = scene.entry("backup", "data-backup", &names, "15m");
    backup.parameters = [("weekdays", "wed,sun"), ("mode", "Differential")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let parts = scene.entry("parts", "parts-life", &names[..1], "15m");
    let contract = scene.contract("start", start, vec![backup, parts]);
    scene.apply(&contract).await.unwrap();
    let scheduled = contract_says(scene, "start", "Ready", "Scheduled").await;
    assert!(scheduled.is("Ready") && !scheduled.is("InForce"));
    assert!(jiff::Timestamp::now() < start, "too slow");

    contract_is(scene, "start", "Delivered").await;
    let early: Vec<_> = scene
        .ledger()
        .entries()
        .into_iter()
        .filter(|entry| entry.cause == Cause::Request && !entry.probe && entry.time() < start)
        .collect();
    assert_eq!(brief(&early), Vec::<String>::new(), "sent before {start}");

    let first = scene.ledger().writes().first().map(Entry::time);
    let mut latest: f64 = 0.0;
    for (service, device) in [("backup", 0), ("backup", 1), ("parts", 0)] {
        let parts = ["start", service, names[device]];
        let subscription = subscription_is(scene, parts, "Ready").await;
        assert_eq!(promise_state(&subscription), PromiseState::Kept);
        latest = latest.max(late(&subscription));
    }
    println!(
        "from the promised instant: first write {:.0} ms, last proof {:.0} ms",
        first.map_or(f64::NAN, |at| at.duration_since(start).as_secs_f64() * 1e3),
        latest * 1e3
    );

    let device = world.device(0);
    assert_eq!(
        device.attribute("nw-backup-weekdays"),
        Some(json!(["sun", "wed"]))
    );
    assert_eq!(
        device.attribute("nw-backup-mode"),
        Some(json!("differential"))
    );
    assert_eq!(device.attribute("nw-alert-threshold"), Some(json!(20)));
    let instances = world.broker.instances();
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
    assert!(scene.compensations().await.is_empty());
    world.finish().await;
}

// shows B6
#[tokio::test]
async fn a_service_is_turned_on_only_after_everything_before_it_is_proven() {
    let world = Standard::new("activation", 1).await;
    let scene = &world.scene;
    let lie = entente_simulators::FaultKind::NotEffective {
        attributes: vec!["nw-backup-mode".to_owned()],
    };
    world.device(0).set_fault(lie).await.unwrap();
    let mut contract = world.backup_contract("activation", starting_in(AHEAD / 2), "15m");
    contract.spec.services[0]
        .parameters
        .insert("mode".to_owned(), "Differential".to_owned());
    scene.apply(&contract).await.unwrap();
    let parts = ["activation", "backup", world.name(0)];
    crate::standard::subscription_says(scene, parts, "Delivered", "AcceptedNotEffective").await;
    assert!(
        world.broker.instances().is_empty(),
        "the service server was instructed before the device was proven"
    );

    world.device(0).clear_faults().await.unwrap();
    subscription_is(scene, parts, "Delivered").await;
    let turned: Vec<_> = scene
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
        world.device(0).attribute("nw-backup-mode"),
        Some(json!("differential"))
    );
}

// shows B7 K1
#[tokio::test]
async fn what_is_applied_twice_is_written_once() {
    let world = Standard::new("twice", 2).await;
    let scene = &world.scene;
    let names = [world.name(0), world.name(1)];
    let entry = scene.entry("backup", "data-backup", &names, "15m");
    let contract = scene.contract("twice", now(), vec![entry]);
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "twice", "Ready").await;
    for name in names {
        reconciled(scene, name).await;
    }
    let position = scene.plane().audit_position().await.unwrap();
    let sequence = scene.ledger().last_sequence();

    world.apply_catalogue().await;
    world.apply_devices().await;
    scene.apply(&contract).await.unwrap();
    for name in names {
        reconciled(scene, name).await;
    }

    let events = scene.plane().audit_events_since(position).await.unwrap();
    let writes: Vec<_> = events
        .iter()
        .filter(|event| {
            event
                .user
                .starts_with("system:serviceaccount:entente-system:")
        })
        .filter(|event| event.is_write() && event.namespace == scene.namespace())
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
    let sent: Vec<_> = scene
        .ledger()
        .entries_since(sequence)
        .into_iter()
        .filter(|entry| entry.write)
        .collect();
    assert_eq!(brief(&sent), Vec::<String>::new());
    world.finish().await;
}

// shows B2 B3
#[tokio::test]
async fn a_term_that_has_begun_before_it_was_known_is_set_up_at_once_and_promises_nothing() {
    let world = Standard::new("begun", 1).await;
    let scene = &world.scene;
    let yesterday = now() - jiff::SignedDuration::from_hours(24);
    let contract = world.backup_contract("begun", yesterday, "1s");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "begun", "Delivered").await;
    let subscription = scene
        .subscription("begun", "backup", world.name(0))
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
    assert!(scene.compensations().await.is_empty());
    world.finish().await;
}

// shows B3
#[tokio::test]
async fn two_terms_of_one_customer_begin_each_at_its_own_instant() {
    let world = Standard::new("terms", 2).await;
    let scene = &world.scene;
    let (early, late_start) = (starting_in(AHEAD / 2), starting_in(AHEAD * 3 / 2));
    let entry = |place| scene.entry("backup", "data-backup", &[world.name(place)], "15m");
    let first = scene.contract("first", early, vec![entry(0)]);
    let second = scene.contract("second", late_start, vec![entry(1)]);
    scene.apply(&first).await.unwrap();
    scene.apply(&second).await.unwrap();
    contract_is(scene, "first", "Delivered").await;
    assert!(!scene.read_contract("second").await.unwrap().is("InForce"));
    contract_is(scene, "second", "Delivered").await;
    let second_writes = crate::standard::writes_to(scene, world.name(1));
    assert!(!second_writes.is_empty());
    assert!(second_writes.iter().all(|entry| entry.time() >= late_start));
    world.finish().await;
}
