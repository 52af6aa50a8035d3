//! Verify, device side: the obstacle to each connection, and the proofs that a reading of the device
//! gives.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    v1alpha1::{ItemState, StepType, TakesEffect},
};
use jiff::Timestamp;

use crate::delivery::{
    Blocked, DeviceSnapshot, Intent, Observations, Reading, ResolvedConnection, ResolvedDevice,
    ResolvedItem, ResolvedStep, Wanted, digest,
    verify::{
        Found, Round, VerifiedItem,
        compare::is_equal,
        difference::{difference, malformed},
        identity::identity_fault,
    },
};
use crate::names::ConnectionName;
use crate::{
    reasons::shows_another_machine,
    remote::{AskedState, DeviceReading, Failure, Value},
};

/// Returns the obstacle to each connection: it cannot be used, another machine answers there, or
/// none does.
pub(super) fn device_faults(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    observations: &Observations,
) -> BTreeMap<ConnectionName, Blocked> {
    let fault = |connection: &ResolvedConnection| {
        if let Err(blocked) = &connection.endpoint {
            return Some(blocked.clone());
        }
        let reading = observations.through(&connection.name).reading.as_ref()?;
        match &reading.result {
            Ok(_) => {
                let device = snapshot.with_unwritten_pins(snapshot.device.as_deref()?);
                identity_fault(
                    snapshot,
                    resolved,
                    (&device, observations),
                    &connection.name,
                )
            }
            Err(failure) => Some(Blocked::on_device(&snapshot.device_name, failure)),
        }
    };
    let connections = resolved.connections.iter();
    connections
        .filter_map(|connection| Some((connection.name.clone(), fault(connection)?)))
        .collect()
}

