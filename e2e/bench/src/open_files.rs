//! The open files of the benches.
//!
//! Decides how many they have open at once. It must never let a bench begin that would run out of files
//! half way. Called before anything is measured.

use entente_e2e::descriptors;

use super::{Bench, BenchError};

/// The limit that is asked for: enough for the largest fleet, whatever the shell had.
const WANTED: u64 = 65_536;
/// Files besides those of devices: libraries, logs, the API server's connections.
const OTHERS: usize = 512;

/// Returns the files that these benches have open at once, with so many devices that are called and
/// so many that call.
pub(super) fn needed(benches: &[Bench], devices: usize, calling: usize) -> usize {
    let of = |bench: &Bench| match bench {
        Bench::Calling | Bench::Events => calling + OTHERS,
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
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
    Ok(descriptors::raise(WANTED, needed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_need_of_the_benches_is_that_of_the_largest() {
        let calling = needed(&[Bench::Calling], 10_000, 10_000);
        assert_eq!(calling, 10_512);
        assert_eq!(needed(&Bench::ALL, 10_000, 10_000), 20_000);
    }

    #[test]
    fn this_process_may_raise_its_limit_to_what_a_quick_run_needs() {
        raise(needed(&[Bench::Calling], 0, 200)).unwrap();
        let problem = raise(usize::MAX).unwrap_err().to_string();
        assert!(problem.contains("ulimit -Hn"), "{problem}");
        assert!(problem.contains("CALLING=1000"), "{problem}");
    }
}
