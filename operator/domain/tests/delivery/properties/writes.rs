//! With nothing changing outside, writes end: faults of the broker and of the device, at once and
//! for ever, before the start and after it.

use entente_domain::remote::FailureKind;

use super::{
    events::{Event, happen},
    *,
};

/// Most writes of an object that says everything once: the begin and the failure of each of four
/// steps, the end of the allowance, the end of `stepTimeout`.
const FIRST: usize = 10;

/// Minutes within which new words alone are written once, so three times in half an hour.
const RENEWED: i64 = 10;

/// Faults that last.
#[derive(Clone, Debug)]
struct Faults {
    printer: Vec<Event>,
    broker: Vec<Event>,
    /// True if the words of each failure are others.
    chatters: bool,
    before_the_start: bool,
}

fn printer() -> impl Strategy<Value = Vec<Event>> {
    prop_oneof![
        Just(Vec::new()),
        Just(vec![Event::PrinterDown(FailureKind::Unreachable)]),
        Just(vec![Event::PrinterDown(FailureKind::TimedOut)]),
        Just(vec![Event::PrinterBusy]),
        Just(vec![Event::Lacks]),
        Just(vec![Event::Works(false)]),
        (0..4_usize).prop_map(|it| vec![Event::Ignores(it)]),
        (0..4_usize).prop_map(|it| vec![Event::NotSettable(it)]),
        (0..4_usize).prop_map(|it| vec![Event::Refuses(it), Event::Ignores((it + 1) % 4)]),
    ]
}

fn broker() -> impl Strategy<Value = Vec<Event>> {
    let down = |kind| vec![Event::BrokerDown(0, kind), Event::BrokerDown(1, kind)];
    let always = |fault| vec![Event::BrokerNext(0, fault); 500];
    prop_oneof![
        Just(Vec::new()),
        Just(down(FailureKind::Unreachable)),
        Just(down(FailureKind::TimedOut)),
        Just(down(FailureKind::Unauthorized)),
        Just(down(FailureKind::ProtocolError)),
        Just(vec![Event::BrokerIgnores(0)]),
        Just(vec![Event::BrokerNeverEnds(0)]),
        Just(always(Fault::Refused)),
        Just(always(Fault::Busy)),
        Just(always(Fault::ErrorBefore)),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    (printer(), broker(), any::<bool>(), any::<bool>()).prop_map(
        |(printer, broker, chatters, before_the_start)| Faults {
            printer,
            broker,
            chatters,
            before_the_start,
        },
    )
}

fn break_down(world: &mut Simulation, faults: &Faults, indexes: &[usize]) {
    world.printer.chatters = faults.chatters;
    for broker in world.brokers.values_mut() {
        broker.chatters = faults.chatters;
    }
    for event in faults.printer.iter().chain(&faults.broker) {
        happen(world, event, indexes);
    }
}

impl Faults {
    /// True if each attempt begins or notes an operation, which is recorded with its instant or id:
    /// the broker ends none within its own time, or says that another is under way.
    fn has_operations(&self) -> bool {
        let first = self.broker.first();
        let never_ends = matches!(first, Some(Event::BrokerNeverEnds(_)));
        never_ends || matches!(first, Some(Event::BrokerNext(_, Fault::Busy)))
    }

    /// True if attempts leave an update in doubt. What was read before it counts until the end of
    /// the pass that sent it, and not in one that only lets a date pass.
    fn leaves_doubt(&self) -> bool {
        let first = self.broker.first();
        let late = matches!(first, Some(Event::BrokerDown(_, FailureKind::TimedOut)));
        late || matches!(first, Some(Event::BrokerNext(_, Fault::ErrorBefore)))
    }
}

/// Returns the number of status writes from now to an instant, apart from those that record an
/// operation: one when it begins, one when it ends.
fn writes_until(world: &mut Simulation, faults: &Faults, until: Timestamp) -> usize {
    let before = (world.writes, world.sent);
    world.run_until(until);
    let recorded = if faults.has_operations() {
        2 * (world.sent - before.1)
    } else {
        0
    };
    (world.writes - before.0).saturating_sub(recorded)
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // shows K2 K5
    #[test]
    fn with_nothing_changing_outside_writes_end(indexes in wanted(), faults in faults()) {
        let mut world = world(&indexes);
        if faults.before_the_start {
            break_down(&mut world, &faults, &indexes);
        } else {
            world.run_until(start() + minutes(70));
            break_down(&mut world, &faults, &indexes);
            happen(&mut world, &Event::Revised(0, false), &indexes);
        }
        let objects = world.snapshot.subscriptions.len() + 1;
        // The last start is an hour after the first, and a step may take an hour.
        let (settled, last) = (start() + minutes(165), world.now);
        let first = writes_until(&mut world, &faults, settled);
        let later = writes_until(&mut world, &faults, settled + minutes(30));
        let (most_first, most_later) = if faults.chatters {
            let renewed = (settled.duration_since(last).as_mins() / RENEWED).unsigned_abs();
            (FIRST + usize::try_from(renewed).unwrap_or_default(), 4)
        } else if faults.leaves_doubt() {
            (FIRST, 2)
        } else {
            (FIRST, 0)
        };
        prop_assert!(first <= most_first * objects, "{first} of {objects}\n{}", world.story());
        prop_assert!(later <= most_later * objects, "{later} of {objects}\n{}", world.story());
    }
}
