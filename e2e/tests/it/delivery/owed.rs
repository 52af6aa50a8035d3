//! What is owed is frozen: neither edits nor deletions change what was promised.

use entente_crds::v1alpha1::{Compensation, PromiseState, ServiceSubscription};
use entente_e2e::scene::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::scene::{Scene, starting_in};
use entente_simulators::FaultKind;
use jiff::SignedDuration;

use crate::standard::{
    AHEAD, Standard, assert_credit, calculated, contract_is, late, promise_state, subscription_is,
};

// shows D8
#[tokio::test]
async fn a_fee_that_is_edited_while_the_service_is_late_changes_nothing_that_was_promised() {
    let world = Standard::new("fee", 1).await;
    let scene = &world.scene;
    world.device(0).set_fault(FaultKind::Offline).await.unwrap();
    let start = starting_in(AHEAD / 2);
    let mut contract = world.parts_contract("fee", start, "1s");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "fee", "PromiseMissed").await;

    let service = &mut contract.spec.services[0];
    service.fee.as_mut().unwrap().amount = "1.00".to_owned();
    service.service_level.as_mut().unwrap().allowed = "24h".into();
    scene.apply(&contract).await.unwrap();
    let parts = ["fee", "parts", world.name(0)];
    let edited = scene
        .soon("the edit is in a revision of its own", async || {
            let found = scene.subscription(parts[0], parts[1], parts[2]).await?;
            (found.spec.revisions.len() == 2).then_some(found)
        })
        .await
        .unwrap();
    let [promised, plain] = edited.spec.revisions.as_slice() else {
        panic!("two revisions");
    };
    assert!(promised.promised && promised.until.is_some());
    assert!(!plain.promised);
    assert_eq!(promised.fee.as_ref().unwrap().amount, "120000.00");

    world.device(0).clear_faults().await.unwrap();
    let subscription = subscription_is(scene, parts, "Delivered").await;
    assert_eq!(promise_state(&subscription), PromiseState::Missed);
    let compensation = calculated(scene).await;
    assert_credit(&compensation, start, late(&subscription));
    assert_eq!(compensation.spec.record.service_level.allowed, "1s".into());
    world.finish().await;
}

// shows D8
#[tokio::test]
async fn a_subscription_that_is_deleted_by_hand_comes_back_without_a_phantom_debt() {
    let world = Standard::new("phantom", 1).await;
    let scene = &world.scene;
    let contract = world.parts_contract("phantom", starting_in(AHEAD / 4), "1s");
    scene.apply(&contract).await.unwrap();
    let parts = ["phantom", "parts", world.name(0)];
    let first = subscription_is(scene, parts, "Delivered").await;
    assert_eq!(promise_state(&first), PromiseState::Kept);
    // It comes back past the allowance, when a fresh promise would be a missed one.
    let deadline = first.promises()[0].effective + SignedDuration::from_millis(1200);
    scene
        .soon("the allowance has passed", async || {
            (jiff::Timestamp::now() > deadline).then_some(())
        })
        .await
        .unwrap();
    let name = first.metadata.name.clone().unwrap();
    scene
        .delete::<ServiceSubscription>(Some(scene.namespace()), &name)
        .await
        .unwrap();
    let second = scene
        .soon("the subscription is made again and delivered", async || {
            let found = scene.subscription(parts[0], parts[1], parts[2]).await?;
            let again = found.metadata.uid != first.metadata.uid;
            (again && found.is("Delivered")).then_some(found)
        })
        .await
        .unwrap();
    assert!(second.is("EvidenceLost"), "{:?}", second.conditions());
    assert!(
        second
            .promises()
            .iter()
            .all(|promise| promise.state == PromiseState::Closed),
        "{:?}",
        second.promises()
    );
    contract_is(scene, "phantom", "Ready").await;
    assert!(scene.compensations().await.is_empty());
    assert!(
        !scene
            .read_contract("phantom")
            .await
            .unwrap()
            .is("PromiseMissed")
    );
    crate::standard::every_reason_is_listed(scene).await;
}

// shows D8
#[tokio::test]
async fn a_compensation_that_a_person_deletes_is_not_made_again() {
    let world = Standard::new("deleted", 1).await;
    let scene = &world.scene;
    world.device(0).set_fault(FaultKind::Offline).await.unwrap();
    let contract = world.parts_contract("deleted", starting_in(AHEAD / 4), "1s");
    scene.apply(&contract).await.unwrap();
    let parts = ["deleted", "parts", world.name(0)];
    let emitted = scene
        .soon("the promise lists its compensation", async || {
            let found = scene.subscription(parts[0], parts[1], parts[2]).await?;
            found.promises().first()?.emitted.first().cloned()
        })
        .await
        .unwrap();
    scene
        .delete::<Compensation>(Some(scene.namespace()), &emitted)
        .await
        .unwrap();
    world.device(0).clear_faults().await.unwrap();
    let subscription = subscription_is(scene, parts, "Delivered").await;
    assert_eq!(subscription.promises()[0].emitted, [emitted]);
    crate::standard::reconciled(scene, world.name(0)).await;
    assert!(scene.compensations().await.is_empty());
    world.finish().await;
}

