//! Messages of SNMP: the PDU with its values, the wrapper of version 2c (RFC 1901) and that of
//! version 3 with the parameters of the user-based security model (RFC 3412, RFC 3414).
//!
//! Pure, and tolerant: a value that breaks the rules is a flaw of that object alone, and never makes
//! the rest of the answer unreadable. Decides nothing of security. Called by `exchange` and `usm`.

use std::net::Ipv4Addr;

use super::ber::{self, Malformed, Reader};
use super::oid::Oid;

/// GetRequest-PDU.
pub(super) const GET: u8 = 0xa0;
/// GetNextRequest-PDU.
pub(super) const GET_NEXT: u8 = 0xa1;
/// Response-PDU.
pub(super) const RESPONSE: u8 = 0xa2;
/// SetRequest-PDU.
pub(super) const SET: u8 = 0xa3;
/// GetBulkRequest-PDU.
pub(super) const GET_BULK: u8 = 0xa5;
/// Report-PDU.
pub(super) const REPORT: u8 = 0xa8;

/// Number of SNMPv2c in a message.
const VERSION_2C: i64 = 1;
/// Number of SNMPv3 in a message.
const VERSION_3: i64 = 3;
/// The user-based security model (RFC 3411 section 5).
const USM: i64 = 3;
/// The longest message that is read: a datagram over IPv4.
const LONGEST: i64 = 65_507;

const ADDRESS: u8 = 0x40;
const COUNTER: u8 = 0x41;
const GAUGE: u8 = 0x42;
const TICKS: u8 = 0x43;
const OPAQUE: u8 = 0x44;
const COUNTER_64: u8 = 0x46;
const NO_SUCH_OBJECT: u8 = 0x80;
const NO_SUCH_INSTANCE: u8 = 0x81;
const END_OF_VIEW: u8 = 0x82;

/// The value of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    /// INTEGER and Integer32.
    Integer(i64),
    /// OCTET STRING, and Opaque.
    Octets(Vec<u8>),
    /// NULL: the place of a value in a request.
    Null,
    /// OBJECT IDENTIFIER.
    Name(Oid),
    /// IpAddress.
    Address(Ipv4Addr),
    /// Counter32, Counter64.
    Counter(u64),
    /// Gauge32 and Unsigned32.
    Gauge(u64),
    /// TimeTicks.
    Ticks(u64),
    /// The agent has no such object, or none of this instance.
    Missing,
    /// There is no object behind the one that was asked for.
    EndOfView,
    /// A value that breaks the rules of its syntax, with the rule.
    Malformed(&'static str),
}

impl Value {
    fn read(tag: u8, octets: &[u8]) -> Self {
        let read = match tag {
            ber::INTEGER => ber::signed(octets).map(Self::Integer),
            ber::OCTETS | OPAQUE => Ok(Self::Octets(octets.to_vec())),
            ber::NULL => Ok(Self::Null),
            ber::OID => Oid::decode(octets).map(Self::Name),
            ADDRESS => <[u8; 4]>::try_from(octets)
                .map(|octets| Self::Address(octets.into()))
                .map_err(|_| Malformed("an IpAddress has another length than 4")),
            COUNTER | COUNTER_64 => ber::unsigned(octets).map(Self::Counter),
            GAUGE => ber::unsigned(octets).map(Self::Gauge),
            TICKS => ber::unsigned(octets).map(Self::Ticks),
            NO_SUCH_OBJECT | NO_SUCH_INSTANCE => Ok(Self::Missing),
            END_OF_VIEW => Ok(Self::EndOfView),
            _ => Err(Malformed("it has a syntax that SNMP does not have")),
        };
        read.unwrap_or_else(|Malformed(rule)| Self::Malformed(rule))
    }

    /// Returns the value as it is sent; NULL for one that no request has.
    fn write(&self) -> Vec<u8> {
        let number =
            |tag, number: &u64| ber::number(tag, u32::try_from(*number).unwrap_or(u32::MAX));
        match self {
            Self::Integer(number) => ber::integer(*number),
            Self::Octets(octets) => ber::value(ber::OCTETS, octets),
            Self::Name(oid) => ber::value(ber::OID, &oid.encode()),
            Self::Address(address) => ber::value(ADDRESS, &address.octets()),
            Self::Gauge(gauge) => number(GAUGE, gauge),
            Self::Ticks(ticks) => number(TICKS, ticks),
            Self::Missing => ber::value(NO_SUCH_OBJECT, &[]),
            Self::EndOfView => ber::value(END_OF_VIEW, &[]),
            Self::Null | Self::Counter(_) | Self::Malformed(_) => ber::value(ber::NULL, &[]),
        }
    }

