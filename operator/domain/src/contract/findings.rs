//! What was found out about a contract, from which Ready and every condition follow.
//!
//! Decides nothing that is written. Made by report, read by `ready` and `conditions`.

use std::collections::BTreeSet;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::Contract;
use jiff::Timestamp;

use super::unit::Unit;
use super::{EntryDevices, Fault, ResolvedContract, listed};

/// What was found out, from which every condition follows.
pub(super) struct Findings<'a> {
    pub(super) contract: &'a Contract,
    pub(super) resolved: &'a ResolvedContract,
    /// Sorted by device and service.
    pub(super) units: &'a [Unit],
    /// How many may be missing.
    pub(super) allowed: usize,
    /// Names of subscriptions on their way out, sorted.
    pub(super) withdrawing: Vec<String>,
    /// Devices whose withdrawal does not progress.
    pub(super) withdrawing_failing: Vec<String>,
    /// Whether preparation has begun and the start is ahead, so that what hinders it is told.
    pub(super) preparing: bool,
    /// The devices on which the preparation does not proceed.
    pub(super) at_risk: BTreeSet<String>,
    /// Every subscription that exists knows of the suspension.
    pub(super) suspended: bool,
    /// What could not be written.
    pub(super) failure: Option<&'a str>,
    /// A promise of this term was missed.
    pub(super) missed: bool,
    /// Compensations that are not final or not delivered.
    pub(super) pending: i32,
    pub(super) now: Timestamp,
}

impl Findings<'_> {
    pub(super) fn has_begun(&self) -> bool {
        self.resolved
            .term
            .as_ref()
            .is_some_and(|term| term.start <= self.now)
    }

    pub(super) fn is_over(&self) -> bool {
        let end = self.resolved.term.as_ref().and_then(|term| term.end);
        end.is_some_and(|end| end <= self.now)
    }

    /// Whether now lies inside the term.
    pub(super) fn is_in_term(&self) -> bool {
        self.has_begun() && !self.is_over()
    }

    pub(super) fn pending(&self) -> Vec<&Unit> {
        self.units
            .iter()
            .filter(|unit| !unit.is_delivered())
            .collect()
    }

    /// Devices that do not progress, sorted, each once.
    pub(super) fn failing_devices(&self) -> BTreeSet<&str> {
        let units = self
            .units
            .iter()
            .filter(|unit| unit.is_failing())
            .map(|unit| unit.device.as_str());
        units
            .chain(self.withdrawing_failing.iter().map(String::as_str))
            .collect()
    }

    /// What is wrong with the number of devices: not the expected one before none at all.
    pub(super) fn device_fault(&self) -> Option<Fault> {
        let entries = &self.resolved.entries;
        let mismatched: Vec<String> = entries
            .iter()
            .filter(|entry| entry.is_mismatch())
            .map(|entry| {
                let expected = entry.expected.unwrap_or_default();
                format!(
                    "{} has {} devices and expects {expected}",
                    entry.service, entry.devices
                )
            })
            .collect();
        if !mismatched.is_empty() {
            let message = format!(
                "The service {}: correct the labels or expect; withdrawals by label are held.",
                listed(mismatched.iter().map(String::as_str))
            );
            return Some(Fault {
                reason: Reason::DeviceCountMismatch,
                message,
            });
        }
        let empty: Vec<&EntryDevices> = entries.iter().filter(|entry| entry.is_empty()).collect();
        if empty.is_empty() {
            return None;
        }
        let names = listed(empty.iter().map(|entry| entry.service.as_str()));
        let message = format!(
            "No Device matches the service {names}: check the selector and the labels of the \
             Devices."
        );
        Some(Fault {
            reason: Reason::NoDevices,
            message,
        })
    }
}
