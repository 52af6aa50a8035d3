//! Actions against the simulated remote sides, and what the controller records of the answers.

use std::fmt::Write as _;

use entente_domain::{
    assessment::{Retry, retry},
    delivery::{Action, Facts, ResolvedDevice},
    exchange::{Failure, FailureKind, OperationState, ServerAnswer},
    retry::{HoldKey, RetryPolicy},
};
use jiff::{SignedDuration, Timestamp};

use super::{Broker, Simulation, objects, printer};

/// How long any request takes.
const REQUEST: SignedDuration = SignedDuration::from_millis(50);
/// How long a request takes that nobody answers.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

impl Simulation {
    pub(super) fn ask_device(&mut self, action: &Action, facts: &mut Facts) {
        match action {
            Action::ReadDevice { request } => {
                let result = self.printer.read(request);
                self.answered(result.as_ref().err(), false);
                self.hold(HoldKey::Device, result.as_ref().map(|_| true));
                facts.record_device(result, self.now);
            }
            Action::WriteDevice { write, items } => {
                let result = self.printer.write(write);
                self.answered(result.as_ref().err(), true);
                self.hold(HoldKey::Device, result.as_ref().map(|()| false));
                facts.record_write(items, &result, self.now);
            }
            _ => unreachable!("only what goes to the device"),
        }
    }

    pub(super) fn read_catalogue(&mut self, connection: &str, facts: &mut Facts) {
        let result = self.brokers[connection].catalogue();
        self.answered(result.as_ref().err(), false);
        let key = HoldKey::Catalogue {
            connection: connection.to_owned(),
        };
        self.hold(key, result.as_ref().map(|_| true));
        match result {
            Ok(catalogue) => {
                self.world
                    .catalogues
                    .insert(connection.to_owned(), catalogue.into());
            }
            Err(failure) => {
                facts
                    .catalogue_problems
                    .insert(connection.to_owned(), (self.now, failure));
            }
        }
    }

    pub(super) fn ask_broker(
        &mut self,
        action: &Action,
        resolved: &ResolvedDevice,
        facts: &mut Facts,
    ) {
        let name = objects::subscription_of(action);
        let server = resolved
            .subscriptions
            .iter()
            .find(|entry| entry.name == name);
        let connection = server
            .and_then(|entry| entry.server.as_ref())
            .expect("it has a server");
        let broker = self
            .brokers
            .get_mut(&connection.connection)
            .expect("its broker is simulated");
        let now = self.now;
        let key = HoldKey::Server {
            subscription: name.to_owned(),
        };
        match action {
            Action::ReadInstance {
                instance,
                retrievable,
                ..
            } => {
                let result = broker.fetch(instance, *retrievable, now);
                self.answered(result.as_ref().err(), false);
                self.hold(key, result.as_ref().map(|_| false));
                facts.record_instance(name, result, self.now);
            }
            Action::PollOperation { instance, .. } => {
                let result = broker.poll(instance, now);
                self.answered(result.as_ref().err(), false);
                self.hold_operation(key, &result);
                facts.record_operation(name, result, self.now);
            }
            _ => {
                let result = change(broker, action, now);
                self.answered(result.as_ref().err(), true);
                match &result {
                    Ok(ServerAnswer::UnderWay { .. }) => {
                        self.holds.wait_until(key, self.now + self.poll);
                    }
                    other => self.hold(key, other.as_ref().map(|_| true)),
                }
                facts.record_server(action, result, self.now);
            }
        }
    }

    fn hold_operation(&mut self, key: HoldKey, result: &Result<OperationState, Failure>) {
        match result {
            Ok(OperationState::InProgress { retry_after }) => {
                let wait = retry_after.unwrap_or(self.poll);
                self.holds.wait_until(key, self.now + wait);
            }
            // An operation that failed is tried again like a request that failed.
            Ok(OperationState::Failed { message }) => {
                let failure = printer::failure(FailureKind::ProtocolError, message, false);
                self.hold(key, Err(&failure));
            }
            Ok(OperationState::Succeeded | OperationState::Gone) => self.hold(key, Ok(true)),
            Err(failure) => self.hold(key, Err(failure)),
        }
    }

    /// Counts a request and lets its time pass.
    fn answered(&mut self, failure: Option<&Failure>, sent: bool) {
        self.requests += 1;
        self.sent += usize::from(sent);
        let silent = failure.is_some_and(|failure| failure.kind == FailureKind::TimedOut);
        self.now += if silent { TIMEOUT } else { REQUEST };
        if let Some(failure) = failure
            && let Some(line) = self.pass.last_mut()
        {
            let _ = write!(line, " -> {:?}", failure.kind);
        }
    }

    /// A failure that may heal holds a key back; a success lets it go where it says so.
    fn hold(&mut self, key: HoldKey, result: Result<bool, &Failure>) {
        match result {
            Ok(true) => self.holds.clear(&key),
            Err(failure) if retry(failure.kind, failure.doubtful) != Retry::Never => {
                let policy = RetryPolicy::default();
                self.holds
                    .fail(key, policy, failure.retry_after, 1.0, self.now);
            }
            Ok(false) | Err(_) => {}
        }
    }
}

/// A request that changes an instance.
fn change(broker: &mut Broker, action: &Action, now: Timestamp) -> Result<ServerAnswer, Failure> {
    match action {
        Action::Provision {
            instance,
            parameters,
            ..
        } => broker.provision(instance, &parameters.exposed(), now),
        Action::Update {
            instance,
            to_plan,
            parameters,
            ..
        } => broker.update(instance, to_plan.as_ref(), &parameters.exposed(), now),
        Action::Deprovision { instance, .. } => broker.deprovision(instance, now),
        _ => unreachable!("only what changes an instance"),
    }
}
