//! Contracts of a namespace: their terms, entries, fees, amendments and notices.

use std::time::Duration;

use entente_crds::v1alpha1::{
    AmendedService, Contract, ContractAmendment, ContractAmendmentSpec, ContractNotice,
    ContractNoticeSpec, ContractService, ContractSpec, CountFrom, CreditBasis, Customer, Devices,
    Fee, FeeCredit, FeeOf, NameReference, NoticeType, Period, Remedy, RemedyType, ServiceLevel,
    Term,
};
use jiff::Timestamp;

use super::TestNamespace;

/// Returns the current instant in whole seconds, as a person writes it into a term.
///
/// # Panics
/// Never: the present is in the range of a timestamp.
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).expect("a present second is in range")
}

/// Returns the first whole second that lies at least that far ahead.
///
/// # Panics
/// If `ahead` leaves the range of a timestamp.
pub fn starting_in(ahead: Duration) -> Timestamp {
    let seconds = Timestamp::now() + ahead + Duration::from_millis(999);
    Timestamp::from_second(seconds.as_second()).expect("a near second is in range")
}

/// Returns a fee for each device and month: 120,000 is some 0.045 a second.
pub fn fee() -> Fee {
    Fee {
        amount: "120000.00".to_owned(),
        per: Period::Month,
        of: FeeOf::EachDevice,
    }
}

impl TestNamespace<'_> {
    /// Returns a contract in reais, of an unlimited term in the zone of São Paulo.
    pub fn contract(
        &self,
        name: &str,
        start: Timestamp,
        services: Vec<ContractService>,
    ) -> Contract {
        let mut contract = Contract::new(
            name,
            ContractSpec {
                customer: Customer {
                    id: "C-4711".to_owned(),
                    name: Some("Banco Sul".to_owned()),
                },
                currency: Some("BRL".to_owned()),
                term: Term {
                    start_time: Some(start.to_string()),
                    time_zone: "America/Sao_Paulo".to_owned(),
                    ..Term::default()
                },
                services,
                ..ContractSpec::default()
            },
        );
        contract.metadata.namespace = Some(self.name.clone());
        contract
    }

    /// Returns an amendment of a contract of this namespace from an instant on.
    pub fn amendment(
        &self,
        name: &str,
        contract: &str,
        effective: Timestamp,
        services: Vec<AmendedService>,
    ) -> ContractAmendment {
        let mut amendment = ContractAmendment::new(
            name,
            ContractAmendmentSpec {
                contract_ref: NameReference {
                    name: contract.to_owned(),
                },
                effective_time: Some(effective.to_string()),
                services,
                ..ContractAmendmentSpec::default()
            },
        );
        amendment.metadata.namespace = Some(self.name.clone());
        amendment
    }

    /// Returns a notice of an event of a contract of this namespace.
    pub fn notice(
        &self,
        name: &str,
        contract: &str,
        r#type: NoticeType,
        at: Timestamp,
    ) -> ContractNotice {
        let mut notice = ContractNotice::new(
            name,
            ContractNoticeSpec {
                contract_ref: NameReference {
                    name: contract.to_owned(),
                },
                r#type,
                at: at.to_string(),
                source: "https://crm.example".to_owned(),
                event_id: name.to_owned(),
            },
        );
        notice.metadata.namespace = Some(self.name.clone());
        notice
    }

    /// Returns an entry of a contract: a service of this namespace on devices by name, with the fee
    /// of [`fee`], an allowance and a credit in proportion to the time lost.
    pub fn entry(
        &self,
        name: &str,
        service: &str,
        devices: &[&str],
        allowed: &str,
    ) -> ContractService {
        ContractService {
            name: name.to_owned(),
            service_ref: self.reference(service),
            devices: Devices {
                names: devices.iter().map(|name| (*name).to_owned()).collect(),
                ..Devices::default()
            },
            fee: Some(fee()),
            service_level: Some(ServiceLevel {
                allowed: allowed.into(),
                count: CountFrom::FromPromise,
            }),
            remedies: vec![Remedy {
                name: "credit".to_owned(),
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
}
