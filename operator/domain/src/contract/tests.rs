//! A contract, what exists, and a stand-in for the API server and the delivery controller.

mod acceptance;
mod amendments;
mod bounds;
mod compensation_totals;
mod device_sets;
mod exclusions;
mod fee_parts;
mod notices;
mod overlay;
mod overrides;
mod owed;
mod parameters;
mod planned;
mod properties;
mod report;
mod resolve;
mod restored;
mod revisions;
mod risk;
mod seen_late;
mod subscription_view;
mod succession;
mod unreadable;

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{
    AmendedService, Compensation, Contract, ContractAmendment, ContractAmendmentSpec,
    ContractNotice, ContractNoticeSpec, ContractService, ContractSpec, ContractStatus, Customer,
    Devices, Fee, FeeOf, NameReference, NoticeType, Parameter, Period, Selector, ServiceLevel,
    ServiceSubscription, ServiceSubscriptionStatus, SmartService, SmartServiceSpec, StartOn, Term,
    ValueType,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::condition::{ConditionSet, Status, find};

/// Creation of the contract, two months before its start.
const CREATED: &str = "2027-02-01T00:00:00Z";
/// The start of 2027-04-01 in America/Sao_Paulo.
const START: &str = "2027-04-01T03:00:00Z";
/// The end of 2030-03-31 there.
const END: &str = "2030-04-01T03:00:00Z";
/// Some instant before the start.
const BEFORE: &str = "2027-03-01T12:00:00Z";
/// Some instant inside the term.
const DURING: &str = "2027-05-01T12:00:00.25Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("the test's own instant")
}

fn texts(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn service(name: &str) -> SmartService {
    let parameter = |name: &str, r#type, default: &str| Parameter {
        name: name.to_owned(),
        r#type,
        default: Some(default.to_owned()),
        ..Parameter::default()
    };
    let mut weekdays = parameter("weekdays", ValueType::KeywordSet, "sun");
    weekdays.allowed = ["mon", "sun", "wed"].map(str::to_owned).to_vec();
    let mut threshold = parameter("threshold", ValueType::Integer, "20");
    (threshold.minimum, threshold.maximum) = (Some(1), Some(100));
    let spec = SmartServiceSpec {
        provider: "Northwind".to_owned(),
        parameters: vec![weekdays, threshold],
        ..SmartServiceSpec::default()
    };
    SmartService::new(name, spec)
}

fn entry(name: &str, service: &str, names: &[&str]) -> ContractService {
    ContractService {
        name: name.to_owned(),
        service_ref: NameReference {
            name: service.to_owned(),
        },
        devices: Devices {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Devices::default()
        },
        ..ContractService::default()
    }
}

fn selecting(mut entry: ContractService, labels: &[(&str, &str)]) -> ContractService {
    let selector = Selector {
        match_labels: texts(labels),
        ..Selector::default()
    };
    entry.devices.selector = Some(selector);
    entry
}

fn level(allowed: &str) -> ServiceLevel {
    ServiceLevel {
        allowed: allowed.into(),
        ..Default::default()
    }
}

fn fee(amount: &str, of: FeeOf) -> Fee {
    Fee {
        amount: amount.to_owned(),
        per: Period::Month,
        of,
    }
}

fn device(name: &str, labels: &[(&str, &str)]) -> DeviceFacts {
    DeviceFacts {
        name: name.to_owned(),
        labels: texts(labels),
        created: at(CREATED),
    }
}

