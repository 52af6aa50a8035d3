//! The examples of devices that call: the Connections of the gateway and of the files, an enrollment, a
//! device with its contract, and a twin.
//!
//! The twin is for documents and tests only: the operator makes it.

use super::{
    NAMESPACE, banco_sul_2027, catalogue::fixed, customer::backup_entry, derived::instant, map,
    reference, strings,
};
use crate::v1alpha1::{
    AgentEndpoint, AgentRegion, AgentSetting, AgentSoftware, AllowEntry, Application, Artifact,
    Connection, ConnectionSpec, Contract, ContractService, ContractSpec, DataEvent, Device,
    DeviceConnection, DeviceEnrollment, DeviceEnrollmentSpec, DeviceModel, DeviceModelSpec,
    DeviceSetting, DeviceSide, DeviceSpec, DeviceTemplate, DeviceTwin, DeviceTwinSpec, Devices,
    EnrollmentMode, Firmware, HttpEndpoint, LocalReference, MAIN_FIRMWARE, MaintenanceWindow,
    Protocol, Selector, SerialNumbers, ServiceApplication, ServiceModel, SmartService,
    SmartServiceSpec, SoftwarePart, SoftwareVia, TwinDataType, TwinDeployment, TwinDevice,
    TwinMessage, TwinNext, TwinSetting, ValueType, Via, Weekday,
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

/// The Connection through which the gateway fetches the files that the example devices install.
pub fn northwind_files() -> Connection {
    Connection::new(
        "northwind-files",
        ConnectionSpec {
            protocol: Protocol::HTTP,
            http: Some(HttpEndpoint {
                url: "https://files.northwind.example/".to_owned(),
            }),
            allow: vec![AllowEntry {
                name: "banks".to_owned(),
                namespaces: Selector {
                    match_labels: map(&[("kubernetes.io/metadata.name", NAMESPACE)]),
                    match_expressions: Vec::new(),
                },
                networks: strings(&["203.0.113.0/24"]),
            }],
            ..ConnectionSpec::default()
        },
    )
}

/// A device that calls, whose software is installed at night only.
pub fn calling_device() -> Device {
    let mut device = Device::new(
        "branch-nw5-0007",
        DeviceSpec {
            model_ref: reference("mfp-510"),
            serial_number: "NW5-0007".to_owned(),
            connections: vec![DeviceConnection {
                name: "gateway".to_owned(),
                ..DeviceConnection::default()
            }],
            time_zone: Some("America/Sao_Paulo".to_owned()),
            maintenance_windows: vec![MaintenanceWindow {
                days: vec![Weekday::Sat, Weekday::Sun],
                start: "02:00".to_owned(),
                duration: "4h".into(),
            }],
            ..DeviceSpec::default()
        },
    );
    device.metadata.namespace = Some(NAMESPACE.to_owned());
    device
}

/// The contract of [`remote_panel`] on [`calling_device`].
pub fn panel_contract() -> Contract {
    let whole = banco_sul_2027();
    let mut contract = Contract::new(
        "banco-sul-panels",
        ContractSpec {
            customer: whole.spec.customer,
            currency: whole.spec.currency,
            term: whole.spec.term,
            services: vec![ContractService {
                name: "panel".to_owned(),
                service_ref: reference("remote-panel"),
                devices: Devices {
                    names: strings(&["branch-nw5-0007"]),
                    ..Devices::default()
                },
                fee: backup_entry().fee,
                ..ContractService::default()
            }],
            ..ContractSpec::default()
        },
    );
    contract.metadata.namespace = Some(NAMESPACE.to_owned());
    contract
}

/// An enrolment that makes a Device for each machine of a series.
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

/// A model of device that calls, and installs its firmware and its applications by itself.
pub fn mfp_510() -> DeviceModel {
    let firmware = |version: &str, sha256: &str, size: i64| Firmware {
        name: MAIN_FIRMWARE.to_owned(),
        version: version.to_owned(),
        artifact: artifact(&format!("mfp-510-{version}.swu"), sha256, size),
        via: by_a_call(),
        downgrade: false,
        takes: Some("30m".into()),
    };
    DeviceModel::new(
        "mfp-510",
        DeviceModelSpec {
            manufacturer: "Northwind".to_owned(),
            product_names: strings(&["Northwind MFP 510"]),
            settings: vec![DeviceSetting {
                name: "panel.endpoint".to_owned(),
                r#type: ValueType::String,
                max_length: Some(255),
                via: Via {
                    agent: Some(AgentSetting {
                        key: "panel.endpoint".to_owned(),
                    }),
                    ..Via::default()
                },
                ..DeviceSetting::default()
            }],
            firmware: vec![
                firmware("4.1.0", &"a1".repeat(32), 71_303_168),
                firmware("4.2.0", &"a2".repeat(32), 73_400_320),
            ],
            applications: vec![Application {
                name: "panel-agent".to_owned(),
                version: "2.1.0".to_owned(),
                artifact: artifact("panel-agent-2.1.0.swu", &"b1".repeat(32), 1_048_576),
                via: by_a_call(),
            }],
            ..DeviceModelSpec::default()
        },
    )
}

fn by_a_call() -> SoftwareVia {
    SoftwareVia {
        agent: Some(AgentSoftware {}),
    }
}

fn artifact(file: &str, sha256: &str, size: i64) -> Artifact {
    Artifact {
        url: format!("https://files.northwind.example/{file}"),
        sha256: sha256.to_owned(),
        size,
        ..Artifact::default()
    }
}

/// A service that needs firmware and an application of devices that call.
pub fn remote_panel() -> SmartService {
    SmartService::new(
        "remote-panel",
        SmartServiceSpec {
            provider: "Northwind".to_owned(),
            description: Some("Lets the help desk see the panel of a device".to_owned()),
            device: Some(DeviceSide {
                models: vec![ServiceModel {
                    name: "mfp-510".to_owned(),
                    minimum_firmware: Some("4.2.0".to_owned()),
                    applications: vec![ServiceApplication {
                        name: "panel-agent".to_owned(),
                        version: "2.1.0".to_owned(),
                    }],
                }],
                settings: vec![fixed(
                    "panel.endpoint",
                    "https://panel.northwind.example/v1",
                )],
                ..DeviceSide::default()
            }),
            ..SmartServiceSpec::default()
        },
    )
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
            data_types: vec![TwinDataType {
                name: "supplies.level".to_owned(),
                on: vec![DataEvent::BelowThreshold, DataEvent::Replaced],
                threshold: Some(20),
                period: "6h".into(),
                wanted_by: vec!["branches-2027.toner.branch-nw5-0007".to_owned()],
            }],
            messages: vec![TwinMessage {
                id: "branch-nw5-0007.toner-empty.black-toner.7".to_owned(),
                language: "pt".to_owned(),
                text: "O toner preto acabou. Um novo foi pedido: PO-88123".to_owned(),
                short: "Pedido PO-88123".to_owned(),
            }],
            deployment: Some(TwinDeployment {
                action: 2,
                part: Some(SoftwarePart::Firmware),
                name: Some(MAIN_FIRMWARE.to_owned()),
                version: Some("4.2.0".to_owned()),
                artifact: Some(artifact("mfp-510-4.2.0.swu", &"a2".repeat(32), 73_400_320)),
                until: Some(instant("2027-03-28T09:00:00Z")),
                cancel: Some(1),
            }),
            call_at: Some(instant("2027-03-28T05:00:00Z")),
            next: Some(TwinNext {
                effective: instant("2027-04-01T03:00:00Z"),
                settings: vec![setting("backup.weekdays", "wed")],
            }),
        },
    );
    twin.metadata.namespace = Some(NAMESPACE.to_owned());
    twin
}
