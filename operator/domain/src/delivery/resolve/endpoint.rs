//! The endpoint of a device, and whether its namespace may use the connection (K4).
//!
//! Pure text: the driver checks on every dial which addresses a name resolves to.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    digest::Digest,
    v1alpha1::{AllowEntry, Connection, ConnectionSpec, Device, DeviceConnection, Protocol, Trust},
};

use crate::authority::authority_fault;
use crate::delivery::{
    Blocked, DeviceSnapshot, ResolvedConnection, digest, verify::identity::pinned_certificate,
};
use crate::{
    identity::Identity,
    protocol::{Place, Route, calling_url, route},
    unreadable::Referent,
};

/// The part of a URL that is the serial number of the Device.
const SERIAL_NUMBER: &str = "{serialNumber}";

/// Endpoint of a device through one connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceEndpoint {
    /// Protocol of the endpoint.
    pub protocol: Protocol,
    /// The URL without placeholders.
    pub url: String,
    /// Place of the device's identity.
    pub identity: Place,
    /// The fingerprint that the certificate must have: that of the spec, or with trust FirstUse
    /// the one seen first.
    pub pinned_certificate: Option<String>,
    /// The printer-uri of requests, where it is not the URL; never dialled.
    pub printer_uri: Option<String>,
}

/// Returns the entry of `allow` that admits a namespace, if any.
pub fn allows<'a>(
    connection: &'a Connection,
    namespace_labels: &BTreeMap<String, String>,
) -> Option<&'a AllowEntry> {
    connection
        .spec
        .allow
        .iter()
        .find(|entry| entry.namespaces.matches(namespace_labels))
}

/// Returns the fault of a Connection whose credentials would be sent to any host that a Device
/// names. The API server refuses such a Connection; one from before that rule may be stored, and
/// its credentials are not sent. A Device's own credentials are not affected.
pub fn login_fault(name: &str, spec: &ConnectionSpec) -> Option<String> {
    let route = route(spec)?;
    let url = &*route.url;
    let tls = spec.tls.as_ref();
    let is_checked = url.starts_with("ipps://")
        && tls.is_some_and(|tls| tls.trust == Trust::Verify && tls.ca_config_map_ref.is_some());
    let credentials = spec.credentials.as_ref();
    let has_login = credentials.is_some_and(|credentials| credentials.secret_ref.is_some());
    (has_login && is_named_by_devices(url) && !is_checked).then(|| {
        format!(
            "the Connection {name} has credentials that would go to whatever host a Device names: \
             its url must begin with ipps:// and tls must have trust Verify and caConfigMapRef, or \
             each Device must have a credentialsRef"
        )
    })
}

/// True if the host of a URL is what a Device says. Of {port} the Connection has the list.
fn is_named_by_devices(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    url.contains("{address}") || host.contains("{queue}")
}

/// Returns the key by which two Devices share one endpoint: the Connection and its URL, without
/// placeholders, with one spelling of the address. A value of a Device that the URL does not use
/// makes no difference. `None` if there is no such URL.
pub fn endpoint_key(
    device: &Device,
    chosen: &DeviceConnection,
    connection: &Connection,
) -> Option<String> {
    let name = &chosen.name;
    let address = device.spec.address.as_deref().map(canonical);
    if connection.spec.protocol == Protocol::Agent {
        return Some(format!("{name}|{}", url_of_calling(device)));
    }
    let values = Filling {
        chosen: (0, chosen),
        site: None,
        address: address.as_deref(),
        serial_number: &device.spec.serial_number,
    };
    let url = fill(&route(&connection.spec)?, values).ok()?;
    Some(format!("{name}|{url}"))
}

/// Returns the text in place of the URL of a device that calls.
fn url_of_calling(device: &Device) -> String {
    let namespace = device.metadata.namespace.as_deref().unwrap_or_default();
    calling_url(
        namespace,
        device.metadata.name.as_deref().unwrap_or_default(),
    )
}

/// Returns the values under which a Device is found by those that may share an endpoint with it:
/// the Device alone does not tell which of its parts the URL has.
pub fn endpoint_index(device: &Device) -> Vec<String> {
    let address = device.spec.address.as_deref().map(canonical);
    let of_one = |chosen: &DeviceConnection| {
        let mut parts = match (address.as_deref(), chosen.queue.as_deref()) {
            (Some(address), Some(queue)) => vec![(address, queue), (address, ""), ("", queue)],
            (Some(address), None) => vec![(address, "")],
            (None, Some(queue)) => vec![("", queue)],
            (None, None) => Vec::new(),
        };
        parts.push((&device.spec.serial_number, ""));
        let value = |(address, queue)| index_value(&chosen.name, address, queue);
        parts.into_iter().map(value).collect::<Vec<_>>()
    };
    device.spec.connections.iter().flat_map(of_one).collect()
}

