//! Tests of the overrides of an entry: which device gets which values, and two that disagree.

use entente_crds::v1alpha1::{OverriddenDevices, Override, ServiceSubscription};

use super::*;

fn overriding(
    name: &str,
    names: &[&str],
    labels: &[(&str, &str)],
    sets: &[(&str, &str)],
) -> Override {
    let selector = Selector {
        match_labels: texts(labels),
        ..Selector::default()
    };
    Override {
        name: name.to_owned(),
        devices: OverriddenDevices {
            selector: (!labels.is_empty()).then_some(selector),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        },
        parameters: texts(sets),
    }
}

/// Returns an entry that names the devices a, b and c and sets the weekdays; b has a label.
fn with(overrides: Vec<Override>) -> ContractWorld {
    let mut world = named(&["a", "b", "c"]);
    world.devices = vec![
        device("a", &[]),
        device("b", &[("site", "osasco")]),
        device("c", &[]),
    ];
    let entry = &mut world.contract.spec.services[0];
    entry.parameters = texts(&[("weekdays", "wed")]);
    entry.overrides = overrides;
    world
}

fn last_of(subscription: &ServiceSubscription) -> String {
    let last = subscription.spec.revisions.last().expect("a revision");
    let values = last.parameters.iter().map(|(name, value)| {
        let is_default = last.defaulted.contains(name);
        format!("{name}{}={value}", if is_default { "*" } else { "" })
    });
    let device = &subscription.spec.device_ref.name;
    format!("{device}: {}", values.collect::<Vec<_>>().join(" "))
}

/// Shows the values of each device, by its last revision.
fn shown(world: &ContractWorld) -> Vec<String> {
    let mut shown: Vec<String> = world.subscriptions.iter().map(|it| last_of(it)).collect();
    shown.sort_unstable();
    shown
}

// shows B5
#[test]
fn an_override_is_merged_by_parameter_and_wins_on_its_devices_only() {
    let usual = |device: &str| format!("{device}: threshold*=20 weekdays=wed");
    let site = &[("site", "osasco")];
    let table = [
        (
            vec![overriding("o", &["b"], &[], &[("weekdays", "sun")])],
            "threshold*=20 weekdays=sun",
        ),
        (
            vec![overriding("o", &[], site, &[("threshold", "007")])],
            "threshold=7 weekdays=wed",
        ),
        (
            vec![
                overriding("o", &["b", "stranger"], &[], &[("weekdays", "sun ,mon")]),
                overriding(
                    "p",
                    &[],
                    site,
                    &[("weekdays", "mon,sun"), ("threshold", "5")],
                ),
            ],
            "threshold=5 weekdays=mon,sun",
        ),
        (
            vec![overriding(
                "o",
                &["stranger"],
                &[("site", "x")],
                &[("threshold", "5")],
            )],
            "threshold*=20 weekdays=wed",
        ),
    ];
    for (overrides, values) in table {
        let mut world = with(overrides);
        world.pass(BEFORE);
        assert_eq!(said(&world, ConditionType::Accepted), "True Valid");
        assert_eq!(
            shown(&world),
            [usual("a"), format!("b: {values}"), usual("c")]
        );
    }
}

// shows B5
#[test]
fn an_override_that_is_made_edited_or_removed_is_an_edit_of_its_devices_only() {
    let mut world = with(Vec::new());
    world.pass(BEFORE);
    for (value, now) in [
        (Some("sun"), "2027-05-01T12:00:00Z"),
        (Some("mon"), "2027-05-02T12:00:00Z"),
        (None, "2027-05-03T12:00:00Z"),
    ] {
        world.edit(|spec| {
            let sets = value.map(|value| overriding("o", &["b"], &[], &[("weekdays", value)]));
            spec.services[0].overrides = sets.into_iter().collect();
        });
        let resolved = world.pass(now);
        let updated: Vec<&str> = resolved
            .changes
            .update
            .iter()
            .map(|it| &*it.handle.name)
            .collect();
        assert_eq!(updated, ["bank.backup.b"]);
        let last = world
            .existing("bank.backup.b")
            .spec
            .revisions
            .last()
            .cloned()
            .expect("one");
        assert_eq!((last.effective, last.promised), (at(now), false));
        assert_eq!(last.parameters["weekdays"], value.unwrap_or("wed"));
    }
}

