//! Roll-outs of firmware that went wrong elsewhere, as public reports tell them: one row each, played with
//! a device of ours.
//!
//! A row names the report, what went wrong there, and plays it; what must hold here is asserted in it.

use entente_crds::{
    condition::Reason,
    v1alpha1::{DeploymentState, ItemState, SoftwarePart, TwinDeploymentState, Weekday},
};
use jiff::{SignedDuration, Timestamp};

use super::software_fixture::{Story, application, artifact, item, ready};

const MAIN: &str = "Firmware/main";

/// One report.
struct Report {
    /// Its address.
    url: &'static str,
    /// The fault there, in one sentence.
    fault: &'static str,
    /// Plays it.
    play: fn(),
}

const REPORTS: &[Report] = &[
    Report {
        url: "https://github.com/eclipse-hawkbit/hawkbit/issues/3185",
        fault: "a roll-out counts as done while the device still runs the old image",
        play: success_before_the_restart,
    },
    Report {
        url: "https://github.com/rauc/rauc-hawkbit-updater/issues/161",
        fault: "success is said before the restart, and the roll-back after it is never known",
        play: roll_back_after_the_restart,
    },
    Report {
        url: "https://github.com/eclipse-hawkbit/hawkbit/issues/446",
        fault: "a version that the device fell back from is never delivered again",
        play: fall_back_much_later,
    },
    Report {
        url: "https://github.com/eclipse-hawkbit/hawkbit/pull/506",
        fault: "a client that lost its state by a power cycle installs the same payload again",
        play: power_cycle_before_the_last_word,
    },
    Report {
        url: "https://github.com/FullMetalUpdate/fullmetalupdate/pull/8",
        fault: "the word about an update counts for another one that was assigned during the restart",
        play: word_about_an_earlier_action,
    },
    Report {
        url: "https://github.com/eclipse-hawkbit/hawkbit/issues/1399",
        fault: "the version from the factory is not known, and is blank after a failure",
        play: version_from_the_factory,
    },
    Report {
        url: "https://github.com/fwupd/fwupd/issues/3680",
        fault: "a version in hexadecimal is compared with one in decimal",
        play: hexadecimal_version,
    },
    Report {
        url: "https://github.com/fwupd/fwupd/pull/1767",
        fault: "5101AALB counts as newer than 51H0AALB, by the digits at their beginnings",
        play: version_with_letters,
    },
    Report {
        url: "https://github.com/balena-os/balena-supervisor/issues/29",
        fault: "a download that does not fit is tried again and again",
        play: no_space_left,
    },
    Report {
        url: "https://github.com/eclipse-hawkbit/hawkbit/issues/952",
        fault: "an end that the device has accepted is asked for on and on",
        play: accepted_end,
    },
    Report {
        url: "https://github.com/louislam/uptime-kuma/issues/6233",
        fault: "a maintenance window is an hour late in summer",
        play: window_in_summer,
    },
    Report {
        url: "https://github.com/arendst/Tasmota/issues/2571",
        fault: "the clock is back in 1970 after an update",
        play: clock_in_1970,
    },
    Report {
        url: "https://github.com/balena-os/balena-supervisor/issues/1896",
        fault: "the device falls back to the version before at every restart",
        play: falls_back_at_every_restart,
    },
];

// shows B6 K5
#[test]
fn what_went_wrong_with_roll_outs_elsewhere_does_not_here() {
    assert!(REPORTS.len() >= 10);
    for report in REPORTS {
        let played = std::panic::catch_unwind(report.play);
        assert!(played.is_ok(), "{}: {}", report.url, report.fault);
    }
}

fn asked() -> Story {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
    story
}

fn state(story: &mut Story) -> ItemState {
    item(&story.pass()["backup"], MAIN).state
}

fn success_before_the_restart() {
    let mut story = asked();
    story.says(DeploymentState::Installed, Some("All Chunks Installed."));
    assert_eq!(state(&mut story), ItemState::AwaitingRestart);
    story.later(60 * 24);
    assert_eq!(state(&mut story), ItemState::AwaitingRestart);
    assert_eq!(
        story.requests,
        ["install main 4.2.0"],
        "nothing comes after it"
    );
}

fn roll_back_after_the_restart() {
    let mut story = asked();
    story.says(DeploymentState::Installed, None);
    story.pass();
    // It starts again with the old version, and reports that.
    story.later(5).runs("4.1.0");
    let found = item(&story.pass()["backup"], MAIN);
    let problem = found.problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    story.later(5).pass();
    assert_eq!(story.asked(), "2 main 4.2.0", "it is installed again");
}

fn fall_back_much_later() {
    let mut story = asked();
    story.says(DeploymentState::Installed, None);
    story.runs("4.2.0");
    assert_eq!(state(&mut story), ItemState::Effective);
    story.later(60 * 24 * 30).runs("4.1.0");
    assert_eq!(state(&mut story), ItemState::InProgress);
    assert_eq!(story.asked(), "2 main 4.2.0");
}

fn power_cycle_before_the_last_word() {
    let mut story = asked();
    story.says(DeploymentState::Downloading, None);
    story.restarts_at(story.now);
    // The device and the operator start again: it is the same action, whose last word is still there.
    story.restart_operator();
    assert_eq!(state(&mut story), ItemState::InProgress);
    assert_eq!(story.asked(), "1 main 4.2.0");
    let told = story.told().expect("its last word");
    assert_eq!(told.state, DeploymentState::Downloading);
}

