//! End-to-end tests, one module per subject; one binary, so that it links once.

mod admission;
mod chart;
mod control_plane;
mod delivery;
mod driver_contract;
mod kstatus;
mod peers;
mod simulator;
mod standard;
