//! The installation in the twin of a device: what it tells, and what it has to be after an order.
//!
//! Decides the number of each request, which is never used twice, and when the same request goes on. The
//! words of the device say how far it is; they never say what runs on it. Called by the twin.

use entente_crds::v1alpha1::{
    DeploymentState, DeviceTwin, DeviceTwinStatus, TwinDeployment, TwinDeploymentState,
};
use jiff::Timestamp;

use crate::{
    delivery::{Installation, InstallationOrder},
    remote::{AskedInstallation, InstallationState, SoftwareReading, UnavailableFile},
    secret::Redactions,
};

/// Returns the software of a device, and the installation that it was asked for last.
pub(super) fn software(twin: &DeviceTwin, redactions: &Redactions) -> SoftwareReading {
    let status = twin.status.as_ref();
    let reported = status.and_then(|status| status.reported.as_ref());
    let software = reported.into_iter().flat_map(|it| &it.software);
    let versions = software.map(|it| {
        let piece = (it.part, it.name.to_string());
        (piece, it.version.to_string())
    });
    let asked = twin.spec.deployment.as_ref();
    SoftwareReading {
        versions: versions.collect(),
        asked: asked
            .and_then(|asked| installation(asked, status, redactions))
            .map(Box::new),
    }
}

/// Returns the installation that a twin asks for; `None` if it asks for the end of one.
fn installation(
    asked: &TwinDeployment,
    status: Option<&DeviceTwinStatus>,
    redactions: &Redactions,
) -> Option<AskedInstallation> {
    let known = status
        .and_then(|it| it.deployment.as_ref())
        .filter(|it| it.action == asked.action);
    let words = |known: &TwinDeploymentState| {
        let words = known.message.as_deref();
        words.map(|words| redactions.hide(words))
    };
    let state = known.map_or(InstallationState::Waiting, |known| match known.state {
        DeploymentState::Offered => InstallationState::Offered,
        DeploymentState::Downloading => InstallationState::UnderWay,
        DeploymentState::Installed => InstallationState::Installed {
            restarted: has_restarted(known, status),
        },
        DeploymentState::Failed => InstallationState::Failed(words(known)),
        DeploymentState::Cancelled => InstallationState::Cancelled(words(known)),
    });
    let fault = status.and_then(|it| it.artifact.as_ref());
    let fault = fault.filter(|it| it.action == asked.action);
    let unavailable = fault.map(|fault| UnavailableFile {
        message: redactions.hide(&fault.message),
        since: fault.since,
    });
    Some(AskedInstallation {
        part: asked.part?,
        name: asked.name.clone()?,
        version: asked.version.clone()?,
        sha256: asked.artifact.as_ref()?.sha256.clone(),
        until: asked.until,
        state,
        unavailable,
    })
}

/// True if the device has told of itself anew since it said that the installation is done: it has
/// started again, or has reported its software.
///
/// The instant of a restart is by the clock of the device, which may be wrong by years: it is compared
/// with another one by the same clock, and only if there is none with the clock of the gateway.
fn has_restarted(known: &TwinDeploymentState, status: Option<&DeviceTwinStatus>) -> bool {
    let reported = status.and_then(|status| status.reported.as_ref());
    let restarted = reported.and_then(|it| it.restarted);
    let since = |restarted: Timestamp| match known.restarted {
        Some(before) => restarted != before,
        None => restarted > known.at,
    };
    known.reported.is_some() || restarted.is_some_and(since)
}

/// Returns the installation of a twin after an order.
pub(super) fn after(
    twin: Option<&DeviceTwin>,
    order: Option<&InstallationOrder>,
) -> Option<TwinDeployment> {
    let present = twin.and_then(|twin| twin.spec.deployment.as_ref());
    let Some(order) = order else {
        return present.cloned();
    };
    let status = twin
        .and_then(|twin| twin.status.as_ref())
        .and_then(|status| status.deployment.as_ref());
    match order {
        InstallationOrder::Install(installation) => {
            let asked = asked(installation);
            let same = present.filter(|it| is_same(it, &asked) && !is_over(it, status));
            Some(match same {
                // A device that was told of it goes on with it, and meets no other window.
                Some(same) if is_told(same, status) => same.clone(),
                Some(same) => TwinDeployment {
                    until: asked.until,
                    ..same.clone()
                },
                None => TwinDeployment {
                    action: next_action(present, status),
                    cancel: present.and_then(|it| unfinished(it, status)),
                    ..asked
                },
            })
        }
        InstallationOrder::Cancel => {
            let present = present?;
            let open = present.artifact.is_some() && !is_over(present, status);
            Some(if open {
                TwinDeployment {
                    action: next_action(Some(present), status),
                    cancel: unfinished(present, status),
                    ..TwinDeployment::default()
                }
            } else {
                present.clone()
            })
        }
    }
}

fn asked(installation: &Installation) -> TwinDeployment {
    TwinDeployment {
        part: Some(installation.part),
        name: Some(installation.name.clone()),
        version: Some(installation.version.clone()),
        artifact: Some(installation.artifact.clone()),
        until: installation.until,
        ..TwinDeployment::default()
    }
}

/// True if both ask for the same file in the same place.
fn is_same(one: &TwinDeployment, other: &TwinDeployment) -> bool {
    let parts = |it: &TwinDeployment| {
        (
            it.part,
            it.name.clone(),
            it.version.clone(),
            it.artifact.clone(),
        )
    };
    parts(one) == parts(other)
}

/// True if the device was told of it.
fn is_told(it: &TwinDeployment, status: Option<&TwinDeploymentState>) -> bool {
    status.is_some_and(|status| status.action == it.action)
}

fn is_over(it: &TwinDeployment, status: Option<&TwinDeploymentState>) -> bool {
    status.is_some_and(|status| status.action == it.action && status.state.is_over())
}

/// Returns the action that the device has to end before another one: the present one, or the one that
/// the present one should have ended.
fn unfinished(present: &TwinDeployment, status: Option<&TwinDeploymentState>) -> Option<i64> {
    if present.artifact.is_some() {
        // The present one is offered only once the one before it has ended.
        let at_work = status.filter(|status| !status.state.is_over());
        let before = present
            .cancel
            .filter(|action| at_work.is_some_and(|status| status.action == *action));
        return before.or_else(|| Some(present.action).filter(|_| !is_over(present, status)));
    }
    let is_ended = |action: i64| {
        status.is_some_and(|status| {
            status.action == present.action || status.action == action && status.state.is_over()
        })
    };
    present.cancel.filter(|action| !is_ended(*action))
}

fn next_action(present: Option<&TwinDeployment>, status: Option<&TwinDeploymentState>) -> i64 {
    let known = present.map(|it| it.action).into_iter();
    let known = known.chain(status.map(|it| it.action)).max();
    known.unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
mod tests;
