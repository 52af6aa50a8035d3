//! Components that are not ready yet, with the missing parts.
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
        }
    }

    /// Replaces the missing parts of a component: one sentence each; none means that it is ready.
    pub fn set_missing(&self, component: &str, lines: Vec<String>) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            missing.remove(component);
        } else {
            missing.insert(component.to_owned(), lines);
        }
    }

    /// Marks a component as ready.
    pub fn set_ready(&self, component: &str) {
        self.set_missing(component, Vec::new());
    }

    /// Returns everything that is missing, as `component: part`, sorted by component; empty means
    /// ready.
    pub fn missing(&self) -> Vec<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = |(component, lines): (&String, &Vec<String>)| {
            lines
                .iter()
                .map(|line| format!("{component}: {line}"))
                .collect::<Vec<_>>()
        };
        missing.iter().flat_map(lines).collect()
    }

    /// True if nothing is missing.
    pub fn is_ready(&self) -> bool {
        self.missing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
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
