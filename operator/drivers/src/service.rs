//! What every driver of service servers can do.
//!
//! The shape is that of Open Service Broker 2.17; which request is sent when, and what is done
//! about a doubtful answer, is decided by the domain.

use std::sync::Arc;

use async_trait::async_trait;
use entente_domain::remote::{
    Catalogue, Failure, InstanceContext, InstanceKey, InstanceReading, OperationState, ServerAnswer,
};
use entente_domain::secret::Secrets;
use serde_json::{Map, Value};

use crate::profile::ConnectionProfile;

/// Which service server, and by which way it is reached.
#[derive(Clone, Debug)]
pub struct ServerTarget {
    /// The Connection, resolved for the namespace of the subscription.
    pub profile: Arc<ConnectionProfile>,
    /// The URL of the broker, without `/v2`.
    pub url: String,
    /// What the tenant's Secrets hold that is sent there: kept out of everything that is quoted.
    pub secrets: Secrets,
}

/// Speaks to service servers. Every call is one request, sent without a retry.
#[async_trait]
pub trait ServiceDriver: Send + Sync {
    /// Reads what the broker offers (OSB "Catalog Management").
    async fn catalogue(&self, target: &ServerTarget) -> Result<Catalogue, Failure>;

    /// Reads one instance (OSB "Fetching a Service Instance"). Where the offering is not
    /// retrievable nothing is sent and the answer is `NotRetrievable`.
    async fn observe(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        retrievable: bool,
    ) -> Result<InstanceReading, Failure>;

    /// Makes an instance (OSB "Provisioning"). The same call again is the same instance.
    async fn provision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
        parameters: &Map<String, Value>,
    ) -> Result<ServerAnswer, Failure>;

    /// Changes parameters of an instance, and its plan where one is given (OSB "Updating a Service
    /// Instance": without one the plan must not change).
    async fn update(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        to_plan: Option<&str>,
        context: &InstanceContext,
        parameters: &Map<String, Value>,
    ) -> Result<ServerAnswer, Failure>;

    /// Asks how an operation stands (OSB "Polling Last Operation").
    async fn last_operation(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        operation: Option<&str>,
    ) -> Result<OperationState, Failure>;

    /// Removes an instance (OSB "Deprovisioning"); `Done` also where there is none.
    async fn deprovision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
    ) -> Result<ServerAnswer, Failure>;
}
