//! The domain's knowledge of the protocols of devices: the place of a setting, the manner in which
//! a value is carried there, and the route of a Connection.
//!
//! The only file of the domain that names such a protocol; each has one variant of [`Place`] and of
//! [`Manner`], and a member of the functions below. Everything else compares places and passes them
//! on. Speaks to nobody: `entente-drivers` has a folder for each protocol.

use std::{borrow::Cow, fmt};

use entente_crds::v1alpha1::{
    ConnectionSpec, DeviceModelSpec, DeviceSetting, IppOperation, IppSyntax, Protocol, SnmpType,
    SnmpVersion,
};
use serde::Serialize;

/// The path of the System Service of a host (PWG 5100.22, "system-uri").
const IPP_SYSTEM_PATH: &str = "/ipp/system";
/// prtGeneralSerialNumber of the first printer (RFC 3805).
const SNMP_SERIAL_NUMBER: &str = "1.3.6.1.2.1.43.5.1.1.17.1";

/// The devices of a settings distribution server, below its URL (docs/api/settings.yaml).
const SETTINGS_SERVER_PATH: &str = "/v1/devices/{serialNumber}";

/// Place of a device's identity in what it reports through a settings distribution server.
const REPORTED_UUID: &str = "/uuid";

/// Place of a value on a device. Two services must not set one place to different values.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Place {
    /// By IPP.
    Ipp {
        /// The object that has it.
        object: IppObject,
        /// The attribute.
        attribute: String,
    },
    /// Through a settings distribution server: a place in what the device reports there.
    Http {
        /// The place, a JSON pointer (RFC 6901).
        path: String,
    },
    /// By a call of the device: the device's own name of a setting.
    Agent {
        /// The name.
        key: String,
    },
    /// Words of a device that calls about itself when it registered.
    Registration,
    /// By SNMP.
    Snmp {
        /// The name of the object as numbers.
        oid: String,
        /// The syntax of its value: what is read says less than that.
        r#type: SnmpType,
    },
}

/// Object that an IPP attribute belongs to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum IppObject {
    /// One printer (RFC 8011).
    Printer,
    /// The System Service of a host (PWG 5100.22).
    System,
}

/// Manner in which a value is carried to its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Manner {
    /// By IPP.
    Ipp {
        /// The syntax of the value.
        syntax: IppSyntax,
        /// The operation that sets it.
        operation: IppOperation,
    },
    /// Through a settings distribution server, as JSON.
    Http,
    /// By a call of the device, as a text.
    Agent,
    /// By SNMP, in the syntax of the place.
    Snmp,
}

impl Manner {
    /// Returns the syntax and the operation, for the driver of IPP; `None` for any other protocol.
    pub fn as_ipp(self) -> Option<(IppSyntax, IppOperation)> {
        match self {
            Self::Ipp { syntax, operation } => Some((syntax, operation)),
            Self::Http | Self::Agent | Self::Snmp => None,
        }
    }

    /// True if a value waits somewhere until the device fetches it, so that it may be accepted long
    /// before the device has seen it.
    pub fn is_fetched_by_the_device(self) -> bool {
        match self {
            Self::Ipp { .. } | Self::Snmp => false,
            Self::Http | Self::Agent => true,
        }
    }
}

/// Route of a Connection, before the values of a Device are filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// The URL, with {address}, {port}, {queue} and {serialNumber}.
    pub url: Cow<'a, str>,
    /// The ports that {port} may be.
    pub ports: &'a [i32],
}

impl Place {
    /// Returns the place that an IPP operation sets.
    pub fn ipp(operation: IppOperation, attribute: &str) -> Self {
        let object = match operation {
            IppOperation::SetPrinterAttributes | IppOperation::CupsAddModifyPrinter => {
                IppObject::Printer
            }
            IppOperation::SetSystemAttributes => IppObject::System,
        };
        Self::Ipp {
            object,
            attribute: attribute.to_owned(),
        }
    }

    /// Returns the object and the attribute, for the driver of IPP; `None` for any other protocol.
    pub fn as_ipp(&self) -> Option<(IppObject, &str)> {
        match self {
            Self::Ipp { object, attribute } => Some((*object, attribute)),
            Self::Http { .. } | Self::Agent { .. } | Self::Registration | Self::Snmp { .. } => None,
        }
    }

