//! The state of a pass: it works, or hangs on a remote side.
//!
//! A pass that was not woken for [`SILENT`] waits for an answer that may never come, unless it
//! declares that it keeps its slot ([`keeping_slot`]). Never ends a pass. Read by `state`; written
//! by the queue, which runs passes, and by `status`.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Time after which a pass that was not woken holds no slot.
pub(super) const SILENT: Duration = Duration::from_millis(500);

/// In place of a time: the pass was not run yet, or runs at this moment.
const RUNS: u64 = u64::MAX;

tokio::task_local! {
    static PASS: Arc<Progress>;
}

/// Instant of the last step of a pass.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    /// Milliseconds after `begun`, or [`RUNS`].
    ran: AtomicU64,
    /// Number of its waits that keep the slot.
    kept: AtomicUsize,
}

impl Progress {
    /// Returns a pass that begins now.
    pub(super) fn new(begun: Instant) -> Self {
        Self {
            begun,
            ran: AtomicU64::new(RUNS),
            kept: AtomicUsize::new(0),
        }
    }

    /// True if the pass has hung for [`SILENT`] or longer.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let ran = self.ran.load(Ordering::Relaxed);
        if ran == RUNS || self.kept.load(Ordering::Relaxed) > 0 {
            return false;
        }
        now.saturating_duration_since(self.begun + Duration::from_millis(ran)) >= SILENT
    }

    /// Returns the time since the pass began.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }

    fn ran_until(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.begun).as_millis();
        let passed = u64::try_from(passed).unwrap_or(RUNS - 1);
        self.ran.store(passed, Ordering::Relaxed);
    }
}

/// Runs a pass and notes its progress.
pub(super) async fn noted<F: Future>(progress: Arc<Progress>, work: F) -> F::Output {
    let mut work = pin!(PASS.scope(Arc::clone(&progress), work));
    poll_fn(|context| {
        progress.ran.store(RUNS, Ordering::Relaxed);
        let polled = work.as_mut().poll(context);
        progress.ran_until(Instant::now());
        polled
    })
    .await
}

/// One wait that keeps the slot.
struct Kept(Arc<Progress>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.kept.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for something without which no other pass could proceed either, such as the Kubernetes
/// API: the pass that runs this keeps its slot however long it takes.
pub(crate) async fn keeping_slot<F: Future>(work: F) -> F::Output {
    let kept = PASS.try_with(|progress| {
        progress.kept.fetch_add(1, Ordering::Relaxed);
        Kept(Arc::clone(progress))
    });
    let answer = work.await;
    drop(kept);
    answer
}
