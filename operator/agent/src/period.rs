//! Lengths of time as the gateway writes them: `PT23H12M` in JSON (ISO 8601, without days) and
//! `23:12:00` in DDI.
//!
//! Reads and never guesses: what is in another form is refused, so that no device sleeps for ever on a
//! text that it did not understand. Used by `api` and `ddi`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A length of time of the gateway.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Period(pub Duration);

impl Period {
    /// Reads `PT` followed by hours, minutes and seconds, at least one of them, each a whole number.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix("PT")?;
        let mut seconds: u64 = 0;
        let mut any = false;
        for (unit, each) in [('H', 3600), ('M', 60), ('S', 1)] {
            if let Some((number, after)) = rest.split_once(unit) {
                seconds = seconds.checked_add(whole(number)?.checked_mul(each)?)?;
                rest = after;
                any = true;
            }
        }
        (any && rest.is_empty()).then_some(Self(Duration::from_secs(seconds)))
    }

    /// Reads `HH:MM:SS`, the form of DDI; hours may have more than two digits.
    pub fn parse_clock(text: &str) -> Option<Self> {
        let fields: Vec<u64> = text.split(':').map(whole).collect::<Option<_>>()?;
        let [hours, minutes, seconds] = fields[..] else {
            return None;
        };
        if minutes > 59 || seconds > 59 {
            return None;
        }
        let all = hours.checked_mul(3600)? + minutes * 60 + seconds;
        Some(Self(Duration::from_secs(all)))
    }
}

/// Reads at most nine digits and nothing else.
fn whole(text: &str) -> Option<u64> {
    let fits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

impl std::fmt::Display for Period {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.0.as_secs();
        let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
        formatter.write_str("PT")?;
        if hours > 0 {
            write!(formatter, "{hours}H")?;
        }
        if minutes > 0 {
            write!(formatter, "{minutes}M")?;
        }
        if seconds > 0 || all == 0 {
            write!(formatter, "{seconds}S")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no length of time such as \"PT23H12M\""
            ))
        })
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_written_in_one_form() {
        for (text, seconds) in [
            ("PT5S", 5),
            ("PT24H", 86_400),
            ("PT23H12M", 83_520),
            ("PT1H1M1S", 3661),
            ("PT0S", 0),
        ] {
            let period = Period::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(period.0.as_secs(), seconds, "{text}");
            assert_eq!(period.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "PT",
            "P1D",
            "24H",
            "PT24",
            "PT-5S",
            "PT5S1H",
            "PT1.5H",
            "PTH",
            "PT9999999999H",
        ] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_clock_of_ddi_has_three_fields() {
        let read = |text| Period::parse_clock(text).map(|period| period.0.as_secs());
        assert_eq!(read("00:05:00"), Some(300));
        assert_eq!(read("23:59:59"), Some(86_399));
        assert_eq!(read("120:00:00"), Some(432_000));
        for text in [
            "",
            "05:00",
            "00:60:00",
            "00:00:60",
            "a:b:c",
            "00:05:00:00",
            "-1:00:00",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
