//! One pass over an order, without I/O: the next write, the next request, the next instant (A9).
//!
//! The loop that the order controller drives, and that the simulation of the tests drives with the
//! same object: [`OrderPass::next`] returns a status to write, a request to send or the end; what came
//! of it goes to [`OrderPass::written`] or [`OrderPass::answered`]. It reads no clock and makes no
//! random number.
//!
//! How one record makes one order:
//! - `status.intent` is in the status before a request that places an order; it stays until an answer
//!   says what became of it. So a crash, a lost answer and a lost write all leave the same doubt.
//! - A server that finds orders by their reference is asked before each request that places one.
//! - In doubt the order is sent again where the server honours the key, for as long as it keeps keys;
//!   or once where it is found not to have the order, [`QUIET`] after the request. Else nobody knows: the
//!   outcome is Unknown, and a person decides. One that the server has accepted is looked for, and not sent
//!   again without a key.
//! - An id that an answer named is kept in memory until it is in the status: an edit or a failure between
//!   the answer and the write loses nothing.
//! - Before the first request for an error, the open orders for the device are looked through: one for
//!   the same part that no other record of this cluster has is adopted, since the memory of this cluster
//!   may be older than the server's (A10).

use std::collections::BTreeSet;

use entente_crds::bounded::Text;
use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    CancellationState, ClosedOrder, OrderCause, OrderEnd, OrderMessage, OrderOperation,
    OrderOutcome, OrderState, PlacedOrder, SupplyOrder, SupplyOrderStatus,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::answer::end_of;
use super::exchange::{OrderAnswer, OrderBody, OrderRequest};
use super::late::{MAKES, late_from};
use super::record::reference_of;
use super::report::report;
use super::terms::{EffectClass, ServerTerms};

/// Time after a request in doubt before a server that does not have the order is believed: it may be
/// at work still.
pub(super) const QUIET: SignedDuration = SignedDuration::from_mins(10);
/// Wait after a refusal that only a person can end.
pub(super) const HOURLY: SignedDuration = SignedDuration::from_hours(1);
/// Time between two looks at an order: a quarter of its age, within these.
pub(super) const LOOKS: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(1), SignedDuration::from_hours(6));
/// Time over which the first looks after a restart are spread.
const SPREAD: SignedDuration = SignedDuration::from_mins(10);
/// No pass sends more requests than this.
const MOST_REQUESTS: u32 = 12;

/// The last requests about an order, in memory: after a restart it is tried at once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attempts {
    /// Failures in a row.
    pub failures: u32,
    /// Nothing is sent before.
    pub until: Option<Timestamp>,
    /// The intent in the status that is known to have made no order: its request failed without doubt.
    pub settled: Option<Timestamp>,
    /// The last answer about an order that the server has. The status names it now and then only.
    pub checked: Option<Timestamp>,
    /// The outcome of a request that is not in the status yet.
    pub unwritten: Option<Box<Unwritten>>,
}

/// Outcome of a request that is not in the status yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unwritten {
    /// The object that it belongs to.
    uid: Option<String>,
    order: Option<PlacedOrder>,
    operation: Option<OrderOperation>,
}

/// Facts about an order from other objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderFacts {
    /// Terms of the order server; `None` with a fault.
    pub terms: Option<ServerTerms>,
    /// Fault of the record, or of an object that it refers to: nothing is sent.
    pub fault: Option<(Reason, String)>,
    /// The message on the device.
    pub message: Option<OrderMessage>,
    /// The instant at which the device was seen with a new supply.
    pub replaced: Option<Timestamp>,
    /// Ids and references of the other orders of this cluster for the device: they are not adopted.
    pub of_others: BTreeSet<String>,
    /// Share of each wait, from 0 to 1, at random.
    pub fraction: f64,
}

/// Next step of a pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Write this status, on the version of the object on which it was decided.
    Write(Box<SupplyOrderStatus>),
    /// Send this request.
    Send(OrderRequest),
    /// Nothing, until this instant or until something changes.
    Rest(Option<Timestamp>),
}

