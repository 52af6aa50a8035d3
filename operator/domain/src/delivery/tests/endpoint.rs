//! Tests of URL templates, and of the right to use a connection.

use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        AllowEntry, Cause, Connection, ConnectionSpec, Credentials, Device, DeviceConnection,
        DeviceIdentity, DeviceSpec, DeviceStatus, HttpEndpoint, IppEndpoint, LocalReference,
        NameReference, Protocol, Selector, Site, SiteSpec, Tls, Trust,
    },
};

use crate::delivery::{Blocked, DeviceEndpoint, DeviceSnapshot, login_fault, resolve::resolve};
use crate::reasons::{Side, cause};
use crate::unreadable::Referent;

/// Returns a Device that is reached through the Connection `hq`.
pub(super) fn lobby(address: Option<&str>, how: DeviceConnection) -> Device {
    Device::new(
        "lobby",
        DeviceSpec {
            serial_number: "A1".to_owned(),
            address: address.map(str::to_owned),
            connections: vec![DeviceConnection {
                name: "hq".to_owned(),
                ..how
            }],
            ..DeviceSpec::default()
        },
    )
}

/// Returns a snapshot with that Device and the Connection that allows its address.
pub(super) fn snapshot(
    url: &str,
    ports: &[i32],
    address: Option<&str>,
    how: DeviceConnection,
) -> DeviceSnapshot {
    let labels = [("team".to_owned(), "a".to_owned())];
    let connection = Connection::new(
        "hq",
        ConnectionSpec {
            ipp: Some(IppEndpoint {
                url: url.to_owned(),
                ports: ports.to_vec(),
            }),
            allow: vec![AllowEntry {
                name: "a".to_owned(),
                namespaces: Selector {
                    match_labels: labels.clone().into(),
                    ..Selector::default()
                },
                networks: vec!["10.0.0.0/8".to_owned()],
            }],
            ..ConnectionSpec::default()
        },
    );
    let device = lobby(address, how);
    DeviceSnapshot {
        namespace: "acme".to_owned(),
        namespace_labels: labels.into(),
        device_name: "lobby".to_owned(),
        device: Some(device.into()),
        connections: [("hq".into(), connection.into())].into(),
        ..DeviceSnapshot::default()
    }
}

/// The Device of a snapshot, to be changed.
pub(super) fn device_mut(snapshot: &mut DeviceSnapshot) -> &mut Device {
    Arc::make_mut(snapshot.device.as_mut().expect("there is one"))
}

fn how(port: Option<i32>, queue: Option<&str>) -> DeviceConnection {
    DeviceConnection {
        port,
        queue: queue.map(str::to_owned),
        ..DeviceConnection::default()
    }
}

/// Returns the endpoint of the one connection of the Device.
fn endpoint(snapshot: &DeviceSnapshot) -> Result<DeviceEndpoint, Blocked> {
    let resolved = resolve(snapshot, jiff::Timestamp::UNIX_EPOCH);
    match (
        resolved.unreachable,
        resolved.connections.into_iter().next(),
    ) {
        (None, Some(connection)) => connection.endpoint,
        (unreachable, _) => Err(unreachable.expect("one without a connection is unreachable")),
    }
}

fn url(snapshot: &DeviceSnapshot) -> Result<String, Reason> {
    endpoint(snapshot)
        .map(|endpoint| endpoint.url)
        .map_err(|blocked| blocked.reason)
}

/// Returns the URL made from a template; "none" if the Device lacks a part.
fn filled(template: &str, ports: &[i32], address: &str, port: i32, queue: &str) -> String {
    let given = |text: &str| (text != "none").then(|| text.to_owned());
    let how = how((port != 0).then_some(port), given(queue).as_deref());
    let snapshot = snapshot(template, ports, given(address).as_deref(), how);
    url(&snapshot).unwrap_or_else(|reason| reason.to_string())
}

#[test]
fn a_template_is_filled_from_the_device() {
    let all = "ipp://{address}:{port}/ipp/{queue}";
    let fixed = "ipp://{address}:631/ipp/print";
    assert_eq!(
        filled(fixed, &[], "10.1.2.3", 0, "none"),
        "ipp://10.1.2.3:631/ipp/print"
    );
    assert_eq!(
        filled(fixed, &[], "fd00::1", 0, "none"),
        "ipp://[fd00::1]:631/ipp/print"
    );
    assert_eq!(filled(fixed, &[], "h", 9, "q"), "ipp://h:631/ipp/print");
    assert_eq!(
        filled(all, &[631, 8631], "h", 8631, "q"),
        "ipp://h:8631/ipp/q"
    );
    assert_eq!(filled(all, &[631, 8631], "h", 0, "q"), "ipp://h:631/ipp/q");
    assert_eq!(
        filled("ipp://one.example/x", &[], "none", 0, "none"),
        "ipp://one.example/x"
    );
}

