//! Devices that call: the real gateway as a process with the chart's rights, and the reference device
//! that reads its published protocol alone.

mod away;
mod conformance;
mod fixture;
mod life;
mod order;
mod swupdate;
mod vendor;
