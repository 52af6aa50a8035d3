//! The values that a device had before its services, whatever happens while they are in force (C10).

use entente_crds::v1alpha1::IppOperation;
use entente_domain::{protocol::Place, remote::Scalar};
use jiff::SignedDuration;
use kube::ResourceExt as _;
use proptest::prelude::*;

use super::{Event, Simulation, events, live_through, minutes, start, wanted, world};

/// Returns the values that somebody has set before the first service.
fn first() -> Vec<(Place, Vec<Scalar>)> {
    let text = |text: &str| Scalar::Text(text.to_owned());
    let set = IppOperation::SetPrinterAttributes;
    vec![
        (
            Place::ipp(set, "nw-endpoint"),
            vec![text("https://first.example")],
        ),
        (Place::ipp(set, "nw-weekdays"), vec![text("Thu")]),
        (Place::ipp(set, "nw-threshold"), vec![Scalar::Integer(7)]),
        (
            Place::ipp(IppOperation::CupsAddModifyPrinter, "nw-cloud"),
            vec![Scalar::Boolean(false)],
        ),
    ]
}

/// Lives through events with values of its own on the device, and then ends every service.
fn lived(indexes: &[usize], events: &[(i64, Event)]) -> Simulation {
    let mut world = world(indexes);
    world.printer.values.extend(first());
    live_through(&mut world, events, indexes, [120, 300]);
    let objects = world.snapshot.subscriptions.iter();
    let names: Vec<String> = objects.map(|object| object.name_any()).collect();
    world.transcript.push("> all end".to_owned());
    for name in names {
        world.end(&name, start() + minutes(310));
    }
    world.backoffs.clear_all();
    world.run_until(start() + minutes(500));
    world
}

/// True if an event brings another machine, which has values of its own.
fn brings_another(event: &Event) -> bool {
    matches!(event, Event::DeviceReplaced)
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // shows C10 K5
    #[test]
    fn when_every_service_has_ended_the_device_is_as_it_was_before_them(
        indexes in wanted(),
        events in events(),
    ) {
        let mut events = events;
        events.retain(|(_, event)| !brings_another(event));
        let world = lived(&indexes, &events);
        for (place, values) in first() {
            let found = &world.printer.values[&place];
            prop_assert_eq!(found, &values, "{}\n{}", place, world.story());
        }
    }

    // shows C10 K5
    #[test]
    fn a_process_that_dies_after_any_action_gives_every_device_its_first_values_back(
        indexes in wanted(),
        after in 0..40_usize,
        in_the_end in any::<bool>(),
    ) {
        let mut world = world(&indexes);
        world.printer.values.extend(first());
        world.dies_after = (!in_the_end).then_some(after);
        world.run_until(start() + minutes(120));
        let objects = world.snapshot.subscriptions.iter();
        let names: Vec<String> = objects.map(|object| object.name_any()).collect();
        for name in names {
            world.end(&name, start() + minutes(130));
        }
        world.dies_after = Some(after).filter(|_| in_the_end);
        world.run_until(start() + SignedDuration::from_hours(6));
        for (place, values) in first() {
            let found = &world.printer.values[&place];
            prop_assert_eq!(found, &values, "{}\n{}", place, world.story());
        }
    }
}
