//! Verify: firmware and applications of a device that calls (B6).
//!
//! A version is in effect only when the device reports it, or a newer one, wherever it came from; that
//! the device says it has installed one proves nothing. Called by verify for each item of software.

use entente_crds::{
    condition::Reason,
    item_key::ItemKey,
    v1alpha1::{ItemState, Problem, SoftwarePart},
};
use jiff::Timestamp;

use crate::delivery::{
    Offer, ResolvedItem, ResolvedStep, Wanted, digest,
    verify::{Round, VerifiedItem},
};
use crate::remote::{AskedInstallation, DeviceReading, InstallationState};
use crate::version::{Version, is_at_least};

/// The most pieces of software that a sentence names.
const MOST_PIECES: usize = 4;

/// Result of a look at the version of a piece of software.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::delivery) enum SoftwareFound {
    /// It is one that suffices.
    Enough,
    /// The device has not reported it yet.
    Unreported,
    /// It is no version that can be compared: a sentence that says so.
    Unreadable(String),
    /// It is older, newer than it may be, or absent.
    NotEnough {
        /// Version of it; `None` if the device does not have it.
        version: Option<String>,
    },
}

/// Returns the version of a piece of software on a device, compared with what is wanted.
pub(in crate::delivery) fn found(
    reading: &DeviceReading,
    (part, name, minimum): (SoftwarePart, &str, &str),
    target: Option<&Offer>,
) -> SoftwareFound {
    let versions = &reading.software.versions;
    let reported = versions.get(&(part, name.to_owned()));
    let Some(reported) = reported else {
        // Every device has firmware; an application that is not among the rest is not there.
        let is_unknown = versions.is_empty() || part == SoftwarePart::Firmware;
        return if is_unknown {
            SoftwareFound::Unreported
        } else {
            SoftwareFound::NotEnough { version: None }
        };
    };
    let version = match Version::parse(reported) {
        Ok(version) => version,
        Err(fault) => {
            let message = format!("the device reports a version that cannot be compared: {fault}");
            return SoftwareFound::Unreadable(message);
        }
    };
    let is_new_enough = Version::parse(minimum).is_ok_and(|minimum| version >= minimum);
    let is_too_new = target.is_some_and(|target| {
        let most = Version::parse(&target.version);
        target.downgrade && most.is_ok_and(|most| version > most)
    });
    if is_new_enough && !is_too_new {
        SoftwareFound::Enough
    } else {
        SoftwareFound::NotEnough {
            version: Some(reported.clone()),
        }
    }
}

/// True if a piece of software needs nothing more.
pub(in crate::delivery) fn is_enough(reading: &DeviceReading, wanted: &Wanted) -> bool {
    let Wanted::Software {
        part,
        name,
        minimum,
        target,
        ..
    } = wanted
    else {
        return true;
    };
    found(reading, (*part, name, minimum), target.as_ref()) == SoftwareFound::Enough
}

/// Returns the installation that the device was asked for, if it serves an item: it is the one that is
/// wanted now, or the device has been told of it and it suffices all the same.
pub(in crate::delivery) fn serving<'a>(
    reading: &'a DeviceReading,
    wanted: &Wanted,
    now: Timestamp,
) -> Option<&'a AskedInstallation> {
    let Wanted::Software {
        part,
        name,
        minimum,
        target,
        ..
    } = wanted
    else {
        return None;
    };
    let asked = reading.software.asked.as_deref()?;
    if (asked.part, asked.name.as_str()) != (*part, name.as_str()) {
        return None;
    }
    let is_target = target
        .as_ref()
        .is_some_and(|it| it.version == asked.version && it.artifact.sha256 == asked.sha256);
    let suffices = is_at_least(&asked.version, minimum);
    let is_closed = asked.until.is_some_and(|until| until <= now);
    let serves = match asked.state {
        InstallationState::Waiting => is_target && !is_closed,
        InstallationState::Offered | InstallationState::UnderWay => is_target || suffices,
        InstallationState::Installed { .. }
        | InstallationState::Failed(_)
        | InstallationState::Cancelled(_) => is_target,
    };
    serves.then_some(asked)
}

/// Returns the words of a failed installation; `None` of one that did not fail.
pub(in crate::delivery) fn failure(
    key: &ItemKey,
    asked: &AskedInstallation,
    version: Option<&str>,
) -> Option<(Reason, String)> {
    let wanted = &asked.version;
    let quoted = |words: &Option<String>| {
        words
            .as_deref()
            .map_or_else(String::new, |words| format!(": \"{words}\""))
    };
    match &asked.state {
        InstallationState::Waiting
        | InstallationState::Offered
        | InstallationState::UnderWay
        | InstallationState::Installed { restarted: false } => None,
        InstallationState::Installed { restarted: true } => {
            let has = version.map_or_else(
                || "does not report it".to_owned(),
                |version| format!("reports {version}"),
            );
            let message =
                format!("{key}: the device says that {wanted} is installed, and {has} since then");
            Some((Reason::AcceptedNotEffective, message))
        }
        InstallationState::Failed(words) => {
            let words = quoted(words);
            let message = format!("{key}: the device could not install {wanted}{words}");
            Some((Reason::InstallationFailed, message))
        }
        InstallationState::Cancelled(words) => {
            let words = quoted(words);
            let message =
                format!("{key}: the device has ended the installation of {wanted}{words}");
            Some((Reason::InstallationFailed, message))
        }
    }
}

