//! Plan: the next actions on the device and on the service servers, with no choices left.
//!
//! One round of a pass: the first step of every subscription that is not Effective. A side that was
//! not read is read first; only differences are sent; each wait has its reason. Called after verify
//! in every round; the pass ends when there is no action.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    v1alpha1::{StepType, SyncResult},
};
use jiff::Timestamp;

use crate::clocks::later_clock;
use crate::delivery::{
    Action, Backoffs, Blocked, DeviceSnapshot, Intent, Observations, Plan, ResolvedConnection,
    ResolvedDevice, ResolvedStep, ResolvedSubscription, Verified, claim,
    observations::record::may_exist, verify::identity,
};
use crate::names::{ConnectionName, SubscriptionName};
use crate::unreadable::Referent;

mod acceptance;
mod calling;
mod catalog;
mod data_types;
mod device;
mod instance;
mod previous;
pub(super) mod round;
pub(super) mod software;
mod status;
pub(super) mod succession;
pub(super) mod sync;
pub(super) mod turns;
pub(super) mod withdraw;

use self::round::Round;

/// Returns the next actions.
pub(super) fn plan(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    verified: &BTreeMap<SubscriptionName, Verified>,
    observations: &Observations,
    backoffs: &Backoffs,
    now: Timestamp,
) -> Plan {
    let round = Round {
        snapshot,
        resolved,
        verified,
        observations,
        backoffs,
        now,
    };
    let mut plan = Plan::default();
    succession::hand_over(&round, &mut plan);
    if !plan.actions.is_empty() {
        return plan;
    }
    for connection in &resolved.connections {
        if round.device_read_is_due(connection) {
            round.read_device(&connection.name, &mut plan);
        }
    }
    round.report_status(&mut plan);
    // Set-up runs before withdrawal (api section 12).
    for subscription in resolved
        .subscriptions
        .iter()
        .filter(|entry| entry.wants_set_up())
    {
        round.set_up(subscription, &mut plan);
    }
    for subscription in &resolved.subscriptions {
        match &subscription.intent {
            Intent::Withdraw { .. } => withdraw::withdraw(&round, subscription, &mut plan),
            // A subscription that has no precedence keeps nothing active, and sends no request if
            // there is no instance.
            Intent::SetUp
                if subscription.refused.as_ref().is_some_and(is_preempted)
                    && (observations.of(&subscription.name).removed.is_some()
                        || observations
                            .of(&subscription.name)
                            .recorded
                            .as_ref()
                            .is_some_and(may_exist)) =>
            {
                withdraw::withdraw(&round, subscription, &mut plan);
            }
            _ => {}
        }
    }
    // A value that several services want is written once each of them has kept the one that is there.
    let keeps = |action: &Action| matches!(action, Action::RecordPrevious { .. });
    if plan.actions.iter().any(keeps) {
        let overwrites = |action: &Action| matches!(action, Action::WriteDevice { .. });
        plan.actions.retain(|action| !overwrites(action));
    }
    calling::write_twins(&round, &mut plan);
    plan
}

/// True if a plan reads the device through a connection.
fn action_reads(plan: &Plan, connection: &ConnectionName) -> bool {
    let mut actions = plan.actions.iter();
    actions.any(
        |action| matches!(action, Action::ReadDevice { connection: read, .. } if read == connection),
    )
}

/// True if a subscription that is refused for this reason must not stay active (api section 12).
pub(super) fn is_preempted(refused: &Blocked) -> bool {
    refused.reason == Reason::ConflictingContract
}

