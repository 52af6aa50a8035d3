//! Report: the status of a device, from its readings and from its subscriptions.
//!
//! Ready does not depend on Online when nothing is pending (api section 4).

use std::collections::BTreeMap;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Device, DeviceClaim, DeviceConnectionStatus, DeviceFault, DeviceIdentity, DeviceStatus,
        LastSync, StepType, SubscriptionCounts, SyncResult,
    },
};
use jiff::Timestamp;

use crate::delivery::{
    Blocked, DeviceSnapshot, Intent, Observations, ResolvedConnection, ResolvedDevice,
    ResolvedSubscription, SubscriptionReport, Verified,
    claim::{self, claim_digest, next_claim},
    is_reconcile_requested, panel,
    plan::sync::{next_sync, sync_period},
    report::software::is_of_settings_or_software,
    report::{exclusive, words},
    verify::VerifiedItem,
    verify::faults::ConnectionFaults,
    verify::identity::{pinned_certificate, pinned_identity, remembered, seen, witness},
};
use crate::errors::{Sightings, next_look};
use crate::names::SubscriptionName;
use crate::reconcile_wish::reconcile_wish;
use crate::{
    catalogue::RESOLVED,
    condition::{ConditionSet, Status, Summary, Work, find, is_true, sentence},
    remote::DeviceReading,
    time::zone,
    unreadable::Referent,
};

/// A sync instant younger than this part of the period is not written again on its own.
const FRESH: i32 = 2;

/// Returns the report of the device, and the time of its next reading.
pub(in crate::delivery) fn report_device(
    snapshot: &DeviceSnapshot,
    device: &Device,
    resolved: &ResolvedDevice,
    verified: &BTreeMap<SubscriptionName, Verified>,
    reports: &BTreeMap<SubscriptionName, SubscriptionReport>,
    observations: &Observations,
    now: Timestamp,
) -> (DeviceStatus, Option<Timestamp>) {
    let report = Report {
        snapshot,
        resolved,
        verified,
        reports,
        observations,
        device,
        faults: ConnectionFaults::find(snapshot, resolved, observations, device),
        now,
    };
    let status = report.report();
    // A change of the Device that has the machine wakes this one.
    let sync = next_sync(snapshot, device, Some(&status));
    let model = snapshot.model.as_deref();
    let settles = model.and_then(|model| next_look(&status.errors, &model.spec));
    // One that has passed waits for a connection that does not answer.
    let settles = settles.filter(|at| *at > now);
    let next = [sync, settles].into_iter().flatten().min();
    (status, next.filter(|_| !report.is_left_alone()))
}

/// Returns the fault of a time zone of a Device that does not exist.
pub fn zone_fault(device: &Device) -> Option<String> {
    let name = device.spec.time_zone.as_deref()?;
    let fault = zone(name).err()?;
    Some(format!("spec.timeZone: {fault}"))
}

pub(super) struct Report<'a> {
    pub(super) snapshot: &'a DeviceSnapshot,
    pub(super) resolved: &'a ResolvedDevice,
    pub(super) verified: &'a BTreeMap<SubscriptionName, Verified>,
    pub(super) reports: &'a BTreeMap<SubscriptionName, SubscriptionReport>,
    pub(super) observations: &'a Observations,
    pub(super) device: &'a Device,
    pub(super) faults: ConnectionFaults<'a>,
    pub(super) now: Timestamp,
}

