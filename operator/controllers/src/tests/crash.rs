//! The operator is killed after each thing that it does, and once more is started: it comes to the
//! same end, and sends nothing twice that was done.

use super::*;

/// True if what was sent is what a run without a death sends: everything once. What was under way
/// when the operator was killed may have been asked for twice; it is done once all the same.
fn assert_sent_once(process: &InProcess, killed: usize) {
    let sent = sent(process);
    assert_eq!(sent.len(), WRITES, "killed after {killed}: {sent:#?}");
    let twice = sent.values().filter(|times| **times > 1).count();
    assert_eq!(twice, 0, "killed after {killed}: {sent:#?}");
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert_eq!(server.instances.len(), 4, "killed after {killed}");
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn killed_after_any_request_that_changes_something_it_sends_the_rest_and_no_more() {
    for killed in 1..=WRITES {
        let mut process = established().await;
        jump_to_start(&process);
        let so_many = |process: &InProcess| count_of(&sent(process)) >= killed;
        process.until("so many requests were sent", so_many).await;
        process.kill();
        process.start_all();
        process.until("everything is delivered", is_delivered).await;
        assert_sent_once(&process, killed);
        for (name, status) in statuses(&process) {
            let states: Vec<_> = status.promises.iter().map(|it| it.state).collect();
            assert_eq!(states, [PromiseState::Kept], "{name}");
        }
    }
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn killed_after_any_write_to_the_api_server_it_comes_to_the_same_end() {
    let whole = {
        let process = established().await;
        jump_to_start(&process);
        process.until("everything is delivered", is_delivered).await;
        process.cluster.writes().len()
    };
    for killed in (1..whole).step_by(3) {
        let mut process = prepared();
        process.start_all();
        let mut begun = false;
        let so_many = |process: &InProcess| process.cluster.writes().len() >= killed;
        if killed > 20 {
            // The start comes once the contract is established.
            let quiet = Duration::from_secs(10);
            process.let_pass(quiet).await;
            jump_to_start(&process);
            begun = true;
        }
        process.until("so many writes were made", so_many).await;
        process.kill();
        process.start_all();
        if !begun {
            process.let_pass(Duration::from_mins(1)).await;
            jump_to_start(&process);
        }
        process.until("everything is delivered", is_delivered).await;
        assert_sent_once(&process, killed);
        let names = process.cluster.names::<ServiceSubscription>();
        assert_eq!(names.len(), SUBSCRIPTIONS, "killed after {killed}");
    }
}

// shows D8 K5
#[tokio::test(start_paused = true)]
async fn killed_again_and_again_while_it_is_late_it_owes_one_record_and_the_whole_delay() {
    let mut process = established().await;
    let device = process.world.remove_device(&url(0)).expect("a device");
    jump_to_start(&process);
    for _ in 0..20 {
        process.let_pass(Duration::from_mins(40)).await;
        process.kill();
        process.start_all();
    }
    process.world.put_device(&url(0), device);
    process.until("everything is delivered", is_delivered).await;
    let record = "banco-sul-2027.backup.lobby-mfp.20270401t030000z.credit";
    assert_eq!(process.cluster.names::<Compensation>(), [record]);
    let is_final = |process: &InProcess| {
        let found: Compensation = process.cluster.get(NAMESPACE, record).expect("a record");
        says(&found.status.unwrap_or_default().conditions, "Ready") == "True(RecordOnly)"
    };
    process.until("the amount is final", is_final).await;
    let found: Compensation = process.cluster.get(NAMESPACE, record).expect("a record");
    let lateness = found.status.expect("a status").lateness.expect("a delay");
    assert_eq!(lateness.from, start());
    let whole = lateness.until.expect("an end").duration_since(start());
    assert!(whole >= SignedDuration::from_mins(20 * 40), "{whole:?}");
    let counted: entente_crds::duration::Duration = lateness.counted.as_str().into();
    let counted = counted.length().expect("a length");
    assert_eq!(counted.as_secs(), whole.as_secs(), "nothing of it is lost");
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn killed_after_any_request_of_a_withdrawal_it_removes_what_is_left() {
    let settings = 3 * SUBSCRIPTIONS;
    for killed in 1..=8 + settings {
        let mut process = established().await;
        jump_to_start(&process);
        process.until("everything is delivered", is_delivered).await;
        process.world.clear_ledger();
        process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
        let so_many = |process: &InProcess| count_of(&sent(process)) >= killed;
        process.until("so many requests were sent", so_many).await;
        process.kill();
        process.start_all();
        let gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
        process.until("the contract is gone", gone).await;
        let server = process.world.server(BROKER_URL).expect("a broker");
        assert!(server.instances.is_empty(), "killed after {killed}");
        assert_eq!(process.cluster.names::<ServiceSubscription>(), [""; 0]);
        assert_as_at_first(&process, killed);
    }
}

/// Checks that every device has the values that it had before the contract.
fn assert_as_at_first(process: &InProcess, killed: usize) {
    for device in 0..4 {
        let left = process.world.device(&url(device)).expect("a device");
        let first = fake_device("urn:uuid:0");
        assert_eq!(left.values, first.values, "killed after {killed}: {device}");
    }
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn killed_after_any_write_to_the_api_server_of_a_life_every_device_has_its_first_values_back()
{
    for killed in (1..90).step_by(4) {
        let mut process = established().await;
        process.cluster.forget_requests();
        jump_to_start(&process);
        let so_many = |process: &InProcess| process.cluster.writes().len() >= killed;
        let mut is_killed = false;
        for ends in [false, true] {
            if ends {
                process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
            }
            let is_done = |process: &InProcess| {
                if ends {
                    process.cluster.names::<Contract>().is_empty()
                } else {
                    is_delivered(process)
                }
            };
            let reached = |process: &InProcess| so_many(process) || is_done(process);
            process.until("so many writes, or the end", reached).await;
            if so_many(&process) && !is_killed {
                process.kill();
                process.start_all();
                is_killed = true;
            }
            process.until("it is done", is_done).await;
        }
        assert_as_at_first(&process, killed);
    }
}

// shows D4 K5
#[tokio::test(start_paused = true)]
async fn an_operator_that_is_down_over_the_start_delivers_when_it_is_back_and_owes_the_delay() {
    let mut process = established().await;
    process.kill();
    jump_to_start(&process);
    process.let_pass(Duration::from_hours(7)).await;
    assert_eq!(count_of(&sent(&process)), 0);
    process.start_all();
    process.until("everything is delivered", is_delivered).await;
    for (name, status) in statuses(&process) {
        let promise = &status.promises[0];
        assert_eq!(promise.state, PromiseState::Missed, "{name}");
        let late = promise.completed.expect("a proof").duration_since(start());
        assert!(late >= SignedDuration::from_hours(7), "{name}: {late:?}");
    }
    let all = |process: &InProcess| process.cluster.names::<Compensation>().len() == SUBSCRIPTIONS;
    process.until("each has its record", all).await;
}

// shows D4 K5
#[tokio::test(start_paused = true)]
async fn a_contract_that_is_deleted_while_the_operator_is_down_owes_nothing_from_then_on() {
    for hours_after_the_start in [-10, 2] {
        let mut process = established().await;
        // Every service may be four hours late.
        process
            .cluster
            .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
                let services = &mut contract.spec.services;
                services[1].service_level = services[0].service_level.clone();
            });
        process.let_pass(Duration::from_secs(10)).await;
        for device in 0..4 {
            process.world.remove_device(&url(device));
        }
        jump_to_start(&process);
        let deleted = SignedDuration::from_hours(hours_after_the_start);
        if hours_after_the_start < 0 {
            process.clock.jump(deleted);
        }
        process.let_pass(Duration::from_mins(1)).await;
        process.kill();
        process
            .clock
            .jump(start().duration_since(process.clock.now()) + deleted);
        process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
        process.let_pass(Duration::from_hours(12)).await;
        process.start_all();
        let gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
        process.until("the contract is gone", gone).await;
        assert_eq!(process.cluster.names::<Compensation>(), [""; 0]);
        let events = process.cluster.events();
        let missed = events.iter().filter(|it| it.starts_with("StartDateMissed"));
        assert_eq!(missed.count(), 0, "{events:?}");
    }
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing_and_sends_nothing_when_all_is_delivered() {
    let mut process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_mins(1)).await;
    for abruptly in [false, true] {
        if abruptly {
            process.kill();
        } else {
            process.stop().await;
        }
        process.cluster.forget_requests();
        process.world.clear_ledger();
        process.start_all();
        process.let_pass(Duration::from_mins(30)).await;
        assert_eq!(process.cluster.writes(), [""; 0]);
        assert_eq!(count_of(&sent(&process)), 0);
    }
}
