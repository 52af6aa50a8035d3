//! The limit of open files of this process and of those that it starts.
//!
//! Raises it as far as the machine lets, and decides whether that suffices. It must never let a bench
//! begin that would run out of files half way. Called before anything is measured.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Bench, BenchError};

/// The limit that is asked for: enough for the largest fleet, whatever the shell had.
const WANTED: u64 = 65_536;
/// Files besides those of devices: libraries, logs, the API server's connections.
const OTHERS: usize = 512;

/// Limits of a process; none is "any number".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    soft: Option<u64>,
    hard: Option<u64>,
}

/// Returns the files that these benches have open at once, with so many devices that are called and
/// so many that call.
pub(super) fn needed(benches: &[Bench], devices: usize, calling: usize) -> usize {
    let of = |bench: &Bench| match bench {
        Bench::Calling => calling + OTHERS,
        // A listener, and a connection that the operator opened.
        _ => 2 * devices,
    };
    benches.iter().map(of).max().unwrap_or_default()
}

/// Raises the limit to 65,536, or as far as the machine lets if that is enough.
///
/// # Errors
/// [`BenchError::OpenFiles`] if these benches need more.
pub(super) fn raise(needed: usize) -> Result<(), BenchError> {
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
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
    let problem = |limit| BenchError::OpenFiles { limit, needed };
    let (best, otherwise) = wishes(found);
    if set(best) {
        return enough(best, needed).map_err(problem);
    }
    // Only a privileged process raises the hard limit.
    let left = if set(otherwise) { otherwise } else { found };
    enough(left, needed).map_err(problem)
}

/// Returns the limits to ask for, and those that every process may set.
fn wishes(found: Limits) -> (Limits, Limits) {
    let at_least = |limit: Option<u64>| limit.map(|limit| limit.max(WANTED));
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
    fn the_limit_is_raised_to_what_the_issue_names_and_otherwise_to_what_every_process_may() {
        let (best, otherwise) = wishes(limits(1024, 20_000));
        assert_eq!(best, limits(65_536, 65_536));
        assert_eq!(otherwise, limits(20_000, 20_000));
        // A higher one is not lowered.
        let (best, _) = wishes(limits(1024, 1_048_576));
        assert_eq!(best, limits(65_536, 1_048_576));
        let any = Limits {
            soft: Some(1024),
            hard: None,
        };
        assert_eq!(wishes(any).0.hard, None);
    }

    #[test]
    fn a_limit_below_the_need_of_the_benches_is_refused_before_they_begin() {
        let calling = needed(&[Bench::Calling], 10_000, 10_000);
        assert_eq!(calling, 10_512);
        assert_eq!(needed(&Bench::ALL, 10_000, 10_000), 20_000);
        assert_eq!(enough(limits(20_000, 20_000), 20_000), Ok(()));
        assert_eq!(enough(limits(4096, 4096), 10_512), Err(4096));
        let any = Limits {
            soft: None,
            hard: None,
        };
        assert_eq!(enough(any, 1 << 40), Ok(()));
    }

    #[test]
    fn this_process_may_raise_its_limit_to_what_a_quick_run_needs() {
        raise(needed(&[Bench::Calling], 0, 200)).unwrap();
        let problem = raise(usize::MAX).unwrap_err().to_string();
        assert!(problem.contains("ulimit -Hn"), "{problem}");
    }
}
