//! The service servers behind all Connections, none of which is asked before the end of the wait
//! that it asked for.
//!
//! Decides nothing by itself: [`BrokerWaits`] says which request must wait. It stands in front of the
//! driver, so that devices, probes and orphans are held back alike, and what is sent is counted once.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use entente_domain::{
    broker_waits::{About, BrokerWaits},
    remote::{
        Catalog, Failure, FailureKind, InstanceContext, InstanceKey, InstanceReading,
        InstanceRequest, OperationState, ServerAnswer,
    },
};
use entente_drivers::{Drivers, ServiceDriver, service::ServerTarget};
use tracing::{Instrument as _, Span, field};

use crate::{
    clock::Clock,
    controller::TRACE,
    metrics::{Metrics, RemoteOperation},
};

/// The driver of service servers, with the waits that they asked for.
pub struct Brokers {
    drivers: Drivers,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    waits: Mutex<BrokerWaits>,
}

impl Brokers {
    /// Returns the service servers that these drivers reach, by the time of this clock.
    pub fn new(drivers: Drivers, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            drivers,
            clock,
            metrics,
            waits: Mutex::default(),
        }
    }

    /// Returns the answer to a request, or the broker's wish for a wait that is not over.
    async fn unless_held_back<T>(
        &self,
        target: &ServerTarget,
        (about, operation): (About, RemoteOperation),
        request: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        let (name, url) = (&target.profile.name, &target.url);
        let held = self.waits().pending(name, url, &about, self.clock.now());
        if let Some(failure) = held {
            return Err(failure);
        }
        let begun = Instant::now();
        let span = tracing::debug_span!(
            target: TRACE,
            "request",
            connection = name,
            operation = operation.as_str(),
            failure = field::Empty,
        );
        let answer = request.instrument(span.clone()).await;
        let kind = answer.as_ref().err().map(|failure| failure.kind);
        let took = begun.elapsed();
        record(&span, kind);
        tracing::debug!(
            connection = name,
            operation = operation.as_str(),
            failure = ?kind,
            ?took,
            "a request to a service server has ended"
        );
        self.metrics.remote_request(name, operation, kind, took);
        if let Err(failure) = &answer {
            let now = self.clock.now();
            self.waits().record(name, url, &about, failure, now);
        }
        answer
    }

    fn driver(&self) -> &dyn ServiceDriver {
        self.drivers.service()
    }

    fn waits(&self) -> MutexGuard<'_, BrokerWaits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ServiceDriver for Brokers {
    async fn catalog(&self, target: &ServerTarget) -> Result<Catalog, Failure> {
        let about = (About::Catalog, RemoteOperation::Catalog);
        self.unless_held_back(target, about, self.driver().catalog(target))
            .await
    }

    async fn observe(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        retrievable: bool,
    ) -> Result<InstanceReading, Failure> {
        let request = self.driver().observe(target, instance, retrievable);
        if !retrievable {
            // Nothing is sent.
            return request.await;
        }
        let about = (of(instance), RemoteOperation::Fetch);
        self.unless_held_back(target, about, request).await
    }

    async fn provision(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let about = (of(request.instance), RemoteOperation::Provision);
        let request = self.driver().provision(target, request);
        self.unless_held_back(target, about, request).await
    }

    async fn update(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let about = (of(request.instance), RemoteOperation::Update);
        let request = self.driver().update(target, request);
        self.unless_held_back(target, about, request).await
    }

    async fn last_operation(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        operation: Option<&str>,
    ) -> Result<OperationState, Failure> {
        let about = (of(instance), RemoteOperation::Poll);
        let request = self.driver().last_operation(target, instance, operation);
        self.unless_held_back(target, about, request).await
    }

    async fn deprovision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
    ) -> Result<ServerAnswer, Failure> {
        let about = (of(instance), RemoteOperation::Deprovision);
        let request = self.driver().deprovision(target, instance, context);
        self.unless_held_back(target, about, request).await
    }
}

/// Records the failure of a request in its span.
pub(crate) fn record(span: &Span, failure: Option<FailureKind>) {
    if let Some(kind) = failure {
        span.record("failure", field::debug(kind));
    }
}

fn of(instance: &InstanceKey) -> About {
    About::Instance(instance.instance_id.clone())
}
