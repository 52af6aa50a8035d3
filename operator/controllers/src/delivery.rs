//! The delivery controller: one key per device, also for a device that does not exist.
//!
//! observe → resolve → verify → plan → execute, round by round, then report. It is the only writer
//! of the status of Device and ServiceSubscription. Outcomes are facts: when a write loses a race
//! only report runs again. It is armed in memory: the next instant of every device waits in the
//! queue, so nothing has to be written for work to begin.

mod announce;
mod execute;
mod hold;
mod memory;
mod observe;
mod report;
mod triggers;

use std::{collections::BTreeMap, sync::Arc};

use entente_crds::condition::Reason;
use entente_domain::{
    delivery::{Facts, Plan, ResolvedDevice, Verified, World, plan, resolve, verify},
    retry::Holds,
};
use jiff::{SignedDuration, Timestamp};

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
use memory::Memory;

/// No pass has more rounds than this: steps are few, so more would be a defect of ours.
const MOST_ROUNDS: usize = 24;

/// How long a Secret that cannot be used is left alone where the Connection's own probe, which is
/// sooner, did not see that it was mended.
const SECRETS_AGAIN: SignedDuration = SignedDuration::from_mins(1);

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
    memory: Memory,
}

/// How a pass stands after its last round.
pub(crate) struct Outcome {
    pub(crate) world: World,
    pub(crate) resolved: ResolvedDevice,
    pub(crate) verified: BTreeMap<String, Verified>,
    pub(crate) plan: Plan,
    pub(crate) facts: Facts,
    pub(crate) now: Timestamp,
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
        let memory = Memory::default();
        Arc::new(Self {
            context,
            objects,
            secrets,
            profiles,
            catalogues,
            queue,
            shutdown,
            memory,
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
        let world = observe::world(self, key).await;
        if world.device.is_none() && world.subscriptions.is_empty() {
            self.memory.forget(key);
            return None;
        }
        let mut holds = self.memory.holds(key, world.reconcile_requested);
        // On the heap: the state of the rounds is large, and most passes wait in them.
        let outcome = Box::pin(self.rounds(world, &mut holds)).await;
        hold::hold_what_did_not_take(self, &outcome, &mut holds);
        let reported = report::write(self, &outcome).await;
        let next = [
            reported.wake,
            holds.next(outcome.now),
            secrets_again(&outcome),
        ]
        .into_iter()
        .flatten()
        .min();
        self.memory.keep(key, holds);
        match reported.failure {
            None => next.map(Requeue::At),
            Some(error) => {
                tracing::warn!(%error, namespace = key.namespace, device = key.name, "not reported");
                Some(Requeue::Failed { at: next })
            }
        }
    }

    /// Resolve, verify, plan and execute until there is nothing left to do now.
    async fn rounds(&self, mut world: World, holds: &mut Holds) -> Outcome {
        let mut facts = Facts::default();
        let mut round = 0;
        loop {
            let now = self.context.clock.now();
            let resolved = resolve(&world, now);
            facts.adopt_handles(&world, &resolved);
            let verified = verify(&world, &resolved, &facts, now);
            let plan = plan(&world, &resolved, &verified, &facts, holds, now);
            let outcome = Outcome {
                world,
                resolved,
                verified,
                plan,
                facts,
                now,
            };
            round += 1;
            if round > MOST_ROUNDS {
                let device = &outcome.world.device_name;
                tracing::error!(device, "a pass did not come to an end");
                return outcome;
            }
            if outcome.plan.actions.is_empty() || self.shutdown.is_requested() {
                return outcome;
            }
            (world, facts) = execute::actions(self, outcome, holds).await;
        }
    }
}

/// When to look again for a Secret or an authority that could not be read: nothing tells that it
/// is there.
fn secrets_again(outcome: &Outcome) -> Option<Timestamp> {
    let of_a_secret = |reason: &Reason| {
        matches!(
            reason,
            Reason::SecretNotFound | Reason::SecretKeyMissing | Reason::SecretForbidden
        )
    };
    let world = &outcome.world;
    let connections = world.connection_faults.values();
    let parameters = world.secrets.0.values();
    let parameters = parameters.filter_map(|read| read.as_ref().err());
    let mut faults = connections.chain(parameters);
    let waits = faults.any(|(reason, _)| of_a_secret(reason));
    waits
        .then(|| outcome.now.checked_add(SECRETS_AGAIN).ok())
        .flatten()
}
