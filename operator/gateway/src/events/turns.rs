//! Turns: one batch of a device at a time, in the order in which they came.
//!
//! A device sends one batch after the other; a second one that comes meanwhile waits, and more than a few
//! are sent away. Decides nothing else. Called at the beginning of each batch.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use entente_controllers::cache::Key;
use entente_domain::gateway::problem::Problem;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::AGAIN;

/// The most batches of a device at this replica: one that is under way, and those that wait.
const MOST: usize = 3;
/// The longest time for which one waits.
const PATIENCE: Duration = Duration::from_secs(30);

type Devices = HashMap<Key, (Arc<Semaphore>, usize)>;

/// The devices with a batch.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Devices>>);

/// Turn of a batch, until it is dropped.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _presence: Presence,
}

/// A batch that is counted.
struct Presence {
    turns: Turns,
    key: Key,
}

impl Turns {
    /// Waits for the turn of a batch.
    ///
    /// # Errors
    /// Returns the answer to one that is too many, or has waited for too long.
    pub(super) async fn take(&self, key: Key) -> Result<Turn, Problem> {
        let (turn, presence) = self.come(key)?;
        let permit = timeout(PATIENCE, turn.acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Turn {
                _permit: permit,
                _presence: presence,
            }),
            _ => Err(Problem::TooManyRequests(AGAIN)),
        }
    }

    fn come(&self, key: Key) -> Result<(Arc<Semaphore>, Presence), Problem> {
        let mut devices = self.devices();
        let fresh = || (Arc::new(Semaphore::new(1)), 0);
        let (turn, number) = devices.entry(key.clone()).or_insert_with(fresh);
        if *number >= MOST {
            return Err(Problem::TooManyRequests(AGAIN));
        }
        *number += 1;
        let turn = Arc::clone(turn);
        drop(devices);
        let turns = self.clone();
        Ok((turn, Presence { turns, key }))
    }

    /// Returns the number of batches of a device that are under way or wait.
    #[cfg(test)]
    pub(super) fn number(&self, key: &Key) -> usize {
        self.devices().get(key).map_or(0, |it| it.1)
    }

    fn devices(&self) -> MutexGuard<'_, Devices> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut devices = self.turns.devices();
        if let Some((_, number)) = devices.get_mut(&self.key) {
            *number -= 1;
            if *number == 0 {
                devices.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use std::pin::pin;

    use super::*;

    // shows C16 K5
    #[tokio::test]
    async fn batches_of_a_device_take_turns_and_those_of_others_do_not_wait_for_them() {
        let turns = Turns::default();
        let (one, other) = (Key::new("acme", "one"), Key::new("acme", "other"));
        let first = turns.take(one.clone()).await.unwrap();
        let other = turns.take(other).await.unwrap();
        let mut second = pin!(turns.take(one.clone()));
        let mut third = pin!(turns.take(one.clone()));
        assert!(poll!(second.as_mut()).is_pending());
        assert!(poll!(third.as_mut()).is_pending());
        let fourth = turns.take(one.clone()).await;
        assert_eq!(fourth.err(), Some(Problem::TooManyRequests(AGAIN)));
        drop(first);
        let second = second.await.unwrap();
        assert!(poll!(third.as_mut()).is_pending());
        drop(second);
        drop((third.await.unwrap(), other));
        assert!(turns.devices().is_empty());
    }

    // shows K5
    #[tokio::test(start_paused = true)]
    async fn a_batch_that_waits_for_too_long_is_sent_away_and_leaves_nothing() {
        let turns = Turns::default();
        let key = Key::new("acme", "one");
        let first = turns.take(key.clone()).await.unwrap();
        let late = turns.take(key.clone()).await;
        assert_eq!(late.err(), Some(Problem::TooManyRequests(AGAIN)));
        assert_eq!(turns.devices()[&key].1, 1);
        drop(first);
        assert!(turns.devices().is_empty());
    }
}
