//! Between delivery and the listeners: the devices that may be listened to, and those that have notified us.
//!
//! Delivery offers a device when a pass has ended, so that whose machine it is, its address, its login and
//! everything else that keeps requests back is decided there alone. Decides nothing. Kept in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use entente_domain::{
    expiring::ExpiringMap, listening::Listened, names::ConnectionName, remote::PrinterEvent,
};
use entente_drivers::profile::ConnectionProfile;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::cache::Key;

/// Time for which a profile is kept after the last pass that used it, besides two periods.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Bound of the map of profiles: with a login of its own each device has one.
const MOST: usize = 131_072;

/// Profile that devices share: one for each device would be much memory in a fleet.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ProfileKey {
    pub(crate) connection: ConnectionName,
    pub(crate) namespace: String,
    /// Name of the Secret with the login of the device, if it has one of its own.
    pub(crate) login: Option<String>,
}

/// A device that may be listened to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Offer {
    pub(crate) listened: Listened,
    pub(crate) url: String,
    pub(crate) printer_uri: Option<String>,
    pub(crate) pinned_certificate: Option<String>,
    pub(crate) profile: ProfileKey,
}

impl Offer {
    /// True if the same printer is reached by another offer, as far as that can be known.
    pub(super) fn is_at_one_place_with(&self, other: &Self) -> bool {
        (&self.listened.connection, &self.url) == (&other.listened.connection, &other.url)
    }
}

/// The devices that may be listened to, and what they notified us of.
pub(crate) struct Attention {
    /// The devices that are known; those without an offer are left alone for now.
    offers: Mutex<HashMap<Key, Option<Offer>>>,
    profiles: Mutex<ExpiringMap<ProfileKey, Arc<ConnectionProfile>, Timestamp>>,
    notified: Mutex<HashMap<Key, BTreeMap<ConnectionName, BTreeSet<PrinterEvent>>>>,
    offered: Line,
    woken: Line,
}

/// A line to who works on the devices that are sent through it.
struct Line {
    sender: UnboundedSender<Key>,
    receiver: Mutex<Option<UnboundedReceiver<Key>>>,
}

impl Default for Line {
    fn default() -> Self {
        let (sender, receiver) = unbounded_channel();
        let receiver = Mutex::new(Some(receiver));
        Self { sender, receiver }
    }
}

impl Line {
    fn send(&self, key: &Key) {
        // Nobody works on it any more while the operator ends.
        let _ = self.sender.send(key.clone());
    }

    fn receiver(&self) -> UnboundedReceiver<Key> {
        let receiver = held(&self.receiver).take();
        receiver.unwrap_or_else(|| unbounded_channel().1)
    }
}

impl Default for Attention {
    fn default() -> Self {
        Self {
            offers: Mutex::default(),
            profiles: Mutex::new(ExpiringMap::new(MOST, |_, _| false)),
            notified: Mutex::default(),
            offered: Line::default(),
            woken: Line::default(),
        }
    }
}

impl Attention {
    /// Returns the devices whose offer changes. There is one who works on them.
    pub(super) fn offers(&self) -> UnboundedReceiver<Key> {
        self.offered.receiver()
    }

    /// Returns the devices that notify us. There is one who works on them.
    pub(crate) fn wakes(&self) -> UnboundedReceiver<Key> {
        self.woken.receiver()
    }

    /// Has a device listened to, or left alone for now.
    pub(crate) fn offer(&self, key: &Key, offer: Option<Offer>) {
        let mut offers = held(&self.offers);
        let Some(known) = offers.get_mut(key) else {
            // A device that is not to be listened to need not be known.
            if offer.is_some() {
                offers.insert(key.clone(), offer);
                self.offered.send(key);
            }
            return;
        };
        if *known != offer {
            *known = offer;
            self.offered.send(key);
        }
    }

    /// Forgets a device that is gone.
    pub(crate) fn forget(&self, key: &Key) {
        held(&self.notified).remove(key);
        if held(&self.offers).remove(key).is_some() {
            self.offered.send(key);
        }
    }

    /// Keeps the profile by which devices are listened to.
    pub(crate) fn keep_profile(
        &self,
        of: ProfileKey,
        profile: Arc<ConnectionProfile>,
        period: SignedDuration,
        now: Timestamp,
    ) {
        let kept = period.saturating_mul(2).saturating_add(KEPT);
        let until = now.checked_add(kept).unwrap_or(Timestamp::MAX);
        held(&self.profiles).insert(of, profile, now, until);
    }

    pub(super) fn profile(
        &self,
        of: &ProfileKey,
        now: Timestamp,
    ) -> Option<Arc<ConnectionProfile>> {
        held(&self.profiles).get(of, now).cloned()
    }

    /// True if a device was offered before and is not gone.
    pub(super) fn knows(&self, key: &Key) -> bool {
        held(&self.offers).contains_key(key)
    }

    pub(super) fn offered(&self, key: &Key) -> Option<Offer> {
        held(&self.offers).get(key).cloned().flatten()
    }

    /// Returns the number of devices that are known.
    pub(super) fn offered_devices(&self) -> usize {
        held(&self.offers).len()
    }

    /// Wakes the pass of a device that has notified us.
    pub(super) fn notify(
        &self,
        key: &Key,
        connection: &ConnectionName,
        events: BTreeSet<PrinterEvent>,
    ) {
        let mut notified = held(&self.notified);
        let of_device = notified.entry(key.clone()).or_default();
        of_device
            .entry(connection.clone())
            .or_default()
            .extend(events);
        drop(notified);
        self.woken.send(key);
    }

    /// Takes what a device has notified us of since the last pass.
    pub(crate) fn take(&self, key: &Key) -> BTreeMap<ConnectionName, BTreeSet<PrinterEvent>> {
        held(&self.notified).remove(key).unwrap_or_default()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
