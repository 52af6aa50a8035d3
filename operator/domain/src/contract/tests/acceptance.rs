//! Tests of faults that are refused, and of those that a running contract survives.

use std::sync::Arc;

use entente_crds::v1alpha1::{FeeCredit, Preparation, Remedy};

use super::*;

fn faults(world: &ContractWorld, now: &str) -> Vec<String> {
    let faults = resolve(world, at(now)).accepted.err().unwrap_or_default();
    faults
        .iter()
        .map(|fault| format!("{}: {}", fault.reason, fault.message))
        .collect()
}

// shows K2
#[test]
fn every_fault_is_named_at_once_and_sorted() {
    let mut world = named(&["a"]);
    world.contract.spec.term.time_zone = "Mars/Olympus".to_owned();
    world.contract.spec.promises_from = Some("soon".to_owned());
    let entry = &mut world.contract.spec.services[0];
    entry.parameters = texts(&[("threshold", "0"), ("colour", "red")]);
    entry.remedies = vec![Remedy {
        name: "credit".to_owned(),
        credit: Some(FeeCredit::default()),
        ..Remedy::default()
    }];
    assert_eq!(
        faults(&world, BEFORE),
        [
            "InvalidTerm: spec.promisesFrom is \"soon\": must be a date such as \"2027-04-01\"",
            "UnknownZone: spec.term.timeZone: time zone \"Mars/Olympus\" is unknown: must be a \
             name of the time zone database such as \"America/Sao_Paulo\" or \"UTC\"",
            "UnsupportedValue: spec.services[backup].parameters.colour: the parameters of \
             SmartService backup-service are threshold, weekdays",
            "UnsupportedValue: spec.services[backup].parameters.threshold is \"0\": must be a \
             whole number from 1 to 100",
            "UnsupportedValue: spec.services[backup].remedies[credit] is a FeeCredit: the entry \
             must have a fee",
        ]
    );
}

// shows K2
#[test]
fn each_fault_of_the_spec_has_its_reason() {
    type Edit = fn(&mut ContractWorld);
    let table: &[(&str, Edit)] = &[
        ("InvalidTerm", |world| {
            world.contract.spec.term.start_date = None;
        }),
        ("InvalidTerm", |world| {
            world.contract.spec.term.end_date = Some("2027-03-01".to_owned());
        }),
        ("UnsupportedValue", |world| {
            world.contract.spec.services[0].fee = Some(fee("a lot", FeeOf::EachDevice));
        }),
        ("UnsupportedValue", |world| {
            world.contract.spec.currency = None;
            world.contract.spec.services[0].fee = Some(fee("1", FeeOf::EachDevice));
        }),
        ("UnsupportedValue", |world| {
            world.contract.spec.services[0].elect = Some("none".to_owned());
        }),
        ("UnsupportedValue", |world| {
            world.backup_service().parameters[0].default = None;
        }),
        ("DuplicateService", |world| {
            world
                .contract
                .spec
                .services
                .push(entry("again", "backup-service", &["b", "a"]));
        }),
    ];
    for (reason, edit) in table {
        let mut world = named(&["a"]);
        assert_eq!(faults(&world, BEFORE), Vec::<String>::new());
        edit(&mut world);
        let faults = faults(&world, BEFORE);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(&format!("{reason}: ")), "{faults:?}");
        let resolved = world.pass(BEFORE);
        assert!(resolved.changes.is_empty() && resolved.desired.is_empty());
        assert_eq!(
            said(&world, ConditionType::Accepted),
            format!("False {reason}")
        );
        assert_eq!(
            said(&world, ConditionType::Stalled),
            format!("True {reason}")
        );
        assert_eq!(said(&world, ConditionType::Reconciling), "absent");
    }
}

