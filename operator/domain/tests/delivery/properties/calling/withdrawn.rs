//! The time in which the owner of a device does not consent, as the operator could see it.

use entente_crds::v1alpha1::Promise;
use entente_domain::{
    compensation::{Interval, LatenessTerms, owed_time},
    promise::{promises, revision_of},
};
use jiff::Timestamp;

use super::*;

/// Returns the times that are owed, each with its promise.
pub(super) fn owed(world: &Simulation) -> Vec<(Promise, Interval)> {
    let subscriptions = world.snapshot.subscriptions.iter();
    let promises = subscriptions.flat_map(|object| {
        let promises = promises(object).iter();
        promises.filter_map(move |it| Some((it, revision_of(object, it.effective)?)))
    });
    let owed = promises.flat_map(|(promise, revision)| {
        let terms = LatenessTerms {
            causes: &revision.counted_causes,
            level: &revision.service_level,
            exclusions: &[],
        };
        let owed = owed_time(promise, &terms, world.now).expect("good terms");
        let owed = owed.owed.into_iter();
        owed.map(move |interval| (promise.clone(), interval))
    });
    owed.collect()
}

/// The times in which each pass met a device whose owner does not consent, and in which nothing of the
/// provider's or of the device's was missing beside that: a Secret that is not there, and what a server or
/// the device could not do before, are told first.
#[derive(Clone, Debug, Default)]
pub(super) struct Withdrawn {
    times: Vec<(Timestamp, Option<Timestamp>)>,
    /// True once something else failed: its waits and its words last longer than the fault.
    had_another_fault: bool,
}

impl Withdrawn {
    /// Notes, before a pass, that the owner consents or that the provider has a fault.
    pub(super) fn note_end(&mut self, world: &Simulation) {
        self.had_another_fault |= world.brokers.values().any(|it| !it.is_well());
        if !self.is_withdrawn(world) {
            self.nobody_looks(world.now);
        }
    }

    /// Notes, after a pass, that the owner does not consent: the time until its end is of before.
    pub(super) fn note_begin(&mut self, world: &Simulation) {
        let lasts = self.times.last().is_some_and(|(_, until)| until.is_none());
        if self.is_withdrawn(world) && !lasts {
            self.times.push((world.now, None));
        }
    }

    fn is_withdrawn(&self, world: &Simulation) -> bool {
        let twin = world.snapshot.twin.as_ref();
        let status = twin.and_then(|twin| twin.status.as_ref());
        let consent = status.and_then(|it| it.registration.as_ref()?.consent.as_ref());
        let has_secrets = world.snapshot.secrets.0.values().all(Result::is_ok);
        has_secrets && !self.had_another_fault && consent.is_some_and(|it| it.withdrawn.is_some())
    }

    /// Notes that a call will fail at something.
    pub(super) fn note_call(&mut self, conduct: &Conduct) {
        self.had_another_fault |= matches!(
            conduct,
            Conduct::Leaves(_) | Conduct::Refuses(..) | Conduct::FallsBack | Conduct::Fails
        );
    }

    /// Ends the time that lasts: what happens without the operator is the provider's.
    pub(super) fn nobody_looks(&mut self, now: Timestamp) {
        if let Some((_, until @ None)) = self.times.last_mut() {
            *until = Some(now);
        }
    }

    /// Checks that none of this time is owed.
    pub(super) fn check(&self, world: &Simulation) {
        for (promise, interval) in owed(world) {
            assert!(
                !self.overlaps(interval, world.now),
                "{interval:?} is owed, and the owner did not consent {self:?}: {promise:#?}\n{}",
                world.story()
            );
        }
    }

    fn overlaps(&self, interval: Interval, now: Timestamp) -> bool {
        self.times
            .iter()
            .map(|(from, until)| (*from, until.unwrap_or(now)))
            // One that ended in its instant has no time.
            .any(|(from, until)| from.max(interval.from) < until.min(interval.until))
    }
}
