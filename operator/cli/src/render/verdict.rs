//! Verdict on files: one line for each fault, which editors and pipelines can read.

use super::text::counted;
use crate::judge::Verdict;
use crate::screen::{Screen, Tone};

/// Returns the verdict; `others` is said at its end.
pub(crate) fn verdict(verdict: &Verdict, others: &str, screen: &Screen) -> String {
    let mut text = String::new();
    for (findings, word, tone) in [
        (&verdict.faults, "fault", Tone::Bad),
        (&verdict.notes, "note", Tone::Dim),
    ] {
        for it in findings {
            let word = screen.paint(word, tone);
            text += &format!("{}: {word}: {}: {}\n", it.file, it.object, it.message);
        }
    }
    let objects = counted(verdict.objects, "object");
    let end = match verdict.faults.len() {
        0 => format!("{objects} without a fault{others}"),
        number => format!("{} in {objects}{others}", counted(number, "fault")),
    };
    text + &end + "\n"
}
