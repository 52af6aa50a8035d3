//! Tests of the customer as a broker knows it.

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{AdoptedBy, ServerInstance},
};
use jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

use super::pass_fixture::{Story, said, subscription};
use crate::{
    delivery::{Action, Answer, SubscriptionReport},
    remote::{Failure, FailureKind, InstanceReading},
};

const ZERO: SignedDuration = SignedDuration::ZERO;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn handle(report: &SubscriptionReport) -> ServerInstance {
    report.status.server.clone().expect("it has an instance")
}

/// Runs a pass. Returns its report and each provision and update as the broker gets it, but for the
/// values.
fn told(
    story: &mut Story,
    after: SignedDuration,
    mut answer: impl FnMut(&Action) -> Option<Answer>,
) -> (SubscriptionReport, Vec<(&'static str, String)>) {
    let mut told = Vec::new();
    let report = story.pass(after, |action| {
        match action {
            Action::Provision { context, .. } => {
                told.push(("provision", context.organization.clone()));
            }
            Action::Update { context, .. } => told.push(("update", context.organization.clone())),
            _ => {}
        }
        answer(action)
    });
    (report, told)
}

fn is_lost(action: &Action) -> Option<Answer> {
    let lost = Failure {
        doubtful: true,
        ..Failure::new(FailureKind::TimedOut, "no answer in time")
    };
    matches!(action, Action::Provision { .. }).then_some(Answer::Server(Err(lost)))
}

/// Makes what an earlier version left in the status: no organization.
fn of_an_earlier_version(story: &mut Story) {
    story.edit(|it| {
        let status = it.status.as_mut().expect("a status");
        status.server.as_mut().expect("an instance").organization = None;
    });
}

// shows B7
#[test]
fn two_namespaces_with_one_customer_id_are_two_organizations_and_one_namespace_is_one() {
    let organization = |namespace: &str, customer: &str| {
        let mut story = Story::new();
        namespace.clone_into(&mut story.snapshot.namespace);
        story.edit(|it| customer.clone_into(&mut it.spec.customer.id));
        let (_, told) = told(&mut story, ZERO, |_| None);
        told.first().expect("a provision").1.clone()
    };
    let ours = organization("banco-sul", "C-4711");
    assert!(Uuid::parse_str(&ours).is_ok(), "{ours}");
    assert_eq!(ours, organization("banco-sul", "C-4711"));
    assert_ne!(ours, organization("another", "C-4711"));
    assert_ne!(ours, organization("banco-sul", "C-4712"));
}

// shows B7 K5
#[test]
fn the_provision_after_a_lost_answer_names_the_same_organization() {
    let mut story = Story::new();
    let (report, first) = told(&mut story, ZERO, is_lost);
    assert_eq!(handle(&report).organization.as_ref(), Some(&first[0].1));
    let (_, again) = told(&mut story, HOUR, |_| None);
    assert_eq!(again.first(), first.first());
}

// shows B7 K5
#[test]
fn an_instance_of_an_earlier_version_keeps_the_customer_id_also_when_its_provision_is_in_doubt() {
    let mut story = Story::new();
    told(&mut story, ZERO, is_lost);
    of_an_earlier_version(&mut story);
    let customer = subscription().spec.customer.id;
    let (_, again) = told(&mut story, HOUR, |_| None);
    assert_eq!(again.first(), Some(&("provision", customer.clone())));
    // Somebody changed it at the broker.
    let other = [("mode".to_owned(), json!("Full"))];
    story.remote.parameters = Some(other.into_iter().collect());
    let (report, updates) = told(&mut story, HOUR * 2, |_| None);
    assert_eq!(updates.first(), Some(&("update", customer.clone())));
    assert!(
        updates.iter().all(|(_, told)| *told == customer),
        "{updates:?}"
    );
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");

    // The record is written before the request, which may have left although nothing says so.
    let mut story = Story::new();
    let (report, _) = told(&mut story, ZERO, is_lost);
    story.edit(|it| {
        let status = it.status.as_mut().expect("a status");
        status.server = Some(ServerInstance {
            organization: None,
            operation: None,
            sent_digest: None,
            ..handle(&report)
        });
    });
    let customer = subscription().spec.customer.id;
    let (_, again) = told(&mut story, HOUR, |_| None);
    assert_eq!(again.first(), Some(&("provision", customer)));
}

// shows B7 K5
#[test]
fn an_instance_that_a_restore_finds_with_another_organization_is_taken_over_and_set() {
    let mut story = Story::new();
    let other = [("mode".to_owned(), json!("Full"))];
    story.remote.parameters = Some(other.into_iter().collect());
    let mut is_there = false;
    let (report, told) = told(&mut story, ZERO, |action| match action {
        // Until it is asked to make one, it says nothing of an instance.
        Action::ReadInstance { .. } if !is_there => {
            Some(Answer::Instance(Ok(InstanceReading::Absent)))
        }
        Action::Provision { .. } => {
            is_there = true;
            let differs = Failure::new(FailureKind::Conflict, "of another organization");
            Some(Answer::Server(Err(differs)))
        }
        _ => None,
    });
    assert_eq!(told[0].0, "provision");
    let adopted = handle(&report).adopted.map(|it| it.by);
    assert_eq!(adopted, Some(AdoptedBy::Conflict));
    let report = story.calm_pass(HOUR);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    assert_eq!(story.remote.count("Provision"), 0);
}
