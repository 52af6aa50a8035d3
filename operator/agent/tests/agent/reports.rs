//! Public reports of what went wrong with clients of others, and the same with this device.

use std::time::Duration;

use axum::http::Method;
use jiff::SignedDuration;
use serde_json::json;

use crate::{
    device::Device,
    gateway::{Artifact, Fault, Gateway},
};

type Rule = fn(&Device, &Gateway) -> Result<(), String>;

/// A report, what is given, and what has to be so in the end.
struct Row {
    report: &'static str,
    what: &'static str,
    given: fn(&Gateway),
    arguments: &'static [&'static str],
    then: fn(&Device, &Gateway) -> bool,
    /// Rule that has to hold when that is so.
    and: Option<Rule>,
}

fn wants_one(gateway: &Gateway) {
    gateway.wants(json!({"settings": {"a": {"value": "1"}}}));
}

fn is_applied(device: &Device, _: &Gateway) -> bool {
    device.file("settings.json")["a"] == "1"
}

fn count(gateway: &Gateway, method: &Method, path: &str) -> usize {
    gateway.requests(method, path).len()
}

/// Number of feedbacks that ended an action.
fn closed(gateway: &Gateway) -> usize {
    let inner = gateway.inner();
    let feedback = inner.feedback.iter();
    feedback
        .filter(|one| one["status"]["execution"] == "closed")
        .count()
}

fn exactly(what: &str, found: usize, wanted: usize) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{found} {what} and not {wanted}"))
}

/// Time between the first two requests of a path.
fn pause(gateway: &Gateway, method: &Method, path: &str) -> Duration {
    let sent = gateway.requests(method, path);
    sent[1].at - sent[0].at
}

fn firmware(change: fn(&mut Artifact)) -> impl Fn(&Gateway) {
    move |gateway| {
        let mut artifact = Artifact::new("4.2.0");
        change(&mut artifact);
        gateway.inner().actions.insert(12, artifact);
    }
}

