//! Firmware and applications of a device that calls: what is asked of it, what proves that it has them,
//! and what is said while it does not.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{ArtifactFault, Cause, DeploymentState, ItemState, ReleasedAs, SoftwarePart},
};
use jiff::SignedDuration;

use super::pass_fixture::{now, said};
use super::software_fixture::{Story, application, delay, firmware, item, ready};
use crate::gateway::ddi::{Controller, offer};

const MAIN: &str = "Firmware/main";
const AGENT: &str = "Application/agent";

/// Lets a device install and report the firmware that it is asked for.
fn installs(story: &mut Story, version: &str) {
    story.says(DeploymentState::Downloading, None);
    story.pass();
    story.says(DeploymentState::Installed, None);
    story.pass();
    story.restarts_at(story.now);
    story.runs(version);
}

// shows B6
#[test]
fn software_comes_before_settings_settings_before_the_server_and_activation_is_last() {
    let mut story = Story::new(Some("4.2"), &[("agent", "2.0")]);
    let report = &story.pass()["backup"];
    assert_eq!(story.asked(), "1 main 4.2.0");
    assert_eq!(item(report, MAIN).state, ItemState::InProgress);
    assert_eq!(ready(report).0, "False(WaitingForDevice)");
    let step = report.status.step.map(|step| format!("{step:?}"));
    assert_eq!(step.as_deref(), Some("Firmware"));
    assert_eq!(item(report, AGENT).state, ItemState::NotEffective);
    installs(&mut story, "4.2.0");
    let report = &story.pass()["backup"];
    assert_eq!(item(report, MAIN).state, ItemState::Effective);
    assert_eq!(story.asked(), "2 agent 2.1.0");
    story.says(DeploymentState::Installed, None);
    story.pass();
    story.reports(SoftwarePart::Application, "agent", "2.1.0");
    story.pass();
    story.takes_settings();
    let report = &story.pass()["backup"];
    assert_eq!(said(report, ConditionType::Delivered), "True(Delivered)");
    assert_eq!(
        story.requests,
        [
            "install main 4.2.0",
            "install agent 2.1.0",
            "settings",
            "provision",
            "update"
        ]
    );
    for condition in [
        ConditionType::FirmwareCurrent,
        ConditionType::ApplicationsInstalled,
        ConditionType::SettingsApplied,
    ] {
        assert_eq!(story.device_says(condition), "True(Succeeded)");
    }
    let device = story.snapshot.device.as_ref().expect("a device");
    let identity = device.status.as_ref().and_then(|it| it.identity.as_ref());
    let firmware = &identity.expect("an identity").firmware;
    assert_eq!(
        (&*firmware[0].name, &*firmware[0].version),
        ("main", "4.2.0")
    );
    // Nothing is asked a second time.
    story.requests.clear();
    story.later(60).pass();
    assert_eq!(story.requests, [""; 0]);
    assert_eq!(story.asked(), "2 agent 2.1.0");
}

// shows B6 D1
#[test]
fn the_word_of_the_device_proves_nothing_and_is_believed_no_longer_than_until_its_restart() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    story.says(DeploymentState::Installed, None);
    let report = &story.pass()["backup"];
    assert_eq!(item(report, MAIN).state, ItemState::AwaitingRestart);
    let (said_, words) = ready(report);
    assert_eq!(said_, "False(AwaitingRestart)");
    assert!(words.contains("says that 4.2.0 is installed"), "{words}");
    // However long that takes, it is not asked again.
    story.later(600).pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
    story.restarts_at(story.now);
    let report = &story.pass()["backup"];
    let problem = item(report, MAIN).problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    assert!(
        problem
            .message
            .contains("4.2.0 is installed, and reports 4.1.0"),
        "{}",
        &*problem.message
    );
    assert_eq!(item(report, MAIN).state, ItemState::NotEffective);
    assert_eq!(story.asked(), "1 main 4.2.0", "after a wait");
    assert!(
        story
            .wakes
            .is_some_and(|at| at <= story.now + SignedDuration::from_mins(1))
    );
    story.later(2).pass();
    assert_eq!(story.asked(), "2 main 4.2.0");
    installs(&mut story, "4.2.0");
    let report = &story.pass()["backup"];
    assert_eq!(item(report, MAIN).state, ItemState::Effective);
}

