//! Report: the status of a subscription, on every path, failures first (K2).
//!
//! Makes conditions, items and promises of everything that was resolved, proved, planned and met.
//! Called once at the end of a pass, and again with the same observations when a write lost a race.

use std::collections::BTreeMap;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Cause, CurrentRevision, Item, ItemState, Promise, ServerOperationState,
        ServerOperationType, ServiceSubscription, ServiceSubscriptionStatus, StepType,
    },
};
use jiff::Timestamp;

use crate::delivery::{
    Blocked, CarriedItem, DeviceSnapshot, Intent, Observations, Plan, ResolvedDevice,
    ResolvedSubscription, Verified, Wanted,
    plan::is_preempted,
    plan::withdraw::{Withdrawal, Withdrawing},
    verify::{VerifiedItem, software::waits_for},
};
use crate::names::SubscriptionName;
use crate::{
    condition::{ConditionSet, Summary, Work, sentence},
    promise,
    reasons::{Class, Side, cause, class, is_a_matter_of_time},
    reconcile_wish::Wish,
};

mod activation;
mod conditions;
pub(super) mod device;
mod drift;
mod errors;
pub(super) mod exclusive;
mod items;
mod leaving;
mod previous;
mod release;
mod released;
mod software;
mod step;
mod succession;
pub(super) mod words;

/// Report of one subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionReport {
    /// Its new status.
    pub status: ServiceSubscriptionStatus,
    /// True if nothing needs the finalizer any more, so that it may be removed.
    pub finalizer_may_go: bool,
    /// The next instant at which something changes by time alone.
    pub wake_at: Option<Timestamp>,
    /// Number of attempts at each item for which the object has a smaller one, whose status may never
    /// be written.
    pub unsaid_attempts: BTreeMap<CarriedItem, i32>,
}

/// Inputs of the report of one subscription.
pub(super) struct Report<'a> {
    pub(super) snapshot: &'a DeviceSnapshot,
    pub(super) resolved: &'a ResolvedDevice,
    pub(super) subscription: &'a ResolvedSubscription,
    pub(super) verified: &'a Verified,
    /// The proofs of all subscriptions of the device.
    pub(super) all_verified: &'a BTreeMap<SubscriptionName, Verified>,
    pub(super) plan: &'a Plan,
    pub(super) observations: &'a Observations,
    pub(super) object: &'a ServiceSubscription,
    pub(super) now: Timestamp,
}

