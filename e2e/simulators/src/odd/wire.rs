//! The octets of an odd answer.
//!
//! Decides nothing about a row. Called with what a printer really has.

use super::{Answer, Head, Part};

/// Facts of a printer at the time of a request.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'a> {
    /// Version of the request.
    pub version: [u8; 2],
    /// Id of the request.
    pub id: i32,
    /// Every attribute that was asked for, with its values as they are on the wire.
    pub asked: &'a [(String, Vec<u8>)],
}

/// An answer as it leaves.
#[derive(Debug)]
pub enum Sent {
    /// Over HTTP.
    Http {
        /// Its status.
        status: u16,
        /// Its headers but for the length.
        headers: Vec<(&'static str, &'static str)>,
        /// Its body.
        body: Vec<u8>,
    },
    /// Octets that are no answer of HTTP/1.1 by the letter.
    Wire(Vec<u8>),
    /// None: the connection is closed.
    Close,
}

impl Sent {
    /// Returns the octets for the connection; none: it is closed.
    pub fn into_octets(self) -> Vec<u8> {
        match self {
            Self::Close => Vec::new(),
            Self::Wire(octets) => octets,
            Self::Http {
                status,
                headers,
                body,
            } => {
                use std::fmt::Write as _;
                let mut head = format!("HTTP/1.1 {status} .\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    // Writing to a String cannot fail.
                    let _ = write!(head, "{name}: {value}\r\n");
                }
                [head.as_bytes(), b"\r\n", &body].concat()
            }
        }
    }
}

const MEDIA_TYPE: (&str, &str) = ("content-type", "application/ipp");

pub(super) fn sent(answer: &Answer, truth: &Truth<'_>) -> Sent {
    match answer {
        Answer::Ipp(head, parts) => Sent::Http {
            status: 200,
            headers: vec![MEDIA_TYPE],
            body: message(*head, parts, truth),
        },
        Answer::Http(status, headers, body) => Sent::Http {
            status: *status,
            headers: headers.to_vec(),
            body: body.to_vec(),
        },
        Answer::Wire(octets, parts) => {
            let head = Head {
                version: None,
                status: 0,
                id: None,
            };
            let body = parts.map(|parts| message(head, parts, truth));
            Sent::Wire([*octets, &body.unwrap_or_default()[..]].concat())
        }
        Answer::Close => Sent::Close,
        Answer::ByVersion(two, one) => sent(if truth.version[0] >= 2 { two } else { one }, truth),
    }
}

fn message(head: Head, parts: &[Part], truth: &Truth<'_>) -> Vec<u8> {
    let mut octets = head.version.unwrap_or(truth.version).to_vec();
    octets.extend(head.status.to_be_bytes());
    octets.extend(head.id.unwrap_or(truth.id).to_be_bytes());
    if !matches!(parts.first(), Some(Part::Bare | Part::Operation)) {
        put(&mut octets, &Part::Operation, truth);
    }
    for part in parts {
        put(&mut octets, part, truth);
    }
    if !matches!(parts.last(), Some(Part::NoEnd)) {
        octets.push(3);
    }
    octets
}

fn put(octets: &mut Vec<u8>, part: &Part, truth: &Truth<'_>) {
    match part {
        Part::Operation => {
            octets.push(1);
            value(octets, 0x47, "attributes-charset", b"utf-8");
            value(octets, 0x48, "attributes-natural-language", b"en");
        }
        Part::Bare | Part::NoEnd => {}
        Part::Group(tag) => octets.push(*tag),
        Part::Value(tag, name, is) => value(octets, *tag, name, is),
        Part::More(tag, is) => value(octets, *tag, "", is),
        Part::Fill(tag, name, octet, length) => value(octets, *tag, name, &vec![*octet; *length]),
        Part::Raw(raw) => octets.extend_from_slice(raw),
        Part::Asked => truth.asked.iter().for_each(|(_, wire)| octets.extend(wire)),
        Part::But(left_out) => {
            let others = truth.asked.iter().filter(|(name, _)| name != left_out);
            others.for_each(|(_, wire)| octets.extend(wire));
        }
        Part::As(name, tag, restated) => {
            if let Some(first) = first_value(truth, name) {
                value(octets, *tag, name, &restated(first));
            }
        }
        Part::Times(times, parts) => {
            for part in (0..*times).flat_map(|_| *parts) {
                put(octets, part, truth);
            }
        }
    }
}

/// Writes a value (RFC 8010 section 3.1.4).
fn value(octets: &mut Vec<u8>, tag: u8, name: &str, is: &[u8]) {
    octets.push(tag);
    for part in [name.as_bytes(), is] {
        let length = u16::try_from(part.len()).expect("a row's values are short");
        octets.extend(length.to_be_bytes());
        octets.extend_from_slice(part);
    }
}

/// Returns the octets of the first value of an attribute that was asked for.
fn first_value<'a>(truth: &Truth<'a>, name: &str) -> Option<&'a [u8]> {
    let (_, wire) = truth.asked.iter().find(|(asked, _)| asked == name)?;
    let behind = wire.get(1 + 2 + name.len()..)?;
    let (length, rest) = behind.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}
