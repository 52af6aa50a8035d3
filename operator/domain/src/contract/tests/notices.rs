//! Tests of contracts that a notice starts or ends.

mod ended;
mod odd;

use entente_crds::bounded::Text;
use entente_crds::v1alpha1::TransitionTo;

use super::*;

/// The instant at which the customer's devices were installed.
const INSTALLED: &str = "2027-04-12T17:30:00Z";

/// Returns a contract of a and b that starts by a notice, expected by the end of June, for a year.
fn awaiting() -> ContractWorld {
    let mut world = named(&["a", "b"]);
    world.contract.spec.term = Term {
        start_on: Some(StartOn::Notice),
        start_by: Some("2027-06-30".to_owned()),
        duration: Some("P1Y".to_owned()),
        time_zone: "America/Sao_Paulo".to_owned(),
        ..Term::default()
    };
    world
}

/// Returns the first and last instant of the contract, and the notices that said them.
fn term(world: &ContractWorld) -> String {
    let status = world.contract.status.as_ref();
    let Some(term) = status.and_then(|status| status.term.as_ref()) else {
        return "none".to_owned();
    };
    let end = term
        .end
        .map_or_else(|| "ever".to_owned(), |end| end.to_string());
    let by = |by: Option<&str>| by.map(|by| format!(" by {by}")).unwrap_or_default();
    format!(
        "{}{} until {end}{}",
        term.start,
        by(term.started_by.as_deref()),
        by(term.ended_by.as_deref())
    )
}

/// Returns Accepted and Ready of a notice.
fn verdict(world: &ContractWorld, name: &str) -> (String, String, String) {
    let mut notices = world.notices.iter();
    let found = notices
        .find(|it| it.metadata.name.as_deref() == Some(name))
        .expect(name);
    let conditions = &found.status.as_ref().expect("a status").conditions;
    let said = |condition| {
        let said = find(conditions, condition).expect("it is always there");
        format!("{} {}", said.status, said.reason)
    };
    let accepted = find(conditions, ConditionType::Accepted).expect("Accepted");
    (
        said(ConditionType::Accepted),
        said(ConditionType::Ready),
        accepted.message.to_string(),
    )
}

fn accepted(world: &ContractWorld, name: &str) -> String {
    verdict(world, name).0
}

fn started(world: &mut ContractWorld, name: &str, event: &str, created: &str) {
    world.notify(name, NoticeType::Started, event, created);
}

fn ended(world: &mut ContractWorld, name: &str, event: &str, created: &str) {
    world.notify(name, NoticeType::Ended, event, created);
}

// shows B2
#[test]
fn before_its_notice_a_contract_is_ready_and_has_no_subscriptions() {
    let mut world = awaiting();
    let resolved = world.pass(DURING);
    assert_eq!(resolved.changes, Changes::default());
    assert!(resolved.desired.is_empty());
    assert_eq!(said(&world, ConditionType::Ready), "True AwaitingNotice");
    assert_eq!(said(&world, ConditionType::Accepted), "True Valid");
    assert_eq!(said(&world, ConditionType::InForce), "False AwaitingNotice");
    assert_eq!(
        said(&world, ConditionType::Delivered),
        "False AwaitingNotice"
    );
    assert_eq!(
        message(&world, ConditionType::Ready),
        "The start is not reported yet; waits for a ContractNotice, expected by 2027-06-30."
    );
    assert_eq!(term(&world), "none");
    let end_of_june = at("2027-07-01T03:00:00Z");
    assert_eq!(next_wake(&resolved, None, at(DURING)), Some(end_of_june));
    let status = world.contract.status.as_ref().expect("a status");
    assert_eq!(status.next_transition, Some(end_of_june));
    assert_eq!(status.next_transition_to, Some(TransitionTo::StartExpected));
    assert_eq!(status.next.as_deref(), Some("StartExpected 2027-06-30"));
    assert_eq!(status.history, []);
}

/// Returns start and end as a table shows them.
fn columns(world: &ContractWorld) -> (String, String) {
    let status = world.contract.status.clone().expect("a status");
    let text = |text: Option<Text<64>>| text.map_or_else(|| "-".to_owned(), |it| it.to_string());
    (text(status.starts), text(status.ends))
}

