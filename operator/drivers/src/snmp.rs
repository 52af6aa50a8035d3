//! Devices with an SNMP agent (RFC 3411 to 3418), mostly with the Printer MIB (RFC 3805).
//!
//! One look is some requests, one after another, over one line of datagrams. Version 3 is always
//! authenticated and encrypted; by version 2c nothing is ever written. Reads only the objects that are
//! needed, sets only the given value, and never takes a success for an effect: that is shown by the
//! next reading. Listens for no traps.

mod ber;
mod charset;
mod engines;
mod exchange;
mod message;
mod names;
mod oid;
mod printer;
mod refusal;
mod tree;
mod usm;

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use entente_crds::v1alpha1::{SnmpType, SnmpVersion};
use entente_domain::protocol::Place;
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, DisplayRequest, Failure, FailureKind, Scalar,
    StatusReport, Value as Wanted,
};
use entente_domain::secret::Redactions;
use url::Url;

use crate::device::{DeviceDriver, DeviceTarget};
use crate::text::{PrivateTexts, is_an_echo};
use crate::transport::Transport;
use charset::CharacterSet;
use engines::Engines;
use exchange::Exchange;
use message::{Pdu, SET, Value};
use oid::Oid;
use printer::Printer;
use tree::Objects;

/// sysDescr.
const SYSTEM_DESCRIPTION: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 1, 0];
/// hrDeviceDescr of the first device.
const DEVICE_DESCRIPTION: [u32; 12] = [1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 3, 1];

/// The driver. One for a process.
pub struct SnmpDriver {
    transport: Arc<Transport>,
    engines: Engines,
}

