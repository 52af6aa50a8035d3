//! Odd endings: versions, HTTP, and answers to writes.

use super::Part::{Asked, Bare, Fill, Group, NoEnd, Operation, Value};
use super::rows::{OK, also};
use super::{
    Answer::{self, ByVersion, Close, Http, Ipp, Wire},
    Head, Known, NUMBER, Odd, On, Part, TEXT,
    Verdict::{self, Device, Refused, Taken, Well},
};

const SANE: Answer = Ipp(OK, &[Group(4), Asked]);
static SOUND: Answer = SANE;
const HTML: &[u8] = b"<!DOCTYPE html><html><body>Welcome</body></html>";
const IPP: &[(&str, &str)] = &[("content-type", "application/ipp")];
const PAGE: &[(&str, &str)] = &[("content-type", "text/html")];

/// Returns the header of a status.
const fn status(status: u16) -> Head {
    Head {
        version: None,
        status,
        id: None,
    }
}

/// Returns the header of a status by a version, with an id.
const fn foreign(version: [u8; 2], status: u16, id: i32) -> Head {
    Head {
        version: Some(version),
        status,
        id: Some(id),
    }
}

const fn row(
    name: &'static str,
    seen: &'static str,
    on: On,
    answer: Answer,
    verdict: Verdict,
) -> Odd {
    Odd {
        name,
        seen,
        on,
        answer,
        verdict,
        e2e: false,
        known: Known::No,
    }
}

/// Returns a row about an answer to a reading.
const fn read(name: &'static str, seen: &'static str, answer: Answer, verdict: Verdict) -> Odd {
    row(name, seen, On::Read, answer, verdict)
}

/// Returns a row about an answer to a write.
const fn write(name: &'static str, seen: &'static str, answer: Answer, verdict: Verdict) -> Odd {
    row(name, seen, On::Write, answer, verdict)
}

/// Returns a row of a printer that understands version 1.1 alone, and says it so.
const fn old(name: &'static str, seen: &'static str, two: &'static Answer) -> Odd {
    read(name, seen, ByVersion(two, &SOUND), Well)
}

const NO_PARTS: &[Part] = &[Bare];
static NO_ID: Answer = Ipp(foreign([1, 0], 0x0503, 0), &[Operation]);
static VERSION_1_0: Answer = Ipp(foreign([1, 0], 0x0503, 1), &[Operation]);
static VERSION_0_0: Answer = Ipp(foreign([0, 0], 0x0503, 0), &[Bare, NoEnd]);
static BAD_REQUEST: Answer = Ipp(status(0x0400), &[Operation]);
static EMPTY_SUCCESS: Answer = Ipp(OK, &[Operation]);
static CLOSED: Answer = Close;
static HTTP_400: Answer = Http(400, PAGE, HTML);
static HTTP_500: Answer = Http(500, PAGE, HTML);
static HTTP_505: Answer = Http(505, PAGE, b"");

