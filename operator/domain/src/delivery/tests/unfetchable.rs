//! Tests of brokers that do not let instances be fetched (OSB: the default).

use std::sync::Arc;

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{ItemState, Proof, ServerOperationState},
};
use jiff::SignedDuration;

use super::pass_fixture::{Story, catalog, said};
use crate::{
    delivery::{Action, Answer, SubscriptionReport},
    remote::{Failure, FailureKind, InstanceReading, OperationState, ServerAnswer},
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Returns a story with a broker that lets nothing be fetched, whose service has this proof.
fn unfetchable(proof: Proof) -> Story {
    let mut story = Story::new();
    let mut known = catalog();
    known.offerings[0].instances_retrievable = false;
    let catalogs = &mut story.snapshot.catalogs;
    catalogs.insert("northwind-services".into(), Arc::new(known));
    wants(&mut story, proof);
    story.full_looks = false;
    story
}

fn wants(story: &mut Story, proof: Proof) {
    let service = story.snapshot.services.get_mut("data-backup");
    let server = Arc::make_mut(service.expect("the service"));
    server.spec.server.as_mut().expect("a server side").proof = proof;
}

fn not_fetched(action: &Action) -> Option<Answer> {
    match action {
        Action::ReadInstance { retrievable, .. } => {
            assert!(!retrievable);
            Some(Answer::Instance(Ok(InstanceReading::NotRetrievable)))
        }
        _ => None,
    }
}

fn proofs(report: &SubscriptionReport) -> Vec<Option<Proof>> {
    let items = report.status.items.iter();
    let of_server = items.filter(|item| !item.key.as_str().starts_with("DeviceSetting"));
    of_server.map(|item| item.proof).collect()
}

// shows D2
#[test]
fn what_was_accepted_counts_only_where_the_service_says_so() {
    let mut story = unfetchable(Proof::Read);
    let report = story.pass(SignedDuration::ZERO, not_fetched);
    assert_eq!(said(&report, ConditionType::Ready), "False(NotVerifiable)");
    assert_eq!(story.remote.count("Update"), 0, "a later step");
    assert!(proofs(&report).iter().all(Option::is_none));

    wants(&mut story, Proof::Taken);
    let report = story.pass(MINUTE, not_fetched);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    let asked = ["Provision", "Update"].map(|action| story.remote.count(action));
    assert_eq!(asked, [0, 1], "it was accepted, and is turned on");
    assert!(
        proofs(&report)
            .iter()
            .all(|proof| *proof == Some(Proof::Taken))
    );
    assert_eq!(report.status.promises[0].proof, Some(Proof::Taken));

    let again = story.pass(MINUTE * 2, not_fetched);
    assert_eq!(again.status, report.status, "nothing is written again");

    wants(&mut story, Proof::Read);
    let report = story.pass(MINUTE * 3, not_fetched);
    assert_eq!(said(&report, ConditionType::Ready), "False(NotVerifiable)");
}

// shows D2 K2
#[test]
fn what_can_be_fetched_has_to_be_read_back_whatever_the_service_says() {
    let mut story = Story::new();
    wants(&mut story, Proof::Taken);
    let report = story.pass(SignedDuration::ZERO, |action| match action {
        Action::Update { .. } => Some(Answer::Server(Ok(ServerAnswer::Done))),
        _ => None,
    });
    assert_eq!(
        said(&report, ConditionType::Ready),
        "False(AcceptedNotEffective)"
    );
}

// shows D2 K2
#[test]
fn an_operation_that_the_broker_does_not_know_any_more_is_no_success() {
    let unknown = |kind| Err(Failure::new(kind, "404"));
    for proof in [Proof::Read, Proof::Taken] {
        for answer in [
            Ok(OperationState::Gone),
            unknown(FailureKind::Unsupported),
            unknown(FailureKind::RejectedValue),
        ] {
            let mut story = unfetchable(proof);
            let begun = |action: &Action| match action {
                Action::Provision { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
                    operation: None,
                    retry_after: None,
                }))),
                Action::PollOperation { .. } => Some(Answer::Operation(answer.clone())),
                _ => not_fetched(action),
            };
            story.pass(SignedDuration::ZERO, begun);
            let report = story.pass(MINUTE, begun);
            let what = format!("{proof:?} {answer:?}");
            assert_eq!(
                said(&report, ConditionType::Ready),
                "False(ProtocolError)",
                "{what}"
            );
            let server = report.status.server.clone().expect("an instance");
            let state = server.operation.map(|operation| operation.state);
            assert_eq!(state, Some(ServerOperationState::InDoubt), "{what}");
            let items = report.status.items.iter();
            let effective = items.filter(|item| item.proof == Some(Proof::Taken));
            assert_eq!(effective.count(), 0, "{what}");
            story.pass(MINUTE * 2, begun);
            assert_eq!(story.remote.count("Provision"), 1, "{what}: the same again");
        }
    }
}

// shows D2
#[test]
fn an_operation_whose_instance_can_be_fetched_is_judged_by_a_fetch() {
    let mut story = Story::new();
    let catalogs = &mut story.snapshot.catalogs;
    catalogs.insert("northwind-services".into(), Arc::new(catalog()));
    story.pass(SignedDuration::ZERO, |action| match action {
        Action::Provision { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
            operation: None,
            retry_after: None,
        }))),
        _ => None,
    });
    story.full_looks = false;
    let report = story.pass(MINUTE, |action| match action {
        Action::PollOperation { .. } => Some(Answer::Operation(Ok(OperationState::Gone))),
        _ => None,
    });
    let mut items = report.status.items.iter();
    let instance = items.find(|item| item.key == "ServerInstance");
    let state = instance.map(|instance| instance.state);
    assert_eq!(state, Some(ItemState::NotEffective), "a fetch says absent");
    assert_eq!(story.remote.count("ReadInstance"), 1);
}