// shows B6 D9
#[test]
fn a_failed_installation_is_told_in_the_devices_own_words_and_tried_again_after_longer_waits() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    let mut waits = Vec::new();
    for attempt in 1..=4 {
        assert_eq!(story.asked(), format!("{attempt} main 4.2.0"));
        let long = "no space left on the flash ".repeat(60);
        story.says(DeploymentState::Failed, Some(&long));
        let report = &story.pass()["backup"];
        let found = item(report, MAIN);
        assert_eq!(found.state, ItemState::NotEffective);
        let problem = found.problem.expect("a problem");
        assert_eq!(problem.outcome, Reason::InstallationFailed);
        let words = problem.message.to_string();
        assert!(words.contains("\"no space left on the flash"), "{words}");
        assert!(words.chars().count() <= 1024, "{}", words.len());
        assert_eq!(ready(report).0, "False(InstallationFailed)");
        assert_eq!(delay(report), (Reason::InstallationFailed, Cause::Device));
        let wait = story.wakes.expect("a wait").duration_since(story.now);
        waits.push(wait.as_secs());
        story.now += wait;
        story.pass();
    }
    assert_eq!(waits, [60, 120, 240, 480]);
    let device = story.device_says(ConditionType::FirmwareCurrent);
    assert_eq!(device, "False(WaitingForDevice)");
}

// shows B6
#[test]
fn another_file_for_the_same_version_is_tried_at_once() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    story.says(DeploymentState::Failed, Some("bad signature"));
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
    story.edit_model(|model| model.spec.firmware[1].artifact.sha256 = "c".repeat(64));
    story.pass();
    assert_eq!(story.asked(), "2 main 4.2.0");
}

// shows B6
#[test]
fn the_operator_may_be_killed_at_any_point_and_goes_on_with_the_same_installation() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.loses_statuses = true;
    for state in [
        None,
        Some(DeploymentState::Offered),
        Some(DeploymentState::Downloading),
        Some(DeploymentState::Installed),
    ] {
        if let Some(state) = state {
            story.says(state, None);
        }
        for _ in 0..2 {
            story.later(1).pass();
            story.restart_operator();
        }
        assert_eq!(story.asked(), "1 main 4.2.0", "{state:?}");
    }
    // Between the word and the restart, which it reports while the operator is not there.
    story.restarts_at(story.now);
    story.runs("4.2.0");
    story.loses_statuses = false;
    let report = &story.pass()["backup"];
    assert_eq!(item(report, MAIN).state, ItemState::Effective);
    assert_eq!(story.asked(), "1 main 4.2.0");
}

// shows B6
#[test]
fn a_device_that_is_downgraded_by_hand_is_asked_again() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    installs(&mut story, "4.2.0");
    story.pass();
    story.takes_settings();
    story.pass();
    story.runs("4.1.0");
    let report = &story.later(60).pass()["backup"];
    assert_eq!(story.asked(), "2 main 4.2.0");
    assert_eq!(item(report, MAIN).state, ItemState::InProgress);
    assert_ne!(said(report, ConditionType::Delivered), "True(Delivered)");
}

// shows B6 B7
#[test]
fn what_the_device_has_already_counts_whoever_installed_it_and_newer_is_fine() {
    for version in ["4.2", "4.2.0", "4.10.0", "5"] {
        let mut story = Story::new(Some("4.2"), &[]);
        story.runs(version);
        let report = &story.pass()["backup"];
        assert_eq!(item(report, MAIN).state, ItemState::Effective, "{version}");
        assert_eq!(story.asked(), "nothing");
    }
}

// shows B6
#[test]
fn firmware_is_installed_once_for_several_services_in_the_version_that_serves_all() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.add_parts(Some("4.3"), now());
    story.pass();
    assert_eq!(story.asked(), "1 main 4.10.0");
    installs(&mut story, "4.10.0");
    let reports = story.pass();
    for service in ["backup", "parts"] {
        let found = item(&reports[service], MAIN);
        assert_eq!(found.state, ItemState::Effective, "{service}");
    }
    let installed = story.requests.iter().filter(|it| it.starts_with("install"));
    assert_eq!(installed.count(), 1);
}

