//! The meaning of a response: status code, unsupported group and its tags together.
//!
//! Pure. Decides whether a request succeeded, was refused, or should be tried by an older version of
//! IPP; called by the driver with each answer. A device may report success and name our attribute as unsupported; it may refuse and give
//! the reason by a tag alone. No one sign is enough (RFC 3380 section 4.1, and servers that
//! differ).

use entente_domain::remote::{Failure, FailureKind};

use super::response::{NOT_SETTABLE, OPERATION_GROUP, Response, UNSUPPORTED, UNSUPPORTED_GROUP};
use crate::text::{NOT_SHOWN, PrivateTexts, quote};

/// client-error-bad-request.
const BAD_REQUEST: u16 = 0x0400;
/// client-error-not-found.
const NOT_FOUND: u16 = 0x0406;
/// client-error-gone.
const GONE: u16 = 0x0407;
const ATTRIBUTES_OR_VALUES_NOT_SUPPORTED: u16 = 0x040B;
/// client-error-ignored-all-subscriptions (RFC 3995 section 13.2).
const IGNORED_ALL_SUBSCRIPTIONS: u16 = 0x0414;
/// client-error-too-many-subscriptions (RFC 3995 section 13.3).
const TOO_MANY_SUBSCRIPTIONS: u16 = 0x0415;
/// server-error-busy.
const BUSY: u16 = 0x0507;
/// server-error-operation-not-supported.
const OPERATION_NOT_SUPPORTED: u16 = 0x0501;
/// server-error-version-not-supported.
const VERSION_NOT_SUPPORTED: u16 = 0x0503;

/// Status codes below this one are successes (RFC 8011 appendix B.1).
const FIRST_FAILURE: u16 = 0x0100;

/// Purpose of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'a> {
    /// Reads attributes.
    Read {
        /// Tag of the group without which the answer says nothing.
        group: Option<u8>,
    },
    /// Sets an attribute.
    Write {
        /// Its name.
        attribute: &'a str,
    },
    /// Subscribes to notifications, or fetches them.
    Notify {
        /// True if a subscription is made, changed or ended.
        writes: bool,
    },
}

impl Purpose<'_> {
    /// True if the device is to change something.
    pub(super) fn writes(self) -> bool {
        match self {
            Self::Read { .. } => false,
            Self::Write { .. } => true,
            Self::Notify { writes } => writes,
        }
    }
}

/// Meaning of the answer to a request by one version of IPP.
#[derive(Debug)]
pub(super) enum Ending<T> {
    /// A success of IPP.
    Success(T),
    /// A definite refusal, or no answer.
    Refusal(Failure),
    /// Neither: the device may understand another version, and has done nothing.
    Unclear(Failure),
}

/// Decides the meaning of a response to the request of an id; `None` stands for an answer that is
/// none of IPP.
pub(super) fn ending(
    response: Option<Response>,
    id: i32,
    purpose: Purpose<'_>,
    private: PrivateTexts<'_>,
) -> Ending<Response> {
    // A device that does not know the version may not know its header either.
    let may_be_foreign = |status| matches!(status, VERSION_NOT_SUPPORTED | BAD_REQUEST);
    let ours = |response: &Response| may_be_foreign(response.status) || response.answers(id);
    let Some(response) = response.filter(ours) else {
        return unreadable(purpose);
    };
    let judged = match purpose {
        Purpose::Read { .. } => of_reading(&response, private),
        Purpose::Write { attribute } => of_write(&response, &[attribute], private),
        Purpose::Notify { .. } => of_notifications(&response, private),
    };
    let is_unclear = response.status == VERSION_NOT_SUPPORTED
        || (response.status == BAD_REQUEST && !purpose.writes());
    match (judged, purpose) {
        (Err(failure), _) if is_unclear => Ending::Unclear(failure),
        (Err(failure), _) => Ending::Refusal(failure),
        (Ok(()), Purpose::Read { group: Some(group) }) if !response.has_group(group) => {
            Ending::Unclear(Failure::new(
                FailureKind::ProtocolError,
                "the device reports success and none of its attributes",
            ))
        }
        (Ok(()), _) => Ending::Success(response),
    }
}

