//! A fake of devices and service servers in memory, for tests.
//!
//! Answers both driver traits, keeps a ledger of every call, and takes faults by script. Never
//! opens a socket, and sleeps on tokio's clock alone, so a paused clock makes it instant. Used by
//! the tests of every crate above; never part of a shipped binary (feature `fake`).

mod device;
mod orders;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_domain::protocol::Place;
use entente_domain::remote::{Catalog, Failure, FailureKind, PrinterEvent, Scalar, StatusReport};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

pub use self::orders::FakeOrderServer;

/// Operation that a call requested: one for each method of the two traits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Operation {
    /// `DeviceDriver::observe`.
    DeviceObserve,
    /// `DeviceDriver::apply`.
    DeviceApply,
    /// `DeviceDriver::status`.
    DeviceStatus,
    /// `DeviceDriver::display`.
    DeviceDisplay,
    /// `DeviceDriver::notifications` of a question.
    NotificationsAsk,
    /// `DeviceDriver::notifications` of a change.
    NotificationsChange,
    /// `ServiceDriver::catalog`.
    Catalog,
    /// `ServiceDriver::observe`.
    InstanceObserve,
    /// `ServiceDriver::provision`.
    Provision,
    /// `ServiceDriver::update`.
    Update,
    /// `ServiceDriver::last_operation`.
    LastOperation,
    /// `ServiceDriver::deprovision`.
    Deprovision,
    /// `OrderDriver::send` of a search.
    OrderFind,
    /// `OrderDriver::send` of an order.
    OrderPlace,
    /// `OrderDriver::send` of a look at an order or an operation.
    OrderRead,
    /// `OrderDriver::send` of a cancellation.
    OrderCancel,
}

impl Operation {
    /// True if the call means to change the remote side.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::DeviceApply
                | Self::DeviceDisplay
                | Self::NotificationsChange
                | Self::Provision
                | Self::Update
                | Self::Deprovision
                | Self::OrderPlace
                | Self::OrderCancel
        )
    }
}

/// Fault of one call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The call fails in this way and nothing is done.
    Fail {
        /// The kind of the failure.
        kind: FailureKind,
        /// Wait that the remote side asks for.
        retry_after: Option<SignedDuration>,
        /// True if the failure leaves a doubt (with nothing done all the same).
        doubtful: bool,
    },
    /// Nothing is done and no answer comes: `TimedOut` after the request timeout, doubtful for
    /// a call that writes.
    Hang,
    /// It is done, but the answer is lost: `TimedOut`, doubtful for a call that writes.
    LoseAnswer,
    /// Success is reported and nothing is done.
    AcceptWithoutEffect,
    /// The server answers `UnderWay` and is done when it was polled this many times.
    Async {
        /// Number of times that `last_operation` returns `InProgress`.
        polls: u32,
    },
    /// As `Async`, but it ends as `Failed` and nothing is done.
    AsyncFails {
        /// Number of times that `last_operation` returns `InProgress`.
        polls: u32,
        /// The server's words.
        message: String,
    },
    /// The instance cannot be fetched (for `InstanceObserve`).
    NotRetrievable,
    /// The parameters are not returned (`InstanceObserve`) or not kept (`Provision`, `Update`).
    DropParameters,
    /// The driver panics and nothing is done: a defect of ours.
    Panic,
}

impl Fault {
    /// Returns the fault of a failure without doubt and without a wait.
    pub fn fail(kind: FailureKind) -> Self {
        Self::Fail {
            kind,
            retry_after: None,
            doubtful: false,
        }
    }
}

/// A device in memory.
#[derive(Clone, Debug, Default)]
pub struct FakeDevice {
    /// The name of its model.
    pub product_name: Option<String>,
    /// Identity that it reports.
    pub identity: Option<String>,
    /// The SHA-256 of its certificate, for `ipps`.
    pub certificate_sha256: Option<String>,
    /// Its values; a place that is not here is not supported.
    pub values: BTreeMap<Place, Vec<Scalar>>,
    /// Attributes for which it reports success and does nothing, for ever.
    pub ignored: BTreeSet<String>,
    /// Attributes that it refuses, for ever, with the kind of failure. The whole group is refused
    /// with them.
    pub refused: BTreeMap<String, FailureKind>,
    /// The status report that it gives; its panel, if it has one, shows what was sent.
    pub report: StatusReport,
    /// Its notifications, if it has some.
    pub notifications: Option<FakeNotifications>,
}

