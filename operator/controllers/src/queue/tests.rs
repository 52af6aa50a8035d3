//! Tests of the queue on a paused clock: a sleep is the work of a pass, and takes no time.

mod instants;
mod retries;
mod slots;

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
            running.run(slots, worker, shutdown).await;
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
        // A pass that takes 7 s of the paused clock.
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
        "longest_running_processor_seconds{controller=\"test\"} 6.0",
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
