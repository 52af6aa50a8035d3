//! Tests of what a reader of a contract sees of its amendments.

use super::*;

// shows B2 K2
#[test]
fn the_contract_says_how_many_subscriptions_each_amendment_changes() {
    let mut world = amended_twice();
    world.amend("new-year", CREATED, "2028-01-01", vec![adding(&["c", "d"])]);
    world.pass(BEFORE);
    let status = world.contract.status.clone().expect("a status");
    let upcoming: Vec<String> = status
        .upcoming
        .iter()
        .map(|it| {
            format!(
                "{} {} +{} -{} ~{}",
                it.amendment,
                day(it.effective),
                it.adds,
                it.removes,
                it.changes
            )
        })
        .collect();
    assert_eq!(
        upcoming,
        [
            "july 2027-07-01 +0 -0 ~2",
            "october 2027-10-01 +0 -1 ~0",
            "new-year 2028-01-01 +2 -0 ~0"
        ]
    );
    assert_eq!(status.subscriptions.map(|counts| counts.total), Some(2));
}

// shows B2 K2
#[test]
fn the_contract_says_when_the_next_change_comes_and_tells_its_history() {
    let mut world = amended_twice();
    world.amend("new-year", CREATED, "2028-01-01", vec![adding(&["c", "d"])]);
    let mut next = vec![];
    for now in [
        BEFORE,
        "2027-04-01T03:00:00Z",
        "2027-07-01T03:00:00Z",
        "2027-10-01T03:00:00Z",
        "2028-01-01T03:00:00Z",
    ] {
        world.pass(now);
        let status = world.contract.status.as_ref().expect("a status");
        let to = status.next_transition_to.expect("a next one");
        let at = day(status.next_transition.expect("its instant"));
        let shown = status.next.as_ref().expect("in words");
        next.push(format!("{at} {to:?}: {shown}"));
    }
    assert_eq!(
        next,
        [
            "2027-04-01 InForce: InForce 2027-04-01",
            "2027-07-01 Amended: Amended 2027-07-01",
            "2027-10-01 Amended: Amended 2027-10-01",
            "2028-01-01 Amended: Amended 2028-01-01",
            "2030-04-01 Ended: Ended 2030-03-31"
        ]
    );
    assert_eq!(
        history(&world),
        [
            "2028-01-01 Amended new-year",
            "2027-10-01 Amended october",
            "2027-07-01 Amended july",
            "2027-04-01 InForce -"
        ]
    );
}

// shows B2 K2
#[test]
fn an_amendment_that_was_in_force_stays_accepted_when_its_contract_has_ended() {
    let mut world = amended_twice();
    for now in [BEFORE, "2027-11-01T00:00:00Z", END, "2030-05-01T00:00:00Z"] {
        world.pass(now);
        for name in ["july", "october"] {
            assert_eq!(verdict(&world, name).0, "True Valid", "{now} {name}");
        }
    }
}

fn history(world: &ContractWorld) -> Vec<String> {
    let status = world.contract.status.clone().expect("a status");
    let told = status.history.iter().map(|it| {
        let amendment = it.amendment.as_deref().unwrap_or("-");
        format!("{} {:?} {amendment}", day(it.at), it.to)
    });
    told.collect()
}

// shows B2 K2
#[test]
fn an_amendment_that_is_seen_late_has_its_place_in_the_history() {
    let mut world = amended_twice();
    let july = world.amendments.remove(0);
    world.pass(BEFORE);
    world.pass("2027-10-01T03:00:00Z");
    world.amendments.push(july);
    for _ in 0..2 {
        world.pass("2027-10-02T00:00:00Z");
        assert_eq!(
            history(&world),
            [
                "2027-10-01 Amended october",
                "2027-07-01 Amended july",
                "2027-04-01 InForce -"
            ]
        );
    }
    for day in 1..5 {
        let date = format!("2028-01-0{day}");
        world.amend(&date, CREATED, &date, vec![threshold("7")]);
    }
    world.pass("2028-02-01T00:00:00Z");
    let told = history(&world);
    assert_eq!(told.len(), 5);
    world.pass("2028-02-01T00:00:00Z");
    assert_eq!(history(&world), told);
}

