//! Tests of promised instants, and of changes to existing entries.

use entente_crds::v1alpha1::{
    CreditBasis, FeeCredit, Promise, PromiseState, Remedy, Revision, Share,
};

use super::*;
use crate::condition::is_true;

fn revisions(world: &ContractWorld) -> &[Arc<Revision>] {
    &world.subscriptions[0].spec.revisions
}

/// Returns the entries as effective, until, promised.
fn dates(world: &ContractWorld) -> Vec<(String, Option<String>, bool)> {
    let dates = revisions(world).iter().map(|revision| {
        let until = revision.until.map(|until| until.to_string());
        (revision.effective.to_string(), until, revision.promised)
    });
    dates.collect()
}

fn dated(effective: &str, until: &str, promised: bool) -> (String, Option<String>, bool) {
    (effective.to_owned(), Some(until.to_owned()), promised)
}

fn promise(world: &mut ContractWorld, state: PromiseState, emitted: &[&str]) {
    let promise = Promise {
        effective: at(START),
        state,
        completed: None,
        proof: None,
        closed: (state != PromiseState::Open).then(|| at(DURING)),
        delays: Vec::new(),
        emitted: emitted.iter().map(|name| (*name).to_owned()).collect(),
    };
    let subscription = Arc::make_mut(&mut world.subscriptions[0]);
    let status = subscription.status.get_or_insert_with(Default::default);
    status.promises = vec![promise];
}

// shows B2
#[test]
fn the_start_is_promised_when_it_was_known_before_it_came() {
    let table = [
        (CREATED, None, true),
        (START, None, true),
        ("2027-04-01T03:00:01Z", None, false),
        ("2027-04-01T03:00:01Z", Some("2027-04-01"), true),
        ("2027-04-01T03:00:01Z", Some("2027-04-02"), false),
        (CREATED, Some("2027-04-02"), false),
    ];
    for (created, promises_from, promised) in table {
        let mut world = named(&["a"]);
        world.contract.metadata.creation_timestamp = Some(Time(at(created)));
        world.contract.spec.promises_from = promises_from.map(str::to_owned);
        world.pass(DURING);
        assert_eq!(
            dates(&world),
            [dated(START, END, promised)],
            "{created} {promises_from:?}"
        );
    }
}

// shows B2
#[test]
fn setting_promises_from_decides_the_start_anew_and_takes_nothing_back() {
    let mut world = named(&["a"]);
    world.contract.metadata.creation_timestamp = Some(Time(at(DURING)));
    world.backup_service().bounds = Some(entente_crds::v1alpha1::Bounds {
        promises_before: "8760h".into(),
        ..Default::default()
    });
    world.pass(DURING);
    assert_eq!(dates(&world), [dated(START, END, false)]);
    world.edit(|spec| spec.promises_from = Some("2027-04-01".to_owned()));
    world.pass(DURING);
    assert_eq!(dates(&world), [dated(START, END, true)]);
    world.edit(|spec| spec.promises_from = Some("2027-04-02".to_owned()));
    world.pass(DURING);
    assert_eq!(dates(&world), [dated(START, END, true)]);
}

// shows B2
#[test]
fn after_the_set_was_complete_what_a_label_or_an_edit_brings_promises_nothing() {
    let mut world = labelled(&["a"]);
    world.pass(BEFORE);
    world.pass(START);
    let mut late = device("b", &[("in", "bank")]);
    late.created = at(DURING);
    world.devices.push(late);
    let created = world.pass(DURING).changes.create;
    assert_eq!(names(&created), ["bank.backup.b"]);
    let revision = &created[0].spec.revisions[0];
    assert_eq!((revision.effective, revision.promised), (at(DURING), false));

    world.edit(|spec| spec.services.push(entry("again", "second-service", &["a"])));
    world.services.insert(
        "second-service".to_owned(),
        service("second-service").into(),
    );
    let created = world.pass("2027-05-02T00:00:00Z").changes.create;
    let revision = &created[0].spec.revisions[0];
    assert_eq!(
        (revision.effective, revision.promised),
        (at("2027-05-02T00:00:00Z"), false)
    );
}

// shows B2
#[test]
fn a_label_that_an_old_device_gets_after_the_start_brings_it_from_then_on_and_loses_no_evidence() {
    let mut world = labelled(&["a"]);
    let outside = device("b", &[("in", "depot")]);
    assert!(
        outside.created < at(BEFORE),
        "it is older than the contract's set"
    );
    world.devices.push(outside);
    world.pass(BEFORE);
    world.pass(START);
    world.deliver("bank.backup.a");
    world.pass(DURING);
    let outside = world.devices.iter_mut().find(|it| it.name == "b");
    outside.expect("b").labels = [("in".to_owned(), "bank".to_owned())].into();
    let later = "2027-06-01T00:00:00Z";
    let created = world.pass(later).changes.create;
    assert_eq!(names(&created), ["bank.backup.b"]);
    let spec = &created[0].spec;
    let revision = &spec.revisions[0];
    assert_eq!((revision.effective, revision.promised), (at(later), false));
    assert_eq!(spec.restored, None);
}

