//! Tests of contracts that come back from a backup, with their subscriptions or without.

use entente_crds::v1alpha1::{Bounds, PromiseState, Revision};
use proptest::prelude::*;

use super::properties::{later, life, start};
use super::succession::{AFTER, Family, renewal};
use super::*;
use crate::promise::{Circumstances, Look, judge};

/// The instant at which everything comes back, in the term.
const RESTORED: &str = "2027-06-01T12:00:00Z";

impl ContractWorld {
    /// Brings the contract back as backups do: as another object, without a status; its amendments as
    /// well, and its subscriptions also without an owner and finalizers.
    fn restore(&mut self, now: &str) {
        let metadata = &mut self.contract.metadata;
        metadata.uid = Some(format!("restored at {now}"));
        metadata.creation_timestamp = Some(Time(at(now)));
        metadata.generation = Some(1);
        self.contract.status = None;
        self.recreated.clear();
        self.collect();
        for amendment in self.amendments.iter_mut().map(Arc::make_mut) {
            amendment.metadata.creation_timestamp = Some(Time(at(now)));
            amendment.status = None;
        }
        for notice in self.notices.iter_mut().map(Arc::make_mut) {
            notice.metadata.creation_timestamp = Some(Time(at(now)));
            notice.status = None;
        }
        for found in self.subscriptions.iter_mut().map(Arc::make_mut) {
            let metadata = &mut found.metadata;
            metadata.uid = metadata.uid.as_ref().map(|uid| format!("{uid} at {now}"));
            metadata.creation_timestamp = Some(Time(at(now)));
            (metadata.generation, metadata.owner_references) = (Some(1), None);
            metadata.finalizers = None;
            found.status = None;
        }
    }

    fn judged(&self, now: &str, completed_at: Option<&str>) -> Vec<(Timestamp, PromiseState)> {
        let established = self.contract.status.as_ref();
        let circumstances = Circumstances {
            established: established.and_then(|status| status.established),
            ..Circumstances::default()
        };
        let look = Look {
            completed_at: completed_at.map(at),
            heard_from: at(now),
            blocking: (entente_crds::v1alpha1::Cause::Device, "Unreachable"),
            now: at(now),
        };
        let all = self.subscriptions.iter();
        let promises = all.flat_map(|found| judge(found, &circumstances, &look));
        promises.map(|it| (it.effective, it.state)).collect()
    }
}

fn revisions(world: &ContractWorld) -> BTreeMap<String, Vec<Arc<Revision>>> {
    let found = world.subscriptions.iter().map(|found| {
        let name = found.metadata.name.clone().expect("a name");
        (name, found.spec.revisions.clone())
    });
    found.collect()
}

// shows K5 C10
#[test]
fn what_comes_back_is_adopted_as_it_was_and_owes_nothing_for_the_past() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.pass(DURING);
    let before = revisions(&world);
    world.restore(RESTORED);
    let resolved = world.pass(RESTORED);
    assert!(resolved.changes.create.is_empty() && resolved.changes.delete.is_empty());
    let adopted = resolved.changes.update.iter().filter(|it| it.adopts);
    assert_eq!(adopted.count(), 2);
    assert_eq!(revisions(&world), before);
    for found in &world.subscriptions {
        assert!(is_controlled(&world.contract, found));
        let finalizers = found.metadata.finalizers.as_deref().unwrap_or_default();
        assert_eq!(finalizers, [FINALIZER_WITHDRAW]);
        assert_eq!(found.spec.restored, Some(at(RESTORED)));
        assert_eq!(found.spec.contract.uid, format!("restored at {RESTORED}"));
    }
    assert!(resolve(&world, at(RESTORED)).changes.is_empty());
    // Nobody knows any more whether it was in time.
    let closed = [(at(START), PromiseState::Closed); 2];
    assert_eq!(world.judged(RESTORED, None), closed);
    assert_eq!(world.judged(RESTORED, Some(RESTORED)), closed);
}

