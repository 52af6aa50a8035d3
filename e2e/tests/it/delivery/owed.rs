//! Debts are frozen: neither edits nor deletions change a promise.

use entente_crds::v1alpha1::{Compensation, PromiseState, ServiceSubscription};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::{TestNamespace, starting_in};
use jiff::SignedDuration;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, assert_credit, calculated, contract_is, late, promise_state,
    subscription_is,
};

// shows D8
#[tokio::test]
async fn a_fee_that_is_edited_while_the_service_is_late_changes_nothing_that_was_promised() {
    let fixture = DeliveryFixture::new("fee", 1).await;
    let namespace = &fixture.namespace;
    fixture.switch_off(0).await;
    let start = starting_in(AHEAD / 2);
    let mut contract = fixture.parts_contract("fee", start, "1s");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "fee", "PromiseMissed").await;

    let service = &mut contract.spec.services[0];
    service.fee.as_mut().unwrap().amount = "1.00".to_owned();
    service.service_level.as_mut().unwrap().allowed = "24h".into();
    namespace.apply(&contract).await.unwrap();
    let parts = ["fee", "parts", fixture.name(0)];
    let edited = namespace
        .soon("the edit is in a revision of its own", async || {
            let found = namespace.subscription(parts[0], parts[1], parts[2]).await?;
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

    fixture.device(0).clear_faults().await.unwrap();
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(promise_state(&subscription), PromiseState::Missed);
    let compensation = calculated(namespace).await;
    assert_credit(&compensation, start, late(&subscription));
    assert_eq!(compensation.spec.record.service_level.allowed, "1s".into());
    fixture.finish().await;
}

// shows D8
#[tokio::test]
async fn a_subscription_that_is_deleted_by_hand_comes_back_without_a_phantom_debt() {
    let fixture = DeliveryFixture::new("phantom", 1).await;
    let namespace = &fixture.namespace;
    let contract = fixture.parts_contract("phantom", starting_in(AHEAD / 4), "1s");
    namespace.apply(&contract).await.unwrap();
    let parts = ["phantom", "parts", fixture.name(0)];
    let first = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(promise_state(&first), PromiseState::Kept);
    // It comes back after the allowance, when a fresh promise would be missed.
    let deadline = first.promises()[0].effective + SignedDuration::from_millis(1200);
    namespace
        .soon("the allowance has passed", async || {
            (jiff::Timestamp::now() > deadline).then_some(())
        })
        .await
        .unwrap();
    let name = first.metadata.name.clone().unwrap();
    namespace
        .delete::<ServiceSubscription>(Some(namespace.name()), &name)
        .await
        .unwrap();
    let second = namespace
        .soon("the subscription is made again and delivered", async || {
            let found = namespace.subscription(parts[0], parts[1], parts[2]).await?;
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
    contract_is(namespace, "phantom", "Ready").await;
    assert!(namespace.compensations().await.is_empty());
    assert!(
        !namespace
            .read_contract("phantom")
            .await
            .unwrap()
            .is("PromiseMissed")
    );
    crate::delivery_fixture::every_reason_is_listed(namespace).await;
}

// shows D8
#[tokio::test]
async fn a_compensation_that_a_person_deletes_is_not_made_again() {
    let fixture = DeliveryFixture::new("deleted", 1).await;
    let namespace = &fixture.namespace;
    fixture.switch_off(0).await;
    let contract = fixture.parts_contract("deleted", starting_in(AHEAD / 4), "1s");
    namespace.apply(&contract).await.unwrap();
    let parts = ["deleted", "parts", fixture.name(0)];
    let emitted = namespace
        .soon("the promise lists its compensation", async || {
            let found = namespace.subscription(parts[0], parts[1], parts[2]).await?;
            found.promises().first()?.emitted.first().cloned()
        })
        .await
        .unwrap();
    namespace
        .delete::<Compensation>(Some(namespace.name()), &emitted)
        .await
        .unwrap();
    fixture.device(0).clear_faults().await.unwrap();
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(subscription.promises()[0].emitted, [emitted]);
    crate::delivery_fixture::reconciled(namespace, fixture.name(0)).await;
    assert!(namespace.compensations().await.is_empty());
    fixture.finish().await;
}

// shows D8
#[tokio::test]
async fn a_contract_that_is_deleted_while_late_owes_until_then_and_no_longer() {
    let fixture = DeliveryFixture::new("ended-late", 1).await;
    let namespace = &fixture.namespace;
    fixture.switch_off(0).await;
    let start = starting_in(AHEAD / 2);
    let contract = fixture.parts_contract("ended-late", start, "1s");
    namespace.apply(&contract).await.unwrap();
    namespace
        .soon("something is owed", async || {
            let compensation = namespace.compensations().await.pop()?;
            let value = compensation.status?.amount?.value;
            (value.parse::<f64>().ok()? > 0.06).then_some(())
        })
        .await
        .unwrap();
    namespace
        .delete::<entente_crds::v1alpha1::Contract>(Some(namespace.name()), "ended-late")
        .await
        .unwrap();
    let compensation = calculated(namespace).await;
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
    namespace
        .soon("the contract is gone", async || {
            let left = namespace.read_contract("ended-late").await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
    assert_eq!(
        namespace.compensations().await.len(),
        1,
        "the record outlives its contract"
    );
}

/// Waits until there are so many compensations.
async fn records(namespace: &TestNamespace<'_>, count: usize) -> Vec<Compensation> {
    let what = format!("there are {count} compensations");
    let found = namespace.soon(&what, async || {
        let found = namespace.compensations().await;
        (found.len() == count).then_some(found)
    });
    found.await.unwrap()
}

/// Voids a compensation as a person does, with these fields beside the reason.
async fn void(namespace: &TestNamespace<'_>, name: &str, reissue: &str) {
    let patch = format!(r#"{{"spec":{{"voided":{{"reason":"agreed by phone"{reissue}}}}}}}"#);
    let target = format!("compensation/{name}");
    let arguments = [
        "patch",
        &target,
        "-n",
        namespace.name(),
        "--type=merge",
        "-p",
        &patch,
    ];
    let patched = namespace.plane().kubectl(arguments).await.unwrap();
    assert!(patched.status.success(), "{patched:?}");
}

// shows D8
#[tokio::test]
async fn a_compensation_that_is_voided_cancels_the_debt_or_is_issued_again() {
    let fixture = DeliveryFixture::new("void", 2).await;
    let namespace = &fixture.namespace;
    for place in [0, 1] {
        fixture.switch_off(place).await;
    }
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("parts", "parts-life", &names, "1s");
    let contract = namespace.contract("void", starting_in(AHEAD / 2), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    let made = records(namespace, 2).await;
    let of = |device: &str| {
        let mut made = made.iter();
        let found = made.find(|it| it.spec.record.device.name == device);
        found.and_then(|it| it.metadata.name.clone()).unwrap()
    };
    let (cancelled, again) = (of(names[0]), of(names[1]));
    void(namespace, &cancelled, "").await;
    void(namespace, &again, r#","reissue":"Same""#).await;
    for place in [0, 1] {
        fixture.device(place).clear_faults().await.unwrap();
    }
    contract_is(namespace, "void", "Delivered").await;
    let issued = format!("{again}.2");
    let settled = namespace.soon("the other one is issued again and calculated", async || {
        let found = namespace.get::<Compensation>(&issued).await?;
        found.is("Calculated").then_some(found)
    });
    let issued = settled.await.unwrap();
    let reissues = issued.spec.record.reissues.as_ref().unwrap();
    assert_eq!(reissues.name, again);
    records(namespace, 3).await;
    let summary = &issued.status.as_ref().unwrap().summary;
    let owed = namespace.soon("only that one is owed", async || {
        let owed = namespace.read_contract("void").await?.status?.owed?;
        (owed.calculated == 1 && Some(&owed.summary) == summary.as_ref()).then_some(())
    });
    owed.await.unwrap();
    let table = [
        "get",
        "compensations",
        "-n",
        namespace.name(),
        "--no-headers",
    ];
    let table = namespace.plane().kubectl(table).await.unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    let voided = table.lines().filter(|line| line.contains(" Voided "));
    assert_eq!(voided.count(), 2, "{table}");
    let events = namespace.events().await;
    let told = events
        .iter()
        .filter(|it| it.reason.as_deref() == Some("CompensationVoided"));
    assert_eq!(told.count(), 2);
    fixture.finish().await;
}
