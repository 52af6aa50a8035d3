//! What an entry of a contract wants of a subscription, apart from dates.
//!
//! Decides where each value comes from: the contract, what was signed before, or the catalogue of
//! today, in this order. What was once taken from the catalogue stays, so that an edit of it never
//! changes what a customer signed (B1).

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{
    Cause, Contract, ContractService, Fee, FeeOf, NameReference, Parameter, Remedy, RemedyType,
    Revision, SecretParameter, ServiceLevel, Share, SmartService,
};
use jiff::Timestamp;

use crate::parameter::{Constraints, canonical, parse_value};
use crate::promise::counted_causes;

/// What is wanted, apart from dates and the number of devices.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    service_ref: NameReference,
    parameters: BTreeMap<String, String>,
    defaulted: Vec<String>,
    secret_parameters: Vec<SecretParameter>,
    service_level: ServiceLevel,
    fee: Option<Fee>,
    currency: Option<String>,
    remedies: Vec<Remedy>,
    counted_causes: Vec<Cause>,
}

impl Wanted {
    /// Whether an entry says something else. From where a value came makes no difference.
    pub(super) fn differs_from(&self, revision: &Revision) -> bool {
        self.service_ref != revision.service_ref
            || self.parameters != revision.parameters
            || self.secret_parameters != revision.secret_parameters
            || self.service_level != revision.service_level
            || self.fee != revision.fee
            || self.currency != revision.currency
            || self.remedies != revision.remedies
            || self.counted_causes != revision.counted_causes
    }

    /// A new entry that says this; `devices` share a fee for all of them.
    pub(super) fn revision(
        self,
        effective: Timestamp,
        until: Option<Timestamp>,
        promised: bool,
        devices: usize,
    ) -> Revision {
        let shared = self
            .fee
            .as_ref()
            .is_some_and(|fee| fee.of == FeeOf::AllDevices);
        let devices = i32::try_from(devices.max(1)).unwrap_or(i32::MAX);
        Revision {
            effective,
            until,
            promised,
            service_ref: self.service_ref,
            parameters: self.parameters,
            defaulted: self.defaulted,
            secret_parameters: self.secret_parameters,
            service_level: self.service_level,
            fee: self.fee,
            currency: self.currency,
            remedies: self.remedies,
            counted_causes: self.counted_causes,
            share: shared.then_some(Share { devices }),
        }
    }
}

/// One entry of a contract with its service.
#[derive(Clone, Debug)]
pub(super) struct EntryTerms<'a> {
    entry: &'a ContractService,
    service: &'a SmartService,
    chosen: BTreeMap<&'a str, String>,
    defaults: BTreeMap<&'a str, String>,
    currency: Option<String>,
    counted_causes: Vec<Cause>,
}

impl<'a> EntryTerms<'a> {
    pub(super) fn new(
        contract: &Contract,
        entry: &'a ContractService,
        service: &'a SmartService,
    ) -> Self {
        let chosen = entry.parameters.iter();
        let chosen = chosen.map(|(name, raw)| (name.as_str(), canonical_text(service, name, raw)));
        let defaults = service.spec.parameters.iter().filter_map(|parameter| {
            let raw = parameter.default.as_ref()?;
            Some((
                parameter.name.as_str(),
                canonical_text(service, &parameter.name, raw),
            ))
        });
        let given = contract.spec.counted_causes.as_deref();
        let mut counted_causes = counted_causes(given.unwrap_or_default()).to_vec();
        counted_causes.sort_unstable();
        counted_causes.dedup();
        Self {
            entry,
            service,
            chosen: chosen.collect(),
            defaults: defaults.collect(),
            currency: entry
                .fee
                .as_ref()
                .and_then(|_| contract.spec.currency.clone()),
            counted_causes,
        }
    }