// shows K5 K2
#[test]
fn a_renewal_comes_back_although_the_contract_before_it_was_deleted_long_ago() {
    let mut family = Family(vec![named(&["one"]), renewal("next", "bank", &["one"])]);
    for now in [BEFORE, DURING, AFTER] {
        family.settle(now);
    }
    let origin = family.origin("next.backup.one").map(|it| it.0.to_owned());
    assert_eq!(origin.as_deref(), Some("bank"));
    family.0.remove(0);
    let before = revisions(&family.0[0]);
    family.0[0].restore("2030-06-01T00:00:00Z");
    let resolved = family.pass(0, "2030-06-01T00:00:00Z");
    assert!(resolved.changes.create.is_empty() && resolved.changes.delete.is_empty());
    assert_eq!(resolved.changes.update.len(), 1, "it is adopted");
    assert_eq!(revisions(&family.0[0]), before);
    family.settle("2030-06-01T00:00:00Z");
    let after = family.origin("next.backup.one").map(|it| it.0.to_owned());
    assert_eq!(after, origin);
    let resolved = resolve(&family.0[0], at("2030-06-01T00:00:00Z"));
    assert!(resolved.accepted.is_ok() && resolved.refs.is_ok());
}

// shows K5
#[test]
fn a_promise_that_lay_ahead_when_everything_came_back_is_judged_as_ever() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.restore("2027-03-15T00:00:00Z");
    world.pass("2027-03-15T00:00:00Z");
    assert_eq!(
        world.judged(RESTORED, None),
        [(at(START), PromiseState::Missed)]
    );
    assert_eq!(
        world.judged(RESTORED, Some(START)),
        [(at(START), PromiseState::Kept)]
    );
}

// shows K5
#[test]
fn a_status_that_was_restored_is_older_than_what_has_happened() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    let open = entente_crds::v1alpha1::Promise {
        effective: at(START),
        state: PromiseState::Open,
        completed: None,
        proof: None,
        closed: None,
        delays: Vec::new(),
        emitted: Vec::new(),
    };
    world.restore(RESTORED);
    let status = ServiceSubscriptionStatus {
        promises: vec![open],
        ..ServiceSubscriptionStatus::default()
    };
    world.existing("bank.backup.a").status = Some(status);
    world.pass(RESTORED);
    assert_eq!(
        world.judged(RESTORED, Some(RESTORED)),
        [(at(START), PromiseState::Closed)]
    );
}

// shows K5
#[test]
fn nobody_judges_what_no_contract_has_adopted() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.restore(RESTORED);
    let found = world.subscriptions[0].clone();
    let circumstances = Circumstances {
        contract_is_gone: true,
        ..Circumstances::default()
    };
    let look = Look {
        completed_at: None,
        heard_from: at(RESTORED),
        blocking: (entente_crds::v1alpha1::Cause::Device, "Unreachable"),
        now: at(RESTORED),
    };
    assert!(judge(&found, &circumstances, &look).is_empty());
}

// shows K5
#[test]
fn what_was_signed_is_not_refused_when_it_comes_back() {
    let mut world = named(&["a"]);
    let early = "2027-01-10";
    world.backup_service().bounds = Some(Bounds {
        promises_before: "720h".into(),
        ..Bounds::default()
    });
    world.edit(|spec| {
        spec.promises_from = Some(early.to_owned());
        spec.services[0].fee = Some(fee("10.00", FeeOf::EachDevice));
    });
    world.pass(BEFORE);
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::Accepted), "True Valid");
    world.restore(RESTORED);
    assert!(
        world.pass(RESTORED).accepted.is_ok(),
        "{:?}",
        world.contract.status
    );
    let before = revisions(&world);
    world.pass(RESTORED);
    assert_eq!(revisions(&world), before);
}