// shows B2 K2
#[test]
fn start_and_end_are_shown_as_the_spec_says_them_until_they_are_known() {
    const JULY: &str = "2027-07-01T03:00:00Z";
    let shown = |start: &str, end: &str| (start.to_owned(), end.to_owned());
    let mut world = awaiting();
    world.pass(DURING);
    assert_eq!(columns(&world), shown("Notice", "P1Y"));
    started(&mut world, "installed", INSTALLED, INSTALLED);
    world.pass(INSTALLED);
    let instants = shown("2027-04-12T14:30", "2028-04-12T14:30");
    assert_eq!(columns(&world), instants);
    ended(&mut world, "over", JULY, JULY);
    world.pass(JULY);
    let instants = shown("2027-04-12T14:30", "2027-06-30");
    assert_eq!(columns(&world), instants);

    let mut world = named(&["a"]);
    world.contract.spec.term.end_date = None;
    world.pass(BEFORE);
    assert_eq!(columns(&world), shown("2027-04-01", "-"));
    world.edit(|spec| spec.term.end_date = Some("2027-02-30".to_owned()));
    world.pass(BEFORE);
    assert_eq!(columns(&world), shown("2027-04-01", "-"), "what holds");
    // Refused for another fault than its dates.
    let mut world = named(&["a"]);
    let parameters = &mut world.contract.spec.services[0].parameters;
    parameters.insert("unknown".to_owned(), "1".to_owned());
    world.contract.spec.term.start_date = None;
    world.contract.spec.term.start_time = Some("2027-04-01T03:00:00Z".to_owned());
    world.pass(BEFORE);
    assert_eq!(columns(&world), shown("2027-04-01", "2030-03-31"));
    world.pass("2027-05-01T00:00:00Z");
    assert_eq!(said(&world, ConditionType::InForce), "Unknown Pending");
    let status = world.contract.status.as_ref().expect("a status");
    assert_eq!((&status.next, status.history.len()), (&None, 0));

    let mut world = named(&["a"]);
    world.contract.spec.term.start_date = Some("2027-02-30".to_owned());
    world.pass(BEFORE);
    assert_eq!(columns(&world), shown("2027-02-30", "2030-03-31"));
}

// shows B2
#[test]
fn a_notice_starts_the_contract_and_its_promise_is_kept_for_ever() {
    let mut world = awaiting();
    world.pass(DURING);
    started(
        &mut world,
        "installed",
        "2027-06-01T10:00:00Z",
        "2027-06-01T10:00:02Z",
    );
    world.pass("2027-06-01T10:00:03Z");
    let whole = "2027-06-01T10:00:00Z by installed until 2028-06-01T10:00:00Z";
    assert_eq!(term(&world), whole);
    assert_eq!(accepted(&world, "installed"), "True Valid");
    assert_eq!(verdict(&world, "installed").1, "True Succeeded");
    assert_eq!(said(&world, ConditionType::InForce), "True InTerm");
    for device in ["a", "b"] {
        let found = world.existing(&format!("bank.backup.{device}"));
        let first = &found.spec.revisions[0];
        assert_eq!(first.effective, at("2027-06-01T10:00:00Z"));
        assert_eq!(first.until, Some(at("2028-06-01T10:00:00Z")));
        assert!(first.promised);
    }
    world.forget("installed");
    assert_eq!(
        world.pass("2027-06-02T00:00:00Z").changes,
        Changes::default()
    );
    started(
        &mut world,
        "again",
        "2027-06-03T00:00:00Z",
        "2027-06-03T00:00:00Z",
    );
    assert_eq!(
        world.pass("2027-06-03T00:00:01Z").changes,
        Changes::default()
    );
    assert_eq!(term(&world), whole);
    assert_eq!(accepted(&world, "again"), "False AlreadyStarted");
    assert_eq!(
        verdict(&world, "again").2,
        "Contract bank was started before by ContractNotice installed: the first report counts."
    );
}

// shows B2
#[test]
fn a_start_counts_from_its_event_within_five_minutes_and_else_from_its_notice() {
    for (created, start) in [
        ("2027-04-12T17:25:00Z", INSTALLED),
        ("2027-04-12T17:24:59Z", "2027-04-12T17:24:59Z"),
        ("2027-04-12T17:30:00Z", INSTALLED),
        ("2027-04-12T17:35:00Z", INSTALLED),
        ("2027-04-12T17:35:01Z", "2027-04-12T17:35:01Z"),
        ("2027-04-15T00:00:00Z", "2027-04-15T00:00:00Z"),
        ("2027-04-01T00:00:00Z", "2027-04-01T00:00:00Z"),
    ] {
        let mut world = awaiting();
        started(&mut world, "installed", INSTALLED, created);
        let now = at(created) + jiff::SignedDuration::from_secs(1);
        world.pass(&now.to_string());
        let found = world.existing("bank.backup.a").spec.revisions[0].clone();
        assert_eq!(found.effective, at(start), "{created}");
        assert!(found.promised, "{created}");
    }
}

