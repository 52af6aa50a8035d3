//! The limit of descriptors: each connection takes one, and each file of artifacts.
//!
//! Many systems start a process with a low limit (the soft one) for the sake of old programs, and let it
//! raise that to another one (the hard one), as programs in Go do by themselves. It never lowers a limit,
//! and a limit that stays too low ends nothing. Called at the start of the gateway.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Descriptors besides those of connections: files, the API server, servers of vendors.
const BESIDES: u64 = 256;

/// Raises the limit as far as it may be, and says in the log what it is and whether that is enough for so
/// many connections.
pub(crate) fn raise(connections: u32) {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if let Err(problem) = setrlimit(Resource::Nofile, wanted) {
        warn!(%problem, "the limit of descriptors can not be raised");
    }
    let limit = getrlimit(Resource::Nofile).current;
    match shortage(connections, limit) {
        None => info!(limit, "descriptors"),
        Some(problem) => warn!(limit, problem, "descriptors"),
    }
}

/// Returns the fault of a limit that is too low for so many connections; none is enough for any number.
fn shortage(connections: u32, limit: Option<u64>) -> Option<String> {
    let limit = limit?;
    let needed = u64::from(connections) + BESIDES;
    (limit < needed).then(|| {
        format!(
            "the hard limit of open files (RLIMIT_NOFILE) is {limit} and --connections={connections} needs \
             {needed}: raise the limit, or lower --connections"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        // Hardly lower, since other tests run at the same time.
        let lower = Rlimit {
            current: before.maximum.map(|most| most - 1),
            ..before
        };
        setrlimit(Resource::Nofile, lower).unwrap();
        for _ in 0..2 {
            raise(1);
            assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
        }
    }

    #[test]
    fn a_limit_that_is_too_low_is_told_with_what_is_needed() {
        assert_eq!(shortage(16_384, None), None);
        assert_eq!(shortage(16_384, Some(16_640)), None);
        let problem = shortage(16_384, Some(4096)).unwrap();
        for part in ["4096", "16640", "--connections=16384"] {
            assert!(problem.contains(part), "{problem}");
        }
    }
}