/// Returns the sentence for an installation whose file the gateway cannot serve.
fn unavailable(key: &ItemKey, asked: &AskedInstallation, fault: &str) -> String {
    let wanted = &asked.version;
    format!("{key}: {wanted} is to be installed, and the gateway cannot serve its file: {fault}")
}

/// Returns the sentence for a piece of software that waits for the device.
pub(in crate::delivery) fn waits_for(reading: &DeviceReading, item: &ResolvedItem) -> String {
    let key = &item.key;
    match serving(reading, &item.wanted, Timestamp::MIN) {
        None => format!("{key}: {}", unreported(reading, &item.wanted)),
        Some(asked) => match &asked.state {
            InstallationState::Waiting => format!(
                "{key}: {} is to be installed; the device fetches it with its next call",
                asked.version
            ),
            InstallationState::Offered => {
                format!("{key}: the device was told to install {}", asked.version)
            }
            InstallationState::UnderWay => format!("{key}: the device installs {}", asked.version),
            _ => format!(
                "{key}: the device says that {} is installed; it has not started again and \
                 reported it yet",
                asked.version
            ),
        },
    }
}

/// Returns the sentence for a piece of software that the device has not reported: it reported nothing yet,
/// or other pieces alone, as one does whose configuration names this one not.
fn unreported(reading: &DeviceReading, wanted: &Wanted) -> String {
    let versions = &reading.software.versions;
    let Wanted::Software { part, name, .. } = wanted else {
        return "the device has not reported its software yet".to_owned();
    };
    if versions.is_empty() {
        return "the device has not reported its software yet".to_owned();
    }
    let piece = in_words(*part);
    let all = versions.iter().take(MOST_PIECES);
    let pieces = all.map(|((part, name), version)| format!("{} {name} {version}", in_words(*part)));
    let reported = pieces.collect::<Vec<_>>().join(", ");
    let more = match versions.len().saturating_sub(MOST_PIECES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the device has reported {reported}{more}, and not {piece} {name}; the version of that has to be \
         reported too, by a client of DDI as {piece}.{name}"
    )
}

fn in_words(part: SoftwarePart) -> &'static str {
    match part {
        SoftwarePart::Firmware => "firmware",
        SoftwarePart::Application => "application",
    }
}

impl Round<'_> {
    /// Returns the proof of an item of software by a reading.
    pub(super) fn software_reading(
        &self,
        step: &ResolvedStep,
        item: &ResolvedItem,
        at: Timestamp,
        reading: &DeviceReading,
    ) -> VerifiedItem {
        let Wanted::Software {
            part,
            name,
            minimum,
            target,
            ..
        } = &item.wanted
        else {
            return self.of_status(step.r#type, item);
        };
        let found = found(reading, (*part, name, minimum), target.as_ref());
        let (state, problem) = match &found {
            SoftwareFound::Enough => (ItemState::Effective, None),
            SoftwareFound::Unreported => (ItemState::InProgress, None),
            SoftwareFound::Unreadable(words) => {
                let message = format!("{}: {words}", item.key);
                let problem = self.problem(item, Reason::ProtocolError, &message, at);
                (ItemState::NotEffective, Some(problem))
            }
            SoftwareFound::NotEnough { version } => {
                self.while_not_enough(item, at, reading, version.as_deref())
            }
        };
        let reported = reading.software.versions.get(&(*part, name.clone()));
        self.proved(
            (step.r#type, item),
            at,
            reported.map(digest),
            (state, problem),
        )
    }

    /// Returns the state of an item whose version does not suffice, by what became of its installation.
    fn while_not_enough(
        &self,
        item: &ResolvedItem,
        at: Timestamp,
        reading: &DeviceReading,
        version: Option<&str>,
    ) -> (ItemState, Option<Problem>) {
        let Some(asked) = serving(reading, &item.wanted, self.now) else {
            return (ItemState::NotEffective, None);
        };
        if let Some((reason, message)) = failure(&item.key, asked, version) {
            let problem = self.problem(item, reason, &message, at);
            return (ItemState::NotEffective, Some(problem));
        }
        let state = match asked.state {
            InstallationState::Installed { .. } => return (ItemState::AwaitingRestart, None),
            _ => ItemState::InProgress,
        };
        let problem = asked.unavailable.as_ref().map(|fault| Problem {
            outcome: Reason::ArtifactUnavailable,
            // Another kind of fault is told at once, not after the words of the one before.
            since: fault.since,
            message: unavailable(&item.key, asked, &fault.message).into(),
        });
        (state, problem)
    }
}
