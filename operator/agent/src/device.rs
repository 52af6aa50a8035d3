//! The loop of a device: registers, polls, applies, reports, and rests until the gateway wants it again.
//!
//! It performs what `state`, `twin`, `services`, `events`, `panel`, `software` and `ddi` decide, and keeps everything in the
//! folder before it goes on. When an answer is missing, unavailable or not understood, it changes
//! nothing. It ends when consent was withdrawn, when its credential is refused for good, or by a signal.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    answer::Failure,
    api::{By, Consent, Software},
    events::Outbox,
    http::{ClientFault, Http},
    link::{self, LinkFault},
    pace,
    panel::Panel,
    software::Installed,
    state::{Last, State, Step},
    store::{Mark, Store, StoreError},
    twin::{self, Faults, Held, Settings},
};

mod activation;
mod events;
mod registration;
mod rest;
mod settings;
mod updates;

pub use registration::{token_of, withdraw_link};

/// File of the registration.
pub const STATE: &str = "agent.json";
/// File of the settings, which a person may edit.
pub const SETTINGS: &str = "settings.json";
/// File of the kinds of data that the device sends.
pub const DATA_TYPES: &str = "data-types.json";
/// File of the services and their switches.
pub const SERVICES: &str = "services.json";
/// File of the software.
pub const SOFTWARE: &str = "software.json";
/// File of the twin.
pub const TWIN: &str = "twin.json";
/// File of the events that wait.
pub const OUTBOX: &str = "outbox.json";
/// File of the panel: the messages that stand on it.
pub const PANEL: &str = "panel.json";
/// File of a withdrawal.
pub const WITHDRAWAL: &str = "withdrawal.json";

/// A withdrawal of consent, as the command writes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Withdrawal {
    /// Way by which consent was withdrawn.
    pub by: By,
    /// Instant, by the gateway's clock as far as it is known.
    pub at: jiff::Timestamp,
    /// True if the gateway has it.
    pub confirmed: bool,
}

/// Place to begin: the look-up of a region, or a gateway.
#[derive(Clone, Debug)]
pub enum Entry {
    /// The gateway follows from the place of the device.
    Region {
        /// URL of the look-up.
        url: Url,
        /// Country.
        country: String,
        /// Subdivision.
        subdivision: Option<String>,
    },
    /// The gateway is known.
    Gateway(Url),
}

/// Command line of a device, as values.
#[derive(Clone, Debug)]
pub struct Options {
    /// Place to begin.
    pub entry: Entry,
    /// File of the enrolment token.
    pub token_file: PathBuf,
    /// Plate of the device.
    pub description: Description,
    /// Way of the consent and version of the text, if the owner consents.
    pub consent: Option<(By, String)>,
    /// Ways in which it does not do what is wanted.
    pub faults: Faults,
    /// True if it reports success and runs what it ran.
    pub lies: bool,
    /// Time of a restart; none: it restarts when its process does.
    pub restart_takes: Option<Duration>,
    /// Time for which the gateway may hold requests.
    pub wait: Duration,
    /// Longest artifact in bytes.
    pub most_bytes: u64,
    /// Bounds of waits after failures.
    pub bounds: pace::Bounds,
    /// True if it polls once and ends.
    pub once: bool,
    /// True if it sends its first data before it reads anything of its services.
    pub short: bool,
}

/// Plate of a device.
#[derive(Clone, Debug)]
pub struct Description {
    /// Serial number.
    pub serial_number: String,
    /// Product name.
    pub product_name: String,
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// `urn:uuid:` of the device.
    pub uuid: Option<String>,
    /// Country for which it was made.
    pub ship_destination: String,
    /// Time zone.
    pub time_zone: String,
    /// Languages of its panel.
    pub languages: Vec<String>,
    /// Software that runs before anything is installed.
    pub software: Vec<Software>,
    /// True if it installs by DDI.
    pub ddi: bool,
    /// Kinds of data that it can send; none for all.
    pub data_types: Option<Vec<String>>,
    /// Part numbers of the supplies that it can use; none for all.
    pub supplies: Option<Vec<String>>,
    /// Its panel; none if it does not tell the size.
    pub panel: Option<Panel>,
}

/// Manner in which a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// By a signal, or after the one poll that was wanted.
    Done,
    /// The one poll that was wanted failed.
    Failed,
    /// There is no consent, so that nothing more is sent.
    NeedsConsent,
    /// Consent was withdrawn.
    Withdrawn,
    /// The credential is refused.
    Refused,
}

/// Reason for which a round ended early.
#[derive(Debug)]
enum Early {
    /// A failure, after which the device waits.
    Failure(Failure),
    /// The credential is other now: the round begins again.
    Again,
    /// The end.
    End(Ending),
    /// The disk refuses.
    Store(StoreError),
}

