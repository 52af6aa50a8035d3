//! The status of a DeviceEnrollment: who registered by it, who waits, and whether anybody can (C2, K2).
//!
//! Decides its conditions, the devices that wait for their Device, and which of those are forgotten.
//! It must never admit anybody: that is `gateway::registration`, at each request. Called by the
//! controller of enrolments.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Connection, DeviceEnrollment, DeviceEnrollmentSpec, DeviceEnrollmentStatus, DeviceTwin,
        PendingDevice, Protocol, TwinRegistration,
    },
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kube::ResourceExt as _;
use std::collections::BTreeMap;

use crate::{
    catalogue::RESOLVED,
    condition::{ConditionSet, Summary, Work, sentence},
    delivery::allows,
    gateway::registration::{FROM_DEVICE, pattern_fault},
    time::{parse_date, start_of_date, zone},
    unreadable::{Referent, UnreadableObjects},
};

/// Key of the token in its Secret.
pub const TOKEN_KEY: &str = "token";

/// The fewest characters of a token.
pub const SHORTEST_TOKEN: usize = 20;

/// The most devices that a status names.
const MOST_PENDING: usize = 32;

/// Time after which a device that waits is forgotten; it may register again.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Observations of an enrolment in one pass.
#[derive(Clone, Debug)]
pub struct ObservedEnrollment<'a> {
    /// The Connection that it names, if it exists.
    pub connection: Option<&'a Connection>,
    /// The labels of its namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Fault of the Secret with the token.
    pub token_fault: Option<(Reason, String)>,
    /// The twins of the namespace that registered by it.
    pub twins: &'a [&'a DeviceTwin],
    /// Every enrolment of the namespace, itself among them or not.
    pub enrollments: &'a [&'a DeviceEnrollment],
    /// The objects that cannot be read.
    pub unreadable: &'a UnreadableObjects,
}

/// Returns the status of an enrolment.
pub fn report_enrollment(
    enrollment: &DeviceEnrollment,
    observed: &ObservedEnrollment<'_>,
    now: Timestamp,
) -> DeviceEnrollmentStatus {
    let previous = enrollment.status.clone().unwrap_or_default();
    let generation = enrollment.metadata.generation;
    let missing = missing_reference(enrollment, observed);
    let pending = waiting(observed.twins);
    let registered = observed.twins.len() - pending.len();
    let fault = observed
        .connection
        .and_then(gateway_fault)
        .or_else(|| fault(enrollment))
        .or_else(|| taken_token(enrollment, observed.enrollments));
    let summary = match (&missing, fault) {
        (Some((reason, message)), _) => Summary::open(*reason, message.clone(), Work::of(*reason)),
        (None, Some(message)) => Summary::open(Reason::UnsupportedValue, message, Work::Stalled),
        (None, None) => may_register(enrollment, registered, now),
    };
    let set = ConditionSet::new(&previous.conditions, generation, now);
    let set = summary
        .state(set)
        .with_fault(ConditionType::ResolvedRefs, missing, RESOLVED);
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    DeviceEnrollmentStatus {
        observed_generation: summary.observed_generation(generation, previous.observed_generation),
        conditions: set.finish(),
        registered: Some(count(registered)),
        pending_count: Some(count(pending.len())),
        pending: pending.into_iter().take(MOST_PENDING).collect(),
    }
}

/// Returns the first fault of what an enrolment refers to.
fn missing_reference(
    enrollment: &DeviceEnrollment,
    observed: &ObservedEnrollment<'_>,
) -> Option<(Reason, String)> {
    let name = &enrollment.spec.connection_ref.name;
    let Some(connection) = observed.connection else {
        let (reason, message) = observed.unreadable.not_at_hand(Referent::Connection, name);
        return Some((reason, sentence(&message)));
    };
    if allows(connection, observed.namespace_labels).is_none() {
        let namespace = enrollment.namespace().unwrap_or_default();
        let message = format!(
            "The Connection {name} does not allow the namespace {namespace}; ask the platform team \
             for an entry under allow."
        );
        return Some((Reason::NotAllowed, message));
    }
    let (reason, message) = observed.token_fault.as_ref()?;
    Some((*reason, sentence(message)))
}

/// Returns the summary of an enrolment that is as it should be.
fn may_register(enrollment: &DeviceEnrollment, registered: usize, now: Timestamp) -> Summary {
    let spec = &enrollment.spec;
    if spec.suspend {
        let message = "Suspended; nobody may register until suspend is false.";
        return Summary::done(Reason::Suspended, message);
    }
    if is_over(spec, now) {
        let message = "Its last day is over; nobody may register by it any more.";
        return Summary::done(Reason::Ended, message);
    }
    let is_full = |most: i32| usize::try_from(most).is_ok_and(|most| registered >= most);
    match spec.max_devices {
        Some(most) if is_full(most) => Summary::done(
            Reason::Succeeded,
            format!("As many devices as maxDevices allows are registered: {most}."),
        ),
        _ => Summary::done(Reason::Succeeded, "Devices may register."),
    }
}

