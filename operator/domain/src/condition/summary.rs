//! The summary of an object, for every kind alike (kstatus).
//!
//! Decides how Ready, Reconciling and Stalled go together and which generation they speak of: tools
//! that wait read nothing else. It must never decide whether an object is ready; that is said by
//! the report of its kind, which is the only caller.

use entente_crds::condition::{ConditionType, Reason};

use super::{ConditionSet, Status};
use crate::reasons::{Class, class};

/// Work that is left for an object, and the one who has to do it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// Nothing.
    Done,
    /// The operator goes on by itself.
    Progressing,
    /// It met a failure and is tried again.
    Retrying,
    /// A person must change something.
    Stalled,
    /// It is not known yet.
    Unknown,
}

impl Work {
    /// Returns the work that is left for what a reason holds up.
    pub fn of(reason: Reason) -> Self {
        match class(reason) {
            Class::Stalled => Self::Stalled,
            Class::Reconciling => Self::Retrying,
        }
    }
}

/// Summary of an object: Ready, Reconciling, Stalled and observedGeneration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    ready: Status,
    reason: Reason,
    message: String,
    work: Work,
}

impl Summary {
    /// States that the object is as it should be.
    pub fn done(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Status::True, reason, message, Work::Done)
    }

    /// States that the object is not as it should be yet.
    pub fn open(reason: Reason, message: impl Into<String>, work: Work) -> Self {
        Self::new(Status::False, reason, message, work)
    }

    /// Adds words to the message.
    #[must_use]
    pub fn with_note(mut self, note: Option<&str>) -> Self {
        if let Some(note) = note {
            self.message.push_str("; ");
            self.message.push_str(note);
        }
        self
    }

    /// States that nothing is known of the object yet.
    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Status::Unknown, reason, message, Work::Unknown)
    }

    fn new(ready: Status, reason: Reason, message: impl Into<String>, work: Work) -> Self {
        Self {
            ready,
            reason,
            message: message.into(),
            work,
        }
    }

    /// Adds a sentence to the message of Ready.
    #[must_use]
    pub fn and(mut self, sentence: &str) -> Self {
        self.message.push(' ');
        self.message.push_str(sentence);
        self
    }

    /// True if the object is ready.
    pub fn is_ready(&self) -> bool {
        self.ready == Status::True
    }

    /// Returns the work that is left.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Returns the reason of Ready.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the message of Ready.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Adds Ready to the conditions, and Reconciling or Stalled if one of them is True; never both.
    #[must_use]
    pub fn state(&self, set: ConditionSet) -> ConditionSet {
        let set = set.with(ConditionType::Ready, self.ready, self.reason, &self.message);
        let (condition, reason) = match self.work {
            Work::Done | Work::Unknown => return set,
            Work::Progressing => (ConditionType::Reconciling, Reason::Progressing),
            Work::Retrying => (ConditionType::Reconciling, Reason::ProgressingWithRetry),
            Work::Stalled => (ConditionType::Stalled, self.reason),
        };
        set.with(condition, Status::True, reason, &self.message)
    }

    /// Returns `status.observedGeneration`: the generation once everything was done for it or only a
    /// person can go on, and until then what it was. Tools take it for the end of the work.
    pub fn observed_generation(
        &self,
        generation: Option<i64>,
        previous: Option<i64>,
    ) -> Option<i64> {
        match self.work {
            Work::Done | Work::Stalled => generation,
            Work::Progressing | Work::Retrying | Work::Unknown => previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::condition::{find, is_true};

    // shows K2
    #[test]
    fn every_summary_is_what_kstatus_reads_and_speaks_of_the_right_generation() {
        let open = |work| Summary::open(Reason::Unsupported, "said", work);
        let table = [
            (Summary::done(Reason::Succeeded, "said"), "", Some(2)),
            (open(Work::Progressing), "Reconciling Progressing", Some(1)),
            (
                open(Work::Retrying),
                "Reconciling ProgressingWithRetry",
                Some(1),
            ),
            (open(Work::Stalled), "Stalled Unsupported", Some(2)),
            (Summary::unknown(Reason::Pending, "said"), "", Some(1)),
        ];
        for (summary, negative, observed) in table {
            let set = ConditionSet::new(&[], Some(2), Timestamp::UNIX_EPOCH);
            let conditions = summary.state(set).finish();
            let said = [ConditionType::Reconciling, ConditionType::Stalled]
                .into_iter()
                .filter_map(|kind| find(&conditions, kind))
                .map(|found| format!("{} {}", found.type_, found.reason))
                .collect::<Vec<_>>()
                .join(", ");
            assert_eq!(said, negative, "{summary:?}");
            let ready = is_true(&conditions, ConditionType::Ready);
            assert_eq!(ready, summary.is_ready());
            assert_eq!(summary.observed_generation(Some(2), Some(1)), observed);
        }
    }
}
