//! Tests of amendments: what each stage gives to a subscription.

mod refused;
mod told;

use entente_crds::v1alpha1::{AmendedDevices, Promise, PromiseState, Revision};

use super::*;

/// Returns a change of the entry `backup`.
fn change() -> AmendedService {
    AmendedService {
        name: "backup".to_owned(),
        ..AmendedService::default()
    }
}

fn threshold(value: &str) -> AmendedService {
    AmendedService {
        parameters: texts(&[("threshold", value)]),
        ..change()
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn adding(names: &[&str]) -> AmendedService {
    let add = strings(names);
    AmendedService {
        devices: Some(AmendedDevices {
            add,
            ..AmendedDevices::default()
        }),
        ..change()
    }
}

fn removing(names: &[&str]) -> AmendedService {
    let remove = strings(names);
    AmendedService {
        devices: Some(AmendedDevices {
            remove,
            ..AmendedDevices::default()
        }),
        ..change()
    }
}

fn ending() -> AmendedService {
    AmendedService {
        end: true,
        ..change()
    }
}

fn day(instant: Timestamp) -> String {
    let text = instant.to_string();
    text.strip_suffix("T03:00:00Z").unwrap_or(&text).to_owned()
}

/// Shows the entries of the subscription of `backup` on a device.
fn entries(world: &ContractWorld, device: &str) -> Vec<String> {
    let name = format!("bank.backup.{device}");
    let found = world.subscriptions.iter().find(|it| {
        it.metadata.name.as_deref() == Some(&name) && it.metadata.deletion_timestamp.is_none()
    });
    let revisions = found.map_or(&[][..], |it| &it.spec.revisions);
    let shown = |revision: &Arc<Revision>| {
        format!(
            "{} {}{} until {}",
            day(revision.effective),
            revision.parameters["threshold"],
            if revision.promised { " promised" } else { "" },
            revision.until.map_or_else(|| "ever".to_owned(), day),
        )
    };
    revisions.iter().map(shown).collect()
}

fn verdict(world: &ContractWorld, name: &str) -> (String, String) {
    let mut amendments = world.amendments.iter();
    let found = amendments
        .find(|it| it.metadata.name.as_deref() == Some(name))
        .expect(name);
    let conditions = &found.status.as_ref().expect("a status").conditions;
    let said = find(conditions, ConditionType::Accepted).expect("Accepted");
    (
        format!("{} {}", said.status, said.reason),
        said.message.to_string(),
    )
}

/// Returns a contract for a and b that two amendments change: the threshold in July, and in October b
/// goes.
fn amended_twice() -> ContractWorld {
    let mut world = named(&["a", "b"]);
    world.amend(
        "july",
        "2027-03-01T00:00:00Z",
        "2027-07-01",
        vec![threshold("10")],
    );
    world.amend(
        "october",
        "2027-03-02T00:00:00Z",
        "2027-10-01",
        vec![removing(&["b"])],
    );
    world
}

const A_AMENDED: [&str; 2] = [
    "2027-04-01 20 promised until 2030-04-01",
    "2027-07-01 10 promised until 2030-04-01",
];
const B_AMENDED: [&str; 2] = [
    "2027-04-01 20 promised until 2027-10-01",
    "2027-07-01 10 promised until 2027-10-01",
];

// shows B2 D4
#[test]
fn amendments_are_written_ahead_and_nothing_is_written_when_their_instant_comes() {
    let mut world = amended_twice();
    world.pass("2027-03-15T00:00:00Z");
    assert_eq!(entries(&world, "a"), A_AMENDED);
    assert_eq!(entries(&world, "b"), B_AMENDED);
    for now in [
        "2027-04-01T03:00:00Z",
        "2027-07-01T03:00:00Z",
        "2027-09-30T00:00:00Z",
    ] {
        assert_eq!(world.pass(now).changes, Changes::default(), "{now}");
    }
    assert_eq!(
        deleted(&world.pass("2027-10-01T03:00:00Z")),
        ["bank.backup.b"]
    );
    assert_eq!(entries(&world, "a"), A_AMENDED);
    for name in ["july", "october"] {
        assert_eq!(verdict(&world, name).0, "True Valid");
    }
}

// shows B2 K1
#[test]
fn an_amendment_that_is_folded_into_the_contract_after_its_date_writes_nothing() {
    let mut world = amended_twice();
    world.pass("2027-03-15T00:00:00Z");
    for (now, fold, name) in [
        ("2027-08-01T00:00:00Z", true, "july"),
        ("2027-11-01T00:00:00Z", false, "october"),
    ] {
        world.pass(now);
        world.collect();
        world.withdraw(name);
        world.edit(|spec| {
            if fold {
                spec.services[0].parameters = texts(&[("threshold", "10")]);
            } else {
                spec.services[0]
                    .devices
                    .names
                    .retain(|device| device != "b");
            }
        });
        assert_eq!(world.pass(now).changes, Changes::default(), "{now}");
    }
    assert_eq!(entries(&world, "a"), A_AMENDED);
}

// shows B2
#[test]
fn an_amendment_that_is_deleted_before_its_date_is_withdrawn() {
    let mut world = amended_twice();
    world.pass("2027-03-15T00:00:00Z");
    world.withdraw("october");
    world.pass("2027-08-01T00:00:00Z");
    // Of an entry that has begun the end alone changes.
    assert_eq!(
        entries(&world, "b"),
        [
            "2027-04-01 20 promised until 2027-10-01",
            "2027-07-01 10 promised until 2030-04-01"
        ]
    );
    world.withdraw("july");
    world.pass("2027-08-02T00:00:00Z");
    assert_eq!(
        entries(&world, "a"),
        [
            "2027-04-01 20 promised until 2030-04-01",
            "2027-07-01 10 promised until 2027-08-02T00:00:00Z",
            "2027-08-02T00:00:00Z 20 until 2030-04-01",
        ]
    );
}

// shows B2 D3 D4
#[test]
fn an_amendment_that_is_first_seen_after_its_instant_is_promised_if_it_was_made_before_it() {
    for (created, promised) in [
        ("2027-06-20T00:00:00Z", true),
        ("2027-07-05T00:00:00Z", false),
    ] {
        let mut world = named(&["a"]);
        world.pass("2027-03-15T00:00:00Z");
        world.amend(
            "july",
            created,
            "2027-07-01",
            vec![
                threshold("10"),
                AmendedService {
                    name: "backup".to_owned(),
                    ..adding(&["b"])
                },
            ],
        );
        world.pass("2027-07-20T00:00:00Z");
        let from = if promised {
            "2027-07-01 10 promised"
        } else {
            "2027-07-20T00:00:00Z 10"
        };
        let last = entries(&world, "a").pop().expect("an entry");
        assert_eq!(last, format!("{from} until 2030-04-01"));
        assert_eq!(entries(&world, "b"), [format!("{from} until 2030-04-01")]);
        // It is not promised anew by an edit that comes later.
        world.edit(|spec| spec.services[0].parameters = texts(&[("weekdays", "mon")]));
        world.pass("2027-07-21T00:00:00Z");
        let last = entries(&world, "b").pop().expect("an entry");
        assert_eq!(last, "2027-07-21T00:00:00Z 10 until 2030-04-01");
    }
}

// shows B2 D4
#[test]
fn an_edit_after_an_amendment_that_did_not_concern_a_device_promises_it_nothing() {
    let mut world = named(&["a"]);
    world.amend(
        "july",
        "2027-03-01T00:00:00Z",
        "2027-07-01",
        vec![adding(&["b"])],
    );
    world.pass("2027-03-15T00:00:00Z");
    world.pass("2027-07-02T00:00:00Z");
    world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", "30")]));
    world.pass("2027-08-01T00:00:00Z");
    assert_eq!(
        entries(&world, "a"),
        [
            "2027-04-01 20 promised until 2027-08-01T00:00:00Z",
            "2027-08-01T00:00:00Z 30 until 2030-04-01"
        ]
    );
}

// shows B2
#[test]
fn a_device_of_a_future_add_is_out_until_then_even_if_a_selector_matches_it() {
    let mut world = labelled(&["a", "b"]);
    world.amend(
        "july",
        "2027-03-01T00:00:00Z",
        "2027-07-01",
        vec![adding(&["b"])],
    );
    world.amend(
        "october",
        "2027-03-01T00:00:00Z",
        "2027-10-01",
        vec![removing(&["a"])],
    );
    world.amend(
        "december",
        "2027-03-01T00:00:00Z",
        "2027-12-01",
        vec![adding(&["a"])],
    );
    world.pass("2027-03-15T00:00:00Z");
    assert_eq!(
        entries(&world, "b"),
        ["2027-07-01 20 promised until 2030-04-01"]
    );
    // Removed before it is added: it was there until then.
    assert_eq!(
        entries(&world, "a"),
        [
            "2027-04-01 20 promised until 2027-10-01",
            "2027-12-01 20 promised until 2030-04-01"
        ]
    );
}

// shows B2
#[test]
fn an_amendment_that_adds_what_has_the_service_takes_nothing_away() {
    let from_start = ["2027-04-01 20 promised until 2030-04-01"];
    for mut world in [named(&["a"]), labelled(&["a"])] {
        world.pass(BEFORE);
        world.pass("2027-04-01T03:00:00Z");
        world.amend("again", DURING, "2027-07-01", vec![adding(&["a"])]);
        for now in [DURING, "2027-07-01T03:00:00Z"] {
            assert_eq!(world.pass(now).changes, Changes::default(), "{now}");
            assert_eq!(entries(&world, "a"), from_start, "{now}");
        }
    }
    // Named by the contract, and not begun: what the contract says of its start holds.
    let mut world = named(&["a"]);
    world.amend("again", CREATED, "2027-07-01", vec![adding(&["a"])]);
    world.pass(BEFORE);
    assert_eq!(entries(&world, "a"), from_start);
}

// shows B2
#[test]
fn a_device_that_comes_back_has_two_times_of_service() {
    let mut world = named(&["a"]);
    world.amend(
        "july",
        "2027-03-01T00:00:00Z",
        "2027-07-01",
        vec![adding(&["b"])],
    );
    world.amend(
        "october",
        "2027-03-01T00:00:00Z",
        "2027-10-01",
        vec![removing(&["b"])],
    );
    world.amend(
        "december",
        "2027-03-01T00:00:00Z",
        "2027-12-01",
        vec![adding(&["b"])],
    );
    world.pass("2027-03-15T00:00:00Z");
    assert_eq!(
        entries(&world, "b"),
        [
            "2027-07-01 20 promised until 2027-10-01",
            "2027-12-01 20 promised until 2030-04-01"
        ]
    );
    for now in [
        "2027-07-01T03:00:00Z",
        "2027-10-05T00:00:00Z",
        "2027-12-01T03:00:00Z",
    ] {
        assert_eq!(world.pass(now).changes, Changes::default(), "{now}");
    }
}

// shows B2 D4
#[test]
fn more_amendments_than_a_subscription_holds_are_written_as_room_comes() {
    let mut world = named(&["a"]);
    for month in 5..=12 {
        let (name, date) = (format!("m{month:02}"), format!("2027-{month:02}-01"));
        world.amend(&name, CREATED, &date, vec![threshold(&month.to_string())]);
    }
    world.pass("2027-03-15T00:00:00Z");
    assert_eq!(entries(&world, "a").len(), 4);
    for month in 5..=12 {
        world.pass(&format!("2027-{month:02}-01T03:00:00Z"));
        let name = "bank.backup.a";
        let revisions = world.existing(name).spec.revisions.clone();
        let in_force = revisions
            .iter()
            .rfind(|it| day(it.effective) == format!("2027-{month:02}-01"));
        assert!(
            in_force.is_some_and(|it| it.promised),
            "{:?}",
            entries(&world, "a")
        );
        let promises = revisions
            .iter()
            .filter(|it| day(it.effective).starts_with("2027"))
            .map(|it| Promise {
                effective: it.effective,
                state: if it.effective < at(&format!("2027-{month:02}-01T03:00:00Z")) {
                    PromiseState::Closed
                } else {
                    PromiseState::Open
                },
                completed: None,
                proof: None,
                closed: None,
                delays: Vec::new(),
                emitted: Vec::new(),
            });
        let promises = promises.collect();
        let status = world
            .existing(name)
            .status
            .get_or_insert_with(Default::default);
        status.promises = promises;
    }
}

// shows B1 D3
#[test]
fn a_subscription_that_an_amendment_added_and_that_is_lost_says_so_when_it_is_made_again() {
    let mut world = named(&["a"]);
    world.amend("july", CREATED, "2027-07-01", vec![adding(&["b"])]);
    world.pass("2027-03-15T00:00:00Z");
    world.pass("2027-07-02T00:00:00Z");
    let before = entries(&world, "b");
    world
        .subscriptions
        .retain(|it| it.metadata.name.as_deref() != Some("bank.backup.b"));
    world.pass("2027-08-01T00:00:00Z");
    assert_eq!(entries(&world, "b"), before);
    let made = world.existing("bank.backup.b");
    assert_eq!(made.spec.restored, Some(at("2027-08-01T00:00:00Z")));
}

// shows B2 D3
#[test]
fn a_device_that_an_edit_brings_before_its_amendment_is_not_promised_backwards() {
    let mut world = named(&["a"]);
    world.amend("july", CREATED, "2027-07-01", vec![adding(&["b"])]);
    world.pass("2027-03-15T00:00:00Z");
    world.pass("2027-04-02T00:00:00Z");
    world.withdraw("july");
    world.edit(|spec| spec.services[0].devices.names.push("b".to_owned()));
    world.pass("2027-06-01T00:00:00Z");
    assert_eq!(
        entries(&world, "b"),
        ["2027-06-01T00:00:00Z 20 until 2030-04-01"]
    );
}

// shows B2 K1
#[test]
fn a_service_that_only_a_stage_before_needed_may_go() {
    let mut world = named(&["a"]);
    let other = service("other-service");
    world
        .services
        .insert("other-service".to_owned(), other.into());
    let service_ref = Some(NameReference {
        name: "other-service".to_owned(),
    });
    let change = AmendedService {
        service_ref,
        ..change()
    };
    world.amend("july", CREATED, "2027-07-01", vec![change]);
    world.pass("2027-03-15T00:00:00Z");
    world.pass("2027-07-02T00:00:00Z");
    world.services.remove("backup-service");
    let resolved = world.pass("2027-07-03T00:00:00Z");
    assert_eq!(resolved.changes, Changes::default());
    assert_eq!(said(&world, ConditionType::ResolvedRefs), "True Resolved");
}

// shows B2 D3
#[test]
fn an_amendment_that_is_older_than_its_contract_promises_nothing_before_it() {
    let mut world = named(&["a"]);
    world.contract.metadata.creation_timestamp = Some(Time(at("2027-08-01T00:00:00Z")));
    world.amend("july", CREATED, "2027-07-01", vec![threshold("10")]);
    world.amend("october", CREATED, "2027-10-01", vec![threshold("11")]);
    world.pass("2027-08-01T00:00:00Z");
    let revisions = &world.existing("bank.backup.a").spec.revisions;
    let promised: Vec<bool> = revisions.iter().map(|it| it.promised).collect();
    assert_eq!(promised, [false, false, true]);
}

// shows K2
#[test]
fn an_amendment_that_lies_ahead_takes_nothing_back_that_was_delivered() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.pass(START);
    for name in ["bank.backup.a", "bank.backup.b"] {
        world.deliver(name);
    }
    let delivered = "True Delivered";
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::Ready), delivered);
    world.amend(
        "october",
        "2027-06-01T00:00:00Z",
        "2027-10-01",
        vec![threshold("10")],
    );
    // In the pass that writes it, and until delivery has looked at it.
    for now in ["2027-06-01T00:00:01Z", "2027-06-01T00:00:02Z"] {
        world.pass(now);
        assert_eq!(said(&world, ConditionType::Ready), delivered, "{now}");
    }
    let found = world.subscriptions[0].clone();
    let generations = |it: &ServiceSubscription| {
        let said = find(&it.status.as_ref()?.conditions, ConditionType::Ready)?;
        Some((said.observed_generation, it.metadata.generation))
    };
    let (observed, generation) = generations(&found).expect("a condition");
    assert!(observed < generation, "delivery has not looked at it");
    world.pass("2027-10-01T00:00:00Z");
    world.pass("2027-10-01T04:00:00Z");
    assert!(said(&world, ConditionType::Ready).starts_with("False"));
}

