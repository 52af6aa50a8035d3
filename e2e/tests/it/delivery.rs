//! Contracts on devices and brokers, through the real operator, API server and peers: requests and
//! their times, proofs, and debts for late proofs.

mod acceptance;
mod broker;
mod drift;
mod edit;
mod evidence;
mod liar;
mod odd_printers;
mod order;
mod owed;
mod preparation;
mod real_peers;
mod renamed;
mod sharing;
mod sites;
mod snmp;
mod start;
mod wishes;
