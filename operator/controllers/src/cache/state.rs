//! The objects of a cache and the rules by which they change. Pure: no I/O.
//!
//! Sources of an object are the watch, a relist and the answers of our own writes; they overtake
//! each other. The rules:
//! - A newer resourceVersion replaces an older one; an equal one changes nothing (one event per
//!   change).
//! - A relist reads a state that is as new as its beginning or newer. So every object stored before
//!   it began is replaced by the listed one, also by something older (the API server was restored
//!   from a backup), and is removed if it is not listed. An object stored since then (by our own
//!   writes) is judged by resourceVersion, and stays if it is not listed: it may be younger than
//!   the list.
//! - The watch is in order. So an own write made during a relist and not listed is removed when the
//!   watch brings something newer without having brought it.
//! - An object whose removal was seen (by UID) does not come back by a late answer of an own write.
//! - An object is stored with what it takes from another one. When that changes, the same version is
//!   completed anew, and that is a change like others.
//!
//! The numbers of relists are kept in `relists`, the removals in `tombstones`. Called by the cache.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use entente_domain::inventory::{Part, Tally};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Change, Key, Unreadable, UnreadableChange, index::Index, relists::Relists,
    tombstones::Tombstones,
};

/// Completes an object that takes something from another one. Gets the object, and true if what it took is
/// in it; returns the object as it is now, and whether it has taken something; `None` if that is no other
/// object.
pub(super) type Complete<K> = Box<dyn Fn(&K, bool) -> Option<(K, bool)> + Send + Sync>;

struct Entry<K> {
    object: Arc<K>,
    /// True if something in it was taken from another object.
    has_taken: bool,
    /// The relist during or after which it was stored.
    relist: u64,
    /// Instant at which it was stored as the answer of an own write; `None` as soon as watch or
    /// list has brought this or a newer version.
    written: Option<Instant>,
}

pub(super) struct State<K> {
    objects: HashMap<Arc<Key>, Entry<K>>,
    namespaces: BTreeMap<String, BTreeSet<Arc<Key>>>,
    indexes: Vec<Index<K>>,
    complete: Option<Complete<K>>,
    /// Keys of objects that changed, for those who take something from them; `None`: nobody does.
    given: Option<Vec<Key>>,
    /// The parts of an object in the gauges, and the sums of all.
    parts: Option<fn(&K) -> Vec<Part>>,
    tally: Tally,
    subscribers: Vec<mpsc::UnboundedSender<Change<K>>>,
    /// Objects whose newest version cannot be read, and the relist that saw it last.
    unreadable: BTreeMap<Key, (Arc<Unreadable>, u64)>,
    unreadable_subscribers: Vec<mpsc::UnboundedSender<UnreadableChange>>,
    tombstones: Tombstones,
    relists: Relists,
    /// Callers that wait for the echo of an own write; dropped when it has come.
    waiting: HashMap<Arc<Key>, Vec<oneshot::Sender<()>>>,
    /// Objects of which we are writing a status, and the versions that watch or list brought
    /// meanwhile.
    writing: HashMap<Key, Vec<u64>>,
}

impl<K> Default for State<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            namespaces: BTreeMap::new(),
            indexes: Vec::new(),
            complete: None,
            given: None,
            parts: None,
            tally: Tally::default(),
            subscribers: Vec::new(),
            unreadable: BTreeMap::new(),
            unreadable_subscribers: Vec::new(),
            tombstones: Tombstones::default(),
            relists: Relists::default(),
            waiting: HashMap::new(),
            writing: HashMap::new(),
        }
    }
}

/// Returns the resourceVersion as a number; Kubernetes guarantees that they compare this way
/// (KEP-5504). Zero, older than all, if a server breaks that.
pub(super) fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version
        .as_deref()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

