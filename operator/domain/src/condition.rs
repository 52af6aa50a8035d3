//! Conditions: how those of a new status follow from those of the previous one (K2).
//!
//! Decides the order, when `lastTransitionTime` moves, and that a negative condition is there only
//! while it is True. It must never spell a type or a reason: those are enums of `entente_crds`.
//! Called by everything that writes a status.

use entente_crds::bounded::Text;
use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::Condition;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

mod summary;

pub use summary::{Summary, Work};

/// The status of a condition.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known whether it holds.
    Unknown,
}

impl Status {
    /// Returns the word that is written into a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// True if a condition may have this reason: the closed lists of `entente_crds::condition`.
pub fn is_allowed(condition: ConditionType, reason: Reason) -> bool {
    condition.reasons().contains(&reason)
}

/// Returns the condition of a type among those of a status.
pub fn find(conditions: &[Condition], condition: ConditionType) -> Option<&Condition> {
    conditions
        .iter()
        .find(|found| found.type_ == condition.as_str())
}

/// True if the condition of a type is there and True.
pub fn is_true(conditions: &[Condition], condition: ConditionType) -> bool {
    find(conditions, condition).is_some_and(|found| found.status == Status::True.as_str())
}

/// Returns conditions without the words of those whose reason an attempt at a remote side can have:
/// the remote side's own, which may be others in each answer. Reconciling has the words of Ready.
pub fn without_words_of_attempts(conditions: &[Condition]) -> Vec<Condition> {
    let of_an_attempt = |condition: &Condition| {
        let mut reasons = Reason::OF_AN_ATTEMPT.iter();
        condition.type_ == ConditionType::Reconciling.as_str()
            || reasons.any(|reason| reason.as_str() == condition.reason)
    };
    let bare = conditions.iter().map(|condition| {
        let mut bare = condition.clone();
        if of_an_attempt(condition) {
            bare.message = String::new().into();
        }
        bare
    });
    bare.collect()
}

/// Returns the conditions of an object whose status could not be decided or was refused, because of
/// a defect of ours: the pass is retried, and every other condition stays as it was.
pub fn of_internal_error(
    previous: &[Condition],
    generation: Option<i64>,
    message: &str,
    now: Timestamp,
) -> Vec<Condition> {
    let kept = ConditionType::ALL.iter().filter(|kind| {
        kind.is_negative() && **kind != ConditionType::Stalled && find(previous, **kind).is_some()
    });
    let set = ConditionSet::new(previous, generation, now);
    let set = kept.fold(set, |set, kind| set.keep(*kind));
    let summary = Summary::open(Reason::InternalError, message, Work::Retrying);
    summary.state(set).finish()
}

/// Returns the conditions of an object of a kind whose newest version cannot be read. `problem`
/// names the field and the error. Every other condition stays as it was.
pub fn of_undecodable(
    previous: &[Condition],
    kind: &str,
    generation: Option<i64>,
    problem: &str,
    now: Timestamp,
) -> Vec<Condition> {
    let kept = ConditionType::ALL.iter().filter(|condition| {
        let is_summary = [ConditionType::Stalled, ConditionType::Reconciling].contains(condition);
        condition.is_negative() && !is_summary && find(previous, **condition).is_some()
    });
    let set = ConditionSet::new(previous, generation, now);
    let set = kept.fold(set, |set, condition| set.keep(*condition));
    let work = if ConditionType::Stalled.kinds().contains(&kind) {
        Work::Stalled
    } else {
        Work::Unknown
    };
    let message = format!("This object cannot be read, and is left as it is: {problem}.");
    let summary = Summary::open(Reason::Undecodable, message, work);
    summary.state(set).finish()
}

/// The conditions of a new status, made from those of the previous one.
///
/// Conditions that are always present and that nobody states stay as they were. Those that are
/// present only while they are True ([`ConditionType::is_negative`]) are removed, unless they are
/// stated as True or kept by [`ConditionSet::keep`]. Types that are not ours are removed.
#[derive(Clone, Debug)]
pub struct ConditionSet {
    previous: Vec<Condition>,
    stated: Vec<(ConditionType, Condition)>,
    removed: Vec<ConditionType>,
    generation: Option<i64>,
    now: Timestamp,
}

impl ConditionSet {
    /// Starts from the conditions of the previous status. `generation` is the object's
    /// `metadata.generation`, which every condition that is stated will carry.
    pub fn new(previous: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self {
            previous: previous.to_vec(),
            stated: Vec::new(),
            removed: Vec::new(),
            generation,
            now,
        }
    }

