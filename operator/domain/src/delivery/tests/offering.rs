//! Tests of the offering and the plan that an instance is of: by name, and bound to ids.

use entente_crds::{
    condition::Reason,
    digest::Digest,
    v1alpha1::{NameReference, ServerInstance, ServerSide},
};
use jiff::SignedDuration;

use crate::{
    delivery::{
        Blocked,
        resolve::instance::offering::{ResolvedOffering, find_offering},
    },
    remote::{Catalog, Offering, Plan},
};

fn plan(id: &str, name: &str) -> Plan {
    Plan {
        id: id.to_owned(),
        name: name.to_owned(),
        updateable: true,
        ..Plan::default()
    }
}

fn offering(id: &str, name: &str, plans: &[(&str, &str)]) -> Offering {
    Offering {
        id: id.to_owned(),
        name: name.to_owned(),
        instances_retrievable: true,
        shown: None,
        plans: plans.iter().map(|(id, name)| plan(id, name)).collect(),
    }
}

fn catalog(offerings: &[Offering]) -> Catalog {
    Catalog {
        offerings: offerings.to_vec(),
        ..Catalog::default()
    }
}

/// The side of a service that asks for the plan `standard` of the offering `backup`.
fn side() -> ServerSide {
    ServerSide {
        connection_ref: NameReference {
            name: "northwind".to_owned(),
        },
        offering: "backup".to_owned(),
        plan: "standard".to_owned(),
        ..ServerSide::default()
    }
}

/// An instance that was made of these ids under these names.
fn made(service_id: &str, plan_id: &str, names: Option<(&str, &str)>) -> ServerInstance {
    ServerInstance {
        instance_id: "i-1".to_owned(),
        service_id: service_id.to_owned(),
        plan_id: plan_id.to_owned(),
        offering: names.map(|(offering, _)| offering.to_owned()),
        plan: names.map(|(_, plan)| plan.to_owned()),
        sent_digest: Some(Digest::default()),
        ..ServerInstance::default()
    }
}

fn ids(found: &Result<ResolvedOffering, Blocked>) -> Result<(&str, &str), Reason> {
    match found {
        Ok(found) => Ok((&found.service_id, &found.plan_id)),
        Err(blocked) => Err(blocked.reason),
    }
}

const NAMES: Option<(&str, &str)> = Some(("backup", "standard"));

// shows K5
#[test]
fn a_new_instance_is_of_what_stands_behind_the_names() {
    let known = catalog(&[
        offering("o-1", "backup", &[("p-1", "standard"), ("p-2", "large")]),
        offering("o-2", "scan", &[("p-3", "standard")]),
    ]);
    let found = find_offering(&known, &side(), None);
    assert_eq!(ids(&found), Ok(("o-1", "p-1")));
    let found = found.expect("it is there");
    assert!(found.retrievable);
    assert_eq!(found.maximum_polling, SignedDuration::from_hours(1));
    let mut slow = known.clone();
    slow.offerings[0].instances_retrievable = false;
    let polled = SignedDuration::from_mins(7);
    slow.offerings[0].plans[0].maximum_polling_duration = Some(polled);
    let found = find_offering(&slow, &side(), None).expect("it is there");
    assert_eq!((found.retrievable, found.maximum_polling), (false, polled));
}

// shows K2 K5
#[test]
fn what_the_catalog_lacks_or_has_twice_is_said_in_its_words() {
    let standard = [("p-1", "standard")];
    for (offerings, message) in [
        (
            vec![],
            "the catalog behind northwind has nothing named backup (it has none)",
        ),
        (
            vec![offering("o-1", "Backup", &standard)],
            "the catalog behind northwind has nothing named backup (it has Backup)",
        ),
        (
            vec![
                offering("o-1", "backup", &standard),
                offering("o-2", "backup", &standard),
            ],
            "the catalog behind northwind has 2 entries named backup: o-1 and o-2",
        ),
        (
            vec![offering("o-1", "backup", &[])],
            "the offering backup behind northwind has nothing named standard (it has none)",
        ),
        (
            vec![offering(
                "o-1",
                "backup",
                &[("p-1", "standard"), ("p-2", "standard")],
            )],
            "the offering backup behind northwind has 2 entries named standard: p-1 and p-2",
        ),
    ] {
        let found = find_offering(&catalog(&offerings), &side(), None);
        let blocked = found.expect_err("it is not there");
        assert_eq!(blocked.reason, Reason::OfferingNotFound);
        assert_eq!(blocked.message, message);
    }
}

