//! Where a device is reached, and whether its namespace may use the connection (K4).
//!
//! Pure text: which addresses a name resolves to is checked by the driver on every dial.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    v1alpha1::{AllowEntry, Connection, ConnectionSpec, Device, IppEndpoint, Trust},
};

use super::{World, blocked::Blocked, digest::digest};

/// Where a device is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceEndpoint {
    /// The Connection.
    pub connection: String,
    /// The URL with everything filled in.
    pub url: String,
    /// The fingerprint that the certificate must have: that of the spec, or with trust FirstUse
    /// the one seen first.
    pub pinned_certificate: Option<String>,
    /// A digest of what proof is bound to: connection, URL and serial number.
    pub target_digest: String,
}

/// The entry of `allow` that admits a namespace, if any.
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

/// What keeps the login of a Connection from being used: it would go to whatever host a Device
/// names. The API server refuses such a Connection; one that it has from before is not sent. A
/// Device's own login is not concerned.
pub fn login_fault(name: &str, spec: &ConnectionSpec) -> Option<String> {
    let url = &spec.ipp.as_ref()?.url;
    let tls = spec.tls.as_ref();
    let is_checked = url.starts_with("ipps://")
        && tls.is_some_and(|tls| tls.trust == Trust::Verify && tls.ca_config_map_ref.is_some());
    (spec.credentials.is_some() && is_named_by_devices(url) && !is_checked).then(|| {
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

/// Returns what makes two Devices share one endpoint: the Connection and its URL, filled in, with
/// one spelling of the address. What a Device says and the URL does not have makes no difference.
/// `None` where there is no such URL.
pub fn endpoint_key(device: &Device, connection: &Connection) -> Option<String> {
    let name = &device.spec.connections.first()?.name;
    let ipp = connection.spec.ipp.as_ref()?;
    let address = device.spec.address.as_deref().map(canonical);
    let url = fill(ipp, device, address.as_deref(), name).ok()?;
    Some(format!("{name}|{url}"))
}

/// Returns the values under which a Device is found by those that may share its endpoint: the
/// Device alone does not tell which of its parts the URL has.
pub fn endpoint_index(device: &Device) -> Vec<String> {
    let Some(chosen) = device.spec.connections.first() else {
        return Vec::new();
    };
    let address = device.spec.address.as_deref().map(canonical);
    let parts = match (address.as_deref(), chosen.queue.as_deref()) {
        (Some(address), Some(queue)) => vec![(address, queue), (address, ""), ("", queue)],
        (Some(address), None) => vec![(address, "")],
        (None, Some(queue)) => vec![("", queue)],
        (None, None) => Vec::new(),
    };
    let value = |(address, queue)| index_value(&chosen.name, address, queue);
    parts.into_iter().map(value).collect()
}

/// Returns the value of [`endpoint_index`] that all have which may share the endpoint of a Device;
/// `None` where the URL has no such part, so that all Devices of the Connection may.
pub fn endpoint_lookup(device: &Device, connection: &Connection) -> Option<String> {
    let chosen = device.spec.connections.first()?;
    let url = &connection.spec.ipp.as_ref()?.url;
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

/// One spelling of an address: names in lower case without the final dot, IP addresses as they are
/// usually written.
pub(super) fn canonical(address: &str) -> String {
    let address = address.trim_end_matches('.').to_ascii_lowercase();
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(parsed) => parsed.to_canonical().to_string(),
        Err(_) => address,
    }
}

/// Where the world's device is reached, or what keeps it from being reached.
pub fn device_endpoint(world: &World) -> Result<DeviceEndpoint, Blocked> {
    let device = world.device.as_ref().ok_or_else(|| {
        Blocked::new(
            Reason::DeviceNotFound,
            format!("the Device {} does not exist; create it", world.device_name),
        )
    })?;
    let chosen = device.spec.connections.first().ok_or_else(|| {
        Blocked::new(
            Reason::ConnectionNotFound,
            "spec.connections is empty; name a Connection".to_owned(),
        )
    })?;
    let connection = world.connections.get(&chosen.name).ok_or_else(|| {
        Blocked::new(
            Reason::ConnectionNotFound,
            format!("the Connection {} does not exist; create it", chosen.name),
        )
    })?;
    check_usable(world, &chosen.name, connection)?;
    let ipp = connection.spec.ipp.as_ref().ok_or_else(|| {
        Blocked::new(
            Reason::UnsupportedValue,
            format!(
                "the Connection {} does not speak to devices; name one of protocol IPP",
                chosen.name
            ),
        )
    })?;
    let url = fill(ipp, device, device.spec.address.as_deref(), &chosen.name)?;
    let trust = connection
        .spec
        .tls
        .as_ref()
        .map(|tls| tls.trust)
        .unwrap_or_default();
    Ok(DeviceEndpoint {
        connection: chosen.name.clone(),
        target_digest: digest(&(&chosen.name, &url, &device.spec.serial_number)),
        url,
        pinned_certificate: pinned(device, trust),
    })
}

/// Whether a connection may be used by the world's namespace.
pub(super) fn check_usable(
    world: &World,
    name: &str,
    connection: &Connection,
) -> Result<(), Blocked> {
    if allows(connection, &world.namespace_labels).is_none() {
        return Err(Blocked::new(
            Reason::NotAllowed,
            format!(
                "the Connection {name} does not allow the namespace {}; ask the platform team for \
                 an entry under allow",
                world.namespace
            ),
        ));
    }
    match world.connection_faults.get(name) {
        Some((reason, message)) => Err(Blocked::new(*reason, message.clone())),
        None => Ok(()),
    }
}

fn pinned(device: &Device, trust: Trust) -> Option<String> {
    if device.spec.certificate_sha256.is_some() {
        return device.spec.certificate_sha256.clone();
    }
    let identity = device.status.as_ref()?.identity.as_ref()?;
    (trust == Trust::FirstUse && identity.serial_number == device.spec.serial_number)
        .then(|| identity.certificate_sha256.clone())
        .flatten()
}

fn fill(
    IppEndpoint { url, ports }: &IppEndpoint,
    device: &Device,
    address: Option<&str>,
    connection_name: &str,
) -> Result<String, Blocked> {
    let mut url = url.clone();
    let unsupported = |message: String| Blocked::new(Reason::UnsupportedValue, message);
    if url.contains("{address}") {
        let address = address.ok_or_else(|| {
            unsupported(format!(
                "spec.address is missing; the Connection {connection_name} needs it"
            ))
        })?;
        let host = if address.contains(':') {
            format!("[{address}]")
        } else {
            address.to_owned()
        };
        url = url.replace("{address}", &host);
    }
    let chosen = device.spec.connections.first();
    if url.contains("{port}") {
        let port = chosen
            .and_then(|connection| connection.port)
            .or_else(|| ports.first().copied())
            .filter(|port| ports.contains(port));
        let port = port.ok_or_else(|| {
            unsupported(format!(
                "spec.connections[0].port is not one of those that the Connection \
                 {connection_name} allows: {}",
                ports
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ))
        })?;
        url = url.replace("{port}", &port.to_string());
    }
    if url.contains("{queue}") {
        let queue = chosen.and_then(|connection| connection.queue.as_deref()).ok_or_else(|| {
            unsupported(format!(
                "spec.connections[0].queue is missing; the Connection {connection_name} needs it"
            ))
        })?;
        url = url.replace("{queue}", queue);
    }
    Ok(url)
}
