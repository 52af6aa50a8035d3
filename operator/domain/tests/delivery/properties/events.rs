//! Events that may happen to a world, at random.

use entente_crds::v1alpha1::IppOperation;
use entente_domain::remote::FailureKind;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use proptest::prelude::*;
use std::sync::Arc;

use super::{CATALOGUE, MENU, minutes, wish};
use crate::simulation::{Fault, Simulation};

const ATTRIBUTES: &[&str] = &["nw-endpoint", "nw-weekdays", "nw-threshold", "nw-cloud"];
pub(super) const BROKERS: &[&str] = &["northwind", "southwind"];

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    PrinterDown(FailureKind),
    PrinterBusy,
    Ignores(usize),
    NotSettable(usize),
    Refuses(usize),
    Lacks,
    Loses(u32),
    PrinterCured,
    /// The device reports that what it is set up for works, or that it does not.
    Works(bool),
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
    CatalogForgotten,
    /// The service of a subscription wants one of its settings no longer.
    Dropped(usize, usize),
    /// The service of a subscription wants again all that it wanted first.
    Restored(usize),
    Suspended(usize),
    Resumed(usize),
    Extended(usize),
    Ended(usize),
    Deleted(usize),
    Dies(usize),
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
        1 => down().prop_map(Event::PrinterDown),
        1 => Just(Event::PrinterBusy),
        1 => (0..4_usize).prop_map(Event::Ignores),
        1 => (0..4_usize).prop_map(Event::NotSettable),
        1 => (0..4_usize).prop_map(Event::Refuses),
        1 => Just(Event::Lacks),
        1 => (1..3_u32).prop_map(Event::Loses),
        1 => Just(Event::PrinterCured),
        2 => any::<bool>().prop_map(Event::Works),
        1 => (0..2_usize, down()).prop_map(|(broker, kind)| Event::BrokerDown(broker, kind)),
        1 => (0..2_usize, fault).prop_map(|(broker, fault)| Event::BrokerNext(broker, fault)),
        1 => (0..2_usize, 1..90_i64).prop_map(|(broker, takes)| Event::BrokerTakes(broker, takes)),
        1 => (0..2_usize).prop_map(Event::BrokerAtOnce),
        1 => (0..2_usize).prop_map(Event::BrokerNeverEnds),
        1 => (0..2_usize).prop_map(Event::BrokerFails),
        1 => (0..2_usize).prop_map(Event::BrokerIgnores),
        1 => (0..2_usize).prop_map(Event::BrokerCured),
        1 => (0..3_usize, any::<bool>()).prop_map(|(index, promised)| Event::Revised(index, promised)),
        1 => (0..3_usize, 0..4_usize).prop_map(|(index, service)| Event::Changed(index, service)),
        1 => (1..30_i64).prop_map(Event::ClockBack),
        1 => Just(Event::DeviceReplaced),
        1 => Just(Event::CatalogForgotten),
        3 => (0..3_usize, 0..3_usize).prop_map(|(index, setting)| Event::Dropped(index, setting)),
        1 => (0..3_usize).prop_map(Event::Restored),
        1 => (0..3_usize).prop_map(Event::Suspended),
        1 => (0..3_usize).prop_map(Event::Resumed),
        1 => (0..3_usize).prop_map(Event::Ended),
        1 => (0..3_usize).prop_map(Event::Extended),
        1 => (0..3_usize).prop_map(Event::Deleted),
        1 => (0..12_usize).prop_map(Event::Dies),
    ]
}

pub(super) fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    prop::collection::vec((-10..120_i64, event()), 0..8).prop_map(|mut events| {
        events.sort_by_key(|(minute, _)| *minute);
        events
    })
}