// shows K5
#[test]
fn of_several_of_one_name_an_instance_stays_with_that_which_it_was_made_of() {
    let standard = [("p-1", "standard"), ("p-2", "standard")];
    let known = catalog(&[
        offering("o-1", "backup", &standard),
        offering("o-2", "backup", &standard),
    ]);
    let recorded = made("o-2", "p-2", NAMES);
    let found = find_offering(&known, &side(), Some(&recorded));
    assert_eq!(ids(&found), Ok(("o-2", "p-2")));
    let stranger = made("o-9", "p-2", NAMES);
    let found = find_offering(&known, &side(), Some(&stranger));
    assert_eq!(ids(&found), Err(Reason::OfferingNotFound));
}

// shows K5
#[test]
fn an_offering_that_is_renamed_is_found_by_the_id_of_the_instance_and_its_name_is_told() {
    let known = catalog(&[offering("o-1", "backup-2", &[("p-1", "standard")])]);
    let recorded = made("o-1", "p-1", NAMES);
    let found = find_offering(&known, &side(), Some(&recorded));
    assert_eq!(
        found.expect_err("it has another name").message,
        "the catalog behind northwind has nothing named backup (it has backup-2); the offering of the instance \
         (o-1) is named backup-2 there"
    );
    let nobody = made("o-7", "p-1", NAMES);
    let found = find_offering(&known, &side(), Some(&nobody));
    let message = found.expect_err("it has another name").message;
    assert!(!message.contains("is named"), "{message}");
}

// shows K5
#[test]
fn other_ids_behind_the_names_of_an_instance_send_nothing_until_somebody_corrects_them() {
    let known = catalog(&[offering("o-2", "backup", &[("p-2", "standard")])]);
    for (recorded, changed) in [
        (made("o-2", "p-2", NAMES), None),
        (made("o-1", "p-2", NAMES), Some("offering backup")),
        (made("o-2", "p-1", NAMES), Some("plan standard")),
        // An instance from before names were kept is bound to the ids that it has.
        (made("o-1", "p-2", None), Some("offering backup")),
        (made("o-2", "p-1", None), Some("plan standard")),
        // The SmartService was edited: another offering or plan is meant by it.
        (made("o-1", "p-1", Some(("archive", "standard"))), None),
        (made("o-2", "p-1", Some(("backup", "large"))), None),
    ] {
        let found = find_offering(&known, &side(), Some(&recorded));
        match changed {
            None => assert_eq!(ids(&found), Ok(("o-2", "p-2")), "{recorded:?}"),
            Some(what) => {
                let blocked = found.expect_err("another one");
                assert_eq!(blocked.reason, Reason::OfferingChanged, "{recorded:?}");
                assert!(blocked.message.contains(what), "{}", blocked.message);
            }
        }
    }
}

// shows K5
#[test]
fn an_instance_that_was_recorded_and_never_asked_for_is_bound_to_nothing() {
    let known = catalog(&[offering("o-2", "backup", &[("p-2", "standard")])]);
    let mut recorded = made("o-1", "p-1", NAMES);
    recorded.sent_digest = None;
    let found = find_offering(&known, &side(), Some(&recorded));
    assert_eq!(ids(&found), Ok(("o-2", "p-2")));
}

// shows K5
#[test]
fn an_instance_of_a_plan_that_cannot_be_changed_stays_with_it() {
    let mut known = catalog(&[offering(
        "o-1",
        "backup",
        &[("p-1", "standard"), ("p-2", "large")],
    )]);
    known.offerings[0].plans[1].updateable = false;
    for (recorded, blocked) in [
        // It has the wanted plan, and its parameters may change.
        (made("o-1", "p-1", NAMES), false),
        (made("o-1", "p-2", Some(("backup", "large"))), true),
        // What it has is not in the catalog any more: the broker knows.
        (made("o-1", "p-3", Some(("backup", "small"))), false),
        (made("o-2", "p-2", Some(("archive", "large"))), false),
    ] {
        let found = find_offering(&known, &side(), Some(&recorded));
        let expected = if blocked {
            Err(Reason::UnsupportedValue)
        } else {
            Ok(("o-1", "p-1"))
        };
        assert_eq!(ids(&found), expected, "{recorded:?}");
    }
}
