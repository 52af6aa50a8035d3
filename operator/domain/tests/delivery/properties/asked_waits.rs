//! The wait that a remote side asked for holds against everything that a person does on our side:
//! edits, labels, reconcile-at, deletions, in any order and at any time, also through another URL
//! and back.
//!
//! The simulation itself judges every request by what its side has said.

use entente_domain::remote::FailureKind;

use super::{
    events::{BROKERS, Event, happen},
    *,
};

/// Something that a person or a remote side does.
#[derive(Clone, Debug)]
enum Step {
    BrokerAsks(usize, FailureKind, i64),
    PrinterAsks(FailureKind, i64),
    /// Retry-After of the answers about operations.
    PollsAskFor(usize, Option<i64>),
    Cured,
    /// A label or an annotation of an object that the device depends on.
    Labelled,
    ReconcileAt,
    DeviceMoves(usize),
    BrokerMoves(usize, usize),
    Other(Event),
}

/// Kinds of the failures with which a broker or a device may ask for a wait: 429, 503, 400, 401, 409
/// and 422.
const KINDS: [FailureKind; 6] = [
    FailureKind::Busy,
    FailureKind::ProtocolError,
    FailureKind::RejectedValue,
    FailureKind::Unauthorized,
    FailureKind::Conflict,
    FailureKind::Concurrent,
];

fn step() -> impl Strategy<Value = Step> {
    let kind = || prop::sample::select(KINDS.to_vec());
    let seconds = || prop::sample::select(vec![-60_i64, 0, 1, 30, 120, 300]);
    let broker = || 0..2_usize;
    prop_oneof![
        3 => (broker(), kind(), seconds()).prop_map(|(it, kind, wait)| Step::BrokerAsks(it, kind, wait)),
        2 => (kind(), seconds()).prop_map(|(kind, wait)| Step::PrinterAsks(kind, wait)),
        2 => (broker(), prop::option::of(seconds())).prop_map(|(it, wait)| Step::PollsAskFor(it, wait)),
        4 => Just(Step::Cured),
        6 => Just(Step::Labelled),
        3 => Just(Step::ReconcileAt),
        1 => broker().prop_map(Step::DeviceMoves),
        1 => (broker(), broker()).prop_map(|(it, to)| Step::BrokerMoves(it, to)),
        2 => (broker(), 1..90_i64).prop_map(|(it, takes)| Step::Other(Event::BrokerTakes(it, takes))),
        1 => broker().prop_map(|it| Step::Other(Event::BrokerAtOnce(it))),
        1 => broker().prop_map(|it| Step::Other(Event::BrokerFails(it))),
        2 => (0..3_usize, any::<bool>()).prop_map(|(it, promised)| Step::Other(Event::Revised(it, promised))),
        1 => (0..3_usize, 0..4_usize).prop_map(|(it, to)| Step::Other(Event::Changed(it, to))),
        1 => (0..3_usize).prop_map(|it| Step::Other(Event::Suspended(it))),
        1 => (0..3_usize).prop_map(|it| Step::Other(Event::Resumed(it))),
        1 => (0..3_usize).prop_map(|it| Step::Other(Event::Ended(it))),
        1 => (0..3_usize).prop_map(|it| Step::Other(Event::Deleted(it))),
        1 => Just(Step::Other(Event::CatalogForgotten)),
    ]
}

fn act(world: &mut Simulation, step: &Step, indexes: &[usize]) {
    let broker = |world: &mut Simulation, index: usize, asks| {
        let broker = world.brokers.get_mut(BROKERS[index]);
        broker.expect("it is in the catalogue").asks = asks;
    };
    match step {
        Step::BrokerAsks(index, kind, wait) => {
            let wait = SignedDuration::from_secs(*wait);
            broker(world, *index, Some((*kind, wait)));
        }
        Step::PrinterAsks(kind, wait) => {
            let wait = SignedDuration::from_secs(*wait);
            match kind {
                FailureKind::Busy => world.printer.busy = Some(wait),
                _ => world.printer.asks = Some((*kind, wait)),
            }
        }
        Step::PollsAskFor(index, wait) => {
            let broker = world.brokers.get_mut(BROKERS[*index]);
            let broker = broker.expect("it is in the catalogue");
            broker.retry_after = wait.map(SignedDuration::from_secs);
        }
        Step::Cured => {
            world.printer.cure();
            broker(world, 0, None);
            broker(world, 1, None);
        }
        Step::Labelled => world.backoffs.clear_all(),
        Step::ReconcileAt => ask_to_reconcile(world),
        Step::DeviceMoves(to) => {
            let addresses = ["10.20.3.1", "10.20.3.2"];
            world.device_mut().spec.address = Some(addresses[*to].to_owned());
            world.backoffs.clear_all();
        }
        Step::BrokerMoves(index, to) => {
            let name = BROKERS[*index];
            let urls = [
                format!("https://{name}.example"),
                format!("https://new.{name}.example"),
            ];
            let known = world.snapshot.connections.get_mut(name);
            let connection = Arc::make_mut(known.expect("it is in the catalogue"));
            let broker = connection.spec.osb.as_mut().expect("it is a broker");
            broker.moved_from = [vec![broker.url.clone()], urls.to_vec()].concat();
            broker.url.clone_from(&urls[*to]);
            world.backoffs.clear_all();
        }
        Step::Other(event) => happen(world, event, indexes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // shows K5
    #[test]
    fn nobody_is_asked_before_the_instant_for_which_they_asked_whatever_a_person_does(
        indexes in wanted(),
        steps in prop::collection::vec((0..200_i64, step()), 1..30),
    ) {
        let mut world = world(&indexes);
        world.run_until(start() - minutes(2));
        for (seconds, step) in steps {
            world.transcript.push(format!("> {step:?}"));
            act(&mut world, &step, &indexes);
            let until = world.now + SignedDuration::from_secs(seconds);
            world.run_until(until);
        }
    }
}
