//! Tests of contracts that a notice ends.

use super::*;

// shows B2
#[test]
fn a_notice_ends_a_contract_and_takes_nothing_back() {
    let (start, late) = ("2027-04-12T17:30:00Z", "2027-08-01T00:00:00Z");
    for (event, created, end) in [
        // Ahead.
        ("2027-12-31T00:00:00Z", late, "2027-12-31T00:00:00Z"),
        // Late.
        ("2027-05-01T00:00:00Z", late, late),
    ] {
        let mut world = awaiting();
        started(&mut world, "installed", start, start);
        world.pass("2027-04-12T17:30:01Z");
        ended(&mut world, "cancelled", event, created);
        world.pass("2027-08-01T00:00:01Z");
        assert_eq!(
            term(&world),
            format!("{start} by installed until {end} by cancelled")
        );
        assert_eq!(accepted(&world, "cancelled"), "True Valid");
        let has_come = at(end) <= at("2027-08-01T00:00:01Z");
        let reason = if has_come {
            "True Succeeded"
        } else {
            "True Scheduled"
        };
        assert_eq!(verdict(&world, "cancelled").1, reason);
        let found = world.existing("bank.backup.a").spec.revisions.clone();
        assert_eq!(found.len(), 1);
        // Nothing that has begun ends before it is seen.
        assert_eq!(
            found[0].until,
            Some(at(end).max(at("2027-08-01T00:00:01Z")))
        );
        world.pass("2028-01-01T00:00:00Z");
        assert_eq!(said(&world, ConditionType::InForce), "False Ended");
    }
}

// shows B2
#[test]
fn a_notice_ends_a_contract_by_date_too_and_starts_none() {
    let mut world = named(&["a"]);
    started(&mut world, "installed", DURING, DURING);
    ended(&mut world, "cancelled", "2027-12-31T12:00:00Z", DURING);
    world.pass("2027-05-02T00:00:00Z");
    assert_eq!(accepted(&world, "installed"), "False NotExpected");
    assert_eq!(
        verdict(&world, "installed").2,
        "spec.type is \"Started\", and Contract bank starts by its date: only one with \
         term.startOn is started by a notice."
    );
    assert_eq!(accepted(&world, "cancelled"), "True Valid");
    assert_eq!(
        term(&world),
        format!("{START} until 2027-12-31T12:00:00Z by cancelled")
    );
}

// shows B2
#[test]
fn an_end_that_lies_ahead_is_withdrawn_with_its_notice_and_one_that_has_passed_is_not() {
    let mut world = named(&["a"]);
    ended(&mut world, "cancelled", "2027-12-31T12:00:00Z", DURING);
    world.pass("2027-05-02T00:00:00Z");
    world.forget("cancelled");
    world.pass("2027-05-03T00:00:00Z");
    assert_eq!(term(&world), format!("{START} until {END}"));
    assert_eq!(
        world.existing("bank.backup.a").spec.revisions[0].until,
        Some(at(END))
    );
    ended(
        &mut world,
        "cancelled",
        "2027-12-31T12:00:00Z",
        "2027-05-04T00:00:00Z",
    );
    world.pass("2027-05-04T00:00:01Z");
    world.pass("2027-12-31T12:00:00Z");
    world.forget("cancelled");
    world.pass("2028-01-01T00:00:00Z");
    assert_eq!(
        term(&world),
        format!("{START} until 2027-12-31T12:00:00Z by cancelled")
    );
    assert_eq!(said(&world, ConditionType::InForce), "False Ended");
}

// shows B2
#[test]
fn of_several_ends_the_earliest_counts() {
    let mut world = named(&["a"]);
    ended(
        &mut world,
        "december",
        "2027-12-31T00:00:00Z",
        "2027-05-01T00:00:00Z",
    );
    ended(
        &mut world,
        "october",
        "2027-10-01T00:00:00Z",
        "2027-06-01T00:00:00Z",
    );
    ended(
        &mut world,
        "october-again",
        "2027-10-01T00:00:00Z",
        "2027-06-02T00:00:00Z",
    );
    world.pass("2027-07-01T00:00:00Z");
    assert_eq!(
        term(&world),
        format!("{START} until 2027-10-01T00:00:00Z by october")
    );
    for name in ["december", "october-again"] {
        assert_eq!(accepted(&world, name), "False PastEnd");
    }
    ended(
        &mut world,
        "after-all",
        "2031-01-01T00:00:00Z",
        "2027-11-01T00:00:00Z",
    );
    world.pass("2027-11-02T00:00:00Z");
    assert_eq!(accepted(&world, "after-all"), "False PastEnd");
    assert_eq!(accepted(&world, "october"), "True Valid");
    assert_eq!(
        verdict(&world, "after-all").2,
        "Contract bank has ended, or ends, before that, by ContractNotice october: status.term of \
         it has the instant."
    );
}

// shows B2
#[test]
fn a_contract_whose_end_comes_before_its_start_never_starts() {
    let mut world = awaiting();
    ended(
        &mut world,
        "cancelled",
        "2027-04-20T00:00:00Z",
        "2027-04-10T00:00:00Z",
    );
    let resolved = world.pass("2027-04-11T00:00:00Z");
    assert_eq!(said(&world, ConditionType::Ready), "True AwaitingNotice");
    assert_eq!(verdict(&world, "cancelled").1, "True Scheduled");
    let end = at("2027-04-20T00:00:00Z");
    assert_eq!(
        next_wake(&resolved, None, at("2027-04-11T00:00:00Z")),
        Some(end)
    );
    for now in [
        "2027-04-20T00:00:00Z",
        "2027-04-20T00:00:00.001Z",
        "2027-05-01T00:00:00Z",
    ] {
        assert_eq!(world.pass(now).changes, Changes::default());
        assert_eq!(said(&world, ConditionType::Ready), "True Ended", "{now}");
        assert_eq!(said(&world, ConditionType::InForce), "False Ended");
        assert_eq!(verdict(&world, "cancelled").1, "True Succeeded");
    }
    started(
        &mut world,
        "installed",
        "2027-05-02T00:00:00Z",
        "2027-05-02T00:00:00Z",
    );
    assert_eq!(
        world.pass("2027-05-02T00:00:01Z").changes,
        Changes::default()
    );
    assert_eq!(accepted(&world, "installed"), "False PastEnd");
    let history = world.contract.status.as_ref().map(|it| it.history.len());
    assert_eq!(history, Some(1));
}

// shows B2
#[test]
fn a_contract_by_date_that_a_notice_ends_before_its_start_is_never_in_force() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    ended(&mut world, "cancelled", BEFORE, BEFORE);
    world.pass("2027-03-02T00:00:00Z");
    assert_eq!(
        message(&world, ConditionType::Ready),
        "A ContractNotice ends the contract before its start: nothing is set up."
    );
    let found = world.existing("bank.backup.a").spec.revisions[0].clone();
    assert_eq!(found.until, Some(at("2027-04-01T03:00:00.001Z")));
}