#[test]
fn what_a_template_needs_must_be_there_and_allowed() {
    let all = "ipp://{address}:{port}/ipp/{queue}";
    let unsupported = Reason::UnsupportedValue.to_string();
    assert_eq!(
        filled("ipp://{address}/", &[], "none", 0, "none"),
        unsupported
    );
    assert_eq!(filled(all, &[631], "h", 22, "q"), unsupported);
    assert_eq!(filled(all, &[631], "h", 0, "none"), unsupported);
    assert_eq!(filled(all, &[], "h", 0, "q"), unsupported);
}

// shows D9 K2
#[test]
fn a_placeholder_that_there_is_not_is_no_host_and_no_delay_of_the_device() {
    for template in [
        "ipp://{adress}/",
        "ipp://{address}/{que}",
        "ipp://{address/",
    ] {
        let snapshot = snapshot(template, &[], Some("h"), how(None, None));
        let refused = url(&snapshot).expect_err(template);
        assert_eq!(refused, Reason::UnsupportedValue);
        assert_eq!(cause(refused, Side::Device), Cause::Provider);
    }
}

// shows D9 K2
#[test]
fn a_stored_address_or_port_that_there_is_not_is_no_delay_of_the_device() {
    for (template, address) in [
        ("ipp://{address}/", "256.1.1.1"),
        ("ipp://{address}/", "127.0.0.256"),
        ("ipp://{address}/", ":"),
        ("ipp://{address}:99999/", "h"),
    ] {
        let snapshot = snapshot(template, &[], Some(address), how(None, None));
        let refused = url(&snapshot).expect_err(address);
        assert_eq!(refused, Reason::UnsupportedValue);
        assert_eq!(cause(refused, Side::Device), Cause::Provider);
    }
}

// shows K4
#[test]
fn a_queue_that_would_lead_to_another_path_of_the_host_is_refused_by_its_field() {
    let template = "ipp://{address}/printers/{queue}";
    for queue in [".", ".."] {
        let snapshot = snapshot(template, &[], Some("h"), how(None, Some(queue)));
        let blocked = endpoint(&snapshot).expect_err(queue);
        assert_eq!(blocked.reason, Reason::UnsupportedValue);
        let field = format!("spec.connections[0].queue is \"{queue}\"");
        assert!(blocked.message.starts_with(&field), "{}", blocked.message);
    }
    for queue in ["...", "a..b", ".hidden"] {
        let url = filled(template, &[], "h", 0, queue);
        assert_eq!(url, format!("ipp://h/printers/{queue}"));
    }
}

// shows K2
#[test]
fn a_field_of_an_entry_is_named_as_that_of_the_site_that_has_it() {
    let template = "ipp://{address}:{port}/printers/{queue}";
    let fault = |site: Option<Site>| {
        let mut snapshot = snapshot(template, &[631], Some("h"), how(Some(80), Some("q")));
        snapshot.site = site.map(Arc::new);
        endpoint(&snapshot).expect_err("another port").message
    };
    let mut site = Site::new("north", SiteSpec::default());
    let own = "spec.connections[0].port is not one of those that the Connection hq allows: 631";
    assert_eq!(fault(None), own);
    assert_eq!(fault(Some(site.clone())), own);
    site.spec.connections = lobby(None, how(Some(80), Some("q"))).spec.connections;
    let shared = own.replace("port is", "port of the Site north is");
    assert_eq!(fault(Some(site)), shared);
}

// shows K2
#[test]
fn a_device_without_any_connection_is_told_where_one_may_stand() {
    let mut snapshot = snapshot("ipp://{address}/", &[], Some("h"), how(None, None));
    device_mut(&mut snapshot).spec.connections.clear();
    let told = |snapshot: &DeviceSnapshot| {
        let blocked = endpoint(snapshot).expect_err("there is no way");
        assert_eq!(cause(blocked.reason, Side::Device), Cause::Provider);
        format!("{}: {}", blocked.reason, blocked.message)
    };
    let none = "ConnectionNotFound: spec.connections is empty; name a Connection";
    assert_eq!(told(&snapshot), none);
    let name = "north".to_owned();
    device_mut(&mut snapshot).spec.site_ref = Some(NameReference { name });
    let missing = "SiteNotFound: the Site north does not exist; create it";
    assert_eq!(told(&snapshot), missing);
    snapshot.site = Some(Arc::new(Site::new("north", SiteSpec::default())));
    let empty = "ConnectionNotFound: spec.connections is empty, and so is that of the Site north; name a \
                 Connection in one of them";
    assert_eq!(told(&snapshot), empty);
    snapshot.site = None;
    snapshot.unreadable = [(Referent::Site, "north".to_owned())].into_iter().collect();
    let unreadable = "Undecodable: the Site north cannot be read";
    assert!(told(&snapshot).starts_with(unreadable));
}

