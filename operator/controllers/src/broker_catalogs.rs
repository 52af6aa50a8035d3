//! Catalogs of brokers, read once and kept for a while: one catalog serves a whole fleet.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use entente_domain::{expiring::ExpiringMap, names::ConnectionName, remote::Catalog};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Time for which a catalog is used before it is read again.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// Time for which an unused catalog stays known, so that a different one is noticed.
const KNOWN: SignedDuration = SignedDuration::from_hours(24);
/// Bound of the map: more Connections to brokers than any cluster has.
const MOST: usize = 4096;

/// The catalogs by Connection.
pub(crate) struct BrokerCatalogs {
    kept: Mutex<Kept>,
    listeners: Mutex<Vec<Listener>>,
}

/// A listener, which is told of the Connection whose catalog is another one than before.
struct Listener {
    sender: UnboundedSender<String>,
    /// True if a catalog that was not known before is one, too.
    wants_first: bool,
}

type Kept = ExpiringMap<ConnectionName, Read, Timestamp>;

struct Read {
    catalog: Arc<Catalog>,
    fresh_until: Timestamp,
}

impl Default for BrokerCatalogs {
    fn default() -> Self {
        Self {
            kept: Mutex::new(ExpiringMap::new(MOST, |_, _| false)),
            listeners: Mutex::default(),
        }
    }
}

impl BrokerCatalogs {
    /// Returns the catalogs of those of these connections that are known and fresh.
    pub(crate) fn known<'a>(
        &self,
        names: impl Iterator<Item = &'a ConnectionName>,
        now: Timestamp,
    ) -> BTreeMap<ConnectionName, Arc<Catalog>> {
        let kept = self.kept();
        names
            .filter_map(|name| {
                let read = kept.get(name, now)?;
                (read.fresh_until > now).then(|| (name.clone(), read.catalog.clone()))
            })
            .collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the catalog of a connection as it was last read, fresh or not.
    pub(crate) fn last(&self, name: &str, now: Timestamp) -> Option<Arc<Catalog>> {
        let kept = self.kept();
        kept.get(&name.into(), now).map(|read| read.catalog.clone())
    }

    /// Returns the names of connections as their catalogs change.
    pub(crate) fn subscribe(&self) -> UnboundedReceiver<String> {
        self.listen(false)
    }

    /// Returns the names of connections as their catalogs change or become known.
    pub(crate) fn subscribe_from_first(&self) -> UnboundedReceiver<String> {
        self.listen(true)
    }

    fn listen(&self, wants_first: bool) -> UnboundedReceiver<String> {
        let (sender, changes) = unbounded_channel();
        let listener = Listener {
            sender,
            wants_first,
        };
        self.listeners().push(listener);
        changes
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a catalog that was read, and notifies those whom it is news for.
    pub(crate) fn keep(&self, name: &str, catalog: &Arc<Catalog>, now: Timestamp) {
        let after = |length| now.checked_add(length).unwrap_or(Timestamp::MAX);
        let read = Read {
            catalog: catalog.clone(),
            fresh_until: after(KEPT),
        };
        let before = self.kept().insert(name.into(), read, now, after(KNOWN));
        let is_first = before.is_none();
        if before.is_some_and(|before| before.catalog == *catalog) {
            return;
        }
        self.listeners().retain(|listener| {
            let is_news = !is_first || listener.wants_first;
            !is_news || listener.sender.send(name.to_owned()).is_ok()
        });
    }

    /// Marks a catalog to be read again before it is used, because its Connection changed. Its
    /// content stays known, so that a different one is noticed.
    pub(crate) fn expire(&self, name: &str) {
        if let Some(read) = self.kept().get_mut(&name.into()) {
            read.fresh_until = Timestamp::MIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entente_domain::remote::Offering;

    fn catalog(id: &str) -> Arc<Catalog> {
        let offering = Offering {
            id: id.to_owned(),
            ..Offering::default()
        };
        Catalog {
            offerings: vec![offering],
            ..Catalog::default()
        }
        .into()
    }

    #[test]
    fn who_listens_is_told_of_a_catalog_that_is_another_one_and_of_no_other() {
        let catalogs = BrokerCatalogs::default();
        let mut changes = catalogs.subscribe();
        let mut from_first = catalogs.subscribe_from_first();
        for id in ["one", "one", "two"] {
            catalogs.keep("northwind", &catalog(id), Timestamp::UNIX_EPOCH);
            catalogs.expire("northwind");
        }
        let told = |number: usize, changes: &mut UnboundedReceiver<String>| {
            for _ in 0..number {
                assert_eq!(changes.try_recv().ok().as_deref(), Some("northwind"));
            }
            assert!(changes.try_recv().is_err());
        };
        told(1, &mut changes);
        told(2, &mut from_first);
    }
}