/// The rows.
#[rustfmt::skip]
pub(super) static ROWS: &[Odd] = &[
    // Versions.
    also(read("version-1.0-in-the-answer", "", Ipp(Head { version: Some([1, 0]), ..OK }, &[Group(4), Asked]), Well)),
    read("version-0.0-always", "", Ipp(foreign([0, 0], 0x0503, 0), NO_PARTS), Device("ProtocolError")),
    read("success-without-an-id", "", Ipp(Head { id: Some(0), ..OK }, &[Group(4), Asked]), Device("ProtocolError")),
    also(old("version-refused-without-an-id", "williamkapke/ipp#23", &NO_ID)),
    old("version-refused-by-1.0", "Zelenov/SharpIpp#12", &VERSION_1_0),
    old("version-refused-by-0.0", "", &VERSION_0_0),
    also(old("bad-request-then-1.1", "OpenPrinting/cups-filters#173", &BAD_REQUEST)),
    also(old("http-400-then-1.1", "apple/cups#5211", &HTTP_400)),
    old("http-500-then-1.1", "", &HTTP_500),
    old("http-505-then-1.1", "", &HTTP_505),
    also(old("closed-then-1.1", "OpenPrinting/cups#1149", &CLOSED)),
    old("empty-success-then-1.1", "OpenPrinting/cups-filters#173", &EMPTY_SUCCESS),
    read("empty-success-always", "OpenPrinting/cups-filters#173", Ipp(OK, &[Operation]), Device("ProtocolError")),
    // Status codes and HTTP.
    read("success-with-a-condition", "", Ipp(status(0x0001), &[Group(5), Value(0x10, "x", b""), Group(4), Asked]), Well),
    also(read("service-unavailable", "", Ipp(status(0x0502), &[Operation]), Device("Busy"))),
    read("temporary-error", "", Ipp(status(0x0505), &[Operation]), Device("Busy")),
    read("not-found", "", Ipp(status(0x0406), &[Operation]), Device("ProtocolError")),
    also(read("http-426", "ctalkington/python-ipp#2", Http(426, PAGE, HTML), Device("ProtocolError"))),
    read("http-307", "", Http(307, &[("location", "http://127.0.0.1:9/elsewhere")], b""), Device("ProtocolError")),
    also(read("http-401-digest", "", Http(401, &[("www-authenticate", "Digest realm=\"printer\", nonce=\"1\"")], b""), Device("Unauthorized"))),
    also(read("page-in-place-of-ipp", "", Http(200, PAGE, HTML), Device("ProtocolError"))),
    read("nothing-in-place-of-ipp", "", Http(200, IPP, b""), Device("ProtocolError")),
    read("seven-octets", "", Http(200, IPP, &[2, 0, 0, 0, 0, 0, 0]), Device("ProtocolError")),
    read("no-media-type", "", Wire(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", Some(&[Group(4), Asked])), Well),
    read("http-1.0-without-a-length", "apple/cups#2683", Wire(b"HTTP/1.0 200 OK\r\nContent-Type: application/ipp\r\n\r\n", Some(&[Group(4), Asked])), Well),
    read("http-100-that-nobody-asked-for", "", Wire(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", Some(&[Group(4), Asked])), Well),
    read("junk-before-http", "", Wire(b"\0\x01\x02junk\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", Some(&[Group(4), Asked])), Device("ProtocolError")),
    // Writes.
    also(write("success-with-the-setting-unsupported", "", Ipp(OK, &[Group(5), Value(0x15, TEXT, b""), Value(0x15, NUMBER, b"")]), Refused("RejectedNotSettable"))),
    write("refused-without-a-group", "", Ipp(status(0x040B), &[Operation]), Refused("RejectedValue")),
    also(write("odd-attribute-in-the-answer", "", Ipp(OK, &[Group(4), Value(0x35, "x", b"\0\x02en\x7F\xFF"), Value(0x21, "y", b"")]), Taken)),
    write("words-of-2000", "", Ipp(status(0x040B), &[Operation, Fill(0x41, "status-message", b'w', 2000)]), Refused("RejectedValue")),
    write("words-with-language", "watson/ipp-printer#27", Ipp(status(0x040B), &[Operation, Value(0x35, "status-message", b"\0\x05en-us\0\x02no")]), Refused("RejectedValue")),
    write("write-answered-by-nothing", "", Http(200, IPP, b""), Refused("ProtocolError")),
    write("write-answered-by-a-page", "", Http(200, PAGE, HTML), Refused("ProtocolError")),
    write("write-answered-for-another", "", Ipp(Head { id: Some(0), ..OK }, &[Operation]), Refused("ProtocolError")),
    write("write-busy", "", Ipp(status(0x0505), &[Operation]), Refused("Busy")),
    write("write-refused-by-version", "", Ipp(foreign([0, 0], 0x0503, 0), NO_PARTS), Refused("ProtocolError")),
];
