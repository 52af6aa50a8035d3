//! Delivery: what happens on one device for all its subscriptions.
//!
//! The unit is the device: several services share it, so one plan merges what all of them want,
//! orders it and finds conflicts. The stages are pure and are called in this order by the delivery
//! controller: `resolve` (what is wanted now), `verify` (what is proved), `plan` (what to do
//! next), then the controller executes and records what came back in [`Facts`], round by round
//! until the plan has nothing to do, and at last `report` says it all. A step starts when every
//! item of the step before is Effective (B6); only what differs is sent (B7).

mod action;
mod backoffs;
mod blocked;
mod claim;
mod conflict;
mod digest;
mod endpoint;
mod facts;
mod identity;
mod in_force;
mod intent;
mod item;
pub mod lint;
mod pass;
mod plan;
mod report;
mod report_device;
mod resolve;
mod resolve_server;
mod resolved;
mod server_parameters;
mod settings;
mod sync;
mod verify;
mod withdraw;
mod world;

#[cfg(test)]
mod tests;

pub use action::{Action, Plan};
pub use backoffs::Backoffs;
pub use blocked::Blocked;
pub use claim::{claim_digest, is_claimed_by_another, known_identities, known_identity, may_claim};
pub use digest::digest;
pub use endpoint::{
    DeviceEndpoint, allows, endpoint_index, endpoint_key, endpoint_lookup, login_fault,
};
pub use facts::{Facts, Reading, Sent};
pub use item::{ResolvedItem, Wanted, step_of_item};
pub use pass::{Answer, Pass};
pub use report::SubscriptionReport;
pub use resolve_server::{ResolvedServer, ResolvedSetting, instance_id};
pub use resolved::{
    Intent, ResolvedConnection, ResolvedDevice, ResolvedStep, ResolvedSubscription,
};
pub use server_parameters::{Parameters, ServerValue};
pub use sync::is_reconcile_requested;
pub use verify::{Verified, VerifiedItem};
pub use world::World;