impl Report<'_> {
    fn report(&self) -> DeviceStatus {
        let previous = self.device.status.clone().unwrap_or_default();
        let summary = self.summary();
        let by_twin = self.reported_by_twin();
        let look = self.look(by_twin.as_ref());
        DeviceStatus {
            observed_generation: summary
                .observed_generation(self.generation(), previous.observed_generation),
            conditions: self.conditions(&previous, &summary, look.as_ref()),
            identity: self.identity(&previous),
            connections: self.connections(),
            claim: self.claim(),
            subscriptions: Some(self.counts()),
            exclusive: exclusive::holders(
                self.snapshot,
                (self.resolved, self.verified),
                &previous.exclusive,
                self.now,
            ),
            local_enablement: self.resolved.switches.clone(),
            capabilities: self.snapshot.said().and_then(|it| it.capabilities.clone()),
            errors: self.errors(&previous, look.as_ref()),
            drift: self.drift(&previous),
            messages: panel::report(
                self.snapshot,
                self.resolved,
                (self.observations, &self.faults),
                self.device,
                self.now,
            ),
            last_sync: self.last_sync(&previous),
            last_handled_reconcile_at: if self.is_answered() {
                reconcile_wish(self.device)
            } else {
                previous.last_handled_reconcile_at.clone()
            },
        }
    }

    /// Returns the generation that the pass decided on, as the report of a subscription does.
    fn generation(&self) -> Option<i64> {
        let decided = self.snapshot.device.as_ref();
        decided.map_or(self.device.metadata.generation, |it| it.metadata.generation)
    }

    fn unusable(&self) -> Option<Blocked> {
        let mut connections = self.resolved.connections.iter();
        let unresolved = connections.find_map(|connection| connection.endpoint.as_ref().err());
        let unresolved = self.resolved.unreachable.as_ref().or(unresolved);
        let forbidden = |reason: Reason| self.faults.with(reason).cloned();
        unresolved
            .cloned()
            .or_else(|| self.claimed())
            .or_else(|| self.model_missing())
            .or_else(|| forbidden(Reason::IdentityMismatch))
            .or_else(|| forbidden(Reason::CertificateChanged))
            // The address lies outside the networks of the Connection: until it is tried anew.
            .or_else(|| forbidden(Reason::NotAllowed))
    }

    /// True if a wish for a look is answered: it was made, or there will be none while another
    /// Device has the machine, which the conditions say.
    fn is_answered(&self) -> bool {
        self.observations.last_look().is_some() || self.is_left_alone()
    }

    /// True if nothing of the device is asked, since another Device has proved the endpoint of each
    /// of its connections, and nothing else stands in its way, which would be no business of whoever
    /// is not let there.
    fn is_left_alone(&self) -> bool {
        let proved = &self.snapshot.proved_by_others;
        let mut connections = self.device.spec.connections.iter();
        let all = connections.all(|it| proved.contains(it.name.as_str()));
        let is_claimed = |fault: Blocked| fault.reason == Reason::AlreadyClaimed;
        !proved.is_empty() && all && self.unusable().is_some_and(is_claimed)
    }

    fn claimed(&self) -> Option<Blocked> {
        let claimant = self.snapshot.claimed_by_another.values().next()?;
        Some(Blocked::new(
            Reason::AlreadyClaimed,
            format!("{claimant} has this address or this identity; correct spec.address"),
        ))
    }

    fn model_missing(&self) -> Option<Blocked> {
        let model = &self.device.spec.model_ref.name;
        let is_missing = self.snapshot.model.is_none();
        is_missing.then(|| self.snapshot.not_at_hand(Referent::DeviceModel, model))
    }

    /// Returns the fault of a Site that does not exist. A device with connections of its own goes on
    /// without its fields.
    fn site_missing(&self) -> Option<Blocked> {
        let site = self.device.spec.site_ref.as_ref()?;
        let is_missing = self.snapshot.site.is_none();
        is_missing.then(|| self.snapshot.not_at_hand(Referent::Site, &site.name))
    }

    /// Returns the fault of the spec, of which the first stands in the conditions.
    fn fault(&self) -> Option<Blocked> {
        self.unusable()
            .or_else(|| self.unknown_zone())
            .or_else(|| self.site_missing())
    }

    /// Returns the fault of a zone that does not exist. The services that do not use it go on.
    fn unknown_zone(&self) -> Option<Blocked> {
        let message = zone_fault(self.device)?;
        Some(Blocked::new(Reason::UnknownZone, message))
    }

    fn summary(&self) -> Summary {
        if self.device.spec.suspend {
            let message = "Suspended; nothing is sent until suspend is false.";
            return Summary::done(Reason::Suspended, message);
        }
        if let Some(fault) = self.fault() {
            let message = sentence(&fault.message);
            return Summary::open(fault.reason, message, Work::of(fault.reason));
        }
        let pending: Vec<&str> = self
            .in_force()
            .filter(|subscription| !self.is_delivered(&subscription.name))
            .map(|subscription| subscription.name.as_str())
            .collect();
        if self.in_force().next().is_none() {
            let message = "No service in force asks for anything on this device.";
            return Summary::done(Reason::NothingWanted, message);
        }
        let (drifted, pending): (Vec<&str>, Vec<&str>) = pending
            .into_iter()
            .partition(|name| self.is_delivered_but_for_drift(name));
        if pending.is_empty() && !drifted.is_empty() {
            return Summary::done(Reason::Drifted, words::drifted(self.drifted()));
        }
        if pending.is_empty() {
            let message = "Everything that is wanted on the device is in effect.";
            return Summary::done(Reason::Succeeded, message);
        }
        if let Some((reason, message)) = self.refused() {
            let message = format!("{message} Not delivered yet: {}.", pending.join(", "));
            return Summary::open(reason, message, Work::of(reason));
        }
        let (reason, work) = if self.faults.is_empty() {
            (Reason::Progressing, Work::Progressing)
        } else {
            (Reason::ProgressingWithRetry, Work::Retrying)
        };
        let message = format!("Not delivered yet: {}.", pending.join(", "));
        Summary::open(reason, message, work)
    }

    /// Returns reason and message of the first setting that the device does not take and that goes
    /// on only when a person has done something.
    fn refused(&self) -> Option<(Reason, String)> {
        let items = self
            .in_force()
            .filter_map(|subscription| self.verified.get(&subscription.name))
            .flat_map(|verified| &verified.items)
            .filter(|item| is_of_settings_or_software(item.step));
        let problems = items.filter_map(|item| item.problem.as_ref());
        let mut refused =
            problems.filter(|problem| matches!(Work::of(problem.outcome), Work::Stalled));
        let problem = refused.next()?;
        Some((problem.outcome, sentence(&problem.message)))
    }

    pub(super) fn in_force(&self) -> impl Iterator<Item = &ResolvedSubscription> {
        self.resolved
            .subscriptions
            .iter()
            .filter(|subscription| matches!(subscription.intent, Intent::SetUp))
            .filter(|subscription| !subscription.serves_on())
    }

    fn is_delivered(&self, name: &SubscriptionName) -> bool {
        self.reports
            .get(name)
            .is_some_and(|report| is_true(&report.status.conditions, ConditionType::Delivered))
    }

    /// True if all that a subscription wants is in effect, or is left as somebody has changed it.
    fn is_delivered_but_for_drift(&self, name: &str) -> bool {
        let mut reports = self.reports.iter();
        let found = reports.find(|(of, _)| of.as_str() == name);
        let ready = found.and_then(|(_, it)| find(&it.status.conditions, ConditionType::Ready));
        ready.is_some_and(|ready| ready.reason == Reason::Drifted.as_str())
    }

    fn conditions(
        &self,
        previous: &DeviceStatus,
        summary: &Summary,
        look: Option<&Sightings<'_>>,
    ) -> Vec<entente_crds::v1alpha1::Condition> {
        let set = ConditionSet::new(&previous.conditions, self.generation(), self.now);
        let mut set = summary.state(set);
        set = self.accepted_and_resolved(set);
        set = self.online(set, previous);
        set = self.settings_applied(set);
        set = self.faulted(set, look);
        self.software(set).finish()
    }

    fn accepted_and_resolved(&self, set: ConditionSet) -> ConditionSet {
        let fault = self.fault();
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
        let claimant = self.snapshot.claimed_by_another.values().next();
        if let Some(claimant) = claimant.filter(|_| self.is_left_alone()) {
            let message = format!("It is not asked: {claimant} has proved its address.");
            let (unknown, reason) = (Status::Unknown, Reason::AlreadyClaimed);
            return set.with(ConditionType::Online, unknown, reason, message);
        }
        if self.observations.last_look().is_none() {
            let said = find(&previous.conditions, ConditionType::Online);
            // What was said of the other Device holds no longer.
            let said = said.filter(|it| it.reason != Reason::AlreadyClaimed.as_str());
            return match said {
                Some(_) => set.keep(ConditionType::Online),
                None => set.with(
                    ConditionType::Online,
                    Status::Unknown,
                    Reason::NeverSeen,
                    "The device was not asked yet.",
                ),
            };
        }
        match self.faults.silence() {
            None => set.with(
                ConditionType::Online,
                Status::True,
                Reason::Answered,
                "The device answered when it was last asked.",
            ),
            Some(fault) => {
                let known = ConditionType::Online.reasons().contains(&fault.reason);
                let reason = if known {
                    fault.reason
                } else {
                    Reason::Unreachable
                };
                let message = match reason {
                    Reason::NotAllowed => format!("{}; it was not dialled", fault.message),
                    _ => fault.message.clone(),
                };
                let message = sentence(&message);
                set.with(ConditionType::Online, Status::False, reason, message)
            }
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
        if let Some((reason, message)) = self.unsettable() {
            return set.with(condition, Status::False, reason, message);
        }
        let items: Vec<_> = self.settings().collect();
        if items.is_empty() {
            return set.with(
                condition,
                Status::True,
                Reason::NothingWanted,
                "No service in force asks for a setting.",
            );
        }
        let open = items.iter().filter(|item| !item.is_done());
        let worst = open
            .clone()
            .find(|item| item.problem.is_some())
            .or_else(|| open.clone().next());
        match worst {
            None if items.iter().any(|item| item.drifts) => set.with(
                condition,
                Status::False,
                Reason::Drifted,
                words::drifted(self.drifted()),
            ),
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

    /// Returns the settings of subscriptions in force that are to be in effect now.
    fn settings(&self) -> impl Iterator<Item = &VerifiedItem> {
        let items = self.in_force().filter_map(|subscription| {
            let verified = self.verified.get(&subscription.name)?;
            let items = verified.of_step(StepType::DeviceSettings);
            Some(items.filter(|item| !subscription.keeps_for_the_switch(&item.key)))
        });
        items.flatten()
    }

    /// Returns reason and message of the first subscription in force whose settings could not be
    /// resolved, unless something else keeps it from the device.
    fn unsettable(&self) -> Option<(Reason, String)> {
        self.in_force().find_map(|subscription| {
            let fault = subscription.device_fault.as_ref()?;
            let message = format!(
                "The settings of {} cannot be set: {}",
                subscription.name, fault.message
            );
            let is_first = subscription.refused.as_ref() == Some(fault);
            is_first.then(|| (fault.reason, sentence(&message)))
        })
    }

    /// Returns the reading of the machine through a connection, if it answered as the expected one.
    /// An object that was edited meanwhile may expect another one.
    fn said(&self, connection: &str) -> Option<&DeviceReading> {
        let asked = self.snapshot.device.as_deref().and_then(claim_digest);
        let reading = self
            .observations
            .through(connection)
            .reading
            .as_ref()?
            .result
            .as_ref()
            .ok()?;
        let meant = asked == claim_digest(self.device)
            && self.snapshot.model.is_some()
            && self.faults.of(connection).is_none();
        meant.then_some(reading)
    }

    /// Returns the same reading, if no other Device has the machine: nothing of another's machine
    /// is pinned, because a person will correct the address.
    pub(super) fn said_by_its_own(&self, connection: &str) -> Option<&DeviceReading> {
        let own = self.snapshot.claimed_by_another.is_empty();
        self.said(connection).filter(|_| own)
    }

    /// Returns the identity for the status: a pinned one stays as long as the spec means the same
    /// machine.
    fn identity(&self, previous: &DeviceStatus) -> Option<DeviceIdentity> {
        let connections = self.device.spec.connections.iter();
        let mut answers = connections.filter_map(|it| self.said_by_its_own(&it.name));
        let Some(any) = answers.next() else {
            return previous.identity.clone();
        };
        let witness = witness(self.device)?;
        let reading = self.said_by_its_own(witness);
        let seen_before = seen(self.device).and_then(|identity| identity.product_name.clone());
        Some(DeviceIdentity {
            product_name: reading.map_or_else(
                || seen_before.or_else(|| any.product_name.clone().map(Into::into)),
                |reading| reading.product_name.clone().map(Into::into),
            ),
            serial_number: self.device.spec.serial_number.clone(),
            connection: Some(witness.to_owned()),
            id: pinned_identity(self.device, witness)
                .map(|pinned| pinned.to_string())
                .or_else(|| reading?.identity.clone())
                .map(Into::into),
            certificate_sha256: pinned_certificate(self.device, witness)
                .map(str::to_owned)
                .or_else(|| reading?.certificate_sha256.clone()),
            firmware: self.firmware(previous),
        })
    }

    /// Returns the memory of the connections: a fault until the connection is used again, and for
    /// those beside the witness of `identity` its pins. While its Site is missing nobody knows which it
    /// has, and they stay.
    fn connections(&self) -> Vec<DeviceConnectionStatus> {
        if self.snapshot.awaits_its_connections() {
            let previous = self.device.status.as_ref();
            return previous.map_or_else(Vec::new, |it| it.connections.clone());
        }
        let is_witness = |name: &str| witness(self.device) == Some(name);
        let connections = self.device.spec.connections.iter();
        connections
            .map(|connection| self.connection(&connection.name))
            .filter(|it| it.fault.is_some() || !is_witness(&it.name) && self.was_seen(&it.name))
            .collect()
    }

    fn was_seen(&self, connection: &str) -> bool {
        self.said_by_its_own(connection).is_some() || remembered(self.device, connection).is_some()
    }

    fn connection(&self, name: &str) -> DeviceConnectionStatus {
        let fault = self.faults.of(name).cloned();
        let own = witness(self.device) != Some(name);
        let said = self.said_by_its_own(name).filter(|_| own);
        let pinned = pinned_identity(self.device, name).filter(|_| own);
        let certificate = pinned_certificate(self.device, name).filter(|_| own);
        DeviceConnectionStatus {
            name: name.to_owned(),
            identity: pinned
                .map(|pinned| pinned.to_string())
                .or_else(|| said?.identity.clone())
                .map(Into::into),
            certificate_sha256: certificate
                .map(str::to_owned)
                .or_else(|| said?.certificate_sha256.clone()),
            fault: fault.map(|fault| DeviceFault {
                reason: fault.reason.within(Reason::OF_A_LOOK),
                message: fault.message.into(),
            }),
            another_machine: self.faults.machine_before(name).cloned(),
        }
    }

    /// Returns the claim, which a proof of the machine in this pass begins or keeps.
    fn claim(&self) -> Option<DeviceClaim> {
        let chosen = self.device.spec.connections.first()?;
        let connection = self.snapshot.connections.get(chosen.name.as_str());
        let labels = &self.snapshot.namespace_labels;
        let look = claim::Look {
            may_claim: claim::may_claim(self.device, connection.map(|it| &**it), labels),
            is_claimed_by_another: !self.snapshot.claimed_by_another.is_empty(),
            said: self.said(&chosen.name),
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
        let Some(at) = self.observations.last_look() else {
            return previous.last_sync.clone();
        };
        let result = if self.faults.silence().is_none() {
            SyncResult::Answered
        } else {
            SyncResult::NoAnswer
        };
        let period = sync_period(self.snapshot, self.device);
        // Who asked for a look is told that it was made.
        let is_asked_for =
            is_reconcile_requested(self.device) || !self.snapshot.open_wishes().is_empty();
        // Each pass looks at the twin of a device that calls: that is no news before its time.
        let mut connections = self.resolved.connections.iter();
        let calls = connections.any(ResolvedConnection::is_called);
        let fresh_for = if calls { period } else { period / FRESH };
        let is_fresh =
            |last: &&LastSync| last.result == result && at.duration_since(last.at) < fresh_for;
        let fresh = previous.last_sync.as_ref().filter(is_fresh);
        let fresh = fresh.filter(|_| !is_asked_for);
        Some(fresh.cloned().unwrap_or(LastSync { at, result }))
    }
}
