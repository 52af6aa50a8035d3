//! The artifact service: files of vendors that devices read from the gateway alone.
//!
//! A file is fetched once, however many devices wait for it, compared with the SHA-256 that the model
//! names, and only then served, from the disk of this replica. So no device gets a byte of a file that
//! is not the agreed one, also none that puts a file together of several ranges
//! (docs/adr/0046-an-artifact-is-verified-before-it-is-served.md). A fetch goes on when everyone who
//! waited has left. Memory and disk are bounded, whatever a vendor sends. Called by the routes of DDI.

pub(crate) mod disk;
mod download;
pub(crate) mod hashing;
mod serve;

use std::{
    collections::HashMap,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use entente_controllers::metrics::Metrics;
use entente_crds::v1alpha1::ArtifactFault;
use entente_domain::gateway::{
    artifacts::wait,
    unavailable::{Look, Unavailable},
};
use entente_drivers::{ConnectionProfile, Fetcher};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::spawn_blocking,
    time::{Instant, timeout},
};
use url::Url;

pub(crate) use self::{disk::Verified, download::Fault, serve::serve};
use self::{
    disk::{Disk, NoRoom},
    download::{download, of_disk},
    hashing::digests,
};

/// Downloads at once; the others wait.
const DOWNLOADS: usize = 4;
/// Devices that read a file at once: each takes some 300 KiB; the others wait.
pub(crate) const READERS: usize = 256;
/// Number of faults that are remembered.
const MOST_FAULTS: usize = 1024;
/// Seconds after which a device comes again for a file that is on its way.
const AGAIN: u32 = 10;
/// Seconds after which a device comes again whose file nobody can have until somebody edits something.
pub(crate) const UNTIL_AN_EDIT: u32 = 300;

/// A file that a model names.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    /// The URL as the model spells it.
    pub(crate) spelt: String,
    pub(crate) url: Url,
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

impl Artifact {
    /// Reads what a model names; `None` if it cannot be fetched by anybody.
    pub(crate) fn of(artifact: &entente_crds::v1alpha1::Artifact) -> Option<Self> {
        Some(Self {
            spelt: artifact.url.clone(),
            url: Url::parse(&artifact.url).ok()?,
            sha256: artifact.sha256.clone(),
            size: u64::try_from(artifact.size).ok()?,
        })
    }
}

impl Artifact {
    /// Returns the words for a fault that was met through a Connection.
    fn unavailable(&self, connection: &str, fault: &Fault) -> Unavailable {
        let is_gone = fault.reason == ArtifactFault::NoConnection;
        Unavailable {
            reason: fault.reason,
            url: self.spelt.clone(),
            connection: (!is_gone).then(|| connection.to_owned()),
            detail: fault.message.clone(),
        }
    }
}

/// Reason for which a file is not there.
#[derive(Clone, Debug)]
pub(crate) enum Missing {
    /// It is on its way; seconds after which to come again.
    Later(u32),
    /// It could not be had; seconds after which somebody asks for it again.
    Faulty(u32, Box<Unavailable>),
}

impl Missing {
    /// Returns the seconds after which to come again.
    pub(crate) fn seconds(&self) -> u32 {
        match self {
            Self::Later(seconds) | Self::Faulty(seconds, _) => *seconds,
        }
    }

    /// Returns the words for the status of a twin.
    pub(crate) fn look(&self) -> Look<'_> {
        match self {
            Self::Later(_) => Look::OnItsWay,
            Self::Faulty(_, fault) => Look::Unavailable(fault),
        }
    }
}

enum State {
    /// A fetch is under way; the sender is dropped at its end.
    UnderWay(watch::Receiver<()>),
    /// It failed so many times; nobody asks again before the instant.
    Failed {
        failures: u32,
        until: Instant,
        fault: Box<Unavailable>,
    },
}

