//! The Internet Printing Protocol on the wire.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use entente_crds::v1alpha1::{IppOperation, IppSyntax, Protocol, SecretKeyReference};
use entente_domain::protocol::{Manner, Place};
use entente_domain::remote::{DeviceReadRequest, DeviceWrite, FailureKind, Scalar, Value};
use entente_domain::secret::{DigestKey, SecretText, Secrets};
use entente_drivers::{DeviceTarget, Drivers};

use super::server::{Arrived, Reply, Server, profile};

/// Returns a response to this request: status, then groups in the form of RFC 8010.
pub(super) fn reply(arrived: &Arrived, status: u16, groups: &[u8]) -> Reply {
    let version = &arrived.body[..2];
    let id = &arrived.body[4..8];
    let body = [version, &status.to_be_bytes(), id, groups, &[3]].concat();
    ("200 OK\r\nContent-Type: application/ipp".to_owned(), body)
}

pub(super) fn value(tag: u8, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![tag];
    for part in [name, value] {
        bytes.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

pub(super) fn group(tag: u8, values: &[Vec<u8>]) -> Vec<u8> {
    [vec![tag], values.concat()].concat()
}

pub(super) fn target(server: &Server) -> DeviceTarget {
    DeviceTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile: profile(Protocol::IPP, None),
        url: format!("ipp://{}/ipp/print", server.address),
        printer_uri: None,
        pinned_certificate: None,
    }
}

pub(super) fn probe() -> DeviceReadRequest {
    let location = Place::ipp(IppOperation::SetPrinterAttributes, "printer-location");
    DeviceReadRequest {
        identity: Place::ipp(IppOperation::SetPrinterAttributes, "printer-uuid"),
        places: BTreeSet::from([location]),
    }
}

fn text(operation: IppOperation, attribute: &str) -> DeviceWrite {
    DeviceWrite {
        place: Place::ipp(operation, attribute),
        manner: Manner::Ipp {
            syntax: IppSyntax::Text,
            operation,
        },
        value: Value::Text("Lobby".to_owned()),
    }
}

pub(super) fn location(operation: IppOperation) -> DeviceWrite {
    text(operation, "printer-location")
}

pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[tokio::test]
async fn a_reading_asks_for_what_is_needed_and_tells_it() {
    let server = Server::start(|arrived| {
        let values = [
            value(0x41, "printer-make-and-model", "NW MFP 500"),
            value(0x45, "printer-uuid", "urn:uuid:1"),
            value(0x41, "printer-location", "Lobby"),
        ];
        reply(arrived, 0, &group(4, &values))
    })
    .await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    let reading = device.observe(&target(&server), &probe()).await.unwrap();
    assert_eq!(reading.product_name.as_deref(), Some("NW MFP 500"));
    assert_eq!(reading.identity.as_deref(), Some("urn:uuid:1"));
    let location = Place::ipp(IppOperation::SetPrinterAttributes, "printer-location");
    assert_eq!(
        reading.values[&location],
        [Scalar::Text("Lobby".to_owned())]
    );

    let arrived = &server.arrived()[0];
    assert_eq!(arrived.line, "POST /ipp/print");
    assert_eq!(arrived.header("content-type"), Some("application/ipp"));
    assert_eq!(arrived.body[..4], [2, 0, 0, 0x0B]);
    let uri = value(0x45, "printer-uri", &target(&server).url);
    assert!(contains(&arrived.body, &uri));
    assert!(contains(
        &arrived.body,
        &value(0x42, "requesting-user-name", "entente")
    ));
    assert!(!contains(&arrived.body, b"all"));
}

// shows K7
#[tokio::test]
async fn a_device_is_asked_by_the_uri_that_it_expects_at_the_url_that_is_dialled() {
    let server = Server::start(|arrived| {
        let location = group(4, &[value(0x41, "printer-location", "Lobby")]);
        reply(arrived, 0, &location)
    })
    .await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    let expected = "ipp://mfp.local:60000/ipp/print";
    let target = DeviceTarget {
        printer_uri: Some(expected.to_owned()),
        ..target(&server)
    };
    device.observe(&target, &of_system()).await.unwrap();
    let write = location(IppOperation::SetPrinterAttributes);
    device.apply(&target, &write).await.unwrap();
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 3);
    for (arrived, printer) in arrived.iter().zip([true, false, true]) {
        let stands = contains(&arrived.body, &value(0x45, "printer-uri", expected));
        assert_eq!(stands, printer, "{}", arrived.line);
        let dialled = server.address.to_string();
        assert_eq!(arrived.header("host"), Some(dialled.as_str()));
    }
    let system = format!("ipp://{}/ipp/system", server.address);
    let system = value(0x45, "system-uri", &system);
    assert!(contains(&arrived[1].body, &system), "the host has its own");
}

