//! Tests of a contract whose services, subscriptions or records cannot be read.

use entente_crds::v1alpha1::Owed;

use super::*;

// shows K2 K7
#[test]
fn a_service_that_cannot_be_read_is_not_said_to_be_missing_and_its_subscriptions_stay() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    let service = world.services.remove("backup-service");
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::Ready), "False ServiceNotFound");
    world
        .unreadable_services
        .insert("backup-service".to_owned());
    let resolved = world.pass(DURING);
    assert!(resolved.changes.is_empty());
    for condition in [
        ConditionType::Ready,
        ConditionType::ResolvedRefs,
        ConditionType::Delivered,
    ] {
        assert_eq!(said(&world, condition), "False Undecodable");
        assert_eq!(
            message(&world, condition),
            "SmartService backup-service, named by services[backup], cannot be read; correct the \
             field that its status names."
        );
    }
    // The spec of the contract is not at fault.
    assert_eq!(said(&world, ConditionType::Stalled), "absent");
    // An older version of it is at hand.
    world
        .services
        .extend(service.map(|it| ("backup-service".to_owned(), it)));
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::ResolvedRefs), "True Resolved");
}

// shows K2 K7
#[test]
fn a_subscription_that_cannot_be_read_is_named_before_and_after_the_start_as_any_that_fails() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.subscriptions.remove(0);
    world.unreadable.insert("bank.backup.a".to_owned());
    world.pass(BEFORE);
    let words = "The subscription bank.backup.a cannot be read, so that it is not delivered; its \
                 status names the field.";
    assert_eq!(said(&world, ConditionType::Ready), "False Undecodable");
    assert_eq!(message(&world, ConditionType::Ready), words);
    world.deliver("bank.backup.b");
    world.pass(DURING);
    assert_eq!(
        said(&world, ConditionType::Ready),
        "False DevicesNotProgressing"
    );
    assert_eq!(
        message(&world, ConditionType::Ready),
        format!("1 of 2 subscriptions are delivered; 1 stuck: backup on a. {words}")
    );
    let status = world.contract.status.as_ref().expect("a status");
    assert_eq!(status.not_ready[0].reason, "Undecodable");
}

// shows D8 K7
#[test]
fn what_is_owed_stays_as_it_was_while_a_record_cannot_be_read() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    let owed = Owed {
        summary: "12.50 BRL".to_owned(),
        calculated: 1,
        ..Owed::default()
    };
    let status = world.contract.status.as_mut().expect("a status");
    status.owed = Some(owed.clone());
    world.unreadable_record = true;
    world.pass(DURING);
    let status = world.contract.status.as_ref().expect("a status");
    assert_eq!(status.owed, Some(owed));
    assert_eq!(
        said(&world, ConditionType::CompensationPending),
        "True NotFinal"
    );
    world.unreadable_record = false;
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::CompensationPending), "absent");
}
