//! Every odd printer of the zoo, judged by what the driver makes of it.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{IppOperation, IppSyntax, Protocol};
use entente_domain::identity::Identity;
use entente_domain::protocol::{Manner, Place};
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, Failure, Scalar, Value,
};
use entente_drivers::{DeviceDriver, DeviceTarget, Drivers};
use entente_simulators::odd::{self, Answer, NUMBER, Odd, On, TEXT, Truth, Verdict};

use super::server::{Arrived, Server, profile};

const SET: IppOperation = IppOperation::SetPrinterAttributes;
const MODEL: &str = "NW MFP 500";
const UUID: &str = "urn:uuid:3c5e8a10-7b1d-8f00-9a2b-4d6e8f0a1b2c";

fn place(attribute: &str) -> Place {
    Place::ipp(SET, attribute)
}

fn request() -> DeviceReadRequest {
    DeviceReadRequest {
        identity: place("printer-uuid"),
        places: BTreeSet::from([TEXT, NUMBER].map(place)),
    }
}

/// Returns the values of a sane printer.
fn sane() -> BTreeMap<Place, Vec<Scalar>> {
    BTreeMap::from([
        (place(TEXT), vec![Scalar::Text("all".to_owned())]),
        (place(NUMBER), vec![Scalar::Integer(15)]),
    ])
}

fn wire(tag: u8, name: &str, value: &[u8]) -> (String, Vec<u8>) {
    let mut octets = vec![tag];
    for part in [name.as_bytes(), value] {
        octets.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        octets.extend(part);
    }
    (name.to_owned(), octets)
}

/// Returns the octets of the answer of an odd printer with the values of a sane one.
fn answer(row: &Odd, arrived: &Arrived) -> Vec<u8> {
    let asked = [
        wire(0x41, "printer-make-and-model", MODEL.as_bytes()),
        wire(0x45, "printer-uuid", UUID.as_bytes()),
        wire(0x21, NUMBER, &15_i32.to_be_bytes()),
        wire(0x42, TEXT, b"all"),
    ];
    let truth = Truth {
        version: arrived.body[..2].try_into().unwrap(),
        id: i32::from_be_bytes(arrived.body[4..8].try_into().unwrap()),
        asked: &asked,
    };
    row.sent(&truth).into_octets()
}

/// Returns the digits of a UUID, however it is spelled.
/// Returns the identity as the operator spells it; `None` if what was read is none.
fn identity(reading: &DeviceReading) -> Option<Identity> {
    Identity::of(reading.identity.as_deref()?)
}

fn is_itself(reading: &DeviceReading) -> bool {
    let product = reading.product_name.as_deref().map(str::trim);
    identity(reading) == Identity::of(UUID) && product == Some(MODEL)
}

fn is_kind(failure: &Failure, word: &str) -> bool {
    // A text of the device is cut, and a page is none of its words.
    let is_short = failure.message.len() < 512 && !failure.message.contains("html");
    is_short && format!("{:?}", failure.kind) == word
}

/// True if a reading has the problem of one setting, and of no other.
fn is_problem_of(reading: &DeviceReading, name: &str, reason: &str) -> bool {
    let (mut sane, mut found) = (sane(), reading.values.clone());
    let (wanted, odd) = (sane.remove(&place(name)), found.remove(&place(name)));
    let is_malformed = matches!(odd.as_deref(), Some([Scalar::Malformed(_)]));
    found == sane && odd != wanted && is_malformed == (reason == "ProtocolError")
}

async fn judge(driver: &dyn DeviceDriver, row: &'static Odd) -> Result<(), String> {
    let server = Server::start_raw(move |arrived| answer(row, arrived)).await;
    let target = DeviceTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile: profile(Protocol::IPP, None),
        url: format!("ipp://{}/ipp/print", server.address),
        printer_uri: None,
        pinned_certificate: None,
    };
    if row.on == On::Write {
        let write = DeviceWrite {
            place: place(TEXT),
            manner: Manner::Ipp {
                syntax: IppSyntax::Name,
                operation: SET,
            },
            value: Value::Text("all".to_owned()),
        };
        let written = driver.apply(&target, &write).await;
        let is_right = match (&written, row.verdict) {
            (Ok(()), Verdict::Taken) => true,
            (Err(failure), Verdict::Refused(word)) => is_kind(failure, word),
            _ => false,
        };
        return is_right.then_some(()).ok_or_else(|| format!("{written:?}"));
    }
    let read = driver.observe(&target, &request()).await;
    let is_right = match (&read, row.verdict) {
        (Ok(reading), Verdict::Well) => is_itself(reading) && reading.values == sane(),
        (Ok(reading), Verdict::Item(name, reason)) => {
            is_itself(reading) && is_problem_of(reading, name, reason)
        }
        (Ok(reading), Verdict::Hollow) => !is_itself(reading) && !is_another(reading),
        (Ok(reading), Verdict::Mismatch) => is_another(reading),
        (Err(failure), Verdict::Device(word)) => is_kind(failure, word) && !failure.doubtful,
        _ => false,
    };
    if !is_right {
        return Err(format!("{read:?}"));
    }
    if let Answer::ByVersion(..) = row.answer {
        driver.observe(&target, &request()).await.ok();
        let arrived = server.arrived();
        let versions: Vec<u8> = arrived.iter().map(|arrived| arrived.body[0]).collect();
        if versions != [2, 1, 1] {
            return Err(format!("asked by versions {versions:?}"));
        }
    }
    Ok(())
}

fn is_another(reading: &DeviceReading) -> bool {
    let identity = identity(reading);
    identity.is_some() && identity != Identity::of(UUID)
}

// shows K7
#[tokio::test]
async fn every_odd_printer_gets_the_right_verdict() {
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::IPP).unwrap();
    let mut wrong = BTreeMap::new();
    for row in odd::rows() {
        if let Err(found) = judge(driver, row).await {
            wrong.insert(row.name, format!("not {:?}: {found}", row.verdict));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
