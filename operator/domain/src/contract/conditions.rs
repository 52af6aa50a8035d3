//! The conditions of a contract (api: "Contract"; kstatus).
//!
//! Decides which of all that is outstanding Ready names, and when a contract is settled. Stalled
//! only where the contract's own spec is at fault: one bad device among thousands must not make a
//! tool that waits give up.

use std::collections::BTreeSet;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{Condition, Contract};
use jiff::Timestamp;

use super::ready::Work;
use super::report::Unit;
use super::{EntryDevices, Fault, ResolvedContract, is_deleting, joined, listed};
use crate::condition::{ConditionSet, Status};

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

/// The conditions, and whether this generation became Ready or Stalled.
pub(super) fn conditions(findings: &Findings, previous: &[Condition]) -> (Vec<Condition>, bool) {
    let generation = findings.contract.metadata.generation;
    let verdict = findings.ready();
    let mut set = ConditionSet::new(previous, generation, findings.now).with(
        ConditionType::Ready,
        verdict.status,
        verdict.reason,
        verdict.message.clone(),
    );
    let work = match verdict.work {
        Work::Done => None,
        Work::Going => Some((ConditionType::Reconciling, Reason::Progressing)),
        Work::Retrying => Some((ConditionType::Reconciling, Reason::ProgressingWithRetry)),
        Work::ForAPerson => Some((ConditionType::Stalled, verdict.reason)),
    };
    if let Some((condition, reason)) = work {
        set = set.with(condition, Status::True, reason, verdict.message.clone());
    }
    let stated = [
        (ConditionType::Accepted, findings.accepted()),
        (ConditionType::ResolvedRefs, findings.resolved_refs()),
        (ConditionType::InForce, findings.in_force()),
        (ConditionType::Delivered, findings.delivered()),
    ];
    for (condition, (status, reason, message)) in stated {
        set = set.with(condition, status, reason, message);
    }
    for (condition, reason, message) in findings.negative() {
        set = set.with(condition, Status::True, reason, message);
    }
    (
        set.finish(),
        matches!(verdict.work, Work::Done | Work::ForAPerson),
    )
}

type Stated = (Status, Reason, String);

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

    fn accepted(&self) -> Stated {
        match &self.resolved.accepted {
            Ok(()) => (
                Status::True,
                Reason::Valid,
                "The contract is valid.".to_owned(),
            ),
            Err(faults) => {
                let reason = faults
                    .first()
                    .map_or(Reason::InvalidTerm, |fault| fault.reason);
                (Status::False, reason, joined(faults))
            }
        }
    }

    fn resolved_refs(&self) -> Stated {
        match &self.resolved.refs {
            Ok(()) => (
                Status::True,
                Reason::Resolved,
                "Every SmartService was found.".to_owned(),
            ),
            Err(faults) => (Status::False, Reason::ServiceNotFound, joined(faults)),
        }
    }

    fn in_force(&self) -> Stated {
        if self.resolved.term.is_none() {
            return (
                Status::Unknown,
                Reason::Pending,
                "The term cannot be read.".to_owned(),
            );
        }
        if !self.has_begun() {
            return (
                Status::False,
                Reason::NotStarted,
                "The start lies ahead.".to_owned(),
            );
        }
        if self.is_over() {
            return (Status::False, Reason::Ended, "The term is over.".to_owned());
        }
        (
            Status::True,
            Reason::InTerm,
            "The term has begun.".to_owned(),
        )
    }

    fn delivered(&self) -> Stated {
        if is_deleting(self.contract) {
            let message = "The contract is being deleted.".to_owned();
            return (Status::False, Reason::Withdrawing, message);
        }
        if !self.is_in_term() {
            let (_, reason, message) = self.in_force();
            let status = if self.resolved.term.is_none() {
                Status::Unknown
            } else {
                Status::False
            };
            return (status, reason, message);
        }
        if let Err(faults) = &self.resolved.refs {
            return (Status::False, Reason::ServiceNotFound, joined(faults));
        }
        if self.resolved.accepted.is_ok() {
            if let Some(fault) = self.device_fault() {
                return (Status::False, fault.reason, fault.message);
            }
        } else if self.units.is_empty() {
            let message = "Nothing is set up before the contract is accepted.".to_owned();
            return (Status::False, Reason::DevicesPending, message);
        }
        let pending = self.pending();
        let total = self.units.len();
        let delivered = total - pending.len();
        if pending.is_empty() {
            let message = format!("All {total} subscriptions are delivered.");
            return (Status::True, Reason::Delivered, message);
        }
        let message = format!(
            "{delivered} of {total} subscriptions are delivered; waits for {}.",
            named(&pending)
        );
        (Status::False, Reason::DevicesPending, message)
    }

    /// The conditions that are there only while they are True.
    fn negative(&self) -> Vec<(ConditionType, Reason, String)> {
        let mut negative = Vec::new();
        if self.missed {
            negative.push((
                ConditionType::PromiseMissed,
                Reason::PromiseNotKept,
                "A promise of this term was not kept in time: see the Compensations of this \
                 contract."
                    .to_owned(),
            ));
        }
        let failing = self.failing_devices();
        if !failing.is_empty() {
            let names = listed(failing.iter().copied());
            let message = match failing.len() {
                1 => format!("1 device does not progress: {names}."),
                count => format!("{count} devices do not progress: {names}."),
            };
            negative.push((
                ConditionType::DevicesFailing,
                Reason::DevicesNotProgressing,
                message,
            ));
        }
        if self.pending > 0 {
            negative.push((
                ConditionType::CompensationPending,
                Reason::NotFinal,
                "A compensation of this contract is not final or not delivered yet.".to_owned(),
            ));
        }
        negative
    }
}

/// Units as "backup on lobby-mfp, …".
pub(super) fn named(units: &[&Unit]) -> String {
    let names: Vec<String> = units
        .iter()
        .map(|unit| format!("{} on {}", unit.service, unit.device))
        .collect();
    listed(names.iter().map(String::as_str))
}
