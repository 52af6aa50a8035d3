//! The wall clock behind a trait, and its skew.
//!
//! Everything that compares with a date of a contract reads the time here, so that tests can own
//! it. Instants are truncated to milliseconds, the precision that objects carry. Lengths of time
//! (timeouts, backoff) never come from here: they use the monotonic clock of tokio. Used by every
//! controller and by `queue`.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use entente_domain::{clocks::TOLERANCE, time::format_duration};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::Instant,
};

use crate::{readiness::Readiness, shutdown::Shutdown};

/// The wall clock.
pub trait Clock: Send + Sync {
    /// Returns the current instant, truncated to milliseconds: never later than the real one.
    fn now(&self) -> Timestamp;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        truncated(Timestamp::now())
    }
}

/// A clock for tests: it starts at a given instant, runs with tokio's clock (which tests may pause
/// and advance) and can jump.
#[derive(Debug)]
pub struct FakeClock {
    base: Instant,
    at_base: Mutex<Timestamp>,
}

impl FakeClock {
    /// Returns a clock that shows `start` now. Needs a tokio runtime.
    pub fn starting_at(start: Timestamp) -> Self {
        Self {
            base: Instant::now(),
            at_base: Mutex::new(start),
        }
    }

    /// Moves the clock by `step`, forward or back, without time passing.
    pub fn jump(&self, step: SignedDuration) {
        let mut at_base = self.at_base.lock().unwrap_or_else(PoisonError::into_inner);
        *at_base = at_base.saturating_add(step).unwrap_or(*at_base);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let at_base = *self.at_base.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = SignedDuration::try_from(self.base.elapsed()).unwrap_or(SignedDuration::MAX);
        truncated(at_base.saturating_add(passed).unwrap_or(Timestamp::MAX))
    }
}

fn truncated(instant: Timestamp) -> Timestamp {
    let to_milliseconds = TimestampRound::new()
        .smallest(Unit::Millisecond)
        .mode(RoundMode::Floor);
    instant.round(to_milliseconds).unwrap_or(instant)
}

/// Difference between this machine's clock and that of the API server, measured from the `Date`
/// header (RFC 9110, section 6.6.1) of its answers.
///
/// Starting and withdrawing services needs the two within [`TOLERANCE`]; the decision
/// reads [`ClockSkew::is_skewed`] before each. Fed by the layer of `client`.
#[derive(Debug, Default)]
pub struct ClockSkew {
    milliseconds: AtomicI64,
    /// Difference that subscribers were told of last.
    told: AtomicI64,
    listeners: Mutex<Vec<UnboundedSender<()>>>,
}

impl ClockSkew {
    /// Measures by one answer: the server dated it `date`, and it belongs to a request that was
    /// sent at `sent` and answered at `received`, both by the local clock.
    ///
    /// The server wrote the date somewhere between the two, so a slow answer, or a process that was
    /// stopped in between, widens the interval and is not mistaken for a skew. `date` has whole
    /// seconds only, cut off.
    ///
    /// Returns the time by which the local clock is ahead, and notifies subscribers when that
    /// becomes more than is tolerated, or is so no more.
    pub fn observe(&self, date: Timestamp, sent: Timestamp, received: Timestamp) -> SignedDuration {
        let earliest = date.as_millisecond();
        let latest = earliest.saturating_add(999);
        let ahead = sent.as_millisecond().saturating_sub(latest);
        let behind = earliest.saturating_sub(received.as_millisecond());
        let skew = if ahead > 0 {
            ahead
        } else if behind > 0 {
            -behind
        } else {
            0
        };
        self.milliseconds.store(skew, Ordering::Relaxed);
        let told = self.told.load(Ordering::Relaxed);
        if is_news(excess(told), excess(skew)) {
            self.told.store(skew, Ordering::Relaxed);
            let mut listeners = self
                .listeners
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            listeners.retain(|listener| listener.send(()).is_ok());
        }
        SignedDuration::from_millis(skew)
    }

    /// Returns a message for each time that the clocks begin to differ, differ by another time than
    /// was told, or agree again.
    pub fn subscribe(&self) -> UnboundedReceiver<()> {
        let (listener, changes) = unbounded_channel();
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
        changes
    }

    /// Returns the time by which the local clock is ahead (behind, if negative); zero before the first
    /// answer.
    pub fn ahead(&self) -> SignedDuration {
        SignedDuration::from_millis(self.milliseconds.load(Ordering::Relaxed))
    }

    /// Returns the time by which the local clock is ahead (behind, if negative), if that is more
    /// than is tolerated. `None` also before the first answer.
    pub fn is_skewed(&self) -> Option<SignedDuration> {
        excess(self.milliseconds.load(Ordering::Relaxed))
    }
}

