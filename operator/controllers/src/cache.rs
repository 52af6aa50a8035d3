//! One cache per kind: every object of the cluster, kept current by a watch.
//!
//! It exists instead of `kube::runtime::reflector` for two reasons. The reflector shows the objects
//! of a relist only when the whole list is there, but announces each at once, so a pass may decide
//! on an old object and is not run again. And it lags behind the operator's own writes. Here an
//! object is stored *before* it is announced, always, and the answer of a write is stored as soon
//! as it is there ([`Cache::put_written`]).
//!
//! It never decides what a change means and never writes to the API server. Fed by
//! [`Cache::run`], one task per kind and part; read by every controller.

mod feed;
mod index;
mod relists;
mod sharing;
mod state;
#[cfg(test)]
mod tests;
mod tombstones;
mod undecoded;
mod unmanaged;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use entente_domain::inventory::{Part, Tally};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use tokio::{
    sync::{mpsc, watch},
    time::timeout_at,
};

use crate::metrics::{Inventoried, Metrics};
pub use feed::Watched;
pub use sharing::Sharing;
use state::State;
pub use undecoded::Unreadable;
pub(crate) use undecoded::{entries, part};
pub(crate) use unmanaged::Unmanaged;

/// Key of an object: its namespace (empty for kinds of the cluster) and its name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The namespace; empty for kinds of the cluster.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// Returns the key of these two.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Returns the key of an object.
    pub fn of(object: &impl Resource) -> Self {
        Self::of_meta(object.meta())
    }

    fn of_meta(meta: &ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Change of one object. Already visible in the cache when it is received.
#[derive(Debug)]
pub struct Change<K> {
    /// Key of the object.
    pub key: Key,
    /// The object before; `None`: it is new. Of another UID than `new` if it was deleted and made
    /// again within one change.
    pub old: Option<Arc<K>>,
    /// The object after; `None`: it is gone.
    pub new: Option<Arc<K>>,
    /// True if somebody else wrote a version of an object that existed, as far as is known. `old`
    /// and `new` may be the same version then, if that was known only later.
    pub by_others: bool,
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            old: self.old.clone(),
            new: self.new.clone(),
            by_others: self.by_others,
        }
    }
}

/// Begin or end of the time in which the newest version of an object cannot be read.
#[derive(Clone, Debug)]
pub struct UnreadableChange {
    /// The version that cannot be read.
    pub object: Arc<Unreadable>,
    /// True if it is gone, or another version can be read.
    pub is_over: bool,
}

/// Requirements of a cache on a kind: it is typed and can be read from JSON.
pub trait Cached:
    Resource<DynamicType = ()>
    + Clone
    + fmt::Debug
    + serde::de::DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Cached for K where
    K: Resource<DynamicType = ()>
        + Clone
        + fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Longest time for which the next status write of an object waits for the echo of the last one:
/// the median is some milliseconds, and a broken watch must not delay the work.
const ECHO: Duration = Duration::from_millis(300);

/// Annotation in which kubectl keeps the whole object once more, as text. The operator never reads
/// it, and never writes an object that has it back as a whole.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Is called with the key of each object that changed.
type Taken = Box<dyn Fn(&Key) + Send + Sync>;

/// Every object of one kind. Share it in an [`Arc`].
pub struct Cache<K> {
    kind: String,
    metrics: Arc<Metrics>,
    state: RwLock<State<K>>,
    /// The watches that bring its objects.
    watched: Vec<Watched>,
    /// The namespaces of those that have listed everything once.
    listed: watch::Sender<BTreeSet<String>>,
    /// The problem of the watch of each part that fails, by its namespace.
    broken: watch::Sender<BTreeMap<String, String>>,
    shape: Box<dyn Fn(&mut K) + Send + Sync>,
    /// Completes the objects of another cache that take something from one of this.
    takers: OnceLock<Taken>,
}

