//! Tests of what a subscription says about a debt that cannot be recorded.

use entente_crds::condition::ConditionType::{Delivered, DeviceConfigured, Ready, Stalled};
use entente_crds::v1alpha1::PromiseState;
use jiff::SignedDuration;

use super::pass_fixture::{Story, said};
use crate::{
    compensation::records_for,
    condition::find,
    delivery::{Action, Answer, SubscriptionReport},
    promise::CompensationRecord,
    remote::{Failure, FailureKind},
};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Returns a story in which the promise was missed because the device was off, and the record that
/// is owed for it.
fn missed() -> (Story, CompensationRecord) {
    let mut story = Story::new();
    let report = story.pass(DAY, |action| {
        let off = Failure::new(FailureKind::Unreachable, "it is off");
        matches!(action, Action::ReadDevice { .. }).then_some(Answer::DeviceRead {
            result: Err(off),
            claimed_by_another: None,
        })
    });
    assert_eq!(report.status.promises[0].state, PromiseState::Missed);
    let subscription = &story.snapshot.subscriptions[0];
    let mut owed = records_for(subscription, None, &story.snapshot.namespace);
    let record = CompensationRecord::from(&owed.remove(0));
    (story, record)
}

fn message(report: &SubscriptionReport) -> String {
    let ready = find(&report.status.conditions, Ready);
    ready.map_or_else(String::new, |ready| ready.message.to_string())
}

// shows D8 K2
#[test]
fn a_compensation_of_another_debt_under_our_name_is_left_and_named_with_both_keys() {
    let (mut story, owed) = missed();
    let taken = CompensationRecord {
        booking_key: "of another customer".to_owned(),
        ..owed.clone()
    };
    story.snapshot.compensations = vec![taken];
    let report = story.calm_pass(DAY * 2);
    assert_eq!(said(&report, Stalled), "True(CompensationNameTaken)");
    assert_eq!(said(&report, Ready), "False(CompensationNameTaken)");
    for named in [&*owed.name, "of another customer", &*owed.booking_key] {
        assert!(message(&report).contains(named), "{}", message(&report));
    }
    assert_eq!(report.status.promises[0].emitted, [""; 0], "it is not ours");
    // The service is delivered all the same, and says so.
    assert_eq!(said(&report, Delivered), "True(Delivered)");
    assert_eq!(said(&report, DeviceConfigured), "True(Succeeded)");
    story.snapshot.compensations = vec![owed.clone()];
    let report = story.calm_pass(DAY * 3);
    assert_eq!(said(&report, Ready), "True(Delivered)");
    assert_eq!(report.status.promises[0].emitted, [owed.name]);
}