/// Cases: what is changed of a subscription that came back, and whether it is adopted.
type Case = (&'static str, fn(&mut ServiceSubscription), bool);

fn owner(found: &mut ServiceSubscription, kind: &str, name: &str, controller: bool) {
    let owner = k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
        api_version: "entente.dev/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: "uid of old".to_owned(),
        controller: Some(controller),
        block_owner_deletion: None,
    };
    found.metadata.owner_references = Some(vec![owner]);
}

// shows K5
#[test]
fn only_what_names_this_contract_and_has_no_other_controller_is_adopted() {
    let cases: [Case; 8] = [
        ("as backups leave it", |_| {}, true),
        (
            "with its old controller",
            |it| owner(it, "Contract", "bank", true),
            true,
        ),
        (
            "with another contract as controller",
            |it| owner(it, "Contract", "shop", true),
            false,
        ),
        (
            "with another kind of controller",
            |it| owner(it, "Tenant", "bank", true),
            false,
        ),
        (
            "with an owner that controls nothing",
            |it| owner(it, "Tenant", "t", false),
            true,
        ),
        (
            "of another customer",
            |it| it.spec.customer.id = "other".to_owned(),
            false,
        ),
        (
            "of another contract",
            |it| it.spec.contract.name = "shop".to_owned(),
            false,
        ),
        (
            "deleted",
            |it| it.metadata.deletion_timestamp = Some(Time(at(RESTORED))),
            false,
        ),
    ];
    for (case, change, adopted) in cases {
        let mut world = named(&["a"]);
        world.pass(BEFORE);
        world.restore(RESTORED);
        change(world.existing("bank.backup.a"));
        let changes = world.pass(RESTORED).changes;
        assert_eq!(changes.update.iter().any(|it| it.adopts), adopted, "{case}");
        assert_eq!(changes.waiting.is_empty(), adopted, "{case}");
        assert!(
            changes.create.is_empty() && changes.delete.is_empty(),
            "{case}"
        );
        if case == "with an owner that controls nothing" {
            let owners = world.subscriptions[0]
                .metadata
                .owner_references
                .iter()
                .flatten();
            let owners: Vec<&str> = owners.map(|owner| &*owner.kind).collect();
            assert_eq!(owners, ["Tenant", "Contract"], "it stays");
        }
    }
}

// shows K5
#[test]
fn what_is_not_wanted_any_more_is_adopted_before_it_is_withdrawn() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.edit(|spec| spec.services[0].devices.names.truncate(1));
    world.restore(RESTORED);
    let changes = world.pass(RESTORED).changes;
    assert_eq!(changes.update.len(), 2);
    assert!(
        changes.delete.is_empty(),
        "nobody would wait for its withdrawal"
    );
    let resolved = world.pass(RESTORED);
    assert!(
        resolved.changes.is_empty(),
        "what it needs may come back later"
    );
    assert_eq!(resolved.changes.restored, ["bank.backup.b"]);
    assert_eq!(
        next_wake(&resolved, None, at(RESTORED)),
        Some(at("2027-06-02T12:00:00Z"))
    );
    let mut edited = world.clone();
    edited.edit(|spec| spec.suspend = true);
    assert_eq!(deleted(&edited.pass(RESTORED)), ["bank.backup.b"]);
    assert_eq!(
        deleted(&world.pass("2027-06-02T12:00:00Z")),
        ["bank.backup.b"]
    );
}

// shows K5 K2
#[test]
fn what_had_ended_before_it_came_back_is_withdrawn_at_once_and_hinders_nothing() {
    let world = named(&["a", "b"]);
    let devices = entente_crds::v1alpha1::AmendedDevices {
        remove: vec!["b".to_owned()],
        ..Default::default()
    };
    let change = AmendedService {
        name: "backup".to_owned(),
        devices: Some(devices),
        ..AmendedService::default()
    };
    // The backup of the subscriptions is younger than the amendment, or older.
    for is_older in [false, true] {
        let mut world = world.clone();
        if is_older {
            world.pass(BEFORE);
        }
        world.amend("less", CREATED, "2027-05-01", vec![change.clone()]);
        if !is_older {
            world.pass(BEFORE);
        }
        world.restore(RESTORED);
        world.pass(RESTORED);
        world.deliver("bank.backup.a");
        assert_eq!(deleted(&world.pass(RESTORED)), ["bank.backup.b"]);
        let is_left = |it: &Arc<ServiceSubscription>| it.metadata.deletion_timestamp.is_none();
        world.subscriptions.retain(is_left);
        world.pass(RESTORED);
        assert_eq!(
            said(&world, ConditionType::Ready),
            "True Delivered",
            "{is_older}"
        );
    }
}

