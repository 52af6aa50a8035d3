//! A device of tests: a folder, a command line, and the process that runs it.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use axum::http::Method;
use serde_json::Value;

use crate::gateway::{ENROLMENT, Gateway};

/// Longest wait for a condition.
const DEADLINE: Duration = Duration::from_secs(30);
/// Time between two looks at what is waited for; the deadline ends the wait.
const LOOK: Duration = Duration::from_millis(20);

/// A device with a folder of its own.
pub(crate) struct Device {
    folder: tempfile::TempDir,
    gateway: Gateway,
    pub(crate) arguments: Vec<String>,
    /// Process that runs it.
    running: Option<Child>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Device {
    /// A device that knows its gateway and has its owner's consent.
    pub(crate) fn new(gateway: &Gateway) -> Self {
        let entry = ["--gateway", &gateway.url].map(String::from);
        Self::with(gateway, &entry, true)
    }

    pub(crate) fn with(gateway: &Gateway, entry: &[String], accepts: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, format!("{ENROLMENT}\n")).unwrap();
        let mut arguments: Vec<String> = [
            "--serial",
            "A1B2C3",
            "--product",
            "NW MFP 500",
            "--ship-destination",
            "JP",
            "--time-zone",
            "Asia/Tokyo",
            "--software",
            "firmware/main=4.1.0",
            "--retry-initial",
            "50ms",
            "--retry-most",
            "200ms",
            "--token-file",
        ]
        .map(String::from)
        .to_vec();
        arguments.push(token.display().to_string());
        arguments.extend_from_slice(entry);
        if accepts {
            let consent = [
                "--accept",
                "--consent-by",
                "Panel",
                "--consent-text",
                "2027-01",
            ];
            arguments.extend(consent.map(String::from));
        }
        Self {
            folder,
            gateway: gateway.clone(),
            arguments,
            running: None,
        }
    }

    /// With further arguments.
    pub(crate) fn and(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|one| (*one).to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("device").join(name)
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_entente-agent"));
        let folder = self.folder.path().join("device");
        command.arg(name).args(arguments).arg("--state").arg(folder);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(name, arguments);
        if name == "run" {
            command.args(&self.arguments);
        }
        let done = tokio::task::spawn_blocking(move || command.output().unwrap());
        tokio::time::timeout(DEADLINE, done)
            .await
            .expect("it ends")
            .unwrap()
    }

    /// Starts the device.
    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let log = self.folder.path().join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.command("run", &[]);
        command
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(log);
        self.running = Some(command.spawn().unwrap());
    }

    /// Ends the process without a warning, as a loss of power does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }

    /// Waits until the process has ended, and returns its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let mut running = self.running.take().expect("it runs");
        let begun = Instant::now();
        loop {
            if let Some(status) = running.try_wait().unwrap() {
                return status.code();
            }
            if begun.elapsed() > DEADLINE {
                let _ = running.kill();
                let _ = running.wait();
                panic!("the device does not end\n{}", self.dump());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A file of the device; `null` if it is not there.
    pub(crate) fn file(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self, &Gateway) -> bool) {
        let begun = Instant::now();
        while !is_so(self, &self.gateway) {
            let dump = || self.dump();
            assert!(begun.elapsed() < DEADLINE, "not so: {what}\n{}", dump());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it has read its twin.
    pub(crate) async fn until_it_polls(&self) {
        let polls =
            |_: &Self, gateway: &Gateway| !gateway.requests(&Method::GET, "/twin").is_empty();
        self.until("it polls", polls).await;
    }

    pub(crate) fn dump(&self) -> String {
        let inner = self.gateway.inner();
        let ledger: Vec<String> = inner
            .ledger
            .iter()
            .rev()
            .take(20)
            .map(|entry| format!("{} {} {}", entry.method, entry.path, entry.body))
            .collect();
        format!(
            "log:\n{}\nreported: {}\nlast requests:\n{}\nsettings: {}\nsoftware: {}",
            self.log(),
            inner.reported,
            ledger.join("\n"),
            self.file("settings.json"),
            self.file("software.json"),
        )
    }
}
