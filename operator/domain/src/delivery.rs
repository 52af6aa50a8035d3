//! Delivery: the settings and instances of one device for all its subscriptions.
//!
//! The unit is the device: several services share it, so one plan merges their wants, orders them
//! and finds conflicts. The stages are pure and are called in this order by the delivery
//! controller: `resolve` (the wants now), `verify` (the proofs), `plan` (the next actions), then
//! the controller executes and records the answers in [`Observations`], round by round until the
//! plan has no action, and at last `report` makes the statuses. A step starts when every item of
//! the step before is Effective (B6); only differences are sent (B7).

mod claim;
mod effect;
mod leaving;
mod model;
mod observations;
mod outlook;
mod panel;
mod pass;
mod plan;
mod previous;
mod removal;
mod report;
mod resolve;
mod schedule;
mod suitability;
pub mod twin;
mod unwritten;
mod verify;
mod wishes;

#[cfg(test)]
mod tests;

pub use claim::{
    Claimant, claim_digest, claimant, is_proved_by_another, known_identities, known_identity,
    may_claim,
};
pub use effect::{Effect, outcome, outcome_at_server};
pub use model::{
    action::{Action, CarriedItem, Installation, InstallationOrder, Plan, ServedItem},
    backoffs::Backoffs,
    blocked::Blocked,
    digest::digest,
    item::{Offer, ResolvedItem, Wanted, WantedData},
    parameters::{Parameters, ServerValue},
    resolved::{
        Exchange, HandedTo, Intent, ResolvedConnection, ResolvedDevice, ResolvedStep,
        ResolvedSubscription, Turn,
    },
    snapshot::{DeviceSnapshot, UnsaidAttempts},
};
pub(crate) use observations::record::has_instance;
pub use observations::record::{handles_in, handles_of, may_exist};
pub use observations::{
    DeviceObservation, InstanceObservation, Observations, PanelAnswer, Reading, Sent,
    StatusObservations,
};
pub use outlook::{
    Obstacle, Outlook,
    calls::{Ask, Calls, calls},
    outlook,
};
pub(crate) use pass::answer::{late, poll_interval};
pub use pass::{Answer, Pass};
pub use previous::SavedItem;
pub use removal::{RemovalAnswer, RemovalAttempt, RemovalEnd, RemovalRequest};
pub use report::{SubscriptionReport, device::zone_fault};
pub use resolve::instance::offering::missing_offering;
pub use resolve::{
    endpoint::{
        DeviceEndpoint, allows, endpoint_index, endpoint_key, endpoint_lookup, login_fault,
    },
    instance::{ResolvedServer, ResolvedSetting, instance_id},
};
pub use schedule::intent::{next_date, wants_nothing};
pub use suitability::{longer_than_a_week, too_long_for_windows, unserved};
pub use unwritten::UnwrittenStatus;
pub use verify::{Verified, VerifiedItem};
pub use wishes::{OpenWish, is_reconcile_requested};
