//! A contract is renewed by another one: the instances of the customer go on, wherever the operator is
//! killed on the way, and nothing is sent but what differs.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{ContractAmendment, NameReference};

use super::*;

pub(super) const RENEWAL: &str = "banco-sul-2030";

/// The start of the renewal, in the term of the contract that it succeeds.
fn renewed() -> Timestamp {
    "2027-06-01T03:00:00Z".parse().expect("an instant")
}

/// Returns the same services on the same devices from the renewal on, with another value for each
/// backup.
pub(super) fn renewal() -> Contract {
    let mut contract = example::banco_sul_2027();
    contract.metadata.name = Some(RENEWAL.to_owned());
    contract.spec.succeeds = Some(NameReference {
        name: CONTRACT.to_owned(),
    });
    contract.spec.term.start_date = Some("2027-06-01".to_owned());
    contract.spec.term.end_date = None;
    contract.spec.promises_from = None;
    let parameters = &mut contract.spec.services[0].parameters;
    parameters.insert("weekdays".to_owned(), "mon".to_owned());
    contract
}

/// Starts with a contract that is delivered, and its renewal that lies ahead.
pub(super) async fn ahead() -> InProcess {
    let process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.cluster.apply(&renewal());
    let is_written = |process: &InProcess| {
        let written: Contract = process
            .cluster
            .get(NAMESPACE, RENEWAL)
            .expect("it is there");
        let status = written.status.unwrap_or_default();
        says(&status.conditions, "Ready") == "True(Scheduled)"
            && of(process, RENEWAL).len() == SUBSCRIPTIONS
            && of(process, RENEWAL)
                .values()
                .all(|it| !it.conditions.is_empty())
    };
    process.until("the renewal is written", is_written).await;
    process.let_pass(Duration::from_mins(1)).await;
    process.world.clear_ledger();
    process.cluster.forget_requests();
    process
}

pub(super) fn jump_to_renewal(process: &InProcess) {
    let ahead = renewed().duration_since(process.clock.now());
    process.clock.jump(ahead);
}

/// Returns the statuses of the subscriptions of one contract.
pub(super) fn of(
    process: &InProcess,
    contract: &str,
) -> BTreeMap<String, ServiceSubscriptionStatus> {
    let mut statuses = statuses(process);
    let prefix = format!("{contract}.");
    statuses.retain(|name, _| name.starts_with(&prefix));
    statuses
}

/// True if the renewal is delivered, and the contract before it has ended its subscriptions.
pub(super) fn is_renewed(process: &InProcess) -> bool {
    let all = |contract: &str, said: &str| {
        let statuses = of(process, contract);
        let mut all = statuses.values();
        statuses.len() == SUBSCRIPTIONS && all.all(|it| says(&it.conditions, "Ready") == said)
    };
    let written: Contract = process
        .cluster
        .get(NAMESPACE, RENEWAL)
        .expect("it is there");
    all(RENEWAL, "True(Delivered)")
        && all(CONTRACT, "True(Ended)")
        && says(&written.status.unwrap_or_default().conditions, "Ready") == "True(Delivered)"
        && contract_says(process, "Ready") == "True(Delivered)"
}

fn instances(process: &InProcess) -> BTreeSet<String> {
    let server = process.world.server(BROKER_URL).expect("a broker");
    server.instances.keys().cloned().collect()
}

