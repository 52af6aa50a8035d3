//! What the tests of whole controllers share: a context without a cluster, a network or a machine's
//! clock. Only compiled for tests.

use std::sync::Arc;

use entente_drivers::Drivers;
use kube::Client;

use crate::{
    clock::{ClockSkew, FakeClock},
    context::{Context, Options},
    events::Events,
    metrics::Metrics,
    readiness::Readiness,
};

/// A context of this API server; events go to `recorder`.
pub(crate) fn context(
    client: Client,
    recorder: Client,
    clock: Arc<FakeClock>,
    drivers: Drivers,
) -> Context {
    let metrics = Arc::new(Metrics::new("0"));
    Context {
        client,
        clock,
        skew: Arc::new(ClockSkew::default()),
        metrics: Arc::clone(&metrics),
        events: Events::start(recorder, None, metrics),
        readiness: Arc::new(Readiness::default()),
        drivers,
        options: Options::default(),
    }
}
