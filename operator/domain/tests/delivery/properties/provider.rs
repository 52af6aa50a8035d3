//! Changes of provider in an exclusive group: somebody serves all the time, and one instance is left in
//! the end, whatever happens on the way. Every plan is linted: two of a group are never activated at
//! once, and the one that serves is not removed before the switch.

use std::sync::Arc;

use entente_crds::v1alpha1::SmartService;
use entente_domain::remote::FailureKind;
use jiff::SignedDuration;
use kube::ResourceExt as _;
use proptest::prelude::*;

use super::{
    CATALOGUE, Event, Simulation, assert_settled, essence, events, heal, live_through, minutes,
    start, wish,
};
use crate::simulation::{Fate, Fault, Traffic, Wish};

/// Services of one group: two brokers, two offerings of one broker, and two plans of one offering.
const GROUP: &[&str] = &["data-backup", "other-backup", "cloud", "early-backup"];

/// Returns a world in which these services are of one exclusive group and are turned on by a setting.
fn world() -> Simulation {
    let mut world = Simulation::new(start() - minutes(180));
    world.load_catalogue(CATALOGUE);
    let backup = world.snapshot.services["data-backup"].clone();
    let activation = backup
        .spec
        .server
        .as_ref()
        .and_then(|it| it.activation.clone());
    for name in GROUP {
        let service = world.snapshot.services.get_mut(*name);
        let service: &mut SmartService = Arc::make_mut(service.expect("it is in the catalogue"));
        service.spec.exclusive_group = Some("backups".to_owned());
        let side = service.spec.server.as_mut().expect("it has a server");
        side.activation.clone_from(&activation);
    }
    for broker in world.brokers.values_mut() {
        broker.retry_after = Some(SignedDuration::from_secs(20));
    }
    world.create_device("A1");
    world
}