/// The artifact service of one process. Shared by an [`Arc`].
pub(crate) struct Artifacts {
    disk: Arc<Disk>,
    fetcher: Fetcher,
    states: Mutex<HashMap<String, State>>,
    downloads: Semaphore,
    readers: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Artifacts {
    /// Returns the service over a directory, which may have so many bytes.
    pub(crate) fn new(
        directory: PathBuf,
        bound: u64,
        fetcher: Fetcher,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let disk = Disk::open(directory, bound);
        metrics.artifact_bytes(disk.taken());
        Arc::new(Self {
            disk,
            fetcher,
            states: Mutex::default(),
            downloads: Semaphore::new(DOWNLOADS),
            readers: Arc::new(Semaphore::new(READERS)),
            metrics,
        })
    }

    fn states(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a file that was compared. Otherwise begins to fetch it, if nobody does and its wait is
    /// over, and waits for the end of that for at most `patience`. `profile` is the Connection of this
    /// name, through which it is fetched.
    pub(crate) async fn get<P>(
        self: &Arc<Self>,
        artifact: &Artifact,
        patience: Duration,
        (connection, profile): (&str, impl FnOnce() -> P),
    ) -> Result<Verified, Missing>
    where
        P: Future<Output = Result<Arc<ConnectionProfile>, Fault>> + Send + 'static,
    {
        if let Some(verified) = self.disk.get(&artifact.sha256) {
            return self.of_size(verified, artifact, connection);
        }
        let mut ended = self.begin(artifact, connection, profile)?;
        if timeout(patience, ended.changed()).await.is_err() {
            return Err(Missing::Later(AGAIN));
        }
        match self.disk.get(&artifact.sha256) {
            Some(verified) => self.of_size(verified, artifact, connection),
            None => Err(self.missing(artifact, connection)),
        }
    }

    /// Waits for a place among the devices that read a file, for at most `patience`.
    pub(crate) async fn place(&self, patience: Duration) -> Result<OwnedSemaphorePermit, Missing> {
        let place = Arc::clone(&self.readers).acquire_owned();
        match timeout(patience, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Missing::Later(AGAIN)),
        }
    }

    fn missing(&self, artifact: &Artifact, connection: &str) -> Missing {
        match self.states().get(&artifact.sha256) {
            Some(State::Failed { until, fault, .. }) => {
                let fault = fault.seen_by(&artifact.spelt, connection);
                Missing::Faulty(seconds_until(*until), Box::new(fault))
            }
            _ => Missing::Later(AGAIN),
        }
    }

    /// Returns a file, if it has the length that the model names: another one would never end for a
    /// device.
    fn of_size(
        &self,
        verified: Verified,
        artifact: &Artifact,
        connection: &str,
    ) -> Result<Verified, Missing> {
        if verified.size == artifact.size {
            return Ok(verified);
        }
        let (found, size) = (verified.size, artifact.size);
        tracing::warn!(
            found,
            size,
            "artifact.size of a model is not the length of the file"
        );
        let message = format!("it has {found} bytes, and artifact.size of the model is {size}");
        let fault = Fault::new(ArtifactFault::WrongSize, message);
        self.metrics.artifact_fetch(fault.reason.as_str());
        let fault = artifact.unavailable(connection, &fault);
        Err(Missing::Faulty(UNTIL_AN_EDIT, Box::new(fault)))
    }

    /// Begins a fetch, or joins the one that is under way.
    fn begin<P>(
        self: &Arc<Self>,
        artifact: &Artifact,
        connection: &str,
        profile: impl FnOnce() -> P,
    ) -> Result<watch::Receiver<()>, Missing>
    where
        P: Future<Output = Result<Arc<ConnectionProfile>, Fault>> + Send + 'static,
    {
        let mut states = self.states();
        let failures = match states.get(&artifact.sha256) {
            Some(State::UnderWay(ended)) => return Ok(ended.clone()),
            Some(State::Failed { until, fault, .. }) if *until > Instant::now() => {
                let fault = fault.seen_by(&artifact.spelt, connection);
                return Err(Missing::Faulty(seconds_until(*until), Box::new(fault)));
            }
            Some(State::Failed { failures, .. }) => *failures,
            None => 0,
        };
        let (end, ended) = watch::channel(());
        let state = State::UnderWay(ended.clone());
        states.insert(artifact.sha256.clone(), state);
        drop(states);
        let (service, artifact) = (Arc::clone(self), artifact.clone());
        let fetching = Fetching {
            service,
            artifact: artifact.clone(),
            connection: connection.to_owned(),
            failures,
            _end: end,
        };
        let profile = profile();
        tokio::spawn(async move { fetching.run(profile).await });
        Ok(ended)
    }

    /// Makes a file usable: one that is on the disk already, or one that is fetched.
    async fn bring(
        &self,
        artifact: &Artifact,
        profile: impl Future<Output = Result<Arc<ConnectionProfile>, Fault>>,
    ) -> Result<(), Fault> {
        let _place = self.downloads.acquire().await;
        // Another fetch may have ended between the look at the disk and the beginning of this one.
        if self.disk.get(&artifact.sha256).is_some() || self.compare(&artifact.sha256).await {
            return Ok(());
        }
        let profile = profile.await?;
        let room = self.disk.reserve(artifact.size).map_err(|none| {
            let message = match none {
                NoRoom::TooLong(bound) => format!(
                    "it has {} bytes, and all artifacts of the gateway together may have {bound}",
                    artifact.size
                ),
                NoRoom::InUse => "files that devices are reading take all the room".to_owned(),
            };
            Fault::new(ArtifactFault::NoRoom, message)
        })?;
        let count = |bytes: usize| self.metrics.artifact_fetched(bytes as u64);
        let fetched = download(&self.fetcher, &profile, artifact, &room, count).await;
        if fetched
            .as_ref()
            .is_err_and(|fault| fault.reason == ArtifactFault::DiskFull)
        {
            self.disk.give_up_one();
        }
        room.keep(fetched?).map_err(|error| of_disk(&error))
    }

    /// Compares a file that a process before this one has left. True if it is the file.
    async fn compare(&self, sha256: &str) -> bool {
        let Some(path) = self.disk.left_behind(sha256) else {
            return false;
        };
        let read = spawn_blocking(move || File::open(path).and_then(digests)).await;
        let found = read.ok().and_then(Result::ok);
        let found = found.filter(|digests| digests.sha256 == sha256);
        let is_it = found.is_some();
        if !is_it {
            tracing::warn!(
                sha256,
                "a file of a process before is not the artifact it was"
            );
        }
        self.disk.compared(sha256, found);
        is_it
    }
}

/// A fetch that is under way. Its end is told when it is dropped, also after a panic.
struct Fetching {
    service: Arc<Artifacts>,
    artifact: Artifact,
    connection: String,
    failures: u32,
    _end: watch::Sender<()>,
}

impl Fetching {
    async fn run(mut self, profile: impl Future<Output = Result<Arc<ConnectionProfile>, Fault>>) {
        let service = Arc::clone(&self.service);
        let begun = Instant::now();
        let artifact = self.artifact.clone();
        let brought = service.bring(&artifact, profile).await;
        let (host, sha256) = (artifact.url.host_str(), &artifact.sha256);
        service.metrics.artifact_bytes(service.disk.taken());
        match brought {
            Ok(()) => {
                let seconds = begun.elapsed().as_secs_f32();
                tracing::info!(
                    host,
                    sha256,
                    seconds,
                    bytes = artifact.size,
                    "an artifact is there"
                );
                service.metrics.artifact_fetch("Fetched");
                self.failures = 0;
            }
            Err(fault) => {
                let (outcome, problem) = (fault.reason.as_str(), &fault.message);
                tracing::warn!(host, sha256, outcome, problem, "an artifact cannot be had");
                service.metrics.artifact_fetch(outcome);
                self.fail(&fault);
            }
        }
    }

