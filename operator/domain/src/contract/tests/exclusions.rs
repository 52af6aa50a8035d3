//! Tests of the days that are agreed not to be owed.

use entente_crds::v1alpha1::{ExcludedDevices, ExcludedTime, Exclusion, Promise, PromiseState};

use super::*;

/// Some instant on the third day of the term.
const THIRD: &str = "2027-04-03T12:00:00Z";

fn exclusion(name: &str, from: &str, until: &str) -> Exclusion {
    Exclusion {
        name: name.to_owned(),
        from: from.to_owned(),
        until: until.to_owned(),
        devices: None,
        reason: "closed by the customer".to_owned(),
    }
}

fn of_names(mut exclusion: Exclusion, names: &[&str]) -> Exclusion {
    let devices = exclusion.devices.get_or_insert_default();
    devices.names = names.iter().map(|name| (*name).to_owned()).collect();
    exclusion
}

fn of_labels(mut exclusion: Exclusion, labels: &[(&str, &str)]) -> Exclusion {
    exclusion.devices = Some(ExcludedDevices {
        selector: Some(Selector {
            match_labels: texts(labels),
            ..Selector::default()
        }),
        names: Vec::new(),
    });
    exclusion
}

/// Returns a contract over `backup` on these devices, with exclusions from its beginning.
fn excluding(devices: &[&str], exclusions: Vec<Exclusion>) -> ContractWorld {
    let mut world = named(devices);
    world.contract.spec.exclusions = exclusions;
    world
}

fn shown(times: &[ExcludedTime]) -> Vec<String> {
    let times = times.iter();
    times
        .map(|time| format!("{} {}", time.from, time.until))
        .collect()
}

/// Returns the excluded times of the last entry of a subscription.
fn times(world: &mut ContractWorld, name: &str) -> Vec<String> {
    let revisions = &world.existing(name).spec.revisions;
    shown(&revisions[revisions.len() - 1].exclusions)
}

fn april(from: &str, until: &str) -> String {
    format!("2027-04-{from}Z 2027-04-{until}Z")
}

/// Writes the judge's word about the promise of the start.
fn judged(world: &mut ContractWorld, state: PromiseState) {
    let status = world
        .existing("bank.backup.a")
        .status
        .get_or_insert_default();
    status.promises = vec![Promise {
        proof: None,
        effective: at(START),
        state,
        completed: None,
        closed: None,
        delays: Vec::new(),
        emitted: Vec::new(),
    }];
}

// shows D9
#[test]
fn an_exclusion_begins_and_ends_with_days_in_the_zone_of_the_contract() {
    let mut world = excluding(
        &["a"],
        vec![
            exclusion("closed", "2027-04-01", "2027-04-05"),
            exclusion("longer", "2027-04-04", "2027-04-06"),
            exclusion("next", "2027-04-06", "2027-04-07"),
            exclusion("later", "2027-04-21", "2027-04-22"),
        ],
    );
    world.pass(BEFORE);
    assert_eq!(
        times(&mut world, "bank.backup.a"),
        [
            april("01T03:00:00", "07T03:00:00"),
            april("21T03:00:00", "22T03:00:00")
        ]
    );
}

// shows D9
#[test]
fn an_exclusion_is_for_the_devices_that_it_names_or_selects_and_without_them_for_all() {
    let day = |name: &str, day: u8| {
        exclusion(
            name,
            &format!("2027-04-0{day}"),
            &format!("2027-04-0{}", day + 1),
        )
    };
    let mut world = excluding(
        &["a", "b", "c"],
        vec![
            of_names(day("named", 2), &["a", "z"]),
            of_labels(day("selected", 4), &[("site", "osasco")]),
            of_labels(day("nobody", 6), &[]),
            day("all", 8),
        ],
    );
    world.devices = vec![
        device("a", &[("site", "centro")]),
        device("b", &[("site", "osasco")]),
    ];
    world.pass(BEFORE);
    let all = april("08T03:00:00", "09T03:00:00");
    let named = april("02T03:00:00", "03T03:00:00");
    let selected = april("04T03:00:00", "05T03:00:00");
    assert_eq!(times(&mut world, "bank.backup.a"), [named, all.clone()]);
    assert_eq!(times(&mut world, "bank.backup.b"), [selected, all.clone()]);
    assert_eq!(
        times(&mut world, "bank.backup.c"),
        [all],
        "it does not exist"
    );
}

// shows D9
#[test]
fn an_exclusion_that_is_added_later_makes_no_entry_and_takes_nothing_that_is_past() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.edit(|spec| {
        spec.exclusions = vec![
            exclusion("over", "2027-04-01", "2027-04-02"),
            exclusion("running", "2027-04-02", "2027-04-05"),
        ];
    });
    world.pass(THIRD);
    let seen = [april("03T12:00:00", "05T03:00:00")];
    assert_eq!(times(&mut world, "bank.backup.a"), seen);
    let entries = world.existing("bank.backup.a").spec.revisions.len();
    assert_eq!(entries, 1, "it is no change of terms");
    world.pass("2027-04-04T12:00:00Z");
    assert_eq!(times(&mut world, "bank.backup.a"), seen, "it stays as seen");
}

