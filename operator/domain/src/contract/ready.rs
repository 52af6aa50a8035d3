//! Ready of a contract, with its reason and message.
//!
//! Decides which outstanding matter is reported first: a change that only a person can make, a
//! write that failed, a missing reference, the number of devices, an item that is not delivered.

use entente_crds::condition::Reason;

use super::assessment::Assessment;
use super::notices::ends_at_start;
use super::subscription_state::{Progress, SubscriptionState, named};
use super::{Awaited, ExceptionCause, is_deleting, joined, listed, reason_of};
use crate::condition::{Summary, Work};

impl Assessment<'_> {
    fn work(&self) -> Work {
        if self.failing_devices().is_empty() {
            Work::Progressing
        } else {
            Work::Retrying
        }
    }

    pub(super) fn ready(&self) -> Summary {
        if is_deleting(self.contract) {
            return self.deleting();
        }
        if let Err(faults) = &self.resolved.accepted {
            return Summary::open(reason_of(faults), joined(faults), Work::Stalled);
        }
        if let Some(failure) = self.failure {
            return Summary::open(Reason::ProgressingWithRetry, failure, Work::Retrying);
        }
        if self.contract.spec.suspend && self.suspended {
            return Summary::done(
                Reason::Suspended,
                "Suspended: nothing is sent until spec.suspend is false.",
            );
        }
        if let Err(faults) = &self.resolved.refs {
            return Summary::open(reason_of(faults), joined(faults), Work::Retrying);
        }
        if self.is_over() {
            return self.over();
        }
        if let Some(awaited) = self.awaited()
            && awaited.is_overdue(self.now)
        {
            let (reason, message) = self.awaiting(awaited);
            return Summary::open(reason, message, Work::of(reason));
        }
        if let Some(fault) = self.device_fault() {
            let message = self.with_restored(&fault.message);
            return Summary::open(fault.reason, message, self.work());
        }
        let unwritten: Vec<&SubscriptionState> = self
            .states
            .iter()
            .filter(|state| state.progress == Progress::Unwritten)
            .collect();
        if !unwritten.is_empty() {
            let message = format!(
                "{} of {} subscriptions are not written yet: {}.",
                unwritten.len(),
                self.states.len(),
                named(&unwritten)
            );
            return Summary::open(Reason::Progressing, message, self.work());
        }
        if self.start_is_in_doubt() {
            let message = "The local clock and that of the API server differ by more than 5 \
                           seconds, and the start lies between them: set the clock of the \
                           operator's node.";
            return Summary::open(Reason::ClockSkew, message, Work::Retrying);
        }
        if let Some(awaited) = self.awaited() {
            self.waiting(awaited)
        } else if self.has_begun() {
            self.in_term()
        } else {
            self.ahead()
        }
    }

    /// Returns Ready of a contract whose start is not known, when every device is.
    fn waiting(&self, awaited: Awaited) -> Summary {
        if self.withdrawing.len() > self.allowed {
            let message = self.waits_for_withdrawal();
            return Summary::open(Reason::Withdrawing, message, self.work());
        }
        let (reason, message) = self.awaiting(awaited);
        Summary::done(reason, message)
    }

    fn deleting(&self) -> Summary {
        let message = match (self.withdrawing.len(), self.unreadable.len()) {
            (0, 0) => "Everything is withdrawn.".to_owned(),
            (0, _) => self.waits_for_unreadable("withdrawn"),
            (_, 0) => self.waits_for_withdrawal(),
            _ => format!(
                "{} {}",
                self.waits_for_unreadable("withdrawn"),
                self.waits_for_withdrawal()
            ),
        };
        Summary::open(Reason::Withdrawing, message, self.work())
    }

    fn waits_for_withdrawal(&self) -> String {
        let names = listed(self.withdrawing.iter().map(String::as_str));
        match self.withdrawing.len() {
            1 => format!("Waits for the withdrawal of the subscription {names}."),
            count => format!("Waits for the withdrawal of {count} subscriptions: {names}."),
        }
    }

    /// Returns the sentence about subscriptions that cannot be read: they are not `done`.
    fn waits_for_unreadable(&self, done: &str) -> String {
        let names = listed(self.unreadable.iter().map(String::as_str));
        match self.unreadable.len() {
            1 => format!(
                "The subscription {names} cannot be read, so that it is not {done}; its status \
                 names the field."
            ),
            count => format!(
                "{count} subscriptions cannot be read, so that they are not {done}; the status \
                 of each names the field: {names}."
            ),
        }
    }

    /// Returns the message with the subscriptions that came back from a backup and are not wanted.
    fn with_restored(&self, message: &str) -> String {
        let restored = &self.resolved.changes.restored;
        let names = listed(restored.iter().map(String::as_str));
        let restored = match restored.len() {
            0 => return message.to_owned(),
            1 => format!("The subscription {names} was restored and is not wanted, and is"),
            count => {
                format!("{count} subscriptions were restored and are not wanted ({names}), and are")
            }
        };
        format!(
            "{message} {restored} kept for a day: restore what is missing, or edit the contract to \
             withdraw at once."
        )
    }

    /// Returns the message with what hinders subscriptions and is not said by one of their items.
    pub(super) fn explained(&self, message: &str) -> String {
        let message = self.with_handing_over(message);
        let message = self.with_restored(&self.with_devices_not_found(&message));
        if self.unreadable.is_empty() {
            return message;
        }
        format!("{message} {}", self.waits_for_unreadable("delivered"))
    }

    fn over(&self) -> Summary {
        let unsettled: Vec<&SubscriptionState> =
            self.states.iter().filter(|state| !state.settled).collect();
        if unsettled.len() + self.withdrawing.len() <= self.allowed {
            let message = if self.resolved.never_began {
                "The contract was over before any notice has started it."
            } else if self.was_over_when_made() {
                "The term was over before this contract was made."
            } else {
                "The term is over."
            };
            return Summary::done(Reason::Ended, message);
        }
        if unsettled.is_empty() {
            return Summary::open(
                Reason::Withdrawing,
                self.waits_for_withdrawal(),
                self.work(),
            );
        }
        let message = format!(
            "The term is over; {} of {} subscriptions are not withdrawn yet: {}.",
            unsettled.len(),
            self.states.len(),
            named(&unsettled)
        );
        let message = self.with_handing_over(&message);
        Summary::open(Reason::Withdrawing, message, self.work())
    }

    /// Returns Ready before the start, when nothing has to be delivered but every device is known.
    /// Devices that do not answer or are stuck are in its message only: there is time to mend them.
    fn ahead(&self) -> Summary {
        let states = self.states.iter();
        let excepted = states.filter(|state| state.progress == Progress::Excepted);
        if excepted.count() > self.allowed {
            return self.excepted();
        }
        if self.withdrawing.len() > self.allowed {
            return Summary::open(
                Reason::Withdrawing,
                self.waits_for_withdrawal(),
                self.work(),
            );
        }
        if self.unreadable.len() > self.allowed {
            let message = self.waits_for_unreadable("delivered");
            return Summary::open(Reason::Undecodable, message, Work::Retrying);
        }
        let term = self.resolved.term.as_ref();
        let message = match self.states.len() {
            _ if term.is_some_and(ends_at_start) => {
                "A ContractNotice ends the contract before its start: nothing is set up.".to_owned()
            }
            1 => "Accepted with one subscription; services begin at the start.".to_owned(),
            count => format!("Accepted with {count} subscriptions; services begin at the start."),
        };
        let message = self.with_failing_devices(&message);
        Summary::done(Reason::Scheduled, self.explained(&message))
    }

    fn in_term(&self) -> Summary {
        let pending = self.pending();
        let total = self.states.len();
        let delivered = total - pending.len();
        let missing = pending.len() + self.withdrawing.len();
        if missing == 0 {
            return Summary::done(Reason::Delivered, all_delivered(total));
        }
        if missing <= self.allowed {
            let message = format!(
                "{delivered} of {total} subscriptions are delivered, which maxUnavailable allows."
            );
            return Summary::done(Reason::DeliveredWithExceptions, message);
        }
        let drifted = self.drifted().len();
        if let Some(about_drift) = self.about_drift()
            && missing - drifted <= self.allowed
        {
            let message =
                format!("{delivered} of {total} subscriptions are delivered. {about_drift}");
            return Summary::done(Reason::DeliveredWithExceptions, message);
        }
        let pending: Vec<&SubscriptionState> = pending
            .into_iter()
            .filter(|state| state.progress != Progress::Drifted)
            .collect();
        if pending.is_empty() {
            return Summary::open(
                Reason::Withdrawing,
                self.waits_for_withdrawal(),
                self.work(),
            );
        }
        if pending
            .iter()
            .all(|state| state.progress == Progress::Excepted)
        {
            return self.excepted();
        }
        let failing: Vec<&SubscriptionState> = pending
            .iter()
            .copied()
            .filter(|state| state.is_failing())
            .collect();
        if failing.is_empty() {
            let message = format!(
                "{delivered} of {total} subscriptions are delivered; waits for {}.",
                named(&pending)
            );
            let message = self.explained(&message);
            return Summary::open(Reason::DevicesPending, message, Work::Progressing);
        }
        let message = format!(
            "{delivered} of {total} subscriptions are delivered; {} stuck: {}.",
            failing.len(),
            named(&failing)
        );
        let message = self.explained(&message);
        Summary::open(Reason::DevicesNotProgressing, message, Work::Retrying)
    }

    /// Returns Ready where labels keep entries from being carried out on some devices.
    fn excepted(&self) -> Summary {
        let (mut taken, mut overridden) = (Vec::new(), Vec::new());
        for exception in &self.resolved.exceptions {
            let (device, service) = (&exception.device, &exception.service);
            match &exception.cause {
                ExceptionCause::TakenBy(first) => {
                    taken.push(format!("{device} in services {first} and {service}"));
                }
                ExceptionCause::Overrides(conflict) => overridden.push(format!(
                    "{} of service {service} on {device} in {} and {}",
                    conflict.parameter, conflict.first, conflict.second
                )),
            }
        }
        let shown = |exceptions: &[String]| listed(exceptions.iter().map(String::as_str));
        let taken = (!taken.is_empty()).then(|| {
            let message = format!(
                "Two entries of one SmartService have the same device, and the first one takes it: \
                 {}; change the labels or the selectors.",
                shown(&taken)
            );
            (Reason::DuplicateService, message)
        });
        let overridden = (!overridden.is_empty()).then(|| {
            let message = format!(
                "Two overrides have the same device and set a parameter differently, so that it \
                 keeps what it had: {}; change the labels or the selectors.",
                shown(&overridden)
            );
            (Reason::OverridesConflict, message)
        });
        let both: Vec<(Reason, String)> = taken.into_iter().chain(overridden).collect();
        let reason = both.first().map_or(Reason::Pending, |(reason, _)| *reason);
        let messages: Vec<String> = both.into_iter().map(|(_, message)| message).collect();
        Summary::open(reason, messages.join(" "), Work::Progressing)
    }
}

/// Returns the message of a contract of which every subscription is delivered.
pub(super) fn all_delivered(total: usize) -> String {
    match total {
        0 => "No subscription is left to be delivered.".to_owned(),
        1 => "The subscription is delivered.".to_owned(),
        _ => format!("All {total} subscriptions are delivered."),
    }
}
