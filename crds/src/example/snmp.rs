//! The example of devices that are set and read by SNMP: a Connection, a model and a device.

use super::{NAMESPACE, map, reference, strings};
use crate::v1alpha1::{
    AllowEntry, Connection, ConnectionSpec, Credentials, CredentialsType, Device, DeviceConnection,
    DeviceModel, DeviceModelSpec, DeviceSetting, DeviceSpec, IdentitySource, LocalReference,
    Protocol, Selector, SnmpEndpoint, SnmpIdentity, SnmpSetting, SnmpType, ValueType, Via,
};

/// A Connection to devices with an SNMP agent, by version 3.
pub fn hq_snmp() -> Connection {
    Connection::new(
        "hq-snmp",
        ConnectionSpec {
            protocol: Protocol::SNMP,
            snmp: Some(SnmpEndpoint::default()),
            allow: vec![AllowEntry {
                name: "banks".to_owned(),
                namespaces: Selector {
                    match_labels: map(&[("kubernetes.io/metadata.name", NAMESPACE)]),
                    match_expressions: Vec::new(),
                },
                networks: strings(&["10.20.0.0/16"]),
            }],
            credentials: Some(Credentials {
                r#type: CredentialsType::SNMPv3,
                ..Credentials::default()
            }),
            ..ConnectionSpec::default()
        },
    )
}

/// A model of label printer that is set by SNMP.
pub fn label_7() -> DeviceModel {
    let setting = |name: &str, oid: &str, r#type, syntax| DeviceSetting {
        name: name.to_owned(),
        r#type,
        via: Via {
            snmp: Some(SnmpSetting {
                oid: oid.to_owned(),
                r#type: syntax,
            }),
            ..Via::default()
        },
        ..DeviceSetting::default()
    };
    let location = setting(
        "location",
        "1.3.6.1.2.1.1.6.0",
        ValueType::String,
        SnmpType::OctetString,
    );
    let sleep = DeviceSetting {
        minimum: Some(1),
        maximum: Some(240),
        unit: Some("minutes".to_owned()),
        ..setting(
            "power.sleep-after",
            "1.3.6.1.4.1.32473.7.1.4.0",
            ValueType::Integer,
            SnmpType::Integer32,
        )
    };
    DeviceModel::new(
        "label-7",
        DeviceModelSpec {
            manufacturer: "Northwind".to_owned(),
            product_names: strings(&["NW Label 7*"]),
            identity: Some(IdentitySource {
                snmp: Some(SnmpIdentity {
                    oid: "1.3.6.1.2.1.43.5.1.1.17.1".to_owned(),
                }),
                ..IdentitySource::default()
            }),
            settings: vec![location, sleep],
            ..DeviceModelSpec::default()
        },
    )
}

/// A label printer, with the Secret of its login.
pub fn label_printer() -> Device {
    let mut device = Device::new(
        "lobby-labels",
        DeviceSpec {
            model_ref: reference("label-7"),
            serial_number: "NW7-0042".to_owned(),
            address: Some("10.20.3.42".to_owned()),
            connections: vec![DeviceConnection {
                name: "hq-snmp".to_owned(),
                credentials_ref: Some(LocalReference {
                    name: "lobby-labels-snmp".to_owned(),
                }),
                ..DeviceConnection::default()
            }],
            ..DeviceSpec::default()
        },
    );
    device.metadata.namespace = Some(NAMESPACE.to_owned());
    device
}
