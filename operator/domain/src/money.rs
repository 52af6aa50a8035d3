//! Amounts of money: decimals, the digits of each currency (ISO 4217), rounding and writing.
//!
//! Decides how many digits an amount has and how it is rounded: once, half away from zero. It must
//! never use floating point. Called by `compensation` and by everything that sums amounts owed.

#![deny(
    clippy::float_arithmetic,
    reason = "money is exact until it is rounded once"
)]

use entente_crds::v1alpha1::{Amount, CreditCap, Fee, FeeCredit};
use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

/// Returns the number of digits after the decimal point in amounts of a currency: 2 unless ISO 4217
/// has another, also for a text that is no currency, so that a record in it stays readable.
pub fn currency_digits(currency: &str) -> u32 {
    iso_digits(currency).unwrap_or(2)
}

/// Returns the digits of a currency of ISO 4217, superseded ones among them; `None` for other texts
/// and for codes without a minor unit, as `XXX` and metals.
pub fn iso_digits(currency: &str) -> Option<u32> {
    let digits = Currency::from_code(currency)?.exponent()?;
    Some(digits.into())
}

/// A field whose text is no amount or percentage.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: \"{found}\" must be a decimal without a sign such as \"3000\" or \"12.50\"")]
pub struct AmountError {
    /// The field, from its entry in a contract or from the record on.
    pub field: &'static str,
    /// The text that was found.
    pub found: String,
}

/// Returns the amount of a fee: at most 12 digits before and 6 behind the point, no sign, as the
/// schema of `entente_crds::schema::amount` has it.
///
/// # Errors
/// Names the field, what was found and what is allowed.
pub fn fee_amount(fee: &Fee) -> Result<Decimal, AmountError> {
    read("fee.amount", &fee.amount, (12, 6))
}

/// Returns the percentage of the fee for each day, if a credit has one: at most 3 digits before and 4
/// behind the point, without the sign `%`, as the schema of `entente_crds::schema::percent` has it.
///
/// # Errors
/// As of [`fee_amount`].
pub fn credit_percent(credit: &FeeCredit) -> Result<Option<Decimal>, AmountError> {
    let percent = credit.percent.as_deref();
    let read = percent.map(|text| read("remedy.credit.percent", text, (3, 4)));
    read.transpose()
}

/// Returns the percentage of a cap, as [`credit_percent`] does.
///
/// # Errors
/// As of [`fee_amount`].
pub fn cap_percent(cap: &CreditCap) -> Result<Decimal, AmountError> {
    read("remedy.credit.cap.percent", &cap.percent, (3, 4))
}

/// Returns an amount that [`format_amount`] wrote into a status: a sum, which may have more digits
/// than a fee. `None` for a text that somebody else put there.
pub fn amount_owed(amount: &Amount) -> Option<Decimal> {
    let value: Decimal = amount.value.parse().ok()?;
    (!value.is_sign_negative()).then_some(value)
}

fn read(
    field: &'static str,
    text: &str,
    (before, behind): (usize, usize),
) -> Result<Decimal, AmountError> {
    unsigned(text, before, behind).ok_or_else(|| AmountError {
        field,
        found: text.to_owned(),
    })
}

/// Reads a decimal without a sign with at most that many digits; stricter than the parser of the
/// decimal, which also accepts signs, underscores and missing parts.
fn unsigned(text: &str, before: usize, behind: usize) -> Option<Decimal> {
    let digits = |part: &str, most: usize| {
        !part.is_empty() && part.len() <= most && part.bytes().all(|digit| digit.is_ascii_digit())
    };
    let fits = match text.split_once('.') {
        None => digits(text, before),
        Some((whole, part)) => digits(whole, before) && digits(part, behind),
    };
    if fits { text.parse().ok() } else { None }
}

/// Returns an amount rounded to the digits of its currency, half away from zero.
pub fn round(amount: Decimal, currency: &str) -> Decimal {
    amount.round_dp_with_strategy(
        currency_digits(currency),
        RoundingStrategy::MidpointAwayFromZero,
    )
}

/// Returns an amount with exactly the digits of its currency, such as `0.63`, rounded to them.
pub fn format_amount(amount: Decimal, currency: &str) -> String {
    let digits = currency_digits(currency);
    let mut rounded = round(amount, currency);
    rounded.rescale(digits);
    rounded.to_string()
}

