//! A reference device for makers of devices, and for people without one.
//!
//! It is an independent reader of docs/api/gateway.yaml: it shares no code with the gateway, so that each
//! finds the other's errors. Decisions are pure functions (`state`, `twin`, `services`, `activation`,
//! `abilities`, `events`, `panel`, `software`, `ddi`, `answer`, `pace`, `clock`, `link`); requests and files are at the edge
//! (`http`, `download`, `store`, `device`). `check` is a test of a gateway by the same document.

pub mod abilities;
pub mod activation;
pub mod answer;
pub mod api;
pub mod args;
pub mod check;
pub mod clock;
pub mod commands;
pub mod ddi;
pub mod device;
pub mod download;
pub mod events;
pub mod http;
pub mod link;
pub mod pace;
pub mod panel;
pub mod period;
pub mod services;
pub mod software;
pub mod state;
pub mod store;
pub mod table;
pub mod twin;
