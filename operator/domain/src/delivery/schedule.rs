//! What is to happen by dates alone: which revision is in force, and whether the service is set up,
//! prepared, left alone or withdrawn.
//!
//! Knows nothing of what remote sides said. Called by resolve.

pub(in crate::delivery) mod intent;
pub(in crate::delivery) mod revision;
