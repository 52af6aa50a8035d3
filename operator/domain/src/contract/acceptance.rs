//! Acceptance: the faults of a spec that the API server cannot know (K2).
//!
//! Decides the condition Accepted, with every fault at once, from what was read of the contract; it
//! parses nothing again. Called by `resolve`.

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Contract, ContractService, RemedyType, ResolvedTerm, Revision, ServiceSubscription,
};
use jiff::Timestamp;
use rust_decimal::Decimal;

use super::bounds::Signed;
use super::parsed::{Entries, ReadEntry, Readings};
use super::terms::EntryTerms;
use super::{ContractWorld, Fault, bounds, fee_parts, succession, unsupported};
use crate::money::{fee_amount, iso_digits};
use crate::promise::{WITHOUT_CREDIT, is_without_credit};

/// Returns every fault of the spec, sorted; `entries` are those in force, or the first ones.
pub(super) fn faults(
    world: &ContractWorld,
    readings: &Readings<'_>,
    entries: &Entries<'_>,
    now: Timestamp,
) -> Vec<Fault> {
    let contract = &world.contract;
    let mut faults = entry_faults(world, readings, entries, now);
    if let Some(term) = readings.term() {
        faults.extend(past_dates(contract, term, now));
    }
    let dates = [
        readings.noticed.as_ref().err(),
        readings.promised_from.as_ref().err(),
    ];
    faults.extend(dates.into_iter().flatten().map(|error| Fault {
        reason: error.reason(),
        message: error.to_string(),
    }));
    faults.extend(readings.lead_time.as_ref().err().cloned());
    let exclusions = readings.exclusions.as_ref().err();
    faults.extend(exclusions.into_iter().flatten().cloned());
    faults.extend(succession::faults(world, readings.term()));
    faults.into_iter().collect()
}

/// Returns the faults of the entries of one stage.
pub(super) fn entry_faults(
    world: &ContractWorld,
    readings: &Readings<'_>,
    entries: &Entries<'_>,
    now: Timestamp,
) -> BTreeSet<Fault> {
    let mut faults: BTreeSet<Fault> = entries.faults.iter().cloned().collect();
    for ReadEntry { entry, terms, .. } in &entries.all {
        faults.extend(faults_of(world, entry, terms.as_ref(), now));
    }
    faults.extend(currency_fault(world, entries));
    faults.extend(bounds::faults(world, readings, entries, now));
    faults.extend(fee_parts::faults(world, entries));
    faults
}

/// Returns a fault for each date that has passed and was moved, by itself or by the zone.
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
    let of = before.of.as_ref();
    let was = of.map(|of| format!("; it was {of}")).unwrap_or_default();
    [(moved_start, "start"), (moved_end, "end")]
        .into_iter()
        .filter(|(moved, _)| *moved)
        .map(|(_, what)| Fault {
            reason: Reason::PastDateChanged,
            message: format!(
                "spec.term: the {what} has already passed and cannot be moved, neither by its date \
                 nor by timeZone: set it back{was}"
            ),
        })
        .collect()
}

/// Returns the faults of an entry; `terms` are there where its SmartService is.
fn faults_of(
    world: &ContractWorld,
    entry: &ContractService,
    terms: Option<&EntryTerms<'_>>,
    now: Timestamp,
) -> Vec<Fault> {
    let mut faults = remedy_faults(entry);
    faults.extend(fee_faults(world, entry));
    if let Some(level) = &entry.service_level
        && let Err(error) = level.allowed.length()
    {
        let path = format!("spec.services[{}].serviceLevel.allowed", entry.name);
        faults.push(unsupported(format!("{path}: {error}")));
    }
    if let Some(terms) = terms {
        faults.extend(terms.faults(&signed(world, entry, now)));
    }
    faults
}

fn remedy_faults(entry: &ContractService) -> Vec<Fault> {
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
        if is_without_credit(remedy) {
            faults.push(unsupported(format!(
                "{path}.remedies[{name}] {WITHOUT_CREDIT}"
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
    faults
}

/// Refuses a currency that there is not. Of a contract that runs it stays, since it cannot be changed,
/// while every fee in it is signed.
fn currency_fault(world: &ContractWorld, entries: &Entries<'_>) -> Option<Fault> {
    let contract = &world.contract;
    let currency = contract.spec.currency.as_ref()?;
    let status = contract.status.as_ref();
    let runs =
        status.is_some_and(|status| status.established.is_some()) || world.own().next().is_some();
    let is_signed = |entry: &ContractService| {
        let mut fee = entry.fee.iter();
        fee.all(|fee| Signed::of(world, entry).has_fee(fee, currency))
    };
    let is_kept = runs && entries.all.iter().all(|read| is_signed(read.entry));
    if iso_digits(currency).is_some() || is_kept {
        return None;
    }
    Some(unsupported(format!(
        "spec.currency is \"{currency}\": must be a currency of ISO 4217 such as \"EUR\" or \"JPY\""
    )))
}

/// Returns the faults of a fee, unless just this one is signed.
fn fee_faults(world: &ContractWorld, entry: &ContractService) -> Vec<Fault> {
    let Some(fee) = &entry.fee else {
        return Vec::new();
    };
    let path = format!("spec.services[{}].fee", entry.name);
    let mut faults = Vec::new();
    let amount = fee_amount(fee);
    if let Err(error) = &amount {
        let entry = &entry.name;
        faults.push(unsupported(format!("spec.services[{entry}].{error}")));
    }
    let Some(currency) = &world.contract.spec.currency else {
        faults.push(unsupported(format!("{path}: spec.currency must be set")));
        return faults;
    };
    let has_too_many = |digits: u32| {
        let is_longer = |amount: &Decimal| amount.normalize().scale() > digits;
        amount.as_ref().is_ok_and(is_longer)
    };
    if let Some(digits) = iso_digits(currency).filter(|digits| has_too_many(*digits))
        && !Signed::of(world, entry).has_fee(fee, currency)
    {
        faults.push(unsupported(format!(
            "{path}.amount is \"{}\": {currency} has at most {digits} digits behind the point",
            fee.amount
        )));
    }
    faults
}

/// Returns the signed state: of each subscription of an entry the last revision that has begun, and
/// those that lie ahead, as far as they have the same service.
fn signed<'a>(
    world: &'a ContractWorld,
    entry: &ContractService,
    now: Timestamp,
) -> Vec<&'a Revision> {
    let last = world
        .of_entry(entry)
        .flat_map(|it| last_begun_and_ahead(it, now));
    last.filter(|last: &&Revision| last.service_ref == entry.service_ref)
        .collect()
}

fn last_begun_and_ahead(
    subscription: &ServiceSubscription,
    now: Timestamp,
) -> impl Iterator<Item = &Revision> {
    let revisions = &subscription.spec.revisions;
    let effective = revisions.iter().map(|revision| revision.effective);
    let last = effective.filter(|effective| *effective <= now).max();
    let revisions = revisions.iter().map(Arc::as_ref);
    revisions.filter(move |revision| last.is_none_or(|last| revision.effective >= last))
}
