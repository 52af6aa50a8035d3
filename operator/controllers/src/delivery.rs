//! The delivery controller: one key per device, also for a device that does not exist.
//!
//! observe → resolve → verify → plan → execute, round by round, then report: what is asked next and
//! what an answer means is decided by the domain's `Pass`, and only asked here. It is the only
//! writer of the status of Device and ServiceSubscription. Outcomes are observations: when a write loses a
//! race only report runs again. It is armed in memory: the next instant of every device waits in
//! the queue, so nothing has to be written for work to begin.

mod announce;
mod backoffs;
mod execute;
mod observe;
mod report;
mod triggers;

use std::sync::Arc;

use entente_domain::delivery::Pass;

use crate::{
    cache::Key,
    catalogues::Catalogues,
    context::Context,
    defect::reporting_panics,
    objects::Objects,
    profiles::Profiles,
    queue::{Queue, Requeue},
    secrets::Secrets,
    shutdown::Shutdown,
};
use backoffs::DeviceBackoffs;

/// The delivery controller.
pub(crate) struct Delivery {
    pub(crate) context: Context,
    pub(crate) objects: Arc<Objects>,
    secrets: Arc<Secrets>,
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) catalogues: Arc<Catalogues>,
    pub(crate) queue: Arc<Queue<Key>>,
    /// Once requested, a pass does nothing more outside and reports what it knows.
    shutdown: Shutdown,
    backoffs: DeviceBackoffs,
}

impl Delivery {
    pub(crate) fn new(
        context: Context,
        objects: Arc<Objects>,
        secrets: Arc<Secrets>,
        profiles: Arc<Profiles>,
        catalogues: Arc<Catalogues>,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let queue = Arc::new(Queue::new(
            "delivery",
            Arc::clone(&context.clock),
            Arc::clone(&context.metrics),
        ));
        let backoffs = DeviceBackoffs::default();
        Arc::new(Self {
            context,
            objects,
            secrets,
            profiles,
            catalogues,
            queue,
            shutdown,
            backoffs,
        })
    }

    /// Runs until the shutdown is requested and the passes under way have finished.
    pub(crate) async fn run(self: Arc<Self>) {
        let shutdown = self.shutdown.clone();
        triggers::start(&self, &shutdown);
        let queue = Arc::clone(&self.queue);
        let concurrency = self.context.options.concurrency;
        let worker = move |key: Key| {
            let delivery = Arc::clone(&self);
            // On the heap, and only once it begins: a fleet that becomes ready at one instant has
            // as many passes waiting for their first turn.
            async move {
                let work = Box::pin(delivery.pass(&key));
                reporting_panics(work, report::panicked(&delivery, &key)).await
            }
        };
        queue
            .run(concurrency, crate::PASS_LIMIT, worker, shutdown)
            .await;
    }

    async fn pass(&self, key: &Key) -> Option<Requeue> {
        let snapshot = observe::snapshot(self, key).await;
        if snapshot.device.is_none() && snapshot.subscriptions.is_empty() {
            self.backoffs.forget(key);
            return None;
        }
        let pass = Pass::new(snapshot, self.backoffs.of(key), self.context.clock.now());
        // On the heap: its state is large, and most passes wait in it.
        let mut pass = Box::new(pass);
        while !self.shutdown.is_requested()
            && let Some(action) = pass.next(self.context.clock.now())
        {
            let answer = execute::execute(self, &pass, &action).await;
            pass.record(&action, answer, self.context.clock.now(), fraction());
        }
        pass.finish(self.context.clock.now(), fraction());
        let reported = report::write(self, &pass).await;
        let next = [reported.wake, pass.wake()].into_iter().flatten().min();
        if pass.is_endless() {
            let (namespace, device) = (&key.namespace, &key.name);
            tracing::error!(namespace, device, "a pass did not come to an end");
        }
        self.backoffs.keep(key, pass.into_backoffs());
        match reported.failure {
            None => next.map(Requeue::At),
            Some(error) => {
                tracing::warn!(%error, namespace = key.namespace, device = key.name, "not reported");
                Some(Requeue::Failed { at: next })
            }
        }
    }
}

/// Returns a number in 0..=1 that spreads waits; its quality does not matter.
fn fraction() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let number = RandomState::new().hash_one(0u8);
    f64::from(u32::try_from(number >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