/// Returns the ending of an answer that cannot be read as IPP, or is not one to our request.
fn unreadable(purpose: Purpose<'_>) -> Ending<Response> {
    let message = "the answer is not an IPP response that can be read";
    let failure = Failure {
        doubtful: purpose.writes(),
        ..Failure::new(FailureKind::ProtocolError, message)
    };
    if purpose.writes() {
        Ending::Refusal(failure)
    } else {
        Ending::Unclear(failure)
    }
}

/// True if a response says that the object is not there.
pub(super) fn is_not_found(response: Option<&Response>) -> bool {
    response.is_some_and(|response| response.status == NOT_FOUND)
}

/// Returns the failure of a host without a System Service: it has none of its operations.
pub(super) fn no_system() -> Failure {
    let name = status_name(OPERATION_NOT_SUPPORTED).unwrap_or_default();
    Failure::new(FailureKind::Unsupported, name)
}

/// Refuses a reading that cannot be used.
fn of_reading(response: &Response, private: PrivateTexts<'_>) -> Result<(), Failure> {
    if response.status < FIRST_FAILURE {
        return Ok(());
    }
    let kind = kind_of(response.status);
    let mut message = message(response, &[], private);
    if response.status == NOT_FOUND {
        message = format!("no printer is at the path of the URL: {message}");
    }
    Err(Failure::new(kind, message))
}

/// Refuses an answer about notifications that says nothing of them: what it says of a subscription is left
/// to the caller.
fn of_notifications(response: &Response, private: PrivateTexts<'_>) -> Result<(), Failure> {
    let about = subscription_refused(response).is_some() || response.status == BUSY;
    if response.status < FIRST_FAILURE || about {
        return Ok(());
    }
    let message = message(response, &[], private);
    Err(Failure::new(kind_of(response.status), message))
}

/// Meaning of a refusal for a subscription to notifications.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SubscriptionRefusal {
    /// There is none of that id.
    None,
    /// No further one is kept.
    TooMany,
    /// None of those in the request was made.
    Ignored,
}

/// Returns the meaning of a response for a subscription to notifications, if it refuses it as such.
pub(super) fn subscription_refused(response: &Response) -> Option<SubscriptionRefusal> {
    match response.status {
        NOT_FOUND | GONE => Some(SubscriptionRefusal::None),
        TOO_MANY_SUBSCRIPTIONS => Some(SubscriptionRefusal::TooMany),
        IGNORED_ALL_SUBSCRIPTIONS => Some(SubscriptionRefusal::Ignored),
        _ => None,
    }
}

/// Returns the failure of one subscription of a request (RFC 3995 section 5.2, "notify-status-code"): the
/// reason for which it alone was not made.
pub(super) fn of_one_subscription(status: u16) -> Failure {
    let name = status_name(status).map_or_else(|| format!("status 0x{status:04x}"), str::to_owned);
    let message = format!("the subscription to notifications was not made: {name}");
    Failure::new(kind_of(status), message)
}

/// True if a response says that the device is busy.
pub(super) fn is_busy(response: &Response) -> bool {
    response.status == BUSY
}

/// True if a status says that no further subscription is kept.
pub(super) fn is_too_many(status: u16) -> bool {
    status == TOO_MANY_SUBSCRIPTIONS
}

/// Decides whether a write of these attributes was accepted.
fn of_write(response: &Response, names: &[&str], private: PrivateTexts<'_>) -> Result<(), Failure> {
    let found = unsupported(response, names);
    let status = response.status;
    let worst = found
        .iter()
        .map(|(_, kind)| *kind)
        .max_by_key(|kind| gravity(*kind));
    let kind = match worst {
        Some(worst) if status < FIRST_FAILURE || status == ATTRIBUTES_OR_VALUES_NOT_SUPPORTED => {
            worst
        }
        _ if status < FIRST_FAILURE => return Ok(()),
        _ => kind_of(status),
    };
    let found: Vec<&str> = found.into_iter().map(|(name, _)| name).collect();
    Err(Failure {
        // A device that reports an error in the middle of the operation may have done half of it.
        doubtful: matches!(status, 0x0500 | 0x0502 | 0x0504 | 0x0505),
        ..Failure::new(kind, of_refused_write(response, kind, &found, private))
    })
}

