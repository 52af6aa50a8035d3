//! Amounts while an object on which they depend cannot be read.

use serde_json::json;

use super::*;

const ZONE: &str = "America/Sao_Paulo";

/// Spoils or mends the time zone of an object.
fn set_zone<K: kube::Resource<DynamicType = ()>>(
    process: &InProcess,
    name: &str,
    at: &str,
    readable: bool,
) {
    process.cluster.edit_json::<K>(NAMESPACE, name, |object| {
        *object.pointer_mut(at).expect("the field") =
            if readable { json!(ZONE) } else { json!([ZONE]) };
    });
}

fn amount(process: &InProcess) -> Option<String> {
    let status = record(process, RECORD).status?;
    Some(status.amount?.value)
}

// shows D8 K7
#[tokio::test(start_paused = true)]
async fn an_amount_waits_for_a_subscription_that_cannot_be_read_and_is_not_lost_with_a_restart() {
    let mut process = accruing().await;
    let before = amount(&process);
    assert!(before.is_some());
    process.kill();
    let at = "/spec/timeZone";
    set_zone::<ServiceSubscription>(&process, SUBSCRIPTION, at, false);
    process.start(compensations).await;
    let waits = |process: &InProcess| ready(process) == "False(Undecodable)";
    process.until("the record waits", waits).await;
    process.let_pass(100 * HOUR).await;
    assert!(waits(&process), "it stays so: {}", ready(&process));
    assert_eq!(amount(&process), before, "what was reported stays");
    set_zone::<ServiceSubscription>(&process, SUBSCRIPTION, at, true);
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("it accrues again", accrues).await;
    deliver(&process);
    process.until("it is final", is_final).await;
}

// shows D8 K7
#[tokio::test(start_paused = true)]
async fn an_amount_waits_for_another_record_of_its_entry_that_cannot_be_read() {
    let mut process = missed().await;
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("the record accrues", accrues).await;
    process.cluster.apply(&missed_twice());
    process.cluster.edit(
        NAMESPACE,
        SUBSCRIPTION,
        |found: &mut ServiceSubscription| {
            found.status = missed_twice().status;
        },
    );
    let two = |process: &InProcess| ready_of_another(process) == "False(Accruing)";
    process.until("there are two", two).await;
    process.kill();
    let names = process.cluster.names::<Compensation>();
    let another = names.iter().find(|name| *name != RECORD).expect("another");
    let at = "/spec/record/timeZone";
    set_zone::<Compensation>(&process, another, at, false);
    process.start(compensations).await;
    let waits = |process: &InProcess| ready(process) == "False(Undecodable)";
    process.until("the first waits", waits).await;
    assert_eq!(
        process.cluster.names::<Compensation>(),
        names,
        "none is made again"
    );
    set_zone::<Compensation>(&process, another, at, true);
    process.until("it accrues again", accrues).await;
}
