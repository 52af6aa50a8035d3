//! What holds for every world, whatever goes wrong on the way (K5, D1 to D4, B6, B7).
//!
//! In all of them the plan of every round is linted, every report is said twice and must be the
//! same, and what is said to be delivered is looked up on the remote sides.

#![allow(clippy::disallowed_methods, reason = "a test reads the catalogue of the scripts")]

use entente_crds::{
    ANNOTATION_RECONCILE_AT,
    condition::ConditionType,
    v1alpha1::{IppOperation, ServiceSubscription},
};
use entente_domain::{
    condition::{find, is_true},
    exchange::FailureKind,
    retry::Holds,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use proptest::prelude::*;

use crate::simulation::{Fault, Simulation, Wish};

const CATALOGUE: &str = include_str!("../scripts/catalogue.yaml");

/// What may be wanted on the device: contract, entry, service, hours after the first start, how
/// long before it may be prepared.
const MENU: &[(&str, &str, &str, i64, &str)] = &[
    ("a", "backup", "data-backup", 0, "336h"),
    ("b", "backup", "data-backup", 1, "336h"),
    ("a", "life", "parts-life", 0, "6h"),
    ("a", "cloud", "cloud", 0, "0s"),
    ("c", "early", "early-backup", 0, "6h"),
    ("d", "other", "other-backup", 1, "0s"),
    ("a", "panel", "cloud-panel", 0, "0s"),
    ("e", "life", "parts-life", 1, "6h"),
];

const ATTRIBUTES: &[&str] = &["nw-endpoint", "nw-weekdays", "nw-threshold", "nw-cloud"];
const BROKERS: &[&str] = &["northwind", "southwind"];

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    PrinterDown(FailureKind),
    PrinterBusy,
    Ignores(usize),
    NotSettable(usize),
    Refuses(usize),
    Lacks,
    Loses(u32),
    PrinterCured,
    BrokerDown(usize, FailureKind),
    BrokerNext(usize, Fault),
    BrokerTakes(usize, i64),
    BrokerAtOnce(usize),
    BrokerNeverEnds(usize),
    BrokerFails(usize),
    BrokerIgnores(usize),
    BrokerCured(usize),
    Revised(usize, bool),
    Changed(usize, usize),
    ClockBack(i64),
    DeviceReplaced,
    CatalogueForgotten,
    Suspended(usize),
    Resumed(usize),
    Extended(usize),
    Ended(usize),
    Deleted(usize),
    Dies(usize),
}

fn start() -> Timestamp {
    "2027-04-01T03:00:00Z".parse().expect("an instant")
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn event() -> impl Strategy<Value = Event> {
    let down = || prop::sample::select(vec![FailureKind::Unreachable, FailureKind::TimedOut]);
    let fault = prop::sample::select(vec![
        Fault::ErrorBefore,
        Fault::ErrorAfter,
        Fault::Lost,
        Fault::Conflict,
        Fault::Busy,
        Fault::Refused,
    ]);
    prop_oneof![
        down().prop_map(Event::PrinterDown),
        Just(Event::PrinterBusy),
        (0..4_usize).prop_map(Event::Ignores),
        (0..4_usize).prop_map(Event::NotSettable),
        (0..4_usize).prop_map(Event::Refuses),
        Just(Event::Lacks),
        (1..3_u32).prop_map(Event::Loses),
        Just(Event::PrinterCured),
        (0..2_usize, down()).prop_map(|(broker, kind)| Event::BrokerDown(broker, kind)),
        (0..2_usize, fault).prop_map(|(broker, fault)| Event::BrokerNext(broker, fault)),
        (0..2_usize, 1..90_i64).prop_map(|(broker, takes)| Event::BrokerTakes(broker, takes)),
        (0..2_usize).prop_map(Event::BrokerAtOnce),
        (0..2_usize).prop_map(Event::BrokerNeverEnds),
        (0..2_usize).prop_map(Event::BrokerFails),
        (0..2_usize).prop_map(Event::BrokerIgnores),
        (0..2_usize).prop_map(Event::BrokerCured),
        (0..3_usize, any::<bool>()).prop_map(|(index, promised)| Event::Revised(index, promised)),
        (0..3_usize, 0..4_usize).prop_map(|(index, service)| Event::Changed(index, service)),
        (1..30_i64).prop_map(Event::ClockBack),
        Just(Event::DeviceReplaced),
        Just(Event::CatalogueForgotten),
        (0..3_usize).prop_map(Event::Suspended),
        (0..3_usize).prop_map(Event::Resumed),
        (0..3_usize).prop_map(Event::Ended),
        (0..3_usize).prop_map(Event::Extended),
        (0..3_usize).prop_map(Event::Deleted),
        (0..12_usize).prop_map(Event::Dies),
    ]
}

fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    prop::collection::vec((-10..120_i64, event()), 0..8).prop_map(|mut events| {
        events.sort_by_key(|(minute, _)| *minute);
        events
    })
}

