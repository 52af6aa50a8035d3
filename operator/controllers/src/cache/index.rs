//! One index of a cache: the objects by a value. Pure: no I/O.
//!
//! Nearly every value of the operator's indexes has one key (an endpoint, an identity, a
//! subscription's device), so one key costs no node of a tree, and keys are shared with the
//! objects. Never tells anybody of a change. Called by `state`.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::Key;

/// The keys that have one value.
enum Keys {
    One(Arc<Key>),
    Many(BTreeSet<Arc<Key>>),
}

/// The keys of a cache by one function of its objects.
pub(super) struct Index<K> {
    /// Name by which it is looked up.
    pub(super) name: &'static str,
    values: fn(&K) -> Vec<String>,
    keys: HashMap<String, Keys>,
}

impl<K> Index<K> {
    /// Returns an empty index of this name over these values.
    pub(super) fn new(name: &'static str, values: fn(&K) -> Vec<String>) -> Self {
        Self {
            name,
            values,
            keys: HashMap::new(),
        }
    }

    /// Returns the keys that have this value, sorted.
    pub(super) fn keys(&self, value: &str) -> impl Iterator<Item = &Arc<Key>> {
        let (one, many) = match self.keys.get(value) {
            None => (None, None),
            Some(Keys::One(key)) => (Some(key), None),
            Some(Keys::Many(keys)) => (None, Some(keys)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Updates the index after the change of one object.
    pub(super) fn change(&mut self, key: &Arc<Key>, old: Option<&K>, new: Option<&K>) {
        let before = old.map(self.values).unwrap_or_default();
        let after = new.map(self.values).unwrap_or_default();
        for value in before.iter().filter(|value| !after.contains(value)) {
            self.remove(key, value);
        }
        for value in after {
            if !before.contains(&value) {
                self.insert(key, value);
            }
        }
    }

    fn insert(&mut self, key: &Arc<Key>, value: String) {
        let key = Arc::clone(key);
        match self.keys.get_mut(&value) {
            None => _ = self.keys.insert(value, Keys::One(key)),
            Some(Keys::Many(keys)) => _ = keys.insert(key),
            // An object may have one value twice.
            Some(Keys::One(only)) if *only == key => {}
            Some(keys @ Keys::One(_)) => {
                let only = std::mem::replace(keys, Keys::Many(BTreeSet::from([key])));
                if let (Keys::One(only), Keys::Many(keys)) = (only, keys) {
                    keys.insert(only);
                }
            }
        }
    }

    fn remove(&mut self, key: &Arc<Key>, value: &str) {
        let Some(keys) = self.keys.get_mut(value) else {
            return;
        };
        match keys {
            Keys::One(only) if only == key => _ = self.keys.remove(value),
            Keys::One(_) => {}
            Keys::Many(many) => {
                many.remove(key);
                if many.len() == 1
                    && let Some(only) = many.pop_first()
                {
                    *keys = Keys::One(only);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Arc<Key> {
        Arc::new(Key::new("acme", name))
    }

    fn names(index: &Index<Vec<String>>, value: &str) -> Vec<String> {
        index.keys(value).map(|key| key.name.clone()).collect()
    }

    #[test]
    fn keys_come_in_order_and_go_one_by_one() {
        let mut index: Index<Vec<String>> = Index::new("value", Vec::clone);
        let x = vec!["x".to_owned()];
        for name in ["b", "c", "a"] {
            index.change(&key(name), None, Some(&x));
        }
        assert_eq!(names(&index, "x"), ["a", "b", "c"]);
        for (name, left) in [("b", vec!["a", "c"]), ("a", vec!["c"]), ("c", vec![])] {
            index.change(&key(name), Some(&x), None);
            assert_eq!(names(&index, "x"), left);
        }
        assert!(index.keys.is_empty(), "a value without a key takes nothing");
    }

    #[test]
    fn a_value_that_stays_keeps_its_key_and_one_that_goes_loses_it() {
        let mut index: Index<Vec<String>> = Index::new("value", Vec::clone);
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (before, after) = (texts(&["x", "x", "y"]), texts(&["y", "z"]));
        index.change(&key("a"), None, Some(&before));
        assert_eq!(names(&index, "x"), ["a"]);
        index.change(&key("a"), Some(&before), Some(&after));
        assert_eq!(index.keys.len(), 2);
        assert_eq!(
            (names(&index, "y"), names(&index, "z")),
            (texts(&["a"]), texts(&["a"]))
        );
        // Another object is removed; this one is not touched.
        index.change(&key("b"), Some(&after), None);
        assert_eq!(names(&index, "z"), ["a"]);
    }

    #[test]
    fn one_key_costs_no_node_and_shares_its_texts() {
        let mut index: Index<Vec<String>> = Index::new("value", Vec::clone);
        let x = vec!["x".to_owned()];
        let (a, b) = (key("a"), key("b"));
        index.change(&a, None, Some(&x));
        index.change(&b, None, Some(&x));
        index.change(&b, Some(&x), None);
        assert!(matches!(&index.keys["x"], Keys::One(only) if Arc::ptr_eq(only, &a)));
        assert_eq!(Arc::strong_count(&b), 1);
    }
}
