//! The words by which devices report an error, compared with those of a model.
//!
//! Devices label a keyword with a severity, cut it at 31 characters, or do both: the stem counts.

use entente_crds::v1alpha1::ErrorWords;

use crate::remote::{FaultSource, ReportedFault};

/// The severities that devices append to a keyword (RFC 8011 section 5.4.12).
const SEVERITIES: [&str; 3] = ["-error", "-warning", "-report"];
/// Parts of words that say that little is left.
const LOW: [&str; 6] = ["low", "almost", "near", "nearly", "nearend", "nearempty"];
/// Length at which some devices cut a keyword.
const CUT: usize = 31;

/// True if a fault is reported by one of these words.
pub(super) fn is_meant(words: &ErrorWords, fault: &ReportedFault) -> bool {
    let name = fault.name.as_str();
    match fault.source {
        FaultSource::StateReason => {
            let mut reasons = words.state_reasons.iter();
            reasons.any(|reason| is_stem(reason, name))
        }
        FaultSource::Alert => {
            let mut alerts = words.alerts.iter();
            alerts.any(|alert| alert.eq_ignore_ascii_case(name))
        }
        FaultSource::DetectedError => {
            let mut bits = words.detected_errors.iter();
            bits.any(|bit| bit.as_str() == name)
        }
    }
}

/// Returns a keyword without its severity.
pub(super) fn stem(said: &str) -> &str {
    let stripped = SEVERITIES.iter().find_map(|it| said.strip_suffix(it));
    stripped.unwrap_or(said)
}

/// True if a keyword, as a device said it, has this stem.
fn is_stem(wanted: &str, said: &str) -> bool {
    let said = said.trim().to_ascii_lowercase();
    if stem(&said) == wanted || said == wanted {
        return true;
    }
    let whole = SEVERITIES.map(|severity| format!("{wanted}{severity}"));
    said.len() >= CUT && whole.iter().any(|whole| whole.starts_with(&said))
}

/// Kind of supplies that a word is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    /// Toner, in whatever vessel.
    Toner,
    /// Ink, in whatever vessel.
    Ink,
    /// Boxes that collect waste.
    Waste,
    /// Photoconductors.
    Opc,
    /// Fusers and their parts.
    Fuser,
    /// Developer.
    Developer,
    /// Transfer units.
    Transfer,
    /// Anything that is consumed.
    Any,
}

impl Family {
    /// Returns the family of a keyword, of the name of an alert, or of a type of supply.
    pub(super) fn of(word: &str) -> Self {
        // RFC 2790 says toner of ink, too.
        if ["noToner", "lowToner"].contains(&word) {
            return Self::Any;
        }
        let families = [
            ("waste", Self::Waste),
            ("toner", Self::Toner),
            ("developer", Self::Developer),
            ("opc", Self::Opc),
            ("fuser", Self::Fuser),
            ("transfer", Self::Transfer),
            ("ink", Self::Ink),
        ];
        let parts: Vec<String> = parts(word).collect();
        let found = families
            .into_iter()
            .find(|(family, _)| parts.iter().any(|part| part.starts_with(family)));
        found.map_or(Self::Any, |(_, family)| family)
    }

    /// True if a supply of this type can have an error of the family.
    pub(super) fn has(self, r#type: &str) -> bool {
        let own = Self::of(r#type);
        match self {
            Self::Any => own != Self::Waste,
            family => own == family,
        }
    }
}

/// True if a word says that little is left, and not that nothing is.
pub(super) fn is_of_a_low_one(word: &str) -> bool {
    parts(word).any(|part| LOW.contains(&part.as_str()))
}

/// Returns the parts of a keyword or of the name of an alert, in lower case: `toner-empty` and `tonerEmpty`
/// have the same two. A part of a word is compared as a whole, or by its beginning: `yellow` says nothing
/// of `low`, and `recover` nothing of a `cover`.
pub(super) fn parts(word: &str) -> impl Iterator<Item = String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut was_small = false;
    for character in word.chars() {
        let ends = !character.is_alphanumeric() || was_small && character.is_uppercase();
        if ends {
            parts.push(String::new());
        }
        was_small = character.is_lowercase();
        if character.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(character.to_lowercase());
        }
    }
    parts.into_iter().filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(said: &str) -> bool {
        let words = ErrorWords {
            state_reasons: vec![
                "toner-empty".to_owned(),
                "marker-waste-almost-full".to_owned(),
            ],
            ..ErrorWords::default()
        };
        is_meant(&words, &ReportedFault::state_reason(said))
    }

    // shows A2
    #[test]
    fn a_keyword_counts_by_its_stem_with_any_severity_and_cut_at_31_characters() {
        for said in [
            "toner-empty",
            "toner-empty-error",
            "toner-empty-warning",
            "toner-empty-report",
            "Toner-Empty-Error",
            " toner-empty ",
            "marker-waste-almost-full-warnin",
            "marker-waste-almost-full",
        ] {
            assert!(says(said), "{said}");
        }
        for said in [
            "toner-low",
            "toner",
            "toner-emp",
            "toner-empty-soon",
            "not-toner-empty",
            "marker-waste-almost",
            "",
        ] {
            assert!(!says(said), "{said}");
        }
    }

    #[test]
    fn a_word_says_nothing_of_a_word_that_stands_within_it() {
        let low = [
            "toner-low",
            "tonerLow",
            "markerWasteAlmostFull",
            "toner_near_end",
        ];
        for word in low {
            assert!(is_of_a_low_one(word), "{word}");
        }
        for word in [
            "yellow-toner-empty",
            "markerYellowTonerEmpty",
            "airflow-blocked",
            "linear-encoder-fault",
            "lower-tray-empty",
        ] {
            assert!(!is_of_a_low_one(word), "{word}");
        }
        for word in ["linkage-error", "shrink-wrap", "blinking", "untransferable"] {
            assert_eq!(Family::of(word), Family::Any, "{word}");
        }
    }

    #[test]
    fn a_word_has_its_family() {
        use Family::{Any, Fuser, Ink, Opc, Toner, Waste};
        for (word, family) in [
            ("toner-empty-error", Toner),
            ("markerTonerEmpty", Toner),
            ("markerWasteTonerReceptacleFull", Waste),
            ("wasteInk", Waste),
            ("marker-supply-empty", Any),
            ("noToner", Any),
            ("lowToner", Any),
            ("tonerCartridge", Toner),
            ("inkCartridge", Ink),
            ("opc-life-over", Opc),
            ("fuser-over-temp", Fuser),
        ] {
            assert_eq!(Family::of(word), family, "{word}");
        }
        assert!(Any.has("inkCartridge") && !Any.has("wasteInk") && Toner.has("tonerCartridge"));
    }
}
