//! The meaning of a broker's answer: the tables of OSB 2.17 "Orphan Mitigation" and of each
//! operation, as one pure function.
//!
//! Only `error` and `description` of a broker's own error body are ever quoted.

use entente_domain::remote::{
    Catalog, Failure, FailureKind, InstanceReading, OperationState, ServerAnswer,
};
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Map, Value};

use crate::text::{NOT_SHOWN, PrivateTexts, quote};

/// Request to which the answer belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// GET /v2/catalog
    Catalog,
    /// GET /v2/service_instances/:id
    Fetch,
    /// PUT /v2/service_instances/:id
    Provision,
    /// PATCH /v2/service_instances/:id
    Update,
    /// GET /v2/service_instances/:id/last_operation
    LastOperation,
    /// DELETE /v2/service_instances/:id
    Deprovision,
}

impl Asked {
    /// True if the broker is to change something.
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Provision | Self::Update | Self::Deprovision)
    }

    /// Returns the length in bytes of the longest answer that is read. A catalog has the schemas of
    /// every plan.
    pub(super) fn most_bytes(self) -> usize {
        match self {
            Self::Catalog => 8 * 1024 * 1024,
            _ => 64 * 1024,
        }
    }
}

/// An answer that is no failure.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// 200 or 201: the request is done, with its body.
    Done {
        /// The body.
        body: Map<String, Value>,
        /// The broker's Retry-After.
        retry_after: Option<SignedDuration>,
    },
    /// 200 to a provision: the identical instance was there already.
    Existed,
    /// 202.
    UnderWay {
        /// The broker's id of the operation.
        operation: Option<String>,
        /// The broker's Retry-After.
        retry_after: Option<SignedDuration>,
    },
    /// 404 to a fetch, 410 to any of fetch, poll and deprovision: there is no such instance. OSB has
    /// no 410 for a fetch; some libraries have no other word for it (cloudfoundry/brokerapi#363).
    Missing,
    /// 404 to a deprovision, with a sentence about it.
    Unknown(String),
}

/// Words of a broker about a failure (OSB "Service Broker Errors", "Polling Last Operation").
struct Said {
    error: Option<String>,
    description: Option<String>,
    /// False if the same update would fail again (OSB `update_repeatable`).
    repeatable: bool,
    /// False if the instance cannot be used any more (OSB `instance_usable`).
    usable: bool,
}

impl Said {
    /// Reads a body. A field of another form than the standard's is one that is not there.
    fn of(body: &Map<String, Value>) -> Self {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let is_false = |field: &str| body.get(field) == Some(&Value::Bool(false));
        Self {
            error: text("error"),
            description: text("description"),
            repeatable: !is_false("update_repeatable"),
            usable: !is_false("instance_usable"),
        }
    }

    /// Forgets the broker's words, and keeps what they say of the instance.
    fn without_words(&mut self) {
        self.error = None;
        self.description = None;
    }

    /// Returns the sentence for people: the start, the broker's words or the sentence for none, and
    /// what the failed request did to the instance.
    fn sentence(&self, start: &str, none: String, private: PrivateTexts<'_>) -> String {
        let words = match (&self.error, &self.description) {
            (Some(error), Some(description)) => Some(format!("{error}: {description}")),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        let mut sentence = words.map_or(none, |words| format!("{start}{}", quote(&words, private)));
        if !self.repeatable {
            sentence.push_str("; the server says that the same update would fail again");
        }
        if !self.usable {
            sentence.push_str("; the server says that the instance cannot be used any more");
        }
        sentence
    }
}

/// Reads the table.
pub(super) fn judge(
    asked: Asked,
    status: StatusCode,
    body: &[u8],
    retry_after: Option<SignedDuration>,
    private: PrivateTexts<'_>,
) -> Result<Outcome, Failure> {
    let writes = asked.writes();
    let object = || serde_json::from_slice::<Map<String, Value>>(body).ok();
    let senseless = |doubtful: bool| Failure {
        doubtful,
        retry_after,
        ..Failure::new(
            FailureKind::ProtocolError,
            format!("HTTP {status}: the answer makes no sense"),
        )
    };
    let done = |body| Outcome::Done { body, retry_after };
    match (status.as_u16(), asked) {
        // A removal is judged by its code: a body that makes no sense takes nothing back.
        (202, Asked::Deprovision) => {
            let readable = object().and_then(|body| under_way(&body, retry_after));
            Ok(readable.unwrap_or(Outcome::UnderWay {
                operation: None,
                retry_after,
            }))
        }
        (200..=299, Asked::Deprovision) => Ok(done(object().unwrap_or_default())),
        // A malformed 200 to a provision leaves nothing to clean up (OSB "Orphan Mitigation"); that
        // to an update may have changed everything.
        (200, Asked::Provision) => object()
            .map(|_| Outcome::Existed)
            .ok_or_else(|| senseless(false)),
        (200, _) => object()
            .map(done)
            .ok_or_else(|| senseless(asked == Asked::Update)),
        (201, Asked::Provision) => object().map(done).ok_or_else(|| senseless(true)),
        (202, Asked::Provision | Asked::Update) => object()
            .and_then(|body| under_way(&body, retry_after))
            .ok_or_else(|| senseless(true)),
        (200..=299, _) => Err(senseless(writes)),
        (404 | 410, Asked::Fetch) | (410, Asked::Deprovision | Asked::LastOperation) => {
            Ok(Outcome::Missing)
        }
        (code, _) => {
            let mut said = Said::of(&object().unwrap_or_default());
            // Neither has a meaning in the errors of other requests.
            said.repeatable |= asked != Asked::Update;
            said.usable |= !matches!(asked, Asked::Update | Asked::Deprovision);
            let none = format!("the server answered HTTP {status}");
            let kind = kind(code, asked, &said);
            let is_odd = writes && kind == FailureKind::ProtocolError;
            let message = if is_odd && private.has_a_tenants_secret() {
                said.without_words();
                said.sentence("", format!("{none}; {NOT_SHOWN}"), private)
            } else {
                said.sentence(&format!("HTTP {status}: "), none, private)
            };
            if (code, asked) == (404, Asked::Deprovision) {
                return Ok(Outcome::Unknown(message));
            }
            Err(Failure {
                retry_after,
                doubtful: writes && (500..=599).contains(&code),
                repeatable: said.repeatable,
                ..Failure::new(kind, message)
            })
        }
    }
}

fn kind(code: u16, asked: Asked, said: &Said) -> FailureKind {
    match code {
        422 if said.error.as_deref() == Some("ConcurrencyError") => FailureKind::Concurrent,
        422 if said.error.as_deref() == Some("MaintenanceInfoConflict") => {
            FailureKind::CatalogOutdated
        }
        // There is no such operation, or not any more.
        404 if asked == Asked::LastOperation => FailureKind::Unsupported,
        400 | 422 => FailureKind::RejectedValue,
        401 | 403 => FailureKind::Unauthorized,
        408 => FailureKind::TimedOut,
        409 => FailureKind::Conflict,
        429 => FailureKind::Busy,
        _ => FailureKind::ProtocolError,
    }
}

/// The largest number of characters of an operation's id (OSB "Asynchronous Operations").
const MOST_OPERATION: usize = 10_000;

/// Returns the outcome of a 202: under way, with the id of the operation if there is one. `None` if
/// the id is no text, which makes no sense.
fn under_way(body: &Map<String, Value>, retry_after: Option<SignedDuration>) -> Option<Outcome> {
    let operation = match body.get("operation") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if id.chars().nth(MOST_OPERATION).is_none() => Some(id.clone()),
        Some(_) => return None,
    };
    Some(Outcome::UnderWay {
        operation,
        retry_after,
    })
}

