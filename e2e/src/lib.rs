//! The environment of end-to-end tests, which the demo and the benches use too: a control plane, the
//! operator as a process, real peers, and a namespace with functions that apply and read objects.
//!
//! It never decides what the operator should do, and shares nothing with it but the API types.

pub mod balancer;
pub mod control_plane;
pub mod descriptors;
pub mod dump;
pub mod environment;
pub mod namespace;
pub mod operator;
pub mod peers;
pub mod road;
pub mod wait;