// shows D8
#[tokio::test]
async fn a_contract_that_is_deleted_while_late_owes_until_then_and_no_longer() {
    let world = Standard::new("ended-late", 1).await;
    let scene = &world.scene;
    world.device(0).set_fault(FaultKind::Offline).await.unwrap();
    let start = starting_in(AHEAD / 2);
    let contract = world.parts_contract("ended-late", start, "1s");
    scene.apply(&contract).await.unwrap();
    scene
        .soon("something is owed", async || {
            let compensation = scene.compensations().await.pop()?;
            let value = compensation.status?.amount?.value;
            (value.parse::<f64>().ok()? > 0.06).then_some(())
        })
        .await
        .unwrap();
    scene
        .delete::<entente_crds::v1alpha1::Contract>(Some(scene.namespace()), "ended-late")
        .await
        .unwrap();
    let compensation = calculated(scene).await;
    let lateness = compensation
        .status
        .as_ref()
        .unwrap()
        .lateness
        .as_ref()
        .unwrap();
    let until = lateness.until.expect("it is closed");
    assert_credit(
        &compensation,
        start,
        until.duration_since(start).as_secs_f64(),
    );
    scene
        .soon("the contract is gone", async || {
            let left = scene.read_contract("ended-late").await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
    assert_eq!(
        scene.compensations().await.len(),
        1,
        "the record outlives its contract"
    );
}

/// Waits until there are so many compensations.
async fn records(scene: &Scene<'_>, count: usize) -> Vec<Compensation> {
    let what = format!("there are {count} compensations");
    let found = scene.soon(&what, async || {
        let found = scene.compensations().await;
        (found.len() == count).then_some(found)
    });
    found.await.unwrap()
}

/// Voids a compensation as a person does, with what stands behind the reason.
async fn void(scene: &Scene<'_>, name: &str, reissue: &str) {
    let patch = format!(r#"{{"spec":{{"voided":{{"reason":"agreed by phone"{reissue}}}}}}}"#);
    let (target, namespace) = (format!("compensation/{name}"), scene.namespace());
    let arguments = [
        "patch",
        &target,
        "-n",
        namespace,
        "--type=merge",
        "-p",
        &patch,
    ];
    let patched = scene.plane().kubectl(arguments).await.unwrap();
    assert!(patched.status.success(), "{patched:?}");
}

// shows D8
#[tokio::test]
async fn a_compensation_that_is_voided_cancels_the_debt_or_is_issued_again() {
    let world = Standard::new("void", 2).await;
    let scene = &world.scene;
    for place in [0, 1] {
        let device = world.device(place);
        device.set_fault(FaultKind::Offline).await.unwrap();
    }
    let names = [world.name(0), world.name(1)];
    let entry = scene.entry("parts", "parts-life", &names, "1s");
    let contract = scene.contract("void", starting_in(AHEAD / 2), vec![entry]);
    scene.apply(&contract).await.unwrap();
    let made = records(scene, 2).await;
    let of = |device: &str| {
        let mut made = made.iter();
        let found = made.find(|it| it.spec.record.device.name == device);
        found.and_then(|it| it.metadata.name.clone()).unwrap()
    };
    let (cancelled, again) = (of(names[0]), of(names[1]));
    void(scene, &cancelled, "").await;
    void(scene, &again, r#","reissue":"Same""#).await;
    for place in [0, 1] {
        world.device(place).clear_faults().await.unwrap();
    }
    contract_is(scene, "void", "Delivered").await;
    let issued = format!("{again}.2");
    let settled = scene.soon("the other one is issued again and calculated", async || {
        let found = scene.get::<Compensation>(&issued).await?;
        found.is("Calculated").then_some(found)
    });
    let issued = settled.await.unwrap();
    let reissues = issued.spec.record.reissues.as_ref().unwrap();
    assert_eq!(reissues.name, again);
    records(scene, 3).await;
    let summary = &issued.status.as_ref().unwrap().summary;
    let owed = scene.soon("only that one is owed", async || {
        let owed = scene.read_contract("void").await?.status?.owed?;
        (owed.calculated == 1 && Some(&owed.summary) == summary.as_ref()).then_some(())
    });
    owed.await.unwrap();
    let table = [
        "get",
        "compensations",
        "-n",
        scene.namespace(),
        "--no-headers",
    ];
    let table = scene.plane().kubectl(table).await.unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    let voided = table.lines().filter(|line| line.contains(" Voided "));
    assert_eq!(voided.count(), 2, "{table}");
    let events = scene.events().await;
    let told = events
        .iter()
        .filter(|it| it.reason.as_deref() == Some("CompensationVoided"));
    assert_eq!(told.count(), 2);
    world.finish().await;
}