/// Returns the answer to a write.
pub(super) fn of_write(outcome: Outcome) -> ServerAnswer {
    match outcome {
        Outcome::Done { .. } | Outcome::Missing => ServerAnswer::Done,
        Outcome::Existed => ServerAnswer::Existed,
        Outcome::UnderWay {
            operation,
            retry_after,
        } => ServerAnswer::UnderWay {
            operation,
            retry_after,
        },
        Outcome::Unknown(message) => ServerAnswer::Absent { message },
    }
}

fn senseless(what: &str, retry_after: Option<SignedDuration>) -> Failure {
    Failure {
        retry_after,
        ..Failure::new(
            FailureKind::ProtocolError,
            format!("the {what} that the server sent makes no sense"),
        )
    }
}

/// Returns the answer to a fetch (OSB "Fetching a Service Instance").
pub(super) fn instance(outcome: Outcome) -> Result<InstanceReading, Failure> {
    let Outcome::Done {
        mut body,
        retry_after,
    } = outcome
    else {
        return Ok(InstanceReading::Absent);
    };
    let senseless = || senseless("instance", retry_after);
    let mut text = |key: &str| match body.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(senseless()),
    };
    let (service_id, plan_id) = (text("service_id")?, text("plan_id")?);
    let parameters = match body.remove("parameters") {
        None | Some(Value::Null) => None,
        Some(Value::Object(parameters)) => Some(parameters),
        Some(_) => return Err(senseless()),
    };
    Ok(InstanceReading::Present {
        service_id,
        plan_id,
        parameters,
    })
}

/// Returns the state of an operation (OSB "Polling Last Operation for Service Instances").
pub(super) fn operation_state(
    outcome: &Outcome,
    private: PrivateTexts<'_>,
) -> Result<OperationState, Failure> {
    let Outcome::Done { body, retry_after } = outcome else {
        return Ok(OperationState::Gone);
    };
    match body.get("state").and_then(Value::as_str) {
        Some("in progress") => Ok(OperationState::InProgress {
            retry_after: *retry_after,
        }),
        Some("succeeded") => Ok(OperationState::Succeeded),
        Some("failed") => {
            let said = Said {
                error: None,
                ..Said::of(body)
            };
            let none = "the operation failed, and the server does not say why".to_owned();
            Ok(OperationState::Failed(Failure {
                retry_after: *retry_after,
                repeatable: said.repeatable,
                ..Failure::of_operation(said.sentence("", none, private))
            }))
        }
        _ => Err(senseless("state", *retry_after)),
    }
}

/// Returns the catalog (OSB "Catalog Management").
pub(super) fn catalog(outcome: &Outcome, private: PrivateTexts<'_>) -> Result<Catalog, Failure> {
    let Outcome::Done { body, retry_after } = outcome else {
        return Err(senseless("catalog", None));
    };
    super::catalog::read(body, private).ok_or_else(|| senseless("catalog", *retry_after))
}

#[cfg(test)]
mod tests;
