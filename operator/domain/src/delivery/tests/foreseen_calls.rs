//! The outlook of a device that calls: it says before what passes do then.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        DeploymentState, SecretKeyReference, SecretParameter, SoftwarePart, TwinSetting, ValueType,
        Weekday,
    },
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::software_fixture::Story;
use crate::{
    condition::find,
    delivery::{Calls, calls, digest},
};

const WEEKEND: &[Weekday] = &[Weekday::Sat, Weekday::Sun];

fn foreseen(story: &mut Story) -> Calls {
    story.snapshot.twin.clone_from(&story.remote.twin);
    calls(&story.snapshot, story.now).expect("a device that calls")
}

/// Returns the requests, each with its instant if it is not now.
fn asked(calls: &Calls) -> Vec<String> {
    let all = calls.asks.iter();
    all.map(|ask| match (ask.from, ask.holds_until) {
        (None, None) => ask.words.clone(),
        (Some(from), None) => format!("{from}: {}", ask.words),
        (_, Some(until)) => format!("until {until}: {}", ask.words),
    })
    .collect()
}

fn obstacles(calls: &Calls) -> Vec<(Reason, String)> {
    let all = calls.obstacles.iter();
    all.map(|it| (it.reason, it.message.clone())).collect()
}

fn online(calls: &Calls) -> String {
    let status = calls.status.as_ref().expect("a status");
    let said = find(&status.conditions, ConditionType::Online).expect("Online");
    format!("{}({})", said.status, said.reason)
}

// shows B6
#[test]
fn firmware_is_foreseen_before_applications_and_both_before_settings() {
    let mut story = Story::new(Some("4.2"), &[("agent", "2.0")]);
    let found = foreseen(&mut story);
    assert_eq!(
        asked(&found),
        [
            "install Firmware/main 4.2.0 in place of 4.1.0",
            "install Application/agent 2.1.0",
            "set backup.endpoint, backup.mode, backup.weekdays",
        ]
    );
    assert_eq!(obstacles(&found), []);
    assert_eq!(online(&found), "True(Answered)");
}

// shows B6
#[test]
fn what_is_foreseen_is_what_passes_ask_a_device_for_that_does_it() {
    let mut story = Story::new(Some("4.2"), &[("agent", "2.0")]);
    let expected: Vec<String> = asked(&foreseen(&mut story));
    let mut found = Vec::new();
    for _ in 0..3 {
        story.pass();
        let spec = &story.twin().spec;
        if let Some(asked) = spec.deployment.clone().filter(|_| story.told().is_none()) {
            let (part, name) = (asked.part.expect("a part"), asked.name.expect("a name"));
            let version = asked.version.expect("a version");
            found.push(format!("{name} {version}"));
            story.says(DeploymentState::Installed, None);
            story.reports(part, &name, &version);
        } else {
            let names = spec.settings.iter().map(|it| it.name.as_str());
            found.push(names.collect::<Vec<_>>().join(", "));
            story.takes_settings();
        }
        story.later(1);
    }
    assert_eq!(expected.len(), found.len(), "{expected:?} {found:?}");
    for (expected, found) in expected.iter().zip(&found) {
        assert!(expected.contains(found), "{expected:?} {found:?}");
    }
    let rest = foreseen(&mut story);
    assert_eq!(asked(&rest), [""; 0], "everything was done");
}

// shows B6
#[test]
fn an_installation_that_waits_for_a_window_is_foreseen_for_its_opening() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.windows(&[(WEEKEND, "02:00", "4h")]);
    let opens = "2027-04-03T05:00:00Z";
    assert_eq!(
        asked(&foreseen(&mut story)),
        [
            format!("{opens}: install Firmware/main 4.2.0 in place of 4.1.0"),
            format!("{opens}: set backup.endpoint, backup.mode, backup.weekdays"),
        ]
    );
    story.windows(&[(WEEKEND, "02:00", "10m")]);
    story.edit_model(|model| {
        for firmware in &mut model.spec.firmware {
            firmware.takes = Some("30m".into());
        }
    });
    let found = foreseen(&mut story);
    assert_eq!(asked(&found), [""; 0]);
    let (reason, words) = obstacles(&found).remove(0);
    assert_eq!(reason, Reason::MaintenanceWindowTooShort);
    assert!(words.contains("takes 30m"), "{words}");
}

