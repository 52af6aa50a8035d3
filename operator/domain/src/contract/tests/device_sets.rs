//! Tests of the devices of each entry, where entries of one service want the same one.

use super::super::device_sets::device_sets;
use super::super::overlay::unamended;
use super::*;

/// Shows the devices of each entry; those that are named have an exclamation mark.
fn shown(world: &ContractWorld) -> Vec<String> {
    let sets = device_sets(&unamended(&world.contract), &world.devices).sets;
    let shown = sets.iter().map(|set| {
        let devices = set.iter().map(|(device, named)| {
            let mark = if *named { "!" } else { "" };
            format!("{device}{mark}")
        });
        devices.collect::<Vec<_>>().join(" ")
    });
    shown.collect()
}

fn exceptions(world: &ContractWorld) -> Vec<String> {
    let found = device_sets(&unamended(&world.contract), &world.devices).exceptions;
    let shown = found.iter().map(|it| match &it.cause {
        ExceptionCause::TakenBy(first) => format!("{} of {} has {first}", it.device, it.service),
        ExceptionCause::Overrides(_) => unreachable!("of entries only"),
    });
    shown.collect()
}

fn faults(world: &ContractWorld) -> Vec<String> {
    let found = device_sets(&unamended(&world.contract), &world.devices).faults;
    found.into_iter().map(|fault| fault.message).collect()
}

fn with_devices(services: Vec<ContractService>) -> ContractWorld {
    let mut world = world(services);
    world.devices = vec![
        device("lobby", &[("in", "bank"), ("floor", "1")]),
        device("vault", &[("in", "bank"), ("floor", "2")]),
        device("shop", &[("in", "shop")]),
    ];
    world
}

fn one(name: &str, names: &[&str]) -> ContractService {
    entry(name, "backup-service", names)
}

// shows B1
#[test]
fn an_entry_has_the_devices_that_it_names_and_those_that_it_selects_each_once() {
    let table: [(ContractService, &str); 6] = [
        (one("a", &["lobby"]), "lobby!"),
        (one("a", &["nowhere"]), "nowhere!"),
        (selecting(one("a", &[]), &[("in", "bank")]), "lobby vault"),
        (
            selecting(one("a", &["vault", "shop"]), &[("in", "bank")]),
            "lobby shop! vault!",
        ),
        (
            selecting(one("a", &[]), &[("in", "bank"), ("floor", "2")]),
            "vault",
        ),
        (selecting(one("a", &[]), &[("in", "nowhere")]), ""),
    ];
    for (entry, devices) in table {
        let world = with_devices(vec![entry]);
        assert_eq!(shown(&world), [devices]);
        assert!(exceptions(&world).is_empty() && faults(&world).is_empty());
    }
}

// shows B1
#[test]
fn a_selector_that_asks_for_nothing_selects_nothing() {
    let world = with_devices(vec![selecting(one("a", &[]), &[])]);
    assert_eq!(shown(&world), [""]);
}

// shows B1
#[test]
fn of_two_entries_that_select_a_device_the_first_has_it_and_the_other_says_so() {
    let world = with_devices(vec![
        selecting(one("first", &[]), &[("floor", "1")]),
        selecting(one("second", &[]), &[("in", "bank")]),
    ]);
    assert_eq!(shown(&world), ["lobby", "vault"]);
    assert_eq!(exceptions(&world), ["lobby of second has first"]);
    assert_eq!(faults(&world), [""; 0]);
}

// shows B1
#[test]
fn who_names_a_device_does_not_take_it_from_who_stands_before_and_selects_it() {
    let world = with_devices(vec![
        selecting(one("first", &[]), &[("in", "bank")]),
        one("second", &["vault"]),
    ]);
    assert_eq!(shown(&world), ["lobby vault", ""]);
    assert_eq!(exceptions(&world), ["vault of second has first"]);
    let turned = with_devices(vec![
        one("first", &["vault"]),
        selecting(one("second", &[]), &[("in", "bank")]),
    ]);
    assert_eq!(shown(&turned), ["vault!", "lobby"]);
    assert_eq!(exceptions(&turned), ["vault of second has first"]);
    assert_eq!(faults(&turned), [""; 0]);
}

// shows B1 K2
#[test]
fn two_entries_that_name_one_device_are_at_fault_and_the_fault_names_both() {
    let world = with_devices(vec![
        one("first", &["vault", "lobby"]),
        one("second", &["lobby", "vault", "shop"]),
        one("third", &["lobby"]),
    ]);
    assert_eq!(shown(&world), ["lobby! vault!", "shop!", ""]);
    assert_eq!(
        faults(&world),
        [
            "entries first and second both name lobby, vault for SmartService backup-service: \
             name each device in one of them only",
            "entries first and third both name lobby for SmartService backup-service: name each \
             device in one of them only",
        ]
    );
}

// shows B1
#[test]
fn entries_of_different_services_share_their_devices() {
    let world = with_devices(vec![
        one("first", &["lobby"]),
        entry("second", "parts-service", &["lobby"]),
    ]);
    assert_eq!(shown(&world), ["lobby!", "lobby!"]);
    assert!(exceptions(&world).is_empty() && faults(&world).is_empty());
}

#[test]
fn the_order_of_devices_makes_no_difference() {
    let services = vec![
        selecting(one("first", &[]), &[("floor", "1")]),
        selecting(one("second", &["shop"]), &[("in", "bank")]),
    ];
    let world = with_devices(services);
    let mut turned = world.clone();
    turned.devices.reverse();
    assert_eq!(shown(&world), shown(&turned));
    assert_eq!(exceptions(&world), exceptions(&turned));
}
