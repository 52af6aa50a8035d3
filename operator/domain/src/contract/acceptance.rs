//! Whether the spec of a contract can be taken: what the API server could not know (K2).
//!
//! Decides the condition Accepted, with every fault at once. What the catalogue no longer allows
//! but a subscription of the entry has signed is not a fault: an edit of the catalogue must not
//! stop a contract that runs.

use std::collections::BTreeSet;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Contract, ContractService, RemedyType, ResolvedTerm, Revision, SecretParameter,
    ServiceSubscription, SmartService, ValueType,
};
use jiff::Timestamp;

use super::device_sets::DeviceSets;
use super::terms::{definition, is_signed_text};
use super::{ContractWorld, Fault, is_own};
use crate::money::parse_amount;
use crate::parameter::{Constraints, parse_value};
use crate::time::{TermError, parse_date};

/// Every fault of the spec, sorted.
pub(super) fn faults(
    world: &ContractWorld,
    term: &Result<ResolvedTerm, TermError>,
    devices: &DeviceSets,
    now: Timestamp,
) -> Vec<Fault> {
    let contract = &world.contract;
    let mut faults = BTreeSet::new();
    match term {
        Ok(term) => faults.extend(past_dates(contract, term, now)),
        Err(error) => {
            faults.insert(Fault {
                reason: error.reason(),
                message: error.to_string(),
            });
        }
    }
    if let Some(found) = &contract.spec.promises_from
        && parse_date(found).is_none()
    {
        let message =
            format!("spec.promisesFrom is \"{found}\": must be a date such as \"2027-04-01\"");
        faults.insert(Fault {
            reason: Reason::InvalidTerm,
            message,
        });
    }
    if let Some(preparation) = &contract.spec.preparation
        && let Err(error) = preparation.lead_time.length()
    {
        faults.insert(unsupported(format!("spec.preparation.leadTime: {error}")));
    }
    faults.extend(devices.faults.iter().cloned());
    for entry in &contract.spec.services {
        faults.extend(entry_faults(world, entry));
    }
    faults.into_iter().collect()
}

/// A date that has passed cannot be changed, whether itself or by the zone.
fn past_dates(contract: &Contract, term: &ResolvedTerm, now: Timestamp) -> Vec<Fault> {
    let Some(before) = contract
        .status
        .as_ref()
        .and_then(|status| status.term.as_ref())
    else {
        return Vec::new();
    };
    let moved_start = before.start <= now && before.start != term.start;
    let moved_end = before.end.is_some_and(|end| end <= now) && before.end != term.end;
    [(moved_start, "start"), (moved_end, "end")]
        .into_iter()
        .filter(|(moved, _)| *moved)
        .map(|(_, what)| Fault {
            reason: Reason::PastDateChanged,
            message: format!(
                "spec.term: the {what} has already passed and cannot be moved, neither by its date \
                 nor by timeZone: set it back"
            ),
        })
        .collect()
}

fn unsupported(message: String) -> Fault {
    Fault {
        reason: Reason::UnsupportedValue,
        message,
    }
}

fn entry_faults(world: &ContractWorld, entry: &ContractService) -> Vec<Fault> {
    let mut faults = remedy_faults(&world.contract, entry);
    if let Some(level) = &entry.service_level
        && let Err(error) = level.allowed.length()
    {
        let path = format!("spec.services[{}].serviceLevel.allowed", entry.name);
        faults.push(unsupported(format!("{path}: {error}")));
    }
    if let Some(service) = world.services.get(&entry.service_ref.name) {
        let signed = signed(world, entry);
        faults.extend(level_fault(entry, service, signed));
        faults.extend(chosen_faults(entry, service, signed));
        faults.extend(secret_faults(entry, service));
        faults.extend(missing_faults(entry, service, signed));
    }
    faults
}

/// A service level that is neither chosen nor signed, and that the catalogue has none of.
fn level_fault(
    entry: &ContractService,
    service: &SmartService,
    signed: Option<&Revision>,
) -> Option<Fault> {
    let taken = entry.service_level.is_none() && signed.is_none();
    let level = service.spec.service_level.as_ref().filter(|_| taken)?;
    let error = level.allowed.length().err()?;
    Some(unsupported(format!(
        "spec.services[{}].serviceLevel must be set: that of SmartService {}: {error}",
        entry.name, entry.service_ref.name
    )))
}

fn remedy_faults(contract: &Contract, entry: &ContractService) -> Vec<Fault> {
    let path = format!("spec.services[{}]", entry.name);
    let mut faults = Vec::new();
    for remedy in &entry.remedies {
        let RemedyType::FeeCredit = remedy.r#type;
        let name = &remedy.name;
        if entry.fee.is_none() {
            faults.push(unsupported(format!(
                "{path}.remedies[{name}] is a FeeCredit: the entry must have a fee"
            )));
        }
        if remedy.credit.is_none() {
            faults.push(unsupported(format!(
                "{path}.remedies[{name}] is a FeeCredit: it must have the member credit"
            )));
        }
    }
    if let Some(elect) = &entry.elect
        && !entry.remedies.iter().any(|remedy| remedy.name == *elect)
    {
        faults.push(unsupported(format!(
            "{path}.elect is \"{elect}\": must be the name of one of its remedies"
        )));
    }
    if let Some(fee) = &entry.fee
        && let Err(error) = parse_amount(&fee.amount)
    {
        faults.push(unsupported(format!("{path}.fee.amount: {error}")));
    }
    if entry.fee.is_some() && contract.spec.currency.is_none() {
        faults.push(unsupported(format!(
            "{path}.fee: spec.currency must be set"
        )));
    }
    faults
}