// shows K5
#[test]
fn what_its_device_or_amendment_brings_back_later_goes_on() {
    let mut world = labelled(&["a", "b"]);
    world.amend(
        "more",
        CREATED,
        "2027-05-01",
        vec![AmendedService {
            name: "backup".to_owned(),
            devices: Some(entente_crds::v1alpha1::AmendedDevices {
                add: vec!["c".to_owned()],
                ..Default::default()
            }),
            ..AmendedService::default()
        }],
    );
    world.pass(BEFORE);
    world.pass(RESTORED);
    let before = revisions(&world);
    assert_eq!(before.len(), 3);
    let (devices, amendments) = (world.devices.clone(), world.amendments.clone());
    world.restore(RESTORED);
    world.devices.clear();
    let restored = std::mem::take(&mut world.amendments);
    assert_eq!(amendments.len(), restored.len());
    for _ in 0..3 {
        world.pass(RESTORED);
    }
    for name in ["bank.backup.a", "bank.backup.b", "bank.backup.c"] {
        world.deliver(name);
    }
    world.pass(RESTORED);
    assert_eq!(
        message(&world, ConditionType::Ready),
        "No Device matches services[backup]: check the selector and the labels of the Devices. \
         3 subscriptions were restored and are not wanted (bank.backup.a, bank.backup.b, \
         bank.backup.c), and are kept for a day: restore what is missing, or edit the contract to \
         withdraw at once."
    );
    world.amendments = restored;
    world.devices = devices;
    for _ in 0..3 {
        world.pass("2027-06-01T13:00:00Z");
    }
    assert_eq!(revisions(&world), before);
    assert!(world.pass("2027-06-03T13:00:00Z").changes.is_empty());
}

// shows K5
#[test]
fn a_contract_that_is_deleted_leaves_what_was_set_free() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.existing("bank.backup.a").metadata.owner_references = None;
    world.contract.metadata.deletion_timestamp = Some(Time(at(DURING)));
    let resolved = resolve(&world, at(DURING));
    assert!(resolved.done && resolved.changes.is_empty());
}

proptest! {
    // shows K5
    #[test]
    fn whatever_has_happened_nothing_is_made_or_deleted_when_all_comes_back(life in life()) {
        let (mut world, mut now) = (start(), at(CREATED));
        for (seconds, event) in life {
            now = later(now, seconds);
            event.happen(&mut world, now);
            world.pass(&now.to_string());
        }
        world.collect();
        world.pass(&now.to_string());
        let settled = world.status(&resolve(&world, now), now);
        let is_over = said(&world, ConditionType::InForce) == "False Ended";
        prop_assume!(said(&world, ConditionType::Accepted) == "True Valid" && !is_over);
        let accepted = |world: &ContractWorld| -> Vec<String> {
            let verdicts = resolve(world, now).amendments;
            let accepted = verdicts.into_iter().filter(|(_, verdict)| verdict.is_ok());
            accepted.map(|(name, _)| name).collect()
        };
        let (before, amended) = (revisions(&world), accepted(&world));
        world.restore(&now.to_string());
        // One that was accepted for another term, or before the end, is refused when it comes back.
        prop_assume!(accepted(&world) == amended);
        let changes = resolve(&world, now).changes;
        world.pass(&now.to_string());
        let after = revisions(&world);
        let names = |of: &BTreeMap<String, Vec<Arc<Revision>>>| of.keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(names(&after), names(&before));
        prop_assert!(changes.delete.is_empty());
        for (name, before) in &before {
            let begun = |of: &[Arc<Revision>]| -> Vec<Arc<Revision>> {
                of.iter().filter(|it| it.effective <= now).cloned().collect()
            };
            prop_assert_eq!(begun(&after[name]), begun(before), "{}", name);
        }
        let again = resolve(&world, now);
        prop_assert!(again.changes.is_empty(), "{:?} {:?}", again.changes, settled.conditions);
    }
}

