//! Tests of subscriptions that succeed each other: one instance, one name at the broker, one
//! precedence.

use entente_crds::v1alpha1::{Origin, ServiceSubscription};
use jiff::SignedDuration;

use super::pass_fixture::{Story, now, subscription};
use crate::delivery::{Action, instance_id, resolve::resolve};

const NAMESPACE: &str = "acme";

/// Returns a subscription of a later contract, whose chain begins with the one of the fixture.
fn successor() -> ServiceSubscription {
    let first = subscription();
    let mut successor = first.clone();
    let contract = &mut successor.spec.contract;
    "banco-sul-2030".clone_into(&mut contract.name);
    contract.start += SignedDuration::from_hours(24);
    "copies".clone_into(&mut successor.spec.service_name);
    successor.metadata.name = Some("banco-sul-2030.copies.lobby-mfp".to_owned());
    successor.spec.origin = Some(Origin {
        contract: first.spec.contract.name,
        service_name: first.spec.service_name,
        start: first.spec.contract.start,
    });
    successor
}

// shows B1
#[test]
fn those_that_succeed_each_other_have_one_instance_on_each_device() {
    let first = instance_id(NAMESPACE, &subscription());
    let mut next = successor();
    assert_eq!(instance_id(NAMESPACE, &next), first);
    "archive-mfp".clone_into(&mut next.spec.device_ref.name);
    assert_ne!(instance_id(NAMESPACE, &next), first, "another device");
    let mut next = successor();
    "C-1".clone_into(&mut next.spec.customer.id);
    assert_ne!(instance_id(NAMESPACE, &next), first, "another customer");
    let mut next = successor();
    next.spec.origin = None;
    assert_ne!(instance_id(NAMESPACE, &next), first, "it succeeds nobody");
}

// shows B1
#[test]
fn a_renewal_does_not_lose_its_precedence_to_a_contract_that_came_in_between() {
    let mut between = subscription();
    between.spec.contract.start += SignedDuration::from_hours(12);
    between.metadata.name = Some("between.backup.lobby-mfp".to_owned());
    let mut snapshot = super::pass_fixture::snapshot();
    snapshot.subscriptions = vec![between.into(), successor().into()];
    let resolved = resolve(&snapshot, now());
    let names: Vec<&str> = resolved.subscriptions.iter().map(|it| &*it.name).collect();
    assert_eq!(
        names,
        [
            "banco-sul-2030.copies.lobby-mfp",
            "between.backup.lobby-mfp"
        ]
    );
}

// shows B1 K5
#[test]
fn an_instance_is_not_removed_while_a_subscription_that_may_go_on_with_it_cannot_be_read() {
    for is_unreadable in [true, false] {
        let mut story = Story::new();
        story.pass(SignedDuration::ZERO, |_| None);
        story.edit(|it| {
            let last = it.spec.revisions.last_mut().expect("an entry");
            std::sync::Arc::make_mut(last).until = Some(now() + SignedDuration::from_mins(1));
        });
        if is_unreadable {
            let name = "banco-sul-2030.backup.lobby-mfp".into();
            story.snapshot.unreadable_subscriptions.insert(name);
        }
        let mut removed = 0;
        let report = story.pass(SignedDuration::from_mins(2), |action| {
            removed += usize::from(matches!(action, Action::Deprovision { .. }));
            None
        });
        assert_eq!(removed, usize::from(!is_unreadable));
        assert_eq!(report.status.server.is_some(), is_unreadable);
    }
}
