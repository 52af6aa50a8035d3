//! Tests of what a SmartService lets a contract promise.

use entente_crds::v1alpha1::{Bounds, FeeCeiling};

use super::*;

/// A day in the term on which a contract is created too late.
const LATE: &str = "2027-06-10T15:00:00Z";

fn faults(world: &ContractWorld, now: &str) -> Vec<String> {
    let faults = resolve(world, at(now)).accepted.err().unwrap_or_default();
    let faults = faults.into_iter();
    faults.map(|fault| fault.message).collect()
}

/// Returns a contract with a device that was created in its term and promises from a date on.
fn promising_from(date: &str) -> ContractWorld {
    let mut world = named(&["a"]);
    world.contract.metadata.creation_timestamp = Some(Time(at(LATE)));
    world.contract.spec.promises_from = Some(date.to_owned());
    world
}

fn allow_before(world: &mut ContractWorld, length: &str) {
    world.backup_service().bounds = Some(Bounds {
        promises_before: length.into(),
        ..Bounds::default()
    });
}

fn refused(date: &str) -> [String; 1] {
    [format!(
        "spec.promisesFrom is \"{date}\": SmartService backup-service of services[backup] allows \
         \"2027-06-10\" and later, 0s before this contract was created (bounds.promisesBefore)"
    )]
}

// shows D3
#[test]
fn promises_go_back_to_the_local_day_of_creation_and_further_only_where_the_service_says_so() {
    for date in ["1927-01-01", "2020-01-01", "2027-06-09"] {
        assert_eq!(faults(&promising_from(date), LATE), refused(date));
    }
    for date in ["2027-06-10", "2027-06-11", "2199-01-01"] {
        assert_eq!(faults(&promising_from(date), LATE), Vec::<String>::new());
    }
    let mut world = promising_from("2027-06-09");
    allow_before(&mut world, "12h");
    assert_eq!(
        faults(&world, LATE).len(),
        1,
        "that is the begin of the same day"
    );
    allow_before(&mut world, "12h1s");
    assert_eq!(faults(&world, LATE), Vec::<String>::new());
    allow_before(&mut world, "soon");
    assert_eq!(
        faults(&world, LATE).len(),
        1,
        "what cannot be read allows nothing"
    );
    allow_before(&mut world, "999999h");
    assert_eq!(faults(&world, LATE), Vec::<String>::new());
}

// shows K1
#[test]
fn while_a_promise_goes_back_too_far_nothing_is_written_and_looking_again_changes_nothing() {
    let mut world = promising_from("2020-01-01");
    for _ in 0..3 {
        assert!(world.pass(LATE).changes.is_empty());
        assert_eq!(
            said(&world, ConditionType::Accepted),
            "False UnsupportedValue"
        );
    }
}

// shows B1
#[test]
fn what_was_accepted_stays_so_when_the_catalogue_allows_less_or_the_contract_is_restored() {
    let mut accepted = promising_from("2027-04-01");
    allow_before(&mut accepted, "8760h");
    accepted.pass(LATE);
    assert_eq!(said(&accepted, ConditionType::Accepted), "True Valid");
    accepted.backup_service().bounds = None;
    assert_eq!(faults(&accepted, LATE), Vec::<String>::new());

    // From before it was recorded which promise was accepted.
    let mut older = accepted.clone();
    let status = older.contract.status.as_mut().expect("a status");
    status.promises_from = None;
    assert_eq!(faults(&older, LATE), Vec::<String>::new());

    let mut restored = accepted.clone();
    restored.contract.metadata.creation_timestamp = Some(Time(at("2027-09-01T00:00:00Z")));
    restored.contract.metadata.uid = Some("another".to_owned());
    restored.subscriptions.clear();
    assert_eq!(faults(&restored, LATE), Vec::<String>::new());
    restored.edit(|spec| spec.promises_from = Some("2027-03-31".to_owned()));
    for _ in 0..3 {
        assert_eq!(
            faults(&restored, LATE).len(),
            1,
            "another one was not accepted"
        );
        restored.pass(LATE);
    }

    let mut new = restored;
    new.edit(|spec| spec.promises_from = Some("2027-04-01".to_owned()));
    new.contract.status = None;
    assert_eq!(
        faults(&new, LATE).len(),
        1,
        "nothing shows that it was accepted"
    );
}

// shows D3
#[test]
fn a_date_that_was_accepted_for_a_start_ahead_promises_nothing_when_the_start_is_moved_back() {
    let mut world = promising_from("2027-06-10");
    let start = |world: &mut ContractWorld, date: &str| {
        world.edit(|spec| spec.term.start_date = Some(date.to_owned()));
    };
    start(&mut world, "2027-07-01");
    world.pass(LATE);
    assert_eq!(said(&world, ConditionType::Accepted), "True Valid");
    // It promises no more than before, since the start is promised already.
    world.edit(|spec| spec.promises_from = Some("2020-01-01".to_owned()));
    world.pass(LATE);
    start(&mut world, "2020-01-01");
    for _ in 0..3 {
        assert_eq!(faults(&world, LATE), refused("2020-01-01"));
        assert!(world.pass(LATE).changes.is_empty());
    }
}

