//! The output of the demo: a table redrawn in place on a terminal, only the changes on a pipe.
//!
//! Colours only on a terminal, and not if NO_COLOR is set (no-color.org). It decides nothing about
//! the content.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use jiff::Timestamp;

use super::DemoError;
use super::table::Table;

/// Words that a person should find at a glance, with their SGR parameters (ECMA-48 section 8.3.117).
const ACCENTS: [(&str, &str); 12] = [
    ("kept", "32"),
    ("effective", "32"),
    ("active", "32"),
    ("missed", "31"),
    ("AcceptedNotEffective", "33"),
    ("Unreachable", "33"),
    ("TimedOut", "33"),
    ("ok", "32"),
    ("WRONG", "31"),
    ("delivered", "32"),
    ("final", "36"),
    ("growing", "36"),
];

/// The terminal or pipe.
pub(super) struct Terminal {
    /// A person looks at it: the table is redrawn in place.
    interactive: bool,
    colours: bool,
    /// Number of lines of the table at the bottom of the screen.
    drawn: usize,
    begin: Instant,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let said = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = said("TERM").is_none_or(|term| term == "dumb");
        let interactive = std::io::stdout().is_terminal() && !dumb;
        Self {
            interactive,
            colours: interactive && said("NO_COLOR").is_none(),
            drawn: 0,
            begin: Instant::now(),
        }
    }

    pub(super) fn title(&self, text: &str) {
        print(&format!("\n{}\n\n", self.styled("1", text)));
    }

    pub(super) fn heading(&self, text: &str) {
        print(&format!("\n{}\n", self.styled("1", text)));
    }

    /// Lines in which accents are painted.
    pub(super) fn lines(&self, text: &str) {
        for line in text.split('\n') {
            print(&format!("{}\n", self.painted(line.trim_end())));
        }
    }

    /// Shows a step while it runs, and its duration.
    pub(super) async fn step<T>(
        &self,
        text: &str,
        work: impl Future<Output = Result<T, DemoError>>,
    ) -> Result<T, DemoError> {
        let begin = Instant::now();
        print(&format!("  {text} ... "));
        let result = work.await;
        match &result {
            Ok(_) => print(&format!("{:.1} s\n", begin.elapsed().as_secs_f32())),
            Err(_) => print("failed\n"),
        }
        result
    }

    /// Shows the events since the last call, and the table.
    pub(super) fn show(&mut self, table: &mut Table, now: Timestamp) {
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the first line of the table, then clear to the end of the screen.
            text = format!("\x1b[{}F\x1b[J", self.drawn);
            self.drawn = 0;
        }
        let events = table.take_events(!self.interactive);
        for event in &events {
            text.push_str(&self.painted(event));
            text.push('\n');
        }
        if self.interactive {
            let table = table.text(now);
            self.drawn = table.lines().count();
            // Without line wrap a narrow terminal cuts lines, and the count stays right.
            text = [&text, "\x1b[?7l", &self.painted(&table), "\n\x1b[?7h"].concat();
        }
        if !text.is_empty() {
            print(&text);
        }
    }

    /// Leaves the table as it is now.
    pub(super) fn settle(&mut self) {
        self.drawn = 0;
        self.lines("");
    }

    pub(super) fn finish(&self) {
        print(&format!(
            "\nThe demo took {:.0} s.\n",
            self.begin.elapsed().as_secs_f32()
        ));
    }

    fn styled(&self, parameters: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{parameters}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Paints after the table was laid out, so that it knows nothing of colours.
    fn painted(&self, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        ACCENTS
            .iter()
            .fold(text.to_owned(), |text, (word, parameters)| {
                let mut painted = String::with_capacity(text.len());
                let mut rest = text.as_str();
                while let Some(at) = rest.find(word) {
                    let (before, found) = rest.split_at(at);
                    let after = &found[word.len()..];
                    let inside = before.ends_with(char::is_alphabetic)
                        || after.starts_with(char::is_alphabetic);
                    painted.push_str(before);
                    if inside {
                        painted.push_str(word);
                    } else {
                        painted.push_str(&self.styled(parameters, word));
                    }
                    rest = after;
                }
                painted + rest
            })
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // The output has no reader any more: the demo continues, and its exit code still counts.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
