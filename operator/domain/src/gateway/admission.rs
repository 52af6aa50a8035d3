//! Callers: the enrolment or the device that a token stands for.
//!
//! Decides whether it may call at all, and what its call changes in the status of its twin. A device
//! counts only while its Device is the one that registered: another serial number, another uid or
//! another Connection is another machine. Called at each request with a token.

use entente_crds::v1alpha1::{
    Device, DeviceEnrollment, DeviceTwin, DeviceTwinStatus, TwinConsent, TwinRegistration,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    credential::{self, Standing},
    members::{Faults, text},
    poll,
    problem::Problem,
    region::one,
    request::WAYS,
    texts::{INSTANT, instant},
};
use crate::{
    delivery::twin::{is_machine_of, is_of},
    enrollment::{is_over, oldest},
};

/// Returns the enrolment whose token has this digest; of several the oldest, so that nobody takes the
/// devices of another by using the same token later. Each comes with the digest of its own token.
pub fn enrollment_of<'a>(
    enrollments: impl IntoIterator<Item = (&'a DeviceEnrollment, String)>,
    sha256: &str,
) -> Option<&'a DeviceEnrollment> {
    let named = enrollments
        .into_iter()
        .filter(|(_, digest)| credential::is_same(digest, sha256));
    oldest(named.map(|(enrollment, _)| enrollment))
}

/// Judges whether an enrolment takes registrations now.
///
/// # Errors
/// Returns the answer of one that is suspended, or has expired.
pub fn admits(enrollment: &DeviceEnrollment, now: Timestamp) -> Result<(), Problem> {
    let spec = &enrollment.spec;
    if spec.suspend || enrollment.metadata.deletion_timestamp.is_some() {
        return Err(Problem::EnrollmentSuspended);
    }
    match &spec.expires {
        Some(last) if is_over(spec, now) => Err(Problem::EnrollmentExpired(last.clone())),
        _ => Ok(()),
    }
}

/// Returns the one of its tokens that a device shows.
///
/// # Errors
/// Returns the answer to a token that counts no more, or whose Device is another one by now.
pub fn authenticate(
    twin: &DeviceTwin,
    device: Option<&Device>,
    connection: &str,
    sha256: &str,
    now: Timestamp,
) -> Result<Standing, Problem> {
    let status = twin.status.as_ref();
    let credential = status.and_then(|status| status.credential.as_ref());
    let registration = status.and_then(|status| status.registration.as_ref());
    let (Some(credential), Some(registration), Some(device)) = (credential, registration, device)
    else {
        return Err(Problem::CredentialInvalid);
    };
    if !is_of(twin, device) || !is_machine_of(registration, device) || !calls(device, connection) {
        return Err(Problem::CredentialInvalid);
    }
    credential::standing(credential, sha256, now).ok_or(Problem::CredentialInvalid)
}

/// True if a Device is reached through a Connection.
pub(super) fn calls(device: &Device, connection: &str) -> bool {
    let mut connections = device.spec.connections.iter();
    connections.any(|it| it.name == connection)
}

/// Judges whether a device may have what a path names.
///
/// # Errors
/// Returns the answer to a path of another device.
pub fn owns(twin: &DeviceTwin, printer_id: &str) -> Result<(), Problem> {
    let registration = twin.status.as_ref().and_then(|it| it.registration.as_ref());
    let own = registration.and_then(|it| it.printer_id.as_deref());
    if own == Some(printer_id) {
        return Ok(());
    }
    Err(Problem::DeviceMismatch)
}

/// Judges whether the owner of a device consents.
///
/// # Errors
/// Returns the answer after a withdrawal.
pub fn consents(twin: &DeviceTwin) -> Result<(), Problem> {
    let registration = twin.status.as_ref().and_then(|it| it.registration.as_ref());
    if registration.is_some_and(is_withdrawn) {
        return Err(Problem::ConsentWithdrawn);
    }
    Ok(())
}

/// True if the owner of a device has withdrawn the consent to its connection.
pub fn is_withdrawn(registration: &TwinRegistration) -> bool {
    let consent = registration.consent.as_ref();
    consent.is_some_and(|consent| consent.withdrawn.is_some())
}

/// Returns the status of a twin after a call, if that is to be written: the first use of a token, that
/// it was heard of after a while, or that it is told another period than before.
pub fn after_call(
    twin: &DeviceTwin,
    standing: Standing,
    rhythm: poll::Rhythm,
    now: Timestamp,
) -> Option<DeviceTwinStatus> {
    let status = twin.status.as_ref()?;
    let before = status.credential.as_ref()?;
    let credential = credential::after_use(before, standing, now);
    let is_used_first = credential != *before;
    let is_news =
        is_told_otherwise(twin, rhythm) || poll::is_news(status.last_heard, rhythm.period, now);
    if !is_used_first && !is_news {
        return None;
    }
    Some(DeviceTwinStatus {
        credential: Some(credential),
        last_heard: Some(now),
        poll_seconds: Some(rhythm.period.as_secs()),
        ..status.clone()
    })
}

/// True if a device is told another period now than is written down. One of which none is written down
/// yet has no such news.
pub fn is_told_otherwise(twin: &DeviceTwin, rhythm: poll::Rhythm) -> bool {
    let told = twin.status.as_ref().and_then(|it| it.poll_seconds);
    told.is_some_and(|told| told != rhythm.period.as_secs())
}

/// Returns the status of a twin after the consent was withdrawn; `None` if it was before: the first
/// withdrawal counts. `query` has the parameters of the request, decoded.
///
/// # Errors
/// Returns the answer to parameters that have faults.
pub fn withdrawn(
    twin: &DeviceTwin,
    query: &[(String, String)],
    now: Timestamp,
) -> Result<Option<DeviceTwinStatus>, Problem> {
    let mut faults = Faults::default();
    let allowed = "Panel, Technician, Command";
    let by = one(query, "by", &mut faults);
    let way = by.and_then(|by| WAYS.iter().find(|(word, _)| *word == by));
    match (by, way) {
        (None, _) => faults.note("/by", "it is missing", allowed),
        (Some(by), None) => {
            let detail = format!("it is {}", super::members::quoted(by));
            faults.note("/by", detail, allowed);
        }
        _ => {}
    }
    let at = one(query, "at", &mut faults).map(Value::from);
    let at = at.as_ref();
    let at = at.and_then(|at| text(at, "/at", INSTANT, &mut faults));
    let at = at.and_then(instant);
    if let Some(problem) = faults.problem() {
        return Err(problem);
    }
    let Some((mut status, (_, by))) = twin.status.clone().zip(way.copied()) else {
        return Ok(None);
    };
    let Some(registration) = &mut status.registration else {
        return Ok(None);
    };
    let given = registration.at;
    // Where none was needed, none was recorded; the withdrawal is, all the same.
    let consent = registration.consent.get_or_insert_with(|| TwinConsent {
        by,
        at: given,
        text_version: "none".into(),
        withdrawn: None,
        withdrawn_by: None,
        withdrawn_at: None,
    });
    if consent.withdrawn.is_some() {
        return Ok(None);
    }
    consent.withdrawn = Some(now);
    consent.withdrawn_by = Some(by);
    consent.withdrawn_at = at;
    status.last_heard = Some(now);
    Ok(Some(status))
}

#[cfg(test)]
mod tests;
