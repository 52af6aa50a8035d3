//! Tests of the claim of two Devices that name one machine.

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        AllowEntry, Connection, ConnectionSpec, Device, DeviceClaim, DeviceConnection,
        DeviceConnectionStatus, DeviceFault, DeviceStatus, HttpEndpoint, IppEndpoint, Protocol,
        Selector,
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::endpoint::lobby;
use crate::delivery::{
    Claimant, claim_digest, claimant, endpoint_index, endpoint_key, endpoint_lookup,
    is_proved_by_another, may_claim,
};
use crate::identity::Identity;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn device(namespace: &str, created: i64, address: &str) -> Device {
    let mut device = lobby(Some(address), DeviceConnection::default());
    device.metadata.namespace = Some(namespace.to_owned());
    device.metadata.creation_timestamp = Some(Time(at(created)));
    device
}

/// Returns a Device that names its endpoint since an instant, and has proved it since another.
fn claims(mut device: Device, named: i64, since: Option<i64>, identity: Option<&str>) -> Device {
    let claim = DeviceClaim {
        endpoint_digest: claim_digest(&device).expect("it has an endpoint"),
        named: at(named),
        since: since.map(at),
        identity: identity.map(Into::into),
    };
    device.status = Some(DeviceStatus {
        claim: Some(claim),
        ..DeviceStatus::default()
    });
    device
}

/// Returns the Device after a reading with this fault.
fn met(mut device: Device, reason: Reason) -> Device {
    let fault = DeviceFault {
        reason,
        message: "said".into(),
    };
    let status = device.status.get_or_insert_with(Default::default);
    status.connections = vec![DeviceConnectionStatus {
        name: "hq".to_owned(),
        fault: Some(fault),
        ..DeviceConnectionStatus::default()
    }];
    device
}

fn connection(url: &str) -> Connection {
    let mut spec = ConnectionSpec::default();
    let ports = if url.contains("{port}") {
        vec![631, 8631]
    } else {
        Vec::new()
    };
    let url = url.to_owned();
    spec.ipp = Some(IppEndpoint { url, ports });
    Connection::new("hq", spec)
}

fn is_claimed(own: &Device, hq: &Connection, identity: Option<&str>, rival: &Device) -> bool {
    let identity = identity.and_then(Identity::of);
    let chosen = &own.spec.connections[0];
    claimant(own, chosen, Some(hq), identity.as_ref(), [rival], |_| true).is_some()
}

fn is_preempted(own: &Device, identity: Option<&str>, rival: &Device) -> bool {
    let hq = connection("ipp://{address}/");
    let lost = is_claimed(own, &hq, identity, rival);
    let back = is_claimed(rival, &hq, identity, own);
    assert!(!(lost && back), "both lose");
    lost
}

// shows K4
#[test]
fn who_has_proved_a_machine_keeps_it_however_old_the_object_is_that_comes_to_it() {
    let here = |namespace, created| device(namespace, created, "10.0.0.1");
    let proved = claims(here("a", 50), 50, Some(60), Some("urn:1"));
    let moved_here = {
        let before = claims(device("b", 1, "10.0.0.9"), 1, Some(2), Some("urn:9"));
        Device {
            spec: here("b", 1).spec,
            ..before
        }
    };
    let table = [
        ("an older object that was moved here", moved_here, false),
        ("an older object that nobody looked at", here("b", 1), false),
        (
            "one that names it longer and never proved it",
            claims(here("b", 1), 1, None, None),
            false,
        ),
        (
            "one that proved it later",
            claims(here("b", 1), 1, Some(61), Some("urn:1")),
            false,
        ),
        (
            "one that proved it before",
            claims(here("b", 99), 50, Some(59), Some("urn:1")),
            true,
        ),
    ];
    for (who, rival, wins) in table {
        assert_eq!(is_preempted(&proved, Some("urn:1"), &rival), wins, "{who}");
        assert_eq!(is_preempted(&rival, Some("urn:1"), &proved), !wins, "{who}");
    }
}

// shows K4
#[test]
fn before_anybody_has_proved_it_who_names_it_longer_is_asked_first() {
    let here = |namespace, created| device(namespace, created, "10.0.0.1");
    let own = claims(here("a", 50), 50, None, None);
    let unreachable = met(claims(here("b", 1), 40, None, None), Reason::Unreachable);
    assert!(is_preempted(&own, None, &unreachable));
    let stranger = met(
        claims(here("b", 1), 40, None, None),
        Reason::IdentityMismatch,
    );
    assert!(
        !is_preempted(&own, None, &stranger),
        "its machine is another one"
    );
    let refused = met(claims(here("b", 1), 40, None, None), Reason::NotAllowed);
    assert!(!is_preempted(&own, None, &refused), "it was not let there");
    assert!(!is_preempted(
        &own,
        None,
        &claims(here("b", 1), 51, None, None)
    ));
    assert!(
        is_preempted(&here("b", 2), None, &here("a", 1)),
        "the older object, where nobody looked"
    );
}

