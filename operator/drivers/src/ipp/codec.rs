//! Requests and responses of IPP as values of ours, over the `ipp` crate's codec.
//!
//! Pure. Never trusts a response: its length is capped by the transport, its nesting here, and a
//! value that cannot be compared becomes a text that describes it.

use std::collections::BTreeSet;
use std::io::Cursor;

use bytes::{BufMut as _, Bytes, BytesMut};
use entente_crds::v1alpha1::IppSyntax;
use entente_domain::protocol::{IppObject, Place};
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, Failure, FailureKind, Scalar, Value,
};
use ipp::IppHeader;
use ipp::attribute::{IppAttribute, IppAttributeGroup, IppAttributes};
use ipp::model::{DelimiterTag, IppVersion};
use ipp::parser::{IppParseError, IppParser};
use ipp::reader::IppReader;
use ipp::value::{IppCharset, IppKeyword, IppLanguage, IppName, IppString, IppValue};

/// Name of the user that every request carries: "requesting-user-name" (RFC 8011 section 9.3).
const USER: &str = "entente";
/// Collections deeper than this are refused: real ones reach four, and dropping a deep one would
/// take as deep a stack.
const DEEPEST: usize = 16;
/// "unsupported" as a value: the attribute is not there (RFC 8010 section 3.5.2).
pub(super) const TAG_UNSUPPORTED: u8 = 0x10;
const TAG_UNKNOWN: u8 = 0x12;

/// Returns the operation attribute that names an object.
fn uri_attribute(object: IppObject) -> &'static str {
    match object {
        IppObject::Printer => IppAttribute::PRINTER_URI,
        IppObject::System => "system-uri",
    }
}

/// Returns the group of the attributes of an object.
fn group(object: IppObject) -> DelimiterTag {
    match object {
        IppObject::Printer => DelimiterTag::PrinterAttributes,
        IppObject::System => DelimiterTag::SystemAttributes,
    }
}

/// Returns the attribute with an object's product name.
fn product_attribute(object: IppObject) -> &'static str {
    match object {
        IppObject::Printer => "printer-make-and-model",
        IppObject::System => "system-make-and-model",
    }
}

/// The attributes of a request beside those that every request has.
#[derive(Default)]
pub(super) struct Groups {
    operation: Vec<IppAttribute>,
    /// Attributes of the object itself.
    written: Vec<IppAttribute>,
}

/// A request before it is encoded.
pub(super) struct Request<'a> {
    pub version: IppVersion,
    pub operation: u16,
    pub id: i32,
    pub object: IppObject,
    pub uri: &'a str,
    pub groups: &'a Groups,
}

/// A response.
#[derive(Debug)]
pub(super) struct Response {
    /// The status code (RFC 8011 appendix B).
    pub status: u16,
    /// Its groups.
    pub attributes: IppAttributes,
}

/// Returns the groups that ask an object for its attributes: exactly those needed, and the identity
/// if it is an attribute of that object.
pub(super) fn reading_groups(
    request: &DeviceReadRequest,
    object: IppObject,
) -> Result<Groups, Failure> {
    let mut names: BTreeSet<&str> = attributes_of(request.places.iter(), object).collect();
    if let Some(identity) = attributes_of([&request.identity], object).next() {
        names.extend([product_attribute(object), identity]);
    }
    requested(names)
}

/// Returns the attributes of an object among places.
fn attributes_of<'a>(
    places: impl IntoIterator<Item = &'a Place>,
    object: IppObject,
) -> impl Iterator<Item = &'a str> {
    places.into_iter().filter_map(move |place| {
        let (own, attribute) = place.as_ipp()?;
        (own == object).then_some(attribute)
    })
}

fn requested<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Groups, Failure> {
    let names = names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(keyword);
    let asked = IppValue::Array(names.collect::<Result<_, _>>()?);
    Ok(Groups {
        operation: vec![attribute(IppAttribute::REQUESTED_ATTRIBUTES, asked)?],
        written: Vec::new(),
    })
}

fn keyword(word: &str) -> Result<IppValue, Failure> {
    IppKeyword::new(word)
        .map(IppValue::Keyword)
        .map_err(|_| too_long("keyword"))
}

/// Returns the groups that set one value.
pub(super) fn write_groups(
    name: &str,
    syntax: IppSyntax,
    wanted: &Value,
) -> Result<Groups, Failure> {
    Ok(Groups {
        operation: Vec::new(),
        written: vec![attribute(name, value(syntax, wanted)?)?],
    })
}

