//! Digests that a status has in place of values: the first half of a SHA-256, as 32 hexadecimal
//! digits.
//!
//! Decides the text of a digest, and never its input. An object has some twenty of them and the
//! operator holds every object in memory, hence the bytes.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// A digest of a value.
///
/// A text in a status that is no digest is read as the default, which belongs to no value: its item
/// is verified anew, and its object is read all the same.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest([u8; 16]);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest must be 32 lower case hexadecimal digits")]
pub struct DigestError;

impl Digest {
    /// Returns its bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

/// Takes the first half of a SHA-256.
impl From<[u8; 32]> for Digest {
    fn from(whole: [u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        Self(half)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let is_digit = |found: u8| matches!(found, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(DigestError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| DigestError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Digest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a digest")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Digest, E> {
        Ok(text.parse().unwrap_or_default())
    }
}

impl JsonSchema for Digest {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_back_byte_for_byte() {
        let text = "00f1c2f66f0e4f0a9a5e0000000000ab";
        let stored = serde_json::json!(text);
        let field: Digest = serde_json::from_value(stored.clone()).expect("it is a digest");
        assert_eq!(field.to_string(), text);
        assert_eq!(field.bytes()[..3], [0x00, 0xf1, 0xc2]);
        assert_eq!(serde_json::to_value(field).expect("it is a text"), stored);
    }

    #[test]
    fn a_text_that_is_no_digest_is_refused_and_in_a_status_stands_for_no_value() {
        let short = "0".repeat(31);
        let sign = format!("+{short}");
        let upper = "A".repeat(32);
        for text in ["", "said", &short, &sign, &upper, &"0".repeat(33)] {
            assert_eq!(text.parse::<Digest>(), Err(DigestError), "{text}");
            let field: Digest = serde_json::from_value(text.into()).expect("it is a text");
            assert_eq!(field, Digest::default(), "{text}");
        }
    }
}
