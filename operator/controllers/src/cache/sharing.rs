//! Equal parts of many objects, held once.
//!
//! The subscriptions of a contract have the same revisions, and a cache holds thousands of them.
//! Never changes a part. Called by the cache of subscriptions when an object is stored.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// Parts that were stored, each once.
#[derive(Debug)]
pub struct Sharing<T> {
    parts: Mutex<Parts<T>>,
}

#[derive(Debug)]
struct Parts<T> {
    held: HashSet<Arc<T>>,
    /// Number of parts at which those that no object has any more are dropped.
    sweep_at: usize,
}

/// Fewer parts are never swept.
const FEW: usize = 64;

impl<T: Eq + Hash> Default for Sharing<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Eq + Hash> Sharing<T> {
    /// Returns a place without parts.
    pub fn new() -> Self {
        Self {
            parts: Mutex::new(Parts {
                held: HashSet::new(),
                sweep_at: FEW,
            }),
        }
    }

    /// Replaces a part by the equal one that is held, or holds it from now on.
    pub fn share(&self, part: &mut Arc<T>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = parts.held.get(part) {
            *part = Arc::clone(held);
            return;
        }
        if parts.held.len() >= parts.sweep_at {
            parts.held.retain(|held| Arc::strong_count(held) > 1);
            parts.sweep_at = FEW.max(2 * parts.held.len());
        }
        parts.held.insert(Arc::clone(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_are_held_once_and_what_no_object_has_is_dropped() {
        let sharing = Sharing::new();
        let mut first = Arc::new("one".to_owned());
        let mut second = Arc::new("one".to_owned());
        sharing.share(&mut first);
        sharing.share(&mut second);
        assert!(Arc::ptr_eq(&first, &second));
        for number in 0..10 * FEW {
            sharing.share(&mut Arc::new(number.to_string()));
        }
        let held = &sharing.parts.lock().unwrap().held;
        assert!(held.contains(&first));
        assert!(held.len() <= FEW, "{}", held.len());
    }
}