    /// Returns the place in what a device reports through a settings distribution server; `None` for
    /// any other place.
    pub fn as_http(&self) -> Option<&str> {
        match self {
            Self::Http { path } => Some(path),
            Self::Ipp { .. } | Self::Agent { .. } | Self::Registration | Self::Snmp { .. } => None,
        }
    }

    /// Returns the event that tells of the value here, where the device brings it by itself and nobody
    /// can ask for it.
    pub fn news(&self) -> &'static str {
        match self {
            Self::Http { .. } => "report",
            Self::Ipp { .. } | Self::Agent { .. } | Self::Registration | Self::Snmp { .. } => {
                "call"
            }
        }
    }

    /// Returns the device's own name of a setting, of a device that calls; `None` for any other place.
    pub fn as_agent(&self) -> Option<&str> {
        match self {
            Self::Agent { key } => Some(key),
            Self::Ipp { .. } | Self::Http { .. } | Self::Registration | Self::Snmp { .. } => None,
        }
    }

    /// Returns the name of the object as numbers and its syntax, for the driver of SNMP; `None` for any
    /// other protocol.
    pub fn as_snmp(&self) -> Option<(&str, SnmpType)> {
        match self {
            Self::Snmp { oid, r#type } => Some((oid, *r#type)),
            Self::Ipp { .. } | Self::Http { .. } | Self::Agent { .. } | Self::Registration => None,
        }
    }

    /// True if the one who reports the identity here must report the product as well. A System
    /// Service may leave that out: PAPPL does, although PWG 5100.22 has system-make-and-model.
    pub fn tells_the_product(&self) -> bool {
        match self {
            Self::Ipp { object, .. } => *object == IppObject::Printer,
            Self::Http { .. } | Self::Agent { .. } | Self::Registration | Self::Snmp { .. } => true,
        }
    }

    /// True if the identity here is a UUID by the standard, which tells nothing about its machine;
    /// anything else may be private.
    pub fn is_a_uuid(&self) -> bool {
        match self {
            Self::Ipp { attribute, .. } => attribute.ends_with("-uuid"),
            Self::Http { path } => path == REPORTED_UUID,
            Self::Registration => true,
            Self::Agent { .. } | Self::Snmp { .. } => false,
        }
    }

    /// Returns the place of a device's identity, over a connection. `None` if the connection does
    /// not lead to a device.
    pub fn of_identity(
        model: Option<&DeviceModelSpec>,
        connection: &ConnectionSpec,
    ) -> Option<Self> {
        match connection.protocol {
            Protocol::IPP => {}
            Protocol::HTTP => {
                return Some(Self::Http {
                    path: REPORTED_UUID.to_owned(),
                });
            }
            Protocol::Agent => return Some(Self::Registration),
            Protocol::SNMP => return Some(Self::snmp_identity(model)),
            Protocol::OSB => return None,
        }
        let object = ipp_object(connection)?;
        let named = model.and_then(|model| model.identity.as_ref()?.ipp.as_ref());
        let attribute = match (object, named) {
            (IppObject::Printer, Some(named)) => named.attribute.as_str(),
            (IppObject::Printer, None) => "printer-uuid",
            (IppObject::System, _) => "system-uuid",
        };
        Some(Self::Ipp {
            object,
            attribute: attribute.to_owned(),
        })
    }

    /// Returns the place of a device's identity by SNMP: its serial number, where the model names no
    /// other.
    fn snmp_identity(model: Option<&DeviceModelSpec>) -> Self {
        let named = model.and_then(|model| model.identity.as_ref()?.snmp.as_ref());
        let oid = named.map_or(SNMP_SERIAL_NUMBER, |named| named.oid.as_str());
        Self::Snmp {
            oid: oid.to_owned(),
            r#type: SnmpType::OctetString,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipp { attribute, .. } => f.write_str(attribute),
            Self::Http { path } if path == REPORTED_UUID => f.write_str("the UUID"),
            Self::Http { path } => f.write_str(path),
            Self::Agent { key } => f.write_str(key),
            Self::Registration => f.write_str("the UUID"),
            Self::Snmp { oid, .. } => f.write_str(oid),
        }
    }
}