/// Returns the value of [`endpoint_index`] that all have which may share this endpoint of a Device;
/// `None` where the URL has no such part, so that all Devices of the Connection may.
pub fn endpoint_lookup(
    device: &Device,
    chosen: &DeviceConnection,
    connection: &Connection,
) -> Option<String> {
    if connection.spec.protocol == Protocol::Agent {
        // Nobody shares it.
        return Some(index_value(&chosen.name, &url_of_calling(device), ""));
    }
    let url = route(&connection.spec)?.url;
    if url.contains(SERIAL_NUMBER) {
        return Some(index_value(&chosen.name, &device.spec.serial_number, ""));
    }
    let address = device.spec.address.as_deref().map(canonical);
    let address = address.filter(|_| url.contains("{address}"));
    let queue = chosen.queue.as_deref().filter(|_| url.contains("{queue}"));
    (address.is_some() || queue.is_some()).then(|| {
        let address = address.unwrap_or_default();
        index_value(&chosen.name, &address, queue.unwrap_or_default())
    })
}

fn index_value(connection: &str, address: &str, queue: &str) -> String {
    format!("{connection}|{address}|{queue}")
}

/// Returns the one spelling of an address: names in lower case without the final dot, IP addresses
/// in their usual form.
pub(in crate::delivery) fn canonical(address: &str) -> String {
    let address = address.trim_end_matches('.').to_ascii_lowercase();
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(parsed) => parsed.to_canonical().to_string(),
        Err(_) => address,
    }
}

/// Returns the connections to the device of the snapshot, one for each in its spec.
pub(in crate::delivery) fn resolve_connections(
    snapshot: &DeviceSnapshot,
) -> Vec<ResolvedConnection> {
    let Some(device) = snapshot.device.as_deref() else {
        return Vec::new();
    };
    let chosen = device.spec.connections.iter().enumerate();
    chosen
        .map(|chosen| ResolvedConnection {
            name: chosen.1.name.as_str().into(),
            endpoint: resolve_endpoint(snapshot, device, chosen),
        })
        .collect()
}

/// Returns the obstacle to every connection of the device of the snapshot: it is not there or cannot
/// be read, or none of its connections can be used.
pub(in crate::delivery) fn unreachable(
    snapshot: &DeviceSnapshot,
    connections: &[ResolvedConnection],
) -> Option<Blocked> {
    if snapshot.device.is_none() {
        return Some(snapshot.device_not_at_hand());
    }
    let Some(first) = connections.first() else {
        return Some(without_connections(snapshot));
    };
    let mut all = connections.iter();
    let fault = first.endpoint.as_ref().err();
    fault
        .filter(|_| all.all(|connection| connection.endpoint.is_err()))
        .cloned()
}

/// Returns the obstacle of a device that has no connection, neither of its own nor of its Site.
fn without_connections(snapshot: &DeviceSnapshot) -> Blocked {
    let device = snapshot.device.as_deref();
    let site = device.and_then(|device| device.spec.site_ref.as_ref());
    let message = match site {
        Some(site) if snapshot.site.is_none() => {
            return snapshot.not_at_hand(Referent::Site, &site.name);
        }
        Some(site) => format!(
            "spec.connections is empty, and so is that of the Site {}; name a Connection in one of them",
            site.name
        ),
        None => "spec.connections is empty; name a Connection".to_owned(),
    };
    Blocked::new(Reason::ConnectionNotFound, message)
}

/// Returns the machine that a spec means, as a part of a digest: its serial number, and its identity
/// if the spec says one. Without one the digest is that of before the field was there.
fn machine(device: &Device) -> serde_json::Value {
    let serial = &device.spec.serial_number;
    match device.spec.identity.as_deref().and_then(Identity::of) {
        None => serde_json::json!(serial),
        Some(identity) => serde_json::json!([serial, identity.as_str()]),
    }
}

/// Returns a digest of the machine that a spec means, wherever it is.
pub(in crate::delivery) fn machine_digest(snapshot: &DeviceSnapshot) -> Option<Digest> {
    let device = snapshot.device.as_deref()?;
    Some(digest(&machine(device)))
}

