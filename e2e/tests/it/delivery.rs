//! Contracts on devices and brokers, through the real operator, API server and peers: what is sent
//! and when, what counts as proof, what is owed when proof comes late.

mod liar;
mod start;