impl Round<'_> {
    /// True if the device has to be read although nothing is pending: it was never read, its last
    /// reading failed or was of another machine, its claim is not proved yet, it has notified us of a
    /// changed setting, or the sync period is over.
    ///
    /// A machine that another Device has is left alone: it is never asked at an endpoint that the
    /// other one has proved, and elsewhere once in each sync period, since only an answer tells
    /// whether another machine has come there.
    fn device_read_is_due(&self, connection: &ResolvedConnection) -> bool {
        let Some(device) = &self.snapshot.device else {
            return false;
        };
        let name = &connection.name;
        // What is learnt of a Device whose newest version cannot be read cannot be written.
        let unreadable = &self.snapshot.unreadable;
        if device.spec.suspend
            || connection.endpoint.is_err()
            || unreadable.contains(Referent::Device, &self.snapshot.device_name)
            || self.snapshot.proved_by_others.contains(name)
            || self.observations.through(name).reading.is_some()
        {
            return false;
        }
        if self.observations.status.is_strange(name) {
            return true;
        }
        let silent = device
            .status
            .as_ref()
            .and_then(|status| status.last_sync.as_ref())
            .is_some_and(|last| last.result == SyncResult::NoAnswer);
        let is_witness = identity::witness(device) == Some(name);
        let unproved = self.snapshot.model.is_some()
            && if is_witness {
                claim::is_unproved(device)
            } else {
                identity::remembered(device, name).is_none()
            };
        let failed = identity::remembered_fault(device, name).is_some();
        // Nothing is sent to a device that calls: its twin is in memory.
        if connection.is_called() {
            return true;
        }
        let is_free = self.snapshot.claimed_by_another.is_empty();
        let may_differ = self.snapshot.has_notified_of_settings(name);
        is_free && (silent || unproved || failed || may_differ) || self.sync_is_due(device)
    }

    fn set_up(&self, subscription: &ResolvedSubscription, plan: &mut Plan) {
        if let Some(refused) = &subscription.refused {
            plan.wait(&subscription.name, refused.clone());
            return;
        }
        if let Some(wait) = succession::awaited(self, subscription) {
            plan.wait(&subscription.name, wait);
            return;
        }
        if turns::exchange(self, subscription, plan) {
            return;
        }
        let mut server = subscription.server.iter();
        let is_obsolete = server.any(|server| server.is_obsolete);
        if is_obsolete && subscription.intent == Intent::SetUp && !subscription.serves_on() {
            withdraw::remove(self, subscription, plan);
        }
        if let Some(server) = &subscription.server
            && server.offering.is_none()
            && !self.read_missing_catalog(subscription, server, plan)
        {
            return;
        }
        let Some(verified) = self.verified.get(&subscription.name) else {
            return;
        };
        for step in &subscription.steps {
            if turns::is_after_the_switch(subscription, step.r#type) {
                break;
            }
            if step.r#type == StepType::Acceptance && subscription.is_off() {
                break;
            }
            let effective = turns::is_done(subscription, step, verified);
            if !verified.requires(step.r#type) {
                self.ask_for_data(subscription, step, verified, plan);
                continue;
            }
            if effective && !self.server_sync_is_due(subscription, step) {
                continue;
            }
            if !effective && let Some(wait) = self.too_early(subscription, step) {
                plan.wait(&subscription.name, wait);
                return;
            }
            self.work_on(subscription, step, verified, plan);
            if !effective {
                return;
            }
        }
        if let Some(off) = subscription.off() {
            plan.wait(&subscription.name, off);
            return;
        }
        turns::switch(self, subscription, plan);
    }

    /// Plans the next actions of a step.
    fn work_on(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        match step.r#type {
            StepType::Firmware | StepType::Applications => {
                self.software_step(subscription, step, verified, plan);
            }
            StepType::DeviceSettings => self.device_step(subscription, step, verified, plan),
            StepType::ServerSettings | StepType::Activation => {
                self.server_step(subscription, step, verified, plan);
            }
            StepType::Acceptance => self.acceptance_step(subscription, step, verified, plan),
            StepType::DataTypes => self.data_step(subscription, step, verified, plan),
        }
    }

    /// Returns the wait if it is too early for a request: none on behalf of a subscription leaves
    /// before its instant, except for early steps.
    fn too_early(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
    ) -> Option<Blocked> {
        let Intent::Scheduled {
            effective,
            early_from,
        } = subscription.intent
        else {
            return None;
        };
        let begins = match early_from {
            Some(from) if step.early => from,
            _ => effective,
        };
        let skew = self.snapshot.clock_skew;
        if skew.is_some() && begins <= later_clock(self.now, skew) {
            return Some(clock_skew());
        }
        (begins > self.now).then(|| {
            Blocked::until(
                Reason::NotStarted,
                "the start lies ahead".to_owned(),
                begins,
            )
        })
    }
}

fn clock_skew() -> Blocked {
    Blocked::new(
        Reason::ClockSkew,
        "the local clock and that of the API server differ by more than 5 seconds; set the clock \
         of the operator's node"
            .to_owned(),
    )
}