// shows K5 C10
#[test]
fn a_chain_that_comes_back_without_subscriptions_has_the_instances_of_its_first() {
    for (overlap, order) in [
        (true, [0, 1, 2]),
        (true, [2, 1, 0]),
        (false, [0, 1, 2]),
        (false, [2, 0, 1]),
    ] {
        let mut worlds = vec![
            named(&["one", "two"]),
            renewal("next", "bank", &["one"]),
            renewal("last", "next", &["one", "two"]),
        ];
        let last = &mut worlds[2].contract.spec.term;
        last.start_date = Some("2031-01-01".to_owned());
        if !overlap {
            worlds[0].edit(|spec| spec.term.end_date = Some("2029-03-31".to_owned()));
            worlds[1].edit(|spec| spec.term.end_date = Some("2030-12-31".to_owned()));
        }
        let mut family = Family(worlds);
        family.settle(BEFORE);
        let origins = |family: &Family| {
            ["last.backup.one", "last.backup.two"]
                .map(|name| family.origin(name).map(|(contract, _)| contract.to_owned()))
        };
        let before = origins(&family);
        assert_eq!(before, [Some("bank".to_owned()), None]);
        let now = "2031-06-01T00:00:00Z";
        for world in &mut family.0 {
            world.restore(now);
            world.subscriptions.clear();
        }
        for _ in 0..4 {
            for of in order {
                family.pass(of, now);
            }
        }
        assert_eq!(origins(&family), before, "{overlap} {order:?}");
        let one = family.spec("last.backup.one");
        assert!(one.revisions.iter().all(|it| !it.promised));
        family.settle(now);
        assert_eq!(origins(&family), before, "{overlap} {order:?}");
    }
}

// shows K5 C10
#[test]
fn an_origin_is_found_by_names_labels_and_amendments_of_the_contracts_before() {
    let added = AmendedService {
        name: "backup".to_owned(),
        devices: Some(entente_crds::v1alpha1::AmendedDevices {
            add: vec!["one".to_owned()],
            ..Default::default()
        }),
        ..AmendedService::default()
    };
    let mut by_amendment = named(&["two"]);
    by_amendment.amend("more", CREATED, "2028-01-01", vec![added]);
    let mut by_label = labelled(&[]);
    by_label.devices = vec![device("one", &[("in", "bank")])];
    let mut renamed = named(&["one"]);
    renamed.contract.spec.services[0].name = "archive".to_owned();
    let mut another = named(&["one"]);
    another.contract.spec.services[0].service_ref.name = "other-service".to_owned();
    another
        .services
        .insert("other-service".to_owned(), service("other-service").into());
    let cases = [
        ("amendment", by_amendment, Some(("bank", "backup"))),
        ("label", by_label, Some(("bank", "backup"))),
        ("name of the entry", renamed, Some(("bank", "archive"))),
        ("service", another, None),
        ("device", named(&["two"]), None),
    ];
    for (case, mut old, origin) in cases {
        old.edit(|spec| spec.term.end_date = Some("2029-03-31".to_owned()));
        old.restore(AFTER);
        let mut new = renewal("next", "bank", &["one"]);
        new.devices = vec![device("one", &[("in", "bank")])];
        new.restore(AFTER);
        let mut family = Family(vec![old, new]);
        family.settle(AFTER);
        assert_eq!(family.origin("next.backup.one"), origin, "{case}");
        let restored = family.spec("next.backup.one").restored;
        assert_eq!(restored.is_some(), origin.is_some(), "{case}");
    }
}
