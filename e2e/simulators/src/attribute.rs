//! IPP attributes: their syntaxes, their text and JSON forms, their wire form.
//!
//! Decides whether a value fits a syntax. It must not know about devices or requests. Called by the
//! model, the device and the IPP operations.

use bytes::{BufMut as _, BytesMut};
use ipp::value::{IppTextValue, IppValue};
use serde_json::Value;

/// Out-of-band value tags (RFC 8010 section 3.5.2, RFC 3380 section 8).
pub(super) const TAG_UNSUPPORTED: u8 = 0x10;
pub(super) const TAG_UNKNOWN: u8 = 0x12;
pub(super) const TAG_NOT_SETTABLE: u8 = 0x15;
pub(super) const TAG_DELETE: u8 = 0x16;

/// The syntax of a settable attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syntax {
    /// text(MAX): at most so many bytes.
    Text {
        /// Longest value in bytes.
        maximum: usize,
    },
    /// name(MAX).
    Name {
        /// Longest value in bytes.
        maximum: usize,
    },
    /// type2 keyword.
    Keyword {
        /// Accepted values; empty: every keyword.
        allowed: Vec<String>,
    },
    /// 1setOf type2 keyword; order has no meaning, `no-value` empties it.
    KeywordSet {
        /// Accepted values; empty: every keyword.
        allowed: Vec<String>,
    },
    /// integer(MIN:MAX).
    Integer {
        /// Smallest value.
        minimum: i32,
        /// Largest value.
        maximum: i32,
    },
    /// boolean.
    Boolean,
    /// uri; also the out-of-band value unknown.
    Uri,
}

/// An attribute that Set-Printer-Attributes can set, with its value as it leaves the factory.
#[derive(Debug, Clone, PartialEq)]
pub struct SettableAttribute {
    /// Attribute name.
    pub name: String,
    /// Its syntax.
    pub syntax: Syntax,
    /// The value at the factory, as JSON; null: the attribute is absent until it is set.
    pub factory: Value,
}

impl SettableAttribute {
    /// Returns an attribute with a factory value.
    pub fn new(name: impl Into<String>, syntax: Syntax, factory: impl Into<Value>) -> Self {
        Self {
            name: name.into(),
            syntax,
            factory: factory.into(),
        }
    }
}

impl Syntax {
    /// True if a value that came over the wire is of this syntax.
    pub(super) fn takes(&self, value: &IppValue) -> bool {
        match (self, value) {
            (Self::Text { maximum }, IppValue::TextWithoutLanguage(text)) => text.len() <= *maximum,
            (Self::Text { maximum }, IppValue::TextWithLanguage { text, .. }) => {
                text.len() <= *maximum
            }
            (Self::Name { maximum }, IppValue::NameWithoutLanguage(name)) => name.len() <= *maximum,
            (Self::Name { maximum }, IppValue::NameWithLanguage { name, .. }) => {
                name.len() <= *maximum
            }
            (Self::Keyword { allowed }, IppValue::Keyword(word)) => is_in(allowed, word),
            (Self::KeywordSet { .. }, IppValue::NoValue)
            | (Self::Boolean, IppValue::Boolean(_))
            | (Self::Uri, IppValue::Uri(_)) => true,
            (Self::KeywordSet { allowed }, values) => one_or_more(values)
                .iter()
                .all(|v| matches!(v, IppValue::Keyword(word) if is_in(allowed, word))),
            (Self::Integer { minimum, maximum }, IppValue::Integer(number)) => {
                (minimum..=maximum).contains(&number)
            }
            (Self::Uri, IppValue::Other { tag, .. }) => *tag == TAG_UNKNOWN,
            _ => false,
        }
    }

    /// Returns the value that a JSON value means; `None` if it is not of this syntax.
    pub(super) fn value_of(&self, json: &Value) -> Option<IppValue> {
        let value = match (self, json) {
            (Self::Text { .. }, Value::String(s)) => {
                IppValue::new_text_without_language(s.as_str()).ok()?
            }
            (Self::Name { .. }, Value::String(s)) => {
                IppValue::new_name_without_language(s.as_str()).ok()?
            }
            (Self::Keyword { .. } | Self::KeywordSet { .. }, Value::String(s)) => keyword(s)?,
            (Self::KeywordSet { .. }, Value::Array(items)) if items.is_empty() => IppValue::NoValue,
            (Self::KeywordSet { .. }, Value::Array(items)) => IppValue::Array(
                items
                    .iter()
                    .map(|item| keyword(item.as_str()?))
                    .collect::<Option<_>>()?,
            ),
            (Self::Integer { .. }, Value::Number(n)) => {
                IppValue::Integer(i32::try_from(n.as_i64()?).ok()?)
            }
            (Self::Boolean, Value::Bool(b)) => IppValue::Boolean(*b),
            (Self::Uri, Value::String(s)) => IppValue::new_uri(s.as_str()).ok()?,
            _ => return None,
        };
        self.takes(&value).then_some(value)
    }

