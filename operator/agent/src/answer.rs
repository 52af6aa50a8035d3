//! The meaning of an answer, apart from its content: what failed, and what the device does about it.
//!
//! Decides from status, headers and body alone. An answer that it does not understand
//! never counts as content: a broken or empty body is a failure, and the device keeps what it has.
//! Used by `http`.

use std::time::Duration;

use jiff::Timestamp;

use crate::{api::Problem, link::LinkFault, period::Period};

/// An answer with the headers that count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// `Date`, the gateway's clock.
    pub date: Option<Timestamp>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Retry-After` in seconds or as a date.
    pub retry_after: Option<Duration>,
    /// `Entente-Poll-Next`.
    pub poll_next: Option<Duration>,
    /// `Content-Type`.
    pub content_type: String,
    /// All headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, up to a bound.
    pub body: Vec<u8>,
}

/// Reason for which a request gave nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// No answer, or one that broke off.
    #[error("the gateway does not answer: {detail}")]
    Unreachable {
        /// Words of the client.
        detail: String,
    },
    /// The gateway, or something before it, cannot answer now.
    #[error("the gateway cannot answer now ({status} {detail})")]
    Unavailable {
        /// Status.
        status: u16,
        /// Reason or detail.
        detail: String,
        /// Wait that was requested.
        retry_after: Option<Duration>,
    },
    /// The credential is not accepted.
    #[error("the credential is not taken ({reason})")]
    Unauthorized {
        /// Reason.
        reason: String,
    },
    /// Consent was withdrawn.
    #[error("consent was withdrawn")]
    ConsentWithdrawn,
    /// The document has moved on.
    #[error("the desired document has moved on")]
    MovedOn,
    /// The gateway refuses the request.
    #[error("the gateway refuses ({status} {reason}): {detail}")]
    Refused {
        /// Status.
        status: u16,
        /// Reason.
        reason: String,
        /// Detail with the faults.
        detail: String,
    },
    /// A redirect, which is never followed.
    #[error("the gateway redirects ({status}); no redirect is followed")]
    Redirected {
        /// Status.
        status: u16,
    },
    /// An answer that cannot be understood.
    #[error("the answer is not understood: {detail}")]
    NotUnderstood {
        /// Fault that was found.
        detail: String,
    },
    /// A link that is not used.
    #[error(transparent)]
    Link(#[from] LinkFault),
}

impl Failure {
    /// Wait that the gateway requested.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Wait that was requested with 429; `None` for any other failure.
    pub fn throttled(&self) -> Option<Duration> {
        match self {
            Self::Unavailable {
                status: 429,
                retry_after,
                ..
            } => Some(retry_after.unwrap_or_default()),
            _ => None,
        }
    }

    /// True where only a person can help, so that the device polls rarely.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::Redirected { .. } | Self::Link(_)
        )
    }
}

/// Returns the answer if it is a success or `304`, else why it is none.
pub fn judged(answer: Answer) -> Result<Answer, Failure> {
    match answer.status {
        200..=299 | 304 => Ok(answer),
        _ => Err(failure(&answer)),
    }
}

fn failure(answer: &Answer) -> Failure {
    let problem = problem(answer).unwrap_or_default();
    let status = answer.status;
    match status {
        300..=399 => Failure::Redirected { status },
        401 => Failure::Unauthorized {
            reason: problem.reason,
        },
        403 if problem.reason == "ConsentWithdrawn" => Failure::ConsentWithdrawn,
        412 => Failure::MovedOn,
        408 | 425 | 429 | 500..=599 => Failure::Unavailable {
            status,
            detail: words(&problem),
            retry_after: answer.retry_after,
        },
        400..=499 => Failure::Refused {
            status,
            reason: problem.reason.clone(),
            detail: words(&problem),
        },
        _ => Failure::NotUnderstood {
            detail: format!("status {status}"),
        },
    }
}

/// Reads the problem of an answer, if its media type is that of one.
pub fn problem(answer: &Answer) -> Option<Problem> {
    let media = answer.content_type.split(';').next()?.trim();
    if !media.eq_ignore_ascii_case("application/problem+json") {
        return None;
    }
    serde_json::from_slice(&answer.body).ok()
}

fn words(problem: &Problem) -> String {
    let mut words = problem.detail.clone();
    for fault in problem.errors.iter().take(8) {
        let place = if fault.pointer.is_empty() {
            "the body"
        } else {
            &fault.pointer
        };
        let _ = std::fmt::Write::write_fmt(&mut words, format_args!("; {place}: {}", fault.detail));
        if let Some(allowed) = &fault.allowed {
            let _ = std::fmt::Write::write_fmt(&mut words, format_args!(" (allowed: {allowed})"));
        }
    }
    if !problem.missing.is_empty() {
        let legs = problem.missing.join(", ");
        let _ = std::fmt::Write::write_fmt(&mut words, format_args!("; missing: {legs}"));
    }
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(500)
        .collect()
}

/// Reads the body of a success.
pub fn body<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    let media = answer.content_type.split(';').next().unwrap_or("").trim();
    if media != "application/json" && media != "application/hal+json" {
        return Err(Failure::NotUnderstood {
            detail: format!("a body of type {media:?} where JSON belongs"),
        });
    }
    serde_json::from_slice(&answer.body).map_err(|error| Failure::NotUnderstood {
        detail: error.to_string(),
    })
}

/// Reads `Retry-After`: seconds, or a date, from which that of the answer is subtracted.
pub fn retry_after(text: &str, date: Option<Timestamp>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = date_of(text)?;
    Duration::try_from(until.duration_since(date?)).ok()
}

/// Reads an HTTP date.
pub fn date_of(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Timestamp::try_from(date).ok()
}

/// Reads `Entente-Poll-Next`.
pub fn poll_next(text: &str) -> Option<Duration> {
    Period::parse(text.trim()).map(|period| period.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status,
            content_type: content_type.into(),
            body: body.into(),
            ..Answer::default()
        }
    }

    const PROBLEM: &str = "application/problem+json";

    #[test]
    fn each_status_has_one_meaning() {
        let meaning = |status, body: &str| judged(answer(status, PROBLEM, body)).unwrap_err();
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(meaning(status, ""), Failure::Redirected { status });
        }
        assert!(matches!(meaning(401, ""), Failure::Unauthorized { .. }));
        assert_eq!(
            meaning(403, r#"{"reason":"ConsentWithdrawn"}"#),
            Failure::ConsentWithdrawn
        );
        assert!(matches!(
            meaning(403, r#"{"reason":"DeviceMismatch"}"#),
            Failure::Refused { status: 403, .. }
        ));
        assert_eq!(meaning(412, ""), Failure::MovedOn);
        for status in [408, 429, 500, 502, 503, 504] {
            let met = meaning(status, "<html>busy</html>");
            assert!(matches!(met, Failure::Unavailable { .. }), "{met:?}");
        }
        assert!(judged(answer(304, "", "")).is_ok());
        assert!(judged(answer(204, "", "")).is_ok());
    }

    #[test]
    fn a_fault_is_told_with_its_place_and_what_is_allowed() {
        let body = r#"{"reason":"UnknownTimeZone","detail":"one fault","errors":
            [{"pointer":"/timeZone","detail":"found \"Asia/Edo\"","allowed":"a name of the tz database"}]}"#;
        let met = judged(answer(422, PROBLEM, body)).unwrap_err().to_string();
        for part in ["/timeZone", "Asia/Edo", "a name of the tz database"] {
            assert!(met.contains(part), "{met}");
        }
    }

    #[test]
    fn retry_after_is_a_number_or_a_date_by_the_gateways_clock() {
        assert_eq!(retry_after("30", None), Some(Duration::from_secs(30)));
        let date = date_of("Sun, 06 Nov 1994 08:49:37 GMT");
        let later = "Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(retry_after(later, date), Some(Duration::from_mins(1)));
        assert_eq!(retry_after(later, None), None);
        for text in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after(text, date), None, "{text}");
        }
    }

    #[test]
    fn a_body_of_another_type_says_nothing() {
        let page = answer(
            200,
            "text/html",
            r#"{"services":[],"poll":{"next":"PT1H"}}"#,
        );
        let read: Result<crate::api::Services, _> = body(&page);
        assert!(matches!(read, Err(Failure::NotUnderstood { .. })));
    }
}
