//! The UIDs of objects that were removed, for as long as an answer may come that still has them.
//!
//! Called by the state of a cache, which lets no such object come back.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;
use tracing::error;

/// Time for which the UID of a removed object is remembered: longer than any request may take.
const KEPT: Duration = Duration::from_mins(2);

/// The UIDs of removed objects.
#[derive(Default)]
pub(super) struct Tombstones {
    uids: HashMap<String, Instant>,
    oldest_first: VecDeque<(Instant, String)>,
}

impl Tombstones {
    /// True if the object of this UID was removed a short time ago.
    pub(super) fn has(&self, uid: &str) -> bool {
        self.uids.contains_key(uid)
    }

    /// Remembers the UID of a removed object.
    pub(super) fn bury(&mut self, uid: &str) {
        if uid.is_empty() {
            error!("an object without a uid was removed; is this a Kubernetes API server?");
            return;
        }
        let now = Instant::now();
        while let Some((died, _)) = self.oldest_first.front()
            && now.duration_since(*died) > KEPT
            && let Some((_, forgotten)) = self.oldest_first.pop_front()
        {
            self.uids.remove(&forgotten);
        }
        if self.uids.insert(uid.to_owned(), now).is_none() {
            self.oldest_first.push_back((now, uid.to_owned()));
        }
    }
}