#[test]
fn what_was_accepted_while_its_service_was_missing_is_held_against_the_bounds_of_the_service() {
    let mut world = promising_from("2020-01-01");
    let service = world
        .services
        .remove("backup-service")
        .expect("it is there");
    world.pass(LATE);
    assert_eq!(said(&world, ConditionType::Accepted), "True Valid");
    world.services.insert("backup-service".to_owned(), service);
    assert_eq!(faults(&world, LATE), refused("2020-01-01"));
}

fn ceiling(currency: &str, amount: &str, per: Period) -> FeeCeiling {
    FeeCeiling {
        currency: currency.to_owned(),
        amount: amount.to_owned(),
        per,
    }
}

fn with_ceilings(ceilings: Vec<FeeCeiling>) -> ContractWorld {
    let mut world = named(&["a"]);
    world.backup_service().bounds = Some(Bounds {
        fee_ceiling: ceilings,
        ..Bounds::default()
    });
    world
}

// shows D3
#[test]
fn a_fee_above_the_ceiling_of_its_currency_is_refused_whatever_its_period() {
    let ceilings = vec![
        ceiling("BRL", "100", Period::Month),
        ceiling("EUR", "1200", Period::Year),
    ];
    let table = [
        ("BRL", "100", Period::Month, true),
        ("BRL", "100.000001", Period::Month, false),
        ("BRL", "300", Period::Quarter, true),
        ("BRL", "301", Period::Quarter, false),
        ("BRL", "1200", Period::Year, true),
        ("BRL", "1200.01", Period::Year, false),
        ("EUR", "100", Period::Month, true),
        ("EUR", "100.01", Period::Month, false),
        ("BRL", "999999999999.999999", Period::Month, false),
    ];
    for (currency, amount, per, is_let) in table {
        let mut world = with_ceilings(ceilings.clone());
        world.contract.spec.currency = Some(currency.to_owned());
        for of in [FeeOf::EachDevice, FeeOf::AllDevices] {
            let fee = Fee {
                per,
                ..fee(amount, of)
            };
            world.contract.spec.services[0].fee = Some(fee);
            let faults = faults(&world, BEFORE);
            assert_eq!(faults.is_empty(), is_let, "{amount} {per:?}: {faults:?}");
        }
    }
    let mut world = with_ceilings(ceilings);
    world.contract.spec.services[0].fee = Some(fee("250", FeeOf::EachDevice));
    let expected = "spec.services[backup].fee.amount is \"250\" for a Month: SmartService \
                    backup-service allows at most \"100\" BRL for a Month (bounds.feeCeiling)";
    assert_eq!(faults(&world, BEFORE), [expected]);
    world.contract.spec.currency = Some("USD".to_owned());
    let expected = "spec.currency is \"USD\": SmartService backup-service of services[backup] \
                    allows fees in BRL, EUR only (bounds.feeCeiling)";
    assert_eq!(faults(&world, BEFORE), [expected]);
    world.contract.spec.services[0].fee = None;
    assert_eq!(faults(&world, BEFORE), Vec::<String>::new());
}

// shows B1
#[test]
fn a_fee_that_is_signed_stays_when_its_ceiling_sinks_and_another_one_is_held_to_it() {
    let mut world = with_ceilings(vec![ceiling("BRL", "300", Period::Month)]);
    world.contract.spec.services[0].fee = Some(fee("250", FeeOf::EachDevice));
    world.pass(BEFORE);
    world.backup_service().bounds = Some(Bounds {
        fee_ceiling: vec![ceiling("BRL", "100", Period::Month)],
        ..Bounds::default()
    });
    assert_eq!(faults(&world, BEFORE), Vec::<String>::new());
    world.edit(|spec| spec.services[0].fee = Some(fee("200", FeeOf::EachDevice)));
    assert_eq!(faults(&world, BEFORE).len(), 1);
}

// shows D3
#[test]
fn an_editor_cannot_make_up_a_debt_of_many_years_and_of_any_amount() {
    let mut world = with_ceilings(vec![ceiling("BRL", "100000", Period::Month)]);
    world.contract.metadata.creation_timestamp = Some(Time(at(LATE)));
    let spec = &mut world.contract.spec;
    spec.term.start_date = Some("1927-01-01".to_owned());
    spec.promises_from = Some("1927-01-01".to_owned());
    spec.services[0].fee = Some(fee("999999999999", FeeOf::EachDevice));
    assert_eq!(faults(&world, LATE).len(), 2);
    assert!(world.pass(LATE).changes.is_empty());
    // Without the date of long ago nothing of the past is promised.
    world.edit(|spec| {
        spec.promises_from = None;
        spec.services[0].fee = Some(fee("100000", FeeOf::EachDevice));
    });
    let resolved = world.pass(LATE);
    let revisions = resolved
        .changes
        .create
        .iter()
        .flat_map(|it| &it.spec.revisions);
    let promised: Vec<bool> = revisions.map(|revision| revision.promised).collect();
    assert_eq!(promised, [false]);
}
