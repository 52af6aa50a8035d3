//! The examples as typed values: a catalogue, a customer's devices and a contract.
//!
//! `crdgen` writes them into `examples/`, tests and the demo start from them. They must stay valid
//! for the API server as they are, and show each kind once as people write it. What the operator
//! itself makes ([`service_subscription`], [`compensation`]) is here to be read in documents and
//! tests only and is never written into `examples/`, since nobody applies it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::v1alpha1::{
    Activation, AllowEntry, CapOf, Cause, Compensation, CompensationSpec, Connection,
    ConnectionSpec, Contract, ContractFact, ContractService, ContractSpec, CountFrom, Credentials,
    CredentialsType, CreditBasis, CreditCap, Customer, Device, DeviceConnection, DeviceFact,
    DeviceModel, DeviceModelSpec, DeviceSetting, DeviceSide, DeviceSpec, Devices, Fee, FeeCredit,
    FeeOf, IdentitySource, IppEndpoint, IppIdentity, IppOperation, IppSetting, IppSyntax, Limit,
    Limits, LocalReference, Mapping, NameReference, ObjectIdentity, OsbEndpoint, Parameter, Period,
    Protocol, Record, RecordCustomer, RecordDevice, Remedy, RemedyType, Revision, Selector,
    ServerSetting, ServerSide, ServiceLevel, ServiceSubscription, ServiceSubscriptionSpec,
    SmartService, SmartServiceSpec, SubscriptionContract, SubscriptionCustomer, TakesEffect, Term,
    Tls, Updates, ValueSource, ValueType, Via, WantedSetting, When,
};

/// The namespace of the example customer.
pub const NAMESPACE: &str = "banco-sul";

/// The names of the example devices, all in [`NAMESPACE`]. The first one has no label and is
/// named by the contract; the others are selected.
pub const DEVICES: [&str; 4] = [
    "lobby-mfp",
    "branch-01-mfp",
    "branch-02-mfp",
    "branch-03-mfp",
];

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

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
            }),
            allow: vec![allow("banks", "203.0.113.0/24")],
            tls: Some(Tls::default()),
            credentials: Some(Credentials {
                r#type: CredentialsType::Basic,
                secret_ref: LocalReference {
                    name: "northwind-services".to_owned(),
                },
                token_url: None,
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
            }),
            settings: settings(),
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

fn setting(kind: ValueType, (name, attribute, syntax): (&str, &str, IppSyntax)) -> DeviceSetting {
    DeviceSetting {
        name: name.to_owned(),
        r#type: kind,
        via: Via {
            ipp: Some(IppSetting {
                attribute: attribute.to_owned(),
                syntax,
                operation: IppOperation::SetPrinterAttributes,
            }),
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
                models: vec![reference("mfp-500")],
                settings: vec![
                    fixed("backup.endpoint", "https://backup.northwind.example/v1"),
                    from_parameter("backup.weekdays", "weekdays", &[]),
                    from_parameter(
                        "backup.mode",
                        "mode",
                        &[("Full", "full"), ("Differential", "differential")],
                    ),
                ],
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
                models: vec![reference("mfp-500")],
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
            }),
            ..SmartServiceSpec::default()
        },
    )
}

/// One device per name of [`DEVICES`].
pub fn devices() -> Vec<Device> {
    DEVICES
        .iter()
        .zip(1_u8..)
        .map(|(name, number)| device(name, number))
        .collect()
}

fn device(name: &str, number: u8) -> Device {
    let mut device = Device::new(
        name,
        DeviceSpec {
            model_ref: reference("mfp-500"),
            serial_number: format!("NW500-{number:04}"),
            address: Some(format!("10.20.3.{number}")),
            connections: vec![DeviceConnection {
                name: "hq-ipp".to_owned(),
                ..DeviceConnection::default()
            }],
            time_zone: Some("America/Sao_Paulo".to_owned()),
            ..DeviceSpec::default()
        },
    );
    device.metadata.namespace = Some(NAMESPACE.to_owned());
    if name != DEVICES[0] {
        device.metadata.labels = Some(map(&[("contract", NAMESPACE)]));
    }
    device
}

/// A contract of two services for three years.
pub fn banco_sul_2027() -> Contract {
    let mut contract = Contract::new(
        "banco-sul-2027",
        ContractSpec {
            customer: Customer {
                id: "C-4711".to_owned(),
                name: Some("Banco Sul".to_owned()),
            },
            currency: Some("BRL".to_owned()),
            term: Term {
                start_date: Some("2027-04-01".to_owned()),
                end_date: Some("2030-03-31".to_owned()),
                time_zone: "America/Sao_Paulo".to_owned(),
                ..Term::default()
            },
            max_unavailable: Some(IntOrString::String("2%".to_owned())),
            services: vec![backup_entry(), parts_entry()],
            counted_causes: Some(vec![Cause::Device, Cause::Server, Cause::Provider]),
            ..ContractSpec::default()
        },
    );
    contract.metadata.namespace = Some(NAMESPACE.to_owned());
    contract
}

fn backup_entry() -> ContractService {
    ContractService {
        name: "backup".to_owned(),
        service_ref: reference("data-backup"),
        devices: Devices {
            selector: Some(Selector {
                match_labels: map(&[("contract", NAMESPACE)]),
                match_expressions: Vec::new(),
            }),
            names: strings(&DEVICES[..1]),
            expect: Some(4),
        },
        parameters: map(&[("weekdays", "wed,sun"), ("mode", "Differential")]),
        fee: Some(Fee {
            amount: "12.50".to_owned(),
            per: Period::Month,
            of: FeeOf::EachDevice,
        }),
        service_level: Some(ServiceLevel {
            allowed: "4h".into(),
            count: CountFrom::FromPromise,
        }),
        remedies: vec![credit()],
        ..ContractService::default()
    }
}

