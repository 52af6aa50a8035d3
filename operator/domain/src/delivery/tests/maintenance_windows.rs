//! Maintenance windows of a device that calls: when software is installed, and what is said while it is
//! not.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{Cause, DeploymentState, Weekday},
};

use super::software_fixture::{Story, delay, ready};

const WEEKEND: &[Weekday] = &[Weekday::Sat, Weekday::Sun];

/// Returns a device in São Paulo (three hours behind UTC) with windows on weekends, from 02:00 for four
/// hours. The contract began on Thursday, 2027-04-01.
fn with_windows(minimum: &str) -> Story {
    let mut story = Story::new(Some(minimum), &[]);
    story.windows(&[(WEEKEND, "02:00", "4h")]);
    story
}

// shows B6 D9
#[test]
fn outside_of_its_windows_nothing_is_installed_and_the_time_is_the_customers() {
    let mut story = with_windows("4.2");
    let report = &story.pass()["backup"];
    assert_eq!(story.asked(), "nothing");
    let (said, words) = ready(report);
    assert_eq!(said, "False(OutsideMaintenanceWindow)");
    assert!(
        words.contains("the next one opens 2027-04-03 02:00 in America/Sao_Paulo"),
        "{words}"
    );
    assert_eq!(
        delay(report),
        (Reason::OutsideMaintenanceWindow, Cause::Customer)
    );
    let opens = "2027-04-03T05:00:00Z".parse().expect("an instant");
    assert_eq!(story.twin().spec.call_at, Some(opens), "it is to call then");
    assert_eq!(
        story.device_says(ConditionType::FirmwareCurrent),
        "False(OutsideMaintenanceWindow)"
    );
    story.at("2027-04-03T04:59:59Z").pass();
    assert_eq!(story.asked(), "nothing");
    // The operator wakes by itself when it opens.
    story.at("2027-04-01T04:00:00Z").pass();
    while story.asked() == "nothing" {
        story.now = story.wakes.expect("it wakes");
        story.pass();
    }
    assert_eq!(story.now, opens);
    assert_eq!(story.asked(), "1 main 4.2.0");
    let twin = &story.twin().spec;
    assert_eq!(twin.call_at, None);
    let closes = "2027-04-03T09:00:00Z".parse().expect("an instant");
    let until = twin.deployment.as_ref().and_then(|it| it.until);
    assert_eq!(until, Some(closes));
    // The device was told of nothing until the window closed: the next one is another try.
    let report = &story.at("2027-04-03T09:00:00Z").pass()["backup"];
    assert_eq!(ready(report).0, "False(OutsideMaintenanceWindow)");
    story.at("2027-04-04T05:00:00Z").pass();
    assert_eq!(story.asked(), "1 main 4.2.0", "it is the same request");
    let until = story
        .twin()
        .spec
        .deployment
        .as_ref()
        .and_then(|it| it.until);
    assert_eq!(
        until,
        Some("2027-04-04T09:00:00Z".parse().expect("an instant"))
    );
}

// shows B6
#[test]
fn what_the_device_was_told_of_goes_on_when_its_window_closes() {
    for state in [DeploymentState::Offered, DeploymentState::Downloading] {
        let mut story = with_windows("4.2");
        story.at("2027-04-03T08:30:00Z").pass();
        story.says(state, None);
        let report = &story.at("2027-04-03T09:01:00Z").pass()["backup"];
        assert_eq!(story.asked(), "1 main 4.2.0");
        assert_eq!(ready(report).0, "False(WaitingForDevice)");
        story.says(DeploymentState::Failed, None);
        let report = &story.pass()["backup"];
        assert_eq!(ready(report).0, "False(InstallationFailed)");
        // The next try waits for the next window.
        let report = &story.later(2).pass()["backup"];
        assert_eq!(story.asked(), "1 main 4.2.0");
        assert_eq!(ready(report).0, "False(OutsideMaintenanceWindow)");
        story.at("2027-04-04T05:00:00Z").pass();
        assert_eq!(story.asked(), "2 main 4.2.0");
    }
}

// shows B6
#[test]
fn windows_that_are_edited_hold_for_what_the_device_was_not_told_of() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
    story.windows(&[(WEEKEND, "02:00", "4h")]);
    let report = &story.pass()["backup"];
    assert_eq!(story.asked(), "2 cancels 1");
    assert_eq!(ready(report).0, "False(OutsideMaintenanceWindow)");
    story.windows(&[]);
    story.pass();
    assert_eq!(story.asked(), "3 main 4.2.0 cancels 1");
}

// shows B6
#[test]
fn a_window_that_is_too_short_is_told_before_it_opens_with_both_lengths() {
    let mut story = with_windows("4.2");
    story.edit_model(|model| model.spec.firmware[1].takes = Some("5h".into()));
    let report = &story.pass()["backup"];
    let (said, words) = ready(report);
    assert_eq!(said, "False(MaintenanceWindowTooShort)");
    assert!(
        words.contains("takes 5h") && words.contains("lasts 4h"),
        "{words}"
    );
    assert_eq!(
        delay(report),
        (Reason::MaintenanceWindowTooShort, Cause::Customer)
    );
    assert_eq!(story.asked(), "nothing");
    // Of an open window with too little time the next one is waited for.
    story.edit_model(|model| model.spec.firmware[1].takes = Some("90m".into()));
    let report = &story.at("2027-04-03T07:31:00Z").pass()["backup"];
    assert_eq!(story.asked(), "nothing");
    assert!(
        ready(report).1.contains("closes too early"),
        "{:?}",
        ready(report)
    );
    story.at("2027-04-04T05:00:00Z").pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
}

// shows B6
#[test]
fn a_window_opens_at_the_right_instant_on_days_on_which_the_clock_is_changed() {
    for (day_before, opens, closes) in [
        // 02:00 is skipped in Berlin: the window opens at 03:00 and lasts four hours.
        (
            "2027-03-27T23:00:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T05:00:00Z",
        ),
        // 02:00 comes twice: it opens at the first.
        (
            "2027-10-30T22:00:00Z",
            "2027-10-31T00:00:00Z",
            "2027-10-31T04:00:00Z",
        ),
    ] {
        let mut story = Story::new(Some("4.2"), &[]);
        let start = "2027-03-01T00:00:00Z".parse().expect("an instant");
        story.edit(|it| Arc::make_mut(&mut it.spec.revisions[0]).effective = start);
        story.windows(&[(&[Weekday::Sun], "02:00", "4h")]);
        story.edit_device(|it| it.spec.time_zone = Some("Europe/Berlin".to_owned()));
        story.at(day_before);
        story.runs("4.1.0");
        story.pass();
        assert_eq!(story.asked(), "nothing");
        let opens = opens.parse().expect("an instant");
        assert_eq!(story.twin().spec.call_at, Some(opens), "{day_before}");
        story.now = opens;
        story.pass();
        let until = story
            .twin()
            .spec
            .deployment
            .as_ref()
            .and_then(|it| it.until);
        assert_eq!(until, Some(closes.parse().expect("an instant")));
    }
}

// shows B6
#[test]
fn the_windows_are_in_the_zone_of_the_contract_where_the_device_has_none() {
    let mut story = with_windows("4.2");
    story.edit_device(|it| it.spec.time_zone = None);
    story.edit(|it| it.spec.time_zone = "Asia/Tokyo".to_owned());
    story.pass();
    let opens = "2027-04-02T17:00:00Z".parse().expect("an instant");
    assert_eq!(story.twin().spec.call_at, Some(opens));
}
