//! End-to-end tests, one module per subject; one binary, so that it links once.

mod admission;
mod chart;
mod control_plane;
mod kstatus;
mod peers;
mod simulator;
