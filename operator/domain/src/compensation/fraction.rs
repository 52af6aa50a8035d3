//! Fractions that are never negative: exact shares of a fee until the one rounding at the end.
//!
//! A third of a fee has no exact decimal, and three of them must be the fee again. Called by the
//! fee credit only.

use std::cmp::Ordering;

use rust_decimal::Decimal;

/// A fraction of whole numbers, reduced, never negative.
///
/// Exact as long as both numbers stay below 2^127, which they do for every fee, period and number
/// of devices of real life. Beyond that the lowest bits go; nothing overflows or panics.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fraction {
    numerator: u128,
    denominator: u128,
}

impl Fraction {
    /// Nothing.
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };

    /// `numerator / denominator`; zero where the denominator is zero.
    pub fn new(numerator: u128, denominator: u128) -> Self {
        if denominator == 0 {
            return Self::ZERO;
        }
        let common = greatest_common_divisor(numerator, denominator);
        Self {
            numerator: numerator / common,
            denominator: denominator / common,
        }
    }

    /// A decimal; a negative one is zero.
    pub fn from_decimal(decimal: Decimal) -> Self {
        let numerator = u128::try_from(decimal.mantissa()).unwrap_or(0);
        Self::new(numerator, 10_u128.pow(decimal.scale()))
    }

    /// `numerator / denominator`; zero where the denominator is zero.
    pub fn ratio(numerator: Decimal, denominator: Decimal) -> Self {
        let below = Self::from_decimal(denominator);
        let inverse = Self::new(below.denominator, below.numerator);
        Self::from_decimal(numerator).times(inverse)
    }

    /// The product.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let (mut left, mut right) = (
            Self::new(self.numerator, other.denominator),
            Self::new(other.numerator, self.denominator),
        );
        loop {
            let numerator = left.numerator.checked_mul(right.numerator);
            let denominator = left.denominator.checked_mul(right.denominator);
            if let (Some(numerator), Some(denominator)) = (numerator, denominator) {
                return Self::new(numerator, denominator);
            }
            (left, right) = (left.coarser(), right.coarser());
        }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.combined(other, u128::checked_add)
    }

    /// The difference, zero where it would be negative.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        if self <= other {
            return Self::ZERO;
        }
        self.combined(other, |left, right| Some(left.saturating_sub(right)))
    }

    fn combined(self, other: Self, operation: fn(u128, u128) -> Option<u128>) -> Self {
        let (mut left, mut right) = (self, other);
        loop {
            let common = greatest_common_divisor(left.denominator, right.denominator);
            let (by_right, by_left) = (right.denominator / common, left.denominator / common);
            let numerator = left
                .numerator
                .checked_mul(by_right)
                .zip(right.numerator.checked_mul(by_left))
                .and_then(|(left, right)| operation(left, right));
            if let Some((numerator, denominator)) =
                numerator.zip(left.denominator.checked_mul(by_right))
            {
                return Self::new(numerator, denominator);
            }
            (left, right) = (left.coarser(), right.coarser());
        }
    }

    /// Itself with one bit less, unless it is small enough for every operation. A whole number that
    /// is too large becomes the largest that is not.
    fn coarser(self) -> Self {
        const ENOUGH: u128 = 1 << 62;
        if self.numerator.max(self.denominator) < ENOUGH {
            return self;
        }
        match self.denominator {
            1 => Self {
                numerator: ENOUGH - 1,
                denominator: 1,
            },
            _ => Self::new(self.numerator >> 1, self.denominator >> 1),
        }
    }

    /// Rounded once to so many digits behind the point, half away from zero.
    pub fn rounded(self, digits: u32) -> Decimal {
        let (truncated, rest, denominator) = self.split(digits);
        let up = rest >= denominator - rest;
        decimal(truncated.saturating_add(u128::from(up)), digits)
    }

    /// Cut to so many digits behind the point, toward zero.
    pub fn truncated(self, digits: u32) -> Decimal {
        decimal(self.split(digits).0, digits)
    }

    /// The whole number of units of `10^-digits`, and what is left of a unit as a fraction.
    fn split(self, digits: u32) -> (u128, u128, u128) {
        let mut units = self.numerator / self.denominator;
        let (mut rest, mut denominator) = (self.numerator % self.denominator, self.denominator);
        for _ in 0..digits {
            while rest.checked_mul(10).is_none() {
                (rest, denominator) = (rest >> 1, denominator >> 1);
            }
            rest *= 10;
            units = units.saturating_mul(10).saturating_add(rest / denominator);
            rest %= denominator;
        }
        (units, rest, denominator)
    }
}

