//! Tests of the sum of the compensations of a contract.

use entente_crds::v1alpha1::{Amount, CompensationSpec, CompensationStatus, Owed, Voided};

use super::super::compensation_totals::owed;
use super::*;

/// The stage that a record has reached.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    New,
    Accruing,
    Final,
    Delivered,
}

fn record(stage: Stage, amount: Option<(&str, &str)>) -> Compensation {
    let mut record = Compensation::new("r", CompensationSpec::default());
    if stage == Stage::New {
        return record;
    }
    let calculated = matches!(stage, Stage::Final | Stage::Delivered);
    let set = ConditionSet::new(&[], Some(1), at(BEFORE)).with(
        ConditionType::Calculated,
        Status::from(calculated),
        if calculated {
            Reason::AmountFinal
        } else {
            Reason::Accruing
        },
        "said",
    );
    let delivered = stage == Stage::Delivered;
    let set = set.with(
        ConditionType::Delivered,
        Status::from(delivered),
        if delivered {
            Reason::RecordOnly
        } else {
            Reason::Accruing
        },
        "said",
    );
    record.status = Some(CompensationStatus {
        conditions: set.finish(),
        amount: amount.map(|(currency, value)| Amount {
            currency: currency.to_owned(),
            value: value.to_owned(),
        }),
        ..CompensationStatus::default()
    });
    record
}

fn voided(mut record: Compensation) -> Compensation {
    record.spec.voided = Some(Voided::default());
    record
}

fn sum(records: &[Compensation]) -> (Owed, i32) {
    let (sum, pending) = owed(records.iter(), Some("BRL"));
    (sum.expect("there are some"), pending)
}

// shows D8
#[test]
fn a_contract_without_records_owes_nothing_and_says_nothing() {
    assert_eq!(owed([].iter(), Some("BRL")), (None, 0));
    let only = [voided(record(Stage::Delivered, Some(("BRL", "5.00"))))];
    assert_eq!(owed(only.iter(), Some("BRL")), (None, 0));
}

// shows D8
#[test]
fn records_are_counted_by_how_far_they_are_and_a_voided_one_not_at_all() {
    let records = [
        record(Stage::New, None),
        record(Stage::Accruing, Some(("BRL", "1.00"))),
        record(Stage::Final, Some(("BRL", "2.50"))),
        record(Stage::Delivered, Some(("BRL", "4.00"))),
        voided(record(Stage::Final, Some(("BRL", "100.00")))),
    ];
    let (sum, pending) = sum(&records);
    assert_eq!((sum.open, sum.calculated, sum.delivered), (2, 2, 1));
    assert_eq!(pending, 3);
    assert_eq!(sum.summary, "BRL 7.50");
    let amounts: Vec<_> = sum.amounts.iter().map(|it| it.value.as_str()).collect();
    assert_eq!(amounts, ["7.50"]);
}

// shows D8
#[test]
fn before_anything_is_calculated_nothing_is_shown_in_the_currency_of_the_contract() {
    let (sum, pending) = sum(&[record(Stage::New, None)]);
    assert_eq!((sum.summary.as_str(), pending), ("BRL 0.00", 1));
    let (without, _) = owed([record(Stage::New, None)].iter(), None);
    assert_eq!(without.expect("there is one").summary, "");
}

// shows D8
#[test]
fn a_final_amount_of_nothing_is_not_waited_for() {
    let (_, pending) = sum(&[record(Stage::Final, Some(("BRL", "0.00")))]);
    assert_eq!(pending, 0);
    let (_, pending) = sum(&[record(Stage::Final, Some(("BRL", "0.01")))]);
    assert_eq!(pending, 1);
    let (_, pending) = sum(&[record(Stage::Accruing, Some(("BRL", "0.00")))]);
    assert_eq!(pending, 1, "it may still grow");
}

// shows D8
#[test]
fn currencies_are_summed_apart_and_shown_in_order() {
    let records = [
        record(Stage::Final, Some(("USD", "1.10"))),
        record(Stage::Final, Some(("JPY", "300"))),
        record(Stage::Final, Some(("USD", "2.20"))),
    ];
    let (sum, _) = sum(&records);
    assert_eq!(sum.summary, "JPY 300, USD 3.30");
}

// shows D8
#[test]
fn sums_that_are_too_long_for_their_field_are_shortened_to_the_first_and_all_fit() {
    let currencies = [
        "AUD", "BRL", "CAD", "CHF", "CNY", "DKK", "EUR", "GBP", "HKD", "INR",
    ];
    let records = currencies.map(|currency| record(Stage::Final, Some((currency, "123456.78"))));
    let (sum, _) = sum(&records);
    assert_eq!(sum.summary, "AUD 123456.78 and 9 more");
    assert_eq!(sum.amounts.len(), 8, "as many as the schema lets");
    let huge = "9".repeat(28);
    let records = currencies.map(|currency| record(Stage::Final, Some((currency, huge.as_str()))));
    let (sum, _) = self::sum(&records);
    assert!(sum.summary.chars().count() <= 64, "{}", sum.summary);
}

// shows D8
#[test]
fn an_amount_that_cannot_be_read_is_left_out_and_its_record_still_counts() {
    let records = [
        record(Stage::Final, Some(("BRL", "much"))),
        record(Stage::Final, Some(("BRL", "1.00"))),
    ];
    let (sum, pending) = sum(&records);
    assert_eq!(
        (sum.summary.as_str(), sum.calculated, pending),
        ("BRL 1.00", 2, 2)
    );
}

// shows D8 K7
#[test]
fn sums_that_no_number_holds_still_fit_their_fields() {
    let most = rust_decimal::Decimal::MAX.to_string();
    for currency in ["BRL", "JPY", "KWD", "CLF"] {
        let amount = Some((currency, &most[..]));
        let records = [
            record(Stage::Final, amount),
            record(Stage::Final, amount),
            record(Stage::Final, Some(("EUR", &most[..]))),
        ];
        let (owed, _) = sum(&records);
        assert!(owed.summary.chars().count() <= 64, "{}", owed.summary);
        for amount in &owed.amounts {
            assert!(amount.value.len() <= 32, "{}", amount.value);
        }
    }
}
