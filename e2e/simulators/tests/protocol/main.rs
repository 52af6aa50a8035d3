//! The simulators tested from outside: every operation and every fault over real sockets, and their
//! lines in the ledger. A simulator that is wrong would make every end-to-end test worthless.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is test code, also what several tests share"
)]

mod broker;
mod broker_fault;
mod device;
mod device_fault;
mod driven;
mod orders;
mod process;
mod zoo;
