//! DDI, by which clients that others wrote install firmware and applications (B6).
//!
//! Decides what a device is offered, which actions are alive, and what feedback changes in the status
//! of its twin. Nothing is in effect by feedback: the version that a device reports decides that, in
//! delivery. It must never name a host but the gateway. The protocol is docs/api/gateway.yaml, after
//! that of Eclipse hawkBit. Called by the routes of DDI.

mod config_data;
mod documents;
mod feedback;

use entente_crds::{
    bounded::Token,
    v1alpha1::{
        Artifact, DeploymentState, DeviceTwin, DeviceTwinStatus, SoftwarePart, TwinDeployment,
        TwinDeploymentState,
    },
};
use jiff::Timestamp;

pub use config_data::ConfigData;
pub use documents::{Digests, Links, base, cancellation, deployment, sleep};
pub use feedback::Feedback;

use super::problem::Problem;

/// Scheme of the token of a device under DDI.
pub const TARGET_TOKEN: &str = "TargetToken";

/// A controller of a device: of everything, or of one part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Controller {
    part: Option<SoftwarePart>,
}

impl Controller {
    /// Returns the controller of a path, for the device of this namespace and name.
    ///
    /// # Errors
    /// Returns the answer to a path of another device.
    pub fn of(path: (&str, &str), (namespace, device): (&str, &str)) -> Result<Self, Problem> {
        let part = match path.1.strip_prefix(device) {
            _ if path.0 != namespace => return Err(Problem::DeviceMismatch),
            Some("") => None,
            Some(".firmware") => Some(SoftwarePart::Firmware),
            Some(".application") => Some(SoftwarePart::Application),
            _ => return Err(Problem::DeviceMismatch),
        };
        Ok(Self { part })
    }

    fn has(self, part: SoftwarePart) -> bool {
        self.part.is_none_or(|own| own == part)
    }
}

/// An installation that a twin asks for.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// Number of the action.
    pub action: i64,
    /// Firmware or application.
    pub part: SoftwarePart,
    /// Its name.
    pub name: &'a str,
    /// The version.
    pub version: &'a str,
    /// The file.
    pub artifact: &'a Artifact,
}

/// Tasks that a device is given when it calls.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// True if it should report its versions.
    pub config_data: bool,
    /// The action that it should end.
    pub cancel: Option<i64>,
    /// The installation that it should make, once the file is there.
    pub installation: Option<Installation<'a>>,
}

fn wanted(twin: &DeviceTwin) -> Option<&TwinDeployment> {
    twin.spec.deployment.as_ref()
}

fn state(twin: &DeviceTwin) -> Option<&TwinDeploymentState> {
    twin.status.as_ref()?.deployment.as_ref()
}

/// Returns the state of an action, if it is the one that the device was last offered.
fn state_of(twin: &DeviceTwin, action: i64) -> Option<&TwinDeploymentState> {
    state(twin).filter(|state| state.action == action)
}

fn installation(twin: &DeviceTwin, controller: Controller) -> Option<Installation<'_>> {
    let wanted = wanted(twin)?;
    let part = wanted.part.filter(|part| controller.has(*part))?;
    Some(Installation {
        action: wanted.action,
        part,
        name: wanted.name.as_deref()?,
        version: wanted.version.as_deref()?,
        artifact: wanted.artifact.as_ref()?,
    })
}

fn is_reported(twin: &DeviceTwin, wanted: Installation<'_>) -> bool {
    let reported = twin.status.as_ref().and_then(|it| it.reported.as_ref());
    let mut software = reported.into_iter().flat_map(|it| &it.software);
    // In the spelling of a status.
    let (name, version) = (Token::from(wanted.name), Token::from(wanted.version));
    software.any(|it| it.part == wanted.part && it.name == name && it.version == version)
}

/// Returns the action that a device was offered and should end, as long as it has not ended. A device
/// that refuses is asked again: it may have lost the action meanwhile.
fn to_cancel(twin: &DeviceTwin) -> Option<i64> {
    let stop = wanted(twin)?.cancel?;
    let state = state_of(twin, stop)?;
    (!state.state.is_over()).then_some(stop)
}

/// Returns the tasks of a device now. While it is asked to report, swupdate 2022.12 does nothing else, so
/// that a device which has reported before is asked for one thing at a time.
pub fn offer(twin: &DeviceTwin, controller: Controller, now: Timestamp) -> Offer<'_> {
    let asked = installation(twin, controller);
    let reported = twin.status.as_ref().and_then(|it| it.reported.as_ref());
    let says_nothing = reported.is_none_or(|it| it.software.is_empty());
    let missing = asked.filter(|asked| !is_reported(twin, *asked));
    let cancel = to_cancel(twin);
    let installation = missing.filter(|it| is_open(twin, it.action, now) && cancel.is_none());
    let is_idle = installation.is_none() && cancel.is_none();
    Offer {
        config_data: says_nothing || (missing.is_some() && is_idle),
        cancel,
        installation,
    }
}

impl Offer<'_> {
    /// Returns the offer to a device whose file is not there yet: meanwhile it may report.
    #[must_use]
    pub fn without_installation(self) -> Self {
        Self {
            config_data: self.config_data || self.installation.is_some(),
            installation: None,
            ..self
        }
    }
}

