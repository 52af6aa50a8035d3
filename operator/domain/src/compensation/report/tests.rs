//! Tests of the status of a compensation.

mod earlier;

use entente_crds::v1alpha1::{
    CapOf, Cause, CompensationSpec, CountFrom, CreditBasis, CreditCap, Delay, ExactNumber,
    ExcludedTime, Fee, FeeCredit, FeeOf, ObjectIdentity, Period, PeriodShare, PromiseState, Remedy,
    RemedyType, ServiceLevel, Share, Voided,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::condition::find;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Midnight in São Paulo.
const START: &str = "2027-04-01T03:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("the test's own instant")
}

/// Returns the key of the first issue of a record.
fn key(of: &Compensation) -> String {
    booking_key("banco-sul", &of.spec.record, 1)
}

fn compensation(name: &str, promised: &str) -> Compensation {
    let credit = FeeCredit {
        basis: CreditBasis::StartedDays,
        percent: None,
        cap: None,
    };
    let record = Record {
        contract: ObjectIdentity {
            name: "c".into(),
            uid: "u".into(),
        },
        subscription: ObjectIdentity {
            name: "c.backup.lobby".into(),
            uid: "v".into(),
        },
        service_name: "backup".into(),
        promised: at(promised),
        time_zone: "America/Sao_Paulo".into(),
        currency: Some("BRL".into()),
        remedy: Remedy {
            name: "credit".into(),
            r#type: RemedyType::FeeCredit,
            credit: Some(credit),
        },
        fee: Some(Fee {
            amount: "12.50".into(),
            per: Period::Month,
            of: FeeOf::EachDevice,
        }),
        service_level: ServiceLevel {
            allowed: "4h".into(),
            ..ServiceLevel::default()
        },
        ..Record::default()
    };
    let mut made = Compensation::new(
        name,
        CompensationSpec {
            record,
            voided: None,
        },
    );
    made.metadata.namespace = Some("banco-sul".into());
    made.spec.record.booking_key = key(&made);
    made.metadata.generation = Some(1);
    made.metadata.creation_timestamp = Some(Time(at("2027-04-01T07:00:10Z")));
    made
}

fn late(effective: &str, closed: Option<&str>) -> Promise {
    Promise {
        proof: None,
        effective: at(effective),
        state: PromiseState::Missed,
        completed: closed.map(at),
        closed: closed.map(at),
        delays: vec![Delay {
            from: at(effective),
            until: closed.map(at),
            cause: Cause::Device,
            reason: "Unreachable".into(),
        }],
        emitted: vec![],
    }
}

fn shown(status: &CompensationStatus, condition: ConditionType) -> String {
    find(&status.conditions, condition).map_or_else(
        || "-".to_owned(),
        |found| format!("{} {}", found.status, found.reason),
    )
}

fn three(status: &CompensationStatus) -> [String; 3] {
    [
        ConditionType::Ready,
        ConditionType::Calculated,
        ConditionType::Delivered,
    ]
    .map(|condition| shown(status, condition))
}

fn summary(status: &CompensationStatus) -> &str {
    status.summary.as_deref().unwrap_or("-")
}

fn message(status: &CompensationStatus) -> &str {
    status
        .explanation
        .as_ref()
        .map_or("-", |explanation| explanation.message.as_str())
}

fn number(numerator: &str, denominator: &str) -> ExactNumber {
    ExactNumber {
        numerator: numerator.into(),
        denominator: denominator.into(),
    }
}

/// Returns a compensation with the status that it gets.
fn reported(mut of: Compensation, promise: &Promise, others: &[Compensation]) -> Compensation {
    let status = report(&of, Some(promise), others, HOUR, at("2028-01-01T00:00:00Z"));
    of.status = Some(status);
    of
}

// shows D4
#[test]
fn while_the_promise_is_open_the_amount_accrues_and_nothing_is_final() {
    let of = compensation("c.backup.lobby.x.credit", START);
    let status = report(
        &of,
        Some(&late(START, None)),
        &[],
        HOUR,
        at("2027-04-02T09:30:00Z"),
    );
    assert_eq!(three(&status), ["False Accruing"; 3]);
    assert_eq!(
        shown(&status, ConditionType::Reconciling),
        "True Progressing"
    );
    assert_eq!(
        status.observed_generation, None,
        "it is neither Ready nor Stalled"
    );
    assert_eq!(summary(&status), "BRL 0.83");
    let lateness = status.lateness.unwrap();
    assert_eq!(
        (lateness.until, lateness.counted.as_str()),
        (None, "30h11s")
    );
}

