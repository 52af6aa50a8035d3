//! Tests of the worth of owed time.

use entente_crds::v1alpha1::{CreditCap, Period};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("the test's own instant")
}

/// Returns an interval in local time of a zone.
fn local(zone: &str, from: &str, until: &str) -> (TimeZone, Vec<Interval>) {
    let zone = crate::time::zone(zone).expect("the test's own zone");
    let instant = |text: &str| {
        let wall: jiff::civil::DateTime = text.parse().expect("the test's own local time");
        zone.to_ambiguous_timestamp(wall)
            .compatible()
            .expect("inside the range")
    };
    let owed = vec![Interval {
        from: instant(from),
        until: instant(until),
    }];
    (zone, owed)
}

fn fee(amount: &str, per: Period) -> Fee {
    Fee {
        amount: amount.into(),
        per,
        of: FeeOf::EachDevice,
    }
}

fn pro_rata(basis: CreditBasis) -> FeeCredit {
    FeeCredit {
        basis,
        percent: None,
        cap: None,
    }
}

fn credit_in(
    currency: &str,
    fee: &Fee,
    credit: &FeeCredit,
    of: &(TimeZone, Vec<Interval>),
) -> Credit {
    let terms = CreditTerms {
        fee,
        credit,
        currency,
        share: None,
        zone: &of.0,
    };
    fee_credit(&terms, &of.1, &[]).expect("the test's own terms")
}

fn amount(fee: &Fee, credit: &FeeCredit, of: &(TimeZone, Vec<Interval>)) -> String {
    credit_in("BRL", fee, credit, of).amount.to_string()
}

const BASES: [CreditBasis; 3] = [
    CreditBasis::FullDays,
    CreditBasis::StartedDays,
    CreditBasis::ElapsedTime,
];

fn by_basis(fee: &Fee, of: &(TimeZone, Vec<Interval>)) -> Vec<String> {
    BASES
        .iter()
        .map(|basis| amount(fee, &pro_rata(*basis), of))
        .collect()
}

// shows D5
#[test]
fn the_three_bases_give_the_published_amounts() {
    let of = local("America/Sao_Paulo", "2027-03-01T00:00", "2027-03-06T10:00");
    assert_eq!(
        by_basis(&fee("3000.00", Period::Month), &of),
        ["483.87", "580.65", "524.19"]
    );
}

// shows D5
#[test]
fn a_leap_day_is_a_day_of_its_month() {
    let of = local("UTC", "2028-02-29T00:00", "2028-03-01T00:00");
    assert_eq!(
        by_basis(&fee("29.00", Period::Month), &of),
        ["1.00", "1.00", "1.00"]
    );
    let whole = local("UTC", "2028-02-01T00:00", "2028-03-01T00:00");
    assert_eq!(
        by_basis(&fee("29.00", Period::Month), &whole),
        ["29.00", "29.00", "29.00"]
    );
}

// shows D5
#[test]
fn a_month_in_which_the_clock_changes_has_743_or_745_hours() {
    let fee = fee("743.00", Period::Month);
    let spring = local("Europe/Berlin", "2027-03-28T00:00", "2027-03-29T00:00");
    assert_eq!(by_basis(&fee, &spring), ["23.97", "23.97", "23.00"]);
    let fee = self::fee("745.00", Period::Month);
    let autumn = local("Europe/Berlin", "2027-10-31T00:00", "2027-11-01T00:00");
    assert_eq!(by_basis(&fee, &autumn), ["24.03", "24.03", "25.00"]);
}

// shows D5
#[test]
fn days_are_those_of_the_contracts_zone_at_both_ends_of_the_world() {
    let fee = fee("31.00", Period::Month);
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let of = local(zone, "2027-03-31T23:00", "2027-04-01T01:00");
        let credit = credit_in("BRL", &fee, &pro_rata(CreditBasis::StartedDays), &of);
        let firsts: Vec<String> = credit
            .periods
            .iter()
            .map(|period| period.first.to_string())
            .collect();
        assert_eq!(firsts, ["2027-03-01", "2027-04-01"], "{zone}");
        // 1.00 in March and 1.0333… in April.
        assert_eq!(credit.amount.to_string(), "2.03", "{zone}");
    }
}

// shows D5
#[test]
fn a_start_one_minute_before_midnight_touches_a_day_and_fills_none() {
    let of = local("America/Sao_Paulo", "2027-05-10T23:59", "2027-05-12T00:00");
    let fee = fee("31.00", Period::Month);
    assert_eq!(by_basis(&fee, &of), ["1.00", "2.00", "1.00"]);
    let minute = local("America/Sao_Paulo", "2027-05-10T23:59", "2027-05-11T00:00");
    assert_eq!(by_basis(&fee, &minute), ["0.00", "1.00", "0.00"]);
}

