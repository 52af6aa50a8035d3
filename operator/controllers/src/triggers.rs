//! From changes of caches to keys of queues.

use std::sync::Arc;

use kube::Resource;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{cache::Change, shutdown::Shutdown};

/// Calls `act` for every change until the shutdown is requested.
pub(crate) fn forward<C: Send + 'static>(
    mut changes: UnboundedReceiver<C>,
    shutdown: Shutdown,
    act: impl Fn(&C) + Send + 'static,
) {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                change = changes.recv() => match change {
                    Some(change) => act(&change),
                    None => return,
                },
            }
        }
    });
}

/// Whether the object is another one, has another spec, or begins to go.
pub(crate) fn spec_differs<K: Resource>(change: &Change<K>) -> bool {
    differs(change, |object| {
        let meta = object.meta();
        (
            meta.uid.clone(),
            meta.generation,
            meta.deletion_timestamp.clone(),
        )
    })
}

/// Whether a part of the object is another one than before; true for new and deleted objects.
pub(crate) fn differs<K, P: PartialEq>(change: &Change<K>, part: impl Fn(&K) -> P) -> bool {
    let part = |version: &Option<Arc<K>>| version.as_ref().map(|version| part(version));
    part(&change.old) != part(&change.new)
}