impl<K: Cached> Cache<K> {
    /// Returns an empty cache, which has to be [run](Self::run).
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            kind: K::kind(&()).into_owned(),
            metrics,
            state: RwLock::new(State::default()),
            watched: vec![Watched::default()],
            listed: watch::Sender::default(),
            broken: watch::Sender::default(),
            shape: Box::new(|_| {}),
            takers: OnceLock::new(),
        }
    }

    /// Holds what these watches bring, of which no two have one namespace. Call it before the
    /// cache runs.
    #[must_use]
    pub fn brought_by(mut self, watched: Vec<Watched>) -> Self {
        self.watched = watched;
        self
    }

    /// Returns its watches, each of which has to be [run](Self::run).
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// Returns the problem of each watch, by its namespace, as long as it has failed twice and more in
    /// a row: once is common, since the API server ends watches whose version it does not hold any
    /// more.
    pub fn broken(&self) -> watch::Receiver<BTreeMap<String, String>> {
        self.broken.subscribe()
    }

    /// True if one of its watches fails.
    pub(crate) fn is_broken(&self) -> bool {
        !self.broken.borrow().is_empty()
    }

    /// Stores objects as `shape` leaves them: without fields that nobody reads, and with parts that
    /// they share. No object of this cache may then be written back with its metadata. Call it
    /// before the cache runs.
    #[must_use]
    pub fn stored_as(mut self, shape: impl Fn(&mut K) + Send + Sync + 'static) -> Self {
        self.shape = Box::new(shape);
        self
    }

    /// Stores objects with what they take from an object of another cache: `complete` gets an object, and
    /// true if what it took before is in it, and returns the object as it is now, and whether it has taken
    /// something; `None` if that is no other object. It must not read this cache. Call it before the cache
    /// runs.
    #[must_use]
    pub fn completed_by(
        self,
        complete: impl Fn(&K, bool) -> Option<(K, bool)> + Send + Sync + 'static,
    ) -> Self {
        self.write().complete_by(Box::new(complete));
        self
    }

    /// Completes those objects anew that have this value in the index of this name: the object from which
    /// they take something has changed.
    pub fn complete_again(&self, index: &str, value: &str) {
        // One by one: there may be thousands, and readers need not wait for all of them.
        for object in self.by_index(index, value) {
            self.write().complete_again(&Key::of(&*object));
        }
    }

    /// Calls `complete` with the key of each object that changed, once the change is stored. Those who are
    /// told of the change may see it before. Works once, and before the cache runs.
    pub fn taken_by(&self, complete: impl Fn(&Key) + Send + Sync + 'static) {
        self.write().note_changes();
        let is_first = self.takers.set(Box::new(complete)).is_ok();
        debug_assert!(is_first, "another cache takes from this one already");
    }

    /// Has the objects completed that take something from those which changed. The cache must not be locked
    /// by the caller: completing reads it.
    fn give(&self) {
        let Some(complete) = self.takers.get() else {
            return;
        };
        let changed = self.write().take_changed();
        for key in changed {
            complete(&key);
        }
    }

    /// Returns a copy that takes no more memory than it needs: lists that were read from text have
    /// room to spare, a copy has none, and an object may be kept for months.
    fn compact(&self, mut object: K) -> K {
        object.meta_mut().managed_fields = None;
        if let Some(annotations) = &mut object.meta_mut().annotations {
            annotations.remove(LAST_APPLIED);
        }
        (self.shape)(&mut object);
        object.clone()
    }

    /// Adds an index: `values` are those under which [`Self::by_index`] finds an object. Call it
    /// before the cache runs.
    #[must_use]
    pub fn with_index(self, name: &'static str, values: fn(&K) -> Vec<String>) -> Self {
        self.write().add_index(name, values);
        self
    }

    /// Counts the objects for the gauges that describe them. Call it before the cache runs.
    #[must_use]
    pub fn counted_by(self, parts: fn(&K) -> Vec<Part>) -> Self {
        self.write().count_by(parts);
        self
    }

    /// Returns the object, if it exists.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().get(key)
    }

    /// Returns the object as it is now, if that is newer than this version of it.
    pub fn newer(&self, key: &Key, than: &K) -> Option<Arc<K>> {
        let found = self.get(key)?;
        let (found_meta, meta) = (found.meta(), than.meta());
        let is_newer =
            found_meta.uid == meta.uid && state::version(found_meta) > state::version(meta);
        is_newer.then_some(found)
    }

    /// Returns every object, in no order.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().all()
    }

    /// Returns the objects of a namespace, sorted by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read().in_namespace(namespace)
    }

    /// Returns the objects that have this value in the index of this name, sorted by key. Empty,
    /// and a defect that fails in debug builds, when there is no such index.
    pub fn by_index(&self, name: &str, value: &str) -> Vec<Arc<K>> {
        self.read().by_index(name, value)
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the objects whose newest version cannot be read, sorted by key. The version before
    /// stays in the cache, if there was one: an object must not look deleted. But nothing may be
    /// written on it: it is not what the API server has.
    pub fn unreadable(&self) -> Vec<Arc<Unreadable>> {
        self.read().unreadable()
    }

    /// True if the newest version of an object cannot be read.
    pub fn is_unreadable(&self, key: &Key) -> bool {
        self.read().is_unreadable(key)
    }

    /// Returns every object that cannot be read, and every change of that from now on.
    pub fn subscribe_unreadable(&self) -> mpsc::UnboundedReceiver<UnreadableChange> {
        self.write().subscribe_unreadable()
    }

    /// Returns every change from now on, after one change (old: none) for each existing object: a
    /// late subscriber misses nothing. Changes of one object arrive in order.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Change<K>> {
        self.write().subscribe()
    }

    /// Stores the answer of a write of our own, so that the next pass sees it before the watch
    /// brings it. Ignored if the cache has something newer, or saw the removal of the object of
    /// this UID.
    ///
    /// An answer without finalizers on a terminating object means that it is gone.
    pub fn put_written(&self, object: K) {
        self.share_written(object);
    }

    /// Works as [`Self::put_written`], and returns the object that was given, stored or not.
    pub fn share_written(&self, object: K) -> Arc<K> {
        let object = self.compact(object);
        let object = self.write().put_written(object);
        self.give();
        object
    }

    /// Waits until the watch has brought the last own write of this object, and [`ECHO`] from that
    /// write on at most. Returns at once if nothing was written, or it has come.
    ///
    /// The API server applies a status to the copy in its own watch cache, and repeats all of it if
    /// that is stale. Our watch is fed by the same cache: a version that it brought is not stale.
    pub async fn echoed(&self, key: &Key) {
        let echo = self.write().echo(key);
        if let Some((written, echo)) = echo {
            // The echo ends when the other end is dropped; the timeout has no consequence.
            let _ = timeout_at(written + ECHO, echo).await;
        }
    }

    /// Notes that a status of this object is being written, until the answer is dropped: what the
    /// watch brings meanwhile may be that write.
    pub(crate) fn writing(&self, key: &Key) -> Writing<'_, K> {
        self.write().write_begins(key);
        Writing {
            cache: self,
            key: key.clone(),
            own: None,
        }
    }

    /// Notes that the API server confirmed that the object of this UID is gone.
    pub fn put_deleted(&self, key: &Key, uid: &str) {
        self.write().put_deleted(key, uid);
        self.give();
    }

    /// Waits until every object was listed once.
    pub async fn ready(&self) {
        // The sender lives in self, so waiting can not fail.
        let mut listed = self.listed.subscribe();
        let _ = listed.wait_for(|it| it.len() == self.watched.len()).await;
    }

    /// True if every object was listed once.
    pub fn is_ready(&self) -> bool {
        self.listed.borrow().len() == self.watched.len()
    }

    /// Returns the kind, as in `kind:` of a manifest.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    fn read(&self) -> RwLockReadGuard<'_, State<K>> {
        // A panic while the lock is held can only come from an index function of ours; the state
        // still has whole objects then.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<K>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Cached> Inventoried for Cache<K> {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn is_listed(&self) -> bool {
        self.is_ready()
    }

    fn tally(&self) -> Tally {
        self.read().tally()
    }

    fn unreadable_count(&self) -> usize {
        self.read().unreadable_count()
    }

    fn has(&self, name: &str) -> bool {
        self.get(&Key::new("", name)).is_some()
    }
}

/// A status write that is under way.
pub(crate) struct Writing<'a, K: Cached> {
    cache: &'a Cache<K>,
    key: Key,
    own: Option<u64>,
}

impl<K: Cached> Writing<'_, K> {
    /// Ends with the object that the API server answered.
    pub(crate) fn answered(mut self, object: &K) {
        self.own = Some(state::version(object.meta()));
    }
}

impl<K: Cached> Drop for Writing<'_, K> {
    fn drop(&mut self) {
        self.cache.write().write_ends(&self.key, self.own);
    }
}
