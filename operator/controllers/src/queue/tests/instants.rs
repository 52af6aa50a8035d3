//! Tests of the instants at which keys run: a pass names the next one, and the clock may be set.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_instant_is_met_within_milliseconds_and_never_early() {
    let mut bench = Bench::new(4, |_| async { None });
    let instant = after(1800) + SignedDuration::from_micros(1_234_500);
    bench.queue.add_at(key("acme", "a"), instant);
    let (_, began) = bench.next().await;
    assert!(began >= instant, "{began}");
    assert!(
        began.duration_since(instant) <= SignedDuration::from_millis(3),
        "{began}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_earliest_instant_counts_and_an_immediate_add_stays() {
    let mut bench = Bench::new(4, |_| async { None });
    bench.queue.add_at(key("acme", "a"), after(50));
    bench.queue.add_at(key("acme", "a"), after(20));
    bench.queue.add_at(key("acme", "a"), after(80));
    bench.queue.add_at(key("acme", "b"), after(30));
    bench.queue.add(key("acme", "b"));
    assert_eq!(bench.settled().await, ["b"]);
    assert_eq!(bench.next().await, (key("acme", "a"), after(20)));
    // The passes cleared the timer: nothing comes any more.
    advance(Duration::from_mins(2)).await;
    assert!(bench.settled().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_is_noticed_within_ten_seconds() {
    let mut bench = Bench::new(4, |_| async { None });
    bench.queue.add_at(key("acme", "a"), after(3600));
    bench.settled().await;
    let jumped = Instant::now();
    bench.clock.jump(SignedDuration::from_hours(2));
    bench.next().await;
    assert!(
        jumped.elapsed() <= Duration::from_millis(10_010),
        "{:?}",
        jumped.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_does_not_let_an_instant_come_early() {
    let mut bench = Bench::new(4, |_| async { None });
    bench.queue.add_at(key("acme", "a"), after(5));
    bench.settled().await;
    bench.clock.jump(SignedDuration::from_mins(-1));
    assert_eq!(bench.next().await.1, after(5));
}

#[tokio::test(start_paused = true)]
async fn a_pass_says_when_its_key_runs_again() {
    let mut bench = Bench::new(4, |key| async move {
        match key.name.as_str() {
            "at" => Some(Requeue::At(after(100))),
            "after" => Some(Requeue::After(Duration::from_secs(7))),
            _ => None,
        }
    });
    for name in ["at", "after", "done"] {
        bench.queue.add(key("acme", name));
    }
    assert_eq!(bench.settled().await.len(), 3);
    for seconds in [7, 14, 21] {
        assert_eq!(bench.next().await, (key("acme", "after"), after(seconds)));
    }
    // A clock that jumps does not change a length of time.
    bench.clock.jump(SignedDuration::from_secs(60));
    let began = Instant::now();
    assert_eq!(bench.next().await.0.name, "after");
    assert_eq!(began.elapsed(), Duration::from_secs(7));
}
