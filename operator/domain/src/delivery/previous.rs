//! The values that settings of a device had before a service overwrote them (api section 3,
//! `release`).
//!
//! Decides whether a value that was read is somebody else's, and what is kept of it. The first value
//! stays: nothing that one of our services set is ever taken for it. Asks nobody and plans nothing.
//! Called by plan before a write and at the end of a service, and by report.

use entente_crds::{
    digest::Digest,
    item_key::{ItemKey, ItemKind},
    v1alpha1::{
        Device, Item, ItemState, Previous, ReleasedAs, ServiceSubscription,
        ServiceSubscriptionStatus, TakesEffect, Unsaved, ValueType,
    },
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::delivery::{
    DeviceSnapshot, digest,
    resolve::values::{connections_of, setting_digest},
};
use crate::names::ConnectionName;
use crate::protocol::{Manner, Place, carrier};
use crate::remote::{DeviceReading, Scalar, Value};

pub(in crate::delivery) mod values;

use self::values::{texts_of, value_of};

/// Largest number of bytes of the values that one subscription keeps.
pub(in crate::delivery) const MOST_BYTES: usize = 16 * 1024;

/// An item with the value that is kept before it is overwritten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedItem {
    /// Key of the item.
    pub key: ItemKey,
    /// The digest of the value that will overwrite it.
    pub digest: Digest,
    /// The value that is kept.
    pub previous: Previous,
}

/// Place, manner and type of a setting on the device, as the model has them now.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct Located {
    pub(in crate::delivery) connection: ConnectionName,
    pub(in crate::delivery) place: Place,
    pub(in crate::delivery) manner: Manner,
    pub(in crate::delivery) r#type: ValueType,
    pub(in crate::delivery) takes_effect: TakesEffect,
    pub(in crate::delivery) write_only: bool,
}

impl Located {
    /// Returns the digest of a value as an item that wants it has it.
    pub(in crate::delivery) fn digest(&self, value: &Value) -> Digest {
        setting_digest(&self.place, self.manner, value)
    }
}

/// Returns the place of a setting that an item is about; `None` if the item is none of the device,
/// or if nothing can carry it there.
pub(in crate::delivery) fn locate(snapshot: &DeviceSnapshot, key: &ItemKey) -> Option<Located> {
    if key.kind() != Some(ItemKind::DeviceSetting) {
        return None;
    }
    let name = key.name()?;
    let (device, model) = (snapshot.device.as_deref()?, snapshot.model.as_deref()?);
    let mut settings = model.spec.settings.iter();
    let setting = settings.find(|setting| setting.name == name)?;
    let (connection, place, manner) = carrier(setting, &connections_of(snapshot, device))?;
    Some(Located {
        connection: connection.into(),
        place,
        manner,
        r#type: setting.r#type,
        takes_effect: setting.takes_effect,
        write_only: setting.write_only,
    })
}

/// Returns the digest by which saved values belong to a machine: another serial number is another
/// machine.
pub(in crate::delivery) fn machine(device: &Device) -> Digest {
    digest(&device.spec.serial_number)
}

/// True if what is kept belongs to the machine that the Device means now.
pub(in crate::delivery) fn is_of_machine(snapshot: &DeviceSnapshot, previous: &Previous) -> bool {
    let device = snapshot.device.as_deref();
    device.is_none_or(|device| machine(device) == previous.machine)
        && previous.unsaved != Some(Unsaved::AnotherMachine)
}

/// True if the end of the service has a value to put back.
pub(in crate::delivery) fn is_kept(item: &Item) -> bool {
    item.released.is_none() && has_values(item)
}

fn has_values(item: &Item) -> bool {
    let previous = item.previous.as_deref();
    previous.is_some_and(|previous| !previous.values.is_empty())
}

/// True if a subscription has a value to put back at its end.
pub(in crate::delivery) fn holds(subscription: &ServiceSubscription) -> bool {
    let status = subscription.status.iter();
    status.flat_map(|status| &status.items).any(is_kept)
}

/// True if a value at the place of an item is one that the item's service set: the wanted one, or
/// one that it wanted before.
pub(in crate::delivery) fn is_own(item: &Item, located: &Located, found: &[Scalar]) -> bool {
    let Some(value) = value_of(located.r#type, found) else {
        return false;
    };
    let found = Some(located.digest(&value));
    let before = item.previous.as_deref().and_then(|it| it.own);
    found == item.desired_digest || found == before
}

/// Returns the item of a status, unless its service ended since: then it begins anew.
pub(in crate::delivery) fn known<'a>(
    status: Option<&'a ServiceSubscriptionStatus>,
    key: &ItemKey,
) -> Option<&'a Item> {
    let mut items = status?.items.iter();
    let found = items.find(|item| item.key == *key)?;
    (found.released.is_none() || has_values(found)).then_some(found)
}

/// True if a service has set a setting on this machine, so that what it reads there is no value from
/// before.
pub(in crate::delivery) fn was_set(snapshot: &DeviceSnapshot, item: Option<&Item>) -> bool {
    let Some(item) = item else {
        return false;
    };
    match item.previous.as_deref() {
        Some(previous) => is_of_machine(snapshot, previous),
        None => item.last_sent.is_some() && !is_another_machine(snapshot),
    }
}

/// True if a subscription existed before, and its status does not say what it set then.
pub(in crate::delivery) fn has_lost_its_memory(
    subscription: &ServiceSubscription,
    item: Option<&Item>,
) -> bool {
    let is_known = item.is_some_and(|item| item.previous.is_some());
    subscription.spec.restored.is_some() && !is_known
}

