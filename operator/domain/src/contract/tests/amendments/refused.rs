//! Tests of amendments that are refused, or about which nothing can be said.

use super::*;

/// An amendment that is tried: its date, its changes, and the condition and message that it gets.
type Tried = (
    &'static str,
    Vec<AmendedService>,
    &'static str,
    &'static str,
);

fn with_faults_of_dates_and_values() -> Vec<Tried> {
    vec![
        (
            "2027-04-01",
            vec![threshold("10")],
            "False BeforeTerm",
            "spec.effectiveDate is \"2027-04-01\": must be later than the start of Contract bank, 2027-04-01 in America/Sao_Paulo; what it \
             promises from its start stands in the contract itself",
        ),
        (
            "2030-04-01",
            vec![threshold("10")],
            "False AfterTerm",
            "spec.effectiveDate is \"2030-04-01\": must be earlier than the end of Contract bank, \
             2030-04-01 in America/Sao_Paulo",
        ),
        (
            "2027-07-01",
            vec![threshold("200")],
            "False UnsupportedValue",
            "spec.services[backup].parameters.threshold is \"200\": must be a whole number from 1 to 100",
        ),
        (
            "2027-07-01",
            vec![AmendedService {
                name: "toner".to_owned(),
                ..ending()
            }],
            "False UnsupportedValue",
            "spec.services[toner].end: the contract has no such entry at that time, only backup",
        ),
        (
            "2027-07-01",
            vec![AmendedService {
                name: "toner".to_owned(),
                ..threshold("1")
            }],
            "False UnsupportedValue",
            "spec.services[toner].serviceRef must be set: the contract has no entry toner at that time, \
             so that this is a new one",
        ),
    ]
}

fn with_new_entries() -> Vec<Tried> {
    let unset = AmendedService {
        unset: strings(&["treshold"]),
        ..change()
    };
    let other = |service: &str| AmendedService {
        name: "other".to_owned(),
        service_ref: Some(NameReference {
            name: service.to_owned(),
        }),
        ..adding(&["z"])
    };
    vec![
        (
            "2027-07-01",
            vec![unset],
            "False UnsupportedValue",
            "spec.services[backup].unset.treshold: the parameters of SmartService backup-service are \
             threshold, weekdays",
        ),
        (
            "2027-07-01",
            vec![other("nowhere")],
            "False ServiceNotFound",
            "SmartService nowhere, named by services[other], was not found: create it or correct serviceRef",
        ),
        (
            "2027-07-01",
            vec![AmendedService {
                devices: other("x").devices,
                name: "other".to_owned(),
                ..AmendedService {
                    service_ref: other("backup-service").service_ref,
                    devices: Some(AmendedDevices {
                        names: strings(&["a"]),
                        ..AmendedDevices::default()
                    }),
                    ..change()
                }
            }],
            "True Valid",
            "The amendment is valid.",
        ),
        (
            "2027-07-01",
            vec![AmendedService {
                name: "other".to_owned(),
                service_ref: other("backup-service").service_ref,
                ..adding(&["a"])
            }],
            "False DuplicateService",
            "Entries backup and other both name a for SmartService backup-service: name each device in \
             one of them only",
        ),
    ]
}

// shows B2 K2
#[test]
fn each_fault_of_an_amendment_has_its_reason_and_says_what_was_found() {
    let table = with_faults_of_dates_and_values();
    let table = table.into_iter().chain(with_new_entries());
    for (date, services, said, message) in table {
        let mut world = named(&["a"]);
        world.amend("it", CREATED, date, services);
        world.pass(BEFORE);
        let (found, words) = verdict(&world, "it");
        assert_eq!(found, said, "{words}");
        assert_eq!(words.trim_end_matches('.'), message.trim_end_matches('.'));
        assert_eq!(super::said(&world, ConditionType::Accepted), "True Valid");
        if said.starts_with("False") {
            assert_eq!(
                entries(&world, "a"),
                ["2027-04-01 20 promised until 2030-04-01"]
            );
        }
    }
}

fn naming(names: &[&str]) -> AmendedService {
    AmendedService {
        devices: Some(AmendedDevices {
            names: strings(names),
            ..AmendedDevices::default()
        }),
        ..change()
    }
}