// shows B6 K2
#[test]
fn a_version_that_no_model_lists_is_an_obstacle_and_one_that_is_there_needs_nothing() {
    let mut story = Story::new(Some("5.0"), &[]);
    let found = foreseen(&mut story);
    assert_eq!(asked(&found), [""; 0]);
    let (reason, words) = obstacles(&found).remove(0);
    assert_eq!(reason, Reason::UnsupportedByModel);
    assert!(words.contains("the device has 4.1.0"), "{words}");
    story.runs("5.0.1");
    let found = foreseen(&mut story);
    assert_eq!(obstacles(&found), []);
    assert_eq!(
        asked(&found),
        ["set backup.endpoint, backup.mode, backup.weekdays"]
    );
    story.runs("5.0.1-rc1");
    let found = foreseen(&mut story);
    assert_eq!(obstacles(&found)[0].0, Reason::ProtocolError);
}

// shows C1 C2
#[test]
fn nothing_is_foreseen_of_a_device_that_does_not_call_and_its_status_says_why() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.edit_twin(|twin| twin.status = None);
    let found = foreseen(&mut story);
    assert_eq!(online(&found), "False(NotRegistered)");
    assert_eq!((asked(&found).len(), obstacles(&found).len()), (0, 0));
    story.remote.twin = None;
    assert_eq!(online(&foreseen(&mut story)), "False(NotRegistered)");

    let mut story = Story::new(Some("4.2"), &[]);
    story.now += SignedDuration::from_hours(100);
    let found = foreseen(&mut story);
    assert_eq!(online(&found), "False(NotHeardOf)");
    assert_eq!((asked(&found).len(), obstacles(&found).len()), (0, 0));

    let mut story = Story::new(Some("4.2"), &[]);
    let now = story.now;
    story.edit_twin(|twin| {
        let registration = twin.status.as_mut().and_then(|it| it.registration.as_mut());
        let consent = registration.and_then(|it| it.consent.as_mut());
        consent.expect("consent").withdrawn = Some(now);
    });
    let found = foreseen(&mut story);
    assert_eq!(online(&found), "False(ConsentWithdrawn)");
    assert_eq!(asked(&found).len(), 0);
}

// shows C9
#[test]
fn a_change_ahead_is_foreseen_as_one_that_the_device_holds_until_its_instant() {
    let mut story = Story::new(None, &[]);
    let start = story.now + SignedDuration::from_hours(24);
    story.edit(|it| {
        let first = Arc::make_mut(&mut it.spec.revisions[0]);
        first.until = Some(start);
        let mut second = first.clone();
        (second.effective, second.until) = (start, None);
        second.promised = true;
        let days = ("weekdays".to_owned(), "mon".to_owned());
        second.parameters.extend([days]);
        it.spec.lead_time = "48h".into();
        it.spec.revisions.push(Arc::new(second));
    });
    assert_eq!(
        asked(&foreseen(&mut story)),
        [
            "set backup.endpoint, backup.mode, backup.weekdays".to_owned(),
            format!("until {start}: set backup.weekdays"),
        ]
    );
    // Without the time to hold it, it is asked for at the instant.
    story.edit(|it| {
        it.spec.lead_time = "0s".into();
        Arc::make_mut(&mut it.spec.revisions[1]).promised = false;
    });
    assert_eq!(
        asked(&foreseen(&mut story)),
        [
            "set backup.endpoint, backup.mode, backup.weekdays".to_owned(),
            format!("{start}: set backup.weekdays"),
        ]
    );
}

