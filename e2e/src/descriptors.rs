//! The limit of descriptors of this process and of those that it starts.
//!
//! Each connection takes one at each of its ends. Called by tests with thousands of connections, and by
//! the benches.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit is too low, and may not be raised so far.
#[derive(Debug, thiserror::Error)]
#[error(
    "{wanted} open files are needed at once and {most} are allowed: raise the hard limit \
     (`ulimit -Hn {wanted}`, LimitNOFILE= of systemd, or --ulimit nofile={wanted} of a container)"
)]
pub struct TooFew {
    wanted: u64,
    most: u64,
}

/// Raises the limit to so many at least; a higher one stays.
///
/// # Errors
/// The hard limit is lower.
pub fn raise(wanted: u64) -> Result<(), TooFew> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(wanted),
        ..now
    };
    let most = now.maximum.unwrap_or(u64::MAX);
    setrlimit(Resource::Nofile, raised).map_err(|_| TooFew { wanted, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_may_not_be_raised_so_far_is_told_and_one_that_is_enough_stays() {
        let before = getrlimit(Resource::Nofile);
        raise(1).unwrap();
        assert_eq!(getrlimit(Resource::Nofile), before);
        // No kernel allows a process so many.
        let told = raise(u64::MAX - 1).unwrap_err().to_string();
        assert!(told.contains("ulimit -Hn 18446744073709551614"), "{told}");
        assert_eq!(getrlimit(Resource::Nofile), before);
    }
}
