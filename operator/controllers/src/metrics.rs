//! The metrics of the operator, in the OpenMetrics text format and in that of Prometheus.
//!
//! One [`Metrics`] per process. Labels come from closed lists (controllers, kinds, reasons, results),
//! never from names of objects, so that the number of series does not grow with the fleet; but for
//! names of Connections, which are few, and whose series end with them. A counter of a closed list
//! begins at zero, since the first count of one that begins at one is seen by nobody. Written to by
//! everything; read by `/metrics`.

mod artifacts;
mod exposition;
mod gateway;
mod inventory;
mod notifications;
mod remote;
#[cfg(test)]
mod tests;
mod workqueue;

use std::{
    sync::{Arc, Weak, atomic::AtomicU64},
    time::Duration,
};

use entente_crds::v1alpha1::PromiseState;
use entente_domain::{inventory::state_of, remote::FailureKind};
use jiff::SignedDuration;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use artifacts::ArtifactSeries;
use gateway::GatewaySeries;
use inventory::Inventory;
use notifications::NotificationSeries;
use remote::RemoteRequests;
use workqueue::Workqueues;

pub(crate) use inventory::Inventoried;
pub use remote::RemoteOperation;
pub use workqueue::Workqueue;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReconcileLabels {
    controller: String,
    result: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ControllerLabels {
    controller: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabels {
    kind: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ConnectionLabels {
    connection: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CompensationLabels {
    r#type: String,
    result: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OrderLabels {
    cause: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ApiLabels {
    method: String,
    code: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ContractEventLabels {
    r#type: String,
    code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodeLabels {
    code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct EndpointLabels {
    endpoint: &'static str,
}

/// Every metric of the operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_seconds: Family<ControllerLabels, Histogram>,
    workqueues: Workqueues,
    inventory: Arc<Inventory>,
    remote: RemoteRequests,
    api_requests: Family<ApiLabels, Counter>,
    watch_errors: Family<KindLabels, Counter>,
    objects_undecodable: Family<KindLabels, Counter>,
    events_failed: Counter,
    setup_lateness_seconds: Histogram,
    promises_judged: Family<StateLabels, Counter>,
    compensations: Family<CompensationLabels, Counter>,
    supply_orders: Family<OrderLabels, Counter>,
    orphans: Family<ConnectionLabels, Gauge>,
    clock_skew_seconds: Gauge<f64, AtomicU64>,
    leader: Gauge,
    contract_events: Family<ContractEventLabels, Counter>,
    certificates: Family<EndpointLabels, Gauge>,
    board_requests: Family<CodeLabels, Counter>,
    gateway: GatewaySeries,
    artifacts: ArtifactSeries,
    pub(crate) notifications: NotificationSeries,
}

/// Results of orders of supplies.
const ORDER_RESULTS: [&str; 8] = [
    "recorded",
    "placed",
    "refused",
    "unknown",
    "delivered",
    "cancelled",
    "rejected",
    "replaced",
];

/// Returns a histogram from 1 ms to 131 s.
fn request_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 18))
}

impl Metrics {
    /// Returns the metrics of an operator of this version, all at zero.
    pub fn new(version: &str) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("entente"),
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(request_seconds),
            workqueues: Workqueues::default(),
            inventory: Arc::default(),
            remote: RemoteRequests::default(),
            api_requests: Family::default(),
            watch_errors: Family::default(),
            objects_undecodable: Family::default(),
            events_failed: Counter::default(),
            // From 1 s to 12 days: how late a set-up may be found to be.
            setup_lateness_seconds: Histogram::new(exponential_buckets(1.0, 4.0, 11)),
            promises_judged: Family::default(),
            compensations: Family::default(),
            supply_orders: Family::default(),
            orphans: Family::default(),
            clock_skew_seconds: Gauge::default(),
            leader: Gauge::default(),
            contract_events: Family::default(),
            certificates: Family::default(),
            board_requests: Family::default(),
            gateway: GatewaySeries::default(),
            artifacts: ArtifactSeries::default(),
            notifications: NotificationSeries::default(),
        };
        metrics.register(version);
        for state in [
            PromiseState::Kept,
            PromiseState::Missed,
            PromiseState::Closed,
        ] {
            metrics.promises(state, 0);
        }
        for result in ["created", "calculated", "voided"] {
            metrics.compensations("FeeCredit", result, 0);
        }
        for cause in ["Error", "Compensation", "Manual"] {
            for result in ORDER_RESULTS {
                metrics.supply_orders(cause, result, 0);
            }
        }
        metrics
    }

    fn register(&mut self, version: &str) {
        let registry = &mut self.registry;
        let info = Info::new(vec![("version".to_owned(), version.to_owned())]);
        registry.register("build", "The operator that runs", info);
        let text = "Passes of a controller over one key, by result";
        registry.register("reconcile", text, self.reconciles.clone());
        self.workqueues.register(registry);
        self.remote.register(registry);
        let text = "Requests to the Kubernetes API, by method and status code";
        registry.register("api_requests", text, self.api_requests.clone());
        let text = "Errors of a watch on the Kubernetes API";
        registry.register("watch_errors", text, self.watch_errors.clone());
        let text = "Objects that were seen and could not be read";
        registry.register(
            "objects_undecodable",
            text,
            self.objects_undecodable.clone(),
        );
        let text = "Kubernetes events that could not be written";
        registry.register("events_failed", text, self.events_failed.clone());
        let text = "Promises that were judged, by state";
        registry.register("promises_judged", text, self.promises_judged.clone());
        let text = "Compensations, by type of remedy and result";
        registry.register("compensations", text, self.compensations.clone());
        let text = "Orders of supplies, by cause and result";
        registry.register("supply_orders", text, self.supply_orders.clone());
        let text = "Instances that were left behind on the broker of a Connection";
        registry.register("orphans", text, self.orphans.clone());
        let text = "1 while this replica leads, else 0";
        registry.register("leader", text, self.leader.clone());
        let text = "Events of contract systems, by type and status code of the answer";
        registry.register("contract_events", text, self.contract_events.clone());
        let text = "Requests to the board, by status code of the answer";
        registry.register("board_requests", text, self.board_requests.clone());
        let text = "1 while the files of the certificate of an endpoint can be used, else 0";
        registry.register("certificate_valid", text, self.certificates.clone());
        self.gateway.register(registry);
        self.artifacts.register(registry);
        self.notifications.register(registry);
        self.register_durations();
        let inventory = Box::new(Arc::clone(&self.inventory));
        self.registry.register_collector(inventory);
    }

    fn register_durations(&mut self) {
        let registry = &mut self.registry;
        let (unit, seconds) = (Unit::Seconds, self.reconcile_seconds.clone());
        registry.register_with_unit("reconcile_duration", "How long a pass took", unit, seconds);
        let text = "How long after its promised instant a service was proven";
        let (unit, seconds) = (Unit::Seconds, self.setup_lateness_seconds.clone());
        registry.register_with_unit("setup_lateness", text, unit, seconds);
        let text = "Time by which the clock is ahead of that of the API server; negative: behind";
        let (unit, seconds) = (Unit::Seconds, self.clock_skew_seconds.clone());
        registry.register_with_unit("clock_skew", text, unit, seconds);
    }

    /// Counts a pass of a controller, with its result and its duration.
    pub fn reconciled(&self, controller: &str, result: &str, took: Duration) {
        let controller = controller.to_owned();
        self.reconcile_seconds
            .get_or_create(&ControllerLabels {
                controller: controller.clone(),
            })
            .observe(took.as_secs_f64());
        let labels = ReconcileLabels {
            controller,
            result: result.to_owned(),
        };
        self.reconciles.get_or_create(&labels).inc();
    }

    /// Returns the series of the queue of a controller, and begins those of its passes.
    pub fn workqueue(&self, controller: &str) -> Workqueue {
        for result in ["succeeded", "failed", "panicked", "timed_out"] {
            let labels = ReconcileLabels {
                controller: controller.to_owned(),
                result: result.to_owned(),
            };
            self.reconciles.get_or_create(&labels).inc_by(0);
        }
        self.workqueues.of(controller)
    }

    /// Describes the objects of a cache from now on, and begins the counters of its kind.
    pub(crate) fn describe(&self, cache: Weak<dyn Inventoried>) {
        if let Some(cache) = cache.upgrade() {
            let labels = KindLabels {
                kind: cache.kind().to_owned(),
            };
            self.watch_errors.get_or_create(&labels).inc_by(0);
            self.objects_undecodable.get_or_create(&labels).inc_by(0);
        }
        self.inventory.add(cache);
    }

    /// Counts a request to the remote side of a Connection, with its failure and its duration.
    pub fn remote_request(
        &self,
        connection: &str,
        operation: RemoteOperation,
        failure: Option<FailureKind>,
        took: Duration,
    ) {
        self.remote.count(connection, operation, failure, took);
    }

    /// Counts a promise that was judged.
    pub fn promise_judged(&self, state: PromiseState) {
        self.promises(state, 1);
    }

    fn promises(&self, state: PromiseState, number: u64) {
        let state = state_of(state);
        let labels = StateLabels { state };
        self.promises_judged.get_or_create(&labels).inc_by(number);
    }

    /// Counts a request to the Kubernetes API: answered, or failed with the given word.
    pub fn api_request(&self, method: &str, code: &str) {
        let labels = ApiLabels {
            method: method.to_owned(),
            code: code.to_owned(),
        };
        self.api_requests.get_or_create(&labels).inc();
    }

    /// Counts a failure of the watch of a kind, which is retried.
    pub fn watch_failed(&self, kind: &str) {
        self.watch_errors
            .get_or_create(&KindLabels {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// Counts an object of a kind that could not be read.
    pub fn object_undecodable(&self, kind: &str) {
        self.objects_undecodable
            .get_or_create(&KindLabels {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// Counts a Kubernetes event that was not written.
    pub fn event_failed(&self) {
        self.events_failed.inc();
    }

    /// Records the delay of a service that was proven after its promised instant.
    pub fn setup_late_by(&self, lateness: Duration) {
        self.setup_lateness_seconds.observe(lateness.as_secs_f64());
    }

    /// Sets the time by which the local clock is ahead of that of the API server.
    pub fn clock_skew(&self, skew: SignedDuration) {
        self.clock_skew_seconds.set(skew.as_secs_f64());
    }

    /// Counts a compensation with its result (`created`, `calculated`, `delivered`, …).
    pub fn compensation(&self, r#type: &str, result: &str) {
        self.compensations(r#type, result, 1);
    }

    fn compensations(&self, r#type: &str, result: &str, number: u64) {
        let labels = CompensationLabels {
            r#type: r#type.to_owned(),
            result: result.to_owned(),
        };
        self.compensations.get_or_create(&labels).inc_by(number);
    }

    /// Counts an order of supplies with its result, one of [`ORDER_RESULTS`].
    pub fn supply_order(&self, cause: &'static str, result: &'static str) {
        self.supply_orders(cause, result, 1);
    }

    fn supply_orders(&self, cause: &'static str, result: &'static str, number: u64) {
        let labels = OrderLabels { cause, result };
        self.supply_orders.get_or_create(&labels).inc_by(number);
    }

    /// Sets the number of instances that were left behind on the broker of a Connection. `None`: it
    /// has no such list, or is gone.
    pub fn orphans(&self, connection: &str, number: Option<i64>) {
        let labels = ConnectionLabels {
            connection: connection.to_owned(),
        };
        match number {
            Some(number) => _ = self.orphans.get_or_create(&labels).set(number),
            None => _ = self.orphans.remove(&labels),
        }
    }

    /// Sets whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Counts an event of a contract system: its type, or `unread`, and the status code of the answer.
    pub fn contract_event(&self, r#type: &str, code: u16) {
        let r#type = r#type.to_owned();
        let labels = ContractEventLabels { r#type, code };
        self.contract_events.get_or_create(&labels).inc();
    }

    /// Counts a request to the board, by the status code of the answer.
    pub fn board_request(&self, code: u16) {
        self.board_requests
            .get_or_create(&CodeLabels { code })
            .inc();
    }

    /// Sets whether the files of the certificate of an endpoint can be used.
    pub fn certificate(&self, endpoint: &'static str, is_valid: bool) {
        let labels = EndpointLabels { endpoint };
        self.certificates
            .get_or_create(&labels)
            .set(is_valid.into());
    }

    /// Returns all metrics as OpenMetrics text.
    pub fn encode(&self) -> String {
        let exists = |name: &str| self.inventory.may_exist("Connection", name);
        self.remote.retain(exists);
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Returns all metrics in the text format of Prometheus, for those who do not ask for OpenMetrics.
    pub fn encode_for_prometheus(&self) -> String {
        exposition::prometheus_text(&self.encode())
    }
}
