//! Placeholder while the house is built.

pub mod control_plane;
pub mod peers;
pub mod simulator;