/// True if the spec means another machine than the one that was seen.
fn is_another_machine(snapshot: &DeviceSnapshot) -> bool {
    let device = snapshot.device.as_deref();
    device.is_some_and(|device| {
        let status = device.status.as_ref();
        let seen = status.and_then(|status| status.identity.as_ref());
        seen.is_some_and(|seen| seen.serial_number != device.spec.serial_number)
    })
}

/// A reading of the device, and its instant.
#[derive(Clone, Copy)]
pub(in crate::delivery) struct Read<'a> {
    pub(in crate::delivery) reading: &'a DeviceReading,
    pub(in crate::delivery) at: Timestamp,
}

/// Returns the word about a setting of which no value is kept, or not yet.
pub(in crate::delivery) fn without_value(
    machine: Digest,
    saved: Timestamp,
    unsaved: Option<Unsaved>,
) -> Previous {
    Previous {
        values: Vec::new(),
        saved,
        unsaved,
        machine,
        own: None,
        returned: None,
    }
}

/// Returns the value to keep of a setting before a subscription overwrites it: the one that was read,
/// or the reason for which it is none. `None` if something is kept already, if one of ours set the
/// setting before and keeps nothing, or if there was nothing.
pub(in crate::delivery) fn to_save(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    key: &ItemKey,
    read: Read<'_>,
) -> Option<Previous> {
    let item = known(subscription.status.as_ref(), key);
    if was_set(snapshot, item) || has_lost_its_memory(subscription, item) {
        return None;
    }
    let device = snapshot.device.as_deref()?;
    let located = locate(snapshot, key)?;
    if located.write_only || located.r#type == ValueType::Secret {
        return None;
    }
    let found = read.reading.values.get(&located.place)?;
    if found.is_empty() {
        return None;
    }
    let kept = without_value(machine(device), read.at, None);
    if let Some(item) = setter(snapshot, subscription, &located, found) {
        return handed_on(item).filter(|handed| is_of_machine(snapshot, handed));
    }
    if read.reading.private.contains(&located.place) {
        let unsaved = Some(Unsaved::Secret);
        return Some(Previous { unsaved, ..kept });
    }
    Some(match texts_of(located.r#type, found) {
        Ok(values) => Previous { values, ..kept },
        Err(unsaved) => Previous {
            unsaved: Some(unsaved),
            ..kept
        },
    })
}

/// Returns the value that a subscription hands on with one of its items when another one has its
/// place from now on: the one that it keeps, with the note that its own value is ours.
pub(in crate::delivery) fn handed_on(item: &Item) -> Option<Previous> {
    let previous = item.previous.as_deref().filter(|_| has_values(item))?;
    Some(Previous {
        own: own_value(item),
        returned: None,
        ..previous.clone()
    })
}

/// Returns the digest of the value of an item that is on the device, as far as is known.
fn own_value(item: &Item) -> Option<Digest> {
    let before = item.previous.as_deref().and_then(|it| it.own);
    let before = before.filter(|_| item.state != ItemState::Effective);
    before.or(item.desired_digest)
}

/// True if a service that has ended left its value on the device on purpose: it is that of the
/// customer now.
fn is_left_for_good(item: &Item) -> bool {
    item.released == Some(ReleasedAs::Kept) && item.previous.is_none()
}

/// Returns the item of another subscription that set the value which was found at a place.
fn setter<'a>(
    snapshot: &'a DeviceSnapshot,
    subscription: &ServiceSubscription,
    located: &Located,
    found: &[Scalar],
) -> Option<&'a Item> {
    let name = subscription.name_any();
    let others = snapshot.subscriptions.iter();
    let others = others.filter(|other| other.name_any() != name);
    let items = others
        .filter_map(|other| other.status.as_ref())
        .flat_map(|status| &status.items)
        .filter(|item| item.state != ItemState::Released && !is_left_for_good(item));
    let mut items = items.filter(|item| was_set(snapshot, Some(item)));
    items.find(|item| {
        let of = locate(snapshot, &item.key);
        of.is_some_and(|of| of.place == located.place && is_own(item, &of, found))
    })
}

/// Leaves out the values that are too large to be kept together with what a status has.
pub(in crate::delivery) fn within_limit(
    status: Option<&ServiceSubscriptionStatus>,
    mut saved: Vec<SavedItem>,
) -> Vec<SavedItem> {
    let bytes = |previous: &Previous| -> usize { previous.values.iter().map(|it| it.len()).sum() };
    let replaced = |item: &&Item| saved.iter().all(|it| it.key != item.key);
    let others = status.iter().flat_map(|status| &status.items);
    let others = others
        .filter(replaced)
        .filter_map(|item| item.previous.as_deref());
    let mut used: usize = others.map(bytes).sum();
    for item in &mut saved {
        let size = bytes(&item.previous);
        if used + size > MOST_BYTES {
            item.previous.values = Vec::new();
            item.previous.unsaved = Some(Unsaved::TooLarge);
        } else {
            used += size;
        }
    }
    saved
}

/// Returns the word of an item of a report about the value before: as the status has it, for the machine
/// that the Device means. A service that was put in force again begins anew.
pub(in crate::delivery) fn carried(
    snapshot: &DeviceSnapshot,
    item: Option<&Item>,
) -> Option<Box<Previous>> {
    let previous = item?.previous.as_deref()?;
    if !is_of_machine(snapshot, previous) {
        let unsaved = Some(Unsaved::AnotherMachine);
        return Some(Box::new(without_value(
            previous.machine,
            previous.saved,
            unsaved,
        )));
    }
    Some(Box::new(Previous {
        returned: None,
        ..previous.clone()
    }))
}
