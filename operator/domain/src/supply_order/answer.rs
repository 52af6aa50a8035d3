//! The meaning of each answer of an order server, for the memory in a status (A4, A9, A10).
//!
//! Decides what is known after an answer, and how long to wait after a failure. It must never take
//! an order for not made because of an answer that leaves a doubt, nor replace the id that was given
//! first. Called by the pass.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    CancellationState, MAX_OTHER_IDS, OrderCancellation, OrderEnd, OrderOperation, OrderOutcome,
    OrderProblem, OrderState,
};
use jiff::{SignedDuration, Timestamp};

use super::exchange::{OrderAnswer, OrderRequest, ServerOrder};
use super::pass::{Attempts, HOURLY, LOOKS, Look, OrderPass, Searched, placed};
use crate::backoff::{LONGEST_ASKED, wait};
use crate::remote::{Failure, FailureKind};

/// Time for which other words of the same failure are no reason to write a status.
const KEEPS_WORDS: SignedDuration = SignedDuration::from_mins(10);
/// Time by which the clocks of a server and of a device may differ.
const CLOCKS: SignedDuration = SignedDuration::from_hours(1);

impl OrderPass {
    /// Notes an answer.
    pub(super) fn learn(&mut self, request: &OrderRequest, answer: OrderAnswer, now: Timestamp) {
        let answer = match answer {
            OrderAnswer::Failed(failure) => return self.failed(request, &failure, now),
            answer => answer,
        };
        self.attempts.until = None;
        match request {
            OrderRequest::FindByReference { .. } => self.found(answer, now),
            OrderRequest::FindOpen { .. } => self.found_open(answer, now),
            OrderRequest::Place(_) | OrderRequest::ReadOperation { .. } => {
                let reads = matches!(request, OrderRequest::ReadOperation { .. });
                self.was_placed(answer, reads, now);
            }
            OrderRequest::Read { id } => self.was_read(id, answer, now),
            OrderRequest::Cancel { id, .. } => self.was_cancelled(id, answer, now),
        }
    }

    fn found(&mut self, answer: OrderAnswer, now: Timestamp) {
        let OrderAnswer::Orders(orders) = answer else {
            self.status.queryable = Some(false);
            return;
        };
        let count = orders.len();
        let is_ours = |order: &ServerOrder| order.reference == self.reference;
        let mut ours: Vec<ServerOrder> = orders.into_iter().filter(is_ours).collect();
        // Oldest first; those without an instant stay in the server's order, behind.
        ours.sort_by_key(|order| (order.placed.is_none(), order.placed));
        if ours.is_empty() {
            // A server that answers with orders of others does not look at the reference, and one that is
            // ours may be on another page.
            self.status.queryable = Some(count == 0);
            if count == 0 {
                self.look.searched = Searched::Reference;
            }
            return;
        }
        self.status.queryable = Some(true);
        let first = ours.remove(0);
        if self.is_of_a_lost_past(&first) {
            self.status.outcome = Some(OrderOutcome::Unknown);
            let message = format!(
                "the order server has the order {} under this reference already, which was closed \
                 before the error began: the number of the occurrence was used before, as after a \
                 restore from a backup",
                first.id
            );
            self.problem(Reason::OutcomeUnknown, &message, now);
            return;
        }
        let was_sent = self.status.intent.is_some();
        self.adopt(&first, !was_sent, now);
        for other in &ours {
            self.note_other(&other.id);
        }
    }

    /// True for a closed order that this record never asked for and that was placed before its error
    /// began: the occurrence of that order was another one.
    fn is_of_a_lost_past(&self, found: &ServerOrder) -> bool {
        let error = self.order.spec.record.error.as_ref();
        let began = error.and_then(|error| error.began.checked_sub(CLOCKS).ok());
        let before = found
            .placed
            .zip(began)
            .is_some_and(|(at, began)| at < began);
        self.status.intent.is_none() && before && found.state.and_then(end_of).is_some()
    }

