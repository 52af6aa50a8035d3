//! Tests of the contract's whole set: the time since it is complete, the sums owed, the promises
//! missed.

use entente_crds::v1alpha1::{
    Amount, CompensationSpec, CompensationStatus, Promise, PromiseState, Voided,
};

use super::*;
use crate::contract::report as report_of;

fn status(world: &ContractWorld) -> &ContractStatus {
    world.contract.status.as_ref().expect("a status")
}

// shows B2
#[test]
fn the_set_is_established_once_and_never_before_its_last_subscription() {
    let mut world = labelled(&[]);
    world.pass(BEFORE);
    assert_eq!(status(&world).established, None, "no device yet");
    world.devices.push(device("a", &[("in", "bank")]));
    let resolved = resolve(&world, at(BEFORE));
    world.apply(&resolved.changes, at("2027-03-01T12:00:02Z"));
    let found = world.status(&resolved, at(BEFORE));
    assert_eq!(
        found.established,
        Some(at("2027-03-01T12:00:02Z")),
        "the server's clock is ahead"
    );
    world.contract.status = Some(found);
    world.devices.push(device("b", &[("in", "bank")]));
    world.pass(DURING);
    assert_eq!(status(&world).established, Some(at("2027-03-01T12:00:02Z")));
}

// shows B2
#[test]
fn an_empty_set_is_established_when_the_start_comes_and_not_when_the_contract_comes_late() {
    let mut world = labelled(&[]);
    world.pass(START);
    assert_eq!(status(&world).established, Some(at(START)));
    let mut world = labelled(&[]);
    world.contract.metadata.creation_timestamp = Some(Time(at(DURING)));
    world.pass(DURING);
    assert_eq!(status(&world).established, None);
}

fn compensation(value: Option<(&str, &str)>, calculated: bool) -> Compensation {
    let mut compensation = Compensation::new("c", CompensationSpec::default());
    compensation.spec.record.contract.uid = "contract-uid".to_owned();
    compensation.spec.record.promised = at(START);
    let status = Status::from(calculated);
    let reasons = if calculated {
        [Reason::AmountFinal, Reason::RecordOnly]
    } else {
        [Reason::Accruing; 2]
    };
    compensation.status = value.map(|(currency, value)| CompensationStatus {
        conditions: ConditionSet::new(&[], None, at(DURING))
            .with(ConditionType::Calculated, status, reasons[0], "said")
            .with(ConditionType::Delivered, status, reasons[1], "said")
            .finish(),
        amount: Some(Amount {
            currency: currency.to_owned(),
            value: value.to_owned(),
        }),
        ..CompensationStatus::default()
    });
    compensation
}

// shows D8
#[test]
fn what_is_owed_is_the_sum_of_compensations_that_are_not_voided() {
    let mut voided = compensation(Some(("BRL", "99.00")), true);
    voided.spec.voided = Some(Voided::default());
    let mut world = named(&["a"]);
    world.pass(BEFORE);
    let resolved = resolve(&world, at(DURING));
    let mut owed = |compensations: &[Compensation]| {
        let outcome = WriteOutcome::default();
        let found = report_of(
            &world,
            &resolved,
            &world.subscriptions,
            &shared(compensations),
            &outcome,
            at(DURING),
        );
        world.contract.status = Some(found.clone());
        let condition = said(&world, ConditionType::CompensationPending);
        let missed = said(&world, ConditionType::PromiseMissed);
        world.contract.status = None;
        (found.owed, condition, missed)
    };
    let nothing = (None, "absent".to_owned(), "absent".to_owned());
    assert_eq!(owed(&[]), nothing);
    assert_eq!(owed(std::slice::from_ref(&voided)), nothing);
    let (sum, pending, missed) = owed(&[
        compensation(Some(("BRL", "1249.37")), true),
        compensation(Some(("BRL", "0.63")), false),
        voided,
    ]);
    let sum = sum.expect("a sum");
    assert_eq!(
        (
            sum.summary.as_str(),
            sum.open,
            sum.calculated,
            sum.delivered
        ),
        ("BRL 1250.00", 1, 1, 1)
    );
    assert_eq!(
        (pending.as_str(), missed.as_str()),
        ("True NotFinal", "True PromiseNotKept")
    );
    let (sum, ..) = owed(&[compensation(None, false)]);
    assert_eq!(
        sum.map(|sum| (sum.summary, sum.open)),
        Some(("BRL 0.00".to_owned(), 1))
    );
    let (sum, pending, _) = owed(&[
        compensation(Some(("USD", "2")), true),
        compensation(Some(("BRL", "1")), true),
    ]);
    let sum = sum.expect("a sum");
    assert_eq!(
        (sum.summary.as_str(), sum.amounts.len()),
        ("BRL 1.00, USD 2.00", 2)
    );
    assert_eq!(pending, "absent");
}

// shows D8
#[test]
fn a_missed_promise_stays_said_for_the_term_also_when_its_subscription_is_gone() {
    let mut world = named(&["a", "b"]);
    world.pass(BEFORE);
    let missed = Promise {
        effective: at(START),
        state: PromiseState::Missed,
        completed: None,
        proof: None,
        closed: None,
        delays: Vec::new(),
        emitted: Vec::new(),
    };
    let found = world.existing("bank.backup.a");
    found.status.get_or_insert_with(Default::default).promises = vec![missed];
    world.pass(DURING);
    assert_eq!(
        said(&world, ConditionType::PromiseMissed),
        "True PromiseNotKept"
    );
    world.edit(|spec| spec.services[0].devices.names.retain(|name| name != "a"));
    world.pass(DURING);
    world.collect();
    world.deliver("bank.backup.b");
    world.pass(DURING);
    assert_eq!(
        said(&world, ConditionType::PromiseMissed),
        "True PromiseNotKept"
    );
    assert_eq!(said(&world, ConditionType::Ready), "True Delivered");
}

fn shared(compensations: &[Compensation]) -> Vec<Arc<Compensation>> {
    compensations.iter().cloned().map(Into::into).collect()
}

// shows D8
#[test]
fn a_contract_that_is_applied_again_under_its_name_inherits_no_debt_of_another_term() {
    let customer = named(&["a"]).contract.spec.customer.id;
    let another = "another-customer".to_owned();
    let before = "2027-03-31T03:00:00Z";
    let of = &customer;
    let table = [
        ("its own", "contract-uid", of, "2026-01-01T00:00:00Z", true),
        (
            "of one of that name before it",
            "another",
            of,
            before,
            false,
        ),
        ("restored with another uid", "another", of, START, true),
        ("of a term after it", "another", of, END, false),
        ("of another customer", "another", &another, START, false),
    ];
    for (whose, uid, customer, promised, counts) in table {
        let mut record = compensation(Some(("BRL", "99.00")), false);
        record.spec.record.contract.uid = uid.to_owned();
        record.spec.record.customer.id.clone_from(customer);
        record.spec.record.promised = at(promised);
        let mut world = named(&["a"]);
        let resolved = world.pass(BEFORE);
        let records = [record.into()];
        let outcome = WriteOutcome::default();
        let subscriptions = world.subscriptions.clone();
        let found = report_of(
            &world,
            &resolved,
            &subscriptions,
            &records,
            &outcome,
            at(BEFORE),
        );
        world.contract.status = Some(found);
        let missed = said(&world, ConditionType::PromiseMissed) == "True PromiseNotKept";
        assert_eq!(
            (status(&world).owed.is_some(), missed),
            (counts, counts),
            "{whose}"
        );
    }
}
