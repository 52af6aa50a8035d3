//! The event that tells of the reason InternalError of an object (K7).
//!
//! A pass that panics, a status that the API server refuses and whatever else is said with this
//! reason goes through the status, so the change of the status is what is watched, of every kind
//! with conditions. Decides and writes nothing. Started for each kind by `objects`.

use std::sync::Arc;

use entente_crds::{condition::Reason, v1alpha1::Condition};

use crate::{
    cache::{Cache, Change},
    context::Context,
    events::EventReason,
    shutdown::Shutdown,
    status::Conditioned,
};

/// Watches the objects of a kind until the shutdown is requested.
pub(crate) async fn report<K: Conditioned>(
    cache: Arc<Cache<K>>,
    context: Context,
    shutdown: Shutdown,
) {
    let mut changes = cache.subscribe();
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            change = changes.recv() => match change {
                Some(change) => tell(&context, &change),
                None => return,
            },
        }
    }
}

/// Publishes the event of an object that has the reason now and had it not before. One that is seen
/// for the first time was told of by the process before.
fn tell<K: Conditioned>(context: &Context, change: &Change<K>) {
    let (Some(before), Some(after)) = (&change.old, &change.new) else {
        return;
    };
    if let (None, Some(condition)) = (found(K::said(before)), found(K::said(after))) {
        let regarding = after.object_ref(&());
        let (reason, note) = (EventReason::InternalError, condition.message.as_str());
        context.events.publish(&regarding, reason, note, None);
    }
}

fn found(conditions: &[Condition]) -> Option<&Condition> {
    let mut conditions = conditions.iter();
    conditions.find(|condition| condition.reason == Reason::InternalError.as_str())
}