/// Returns an entry for a service of the group.
fn of_service(contract: &str, service: &str, from: i64) -> Wish {
    Wish {
        contract: contract.to_owned(),
        service: service.to_owned(),
        parameters: [("weekdays", "Sun"), ("size", "5")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..wish(0, start() + minutes(from), true, "Sun")
    }
}

/// A change of provider, half an hour after the start.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The subscription gets another service.
    InOne(&'static str),
    /// Another contract begins when the first one ends.
    Between(&'static str),
    /// It gets another service, and then the first one again.
    AndBack(&'static str),
}

fn changing(way: Way) -> Simulation {
    let mut world = world();
    let first = of_service("a", "data-backup", 0);
    match way {
        Way::InOne(to) => {
            let name = world.create_subscription(&first);
            world.revise(&name, &of_service("a", to, 30));
        }
        Way::AndBack(to) => {
            let name = world.create_subscription(&first);
            world.revise(&name, &of_service("a", to, 30));
            world.revise(&name, &of_service("a", "data-backup", 60));
        }
        Way::Between(to) => {
            let until = Some(start() + minutes(30));
            world.create_subscription(&Wish { until, ..first });
            world.create_subscription(&of_service("b", to, 30));
        }
    }
    world.run_until(start() + minutes(15));
    world
}

/// Returns the number of instances that are turned on.
fn enabled(world: &Simulation) -> usize {
    let instances = world.brokers.values().flat_map(|it| it.instances.values());
    let is_on =
        |parameters: &serde_json::Map<_, _>| parameters.get("enabled") == Some(&true.into());
    instances.filter(|it| is_on(&it.parameters)).count()
}

fn somebody_serves(world: &Simulation) {
    assert!(enabled(world) > 0, "nobody serves\n{}", world.story());
}

/// Checks that one instance is there, that it is on, and that no status leaves another one.
fn assert_one_serves(world: &Simulation, what: &str) {
    let story = || format!("{what}\n{}", world.story());
    let count: usize = world.brokers.values().map(|it| it.instances.len()).sum();
    assert_eq!((count, enabled(world)), (1, 1), "{}", story());
    for object in &world.snapshot.subscriptions {
        let status = object.status.as_ref().expect("it was reported");
        assert_eq!(status.leaving, None, "{}\n{}", object.name_any(), story());
    }
}

fn made(world: &Simulation) -> u32 {
    world.brokers.values().map(|it| it.created).sum()
}

const WAYS: &[(Way, u32)] = &[
    (Way::InOne("other-backup"), 2),
    (Way::InOne("cloud"), 2),
    (Way::InOne("early-backup"), 1),
    (Way::Between("other-backup"), 2),
    (Way::Between("data-backup"), 2),
    (Way::Between("cloud"), 2),
    (Way::AndBack("other-backup"), 3),
    (Way::AndBack("cloud"), 3),
];

// shows C11 B7
#[test]
fn a_change_of_provider_killed_after_anything_that_it_does_leaves_nobody_without_service() {
    let mut killed = 0;
    for (way, instances) in WAYS {
        for slow in [false, true] {
            let run = |after: Option<usize>| {
                let mut world = changing(*way);
                for broker in world.brokers.values_mut() {
                    broker.takes = slow.then(|| SignedDuration::from_secs(7));
                }
                world.watch = Some(somebody_serves);
                world.dies_after = after;
                world.run_until(start() + minutes(180));
                world
            };
            let whole = run(None);
            assert_one_serves(&whole, &format!("{way:?}, slow: {slow}"));
            assert_eq!(made(&whole), *instances, "{}", whole.story());
            for after in 0..32 {
                let broken = run(Some(after));
                let what = format!("{way:?}, slow: {slow}, killed after {after}");
                assert_one_serves(&broken, &what);
                assert_eq!(made(&broken), *instances, "{what}\n{}", broken.story());
                let same = essence(&whole) == essence(&broken);
                assert!(same, "{what}\n{}\n{}", whole.story(), broken.story());
                killed += 1;
            }
        }
    }
    assert_eq!(killed, WAYS.len() * 2 * 32);
}

/// Age of what the gateway knows, and the number of batches of which one answer is lost.
const VIEWS: [(i64, u64); 3] = [(0, 3), (2, 2), (9, 5)];

// shows C11 C16 K5
#[test]
#[allow(
    clippy::disallowed_macros,
    reason = "a run prints how many crash points and events it went through"
)]
fn no_event_is_lost_or_at_two_providers_wherever_a_change_of_provider_is_killed() {
    let mut all = Fate::default();
    let mut killed = 0;
    for (number, (way, _)) in WAYS.iter().enumerate() {
        for after in 0..32 {
            let mut world = changing(*way);
            let (lag, lost) = VIEWS[(number + after) % VIEWS.len()];
            let traffic = Traffic::new(&world, SignedDuration::from_secs(lag), lost);
            world.traffic = Some(traffic);
            // Around each change nothing is left out.
            let changes: &[i64] = match way {
                Way::AndBack(_) => &[30, 60],
                Way::InOne(_) | Way::Between(_) => &[30],
            };
            for &change in changes {
                world.run_until(start() + minutes(change) - SignedDuration::from_secs(2));
                if change == 30 {
                    world.dies_after = Some(after);
                }
                for _ in 0..30 {
                    world.run_until(world.now + SignedDuration::from_millis(700));
                }
            }
            world.run_until(start() + minutes(90));
            let traffic = world.traffic.take().expect("it goes on");
            let fate = traffic.end(&world);
            let what = format!("{way:?}, killed after {after}, {lag} s behind");
            let is_right = (fate.at_neither, fate.at_both, fate.at_another) == (0, 0, 0);
            assert!(is_right, "{what}: {fate:?}\n{}", world.story());
            assert!(fate.made > 100 && fate.repeated > 0, "{what}: {fate:?}");
            all.made += fate.made;
            all.repeated += fate.repeated;
            all.at_neither += fate.at_neither;
            all.at_both += fate.at_both;
            killed += 1;
        }
    }
    assert!(killed >= 200, "{killed}");
    println!(
        "change of provider: {killed} crash points, {} events, {} at both, {} at neither, {} sent again",
        all.made, all.at_both, all.at_neither, all.repeated
    );
}

// shows C11
#[test]
fn while_the_new_provider_fails_in_any_way_the_old_one_serves() {
    let faults = [
        Fault::ErrorBefore,
        Fault::ErrorAfter,
        Fault::Lost,
        Fault::Busy,
        Fault::Refused,
    ];
    for way in [Way::InOne("other-backup"), Way::Between("other-backup")] {
        for fault in faults {
            for skipped in 0..3 {
                let mut world = changing(way);
                world.watch = Some(somebody_serves);
                let broker = world.brokers.get_mut("southwind").expect("a broker");
                broker.faults.extend(vec![Fault::Busy; skipped]);
                broker.faults.push_back(fault);
                world.run_until(start() + minutes(120));
                heal(&mut world);
                world.run_until(start() + minutes(240));
                assert_one_serves(&world, &format!("{way:?} {fault:?} after {skipped}"));
                assert_settled(&world);
            }
        }
    }
}

fn services() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(GROUP), 2..=3)
}