/// True if an action is to be offered: it has not ended, and its window has not closed before the
/// device was first told.
fn is_open(twin: &DeviceTwin, action: i64, now: Timestamp) -> bool {
    match state_of(twin, action) {
        Some(state) => !state.state.is_over(),
        None => wanted(twin)
            .and_then(|wanted| wanted.until)
            .is_none_or(|until| now < until),
    }
}

/// True if this is the installation that a twin asks for, and neither its end nor its version is
/// reported.
pub(super) fn is_wanted(twin: &DeviceTwin, action: i64) -> bool {
    let all = Controller { part: None };
    let asked = installation(twin, all).filter(|it| it.action == action);
    let is_over = state_of(twin, action).is_some_and(|state| state.state.is_over());
    asked.is_some_and(|asked| !is_over && !is_reported(twin, asked))
}

/// Returns the status of a twin whose device is told of an action; `None` if it was told before.
pub fn after_offer(twin: &DeviceTwin, action: i64, now: Timestamp) -> Option<DeviceTwinStatus> {
    if state_of(twin, action).is_some() {
        return None;
    }
    Some(with_state(
        twin,
        action,
        DeploymentState::Offered,
        None,
        now,
    ))
}

fn with_state(
    twin: &DeviceTwin,
    action: i64,
    state: DeploymentState,
    message: Option<&str>,
    now: Timestamp,
) -> DeviceTwinStatus {
    let mut status = twin.status.clone().unwrap_or_default();
    let restarted = status.reported.as_ref().and_then(|it| it.restarted);
    status.deployment = Some(TwinDeploymentState {
        action,
        state,
        message: message.map(Into::into),
        at: now,
        restarted,
        reported: None,
    });
    status
}

/// Notes in a status that the device reported its software, if that is the first time since its
/// installation got into its state.
pub fn note_report(status: &mut DeviceTwinStatus, now: Timestamp) {
    if let Some(deployment) = &mut status.deployment {
        deployment.reported.get_or_insert(now);
    }
}

/// Reads the number of an action in a path; `None` if it is none that there ever was.
pub fn number(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_number)
}

/// Returns the installation of an action that is alive.
///
/// # Errors
/// Returns the answer to an action that there is not, or that is over.
pub fn alive(
    twin: &DeviceTwin,
    controller: Controller,
    action: Option<i64>,
) -> Result<Installation<'_>, Problem> {
    let (action, newest) = action
        .zip(wanted(twin).map(|wanted| wanted.action))
        .ok_or(Problem::ActionNotFound)?;
    if action < newest {
        return Err(Problem::ActionOver);
    }
    let found = installation(twin, controller).filter(|it| it.action == action);
    let found = found.ok_or(Problem::ActionNotFound)?;
    if state_of(twin, action).is_some_and(|state| state.state.is_over()) {
        return Err(Problem::ActionOver);
    }
    Ok(found)
}

/// Returns the action that a cancellation is about; its number is that of the action or of the request
/// to end it, since clients use the one for the other.
///
/// # Errors
/// Returns the answer to a cancellation that there is not, or that is over.
pub fn stop(twin: &DeviceTwin, number: Option<i64>) -> Result<i64, Problem> {
    let stop = stop_of(twin, number)?;
    match state_of(twin, stop) {
        Some(state) if !state.state.is_over() => Ok(stop),
        _ => Err(Problem::ActionOver),
    }
}

fn stop_of(twin: &DeviceTwin, number: Option<i64>) -> Result<i64, Problem> {
    let wanted = wanted(twin).ok_or(Problem::ActionNotFound)?;
    let number = number.ok_or(Problem::ActionNotFound)?;
    match wanted.cancel {
        Some(stop) if number == stop || number == wanted.action => Ok(stop),
        _ if number < wanted.action => Err(Problem::ActionOver),
        _ => Err(Problem::ActionNotFound),
    }
}

/// Returns the name of the file of an installation, as a path has it: that of its URL, if it is plain.
pub fn file_name(installation: Installation<'_>) -> String {
    let is_plain = |name: &str| {
        (1..=128).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it))
    };
    let url = &installation.artifact.url;
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    if is_plain(last) {
        return last.to_owned();
    }
    // An ending says to some clients what kind of file it is.
    let ending = last.rsplit_once('.').map(|(_, ending)| ending);
    let ending = ending.filter(|it| it.len() <= 8 && is_plain(it));
    let digest: String = installation.artifact.sha256.chars().take(16).collect();
    format!("{digest}.{}", ending.unwrap_or("bin"))
}

/// Returns the installation whose file a path names.
///
/// # Errors
/// Returns the answer to a file that no action of the device has now.
pub fn of_file<'a>(
    twin: &'a DeviceTwin,
    controller: Controller,
    (module, name): (&str, &str),
) -> Result<Installation<'a>, Problem> {
    let found = alive(twin, controller, number(module)).ok();
    found
        .filter(|it| file_name(*it) == name)
        .ok_or(Problem::ArtifactNotFound)
}

#[cfg(test)]
mod tests;
