//! Parsing of large bodies, so that it holds up nothing else.
//!
//! A body of some megabytes takes long enough to parse that the other tasks of the same worker would
//! wait; hence the worker hands them on before it begins. Large bodies are parsed one after the
//! other: the tree that JSON becomes takes many times the memory of its text. A panic is that of the
//! caller, as if it had parsed by itself. Never looks at a body; called by the drivers.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// A body of so many bytes or more is a large one. A shorter one is parsed in a millisecond.
const LARGE: usize = 64 * 1024;

static TURN: Semaphore = Semaphore::const_new(1);

/// Parses a body of that length in bytes, and returns the result.
pub(crate) async fn parse<T>(length: usize, body: impl FnOnce() -> T) -> T {
    let has_workers = Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread;
    if length < LARGE || !has_workers {
        return body();
    }
    let _turn = TURN.acquire().await.expect("it is never closed");
    tokio::task::block_in_place(body)
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    // shows K5
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn while_a_large_body_is_parsed_the_only_worker_goes_on() {
        let (ticks, ticked) = channel();
        let parsing = tokio::spawn(async move {
            tokio::spawn(async move { ticks.send("another task") });
            parse(LARGE, move || ticked.recv_timeout(Duration::from_secs(20))).await
        });
        assert_eq!(parsing.await.unwrap(), Ok("another task"));
    }

    // shows K7
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_panic_is_met_by_the_caller_and_the_next_body_is_parsed() {
        let parsing = tokio::spawn(async {
            let panics = parse(LARGE, || panic!("a defect"));
            let met: Result<(), _> = AssertUnwindSafe(panics).catch_unwind().await;
            (met.is_err(), parse(LARGE, || 7).await)
        });
        assert_eq!(parsing.await.unwrap(), (true, 7));
    }

    #[tokio::test]
    async fn a_runtime_without_workers_parses_by_itself() {
        assert_eq!(parse(LARGE, || 7).await, 7);
    }
}
