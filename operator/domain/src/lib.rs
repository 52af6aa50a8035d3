//! The decisions of Entente, pure: values and `now` in, a plan or a status out.
//!
//! Invariants: no I/O, no clock, no environment, no randomness, no Kubernetes client and no async
//! runtime (walls: `Cargo.toml`, `clippy.toml` of this crate, `make check`). Same input, same
//! output, byte for byte. Called by `drivers` (the values of `remote`) and by `controllers`.

// The lint of plans names this crate as the tests outside of it do.
#[cfg(test)]
extern crate self as entente_domain;

pub mod activation;
mod authority;
pub mod backoff;
pub mod broker;
pub mod broker_waits;
pub mod catalogue;
pub mod clocks;
pub mod compensation;
pub mod condition;
pub mod contract;
pub mod contract_event;
pub mod delivery;
pub mod election;
pub mod enrollment;
pub mod errors;
pub mod expiring;
pub mod gateway;
pub mod identity;
pub mod inventory;
pub mod listening;
pub mod listing;
pub mod money;
pub mod names;
pub mod parameter;
pub mod promise;
pub mod protocol;
pub mod reasons;
pub mod reconcile_wish;
pub mod remote;
pub mod secret;
pub mod site;
mod strict_json;
pub mod supply_order;
pub mod time;
pub mod turns;
pub mod unreadable;
pub mod version;
pub mod views;

pub use entente_crds::bounded;
