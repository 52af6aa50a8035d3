//! Responses of IPP as a device wrote them: groups of attributes, each value with its tag (RFC 8010
//! section 3.1).
//!
//! Pure, and tolerant: an attribute that nobody asked for can never make an answer unreadable. A
//! value is interpreted when it is asked for, and one that breaks the rules is malformed: a flaw of
//! that attribute alone. Holds slices of the answer, and no recursion: a collection is a stretch of
//! it. Called by the driver, `codec` and `status`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf as _, Bytes};
use entente_domain::remote::Scalar;

/// End of the attributes (RFC 8010 section 3.5.1).
const END: u8 = 0x03;
/// Tags below this one begin a group.
const FIRST_VALUE: u8 = 0x10;
/// "unsupported" as a value: the attribute is not there (RFC 8010 section 3.5.2).
pub(super) const UNSUPPORTED: u8 = 0x10;
const UNKNOWN: u8 = 0x12;
const NO_VALUE: u8 = 0x13;
/// "not-settable" as a value (RFC 3380 section 8.1).
pub(super) const NOT_SETTABLE: u8 = 0x15;
const INTEGER: u8 = 0x21;
const BOOLEAN: u8 = 0x22;
const ENUM: u8 = 0x23;
const OCTET_STRING: u8 = 0x30;
const DATE_TIME: u8 = 0x31;
const RESOLUTION: u8 = 0x32;
const RANGE: u8 = 0x33;
const BEGIN_COLLECTION: u8 = 0x34;
const TEXT_WITH_LANGUAGE: u8 = 0x35;
const NAME_WITH_LANGUAGE: u8 = 0x36;
const END_COLLECTION: u8 = 0x37;
const MEMBER_NAME: u8 = 0x4a;
/// The real tag is in the first four octets of the value.
const EXTENSION: u8 = 0x7f;
/// Octets before the first group.
const HEADER: usize = 8;
/// The highest major version of IPP that is read.
const LATEST_MAJOR: u8 = 2;

/// Group of operation attributes.
pub(super) const OPERATION_GROUP: u8 = 0x01;
/// Group of a subscription to notifications (RFC 3995 section 5.2).
pub(super) const SUBSCRIPTION_GROUP: u8 = 0x06;
/// Group of a notification (RFC 3996 section 5.2).
pub(super) const EVENT_GROUP: u8 = 0x07;
/// Group of unsupported attributes.
pub(super) const UNSUPPORTED_GROUP: u8 = 0x05;

/// The most values of one attribute that are kept. Real ones have a hundred.
const MOST_VALUES: usize = 1000;

/// Flaw of an attribute that the end of the answer may have taken.
pub(super) const CUT_OFF: &str = "cut off";
const NOT_BEGUN: &str = "a collection ends that has not begun";
const NOT_ENDED: &str = "a collection has no end";
const NO_COLLECTION: &str = "a member belongs to no collection";
const TOO_MANY: &str = "more values than are read";
const DIFFERENT: &str = "is there twice, with different values";
const NOT_UTF_8: &str = "not UTF-8";

/// A response. Its attributes are searched each time that they are needed, so that an answer takes
/// no more memory than it had on the wire.
#[derive(Debug)]
pub(super) struct Response {
    /// The status code (RFC 8011 appendix B).
    pub(super) status: u16,
    major: u8,
    id: i32,
    /// Everything behind the header.
    groups: Bytes,
}

/// An attribute with all its values.
#[derive(Debug)]
pub(super) struct Attribute {
    group: u8,
    /// Place of its group among the groups of the answer.
    place: u32,
    name: Bytes,
    values: Vec<Raw>,
    /// Flaw of the message at this attribute.
    flaw: Option<&'static str>,
}

/// A value as it was sent.
#[derive(Debug)]
struct Raw {
    tag: u8,
    octets: Bytes,
}