// shows K4
#[test]
fn only_who_has_proved_a_place_before_keeps_it_from_being_looked_at() {
    let hq = connection("ipp://{address}/");
    let own = claims(device("a", 50, "10.0.0.1"), 50, Some(60), None);
    let at_place = |since, place| claims(device("b", 1, place), 1, since, None);
    let table = [
        ("who proved it before", at_place(Some(59), "10.0.0.1"), true),
        ("who proved it later", at_place(Some(61), "10.0.0.1"), false),
        (
            "who names it longer only",
            at_place(None, "10.0.0.1"),
            false,
        ),
        ("who has another", at_place(Some(59), "10.0.0.2"), false),
    ];
    for (who, rival, is_proved) in table {
        let chosen = &own.spec.connections[0];
        let found = is_proved_by_another(&own, chosen, &hq, [&rival], |_| true);
        assert_eq!(found, is_proved, "{who}");
    }
}

// shows K4
#[test]
fn one_machine_behind_two_addresses_belongs_to_who_proved_it_first() {
    let proved = claims(device("a", 50, "10.0.0.1"), 50, Some(60), Some("urn:1"));
    let other = claims(device("b", 1, "10.0.0.2"), 1, None, None);
    assert!(is_preempted(&other, Some("urn:1"), &proved));
    assert!(
        !is_preempted(&other, Some("urn:2"), &proved),
        "it is another machine"
    );
    assert!(
        !is_preempted(&other, None, &proved),
        "it has not said who it is"
    );
    let waits = claims(device("b", 1, "10.0.0.2"), 1, None, Some("urn:1"));
    assert!(
        !is_preempted(&proved, Some("urn:1"), &waits),
        "it has proved nothing"
    );
}

// shows K4
#[test]
fn what_was_proved_of_another_machine_at_the_own_place_does_not_count() {
    let proved = claims(device("a", 50, "10.0.0.1"), 50, Some(60), Some("urn:1"));
    for before in [None, Some("urn:9")] {
        let led_there = claims(device("b", 1, "printer.example"), 1, Some(2), before);
        assert!(
            is_preempted(&led_there, Some("urn:1"), &proved),
            "{before:?}"
        );
    }
}

/// Returns a Device of the Connection `hq` with this address, port and queue; `-` for none.
fn says(parts: &str) -> Device {
    let mut parts = parts.split(' ').map(|part| (part != "-").then_some(part));
    let mut next = || parts.next().flatten().map(str::to_owned);
    let mut device = device("a", 1, "");
    device.spec.address = next();
    device.spec.connections[0].port = next().map(|port| port.parse().unwrap());
    device.spec.connections[0].queue = next();
    device
}

/// Returns a Connection to a settings distribution server.
fn behind_a_server() -> Connection {
    let mut connection = connection("ipp://unused/");
    connection.spec.protocol = Protocol::HTTP;
    connection.spec.ipp = None;
    connection.spec.http = Some(HttpEndpoint {
        url: "https://settings.example".to_owned(),
    });
    connection
}

// shows K4
#[test]
fn devices_share_an_endpoint_by_what_the_url_has_and_find_each_other() {
    let table = [
        (
            "ipp://{address}/",
            "Mfp.Example - -",
            "mfp.example. 1 x",
            true,
        ),
        (
            "ipp://{address}/",
            "mfp.example - -",
            "other.example - -",
            false,
        ),
        ("ipp://{address}:{port}/", "h - -", "h 631 -", true),
        ("ipp://{address}:{port}/", "h - -", "h 8631 -", false),
        ("ipp://cups/{queue}", "- - lab", "h - lab", true),
        ("ipp://cups/{queue}", "- - lab", "- - Lab", false),
        ("ipp://cups/", "- - -", "h 1 lab", true),
        ("ipp://{address}/{queue}", "h - lab", "H 1 lab", true),
        ("ipp://{address}/{queue}", "h - lab", "h - hall", false),
    ];
    for (url, one, other, same) in table {
        let hq = connection(url);
        let [one, other] = [one, other].map(says);
        let [place, elsewhere] =
            [&one, &other].map(|it| endpoint_key(it, &it.spec.connections[0], &hq));
        assert!(place.is_some() && elsewhere.is_some(), "{url}");
        assert_eq!(place == elsewhere, same, "{url}: {place:?} {elsewhere:?}");
        let sought = [&one, &other].map(|it| endpoint_lookup(it, &it.spec.connections[0], &hq));
        for (value, found) in sought.into_iter().zip([&other, &one]) {
            let is_found = value.is_none_or(|value| endpoint_index(found).contains(&value));
            assert!(is_found || !same, "{url}: not found by its index");
        }
    }
    let server = behind_a_server();
    let [one, mut other] = ["h 1 lab", "- - -"].map(says);
    let key = |device: &Device| endpoint_key(device, &device.spec.connections[0], &server);
    let sought = endpoint_lookup(&one, &one.spec.connections[0], &server).expect("a part");
    assert!(key(&one).is_some() && key(&one) == key(&other));
    assert!(endpoint_index(&other).contains(&sought));
    other.spec.serial_number = "another".to_owned();
    assert_ne!(key(&one), key(&other));
    assert!(!endpoint_index(&other).contains(&sought));
    let nobody = says("- - -");
    let hq = connection("ipp://{address}/");
    let nowhere = endpoint_key(&nobody, &nobody.spec.connections[0], &hq);
    assert_eq!(nowhere, None);
}

