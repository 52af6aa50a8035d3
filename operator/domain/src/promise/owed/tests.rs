//! Tests of the records that a deleted subscription and a contract wait for.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    CompensationSpec, CompensationStatus, Fee, FeeCredit, Record, Reissue, ServiceSubscriptionSpec,
    ServiceSubscriptionStatus, Voided,
};
use jiff::SignedDuration;

use super::*;
use crate::compensation::{booking_key, records_for, report};
use crate::condition::{ConditionSet, Status, find};
use crate::promise::promises;

const NAME: &str = "c.backup.lobby";
const CREDIT: &str = "c.backup.lobby.20270401t030000z.credit";

fn start() -> Timestamp {
    "2027-04-01T03:00:00Z"
        .parse()
        .expect("the test's own instant")
}

/// Returns a revision with one remedy of that name, for which something is owed.
fn revision(remedy: &str) -> Revision {
    Revision {
        effective: start(),
        promised: true,
        fee: Some(Fee {
            amount: "12.50".to_owned(),
            ..Fee::default()
        }),
        currency: Some("BRL".to_owned()),
        remedies: vec![Remedy {
            name: remedy.to_owned(),
            credit: Some(FeeCredit::default()),
            ..Remedy::default()
        }],
        ..Revision::default()
    }
}

/// Returns a record of that name for the promise.
fn record(name: &str, calculated: bool, reissue: Option<Reissue>) -> CompensationRecord {
    let mut record = Record {
        promised: start(),
        ..Record::default()
    };
    record.subscription.name = NAME.to_owned();
    record.remedy.name = "credit".to_owned();
    let issue = issue_of(name, CREDIT).unwrap_or(1);
    record.booking_key = booking_key("", &record, issue);
    let voided = reissue.map(|reissue| Voided {
        reason: "wrong fee".to_owned(),
        reissue,
    });
    let mut made = Compensation::new(name, CompensationSpec { record, voided });
    made.status = calculated.then(|| CompensationStatus {
        conditions: ConditionSet::new(&[], None, start())
            .with(
                ConditionType::Calculated,
                Status::True,
                Reason::AmountFinal,
                "",
            )
            .finish(),
        ..CompensationStatus::default()
    });
    CompensationRecord::from(&made)
}

