//! Tests of faults of the API server and of a killed operator, with a contract meanwhile.

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Time};

use super::*;
use crate::clock::Clock as _;

const CONTRACT_STATUS: &str = "contracts/banco-sul-2027/status";

fn posts(process: &InProcess) -> usize {
    process
        .cluster
        .count(&Method::POST, "/servicesubscriptions")
}

/// Says of a subscription that it is delivered, as the delivery controller does.
fn say_delivered(process: &InProcess, name: &str) {
    let now = process.clock.now();
    let said = |type_: &str, generation| {
        let said = json!({"type": type_, "status": "True", "reason": "Delivered", "message": "",
            "lastTransitionTime": now, "observedGeneration": generation});
        serde_json::from_value(said).expect("a condition")
    };
    process
        .cluster
        .edit(NAMESPACE, name, |it: &mut ServiceSubscription| {
            let generation = it.metadata.generation;
            let conditions = ["Ready", "Delivered"].map(|type_| said(type_, generation));
            it.status.get_or_insert_default().conditions = conditions.into();
        });
}

// shows K5
#[tokio::test(start_paused = true)]
async fn whatever_a_write_of_a_subscription_meets_it_is_made_once_in_the_end() {
    for failing in [
        (409, "Conflict"),
        (422, "Invalid"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ] {
        let process = started().await;
        let part = "/servicesubscriptions";
        process.cluster.refuse(Method::POST, part, failing, 10);
        process.cluster.apply(&example::banco_sul_2027());
        process
            .until("the contract is established", is_established)
            .await;
        let made = process.cluster.names::<ServiceSubscription>();
        assert_eq!(made, SUBSCRIPTIONS, "{failing:?}");
        assert_eq!(posts(&process), 10 + SUBSCRIPTIONS.len(), "{failing:?}");
    }
}

// shows K5
#[tokio::test(start_paused = true)]
async fn creations_whose_answers_were_lost_are_found_and_not_taken_for_foreign() {
    let process = started().await;
    let count = SUBSCRIPTIONS.len();
    process
        .cluster
        .lose_answer(Method::POST, "/servicesubscriptions", count);
    process.cluster.apply(&example::banco_sul_2027());
    process.cluster.lag();
    process.let_pass(Duration::from_mins(1)).await;
    process.cluster.catch_up();
    process
        .until("the contract is established", is_established)
        .await;
    assert_eq!(
        process.cluster.names::<ServiceSubscription>(),
        SUBSCRIPTIONS
    );
    let uids = SUBSCRIPTIONS.map(|name| subscription(&process, name).and_then(|it| it.uid()));
    process.let_pass(Duration::from_mins(10)).await;
    let after = SUBSCRIPTIONS.map(|name| subscription(&process, name).and_then(|it| it.uid()));
    assert_eq!(after, uids);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn killed_between_the_subscriptions_and_the_status_the_next_one_makes_none_again() {
    let mut process = started().await;
    let failing = (500, "InternalError");
    process
        .cluster
        .refuse(Method::PUT, CONTRACT_STATUS, failing, usize::MAX);
    process.cluster.apply(&example::banco_sul_2027());
    let all = |process: &InProcess| process.cluster.names::<ServiceSubscription>() == SUBSCRIPTIONS;
    process.until("all are made", all).await;
    process.kill();
    assert_eq!(contract(&process).status, None);
    process.cluster.recover();
    process.cluster.forget_requests();
    process.start(contracts).await;
    process
        .until("the contract is established", is_established)
        .await;
    assert_eq!(posts(&process), 0);
    let specs = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one"));
    let promised = specs.iter().all(|it| it.spec.revisions[0].promised);
    assert!(promised, "what was promised stays promised");
}

// shows K5
#[tokio::test(start_paused = true)]
async fn killed_in_the_middle_of_an_edit_the_next_one_brings_it_to_those_that_lack_it() {
    let mut process = established().await;
    let failing = (500, "InternalError");
    for name in &SUBSCRIPTIONS[2..4] {
        let part = format!("servicesubscriptions/{name}");
        process
            .cluster
            .refuse(Method::PATCH, &part, failing, usize::MAX);
    }
    process.cluster.edit(NAMESPACE, CONTRACT, backup_on_mondays);
    process.let_pass(Duration::from_secs(30)).await;
    process.kill();
    process.cluster.recover();
    process.cluster.forget_requests();
    process.start(contracts).await;
    process
        .until("every backup is made on Mondays", are_backed_up_on_mondays)
        .await;
    let writes = process.cluster.writes();
    let specs = writes
        .iter()
        .filter(|it| it.contains("servicesubscriptions"));
    assert_eq!(specs.count(), 2, "{writes:#?}");
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_status_that_is_refused_is_said_as_a_defect_and_heals() {
    let process = established().await;
    let invalid = (422, "Invalid");
    process
        .cluster
        .refuse(Method::PUT, CONTRACT_STATUS, invalid, 1);
    process.clock.jump(SignedDuration::from_hours(24 * 40));
    let said = |process: &InProcess| contract_says(process, "Ready").contains("InternalError");
    process.until("the defect is said", said).await;
    let healed = |process: &InProcess| {
        contract_says(process, "InForce") == "True(InTerm)"
            && !contract_says(process, "Ready").contains("InternalError")
    };
    process.until("it is said as it is", healed).await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn watches_that_end_hide_no_edit() {
    let process = established().await;
    process.cluster.disconnect();
    process.cluster.edit(NAMESPACE, CONTRACT, backup_on_mondays);
    let before = process.clock.now();
    process
        .until("every backup is made on Mondays", are_backed_up_on_mondays)
        .await;
    let took = process.clock.now().duration_since(before);
    assert!(took < SignedDuration::from_mins(1), "{took:?}");
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_history_that_is_lost_is_listed_anew_with_every_deletion_in_it() {
    let process = established().await;
    let name = SUBSCRIPTIONS[3];
    let before = subscription(&process, name).expect("a subscription");
    // No watch brings this: the watches end before, and the change is in no history.
    process.cluster.lag();
    release(&process, name);
    process
        .cluster
        .delete::<ServiceSubscription>(NAMESPACE, name);
    process.cluster.edit(NAMESPACE, CONTRACT, backup_on_mondays);
    process.cluster.forget_history();
    process.cluster.catch_up();
    let again = |process: &InProcess| {
        subscription(process, name).is_some_and(|made| made.uid() != before.uid())
    };
    process.until("it is made again", again).await;
    process
        .until("every backup is made on Mondays", are_backed_up_on_mondays)
        .await;
}

// shows K3
#[tokio::test(start_paused = true)]
async fn counters_of_a_fleet_that_moves_are_written_once_a_second_at_most() {
    let process = established().await;
    process.let_pass(Duration::from_secs(10)).await;
    process.cluster.forget_requests();
    // All but one, so that the contract stays unready and nothing but numbers changes.
    for name in &SUBSCRIPTIONS[1..] {
        say_delivered(&process, name);
        process.let_pass(Duration::from_millis(100)).await;
    }
    let writes = || process.cluster.count(&Method::PUT, CONTRACT_STATUS);
    assert_eq!(writes(), 1, "in six tenths of a second");
    process.let_pass(Duration::from_secs(5)).await;
    assert_eq!(writes(), 2, "what was held back is written together");
    let counts = contract(&process).status.and_then(|it| it.subscriptions);
    assert_eq!(counts.map(|it| it.summary), Some("6/7".to_owned()));
}

// shows C10 K2
#[tokio::test(start_paused = true)]
async fn in_a_namespace_that_goes_nothing_is_made_and_nothing_is_said_to_fail() {
    let process = started().await;
    let goes = Time(process.clock.now());
    process
        .cluster
        .edit("", NAMESPACE, |namespace: &mut Namespace| {
            namespace.metadata.finalizers = Some(vec!["kubernetes".to_owned()]);
            namespace.metadata.deletion_timestamp = Some(goes.clone());
        });
    let mut contract = example::banco_sul_2027();
    contract.metadata.uid = Some("c1".to_owned());
    process.cluster.apply(&contract);
    process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(process.cluster.names::<ServiceSubscription>(), [""; 0]);
    let said = self::contract(&process).status.unwrap_or_default();
    let refusal = |it: &&entente_crds::v1alpha1::Condition| it.message.contains("refuses to write");
    assert_eq!(said.conditions.iter().find(refusal), None);
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    let gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
    process.until("the contract is gone", gone).await;
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn a_deletion_whose_last_step_fails_is_ended_by_the_next_try_or_the_next_operator() {
    for restart in [false, true] {
        let mut process = established().await;
        let part = format!("contracts/{CONTRACT}");
        let failing = (500, "InternalError");
        process
            .cluster
            .refuse(Method::PATCH, &part, failing, usize::MAX);
        process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
        for name in SUBSCRIPTIONS {
            let goes = |process: &InProcess| {
                let found = subscription(process, name);
                found.is_none_or(|it| it.metadata.deletion_timestamp.is_some())
            };
            process.until("it goes", goes).await;
            release(&process, name);
        }
        process.let_pass(Duration::from_mins(1)).await;
        assert!(!process.cluster.names::<Contract>().is_empty());
        if restart {
            process.kill();
        }
        process.cluster.recover();
        if restart {
            process.start(contracts).await;
        }
        let gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
        process.until("the contract is gone", gone).await;
    }
}

// shows B1
#[tokio::test(start_paused = true)]
async fn a_contract_of_the_same_name_takes_over_nothing_of_the_one_before() {
    let process = established().await;
    let old = SUBSCRIPTIONS.map(|name| subscription(&process, name).and_then(|it| it.uid()));
    process
        .cluster
        .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
            // A person removes the finalizer by force.
            contract.metadata.finalizers = None;
        });
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    let mut second = example::banco_sul_2027();
    second.spec.customer.id = "C-0815".to_owned();
    process.cluster.apply(&second);
    process.let_pass(Duration::from_mins(5)).await;
    for (name, uid) in SUBSCRIPTIONS.iter().zip(&old) {
        let found = subscription(&process, name).expect("a subscription");
        assert_eq!(
            (found.uid(), &found.spec.customer.id[..]),
            (uid.clone(), "C-4711")
        );
    }
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_finalizer_that_could_not_be_added_keeps_everything_from_being_made() {
    let process = started().await;
    let failing = (500, "InternalError");
    let part = format!("contracts/{CONTRACT}");
    process
        .cluster
        .refuse(Method::PATCH, &part, failing, usize::MAX);
    process.cluster.apply(&example::banco_sul_2027());
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(posts(&process), 0, "nothing without what ends it again");
    process.cluster.recover();
    process
        .until("the contract is established", is_established)
        .await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_conflict_on_the_finalizer_keeps_the_finalizer_of_somebody_else() {
    let process = started().await;
    let part = format!("contracts/{CONTRACT}");
    process.cluster.overtake(Method::PATCH, &part, |contract| {
        contract["metadata"]["finalizers"] = json!(["example.com/keep"]);
    });
    process.cluster.apply(&example::banco_sul_2027());
    process
        .until("the contract is established", is_established)
        .await;
    let contract = contract(&process);
    assert_eq!(
        contract.finalizers(),
        ["example.com/keep", FINALIZER_WITHDRAW]
    );
}