/// Notifications of a device in memory.
#[derive(Clone, Debug, Default)]
pub struct FakeNotifications {
    /// The printer subscriptions that there are.
    pub subscriptions: BTreeSet<i32>,
    /// Id of the last one that was made.
    pub last: i32,
    /// The events that happened, each with its number from 1 on.
    pub events: Vec<PrinterEvent>,
    /// Wait that it names in each answer with events.
    pub interval: Option<SignedDuration>,
    /// Time for which it holds an answer that is waited for; an event that comes meanwhile ends it.
    pub holds_for: Option<Duration>,
}

/// A service server in memory.
#[derive(Clone, Debug, Default)]
pub struct FakeServer {
    /// Retry-After of the answers about an operation under way.
    pub poll_after: Option<SignedDuration>,
    /// Catalog that it serves.
    pub catalog: Catalog,
    /// Its instances, by instance id.
    pub instances: BTreeMap<String, FakeInstance>,
}

/// An instance on a service server in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FakeInstance {
    /// The offering.
    pub service_id: String,
    /// The plan.
    pub plan_id: String,
    /// The parameters in effect.
    pub parameters: Map<String, Value>,
    /// True if it is there; `false` while it is still being made.
    pub present: bool,
    /// Operation under way.
    pub pending: Option<Pending>,
}

/// An operation that is under way on a service server in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The server's id of it.
    pub operation: String,
    /// Number of times that `last_operation` will still return `InProgress`.
    pub polls: u32,
    /// End of the operation.
    pub end: PendingEnd,
}

/// End of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum PendingEnd {
    /// The instance is there with these parameters.
    Present(Map<String, Value>),
    /// The instance is gone.
    Removed,
    /// Nothing is done.
    Failed(String),
}

/// One call, as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The instant on the clock of the simulation.
    pub at: Timestamp,
    /// The instant on tokio's clock.
    pub instant: tokio::time::Instant,
    /// The name of the Connection.
    pub connection: String,
    /// The URL that was called.
    pub url: String,
    /// Operation that it requested.
    pub operation: Operation,
    /// The device's URL or the instance's id.
    pub key: String,
    /// Attributes asked for (`null`) or set; parameters; the context under `context`.
    pub values: Map<String, Value>,
}

type ClockFunction = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The simulated remote sides. Shared by an `Arc` between the test and the drivers.
pub struct World {
    clock: ClockFunction,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    devices: BTreeMap<String, FakeDevice>,
    servers: BTreeMap<String, FakeServer>,
    order_servers: BTreeMap<String, FakeOrderServer>,
    faults: Vec<Script>,
    latency: BTreeMap<Option<String>, Duration>,
    ledger: Vec<Call>,
    operations: u64,
}

struct Script {
    url: Option<String>,
    operation: Operation,
    fault: Fault,
    left: u32,
}

impl Default for World {
    fn default() -> Self {
        Self::with_clock(Timestamp::now)
    }
}

impl World {
    /// Returns an empty world on the wall clock.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Returns an empty world whose ledger reads this clock.
    pub fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a device at this URL, in place of any other.
    pub fn put_device(&self, url: &str, device: FakeDevice) {
        self.state().devices.insert(url.to_owned(), device);
    }

    /// Removes the device at this URL: it is `Unreachable` from now on.
    pub fn remove_device(&self, url: &str) -> Option<FakeDevice> {
        self.state().devices.remove(url)
    }

    /// Returns the device at this URL as it is now.
    pub fn device(&self, url: &str) -> Option<FakeDevice> {
        self.state().devices.get(url).cloned()
    }

    /// Changes the device at this URL without a request; returns false if there is none.
    pub fn change_device(&self, url: &str, change: impl FnOnce(&mut FakeDevice)) -> bool {
        self.state().devices.get_mut(url).map(change).is_some()
    }

    /// Puts a service server at this URL, in place of any other.
    pub fn put_server(&self, url: &str, server: FakeServer) {
        self.state().servers.insert(url.to_owned(), server);
    }

