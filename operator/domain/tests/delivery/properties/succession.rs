//! Chains of contracts that succeed each other: one instance, whatever happens on the way. Every plan
//! is linted, and a rule of the lint is that nobody removes an instance that another one wants.

use entente_crds::v1alpha1::{Origin, ServerInstance};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::{
    CATALOGUE, MENU, Simulation, assert_settled, essence, events, heal, live_through, minutes,
    start, wish,
};
use crate::simulation::{Fault, Wish};

/// The services of the menu that have an offering of one name: a renewal may change between them.
const OF_ONE_OFFERING: &[usize] = &[0, 4];

/// One contract of a chain: minutes from its start to that of the next one, minutes in between in
/// which none is in force, the service and a value.
#[derive(Clone, Copy, Debug)]
struct Link {
    lasts: i64,
    pause: i64,
    service: usize,
    value: &'static str,
}

fn link() -> impl Strategy<Value = Link> {
    let service = prop::sample::select(OF_ONE_OFFERING);
    let value = prop::sample::select(&["Sun", "Mon"][..]);
    let pause = prop_oneof![3 => Just(0), 1 => 1..15_i64, 1 => -20..0_i64];
    (20..60_i64, pause, service, value).prop_map(|(lasts, pause, service, value)| Link {
        lasts,
        pause,
        service,
        value,
    })
}

/// Returns a world with a chain. A pause below zero is an overlap.
fn chain(links: &[Link]) -> Simulation {
    let mut world = Simulation::new(start() - minutes(180));
    world.load_catalogue(CATALOGUE);
    for broker in world.brokers.values_mut() {
        broker.retry_after = Some(SignedDuration::from_secs(20));
    }
    world.create_device("A1");
    let mut from = start();
    let mut origin: Option<Origin> = None;
    for (number, link) in links.iter().enumerate() {
        let is_last = number + 1 == links.len();
        let until = from + minutes(link.lasts - link.pause);
        let contract = ["a", "n", "m"][number].to_owned();
        let wish = Wish {
            contract: contract.clone(),
            service_name: "backup".to_owned(),
            until: (!is_last).then_some(until),
            origin: origin.clone(),
            lead: MENU[0].4.to_owned(),
            ..wish(link.service, from, true, link.value)
        };
        world.create_subscription(&wish);
        origin.get_or_insert_with(|| Origin {
            contract,
            service_name: "backup".to_owned(),
            start: from,
        });
        from += minutes(link.lasts);
    }
    world
}

/// Returns the instances in the statuses.
fn recorded(world: &Simulation) -> Vec<&ServerInstance> {
    let objects = world.snapshot.subscriptions.iter();
    let statuses = objects.filter_map(|object| object.status.as_ref());
    statuses.filter_map(|it| it.server.as_ref()).collect()
}

/// Checks that one instance was ever made, that it is there, and that one subscription has it.
fn assert_one_instance(world: &Simulation, what: &str) {
    let broker = &world.brokers["northwind"];
    let story = || format!("{what}\n{}", world.story());
    assert_eq!(broker.created, 1, "{}", story());
    assert_eq!(broker.instances.len(), 1, "{}", story());
    let recorded = recorded(world);
    assert_eq!(recorded.len(), 1, "{}", story());
    let id = broker.instances.keys().next();
    assert_eq!(Some(&recorded[0].instance_id), id, "{}", story());
}

const PLAIN: Link = Link {
    lasts: 30,
    pause: 0,
    service: 0,
    value: "Sun",
};

// shows B1 B7 K5
#[test]
fn a_renewal_killed_after_anything_that_it_does_keeps_the_one_instance() {
    let other = |value| Link { value, ..PLAIN };
    let chains: [(&str, Vec<Link>); 6] = [
        ("unchanged", vec![PLAIN, PLAIN]),
        ("another value", vec![PLAIN, other("Mon")]),
        (
            "another plan",
            vec![
                PLAIN,
                Link {
                    service: 4,
                    ..PLAIN
                },
            ],
        ),
        ("a pause", vec![Link { pause: 10, ..PLAIN }, other("Mon")]),
        (
            "an overlap",
            vec![
                Link {
                    pause: -10,
                    ..PLAIN
                },
                other("Mon"),
            ],
        ),
        ("three", vec![PLAIN, other("Mon"), PLAIN]),
    ];
    let mut killed = 0;
    for (what, links) in &chains {
        for slow in [false, true] {
            let run = |after: Option<usize>| {
                let mut world = chain(links);
                world.run_until(start() + minutes(15));
                for broker in world.brokers.values_mut() {
                    broker.takes = slow.then(|| SignedDuration::from_secs(7));
                }
                world.dies_after = after;
                world.run_until(start() + minutes(180));
                world
            };
            let whole = run(None);
            assert_one_instance(&whole, what);
            for after in 0..24 {
                let broken = run(Some(after));
                let what = format!("{what}, slow: {slow}, killed after {after}");
                assert_one_instance(&broken, &what);
                let same = essence(&whole) == essence(&broken);
                assert!(same, "{what}\n{}\n{}", whole.story(), broken.story());
                killed += 1;
            }
        }
    }
    assert_eq!(killed, 6 * 2 * 24);
}

// shows B1 B7 K5
#[test]
fn a_renewal_of_which_any_request_is_lost_keeps_the_one_instance() {
    for fault in [Fault::ErrorBefore, Fault::Lost, Fault::Busy, Fault::Refused] {
        for skipped in 0..4 {
            let mut world = chain(&[
                PLAIN,
                Link {
                    value: "Mon",
                    ..PLAIN
                },
            ]);
            world.run_until(start() + minutes(15));
            let broker = world.brokers.get_mut("northwind").expect("a broker");
            broker.faults.extend(vec![Fault::Busy; skipped]);
            broker.faults.push_back(fault);
            world.run_until(start() + minutes(120));
            heal(&mut world);
            world.run_until(start() + minutes(240));
            assert_one_instance(&world, &format!("{fault:?} after {skipped}"));
            assert_settled(&world);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // shows B1 B7 K5
    #[test]
    fn a_chain_of_contracts_settles_whatever_happens_and_nobody_removes_what_another_wants(
        links in prop::collection::vec(link(), 2..=3),
        events in events(),
    ) {
        let mut world = chain(&links);
        live_through(&mut world, &events, &[0], [240, 480]);
        assert_settled(&world);
        let before = (world.requests, world.writes);
        world.pass();
        prop_assert_eq!((world.requests, world.writes), before, "another pass\n{}", world.story());
        let named = recorded(&world).len();
        prop_assert!(named <= 1, "two have the instance\n{}", world.story());
    }
}
