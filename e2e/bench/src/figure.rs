//! One measured number, and its budget.
//!
//! It decides whether a budget is kept, and nothing else.

use serde::{Deserialize, Serialize};

/// Budget of a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Budget {
    /// At most this.
    Most(f64),
    /// At least this.
    Least(f64),
}

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figure {
    /// Description of the number.
    pub(super) what: String,
    /// The number.
    pub(super) value: f64,
    /// Its unit; empty for a ratio.
    pub(super) unit: String,
    /// Its budget; absent for a number that is shown only for comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) budget: Option<Budget>,
    /// Parts of the number; empty if there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
}

impl Figure {
    pub(super) fn new(what: impl Into<String>, value: f64, unit: &str) -> Self {
        Self {
            what: what.into(),
            value,
            unit: unit.to_owned(),
            budget: None,
            detail: String::new(),
        }
    }

    /// Returns the 99th percentile of these milliseconds, with their median and the longest.
    pub(super) fn p99(what: impl Into<String>, milliseconds: &[f64]) -> Self {
        let at = |share: f64| quantile(milliseconds, share);
        Self::new(what, at(0.99), "ms").detail(format!(
            "p50 {:.0} ms, last {:.0} ms, of {}",
            at(0.5),
            at(1.0),
            milliseconds.len()
        ))
    }

    pub(super) fn at_most(mut self, most: f64) -> Self {
        self.budget = Some(Budget::Most(most));
        self
    }

    pub(super) fn at_least(mut self, least: f64) -> Self {
        self.budget = Some(Budget::Least(least));
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Returns the number with its unit.
    pub(super) fn shown(&self) -> String {
        join(&number(self.value), &self.unit)
    }

    /// Returns the budget with its unit; empty if there is none.
    pub(super) fn shown_budget(&self) -> String {
        match self.budget {
            None => String::new(),
            Some(Budget::Most(most)) => join(&format!("≤ {}", number(most)), &self.unit),
            Some(Budget::Least(least)) => join(&format!("≥ {}", number(least)), &self.unit),
        }
    }

    /// Returns `kept`, or `missed` with the part of the budget by which; empty if there is none.
    pub(super) fn verdict(&self) -> String {
        let bound = match self.budget {
            None => return String::new(),
            Some(Budget::Most(most)) if self.value <= most => return "kept".to_owned(),
            Some(Budget::Least(least)) if self.value >= least => return "kept".to_owned(),
            Some(Budget::Most(bound) | Budget::Least(bound)) => bound,
        };
        if bound == 0.0 {
            return "missed".to_owned();
        }
        let percent = (self.value - bound).abs() / bound * 100.0;
        format!("missed by {} %", number(percent))
    }
}

fn join(number: &str, unit: &str) -> String {
    if unit.is_empty() {
        number.to_owned()
    } else {
        format!("{number} {unit}")
    }
}

/// Three significant digits, or the whole number.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Returns a count as a number; counts here are far below 2⁵².
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
pub(super) fn count(count: usize) -> f64 {
    count as f64
}

/// Returns the value below which that share of the values lies; 0 for no values.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of values"
    )]
    let rank = (count(sorted.len()) * share).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Returns the mean; 0 for no values.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / count(values.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_up_to_its_bound_and_missed_beyond() {
        let verdict = |value: f64| Figure::new("x", value, "ms").at_most(4.0).verdict();
        assert_eq!(verdict(4.0), "kept");
        assert_eq!(verdict(4.01), "missed by 0.25 %");
        let verdict = |value: f64| Figure::new("x", value, "").at_least(0.75).verdict();
        assert_eq!(verdict(0.75), "kept");
        assert_eq!(verdict(0.375), "missed by 50 %");
        let nothing = Figure::new("x", 1.0, "").at_most(0.0);
        assert_eq!(nothing.verdict(), "missed");
        assert_eq!(Figure::new("x", 1.0, "").verdict(), "");
    }

    #[test]
    fn numbers_have_three_significant_digits_and_their_unit() {
        let shown = |value: f64| Figure::new("x", value, "ms").shown();
        assert_eq!(shown(1234.5), "1234 ms");
        assert_eq!(shown(12.345), "12.3 ms");
        assert_eq!(shown(0.7512), "0.75 ms");
        assert_eq!(shown(0.0123), "0.012 ms");
        assert_eq!(shown(0.0), "0 ms");
    }

    #[test]
    fn the_99th_percentile_of_a_hundred_values_is_the_second_largest() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert!((quantile(&values, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!((quantile(&values, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((quantile(&[7.0], 0.99) - 7.0).abs() < f64::EPSILON);
    }
}
