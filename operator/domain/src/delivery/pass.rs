//! One pass over a device, without I/O: the next request, the meaning of an answer, the report.
//!
//! The loop that the delivery controller drives, and that the simulation of the tests drives with
//! the same object: [`Pass::next`] returns one action, its [`Answer`] goes to [`Pass::record`],
//! until there is no action left; then [`Pass::finish`], and the reports. It decides in rounds
//! (resolve, verify, plan), and never sends anything itself, reads no clock and makes no random
//! number.

mod acceptance;
pub(in crate::delivery) mod answer;
mod calling;
mod delay;
mod status;

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    v1alpha1::{Device, DeviceStatus, ServiceSubscription, ServiceSubscriptionStatus},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

pub use self::answer::Answer;
use crate::delivery::{
    Action, Backoffs, Blocked, DeviceSnapshot, Observations, Plan, ResolvedDevice, ResolvedItem,
    SavedItem, SubscriptionReport, Verified, leaving,
    model::backoffs::BackoffKey,
    plan::{plan, round::Round},
    report::Report,
    report::device::report_device,
    report::exclusive,
    report::words::{self, Wordy as _},
    resolve::resolve,
    schedule::intent::next_instant,
    verify::verify,
};
use crate::listening::Listened;
use crate::names::SubscriptionName;
use crate::site::at_site;

/// No pass has more rounds than this: steps are few, so more would be a defect of ours.
const MOST_ROUNDS: usize = 24;

/// Interval until the next pass after a defect of ours, when a machine turned out to be another's, or
/// with a Secret that cannot be used: no event reports that the Secret exists, except the probe of
/// its Connection, which may be later.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Interval until the next pass while a value from a Secret is refused: no event reports that the
/// Secret was corrected, and then the value is sent at once. Nothing else is.
const SECRET_MAY_BE_CORRECTED: SignedDuration = SignedDuration::from_mins(10);

/// One pass over one device.
#[derive(Clone, Debug)]
pub struct Pass {
    snapshot: DeviceSnapshot,
    backoffs: Backoffs,
    observations: Observations,
    resolved: ResolvedDevice,
    verified: BTreeMap<SubscriptionName, Verified>,
    plan: Plan,
    /// Instant of the last decision.
    decided: Timestamp,
    /// Number of actions of the plan that were returned.
    given: usize,
    rounds: usize,
    /// True if an answer came since it was last decided.
    news: bool,
    /// True if an answer changed the snapshot since it was last resolved.
    changed: bool,
    /// True if a machine that answered turned out to be another Device's: whether that one keeps it
    /// is known when its pass has ended.
    met_anothers_machine: bool,
    /// Instant of the last resolve, and the next instant at which dates alone change its result.
    resolved_at: Timestamp,
    valid_until: Option<Timestamp>,
    /// Instant until which the words of problems that are still the same stay as they are.
    words_kept_until: Option<Timestamp>,
}

impl Pass {
    /// Begins a pass over a snapshot, with the backoffs of earlier passes. They are dropped if a
    /// person asks for a reconcile, except for the waits that remote sides asked for.
    pub fn new(mut snapshot: DeviceSnapshot, mut backoffs: Backoffs, now: Timestamp) -> Self {
        if snapshot.reconcile_requested {
            backoffs.clear_for(snapshot.open_wishes());
        }
        // The next report is due, in this pass or as soon as the device may be asked.
        for connection in snapshot.notified.keys() {
            backoffs.end(&BackoffKey::status(connection));
        }
        let resolved = resolve_anew(&mut snapshot, now);
        let mut pass = Self {
            snapshot,
            backoffs,
            observations: Observations::default(),
            resolved,
            verified: BTreeMap::new(),
            plan: Plan::default(),
            decided: now,
            given: 0,
            rounds: 0,
            news: false,
            changed: false,
            met_anothers_machine: false,
            resolved_at: now,
            valid_until: None,
            words_kept_until: None,
        };
        pass.valid_until = pass.next_instant(now);
        pass.plan_anew(now);
        pass
    }

    /// Returns the next thing to do. `None`: there is nothing left to do now.
    pub fn next(&mut self, now: Timestamp) -> Option<Action> {
        loop {
            while let Some(action) = self.plan.actions.get(self.given) {
                self.given += 1;
                if !self.is_pending(action, now) {
                    return Some(action.clone());
                }
            }
            // A round without an answer changes nothing, and so ends the pass.
            if !self.news || self.is_endless() {
                return None;
            }
            self.decide(now);
        }
    }

    /// True if it did not come to an end by itself, which is a defect of ours.
    pub fn is_endless(&self) -> bool {
        self.rounds > MOST_ROUNDS
    }