// shows D8
#[test]
fn a_status_that_accrues_changes_once_in_an_interval() {
    let promise = late(START, None);
    let mut of = compensation("c.backup.lobby.x.credit", START);
    let mut seen = Vec::new();
    for minute in 0..150 {
        let now = at("2027-04-01T07:00:11Z") + SignedDuration::from_mins(minute);
        let status = report(&of, Some(&promise), &[], HOUR, now);
        if of.status.as_ref() != Some(&status) {
            seen.push(status.lateness.clone().unwrap().counted);
            of.status = Some(status);
        }
    }
    assert_eq!(seen, ["4h11s", "5h11s", "6h11s"]);
}

#[test]
fn a_compensation_that_accrues_is_looked_at_again_when_its_status_changes() {
    let created = Some(at("2027-04-01T07:00:10Z"));
    let now = at("2027-04-01T08:30:00Z");
    assert_eq!(
        accrued_until(created, HOUR, now),
        at("2027-04-01T08:00:11Z")
    );
    assert_eq!(next_accrual(created, HOUR, now), at("2027-04-01T09:00:11Z"));
    assert_eq!(
        next_accrual(created, HOUR, at("2027-04-01T09:00:11Z")),
        at("2027-04-01T10:00:11Z")
    );
    assert_eq!(accrued_until(None, HOUR, now), now);
    assert_eq!(accrued_until(created, SignedDuration::ZERO, now), now);
    assert!(next_accrual(created, SignedDuration::ZERO, now) > now);
    let ahead = Some(at("2027-04-01T08:30:01Z"));
    assert_eq!(
        accrued_until(ahead, HOUR, now),
        now,
        "the server's clock is ahead"
    );
    assert_eq!(next_accrual(ahead, HOUR, now), at("2027-04-01T08:30:02Z"));
}

// shows D5 D9
#[test]
fn when_the_promise_is_closed_the_amount_is_final_and_explained() {
    let of = compensation("c.backup.lobby.x.credit", START);
    let promise = late(START, Some("2027-04-02T10:12:00Z"));
    let status = report(&of, Some(&promise), &[], HOUR, at("2027-04-02T10:13:00Z"));
    assert_eq!(
        three(&status),
        ["True RecordOnly", "True AmountFinal", "True RecordOnly"]
    );
    let delivered = find(&status.conditions, ConditionType::Delivered).expect("Delivered");
    assert_eq!(
        delivered.message,
        "The amount is final and recorded, and nothing is to be delivered: Entente sends it to no \
         booking system yet, so book it by hand."
    );
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(summary(&status), "BRL 0.83");
    let amount = status.amount.clone().unwrap();
    assert_eq!(
        (amount.currency.as_str(), amount.value.as_str()),
        ("BRL", "0.83")
    );
    assert_eq!(
        message(&status),
        "31h12m of delay is 2/30 (started days) of the fee of BRL 12.50 a month, which gives \
         BRL 0.83"
    );
    let periods = status.explanation.unwrap().periods;
    let line = &periods[0];
    assert_eq!(
        (line.from.as_str(), line.until.as_str(), line.share.as_str()),
        ("2027-04-01", "2027-04-30", "2/30")
    );
    assert_eq!((line.fee.as_str(), line.cap.as_str()), ("12.50", "12.50"));
    assert_eq!(line.exact_share, Some(number("1", "15")));
    assert_eq!(line.credit, Some(number("5", "6")));
    let causes = status.lateness.unwrap().causes;
    assert_eq!(
        (causes[0].cause, causes[0].reason.as_str()),
        (Cause::Device, "Unreachable")
    );
    assert_eq!(causes[0].counted, "31h12m");
}