// shows D5
#[test]
fn the_denominator_is_the_whole_period_also_where_the_contract_begins_inside_it() {
    // The contract begins on 21 April; nothing but the owed time is known of it here.
    let of = local("America/Sao_Paulo", "2027-04-21T00:00", "2027-05-01T00:00");
    assert_eq!(
        by_basis(&fee("30.00", Period::Month), &of),
        ["10.00", "10.00", "10.00"]
    );
}

// shows D5
#[test]
fn a_delay_over_the_end_of_a_period_is_split_and_rounded_once() {
    let of = local("UTC", "2027-02-28T00:00", "2027-03-02T00:00");
    let credit = credit_in(
        "BRL",
        &fee("10.00", Period::Month),
        &pro_rata(CreditBasis::FullDays),
        &of,
    );
    let shares: Vec<_> = credit.periods.iter().map(|period| period.share).collect();
    assert_eq!(shares, [(1.into(), 28.into()), (1.into(), 31.into())]);
    assert_eq!(credit.amount.to_string(), "0.68");
    let of = local("UTC", "2027-02-27T00:00", "2027-03-03T00:00");
    // 0.0142857… + 0.0129032… = 0.0271889…: 0.03, where the rounded parts would give 0.02.
    assert_eq!(
        amount(
            &fee("0.20", Period::Month),
            &pro_rata(CreditBasis::FullDays),
            &of
        ),
        "0.03"
    );
}

// shows D5
#[test]
fn quarters_and_years_are_those_of_the_calendar() {
    let of = local("UTC", "2027-06-30T00:00", "2027-07-02T00:00");
    let credit = credit_in(
        "BRL",
        &fee("91.00", Period::Quarter),
        &pro_rata(CreditBasis::FullDays),
        &of,
    );
    let shares: Vec<_> = credit.periods.iter().map(|period| period.share).collect();
    assert_eq!(shares, [(1.into(), 91.into()), (1.into(), 92.into())]);
    assert_eq!(
        amount(
            &fee("365.00", Period::Year),
            &pro_rata(CreditBasis::FullDays),
            &of
        ),
        "2.00"
    );
}

// shows D5
#[test]
fn an_amount_is_rounded_to_the_digits_of_its_currency() {
    let of = local("Asia/Tokyo", "2027-04-01T00:00", "2027-04-02T00:00");
    let credit = pro_rata(CreditBasis::FullDays);
    for (currency, fee_amount, expected) in [
        ("JPY", "1000", "33"),
        ("JPY", "15", "1"),
        ("KRW", "14", "0"),
        ("KWD", "1.000", "0.033"),
        ("KWD", "0.015", "0.001"),
        ("EUR", "0.15", "0.01"),
    ] {
        let found = credit_in(currency, &fee(fee_amount, Period::Month), &credit, &of);
        assert_eq!(
            found.amount.to_string(),
            expected,
            "{fee_amount} {currency}"
        );
    }
}

// shows D5
#[test]
fn a_percentage_is_of_the_fee_for_each_day() {
    let of = local("UTC", "2027-04-01T00:00", "2027-04-02T12:00");
    let fee = fee("100.00", Period::Month);
    let by = |basis| FeeCredit {
        basis,
        percent: Some("2.5".into()),
        cap: None,
    };
    assert_eq!(amount(&fee, &by(CreditBasis::StartedDays), &of), "5.00");
    assert_eq!(amount(&fee, &by(CreditBasis::FullDays), &of), "2.50");
    // A day and a half of elapsed time.
    assert_eq!(amount(&fee, &by(CreditBasis::ElapsedTime), &of), "3.75");
}

fn capped(percent: &str, of: CapOf) -> FeeCredit {
    FeeCredit {
        basis: CreditBasis::StartedDays,
        percent: Some("5".into()),
        cap: Some(CreditCap {
            percent: percent.into(),
            of,
        }),
    }
}

// shows D5
#[test]
fn without_a_cap_a_period_gives_at_most_its_fee() {
    let of = local("UTC", "2027-04-01T00:00", "2027-05-03T00:00");
    let credit = FeeCredit {
        basis: CreditBasis::StartedDays,
        percent: Some("5".into()),
        cap: None,
    };
    let found = credit_in("BRL", &fee("100.00", Period::Month), &credit, &of);
    // 30 days at 5 percent in April are capped at 100.00; 2 days in May are 10.00.
    assert_eq!(
        (found.amount.to_string().as_str(), found.capped),
        ("110.00", true)
    );
}

// shows D5
#[test]
fn a_cap_holds_for_each_period_or_for_the_promise() {
    let of = local("UTC", "2027-04-01T00:00", "2027-06-01T00:00");
    let fee = fee("100.00", Period::Month);
    assert_eq!(amount(&fee, &capped("50", CapOf::Period), &of), "100.00");
    assert_eq!(amount(&fee, &capped("50", CapOf::Promise), &of), "50.00");
    assert_eq!(amount(&fee, &capped("120", CapOf::Promise), &of), "120.00");
    // No period gives more than its fee, even with a percentage above 100.
    assert_eq!(amount(&fee, &capped("500", CapOf::Period), &of), "200.00");
    assert_eq!(amount(&fee, &capped("0", CapOf::Period), &of), "0.00");
}