    /// States a condition; a later statement of a type replaces an earlier one. The message becomes a
    /// [`sentence`] and is cut to its field.
    ///
    /// A reason outside the list of the condition is a defect of ours: it ends a debug build.
    #[must_use]
    pub fn with(
        mut self,
        condition: ConditionType,
        status: Status,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        debug_assert!(
            is_allowed(condition, reason),
            "reason {reason} is not in the list of condition {}",
            condition.as_str()
        );
        let before = find(&self.previous, condition);
        let last_transition_time = before
            .filter(|before| before.status == status.as_str())
            .map_or_else(
                || whole_second(self.now),
                |before| before.last_transition_time.clone(),
            );
        let stated = Condition {
            type_: condition.as_str().to_owned(),
            status: status.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            message: Text::from(sentence(&Into::<String>::into(message))),
            last_transition_time,
            observed_generation: self.generation,
        };
        self.forget(condition);
        self.stated.push((condition, stated));
        self
    }

    /// States a condition as False with its fault, or as True where there is none.
    #[must_use]
    pub fn with_fault(
        self,
        condition: ConditionType,
        fault: Option<(Reason, String)>,
        holds: (Reason, &str),
    ) -> Self {
        match fault {
            Some((reason, message)) => self.with(condition, Status::False, reason, message),
            None => self.with(condition, Status::True, holds.0, holds.1),
        }
    }

    /// Keeps a condition exactly as the previous status had it, if it had it.
    #[must_use]
    pub fn keep(mut self, condition: ConditionType) -> Self {
        if let Some(before) = find(&self.previous, condition).cloned() {
            self.forget(condition);
            self.stated.push((condition, before));
        }
        self
    }

    /// Leaves a condition out.
    #[must_use]
    pub fn without(mut self, condition: ConditionType) -> Self {
        self.forget(condition);
        self.removed.push(condition);
        self
    }

    fn forget(&mut self, condition: ConditionType) {
        self.stated.retain(|(stated, _)| *stated != condition);
        self.removed.retain(|removed| *removed != condition);
    }

    /// Returns the conditions in the order of [`ConditionType::ALL`], Ready first.
    pub fn finish(self) -> Vec<Condition> {
        let conditions: Vec<Condition> = ConditionType::ALL
            .iter()
            .filter_map(|condition| self.finished(*condition))
            .collect();
        debug_assert!(
            !(is_true(&conditions, ConditionType::Reconciling)
                && is_true(&conditions, ConditionType::Stalled)),
            "never both Reconciling and Stalled: kstatus reads them as opposites"
        );
        conditions
    }

