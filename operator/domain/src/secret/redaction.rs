//! Takes secrets out of words that came from outside, however those spell them (K4).
//!
//! Decides by looking for each secret in the words as they came, before anything is folded or cut:
//! unchanged, line by line, escaped as JSON does or percent-encoded in whole or in part, in base64
//! at every alignment, in hexadecimal, in upper or lower case, with white space between, and cut
//! off after its first eight characters. It must never reveal the length of a secret. Called by the
//! drivers' one gate for quotations; `Secrets` supplies the contents of the tenant's Secrets.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose};
use zeroize::Zeroizing;

/// Replacement of a secret in a message.
pub const HIDDEN: &str = "[redacted]";

/// Length in bytes below which a text is not searched for: hiding it would tear words apart and
/// reveal it by its length.
const SHORTEST_HIDDEN: usize = 4;

/// Number of leading bytes of a secret that are hidden wherever they occur.
const BEGINNING: usize = 8;

/// The largest number of bytes of words that are searched; quotations are far shorter.
const MOST_WORDS: usize = 8_192;

/// Texts that must be taken out of words, in lower case.
pub struct Redactions(Vec<Zeroizing<Vec<u8>>>);

impl Redactions {
    /// Takes the texts that must not be shown, in every spelling.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut spellings = Vec::new();
        for secret in secrets {
            let secret = secret.trim();
            if secret.len() >= SHORTEST_HIDDEN {
                spell(secret.as_bytes(), &mut spellings);
            }
            for line in secret.lines().map(str::trim) {
                // The frame of a PEM text is no secret, and occurs in every other PEM text.
                if line.len() >= BEGINNING && line.len() < secret.len() && !line.starts_with("---")
                {
                    spell(line.as_bytes(), &mut spellings);
                }
            }
        }
        spellings.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
        spellings.dedup_by(|a, b| a.as_slice() == b.as_slice());
        Self(spellings)
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
        hidden
            .split(|hidden| !hidden)
            .any(|run| run.len() >= BEGINNING)
    }

    /// Returns for each byte of the words whether it is of a secret.
    fn found(&self, words: &str) -> Vec<bool> {
        let mut hidden = vec![false; words.len()];
        if self.0.is_empty() {
            return hidden;
        }
        let lower = Zeroizing::new(words.to_ascii_lowercase());
        let read = Words(lower.as_bytes());
        let readings: Vec<_> = (0..words.len()).map(|at| read.readings(at)).collect();
        for spelling in &self.0 {
            for from in 0..words.len() {
                if let Some(to) = read.end_of(spelling, from, &readings) {
                    hidden[from..to].fill(true);
                }
            }
        }
        hidden
    }
}

/// Adds every spelling of a text that is no escape of its own characters.
fn spell(text: &[u8], spellings: &mut Vec<Zeroizing<Vec<u8>>>) {
    let mut add = |spelling: &[u8]| {
        let lower = spelling.to_ascii_lowercase();
        spellings.push(Zeroizing::new(lower));
    };
    add(text);
    let squeezed: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let squeezed = Zeroizing::new(squeezed);
    if squeezed.len() >= SHORTEST_HIDDEN {
        add(&squeezed);
    }
    add(hex::encode(text).as_bytes());
    for before in 0..3_usize {
        // The bytes before shift the digits; only digits that depend on the text alone remain.
        let padded = Zeroizing::new([&vec![0; before], text].concat());
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for engine in [&general_purpose::STANDARD, &general_purpose::URL_SAFE] {
            let digits = Zeroizing::new(engine.encode(padded.as_slice()));
            if before == 0 {
                add(digits.trim_end_matches('=').as_bytes());
            }
            if last.saturating_sub(first) >= BEGINNING {
                add(&digits.as_bytes()[first..last]);
            }
        }
    }
}

/// Returns the leading words up to [`MOST_WORDS`], cut between characters.
fn beginning(words: &str) -> &str {
    let mut end = words.len().min(MOST_WORDS);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    &words[..end]
}

/// Words in lower case, as bytes.
///
/// A place can be read in more than one way: a backslash is itself or begins an escape. Only the
/// search for a secret from there on decides between them, so every reading is followed.
struct Words<'a>(&'a [u8]);

/// Result of one way of reading at a place, and the place after it.
struct Reading {
    bytes: Vec<u8>,
    next: usize,
}

