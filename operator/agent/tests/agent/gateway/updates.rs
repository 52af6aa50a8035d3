//! Firmware of the gateway of tests, by DDI.

use axum::{body::Body, response::Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Inner,
    answers::{Asked, invalid, json_answer, not_allowed, plus, problem, with},
    content::{self, Fault},
};

/// An action with its artifact.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    pub(crate) version: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// SHA-256 that is announced; none: the right one.
    pub(crate) sha256: Option<String>,
    /// Length that is announced; none: the right one.
    pub(crate) size: Option<u64>,
    /// Link that is announced; none: one on this gateway.
    pub(crate) link: Option<String>,
    /// Offered until the feedback that ends it, or for ever.
    pub(crate) for_ever: bool,
}

impl Artifact {
    pub(crate) fn new(version: &'static str) -> Self {
        Self {
            version,
            bytes: (0..200_000_u32).map(|at| (at % 251) as u8).collect(),
            sha256: None,
            size: None,
            link: None,
            for_ever: false,
        }
    }

    fn hash(&self) -> String {
        let right = || {
            Sha256::digest(&self.bytes)
                .iter()
                .fold(String::new(), |mut text, byte| {
                    use std::fmt::Write;
                    let _ = write!(text, "{byte:02x}");
                    text
                })
        };
        self.sha256.clone().unwrap_or_else(right)
    }
}

impl Inner {
    pub(crate) fn ddi(
        &mut self,
        asked: &Asked,
        namespace: &str,
        controller: &str,
        rest: &[&str],
    ) -> Response {
        let allowed = match rest {
            []
            | ["deploymentBase" | "cancelAction", _]
            | ["softwaremodules", _, "artifacts", _] => "GET",
            ["configData"] => "PUT",
            ["deploymentBase" | "cancelAction", _, "feedback"] => "POST",
            _ => return problem(404, "NotFound"),
        };
        if asked.method.as_str() != allowed {
            return not_allowed(allowed);
        }
        if !self.knows(asked, "TargetToken") {
            let realm = "TargetToken realm=\"entente\"";
            return plus(problem(401, "CredentialInvalid"), "www-authenticate", realm);
        }
        if namespace != "acme" || !["lobby-mfp", "lobby-mfp.firmware"].contains(&controller) {
            return problem(403, "DeviceMismatch");
        }
        if self.withdrawn {
            return problem(403, "ConsentWithdrawn");
        }
        match rest {
            [] => self.base(),
            ["configData"] => self.versions(asked),
            ["cancelAction", number, rest @ ..] => self.cancellation(asked, number, rest),
            ["deploymentBase", number] => self.deployment(number),
            ["deploymentBase", number, _] => self.feedback(asked, number),
            ["softwaremodules", number, ..] => self.artifact(asked, number),
            _ => problem(404, "ActionNotFound"),
        }
    }

    fn base(&self) -> Response {
        let base = format!("{}/acme/controller/v1/lobby-mfp", self.url);
        let mut links = json!({});
        if let Some(stop) = self.cancels {
            let href = format!("{base}/cancelAction/{}", stop + 1);
            links["cancelAction"] = json!({"href": href});
        } else if let Some((number, _)) = self.actions.first_key_value() {
            let href = format!("{base}/deploymentBase/{number}?c=1");
            links["deploymentBase"] = json!({"href": href});
            links["configData"] = json!({"href": format!("{base}/configData")});
        }
        json_answer(
            200,
            &json!({"config": {"polling": {"sleep": self.sleep}}, "_links": links}),
        )
    }

    fn versions(&mut self, asked: &Asked) -> Response {
        let body = match content::json(asked, "application/json") {
            Ok(body) => body,
            Err(response) => return *response,
        };
        let mut faults = Vec::new();
        if !["merge", "replace", "remove"].contains(&body["mode"].as_str().unwrap_or("merge")) {
            faults.push(Fault::new("/mode", "a mode"));
        }
        let Some(data) = body["data"].as_object() else {
            return invalid("InvalidRequest", &[Fault::new("/data", "versions")]);
        };
        let mut software = Vec::new();
        for (name, version) in data {
            let split = name.split_once('.');
            match (split, version.as_str()) {
                (Some((part, name)), Some(version)) => {
                    software.push(json!({"part": part, "name": name, "version": version}));
                }
                _ => faults.push(Fault::new(&format!("/data/{name}"), "a version")),
            }
        }
        if !faults.is_empty() {
            return invalid("InvalidRequest", &faults);
        }
        self.reported["software"] = Value::Array(software);
        with(200, &[], Body::empty())
    }

    fn cancellation(&mut self, asked: &Asked, number: &str, rest: &[&str]) -> Response {
        let Some(stop) = self.cancels.filter(|stop| (stop + 1).to_string() == number) else {
            return problem(404, "ActionNotFound");
        };
        if rest.is_empty() {
            let body = json!({"id": number, "cancelAction": {"stopId": stop.to_string()}});
            return json_answer(200, &body);
        }
        match content::json(asked, "application/json") {
            Ok(body) => self.feedback.push(body),
            Err(response) => return *response,
        }
        self.cancels = None;
        self.actions.remove(&stop);
        with(200, &[], Body::empty())
    }

    fn action(&self, number: &str) -> Option<&Artifact> {
        self.actions.get(&number.parse().ok()?)
    }

    fn deployment(&self, number: &str) -> Response {
        let Some(artifact) = self.action(number) else {
            return problem(404, "ActionNotFound");
        };
        let base = format!("{}/acme/controller/v1/lobby-mfp", self.url);
        let link = format!("{base}/softwaremodules/{number}/artifacts/a.swu");
        let link = artifact.link.clone().unwrap_or(link);
        let size = artifact.size.unwrap_or(artifact.bytes.len() as u64);
        let hashes = json!({"sha1": "0", "md5": "0", "sha256": artifact.hash()});
        json_answer(
            200,
            &json!({"id": number, "deployment": {
            "download": "forced", "update": "forced", "chunks": [
                {"part": "os", "name": "main", "version": artifact.version, "artifacts": [
                    {"filename": "a.swu", "hashes": hashes, "size": size,
                     "_links": {"download": {"href": link}}}]}]}}),
        )
    }

    fn feedback(&mut self, asked: &Asked, number: &str) -> Response {
        let body = match content::json(asked, "application/json") {
            Ok(body) => body,
            Err(response) => return *response,
        };
        let Some(artifact) = self.action(number) else {
            return problem(404, "ActionNotFound");
        };
        if body["status"]["execution"] == "closed" && !artifact.for_ever {
            self.actions.remove(&number.parse().unwrap());
        }
        self.feedback.push(body);
        with(200, &[], Body::empty())
    }

    fn artifact(&self, asked: &Asked, number: &str) -> Response {
        let Some(artifact) = self.action(number) else {
            return problem(404, "ArtifactNotFound");
        };
        let tag = format!("\"{}\"", artifact.hash());
        let whole = artifact.bytes.len();
        let range = asked.header("range").strip_prefix("bytes=");
        let from = range.and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
        let from = from.filter(|from| *from < whole && asked.header("if-range") == tag);
        let response = match from {
            Some(from) => {
                let range = format!("bytes {from}-{}/{whole}", whole - 1);
                let rest = artifact.bytes[from..].to_vec();
                with(206, &[("content-range", &range)], Body::from(rest))
            }
            None => with(200, &[], Body::from(artifact.bytes.clone())),
        };
        plus(plus(response, "etag", &tag), "accept-ranges", "bytes")
    }
}