// shows B6
#[test]
fn a_service_that_comes_later_raises_what_the_device_was_not_told_of_and_waits_else() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    story.add_parts(Some("4.3"), story.now);
    story.pass();
    assert_eq!(story.asked(), "2 main 4.10.0 cancels 1");

    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    story.says(DeploymentState::Downloading, None);
    story.add_parts(Some("4.3"), story.now);
    let reports = story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0", "it goes on");
    let (said, words) = ready(&reports["parts"]);
    assert_eq!(said, "False(WaitingForDevice)");
    assert!(
        words.contains("until the device has installed main 4.2.0"),
        "{words}"
    );
    installs(&mut story, "4.2.0");
    story.pass();
    assert_eq!(story.asked(), "2 main 4.10.0");
}

// shows B6
#[test]
fn software_is_installed_in_the_lead_time_and_settings_wait_for_the_start() {
    let mut story = Story::new(Some("4.2"), &[]);
    let start = story.now + SignedDuration::from_hours(24 * 10);
    story.edit(|it| std::sync::Arc::make_mut(&mut it.spec.revisions[0]).effective = start);
    story.edit(|it| it.status = None);
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
    installs(&mut story, "4.2.0");
    story.pass();
    assert_eq!(story.requests, ["install main 4.2.0"]);
    story.now = start;
    story.pass();
    assert_eq!(story.requests, ["install main 4.2.0", "settings"]);

    // Before the lead time nothing is asked.
    let mut story = Story::new(Some("4.2"), &[]);
    let start = story.now + SignedDuration::from_hours(24 * 15);
    story.edit(|it| std::sync::Arc::make_mut(&mut it.spec.revisions[0]).effective = start);
    story.edit(|it| it.status = None);
    story.pass();
    assert_eq!(story.asked(), "nothing");
}

// shows B6
#[test]
fn firmware_comes_first_also_among_several_services_and_one_installation_runs_at_a_time() {
    let mut story = Story::new(None, &[("agent", "2.1")]);
    story.pass();
    assert_eq!(story.asked(), "1 agent 2.1.0");
    story.add_parts(Some("4.2"), story.now);
    story.pass();
    assert_eq!(story.asked(), "2 main 4.2.0 cancels 1");
    let reports = story.later(1).pass();
    assert_eq!(
        story.asked(),
        "2 main 4.2.0 cancels 1",
        "they do not take turns"
    );
    let (_, words) = ready(&reports["backup"]);
    assert!(
        words.contains("until the device has installed main 4.2.0"),
        "{words}"
    );
    installs(&mut story, "4.2.0");
    story.pass();
    assert_eq!(story.asked(), "3 agent 2.1.0");
}

// shows B6
#[test]
fn a_minimum_that_nobody_can_reach_is_told_with_what_is_listed_unless_the_device_has_it() {
    let mut story = Story::new(Some("9"), &[]);
    let report = &story.pass()["backup"];
    let (said, words) = ready(report);
    assert_eq!(said, "False(UnsupportedByModel)");
    for part in ["needs 9", "has 4.1.0", "4.1.0, 4.2.0, 4.10.0"] {
        assert!(words.contains(part), "{words}");
    }
    assert_eq!(delay(report), (Reason::UnsupportedByModel, Cause::Provider));
    assert_eq!(story.asked(), "nothing");
    story.runs("9.1");
    let report = &story.pass()["backup"];
    assert_eq!(item(report, MAIN).state, ItemState::Effective);

    let mut story = Story::new(None, &[("vault", "1")]);
    let report = &story.pass()["backup"];
    let (said, words) = ready(report);
    assert_eq!(said, "False(UnsupportedByModel)");
    assert!(
        words.contains("Application/vault") && words.contains("lists: none"),
        "{words}"
    );
}

// shows B6
#[test]
fn a_version_that_cannot_be_compared_is_told_and_nothing_is_installed_over_it() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.runs("4.3.0-rc1");
    let report = &story.pass()["backup"];
    assert_eq!(story.asked(), "nothing");
    let problem = item(report, MAIN).problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::ProtocolError);
    assert!(
        problem.message.contains("\"4.3.0-rc1\" is no version"),
        "{}",
        &*problem.message
    );
}

