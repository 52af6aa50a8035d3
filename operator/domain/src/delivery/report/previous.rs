//! Report: the values that the device had before the service, in the items of a status.
//!
//! Decides what is carried from one status to the next: the first value that was kept stays. Called by
//! the report of items, and for the write before a value is overwritten.

use entente_crds::{
    item_key::ItemKind,
    v1alpha1::{Item, ItemState, Previous, Release, ServiceSubscriptionStatus, Unsaved},
};

use jiff::Timestamp;

use crate::delivery::{
    SavedItem,
    previous::{
        carried, has_lost_its_memory, is_kept, is_of_machine, known, machine, was_set,
        without_value,
    },
    report::Report,
    verify::VerifiedItem,
};

impl Report<'_> {
    /// Returns the status with the values that are kept before they are overwritten. A value that it
    /// has already stays.
    pub(in crate::delivery) fn with_previous(
        &self,
        saved: &[SavedItem],
    ) -> ServiceSubscriptionStatus {
        let mut status = self.begun_status();
        for SavedItem {
            key,
            digest,
            previous,
        } in saved
        {
            let previous = Box::new(previous.clone());
            let mut items = status.items.iter_mut();
            let Some(item) = items.find(|item| item.key == *key) else {
                status.items.push(Item {
                    key: key.clone(),
                    desired_digest: Some(*digest),
                    previous: Some(previous),
                    ..Item::default()
                });
                continue;
            };
            let has_one = item.released.is_none()
                && item
                    .previous
                    .as_deref()
                    .is_some_and(|known| is_of_machine(self.snapshot, known));
            if !has_one {
                item.previous = Some(previous);
                item.released = None;
            }
        }
        status.items.sort_by(|a, b| a.key.cmp(&b.key));
        status
    }

    /// Returns the word of an item about the value before: as the status has it, with the value that was
    /// wanted before as one of ours, or the reason for which it has nothing.
    pub(super) fn previous_of(
        &self,
        item: &VerifiedItem,
        status: &ServiceSubscriptionStatus,
    ) -> Option<Box<Previous>> {
        let before = known(Some(status), &item.key);
        let mut previous = carried(self.snapshot, before)
            .filter(|kept| is_of_machine(self.snapshot, kept) || self.sent_at(item).is_none())
            .or_else(|| self.nothing_kept(item, before))?;
        let wanted_before = before.and_then(|before| before.desired_digest);
        let was_there = before.is_some_and(|before| before.state == ItemState::Effective);
        let may_be_there = before.is_some_and(|before| before.last_sent.is_some());
        let is_newer = was_there || may_be_there && previous.own.is_none();
        if wanted_before != Some(item.desired_digest) && is_newer {
            previous.own = wanted_before;
        }
        // What was sent to another machine is not on this one.
        let is_elsewhere = previous.unsaved == Some(Unsaved::AnotherMachine);
        let is_wanted = previous.own == Some(item.desired_digest);
        if item.state == ItemState::Effective || is_wanted || is_elsewhere {
            previous.own = None;
        }
        Some(previous)
    }

    /// Returns the reason for which what was sent in this pass replaced nothing that is kept.
    fn nothing_kept(&self, item: &VerifiedItem, before: Option<&Item>) -> Option<Box<Previous>> {
        if item.key.kind() != Some(ItemKind::DeviceSetting) {
            return None;
        }
        let (device, sent) = (self.snapshot.device.as_deref()?, self.sent_at(item)?);
        let mut items = self.subscription.items();
        let (_, wanted) = items.find(|(_, wanted)| wanted.key == item.key)?;
        let was_set =
            before.is_some_and(|it| it.last_sent != Some(sent)) && was_set(self.snapshot, before);
        let is_known = !was_set
            && !has_lost_its_memory(self.object, before)
            && self.subscription.release != Some(Release::Keep);
        let unsaved = match &wanted.wanted {
            wanted if wanted.is_write_only() => Unsaved::WriteOnly,
            wanted if wanted.is_secret() => Unsaved::Secret,
            _ if is_known => Unsaved::Absent,
            _ => Unsaved::Unknown,
        };
        Some(Box::new(without_value(
            machine(device),
            sent,
            Some(unsaved),
        )))
    }

    /// Returns the items that are not wanted any more while the service goes on, and whose value is
    /// put back when it ends.
    pub(super) fn left_over<'a>(
        &'a self,
        status: &'a ServiceSubscriptionStatus,
    ) -> impl Iterator<Item = Item> + 'a {
        self.with_values(status)
            .filter(|item| self.verified.item(&item.key).is_none())
    }

    /// Returns the items of which a value is kept, without a word about their present one.
    pub(super) fn with_values<'a>(
        &'a self,
        status: &'a ServiceSubscriptionStatus,
    ) -> impl Iterator<Item = Item> + 'a {
        let kept = status.items.iter().filter(|item| is_kept(item));
        let items = kept.map(|item| Item {
            state: ItemState::Unknown,
            was_effective: false,
            problem: None,
            previous: carried(self.snapshot, Some(item)),
            ..item.clone()
        });
        // The value of another machine is put back nowhere.
        items.filter(is_kept)
    }

    fn sent_at(&self, item: &VerifiedItem) -> Option<Timestamp> {
        let name = &self.subscription.name;
        let sent = self
            .observations
            .sent(name, &item.key, item.desired_digest)?;
        Some(sent.at)
    }
}
