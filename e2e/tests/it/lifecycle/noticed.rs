//! A contract that a notice starts, and another one ends.

use std::time::Duration;

use entente_crds::v1alpha1::{ContractNotice, NoticeType, PromiseState, StartOn, Term};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{now, starting_in};
use entente_simulators::Cause;

use crate::delivery_fixture::{
    DeliveryFixture, brief, contract_is, contract_says, promise_state, subscription_is,
};

// shows B2 B7
#[tokio::test]
async fn a_notice_starts_a_contract_and_another_one_ends_it() {
    let fixture = DeliveryFixture::new("noticed", 1).await;
    let namespace = &fixture.namespace;
    let entry = namespace.entry("backup", "data-backup", &[fixture.name(0)], "15m");
    let mut contract = namespace.contract("noticed", now(), vec![entry]);
    contract.spec.term = Term {
        start_on: Some(StartOn::Notice),
        duration: Some("P1Y".to_owned()),
        time_zone: contract.spec.term.time_zone,
        ..Term::default()
    };
    namespace.apply(&contract).await.unwrap();
    let awaiting = contract_says(namespace, "noticed", "Ready", "AwaitingNotice").await;
    assert!(awaiting.is("Ready") && !awaiting.is("InForce"));
    let early: Vec<_> = namespace
        .ledger()
        .entries()
        .into_iter()
        .filter(|entry| entry.cause == Cause::Request && !entry.probe)
        .collect();
    assert_eq!(
        brief(&early),
        Vec::<String>::new(),
        "sent before the notice"
    );

    let start = now();
    let notice = namespace.notice("installed", "noticed", NoticeType::Started, start);
    namespace.apply(&notice).await.unwrap();
    let delivered = contract_is(namespace, "noticed", "Delivered").await;
    let term = delivered
        .status
        .and_then(|status| status.term)
        .expect("a term");
    assert_eq!(term.start, start);
    assert_eq!(term.started_by.as_deref(), Some("installed"));
    let parts = ["noticed", "backup", fixture.name(0)];
    let subscription = subscription_is(namespace, parts, "Ready").await;
    assert_eq!(promise_state(&subscription), PromiseState::Kept);
    assert_eq!(subscription.spec.revisions[0].effective, start);

    let end = starting_in(Duration::from_secs(4));
    let notice = namespace.notice("cancelled", "noticed", NoticeType::Ended, end);
    namespace.apply(&notice).await.unwrap();
    let over = contract_says(namespace, "noticed", "Ready", "Ended").await;
    let term = over.status.and_then(|status| status.term).expect("a term");
    assert_eq!((term.start, term.end), (start, Some(end)));
    assert!(jiff::Timestamp::now() >= end, "not before its instant");
    for name in ["installed", "cancelled"] {
        let says = format!("the notice {name} says that it has come");
        let come = namespace.soon(&says, async || {
            let notice: ContractNotice = namespace.get(name).await?;
            (notice.is("Ready") && notice.reason("Ready") == "Succeeded").then_some(())
        });
        come.await.unwrap();
    }
}
