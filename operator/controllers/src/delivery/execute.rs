//! Execute: sends the request of one action of a pass, and returns the answer.
//!
//! It has no choices: an action carries everything to ask or send, and the pass decides the meaning
//! of an answer. Called by the controller, one action at a time.

use std::sync::Arc;

use entente_crds::v1alpha1::{Device, Protocol, ServiceSubscription};
use entente_domain::{
    delivery::{Action, Answer, Claimant, DeviceSnapshot, Pass, known_identity},
    identity::Identity,
    names::SubscriptionName,
    remote::{DeviceReading, Failure, FailureKind},
};
use entente_drivers::{
    ServiceDriver,
    device::DeviceTarget,
    profile::ConnectionProfile,
    service::{ServerTarget, send},
};

use crate::{cache::Key, metrics::RemoteOperation, remote_requests};

use super::{Delivery, observe::profile, report, rivals::claimant_of, twins};

/// Sends the request of one action.
pub(super) async fn execute(delivery: &Delivery, pass: &Pass, action: &Action) -> Answer {
    let execution = Execution { delivery, pass };
    let answer = match action {
        Action::ReadDevice { connection, .. }
        | Action::ReadStatus { connection, .. }
        | Action::ShowMessages { connection, .. }
        | Action::WriteDevice { connection, .. } => execution.device(connection, action).await,
        Action::WriteTwin { .. } => {
            let written = twins::write(delivery, pass, action).await;
            return Answer::TwinWritten(written);
        }
        Action::ReadCatalog { connection } => execution.catalog(connection).await,
        Action::RecordPrevious {
            subscription,
            items,
        } => {
            let decide =
                |object: &ServiceSubscription, now| pass.record_previous(object, items, now);
            return Box::pin(report::record(delivery, pass, subscription, decide)).await;
        }
        Action::RecordInstance { subscription } => {
            let decide = |object: &ServiceSubscription, now| pass.record_instance(object, now);
            return Box::pin(report::record(delivery, pass, subscription, decide)).await;
        }
        Action::TakeOver { subscription, from } => {
            let decide = |object: &ServiceSubscription, now| pass.take_over(object, from, now);
            return Box::pin(report::record(delivery, pass, subscription, decide)).await;
        }
        Action::Switch { group, to } => {
            return Box::pin(report::switch(delivery, pass, (group, to))).await;
        }
        Action::ReadInstance { subscription, .. }
        | Action::Provision { subscription, .. }
        | Action::Update { subscription, .. }
        | Action::PollOperation { subscription, .. }
        | Action::Deprovision { subscription, .. } => execution.server(subscription, action).await,
    };
    answer.unwrap_or_else(Answer::NotAsked)
}

struct Execution<'a> {
    delivery: &'a Delivery,
    pass: &'a Pass,
}

