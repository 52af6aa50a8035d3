//! A person's wish that an object is reconciled now: the annotation entente.dev/reconcile-at.
//!
//! Decides nothing: each controller says what it does for one, and repeats it in the status when that
//! is done. Called by the decisions about Devices, Contracts and Connections.

use entente_crds::{ANNOTATION_RECONCILE_AT, bounded::Token, v1alpha1::MAX_RECONCILE_AT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

/// A wish, cut as a status repeats it: the annotation may have any text.
pub type Wish = Token<MAX_RECONCILE_AT>;

/// Returns the wish that an object has.
pub fn reconcile_wish(object: &impl Resource) -> Option<Wish> {
    reconcile_wish_in(object.meta())
}

/// Returns the wish in the metadata of an object.
pub fn reconcile_wish_in(metadata: &ObjectMeta) -> Option<Wish> {
    let wish = metadata
        .annotations
        .as_ref()?
        .get(ANNOTATION_RECONCILE_AT)?;
    Some(wish.as_str().into())
}
