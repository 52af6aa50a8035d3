//! The dumb client: sends the operator's requests for one device to each device, and nothing
//! follows from any answer.
//!
//! It is a process of its own, as the operator is, with the same runtime, HTTP and Kubernetes clients
//! and credentials. It works device by device: a worker sends all that one device needs before it
//! takes the next, so that an object is written again soon, as the operator does. It must never
//! decide, cache, retry or watch anything: it is the limit that the operator is measured against.

mod client;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::BenchError;
use super::usage::{self, Usage};
use client::Client;

/// Devices at once: as many as the operator has requests to the API server at once by default.
const WORKERS: usize = 64;

/// One setting of a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) attribute: String,
    pub(super) value: String,
    /// Text; else keywords, divided by commas.
    pub(super) text: bool,
}

/// Requests that the operator sent for one device. Its names in them are texts, which are replaced
/// by those of the other devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Script {
    /// The device of the recording, with its names.
    pub(super) sample: Target,
    /// Attributes that are read.
    pub(super) get: Vec<String>,
    /// One Set for each group.
    pub(super) set: Vec<Vec<Setting>>,
    pub(super) provision: Value,
    pub(super) update: Value,
    /// The subscription as it is created, with its owner.
    pub(super) subscription: Value,
    /// Its statuses in the order in which they were written.
    pub(super) statuses: Vec<Value>,
    /// Those of the Device.
    pub(super) device_statuses: Vec<Value>,
}

impl Script {
    /// Returns the script for another device, made from its text.
    fn of(text: &str, sample: &Target, target: &Target) -> serde_json::Result<Self> {
        let text = [
            (&sample.serial_number, &target.serial_number),
            (&sample.contract_uid, &target.contract_uid),
            (&sample.contract, &target.contract),
            (&sample.name, &target.name),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(*from, to));
        serde_json::from_str(&text)
    }
}

/// A device of the dumb client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) serial_number: String,
    /// `ADDRESS:PORT`.
    pub(super) address: String,
    /// The contract that owns its subscription.
    pub(super) contract: String,
    pub(super) contract_uid: String,
}

/// Everything that the process reads on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) kubeconfig: PathBuf,
    pub(super) namespace: String,
    pub(super) broker: String,
    pub(super) script: Script,
    pub(super) targets: Vec<Target>,
}

/// Everything that the process prints at its end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) processor_seconds: f64,
    pub(super) peak_bytes: f64,
}

/// Runs the dumb client as a process of this program and waits for its end.
pub(super) async fn run(order: &Order) -> Result<Said, BenchError> {
    let failed = |what: &str, source| BenchError::System {
        what: format!("cannot {what} the dumb client"),
        source,
    };
    let program = std::env::current_exe().map_err(|source| failed("find", source))?;
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .arg("--dumb-client")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| failed("start", source))?;
    let told = serde_json::to_vec(order).map_err(|source| BenchError::Json {
        what: "cannot write the order of the dumb client".to_owned(),
        source,
    })?;
    let mut input = child.stdin.take().expect("it was asked for");
    let wrote = input.write_all(&told).await;
    wrote.map_err(|source| failed("tell", source))?;
    drop(input);
    let output = child
        .wait_with_output()
        .await
        .map_err(|source| failed("wait for", source))?;
    if !output.status.success() {
        return Err(problem(output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|source| BenchError::Json {
        what: "the dumb client said something else".to_owned(),
        source,
    })
}

/// Runs the process: reads an order on standard input, prints its usage on standard output.
///
/// # Errors
/// [`BenchError`] for the first request that was not answered as it should be.
pub async fn serve() -> Result<(), BenchError> {
    // An earlier caller chose the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let order: Order =
        serde_json::from_reader(std::io::stdin().lock()).map_err(|source| BenchError::Json {
            what: "the order cannot be read".to_owned(),
            source,
        })?;
    let client = Client::new(order).await?;
    let client = Arc::new(client);
    let targets = client.targets().await?;
    stream::iter(targets)
        .map(|(target, device)| {
            let client = Arc::clone(&client);
            let task = tokio::spawn(async move { client.deliver(&target, device).await });
            async move { task.await.map_err(problem)? }
        })
        .buffer_unordered(WORKERS)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    let Usage {
        processor_seconds,
        peak_bytes,
        ..
    } = usage::of(std::process::id())?;
    let said = Said {
        processor_seconds,
        peak_bytes,
    };
    println!("{}", json!(said));
    Ok(())
}

fn problem(problem: impl std::fmt::Display) -> BenchError {
    BenchError::Dumb {
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        Target {
            name: format!("mfp-{name}"),
            serial_number: format!("NW-{name}"),
            address: String::new(),
            contract: format!("contract-{name}"),
            contract_uid: format!("uid-{name}"),
        }
    }

    #[test]
    fn every_name_of_the_sample_gives_way() {
        let sample = target("sample");
        let script = Script {
            sample: sample.clone(),
            get: Vec::new(),
            set: Vec::new(),
            provision: Value::Null,
            update: Value::Null,
            subscription: json!({
                "name": "contract-sample.backup.mfp-sample",
                "ownerReferences": [{ "name": "contract-sample", "uid": "uid-sample" }],
            }),
            statuses: vec![json!({ "serial": "NW-sample" })],
            device_statuses: Vec::new(),
        };
        let text = serde_json::to_string(&script).unwrap();
        let other = Script::of(&text, &sample, &target("7")).unwrap();
        let owner = json!([{ "name": "contract-7", "uid": "uid-7" }]);
        assert_eq!(other.subscription["name"], "contract-7.backup.mfp-7");
        assert_eq!(other.subscription["ownerReferences"], owner);
        assert_eq!(other.statuses, [json!({ "serial": "NW-7" })]);
    }
}