impl From<Failure> for Early {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<StoreError> for Early {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LinkFault> for Early {
    fn from(fault: LinkFault) -> Self {
        Self::Failure(Failure::Link(fault))
    }
}

/// Reason for which a device cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no client.
    #[error(transparent)]
    Client(#[from] ClientFault),
}

/// A device that runs.
pub struct Device {
    options: Options,
    store: Store,
    http: Http,
    state: State,
    held: Held,
    installed: Installed,
    /// Patch that the gateway refused, which is not sent again.
    refused_patch: Option<Value>,
    /// Failures in a row.
    failures: u32,
    /// Sentence about the failure for which it waits, if it does.
    failed: Option<String>,
    /// Settings of the file when it was read last, to see that somebody edits it.
    seen: Settings,
    /// Uses of switches when the gateway was told last, to see that somebody uses one.
    seen_switches: activation::Switches,
    /// Times that the list of services was the same since the gateway was told something.
    unchanged: u32,
    /// Events that wait, as they were read or written last.
    outbox: Outbox,
    /// Mark of that writing, to see that another process adds to it.
    outbox_mark: Option<Mark>,
    /// End of the wait of the batch that was not taken.
    events_until: Option<Instant>,
    _lock: std::fs::File,
}

impl Device {
    /// Reads the folder. The process is new, so the device has restarted: what was installed runs.
    pub fn open(
        store: Store,
        options: Options,
        authorities: Option<&std::path::Path>,
        offset: SignedDuration,
    ) -> Result<Self, DeviceError> {
        let lock = store.run_lock()?;
        let state: State = store.read(STATE)?.unwrap_or_default();
        let held: Held = store.read(TWIN)?.unwrap_or_default();
        let installed = store.read(SOFTWARE)?.unwrap_or_else(|| Installed {
            running: options.description.software.clone(),
            ..Installed::default()
        });
        let ahead = SignedDuration::from_secs(state.ahead);
        let http = Http::new(authorities, offset, ahead)?;
        let mut state = state;
        if let Entry::Gateway(url) = &options.entry {
            state.gateway = Some(url.to_string());
        }
        let mut device = Self {
            options,
            store,
            http,
            state,
            held,
            installed,
            refused_patch: None,
            failures: 0,
            failed: None,
            seen: Settings::new(),
            seen_switches: activation::Switches::new(),
            unchanged: 0,
            outbox: Outbox::default(),
            outbox_mark: None,
            events_until: None,
            _lock: lock,
        };
        if device.installed.staged.is_some() {
            let now = device.http.now();
            device.installed.restart(now, device.options.lies);
        }
        device.store.write(SOFTWARE, &device.installed)?;
        device.begin_events()?;
        Ok(device)
    }

    /// Runs until the end.
    pub async fn run(&mut self) -> Result<Ending, DeviceError> {
        loop {
            let result = match self.withdrawal().await {
                Ok(()) => self.round().await,
                Err(early) => Err(early),
            };
            let result = match result {
                Err(Early::Again) if self.failures > 0 => Err(Early::Failure(again())),
                other => other,
            };
            let wait = match result {
                Ok(named) => {
                    self.failures = 0;
                    self.recovered();
                    pace::poll(named, random())
                }
                // Once at once; a gateway that refuses each new credential is not flooded.
                Err(Early::Again) => {
                    self.failures = 1;
                    continue;
                }
                Err(Early::End(ending)) => return self.stopped(ending),
                Err(Early::Store(error)) => return Err(error.into()),
                Err(Early::Failure(failure)) if self.options.once => {
                    self.say(&failure.to_string());
                    self.keep()?;
                    return Ok(Ending::Failed);
                }
                Err(Early::Failure(failure)) => self.after(&failure),
            };
            if self.options.once {
                return self.stopped(Ending::Done);
            }
            self.plan(wait)?;
            if let Some(ending) = self.rest(wait).await? {
                return self.stopped(ending);
            }
        }
    }

    /// Keeps when it calls again.
    fn plan(&mut self, wait: Duration) -> Result<(), StoreError> {
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        self.state.next = self.http.now().checked_add(wait).ok();
        self.keep()
    }

    /// Keeps that it calls no more.
    fn stopped(&mut self, ending: Ending) -> Result<Ending, DeviceError> {
        self.state.next = None;
        self.keep()?;
        Ok(ending)
    }

    /// Says that a failure is over, unless something else was said since.
    fn recovered(&mut self) {
        let failed = self.failed.take();
        let last = self.state.last.as_ref().map(|last| &last.what);
        if failed.is_some() && failed.as_ref() == last {
            self.say("the gateway answers again");
        }
    }