/// The last entry of the first subscription of an entry that has its service: what was signed.
fn signed<'a>(world: &'a ContractWorld, entry: &ContractService) -> Option<&'a Revision> {
    let of_entry = |subscription: &&ServiceSubscription| {
        is_own(&world.contract, subscription) && subscription.spec.service_name == entry.name
    };
    let last = |subscription: &'a ServiceSubscription| {
        let revisions = subscription.spec.revisions.iter();
        let last = revisions.max_by_key(|revision| revision.effective)?;
        let same = last.service_ref == entry.service_ref;
        same.then_some((subscription.metadata.name.as_deref(), last))
    };
    let all = world.subscriptions.iter().map(|found| &**found);
    let signed = all.filter(of_entry).filter_map(last);
    signed.min_by_key(|(name, _)| *name).map(|(_, last)| last)
}

fn chosen_faults(
    entry: &ContractService,
    service: &SmartService,
    signed: Option<&Revision>,
) -> Vec<Fault> {
    let is_signed = |name: &str, raw: &str| {
        let before = signed.and_then(|signed| signed.parameters.get(name));
        before.is_some_and(|before| is_signed_text(service, name, raw, before))
    };
    let fault = |(name, raw): (&String, &String)| {
        let path = format!("spec.services[{}].parameters.{name}", entry.name);
        let Some(parameter) = definition(service, name) else {
            return Some(unsupported(unknown_parameter(&path, entry, service)));
        };
        let constraints = Constraints::of_parameter(parameter);
        let error = parse_value(&path, raw, parameter.r#type, &constraints).err()?;
        Some(unsupported(error.to_string()))
    };
    let chosen = entry
        .parameters
        .iter()
        .filter(|(name, raw)| !is_signed(name, raw));
    chosen.filter_map(fault).collect()
}

/// Secrets that are given for what is no parameter of type Secret: its value would be shown.
fn secret_faults(entry: &ContractService, service: &SmartService) -> Vec<Fault> {
    let fault = |secret: &SecretParameter| {
        let path = format!(
            "spec.services[{}].secretParameters[{}]",
            entry.name, secret.name
        );
        let Some(parameter) = definition(service, &secret.name) else {
            return Some(unsupported(unknown_parameter(&path, entry, service)));
        };
        (parameter.r#type != ValueType::Secret).then(|| {
            unsupported(format!(
                "{path}: the parameter is of type {:?}: must be one of type Secret; set it in \
                 parameters",
                parameter.r#type
            ))
        })
    };
    entry.secret_parameters.iter().filter_map(fault).collect()
}

fn unknown_parameter(path: &str, entry: &ContractService, service: &SmartService) -> String {
    let mut names: Vec<&str> = service
        .spec
        .parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    names.sort_unstable();
    let name = &entry.service_ref.name;
    if names.is_empty() {
        return format!("{path}: SmartService {name} has no parameters");
    }
    format!(
        "{path}: the parameters of SmartService {name} are {}",
        names.join(", ")
    )
}

fn is_given(entry: &ContractService, parameter: &str) -> bool {
    let mut secrets = entry.secret_parameters.iter();
    entry.parameters.contains_key(parameter) || secrets.any(|secret| secret.name == parameter)
}

/// Parameters that the contract does not choose and for which there is no usable default.
fn missing_faults(
    entry: &ContractService,
    service: &SmartService,
    signed: Option<&Revision>,
) -> Vec<Fault> {
    // What a running entry does not choose, it has signed or has never needed.
    if signed.is_some() {
        return Vec::new();
    }
    let name = &entry.service_ref.name;
    let missing = service.spec.parameters.iter();
    let missing = missing.filter(|parameter| !is_given(entry, &parameter.name));
    let fault = |parameter: &entente_crds::v1alpha1::Parameter| {
        if parameter.r#type == ValueType::Secret {
            return Some(unsupported(format!(
                "spec.services[{}].secretParameters must name a Secret for the parameter {} of \
                 SmartService {name}",
                entry.name, parameter.name
            )));
        }
        let path = format!(
            "spec.services[{}].parameters.{}",
            entry.name, parameter.name
        );
        let Some(default) = &parameter.default else {
            return Some(unsupported(format!(
                "{path} must be set: SmartService {name} has no default for it"
            )));
        };
        let constraints = Constraints::of_parameter(parameter);
        let what = format!("{path} must be set: the default of SmartService {name}");
        let error = parse_value(&what, default, parameter.r#type, &constraints).err()?;
        Some(unsupported(error.to_string()))
    };
    missing.filter_map(fault).collect()
}