impl Report<'_> {
    /// Returns the status with the instance alone, as written before a first provision, and when an
    /// instance is gone that makes room for another. All else follows with the report, except that
    /// a status without conditions gets Reconciling.
    pub(super) fn with_instance(&self) -> ServiceSubscriptionStatus {
        let withdrawal = self.withdrawing_of().state();
        let mut status = self.begun_status();
        match &self.subscription.exchange {
            Some(exchange) => self.exchange(exchange, &mut status),
            None => status.server = self.server_to_name(&withdrawal),
        }
        status
    }

    /// Returns the status as it is, with Reconciling if it says nothing yet.
    fn begun_status(&self) -> ServiceSubscriptionStatus {
        let mut status = self.object.status.clone().unwrap_or_default();
        if status.conditions.is_empty() {
            let set = ConditionSet::new(&[], self.generation(), self.now);
            let summary = Summary::open(Reason::Progressing, self.progress(), Work::Progressing);
            status.conditions = summary.state(set).finish();
        }
        status
    }

    /// Returns the subscription as one of which something may have to be taken back.
    fn withdrawing_of(&self) -> Withdrawing<'_> {
        Withdrawing {
            snapshot: self.snapshot,
            resolved: self.resolved,
            subscription: self.subscription,
            verified: self.verified,
            observations: self.observations,
            now: self.now,
        }
    }

    /// Returns the report of the subscription.
    pub(super) fn report(&self) -> SubscriptionReport {
        let previous = self.object.status.clone().unwrap_or_default();
        let withdrawal = self.withdrawing_of().state();
        let blocked = self.blocked();
        let blocking = self.blocking(blocked.as_ref());
        let mut promises = promise::judge(
            self.object,
            &self.snapshot.circumstances(self.object),
            &promise::Look {
                completed_at: self.completed_at(),
                heard_from: self.observations.heard_from().unwrap_or(self.now),
                blocking: (blocking.0, blocking.1.as_str()),
                now: self.now,
            },
        );
        self.add_proof(&mut promises, &previous.promises);
        let delivery = self.summary(blocked.as_ref(), &withdrawal);
        let is_stalled = delivery.work() == Work::Stalled;
        let debt = self.debt(&promises).filter(|_| !is_stalled);
        let ready = debt.as_ref().unwrap_or(&delivery);
        let activation = self.activation(previous.activation.as_ref());
        let mut status = ServiceSubscriptionStatus {
            observed_generation: ready
                .observed_generation(self.generation(), previous.observed_generation),
            conditions: self.conditions(
                &previous.conditions,
                (ready, &delivery),
                (activation.as_ref(), blocked.as_ref()),
            ),
            revision: self.revision(&previous),
            step: self.step(),
            step_since: self.step_since(),
            step_timed_out: blocked
                .as_ref()
                .is_some_and(|blocked| blocked.reason == Reason::StepTimedOut),
            ended: (self.withdraws() && !self.awaits_the_other())
                .then(|| previous.ended.unwrap_or(self.now)),
            unattended: self.is_unattended(),
            evidence: self.evidence(&previous),
            items: self.items(&previous, &withdrawal),
            server: self.server(&withdrawal),
            leaving: self.leaving(),
            activation,
            promises,
            last_handled_reconcile_at: self.handled_wish(&previous),
        };
        let heard = self.observations.of(&self.subscription.name);
        let counted = status.items.clone();
        keep_counters_of_an_equal_status(&mut status, &previous, heard.was_fetched());
        SubscriptionReport {
            unsaid_attempts: unsaid_attempts(&counted, &previous.items),
            finalizer_may_go: self.finalizer_may_go(&status, &withdrawal),
            wake_at: self.wake_at(&status, is_stalled),
            status,
        }
    }

    /// Returns the wish of its contract that was done: that of the snapshot, if the device was looked
    /// at since. One that did not answer was, too.
    fn handled_wish(&self, previous: &ServiceSubscriptionStatus) -> Option<Wish> {
        let done = self.observations.last_look();
        let done = done.and_then(|_| self.snapshot.wish_for(self.object));
        done.or(previous.last_handled_reconcile_at.as_ref())
            .cloned()
    }

    /// Returns the generation that the pass decided on. The object may have got another spec since, of
    /// which this report says nothing.
    fn generation(&self) -> Option<i64> {
        let decided = self.snapshot.subscription(&self.subscription.name);
        decided.map_or(self.object.metadata.generation, |it| it.metadata.generation)
    }

    /// Returns the summary of a debt that only a person can make recordable. Delivery goes on all the
    /// same.
    fn debt(&self, promises: &[Promise]) -> Option<Summary> {
        let records = &self.snapshot.compensations;
        let taken = promise::taken_name(self.object, promises, records)?;
        let reason = Reason::CompensationNameTaken;
        Some(Summary::open(reason, taken.in_words(), Work::Stalled))
    }

    /// Adds the weakest proof of its items to each promise that this report completes.
    fn add_proof(&self, promises: &mut [Promise], previous: &[Promise]) {
        let weakest = self.verified.items.iter().find_map(|item| item.proof);
        for promise in promises.iter_mut().filter(|it| it.completed.is_some()) {
            let mut before = previous.iter();
            let before = before.find(|before| before.effective == promise.effective);
            if before.is_none_or(|before| before.completed.is_none()) {
                promise.proof = weakest;
            }
        }
    }

    /// Returns the revision that has begun; one that lies ahead has not, even while it is prepared.
    fn revision(&self, previous: &ServiceSubscriptionStatus) -> Option<CurrentRevision> {
        let begun =
            self.subscription
                .revision
                .as_ref()
                .filter(|revision| match self.subscription.intent {
                    Intent::SetUp => true,
                    Intent::Suspended => {
                        revision.effective <= self.now && self.snapshot.clock_skew.is_none()
                    }
                    _ => false,
                });
        begun.or(previous.revision.as_ref()).cloned()
    }

    fn withdraws(&self) -> bool {
        let intent = &self.subscription.intent;
        matches!(intent, Intent::Withdraw { .. } | Intent::Detach)
    }

    fn is_unattended(&self) -> bool {
        let refused = self.subscription.refused.as_ref();
        self.withdraws()
            || self.subscription.intent == Intent::Suspended
            || refused.is_some_and(is_preempted)
    }

    fn in_force(&self) -> bool {
        matches!(self.subscription.intent, Intent::SetUp)
    }

    fn completed_at(&self) -> Option<Timestamp> {
        let proves = matches!(self.subscription.intent, Intent::SetUp | Intent::Suspended);
        let is_in_doubt = self.verified.another_machine.is_some() || self.subscription.comes();
        if !proves || is_in_doubt || self.subscription.refused.is_some() {
            return None;
        }
        if self.subscription.is_off() {
            return None;
        }
        let switched_on = self.subscription.switched_on;
        let completed = match self.verified.completed_at() {
            Some(at) => Some(at),
            // A service that wants nothing is complete from its instant, or from its first data on.
            None if self.verified.required().next().is_none() => self
                .subscription
                .revision
                .as_ref()
                .map(|revision| revision.effective),
            None => None,
        }?;
        Some(switched_on.map_or(completed, |on| on.max(completed)))
    }

    /// Returns the obstacle to the subscription, most important first.
    fn blocked(&self) -> Option<Blocked> {
        if let Some(refused) = &self.subscription.refused {
            return Some(refused.clone());
        }
        self.timed_out(self.met())
            .or_else(|| self.another_machine())
    }

    /// Returns the obstacle to a subscription whose every item was proved, while another machine is in
    /// place of its device: somebody else answers, wherever the items are.
    fn another_machine(&self) -> Option<Blocked> {
        let fault = self.verified.another_machine.clone();
        fault.filter(|_| self.in_force()).map(|fault| Blocked {
            side: Some(Side::Device),
            ..fault
        })
    }

    /// Returns the obstacle to the first step that is not done.
    fn met(&self) -> Option<Blocked> {
        let problem = self.pending_item().and_then(|item| item.problem.as_ref());
        let wait = self.plan.waits.get(&self.subscription.name);
        match (wait, problem) {
            (Some(wait), None) => Some(wait.clone()),
            (Some(wait), Some(_)) if says_more_than_a_problem(wait.reason) => Some(wait.clone()),
            (wait, Some(problem)) => Some(Blocked {
                reason: problem.outcome,
                message: problem.message.to_string(),
                until: wait.and_then(|wait| wait.until),
                side: self.step_of_work().map(side_of),
            }),
            (None, None) => self.waiting_item(),
        }
    }

    /// Returns the first item with a problem in the first step that is not done, else its first
    /// item.
    fn pending_item(&self) -> Option<&VerifiedItem> {
        let step = self.step_of_work()?;
        let mut pending = self
            .verified
            .of_step(step)
            .filter(|item| !item.is_done())
            .peekable();
        let first = pending.peek().copied();
        let stalled = |item: &&VerifiedItem| {
            item.problem
                .as_ref()
                .is_some_and(|p| class(p.outcome) == Class::Stalled)
        };
        let all: Vec<&VerifiedItem> = pending.collect();
        all.iter()
            .copied()
            .find(stalled)
            .or_else(|| all.iter().copied().find(|item| item.problem.is_some()))
            .or(first)
    }

    fn waiting_item(&self) -> Option<Blocked> {
        let item = self.pending_item()?;
        let (reason, message) = match item.state {
            ItemState::AwaitingRestart | ItemState::InProgress if is_of_software(item.step) => {
                let reason = if item.state == ItemState::AwaitingRestart {
                    Reason::AwaitingRestart
                } else {
                    Reason::WaitingForDevice
                };
                (reason, self.waits_for_software(item)?)
            }
            ItemState::AwaitingRestart => (
                Reason::AwaitingRestart,
                format!("{} takes effect after a restart of the device", item.key),
            ),
            ItemState::InProgress if item.step == StepType::Acceptance => (
                Reason::AwaitingAcceptance,
                format!(
                    "everything is in effect; the device does not report {} as wanted yet",
                    item.key
                ),
            ),
            ItemState::InProgress if side_of(item.step) == Side::Device => (
                Reason::WaitingForDevice,
                format!("{} waits for a {} of the device", item.key, self.news(item)),
            ),
            ItemState::InProgress => (
                Reason::OperationRunning,
                "an operation of the service server is under way".to_owned(),
            ),
            _ => return None,
        };
        Some(Blocked::new(reason, message))
    }

    /// Returns the event that will tell of an item on a device that fetches what it is asked for.
    fn news(&self, item: &VerifiedItem) -> &'static str {
        let mut items = self.subscription.items();
        let found = items.find(|(_, wanted)| wanted.key == item.key);
        match found.map(|(_, wanted)| &wanted.wanted) {
            Some(Wanted::DeviceSetting { place, .. }) => place.news(),
            _ => "call",
        }
    }

    /// Returns the sentence for an installation that waits for the device.
    fn waits_for_software(&self, item: &VerifiedItem) -> Option<String> {
        let mut items = self.subscription.items();
        let (_, wanted) = items.find(|(_, wanted)| wanted.key == item.key)?;
        let Wanted::Software { connection, .. } = &wanted.wanted else {
            return None;
        };
        let reading = self.observations.through(connection).reading.as_ref();
        let reading = reading.and_then(|reading| reading.result.as_ref().ok());
        Some(reading.map_or_else(
            || format!("{} waits for a call of the device", item.key),
            |reading| waits_for(reading, wanted),
        ))
    }

    fn blocking(&self, blocked: Option<&Blocked>) -> (Cause, String) {
        if self.subscription.intent == Intent::Suspended {
            return (Cause::Customer, Reason::Suspended.as_str().to_owned());
        }
        let of_step = || self.step_of_work().map_or(Side::Device, side_of);
        let side = blocked
            .and_then(|blocked| blocked.side)
            .unwrap_or_else(of_step);
        let reason = blocked.map_or(Reason::Progressing, |blocked| blocked.reason);
        (cause(reason, side), reason.as_str().to_owned())
    }

    fn summary(&self, blocked: Option<&Blocked>, withdrawal: &Withdrawal) -> Summary {
        match (&self.subscription.intent, blocked) {
            (
                Intent::Withdraw {
                    deleting: false, ..
                },
                _,
            ) if *withdrawal == Withdrawal::Released => Summary::done(Reason::Ended, self.ended()),
            (
                Intent::Withdraw {
                    deleting: false, ..
                },
                _,
            ) if *withdrawal == Withdrawal::Abandoned && self.is_taken_over() => {
                let message = "The service has ended; its instance is an orphan of the Connection.";
                Summary::done(Reason::Ended, message)
            }
            (Intent::Withdraw { .. } | Intent::Detach, _) => self.withdrawing(withdrawal),
            (Intent::Suspended, _) => Summary::done(
                Reason::Suspended,
                "Suspended; nothing is sent until suspend is false.",
            ),
            (Intent::Scheduled { .. }, None) => {
                Summary::done(Reason::Scheduled, "Accepted; work begins at the start.")
            }
            // The start does not depend on it yet: it is retried until then.
            (Intent::Scheduled { .. }, Some(blocked)) if is_of_the_moment(blocked.reason) => {
                Summary::done(Reason::Scheduled, "Accepted; work begins at the start.")
            }
            (Intent::SetUp, blocked) if self.is_handing_over(blocked) => self.handing_over(blocked),
            (Intent::SetUp, None) if self.completed_at().is_some() => Summary::done(
                Reason::Delivered,
                "Every required item was read back as wanted.",
            ),
            (Intent::SetUp, None) if self.is_delivered_but_for_drift() => {
                Summary::done(Reason::Drifted, self.drifted())
            }
            (_, None) => Summary::open(Reason::Progressing, self.progress(), Work::Progressing),
            (_, Some(blocked)) => failing(blocked),
        }
    }

    /// True if all that has to be in effect is, or is left as somebody has changed it.
    fn is_delivered_but_for_drift(&self) -> bool {
        let is_held_back = self.subscription.is_off() || self.subscription.comes();
        let mut required = self.verified.required();
        !is_held_back
            && self.verified.drifted().next().is_some()
            && required.all(VerifiedItem::is_done)
    }

    /// Returns the sentence about settings that are left as somebody has changed them.
    fn drifted(&self) -> String {
        words::drifted(self.verified.drifted())
    }

    fn progress(&self) -> String {
        self.step_of_work().map_or_else(
            || "Work is under way.".to_owned(),
            |step| format!("The step {step:?} is under way."),
        )
    }

    fn withdrawing(&self, withdrawal: &Withdrawal) -> Summary {
        let wait = self.plan.waits.get(&self.subscription.name);
        let message = match (withdrawal, wait) {
            (Withdrawal::Abandoned, _) => "The withdrawal was given up; the Connection takes the \
                                           instance into its list of orphans."
                .to_owned(),
            (_, Some(wait)) => format!("Withdrawing; waits: {}.", wait.message),
            (Withdrawal::Released, None) => {
                "Withdrawn; waits for what is owed to be recorded.".to_owned()
            }
            (Withdrawal::UnderWay, None)
                if self.withdrawing_of().of_server() != Withdrawal::UnderWay =>
            {
                "Settings of the device are put back as they were before the service.".to_owned()
            }
            (Withdrawal::UnderWay, None) => "Withdrawing from the service server.".to_owned(),
        };
        let work = if wait.is_some() {
            Work::Retrying
        } else {
            Work::Progressing
        };
        Summary::open(Reason::Withdrawing, message, work)
    }
}

