//! Tests of a change of plan: the plan that an instance has is in every request about it, the wanted
//! one only in the update.

use std::sync::Arc;

use entente_crds::{condition::ConditionType, v1alpha1::ServerInstance};
use jiff::SignedDuration;

use super::pass_fixture::{Story, catalog, said};
use crate::{
    delivery::{Action, Answer, SubscriptionReport},
    remote::{Catalog, InstanceReading, OperationState, Plan, ServerAnswer},
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn with_another_plan() -> Catalog {
    let mut catalog = catalog();
    catalog.offerings[0].plans.push(Plan {
        id: "large-id".to_owned(),
        name: "large".to_owned(),
        updateable: true,
        ..Plan::default()
    });
    catalog
}

/// Returns a story in which the plan `standard` was delivered and another is wanted since, at a
/// broker that tells no plan in a fetch.
fn another_plan_is_wanted() -> Story {
    let mut story = Story::new();
    let report = story.calm_pass(SignedDuration::ZERO);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    let catalogs = &mut story.snapshot.catalogs;
    catalogs.insert("northwind-services".into(), Arc::new(with_another_plan()));
    wants(&mut story, "large");
    story.full_looks = false;
    story
}

fn wants(story: &mut Story, plan: &str) {
    let service = story.snapshot.services.get_mut("data-backup");
    let server = Arc::make_mut(service.expect("the service"));
    plan.clone_into(&mut server.spec.server.as_mut().expect("a server side").plan);
}

/// Returns the plan that an action names, by the name of the action.
fn plan_of(action: &Action) -> Option<(&'static str, &str)> {
    match action {
        Action::ReadInstance { instance, .. } => Some(("fetch", &instance.plan_id)),
        Action::PollOperation { instance, .. } => Some(("poll", &instance.plan_id)),
        Action::Deprovision { instance, .. } => Some(("remove", &instance.plan_id)),
        Action::Update { to_plan, .. } => Some(("update", to_plan.as_deref().unwrap_or("-"))),
        _ => None,
    }
}

fn asked(action: &Action, all: &mut Vec<String>) {
    if let Some((what, plan)) = plan_of(action) {
        all.push(format!("{what} {plan}"));
    }
}

fn handle(report: &SubscriptionReport) -> ServerInstance {
    report.status.server.clone().expect("an instance")
}

// shows D2 K5
#[test]
fn a_change_of_plan_is_sent_although_the_broker_tells_no_plan_and_the_handle_follows_it() {
    let mut story = another_plan_is_wanted();
    let mut all = Vec::new();
    let report = story.pass(MINUTE, |action| {
        asked(action, &mut all);
        None
    });
    assert_eq!(
        all,
        ["fetch standard-id", "update large-id", "fetch large-id"]
    );
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    let handle = handle(&report);
    assert_eq!(handle.plan_id, "large-id");
    assert_eq!(handle.plan.as_deref(), Some("large"));
}

// shows D2 K5
#[test]
fn while_a_change_of_plan_is_under_way_the_handle_keeps_the_plan_that_was_proved() {
    let mut story = another_plan_is_wanted();
    let mut all = Vec::new();
    let report = story.pass(MINUTE, |action| {
        asked(action, &mut all);
        match action {
            Action::Update { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
                operation: None,
                retry_after: None,
            }))),
            _ => None,
        }
    });
    assert_eq!(handle(&report).plan_id, "standard-id");
    // Another wish meanwhile, and a restart: the end of the operation is what it was begun for.
    wants(&mut story, "standard");
    story.snapshot.catalogs.clear();
    let report = story.pass(MINUTE * 2, |action| {
        asked(action, &mut all);
        match action {
            Action::ReadCatalog { .. } => Some(Answer::Catalog(Ok(Arc::new(with_another_plan())))),
            Action::PollOperation { .. } => Some(Answer::Operation(Ok(OperationState::Succeeded))),
            _ => None,
        }
    });
    assert_eq!(
        all,
        [
            "fetch standard-id",
            "update large-id",
            "poll standard-id",
            "fetch large-id",
            "update standard-id",
            "fetch standard-id",
        ]
    );
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    assert_eq!(handle(&report).plan_id, "standard-id");
}

// shows D2 K5
#[test]
fn a_plan_that_the_broker_tells_is_in_the_handle_and_is_changed_back() {
    let mut story = another_plan_is_wanted();
    wants(&mut story, "standard");
    story.full_looks = true;
    let parameters = story.remote.parameters.clone();
    let mut all = Vec::new();
    let report = story.pass(MINUTE, |action| {
        asked(action, &mut all);
        match action {
            Action::ReadInstance { .. } => Some(Answer::Instance(Ok(InstanceReading::Present {
                service_id: None,
                plan_id: Some("large-id".to_owned()),
                parameters: parameters.clone(),
            }))),
            _ => None,
        }
    });
    assert_eq!(
        all,
        [
            "fetch standard-id",
            "update standard-id",
            "fetch standard-id"
        ]
    );
    assert_eq!(handle(&report).plan_id, "large-id", "it was not changed");
    assert_eq!(handle(&report).plan.as_deref(), Some("large"));
    let report = story.calm_pass(MINUTE * 2);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    assert_eq!(handle(&report).plan_id, "standard-id");
}
