//! Tests of passes that fail or panic: the key backs off and loses no instant.

use super::*;

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

// shows K5 K7
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

/// Panics when it is dropped, unless it does so because of a panic.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "on purpose");
    }
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_while_it_is_dropped_is_tried_again_and_blocks_no_key() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let mut bench = Bench::new(1, move |_| {
        let fragile = (counted.fetch_add(1, Ordering::SeqCst) == 0).then_some(Fragile);
        std::future::poll_fn(move |_| {
            let _held = &fragile;
            std::task::Poll::Ready(None)
        })
    });
    bench.queue.add(key("acme", "a"));
    for _ in 0..2 {
        assert_eq!(bench.next().await.0.name, "a");
    }
    assert!(bench.settled().await.is_empty());
}
