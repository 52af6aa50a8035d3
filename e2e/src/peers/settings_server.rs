//! A settings distribution server with the devices behind it (docs/api/settings.yaml).
//!
//! Decides its command line, and reads its files and its /control (`e2e/peers/settings_server.py`). Its
//! faults have the words of the simulators. Called by tests of such servers.

use std::collections::BTreeMap;

use entente_simulators::Fault;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PeerError;
use super::launch::program;
use super::script_server::{Script, ScriptServer};

const PEER: &str = "settings server";

/// A request as it came.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsRequest {
    /// 1 for the first one.
    pub request: u32,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The setting that it is about.
    pub setting: Option<String>,
    /// The version that it names.
    pub if_match: Option<String>,
    /// Its Idempotency-Key.
    pub key: Option<String>,
    /// The status that it is answered with.
    pub status: u16,
    /// True if it changed what is wanted.
    pub changed: bool,
    /// True if the answer was withheld.
    pub cut: bool,
}

/// A device behind the server.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsDevice {
    /// Product name that it reports.
    pub product_name: String,
    /// Serial number that it reports, where that is not the one of its document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// UUID that it reports.
    pub uuid: Option<String>,
    /// `AtOnce`: it comes with each change. `WhenTold`: it comes when the test says so.
    pub reports: String,
    /// True if it has never reported.
    pub silent: bool,
    /// Places of the settings that cannot be set.
    pub read_only: Vec<String>,
    /// Its values, by their places.
    pub settings: BTreeMap<String, Value>,
}

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct SettingsServer {
    server: ScriptServer,
}

impl SettingsServer {
    /// Starts one without devices; with a login it takes HTTP Basic only.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(login: Option<(&str, &str)>) -> Result<Self, PeerError> {
        let login = login.map(|(user, password)| format!("{user}:{password}"));
        let script = Script {
            name: PEER,
            file: "settings_server.py",
            python: program("python3")?,
            arguments: Vec::new(),
            environment: login
                .map(|login| ("SETTINGS_SERVER_LOGIN", login))
                .into_iter()
                .collect(),
        };
        let server = ScriptServer::start(script).await?;
        Ok(Self { server })
    }

    /// Returns its URL, to which /v1 is appended.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the requests under /v1, in the order in which they came. One is listed before it is answered.
    ///
    /// # Panics
    /// If a line of its list is none, which is a defect of the peer.
    pub fn requests(&self) -> Vec<SettingsRequest> {
        self.server.lines("requests.jsonl")
    }

    /// Returns the requests that changed what is wanted.
    pub fn changes(&self) -> Vec<SettingsRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.changed);
        requests
    }

    /// Puts a device behind it, in place of any of the serial number.
    pub async fn put_device(
        &self,
        serial_number: &str,
        device: &SettingsDevice,
    ) -> Result<(), PeerError> {
        let place = format!("devices/{serial_number}");
        let request = self.server.request(Method::PUT, &place).json(device);
        self.server.tell("a device", request).await
    }

    /// Returns the values that a device really has, by their places.
    pub async fn values(&self, serial_number: &str) -> Result<BTreeMap<String, Value>, PeerError> {
        #[derive(Deserialize)]
        struct Device {
            has: BTreeMap<String, Value>,
        }
        let place = format!("devices/{serial_number}");
        let device: Device = self
            .server
            .read(&place, "the question for a device")
            .await?;
        Ok(device.has)
    }

    /// The device comes: it takes what is wanted, but has other values at these places, and reports.
    pub async fn report(&self, serial_number: &str, instead: Value) -> Result<(), PeerError> {
        self.comes(serial_number, json!({ "instead": instead }))
            .await
    }

    /// The device comes and refuses the wanted value of one place.
    pub async fn refuse(&self, serial_number: &str, path: &str) -> Result<(), PeerError> {
        let refused = json!([{"path": path, "reason": "InvalidValue", "detail": "not this one"}]);
        self.comes(serial_number, json!({ "refused": refused }))
            .await
    }

    async fn comes(&self, serial_number: &str, report: Value) -> Result<(), PeerError> {
        let place = format!("devices/{serial_number}/report");
        let request = self.server.request(Method::POST, &place).json(&report);
        self.server.tell("a report", request).await
    }

    /// Has each change take so many seconds, as an operation that is answered with 202.
    pub async fn set_delay(&self, seconds: f64) -> Result<(), PeerError> {
        let body = json!({ "seconds": seconds });
        let request = self.server.request(Method::PUT, "delay").json(&body);
        self.server.tell("a delay", request).await
    }

    /// Brings a fault in; one of the same kind is replaced.
    ///
    /// # Errors
    /// [`PeerError::Control`] also if this server cannot have it: to be off, it is killed.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        self.server.set_fault(fault).await
    }

    /// Clears every fault.
    pub async fn clear_faults(&self) -> Result<(), PeerError> {
        self.server.clear_faults().await
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.server.kill().await
    }

    /// Starts it again on the same port, with all that it had taken.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.server.start_again().await
    }

    /// Freezes it by SIGSTOP: connections are accepted and never answered.
    pub async fn freeze(&self) -> Result<(), PeerError> {
        self.server.freeze().await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), PeerError> {
        self.server.thaw().await
    }
}
