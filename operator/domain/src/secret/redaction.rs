//! Takes secrets out of words that came from outside, however those spell them (K4).
//!
//! Decides by looking for each secret in the words as they came, before anything is folded or cut:
//! as it is, line by line, escaped as JSON does or percent-encoded in whole or in part, in base64
//! at every alignment, in hexadecimal, in whatever case, with whatever white space between, and cut
//! off after its first eight characters. It must never tell how long a secret is. Called by the
//! drivers' one gate for quotations; `Secrets` gives it what the tenant's Secrets hold.

use base64::{Engine as _, engine::general_purpose};
use zeroize::Zeroizing;

/// What stands for a secret in a message.
pub const HIDDEN: &str = "[redacted]";

/// A shorter text than this is not looked for: it would tear words apart, and be told by its own
/// length.
const SHORTEST_HIDDEN: usize = 4;

/// So much of the beginning of a secret is hidden wherever it stands.
const BEGINNING: usize = 8;

/// The most bytes of words that are looked at; what is quoted is far shorter.
const MOST_WORDS: usize = 8_192;

/// What has to be taken out of words, in lower case.
pub struct Redactions(Vec<Zeroizing<Vec<u8>>>);

impl Redactions {
    /// Takes the texts that nobody may read, in every spelling.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut spellings = Vec::new();
        for secret in secrets {
            let secret = secret.trim();
            if secret.len() >= SHORTEST_HIDDEN {
                spell(secret.as_bytes(), &mut spellings);
            }
            for line in secret.lines().map(str::trim) {
                // The frame of a PEM text is no secret, and stands in every other one.
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
        if self.0.is_empty() {
            return words.to_owned();
        }
        let mut hidden = vec![false; words.len()];
        let plain = plain(words);
        // A backslash before the echo makes the first one of it an escaped one: both readings count.
        let [strict, loose] = [true, false].map(|pairs| unescaped(&plain, pairs));
        let decoded = [&plain, &strict, &loose].map(|view| percent_decoded(view));
        for view in [plain, strict, loose].iter().chain(&decoded) {
            let squeezed: Vec<Unit> = view
                .iter()
                .filter(|unit| !unit.byte.is_ascii_whitespace())
                .copied()
                .collect();
            for spelling in &self.0 {
                mark(view, spelling, &mut hidden);
                mark(&squeezed, spelling, &mut hidden);
            }
        }
        replaced(words, &hidden)
    }
}

/// One byte of the words as they are meant, and where it stands in the words as they came.
#[derive(Clone, Copy)]
struct Unit {
    byte: u8,
    from: usize,
    to: usize,
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
        // What stands before shifts the digits; those that are made of the text alone remain.
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

/// As many whole characters as are looked at.
fn beginning(words: &str) -> &str {
    let mut end = words.len().min(MOST_WORDS);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    &words[..end]
}

fn plain(words: &str) -> Vec<Unit> {
    let bytes = words.bytes().enumerate();
    let unit = |(at, byte): (usize, u8)| Unit {
        byte: byte.to_ascii_lowercase(),
        from: at,
        to: at + 1,
    };
    bytes.map(unit).collect()
}

/// The words with the escapes of JSON (RFC 8259 section 7) read; two backslashes as one where
/// `pairs` says so.
fn unescaped(units: &[Unit], pairs: bool) -> Vec<Unit> {
    let mut read = Vec::with_capacity(units.len());
    let mut rest = units;
    while let [first, after @ ..] = rest {
        let (taken, bytes) = match (first.byte, after.first().map(|unit| unit.byte)) {
            (b'\\', Some(b'u')) => match character(rest) {
                Some((taken, character)) => (taken, character.to_string().into_bytes()),
                None => (1, vec![first.byte]),
            },
            (b'\\', Some(b'n')) => (2, vec![b'\n']),
            (b'\\', Some(b'r')) => (2, vec![b'\r']),
            (b'\\', Some(b't')) => (2, vec![b'\t']),
            (b'\\', Some(b'\\')) if pairs => (2, vec![b'\\']),
            (b'\\', Some(other @ (b'"' | b'/'))) => (2, vec![other]),
            _ => (1, vec![first.byte]),
        };
        let to = rest[taken - 1].to;
        read.extend(bytes.into_iter().map(|byte| Unit {
            byte: byte.to_ascii_lowercase(),
            from: first.from,
            to,
        }));
        rest = &rest[taken..];
    }
    read
}

/// Reads the character that `\u` and four hexadecimal digits stand for, or two of these escapes as a
/// pair of surrogates (RFC 8259 section 7), and counts the units that it takes.
fn character(units: &[Unit]) -> Option<(usize, char)> {
    let first = code_unit(units)?;
    let second = code_unit(units.get(6..).unwrap_or_default());
    let pair = [Some(first), second];
    let mut decoded = char::decode_utf16(pair.into_iter().flatten());
    let character = decoded.next()?.ok()?;
    Some((6 * character.len_utf16(), character))
}

/// Reads the number in `\u` and four hexadecimal digits.
fn code_unit(units: &[Unit]) -> Option<u16> {
    let bytes: Vec<u8> = units.get(..6)?.iter().map(|unit| unit.byte).collect();
    let digits = bytes.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The words with what is percent-encoded (RFC 3986 section 2.1) read, and `+` as a space.
fn percent_decoded(units: &[Unit]) -> Vec<Unit> {
    let mut read = Vec::with_capacity(units.len());
    let mut rest = units;
    while let [first, after @ ..] = rest {
        let digit = |at: usize| char::from(after.get(at)?.byte).to_digit(16);
        let pair = digit(0).zip(digit(1)).filter(|_| first.byte == b'%');
        let (taken, byte) = match pair {
            Some((high, low)) => (3, u8::try_from(high * 16 + low).unwrap_or_default()),
            None if first.byte == b'+' => (1, b' '),
            None => (1, first.byte),
        };
        read.push(Unit {
            byte: byte.to_ascii_lowercase(),
            from: first.from,
            to: rest[taken - 1].to,
        });
        rest = &rest[taken..];
    }
    read
}

/// Marks where a spelling stands, in whole or from its beginning on, and where the words end
/// inside one.
fn mark(view: &[Unit], spelling: &[u8], hidden: &mut [bool]) {
    // Everywhere: the secret itself may begin inside what only looked like its beginning.
    for at in 0..view.len() {
        let rest = &view[at..];
        let same = rest
            .iter()
            .zip(spelling)
            .take_while(|(unit, byte)| unit.byte == **byte);
        let length = same.count();
        let ends = length == rest.len() && length >= SHORTEST_HIDDEN;
        if length > 0 && (length == spelling.len() || length >= BEGINNING || ends) {
            let (from, to) = (rest[0].from, rest[length - 1].to);
            hidden[from..to].fill(true);
        }
    }
}

/// The words with one mark in place of each part that is hidden.
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
