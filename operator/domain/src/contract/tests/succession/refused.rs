//! Tests of successions that are refused, or wait for the contract before.

use super::*;

// shows K2
#[test]
fn a_predecessor_that_does_not_exist_is_waited_for_and_nothing_is_written_before() {
    let mut family = Family(vec![renewal("next", "bank", &["one"])]);
    family.settle(BEFORE);
    assert_eq!(family.accepted(0), "True Valid");
    assert_eq!(
        said(&family.0[0], ConditionType::ResolvedRefs),
        "False ContractNotFound"
    );
    assert_eq!(
        said(&family.0[0], ConditionType::Ready),
        "False ContractNotFound"
    );
    assert_eq!(said(&family.0[0], ConditionType::Stalled), "absent");
    assert!(message(&family.0[0], ConditionType::Ready).contains("bank"));
    assert_eq!(family.0[0].subscriptions.len(), 0);
    // It may be corrected, or come.
    family.0.push(named(&["one"]));
    family.settle(BEFORE);
    assert_eq!(family.origin("next.backup.one"), Some(("bank", "backup")));
    assert_eq!(said(&family.0[0], ConditionType::Ready), "True Scheduled");
}

// shows K2
#[test]
fn a_predecessor_that_was_never_accepted_or_cannot_be_read_is_waited_for() {
    let mut broken = named(&["one"]);
    broken.contract.spec.term.time_zone = "Mars/Olympus".to_owned();
    let mut family = Family(vec![broken, renewal("next", "bank", &["one"])]);
    family.settle(BEFORE);
    assert_eq!(
        said(&family.0[1], ConditionType::Ready),
        "False ContractNotFound"
    );
    assert_eq!(family.0[1].subscriptions.len(), 0);
    let why = |family: &Family| message(&family.0[1], ConditionType::Ready);
    assert!(why(&family).contains("was never accepted: see its status"));
    let mut awaiting = named(&["one"]);
    awaiting.contract.spec.term = entente_crds::v1alpha1::Term {
        start_on: Some(entente_crds::v1alpha1::StartOn::Notice),
        time_zone: awaiting.contract.spec.term.time_zone.clone(),
        ..entente_crds::v1alpha1::Term::default()
    };
    let mut family = Family(vec![awaiting, renewal("next", "bank", &["one"])]);
    family.settle(BEFORE);
    assert!(why(&family).contains("has not started: a ContractNotice starts it"));
    let mut world = renewal("next", "bank", &["one"]);
    world.kin.unreadable_predecessor = Some("ServiceSubscription bank.backup.one".to_owned());
    world.pass(BEFORE);
    assert_eq!(said(&world, ConditionType::Ready), "False Undecodable");
    assert_eq!(world.subscriptions.len(), 0);
}

// shows K2
#[test]
fn each_fault_of_a_succession_has_its_reason() {
    let stalled = |family: &Family, of: usize| said(&family.0[of], ConditionType::Stalled);
    let mut family = Family(vec![named(&["one"]), renewal("next", "bank", &["one"])]);
    family.0[1].contract.spec.customer.id = "C-1".to_owned();
    family.settle(BEFORE);
    assert_eq!(family.accepted(1), "False CustomerDiffers");
    assert_eq!(stalled(&family, 1), "True CustomerDiffers");
    let said = message(&family.0[1], ConditionType::Accepted);
    assert!(said.contains("C-1") && said.contains("C-4711"), "{said}");

    let mut family = Family(vec![renewal("next", "next", &["one"])]);
    family.settle(BEFORE);
    assert_eq!(family.accepted(0), "False CircularSuccession");

    let names = ["a", "b", "c"];
    let circle = [("a", "c"), ("b", "a"), ("c", "b"), ("d", "b")];
    let circle = circle.map(|(name, succeeds)| renewal(name, succeeds, &["one"]));
    let mut family = Family(circle.into());
    family.settle(BEFORE);
    for of in 0..4 {
        assert_eq!(family.accepted(of), "False CircularSuccession", "{of}");
        let said = message(&family.0[of], ConditionType::Accepted);
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
    }

    let mut family = Family(vec![named(&["one"]), renewal("next", "bank", &["one"])]);
    family.0[1].contract.spec.term.start_date = Some("2027-04-01".to_owned());
    family.settle(BEFORE);
    assert_eq!(family.accepted(1), "False UnsupportedValue");
}

// shows K2
#[test]
fn what_a_contract_succeeds_cannot_be_changed_once_it_is_accepted() {
    let named_in = |name: Option<&str>| {
        name.map(|name| NameReference {
            name: name.to_owned(),
        })
    };
    for (of, name) in [(1, Some("other")), (1, None), (0, Some("other"))] {
        let mut family = Family::renewed(&["one"], &["one"]);
        family.0[of].edit(|spec| spec.succeeds = named_in(name));
        let before = family.0[of].subscriptions.clone();
        family.settle(BEFORE);
        assert_eq!(family.accepted(of), "False SuccessionChanged", "{name:?}");
        assert_eq!(family.0[of].subscriptions, before, "{name:?}");
        let back = [None, Some("bank")][of];
        family.0[of].edit(|spec| spec.succeeds = named_in(back));
        family.settle(BEFORE);
        assert_eq!(family.accepted(of), "True Valid", "{name:?}");
    }
}

// shows B1 K5
#[test]
fn a_refused_edit_of_a_successor_gives_nothing_back() {
    let mut family = Family::renewed(&["one"], &["one"]);
    family.settle(AFTER);
    let before = family.0[0].subscriptions.clone();
    family.0[1].edit(|spec| spec.succeeds = None);
    family.settle(AFTER);
    assert_eq!(family.accepted(1), "False SuccessionChanged");
    assert_eq!(family.0[0].subscriptions, before);
}
