//! The judge of waits: nobody is asked before the instant for which they asked.
//!
//! Kept by what the remote sides said, beside all that the operator remembers. Called at every
//! request of every simulation.

use std::collections::BTreeMap;

use entente_domain::{
    delivery::{Action, Answer, Backoffs},
    remote::{Failure, OperationState, ServerAnswer},
};
use jiff::{SignedDuration, Timestamp};

use super::Simulation;

/// Subject of a request to the device, and of one for a catalog.
pub(super) const DEVICE: &str = "the device";
pub(super) const CATALOG: &str = "the catalog";

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

    /// Checks that a request about an instance comes no sooner than its broker asked for.
    pub(super) fn assert_patience_with(&self, url: &str, instance: &str, action: &Action) {
        match action {
            // Nothing is sent.
            Action::ReadInstance {
                retrievable: false, ..
            } => return,
            Action::PollOperation { .. } => self.assert_patience(url, &operation_on(instance)),
            _ => {}
        }
        self.assert_patience(url, instance);
    }

    /// Records what an answer asked for.
    pub(super) fn hear_wish(&mut self, url: &str, about: &str, asked: Option<SignedDuration>) {
        let key = (url.to_owned(), about.to_owned());
        if let Some(asked) = asked {
            self.wishes.0.insert(key, self.now + asked);
        }
    }

    /// Records what an answer about an instance asked for: the wait until the next poll is that of
    /// the operation under way, and over with it.
    pub(super) fn hear_of_instance(&mut self, url: &str, instance: &str, answer: &Answer) {
        let (failure, operation) = match answer {
            Answer::Instance(result) => (wish(result), None),
            Answer::Operation(Ok(OperationState::InProgress { retry_after }))
            | Answer::Server(Ok(ServerAnswer::UnderWay { retry_after, .. })) => {
                (None, Some(*retry_after))
            }
            Answer::Operation(result) => (wish(result), result.is_ok().then_some(None)),
            Answer::Server(result) => (wish(result), result.is_ok().then_some(None)),
            _ => (None, None),
        };
        self.hear_wish(url, instance, failure);
        if let Some(asked) = operation {
            let about = operation_on(instance);
            self.wishes.0.retain(|(_, known), _| *known != about);
            self.hear_wish(url, &about, asked);
        }
    }

    /// Forgets what the operator was asked for, as it does itself when it is started again.
    pub(crate) fn forget_waits(&mut self) {
        self.backoffs = Backoffs::default();
        self.wishes = Wishes::default();
    }
}

/// Returns the wait that a failure asks for.
pub(super) fn wish<T>(result: &Result<T, Failure>) -> Option<SignedDuration> {
    result.as_ref().err()?.retry_after
}

fn operation_on(instance: &str) -> String {
    format!("the operation on {instance}")
}
