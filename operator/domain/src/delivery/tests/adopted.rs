//! Tests of instances that were there before anything was asked for.

use entente_crds::{
    ANNOTATION_PROVISION,
    condition::ConditionType::{Ready, Stalled},
    v1alpha1::{AdoptedBy, Origin, ServerInstance, ServiceSubscription},
};
use jiff::SignedDuration;
use kube::ResourceExt as _;
use serde_json::json;

use super::pass_fixture::{Story, now, said};
use crate::{
    condition::find,
    delivery::{Action, Answer, SubscriptionReport},
    remote::{Failure, FailureKind, InstanceReading, ServerAnswer},
};

const ZERO: SignedDuration = SignedDuration::ZERO;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn handle(report: &SubscriptionReport) -> ServerInstance {
    report.status.server.clone().expect("it has an instance")
}

fn adopted(report: &SubscriptionReport) -> Option<AdoptedBy> {
    handle(report).adopted.map(|it| it.by)
}

/// Returns a story in which the broker has an instance under our id, with other values.
fn restored() -> Story {
    let mut story = Story::new();
    let other = [("mode".to_owned(), json!("Full"))];
    story.remote.parameters = Some(other.into_iter().collect());
    story
}

/// Answers as a broker that lets no instance be fetched, and with `provision` to a provision.
fn unfetchable(
    provision: Result<ServerAnswer, Failure>,
) -> impl FnMut(&Action) -> Option<Answer> + 'static {
    move |action| match action {
        Action::ReadInstance { .. } => Some(Answer::Instance(Ok(InstanceReading::NotRetrievable))),
        Action::Provision { .. } => Some(Answer::Server(provision.clone())),
        _ => None,
    }
}

// shows B7 K5
#[test]
fn an_instance_that_a_fetch_finds_before_anything_was_sent_is_taken_over_and_said_to_be() {
    let mut story = restored();
    let report = story.calm_pass(ZERO);
    assert_eq!(said(&report, Ready), "True(Delivered)");
    assert_eq!(story.remote.count("Provision"), 0);
    let since = handle(&report).adopted.expect("it was there").since;
    assert_eq!(adopted(&report), Some(AdoptedBy::Fetch));
    let later = story.calm_pass(MINUTE);
    assert_eq!(handle(&later).adopted.expect("it stays").since, since);
}

// shows B7 K5
#[test]
fn what_comes_back_is_said_to_have_been_there_although_the_first_pass_could_not_ask() {
    type Change = fn(&mut ServiceSubscription);
    let silent = |action: &Action| match action {
        Action::ReadInstance { .. } => {
            let failure = Failure::new(FailureKind::TimedOut, "no answer");
            Some(Answer::Instance(Err(failure)))
        }
        _ => None,
    };
    let cases: [(Change, Option<AdoptedBy>); 3] = [
        (|it| it.spec.restored = Some(now()), Some(AdoptedBy::Fetch)),
        (
            |it| it.spec.contract.created = now(),
            Some(AdoptedBy::Fetch),
        ),
        // Named as early as it is known: it may have been made by a request whose answer was lost.
        (|_| {}, None),
    ];
    for (number, (change, by)) in cases.into_iter().enumerate() {
        let mut story = restored();
        story.edit(change);
        story.pass(ZERO, silent);
        let report = story.calm_pass(MINUTE);
        assert_eq!(said(&report, Ready), "True(Delivered)", "{number}");
        assert_eq!(adopted(&report), by, "{number}");
    }
}

// shows B7 K5
#[test]
fn an_instance_that_a_broker_says_exists_is_taken_over_and_said_to_be() {
    let conflict = || Failure::new(FailureKind::Conflict, "409");
    for (answer, by) in [
        (Ok(ServerAnswer::Existed), Some(AdoptedBy::Identical)),
        (Err(conflict()), Some(AdoptedBy::Conflict)),
        (Ok(ServerAnswer::Done), None),
    ] {
        let mut story = Story::new();
        let report = story.pass(ZERO, unfetchable(answer.clone()));
        assert_eq!(adopted(&report), by, "{answer:?}");
    }
    // Where it can be fetched, that is the proof: this one is gone again.
    let mut story = Story::new();
    let report = story.pass(ZERO, |action| {
        matches!(action, Action::Provision { .. }).then(|| Answer::Server(Err(conflict())))
    });
    assert_eq!(adopted(&report), Some(AdoptedBy::Conflict));
    assert_eq!(
        handle(&report).sent_digest,
        None,
        "it is not taken over yet"
    );
    let report = story.calm_pass(MINUTE);
    assert_eq!(said(&report, Ready), "True(Delivered)");
    assert_eq!(adopted(&report), None);
}