    fn found_open(&mut self, answer: OrderAnswer, now: Timestamp) {
        let record = &self.order.spec.record;
        let others = &self.facts.of_others;
        let is_of_another = |order: &ServerOrder| {
            let reference = order.reference.as_deref();
            others.contains(&order.id) || reference.is_some_and(|it| others.contains(it))
        };
        let customer = &*record.customer.id;
        let same = |order: &ServerOrder| {
            let parts = &order.part_numbers;
            let serial = order.serial_number.as_deref();
            serial == Some(&*record.device.serial_number)
                && order.customer_id.as_deref().is_none_or(|it| it == customer)
                && !is_of_another(order)
                && order.state.is_some_and(|state| end_of(state).is_none())
                && record
                    .lines
                    .iter()
                    .any(|line| parts.contains(&line.part_number))
        };
        let found = match answer {
            OrderAnswer::Orders(orders) => orders.into_iter().find(same),
            _ => None,
        };
        match found {
            Some(order) => self.adopt(&order, true, now),
            None => self.look.searched = Searched::Open,
        }
    }

    /// Notes the answer to a request that places an order, or to a look at its operation.
    fn was_placed(&mut self, answer: OrderAnswer, reads: bool, now: Timestamp) {
        if !reads {
            // It may be there now.
            if !matches!(
                answer,
                OrderAnswer::ItemUnknown(_) | OrderAnswer::Refused(_)
            ) {
                self.attempts.settled = None;
            }
            self.look = Look {
                is_first: self.look.is_first,
                ..Look::default()
            };
        }
        match answer {
            OrderAnswer::Order(order) => self.take(&order, now),
            OrderAnswer::UnderWay { path, retry_after } => {
                self.clear_problem();
                self.accepted(path.filter(|_| !reads), now);
                self.pause(retry_after, now);
            }
            OrderAnswer::InFlight { retry_after } => {
                self.clear_problem();
                self.accepted(None, now);
                self.pause(retry_after, now);
            }
            OrderAnswer::OtherContent(message) => {
                self.status.outcome = Some(OrderOutcome::Unknown);
                self.problem(Reason::OutcomeUnknown, &message, now);
            }
            OrderAnswer::ItemUnknown(message) => {
                self.refused(reads, (Reason::ItemUnknown, &message), now);
            }
            OrderAnswer::Refused(message) => {
                self.refused(reads, (Reason::OrderRejected, &message), now);
            }
            OrderAnswer::Missing if reads => {
                // The server has lost the operation, or another one of its machines does not know it yet.
                if let Some(operation) = &mut self.status.operation {
                    operation.path = None;
                }
                self.look = Look::default();
            }
            _ => self.senseless(now),
        }
    }

    /// Notes that the server has the request and makes the order later.
    fn accepted(&mut self, path: Option<String>, now: Timestamp) {
        let known = self.status.operation.take();
        let (known_path, since) = known.map_or((None, now), |it| (it.path, it.since));
        self.status.operation = Some(OrderOperation {
            path: path.map(Into::into).or(known_path),
            since,
        });
    }

    /// Takes the order that an answer to our own request has.
    fn take(&mut self, order: &ServerOrder, now: Timestamp) {
        let is_of_another = order.reference.is_some() && order.reference != self.reference;
        if is_of_another {
            let message = "the order server answered with an order of another reference";
            let failure = Failure::new(FailureKind::ProtocolError, message);
            return self.back_off(&failure, now);
        }
        self.adopt(order, false, now);
    }

    /// Notes a refusal. The doubt of an earlier request stays.
    fn refused(&mut self, reads: bool, (reason, message): (Reason, &str), now: Timestamp) {
        if self.look.is_first || reads {
            self.settle();
        }
        self.status.operation = None;
        self.problem(reason, message, now);
        self.attempts.until = now.checked_add(HOURLY).ok();
    }

    /// Makes an order of the server the order of this record.
    fn adopt(&mut self, found: &ServerOrder, adopted: bool, now: Timestamp) {
        let state = found.state.unwrap_or_default();
        self.status.order = Some(placed(found.id.clone(), state, now, adopted));
        self.status.outcome = Some(OrderOutcome::Known);
        self.status.intent = None;
        self.status.repeated = None;
        self.status.operation = None;
        self.clear_problem();
        self.update(found, now);
    }