/// Returns the first of the connections that can carry a setting, with its place and manner. `None`
/// where none can.
pub fn carrier<'a>(
    setting: &DeviceSetting,
    connections: &[(&'a str, &ConnectionSpec)],
) -> Option<(&'a str, Place, Manner)> {
    connections.iter().find_map(|(name, spec)| {
        let (place, manner) = match spec.protocol {
            Protocol::IPP => by_ipp(setting, spec, connections),
            Protocol::HTTP => through_a_settings_server(setting),
            Protocol::Agent => by_a_call(setting),
            Protocol::SNMP => by_snmp(setting, spec),
            Protocol::OSB => None,
        }?;
        Some((*name, place, manner))
    })
}

/// Returns the manner in which a setting is carried through an IPP connection. A printer's
/// connection carries the attributes of its host's System Service, too, unless there is a
/// connection to the System Service itself.
fn by_ipp(
    setting: &DeviceSetting,
    connection: &ConnectionSpec,
    all: &[(&str, &ConnectionSpec)],
) -> Option<(Place, Manner)> {
    let ipp = setting.via.ipp.as_ref()?;
    let leads_to = ipp_object(connection)?;
    let place = Place::ipp(ipp.operation, &ipp.attribute);
    let (object, _) = place.as_ipp()?;
    let system = || {
        all.iter()
            .any(|(_, spec)| ipp_object(spec) == Some(IppObject::System))
    };
    let carries = leads_to == object || leads_to == IppObject::Printer && !system();
    let manner = Manner::Ipp {
        syntax: ipp.syntax,
        operation: ipp.operation,
    };
    carries.then_some((place, manner))
}

/// Returns the manner in which a setting is carried through a settings distribution server.
fn through_a_settings_server(setting: &DeviceSetting) -> Option<(Place, Manner)> {
    let path = setting.via.http.as_ref()?.path.clone();
    Some((Place::Http { path }, Manner::Http))
}

/// Returns the manner in which a setting is carried by a device that calls.
fn by_a_call(setting: &DeviceSetting) -> Option<(Place, Manner)> {
    let key = setting.via.agent.as_ref()?.key.clone();
    Some((Place::Agent { key }, Manner::Agent))
}

/// Returns the manner in which a setting is carried through an SNMP connection: by no version that
/// sends its login in clear text.
fn by_snmp(setting: &DeviceSetting, connection: &ConnectionSpec) -> Option<(Place, Manner)> {
    let snmp = setting.via.snmp.as_ref()?;
    let place = Place::Snmp {
        oid: snmp.oid.clone(),
        r#type: snmp.r#type,
    };
    (!only_reads(connection)).then_some((place, Manner::Snmp))
}

/// True if nothing is ever written through a Connection.
fn only_reads(connection: &ConnectionSpec) -> bool {
    let snmp = connection.snmp.as_ref();
    snmp.is_some_and(|snmp| snmp.version == SnmpVersion::V2C)
}

/// Returns the reason for which a Connection carries no setting although the DeviceModel says how, as
/// the rest of a sentence; `None` if there is none.
pub fn obstacle(
    setting: &DeviceSetting,
    connections: &[(&str, &ConnectionSpec)],
) -> Option<String> {
    setting.via.snmp.as_ref()?;
    let (name, _) = connections.iter().find(|(_, spec)| only_reads(spec))?;
    Some(format!(
        "the Connection {name} has snmp.version V2C, by which nothing is written; version V3 carries \
         it"
    ))
}

/// Returns the URL by which a Device that calls is told from all others: nobody dials it.
pub fn calling_url(namespace: &str, device: &str) -> String {
    format!("calls:{namespace}/{device}")
}

/// Returns the route of a Connection; `None` if it does not lead to a device that is dialled.
pub fn route(connection: &ConnectionSpec) -> Option<Route<'_>> {
    let (url, ports): (Cow<'_, str>, &[i32]) = match connection.protocol {
        Protocol::IPP => {
            let ipp = connection.ipp.as_ref()?;
            (ipp.url.as_str().into(), &ipp.ports)
        }
        Protocol::SNMP => {
            let snmp = connection.snmp.as_ref()?;
            (format!("snmp://{{address}}:{}", snmp.port).into(), &[])
        }
        Protocol::HTTP => {
            let server = connection.http.as_ref()?.url.trim_end_matches('/');
            (format!("{server}{SETTINGS_SERVER_PATH}").into(), &[])
        }
        Protocol::OSB | Protocol::Agent => return None,
    };
    Some(Route {
        protocol: connection.protocol,
        url,
        ports,
    })
}

