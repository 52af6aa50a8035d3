//! Real ground to stand on: a control plane, the operator as a process, peers we did not write,
//! simulators with a ledger, and the words in which end-to-end tests, the demo and benches speak
//! of them.

pub mod bench;
pub mod control_plane;
pub mod demo;
pub mod dump;
pub mod operator;
pub mod peers;
pub mod scene;
pub mod simulator;
pub mod wait;
