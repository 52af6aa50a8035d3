//! Parts that the tests of whole controllers share: a controller in this process, without a
//! cluster, a network or a machine's clock. Only compiled for tests.

use std::{sync::Arc, time::Duration};

use entente_crds::{
    example,
    v1alpha1::{Condition, ValueType},
};
use entente_domain::{
    protocol::Place,
    remote::{Catalog, Offering, Plan, Scalar},
};
use entente_drivers::{
    Drivers,
    fake::{FakeDevice, FakeServer, World},
};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
};
use kube::{Client, Resource};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use tracing::{
    Dispatch,
    dispatcher::{self, DefaultGuard},
};

use crate::{
    brokers::Brokers,
    cache::{Change, Key},
    clock::{Clock as _, ClockSkew, FakeClock},
    connection_profiles::ConnectionProfiles,
    context::{Context, Options},
    controller::{self, Reconcile},
    election::Leadership,
    events::Events,
    fake_api::cluster::FakeCluster,
    metrics::Metrics,
    objects::Objects,
    queue::{Queue, Slots, rest::Queues},
    readiness::Readiness,
    secrets::Secrets,
    shutdown::{Shutdown, ShutdownTrigger},
};

/// Time, by the paused clock, for which a test waits until something is true.
const PATIENCE: Duration = Duration::from_hours(1);

/// Has what this thread logs go to a subscriber, until it is dropped.
pub(crate) struct Listening {
    _guard: DefaultGuard,
    /// With one dispatcher in the process, tracing asks the thread that meets a line first, which may
    /// be another test's, and never again. With two it asks each thread.
    _second: Dispatch,
}

impl Listening {
    pub(crate) fn with(subscriber: impl Into<Dispatch>) -> Self {
        let second = Dispatch::new(tracing_subscriber::registry());
        Self {
            _guard: dispatcher::set_default(&subscriber.into()),
            _second: second,
        }
    }
}

/// Returns a context of this API server; events go to `recorder`.
pub(crate) fn context(
    client: Client,
    recorder: Client,
    clock: Arc<FakeClock>,
    drivers: Drivers,
) -> Context {
    let metrics = Arc::new(Metrics::new("0"));
    Context {
        brokers: Arc::new(Brokers::new(
            drivers.clone(),
            clock.clone(),
            Arc::clone(&metrics),
        )),
        client,
        clock,
        skew: Arc::new(ClockSkew::default()),
        metrics: Arc::clone(&metrics),
        events: Events::start(recorder, None, metrics),
        readiness: Arc::new(Readiness::default()),
        liveness: Arc::default(),
        drivers,
        passes: Arc::default(),
        options: Options::default(),
        queues: Queues::default(),
    }
}

/// Parts of a controller.
pub(crate) struct Parts {
    pub(crate) context: Context,
    pub(crate) objects: Arc<Objects>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) profiles: Arc<ConnectionProfiles>,
    pub(crate) shutdown: Shutdown,
}

/// An API server and remote sides, and the controller that runs against them.
pub(crate) struct InProcess {
    pub(crate) cluster: Arc<FakeCluster>,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<FakeClock>,
    /// The queues of all controllers, if [all](Self::start_all) were started.
    pub(crate) queues: Queues,
    running: Option<(ShutdownTrigger, JoinHandle<()>)>,
}

impl InProcess {
    /// Returns an API server that has the namespace of the examples, at this instant.
    pub(crate) fn at(now: &str) -> Self {
        let now: Timestamp = now.parse().unwrap();
        let clock = Arc::new(FakeClock::starting_at(now));
        let wall = Arc::clone(&clock);
        Self {
            cluster: cluster(&clock),
            world: Arc::new(World::with_clock(move || wall.now())),
            clock,
            queues: Queues::default(),
            running: None,
        }
    }

    /// Goes to another cluster, which is empty but for the namespace. Nothing may run.
    pub(crate) fn move_to_another_cluster(&mut self) {
        assert!(self.running.is_none(), "a controller runs");
        self.cluster = cluster(&self.clock);
    }