    /// Notes what a server says of the order that it has.
    fn update(&mut self, found: &ServerOrder, now: Timestamp) {
        let Some(order) = &mut self.status.order else {
            return;
        };
        let before = order.clone();
        order.expected = found.expected.as_deref().map(Into::into);
        order.tracking = found.tracking.as_deref().map(Into::into);
        order.reason = found.reason.as_deref().map(Into::into);
        order.state = found.state.unwrap_or(order.state);
        // An answer that tells nothing new is no reason to write a status.
        let is_recent = |at| now.duration_since(at) < LOOKS.1;
        if *order != before || !before.checked.is_some_and(is_recent) {
            order.checked = Some(now);
        }
        self.attempts.checked = Some(now);
        let Some(state) = found.state else {
            let message = "the order server names a state that its API does not have";
            self.problem(Reason::OrderServerUnavailable, message, now);
            return;
        };
        self.attempts = Attempts {
            checked: Some(now),
            ..Attempts::default()
        };
        if let Some(end) = end_of(state) {
            self.close(end, now);
        }
        self.clear_problem();
    }

    /// Notes another id that the server gave for the same reference. The first one stays.
    fn note_other(&mut self, id: &str) {
        if let Some(order) = &mut self.status.order {
            let is_known = *order.id == *id || order.others.iter().any(|other| **other == *id);
            if !is_known && order.others.len() < MAX_OTHER_IDS {
                order.others.push(id.into());
            }
        }
    }

    fn was_read(&mut self, id: &str, answer: OrderAnswer, now: Timestamp) {
        match answer {
            OrderAnswer::Order(found) if found.id == id => {
                if self.may_be_ours(&found) {
                    return self.update(&found, now);
                }
                let message = format!(
                    "the order server says that {id} is an order of another reference, device or customer"
                );
                self.problem(Reason::OutcomeUnknown, &message, now);
                self.attempts.until = now.checked_add(HOURLY).ok();
            }
            OrderAnswer::Order(found) => {
                self.note_other(&found.id);
                let message =
                    format!("asked for {id}, the order server answered with another order");
                self.back_off(&Failure::new(FailureKind::ProtocolError, message), now);
            }
            OrderAnswer::Missing => self.lost(id, now),
            _ => self.senseless(now),
        }
    }

    /// True if an order may be that of this record. One that was adopted has another reference, and tells the
    /// device; one of another device or customer is somebody else's, whoever named it.
    fn may_be_ours(&self, found: &ServerOrder) -> bool {
        if found.reference.is_some() && found.reference == self.reference {
            return true;
        }
        let record = &self.order.spec.record;
        let serial = found.serial_number.as_deref();
        let is_of_device = serial.map(|it| it == record.device.serial_number);
        let customer = found.customer_id.as_deref();
        let is_of_another = customer.is_some_and(|it| it != record.customer.id);
        let order = self.status.order.as_ref();
        let is_adopted = order.is_some_and(|order| order.adopted) && is_of_device == Some(true);
        let may_be = found.reference.is_none() || is_adopted;
        may_be && is_of_device != Some(false) && !is_of_another
    }

    /// Notes that the server does not know the order any more: it is asked for by its id, and never made again.
    fn lost(&mut self, id: &str, now: Timestamp) {
        let message = format!(
            "the order server does not know the order {id} any more; it is not ordered again"
        );
        self.problem(Reason::OutcomeUnknown, &message, now);
        self.attempts.until = now.checked_add(HOURLY).ok();
    }

    fn was_cancelled(&mut self, id: &str, answer: OrderAnswer, now: Timestamp) {
        let (state, message) = match answer {
            OrderAnswer::Order(found) => {
                // Some answer with the cancellation as an object of its own.
                if found.id == id {
                    self.update(&found, now);
                }
                (CancellationState::Requested, None)
            }
            OrderAnswer::UnderWay { .. } => (CancellationState::Requested, None),
            OrderAnswer::TooLate(message) => (CancellationState::TooLate, Some(message)),
            OrderAnswer::NotCancellable(message) => (CancellationState::Refused, Some(message)),
            OrderAnswer::Missing => return self.lost(id, now),
            _ => return self.senseless(now),
        };
        self.clear_problem();
        self.status.cancellation = Some(OrderCancellation {
            state,
            at: now,
            message: message.map(Into::into),
        });
    }

