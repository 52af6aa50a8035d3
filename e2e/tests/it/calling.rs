//! Devices that call: the real gateway as a process with the chart's rights, and the reference device
//! that reads its published protocol alone.

mod away;
mod conformance;
mod fixture;
mod fleet;
mod generated;
mod history;
mod life;
mod openapi;
mod order;
mod rolled;
mod swupdate;
mod vendor;
mod wire;