// shows B2 K2
#[test]
fn a_device_that_is_out_between_two_times_of_service_does_not_count() {
    let mut world = named(&["a", "b"]);
    world.amend("july", CREATED, "2027-07-01", vec![threshold("10")]);
    world.pass("2027-03-15T00:00:00Z");
    world.pass("2027-07-02T00:00:00Z");
    world.amend("december", DURING, "2027-12-01", vec![adding(&["b"])]);
    world.edit(|spec| spec.services[0].devices.names = strings(&["a"]));
    world.pass("2027-08-01T00:00:00Z");
    for (now, total) in [("2027-08-02T00:00:00Z", 1), ("2027-12-01T03:00:00Z", 2)] {
        world.pass(now);
        let counts = world
            .contract
            .status
            .as_ref()
            .and_then(|it| it.subscriptions.clone());
        assert_eq!(counts.map(|it| it.total), Some(total), "{now}");
    }
}

/// Returns the message of the condition Ready of an amendment.
fn told(world: &ContractWorld, name: &str) -> String {
    let mut amendments = world.amendments.iter();
    let found = amendments.find(|it| it.metadata.name.as_deref() == Some(name));
    let status = found.and_then(|it| it.status.as_ref()).expect(name);
    let ready = find(&status.conditions, ConditionType::Ready);
    ready.expect("Ready").message.to_string()
}

// shows B2 K2
#[test]
fn an_amendment_says_which_of_its_devices_do_not_exist() {
    let mut world = named(&["a", "b"]);
    world.devices = vec![device("a", &[]), device("b", &[])];
    let names = ["b", "c", "x1", "x2", "x3", "x4", "x5", "x6"];
    world.amend("many", CREATED, "2027-07-01", vec![adding(&names)]);
    world.amend("one", CREATED, "2027-08-01", vec![adding(&["a", "x7"])]);
    world.amend("none", CREATED, "2027-09-01", vec![threshold("7")]);
    world.pass(BEFORE);
    let lies_ahead = "The amendment is accepted; its instant lies ahead.";
    assert_eq!(
        told(&world, "many"),
        format!("{lies_ahead} 7 devices that it names do not exist: c, x1, x2, x3, x4 and 2 more.")
    );
    assert_eq!(
        told(&world, "one"),
        format!("{lies_ahead} A device that it names does not exist: x7.")
    );
    assert_eq!(told(&world, "none"), lies_ahead);
    world.amend("removes", CREATED, "2027-06-01", vec![removing(&["x8"])]);
    world.pass(BEFORE);
    assert!(told(&world, "removes").ends_with("does not exist: x8."));
    world.pass("2027-07-01T03:00:00Z");
    assert_eq!(
        told(&world, "many"),
        "The amendment is in force. 7 devices that it names do not exist: c, x1, x2, x3, x4 and 2 more."
    );
    assert_eq!(told(&world, "removes"), "The amendment is in force.");
}

// shows B2 K2
#[test]
fn an_amendment_that_was_made_after_its_own_instant_says_that_it_promises_nothing() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.pass("2027-07-02T00:00:00Z");
    world.amend("in-time", CREATED, "2027-07-01", vec![threshold("7")]);
    let late = "2027-07-02T00:00:00Z";
    world.amend("late", late, "2027-06-01", vec![threshold("9")]);
    world.pass(late);
    assert_eq!(told(&world, "in-time"), "The amendment is in force.");
    assert_eq!(
        told(&world, "late"),
        "The amendment is in force. It was made after its own instant, so it promises nothing."
    );
    // It was not in force before it was made.
    assert_eq!(
        history(&world)[..2],
        [
            "2027-07-02T00:00:00Z Amended late",
            "2027-07-01 Amended in-time"
        ]
    );
}

