//! Report: the words about settings that drifted, and those of a problem that is still the same.
//!
//! A remote side may put something else into each answer: a number of the request, the time of day.
//! While all the rest of a status is equal, its words stay those that were written first, and are
//! replaced once in [`KEPT`]: nobody loses the newest for longer, and retries write nothing.
//! Decides nothing but that. Called by the pass.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{DeviceStatus, ServiceSubscriptionStatus};
use jiff::SignedDuration;

use crate::condition::without_words_of_attempts;
use crate::delivery::verify::VerifiedItem;
use crate::listing::some_of;

/// Time for which the words of a problem stay as they are.
pub(in crate::delivery) const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// The most settings that a sentence names.
const NAMES_SHOWN: usize = 3;

/// Returns the sentence about settings that are left as somebody has changed them.
pub(super) fn drifted<'v>(items: impl Iterator<Item = &'v VerifiedItem>) -> String {
    let names: BTreeSet<&str> = items.filter_map(|item| item.key.name()).collect();
    let shown = some_of(&names, NAMES_SHOWN);
    let (was, is) = if names.len() == 1 {
        ("was", "is")
    } else {
        ("were", "are")
    };
    format!("{shown} {was} changed at the device and {is} left so, by driftPolicy Report.")
}

/// A status with words of remote sides.
pub(in crate::delivery) trait Wordy: Clone + PartialEq {
    /// Returns the status without the words of attempts, and without the counters that change with
    /// each of them.
    fn without_words(&self) -> Self;

    /// Takes the words of the previous status if they alone differ. Returns true if they do.
    fn keep_words_of(&mut self, previous: &Self) -> bool {
        if self == previous || self.without_words() != previous.without_words() {
            return false;
        }
        self.clone_from(previous);
        true
    }
}

impl Wordy for ServiceSubscriptionStatus {
    fn without_words(&self) -> Self {
        let mut bare = self.clone();
        bare.conditions = without_words_of_attempts(&self.conditions);
        for item in &mut bare.items {
            item.attempts = None;
            item.last_sent = None;
            if let Some(problem) = &mut item.problem {
                problem.message = String::new().into();
            }
        }
        bare
    }
}

impl Wordy for DeviceStatus {
    fn without_words(&self) -> Self {
        let mut bare = self.clone();
        bare.conditions = without_words_of_attempts(&self.conditions);
        let connections = bare.connections.iter_mut();
        let faults = connections.flat_map(|it| [&mut it.fault, &mut it.another_machine]);
        for fault in faults.flatten() {
            fault.message = String::new().into();
        }
        bare
    }
}