// shows B2
#[test]
fn of_several_notices_the_one_that_was_made_first_starts_the_contract() {
    let all = [
        ("c", "2027-04-12T10:00:00Z"),
        ("b", "2027-04-12T09:00:00Z"),
        ("a", "2027-04-12T09:00:00Z"),
    ];
    for turn in 0..3 {
        let mut world = awaiting();
        let mut made = all;
        made.rotate_left(turn);
        for (name, created) in made {
            started(&mut world, name, created, created);
        }
        world.pass("2027-04-12T12:00:00Z");
        assert!(
            term(&world).starts_with("2027-04-12T09:00:00Z by a "),
            "{}",
            term(&world)
        );
        for name in ["b", "c"] {
            assert_eq!(accepted(&world, name), "False AlreadyStarted");
        }
    }
}

// shows B2
#[test]
fn a_contract_that_no_notice_starts_in_time_has_never_started_until_one_comes() {
    let mut world = awaiting();
    world.pass("2027-07-01T02:59:59Z");
    assert_eq!(said(&world, ConditionType::Ready), "True AwaitingNotice");
    let resolved = world.pass("2027-07-01T03:00:00Z");
    assert_eq!(said(&world, ConditionType::Ready), "False NeverStarted");
    assert_eq!(said(&world, ConditionType::Stalled), "True NeverStarted");
    assert_eq!(said(&world, ConditionType::InForce), "False NeverStarted");
    assert_eq!(next_wake(&resolved, None, at("2027-07-01T03:00:00Z")), None);
    started(
        &mut world,
        "late",
        "2027-07-02T00:00:00Z",
        "2027-07-02T00:00:00Z",
    );
    world.pass("2027-07-02T00:00:01Z");
    assert_eq!(said(&world, ConditionType::InForce), "True InTerm");
    assert_eq!(said(&world, ConditionType::Stalled), "absent");
}

// shows B2
#[test]
fn events_that_come_out_of_order_lead_to_the_same_contract() {
    let (start, end) = ("2027-04-12T17:30:00Z", "2027-04-12T17:40:00Z");
    let mut world = awaiting();
    // The end is noticed before the start, and both before a pass.
    ended(&mut world, "cancelled", end, end);
    started(&mut world, "installed", start, "2027-04-12T17:41:00Z");
    world.pass("2027-04-12T17:42:00Z");
    assert_eq!(accepted(&world, "installed"), "False PastEnd");
    assert_eq!(said(&world, ConditionType::Ready), "True Ended");
    // The start is known already when the end comes that lies before it.
    let mut world = awaiting();
    started(&mut world, "installed", start, "2027-04-12T17:41:00Z");
    world.pass("2027-04-12T17:41:00Z");
    ended(&mut world, "cancelled", end, "2027-04-12T17:41:00Z");
    world.pass("2027-04-12T17:41:01Z");
    assert_eq!(said(&world, ConditionType::InForce), "False Ended");
    assert_eq!(
        term(&world),
        "2027-04-12T17:41:00Z by installed until 2027-04-12T17:41:00.001Z by cancelled"
    );
}

// shows B2
#[test]
fn a_notice_may_be_made_before_its_contract_and_promises_nothing_before_that() {
    let mut world = awaiting();
    started(
        &mut world,
        "installed",
        "2027-01-12T00:00:00Z",
        "2027-01-12T00:00:00Z",
    );
    world.pass("2027-02-01T00:00:01Z");
    assert!(term(&world).starts_with(&format!("{CREATED} by installed")));
    let first = world.existing("bank.backup.a").spec.revisions[0].clone();
    assert!(first.promised);
    assert_eq!(first.effective, at(CREATED));
}

// shows B2
#[test]
fn a_contract_that_waits_for_a_notice_in_place_of_its_date_withdraws_what_was_planned() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.edit(|spec| {
        spec.term.start_date = None;
        spec.term.start_on = Some(StartOn::Notice);
    });
    assert_eq!(
        deleted(&world.pass("2027-03-02T00:00:00Z")),
        ["bank.backup.a"]
    );
    assert_eq!(said(&world, ConditionType::Ready), "False Withdrawing");
    world.collect();
    world.pass("2027-03-03T00:00:00Z");
    assert_eq!(said(&world, ConditionType::Ready), "True AwaitingNotice");
    world.pass("2027-05-01T00:00:00Z");
    assert_eq!(said(&world, ConditionType::InForce), "False AwaitingNotice");
}

