//! Health of one object, from its conditions alone, by the rules of kstatus and of the scripts for
//! Argo CD (`contrib/argo-cd/health.lua`): every tool must conclude the same.

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::Condition;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use crate::condition::{Status, find, is_true};

/// Health of an object, from good to bad.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Health {
    /// Nothing is outstanding.
    Settled,
    /// Work is under way, or the operator has not seen the object or its last change yet.
    InProgress,
    /// A person must change something, or a promise was missed and the service is not there.
    Failed,
}

impl Health {
    /// Returns the word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::InProgress => "in progress",
            Self::Failed => "failed",
        }
    }
}

/// The condition Ready of an object, or what is to be said in its place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Health of the object.
    pub health: Health,
    /// Status of Ready: True, False or Unknown.
    pub status: String,
    /// Its reason.
    pub reason: String,
    /// Its message; empty if it has none.
    pub message: String,
    /// The instant since which its status is the same; absent where nobody has said anything.
    pub since: Option<Timestamp>,
    /// The thing that a person can do; absent where there is nothing to do.
    pub next_step: Option<&'static str>,
}

/// Returns the health of an object with its condition Ready.
pub fn health(metadata: &ObjectMeta, conditions: &[Condition]) -> Said {
    let ready = find(conditions, ConditionType::Ready);
    let pending = |message: &str| Said {
        health: Health::InProgress,
        status: Status::Unknown.as_str().to_owned(),
        reason: Reason::Pending.as_str().to_owned(),
        message: message.to_owned(),
        since: None,
        next_step: next_step(Reason::Pending.as_str()),
    };
    let Some(ready) = ready else {
        return pending("The operator has not seen this object yet.");
    };
    let is_deleting = metadata.deletion_timestamp.is_some();
    let seen = ready.observed_generation;
    // One that was never seen has the default of the schema, which names no generation.
    if !is_deleting && seen.is_some() && seen < metadata.generation {
        return pending("The operator has not seen this spec yet.");
    }
    let health = match () {
        () if is_deleting => Health::InProgress,
        () if ready.status == Status::True.as_str() => Health::Settled,
        () if is_true(conditions, ConditionType::Stalled)
            || is_true(conditions, ConditionType::PromiseMissed) =>
        {
            Health::Failed
        }
        () => Health::InProgress,
    };
    Said {
        health,
        status: ready.status.clone(),
        reason: ready.reason.clone(),
        message: ready.message.as_str().to_owned(),
        since: Some(ready.last_transition_time.0),
        next_step: match health {
            Health::Settled => None,
            Health::InProgress | Health::Failed => next_step(&ready.reason),
        },
    }
}

/// Returns the condition of a type that is present and True.
pub(super) fn find_true(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    find(conditions, kind).filter(|_| is_true(conditions, kind))
}

/// Returns the thing that a person can do about a reason; `None` where there is nothing, and for a word that this
/// version does not know.
pub fn next_step(reason: &str) -> Option<&'static str> {
    let known = Reason::ALL.iter().find(|it| it.as_str() == reason)?;
    Some(known.next_step()).filter(|step| !step.starts_with("Nothing"))
}