    /// True if two values mean the same.
    pub(super) fn same(&self, one: &IppValue, other: &IppValue) -> bool {
        if !matches!(self, Self::KeywordSet { .. }) {
            return one == other;
        }
        let (one, other) = (one_or_more(one), one_or_more(other));
        one.iter().all(|v| other.contains(v)) && other.iter().all(|v| one.contains(v))
    }
}

fn is_in(allowed: &[String], word: &str) -> bool {
    allowed.is_empty() || allowed.iter().any(|a| a == word)
}

fn keyword(word: &str) -> Option<IppValue> {
    IppValue::new_keyword(word).ok()
}

/// Returns the values of a 1setOf, or the single value.
pub(super) fn one_or_more(value: &IppValue) -> &[IppValue] {
    match value {
        IppValue::Array(values) => values,
        single => std::slice::from_ref(single),
    }
}

/// Returns a read-only value in the syntax of `like`, for changes made at the panel.
pub(super) fn value_like(like: &IppValue, json: &Value) -> Option<IppValue> {
    if let Value::Array(items) = json {
        let like = one_or_more(like).first()?;
        let values: Vec<_> = items
            .iter()
            .map(|i| value_like(like, i))
            .collect::<Option<_>>()?;
        return (!values.is_empty()).then_some(IppValue::Array(values));
    }
    Some(match (one_or_more(like).first()?, json) {
        (IppValue::Integer(_), Value::Number(n)) => IppValue::Integer(n.as_i64()?.try_into().ok()?),
        (IppValue::Enum(_), Value::Number(n)) => IppValue::Enum(n.as_i64()?.try_into().ok()?),
        (IppValue::Boolean(_), Value::Bool(b)) => IppValue::Boolean(*b),
        (IppValue::TextWithoutLanguage(_), Value::String(s)) => {
            IppValue::new_text_without_language(s.as_str()).ok()?
        }
        (IppValue::NameWithoutLanguage(_), Value::String(s)) => {
            IppValue::new_name_without_language(s.as_str()).ok()?
        }
        (IppValue::Keyword(_), Value::String(s)) => keyword(s)?,
        (IppValue::Uri(_), Value::String(s)) => IppValue::new_uri(s.as_str()).ok()?,
        (IppValue::OctetString(_), Value::String(s)) => IppValue::OctetString(s.clone().into()),
        _ => return None,
    })
}

/// Returns a value as JSON; kinds without a JSON form become text.
pub(super) fn to_json(value: &IppValue) -> Value {
    match value {
        IppValue::Integer(n) | IppValue::Enum(n) => (*n).into(),
        IppValue::Boolean(b) => (*b).into(),
        IppValue::Array(values) => values.iter().map(to_json).collect(),
        IppValue::NoValue => Value::Array(Vec::new()),
        other => to_text(other).into(),
    }
}

/// text; cut to the length that the codec allows.
pub(super) fn text(value: &str) -> IppValue {
    let end = value.floor_char_boundary(ipp::value::IPP_STRING_MAX_LENGTH);
    let text = IppTextValue::new(&value[..end]).expect("cut to the limit");
    IppValue::TextWithoutLanguage(text)
}

/// Returns a value as text, in the form of the ledger.
pub(super) fn to_text(value: &IppValue) -> String {
    match value {
        IppValue::Integer(n) | IppValue::Enum(n) => n.to_string(),
        IppValue::Boolean(b) => b.to_string(),
        IppValue::TextWithoutLanguage(t) | IppValue::TextWithLanguage { text: t, .. } => {
            t.to_string()
        }
        IppValue::NameWithoutLanguage(n) | IppValue::NameWithLanguage { name: n, .. } => {
            n.to_string()
        }
        IppValue::Keyword(k) | IppValue::MimeMediaType(k) => k.to_string(),
        IppValue::OctetString(octets) => String::from_utf8_lossy(octets).into_owned(),
        IppValue::Uri(u) | IppValue::UriScheme(u) => u.to_string(),
        IppValue::Charset(c) | IppValue::NaturalLanguage(c) => c.to_string(),
        IppValue::Array(values) => values.iter().map(to_text).collect::<Vec<_>>().join(","),
        IppValue::NoValue => "no-value".to_owned(),
        IppValue::Other {
            tag: TAG_DELETE, ..
        } => "delete-attribute".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Writes one attribute in wire form (RFC 8010 section 3.1.4). A 1setOf must not be empty.
pub(super) fn put(buffer: &mut BytesMut, name: &str, value: &IppValue) {
    buffer.put_u8(value.to_tag());
    // Names are at most 255 bytes: they come from the codec or from our own table.
    buffer.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
    buffer.put_slice(name.as_bytes());
    buffer.put(value.to_bytes());
}

/// Returns an out-of-band value.
pub(super) fn out_of_band(tag: u8) -> IppValue {
    IppValue::Other {
        tag,
        data: bytes::Bytes::new(),
    }
}
