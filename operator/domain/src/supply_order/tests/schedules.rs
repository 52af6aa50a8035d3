//! Random schedules: crashes at any write, lost requests and answers, late work, other writers. The
//! orders in the server's log are as many as the occurrences.

use entente_crds::v1alpha1::OrderOutcome;
use proptest::prelude::*;

use super::server::{Fate, Server};
use super::*;

/// Fate of one write of a status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Write {
    Done,
    /// The operator is killed before it is sent.
    KilledBefore,
    /// It is done, and the operator is killed before it hears of it.
    KilledAfter,
    /// Another writer came in between: nothing is written, and the pass ends.
    Conflict,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Answered),
        2 => Just(Fate::Lost),
        3 => Just(Fate::AnswerLost),
        1 => Just(Fate::FailedAfter),
        1 => Just(Fate::FailedBefore),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Busy),
        2 => (1..10_i64).prop_map(Fate::Late),
        1 => Just(Fate::InFlight),
        1 => Just(Fate::Accepted),
        1 => (1..10_i64).prop_map(Fate::Queued),
        1 => Just(Fate::Doubled),
    ]
}

fn writes() -> impl Strategy<Value = Write> {
    prop_oneof![
        6 => Just(Write::Done),
        1 => Just(Write::KilledBefore),
        2 => Just(Write::KilledAfter),
        1 => Just(Write::Conflict),
    ]
}

/// Fates of requests and writes, until they are used up; then everything works.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    fates: Vec<Fate>,
    writes: Vec<Write>,
    /// Minutes between two passes beyond what the pass asked for.
    pauses: Vec<i64>,
}

pub(super) fn schedules() -> impl Strategy<Value = Schedule> {
    let fates = proptest::collection::vec(fates(), 0..14);
    let writes = proptest::collection::vec(writes(), 0..14);
    let pauses = proptest::collection::vec(prop_oneof![4 => 0..5_i64, 1 => 5..2_000_i64], 0..20);
    (fates, writes, pauses).prop_map(|(mut fates, mut writes, mut pauses)| {
        fates.reverse();
        writes.reverse();
        pauses.reverse();
        Schedule {
            fates,
            writes,
            pauses,
        }
    })
}

impl Schedule {
    /// One in which everything works.
    pub(super) fn calm() -> Self {
        Self {
            fates: Vec::new(),
            writes: Vec::new(),
            pauses: Vec::new(),
        }
    }
}

/// Drives passes over an order until nothing is left to do before it is placed.
pub(super) fn run(
    stored: &mut SupplyOrder,
    server: &mut Server,
    now: &mut Timestamp,
    mut plan: Schedule,
) {
    let mut attempts = Attempts::default();
    for _ in 0..400 {
        let mut pass = OrderPass::new(stored.clone(), facts(server.terms), attempts.clone());
        let rest = loop {
            match pass.next(*now) {
                Next::Write(status) => match plan.writes.pop().unwrap_or(Write::Done) {
                    Write::Done => {
                        stored.status = Some(*status);
                        pass.written(stored.clone());
                    }
                    Write::KilledBefore => break None,
                    Write::KilledAfter => {
                        stored.status = Some(*status);
                        break None;
                    }
                    Write::Conflict => {
                        attempts = pass.attempts();
                        break Some(Some(*now));
                    }
                },
                Next::Send(request) => {
                    let fate = plan.fates.pop().unwrap_or(Fate::Answered);
                    let answer = server.answer(&request, fate, *now);
                    pass.answered(&request, answer, *now);
                }
                Next::Rest(at) => {
                    attempts = pass.attempts();
                    break Some(at);
                }
            }
        };
        let pause = SignedDuration::from_mins(plan.pauses.pop().unwrap_or_default());
        let is_known = stored.status.as_ref().is_some_and(|status| {
            status.order.is_some() || status.outcome == Some(OrderOutcome::Unknown)
        });
        match rest {
            // The process that comes next knows nothing of the waits.
            None => attempts = Attempts::default(),
            Some(_) if is_known && plan.fates.is_empty() && plan.writes.is_empty() => break,
            Some(None) => break,
            Some(Some(at)) => *now = at.max(*now),
        }
        *now += pause + SignedDuration::from_secs(1);
    }
    // Whatever was late comes.
    *now += SignedDuration::from_hours(1);
    server.advance(*now);
}

fn occurrence(number: usize) -> SupplyOrder {
    let mut order = order();
    let record = &mut order.spec.record;
    if let Some(error) = &mut record.error {
        error.id = format!("lobby-mfp/TonerEmpty/black-toner/{number}");
    }
    // Each is about a part of its own, so that none is adopted for another.
    record.lines[0].part_number = format!("TN-{number}");
    order.metadata.name = Some(format!("lobby-mfp.toner-empty.black-toner.{number}"));
    let reference = reference_of(example::NAMESPACE, "", &order.spec.record);
    order.spec.record.reference = reference;
    order
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    // shows A9 K5
    #[test]
    fn the_orders_of_the_server_are_as_many_as_the_occurrences(
        plans in proptest::collection::vec(schedules(), 1..4),
        honours_key in any::<bool>(),
        is_searchable in any::<bool>(),
    ) {
        let terms = if honours_key { keyed() } else { without_keys() };
        let mut server = Server::new(terms, is_searchable);
        let mut now = begin();
        for (number, plan) in plans.iter().enumerate() {
            let mut stored = occurrence(number);
            run(&mut stored, &mut server, &mut now, plan.clone());
            let reference = stored.spec.record.reference.clone();
            let made: Vec<&str> = server.log.iter()
                .filter(|(order, _)| order.reference == reference)
                .map(|(order, _)| &*order.id)
                .collect();
            prop_assert!(made.len() <= 1, "{made:?}");
            let status = stored.status.clone().unwrap_or_default();
            if let Some(order) = &status.order {
                prop_assert_eq!(made, [&*order.id]);
            } else {
                // A person is left in doubt by a server without searches, and by a second request that
                // was not answered either.
                prop_assert_eq!(status.outcome, Some(OrderOutcome::Unknown), "{:?}", status);
                prop_assert!(!is_searchable || status.repeated.is_some());
            }
        }
    }
}