// shows K2 D5
#[test]
fn a_fee_has_the_digits_of_a_currency_of_iso_4217_unless_it_is_signed() {
    let unknown = |found| {
        format!(
            "UnsupportedValue: spec.currency is \"{found}\": must be a currency of ISO 4217 such \
             as \"EUR\" or \"JPY\""
        )
    };
    let long = |amount, currency, digits| {
        format!(
            "UnsupportedValue: spec.services[backup].fee.amount is \"{amount}\": {currency} has \
             at most {digits} digits behind the point"
        )
    };
    for (currency, amount, fault) in [
        ("BRL", "12.00", None),
        ("BRL", "12.500", None),
        ("BRL", "12.505", Some(long("12.505", "BRL", 2))),
        ("JPY", "12.00", None),
        ("JPY", "12.50", Some(long("12.50", "JPY", 0))),
        ("KWD", "1.234", None),
        ("YEN", "12", Some(unknown("YEN"))),
        ("XXX", "12", Some(unknown("XXX"))),
    ] {
        let mut world = named(&["a"]);
        world.pass(BEFORE);
        world.edit(|spec| {
            spec.currency = Some(currency.to_owned());
            spec.services[0].fee = Some(fee(amount, FeeOf::EachDevice));
        });
        let expected: Vec<String> = fault.into_iter().collect();
        assert_eq!(faults(&world, BEFORE), expected, "{amount} {currency}");
        let subscription = Arc::make_mut(&mut world.subscriptions[0]);
        let revision = Arc::make_mut(&mut subscription.spec.revisions[0]);
        revision.fee = Some(fee(amount, FeeOf::EachDevice));
        revision.currency = Some(currency.to_owned());
        assert_eq!(faults(&world, BEFORE), Vec::<String>::new(), "signed");
    }
}

// shows K2 D5
#[test]
fn a_currency_that_there_is_not_is_refused_without_a_fee_too_and_stays_where_a_contract_runs() {
    let mut world = named(&["a"]);
    let in_yen = |spec: &mut ContractSpec| {
        spec.currency = Some("YEN".to_owned());
        for service in &mut spec.services {
            service.fee = None;
            service.remedies = Vec::new();
        }
    };
    world.edit(in_yen);
    assert_eq!(faults(&world, BEFORE).len(), 1);
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.edit(in_yen);
    assert_eq!(faults(&world, BEFORE), Vec::<String>::new());
}

// shows K2
#[test]
fn what_is_no_duration_is_refused_wherever_it_comes_from() {
    type Edit = fn(&mut ContractWorld);
    let table: [(&str, Edit); 3] = [
        ("spec.preparation.leadTime: ", |world| {
            let lead_time = "soon".into();
            world.contract.spec.preparation = Some(Preparation { lead_time });
        }),
        ("spec.services[backup].serviceLevel.allowed: ", |world| {
            world.contract.spec.services[0].service_level = Some(level("soon"));
        }),
        (
            "spec.services[backup].serviceLevel must be set: that of SmartService backup-service: ",
            |world| {
                world.backup_service().service_level = Some(level("soon"));
            },
        ),
    ];
    for (place, edit) in table {
        let mut world = named(&["a"]);
        edit(&mut world);
        let wanted = "must be a duration such as \"90s\", \"15m\" or \"336h\"";
        let fault = format!("UnsupportedValue: {place}\"soon\" {wanted}");
        assert_eq!(faults(&world, BEFORE), [fault]);
    }
}

// shows K1
#[test]
fn while_it_is_not_accepted_the_subscriptions_stay_as_they_are() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    world.edit(|spec| {
        spec.services[0].devices.names = vec!["c".to_owned()];
        spec.services[0].parameters = texts(&[("threshold", "many")]);
    });
    let before = world.subscriptions.clone();
    assert!(world.pass(DURING).changes.is_empty());
    assert_eq!(world.subscriptions, before);
    let status = world.contract.status.as_ref().expect("a status");
    assert_eq!(
        status.observed_generation,
        Some(2),
        "Stalled is an observation"
    );
    assert_eq!(
        status.subscriptions.as_ref().map(|counts| counts.total),
        Some(2)
    );
    assert_eq!(said(&world, ConditionType::InForce), "True InTerm");
}

// shows B2
#[test]
fn a_date_that_has_passed_cannot_be_moved_by_itself_or_by_the_zone() {
    type Edit = fn(&mut Term);
    let table: &[(&str, &[&str], Edit)] = &[
        (BEFORE, &[], |term| {
            term.start_date = Some("2027-02-15".to_owned());
        }),
        (BEFORE, &[], |term| term.time_zone = "Asia/Tokyo".to_owned()),
        (DURING, &["start"], |term| {
            term.start_date = Some("2027-06-01".to_owned());
        }),
        (DURING, &["start"], |term| {
            term.time_zone = "Asia/Tokyo".to_owned();
        }),
        (DURING, &[], |term| {
            term.end_date = Some("2028-01-31".to_owned());
        }),
        (DURING, &[], |term| term.end_date = None),
        (END, &["end"], |term| term.end_date = None),
        (END, &["end", "start"], |term| {
            term.time_zone = "Asia/Tokyo".to_owned();
        }),
    ];
    for (now, expected, edit) in table {
        let mut world = named(&["a"]);
        world.pass(BEFORE);
        world.edit(|spec| edit(&mut spec.term));
        let faults = faults(&world, now);
        let found: Vec<&str> = ["end", "start"]
            .into_iter()
            .filter(|what| {
                faults.iter().any(|fault| {
                    fault.starts_with(&format!("PastDateChanged: spec.term: the {what}"))
                })
            })
            .collect();
        assert_eq!(
            (&found[..], faults.len()),
            (*expected, expected.len()),
            "{now} {faults:?}"
        );
    }
}

