//! The words of a line of the zoo: bare words, texts in quotes, JSON, lengths of time.
//!
//! Decides the form of each alone. Called by the parser.

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::Span;

/// A description of what is wrong, without its place.
pub(super) type Problem = String;

/// Stands for so many `x` in any text, so that a long one is a short row.
const LONG: &str = "${x*";

/// The rest of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self { rest: line.trim() }
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn starts_with(self, start: &str) -> bool {
        self.rest.starts_with(start)
    }

    /// Returns the next word, up to white space.
    pub(super) fn word(&mut self, what: &str) -> Result<&'a str, Problem> {
        let end = self.rest.find(char::is_whitespace);
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if word.is_empty() {
            return Err(format!("{what} is missing"));
        }
        self.rest = rest.trim_start();
        Ok(word)
    }

    /// Takes this word if it comes next.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let mut ahead = *self;
        let found = ahead.word("").is_ok_and(|next| next == word);
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes this word, or says that it is missing.
    pub(super) fn expect(&mut self, word: &str) -> Result<(), Problem> {
        if self.takes(word) {
            return Ok(());
        }
        Err(format!("`{word}` is missing before `{}`", self.rest))
    }

    pub(super) fn parsed<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, Problem> {
        let word = self.word(what)?;
        word.parse()
            .map_err(|_| format!("{what} is no number: {word}"))
    }

    pub(super) fn span(&mut self, what: &str) -> Result<Span, Problem> {
        let word = self.word(what)?;
        let length = |text: &str| {
            text.parse::<SignedDuration>()
                .map_err(|_| format!("{what} is no length of time: {text}"))
        };
        let (in_life, on_the_wall) = match word.split_once('/') {
            Some((life, wall)) => (length(life)?, Some(length(wall)?)),
            None => (length(word)?, None),
        };
        Ok(Span {
            in_life,
            on_the_wall,
        })
    }

    /// Returns the JSON that comes next.
    pub(super) fn json(&mut self, what: &str) -> Result<Value, Problem> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(format!("{what} is no JSON: {error}")),
            None => return Err(format!("{what} is missing")),
        };
        self.rest = self.rest[values.byte_offset()..].trim_start();
        Ok(lengthened(value))
    }

    pub(super) fn object(&mut self, what: &str) -> Result<Map<String, Value>, Problem> {
        match self.json(what)? {
            Value::Object(object) => Ok(object),
            other => Err(format!("{what} is no JSON object: {other}")),
        }
    }

    /// Returns the text in quotes that comes next.
    pub(super) fn text(&mut self, what: &str) -> Result<String, Problem> {
        match self.json(what)? {
            Value::String(text) => Ok(text),
            other => Err(format!("{what} is no text in quotes: {other}")),
        }
    }

    /// Fails if anything is left.
    pub(super) fn end(self) -> Result<(), Problem> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(format!("nothing may follow here: {}", self.rest))
    }
}

/// Returns the value with each `${x*N}` as so many `x`.
fn lengthened(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(long(&text)),
        Value::Array(all) => all.into_iter().map(lengthened).collect(),
        Value::Object(all) => all
            .into_iter()
            .map(|(name, value)| (name, lengthened(value)))
            .collect(),
        other => other,
    }
}

fn long(text: &str) -> String {
    let Some((before, rest)) = text.split_once(LONG) else {
        return text.to_owned();
    };
    match rest.split_once('}') {
        Some((number, after)) if number.parse::<usize>().is_ok() => {
            let count = number.parse().unwrap_or_default();
            format!("{before}{}{}", "x".repeat(count), long(after))
        }
        _ => text.to_owned(),
    }
}
