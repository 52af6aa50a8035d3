//! Devices that report success and do nothing: proof is by reading back, and delays are owed.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ItemState, PromiseState};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::starting_in;
use entente_simulators::{FaultKind, Rejection};
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, assert_credit, calculated, contract_is, contract_says, late,
    promise_state, subscription_is, subscription_says,
};

const KEY: &str = "DeviceSetting/alert.threshold";

// shows D1 D3 D4 D5 D8
#[tokio::test]
async fn a_device_that_accepts_and_does_not_take_misses_its_promise_and_is_compensated_once() {
    let fixture = DeliveryFixture::new("liar", 1).await;
    let namespace = &fixture.namespace;
    let lie = FaultKind::NotEffective {
        attributes: vec!["nw-alert-threshold".to_owned()],
    };
    fixture.device(0).set_fault(lie).await.unwrap();
    let start = starting_in(AHEAD / 2);
    let mut contract = fixture.parts_contract("liar", start, "1s");
    contract.spec.services[0]
        .parameters
        .insert("threshold".to_owned(), "15".to_owned());
    namespace.apply(&contract).await.unwrap();

    let parts = ["liar", "parts", fixture.name(0)];
    let subscription =
        subscription_says(namespace, parts, "Delivered", "AcceptedNotEffective").await;
    let item = subscription.item(KEY).expect("the setting is an item");
    assert_eq!(item.state, ItemState::NotEffective);
    let problem = item.problem.as_ref().expect("it has a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);

    let contract = contract_is(namespace, "liar", "PromiseMissed").await;
    assert!(
        !contract.is("Stalled"),
        "one bad device is not the contract's fault"
    );
    contract_is(namespace, "liar", "CompensationPending").await;
    let open = namespace.compensations().await;
    assert_eq!(open.len(), 1);
    assert!(
        !open[0].is("Calculated"),
        "it is calculated while the service is still late"
    );

    fixture.device(0).clear_faults().await.unwrap();
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(
        fixture.device(0).attribute("nw-alert-threshold"),
        Some(json!(15))
    );
    assert_eq!(promise_state(&subscription), PromiseState::Missed);
    let compensation = calculated(namespace).await;
    assert_credit(&compensation, start, late(&subscription));
    let contract = contract_says(namespace, "liar", "Ready", "Delivered").await;
    assert!(contract.is("PromiseMissed"), "it stays for the term");
    fixture.finish().await;
}

// shows D1 K2
#[tokio::test]
async fn each_way_to_refuse_a_setting_is_told_apart() {
    let ways = [
        (Rejection::NotSupported, Reason::RejectedValue),
        (Rejection::NotSettable, Reason::RejectedNotSettable),
        (Rejection::Silent, Reason::RejectedNotSettable),
    ];
    let fixture = DeliveryFixture::new("refusal", ways.len()).await;
    let namespace = &fixture.namespace;
    for (place, (status, _)) in ways.iter().enumerate() {
        let refusal = FaultKind::Reject {
            attributes: vec!["nw-alert-threshold".to_owned()],
            status: *status,
        };
        fixture.device(place).set_fault(refusal).await.unwrap();
    }
    let names: Vec<&str> = (0..ways.len()).map(|place| fixture.name(place)).collect();
    let mut entry = namespace.entry("parts", "parts-life", &names, "15m");
    entry
        .parameters
        .insert("threshold".to_owned(), "15".to_owned());
    let contract = namespace.contract("refusal", starting_in(AHEAD / 4), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    for (place, (status, outcome)) in ways.iter().enumerate() {
        let found = namespace.soon("the refusal is an item's problem", async || {
            let subscription = namespace
                .subscription("refusal", "parts", names[place])
                .await?;
            Some(subscription.item(KEY)?.problem.as_ref()?.outcome)
        });
        assert_eq!(found.await.unwrap(), *outcome, "{status:?}");
    }
    assert!(
        !namespace
            .read_contract("refusal")
            .await
            .unwrap()
            .is("Stalled")
    );
    crate::delivery_fixture::every_reason_is_listed(namespace).await;
}

// shows D3 D4
#[tokio::test]
async fn a_device_that_is_off_at_the_start_is_late_until_it_is_back() {
    let fixture = DeliveryFixture::new("off", 2).await;
    let namespace = &fixture.namespace;
    fixture.switch_off(0).await;
    let start = starting_in(AHEAD / 2);
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("backup", "data-backup", &names, "1s");
    namespace
        .apply(&namespace.contract("off", start, vec![entry]))
        .await
        .unwrap();
    let good = subscription_is(namespace, ["off", "backup", names[1]], "Delivered").await;
    assert_eq!(promise_state(&good), PromiseState::Kept);
    contract_is(namespace, "off", "PromiseMissed").await;
    let off = namespace.read_device(names[0]).await.unwrap();
    assert_eq!(off.reason("Online"), "Unreachable");

    fixture.device(0).clear_faults().await.unwrap();
    let off = subscription_is(namespace, ["off", "backup", names[0]], "Delivered").await;
    assert_eq!(promise_state(&off), PromiseState::Missed);
    let compensation = calculated(namespace).await;
    assert_eq!(compensation.spec.record.device.name, names[0]);
    assert_credit(&compensation, start, late(&off));
    contract_says(namespace, "off", "Ready", "Delivered").await;
    fixture.finish().await;
}

// shows K1
#[tokio::test]
async fn a_device_that_takes_requests_and_never_answers_holds_nobody_up() {
    let fixture = DeliveryFixture::new("hung", 5).await;
    let namespace = &fixture.namespace;
    fixture.device(0).set_fault(FaultKind::Hang).await.unwrap();
    let names: Vec<&str> = (0..5).map(|place| fixture.name(place)).collect();
    let entry = namespace.entry("parts", "parts-life", &names, "15m");
    let contract = namespace.contract("hung", starting_in(AHEAD / 2), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    for name in &names[1..] {
        let subscription = subscription_is(namespace, ["hung", "parts", name], "Delivered").await;
        // A request may take 10 s; one that waits behind a request that hangs is later than that.
        assert!(
            late(&subscription) < 8.0,
            "{name} waited for the one that hangs: {} s",
            late(&subscription)
        );
    }
    let hung = ["hung", "parts", names[0]];
    subscription_says(namespace, hung, "Delivered", "TimedOut").await;
    fixture.device(0).clear_faults().await.unwrap();
    subscription_is(namespace, hung, "Delivered").await;
    fixture.finish().await;
}
