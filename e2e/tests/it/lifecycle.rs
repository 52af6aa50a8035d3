//! Beginnings and ends: the operator killed, restarted and stopped; contracts, devices and
//! namespaces deleted; rights missing.

mod amended;
mod crash;
mod namespaces;
mod noticed;
mod process;
mod provider;
mod renewal;
mod replicas;
mod restored;
mod unreadable;
mod withdrawal;
