//! The parser of the zoo's rows: one block of lines a row.
//!
//! Decides the form of a row and what every row must have; what is wrong is said with the row's name
//! and the line. Called by [`super::rows`].

use std::{collections::BTreeMap, mem};

use jiff::SignedDuration;

use super::{
    Action, Asked, Claim, Event, Fact, Row, Rule, Setup, Span, ZooError,
    tokens::{Problem, Tokens},
};

/// Length of a story that says no other.
const LASTS: Span = Span::of(SignedDuration::from_hours(1));

/// The rows so far.
#[derive(Default)]
struct Parser {
    rows: Vec<Row>,
    lines: BTreeMap<String, usize>,
    /// True if `then` came in the row that is read.
    cured: bool,
}

pub(super) fn rows(text: &str) -> Result<Vec<Row>, ZooError> {
    let mut parser = Parser::default();
    for (index, line) in text.lines().enumerate() {
        parser.line(index + 1, line).map_err(|problem| ZooError {
            line: index + 1,
            row: parser.name(),
            problem,
        })?;
    }
    parser.end_row().map_err(|(line, problem)| ZooError {
        line,
        row: parser.name(),
        problem,
    })?;
    Ok(parser.rows)
}

impl Parser {
    fn name(&self) -> String {
        self.rows
            .last()
            .map_or_else(String::new, |row| row.name.clone())
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), Problem> {
        let mut tokens = Tokens::of(line);
        if tokens.is_empty() || tokens.starts_with("#") {
            return Ok(());
        }
        let word = tokens.word("a word")?;
        if word == "row" {
            self.end_row().map_err(|(_, problem)| problem)?;
            return self.begin_row(number, line, &mut tokens);
        }
        let cured = mem::take(&mut self.cured);
        let Some(row) = self.rows.last_mut() else {
            return Err(format!("a row begins with `row`, not with `{word}`"));
        };
        row.text = format!("{}\n{line}", row.text);
        self.cured = cured || word == "then";
        let word = match word {
            "then" => tokens.word("a claim")?,
            word => word,
        };
        if row.part(number, word, &mut tokens)? {
            return Ok(());
        }
        let claim = match Asked::of(word) {
            None => {
                Fact::parse(word, &mut tokens)?.ok_or_else(|| format!("unknown word: {word}"))?
            }
            // A rule has a colon before its reply; a claim on requests compares.
            Some(asked) if is_rule(tokens) => {
                let rule = Rule::parse(number, asked, &mut tokens)?;
                tokens.end()?;
                row.rules.push(rule);
                return Ok(());
            }
            Some(asked) => Fact::of_requests(asked, &mut tokens)?,
        };
        let claim = Claim {
            line: number,
            text: line.trim().to_owned(),
            fact: claim,
        };
        if self.cured {
            row.then.push(claim);
        } else {
            row.claims.push(claim);
        }
        Ok(())
    }

    fn begin_row(
        &mut self,
        number: usize,
        line: &str,
        tokens: &mut Tokens<'_>,
    ) -> Result<(), Problem> {
        let name = tokens.word("the name of the row")?.to_owned();
        let is_label = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_label || name.len() > 40 {
            return Err(format!("no name of at most 40 of a-z, 0-9 and -: {name}"));
        }
        if let Some(before) = self.lines.insert(name.clone(), number) {
            return Err(format!("line {before} has a row {name} too"));
        }
        let end_to_end = tokens.takes("e2e");
        tokens.end()?;
        self.cured = false;
        self.rows.push(Row {
            name,
            line: number,
            text: line.to_owned(),
            end_to_end,
            known: None,
            setup: Setup::default(),
            story: Vec::new(),
            rules: Vec::new(),
            cure: None,
            lasts: LASTS,
            claims: Vec::new(),
            then: Vec::new(),
        });
        Ok(())
    }

    /// Checks the row that ends.
    fn end_row(&mut self) -> Result<(), (usize, Problem)> {
        let Some(row) = self.rows.last_mut() else {
            return Ok(());
        };
        let failed = |problem: &str| Err((row.line, format!("{}: {problem}", row.name)));
        if row.claims.is_empty() && row.then.is_empty() {
            return failed("it has no claim, so that nothing can fail");
        }
        if row.cure.is_some() == row.then.is_empty() {
            return failed("a row has `cure` and `then`, or neither");
        }
        let mut times = row.story.iter().map(|event| event.at);
        let late = times.any(|at| at >= row.lasts) || row.cure.is_some_and(|at| at >= row.lasts);
        if late {
            return failed("it ends before everything in it has happened");
        }
        let mut times = row.story.iter().map(|event| event.at).chain(row.cure);
        if row.end_to_end && !times.all(Span::is_short) {
            return failed("through the operator a time must be short: write it as 10m/9s");
        }
        row.story.sort_by_key(|event| event.at);
        row.text.truncate(row.text.trim_end().len());
        Ok(())
    }
}

/// True if there is a word `:`.
fn is_rule(mut tokens: Tokens<'_>) -> bool {
    while let Ok(word) = tokens.word("") {
        match word {
            ":" => return true,
            "<=" | ">=" | "=" => return false,
            _ => {}
        }
    }
    false
}

impl Row {
    /// Reads a line that is neither a rule nor a claim. Returns false if it is one.
    fn part(
        &mut self,
        number: usize,
        word: &str,
        tokens: &mut Tokens<'_>,
    ) -> Result<bool, Problem> {
        match word {
            "known:" => {
                let mut words = Vec::new();
                while !tokens.is_empty() {
                    words.push(tokens.word("the reason")?);
                }
                if words.is_empty() {
                    return Err("known: needs the fault of the product".to_owned());
                }
                self.known = Some(words.join(" "));
                return Ok(true);
            }
            "catalog" => self.setup.offering = Some(tokens.json("the offering")?),
            "offering" => self.setup.further.push(tokens.json("the offering")?),
            "takes" => self.setup.takes = Some(tokens.span("the duration")?),
            "strict" => self.setup.strict = true,
            "service" => self.setup.service = Some(tokens.object("the server side")?),
            "secret" => self.setup.secret = Some(tokens.text("the secret")?),
            "for" => self.lasts = tokens.span("the length of the story")?,
            "cure" => {
                tokens.expect("at")?;
                self.cure = Some(tokens.span("the time of the cure")?);
            }
            "edit" | "plan" | "activation" | "end" | "look" | "reconcile" => {
                let action = action(word, tokens)?;
                tokens.expect("at")?;
                let at = tokens.span("the time")?;
                self.story.push(Event { at, action });
            }
            _ => return Ok(false),
        }
        tokens
            .end()
            .map_err(|problem| format!("line {number}: {problem}"))?;
        Ok(true)
    }
}

fn action(word: &str, tokens: &mut Tokens<'_>) -> Result<Action, Problem> {
    Ok(match word {
        "edit" => {
            let edit = tokens.word("the parameter")?;
            let (parameter, value) = edit
                .split_once('=')
                .ok_or_else(|| format!("no edit such as size=20: {edit}"))?;
            Action::Edit {
                parameter: parameter.to_owned(),
                value: value.to_owned(),
            }
        }
        "plan" => Action::Plan(tokens.word("the plan")?.to_owned()),
        "activation" => Action::Activation(tokens.word("the value")?.to_owned()),
        "look" => Action::Look,
        "reconcile" => Action::Reconcile,
        _ => Action::End,
    })
}
