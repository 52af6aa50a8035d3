//! Decisions by dates alone: the revision in force, and whether the service is set up, prepared,
//! left alone or withdrawn; whether software may be installed.
//!
//! Knows nothing of the answers of remote sides. Called by resolve and plan.

pub(in crate::delivery) mod intent;
pub(in crate::delivery) mod revision;
pub(in crate::delivery) mod window;
