//! Tests of the queue on a paused clock: a sleep is the work of a pass, and takes no time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{Instant, advance},
};

use super::{Queue, Requeue, Slots, backoff, keeping_slot};
use crate::{
    cache::Key,
    clock::{Clock, FakeClock},
    metrics::Metrics,
    shutdown::{Shutdown, ShutdownTrigger},
};

const LIMIT: Duration = Duration::from_mins(1);

fn start() -> Timestamp {
    "2027-03-01T00:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn key(namespace: &str, name: &str) -> Key {
    Key::new(namespace, name)
}

/// A queue, its clock, and the passes that it ran.
struct Bench {
    queue: Arc<Queue<Key>>,
    clock: Arc<FakeClock>,
    metrics: Arc<Metrics>,
    began: mpsc::UnboundedReceiver<(Key, Timestamp)>,
    trigger: ShutdownTrigger,
    run: JoinHandle<()>,
}

impl Bench {
    /// Runs `work` for each key, on at most that many slots.
    fn new<F>(concurrency: usize, work: impl Fn(Key) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Requeue>> + Send + 'static,
    {
        let slots = Slots {
            working: concurrency,
            running: concurrency,
        };
        Self::with(slots, work)
    }

    fn with<F>(slots: Slots, work: impl Fn(Key) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Requeue>> + Send + 'static,
    {
        let clock = Arc::new(FakeClock::starting_at(start()));
        let metrics = Arc::new(Metrics::new("0"));
        let wall = Arc::clone(&clock);
        let queue = Arc::new(Queue::new("test", wall.clone(), Arc::clone(&metrics)));
        let (sender, began) = mpsc::unbounded_channel();
        let (trigger, shutdown) = Shutdown::channel();
        let running = Arc::clone(&queue);
        let run = tokio::spawn(async move {
            let worker = |key: Key| {
                sender.send((key.clone(), wall.now())).unwrap();
                work(key)
            };
            running.run(slots, LIMIT, worker, shutdown).await;
        });
        Self {
            queue,
            clock,
            metrics,
            began,
            trigger,
            run,
        }
    }

    async fn next(&mut self) -> (Key, Timestamp) {
        tokio::time::timeout(Duration::from_hours(1), self.began.recv())
            .await
            .expect("a pass within an hour")
            .expect("a queue that runs")
    }

    /// Runs everything that can run at this instant, and returns the keys that began.
    async fn settled(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        while let Ok((key, _)) = self.began.try_recv() {
            names.push(key.name);
        }
        names
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_runs_once_however_often_it_is_added() {
    let mut bench = Bench::new(4, |_| async { None });
    for _ in 0..5 {
        bench.queue.add(key("acme", "a"));
    }
    assert_eq!(bench.settled().await, ["a"]);
    assert!(bench.queue.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_added_while_it_runs_runs_again_and_never_twice_at_once() {
    let gate = Arc::new(Semaphore::new(0));
    let busy = Arc::new(Mutex::new(BTreeSet::new()));
    let (waiting, running) = (Arc::clone(&gate), Arc::clone(&busy));
    let mut bench = Bench::new(4, move |key| {
        let (gate, busy) = (Arc::clone(&waiting), Arc::clone(&running));
        async move {
            assert!(
                busy.lock().unwrap().insert(key.clone()),
                "{key} runs twice at once"
            );
            gate.acquire().await.unwrap().forget();
            busy.lock().unwrap().remove(&key);
            None
        }
    });
    bench.queue.add(key("acme", "a"));
    assert_eq!(bench.settled().await, ["a"]);
    bench.queue.add(key("acme", "a"));
    bench.queue.add(key("acme", "a"));
    assert!(bench.settled().await.is_empty());
    gate.add_permits(1);
    assert_eq!(bench.settled().await, ["a"]);
    gate.add_permits(1);
    assert!(bench.settled().await.is_empty());
    assert!(bench.queue.is_idle());
}

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

#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_is_tried_again_and_hurts_nobody_else() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let mut bench = Bench::new(1, move |key| {
        let tries = Arc::clone(&counted);
        async move {
            if key.name == "a" {
                assert!(tries.fetch_add(1, Ordering::SeqCst) >= 2, "told to");
            }
            None
        }
    });
    bench.queue.add(key("acme", "a"));
    bench.queue.add(key("acme", "b"));
    for name in ["a", "b", "a", "a"] {
        assert_eq!(bench.next().await.0.name, name);
    }
    assert!(bench.settled().await.is_empty());
    let text = bench.metrics.encode();
    for result in ["panicked", "succeeded"] {
        let line = format!("controller=\"test\",result=\"{result}\"}} 2");
        assert!(text.contains(&line), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_takes_too_long_is_ended_and_tried_again() {
    let mut bench = Bench::new(1, |key| async move {
        if key.name == "hangs" {
            std::future::pending::<()>().await;
        }
        None
    });
    bench.queue.add(key("acme", "hangs"));
    assert_eq!(bench.next().await.1, start());
    let again = bench.next().await.1;
    assert!(again >= after(60) && again <= after(62), "{again}");
    let text = bench.metrics.encode();
    assert!(text.contains("result=\"timed_out\"} 1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_a_success_forgets_them() {
    let results = Arc::new(Mutex::new(vec![
        None,
        Some(Requeue::Failed { at: None }),
        Some(Requeue::Failed { at: None }),
    ]));
    let mut bench = Bench::new(1, move |_| {
        let result = results
            .lock()
            .unwrap()
            .pop()
            .unwrap_or(Some(Requeue::Failed { at: None }));
        async move { result }
    });
    bench.queue.add(key("acme", "a"));
    let first = bench.next().await.1;
    let second = bench.next().await.1;
    let third = bench.next().await.1;
    let waited = second.duration_since(first);
    assert!(waited >= SignedDuration::from_millis(500), "{waited}");
    let waited = third.duration_since(second);
    assert!(waited >= SignedDuration::from_secs(1), "{waited}");
    assert!(bench.settled().await.is_empty());
    bench.queue.add(key("acme", "a"));
    let fourth = bench.next().await.1;
    let fifth = bench.next().await.1;
    assert!(fifth.duration_since(fourth) <= SignedDuration::from_millis(1002));
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_pass_that_fails_or_panics_keeps_the_instants_that_are_known() {
    // One had an instant before the pass began, the other found one in it.
    for (name, instant) in [("panics", after(100)), ("fails", after(45))] {
        let mut bench = Bench::new(1, |key: Key| async move {
            assert_ne!(key.name, "panics", "on purpose");
            Some(Requeue::Failed {
                at: Some(after(45)),
            })
        });
        if name == "panics" {
            bench.queue.add_at(key("acme", name), instant);
        }
        bench.queue.add(key("acme", name));
        let mut runs = vec![bench.next().await.1];
        while runs.last().is_some_and(|last| *last < instant) {
            runs.push(bench.next().await.1);
        }
        assert_eq!(runs.last(), Some(&instant), "{name}: {runs:?}");
        assert!(runs.len() < 12, "it is not held back: {runs:?}");
    }
}

#[test]
fn the_backoff_doubles_up_to_its_limit_and_differs_between_keys() {
    let mut spread = BTreeSet::new();
    for name in 0..50 {
        let key = key("acme", &name.to_string());
        for failures in 1..40 {
            let whole =
                Duration::from_secs(1 << (failures - 1).min(16)).min(Duration::from_mins(5));
            let wait = backoff(&key, failures);
            assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
        }
        spread.insert(backoff(&key, 1));
    }
    assert!(spread.len() > 25, "{spread:?}");
}

#[tokio::test(start_paused = true)]
async fn namespaces_take_turns() {
    let gate = Arc::new(Semaphore::new(1));
    let waiting = Arc::clone(&gate);
    let mut bench = Bench::new(1, move |_| {
        let gate = Arc::clone(&waiting);
        async move {
            gate.acquire().await.unwrap().forget();
            gate.add_permits(1);
            None
        }
    });
    for number in 0..100 {
        bench.queue.add(key("big", &format!("big-{number}")));
    }
    bench.queue.add(key("small", "small-1"));
    bench.queue.add(key("small", "small-2"));
    let names = bench.settled().await;
    assert_eq!(names[..4], ["big-0", "small-1", "big-1", "small-2"]);
}

// shows that one tenant's broken devices cannot slow another's start
#[tokio::test(start_paused = true)]
async fn a_namespace_whose_passes_hang_leaves_slots_to_the_others() {
    let mut bench = Bench::new(8, |key| async move {
        if key.namespace == "broken" {
            std::future::pending::<()>().await;
        }
        None
    });
    for number in 0..1000 {
        bench.queue.add(key("broken", &number.to_string()));
    }
    assert_eq!(bench.settled().await.len(), 6);
    for number in 0..20 {
        bench
            .queue
            .add(key("healthy", &format!("healthy-{number}")));
    }
    assert_eq!(bench.settled().await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn passes_that_hang_for_a_second_leave_their_slots_to_others() {
    let slots = Slots {
        working: 8,
        running: 40,
    };
    let mut bench = Bench::with(slots, |key| async move {
        match key.namespace.as_str() {
            "hangs" => std::future::pending::<()>().await,
            // Busy: it is woken again and again.
            "busy" => loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
            },
            // A wait for the API keeps its slot.
            "writes" => keeping_slot(std::future::pending::<()>()).await,
            _ => {}
        }
        None
    });
    for namespace in ["busy", "writes"] {
        bench.queue.add(key(namespace, namespace));
    }
    for number in 0..100 {
        bench.queue.add(key("hangs", &number.to_string()));
    }
    // The rule of namespaces holds for passes that work: three times the free slots.
    assert_eq!(bench.settled().await.len(), 2 + 5);
    advance(Duration::from_millis(400)).await;
    assert!(bench.settled().await.is_empty());
    // Half a second after they began, the slots that they held are free; and so every half second.
    let mut begun = Vec::new();
    for _ in 0..25 {
        advance(Duration::from_millis(100)).await;
        begun.push(bench.settled().await.len());
    }
    begun.retain(|count| *count > 0);
    assert_eq!(begun, [5, 5, 5, 5]);
    // The rule holds for all passes, too, so that others find room for ever.
    for _ in 0..100 {
        advance(Duration::from_millis(100)).await;
        begun.push(bench.settled().await.len());
    }
    assert_eq!(5 + begun.iter().sum::<usize>(), 29, "of 40 three quarters");
    bench.queue.add(key("healthy", "healthy"));
    assert_eq!(bench.settled().await, ["healthy"]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_goes_on_after_a_hang_holds_a_slot_again() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let slots = Slots {
        working: 1,
        running: 8,
    };
    let mut bench = Bench::with(slots, move |key| {
        let gate = Arc::clone(&waiting);
        async move {
            if key.name == "a" {
                gate.acquire().await.unwrap().forget();
            }
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    for name in ["a", "b", "c"] {
        bench.queue.add(key(name, name));
    }
    assert_eq!(bench.settled().await, ["a"]);
    assert_eq!(bench.next().await.0.name, "b");
    gate.add_permits(1);
    // Both work now, which is more than there are slots for: nothing begins.
    for _ in 0..100 {
        advance(Duration::from_millis(100)).await;
        assert!(bench.settled().await.is_empty());
    }
    assert_eq!(bench.queue.depth(), 1);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_keys_that_are_due_at_one_instant_all_run_then() {
    let mut bench = Bench::new(256, |_| async { None });
    for number in 0..10_000 {
        let key = key(&format!("n{}", number % 50), &number.to_string());
        bench.queue.add_at(key, after(30));
    }
    let mut runs = BTreeMap::new();
    for _ in 0..10_000 {
        let (key, began) = bench.next().await;
        assert!(began >= after(30) && began <= after(31), "{began}");
        *runs.entry(key).or_insert(0) += 1;
    }
    assert!(runs.len() == 10_000 && runs.values().all(|count| *count == 1));
    assert!(bench.settled().await.is_empty());
    let state = bench.queue.lock();
    assert!(
        format!("{state:?}").len() < 300,
        "what is done takes no memory: {state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_passes_finish_and_begins_none() {
    let mut bench = Bench::new(1, |_| async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        None
    });
    bench.queue.add(key("acme", "a"));
    bench.queue.add(key("acme", "b"));
    assert_eq!(bench.settled().await, ["a"]);
    bench.trigger.trigger();
    let began = Instant::now();
    bench.run.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(bench.began.try_recv().is_err());
    assert_eq!(bench.queue.depth(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_standard_series_of_a_queue_say_what_happened() {
    let mut bench = Bench::new(1, |key| async move {
        tokio::time::sleep(Duration::from_secs(7)).await;
        (key.name == "fails").then_some(Requeue::Failed { at: None })
    });
    for name in ["fails", "waits", "waits"] {
        bench.queue.add(key("acme", name));
    }
    for name in ["fails", "waits"] {
        assert_eq!(bench.next().await.0.name, name);
    }
    // While it runs: once more, however often it is added. The other comes back by its backoff.
    bench.queue.add(key("acme", "waits"));
    bench.queue.add(key("acme", "waits"));
    advance(Duration::from_secs(6)).await;
    bench.settled().await;
    let text = bench.metrics.encode();
    for line in [
        "adds_total{controller=\"test\"} 4",
        "retries_total{controller=\"test\"} 1",
        "queue_duration_seconds_sum{controller=\"test\"} 7.0",
        "queue_duration_seconds_count{controller=\"test\"} 2",
        "work_duration_seconds_sum{controller=\"test\"} 7.0",
        "unfinished_work_seconds{controller=\"test\"} 6.0",
    ] {
        let line = format!("entente_workqueue_{line}");
        assert!(
            text.lines().any(|found| found == line),
            "no {line} in {text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_depth_is_what_waits_for_a_slot() {
    let mut bench = Bench::new(1, |_| std::future::pending());
    for name in ["a", "b", "c"] {
        bench.queue.add(key("acme", name));
    }
    bench.settled().await;
    assert_eq!(bench.queue.depth(), 2);
    assert!(
        bench
            .metrics
            .encode()
            .contains("entente_workqueue_depth{controller=\"test\"} 2")
    );
}
