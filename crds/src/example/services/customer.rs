//! Devices of both models, and a contract that chooses every option of every service.

use super::super::customer::credit;
use super::super::{NAMESPACE, map, reference, strings};
use crate::v1alpha1::{
    Contract, ContractService, ContractSpec, CountFrom, Customer, Device, DeviceConnection,
    DeviceSpec, Devices, Fee, FeeOf, Period, Selector, ServiceLevel, Term,
};

/// Name, model and serial number of each device.
const DEVICES: [(&str, &str, &str); 3] = [
    ("head-office-1", "mfp-700", "NW700-0001"),
    ("head-office-2", "mfp-700", "NW700-0002"),
    ("warehouse-1", "mfp-320", "SW320-0001"),
];

/// The label of all devices that the contract is about.
const LABEL: (&str, &str) = ("fleet", "offices");

/// Devices of both models.
pub fn devices() -> Vec<Device> {
    DEVICES
        .iter()
        .zip(1_u8..)
        .map(|(&(name, model, serial_number), number)| {
            let mut device = Device::new(
                name,
                DeviceSpec {
                    model_ref: reference(model),
                    serial_number: serial_number.to_owned(),
                    address: Some(format!("10.20.4.{number}")),
                    connections: vec![DeviceConnection {
                        name: "hq-ipp".to_owned(),
                        ..DeviceConnection::default()
                    }],
                    time_zone: Some("America/Sao_Paulo".to_owned()),
                    ..DeviceSpec::default()
                },
            );
            device.metadata.namespace = Some(NAMESPACE.to_owned());
            device.metadata.labels = Some(map(&[LABEL]));
            device
        })
        .collect()
}

/// A contract of all example services for three years. No option has the value of its default.
pub fn contract() -> Contract {
    let mut contract = Contract::new(
        "banco-sul-services-2027",
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
            services: entries(),
            ..ContractSpec::default()
        },
    );
    contract.metadata.namespace = Some(NAMESPACE.to_owned());
    contract
}

fn entries() -> Vec<ContractService> {
    let backup = [
        ("enabled", "true"),
        ("period-hours", "24"),
        ("weekdays", "wed,sun"),
        ("mode", "Differential"),
    ];
    let parts = [
        ("drum", "false"),
        ("fuser", "true"),
        ("feeder", "false"),
        ("threshold", "15"),
    ];
    let supplies = [
        ("enabled", "true"),
        ("threshold", "25"),
        ("payment", "DirectDebit"),
    ];
    let cloud = [("automatic-backup", "true"), ("deletion", "AfterBackup")];
    let documents = Devices {
        names: strings(&[DEVICES[0].0, DEVICES[1].0]),
        ..Devices::default()
    };
    vec![
        ContractService {
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
            ..entry("backup", "device-backup", &backup)
        },
        entry("parts", "parts-prediction", &parts),
        entry("supplies", "consumables-delivery", &supplies),
        ContractService {
            devices: documents,
            ..entry("cloud", "document-cloud", &cloud)
        },
        entry("failures", "failure-prediction", &[("days-ahead", "14")]),
        entry("maintenance", "remote-maintenance", &[("access", "Repair")]),
        entry("usage", "usage-reports", &[("period", "Weekly")]),
    ]
}

/// Returns an entry on all devices with the label.
fn entry(name: &str, service: &str, parameters: &[(&str, &str)]) -> ContractService {
    ContractService {
        name: name.to_owned(),
        service_ref: reference(service),
        devices: Devices {
            selector: Some(Selector {
                match_labels: map(&[LABEL]),
                match_expressions: Vec::new(),
            }),
            ..Devices::default()
        },
        parameters: map(parameters),
        ..ContractService::default()
    }
}
