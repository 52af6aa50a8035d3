//! Tests of the contract controller.

mod api_server;
mod surroundings;
mod triggers;

use std::{sync::Arc, time::Duration};

use entente_crds::{
    ANNOTATION_RECONCILE_AT, FINALIZER_WITHDRAW, example,
    v1alpha1::{Contract, ServiceSubscription},
};
use http::Method;
use jiff::SignedDuration;
use kube::ResourceExt as _;
use serde_json::json;

use super::Contracts;
use crate::in_process::{InProcess, Parts, says};

const CONTRACT: &str = "banco-sul-2027";
const NAMESPACE: &str = example::NAMESPACE;
const PATH: &str = "/apis/entente.dev/v1alpha1/namespaces/banco-sul";
/// Subscriptions: three of each service for the selected devices, one for the named device.
const SUBSCRIPTIONS: [&str; 7] = [
    "banco-sul-2027.backup.branch-01-mfp",
    "banco-sul-2027.backup.branch-02-mfp",
    "banco-sul-2027.backup.branch-03-mfp",
    "banco-sul-2027.backup.lobby-mfp",
    "banco-sul-2027.parts.branch-01-mfp",
    "banco-sul-2027.parts.branch-02-mfp",
    "banco-sul-2027.parts.branch-03-mfp",
];

fn contracts(parts: Parts) -> Contracts {
    Contracts::new(parts.context, parts.objects)
}

/// Returns a contract controller a month before the start; the contract is not there yet.
async fn started() -> InProcess {
    let mut process = InProcess::at("2027-03-01T00:00:00Z");
    process.cluster.apply(&example::data_backup());
    process.cluster.apply(&example::parts_life());
    for device in example::devices() {
        process.cluster.apply(&device);
    }
    process.start(contracts).await;
    process
}

/// Starts as [`started`] does, with a contract whose subscriptions all exist and are reported.
async fn established() -> InProcess {
    let process = started().await;
    process.cluster.apply(&example::banco_sul_2027());
    process
        .until("the contract is established", is_established)
        .await;
    process
}

fn contract(process: &InProcess) -> Contract {
    process
        .cluster
        .get(NAMESPACE, CONTRACT)
        .expect("a contract")
}

fn subscription(process: &InProcess, name: &str) -> Option<ServiceSubscription> {
    process.cluster.get(NAMESPACE, name)
}

fn is_established(process: &InProcess) -> bool {
    let status = contract(process).status;
    status.is_some_and(|status| status.established.is_some())
}

/// Returns a condition of the contract.
fn contract_says(process: &InProcess, type_: &str) -> String {
    let status = contract(process).status.unwrap_or_default();
    says(&status.conditions, type_)
}

/// Removes the finalizer, as the delivery controller does once a subscription is withdrawn.
fn release(process: &InProcess, name: &str) {
    let cluster = &process.cluster;
    cluster.edit(NAMESPACE, name, |going: &mut ServiceSubscription| {
        going.metadata.finalizers = None;
    });
}

fn backup_on_mondays(contract: &mut Contract) {
    let parameters = &mut contract.spec.services[0].parameters;
    parameters.insert("weekdays".to_owned(), "mon".to_owned());
}

fn are_backed_up_on_mondays(process: &InProcess) -> bool {
    SUBSCRIPTIONS[..4].iter().all(|name| {
        let found = subscription(process, name).expect("a subscription");
        let mut revisions = found.spec.revisions.iter();
        revisions.all(|revision| revision.parameters["weekdays"] == "mon")
    })
}

// shows B1 K1
#[tokio::test(start_paused = true)]
async fn a_contract_gets_its_finalizer_its_subscriptions_and_its_status() {
    let process = established().await;
    let contract = contract(&process);
    assert_eq!(contract.finalizers(), [FINALIZER_WITHDRAW]);
    assert_eq!(
        process.cluster.names::<ServiceSubscription>(),
        SUBSCRIPTIONS
    );
    for name in SUBSCRIPTIONS {
        let made = subscription(&process, name).expect("a subscription");
        assert_eq!(made.spec.contract.uid, contract.uid().unwrap());
        assert_eq!(made.finalizers(), [FINALIZER_WITHDRAW]);
    }
    assert_eq!(contract_says(&process, "Accepted"), "True(Valid)");
    assert_eq!(contract_says(&process, "InForce"), "False(NotStarted)");
}