impl SnmpDriver {
    /// Makes a driver. Sends nothing by itself.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self {
            transport,
            engines: Engines::default(),
        }
    }

    async fn exchange<'a>(&'a self, target: &'a DeviceTarget) -> Result<Exchange<'a>, Failure> {
        let url = Url::parse(&target.url)
            .map_err(|_| Failure::new(FailureKind::Unreachable, "the URL is not an snmp URL"))?;
        let line = self.transport.line(&target.profile, &url).await?;
        Exchange::new(&target.profile, &target.url, line, &self.engines)
    }

    /// Sets objects by one request.
    async fn set(exchange: &mut Exchange<'_>, bindings: Vec<(Oid, Value)>) -> Result<(), Failure> {
        let request = |_| Pdu::new(SET, bindings.clone());
        let (answer, _) = exchange.ask(&request, true).await?;
        if answer.status != 0 {
            return Err(refusal::of_status(answer.status, true));
        }
        // Some agents say so in place of a status.
        let is_missing = |(_, value): &(Oid, Value)| *value == Value::Missing;
        if answer.bindings.iter().any(is_missing) {
            return Err(Failure::new(
                FailureKind::Unsupported,
                "the device has no such object",
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl DeviceDriver for SnmpDriver {
    async fn observe(
        &self,
        target: &DeviceTarget,
        request: &DeviceReadRequest,
    ) -> Result<DeviceReading, Failure> {
        let own = object(&request.identity)?;
        let products = [&DEVICE_DESCRIPTION[..], &SYSTEM_DESCRIPTION].map(Oid::of);
        let places = request.places.iter();
        // A model may name places of other protocols, too.
        let places: Vec<(&Place, Oid)> = places
            .filter_map(|place| Some((place, object(place).ok()?)))
            .collect();
        let mut asked = vec![own.clone()];
        asked.extend(products.clone());
        asked.extend(places.iter().map(|(_, oid)| oid.clone()));
        asked.sort();
        asked.dedup();
        let mut exchange = self.exchange(target).await?;
        // The name of the product is only shown.
        let is_needed = |oid: &&Oid| **oid == own || places.iter().any(|(_, it)| it == *oid);
        let spare: Vec<Oid> = asked.iter().filter(|it| !is_needed(it)).cloned().collect();
        let found = tree::get(&mut exchange, &asked, &spare).await?;

        let redactions = private(target).redactions();
        let product = products.iter().find_map(|oid| text(&found, oid));
        let mut reading = DeviceReading {
            product_name: product.map(|product| redactions.hide(&product)),
            identity: identity(&found, &own, &redactions),
            ..DeviceReading::default()
        };
        for (place, oid) in places {
            let (Some(value), Some((_, syntax))) = (found.get(&oid), place.as_snmp()) else {
                continue;
            };
            let value = scalar(value, syntax);
            if let Scalar::Text(text) | Scalar::Other(text) = &value
                && redactions.hide(text) != *text
            {
                reading.private.insert(place.clone());
            }
            reading.values.insert(place.clone(), vec![value]);
        }
        Ok(reading)
    }

    async fn apply(&self, target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure> {
        must_write(target)?;
        let oid = object(&write.place)?;
        let (_, syntax) = write.place.as_snmp().ok_or_else(no_snmp)?;
        let value = written(&write.value, syntax)?;
        let mut exchange = self.exchange(target).await?;
        Self::set(&mut exchange, vec![(oid, value)]).await
    }

    async fn status(&self, target: &DeviceTarget, place: &Place) -> Result<StatusReport, Failure> {
        let own = object(place)?;
        let mut exchange = self.exchange(target).await?;
        let mut found = tree::get(&mut exchange, std::slice::from_ref(&own), &[]).await?;
        let redactions = private(target).redactions();
        let identity = identity(&found, &own, &redactions);
        let mut is_cut = false;
        for part in printer::trees() {
            let walked = tree::walk(&mut exchange, &part).await?;
            if printer::tells_of_errors(&part) {
                if let Some(refusal) = walked.refusal {
                    return Err(refusal);
                }
                is_cut |= walked.is_cut;
            }
            if !(walked.is_cut && printer::is_supplies(&part)) {
                found.extend(walked.objects);
            }
        }
        let report = Printer::of(&found).report(&redactions);
        Ok(StatusReport {
            identity,
            is_partial: is_cut || report.is_partial,
            ..report
        })
    }

    async fn display(
        &self,
        target: &DeviceTarget,
        request: &DisplayRequest,
    ) -> Result<(), Failure> {
        must_write(target)?;
        let mut exchange = self.exchange(target).await?;
        let mut found = Objects::new();
        for part in printer::trees_of_the_panel() {
            found.extend(tree::walk(&mut exchange, &part).await?.objects);
        }
        let printer = Printer::of(&found);
        let bindings = lines(&printer, request)?;
        Self::set(&mut exchange, bindings).await
    }
}

/// Returns the objects of a panel that get lines.
fn lines(printer: &Printer<'_>, request: &DisplayRequest) -> Result<Vec<(Oid, Value)>, Failure> {
    let own = printer.panel_lines();
    if own.is_empty() {
        return Err(Failure::new(
            FailureKind::Unsupported,
            "the device tells of no panel (prtConsoleDisplayBufferText)",
        ));
    }
    if own.len() < request.lines.len() {
        let message = format!(
            "the panel of the device has {} lines, and {} are to be shown",
            own.len(),
            request.lines.len()
        );
        return Err(Failure::new(FailureKind::RejectedValue, message));
    }
    let set = printer.panel_set();
    let lines = own.into_iter().zip(&request.lines);
    let written = lines.map(|((oid, _), line)| {
        let octets = set.write(line).ok_or_else(|| {
            Failure::new(
                FailureKind::RejectedValue,
                "the character set of the panel lacks a character of the text",
            )
        })?;
        Ok((oid, Value::Octets(octets)))
    });
    written.collect()
}

/// Refuses to write by a version that sends its login in clear text.
fn must_write(target: &DeviceTarget) -> Result<(), Failure> {
    match target.profile.snmp_version {
        SnmpVersion::V3 => Ok(()),
        SnmpVersion::V2C => Err(Failure::new(
            FailureKind::Unsupported,
            "nothing is written by SNMP version 2c: the Connection has snmp.version V2C",
        )),
    }
}

/// Returns the object at a place.
fn object(place: &Place) -> Result<Oid, Failure> {
    let (oid, _) = place.as_snmp().ok_or_else(no_snmp)?;
    Oid::parse(oid).ok_or_else(|| {
        Failure::new(
            FailureKind::Unsupported,
            "the DeviceModel names an object by something that is no OID",
        )
    })
}

/// Returns the failure of a request that is not for this protocol: nothing was sent.
fn no_snmp() -> Failure {
    Failure::new(
        FailureKind::Unsupported,
        "the setting is not one that SNMP can carry",
    )
}

fn private(target: &DeviceTarget) -> PrivateTexts<'_> {
    PrivateTexts {
        credentials: target.profile.credentials.as_ref(),
        token: None,
        url: &target.url,
        secrets: Some(&target.secrets),
    }
}

/// Returns a text of an object, of any character set; `None` if it has none.
fn text(found: &Objects, oid: &Oid) -> Option<String> {
    let text = CharacterSet::default().read(found.get(oid)?.octets()?);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the identity that an object has; `None` for one with a secret in it.
fn identity(found: &Objects, oid: &Oid, redactions: &Redactions) -> Option<String> {
    let identity = match found.get(oid)? {
        Value::Octets(octets) if !octets.is_empty() && str::from_utf8(octets).is_err() => {
            // Such as a MAC address.
            hex::encode(octets)
        }
        Value::Integer(number) => number.to_string(),
        _ => text(found, oid)?,
    };
    (!is_an_echo(&identity, redactions)).then_some(identity)
}

/// Returns a value as the domain compares it.
fn scalar(value: &Value, syntax: SnmpType) -> Scalar {
    match value {
        Value::Octets(octets) => match str::from_utf8(octets) {
            Ok(text) => Scalar::Text(text.to_owned()),
            Err(_) => Scalar::Malformed("not UTF-8".to_owned()),
        },
        Value::Integer(number) if syntax == SnmpType::TruthValue => match number {
            1 => Scalar::Boolean(true),
            2 => Scalar::Boolean(false),
            _ => Scalar::Malformed(format!("{number} where a TruthValue is 1 or 2")),
        },
        Value::Integer(_) | Value::Counter(_) | Value::Gauge(_) | Value::Ticks(_) => {
            match value.number() {
                Some(number) => Scalar::Integer(number),
                None => Scalar::Malformed("a number that is too large".to_owned()),
            }
        }
        Value::Address(address) => Scalar::Text(address.to_string()),
        Value::Name(oid) => Scalar::Other(oid.to_string()),
        Value::Null => Scalar::Other("NULL".to_owned()),
        Value::Missing | Value::EndOfView => Scalar::Other("missing".to_owned()),
        Value::Malformed(rule) => Scalar::Malformed((*rule).to_owned()),
    }
}

/// Returns a wanted value in the syntax of its object.
fn written(wanted: &Wanted, syntax: SnmpType) -> Result<Value, Failure> {
    let refused = |allowed: &str| Failure::new(FailureKind::RejectedValue, allowed.to_owned());
    let unsigned = |number: &i64| {
        let fits = u32::try_from(*number).is_ok();
        let number = u64::try_from(*number).unwrap_or_default();
        fits.then_some(number)
            .ok_or_else(|| refused("the number must be from 0 to 4294967295"))
    };
    Ok(match (syntax, wanted) {
        (SnmpType::OctetString, Wanted::Text(text)) => Value::Octets(text.as_bytes().to_vec()),
        (SnmpType::OctetString, Wanted::Secret(secret)) => {
            Value::Octets(secret.expose().as_bytes().to_vec())
        }
        (SnmpType::IpAddress, Wanted::Text(text)) => {
            let address: Result<Ipv4Addr, _> = text.parse();
            Value::Address(
                address
                    .map_err(|_| refused("the value must be an IPv4 address such as 10.20.3.4"))?,
            )
        }
        (SnmpType::Integer32, Wanted::Integer(number)) => {
            if i32::try_from(*number).is_err() {
                return Err(refused("the number must be from -2147483648 to 2147483647"));
            }
            Value::Integer(*number)
        }
        (SnmpType::Gauge32, Wanted::Integer(number)) => Value::Gauge(unsigned(number)?),
        (SnmpType::TimeTicks, Wanted::Integer(number)) => Value::Ticks(unsigned(number)?),
        (SnmpType::TruthValue, Wanted::Boolean(truth)) => {
            Value::Integer(if *truth { 1 } else { 2 })
        }
        _ => return Err(no_snmp()),
    })
}

#[cfg(test)]
mod tests;