/// True if a reason is something that remote sides and dates bring and take, and that does not
/// speak against a start that lies ahead.
fn is_of_the_moment(reason: Reason) -> bool {
    let missing = ConditionType::ResolvedRefs.reasons().contains(&reason);
    class(reason) == Class::Reconciling && !missing && reason != Reason::ClockSkew
}

fn failing(blocked: &Blocked) -> Summary {
    let message = sentence(&blocked.message);
    Summary::open(blocked.reason, message, Work::of(blocked.reason))
}

/// True if a step installs software.
fn is_of_software(step: StepType) -> bool {
    matches!(step, StepType::Firmware | StepType::Applications)
}

/// Returns the side on which a step runs.
fn side_of(step: StepType) -> Side {
    match step {
        StepType::Firmware
        | StepType::Applications
        | StepType::DeviceSettings
        | StepType::DataTypes
        | StepType::Acceptance => Side::Device,
        StepType::ServerSettings | StepType::Activation => Side::Server,
    }
}

/// True if a wait is no attempt at the item, whose problem would say it itself: a conflict, another
/// machine, the clock.
fn says_more_than_a_problem(wait: Reason) -> bool {
    !Reason::OF_AN_ATTEMPT.contains(&wait) && !is_a_matter_of_time(wait)
}

/// Returns the attempts that were counted and that the items of a status do not say.
fn unsaid_attempts(counted: &[Item], said: &[Item]) -> BTreeMap<CarriedItem, i32> {
    let unsaid = counted.iter().filter_map(|item| {
        let same =
            |said: &&Item| said.key == item.key && said.desired_digest == item.desired_digest;
        let said = said.iter().find(same).and_then(|said| said.attempts);
        let attempts = item.attempts.filter(|attempts| Some(*attempts) > said)?;
        let key = item.key.clone();
        let digest = item.desired_digest?;
        Some((CarriedItem { key, digest }, attempts))
    });
    unsaid.collect()
}

/// Keeps the counters of a retry that met the same problem again: they alone are no reason for a
/// write. The instant of an update in doubt is one of them, where the next reading settles it.
fn keep_counters_of_an_equal_status(
    status: &mut ServiceSubscriptionStatus,
    previous: &ServiceSubscriptionStatus,
    was_fetched: bool,
) {
    let without_counters = |status: &ServiceSubscriptionStatus| {
        let mut status = status.clone();
        for item in &mut status.items {
            item.attempts = None;
            item.last_sent = None;
        }
        let server = status.server.as_mut();
        let operation = server.and_then(|server| server.operation.as_mut());
        if let Some(operation) = operation
            && was_fetched
            && operation.state == ServerOperationState::InDoubt
            && operation.r#type == ServerOperationType::Update
        {
            operation.since = Timestamp::UNIX_EPOCH;
        }
        status
    };
    if without_counters(status) == without_counters(previous) {
        status.items.clone_from(&previous.items);
        status.server.clone_from(&previous.server);
    }
}