// shows B2 B5
#[test]
fn a_withdrawal_by_a_label_is_held_although_an_amendment_brings_the_device_back() {
    let mut world = labelled(&["a", "b"]);
    world.contract.spec.services[0].devices.expect = Some(2);
    let change = AmendedService {
        devices: Some(AmendedDevices {
            names: strings(&["b"]),
            expect: Some(2),
            ..AmendedDevices::default()
        }),
        ..change()
    };
    world.amend("july", CREATED, "2027-07-01", vec![change]);
    world.pass("2027-03-15T00:00:00Z");
    world.pass("2027-04-02T00:00:00Z");
    let before = entries(&world, "b");
    world.devices[1].labels.clear();
    let resolved = world.pass("2027-05-01T00:00:00Z");
    assert_eq!(resolved.changes.held, ["bank.backup.b"]);
    assert!(resolved.changes.is_empty());
    assert_eq!(entries(&world, "b"), before);
}

// shows B1 B2
#[test]
fn what_was_in_force_until_now_stays_and_the_furthest_amendment_waits_for_room() {
    let mut world = named(&["a"]);
    for (name, date, value) in [
        ("july", "2027-07-01", "10"),
        ("october", "2027-10-01", "11"),
    ] {
        world.amend(name, CREATED, date, vec![threshold(value)]);
    }
    world.pass("2027-03-15T00:00:00Z");
    for (now, value) in [
        ("2027-05-01T00:00:00Z", "mon"),
        ("2027-05-02T00:00:00Z", "sun"),
    ] {
        world.edit(|spec| spec.services[0].parameters = texts(&[("weekdays", value)]));
        world.pass(now);
    }
    assert_eq!(
        entries(&world, "a"),
        [
            "2027-04-01 20 promised until 2027-05-01T00:00:00Z",
            "2027-05-01T00:00:00Z 20 until 2027-05-02T00:00:00Z",
            "2027-05-02T00:00:00Z 20 until 2030-04-01",
            "2027-07-01 10 promised until 2030-04-01",
        ]
    );
    world.pass("2027-07-01T03:00:00Z");
    let last = entries(&world, "a").pop().expect("an entry");
    assert_eq!(last, "2027-10-01 11 promised until 2030-04-01");
}
