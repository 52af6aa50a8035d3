//! Tests of a person's wish on a contract: its devices are read, once for each wish.

use entente_crds::ANNOTATION_RECONCILE_AT;
use jiff::SignedDuration;

use super::{objects::ask_to_reconcile, *};

fn ask_of_the_contract(process: &InProcess, wish: &str) {
    let name = example::banco_sul_2027().name_any();
    process
        .cluster
        .edit(NAMESPACE, &name, |contract: &mut Contract| {
            let wish = (ANNOTATION_RECONCILE_AT.to_owned(), wish.to_owned());
            contract.metadata.annotations = Some([wish].into());
        });
}

/// Waits until the subscription says that its device was read for this wish.
async fn until_done(process: &InProcess, wish: &str) {
    let done =
        |process: &InProcess| status(process).last_handled_reconcile_at.as_deref() == Some(wish);
    process.until("the wish is done", done).await;
}

/// Returns the numbers of full looks at the device and at the instance.
fn looks(process: &InProcess) -> (usize, usize) {
    let count = |operation| process.world.count(operation);
    (
        count(Operation::DeviceObserve),
        count(Operation::InstanceObserve),
    )
}

// shows D1 K5
#[tokio::test(start_paused = true)]
async fn who_asks_for_a_contract_gets_a_look_at_its_device_once_for_each_wish_also_after_a_restart()
{
    let mut process = delivered().await;
    for wish in ["first", "second"] {
        process.world.clear_ledger();
        ask_of_the_contract(&process, wish);
        until_done(&process, wish).await;
        process.let_pass(Duration::from_mins(10)).await;
        assert_eq!(looks(&process), (1, 1), "{wish}");
        process.kill();
        process.start(delivery).await;
        process.let_pass(Duration::from_mins(10)).await;
        assert_eq!(looks(&process), (1, 1), "{wish}, after a restart");
        assert_eq!(sent(&process), []);
    }
}

// shows D1 K5
#[tokio::test(start_paused = true)]
async fn a_wish_that_comes_before_a_restart_is_done_after_it() {
    let mut process = delivered().await;
    process.stop().await;
    ask_of_the_contract(&process, "monday");
    process.world.clear_ledger();
    process.start(delivery).await;
    until_done(&process, "monday").await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(looks(&process), (1, 1));
}

// shows D1 K5
#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_answer_was_looked_at_and_is_not_asked_again_for_the_same_wish() {
    let process = delivered().await;
    process.world.remove_device(DEVICE_URL).expect("a device");
    process.world.clear_ledger();
    ask_of_the_contract(&process, "monday");
    until_done(&process, "monday").await;
    process.let_pass(Duration::from_hours(3)).await;
    let (first, _) = looks(&process);
    let process = delivered().await;
    process.world.remove_device(DEVICE_URL).expect("a device");
    process.world.clear_ledger();
    ask_to_reconcile(&process, "monday");
    process.let_pass(Duration::from_hours(3)).await;
    let (of_the_device, _) = looks(&process);
    assert_eq!(first, of_the_device, "as for a wish of the Device");
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_wish_of_a_contract_ends_our_own_backoff_once() {
    let process = waiting().await;
    process.world.remove_device(DEVICE_URL).expect("a device");
    begin(&process);
    process.let_pass(Duration::from_hours(5)).await;
    process
        .world
        .put_device(DEVICE_URL, fake_device("urn:uuid:1"));
    let before = process.clock.now();
    ask_of_the_contract(&process, "monday");
    process.until("it is delivered", is_delivered).await;
    let took = process.clock.now().duration_since(before);
    assert!(took < SignedDuration::from_secs(30), "{took:?}");
}