/// Checks that the instances are those from before, each named by the renewal alone, that nothing
/// was made or removed, and that every promise was kept.
fn assert_kept(process: &InProcess, before: &BTreeSet<String>, what: &str) {
    assert_eq!(instances(process), *before, "{what}");
    let sent = sent(process);
    let is_lost = |it: &&String| it.contains("Provision") || it.contains("Deprovision");
    assert_eq!(sent.keys().find(is_lost), None, "{what}: {sent:#?}");
    let handles = |contract: &str| -> BTreeSet<String> {
        let statuses = of(process, contract).into_values();
        let servers = statuses.filter_map(|it| it.server);
        servers.map(|it| it.instance_id).collect()
    };
    assert_eq!(handles(RENEWAL), *before, "{what}");
    assert_eq!(handles(CONTRACT), BTreeSet::new(), "{what}");
    for (name, status) in statuses(process) {
        let states: Vec<_> = status.promises.iter().map(|it| it.state).collect();
        assert_eq!(states, [PromiseState::Kept], "{what}: {name}");
    }
    assert_eq!(process.cluster.names::<Compensation>(), [""; 0], "{what}");
}

// shows B1 B2 B7
#[tokio::test(start_paused = true)]
async fn a_renewal_keeps_every_instance_and_sends_only_what_differs() {
    let process = ahead().await;
    let before = instances(&process);
    assert_eq!(before.len(), 4);
    jump_to_renewal(&process);
    process.until("the renewal is delivered", is_renewed).await;
    assert_kept(&process, &before, "renewed");
    let sent = sent(&process);
    assert_eq!(
        count_of(&sent),
        2 * 4,
        "one value on either side: {sent:#?}"
    );
    assert!(sent.values().all(|times| *times == 1), "{sent:#?}");
    process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(
        process.cluster.notes("ContractSucceeded"),
        ["Contract banco-sul-2030 has taken services over from this one."]
    );
    process.cluster.forget_requests();
    process.let_pass(Duration::from_hours(6)).await;
    assert_eq!(process.cluster.writes(), [""; 0], "and then it rests");
}

// shows B1 B2 K5
#[tokio::test(start_paused = true)]
async fn a_device_that_both_contracts_get_at_the_instant_of_the_renewal_is_served_by_the_new_one() {
    const LOBBY: &str = "parts.lobby-mfp";
    let mut amendment = example::banco_sul_2027_july();
    amendment.spec.effective_date = Some("2027-06-01".to_owned());
    amendment.spec.services.remove(0);
    let mut renewal = renewal();
    let parts = &mut renewal.spec.services[1].devices;
    parts.names = vec!["lobby-mfp".to_owned()];
    for amended_first in [true, false] {
        let process = established().await;
        jump_to_start(&process);
        process.until("everything is delivered", is_delivered).await;
        if amended_first {
            process.cluster.apply::<ContractAmendment>(&amendment);
            process.let_pass(Duration::from_mins(1)).await;
        }
        process.cluster.apply(&renewal);
        process.let_pass(Duration::from_mins(1)).await;
        if !amended_first {
            process.cluster.apply::<ContractAmendment>(&amendment);
            process.let_pass(Duration::from_mins(1)).await;
        }
        jump_to_renewal(&process);
        let of_lobby = |process: &InProcess, contract: &str| {
            let status = statuses(process).remove(&format!("{contract}.{LOBBY}"));
            status.map(|status| says(&status.conditions, "Ready"))
        };
        let is_served =
            |process: &InProcess| of_lobby(process, RENEWAL).as_deref() == Some("True(Delivered)");
        process.until("the new one serves", is_served).await;
        process.let_pass(Duration::from_hours(6)).await;
        let before = of_lobby(&process, CONTRACT);
        let is_over = before.as_deref().is_none_or(|said| said == "True(Ended)");
        assert!(is_over, "{amended_first} {before:?}");
        assert_eq!(
            process.cluster.names::<Compensation>(),
            [""; 0],
            "{amended_first}"
        );
        process.cluster.forget_requests();
        process.let_pass(Duration::from_hours(6)).await;
        assert_eq!(process.cluster.writes(), [""; 0], "{amended_first}");
    }
}