fn parts_entry() -> ContractService {
    ContractService {
        name: "parts".to_owned(),
        service_ref: reference("parts-life"),
        devices: Devices {
            selector: Some(Selector {
                match_labels: map(&[("contract", NAMESPACE)]),
                match_expressions: Vec::new(),
            }),
            ..Devices::default()
        },
        parameters: map(&[("threshold", "15")]),
        fee: Some(Fee {
            amount: "90".to_owned(),
            per: Period::Quarter,
            of: FeeOf::AllDevices,
        }),
        remedies: vec![Remedy {
            name: "pro-rata".to_owned(),
            r#type: RemedyType::FeeCredit,
            credit: Some(FeeCredit {
                basis: CreditBasis::ElapsedTime,
                percent: None,
                cap: None,
            }),
        }],
        ..ContractService::default()
    }
}

fn credit() -> Remedy {
    Remedy {
        name: "credit".to_owned(),
        r#type: RemedyType::FeeCredit,
        credit: Some(FeeCredit {
            basis: CreditBasis::StartedDays,
            percent: Some("5".to_owned()),
            cap: Some(CreditCap {
                percent: "50".to_owned(),
                of: CapOf::Period,
            }),
        }),
    }
}

/// The subscription that the contract controller makes of the entry `backup` for the device
/// `lobby-mfp`.
pub fn service_subscription() -> ServiceSubscription {
    let contract = banco_sul_2027();
    let entry = backup_entry();
    let mut subscription = ServiceSubscription::new(
        "banco-sul-2027.backup.lobby-mfp",
        ServiceSubscriptionSpec {
            contract: SubscriptionContract {
                name: contract.metadata.name.unwrap_or_default(),
                uid: "6b0a1a6e-8f3c-4d0a-9a57-0c4f8f9f2f11".to_owned(),
                start: promised(),
                created: instant("2027-02-03T09:12:44Z"),
                ..SubscriptionContract::default()
            },
            customer: SubscriptionCustomer {
                id: contract.spec.customer.id,
            },
            service_name: entry.name,
            device_ref: reference(DEVICES[0]),
            time_zone: contract.spec.term.time_zone,
            lead_time: "336h".into(),
            revisions: vec![Arc::new(Revision {
                effective: promised(),
                promised: true,
                service_ref: entry.service_ref,
                parameters: entry.parameters,
                service_level: entry.service_level.unwrap_or_default(),
                fee: entry.fee,
                currency: contract.spec.currency,
                remedies: entry.remedies,
                counted_causes: vec![Cause::Device, Cause::Server, Cause::Provider],
                ..Revision::default()
            })],
        },
    );
    subscription.metadata.namespace = Some(NAMESPACE.to_owned());
    subscription
}

/// The record that the compensation controller makes when the promise of [`service_subscription`]
/// is missed.
pub fn compensation() -> Compensation {
    let entry = backup_entry();
    let mut compensation = Compensation::new(
        "banco-sul-2027.backup.lobby-mfp.20270401t030000z.credit",
        CompensationSpec {
            record: Record {
                contract: identity("banco-sul-2027", "6b0a1a6e-8f3c-4d0a-9a57-0c4f8f9f2f11"),
                subscription: identity(
                    "banco-sul-2027.backup.lobby-mfp",
                    "b1d3c7f2-4d5e-4a52-8a06-5a2a53b6f0de",
                ),
                device: RecordDevice {
                    name: DEVICES[0].to_owned(),
                    serial_number: Some("NW500-0001".to_owned()),
                },
                service_name: entry.name,
                customer: RecordCustomer {
                    id: "C-4711".to_owned(),
                },
                promised: promised(),
                time_zone: "America/Sao_Paulo".to_owned(),
                currency: Some("BRL".to_owned()),
                remedy: credit(),
                fee: entry.fee,
                service_level: entry.service_level.unwrap_or_default(),
                counted_causes: vec![Cause::Device, Cause::Server, Cause::Provider],
                share: None,
                booking_key: "5f1d7a84db00d2fce00b31a7fc73224f4b9e0f7b1f6d6c0f6dc1a2b3c4d5e6f7"
                    .to_owned(),
                reissues: None,
            },
            voided: None,
        },
    );
    compensation.metadata.namespace = Some(NAMESPACE.to_owned());
    compensation
}

fn fixed(name: &str, value: &str) -> WantedSetting {
    WantedSetting {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..WantedSetting::default()
    }
}

fn from_parameter(name: &str, source: &str, mapping: &[(&str, &str)]) -> WantedSetting {
    WantedSetting {
        name: name.to_owned(),
        value_from: Some(parameter(source, mapping)),
        ..WantedSetting::default()
    }
}

fn parameter(name: &str, mapping: &[(&str, &str)]) -> ValueSource {
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

fn reference(name: &str) -> NameReference {
    NameReference {
        name: name.to_owned(),
    }
}

fn identity(name: &str, uid: &str) -> ObjectIdentity {
    ObjectIdentity {
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn promised() -> Timestamp {
    instant("2027-04-01T03:00:00Z")
}

fn instant(text: &str) -> Timestamp {
    text.parse().expect("the examples are written in RFC 3339")
}
