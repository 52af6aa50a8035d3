//! End-to-end tests, one module per subject; one binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is test code, also what several tests share"
)]

mod account;
mod admission;
mod board;
mod calling;
mod catalogue;
mod chart;
mod contract_events;
mod control_plane;
mod delivery;
mod delivery_fixture;
mod demo;
mod driver_conformance;
mod example_services;
mod gitops;
mod helm;
mod kstatus;
mod lifecycle;
mod monitoring;
mod openapi;
mod orders;
mod peers;
mod plugin;
mod security;
mod settings_server;
mod sha256;
mod tenant_secrets;
mod zoo;
