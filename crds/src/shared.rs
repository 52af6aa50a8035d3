//! Texts that many objects have, each in memory once.
//!
//! The operator holds the status of every device and subscription, and most of their words and keys
//! are equal. Decides nothing but which place in memory a text has. Used by the types of texts that
//! repeat.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

struct Known {
    texts: BTreeSet<Arc<str>>,
    /// Number of texts at which those that nobody has any more are dropped.
    sweep_at: usize,
}

/// Fewer texts are never swept.
const FEW: usize = 1024;

static KNOWN: Mutex<Known> = Mutex::new(Known {
    texts: BTreeSet::new(),
    sweep_at: FEW,
});

/// Returns a text in the place that all equal ones share.
pub(crate) fn shared(text: &str) -> Arc<str> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.shared(text)
}

impl Known {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        if self.texts.len() >= self.sweep_at {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.sweep_at = FEW.max(2 * self.texts.len());
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_place_and_what_nobody_has_is_dropped() {
        let mut known = Known {
            texts: BTreeSet::new(),
            sweep_at: FEW,
        };
        let first = known.shared("one");
        assert!(Arc::ptr_eq(&first, &known.shared("one")));
        let held: Vec<_> = (0..2 * FEW)
            .map(|number| known.shared(&format!("held {number}")))
            .collect();
        for number in 0..20 * FEW {
            known.shared(&number.to_string());
        }
        for text in held.iter().chain([&first]) {
            assert!(known.texts.contains(text), "{text}");
        }
        assert!(known.texts.len() <= 5 * FEW, "{}", known.texts.len());
    }
}