/// One pass over one order.
#[derive(Clone, Debug)]
pub struct OrderPass {
    pub(super) order: SupplyOrder,
    pub(super) facts: OrderFacts,
    pub(super) attempts: Attempts,
    /// The status as it becomes, without conditions.
    pub(super) status: SupplyOrderStatus,
    pub(super) reference: Option<String>,
    pub(super) look: Look,
    requests: u32,
}

/// Knowledge that lasts for one pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// Searches in which nothing was found.
    pub(super) searched: Searched,
    /// An order may be placed as soon as the status is written.
    pub(super) may_place: bool,
    /// Before the request that is under way, no other one was in doubt.
    pub(super) is_first: bool,
}

/// Searches at the server in which nothing was found, one after the other.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Searched {
    /// None.
    #[default]
    Nothing,
    /// The one for the reference.
    Reference,
    /// The one for open orders for the device as well.
    Open,
}

/// A decision.
enum Decision {
    Send(OrderRequest),
    Rest(Option<Timestamp>),
}

impl OrderPass {
    /// Begins a pass over an order as it is stored.
    pub fn new(order: SupplyOrder, facts: OrderFacts, attempts: Attempts) -> Self {
        let namespace = order.namespace().unwrap_or_default();
        let record = &order.spec.record;
        let reference = record.reference.clone();
        let reference = reference.or_else(|| reference_of(&namespace, &order.name_any(), record));
        let mut pass = Self {
            status: order.status.clone().unwrap_or_default(),
            reference,
            order,
            facts,
            attempts,
            look: Look::default(),
            requests: 0,
        };
        pass.recall();
        pass
    }

    /// Takes up what a pass before has learned and could not write.
    fn recall(&mut self) {
        let unwritten = self.attempts.unwritten.clone();
        let unwritten = unwritten.filter(|it| it.uid == self.order.metadata.uid);
        let Some(unwritten) = unwritten else {
            return;
        };
        let id = |order: &Option<PlacedOrder>| order.as_ref().map(|it| it.id.clone());
        if self.status.order.is_some() {
            if id(&self.status.order) == id(&unwritten.order) {
                self.status.order = unwritten.order;
            }
        } else if unwritten.order.is_some() {
            self.status.order = unwritten.order;
            self.status.outcome = Some(OrderOutcome::Known);
            self.status.intent = None;
            self.status.operation = None;
            self.status.problem = None;
        } else if self.status.operation.is_none() {
            self.status.operation = unwritten.operation;
        }
    }

    /// Returns the order on whose version the next status is decided.
    pub fn order(&self) -> &SupplyOrder {
        &self.order
    }

    /// Returns the failures so far.
    pub fn attempts(&self) -> Attempts {
        self.attempts.clone()
    }

    /// Returns the next thing to do.
    pub fn next(&mut self, now: Timestamp) -> Next {
        let decision = self.decide(now);
        let reference = self.reference.as_deref().unwrap_or_default();
        let status = report(&self.order, &self.status, &self.facts, reference, now);
        if self.order.status.as_ref() != Some(&status) {
            return Next::Write(Box::new(status));
        }
        match decision {
            Decision::Send(request) => Next::Send(request),
            Decision::Rest(at) => Next::Rest(self.or_late(at, now)),
        }
    }

    /// Returns the instant of the next pass, so that an order that becomes late before is told in time,
    /// however long the server asks to wait.
    fn or_late(&self, at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let late = late_from(&self.status).filter(|late| *late > now);
        at.map(|at| late.map_or(at, |late| at.min(late)))
    }

    /// Notes the order as the API server has it after a write.
    pub fn written(&mut self, order: SupplyOrder) {
        self.status = order.status.clone().unwrap_or_default();
        self.attempts.unwritten = None;
        self.order = order;
    }