/// Manner in which a panel is reached through a connection.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PanelPath {
    /// It can be read by another way than the one by which it is written.
    ReadBack,
    /// The device fetches a message, and reports that it shows it.
    Reported,
    /// It can only be written.
    WriteOnly,
}

/// Returns the manner in which the panel of a device is reached; `None` if it is not.
pub fn panel_path(connection: &ConnectionSpec) -> Option<PanelPath> {
    match connection.protocol {
        Protocol::IPP => {
            let leads_to = ipp_object(connection);
            (leads_to == Some(IppObject::Printer)).then_some(PanelPath::WriteOnly)
        }
        Protocol::Agent => Some(PanelPath::Reported),
        Protocol::SNMP => (!only_reads(connection)).then_some(PanelPath::ReadBack),
        Protocol::OSB | Protocol::HTTP => None,
    }
}

/// Returns the longest message that a panel takes by a protocol, in octets.
pub fn most_octets(protocol: Protocol) -> Option<usize> {
    match protocol {
        // "message" of Identify-Printer is text(127) (PWG 5100.13).
        Protocol::IPP => Some(127),
        Protocol::OSB | Protocol::HTTP | Protocol::Agent | Protocol::SNMP => None,
    }
}

/// True if the device may report its status by a connection, by itself or when it is asked.
pub fn reports_status(connection: &ConnectionSpec) -> bool {
    connection.protocol == Protocol::Agent || is_asked_for_status(connection)
}

/// True if the device is asked for status reports through a connection.
pub fn is_asked_for_status(connection: &ConnectionSpec) -> bool {
    connection.protocol == Protocol::SNMP
        || panel_path(connection).is_some_and(|path| path != PanelPath::Reported)
}

/// True if the notifications of the device can be fetched through a connection, besides its status.
pub fn notifies(connection: &ConnectionSpec) -> bool {
    connection.protocol == Protocol::IPP && is_asked_for_status(connection)
}

