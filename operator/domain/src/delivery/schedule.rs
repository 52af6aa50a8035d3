//! Decisions by dates alone: the revision in force, and whether the service is set up, prepared,
//! left alone or withdrawn.
//!
//! Knows nothing of the answers of remote sides. Called by resolve.

pub(in crate::delivery) mod intent;
pub(in crate::delivery) mod revision;
