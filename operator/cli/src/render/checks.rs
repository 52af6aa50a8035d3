//! Checks: one line each, with the message broken beside it.

use super::text::{padded, width, wrapped};
use crate::commands::check::{Check, State};
use crate::screen::{Screen, Tone};

/// Returns the list.
pub(crate) fn checks(checks: &[Check], screen: &Screen) -> String {
    let names = checks.iter().map(|check| width(&check.name));
    let names = names.max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let (word, tone) = match check.state {
            State::Well => ("ok", Tone::Good),
            State::Unknown => ("unknown", Tone::Busy),
            State::Bad => ("bad", Tone::Bad),
        };
        let word = screen.paint(&padded(word, 7), tone);
        let columns = screen.width.map(|it| it.saturating_sub(names + 11));
        for (index, line) in wrapped(&check.message, columns).iter().enumerate() {
            if index == 0 {
                text += &format!("{word}  {}  {line}\n", padded(&check.name, names));
            } else {
                text += &format!("{}{line}\n", " ".repeat(names + 11));
            }
        }
    }
    text
}
