//! Tests of the subscriptions that are made, changed, deleted, held back and waited for.

use super::*;

// shows B1
#[test]
fn a_contract_makes_one_subscription_for_each_service_on_each_device() {
    let mut world = world(vec![
        selecting(
            entry("backup", "backup-service", &["extra"]),
            &[("in", "bank")],
        ),
        entry("alerts", "other-service", &["lobby"]),
    ]);
    world
        .services
        .insert("other-service".to_owned(), service("other-service").into());
    world.devices = vec![device("lobby", &[("in", "bank")]), device("cellar", &[])];
    let resolved = world.pass(BEFORE);
    assert_eq!(
        names(&resolved.changes.create),
        [
            "bank.alerts.lobby",
            "bank.backup.extra",
            "bank.backup.lobby"
        ]
    );
    let lobby = resolved.changes.create[2].object(&world.contract);
    let spec = &lobby.spec;
    assert_eq!(lobby.metadata.namespace.as_deref(), Some("banks"));
    assert_eq!(
        lobby.metadata.finalizers,
        Some(vec!["entente.dev/withdraw".to_owned()])
    );
    let owner = &lobby.metadata.owner_references.as_ref().expect("an owner")[0];
    assert_eq!(
        (owner.uid.as_str(), owner.controller),
        ("contract-uid", Some(true))
    );
    assert_eq!(owner.kind, "Contract");
    let labels = lobby.metadata.labels.as_ref().expect("labels");
    assert_eq!(labels["entente.dev/contract"], "bank");
    assert_eq!(labels["entente.dev/customer"], "C-4711");
    assert_eq!(spec.contract.start, at(START));
    assert_eq!(
        (spec.contract.created, spec.lead_time.to_string().as_str()),
        (at(CREATED), "336h")
    );
    assert_eq!(
        (spec.service_name.as_str(), spec.device_ref.name.as_str()),
        ("backup", "lobby")
    );
    let revision = &spec.revisions[0];
    assert_eq!(
        (revision.effective, revision.until),
        (at(START), Some(at(END)))
    );
    assert!(revision.promised);
    assert_eq!(
        revision.parameters,
        texts(&[("threshold", "20"), ("weekdays", "sun")])
    );
    assert_eq!(revision.defaulted, ["threshold", "weekdays"]);
    assert_eq!(revision.service_level.allowed, "15m".into());
}

// shows K1
#[test]
fn a_device_that_loses_the_label_is_withdrawn_and_one_that_stays_is_left_alone() {
    let mut world = labelled(&["a", "b"]);
    world.pass(BEFORE);
    world.devices[0].labels.clear();
    let resolved = world.pass(BEFORE);
    assert_eq!(deleted(&resolved), ["bank.backup.a"]);
    assert!(resolved.changes.create.is_empty() && resolved.changes.update.is_empty());
    let again = resolve(&world, at(BEFORE));
    assert!(
        again.changes.is_empty(),
        "one that is being deleted is not deleted twice"
    );
}

// shows K1
#[test]
fn a_device_may_be_named_before_it_exists_and_counts_once_when_it_is_also_selected() {
    let mut world = world(vec![selecting(
        entry("backup", "backup-service", &["a"]),
        &[("in", "bank")],
    )]);
    assert_eq!(
        names(&resolve(&world, at(BEFORE)).desired),
        ["bank.backup.a"]
    );
    world.devices = vec![device("a", &[("in", "bank")])];
    assert_eq!(resolve(&world, at(BEFORE)).entries[0].devices, 1);
}

// shows B1
#[test]
fn withdrawals_by_label_are_held_while_the_number_of_devices_is_not_the_expected_one() {
    let mut world = labelled(&["a", "b", "c"]);
    world.contract.spec.services[0].devices.expect = Some(3);
    world.pass(BEFORE);
    world.devices.remove(1);
    let resolved = world.pass(BEFORE);
    assert!(resolved.changes.is_empty());
    assert_eq!(resolved.changes.held, ["bank.backup.b"]);
    assert_eq!(
        said(&world, ConditionType::Ready),
        "False DeviceCountMismatch"
    );
    assert_eq!(
        message(&world, ConditionType::Ready),
        "services[backup] has 2 devices and expects 3: correct the labels or expect; \
         withdrawals by label are held."
    );
    world.edit(|spec| spec.services[0].devices.expect = Some(2));
    assert_eq!(deleted(&world.pass(BEFORE)), ["bank.backup.b"]);
}

// shows K1
#[test]
fn a_missing_service_freezes_its_own_entries_and_no_others() {
    let mut world = world(vec![
        entry("alerts", "other-service", &["a"]),
        entry("backup", "backup-service", &["a"]),
    ]);
    let resolved = world.pass(BEFORE);
    assert_eq!(names(&resolved.changes.create), ["bank.backup.a"]);
    assert_eq!(
        resolved.refs.expect_err("a fault")[0].message,
        "SmartService other-service, named by services[alerts], was not found: create it or \
         correct serviceRef"
    );
    world
        .services
        .insert("other-service".to_owned(), service("other-service").into());
    world.pass(BEFORE);
    world.services.clear();
    world.edit(|spec| {
        spec.services
            .iter_mut()
            .for_each(|entry| entry.devices.names.clear());
    });
    assert!(world.pass(BEFORE).changes.is_empty());
}

