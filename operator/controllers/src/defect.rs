//! The defect of ours in which a pass ended: a panic, or more time than it may take (K7).
//!
//! It ends the pass and nothing else: the shell reports it in the objects of the pass, and the
//! queue retries. Never decides what a status says. Called by the shell of controllers.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::time::timeout;

/// Defect in which a pass ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Defect {
    /// It panicked, with this message.
    Panicked(String),
    /// It took longer than its time limit.
    TimedOut(Duration),
}

impl Defect {
    /// Returns the sentence for the status of an object.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Panicked(_) => "The operator met a defect of its own while it looked at this \
                                  object; its log says more."
                .to_owned(),
            Self::TimedOut(limit) => format!(
                "The operator did not get through with this object within {} s, and begins anew; \
                 that is a defect of its own.",
                limit.as_secs()
            ),
        }
    }
}

/// Runs the work of a pass, in at most `limit`.
pub(crate) async fn guarded<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Defect> {
    let done = alone(timeout(limit, work)).await?;
    done.map_err(|_| Defect::TimedOut(limit))
}

/// Runs one piece of the work of a pass, so that a panic in it loses no other.
pub(crate) async fn alone<T>(work: impl Future<Output = T>) -> Result<T, Defect> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|panic| Defect::Panicked(message(&*panic)))
}

/// Runs a piece of work that never waits; `None` if it panics, which is logged under this name.
pub(crate) fn guarded_now<T>(what: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.inspect_err(|panic| {
        let message = message(&**panic);
        tracing::error!(what, message, "a panic; this is a defect of Entente");
    })
    .ok()
}

/// Returns the text of a panic.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K7
    #[tokio::test(start_paused = true)]
    async fn a_pass_that_panics_or_hangs_ends_in_a_defect_with_its_sentence() {
        let limit = Duration::from_mins(1);
        assert_eq!(guarded(limit, async { 7 }).await, Ok(7));
        let panicked = guarded(limit, async { panic!("on purpose") }).await;
        let panicked: Defect = panicked.map(|(): ()| ()).expect_err("a defect");
        assert_eq!(panicked, Defect::Panicked("on purpose".to_owned()));
        let hung = guarded(limit, std::future::pending::<()>()).await;
        let hung = hung.expect_err("a defect");
        assert_eq!(hung, Defect::TimedOut(limit));
        assert_ne!(panicked.sentence(), hung.sentence());
    }

    #[test]
    fn work_that_panics_at_once_gives_nothing_and_ends_nobody_else() {
        assert_eq!(guarded_now("test", || 7), Some(7));
        assert_eq!(guarded_now::<u8>("test", || panic!("on purpose")), None);
    }
}