const ROWS: [Row; 12] = [
    Row {
        report: "rauc/rauc-hawkbit-updater#158",
        what: "an artifact that is not there was fetched for ever",
        given: |gateway| {
            firmware(|_| ())(gateway);
            gateway.fault(
                Method::GET,
                "a.swu",
                Fault::problem(404, "ArtifactNotFound", &[]),
            );
            gateway.fault(
                Method::GET,
                "a.swu",
                Fault::problem(404, "ArtifactNotFound", &[]),
            );
        },
        arguments: &[],
        then: |_, gateway| {
            gateway
                .inner()
                .feedback
                .iter()
                .any(|one| one["status"]["result"]["finished"] == "failure")
        },
        and: Some(|_, gateway| exactly("fetches", count(gateway, &Method::GET, "a.swu"), 1)),
    },
    Row {
        report: "Azure/iotedge#5888",
        what: "a device that was set up wrongly asked again at once, for ever",
        given: |gateway| {
            let refusal = Fault::problem(422, "UnknownModel", &[]);
            gateway.fault(Method::POST, "/registrations", refusal);
        },
        arguments: &["--retry-initial", "10ms", "--retry-most", "2s"],
        then: |_, gateway| count(gateway, &Method::POST, "/registrations") == 2,
        and: Some(|_, gateway| {
            let pause = pause(gateway, &Method::POST, "/registrations");
            let least = Duration::from_millis(900);
            if pause >= least {
                Ok(())
            } else {
                Err(format!("again after {pause:?}"))
            }
        }),
    },
    Row {
        report: "Azure/azure-iot-sdk-c#1703",
        what: "Retry-After was obeyed by polls and not by the registration",
        given: |gateway| {
            let busy = Fault::problem(429, "TooManyRequests", &[("retry-after", "2")]);
            gateway.fault(Method::POST, "/registrations", busy);
        },
        arguments: &["--retry-initial", "10ms", "--retry-most", "20ms"],
        then: |_, gateway| count(gateway, &Method::POST, "/registrations") == 2,
        and: Some(|_, gateway| {
            let pause = pause(gateway, &Method::POST, "/registrations");
            if pause >= Duration::from_secs(2) {
                Ok(())
            } else {
                Err(format!("again after {pause:?}"))
            }
        }),
    },
    Row {
        report: "Unleash/unleash-node-sdk#615",
        what: "one 404 ended all polls",
        given: |gateway| {
            wants_one(gateway);
            gateway.fault(Method::GET, "/twin", Fault::problem(404, "NotFound", &[]));
        },
        arguments: &[],
        then: is_applied,
        and: None,
    },
    Row {
        report: "mercedes-benz/sechub#596",
        what: "one 401 under load ended the client, whose credential was right",
        given: |gateway| {
            wants_one(gateway);
            gateway.fault(
                Method::GET,
                "/twin",
                Fault::problem(401, "CredentialInvalid", &[]),
            );
        },
        arguments: &["--retry-initial", "2s", "--retry-most", "2s"],
        then: is_applied,
        and: Some(|_, gateway| {
            let pause = pause(gateway, &Method::GET, "/twin");
            if pause < Duration::from_millis(900) {
                return Err(format!("again after {pause:?}"));
            }
            let sent = count(gateway, &Method::POST, "/registrations");
            exactly("registrations", sent, 1)
        }),
    },
    Row {
        report: "Azure/iotedge#2174",
        what: "an empty document was taken for a configuration",
        given: |gateway| {
            wants_one(gateway);
            let long = format!("{{\"services\":[],\"x\":\"{}\"}}", "x".repeat(2 << 20));
            let odd = r#"{"version":9,"desired":{},"poll":{"next":"PT1S"}}"#;
            for body in ["{}", "", "null", odd, &long] {
                let empty = Fault::Answer(200, Vec::new(), "application/json", body.into());
                gateway.fault(Method::GET, "/twin", empty.clone());
                gateway.fault(Method::GET, "/services", empty);
            }
        },
        arguments: &[],
        then: is_applied,
        and: Some(|device, gateway| {
            if device.file("twin.json")["version"] != 2 {
                return Err(format!("it holds {}", device.file("twin.json")));
            }
            let reports = gateway.requests(&Method::PATCH, "/reported");
            let odd = reports.iter().find(|one| one.body["desiredVersion"] == 9);
            odd.map_or(Ok(()), |odd| Err(odd.body.to_string()))
        }),
    },
    Row {
        report: "SignalK/SensESP#945",
        what: "a request that the other side had forgotten was asked for, for ever",
        given: |gateway| {
            wants_one(gateway);
            gateway.inner().pending = true;
            let gone = Fault::problem(404, "RegistrationNotFound", &[]);
            gateway.fault(Method::GET, "/registrations/r1", gone);
        },
        arguments: &[],
        then: |_, gateway| {
            let again = count(gateway, &Method::POST, "/registrations") >= 2;
            if again {
                gateway.inner().pending = false;
            }
            again
        },
        and: None,
    },
    Row {
        report: "buildkite/cli#830",
        what: "a token went to the host of a redirect",
        given: |gateway| {
            wants_one(gateway);
            firmware(|_| ())(gateway);
            for path in ["/twin", "a.swu", "/services"] {
                let elsewhere = format!("{}/elsewhere", gateway.url);
                let to = vec![("location", elsewhere)];
                gateway.fault(
                    Method::GET,
                    path,
                    Fault::Answer(302, to, "text/html", String::new()),
                );
            }
        },
        arguments: &[],
        then: |device, gateway| {
            is_applied(device, gateway) && device.log().contains("redirect") && closed(gateway) >= 1
        },
        and: Some(|_, gateway| exactly("requests", count(gateway, &Method::GET, "/elsewhere"), 0)),
    },
    Row {
        report: "eclipse-hawkbit/hawkbit#866",
        what: "an artifact was fetched again at each poll",
        given: |gateway| firmware(|one| one.for_ever = true)(gateway),
        arguments: &[],
        then: |_, gateway| closed(gateway) >= 3,
        and: Some(|_, gateway| exactly("fetches", count(gateway, &Method::GET, "a.swu"), 1)),
    },
    Row {
        report: "clearlinux/swupd-client#195",
        what: "a clock that is years off stopped updates",
        given: |gateway| {
            wants_one(gateway);
            gateway.inner().ahead = SignedDuration::from_hours(20 * 365 * 24);
            let ahead = gateway.inner().now() + SignedDuration::from_hours(4000);
            gateway.inner().renew_after = ahead;
        },
        arguments: &["--clock-offset", "-10d"],
        then: is_applied,
        and: Some(|_, gateway| {
            exactly("renewals", count(gateway, &Method::POST, "/credential"), 0)
        }),
    },
    Row {
        report: "Azure/iotedge#5888, once more",
        what: "a gateway that refuses each new credential was asked again at once",
        given: |gateway| gateway.inner().defect = "forgets-tokens",
        arguments: &["--retry-initial", "1s", "--retry-most", "1s"],
        then: |_, gateway| count(gateway, &Method::POST, "/registrations") == 3,
        and: Some(|_, gateway| {
            let sent = gateway.requests(&Method::POST, "/registrations");
            let pause = sent[2].at - sent[1].at;
            if pause >= Duration::from_millis(500) {
                Ok(())
            } else {
                Err(format!("again after {pause:?}"))
            }
        }),
    },
    Row {
        report: "C13: the cluster cannot be read",
        what: "a device took an outage for the end of its services",
        given: |gateway| {
            wants_one(gateway);
            for _ in 0..3 {
                let outage = Fault::problem(503, "Unavailable", &[("retry-after", "1")]);
                gateway.fault(Method::GET, "/twin", outage);
            }
        },
        arguments: &[],
        then: is_applied,
        and: Some(|_, gateway| {
            let sent = gateway.requests(&Method::GET, "/twin");
            let soon = sent
                .windows(2)
                .take(3)
                .find(|pair| pair[1].at - pair[0].at < Duration::from_secs(1));
            soon.map_or(Ok(()), |pair| {
                Err(format!("again after {:?}", pair[1].at - pair[0].at))
            })
        }),
    },
];