impl Execution<'_> {
    fn snapshot(&self) -> &DeviceSnapshot {
        self.pass.snapshot()
    }

    async fn device(&self, connection: &str, action: &Action) -> Result<Answer, Failure> {
        let endpoint = self.pass.resolved().endpoint(connection);
        let endpoint = endpoint
            .ok_or_else(|| unusable(format!("the Connection {connection} cannot be used")))?;
        if let (Protocol::Agent, Action::ReadDevice { .. }) = (endpoint.protocol, action) {
            let result = twins::observe(self.delivery, self.pass, connection);
            return Ok(self.read(connection, result));
        }
        let target = DeviceTarget {
            profile: self.profile(connection).await?,
            url: endpoint.url.clone(),
            printer_uri: endpoint.printer_uri.clone(),
            pinned_certificate: endpoint.pinned_certificate.clone(),
            secrets: self.snapshot().secrets.clone(),
        };
        let drivers = &self.delivery.context.drivers;
        let protocol = endpoint.protocol;
        let driver = drivers.device(protocol);
        let driver =
            driver.ok_or_else(|| unusable(format!("no driver of devices speaks {protocol:?}")))?;
        let answer = match action {
            Action::WriteDevice { write, .. } => {
                let sent = driver.apply(&target, write);
                let result = self.told(connection, RemoteOperation::Write, sent).await;
                Answer::DeviceWritten(result)
            }
            Action::ReadStatus { identity, .. } => {
                let sent = driver.status(&target, identity);
                let result = self.told(connection, RemoteOperation::Status, sent).await;
                Answer::Status(result)
            }
            Action::ShowMessages { request, .. } => {
                let sent = driver.display(&target, request);
                let result = self.told(connection, RemoteOperation::Display, sent).await;
                Answer::MessagesShown(result)
            }
            Action::ReadDevice { request, .. } => {
                let sent = driver.observe(&target, request);
                let result = self.told(connection, RemoteOperation::Read, sent).await;
                self.read(connection, result)
            }
            _ => return Err(unusable("nothing is asked of the device".to_owned())),
        };
        Ok(answer)
    }

    /// Returns the answer of a reading, with the other Device that has the machine which answered.
    fn read(&self, connection: &str, result: Result<DeviceReading, Failure>) -> Answer {
        let identity = result.as_ref().ok().and_then(|it| it.identity.as_deref());
        let identity = identity.and_then(Identity::of);
        Answer::DeviceRead {
            claimed_by_another: self.claimant(connection, identity.as_ref()),
            result,
        }
    }

    fn claimant(&self, connection: &str, identity: Option<&Identity>) -> Option<Claimant> {
        let device = self.snapshot().device.as_ref()?;
        let known = claimant_of(&self.delivery.objects, device, connection, identity);
        known.or_else(|| self.looked_first(device, connection, identity?))
    }

    /// Returns the other Device that has looked at a machine first, in a pass that is under way. A
    /// machine other than the known one is not used, and so is left to others.
    fn looked_first(
        &self,
        device: &Device,
        connection: &str,
        machine: &Identity,
    ) -> Option<Claimant> {
        let known = known_identity(device, connection);
        if known.is_some_and(|known| known != *machine) {
            return None;
        }
        let own = Key::of(device);
        let first = self.delivery.machines.of_another(machine, &own)?;
        Some(if first.namespace == own.namespace {
            Claimant::SameNamespace { name: first.name }
        } else {
            Claimant::AnotherNamespace
        })
    }

    async fn catalog(&self, connection: &str) -> Result<Answer, Failure> {
        let target = self.target(connection).await?;
        let result = self.service().catalog(&target).await;
        let result = result.map(Arc::from);
        if let Ok(catalog) = &result {
            let now = self.delivery.context.clock.now();
            self.delivery.catalogs.keep(connection, catalog, now);
        }
        Ok(Answer::Catalog(result))
    }

    async fn server(
        &self,
        subscription: &SubscriptionName,
        action: &Action,
    ) -> Result<Answer, Failure> {
        let resolved = self.pass.resolved().subscription(subscription);
        let connection = resolved
            .and_then(|entry| entry.server.as_ref())
            .map(|server| server.connection.as_str());
        let connection =
            connection.ok_or_else(|| unusable("it has no service server".to_owned()))?;
        let target = self.target(connection).await?;
        let answer = send(self.service(), &target, action).await;
        let answer =
            answer.ok_or_else(|| unusable("nothing is asked of the service server".to_owned()))?;
        let failure = match &answer {
            Answer::Instance(result) => result.as_ref().err(),
            Answer::Server(result) => result.as_ref().err(),
            Answer::Operation(result) => result.as_ref().err(),
            _ => return Ok(answer),
        };
        if failure.is_some_and(|failure| failure.kind == FailureKind::CatalogOutdated) {
            // Every other device reads it again, too.
            self.delivery.catalogs.expire(connection);
        }
        Ok(answer)
    }

    fn service(&self) -> &dyn ServiceDriver {
        &*self.delivery.context.brokers
    }

    async fn target(&self, connection: &str) -> Result<ServerTarget, Failure> {
        let url = self
            .snapshot()
            .connections
            .get(connection)
            .and_then(|found| found.spec.osb.as_ref())
            .map(|osb| osb.url.clone())
            .unwrap_or_default();
        Ok(ServerTarget {
            profile: self.profile(connection).await?,
            url,
            secrets: self.snapshot().secrets.clone(),
        })
    }

    async fn profile(&self, name: &str) -> Result<Arc<ConnectionProfile>, Failure> {
        let snapshot = self.snapshot();
        let connection = snapshot
            .connections
            .get(name)
            .ok_or_else(|| unusable(format!("the Connection {name} does not exist")))?;
        let now = self.delivery.context.clock.now();
        let profile = profile(self.delivery, snapshot, connection, now).await;
        profile.map_err(|(_, message)| unusable(message))
    }

    /// Waits for the answer of the device to a request, and tells of it.
    async fn told<T>(
        &self,
        connection: &str,
        operation: RemoteOperation,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let snapshot = self.snapshot();
        let about = remote_requests::About {
            connection,
            operation,
            device: Some((&snapshot.namespace, &snapshot.device_name)),
        };
        remote_requests::told(&self.delivery.context.metrics, about, request).await
    }
}

/// Returns the failure of a request that was not sent, because the Connection cannot be used.
fn unusable(message: String) -> Failure {
    Failure::new(FailureKind::Unauthorized, message)
}
