//! Events that a replica has just forwarded, so that it forwards none twice.
//!
//! Keeps a digest of each and nothing else of it, within bounds for each device and for all together; what
//! was used longest ago goes first. An event that is forgotten may be forwarded again: a provider
//! recognises it by its source and id. Has no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sha2::{Digest as _, Sha256};

use super::Inbox;

/// The most events of a device that are remembered: a batch for four inboxes.
const MOST_OF_DEVICE: usize = 1024;
/// The most devices of which any are remembered.
const MOST_DEVICES: usize = 16_384;
/// The most events of all devices.
const MOST: usize = 131_072;

/// Digest of an event of a device and of the inbox that has it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// Returns that of an event of a device with this id: another machine under the same name has another
    /// one.
    pub fn of(inbox: &Inbox, (printer_id, id): (&str, &str)) -> Self {
        let mut digest = Sha256::new();
        for text in [&*inbox.connection, &*inbox.path, printer_id, id] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        let mut start = [0; 16];
        start.copy_from_slice(&digest.finalize()[..16]);
        Self(u128::from_be_bytes(start))
    }
}

/// The events that were forwarded last, by the device that sent them.
#[derive(Debug)]
pub struct Recent<K> {
    devices: BTreeMap<K, OfDevice>,
    /// The devices by their last use.
    uses: BTreeMap<u64, K>,
    next_use: u64,
    number: usize,
    bounds: Bounds,
}

#[derive(Debug, Default)]
struct OfDevice {
    used: u64,
    /// The oldest first.
    events: VecDeque<Fingerprint>,
    /// The same: a batch asks for each of its events.
    known: BTreeSet<Fingerprint>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    of_device: usize,
    devices: usize,
    all: usize,
}

impl<K: Clone + Ord> Default for Recent<K> {
    fn default() -> Self {
        Self::within(Bounds {
            of_device: MOST_OF_DEVICE,
            devices: MOST_DEVICES,
            all: MOST,
        })
    }
}

impl<K: Clone + Ord> Recent<K> {
    fn within(bounds: Bounds) -> Self {
        Self {
            devices: BTreeMap::new(),
            uses: BTreeMap::new(),
            // A device that is not known yet has 0.
            next_use: 1,
            number: 0,
            bounds,
        }
    }

    /// True if an event of a device was forwarded, as far as is known.
    pub fn has(&self, device: &K, event: &Fingerprint) -> bool {
        let known = self.devices.get(device);
        known.is_some_and(|known| known.known.contains(event))
    }

    /// Notes that events of a device were forwarded.
    pub fn note(&mut self, device: &K, events: impl IntoIterator<Item = Fingerprint>) {
        let known = self.devices.entry(device.clone()).or_default();
        self.uses.remove(&known.used);
        known.used = self.next_use;
        self.uses.insert(known.used, device.clone());
        self.next_use += 1;
        for event in events {
            if !known.known.insert(event) {
                continue;
            }
            known.events.push_back(event);
            self.number += 1;
            if known.events.len() > self.bounds.of_device
                && let Some(oldest) = known.events.pop_front()
            {
                known.known.remove(&oldest);
                self.number -= 1;
            }
        }
        while self.devices.len() > self.bounds.devices || self.number > self.bounds.all {
            let Some((_, device)) = self.uses.pop_first() else {
                return;
            };
            let forgotten = self.devices.remove(&device);
            self.number -= forgotten.map_or(0, |it| it.events.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: Bounds = Bounds {
        of_device: 3,
        devices: 2,
        all: 5,
    };

    fn event(id: &str) -> Fingerprint {
        let inbox = Inbox {
            connection: "inbox".to_owned(),
            path: "/v1/events".to_owned(),
        };
        Fingerprint::of(&inbox, ("A1", id))
    }

    #[test]
    fn the_parts_of_a_fingerprint_do_not_run_into_each_other() {
        let of = |connection: &str, path: &str, id: &str| {
            let inbox = Inbox {
                connection: connection.to_owned(),
                path: path.to_owned(),
            };
            Fingerprint::of(&inbox, ("A1", id))
        };
        assert_eq!(of("a", "/b", "c"), of("a", "/b", "c"));
        assert_ne!(of("a", "/b", "c"), of("a", "/bc", ""));
        assert_ne!(of("a", "/b", "c"), of("a/b", "", "c"));
        assert_ne!(of("a", "/b", "c"), of("a", "/c", "b"));
    }

    // shows C16
    #[test]
    fn what_was_forwarded_is_known_until_its_device_has_sent_more_or_others_have() {
        let mut recent = Recent::within(SMALL);
        recent.note(&"one", ["1", "2", "3"].map(event));
        assert!(recent.has(&"one", &event("1")) && !recent.has(&"two", &event("1")));
        recent.note(&"one", [event("4"), event("4")]);
        assert!(!recent.has(&"one", &event("1")), "its bound is three");
        assert!(recent.has(&"one", &event("2")));
        recent.note(&"two", ["1", "2"].map(event));
        assert!(recent.has(&"one", &event("2")));
        recent.note(&"one", []);
        recent.note(&"three", [event("1")]);
        assert!(!recent.has(&"two", &event("1")), "it was used longest ago");
        assert!(recent.has(&"one", &event("2")));
    }

    proptest! {
        // shows K5
        #[test]
        fn memory_is_bounded_and_the_last_event_is_always_known(
            calls in prop::collection::vec((0..4_u8, 0..9_u8), 1..200),
        ) {
            let mut recent = Recent::within(SMALL);
            for (device, id) in calls {
                let event = event(&id.to_string());
                recent.note(&device, [event]);
                prop_assert!(recent.has(&device, &event));
                let numbers: Vec<usize> =
                    recent.devices.values().map(|it| it.events.len()).collect();
                prop_assert_eq!(numbers.iter().sum::<usize>(), recent.number);
                prop_assert!(recent.number <= SMALL.all);
                prop_assert!(numbers.iter().all(|it| *it <= SMALL.of_device));
                for device in recent.devices.values() {
                    let listed: BTreeSet<Fingerprint> = device.events.iter().copied().collect();
                    prop_assert_eq!(&listed, &device.known);
                }
                prop_assert!(recent.devices.len() <= SMALL.devices);
                let used: BTreeSet<&u8> = recent.uses.values().collect();
                let known: BTreeSet<&u8> = recent.devices.keys().collect();
                prop_assert_eq!(used, known);
            }
        }
    }
}
