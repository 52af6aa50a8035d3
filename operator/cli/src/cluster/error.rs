//! Errors of the cluster, each with what was asked for and of whom.

use kube::client::AuthError;
use kube::config::KubeconfigError;

use super::kubeconfig::fault_of_field;

/// Reason why the cluster gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// There is no kubeconfig, or it cannot be used.
    #[error("{from} cannot be used: {message}")]
    Kubeconfig { from: String, message: String },
    /// The client could not be made.
    #[error("no client for {server}: {}", told(source))]
    Client {
        server: String,
        source: Box<kube::Error>,
    },
    /// Nobody answered.
    #[error("the API server {server} does not answer: {}", told(source))]
    Silent {
        server: String,
        source: Box<kube::Error>,
    },
    /// The caller may not do that.
    #[error("you may not {verb} {what}: {message}")]
    Forbidden {
        verb: &'static str,
        what: String,
        message: String,
    },
    /// The kind is not served.
    #[error("the kind {kind} of entente.dev/v1alpha1 is not installed on {server}")]
    NotInstalled { kind: String, server: String },
    /// There is no such object.
    #[error("{what} does not exist{}", instead(others))]
    NotFound { what: String, others: Vec<String> },
    /// The API server refused the request.
    #[error("cannot {verb} {what}: {message}")]
    Refused {
        verb: &'static str,
        what: String,
        message: String,
    },
    /// The object has fields that this version cannot read.
    #[error("{what} cannot be read by this version of the plugin: {message}")]
    Unreadable { what: String, message: String },
}

impl ClusterError {
    /// Returns the error of an object that this version cannot read.
    pub(crate) fn unreadable(what: String, error: &serde_json::Error) -> Self {
        let message = error.to_string();
        Self::Unreadable { what, message }
    }

    /// True if it is about one kind only, so that others may still be read.
    pub(crate) fn is_partial(&self) -> bool {
        matches!(
            self,
            Self::Forbidden { .. } | Self::NotInstalled { .. } | Self::Refused { .. }
        )
    }
}

/// Returns an error with its causes, each once. What a program for credentials printed is no part of it:
/// that is the credential.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(fault) = fault_of_credentials(error) {
        return fault;
    }
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = source.source();
    }
    text
}

/// Returns an error about the caller's credentials, if it is one whose words have the credentials in them.
fn fault_of_credentials(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let of_field = match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::InferKubeconfig(error)) => fault_of_field(error),
            _ => error
                .downcast_ref::<KubeconfigError>()
                .and_then(fault_of_field),
        };
        if of_field.is_some() {
            return of_field;
        }
        let auth = match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Auth(auth)) => Some(auth),
            _ => error.downcast_ref::<AuthError>(),
        };
        match auth {
            Some(AuthError::AuthExecRun { out, .. }) => {
                let status = out.status;
                return Some(format!(
                    "the program for the credentials of the user failed with {status}; run it by \
                     itself to see what it says"
                ));
            }
            Some(AuthError::AuthExecParse(error)) => {
                let place = error.location().map_or_else(String::new, |at| {
                    format!(" at line {} column {}", at.line(), at.column())
                });
                return Some(format!(
                    "what the program for the credentials of the user printed is no ExecCredential{place}"
                ));
            }
            _ => next = error.source(),
        }
    }
    None
}

fn instead(others: &[String]) -> String {
    const SHOWN: usize = 5;
    match others.len() {
        0 => String::new(),
        count => {
            let first: Vec<&str> = others.iter().take(SHOWN).map(String::as_str).collect();
            let more = match count.saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("; there are {}{more}", first.join(", "))
        }
    }
}
