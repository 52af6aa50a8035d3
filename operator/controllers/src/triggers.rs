//! The changes of an object that matter. Called by the `triggers` of each controller.

use std::sync::Arc;

use kube::Resource;

use crate::cache::Change;

/// True if the object is another one, has another spec, or begins to be deleted.
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

/// True if a part of the object differs from before, and for new and deleted objects.
pub(crate) fn differs<K, P: PartialEq>(change: &Change<K>, part: impl Fn(&K) -> P) -> bool {
    let part = |version: &Option<Arc<K>>| version.as_ref().map(|version| part(version));
    part(&change.old) != part(&change.new)
}