// shows B2 K2
#[test]
fn of_two_amendments_of_one_instant_that_change_the_same_the_younger_one_is_refused() {
    let fees = |amount| AmendedService {
        fee: Some(fee(amount, FeeOf::EachDevice)),
        ..change()
    };
    let changed = "is changed at the same instant";
    let table = [
        (
            threshold("10"),
            threshold("11"),
            format!(".parameters.threshold {changed}"),
        ),
        (threshold("10"), fees("1"), String::new()),
        (fees("2"), fees("1"), format!(".fee {changed}")),
        (adding(&["x"]), removing(&["a"]), String::new()),
        (
            adding(&["x"]),
            removing(&["x"]),
            format!(".devices[x] {changed}"),
        ),
        (
            adding(&["x"]),
            naming(&["a"]),
            format!(".devices {changed}"),
        ),
        (
            naming(&["b"]),
            removing(&["a"]),
            format!(".devices {changed}"),
        ),
        (
            ending(),
            fees("1"),
            " is changed, and that entry ends at the same instant".to_owned(),
        ),
        (
            adding(&["x"]),
            ending(),
            format!(".end is set, and that entry {changed}"),
        ),
    ];
    for (one, other, words) in table {
        let mut world = named(&["a"]);
        world.amend("younger", "2027-02-03T00:00:00Z", "2027-07-01", vec![other]);
        world.amend("older", "2027-02-02T00:00:00Z", "2027-07-01", vec![one]);
        world.pass(BEFORE);
        assert_eq!(verdict(&world, "older").0, "True Valid");
        let (said, message) = verdict(&world, "younger");
        if words.is_empty() {
            assert_eq!(said, "True Valid", "{message}");
            continue;
        }
        assert_eq!(said, "False AmendmentsConflict");
        let words = format!(
            "spec.services[backup]{words} by ContractAmendment older, which is older, or of the \
             same second and first by name: delete one of the two or give it another date"
        );
        assert_eq!(message.trim_end_matches('.'), words);
    }
}

// shows B2 K2
#[test]
fn an_amendment_of_a_contract_that_has_ended_is_refused() {
    let mut world = named(&["a"]);
    world.amend(
        "late",
        "2030-04-02T00:00:00Z",
        "2029-07-01",
        vec![threshold("10")],
    );
    world.pass("2030-04-02T00:00:00Z");
    let (said, message) = verdict(&world, "late");
    assert_eq!(said, "False AfterTerm");
    assert!(
        message.contains("Contract bank has ended, 2030-04-01 in America/Sao_Paulo"),
        "{message}"
    );
}

// shows B2 K2
#[test]
fn while_the_contract_is_not_accepted_an_amendment_waits_and_one_in_force_stays() {
    let mut world = amended_twice();
    world.pass("2027-08-01T00:00:00Z");
    let before = (entries(&world, "a"), entries(&world, "b"));
    world.edit(|spec| spec.term.time_zone = "Moon/Crater".to_owned());
    let resolved = world.pass("2027-08-02T00:00:00Z");
    assert!(resolved.accepted.is_err());
    assert_eq!(verdict(&world, "october").0, "Unknown Pending");
    let october = world.amendments[1].status.as_ref().expect("a status");
    assert_eq!(october.effective, Some(at("2027-10-01T03:00:00Z")));
    assert_eq!((entries(&world, "a"), entries(&world, "b")), before);
}

// shows B2 K1
#[test]
fn an_amendment_that_cannot_be_read_withdraws_nothing() {
    let mut world = amended_twice();
    world.pass("2027-08-01T00:00:00Z");
    let amendments = std::mem::take(&mut world.amendments);
    world.unreadable_amendments = strings(&["july", "october"]).into_iter().collect();
    assert_eq!(
        world.pass("2027-08-02T00:00:00Z").changes,
        Changes::default()
    );
    assert_eq!(
        said(&world, ConditionType::ResolvedRefs),
        "False Undecodable"
    );
    world.unreadable_amendments.clear();
    world.amendments = amendments;
    assert_eq!(
        world.pass("2027-08-03T00:00:00Z").changes,
        Changes::default()
    );
}

// shows B2 K2
#[test]
fn the_younger_amendment_is_the_one_that_was_made_later_also_before_the_contract() {
    let mut world = named(&["a"]);
    world.contract.metadata.creation_timestamp = Some(Time(at("2027-02-20T00:00:00Z")));
    world.amend(
        "a",
        "2027-02-03T00:00:00Z",
        "2027-07-01",
        vec![threshold("10")],
    );
    world.amend(
        "b",
        "2027-02-02T00:00:00Z",
        "2027-07-01",
        vec![threshold("11")],
    );
    world.pass(BEFORE);
    assert_eq!(verdict(&world, "a").0, "False AmendmentsConflict");
    assert_eq!(verdict(&world, "b").0, "True Valid");
}
