//! The trait of every driver of service servers.
//!
//! The shape is that of Open Service Broker 2.17; the domain decides the order of requests and the
//! treatment of a doubtful answer.

use std::sync::Arc;

use async_trait::async_trait;
use entente_domain::delivery::{Action, Answer};
use entente_domain::remote::{
    Catalog, Failure, InstanceContext, InstanceKey, InstanceReading, InstanceRequest,
    OperationState, ServerAnswer,
};
use entente_domain::secret::Secrets;

use crate::profile::ConnectionProfile;

/// A service server, with the connection to it.
#[derive(Clone, Debug)]
pub struct ServerTarget {
    /// The Connection, resolved for the namespace of the subscription.
    pub profile: Arc<ConnectionProfile>,
    /// The URL of the broker, without `/v2`.
    pub url: String,
    /// Values of the tenant's Secrets that are sent there: they are kept out of every quotation.
    pub secrets: Secrets,
}

/// A driver of service servers. Every call is one request, sent without a retry.
#[async_trait]
pub trait ServiceDriver: Send + Sync {
    /// Reads the catalog (OSB "Catalog Management").
    async fn catalog(&self, target: &ServerTarget) -> Result<Catalog, Failure>;

    /// Reads one instance (OSB "Fetching a Service Instance"). If the offering is not retrievable
    /// nothing is sent and the answer is `NotRetrievable`.
    async fn observe(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        retrievable: bool,
    ) -> Result<InstanceReading, Failure>;

    /// Makes an instance (OSB "Provisioning"). A repeated call is about the same instance.
    async fn provision(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure>;

    /// Changes parameters of an instance, and its plan if the request names another (OSB "Updating
    /// a Service Instance").
    async fn update(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure>;

    /// Polls an operation (OSB "Polling Last Operation").
    async fn last_operation(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        operation: Option<&str>,
    ) -> Result<OperationState, Failure>;

    /// Removes an instance (OSB "Deprovisioning"); `Done` also if the server says that it was
    /// removed before.
    async fn deprovision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
    ) -> Result<ServerAnswer, Failure>;
}

/// Sends the request of an action about an instance, with everything that the action carries. `None`
/// if the action is about none.
pub async fn send(
    driver: &dyn ServiceDriver,
    target: &ServerTarget,
    action: &Action,
) -> Option<Answer> {
    Some(match action {
        Action::ReadInstance {
            instance,
            retrievable,
            ..
        } => Answer::Instance(driver.observe(target, instance, *retrievable).await),
        Action::Provision {
            instance,
            context,
            maintenance_version,
            parameters,
            ..
        } => {
            let parameters = parameters.exposed();
            let request = InstanceRequest {
                maintenance_version: maintenance_version.as_deref(),
                ..InstanceRequest::new(instance, context, &parameters)
            };
            Answer::Server(driver.provision(target, request).await)
        }
        Action::Update {
            instance,
            to_plan,
            context,
            maintenance_version,
            parameters,
            ..
        } => {
            let parameters = parameters.exposed();
            let request = InstanceRequest {
                to_plan: to_plan.as_deref(),
                maintenance_version: maintenance_version.as_deref(),
                ..InstanceRequest::new(instance, context, &parameters)
            };
            Answer::Server(driver.update(target, request).await)
        }
        Action::Deprovision {
            instance, context, ..
        } => Answer::Server(driver.deprovision(target, instance, context).await),
        Action::PollOperation {
            instance,
            operation,
            ..
        } => Answer::Operation(
            driver
                .last_operation(target, instance, operation.as_deref())
                .await,
        ),
        _ => return None,
    })
}