pub(super) fn happen(world: &mut Simulation, event: &Event, indexes: &[usize]) {
    let attribute = |index: &usize| ATTRIBUTES[*index].to_owned();
    match event {
        Event::PrinterDown(kind) => world.printer.down = Some(*kind),
        Event::PrinterBusy => world.printer.busy = Some(SignedDuration::from_secs(40)),
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
        Event::Works(true) => world.printer.last_run("ok"),
        Event::Works(false) => {
            world.printer.last_run("failed");
            world.alone = false;
        }
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
        Event::CatalogForgotten => world.snapshot.catalogs.clear(),
        Event::DeviceReplaced => {
            let serial = &mut world.device_mut().spec.serial_number;
            serial.push('B');
            let uuid = format!("urn:uuid:{serial}");
            world.printer.uuid = Some(uuid);
            world.printer.values.clear();
            world.backoffs.clear_all();
        }
        Event::Revised(index, _)
        | Event::Changed(index, _)
        | Event::Dropped(index, _)
        | Event::Restored(index)
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

fn happen_to_subscription(world: &mut Simulation, event: &Event, index: usize, indexes: &[usize]) {
    // An edit drops every backoff, as in the controller.
    world.backoffs.clear_all();
    let names = names(world);
    let Some(name) = names.get(index).cloned() else {
        return;
    };
    let object = world.subscription(&name).clone();
    let last = object
        .spec
        .revisions
        .last()
        .cloned()
        .expect("it has an entry");
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
            let value = if object.spec.revisions.len() % 2 == 1 {
                "Mon"
            } else {
                "Sun"
            };
            if let Some(known) = known {
                world.revise(&name, &wish(known, from, *promised, value));
            }
        }
        Event::Changed(_, service) => {
            if let Some(known) = known {
                let mut wish = wish(known, whole, false, "Sun");
                let services = ["data-backup", "other-backup", "early-backup", "cloud"];
                services[*service].clone_into(&mut wish.service);
                wish.parameters = [("weekdays", "Sun"), ("size", "5")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into();
                world.revise(&name, &wish);
            }
        }
        Event::Dropped(_, setting) => drop_setting(world, &last.service_ref.name, *setting),
        Event::Restored(_) => restore(world, &last.service_ref.name),
        Event::Suspended(_) => world.subscription_mut(&name).spec.contract.suspend = true,
        Event::Resumed(_) => world.subscription_mut(&name).spec.contract.suspend = false,
        Event::Ended(_) if last.effective < whole && last.until.is_none() => {
            world.end(&name, whole);
        }
        Event::Extended(_) => {
            let object = world.subscription_mut(&name);
            let last = object.spec.revisions.last_mut().expect("it has an entry");
            Arc::make_mut(last).until = None;
        }
        Event::Deleted(_) => world.delete(&name),
        _ => {}
    }
}

/// Takes a setting out of a service: those of the device are counted first.
fn drop_setting(world: &mut Simulation, service: &str, setting: usize) {
    let services = &mut world.snapshot.services;
    let Some(service) = services.get_mut(service).map(Arc::make_mut) else {
        return;
    };
    let device = service.spec.device.as_mut().map(|side| &mut side.settings);
    let of_device = device.as_ref().map_or(0, |settings| settings.len());
    let server = service.spec.server.as_mut().map(|side| &mut side.settings);
    if let Some(settings) = device.filter(|_| setting < of_device) {
        settings.remove(setting);
    } else if let Some(settings) = server.filter(|it| setting - of_device < it.len()) {
        settings.remove(setting - of_device);
    }
}

/// Makes a service again what it is in the catalogue of the scripts.
fn restore(world: &mut Simulation, service: &str) {
    let mut fresh = Simulation::new(world.now);
    fresh.load_catalogue(CATALOGUE);
    let service = fresh.snapshot.services.remove_entry(service);
    world.snapshot.services.extend(service);
}

fn names(world: &Simulation) -> Vec<String> {
    world
        .snapshot
        .subscriptions
        .iter()
        .map(|subscription| subscription.name_any())
        .collect()
}