    /// Notes the answer to a request.
    pub fn answered(&mut self, request: &OrderRequest, answer: OrderAnswer, now: Timestamp) {
        self.requests += 1;
        self.learn(request, answer, now);
        let before = self.order.status.as_ref();
        let is_new = before.map(|it| (&it.order, &it.operation))
            != Some((&self.status.order, &self.status.operation));
        self.attempts.unwritten = is_new.then(|| {
            Box::new(Unwritten {
                uid: self.order.metadata.uid.clone(),
                order: self.status.order.clone(),
                operation: self.status.operation.clone(),
            })
        });
    }

    fn decide(&mut self, now: Timestamp) -> Decision {
        self.note_facts(now);
        if self.status.closed.is_some() || self.is_left_to_a_person() {
            return Decision::Rest(None);
        }
        if self.facts.fault.is_some() {
            return Decision::Rest(None);
        }
        if self.is_beyond_finding(now) {
            self.status.outcome = Some(OrderOutcome::Unknown);
            if self.order.spec.cancelled.is_some() {
                self.close(OrderEnd::Cancelled, now);
            }
            return Decision::Rest(None);
        }
        if self.requests >= MOST_REQUESTS {
            return Decision::Rest(now.checked_add(LOOKS.0).ok());
        }
        if let Some(until) = self.attempts.until.filter(|until| *until > now) {
            return Decision::Rest(Some(until));
        }
        if let Some(order) = self.status.order.clone() {
            return self.follow(&order, now);
        }
        if let Some(path) = self.operation_path() {
            let path = path.to_owned();
            return Decision::Send(OrderRequest::ReadOperation { path });
        }
        if self.order.spec.cancelled.is_some() {
            return self.end_unknown(now);
        }
        self.place(now)
    }

    /// Notes what other objects and people say.
    fn note_facts(&mut self, now: Timestamp) {
        self.status.message.clone_from(&self.facts.message);
        self.status.replaced = self.status.replaced.or(self.facts.replaced);
        if self.status.closed.is_some() {
            return;
        }
        if let Some(found) = &self.order.spec.found
            && self.status.order.is_none()
            && self.may_have_been_sent()
        {
            let id = found.order_id.clone();
            self.status.order = Some(placed(id, OrderState::Accepted, now, true));
            self.status.outcome = Some(OrderOutcome::Known);
            self.status.intent = None;
            self.status.operation = None;
            self.status.problem = None;
        }
        if self.order.spec.cancelled.is_some()
            && let Some(operation) = &mut self.status.operation
            && now.duration_since(operation.since) >= MAKES
        {
            // It is looked for instead: an operation without an end would keep it for ever.
            operation.path = None;
        }
        if self.look.may_place && self.order.spec.cancelled.is_some() {
            // Cancelled between the write of the intent and the request.
            self.attempts.settled = self.status.intent;
            self.look.may_place = false;
        }
        let state = self.status.order.as_ref().map(|order| order.state);
        if let Some(end) = state.and_then(end_of) {
            return self.close(end, now);
        }
        let in_doubt = self.is_in_doubt();
        let is_unsent = self.status.order.is_none() && !in_doubt;
        let ends_by_word = is_unsent || self.is_left_to_a_person();
        if self.status.replaced.is_some() && !in_doubt {
            self.close(OrderEnd::SupplyReplaced, now);
        } else if self.order.spec.cancelled.is_some() && ends_by_word {
            self.close(OrderEnd::Cancelled, now);
        }
    }

    pub(super) fn close(&mut self, by: OrderEnd, now: Timestamp) {
        self.status.closed = Some(ClosedOrder { at: now, by });
        self.attempts.checked = None;
    }

    /// True if a request was sent whose outcome a person can find out. An order of the server that this record
    /// never asked for may be that of anybody.
    fn may_have_been_sent(&self) -> bool {
        let was_sent = self.is_in_doubt() && !self.look.may_place;
        self.facts.fault.is_none() && (was_sent || self.is_left_to_a_person())
    }