    /// Ends the pass, wherever it is: decides on the last answers, and starts the backoff of items
    /// that did not take effect. `fraction` lies in 0..=1 and spreads the waits.
    pub fn finish(&mut self, now: Timestamp, fraction: f64) {
        if self.news {
            self.decide(now);
        }
        self.back_off_without_effect(now, fraction);
        self.wait_for_checks(now, fraction);
        self.wait_for_reports(now, fraction);
        self.words_kept_until = self.backoffs.keep_words(words::KEPT, now);
    }

    /// Returns the time of the next pass that the answers of this one ask for, apart from the
    /// reports. Called after [`Pass::finish`].
    pub fn wake(&self) -> Option<Timestamp> {
        let looks_again = self.is_endless()
            || self.misses_a_secret()
            || self.waits_for_the_clock()
            || self.met_anothers_machine;
        let again = looks_again
            .then(|| self.decided.checked_add(LOOK_AGAIN).ok())
            .flatten();
        let backoff = self.backoffs.next(self.decided);
        let secret = self
            .is_a_secret_refused()
            .then(|| self.decided.checked_add(SECRET_MAY_BE_CORRECTED).ok());
        [backoff, again, secret.flatten(), self.silence()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns the connection through which the device is listened to until its next pass; none if it is not.
    pub fn listened(&self, now: Timestamp) -> Option<Listened> {
        let round = Round {
            snapshot: &self.snapshot,
            resolved: &self.resolved,
            verified: &self.verified,
            observations: &self.observations,
            backoffs: &self.backoffs,
            now,
        };
        round.listened()
    }

    /// Returns the report of a subscription of this pass, on top of `object`; `None` if it is not
    /// one of this device.
    pub fn report_subscription(
        &self,
        object: &ServiceSubscription,
        now: Timestamp,
    ) -> Option<SubscriptionReport> {
        let mut report = self.report_on(object, now)?.report();
        if let (Some(until), Some(previous)) = (self.words_kept_until, &object.status)
            && report.status.keep_words_of(previous)
        {
            let next = [report.wake_at, Some(until)];
            report.wake_at = next.into_iter().flatten().min();
        }
        Some(report)
    }

    /// Returns the status that [`Action::RecordPrevious`] writes, on top of `object`.
    pub fn record_previous(
        &self,
        object: &ServiceSubscription,
        items: &[SavedItem],
        now: Timestamp,
    ) -> Option<ServiceSubscriptionStatus> {
        Some(self.report_on(object, now)?.with_previous(items))
    }

    /// Returns the status that [`Action::RecordInstance`] writes, on top of `object`: a second
    /// status of all items and conditions would cost the API server as much as the last one.
    pub fn record_instance(
        &self,
        object: &ServiceSubscription,
        now: Timestamp,
    ) -> Option<ServiceSubscriptionStatus> {
        Some(self.report_on(object, now)?.with_instance())
    }

    /// Returns the status that [`Action::TakeOver`] writes, on top of `object`: the instance of the
    /// subscription `from`, and its proofs.
    pub fn take_over(
        &self,
        object: &ServiceSubscription,
        from: &SubscriptionName,
        now: Timestamp,
    ) -> Option<ServiceSubscriptionStatus> {
        Some(self.report_on(object, now)?.with_instance_of(from))
    }

    /// Returns the status of the device that [`Action::Switch`] writes, on top of `object`. It is that
    /// of the object if the holder there is not the one that was decided on.
    pub fn switch(
        &self,
        object: &Device,
        group: &str,
        to: &SubscriptionName,
        now: Timestamp,
    ) -> DeviceStatus {
        exclusive::switch(&self.snapshot, object, (group, to), now)
    }

    fn report_on<'a>(
        &'a self,
        object: &'a ServiceSubscription,
        now: Timestamp,
    ) -> Option<Report<'a>> {
        let name = object.name_any().into();
        Some(Report {
            snapshot: &self.snapshot,
            resolved: &self.resolved,
            subscription: self.resolved.subscription(&name)?,
            verified: self.verified.get(&name)?,
            all_verified: &self.verified,
            plan: &self.plan,
            observations: &self.observations,
            object,
            now,
        })
    }

    /// Returns the report of the device on top of `object` and of the reports of its subscriptions,
    /// and the time of its next reading.
    pub fn report_device(
        &self,
        object: &Device,
        reports: &BTreeMap<SubscriptionName, SubscriptionReport>,
        now: Timestamp,
    ) -> (DeviceStatus, Option<Timestamp>) {
        let object = &*self.snapshot.with_unwritten_pins(object);
        let object = &*at_site(object, self.snapshot.site.as_deref());
        let (mut status, mut next) = report_device(
            &self.snapshot,
            object,
            &self.resolved,
            &self.verified,
            reports,
            &self.observations,
            now,
        );
        if let (Some(until), Some(previous)) = (self.words_kept_until, &object.status)
            && status.keep_words_of(previous)
        {
            next = [next, Some(until)].into_iter().flatten().min();
        }
        (status, next)
    }

