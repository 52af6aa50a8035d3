//! Exact numbers: decimals as fractions, and fractions as decimals again.
//!
//! Exact arithmetic: a third of a fee has no exact decimal, and three of them must be the fee
//! again, so money is a [`BigRational`] from the terms to the one rounding at the end. Decides how
//! a fraction becomes a decimal; must never round anything else. Called by the fee credit and by
//! the reader of earlier credits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use entente_crds::schema::MAX_WHOLE_NUMBER;
use entente_crds::v1alpha1::ExactNumber;
use num_bigint::{BigInt, BigUint};
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};
use rust_decimal::Decimal;

/// Returns a decimal as a fraction.
pub(super) fn exact(decimal: Decimal) -> BigRational {
    let scale = BigInt::from(10_u8).pow(decimal.scale());
    BigRational::new(decimal.mantissa().into(), scale)
}

/// Returns `numerator / denominator`; zero where the denominator is zero, since no part of nothing
/// is owed.
pub(super) fn quotient(numerator: Decimal, denominator: Decimal) -> BigRational {
    if denominator.is_zero() {
        return BigRational::zero();
    }
    exact(numerator) / exact(denominator)
}

/// Returns `whole - part`; zero where more is taken than there is, since a cap is never negative.
pub(super) fn rest(whole: &BigRational, part: &BigRational) -> BigRational {
    (whole - part).max(BigRational::zero())
}

/// Adds up exact amounts: those of one denominator first, since thousands of devices that share a
/// fee have few denominators, and bringing two of them to a common one is expensive.
pub(super) fn total<'a>(amounts: impl Iterator<Item = &'a BigRational>) -> BigRational {
    let mut numerators: BTreeMap<&BigInt, BigInt> = BTreeMap::new();
    for amount in amounts {
        *numerators.entry(amount.denom()).or_default() += amount.numer();
    }
    let sums = numerators.into_iter();
    let sums = sums.map(|(denominator, sum)| BigRational::new(sum, denominator.clone()));
    sums.fold(BigRational::zero(), |total, sum| total + sum)
}

/// Returns a number as the status keeps it; `None` where it has more digits than a field holds.
pub(super) fn field_of(value: &BigRational) -> Option<ExactNumber> {
    let number = ExactNumber {
        numerator: value.numer().to_string(),
        denominator: value.denom().to_string(),
    };
    let digits = number.numerator.len().max(number.denominator.len());
    (digits <= MAX_WHOLE_NUMBER).then_some(number)
}

/// Reads a number that the status keeps; `None` if it is not a number, such as one with denominator
/// zero.
pub(super) fn read_field(number: &ExactNumber) -> Option<BigRational> {
    let whole = |digits: &str| digits.parse::<BigUint>().ok().map(BigInt::from);
    let (numerator, denominator) = (whole(&number.numerator)?, whole(&number.denominator)?);
    // They were written in lowest terms.
    (!denominator.is_zero()).then(|| BigRational::new_raw(numerator, denominator))
}

/// Rounds once to so many digits behind the point, half away from zero.
pub(super) fn rounded(value: &BigRational, digits: u32) -> Decimal {
    decimal(&shifted(value, digits).round(), digits)
}

/// Cuts to so many digits behind the point, toward zero.
pub(super) fn truncated(value: &BigRational, digits: u32) -> Decimal {
    decimal(&shifted(value, digits).trunc(), digits)
}

/// Spreads a total over parts by largest remainder, in units of `10^-digits`: each part gets its
/// whole units, and those with the largest rest one more until the total is reached; of equal rests
/// the first. The result sums to the total where that lies between the sum of the parts rounded
/// down and that of the parts rounded up, as the rounded sum of the parts does.
pub(super) fn spread(total: Decimal, parts: &[BigRational], digits: u32) -> Vec<Decimal> {
    let parts: Vec<_> = parts.iter().map(|part| shifted(part, digits)).collect();
    let mut units: Vec<_> = parts.iter().map(BigRational::floor).collect();
    let given: BigRational = units.iter().sum();
    let left = shifted(&exact(total), digits) - given;
    let left = left.to_integer().to_usize().unwrap_or_default();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    // Stable: of equal rests the first one comes first.
    order.sort_by_key(|index| Reverse(parts[*index].fract()));
    for index in order.into_iter().take(left) {
        units[index] += BigRational::one();
    }
    units.iter().map(|units| decimal(units, digits)).collect()
}

fn shifted(value: &BigRational, digits: u32) -> BigRational {
    value * BigInt::from(10_u8).pow(digits)
}