// shows B2 K2
#[test]
fn an_amendment_that_changes_no_subscription_says_so() {
    let mut world = named(&["a"]);
    world.devices = vec![device("a", &[]), device("b", &[])];
    world.amend("same", CREATED, "2027-07-01", vec![removing(&["b"])]);
    world.amend("other", CREATED, "2027-08-01", vec![threshold("7")]);
    world.pass(BEFORE);
    let lies_ahead = "The amendment is accepted; its instant lies ahead.";
    let nothing = format!("{lies_ahead} No subscription changes then.");
    assert_eq!(told(&world, "same"), nothing);
    assert_eq!(told(&world, "other"), lies_ahead);
}

// shows B2 K2
#[test]
fn what_was_written_for_amendments_comes_and_is_told_while_an_edit_is_refused() {
    let mut world = amended_twice();
    world.amend("new-year", CREATED, "2028-01-01", vec![adding(&["c"])]);
    world.pass(BEFORE);
    for name in ["bank.backup.a", "bank.backup.b"] {
        world.deliver(name);
    }
    world.pass("2027-05-01T00:00:00Z");
    let status = |world: &ContractWorld| world.contract.status.clone().expect("a status");
    let before = status(&world);
    world.edit(|spec| spec.term.time_zone = "Moon/Crater".to_owned());
    world.pass("2027-05-02T00:00:00Z");
    let refused = status(&world);
    assert_eq!(refused.upcoming, before.upcoming);
    let pending = told(&world, "july");
    assert!(
        pending.contains("comes at its instant all the same"),
        "{pending}"
    );
    assert_eq!(
        refused.next,
        Some("Amended 2027-07-01T03:00:00Z".into()),
        "of no zone"
    );
    let counts = |status: &ContractStatus| status.subscriptions.clone().expect("counts").summary;
    assert_eq!(
        counts(&refused),
        "2/2",
        "the one that comes later does not count"
    );
    world.pass("2027-07-01T03:00:00Z");
    let july = status(&world);
    let names: Vec<_> = july
        .upcoming
        .iter()
        .map(|it| it.amendment.to_string())
        .collect();
    assert_eq!(names, ["october", "new-year"]);
    assert_eq!(history(&world)[0], "2027-07-01 Amended july");
}

// shows K2
#[test]
fn a_device_that_an_amendment_brings_later_puts_no_start_at_risk() {
    let mut world = named(&["a"]);
    world.amend("july", CREATED, "2027-07-01", vec![adding(&["ghost"])]);
    world.pass(BEFORE);
    world.say(
        "bank.backup.ghost",
        (false, Reason::DeviceNotFound),
        (false, Reason::NotStarted),
    );
    world.pass("2027-03-31T23:00:00Z");
    assert_eq!(said(&world, ConditionType::StartAtRisk), "absent");
}

// shows B2 K2
#[test]
fn an_amendment_says_that_its_entry_would_not_have_the_expected_number_of_devices() {
    let mut world = named(&["a", "b"]);
    world.contract.spec.services[0].devices.expect = Some(2);
    world.devices = vec![device("a", &[]), device("b", &[])];
    let expecting = |expect| {
        let mut change = removing(&["b"]);
        if let Some(devices) = &mut change.devices {
            devices.expect = expect;
        }
        change
    };
    world.amend("forgets", CREATED, "2027-07-01", vec![expecting(None)]);
    world.amend("expects", CREATED, "2027-08-01", vec![expecting(Some(1))]);
    world.pass(BEFORE);
    assert_eq!(
        told(&world, "forgets"),
        "The amendment is accepted; its instant lies ahead. Entry backup expects 2 devices and has \
         1 then."
    );
    assert!(!told(&world, "expects").contains("expects"));
}