fn earlier(first: &str, last: &str, amount: u32, of_remedy: bool) -> EarlierCredit {
    EarlierCredit {
        name: "earlier".into(),
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
        of_remedy,
        credit: exact(amount.into()),
    }
}

// shows D5
#[test]
fn a_second_delay_in_a_period_gets_what_the_first_left() {
    let of = local("UTC", "2027-04-20T00:00", "2027-05-03T00:00");
    let (fee, credit) = (fee("100.00", Period::Month), capped("50", CapOf::Period));
    let terms = CreditTerms {
        fee: &fee,
        credit: &credit,
        currency: "BRL",
        share: None,
        zone: &of.0,
    };
    let amount = |earlier: &[EarlierCredit]| {
        fee_credit(&terms, &of.1, earlier)
            .unwrap()
            .amount
            .to_string()
    };
    // 11 days in April are 55, capped at 50; 2 days in May are 10.
    assert_eq!(amount(&[]), "60.00");
    let april = |credit, own| earlier("2027-04-01", "2027-04-30", credit, own);
    assert_eq!(amount(&[april(30, true)]), "30.00");
    assert_eq!(amount(&[april(30, true), april(30, true)]), "10.00");
    // Another remedy has a cap of its own, and all together have the fee.
    assert_eq!(amount(&[april(30, false)]), "60.00");
    assert_eq!(amount(&[april(60, false)]), "50.00");
    assert_eq!(amount(&[april(60, false), april(30, true)]), "20.00");
    // Another period is another.
    assert_eq!(
        amount(&[earlier("2027-03-01", "2027-03-31", 30, true)]),
        "60.00"
    );
}

// shows D5
#[test]
fn of_a_fee_for_all_devices_each_has_an_equal_part_of_whole_units() {
    let of = local("UTC", "2027-04-01T00:00", "2027-05-01T00:00");
    let credit = pro_rata(CreditBasis::FullDays);
    for (whole, devices, currency, part) in [
        ("1000.00", 3, "BRL", "333.33"),
        // Rounded to the nearest, three of these would be more than the fee.
        ("20.00", 3, "BRL", "6.66"),
        ("20", 3, "JPY", "6"),
        ("20.000", 3, "KWD", "6.666"),
        ("0.02", 3, "BRL", "0.00"),
        ("20.00", 4, "BRL", "5.00"),
    ] {
        let fee = Fee {
            of: FeeOf::AllDevices,
            ..fee(whole, Period::Month)
        };
        let share = Share { devices };
        let terms = CreditTerms {
            fee: &fee,
            credit: &credit,
            currency,
            share: Some(&share),
            zone: &of.0,
        };
        let found = fee_credit(&terms, &of.1, &[]).unwrap();
        let found = (found.amount.to_string(), found.capped);
        assert_eq!(found, (part.to_owned(), false), "{whole}/{devices}");
    }
}

// shows D5
#[test]
fn half_a_unit_that_comes_of_a_third_is_still_half_a_unit() {
    // 30 percent of a third of 25088.05 is exactly 2508.805; with decimals it would be less.
    let of = local("UTC", "2027-04-01T00:00", "2027-05-01T00:00");
    let fee = Fee {
        of: FeeOf::AllDevices,
        ..fee("25088.05", Period::Month)
    };
    let (credit, share) = (capped("30", CapOf::Promise), Share { devices: 3 });
    let share = Some(&share);
    let terms = CreditTerms {
        fee: &fee,
        credit: &credit,
        currency: "BRL",
        share,
        zone: &of.0,
    };
    assert_eq!(
        fee_credit(&terms, &of.1, &[]).unwrap().amount.to_string(),
        "2508.81"
    );
}

#[test]
fn what_is_no_amount_is_an_error_and_not_a_panic() {
    let of = local("UTC", "2027-04-01T00:00", "2027-05-01T00:00");
    let fee = fee("much", Period::Month);
    let credit = pro_rata(CreditBasis::FullDays);
    let terms = CreditTerms {
        fee: &fee,
        credit: &credit,
        currency: "BRL",
        share: None,
        zone: &of.0,
    };
    assert_eq!(
        fee_credit(&terms, &of.1, &[]),
        Err(AmountError {
            field: "fee.amount",
            found: "much".into()
        })
    );
}

#[test]
fn no_owed_time_owes_nothing() {
    let of = (TimeZone::UTC, vec![]);
    assert_eq!(
        by_basis(&fee("3000.00", Period::Month), &of),
        ["0.00", "0.00", "0.00"]
    );
    let all_time = (
        TimeZone::UTC,
        vec![Interval {
            from: at("9999-12-30T00:00:00Z"),
            until: Timestamp::MAX,
        }],
    );
    assert_eq!(by_basis(&fee("31.00", Period::Month), &all_time).len(), 3);
}
