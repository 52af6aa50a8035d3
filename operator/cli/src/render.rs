//! Renderers: views become text, for a screen of any width.
//!
//! They decide layout, and nothing about an object. Pure: the same view and the same screen give the same
//! text, byte for byte, which the files beside `render/tests.rs` show.

#![allow(
    clippy::format_push_string,
    reason = "an answer is short, and the error of write! cannot occur"
)]

mod checks;
mod contracts;
mod debts;
mod journal;
mod lateness;
mod plan;
mod starts;
mod table;
mod text;
mod tree;
mod verdict;

#[cfg(test)]
mod tests;

pub(crate) use checks::checks;
pub(crate) use contracts::contracts;
pub(crate) use debts::debts;
pub(crate) use journal::journal;
pub(crate) use lateness::lateness;
pub(crate) use plan::plan;
pub(crate) use starts::starts;
pub(crate) use text::few;
pub(crate) use tree::tree;
pub(crate) use verdict::verdict;

use serde::Serialize;

use crate::args::Output;
use crate::outcome::{Code, Outcome};

/// Layout of a view for people.
pub(crate) enum Shown {
    /// The answer.
    Text(String),
    /// A sentence in place of an answer that has nothing.
    Nothing(String),
}

/// Returns a view as the outcome of a command: for programs as it is, for people as they are shown it.
pub(crate) fn outcome<T: Serialize>(
    view: &T,
    output: Output,
    code: Code,
    for_people: impl FnOnce() -> Shown,
) -> Outcome {
    let shown = for_programs(view, output).map_or_else(for_people, Shown::Text);
    match shown {
        Shown::Text(text) => Outcome::new(text, code),
        Shown::Nothing(note) => Outcome::new(String::new(), code).with_notes([note]),
    }
}

/// Returns a view as JSON or YAML; `None` for a format that people read.
fn for_programs<T: Serialize>(view: &T, output: Output) -> Option<String> {
    match output {
        Output::Table | Output::Wide => None,
        Output::Json => {
            let text = serde_json::to_string_pretty(view);
            Some(text.expect("a view has texts as keys, and is JSON") + "\n")
        }
        Output::Yaml => {
            let text = entente_crds::yaml::write(view);
            Some(text.expect("a view has texts as keys, and is YAML"))
        }
    }
}
