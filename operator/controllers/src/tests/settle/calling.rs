//! A device that calls, its enrolment and its twin, and everything that the gateway may write of it.

use entente_crds::{
    LABEL_USE, MAY_BE_USED,
    v1alpha1::{
        ConsentWay, DeploymentState, DeviceTwin, DeviceTwinSpec, DeviceTwinStatus,
        MaintenanceWindow, RefusedBecause, RefusedSetting, ReportedSetting, ReportedSoftware,
        SetBy, SoftwarePart, TwinConsent, TwinDeploymentState, TwinRegistration,
    },
};
use entente_domain::gateway::registration::pending_name;
use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{objects::delete, *};

/// The Device that calls.
pub(super) const CALLER: &str = "branch-nw5-0007";
const SERIAL_NUMBER: &str = "NW5-0007";
const TOKEN: &str = "banco-sul-enrollment";

/// A write of the gateway, or a change of a twin by a person.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Registers,
    /// Another machine than the Device means registers.
    Impostor,
    /// A machine registers as if no Device meant it yet: that of the Device, or another.
    Pends(usize),
    Reports(Report),
    /// The device says how far it is with the installation of this number, or of one before it.
    Installs(DeploymentState, bool),
    /// The device runs a version of its firmware, by number of [`VERSIONS`], and says so.
    Runs(usize),
    Withdraws,
    Heard,
    /// A person deletes the twin.
    Deleted,
    /// A person makes the twin one of another Device.
    Foreign,
}

/// Report of a device about its settings.
#[derive(Clone, Copy, Debug)]
pub(super) enum Report {
    /// All settings that it is asked for.
    Everything,
    /// The first setting alone.
    Part,
    /// Other values than those that it is asked for, as if nothing were wrong.
    Lie,
    /// A refusal of all of it.
    Refusal,
    /// All of it, of a version that does not exist yet.
    Ahead,
    /// Digests in place of values.
    Digests,
    /// As many as fit, with texts that no one asked for.
    Flood,
    Nothing,
}

/// Versions of firmware that the device may run: the first is that of the factory.
const VERSIONS: [&str; 5] = ["4.1.0", "4.2.0", "9", "4.2.0-rc1", ""];

pub(super) fn calls() -> impl Strategy<Value = Call> {
    let reports = prop::sample::select(vec![
        Report::Everything,
        Report::Everything,
        Report::Part,
        Report::Lie,
        Report::Refusal,
        Report::Ahead,
        Report::Digests,
        Report::Flood,
        Report::Nothing,
    ]);
    let states = prop::sample::select(vec![
        DeploymentState::Offered,
        DeploymentState::Downloading,
        DeploymentState::Installed,
        DeploymentState::Failed,
        DeploymentState::Cancelled,
    ]);
    prop_oneof![
        4 => Just(Call::Registers),
        1 => Just(Call::Impostor),
        1 => (0..2_usize).prop_map(Call::Pends),
        6 => reports.prop_map(Call::Reports),
        3 => (states, any::<bool>()).prop_map(|(state, earlier)| Call::Installs(state, earlier)),
        3 => (0..VERSIONS.len()).prop_map(Call::Runs),
        1 => Just(Call::Withdraws),
        1 => Just(Call::Heard),
        1 => Just(Call::Deleted),
        1 => Just(Call::Foreign),
    ]
}

pub(super) fn device() -> Device {
    let mut device = example::calling_device();
    device.metadata.name = Some(CALLER.to_owned());
    SERIAL_NUMBER.clone_into(&mut device.spec.serial_number);
    device.spec.maintenance_windows = vec![MaintenanceWindow {
        days: Vec::new(),
        start: "02:00".to_owned(),
        duration: "2h".into(),
    }];
    device
}

/// Returns the Secret of the enrolment.
pub(super) fn token() -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(TOKEN.to_owned());
    secret.metadata.namespace = Some(NAMESPACE.to_owned());
    secret.metadata.labels = Some([(LABEL_USE.to_owned(), MAY_BE_USED.to_owned())].into());
    let text = b"a token of more than twenty characters".to_vec();
    secret.data = Some([("token".to_owned(), ByteString(text))].into());
    secret
}

pub(super) fn remove_token(process: &InProcess) {
    delete::<Secret>(process, NAMESPACE, TOKEN);
}

pub(super) fn call(process: &InProcess, call: Call) {
    match call {
        Call::Pends(number) => pend(process, number),
        Call::Deleted => delete::<DeviceTwin>(process, NAMESPACE, CALLER),
        Call::Foreign => edit(process, |twin| {
            if let Some(device) = &mut twin.spec.device_ref {
                "of another Device".clone_into(&mut device.uid);
            }
        }),
        _ => edit(process, |twin| said(process, twin, call)),
    }
}

fn edit(process: &InProcess, edit: impl FnOnce(&mut DeviceTwin)) {
    let found: Option<DeviceTwin> = process.cluster.get(NAMESPACE, CALLER);
    if found.is_some() {
        process.cluster.edit(NAMESPACE, CALLER, edit);
    }
}