/// Returns the object that an IPP connection leads to.
fn ipp_object(connection: &ConnectionSpec) -> Option<IppObject> {
    let (_, rest) = connection.ipp.as_ref()?.url.split_once("://")?;
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    Some(if path == IPP_SYSTEM_PATH {
        IppObject::System
    } else {
        IppObject::Printer
    })
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::{
        HttpEndpoint, HttpSetting, IppEndpoint, IppSetting, SnmpEndpoint, SnmpSetting, Via,
    };

    use super::*;

    fn leading_to(url: &str) -> ConnectionSpec {
        ConnectionSpec {
            ipp: Some(IppEndpoint {
                url: url.to_owned(),
                ..IppEndpoint::default()
            }),
            ..ConnectionSpec::default()
        }
    }

    fn set_by(operation: IppOperation) -> DeviceSetting {
        let ipp = IppSetting {
            attribute: "location".to_owned(),
            operation,
            ..IppSetting::default()
        };
        DeviceSetting {
            via: Via {
                ipp: Some(ipp),
                ..Via::default()
            },
            ..DeviceSetting::default()
        }
    }

    #[test]
    fn a_setting_goes_through_the_first_connection_that_can_carry_it() {
        let printer = leading_to("ipp://{address}/ipp/print");
        let system = leading_to("ipps://{address}:{port}/ipp/system");
        let broker = ConnectionSpec::default();
        let (of_printer, of_system) = (
            set_by(IppOperation::SetPrinterAttributes),
            set_by(IppOperation::SetSystemAttributes),
        );
        for (connections, printer_goes, system_goes) in [
            (vec![("a", &printer)], Some("a"), Some("a")),
            (vec![("a", &printer), ("b", &printer)], Some("a"), Some("a")),
            (vec![("a", &printer), ("b", &system)], Some("a"), Some("b")),
            (vec![("b", &system), ("a", &printer)], Some("a"), Some("b")),
            (vec![("b", &system)], None, Some("b")),
            (vec![("c", &broker), ("a", &printer)], Some("a"), Some("a")),
            (vec![("c", &broker)], None, None),
            (vec![], None, None),
        ] {
            let through = |setting| carrier(setting, &connections).map(|(name, ..)| name);
            assert_eq!(through(&of_printer), printer_goes, "{connections:?}");
            assert_eq!(through(&of_system), system_goes, "{connections:?}");
        }
    }

    // shows B3
    #[test]
    fn a_setting_goes_by_snmp_through_version_3_only_and_the_reason_is_told() {
        let of = |version| ConnectionSpec {
            protocol: Protocol::SNMP,
            snmp: Some(SnmpEndpoint { port: 161, version }),
            ..ConnectionSpec::default()
        };
        let (v3, v2c) = (of(SnmpVersion::V3), of(SnmpVersion::V2C));
        let snmp = SnmpSetting {
            oid: "1.3.6.1.2.1.1.6.0".to_owned(),
            r#type: SnmpType::OctetString,
        };
        let mut setting = set_by(IppOperation::SetPrinterAttributes);
        setting.via.snmp = Some(snmp);
        let printer = leading_to("ipp://{address}/ipp/print");
        for (connections, carried) in [
            (vec![("a", &v3)], Some("a")),
            (vec![("a", &v2c)], None),
            (vec![("a", &v2c), ("b", &v3)], Some("b")),
            (vec![("a", &v2c), ("b", &printer)], Some("b")),
        ] {
            let through = carrier(&setting, &connections).map(|(name, ..)| name);
            assert_eq!(through, carried, "{connections:?}");
            let is_told = obstacle(&setting, &connections).is_some();
            assert_eq!(is_told, connections.contains(&("a", &v2c)));
        }
        setting.via.snmp = None;
        assert_eq!(obstacle(&setting, &[("a", &v2c)]), None);
    }

    #[test]
    fn the_route_by_snmp_has_the_address_of_the_device_and_the_port_of_the_connection() {
        let connection = ConnectionSpec {
            protocol: Protocol::SNMP,
            snmp: Some(SnmpEndpoint {
                port: 1161,
                ..SnmpEndpoint::default()
            }),
            ..ConnectionSpec::default()
        };
        let url = route(&connection).map(|route| route.url.into_owned());
        assert_eq!(url.as_deref(), Some("snmp://{address}:1161"));
    }

    // shows B3
    #[test]
    fn a_setting_goes_through_a_settings_server_by_its_pointer() {
        let server = ConnectionSpec {
            protocol: Protocol::HTTP,
            http: Some(HttpEndpoint {
                url: "https://settings.example/fleet/".to_owned(),
            }),
            ..ConnectionSpec::default()
        };
        let mut setting = set_by(IppOperation::SetPrinterAttributes);
        assert_eq!(carrier(&setting, &[("s", &server)]), None);
        setting.via.http = Some(HttpSetting {
            path: "/settings/location".to_owned(),
        });
        let place = Place::Http {
            path: "/settings/location".to_owned(),
        };
        let found = carrier(&setting, &[("s", &server)]);
        assert_eq!(found, Some(("s", place, Manner::Http)));
        assert_eq!(
            route(&server).expect("a route").url,
            "https://settings.example/fleet/v1/devices/{serialNumber}"
        );
        let identity = Place::of_identity(None, &server).expect("a place");
        assert!(identity.is_a_uuid() && identity.tells_the_product());
    }

    #[test]
    fn the_same_attribute_of_a_printer_and_of_its_system_are_two_places() {
        let printer = Place::ipp(IppOperation::SetPrinterAttributes, "location");
        assert_eq!(
            printer,
            Place::ipp(IppOperation::CupsAddModifyPrinter, "location")
        );
        assert_ne!(
            printer,
            Place::ipp(IppOperation::SetSystemAttributes, "location")
        );
    }
}
