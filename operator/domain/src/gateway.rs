//! The decisions of the gateway that devices call: admission, credentials, answers, calls.
//!
//! A device behind a firewall is asked nothing; it calls. What it may do, what is answered and what is
//! kept of it is decided here, from objects, a request and `now`. It must never decide what a device
//! should hold: that is the spec of its DeviceTwin, which delivery writes. Secrets are handed through
//! and never kept. Called by the crate `entente-gateway`.

pub mod activation;
pub mod admission;
pub mod artifacts;
pub mod body;
pub mod credential;
pub mod ddi;
pub mod events;
pub mod headers;
mod holders;
pub mod limits;
mod members;
pub mod messages;
pub mod poll;
pub mod problem;
pub mod region;
pub mod registration;
pub mod reported;
pub mod request;
pub mod services;
mod software;
mod texts;
pub mod twin;
pub mod unavailable;
