//! Assessment: the state of a contract, from which Ready and every condition follow.
//!
//! Decides nothing that is written. Made by report, read by `ready` and `conditions`.

use std::collections::BTreeSet;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::Contract;
use jiff::{SignedDuration, Timestamp};

use super::parsed::created;
use super::subscription_state::{Progress, SubscriptionState, named};
use super::{Awaited, EntryDevices, Fault, ResolvedContract, listed};
use crate::clocks::{earlier_clock, later_clock};
use crate::listing::some_of;

/// The most devices that are named as not found: the first ones show the typing error.
const NOT_FOUND_SHOWN: usize = 3;

/// The state of a contract at `now`.
pub(super) struct Assessment<'a> {
    pub(super) contract: &'a Contract,
    pub(super) resolved: &'a ResolvedContract,
    /// Sorted by device and service.
    pub(super) states: &'a [SubscriptionState],
    /// The number of subscriptions that may be undelivered while the contract is Ready.
    pub(super) allowed: usize,
    /// The names of subscriptions that are being withdrawn, sorted.
    pub(super) withdrawing: Vec<String>,
    /// The names of subscriptions that cannot be read, sorted.
    pub(super) unreadable: &'a BTreeSet<String>,
    /// Devices whose withdrawal does not progress.
    pub(super) withdrawing_failing: Vec<String>,
    /// True from the instant of preparation until the start, when StartAtRisk may be stated.
    pub(super) preparing: bool,
    /// The devices on which the preparation does not proceed.
    pub(super) at_risk: BTreeSet<String>,
    /// True if the suspension has reached every subscription that exists.
    pub(super) suspended: bool,
    /// The write that failed, in a sentence.
    pub(super) failure: Option<&'a str>,
    /// True if a promise of this term was missed.
    pub(super) missed: bool,
    /// The number of compensations that are not final or not delivered.
    pub(super) pending: i32,
    /// Time by which the local clock is ahead of that of the API server, if that is too much.
    pub(super) clock_skew: Option<SignedDuration>,
    pub(super) now: Timestamp,
}

