//! Properties of every compensation, for every promise, delay, fee and remedy (D4, D5, D8).

use entente_crds::v1alpha1::{
    CapOf, Cause, Compensation, CompensationSpec, CountFrom, CreditBasis, CreditCap, Delay,
    ExcludedTime, Fee, FeeCredit, FeeOf, ObjectIdentity, Period, Promise, PromiseState, Record,
    Remedy, RemedyType, ServiceLevel, Share,
};
use entente_domain::compensation::{booking_key, owed_time, report};
use entente_domain::money::{currency_digits, round};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rust_decimal::Decimal;

/// 2027-01-31T23:00:00Z, near the end of a month in every zone.
const PROMISED: i64 = 1_801_436_400;
const DAY: i64 = 86_400;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("inside the range")
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::Device),
        Just(Cause::Server),
        Just(Cause::Provider),
        Just(Cause::Customer)
    ]
}

/// Delays that begin around the promise, with holes and overlaps.
fn delays() -> impl Strategy<Value = Vec<Delay>> {
    let delay = (
        -DAY..90 * DAY,
        proptest::option::of(1..40 * DAY),
        cause(),
        "Busy|Suspended",
    );
    let delay = delay.prop_map(|(from, length, cause, reason)| Delay {
        from: at(PROMISED + from),
        until: length.map(|length| at(PROMISED + from + length)),
        cause,
        reason,
    });
    proptest::collection::vec(delay, 0..8)
}

fn promise() -> impl Strategy<Value = Promise> {
    (delays(), 0..100 * DAY).prop_map(|(delays, late)| Promise {
        proof: None,
        effective: at(PROMISED),
        state: PromiseState::Missed,
        completed: Some(at(PROMISED + late)),
        closed: Some(at(PROMISED + late)),
        delays,
        emitted: vec![],
    })
}

fn excluded(from: i64, until: i64) -> ExcludedTime {
    ExcludedTime {
        from: at(PROMISED + from),
        until: at(PROMISED + until),
    }
}

/// Excluded times around the delays, in any order and with overlaps.
fn exclusions() -> impl Strategy<Value = Vec<ExcludedTime>> {
    let time = (-5 * DAY..100 * DAY, 1..20 * DAY);
    let time = time.prop_map(|(from, length)| excluded(from, from + length));
    proptest::collection::vec(time, 0..5)
}

fn credit() -> impl Strategy<Value = FeeCredit> {
    let basis = prop_oneof![
        Just(CreditBasis::ElapsedTime),
        Just(CreditBasis::StartedDays),
        Just(CreditBasis::FullDays)
    ];
    let of = prop_oneof![Just(CapOf::Period), Just(CapOf::Promise)];
    let cap = (0..200u32, of).prop_map(|(percent, of)| CreditCap {
        percent: percent.to_string(),
        of,
    });
    (
        basis,
        proptest::option::of("[0-9]{1,2}(\\.[0-9]{1,2})?"),
        proptest::option::of(cap),
    )
        .prop_map(|(basis, percent, cap)| FeeCredit {
            basis,
            percent,
            cap,
        })
}

/// Returns a fee with the digits of its currency, and the currency.
fn fee() -> impl Strategy<Value = (Fee, String)> {
    let per = prop_oneof![
        Just(Period::Month),
        Just(Period::Quarter),
        Just(Period::Year)
    ];
    let of = prop_oneof![Just(FeeOf::EachDevice), Just(FeeOf::AllDevices)];
    let currency = prop_oneof![Just("BRL"), Just("JPY"), Just("KWD")];
    (0..10_000_000i64, per, of, currency).prop_map(|(units, per, of, currency)| {
        let amount = Decimal::new(units, currency_digits(currency)).to_string();
        (Fee { amount, per, of }, currency.to_owned())
    })
}

fn record() -> impl Strategy<Value = Record> {
    let zone = prop_oneof![
        Just("America/Sao_Paulo"),
        Just("Europe/Berlin"),
        Just("Pacific/Kiritimati"),
        Just("Pacific/Pago_Pago"),
    ];
    let count = prop_oneof![
        Just(CountFrom::FromPromise),
        Just(CountFrom::AfterAllowance)
    ];
    let causes = proptest::collection::vec(cause(), 0..3);
    (zone, fee(), credit(), count, causes, 1..5i32, 0..50u32).prop_map(
        |(zone, (fee, currency), credit, count, counted_causes, devices, hours)| Record {
            contract: ObjectIdentity {
                name: "c".into(),
                uid: "u".into(),
            },
            subscription: ObjectIdentity {
                name: "c.s.d".into(),
                uid: "v".into(),
            },
            service_name: "s".into(),
            promised: at(PROMISED),
            time_zone: zone.into(),
            currency: Some(currency),
            remedy: Remedy {
                name: "credit".into(),
                r#type: RemedyType::FeeCredit,
                credit: Some(credit),
            },
            fee: Some(fee),
            service_level: ServiceLevel {
                allowed: format!("{hours}h").into(),
                count,
            },
            counted_causes,
            share: Some(Share { devices }),
            ..Record::default()
        },
    )
}

