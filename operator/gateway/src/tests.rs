//! The gateway over real HTTP on loopback, in front of an API server in this process.

mod activations;
mod away;
mod canary;
mod credentials;
mod ddi;
mod errors;
mod errors_odd;
mod events;
mod events_odd;
mod held;
mod inbox;
mod lines;
mod log;
mod odd;
mod places;
mod registrations;
mod services;
mod stand;
mod twins;
pub(crate) mod vendor;