    /// Returns the objects that the pass is about, with what changed in them during it.
    pub fn snapshot(&self) -> &DeviceSnapshot {
        &self.snapshot
    }

    /// Returns the wants, as last decided.
    pub fn resolved(&self) -> &ResolvedDevice {
        &self.resolved
    }

    /// Returns the proofs, as last decided.
    pub fn verified(&self) -> &BTreeMap<SubscriptionName, Verified> {
        &self.verified
    }

    /// Returns the plan, as last decided.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the number of rounds so far; each has a plan of its own.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Returns the backoffs, to be kept for the next pass.
    pub fn into_backoffs(self) -> Backoffs {
        self.backoffs
    }

    fn decide(&mut self, now: Timestamp) {
        // Wants follow from the objects and from dates, not from answers.
        let is_due = self.valid_until.is_some_and(|instant| instant <= now);
        if self.changed || is_due || now < self.resolved_at {
            self.resolved = resolve_anew(&mut self.snapshot, now);
            self.resolved_at = now;
            self.valid_until = self.next_instant(now);
            self.changed = false;
        }
        self.plan_anew(now);
    }

    fn next_instant(&self, now: Timestamp) -> Option<Timestamp> {
        let subscriptions = self.snapshot.subscriptions.iter();
        subscriptions
            .filter_map(|subscription| next_instant(subscription, now))
            .min()
    }

    fn plan_anew(&mut self, now: Timestamp) {
        self.observations
            .adopt_instances(&self.snapshot, &self.resolved);
        self.verified = verify(&self.snapshot, &self.resolved, &self.observations, now);
        self.plan = plan(
            &self.snapshot,
            &self.resolved,
            &self.verified,
            &self.observations,
            &self.backoffs,
            now,
        );
        self.decided = now;
        self.given = 0;
        self.news = false;
        self.rounds += 1;
        if self.is_endless() {
            self.stop();
        }
    }

    /// Ends the pass, and reports that in every status: a log alone would be read by nobody.
    fn stop(&mut self) {
        self.plan.actions.clear();
        for subscription in &self.resolved.subscriptions {
            let defect = Blocked::new(
                Reason::InternalError,
                "the operator did not come to an end with the device; report this defect"
                    .to_owned(),
            );
            self.plan.wait(&subscription.name, defect);
        }
    }

    /// True if a device that failed a moment ago would be asked for the rest of the plan.
    fn is_pending(&self, action: &Action, now: Timestamp) -> bool {
        match action {
            Action::ReadDevice { connection, .. }
            | Action::ReadStatus { connection, .. }
            | Action::ShowMessages { connection, .. }
            | Action::WriteDevice { connection, .. }
            | Action::WriteTwin { connection, .. } => {
                let key = BackoffKey::device(connection);
                self.backoffs.is_pending(&key, self.asker(&key), now)
            }
            Action::ReadCatalog { .. }
            | Action::RecordPrevious { .. }
            | Action::RecordInstance { .. }
            | Action::TakeOver { .. }
            | Action::Switch { .. }
            | Action::ReadInstance { .. }
            | Action::Provision { .. }
            | Action::Update { .. }
            | Action::PollOperation { .. }
            | Action::Deprovision { .. } => false,
        }
    }

    /// True if the clock keeps something back: that it is right again is no change of an object, and
    /// the instants that it went past are not waited for any more.
    fn waits_for_the_clock(&self) -> bool {
        self.snapshot.clock_skew.is_some() && !self.snapshot.subscriptions.is_empty()
    }

    /// True if an item whose value is from a Secret met a problem.
    fn is_a_secret_refused(&self) -> bool {
        self.resolved.subscriptions.iter().any(|subscription| {
            let verified = self.verified.get(&subscription.name);
            let met = |item: &ResolvedItem| {
                let proved = verified.and_then(|verified| verified.item(&item.key));
                proved.is_some_and(|proved| proved.problem.is_some())
            };
            let mut items = subscription.items();
            items.any(|(_, item)| item.wanted.is_secret() && met(item))
        })
    }

    fn misses_a_secret(&self) -> bool {
        let connections = self.snapshot.connection_faults.values();
        let parameters = self.snapshot.secrets.0.values();
        let parameters = parameters.filter_map(|read| read.as_ref().err());
        connections.chain(parameters).any(|(reason, _)| {
            matches!(
                reason,
                Reason::SecretNotFound | Reason::SecretKeyMissing | Reason::SecretForbidden
            )
        })
    }
}

/// Returns the wants of every subscription, and of the instances that they leave.
fn resolve_anew(snapshot: &mut DeviceSnapshot, now: Timestamp) -> ResolvedDevice {
    leaving::split(snapshot);
    let resolved = resolve(snapshot, now);
    leaving::assume_in_effect(snapshot, &resolved);
    resolved
}
