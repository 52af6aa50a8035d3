//! The fence: until when this process may change anything on a remote side.
//!
//! Of several replicas of the operator one leads, and another may begin at a known instant. Every
//! request that changes something passes here: one that is asked while the fence is closed waits, and
//! one that is under way when it closes is broken off. Never decides who leads: the election of the
//! controllers opens it for a length of time, again and again. Asked by the guard around every driver.

use std::time::{Duration, SystemTime};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// A fence. Clones are one fence.
#[derive(Clone, Debug)]
pub struct Fence(watch::Sender<Opening>);

#[derive(Clone, Copy, Debug)]
enum Opening {
    /// There is no other replica.
    ForEver,
    Closed,
    Until(Until),
}

/// An instant by two clocks, of which the earlier one counts: the monotonic one stands still while
/// the whole machine is suspended, and the other one can be set.
#[derive(Clone, Copy, Debug)]
struct Until {
    monotonic: Instant,
    wall: SystemTime,
}

impl Opening {
    fn is_open(self) -> bool {
        match self {
            Self::ForEver => true,
            Self::Closed => false,
            Self::Until(until) => {
                Instant::now() < until.monotonic && SystemTime::now() < until.wall
            }
        }
    }
}

impl Fence {
    /// Returns a fence that is always open: this process is the only one.
    pub fn always_open() -> Self {
        Self(watch::Sender::new(Opening::ForEver))
    }

    /// Returns a fence that is closed until it is opened.
    pub fn closed() -> Self {
        Self(watch::Sender::new(Opening::Closed))
    }

    /// Opens it for so long from now on.
    pub fn open_for(&self, length: Duration) {
        self.0.send_replace(Opening::Until(Until {
            monotonic: Instant::now() + length,
            wall: SystemTime::now() + length,
        }));
    }

    /// Closes it.
    pub fn close(&self) {
        self.0.send_replace(Opening::Closed);
    }

    /// True if something may be changed now.
    pub fn is_open(&self) -> bool {
        self.0.borrow().is_open()
    }

    /// Waits until it is open.
    pub async fn until_open(&self) {
        let mut changes = self.0.subscribe();
        // An error means that the sender is gone, which is in our hands.
        let _ = changes.wait_for(|opening| opening.is_open()).await;
    }

    /// Waits until it is closed.
    pub async fn until_closed(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let opening = *changes.borrow_and_update();
            if !opening.is_open() {
                return;
            }
            let ends = async {
                match opening {
                    Opening::Until(until) => sleep_until(until.monotonic).await,
                    Opening::ForEver | Opening::Closed => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ends => {}
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::time::{advance, timeout};

    use super::*;

    async fn happens(event: impl Future<Output = ()>) -> bool {
        timeout(Duration::ZERO, event).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_open_for_the_time_that_was_given_last() {
        let fence = Fence::closed();
        assert!(!fence.is_open() && !happens(fence.until_open()).await);
        fence.open_for(Duration::from_secs(8));
        assert!(fence.is_open() && happens(fence.until_open()).await);
        advance(Duration::from_secs(3)).await;
        fence.open_for(Duration::from_secs(8));
        advance(Duration::from_secs(7)).await;
        assert!(fence.is_open() && !happens(fence.until_closed()).await);
        advance(Duration::from_secs(1)).await;
        assert!(!fence.is_open() && happens(fence.until_closed()).await);
        fence.open_for(Duration::from_secs(8));
        fence.close();
        assert!(!fence.is_open() && happens(fence.until_closed()).await);
        assert!(Fence::always_open().is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_told() {
        let fence = Fence::closed();
        let (other, waits) = (fence.clone(), fence.clone());
        let waits = tokio::spawn(async move {
            waits.until_open().await;
            waits.until_closed().await;
        });
        other.open_for(Duration::from_secs(8));
        timeout(Duration::from_secs(9), waits)
            .await
            .unwrap()
            .unwrap();
    }

    /// The machine was suspended: its monotonic clock did not run, and the other one was set.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_forward_closes_it() {
        let fence = Fence::closed();
        let now = (Instant::now(), SystemTime::now());
        fence.0.send_replace(Opening::Until(Until {
            monotonic: now.0 + Duration::from_secs(8),
            wall: now.1 - Duration::from_secs(1),
        }));
        assert!(!fence.is_open());
    }
}
