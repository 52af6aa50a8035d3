//! Properties that hold in every world, in spite of every fault on the way (K5, D1 to D4, B6, B7).
//!
//! In all of them the plan of every round is linted, every report is made twice and must be the
//! same, and every Delivered is compared with the remote sides.

#![allow(
    clippy::disallowed_methods,
    reason = "a test reads the catalogue of the scripts"
)]

use std::sync::Arc;

use entente_crds::{
    ANNOTATION_RECONCILE_AT, condition::ConditionType, v1alpha1::ServiceSubscription,
};
use entente_domain::condition::{find, is_true};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use proptest::prelude::*;

mod asked_waits;
mod calling;
mod drift;
mod events;
mod provider;
mod release;
mod succession;
mod writes;

use self::events::{Event, events, happen};
use crate::simulation::{Fault, Simulation, Wish};

const CATALOGUE: &str = include_str!("../scripts/catalogue.yaml");

/// Choices for the device: contract, entry, service, hours after the first start, lead time.
const MENU: &[(&str, &str, &str, i64, &str)] = &[
    ("a", "backup", "data-backup", 0, "336h"),
    ("b", "backup", "data-backup", 1, "336h"),
    ("a", "life", "parts-life", 0, "6h"),
    ("a", "cloud", "cloud", 0, "0s"),
    ("c", "early", "early-backup", 0, "6h"),
    ("d", "other", "other-backup", 1, "0s"),
    ("a", "panel", "cloud-panel", 0, "0s"),
    ("e", "life", "parts-life", 1, "6h"),
    ("a", "proven", "proven-backup", 0, "6h"),
    ("f", "checked", "proven-panel", 1, "6h"),
];

fn start() -> Timestamp {
    "2027-04-01T03:00:00Z".parse().expect("an instant")
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn wanted() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..MENU.len()).collect::<Vec<_>>(), 1..=3)
}

fn wish(index: usize, from: Timestamp, promised: bool, value: &str) -> Wish {
    let (contract, service_name, service, _, lead) = MENU[index];
    let parameter = match service {
        "parts-life" | "proven-panel" => ("threshold", if value == "Mon" { "10" } else { "20" }),
        "cloud" => ("size", if value == "Mon" { "7" } else { "5" }),
        _ => ("weekdays", value),
    };
    Wish {
        contract: contract.to_owned(),
        service_name: service_name.to_owned(),
        service: service.to_owned(),
        from,
        until: None,
        origin: None,
        promised,
        allowed: "15m".into(),
        lead: lead.to_owned(),
        secret_parameters: Vec::new(),
        parameters: [(parameter.0.to_owned(), parameter.1.to_owned())].into(),
    }
}

fn world(indexes: &[usize]) -> Simulation {
    let mut world = Simulation::new(start() - minutes(180));
    world.load_catalogue(CATALOGUE);
    for broker in world.brokers.values_mut() {
        broker.retry_after = Some(SignedDuration::from_secs(20));
    }
    world.create_device("A1");
    world.printer.last_run("ok");
    for index in indexes {
        let from = start() + minutes(60 * MENU[*index].3);
        world.create_subscription(&wish(*index, from, true, "Sun"));
    }
    world
}

/// Ends every fault, and asks for a full read-back as a person may.
fn heal(world: &mut Simulation) {
    world.printer.cure();
    world.printer.last_run("ok");
    for broker in world.brokers.values_mut() {
        broker.cure();
    }
    for object in &mut world.snapshot.subscriptions {
        Arc::make_mut(object).spec.contract.suspend = false;
    }
    ask_to_reconcile(world);
    world.forget_waits();
}

fn ask_to_reconcile(world: &mut Simulation) {
    let now = world.now.to_string();
    world
        .device_mut()
        .annotations_mut()
        .insert(ANNOTATION_RECONCILE_AT.to_owned(), now);
    world.snapshot.reconcile_requested = true;
}

fn live(indexes: &[usize], events: &[(i64, Event)]) -> Simulation {
    let mut world = world(indexes);
    live_through(&mut world, events, indexes, [120, 300]);
    world
}

/// Lets events happen, heals the world at the first of two minutes, and runs it until the second one.
fn live_through<'a>(
    world: &mut Simulation,
    events: impl IntoIterator<Item = &'a (i64, Event)>,
    indexes: &[usize],
    [healed, end]: [i64; 2],
) {
    for (minute, event) in events {
        world.run_until((start() + minutes(*minute)).max(world.now));
        world.transcript.push(format!("> {event:?}"));
        happen(world, event, indexes);
    }
    world.run_until((start() + minutes(healed)).max(world.now));
    world.transcript.push("> healed".to_owned());
    heal(world);
    world.run_until(start() + minutes(end));
}

// shows B7 D2
#[test]
fn a_move_to_another_plan_that_never_ends_is_given_up_and_what_came_of_it_is_read() {
    let events = [(0, Event::BrokerNeverEnds(0)), (1, Event::Changed(0, 2))];
    assert_settled(&live(&[0], &events));
}

// shows D3
#[test]
fn what_is_wanted_no_longer_while_it_is_late_does_not_date_the_completion_back() {
    for (index, setting) in [(2, 0), (4, 0)] {
        assert_settled(&dropped_while_late(index, 0, setting));
    }
}

// shows D1 D2
#[test]
fn a_service_that_wants_nothing_any_more_lists_no_item_beside_delivered() {
    let world = dropped_while_late(6, 3, 0);
    assert_settled(&world);
    let status = world.snapshot.subscriptions[0].status.as_ref();
    assert_eq!(
        status.expect("it was reported").items,
        [],
        "{}",
        world.story()
    );
}

/// Lets a subscription be late for an attribute of the device, of which a setting is then dropped.
fn dropped_while_late(index: usize, attribute: usize, setting: usize) -> Simulation {
    let events = [
        (-5, Event::NotSettable(attribute)),
        (30, Event::Dropped(0, setting)),
    ];
    live(&[index], &events)
}

fn reason(object: &ServiceSubscription, condition: ConditionType) -> String {
    let conditions = &object.status.as_ref().expect("it was reported").conditions;
    find(conditions, condition)
        .map(|found| found.reason.clone())
        .unwrap_or_default()
}

/// Checks that every subscription is delivered, ended, or in a conflict that only a person can end.
fn assert_settled(world: &Simulation) {
    for object in &world.snapshot.subscriptions {
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
        assert!(
            object.metadata.deletion_timestamp.is_none(),
            "{}",
            world.story()
        );
    }
}

/// Returns the part of the outcome that must not depend on the faults on the way.
fn essence(world: &Simulation) -> Vec<String> {
    let mut essence = vec![format!("{:?}", world.printer.values)];
    for (name, broker) in &world.brokers {
        for (id, instance) in &broker.instances {
            essence.push(format!(
                "{name} {id} {} {}",
                instance.plan_id,
                serde_json::json!(instance.parameters)
            ));
        }
    }
    for object in &world.snapshot.subscriptions {
        let status = object.status.clone().unwrap_or_default();
        essence.push(format!(
            "{} {}",
            object.name_any(),
            reason(object, ConditionType::Ready)
        ));
        for item in status.items {
            essence.push(format!(
                "{} {:?} {:?}",
                item.key, item.state, item.observed_digest
            ));
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
        world.forget_waits();
        world.snapshot.catalogs.clear();
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