/// Returns those of our attributes that the unsupported group names, each with the meaning of its
/// tag.
fn unsupported<'a>(response: &Response, names: &[&'a str]) -> Vec<(&'a str, FailureKind)> {
    response
        .attributes(UNSUPPORTED_GROUP)
        .filter_map(|attribute| {
            let name = names.iter().find(|name| **name == attribute.name())?;
            Some((*name, kind_of_tag(attribute.tag())))
        })
        .collect()
}

fn kind_of_tag(tag: u8) -> FailureKind {
    match tag {
        NOT_SETTABLE => FailureKind::RejectedNotSettable,
        UNSUPPORTED => FailureKind::Unsupported,
        _ => FailureKind::RejectedValue,
    }
}

/// Returns the rank of a failure. If a group has several, the highest is reported: the one that
/// another value cannot cure.
fn gravity(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Unsupported => 2,
        FailureKind::RejectedNotSettable => 1,
        _ => 0,
    }
}

fn kind_of(status: u16) -> FailureKind {
    match status {
        0x0401..=0x0403 => FailureKind::Unauthorized,
        ATTRIBUTES_OR_VALUES_NOT_SUPPORTED | 0x0409 | 0x040E => FailureKind::RejectedValue,
        0x0413 => FailureKind::RejectedNotSettable,
        OPERATION_NOT_SUPPORTED => FailureKind::Unsupported,
        0x0502 | 0x0505..=0x0507 => FailureKind::Busy,
        _ => FailureKind::ProtocolError,
    }
}

/// Returns the message for a write that failed. What is no refusal of a known kind is not quoted if
/// the request carried a secret.
fn of_refused_write(
    response: &Response,
    kind: FailureKind,
    named: &[&str],
    private: PrivateTexts<'_>,
) -> String {
    if kind == FailureKind::ProtocolError && private.has_a_tenants_secret() {
        return format!("{}; {NOT_SHOWN}", name_of(response, named));
    }
    message(response, named, private)
}

/// Returns "name-of-status (attribute): the device's words".
fn message(response: &Response, named: &[&str], private: PrivateTexts<'_>) -> String {
    let name = name_of(response, named);
    match status_message(response) {
        Some(words) => format!("{name}: {}", quote(&words, private)),
        None => name,
    }
}

/// Returns "name-of-status (attribute)".
fn name_of(response: &Response, named: &[&str]) -> String {
    let name = status_name(response.status).map_or_else(
        || format!("status 0x{:04x}", response.status),
        str::to_owned,
    );
    if named.is_empty() {
        name
    } else {
        format!("{name} ({})", named.join(", "))
    }
}

fn status_message(response: &Response) -> Option<String> {
    let attribute = response
        .attributes(OPERATION_GROUP)
        .find(|attribute| attribute.name() == "status-message")?;
    attribute.words().filter(|words| !words.is_empty())
}

/// Returns the keyword of a status code (RFC 8011 appendix B, RFC 3380 section 8.2).
fn status_name(status: u16) -> Option<&'static str> {
    Some(match status {
        0x0000 => "successful-ok",
        0x0001 => "successful-ok-ignored-or-substituted-attributes",
        0x0002 => "successful-ok-conflicting-attributes",
        0x0400 => "client-error-bad-request",
        0x0401 => "client-error-forbidden",
        0x0402 => "client-error-not-authenticated",
        0x0403 => "client-error-not-authorized",
        0x0404 => "client-error-not-possible",
        0x0405 => "client-error-timeout",
        0x0406 => "client-error-not-found",
        0x0407 => "client-error-gone",
        0x0408 => "client-error-request-entity-too-large",
        0x0409 => "client-error-request-value-too-long",
        0x040B => "client-error-attributes-or-values-not-supported",
        0x040D => "client-error-charset-not-supported",
        0x040E => "client-error-conflicting-attributes",
        0x0413 => "client-error-attributes-not-settable",
        0x0414 => "client-error-ignored-all-subscriptions",
        0x0415 => "client-error-too-many-subscriptions",
        0x0500 => "server-error-internal-error",
        0x0501 => "server-error-operation-not-supported",
        0x0502 => "server-error-service-unavailable",
        0x0503 => "server-error-version-not-supported",
        0x0504 => "server-error-device-error",
        0x0505 => "server-error-temporary-error",
        0x0506 => "server-error-not-accepting-jobs",
        0x0507 => "server-error-busy",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
