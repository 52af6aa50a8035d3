//! Takes secrets out of words that came from outside, however those spell them (K4).
//!
//! Decides by looking for every run of eight bytes of each secret in the words as they came, before
//! anything is folded or cut: unchanged, in upper or lower case, escaped as JSON does or
//! percent-encoded in whole or in part, in base64 at every alignment, in hexadecimal, and with
//! anything between that is not seen. It must never reveal the length of a secret. Called by the
//! drivers' one gate for quotations; `Secrets` supplies the contents of the tenant's Secrets.

mod readings;
mod spellings;

use entente_crds::bounded::is_unseen;
use zeroize::Zeroizing;

use readings::{Readings, Unfolded};
use spellings::{Found, Part, Parts};

/// Replacement of a secret in a message.
pub const HIDDEN: &str = "[redacted]";

/// Length in bytes below which a text is not searched for: hiding it would tear words apart and
/// reveal it by its length.
const SHORTEST_HIDDEN: usize = 4;

/// Number of bytes of a secret, one after the other, that are hidden wherever they occur.
const RUN: usize = 8;

/// The largest number of bytes of words that are searched; quotations are far shorter.
const MOST_WORDS: usize = 8_192;

/// The largest number of bytes of secrets whose parts are kept and searched for at once; their parts
/// take some two hundred times as much memory.
const MOST_AT_ONCE: usize = 65_536;

/// Number of bytes that two pieces of a long secret have in common: each run of eight is in one of
/// them, at whatever place of base64.
const OVERLAP: usize = 16;

/// Texts that must be taken out of words.
pub struct Redactions {
    parts: Parts,
    /// Pieces of secrets beyond the largest number of bytes, whose parts are made for each search.
    others: Vec<Zeroizing<String>>,
}

impl Redactions {
    /// Takes the texts that must not be shown, in every spelling.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut kept, mut others, mut free) = (Vec::new(), Vec::new(), MOST_AT_ONCE);
        for secret in secrets {
            if let Some(rest) = free.checked_sub(secret.len()) {
                free = rest;
                kept.push(secret);
            } else {
                others.extend(pieces(secret).map(|piece| Zeroizing::new(piece.to_owned())));
            }
        }
        let parts = Parts::of(kept);
        Self { parts, others }
    }

    /// Returns the words without any of the secrets.
    pub fn hide(&self, words: &str) -> String {
        let words = beginning(words);
        replaced(words, &self.found(words))
    }

    /// True if eight bytes of the words or more, one after the other, belong to a secret. Fewer may
    /// do so by chance, in a text that is all digits.
    pub fn reveal(&self, words: &str) -> bool {
        let hidden = self.found(beginning(words));
        hidden.split(|hidden| !hidden).any(|run| run.len() >= RUN)
    }

    /// Returns for each byte of the words whether it is of a secret.
    fn found(&self, words: &str) -> Vec<bool> {
        let mut hidden = vec![false; words.len()];
        if self.parts.is_empty() && self.others.is_empty() {
            return hidden;
        }
        let unfolded = Unfolded::new(words);
        let readings = Readings::new(&unfolded);
        let mut search = |parts: &Parts| {
            let search = Search::new(parts, &readings);
            search.mark(|from, to, begins| {
                hidden[unfolded.place(from, to, begins)].fill(true);
            });
        };
        search(&self.parts);
        for other in &self.others {
            search(&Parts::of([other.as_str()]));
        }
        hidden
    }
}

/// Returns the pieces of a long secret.
fn pieces(secret: &str) -> impl Iterator<Item = &str> {
    let step = MOST_AT_ONCE - OVERLAP;
    let starts = (0..secret.len()).step_by(step);
    starts.map(move |start| {
        let start = secret.floor_char_boundary(start);
        let end = secret.floor_char_boundary(start + MOST_AT_ONCE);
        &secret[start..end]
    })
}

/// The search for all parts at once: at each place of the words, the beginnings of parts that were
/// read up to there. A place is looked at once, however many beginnings led to it, so odd words take
/// no longer than others.
struct Search<'a> {
    parts: &'a Parts,
    readings: &'a Readings,
    open: Vec<Vec<Part>>,
}

impl<'a> Search<'a> {
    /// Reads the words from their first place to their last.
    fn new(parts: &'a Parts, readings: &'a Readings) -> Self {
        let open = vec![Vec::new(); readings.len() + 1];
        let mut search = Self {
            parts,
            readings,
            open,
        };
        for at in 0..readings.len() {
            search.read(at);
        }
        search
    }

    /// Takes each beginning that is read at a place to the place after it.
    fn read(&mut self, at: usize) {
        let mut reached = Vec::new();
        self.steps(at, |_, next, found| {
            if let Found::Beginning(part) = found {
                reached.push((next, part));
            }
        });
        for (next, part) in reached {
            if !self.open[next].contains(&part) {
                self.open[next].push(part);
            }
        }
    }

    /// Calls for each reading that belongs to a whole part, from the last to the first: with its
    /// place, the place after it, and whether a part begins there.
    fn mark(&self, mut hide: impl FnMut(usize, usize, bool)) {
        let mut completed = vec![Vec::new(); self.open.len()];
        if let (Some(open), Some(completed)) = (self.open.last(), completed.last_mut()) {
            let is_cut_off = |part: &&Part| self.parts.has_cut_off(**part);
            completed.extend(open.iter().filter(is_cut_off));
        }
        for at in (0..self.readings.len()).rev() {
            let mut leading = Vec::new();
            self.steps(at, |part, next, found| {
                let is_complete = match found {
                    Found::Whole => true,
                    Found::Beginning(longer) => completed[next].contains(&longer),
                };
                if is_complete {
                    hide(at, next, part.is_empty());
                    leading.push(part);
                }
            });
            completed[at] = leading;
        }
    }

    /// Calls for each way on from a place: with the beginning that is open there, the place after the
    /// reading, and what both together are.
    fn steps(&self, at: usize, mut step: impl FnMut(Part, usize, Found)) {
        for reading in self.readings.at(at) {
            let bytes = reading.bytes();
            for &part in &self.open[at] {
                // Some fold what they print.
                if bytes.is_empty() {
                    step(part, reading.next, Found::Beginning(part));
                }
                for found in self.parts.with(part, bytes) {
                    step(part, reading.next, found);
                }
            }
            // A part may begin inside a character.
            for from in 0..bytes.len() {
                for found in self.parts.with(Part::default(), &bytes[from..]) {
                    step(Part::default(), reading.next, found);
                }
            }
        }
    }
}

/// Returns the leading words up to [`MOST_WORDS`], cut between characters.
fn beginning(words: &str) -> &str {
    &words[..words.floor_char_boundary(MOST_WORDS)]
}

/// True for a character that a fold may add or take away: white space and what nobody sees.
fn is_white(found: char) -> bool {
    found.is_whitespace() || is_unseen(found)
}

/// Returns the words with one mark in place of each part that is hidden.
fn replaced(words: &str, hidden: &[bool]) -> String {
    let mut shown = String::with_capacity(words.len());
    let mut in_secret = false;
    for (at, character) in words.char_indices() {
        // A character of which any byte is hidden is hidden.
        let is_hidden = hidden[at..at + character.len_utf8()].contains(&true);
        if is_hidden && !in_secret {
            shown.push_str(HIDDEN);
        }
        if !is_hidden {
            shown.push(character);
        }
        in_secret = is_hidden;
    }
    shown
}

#[cfg(test)]
mod tests;