/// Returns the fault of a value that no rule of the schema can judge.
fn fault(enrollment: &DeviceEnrollment) -> Option<String> {
    let spec = &enrollment.spec;
    let pattern = spec
        .serial_numbers
        .as_ref()
        .and_then(|it| it.pattern.as_deref());
    let faulty = pattern.and_then(|pattern| Some((pattern, pattern_fault(pattern)?)));
    if let Some((pattern, why)) = faulty {
        return Some(format!(
            "spec.serialNumbers.pattern is \"{pattern}\" and cannot be used: {why}; it must be a regular \
             expression (RE2) such as \"A1B2C[0-9]{{1,6}}\"."
        ));
    }
    let named = spec
        .template
        .as_ref()
        .and_then(|it| it.time_zone.as_deref());
    let fault = named
        .filter(|named| *named != FROM_DEVICE)
        .and_then(|named| zone(named).err());
    fault.map(|fault| format!("spec.template.timeZone: {fault}; or FromDevice."))
}

/// Returns the fault of an enrolment that has the Secret of an older one: the gateway takes every
/// registration with its token for the older one, also after that one has ended.
fn taken_token(enrollment: &DeviceEnrollment, all: &[&DeviceEnrollment]) -> Option<String> {
    let spec = &enrollment.spec;
    let is_rival = |it: &&&DeviceEnrollment| {
        it.name_any() != enrollment.name_any()
            && it.namespace() == enrollment.namespace()
            && it.spec.token_secret_ref == spec.token_secret_ref
            && it.spec.connection_ref == spec.connection_ref
    };
    let rivals = all.iter().filter(is_rival).copied();
    let first = oldest(rivals.chain([enrollment]))?;
    (first.name_any() != enrollment.name_any()).then(|| {
        format!(
            "spec.tokenSecretRef: the older DeviceEnrollment {} has the Secret {}, too, and every device \
             with its token registers by that one; name a Secret of its own.",
            first.name_any(),
            spec.token_secret_ref.name
        )
    })
}

/// Returns the oldest of several enrolments; of those of one instant the first by name.
pub(crate) fn oldest<'a>(
    enrollments: impl IntoIterator<Item = &'a DeviceEnrollment>,
) -> Option<&'a DeviceEnrollment> {
    enrollments.into_iter().min_by_key(|enrollment| {
        let created = enrollment.creation_timestamp().map(|it| it.0);
        (created, enrollment.namespace(), enrollment.name_any())
    })
}

/// Returns the fault of a Connection that is no gateway.
fn gateway_fault(connection: &Connection) -> Option<String> {
    let (name, protocol) = (connection.name_any(), connection.spec.protocol);
    (protocol != Protocol::Agent).then(|| {
        format!(
            "The Connection {name} is of protocol {protocol:?}; spec.connectionRef must name one of \
             protocol Agent."
        )
    })
}

/// True if the last day of an enrolment is over: it is by UTC, and belongs to it. The API server refuses
/// what is no date; one that it had stored before admits nobody.
pub(crate) fn is_over(spec: &DeviceEnrollmentSpec, now: Timestamp) -> bool {
    let Some(last) = spec.expires.as_deref() else {
        return false;
    };
    parse_date(last).is_none() || end(spec).is_some_and(|end| end <= now)
}

/// Returns the instant from which nobody may register any more.
fn end(spec: &DeviceEnrollmentSpec) -> Option<Timestamp> {
    let last = parse_date(spec.expires.as_deref()?)?;
    Some(start_of_date(last.tomorrow().ok()?, &TimeZone::UTC))
}

/// Returns the next instant at which time alone changes the status of an enrolment, or ends the wait of
/// a device.
pub fn next_instant(
    enrollment: &DeviceEnrollment,
    twins: &[&DeviceTwin],
    now: Timestamp,
) -> Option<Timestamp> {
    let forgotten = twins.iter().filter_map(|twin| forgotten_at(twin));
    let instants = forgotten.chain(end(&enrollment.spec));
    instants.filter(|instant| *instant > now).min()
}

/// Returns the registration of a twin that waits for its Device.
fn pending(twin: &DeviceTwin) -> Option<&TwinRegistration> {
    let registration = twin.status.as_ref()?.registration.as_ref()?;
    let waits = twin.spec.device_ref.is_none() && registration.printer_id.is_none();
    waits.then_some(registration)
}

/// Returns the devices that wait, by time.
fn waiting(twins: &[&DeviceTwin]) -> Vec<PendingDevice> {
    let waiting = twins.iter().filter_map(|twin| pending(twin));
    let mut waiting: Vec<PendingDevice> = waiting
        .map(|registration| PendingDevice {
            serial_number: registration.serial_number.clone(),
            product_name: registration.product_name.clone(),
            since: registration.at,
        })
        .collect();
    waiting.sort_by(|one, other| {
        let key = |it: &PendingDevice| (it.since, it.serial_number.clone());
        key(one).cmp(&key(other))
    });
    waiting.dedup_by(|one, other| one.serial_number == other.serial_number);
    waiting
}

fn forgotten_at(twin: &DeviceTwin) -> Option<Timestamp> {
    pending(twin)?.at.checked_add(FORGOTTEN).ok()
}

/// True if a twin keeps a registration that waits no longer: for too long, or it was bound meanwhile.
pub fn is_forgotten(twin: &DeviceTwin, others: &[&DeviceTwin], now: Timestamp) -> bool {
    let Some(waits) = pending(twin) else {
        return false;
    };
    let is_bound = others.iter().any(|other| {
        let status = other.status.as_ref();
        let registration = status.and_then(|status| status.registration.as_ref());
        registration.is_some_and(|it| {
            it.printer_id.is_some()
                && it.at >= waits.at
                && it.serial_number == waits.serial_number
                && it.product_name == waits.product_name
        })
    });
    is_bound || forgotten_at(twin).is_some_and(|at| at <= now)
}

#[cfg(test)]
mod tests;