    fn finished(&self, condition: ConditionType) -> Option<Condition> {
        let stated = self.stated.iter().find(|(stated, _)| *stated == condition);
        if let Some((_, stated)) = stated {
            let shown = !condition.is_negative() || stated.status == Status::True.as_str();
            return shown.then(|| stated.clone());
        }
        if condition.is_negative() || self.removed.contains(&condition) {
            return None;
        }
        find(&self.previous, condition).cloned()
    }
}

/// Returns the instant in whole seconds: Kubernetes writes no more, so a comparison must not
/// either.
fn whole_second(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Returns the text with a capital letter and a full stop, as every message of a condition has them.
/// A field, a setting and a key stay as they are written.
pub(crate) fn sentence(text: &str) -> String {
    let first = text.split([' ', ',', ';', ':']).next().unwrap_or_default();
    let first = first.trim_end_matches(['.', '!', '?', '…']);
    let is_word = first.chars().all(char::is_alphabetic);
    let mut characters = text.chars();
    let Some(initial) = characters.next() else {
        return String::new();
    };
    let mut sentence = text.to_owned();
    if is_word {
        sentence = initial.to_uppercase().chain(characters).collect();
    }
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("the test's own instant")
    }

    fn ready(status: Status, reason: Reason, now: &str) -> Vec<Condition> {
        ConditionSet::new(&[], Some(1), at(now))
            .with(ConditionType::Ready, status, reason, "m")
            .finish()
    }

    // shows K2
    #[test]
    fn every_message_is_a_sentence_whoever_states_it() {
        let said = |message: &str| {
            let set = ConditionSet::new(&[], Some(1), at("2027-04-01T03:00:00Z"));
            let stated = set.with(ConditionType::Ready, Status::False, Reason::Busy, message);
            stated.finish()[0].message.to_string()
        };
        assert_eq!(said("the device is busy"), "The device is busy.");
        assert_eq!(said("Wait!"), "Wait!");
        assert_eq!(said("spec.term: set it back"), "spec.term: set it back.");
        assert_eq!(said(""), "");
    }

    // shows K2
    #[test]
    fn the_transition_time_moves_only_when_the_status_changes() {
        let first = ready(Status::False, Reason::Progressing, "2027-04-01T03:00:00.9Z");
        let same = ConditionSet::new(&first, Some(2), at("2027-04-01T04:00:00Z"))
            .with(ConditionType::Ready, Status::False, Reason::Busy, "other")
            .finish();
        let changed = ConditionSet::new(&same, Some(2), at("2027-04-01T05:00:00Z"))
            .with(ConditionType::Ready, Status::True, Reason::Delivered, "")
            .finish();
        assert_eq!(first[0].last_transition_time.0, at("2027-04-01T03:00:00Z"));
        assert_eq!(same[0].last_transition_time.0, at("2027-04-01T03:00:00Z"));
        assert_eq!(
            (same[0].reason.as_str(), same[0].observed_generation),
            ("Busy", Some(2))
        );
        assert_eq!(
            changed[0].last_transition_time.0,
            at("2027-04-01T05:00:00Z")
        );
    }

    #[test]
    fn a_negative_condition_is_there_only_while_it_is_true() {
        let now = at("2027-04-01T03:00:00Z");
        let stalled = ConditionSet::new(&[], None, now)
            .with(
                ConditionType::Stalled,
                Status::True,
                Reason::InvalidTerm,
                "m",
            )
            .finish();
        assert!(is_true(&stalled, ConditionType::Stalled));
        let stated_false = ConditionSet::new(&stalled, None, now)
            .with(
                ConditionType::Stalled,
                Status::False,
                Reason::InvalidTerm,
                "m",
            )
            .finish();
        assert_eq!(stated_false, vec![]);
        assert_eq!(ConditionSet::new(&stalled, None, now).finish(), vec![]);
        let kept = ConditionSet::new(&stalled, Some(9), now)
            .keep(ConditionType::Stalled)
            .finish();
        assert_eq!(kept, stalled);
    }

    #[test]
    fn a_positive_condition_that_nobody_states_stays_unless_it_is_left_out() {
        let now = at("2027-04-01T03:00:00Z");
        let before = ready(Status::True, Reason::Delivered, "2027-04-01T03:00:00Z");
        assert_eq!(ConditionSet::new(&before, Some(2), now).finish(), before);
        let without = ConditionSet::new(&before, Some(2), now).without(ConditionType::Ready);
        assert_eq!(without.finish(), vec![]);
    }

    #[test]
    fn the_order_is_fixed_whatever_the_order_in_which_they_are_stated() {
        let now = at("2027-04-01T03:00:00Z");
        let conditions = ConditionSet::new(&[], None, now)
            .with(
                ConditionType::Delivered,
                Status::False,
                Reason::Progressing,
                "",
            )
            .with(
                ConditionType::Reconciling,
                Status::True,
                Reason::Progressing,
                "",
            )
            .with(ConditionType::Accepted, Status::True, Reason::Valid, "")
            .with(ConditionType::Ready, Status::False, Reason::Progressing, "")
            .finish();
        let types: Vec<&str> = conditions
            .iter()
            .map(|found| found.type_.as_str())
            .collect();
        assert_eq!(types, ["Ready", "Reconciling", "Accepted", "Delivered"]);
    }

    #[test]
    fn a_long_message_is_cut_by_characters_and_not_by_bytes() {
        let conditions = ConditionSet::new(&[], None, at("2027-04-01T03:00:00Z"))
            .with(
                ConditionType::Ready,
                Status::True,
                Reason::Succeeded,
                "é".repeat(2000),
            )
            .finish();
        assert_eq!(conditions[0].message.chars().count(), 1024);
        assert!(conditions[0].message.ends_with('…'));
    }

    // shows K2
    #[test]
    #[should_panic(expected = "reason Valid is not in the list of condition Ready")]
    fn a_reason_outside_the_list_of_its_condition_ends_a_debug_build() {
        let _ = ready(Status::True, Reason::Valid, "2027-04-01T03:00:00Z");
    }
}
