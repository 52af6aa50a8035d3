//! Odd attributes in answers that are sound otherwise.

use super::Part::{As, Asked, Bare, But, Fill, Group, More, NoEnd, Operation, Raw, Times, Value};
use super::{
    Answer, Head, Known, MODEL, NUMBER, Odd, On, Part, TEXT, UNASKED, UUID,
    Verdict::{self, Device, Hollow, Item, Mismatch, Well},
};

/// Header of a success.
pub(super) const OK: Head = Head {
    version: None,
    status: 0,
    id: None,
};
const PRINTER: Part = Group(4);
const BEGIN: u8 = 0x34;
const END: u8 = 0x37;
const MEMBER: u8 = 0x4A;

/// Returns a row about an answer to a reading.
const fn read(
    name: &'static str,
    seen: &'static str,
    parts: &'static [Part],
    verdict: Verdict,
) -> Odd {
    Odd {
        name,
        seen,
        on: On::Read,
        answer: Answer::Ipp(OK, parts),
        verdict,
        e2e: false,
        known: Known::No,
    }
}

/// Returns the row for the operator, too.
pub(super) const fn also(row: Odd) -> Odd {
    Odd { e2e: true, ..row }
}

/// Returns the row for the operator, too, which does not reach its verdict yet.
#[allow(dead_code, reason = "no row waits for a mend now")]
pub(super) const fn later(row: Odd) -> Odd {
    Odd {
        e2e: true,
        known: Known::Operator,
        ..row
    }
}

/// Returns the row of a printer that turns odd after it was set up.
const fn after(row: Odd) -> Odd {
    Odd {
        on: On::ReadLater,
        ..row
    }
}

fn upper(text: &[u8]) -> Vec<u8> {
    let text = text.to_ascii_uppercase();
    [&b"urn:uuid:"[..], &text[text.len().min(9)..]].concat()
}

fn in_braces(text: &[u8]) -> Vec<u8> {
    [&b"{"[..], &text[text.len().min(9)..], b"}"].concat()
}

fn without_scheme(text: &[u8]) -> Vec<u8> {
    text[text.len().min(9)..].to_vec()
}

fn blank_and_nul(text: &[u8]) -> Vec<u8> {
    [text, b" \0"].concat()
}

fn blank(text: &[u8]) -> Vec<u8> {
    [text, b"  "].concat()
}

fn eight_octets(number: &[u8]) -> Vec<u8> {
    [number, &[0, 0, 0, 0]].concat()
}

fn with_language(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&b"\0\x02en"[..], &length[..], text].concat()
}

fn latin_1(text: &[u8]) -> Vec<u8> {
    [text, b"\xE9"].concat()
}

fn same(text: &[u8]) -> Vec<u8> {
    text.to_vec()
}

