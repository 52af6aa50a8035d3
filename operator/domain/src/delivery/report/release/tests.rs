//! What a subscription that goes waits for: the records of what is owed.

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        Compensation, CompensationSpec, CompensationStatus, Fee, FeeCredit, Record, Reissue,
        Remedy, Revision, ServiceSubscriptionSpec, Voided,
    },
};

use super::*;
use crate::condition::{ConditionSet, Status};

const NAME: &str = "c.backup.lobby";
const CREDIT: &str = "c.backup.lobby.20270401t030000z.credit";

fn start() -> Timestamp {
    "2027-04-01T03:00:00Z"
        .parse()
        .expect("the test's own instant")
}

/// A revision with one remedy of that name, which owes something.
fn revision(remedy: &str) -> Revision {
    Revision {
        effective: start(),
        promised: true,
        fee: Some(Fee::default()),
        currency: Some("BRL".to_owned()),
        remedies: vec![Remedy {
            name: remedy.to_owned(),
            credit: Some(FeeCredit::default()),
            ..Remedy::default()
        }],
        ..Revision::default()
    }
}

/// A record of that name for the promise.
fn record(name: &str, calculated: bool, reissue: Option<Reissue>) -> CompensationRecord {
    let mut record = Record {
        promised: start(),
        ..Record::default()
    };
    record.subscription.name = NAME.to_owned();
    record.remedy.name = "credit".to_owned();
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

fn is_recorded_with(revision: Revision, emitted: &[&str], records: &[CompensationRecord]) -> bool {
    let spec = ServiceSubscriptionSpec {
        revisions: vec![revision],
        ..ServiceSubscriptionSpec::default()
    };
    let promise = Promise {
        effective: start(),
        state: PromiseState::Missed,
        completed: None,
        closed: Some(start()),
        delays: Vec::new(),
        emitted: emitted.iter().map(|name| (*name).to_owned()).collect(),
    };
    is_recorded(&ServiceSubscription::new(NAME, spec), &[promise], records)
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

// shows D8
#[test]
fn a_remedy_for_which_no_record_is_ever_made_is_not_waited_for() {
    let without_credit = |revision: &mut Revision| revision.remedies[0].credit = None;
    let without_fee = |revision: &mut Revision| revision.fee = None;
    let without_currency = |revision: &mut Revision| revision.currency = None;
    let changes: [fn(&mut Revision); 3] = [without_credit, without_fee, without_currency];
    for change in changes {
        let mut revision = revision("credit");
        change(&mut revision);
        assert!(is_recorded_with(revision.clone(), &[], &[]), "{revision:?}");
    }
}

/// The name of one remedy may end like the number of another's issue.
#[test]
fn a_record_of_another_remedy_is_not_taken_for_the_one_that_is_owed() {
    let second = format!("{CREDIT}.2");
    assert!(!is_recorded_with(revision("2"), &[&second], &[]));
}
