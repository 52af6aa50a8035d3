//! The machines that a pass under way has looked at, so that two Devices that meet one machine at
//! once do not both write to it before either claim is in a status.
//!
//! The first one that read it has it until its report is in the cache, from which the domain decides
//! on claims. Kept in memory: after a restart no pass is under way. Never decides against a claim
//! that is known. Called by execute after a reading, and by the controller at the end of a pass.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use entente_domain::identity::Identity;

use crate::cache::Key;

/// The Device that has each machine for the rest of its pass.
#[derive(Debug, Default)]
pub(super) struct Machines {
    looked_at: Mutex<HashMap<Identity, Key>>,
}

impl Machines {
    /// Returns the other Device that has looked at a machine first, in a pass that is under way.
    /// `None`: this one has it.
    pub(super) fn of_another(&self, machine: &Identity, device: &Key) -> Option<Key> {
        let mut looked_at = self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let owner = looked_at
            .entry(machine.clone())
            .or_insert_with(|| device.clone());
        (owner != device).then(|| owner.clone())
    }

    /// Lets go of the machines of a Device, at the end of its pass.
    pub(super) fn forget(&self, device: &Key) {
        let mut looked_at = self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        looked_at.retain(|_, owner| owner != device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K4
    #[test]
    fn who_looks_first_has_the_machine_until_the_end_of_its_pass() {
        let machines = Machines::default();
        let machine = Identity::of("urn:uuid:1").expect("it is one");
        let other = Identity::of("urn:uuid:2").expect("it is one");
        let (first, second) = (Key::new("a", "lobby"), Key::new("b", "lobby"));
        assert_eq!(machines.of_another(&machine, &first), None);
        assert_eq!(
            machines.of_another(&machine, &first),
            None,
            "it looks again"
        );
        assert_eq!(machines.of_another(&machine, &second), Some(first.clone()));
        assert_eq!(machines.of_another(&other, &second), None);
        machines.forget(&first);
        assert_eq!(machines.of_another(&machine, &second), None);
        let kept = machines.of_another(&other, &first);
        assert_eq!(kept, Some(second), "that one is kept");
    }
}
