//! Delivery against simulated remote sides: golden scenarios and properties.
//!
//! The pass of `simulation` does the same as the delivery controller, with a virtual clock and
//! without Kubernetes. Every plan that is made in here is linted.

#![allow(missing_docs, clippy::panic, reason = "a test")]

mod lint;
mod properties;
mod scenarios;
mod simulation;