/// Makes the twin of a registration that waits, as the gateway does.
fn pend(process: &InProcess, number: usize) {
    let serial_number = [SERIAL_NUMBER, "NW5-9001"][number];
    let name = pending_name(serial_number);
    let found: Option<DeviceTwin> = process.cluster.get(NAMESPACE, &name);
    if found.is_some() {
        return;
    }
    let mut twin = DeviceTwin::new(&name, DeviceTwinSpec::default());
    twin.metadata.namespace = Some(NAMESPACE.to_owned());
    process.cluster.apply(&twin);
    let registration = registration(process, serial_number);
    process
        .cluster
        .edit(NAMESPACE, &name, |twin: &mut DeviceTwin| {
            twin.status.get_or_insert_default().registration = Some(registration);
        });
}

fn registration(process: &InProcess, serial_number: &str) -> TwinRegistration {
    let now = process.clock.now();
    TwinRegistration {
        enrollment: example::enrollment().name_any(),
        at: now,
        serial_number: serial_number.into(),
        product_name: "Northwind MFP 510".into(),
        uuid: Some("urn:uuid:7".into()),
        consent: Some(TwinConsent {
            by: ConsentWay::Panel,
            at: now,
            text_version: "1".into(),
            ..TwinConsent::default()
        }),
        ..TwinRegistration::default()
    }
}

/// Changes the half of a twin that is the gateway's.
fn said(process: &InProcess, twin: &mut DeviceTwin, call: Call) {
    let now = process.clock.now();
    let spec = twin.spec.clone();
    let generation = twin.metadata.generation.unwrap_or_default();
    let status = twin.status.get_or_insert_default();
    match call {
        Call::Registers | Call::Impostor => {
            let is_ours = matches!(call, Call::Registers);
            let serial_number = if is_ours { SERIAL_NUMBER } else { "NW5-6666" };
            let mut registration = registration(process, serial_number);
            registration.printer_id = Some("7d5d0a4e-0000-4000-8000-000000000007".to_owned());
            *status = DeviceTwinStatus {
                registration: Some(registration),
                last_heard: Some(now),
                ..DeviceTwinStatus::default()
            };
            runs(status, 0, now);
        }
        _ if status.registration.is_none() => {}
        Call::Heard => status.last_heard = Some(now),
        Call::Withdraws => {
            let registration = status.registration.as_mut();
            let consent = registration.and_then(|it| it.consent.as_mut());
            if let Some(consent) = consent {
                consent.withdrawn.get_or_insert(now);
            }
        }
        Call::Runs(number) => runs(status, number, now),
        Call::Installs(state, earlier) => {
            let Some(asked) = &spec.deployment else {
                return;
            };
            let restarted = status.reported.as_ref().and_then(|it| it.restarted);
            status.deployment = Some(TwinDeploymentState {
                action: (asked.action - i64::from(earlier)).max(1),
                state,
                message: Some("words of the device".into()),
                at: now,
                restarted,
                reported: None,
            });
        }
        Call::Reports(how) => report(status, &spec, how, generation),
        Call::Pends(_) | Call::Deleted | Call::Foreign => {}
    }
}

fn runs(status: &mut DeviceTwinStatus, number: usize, now: Timestamp) {
    let reported = status.reported.get_or_insert_default();
    let piece = |part, name: &str, version: &str| ReportedSoftware {
        part,
        name: name.into(),
        version: version.into(),
    };
    let main = piece(SoftwarePart::Firmware, "main", VERSIONS[number]);
    let panel = piece(SoftwarePart::Application, "panel-agent", "2.1.0");
    // The application comes with the newest firmware.
    let panel = (number == 2).then_some(panel);
    reported.software = [main].into_iter().chain(panel).collect();
    reported.restarted = Some(now);
    if let Some(deployment) = &mut status.deployment {
        deployment.reported.get_or_insert(now);
    }
}

fn report(status: &mut DeviceTwinStatus, spec: &DeviceTwinSpec, how: Report, generation: i64) {
    let reported = status.reported.get_or_insert_default();
    let value = |name: &str, value: Option<&str>, by| ReportedSetting {
        name: name.into(),
        value: value.map(Into::into),
        digest: None,
        by,
    };
    let wanted = spec.settings.iter();
    let all = wanted.map(|it| ReportedSetting {
        digest: it.digest,
        ..value(&it.name, it.value.as_deref(), SetBy::Server)
    });
    reported.version = Some(match how {
        Report::Ahead => generation + 7,
        _ => generation,
    });
    reported.refused.clear();
    reported.settings = match how {
        Report::Everything | Report::Ahead => all.collect(),
        Report::Part => all.take(1).collect(),
        Report::Lie => all
            .map(|it| value(&it.name, Some("another"), SetBy::Server))
            .collect(),
        Report::Digests => all.map(|it| value(&it.name, None, SetBy::Panel)).collect(),
        Report::Refusal => {
            let refused = spec.settings.iter().map(|it| RefusedSetting {
                name: it.name.as_str().into(),
                reason: RefusedBecause::Busy,
                message: Some("not now\u{202e}".into()),
            });
            reported.refused = refused.collect();
            Vec::new()
        }
        Report::Flood => {
            let long = "x".repeat(1023);
            let names = (0..128).map(|number| format!("setting-{number}"));
            names
                .map(|name| value(&name, Some(&long), SetBy::Technician))
                .collect()
        }
        Report::Nothing => Vec::new(),
    };
}
