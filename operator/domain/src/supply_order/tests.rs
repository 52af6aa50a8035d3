//! Tests of orders. The parts that they share are here.

mod accepted;
mod adoption;
mod doubt;
mod following;
mod records;
mod reports;
mod schedules;
mod server;
mod whole;

use entente_crds::bounded::Text;
use entente_crds::example;
use entente_crds::v1alpha1::{SupplyOrder, SupplyOrderStatus};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::backoff::RetryPolicy;
use crate::remote::{Failure, FailureKind};

/// The order of the examples, as it is stored before anything was sent.
fn order() -> SupplyOrder {
    let mut order = example::supply_order();
    order.metadata.generation = Some(1);
    order.metadata.uid = Some("o1".to_owned());
    order
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("the test's own instant")
}

/// The instant at which tests begin: a minute after the error of the examples.
fn begin() -> Timestamp {
    at("2027-05-12T09:15:03Z")
}

/// Terms of a server that honours keys for a day.
fn keyed() -> ServerTerms {
    ServerTerms {
        honours_key: true,
        kept_for: SignedDuration::from_hours(24),
        retry: RetryPolicy::default(),
    }
}

/// Terms of a server that does not look at keys.
fn without_keys() -> ServerTerms {
    ServerTerms {
        honours_key: false,
        ..keyed()
    }
}

fn facts(terms: ServerTerms) -> OrderFacts {
    OrderFacts {
        terms: Some(terms),
        fraction: 1.0,
        ..OrderFacts::default()
    }
}

/// A pass that is driven by hand, with the order as it is stored.
struct Bench {
    stored: SupplyOrder,
    facts: OrderFacts,
    attempts: Attempts,
    now: Timestamp,
    writes: usize,
    sent: Vec<OrderRequest>,
}

impl Bench {
    fn new(terms: ServerTerms) -> Self {
        Self {
            stored: order(),
            facts: facts(terms),
            attempts: Attempts::default(),
            now: begin(),
            writes: 0,
            sent: Vec::new(),
        }
    }

    /// Makes one pass in which each request is answered by this function; returns when the next is due.
    fn pass(&mut self, mut answer: impl FnMut(&OrderRequest) -> OrderAnswer) -> Option<Timestamp> {
        let stored = self.stored.clone();
        let mut pass = OrderPass::new(stored, self.facts.clone(), self.attempts.clone());
        loop {
            match pass.next(self.now) {
                Next::Write(status) => {
                    self.writes += 1;
                    self.stored.status = Some(*status);
                    pass.written(self.stored.clone());
                }
                Next::Send(request) => {
                    let answer = answer(&request);
                    pass.answered(&request, answer, self.now);
                    self.sent.push(request);
                }
                Next::Rest(at) => {
                    self.attempts = pass.attempts();
                    return at;
                }
            }
        }
    }

    /// Makes one pass in which nothing may be sent.
    fn silent_pass(&mut self) -> Option<Timestamp> {
        self.pass(|request| panic!("nothing is to be sent, and it is {request:?}"))
    }

    fn status(&self) -> SupplyOrderStatus {
        self.stored.status.clone().unwrap_or_default()
    }

    /// Returns a condition as `Status(Reason)`.
    fn says(&self, type_: &str) -> String {
        let status = self.status();
        let found = status.conditions.iter().find(|found| found.type_ == type_);
        found.map_or_else(String::new, |found| {
            format!("{}({})", found.status, found.reason)
        })
    }

    fn message(&self) -> String {
        let status = self.status();
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
        ready.map_or_else(String::new, |ready| ready.message.to_string())
    }

    fn wait(&mut self, length: SignedDuration) {
        self.now += length;
    }

    /// Returns the number of requests that place an order.
    fn placed(&self) -> usize {
        let places = |request: &&OrderRequest| matches!(request, OrderRequest::Place(_));
        self.sent.iter().filter(places).count()
    }
}

fn reference() -> String {
    let order = order();
    order.spec.record.reference.expect("one of an error has it")
}

/// Returns an order of the server under the reference of the examples.
fn ours(id: &str) -> ServerOrder {
    ServerOrder {
        id: id.to_owned(),
        reference: Some(reference()),
        state: Some(entente_crds::v1alpha1::OrderState::Accepted),
        serial_number: Some("NW500-0001".to_owned()),
        part_numbers: vec!["TN-500K".to_owned()],
        ..ServerOrder::default()
    }
}

fn answered(order: ServerOrder) -> OrderAnswer {
    OrderAnswer::Order(Box::new(order))
}

fn lost() -> OrderAnswer {
    OrderAnswer::Failed(Failure {
        doubtful: true,
        ..Failure::new(FailureKind::TimedOut, "no answer came in time")
    })
}

fn unreachable() -> OrderAnswer {
    let message = "the connection was refused";
    OrderAnswer::Failed(Failure::new(FailureKind::Unreachable, message))
}

fn none() -> OrderAnswer {
    OrderAnswer::Orders(Vec::new())
}

fn by_key_alone(request: &OrderRequest) -> Option<OrderAnswer> {
    match request {
        OrderRequest::FindByReference { .. } => Some(OrderAnswer::NotSearchable),
        _ => None,
    }
}

/// A person says under which id the order server has the order, which is followed from then on.
fn is_found_by_a_person(bench: &mut Bench) {
    bench.stored.spec.found = Some(entente_crds::v1alpha1::FoundOrder {
        order_id: "PO-9".to_owned(),
    });
    bench.pass(|request| match request {
        OrderRequest::Read { id } => answered(ours(id)),
        other => panic!("{other:?}"),
    });
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
}

/// A person cancels an order of which nobody knows whether the order server has it: it is closed.
fn is_given_up_by_a_person(bench: &mut Bench, reason: &str) {
    bench.stored.spec.cancelled = Some(entente_crds::v1alpha1::CancelledOrder {
        reason: reason.to_owned(),
    });
    bench.silent_pass();
    assert!(!is_open(&bench.stored));
    assert!(
        bench.message().contains("is not known"),
        "{}",
        bench.message()
    );
}

#[test]
fn a_text_of_a_server_fits_its_field() {
    // The types of the status do it; this holds what they are.
    let expected: Text<64> = "é".repeat(100).into();
    assert_eq!(expected.chars().count(), 64);
}
