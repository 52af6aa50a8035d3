//! The basic encoding rules, as far as SNMP uses them (RFC 3417 section 8).
//!
//! Pure, and without recursion. Reads lengths and integers in more octets than they need, as some
//! agents write them, and no length without an end. Never reads behind its slice. Called by `message`.

/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub(super) const OCTETS: u8 = 0x04;
/// NULL.
pub(super) const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub(super) const OID: u8 = 0x06;
/// SEQUENCE and SEQUENCE OF.
pub(super) const SEQUENCE: u8 = 0x30;

/// Octets that break the rules, with the rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Values one after another.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub(super) fn is_at_the_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the next value, with its tag.
    pub(super) fn any(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let [tag, first, rest @ ..] = self.rest else {
            return Err(Malformed("it ends before a value does"));
        };
        let (length, rest) = length(*first, rest)?;
        if rest.len() < length {
            return Err(Malformed("it ends before a value does"));
        }
        let (value, rest) = rest.split_at(length);
        self.rest = rest;
        Ok((*tag, value))
    }

    /// Takes the next value, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.any()? {
            (found, value) if found == tag => Ok(value),
            _ => Err(Malformed("a value has another syntax than it must have")),
        }
    }

    /// Takes the next value, which must be an INTEGER.
    pub(super) fn integer(&mut self) -> Result<i64, Malformed> {
        signed(self.take(INTEGER)?)
    }
}

/// Returns the length of a value, and the octets behind the length.
fn length(first: u8, rest: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    // A datagram has less than 64 KiB; longer fields begin with zeros.
    if count == 0 || count > 4 || rest.len() < count {
        return Err(Malformed("a length cannot be read"));
    }
    let (octets, rest) = rest.split_at(count);
    let length = octets
        .iter()
        .fold(0_usize, |length, octet| length << 8 | usize::from(*octet));
    Ok((length, rest))
}

/// Returns a number with a sign.
pub(super) fn signed(octets: &[u8]) -> Result<i64, Malformed> {
    let Some(first) = octets.first() else {
        return Err(Malformed("a number has no octets"));
    };
    if octets.len() > 8 {
        return Err(Malformed("a number has more octets than are read"));
    }
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(octets
        .iter()
        .fold(sign, |number, octet| number << 8 | i64::from(*octet)))
}

/// Returns a number without a sign. Some agents leave out the zero before a first octet whose highest
/// bit is set.
pub(super) fn unsigned(octets: &[u8]) -> Result<u64, Malformed> {
    if octets.is_empty() {
        return Err(Malformed("a number has no octets"));
    }
    let digits = octets.strip_prefix(&[0]).unwrap_or(octets);
    if digits.len() > 8 {
        return Err(Malformed("a number has more octets than are read"));
    }
    Ok(digits
        .iter()
        .fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

/// Returns a value with its tag and length.
pub(super) fn value(tag: u8, octets: &[u8]) -> Vec<u8> {
    let mut written = vec![tag];
    let length = octets.len();
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        written.push(short);
    } else {
        let octets = length.to_be_bytes();
        let digits = digits(&octets);
        // At most the eight octets of a usize.
        written.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
        written.extend_from_slice(digits);
    }
    written.extend_from_slice(octets);
    written
}

/// Returns values one after another, with a tag and a length around them.
pub(super) fn constructed(tag: u8, values: &[Vec<u8>]) -> Vec<u8> {
    value(tag, &values.concat())
}

/// Returns an INTEGER.
pub(super) fn integer(number: i64) -> Vec<u8> {
    let octets = number.to_be_bytes();
    let fill = if number < 0 { 0xff } else { 0 };
    let is_needless = |pair: &[u8]| pair[0] == fill && (pair[1] ^ fill) & 0x80 == 0;
    let from = octets
        .windows(2)
        .position(|pair| !is_needless(pair))
        .unwrap_or(octets.len() - 1);
    value(INTEGER, &octets[from..])
}

/// Returns a number without a sign, under a tag such as that of Gauge32.
pub(super) fn number(tag: u8, number: u32) -> Vec<u8> {
    let octets = number.to_be_bytes();
    let digits = digits(&octets);
    let sign: &[u8] = if digits[0] & 0x80 == 0 { &[] } else { &[0] };
    value(tag, &[sign, digits].concat())
}

/// Returns the octets of a number without the zeros at its beginning, and the last one in any case.
fn digits(octets: &[u8]) -> &[u8] {
    let first = octets.iter().position(|octet| *octet != 0);
    &octets[first.unwrap_or(octets.len() - 1)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_written_in_as_few_octets_as_its_sign_allows() {
        for (number, octets) in [
            (0, vec![2, 1, 0]),
            (127, vec![2, 1, 127]),
            (128, vec![2, 2, 0, 128]),
            (-1, vec![2, 1, 255]),
            (-128, vec![2, 1, 128]),
            (-129, vec![2, 2, 255, 127]),
            (2_147_483_647, vec![2, 4, 127, 255, 255, 255]),
        ] {
            assert_eq!(integer(number), octets, "{number}");
            assert_eq!(Reader::new(&octets).integer(), Ok(number), "{number}");
        }
    }

    #[test]
    fn a_number_without_a_sign_is_read_with_and_without_its_zero() {
        for (octets, number) in [
            (&[0][..], 0),
            (&[0, 255, 255, 255, 255], 4_294_967_295),
            (&[255, 255, 255, 255], 4_294_967_295),
            (&[0, 255, 255, 255, 255, 255, 255, 255, 255], u64::MAX),
        ] {
            assert_eq!(unsigned(octets), Ok(number), "{octets:?}");
        }
        assert!(unsigned(&[]).is_err());
        assert!(unsigned(&[1; 9]).is_err());
        assert_eq!(
            super::number(0x42, u32::MAX),
            [0x42, 5, 0, 255, 255, 255, 255]
        );
        assert_eq!(super::number(0x43, 0), [0x43, 1, 0]);
    }

    #[test]
    fn a_long_length_is_read_back_and_one_without_an_end_is_refused() {
        let long = value(OCTETS, &[7; 300]);
        assert_eq!(long[..4], [4, 0x82, 1, 44]);
        assert_eq!(Reader::new(&long).take(OCTETS), Ok(&[7; 300][..]));
        // More octets than the length needs.
        let padded = [&[4, 0x84, 0, 0, 0, 1, 9][..]].concat();
        assert_eq!(Reader::new(&padded).take(OCTETS), Ok(&[9][..]));
        for odd in [
            &[4, 0x80, 0, 0][..],
            &[4, 0x85, 0, 0, 0, 0, 0],
            &[4, 2, 1],
            &[4],
        ] {
            assert!(Reader::new(odd).any().is_err(), "{odd:?}");
        }
    }
}
