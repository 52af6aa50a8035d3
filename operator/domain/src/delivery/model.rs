//! The nouns of delivery, without rules: observations, wants and actions.
//!
//! Decides nothing. Every stage reads these and makes some of them; a rule belongs to the stage
//! that has it.

pub(in crate::delivery) mod action;
mod asked_waits;
pub(in crate::delivery) mod backoffs;
pub(in crate::delivery) mod blocked;
pub(in crate::delivery) mod digest;
pub(in crate::delivery) mod item;
pub(in crate::delivery) mod parameters;
pub(in crate::delivery) mod resolved;
pub(in crate::delivery) mod snapshot;
