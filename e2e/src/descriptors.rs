//! The limit of descriptors of this process and of those that it starts.
//!
//! Raises it as far as the machine lets, and decides whether that suffices: each connection takes one at
//! each of its ends. It never lowers a limit. Called by tests with thousands of connections, and by the
//! benches.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit is too low, and may not be raised so far.
#[derive(Debug, thiserror::Error)]
#[error(
    "{needed} open files are needed at once and {limit} are allowed: raise the hard limit \
     (`ulimit -Hn {needed}`, LimitNOFILE= of systemd, or --ulimit nofile={needed} of a container)"
)]
pub struct TooFew {
    /// Number of files that are needed.
    pub needed: u64,
    /// The limit that could be had.
    pub limit: u64,
}

/// Limits of a process; none is "any number".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    soft: Option<u64>,
    hard: Option<u64>,
}

/// Raises the limit to as many as are wanted, or as far as the machine lets if what is needed fits.
///
/// # Errors
/// More are needed.
pub fn raise(wanted: u64, needed: u64) -> Result<(), TooFew> {
    let set = |limits: Limits| {
        let limits = Rlimit {
            current: limits.soft,
            maximum: limits.hard,
        };
        setrlimit(Resource::Nofile, limits).is_ok()
    };
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let found = Limits {
        soft: current,
        hard: maximum,
    };
    let problem = |limit| TooFew { needed, limit };
    let (best, otherwise) = wishes(found, wanted);
    if set(best) {
        return enough(best, needed).map_err(problem);
    }
    // Only a privileged process raises the hard limit. What does not suffice is left as it is.
    enough(otherwise, needed).map_err(problem)?;
    let left = if set(otherwise) { otherwise } else { found };
    enough(left, needed).map_err(problem)
}

/// Returns the limits to ask for, and those that every process may set.
fn wishes(found: Limits, wanted: u64) -> (Limits, Limits) {
    let at_least = |limit: Option<u64>| limit.map(|limit| limit.max(wanted));
    let best = Limits {
        soft: at_least(found.soft),
        hard: at_least(found.hard),
    };
    let otherwise = Limits {
        soft: found.hard,
        hard: found.hard,
    };
    (best, otherwise)
}

/// Judges a limit; the limit itself if it is too low.
fn enough(limits: Limits, needed: u64) -> Result<(), u64> {
    match limits.soft {
        Some(soft) if soft < needed => Err(soft),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(soft: u64, hard: u64) -> Limits {
        Limits {
            soft: Some(soft),
            hard: Some(hard),
        }
    }

    #[test]
    fn the_limit_is_raised_to_what_is_wanted_and_otherwise_to_what_every_process_may() {
        let (best, otherwise) = wishes(limits(1024, 20_000), 65_536);
        assert_eq!(best, limits(65_536, 65_536));
        assert_eq!(otherwise, limits(20_000, 20_000));
        // A higher one is not lowered.
        let (best, _) = wishes(limits(1024, 1_048_576), 65_536);
        assert_eq!(best, limits(65_536, 1_048_576));
        let any = Limits {
            soft: Some(1024),
            hard: None,
        };
        assert_eq!(wishes(any, 65_536).0.hard, None);
    }

    #[test]
    fn a_limit_below_the_need_is_refused() {
        assert_eq!(enough(limits(20_000, 20_000), 20_000), Ok(()));
        assert_eq!(enough(limits(4096, 4096), 10_512), Err(4096));
        let any = Limits {
            soft: None,
            hard: None,
        };
        assert_eq!(enough(any, 1 << 40), Ok(()));
    }

    #[test]
    fn a_limit_that_may_not_be_raised_so_far_is_told_and_one_that_is_enough_stays() {
        let before = getrlimit(Resource::Nofile);
        raise(1, 1).unwrap();
        assert_eq!(getrlimit(Resource::Nofile), before);
        // No kernel allows a process so many.
        let told = raise(u64::MAX - 1, u64::MAX - 1).unwrap_err().to_string();
        assert!(told.contains("ulimit -Hn 18446744073709551614"), "{told}");
        assert_eq!(getrlimit(Resource::Nofile), before);
    }
}
