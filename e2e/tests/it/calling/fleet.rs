//! A fleet of devices in this process, each with a connection and a pace of its own, that counts what becomes
//! of its requests.
//!
//! Most devices hold a request for their twin at all times; every twenty-fifth comes at its own times
//! instead and reports a counter, as one does whose settings change. A device repeats what HTTP lets it
//! repeat, and what it has to: it wants its answer. Decides nothing about the outcome. Called by tests of
//! replicas that are replaced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::wire::{Answer, Broken, Line, Request, Wire};

/// Setting that a device reports which comes at its own times.
pub(super) const COUNTER: &str = "panel.counter";
/// Setting that the operator asks for.
pub(super) const WANTED: &str = "backup.weekdays";
/// One in so many devices comes at its own times.
const ONE_COMES: usize = 25;
/// One in so many of the others reports what it has applied.
const ONE_REPORTS: usize = 4;
/// Devices that register at once.
const AT_ONCE: usize = 32;
/// Time between two calls of a device that comes at its own times; it sends two requests each.
const PACE: Duration = Duration::from_secs(2);
/// Time after which a device tries again that reached nobody.
const AGAIN: Duration = Duration::from_millis(500);

/// Ends of the requests of all devices.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Answers by their status.
    pub(super) answers: BTreeMap<u16, usize>,
    /// Connections that were made.
    pub(super) connections: usize,
    /// Connections that could not be made. No request was sent.
    pub(super) unreached: usize,
    /// Requests that were sent again since they crossed the end of an idle connection.
    pub(super) crossed: usize,
    /// Requests that were sent again since they broke off otherwise.
    pub(super) lost: Vec<String>,
    /// Answers that a device may not get.
    pub(super) wrong: Vec<String>,
}

/// Knowledge of one device, and its last report.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Newest version of its twin.
    pub(super) version: i64,
    /// The value of the setting that is asked for.
    pub(super) wanted: Option<String>,
    /// The version of its last report that was taken.
    pub(super) reported: Option<i64>,
    /// The counter of its last report that was taken.
    pub(super) counter: Option<i64>,
}

#[derive(Default)]
struct Shared {
    counts: Mutex<Counts>,
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// The devices. They end when it is dropped.
pub(super) struct Fleet {
    shared: Arc<Shared>,
    polling: Vec<JoinHandle<()>>,
    /// Number of devices that hold a request at all times.
    pub(super) holding: usize,
}

/// One device that has registered.
struct Device {
    name: String,
    path: String,
    token: String,
    line: Line,
    wire: Option<Wire>,
    etag: Option<String>,
    seen: Seen,
    shared: Arc<Shared>,
}

/// Returns the serial number of a device.
pub(super) fn serial_number(index: usize) -> String {
    format!("ROLL-{index:04}")
}

impl Fleet {
    /// Registers so many devices, and lets each call on its connection from then on.
    pub(super) async fn register(line: &Line, enrollment_token: &str, devices: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut registering = JoinSet::new();
        for index in 0..devices {
            let (line, shared) = (line.clone(), Arc::clone(&shared));
            let (slots, token) = (Arc::clone(&slots), enrollment_token.to_owned());
            registering.spawn(async move {
                let _slot = slots.acquire_owned().await.unwrap();
                (index, Device::register(index, line, &token, shared).await)
            });
        }
        let registered = registering.join_all().await;
        // What is counted begins here.
        *shared.counts() = Counts::default();
        let comes = |index: usize| index.is_multiple_of(ONE_COMES);
        let holding = (0..devices).filter(|index| !comes(*index)).count();
        let poll = |(index, device): (usize, Device)| {
            if comes(index) {
                tokio::spawn(device.come(index))
            } else {
                tokio::spawn(device.hold(index.is_multiple_of(ONE_REPORTS)))
            }
        };
        Self {
            polling: registered.into_iter().map(poll).collect(),
            shared,
            holding,
        }
    }

    /// Returns the counts so far.
    pub(super) fn counts(&self) -> Counts {
        self.shared.counts().clone()
    }