fn wanted() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..MENU.len()).collect::<Vec<_>>(), 1..=3)
}

fn wish(index: usize, from: Timestamp, promised: bool, value: &str) -> Wish {
    let (contract, service_name, service, _, lead) = MENU[index];
    let parameter = match service {
        "parts-life" => ("threshold", if value == "Mon" { "10" } else { "20" }),
        "cloud" => ("size", if value == "Mon" { "7" } else { "5" }),
        _ => ("weekdays", value),
    };
    Wish {
        contract: contract.to_owned(),
        service_name: service_name.to_owned(),
        service: service.to_owned(),
        from,
        until: None,
        promised,
        allowed: "15m".to_owned(),
        lead: lead.to_owned(),
        parameters: [(parameter.0.to_owned(), parameter.1.to_owned())].into(),
    }
}

fn world(indexes: &[usize]) -> Simulation {
    let mut world = Simulation::new(start() - minutes(180));
    world.poll = SignedDuration::from_secs(20);
    world.load_catalogue(CATALOGUE);
    world.create_device("A1");
    for index in indexes {
        let from = start() + minutes(60 * MENU[*index].3);
        world.create_subscription(&wish(*index, from, true, "Sun"));
    }
    world
}

fn names(world: &Simulation) -> Vec<String> {
    world.world.subscriptions.iter().map(ServiceSubscription::name_any).collect()
}

fn happen(world: &mut Simulation, event: &Event, indexes: &[usize]) {
    let attribute = |index: &usize| ATTRIBUTES[*index].to_owned();
    match event {
        Event::PrinterDown(kind) => world.printer.down = Some(*kind),
        Event::PrinterBusy => world.printer.busy = Some(Some(SignedDuration::from_secs(40))),
        Event::Ignores(index) => {
            world.printer.ignores.insert(attribute(index));
        }
        Event::NotSettable(index) => {
            world.printer.not_settable.insert(attribute(index));
        }
        Event::Refuses(index) => {
            world.printer.refuses.insert(attribute(index));
        }
        Event::Lacks => world.printer.lacks = Some(IppOperation::SetPrinterAttributes),
        Event::Loses(count) => world.printer.lose = *count,
        Event::PrinterCured => world.printer.cure(),
        Event::Dies(after) => world.dies_after = Some(*after),
        Event::BrokerDown(index, _)
        | Event::BrokerNext(index, _)
        | Event::BrokerTakes(index, _)
        | Event::BrokerAtOnce(index)
        | Event::BrokerNeverEnds(index)
        | Event::BrokerFails(index)
        | Event::BrokerIgnores(index)
        | Event::BrokerCured(index) => happen_to_broker(world, event, BROKERS[*index]),
        Event::ClockBack(count) => world.now -= minutes(*count),
        Event::CatalogueForgotten => world.world.catalogues.clear(),
        Event::DeviceReplaced => {
            let device = world.world.device.as_mut().expect("there is a device");
            device.spec.serial_number.push('B');
            world.printer.uuid = Some(format!("urn:uuid:{}", device.spec.serial_number));
            world.printer.attributes.clear();
        }
        Event::Revised(index, _)
        | Event::Changed(index, _)
        | Event::Suspended(index)
        | Event::Resumed(index)
        | Event::Extended(index)
        | Event::Ended(index)
        | Event::Deleted(index) => happen_to_subscription(world, event, *index, indexes),
    }
}

