//! The body of a request: its media type, its length and its JSON.
//!
//! Decides whether a body is read at all; never what is in it. Called before every reader of a body.

use serde_json::Value;

use super::problem::Problem;
use crate::strict_json;

/// The most bytes of a body.
pub const MOST_BYTES: usize = 262_144;
/// The most levels of lists and objects in a body.
pub const LEVELS: usize = 32;
/// Media type of most bodies.
pub const JSON: &str = "application/json";
/// Media type of a report (RFC 7396).
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Media type of a batch of events (CloudEvents 1.0.2, HTTP binding, section 3.3).
pub const EVENTS: &str = "application/cloudevents-batch+json";

/// Judges the headers of a body: Content-Type, whose parameters do not count, and Content-Encoding.
///
/// # Errors
/// Returns the answer to a body of another media type, or to one with an encoding.
pub fn judge_type(
    content_type: Option<&str>,
    encoding: Option<&str>,
    expected: &'static str,
) -> Result<(), Problem> {
    let found = content_type.unwrap_or_default().split(';').next();
    let found = found.unwrap_or_default().trim();
    let is_encoded = encoding.is_some_and(|it| !it.trim().eq_ignore_ascii_case("identity"));
    if is_encoded || !found.eq_ignore_ascii_case(expected) {
        return Err(Problem::UnsupportedMediaType(expected));
    }
    Ok(())
}

/// Reads a body.
///
/// # Errors
/// Returns the answer to a body that is too long, is no JSON in UTF-8, has a member twice, or is too
/// deep.
pub fn read(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.len() > MOST_BYTES {
        return Err(Problem::TooLarge(MOST_BYTES));
    }
    // The words of the parser name a place and never quote the text.
    strict_json::read_within(bytes, LEVELS).map_err(|error| Problem::BadRequest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_of_a_media_type_do_not_count_and_an_encoding_does() {
        for (content_type, encoding, is_taken) in [
            (Some("application/json"), None, true),
            (
                Some("Application/JSON ; charset=utf-8"),
                Some("Identity"),
                true,
            ),
            (Some("application/json"), Some("gzip"), false),
            (Some("application/json"), Some(""), false),
            (Some("application/json-patch+json"), None, false),
            (Some("text/plain"), None, false),
            (Some(""), None, false),
            (None, None, false),
        ] {
            let judged = judge_type(content_type, encoding, JSON);
            assert_eq!(judged.is_ok(), is_taken, "{content_type:?} {encoding:?}");
        }
        assert!(judge_type(Some("application/json"), None, MERGE_PATCH).is_err());
    }

    // shows K4
    #[test]
    fn a_body_of_300_kib_one_of_33_levels_and_one_with_a_member_twice_are_refused() {
        let deep = "[".repeat(33) + &"]".repeat(33);
        for (body, status) in [
            (vec![b' '; 300 * 1024], 413),
            (deep.into_bytes(), 400),
            (br#"{"a":1,"a":2}"#.to_vec(), 400),
            (b"\"\xff\"".to_vec(), 400),
            (Vec::new(), 400),
        ] {
            assert_eq!(read(&body).unwrap_err().status(), status);
        }
    }
}
