//! The shell that every controller runs in: watch → queue → pass → requeue.
//!
//! A controller defines its keys, the changes that matter to it, and one pass ([`Reconcile`]). The
//! shell makes its queue, subscribes to its caches, runs its passes, logs and retries failures, and
//! reports a pass that ends in a defect. It never decides anything about an object. [`crate::run`]
//! names every controller; a new one is one implementation and one line there.

mod span;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{Instrument as _, field};

use crate::{
    cache::{Cache, Cached, Change},
    context::Context,
    defect::{Defect, guarded, guarded_now},
    liveness::Liveness,
    pass_ids::PassIds,
    queue::{Queue, QueueKey, Requeue, Slots},
    shutdown::Shutdown,
    status::WriteError,
};

pub(crate) use span::PassObject;

/// Target of the spans of traces: of each pass, and of each request within it.
pub(crate) const TRACE: &str = "entente_trace";

/// Passes of one controller that are under way at once, with those that hang on a remote side.
const MOST_RUNNING: usize = 4096;

/// A controller, apart from its shell.
pub(crate) trait Reconcile: Send + Sync + 'static {
    /// Its name in log lines, and the label of its metrics.
    const NAME: &'static str;
    /// Time limit of one pass.
    const PASS_LIMIT: Duration = Duration::from_mins(5);
    /// Subject of one pass. It need not be the name of an object that exists.
    type Key: QueueKey + fmt::Display;

    /// Returns the object that a pass over a key is about, as the log and traces name it.
    fn object(&self, key: &Self::Key) -> PassObject;

    /// Returns the number of passes that work at once; those that hang on a remote side do not
    /// count.
    fn concurrency(&self) -> usize {
        16
    }

    /// Subscribes to everything whose changes make a key run.
    fn watch(&self, watches: &Watches<Self>)
    where
        Self: Sized;

    /// Does one pass over a key. Returns when the key runs again if nothing changes before that.
    fn reconcile(
        &self,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Option<Requeue>, Failed>> + Send;

    /// Writes into the status of the objects of this key that a pass over it ended in a defect.
    fn report_defect(&self, key: &Self::Key, defect: &Defect) -> impl Future<Output = ()> + Send;

    /// Returns the next instant that matters to a key by what is known without a pass. It is asked
    /// after every pass that failed or ended in a defect, which may have found none.
    fn next_instant(&self, key: &Self::Key) -> Option<Timestamp>;
}

/// Failure of a pass, which is retried with the backoff of the queue.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Error of the write.
    pub(crate) error: WriteError,
    /// The next instant that the pass found before that, if it did.
    pub(crate) at: Option<Timestamp>,
}

impl From<WriteError> for Failed {
    fn from(error: WriteError) -> Self {
        Self { error, at: None }
    }
}

/// Subscriptions of a controller to the changes that wake its keys.
pub(crate) struct Watches<R: Reconcile> {
    reconciler: Arc<R>,
    queue: Arc<Queue<R::Key>>,
    shutdown: Shutdown,
    liveness: Arc<Liveness>,
}

impl<R: Reconcile> Watches<R> {
    /// Calls `wake` for each object that is in the cache, and for each change from now on.
    pub(crate) fn cache<K: Cached>(
        &self,
        cache: &Cache<K>,
        wake: fn(&R, &Queue<R::Key>, &Change<K>),
    ) {
        self.channel(cache.subscribe(), wake);
    }

    /// Calls `wake` for each value that is received, until the shutdown is requested.
    pub(crate) fn channel<C: Send + 'static>(
        &self,
        mut changes: UnboundedReceiver<C>,
        wake: fn(&R, &Queue<R::Key>, &C),
    ) {
        let reconciler = Arc::clone(&self.reconciler);
        let queue = Arc::clone(&self.queue);
        let (shutdown, liveness) = (self.shutdown.clone(), Arc::clone(&self.liveness));
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shutdown.requested() => return,
                    change = changes.recv() => match change {
                        // A panic loses this change, and none after it.
                        Some(change) => {
                            guarded_now("trigger", || wake(&reconciler, &queue, &change));
                        }
                        None => return unheard::<R, C>(&liveness, &shutdown),
                    },
                }
            }
        });
    }
}

