use entente_crds::v1alpha1::{
    Cause, CompensationSpec, CountFrom, CreditBasis, Delay, ExactNumber, Fee, FeeCredit, FeeOf,
    ObjectIdentity, Period, PeriodShare, PromiseState, Remedy, RemedyType, ServiceLevel, Share,
    Voided,
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
    made.metadata.generation = Some(1);
    made.metadata.creation_timestamp = Some(Time(at("2027-04-01T07:00:10Z")));
    made
}

fn late(effective: &str, closed: Option<&str>) -> Promise {
    Promise {
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
        "declared wrong (the fee was wrong); nothing is owed for it any more"
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

/// Returns a missed promise and its compensation, which owes a whole month's fee of 10.00 for
/// April.
fn whole_april(name: &str, promised: &str) -> (Compensation, Promise) {
    let mut of = compensation(name, promised);
    of.spec.record.fee = Some(Fee {
        amount: "10.00".into(),
        ..Fee::default()
    });
    let credit = FeeCredit {
        basis: CreditBasis::StartedDays,
        percent: Some("70".into()),
        cap: None,
    };
    of.spec.record.remedy.credit = Some(credit);
    let closed = at(promised) + SignedDuration::from_hours(6);
    (of, late(promised, Some(&closed.to_string())))
}

// shows D5 D8
#[test]
fn a_second_delay_in_a_month_gets_at_most_what_the_first_left_of_the_fee() {
    let (first, first_promise) = whole_april("a", START);
    let (second, second_promise) = whole_april("b", "2027-04-10T03:00:00Z");
    let first = reported(first, &first_promise, std::slice::from_ref(&second));
    let after = reported(
        second.clone(),
        &second_promise,
        std::slice::from_ref(&first),
    );
    assert_eq!(summary(first.status.as_ref().unwrap()), "BRL 7.00");
    assert_eq!(summary(after.status.as_ref().unwrap()), "BRL 3.00");
    assert!(message(after.status.as_ref().unwrap()).ends_with("BRL 3.00, limited by the cap"));
    assert_eq!(
        after
            .status
            .as_ref()
            .unwrap()
            .explanation
            .as_ref()
            .unwrap()
            .periods[0]
            .cap,
        "3.00"
    );
    let mut voided = first;
    voided.spec.voided = Some(Voided {
        reason: "wrong".into(),
        ..Voided::default()
    });
    let alone = reported(second, &second_promise, &[voided]);
    assert_eq!(summary(alone.status.as_ref().unwrap()), "BRL 7.00");
}

fn number(numerator: &str, denominator: &str) -> ExactNumber {
    ExactNumber {
        numerator: numerator.into(),
        denominator: denominator.into(),
    }
}

fn lines(of: &mut Compensation) -> &mut Vec<PeriodShare> {
    let explanation = of.status.as_mut().unwrap().explanation.as_mut();
    &mut explanation.unwrap().periods
}

// shows D8
#[test]
fn to_word_an_explanation_anew_changes_no_money() {
    let (mut first, first_promise) = whole_april("a", START);
    let (second, second_promise) = whole_april("b", "2027-04-10T03:00:00Z");
    first = reported(first, &first_promise, &[]);
    for line in lines(&mut first) {
        for text in [&mut line.share, &mut line.fee, &mut line.cap] {
            "in other words".clone_into(text);
        }
    }
    let after = reported(second, &second_promise, &[first]);
    assert_eq!(summary(after.status.as_ref().unwrap()), "BRL 3.00");
}

// shows D8
#[test]
fn a_record_from_before_the_exact_numbers_counts_with_its_amount_in_its_last_period() {
    let (mut first, _) = whole_april("a", START);
    let closed = at("2027-05-01T12:00:00Z").to_string();
    first = reported(first, &late(START, Some(&closed)), &[]);
    // 10.00 in April, which is all there is, and 7.00 in May.
    assert_eq!(summary(first.status.as_ref().unwrap()), "BRL 17.00");
    let left_in_may = |first: &Compensation| {
        let (second, promise) = whole_april("b", "2027-05-10T03:00:00Z");
        let after = reported(second, &promise, std::slice::from_ref(first));
        summary(after.status.as_ref().unwrap()).to_owned()
    };
    assert_eq!(left_in_may(&first), "BRL 3.00");
    for line in lines(&mut first) {
        line.credit = None;
    }
    assert_eq!(left_in_may(&first), "BRL 0.00");
}

// shows D8
#[test]
fn what_became_final_first_is_counted_also_where_its_promise_is_later() {
    let (first, first_promise) = whole_april("a", START);
    let (second, second_promise) = whole_april("b", "2027-04-10T03:00:00Z");
    let second = reported(second, &second_promise, std::slice::from_ref(&first));
    let first = reported(first, &first_promise, std::slice::from_ref(&second));
    assert_eq!(summary(second.status.as_ref().unwrap()), "BRL 7.00");
    assert_eq!(summary(first.status.as_ref().unwrap()), "BRL 3.00");
}

// shows D5
#[test]
fn another_device_another_service_and_another_namespace_take_nothing_away() {
    let (of, promise) = whole_april("b", "2027-04-10T03:00:00Z");
    let change = |change: fn(&mut Compensation)| {
        let (mut other, promise) = whole_april("a", START);
        change(&mut other);
        let other = reported(other, &promise, &[]);
        summary(
            reported(of.clone(), &promise_of(&of), &[other])
                .status
                .as_ref()
                .unwrap(),
        )
        .to_owned()
    };
    assert_eq!(promise, promise_of(&of));
    assert_eq!(change(|_| ()), "BRL 3.00");
    assert_eq!(
        change(|other| other.spec.record.subscription.name = "c.backup.x".into()),
        "BRL 7.00"
    );
    assert_eq!(
        change(|other| other.spec.record.service_name = "cloud".into()),
        "BRL 7.00"
    );
    assert_eq!(
        change(|other| other.metadata.namespace = Some("x".into())),
        "BRL 7.00"
    );
    assert_eq!(
        change(|other| other.spec.record.currency = Some("EUR".into())),
        "BRL 7.00"
    );
}

fn promise_of(of: &Compensation) -> Promise {
    let promised = of.spec.record.promised;
    let closed = promised + SignedDuration::from_hours(6);
    late(&promised.to_string(), Some(&closed.to_string()))
}

// shows D5
#[test]
fn the_fee_for_all_devices_is_never_given_twice() {
    let mut given: Vec<Compensation> = Vec::new();
    for device in ["p1", "p2", "p3", "p4"] {
        let (mut of, promise) = whole_april(device, START);
        let record = &mut of.spec.record;
        record.subscription.name = format!("c.backup.{device}");
        record.fee = Some(Fee {
            amount: "10.00".into(),
            of: FeeOf::AllDevices,
            ..Fee::default()
        });
        record.remedy.credit.as_mut().unwrap().percent = Some("100".into());
        // One device was added after the others were counted.
        record.share = Some(Share { devices: 3 });
        let of = reported(of, &promise, &given);
        given.push(of);
    }
    let amounts: Vec<&str> = given
        .iter()
        .map(|of| summary(of.status.as_ref().unwrap()))
        .collect();
    assert_eq!(amounts, ["BRL 3.33", "BRL 3.33", "BRL 3.33", "BRL 0.01"]);
    let explained = given[0].status.as_ref().unwrap();
    assert_eq!(
        explained.explanation.as_ref().unwrap().periods[0].fee,
        "10.00/3"
    );
    assert!(message(explained).contains("the fee of BRL 10.00 a month shared by 3 devices"));
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
            status.conditions[0].message.clone(),
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
        assert_eq!(*said, format!("declared wrong (wrong); {says}"));
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
