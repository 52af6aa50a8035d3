//! What every controller shares: made once by the binary, cloned freely.
//!
//! It holds handles only and decides nothing.

use std::{sync::Arc, time::Duration};

use entente_drivers::Drivers;
use kube::Client;

use crate::{
    clock::{Clock, ClockSkew},
    events::Events,
    metrics::Metrics,
    readiness::Readiness,
};

/// How the operator behaves, from flags.
#[derive(Clone, Debug)]
pub struct Options {
    /// The operator's own namespace: Secrets and ConfigMaps of Connections are read there.
    pub namespace: String,
    /// How long a withdrawal is tried before its handle is given up as an orphan.
    pub withdraw_deadline: Duration,
    /// How often the status of a growing compensation is written at most.
    pub accrual_interval: Duration,
    /// How many passes over devices work at once; those that hang on a device do not count.
    pub concurrency: usize,
}

impl Default for Options {
    /// The defaults of the flags.
    fn default() -> Self {
        Self {
            namespace: "entente-system".to_owned(),
            withdraw_deadline: Duration::from_hours(24),
            accrual_interval: Duration::from_hours(1),
            concurrency: 128,
        }
    }
}

/// What every controller shares.
#[derive(Clone)]
pub struct Context {
    /// The Kubernetes API.
    pub client: Client,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// How far the wall clock is from that of the API server.
    pub skew: Arc<ClockSkew>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Kubernetes events.
    pub events: Events,
    /// What is still missing before the operator is ready.
    pub readiness: Arc<Readiness>,
    /// Devices and service servers.
    pub drivers: Drivers,
    /// Flags.
    pub options: Options,
}