impl Response {
    /// Reads a response; `None` if it has no header of IPP. It need not be the answer to a request
    /// of ours.
    pub(super) fn read(mut body: Bytes) -> Option<Self> {
        if body.len() < HEADER {
            return None;
        }
        let (major, _minor) = (body.get_u8(), body.get_u8());
        let (status, id) = (body.get_u16(), body.get_i32());
        (major <= LATEST_MAJOR).then_some(Self {
            status,
            major,
            id,
            groups: body,
        })
    }

    /// True if it is the answer to the request of this id, by a version of IPP that exists.
    pub(super) fn answers(&self, id: i32) -> bool {
        self.major > 0 && self.id == id
    }

    /// Returns the attributes of all groups with a tag, in the order of the answer.
    pub(super) fn attributes(&self, group: u8) -> impl Iterator<Item = Attribute> {
        self.walk().filter(move |found| found.group == group)
    }

    /// Returns the attributes of each group with a tag, in the order of the answer.
    pub(super) fn groups(&self, tag: u8) -> Vec<Vec<Attribute>> {
        let mut groups: Vec<(u32, Vec<Attribute>)> = Vec::new();
        for attribute in self.attributes(tag) {
            match groups.last_mut() {
                Some((place, group)) if *place == attribute.place => group.push(attribute),
                _ => groups.push((attribute.place, vec![attribute])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// Returns the values of those of the named attributes that the groups with a tag have. One of
    /// which different values are there is malformed.
    pub(super) fn values<'a>(
        &self,
        group: u8,
        names: &BTreeSet<&'a str>,
    ) -> BTreeMap<&'a str, Vec<Scalar>> {
        let mut found = BTreeMap::new();
        for attribute in self.attributes(group) {
            let Some(name) = names.get(attribute.name()) else {
                continue;
            };
            let values = attribute.scalars();
            let first = found.entry(*name).or_insert_with(|| values.clone());
            if *first != values {
                *first = malformed(DIFFERENT);
            }
        }
        found.retain(|_, values| *values != [unsupported()]);
        found
    }

    /// True if there is a group with a tag, with or without attributes.
    pub(super) fn has_group(&self, group: u8) -> bool {
        let mut walk = self.walk();
        walk.by_ref().for_each(drop);
        walk.groups_seen & (1 << group) != 0
    }

    /// True if the answer ends in the middle of an attribute: one that is missing may have been
    /// lost.
    pub(super) fn is_cut_off(&self) -> bool {
        let mut walk = self.walk();
        walk.by_ref().for_each(drop);
        walk.is_cut_off
    }

    fn walk(&self) -> Walk {
        Walk {
            rest: self.groups.clone(),
            group: 0,
            groups_seen: 0,
            place: 0,
            attribute: None,
            depth: 0,
            is_cut_off: false,
        }
    }
}

/// The attributes of all groups, one after another.
struct Walk {
    rest: Bytes,
    group: u8,
    /// The groups that began: bit n for the tag n.
    groups_seen: u16,
    /// Number of groups that began.
    place: u32,
    /// The attribute that further values may belong to.
    attribute: Option<Attribute>,
    /// Collections that have begun and not ended.
    depth: usize,
    is_cut_off: bool,
}

impl Walk {
    /// Takes a value that is in no collection. Returns the attribute before it, if another one
    /// begins with it.
    fn take_value(&mut self, name: Bytes, value: Raw) -> Option<Attribute> {
        if name.is_empty() {
            self.append(value);
            return None;
        }
        // Values before the first group belong to none.
        if self.group == 0 {
            return None;
        }
        self.attribute.replace(Attribute {
            group: self.group,
            place: self.place,
            name,
            values: vec![value],
            flaw: None,
        })
    }

    /// Takes a value without a name, which belongs to the attribute before it; to none if there is
    /// none.
    fn append(&mut self, value: Raw) {
        match value.tag {
            END_COLLECTION => self.blame(NOT_BEGUN),
            MEMBER_NAME => self.blame(NO_COLLECTION),
            _ => {}
        }
        let Some(attribute) = &mut self.attribute else {
            return;
        };
        if attribute.values.len() < MOST_VALUES {
            attribute.values.push(value);
        } else {
            self.blame(TOO_MANY);
        }
    }

    /// Notes a flaw of the attribute that was read last.
    fn blame(&mut self, flaw: &'static str) {
        if let Some(attribute) = &mut self.attribute {
            attribute.flaw = attribute.flaw.or(Some(flaw));
        }
    }

    /// Ends the collections that have no end of their own.
    fn end_collections(&mut self) {
        if self.depth > 0 {
            self.depth = 0;
            self.blame(NOT_ENDED);
        }
    }

    /// Ends an answer in the middle of a value, whose name is known if the answer came that far.
    fn cut_off(&mut self, name: Option<&Bytes>) {
        self.is_cut_off = true;
        // Without a name it is one more value of the attribute before it.
        if name.is_none_or(Bytes::is_empty) {
            self.blame(CUT_OFF);
        }
    }
}

impl Iterator for Walk {
    type Item = Attribute;

    fn next(&mut self) -> Option<Attribute> {
        // A response without the tag of its end is complete, too: devices leave it out.
        while self.rest.has_remaining() {
            let tag = self.rest.get_u8();
            if tag == END {
                break;
            }
            if tag < FIRST_VALUE {
                self.end_collections();
                self.group = tag;
                self.groups_seen |= 1 << tag;
                self.place = self.place.saturating_add(1);
                if let Some(complete) = self.attribute.take() {
                    return Some(complete);
                }
                continue;
            }
            let name = counted(&mut self.rest);
            let octets = name.as_ref().and_then(|_| counted(&mut self.rest));
            let (Some(name), Some(octets)) = (&name, octets) else {
                self.cut_off(name.as_ref());
                break;
            };
            // Nothing within a collection has a name of its own there (RFC 8010 section 3.1.6): one
            // that has is the attribute after a collection without an end.
            if !name.is_empty() {
                self.end_collections();
            }
            if tag == END_COLLECTION && self.depth > 0 {
                self.depth -= 1;
                continue;
            }
            let is_member = self.depth > 0;
            self.depth += usize::from(tag == BEGIN_COLLECTION);
            let value = Raw { tag, octets };
            if !is_member && let Some(complete) = self.take_value(name.clone(), value) {
                return Some(complete);
            }
        }
        self.end_collections();
        self.rest.clear();
        self.attribute.take()
    }
}

/// Returns octets with their length before them; `None` if there are fewer than that.
fn counted(rest: &mut Bytes) -> Option<Bytes> {
    let length = usize::from(rest.try_get_u16().ok()?);
    (rest.len() >= length).then(|| rest.split_to(length))
}

impl Attribute {
    /// Returns its name; empty if it is no text.
    pub(super) fn name(&self) -> &str {
        str::from_utf8(&self.name).unwrap_or_default()
    }

    /// Returns the tag of its first value.
    pub(super) fn tag(&self) -> u8 {
        self.values.first().map_or(UNSUPPORTED, |value| value.tag)
    }

    /// Returns its values; one that is malformed in place of all if the message has a flaw there.
    pub(super) fn scalars(&self) -> Vec<Scalar> {
        match self.flaw {
            Some(flaw) => malformed(flaw),
            None => self.values.iter().map(Raw::scalar).collect(),
        }
    }

    /// Returns those of its values that are octetStrings, as they were sent; none if the message has a
    /// flaw there. Some devices send them as texts.
    pub(super) fn octet_strings(&self) -> Vec<Bytes> {
        let is_one = |value: &&Raw| matches!(value.tag, OCTET_STRING | 0x41 | 0x42);
        let values = self.values.iter().filter(is_one);
        let octets = values.map(|value| value.octets.clone());
        octets.filter(|_| self.flaw.is_none()).collect()
    }

    /// Returns its first value as words to quote, whatever their encoding; `None` if it is no text.
    pub(super) fn words(&self) -> Option<String> {
        let first = self.values.first()?;
        let words = match first.tag {
            TEXT_WITH_LANGUAGE | NAME_WITH_LANGUAGE => after_language(first.octets.clone())?,
            0x41 | 0x42 => first.octets.clone(),
            _ => return None,
        };
        Some(String::from_utf8_lossy(&words).into_owned())
    }
}

impl Raw {
    /// Returns the value: malformed if it breaks the rules of its syntax.
    fn scalar(&self) -> Scalar {
        let octets = &self.octets[..];
        match self.tag {
            INTEGER | ENUM => match octets.try_into().map(i32::from_be_bytes) {
                Ok(number) => Scalar::Integer(number.into()),
                Err(_) => self.of_wrong_length("an integer", 4),
            },
            BOOLEAN => match octets {
                [truth] => Scalar::Boolean(*truth != 0),
                _ => self.of_wrong_length("a boolean", 1),
            },
            DATE_TIME if octets.len() != 11 => self.of_wrong_length("a dateTime", 11),
            RESOLUTION if octets.len() != 9 => self.of_wrong_length("a resolution", 9),
            RANGE if octets.len() != 8 => self.of_wrong_length("a rangeOfInteger", 8),
            // textWithoutLanguage, nameWithoutLanguage, keyword, uri, uriScheme, charset,
            // naturalLanguage, mimeMediaType.
            0x41 | 0x42 | 0x44..=0x49 => text(octets),
            TEXT_WITH_LANGUAGE | NAME_WITH_LANGUAGE => after_language(self.octets.clone())
                .map_or_else(
                    || Scalar::Malformed("lengths that do not fit a text with language".to_owned()),
                    |words| text(&words),
                ),
            UNSUPPORTED => unsupported(),
            UNKNOWN => Scalar::Other("unknown".to_owned()),
            NO_VALUE => Scalar::Other("no-value".to_owned()),
            BEGIN_COLLECTION => Scalar::Other("a collection".to_owned()),
            END_COLLECTION => Scalar::Malformed(NOT_BEGUN.to_owned()),
            MEMBER_NAME => Scalar::Malformed(NO_COLLECTION.to_owned()),
            EXTENSION => Scalar::Other("a value of an extended syntax".to_owned()),
            tag => Scalar::Other(described(tag, octets)),
        }
    }

    fn of_wrong_length(&self, syntax: &str, length: usize) -> Scalar {
        let found = self.octets.len();
        Scalar::Malformed(format!("{found} octets where {syntax} has {length}"))
    }
}

fn malformed(flaw: &str) -> Vec<Scalar> {
    vec![Scalar::Malformed(flaw.to_owned())]
}

/// Returns the value of an attribute that is not there.
fn unsupported() -> Scalar {
    Scalar::Other("unsupported".to_owned())
}

fn text(octets: &[u8]) -> Scalar {
    match str::from_utf8(octets) {
        Ok(text) => Scalar::Text(text.to_owned()),
        Err(_) => Scalar::Malformed(NOT_UTF_8.to_owned()),
    }
}

/// Returns the text of textWithLanguage and nameWithLanguage (RFC 8010 section 3.9); `None` if its
/// lengths do not fit.
fn after_language(mut octets: Bytes) -> Option<Bytes> {
    counted(&mut octets)?;
    let words = counted(&mut octets)?;
    octets.is_empty().then_some(words)
}

/// Returns a value of another syntax as text: the same octets give the same text.
fn described(tag: u8, octets: &[u8]) -> String {
    /// Octets that are shown.
    const MOST: usize = 16;
    let shown = hex::encode(&octets[..octets.len().min(MOST)]);
    let more = if octets.len() > MOST { "…" } else { "" };
    format!("tag 0x{tag:02x}: {shown}{more}")
}

#[cfg(test)]
pub(super) mod tests;