// shows B6
#[test]
fn nothing_is_brought_back_to_an_older_version_unless_the_model_says_so() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.runs("4.3.0");
    story.pass();
    assert_eq!(story.asked(), "nothing");
    story.edit_model(|model| model.spec.firmware[1].downgrade = true);
    let report = &story.pass()["backup"];
    assert_eq!(story.asked(), "1 main 4.2.0");
    assert_eq!(item(report, MAIN).state, ItemState::InProgress);
    installs(&mut story, "4.2.0");
    let report = &story.pass()["backup"];
    assert_eq!(item(report, MAIN).state, ItemState::Effective);
    // Another service needs more: its version is the one for all, and it is newer.
    story.add_parts(Some("4.3"), story.now);
    story.pass();
    assert_eq!(story.asked(), "2 main 4.10.0");
    installs(&mut story, "4.10.0");
    story.pass();
    assert_eq!(story.asked(), "2 main 4.10.0");
}

// shows B6
#[test]
fn what_nobody_wants_any_more_is_taken_back_and_what_is_installed_stays() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    story.says(DeploymentState::Downloading, None);
    let end = story.now;
    story.edit(|it| std::sync::Arc::make_mut(&mut it.spec.revisions[0]).until = Some(end));
    story.later(1).pass();
    assert_eq!(story.asked(), "2 cancels 1");
    story.later(1).pass();
    assert_eq!(story.asked(), "2 cancels 1", "once");

    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    installs(&mut story, "4.2.0");
    story.pass();
    story.takes_settings();
    story.pass();
    let end = story.now;
    story.edit(|it| std::sync::Arc::make_mut(&mut it.spec.revisions[0]).until = Some(end));
    story.later(1).pass();
    story.takes_settings();
    let report = &story.later(1).pass()["backup"];
    assert_eq!(story.asked(), "1 main 4.2.0", "nothing is put back");
    assert_eq!(item(report, MAIN).released, Some(ReleasedAs::Kept));
    assert!(!story.requests.iter().any(|it| it == "cancel"));
}

// shows B6
#[test]
fn an_installation_that_the_device_does_not_need_any_more_is_taken_back() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    // A technician was faster, with a newer version, which must not be replaced by the older one.
    story.runs("4.3.0");
    story.pass();
    assert_eq!(story.asked(), "2 cancels 1");
    // With the very version that is asked for there is nothing to take back.
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    story.runs("4.2.0");
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
}

// shows B6
#[test]
fn an_installation_whose_version_is_there_is_ended_before_the_next_one_is_offered() {
    let mut story = Story::new(Some("4.2"), &[("agent", "2.1")]);
    story.pass();
    story.says(DeploymentState::Downloading, None);
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0", "one at a time");
    // It runs the version, and its last word may never come.
    story.runs("4.2.0");
    story.pass();
    assert_eq!(story.asked(), "2 agent 2.1.0 cancels 1");
    let path = ("acme", "lobby");
    let all = Controller::of(path, path).expect("its own path");
    let offered = offer(story.twin(), all, story.now);
    assert_eq!(
        (offered.cancel, offered.installation.is_some()),
        (Some(1), false)
    );
}

// shows B6
#[test]
fn of_an_application_that_is_not_there_the_device_is_asked_and_of_software_that_it_never_told_not()
{
    let mut story = Story::new(None, &[("agent", "2.1")]);
    story.edit_twin(|twin| {
        let reported = twin.status.as_mut().and_then(|it| it.reported.as_mut());
        reported.expect("a report").software.clear();
    });
    let report = &story.pass()["backup"];
    assert_eq!(story.asked(), "nothing");
    let (said, words) = ready(report);
    assert_eq!(said, "False(WaitingForDevice)");
    assert!(words.contains("has not reported its software"), "{words}");
    story.runs("4.1.0");
    story.pass();
    assert_eq!(story.asked(), "1 agent 2.1.0");
}