    /// Returns a number of any syntax.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Counter(number) | Self::Gauge(number) | Self::Ticks(number) => {
                i64::try_from(*number).ok()
            }
            _ => None,
        }
    }

    /// Returns the octets of a text.
    pub(super) fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::Octets(octets) => Some(octets),
            _ => None,
        }
    }
}

/// A request or an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pdu {
    /// Its kind.
    pub(super) tag: u8,
    /// The id that the request chose.
    pub(super) id: i32,
    /// error-status; non-repeaters of a GetBulkRequest.
    pub(super) status: i64,
    /// error-index; max-repetitions of a GetBulkRequest.
    pub(super) index: i64,
    /// Names and values.
    pub(super) bindings: Vec<(Oid, Value)>,
}

impl Pdu {
    /// Returns a request about these objects; its id is given to it when it is sent.
    pub(super) fn about(tag: u8, oids: &[Oid]) -> Self {
        let bindings = oids.iter().map(|oid| (oid.clone(), Value::Null));
        Self::new(tag, bindings.collect())
    }

    /// Returns a request with these values.
    pub(super) fn new(tag: u8, bindings: Vec<(Oid, Value)>) -> Self {
        Self {
            tag,
            id: 0,
            status: 0,
            index: 0,
            bindings,
        }
    }

    fn write(&self) -> Vec<u8> {
        let binding = |(oid, value): &(Oid, Value)| {
            let name = ber::value(ber::OID, &oid.encode());
            ber::constructed(ber::SEQUENCE, &[name, value.write()])
        };
        let bindings: Vec<Vec<u8>> = self.bindings.iter().map(binding).collect();
        let parts = [
            ber::integer(self.id.into()),
            ber::integer(self.status),
            ber::integer(self.index),
            ber::constructed(ber::SEQUENCE, &bindings),
        ];
        ber::constructed(self.tag, &parts)
    }

    /// Reads a PDU. Objects from the first one on that cannot be told from the next are left out.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (tag, octets) = reader.any()?;
        let mut parts = Reader::new(octets);
        let id = i32::try_from(parts.integer()?).map_err(|_| Malformed("an id is too large"))?;
        let (status, index) = (parts.integer()?, parts.integer()?);
        let mut list = Reader::new(parts.take(ber::SEQUENCE)?);
        let mut bindings = Vec::new();
        while !list.is_at_the_end() {
            let Ok(octets) = list.take(ber::SEQUENCE) else {
                break;
            };
            let mut pair = Reader::new(octets);
            let Ok(Ok(oid)) = pair.take(ber::OID).map(Oid::decode) else {
                continue;
            };
            let value = match pair.any() {
                Ok((tag, octets)) => Value::read(tag, octets),
                Err(Malformed(rule)) => Value::Malformed(rule),
            };
            bindings.push((oid, value));
        }
        Ok(Self {
            tag,
            id,
            status,
            index,
            bindings,
        })
    }

    /// Returns the message of version 2c.
    pub(super) fn by_community(&self, community: &[u8]) -> Vec<u8> {
        let parts = [
            ber::integer(VERSION_2C),
            ber::value(ber::OCTETS, community),
            self.write(),
        ];
        ber::constructed(ber::SEQUENCE, &parts)
    }

    /// Reads a message of version 2c with this community.
    pub(super) fn of_community(datagram: &[u8], community: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(Reader::new(datagram).take(ber::SEQUENCE)?);
        if reader.integer()? != VERSION_2C {
            return Err(Malformed("it is of another version than 2c"));
        }
        if reader.take(ber::OCTETS)? != community {
            return Err(Malformed("it has another community"));
        }
        Self::read(&mut reader)
    }

    /// Returns the ScopedPDU of version 3.
    pub(super) fn scoped(&self, engine: &[u8], context: &[u8]) -> Vec<u8> {
        let parts = [
            ber::value(ber::OCTETS, engine),
            ber::value(ber::OCTETS, context),
            self.write(),
        ];
        ber::constructed(ber::SEQUENCE, &parts)
    }

    /// Reads a ScopedPDU. What is behind it is the filling of a cipher.
    pub(super) fn of_scoped(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(Reader::new(octets).take(ber::SEQUENCE)?);
        let (_engine, _context) = (reader.take(ber::OCTETS)?, reader.take(ber::OCTETS)?);
        Self::read(&mut reader)
    }
}

/// msgFlags of version 3 (RFC 3412 section 6.4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Flags {
    /// The message is authenticated.
    pub(super) authenticated: bool,
    /// Its ScopedPDU is encrypted.
    pub(super) encrypted: bool,
    /// A Report is wanted where it cannot be answered.
    pub(super) reportable: bool,
}