    /// Returns the knowledge and the last report of each device, by its name.
    pub(super) fn seen(&self) -> BTreeMap<String, Seen> {
        let seen = self.shared.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends all devices, wherever they are; what they were doing is not counted.
    pub(super) fn stop(&mut self) {
        for device in self.polling.drain(..) {
            device.abort();
        }
    }

    /// True if a device has ended by itself, which none does.
    pub(super) fn has_ended(&self) -> bool {
        self.polling.iter().any(JoinHandle::is_finished)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device {
    /// Registers, as often as it is told to come again.
    async fn register(index: usize, line: Line, token: &str, shared: Arc<Shared>) -> Self {
        let serial_number = serial_number(index);
        let body = json!({
            "serialNumber": serial_number, "productName": "Northwind MFP 500",
            "shipDestination": "DE", "timeZone": "Europe/Berlin",
            "consent": {"by": "Panel", "at": "2027-03-20T01:02:03Z", "textVersion": "2027-01"},
        });
        let mut device = Self {
            name: String::new(),
            path: String::new(),
            token: String::new(),
            line,
            wire: None,
            etag: None,
            seen: Seen::default(),
            shared,
        };
        loop {
            let answer = device
                .ask(&Request {
                    method: "POST",
                    path: "/v1/registrations".to_owned(),
                    token: token.to_owned(),
                    headers: vec![("content-type", "application/json".to_owned())],
                    body: body.to_string(),
                })
                .await;
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            match answer.status {
                201 => {
                    let text = |it: &Value| it.as_str().unwrap().to_owned();
                    device.name = text(&body["device"]);
                    device.path = format!("/v1/devices/{}/twin", text(&body["printerId"]));
                    device.token = text(&body["credential"]["token"]);
                    return device;
                }
                // The operator has not made its twin yet: a device asks again when it was told to.
                202 => sleep(Duration::from_secs(body["interval"].as_u64().unwrap())).await,
                _ => panic!("{serial_number} can not register: {} {body}", answer.status),
            }
        }
    }

    /// Holds a request for its twin at all times, and reports what it reads if it does.
    async fn hold(mut self, reports: bool) {
        loop {
            let is_new = self.read_twin(Some("wait=30")).await;
            if is_new && reports {
                let value = self.seen.wanted.clone();
                let set = value.map(|value| json!({WANTED: {"value": value, "by": "Server"}}));
                self.report(&set.unwrap_or_else(|| json!({}))).await;
            }
        }
    }

    /// Comes at its own times, reads its twin and reports a counter.
    async fn come(mut self, index: usize) {
        // Each at another time of the pace.
        sleep(PACE * u32::try_from(index % 100).unwrap() / 100).await;
        for counter in 1_i64.. {
            self.read_twin(None).await;
            let value = counter.to_string();
            let set = json!({COUNTER: {"value": value, "by": "Panel"}});
            if self.report(&set).await {
                self.seen.counter = Some(counter);
                self.keep();
            }
            // The pace of the device, of which nothing depends.
            sleep(PACE).await;
        }
    }

    /// Reads its twin unless it is as it was, and returns true if it is another one.
    async fn read_twin(&mut self, prefer: Option<&str>) -> bool {
        let if_none_match = self.etag.clone().map(|etag| ("if-none-match", etag));
        let prefer = prefer.map(|prefer| ("prefer", prefer.to_owned()));
        let answer = self
            .ask(&Request {
                method: "GET",
                path: self.path.clone(),
                token: self.token.clone(),
                headers: if_none_match.into_iter().chain(prefer).collect(),
                body: String::new(),
            })
            .await;
        match answer.status {
            304 => false,
            200 => {
                let twin: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let version = twin["version"].as_i64().unwrap_or_default();
                if version <= self.seen.version {
                    let before = self.seen.version;
                    self.wrong(&format!("version {version} came after {before}"));
                }
                let wanted = twin["desired"]["settings"][WANTED]["value"].as_str();
                self.seen.version = version;
                self.seen.wanted = wanted.map(str::to_owned);
                self.etag = answer.etag;
                self.keep();
                true
            }
            _ => {
                self.refused(&answer).await;
                false
            }
        }
    }

    /// Reports settings of the version that it has read; returns true if the report was taken.
    async fn report(&mut self, settings: &Value) -> bool {
        let version = self.seen.version;
        let answer = self
            .ask(&Request {
                method: "PATCH",
                path: format!("{}/reported", self.path),
                token: self.token.clone(),
                headers: vec![("content-type", "application/merge-patch+json".to_owned())],
                body: json!({"desiredVersion": version, "settings": settings}).to_string(),
            })
            .await;
        let is_taken = answer.status == 204;
        if is_taken {
            self.seen.reported = Some(version);
            self.keep();
        } else {
            self.refused(&answer).await;
        }
        is_taken
    }

    /// Sends a request until it is answered, and counts what becomes of it.
    async fn ask(&mut self, request: &Request) -> Answer {
        loop {
            let kept = self.wire.take().filter(Wire::is_open);
            let mut wire = match kept {
                Some(wire) => wire,
                None => self.connect().await,
            };
            match wire.exchange(request).await {
                Ok(answer) => {
                    *self
                        .shared
                        .counts()
                        .answers
                        .entry(answer.status)
                        .or_default() += 1;
                    self.wire = (!answer.closes).then_some(wire);
                    return answer;
                }
                Err(Broken::Crossed) => self.shared.counts().crossed += 1,
                Err(Broken::Lost(said)) => self.shared.counts().lost.push(said),
            }
        }
    }

    async fn connect(&self) -> Wire {
        loop {
            if let Ok(wire) = self.line.open().await {
                self.shared.counts().connections += 1;
                return wire;
            }
            self.shared.counts().unreached += 1;
            // The pace of a device that reached nobody, so that it does not flood.
            sleep(AGAIN).await;
        }
    }

    fn keep(&self) {
        let seen = self.shared.seen.lock();
        let mut seen = seen.unwrap_or_else(PoisonError::into_inner);
        seen.insert(self.name.clone(), self.seen.clone());
    }

    /// Counts an answer that it may not get, and waits before it tries again.
    async fn refused(&self, answer: &Answer) {
        let body = String::from_utf8_lossy(&answer.body);
        self.wrong(&format!("{} {body}", answer.status));
        // The same pace: one fault is not counted a thousand times.
        sleep(AGAIN).await;
    }

    fn wrong(&self, what: &str) {
        let mut counts = self.shared.counts();
        counts.wrong.push(format!("{}: {what}", self.name));
    }
}
