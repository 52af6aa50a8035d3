//! Tests of the bytes sent, and of the readings made from answers.

use std::collections::BTreeMap;

use super::*;

/// Returns a request for attributes of an object, and for the printer's identity by one of them.
fn asking(object: IppObject, identity: &str, names: &[&str]) -> DeviceReadRequest {
    let place = |object: IppObject, attribute: &str| Place::Ipp {
        object,
        attribute: attribute.to_owned(),
    };
    DeviceReadRequest {
        identity: place(IppObject::Printer, identity),
        places: names.iter().map(|name| place(object, name)).collect(),
    }
}

fn reading(response: &Response, request: &DeviceReadRequest, object: IppObject) -> DeviceReading {
    let mut reading = DeviceReading::default();
    take_reading(&mut reading, response, request, object);
    reading
}

/// Returns the values of a reading by attribute.
fn values(reading: DeviceReading) -> BTreeMap<String, Vec<Scalar>> {
    let values = reading.values.into_iter();
    values
        .map(|(place, values)| (place.to_string(), values))
        .collect()
}

fn words(words: &[&str]) -> Value {
    Value::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

fn bytes_of(groups: &Groups) -> Bytes {
    bytes_to(IppObject::Printer, groups)
}

fn bytes_to(object: IppObject, groups: &Groups) -> Bytes {
    let request = Request {
        version: IppVersion::v2_0(),
        operation: 0x4003,
        id: 7,
        object,
        uri: "ipp://printer/q",
        groups,
    };
    encode(&request).unwrap()
}

/// Reads a request back as if it were a response, which has the same shape.
fn back(groups: &Groups) -> Response {
    decode(&bytes_of(groups), 7).unwrap()
}

#[test]
fn a_request_begins_as_rfc_8011_wants_it() {
    let request = asking(IppObject::Printer, "printer-uuid", &[]);
    let sent = back(&reading_groups(&request, IppObject::Printer).unwrap());
    assert_eq!(sent.status, 0x4003);
    let group = sent
        .attributes
        .first_of(DelimiterTag::OperationAttributes)
        .unwrap();
    let names: Vec<&str> = group
        .attributes()
        .iter()
        .map(|a| a.name().as_str())
        .collect();
    assert_eq!(
        names,
        [
            "attributes-charset",
            "attributes-natural-language",
            "printer-uri",
            "requesting-user-name",
            "requested-attributes"
        ]
    );
    assert_eq!(bytes_of(&Groups::default())[..4], [2, 0, 0x40, 3]);
}

#[test]
fn exactly_what_is_needed_is_asked_for() {
    let asked = |identity: &str, names: &[&str]| {
        let request = asking(IppObject::Printer, identity, names);
        let sent = back(&reading_groups(&request, IppObject::Printer).unwrap());
        let group = sent
            .attributes
            .first_of(DelimiterTag::OperationAttributes)
            .unwrap();
        scalars(group.attributes().last().unwrap().value())
    };
    let texts = |texts: &[&str]| -> Vec<Scalar> {
        texts
            .iter()
            .map(|text| Scalar::Text((*text).to_owned()))
            .collect()
    };
    assert_eq!(
        asked("printer-uuid", &[]),
        texts(&["printer-make-and-model", "printer-uuid"])
    );
    assert_eq!(
        asked("printer-device-id", &["printer-info"]),
        texts(&[
            "printer-device-id",
            "printer-info",
            "printer-make-and-model"
        ])
    );
}

#[test]
fn each_syntax_is_written_with_its_own_tag() {
    for (syntax, given, tag) in [
        (IppSyntax::Text, Value::Text("x".to_owned()), 0x41),
        (IppSyntax::Name, Value::Text("x".to_owned()), 0x42),
        (IppSyntax::Keyword, Value::Text("x".to_owned()), 0x44),
        (IppSyntax::Uri, Value::Text("ftp://x".to_owned()), 0x45),
        (IppSyntax::Integer, Value::Integer(-5), 0x21),
        (IppSyntax::Enum, Value::Integer(4), 0x23),
        (IppSyntax::Boolean, Value::Boolean(true), 0x22),
        (IppSyntax::Keyword, words(&["x"]), 0x44),
    ] {
        let written = value(syntax, &given).unwrap();
        assert_eq!(written.to_tag(), tag, "{syntax:?}");
    }
}

#[test]
fn a_set_of_words_comes_back_as_it_was_sent() {
    let sides = words(&["one-sided", "two-sided"]);
    let response = back(&write_groups("a", IppSyntax::Keyword, &sides).unwrap());
    let request = asking(IppObject::Printer, "", &["a"]);
    let expected = ["one-sided", "two-sided"].map(|word| Scalar::Text(word.to_owned()));
    assert_eq!(
        values(reading(&response, &request, IppObject::Printer)),
        BTreeMap::from([("a".to_owned(), expected.to_vec())])
    );
}

#[test]
fn what_cannot_be_written_is_refused_before_it_is_sent() {
    for (syntax, given) in [
        (IppSyntax::Integer, Value::Integer(i64::from(i32::MAX) + 1)),
        (IppSyntax::Integer, Value::Text("5".to_owned())),
        (IppSyntax::Keyword, words(&[])),
        (IppSyntax::Text, words(&["a"])),
        (IppSyntax::Text, Value::Text("x".repeat(1024))),
        (IppSyntax::Keyword, Value::Text("x".repeat(256))),
        (IppSyntax::Name, Value::Text("x".repeat(256))),
    ] {
        let refused = value(syntax, &given).unwrap_err();
        assert_eq!(refused.kind, FailureKind::RejectedValue, "{syntax:?}");
        assert!(!refused.doubtful);
    }
}

/// Returns a response with these bytes behind its header.
fn raw(attributes: &[u8]) -> Bytes {
    let mut body = vec![2, 0, 0, 0, 0, 0, 0, 7];
    body.extend_from_slice(attributes);
    body.into()
}

fn raw_value(tag: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    for part in [name.as_bytes(), value] {
        bytes.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn read(values: &[(u8, &str, &[u8])], asked: &[&str]) -> DeviceReading {
    let mut group = vec![4];
    for (tag, name, value) in values {
        group.extend(raw_value(*tag, name, value));
    }
    group.push(3);
    let request = asking(IppObject::Printer, "printer-uuid", asked);
    let response = decode(&raw(&group), 7).unwrap();
    reading(&response, &request, IppObject::Printer)
}

#[test]
fn a_reading_holds_identity_model_and_what_was_asked_for() {
    let reading = read(
        &[
            (0x41, "printer-make-and-model", b"NW MFP 500"),
            (0x45, "printer-uuid", b"urn:uuid:1"),
            (0x44, "sides", b"one-sided"),
            (0x44, "", b"two-sided"),
            (0x41, "unasked", b"x"),
        ],
        &["sides"],
    );
    assert_eq!(reading.product_name.as_deref(), Some("NW MFP 500"));
    assert_eq!(reading.identity.as_deref(), Some("urn:uuid:1"));
    let values = values(reading);
    assert_eq!(values.len(), 1);
    assert_eq!(values["sides"].len(), 2);
}

#[test]
fn unsupported_is_missing_and_no_value_is_something() {
    let reading = read(
        &[
            (0x10, "a", b""),
            (0x13, "b", b""),
            (0x12, "c", b""),
            (0x30, "d", b"\x01"),
        ],
        &["a", "b", "c", "d"],
    );
    let values = values(reading);
    let names: Vec<&str> = values.keys().map(String::as_str).collect();
    assert_eq!(names, ["b", "c", "d"]);
    assert_eq!(values["b"], [Scalar::Other("no-value".to_owned())]);
    assert_eq!(values["c"], [Scalar::Other("unknown".to_owned())]);
}

#[test]
fn what_is_no_response_to_the_request_is_refused() {
    let good = raw(&[3]);
    assert!(decode(&good, 7).is_some());
    assert!(decode(&good, 8).is_none(), "the answer to another request");
    assert!(decode(&Bytes::from_static(b"<!DOCTYPE html><html></html>"), 7).is_none());
    assert!(decode(&Bytes::new(), 7).is_none());
    assert!(decode(&raw(&[4, 0x21, 0, 1]), 7).is_none(), "cut off");
}

#[test]
fn nesting_without_end_is_refused_before_it_is_built() {
    let nested = |depth: usize| {
        let mut group = vec![4];
        group.extend(raw_value(0x34, "media-col", b""));
        for _ in 1..depth {
            group.extend(raw_value(0x4a, "", b"m"));
            group.extend(raw_value(0x34, "", b""));
        }
        group.extend(raw_value(0x37, "", b"").repeat(depth));
        group.push(3);
        raw(&group)
    };
    assert!(decode(&nested(DEEPEST), 7).is_some());
    assert!(decode(&nested(DEEPEST + 1), 7).is_none());

    let mut shallow = vec![4];
    for _ in 0..3 {
        shallow.extend(raw_value(0x34, "media-col", b""));
        shallow.extend(raw_value(0x4a, "", b"m"));
        shallow.extend(raw_value(0x21, "", &[0, 0, 0, 1]));
        shallow.extend(raw_value(0x37, "", b""));
    }
    shallow.push(3);
    assert!(decode(&raw(&shallow), 7).is_some());
}

#[test]
fn what_is_set_on_the_system_names_it_and_stands_in_its_group() {
    let lobby = Value::Text("Lobby".to_owned());
    let groups = write_groups("a", IppSyntax::Text, &lobby).unwrap();
    let sent = decode(&bytes_to(IppObject::System, &groups), 7).unwrap();
    let operation = sent
        .attributes
        .first_of(DelimiterTag::OperationAttributes)
        .unwrap();
    let names: Vec<&str> = operation
        .attributes()
        .iter()
        .map(|a| a.name().as_str())
        .collect();
    assert!(
        names.contains(&"system-uri") && !names.contains(&"printer-uri"),
        "{names:?}"
    );
    assert!(
        sent.attributes
            .first_of(DelimiterTag::PrinterAttributes)
            .is_none()
    );
    // Values are read from the group that was asked for, and only those that were asked for.
    let said = |name: &str, object: IppObject| {
        let request = asking(IppObject::System, "printer-uuid", &[name]);
        values(reading(&sent, &request, object))
    };
    let lobby = vec![Scalar::Text("Lobby".to_owned())];
    let read = said("a", IppObject::System);
    assert_eq!(read, BTreeMap::from([("a".to_owned(), lobby)]));
    assert!(said("b", IppObject::System).is_empty());
    assert!(said("a", IppObject::Printer).is_empty());
}

#[test]
fn the_system_service_says_which_product_it_is_and_who_in_its_own_attributes() {
    let mut group = vec![10];
    for (tag, name, value) in [
        (0x41, "system-make-and-model", &b"NW MFP 500"[..]),
        (0x45, "system-uuid", b"urn:uuid:2"),
        (0x41, "printer-make-and-model", b"another"),
    ] {
        group.extend(raw_value(tag, name, value));
    }
    group.push(3);
    let request = DeviceReadRequest {
        identity: Place::Ipp {
            object: IppObject::System,
            attribute: "system-uuid".to_owned(),
        },
        places: BTreeSet::new(),
    };
    let response = decode(&raw(&group), 7).unwrap();
    let reading = reading(&response, &request, IppObject::System);
    assert_eq!(reading.product_name.as_deref(), Some("NW MFP 500"));
    assert_eq!(reading.identity.as_deref(), Some("urn:uuid:2"));
}
