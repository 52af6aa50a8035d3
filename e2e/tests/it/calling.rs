//! Devices that call: the real gateway as a process with the chart's rights, and the reference device
//! that reads its published protocol alone.

mod conformance;
mod fixture;
mod life;
mod swupdate;
