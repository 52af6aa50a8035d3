//! The span of a pass, which names its object, the generation of that, and the pass itself.
//!
//! A trace has it, and so has each line of the log that is written within the pass, whatever the
//! level of the log and whether traces are sent or not: hence its own level. It decides nothing, and
//! never holds a value. Made by the shell of controllers for each pass.

use tracing::Span;

use super::{Reconcile, TRACE};
use crate::{
    cache::{Cache, Cached, Key},
    pass_ids::PassIds,
};

/// Object that a pass is about.
pub(crate) struct PassObject {
    /// Kind, as in a manifest.
    kind: String,
    key: Key,
    /// Generation when the pass begins; none if there is no such object.
    generation: Option<i64>,
}

impl PassObject {
    /// Returns the object of this key in a cache, where it need not be.
    pub(crate) fn of<K: Cached>(cache: &Cache<K>, key: Key) -> Self {
        Self {
            kind: cache.kind().to_owned(),
            generation: cache.get(&key).and_then(|object| object.meta().generation),
            key,
        }
    }
}

/// Returns the span of the next pass of a controller over a key.
pub(super) fn of_pass<R: Reconcile>(reconciler: &R, key: &R::Key, ids: &PassIds) -> Span {
    let PassObject {
        kind,
        key: object,
        generation,
    } = reconciler.object(key);
    let namespace = Some(object.namespace).filter(|namespace| !namespace.is_empty());
    let (name, id) = (object.name, ids.next());
    // The level of errors, so that a filter of lines, of whatever level, leaves it to each of them.
    tracing::error_span!(
        target: TRACE,
        "pass",
        controller = R::NAME,
        %key,
        kind,
        namespace,
        name,
        generation,
        id,
    )
}