/// Returns a contract with these entries, the service `backup-service`, and nothing else.
fn world(services: Vec<ContractService>) -> ContractWorld {
    let mut contract = Contract::new(
        "bank",
        ContractSpec {
            customer: Customer {
                id: "C-4711".to_owned(),
                name: None,
            },
            currency: Some("BRL".to_owned()),
            term: Term {
                start_date: Some("2027-04-01".to_owned()),
                end_date: Some("2030-03-31".to_owned()),
                time_zone: "America/Sao_Paulo".to_owned(),
                ..Term::default()
            },
            services,
            ..ContractSpec::default()
        },
    );
    contract.metadata.namespace = Some("banks".to_owned());
    contract.metadata.uid = Some("contract-uid".to_owned());
    contract.metadata.generation = Some(1);
    contract.metadata.creation_timestamp = Some(Time(at(CREATED)));
    ContractWorld {
        amendments: Vec::new(),
        notices: Vec::new(),
        unreadable_amendments: BTreeSet::new(),
        clock_skew: None,
        contract,
        services: [(
            "backup-service".to_owned(),
            service("backup-service").into(),
        )]
        .into(),
        devices: Vec::new(),
        subscriptions: Vec::new(),
        unreadable_services: BTreeSet::new(),
        unreadable: BTreeSet::new(),
        unreadable_record: false,
        recreated: BTreeSet::new(),
        kin: Kin::default(),
    }
}

/// Returns one entry `backup` that names these devices.
fn named(devices: &[&str]) -> ContractWorld {
    world(vec![entry("backup", "backup-service", devices)])
}

/// Returns one entry `backup` that selects the label `in=bank`, and these devices with it.
fn labelled(devices: &[&str]) -> ContractWorld {
    let mut world = world(vec![selecting(
        entry("backup", "backup-service", &[]),
        &[("in", "bank")],
    )]);
    world.devices = devices
        .iter()
        .map(|name| device(name, &[("in", "bank")]))
        .collect();
    world
}

impl ContractWorld {
    /// An edit of the contract's spec.
    fn edit(&mut self, change: impl FnOnce(&mut ContractSpec)) {
        change(&mut self.contract.spec);
        self.contract.metadata.generation = self.contract.metadata.generation.map(|one| one + 1);
    }

    /// Returns the SmartService of the world for an edit.
    fn backup_service(&mut self) -> &mut SmartServiceSpec {
        let service = self.services.get_mut("backup-service");
        &mut Arc::make_mut(service.expect("it is there")).spec
    }

    /// Resolves, writes and reports, as the controller does. Returns the first resolution.
    fn pass(&mut self, now: &str) -> ResolvedContract {
        let now = at(now);
        let resolved = resolve(self, now);
        self.apply(&resolved.changes, now);
        self.contract.status = Some(self.status(&resolved, now));
        for amendment in self.amendments.iter_mut().map(Arc::make_mut) {
            let name = amendment.metadata.name.as_deref().unwrap_or_default();
            if let Some(verdict) = resolved.amendments.get(name) {
                amendment.status = Some(amendment_status(amendment, verdict, now));
            }
        }
        for notice in self.notices.iter_mut().map(Arc::make_mut) {
            let name = notice.metadata.name.as_deref().unwrap_or_default();
            if let Some(verdict) = resolved.notices.get(name) {
                notice.status = Some(notice_status(notice, verdict, now));
            }
        }
        resolved
    }

    /// Makes a notice of an event.
    fn notify(&mut self, name: &str, r#type: NoticeType, event: &str, created: &str) {
        let mut notice = ContractNotice::new(
            name,
            ContractNoticeSpec {
                contract_ref: NameReference {
                    name: "bank".to_owned(),
                },
                r#type,
                at: event.to_owned(),
                source: "https://crm.example".to_owned(),
                event_id: name.to_owned(),
            },
        );
        notice.metadata.creation_timestamp = Some(Time(at(created)));
        notice.metadata.generation = Some(1);
        self.notices.push(Arc::new(notice));
    }

    fn forget(&mut self, name: &str) {
        let is_other = |it: &Arc<ContractNotice>| it.metadata.name.as_deref() != Some(name);
        self.notices.retain(is_other);
    }

    /// Makes an amendment from a date on.
    fn amend(&mut self, name: &str, created: &str, date: &str, services: Vec<AmendedService>) {
        let mut amendment = ContractAmendment::new(
            name,
            ContractAmendmentSpec {
                contract_ref: NameReference {
                    name: "bank".to_owned(),
                },
                effective_date: Some(date.to_owned()),
                services,
                ..ContractAmendmentSpec::default()
            },
        );
        amendment.metadata.creation_timestamp = Some(Time(at(created)));
        amendment.metadata.generation = Some(1);
        self.amendments.push(Arc::new(amendment));
    }