// shows K5
#[test]
fn what_is_being_deleted_or_was_for_another_customer_is_waited_for() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.existing("bank.backup.a").metadata.deletion_timestamp = Some(Time(at(BEFORE)));
    let other = world.existing("bank.backup.b");
    other.metadata.owner_references = None;
    other.spec.customer.id = "C-4712".to_owned();
    let resolved = resolve(&world, at(BEFORE));
    assert!(resolved.changes.is_empty());
    assert_eq!(resolved.changes.waiting, ["bank.backup.a", "bank.backup.b"]);
    assert_eq!(resolved.desired.len(), 2);
    world.subscriptions.clear();
    assert_eq!(resolve(&world, at(BEFORE)).changes.create.len(), 2);
}

// shows K1
#[test]
fn a_contract_that_is_deleted_deletes_its_own_and_is_done_when_they_are_gone() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.contract.spec.deletion_policy = entente_crds::v1alpha1::DeletionPolicy::Keep;
    world.contract.metadata.deletion_timestamp = Some(Time(at(BEFORE)));
    let resolved = world.pass(BEFORE);
    assert_eq!(deleted(&resolved), ["bank.backup.a", "bank.backup.b"]);
    assert!(!resolved.done && resolved.desired.is_empty());
    assert_eq!(said(&world, ConditionType::Ready), "False Withdrawing");
    assert_eq!(
        message(&world, ConditionType::Ready),
        "Waits for the withdrawal of 2 subscriptions: bank.backup.a, bank.backup.b."
    );
    assert!(!resolve(&world, at(BEFORE)).done, "they still exist");
    world.collect();
    let resolved = resolve(&world, at(BEFORE));
    assert!(resolved.done && resolved.changes.is_empty());
}

// shows K1
#[test]
fn a_subscription_that_cannot_be_read_is_neither_made_again_nor_taken_for_withdrawn() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    let name = "bank.backup.a".to_owned();
    world.subscriptions.remove(0);
    world.unreadable.insert(name.clone());
    let resolved = world.pass(BEFORE);
    assert!(resolved.changes.is_empty());
    assert_eq!(resolved.changes.waiting, [name]);
    world.contract.metadata.deletion_timestamp = Some(Time(at(BEFORE)));
    assert_eq!(deleted(&world.pass(BEFORE)), ["bank.backup.b"]);
    world.collect();
    assert!(!world.pass(BEFORE).done);
    assert_eq!(
        message(&world, ConditionType::Ready),
        "The subscription bank.backup.a cannot be read, so that it is not withdrawn; its status \
         names the field."
    );
    world.unreadable.clear();
    assert!(world.pass(BEFORE).done);
}

// shows B1
#[test]
fn of_two_entries_of_one_service_the_first_takes_a_device_that_a_label_brings_to_both() {
    let mut world = world(vec![
        selecting(entry("first", "backup-service", &[]), &[("in", "bank")]),
        entry("second", "backup-service", &["a", "b"]),
    ]);
    world.devices = vec![device("a", &[("in", "bank")])];
    let resolved = world.pass(BEFORE);
    assert_eq!(names(&resolved.desired), ["bank.first.a", "bank.second.b"]);
    let exception = Exception {
        device: "a".to_owned(),
        service: "second".to_owned(),
        cause: ExceptionCause::TakenBy("first".to_owned()),
    };
    assert_eq!(resolved.exceptions, [exception]);
    assert_eq!(said(&world, ConditionType::Ready), "False DuplicateService");
    assert_eq!(said(&world, ConditionType::Stalled), "absent");
    assert!(message(&world, ConditionType::Ready).contains("a in services first and second"));
}

// shows B2
#[test]
fn nothing_is_made_after_the_term_is_over_and_what_is_not_wanted_still_goes() {
    let mut world = named(&["a", "b"]);
    world.pass(DURING);
    world.subscriptions.remove(0);
    assert!(resolve(&world, at(END)).changes.is_empty());
    world.edit(|spec| spec.services[0].devices.names = vec!["c".to_owned()]);
    let resolved = resolve(&world, at(END));
    assert_eq!(deleted(&resolved), ["bank.backup.b"]);
    assert!(resolved.changes.create.is_empty());
}

// shows B2
#[test]
fn the_next_wake_is_the_preparation_then_the_start_then_the_end_and_then_none() {
    let world = named(&["a"]);
    let wake = |now: &str| next_wake(&resolve(&world, at(now)), None, at(now));
    let preparation = "2027-03-18T03:00:00Z";
    assert_eq!(wake(BEFORE), Some(at(preparation)));
    assert_eq!(wake(preparation), Some(at(START)));
    assert_eq!(wake(START), Some(at(END)));
    assert_eq!(wake(END), None);
}

// shows K7
#[test]
fn the_next_date_without_a_pass_is_never_after_the_wake_that_a_pass_finds() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    let own: Vec<_> = world.subscriptions.clone();
    let preparation = "2027-03-18T03:00:00Z";
    for now in [BEFORE, preparation, START, DURING, END] {
        let wake = next_wake(&resolve(&world, at(now)), None, at(now));
        let own = own.iter().map(|found| &**found);
        assert_eq!(
            next_date(&world.contract, own, [], [], at(now)),
            wake,
            "{now}"
        );
    }
    let alone = next_date(&world.contract, [], [], [], at(BEFORE));
    assert_eq!(alone, Some(at(preparation)), "before anything is made");
}
