//! A request to a remote side, as it is told of: in a span, in the log and in the metrics.
//!
//! Sends nothing and decides nothing: the request is the caller's. Called for each request to a
//! device (`delivery`) and to a service server (`brokers`).

use std::time::Instant;

use entente_domain::remote::Failure;
use tracing::{Instrument as _, field};

use crate::{
    controller::TRACE,
    metrics::{Metrics, RemoteOperation},
};

/// Subject of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) connection: &'a str,
    pub(crate) operation: RemoteOperation,
    /// Namespace and name of the Device, if it is asked of one.
    pub(crate) device: Option<(&'a str, &'a str)>,
}

/// Waits for the answer to a request, and tells of it.
pub(crate) async fn told<T>(
    metrics: &Metrics,
    about: About<'_>,
    request: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let About {
        connection,
        operation,
        device,
    } = about;
    let span = tracing::debug_span!(
        target: TRACE,
        "request",
        connection,
        operation = operation.as_str(),
        failure = field::Empty,
    );
    let begun = Instant::now();
    let answer = request.instrument(span.clone()).await;
    let took = begun.elapsed();
    let failure = answer.as_ref().err().map(|failure| failure.kind);
    if let Some(kind) = failure {
        span.record("failure", field::debug(kind));
    }
    tracing::debug!(
        namespace = device.map(|(namespace, _)| namespace),
        device = device.map(|(_, name)| name),
        connection,
        operation = operation.as_str(),
        failure = failure.map(field::debug),
        ?took,
        "a request to a {} has ended",
        operation.role(),
    );
    metrics.remote_request(connection, operation, failure, took);
    answer
}
