//! Somebody changes settings at the device, at random, under either driftPolicy.
//!
//! That nothing is written over what is to be left is linted in every plan.

use entente_crds::v1alpha1::{DriftPolicy, IppOperation};
use entente_domain::{
    delivery::{Intent, Pass, ResolvedSubscription, Wanted},
    protocol::Place,
    remote::Scalar,
};

use super::*;

/// Attributes of the device that services of the menu set, each with a value that none of them wants.
const MEDDLED: &[(&str, &str)] = &[
    ("nw-endpoint", "elsewhere"),
    ("nw-weekdays", "Fri"),
    ("nw-endpoint", "nowhere"),
];

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Meddled(usize),
    Policy(DriftPolicy),
    Moved,
    Other(Event),
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let policy = prop_oneof![
        2 => Just(DriftPolicy::Report),
        1 => Just(DriftPolicy::Revert),
    ];
    let step = prop_oneof![
        4 => (0..MEDDLED.len()).prop_map(Step::Meddled),
        1 => policy.prop_map(Step::Policy),
        1 => Just(Step::Moved),
    ];
    let own = prop::collection::vec((-10..120_i64, step), 1..6);
    (own, events()).prop_map(|(own, events)| {
        let others = events
            .into_iter()
            .map(|(at, event)| (at, Step::Other(event)));
        let mut all: Vec<(i64, Step)> = own.into_iter().chain(others).collect();
        all.sort_by_key(|(minute, _)| *minute);
        all
    })
}

fn meddle(world: &mut Simulation, index: usize) {
    let (attribute, value) = MEDDLED[index];
    let place = Place::ipp(IppOperation::SetPrinterAttributes, attribute);
    let value = vec![Scalar::Text(value.to_owned())];
    world.printer.values.insert(place, value);
    world.alone = false;
    ask_to_reconcile(world);
}

fn set_policy(world: &mut Simulation, policy: DriftPolicy) {
    let device = world.device_mut();
    device.spec.drift_policy = Some(policy);
    device.metadata.generation = device.metadata.generation.map(|one| one + 1);
    world.backoffs.clear_all();
}

/// The device gets another address, and stays the same machine.
fn move_device(world: &mut Simulation) {
    let device = world.device_mut();
    device.spec.address = Some(match device.spec.address.as_deref() {
        Some("10.20.3.4") => "10.20.3.5".to_owned(),
        _ => "10.20.3.4".to_owned(),
    });
    world.backoffs.clear_all();
}

/// Returns the settings of services in force that the device does not have as they are wanted.
fn differing(world: &Simulation) -> Vec<String> {
    let pass = Pass::new(world.snapshot.clone(), world.backoffs.clone(), world.now);
    let in_force = pass.resolved().subscriptions.iter();
    let in_force = in_force.filter(|it| it.intent == Intent::SetUp && it.refused.is_none());
    let items = in_force.flat_map(ResolvedSubscription::items);
    let items = items.filter(|(_, item)| item.conflict.is_none());
    let differing = items.filter_map(|(_, item)| match &item.wanted {
        Wanted::DeviceSetting { place, value, .. } => {
            let wanted = crate::simulation::scalars(value);
            let is_there = world.printer.values.get(place) == Some(&wanted);
            (!is_there).then(|| item.key.name().expect("it has a name").to_owned())
        }
        _ => None,
    });
    let mut names: Vec<String> = differing.collect();
    names.sort();
    names.dedup();
    names
}

fn told(world: &Simulation) -> Vec<String> {
    let status = world
        .snapshot
        .device
        .as_ref()
        .and_then(|it| it.status.as_ref());
    let drift = status.map_or(&[][..], |status| &status.drift);
    drift.iter().map(|it| it.name.clone()).collect()
}

fn live_and_meddle(indexes: &[usize], steps: &[(i64, Step)]) -> Simulation {
    let mut world = world(indexes);
    set_policy(&mut world, DriftPolicy::Report);
    for (minute, step) in steps {
        world.run_until((start() + minutes(*minute)).max(world.now));
        world.transcript.push(format!("> {step:?}"));
        match step {
            Step::Meddled(index) => meddle(&mut world, *index),
            Step::Policy(policy) => set_policy(&mut world, *policy),
            Step::Moved => move_device(&mut world),
            Step::Other(event) => happen(&mut world, event, indexes),
        }
    }
    world.run_until((start() + minutes(120)).max(world.now));
    world.transcript.push("> healed".to_owned());
    world.dies_after = None;
    heal(&mut world);
    world.run_until(start() + minutes(300));
    world
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // shows D1 K2 K5
    #[test]
    fn what_the_device_has_otherwise_is_told_and_left_with_report_and_set_with_revert(
        indexes in wanted(),
        steps in steps(),
    ) {
        let mut world = live_and_meddle(&indexes, &steps);
        assert_settled(&world);
        prop_assert_eq!(differing(&world), told(&world), "{}", world.story());
        let before = (world.requests, world.writes);
        world.forget_waits();
        world.snapshot.catalogs.clear();
        world.pass();
        prop_assert_eq!((world.requests, world.writes), before, "after a restart\n{}", world.story());
        set_policy(&mut world, DriftPolicy::Revert);
        world.pass();
        prop_assert_eq!(differing(&world), Vec::<String>::new(), "{}", world.story());
        prop_assert_eq!(told(&world), Vec::<String>::new(), "{}", world.story());
        assert_settled(&world);
    }
}