// shows B6 D9 K2
#[test]
fn a_file_that_the_gateway_cannot_serve_is_told_as_that_and_is_no_delay_of_the_device() {
    for state in [None, Some(DeploymentState::Offered)] {
        let mut story = Story::new(Some("4.2"), &[]);
        story.pass();
        if let Some(state) = state {
            story.says(state, None);
        }
        story.lacks(ArtifactFault::NoConnection, "no Connection leads there");
        let report = &story.pass()["backup"];
        let found = item(report, MAIN);
        assert_eq!(found.state, ItemState::InProgress);
        let problem = found.problem.expect("a problem");
        assert_eq!(problem.outcome, Reason::ArtifactUnavailable);
        let (said, words) = ready(report);
        assert_eq!(said, "False(ArtifactUnavailable)");
        let whole = "Firmware/main: 4.2.0 is to be installed, and the gateway cannot serve its file: no \
                     Connection leads there.";
        assert_eq!(words, whole);
        assert_eq!(
            delay(report),
            (Reason::ArtifactUnavailable, Cause::Provider)
        );
        let device = story.device_says(ConditionType::FirmwareCurrent);
        assert_eq!(device, "False(ArtifactUnavailable)");
        // Another kind of fault is told at once, although it has the same reason.
        story.later(1);
        story.lacks(ArtifactFault::WrongDigest, "it is another one");
        let words = ready(&story.pass()["backup"]).1;
        assert!(words.ends_with("it is another one."), "{words}");
        // What is said of another action is not said of this one.
        story.edit_twin(|twin| {
            let fault = twin.status.as_mut().and_then(|it| it.artifact.as_mut());
            fault.expect("a fault").action = 7;
        });
        let report = &story.pass()["backup"];
        assert_eq!(ready(report).0, "False(WaitingForDevice)");
        assert_eq!(delay(report), (Reason::WaitingForDevice, Cause::Device));
        assert_eq!(story.asked(), "1 main 4.2.0");
    }
}

// shows B6 K2
#[test]
fn of_a_device_that_reports_other_software_it_is_said_which_is_missing_and_which_is_there() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.edit_twin(|twin| {
        let reported = twin.status.as_mut().and_then(|it| it.reported.as_mut());
        reported.expect("a report").software.clear();
    });
    story.reports(SoftwarePart::Application, "panel", "2.1.0");
    let words = ready(&story.pass()["backup"]).1;
    for part in [
        "has reported application panel 2.1.0, and not firmware main",
        "by a client of DDI as firmware.main",
    ] {
        assert!(words.contains(part), "{words}");
    }
    for name in ["a", "b", "c", "d"] {
        story.reports(SoftwarePart::Application, name, "1");
    }
    let words = ready(&story.pass()["backup"]).1;
    let first =
        "application a 1, application b 1, application c 1, application d 1 and 1 more, and not";
    assert!(words.contains(first), "{words}");
}

// shows B6
#[test]
fn the_lowest_version_that_suffices_is_installed_however_the_model_orders_them() {
    let mut story = Story::new(Some("4.1.5"), &[]);
    story.edit_model(|model| {
        model.spec.firmware = ["4.10.0", "4.9", "4.2.0", "4.1.0", "10"]
            .map(firmware)
            .to_vec();
        model.spec.applications = vec![application("agent", "2.1.0")];
    });
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
}

// shows B6
#[test]
fn a_device_that_is_dialled_cannot_have_a_service_that_needs_software() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.edit_device(|device| {
        device.spec.address = Some("10.20.3.1".to_owned());
        device.spec.connections[0].name = "hq-ipp".to_owned();
    });
    let report = &story.pass()["backup"];
    let (said, words) = ready(report);
    assert_eq!(said, "False(UnsupportedByModel)");
    assert!(
        words.contains("connection of the Device can carry Firmware/main"),
        "{words}"
    );
}

// shows B6
#[test]
fn a_suspended_contract_takes_back_what_the_device_did_not_finish_and_begins_nothing() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    story.edit(|it| it.spec.contract.suspend = true);
    story.pass();
    assert_eq!(story.asked(), "2 cancels 1");
    story.edit(|it| it.spec.contract.suspend = false);
    story.pass();
    assert_eq!(story.asked(), "3 main 4.2.0 cancels 1");
}