fn compensation(name: &str, mut record: Record) -> Compensation {
    record.booking_key = booking_key("", &record, 1);
    Compensation::new(
        name,
        CompensationSpec {
            record,
            voided: None,
        },
    )
}

/// Returns the compensation with the status that it gets at an instant.
fn reported(
    mut of: Compensation,
    promise: &Promise,
    others: &[Compensation],
    now: Timestamp,
) -> Compensation {
    of.status = Some(report(&of, Some(promise), others, HOUR, now));
    of
}

fn amount(of: &Compensation) -> Decimal {
    let amount = of.status.as_ref().and_then(|status| status.amount.as_ref());
    amount
        .expect("it was calculated")
        .value
        .parse()
        .expect("a decimal")
}

fn fee_of(record: &Record) -> Decimal {
    record
        .fee
        .as_ref()
        .expect("it has a fee")
        .amount
        .parse()
        .expect("a decimal")
}

/// Returns an instant long after every promise here is closed.
fn end() -> Timestamp {
    at(PROMISED + 400 * DAY)
}

proptest! {
    // shows D5
    #[test]
    fn an_amount_is_never_negative_and_never_above_its_caps(record in record(), promise in promise()) {
        let of = reported(compensation("a", record.clone()), &promise, &[], end());
        let found = amount(&of);
        let periods = &of.status.as_ref().unwrap().explanation.as_ref().unwrap().periods;
        prop_assert!(found >= Decimal::ZERO);
        let currency = record.currency.as_deref().unwrap();
        let devices = match record.fee.as_ref().unwrap().of {
            FeeOf::EachDevice => Decimal::ONE,
            FeeOf::AllDevices => Decimal::from(record.share.as_ref().unwrap().devices),
        };
        // Divided last, since a third of a fee is no decimal and may matter at half a unit.
        let of_fee = |percent: Decimal| fee_of(&record) * percent / (devices * Decimal::ONE_HUNDRED);
        let all_periods = Decimal::ONE_HUNDRED * Decimal::from(periods.len());
        let mut most = of_fee(all_periods);
        if let Some(cap) = &record.remedy.credit.as_ref().unwrap().cap {
            let percent: Decimal = cap.percent.parse().unwrap();
            most = most.min(match cap.of {
                CapOf::Period => of_fee(percent * Decimal::from(periods.len())),
                CapOf::Promise => of_fee(percent),
            });
        }
        prop_assert!(found <= round(most, currency), "{found} is above {most}");
    }

    // shows D4
    #[test]
    fn an_amount_never_shrinks_while_it_accrues(
        record in record(), promise in promise(), exclusions in exclusions(),
        first in 0..100 * DAY, more in 0..50 * DAY,
    ) {
        let record = Record { exclusions, ..record };
        let open = Promise { completed: None, closed: None, ..promise };
        let now = |late: i64| {
            amount(&reported(compensation("a", record.clone()), &open, &[], at(PROMISED + late)))
        };
        prop_assert!(now(first) <= now(first + more));
    }

    // shows D8
    #[test]
    fn an_amount_does_not_depend_on_the_order_in_which_others_are_listed(
        record in record(),
        promise in promise(),
        (others, shuffled) in proptest::collection::vec((record(), promise(), any::<bool>()), 0..5)
            .prop_flat_map(|others| (Just(others.clone()), Just(others).prop_shuffle())),
    ) {
        let made = |of: &[(Record, Promise, bool)]| -> Vec<Compensation> {
            of.iter()
                .map(|(other, promise, same_device)| {
                    let mut other = Record { currency: record.currency.clone(), ..other.clone() };
                    if !same_device {
                        other.subscription.name = "c.s.x".into();
                    }
                    // Its name follows from what it is, not from where it is listed.
                    let name = format!("{:?}", (&other, promise));
                    reported(compensation(&name, other), promise, &[], end())
                })
                .collect()
        };
        let of = |others: &[(Record, Promise, bool)]| {
            reported(compensation("m", record.clone()), &promise, &made(others), end()).status
        };
        prop_assert_eq!(of(&others), of(&shuffled));
    }

    // shows D8
    #[test]
    fn all_compensations_of_a_period_together_give_at_most_its_fee(
        record in record(), hours in proptest::collection::vec(1..300i64, 1..9),
    ) {
        // All promises lie in the first days of February, in every zone.
        let mut given: Vec<Compensation> = Vec::new();
        for (index, late) in hours.iter().enumerate() {
            let promised = PROMISED + 3 * DAY + i64::try_from(index).unwrap() * 3_600;
            let closed = Some(at(promised + late * 3_600));
            let promise = Promise {
                proof: None,
                effective: at(promised),
                state: PromiseState::Missed,
                completed: closed,
                closed,
                delays: vec![],
                emitted: vec![],
            };
            let mut record = Record { promised: at(promised), ..record.clone() };
            record.counted_causes = vec![];
            if record.fee.as_ref().unwrap().of == FeeOf::AllDevices {
                // Of the devices that share the fee there are no more than its record says.
                let devices = usize::try_from(record.share.as_ref().unwrap().devices).unwrap();
                record.subscription.name = format!("c.s.d{}", index % devices);
            }
            let of = reported(compensation(&index.to_string(), record), &promise, &given, end());
            given.push(of);
        }
        let sum: Decimal = given.iter().map(amount).sum();
        prop_assert!(sum <= fee_of(&record), "{sum} is more than the fee");
    }

    /// Neither names nor the order in which amounts become final decide what is owed.
    // shows D5 D8
    #[test]
    fn what_the_remedies_of_a_device_give_together_is_the_same_in_every_order(
        remedies in proptest::collection::vec((1..100u32, proptest::option::of(0..120u32)), 1..4),
        (names, order) in (Just(["a", "b", "c"].to_vec()).prop_shuffle(), Just(vec![0, 1, 2]).prop_shuffle()),
        other in proptest::option::of(1..100u32),
    ) {
        let closed = Some(at(PROMISED + 3 * DAY + 3_600));
        let promise = Promise {
            proof: None,
            effective: at(PROMISED + 3 * DAY),
            state: PromiseState::Missed,
            completed: closed,
            closed,
            delays: vec![],
            emitted: vec![],
        };
        let made = |index: usize, name: &str, device: &str| {
            let (percent, cap) = remedies[index];
            let credit = FeeCredit {
                basis: CreditBasis::StartedDays,
                percent: Some(percent.to_string()),
                cap: cap.map(|percent| CreditCap { percent: percent.to_string(), of: CapOf::Period }),
            };
            let mut record = Record {
                promised: promise.effective,
                time_zone: "UTC".into(),
                currency: Some("BRL".into()),
                fee: Some(Fee { amount: "70.00".into(), of: FeeOf::AllDevices, ..Fee::default() }),
                share: Some(Share { devices: 3 }),
                remedy: Remedy { name: index.to_string(), r#type: RemedyType::FeeCredit, credit: Some(credit) },
                ..Record::default()
            };
            record.subscription.name = device.into();
            record.contract.name = "c".into();
            record.service_level.allowed = "0s".into();
            compensation(name, record)
        };
        let sum = |names: &[&str], order: &[usize], others: Vec<Compensation>| -> Decimal {
            let mut given = others;
            let before = given.len();
            for index in order.iter().filter(|index| **index < remedies.len()) {
                let of = made(*index, names[*index], "c.s.d");
                given.push(reported(of, &promise, &given, end()));
            }
            given[before..].iter().map(amount).sum()
        };
        let expected = sum(&["a", "b", "c"], &[0, 1, 2], vec![]);
        // Of another device nothing is taken, whether it came first or not.
        let others = other.map(|_| reported(made(0, "x", "c.s.x"), &promise, &[], end()));
        prop_assert_eq!(sum(&names, &order, others.into_iter().collect()), expected);
    }

    // shows D9
    #[test]
    fn a_delay_that_is_written_in_two_parts_is_worth_the_same(
        record in record(), promise in promise(), which in any::<prop::sample::Index>(), part in 1..99i64,
    ) {
        let mut promise = promise;
        promise.delays.push(Delay {
            from: at(PROMISED),
            until: None,
            cause: Cause::Device,
            reason: "Unreachable".into(),
        });
        let mut split = promise.clone();
        let index = which.index(split.delays.len());
        let whole = split.delays[index].clone();
        let until = whole.until.unwrap_or_else(end);
        let cut = whole.from + SignedDuration::from_secs(until.duration_since(whole.from).as_secs() * part / 100);
        split.delays[index].until = Some(cut);
        split.delays.push(Delay { from: cut, ..whole });
        let of = |promise: &Promise| reported(compensation("a", record.clone()), promise, &[], end());
        prop_assert_eq!(of(&promise).status, of(&split).status);
    }

    // shows D4 D9
    #[test]
    fn owed_time_is_ordered_disjoint_and_accounted_for(
        record in record(), promise in promise(), exclusions in exclusions(),
    ) {
        let record = Record { exclusions, ..record };
        let owed = owed_time(&promise, &(&record).into(), end()).unwrap();
        let sum = |lengths: &mut dyn Iterator<Item = SignedDuration>| {
            lengths.fold(SignedDuration::ZERO, |sum, length| sum + length)
        };
        prop_assert!(owed.owed.iter().all(|part| part.from < part.until));
        prop_assert!(owed.owed.windows(2).all(|pair| pair[0].until < pair[1].from));
        prop_assert_eq!(sum(&mut owed.owed.iter().map(|part| part.length())), owed.counted);
        prop_assert_eq!(sum(&mut owed.causes.iter().map(|cause| cause.counted)), owed.counted);
        let late = promise.closed.unwrap().duration_since(promise.effective);
        let caused = sum(&mut owed.causes.iter().map(|cause| cause.total));
        prop_assert_eq!(caused + owed.excluded, late);
    }

    // shows D9
    #[test]
    fn where_everything_is_excluded_nothing_is_owed_and_all_of_it_is_told(
        record in record(), promise in promise(), cut in 0..100 * DAY,
    ) {
        let exclusions = vec![excluded(cut, 400 * DAY), excluded(-DAY, cut)];
        let record = Record { exclusions, ..record };
        let of = reported(compensation("a", record.clone()), &promise, &[], end());
        prop_assert_eq!(amount(&of), Decimal::ZERO);
        let owed = owed_time(&promise, &(&record).into(), end()).unwrap();
        let late = promise.closed.unwrap().duration_since(promise.effective);
        prop_assert_eq!(owed.excluded, late);
        prop_assert!(owed.owed.is_empty() && owed.causes.is_empty());
    }

    // shows D9
    #[test]
    fn an_exclusion_never_raises_an_amount_nor_owes_a_time_that_was_not_owed(
        record in record(), promise in promise(), exclusions in exclusions(), more in exclusions(),
    ) {
        let few = Record { exclusions: exclusions.clone(), ..record.clone() };
        let many = Record { exclusions: [exclusions, more].concat(), ..record };
        let of = |record: &Record| {
            amount(&reported(compensation("a", record.clone()), &promise, &[], end()))
        };
        prop_assert!(of(&many) <= of(&few));
        let owed = |record: &Record| owed_time(&promise, &record.into(), end()).unwrap().owed;
        let before = owed(&few);
        let inside = owed(&many).iter().all(|part| {
            before.iter().any(|whole| whole.from <= part.from && part.until <= whole.until)
        });
        prop_assert!(inside, "{before:?}");
    }

    // shows D9
    #[test]
    fn an_exclusion_that_the_delay_does_not_touch_changes_nothing(
        record in record(), promise in promise(), length in 1..50 * DAY,
    ) {
        let closed = promise.closed.unwrap().duration_since(at(PROMISED)).as_secs();
        let around = vec![excluded(closed, closed + length), excluded(-length, 0)];
        let excluding = Record { exclusions: around, ..record.clone() };
        let of = |record: Record| reported(compensation("a", record), &promise, &[], end());
        prop_assert_eq!(of(excluding).status, of(record).status);
    }

    // shows D9
    #[test]
    fn neither_the_order_of_exclusions_nor_how_they_are_cut_makes_a_difference(
        record in record(), promise in promise(), exclusions in exclusions(), part in 1..99i64,
    ) {
        let cut = exclusions.iter().rev().flat_map(|time| {
            let length = time.until.duration_since(time.from).as_secs() * part / 100;
            let middle = time.from + SignedDuration::from_secs(length);
            let (from, until) = (time.from, time.until);
            [ExcludedTime { from: middle, until }, ExcludedTime { from, until: middle }]
        });
        let cut = Record { exclusions: cut.collect(), ..record.clone() };
        let whole = Record { exclusions, ..record };
        let of = |record: Record| reported(compensation("a", record), &promise, &[], end());
        prop_assert_eq!(of(cut).status, of(whole).status);
    }
}
