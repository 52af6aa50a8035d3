//! The example catalogue: two Connections, a DeviceModel and two SmartServices.

use super::{NAMESPACE, map, reference, strings};
use crate::v1alpha1::{
    Activation, AgentSetting, AllowEntry, Connection, ConnectionSpec, ContractFact, Credentials,
    CredentialsType, DeviceFact, DeviceModel, DeviceModelSpec, DeviceSetting, DeviceSide,
    HttpSetting, IdentitySource, IppEndpoint, IppIdentity, IppOperation, IppSetting, IppSyntax,
    Limit, Limits, LocalReference, Mapping, OsbEndpoint, Parameter, Proof, Protocol, Selector,
    ServerSetting, ServerSide, ServiceLevel, SmartService, SmartServiceSpec, TakesEffect, Tls,
    Updates, ValueSource, ValueType, Via, WantedSetting, When,
};

pub(super) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A Connection to the example devices, by IPP.
pub fn hq_ipp() -> Connection {
    Connection::new(
        "hq-ipp",
        ConnectionSpec {
            protocol: Protocol::IPP,
            ipp: Some(IppEndpoint {
                url: "ipp://{address}:631/ipp/print".to_owned(),
                ports: Vec::new(),
            }),
            allow: vec![allow("banks", "10.20.0.0/16")],
            limits: Some(Limits {
                per_host: Some(Limit {
                    in_flight: 1,
                    per_second: 10,
                }),
                total: Some(Limit {
                    in_flight: 512,
                    per_second: 1000,
                }),
            }),
            ..ConnectionSpec::default()
        },
    )
}

/// A Connection to the example service server, an Open Service Broker.
pub fn northwind_services() -> Connection {
    Connection::new(
        "northwind-services",
        ConnectionSpec {
            protocol: Protocol::OSB,
            osb: Some(OsbEndpoint {
                url: "https://broker.northwind.example".to_owned(),
                ..OsbEndpoint::default()
            }),
            allow: vec![allow("banks", "203.0.113.0/24")],
            tls: Some(Tls::default()),
            credentials: Some(Credentials {
                r#type: CredentialsType::Basic,
                secret_ref: Some(LocalReference {
                    name: "northwind-services".to_owned(),
                }),
                ..Credentials::default()
            }),
            ..ConnectionSpec::default()
        },
    )
}

fn allow(name: &str, network: &str) -> AllowEntry {
    AllowEntry {
        name: name.to_owned(),
        namespaces: Selector {
            match_labels: map(&[("kubernetes.io/metadata.name", NAMESPACE)]),
            match_expressions: Vec::new(),
        },
        networks: vec![network.to_owned()],
    }
}

/// A model of device that takes all its settings by Set-Printer-Attributes.
pub fn mfp_500() -> DeviceModel {
    DeviceModel::new(
        "mfp-500",
        DeviceModelSpec {
            manufacturer: "Northwind".to_owned(),
            product_names: strings(&["Northwind MFP 500"]),
            identity: Some(IdentitySource {
                ipp: Some(IppIdentity {
                    attribute: "printer-uuid".to_owned(),
                }),
                ..IdentitySource::default()
            }),
            settings: settings(),
            ..DeviceModelSpec::default()
        },
    )
}

fn settings() -> Vec<DeviceSetting> {
    use ValueType::{Boolean, Integer, Keyword, KeywordSet, String};
    let text = |setting| DeviceSetting {
        max_length: Some(255),
        ..setting
    };
    let words = |allowed: &[&str], setting| DeviceSetting {
        allowed: strings(allowed),
        ..setting
    };
    let percent = |setting| DeviceSetting {
        minimum: Some(1),
        maximum: Some(100),
        unit: Some("percent".to_owned()),
        ..setting
    };
    let endpoint = ("backup.endpoint", "nw-backup-endpoint", IppSyntax::Text);
    let weekdays = ("backup.weekdays", "nw-backup-weekdays", IppSyntax::Keyword);
    let mode = ("backup.mode", "nw-backup-mode", IppSyntax::Keyword);
    let enabled = ("alert.enabled", "nw-alert-enabled", IppSyntax::Boolean);
    let threshold = ("alert.threshold", "nw-alert-threshold", IppSyntax::Integer);
    let unit = ("alert.unit", "nw-alert-unit", IppSyntax::Name);
    vec![
        text(setting(String, endpoint)),
        words(&WEEKDAYS, setting(KeywordSet, weekdays)),
        words(&["full", "differential"], setting(Keyword, mode)),
        setting(Boolean, enabled),
        percent(setting(Integer, threshold)),
        text(setting(String, unit)),
    ]
}

pub(super) fn setting(
    kind: ValueType,
    (name, attribute, syntax): (&str, &str, IppSyntax),
) -> DeviceSetting {
    DeviceSetting {
        name: name.to_owned(),
        r#type: kind,
        via: Via {
            ipp: Some(IppSetting {
                attribute: attribute.to_owned(),
                syntax,
                operation: IppOperation::SetPrinterAttributes,
            }),
            http: Some(HttpSetting {
                path: format!("/settings/{}", name.replace('.', "/")),
            }),
            agent: Some(AgentSetting {
                key: name.to_owned(),
            }),
            ..Via::default()
        },
        takes_effect: TakesEffect::Immediately,
        ..DeviceSetting::default()
    }
}

