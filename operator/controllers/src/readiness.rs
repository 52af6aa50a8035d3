//! Components that are not ready yet, with the missing parts, and notes about those that are.
//!
//! Written by the self test and by the wait for caches; read by `/readyz`. It never decides what
//! runs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Missing parts of each component. A component that misses nothing has no entry.
#[derive(Debug, Default)]
pub struct Readiness {
    missing: Mutex<BTreeMap<String, Vec<String>>>,
    notes: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Readiness {
    /// Returns a readiness that waits for these components, each of which has not begun.
    pub fn waiting_for(components: &[&str]) -> Self {
        let missing = components
            .iter()
            .map(|component| ((*component).to_owned(), vec!["has not begun".to_owned()]))
            .collect();
        Self {
            missing: Mutex::new(missing),
            notes: Mutex::default(),
        }
    }

    /// Replaces the notes about a component: one sentence each, about what a person has to do although it
    /// is ready, since another replica could do no more.
    pub fn set_notes(&self, component: &str, lines: Vec<String>) {
        put(&self.notes, component, lines);
    }

    /// Returns all notes, as `component: note`, sorted by component.
    pub fn notes(&self) -> Vec<String> {
        lines(&self.notes)
    }

    /// Replaces the missing parts of a component: one sentence each; none means that it is ready.
    pub fn set_missing(&self, component: &str, lines: Vec<String>) {
        put(&self.missing, component, lines);
    }

    /// Marks a component as ready.
    pub fn set_ready(&self, component: &str) {
        self.set_missing(component, Vec::new());
    }

    /// Returns everything that is missing, as `component: part`, sorted by component; empty means
    /// ready.
    pub fn missing(&self) -> Vec<String> {
        lines(&self.missing)
    }

    /// True if nothing is missing.
    pub fn is_ready(&self) -> bool {
        self.missing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}

fn put(all: &Mutex<BTreeMap<String, Vec<String>>>, component: &str, lines: Vec<String>) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.is_empty() {
        all.remove(component);
    } else {
        all.insert(component.to_owned(), lines);
    }
}

fn lines(all: &Mutex<BTreeMap<String, Vec<String>>>) -> Vec<String> {
    let all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let of_component = |(component, lines): (&String, &Vec<String>)| {
        let lines = lines.iter().map(|line| format!("{component}: {line}"));
        lines.collect::<Vec<_>>()
    };
    all.iter().flat_map(of_component).collect()
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn it_is_ready_when_no_component_misses_anything() {
        let readiness = Readiness::waiting_for(&["caches", "self-test"]);
        assert!(!readiness.is_ready());
        readiness.set_ready("caches");
        readiness.set_missing("self-test", vec!["may not list devices".to_owned()]);
        assert_eq!(readiness.missing(), ["self-test: may not list devices"]);
        readiness.set_ready("self-test");
        assert!(readiness.is_ready());
    }
}
