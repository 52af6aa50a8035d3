//! Tests of the bytes sent, and of the readings made from answers.

use std::collections::BTreeMap;

use super::super::response::Attribute;
use super::super::response::tests::{Octets, answer, group};
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
    take_reading(&mut reading, response, request, object).unwrap();
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
    Response::read(bytes_of(groups)).unwrap()
}

/// Returns the operation attributes of a request.
fn operation_attributes(sent: &Response) -> Vec<Attribute> {
    sent.attributes(response::OPERATION_GROUP).collect()
}

fn names(attributes: &[Attribute]) -> Vec<&str> {
    attributes.iter().map(Attribute::name).collect()
}

#[test]
fn a_request_begins_as_rfc_8011_wants_it() {
    let request = asking(IppObject::Printer, "printer-uuid", &[]);
    let sent = back(&reading_groups(&request, IppObject::Printer).unwrap());
    assert_eq!(sent.status, 0x4003);
    assert_eq!(
        names(&operation_attributes(&sent)),
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
        operation_attributes(&sent).last().unwrap().scalars()
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

fn read(values: &[Octets<'_>], asked: &[&str]) -> DeviceReading {
    let group = group(4, values);
    let request = asking(IppObject::Printer, "printer-uuid", asked);
    let response = Response::read(answer(0, &group)).unwrap();
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
fn what_is_set_on_the_system_names_it_and_stands_in_its_group() {
    let lobby = Value::Text("Lobby".to_owned());
    let groups = write_groups("a", IppSyntax::Text, &lobby).unwrap();
    let sent = Response::read(bytes_to(IppObject::System, &groups)).unwrap();
    let operation = operation_attributes(&sent);
    let names = names(&operation);
    assert!(
        names.contains(&"system-uri") && !names.contains(&"printer-uri"),
        "{names:?}"
    );
    assert!(!sent.has_group(DelimiterTag::PrinterAttributes as u8));
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
    let values = [
        (0x41, "system-make-and-model", &b"NW MFP 500"[..]),
        (0x45, "system-uuid", b"urn:uuid:2"),
        (0x41, "printer-make-and-model", b"another"),
    ];
    let group = group(10, &values);
    let request = DeviceReadRequest {
        identity: Place::Ipp {
            object: IppObject::System,
            attribute: "system-uuid".to_owned(),
        },
        places: BTreeSet::new(),
    };
    let response = Response::read(answer(0, &group)).unwrap();
    let reading = reading(&response, &request, IppObject::System);
    assert_eq!(reading.product_name.as_deref(), Some("NW MFP 500"));
    assert_eq!(reading.identity.as_deref(), Some("urn:uuid:2"));
}

#[test]
fn an_attribute_that_may_have_been_cut_off_is_not_called_unsupported() {
    let itself = [
        (0x41, "printer-make-and-model", &b"NW MFP 500"[..]),
        (0x45, "printer-uuid", b"urn:uuid:1"),
        (0x41, "a", b"x"),
        (0x41, "b", b"y"),
    ];
    let whole = group(4, &itself);
    let read = |octets: &[u8]| {
        let response = Response::read(answer(0, octets)).unwrap();
        let request = asking(IppObject::Printer, "printer-uuid", &["a", "b"]);
        let mut reading = DeviceReading::default();
        take_reading(&mut reading, &response, &request, IppObject::Printer)?;
        Ok::<_, Failure>(values(reading))
    };
    let values = read(&whole[..whole.len() - 1]).unwrap();
    assert_eq!(values["a"], [Scalar::Text("x".to_owned())]);
    assert_eq!(values["b"], [Scalar::Malformed("cut off".to_owned())]);
    // Without its name or its model it would look like another machine.
    for attributes in 1..=2 {
        let before = group(4, &itself[..attributes]);
        let failure = read(&whole[..before.len() - 1]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::ProtocolError);
        assert!(failure.message.contains("cut off"), "{failure:?}");
    }
}

#[test]
fn of_an_attribute_that_is_there_twice_both_must_say_the_same() {
    let values_of = |location: &'static str, uuid: &'static str| {
        let values_of = [
            (0x41, "a", &b"x"[..]),
            (0x45, "printer-uuid", b"urn:uuid:1"),
            (0x41, "a", location.as_bytes()),
            (0x45, "printer-uuid", uuid.as_bytes()),
        ];
        let reading = read(&values_of, &["a"]);
        (
            reading.identity.clone(),
            values(reading).remove("a").unwrap(),
        )
    };
    let (identity, location) = values_of("x", "urn:uuid:1");
    assert_eq!(identity.as_deref(), Some("urn:uuid:1"));
    assert_eq!(location, [Scalar::Text("x".to_owned())]);
    let (identity, location) = values_of("y", "urn:uuid:2");
    assert_eq!(identity, None, "it is no identity");
    let different = "is there twice, with different values".to_owned();
    assert_eq!(location, [Scalar::Malformed(different)]);
}