/// A service that needs settings on the device and on the service server, and is then turned on.
pub fn data_backup() -> SmartService {
    SmartService::new(
        "data-backup",
        SmartServiceSpec {
            provider: "Northwind".to_owned(),
            description: Some("Nightly backup of address book and settings".to_owned()),
            parameters: vec![
                Parameter {
                    name: "weekdays".to_owned(),
                    r#type: ValueType::KeywordSet,
                    allowed: strings(&WEEKDAYS),
                    default: Some("sun".to_owned()),
                    ..Parameter::default()
                },
                Parameter {
                    name: "mode".to_owned(),
                    r#type: ValueType::Keyword,
                    allowed: strings(&["Full", "Differential"]),
                    default: Some("Full".to_owned()),
                    ..Parameter::default()
                },
            ],
            device: Some(DeviceSide {
                models: vec![reference("mfp-500").into()],
                settings: vec![
                    fixed("backup.endpoint", "https://backup.northwind.example/v1"),
                    from_parameter("backup.weekdays", "weekdays", &[]),
                    from_parameter(
                        "backup.mode",
                        "mode",
                        &[("Full", "full"), ("Differential", "differential")],
                    ),
                ],
                ..DeviceSide::default()
            }),
            server: Some(data_backup_server()),
            service_level: Some(ServiceLevel::default()),
            ..SmartServiceSpec::default()
        },
    )
}

fn data_backup_server() -> ServerSide {
    ServerSide {
        connection_ref: reference("northwind-services"),
        offering: "data-backup".to_owned(),
        plan: "standard".to_owned(),
        updates: Updates::Replace,
        proof: Proof::Read,
        settings: vec![
            ServerSetting {
                name: "weekdays".to_owned(),
                pointer: Some("/schedule/weekdays".to_owned()),
                value_from: Some(parameter("weekdays", &[])),
                ..ServerSetting::default()
            },
            ServerSetting {
                name: "mode".to_owned(),
                value_from: Some(parameter("mode", &[])),
                ..ServerSetting::default()
            },
            ServerSetting {
                name: "device".to_owned(),
                value_from: Some(ValueSource {
                    device: Some(DeviceFact::SerialNumber),
                    ..ValueSource::default()
                }),
                ..ServerSetting::default()
            },
            ServerSetting {
                name: "customer".to_owned(),
                value_from: Some(ValueSource {
                    contract: Some(ContractFact::CustomerID),
                    ..ValueSource::default()
                }),
                ..ServerSetting::default()
            },
        ],
        activation: Some(Activation {
            name: "enabled".to_owned(),
            active: "true".to_owned(),
            inactive: "false".to_owned(),
        }),
    }
}

/// A service that needs the device only: no service instruction is ever sent.
pub fn parts_life() -> SmartService {
    SmartService::new(
        "parts-life",
        SmartServiceSpec {
            provider: "Northwind".to_owned(),
            description: Some("Tells in time which part wears out".to_owned()),
            parameters: vec![
                Parameter {
                    name: "threshold".to_owned(),
                    r#type: ValueType::Integer,
                    minimum: Some(1),
                    maximum: Some(100),
                    default: Some("20".to_owned()),
                    ..Parameter::default()
                },
                Parameter {
                    name: "unit".to_owned(),
                    r#type: ValueType::Keyword,
                    allowed: strings(&["All", "Fuser"]),
                    default: Some("All".to_owned()),
                    ..Parameter::default()
                },
            ],
            device: Some(DeviceSide {
                models: vec![reference("mfp-500").into()],
                settings: vec![
                    fixed("alert.enabled", "true"),
                    from_parameter("alert.threshold", "threshold", &[]),
                    WantedSetting {
                        name: "alert.unit".to_owned(),
                        value: Some("fuser".to_owned()),
                        when: Some(When {
                            parameter: "unit".to_owned(),
                            r#in: strings(&["Fuser"]),
                        }),
                        otherwise: Some("all".to_owned()),
                        ..WantedSetting::default()
                    },
                ],
                ..DeviceSide::default()
            }),
            ..SmartServiceSpec::default()
        },
    )
}

pub(super) fn fixed(name: &str, value: &str) -> WantedSetting {
    WantedSetting {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..WantedSetting::default()
    }
}

pub(super) fn from_parameter(name: &str, source: &str, mapping: &[(&str, &str)]) -> WantedSetting {
    WantedSetting {
        name: name.to_owned(),
        value_from: Some(parameter(source, mapping)),
        ..WantedSetting::default()
    }
}

pub(super) fn parameter(name: &str, mapping: &[(&str, &str)]) -> ValueSource {
    ValueSource {
        parameter: Some(name.to_owned()),
        map: mapping
            .iter()
            .map(|(from, to)| Mapping {
                from: (*from).to_owned(),
                to: (*to).to_owned(),
            })
            .collect(),
        ..ValueSource::default()
    }
}
