//! Execute: does what the plan says, in its order, and records what came back.
//!
//! It has no choices: what is asked and sent stands in the action. A failure holds back the
//! remote side that it speaks of; no slot is held meanwhile.

use std::{sync::Arc, time::Instant};

use entente_crds::v1alpha1::Protocol;
use entente_domain::{
    assessment::{Retry, reason_of_failure, retry},
    delivery::{Action, Facts, World},
    exchange::{Failure, FailureKind, OperationState, ServerAnswer},
    retry::{HoldKey, Holds},
    shared::Shared,
};
use entente_drivers::{device::DeviceTarget, profile::ConnectionProfile, service::ServerTarget};
use jiff::{SignedDuration, Timestamp};

use super::{
    Delivery, Outcome,
    hold::{fraction, policy},
    observe::{device_credentials, is_claimed},
    report,
};

/// The time between two questions about an operation, where the server does not say.
const POLL: SignedDuration = SignedDuration::from_secs(1);

/// Does every action of the plan; what they depend on may have changed afterwards.
pub(super) async fn actions(
    delivery: &Delivery,
    mut outcome: Outcome,
    holds: &mut Holds,
) -> (World, Facts) {
    let actions = std::mem::take(&mut outcome.plan.actions);
    for action in &actions {
        if delivery.shutdown.is_requested() {
            break;
        }
        let execution = Execution {
            delivery,
            outcome: &mut outcome,
            holds,
        };
        execution.act(action).await;
    }
    (outcome.world, outcome.facts)
}

struct Execution<'a> {
    delivery: &'a Delivery,
    outcome: &'a mut Outcome,
    holds: &'a mut Holds,
}

