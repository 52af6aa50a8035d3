//! Tests of compensations that became final earlier: no part of a fee is owed twice.

use entente_crds::schema::MAX_TAKEN_BY;
use entente_crds::v1alpha1::TakenCredit;

use super::*;

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
        (line.credit, line.given) = (None, None);
    }
    assert_eq!(left_in_may(&first), "BRL 0.00");
}

// shows D5 D8
#[test]
fn a_later_record_counts_the_minor_units_that_a_line_gives_and_not_its_exact_credit() {
    let (mut first, _) = whole_april("a", START);
    let closed = at("2027-05-01T12:00:00Z").to_string();
    first = reported(first, &late(START, Some(&closed)), &[]);
    let april = &mut lines(&mut first)[0];
    let (nine, one) = ("9".to_owned(), "1".to_owned());
    april.given = Some(ExactNumber {
        numerator: nine,
        denominator: one,
    });
    let (second, promise) = whole_april("b", "2027-04-10T03:00:00Z");
    let after = reported(second, &promise, &[first]);
    assert_eq!(summary(after.status.as_ref().unwrap()), "BRL 1.00");
}

// shows D5 D8
#[test]
fn a_line_says_what_the_loss_is_worth_and_which_records_took_of_the_fee() {
    let number = |numerator: &str| {
        let (numerator, denominator) = (numerator.to_owned(), "1".to_owned());
        Some(ExactNumber {
            numerator,
            denominator,
        })
    };
    let (first, first_promise) = whole_april("a", START);
    let first = reported(first, &first_promise, &[]);
    let (second, second_promise) = whole_april("b", "2027-04-10T03:00:00Z");
    let mut second = reported(second, &second_promise, &[first]);
    let line = &lines(&mut second)[0];
    assert_eq!(line.worth, number("7"));
    let taken = [TakenCredit {
        name: Some("a".to_owned()),
        credit: number("7"),
    }];
    assert_eq!(line.taken_by, taken);
    assert_eq!((&line.credit, &line.given), (&number("3"), &number("3")));

    // Of more than fit the last one is the sum of the others.
    let many: Vec<_> = (10..30)
        .map(|day| {
            let (mut of, promise) = whole_april(&format!("a{day}"), START);
            let credit = of.spec.record.remedy.credit.as_mut().expect("a credit");
            credit.percent = Some("1".to_owned());
            reported(of, &promise, &[])
        })
        .collect();
    let (last, promise) = whole_april("z", "2027-04-10T03:00:00Z");
    let mut last = reported(last, &promise, &many);
    let taken = &lines(&mut last)[0].taken_by;
    assert_eq!(taken.len(), MAX_TAKEN_BY);
    assert_eq!(taken[0].name.as_deref(), Some("a10"));
    let rest = taken.last().expect("a sum");
    let of_thirteen = ExactNumber {
        numerator: "13".to_owned(),
        denominator: "10".to_owned(),
    };
    assert_eq!((&rest.name, &rest.credit), (&None, &Some(of_thirteen)));
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
        let namespace = other.namespace().unwrap();
        let key = booking_key(&namespace, &other.spec.record, 1);
        other.spec.record.booking_key = key;
        let other = reported(other, &promise, &[]);
        assert_eq!(summary(other.status.as_ref().unwrap())[4..], *"7.00");
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

/// Returns the credit of the second of two delays in April, where the first is in a record of a
/// contract with the same name and another uid. Each contract has a start, or none that is known.
fn after_one_of(first: Option<&str>, second: Option<&str>, change: fn(&mut Record)) -> String {
    let (mut one, promise) = whole_april("a", START);
    one.spec.record.contract_start = first.map(at);
    one.spec.record.contract.uid = "another".into();
    change(&mut one.spec.record);
    one.spec.record.booking_key = key(&one);
    let one = reported(one, &promise, &[]);
    assert_eq!(summary(one.status.as_ref().unwrap()), "BRL 7.00");
    let (mut of, _) = whole_april("b", "2027-04-10T03:00:00Z");
    of.spec.record.contract_start = second.map(at);
    let promise = promise_of(&of);
    let of = reported(of, &promise, &[one]);
    summary(of.status.as_ref().unwrap()).to_owned()
}

// shows D5 D8
#[test]
fn a_contract_that_is_applied_again_with_another_term_has_the_whole_fee_for_its_own_delays() {
    let same = |_: &mut Record| ();
    let (april, later) = (Some(START), Some("2027-04-09T03:00:00Z"));
    for (first, second, change, credit, what) in [
        (
            april,
            april,
            same as fn(&mut Record),
            "BRL 3.00",
            "restored",
        ),
        (
            april,
            later,
            same,
            "BRL 7.00",
            "applied again with a later start",
        ),
        (
            later,
            april,
            same,
            "BRL 3.00",
            "a start that lies after its promise",
        ),
        (
            None,
            april,
            same,
            "BRL 3.00",
            "a record that was made without the start",
        ),
        (
            None,
            later,
            same,
            "BRL 7.00",
            "one of those, of the contract before",
        ),
        (None, None, same, "BRL 3.00", "two of those"),
        (
            april,
            april,
            |it| it.customer.id = "C-2".into(),
            "BRL 7.00",
            "of another customer",
        ),
        (
            april,
            later,
            |it| it.contract.uid = "u".into(),
            "BRL 3.00",
            "the same object, whose start was edited",
        ),
    ] {
        assert_eq!(after_one_of(first, second, change), credit, "{what}");
    }
}

fn promise_of(of: &Compensation) -> Promise {
    let promised = of.spec.record.promised;
    let closed = promised + SignedDuration::from_hours(6);
    late(&promised.to_string(), Some(&closed.to_string()))
}

/// Returns a compensation of a device that owes a whole month's fee, which is 20.00 for so many.
fn of_device(device: &str, devices: i32) -> (Compensation, Promise) {
    let (mut of, promise) = whole_april(device, START);
    let record = &mut of.spec.record;
    record.subscription.name = format!("c.backup.{device}");
    record.fee = Some(Fee {
        amount: "20.00".into(),
        of: FeeOf::AllDevices,
        ..Fee::default()
    });
    record.remedy.credit.as_mut().unwrap().percent = Some("100".into());
    record.share = Some(Share { devices });
    (of, promise)
}

// shows D5
#[test]
fn the_parts_of_a_fee_for_all_devices_never_compete_in_whatever_order_they_become_final() {
    for order in [["p1", "p2", "p3"], ["p3", "p1", "p2"], ["p2", "p3", "p1"]] {
        let mut given: Vec<Compensation> = Vec::new();
        for device in order {
            let (of, promise) = of_device(device, 3);
            given.push(reported(of, &promise, &given));
        }
        for of in &given {
            let explained = of.status.as_ref().unwrap();
            assert_eq!(summary(explained), "BRL 6.66", "{order:?}");
            let line = &explained.explanation.as_ref().unwrap().periods[0];
            assert_eq!((line.fee.as_str(), line.cap.as_str()), ("20.00/3", "6.66"));
            assert!(
                message(explained).contains("the fee of BRL 20.00 a month shared by 3 devices")
            );
        }
        // One that was added later has the part of its own number.
        let (later, promise) = of_device("p4", 4);
        let later = reported(later, &promise, &given);
        assert_eq!(summary(later.status.as_ref().unwrap()), "BRL 5.00");
    }
}

// shows D5
#[test]
fn two_remedies_owe_together_the_same_whatever_their_names_are() {
    let by = |name: &str, remedy: &str, cap: &str| {
        let (mut of, promise) = whole_april(name, START);
        let record = &mut of.spec.record;
        record.fee.as_mut().unwrap().amount = "100.00".into();
        record.remedy.name = remedy.into();
        let credit = record.remedy.credit.as_mut().unwrap();
        credit.percent = Some("40".into());
        credit.cap = Some(CreditCap {
            percent: cap.into(),
            of: CapOf::Period,
        });
        of.spec.record.booking_key = key(&of);
        (of, promise)
    };
    for (low, high) in [("a", "b"), ("b", "a")] {
        for low_is_first in [true, false] {
            let (low, high) = (by(low, "low", "40"), by(high, "high", "60"));
            let (first, second) = if low_is_first {
                (low, high)
            } else {
                (high, low)
            };
            let one = reported(first.0, &first.1, std::slice::from_ref(&second.0));
            let two = reported(second.0, &second.1, std::slice::from_ref(&one));
            let both = [&one, &two].map(|of| summary(of.status.as_ref().unwrap()));
            assert_eq!(both, ["BRL 40.00", "BRL 40.00"]);
        }
    }
}
