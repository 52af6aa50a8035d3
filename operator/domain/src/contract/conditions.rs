//! The conditions of a contract (api: "Contract"; kstatus).
//!
//! Decides status, reason and message of every condition but the summary. Stalled is stated only
//! where the contract's own spec is at fault: one bad device among thousands must not make a
//! tool that waits give up.

use std::collections::BTreeSet;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::Condition;

use super::assessment::{Assessment, stuck_devices};
use super::ready::all_delivered;
use super::subscription_state::named;
use super::{NAMES_SHOWN, is_deleting, joined, listed, reason_of};
use crate::condition::{ConditionSet, Status, Summary};

/// Returns the conditions; `summary` is that of [`Assessment::ready`].
pub(super) fn conditions(
    assessment: &Assessment,
    summary: &Summary,
    previous: &[Condition],
) -> Vec<Condition> {
    let generation = assessment.contract.metadata.generation;
    let mut set = summary.state(ConditionSet::new(previous, generation, assessment.now));
    let stated = [
        (ConditionType::Accepted, assessment.accepted()),
        (ConditionType::ResolvedRefs, assessment.resolved_refs()),
        (ConditionType::InForce, assessment.in_force()),
        (ConditionType::Delivered, assessment.delivered()),
    ];
    for (condition, (status, reason, message)) in stated {
        set = set.with(condition, status, reason, message);
    }
    for (condition, reason, message) in assessment.negative() {
        set = set.with(condition, Status::True, reason, message);
    }
    set.finish()
}

type Stated = (Status, Reason, String);

impl Assessment<'_> {
    fn accepted(&self) -> Stated {
        match &self.resolved.accepted {
            Ok(()) => (Status::True, Reason::Valid, self.valid()),
            Err(faults) => {
                let reason = reason_of(faults);
                (Status::False, reason, joined(faults))
            }
        }
    }

    /// Returns the message of a valid contract, with what its reader may not expect: a remedy of the
    /// catalogue that owes nothing.
    fn valid(&self) -> String {
        let late = " It was made after its start, so that its start is not promised.";
        let late = if self.resolved.start_is_unpromised {
            late
        } else {
            ""
        };
        let valid = format!("The contract is valid.{late}");
        let without_fee = &self.resolved.without_fee;
        if without_fee.is_empty() {
            return valid;
        }
        let entries = listed(without_fee.iter().map(String::as_str));
        format!(
            "{valid} A FeeCredit owes nothing without spec.services[].fee, which is not set in \
             {entries}: set it if a missed promise is to be credited."
        )
    }

    fn resolved_refs(&self) -> Stated {
        match &self.resolved.refs {
            Ok(()) => (
                Status::True,
                Reason::Resolved,
                "Every SmartService was found.".to_owned(),
            ),
            Err(faults) => (Status::False, reason_of(faults), joined(faults)),
        }
    }

    fn in_force(&self) -> Stated {
        if let Some(awaited) = self.awaited() {
            let (reason, message) = self.awaiting(awaited);
            return (Status::False, reason, message);
        }
        let is_refused = self.resolved.accepted.is_err();
        let never = if self.resolved.term.is_none() {
            Some("The term cannot be read.")
        } else if is_refused && !self.was_accepted() {
            Some("The contract was never accepted.")
        } else {
            None
        };
        if let Some(message) = never {
            return (Status::Unknown, Reason::Pending, message.to_owned());
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
        let message = format!("The term has begun.{}", self.successors());
        (Status::True, Reason::InTerm, message)
    }

    /// Returns a sentence for each contract that takes services over, or has taken some.
    fn successors(&self) -> String {
        let takeovers = self.resolved.succeeded.values();
        let each: BTreeSet<(&str, bool)> = takeovers
            .map(|takeover| (takeover.by.as_str(), takeover.at <= self.now))
            .collect();
        let sentences = each.into_iter().take(NAMES_SHOWN).map(|(by, is_done)| {
            let verb = if is_done { "has taken" } else { "will take" };
            format!(" Contract {by} {verb} services over.")
        });
        sentences.collect()
    }

    fn delivered(&self) -> Stated {
        if is_deleting(self.contract) {
            let message = "The contract is being deleted.".to_owned();
            return (Status::False, Reason::Withdrawing, message);
        }
        if !self.is_in_term() {
            return self.in_force();
        }
        if let Err(faults) = &self.resolved.refs {
            return (Status::False, reason_of(faults), joined(faults));
        }
        if self.resolved.accepted.is_ok() {
            if let Some(fault) = self.device_fault() {
                return (Status::False, fault.reason, fault.message);
            }
        } else if self.states.is_empty() {
            let message = "Nothing is set up before the contract is accepted.".to_owned();
            return (Status::False, Reason::DevicesPending, message);
        }
        let pending = self.pending();
        let total = self.states.len();
        let delivered = total - pending.len();
        if pending.is_empty() {
            return (Status::True, Reason::Delivered, all_delivered(total));
        }
        if let Some(about_drift) = self.about_drift()
            && pending.len() == self.drifted().len()
        {
            let message =
                format!("{delivered} of {total} subscriptions are delivered. {about_drift}");
            return (Status::False, Reason::Drifted, message);
        }
        let message = format!(
            "{delivered} of {total} subscriptions are delivered; waits for {}.",
            named(&pending)
        );
        let message = self.explained(&message);
        (Status::False, Reason::DevicesPending, message)
    }

    /// Returns the conditions that exist only while they are True.
    fn negative(&self) -> Vec<(ConditionType, Reason, String)> {
        let mut negative = Vec::new();
        if let Some((reason, message)) = self.start_at_risk() {
            negative.push((ConditionType::StartAtRisk, reason, message));
        }
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
            negative.push((
                ConditionType::DevicesFailing,
                Reason::DevicesNotProgressing,
                stuck_devices(&failing),
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

    /// Returns the reason for which the start is at risk: a missing reference of the contract comes
    /// before its devices.
    fn start_at_risk(&self) -> Option<(Reason, String)> {
        if !self.preparing {
            return None;
        }
        if let Err(faults) = &self.resolved.refs {
            return Some((reason_of(faults), joined(faults)));
        }
        let names = listed(self.at_risk.iter().map(String::as_str));
        let devices = match self.at_risk.len() {
            0 => return None,
            1 => format!("1 device: {names}"),
            count => format!("{count} devices: {names}"),
        };
        let message = format!(
            "Preparation for the start is stuck on {devices}; see the \
             ServiceSubscriptions there."
        );
        Some((Reason::DevicesNotProgressing, message))
    }
}