// shows B1 B7 K5
#[tokio::test(start_paused = true)]
async fn a_renewal_killed_after_any_write_keeps_every_instance() {
    let whole = {
        let process = ahead().await;
        jump_to_renewal(&process);
        process.until("the renewal is delivered", is_renewed).await;
        process.cluster.writes().len()
    };
    assert!(whole > 4 * SUBSCRIPTIONS, "{whole}");
    for killed in 1..=whole {
        let mut process = ahead().await;
        let before = instances(&process);
        jump_to_renewal(&process);
        until_writes(&process, killed, is_renewed).await;
        process.kill();
        process.start_all();
        process.until("the renewal is delivered", is_renewed).await;
        assert_kept(&process, &before, &format!("killed after {killed}"));
    }
    println!("a renewal was killed after each of {whole} writes");
}

// shows B1 B7 K5
#[tokio::test(start_paused = true)]
async fn a_renewal_whose_writes_fail_keeps_every_instance() {
    for after in (0..60).step_by(4) {
        let process = ahead().await;
        let before = instances(&process);
        jump_to_renewal(&process);
        let refusal = Some((500, "InternalError"));
        process.cluster.fail_after(after, refusal);
        process.let_pass(Duration::from_secs(20)).await;
        process.cluster.recover();
        process.until("the renewal is delivered", is_renewed).await;
        assert_kept(&process, &before, &format!("refused after {after}"));
    }
}

// shows B1 C10
#[tokio::test(start_paused = true)]
async fn a_contract_that_was_renewed_may_be_deleted_and_takes_nothing_along() {
    let process = ahead().await;
    let before = instances(&process);
    jump_to_renewal(&process);
    process.until("the renewal is delivered", is_renewed).await;
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    let gone = |process: &InProcess| of(process, CONTRACT).is_empty();
    process.until("the contract before it is gone", gone).await;
    process.let_pass(Duration::from_hours(30)).await;
    assert_eq!(instances(&process), before);
    assert_eq!(process.world.count(Operation::Deprovision), 0);
    let statuses = of(&process, RENEWAL).into_values();
    assert_eq!(statuses.filter_map(|it| it.server).count(), 4);
    process.cluster.delete::<Contract>(NAMESPACE, RENEWAL);
    let gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
    process.until("the renewal is gone", gone).await;
    assert_eq!(instances(&process), BTreeSet::new(), "nobody wants them");
}

// shows B1 B7 K5
#[tokio::test(start_paused = true)]
async fn an_operator_that_is_down_over_a_renewal_finds_every_instance() {
    let mut process = ahead().await;
    let before = instances(&process);
    process.kill();
    jump_to_renewal(&process);
    process.let_pass(Duration::from_hours(7)).await;
    process.start_all();
    process.until("the renewal is delivered", is_renewed).await;
    assert_eq!(instances(&process), before);
    assert_eq!(process.world.count(Operation::Deprovision), 0);
    assert_eq!(process.world.count(Operation::Provision), 0);
}

// shows B1 K1
#[tokio::test(start_paused = true)]
async fn a_renewal_may_be_applied_before_the_contract_that_it_succeeds() {
    let mut process = prepared();
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    process.cluster.apply(&renewal());
    process.start_all();
    let waits = |process: &InProcess| {
        let written: Contract = process
            .cluster
            .get(NAMESPACE, RENEWAL)
            .expect("it is there");
        let conditions = written.status.unwrap_or_default().conditions;
        says(&conditions, "Ready") == "False(ContractNotFound)"
    };
    process.until("it waits for the other one", waits).await;
    assert_eq!(process.cluster.names::<ServiceSubscription>(), [""; 0]);
    process.cluster.apply(&example::banco_sul_2027());
    let is_known = |process: &InProcess| {
        let names = process.cluster.names::<ServiceSubscription>().into_iter();
        let found = names.filter_map(|name| process.cluster.get(NAMESPACE, &name));
        let origins = found.filter_map(|it: ServiceSubscription| it.spec.origin);
        origins.filter(|origin| origin.contract == CONTRACT).count() == SUBSCRIPTIONS
    };
    process.until("it continues the other one", is_known).await;
}