// shows K2 K4
#[test]
fn who_has_a_machine_is_named_in_its_own_namespace_only() {
    let hq = connection("ipp://{address}/");
    let own = device("a", 50, "10.0.0.1");
    let mut sibling = claims(device("a", 1, "10.0.0.1"), 1, Some(3), None);
    sibling.metadata.name = Some("hall-mfp".to_owned());
    let stranger = claims(device("b", 1, "10.0.0.1"), 1, Some(2), None);
    let named = Claimant::SameNamespace {
        name: "hall-mfp".to_owned(),
    };
    assert_eq!(named.to_string(), "the Device hall-mfp");
    let hidden = Claimant::AnotherNamespace;
    assert_eq!(hidden.to_string(), "a Device of another namespace");
    for (rivals, expected) in [
        (vec![&sibling], named),
        (vec![&stranger], hidden.clone()),
        (vec![&sibling, &stranger], hidden),
    ] {
        let found = claimant(
            &own,
            &own.spec.connections[0],
            Some(&hq),
            None,
            rivals,
            |_| true,
        );
        assert_eq!(found, Some(expected), "who proved it first has it");
    }
}

// shows K4
#[test]
fn two_devices_of_one_queue_are_not_both_served() {
    let hq = connection("ipp://cups.example/printers/{queue}");
    let queue = || says("- - lab");
    let first = claims(queue(), 1, Some(2), None);
    let mut second = queue();
    second.metadata.namespace = Some("b".to_owned());
    assert!(is_claimed(&second, &hq, None, &first));
    assert!(!is_claimed(&first, &hq, None, &second));
}

// shows K4
#[test]
fn a_claim_is_about_address_connection_and_serial_number_in_whatever_spelling() {
    let one = device("a", 1, "Printer.Example.");
    let digest = claim_digest(&one);
    assert_eq!(digest, claim_digest(&device("b", 9, "printer.example")));
    let mut another = device("a", 1, "printer.example");
    another.spec.serial_number = "B2".to_owned();
    assert_ne!(digest, claim_digest(&another));
    assert!(claim_digest(&says("- - lab")).is_some());
    let mapped = claim_digest(&device("a", 1, "::ffff:10.0.0.1"));
    assert_eq!(mapped, claim_digest(&device("a", 1, "10.0.0.1")));
}

// shows K4
#[test]
fn an_address_in_an_odd_spelling_has_no_endpoint_and_claims_nothing() {
    let mut hq = connection("ipp://{address}/");
    hq.spec.allow = vec![AllowEntry {
        name: "all".to_owned(),
        namespaces: Selector::default(),
        networks: vec!["0.0.0.0/0".to_owned()],
    }];
    let labels = [("team".to_owned(), "a".to_owned())].into();
    let of = |address: &str| {
        let device = device("a", 1, address);
        let key = endpoint_key(&device, &device.spec.connections[0], &hq);
        (key.is_some(), may_claim(&device, Some(&hq), &labels))
    };
    assert_eq!(of("10.20.3.4"), (true, true));
    for odd in ["0x0a140304", "169083652", "10.20.772", "012.024.3.4"] {
        assert_eq!(of(odd), (false, false), "{odd}");
    }
}

// shows K4
#[test]
fn only_whom_the_connection_lets_there_may_claim_a_machine() {
    let labels = |team: &str| [("team".to_owned(), team.to_owned())].into();
    let connection = Connection::new(
        "hq",
        ConnectionSpec {
            ipp: Some(IppEndpoint {
                url: "ipp://{address}/".to_owned(),
                ports: Vec::new(),
            }),
            allow: vec![AllowEntry {
                name: "a".to_owned(),
                namespaces: Selector {
                    match_labels: labels("a"),
                    ..Selector::default()
                },
                networks: vec!["10.0.0.0/8".to_owned()],
            }],
            ..ConnectionSpec::default()
        },
    );
    let mut of_queues = connection.clone();
    if let Some(ipp) = &mut of_queues.spec.ipp {
        ipp.url = "ipp://{address}/{queue}".to_owned();
    }
    let (hq, queues) = (Some(&connection), Some(&of_queues));
    let table = [
        ("allowed", "a", "10.0.0.1", hq, true),
        (
            "by name, which each dial checks",
            "a",
            "mfp.example",
            hq,
            true,
        ),
        ("in another spelling", "a", "::ffff:10.0.0.1", hq, true),
        ("of another team", "b", "10.0.0.1", hq, false),
        ("outside the networks", "a", "192.0.2.1", hq, false),
        ("without a Connection", "a", "10.0.0.1", None, false),
        (
            "without the queue of the URL",
            "a",
            "10.0.0.1",
            queues,
            false,
        ),
    ];
    for (who, team, address, connection, expected) in table {
        let device = device("x", 1, address);
        assert_eq!(
            may_claim(&device, connection, &labels(team)),
            expected,
            "{who}"
        );
    }
}
