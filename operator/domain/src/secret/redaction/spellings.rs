//! The parts of secrets that are looked for, in every spelling that is no escape of their characters.
//!
//! Decides which bytes, one after the other, reveal a secret: every run of eight in every spelling,
//! a short secret in whole, and four at the end of words that were cut off. Never shown; wiped from
//! memory when dropped. Called by the redaction, which finds them in words.

use base64::{Engine as _, engine::general_purpose};
use zeroize::Zeroizing;

use super::{RUN, SHORTEST_HIDDEN, is_white};

/// At most eight bytes, of which the first is the highest. None of them is zero: a spelling has no
/// character that is not seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Part {
    bytes: u64,
    len: usize,
}

impl Part {
    /// True for the part of no bytes.
    pub(super) fn is_empty(self) -> bool {
        self.len == 0
    }

    fn with(self, byte: u8) -> Self {
        Self {
            bytes: self.bytes | u64::from(byte) << (8 * (RUN - 1 - self.len)),
            len: self.len + 1,
        }
    }

    fn of(bytes: &[u8]) -> Self {
        let part = Self::default();
        bytes
            .iter()
            .take(RUN)
            .fold(part, |part, byte| part.with(*byte))
    }

    /// True if one of these sorted parts begins with this one.
    fn begins_one_of(self, parts: &[u64]) -> bool {
        let next = parts.partition_point(|part| *part < self.bytes);
        let rest = u64::MAX.checked_shr(u32::try_from(8 * self.len).unwrap_or(u32::MAX));
        parts
            .get(next)
            .is_some_and(|part| *part <= self.bytes | rest.unwrap_or_default())
    }
}

/// Meaning of bytes that were read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// They begin a part.
    Beginning(Part),
    /// They are all of a part.
    Whole,
}

/// All parts of all secrets.
pub(super) struct Parts {
    /// Sorted; shorter ones end in zeros.
    all: Zeroizing<Vec<u64>>,
    /// Sorted; those with which a spelling begins.
    first: Zeroizing<Vec<u64>>,
}

impl Parts {
    /// Returns the parts of secrets.
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut spellings = Vec::new();
        for secret in secrets {
            for text in without_frames(secret) {
                if text.len() >= SHORTEST_HIDDEN {
                    spell(text, &mut spellings);
                }
                for line in text.lines().map(str::trim) {
                    if line.len() >= RUN && line.len() < text.len() {
                        spell(line, &mut spellings);
                    }
                }
            }
        }
        // At once as large as they get: what a vector grows out of is not wiped.
        let most = spellings.iter().map(|spelling| spelling.len()).sum();
        let mut all = Zeroizing::new(Vec::with_capacity(most));
        let mut first = Zeroizing::new(Vec::with_capacity(spellings.len()));
        for spelling in &spellings {
            let mut parts = parts_of(spelling);
            first.extend(parts.clone().next());
            all.extend(&mut parts);
        }
        for parts in [&mut all, &mut first] {
            parts.sort_unstable();
            parts.dedup();
        }
        Self { all, first }
    }

    /// True if there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns everything that the beginning of a part is together with the bytes after it.
    pub(super) fn with(&self, part: Part, bytes: &[u8]) -> impl Iterator<Item = Found> {
        let (mut longer, mut is_whole) = (part, false);
        for byte in bytes {
            longer = longer.with(*byte);
            if !longer.begins_one_of(&self.all) {
                return [is_whole.then_some(Found::Whole), None]
                    .into_iter()
                    .flatten();
            }
            is_whole |= self.all.binary_search(&longer.bytes).is_ok();
            if longer.len == RUN {
                break;
            }
        }
        let goes_on = longer != part && longer.len < RUN;
        let beginning = goes_on.then_some(Found::Beginning(longer));
        [is_whole.then_some(Found::Whole), beginning]
            .into_iter()
            .flatten()
    }

    /// True if words that end after this beginning were cut off inside a secret.
    pub(super) fn has_cut_off(&self, part: Part) -> bool {
        part.len >= SHORTEST_HIDDEN && part.begins_one_of(&self.first)
    }
}

/// Returns the texts before, between and after the frames of PEM (RFC 7468): a frame is no secret,
/// and occurs in every other PEM text.
fn without_frames(secret: &str) -> Vec<&str> {
    const DASHES: &str = "-----";
    let (mut texts, mut rest) = (Vec::new(), secret);
    let mut searched = 0;
    while let Some(found) = rest[searched..].find(DASHES) {
        let from = searched + found;
        let label = &rest[from + DASHES.len()..];
        let end = label.find(DASHES).filter(|end| {
            let label = &label[..*end];
            let is_of_one = |found: u8| matches!(found, b' ' | b'A'..=b'Z' | b'0'..=b'9');
            let begins = label.starts_with("BEGIN ") || label.starts_with("END ");
            begins && label.bytes().all(is_of_one)
        });
        if let Some(end) = end {
            texts.push(rest[..from].trim());
            rest = &label[end + DASHES.len()..];
            searched = 0;
        } else {
            searched = from + 1;
        }
    }
    texts.push(rest.trim());
    texts
}

/// Adds every spelling of a text, in lower case, with one space for each of its white spaces.
fn spell(text: &str, spellings: &mut Vec<Zeroizing<Vec<u8>>>) {
    let mut add = |spelling: &str| {
        let is_white_in_ascii = |found: char| found.is_ascii() && is_white(found);
        spellings.push(unfolded(spelling, is_white));
        // The bytes of the others are seen where they are percent-encoded.
        if spelling
            .chars()
            .any(|found| is_white(found) && !found.is_ascii())
        {
            spellings.push(unfolded(spelling, is_white_in_ascii));
        }
    };
    add(text);
    if !text.is_ascii() {
        add(&Zeroizing::new(text.to_lowercase()));
        add(&Zeroizing::new(text.to_uppercase()));
    }
    add(&Zeroizing::new(hex::encode(text)));
    for before in 0..3_usize {
        // The bytes before shift the digits; only digits that depend on the text alone remain.
        let padded = Zeroizing::new([&vec![0; before], text.as_bytes()].concat());
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for engine in [&general_purpose::STANDARD, &general_purpose::URL_SAFE] {
            let digits = Zeroizing::new(engine.encode(padded.as_slice()));
            if before == 0 {
                add(digits.trim_end_matches('='));
            }
            if last.saturating_sub(first) >= RUN {
                add(&digits[first..last]);
            }
        }
    }
}

/// Returns a spelling in lower case with one space in place of what a fold may add or take away.
fn unfolded(spelling: &str, is_white: impl Fn(char) -> bool) -> Zeroizing<Vec<u8>> {
    let mut unfolded = Zeroizing::new(Vec::with_capacity(spelling.len()));
    for character in spelling.chars() {
        if !is_white(character) {
            let character = character.to_ascii_lowercase();
            unfolded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        } else if !unfolded.ends_with(b" ") {
            unfolded.push(b' ');
        }
    }
    unfolded
}

/// Returns the parts of a spelling: every run of eight bytes, or all of a shorter one, each without
/// its spaces, since words may have them or not.
fn parts_of(spelling: &[u8]) -> impl Iterator<Item = u64> + Clone {
    let runs = spelling.windows(RUN.min(spelling.len()).max(1));
    runs.filter_map(|run| {
        let mut seen = [0; RUN];
        let bytes = run.iter().filter(|byte| **byte != b' ');
        let count = seen
            .iter_mut()
            .zip(bytes)
            .map(|(seen, byte)| *seen = *byte)
            .count();
        (count >= SHORTEST_HIDDEN).then(|| Part::of(&seen[..count]).bytes)
    })
}
