//! Requests that are held, by the device whose change they wait for.
//!
//! A device has an entry while one of its requests is held. A change is visible in the cache before its
//! device is woken, and a request waits before it looks, so that no change is missed. Decides nothing of
//! what has changed. Fed by the caches; used by `held`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use entente_controllers::{cache::Key, liveness::keep_running};
use tokio::sync::Notify;

use crate::{Gateway, objects::device_of};

/// The devices with requests that are held.
#[derive(Default)]
pub(crate) struct Wakes {
    waiting: Mutex<HashMap<Key, Arc<Notify>>>,
}

/// A request that waits for a change of its device, until it is dropped.
pub(crate) struct Waiting<'a> {
    wakes: &'a Wakes,
    key: Key,
    pub(crate) woken: Arc<Notify>,
}

impl Wakes {
    /// Begins to wait for changes of a device.
    pub(crate) fn wait(&self, key: Key) -> Waiting<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = Arc::clone(waiting.entry(key.clone()).or_default());
        drop(waiting);
        Waiting {
            wakes: self,
            key,
            woken,
        }
    }

    /// Wakes the requests of a device.
    fn wake(&self, key: &Key) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(woken) = waiting.get(key) {
            woken.notify_waiters();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self
            .wakes
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // One is that of the map, one is ours.
        if Arc::strong_count(&self.woken) <= 2 {
            waiting.remove(&self.key);
        }
    }
}

/// Wakes devices whose twin or services change, until the shutdown.
pub(crate) fn start(gateway: &Arc<Gateway>) {
    let keep = |name: &str, task: fn(Arc<Gateway>) -> futures::future::BoxFuture<'static, ()>| {
        let gateway_of_task = Arc::clone(gateway);
        let liveness = &gateway.parts.liveness;
        keep_running(liveness, &gateway.shutdown, name.to_owned(), move || {
            task(Arc::clone(&gateway_of_task))
        });
    };
    keep("the changes of twins", |gateway| {
        Box::pin(async move {
            let mut changes = gateway.objects.twins.subscribe();
            while let Some(Some(change)) = gateway.until_shutdown(changes.recv()).await {
                gateway.wakes.wake(&change.key);
            }
        })
    });
    keep("the changes of services", |gateway| {
        Box::pin(async move {
            let mut changes = gateway.objects.subscriptions.subscribe();
            while let Some(Some(change)) = gateway.until_shutdown(changes.recv()).await {
                for subscription in [&change.old, &change.new].into_iter().flatten() {
                    gateway.wakes.wake(&device_of(subscription));
                }
            }
        })
    });
}

impl Gateway {
    /// Returns the output of a future, or none if the shutdown is requested before.
    async fn until_shutdown<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = future => Some(done),
            () = self.shutdown.requested() => None,
        }
    }
}
