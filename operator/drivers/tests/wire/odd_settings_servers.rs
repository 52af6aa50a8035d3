//! Servers and devices that tell of settings in odd ways, as public reports have them: each row is one
//! report, with what it must not be taken for.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::Protocol;
use entente_domain::protocol::{Manner, Place};
use entente_domain::remote::{
    AskedState, DeviceReadRequest, DeviceReading, DeviceWrite, FailureKind, Scalar, Value,
};
use entente_domain::secret::Secrets;
use entente_drivers::{DeviceTarget, Drivers};
use serde_json::{Value as Json, json};

use super::server::{Arrived, Reply, Server, profile};

const MODE: &str = "/settings/mode";

fn place(path: &str) -> Place {
    Place::Http {
        path: path.to_owned(),
    }
}

fn target(server: &Server, serial_number: &str) -> DeviceTarget {
    DeviceTarget {
        profile: profile(Protocol::HTTP, None),
        url: format!("http://{}/v1/devices/{serial_number}", server.address),
        printer_uri: None,
        pinned_certificate: None,
        secrets: Secrets::default(),
    }
}

/// Returns a document in which `new` is wanted and `old` was reported, each with its version.
fn document(wanted: &str, reported: &str) -> Json {
    json!({
        "serialNumber": "A1",
        "desired": {"version": wanted, "settings": {"mode": "new"}},
        "reported": {
            "version": reported, "at": "2027-03-01T00:00:00Z",
            "productName": "NW MFP 500", "settings": {"mode": "old"},
        },
    })
}

fn ok(headers: &str, body: &Json) -> Reply {
    let head = format!("200 OK\r\nContent-Type: application/json{headers}");
    (head, body.to_string().into_bytes())
}

async fn reading(document: Json) -> DeviceReading {
    let server = Server::start(move |_| ok("", &document)).await;
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::HTTP).unwrap();
    let request = DeviceReadRequest {
        identity: place("/uuid"),
        places: BTreeSet::from([place(MODE)]),
    };
    driver
        .observe(&target(&server, "A1"), &request)
        .await
        .unwrap()
}

/// Returns the value that is proved, and the state of the wish for `new`; `None` where there is none.
fn told(reading: &DeviceReading) -> (Option<String>, Option<AskedState>) {
    let proved = reading.proof(&place(MODE)).map(|values| match values {
        [Scalar::Text(text)] => text.clone(),
        other => format!("{other:?}"),
    });
    let wish = Value::Text("new".to_owned());
    (proved, reading.asked_for(&place(MODE), &wish).cloned())
}

// shows B3 D1 K7
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn no_odd_document_is_taken_for_a_proof() {
    let edited = |wanted: &str, reported: &str, edit: &dyn Fn(&mut Json)| {
        let mut it = document(wanted, reported);
        edit(&mut it);
        it
    };
    let (old, new) = (Some("old"), Some("new"));
    let (waiting, taken) = (Some(AskedState::Waiting), Some(AskedState::Taken));
    let rows = [
        (
            // A device that starts copies the wish into its report, before it does anything.
            "https://github.com/awslabs/aws-iot-device-client/issues/358",
            edited("8", "7", &|it| {
                it["reported"]["settings"]["mode"] = "new".into();
            }),
            (None, waiting.clone()),
        ),
        (
            // A server flags its wish as applied when it has sent it.
            "https://github.com/openwisp/openwisp-controller/pull/853",
            edited("8", "7", &|it| it["desired"]["status"] = "applied".into()),
            (None, waiting.clone()),
        ),
        (
            // A server takes the request of a device for its report: the values are the old ones.
            "https://github.com/openwisp/openwisp-controller/pull/1330",
            document("8", "8"),
            (old, taken.clone()),
        ),
        (
            // Numbers begin anew when a device is made again, and the device has the old ones.
            "https://github.com/Azure/iotedge/issues/1493",
            edited("1", "11", &|it| {
                it["reported"]["settings"]["mode"] = "new".into();
            }),
            (None, waiting.clone()),
        ),
        (
            // A wish is gone when the device has come back, under the same version.
            "https://github.com/Azure/azure-iot-sdk-c/issues/775",
            edited("8", "8", &|it| {
                it["desired"]["settings"]["mode"] = "old".into();
            }),
            (old, None),
        ),
        (
            // A person changes the value at the device, and the wish stays.
            "https://github.com/aws/aws-iot-device-sdk-embedded-C/issues/229",
            edited("8", "8", &|it| {
                it["reported"]["settings"]["mode"] = "panel".into();
            }),
            (Some("panel"), taken.clone()),
        ),
        (
            // A wish out of range is answered with the value from before, and with no refusal.
            "https://github.com/aws/aws-iot-device-sdk-embedded-C/issues/98",
            edited("8", "8", &|it| it["reported"]["refused"] = json!([])),
            (old, taken.clone()),
        ),
        (
            // Several wishes came while the device was away: it has seen the first.
            "https://github.com/Azure/azure-iot-sdk-python/issues/510",
            document("6", "2"),
            (None, waiting),
        ),
        (
            // A report without the setting is no report of it.
            "https://github.com/Azure/iotedge/issues/1800",
            edited("8", "8", &|it| it["reported"]["settings"] = json!({})),
            (None, taken.clone()),
        ),
        (
            "the way it should be",
            edited("8", "8", &|it| {
                it["reported"]["settings"]["mode"] = "new".into();
            }),
            (new, taken),
        ),
    ];
    for (report, document, (proved, asked)) in rows {
        let found = told(&reading(document).await);
        assert_eq!(found, (proved.map(str::to_owned), asked), "{report}");
    }
}