impl Assessment<'_> {
    pub(super) fn has_begun(&self) -> bool {
        self.resolved
            .term
            .as_ref()
            .is_some_and(|term| term.start <= self.now)
    }

    /// Returns the dates of a contract whose start no notice has reported yet.
    pub(super) fn awaited(&self) -> Option<Awaited> {
        self.resolved
            .awaited
            .filter(|_| self.resolved.term.is_none())
    }

    /// Returns the reason and message of a contract that waits for its start.
    pub(super) fn awaiting(&self, awaited: Awaited) -> (Reason, String) {
        let by = self.contract.spec.term.start_by.as_deref();
        let by = by
            .map(|by| format!(", expected by {by}"))
            .unwrap_or_default();
        if awaited.is_overdue(self.now) {
            let message = format!("No ContractNotice has reported the start{by}.");
            return (Reason::NeverStarted, message);
        }
        let message = format!("The start is not reported yet; waits for a ContractNotice{by}.");
        (Reason::AwaitingNotice, message)
    }

    /// True if the start has come by one of two clocks that differ, and lies ahead by the other.
    pub(super) fn start_is_in_doubt(&self) -> bool {
        let (now, skew) = (self.now, self.clock_skew);
        let term = self.resolved.term.as_ref();
        term.is_some_and(|term| {
            earlier_clock(now, skew) < term.start && term.start <= later_clock(now, skew)
        })
    }

    pub(super) fn is_over(&self) -> bool {
        let end = self.resolved.term.as_ref().and_then(|term| term.end);
        end.is_some_and(|end| end <= self.now)
    }

    /// True if the term was over when the object was made.
    pub(super) fn was_over_when_made(&self) -> bool {
        let end = self.resolved.term.as_ref().and_then(|term| term.end);
        end.is_some_and(|end| end <= created(self.contract, self.now))
    }

    /// True if an earlier pass has accepted the contract, so that there is a term that holds.
    pub(super) fn was_accepted(&self) -> bool {
        let status = self.contract.status.as_ref();
        status.is_some_and(|status| status.term.is_some())
    }

    /// True if now lies inside the term.
    pub(super) fn is_in_term(&self) -> bool {
        self.has_begun() && !self.is_over()
    }

    pub(super) fn pending(&self) -> Vec<&SubscriptionState> {
        self.states
            .iter()
            .filter(|state| !state.is_delivered())
            .collect()
    }

    /// Returns the subscriptions that were delivered, and of which somebody has changed a setting since that
    /// is left so.
    pub(super) fn drifted(&self) -> Vec<&SubscriptionState> {
        let states = self.states.iter();
        states
            .filter(|state| state.progress == Progress::Drifted)
            .collect()
    }

    /// Returns the sentence about those; `None` if there are none.
    pub(super) fn about_drift(&self) -> Option<String> {
        let drifted = self.drifted();
        if drifted.is_empty() {
            return None;
        }
        Some(format!(
            "Settings were changed at the device and are left so, by driftPolicy Report: {}.",
            named(&drifted)
        ))
    }

    /// Returns the devices that do not progress, sorted, each once.
    pub(super) fn failing_devices(&self) -> BTreeSet<&str> {
        let states = self
            .states
            .iter()
            .filter(|state| state.is_failing())
            .map(|state| state.device.as_str());
        states
            .chain(self.withdrawing_failing.iter().map(String::as_str))
            .collect()
    }

    /// Returns the message with the devices that do not answer, and with those on which something
    /// else is stuck: before the start nothing else of Ready tells them.
    pub(super) fn with_failing_devices(&self, message: &str) -> String {
        let silent = self.states.iter().filter(|state| state.silent);
        let silent: BTreeSet<&str> = silent.map(|state| state.device.as_str()).collect();
        let names = listed(silent.iter().copied());
        let silent_devices = match silent.len() {
            0 => String::new(),
            1 => format!(" 1 device does not answer yet: {names}."),
            count => format!(" {count} devices do not answer yet: {names}."),
        };
        let others: BTreeSet<&str> = &self.failing_devices() - &silent;
        if others.is_empty() {
            return format!("{message}{silent_devices}");
        }
        format!("{message}{silent_devices} {}", stuck_devices(&others))
    }

    /// Returns the message with the number of services that are handed over to another provider or
    /// contract: until then somebody serves.
    pub(super) fn with_handing_over(&self, message: &str) -> String {
        let states = self.states.iter();
        let handed = states.filter(|it| it.reason == Reason::HandingOver.as_str());
        match handed.count() {
            0 => message.to_owned(),
            1 => format!(
                "{message} 1 of them is being handed over, and what served before serves meanwhile."
            ),
            count => format!(
                "{message} {count} of them are being handed over, and what served before serves \
                 meanwhile."
            ),
        }
    }

    /// Returns the message with the devices that the contract names and that do not exist.
    pub(super) fn with_devices_not_found(&self, message: &str) -> String {
        let not_found = self
            .states
            .iter()
            .filter(|state| state.reason == Reason::DeviceNotFound.as_str());
        let names: BTreeSet<&str> = not_found.map(|state| state.device.as_str()).collect();
        let devices = some_of(names.iter().copied(), NOT_FOUND_SHOWN);
        let devices = match names.len() {
            0 => return message.to_owned(),
            1 => format!("1 Device was not found: {devices}"),
            count => format!("{count} Devices were not found: {devices}"),
        };
        format!(
            "{message} {devices}; create what is missing, or correct the names in the contract or its \
             amendment."
        )
    }

    /// Returns the fault of the number of devices: an unexpected number comes before none at all.
    pub(super) fn device_fault(&self) -> Option<Fault> {
        let entries = &self.resolved.entries;
        let mismatched: Vec<String> = entries
            .iter()
            .filter(|entry| entry.is_mismatch())
            .map(|entry| {
                let expected = entry.expected.unwrap_or_default();
                format!(
                    "services[{}] has {} devices and expects {expected}",
                    entry.service, entry.devices
                )
            })
            .collect();
        if !mismatched.is_empty() {
            let message = format!(
                "{}: correct the labels or expect; withdrawals by label are held.",
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
        let names = empty
            .iter()
            .map(|entry| format!("services[{}]", entry.service));
        let names: Vec<String> = names.collect();
        let message = format!(
            "No Device matches {}: check the selector and the labels of the Devices.",
            listed(names.iter().map(String::as_str))
        );
        Some(Fault {
            reason: Reason::NoDevices,
            message,
        })
    }
}

/// Returns the sentence about devices on which something is stuck.
pub(super) fn stuck_devices(devices: &BTreeSet<&str>) -> String {
    let names = listed(devices.iter().copied());
    match devices.len() {
        1 => format!("1 device is stuck: {names}."),
        count => format!("{count} devices are stuck: {names}."),
    }
}
