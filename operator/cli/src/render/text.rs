//! Text: width as a terminal shows it, the breaking of lines at spaces, and the parts that several
//! answers are made of.

use unicode_width::UnicodeWidthStr as _;

use crate::screen::{Screen, Tone};

/// The least number of columns that a broken text gets, whatever the screen.
const LEAST: usize = 24;
/// Number of columns of the name of a field.
const NAME: usize = 11;

/// Returns the number of columns of a text.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Returns a text without characters that move the cursor: a message from outside cannot draw over an
/// answer. A line break stays one.
pub(crate) fn plain(text: &str) -> String {
    let shown = |found: char| {
        if found.is_control() && found != '\n' {
            ' '
        } else {
            found
        }
    };
    text.trim_end().chars().map(shown).collect()
}

/// Breaks a text at spaces, and at its own line breaks, into lines of so many columns. A word that is
/// longer has a line of its own and is not cut, so that it can be copied.
pub(crate) fn wrapped(text: &str, columns: Option<usize>) -> Vec<String> {
    let text = plain(text);
    let Some(columns) = columns.map(|columns| columns.max(LEAST)) else {
        return text.lines().map(str::to_owned).collect();
    };
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && width(&line) + 1 + width(word) > columns {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// Returns a text with spaces behind it, so that it has so many columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Returns the first names, and the number of the others: `a, b and 3 more`.
pub(crate) fn few<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let shown = names.iter().take(most).map(AsRef::as_ref);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Adds a line with a name and a value, which is broken beside the name where it is too long.
pub(crate) fn field(text: &mut String, name: &str, value: &str, tone: Tone, screen: &Screen) {
    let columns = screen.width.map(|it| it.saturating_sub(NAME + 2));
    for (index, line) in wrapped(value, columns).iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        let name = screen.paint(&padded(name, NAME), Tone::Dim);
        *text += &format!("  {name}{}\n", screen.paint(line, tone));
    }
}

/// Returns a number with its noun: `1 device`, `2 devices`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
