//! What brokers offer, read once and kept for a while: one catalogue serves a whole fleet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use entente_domain::{exchange::Catalogue, shared::Shared};
use jiff::{SignedDuration, Timestamp};

/// How long a catalogue is used before it is read again.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// The catalogues by Connection.
#[derive(Default)]
pub(crate) struct Catalogues {
    kept: Mutex<HashMap<String, (Timestamp, Shared<Catalogue>)>>,
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

    /// Keeps what was read.
    pub(crate) fn keep(&self, name: &str, catalogue: Shared<Catalogue>, now: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.to_owned(), (now, catalogue));
    }

    /// Forgets a catalogue, because its Connection or a service changed.
    pub(crate) fn forget(&self, name: &str) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}
