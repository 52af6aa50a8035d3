//! Drift: settings that were in effect, and that somebody has changed at the device since.
//!
//! Decides which of them are left as they are, by driftPolicy. What was in effect before is known from the
//! status alone, of the same subscription, the same wanted value and the same machine; what no service has
//! proved yet is never held back. Sends nothing. Called by verify after each item.

use entente_crds::v1alpha1::{DriftPolicy, Item, ItemState, ServiceSubscription, StepType};
use jiff::Timestamp;

use crate::delivery::{
    DeviceSnapshot, ResolvedItem, Wanted,
    verify::{Round, VerifiedItem},
};
use crate::promise::has_unproved;

/// True if a setting of a subscription that was in effect, and that somebody has changed since, is left as
/// it is. While one of its promises is not proved yet, everything that it wants is set.
pub(super) fn is_left(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    now: Timestamp,
) -> bool {
    let device = snapshot.device.as_deref();
    let policy = device.and_then(|device| device.spec.drift_policy);
    policy == Some(DriftPolicy::Report)
        && !has_unproved(subscription, &snapshot.circumstances(subscription), now)
}

impl Round<'_> {
    /// Returns the item with the word that it was in effect before, and whether it is left as it is now.
    pub(super) fn tell_drift(
        &self,
        mut verified: VerifiedItem,
        item: &ResolvedItem,
    ) -> VerifiedItem {
        verified.was_effective =
            verified.state != ItemState::Effective && self.in_effect_before(item).is_some();
        verified.drifts = verified.was_effective
            && verified.state == ItemState::NotEffective
            && self.leaves_drift;
        if verified.drifts {
            // Nothing is attempted any more.
            verified.problem = None;
        }
        verified
    }

    /// True if an item was read as changed by somebody, and is left so until the device tells more.
    pub(super) fn is_known_to_drift(&self, item: &ResolvedItem) -> bool {
        let known = self.in_effect_before(item);
        self.leaves_drift && known.is_some_and(|known| known.state == ItemState::NotEffective)
    }

    /// Returns an item that cannot be read as it was accepted by the same machine before: whether anybody
    /// has changed it since is known to nobody.
    pub(super) fn left_as_accepted(
        &self,
        step: StepType,
        item: &ResolvedItem,
    ) -> Option<VerifiedItem> {
        let known = self.in_effect_before(item).filter(|_| self.leaves_drift)?;
        Some(VerifiedItem {
            state: ItemState::Effective,
            observed_digest: known.observed_digest,
            verified_at: known.last_verified,
            ..self.of_status(step, item)
        })
    }

    /// Returns a setting in the status whose wanted value was in effect on this machine, and that no
    /// other service has set since.
    fn in_effect_before(&self, item: &ResolvedItem) -> Option<&Item> {
        let is_setting = matches!(item.wanted, Wanted::DeviceSetting { .. });
        if !is_setting || item.conflict.is_some() || item.overridden {
            return None;
        }
        let status = self.object?.status.as_ref()?;
        let evidence = status.evidence.as_ref();
        let machine = self.resolved.machine_digest;
        let same_machine = self.same_device(evidence)
            || machine.is_some() && evidence.and_then(|it| it.machine_digest) == machine;
        // A service that has ended has begun to put back what was there before.
        if !same_machine || status.ended.is_some() {
            return None;
        }
        status.items.iter().find(|known| {
            known.key == item.key
                && known.desired_digest == Some(item.digest)
                && known.released.is_none()
                && (known.state == ItemState::Effective || known.was_effective)
        })
    }
}
