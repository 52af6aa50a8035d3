//! Tests of the division of slots among namespaces, and of passes that hang.

use super::*;

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

// shows K5 K7
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
            // Busy: the paused clock wakes it again and again.
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
            // Busy: the paused clock wakes it again and again.
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