    fn fail(&mut self, fault: &Fault) {
        self.failures = self.failures.saturating_add(1);
        let wait = Duration::try_from(wait(self.failures, fault.retry_after)).unwrap_or_default();
        let until = Instant::now() + wait;
        let mut states = self.service.states();
        if states.len() >= MOST_FAULTS {
            let now = Instant::now();
            states.retain(|_, state| match state {
                State::UnderWay(_) => true,
                State::Failed { until, .. } => *until > now,
            });
        }
        let failed = State::Failed {
            failures: self.failures,
            until,
            fault: Box::new(self.artifact.unavailable(&self.connection, fault)),
        };
        states.insert(self.artifact.sha256.clone(), failed);
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let is_under_way = |state: &State| matches!(state, State::UnderWay(_));
        let mut states = self.service.states();
        if !states.get(&self.artifact.sha256).is_some_and(is_under_way) {
            return;
        }
        states.remove(&self.artifact.sha256);
        drop(states);
        if std::thread::panicking() {
            let message = "the gateway has met a defect";
            self.fail(&Fault::new(ArtifactFault::InternalError, message));
        }
    }
}

/// Returns the whole seconds until an instant, one at least.
fn seconds_until(until: Instant) -> u32 {
    let left = until.saturating_duration_since(Instant::now());
    u32::try_from(left.as_secs())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

#[cfg(test)]
mod tests;