impl Words<'_> {
    /// Returns the end of a spelling that begins at this place: in whole, from its beginning on, or
    /// at the end of the words inside it.
    fn end_of(&self, spelling: &[u8], from: usize, readings: &[Vec<Reading>]) -> Option<usize> {
        let begins = |reading: &Reading| spelling.starts_with(&reading.bytes);
        if !readings[from].iter().any(begins) {
            return None;
        }
        let mut end = None;
        let mut seen = BTreeSet::new();
        let mut open = vec![(from, 0)];
        while let Some((at, matched)) = open.pop() {
            if !seen.insert((at, matched)) {
                continue;
            }
            if matched >= SHORTEST_HIDDEN && self.is_cut_off(at) {
                end = Some(self.0.len());
            }
            for reading in readings.get(at).into_iter().flatten() {
                if spelling[matched..].starts_with(&reading.bytes) {
                    let matched = matched + reading.bytes.len();
                    if matched == spelling.len() || matched >= BEGINNING {
                        end = end.max(Some(reading.next));
                    }
                    open.push((reading.next, matched));
                }
                // Some fold what they print.
                if matched > 0 && reading.bytes.iter().all(u8::is_ascii_whitespace) {
                    open.push((reading.next, matched));
                }
            }
        }
        end
    }

    /// True if the words end here, or inside an escape that begins here.
    fn is_cut_off(&self, at: usize) -> bool {
        let unfinished = |escape: &[u8], whole: usize| {
            escape.len() < whole && escape.iter().all(u8::is_ascii_hexdigit)
        };
        match &self.0[at..] {
            [] | [b'\\'] => true,
            [b'\\', b'u', digits @ ..] => unfinished(digits, 4),
            [b'%', digits @ ..] => unfinished(digits, 2),
            _ => false,
        }
    }

    /// Reads percent-encoding (RFC 3986 section 2.1), `+` as a space, and every character as it is;
    /// each may also be escaped as JSON does.
    fn readings(&self, at: usize) -> Vec<Reading> {
        let mut found = Vec::new();
        for reading in self.characters(at) {
            match reading.bytes.as_slice() {
                b"+" => found.push(Reading {
                    bytes: vec![b' '],
                    next: reading.next,
                }),
                b"%" => {
                    for (high, after) in self.digits(reading.next) {
                        let low = self.digits(after).into_iter();
                        found.extend(low.map(|(low, next)| Reading {
                            bytes: vec![(high * 16 + low).to_ascii_lowercase()],
                            next,
                        }));
                    }
                }
                _ => {}
            }
            found.push(reading);
        }
        found
    }

    /// Reads one hexadecimal digit in every spelling: its value, and the place after it.
    fn digits(&self, at: usize) -> Vec<(u8, usize)> {
        let digit = |reading: Reading| {
            let [byte] = reading.bytes.try_into().ok()?;
            let digit = char::from(byte).to_digit(16)?;
            Some((u8::try_from(digit).ok()?, reading.next))
        };
        self.characters(at).into_iter().filter_map(digit).collect()
    }

    /// Reads a byte as it is, and the escape of JSON (RFC 8259 section 7) that may begin with it.
    fn characters(&self, at: usize) -> Vec<Reading> {
        let Some(&byte) = self.0.get(at) else {
            return Vec::new();
        };
        let mut found = vec![Reading {
            bytes: vec![byte],
            next: at + 1,
        }];
        let escaped = match self.0.get(at + 1).filter(|_| byte == b'\\') {
            Some(b'n') => Some(b'\n'),
            Some(b'r') => Some(b'\r'),
            Some(b't') => Some(b'\t'),
            Some(other @ (b'\\' | b'"' | b'/')) => Some(*other),
            _ => None,
        };
        found.extend(escaped.map(|byte| Reading {
            bytes: vec![byte],
            next: at + 2,
        }));
        found.extend(self.unicode(at));
        found
    }

    /// Reads the character that `\u` and four hexadecimal digits stand for, or two of these escapes
    /// as a pair of surrogates.
    fn unicode(&self, at: usize) -> Option<Reading> {
        let pair = [Some(self.code_unit(at)?), self.code_unit(at + 6)];
        let mut decoded = char::decode_utf16(pair.into_iter().flatten());
        let character = decoded.next()?.ok()?;
        Some(Reading {
            bytes: character.to_ascii_lowercase().to_string().into_bytes(),
            next: at + 6 * character.len_utf16(),
        })
    }

    /// Reads the number in `\u` and four hexadecimal digits.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.0.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
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
