//! What brokers offer, read once and kept for a while: one catalogue serves a whole fleet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use entente_domain::{exchange::Catalogue, shared::Shared};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long a catalogue is used before it is read again.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// The catalogues by Connection.
#[derive(Default)]
pub(crate) struct Catalogues {
    kept: Mutex<HashMap<String, (Timestamp, Shared<Catalogue>)>>,
    listeners: Mutex<Vec<UnboundedSender<String>>>,
}

impl Catalogues {
    /// Those of these connections that are known and fresh.
    pub(crate) fn known<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
        now: Timestamp,
    ) -> BTreeMap<String, Shared<Catalogue>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .filter_map(|name| {
                let (read, catalogue) = kept.get(name)?;
                (now.duration_since(*read) < KEPT).then(|| (name.clone(), catalogue.clone()))
            })
            .collect()
    }

    /// Returns the names of connections as their catalogues change.
    pub(crate) fn subscribe(&self) -> UnboundedReceiver<String> {
        let (listener, changes) = unbounded_channel();
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(listener);
        changes
    }

    /// Keeps what was read; whoever listens is told where it is another catalogue than before.
    pub(crate) fn keep(&self, name: &str, catalogue: &Shared<Catalogue>, now: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.insert(name.to_owned(), (now, catalogue.clone()));
        drop(kept);
        if before.is_none_or(|(_, before)| before == *catalogue) {
            return;
        }
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.send(name.to_owned()).is_ok());
    }

    /// Lets a catalogue be read again before it is used, because its Connection changed. What it
    /// was stays known, so that another one is noticed.
    pub(crate) fn expire(&self, name: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, _)) = kept.get_mut(name) {
            *read = Timestamp::MIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entente_domain::exchange::Offering;

    fn catalogue(id: &str) -> Shared<Catalogue> {
        let offering = Offering {
            id: id.to_owned(),
            ..Offering::default()
        };
        Catalogue {
            offerings: vec![offering],
        }
        .into()
    }

    #[test]
    fn who_listens_is_told_of_a_catalogue_that_is_another_one_and_of_no_other() {
        let catalogues = Catalogues::default();
        let mut changes = catalogues.subscribe();
        for id in ["one", "one", "two"] {
            catalogues.keep("northwind", &catalogue(id), Timestamp::UNIX_EPOCH);
            catalogues.expire("northwind");
        }
        assert_eq!(changes.try_recv().ok().as_deref(), Some("northwind"));
        assert!(changes.try_recv().is_err());
    }
}