/// Returns a whole number of units of `10^-digits`; what no decimal can hold is the largest one.
fn decimal(units: &BigRational, digits: u32) -> Decimal {
    units
        .to_integer()
        .to_i128()
        .and_then(|units| Decimal::try_from_i128_with_scale(units, digits).ok())
        .unwrap_or(Decimal::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::RoundingStrategy;

    use super::*;

    fn text(text: &str) -> Decimal {
        text.parse().expect("the test's own decimal")
    }

    // shows D5
    #[test]
    fn three_thirds_of_half_a_unit_are_rounded_as_half_a_unit() {
        let third = quotient(text("0.005"), text("3"));
        assert_eq!(rounded(&(&third + &third + &third), 2), text("0.01"));
        assert_eq!(rounded(&(&third + &third), 2), text("0.00"));
    }

    #[test]
    fn a_fraction_of_zero_parts_is_nothing() {
        assert!(quotient(text("5"), Decimal::ZERO).is_zero());
    }

    #[test]
    fn a_cap_of_which_more_was_taken_than_it_is_has_nothing_left() {
        let (one, two) = (exact(text("1")), exact(text("2")));
        assert_eq!(rest(&two, &one), one);
        assert!(rest(&one, &two).is_zero());
    }

    #[test]
    fn numbers_beyond_every_decimal_are_exact_until_they_are_written() {
        let huge = exact(Decimal::MAX) * exact(Decimal::MAX);
        assert_eq!(rounded(&huge, 2), Decimal::MAX);
        assert_eq!(rounded(&(&huge / &huge), 3), text("1.000"));
        let tiny = exact(text("3")) / &huge;
        assert_eq!(rounded(&(&tiny * &huge), 0), text("3"));
        assert_eq!(rounded(&tiny, 4), text("0.0000"));
    }

    #[test]
    fn a_cut_never_gives_more_than_there_is() {
        let two_thirds = quotient(text("2"), text("3"));
        assert_eq!(truncated(&two_thirds, 4), text("0.6666"));
        assert_eq!(rounded(&two_thirds, 4), text("0.6667"));
    }

    #[test]
    fn a_number_is_kept_in_lowest_terms_and_read_back_as_it_was() {
        let share = quotient(text("12.5"), text("100"));
        let kept = field_of(&share).expect("it is short");
        assert_eq!(
            (kept.numerator.as_str(), kept.denominator.as_str()),
            ("1", "8")
        );
        assert_eq!(read_field(&kept), Some(share));
    }

    #[test]
    fn what_is_longer_than_a_field_or_no_number_is_left_out() {
        let widest = BigInt::from(10_u8).pow(255).into();
        assert!(field_of(&widest).is_some());
        assert!(field_of(&(widest * BigInt::from(10_u8))).is_none());
        for (numerator, denominator) in [("1", "0"), ("", "1"), ("1", "x"), ("-1", "2")] {
            let number = ExactNumber {
                numerator: numerator.to_owned(),
                denominator: denominator.to_owned(),
            };
            assert_eq!(read_field(&number), None, "{numerator}/{denominator}");
        }
    }

    proptest! {
        #[test]
        fn a_total_is_the_sum_one_by_one(
            parts in proptest::collection::vec((0u32..1_000, 1u32..12), 0..12),
        ) {
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(numerator, denominator)| quotient(numerator.into(), denominator.into()))
                .collect();
            let one_by_one = parts.iter().fold(BigRational::zero(), |sum, part| sum + part);
            prop_assert_eq!(total(parts.iter()), one_by_one);
        }

        // shows D5
        #[test]
        fn whole_units_are_spread_to_the_total_and_each_part_is_within_one_of_its_exact_share(
            parts in proptest::collection::vec((0u32..1_000, 1u32..12), 0..12), digits in 0u32..4,
        ) {
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(numerator, denominator)| quotient(numerator.into(), denominator.into()))
                .collect();
            let whole = rounded(&total(parts.iter()), digits);
            let spread = spread(whole, &parts, digits);
            prop_assert_eq!(spread.iter().sum::<Decimal>(), whole);
            let unit = exact(Decimal::new(1, digits));
            for (given, part) in spread.iter().zip(&parts) {
                let given = exact(*given);
                prop_assert!(given < part + &unit && *part < given + &unit);
            }
        }

        #[test]
        fn a_decimal_is_rounded_as_the_decimal_itself_is(
            units in 0i64..1_000_000_000, scale in 0u32..8, digits in 0u32..5,
        ) {
            let value = Decimal::new(units, scale);
            let half_up = RoundingStrategy::MidpointAwayFromZero;
            let expected = value.round_dp_with_strategy(digits, half_up);
            prop_assert_eq!(rounded(&exact(value), digits), expected);
        }
    }
}