// shows K5
#[test]
fn what_this_subscription_made_itself_is_not_said_to_have_been_there() {
    let lost = Failure {
        doubtful: true,
        ..Failure::new(FailureKind::TimedOut, "no answer")
    };
    for answer in [ServerAnswer::Existed, ServerAnswer::Done] {
        let mut story = Story::new();
        story.pass(ZERO, unfetchable(Err(lost.clone())));
        let report = story.pass(MINUTE, unfetchable(Ok(answer.clone())));
        assert_eq!(adopted(&report), None, "{answer:?}");
    }
    // The process died after its provision: the status names the instance, and it is there.
    let mut story = Story::new();
    let report = story.calm_pass(ZERO);
    assert_eq!(adopted(&report), None);
    story.edit(|it| {
        let server = it.status.as_mut().and_then(|it| it.server.as_mut());
        server.expect("an instance").sent_digest = None;
    });
    let report = story.calm_pass(MINUTE);
    assert_eq!(adopted(&report), None);
}

// shows B7 K2
#[test]
fn an_instance_of_another_offering_under_our_id_is_left_as_it_is_and_both_ids_are_named() {
    let mut story = restored();
    let report = story.pass(ZERO, |action| {
        let present = InstanceReading::Present {
            service_id: Some("a-stranger-id".to_owned()),
            plan_id: None,
            parameters: None,
        };
        matches!(action, Action::ReadInstance { .. }).then(|| Answer::Instance(Ok(present)))
    });
    assert_eq!(said(&report, Stalled), "True(OfferingChanged)");
    let ready = find(&report.status.conditions, Ready).expect("it is stated");
    for id in ["a-stranger-id", "data-backup-id"] {
        assert!(ready.message.contains(id), "{}", ready.message);
    }
    let sent = ["Provision", "Update", "Deprovision"].map(|it| story.remote.count(it));
    assert_eq!(sent, [0, 0, 0]);
    assert_eq!(adopted(&report), None);
    assert_eq!(
        handle(&report).sent_digest,
        None,
        "its withdrawal removes nothing"
    );
}

// shows K5 C10
#[test]
fn an_instance_that_a_restored_chain_must_have_is_never_made_a_second_time() {
    let came_back = |origin: bool| {
        move |it: &mut ServiceSubscription| {
            it.spec.restored = Some(now());
            it.spec.origin = origin.then(|| Origin {
                contract: "the-first".to_owned(),
                service_name: "backup".to_owned(),
                start: now(),
            });
        }
    };
    let missed = || {
        let mut story = Story::new();
        story.edit(came_back(true));
        let report = story.calm_pass(ZERO);
        assert_eq!(said(&report, Ready), "False(InstanceNotFound)");
        assert!(find(&report.status.conditions, Stalled).is_some());
        assert_eq!(story.remote.count("Provision"), 0);
        story
    };
    let mut brought_back = missed();
    brought_back.remote.parameters = restored().remote.parameters;
    let report = brought_back.calm_pass(MINUTE);
    assert_eq!(said(&report, Ready), "True(Delivered)");
    assert_eq!(brought_back.remote.count("Provision"), 0);
    let mut given_up = missed();
    given_up.edit(|it| {
        let wish = (ANNOTATION_PROVISION.to_owned(), "true".to_owned());
        it.annotations_mut().extend([wish]);
    });
    let report = given_up.calm_pass(MINUTE);
    assert_eq!(said(&report, Ready), "True(Delivered)");
    assert_eq!(given_up.remote.count("Provision"), 1);
    // One that never was continued has an id of its own, and is made again.
    let mut alone = Story::new();
    alone.edit(came_back(false));
    assert_eq!(said(&alone.calm_pass(ZERO), Ready), "True(Delivered)");
}
