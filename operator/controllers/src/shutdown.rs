//! One signal to stop, seen by every task.
//!
//! Nothing here ends a task: each one watches its [`Shutdown`] and finishes what it is doing. Made
//! by the binary, handed to caches, queues and controllers.

use tokio::sync::watch;

/// Sends every [`Shutdown`] the signal to stop.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// A receiver of the signal to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Returns a signal and the trigger for it. Dropping the trigger gives the signal too.
    pub fn channel() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Waits until it is time to stop; returns at once afterwards.
    pub async fn requested(&self) {
        // An error means that the trigger is gone, which counts as the signal.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }

    /// True if it is time to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownTrigger {
    /// Gives the signal; a second time does nothing.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::Shutdown;

    #[tokio::test]
    async fn a_signal_reaches_clones_and_late_waiters() {
        let (trigger, shutdown) = Shutdown::channel();
        let clone = shutdown.clone();
        assert!(!clone.is_requested());
        trigger.trigger();
        shutdown.requested().await;
        clone.requested().await;
        assert!(clone.is_requested());
    }

    #[tokio::test]
    async fn a_dropped_trigger_counts_as_the_signal() {
        let (trigger, shutdown) = Shutdown::channel();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