    /// True if the server may have the order although no answer says so.
    fn is_in_doubt(&self) -> bool {
        let status = &self.status;
        status.order.is_none() && status.intent.is_some() && status.intent != self.attempts.settled
    }

    /// Returns the path of the operation by which the server makes the order.
    fn operation_path(&self) -> Option<&str> {
        self.status.operation.as_ref()?.path.as_deref()
    }

    /// True if only a person can find out whether the server has the order.
    fn is_left_to_a_person(&self) -> bool {
        self.status.outcome == Some(OrderOutcome::Unknown) && self.status.order.is_none()
    }

    /// True if the server may have the order, can neither be asked for it nor be sent it again, and makes
    /// it by no operation.
    fn is_beyond_finding(&self, now: Timestamp) -> bool {
        let status = &self.status;
        let (Some(terms), Some(intent)) = (self.facts.terms, status.intent) else {
            return false;
        };
        let is_left = match terms.class(status.queryable) {
            EffectClass::KeyedAndQueryable | EffectClass::Queryable => false,
            // An order that is not wanted any more is not sent again to learn its id.
            EffectClass::Keyed => {
                let may_repeat = terms.may_repeat(now.duration_since(intent));
                !may_repeat || self.order.spec.cancelled.is_some()
            }
            EffectClass::Blind => true,
        };
        let has_operation = self.operation_path().is_some();
        is_left && self.is_in_doubt() && !self.look.may_place && !has_operation
    }

    /// Reads and cancels an order that the server has.
    fn follow(&mut self, order: &PlacedOrder, now: Timestamp) -> Decision {
        let id = order.id.to_string();
        // It is known whose order it is before it is cancelled.
        let Some(written) = order.checked else {
            return Decision::Send(OrderRequest::Read { id });
        };
        if let Some(cancelled) = &self.order.spec.cancelled
            && self.status.cancellation.is_none()
        {
            let reference = self.reference.clone().unwrap_or_default();
            let reason = cancelled.reason.clone();
            return Decision::Send(OrderRequest::Cancel {
                id,
                reference,
                reason,
            });
        }
        // After a cancellation the state may change soon.
        let requested = self.status.cancellation.as_ref();
        let requested = requested.filter(|it| it.state == CancellationState::Requested);
        let since = requested.map_or(order.at, |requested| requested.at.max(order.at));
        let due = |checked: Timestamp| {
            let pause = (checked.duration_since(since) / 4).clamp(LOOKS.0, LOOKS.1);
            checked.checked_add(pause).unwrap_or(now)
        };
        let at = match self.attempts.checked {
            Some(checked) => due(checked.max(written)),
            None if due(written) > now => due(written),
            None if self.attempts.until.is_some() => now,
            None => *self.attempts.until.insert(self.spread(now)),
        };
        if at > now {
            return Decision::Rest(Some(at));
        }
        Decision::Send(OrderRequest::Read { id })
    }

    /// Returns the instant of the first look after a restart: a server is not asked for all open orders at once.
    fn spread(&self, now: Timestamp) -> Timestamp {
        let share = SPREAD.as_secs_f64() * self.facts.fraction.clamp(0.0, 1.0);
        let wait = SignedDuration::try_from_secs_f64(share).unwrap_or_default();
        now.checked_add(wait).unwrap_or(now)
    }

    /// Ends an order that is cancelled while nobody knows whether the server has it.
    fn end_unknown(&mut self, now: Timestamp) -> Decision {
        if self.look.searched == Searched::Nothing {
            return self.find();
        }
        if let Some(believed) = self.believed_absent_from().filter(|it| *it > now) {
            return Decision::Rest(Some(believed));
        }
        if let Some(accepted) = self.status.operation.take() {
            let late = accepted.since.checked_add(MAKES).unwrap_or(now);
            if late > now {
                self.status.operation = Some(accepted);
                return Decision::Rest(Some(self.next_search(now).min(late)));
            }
            // The server took it, and may make it still.
            self.status.outcome = Some(OrderOutcome::Unknown);
        }
        self.status.intent = None;
        self.close(OrderEnd::Cancelled, now);
        Decision::Rest(None)
    }