    /// What is wanted, where `signed` is the last entry of the subscription.
    pub(super) fn wanted(&self, signed: Option<&Revision>) -> Wanted {
        let signed = signed.filter(|signed| signed.service_ref == self.entry.service_ref);
        let (parameters, defaulted) = self.parameters(signed);
        let service = &self.service.spec;
        Wanted {
            service_ref: self.entry.service_ref.clone(),
            parameters,
            defaulted,
            secret_parameters: self.secret_parameters(),
            service_level: (self.entry.service_level.clone())
                .or_else(|| signed.map(|signed| signed.service_level.clone()))
                .or_else(|| service.service_level.clone())
                .unwrap_or_default(),
            fee: self.entry.fee.clone(),
            currency: self.currency.clone(),
            remedies: self.remedies(signed),
            counted_causes: self.counted_causes.clone(),
        }
    }

    fn parameters(&self, signed: Option<&Revision>) -> (BTreeMap<String, String>, Vec<String>) {
        let mut parameters: BTreeMap<String, String> = BTreeMap::new();
        let mut defaulted = Vec::new();
        for (name, value) in &self.defaults {
            parameters.insert((*name).to_owned(), value.clone());
        }
        for name in signed.iter().flat_map(|signed| &signed.defaulted) {
            if let Some(value) = signed.and_then(|signed| signed.parameters.get(name)) {
                parameters.insert(name.clone(), value.clone());
            }
        }
        for name in parameters.keys() {
            if !self.chosen.contains_key(name.as_str()) {
                defaulted.push(name.clone());
            }
        }
        for (name, value) in &self.chosen {
            let before = signed.and_then(|signed| signed.parameters.get(*name));
            let same = before.filter(|before| is_signed_text(self.service, name, value, before));
            parameters.insert((*name).to_owned(), same.unwrap_or(value).clone());
        }
        (parameters, defaulted)
    }

    /// Which Secret holds which parameter; what it holds is read when it is delivered.
    fn secret_parameters(&self) -> Vec<SecretParameter> {
        let mut secrets = self.entry.secret_parameters.clone();
        secrets.sort_by(|one, other| one.name.cmp(&other.name));
        secrets
    }

    fn remedies(&self, signed: Option<&Revision>) -> Vec<Remedy> {
        if !self.entry.remedies.is_empty() {
            let elect = self.entry.elect.as_ref();
            let owed = self.entry.remedies.iter();
            return owed
                .filter(|remedy| elect.is_none_or(|elect| *elect == remedy.name))
                .cloned()
                .collect();
        }
        if self.entry.fee.is_none() {
            // Without a fee nothing can be credited.
            let other = |remedy: &&Remedy| remedy.r#type != RemedyType::FeeCredit;
            return self
                .service
                .spec
                .remedies
                .iter()
                .filter(other)
                .cloned()
                .collect();
        }
        // An entry without a fee took no credit from the catalogue, so it cannot have signed one.
        match signed.filter(|signed| signed.fee.is_some()) {
            Some(signed) => signed.remedies.clone(),
            None => self.service.spec.remedies.clone(),
        }
    }
}

/// The canonical text of a value. What the catalogue of today refuses is read by its type alone,
/// and what it does not know stays as it is: acceptance has spoken on both.
fn canonical_text(service: &SmartService, name: &str, raw: &str) -> String {
    let value = definition(service, name).and_then(|parameter| {
        let read = |constraints| parse_value(name, raw, parameter.r#type, &constraints).ok();
        read(Constraints::of_parameter(parameter)).or_else(|| read(Constraints::none()))
    });
    value.as_ref().map_or_else(|| raw.to_owned(), canonical)
}

/// What the catalogue of today says of a parameter.
pub(super) fn definition<'a>(service: &'a SmartService, name: &str) -> Option<&'a Parameter> {
    service
        .spec
        .parameters
        .iter()
        .find(|parameter| parameter.name == name)
}

/// Whether a chosen text says what was signed. Where the catalogue does not know the parameter any
/// more, its type is not known either, and the order of words makes no difference.
pub(super) fn is_signed_text(
    service: &SmartService,
    name: &str,
    chosen: &str,
    signed: &str,
) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        text.split(',').map(|word| word.trim().to_owned()).collect()
    };
    match definition(service, name) {
        Some(_) => canonical_text(service, name, chosen) == signed,
        None => words(chosen) == words(signed),
    }
}
