//! A person's wish on a contract, with every controller.

use entente_crds::ANNOTATION_RECONCILE_AT;

use super::*;

fn ask_of_the_contract(process: &InProcess, wish: &str) {
    process
        .cluster
        .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
            let wish = (ANNOTATION_RECONCILE_AT.to_owned(), wish.to_owned());
            contract.metadata.annotations = Some([wish].into());
        });
}

/// True if the contract and each of its subscriptions say that the wish is done.
fn is_done(process: &InProcess, wish: &str) -> bool {
    let status = contract(process).status.unwrap_or_default();
    let statuses = statuses(process);
    let mut of_subscriptions = statuses.values().map(|it| &it.last_handled_reconcile_at);
    status.last_handled_reconcile_at.as_deref() == Some(wish)
        && of_subscriptions.all(|handled| handled.as_deref() == Some(wish))
}

// shows D1 K1 K5
#[tokio::test(start_paused = true)]
async fn a_wish_of_a_contract_reads_each_of_its_devices_once_and_writes_statuses_only() {
    let mut process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_mins(10)).await;
    let devices = example::devices().len();
    for wish in ["first", "second"] {
        process.world.clear_ledger();
        process.cluster.forget_requests();
        ask_of_the_contract(&process, wish);
        let done = |process: &InProcess| is_done(process, wish);
        process.until("the wish is done", done).await;
        process.let_pass(Duration::from_mins(10)).await;
        process.kill();
        process.start_all();
        process.let_pass(Duration::from_mins(10)).await;
        let reads = process.world.count(Operation::DeviceObserve);
        assert_eq!(reads, devices, "{wish}: once, also after a restart");
        let writes = process.cluster.writes();
        let others = writes.iter().filter(|write| !write.ends_with("/status"));
        assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{wish}");
        // One for each subscription and each Device, and that of the contract.
        assert!(writes.len() <= SUBSCRIPTIONS + devices + 1, "{writes:#?}");
    }
}
