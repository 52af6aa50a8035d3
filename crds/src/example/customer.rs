//! The objects of the example customer: four Devices, a Contract and an amendment of it,
//! and a Contract with the notice that starts it.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{DEVICES, NAMESPACE, map, reference, strings};
use crate::v1alpha1::{
    AmendedDevices, AmendedService, CapOf, Cause, Contract, ContractAmendment,
    ContractAmendmentSpec, ContractNotice, ContractNoticeSpec, ContractService, ContractSpec,
    CountFrom, CreditBasis, CreditCap, Customer, Device, DeviceConnection, DeviceSpec, Devices,
    Fee, FeeCredit, FeeOf, NoticeType, Period, Remedy, RemedyType, Selector, ServiceLevel, StartOn,
    Term,
};

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

/// An amendment of [`banco_sul_2027`]: from a day in its first year on one more device has spare
/// parts at hand, all of them are ordered later for another fee, and backups are made more often.
pub fn banco_sul_2027_july() -> ContractAmendment {
    let mut amendment = ContractAmendment::new(
        "banco-sul-2027-july",
        ContractAmendmentSpec {
            contract_ref: reference("banco-sul-2027"),
            effective_date: Some("2027-07-01".to_owned()),
            services: vec![
                AmendedService {
                    name: "backup".to_owned(),
                    parameters: map(&[("weekdays", "mon,wed,sun")]),
                    unset: strings(&["mode"]),
                    ..AmendedService::default()
                },
                AmendedService {
                    name: "parts".to_owned(),
                    devices: Some(AmendedDevices {
                        add: strings(&DEVICES[..1]),
                        ..AmendedDevices::default()
                    }),
                    parameters: map(&[("threshold", "10")]),
                    fee: Some(Fee {
                        amount: "105".to_owned(),
                        per: Period::Quarter,
                        of: FeeOf::AllDevices,
                    }),
                    ..AmendedService::default()
                },
            ],
            ..ContractAmendmentSpec::default()
        },
    );
    amendment.metadata.namespace = Some(NAMESPACE.to_owned());
    amendment
}

/// A contract of one more device, which starts when the contract system reports that the device was
/// installed, for three years.
pub fn banco_sul_lobby() -> Contract {
    let mut entry = backup_entry();
    entry.devices = Devices {
        names: strings(&DEVICES[..1]),
        ..Devices::default()
    };
    let whole = banco_sul_2027();
    let mut contract = Contract::new(
        "banco-sul-lobby",
        ContractSpec {
            customer: whole.spec.customer,
            currency: whole.spec.currency,
            term: Term {
                start_on: Some(StartOn::Notice),
                start_by: Some("2027-06-30".to_owned()),
                duration: Some("P3Y".to_owned()),
                time_zone: whole.spec.term.time_zone,
                ..Term::default()
            },
            services: vec![entry],
            ..ContractSpec::default()
        },
    );
    contract.metadata.namespace = Some(NAMESPACE.to_owned());
    contract
}

/// The notice that starts [`banco_sul_lobby`].
pub fn banco_sul_installed() -> ContractNotice {
    let mut notice = ContractNotice::new(
        "banco-sul-lobby-installed",
        ContractNoticeSpec {
            contract_ref: reference("banco-sul-lobby"),
            r#type: NoticeType::Started,
            at: "2027-04-12T17:30:00Z".to_owned(),
            source: "https://crm.example".to_owned(),
            event_id: "9f0c1f34-7f3a-4d63-9b7e-2f9b7c1f0a11".to_owned(),
        },
    );
    notice.metadata.namespace = Some(NAMESPACE.to_owned());
    notice
}

pub(super) fn backup_entry() -> ContractService {
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

pub(super) fn credit() -> Remedy {
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
