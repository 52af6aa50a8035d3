//! Versions of IPP on the wire: when a device is asked again by 1.1.

use entente_crds::v1alpha1::{IppOperation, Protocol};
use entente_domain::remote::FailureKind;
use entente_drivers::Drivers;

use super::ipp::{location, probe, reply, target};
use super::server::{Arrived, Reply, Server};

#[tokio::test]
async fn a_device_of_version_1_1_is_asked_again_once_and_then_remembered() {
    let server = Server::start(|arrived| {
        let status = if arrived.body[0] == 2 { 0x0503 } else { 0 };
        reply(arrived, status, &[4])
    })
    .await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    for _ in 0..2 {
        device.observe(&target(&server), &probe()).await.unwrap();
    }
    assert_eq!(versions(&server), [2, 1, 1]);
}

/// Returns the major version of every request.
fn versions(server: &Server) -> Vec<u8> {
    let arrived = server.arrived();
    arrived.iter().map(|arrived| arrived.body[0]).collect()
}

/// Returns the answer of a device that does not know version 2.0 and says it in some way.
fn unclear(arrived: &Arrived, way: &str) -> Reply {
    let body = match way {
        "success without a printer" => return reply(arrived, 0, &[]),
        "0x0400" => return reply(arrived, 0x0400, &[]),
        "no header" => b"IPP?".to_vec(),
        "version 0.0 and id 0" => vec![0, 0, 5, 3, 0, 0, 0, 0],
        head => return (head.to_owned(), Vec::new()),
    };
    ("200 OK".to_owned(), body)
}

const UNCLEAR: [&str; 8] = [
    "400 Bad Request",
    "500 Internal Server Error",
    "505 HTTP Version Not Supported",
    "",
    "0x0400",
    "no header",
    "version 0.0 and id 0",
    "success without a printer",
];

#[tokio::test]
async fn a_reading_whose_answer_says_nothing_is_tried_by_version_1_1_and_that_is_remembered() {
    for way in UNCLEAR {
        let server = Server::start(move |arrived| match arrived.body[0] {
            2 => unclear(arrived, way),
            _ => reply(arrived, 0, &[4]),
        })
        .await;
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let target = target(&server);
        for _ in 0..2 {
            device.observe(&target, &probe()).await.expect(way);
        }
        let write = location(IppOperation::SetPrinterAttributes);
        device.apply(&target, &write).await.expect(way);
        assert_eq!(versions(&server), [2, 1, 1, 1], "{way}");
    }
}

#[tokio::test]
async fn a_device_that_says_nothing_by_either_version_is_not_remembered_as_an_old_one() {
    for way in UNCLEAR {
        let server = Server::start(move |arrived| unclear(arrived, way)).await;
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let target = target(&server);
        for _ in 0..2 {
            let failure = device.observe(&target, &probe()).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.doubtful),
                (FailureKind::ProtocolError, false),
                "{way}"
            );
        }
        assert_eq!(versions(&server), [2, 1, 2, 1], "{way}");
    }
}

#[tokio::test]
async fn a_write_is_sent_again_only_if_its_version_was_refused() {
    for way in UNCLEAR {
        let server = Server::start(move |arrived| unclear(arrived, way)).await;
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let write = location(IppOperation::SetPrinterAttributes);
        let written = device.apply(&target(&server), &write).await;
        let is_refused = way.starts_with("version");
        let expected = if is_refused { &[2, 1][..] } else { &[2] };
        assert_eq!(versions(&server), expected, "{way} {written:?}");
    }
}

#[tokio::test]
async fn a_definite_refusal_is_not_asked_for_twice() {
    for head in ["401 No", "403 No", "404 No", "426 No", "429 No", "503 No"] {
        let server = Server::start(move |_| (head.to_owned(), Vec::new())).await;
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let read = device.observe(&target(&server), &probe()).await;
        read.unwrap_err();
        assert_eq!(versions(&server), [2], "{head}");
    }
}

#[tokio::test]
async fn a_device_of_neither_version_is_asked_twice_and_no_more() {
    let server = Server::start(|arrived| reply(arrived, 0x0503, &[])).await;
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    let failure = device
        .observe(&target(&server), &probe())
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProtocolError);
    assert_eq!(failure.message, "server-error-version-not-supported");
    assert_eq!(server.arrived().len(), 2);
}