/// Returns a digest of what proof is bound to, where the device can be reached: another URL,
/// printer-uri, serial number or identity in the spec is another target. That a connection may not
/// be used is none.
pub(in crate::delivery) fn target_digest(
    snapshot: &DeviceSnapshot,
    connections: &[ResolvedConnection],
) -> Option<Digest> {
    let device = snapshot.device.as_deref()?;
    let machine = machine(device);
    match connections {
        [only] => {
            let endpoint = only.endpoint.as_ref().ok()?;
            let (name, url) = (&only.name, &endpoint.url);
            Some(match &endpoint.printer_uri {
                // The digest of a Device that names no URI is as it was before there were any.
                None => digest(&(name, url, machine)),
                Some(uri) => digest(&(name, url, machine, uri)),
            })
        }
        _ if unreachable(snapshot, connections).is_some() => None,
        _ => {
            let urls: Vec<_> = device
                .spec
                .connections
                .iter()
                .map(|chosen| {
                    let connection = snapshot.connections.get(chosen.name.as_str())?;
                    endpoint_key(device, chosen, connection)
                })
                .collect();
            let printers = device.spec.connections.iter();
            let printers: Vec<_> = printers.map(|chosen| &chosen.printer_uri).collect();
            Some(if printers.iter().all(|uri| uri.is_none()) {
                digest(&(urls, machine))
            } else {
                digest(&(urls, machine, printers))
            })
        }
    }
}

fn resolve_endpoint(
    snapshot: &DeviceSnapshot,
    device: &Device,
    chosen: (usize, &DeviceConnection),
) -> Result<DeviceEndpoint, Blocked> {
    let name = &chosen.1.name;
    let connection = snapshot.connections.get(name.as_str());
    let connection = connection.ok_or_else(|| snapshot.not_at_hand(Referent::Connection, name))?;
    check_usable(snapshot, name, connection)?;
    let spec = &connection.spec;
    let model = snapshot.model.as_ref().map(|model| &model.spec);
    let identity = Place::of_identity(model, spec);
    if let (Protocol::Agent, Some(identity)) = (spec.protocol, &identity) {
        return Ok(DeviceEndpoint {
            protocol: Protocol::Agent,
            url: url_of_calling(device),
            identity: identity.clone(),
            pinned_certificate: None,
            printer_uri: None,
        });
    }
    let leads = route(spec).zip(identity);
    let (route, identity) = leads.ok_or_else(|| {
        Blocked::new(
            Reason::UnsupportedValue,
            format!(
                "the Connection {name} does not lead to devices; name one of protocol IPP, SNMP, HTTP or Agent"
            ),
        )
    })?;
    let trust = spec.tls.as_ref().map(|tls| tls.trust);
    let site = snapshot.site_of_connections();
    let site = site.and_then(|site| site.metadata.name.as_deref());
    let values = Filling {
        chosen,
        site,
        address: device.spec.address.as_deref(),
        serial_number: &device.spec.serial_number,
    };
    let url = fill(&route, values)?;
    let printer_uri = printer_uri(&url, values)?;
    Ok(DeviceEndpoint {
        protocol: route.protocol,
        url,
        identity,
        pinned_certificate: pinned(device, name, trust.unwrap_or_default()),
        printer_uri,
    })
}

/// Returns the printer-uri that the Device names. The platform team chooses the path by the URL of
/// the Connection, since a server of several queues finds the queue by the path of this URI.
fn printer_uri(url: &str, values: Filling<'_>) -> Result<Option<String>, Blocked> {
    let chosen = values.chosen.1;
    let path = |uri: &str| {
        let behind = uri.split_once("://").map_or("", |(_, behind)| behind);
        let path = behind.find('/').map_or("/", |begin| &behind[begin..]);
        path.to_owned()
    };
    match &chosen.printer_uri {
        Some(uri) if path(uri) != path(url) => Err(Blocked::new(
            Reason::UnsupportedValue,
            format!(
                "{} must have the path that the url of the Connection {} has; only scheme, host and port \
                 may differ",
                values.field("printerUri"),
                chosen.name
            ),
        )),
        uri => Ok(uri.clone()),
    }
}

/// Refuses a connection that the namespace of the device may not use, or whose Secret cannot be
/// read.
pub(in crate::delivery) fn check_usable(
    snapshot: &DeviceSnapshot,
    name: &str,
    connection: &Connection,
) -> Result<(), Blocked> {
    if allows(connection, &snapshot.namespace_labels).is_none() {
        return Err(Blocked::new(
            Reason::NotAllowed,
            format!(
                "the Connection {name} does not allow the namespace {}; ask the platform team for \
                 an entry under allow",
                snapshot.namespace
            ),
        ));
    }
    match snapshot.connection_faults.get(name) {
        Some((reason, message)) => Err(Blocked::new(*reason, message.clone())),
        None => Ok(()),
    }
}

