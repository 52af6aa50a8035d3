//! State that every controller shares: made once by the binary, cloned freely.
//!
//! It holds handles only and decides nothing.

use std::{sync::Arc, time::Duration};

use entente_drivers::Drivers;
use kube::Client;

use crate::{
    brokers::Brokers,
    clock::{Clock, ClockSkew},
    events::Events,
    liveness::Liveness,
    metrics::Metrics,
    pass_ids::PassIds,
    readiness::Readiness,
};

/// Options of the operator, from flags.
#[derive(Clone, Debug)]
pub struct Options {
    /// The operator's own namespace: Secrets and ConfigMaps of Connections are read there.
    pub namespace: String,
    /// The namespaces that are served; none: all.
    pub served: Vec<String>,
    /// Label selector of the Connections, DeviceModels and SmartServices that are served; empty: all.
    pub selector: String,
    /// Time after which a withdrawal is given up and its instance becomes an orphan.
    pub withdraw_deadline: Duration,
    /// Shortest time between two writes of a status whose compensation accrues.
    pub accrual_interval: Duration,
    /// Number of passes over devices that work at once; those that hang on a device do not count.
    pub concurrency: usize,
}

impl Default for Options {
    /// Returns the defaults of the flags.
    fn default() -> Self {
        Self {
            namespace: "entente-system".to_owned(),
            served: Vec::new(),
            selector: String::new(),
            withdraw_deadline: Duration::from_hours(24),
            accrual_interval: Duration::from_hours(1),
            concurrency: 128,
        }
    }
}

/// State that every controller shares.
#[derive(Clone)]
pub struct Context {
    /// The Kubernetes API.
    pub client: Client,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Difference between the wall clock and that of the API server.
    pub skew: Arc<ClockSkew>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Kubernetes events.
    pub events: Events,
    /// Components that are not ready yet.
    pub readiness: Arc<Readiness>,
    /// Tasks that do not run any more.
    pub liveness: Arc<Liveness>,
    /// Devices.
    pub drivers: Drivers,
    /// Service servers: every request to one goes through here.
    pub brokers: Arc<Brokers>,
    /// The ids of the passes of this process.
    pub passes: Arc<PassIds>,
    /// Flags.
    pub options: Options,
    /// The queues of the controllers that run.
    #[cfg(test)]
    pub(crate) queues: crate::queue::rest::Queues,
}