    /// Removes the server at this URL: it is `Unreachable` from now on.
    pub fn remove_server(&self, url: &str) -> Option<FakeServer> {
        self.state().servers.remove(url)
    }

    /// Returns the server at this URL as it is now.
    pub fn server(&self, url: &str) -> Option<FakeServer> {
        self.state().servers.get(url).cloned()
    }

    /// Changes the server at this URL without a request; returns false if there is none.
    pub fn change_server(&self, url: &str, change: impl FnOnce(&mut FakeServer)) -> bool {
        self.state().servers.get_mut(url).map(change).is_some()
    }

    /// Returns an instance as it is now.
    pub fn instance(&self, url: &str, instance_id: &str) -> Option<FakeInstance> {
        self.state()
            .servers
            .get(url)?
            .instances
            .get(instance_id)
            .cloned()
    }

    /// Gives a fault to each of the next `times` calls of this operation; at this URL, or anywhere.
    /// Faults are met in the order in which they were scripted.
    pub fn script(&self, url: Option<&str>, operation: Operation, fault: Fault, times: u32) {
        let url = url.map(str::to_owned);
        self.state().faults.push(Script {
            url,
            operation,
            fault,
            left: times,
        });
    }

    /// Forgets all faults that were not met yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Sets the duration of every answer; of this URL, or of all that have none of their own.
    pub fn set_latency(&self, url: Option<&str>, latency: Duration) {
        self.state().latency.insert(url.map(str::to_owned), latency);
    }

    /// Returns every call so far, in the order of arrival.
    pub fn ledger(&self) -> Vec<Call> {
        self.state().ledger.clone()
    }

    /// Returns the number of calls of this operation.
    pub fn count(&self, operation: Operation) -> usize {
        self.state()
            .ledger
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    /// Forgets the calls so far.
    pub fn clear_ledger(&self) {
        self.state().ledger.clear();
    }

    /// Records a call, waits as long as the answer takes, and returns the fault that it meets.
    async fn arrive(
        &self,
        connection: &str,
        url: &str,
        operation: Operation,
        key: &str,
        values: Map<String, Value>,
    ) -> Option<Fault> {
        let at = (self.clock)();
        let (fault, latency) = {
            let mut state = self.state();
            state.ledger.push(Call {
                at,
                instant: tokio::time::Instant::now(),
                connection: connection.to_owned(),
                url: url.to_owned(),
                operation,
                key: key.to_owned(),
                values,
            });
            (state.next_fault(url, operation), state.latency_of(url))
        };
        if let Some(latency) = latency {
            tokio::time::sleep(latency).await;
        }
        fault
    }
}

impl State {
    fn next_fault(&mut self, url: &str, operation: Operation) -> Option<Fault> {
        let position = self.faults.iter().position(|script| {
            script.operation == operation && script.url.as_deref().is_none_or(|u| u == url)
        })?;
        let script = &mut self.faults[position];
        script.left = script.left.saturating_sub(1);
        if script.left == 0 {
            return Some(self.faults.remove(position).fault);
        }
        Some(script.fault.clone())
    }

    fn latency_of(&self, url: &str) -> Option<Duration> {
        self.latency
            .get(&Some(url.to_owned()))
            .or_else(|| self.latency.get(&None))
            .copied()
    }
}

/// Faults that end a call before anything is done; the others are left to the call.
#[allow(clippy::panic, reason = "a test scripted it")]
async fn early_end(
    fault: Option<&Fault>,
    operation: Operation,
    request_timeout: Duration,
) -> Option<Failure> {
    match fault? {
        Fault::Fail {
            kind,
            retry_after,
            doubtful,
        } => Some(Failure {
            retry_after: *retry_after,
            doubtful: *doubtful,
            ..Failure::new(*kind, "scripted")
        }),
        Fault::Hang => {
            tokio::time::sleep(request_timeout).await;
            Some(lost_answer(operation))
        }
        Fault::Panic => panic!("scripted"),
        _ => None,
    }
}

fn lost_answer(operation: Operation) -> Failure {
    Failure {
        doubtful: operation.writes(),
        ..Failure::new(FailureKind::TimedOut, "no answer came in time")
    }
}
