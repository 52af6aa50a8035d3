//! The service servers behind all Connections, none of which is asked before the end of the wait
//! that it asked for.
//!
//! Decides nothing by itself: [`BrokerWaits`] says which request must wait. It stands in front of the
//! driver, so that devices, probes and orphans are held back alike, and what is sent is counted once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use entente_domain::{
    broker_waits::{About, BrokerWaits},
    remote::{
        Catalog, Failure, InstanceContext, InstanceKey, InstanceReading, InstanceRequest,
        OperationState, ServerAnswer,
    },
};
use entente_drivers::{Drivers, ServiceDriver, service::ServerTarget};

use crate::{
    clock::Clock,
    metrics::{Metrics, RemoteOperation},
    remote_requests,
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
        let told = remote_requests::About {
            connection: name,
            operation,
            device: None,
        };
        let answer = remote_requests::told(&self.metrics, told, request).await;
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

fn of(instance: &InstanceKey) -> About {
    About::Instance(instance.instance_id.clone())
}
