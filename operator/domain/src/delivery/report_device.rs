//! Report: the status of a device, from what was heard of it and from its subscriptions.
//!
//! Ready does not depend on Online when nothing is pending (api section 4).

use std::collections::BTreeMap;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Device, DeviceClaim, DeviceIdentity, DeviceStatus, ItemState, LastSync, StepType,
        SubscriptionCounts, SyncResult,
    },
};
use jiff::Timestamp;

use super::{
    Facts, ResolvedDevice, SubscriptionReport, Verified, World,
    blocked::Blocked,
    claim::{self, claim_digest, next_claim},
    identity::{identity_fault, pinned_identity, reported_fault, reported_not_allowed},
    report::sentence,
    resolved::{Intent, ResolvedSubscription},
    sync::{next_sync, reconcile_wish, sync_period},
};
use crate::{
    assessment::{Class, class, reason},
    catalogue::RESOLVED,
    condition::{ConditionSet, Status, Summary, Work, find, is_true},
    exchange::{DeviceReading, FailureKind},
};

/// A sync instant younger than this part of the period is not written again on its own.
const FRESH: i32 = 2;

/// What is said of the device, and when it is next due for a reading.
pub(super) fn report_device(
    world: &World,
    device: &Device,
    resolved: &ResolvedDevice,
    verified: &BTreeMap<String, Verified>,
    reports: &BTreeMap<String, SubscriptionReport>,
    facts: &Facts,
    now: Timestamp,
) -> (DeviceStatus, Option<Timestamp>) {
    let report = Report {
        world,
        resolved,
        verified,
        reports,
        facts,
        device,
        now,
    };
    let status = report.report();
    let next = next_sync(world, device, Some(&status));
    (status, next)
}

struct Report<'a> {
    world: &'a World,
    resolved: &'a ResolvedDevice,
    verified: &'a BTreeMap<String, Verified>,
    reports: &'a BTreeMap<String, SubscriptionReport>,
    facts: &'a Facts,
    device: &'a Device,
    now: Timestamp,
}