/// Returns an amount with its currency, such as `BRL 0.63`.
pub fn summary(amount: Decimal, currency: &str) -> String {
    format!("{currency} {}", format_amount(amount, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("the test's own amount")
    }

    // shows D5
    #[test]
    fn an_amount_has_the_digits_of_its_currency() {
        for (currency, amount, text) in [
            ("BRL", "12.5", "12.50"),
            ("JPY", "1234.5", "1235"),
            ("KRW", "0.49", "0"),
            ("KWD", "1.2345", "1.235"),
            ("CLF", "1", "1.0000"),
            ("XYZ", "1", "1.00"),
        ] {
            assert_eq!(format_amount(decimal(amount), currency), text, "{currency}");
        }
        assert_eq!(summary(decimal("0.625"), "BRL"), "BRL 0.63");
    }

    /// ISO 4217, list one, "minor unit": those that do not have two digits.
    const OTHER_THAN_TWO: &[(u32, &[&str])] = &[
        (
            0,
            &[
                "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI",
                "VND", "VUV", "XAF", "XOF", "XPF",
            ],
        ),
        (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
        (4, &["CLF", "UYW"]),
    ];

    // shows D5
    #[test]
    fn the_digits_are_those_of_iso_4217_and_other_texts_are_no_currencies() {
        for (digits, currencies) in OTHER_THAN_TWO {
            for currency in *currencies {
                assert_eq!(iso_digits(currency), Some(*digits), "{currency}");
            }
        }
        for currency in ["BRL", "EUR", "USD", "CHF"] {
            assert_eq!(iso_digits(currency), Some(2), "{currency}");
        }
        for none in ["YEN", "BTC", "XXX", "XTS", "XAU", "brl", ""] {
            assert_eq!(iso_digits(none), None, "{none}");
            assert_eq!(currency_digits(none), 2, "{none}");
        }
    }

    // shows D5
    #[test]
    fn half_a_unit_is_rounded_away_from_zero_and_not_to_the_even_one() {
        assert_eq!(round(decimal("0.125"), "EUR"), decimal("0.13"));
        assert_eq!(round(decimal("0.135"), "EUR"), decimal("0.14"));
        assert_eq!(round(decimal("0.1249999"), "EUR"), decimal("0.12"));
        assert_eq!(round(decimal("-0.125"), "EUR"), decimal("-0.13"));
    }

    fn fee(amount: &str) -> Fee {
        Fee {
            amount: amount.to_owned(),
            ..Fee::default()
        }
    }

    #[test]
    fn amounts_are_read_as_the_schema_accepts_them() {
        for text in ["3000", "12.50", "0", "999999999999.999999"] {
            assert_eq!(fee_amount(&fee(text)), Ok(decimal(text)));
        }
        for text in [
            "",
            "-1",
            "+1",
            "1.",
            ".5",
            "1,5",
            "1e3",
            "1_000",
            "1234567890123",
            "1.2345678",
        ] {
            let refused = fee_amount(&fee(text)).expect_err(text);
            assert_eq!(
                refused.to_string(),
                format!(
                    "fee.amount: \"{text}\" must be a decimal without a sign such as \"3000\" or \
                     \"12.50\""
                )
            );
        }
    }

    #[test]
    fn percentages_are_read_as_the_schema_accepts_them_and_named_by_their_field() {
        let credit = |percent: &str| FeeCredit {
            percent: Some(percent.to_owned()),
            ..FeeCredit::default()
        };
        let cap = |percent: &str| CreditCap {
            percent: percent.to_owned(),
            ..CreditCap::default()
        };
        assert_eq!(credit_percent(&FeeCredit::default()), Ok(None));
        assert_eq!(credit_percent(&credit("2.5")), Ok(Some(decimal("2.5"))));
        assert_eq!(cap_percent(&cap("50")), Ok(decimal("50")));
        let found = || "1000".to_owned();
        let refused = |field| AmountError {
            field,
            found: found(),
        };
        assert_eq!(
            credit_percent(&credit("1000")),
            Err(refused("remedy.credit.percent"))
        );
        assert_eq!(
            cap_percent(&cap("1000")),
            Err(refused("remedy.credit.cap.percent"))
        );
    }

    // shows D5
    #[test]
    fn an_amount_that_was_written_is_read_whatever_its_digits() {
        for (value, amount) in [
            ("0.63", Some("0.63")),
            ("1234567890123.00", Some("1234567890123.00")),
            ("much", None),
            ("-1", None),
        ] {
            let written = Amount {
                currency: "BRL".to_owned(),
                value: value.to_owned(),
            };
            assert_eq!(amount_owed(&written), amount.map(decimal), "{value}");
        }
    }
}
