//! The relists of the watches that bring the objects of a cache: their numbers, and the own writes
//! that the last one did not bring.
//!
//! Where only some namespaces are served, each has a watch of its own: a relist and the order of a
//! watch say something about the objects of that namespace, and nothing about others. Holds no
//! object and decides nothing about one. Called by the state of a cache.

use std::{collections::BTreeMap, sync::Arc};

use super::Key;

/// The relists of one watch.
#[derive(Default)]
struct OfWatch {
    /// Number of those that have begun.
    begun: u64,
    /// Own writes that the one just finished did not bring, by resourceVersion.
    unlisted: BTreeMap<u64, Arc<Key>>,
}

/// The relists of every watch: by namespace, or under an empty name if one watch brings all.
#[derive(Default)]
pub(super) struct Relists(BTreeMap<String, OfWatch>);

impl Relists {
    /// Begins a relist of a namespace; an empty name: of everything.
    pub(super) fn begins(&mut self, namespace: &str) {
        let relists = self.0.entry(namespace.to_owned()).or_default();
        relists.begun += 1;
        relists.unlisted.clear();
    }

    /// Ends the relist of a namespace that did not bring these own writes, by resourceVersion.
    pub(super) fn ends_without(&mut self, namespace: &str, unlisted: BTreeMap<u64, Arc<Key>>) {
        if let Some(relists) = self.0.get_mut(namespace) {
            relists.unlisted = unlisted;
        }
    }

    /// Returns the number of the last relist of a namespace; 0: there was none.
    pub(super) fn last(&self, namespace: &str) -> u64 {
        self.0.get(namespace).map_or(0, |it| it.begun)
    }

    /// Returns the number of the last relist of the watch that brings an object.
    pub(super) fn last_of(&self, key: &Key) -> u64 {
        self.last(self.watch_of(key))
    }

    /// Returns, and forgets, the oldest own write that the watch of an object is past without having
    /// brought it; that watch has brought the version `newer`.
    pub(super) fn take_unlisted_before(&mut self, of: &Key, newer: u64) -> Option<(u64, Arc<Key>)> {
        let watch = self.watch_of(of).to_owned();
        let oldest = self.0.get_mut(&watch)?.unlisted.first_entry()?;
        (*oldest.key() < newer).then(|| oldest.remove_entry())
    }

    /// Returns the namespace of the watch that brings an object; empty if one brings all.
    fn watch_of<'k>(&self, key: &'k Key) -> &'k str {
        if self.0.contains_key(&key.namespace) {
            &key.namespace
        } else {
            ""
        }
    }
}
