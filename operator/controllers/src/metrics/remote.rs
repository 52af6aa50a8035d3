//! The series of requests to remote sides, by Connection.
//!
//! Connections are few, so their names may be labels; devices are many, and have none. Decides which
//! series end: those of a Connection that is gone, at the next scrape, whatever was still under way
//! when it went. Written to by `delivery` (devices) and by `brokers` (service servers).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use entente_domain::remote::FailureKind;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::request_seconds;

/// Operation that a request asks of a remote side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RemoteOperation {
    /// Read a device.
    Read,
    /// Write a device.
    Write,
    /// Take a status report of a device.
    Status,
    /// Show messages on the panel of a device.
    Display,
    /// Subscribe to the notifications of a device, or renew or end that.
    Subscribe,
    /// Fetch the notifications of a device.
    FetchNotifications,
    /// Wait for notifications of a device, which holds its answer.
    AwaitNotifications,
    /// Read the catalog of a service server.
    Catalog,
    /// Read an instance.
    Fetch,
    /// Make an instance.
    Provision,
    /// Change an instance.
    Update,
    /// Poll an operation.
    Poll,
    /// Remove an instance.
    Deprovision,
    /// Look for orders at an order server.
    FindOrder,
    /// Place an order.
    PlaceOrder,
    /// Read an order.
    ReadOrder,
    /// Cancel an order.
    CancelOrder,
}

impl RemoteOperation {
    /// Returns the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Status => "status",
            Self::Display => "display",
            Self::Subscribe => "subscribe",
            Self::FetchNotifications => "fetch_notifications",
            Self::AwaitNotifications => "await_notifications",
            Self::Catalog => "catalog",
            Self::Fetch => "fetch",
            Self::Provision => "provision",
            Self::Update => "update",
            Self::Poll => "poll",
            Self::Deprovision => "deprovision",
            Self::FindOrder => "find_order",
            Self::PlaceOrder => "place_order",
            Self::ReadOrder => "read_order",
            Self::CancelOrder => "cancel_order",
        }
    }

    /// Returns the kind of remote side that it is asked of.
    pub fn role(self) -> &'static str {
        match self {
            Self::Read
            | Self::Write
            | Self::Status
            | Self::Display
            | Self::Subscribe
            | Self::FetchNotifications
            | Self::AwaitNotifications => "device",
            _ => "server",
        }
    }

    /// True if its duration says how long the remote side was asked to wait, and nothing of its speed.
    fn is_held(self) -> bool {
        self == Self::AwaitNotifications
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct RequestLabels {
    role: &'static str,
    connection: String,
    operation: &'static str,
    result: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct DurationLabels {
    role: &'static str,
    connection: String,
}

/// The series of every Connection to which a request was sent.
#[derive(Debug)]
pub(super) struct RemoteRequests {
    counts: Family<RequestLabels, Counter>,
    seconds: Family<DurationLabels, Histogram>,
    /// The labels that there are: a family cannot be asked for them.
    labels: Mutex<BTreeMap<String, BTreeSet<RequestLabels>>>,
}

impl Default for RemoteRequests {
    fn default() -> Self {
        Self {
            counts: Family::default(),
            seconds: Family::new_with_constructor(request_seconds),
            labels: Mutex::default(),
        }
    }
}

impl RemoteRequests {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Requests to devices and service servers, by Connection, operation and result";
        registry.register("remote_requests", text, self.counts.clone());
        let text = "How long a request to a device or a service server took";
        let (unit, series) = (Unit::Seconds, self.seconds.clone());
        registry.register_with_unit("remote_request_duration", text, unit, series);
    }

    /// Counts a request, with its failure and its duration.
    pub(super) fn count(
        &self,
        connection: &str,
        operation: RemoteOperation,
        failure: Option<FailureKind>,
        took: Duration,
    ) {
        let role = operation.role();
        let labels = RequestLabels {
            role,
            connection: connection.to_owned(),
            operation: operation.as_str(),
            result: failure.map_or_else(|| "Ok".to_owned(), |kind| format!("{kind:?}")),
        };
        if self.counts.get(&labels).is_none() {
            let mut known = self.labels();
            let known = known.entry(labels.connection.clone()).or_default();
            known.insert(labels.clone());
        }
        self.counts.get_or_create(&labels).inc();
        if operation.is_held() {
            return;
        }
        let labels = DurationLabels {
            role,
            connection: labels.connection,
        };
        self.seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Ends the series of the Connections that do not exist.
    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.labels().retain(|connection, known| {
            let stays = exists(connection);
            for labels in known.iter().filter(|_| !stays) {
                self.counts.remove(labels);
                self.seconds.remove(&DurationLabels {
                    role: labels.role,
                    connection: connection.clone(),
                });
            }
            stays
        });
    }

    fn labels(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<RequestLabels>>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