/// True if a difference of the clocks is not what was told before: it came, went, or is another by
/// more than is tolerated.
fn is_news(told: Option<SignedDuration>, found: Option<SignedDuration>) -> bool {
    match (told, found) {
        (Some(told), Some(found)) => (found - told).abs() > TOLERANCE,
        (told, found) => told.is_some() != found.is_some(),
    }
}

/// Returns a difference of so many milliseconds, if it is more than is tolerated.
fn excess(milliseconds: i64) -> Option<SignedDuration> {
    let skew = SignedDuration::from_millis(milliseconds);
    (skew.abs() > TOLERANCE).then_some(skew)
}

/// Name of the clock in the readiness.
const COMPONENT: &str = "clock";

/// Reports in the readiness and in the log that the clocks differ, and that they agree again, until
/// the shutdown is requested.
pub(crate) async fn report_skew(skew: &ClockSkew, readiness: &Readiness, shutdown: &Shutdown) {
    let mut changes = skew.subscribe();
    let mut differed = false;
    loop {
        let found = skew.is_skewed();
        if let Some(skew) = found {
            let line = format!(
                "it is {} {} that of the API server; set the clock of the node",
                format_duration(skew.abs()),
                if skew.is_negative() {
                    "behind"
                } else {
                    "ahead of"
                },
            );
            tracing::warn!(
                line,
                "the clocks differ: no service is begun, judged or withdrawn"
            );
            readiness.set_missing(COMPONENT, vec![line]);
        } else {
            if differed {
                tracing::info!("the clocks agree again");
            }
            readiness.set_ready(COMPONENT);
        }
        differed = found.is_some();
        tokio::select! {
            () = shutdown.requested() => return,
            change = changes.recv() => if change.is_none() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_system_clock_shows_whole_milliseconds_that_have_passed() {
        let now = SystemClock.now();
        assert_eq!(now.subsec_nanosecond() % 1_000_000, 0);
        assert!(now <= Timestamp::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fake_clock_runs_with_tokio_and_jumps_when_told() {
        let clock = FakeClock::starting_at(at("2027-03-01T00:00:00Z"));
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now(), at("2027-03-01T00:00:01.5Z"));
        clock.jump(SignedDuration::from_hours(-1));
        assert_eq!(clock.now(), at("2027-02-28T23:00:01.5Z"));
    }

    #[test]
    fn more_than_five_seconds_ahead_or_behind_is_a_skew() {
        let skew = ClockSkew::default();
        assert_eq!(skew.is_skewed(), None);
        let date = at("2027-03-01T00:00:10Z");
        let ahead = at("2027-03-01T00:00:17Z");
        skew.observe(date, ahead, ahead);
        assert_eq!(skew.is_skewed(), Some(SignedDuration::from_millis(6001)));
        let behind = at("2027-03-01T00:00:04Z");
        skew.observe(date, behind, behind);
        assert_eq!(skew.is_skewed(), Some(SignedDuration::from_secs(-6)));
        let close = at("2027-03-01T00:00:05Z");
        skew.observe(date, close, close);
        assert_eq!(skew.is_skewed(), None);
    }

    // shows K5
    #[tokio::test]
    async fn a_clock_that_differs_is_not_ready_and_says_in_which_direction() {
        let (skew, readiness) = (ClockSkew::default(), Readiness::default());
        let (trigger, shutdown) = Shutdown::channel();
        let date = at("2027-03-01T01:00:00Z");
        let measured = |received: &str| {
            skew.observe(date, at(received), at(received));
        };
        // The two futures are polled in turn, in either order.
        let says = async |expected: &[&str]| {
            for _ in 0..10 {
                if readiness.missing() == expected {
                    return;
                }
                tokio::task::yield_now().await;
            }
            assert_eq!(readiness.missing(), expected);
        };
        let told = async {
            measured("2027-03-01T00:00:00Z");
            says(&["clock: it is 1h behind that of the API server; set the clock of the node"])
                .await;
            measured("2027-03-01T01:00:00Z");
            says(&[]).await;
            measured("2027-03-01T01:00:11Z");
            says(&["clock: it is 10s ahead of that of the API server; set the clock of the node"])
                .await;
            // Another difference is told, too, once it is more than is tolerated.
            measured("2027-03-01T00:59:00Z");
            says(&["clock: it is 1m behind that of the API server; set the clock of the node"])
                .await;
            trigger.trigger();
        };
        tokio::join!(report_skew(&skew, &readiness, &shutdown), told);
    }

    #[test]
    fn a_slow_answer_is_no_skew() {
        let skew = ClockSkew::default();
        skew.observe(
            at("2027-03-01T00:00:01Z"),
            at("2027-03-01T00:00:00Z"),
            at("2027-03-01T00:00:40Z"),
        );
        assert_eq!(skew.is_skewed(), None);
    }
}
