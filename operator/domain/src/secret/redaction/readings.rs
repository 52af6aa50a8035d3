//! The ways to read words from outside.
//!
//! Decides what the words may mean at each place: each character is itself, or begins an escape of
//! JSON or a percent-encoding, and what that stands for may do so again. Only the search for a
//! secret decides between the ways, so all are kept. Called by the redaction.

use zeroize::Zeroizing;

use super::is_white;

/// Number of times that an escape may be escaped again: as JSON in JSON, or in a URL.
const LAYERS: usize = 2;

/// Words in lower case without what a fold may add, as bytes with their places.
pub(super) struct Unfolded {
    bytes: Zeroizing<Vec<u8>>,
    places: Vec<usize>,
}

impl Unfolded {
    /// Takes out of words what a fold may have added to them.
    pub(super) fn new(words: &str) -> Self {
        let seen = words.char_indices().filter(|(_, found)| !is_white(*found));
        let mut bytes = Zeroizing::new(Vec::with_capacity(words.len()));
        let mut places = Vec::with_capacity(words.len());
        for (at, character) in seen {
            let end = at + character.len_utf8();
            bytes.extend(words.as_bytes()[at..end].to_ascii_lowercase());
            places.extend(at..end);
        }
        Self { bytes, places }
    }

    /// Returns the bytes of the words from one place to another; with what was taken out before
    /// them, unless they begin something.
    pub(super) fn place(&self, from: usize, to: usize, begins: bool) -> std::ops::Range<usize> {
        let start = match from.checked_sub(1).filter(|_| !begins) {
            Some(before) => self.places[before] + 1,
            None => self.places[from],
        };
        start..self.places[to - 1] + 1
    }
}

/// One way to read at a place.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Reading {
    /// The bytes that are read, in lower case; zero where there are fewer than four.
    bytes: [u8; 4],
    /// The place after it.
    pub next: usize,
}

impl Reading {
    /// Returns the bytes that are read: none of white space, and of an escape that was cut off.
    pub(super) fn bytes(&self) -> &[u8] {
        let len = self.bytes.iter().position(|byte| *byte == 0);
        &self.bytes[..len.unwrap_or(self.bytes.len())]
    }

    fn nothing(next: usize) -> Self {
        Self {
            bytes: [0; 4],
            next,
        }
    }

    fn of(character: char, next: usize) -> Self {
        let mut bytes = [0; 4];
        if !is_white(character) {
            character.to_ascii_lowercase().encode_utf8(&mut bytes);
        }
        Self { bytes, next }
    }

    /// Reads a byte, which may be one of several of a character.
    fn of_byte(byte: u8, next: usize) -> Self {
        let mut bytes = [0; 4];
        if !byte.is_ascii() || !is_white(char::from(byte)) {
            bytes[0] = byte.to_ascii_lowercase();
        }
        Self { bytes, next }
    }
}

/// All ways to read words, by place.
pub(super) struct Readings(Vec<Vec<Reading>>);

impl Readings {
    /// Reads words in all ways.
    pub(super) fn new(words: &Unfolded) -> Self {
        let bytes = words.bytes.iter().enumerate();
        let plain = bytes.map(|(at, byte)| vec![Reading::of_byte(*byte, at + 1)]);
        let mut readings = Self(plain.collect());
        for _ in 0..LAYERS {
            readings = readings.unescaped();
        }
        readings
    }

    /// Returns the number of places.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the ways to read at a place; none after the last.
    pub(super) fn at(&self, place: usize) -> &[Reading] {
        self.0.get(place).map_or(&[], Vec::as_slice)
    }

    /// Adds what the escapes stand for that these readings spell.
    fn unescaped(&self) -> Self {
        let at = |place: usize| {
            let mut found = self.at(place).to_vec();
            for reading in self.at(place) {
                match reading.bytes() {
                    // A space in a form (`application/x-www-form-urlencoded`).
                    b"+" => found.push(Reading::nothing(reading.next)),
                    b"%" => found.extend(self.percent(reading.next)),
                    b"\\" => found.extend(self.json(reading.next)),
                    _ => {}
                }
            }
            // An escape that was read before is read again.
            found.sort_unstable();
            found.dedup();
            found
        };
        Self((0..self.len()).map(at).collect())
    }

    /// Reads the two digits of a percent-encoding (RFC 3986 section 2.1).
    fn percent(&self, at: usize) -> Vec<Reading> {
        self.number(at, 2, |number, next| {
            let byte = u8::try_from(number).into_iter();
            byte.map(|byte| Reading::of_byte(byte, next)).collect()
        })
    }

    /// Reads what a backslash of JSON escapes (RFC 8259 section 7).
    fn json(&self, at: usize) -> Vec<Reading> {
        let mut found: Vec<Reading> = self.cut_off(at).into_iter().collect();
        for reading in self.at(at) {
            match reading.bytes() {
                b"b" | b"f" | b"n" | b"r" | b"t" => found.push(Reading::nothing(reading.next)),
                b"\\" | b"\"" | b"/" => found.push(*reading),
                b"u" => found.extend(self.unicode(reading.next)),
                _ => {}
            }
        }
        found
    }

    /// Reads the character of four digits, or of two escapes that are a pair of surrogates.
    fn unicode(&self, at: usize) -> Vec<Reading> {
        self.number(at, 4, |first, next| {
            if let Some(character) = char::from_u32(first.into()) {
                return vec![Reading::of(character, next)];
            }
            let with = |(second, next): (u16, usize)| {
                let character = char::decode_utf16([first, second]).next()?.ok()?;
                Some(Reading::of(character, next))
            };
            self.units(next).into_iter().filter_map(with).collect()
        })
    }

    /// Returns the numbers of the escapes of four digits that begin at a place.
    fn units(&self, at: usize) -> Vec<(u16, usize)> {
        let after = |at: usize, wanted: &'static [u8]| {
            let found = self.at(at).iter();
            found
                .filter(move |found| found.bytes() == wanted)
                .map(|found| found.next)
        };
        let digits = after(at, b"\\").flat_map(|at| after(at, b"u"));
        digits.flat_map(|at| self.numbers(at, 4)).collect()
    }

    /// Reads a number of so many hexadecimal digits, and nothing where the words end before.
    fn number(
        &self,
        at: usize,
        digits: usize,
        read: impl Fn(u16, usize) -> Vec<Reading>,
    ) -> Vec<Reading> {
        let cut_off = (0..digits).find_map(|some| {
            let mut numbers = self.numbers(at, some).into_iter();
            numbers.find_map(|(_, next)| self.cut_off(next))
        });
        let numbers = self.numbers(at, digits).into_iter();
        numbers
            .flat_map(|(number, next)| read(number, next))
            .chain(cut_off)
            .collect()
    }

    /// Returns the numbers that so many hexadecimal digits spell, and the places after them.
    fn numbers(&self, at: usize, digits: usize) -> Vec<(u16, usize)> {
        (0..digits).fold(vec![(0, at)], |numbers, _| {
            let with_one_more = |(number, at): (u16, usize)| {
                self.at(at).iter().filter_map(move |reading| {
                    let [digit] = reading.bytes() else {
                        return None;
                    };
                    let digit = char::from(*digit).to_digit(16)?;
                    Some((number << 4 | u16::try_from(digit).ok()?, reading.next))
                })
            };
            numbers.into_iter().flat_map(with_one_more).collect()
        })
    }

    /// Reads nothing of an escape inside which the words end.
    fn cut_off(&self, at: usize) -> Option<Reading> {
        (at >= self.len()).then(|| Reading::nothing(self.len()))
    }
}