// shows K4
#[test]
fn a_namespace_that_no_entry_allows_reaches_nothing() {
    let mut snapshot = snapshot("ipp://{address}/", &[], Some("h"), how(None, None));
    assert_eq!(url(&snapshot), Ok("ipp://h/".to_owned()));
    snapshot.namespace_labels.clear();
    assert_eq!(url(&snapshot), Err(Reason::NotAllowed));
}

#[test]
fn what_is_missing_is_named_by_its_own_reason() {
    let good = snapshot("ipp://{address}/", &[], Some("h"), how(None, None));
    let mut no_device = good.clone();
    no_device.device = None;
    let mut no_connection = good.clone();
    no_connection.connections.clear();
    let mut no_secret = good.clone();
    let fault = (
        Reason::SecretNotFound,
        "the Secret x does not exist".to_owned(),
    );
    no_secret.connection_faults = [("hq".into(), fault)].into();
    assert_eq!(url(&no_device), Err(Reason::DeviceNotFound));
    assert_eq!(url(&no_connection), Err(Reason::ConnectionNotFound));
    assert_eq!(url(&no_secret), Err(Reason::SecretNotFound));
}

// shows K4
#[test]
fn a_printer_uri_may_name_another_host_and_never_another_queue() {
    let template = "ipp://{address}:631/printers/{queue}";
    let named = |uri: &str| {
        let how = DeviceConnection {
            printer_uri: Some(uri.to_owned()),
            ..how(None, Some("lab"))
        };
        endpoint(&snapshot(template, &[], Some("h"), how))
    };
    for good in ["ipp://localhost/printers/lab", "ipps://o:1/printers/lab"] {
        let endpoint = named(good).expect("it can be used");
        assert_eq!(endpoint.url, "ipp://h:631/printers/lab");
        assert_eq!(endpoint.printer_uri.as_deref(), Some(good));
    }
    for other in [
        "ipp://h:631/printers/hall",
        "ipp://h:631/printers/lab/",
        "ipp://h:631/printers/x/../lab",
        "ipp://h:631",
        "printers/lab",
    ] {
        let blocked = named(other).expect_err("it names another queue");
        assert_eq!(blocked.reason, Reason::UnsupportedValue, "{other}");
        assert!(blocked.message.contains("connections[0].printerUri"));
    }
    let whole = |uri: &str| {
        let how = DeviceConnection {
            printer_uri: Some(uri.to_owned()),
            ..how(None, None)
        };
        endpoint(&snapshot("ipp://h", &[], None, how)).is_ok()
    };
    assert!(whole("ipp://localhost/") && whole("ipp://localhost") && !whole("ipp://o/x"));
}

#[test]
fn proof_is_bound_to_connection_url_and_serial_number() {
    let target = |snapshot: &DeviceSnapshot| {
        let digest = resolve(snapshot, jiff::Timestamp::UNIX_EPOCH).target_digest;
        digest.expect("it can be reached")
    };
    let one = snapshot("ipp://{address}/", &[], Some("h"), how(None, None));
    let mut other_serial = one.clone();
    device_mut(&mut other_serial).spec.serial_number = "B2".to_owned();
    let other_address = snapshot("ipp://{address}/", &[], Some("i"), how(None, None));
    assert_eq!(target(&one), target(&one.clone()));
    assert_ne!(target(&one), target(&other_serial));
    assert_ne!(target(&one), target(&other_address));
    let mut other_uri = one.clone();
    let connections = &mut device_mut(&mut other_uri).spec.connections;
    connections[0].printer_uri = Some("ipp://localhost/".to_owned());
    assert_ne!(target(&one), target(&other_uri));
}