// shows K5
#[test]
fn a_subscription_that_is_missing_is_made_as_it_was_whoever_deleted_it() {
    let restart = "2027-06-01T00:00:00Z";
    // Before the set was complete: the operator was down over the start.
    let mut world = labelled(&["a"]);
    world.pass(START);
    assert_eq!(dates(&world), [dated(START, END, true)]);
    world.deliver("bank.backup.a");
    world.pass(DURING);
    // Deleted while nobody looked, and the spec was not changed since it was observed.
    world.subscriptions.clear();
    assert_eq!(
        resolve(&world, at(restart)).changes.create[0]
            .spec
            .revisions[0]
            .effective,
        at(START)
    );
    // Deleted under the controller's eyes, with an edit at the same time.
    world.edit(|spec| spec.max_unavailable = None);
    let plain = &resolve(&world, at(restart)).changes.create[0]
        .spec
        .revisions[0];
    assert_eq!((plain.effective, plain.promised), (at(restart), false));
    world.recreated.insert("bank.backup.a".to_owned());
    let restored = &resolve(&world, at(restart)).changes.create[0]
        .spec
        .revisions[0];
    assert_eq!((restored.effective, restored.promised), (at(START), true));
}

// shows B1
#[test]
fn an_edit_after_the_start_ends_the_entry_in_force_and_appends_one_that_promises_nothing() {
    let mut world = named(&["a"]);
    world.contract.spec.services[0].fee = Some(fee("12.50", FeeOf::EachDevice));
    world.pass(BEFORE);
    let signed = revisions(&world)[0].clone();
    world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", "5")]));
    world.pass(DURING);
    let edited = "2027-05-01T12:00:00.25Z";
    assert_eq!(
        dates(&world),
        [dated(START, edited, true), dated(edited, END, false)]
    );
    assert_eq!(
        Revision {
            until: signed.until,
            ..Revision::clone(&revisions(&world)[0])
        },
        *signed
    );
    assert_eq!(revisions(&world)[1].parameters["threshold"], "5");
    assert_eq!(revisions(&world)[1].defaulted, ["weekdays"]);
    assert!(world.pass(DURING).changes.is_empty());
}

// shows B1
#[test]
fn each_part_that_is_signed_makes_a_new_entry_and_no_other_part_does() {
    type Edit = fn(&mut ContractSpec);
    let table: &[(bool, Edit)] = &[
        (true, |spec| {
            spec.services[0].fee = Some(fee("1", FeeOf::EachDevice));
        }),
        (true, |spec| {
            spec.counted_causes = Some(vec![entente_crds::v1alpha1::Cause::Device]);
        }),
        (true, |spec| {
            spec.services[0].service_level = Some(level("4h"));
        }),
        (true, |spec| {
            spec.services[0].service_ref.name = "second-service".to_owned();
        }),
        (false, |spec| {
            spec.services[0].service_level = Some(level("15m"));
        }),
        (false, |spec| {
            spec.services[0].parameters = texts(&[("threshold", "020")]);
        }),
        (false, |spec| spec.suspend = true),
        (false, |spec| {
            spec.deletion_policy = entente_crds::v1alpha1::DeletionPolicy::Keep;
        }),
        (false, |spec| {
            let lead_time = "1h".into();
            spec.preparation = Some(entente_crds::v1alpha1::Preparation { lead_time });
        }),
    ];
    for (number, (appends, edit)) in table.iter().enumerate() {
        let mut world = named(&["a"]);
        world.services.insert(
            "second-service".to_owned(),
            service("second-service").into(),
        );
        world.pass(BEFORE);
        world.edit(edit);
        world.pass(DURING);
        assert_eq!(
            revisions(&world).len(),
            1 + usize::from(*appends),
            "edit {number}"
        );
        assert!(world.pass(DURING).changes.is_empty(), "edit {number}");
    }
}