// shows B5 K2
#[test]
fn a_value_of_an_override_is_refused_in_the_words_of_the_entry() {
    let sets = [("threshold", "200"), ("colour", "red")];
    let mut world = with(vec![overriding("o", &["b"], &[], &sets)]);
    world.pass(BEFORE);
    assert_eq!(
        said(&world, ConditionType::Accepted),
        "False UnsupportedValue"
    );
    let place = "spec.services[backup].overrides[o].parameters";
    assert_eq!(
        message(&world, ConditionType::Accepted),
        format!(
            "{place}.colour: the parameters of SmartService backup-service are threshold, \
             weekdays; {place}.threshold is \"200\": must be a whole number from 1 to 100."
        )
    );
}

// shows B5
#[test]
fn what_any_device_has_signed_is_no_fault_when_the_catalogue_allows_less() {
    let mut world = with(vec![overriding("o", &["a"], &[], &[("threshold", "50")])]);
    world.contract.spec.services[0].parameters = texts(&[("threshold", "40")]);
    world.pass(BEFORE);
    world.backup_service().parameters[1].maximum = Some(30);
    let resolved = world.pass(DURING);
    assert_eq!(
        (resolved.accepted, resolved.changes),
        (Ok(()), Changes::default())
    );
}

// shows B5 K2
#[test]
fn overrides_that_name_one_device_and_disagree_are_a_fault_that_says_what_to_do() {
    let mut world = with(vec![
        overriding("o", &["b", "c"], &[], &[("weekdays", "sun")]),
        overriding("p", &["c", "b", "a"], &[], &[("weekdays", "mon")]),
    ]);
    let resolved = world.pass(BEFORE);
    assert!(resolved.changes.is_empty());
    for condition in [ConditionType::Ready, ConditionType::Accepted] {
        assert_eq!(said(&world, condition), "False OverridesConflict");
        assert_eq!(
            message(&world, condition),
            "spec.services[backup].overrides: o and p both name b, c and set weekdays to different \
             values: name each device in one of them only, or give the parameter one value."
        );
    }
    assert_eq!(
        said(&world, ConditionType::Stalled),
        "True OverridesConflict"
    );
}

// shows B5
#[test]
fn a_device_that_a_label_brings_to_overrides_that_disagree_keeps_its_last_revision() {
    let mut world = with(vec![
        overriding("o", &["b"], &[], &[("weekdays", "sun")]),
        overriding("p", &[], &[("floor", "1")], &[("weekdays", "mon")]),
    ]);
    world.pass(BEFORE);
    let before = shown(&world);
    world.devices[1].labels = texts(&[("floor", "1")]);
    let resolved = world.pass(DURING);
    assert!(resolved.accepted.is_ok() && resolved.changes.is_empty());
    assert_eq!(shown(&world), before);
    assert_eq!(said(&world, ConditionType::Stalled), "absent");
    let expected = "weekdays of service backup on b in o and p";
    world.deliver("bank.backup.a");
    world.deliver("bank.backup.b");
    world.deliver("bank.backup.c");
    world.pass(DURING);
    assert_eq!(
        said(&world, ConditionType::Ready),
        "False OverridesConflict"
    );
    assert!(message(&world, ConditionType::Ready).contains(expected));
    // One that does not exist is not made until the labels agree.
    world
        .subscriptions
        .retain(|it| it.metadata.name.as_deref() != Some("bank.backup.b"));
    assert!(world.pass(DURING).changes.is_empty());
    world.devices[1].labels.clear();
    assert_eq!(names(&world.pass(DURING).changes.create), ["bank.backup.b"]);
    assert_eq!(shown(&world), before);
}