/// Returns an attribute, or the failure that it cannot be written.
fn attribute(name: &str, value: IppValue) -> Result<IppAttribute, Failure> {
    IppAttribute::with_name(name, value).map_err(|_| {
        Failure::new(
            FailureKind::Unsupported,
            "the attribute's name is longer than IPP allows",
        )
    })
}

fn too_long(syntax: &str) -> Failure {
    Failure::new(
        FailureKind::RejectedValue,
        format!("the value is longer than a {syntax} of IPP can be"),
    )
}

/// Returns a value in its syntax. A value that does not fit is refused here, before anything is
/// sent.
fn value(syntax: IppSyntax, wanted: &Value) -> Result<IppValue, Failure> {
    let too_long = |_: IppParseError| too_long(&format!("{syntax:?}").to_lowercase());
    let number = |number: i64| {
        i32::try_from(number).map_err(|_| {
            Failure::new(
                FailureKind::RejectedValue,
                "the number does not fit in 32 bits",
            )
        })
    };
    let text = match wanted {
        Value::Text(text) => text.as_str(),
        Value::Secret(secret) => secret.expose(),
        Value::Integer(_) | Value::Boolean(_) | Value::Words(_) => "",
    };
    match (syntax, wanted) {
        (IppSyntax::Text, Value::Text(_) | Value::Secret(_)) => {
            IppValue::new_text_without_language(text).map_err(too_long)
        }
        (IppSyntax::Name, Value::Text(_) | Value::Secret(_)) => {
            IppValue::new_name_without_language(text).map_err(too_long)
        }
        (IppSyntax::Keyword, Value::Text(_) | Value::Secret(_)) => keyword(text),
        (IppSyntax::Uri, Value::Text(_) | Value::Secret(_)) => {
            IppString::new(text).map(IppValue::Uri).map_err(too_long)
        }
        (IppSyntax::Integer, Value::Integer(n)) => Ok(IppValue::Integer(number(*n)?)),
        (IppSyntax::Enum, Value::Integer(n)) => Ok(IppValue::Enum(number(*n)?)),
        (IppSyntax::Boolean, Value::Boolean(truth)) => Ok(IppValue::Boolean(*truth)),
        (IppSyntax::Keyword, Value::Words(words)) if !words.is_empty() => {
            let mut values = words
                .iter()
                .map(|word| keyword(word))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(if values.len() == 1 {
                values.remove(0)
            } else {
                IppValue::Array(values)
            })
        }
        (IppSyntax::Keyword, Value::Words(_)) => Err(Failure::new(
            FailureKind::RejectedValue,
            "an empty set cannot be written in IPP",
        )),
        (syntax, _) => {
            let syntax = format!("{syntax:?}").to_lowercase();
            let message = format!("the value cannot be written as {syntax}");
            Err(Failure::new(FailureKind::RejectedValue, message))
        }
    }
}

/// Writes a request (RFC 8010 section 3).
pub(super) fn encode(request: &Request<'_>) -> Result<Bytes, Failure> {
    let literal = |_: IppParseError| {
        Failure::new(
            FailureKind::ProtocolError,
            "the request cannot be written in IPP",
        )
    };
    let mut attributes = IppAttributes::new();
    let mut operation = |name: &str, value: IppValue| {
        let attribute = IppAttribute::with_name(name, value).map_err(literal)?;
        attributes.add(DelimiterTag::OperationAttributes, attribute);
        Ok::<(), Failure>(())
    };
    let charset = IppCharset::new("utf-8").map_err(literal)?;
    let language = IppLanguage::new("en").map_err(literal)?;
    let uri = IppString::new(request.uri).map_err(literal)?;
    let user = IppName::new(USER).map_err(literal)?;
    // The order is that of RFC 8011 sections 4.1.4 and 4.1.5.
    operation(IppAttribute::ATTRIBUTES_CHARSET, IppValue::Charset(charset))?;
    operation(
        IppAttribute::ATTRIBUTES_NATURAL_LANGUAGE,
        IppValue::NaturalLanguage(language),
    )?;
    operation(uri_attribute(request.object), IppValue::Uri(uri))?;
    operation(
        IppAttribute::REQUESTING_USER_NAME,
        IppValue::NameWithoutLanguage(user),
    )?;
    for attribute in &request.groups.operation {
        attributes.add(DelimiterTag::OperationAttributes, attribute.clone());
    }
    for attribute in &request.groups.written {
        attributes.add(group(request.object), attribute.clone());
    }
    let header = IppHeader::new(request.version, request.operation.cast_signed(), request.id);
    let mut body = BytesMut::new();
    body.put(header.to_bytes());
    body.put(attributes.to_bytes());
    Ok(body.freeze())
}

