//! A settings distribution server with the devices behind it (docs/api/settings.yaml).
//!
//! Decides its command line, and reads its files and its /control (`e2e/peers/settings_server.py`). Its
//! faults have the words of the simulators. Called by tests of such servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use entente_simulators::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::http_client;
use super::launch::{Launch, Process, Sandbox, directory, free_port, program, text};

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
    port: u16,
    http: reqwest::Client,
    process: Process,
    directory: TempDir,
}

impl SettingsServer {
    /// Starts one without devices; with a login it takes HTTP Basic only.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(login: Option<(&str, &str)>) -> Result<Self, PeerError> {
        let directory = directory(PEER, Sandbox::SameUser)?;
        let port = free_port(PEER)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/settings_server.py");
        let python = program("python3")?;
        let mut launch = Launch::new(PEER, Sandbox::SameUser, python, directory.path())
            .arguments([text(script), format!("--port={port}")])
            .arguments([format!("--directory={}", text(directory.path()))])
            .environment("PYTHONDONTWRITEBYTECODE", "1")
            .environment("PYTHONUNBUFFERED", "1");
        if let Some((user, password)) = login {
            launch = launch.environment("SETTINGS_SERVER_LOGIN", format!("{user}:{password}"));
        }
        let mut server = Self {
            port,
            http: http_client(),
            process: launch.spawn()?,
            directory,
        };
        server.until_ready().await?;
        Ok(server)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let url = self.control("");
        self.process.until_answers(url.trim_end_matches('/')).await
    }

    /// Returns its URL, to which /v1 is appended.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the requests under /v1, in the order in which they came. One is listed before it is answered.
    ///
    /// # Panics
    /// If a line of its list is none, which is a defect of the peer.
    pub fn requests(&self) -> Vec<SettingsRequest> {
        let file = self.directory.path().join("requests.jsonl");
        let written = fs::read_to_string(file).unwrap_or_default();
        // A line that is being written has no end yet.
        let lines = written.split_inclusive('\n');
        let whole = lines.filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).expect("a line of the server"))
            .collect()
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
        let url = self.control(&format!("devices/{serial_number}"));
        self.tell("a device", self.http.put(url).json(device)).await
    }

    /// Returns the values that a device really has, by their places.
    pub async fn values(&self, serial_number: &str) -> Result<BTreeMap<String, Value>, PeerError> {
        #[derive(Deserialize)]
        struct Device {
            has: BTreeMap<String, Value>,
        }
        let url = self.control(&format!("devices/{serial_number}"));
        let answer = self.http.get(url).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|source| failed("the question for a device", source))?;
        let device: Device = answer
            .json()
            .await
            .map_err(|source| failed("the question for a device", source))?;
        Ok(device.has)
    }

    /// The device comes: it takes what is wanted, but has other values at these places, and reports.
    pub async fn report(&self, serial_number: &str, instead: Value) -> Result<(), PeerError> {
        let url = self.control(&format!("devices/{serial_number}/report"));
        let body = json!({ "instead": instead });
        self.tell("a report", self.http.post(url).json(&body)).await
    }

    /// The device comes and refuses the wanted value of one place.
    pub async fn refuse(&self, serial_number: &str, path: &str) -> Result<(), PeerError> {
        let url = self.control(&format!("devices/{serial_number}/report"));
        let refused = json!([{"path": path, "reason": "InvalidValue", "detail": "not this one"}]);
        let body = json!({ "refused": refused });
        self.tell("a report", self.http.post(url).json(&body)).await
    }

    /// Has each change take so many seconds, as an operation that is answered with 202.
    pub async fn set_delay(&self, seconds: f64) -> Result<(), PeerError> {
        let body = json!({ "seconds": seconds });
        let request = self.http.put(self.control("delay")).json(&body);
        self.tell("a delay", request).await
    }

    /// Brings a fault in; one of the same kind is replaced.
    ///
    /// # Errors
    /// [`PeerError::Control`] also if this server cannot have it: to be off, it is killed.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        let request = self.http.put(self.control("faults")).json(&fault.into());
        self.tell("a fault", request).await
    }

    /// Clears every fault.
    pub async fn clear_faults(&self) -> Result<(), PeerError> {
        let request = self.http.delete(self.control("faults"));
        self.tell("the end of faults", request).await
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.process.kill().await
    }

    /// Starts it again on the same port, with all that it had taken.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.start_again()?;
        self.until_ready().await
    }

    /// Freezes it by SIGSTOP: connections are accepted and never answered.
    pub async fn freeze(&self) -> Result<(), PeerError> {
        self.process.freeze().await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), PeerError> {
        self.process.thaw().await
    }

    fn control(&self, what: &str) -> String {
        format!("{}/control/{what}", self.url())
    }

    async fn tell(
        &self,
        what: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<(), PeerError> {
        let answer = request.send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|source| failed(what, source))
    }
}

fn failed(what: &'static str, source: reqwest::Error) -> PeerError {
    PeerError::Control {
        peer: PEER.to_owned(),
        what,
        source,
    }
}
