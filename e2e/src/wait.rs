//! Waiting for a condition, with a deadline.
//!
//! Looks again and again at the state as it is (never at events that could be missed), a little
//! less often each time. It must never be used to let time pass. Called by tests and the demo.

use std::fmt;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(15);
const LONGEST: Duration = Duration::from_millis(250);

/// The awaited state did not come in time.
#[derive(thiserror::Error)]
#[error("not seen within {within:?}: {what}\n{dump}")]
pub struct Late {
    /// Description of the awaited state.
    pub what: String,
    /// The time that passed.
    pub within: Duration,
    /// The state at the end, for people.
    pub dump: String,
}

/// As a person reads it, since a test that unwraps prints this.
impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Calls `look` until it returns something.
///
/// # Errors
/// [`Late`] with an empty dump once `within` has passed; `look` is asked at least once after that.
pub async fn wait_for<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, Late> {
    let deadline = Instant::now() + within;
    let mut pause = FIRST;
    loop {
        let last = Instant::now() >= deadline;
        if let Some(found) = look().await {
            return Ok(found);
        }
        if last {
            return Err(Late {
                what: what.to_owned(),
                within,
                dump: String::new(),
            });
        }
        tokio::time::sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
        pause = pause.mul_f32(1.3).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_holds_at_the_deadline_is_still_seen() {
        let mut looks = 0;
        let found = wait_for("the second look", Duration::ZERO, async || {
            looks += 1;
            Some(looks)
        });
        assert_eq!(found.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_does_not_come_is_named() {
        let late = wait_for("the impossible", Duration::from_millis(20), async || {
            None::<()>
        });
        let message = format!("{:?}", late.await.unwrap_err());
        assert!(
            message.starts_with("not seen within 20ms: the impossible"),
            "{message}"
        );
    }
}