// shows D8
#[test]
fn what_is_final_never_changes_again() {
    let promise = late(START, Some("2027-04-02T10:12:00Z"));
    let mut of = reported(
        compensation("c.backup.lobby.x.credit", START),
        &promise,
        &[],
    );
    let before = of.status.clone().unwrap();
    of.metadata.generation = Some(7);
    let earlier = reported(compensation("a", "2027-03-31T03:00:00Z"), &promise, &[]);
    let much_later = late(START, Some("2027-09-01T00:00:00Z"));
    for promise in [Some(&much_later), Some(&late(START, None)), None] {
        let now = at("2029-01-01T00:00:00Z");
        assert_eq!(
            report(&of, promise, std::slice::from_ref(&earlier), HOUR, now),
            before
        );
    }
}

// shows D4
#[test]
fn a_delay_within_the_allowance_ends_as_nothing_owed() {
    let of = compensation("c.backup.lobby.x.credit", START);
    let mut promise = late(START, Some("2027-04-02T10:12:00Z"));
    promise.delays[0].cause = Cause::Customer;
    promise.delays[0].from = at("2027-04-01T04:00:00Z");
    let status = report(&of, Some(&promise), &[], HOUR, at("2027-04-02T10:13:00Z"));
    assert_eq!(three(&status), ["True NothingOwed"; 3]);
    assert_eq!(summary(&status), "BRL 0.00");
    assert_eq!(
        message(&status),
        "1h of delay (not counting 30h12m by the customer) is within the allowance of 4h"
    );
}

// shows D5
#[test]
fn a_delay_without_a_full_day_says_so() {
    let mut of = compensation("c.backup.lobby.x.credit", START);
    let credit = FeeCredit {
        basis: CreditBasis::FullDays,
        percent: None,
        cap: None,
    };
    of.spec.record.remedy.credit = Some(credit);
    of.spec.record.service_level.count = CountFrom::AfterAllowance;
    let promise = late(START, Some("2027-04-01T10:00:00Z"));
    let status = report(&of, Some(&promise), &[], HOUR, at("2027-04-02T10:13:00Z"));
    assert_eq!(
        message(&status),
        "3h of delay after the first 4h holds no full day"
    );
    assert_eq!(three(&status), ["True NothingOwed"; 3]);
}

// shows D8
#[test]
fn a_voided_compensation_keeps_its_amount_and_says_why() {
    let promise = late(START, Some("2027-04-02T10:12:00Z"));
    let mut of = reported(
        compensation("c.backup.lobby.x.credit", START),
        &promise,
        &[],
    );
    of.spec.voided = Some(Voided {
        reason: "the fee was wrong".into(),
        ..Voided::default()
    });
    of.metadata.generation = Some(2);
    let status = report(&of, Some(&promise), &[], HOUR, at("2028-05-01T00:00:00Z"));
    assert_eq!(
        three(&status),
        ["True Voided", "True Voided", "False Voided"]
    );
    assert_eq!(
        status.conditions[0].message,
        "Voided (the fee was wrong); nothing is owed for it any more."
    );
    assert_eq!(
        (summary(&status), status.observed_generation),
        ("BRL 0.83", Some(2))
    );
    of.status = Some(status.clone());
    assert_eq!(
        report(&of, None, &[], HOUR, at("2029-01-01T00:00:00Z")),
        status
    );
}

#[test]
fn when_the_promise_is_gone_what_was_last_reported_is_final() {
    let mut of = compensation("c.backup.lobby.x.credit", START);
    let now = at("2027-04-02T09:30:00Z");
    let lost = report(&of, None, &[], HOUR, now);
    assert_eq!(three(&lost), ["False Pending"; 3]);
    of.status = Some(report(&of, Some(&late(START, None)), &[], HOUR, now));
    let kept = report(&of, None, &[], HOUR, now);
    assert_eq!(
        three(&kept),
        ["True RecordOnly", "True AmountFinal", "True RecordOnly"]
    );
    assert_eq!(summary(&kept), "BRL 0.83");
    of.status = Some(report(&of, Some(&late(START, None)), &[], HOUR, at(START)));
    assert_eq!(
        three(&report(&of, None, &[], HOUR, now)),
        ["True NothingOwed"; 3]
    );
}

