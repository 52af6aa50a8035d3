//! The conditions of an object that is judged with its contract: an amendment or a notice (K2).
//!
//! Decides Ready, Accepted and the rest from a verdict, and the verdict where there is no such
//! contract, or none that is accepted. It must never decide what such an object does. Called by
//! `amendment` and `notice`.

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::Condition;
use jiff::Timestamp;

use super::Fault;
use crate::condition::{ConditionSet, Status, Summary, Work};

/// The words of the conditions of a judged object.
pub(super) struct Judged {
    summary: Summary,
    accepted: (Status, Reason, String),
}

impl Judged {
    /// Returns those of an object that is accepted.
    pub(super) fn valid(summary: Summary, message: &str) -> Self {
        let accepted = (Status::True, Reason::Valid, message.to_owned());
        Self { summary, accepted }
    }

    /// Returns those of an object that is refused, or with the reason Pending not judged yet.
    pub(super) fn refused(reason: Reason, message: String) -> Self {
        let (work, status) = match reason {
            Reason::Pending => (Work::Progressing, Status::Unknown),
            _ => (Work::of(reason), Status::False),
        };
        Self {
            summary: Summary::open(reason, message.clone(), work),
            accepted: (status, reason, message),
        }
    }

    /// Returns the observed generation and the conditions; `previous` are those before.
    pub(super) fn into_status(
        self,
        previous: (Option<i64>, &[Condition]),
        generation: Option<i64>,
        now: Timestamp,
    ) -> (Option<i64>, Vec<Condition>) {
        let (status, reason, message) = self.accepted;
        let set = ConditionSet::new(previous.1, generation, now);
        let set = set.with(ConditionType::Accepted, status, reason, message);
        let observed = self.summary.observed_generation(generation, previous.0);
        (observed, self.summary.state(set).finish())
    }
}

/// Returns the fault of an object whose contract is not accepted; `object` is its kind in a word.
pub(super) fn not_accepted(object: &str) -> Fault {
    Fault {
        reason: Reason::Pending,
        message: format!(
            "The contract is not accepted: see its condition Accepted. The {object} is looked at \
             when it is"
        ),
    }
}

/// Returns the fault of an object that names a contract which does not exist; `advice` follows "create
/// it".
pub(super) fn of_no_contract(contract: &str, advice: &str) -> Fault {
    Fault {
        reason: Reason::ContractNotFound,
        message: format!(
            "spec.contractRef.name is \"{contract}\": there is no Contract of this name in the \
             namespace; create it{advice}"
        ),
    }
}