    /// Returns the parts of a controller, with all objects in its caches, and the end of them.
    pub(crate) async fn parts(&self) -> (Parts, ShutdownTrigger) {
        let (trigger, shutdown) = Shutdown::channel();
        let client = self.cluster.client();
        let drivers = Drivers::fake(Arc::clone(&self.world));
        let context = context(
            client.clone(),
            client.clone(),
            Arc::clone(&self.clock),
            drivers,
        );
        let objects = Arc::new(Objects::new(&context));
        objects.start(&context, &shutdown).await;
        objects.report(&context, &shutdown);
        let secrets = Secrets::new(client, context.options.namespace.clone());
        let secrets = Arc::new(secrets);
        let parts = Parts {
            context,
            objects,
            profiles: Arc::new(ConnectionProfiles::new(Arc::clone(&secrets))),
            secrets,
            shutdown,
        };
        (parts, trigger)
    }

    /// Starts a controller that knows nothing yet, as a new process does.
    pub(crate) async fn start<R: Reconcile>(&mut self, make: impl FnOnce(Parts) -> R) {
        let (parts, trigger) = self.parts().await;
        let (context, shutdown) = (parts.context.clone(), parts.shutdown.clone());
        let reconciler = make(parts);
        let run = async move { controller::run(reconciler, &context, &shutdown).await };
        self.running = Some((trigger, tokio::spawn(run)));
    }

    /// Starts every controller, as the operator does.
    pub(crate) fn start_all(&mut self) {
        let (trigger, shutdown) = Shutdown::channel();
        let client = self.cluster.client();
        let drivers = Drivers::fake(Arc::clone(&self.world));
        let context = context(client.clone(), client, Arc::clone(&self.clock), drivers);
        self.queues = context.queues.clone();
        let leadership = Leadership::of_the_only_replica();
        let run = crate::run(context, None, leadership, shutdown);
        self.running = Some((trigger, tokio::spawn(run)));
    }

    /// Ends the controller in the middle of its work, as a killed process does.
    pub(crate) fn kill(&mut self) {
        let (_, run) = self.running.take().expect("a controller that runs");
        run.abort();
    }

    /// Stops the controller as a shutdown does.
    pub(crate) async fn stop(&mut self) {
        let (trigger, run) = self.running.take().expect("a controller that runs");
        trigger.trigger();
        let ended = timeout(PATIENCE, run).await;
        ended.expect("an end in time").expect("no panic");
    }

    /// Waits until something is true; fails with a dump if that takes too long.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut served = self.cluster.served();
        let waited = async {
            while !holds(self) {
                // Remote sides send no notice, so they are checked now and then.
                let _ = timeout(Duration::from_secs(1), served.changed()).await;
            }
        };
        if timeout(PATIENCE, waited).await.is_err() {
            let calls = self.world.ledger();
            let calls: Vec<String> = calls.iter().map(|call| format!("{call:?}")).collect();
            let (dump, calls) = (self.cluster.dump(), calls.join("\n"));
            panic!("it did not come about that {what}\n{dump}\n{calls}");
        }
    }

    /// Advances the clock, with everything that falls due on the way.
    pub(crate) async fn let_pass(&self, time: Duration) {
        sleep(time).await;
    }
}

/// Returns an API server that has the namespace of the examples.
fn cluster(clock: &Arc<FakeClock>) -> Arc<FakeCluster> {
    let cluster = FakeCluster::new(Arc::clone(clock));
    let mut namespace = Namespace::default();
    let name = example::NAMESPACE.to_owned();
    let label = ("kubernetes.io/metadata.name".to_owned(), name.clone());
    namespace.metadata.labels = Some([label].into());
    namespace.metadata.name = Some(name);
    cluster.apply(&namespace);
    cluster
}