    fn withdraw(&mut self, name: &str) {
        let is_other = |it: &Arc<ContractAmendment>| it.metadata.name.as_deref() != Some(name);
        self.amendments.retain(is_other);
    }

    fn status(&self, resolved: &ResolvedContract, now: Timestamp) -> ContractStatus {
        report(
            self,
            resolved,
            &self.subscriptions,
            &[],
            &WriteOutcome::default(),
            now,
        )
    }

    /// Does what the API server does with the writes; a deletion waits for the finalizer.
    fn apply(&mut self, changes: &Changes, now: Timestamp) {
        for desired in &changes.create {
            let mut object = desired.object(&self.contract);
            object.metadata.uid = Some(format!("uid of {}", desired.name));
            object.metadata.resource_version = Some("1".to_owned());
            object.metadata.generation = Some(1);
            let second = Timestamp::from_second(now.as_second()).expect("a whole second");
            object.metadata.creation_timestamp = Some(Time(second));
            self.subscriptions.push(object.into());
        }
        let contract = self.contract.clone();
        for update in &changes.update {
            let found = self.existing(&update.handle.name);
            assert_eq!(SubscriptionHandle::of(found), update.handle);
            if update.adopts {
                update.desired.adopt(&contract, found);
            }
            found.spec = update.desired.spec.clone();
            found.metadata.generation = found.metadata.generation.map(|one| one + 1);
        }
        for deleted in &changes.delete {
            self.existing(&deleted.name).metadata.deletion_timestamp = Some(Time(now));
        }
    }

    fn existing(&mut self, name: &str) -> &mut ServiceSubscription {
        let mut found = self.subscriptions.iter_mut().map(Arc::make_mut);
        found
            .find(|found| found.metadata.name.as_deref() == Some(name))
            .expect(name)
    }

    /// Removes the deleted objects whose finalizers are gone, as the API server does.
    fn collect(&mut self) {
        self.subscriptions
            .retain(|found| found.metadata.deletion_timestamp.is_none());
    }

    /// Writes the delivery controller's conditions of a subscription.
    fn say(&mut self, name: &str, ready: (bool, Reason), delivered: (bool, Reason)) {
        let found = self.existing(name);
        let generation = found.metadata.generation;
        let after = at(START) + SignedDuration::from_secs(1);
        let conditions = ConditionSet::new(&[], generation, after)
            .with(ConditionType::Ready, Status::from(ready.0), ready.1, "said")
            .with(
                ConditionType::Delivered,
                Status::from(delivered.0),
                delivered.1,
                "said",
            )
            .finish();
        let status = found
            .status
            .get_or_insert_with(ServiceSubscriptionStatus::default);
        status.conditions = conditions;
        status.step_timed_out = ready.1 == Reason::StepTimedOut;
    }

    fn deliver(&mut self, name: &str) {
        self.say(name, (true, Reason::Delivered), (true, Reason::Delivered));
    }
}

/// Returns a condition of the contract as "True Reason".
fn said(world: &ContractWorld, condition: ConditionType) -> String {
    let conditions = world
        .contract
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    find(conditions, condition).map_or_else(
        || "absent".to_owned(),
        |found| format!("{} {}", found.status, found.reason),
    )
}

fn message(world: &ContractWorld, condition: ConditionType) -> String {
    let conditions = world
        .contract
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    find(conditions, condition)
        .map(|found| found.message.to_string())
        .unwrap_or_default()
}

fn names(desired: &[Arc<DesiredSubscription>]) -> Vec<&str> {
    desired
        .iter()
        .map(|desired| desired.name.as_str())
        .collect()
}

fn deleted(resolved: &ResolvedContract) -> Vec<&str> {
    resolved
        .changes
        .delete
        .iter()
        .map(|deleted| deleted.name.as_str())
        .collect()
}
