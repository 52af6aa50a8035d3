//! The program `entente-agent` as a process, against a gateway of tests on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is test code, also what several tests share"
)]

mod conformance;
mod device;
mod errors;
mod events;
mod gateway;
mod life;
mod reports;
mod services;
mod updates;
