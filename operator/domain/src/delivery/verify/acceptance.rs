//! Verify: the check by which a service counts as working (api section 3, `acceptance`).
//!
//! Decides which reading counts: one that asked for the setting when all else was in effect, and that
//! came after the last proof of that. A value from before says nothing of the service as it is set up
//! now. Never decides when the next reading is due. Called by verify after all other items.

use entente_crds::{
    condition::Reason,
    v1alpha1::{ItemState, StepType},
};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::{
    Reading, ResolvedItem, ResolvedStep, Wanted, digest,
    verify::{
        Round, Verified, VerifiedItem,
        compare::is_equal,
        difference::{difference, malformed},
    },
};
use crate::{protocol::Place, remote::DeviceReading, remote::Value};

/// Returns the instant since which each of these items but the check is in effect, if each is. One that
/// somebody has changed, and that is left so, counts as it is.
pub(super) fn set_up_since<'v>(items: impl Iterator<Item = &'v VerifiedItem>) -> Option<Timestamp> {
    let mut before = items.filter(|it| it.step != StepType::Acceptance);
    before.try_fold(Timestamp::MIN, |latest, item| {
        item.is_done()
            .then(|| latest.max(item.verified_at.unwrap_or(latest)))
    })
}

/// Returns the item while something before it is not in effect: no proof holds.
fn not_due(item: &ResolvedItem) -> VerifiedItem {
    VerifiedItem {
        key: item.key.clone(),
        step: StepType::Acceptance,
        state: ItemState::Unknown,
        desired_digest: item.digest,
        observed_digest: None,
        verified_at: None,
        proof: None,
        was_effective: false,
        drifts: false,
        problem: None,
    }
}

impl Round<'_> {
    /// Returns the proof of the check, after those of all items before it.
    pub(super) fn acceptance_item(
        &self,
        step: &ResolvedStep,
        item: &ResolvedItem,
        before: &Verified,
    ) -> VerifiedItem {
        let Wanted::Acceptance {
            connection,
            place,
            value,
            within,
        } = &item.wanted
        else {
            return self.of_status(step.r#type, item);
        };
        if let Some(verified) = self.of_another_machine(step.r#type, item, connection) {
            return verified;
        }
        let Some(since) = before.set_up_since() else {
            return not_due(item);
        };
        let trusted = !self.device_faults.contains_key(connection);
        match self.observations.through(connection).reading_of(place) {
            Some(Reading {
                at,
                result: Ok(reading),
            }) if trusted
                && self.counts(*at, since)
                && self.subscription.was_asked(step, *at, self.now) =>
            {
                let check = Check {
                    place,
                    value,
                    since,
                    deadline: self.deadline(since, *within),
                };
                self.checked(step.r#type, item, &check, (*at, reading))
            }
            Some(Reading {
                result: Err(failure),
                ..
            }) => {
                let verified = self.last_check(step.r#type, item, since);
                let is_passed = verified.state == ItemState::Effective;
                let problem = (!is_passed).then(|| self.failed(item, failure, self.now));
                VerifiedItem {
                    problem,
                    ..verified
                }
            }
            _ => self.last_check(step.r#type, item, since),
        }
    }

    /// True if a proof at an instant is one of the service as it is set up since another one. After
    /// a clock was set back the two instants cannot be compared.
    fn counts(&self, at: Timestamp, since: Timestamp) -> bool {
        at >= since || since > self.now
    }

    /// Returns the instant until which another value is no failure: it counts from the beginning of
    /// the revision for a service that was set up before.
    fn deadline(&self, since: Timestamp, within: SignedDuration) -> Timestamp {
        let revision = self.subscription.revision.as_ref();
        let begun = revision.map_or(since, |revision| revision.effective.max(since));
        begun.checked_add(within).unwrap_or(Timestamp::MAX)
    }

    /// Returns the result of an earlier reading, as far as it still counts. Where none was answered
    /// yet, the reason stays.
    fn last_check(&self, step: StepType, item: &ResolvedItem, since: Timestamp) -> VerifiedItem {
        let last = self.of_status(step, item);
        match last.verified_at {
            Some(at) if self.counts(at, since) => last,
            Some(_) => not_due(item),
            None => VerifiedItem {
                problem: last.problem,
                ..not_due(item)
            },
        }
    }

    fn checked(
        &self,
        step: StepType,
        item: &ResolvedItem,
        check: &Check<'_>,
        (at, reading): (Timestamp, &DeviceReading),
    ) -> VerifiedItem {
        let found = reading.values.get(check.place).map(Vec::as_slice);
        let observed_digest = found.map(digest);
        let malformed = malformed(check.place, found);
        let state = if found.is_some_and(|found| is_equal(check.value, found)) {
            ItemState::Effective
        } else if at < check.deadline {
            ItemState::InProgress
        } else {
            ItemState::NotEffective
        };
        let problem = match (state, malformed) {
            (ItemState::Effective, _) | (ItemState::InProgress, None) => None,
            (_, Some(how)) => Some((Reason::ProtocolError, how)),
            (_, None) => {
                let is_private = reading.private.contains(check.place);
                let words = difference(check.place, check.value, found, is_private);
                let words = words.unwrap_or_else(|| "another value".to_owned());
                let says = "the device does not report that the service works";
                Some((Reason::AcceptanceFailed, format!("{says}: {words}")))
            }
        };
        // A proof that is repeated keeps its instant, so that an equal status is not written.
        let same = self.previous(item).filter(|previous| {
            previous.state == state && previous.observed_digest == observed_digest
        });
        let first = same.and_then(|previous| previous.last_verified);
        VerifiedItem {
            key: item.key.clone(),
            step,
            state,
            desired_digest: item.digest,
            observed_digest,
            verified_at: first
                .filter(|first| self.counts(*first, check.since))
                .or(Some(at)),
            proof: None,
            was_effective: false,
            drifts: false,
            problem: problem
                .map(|(met, words)| self.problem(item, met, &format!("{}: {words}", item.key), at)),
        }
    }
}

/// Content of a check, and its time.
struct Check<'a> {
    place: &'a Place,
    value: &'a Value,
    /// Instant since which all else is in effect.
    since: Timestamp,
    /// Instant from which another value is a failure.
    deadline: Timestamp,
}
