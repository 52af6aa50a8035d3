//! Numbers and ends of installations in a twin.

use entente_crds::v1alpha1::{Artifact, DeviceTwinSpec, SoftwarePart};
use proptest::prelude::*;

use super::*;

fn install(version: &str, until: Option<Timestamp>) -> InstallationOrder {
    InstallationOrder::Install(Box::new(Installation {
        part: SoftwarePart::Firmware,
        name: "main".to_owned(),
        version: version.to_owned(),
        artifact: Artifact {
            sha256: version.to_owned(),
            ..Artifact::default()
        },
        until,
        items: Vec::new(),
    }))
}

fn state(action: i64, state: DeploymentState) -> TwinDeploymentState {
    TwinDeploymentState {
        action,
        state,
        message: None,
        at: at(0),
        restarted: None,
        reported: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("an instant")
}

/// Writes an order into a twin.
fn write(twin: &mut DeviceTwin, order: &InstallationOrder) {
    twin.spec.deployment = after(Some(twin), Some(order));
}

fn say(twin: &mut DeviceTwin, said: TwinDeploymentState) {
    twin.status.get_or_insert_default().deployment = Some(said);
}

/// Returns action, version and cancelled action.
fn shown(twin: &DeviceTwin) -> (i64, Option<&str>, Option<i64>) {
    let it = twin.spec.deployment.as_ref().expect("a deployment");
    (it.action, it.version.as_deref(), it.cancel)
}

fn twin() -> DeviceTwin {
    DeviceTwin::new("t", DeviceTwinSpec::default())
}

// shows B6
#[test]
fn a_request_that_is_not_over_goes_on_and_every_other_one_has_a_number_of_its_own() {
    let mut twin = twin();
    write(&mut twin, &install("4.1", None));
    assert_eq!(shown(&twin), (1, Some("4.1"), None));
    write(&mut twin, &install("4.1", Some(at(9))));
    assert_eq!(shown(&twin), (1, Some("4.1"), None), "another window");
    let until = |twin: &DeviceTwin| twin.spec.deployment.as_ref().and_then(|it| it.until);
    assert_eq!(until(&twin), Some(at(9)));
    write(&mut twin, &install("4.2", None));
    assert_eq!(
        shown(&twin),
        (2, Some("4.2"), Some(1)),
        "the first is ended"
    );
    say(&mut twin, state(2, DeploymentState::Downloading));
    write(&mut twin, &install("4.2", Some(at(9))));
    assert_eq!(shown(&twin), (2, Some("4.2"), Some(1)));
    assert_eq!(until(&twin), None, "it goes on as it began");
    say(&mut twin, state(2, DeploymentState::Failed));
    write(&mut twin, &install("4.2", None));
    assert_eq!(shown(&twin), (3, Some("4.2"), None), "once more");
}

// shows B6
#[test]
fn what_nobody_wants_any_more_is_ended_once_and_ended_before_the_next_one() {
    let mut twin = twin();
    assert_eq!(after(Some(&twin), Some(&InstallationOrder::Cancel)), None);
    write(&mut twin, &install("4.1", None));
    say(&mut twin, state(1, DeploymentState::Downloading));
    write(&mut twin, &InstallationOrder::Cancel);
    assert_eq!(shown(&twin), (2, None, Some(1)));
    write(&mut twin, &InstallationOrder::Cancel);
    assert_eq!(shown(&twin), (2, None, Some(1)), "once");
    write(&mut twin, &install("4.2", None));
    assert_eq!(
        shown(&twin),
        (3, Some("4.2"), Some(1)),
        "it was not ended yet"
    );
    say(&mut twin, state(3, DeploymentState::Installed));
    write(&mut twin, &InstallationOrder::Cancel);
    assert_eq!(shown(&twin), (3, Some("4.2"), Some(1)), "it is over");
}

// shows B6
#[test]
fn what_the_device_is_at_is_ended_however_often_it_is_asked_for_something_else_meanwhile() {
    let mut twin = twin();
    write(&mut twin, &install("4.1", None));
    say(&mut twin, state(1, DeploymentState::Downloading));
    write(&mut twin, &install("4.2", None));
    write(&mut twin, &install("4.3", None));
    assert_eq!(shown(&twin), (3, Some("4.3"), Some(1)), "it was told of 1");
    write(&mut twin, &InstallationOrder::Cancel);
    assert_eq!(shown(&twin), (4, None, Some(1)));
    write(&mut twin, &install("4.4", None));
    assert_eq!(shown(&twin), (5, Some("4.4"), Some(1)));
    say(&mut twin, state(1, DeploymentState::Cancelled));
    write(&mut twin, &install("4.5", None));
    assert_eq!(shown(&twin), (6, Some("4.5"), Some(5)), "1 is over");
}

// shows B6
#[test]
fn an_end_that_the_device_knows_of_is_not_asked_for_again() {
    for said in [
        state(1, DeploymentState::Cancelled),
        state(1, DeploymentState::Installed),
        state(2, DeploymentState::Cancelled),
    ] {
        let mut twin = twin();
        write(&mut twin, &install("4.1", None));
        write(&mut twin, &InstallationOrder::Cancel);
        say(&mut twin, said.clone());
        write(&mut twin, &install("4.2", None));
        assert_eq!(shown(&twin), (3, Some("4.2"), None), "{said:?}");
    }
}

// shows B6 K5
#[test]
fn a_restart_is_seen_whatever_the_clock_of_the_device_says() {
    let year = 366 * 24 * 3600;
    for (before, restarted, reported, expected) in [
        (None, None, None, false),
        (None, Some(at(-1)), None, false),
        (None, Some(at(1)), None, true),
        (Some(at(-year)), Some(at(-year)), None, false),
        (Some(at(-year)), Some(at(60 - year)), None, true),
        (Some(at(year)), Some(at(year)), None, false),
        (Some(at(year)), Some(at(60 + year)), None, true),
        // The clock of the device was set back by a restart.
        (Some(at(year)), Some(at(-year)), None, true),
        (None, None, Some(at(1)), true),
    ] {
        let known = TwinDeploymentState {
            restarted: before,
            reported,
            ..state(1, DeploymentState::Installed)
        };
        let status = DeviceTwinStatus {
            reported: Some(entente_crds::v1alpha1::TwinReported {
                restarted,
                ..Default::default()
            }),
            ..DeviceTwinStatus::default()
        };
        let found = has_restarted(&known, Some(&status));
        assert_eq!(found, expected, "{before:?} {restarted:?} {reported:?}");
    }
}

proptest! {
    // shows B6
    #[test]
    fn a_number_is_never_used_for_two_requests(
        events in prop::collection::vec((0..3_u8, 0..5_u8), 1..40),
    ) {
        let mut twin = twin();
        let mut seen = std::collections::BTreeMap::new();
        let mut newest = 0;
        for (event, which) in events {
            match event {
                0 => write(&mut twin, &install(["4.1", "4.2", "4.3"][usize::from(which % 3)], None)),
                1 => write(&mut twin, &InstallationOrder::Cancel),
                _ => {
                    let states = [
                        DeploymentState::Offered, DeploymentState::Downloading,
                        DeploymentState::Installed, DeploymentState::Failed,
                        DeploymentState::Cancelled,
                    ];
                    let action = twin.spec.deployment.as_ref().map_or(0, |it| it.action);
                    say(&mut twin, state(action, states[usize::from(which)]));
                }
            }
            let Some(it) = &twin.spec.deployment else { continue };
            prop_assert!(it.action >= newest);
            prop_assert!(it.cancel.is_none_or(|cancelled| cancelled < it.action));
            newest = it.action;
            let asks = (it.version.clone(), it.cancel);
            let first = seen.entry(it.action).or_insert_with(|| asks.clone());
            prop_assert_eq!(&*first, &asks);
        }
    }
}