#[tokio::test]
async fn what_went_wrong_with_other_clients_does_not_go_wrong_here() {
    let mut rows = Vec::new();
    for row in ROWS {
        rows.push(tokio::spawn(async move {
            let gateway = Gateway::start();
            (row.given)(&gateway);
            let mut device = Device::new(&gateway).and(row.arguments);
            device.start();
            let name = format!("{}: {}", row.report, row.what);
            device.until(&name, row.then).await;
            if let Some(Err(why)) = row.and.map(|and| and(&device, &gateway)) {
                panic!("{name}: {why}\n{}", device.dump());
            }
        }));
    }
    for row in rows {
        row.await.unwrap();
    }
}

// openhab/openhab-core#2136: a file of zero bytes after a loss of power was taken for an empty one.
#[tokio::test]
async fn a_registration_that_cannot_be_read_is_told_and_nothing_is_sent() {
    let gateway = Gateway::start();
    let mut device = Device::new(&gateway).and(&["--once"]);
    device.start();
    assert_eq!(device.ended().await, Some(0));
    std::fs::write(device.path("agent.json"), "").unwrap();
    let sent = gateway.inner().ledger.len();
    device.start();
    assert_eq!(device.ended().await, Some(1));
    assert_eq!(gateway.inner().ledger.len(), sent);
    assert!(device.log().contains("agent.json"), "{}", device.log());
}

// shows C13
#[tokio::test]
async fn a_device_changes_nothing_while_the_gateway_cannot_answer() {
    let gateway = Gateway::start();
    gateway.wants(json!({"settings": {"a": {"value": "1"}}}));
    gateway.inner().services = json!([{"applicationId": "acme.toner.lobby-mfp",
        "serviceId": "toner", "provider": "Northwind", "description": "Toner is sent in time",
        "appliedOn": "2027-03-01", "from": "2027-04-01T00:00:00Z", "until": null, "state": "Active"}]);
    let mut device = Device::new(&gateway);
    device.start();
    device
        .until("it is set up", |device, _| {
            device.file("twin.json")["acknowledged"]["version"] == 2
                && device.file("services.json")[0]["state"] == "Active"
        })
        .await;
    let before = [
        "settings.json",
        "services.json",
        "software.json",
        "twin.json",
    ]
    .map(|name| std::fs::read_to_string(device.path(name)).unwrap());
    let polls = |gateway: &Gateway| count(gateway, &Method::GET, "/services");
    let begun = polls(&gateway);
    for _ in 0..4 {
        let outage = Fault::problem(503, "Unavailable", &[("retry-after", "1")]);
        gateway.fault(Method::GET, "/services", outage);
    }
    device
        .until("it asked in vain", |_, gateway| {
            gateway.inner().faults.is_empty()
        })
        .await;
    let after = [
        "settings.json",
        "services.json",
        "software.json",
        "twin.json",
    ]
    .map(|name| std::fs::read_to_string(device.path(name)).unwrap());
    assert_eq!(before, after);
    device
        .until("it goes on", |_, gateway| polls(gateway) >= begun + 6)
        .await;
    assert!(!device.log().contains("stopped"), "{}", device.log());
}