// shows B6
#[test]
fn a_service_that_begins_later_is_foreseen_for_its_start_or_as_early_as_it_is_prepared() {
    let mut story = Story::new(None, &[]);
    let start: Timestamp = story.now + SignedDuration::from_hours(24);
    story.add_parts(Some("4.10"), start);
    let own = "set backup.endpoint, backup.mode, backup.weekdays";
    let firmware = "install Firmware/main 4.10.0 in place of 4.1.0";
    let parts = "set alert.enabled, alert.threshold, alert.unit";
    let held = format!("until {start}: {parts}");
    assert_eq!(asked(&foreseen(&mut story)), [firmware, own, &held]);
    let later = &mut story.snapshot.subscriptions[1];
    let later = Arc::make_mut(later);
    later.spec.lead_time = "0s".into();
    Arc::make_mut(&mut later.spec.revisions[0]).promised = false;
    let found = asked(&foreseen(&mut story));
    let (firmware, parts) = (format!("{start}: {firmware}"), format!("{start}: {parts}"));
    assert_eq!(found, [own, &firmware, &parts]);
}

/// Lets the setting backup.endpoint be a secret of the contract, from a Secret of this name.
fn with_secret(story: &mut Story, secret: &str) {
    story.edit_model(|model| {
        let mut settings = model.spec.settings.iter_mut();
        let found = settings.find(|it| it.name == "backup.endpoint");
        found.expect("a setting").r#type = ValueType::Secret;
    });
    story.edit_service("data-backup", |it| {
        let mut spec = json!(it.spec);
        let parameters = spec["parameters"].as_array_mut().expect("parameters");
        parameters.push(json!({"name": "account", "type": "Secret"}));
        spec["device"]["settings"][0] =
            json!({"name": "backup.endpoint", "valueFrom": {"parameter": "account"}});
        it.spec = serde_json::from_value(spec).expect("a service");
    });
    let parameter = SecretParameter {
        name: "account".to_owned(),
        secret_key_ref: SecretKeyReference {
            name: secret.to_owned(),
            key: "token".to_owned(),
        },
    };
    story.edit(|it| {
        Arc::make_mut(&mut it.spec.revisions[0]).secret_parameters = vec![parameter];
    });
}

// shows K4
#[test]
fn a_setting_from_a_secret_is_foreseen_when_the_twin_does_not_name_that_secret_yet() {
    let mut story = Story::new(None, &[]);
    with_secret(&mut story, "login");
    let own = "set backup.endpoint (from a Secret), backup.mode, backup.weekdays";
    assert_eq!(asked(&foreseen(&mut story)), [own]);
    // The twin as the operator has written it: the digest is of a text that nobody reads here.
    story.edit_twin(|twin| {
        let reference = SecretKeyReference {
            name: "login".to_owned(),
            key: "token".to_owned(),
        };
        twin.spec.settings.push(TwinSetting {
            name: "backup.endpoint".to_owned(),
            secret_key_ref: Some(reference),
            digest: Some(digest(&"a text")),
            asked: 1,
            ..TwinSetting::default()
        });
    });
    let without = "set backup.mode, backup.weekdays";
    assert_eq!(asked(&foreseen(&mut story)), [without]);
    with_secret(&mut story, "another-login");
    assert_eq!(asked(&foreseen(&mut story)), [own]);
}

#[test]
fn a_device_that_is_dialled_has_no_such_outlook() {
    let mut story = Story::new(None, &[]);
    story.edit_device(|device| device.spec.connections[0].name = "hq-ipp".to_owned());
    assert!(calls(&story.snapshot, story.now).is_none());
}

// shows B6
#[test]
fn what_the_device_was_asked_for_already_is_not_foreseen_anew() {
    let mut story = Story::new(Some("4.2"), &[]);
    story.pass();
    assert_eq!(story.asked(), "1 main 4.2.0");
    assert_eq!(
        asked(&foreseen(&mut story)),
        ["set backup.endpoint, backup.mode, backup.weekdays"]
    );
    story.says(DeploymentState::Failed, Some("no space"));
    let found = foreseen(&mut story);
    let first = "install Firmware/main 4.2.0 in place of 4.1.0";
    assert_eq!(asked(&found)[0], first, "it is asked for once more");
    story.reports(SoftwarePart::Firmware, "main", "4.2.0");
    assert_eq!(asked(&foreseen(&mut story)).len(), 1);
}