#[test]
fn a_record_that_cannot_be_calculated_waits_for_a_person_and_says_what_is_wrong() {
    let promise = late(START, None);
    let now = at("2027-04-02T09:30:00Z");
    let stalled = |change: fn(&mut Record)| {
        let mut of = compensation("c.backup.lobby.x.credit", START);
        change(&mut of.spec.record);
        let status = report(&of, Some(&promise), &[], HOUR, now);
        assert_eq!(status.observed_generation, Some(1));
        assert!(status.amount.is_none());
        (
            shown(&status, ConditionType::Stalled),
            status.conditions[0].message.to_string(),
        )
    };
    let (reason, message) = stalled(|record| record.time_zone = "Europe/Atlantis".into());
    assert_eq!(reason, "True UnknownZone");
    assert!(message.starts_with("spec.record.timeZone: time zone \"Europe/Atlantis\" is unknown"));
    assert_eq!(
        stalled(|record| record.fee = None).0,
        "True UnsupportedValue"
    );
    assert_eq!(
        stalled(|record| record.currency = None).0,
        "True UnsupportedValue"
    );
    let (_, message) = stalled(|record| record.service_level.allowed = "soon".into());
    assert!(message.starts_with("spec.record.serviceLevel.allowed: \"soon\" must be a duration"));
}

// shows D8 K2
#[test]
fn a_record_that_is_not_booked_under_its_own_debt_is_not_calculated_and_names_both_keys() {
    let promise = late(START, Some("2027-04-02T10:12:00Z"));
    let mut of = compensation("c.backup.lobby.x.credit", START);
    let owed = key(&of);
    of.spec.record.booking_key = "invented".into();
    let status = report(&of, Some(&promise), &[], HOUR, at("2028-05-01T00:00:00Z"));
    assert_eq!(
        shown(&status, ConditionType::Stalled),
        "True UnsupportedValue"
    );
    assert_eq!(status.amount, None);
    assert_eq!(
        *status.conditions[0].message,
        format!(
            "spec.record.bookingKey is invented, and what is owed by this record is booked under \
             {owed}: void this compensation and book what is owed by hand."
        )
    );
}

// shows D8 K2
#[test]
fn a_record_whose_next_issue_has_its_name_taken_waits_for_a_person_and_names_both_keys() {
    let promise = late(START, Some("2027-04-02T10:12:00Z"));
    let mut voided = compensation("c.backup.lobby.20270401t030000z.credit", START);
    voided.spec.voided = Some(Voided {
        reason: "wrong".into(),
        reissue: Reissue::Same,
    });
    let mut other = compensation("c.backup.lobby.20270401t030000z.credit.2", START);
    other.spec.record.booking_key = "another".into();
    let said = |others: &[Compensation]| {
        let now = at("2028-05-01T00:00:00Z");
        let status = report(&voided, Some(&promise), others, HOUR, now);
        let message = status.conditions[0].message.to_string();
        (shown(&status, ConditionType::Stalled), message)
    };
    assert!(
        super::super::successor(&voided, Some(&promise), std::slice::from_ref(&other)).is_none()
    );
    let (stalled, message) = said(std::slice::from_ref(&other));
    assert_eq!(stalled, "True CompensationNameTaken");
    let owed = booking_key("banco-sul", &voided.spec.record, 2);
    for named in [other.name_any().as_str(), "another", owed.as_str()] {
        assert!(message.contains(named), "{message}");
    }
    other.spec.record.booking_key = owed;
    assert!(
        said(&[other])
            .1
            .ends_with("it is issued again under the next number.")
    );
}

// shows D8
#[test]
fn a_voided_record_says_what_became_of_its_debt() {
    let promise = late(START, Some("2027-04-02T10:12:00Z"));
    let name = "c.backup.lobby.x.credit";
    let mut voided = compensation(name, START);
    voided.metadata.generation = Some(2);
    let mut next = compensation("c.backup.lobby.x.credit.2", START);
    next.spec.record.reissues = Some(entente_crds::v1alpha1::ReissueReference {
        name: name.to_owned(),
    });
    let stranger = compensation("c.backup.vault.x.credit", START);
    let cancelled = "nothing is owed for it any more";
    let again = "it is issued again under the next number";
    let lost = "it cannot be issued again, since its promise is gone: book what is owed by hand";
    for (reissue, promise, others, says) in [
        (Reissue::None, Some(&promise), vec![], cancelled),
        (Reissue::None, None, vec![], cancelled),
        (Reissue::Same, Some(&promise), vec![], again),
        (Reissue::Same, None, vec![next.clone()], again),
        (Reissue::Same, None, vec![], lost),
        (Reissue::Same, None, vec![stranger], lost),
    ] {
        voided.spec.voided = Some(Voided {
            reason: "wrong".into(),
            reissue,
        });
        let status = report(&voided, promise, &others, HOUR, at("2028-05-01T00:00:00Z"));
        let said = &status.conditions[0].message;
        assert_eq!(*said, format!("Voided (wrong); {says}."));
    }
}

