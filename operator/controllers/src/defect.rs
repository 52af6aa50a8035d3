//! The report of a pass that panics, in its objects, before the queue retries it (K7).

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;

/// Runs the work of a pass. If it panics, `report` writes that to the objects of the pass, and the
/// panic continues to the queue, which counts it, logs it and retries.
///
/// The report is made only then, and on the heap: a pass must not be larger for what it hardly
/// ever does.
pub(crate) async fn reporting_panics<T, R: Future<Output = ()>>(
    work: impl Future<Output = T>,
    report: impl FnOnce() -> R,
) -> T {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            Box::pin(report()).await;
            resume_unwind(panic)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    // shows K7
    #[tokio::test]
    async fn a_panic_is_reported_and_goes_on_and_what_ends_well_is_not_reported() {
        let reports = Cell::new(0);
        let report = async || reports.set(reports.get() + 1);
        assert_eq!(reporting_panics(async { 7 }, report).await, 7);
        assert_eq!(reports.get(), 0);
        let broken = reporting_panics(async { panic!("on purpose") }, report);
        let ended: Result<(), _> = AssertUnwindSafe(broken).catch_unwind().await;
        assert!(ended.is_err());
        assert_eq!(reports.get(), 1);
    }
}
