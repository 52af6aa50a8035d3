//! The judge of waits: nobody is asked before the instant for which they asked.
//!
//! Kept by what the remote sides said, beside all that the operator remembers. Called at every
//! request of every simulation.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Simulation;

/// The instants before which a request must not come, by the URL that asked and what the request is
/// about.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes(BTreeMap<(String, String), Timestamp>);

impl Simulation {
    /// Checks that a request comes no sooner than its side asked for.
    pub(super) fn assert_patience(&self, url: &str, about: &str) {
        let wish = self.wishes.0.get(&(url.to_owned(), about.to_owned()));
        if let Some(until) = wish {
            assert!(
                *until <= self.now,
                "{about} at {url} is asked at {}, and {until} was asked for\n{}",
                self.now,
                self.story()
            );
        }
    }

    /// Records what an answer asked for.
    pub(super) fn hear_wish(&mut self, url: &str, about: &str, asked: Option<SignedDuration>) {
        let key = (url.to_owned(), about.to_owned());
        if let Some(asked) = asked {
            self.wishes.0.insert(key, self.now + asked);
        }
    }

    /// Records that an operation has another wait between its polls, or is over.
    pub(super) fn hear_of_operation(
        &mut self,
        url: &str,
        about: &str,
        asked: Option<SignedDuration>,
    ) {
        self.wishes.0.retain(|(_, known), _| known != about);
        self.hear_wish(url, about, asked);
    }

    /// The memory of the operator is lost, and with it what it was asked for.
    pub(crate) fn forget_waits(&mut self) {
        self.backoffs = Default::default();
        self.wishes = Wishes::default();
    }
}
