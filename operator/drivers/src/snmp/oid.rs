//! Names of objects (RFC 2578 section 3.5): numbers, in the order in which an agent has them.
//!
//! Pure. Called by everything that asks for an object.

use std::fmt;

use super::ber::Malformed;

/// The most numbers of a name (RFC 2578 section 3.5).
const MOST: usize = 128;

/// The name of an object, or of a part of the tree. Ordered as `getnext` goes through them.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Oid(Vec<u32>);

impl Oid {
    /// Returns the name with these numbers.
    pub(super) fn of(numbers: &[u32]) -> Self {
        Self(numbers.to_vec())
    }

    /// Reads numbers with points between them; `None` if they are no name of an object.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
        let numbers = numbers?;
        let is_name = matches!(numbers[..], [0 | 1, second, ..] if second < 40);
        (is_name && numbers.len() <= MOST).then_some(Self(numbers))
    }

    /// Returns the name of an object below this one.
    pub(super) fn child(&self, numbers: &[u32]) -> Self {
        Self([&self.0, numbers].concat())
    }

    /// Returns the numbers behind a part of the tree; `None` if it is not in there.
    pub(super) fn below(&self, tree: &Self) -> Option<&[u32]> {
        self.0.strip_prefix(&tree.0[..])
    }

    /// Reads the octets of a name.
    pub(super) fn decode(octets: &[u8]) -> Result<Self, Malformed> {
        let mut numbers = Vec::new();
        let mut number = 0_u64;
        for octet in octets {
            number = number << 7 | u64::from(octet & 0x7f);
            if number > u64::from(u32::MAX) + 80 {
                return Err(Malformed("a number of a name is too large"));
            }
            if octet & 0x80 != 0 {
                continue;
            }
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first);
                numbers.push(number - first * 40);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
        let is_cut_off = octets.last().is_some_and(|last| last & 0x80 != 0);
        if is_cut_off || numbers.len() > MOST {
            return Err(Malformed("the name of an object cannot be read"));
        }
        let numbers = numbers.into_iter().map(u32::try_from);
        let numbers: Result<Vec<u32>, _> = numbers.collect();
        numbers
            .map(Self)
            .map_err(|_| Malformed("a number of a name is too large"))
    }

    /// Returns the octets of the name.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (first, rest) = match &self.0[..] {
            [first, second, rest @ ..] => (first * 40 + second, rest),
            [first] => (first * 40, &[][..]),
            [] => (0, &[][..]),
        };
        let mut octets = Vec::new();
        for number in std::iter::once(&first).chain(rest) {
            let mut digits = [0_u8; 5];
            let mut left = *number;
            let mut at = digits.len();
            loop {
                at -= 1;
                let more = if at + 1 == digits.len() { 0 } else { 0x80 };
                digits[at] = u8::try_from(left & 0x7f).unwrap_or(0x7f) | more;
                left >>= 7;
                if left == 0 {
                    break;
                }
            }
            octets.extend_from_slice(&digits[at..]);
        }
        octets
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_as_it_was_written() {
        for text in [
            "1.3.6.1.2.1.1.6.0",
            "1.3.6.1.2.1.43.16.5.1.2.1.1",
            "1.3.6.1.4.1.4294967295.128.127",
            "0.0",
        ] {
            let oid = Oid::parse(text).unwrap();
            assert_eq!(Oid::decode(&oid.encode()), Ok(oid.clone()), "{text}");
            assert_eq!(oid.to_string(), text);
        }
        assert_eq!(
            Oid::parse("1.3.6.1.2.1.1.6.0").unwrap().encode(),
            [43, 6, 1, 2, 1, 1, 6, 0]
        );
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for odd in [
            "",
            "1",
            "1.",
            "1.40",
            "3.1",
            "1.3.x",
            "1.3.4294967296",
            "1..3",
            "-1.3",
        ] {
            assert_eq!(Oid::parse(odd), None, "{odd}");
        }
        for odd in [&[43, 0x86][..], &[43, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert!(Oid::decode(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn names_are_in_the_order_of_an_agent() {
        let oid = |text: &str| Oid::parse(text).unwrap();
        assert!(oid("1.3.6.1.2") < oid("1.3.6.1.2.0"));
        assert!(oid("1.3.6.1.9") < oid("1.3.6.1.10"));
        assert_eq!(oid("1.3.6.1.2.7").below(&oid("1.3.6.1")), Some(&[2, 7][..]));
        assert_eq!(oid("1.3.6.2").below(&oid("1.3.6.1")), None);
    }
}