// shows B2
#[test]
fn before_the_start_an_edit_replaces_the_entry_and_the_end_may_move_until_it_comes() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.edit(|spec| {
        spec.services[0].parameters = texts(&[("threshold", "5")]);
        spec.term.start_date = Some("2027-04-02".to_owned());
    });
    world.pass(BEFORE);
    assert_eq!(dates(&world), [dated("2027-04-02T03:00:00Z", END, true)]);
    assert_eq!(
        world.subscriptions[0].spec.contract.start,
        at("2027-04-02T03:00:00Z")
    );

    world.edit(|spec| spec.term.end_date = Some("2027-12-31".to_owned()));
    world.pass(DURING);
    assert_eq!(
        dates(&world),
        [dated("2027-04-02T03:00:00Z", "2028-01-01T03:00:00Z", true)]
    );
    world.edit(|spec| spec.term.end_date = None);
    world.pass(DURING);
    assert_eq!(revisions(&world)[0].until, None);
    world.edit(|spec| spec.term.end_date = Some("2027-04-15".to_owned()));
    world.pass(DURING);
    assert_eq!(
        revisions(&world)[0].until,
        Some(at(DURING)),
        "what was until now stays"
    );
    assert!(world.pass("2027-06-01T00:00:00Z").changes.is_empty());
}

// shows B2
#[test]
fn a_start_that_is_moved_behind_us_is_promised_as_far_as_it_was_known() {
    for (date, start, promised) in [
        ("2027-02-15", "2027-02-15T03:00:00Z", true),
        ("2027-01-15", "2027-01-15T03:00:00Z", false),
    ] {
        let mut world = named(&["a"]);
        world.pass(BEFORE);
        world.edit(|spec| spec.term.start_date = Some(date.to_owned()));
        world.pass(BEFORE);
        assert_eq!(dates(&world), [dated(start, END, promised)]);
    }
}

// shows B1
#[test]
fn two_edits_of_one_moment_are_one_millisecond_apart() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", "5")]));
    world.pass(START);
    let second = "2027-04-01T03:00:00.001Z";
    assert_eq!(
        dates(&world),
        [dated(START, second, true), dated(second, END, false)]
    );
    world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", "6")]));
    world.pass(START);
    assert_eq!(
        dates(&world),
        [dated(START, second, true), dated(second, END, false)]
    );
    assert_eq!(revisions(&world)[1].parameters["threshold"], "6");
    world.edit(|spec| spec.services[0].parameters.clear());
    world.pass(START);
    assert_eq!(dates(&world), [dated(START, END, true)]);
}

// shows D8
#[test]
fn an_open_promise_and_one_that_is_owed_and_not_recorded_outlive_four_edits() {
    let name = "bank.backup.a.20270401t030000z.credit";
    let table: &[(PromiseState, &[&str], bool)] = &[
        (PromiseState::Open, &[], true),
        (PromiseState::Missed, &[], true),
        (
            PromiseState::Missed,
            &["bank.backup.a.20270401t030000z.other"],
            true,
        ),
        (PromiseState::Missed, &[name], false),
        (PromiseState::Kept, &[], false),
        (PromiseState::Closed, &[], false),
    ];
    for (state, emitted, stays) in table {
        let mut world = named(&["a"]);
        let entry = &mut world.contract.spec.services[0];
        entry.fee = Some(fee("12.50", FeeOf::EachDevice));
        let credit = FeeCredit {
            basis: CreditBasis::ElapsedTime,
            ..FeeCredit::default()
        };
        let credit = Some(credit);
        entry.remedies = vec![Remedy {
            name: "credit".to_owned(),
            credit,
            ..Remedy::default()
        }];
        world.pass(BEFORE);
        promise(&mut world, *state, emitted);
        for day in 1..=6 {
            let value = day.to_string();
            world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", &value)]));
            world.pass(&format!("2027-05-0{day}T00:00:00Z"));
        }
        let kept = revisions(&world);
        assert_eq!(kept.len(), 4, "{state:?} {emitted:?}");
        assert_eq!(
            kept[0].effective == at(START),
            *stays,
            "{state:?} {emitted:?}"
        );
        assert_eq!(kept[3].effective, at("2027-05-06T00:00:00Z"));
    }
}

// shows D8
#[test]
fn where_all_four_entries_are_still_needed_the_subscription_is_held() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    let first = revisions(&world)[0].clone();
    Arc::make_mut(&mut world.subscriptions[0]).spec.revisions = (1..=4)
        .map(|day| Revision {
            effective: at(&format!("2027-04-0{day}T03:00:00Z")),
            until: (day < 4).then(|| at(&format!("2027-04-0{}T03:00:00Z", day + 1))),
            ..Revision::clone(&first)
        })
        .map(Arc::new)
        .collect();
    let before = world.subscriptions[0].spec.clone();
    world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", "5")]));
    let resolved = world.pass(DURING);
    assert_eq!(resolved.changes.held, ["bank.backup.a"]);
    assert_eq!(world.subscriptions[0].spec, before);
}

