//! The status of an order: its conditions, from what is remembered of it (K2).
//!
//! Decides words, and nothing about what is sent. A condition is never read by the one that states
//! it: everything it is made from is in other fields. Called by the pass.

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{
    CancellationState, MessageState, OrderCause, OrderEnd, OrderOutcome, OrderState, PlacedOrder,
    Protocol, SupplyOrder, SupplyOrderStatus,
};
use jiff::Timestamp;

use super::late::{late, late_cancellation};
use super::pass::OrderFacts;
use crate::condition::{ConditionSet, Status, Summary, Work};

/// A condition: its status, its reason and its message.
type Said = (Status, Reason, String);

/// Returns the status of an order, with conditions.
pub(super) fn report(
    order: &SupplyOrder,
    memory: &SupplyOrderStatus,
    facts: &OrderFacts,
    reference: &str,
    now: Timestamp,
) -> SupplyOrderStatus {
    let generation = order.metadata.generation;
    let before = order.status.as_ref();
    let previous = before.map_or(&[][..], |status| &status.conditions);
    let told = Told {
        memory,
        facts,
        reference,
        is_cancelled: order.spec.cancelled.is_some(),
        now,
    };
    let note = without_effect(order, memory);
    let summary = told.summary().with_note(note.as_deref());
    let (status, reason, mut message) = told.ordered();
    append(&mut message, "; ", note.as_deref());
    let set = summary.state(ConditionSet::new(previous, generation, now));
    let set = set.with(ConditionType::Ordered, status, reason, message);
    let set = match displayed(order, memory) {
        Some((status, reason, message)) => {
            set.with(ConditionType::Displayed, status, reason, message)
        }
        None => set.without(ConditionType::Displayed),
    };
    let observed = before.and_then(|status| status.observed_generation);
    SupplyOrderStatus {
        conditions: set.finish(),
        observed_generation: summary.observed_generation(generation, observed),
        ..memory.clone()
    }
}

/// Everything from which the conditions are made.
struct Told<'a> {
    memory: &'a SupplyOrderStatus,
    facts: &'a OrderFacts,
    reference: &'a str,
    is_cancelled: bool,
    now: Timestamp,
}

