//! Tests of the check by which a service counts as working: which reading counts, and faults of its
//! spec.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    example,
    v1alpha1::{
        Acceptance, DeviceModel, DeviceSetting, Item, ItemState, PromiseState, SmartService,
        StepType, ValueType,
    },
};
use jiff::SignedDuration;

use super::pass_fixture::{Story, now, said};
use crate::{
    condition::find,
    delivery::{Action, Answer, SubscriptionReport},
    protocol::Place,
    remote::{Failure, FailureKind, Scalar},
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const SETTING: &str = "backup.lastRun";
const KEY: &str = "Acceptance/backup.lastRun";

/// A setting of the model, in which the device has the result of the last backup.
fn last_run() -> DeviceSetting {
    let mut settings = example::mfp_500().spec.settings.into_iter();
    let mut setting = settings
        .find(|it| it.name == "backup.mode")
        .expect("a word");
    SETTING.clone_into(&mut setting.name);
    setting.allowed = ["never", "running", "ok", "failed"]
        .map(str::to_owned)
        .into();
    if let Some(ipp) = &mut setting.via.ipp {
        "nw-backup-last-run".clone_into(&mut ipp.attribute);
    }
    setting
}

/// A service with a check, on a device that never made a backup.
struct Checked(Story);

impl Checked {
    fn new() -> Self {
        let mut checked = Self(Story::new());
        checked.edit_model(|model| model.spec.settings.push(last_run()));
        checked.edit_service(|service| {
            service.spec.acceptance = Some(Acceptance {
                setting: SETTING.to_owned(),
                equals: "ok".to_owned(),
                within: "10m".into(),
            });
        });
        checked.device_has("never");
        checked
    }

    fn edit_model(&mut self, edit: impl FnOnce(&mut DeviceModel)) {
        edit(Arc::make_mut(
            self.0.snapshot.model.as_mut().expect("a model"),
        ));
    }

    fn edit_service(&mut self, edit: impl FnOnce(&mut SmartService)) {
        let service = self.0.snapshot.services.get_mut("data-backup");
        edit(Arc::make_mut(service.expect("the example")));
    }

    fn edit_acceptance(&mut self, edit: impl FnOnce(&mut Acceptance)) {
        self.edit_service(|it| edit(it.spec.acceptance.as_mut().expect("a check")));
    }

    fn device_has(&mut self, result: &str) {
        let place = place();
        let value = vec![Scalar::Text(result.to_owned())];
        self.0.remote.reading.values.insert(place, value);
    }
}

fn place() -> Place {
    let ipp = last_run().via.ipp.expect("by IPP");
    Place::ipp(ipp.operation, &ipp.attribute)
}

fn check(report: &SubscriptionReport) -> Item {
    let mut items = report.status.items.iter();
    let found = items.find(|item| item.key == KEY);
    found.expect("the check is an item").clone()
}

fn ready(report: &SubscriptionReport) -> String {
    let found = find(&report.status.conditions, ConditionType::Ready);
    let found = found.expect("it is stated");
    format!("{}({}) {}", found.status, found.reason, found.message)
}

/// Returns the places that a reading asks for besides those of settings.
fn asks_for_the_check(action: &Action) -> bool {
    matches!(action, Action::ReadDevice { request, .. } if request.places.contains(&place()))
}

// shows B9 D3
#[test]
fn a_value_from_before_the_service_was_turned_on_is_not_even_read() {
    let mut story = Checked::new();
    story.device_has("ok");
    let mut turned_on = false;
    let mut asked = Vec::new();
    let report = story.0.pass(SignedDuration::ZERO, |action| {
        turned_on |= matches!(action, Action::Update { .. });
        if asks_for_the_check(action) {
            asked.push(turned_on);
        }
        None
    });
    assert_eq!(asked, [true], "read once, after the service was turned on");
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    assert_eq!(
        report.status.promises[0].completed,
        check(&report).last_verified
    );
}

// shows B9 D1 D3
#[test]
fn a_check_that_passed_is_read_anew_once_anything_before_it_was_set_again() {
    let mut story = Checked::new();
    story.device_has("ok");
    story.0.calm_pass(SignedDuration::ZERO);
    story.0.remote.parameters = None;
    let report = story.0.calm_pass(MINUTE);
    let item = check(&report);
    assert_eq!(item.state, ItemState::Effective);
    assert_eq!(
        item.last_verified,
        Some(now() + MINUTE),
        "of the new instance"
    );
    // In the same pass the device reports that the new instance does not work yet.
    story.0.remote.parameters = None;
    story.device_has("running");
    let report = story.0.calm_pass(MINUTE * 20);
    assert_eq!(check(&report).state, ItemState::InProgress);
    assert_eq!(report.status.step, Some(StepType::Acceptance));
    assert_eq!(report.status.step_since, Some(now() + MINUTE * 20));
    assert_eq!(
        report.status.promises[0].state,
        PromiseState::Kept,
        "as it was"
    );
}

// shows B9 D1
#[test]
fn after_a_suspension_a_check_counts_only_when_it_was_read_again() {
    let mut story = Checked::new();
    story.device_has("ok");
    story.0.calm_pass(SignedDuration::ZERO);
    story.0.edit(|it| it.spec.contract.suspend = true);
    let report = story.0.calm_pass(MINUTE);
    assert!(!story.0.remote.asked.iter().any(|it| it == "WriteDevice"));
    assert_eq!(
        check(&report).state,
        ItemState::Effective,
        "nobody read it since"
    );
    story.device_has("failed");
    story.0.edit(|it| it.spec.contract.suspend = false);
    let report = story.0.calm_pass(MINUTE * 2);
    assert_eq!(check(&report).state, ItemState::InProgress);
    assert!(ready(&report).starts_with("False(AwaitingAcceptance)"));
}

// shows B9 K5
#[test]
fn a_clock_that_is_set_back_does_not_let_a_check_be_read_for_ever() {
    let mut story = Checked::new();
    story.device_has("ok");
    story.0.calm_pass(SignedDuration::ZERO);
    for back in [MINUTE, MINUTE * 2] {
        let report = story.0.calm_pass(-back);
        assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
        assert!(
            story.0.remote.count("ReadDevice") <= 2,
            "{:?}",
            story.0.remote.asked
        );
    }
}

// shows B9 D9
#[test]
fn a_device_that_fails_as_soon_as_the_check_is_asked_for_has_all_else_in_effect() {
    let mut story = Checked::new();
    let report = story.0.pass(SignedDuration::ZERO, |action| {
        let failure = Failure::new(FailureKind::ProtocolError, "I do not know this attribute");
        asks_for_the_check(action).then_some(Answer::DeviceRead {
            result: Err(failure),
            claimed_by_another: None,
        })
    });
    let others = report.status.items.iter().filter(|item| item.key != KEY);
    assert!(
        others
            .clone()
            .all(|item| item.state == ItemState::Effective)
    );
    let problem = check(&report).problem.expect("the failure");
    assert_eq!(problem.outcome, Reason::ProtocolError);
    assert!(
        ready(&report).contains("I do not know this attribute"),
        "{}",
        ready(&report)
    );
}

// shows B9
#[test]
fn a_check_is_never_written_and_a_failure_of_it_leaves_the_rest_alone() {
    let mut story = Checked::new();
    story.device_has("failed");
    let writes_the_check = |action: &Action| matches!(action, Action::WriteDevice { write, .. } if write.place == place());
    for minutes in [0, 5, 11, 60, 600] {
        let report = story.0.pass(MINUTE * minutes, |action| {
            assert!(!writes_the_check(action), "{action:?}");
            None
        });
        let failed = minutes > 10;
        let expected = if failed {
            "False(AcceptanceFailed)"
        } else {
            "False(AwaitingAcceptance)"
        };
        assert!(
            ready(&report).starts_with(expected),
            "{minutes}: {}",
            ready(&report)
        );
        let writes = ["WriteDevice", "Provision", "Update", "Deprovision"];
        let is_written = writes.iter().any(|it| story.0.remote.count(it) > 0);
        assert_eq!(is_written, minutes == 0, "{minutes}");
    }
    let words = "Acceptance/backup.lastRun: the device does not report that the service works: \
                 wants \"ok\", has \"failed\".";
    let report = story.0.calm_pass(MINUTE * 601);
    assert_eq!(ready(&report), format!("False(AcceptanceFailed) {words}"));
}

/// Changes the setting of the last run in the model.
fn edit_last_run(story: &mut Checked, edit: impl FnOnce(&mut DeviceSetting)) {
    story.edit_model(|it| edit(it.spec.settings.last_mut().expect("the last run")));
}

fn of_type(setting: &mut DeviceSetting, kind: ValueType) {
    setting.r#type = kind;
    setting.allowed.clear();
}

type Edit = fn(&mut Checked);

/// Edits after which the check cannot be used, with the reason and the message but for its beginning.
const FAULTS: [(&str, Edit, &str); 6] = [
    (
        "UnsupportedByModel",
        |story| story.edit_acceptance(|it| "backup.last-run".clone_into(&mut it.setting)),
        "reads the setting backup.last-run, which the DeviceModel mfp-500 does not have: must be \
         one of its settings.",
    ),
    (
        "UnsupportedValue",
        |story| story.edit_acceptance(|it| "okay".clone_into(&mut it.equals)),
        "cannot be used: backup.lastRun is \"okay\": must be one of never, running, ok, failed.",
    ),
    (
        "UnsupportedValue",
        |story| edit_last_run(story, |it| of_type(it, ValueType::Integer)),
        "cannot be used: backup.lastRun is \"ok\": must be a whole number such as \"15\".",
    ),
    (
        "UnsupportedByModel",
        |story| edit_last_run(story, |it| it.write_only = true),
        "reads the setting backup.lastRun, which is writeOnly in the DeviceModel mfp-500: must be a \
         setting that the device reports.",
    ),
    (
        "UnsupportedValue",
        |story| edit_last_run(story, |it| of_type(it, ValueType::Secret)),
        "reads the setting backup.lastRun, which is of type Secret: must be of another type.",
    ),
    (
        "UnsupportedByModel",
        |story| {
            edit_last_run(story, |it| {
                let ipp = it.via.ipp.as_mut().expect("by IPP");
                "nw-backup-mode".clone_into(&mut ipp.attribute);
            });
        },
        "reads the setting backup.lastRun, which the DeviceModel mfp-500 has at the same place as \
         DeviceSetting/backup.mode: must be a setting that the service does not write.",
    ),
];

// shows K2 B9
#[test]
fn each_fault_of_a_check_names_the_field_what_was_found_and_what_is_allowed() {
    for (reason, edit, message) in FAULTS {
        let mut story = Checked::new();
        edit(&mut story);
        let report = story.0.calm_pass(SignedDuration::ZERO);
        let found = ready(&report);
        assert!(found.starts_with(&format!("False({reason}) ")), "{found}");
        let field = "cceptance of the SmartService data-backup";
        assert!(found.ends_with(&format!("{field} {message}")), "{found}");
        assert_eq!(story.0.remote.count("Provision"), 0, "{message}");
    }
}

// shows K2 B9
#[test]
fn a_check_that_no_connection_can_carry_says_so() {
    let mut story = Checked::new();
    story.edit_model(|it| {
        let setting = it.spec.settings.last_mut().expect("the last run");
        setting.via.ipp = None;
    });
    let report = story.0.calm_pass(SignedDuration::ZERO);
    assert_eq!(
        ready(&report),
        "False(UnsupportedByModel) Acceptance of the SmartService data-backup reads the setting \
         backup.lastRun, which no connection of the Device can carry: its DeviceModel says no way \
         to it there."
    );
}

// shows B9
#[test]
fn a_service_that_ends_while_its_check_waits_is_withdrawn_and_its_check_released() {
    let mut story = Checked::new();
    story.0.calm_pass(SignedDuration::ZERO);
    story
        .0
        .edit_revision(|revision| revision.until = Some(now() + MINUTE));
    let report = story.0.calm_pass(MINUTE * 2);
    assert_eq!(check(&report).state, ItemState::Released);
    assert_eq!(said(&report, ConditionType::Ready), "True(Ended)");
    assert_eq!(story.0.remote.parameters, None, "the instance is gone");
}
