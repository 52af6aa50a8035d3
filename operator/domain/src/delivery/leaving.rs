//! The instance that a subscription leaves, as a subscription of its own: the revision that it was
//! made for ended when the one in force took its place (C11).
//!
//! There is no such object. Each stage sees it under [`SubscriptionName::leaving`] as one more
//! subscription of the device, so that a change of provider within one subscription is one between
//! two. Decides nothing; its instance is written into the status of the subscription itself. Called by
//! the pass, around resolve.

use std::sync::Arc;

use entente_crds::v1alpha1::{
    Evidence, Item, ItemState, LeavingInstance, Revision, ServiceSubscription,
    ServiceSubscriptionStatus,
};
use kube::ResourceExt as _;

use crate::delivery::{DeviceSnapshot, ResolvedDevice};
use crate::names::SubscriptionName;

/// Adds a subscription for each instance that is left, in place of those of the last call.
pub(super) fn split(snapshot: &mut DeviceSnapshot) {
    let is_object = |object: &Arc<ServiceSubscription>| !name_of(object).is_leaving();
    let subscriptions = &mut snapshot.subscriptions;
    subscriptions.retain(is_object);
    let left: Vec<_> = subscriptions.iter().filter_map(|it| left_by(it)).collect();
    subscriptions.extend(left.into_iter().map(Arc::new));
}

fn name_of(object: &ServiceSubscription) -> SubscriptionName {
    object.name_any().into()
}

/// Returns the instance that a subscription leaves.
pub(in crate::delivery) fn leaving(object: &ServiceSubscription) -> Option<&LeavingInstance> {
    object.status.as_ref()?.leaving.as_deref()
}

fn left_by(object: &ServiceSubscription) -> Option<ServiceSubscription> {
    let leaving = leaving(object)?;
    let mut left = ServiceSubscription::new(&name_of(object).leaving(), object.spec.clone());
    left.metadata
        .namespace
        .clone_from(&object.metadata.namespace);
    let deleted = &object.metadata.deletion_timestamp;
    left.metadata.deletion_timestamp.clone_from(deleted);
    let annotations = &object.metadata.annotations;
    left.metadata.annotations.clone_from(annotations);
    left.spec
        .revisions
        .retain(|revision| revision.effective == leaving.effective);
    for revision in &mut left.spec.revisions {
        *revision = Arc::new(Revision {
            until: Some(leaving.since),
            ..Revision::clone(revision)
        });
    }
    left.status = Some(ServiceSubscriptionStatus {
        ended: leaving.ended,
        server: Some(leaving.server.clone()),
        ..ServiceSubscriptionStatus::default()
    });
    Some(left)
}

/// Lets the wants of instances that are left count as in effect, as they were when they were set
/// aside, until something else is read: a status has items of one instance only.
pub(super) fn assume_in_effect(snapshot: &mut DeviceSnapshot, resolved: &ResolvedDevice) {
    let device = snapshot.device.as_ref();
    let uid = device.and_then(|device| device.uid()).unwrap_or_default();
    let left = snapshot
        .subscriptions
        .iter_mut()
        .filter(|object| name_of(object).is_leaving());
    for object in left {
        let Some(entry) = resolved.subscription(&name_of(object)) else {
            continue;
        };
        let since = object.spec.revisions.first().and_then(|it| it.until);
        let items = entry.items().map(|(_, item)| Item {
            key: item.key.clone(),
            state: ItemState::Effective,
            desired_digest: Some(item.digest),
            last_sent: since,
            last_verified: since,
            ..Item::default()
        });
        let evidence = resolved.target_digest.map(|target_digest| Evidence {
            device_uid: uid.clone(),
            target_digest,
            machine_digest: resolved.machine_digest,
        });
        let object = Arc::make_mut(object);
        if let Some(status) = &mut object.status {
            status.items = items.collect();
            status.evidence = evidence;
        }
    }
}
