//! Rules for answers: those for every answer, and the parts of which the rules of cases are made.
//!
//! Decides from an answer alone; a fault names what was found and what is required.

use serde_json::Value;

use crate::answer::{self, Answer};

/// Result of a rule.
pub type Held = Result<(), String>;

/// Longest part of a body that is shown.
const SHOWN: usize = 300;

/// The rules for every answer: a clock, problems in their form, and a time to come again.
pub fn every(answer: &Answer) -> Held {
    if answer.date.is_none() {
        return Err("there is no header Date that can be read".into());
    }
    if answer.status >= 300 && answer.status != 304 && answer.status < 400 {
        return Err(format!(
            "a redirect ({}), which there is never",
            answer.status
        ));
    }
    if answer.status >= 400 {
        problem(answer)?;
    }
    if matches!(answer.status, 429 | 503) && answer.retry_after.is_none() {
        return Err(format!("{} without Retry-After in seconds", answer.status));
    }
    Ok(())
}

/// A problem in the form of the gateway.
fn problem(answer: &Answer) -> Held {
    let Some(problem) = answer::problem(answer) else {
        let media = &answer.content_type;
        return Err(format!(
            "the body is no application/problem+json, but {media:?}"
        ));
    };
    let kind = format!("https://entente.dev/problems/{}", kebab(&problem.reason));
    if problem.reason.is_empty() || problem.r#type != kind {
        return Err(format!("type is {:?} and not {kind:?}", problem.r#type));
    }
    if problem.status != answer.status {
        return Err(format!("status is {} in the body", problem.status));
    }
    if problem.title.is_empty() || problem.detail.is_empty() {
        return Err("title or detail is empty".into());
    }
    for fault in &problem.errors {
        let is_pointer = fault.pointer.is_empty() || fault.pointer.starts_with('/');
        if !is_pointer || fault.detail.is_empty() {
            return Err(format!(
                "{:?} is no JSON pointer with a detail",
                fault.pointer
            ));
        }
    }
    Ok(())
}

/// `RegionUnknown` as `region-unknown`.
pub fn kebab(reason: &str) -> String {
    let mut kebab = String::new();
    for letter in reason.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// A status.
pub fn status(answer: &Answer, required: u16) -> Held {
    if answer.status == required {
        return Ok(());
    }
    let reason = answer::problem(answer).map_or(String::new(), |problem| problem.reason);
    Err(format!(
        "status {} {reason} and not {required}",
        answer.status
    ))
}

/// A status with a reason.
pub fn refused(answer: &Answer, required: u16, reason: &str) -> Held {
    status(answer, required)?;
    let found = answer::problem(answer).unwrap_or_default().reason;
    if found == reason {
        return Ok(());
    }
    Err(format!("reason {found} and not {reason}"))
}

/// A refusal of content that points at a place.
pub fn pointed(answer: &Answer, reason: &str, pointers: &[&str]) -> Held {
    refused(answer, 422, reason)?;
    let problem = answer::problem(answer).unwrap_or_default();
    let found: Vec<&str> = problem.errors.iter().map(|fault| &*fault.pointer).collect();
    for pointer in pointers {
        if !found.contains(pointer) {
            return Err(format!("errors point at {found:?} and not at {pointer:?}"));
        }
    }
    Ok(())
}

/// A header, if it is there.
pub fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let found = answer.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| &**value)
}

/// A header with a value.
pub fn has(answer: &Answer, name: &str, value: &str) -> Held {
    match header(answer, name) {
        Some(found) if found == value => Ok(()),
        found => Err(format!("{name} is {found:?} and not {value:?}")),
    }
}

/// A method that the path does not have.
pub fn not_allowed(answer: &Answer, allowed: &str) -> Held {
    refused(answer, 405, "MethodNotAllowed")?;
    let found = header(answer, "allow").unwrap_or_default();
    if found.split(',').any(|method| method.trim() == allowed) {
        return Ok(());
    }
    Err(format!("Allow is {found:?} and has no {allowed}"))
}

/// The headers of an answer for a device: a strong tag and the time of the next poll.
pub fn for_polls(answer: &Answer) -> Held {
    let tag = answer.etag.as_deref().unwrap_or_default();
    if !(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')) {
        return Err(format!("ETag is {tag:?} and no strong tag"));
    }
    match answer.poll_next {
        Some(_) => Ok(()),
        None => Err("there is no Entente-Poll-Next such as PT24H".into()),
    }
}

/// A value within a body.
pub fn member(body: &Value, pointer: &str, required: &Value) -> Held {
    match body.pointer(pointer) {
        Some(found) if found == required => Ok(()),
        found => Err(format!("{pointer} is {found:?} and not {required}")),
    }
}

/// An answer for people, without values that look like tokens.
pub fn shown(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.chars().take(SHOWN).collect();
    let mut shown = String::new();
    for part in text.split_inclusive(|c: char| !is_of_token(c)) {
        let word = part.trim_end_matches(|c: char| !is_of_token(c));
        let is_token = word.len() >= 40 && !word.bytes().all(|byte| byte.is_ascii_hexdigit());
        shown.push_str(if is_token { "…" } else { part });
    }
    format!("{} {shown}", answer.status)
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            date: answer::date_of("Sun, 06 Nov 1994 08:49:37 GMT"),
            content_type: "application/problem+json".into(),
            body: body.into(),
            ..Answer::default()
        }
    }

    const FINE: &str = r#"{"type":"https://entente.dev/problems/region-unknown","title":"t",
        "status":404,"reason":"RegionUnknown","detail":"d"}"#;

    #[test]
    fn each_rule_for_every_answer_finds_its_fault() {
        assert_eq!(every(&answer(404, FINE)), Ok(()));
        let faults = [
            Answer {
                date: None,
                ..answer(200, "")
            },
            answer(302, ""),
            answer(404, "{}"),
            answer(404, &FINE.replace("region-unknown", "RegionUnknown")),
            answer(404, &FINE.replace("404", "400")),
            answer(404, &FINE.replace("\"d\"", "\"\"")),
            Answer {
                content_type: "application/json".into(),
                ..answer(404, FINE)
            },
            answer(503, &FINE.replace("404", "503")),
        ];
        for fault in faults {
            assert!(every(&fault).is_err(), "{fault:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = "Qm9yIGFuZCBCaW5nLCBhIGNhbmFyeSBpbiBhIGNhZ2U-";
        let shown = shown(&answer(
            201,
            &format!(r#"{{"token":"{token}","printerId":"0d5e4d0c"}}"#),
        ));
        assert!(
            !shown.contains(token) && shown.contains("0d5e4d0c"),
            "{shown}"
        );
    }

    #[test]
    fn reasons_become_kebab() {
        assert_eq!(kebab("EnrollmentTokenInvalid"), "enrollment-token-invalid");
        assert_eq!(kebab("NotFound"), "not-found");
    }
}
