//! Outcome of a command: what is printed, and the exit code.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use entente_domain::views::Health;

/// Exit codes that pipelines rely on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    /// Done, and what was asked about is settled.
    Settled = 0,
    /// The command could not do what it was asked for, or found a fault.
    Error = 1,
    /// Work is under way.
    InProgress = 2,
    /// A person must change something, or a promise was missed.
    Failed = 3,
}

impl From<Health> for Code {
    fn from(health: Health) -> Self {
        match health {
            Health::Settled => Self::Settled,
            Health::InProgress => Self::InProgress,
            Health::Failed => Self::Failed,
        }
    }
}

/// Outcome of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The answer, for standard output.
    pub(crate) answer: String,
    /// Sentences beside the answer, for standard error: parts that could not be read.
    pub(crate) notes: Vec<String>,
    /// The exit code.
    pub(crate) code: Code,
}

impl Outcome {
    /// Returns an answer without notes.
    pub(crate) fn new(answer: String, code: Code) -> Self {
        Self {
            answer,
            notes: Vec::new(),
            code,
        }
    }

    /// Returns an error, in words.
    pub(crate) fn failed(error: String) -> Self {
        Self {
            answer: String::new(),
            notes: vec![error],
            code: Code::Error,
        }
    }

    /// Adds notes.
    pub(crate) fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Prints everything once. A reader that ends early, such as `head`, is no error.
    pub(crate) fn print(self) -> ExitCode {
        let mut output = std::io::stdout().lock();
        let written = output
            .write_all(self.answer.as_bytes())
            .and_then(|()| output.flush());
        let mut code = self.code;
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
        {
            code = Code::Error;
        }
        let mut notes = std::io::stderr().lock();
        for note in &self.notes {
            let kind = if self.code == Code::Error && self.answer.is_empty() {
                "error"
            } else {
                "note"
            };
            // Nobody is left to be told.
            let _ = writeln!(notes, "{kind}: {note}");
        }
        ExitCode::from(code as u8)
    }
}