    /// Wait after a failure. Where only a person can help it is the longest.
    fn after(&mut self, failure: &Failure) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let failures = if failure.needs_a_person() {
            u32::MAX
        } else {
            self.failures
        };
        let bounds = self.options.bounds;
        let wait = match failure.throttled() {
            Some(asked) => pace::throttled(failures, asked, random()),
            None => pace::wait(bounds, failures, failure.retry_after(), random()),
        };
        let seconds = wait.as_secs_f64();
        self.say(&format!("{failure}; again in {seconds:.1} s"));
        self.failed = self.state.last.as_ref().map(|last| last.what.clone());
        wait
    }

    /// One round: everything up to the next rest. Returns the time to the next poll.
    async fn round(&mut self) -> Result<Duration, Early> {
        // Each turn but the last changes what the next step is.
        for _ in 0..8 {
            let looks_up = matches!(self.options.entry, Entry::Region { .. });
            self.take_consent()?;
            match self.state.step(looks_up, self.http.now()) {
                Step::LookUp => self.look_up().await?,
                Step::NeedConsent => {
                    self.say("the owner's consent is needed (--accept); nothing else is sent");
                    return Err(Early::End(Ending::NeedsConsent));
                }
                Step::Register => {
                    if let Some(wait) = self.register().await? {
                        return Ok(wait);
                    }
                }
                Step::AskPending => {
                    if let Some(wait) = self.ask_pending().await? {
                        return Ok(wait);
                    }
                }
                Step::Renew => self.renew().await?,
                Step::Poll => return self.poll().await,
                Step::Stopped => {
                    self.say("the credential is refused; a person has to permit a registration");
                    return Err(Early::End(Ending::Refused));
                }
            }
            self.keep()?;
        }
        let detail = "the gateway's answers lead in a circle".into();
        Err(Failure::NotUnderstood { detail }.into())
    }

    /// Records the consent with which the device was started.
    fn take_consent(&mut self) -> Result<(), StoreError> {
        let is_needed = self.state.consent.is_none() && self.state.registration.is_none();
        if let Some((by, text_version)) = self.options.consent.clone().filter(|_| is_needed) {
            // The look-up comes first, so that the instant is the gateway's.
            let looks_up = matches!(self.options.entry, Entry::Region { .. });
            if looks_up && self.state.region.is_none() {
                return Ok(());
            }
            self.state.consent = Some(Consent {
                by,
                at: self.http.now(),
                text_version,
            });
            self.keep()?;
        }
        Ok(())
    }

    /// Reads services, settings and software, tells of switches, applies and reports.
    async fn poll(&mut self) -> Result<Duration, Early> {
        if self.state.looks_up_again(self.http.now())
            && let Err(Early::Failure(failure)) = self.look_up().await
        {
            // The gateway is known; the region is looked up at the next poll.
            self.say(&failure.to_string());
        }
        let mut next = self.poll_services().await?;
        // The kinds of data of a service come once it is on.
        if let Some(wait) = self.tell().await? {
            next = next.min(wait);
        }
        next = next.min(self.poll_twin().await?);
        if let Some(wait) = self.send_events().await? {
            next = next.min(wait);
        }
        if self.options.description.ddi {
            next = next.min(self.poll_updates().await?);
        }
        Ok(next)
    }

    /// The gateway that everything but the look-up goes to.
    fn gateway(&self) -> Result<Url, LinkFault> {
        match &self.options.entry {
            Entry::Gateway(url) => Ok(url.clone()),
            Entry::Region { .. } => {
                link::gateway(self.state.gateway.as_deref().unwrap_or_default())
            }
        }
    }

    /// Writes the registration, with what happened last.
    fn keep(&mut self) -> Result<(), StoreError> {
        self.state.ahead = self.http.ahead().as_secs();
        self.store.write(STATE, &self.state)
    }

    /// Reads the settings of the file; what cannot be read is reported, and nothing is changed then.
    fn file(&mut self) -> Option<Settings> {
        match self.store.read::<Map<String, Value>>(SETTINGS) {
            Ok(file) => {
                let (settings, odd) = twin::settings_of(file.unwrap_or_default());
                for name in odd {
                    self.say(&format!(
                        "{SETTINGS}: {name} is no text, number or truth value"
                    ));
                }
                Some(settings)
            }
            Err(error) => {
                self.say(&error.to_string());
                None
            }
        }
    }

    /// Prints a sentence, and keeps it for `status`.
    fn say(&mut self, what: &str) {
        let at = self.http.now();
        eprintln!("{at:.0} {what}");
        self.state.last = Some(Last {
            at,
            what: what.chars().take(500).collect(),
        });
    }
}

/// Failure of a credential that is as new as the one that was refused before it.
fn again() -> Failure {
    let reason = "a new one is not taken either".into();
    Failure::Unauthorized { reason }
}

/// A random number from 0 to 1.
fn random() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}

/// Instant after a wait, at most a day.
fn after(wait: Duration) -> Instant {
    Instant::now() + wait.min(Duration::from_hours(25))
}