fn word_about_an_earlier_action() {
    let mut story = asked();
    story.edit_model(|model| model.spec.firmware[1].artifact = artifact("corrected"));
    story.pass();
    assert_eq!(story.asked(), "2 main 4.2.0 cancels 1");
    let at = story.now;
    story.edit_twin(|twin| {
        twin.status.as_mut().expect("registered").deployment = Some(TwinDeploymentState {
            action: 1,
            state: DeploymentState::Installed,
            message: None,
            at,
            restarted: None,
            reported: Some(at),
        });
    });
    assert_eq!(
        state(&mut story),
        ItemState::InProgress,
        "of the second one nothing is known"
    );
    assert_eq!(story.asked(), "2 main 4.2.0 cancels 1");
}

fn version_from_the_factory() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.runs("4.2.0");
    assert_eq!(state(&mut story), ItemState::Effective);
    assert_eq!(story.asked(), "nothing", "it is as wanted");
    let mut story = asked();
    story.says(DeploymentState::Failed, None);
    story.pass();
    let device = story
        .snapshot
        .device
        .as_ref()
        .and_then(|it| it.status.as_ref());
    let identity = device.and_then(|status| status.identity.as_ref());
    assert_eq!(
        &*identity.expect("an identity").firmware[0].version,
        "4.1.0"
    );
}

fn hexadecimal_version() {
    let mut story = Story::new(Some("22301116"), &[]);
    story.runs("0x15449bc");
    let report = &story.pass()["backup"];
    assert_eq!(ready(report).0, "False(ProtocolError)");
    assert_eq!(story.asked(), "nothing");
}

fn version_with_letters() {
    let mut story = Story::new(Some("51"), &[]);
    story.edit_model(|model| model.spec.firmware[0].version = "51H0AALB".to_owned());
    story.runs("5101AALB");
    let report = &story.pass()["backup"];
    let (said, words) = ready(report);
    assert_eq!(said, "False(ProtocolError)");
    assert!(words.contains("\"5101AALB\" is no version"), "{words}");
    assert_eq!(story.asked(), "nothing");
}

fn no_space_left() {
    let mut story = asked();
    // For a day the device answers each request at once with the same failure.
    let end = story.now + SignedDuration::from_hours(24);
    while story.now < end {
        if !story
            .told()
            .is_some_and(|it| it.state == DeploymentState::Failed)
        {
            story.says(DeploymentState::Failed, Some("no space left"));
        }
        story.pass();
        story.now = story.wakes.expect("it wakes").min(end);
        story.pass();
    }
    let attempts = story.requests.len();
    assert!((5..=14).contains(&attempts), "{attempts} attempts in a day");
}

fn accepted_end() {
    let mut story = asked();
    story.says(DeploymentState::Downloading, None);
    story.edit(|it| it.spec.contract.suspend = true);
    story.pass();
    assert_eq!(story.asked(), "2 cancels 1");
    story.says(DeploymentState::Cancelled, None);
    for _ in 0..3 {
        story.later(60).pass();
    }
    assert_eq!(story.asked(), "2 cancels 1");
    assert_eq!(story.requests, ["install main 4.2.0", "cancel"]);
}

fn window_in_summer() {
    for (now, opens) in [
        ("2027-06-01T12:00:00Z", "2027-06-02T00:00:00Z"),
        ("2027-12-01T12:00:00Z", "2027-12-02T01:00:00Z"),
    ] {
        let mut story = Story::new(Some("4.2"), &[]);
        story.edit_device(|it| it.spec.time_zone = Some("Europe/Berlin".to_owned()));
        let days = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu];
        story.windows(&[(&days, "02:00", "1h")]);
        story.at(now).pass();
        let opens: Timestamp = opens.parse().expect("an instant");
        assert_eq!(story.twin().spec.call_at, Some(opens));
    }
}

fn clock_in_1970() {
    let mut story = asked();
    story.restarts_at(story.now);
    story.says(DeploymentState::Installed, None);
    assert_eq!(state(&mut story), ItemState::AwaitingRestart);
    story.restarts_at(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(8));
    assert_eq!(
        state(&mut story),
        ItemState::NotEffective,
        "it has started again"
    );
    story.runs("4.2.0");
    assert_eq!(state(&mut story), ItemState::Effective);
}

fn falls_back_at_every_restart() {
    let mut story = Story::new(None, &[("agent", "2.1")]);
    story.edit_model(|model| model.spec.applications = vec![application("agent", "2.1.0")]);
    story.pass();
    for attempt in 1..=3 {
        assert_eq!(story.asked(), format!("{attempt} agent 2.1.0"));
        story.says(DeploymentState::Installed, None);
        story.reports(SoftwarePart::Application, "agent", "2.1.0");
        let report = &story.pass()["backup"];
        assert_eq!(
            item(report, "Application/agent").state,
            ItemState::Effective
        );
        story.later(10);
        story.reports(SoftwarePart::Application, "agent", "2.0.0");
        let report = &story.pass()["backup"];
        assert_ne!(
            item(report, "Application/agent").state,
            ItemState::Effective
        );
    }
}
