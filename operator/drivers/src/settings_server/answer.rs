//! The meaning of an answer of a settings distribution server that is no document.
//!
//! Pure: one table from statuses and problems (RFC 9457) to failures. Only `detail`, `title` and the
//! faults of a problem are ever quoted. Called by the driver.

use entente_domain::remote::{Failure, FailureKind};
use http::StatusCode;
use serde::Deserialize;

use crate::refusal;
use crate::text::{Gate, NOT_SHOWN, PrivateTexts};
use crate::transport::Answer;

/// Words of a server about a request or an operation without success.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    /// The reason in one word, for programs.
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    errors: Vec<Fault>,
}

/// One fault of a value.
#[derive(Clone, Debug, Default, Deserialize)]
struct Fault {
    #[serde(default)]
    detail: Option<String>,
}

/// State of an operation.
#[derive(Debug)]
pub(super) enum OperationState {
    /// It is under way.
    Running,
    /// It is made.
    Succeeded,
    /// It ended without success.
    Failed(Failure),
}

/// The status of an operation, as its URL tells it.
#[derive(Debug, Deserialize)]
struct OperationStatus {
    state: String,
    #[serde(default)]
    problem: Option<Problem>,
}

impl Problem {
    fn of(answer: &Answer) -> Option<Self> {
        serde_json::from_slice(&answer.body).ok()
    }

    /// Returns the words that are shown, most telling first; `None` where there are none.
    fn words(&self, gate: &Gate<'_>) -> Option<String> {
        let faults = self.errors.iter().filter_map(|it| it.detail.as_deref());
        let words = self.detail.as_deref().or(self.title.as_deref());
        let all: Vec<&str> = words.into_iter().chain(faults.take(2)).collect();
        (!all.is_empty()).then(|| gate.quote(&all.join("; ")))
    }

    /// Returns the kind that its reason says.
    fn kind(&self) -> Option<FailureKind> {
        match self.reason.as_deref()? {
            "ReadOnly" => Some(FailureKind::RejectedNotSettable),
            "UnknownSetting" | "Unsupported" => Some(FailureKind::Unsupported),
            "InvalidValue" => Some(FailureKind::RejectedValue),
            "InFlight" => Some(FailureKind::Concurrent),
            "Busy" => Some(FailureKind::Busy),
            _ => None,
        }
    }

    /// Returns the failure of an operation that ended so.
    pub(super) fn failure(&self, start: &str, gate: &Gate<'_>) -> Failure {
        let kind = self.kind().unwrap_or(FailureKind::RejectedValue);
        let words = self.words(gate);
        let none = || "the operation failed, and the server does not say why".to_owned();
        let message = words.map_or_else(none, |words| format!("{start}{words}"));
        Failure::new(kind, message)
    }
}

/// Returns the state of an operation; `None` if the answer does not tell it.
pub(super) fn operation_state(
    answer: &Answer,
    private: PrivateTexts<'_>,
) -> Option<OperationState> {
    if answer.status != StatusCode::OK {
        return None;
    }
    let status: OperationStatus = serde_json::from_slice(&answer.body).ok()?;
    match status.state.as_str() {
        "Running" => Some(OperationState::Running),
        "Succeeded" => Some(OperationState::Succeeded),
        "Failed" => {
            let problem = status.problem.unwrap_or_default();
            let failure = problem.failure("", &private.gate());
            Some(OperationState::Failed(failure))
        }
        _ => None,
    }
}

/// Returns the failure of a reading that was not answered with a document.
pub(super) fn failure_of_reading(answer: &Answer, private: PrivateTexts<'_>) -> Failure {
    let message = match answer.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let message =
                "the settings distribution server knows no device with this serial number";
            Some((FailureKind::ProtocolError, message.to_owned()))
        }
        status if status.is_success() => {
            let message = format!("HTTP {status}: the answer makes no sense");
            Some((FailureKind::ProtocolError, message))
        }
        _ => None,
    };
    let (kind, message) = message.unwrap_or_else(|| of_status(answer, private, false));
    Failure {
        retry_after: answer.retry_after,
        ..Failure::new(kind, message)
    }
}

/// Returns the failure of a write that was not accepted.
pub(super) fn failure_of_write(answer: &Answer, private: PrivateTexts<'_>) -> Failure {
    let (kind, message) = of_status(answer, private, true);
    let status = answer.status;
    let may_have_acted = status.is_success() || status.is_server_error();
    Failure {
        retry_after: answer.retry_after,
        doubtful: may_have_acted && kind != FailureKind::Busy,
        ..Failure::new(kind, message)
    }
}

fn of_status(answer: &Answer, private: PrivateTexts<'_>, writes: bool) -> (FailureKind, String) {
    let status = answer.status;
    let code = status.as_u16();
    let problem = Problem::of(answer).unwrap_or_default();
    let kind = match code {
        401 | 403 => FailureKind::Unauthorized,
        408 => FailureKind::TimedOut,
        429 | 503 => FailureKind::Busy,
        409 => problem.kind().unwrap_or(FailureKind::Concurrent),
        404 | 410 if writes => problem.kind().unwrap_or(FailureKind::Unsupported),
        405 if writes => FailureKind::RejectedNotSettable,
        422 if writes => problem.kind().unwrap_or(FailureKind::RejectedValue),
        400 if writes => problem.kind().unwrap_or(FailureKind::ProtocolError),
        _ => FailureKind::ProtocolError,
    };
    let none = || refusal::of(refusal::SETTINGS_SERVER, answer, private);
    if code == 401 || answer.redirect.is_some() {
        return (kind, none());
    }
    // An odd answer may hold a secret of the request in a spelling that nobody thought of.
    let is_odd = writes && kind == FailureKind::ProtocolError && private.has_a_tenants_secret();
    if is_odd {
        return (kind, format!("{}; {NOT_SHOWN}", none()));
    }
    let words = problem.words(&private.gate());
    let message = words.map_or_else(none, |words| format!("HTTP {status}: {words}"));
    (kind, message)
}

#[cfg(test)]
mod tests;
