//! The examples of devices that call: the Connection of the gateway, an enrollment, and a twin.
//!
//! The twin is for documents and tests only: the operator makes it.

use super::{NAMESPACE, derived::instant, map, reference, strings};
use crate::v1alpha1::{
    AgentEndpoint, AgentRegion, AllowEntry, Connection, ConnectionSpec, DeviceEnrollment,
    DeviceEnrollmentSpec, DeviceTemplate, DeviceTwin, DeviceTwinSpec, EnrollmentMode,
    LocalReference, Protocol, Selector, SerialNumbers, TwinDevice, TwinNext, TwinSetting,
};

/// The Connection of the gateway that the example devices call.
pub fn gateway() -> Connection {
    let region = |name: &str, url: &str, countries: &[&str]| AgentRegion {
        name: name.to_owned(),
        url: url.to_owned(),
        countries: strings(countries),
    };
    Connection::new(
        "gateway",
        ConnectionSpec {
            protocol: Protocol::Agent,
            agent: Some(AgentEndpoint {
                url: "https://gw.sa.northwind.example".to_owned(),
                region: "sa".to_owned(),
                regions: vec![
                    region("sa", "https://gw.sa.northwind.example", &["BR", "AR"]),
                    region("jp", "https://gw.jp.northwind.example", &["JP"]),
                ],
                elsewhere: Some("sa".to_owned()),
                ..AgentEndpoint::default()
            }),
            allow: vec![AllowEntry {
                name: "banks".to_owned(),
                namespaces: Selector {
                    match_labels: map(&[("kubernetes.io/metadata.name", NAMESPACE)]),
                    match_expressions: Vec::new(),
                },
                networks: Vec::new(),
            }],
            ..ConnectionSpec::default()
        },
    )
}

/// An enrollment that makes a Device for each machine of a series.
pub fn enrollment() -> DeviceEnrollment {
    let mut enrollment = DeviceEnrollment::new(
        "banco-sul-branches",
        DeviceEnrollmentSpec {
            connection_ref: reference("gateway"),
            token_secret_ref: LocalReference {
                name: "banco-sul-enrollment".to_owned(),
            },
            mode: EnrollmentMode::Create,
            serial_numbers: Some(SerialNumbers {
                pattern: Some("NW5-[0-9]{4,8}".to_owned()),
                names: Vec::new(),
            }),
            template: Some(DeviceTemplate {
                name_prefix: "branch-".to_owned(),
                labels: map(&[("contract", NAMESPACE)]),
                time_zone: Some("FromDevice".to_owned()),
            }),
            max_devices: Some(500),
            expires: Some("2027-06-30".to_owned()),
            ..DeviceEnrollmentSpec::default()
        },
    );
    enrollment.metadata.namespace = Some(NAMESPACE.to_owned());
    enrollment
}

/// The twin that the operator makes of a device that calls.
pub fn device_twin() -> DeviceTwin {
    let setting = |name: &str, value: &str| TwinSetting {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        asked: 1,
        ..TwinSetting::default()
    };
    let mut twin = DeviceTwin::new(
        "branch-nw5-0007",
        DeviceTwinSpec {
            device_ref: Some(TwinDevice {
                name: "branch-nw5-0007".to_owned(),
                uid: "0d3c9c3e-7d55-4a35-8c6e-6f1b5f4c9a01".to_owned(),
            }),
            settings: vec![
                setting("backup.endpoint", "https://backup.northwind.example/v1"),
                setting("backup.weekdays", "sun,wed"),
            ],
            next: Some(TwinNext {
                effective: instant("2027-04-01T03:00:00Z"),
                settings: vec![setting("backup.weekdays", "wed")],
            }),
        },
    );
    twin.metadata.namespace = Some(NAMESPACE.to_owned());
    twin
}
