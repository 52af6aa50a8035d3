//! The answers of DDI: base, deployment and cancellation.
//!
//! Decides nothing but their form. Called by the routes of DDI.

use entente_crds::v1alpha1::SoftwarePart;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{Installation, Offer, file_name};

/// The longest time that a client reads: as a time of day.
const LONGEST_SLEEP: i64 = 24 * 3600 - 1;

/// The beginning of all links of a controller.
#[derive(Clone, Debug)]
pub struct Links {
    /// URL of the controller on this gateway, without a slash at its end.
    pub controller: String,
    /// True if it is served without TLS, for which clients have a name of its own.
    pub is_plain: bool,
}

/// Digests of a file in lower case hexadecimal, as the gateway has computed them.
#[derive(Clone, Copy, Debug)]
pub struct Digests<'a> {
    /// SHA-1.
    pub sha1: &'a str,
    /// MD5.
    pub md5: &'a str,
    /// SHA-256.
    pub sha256: &'a str,
}

/// Returns a time as DDI writes it.
pub fn sleep(length: SignedDuration) -> String {
    let seconds = length.as_secs().clamp(1, LONGEST_SLEEP);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// Returns the answer to a device that asks what there is to do.
pub fn base(offer: Offer<'_>, links: &Links, next: SignedDuration) -> Value {
    let controller = &links.controller;
    let mut tasks = Map::new();
    let mut task = |name: &str, path: String| {
        let link = json!({ "href": format!("{controller}/{path}") });
        tasks.insert(name.to_owned(), link);
    };
    if offer.config_data {
        task("configData", "configData".to_owned());
    }
    if let Some(stop) = offer.cancel {
        task("cancelAction", format!("cancelAction/{stop}"));
    }
    if let Some(installation) = offer.installation {
        let path = format!("deploymentBase/{}", installation.action);
        task("deploymentBase", path);
    }
    let mut body = json!({ "config": { "polling": { "sleep": sleep(next) } } });
    if !tasks.is_empty() {
        body["_links"] = Value::Object(tasks);
    }
    body
}

/// Returns the answer to a device that reads an action.
pub fn deployment(installation: Installation<'_>, digests: Digests<'_>, links: &Links) -> Value {
    let part = match installation.part {
        SoftwarePart::Firmware => "os",
        SoftwarePart::Application => "bApp",
    };
    let (number, file) = (installation.action, file_name(installation));
    let controller = &links.controller;
    let link = format!("{controller}/softwaremodules/{number}/artifacts/{file}");
    let name = if links.is_plain {
        "download-http"
    } else {
        "download"
    };
    json!({
        "id": number.to_string(),
        "deployment": {
            "download": "forced",
            "update": "forced",
            "chunks": [{
                "part": part,
                "name": installation.name,
                "version": installation.version,
                "artifacts": [{
                    "filename": file,
                    "hashes": {
                        "sha1": digests.sha1,
                        "md5": digests.md5,
                        "sha256": digests.sha256,
                    },
                    "size": installation.artifact.size,
                    "_links": { name: { "href": link } },
                }],
            }],
        },
    })
}

/// Returns the answer to a device that reads a cancellation.
pub fn cancellation(stop: i64) -> Value {
    let stop = stop.to_string();
    json!({ "id": stop, "cancelAction": { "stopId": stop } })
}