impl Flags {
    fn octet(self) -> u8 {
        u8::from(self.authenticated)
            | u8::from(self.encrypted) << 1
            | u8::from(self.reportable) << 2
    }

    fn of(octet: u8) -> Self {
        Self {
            authenticated: octet & 1 != 0,
            encrypted: octet & 2 != 0,
            reportable: octet & 4 != 0,
        }
    }
}

/// The parameters of the user-based security model (RFC 3414 section 2.4).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Parameters {
    /// msgAuthoritativeEngineID.
    pub(super) engine: Vec<u8>,
    /// msgAuthoritativeEngineBoots.
    pub(super) boots: u32,
    /// msgAuthoritativeEngineTime, in seconds.
    pub(super) time: u32,
    /// msgUserName.
    pub(super) user: Vec<u8>,
    /// msgAuthenticationParameters.
    pub(super) authentication: Vec<u8>,
    /// msgPrivacyParameters.
    pub(super) privacy: Vec<u8>,
}

/// A message of version 3. Of a reading the ScopedPDU is plain or encrypted, as the flags say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Secured {
    /// msgID.
    pub(super) id: i32,
    /// msgFlags.
    pub(super) flags: Flags,
    /// msgSecurityParameters.
    pub(super) parameters: Parameters,
    /// The ScopedPDU with its tag, or the encrypted octets.
    pub(super) data: Vec<u8>,
}

impl Secured {
    /// Returns the message, with the authentication parameters that it has.
    pub(super) fn write(&self) -> Vec<u8> {
        let header = [
            ber::integer(self.id.into()),
            ber::integer(LONGEST),
            ber::value(ber::OCTETS, &[self.flags.octet()]),
            ber::integer(USM),
        ];
        let own = &self.parameters;
        let parameters = [
            ber::value(ber::OCTETS, &own.engine),
            ber::integer(own.boots.into()),
            ber::integer(own.time.into()),
            ber::value(ber::OCTETS, &own.user),
            ber::value(ber::OCTETS, &own.authentication),
            ber::value(ber::OCTETS, &own.privacy),
        ];
        let data = if self.flags.encrypted {
            ber::value(ber::OCTETS, &self.data)
        } else {
            self.data.clone()
        };
        let parts = [
            ber::integer(VERSION_3),
            ber::constructed(ber::SEQUENCE, &header),
            ber::value(ber::OCTETS, &ber::constructed(ber::SEQUENCE, &parameters)),
            data,
        ];
        ber::constructed(ber::SEQUENCE, &parts)
    }

    /// Reads a message, and returns it with the place of its authentication parameters.
    pub(super) fn read(datagram: &[u8]) -> Result<(Self, usize), Malformed> {
        let mut reader = Reader::new(Reader::new(datagram).take(ber::SEQUENCE)?);
        if reader.integer()? != VERSION_3 {
            return Err(Malformed("it is of another version than 3"));
        }
        let mut header = Reader::new(reader.take(ber::SEQUENCE)?);
        let id = header.integer()?;
        let _longest = header.integer()?;
        let flags = header.take(ber::OCTETS)?;
        if header.integer()? != USM {
            return Err(Malformed(
                "it has another security model than that of users",
            ));
        }
        let octets = reader.take(ber::OCTETS)?;
        let mut own = Reader::new(Reader::new(octets).take(ber::SEQUENCE)?);
        let number = |number: i64| u32::try_from(number).unwrap_or_default();
        let engine = own.take(ber::OCTETS)?.to_vec();
        let (boots, time) = (number(own.integer()?), number(own.integer()?));
        let user = own.take(ber::OCTETS)?.to_vec();
        let authentication = own.take(ber::OCTETS)?;
        let place = authentication.as_ptr().addr() - datagram.as_ptr().addr();
        let privacy = own.take(ber::OCTETS)?.to_vec();
        let flags = Flags::of(flags.first().copied().unwrap_or_default());
        let (tag, octets) = reader.any()?;
        let data = match (flags.encrypted, tag) {
            (true, ber::OCTETS) => octets.to_vec(),
            (false, ber::SEQUENCE) => ber::value(ber::SEQUENCE, octets),
            _ => return Err(Malformed("its flags and its data do not agree")),
        };
        let message = Self {
            id: i32::try_from(id).map_err(|_| Malformed("an id is too large"))?,
            flags,
            parameters: Parameters {
                engine,
                boots,
                time,
                user,
                authentication: authentication.to_vec(),
                privacy,
            },
            data,
        };
        Ok((message, place))
    }
}

#[cfg(test)]
mod tests;
