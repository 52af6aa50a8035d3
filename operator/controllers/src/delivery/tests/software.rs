//! Firmware of a device that calls, through the API server, with the operator killed in between. What is
//! asked for and what proves it is shown by the tests of the domain.

use entente_crds::v1alpha1::{
    AgentSoftware, Artifact, ArtifactFault, DeploymentState, DeviceModel, Firmware,
    MaintenanceWindow, ReportedSetting, ReportedSoftware, SetBy, SmartService, SoftwarePart,
    SoftwareVia, TwinArtifact, TwinDeployment, TwinDeploymentState,
};

use super::{
    calling::{call, calling, is_asked, register, twin},
    *,
};

/// Starts as [`calling`] does, with a service that needs firmware 4.2.0, which may be installed each day
/// from 10:00 in São Paulo, an hour from now.
fn needing_firmware() -> InProcess {
    let process = calling();
    let cluster = &process.cluster;
    cluster.edit("", "mfp-500", |model: &mut DeviceModel| {
        model.spec.firmware = vec![Firmware {
            name: "main".to_owned(),
            version: "4.2.0".to_owned(),
            artifact: Artifact {
                url: "https://files.example/a.swu".to_owned(),
                sha256: "ab".repeat(32),
                size: 1,
                ..Artifact::default()
            },
            via: SoftwareVia {
                agent: Some(AgentSoftware {}),
            },
            downgrade: false,
            takes: Some("30m".into()),
        }];
    });
    cluster.edit("", "data-backup", |service: &mut SmartService| {
        let side = service.spec.device.as_mut().expect("a side");
        side.models[0].minimum_firmware = Some("4.2.0".to_owned());
    });
    objects::edit_device(&process, |device| {
        device.spec.maintenance_windows = vec![MaintenanceWindow {
            days: Vec::new(),
            start: "10:00".to_owned(),
            duration: "2h".into(),
        }];
    });
    process
}

/// The device reports its firmware, and that it has what its twin asks for.
fn runs(process: &InProcess, version: &str) {
    let spec = twin(process);
    let generation = spec.metadata.generation;
    let has = spec.spec.settings.iter().map(|wanted| ReportedSetting {
        name: wanted.name.as_str().into(),
        value: wanted.value.as_deref().map(Into::into),
        digest: wanted.digest,
        by: SetBy::Server,
    });
    let settings = has.collect();
    let at = process.clock.now();
    call(process, |status| {
        let reported = status.reported.get_or_insert_default();
        reported.version = generation;
        reported.settings = settings;
        reported.software = vec![ReportedSoftware {
            part: SoftwarePart::Firmware,
            name: "main".into(),
            version: version.into(),
        }];
        reported.restarted = Some(at);
    });
}

fn deployment(process: &InProcess) -> Option<TwinDeployment> {
    twin(process).spec.deployment
}

/// Returns the state of the firmware in the status of the subscription.
fn state(process: &InProcess) -> String {
    let items = status(process).items;
    let found = items.iter().find(|item| item.key == "Firmware/main");
    found.map_or_else(String::new, |item| format!("{:?}", item.state))
}

/// Returns the reason of the problem of the firmware in the status of the subscription.
fn problem(process: &InProcess) -> String {
    let items = status(process).items;
    let found = items.iter().find(|item| item.key == "Firmware/main");
    let problem = found.and_then(|item| item.problem.as_ref());
    problem.map_or_else(String::new, |problem| problem.outcome.to_string())
}

// shows B6 K2
#[tokio::test(start_paused = true)]
async fn firmware_is_installed_in_the_window_and_proved_by_its_version_with_the_operator_killed() {
    let mut process = needing_firmware();
    process.start(delivery).await;
    let missing = |process: &InProcess| device_says(process, "Online") == "False(NotRegistered)";
    process.until("there is a twin", missing).await;
    register(&process);
    runs(&process, "4.1.0");
    let opens = "2027-03-31T13:00:00Z".parse().expect("an instant");
    let calls = |process: &InProcess| twin(process).spec.call_at == Some(opens);
    process.until("the device is to call", calls).await;
    process.let_pass(Duration::from_mins(30)).await;
    assert_eq!(deployment(&process), None, "the window is closed");

    let installs = |process: &InProcess| deployment(process).is_some();
    process.until("the firmware is asked for", installs).await;
    assert!(process.clock.now() >= opens, "{}", process.clock.now());
    let at = process.clock.now();
    call(&process, |status| {
        status.artifact = Some(TwinArtifact {
            action: 1,
            reason: ArtifactFault::NoConnection,
            message: "no Connection leads there".into(),
            since: at,
        });
    });
    let told = |process: &InProcess| problem(process) == "ArtifactUnavailable";
    process.until("the file is said to be missing", told).await;
    call(&process, |status| {
        status.artifact = None;
        status.deployment = Some(TwinDeploymentState {
            action: 1,
            state: DeploymentState::Installed,
            message: None,
            at,
            restarted: status.reported.as_ref().and_then(|it| it.restarted),
            reported: None,
        });
    });
    let restarting = |process: &InProcess| state(process) == "AwaitingRestart";
    process.until("it waits for the restart", restarting).await;
    process.kill();
    process.clock.jump(jiff::SignedDuration::from_mins(5));
    runs(&process, "4.2.0");
    process.start(delivery).await;
    let proved = |process: &InProcess| state(process) == "Effective";
    process.until("the version is reported", proved).await;
    assert!(!is_asked(&process), "the settings come at the start");

    begin(&process);
    process.until("the settings are asked for", is_asked).await;
    assert_eq!(sent(&process), [], "the server comes after the device");
    runs(&process, "4.2.0");
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), [Operation::Provision, Operation::Update]);
    let asked = deployment(&process).expect("the last one");
    assert_eq!((asked.action, asked.cancel), (1, None), "asked once");
}