impl Round<'_> {
    pub(super) fn device_item(
        &self,
        step: &ResolvedStep,
        item: &ResolvedItem,
        connection: &ConnectionName,
    ) -> VerifiedItem {
        if let Some(verified) = self.of_another_machine(step.r#type, item, connection) {
            return verified;
        }
        if let Wanted::DeviceSetting {
            write_only: true,
            manner,
            ..
        } = item.wanted
            && manner.is_fetched_by_the_device()
        {
            return self.taken_note_of(step.r#type, item, connection);
        }
        if let Wanted::DeviceSetting {
            write_only: true, ..
        } = item.wanted
            && let Some(verified) = self.accepted_without_read_back(step.r#type, item)
        {
            return verified;
        }
        let trusted = !self.device_faults.contains_key(connection);
        match self.observations.through(connection).reading.as_ref() {
            Some(Reading {
                at,
                result: Ok(reading),
            }) if trusted && self.subscription.was_asked(step, *at, self.now) => {
                match &item.wanted {
                    Wanted::Software { .. } => self.software_reading(step, item, *at, reading),
                    Wanted::DataType { data, .. } => {
                        self.data_reading(step.r#type, item, *at, (&reading.data, data))
                    }
                    _ => self.device_reading(step.r#type, item, *at, reading),
                }
            }
            Some(Reading {
                result: Err(failure),
                ..
            }) => self.unread(step.r#type, item, Some(failure)),
            Some(Reading { result: Ok(_), .. }) if trusted => self.answered(step.r#type, item),
            _ => self.unread(step.r#type, item, None),
        }
    }

    /// Returns the proof of an item of a device that answers, and was not asked for the item. Before the
    /// start nothing is sent, so that a problem is one of an earlier look, which is over.
    fn answered(&self, step: StepType, item: &ResolvedItem) -> VerifiedItem {
        let mut verified = self.unread(step, item, None);
        if let Intent::Scheduled { .. } = self.subscription.intent
            && self.sent_now(item).is_none()
        {
            let is_of_a_look = |reason| Reason::OF_A_LOOK.contains(&reason);
            verified.problem = verified.problem.filter(|it| !is_of_a_look(it.outcome));
        }
        verified
    }

    /// Returns the item without its proof, if another machine than the expected one answers: what
    /// the expected one was set to is not in effect there.
    pub(super) fn of_another_machine(
        &self,
        step: StepType,
        item: &ResolvedItem,
        connection: &ConnectionName,
    ) -> Option<VerifiedItem> {
        let fault = self.device_faults.get(connection)?;
        if !shows_another_machine(fault.reason) {
            return None;
        }
        // The words of another identity are those of the wait; they are none of an attempt.
        let problem = Reason::OF_AN_ATTEMPT.contains(&fault.reason).then(|| {
            let message = format!("{}: {}", item.key, fault.message);
            self.problem(item, fault.reason, &message, self.now)
        });
        let before = self.of_status(step, item);
        Some(VerifiedItem {
            state: ItemState::Unknown,
            observed_digest: None,
            verified_at: None,
            problem,
            ..before
        })
    }

    pub(super) fn device_reading(
        &self,
        step: StepType,
        item: &ResolvedItem,
        at: Timestamp,
        reading: &DeviceReading,
    ) -> VerifiedItem {
        let Wanted::DeviceSetting {
            place,
            value,
            takes_effect,
            write_only: false,
            ..
        } = &item.wanted
        else {
            return self.of_status(step, item);
        };
        let found = reading.values.get(place).map(Vec::as_slice);
        let equal = reading.proof(place).is_some_and(|it| is_equal(value, it));
        if !equal && self.is_proved_by_an_earlier_report(item, reading) {
            return self.of_status(step, item);
        }
        if !equal && reading.waits_for_a_call(place, value) && self.is_known_to_drift(item) {
            return self.of_status(step, item);
        }
        let compared = if equal {
            Found::Wanted
        } else if reading.waits_for_a_call(place, value) {
            Found::Unknown
        } else if *takes_effect == TakesEffect::AfterRestart {
            Found::BeforeRestart
        } else {
            Found::Another
        };
        let observed = found.map(|found| match value {
            Value::Secret(secret) => secret.digest_of(found),
            _ => digest(found),
        });
        let mut verified = self.read(step, item, at, observed, compared);
        let sent = self.sent_now(item);
        if let Some(how) = malformed(place, found)
            && !matches!(sent, Some(Err(_)))
        {
            let message = format!("{}: {how}", item.key);
            verified.problem = Some(self.problem(item, Reason::ProtocolError, &message, at));
        } else if let (Some(problem), Some(Ok(()))) = (&mut verified.problem, sent)
            && let Some(words) = difference(place, value, found, reading.private.contains(place))
        {
            let message = format!("{}: {words}", problem.message);
            problem.message = message.into();
        }
        verified
    }

    /// True if a device that fetches its settings was known to have a value, and has reported nothing
    /// else since: it was asked for another setting, and an older report says no more of this one.
    fn is_proved_by_an_earlier_report(&self, item: &ResolvedItem, reading: &DeviceReading) -> bool {
        let Wanted::DeviceSetting { place, value, .. } = &item.wanted else {
            return false;
        };
        let known = self.previous(item).map(|previous| previous.state);
        let found = reading.values.get(place);
        reading.outdated.contains(place)
            && reading.asked_for(place, value) == Some(&AskedState::Waiting)
            && known == Some(ItemState::Effective)
            && self.sent_now(item).is_none()
            && found.is_some_and(|found| is_equal(value, found))
    }

    /// Returns the proof of an item that a device which fetches its settings never tells: it is in effect
    /// as soon as the device has taken note of it.
    fn taken_note_of(
        &self,
        step: StepType,
        item: &ResolvedItem,
        connection: &ConnectionName,
    ) -> VerifiedItem {
        let before = self.of_status(step, item);
        let Wanted::DeviceSetting { place, value, .. } = &item.wanted else {
            return before;
        };
        let known = self.previous(item).map(|previous| previous.state);
        let reading = self.observations.through(connection).reading.as_ref();
        let is_trusted = !self.device_faults.contains_key(connection);
        let Some(Reading {
            at,
            result: Ok(reading),
        }) = reading.filter(|_| is_trusted)
        else {
            return before;
        };
        match reading.asked_for(place, value) {
            _ if known == Some(ItemState::Effective) => VerifiedItem {
                state: ItemState::Effective,
                ..before
            },
            _ if reading.waits_for_a_call(place, value) => {
                self.read(step, item, *at, None, Found::Unknown)
            }
            Some(AskedState::Taken) => self.read(step, item, *at, Some(item.digest), Found::Wanted),
            Some(AskedState::Waiting | AskedState::Missed | AskedState::Refused(_)) | None => {
                self.read(step, item, *at, None, Found::Another)
            }
        }
    }

    /// Returns the proof of an item that cannot be read: it is in effect as soon as it was
    /// accepted, in this pass or before, and is not if it was refused.
    fn accepted_without_read_back(
        &self,
        step: StepType,
        item: &ResolvedItem,
    ) -> Option<VerifiedItem> {
        let sent = self
            .observations
            .sent(&self.subscription.name, &item.key, item.digest);
        if let Some(sent) = sent {
            return Some(match &sent.result {
                Ok(()) => VerifiedItem {
                    key: item.key.clone(),
                    step,
                    state: ItemState::Effective,
                    desired_digest: item.digest,
                    observed_digest: Some(item.digest),
                    verified_at: Some(sent.at),
                    proof: None,
                    was_effective: false,
                    drifts: false,
                    problem: None,
                },
                Err(failure) => self.not_accepted(step, item, failure, sent.at),
            });
        }
        let previous = self.previous(item);
        if previous.is_some_and(|previous| previous.state == ItemState::Effective) {
            return Some(self.of_status(step, item));
        }
        self.left_as_accepted(step, item)
    }

    /// Returns the proof of an item that cannot be read and was not accepted: no reading would
    /// report the failure.
    fn not_accepted(
        &self,
        step: StepType,
        item: &ResolvedItem,
        failure: &Failure,
        at: Timestamp,
    ) -> VerifiedItem {
        let state = if failure.doubtful {
            ItemState::Unknown
        } else {
            ItemState::NotEffective
        };
        VerifiedItem {
            state,
            problem: Some(self.failed(item, failure, at)),
            ..self.of_status(step, item)
        }
    }
}