// shows B2
#[test]
fn a_start_that_has_come_stays_whatever_the_term_says_then() {
    let mut world = awaiting();
    started(&mut world, "installed", INSTALLED, INSTALLED);
    world.pass("2027-04-12T17:30:01Z");
    world.edit(|spec| spec.term.duration = Some("P2Y".to_owned()));
    world.pass("2027-05-01T00:00:00Z");
    assert_eq!(
        term(&world),
        format!("{INSTALLED} by installed until 2029-04-12T17:30:00Z")
    );
    // Written out, as after a restore.
    world.edit(|spec| {
        spec.term = Term {
            start_time: Some(INSTALLED.to_owned()),
            end_date: Some("2029-04-11".to_owned()),
            time_zone: "America/Sao_Paulo".to_owned(),
            ..Term::default()
        };
    });
    world.pass("2027-05-02T00:00:00Z");
    assert_eq!(said(&world, ConditionType::Accepted), "True Valid");
    assert_eq!(accepted(&world, "installed"), "True Valid");
    world.edit(|spec| spec.term.start_time = Some("2027-04-13T00:00:00Z".to_owned()));
    world.pass("2027-05-03T00:00:00Z");
    assert_eq!(
        said(&world, ConditionType::Accepted),
        "False PastDateChanged"
    );
    assert_eq!(accepted(&world, "installed"), "True Valid");
}

// shows B2
#[test]
fn notices_wait_while_their_contract_is_not_accepted_or_not_there() {
    let mut world = awaiting();
    world.edit(|spec| spec.services[0].parameters = texts(&[("colour", "red")]));
    started(&mut world, "installed", INSTALLED, INSTALLED);
    world.pass("2027-04-12T17:30:01Z");
    assert_eq!(accepted(&world, "installed"), "Unknown Pending");
    assert_eq!(term(&world), "none");
    world.edit(|spec| spec.services[0].parameters.clear());
    world.pass("2027-04-13T00:00:00Z");
    assert!(term(&world).starts_with(INSTALLED));
    let notice = &world.notices[0];
    let status = notice_status(notice, &notice_of_no_contract(notice), at(DURING));
    let accepted = find(&status.conditions, ConditionType::Accepted).expect("Accepted");
    assert_eq!(
        (&*accepted.status, &*accepted.reason),
        ("False", "ContractNotFound")
    );
    let stalled = find(&status.conditions, ConditionType::Stalled);
    assert_eq!(stalled, None, "it goes on when the contract is there");
}

// shows K2
#[test]
fn an_instant_that_cannot_be_read_is_a_fault_of_the_notice() {
    let mut world = awaiting();
    started(&mut world, "leap", "2027-06-31T00:00:00Z", INSTALLED);
    world.pass("2027-04-13T00:00:00Z");
    assert_eq!(accepted(&world, "leap"), "False UnsupportedValue");
    assert_eq!(said(&world, ConditionType::Ready), "True AwaitingNotice");
}

// shows B2 K2
#[test]
fn an_amendment_of_a_contract_that_has_not_started_waits_for_the_start() {
    let mut world = awaiting();
    let change = AmendedService {
        name: "backup".to_owned(),
        parameters: texts(&[("threshold", "10")]),
        ..AmendedService::default()
    };
    world.amend("july", BEFORE, "2027-07-01", vec![change]);
    world.pass(DURING);
    let conditions = |world: &ContractWorld| {
        world.amendments[0]
            .status
            .clone()
            .expect("a status")
            .conditions
    };
    let waits = conditions(&world);
    let accepted = find(&waits, ConditionType::Accepted).expect("Accepted");
    assert_eq!(
        (&*accepted.status, &*accepted.reason),
        ("Unknown", "Pending")
    );
    started(
        &mut world,
        "installed",
        "2027-06-01T10:00:00Z",
        "2027-06-01T10:00:00Z",
    );
    world.pass("2027-06-01T10:00:01Z");
    let done = conditions(&world);
    let accepted = find(&done, ConditionType::Accepted).expect("Accepted");
    assert_eq!((&*accepted.status, &*accepted.reason), ("True", "Valid"));
    assert_eq!(world.existing("bank.backup.a").spec.revisions.len(), 2);
}

// shows B2 K5
#[test]
fn a_contract_that_lost_its_status_has_started_when_its_subscriptions_say() {
    let mut world = awaiting();
    started(&mut world, "installed", INSTALLED, INSTALLED);
    world.pass("2027-04-12T17:30:01Z");
    world.pass(DURING);
    let before = term(&world);
    world.contract.status = None;
    assert_eq!(
        world.pass("2027-06-01T00:00:00Z").changes,
        Changes::default()
    );
    assert_eq!(term(&world), before);
    // Also if the notice was made anew with it, or is not there.
    for notice in [true, false] {
        world.contract.status = None;
        world.notices.clear();
        if notice {
            started(&mut world, "installed", INSTALLED, "2027-06-02T00:00:00Z");
        }
        assert_eq!(
            world.pass("2027-06-02T00:00:00Z").changes,
            Changes::default()
        );
        assert!(term(&world).starts_with(INSTALLED));
        assert_eq!(said(&world, ConditionType::InForce), "True InTerm");
        if notice {
            assert_eq!(accepted(&world, "installed"), "True Valid");
        }
    }
}
