//! The terms of an entry of a contract, apart from dates.
//!
//! Decides the source of each value: the contract, the revision signed before, or the catalogue of
//! today, in this order. A value once taken from the catalogue stays, so that an edit of the
//! catalogue never changes what a customer signed (B1). The devices of an entry have the same terms,
//! but for the parameters that an override sets.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{
    Cause, Contract, ContractService, Fee, FeeOf, NameReference, Remedy, RemedyType, Revision,
    SecretParameter, ServiceLevel, Share, SmartService,
};
use jiff::Timestamp;

use super::overrides::Overrides;
use super::parameters::Parameters;
use super::{DeviceFacts, Fault, OverridesConflict, unsupported};
use crate::promise::counted_causes;

/// The terms of a revision, apart from dates and the number of devices.
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
    /// True if a revision has other terms. The source of a value makes no difference.
    pub(super) fn differs_from(&self, revision: &Revision) -> bool {
        // All fields, so that a new one that is forgotten here does not compile.
        let Self {
            service_ref,
            parameters,
            defaulted: _,
            secret_parameters,
            service_level,
            fee,
            currency,
            remedies,
            counted_causes,
        } = self;
        *service_ref != revision.service_ref
            || *parameters != revision.parameters
            || *secret_parameters != revision.secret_parameters
            || *service_level != revision.service_level
            || *fee != revision.fee
            || *currency != revision.currency
            || *remedies != revision.remedies
            || *counted_causes != revision.counted_causes
    }

    /// Returns the terms of a revision.
    fn of(revision: &Revision) -> Self {
        Self {
            service_ref: revision.service_ref.clone(),
            parameters: revision.parameters.clone(),
            defaulted: revision.defaulted.clone(),
            secret_parameters: revision.secret_parameters.clone(),
            service_level: revision.service_level.clone(),
            fee: revision.fee.clone(),
            currency: revision.currency.clone(),
            remedies: revision.remedies.clone(),
            counted_causes: revision.counted_causes.clone(),
        }
    }

    /// Makes a revision of these terms; `devices` share a fee for all of them.
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
            exclusions: Vec::new(),
        }
    }
}

/// One entry of a contract with its service.
#[derive(Clone, Debug)]
pub(super) struct EntryTerms<'a> {
    entry: &'a ContractService,
    service: &'a SmartService,
    parameters: Parameters<'a>,
    overrides: Overrides<'a>,
    currency: Option<String>,
    counted_causes: Vec<Cause>,
}

impl<'a> EntryTerms<'a> {
    pub(super) fn new(
        contract: &Contract,
        entry: &'a ContractService,
        service: &'a SmartService,
        devices: &[DeviceFacts],
    ) -> Self {
        let given = contract.spec.counted_causes.as_deref();
        let mut counted_causes = counted_causes(given.unwrap_or_default()).to_vec();
        counted_causes.sort_unstable();
        counted_causes.dedup();
        Self {
            entry,
            service,
            parameters: Parameters::new(entry, service),
            overrides: Overrides::new(entry, service, devices),
            currency: entry
                .fee
                .as_ref()
                .and_then(|_| contract.spec.currency.clone()),
            counted_causes,
        }
    }

    /// Returns the terms that are refused; `signed` are the last revisions of the subscriptions of the
    /// entry.
    pub(super) fn faults(&self, signed: &[&Revision]) -> Vec<Fault> {
        let mut faults = self.parameters.faults(signed);
        faults.extend(self.overrides.faults(signed));
        faults.extend(self.level_fault(signed));
        faults
    }

    /// Refuses a service level of the catalogue that is no duration, if none is chosen or signed.
    fn level_fault(&self, signed: &[&Revision]) -> Option<Fault> {
        let is_taken = self.entry.service_level.is_none() && signed.is_empty();
        let level = self.service.spec.service_level.as_ref();
        let error = level.filter(|_| is_taken)?.allowed.length().err()?;
        let (entry, service) = (&self.entry.name, &self.entry.service_ref.name);
        Some(unsupported(format!(
            "spec.services[{entry}].serviceLevel must be set: that of SmartService {service}: \
             {error}"
        )))
    }

    /// Returns the terms of one device; `signed` is the last revision of its subscription.
    ///
    /// # Errors
    /// Returns two overrides that set a parameter of the device differently.
    pub(super) fn wanted(
        &self,
        device: &str,
        signed: Option<&Revision>,
    ) -> Result<Wanted, OverridesConflict> {
        let overridden = self.overrides.of(device)?;
        let signed = signed.filter(|signed| signed.service_ref == self.entry.service_ref);
        let (parameters, defaulted) = self.parameters.values(&overridden, signed);
        let service = &self.service.spec;
        Ok(Wanted {
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
        })
    }

    /// Returns two overrides that set a parameter of a device differently.
    pub(super) fn overrides_conflict(&self, device: &str) -> Option<OverridesConflict> {
        self.overrides.of(device).err()
    }

    /// Returns the terms of a device that has signed some: these, while overrides are in conflict.
    pub(super) fn wanted_or_signed(&self, device: &str, signed: &Revision) -> Wanted {
        let wanted = self.wanted(device, Some(signed));
        wanted.unwrap_or_else(|_| Wanted::of(signed))
    }

    /// Returns the references to Secrets, sorted; the Secrets are read when they are delivered.
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
            // Without a fee nothing can be credited, which `without_fee` says.
            let offered = self.service.spec.remedies.iter();
            return offered
                .filter(|remedy| !is_credit(remedy))
                .cloned()
                .collect();
        }
        // An entry without a fee took no credit from the catalogue, so it cannot have signed one.
        match signed.filter(|signed| signed.fee.is_some()) {
            Some(signed) => signed.remedies.clone(),
            None => self.service.spec.remedies.clone(),
        }
    }

    /// Returns the entry with the FeeCredits of its service that owe nothing, since it has no fee.
    /// The entry's own ones are refused without a fee.
    pub(super) fn without_fee(&self) -> Option<String> {
        let Self { entry, service, .. } = self;
        if entry.fee.is_some() || !entry.remedies.is_empty() {
            return None;
        }
        let credits = service
            .spec
            .remedies
            .iter()
            .filter(|remedy| is_credit(remedy));
        let credits: Vec<&str> = credits.map(|remedy| remedy.name.as_str()).collect();
        (!credits.is_empty()).then(|| {
            let (credits, service) = (credits.join(", "), &entry.service_ref.name);
            format!(
                "services[{}] ({credits} of SmartService {service})",
                entry.name
            )
        })
    }
}

fn is_credit(remedy: &Remedy) -> bool {
    remedy.r#type == RemedyType::FeeCredit
}
