//! Bounds: what the SmartServices let a contract promise (`spec.bounds`).
//!
//! Decides the faults of a `promisesFrom` that goes back too far and of a fee that is too high. What
//! was accepted or signed before is never refused, so that neither an edit of the catalogue nor a
//! restore from a backup stops a contract. Called by `acceptance` and `report`.

use entente_crds::v1alpha1::{
    Bounds, Contract, ContractService, Fee, FeeCeiling, Period, Revision,
};
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::parsed::{Entries, Readings, created};
use super::{ContractWorld, Fault, ResolvedContract, listed, unsupported};
use crate::money::fee_amount;
use crate::time::{start_of_date, zone};

/// Returns the faults of all entries whose SmartService is there.
pub(super) fn faults(
    world: &ContractWorld,
    readings: &Readings<'_>,
    entries: &Entries<'_>,
    now: Timestamp,
) -> Vec<Fault> {
    let contract = &world.contract;
    let mut faults = Vec::new();
    for entry in entries.all.iter().map(|read| read.entry) {
        let Some(service) = world.services.get(&entry.service_ref.name) else {
            continue;
        };
        let bounds = service.spec.bounds.clone().unwrap_or_default();
        let signed = Signed::of(world, entry);
        if let (Ok(promised_from), Some(term)) = (&readings.promised_from, readings.term())
            && contract.spec.promises_from != accepted_before(contract, term.start)
            && !signed.is_promised(term.start)
        {
            let created = created(contract, now);
            faults.extend(date_fault(
                contract,
                entry,
                &bounds,
                (*promised_from, created),
            ));
        }
        faults.extend(fee_fault(contract, entry, &bounds, &signed));
    }
    faults
}

/// Returns the `promisesFrom` that was accepted last, for the status. One of a contract that refers
/// to what was not found was not held against all bounds yet.
pub(super) fn accepted_promises_from(
    contract: &Contract,
    resolved: &ResolvedContract,
) -> Option<String> {
    if resolved.accepted.is_ok() && resolved.refs.is_ok() {
        contract.spec.promises_from.clone()
    } else {
        recorded(contract)
    }
}

fn recorded(contract: &Contract) -> Option<String> {
    contract.status.as_ref()?.promises_from.clone()
}

/// Returns the `promisesFrom` that was accepted for this start, once the set of subscriptions was
/// complete: from then on it promises nothing that it did not promise before. For another start it
/// may promise what it did not.
fn accepted_before(contract: &Contract, start: Timestamp) -> Option<String> {
    let status = contract.status.as_ref()?;
    status.established?;
    status.term.as_ref().filter(|term| term.start == start)?;
    recorded(contract)
}

/// Refuses a `promisesFrom` that lies further before the creation of the contract than is allowed;
/// its local day counts as a whole.
fn date_fault(
    contract: &Contract,
    entry: &ContractService,
    bounds: &Bounds,
    (promised_from, created): (Timestamp, Timestamp),
) -> Option<Fault> {
    let found = contract.spec.promises_from.as_ref()?;
    let (entry, service) = (&entry.name, &entry.service_ref.name);
    // What cannot be read allows no more than the default, which is none.
    let before = bounds.promises_before.length().unwrap_or_default();
    let zone = zone(&contract.spec.term.time_zone).ok()?;
    let earliest = created.checked_sub(before).unwrap_or(Timestamp::MIN);
    let date = earliest.to_zoned(zone.clone()).date();
    (promised_from < start_of_day(earliest, &zone)).then(|| {
        unsupported(format!(
            "spec.promisesFrom is \"{found}\": SmartService {service} of services[{entry}] allows \
             \"{date}\" and later, {} before this contract was created (bounds.promisesBefore)",
            bounds.promises_before
        ))
    })
}

fn start_of_day(instant: Timestamp, zone: &TimeZone) -> Timestamp {
    start_of_date(instant.to_zoned(zone.clone()).date(), zone)
}

/// Refuses a fee above the ceiling of its currency, unless it is signed. A text that is no amount
/// has a fault of its own.
fn fee_fault(
    contract: &Contract,
    entry: &ContractService,
    bounds: &Bounds,
    signed: &Signed<'_>,
) -> Option<Fault> {
    let (fee, currency) = (entry.fee.as_ref()?, contract.spec.currency.as_ref()?);
    if bounds.fee_ceiling.is_empty() || signed.has_fee(fee, currency) {
        return None;
    }
    let (name, service) = (&entry.name, &entry.service_ref.name);
    let mut ceilings = bounds.fee_ceiling.iter();
    let Some(ceiling) = ceilings.find(|ceiling| ceiling.currency == *currency) else {
        let allowed = bounds.fee_ceiling.iter().map(|it| it.currency.as_str());
        return Some(unsupported(format!(
            "spec.currency is \"{currency}\": SmartService {service} of services[{name}] allows \
             fees in {} only (bounds.feeCeiling)",
            listed(allowed)
        )));
    };
    is_above(fee, ceiling).then(|| {
        unsupported(format!(
            "spec.services[{name}].fee.amount is \"{}\" for a {}: SmartService {service} allows \
             at most \"{}\" {currency} for a {} (bounds.feeCeiling)",
            fee.amount,
            word(fee.per),
            ceiling.amount,
            word(ceiling.per)
        ))
    })
}

/// True if a fee is above a ceiling, each counted by the month. A ceiling that cannot be read is
/// that of zero.
fn is_above(fee: &Fee, ceiling: &FeeCeiling) -> bool {
    let Ok(amount) = fee_amount(fee) else {
        return false;
    };
    let most = Fee {
        amount: ceiling.amount.clone(),
        per: ceiling.per,
        of: fee.of,
    };
    let most = fee_amount(&most).unwrap_or(Decimal::ZERO);
    amount * months(ceiling.per) > most * months(fee.per)
}

fn months(period: Period) -> Decimal {
    match period {
        Period::Month => 1,
        Period::Quarter => 3,
        Period::Year => 12,
    }
    .into()
}

fn word(period: Period) -> &'static str {
    match period {
        Period::Month => "Month",
        Period::Quarter => "Quarter",
        Period::Year => "Year",
    }
}

/// The revisions that subscriptions of an entry have of its service.
pub(super) struct Signed<'a>(Vec<&'a Revision>);

impl<'a> Signed<'a> {
    pub(super) fn of(world: &'a ContractWorld, entry: &ContractService) -> Self {
        let revisions = world.of_entry(entry).flat_map(|it| &it.spec.revisions);
        let revisions = revisions.map(|revision| &**revision);
        Self(
            revisions
                .filter(|revision| revision.service_ref == entry.service_ref)
                .collect(),
        )
    }

    /// True if one that begins at this instant is promised.
    fn is_promised(&self, effective: Timestamp) -> bool {
        let mut revisions = self.0.iter();
        revisions.any(|revision| revision.promised && revision.effective == effective)
    }

    /// True if one has this fee in this currency.
    pub(super) fn has_fee(&self, fee: &Fee, currency: &String) -> bool {
        let mut revisions = self.0.iter();
        revisions.any(|revision| {
            revision.fee.as_ref() == Some(fee) && revision.currency.as_ref() == Some(currency)
        })
    }
}