fn pinned(device: &Device, connection: &str, trust: Trust) -> Option<String> {
    if device.spec.certificate_sha256.is_some() {
        return device.spec.certificate_sha256.clone();
    }
    pinned_certificate(device, connection)
        .filter(|_| trust == Trust::FirstUse)
        .map(str::to_owned)
}

/// The values of a Device that fill the places of a route.
#[derive(Clone, Copy)]
struct Filling<'a> {
    /// The entry of its connections, with its index.
    chosen: (usize, &'a DeviceConnection),
    /// Name of the Site that has this entry, if it is not the Device's own.
    site: Option<&'a str>,
    address: Option<&'a str>,
    serial_number: &'a str,
}

impl Filling<'_> {
    /// Returns a field of the entry, as it is written, and whose it is.
    fn field(self, name: &str) -> String {
        let index = self.chosen.0;
        let site = self.site.map(|site| format!(" of the Site {site}"));
        let site = site.unwrap_or_default();
        format!("spec.connections[{index}].{name}{site}")
    }
}

fn unsupported(message: String) -> Blocked {
    Blocked::new(Reason::UnsupportedValue, message)
}

/// Returns the port that a Device chooses of those of a route, else the first of these.
fn port(route: &Route<'_>, values: Filling<'_>) -> Result<i32, Blocked> {
    let chosen = values.chosen.1;
    let port = chosen.port.or_else(|| route.ports.first().copied());
    let port = port.filter(|port| route.ports.contains(port));
    port.ok_or_else(|| {
        let ports: Vec<String> = route.ports.iter().map(ToString::to_string).collect();
        unsupported(format!(
            "{} is not one of those that the Connection {} allows: {}",
            values.field("port"),
            chosen.name,
            ports.join(", ")
        ))
    })
}

/// Returns a serial number as one segment of a path. Nothing that a Device says leads elsewhere.
fn serial_number_in_url(serial_number: &str) -> Result<String, Blocked> {
    if matches!(serial_number, "." | "..") {
        return Err(unsupported(format!(
            "spec.serialNumber is \"{serial_number}\", which no path of a settings distribution server \
             can have: \".\" and \"..\" stand for other parts of a path"
        )));
    }
    let mut segment = String::new();
    for byte in serial_number.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                segment.push(char::from(byte));
            }
            _ => {
                let encoded = format!("%{byte:02X}");
                segment.push_str(&encoded);
            }
        }
    }
    Ok(segment)
}

/// Fills in the values of a Device.
fn fill(route: &Route<'_>, values: Filling<'_>) -> Result<String, Blocked> {
    let chosen = values.chosen.1;
    let mut url = route.url.clone().into_owned();
    let name = &chosen.name;
    if url.contains(SERIAL_NUMBER) {
        url = url.replace(SERIAL_NUMBER, &serial_number_in_url(values.serial_number)?);
    }
    if url.contains("{address}") {
        let address = values.address;
        let address = address.ok_or_else(|| {
            unsupported(format!(
                "spec.address is missing; the Connection {name} needs it"
            ))
        })?;
        let host = if address.contains(':') {
            format!("[{address}]")
        } else {
            address.to_owned()
        };
        url = url.replace("{address}", &host);
    }
    if url.contains("{port}") {
        url = url.replace("{port}", &port(route, values)?.to_string());
    }
    if url.contains("{queue}") {
        let queue = chosen.queue.as_deref().ok_or_else(|| {
            unsupported(format!(
                "{} is missing; the Connection {name} needs it",
                values.field("queue")
            ))
        })?;
        // In a path they lead elsewhere. The API server refuses such a Device; one from before that
        // rule may be stored.
        if matches!(queue, "." | "..") {
            return Err(unsupported(format!(
                "{} is \"{queue}\", and must be the name of a queue: \".\" and \"..\" stand for other parts \
                 of a path",
                values.field("queue")
            )));
        }
        url = url.replace("{queue}", queue);
    }
    // The API server refuses such a Connection; one from before that rule may be stored.
    if url.contains(['{', '}']) {
        return Err(unsupported(format!(
            "the url of the Connection {name} has a placeholder that is none of {{address}}, {{port}} \
             and {{queue}}; ask the platform team to correct it"
        )));
    }
    if let Some(fault) = authority_fault(&url) {
        let place = if route.url.contains("{address}") && fault.starts_with("the host") {
            "spec.address".to_owned()
        } else {
            format!("the url of the Connection {name}")
        };
        return Err(unsupported(format!("{place} cannot be dialled: {fault}")));
    }
    Ok(url)
}
