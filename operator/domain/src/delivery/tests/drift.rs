//! driftPolicy Report: what somebody changes at a device is told, and left as it is.
//!
//! Some rows are reports about other tools; each has its address.

use std::sync::Arc;

use entente_crds::{
    condition::ConditionType,
    example,
    v1alpha1::{
        DeviceStatus, DriftPolicy, DriftedSetting, PromiseState, Revision, ServiceSubscription,
    },
};
use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::pass_fixture::{Story, delivered, now, said, weekdays};
use crate::{
    condition::find,
    delivery::{Action, Answer, Backoffs, SubscriptionReport, outlook},
    protocol::Place,
    remote::{Failure, FailureKind, Scalar},
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const WEEKDAYS: &str = "DeviceSetting/backup.weekdays";

/// Returns the place of a setting on the device of the examples.
fn place(name: &str) -> Place {
    let settings = example::mfp_500().spec.settings;
    let setting = settings.into_iter().find(|it| it.name == name);
    let ipp = setting.and_then(|it| it.via.ipp).expect("it goes by IPP");
    Place::ipp(ipp.operation, &ipp.attribute)
}

/// Returns a device on which all is delivered, with a policy. Each pass reads it.
fn reporting(policy: DriftPolicy) -> Story {
    let (snapshot, remote) = delivered();
    let mut story = Story {
        snapshot,
        remote,
        full_looks: true,
        backoffs: Backoffs::default(),
    };
    story.edit_device(|device| device.spec.drift_policy = Some(policy));
    story
}

/// Somebody changes a setting at the device.
fn meddle(story: &mut Story, name: &str, value: &str) {
    let value = vec![Scalar::Text(value.to_owned())];
    story.remote.reading.values.insert(place(name), value);
}

/// Returns a device whose days of backup somebody has changed, which was told.
fn drifted() -> Story {
    let mut story = reporting(DriftPolicy::Report);
    meddle(&mut story, "backup.weekdays", "fri");
    story.calm_pass(MINUTE);
    assert_eq!(names(&story), ["backup.weekdays"]);
    story
}

fn device_status(story: &Story) -> &DeviceStatus {
    let device = story.snapshot.device.as_ref().expect("a device");
    device.status.as_ref().expect("a status")
}

fn drift(story: &Story) -> &[DriftedSetting] {
    &device_status(story).drift
}

fn names(story: &Story) -> Vec<&str> {
    drift(story).iter().map(|it| it.name.as_str()).collect()
}

fn of_device(story: &Story, type_: ConditionType) -> String {
    let found = find(&device_status(story).conditions, type_);
    found.map_or_else(String::new, |it| format!("{}({})", it.status, it.reason))
}

fn has(story: &Story, name: &str) -> Vec<String> {
    let values = &story.remote.reading.values[&place(name)];
    let texts = values.iter().map(|value| match value {
        Scalar::Text(text) => text.clone(),
        other => format!("{other:?}"),
    });
    texts.collect()
}

fn sent(story: &Story) -> usize {
    story.remote.count("WriteDevice")
}

// shows D1 K2
#[test]
fn a_changed_setting_is_told_by_every_condition_and_nothing_is_written_or_outstanding() {
    let mut story = reporting(DriftPolicy::Report);
    meddle(&mut story, "backup.weekdays", "fri");
    let report = story.calm_pass(MINUTE);
    assert_eq!(sent(&story), 0);
    assert_eq!(has(&story, "backup.weekdays"), ["fri"]);
    let [told] = drift(&story) else {
        panic!("{:?}", drift(&story))
    };
    let item = weekdays(&report);
    assert_eq!(told.name, "backup.weekdays");
    assert_eq!(Some(told.desired_digest), item.desired_digest);
    assert_eq!(told.observed_digest, item.observed_digest);
    assert_eq!(told.since, now() + MINUTE);
    assert_eq!(
        of_device(&story, ConditionType::SettingsApplied),
        "False(Drifted)"
    );
    assert_eq!(of_device(&story, ConditionType::Ready), "True(Drifted)");
    assert_eq!(of_device(&story, ConditionType::Stalled), "");
    assert_eq!(
        said(&report, ConditionType::DeviceConfigured),
        "False(Drifted)"
    );
    assert_eq!(
        said(&report, ConditionType::ServerConfigured),
        "True(Succeeded)"
    );
    assert_eq!(said(&report, ConditionType::Delivered), "False(Drifted)");
    assert_eq!(said(&report, ConditionType::Ready), "True(Drifted)");
    assert_eq!(said(&report, ConditionType::Activated), "True(Active)");
    assert_eq!(report.status.step, None);
    let promises = report.status.promises.iter().map(|it| it.state);
    assert_eq!(promises.collect::<Vec<_>>(), [PromiseState::Kept]);
}

// shows K5
#[test]
fn the_first_instant_stays_over_restarts_and_other_values_and_an_equal_status_is_no_write() {
    let mut story = drifted();
    let first = drift(&story)[0].clone();
    // A story keeps nothing but the statuses from one pass to the next.
    let before = (
        device_status(&story).drift.clone(),
        story.snapshot.subscriptions.clone(),
    );
    story.calm_pass(HOUR);
    assert_eq!(before.0, drift(&story));
    assert_eq!(before.1, story.snapshot.subscriptions);
    meddle(&mut story, "backup.weekdays", "thu");
    story.calm_pass(HOUR * 2);
    let [told] = drift(&story) else {
        panic!("{:?}", drift(&story))
    };
    assert_eq!(told.since, first.since);
    assert_ne!(told.observed_digest, first.observed_digest);
    assert_eq!(sent(&story), 0);
}

// shows D1 K2
#[test]
fn a_value_that_somebody_puts_back_is_told_no_more() {
    let mut story = drifted();
    let back = delivered().1.reading.values[&place("backup.weekdays")].clone();
    let values = &mut story.remote.reading.values;
    values.insert(place("backup.weekdays"), back);
    let report = story.calm_pass(HOUR);
    assert!(drift(&story).is_empty());
    assert_eq!(sent(&story), 0);
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    assert_eq!(of_device(&story, ConditionType::Ready), "True(Succeeded)");
    assert!(!weekdays(&report).was_effective);
}

// shows B7 D1
#[test]
fn with_revert_what_differs_is_set_at_once_without_a_look_that_is_due() {
    // https://github.com/GoogleCloudPlatform/k8s-config-connector/issues/5405: a change of how drift is
    // treated has to take effect by itself.
    for policy in [Some(DriftPolicy::Revert), None] {
        let mut story = drifted();
        story.full_looks = false;
        story.edit_device(|device| device.spec.drift_policy = policy);
        let report = story.calm_pass(MINUTE * 2);
        assert_eq!(sent(&story), 1, "{policy:?}");
        assert!(drift(&story).is_empty());
        assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
        assert_eq!(
            of_device(&story, ConditionType::SettingsApplied),
            "True(Succeeded)"
        );
    }
}

// shows D1
#[test]
fn a_policy_that_is_edited_while_the_device_is_off_is_carried_out_when_it_is_back() {
    let mut story = drifted();
    story.edit_device(|device| device.spec.drift_policy = Some(DriftPolicy::Revert));
    let report = story.pass(MINUTE * 2, off);
    assert!(drift(&story).is_empty());
    assert_eq!(said(&report, ConditionType::Ready), "False(Unreachable)");
    story.backoffs = Backoffs::default();
    story.calm_pass(HOUR);
    assert_eq!(sent(&story), 1);
}

fn off(action: &Action) -> Option<Answer> {
    let is_read = matches!(action, Action::ReadDevice { .. });
    is_read.then(|| Answer::DeviceRead {
        result: Err(Failure::new(FailureKind::Unreachable, "no route")),
        claimed_by_another: None,
    })
}

// shows D1 K2
#[test]
fn a_device_that_is_off_has_what_was_told_of_it() {
    let mut story = drifted();
    let before = drift(&story).to_vec();
    let report = story.pass(HOUR, off);
    assert_eq!(drift(&story), before);
    assert_eq!(of_device(&story, ConditionType::Ready), "True(Drifted)");
    assert_eq!(said(&report, ConditionType::Ready), "True(Drifted)");
    assert_eq!(weekdays(&report).problem, None);
}

// shows B7
#[test]
fn another_wanted_value_is_set_and_what_else_was_changed_is_left() {
    // https://github.com/GoogleCloudPlatform/k8s-config-connector/pull/5408: whoever turns off that drift
    // is put right still wants edits of the spec to be carried out.
    let mut story = drifted();
    meddle(&mut story, "backup.endpoint", "elsewhere");
    story.calm_pass(MINUTE * 2);
    assert_eq!(names(&story), ["backup.endpoint", "backup.weekdays"]);
    story.edit_revision(|revision| {
        revision
            .parameters
            .insert("weekdays".to_owned(), "mon".to_owned());
    });
    let report = story.calm_pass(MINUTE * 3);
    assert_eq!(sent(&story), 1);
    assert_eq!(has(&story, "backup.weekdays"), ["mon"]);
    assert_eq!(has(&story, "backup.endpoint"), ["elsewhere"]);
    assert_eq!(names(&story), ["backup.endpoint"]);
    // The service server got the new value, too: what is left holds no later step back.
    assert_eq!(
        said(&report, ConditionType::ServerConfigured),
        "True(Succeeded)"
    );
    assert_eq!(said(&report, ConditionType::Ready), "True(Drifted)");
}

// shows B7
#[test]
fn a_value_that_is_wanted_again_after_another_one_is_a_new_wish() {
    let mut story = drifted();
    let first = story.snapshot.subscriptions[0].spec.revisions[0]
        .parameters
        .clone();
    story.edit_revision(|revision| {
        revision
            .parameters
            .insert("weekdays".to_owned(), "mon".to_owned());
    });
    story.calm_pass(MINUTE * 2);
    meddle(&mut story, "backup.weekdays", "fri");
    story.calm_pass(MINUTE * 3);
    assert_eq!(names(&story), ["backup.weekdays"]);
    story.edit_revision(|revision| revision.parameters = first);
    story.calm_pass(MINUTE * 4);
    assert_eq!(sent(&story), 1);
    assert!(drift(&story).is_empty());
}

/// Adds a revision with the same values, from an instant on.
fn revise(story: &mut Story, after: SignedDuration, promised: bool) {
    story.edit(|it| {
        let last = it.spec.revisions.last().expect("a revision");
        let next = Revision {
            effective: now() + after,
            promised,
            ..Revision::clone(last)
        };
        it.spec.revisions.push(Arc::new(next));
    });
}

// shows D3 D4
#[test]
fn a_promise_that_is_not_proved_yet_has_everything_set_that_it_needs() {
    let mut story = drifted();
    revise(&mut story, HOUR, true);
    story.calm_pass(MINUTE * 2);
    assert_eq!(sent(&story), 0, "its instant has not come");
    let report = story.calm_pass(HOUR);
    assert_eq!(sent(&story), 1);
    assert!(drift(&story).is_empty());
    let promises = report.status.promises.iter().map(|it| it.state);
    assert_eq!(promises.collect::<Vec<_>>(), [PromiseState::Kept; 2]);
    // Once it is proved, it stays so, and what is changed then is left.
    meddle(&mut story, "backup.weekdays", "fri");
    let report = story.calm_pass(HOUR * 2);
    assert_eq!(sent(&story), 0);
    assert_eq!(names(&story), ["backup.weekdays"]);
    let promises = report.status.promises.iter().map(|it| it.state);
    assert_eq!(promises.collect::<Vec<_>>(), [PromiseState::Kept; 2]);
}

// shows B7
#[test]
fn a_revision_that_promises_nothing_and_wants_the_same_leaves_what_was_changed() {
    let mut story = drifted();
    revise(&mut story, HOUR, false);
    story.calm_pass(HOUR);
    assert_eq!(sent(&story), 0);
    assert_eq!(names(&story), ["backup.weekdays"]);
}

// shows D3 D4
#[test]
fn what_was_never_proved_is_not_held_back_by_report() {
    // https://github.com/argoproj/argo-cd/issues/1736: without self-heal nothing is tried a second time.
    let mut story = Story::new();
    story.edit_device(|device| device.spec.drift_policy = Some(DriftPolicy::Report));
    let refuse = |action: &Action| {
        let is_days = matches!(action, Action::WriteDevice { write, .. } if write.place == place("backup.weekdays"));
        let failure = || Failure::new(FailureKind::Busy, "busy");
        is_days.then(|| Answer::DeviceWritten(Err(failure())))
    };
    story.pass(MINUTE, refuse);
    assert!(drift(&story).is_empty());
    meddle(&mut story, "backup.endpoint", "elsewhere");
    story.backoffs = Backoffs::default();
    let report = story.calm_pass(MINUTE * 2);
    assert_eq!(
        has(&story, "backup.endpoint"),
        ["https://backup.northwind.example/v1"]
    );
    assert_eq!(has(&story, "backup.weekdays"), ["sun", "wed"]);
    assert!(drift(&story).is_empty());
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}

// shows K5
#[test]
fn of_a_status_that_was_lost_nothing_is_known_to_have_been_in_effect() {
    let mut story = drifted();
    story.edit(|it| it.status = None);
    let report = story.calm_pass(HOUR);
    assert_eq!(sent(&story), 1);
    assert!(drift(&story).is_empty());
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}

// shows K5
#[test]
fn a_status_from_a_backup_leaves_what_was_changed_after_it() {
    // https://github.com/sagar2395/snowopslabs/issues/39: a restore must not overwrite what people have
    // changed since on purpose.
    let mut story = reporting(DriftPolicy::Report);
    story.calm_pass(MINUTE);
    let backup = (
        story.snapshot.device.clone(),
        story.snapshot.subscriptions.clone(),
    );
    meddle(&mut story, "backup.weekdays", "fri");
    story.calm_pass(HOUR);
    (story.snapshot.device, story.snapshot.subscriptions) = backup;
    story.calm_pass(HOUR * 2);
    assert_eq!(sent(&story), 0);
    assert_eq!(names(&story), ["backup.weekdays"]);
    // Objects that come back with other uids are about the same machine.
    story.edit_device(|device| device.metadata.uid = Some("d-2".to_owned()));
    story.calm_pass(HOUR * 3);
    assert_eq!(sent(&story), 0);
    assert_eq!(names(&story), ["backup.weekdays"]);
}

type Edit = fn(&mut Story);

// shows K5
#[test]
fn what_is_left_is_left_on_the_same_machine_only() {
    let rows: &[(&str, Edit, usize)] = &[
        (
            "another address",
            |story| story.edit_device(|it| it.spec.address = Some("10.20.3.77".to_owned())),
            0,
        ),
        (
            "another serial number",
            |story| story.edit_device(|it| it.spec.serial_number = "NW500-9999".to_owned()),
            1,
        ),
        (
            "another identity",
            |story| story.edit_device(|it| it.spec.identity = Some("urn:uuid:1".to_owned())),
            1,
        ),
        (
            "an earlier operator, which did not know the machine",
            |story| {
                story.edit(|it| {
                    let status = it.status.as_mut().expect("a status");
                    status.evidence.as_mut().expect("evidence").machine_digest = None;
                });
            },
            0,
        ),
    ];
    for (name, edit, writes) in rows {
        let mut story = drifted();
        edit(&mut story);
        story.calm_pass(HOUR);
        assert_eq!(sent(&story), *writes, "{name}");
        assert_eq!(names(&story).len(), 1 - writes, "{name}");
    }
}

// shows K5
#[test]
fn a_suspension_forgets_nothing_and_a_service_that_is_withdrawn_begins_anew() {
    let mut story = drifted();
    let first = drift(&story)[0].since;
    story.edit_device(|device| device.spec.suspend = true);
    story.calm_pass(MINUTE * 2);
    assert_eq!(names(&story), ["backup.weekdays"]);
    meddle(&mut story, "backup.endpoint", "elsewhere");
    story.edit_device(|device| device.spec.suspend = false);
    story.calm_pass(HOUR);
    assert_eq!(sent(&story), 0);
    assert_eq!(names(&story), ["backup.endpoint", "backup.weekdays"]);
    assert_eq!(drift(&story)[1].since, first);
    let end = |it: &mut ServiceSubscription, until| {
        let last = it.spec.revisions.last_mut().expect("a revision");
        Arc::make_mut(last).until = until;
    };
    story.edit(|it| end(it, Some(now() + HOUR * 2)));
    story.calm_pass(HOUR * 2);
    assert!(drift(&story).is_empty());
    let left = ["backup.weekdays", "backup.endpoint"].map(|name| has(&story, name));
    assert_eq!(left, [["fri"], ["elsewhere"]], "what others have set stays");
    story.edit(|it| end(it, None));
    story.calm_pass(HOUR * 3);
    let back = has(&story, "backup.weekdays");
    assert_eq!(back, ["sun", "wed"], "it begins anew");
    assert!(drift(&story).is_empty());
}

// shows K2
#[test]
fn while_the_service_cannot_be_resolved_what_was_told_stays() {
    let mut story = drifted();
    let before = drift(&story).to_vec();
    let service = story
        .snapshot
        .services
        .remove("data-backup")
        .expect("it is there");
    story.calm_pass(HOUR);
    assert_eq!(drift(&story), before);
    story
        .snapshot
        .services
        .insert("data-backup".to_owned(), service);
    story.calm_pass(HOUR * 2);
    assert_eq!(drift(&story), before);
    assert_eq!(sent(&story), 0);
}

// shows D1
#[test]
fn a_device_that_reports_the_setting_no_more_has_drifted_and_is_left() {
    let mut story = reporting(DriftPolicy::Report);
    story
        .remote
        .reading
        .values
        .remove(&place("backup.weekdays"));
    story.calm_pass(MINUTE);
    assert_eq!(names(&story), ["backup.weekdays"]);
    assert_eq!(drift(&story)[0].observed_digest, None);
    assert_eq!(sent(&story), 0);
}

// shows D1
#[test]
fn a_value_that_the_device_never_tells_is_not_sent_again() {
    let mut story = Story::new();
    story.edit_weekdays(|setting| setting.write_only = true);
    story.edit_device(|device| device.spec.drift_policy = Some(DriftPolicy::Report));
    story.calm_pass(MINUTE);
    story.edit_device(|device| device.spec.suspend = true);
    story.calm_pass(MINUTE * 2);
    story.edit_device(|device| {
        device.spec.suspend = false;
        device.spec.address = Some("10.20.3.77".to_owned());
    });
    let report = story.calm_pass(HOUR);
    assert_eq!(sent(&story), 0);
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    assert!(drift(&story).is_empty());
    story.edit_device(|device| device.spec.drift_policy = None);
    story.edit_device(|device| device.spec.suspend = true);
    story.calm_pass(HOUR * 2);
    story.edit_device(|device| device.spec.suspend = false);
    story.calm_pass(HOUR * 3);
    assert_eq!(sent(&story), 1, "with Revert nobody knows, and it is sent");
}

// shows K2
#[test]
fn a_digest_is_all_that_a_status_tells_of_the_value() {
    let mut story = reporting(DriftPolicy::Report);
    meddle(&mut story, "backup.endpoint", "hunter2-hunter2");
    let report: SubscriptionReport = story.calm_pass(MINUTE);
    let told = format!("{:?}{:?}", device_status(&story), report.status);
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(names(&story), ["backup.endpoint"]);
    assert!(report.status.items.iter().any(|it| it.key == WEEKDAYS));
}

// shows K3
#[test]
fn a_plan_names_what_an_edit_to_revert_sets_again() {
    let mut story = drifted();
    let before = outlook(&story.snapshot, now() + HOUR);
    let subscription = story.snapshot.subscriptions[0].name_any();
    assert!(before.sent_anew(&before).is_empty());
    story.edit_device(|device| device.spec.drift_policy = None);
    let after = outlook(&story.snapshot, now() + HOUR);
    let said = after.sent_anew(&before);
    let words = said.get(&subscription).map(String::as_str);
    assert_eq!(words, Some("sent anew: DeviceSetting/backup.weekdays"));
}