// Reading.
impl<K: Resource<DynamicType = ()>> State<K> {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.objects.get(key).map(|entry| Arc::clone(&entry.object))
    }

    pub(super) fn all(&self) -> Vec<Arc<K>> {
        self.objects
            .values()
            .map(|entry| Arc::clone(&entry.object))
            .collect()
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let keys = self.namespaces.get(namespace).into_iter().flatten();
        keys.filter_map(|key| self.get(key)).collect()
    }

    pub(super) fn by_index(&self, name: &str, value: &str) -> Vec<Arc<K>> {
        let index = self.indexes.iter().find(|index| index.name == name);
        debug_assert!(index.is_some(), "there is no index {name}");
        let keys = index.into_iter().flat_map(|index| index.keys(value));
        keys.filter_map(|key| self.get(key)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn unreadable(&self) -> Vec<Arc<Unreadable>> {
        let all = self.unreadable.values();
        all.map(|(unreadable, _)| Arc::clone(unreadable)).collect()
    }

    pub(super) fn is_unreadable(&self, key: &Key) -> bool {
        self.unreadable.contains_key(key)
    }

    pub(super) fn subscribe_unreadable(&mut self) -> mpsc::UnboundedReceiver<UnreadableChange> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for object in self.unreadable() {
            // The receiver is in our hands, so it can not be closed.
            let _ = sender.send(UnreadableChange {
                object,
                is_over: false,
            });
        }
        self.unreadable_subscribers.push(sender);
        receiver
    }

    pub(super) fn subscribe(&mut self) -> mpsc::UnboundedReceiver<Change<K>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for (key, entry) in &self.objects {
            let new = Some(Arc::clone(&entry.object));
            // The receiver is in our hands, so it can not be closed.
            let _ = sender.send(Change {
                key: Key::clone(key),
                old: None,
                new,
                by_others: false,
            });
        }
        self.subscribers.push(sender);
        receiver
    }

    pub(super) fn add_index(&mut self, name: &'static str, values: fn(&K) -> Vec<String>) {
        let mut index = Index::new(name, values);
        for (key, entry) in &self.objects {
            index.change(key, None, Some(&entry.object));
        }
        self.indexes.push(index);
    }

    /// Completes objects from now on.
    pub(super) fn complete_by(&mut self, complete: Complete<K>) {
        self.complete = Some(complete);
    }

    /// Notes the objects that change from now on.
    pub(super) fn note_changes(&mut self) {
        self.given = Some(Vec::new());
    }

    /// Returns the keys of the objects that changed since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<Key> {
        self.given.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Counts objects from now on, by their parts in the gauges.
    pub(super) fn count_by(&mut self, parts: fn(&K) -> Vec<Part>) {
        self.parts = Some(parts);
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    pub(super) fn unreadable_count(&self) -> usize {
        self.unreadable.len()
    }
}

// Inputs of the sources.
impl<K: Resource<DynamicType = ()>> State<K> {
    /// True if this version of an object, of which only the metadata is read, is stored already or
    /// older than the stored one: then it changes nothing. `listed`: it comes from a relist, not
    /// from the watch.
    pub(super) fn is_known(&mut self, meta: &ObjectMeta, listed: bool) -> bool {
        let new = version(meta);
        let key = Key::of_meta(meta);
        if !listed {
            self.drop_unlisted_before(&key, new);
        }
        let relist = self.relists.last_of(&key);
        let Some(entry) = self.objects.get_mut(&key) else {
            return false;
        };
        let stored = entry.object.meta();
        let is_same = stored.resource_version == meta.resource_version;
        let before_relist = listed && entry.relist < relist;
        let is_older = new < version(stored) && !before_relist;
        if is_same {
            entry.relist = relist;
            entry.written = None;
            self.waiting.remove(&key);
        }
        if is_same || is_older {
            self.no_longer_unreadable(&key);
        }
        is_same || is_older
    }

    /// Stores an object that the watch or a relist brought. One that could not be read before is
    /// announced as a new one: whatever differs, its status says that it cannot be read.
    pub(super) fn applied(&mut self, object: K, listed: bool) {
        if self.is_known(object.meta(), listed) {
            return;
        }
        let key = Key::of(&object);
        let anew = self.no_longer_unreadable(&key);
        // While a status is being written, this may be that write, which came before its answer.
        let writing = self.writing.get_mut(&key);
        let by_others = writing.is_none();
        if let Some(brought) = writing {
            brought.push(version(object.meta()));
        }
        let (_, change) = self.store(key, object, true);
        let old = change.old.clone().filter(|_| !anew);
        let by_others = by_others && old.is_some();
        self.tell(&Change {
            old,
            by_others,
            ..change
        });
    }

    /// Notes that we write a status of an object.
    pub(super) fn write_begins(&mut self, key: &Key) {
        self.writing.insert(key.clone(), Vec::new());
    }

    /// Ends the write of a status, with the version that it made. What was brought meanwhile and is
    /// not this version was written by others.
    pub(super) fn write_ends(&mut self, key: &Key, own: Option<u64>) {
        let brought = self.writing.remove(key).unwrap_or_default();
        if brought.iter().all(|version| Some(*version) == own) {
            return;
        }
        if let Some(object) = self.get(key) {
            self.tell(&Change {
                key: key.clone(),
                old: Some(Arc::clone(&object)),
                new: Some(object),
                by_others: true,
            });
        }
    }

