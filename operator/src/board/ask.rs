//! The question of a person to the board, in the query of the address: `?namespace=acme&customer=C-4711&days=7`.
//!
//! A field that is empty or absent asks for all; a number that is none is refused by its name.

use entente_domain::views::BoardFilter;
use jiff::SignedDuration;
use serde::Deserialize;

/// Days ahead, where none are asked.
const DAYS: u16 = 7;
/// Most days ahead.
const MOST_DAYS: u16 = 366;
/// Days back in which devices count that made promises late.
pub(super) const BACK_DAYS: u16 = 90;

/// The query as it was given.
#[derive(Default, Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    customer: String,
    #[serde(default)]
    days: String,
}

/// The query as it was understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ask {
    pub(super) namespace: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) days: u16,
}

impl TryFrom<Given> for Ask {
    type Error = String;

    fn try_from(given: Given) -> Result<Self, String> {
        let some = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let days = some(given.days).map_or(Ok(DAYS), |text| {
            let days = text.parse().ok().filter(|it| (1..=MOST_DAYS).contains(it));
            let shown: String = text.chars().take(32).collect();
            days.ok_or_else(|| {
                format!("days is \"{shown}\": must be a whole number from 1 to {MOST_DAYS}.")
            })
        });
        Ok(Self {
            days: days?,
            namespace: some(given.namespace),
            customer: some(given.customer),
        })
    }
}

impl Ask {
    pub(super) fn filter(&self) -> BoardFilter {
        let days = |days: u16| SignedDuration::from_hours(24 * i64::from(days));
        BoardFilter {
            namespace: self.namespace.clone(),
            customer: self.customer.clone(),
            within: days(self.days),
            back: days(BACK_DAYS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ask, Given};

    fn ask(namespace: &str, days: &str) -> Result<Ask, String> {
        let [namespace, days] = [namespace, days].map(str::to_owned);
        let customer = String::new();
        Ask::try_from(Given {
            namespace,
            customer,
            days,
        })
    }

    #[test]
    fn what_is_empty_asks_for_all_and_a_number_that_is_none_is_named() {
        let all = ask("", "").unwrap();
        assert_eq!((all.namespace, all.customer, all.days), (None, None, 7));
        let some = ask(" acme ", "366").unwrap();
        assert_eq!((some.namespace.as_deref(), some.days), (Some("acme"), 366));
        for wrong in ["0", "367", "-1", "1.5", "week", "99999999999"] {
            let problem = ask("", wrong).unwrap_err();
            let expected = format!("days is \"{wrong}\": must be a whole number from 1 to 366.");
            assert_eq!(problem, expected);
        }
    }
}
