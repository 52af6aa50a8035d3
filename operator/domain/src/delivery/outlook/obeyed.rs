//! A device that has done what its twin asks for: the assumption of an outlook, and no prediction.
//!
//! Decides what its status would say then. Called by the outlook of a device that calls.

use entente_crds::v1alpha1::{
    DeploymentState, DeviceTwin, DeviceTwinStatus, GivenSecret, ReportedDataType, ReportedSetting,
    ReportedSoftware, SetBy, TwinDeployment, TwinDeploymentState, TwinReported, TwinSetting,
};
use jiff::Timestamp;

/// Returns a twin after the device has called at an instant, has done what it was asked for, and has
/// reported that. One of a device that has not registered stays as it is.
pub(super) fn obeyed(twin: &DeviceTwin, at: Timestamp) -> DeviceTwin {
    let mut twin = twin.clone();
    let (spec, generation) = (&twin.spec, twin.metadata.generation);
    let Some(status) = twin.status.as_mut().filter(|it| it.registration.is_some()) else {
        return twin;
    };
    let mut reported = status.reported.take().unwrap_or_default();
    let next = spec.next.iter().filter(|next| next.effective <= at);
    let settings = spec.settings.iter();
    for setting in settings.chain(next.flat_map(|next| &next.settings)) {
        has(&mut reported, setting);
    }
    let secrets = spec.settings.iter();
    let secrets = secrets.filter(|it| it.secret_key_ref.is_some());
    status.given = secrets
        .map(|it| GivenSecret {
            name: it.name.as_str().into(),
            version: generation.unwrap_or_default(),
            digest: it.digest,
        })
        .collect();
    let sent = spec.data_types.iter().map(|it| ReportedDataType {
        name: it.name.as_str().into(),
        period: Some(it.period.clone()),
    });
    reported.data_types = sent.collect();
    reported.refused.clear();
    reported.version = generation;
    if let Some(asked) = &spec.deployment {
        installed(asked, &mut reported, status, at);
    }
    status.observed_generation = generation;
    status.last_heard = Some(at);
    status.reported = Some(reported);
    twin
}

fn has(reported: &mut TwinReported, wanted: &TwinSetting) {
    let setting = ReportedSetting {
        name: wanted.name.as_str().into(),
        value: wanted.value.as_deref().map(Into::into),
        digest: wanted.digest,
        by: SetBy::Server,
    };
    let mut settings = reported.settings.iter_mut();
    match settings.find(|it| it.name == setting.name) {
        Some(known) => *known = setting,
        None => reported.settings.push(setting),
    }
}

fn installed(
    asked: &TwinDeployment,
    reported: &mut TwinReported,
    status: &mut DeviceTwinStatus,
    at: Timestamp,
) {
    let known = status.deployment.as_ref();
    if known.is_some_and(|it| it.action == asked.action && it.state.is_over()) {
        return;
    }
    let state = match (asked.part, &asked.name, &asked.version) {
        (Some(part), Some(name), Some(version)) => {
            let mut software = reported.software.iter_mut();
            let piece = ReportedSoftware {
                part,
                name: name.as_str().into(),
                version: version.as_str().into(),
            };
            match software.find(|it| it.part == part && it.name == piece.name) {
                Some(known) => *known = piece,
                None => reported.software.push(piece),
            }
            DeploymentState::Installed
        }
        _ => DeploymentState::Cancelled,
    };
    status.deployment = Some(TwinDeploymentState {
        action: asked.action,
        state,
        message: None,
        at,
        restarted: reported.restarted,
        reported: Some(at),
    });
}