    /// Notes an object from the watch or a relist that cannot be read. The version before stays.
    pub(super) fn unreadable_seen(&mut self, unreadable: Unreadable) {
        let key = unreadable.key.clone();
        let relist = self.relists.last_of(&key);
        if let Some(entry) = self.objects.get_mut(&key) {
            if entry.object.meta().uid == unreadable.metadata.uid {
                entry.relist = relist;
                entry.written = None;
                self.waiting.remove(&key);
            } else {
                self.remove(&key);
            }
        }
        let object = Arc::new(unreadable);
        let seen = (Arc::clone(&object), relist);
        self.unreadable.insert(key, seen);
        self.tell_unreadable(&UnreadableChange {
            object,
            is_over: false,
        });
    }

    /// Forgets that an object cannot be read. Returns true if that was so.
    fn no_longer_unreadable(&mut self, key: &Key) -> bool {
        let Some((object, _)) = self.unreadable.remove(key) else {
            return false;
        };
        self.tell_unreadable(&UnreadableChange {
            object,
            is_over: true,
        });
        true
    }

    /// Removes an object after the watch's message.
    pub(super) fn deleted(&mut self, key: &Key, uid: &str, meta: &ObjectMeta) {
        self.drop_unlisted_before(key, version(meta));
        self.no_longer_unreadable(key);
        self.put_deleted(key, uid);
    }

    /// Begins a relist of a namespace; an empty name: of everything.
    pub(super) fn relist_begins(&mut self, namespace: &str) {
        self.relists.begins(namespace);
    }

    /// Ends a relist that brought every existing object of a namespace; an empty name: of everything.
    pub(super) fn relist_ends(&mut self, namespace: &str) {
        let relist = self.relists.last(namespace);
        let is_of = |key: &Key| namespace.is_empty() || key.namespace == namespace;
        let unreadable = self.unreadable.iter();
        let unlisted = unreadable.filter(|(key, (_, seen))| is_of(key) && *seen != relist);
        let unlisted: Vec<Key> = unlisted.map(|(key, _)| key.clone()).collect();
        for key in unlisted {
            self.no_longer_unreadable(&key);
        }
        let objects = self.objects.iter();
        let stale = objects.filter(|(key, entry)| is_of(key) && entry.relist < relist);
        let stale: Vec<Arc<Key>> = stale.map(|(key, _)| Arc::clone(key)).collect();
        for key in stale {
            self.remove(&key);
        }
        let objects = self.objects.iter();
        let unlisted = objects.filter(|(key, entry)| is_of(key) && entry.written.is_some());
        let unlisted = unlisted
            .map(|(key, entry)| (version(entry.object.meta()), Arc::clone(key)))
            .collect();
        self.relists.ends_without(namespace, unlisted);
    }

    /// Stores the object in the answer to a write of our own. Returns it as it would be stored, also if it
    /// is not.
    pub(super) fn put_written(&mut self, object: K) -> Arc<K> {
        let key = Key::of(&object);
        let meta = object.meta();
        let uid = meta.uid.clone().unwrap_or_default();
        let stored = self.objects.get(&key);
        let is_older = stored.is_some_and(|entry| version(meta) <= version(entry.object.meta()));
        if is_older || self.tombstones.has(&uid) {
            return Arc::new(self.completed(object).0);
        }
        if meta.deletion_timestamp.is_some() && meta.finalizers.as_ref().is_none_or(Vec::is_empty) {
            self.put_deleted(&key, &uid);
            return Arc::new(self.completed(object).0);
        }
        let (object, change) = self.store(key, object, false);
        self.tell(&change);
        object
    }

    /// Completes an object anew: what it takes from another one may be something else now.
    pub(super) fn complete_again(&mut self, key: &Key) {
        let Some((shared, entry)) = self.objects.get_key_value(key) else {
            return;
        };
        let complete = self.complete.as_ref();
        let found = complete.and_then(|complete| complete(&entry.object, entry.has_taken));
        let Some((object, has_taken)) = found else {
            return;
        };
        let (shared, new) = (Arc::clone(shared), Arc::new(object));
        let Some(entry) = self.objects.get_mut(key) else {
            return;
        };
        entry.has_taken = has_taken;
        let old = std::mem::replace(&mut entry.object, Arc::clone(&new));
        for index in &mut self.indexes {
            index.change(&shared, Some(&old), Some(&new));
        }
        self.count(Some(&old), Some(&new));
        self.tell(&Change {
            key: key.clone(),
            old: Some(old),
            new: Some(new),
            by_others: false,
        });
    }

