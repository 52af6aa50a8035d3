//! A map that keeps each entry until an instant, and never more than a given number.
//!
//! Decides which entries are dropped: those that have expired and are not in use, and at the bound
//! those that would expire first. Has no clock: instants are parameters, of any clock that the
//! caller has, so that a test can pause it. An entry is dropped at once, so a value that wipes
//! itself is wiped. Used for values that are read or made once for many: Secrets, catalogs,
//! tokens, clients, counts of requests.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    convert::Infallible,
    sync::Arc,
};

/// Entries with the instant until which each is kept.
#[derive(Debug)]
pub struct ExpiringMap<K, V, T> {
    entries: BTreeMap<Arc<K>, (V, T)>,
    /// The same, by instant.
    ends: BTreeSet<(T, Arc<K>)>,
    most: usize,
    in_use: fn(&V, T) -> bool,
}

impl<K: Ord, V, T: Copy + Ord> ExpiringMap<K, V, T> {
    /// Returns an empty map of at most `most` entries. An entry that is `in_use` at an instant is
    /// never dropped, not even if it has expired or the bound is reached.
    pub fn new(most: usize, in_use: fn(&V, T) -> bool) -> Self {
        Self {
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            most,
            in_use,
        }
    }

    /// Returns the number of entries, with those that have expired and were not dropped yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the value under a key, unless it has expired.
    pub fn get(&self, key: &K, now: T) -> Option<&V> {
        let (value, until) = self.entries.get(key)?;
        (*until > now || (self.in_use)(value, now)).then_some(value)
    }

