//! Contracts that are signed, changed, started and ended by events.

use entente_crds::v1alpha1::{AmendedService, Contract, ContractNotice, Fee, StartOn, Term};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use futures::future::join_all;
use serde_json::{Value, json};

use super::sender::{Sender, event};
use crate::delivery_fixture::{DeliveryFixture, contract_is, contract_says, test_namespace};

/// Returns a contract without a date: a notice starts it.
fn awaiting(namespace: &TestNamespace<'_>, name: &str, devices: &[&str]) -> Contract {
    let entry = namespace.entry("backup", "data-backup", devices, "15m");
    let mut contract = namespace.contract(name, now(), vec![entry]);
    contract.spec.term = Term {
        start_on: Some(StartOn::Notice),
        duration: Some("P1Y".to_owned()),
        time_zone: contract.spec.term.time_zone,
        ..Term::default()
    };
    contract
}

fn spec(object: &impl serde::Serialize) -> Value {
    serde_json::to_value(object).unwrap()["spec"].take()
}

// shows B2 B7 K4
#[tokio::test]
async fn events_sign_start_change_and_end_a_contract_that_nobody_applied() {
    let fixture = DeliveryFixture::new("events", 1).await;
    let namespace = &fixture.namespace;
    let all = "contracts.entente.dev,contractamendments.entente.dev,contractnotices.entente.dev";
    let sender = Sender::new(namespace, all).await;
    let contract = awaiting(namespace, "signed", &[fixture.name(0)]);
    let signed = event("signed", "1", "signed", spec(&contract));
    let answer = sender.send(&signed).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body, json!({"kind": "Contract", "name": "signed"}));
    contract_says(namespace, "signed", "Ready", "AwaitingNotice").await;
    assert_eq!(sender.send(&signed).await.status, 200);

    let started = event("started", "2", "signed", json!({}));
    let answer = sender.send(&started).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    // Where it says that it is, it is.
    let location = answer.headers["location"].to_str().unwrap();
    let request = http::Request::get(location).body(Vec::new()).unwrap();
    let found: Value = namespace.client().request(request).await.unwrap();
    assert_eq!(found["spec"]["at"], started["time"]);
    assert_eq!(
        found["metadata"]["annotations"]["entente.dev/sent-by"],
        format!("system:serviceaccount:{}:crm", namespace.name())
    );
    let delivered = contract_is(namespace, "signed", "Delivered").await;
    let term = delivered.status.unwrap().term.expect("a term");
    assert_eq!(term.started_by.as_deref(), answer.body["name"].as_str());

    let fee = Fee {
        amount: "90000.00".to_owned(),
        ..entente_e2e::namespace::fee()
    };
    let entry = AmendedService {
        name: "backup".to_owned(),
        fee: Some(fee),
        ..AmendedService::default()
    };
    let next_day = now() + std::time::Duration::from_hours(24);
    let amendment = namespace.amendment("", "signed", next_day, vec![entry]);
    let changed = event("changed", "3", "signed", spec(&amendment));
    let answer = sender.send(&changed).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let name = answer.body["name"].as_str().unwrap().to_owned();
    let upcoming = namespace.soon("the contract tells the change that comes", async || {
        let contract: Contract = namespace.get("signed").await?;
        let upcoming = contract.status?.upcoming;
        format!("{upcoming:?}").contains(&name).then_some(())
    });
    upcoming.await.unwrap();

    let ended = event("ended", "4", "signed", json!({}));
    assert_eq!(sender.send(&ended).await.status, 201);
    contract_says(namespace, "signed", "Ready", "Ended").await;
    fixture.finish().await;
}

// shows B2 K4
#[tokio::test]
async fn one_event_that_comes_twenty_times_at_once_makes_one_notice() {
    let namespace = test_namespace("twenty").await;
    let sender = Sender::new(&namespace, "contractnotices.entente.dev").await;
    let contract = awaiting(&namespace, "twenty", &["absent"]);
    namespace.apply(&contract).await.unwrap();
    let started = event("started", "once", "twenty", json!({}));
    let answers = join_all((0..20).map(|_| sender.send(&started))).await;
    let count = |status: u16| answers.iter().filter(|it| it.status == status).count();
    // One too many at once is told to come again.
    assert_eq!(count(201), 1, "{answers:?}");
    assert_eq!(count(200) + count(503), 19, "{answers:?}");
    for late in answers.iter().filter(|it| it.status == 503) {
        assert_eq!(late.headers["retry-after"], "1");
    }
    assert_eq!(sender.send(&started).await.status, 200);
    let notices = sender
        .kubectl(&["get", "contractnotices", "-o", "name"])
        .await;
    assert_eq!(notices.lines().count(), 1, "{notices}");
    contract_is(&namespace, "twenty", "InForce").await;

    // The id of an event that says something else.
    let mut other = started.clone();
    other["time"] = json!("2027-01-01T00:00:00Z");
    let answer = sender.send(&other).await;
    assert_eq!(
        (answer.status, answer.reason()),
        (409, "Conflict"),
        "{answer:?}"
    );
    // The attributes that say nothing of the contract may differ.
    let mut same = started;
    same["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(sender.send(&same).await.status, 200);
}

// shows B2
#[tokio::test]
async fn a_contract_that_git_owns_is_not_signed_by_an_event_and_not_changed() {
    let namespace = test_namespace("git").await;
    let sender = Sender::of_audience(&namespace, Some("entente")).await;
    // The right may be that of a group (tektoncd/results#634).
    let group = format!("--group=system:serviceaccounts:{}", namespace.name());
    let kinds = "contracts.entente.dev,contractnotices.entente.dev";
    sender.allow_to(&group, kinds).await;
    let mine = awaiting(&namespace, "git", &["absent"]);
    let before = namespace.apply(&mine).await.unwrap();
    let mut theirs = mine.clone();
    theirs.spec.customer.id = "C-2".to_owned();
    let answer = sender
        .send(&event("signed", "1", "git", spec(&theirs)))
        .await;
    assert_eq!(
        (answer.status, answer.reason()),
        (409, "ContractOwnedElsewhere")
    );
    let after: Contract = namespace.get("git").await.unwrap();
    assert_eq!(after.spec, before.spec);

    // A notice for a contract by date is made, and says itself that it was not expected.
    let dated = namespace.contract("dated", now(), mine.spec.services);
    namespace.apply(&dated).await.unwrap();
    let answer = sender
        .send(&event("started", "2", "dated", json!({})))
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let name = answer.body["name"].as_str().unwrap();
    let said = namespace.soon("the notice says that it was not expected", async || {
        let notice: ContractNotice = namespace.get(name).await?;
        (notice.reason("Accepted") == "NotExpected").then_some(())
    });
    said.await.unwrap();
}
