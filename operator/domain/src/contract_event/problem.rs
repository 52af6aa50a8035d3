//! Answers to requests that do not become an object (RFC 9457).
//!
//! Decides status, title and detail. A detail must never have a part of the body but for the names of
//! its fields, the values that are allowed, and what the API server says of a field, bounded.

use entente_crds::bounded::cut;
use serde_json::{Value, json};

use super::{MEDIA_TYPE, MOST_BYTES, is_label};

/// The most faults that an answer has.
const MOST_FAULTS: usize = 32;

/// A fault of one field of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) of the field in the event.
    pub pointer: String,
    /// One sentence with what is allowed.
    pub detail: String,
}

/// The answer to a request that did not become an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The status of HTTP.
    pub status: u16,
    /// The word for it: a reason of Entente or of Kubernetes.
    pub reason: &'static str,
    /// One sentence for people.
    pub detail: String,
    /// The faults, each with its field.
    pub faults: Vec<Fault>,
    /// Seconds after which the request may succeed.
    pub retry_after: Option<u32>,
}

/// Returns the beginning of a text that comes from outside, as a person may read it.
pub(super) fn told(text: &str, most: usize) -> String {
    cut(text.chars().take(most).collect(), most)
}

impl Problem {
    fn new(status: u16, reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            detail: detail.into(),
            faults: Vec::new(),
            retry_after: None,
        }
    }

    /// Returns the answer to a body that is too large.
    pub fn too_large() -> Self {
        let detail = format!("The body must have at most {MOST_BYTES} bytes.");
        Self::new(413, "TooLarge", detail)
    }

    pub(super) fn media_type(found: &str) -> Self {
        let found = told(found, 64);
        let detail = format!("Content-Type is \"{found}\": must be {MEDIA_TYPE}.");
        Self::new(415, "UnsupportedMediaType", detail)
    }

    pub(super) fn no_json(why: &str) -> Self {
        Self::new(
            400,
            "BadRequest",
            format!("The body is no event in JSON: {why}."),
        )
    }

    pub(super) fn invalid(mut faults: Vec<Fault>) -> Self {
        let detail = match faults.len() {
            1 => "The event has a fault.".to_owned(),
            count => format!("The event has {count} faults."),
        };
        faults.truncate(MOST_FAULTS);
        Self {
            faults,
            ..Self::new(422, "Invalid", detail)
        }
    }

    /// Returns the answer to a request without a valid token.
    pub fn unauthorized() -> Self {
        let detail = "The token in the header Authorization is missing, has expired, was revoked, or is not for the audience entente (kubectl create token NAME --audience=entente).";
        Self::new(401, "Unauthorized", detail)
    }

    /// Returns the answer to one who may not make the object.
    pub fn forbidden(user: &str, resource: &str, namespace: &str) -> Self {
        let detail =
            format!("{user} may not create {resource}.entente.dev in the namespace {namespace}.");
        Self::new(403, "Forbidden", detail)
    }

    /// Returns the answer to an object that the API server forbids: a quota, a policy, a namespace
    /// that is being deleted.
    pub(super) fn refused(message: &str) -> Self {
        let detail = format!("The API server refused the object: {message}");
        Self::new(403, "Forbidden", detail)
    }

    /// Returns the answer to a path that is none of the endpoint.
    pub fn not_found() -> Self {
        let detail = "Events are sent to /v1/namespaces/{namespace}/events.";
        Self::new(404, "NotFound", detail)
    }

    /// Returns the answer to a method that the path does not have.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "Events are sent by POST.")
    }

    /// Returns the answer to a body that did not come in time.
    pub fn timeout(seconds: u64) -> Self {
        let detail = format!("The body was not whole within {seconds} s.");
        Self::new(408, "Timeout", detail)
    }

    /// Returns the answer to a body that broke off.
    pub fn broken() -> Self {
        Self::no_json("it broke off")
    }

    /// Returns the answer to a namespace that does not exist, or that can be none.
    pub fn namespace_not_found(namespace: &str) -> Self {
        let detail = if is_label(namespace) {
            format!("There is no namespace {namespace}.")
        } else {
            "The namespace in the path is no name of a namespace.".to_owned()
        };
        Self::new(404, "NamespaceNotFound", detail)
    }

    /// Returns the answer to an event of a contract that does not exist.
    pub fn contract_not_found(contract: &str, namespace: &str) -> Self {
        let detail = format!("There is no Contract {contract} in the namespace {namespace}.");
        Self::new(404, "ContractNotFound", detail)
    }

    /// Returns the answer to an event whose object exists with another content.
    pub(super) fn another_content(kind: &str, name: &str) -> Self {
        let detail = format!(
            "{kind} {name} is that of an event with this id and source that said something else. Send \
             exactly the same event again, also with the same time, or another one with an id of its \
             own."
        );
        Self::new(409, "Conflict", detail)
    }

    /// Returns the answer to a contract that was signed with another content.
    pub(super) fn signed_otherwise(contract: &str) -> Self {
        let detail = format!(
            "Contract {contract} was signed with another content, and no event changes what was \
             signed. Correct it with kubectl, or send a change for a day after its start."
        );
        Self::new(409, "Conflict", detail)
    }

    /// Returns the answer to a signed contract whose name others use.
    pub(super) fn owned_elsewhere(contract: &str) -> Self {
        let detail = format!(
            "Contract {contract} was not signed by an event: a person or a pipeline keeps its spec. \
             Events that start, change or end it are taken."
        );
        Self::new(409, "ContractOwnedElsewhere", detail)
    }

    /// Returns the answer while the API server does not answer or too much is asked.
    pub fn unavailable(seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                503,
                "Unavailable",
                "The event was not taken; send it again.",
            )
        }
    }

    /// Returns the body of the answer, of the media type `application/problem+json`.
    pub fn body(&self) -> Value {
        let faults = self.faults.iter();
        let faults: Vec<Value> = faults
            .map(|fault| json!({"pointer": fault.pointer, "detail": fault.detail}))
            .collect();
        let mut body = json!({
            "type": "about:blank",
            "title": self.reason,
            "status": self.status,
            "detail": self.detail,
        });
        if !faults.is_empty() {
            body["errors"] = json!(faults);
        }
        body
    }
}
