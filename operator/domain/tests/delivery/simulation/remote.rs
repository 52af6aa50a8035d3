//! Actions against the simulated remote sides, and what the controller records of the answers.

use entente_domain::{
    assessment::{Class, class, reason_of_failure},
    delivery::{Action, Facts, ResolvedDevice},
    exchange::{Failure, FailureKind, OperationState},
    retry::{HoldKey, RetryPolicy},
};
use jiff::SignedDuration;

use super::{Simulation, objects, printer};

/// How long any request takes.
const REQUEST: SignedDuration = SignedDuration::from_millis(50);
/// How long a request takes that nobody answers.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

impl Simulation {
    pub(super) fn ask_device(&mut self, action: &Action, facts: &mut Facts) {
        let failed = match action {
            Action::ReadDevice { request } => {
                let result = self.printer.read(request);
                let failed = self.answered(result.as_ref().err(), false);
                facts.record_device(result, self.now);
                failed
            }
            Action::WriteDevice { write, items } => {
                let result = self.printer.write(write);
                let failed = self.answered(result.as_ref().err(), true);
                facts.record_write(items, &result, self.now);
                failed
            }
            _ => unreachable!("only what goes to the device"),
        };
        self.hold(HoldKey::Device, failed);
    }

    pub(super) fn read_catalogue(&mut self, connection: &str, facts: &mut Facts) {
        let result = self.brokers[connection].catalogue();
        let failed = self.answered(result.as_ref().err(), false);
        match result {
            Ok(catalogue) => {
                self.world
                    .catalogues
                    .insert(connection.to_owned(), catalogue);
            }
            Err(failure) => {
                facts
                    .catalogue_problems
                    .insert(connection.to_owned(), (self.now, failure));
            }
        }
        self.hold(
            HoldKey::Catalogue {
                connection: connection.to_owned(),
            },
            failed,
        );
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
        let mut wait = None;
        let failed = match action {
            Action::ReadInstance {
                instance,
                retrievable,
                ..
            } => {
                let result = broker.fetch(instance, *retrievable, now);
                let failed = self.answered(result.as_ref().err(), false);
                facts.record_instance(name, result, self.now);
                failed
            }
            Action::PollOperation { instance, .. } => {
                let result = broker.poll(instance, now);
                let failed = self.answered(result.as_ref().err(), false);
                let mut ended = None;
                match &result {
                    Ok(OperationState::InProgress { retry_after }) => {
                        wait = Some(retry_after.unwrap_or(self.poll));
                    }
                    // An operation that failed is tried again like a request that failed.
                    Ok(OperationState::Failed { message }) => {
                        ended = Some(printer::failure(FailureKind::ProtocolError, message, false));
                    }
                    _ => {}
                }
                facts.record_operation(name, result, self.now);
                failed.or(ended)
            }
            _ => {
                let result = match action {
                    Action::Provision {
                        instance,
                        parameters,
                        ..
                    } => broker.provision(instance, parameters, now),
                    Action::Update {
                        instance,
                        parameters,
                        ..
                    } => broker.update(instance, parameters, now),
                    Action::Deprovision { instance, .. } => broker.deprovision(instance, now),
                    _ => unreachable!("only what changes an instance"),
                };
                let failed = self.answered(result.as_ref().err(), true);
                facts.record_server(action, result, self.now);
                failed
            }
        };
        let key = HoldKey::Server {
            subscription: name.to_owned(),
        };
        if let Some(wait) = wait {
            // Between two polls is no failure, and no success either.
            self.holds.wait_until(key, self.now + wait);
        } else {
            self.hold(key, failed);
        }
    }

    /// Counts a request, lets its time pass, and gives its failure.
    fn answered(&mut self, failure: Option<&Failure>, sent: bool) -> Option<Failure> {
        self.requests += 1;
        self.sent += usize::from(sent);
        let silent = failure.is_some_and(|failure| failure.kind == FailureKind::TimedOut);
        self.now += if silent { TIMEOUT } else { REQUEST };
        if let Some(failure) = failure
            && let Some(line) = self.pass.last_mut()
        {
            line.push_str(&format!(" -> {:?}", failure.kind));
        }
        failure.cloned()
    }

    /// A failure holds a key back. A success lets it go only at the end of the pass: a read that is
    /// answered says nothing of the write that failed before and will fail again.
    fn hold(&mut self, key: HoldKey, failed: Option<Failure>) {
        match failed {
            Some(failure) => {
                if class(reason_of_failure(failure.kind)) == Class::Reconciling {
                    let policy = RetryPolicy::default();
                    self.holds
                        .fail(key.clone(), policy, failure.retry_after, 1.0, self.now);
                }
                self.answered.insert(key, false);
            }
            None => {
                self.answered.entry(key).or_insert(true);
            }
        }
    }
}
