//! Files that the gateway cannot serve: what the status of a twin says of them.
//!
//! Decides what is told, to which namespace, and what the status is after each look for the file of an
//! installation. One that is another action's, or that nobody waits for, is told no more. It must never
//! tell a namespace of a Connection or a URL that is not its own. Called by the routes of DDI.

use entente_crds::v1alpha1::{ArtifactFault, DeviceTwin, DeviceTwinStatus, TwinArtifact};
use jiff::Timestamp;

use super::ddi::is_wanted;
use crate::bounded::cut;

/// The most characters of a URL, and of the words of a fault, in a message.
const MOST_URL: usize = 500;
const MOST_DETAIL: usize = 200;

/// A file that cannot be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unavailable {
    /// Reason for which it cannot.
    pub reason: ArtifactFault,
    /// The URL of the file, as the DeviceModel has it.
    pub url: String,
    /// Name of the Connection through which it was asked for; `None` if there is none.
    pub connection: Option<String>,
    /// The fault in words, which ends without a dot.
    pub detail: String,
}

/// Result of a look for the file of an installation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look<'a> {
    /// It is there.
    There,
    /// It is on its way: nothing new is known.
    OnItsWay,
    /// It cannot be had.
    Unavailable(&'a Unavailable),
}

impl Unavailable {
    /// Returns the fault of a file to which no Connection leads.
    pub fn without_connection(url: &str) -> Self {
        Self {
            reason: ArtifactFault::NoConnection,
            url: url.to_owned(),
            connection: None,
            detail: String::new(),
        }
    }

    /// Returns the fault as one may see it who would fetch the file from this URL through this Connection:
    /// the words of another fetch of the same file are those of another Connection or server.
    #[must_use]
    pub fn seen_by(&self, url: &str, connection: &str) -> Self {
        let connection = connection.to_owned();
        if self.connection.as_ref() == Some(&connection) && self.url == url {
            return self.clone();
        }
        Self {
            reason: ArtifactFault::Busy,
            url: url.to_owned(),
            connection: Some(connection),
            detail: "the same file was asked for elsewhere, in vain".to_owned(),
        }
    }

    /// Returns the file, the Connection and the fault in words, and what a person can do.
    fn words(&self, namespace: &str) -> String {
        let url = cut(self.url.clone(), MOST_URL);
        let Some(connection) = &self.connection else {
            return format!(
                "no Connection of protocol HTTP that allows the namespace {namespace} leads to {url}; make \
                 one whose spec.http.url is the beginning of that URL and whose spec.allow has the namespace"
            );
        };
        let detail = cut(self.detail.clone(), MOST_DETAIL);
        let to_do = to_do(self.reason);
        format!(
            "{url} cannot be had through the Connection {connection} ({}): {detail}; {to_do}",
            self.reason.as_str()
        )
    }
}

/// Returns the words for the change by which a person ends a fault.
fn to_do(reason: ArtifactFault) -> &'static str {
    match reason {
        ArtifactFault::NoConnection => "make the Connection again",
        ArtifactFault::NotUsable => "see to the condition Ready of the Connection",
        ArtifactFault::AddressNotAllowed => {
            "add the address of the server to networks in spec.allow of the Connection"
        }
        ArtifactFault::Unreachable => "check the server and the URL",
        ArtifactFault::TimedOut => "check the server, or raise spec.timeouts of the Connection",
        ArtifactFault::TlsFailed => "check the certificate and spec.tls of the Connection",
        ArtifactFault::Unauthorized => "correct the Secret of the Connection",
        ArtifactFault::Busy => "it is asked for again by itself",
        ArtifactFault::WrongAnswer => {
            "check the file on the server, or correct artifact.url of the DeviceModel"
        }
        ArtifactFault::WrongSize => {
            "correct artifact.size of the DeviceModel, or the file on the server"
        }
        ArtifactFault::WrongDigest => {
            "correct artifact.sha256 of the DeviceModel, or the file on the server"
        }
        ArtifactFault::NoRoom | ArtifactFault::DiskFull => {
            "raise gateway.artifacts.mebibytes of the chart"
        }
        ArtifactFault::Disk | ArtifactFault::InternalError => "see the log of the gateway",
    }
}

/// Returns the status of a twin after a look for the file of this action; `None` if it stays as it is.
pub fn after_look(
    twin: &DeviceTwin,
    action: i64,
    look: Look<'_>,
    now: Timestamp,
) -> Option<DeviceTwinStatus> {
    if !is_wanted(twin, action) {
        return without_stale(twin);
    }
    let before = twin.status.clone().unwrap_or_default();
    let mut status = before.clone();
    let known = status.artifact.take().filter(|it| it.action == action);
    status.artifact = match look {
        Look::There => None,
        Look::OnItsWay => known,
        Look::Unavailable(fault) => {
            let namespace = twin.metadata.namespace.as_deref().unwrap_or_default();
            let same = known.filter(|it| it.reason == fault.reason);
            Some(TwinArtifact {
                action,
                reason: fault.reason,
                message: fault.words(namespace).into(),
                since: same.map_or(now, |it| it.since),
            })
        }
    };
    (status != before).then_some(status)
}

/// Returns the status of a twin without a fault that nobody waits for any more; `None` if it has none.
pub fn without_stale(twin: &DeviceTwin) -> Option<DeviceTwinStatus> {
    let status = twin.status.as_ref()?;
    let known = status.artifact.as_ref()?;
    (!is_wanted(twin, known.action)).then(|| DeviceTwinStatus {
        artifact: None,
        ..status.clone()
    })
}

#[cfg(test)]
mod tests;
