//! The parts of a fee for all devices: each device has to get one minor unit at least.
//!
//! Decides the faults of fees for all devices that have fewer minor units than there are devices, of
//! which each would get nothing (ADR 0019). A fee that is signed is never refused, however many
//! devices come later. Called by `acceptance`.

use entente_crds::v1alpha1::{Contract, ContractService, Fee, FeeOf};
use rust_decimal::Decimal;

use super::bounds::Signed;
use super::parsed::Entries;
use super::{ContractWorld, Fault, unsupported};
use crate::money::{currency_digits, fee_amount};

/// Returns the faults of all entries.
pub(super) fn faults(world: &ContractWorld, entries: &Entries<'_>) -> Vec<Fault> {
    let faults = entries.all.iter().filter_map(|read| {
        let signed = Signed::of(world, read.entry);
        fee_fault(&world.contract, read.entry, read.devices.len(), &signed)
    });
    faults.collect()
}

/// Refuses a fee that has fewer minor units than devices share it. Of a fee of zero nothing is lost
/// by rounding, and a text that is no amount has a fault of its own.
fn fee_fault(
    contract: &Contract,
    entry: &ContractService,
    devices: usize,
    signed: &Signed<'_>,
) -> Option<Fault> {
    let (fee, currency) = (entry.fee.as_ref()?, contract.spec.currency.as_ref()?);
    if fee.of != FeeOf::AllDevices || signed.has_fee(fee, currency) {
        return None;
    }
    let least = Decimal::new(i64::try_from(devices).ok()?, currency_digits(currency));
    is_below(fee, least).then(|| {
        unsupported(format!(
            "spec.services[{}].fee.amount is \"{}\" for all of {devices} devices: must be \
             \"{least}\" {currency} at least, one minor unit for each device, or 0",
            entry.name, fee.amount
        ))
    })
}

fn is_below(fee: &Fee, least: Decimal) -> bool {
    fee_amount(fee).is_ok_and(|amount| !amount.is_zero() && amount < least)
}