/// Runs a controller until the shutdown is requested and the passes under way have finished.
pub(crate) async fn run<R: Reconcile>(reconciler: R, context: &Context, shutdown: &Shutdown) {
    let reconciler = Arc::new(reconciler);
    let queue = Arc::new(Queue::new(
        R::NAME,
        Arc::clone(&context.clock),
        Arc::clone(&context.metrics),
    ));
    #[cfg(test)]
    context.queues.register(Arc::clone(&queue) as _);
    let working = reconciler.concurrency();
    let slots = Slots {
        working,
        running: working.max(MOST_RUNNING),
    };
    reconciler.watch(&Watches {
        reconciler: Arc::clone(&reconciler),
        queue: Arc::clone(&queue),
        shutdown: shutdown.clone(),
        liveness: Arc::clone(&context.liveness),
    });
    let ids = Arc::clone(&context.passes);
    let worker = move |key: R::Key| {
        let (reconciler, ids) = (Arc::clone(&reconciler), Arc::clone(&ids));
        // On the heap, and only once it begins: a fleet that becomes ready at one instant has as
        // many passes waiting for their first turn.
        async move { run_once(&*reconciler, &key, &ids).await }
    };
    queue.run(slots, worker, shutdown.clone()).await;
}

/// Says that changes reach a controller no more, unless all ends: nothing would wake for them.
fn unheard<R: Reconcile, C>(liveness: &Liveness, shutdown: &Shutdown) {
    if !shutdown.is_requested() {
        let name = R::NAME;
        let of = std::any::type_name::<C>();
        let sentence = format!("the controller {name} hears no more of changes ({of})");
        liveness.failed(&format!("{name} {of}"), sentence);
    }
}

/// Runs one pass over a key, in whatever way it ends. Returns when the key runs again.
pub(crate) async fn run_once<R: Reconcile>(
    reconciler: &R,
    key: &R::Key,
    ids: &PassIds,
) -> Option<Requeue> {
    let span = span::of_pass(reconciler, key, ids);
    ended(reconciler, key).instrument(span).await
}

/// Runs one pass to its end.
async fn ended<R: Reconcile>(reconciler: &R, key: &R::Key) -> Option<Requeue> {
    let begun = std::time::Instant::now();
    match guarded(R::PASS_LIMIT, Box::pin(pass(reconciler, key))).await {
        Ok(requeue) => {
            let took = begun.elapsed();
            tracing::debug!(
                ?took,
                requeue = requeue.map(field::debug),
                "a pass has ended"
            );
            requeue
        }
        // Made only now, and on the heap: a pass must not be larger for what it hardly ever does.
        Err(defect) => Box::pin(defective(reconciler, key, &defect)).await,
    }
}

/// Returns the next instant of a key whose pass did not come to its end: the one that it found
/// before that, or an earlier one that is known without it.
fn surviving<R: Reconcile>(
    reconciler: &R,
    key: &R::Key,
    found: Option<Timestamp>,
) -> Option<Timestamp> {
    let known = guarded_now("next instant", || reconciler.next_instant(key)).flatten();
    found.into_iter().chain(known).min()
}

/// Reports a pass that ended in a defect.
async fn defective<R: Reconcile>(reconciler: &R, key: &R::Key, defect: &Defect) -> Option<Requeue> {
    tracing::error!(?defect, "a pass ended in a defect of Entente");
    let at = surviving(reconciler, key, None);
    reconciler.report_defect(key, defect).await;
    Some(match defect {
        Defect::Panicked(_) => Requeue::Panicked { at },
        Defect::TimedOut(_) => Requeue::TimedOut { at },
    })
}

async fn pass<R: Reconcile>(reconciler: &R, key: &R::Key) -> Option<Requeue> {
    match reconciler.reconcile(key).await {
        Ok(requeue) => requeue,
        Err(Failed { error, at }) => {
            tracing::warn!(%error, "reconcile failed");
            let at = surviving(reconciler, key, at);
            Some(match error {
                WriteError::Panicked { .. } => Requeue::Panicked { at },
                _ => Requeue::Failed { at },
            })
        }
    }
}