// shows D8
#[test]
fn a_fee_for_all_devices_is_shared_by_those_counted_when_the_entry_is_written() {
    let mut world = labelled(&["a", "b"]);
    world.contract.spec.services[0].fee = Some(fee("90", FeeOf::AllDevices));
    world.pass(BEFORE);
    assert_eq!(revisions(&world)[0].share, Some(Share { devices: 2 }));
    world.devices.push(device("c", &[("in", "bank")]));
    world.pass(BEFORE);
    assert_eq!(
        revisions(&world)[0].share,
        Some(Share { devices: 3 }),
        "not begun"
    );
    world.devices.push(device("d", &[("in", "bank")]));
    world.pass(DURING);
    assert_eq!(revisions(&world).len(), 1);
    assert_eq!(
        revisions(&world)[0].share,
        Some(Share { devices: 3 }),
        "begun"
    );
    world.edit(|spec| spec.services[0].fee = Some(fee("91", FeeOf::AllDevices)));
    world.pass(DURING);
    assert_eq!(revisions(&world)[1].share, Some(Share { devices: 4 }));
}

// shows D8
#[test]
fn a_contract_without_a_fee_says_which_credit_of_a_service_owes_nothing() {
    let credit = |name: &str| Remedy {
        name: name.to_owned(),
        credit: Some(FeeCredit::default()),
        ..Remedy::default()
    };
    let accepted = |world: &mut ContractWorld| {
        world.pass(BEFORE);
        message(world, ConditionType::Accepted)
    };
    let mut world = named(&["a"]);
    let valid = "The contract is valid.";
    assert_eq!(accepted(&mut world), valid);
    world.backup_service().remedies = vec![credit("usual"), credit("more")];
    let said = "The contract is valid. A FeeCredit owes nothing without spec.services[].fee, which \
                is not set in services[backup] (usual, more of SmartService backup-service): set \
                it if a missed promise is to be credited.";
    assert_eq!(accepted(&mut world), said);
    assert!(revisions(&world)[0].remedies.is_empty());
    let condition = world.contract.status.clone().unwrap_or_default().conditions;
    assert!(is_true(&condition, ConditionType::Accepted));
    // Remedies of the entry itself, or a fee, leave nothing to say.
    world.edit(|spec| spec.services[0].fee = Some(fee("1", FeeOf::EachDevice)));
    assert_eq!(accepted(&mut world), valid);
    world.edit(|spec| spec.services[0].remedies = vec![credit("own")]);
    assert_eq!(accepted(&mut world), valid);
    world.edit(|spec| spec.services[0].remedies = Vec::new());
    world.edit(|spec| spec.services[0].fee = None);
    assert_eq!(accepted(&mut world), said);
}

#[test]
fn many_entries_without_a_fee_do_not_fill_the_message() {
    let mut world = named(&["a"]);
    world.backup_service().remedies = vec![Remedy {
        name: "usual".to_owned(),
        credit: Some(FeeCredit::default()),
        ..Remedy::default()
    }];
    world.edit(|spec| {
        let entry = spec.services[0].clone();
        spec.services = (0..7)
            .map(|number| ContractService {
                name: format!("backup-{number}"),
                devices: Devices {
                    names: vec![format!("device-{number}")],
                    ..Devices::default()
                },
                ..entry.clone()
            })
            .collect();
    });
    world.pass(BEFORE);
    let said = message(&world, ConditionType::Accepted);
    let last = "services[backup-4] (usual of SmartService backup-service) and 2 more: set it";
    assert!(said.contains(last), "{said}");
}

// shows D8
#[test]
fn the_elected_remedy_alone_is_owed_and_the_catalogue_gives_none_without_a_fee() {
    let remedy = |name: &str| Remedy {
        name: name.to_owned(),
        credit: Some(FeeCredit::default()),
        ..Remedy::default()
    };
    let owed = |world: &ContractWorld| -> Vec<String> {
        revisions(world)[0]
            .remedies
            .iter()
            .map(|remedy| remedy.name.clone())
            .collect()
    };
    let mut world = named(&["a"]);
    world.backup_service().remedies = vec![remedy("usual")];
    world.pass(BEFORE);
    assert_eq!(owed(&world), Vec::<String>::new());
    world.edit(|spec| spec.services[0].fee = Some(fee("1", FeeOf::EachDevice)));
    world.pass(BEFORE);
    assert_eq!(owed(&world), ["usual"]);
    world.edit(|spec| spec.services[0].remedies = vec![remedy("one"), remedy("two")]);
    world.pass(BEFORE);
    assert_eq!(owed(&world), ["one", "two"]);
    world.edit(|spec| spec.services[0].elect = Some("two".to_owned()));
    world.pass(BEFORE);
    assert_eq!(owed(&world), ["two"]);
}