// shows B2 K1
#[test]
fn a_contract_that_nobody_edited_is_refused_by_no_new_zone_database() {
    for minutes in [-180, -60, 60, 180] {
        for now in [BEFORE, DURING, END] {
            let mut world = named(&["a"]);
            world.pass(BEFORE);
            let status = world.contract.status.as_mut().unwrap();
            let term = status.term.as_mut().unwrap();
            // As an older database read them.
            let shift = SignedDuration::from_mins(minutes);
            term.start += shift;
            term.end = term.end.map(|end| end + shift);
            let accepted = term.clone();
            assert_eq!(faults(&world, now), [""; 0], "{minutes} {now}");
            world.pass(now);
            let found = world
                .contract
                .status
                .as_ref()
                .unwrap()
                .term
                .clone()
                .unwrap();
            if now != BEFORE {
                assert_eq!(found.start, accepted.start, "{minutes} {now}");
            }
        }
    }
}

// shows B2 K2
#[test]
fn a_date_that_has_passed_and_was_moved_is_said_with_what_it_was() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.edit(|spec| spec.term.start_date = Some("2027-06-01".to_owned()));
    assert_eq!(
        faults(&world, DURING),
        [
            "PastDateChanged: spec.term: the start has already passed and cannot be moved, neither \
             by its date nor by timeZone: set it back; it was 2027-04-01 to 2030-03-31 in America/Sao_Paulo"
        ]
    );
}

// shows B2
#[test]
fn a_refused_date_stays_refused_and_is_cured_by_setting_it_back() {
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    world.edit(|spec| spec.term.start_date = Some("2027-06-01".to_owned()));
    for _ in 0..2 {
        world.pass(DURING);
        assert_eq!(
            said(&world, ConditionType::Accepted),
            "False PastDateChanged"
        );
        assert_eq!(said(&world, ConditionType::InForce), "True InTerm");
        let term = world
            .contract
            .status
            .as_ref()
            .and_then(|status| status.term.clone());
        assert_eq!(term.map(|term| term.start), Some(at(START)));
    }
    world.edit(|spec| spec.term.start_date = Some("2027-04-01".to_owned()));
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::Accepted), "True Valid");
}

// shows B1
#[test]
fn an_edit_of_the_catalogue_neither_stops_nor_changes_a_running_contract() {
    type Edit = fn(&mut SmartServiceSpec);
    let mut world = named(&["a"]);
    world.contract.spec.services[0].parameters = texts(&[("weekdays", "wed, mon")]);
    world.pass(BEFORE);
    let before = world.subscriptions.clone();
    assert_eq!(
        before[0].spec.revisions[0].parameters["weekdays"],
        "mon,wed"
    );
    let table: &[Edit] = &[
        |service| service.parameters[1].default = Some("30".to_owned()),
        |service| service.parameters[1].default = None,
        |service| service.parameters[1].maximum = Some(10),
        |service| service.parameters[0].allowed = vec!["sun".to_owned()],
        |service| service.parameters.clear(),
        |service| {
            service.parameters.push(Parameter {
                name: "new".to_owned(),
                ..Parameter::default()
            });
        },
        |service| {
            service.service_level = Some(entente_crds::v1alpha1::ServiceLevel {
                allowed: "1h".into(),
                ..Default::default()
            });
        },
        |service| {
            service.remedies = vec![Remedy {
                name: "new".to_owned(),
                ..Remedy::default()
            }];
        },
    ];
    for now in [BEFORE, DURING] {
        for (number, edit) in table.iter().enumerate() {
            let mut world = world.clone();
            edit(world.backup_service());
            let resolved = resolve(&world, at(now));
            assert_eq!(resolved.accepted, Ok(()), "edit {number} at {now}");
            assert!(resolved.changes.is_empty(), "edit {number} at {now}");
            world.subscriptions.clear();
            world.contract.status = None;
            if matches!(number, 0 | 6) {
                let new = resolve(&world, at(now)).changes.create;
                assert_ne!(
                    new[0].spec.revisions, before[0].spec.revisions,
                    "edit {number}"
                );
            }
        }
    }
}
