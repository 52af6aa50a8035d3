//! A person's wish that an object is reconciled now: the annotation entente.dev/reconcile-at.
//!
//! Decides nothing: each controller says what it does for one, and repeats it in the status when that
//! is done. Called by the decisions about Devices, Contracts and Connections.

use entente_crds::{ANNOTATION_RECONCILE_AT, bounded::Token, v1alpha1::MAX_RECONCILE_AT};
use kube::ResourceExt;

/// Returns the wish, cut as a status repeats it: the annotation may have any text.
pub fn reconcile_wish(object: &impl ResourceExt) -> Option<Token<MAX_RECONCILE_AT>> {
    let wish = object.annotations().get(ANNOTATION_RECONCILE_AT)?;
    Some(wish.as_str().into())
}