// shows K1 K5
#[tokio::test(start_paused = true)]
async fn a_contract_that_is_applied_again_and_a_new_controller_write_nothing() {
    let mut process = established().await;
    process.let_pass(Duration::from_mins(10)).await;
    process.cluster.forget_requests();
    process.cluster.apply(&example::banco_sul_2027());
    process.stop().await;
    process.start(contracts).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert!(
        process.cluster.writes().is_empty(),
        "{:?}",
        process.cluster.writes()
    );
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_reconcile_is_repeated_in_the_status_once_the_contract_was_decided_with_it() {
    let process = established().await;
    for wish in ["2027-04-01T00:00:00Z", "again"] {
        process
            .cluster
            .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
                let wish = (ANNOTATION_RECONCILE_AT.to_owned(), wish.to_owned());
                contract.metadata.annotations = Some([wish].into());
            });
        let handled = |process: &InProcess| {
            let status = contract(process).status.unwrap_or_default();
            status.last_handled_reconcile_at.as_deref() == Some(wish)
        };
        process.until("the wish is acted on", handled).await;
    }
}

// shows B2 B7
#[tokio::test(start_paused = true)]
async fn an_edit_reaches_the_subscriptions_of_its_entry_and_no_other() {
    let process = established().await;
    process.let_pass(Duration::from_mins(10)).await;
    process.cluster.forget_requests();
    process.cluster.edit(NAMESPACE, CONTRACT, backup_on_mondays);
    process
        .until("every backup is made on Mondays", are_backed_up_on_mondays)
        .await;
    process.let_pass(Duration::from_mins(10)).await;
    let writes = process.cluster.writes();
    let (of_contract, of_subscriptions): (Vec<_>, Vec<_>) = writes
        .iter()
        .partition(|write| write.contains("/contracts/"));
    let wanted = SUBSCRIPTIONS[..4].iter();
    let wanted = wanted.map(|name| format!("PATCH {PATH}/servicesubscriptions/{name}"));
    assert!(
        of_subscriptions.into_iter().cloned().eq(wanted),
        "{writes:?}"
    );
    let status = format!("PUT {PATH}/contracts/{CONTRACT}/status");
    assert!(
        of_contract.iter().all(|write| **write == status),
        "{writes:?}"
    );
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_status_that_loses_a_race_is_decided_again_on_what_won_it() {
    let process = started().await;
    let rival = "the rival";
    process
        .cluster
        .overtake(Method::PUT, "contracts/banco-sul-2027/status", |contract| {
            contract["metadata"]["annotations"] = json!({"written-by": "the rival"});
        });
    process.cluster.apply(&example::banco_sul_2027());
    process
        .until("the contract is established", is_established)
        .await;
    let written = contract(&process);
    assert_eq!(
        written.annotations().get("written-by").map(String::as_str),
        Some(rival)
    );
    let established = written.status.unwrap().established.unwrap();
    let took = established.duration_since(written.metadata.creation_timestamp.unwrap().0);
    assert!(took.is_zero(), "not in the same pass: {took:?}");
    let writes = process.cluster.writes();
    let made = writes.iter().filter(|write| write.starts_with("POST"));
    assert_eq!(made.count(), SUBSCRIPTIONS.len(), "{writes:?}");
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_watch_that_lags_makes_no_subscription_twice() {
    let process = started().await;
    process.cluster.apply(&example::banco_sul_2027());
    process.cluster.lag();
    process
        .until("the contract is established", is_established)
        .await;
    let writes = process.cluster.writes();
    process.cluster.catch_up();
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(process.cluster.writes(), writes);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_change_of_subscriptions_that_loses_a_race_is_decided_again_though_nothing_wakes_it() {
    let process = established().await;
    let of_backup = &SUBSCRIPTIONS[..4];
    for name in of_backup {
        let part = format!("servicesubscriptions/{name}");
        process
            .cluster
            .overtake(Method::PATCH, &part, |subscription| {
                subscription["metadata"]["annotations"] = json!({"written-by": "the rival"});
            });
    }
    process.cluster.edit(NAMESPACE, CONTRACT, backup_on_mondays);
    process
        .until("all are changed all the same", are_backed_up_on_mondays)
        .await;
    for name in of_backup {
        let written = subscription(&process, name).expect("a subscription");
        assert!(written.annotations().contains_key("written-by"), "{name}");
    }
}

// shows B1 K5
#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_deleted_by_hand_is_made_again_with_the_promise_from_the_start() {
    let process = established().await;
    let name = SUBSCRIPTIONS[3];
    let before = subscription(&process, name).expect("a subscription");
    process.clock.jump(SignedDuration::from_hours(24 * 60));
    let begun = |process: &InProcess| contract_says(process, "InForce") == "True(InTerm)";
    process.until("the term has begun", begun).await;
    process
        .cluster
        .delete::<ServiceSubscription>(NAMESPACE, name);
    process.let_pass(Duration::from_mins(1)).await;
    // An edit at the same time makes no new promise of it.
    let edit = |contract: &mut Contract| contract.spec.max_unavailable = None;
    process.cluster.edit(NAMESPACE, CONTRACT, edit);
    release(&process, name);
    let again = |process: &InProcess| {
        subscription(process, name).is_some_and(|made| made.uid() != before.uid())
    };
    process.until("it is made again", again).await;
    let made = subscription(&process, name).expect("a subscription");
    assert_eq!(made.spec.revisions, before.spec.revisions);
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn an_api_server_that_fails_is_asked_until_it_recovers() {
    let process = started().await;
    let failing = (500, "InternalError");
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        process.cluster.refuse(method, "", failing, usize::MAX);
    }
    process.cluster.apply(&example::banco_sul_2027());
    process.let_pass(Duration::from_mins(2)).await;
    assert_eq!(contract(&process).status, None);
    assert!(process.cluster.names::<ServiceSubscription>().is_empty());
    let tried = process.cluster.count(&Method::PATCH, "contracts");
    assert!((3..=12).contains(&tried), "{tried} tries in two minutes");
    process.cluster.recover();
    process
        .until("the contract is established", is_established)
        .await;
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_finalizer_that_is_refused_is_said_in_status_and_nothing_is_made_without_it() {
    let process = started().await;
    let webhook = (500, "InternalError");
    process
        .cluster
        .refuse(Method::PATCH, "contracts", webhook, usize::MAX);
    process.cluster.apply(&example::banco_sul_2027());
    let said = |process: &InProcess| contract_says(process, "Ready").contains("Retry");
    process.until("the failure is said", said).await;
    assert!(process.cluster.names::<ServiceSubscription>().is_empty());
    process.cluster.recover();
    process
        .until("the contract is established", is_established)
        .await;
    let finalizers = contract(&process).metadata.finalizers.unwrap_or_default();
    assert_eq!(finalizers, [FINALIZER_WITHDRAW]);
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_is_said_in_status_and_made_later() {
    let process = started().await;
    let refused = (403, "Forbidden");
    process.cluster.refuse(
        Method::POST,
        "servicesubscriptions",
        refused,
        SUBSCRIPTIONS.len(),
    );
    process.cluster.apply(&example::banco_sul_2027());
    let said = |process: &InProcess| {
        let status = contract(process).status.unwrap_or_default();
        status.established.is_none()
            && status
                .conditions
                .iter()
                .any(|it| it.message.contains("refuses to write"))
    };
    process.until("the refusal is said", said).await;
    process
        .until("the contract is established", is_established)
        .await;
    assert_eq!(
        process.cluster.names::<ServiceSubscription>(),
        SUBSCRIPTIONS
    );
}

// shows C10
#[tokio::test(start_paused = true)]
async fn a_contract_that_is_deleted_goes_after_its_subscriptions() {
    let process = established().await;
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    let go = |process: &InProcess| {
        let names = SUBSCRIPTIONS.iter();
        let mut found = names.filter_map(|name| subscription(process, name));
        found.all(|found| found.metadata.deletion_timestamp.is_some())
    };
    process.until("every subscription goes", go).await;
    let cluster = Arc::clone(&process.cluster);
    for name in SUBSCRIPTIONS {
        let held: Option<Contract> = cluster.get(NAMESPACE, CONTRACT);
        assert!(held.is_some(), "it went before {name}");
        release(&process, name);
        process.let_pass(Duration::from_secs(5)).await;
    }
    let gone = |process: &InProcess| {
        process
            .cluster
            .get::<Contract>(NAMESPACE, CONTRACT)
            .is_none()
    };
    process.until("the contract is gone", gone).await;
}