    /// Returns the value under a key for a change, also if it has expired.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(value, _)| value)
    }

    /// Keeps a value until an instant and returns the one that it replaces.
    pub fn insert(&mut self, key: K, value: V, now: T, until: T) -> Option<V> {
        self.sweep(now);
        let before = self.remove(&key);
        self.make_room(now);
        let key = Arc::new(key);
        self.ends.insert((until, Arc::clone(&key)));
        self.entries.insert(key, (value, until));
        before
    }

    /// Returns the value under a key, or makes it if there is none, and keeps it at least until an
    /// instant.
    ///
    /// # Errors
    /// Returns the error of `make`; then nothing is kept.
    pub fn get_or_try_insert<E>(
        &mut self,
        key: K,
        now: T,
        until: T,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<&mut V, E> {
        self.sweep(now);
        if !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        match self.entries.entry(Arc::new(key)) {
            Entry::Occupied(entry) => {
                let key = Arc::clone(entry.key());
                let (value, end) = entry.into_mut();
                if *end < until {
                    self.ends.remove(&(*end, Arc::clone(&key)));
                    self.ends.insert((until, key));
                    *end = until;
                }
                Ok(value)
            }
            Entry::Vacant(entry) => {
                let value = make()?;
                self.ends.insert((until, Arc::clone(entry.key())));
                Ok(&mut entry.insert((value, until)).0)
            }
        }
    }

    /// Works as [`Self::get_or_try_insert`] with a `make` that cannot fail.
    pub fn get_or_insert_with(
        &mut self,
        key: K,
        now: T,
        until: T,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        let Ok(value) = self.get_or_try_insert::<Infallible>(key, now, until, || Ok(make()));
        value
    }

    /// Drops the value under a key and returns it.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (shared, (value, until)) = self.entries.remove_entry(key)?;
        self.ends.remove(&(until, shared));
        Some(value)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
    }

    /// Drops the entries whose keys are chosen.
    pub fn remove_where(&mut self, is_chosen: impl Fn(&K) -> bool) {
        let chosen = self.entries.keys().filter(|key| is_chosen(key));
        let chosen: Vec<Arc<K>> = chosen.cloned().collect();
        for key in chosen {
            self.remove(&key);
        }
    }

    /// Drops everything that has expired.
    fn sweep(&mut self, now: T) {
        let over = self.ends.iter().take_while(|(until, _)| *until <= now);
        let over: Vec<Arc<K>> = over
            .filter(|(_, key)| !self.is_in_use(key, now))
            .map(|(_, key)| Arc::clone(key))
            .collect();
        for key in over {
            self.remove(&key);
        }
    }

    /// Makes room for one more entry, if there is one that is not in use.
    fn make_room(&mut self, now: T) {
        if self.entries.len() < self.most {
            return;
        }
        let mut by_end = self.ends.iter();
        let first = by_end.find(|(_, key)| !self.is_in_use(key, now));
        if let Some((_, key)) = first.cloned() {
            self.remove(&key);
        }
    }

    fn is_in_use(&self, key: &K, now: T) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|(value, _)| (self.in_use)(value, now))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;

    type Map = ExpiringMap<&'static str, Rc<u8>, u32>;

    /// Returns a map in which a value is in use while another holds a reference to it.
    fn map(most: usize) -> Map {
        ExpiringMap::new(most, |value, _| Rc::strong_count(value) > 1)
    }

    fn keep(map: &mut Map, key: &'static str, now: u32, until: u32) -> Rc<u8> {
        let made: Result<_, ()> = map.get_or_try_insert(key, now, until, || Ok(Rc::new(1)));
        Rc::clone(made.unwrap())
    }

    #[test]
    fn what_is_over_is_not_shown_and_dropped_with_the_next_that_is_kept() {
        let mut map = map(9);
        map.insert("a", Rc::new(7), 0, 10);
        assert_eq!(map.get(&"a", 9).map(|value| **value), Some(7));
        assert_eq!(map.get(&"a", 10), None);
        map.insert("b", Rc::new(8), 10, 20);
        assert_eq!((map.len(), map.ends.len()), (1, 1));
    }

    #[test]
    fn what_is_chosen_is_dropped_and_nothing_else() {
        let mut map = map(9);
        for key in ["a", "b"] {
            map.insert(key, Rc::new(7), 0, 10);
        }
        map.remove_where(|key| *key == "a");
        assert_eq!((map.get(&"a", 1), map.len(), map.ends.len()), (None, 1, 1));
    }

    #[test]
    fn who_asks_for_a_value_prolongs_it_and_never_shortens_it() {
        let mut map = map(9);
        keep(&mut map, "a", 0, 10);
        keep(&mut map, "a", 5, 15);
        keep(&mut map, "a", 6, 7);
        assert!(map.get(&"a", 14).is_some());
        assert!(map.get(&"a", 15).is_none());
        assert_eq!(map.ends.len(), 1);
    }

    #[test]
    fn what_is_in_use_stays_though_it_is_over_and_is_dropped_when_it_is_not() {
        let mut map = map(9);
        let used = keep(&mut map, "a", 0, 10);
        keep(&mut map, "b", 50, 60);
        assert!(map.get(&"a", 50).is_some());
        assert!(Rc::ptr_eq(&used, &keep(&mut map, "a", 50, 55)));
        drop(used);
        keep(&mut map, "b", 56, 66);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn at_the_bound_what_would_be_over_first_goes_and_never_what_is_in_use() {
        let mut map = map(2);
        let used = keep(&mut map, "a", 0, 10);
        keep(&mut map, "b", 0, 30);
        keep(&mut map, "c", 0, 20);
        assert!(map.get(&"b", 0).is_none() && map.get(&"a", 0).is_some());
        keep(&mut map, "d", 0, 20);
        assert_eq!(map.len(), 2);
        drop(used);
        keep(&mut map, "e", 0, 20);
        assert!(map.get(&"a", 0).is_none());
    }

    #[test]
    fn what_could_not_be_made_is_not_kept() {
        let mut map = map(2);
        assert_eq!(map.get_or_try_insert("a", 0, 10, || Err("no")), Err("no"));
        assert!(map.is_empty() && map.ends.is_empty());
        let rest = keep(&mut map, "a", 0, 10);
        map.clear();
        assert_eq!(
            Rc::strong_count(&rest),
            1,
            "what is dropped is dropped at once"
        );
    }

    #[test]
    fn a_value_that_takes_the_place_of_another_gives_it_back_and_its_instant_alone_counts() {
        let mut map = map(2);
        assert_eq!(map.insert("a", Rc::new(1), 0, 30), None);
        map.insert("b", Rc::new(2), 0, 20);
        let before = map.insert("a", Rc::new(3), 0, 10);
        assert_eq!(before, Some(Rc::new(1)));
        assert_eq!(map.len(), 2, "it needs no room of its own");
        assert_eq!(map.get(&"a", 10), None, "it is not kept for as long");
        assert_eq!(map.insert("a", Rc::new(4), 10, 20), None, "it was over");
    }

    #[test]
    fn a_value_may_be_changed_and_removed_also_when_it_is_over() {
        let mut map: ExpiringMap<&str, u8, u32> = ExpiringMap::new(2, |_, _| false);
        *map.get_or_insert_with("a", 0, 10, || 1) += 1;
        *map.get_or_insert_with("a", 5, 10, || 9) += 1;
        assert_eq!(map.get(&"a", 5), Some(&3));
        *map.get_mut(&"a").expect("it is kept") = 7;
        assert_eq!(map.get(&"a", 10), None);
        assert_eq!(map.remove(&"a"), Some(7));
        assert_eq!(map.remove(&"a"), None);
        assert_eq!(map.get_mut(&"a"), None);
        assert!(map.is_empty() && map.ends.is_empty());
    }

    #[test]
    fn a_value_is_asked_at_each_instant_whether_it_is_in_use() {
        // Each value is the instant until which it is in use.
        let mut map: ExpiringMap<&str, u32, u32> = ExpiringMap::new(9, |used, now| *used > now);
        map.insert("a", 30, 0, 10);
        assert_eq!(map.get(&"a", 29), Some(&30));
        assert_eq!(map.get(&"a", 30), None);
        map.insert("b", 0, 29, 50);
        assert_eq!(map.len(), 2);
        map.insert("b", 0, 30, 50);
        assert_eq!(map.len(), 1);
    }

    /// The most entries of the map of the property.
    const MOST: usize = 3;

    /// Drops from a plain list as the map does, so that one more entry has room.
    fn drop_from(list: &mut BTreeMap<u8, (usize, u32)>, key: u8, now: u32) {
        list.retain(|_, (_, until)| *until > now);
        if !list.contains_key(&key) && list.len() >= MOST {
            let ends = list.iter().map(|(key, (_, until))| (*until, *key));
            let (_, first) = ends.min().expect("it is full");
            list.remove(&first);
        }
    }

    proptest! {
        #[test]
        fn after_any_calls_a_map_holds_the_same_as_a_plain_list(
            calls in prop::collection::vec((0..4_u8, 0..6_u8, 0..5_u32, 0..20_u32), 1..60),
        ) {
            let mut map = ExpiringMap::new(MOST, |_: &usize, _: u32| false);
            let mut list: BTreeMap<u8, (usize, u32)> = BTreeMap::new();
            let mut now = 0;
            for (number, (call, key, passed, lasts)) in calls.into_iter().enumerate() {
                now += passed;
                let until = now + lasts;
                match call {
                    0 => {
                        drop_from(&mut list, key, now);
                        let before = list.insert(key, (number, until)).map(|(value, _)| value);
                        prop_assert_eq!(map.insert(key, number, now, until), before);
                    }
                    1 => {
                        drop_from(&mut list, key, now);
                        let entry = list.entry(key).or_insert((number, until));
                        entry.1 = entry.1.max(until);
                        let found = *map.get_or_insert_with(key, now, until, || number);
                        prop_assert_eq!(found, entry.0);
                    }
                    2 => {
                        let removed = list.remove(&key).map(|(value, _)| value);
                        prop_assert_eq!(map.remove(&key), removed);
                    }
                    _ => {}
                }
                for key in 0..6 {
                    let shown = list.get(&key).filter(|(_, until)| *until > now);
                    prop_assert_eq!(map.get(&key, now), shown.map(|(value, _)| value));
                }
                prop_assert_eq!((map.len(), map.ends.len()), (list.len(), list.len()));
            }
        }
    }
}
