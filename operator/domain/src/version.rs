//! Versions of software: which texts are one, and which of two is newer.
//!
//! Decides nothing else. A version is numbers with dots between them; numbers that are missing at the
//! end are zero. Everything else is refused: to guess an order could put an older version in the place
//! of a newer one. Called by delivery.

/// A version, by which it is compared with others.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// The numbers, without zeros at the end.
    numbers: Vec<u64>,
}

/// A text that is no version.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{found}\" is no version: must be numbers with dots between them, such as \"4.2.0\"")]
pub struct NoVersion {
    /// The text that was found.
    pub found: String,
}

/// The largest number of digits of one number: what a `u64` has in any case.
const MOST_DIGITS: usize = 18;

impl Version {
    /// Returns the version that a text says.
    ///
    /// # Errors
    /// Names the text, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, NoVersion> {
        let number = |part: &str| {
            let is_number = (1..=MOST_DIGITS).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse().ok()).flatten()
        };
        let numbers: Option<Vec<u64>> = text.split('.').map(number).collect();
        let mut numbers = numbers.ok_or_else(|| NoVersion {
            found: text.to_owned(),
        })?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self { numbers })
    }
}

/// True if a version is another one or newer; of what is no version nothing is known.
pub fn is_at_least(one: &str, other: &str) -> bool {
    match (Version::parse(one), Version::parse(other)) {
        (Ok(one), Ok(other)) => one >= other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    // shows B6
    #[test]
    fn versions_are_compared_number_by_number_and_not_as_texts() {
        for (one, order, other) in [
            ("4.2.0", Ordering::Less, "4.10.0"),
            ("9", Ordering::Less, "10"),
            ("4.2", Ordering::Equal, "4.2.0"),
            ("4.2", Ordering::Less, "4.2.0.1"),
            ("4.2.1", Ordering::Greater, "4.2"),
            ("07.1", Ordering::Equal, "7.01"),
            ("0", Ordering::Equal, "0.0.0"),
            ("0", Ordering::Less, "0.0.1"),
            ("20270401123000", Ordering::Less, "20270401123001"),
            (
                "1.999999999999999999",
                Ordering::Greater,
                "1.999999999999999998",
            ),
        ] {
            assert_eq!(version(one).cmp(&version(other)), order, "{one} {other}");
        }
    }

    // shows B6
    #[test]
    fn a_text_whose_order_nobody_can_know_is_no_version() {
        for text in [
            "",
            " ",
            ".",
            "4.",
            ".4",
            "4..2",
            "v4.2.0",
            "4.2.0-rc1",
            "4.2.0+7",
            "4,2",
            "-4",
            "+4",
            "4.2 ",
            "٤.٢",
            "latest",
            "1234567890123456789",
        ] {
            let fault = Version::parse(text).expect_err(text);
            assert!(
                fault.to_string().starts_with(&format!("\"{text}\" is no")),
                "{fault}"
            );
        }
    }

    proptest! {
        // shows B6
        #[test]
        fn the_order_is_that_of_the_numbers_padded_with_zeros(
            one in prop::collection::vec(0..1000_u64, 1..6),
            other in prop::collection::vec(0..1000_u64, 1..6),
        ) {
            let text = |numbers: &[u64]| {
                let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
                words.join(".")
            };
            let padded = |numbers: &[u64]| {
                let mut padded = numbers.to_vec();
                padded.resize(6, 0);
                padded
            };
            let found = version(&text(&one)).cmp(&version(&text(&other)));
            prop_assert_eq!(found, padded(&one).cmp(&padded(&other)));
        }

        // shows B6
        #[test]
        fn every_text_is_a_version_or_refused_as_the_schema_refuses_it(text in "[0-9.a ]{0,24}") {
            let by_schema = !text.is_empty() && text.split('.').all(|part| {
                (1..=18).contains(&part.len()) && part.chars().all(|it| it.is_ascii_digit())
            });
            prop_assert_eq!(Version::parse(&text).is_ok(), by_schema);
        }
    }
}