impl Told<'_> {
    fn summary(&self) -> Summary {
        let (memory, is_cancelled) = (self.memory, self.is_cancelled);
        if let Some(closed) = &memory.closed {
            return match closed.by {
                OrderEnd::Delivered => Summary::done(Reason::OrderPlaced, of_order(memory)),
                OrderEnd::SupplyReplaced => Summary::done(Reason::SupplyReplaced, replaced(memory)),
                OrderEnd::Cancelled => Summary::done(Reason::Cancelled, cancelled(memory)),
                // A person has settled it with the provider.
                OrderEnd::Rejected if is_cancelled => {
                    Summary::done(Reason::Cancelled, of_order(memory))
                }
                OrderEnd::Rejected => {
                    Summary::open(Reason::OrderRejected, of_order(memory), Work::Stalled)
                }
            };
        }
        if memory.outcome == Some(OrderOutcome::Unknown) && memory.order.is_none() {
            return Summary::open(
                Reason::OutcomeUnknown,
                unknown(memory, self.reference),
                Work::Stalled,
            );
        }
        if let Some((reason, message)) = &self.facts.fault {
            return Summary::open(*reason, message, Work::of(*reason));
        }
        let lost = memory
            .problem
            .as_ref()
            .filter(|it| it.reason == Reason::OutcomeUnknown);
        if memory.order.is_some() {
            if let Some(lost) = lost {
                return Summary::open(lost.reason, &*lost.message, Work::Stalled);
            }
            let requested = memory.cancellation.as_ref();
            if requested.is_some_and(|it| it.state == CancellationState::Requested) {
                if let Some(late) = late_cancellation(memory, self.now) {
                    let reason = Reason::OrderServerUnavailable;
                    let words = format!("{}; {late}", of_order(memory));
                    return Summary::open(reason, words, Work::of(reason));
                }
                return Summary::open(Reason::Progressing, of_order(memory), Work::Progressing);
            }
            return Summary::done(Reason::OrderPlaced, of_order(memory));
        }
        let (reason, words) = self.unplaced();
        let work = if reason == Reason::Progressing {
            Work::Progressing
        } else {
            Work::of(reason)
        };
        Summary::open(reason, words, work)
    }

    fn ordered(&self) -> Said {
        let memory = self.memory;
        if let Some(order) = &memory.order {
            let lost = memory
                .problem
                .as_ref()
                .filter(|it| it.reason == Reason::OutcomeUnknown);
            return match (order.state, lost) {
                (OrderState::Cancelled, _) => (Status::False, Reason::Cancelled, of_order(memory)),
                (OrderState::Rejected, _) => {
                    (Status::False, Reason::OrderRejected, of_order(memory))
                }
                (_, Some(lost)) => (Status::Unknown, lost.reason, lost.message.to_string()),
                _ => (Status::True, Reason::OrderPlaced, of_order(memory)),
            };
        }
        if memory.outcome == Some(OrderOutcome::Unknown) {
            return (
                Status::Unknown,
                Reason::OutcomeUnknown,
                unknown(memory, self.reference),
            );
        }
        if memory.closed.is_some() {
            return (Status::False, Reason::Cancelled, cancelled(memory));
        }
        if let Some((reason, message)) = &self.facts.fault {
            return (Status::False, *reason, message.clone());
        }
        let (reason, words) = self.unplaced();
        (Status::False, reason, words)
    }

    /// Returns the reason for which the server does not have the order yet, and the words for it.
    fn unplaced(&self) -> (Reason, String) {
        if let Some(problem) = &self.memory.problem {
            return (problem.reason, problem.message.to_string());
        }
        let late = late(self.memory, self.reference, self.now);
        match late.filter(|_| !self.is_cancelled) {
            Some(late) => (Reason::OrderServerUnavailable, late),
            None => (Reason::Progressing, under_way(self.memory)),
        }
    }
}

/// Returns the words about `spec.found` where it changes nothing: the id was known before, the order was
/// closed, or nothing was sent whose outcome somebody could find.
fn without_effect(order: &SupplyOrder, memory: &SupplyOrderStatus) -> Option<String> {
    let found = &order.spec.found.as_ref()?.order_id;
    let because = match &memory.order {
        Some(known) if *known.id == **found => return None,
        Some(known) => format!("the order was known as {} before", known.id),
        None if memory.closed.is_some() => "the order was closed before".to_owned(),
        None => "nothing was sent to the order server yet".to_owned(),
    };
    Some(format!(
        "spec.found names {found} and has no effect: {because}"
    ))
}

/// Returns the condition Displayed; `None` for an order that no error caused, and for one that was closed
/// before there was a message.
fn displayed(order: &SupplyOrder, memory: &SupplyOrderStatus) -> Option<Said> {
    if order.spec.record.cause != OrderCause::Error {
        return None;
    }
    let Some(message) = &memory.message else {
        if memory.closed.is_some() {
            return None;
        }
        let words = "The message on the device waits for the id of the order.";
        return Some((Status::False, Reason::Pending, words.to_owned()));
    };
    let text = message.text.as_deref().unwrap_or_default();
    let via = message
        .via
        .map_or_else(String::new, |via| format!(" by {via:?}"));
    let problem = message.problem.as_deref();
    Some(match message.state {
        MessageState::Pending => {
            let words = problem.unwrap_or("the message is not sent to the device yet");
            let reason = message.reason.unwrap_or(Reason::Pending);
            (Status::False, reason, words.to_owned())
        }
        MessageState::Sent => {
            let words = format!("sent{via}, and the display cannot be read back: \"{text}\"");
            (Status::Unknown, Reason::MessageSent, words)
        }
        MessageState::Shown => {
            let words = format!("read back from the display{via}: \"{text}\"");
            (Status::True, Reason::MessageShown, words)
        }
        MessageState::Cleared => {
            // Identify-Printer has no opposite (PWG 5100.13): nothing takes its message down.
            let words = match message.via {
                Some(Protocol::IPP) => format!(
                    "the error is over; the device itself ends the message that was sent by IPP: \"{text}\""
                ),
                _ => format!("taken down at the end of the error: \"{text}\""),
            };
            (Status::False, Reason::Cleared, words)
        }
        MessageState::Undeliverable => {
            let reason = message.reason.unwrap_or(Reason::NoDisplay);
            let words = problem.unwrap_or("the message cannot be shown on the device");
            (Status::False, reason, words.to_owned())
        }
    })
}

