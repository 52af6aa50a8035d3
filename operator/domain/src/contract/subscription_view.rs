//! The part of a subscription that a contract reads: two subscriptions with equal views lead to the
//! same writes and the same status of the contract.
//!
//! Decides which changes of a subscription are news for its contract. Every field of a subscription
//! that a rule of this module reads must be here as well; otherwise a contract is not reconciled
//! when the field changes, and its status keeps an old value for ever (`tests/subscription_view.rs` compares
//! both). Called by the contract controller's triggers.

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{PromiseState, ServiceSubscription};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};

use super::is_terminating;
use super::risk::{Hindrances, hindrances};
use super::subscription_state::{current, is_failing, is_silent};
use crate::delivery::has_instance;

/// The part of a subscription that a contract reads.
#[derive(Debug, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and none excludes another"
)]
pub struct SubscriptionView {
    uid: Option<String>,
    owners: Option<Vec<OwnerReference>>,
    /// Changes with every change of the spec.
    generation: Option<i64>,
    created: Option<Time>,
    terminating: bool,
    /// True if it has an instance, after which its origin stays.
    has_instance: bool,
    /// Status and reason of Ready and Delivered, if they are about this generation.
    said: [Option<(String, String)>; 2],
    failing: bool,
    silent: bool,
    hindrances: Hindrances,
    promises: Vec<PromiseView>,
}

/// The part of a promise that a contract reads.
#[derive(Debug, PartialEq)]
struct PromiseView {
    effective: Timestamp,
    state: PromiseState,
    closed: Option<Timestamp>,
    emitted: Vec<String>,
}

/// Returns the part of a subscription that its contract reads.
pub fn view(subscription: &ServiceSubscription) -> SubscriptionView {
    let metadata = &subscription.metadata;
    let promises = subscription
        .status
        .iter()
        .flat_map(|status| &status.promises);
    SubscriptionView {
        uid: metadata.uid.clone(),
        owners: metadata.owner_references.clone(),
        generation: metadata.generation,
        created: metadata.creation_timestamp.clone(),
        terminating: is_terminating(subscription),
        has_instance: has_instance(subscription),
        said: [ConditionType::Ready, ConditionType::Delivered].map(|condition| {
            current(subscription, condition).map(|said| (said.status.clone(), said.reason.clone()))
        }),
        failing: is_failing(subscription),
        silent: is_silent(subscription),
        hindrances: hindrances(subscription),
        promises: promises
            .map(|promise| PromiseView {
                effective: promise.effective,
                state: promise.state,
                closed: promise.closed,
                emitted: promise.emitted.clone(),
            })
            .collect(),
    }
}