/// The rows.
#[rustfmt::skip]
pub(super) static ROWS: &[Odd] = &[
    // Attributes that nobody asked for.
    also(read("keyword-of-300", "OpenPrinting/cups#1222", &[PRINTER, Fill(0x44, UNASKED, b'k', 300), Asked], Well)),
    also(read("keyword-with-blanks", "OpenPrinting/cups#1222", &[PRINTER, Value(0x44, UNASKED, b"Letter 90 gsm Xpressions+"), Asked], Well)),
    read("keyword-with-parentheses", "OpenPrinting/cups#1621", &[PRINTER, Value(0x44, "media-type-supported", b"thick-1(-2nd)"), Asked], Well),
    read("keyword-empty", "OpenPrinting/cups#1078", &[PRINTER, Value(0x44, UNASKED, b""), More(0x44, b""), Asked], Well),
    also(read("integer-of-1", "", &[PRINTER, Value(0x21, UNASKED, &[1]), Asked], Well)),
    read("integer-of-0", "", &[PRINTER, Value(0x21, UNASKED, b""), Asked], Well),
    read("integer-of-8-unasked", "", &[PRINTER, Value(0x21, UNASKED, &[0, 0, 0, 1, 0, 0, 0, 2]), Asked], Well),
    also(read("text-of-2000", "", &[PRINTER, Fill(0x41, "printer-info", b't', 2000), Asked], Well)),
    read("uri-of-1500", "", &[PRINTER, Fill(0x45, "printer-more-info", b'u', 1500), Asked], Well),
    read("media-type-of-300", "", &[PRINTER, Fill(0x49, "document-format-supported", b'm', 300), Asked], Well),
    read("media-type-empty", "OpenPrinting/cups#755", &[PRINTER, Value(0x49, "document-format-default", b""), Asked], Well),
    read("language-of-70", "", &[PRINTER, Fill(0x48, "natural-language-configured", b'l', 70), Asked], Well),
    also(read("language-with-a-blank", "OpenPrinting/cups-filters#635", &[Bare, Group(1), Value(0x47, "attributes-charset", b"utf-8"), Value(0x48, "attributes-natural-language", b"en- "), PRINTER, Asked], Well)),
    read("name-of-attribute-of-300", "", &[PRINTER, Raw(b"\x41\x01\x2C"), Times(300, &[Raw(b"n")]), Raw(b"\0\x01x"), Asked], Well),
    read("name-latin-1-of-200", "", &[PRINTER, Fill(0x42, "printer-name", 0xFC, 200), Asked], Well),
    read("boolean-of-0", "", &[PRINTER, Value(0x22, "color-supported", b""), Asked], Well),
    also(read("range-of-4", "", &[PRINTER, Value(0x33, "copies-supported", &[0, 0, 0, 1]), Asked], Well)),
    read("resolution-of-8", "", &[PRINTER, Value(0x32, "printer-resolution-default", &[0; 8]), Asked], Well),
    also(read("date-of-10", "", &[PRINTER, Value(0x31, "printer-current-time", &[7; 10]), Asked], Well)),
    read("enum-of-2", "", &[PRINTER, Value(0x23, "printer-state", &[0, 3]), Asked], Well),
    also(read("tag-0x12", "williamkapke/ipp#26", &[PRINTER, Value(0x12, UNASKED, b""), Asked], Well)),
    read("tag-0x13", "williamkapke/ipp#12", &[PRINTER, Value(0x13, UNASKED, b""), Asked], Well),
    also(read("tag-0x4b", "", &[PRINTER, Value(0x4B, UNASKED, b"?"), Asked], Well)),
    read("tag-0x7f", "", &[PRINTER, Value(0x7F, UNASKED, &[0x40, 0, 0, 1, 9]), Asked], Well),
    read("tag-0xff", "", &[PRINTER, Value(0xFF, UNASKED, b"?"), Asked], Well),
    read("group-0x0b", "", &[Group(0x0B), Value(0x41, "x", b"y"), PRINTER, Asked], Well),
    read("group-0x00", "", &[Group(0), Value(0x41, "x", b"y"), PRINTER, Asked], Well),
    also(read("language-text-that-panics", "", &[PRINTER, Value(0x35, UNASKED, b"\0\x02en\x7F\xFF"), Asked], Well)),
    also(read("language-text-empty", "", &[PRINTER, Value(0x35, UNASKED, b""), Asked], Well)),
    read("language-text-latin-1", "", &[PRINTER, Value(0x36, UNASKED, b"\0\x02de\0\x01\xFC"), Asked], Well),
    read("language-text-with-more-behind", "", &[PRINTER, Value(0x35, UNASKED, b"\0\x02en\0\x01x?"), Asked], Well),
    read("language-text-without-its-length-at-the-end", "", &[PRINTER, Asked, Raw(b"\x35\0\x01x\0\x02en\0\x05hello"), NoEnd], Well),
    read("language-text-without-its-length-before", "", &[PRINTER, Raw(b"\x35\0\x01x\0\x02en\0\x05hello"), Asked], Device("ProtocolError")),
    // Collections.
    also(read("collection-without-end", "OpenPrinting/cups#1149", &[PRINTER, Value(BEGIN, "media-col-default", b""), More(MEMBER, b"m"), More(0x21, &[0, 0, 0, 1]), Asked], Well)),
    also(read("collections-without-end", "", &[PRINTER, Times(17, &[Value(BEGIN, "media-col-database", b""), More(MEMBER, b"m"), More(BEGIN, b"")]), Asked], Well)),
    read("collection-17-deep", "", &[PRINTER, Value(BEGIN, "media-col", b""), Times(16, &[More(MEMBER, b"m"), More(BEGIN, b"")]), Times(17, &[More(END, b"")]), Asked], Well),
    also(read("end-of-collection-behind-a-setting", "", &[PRINTER, But(TEXT), As(TEXT, 0x42, same), More(END, b"")], Item(TEXT, "ProtocolError"))),
    read("member-outside-unasked", "OpenPrinting/cups#755", &[PRINTER, Value(0x44, UNASKED, b"a4"), More(MEMBER, b"m"), More(0x44, b"x"), Asked], Well),
    also(read("member-outside-behind-a-setting", "OpenPrinting/cups#755", &[PRINTER, But(TEXT), As(TEXT, 0x42, same), More(MEMBER, b"m"), More(0x42, b"x")], Item(TEXT, "ProtocolError"))),
    read("collection-begins-with-octets", "", &[PRINTER, Value(BEGIN, "media-col", b"octets"), More(MEMBER, b"m"), More(0x44, b"x"), More(END, b"octets"), Asked], Well),
    read("group-within-a-collection", "HPInc/jipp#143", &[PRINTER, Value(BEGIN, "media-col", b""), More(MEMBER, b"m"), Group(2), PRINTER, Asked], Well),
    also(read("value-without-a-name-first", "danielklecha/SharpIppNext#3", &[PRINTER, More(0x44, b"two-sided"), Asked], Well)),
    // The end of the answer.
    also(read("no-end", "", &[PRINTER, Asked, NoEnd], Well)),
    also(read("cut-in-unasked", "", &[PRINTER, Asked, Raw(b"\x44\0\x05media\0\xFFcut"), NoEnd], Well)),
    read("cut-in-a-setting", "", &[PRINTER, But(TEXT), Raw(b"\x42\0\x0Dnw-alert-unit\0\xFFcut"), NoEnd], Item(TEXT, "ProtocolError")),
    read("octets-behind-the-end", "", &[PRINTER, Asked, Raw(b"\x03\x04\x44 no longer IPP"), NoEnd], Well),
    // Settings that were asked for.
    read("setting-twice-equal", "", &[PRINTER, Asked, As(TEXT, 0x42, same)], Well),
    also(read("setting-twice-different", "", &[PRINTER, Asked, Value(0x42, TEXT, b"another")], Item(TEXT, "ProtocolError"))),
    read("two-printer-groups", "", &[PRINTER, Asked, PRINTER, Asked], Well),
    also(read("setting-latin-1", "ctalkington/python-ipp#8", &[PRINTER, But(TEXT), As(TEXT, 0x42, latin_1)], Item(TEXT, "ProtocolError"))),
    read("charset-is-latin-1", "home-assistant/core#33860", &[Bare, Group(1), Value(0x47, "attributes-charset", b"iso-8859-1"), PRINTER, But(TEXT), As(TEXT, 0x42, latin_1)], Item(TEXT, "ProtocolError")),
    read("setting-as-keyword", "", &[PRINTER, But(TEXT), As(TEXT, 0x44, same)], Well),
    read("setting-with-language", "RFC 8010 section 3.9", &[PRINTER, But(TEXT), As(TEXT, 0x36, with_language)], Well),
    read("setting-as-a-set", "", &[PRINTER, But(TEXT), As(TEXT, 0x42, same), More(0x42, b"another")], Item(TEXT, "AcceptedNotEffective")),
    also(read("setting-of-8-octets", "", &[PRINTER, But(NUMBER), As(NUMBER, 0x21, eight_octets)], Item(NUMBER, "ProtocolError"))),
    read("setting-without-a-value", "", &[PRINTER, But(TEXT), Value(0x13, TEXT, b"")], Item(TEXT, "AcceptedNotEffective")),
    also(read("setting-absent", "", &[PRINTER, But(TEXT)], Item(TEXT, "AcceptedNotEffective"))),
    // Identity.
    also(read("only-the-group", "OpenPrinting/cups-filters#173", &[PRINTER], Hollow)),
    read("only-the-model", "", &[PRINTER, But(UUID)], Hollow),
    read("only-the-uuid", "", &[PRINTER, But(MODEL)], Hollow),
    read("uuid-twice-different", "", &[PRINTER, Asked, Value(0x45, UUID, b"urn:uuid:0d3d8dbd-bcd1-4ead-beef-76c7e04caf42")], Hollow),
    also(after(read("uuid-nil", "", &[PRINTER, But(UUID), Value(0x45, UUID, b"urn:uuid:00000000-0000-0000-0000-000000000000")], Hollow))),
    read("uuid-unknown", "", &[PRINTER, But(UUID), Value(0x41, UUID, b"unknown")], Hollow),
    read("uuid-empty", "", &[PRINTER, But(UUID), Value(0x45, UUID, b"")], Hollow),
    also(after(read("uuid-upper-case", "", &[PRINTER, But(UUID), As(UUID, 0x45, upper)], Well))),
    also(after(read("uuid-in-braces", "", &[PRINTER, But(UUID), As(UUID, 0x45, in_braces)], Well))),
    read("uuid-without-scheme", "", &[PRINTER, But(UUID), As(UUID, 0x41, without_scheme)], Well),
    also(after(read("uuid-with-blank-and-nul", "", &[PRINTER, But(UUID), As(UUID, 0x45, blank_and_nul)], Well))),
    also(after(read("uuid-of-another", "istopwg/ippsample#15", &[PRINTER, But(UUID), Value(0x45, UUID, b"urn:uuid:5accac29-2942-4a10-9367-7a4d46ec0701")], Mismatch))),
    also(read("model-with-blanks-behind", "", &[PRINTER, But(MODEL), As(MODEL, 0x41, blank)], Well)),
    read("operation-group-twice", "", &[Operation, Operation, PRINTER, Asked], Well),
];