/// Returns a world in which services follow each other, forty minutes each, and things happen.
fn living(services: &[&'static str], between: bool, events: &[(i64, Event)]) -> Simulation {
    let mut world = world();
    let count = services.len();
    for (number, service) in services.iter().enumerate() {
        let from = i64::try_from(number).expect("few") * 40;
        let wish = of_service(
            if between {
                ["a", "b", "c"][number]
            } else {
                "a"
            },
            service,
            from,
        );
        let until = (between && number + 1 < count).then(|| start() + minutes(from + 40));
        if between || number == 0 {
            world.create_subscription(&Wish { until, ..wish });
        } else {
            world.revise("a.backup.lobby", &wish);
        }
    }
    // A service that comes back is that of the catalogue of the scripts, which is of no group.
    let of_the_group = |(_, event): &&(i64, Event)| !matches!(event, Event::Restored(_));
    let events = events.iter().filter(of_the_group);
    live_through(&mut world, events, &[0], [240, 480]);
    world
}

// shows C11
#[test]
fn an_instance_that_was_never_on_is_removed_while_the_next_one_is_made() {
    let events = [(-1, Event::BrokerNeverEnds(0))];
    let services = ["cloud", "data-backup", "data-backup"];
    let world = living(&services, false, &events);
    assert_one_serves(&world, "never on");
    assert_settled(&world);
}

// shows C11
#[test]
fn a_third_service_waits_for_the_removal_of_the_first_and_goes_on_with_it() {
    let events = [(0, Event::BrokerNeverEnds(0))];
    let world = living(&["cloud", "other-backup", "cloud"], false, &events);
    assert_one_serves(&world, "a third one");
    assert_settled(&world);
}

// shows C11
#[test]
fn a_second_service_that_never_worked_makes_way_for_a_third_while_the_first_one_serves() {
    let events = [(0, Event::Refuses(0))];
    let services = ["other-backup", "data-backup", "cloud"];
    let world = living(&services, false, &events);
    assert_one_serves(&world, "the second one was refused after the switch");
    assert_settled(&world);
}

// shows C11
#[test]
fn a_machine_that_is_replaced_while_its_service_is_suspended_is_reported_the_same_twice() {
    let events = [(0, Event::Suspended(0)), (0, Event::DeviceReplaced)];
    assert_settled(&living(&["data-backup", "other-backup"], false, &events));
}

// shows C11
#[test]
fn a_third_contract_that_comes_first_ends_the_one_that_serves_on() {
    let events = [
        (0, Event::PrinterDown(FailureKind::Unreachable)),
        (0, Event::Suspended(0)),
        (40, Event::Extended(0)),
    ];
    assert_settled(&living(
        &["data-backup", "cloud", "data-backup"],
        true,
        &events,
    ));
}

// shows C11
#[test]
fn a_removal_that_has_begun_goes_on_when_the_contract_that_ended_in_between_is_extended() {
    let events = [
        (0, Event::BrokerDown(0, FailureKind::Unreachable)),
        (80, Event::Extended(1)),
    ];
    let services = ["cloud", "cloud", "data-backup"];
    assert_settled(&living(&services, true, &events));
}

// shows C11
#[test]
fn a_setting_of_the_service_before_is_not_listed_on_a_machine_that_never_had_it() {
    let events = [(80, Event::Dropped(0, 0)), (80, Event::DeviceReplaced)];
    let services = ["other-backup", "cloud", "data-backup"];
    assert_settled(&living(&services, false, &events));
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // shows C11 K5
    #[test]
    fn changes_of_provider_settle_with_one_instance_whatever_happens(
        services in services(),
        between in any::<bool>(),
        events in events(),
    ) {
        let mut world = living(&services, between, &events);
        assert_settled(&world);
        let before = (world.requests, world.writes);
        world.pass();
        prop_assert_eq!((world.requests, world.writes), before, "another pass\n{}", world.story());
        let left = world.snapshot.subscriptions.iter();
        let left = left.filter_map(|it| it.status.as_ref()?.leaving.as_ref()).count();
        prop_assert_eq!(left, 0, "an instance is left\n{}", world.story());
        prop_assert!(enabled(&world) <= 1, "two serve\n{}", world.story());
    }
}