fn write() -> DeviceWrite {
    DeviceWrite {
        place: place(MODE),
        manner: Manner::Http,
        value: Value::Text("newer".to_owned()),
    }
}

fn is_put(arrived: &Arrived) -> bool {
    arrived.line.starts_with("PUT")
}

/// Takes a write if it names the version 8, as a server that compares strongly does.
fn strict(arrived: &Arrived) -> Reply {
    if arrived.header("if-match") == Some("\"8\"") {
        ("204 No Content".to_owned(), Vec::new())
    } else {
        ("412 Precondition Failed".to_owned(), Vec::new())
    }
}

// shows K7
#[tokio::test]
async fn what_a_proxy_makes_of_an_entity_tag_does_not_matter() {
    for (report, tag) in [
        (
            "https://github.com/koreader/koreader/issues/15707",
            "\r\nETag: W/\"8\"",
        ),
        (
            "https://github.com/rails/rails/issues/19056",
            "\r\nETag: \"8-gzip\"",
        ),
        ("https://github.com/caddyserver/caddy/pull/1753", ""),
    ] {
        let server = Server::start(move |arrived| {
            if is_put(arrived) {
                strict(arrived)
            } else {
                ok(tag, &document("8", "8"))
            }
        })
        .await;
        let drivers = Drivers::real();
        let driver = drivers.device(Protocol::HTTP).unwrap();
        let answer = driver.apply(&target(&server, "A1"), &write()).await;
        assert_eq!(answer, Ok(()), "{report}");
        assert_eq!(server.arrived().len(), 2, "{report}");
    }
}

// shows K7
#[tokio::test]
async fn an_accepted_write_of_which_nothing_more_is_told_is_left_to_the_next_reading() {
    for (report, answer, ends) in [
        (
            "https://github.com/restcookbook/restcookbook/issues/76",
            "202 Accepted",
            Ok(()),
        ),
        (
            // A language runtime makes a redirect of each answer with Location.
            "https://bugs.php.net/bug.php?id=74535",
            "302 Found\r\nLocation: /v1/operations/9",
            Err(FailureKind::ProtocolError),
        ),
        (
            "https://github.com/Azure/azure-resource-manager-rpc/issues/36",
            "202 Accepted\r\nLocation: http://[not a URL/",
            Ok(()),
        ),
    ] {
        let server = Server::start(move |arrived| {
            if is_put(arrived) {
                (answer.to_owned(), Vec::new())
            } else {
                ok("", &document("8", "8"))
            }
        })
        .await;
        let drivers = Drivers::real();
        let driver = drivers.device(Protocol::HTTP).unwrap();
        let answer = driver.apply(&target(&server, "A1"), &write()).await;
        assert_eq!(answer.map_err(|it| it.kind), ends, "{report}");
        assert_eq!(server.arrived().len(), 2, "nothing is followed: {report}");
    }
}

// shows K7
#[tokio::test]
async fn a_serial_number_with_odd_characters_is_one_segment_and_comes_back_as_it_is() {
    for (report, in_url, serial_number) in [
        (
            "https://github.com/garysharp/Disco/issues/79",
            "N%2FA",
            "N/A",
        ),
        (
            "https://github.com/genieacs/genieacs/issues/312",
            "NC%252DGP624G",
            "NC%2DGP624G",
        ),
        (
            "https://github.com/genieacs/genieacs/issues/192",
            "TG784n%20v3",
            "TG784n v3",
        ),
    ] {
        let mut shown = document("8", "8");
        shown["serialNumber"] = serial_number.into();
        let server = Server::start(move |_| ok("", &shown)).await;
        let drivers = Drivers::real();
        let driver = drivers.device(Protocol::HTTP).unwrap();
        let request = DeviceReadRequest {
            identity: place("/uuid"),
            places: BTreeSet::new(),
        };
        let answer = driver.observe(&target(&server, in_url), &request).await;
        assert!(answer.is_ok(), "{report}: {answer:?}");
        let line = &server.arrived()[0].line;
        assert_eq!(*line, format!("GET /v1/devices/{in_url}"), "{report}");
    }
}