fn decimal(units: u128, digits: u32) -> Decimal {
    i128::try_from(units)
        .ok()
        .and_then(|units| Decimal::try_from_i128_with_scale(units, digits).ok())
        .unwrap_or(Decimal::MAX)
}

impl Ord for Fraction {
    /// By whole parts first and then by the inverse of what is left, so that nothing overflows.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (*self, *other);
        loop {
            let whole = |value: Self| value.numerator / value.denominator;
            let order = whole(left).cmp(&whole(right));
            let (left_rest, right_rest) = (
                left.numerator % left.denominator,
                right.numerator % right.denominator,
            );
            if order != Ordering::Equal || left_rest == 0 || right_rest == 0 {
                return order.then(left_rest.min(1).cmp(&right_rest.min(1)));
            }
            let (next_left, next_right) = (
                Self {
                    numerator: right.denominator,
                    denominator: right_rest,
                },
                Self {
                    numerator: left.denominator,
                    denominator: left_rest,
                },
            );
            (left, right) = (next_left, next_right);
        }
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn greatest_common_divisor(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left.max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("the test's own decimal")
    }

    // shows D5
    #[test]
    fn three_thirds_of_half_a_unit_are_rounded_as_half_a_unit() {
        let third = Fraction::ratio(decimal("0.005"), decimal("3"));
        assert_eq!(third.plus(third).plus(third).rounded(2), decimal("0.01"));
        assert_eq!(third.plus(third).rounded(2), decimal("0.00"));
    }

    #[test]
    fn a_fraction_of_zero_parts_is_nothing() {
        assert_eq!(Fraction::new(5, 0), Fraction::ZERO);
        assert_eq!(Fraction::ratio(decimal("5"), Decimal::ZERO), Fraction::ZERO);
        assert_eq!(Fraction::from_decimal(decimal("-5")), Fraction::ZERO);
    }

    #[test]
    fn numbers_beyond_all_bounds_lose_bits_and_do_not_panic() {
        let huge = Fraction::new(u128::MAX, 3);
        let tiny = Fraction::new(3, u128::MAX);
        assert!(huge.times(huge).plus(huge).rounded(2) > decimal("1000000000000000000"));
        assert_eq!(huge.rounded(2), Decimal::MAX);
        assert_eq!(tiny.times(tiny).plus(tiny).rounded(4), decimal("0.0000"));
        assert_eq!(
            (huge.cmp(&tiny), tiny.cmp(&huge)),
            (Ordering::Greater, Ordering::Less)
        );
        assert_eq!(huge.times(tiny), Fraction::new(1, 1));
        let odd = Fraction::new(u128::MAX - 1, u128::MAX);
        assert_eq!(odd.plus(odd).rounded(3), decimal("2.000"));
        assert_eq!(odd.rounded(3), decimal("1.000"));
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_cross_products(a in 0u64.., b in 1u64.., c in 0u64.., d in 1u64..) {
            let left = Fraction::new(a.into(), b.into());
            let right = Fraction::new(c.into(), d.into());
            let expected = (u128::from(a) * u128::from(d)).cmp(&(u128::from(c) * u128::from(b)));
            prop_assert_eq!(left.cmp(&right), expected);
        }

        #[test]
        fn a_sum_less_one_part_is_the_other_part(a in 0u64..1 << 40, b in 1u64..1 << 20, c in 0u64..1 << 40, d in 1u64..1 << 20) {
            let left = Fraction::new(a.into(), b.into());
            let right = Fraction::new(c.into(), d.into());
            prop_assert_eq!(left.plus(right).less(right), left);
            prop_assert_eq!(right.less(left.plus(right)), Fraction::ZERO);
        }

        #[test]
        fn a_decimal_is_rounded_as_the_decimal_itself_is(units in 0i64..1_000_000_000, scale in 0u32..8, digits in 0u32..5) {
            let value = Decimal::new(units, scale);
            let expected = value.round_dp_with_strategy(digits, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
            prop_assert_eq!(Fraction::from_decimal(value).rounded(digits), expected);
        }
    }
}
