//! Texts of a status that come from outside, as types that always fit their field (K7).
//!
//! Decides nothing but lengths, counted in characters as the schemas do, and which characters a
//! text for people must not have. A status with one text that is longer than its schema allows is
//! refused as a whole, so that nothing is said at all; hence no such text can be built. Used for the
//! fields of statuses that devices, servers and people fill.

use std::{borrow::Cow, fmt, ops::Deref, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::shared::shared;

/// A text that people read, of at most `MAX` characters: what does not fit is replaced by an
/// ellipsis. It has no control character and none that changes the direction of writing; line
/// breaks and tabs are blanks.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Text<const MAX: usize>(Arc<str>);

/// A text of at most `MAX` characters that is only compared: itself where it fits and has no
/// character that [`Text`] leaves out, else a digest of it, so that two that differ stay different.
/// `MAX` is 64 or more.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token<const MAX: usize>(String);

/// True for a character that a reader cannot see and that may change or hide what else is seen:
/// controls (C0, C1, delete), marks of direction (Unicode UAX 9), separators of lines, blanks and
/// joiners without width, and tags. The two joiners of letters (U+200C, U+200D) are none of them:
/// some scripts cannot be written without. This is the one list, for statuses, events and what is
/// quoted of devices and servers.
pub fn is_unseen(found: char) -> bool {
    found.is_control()
        || matches!(found, '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

fn is_break(found: char) -> bool {
    matches!(
        found,
        '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

fn fits(text: &str, most: usize) -> bool {
    text.chars().nth(most).is_none()
}

/// Returns a text that people read, as [`Text`] does, for a length that is known at run time.
pub fn cut(text: String, most: usize) -> String {
    let text = if text.contains(is_unseen) {
        let seen = text.chars().filter_map(|found| match found {
            _ if is_break(found) => Some(' '),
            _ => (!is_unseen(found)).then_some(found),
        });
        seen.collect()
    } else {
        text
    };
    if fits(&text, most) {
        return text;
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Returns a text that is only compared, as [`Token`] does, for a length that is known at run time.
pub fn token(text: &str, most: usize) -> String {
    if fits(text, most) && !text.contains(is_unseen) {
        return text.to_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    let whole = format!("sha256:{}", digits.collect::<String>());
    whole.chars().take(most).collect()
}

macro_rules! bounded {
    ($name:ident, $text:ident => $built:expr) => {
        impl<const MAX: usize> $name<MAX> {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<const MAX: usize> From<String> for $name<MAX> {
            fn from($text: String) -> Self {
                Self($built)
            }
        }

        impl<const MAX: usize> From<&str> for $name<MAX> {
            fn from(text: &str) -> Self {
                text.to_owned().into()
            }
        }

        impl<const MAX: usize> From<$name<MAX>> for String {
            fn from(text: $name<MAX>) -> Self {
                (*text.0).to_owned()
            }
        }

        impl<const MAX: usize> From<&$name<MAX>> for String {
            fn from(text: &$name<MAX>) -> Self {
                (*text.0).to_owned()
            }
        }

        impl<const MAX: usize> Deref for $name<MAX> {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl<const MAX: usize> fmt::Display for $name<MAX> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl<const MAX: usize> fmt::Debug for $name<MAX> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl<const MAX: usize> PartialEq<str> for $name<MAX> {
            fn eq(&self, text: &str) -> bool {
                *self.0 == *text
            }
        }

        impl<const MAX: usize> PartialEq<&str> for $name<MAX> {
            fn eq(&self, text: &&str) -> bool {
                *self.0 == **text
            }
        }

        impl<const MAX: usize> PartialEq<String> for $name<MAX> {
            fn eq(&self, text: &String) -> bool {
                *self.0 == **text
            }
        }

        impl<const MAX: usize> Serialize for $name<MAX> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        /// Takes any text, as a later version or a person may have written it.
        impl<'de, const MAX: usize> Deserialize<'de> for $name<MAX> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }

        impl<const MAX: usize> JsonSchema for $name<MAX> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                format!("{}{MAX}", stringify!($name)).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "maxLength": MAX})
            }
        }
    };
}

bounded!(Text, text => shared(&cut(text, MAX)));
bounded!(Token, text => token(&text, MAX));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_fits_stays_as_it_is() {
        let text = "é".repeat(64);
        assert_eq!(Text::<64>::from(text.clone()), text);
        assert_eq!(Token::<64>::from(text.clone()), text);
        let odd = "Drücker · 打印机 🖨 \u{200d}";
        assert_eq!(Text::<64>::from(odd), odd);
    }

    #[test]
    fn a_long_text_is_cut_for_people_and_told_apart_for_comparing() {
        let long = "é".repeat(65);
        assert_eq!(
            Text::<64>::from(long.clone()),
            format!("{}…", "é".repeat(63))
        );
        let (one, other) = (
            Token::<64>::from(long.clone()),
            Token::<64>::from(long + "!"),
        );
        assert_ne!(one, other);
        assert_eq!((one.chars().count(), &one[..7]), (64, "sha256:"));
        assert_eq!(Token::from(one.as_str()), one, "of a token it is the token");
    }

    #[test]
    fn what_a_reader_cannot_see_is_left_out_and_never_makes_two_texts_equal() {
        for (text, shown) in [
            ("a\u{0}b\u{1b}[31m", "ab[31m"),
            ("a\r\nb\tc", "a  b c"),
            ("a\u{7f}\u{9b}31mb", "a31mb"),
            ("txt\u{202e}exe\u{2066}\u{200f}\u{61c}", "txtexe"),
            ("a\u{2028}b", "a b"),
            ("pass\u{200b}word\u{2060}\u{feff}\u{e0041}", "password"),
        ] {
            assert_eq!(Text::<64>::from(text), shown);
            let token = Token::<127>::from(text);
            assert!(token.starts_with("sha256:"), "{token}");
            assert_ne!(token, Token::from(shown));
        }
    }

    #[test]
    fn a_longer_text_in_an_object_is_read_and_written_back_so_that_it_fits() {
        let stored = serde_json::json!("x".repeat(20_480));
        let text: Text<253> = serde_json::from_value(stored.clone()).unwrap();
        let token: Token<64> = serde_json::from_value(stored).unwrap();
        for written in [serde_json::json!(text), serde_json::json!(token)] {
            assert!(written.as_str().unwrap().chars().count() <= 253);
        }
        assert_eq!(token.len(), 64);
        let schema = SchemaGenerator::default().subschema_for::<Text<253>>();
        assert_eq!(schema.get("maxLength"), Some(&serde_json::json!(253)));
    }
}