/// Returns a change of an object, as the cache announces it.
pub(crate) fn edited<K>(before: &K, edit: impl FnOnce(&mut K)) -> Change<K>
where
    K: Resource<DynamicType = ()> + Clone,
{
    let mut after = before.clone();
    edit(&mut after);
    Change {
        key: Key::of(&after),
        old: Some(Arc::new(before.clone())),
        new: Some(Arc::new(after)),
        by_others: false,
    }
}

/// Returns the change by which an object appears, and the one by which it is removed.
pub(crate) fn comes_and_goes<K>(object: &K) -> [Change<K>; 2]
where
    K: Resource<DynamicType = ()> + Clone,
{
    let key = Key::of(object);
    let object = Some(Arc::new(object.clone()));
    [(None, object.clone()), (object, None)].map(|(old, new)| Change {
        key: key.clone(),
        old,
        new,
        by_others: false,
    })
}

/// Returns the keys that a change wakes, in their text form, and the delay of each.
pub(crate) async fn woken<R: Reconcile, C>(
    reconciler: &R,
    wake: fn(&R, &Queue<R::Key>, &C),
    change: &C,
) -> Vec<(String, Duration)> {
    let clock = Arc::new(FakeClock::starting_at(Timestamp::UNIX_EPOCH));
    let queue = Arc::new(Queue::new("woken", clock, Arc::new(Metrics::new("0"))));
    wake(reconciler, &queue, change);
    let (trigger, shutdown) = Shutdown::channel();
    let slots = Slots {
        working: 64,
        running: 64,
    };
    let began = Instant::now();
    let (sender, mut keys) = mpsc::unbounded_channel();
    let run = tokio::spawn(async move {
        let work = |key: R::Key| {
            // The caller listens to the end.
            let _ = sender.send((key.to_string(), began.elapsed()));
            std::future::ready(None)
        };
        queue.run(slots, work, shutdown).await;
    });
    sleep(Duration::from_mins(1)).await;
    trigger.trigger();
    run.await.expect("no panic");
    let mut woken = Vec::new();
    while let Ok(key) = keys.try_recv() {
        woken.push(key);
    }
    woken.sort();
    woken
}

/// Returns a condition as `Status(Reason)`; empty if it is absent.
pub(crate) fn says(conditions: &[Condition], type_: &str) -> String {
    let found = conditions.iter().find(|found| found.type_ == type_);
    found.map_or_else(String::new, |found| {
        format!("{}({})", found.status, found.reason)
    })
}

/// Returns the Secret with the credentials for the broker of the examples.
pub(crate) fn broker_login() -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some("northwind-services".to_owned());
    secret.metadata.namespace = Some(Options::default().namespace);
    let data = [("username", "entente"), ("password", "open sesame")];
    let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    secret.data = Some(data.into());
    secret
}

/// Returns a device of the model of the examples, on which every setting has another value.
pub(crate) fn fake_device(identity: &str) -> FakeDevice {
    let settings = example::mfp_500().spec.settings.into_iter();
    let values = settings.filter_map(|setting| {
        let ipp = setting.via.ipp?;
        let place = Place::ipp(ipp.operation, &ipp.attribute);
        let value = match setting.r#type {
            ValueType::Boolean => Scalar::Boolean(false),
            ValueType::Integer => Scalar::Integer(99),
            _ => Scalar::Text("another value".to_owned()),
        };
        Some((place, vec![value]))
    });
    FakeDevice {
        product_name: Some("Northwind MFP 500".to_owned()),
        identity: Some(identity.to_owned()),
        values: values.collect(),
        ..FakeDevice::default()
    }
}

/// Returns a broker that offers the service of the examples.
pub(crate) fn fake_broker() -> FakeServer {
    let plan = Plan {
        updateable: true,
        id: "standard-id".to_owned(),
        name: "standard".to_owned(),
        ..Plan::default()
    };
    let offering = Offering {
        id: "data-backup-id".to_owned(),
        name: "data-backup".to_owned(),
        instances_retrievable: true,
        plans: vec![plan],
        ..Offering::default()
    };
    FakeServer {
        catalog: Catalog {
            offerings: vec![offering],
            ..Catalog::default()
        },
        ..FakeServer::default()
    }
}
