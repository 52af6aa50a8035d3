//! The tasks that have to run as long as the process, and what `/livez` says of those that do not.
//!
//! A task whose end nobody sees is a part of the operator that is silently missing: a cache that
//! stands still, changes that wake nobody. So each is begun anew when it panics or ends before the
//! shutdown, and one that ends again and again makes `/livez` fail with a sentence, so that the
//! kubelet starts the process anew. Never decides what a task does. Read by `/livez`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{defect::alone, shutdown::Shutdown};

/// Time after which a task that has ended is begun anew.
const PAUSE: Duration = Duration::from_secs(1);
/// Time that a task has to run for its ends to count from one again.
const CALM: Duration = Duration::from_mins(1);
/// Ends in a row after which `/livez` fails.
const MOST: u32 = 5;

/// Faults for which the process has to be started anew.
#[derive(Debug, Default)]
pub struct Liveness {
    faults: Mutex<BTreeMap<String, String>>,
}

impl Liveness {
    /// Returns every fault as one sentence, sorted; empty means that all tasks run.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.values().cloned().collect()
    }

    /// Says that a task does not run any more. Only a new process takes that back.
    pub fn failed(&self, task: &str, sentence: String) {
        tracing::error!(task, sentence, "the operator has to be started anew");
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.insert(task.to_owned(), sentence);
    }
}

/// Spawns a task that ends only at the shutdown, and begins it anew whenever it does end.
pub fn keep_running<F>(
    liveness: &Arc<Liveness>,
    shutdown: &Shutdown,
    name: String,
    task: impl Fn() -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let (liveness, shutdown) = (Arc::clone(liveness), shutdown.clone());
    tokio::spawn(async move {
        let mut ends = 0;
        loop {
            let began = Instant::now();
            // In a future, so that a panic before the first await is caught as well.
            let ended = alone(async { task().await }).await;
            if shutdown.is_requested() {
                return;
            }
            ends = if began.elapsed() < CALM { ends + 1 } else { 1 };
            let how = ended.map_or("panicked", |()| "ended by itself");
            tracing::error!(
                task = name,
                how,
                "a task ended and is begun anew; this is a defect of Entente"
            );
            if ends == MOST {
                let sentence = format!("{name} {how} {MOST} times in a row");
                liveness.failed(&name, sentence);
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = shutdown.requested() => return,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Runs a task for ten minutes that panics, or ends, so many times and then waits. Returns the
    /// number of its beginnings and the faults.
    async fn beginnings(ends: u32, panics: bool, after: Duration) -> (u32, Vec<String>) {
        let liveness = Arc::new(Liveness::default());
        let (_trigger, shutdown) = Shutdown::channel();
        let begun = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&begun);
        keep_running(&liveness, &shutdown, "the task".to_owned(), move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                sleep(after).await;
                match (number < ends, panics) {
                    (true, true) => panic!("on purpose"),
                    (true, false) => {}
                    (false, _) => std::future::pending().await,
                }
            }
        });
        sleep(Duration::from_mins(10)).await;
        (begun.load(Ordering::Relaxed), liveness.faults())
    }

    // shows K2 K7
    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_ends_is_begun_anew_and_livez_says_if_it_does_not_help() {
        for (panics, how) in [(true, "panicked"), (false, "ended by itself")] {
            let at_once = Duration::ZERO;
            assert_eq!(beginnings(4, panics, at_once).await, (5, vec![]));
            let (begun, faults) = beginnings(5, panics, at_once).await;
            assert_eq!(begun, 6);
            assert_eq!(faults, [format!("the task {how} 5 times in a row")]);
            let seldom = Duration::from_mins(1);
            let (begun, faults) = beginnings(6, panics, seldom).await;
            assert_eq!((begun, faults), (7, vec![]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_at_the_shutdown_is_not_begun_anew() {
        let liveness = Arc::new(Liveness::default());
        let (trigger, shutdown) = Shutdown::channel();
        let begun = Arc::new(AtomicU32::new(0));
        let (counted, end) = (Arc::clone(&begun), shutdown.clone());
        keep_running(&liveness, &shutdown, "the task".to_owned(), move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let end = end.clone();
            async move { end.requested().await }
        });
        sleep(Duration::from_mins(1)).await;
        trigger.trigger();
        sleep(Duration::from_mins(1)).await;
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        assert_eq!(liveness.faults(), [""; 0]);
    }
}