fn missed(emitted: &[&str]) -> Promise {
    Promise {
        effective: start(),
        state: PromiseState::Missed,
        completed: None,
        proof: None,
        closed: Some(start()),
        delays: Vec::new(),
        emitted: emitted.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn subscription(revision: Revision, promise: Promise) -> ServiceSubscription {
    let mut spec = ServiceSubscriptionSpec {
        revisions: vec![revision.into()],
        ..ServiceSubscriptionSpec::default()
    };
    spec.time_zone = "America/Sao_Paulo".to_owned();
    let mut made = ServiceSubscription::new(NAME, spec);
    made.status = Some(ServiceSubscriptionStatus {
        promises: vec![promise],
        ..ServiceSubscriptionStatus::default()
    });
    made
}

fn is_recorded_with(revision: Revision, emitted: &[&str], records: &[CompensationRecord]) -> bool {
    let subscription = subscription(revision, missed(emitted));
    is_recorded(&subscription, promises(&subscription), records)
}

// shows D8
#[test]
fn what_is_owed_is_waited_for_until_it_is_calculated_and_not_where_a_person_removed_it() {
    let waits = |emitted: &[&str], records: &[CompensationRecord]| {
        !is_recorded_with(revision("credit"), emitted, records)
    };
    let second = format!("{CREDIT}.2");
    assert!(waits(&[], &[]), "nothing is made yet");
    assert!(waits(&[CREDIT], &[record(CREDIT, false, None)]));
    assert!(!waits(&[CREDIT], &[record(CREDIT, true, None)]));
    assert!(!waits(&[CREDIT], &[]), "a person deleted it");
    assert!(waits(&[&second], &[]), "the first one was never made");
    let cancelled = record(CREDIT, false, Some(Reissue::None));
    assert!(!waits(&[CREDIT], &[cancelled]));
}

// shows D8
#[test]
fn the_record_that_takes_the_place_of_a_voided_one_is_waited_for() {
    let waits = |emitted: &[&str], records: &[CompensationRecord]| {
        !is_recorded_with(revision("credit"), emitted, records)
    };
    let second = format!("{CREDIT}.2");
    let again = || record(CREDIT, true, Some(Reissue::Same));
    assert!(waits(&[CREDIT], &[again()]), "it is not made yet");
    assert!(waits(&[CREDIT], &[again(), record(&second, false, None)]));
    assert!(!waits(&[CREDIT], &[again(), record(&second, true, None)]));
    let both = [CREDIT, second.as_str()];
    assert!(!waits(&both, &[again()]), "a person deleted the second");
    assert!(
        waits(&both, &[record(&second, false, None)]),
        "and this the first"
    );
}

/// Every caller uses the one rule: a record that one of them expects and another does not make
/// would be waited for without end.
// shows D8
#[test]
fn what_is_made_waited_for_kept_and_calculated_is_the_same_under_all_terms() {
    for given in 0..8_u8 {
        let [credit, fee, currency] = [1, 2, 4].map(|bit| given & bit != 0);
        let mut revision = revision("credit");
        revision.remedies[0].credit = revision.remedies[0].credit.take().filter(|_| credit);
        revision.fee = revision.fee.take().filter(|_| fee);
        revision.currency = revision.currency.take().filter(|_| currency);
        let owes = credit && fee && currency;
        let one = subscription(revision.clone(), missed(&[]));
        let terms = format!("credit: {credit}, fee: {fee}, currency: {currency}");
        let made = records_for(&one, None, "acme");
        assert_eq!(made.len(), usize::from(owes), "made, {terms}");
        let waits = !is_recorded(&one, promises(&one), &[]);
        assert_eq!(waits, owes, "the finalizer waits, {terms}");
        let kept = !is_settled(&one, &one.spec.revisions[0]);
        assert_eq!(kept, owes, "the contract keeps the revision, {terms}");
        let spec = CompensationSpec {
            record: record_under(&revision),
            voided: None,
        };
        let compensation = Compensation::new(CREDIT, spec);
        let promise = promise_of(&one, start());
        let status = report(&compensation, promise, &[], SignedDuration::ZERO, start());
        let stalled = find(&status.conditions, ConditionType::Stalled).is_some();
        assert_eq!(!stalled, owes, "it can be calculated, {terms}");
    }
}

/// Returns a record under the terms of a revision, also if it would not be made.
fn record_under(revision: &Revision) -> Record {
    let mut record = Record {
        promised: revision.effective,
        time_zone: "America/Sao_Paulo".to_owned(),
        remedy: revision.remedies[0].clone(),
        fee: revision.fee.clone(),
        currency: revision.currency.clone(),
        service_level: revision.service_level.clone(),
        ..Record::default()
    };
    record.booking_key = booking_key("", &record, 1);
    record
}

/// The name of one remedy may end with a number like that of another remedy's issue.
#[test]
fn a_record_of_another_remedy_is_not_taken_for_the_one_that_is_owed() {
    let second = format!("{CREDIT}.2");
    assert!(!is_recorded_with(revision("2"), &[&second], &[]));
}

// shows D8
#[test]
fn a_record_is_owed_for_each_remedy_of_a_missed_promise_in_their_order_and_for_no_other() {
    let mut two = revision("credit");
    let mut second = two.remedies[0].clone();
    second.name = "again".to_owned();
    two.remedies.push(second);
    two.remedies.push(Remedy {
        name: "nothing".to_owned(),
        ..Remedy::default()
    });
    let one = subscription(two, missed(&[CREDIT]));
    let names = |promise: &Promise| -> Vec<String> {
        let owed = owed_records(&one, promise);
        owed.map(|it| it.name).collect()
    };
    let again = CREDIT.replace("credit", "again");
    assert_eq!(names(&missed(&[])), [CREDIT, &again], "made or not");
    for state in [PromiseState::Open, PromiseState::Kept, PromiseState::Closed] {
        let promise = Promise {
            state,
            ..missed(&[])
        };
        assert_eq!(names(&promise), [""; 0], "{state:?}");
    }
    let gone = Promise {
        effective: start() + SignedDuration::from_secs(1),
        ..missed(&[])
    };
    assert_eq!(names(&gone), [""; 0], "its revision is not there");
}

// shows D8
#[test]
fn a_revision_is_settled_when_its_promise_is_closed_and_all_it_owes_was_made() {
    let closed = Some(start());
    let cases = [
        (PromiseState::Open, None, vec![], false),
        (PromiseState::Kept, closed, vec![], true),
        (PromiseState::Closed, closed, vec![], true),
        (PromiseState::Missed, None, vec![], false),
        (PromiseState::Missed, None, vec![CREDIT], false),
        (PromiseState::Missed, closed, vec![], false),
        (PromiseState::Missed, closed, vec!["another"], false),
        (PromiseState::Missed, closed, vec![CREDIT], true),
    ];
    for (state, closed, emitted, settled) in cases {
        let promise = Promise {
            state,
            closed,
            ..missed(&emitted)
        };
        let what = format!("{promise:?}");
        let one = subscription(revision("credit"), promise);
        assert_eq!(is_settled(&one, &one.spec.revisions[0]), settled, "{what}");
    }
}

// shows D8
#[test]
fn what_promised_nothing_is_settled_and_what_was_not_judged_yet_is_not() {
    let mut unpromised = revision("credit");
    unpromised.promised = false;
    let one = subscription(unpromised, missed(&[]));
    assert!(is_settled(&one, &one.spec.revisions[0]));
    let mut unjudged = subscription(revision("credit"), missed(&[]));
    unjudged.status = None;
    assert!(!is_settled(&unjudged, &unjudged.spec.revisions[0]));
    assert!(is_recorded(&unjudged, promises(&unjudged), &[]));
}

// shows D8
#[test]
fn records_of_other_subscriptions_and_of_other_promises_are_not_waited_for() {
    let one = subscription(revision("credit"), missed(&[CREDIT]));
    let waits = |record: CompensationRecord| !is_recorded(&one, promises(&one), &[record]);
    assert!(waits(record("more", false, None)), "it is of this promise");
    let other = CompensationRecord {
        subscription: "another".to_owned(),
        ..record("more", false, None)
    };
    assert!(!waits(other));
    let earlier = CompensationRecord {
        promised: start() - SignedDuration::from_hours(1),
        ..record("more", false, None)
    };
    assert!(!waits(earlier));
}

// shows D8
#[test]
fn a_record_is_read_by_its_promise_its_state_and_the_one_that_follows_it() {
    let read = record(CREDIT, true, Some(Reissue::Same));
    let expected = CompensationRecord {
        name: CREDIT.to_owned(),
        subscription: NAME.to_owned(),
        promised: start(),
        remedy: "credit".to_owned(),
        booking_key: read.booking_key.clone(),
        calculated: true,
        voided: true,
        successor: Some(format!("{CREDIT}.2")),
    };
    assert_eq!(read, expected);
    let fresh = record(CREDIT, false, None);
    assert_eq!((fresh.calculated, fresh.voided), (false, false));
    assert_eq!(fresh.successor, None);
}

// shows D8 K2
#[test]
fn a_record_of_another_debt_that_has_the_name_is_not_taken_for_the_one_that_is_owed() {
    let one = subscription(revision("credit"), missed(&[]));
    let ours = record(CREDIT, true, None);
    let another = CompensationRecord {
        booking_key: "of another customer".to_owned(),
        ..record(CREDIT, true, None)
    };
    // What a person made may say nothing that is right but its name.
    let invented = CompensationRecord {
        subscription: "another".to_owned(),
        promised: start() - SignedDuration::from_hours(1),
        ..another.clone()
    };
    let found = |records: &[CompensationRecord]| taken_name(&one, promises(&one), records);
    assert_eq!(found(&[]), None);
    assert_eq!(found(std::slice::from_ref(&ours)), None);
    for record in [another, invented] {
        let taken = TakenName {
            name: CREDIT.to_owned(),
            owed: ours.booking_key.clone(),
            found: "of another customer".to_owned(),
        };
        let records = [record];
        assert_eq!(found(&records), Some(taken));
        assert!(
            !is_recorded(&one, promises(&one), &records),
            "it is waited for"
        );
    }
    let kept = Promise {
        state: PromiseState::Kept,
        ..missed(&[])
    };
    let records = [CompensationRecord {
        booking_key: "of another customer".to_owned(),
        ..ours
    }];
    assert_eq!(taken_name(&one, &[kept], &records), None, "nothing is owed");
}