#[tokio::test]
async fn each_operation_has_its_code_and_sets_what_it_is_given() {
    let server = Server::start(|arrived| reply(arrived, 0, &[])).await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    for operation in [
        IppOperation::SetPrinterAttributes,
        IppOperation::CupsAddModifyPrinter,
    ] {
        device
            .apply(&target(&server), &location(operation))
            .await
            .unwrap();
    }
    let arrived = server.arrived();
    assert_eq!(arrived[0].body[2..4], [0x00, 0x13]);
    assert_eq!(arrived[1].body[2..4], [0x40, 0x03]);
    let set = group(4, &[value(0x41, "printer-location", "Lobby")]);
    assert!(contains(&arrived[0].body, &set) && contains(&arrived[1].body, &set));
}

fn system_place() -> Place {
    Place::ipp(IppOperation::SetSystemAttributes, "system-location")
}

fn of_system() -> DeviceReadRequest {
    let mut request = probe();
    request.places.insert(system_place());
    request
}

/// Set-System-Attributes of the system's location.
fn system_location() -> DeviceWrite {
    text(IppOperation::SetSystemAttributes, "system-location")
}

// shows D1
#[tokio::test]
async fn what_belongs_to_the_host_is_read_from_its_system_and_set_there() {
    let server = Server::start(|arrived| {
        let attributes = match arrived.body[3] {
            0x5B => group(10, &[value(0x41, "system-location", "Hall")]),
            _ => group(4, &[value(0x41, "printer-location", "Lobby")]),
        };
        reply(arrived, 0, &attributes)
    })
    .await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    let target = target(&server);
    let reading = device.observe(&target, &of_system()).await.unwrap();
    let hall = vec![Scalar::Text("Hall".to_owned())];
    assert_eq!(reading.values.len(), 2, "that of the printer, too");
    assert_eq!(reading.values[&system_place()], hall);
    device.apply(&target, &system_location()).await.unwrap();
    // A target that needs no attribute of the system does not ask it.
    device.observe(&target, &probe()).await.unwrap();

    let asked: Vec<(String, [u8; 2])> = server
        .arrived()
        .iter()
        .map(|arrived| (arrived.line.clone(), [arrived.body[2], arrived.body[3]]))
        .collect();
    let (printer, system) = ("POST /ipp/print", "POST /ipp/system");
    assert_eq!(
        asked,
        [
            (printer.to_owned(), [0, 0x0B]),
            (system.to_owned(), [0, 0x5B]),
            (system.to_owned(), [0, 0x62]),
            (printer.to_owned(), [0, 0x0B]),
        ]
    );
    let set = &server.arrived()[2].body;
    let uri = format!("ipp://{}/ipp/system", server.address);
    assert!(contains(set, &value(0x45, "system-uri", &uri)));
    assert!(contains(
        set,
        &group(10, &[value(0x41, "system-location", "Lobby")])
    ));
}

#[tokio::test]
async fn a_host_without_a_system_has_none_of_its_attributes_and_is_read_all_the_same() {
    for absence in ["404 Not Found", "0x0406", "0x0501"] {
        let server = Server::start(move |arrived| {
            let status = match (arrived.line.contains("/ipp/system"), absence) {
                (false, _) => 0,
                (true, "0x0406") => 0x0406,
                (true, "0x0501") => 0x0501,
                (true, head) => return (head.to_owned(), b"<html>".to_vec()),
            };
            let location = group(4, &[value(0x41, "printer-location", "Lobby")]);
            reply(arrived, status, &location)
        })
        .await;
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let target = target(&server);
        let reading = device.observe(&target, &of_system()).await.unwrap();
        assert_eq!(reading.values.len(), 1, "{absence}");
        assert!(!reading.values.contains_key(&system_place()), "{absence}");
        let refused = device.apply(&target, &system_location()).await.unwrap_err();
        assert_eq!(
            (refused.kind, refused.doubtful),
            (FailureKind::Unsupported, false),
            "{absence} {refused:?}"
        );
    }
}

