//! The panel of the device: the messages that stand on it (requirement A8).
//!
//! Decides which text of a message fits, what is shown, and what is reported of it. A text is never cut,
//! since the id of an order is in it: one that does not fit as a whole is shown by scrolling. It reads no
//! clock and no file. Used by the loop of `run`, which keeps the panel in `panel.json`, and by `status`.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::api::{Display, Message};

/// Most messages of which the device remembers that they were taken down.
const MOST_CLEARED: usize = 8;
/// Words about a message that cannot be shown.
const NO_DISPLAY: &str = "this device has no display";

/// Panel of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Panel {
    /// There is none.
    None,
    /// A display of this size.
    Of(Display),
}

impl Panel {
    /// Panel of a device that does not tell its size.
    pub const UNTOLD: Self = Self::Of(Display {
        columns: 40,
        lines: 4,
    });
}

/// A message on the panel, as it is in `panel.json`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Page {
    /// Id of the message.
    pub id: String,
    /// Columns of the panel.
    pub columns: u16,
    /// Lines, each as a person reads it; more than the panel has where it scrolls.
    pub lines: Vec<String>,
}

/// State of a message, as it is reported.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Shown {
    /// `Shown`, `Cleared` or `Undeliverable`.
    pub state: String,
    /// Instant since which it has that state.
    pub at: Timestamp,
    /// Text that stands on the panel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Words about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Shown {
    /// Returns the report of the message.
    pub fn report(&self) -> Value {
        json!(self)
    }
}

/// States of messages by their ids.
pub type States = BTreeMap<String, Shown>;

/// Returns the text of a message for a panel: the long one if it fits, else the short one.
fn text(message: &Message, size: Display) -> &str {
    let fits = wrap(&message.text, size.columns).len() <= usize::from(size.lines);
    if fits { &message.text } else { &message.short }
}

/// Returns the panel with these messages.
pub fn pages(messages: &[Message], panel: Panel) -> Vec<Page> {
    let Panel::Of(size) = panel else {
        return Vec::new();
    };
    let page = |message: &Message| Page {
        id: message.id.clone(),
        columns: size.columns,
        lines: wrap(text(message, size), size.columns),
    };
    messages.iter().map(page).collect()
}

/// Returns the states of messages once the panel shows the wanted ones and no others. What has not changed
/// keeps its instant.
pub fn states(wanted: &[Message], before: &States, panel: Panel, now: Timestamp) -> States {
    let mut states = States::new();
    for message in wanted {
        let state = match panel {
            Panel::None => Shown {
                state: "Undeliverable".into(),
                at: now,
                text: None,
                detail: Some(NO_DISPLAY.into()),
            },
            Panel::Of(size) => Shown {
                state: "Shown".into(),
                at: now,
                text: Some(text(message, size).to_owned()),
                detail: None,
            },
        };
        let known = before.get(&message.id).filter(|known| {
            let of = |it: &Shown| (it.state.clone(), it.text.clone());
            of(known) == of(&state)
        });
        states.insert(message.id.clone(), known.cloned().unwrap_or(state));
    }
    let gone = before.iter().filter(|(id, _)| !states.contains_key(*id));
    let mut gone: Vec<(String, Shown)> = gone
        .filter_map(|(id, known)| match &*known.state {
            "Cleared" => Some((id.clone(), known.clone())),
            "Shown" => Some((
                id.clone(),
                Shown {
                    state: "Cleared".into(),
                    at: now,
                    text: None,
                    detail: None,
                },
            )),
            _ => None,
        })
        .collect();
    gone.sort_by(|one, other| (other.1.at, &other.0).cmp(&(one.1.at, &one.0)));
    states.extend(gone.into_iter().take(MOST_CLEARED));
    states
}

/// Lays a text out in lines of so many columns, at blanks where there are some. Nothing is left out but
/// blanks at the end of a line.
pub fn wrap(text: &str, columns: u16) -> Vec<String> {
    let columns = usize::from(columns).max(2);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            if line.width() + 1 + word.width() <= columns {
                line.push(' ');
            } else {
                lines.push(std::mem::take(&mut line));
            }
        }
        for letter in word.chars() {
            if line.width() + letter.width().unwrap_or(0) > columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    lines.push(line);
    lines
}

/// Draws a page as a person sees it: in a frame as wide as the panel.
pub fn framed(page: &Page) -> String {
    let columns = usize::from(page.columns).max(2);
    let edge = "─".repeat(columns + 2);
    let mut text = format!("┌{edge}┐\n");
    for line in &page.lines {
        let blank = " ".repeat(columns.saturating_sub(line.width()));
        let _ = writeln!(text, "│ {line}{blank} │");
    }
    let _ = writeln!(text, "└{edge}┘");
    text
}

#[cfg(test)]
mod tests;