// shows D9
#[test]
fn an_exclusion_that_is_taken_back_keeps_what_is_past_and_gives_back_what_lies_ahead() {
    let closed = || exclusion("closed", "2027-04-01", "2027-04-09");
    let mut world = excluding(&["a"], vec![closed()]);
    world.pass(BEFORE);
    world.edit(|spec| spec.exclusions.clear());
    world.pass(THIRD);
    let kept = april("01T03:00:00", "03T12:00:00");
    assert_eq!(times(&mut world, "bank.backup.a"), [kept.as_str()]);
    world.edit(|spec| spec.exclusions.push(closed()));
    world.pass("2027-04-05T12:00:00Z");
    let again = april("05T12:00:00", "09T03:00:00");
    assert_eq!(times(&mut world, "bank.backup.a"), [kept, again]);
}

// shows D9
#[test]
fn what_has_passed_is_excluded_for_a_contract_that_is_seen_late_only_if_nobody_edited_it() {
    let closed = || vec![exclusion("closed", "2027-04-01", "2027-04-09")];
    let mut world = excluding(&["a"], closed());
    world.pass(THIRD);
    let whole = [april("01T03:00:00", "09T03:00:00")];
    assert_eq!(times(&mut world, "bank.backup.a"), whole);
    let mut world = named(&["a"]);
    world.edit(|spec| spec.exclusions = closed());
    world.pass(THIRD);
    let ahead = [april("03T12:00:00", "09T03:00:00")];
    assert_eq!(times(&mut world, "bank.backup.a"), ahead);
}

// shows D9
#[test]
fn an_entry_that_an_edit_ended_has_what_is_excluded_later_while_its_promise_is_open() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    judged(&mut world, PromiseState::Open);
    world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", "9")]));
    world.pass(THIRD);
    world.edit(|spec| spec.exclusions = vec![exclusion("closed", "2027-04-08", "2027-04-09")]);
    world.pass("2027-04-04T12:00:00Z");
    let day = [april("08T03:00:00", "09T03:00:00")];
    let revisions = world.existing("bank.backup.a").spec.revisions.clone();
    let found: Vec<_> = revisions.iter().map(|it| shown(&it.exclusions)).collect();
    assert_eq!(found, [day.clone(), day]);
}

// shows D8 D9
#[test]
fn where_the_promise_is_decided_and_recorded_an_exclusion_is_written_nowhere() {
    for (state, written) in [
        (PromiseState::Open, true),
        (PromiseState::Kept, false),
        (PromiseState::Closed, false),
        (PromiseState::Missed, false),
    ] {
        let mut world = named(&["a"]);
        world.pass(BEFORE);
        judged(&mut world, state);
        world.edit(|spec| spec.exclusions = vec![exclusion("closed", "2027-04-08", "2027-04-09")]);
        let changes = world.pass(THIRD).changes;
        assert_eq!(!changes.is_empty(), written, "{state:?}");
    }
}

// shows D9
#[test]
fn an_entry_keeps_every_time_that_a_record_may_need_and_drops_those_before_its_start() {
    let times = |first: &str| -> Vec<ExcludedTime> {
        let second = |second: i64| at(first) + jiff::SignedDuration::from_secs(second);
        let time = |number: i64| ExcludedTime {
            from: second(number * 10),
            until: second(number * 10 + 5),
        };
        (0..64).map(time).collect()
    };
    let before_and_after_the_start = ["2027-03-20T00:00:00Z", "2027-04-02T00:00:00Z"];
    for (first, is_held) in before_and_after_the_start.into_iter().zip([false, true]) {
        let mut world = named(&["a"]);
        world.pass(BEFORE);
        let entry = &mut world.existing("bank.backup.a").spec.revisions[0];
        Arc::make_mut(entry).exclusions = times(first);
        world.edit(|spec| spec.exclusions = vec![exclusion("closed", "2027-04-08", "2027-04-09")]);
        let resolved = world.pass(THIRD);
        let expected: &[&str] = if is_held { &["bank.backup.a"] } else { &[] };
        assert_eq!(resolved.changes.held, expected);
        let entry = &world.existing("bank.backup.a").spec.revisions[0];
        assert_eq!(entry.exclusions.len(), 64);
    }
}

// shows K2
#[test]
fn dates_that_cannot_be_used_are_named_with_the_value_found_and_the_values_allowed() {
    let world = excluding(
        &["a"],
        vec![
            exclusion("none", "2027-02-30", "soon"),
            exclusion("turned", "2027-04-05", "2027-04-05"),
        ],
    );
    let faults = resolve(&world, at(BEFORE))
        .accepted
        .err()
        .unwrap_or_default();
    let said: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.reason, fault.message))
        .collect();
    assert_eq!(
        said,
        [
            "UnsupportedValue: spec.exclusions[none].from is \"2027-02-30\": must be a date such \
             as \"2027-12-24\"",
            "UnsupportedValue: spec.exclusions[none].until is \"soon\": must be a date such as \
             \"2027-12-24\"",
            "UnsupportedValue: spec.exclusions[turned].until is \"2027-04-05\": must be after from, \
             which is \"2027-04-05\"; it is the first day that is owed again",
        ]
    );
}