// shows B7
#[tokio::test]
async fn success_with_our_attribute_in_the_unsupported_group_is_a_refusal() {
    let server = Server::start(|arrived| {
        reply(
            arrived,
            0,
            &group(5, &[value(0x15, "printer-location", "")]),
        )
    })
    .await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    let write = location(IppOperation::SetPrinterAttributes);
    let failure = device.apply(&target(&server), &write).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RejectedNotSettable);
    assert_eq!(failure.message, "successful-ok (printer-location)");
}

#[tokio::test]
async fn http_speaks_before_ipp_does() {
    for (head, kind, doubtful) in [
        ("401 Unauthorized", FailureKind::Unauthorized, false),
        ("403 Forbidden", FailureKind::Unauthorized, false),
        ("503 Busy\r\nRetry-After: 9", FailureKind::Busy, false),
        ("404 Not Found", FailureKind::ProtocolError, false),
        ("500 Oops", FailureKind::ProtocolError, true),
        ("200 OK", FailureKind::ProtocolError, true),
    ] {
        let server = Server::start(move |_| (head.to_owned(), b"<html>".to_vec())).await;
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let write = location(IppOperation::SetPrinterAttributes);
        let failure = device.apply(&target(&server), &write).await.unwrap_err();
        assert_eq!((failure.kind, failure.doubtful), (kind, doubtful), "{head}");
        assert!(!failure.message.contains("html"), "{failure:?}");
        let wish = head
            .contains("Retry-After")
            .then(|| jiff::SignedDuration::from_secs(9));
        assert_eq!(failure.retry_after, wish, "{head}");
    }
}

// shows K5
#[tokio::test]
async fn a_device_that_asks_for_a_wait_is_asked_once_by_whatever_it_says_so() {
    let ninety = Some(jiff::SignedDuration::from_secs(90));
    for head in ["500 Oops", "400 Bad Request", "503 Busy", "200 OK"] {
        let arrivals = Arc::new(AtomicUsize::new(0));
        let counted = arrivals.clone();
        let server = Server::start(move |arrived| {
            counted.fetch_add(1, Ordering::Relaxed);
            // server-error-busy, or a status that says nothing of HTTP.
            let (_, body) = reply(arrived, 0x0507, &[]);
            (format!("{head}\r\nRetry-After: 89.2"), body)
        })
        .await;
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let failure = device.observe(&target(&server), &probe()).await;
        assert_eq!(failure.unwrap_err().retry_after, ninety, "{head}");
        assert_eq!(arrivals.load(Ordering::Relaxed), 1, "{head}");
    }
}

#[tokio::test]
async fn what_does_not_fit_its_syntax_is_refused_and_not_sent() {
    let server = Server::start(|arrived| reply(arrived, 0, &[])).await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    let mut write = location(IppOperation::SetPrinterAttributes);
    write.manner = Manner::Ipp {
        syntax: IppSyntax::Integer,
        operation: IppOperation::SetPrinterAttributes,
    };
    let failure = device.apply(&target(&server), &write).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.doubtful),
        (FailureKind::RejectedValue, false)
    );
    assert!(server.arrived().is_empty());
}

// shows K7
#[tokio::test]
async fn an_attribute_that_nobody_asked_for_loses_no_device_whatever_it_is() {
    // A text with language whose length is larger than its octets: the ipp crate panics.
    let broken = [
        &[0x35, 0, 1][..],
        b"x",
        &[0, 6, 0, 2, 0x65, 0x6e, 0x7f, 0xff],
    ];
    let values = [
        broken.concat(),
        value(0x41, "printer-make-and-model", "NW MFP 500"),
        value(0x45, "printer-uuid", "urn:uuid:1"),
        value(0x41, "printer-location", "Lobby"),
    ];
    let groups = group(4, &values);
    let server = Server::start(move |arrived| reply(arrived, 0, &groups)).await;
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::IPP).unwrap();
    let target = target(&server);
    let reading = driver.observe(&target, &probe()).await.unwrap();
    assert_eq!(reading.identity.as_deref(), Some("urn:uuid:1"));
    let lobby = vec![Scalar::Text("Lobby".to_owned())];
    assert_eq!(reading.values.into_values().collect::<Vec<_>>(), [lobby]);
    let write = location(IppOperation::SetPrinterAttributes);
    driver.apply(&target, &write).await.unwrap();
}

