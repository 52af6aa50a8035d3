//! Feedback of a device about an action.
//!
//! Decides which state an action has by the words of the device. It proves nothing. Feedback may come
//! any number of times; only a change of state is written, so that a device which tells every percent
//! causes no writes. Called by the routes of DDI.

use entente_crds::v1alpha1::{DeploymentState, DeviceTwin, DeviceTwinStatus};
use jiff::Timestamp;
use serde_json::Value;

use super::{Controller, alive, state_of, stop_of, to_cancel, with_state};
use crate::gateway::{
    members::{Faults, kind, pointer},
    problem::Problem,
};

/// The most characters that are kept of the words of a device.
const MOST_WORDS: usize = 256;

/// State in which a client is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Execution {
    Closed,
    Canceled,
    Rejected,
    UnderWay,
}

const EXECUTIONS: [(&str, Execution); 8] = [
    ("closed", Execution::Closed),
    ("proceeding", Execution::UnderWay),
    ("canceled", Execution::Canceled),
    ("scheduled", Execution::UnderWay),
    ("rejected", Execution::Rejected),
    ("resumed", Execution::UnderWay),
    ("download", Execution::UnderWay),
    ("downloaded", Execution::UnderWay),
];

/// True for a result that is none.
const RESULTS: [(&str, bool); 3] = [("success", false), ("failure", true), ("none", false)];

/// Feedback that is well formed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Feedback {
    execution: Execution,
    is_failure: bool,
    words: Option<String>,
}

impl Feedback {
    /// Reads a body. Its id and its time do not count: the id is in the path, and the clock is ours.
    ///
    /// # Errors
    /// Returns the answer to a body that has faults, with all of them.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let status = member(body, "", "status", &mut faults);
        let result = status.and_then(|it| member(it, "/status", "result", &mut faults));
        let read = status.map(|status| {
            let execution = word(status, "/status", "execution", &EXECUTIONS, &mut faults);
            let words = words(status, &mut faults);
            (execution, words)
        });
        let finished =
            result.and_then(|it| word(it, "/status/result", "finished", &RESULTS, &mut faults));
        if let Some(problem) = faults.problem() {
            return Err(problem);
        }
        let (Some((Some(execution), words)), Some(is_failure)) = (read, finished) else {
            return Err(Problem::BadRequest("it is no feedback".to_owned()));
        };
        Ok(Self {
            execution,
            is_failure,
            words,
        })
    }

    /// Returns the status of a twin after this feedback about an installation; `None` if it changes
    /// nothing. The same end may be told again, since its answer may have been lost.
    ///
    /// # Errors
    /// Returns the answer to an action that there is not, or that is over.
    pub fn about_installation(
        &self,
        twin: &DeviceTwin,
        controller: Controller,
        action: Option<i64>,
        now: Timestamp,
    ) -> Result<Option<DeviceTwinStatus>, Problem> {
        let to = match self.execution {
            Execution::Closed if self.is_failure => DeploymentState::Failed,
            Execution::Closed => DeploymentState::Installed,
            Execution::Rejected => DeploymentState::Failed,
            Execution::Canceled => DeploymentState::Cancelled,
            Execution::UnderWay => DeploymentState::Downloading,
        };
        // One that is to be cancelled is alive until it ends.
        let is_stopping = action.is_some() && action == to_cancel(twin);
        let action = match alive(twin, controller, action) {
            Ok(found) => found.action,
            Err(problem) => match action {
                Some(action) if is_stopping || is_told_again(twin, action, to) => action,
                _ => return Err(problem),
            },
        };
        Ok(self.change(twin, action, to, now))
    }

    /// Returns the status of a twin after this feedback about a cancellation; `None` if it changes
    /// nothing, as when the device refuses: then the action goes on.
    ///
    /// # Errors
    /// Returns the answer to a cancellation that there is not, or that is over.
    pub fn about_cancellation(
        &self,
        twin: &DeviceTwin,
        number: Option<i64>,
        now: Timestamp,
    ) -> Result<Option<DeviceTwinStatus>, Problem> {
        let stop = stop_of(twin, number)?;
        let is_cancelled = match self.execution {
            Execution::Closed => !self.is_failure,
            Execution::Canceled => true,
            Execution::Rejected | Execution::UnderWay => false,
        };
        let to = DeploymentState::Cancelled;
        let is_pending = to_cancel(twin) == Some(stop);
        let is_again = is_cancelled && is_told_again(twin, stop, to);
        if !is_pending && !is_again {
            return Err(Problem::ActionOver);
        }
        Ok(is_cancelled
            .then(|| self.change(twin, stop, to, now))
            .flatten())
    }

    fn change(
        &self,
        twin: &DeviceTwin,
        action: i64,
        to: DeploymentState,
        now: Timestamp,
    ) -> Option<DeviceTwinStatus> {
        if state_of(twin, action).is_some_and(|state| state.state == to) {
            return None;
        }
        let words = self.words.as_deref();
        Some(with_state(twin, action, to, words, now))
    }
}

/// True if an action has ended like this before.
fn is_told_again(twin: &DeviceTwin, action: i64, to: DeploymentState) -> bool {
    state_of(twin, action).is_some_and(|state| state.state == to && to.is_over())
}

/// Returns a member that is an object; others of the same object are not looked at.
fn member<'a>(value: &'a Value, at: &str, name: &str, faults: &mut Faults) -> Option<&'a Value> {
    let Some(object) = value.as_object() else {
        faults.note(at, format!("it is {}", kind(value)), "an object");
        return None;
    };
    let at = pointer(at, name);
    match object.get(name) {
        Some(found) if found.is_object() => return Some(found),
        Some(found) => faults.note(&at, format!("it is {}", kind(found)), "an object"),
        None => faults.note(&at, "it is missing", "an object"),
    }
    None
}

/// Reads a word that has to be there.
pub(super) fn word<T: Copy>(
    value: &Value,
    at: &str,
    name: &str,
    words: &[(&str, T)],
    faults: &mut Faults,
) -> Option<T> {
    let found = value.get(name);
    let text = found.and_then(Value::as_str);
    let known = text.and_then(|text| words.iter().find(|(word, _)| *word == text));
    if known.is_none() {
        let detail = match (found, text) {
            (None, _) => "it is missing".to_owned(),
            (_, Some(text)) => format!("it is {}", crate::gateway::members::quoted(text)),
            (Some(found), None) => format!("it is {}", kind(found)),
        };
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        faults.note(&pointer(at, name), detail, &allowed.join(", "));
    }
    known.map(|(_, word)| *word)
}

/// Returns the last words of a device, cut.
fn words(status: &Value, faults: &mut Faults) -> Option<String> {
    let details = status.get("details")?;
    let texts = details.as_array().map(|all| all.iter().map(Value::as_str));
    let texts: Option<Option<Vec<&str>>> = texts.map(Iterator::collect);
    let Some(Some(texts)) = texts else {
        faults.note(
            "/status/details",
            "it is no list of texts",
            "a list of texts",
        );
        return None;
    };
    let last = texts
        .into_iter()
        .rev()
        .find(|text| !text.trim().is_empty())?;
    Some(last.chars().take(MOST_WORDS).collect())
}