/// Returns the words about an order that the server has.
fn of_order(memory: &SupplyOrderStatus) -> String {
    let Some(order) = &memory.order else {
        return String::new();
    };
    let mut words = if order.adopted {
        let id = &order.id;
        format!(
            "the order server had the order already, as {id}; it is {}",
            state(order.state)
        )
    } else {
        format!("ordered as {}, which is {}", order.id, state(order.state))
    };
    append(&mut words, ": ", order.reason.as_deref());
    append(&mut words, "; expected ", order.expected.as_deref());
    append(&mut words, "; tracking ", order.tracking.as_deref());
    if !order.others.is_empty() {
        words.push_str(&others(order));
    }
    if let Some(cancellation) = &memory.cancellation {
        words.push_str(match cancellation.state {
            CancellationState::Requested => "; its cancellation is asked for",
            CancellationState::TooLate => "; it is too late to cancel it",
            CancellationState::Refused => "; the order server does not cancel it",
        });
        append(&mut words, ": ", cancellation.message.as_deref());
    }
    let problem = memory.problem.as_ref().filter(|_| memory.closed.is_none());
    append(
        &mut words,
        "; at the last look: ",
        problem.map(|it| &*it.message),
    );
    words
}

/// Returns the words about further orders under the same reference.
fn others(order: &PlacedOrder) -> String {
    let ids: Vec<&str> = order.others.iter().map(|id| &**id).collect();
    let ids = ids.join(", ");
    format!(
        "; the order server gave other ids for it, too, which a person has to cancel there: {ids}"
    )
}

fn append(words: &mut String, before: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        words.push_str(before);
        words.push_str(text);
    }
}

fn state(state: OrderState) -> &'static str {
    match state {
        OrderState::Accepted => "Accepted",
        OrderState::Shipped => "Shipped",
        OrderState::Delivered => "Delivered",
        OrderState::Cancelled => "Cancelled",
        OrderState::Rejected => "Rejected",
    }
}

fn unknown(memory: &SupplyOrderStatus, reference: &str) -> String {
    let problem = memory.problem.as_ref().map(|problem| &*problem.message);
    let mut words = format!(
        "the order server may have the order or not, and the operator sends nothing more; its \
         reference is {reference}"
    );
    append(&mut words, ": ", problem);
    words.push_str("; set spec.found or spec.cancelled");
    words
}

fn replaced(memory: &SupplyOrderStatus) -> String {
    let mut words = "the device was seen with a new supply".to_owned();
    append(&mut words, "; ", Some(&of_order(memory)));
    words
}

fn cancelled(memory: &SupplyOrderStatus) -> String {
    if memory.order.is_some() {
        return of_order(memory);
    }
    if memory.outcome == Some(OrderOutcome::Unknown) {
        return "cancelled; whether the order server has it is not known, so cancel it there by hand"
            .to_owned();
    }
    if memory.replaced.is_some() {
        return "not ordered: the device was seen with a new supply before".to_owned();
    }
    "cancelled before it was sent".to_owned()
}

fn under_way(memory: &SupplyOrderStatus) -> String {
    let words = match (&memory.operation, memory.intent) {
        (Some(_), _) => "the order server makes the order",
        (None, Some(_)) => "the order is being sent",
        (None, None) => "the order is about to be sent",
    };
    words.to_owned()
}
