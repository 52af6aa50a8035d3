//! The API server's audit log, read back, so that tests and benches count writes and reads by user
//! and resource from outside, and not by the client's own count.
//!
//! It must never judge an event. The API server's own requests and health checks are not in the
//! log. Called by tests and benches through [`super::ControlPlane`].

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde::Deserialize;

use super::{AccessError, ControlPlane};

/// Time by which the log may be behind the answers.
const DEADLINE: Duration = Duration::from_secs(10);
/// Prefix of objects that are read only to find that point in the log again.
const MARK: &str = "audit-mark-";

/// Reason why the audit log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The control plane was started without one.
    #[error("there is no audit log: start the control plane with `Options {{ audit: true, .. }}`")]
    Off,
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The audit log.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A line is no event of `audit.k8s.io/v1`.
    #[error("unexpected line in the audit log: {line}")]
    Line {
        /// The line.
        line: String,
        /// Error of the parser.
        source: serde_json::Error,
    },
    /// The request that marks the end could not be sent.
    #[error("cannot mark the end of the audit log")]
    Mark {
        /// The client's reason.
        source: Box<AccessError>,
    },
    /// The request that marks the end was answered, but is not in the log.
    #[error("the audit log is more than {DEADLINE:?} behind")]
    Behind,
}

/// One request that was answered (a watch also when it began: see [`AuditEvent::stage`]).
/// Shape: `audit.k8s.io/v1` Event, level Metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The user, or the one that was impersonated.
    pub user: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Plural, such as `servicesubscriptions`; empty for a request without a resource (discovery).
    pub resource: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
    /// Empty for a request that names no namespace.
    pub namespace: String,
    /// Empty for a request on a collection; a create has it only if the client chose it.
    pub name: String,
    /// HTTP status; 0 if the connection ended without one.
    pub code: u16,
    /// `ResponseComplete`; a long-running request also has an earlier event `ResponseStarted`;
    /// `Panic`.
    pub stage: String,
    /// Path and query, which may have `dryRun=All` and `fieldManager=`.
    pub uri: String,
    /// Instant at which the request came.
    pub received: jiff::Timestamp,
}

impl AuditEvent {
    /// True for an answered request that could change something, refused or dry-run ones included.
    pub fn is_write(&self) -> bool {
        self.stage == "ResponseComplete"
            && ["create", "update", "patch", "delete", "deletecollection"]
                .contains(&self.verb.as_str())
    }
}

impl ControlPlane {
    /// Returns every request that was answered before this call, in the order of the answers.
    pub async fn audit_events(&self) -> Result<Vec<AuditEvent>, AuditError> {
        self.audit_events_since(0).await
    }

    /// Returns the position after every request that was answered before this call, for
    /// [`ControlPlane::audit_events_since`].
    pub async fn audit_position(&self) -> Result<u64, AuditError> {
        let path = self.audit_log.as_deref().ok_or(AuditError::Off)?;
        let end = length(path)?;
        Ok(end + self.settled(path, end).await?.len() as u64)
    }

    /// Returns every request that was answered between `position` and this call.
    pub async fn audit_events_since(&self, position: u64) -> Result<Vec<AuditEvent>, AuditError> {
        let path = self.audit_log.as_deref().ok_or(AuditError::Off)?;
        let text = self.settled(path, position).await?;
        let mut events = Vec::new();
        for line in text.lines() {
            let event: Line = serde_json::from_str(line).map_err(|source| AuditError::Line {
                line: line.to_owned(),
                source,
            })?;
            let event = AuditEvent::from(event);
            if !event.name.starts_with(MARK) {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Returns the log from `position`, up to a request that is sent now. The server writes an
    /// event shortly after the client has the answer; the mark bounds that.
    async fn settled(&self, path: &Path, position: u64) -> Result<String, AuditError> {
        let failed = |source| AuditError::Mark {
            source: Box::new(source),
        };
        let mark = format!("{MARK}{}-{}", std::process::id(), self.next_number());
        let objects: Api<ConfigMap> =
            Api::namespaced(self.client().await.map_err(failed)?, "default");
        objects.get_opt(&mark).await.map_err(|source| {
            failed(AccessError::Request {
                action: format!("ask for {mark}"),
                source: Box::new(source),
            })
        })?;
        let quoted = format!("/{mark}\"");
        let mut text = String::new();
        let late = tokio::time::Instant::now() + DEADLINE;
        loop {
            let searched = text.len();
            read_on(path, position, &mut text)?;
            if let Some(at) = text[searched..].find(&quoted) {
                let from = searched + at;
                let end = text[from..]
                    .find('\n')
                    .map_or(text.len(), |end| from + end + 1);
                text.truncate(end);
                return Ok(text);
            }
            if tokio::time::Instant::now() > late {
                return Err(AuditError::Behind);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn length(path: &Path) -> Result<u64, AuditError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        // The server makes it with the first event.
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(AuditError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Appends the complete lines that are after `position + text.len()`.
fn read_on(path: &Path, position: u64, text: &mut String) -> Result<(), AuditError> {
    if length(path)? == 0 {
        return Ok(());
    }
    let failed = |source| AuditError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(position + text.len() as u64))
        .map_err(failed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let complete = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    text.push_str(&String::from_utf8_lossy(&bytes[..complete]));
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    object_ref: ObjectReference,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: jiff::Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectReference {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<Line> for AuditEvent {
    fn from(line: Line) -> Self {
        Self {
            verb: line.verb,
            user: line.impersonated_user.unwrap_or(line.user).username,
            group: line.object_ref.api_group,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            code: line.response_status.code,
            stage: line.stage,
            uri: line.request_uri,
            received: line.request_received_timestamp,
        }
    }
}
