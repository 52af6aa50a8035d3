//! Tests of answers by their octets.

mod mutations;

use super::*;

/// A value of an answer: its tag, the name of its attribute, its octets.
pub(in crate::ipp) type Octets<'a> = (u8, &'a str, &'a [u8]);

const PRINTER_GROUP: u8 = 0x04;

/// Returns one value as it is on the wire.
pub(in crate::ipp) fn value((tag, name, octets): Octets<'_>) -> Vec<u8> {
    let mut bytes = vec![tag];
    for part in [name.as_bytes(), octets] {
        bytes.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Returns an answer to the request 7 with a status and octets behind its header.
pub(in crate::ipp) fn answer(status: u16, groups: &[u8]) -> Bytes {
    let [high, low] = status.to_be_bytes();
    [&[2, 0, high, low, 0, 0, 0, 7], groups].concat().into()
}

/// Returns a group with its values.
pub(in crate::ipp) fn group(tag: u8, values: &[Octets<'_>]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().copied().flat_map(value).collect();
    [vec![tag], values].concat()
}

fn read(groups: &[u8]) -> Response {
    Response::read(answer(0, groups)).unwrap()
}

/// Returns the attributes of a printer with their values.
fn told(response: &Response) -> Vec<(String, Vec<Scalar>)> {
    response
        .attributes(PRINTER_GROUP)
        .map(|attribute| (attribute.name().to_owned(), attribute.scalars()))
        .collect()
}

/// Returns the values of the attribute "a", and of "b" behind it.
fn values_of_a(values: &[Octets<'_>]) -> Vec<Scalar> {
    let values = [values, &[(0x41, "b", b"sane")]].concat();
    let response = read(&group(PRINTER_GROUP, &values));
    let mut found = response.values(PRINTER_GROUP, &BTreeSet::from(["a", "b"]));
    assert_eq!(found["b"], [text_of("sane")], "{values:?}");
    found.remove("a").unwrap_or_default()
}

fn text_of(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

fn flawed(flaw: &str) -> Vec<Scalar> {
    vec![Scalar::Malformed(flaw.to_owned())]
}

#[test]
fn an_answer_needs_a_header_and_the_id_of_the_request() {
    let answers = |body: Bytes| Response::read(body).is_some_and(|response| response.answers(7));
    assert!(answers(answer(0, &[END])) && answers(answer(0, &[])));
    let other = Response::read(answer(0, &[END])).unwrap();
    assert!(!other.answers(8), "the answer to another request");
    let none = Bytes::from_static(&[0, 0, 5, 3, 0, 0, 0, 7]);
    assert!(!answers(none.clone()), "no version has the number 0");
    assert_eq!(Response::read(none).unwrap().status, 0x0503);
    let page = Bytes::from_static(b"<!DOCTYPE html><html></html>");
    assert!(Response::read(page).is_none());
    assert!(Response::read(Bytes::new()).is_none());
    assert!(Response::read(Bytes::from_static(&[2, 0, 0, 0, 0, 0, 0])).is_none());
}

#[test]
fn values_without_a_name_belong_to_the_attribute_before_them() {
    let values = [
        (0x44, "sides", &b"one-sided"[..]),
        (0x44, "", b"two-sided"),
        (0x21, "copies", &[0, 0, 1, 0]),
    ];
    let sides = vec![text_of("one-sided"), text_of("two-sided")];
    assert_eq!(
        told(&read(&group(PRINTER_GROUP, &values))),
        [
            ("sides".to_owned(), sides),
            ("copies".to_owned(), vec![Scalar::Integer(256)]),
        ]
    );
}

/// Every way in which another attribute can be odd. The attribute behind it is read all the same.
#[test]
fn no_other_attribute_makes_one_unreadable() {
    let long = vec![b'x'; 2000];
    let odd: &[&[Octets<'_>]] = &[
        &[(0x44, "long-keyword", &long[..300])],
        &[(0x41, "long-text", &long)],
        &[(0x21, "short-integer", &[1])],
        &[(0x21, "empty-integer", &[])],
        &[(0x22, "long-boolean", &[0, 1])],
        &[(0x35, "panics-a-library", &[0, 2, b'e', b'n', 0x7f, 0xff])],
        &[(0x35, "empty", &[])],
        &[(0x36, "short", &[0, 2, b'e'])],
        &[(0x31, "short-date", &[7, 0xe0])],
        &[(0x32, "short-resolution", &[0])],
        &[(0x33, "short-range", &[0])],
        &[(0x7f, "extended", &[0x40, 0, 0, 1])],
        &[(0x6e, "unknown-tag", b"?")],
        &[(0x1f, "unknown-out-of-band", b"")],
        &[(0x41, "no-utf-8", &[0xff, 0xfe])],
        &[(0x41, "\u{7f}", b"x")],
        &[(0x21, "", &[0, 0, 0, 1])],
        &[(0x37, "", b"")],
        &[(0x37, "named-end", b"")],
        &[(0x4a, "", b"member"), (0x21, "", &[0, 0, 0, 1])],
        &[
            (0x34, "without-an-end", b""),
            (0x4a, "", b"member"),
            (0x21, "", &[0, 0, 0, 1]),
        ],
        &[
            (0x34, "nested", b""),
            (0x4a, "", b"member"),
            (0x34, "", b""),
            (0x4a, "", b"member"),
            (0x44, "", b"word"),
            (0x37, "", b""),
            (0x37, "", b""),
        ],
    ];
    for values in odd {
        let mut values = values.to_vec();
        values.push((0x41, "printer-location", b"Lobby"));
        let response = read(&group(PRINTER_GROUP, &values));
        let told = told(&response);
        let location = ("printer-location".to_owned(), vec![text_of("Lobby")]);
        assert_eq!(told.last(), Some(&location), "{values:?}");
        assert!(told.len() <= 2, "members are no attributes: {told:?}");
        assert!(!response.is_cut_off());
    }
}

#[test]
fn a_value_that_breaks_the_rules_of_its_syntax_is_malformed() {
    let lengths = "lengths that do not fit a text with language";
    for (tag, octets, flaw) in [
        (0x21, &[1][..], "1 octets where an integer has 4"),
        (
            0x21,
            &[0, 0, 0, 1, 0, 0, 0, 2],
            "8 octets where an integer has 4",
        ),
        (0x23, &[0; 5], "5 octets where an integer has 4"),
        (0x22, &[], "0 octets where a boolean has 1"),
        (0x31, &[7, 0xe0], "2 octets where a dateTime has 11"),
        (0x32, &[0], "1 octets where a resolution has 9"),
        (0x33, &[0; 4], "4 octets where a rangeOfInteger has 8"),
        (0x35, &[0, 2, b'e', b'n', 0x7f, 0xff], lengths),
        (0x35, &[0, 2, b'e', b'n', 0, 1, b'x', 0], lengths),
        (0x36, &[0], lengths),
        (0x41, &[b'M', 0xfc], "not UTF-8"),
        (0x36, &[0, 0, 0, 1, 0xff], "not UTF-8"),
        (0x37, &[], "a collection ends that has not begun"),
        (0x4a, b"x", "a member belongs to no collection"),
    ] {
        assert_eq!(values_of_a(&[(tag, "a", octets)]), flawed(flaw));
    }
    let with_language = (0x36, "a", &[0, 2, b'e', b'n', 0, 1, b'x'][..]);
    assert_eq!(values_of_a(&[with_language]), [text_of("x")]);
    assert_eq!(values_of_a(&[(0x22, "a", &[1])]), [Scalar::Boolean(true)]);
}

#[test]
fn a_value_that_cannot_be_compared_is_told() {
    for (tag, octets, words) in [
        (
            0x30,
            &[0xab; 20][..],
            "tag 0x30: abababababababababababababababab…",
        ),
        (0x31, &[0; 11], "tag 0x31: 0000000000000000000000"),
        (0x12, &[], "unknown"),
        (0x13, &[], "no-value"),
    ] {
        let values = [(tag, "a", octets)];
        let told = told(&read(&group(PRINTER_GROUP, &values)));
        assert_eq!(told[0].1[0], Scalar::Other(words.to_owned()));
    }
    let collection = [(0x34, "a", &b""[..]), (0x37, "", b"")];
    assert_eq!(
        values_of_a(&collection),
        [Scalar::Other("a collection".to_owned())]
    );
}

#[test]
fn a_flaw_of_the_message_is_that_of_the_attribute_where_it_is() {
    let lobby = (0x41, "a", &b"Lobby"[..]);
    let begun = (0x34, "a", &b""[..]);
    let (member, end) = ((0x4a, "", &b"x"[..]), (0x37, "", &b""[..]));
    for (values, flaw) in [
        (&[lobby, end][..], NOT_BEGUN),
        (&[lobby, member, (0x41, "", b"y")], NO_COLLECTION),
        (&[begun, member, (0x41, "", b"y")], NOT_ENDED),
        (&[begun, end, end], NOT_BEGUN),
        (&[lobby, (0x41, "a", b"Hall")], DIFFERENT),
        (&[lobby, (0x41, "a", b"Hall"), lobby], DIFFERENT),
        (&[lobby, (0x41, "c", b"y"), (0x10, "a", b"")], DIFFERENT),
    ] {
        assert_eq!(values_of_a(values), flawed(flaw), "{values:?}");
    }
    assert_eq!(values_of_a(&[lobby, lobby]), [text_of("Lobby")]);
    assert!(values_of_a(&[(0x10, "a", b"")]).is_empty(), "not supported");
}

#[test]
fn an_answer_that_ends_early_is_cut_off_and_one_without_its_last_tag_is_not() {
    let location = [(0x41, "printer-location", &b"Lobby"[..])];
    let whole = group(PRINTER_GROUP, &location);
    for length in 2..whole.len() {
        let response = read(&whole[..length]);
        assert!(response.is_cut_off(), "{length} octets");
        assert!(told(&response).is_empty());
    }
    assert!(!read(&whole).is_cut_off());
    assert!(read(&whole).has_group(PRINTER_GROUP) && !read(&whole).has_group(5));
}

#[test]
fn an_attribute_of_which_a_value_was_cut_off_is_malformed() {
    let one = group(PRINTER_GROUP, &[(0x44, "a", b"x")]);
    for (next, values) in [
        ((0x44, "", &b"y"[..]), flawed(CUT_OFF)),
        ((0x44, "c", b"y"), vec![text_of("x")]),
    ] {
        let next = value(next);
        let response = read(&[&one[..], &next[..next.len() - 1]].concat());
        assert!(response.is_cut_off());
        assert_eq!(told(&response), [("a".to_owned(), values)]);
    }
}

#[test]
fn an_attribute_behind_the_end_or_before_the_first_group_is_nobodys() {
    let location = value((0x41, "printer-location", b"Lobby"));
    assert!(told(&read(&location)).is_empty());
    assert!(told(&read(&[&[END, PRINTER_GROUP], &location[..]].concat())).is_empty());
}

#[test]
fn an_attribute_has_a_bounded_number_of_values() {
    let mut values = vec![(0x44, "a", &b"x"[..])];
    values.resize(MOST_VALUES, (0x44, "", b"x"));
    assert_eq!(values_of_a(&values).len(), MOST_VALUES);
    values.push((0x44, "", b"x"));
    assert_eq!(values_of_a(&values), flawed(TOO_MANY));
}