    /// Returns an object with what it takes from another one, and true if there is something.
    fn completed(&self, object: K) -> (K, bool) {
        let complete = self.complete.as_ref();
        let found = complete.and_then(|complete| complete(&object, false));
        found.unwrap_or((object, false))
    }

    /// Returns the instant at which the last own write of this object was answered, and a receiver
    /// that ends when watch or list brings it or the object is removed; `None` if it has come, or
    /// nothing was written.
    pub(super) fn echo(&mut self, key: &Key) -> Option<(Instant, oneshot::Receiver<()>)> {
        let (key, entry) = self.objects.get_key_value(key)?;
        let written = entry.written?;
        let (sender, echo) = oneshot::channel();
        let waiting = self.waiting.entry(Arc::clone(key)).or_default();
        waiting.retain(|waits| !waits.is_closed());
        waiting.push(sender);
        Some((written, echo))
    }

    /// Removes the object of this UID, which is known to be gone.
    pub(super) fn put_deleted(&mut self, key: &Key, uid: &str) {
        let stored = self.objects.get(key);
        if stored.is_some_and(|entry| entry.object.meta().uid.as_deref() == Some(uid)) {
            self.remove(key);
        } else {
            self.tombstones.bury(uid);
        }
    }

    /// Removes own writes older than `newer` that the watch of an object, which is past them, did not
    /// bring.
    fn drop_unlisted_before(&mut self, of: &Key, newer: u64) {
        while let Some((written, key)) = self.relists.take_unlisted_before(of, newer) {
            let stored = self.objects.get(&key);
            let gone = stored.is_some_and(|entry| {
                entry.written.is_some() && version(entry.object.meta()) == written
            });
            if gone {
                self.remove(&key);
            }
        }
    }
}

// Storage: each change is visible, in the objects and in every index, before it is announced; the
// caller of `store` announces.
impl<K: Resource<DynamicType = ()>> State<K> {
    fn store(&mut self, key: Key, object: K, confirmed: bool) -> (Arc<K>, Change<K>) {
        let (object, has_taken) = self.completed(object);
        let object = Arc::new(object);
        let known = self.objects.get_key_value(&key);
        let shared = known.map_or_else(|| Arc::new(key.clone()), |(known, _)| Arc::clone(known));
        let entry = Entry {
            object: Arc::clone(&object),
            has_taken,
            relist: self.relists.last_of(&shared),
            written: (!confirmed).then(Instant::now),
        };
        if confirmed {
            self.waiting.remove(&key);
        }
        let old = self
            .objects
            .insert(Arc::clone(&shared), entry)
            .map(|entry| entry.object);
        for index in &mut self.indexes {
            index.change(&shared, old.as_deref(), Some(&object));
        }
        self.count(old.as_deref(), Some(&object));
        if let Some(old) = &old {
            if old.meta().uid != object.meta().uid {
                self.tombstones
                    .bury(old.meta().uid.as_deref().unwrap_or_default());
            }
        } else {
            let namespace = self.namespaces.entry(key.namespace.clone());
            namespace.or_default().insert(shared);
        }
        let change = Change {
            key,
            old,
            new: Some(Arc::clone(&object)),
            by_others: false,
        };
        (object, change)
    }

    fn remove(&mut self, key: &Key) {
        let Some((shared, entry)) = self.objects.remove_entry(key) else {
            return;
        };
        self.waiting.remove(key);
        for index in &mut self.indexes {
            index.change(&shared, Some(&entry.object), None);
        }
        self.count(Some(&entry.object), None);
        if let Some(keys) = self.namespaces.get_mut(&key.namespace) {
            keys.remove(key);
            if keys.is_empty() {
                self.namespaces.remove(&key.namespace);
            }
        }
        self.tombstones
            .bury(entry.object.meta().uid.as_deref().unwrap_or_default());
        self.tell(&Change {
            key: key.clone(),
            old: Some(entry.object),
            new: None,
            by_others: false,
        });
    }

    fn count(&mut self, old: Option<&K>, new: Option<&K>) {
        if let Some(parts) = self.parts {
            let before = old.map(parts).unwrap_or_default();
            self.tally
                .change(&before, new.map(parts).unwrap_or_default());
        }
    }

    fn tell(&mut self, change: &Change<K>) {
        if let Some(given) = &mut self.given {
            given.push(change.key.clone());
        }
        self.subscribers
            .retain(|subscriber| subscriber.send(change.clone()).is_ok());
    }

    fn tell_unreadable(&mut self, change: &UnreadableChange) {
        self.unreadable_subscribers
            .retain(|subscriber| subscriber.send(change.clone()).is_ok());
    }
}
