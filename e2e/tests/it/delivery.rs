//! Contracts on devices and brokers, through the real operator, API server and peers: what is sent
//! and when, what counts as proof, what is owed when proof comes late.

mod broker;
mod edit;
mod evidence;
mod liar;
mod order;
mod owed;
mod preparation;
mod real_peers;
mod renamed;
mod sharing;
mod start;