fn happen_to_broker(world: &mut Simulation, event: &Event, name: &str) {
    let broker = world.brokers.get_mut(name).expect("it is in the catalogue");
    match event {
        Event::BrokerDown(_, kind) => broker.down = Some(*kind),
        Event::BrokerNext(_, fault) => broker.faults.push_back(*fault),
        Event::BrokerTakes(_, takes) => broker.takes = Some(SignedDuration::from_secs(*takes)),
        Event::BrokerAtOnce(_) => broker.takes = None,
        Event::BrokerNeverEnds(_) => {
            broker.takes = Some(SignedDuration::from_secs(10));
            broker.never_ends = true;
        }
        Event::BrokerFails(_) => broker.fails = 1,
        Event::BrokerIgnores(_) => {
            broker.ignores.insert("weekdays".to_owned());
        }
        _ => broker.cure(),
    }
}

fn happen_to_subscription(
    world: &mut Simulation,
    event: &Event,
    index: usize,
    indexes: &[usize],
) {
    let names = names(world);
    let Some(name) = names.get(index).cloned() else { return };
    let object = world.subscription(&name).clone();
    let last = object.spec.revisions.last().cloned().expect("it has an entry");
    let whole = Timestamp::from_second(world.now.as_second()).expect("a whole second");
    let known = MENU.iter().position(|(contract, entry, ..)| {
        object.spec.contract.name == *contract && object.spec.service_name == *entry
    });
    let ended = last.until.is_some_and(|until| until <= world.now);
    let room = object.spec.revisions.len() < 4 && last.effective < whole && !ended;
    let known = known.filter(|known| room && indexes.contains(known));
    match event {
        Event::Revised(_, promised) => {
            let from = if *promised { whole + minutes(5) } else { whole };
            let value = if object.spec.revisions.len() % 2 == 1 { "Mon" } else { "Sun" };
            if let Some(known) = known {
                world.revise(&name, &wish(known, from, *promised, value));
            }
        }
        Event::Changed(_, service) => {
            if let Some(known) = known {
                let mut wish = wish(known, whole, false, "Sun");
                wish.service = ["data-backup", "other-backup", "early-backup", "cloud"][*service]
                    .to_owned();
                wish.parameters = [("weekdays", "Sun"), ("size", "5")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into();
                world.revise(&name, &wish);
            }
        }
        Event::Suspended(_) => world.subscription_mut(&name).spec.contract.suspend = true,
        Event::Resumed(_) => world.subscription_mut(&name).spec.contract.suspend = false,
        Event::Ended(_) if last.effective < whole && last.until.is_none() => {
            world.end(&name, whole);
        }
        Event::Extended(_) => {
            let object = world.subscription_mut(&name);
            object.spec.revisions.last_mut().expect("it has an entry").until = None;
        }
        Event::Deleted(_) => world.delete(&name),
        _ => {}
    }
}

/// Everything that goes wrong ends, and a person asks for a full read-back.
fn heal(world: &mut Simulation) {
    world.printer.cure();
    for broker in world.brokers.values_mut() {
        broker.cure();
    }
    for object in &mut world.world.subscriptions {
        object.spec.contract.suspend = false;
    }
    let now = world.now.to_string();
    let device = world.world.device.as_mut().expect("there is a device");
    device.annotations_mut().insert(ANNOTATION_RECONCILE_AT.to_owned(), now);
    world.world.reconcile_requested = true;
    world.holds = Holds::default();
}

fn live(indexes: &[usize], events: &[(i64, Event)]) -> Simulation {
    let mut world = world(indexes);
    for (minute, event) in events {
        world.run_until((start() + minutes(*minute)).max(world.now));
        world.transcript.push(format!("> {event:?}"));
        happen(&mut world, event, indexes);
    }
    world.run_until((start() + minutes(120)).max(world.now));
    world.transcript.push("> healed".to_owned());
    heal(&mut world);
    world.run_until(start() + minutes(300));
    world
}

fn reason(object: &ServiceSubscription, condition: ConditionType) -> String {
    let conditions = &object.status.as_ref().expect("it was reported").conditions;
    find(conditions, condition).map(|found| found.reason.clone()).unwrap_or_default()
}

/// Every subscription is delivered, ended, or in a conflict that only a person can end.
fn assert_settled(world: &Simulation) {
    for object in &world.world.subscriptions {
        let conditions = &object.status.as_ref().expect("it was reported").conditions;
        let conflict = ["SettingsConflict", "ConflictingContract"]
            .contains(&reason(object, ConditionType::Stalled).as_str());
        assert!(
            is_true(conditions, ConditionType::Ready) || conflict,
            "{} has not settled: {}\n{}",
            object.name_any(),
            reason(object, ConditionType::Ready),
            world.story()
        );
        assert!(object.metadata.deletion_timestamp.is_none(), "{}", world.story());
    }
}

/// What must be the same whatever happened on the way.
fn essence(world: &Simulation) -> Vec<String> {
    let mut essence = vec![format!("{:?}", world.printer.attributes)];
    for (name, broker) in &world.brokers {
        for (id, instance) in &broker.instances {
            essence.push(format!(
                "{name} {id} {} {}",
                instance.plan_id,
                serde_json::json!(instance.parameters)
            ));
        }
    }
    for object in &world.world.subscriptions {
        let status = object.status.clone().unwrap_or_default();
        essence.push(format!("{} {}", object.name_any(), reason(object, ConditionType::Ready)));
        for item in status.items {
            essence.push(format!("{} {:?} {:?}", item.key, item.state, item.observed_digest));
        }
        for promise in status.promises {
            essence.push(format!("{} {:?}", promise.effective, promise.state));
        }
    }
    essence
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // shows K5 B7 D1 D2
    #[test]
    fn when_what_goes_wrong_ends_everything_is_delivered_and_then_nothing_is_asked_or_written(
        indexes in wanted(),
        events in events(),
    ) {
        let mut world = live(&indexes, &events);
        assert_settled(&world);
        let before = (world.requests, world.writes);
        world.pass();
        prop_assert_eq!((world.requests, world.writes), before, "another pass\n{}", world.story());
        world.holds = Holds::default();
        world.world.catalogues.clear();
        world.pass();
        prop_assert_eq!((world.requests, world.writes), before, "after a restart\n{}", world.story());
    }

    // shows K5
    #[test]
    fn a_process_that_dies_after_any_action_comes_to_the_same_end_without_a_second_instance(
        indexes in wanted(),
        slow in any::<bool>(),
        lost in any::<bool>(),
        after in 0..24_usize,
    ) {
        let run = |dies: bool| {
            let mut world = world(&indexes);
            for broker in world.brokers.values_mut() {
                broker.takes = slow.then(|| SignedDuration::from_secs(7));
                if lost {
                    broker.faults.push_back(Fault::Lost);
                }
            }
            world.run_until(start() - minutes(1));
            world.dies_after = dies.then_some(after);
            world.run_until(start() + minutes(120));
            world
        };
        let (whole, broken) = (run(false), run(true));
        assert_settled(&whole);
        prop_assert_eq!(essence(&whole), essence(&broken), "{}", broken.story());
        for (name, broker) in &broken.brokers {
            prop_assert_eq!(broker.created, whole.brokers[name].created, "{}", broken.story());
        }
    }

    // shows B6 K1
    #[test]
    fn what_is_on_the_device_does_not_depend_on_the_order_in_which_things_were_applied(
        indexes in wanted(),
    ) {
        let mut reversed = indexes.clone();
        reversed.reverse();
        let run = |indexes: &[usize]| {
            let mut world = world(indexes);
            world.run_until(start() + minutes(120));
            let mut essence = essence(&world);
            essence.sort();
            essence
        };
        prop_assert_eq!(run(&indexes), run(&reversed));
    }
}