    /// Notes a failed request.
    fn failed(&mut self, request: &OrderRequest, failure: &Failure, now: Timestamp) {
        if matches!(request, OrderRequest::Place(_)) {
            let was_first = self.look.is_first;
            self.look = Look::default();
            if was_first && !failure.doubtful {
                self.settle();
            } else {
                self.attempts.settled = None;
            }
        }
        if let Some((terms, operation)) = self.facts.terms.zip(self.status.operation.as_mut())
            && now.duration_since(operation.since) >= terms.kept_for
        {
            operation.path = None;
        }
        self.back_off(failure, now);
    }

    /// Notes that the last request made no order. Where a key is honoured the intent stays in the status
    /// for the next request, so that a server that refuses for days causes no writes.
    fn settle(&mut self) {
        if self.facts.terms.is_some_and(|terms| terms.honours_key) {
            self.attempts.settled = self.status.intent;
        } else {
            self.status.intent = None;
        }
        self.status.repeated = None;
    }

    fn senseless(&mut self, now: Timestamp) {
        let message = "the order server gave an answer that makes no sense here";
        self.back_off(&Failure::new(FailureKind::ProtocolError, message), now);
    }

    fn back_off(&mut self, failure: &Failure, now: Timestamp) {
        self.problem(reason(failure.kind), &failure.message, now);
        self.pause(failure.retry_after, now);
    }

    /// Waits for as long as the server asks, and for no less than the backoff.
    fn pause(&mut self, asked: Option<SignedDuration>, now: Timestamp) {
        self.attempts.failures = self.attempts.failures.saturating_add(1);
        let policy = self.facts.terms.map(|terms| terms.retry);
        let policy = policy.unwrap_or_default();
        let backoff = wait(policy, self.attempts.failures, self.facts.fraction);
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        self.attempts.until = now.checked_add(backoff.max(asked)).ok();
    }

    fn problem(&mut self, reason: Reason, message: &str, now: Timestamp) {
        let keeps = self.status.problem.as_ref().is_some_and(|before| {
            before.reason == reason && now.duration_since(before.at) < KEEPS_WORDS
        });
        let same = self
            .status
            .problem
            .as_ref()
            .is_some_and(|before| before.reason == reason && *before.message == *message);
        if !keeps && !same {
            self.status.problem = Some(OrderProblem {
                reason,
                message: message.into(),
                at: now,
            });
        }
    }

    fn clear_problem(&mut self) {
        self.status.problem = None;
    }
}

/// Returns the end of an order that has this state, if it is one.
pub(super) fn end_of(state: OrderState) -> Option<OrderEnd> {
    match state {
        OrderState::Accepted | OrderState::Shipped => None,
        OrderState::Delivered => Some(OrderEnd::Delivered),
        OrderState::Cancelled => Some(OrderEnd::Cancelled),
        OrderState::Rejected => Some(OrderEnd::Rejected),
    }
}

/// Returns the reason for a failed request to an order server.
fn reason(kind: FailureKind) -> Reason {
    match kind {
        FailureKind::AddressNotAllowed => Reason::NotAllowed,
        FailureKind::Unauthorized => Reason::Unauthorized,
        FailureKind::TlsFailed | FailureKind::CertificateChanged => Reason::TlsFailed,
        FailureKind::RejectedValue
        | FailureKind::RejectedNotSettable
        | FailureKind::Unsupported => Reason::OrderRejected,
        FailureKind::Unreachable
        | FailureKind::TimedOut
        | FailureKind::Busy
        | FailureKind::Concurrent
        | FailureKind::CatalogOutdated
        | FailureKind::Conflict
        | FailureKind::ProtocolError
        | FailureKind::NotRegistered
        | FailureKind::NotHeardOf
        | FailureKind::ConsentWithdrawn => Reason::OrderServerUnavailable,
    }
}
