//! The gateway that devices call: HTTP around the decisions of `entente_domain::gateway`.
//!
//! It reads objects from caches of its own, lets the domain decide, and writes statuses of DeviceTwins,
//! twins that wait, and Devices of enrolments that make them; nothing else. It must never answer an
//! empty list because something could not be read (C13), and never log a token, a secret or a text of a
//! device that is not quoted and bounded. It holds no truth: any number of replicas serve at once.
//! Called by the binary, which gives it TLS.

mod activations;
mod answers;
mod artifacts;
mod availability;
mod bodies;
mod calls;
mod credentials;
mod ddi;
mod enrollments;
mod events;
mod held;
mod objects;
mod region;
mod registrations;
mod reports;
mod router;
mod services;
mod statuses;
#[cfg(test)]
mod tests;
mod twins;
mod wakes;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use entente_controllers::{
    cache::Key, clock::Clock, connection_profiles::ConnectionProfiles, liveness::Liveness,
    metrics::Metrics, readiness::Readiness, secrets::Secrets, shutdown::Shutdown,
};
use entente_crds::v1alpha1::{AgentEndpoint, Connection};
use entente_domain::gateway::limits::{Buckets, Limit};
use entente_drivers::Fetcher;
use kube::Client;
use tokio::{sync::Semaphore, time::Instant};

use self::{
    artifacts::Artifacts, availability::Availability, events::Events, objects::Objects,
    wakes::Wakes,
};

/// Name of the caches of the gateway in `/readyz`.
pub const COMPONENT: &str = "caches";

/// Options of the gateway, from flags.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the Connection of protocol Agent that it serves.
    pub connection: String,
    /// Its own namespace.
    pub namespace: String,
    /// The namespaces that are served; none: all.
    pub served: Vec<String>,
    /// Number of requests that are held at once; one more is answered at once.
    pub held: usize,
    /// Requests of an address in a second; zero: any number.
    pub of_address: u32,
    /// Requests of a device in a second; zero: any number.
    pub of_device: u32,
    /// True if it is served without TLS, on loopback: links lead to the address that was dialled.
    pub plain: bool,
    /// Directory of artifacts, which are fetched again when it is lost.
    pub artifacts: PathBuf,
    /// Most bytes that it may have.
    pub artifact_bytes: u64,
    /// Time between the signal that it leaves and its shutdown.
    pub drain: Duration,
}

/// Parts of the process that the gateway shares.
#[derive(Clone)]
pub struct Parts {
    /// The Kubernetes API.
    pub client: Client,
    /// The wall clock, by which devices count every instant.
    pub clock: Arc<dyn Clock>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Components that are not ready yet.
    pub readiness: Arc<Readiness>,
    /// Tasks that do not run any more.
    pub liveness: Arc<Liveness>,
    /// Fetches artifacts from servers of vendors.
    pub fetcher: Fetcher,
    /// Flags.
    pub options: Options,
}

/// The gateway. Shared by an [`Arc`] between its requests.
pub struct Gateway {
    parts: Parts,
    objects: Objects,
    secrets: Arc<Secrets>,
    profiles: ConnectionProfiles,
    artifacts: Arc<Artifacts>,
    events: Arc<Events>,
    wakes: Wakes,
    availability: Availability,
    of_addresses: Mutex<Buckets<std::net::IpAddr>>,
    of_devices: Mutex<Buckets<Key>>,
    held: Arc<Semaphore>,
    began: Instant,
    leaving: Shutdown,
    shutdown: Shutdown,
}

impl Gateway {
    /// Returns a gateway that knows nothing yet: it has to [run](Self::run). While it is leaving it works
    /// as before, but for requests that are held, which it answers.
    pub fn new(parts: Parts, leaving: Shutdown, shutdown: Shutdown) -> Arc<Self> {
        let options = &parts.options;
        let secrets = Secrets::new(parts.client.clone(), options.namespace.clone());
        let secrets = Arc::new(secrets);
        let artifacts = Artifacts::new(
            options.artifacts.clone(),
            options.artifact_bytes,
            parts.fetcher.clone(),
            Arc::clone(&parts.metrics),
        );
        Arc::new(Self {
            objects: Objects::new(&parts),
            profiles: ConnectionProfiles::new(Arc::clone(&secrets)),
            secrets,
            artifacts,
            events: Arc::new(Events::new(parts.fetcher.poster())),
            wakes: Wakes::default(),
            availability: Availability::new(),
            of_addresses: Mutex::new(Buckets::new(Limit::of_address(options.of_address))),
            of_devices: Mutex::new(Buckets::new(Limit::of_device(options.of_device))),
            held: Arc::new(Semaphore::new(options.held)),
            began: Instant::now(),
            leaving,
            shutdown,
            parts,
        })
    }

    /// Keeps its caches until the shutdown is requested.
    pub async fn run(self: &Arc<Self>) {
        self.objects.start(&self.parts, &self.shutdown);
        wakes::start(self);
        availability::start(self);
        tokio::select! {
            () = self.ready() => self.parts.readiness.set_ready(COMPONENT),
            () = self.shutdown.requested() => {}
        }
        self.shutdown.requested().await;
    }

    /// Waits until it knows enough to answer by. From then on it is sent requests.
    async fn ready(&self) {
        self.objects.ready().await;
        self.availability.heard().await;
    }

    /// Returns the routes. A request has to have the address of its sender as an extension
    /// (`ConnectInfo`); without one it is not limited.
    pub fn router(self: &Arc<Self>) -> Router {
        router::router(self)
    }

    /// Returns the Connection that it serves, as it was read last.
    fn connection(&self) -> Option<Arc<Connection>> {
        let key = Key::new("", &*self.parts.options.connection);
        self.objects.connections.get(&key)
    }

    /// Looks at the part of that Connection that is about devices that call, if there is one.
    fn with_agent<T>(&self, look: impl FnOnce(&AgentEndpoint) -> T) -> Option<T> {
        self.connection()?.spec.agent.as_ref().map(look)
    }

    /// Returns the time since it began, in milliseconds of the monotonic clock.
    fn milliseconds(&self) -> u64 {
        let passed: Duration = self.began.elapsed();
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }
}
