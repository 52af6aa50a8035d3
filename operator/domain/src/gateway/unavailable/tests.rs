use entente_crds::v1alpha1::{
    Artifact, DeploymentState, DeviceTwinSpec, ReportedSoftware, SoftwarePart, TwinDeployment,
    TwinDeploymentState, TwinReported,
};

use super::*;

const URL: &str = "https://files.example/mfp-500-4.2.0.swu";

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

/// Returns a twin that asks for firmware 4.2.0 by action 12.
fn twin() -> DeviceTwin {
    let deployment = TwinDeployment {
        action: 12,
        part: Some(SoftwarePart::Firmware),
        name: Some("main".to_owned()),
        version: Some("4.2.0".to_owned()),
        artifact: Some(Artifact {
            url: URL.to_owned(),
            ..Artifact::default()
        }),
        ..TwinDeployment::default()
    };
    let spec = DeviceTwinSpec {
        deployment: Some(deployment),
        ..DeviceTwinSpec::default()
    };
    let mut twin = DeviceTwin::new("lobby-mfp", spec);
    twin.metadata.namespace = Some("acme".to_owned());
    twin
}

fn fault(reason: ArtifactFault, detail: &str) -> Unavailable {
    Unavailable {
        reason,
        url: URL.to_owned(),
        connection: Some("files".to_owned()),
        detail: detail.to_owned(),
    }
}

/// Returns the twin after a look for the file of action 12. It is another version if that was written.
fn looked(twin: &DeviceTwin, look: Look<'_>, minute: i64) -> Option<DeviceTwin> {
    let status = after_look(twin, 12, look, at(minute))?;
    let mut twin = twin.clone();
    twin.status = Some(status);
    Some(twin)
}

fn told(twin: &DeviceTwin) -> TwinArtifact {
    let status = twin.status.clone().unwrap();
    status.artifact.expect("a fault")
}

// shows B6 K2 K5
#[test]
fn a_fault_is_written_when_it_becomes_another_one_and_goes_when_the_file_is_there() {
    let without = twin();
    assert_eq!(looked(&without, Look::There, 0), None);
    assert_eq!(looked(&without, Look::OnItsWay, 0), None);
    let away = fault(ArtifactFault::Unreachable, "nobody answers");
    let first = looked(&without, Look::Unavailable(&away), 1).unwrap();
    assert_eq!((told(&first).action, told(&first).since), (12, at(1)));
    assert_eq!(looked(&first, Look::Unavailable(&away), 2), None);
    assert_eq!(
        looked(&first, Look::OnItsWay, 2),
        None,
        "nothing new is known"
    );
    let other = fault(ArtifactFault::Unreachable, "no route");
    let second = looked(&first, Look::Unavailable(&other), 3).unwrap();
    assert_eq!(told(&second).since, at(1), "the same kind of fault");
    let wrong = fault(ArtifactFault::WrongDigest, "it is another one");
    let third = looked(&second, Look::Unavailable(&wrong), 4).unwrap();
    assert_eq!(told(&third).since, at(4));
    let there = looked(&third, Look::There, 5).unwrap();
    assert_eq!(there.status.unwrap().artifact, None);
}

// shows B6 K2
#[test]
fn a_fault_that_nobody_waits_for_any_more_goes_and_none_of_an_earlier_action_is_written() {
    let wrong = fault(ArtifactFault::WrongDigest, "it is another one");
    let known = looked(&twin(), Look::Unavailable(&wrong), 1).unwrap();
    assert_eq!(without_stale(&known), None);
    let ends: [fn(&mut DeviceTwin); 4] = [
        |it| it.spec.deployment.as_mut().unwrap().action = 13,
        |it| {
            let asked = it.spec.deployment.as_mut().unwrap();
            (asked.action, asked.cancel, asked.artifact) = (13, Some(12), None);
        },
        |it| {
            it.status.as_mut().unwrap().deployment = Some(TwinDeploymentState {
                action: 12,
                state: DeploymentState::Failed,
                message: None,
                at: at(2),
                restarted: None,
                reported: None,
            });
        },
        |it| {
            let software = ReportedSoftware {
                part: SoftwarePart::Firmware,
                name: "main".into(),
                version: "4.2.0".into(),
            };
            it.status.as_mut().unwrap().reported = Some(TwinReported {
                software: vec![software],
                ..TwinReported::default()
            });
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut twin = known.clone();
        end(&mut twin);
        let status = without_stale(&twin).unwrap_or_else(|| panic!("{number} stays"));
        assert_eq!(status.artifact, None);
        // A look that began before ends after it.
        let late = after_look(&twin, 12, Look::Unavailable(&wrong), at(9));
        assert_eq!(late.unwrap().artifact, None, "{number}");
    }
}

// shows K2
#[test]
fn the_words_name_the_file_the_connection_and_what_to_do() {
    let words = |fault: &Unavailable| {
        let twin = looked(&twin(), Look::Unavailable(fault), 0).unwrap();
        told(&twin).message.to_string()
    };
    let none = words(&Unavailable::without_connection(URL));
    for part in [URL, "namespace acme", "spec.http.url", "spec.allow"] {
        assert!(none.contains(part), "{none}");
    }
    let wrong = words(&fault(ArtifactFault::WrongDigest, "its SHA-256 is 00"));
    for part in [
        URL,
        "Connection files",
        "(WrongDigest)",
        "its SHA-256 is 00",
        "correct artifact.sha256",
    ] {
        assert!(wrong.contains(part), "{wrong}");
    }
    // However long the parts are, there is room for what to do.
    let mut long = fault(ArtifactFault::NoRoom, &"d".repeat(5000));
    long.url = format!("https://files.example/{}", "u".repeat(1000));
    let long = words(&long);
    assert!(
        long.ends_with("gateway.artifacts.mebibytes of the chart"),
        "{long}"
    );
}

// shows K4
#[test]
fn a_namespace_sees_no_words_of_a_connection_or_a_server_that_is_not_its_own() {
    let fault = fault(ArtifactFault::AddressNotAllowed, "10.0.0.7 is not allowed");
    assert_eq!(fault.seen_by(URL, "files"), fault);
    for (url, connection) in [(URL, "others"), ("https://other.example/4.swu", "files")] {
        let seen = fault.seen_by(url, connection);
        assert_eq!(
            (&*seen.url, seen.connection.as_deref()),
            (url, Some(connection))
        );
        assert_eq!(seen.reason, ArtifactFault::Busy);
        assert!(!seen.detail.contains("10.0.0.7"), "{}", seen.detail);
    }
}