/// Runs a foreign library on bytes that a device sent. A panic there counts as an answer that
/// cannot be read, and concerns that device alone.
pub(super) fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    // The parser's unfinished state is dropped here.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).ok()
}

/// Reads a response to the request of this id; `None` where it is not one, or where it cannot be
/// read at all.
pub(super) fn decode(body: &Bytes, id: i32) -> Option<Response> {
    guarded(|| parse(body, id)).flatten()
}

fn parse(body: &Bytes, id: i32) -> Option<Response> {
    if !is_shallow(body) {
        return None;
    }
    let parser = IppParser::new(IppReader::new(Cursor::new(body.clone())));
    let (header, attributes, _) = parser.parse_parts().ok()?;
    let major = header.version.0 >> 8;
    if !(1..=2).contains(&major) || header.request_id != id {
        return None;
    }
    Some(Response {
        status: header.operation_or_status.cast_unsigned(),
        attributes,
    })
}

/// True if no collection lies deeper than `DEEPEST`. Says nothing about the rest.
fn is_shallow(body: &[u8]) -> bool {
    const HEADER: usize = 8;
    let mut rest = body.get(HEADER..).unwrap_or_default();
    let mut depth = 0_usize;
    while let [tag, after @ ..] = rest {
        rest = after;
        match tag {
            0x03 => break,
            0x00..=0x0f => continue,
            0x34 => depth += 1,
            0x37 => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return false;
        }
        // The name, then the value: each a length of two bytes and that many bytes.
        for _ in 0..2 {
            let [high, low, after @ ..] = rest else {
                return true;
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            rest = after.get(length..).unwrap_or_default();
        }
    }
    true
}

/// Copies the attributes that an object returned into a reading, if they were asked for.
pub(super) fn take_reading(
    reading: &mut DeviceReading,
    response: &Response,
    request: &DeviceReadRequest,
    object: IppObject,
) {
    for (name, values) in answered(response, object) {
        let place = Place::Ipp {
            object,
            attribute: name.to_owned(),
        };
        let own = request.identity.as_ipp().map(|(object, _)| object);
        if name == product_attribute(object) && own == Some(object) {
            reading.product_name = first_text(&values);
        }
        if place == request.identity {
            reading.identity = first_text(&values);
        }
        if request.places.contains(&place) {
            reading.values.insert(place, values);
        }
    }
}

/// Returns the attributes that an object has.
fn answered(response: &Response, object: IppObject) -> impl Iterator<Item = (&str, Vec<Scalar>)> {
    response
        .attributes
        .groups_of(group(object))
        .flat_map(IppAttributeGroup::attributes)
        .filter(|attribute| attribute.value().to_tag() != TAG_UNSUPPORTED)
        .map(|attribute| (attribute.name().as_str(), scalars(attribute.value())))
}

fn first_text(values: &[Scalar]) -> Option<String> {
    match values.first()? {
        Scalar::Text(text) => Some(text.clone()),
        Scalar::Integer(number) => Some(number.to_string()),
        Scalar::Boolean(_) | Scalar::Other(_) | Scalar::Malformed(_) => None,
    }
}

fn scalars(value: &IppValue) -> Vec<Scalar> {
    match value {
        IppValue::Array(values) => values.iter().map(scalar).collect(),
        single => vec![scalar(single)],
    }
}

fn scalar(value: &IppValue) -> Scalar {
    match value {
        IppValue::Integer(number) | IppValue::Enum(number) => Scalar::Integer((*number).into()),
        IppValue::Boolean(truth) => Scalar::Boolean(*truth),
        IppValue::TextWithoutLanguage(text) | IppValue::TextWithLanguage { text, .. } => {
            Scalar::Text(text.as_ref().to_owned())
        }
        IppValue::NameWithoutLanguage(name) | IppValue::NameWithLanguage { name, .. } => {
            Scalar::Text(name.as_str().to_owned())
        }
        IppValue::Keyword(word) | IppValue::MemberAttrName(word) => {
            Scalar::Text(word.as_str().to_owned())
        }
        IppValue::MimeMediaType(media) => Scalar::Text(media.as_str().to_owned()),
        IppValue::Uri(uri) | IppValue::UriScheme(uri) => Scalar::Text(uri.as_str().to_owned()),
        IppValue::Charset(charset) => Scalar::Text(charset.as_str().to_owned()),
        IppValue::NaturalLanguage(language) => Scalar::Text(language.as_str().to_owned()),
        IppValue::NoValue => Scalar::Other("no-value".to_owned()),
        IppValue::Other {
            tag: TAG_UNKNOWN, ..
        } => Scalar::Other("unknown".to_owned()),
        other => Scalar::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
