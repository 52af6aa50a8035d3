//! Tests of the status of a subscription: what each intent and each obstacle says, and when it is
//! looked at again.

use std::{collections::BTreeMap, sync::Arc};

use entente_crds::{
    condition::ConditionType::{
        self, Delivered, DeviceConfigured, Ready, ResolvedRefs, ServerConfigured,
    },
    item_key::ItemKind,
    v1alpha1::{ItemState, PromiseState, ServiceSubscription, StepType},
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pass_fixture::{Remote, Story, now, run, said, snapshot};
use crate::{
    condition::{find, sentence},
    delivery::{Action, Answer, DeviceSnapshot, SubscriptionReport},
    remote::{Failure, FailureKind},
};

const ZERO: SignedDuration = SignedDuration::ZERO;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// From [`now`] to an hour before the start.
const BEFORE: SignedDuration = SignedDuration::from_hours(-2);

fn says(report: &SubscriptionReport, expected: &[(ConditionType, &str)]) {
    for (type_, says) in expected {
        assert_eq!(said(report, *type_), *says, "{type_:?}");
    }
}

fn failing(name: &'static str, kind: FailureKind) -> impl Fn(&Action) -> Option<Answer> {
    move |action| {
        let failure = Failure::new(kind, "so it said");
        match action {
            Action::WriteDevice { .. } if name == "WriteDevice" => {
                Some(Answer::DeviceWritten(Err(failure)))
            }
            Action::Provision { .. } if name == "Provision" => Some(Answer::Server(Err(failure))),
            _ => None,
        }
    }
}

// shows D1 D2 D3 K2
#[test]
fn what_is_delivered_says_so_on_both_sides_with_every_item_and_its_promise() {
    let report = Story::new().calm_pass(ZERO);
    says(
        &report,
        &[
            (Ready, "True(Delivered)"),
            (Delivered, "True(Delivered)"),
            (DeviceConfigured, "True(Succeeded)"),
            (ServerConfigured, "True(Succeeded)"),
            (ResolvedRefs, "True(Resolved)"),
        ],
    );
    let status = &report.status;
    assert_eq!((status.step, status.step_since), (None, None));
    let keys: Vec<&str> = status.items.iter().map(|it| it.key.as_str()).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    let effective = |it: &entente_crds::v1alpha1::Item| it.state == ItemState::Effective;
    assert!(status.items.iter().all(effective));
    assert_eq!(status.promises.len(), 1);
    assert!(status.ended.is_none() && !status.unattended);
    assert!(!report.finalizer_may_go, "nobody deletes it");
}

// shows B2 K2
#[test]
fn before_its_start_it_is_accepted_has_no_items_and_is_looked_at_at_its_start() {
    let mut story = Story::new();
    let report = story.calm_pass(BEFORE);
    says(
        &report,
        &[
            (Ready, "True(Scheduled)"),
            (Delivered, "False(NotStarted)"),
            (DeviceConfigured, "False(NotStarted)"),
            (ServerConfigured, "False(NotStarted)"),
        ],
    );
    let status = &report.status;
    assert_eq!(status.items, [], "nothing was sent");
    assert_eq!((status.step, status.revision.clone()), (None, None));
    let promise = status.promises.first().map(|it| it.state);
    assert_eq!(promise, Some(PromiseState::Open));
    let start = story.snapshot.subscriptions[0].spec.revisions[0].effective;
    assert_eq!(report.wake_at, Some(start));
    let asked = ["WriteDevice", "Provision", "Update"].map(|it| story.remote.count(it));
    assert_eq!(asked, [0, 0, 0]);
}

// shows B6 K2
#[test]
fn of_two_sides_the_one_that_waits_for_the_other_says_so() {
    let mut story = Story::new();
    let report = story.pass(ZERO, failing("WriteDevice", FailureKind::Busy));
    says(
        &report,
        &[
            (Ready, "False(Busy)"),
            (DeviceConfigured, "False(Busy)"),
            (ServerConfigured, "False(Waiting)"),
            (Delivered, "False(Busy)"),
        ],
    );
    assert_eq!(report.status.step, Some(StepType::DeviceSettings));
    let waits = |kind| {
        let mut items = report.status.items.iter();
        items.all(|it| it.key.kind() != Some(kind) || it.state == ItemState::Pending)
    };
    assert!(waits(ItemKind::ServerInstance) && waits(ItemKind::ServerSetting));
    let report = story.pass(MINUTE, failing("Provision", FailureKind::Busy));
    says(
        &report,
        &[
            (Ready, "False(Busy)"),
            (DeviceConfigured, "True(Succeeded)"),
            (ServerConfigured, "False(Busy)"),
        ],
    );
    assert_eq!(report.status.step, Some(StepType::ServerSettings));
    assert_eq!(report.status.step_since, Some(now() + MINUTE), "a new step");
}

// shows B6 D9
#[test]
fn a_step_that_takes_longer_than_its_limit_says_so_from_its_first_request_on() {
    let mut story = Story::new();
    let busy = || failing("WriteDevice", FailureKind::Busy);
    let report = story.pass(ZERO, busy());
    assert_eq!(report.status.step_since, Some(now()));
    let again = SignedDuration::from_secs(1);
    assert_eq!(report.wake_at, Some(now() + again), "it is tried again");
    let report = story.pass(HOUR - MINUTE, busy());
    says(&report, &[(Ready, "False(Busy)")]);
    assert_eq!(
        report.status.step_since,
        Some(now()),
        "retries do not move it"
    );
    let report = story.pass(HOUR, busy());
    says(&report, &[(Ready, "False(StepTimedOut)")]);
    assert!(report.status.step_timed_out);
    let ready = find(&report.status.conditions, Ready).expect("it is said");
    assert!(ready.message.contains("so it said"), "{}", ready.message);
    assert!(story.remote.count("WriteDevice") > 0, "nothing is given up");
    let report = story.calm_pass(HOUR + MINUTE);
    says(&report, &[(Ready, "True(Delivered)")]);
    assert!(!report.status.step_timed_out);
}

// shows K2
#[test]
fn what_needs_a_person_is_not_called_a_step_that_takes_too_long() {
    let mut story = Story::new();
    for after in [ZERO, HOUR * 2] {
        let report = story.pass(after, failing("WriteDevice", FailureKind::RejectedValue));
        says(&report, &[(Ready, "False(RejectedValue)")]);
        assert_eq!(said(&report, ConditionType::Stalled), "True(RejectedValue)");
        assert!(!report.status.step_timed_out);
    }
}

// shows D9 K2
#[test]
fn what_is_suspended_says_so_sends_nothing_and_keeps_what_was_proved() {
    type Edit = fn(&mut Story);
    let edits: [Edit; 2] = [
        |story| story.edit(|it| it.spec.contract.suspend = true),
        |story| story.edit_device(|it| it.spec.suspend = true),
    ];
    for suspend in edits {
        let mut story = Story::new();
        let before = story.calm_pass(ZERO);
        suspend(&mut story);
        let report = story.calm_pass(MINUTE);
        says(
            &report,
            &[(Ready, "True(Suspended)"), (Delivered, "True(Delivered)")],
        );
        assert_eq!(report.status.items, before.status.items);
        assert!(report.status.unattended);

        let mut story = Story::new();
        suspend(&mut story);
        let report = story.calm_pass(ZERO);
        says(
            &report,
            &[
                (Ready, "True(Suspended)"),
                (Delivered, "False(Suspended)"),
                (DeviceConfigured, "False(Suspended)"),
                (ServerConfigured, "False(Suspended)"),
            ],
        );
        assert_eq!(story.remote.count("WriteDevice"), 0);
        let delays = &report.status.promises[0].delays;
        let causes: Vec<_> = delays.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(causes.last(), Some(&"Suspended"));
    }
}

// shows K1 K2
#[test]
fn a_reference_that_leads_nowhere_is_named_and_heals_when_it_comes() {
    type Edit = fn(&mut DeviceSnapshot);
    let cases: [(Edit, &str, bool); 4] = [
        (|it| it.services.clear(), "ServiceNotFound", true),
        (|it| it.model = None, "ModelNotFound", true),
        (
            |it| drop(it.connections.remove("northwind-services")),
            "ConnectionNotFound",
            true,
        ),
        (|it| it.live_contracts.clear(), "Waiting", false),
    ];
    for (edit, reason, is_reference) in cases {
        let mut story = Story::new();
        edit(&mut story.snapshot);
        let report = story.calm_pass(ZERO);
        let says_it = format!("False({reason})");
        says(
            &report,
            &[
                (Ready, &says_it),
                (Delivered, &says_it),
                (DeviceConfigured, &says_it),
            ],
        );
        let refs = if is_reference {
            &says_it
        } else {
            "True(Resolved)"
        };
        says(&report, &[(ResolvedRefs, refs)]);
        assert_eq!(story.remote.count("WriteDevice"), 0, "{reason}");
        let whole = Story::new().snapshot;
        story.snapshot.services = whole.services;
        story.snapshot.model = whole.model;
        story.snapshot.connections = whole.connections;
        story.snapshot.live_contracts = whole.live_contracts;
        let report = story.calm_pass(MINUTE);
        says(
            &report,
            &[(Ready, "True(Delivered)"), (ResolvedRefs, "True(Resolved)")],
        );
    }
}

// shows C10 K2
#[test]
fn what_has_ended_is_withdrawn_and_says_since_when_without_being_deleted() {
    let mut story = Story::new();
    story.calm_pass(ZERO);
    story.edit_revision(|it| it.until = Some(now() + HOUR));
    let report = story.calm_pass(MINUTE);
    assert_eq!(report.wake_at, Some(now() + HOUR), "it ends then");
    let report = story.calm_pass(HOUR);
    says(
        &report,
        &[
            (Ready, "True(Ended)"),
            (Delivered, "False(Ended)"),
            (DeviceConfigured, "False(Ended)"),
            (ServerConfigured, "False(Ended)"),
        ],
    );
    let status = &report.status;
    assert_eq!(
        (status.ended, status.server.clone()),
        (Some(now() + HOUR), None)
    );
    for item in &status.items {
        assert_eq!(item.state, ItemState::Released, "{}", item.key.as_str());
    }
    assert!(!report.finalizer_may_go, "it is kept as a record");
    let report = story.calm_pass(HOUR * 5);
    assert_eq!(report.status.ended, Some(now() + HOUR), "it ends once");
}

// shows C10 D8
#[test]
fn a_deletion_waits_for_the_server_and_then_for_what_is_owed() {
    let mut story = Story::new();
    story.calm_pass(HOUR * 100);
    let missed = story.snapshot.subscriptions[0].status.clone();
    let promise = missed.expect("a status").promises[0].state;
    assert_eq!(promise, PromiseState::Missed);
    let at = now() + HOUR * 101;
    story.edit(|it| it.metadata.deletion_timestamp = Some(Time(at)));
    story.snapshot.withdraw_deadline = HOUR * 24;
    let refuse = |action: &Action| {
        let failure = Failure::new(FailureKind::Busy, "so it said");
        matches!(action, Action::Deprovision { .. }).then(|| Answer::Server(Err(failure)))
    };
    let report = story.pass(HOUR * 101, refuse);
    says(&report, &[(Ready, "False(Withdrawing)")]);
    assert!(!report.finalizer_may_go);
    let ready = find(&report.status.conditions, Ready).expect("it is said");
    assert!(ready.message.contains("so it said"), "{}", ready.message);
    let report = story.calm_pass(HOUR * 102);
    assert!(!report.finalizer_may_go, "the debt is not recorded");
    assert_eq!(report.status.server, None);
    story.edit_revision(|it| it.remedies.clear());
    let report = story.calm_pass(HOUR * 103);
    assert!(report.finalizer_may_go);
}

// shows B2
#[test]
fn an_instant_that_lies_ahead_is_woken_for_and_one_that_is_over_is_not() {
    let mut story = Story::new();
    let next = now() + HOUR * 3;
    let first = &story.snapshot.subscriptions[0].spec.revisions[0];
    let mut revision = first.clone();
    Arc::make_mut(&mut revision).effective = next;
    story.edit_revision(|it| it.until = Some(next));
    story.edit(|it| it.spec.revisions.push(revision));
    let report = story.calm_pass(ZERO);
    assert_eq!(report.wake_at, Some(next));
    let report = story.calm_pass(HOUR * 3);
    assert_eq!(report.wake_at, None, "nothing lies ahead");
    let began = report.status.revision.map(|it| it.effective);
    assert_eq!(began, Some(next));
}

// shows K5
#[test]
fn a_report_that_is_made_again_because_its_write_lost_a_race_says_the_same() {
    let mut remote = Remote::new();
    let busy = failing("WriteDevice", FailureKind::Busy);
    let (pass, mut object) = run(snapshot(), &mut remote, busy);
    let report = |object: &ServiceSubscription| {
        let report = pass.report_subscription(object, now());
        report.expect("it is ours")
    };
    let first = report(&object);
    let attempts = first.status.items.iter().filter_map(|it| it.attempts);
    assert_eq!(attempts.max(), Some(1));
    assert!(!first.unsaid_attempts.is_empty(), "no status says it yet");
    object.status = Some(first.status.clone());
    let said = SubscriptionReport {
        unsaid_attempts: BTreeMap::new(),
        ..first.clone()
    };
    assert_eq!(report(&object), said);
    // Another writer changed something of the object meanwhile.
    object.metadata.generation = Some(9);
    object.status.as_mut().expect("a status").conditions.clear();
    let again = report(&object).status;
    assert_eq!(again.items, first.status.items, "nothing is counted twice");
    assert_eq!(again.promises, first.status.promises);
}

// shows K2
#[test]
fn the_generation_is_said_as_observed_with_each_condition() {
    let mut story = Story::new();
    story.edit(|it| it.metadata.generation = Some(7));
    let report = story.calm_pass(ZERO);
    assert_eq!(report.status.observed_generation, Some(7));
    let conditions = &report.status.conditions;
    assert!(
        conditions
            .iter()
            .all(|it| it.observed_generation == Some(7))
    );
    let device = Arc::clone(story.snapshot.device.as_ref().expect("a device"));
    assert_eq!(
        device.status.as_ref().and_then(|it| it.observed_generation),
        device.metadata.generation
    );
}

// shows K2
#[test]
fn a_message_is_a_sentence_whatever_it_was_made_of() {
    for (text, expected) in [
        ("", ""),
        ("no route", "No route."),
        ("No route.", "No route."),
        ("why?", "Why?"),
        ("stop!", "Stop!"),
        ("and so on…", "And so on…"),
        ("ärger", "Ärger."),
        ("backup.mode: why?", "backup.mode: why?"),
        ("spec.services[0] is 7", "spec.services[0] is 7."),
        ("ßx", "SSx."),
    ] {
        assert_eq!(sentence(text), expected);
    }
}