// shows K4
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_returns_all_its_attributes_is_read_up_to_256_kib() {
    for (kib, is_read) in [(200, true), (300, false)] {
        let unasked = value(0x41, "printer-more", &"x".repeat(1007));
        assert_eq!(unasked.len(), 1024);
        let mut values = vec![unasked; kib];
        values.push(value(0x41, "printer-make-and-model", "NW MFP 500"));
        values.push(value(0x41, "printer-location", "Lobby"));
        let groups = group(4, &values);
        let server = Server::start(move |arrived| reply(arrived, 0, &groups)).await;
        let drivers = Drivers::real();
        let driver = drivers.device(Protocol::IPP).unwrap();
        let read = driver.observe(&target(&server), &probe()).await;
        match read {
            Ok(reading) => assert_eq!((reading.values.len(), is_read), (1, true)),
            Err(failure) => {
                let told = (failure.kind, &failure.message[..]);
                let long = "the answer is longer than 256 KiB";
                assert_eq!(told, (FailureKind::ProtocolError, long));
                assert!(!is_read);
            }
        }
    }
}

// shows K4
#[tokio::test]
async fn a_value_with_a_secret_in_it_is_read_as_it_is_and_marked_as_private() {
    let server = Server::start(|arrived| {
        let values = [
            value(0x41, "printer-make-and-model", "NW MFP 500"),
            value(0x41, "printer-location", "Lobby, open sesame"),
        ];
        reply(arrived, 0, &group(4, &values))
    })
    .await;
    let reference = SecretKeyReference {
        name: "scan".to_owned(),
        key: "password".to_owned(),
    };
    let secret = SecretText::new("open sesame".to_owned(), &DigestKey::new(b"own".to_vec()));
    let target = DeviceTarget {
        secrets: Secrets([(reference, Ok(secret))].into()),
        ..target(&server)
    };
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    let reading = device.observe(&target, &probe()).await.unwrap();
    let location = Place::ipp(IppOperation::SetPrinterAttributes, "printer-location");
    assert_eq!(
        reading.values[&location],
        [Scalar::Text("Lobby, open sesame".to_owned())]
    );
    assert_eq!(reading.private, [location].into());
}

// shows K4
#[tokio::test]
async fn an_identity_that_echoes_a_secret_is_none_and_a_uuid_with_a_short_one_is_kept() {
    const UUID: &str = "urn:uuid:4509a320-00a0-008f-00b6-00559a327d32";
    for (secret, identity, is_kept) in [
        ("open sesame", "machine open sesame 7", false),
        ("open sesame", "machine 7", true),
        ("32", UUID, true),
        ("4509", UUID, true),
        ("4509a320-00a0", UUID, false),
    ] {
        let server = Server::start(move |arrived| {
            let values = [
                value(0x41, "printer-make-and-model", "NW MFP 500"),
                value(0x45, "printer-uuid", identity),
            ];
            reply(arrived, 0, &group(4, &values))
        })
        .await;
        let reference = SecretKeyReference {
            name: "scan".to_owned(),
            key: "password".to_owned(),
        };
        let text = SecretText::new(secret.to_owned(), &DigestKey::new(b"own".to_vec()));
        let target = DeviceTarget {
            secrets: Secrets([(reference, Ok(text))].into()),
            ..target(&server)
        };
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let reading = device.observe(&target, &probe()).await.unwrap();
        let found = reading.identity.as_deref();
        assert_eq!(found, is_kept.then_some(identity), "{secret} in {identity}");
    }
}

// shows K5
#[tokio::test]
async fn an_error_of_more_than_a_mebibyte_keeps_its_status() {
    for (status, kind, doubtful) in [
        ("401 Unauthorized", FailureKind::Unauthorized, false),
        ("503 Service Unavailable", FailureKind::Busy, false),
        (
            "500 Internal Server Error",
            FailureKind::ProtocolError,
            true,
        ),
    ] {
        let server = Server::start(move |_| (status.to_owned(), vec![b'x'; 1_100_000])).await;
        let drivers = Drivers::real();
        let driver = drivers.device(Protocol::IPP).unwrap();
        let write = text(IppOperation::SetPrinterAttributes, "printer-location");
        let failure = driver.apply(&target(&server), &write).await.unwrap_err();
        assert_eq!((failure.kind, failure.doubtful), (kind, doubtful));
        let code = &status[..3];
        assert!(failure.message.contains(code), "{}", failure.message);
    }
}
