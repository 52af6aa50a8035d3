//! Requests of IPP as octets, by the `ipp` crate, and readings from responses.
//!
//! Pure. Refuses a value that does not fit its syntax before anything is sent. Called by the driver.

use std::collections::BTreeSet;

use bytes::{BufMut as _, Bytes, BytesMut};
use entente_crds::v1alpha1::IppSyntax;
use entente_domain::protocol::{IppObject, Place};
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, Failure, FailureKind, NotificationRequest, Scalar, Value,
};
use ipp::IppHeader;
use ipp::attribute::{IppAttribute, IppAttributes};
use ipp::model::{DelimiterTag, IppVersion};
use ipp::parser::IppParseError;
use ipp::value::{IppCharset, IppKeyword, IppLanguage, IppName, IppString, IppValue};
use jiff::SignedDuration;

use super::notifications;
use super::report;
use super::response::{self, Response};

/// Name of the user that every request carries: "requesting-user-name" (RFC 8011 section 9.3).
const USER: &str = "entente";

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

/// Returns the group without which an answer of an object says nothing: it has the identity.
pub(super) fn group_of_identity(request: &DeviceReadRequest, object: IppObject) -> Option<u8> {
    let own = attributes_of([&request.identity], object).next();
    own.map(|_| group(object) as u8)
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
    /// Attributes of a subscription to notifications.
    subscription: Vec<IppAttribute>,
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

/// Returns the groups that ask an object for its attributes: exactly those needed, and the identity
/// if it is an attribute of that object.
pub(super) fn reading_groups(
    request: &DeviceReadRequest,
    object: IppObject,
) -> Result<Groups, Failure> {
    requested(asked(request, object))
}

/// Returns the attributes of an object that a reading needs.
fn asked(request: &DeviceReadRequest, object: IppObject) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = attributes_of(request.places.iter(), object).collect();
    if let Some(identity) = attributes_of([&request.identity], object).next() {
        names.extend([product_attribute(object), identity]);
    }
    names.remove("");
    names
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
    let names = names.into_iter().map(keyword);
    let asked = IppValue::Array(names.collect::<Result<_, _>>()?);
    Ok(Groups {
        operation: vec![attribute(IppAttribute::REQUESTED_ATTRIBUTES, asked)?],
        ..Groups::default()
    })
}

fn keyword(word: &str) -> Result<IppValue, Failure> {
    IppKeyword::new(word)
        .map(IppValue::Keyword)
        .map_err(|_| too_long("keyword"))
}

/// Returns the groups that ask a printer for a status report, and for its identity.
pub(super) fn report_groups(identity: &Place) -> Result<Groups, Failure> {
    let identity = attributes_of([identity], IppObject::Printer);
    requested(report::ATTRIBUTES.into_iter().chain(identity))
}

/// Returns the groups that have a printer display a message to identify itself (PWG 5100.13).
pub(super) fn identify_groups(message: &str) -> Result<Groups, Failure> {
    let text = IppValue::new_text_without_language(message).map_err(|_| too_long("text"))?;
    Ok(Groups {
        operation: vec![
            attribute("identify-actions", keyword("display")?)?,
            attribute("message", text)?,
        ],
        ..Groups::default()
    })
}

/// Returns the groups that set one value.
pub(super) fn write_groups(
    name: &str,
    syntax: IppSyntax,
    wanted: &Value,
) -> Result<Groups, Failure> {
    Ok(Groups {
        written: vec![attribute(name, value(syntax, wanted)?)?],
        ..Groups::default()
    })
}

/// Returns the groups of a request about notifications (RFC 3995 section 11, RFC 3996 section 5.1).
pub(super) fn notification_groups(request: &NotificationRequest) -> Result<Groups, Failure> {
    let lease = |lease: &SignedDuration| {
        let seconds = i32::try_from(lease.as_secs()).unwrap_or(i32::MAX);
        attribute("notify-lease-duration", IppValue::Integer(seconds))
    };
    let named = |id: i32| attribute("notify-subscription-id", IppValue::Integer(id));
    Ok(match request {
        NotificationRequest::Support => requested(notifications::ATTRIBUTES)?,
        NotificationRequest::Subscribe {
            events,
            lease: asked,
        } => {
            let events = events.iter().map(|event| keyword(event.keyword()));
            let events = IppValue::Array(events.collect::<Result<_, _>>()?);
            Groups {
                subscription: vec![
                    attribute("notify-events", events)?,
                    attribute("notify-pull-method", keyword(notifications::PULL_METHOD)?)?,
                    lease(asked)?,
                ],
                ..Groups::default()
            }
        }
        NotificationRequest::Renew {
            subscription,
            lease: asked,
        } => Groups {
            operation: vec![named(*subscription)?],
            subscription: vec![lease(asked)?],
            ..Groups::default()
        },
        NotificationRequest::Cancel { subscription } => Groups {
            operation: vec![named(*subscription)?],
            ..Groups::default()
        },
        NotificationRequest::Fetch {
            subscription,
            from,
            waits,
        } => {
            let mut operation = vec![
                attribute("notify-subscription-ids", IppValue::Integer(*subscription))?,
                attribute("notify-sequence-numbers", IppValue::Integer(*from))?,
            ];
            if *waits {
                operation.push(attribute("notify-wait", IppValue::Boolean(true))?);
            }
            Groups {
                operation,
                ..Groups::default()
            }
        }
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
    for attribute in &request.groups.subscription {
        attributes.add(DelimiterTag::SubscriptionAttributes, attribute.clone());
    }
    let header = IppHeader::new(request.version, request.operation.cast_signed(), request.id);
    let mut body = BytesMut::new();
    body.put(header.to_bytes());
    body.put(attributes.to_bytes());
    Ok(body.freeze())
}

/// Copies the attributes that an object returned into a reading, if they were asked for.
///
/// # Errors
/// The answer was cut off before it said which device it is. Any other attribute that may have been
/// lost is malformed, since nothing says that it is unsupported.
pub(super) fn take_reading(
    reading: &mut DeviceReading,
    response: &Response,
    request: &DeviceReadRequest,
    object: IppObject,
) -> Result<(), Failure> {
    let names = asked(request, object);
    let mut values = response.values(group(object) as u8, &names);
    let is_cut_off = response.is_cut_off();
    if let Some(identity) = attributes_of([&request.identity], object).next() {
        let text = |name: &str| values.get(name).and_then(|values| first_text(values));
        reading.product_name = text(product_attribute(object));
        reading.identity = text(identity);
        let lacks = |name: &str| !name.is_empty() && text(name).is_none();
        if is_cut_off && (lacks(product_attribute(object)) || lacks(identity)) {
            let message = "the answer was cut off before it said which device it is";
            return Err(Failure::new(FailureKind::ProtocolError, message));
        }
    }
    for place in &request.places {
        let Some(name) = attributes_of([place], object).next() else {
            continue;
        };
        let lost = || vec![Scalar::Malformed(response::CUT_OFF.to_owned())];
        let found = values.remove(name);
        if let Some(found) = found.or_else(|| is_cut_off.then(lost)) {
            reading.values.insert(place.clone(), found);
        }
    }
    Ok(())
}

fn first_text(values: &[Scalar]) -> Option<String> {
    match values.first()? {
        Scalar::Text(text) => Some(text.clone()),
        Scalar::Integer(number) => Some(number.to_string()),
        Scalar::Boolean(_) | Scalar::Digest(_) | Scalar::Other(_) | Scalar::Malformed(_) => None,
    }
}

#[cfg(test)]
mod tests;