impl Execution<'_> {
    async fn act(mut self, action: &Action) {
        match action {
            Action::ReadDevice { .. } | Action::WriteDevice { .. } => self.device(action).await,
            Action::ReadCatalogue { connection } => self.catalogue(connection).await,
            Action::RecordInstance { subscription } => self.record(subscription).await,
            Action::ReadInstance { subscription, .. }
            | Action::Provision { subscription, .. }
            | Action::Update { subscription, .. }
            | Action::PollOperation { subscription, .. }
            | Action::Deprovision { subscription, .. } => self.server(subscription, action).await,
        }
    }

    fn now(&self) -> Timestamp {
        self.delivery.context.clock.now()
    }

    async fn device(&mut self, action: &Action) {
        let Ok(endpoint) = self.outcome.resolved.endpoint.clone() else {
            return;
        };
        let now = self.now();
        // A device that failed a moment ago is not asked for the rest of the plan.
        if self.holds.until(&HoldKey::Device, now).is_some() {
            return;
        }
        let profile = match self.profile(&endpoint.connection).await {
            Ok(profile) => profile,
            Err(failure) => return self.outcome.facts.record_device(Err(failure), now),
        };
        let target = DeviceTarget {
            profile,
            url: endpoint.url,
            pinned_certificate: endpoint.pinned_certificate,
            secrets: self.outcome.world.secrets.clone(),
        };
        let Some(driver) = self.delivery.context.drivers.device(Protocol::IPP) else {
            return;
        };
        let begun = Instant::now();
        match action {
            Action::ReadDevice { request } => {
                let result = driver.observe(&target, request).await;
                self.count("device", result.as_ref().err(), begun);
                let at = self.now();
                match &result {
                    Ok(_) => self.holds.clear(&HoldKey::Device),
                    Err(failure) => self.fail(&HoldKey::Device, &endpoint.connection, failure),
                }
                self.outcome.facts.record_device(result, at);
                self.look_for_a_claim();
            }
            Action::WriteDevice { write, items } => {
                let result = driver.apply(&target, write).await;
                self.count("device", result.as_ref().err(), begun);
                let at = self.now();
                if let Err(failure) = &result {
                    self.fail_write(&endpoint.connection, items, failure);
                }
                self.outcome.facts.record_write(items, &result, at);
            }
            _ => {}
        }
    }

    /// The machine that answered may be another Device's, which is known only now; nothing must be
    /// written to it then. Nor does what another machine said before hold any more.
    fn look_for_a_claim(&mut self) {
        let reading = self.outcome.facts.device.as_ref();
        let reading = reading.and_then(|reading| reading.result.as_ref().ok());
        let world = &mut self.outcome.world;
        if let (Some(reading), Some(device)) = (reading, &world.device) {
            let identity = reading.identity.as_deref();
            world.claimed_by_another = is_claimed(&self.delivery.objects, device, identity);
        }
    }

    /// What speaks of the value needs a person; what speaks of the device holds all of it back.
    fn fail_write(
        &mut self,
        connection: &str,
        items: &[(String, String, String)],
        failure: &Failure,
    ) {
        match retry(failure.kind, failure.doubtful) {
            Retry::Never => {}
            Retry::Sent => {
                for (subscription, item, digest) in items {
                    let key = HoldKey::Item {
                        subscription: subscription.clone(),
                        item: item.clone(),
                        digest: digest.clone(),
                    };
                    self.fail(&key, connection, failure);
                }
            }
            Retry::Remote => self.fail(&HoldKey::Device, connection, failure),
        }
    }

    async fn catalogue(&mut self, connection: &str) {
        let key = HoldKey::Catalogue {
            connection: connection.to_owned(),
        };
        let result = match self.target(connection).await {
            Ok(target) => {
                let begun = Instant::now();
                let result = self
                    .delivery
                    .context
                    .drivers
                    .service()
                    .catalogue(&target)
                    .await;
                self.count("server", result.as_ref().err(), begun);
                result
            }
            Err(failure) => Err(failure),
        };
        let now = self.now();
        match result {
            Ok(catalogue) => {
                let catalogue = Shared::from(catalogue);
                self.holds.clear(&key);
                self.delivery.catalogues.keep(connection, &catalogue, now);
                self.outcome
                    .world
                    .catalogues
                    .insert(connection.to_owned(), catalogue);
            }
            Err(failure) => {
                self.fail(&key, connection, &failure);
                self.outcome
                    .facts
                    .catalogue_problems
                    .insert(connection.to_owned(), (now, failure));
            }
        }
    }

    async fn record(&mut self, subscription: &str) {
        if let Err(error) = report::record(self.delivery, self.outcome, subscription).await {
            tracing::warn!(%error, subscription, "the instance could not be recorded");
            let failure = Failure {
                kind: FailureKind::ProtocolError,
                message: "the instance could not be recorded in status yet".to_owned(),
                retry_after: Some(POLL),
                doubtful: false,
            };
            let now = self.now();
            let connection = self.connection_of(subscription).unwrap_or_default();
            let key = HoldKey::Server {
                subscription: subscription.to_owned(),
            };
            self.fail(&key, &connection, &failure);
            let problems = &mut self.outcome.facts.server_problems;
            problems.insert(subscription.to_owned(), (now, failure));
        }
    }

    async fn server(&mut self, subscription: &str, action: &Action) {
        let Some(connection) = self.connection_of(subscription) else {
            return;
        };
        let key = HoldKey::Server {
            subscription: subscription.to_owned(),
        };
        let target = match self.target(&connection).await {
            Ok(target) => target,
            Err(failure) => {
                let now = self.now();
                self.fail(&key, &connection, &failure);
                self.outcome
                    .facts
                    .server_problems
                    .insert(subscription.to_owned(), (now, failure));
                return;
            }
        };
        let begun = Instant::now();
        let answer = self.ask(&target, action).await;
        match answer {
            Answer::Instance(result) => {
                self.count("server", result.as_ref().err(), begun);
                match &result {
                    Ok(_) => {}
                    Err(failure) => self.fail(&key, &connection, failure),
                }
                let now = self.now();
                self.outcome
                    .facts
                    .record_instance(subscription, result, now);
            }
            Answer::Server(result) => {
                self.count("server", result.as_ref().err(), begun);
                let now = self.now();
                match &result {
                    Ok(ServerAnswer::Done) => self.holds.clear(&key),
                    Ok(ServerAnswer::UnderWay { .. }) => self.poll_after(key, POLL, now),
                    Err(failure) => self.fail_server(&key, &connection, failure),
                }
                self.outcome.facts.record_server(action, result, now);
            }
            Answer::Operation(result) => {
                self.count("server", result.as_ref().err(), begun);
                let now = self.now();
                self.hold_operation(key, &connection, &result, now);
                self.outcome
                    .facts
                    .record_operation(subscription, result, now);
            }
            Answer::None => {}
        }
    }

    fn hold_operation(
        &mut self,
        key: HoldKey,
        connection: &str,
        result: &Result<OperationState, Failure>,
        now: Timestamp,
    ) {
        match result {
            Ok(OperationState::InProgress { retry_after }) => {
                self.poll_after(key, retry_after.unwrap_or(POLL), now);
            }
            Ok(OperationState::Succeeded | OperationState::Gone) => self.holds.clear(&key),
            Ok(OperationState::Failed { message }) => {
                let failure = Failure {
                    kind: FailureKind::ProtocolError,
                    message: message.clone(),
                    retry_after: None,
                    doubtful: false,
                };
                self.fail(&key, connection, &failure);
            }
            // That the server does not know the operation any more is an answer.
            Err(failure) => self.fail_server(&key, connection, failure),
        }
    }

    async fn ask(&self, target: &ServerTarget, action: &Action) -> Answer {
        let driver = self.delivery.context.drivers.service();
        match action {
            Action::ReadInstance {
                instance,
                retrievable,
                ..
            } => Answer::Instance(driver.observe(target, instance, *retrievable).await),
            Action::Provision {
                instance,
                context,
                parameters,
                ..
            } => Answer::Server(
                driver
                    .provision(target, instance, context, &parameters.exposed())
                    .await,
            ),
            Action::Update {
                instance,
                to_plan,
                context,
                parameters,
                ..
            } => Answer::Server(
                driver
                    .update(
                        target,
                        instance,
                        to_plan.as_deref(),
                        context,
                        &parameters.exposed(),
                    )
                    .await,
            ),
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
            _ => Answer::None,
        }
    }

    fn fail_server(&mut self, key: &HoldKey, connection: &str, failure: &Failure) {
        // Everything of a subscription that goes to its server is one instance.
        match retry(failure.kind, failure.doubtful) {
            Retry::Never => {}
            Retry::Sent | Retry::Remote => self.fail(key, connection, failure),
        }
    }

    fn poll_after(&mut self, key: HoldKey, wait: SignedDuration, now: Timestamp) {
        self.holds
            .wait_until(key, now.checked_add(wait).unwrap_or(Timestamp::MAX));
    }

    fn fail(&mut self, key: &HoldKey, connection: &str, failure: &Failure) {
        let policy = self
            .outcome
            .world
            .connections
            .get(connection)
            .map(|connection| policy(connection))
            .unwrap_or_default();
        let now = self.now();
        self.holds
            .fail(key.clone(), policy, failure.retry_after, fraction(), now);
        self.holds
            .because(key, reason_of_failure(failure.kind), &failure.message);
    }

    fn connection_of(&self, subscription: &str) -> Option<String> {
        let resolved = &self.outcome.resolved.subscriptions;
        let found = resolved.iter().find(|entry| entry.name == subscription)?;
        Some(found.server.as_ref()?.connection.clone())
    }

    async fn target(&self, connection: &str) -> Result<ServerTarget, Failure> {
        let url = self
            .outcome
            .world
            .connections
            .get(connection)
            .and_then(|found| found.spec.osb.as_ref())
            .map(|osb| osb.url.clone())
            .unwrap_or_default();
        Ok(ServerTarget {
            profile: self.profile(connection).await?,
            url,
            secrets: self.outcome.world.secrets.clone(),
        })
    }

    async fn profile(&self, name: &str) -> Result<Arc<ConnectionProfile>, Failure> {
        let missing = |message: String| Failure {
            kind: FailureKind::Unauthorized,
            message,
            retry_after: None,
            doubtful: false,
        };
        let connection = self
            .outcome
            .world
            .connections
            .get(name)
            .ok_or_else(|| missing(format!("the Connection {name} does not exist")))?;
        let now = self.now();
        self.delivery
            .profiles
            .profile(
                connection,
                &self.outcome.world.namespace_labels,
                device_credentials(&self.outcome.world, name),
                now,
            )
            .await
            .map_err(|(_, message)| missing(message))
    }

    fn count(&self, role: &'static str, failure: Option<&Failure>, begun: Instant) {
        let code = failure.map_or_else(|| "Ok".to_owned(), |failure| format!("{:?}", failure.kind));
        self.delivery
            .context
            .metrics
            .remote_request(role, &code, begun.elapsed());
    }
}

enum Answer {
    Instance(Result<entente_domain::exchange::InstanceReading, Failure>),
    Server(Result<ServerAnswer, Failure>),
    Operation(Result<OperationState, Failure>),
    None,
}
