//! The simulators judged from outside: every operation and every fault over real sockets, and what
//! the ledger says of it. A simulator that is wrong would make every other test here worthless.

#![expect(
    clippy::unwrap_used,
    reason = "functions that tests share stop the test as tests do"
)]

mod broker;
mod broker_fault;
mod device;
mod device_fault;
mod driven;
mod process;
