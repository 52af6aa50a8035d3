//! Devices that call: the real gateway as a process with the chart's rights, and the reference device
//! that reads its published protocol alone.

mod activation;
mod away;
mod change;
mod conformance;
mod data_agent;
mod data_types;
mod errors;
mod events;
mod events_faults;
mod events_fixture;
mod events_round_trips;
mod fixture;
mod fleet;
mod generated;
mod history;
mod life;
mod openapi;
mod order;
mod played;
mod rolled;
mod supplies;
mod swupdate;
mod vendor;
mod wire;
