//! Firmware and applications by DDI: the messages, and what the device does about each.
//!
//! Decides what comes first, whether an offer is installed, and the words of each feedback. It installs
//! nothing that has no SHA-256, is longer than the device accepts, or is offered from another host, and
//! nothing twice. Used by the loop of `run`, which fetches and sends.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    api::Software,
    link,
    period::Period,
    software::{Installed, Over},
};

/// Answer of the base.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Controller {
    /// Time to come again.
    pub config: Config,
    /// Links of tasks.
    #[serde(rename = "_links", default)]
    pub links: Links,
}

/// Settings of the client.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Config {
    /// Times of polls.
    pub polling: Polling,
}

/// Times of polls.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Polling {
    /// Time to the next poll, `HH:MM:SS`.
    pub sleep: String,
}

/// Links of tasks.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    /// Place of reports.
    #[serde(default)]
    pub config_data: Option<Link>,
    /// Something to install.
    #[serde(default)]
    pub deployment_base: Option<Link>,
    /// Something to cancel.
    #[serde(default)]
    pub cancel_action: Option<Link>,
}

/// A link.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Link {
    /// Its URL.
    pub href: String,
}

/// Answer of `deploymentBase`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Deployment {
    /// Number of the action.
    pub id: String,
    /// Its content.
    pub deployment: Content,
}

/// Content of a deployment.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Content {
    /// Its parts.
    pub chunks: Vec<Chunk>,
}

/// A part of a deployment.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Chunk {
    /// `os` for firmware.
    pub part: String,
    /// Name of the software.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its artifacts.
    pub artifacts: Vec<Artifact>,
}

/// An artifact.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Artifact {
    /// Name of the file.
    pub filename: String,
    /// Its hashes.
    pub hashes: Hashes,
    /// Its length.
    pub size: u64,
    /// Its links.
    #[serde(rename = "_links")]
    pub links: ArtifactLinks,
}

/// Hashes of an artifact.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Hashes {
    /// SHA-256 in hexadecimal digits.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Links of an artifact.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct ArtifactLinks {
    /// Over TLS.
    #[serde(default)]
    pub download: Option<Link>,
    /// Without TLS.
    #[serde(default, rename = "download-http")]
    pub download_http: Option<Link>,
}

/// Answer of `cancelAction`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    /// Number of the cancellation.
    pub id: String,
    /// Its content.
    pub cancel_action: Stop,
}

/// The action to cancel.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// Its number.
    pub stop_id: String,
}

/// Something to do, with its link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Task {
    /// Read a cancellation, and answer it.
    Cancel(String),
    /// Report versions.
    Report(String),
    /// Read a deployment, and install it.
    Install(String),
}

/// An artifact to fetch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetch {
    /// Its link, on the gateway.
    pub url: Url,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Its length.
    pub size: u64,
}

/// Decision about an offer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Fetches and installs it.
    Install {
        /// Artifacts.
        fetch: Vec<Fetch>,
        /// Software that it gives.
        software: Vec<Software>,
    },
    /// Reports again how it ended.
    Again(Over),
    /// Reports that it runs already.
    Runs,
    /// Refuses it.
    Reject {
        /// Reason.
        detail: String,
    },
}

/// Returns the tasks in their order: a cancellation comes before anything else.
pub fn tasks(controller: &Controller) -> Vec<Task> {
    let links = &controller.links;
    let href = |link: &Option<Link>| link.as_ref().map(|link| link.href.clone());
    [
        href(&links.cancel_action).map(Task::Cancel),
        href(&links.config_data).map(Task::Report),
        href(&links.deployment_base).map(Task::Install),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Time to the next poll; none if it cannot be read.
pub fn sleep(controller: &Controller) -> Option<Period> {
    Period::parse_clock(&controller.config.polling.sleep)
}

/// Decides about an offer. `most` is the longest artifact that the device accepts.
pub fn judge(offer: &Deployment, installed: &Installed, most: u64, gateway: &Url) -> Verdict {
    if let Some(over) = installed.over(&offer.id) {
        return Verdict::Again(over.clone());
    }
    let chunks = &offer.deployment.chunks;
    let software = chunks.iter().map(|chunk| software_of(chunk, installed));
    let software: Vec<Software> = software.collect();
    if software.is_empty() {
        let detail = "there is nothing in it".into();
        return Verdict::Reject { detail };
    }
    if installed.runs(&software) {
        return Verdict::Runs;
    }
    let artifacts = chunks.iter().flat_map(|chunk| &chunk.artifacts);
    let fetch: Result<Vec<Fetch>, String> = artifacts
        .map(|artifact| fetch_of(artifact, most, gateway))
        .collect();
    match fetch {
        Ok(fetch) if fetch.is_empty() => Verdict::Reject {
            detail: "it has no artifact".into(),
        },
        Ok(fetch) => Verdict::Install { fetch, software },
        Err(detail) => Verdict::Reject { detail },
    }
}

/// Software of a chunk. Its part is in the words of the model; what runs under that name already tells
/// what it is, and otherwise `os` is firmware.
fn software_of(chunk: &Chunk, installed: &Installed) -> Software {
    let mut known = installed
        .running
        .iter()
        .filter(|one| one.name == chunk.name);
    let part = match (known.next(), known.next(), &*chunk.part) {
        (Some(one), None, _) => &*one.part,
        (_, _, "os" | "firmware") => "firmware",
        (_, _, _) => "application",
    };
    Software {
        part: part.into(),
        name: chunk.name.clone(),
        version: chunk.version.clone(),
    }
}

fn fetch_of(artifact: &Artifact, most: u64, gateway: &Url) -> Result<Fetch, String> {
    let name = &artifact.filename;
    let digits = artifact.hashes.sha256.as_deref().unwrap_or_default();
    let mut sha256 = [0; 32];
    if hex::decode_to_slice(digits, &mut sha256).is_err() {
        return Err(format!("{name} has no SHA-256 of 64 digits"));
    }
    if artifact.size > most {
        let size = artifact.size;
        return Err(format!(
            "{name} has {size} bytes, more than the {most} that fit"
        ));
    }
    let links = &artifact.links;
    let link = links.download.as_ref().or(links.download_http.as_ref());
    let link = link.ok_or_else(|| format!("{name} has no link"))?;
    let url = link::within(gateway, &link.href).map_err(|fault| format!("{name}: {fault}"))?;
    Ok(Fetch {
        url,
        sha256,
        size: artifact.size,
    })
}

/// Body of a report of versions, in the new form.
pub fn config_data(running: &[Software]) -> Value {
    let data: Map<String, Value> = running
        .iter()
        .map(|one| (format!("{}.{}", one.part, one.name), json!(one.version)))
        .collect();
    json!({"mode": "replace", "data": data})
}

/// Body of a feedback.
pub fn feedback(action: &str, execution: &str, finished: &str, detail: &str) -> Value {
    json!({"id": action, "status": {
        "execution": execution,
        "result": {"finished": finished},
        "details": [detail],
    }})
}

/// Body of the feedback with which an action ends.
pub fn ended(over: &Over) -> Value {
    let finished = if over.success { "success" } else { "failure" };
    feedback(&over.action, "closed", finished, &over.detail)
}

#[cfg(test)]
mod tests;
