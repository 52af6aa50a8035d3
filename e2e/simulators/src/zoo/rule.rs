//! A rule of the zoo, `WHEN: REPLY`: the requests that it is for, and the reply.
//!
//! Decides the form of a rule and the requests that it matches. Called by the parser and the broker.

use std::fmt;

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::{
    Pace, Span,
    tokens::{Problem, Tokens},
};

/// Operation that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// GET /v2/catalog
    Catalog,
    /// PUT /v2/service_instances/:id
    Put,
    /// PATCH /v2/service_instances/:id
    Patch,
    /// GET /v2/service_instances/:id/last_operation
    Poll,
    /// GET /v2/service_instances/:id
    Get,
    /// DELETE /v2/service_instances/:id
    Delete,
    /// Any other path.
    Other,
}

impl Asked {
    /// All, with their words.
    const ALL: [(Self, &'static str); 7] = [
        (Self::Catalog, "CATALOG"),
        (Self::Put, "PUT"),
        (Self::Patch, "PATCH"),
        (Self::Poll, "POLL"),
        (Self::Get, "GET"),
        (Self::Delete, "DELETE"),
        (Self::Other, "OTHER"),
    ];

    /// Returns the operation of a word.
    pub(super) fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, name)| *name == word).map(|(asked, _)| asked)
    }

    /// Returns its word.
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|(asked, _)| *asked == self);
        found.map_or("OTHER", |(_, name)| name)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Requests of one operation by their number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Number of the first.
    pub first: usize,
    /// Number of the last.
    pub last: usize,
}

impl Times {
    const EVERY: Self = Self {
        first: 1,
        last: usize::MAX,
    };

    /// Returns the numbers of `3`, `1..2` or `3..`; `None` if it is none of these.
    fn of(word: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|n: &usize| *n > 0);
        match word.split_once("..") {
            None => number(word).map(|one| Self {
                first: one,
                last: one,
            }),
            Some((first, "")) => Some(Self {
                first: number(first)?,
                last: usize::MAX,
            }),
            Some((first, last)) => Some(Self {
                first: number(first)?,
                last: number(last)?,
            }),
        }
    }
}

/// A text that a request must or must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The text, in the line or the body of the request.
    pub text: String,
    /// True if it must be there.
    pub there: bool,
}

/// Reads `with "…"` and `without "…"`, as many as there are.
pub(super) fn carried(tokens: &mut Tokens<'_>) -> Result<Vec<Carried>, Problem> {
    let mut found = Vec::new();
    loop {
        let there = if tokens.takes("with") {
            true
        } else if tokens.takes("without") {
            false
        } else {
            return Ok(found);
        };
        let text = tokens.text("the text of with")?;
        found.push(Carried { text, there });
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Number of its line.
    pub line: usize,
    /// The operation.
    pub asked: Asked,
    /// Numbers of the requests.
    pub times: Times,
    /// Texts of the requests.
    pub carried: Vec<Carried>,
    /// Instant since the start from which it holds.
    pub after: Option<Span>,
    /// The reply.
    pub given: Given,
}

/// Reply of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// As a good broker, with the members merged into the body.
    Well(Option<Map<String, Value>>),
    /// As a good broker does it, with another reply.
    WellThen(Box<Given>),
    /// Done as late, and never answered.
    WellLate(Span),
    /// As a good broker, without taking this parameter.
    Ignore(String),
    /// Never answered.
    Hang,
    /// The connection is closed.
    Cut,
    /// This answer, and nothing is done.
    Http(HttpReply),
}

/// An answer of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// True if the connection is closed in the middle of the body.
    pub truncated: bool,
}

impl Rule {
    /// Reads `WHEN: REPLY`; the operation was taken.
    pub(super) fn parse(
        line: usize,
        asked: Asked,
        tokens: &mut Tokens<'_>,
    ) -> Result<Self, Problem> {
        let mut ahead = *tokens;
        let mut times = Times::EVERY;
        if let Some(found) = ahead.word("").ok().and_then(Times::of) {
            times = found;
            *tokens = ahead;
        }
        let carried = carried(tokens)?;
        let after = if tokens.takes("after") {
            Some(tokens.span("the time of after")?)
        } else {
            None
        };
        tokens.expect(":")?;
        Ok(Self {
            line,
            asked,
            times,
            carried,
            after,
            given: given(tokens)?,
        })
    }

    /// True if it is for a request with this text, the n-th of its operation, so long after the
    /// start.
    pub(super) fn matches(
        &self,
        (asked, n): (Asked, usize),
        text: &str,
        since_start: SignedDuration,
        pace: Pace,
    ) -> bool {
        self.asked == asked
            && (self.times.first..=self.times.last).contains(&n)
            && self.after.is_none_or(|after| after.at(pace) <= since_start)
            && carries(&self.carried, text)
    }
}

/// True if a request with this text has what it must have.
pub(super) fn carries(carried: &[Carried], text: &str) -> bool {
    carried
        .iter()
        .all(|one| text.contains(&one.text) == one.there)
}

fn given(tokens: &mut Tokens<'_>) -> Result<Given, Problem> {
    if tokens.takes("well") {
        return Ok(if tokens.takes("then") {
            Given::WellThen(Box::new(given(tokens)?))
        } else if tokens.takes("late") {
            Given::WellLate(tokens.span("the time of late")?)
        } else {
            Given::Well(None)
        });
    }
    if tokens.takes("with") {
        return Ok(Given::Well(Some(tokens.object("the members of with")?)));
    }
    if tokens.takes("ignore") {
        let parameter = tokens.word("the parameter of ignore")?;
        return Ok(Given::Ignore(parameter.to_owned()));
    }
    if tokens.takes("hang") {
        return Ok(Given::Hang);
    }
    if tokens.takes("cut") {
        return Ok(Given::Cut);
    }
    http_reply(tokens).map(Given::Http)
}

fn http_reply(tokens: &mut Tokens<'_>) -> Result<HttpReply, Problem> {
    let mut reply = HttpReply {
        status: tokens.parsed("the status")?,
        ..HttpReply::default()
    };
    if !(200..=599).contains(&reply.status) {
        return Err(format!("no status of HTTP: {}", reply.status));
    }
    let mut ahead = *tokens;
    while let Ok(word) = ahead.word("")
        && let Some(name) = word.strip_suffix(':')
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
    {
        let value = if ahead.starts_with("\"") {
            ahead.text("the value of the header")?
        } else {
            ahead.word("the value of the header")?.to_owned()
        };
        reply.headers.push((name.to_owned(), value));
        *tokens = ahead;
    }
    reply.truncated = tokens.takes("truncated");
    reply.body = body(tokens)?;
    Ok(reply)
}

fn body(tokens: &mut Tokens<'_>) -> Result<Vec<u8>, Problem> {
    if tokens.is_empty() || tokens.takes("empty") {
        return Ok(Vec::new());
    }
    if tokens.starts_with("bytes(") {
        let word = tokens.word("bytes")?;
        let number = word
            .strip_prefix("bytes(")
            .and_then(|it| it.strip_suffix(')'));
        let number = number.and_then(|number| number.parse().ok());
        let number: usize = number.ok_or_else(|| format!("no number of bytes: {word}"))?;
        return Ok(vec![b'x'; number]);
    }
    Ok(match tokens.json("the body")? {
        Value::String(text) => text.into_bytes(),
        json => json.to_string().into_bytes(),
    })
}