    /// Returns the instant from which on an order that the server does not have was not made. A request
    /// under a key may have been repeated for as long as the key was kept.
    fn believed_absent_from(&self) -> Option<Timestamp> {
        let kept = self.facts.terms.filter(|terms| terms.honours_key);
        let kept = kept.map_or(SignedDuration::ZERO, |terms| terms.kept_for);
        self.status
            .intent?
            .checked_add(kept)
            .ok()?
            .checked_add(QUIET)
            .ok()
    }

    /// Places the order, if that cannot make a second one.
    fn place(&mut self, now: Timestamp) -> Decision {
        let Some(terms) = self.facts.terms else {
            return Decision::Rest(None);
        };
        if self.look.may_place {
            return self.send();
        }
        let is_searched = self.status.queryable != Some(false);
        if is_searched && self.look.searched == Searched::Nothing {
            return self.find();
        }
        let age = self.status.intent.map(|intent| now.duration_since(intent));
        if !self.is_in_doubt() {
            let record = &self.order.spec.record;
            let looks_for_open = is_searched && record.cause == OrderCause::Error;
            if looks_for_open && self.look.searched < Searched::Open {
                let serial_number = record.device.serial_number.clone();
                return Decision::Send(OrderRequest::FindOpen { serial_number });
            }
            self.look.is_first = true;
            // What is in the status already need not be written again while it is young.
            let is_young = age.is_some_and(|age| age < terms.kept_for / 2);
            return if terms.honours_key && is_young {
                self.send()
            } else {
                self.intend(now)
            };
        }
        if age.is_some_and(|age| terms.may_repeat(age)) {
            self.look.is_first = false;
            return self.send();
        }
        if self.status.operation.is_some() {
            return Decision::Rest(Some(self.next_search(now)));
        }
        match self.believed_absent_from() {
            Some(believed) if believed > now => Decision::Rest(Some(believed)),
            // A server that does not find what it has made would be sent it for ever.
            _ if self.status.repeated.is_some() => {
                self.status.outcome = Some(OrderOutcome::Unknown);
                Decision::Rest(None)
            }
            // It was looked for long enough after the last request: this one is the first anew.
            _ => {
                self.status.repeated = Some(now);
                self.look.is_first = true;
                self.intend(now)
            }
        }
    }

    /// Returns the instant of the next search for an order that the server has accepted.
    fn next_search(&self, now: Timestamp) -> Timestamp {
        let accepted = self.status.operation.as_ref();
        let age = accepted.map_or(LOOKS.0, |it| now.duration_since(it.since));
        now.checked_add((age / 4).clamp(LOOKS.0, LOOKS.1))
            .unwrap_or(now)
    }

    /// Has the intent written before the request.
    fn intend(&mut self, now: Timestamp) -> Decision {
        self.status.intent = Some(now);
        self.attempts.settled = None;
        self.look.may_place = true;
        self.send()
    }

    fn find(&self) -> Decision {
        let reference = self.reference.clone().unwrap_or_default();
        Decision::Send(OrderRequest::FindByReference { reference })
    }

    fn send(&self) -> Decision {
        let reference = self.reference.as_deref().unwrap_or_default();
        let body = OrderBody::of(&self.order.spec.record, reference);
        Decision::Send(OrderRequest::Place(Box::new(body)))
    }
}

/// Returns an order of this id that nothing else is known of.
pub(super) fn placed(
    id: impl Into<String>,
    state: OrderState,
    at: Timestamp,
    adopted: bool,
) -> PlacedOrder {
    let id: String = id.into();
    PlacedOrder {
        id: id.into(),
        state,
        at,
        checked: None,
        expected: None,
        tracking: None,
        reason: None::<Text<253>>,
        adopted,
        others: Vec::new(),
    }
}