// shows D8 K2
#[test]
fn a_promise_that_is_gone_before_anything_was_calculated_is_left_to_a_person() {
    let of = compensation("c.backup.lobby.x.credit", START);
    let status = report(&of, None, &[], HOUR, at("2028-05-01T00:00:00Z"));
    assert_eq!(three(&status), ["False Pending"; 3]);
    assert_eq!(status.amount, None, "nothing is made up");
    assert!(status.conditions[0].message.contains("by hand"));
}

// shows D8 K7
#[test]
fn an_amount_waits_for_an_object_that_cannot_be_read_and_one_that_is_final_does_not_change() {
    let open = compensation("c.backup.lobby.1.credit", START);
    let accruing = reported(open, &late(START, None), &[]);
    let subscription = UnreadableSource::Subscription("c.backup.lobby".to_owned());
    let now = at("2028-01-01T01:00:00Z");
    let waits = report_unread(&accruing, &subscription, now);
    assert_eq!(three(&waits), ["False Undecodable"; 3]);
    assert_eq!(shown(&waits, ConditionType::Stalled), "True Undecodable");
    let ready = find(&waits.conditions, ConditionType::Ready).expect("it is stated");
    assert_eq!(
        ready.message,
        "The ServiceSubscription c.backup.lobby cannot be read; correct the field that its status \
         names; the amount is calculated then."
    );
    let before = accruing.status.clone().expect("a status");
    assert_eq!(waits.amount, before.amount, "what was reported stays");
    let other = UnreadableSource::Compensation("c.backup.hall.1.credit".to_owned());
    let of_another = report_unread(&accruing, &other, now);
    assert_eq!(three(&of_another), three(&waits));

    let open = compensation("c.backup.lobby.1.credit", START);
    let closed = late(START, Some("2027-04-03T03:00:00Z"));
    let fixed = reported(open, &closed, &[]);
    assert_eq!(
        shown(fixed.status.as_ref().unwrap(), ConditionType::Calculated),
        "True AmountFinal"
    );
    assert_eq!(
        Some(report_unread(&fixed, &subscription, now)),
        fixed.status
    );
}

// shows D9
#[test]
fn time_that_is_excluded_is_told_and_owes_nothing() {
    let excluding = |until: &str| {
        let mut of = compensation("c.backup.lobby.x.credit", START);
        of.spec.record.exclusions = vec![ExcludedTime {
            from: at(START),
            until: at(until),
        }];
        let promise = late(START, Some("2027-04-02T10:12:00Z"));
        reported(of, &promise, &[]).status.expect("a status")
    };
    let day = excluding("2027-04-02T03:00:00Z");
    assert_eq!(summary(&day), "BRL 0.42");
    assert_eq!(
        message(&day),
        "7h12m of delay (not counting 24h that are excluded) is 1/30 (started days) of the fee of \
         BRL 12.50 a month, which gives BRL 0.42"
    );
    let lateness = day.lateness.expect("how late it was");
    assert_eq!(lateness.excluded.as_deref(), Some("24h"));
    let causes: Vec<&str> = lateness
        .causes
        .iter()
        .map(|it| it.counted.as_str())
        .collect();
    assert_eq!(causes, ["7h12m"]);
    let all = excluding("2027-04-05T03:00:00Z");
    assert_eq!(shown(&all, ConditionType::Ready), "True NothingOwed");
    assert_eq!(
        message(&all),
        "0s of delay (not counting 31h12m that are excluded) is within the allowance of 4h"
    );
}
