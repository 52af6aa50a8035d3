//! Actions against the simulated remote sides: what they answer, and the time that it takes.

use std::{fmt::Write as _, sync::Arc};

use entente_domain::{
    delivery::{Action, Answer, Pass},
    remote::{DeviceReadRequest, DeviceWrite, Failure, FailureKind, ServerAnswer},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Broker, Simulation, objects,
    patience::{CATALOG, DEVICE, wish},
};

/// Duration of any request.
const REQUEST: SignedDuration = SignedDuration::from_millis(50);
/// Duration of a request that nobody answers.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

impl Simulation {
    pub(super) fn read_device(
        &mut self,
        connection: &str,
        request: &DeviceReadRequest,
        pass: &Pass,
    ) -> Answer {
        let url = device_url(pass, connection);
        self.assert_patience(&url, DEVICE);
        let result = self.printer.read(connection, request);
        let result = self.in_other_words(result, self.printer.chatters);
        self.answered(result.as_ref().err(), false);
        self.hear_wish(&url, DEVICE, wish(&result));
        Answer::DeviceRead {
            result,
            claimed_by_another: self.snapshot.claimed_by_another.get(connection).cloned(),
        }
    }

    pub(super) fn write_device(
        &mut self,
        connection: &str,
        write: &DeviceWrite,
        pass: &Pass,
    ) -> Answer {
        let url = device_url(pass, connection);
        self.assert_patience(&url, DEVICE);
        let result = self.printer.write(connection, write);
        let result = self.in_other_words(result, self.printer.chatters);
        self.answered(result.as_ref().err(), true);
        self.hear_wish(&url, DEVICE, wish(&result));
        Answer::DeviceWritten(result)
    }

    pub(super) fn read_catalog(&mut self, connection: &str) -> Answer {
        let url = self.broker_url(connection);
        self.assert_patience(&url, CATALOG);
        let broker = &self.brokers[connection];
        let result = self.in_other_words(broker.catalog(), broker.chatters);
        self.answered(result.as_ref().err(), false);
        self.hear_wish(&url, CATALOG, wish(&result));
        let result = result.map(Arc::from);
        if let Ok(catalog) = &result {
            let known = &mut self.snapshot.catalogs;
            known.insert(connection.into(), catalog.clone());
        }
        Answer::Catalog(result)
    }

    pub(super) fn ask_broker(&mut self, action: &Action, pass: &Pass) -> Answer {
        let name = objects::subscription_of(action);
        let server = pass
            .resolved()
            .subscription(name)
            .and_then(|entry| entry.server.as_ref())
            .expect("it has a server");
        let url = self.broker_url(&server.connection);
        let instance = server.instance_id.clone();
        self.assert_patience_with(&url, &instance, action);
        let broker = &self.brokers[server.connection.as_str()];
        let faults = crate::lint::plan_of(action, |id| broker.instances.get(id)?.told_plan());
        assert_eq!(faults, None, "{action:?}\n{}", self.story());
        let broker = self
            .brokers
            .get_mut(server.connection.as_str())
            .expect("its broker is simulated");
        let now = self.now;
        let chatters = broker.chatters;
        let answer = match action {
            Action::ReadInstance {
                instance,
                retrievable,
                ..
            } => {
                let result = broker.fetch(instance, *retrievable, now);
                let result = self.in_other_words(result, chatters);
                self.answered(result.as_ref().err(), false);
                Answer::Instance(result)
            }
            Action::PollOperation {
                instance,
                operation,
                ..
            } => {
                let was_told = broker.is_told(&instance.instance_id);
                let result = broker.poll(instance, now);
                if operation.is_none() && !was_told {
                    // It may be the end of another operation, which tells no plan.
                    broker.tell_nobody(&instance.instance_id);
                }
                let result = self.in_other_words(result, chatters);
                self.answered(result.as_ref().err(), false);
                Answer::Operation(result)
            }
            _ => {
                let result = change(broker, action, now);
                if let (Action::Update { to_plan, .. }, Err(failure)) = (action, &result)
                    && to_plan.is_some()
                    && (failure.doubtful || failure.kind == FailureKind::Concurrent)
                {
                    // It may have done it all the same, or be busy with this very move.
                    broker.tell_nobody(&instance);
                }
                let result = self.in_other_words(result, chatters);
                self.answered(result.as_ref().err(), true);
                Answer::Server(result)
            }
        };
        self.hear_of_instance(&url, &instance, &answer);
        answer
    }

    /// Adds the number of the request to the words of a failure, if its side does so.
    fn in_other_words<T>(&self, result: Result<T, Failure>, chatters: bool) -> Result<T, Failure> {
        result.map_err(|failure| Failure {
            message: if chatters {
                format!("{} (request {})", failure.message, self.requests)
            } else {
                failure.message
            },
            ..failure
        })
    }

    fn broker_url(&self, connection: &str) -> String {
        let known = &self.snapshot.connections[connection];
        let broker = known.spec.osb.as_ref().expect("it is a broker");
        broker.url.clone()
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
}

fn device_url(pass: &Pass, connection: &str) -> String {
    let endpoint = pass.resolved().endpoint(connection);
    endpoint.expect("it can be reached").url.clone()
}

/// Sends a request that changes an instance.
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