impl Report<'_> {
    fn report(&self) -> DeviceStatus {
        let previous = self.device.status.clone().unwrap_or_default();
        let summary = self.summary();
        DeviceStatus {
            observed_generation: summary.observed_generation(
                self.device.metadata.generation,
                previous.observed_generation,
            ),
            conditions: self.conditions(&previous, &summary),
            identity: self.identity(&previous),
            claim: self.claim(),
            subscriptions: Some(self.counts()),
            last_sync: self.last_sync(&previous),
            last_handled_reconcile_at: if self.facts.device.is_some() {
                reconcile_wish(self.device)
            } else {
                previous.last_handled_reconcile_at
            },
        }
    }

    fn identity_fault(&self) -> Option<Blocked> {
        match &self.facts.device {
            Some(reading) if reading.result.is_ok() => {
                identity_fault(self.world, self.device, self.facts)
            }
            // Nobody looked again.
            _ => reported_fault(self.device),
        }
    }

    fn unusable(&self) -> Option<Blocked> {
        self.resolved
            .endpoint
            .as_ref()
            .err()
            .cloned()
            .or_else(|| self.claimed())
            .or_else(|| self.model_missing())
            .or_else(|| self.identity_fault())
            .or_else(|| self.address_not_allowed())
    }

    fn claimed(&self) -> Option<Blocked> {
        self.world.claimed_by_another.then(|| {
            Blocked::new(
                Reason::AlreadyClaimed,
                "another Device has this address or this identity; correct spec.address".to_owned(),
            )
        })
    }

    /// The address lies outside the networks of the Connection: that holds until it is tried anew.
    fn address_not_allowed(&self) -> Option<Blocked> {
        let Some(reading) = &self.facts.device else {
            return reported_not_allowed(self.device);
        };
        let failure = reading.result.as_ref().err()?;
        (failure.kind == FailureKind::AddressNotAllowed)
            .then(|| Blocked::new(Reason::NotAllowed, failure.message.clone()))
    }

    fn model_missing(&self) -> Option<Blocked> {
        self.world.model.is_none().then(|| {
            Blocked::new(
                Reason::ModelNotFound,
                format!(
                    "the DeviceModel {} does not exist; create it",
                    self.device.spec.model_ref.name
                ),
            )
        })
    }

    fn summary(&self) -> Summary {
        if self.device.spec.suspend {
            let message = "Suspended; nothing is sent until suspend is false.";
            return Summary::done(Reason::Suspended, message);
        }
        if let Some(fault) = self.unusable() {
            let work = match class(fault.reason) {
                Class::Stalled => Work::Stalled,
                Class::Reconciling => Work::Retrying,
            };
            return Summary::open(fault.reason, sentence(&fault.message), work);
        }
        let pending: Vec<&str> = self
            .in_force()
            .filter(|subscription| !self.is_delivered(&subscription.name))
            .map(|subscription| subscription.name.as_str())
            .collect();
        if pending.is_empty() {
            let message = "Everything that is wanted on the device is in effect.";
            return Summary::done(Reason::Succeeded, message);
        }
        let failed = match &self.facts.device {
            Some(reading) => reading.result.is_err(),
            None => self.device.status.as_ref().is_some_and(|status| {
                find(&status.conditions, ConditionType::Online)
                    .is_some_and(|online| online.status == Status::False.as_str())
            }),
        };
        let (reason, work) = if failed {
            (Reason::ProgressingWithRetry, Work::Retrying)
        } else {
            (Reason::Progressing, Work::Progressing)
        };
        let message = format!("Not delivered yet: {}.", pending.join(", "));
        Summary::open(reason, message, work)
    }

    fn in_force(&self) -> impl Iterator<Item = &ResolvedSubscription> {
        self.resolved
            .subscriptions
            .iter()
            .filter(|subscription| matches!(subscription.intent, Intent::SetUp))
    }

    fn is_delivered(&self, name: &str) -> bool {
        self.reports
            .get(name)
            .is_some_and(|report| is_true(&report.status.conditions, ConditionType::Delivered))
    }

    fn conditions(
        &self,
        previous: &DeviceStatus,
        summary: &Summary,
    ) -> Vec<entente_crds::v1alpha1::Condition> {
        let generation = self.device.metadata.generation;
        let set = ConditionSet::new(&previous.conditions, generation, self.now);
        let mut set = summary.state(set);
        set = self.accepted_and_resolved(set);
        set = self.online(set, previous);
        self.settings_applied(set).finish()
    }

    fn accepted_and_resolved(&self, set: ConditionSet) -> ConditionSet {
        let fault = self.unusable();
        let of = |condition: ConditionType| {
            fault
                .as_ref()
                .filter(|fault| condition.reasons().contains(&fault.reason))
                .map(|fault| (fault.reason, sentence(&fault.message)))
        };
        let accepted = (Reason::Valid, "The device is valid and claimed.");
        set.with_fault(
            ConditionType::Accepted,
            of(ConditionType::Accepted),
            accepted,
        )
        .with_fault(
            ConditionType::ResolvedRefs,
            of(ConditionType::ResolvedRefs),
            RESOLVED,
        )
    }

    fn online(&self, set: ConditionSet, previous: &DeviceStatus) -> ConditionSet {
        match &self.facts.device {
            Some(reading) => match &reading.result {
                Ok(_) => set.with(
                    ConditionType::Online,
                    Status::True,
                    Reason::Answered,
                    "The device answered when it was last asked.",
                ),
                Err(failure) => {
                    let reason = reason(failure.kind);
                    let known = ConditionType::Online.reasons().contains(&reason);
                    set.with(
                        ConditionType::Online,
                        Status::False,
                        if known { reason } else { Reason::Unreachable },
                        sentence(&failure.message),
                    )
                }
            },
            None if find(&previous.conditions, ConditionType::Online).is_some() => {
                set.keep(ConditionType::Online)
            }
            None => set.with(
                ConditionType::Online,
                Status::Unknown,
                Reason::NeverSeen,
                "The device was not asked yet.",
            ),
        }
    }

    fn settings_applied(&self, set: ConditionSet) -> ConditionSet {
        let condition = ConditionType::SettingsApplied;
        if let Some(fault) = self.unusable() {
            return set.with(
                condition,
                Status::False,
                fault.reason,
                sentence(&fault.message),
            );
        }
        let items: Vec<_> = self
            .in_force()
            .filter_map(|subscription| self.verified.get(&subscription.name))
            .flat_map(|verified| verified.of_step(StepType::DeviceSettings))
            .collect();
        if items.is_empty() {
            return set.with(
                condition,
                Status::True,
                Reason::NothingWanted,
                "No service in force asks for a setting.",
            );
        }
        let open = items
            .iter()
            .filter(|item| item.state != ItemState::Effective);
        let worst = open
            .clone()
            .find(|item| item.problem.is_some())
            .or_else(|| open.clone().next());
        match worst {
            None => set.with(
                condition,
                Status::True,
                Reason::Succeeded,
                "Every setting was read back as wanted.",
            ),
            Some(item) => match &item.problem {
                Some(problem) => set.with(
                    condition,
                    Status::False,
                    problem.outcome,
                    sentence(&problem.message),
                ),
                None => set.with(
                    condition,
                    Status::False,
                    Reason::Progressing,
                    "Settings are being sent and read back.",
                ),
            },
        }
    }

    /// What the machine said, where it answered as the one that is meant. An object that was edited
    /// meanwhile may mean another one.
    fn said(&self) -> Option<&DeviceReading> {
        let asked = self.world.device.as_deref().and_then(claim_digest);
        let reading = self.facts.device.as_ref()?.result.as_ref().ok()?;
        let meant = asked == claim_digest(self.device)
            && self.world.model.is_some()
            && self.identity_fault().is_none();
        meant.then_some(reading)
    }

    /// What is pinned when first seen stays, as long as the serial number is the same. The machine
    /// of another Device is not pinned: whoever corrects the address means another one.
    fn identity(&self, previous: &DeviceStatus) -> Option<DeviceIdentity> {
        let reading = self.said().filter(|_| !self.world.claimed_by_another);
        let Some(reading) = reading else {
            return previous.identity.clone();
        };
        let same_machine = previous
            .identity
            .as_ref()
            .filter(|identity| identity.serial_number == self.device.spec.serial_number);
        Some(DeviceIdentity {
            product_name: reading.product_name.clone(),
            serial_number: self.device.spec.serial_number.clone(),
            id: pinned_identity(self.device)
                .map(str::to_owned)
                .or_else(|| reading.identity.clone()),
            certificate_sha256: same_machine
                .and_then(|identity| identity.certificate_sha256.clone())
                .or_else(|| reading.certificate_sha256.clone()),
        })
    }

    /// What the machine proved in this pass begins or keeps the claim to it.
    fn claim(&self) -> Option<DeviceClaim> {
        let connection = self.device.spec.connections.first();
        let connection = connection.and_then(|chosen| self.world.connections.get(&chosen.name));
        let labels = &self.world.namespace_labels;
        let look = claim::Look {
            may_claim: claim::may_claim(self.device, connection.map(|it| &**it), labels),
            is_claimed_by_another: self.world.claimed_by_another,
            said: self.said(),
        };
        next_claim(self.device, &look, self.now)
    }

    fn counts(&self) -> SubscriptionCounts {
        let in_force: Vec<_> = self.in_force().collect();
        let delivered = in_force
            .iter()
            .filter(|subscription| self.is_delivered(&subscription.name))
            .count();
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        SubscriptionCounts {
            total: count(in_force.len()),
            delivered: count(delivered),
            failing: None,
            summary: format!("{delivered}/{}", in_force.len()),
        }
    }

    fn last_sync(&self, previous: &DeviceStatus) -> Option<LastSync> {
        let Some(reading) = &self.facts.device else {
            return previous.last_sync.clone();
        };
        let result = if reading.result.is_ok() {
            SyncResult::Answered
        } else {
            SyncResult::NoAnswer
        };
        let period = sync_period(self.world, self.device);
        let fresh = previous.last_sync.as_ref().filter(|last| {
            last.result == result && reading.at.duration_since(last.at) < period / FRESH
        });
        Some(fresh.cloned().unwrap_or(LastSync {
            at: reading.at,
            result,
        }))
    }
}
