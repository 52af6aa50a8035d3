//! Plan: a value that a service is about to overwrite on the device is kept in status first.
//!
//! One write for all settings of a subscription, before any of them is sent: a crash at any point
//! leaves the first value in the status. Called by the step that sets up the device.

use entente_crds::{
    condition::Reason,
    item_key::ItemKey,
    v1alpha1::{Previous, Release, ServiceSubscription},
};

use crate::delivery::{
    Action, Plan, Reading, ResolvedItem, ResolvedStep, ResolvedSubscription, Verified, Wanted,
    model::backoffs::BackoffKey,
    plan::round::Round,
    previous::{Read, SavedItem, to_save, within_limit},
};

impl Round<'_> {
    /// Plans that the values which a step would overwrite are kept; the plan overwrites nothing then.
    pub(super) fn keep_previous(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        for item in &step.items {
            let key = BackoffKey::item(&subscription.name, &item.key, item.digest);
            let unsaved = self.backoffs.pending(&key, None, self.now);
            if let Some(why) = unsaved.filter(|why| why.reason == Reason::Waiting) {
                plan.wait(&subscription.name, why);
            }
        }
        let Some(object) = self.snapshot.subscription(&subscription.name) else {
            return;
        };
        if subscription.release == Some(Release::Keep) {
            return;
        }
        let about_to_be_sent = step
            .items
            .iter()
            .filter(|item| self.is_about_to_be_sent(subscription, item, verified));
        let saved = about_to_be_sent.filter_map(|item| {
            Some(SavedItem {
                key: item.key.clone(),
                digest: item.digest,
                previous: self.found_before(object, item)?,
            })
        });
        let saved = within_limit(object.status.as_ref(), saved.collect());
        if !saved.is_empty() {
            plan.actions.push(Action::RecordPrevious {
                subscription: subscription.name.clone(),
                items: saved,
            });
        }
    }

    fn is_about_to_be_sent(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        verified: &Verified,
    ) -> bool {
        let Wanted::DeviceSetting { connection, .. } = &item.wanted else {
            return false;
        };
        let sent = self
            .observations
            .sent_or_ended(&subscription.name, &item.key, item.digest);
        sent.is_none()
            && !verified.device_faults.contains_key(connection)
            && self.pending(&BackoffKey::device(connection)).is_none()
            && self.pending(&BackoffKey::twin(connection)).is_none()
            && self.snapshot.unpinned(connection).is_none()
            && !self.is_settled(subscription, item, verified)
    }

    /// Returns the value to keep of those that were read at the place of an item.
    fn found_before(&self, object: &ServiceSubscription, item: &ResolvedItem) -> Option<Previous> {
        let read = self.read_at(item)?;
        let key: &ItemKey = &item.key;
        to_save(self.snapshot, object, key, read)
    }

    fn read_at(&self, item: &ResolvedItem) -> Option<Read<'_>> {
        let Wanted::DeviceSetting {
            connection, place, ..
        } = &item.wanted
        else {
            return None;
        };
        let Reading { at, result } = self.observations.through(connection).reading_of(place)?;
        let reading = result.as_ref().ok()?;
        Some(Read { reading, at: *at })
    }
}