// shows K4
#[test]
fn the_first_certificate_is_pinned_only_with_trust_first_use_and_for_the_same_machine() {
    let mut snapshot = snapshot("ipps://{address}/", &[], Some("h"), how(None, None));
    let seen = DeviceIdentity {
        serial_number: "A1".to_owned(),
        certificate_sha256: Some("seen".to_owned()),
        ..DeviceIdentity::default()
    };
    device_mut(&mut snapshot).status = Some(DeviceStatus {
        identity: Some(seen),
        ..DeviceStatus::default()
    });
    let pinned = |snapshot: &DeviceSnapshot| endpoint(snapshot).unwrap().pinned_certificate;
    assert_eq!(pinned(&snapshot), None);
    let tls = Tls {
        trust: Trust::FirstUse,
        ..Tls::default()
    };
    let connection = snapshot.connections.get_mut("hq").unwrap();
    Arc::make_mut(connection).spec.tls = Some(tls);
    assert_eq!(pinned(&snapshot).as_deref(), Some("seen"));
    device_mut(&mut snapshot).spec.serial_number = "B2".to_owned();
    assert_eq!(pinned(&snapshot), None);
    device_mut(&mut snapshot).spec.certificate_sha256 = Some("said".to_owned());
    assert_eq!(pinned(&snapshot).as_deref(), Some("said"));
}

// shows K4
#[test]
fn a_login_of_the_platform_team_goes_to_no_host_that_a_device_names_unless_its_certificate_is_checked()
 {
    let spec = |url: &str, trust: Trust, ca: bool| ConnectionSpec {
        ipp: Some(IppEndpoint {
            url: url.to_owned(),
            ports: Vec::new(),
        }),
        tls: Some(Tls {
            trust,
            ca_config_map_ref: ca.then(LocalReference::default),
            server_name: None,
        }),
        credentials: Some(Credentials {
            secret_ref: Some(LocalReference::default()),
            ..Credentials::default()
        }),
        ..ConnectionSpec::default()
    };
    let table = [
        ("ipp://{address}/", Trust::Verify, true, false),
        ("ipps://{address}/", Trust::Verify, false, false),
        ("ipps://{address}/", Trust::Pin, false, false),
        ("ipps://{address}/", Trust::FirstUse, false, false),
        ("ipps://{address}/", Trust::Verify, true, true),
        ("ipp://{queue}.example/", Trust::Verify, true, false),
        ("ipps://{queue}/", Trust::Pin, false, false),
        ("ipps://{queue}/", Trust::Verify, true, true),
        ("ipp://mfp.example/", Trust::Verify, false, true),
        ("ipp://mfp.example/{queue}", Trust::Verify, false, true),
    ];
    for (url, trust, ca, is_sent) in table {
        let mut spec = spec(url, trust, ca);
        let fault = login_fault("hq", &spec);
        assert_eq!(fault.is_none(), is_sent, "{url} {trust:?} {ca}");
        spec.credentials = None;
        assert_eq!(login_fault("hq", &spec), None, "there is none to send");
    }
}

/// Returns the URL of a Device with that serial number behind a settings distribution server.
fn behind_a_server(server: &str, serial_number: &str) -> Result<String, Reason> {
    let mut snapshot = snapshot("ipp://unused/", &[], None, how(None, None));
    device_mut(&mut snapshot).spec.serial_number = serial_number.to_owned();
    let connections = snapshot.connections.values_mut();
    for connection in connections {
        let spec = &mut Arc::make_mut(connection).spec;
        spec.protocol = Protocol::HTTP;
        spec.ipp = None;
        spec.http = Some(HttpEndpoint {
            url: server.to_owned(),
        });
    }
    url(&snapshot)
}

// shows B3 K4
#[test]
fn a_device_behind_a_settings_server_is_found_by_its_serial_number_and_leads_nowhere_else() {
    let server = "https://settings.example/fleet";
    for (serial_number, segment) in [
        ("A1-b2_c~3.d", "A1-b2_c~3.d"),
        ("N/A", "N%2FA"),
        ("a b", "a%20b"),
        ("../admin", "..%2Fadmin"),
        ("A1?x=1#y", "A1%3Fx%3D1%23y"),
        ("%2e%2e", "%252e%252e"),
        ("é{address}", "%C3%A9%7Baddress%7D"),
    ] {
        let built = behind_a_server(server, serial_number);
        let wanted = format!("https://settings.example/fleet/v1/devices/{segment}");
        assert_eq!(built, Ok(wanted), "{serial_number}");
    }
    for odd in [".", ".."] {
        let refused = behind_a_server(server, odd);
        assert_eq!(refused, Err(Reason::UnsupportedValue), "{odd}");
    }
}
