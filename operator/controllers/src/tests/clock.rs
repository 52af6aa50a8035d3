//! A clock that jumps, and a process that was suspended or killed over the start: what begins, is
//! sent and counted by it.

use entente_crds::v1alpha1::{Cause, Delay, Promise};

use super::*;

/// Longest time from the instant at which a device may be set up to the proof, with all others at
/// once; within it a jump is noticed.
const PROOF: SignedDuration = SignedDuration::from_mins(1);

fn promises(process: &InProcess) -> Vec<(String, Promise)> {
    let statuses = statuses(process).into_iter();
    let promises = statuses.flat_map(|(name, status)| {
        let promises = status.promises.into_iter();
        promises.map(move |promise| (name.clone(), promise))
    });
    promises.collect()
}

/// Returns the time after the start within which a subscription may be proved.
fn allowed(process: &InProcess, name: &str) -> SignedDuration {
    let found: Option<ServiceSubscription> = process.cluster.get(NAMESPACE, name);
    let revisions = found.expect("a subscription").spec.revisions;
    let length = revisions[0].service_level.allowed.length();
    length.expect("a duration")
}

/// Checks that each promise of the start is proved at once where work began at this instant, that of
/// a missed one all time from the start to the proof is the provider's, and that everything was sent
/// once. A promise that is kept has no delays.
fn assert_delivered_once(process: &InProcess, begun: Timestamp, story: &str) {
    let promises = promises(process);
    assert_eq!(promises.len(), SUBSCRIPTIONS, "{story}");
    for (name, promise) in promises {
        let story = format!("{story}: {name} {promise:?}");
        let completed = promise.completed.expect(&story);
        assert!(completed >= begun && completed <= begun + PROOF, "{story}");
        assert_eq!(promise.effective, start(), "{story}");
        let is_late = completed.duration_since(start()) > allowed(process, &name);
        let state = if is_late {
            PromiseState::Missed
        } else {
            PromiseState::Kept
        };
        assert_eq!(promise.state, state, "{story}");
        if is_late {
            let is_the_providers = |delay: &Delay| delay.cause == Cause::Provider;
            assert!(promise.delays.iter().all(is_the_providers), "{story}");
            let first = promise.delays.first().map(|delay| delay.from);
            let last = promise.delays.last().and_then(|delay| delay.until);
            assert_eq!((first, last), (Some(start()), promise.completed), "{story}");
            let ends = promise.delays.iter().filter_map(|delay| delay.until);
            let begins = promise.delays.iter().skip(1).map(|delay| delay.from);
            assert!(ends.zip(begins).all(|(end, begin)| end == begin), "{story}");
        }
    }
    let sent = sent(process);
    assert_eq!(count_of(&sent), WRITES, "{story} {sent:#?}");
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_before_the_start_begins_nothing_early_and_everything_once() {
    for jump in [HOUR, DAY, -HOUR, -DAY] {
        let process = established().await;
        process.clock.jump(jump);
        let left = start().duration_since(process.clock.now()) - SignedDuration::from_secs(1);
        process
            .let_pass(left.try_into().expect("it lies ahead"))
            .await;
        assert_eq!(count_of(&sent(&process)), 0, "{jump:?}: before the start");
        process.until("everything is delivered", is_delivered).await;
        assert_delivered_once(&process, start(), &format!("{jump:?}"));
    }
}

// shows B7 D3 D4 K5
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_over_the_start_costs_exactly_the_time_until_work_begins() {
    for (before, jump) in [(HOUR / 2, HOUR), (HOUR / 2, DAY), (HOUR / 60, HOUR)] {
        let process = established().await;
        let left = start().duration_since(process.clock.now()) - before;
        process
            .let_pass(left.try_into().expect("it lies ahead"))
            .await;
        process.clock.jump(jump);
        let begun = process.clock.now();
        process.until("everything is delivered", is_delivered).await;
        assert_delivered_once(&process, begun, &format!("{jump:?}"));
    }
}

// shows B7 D3 D4 K5
#[tokio::test(start_paused = true)]
async fn a_process_that_was_suspended_or_dead_over_the_start_is_the_providers_delay_for_the_time_lost()
 {
    for lost in [HOUR / 60, HOUR, DAY] {
        for dead in [false, true] {
            let mut process = established().await;
            let left = start().duration_since(process.clock.now()) - HOUR / 60;
            process
                .let_pass(left.try_into().expect("it lies ahead"))
                .await;
            if dead {
                process.kill();
            }
            process.clock.jump(HOUR / 60 + lost);
            let begun = process.clock.now();
            if dead {
                process.start_all();
            }
            process.until("everything is delivered", is_delivered).await;
            assert_delivered_once(&process, begun, &format!("{lost:?} dead: {dead}"));
        }
    }
}

// shows B7 D4 K5
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_after_the_proof_sends_nothing_and_changes_no_promise() {
    for jump in [HOUR, DAY, -HOUR, -DAY] {
        let process = established().await;
        jump_to_start(&process);
        process.until("everything is delivered", is_delivered).await;
        process.let_pass(Duration::from_hours(2)).await;
        let before = promises(&process);
        process.clock.jump(jump);
        process.let_pass(Duration::from_hours(50)).await;
        let sent = sent(&process);
        assert_eq!(count_of(&sent), WRITES, "{jump:?} {sent:#?}");
        assert_eq!(promises(&process), before, "{jump:?}");
        assert_eq!(
            contract_says(&process, "Ready"),
            "True(Delivered)",
            "{jump:?}"
        );
        assert_eq!(process.cluster.names::<Compensation>(), [""; 0], "{jump:?}");
    }
}
