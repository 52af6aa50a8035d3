//! Every order of events of two candidates and one Lease, searched through to its end, and the times
//! of single cases.
//!
//! Shared here: short names for what the tests say.

mod exhaustive;
mod times;

use super::*;

/// A Lease of twelve seconds: to act for 8 s, to renew after 3 s, to look again after 1 s.
const TERMS: Terms = Terms {
    duration: Duration::from_secs(12),
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn record(holder: Option<&str>, transitions: i32, renewed: &str) -> Record {
    Record {
        holder: holder.map(str::to_owned),
        duration: TERMS.duration,
        transitions,
        renewed: renewed.to_owned(),
    }
}

fn lease(version: &str, holder: Option<&str>, transitions: i32) -> Lease {
    Lease {
        version: version.to_owned(),
        record: record(holder, transitions, version),
    }
}
