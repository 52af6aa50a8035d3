//! Errors of a device in passes: a report becomes an entry of the status, an order that is known becomes a
//! message on the panel, and the message goes with the error.

use std::sync::Arc;

use entente_crds::{
    condition::ConditionType,
    example,
    v1alpha1::{DeviceStatus, ErrorState, MessageState, ServiceOrders},
};
use jiff::SignedDuration;

use super::pass_fixture::Story;
use crate::{
    condition::find,
    errors::{KnownLine, KnownOrder},
    remote::{Panel, ReportedFault, ReportedSupply, StatusReport, SupplyLevel},
};

const ORDER: &str = "lobby-mfp.toner-empty.black-toner.1";

pub(super) fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

pub(super) fn report(reasons: &[&str], black: u8) -> StatusReport {
    let row = |(index, (colorant, percent)): (i64, (&str, u8))| ReportedSupply {
        index,
        kind: "toner".to_owned(),
        is_receptacle: false,
        colorant: Some(colorant.to_owned()),
        description: None,
        level: SupplyLevel::Percent(percent),
    };
    let rows = [
        ("black", black),
        ("cyan", 40),
        ("magenta", 40),
        ("yellow", 40),
    ];
    StatusReport {
        identity: Some("urn:uuid:1".to_owned()),
        faults: reasons
            .iter()
            .map(|it| ReportedFault::state_reason(it))
            .collect(),
        supplies: (1..).zip(rows).map(row).collect(),
        panel: Some(Panel::default()),
        ..StatusReport::default()
    }
}

/// A device of the examples whose model has errors, whose service orders supplies, and that is delivered.
pub(super) fn story() -> Story {
    let mut story = Story::new();
    let colour = example::mfp_520().spec;
    let model = Arc::make_mut(story.snapshot.model.as_mut().expect("a model"));
    model.spec.supplies = colour.supplies;
    model.spec.errors = colour.errors;
    for error in &mut model.spec.errors {
        error.settle = None;
    }
    for service in story.snapshot.services.values_mut() {
        Arc::make_mut(service).spec.orders = Some(ServiceOrders::default());
    }
    let text = example::toner_empty_text();
    let texts = [(text.spec.error_type.clone(), Arc::new(text))];
    story.snapshot.message_texts = texts.into();
    story.remote.report = report(&["none"], 60);
    story.calm_pass(minutes(0));
    story.full_looks = false;
    story
}

pub(super) fn status(story: &Story) -> DeviceStatus {
    let device = story.snapshot.device.as_ref().expect("a device");
    device.status.clone().expect("a status")
}

fn faulted(story: &Story) -> Option<String> {
    let conditions = status(story).conditions;
    find(&conditions, ConditionType::Faulted).map(|found| found.reason.clone())
}

/// Makes the order known, as the order controller would have it.
pub(super) fn order(story: &mut Story, id: Option<&str>, is_open: bool) {
    story.snapshot.supply_orders = vec![KnownOrder {
        name: ORDER.to_owned(),
        lines: vec![KnownLine {
            supply: Some("black-toner".to_owned()),
            ..KnownLine::default()
        }],
        id: id.map(str::to_owned),
        is_open,
        ..KnownOrder::default()
    }];
}

fn message(story: &Story) -> Option<(MessageState, String)> {
    let messages = status(story).messages;
    let message = messages.iter().find(|message| message.id == ORDER)?;
    Some((
        message.state,
        message.text.clone().unwrap_or_default().to_string(),
    ))
}

// shows A1, A5, A8
#[test]
fn an_error_is_on_record_before_its_order_and_its_message_goes_with_it() {
    let mut story = story();
    assert_eq!((faulted(&story), status(&story).errors.len()), (None, 0));

    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    assert_eq!(faulted(&story).as_deref(), Some("SuppliesEmpty"));
    let [error] = &status(&story).errors[..] else {
        panic!("{:#?}", status(&story).errors);
    };
    assert_eq!((error.occurrence, error.state), (1, ErrorState::Open));
    let decided = error.order.clone().expect("an order");
    assert_eq!((decided.name.as_str(), decided.id), (ORDER, None));
    assert!(story.remote.shown.is_empty() && message(&story).is_none());

    // The SupplyOrder exists, without an id: there is nothing to show yet.
    order(&mut story, None, true);
    story.calm_pass(minutes(2));
    assert!(story.remote.shown.is_empty());

    order(&mut story, Some("PO-88123"), true);
    story.calm_pass(minutes(3));
    let text = "black-toner is empty. A new one is ordered: PO-88123";
    assert_eq!(story.remote.shown, [[text.to_owned()]]);
    assert_eq!(message(&story), Some((MessageState::Sent, text.to_owned())));
    let id = status(&story).errors[0].order.clone().unwrap().id;
    assert_eq!(id.as_deref(), Some("PO-88123"));

    // It stands: nothing is sent again.
    story.calm_pass(minutes(4));
    story.calm_pass(minutes(10));
    assert_eq!(story.remote.shown.len(), 1);

    story.remote.report = report(&["none"], 100);
    story.calm_pass(minutes(20));
    assert_eq!(
        message(&story).unwrap().0,
        MessageState::Sent,
        "it may come back"
    );
    story.calm_pass(minutes(31));
    let ended = &status(&story).errors[0];
    assert_eq!(
        (ended.state, ended.replaced.is_some()),
        (ErrorState::Closed, true)
    );
    story.calm_pass(minutes(32));
    assert_eq!(message(&story).unwrap().0, MessageState::Cleared);
    assert_eq!(faulted(&story), None);
}

// shows A2
#[test]
fn without_a_service_that_orders_supplies_the_status_says_so() {
    let mut story = story();
    for service in story.snapshot.services.values_mut() {
        Arc::make_mut(service).spec.orders = None;
    }
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    let error = status(&story).errors[0].clone();
    assert!(error.order.is_none(), "{error:?}");
    let none = error.not_ordered.expect("a reason");
    assert_eq!(
        none.message.as_str(),
        "no service that orders supplies is in force on the device"
    );
}

// shows K4
#[test]
fn the_report_of_another_machine_counts_for_nothing_and_is_told() {
    let mut story = story();
    story.remote.report = StatusReport {
        identity: Some("urn:uuid:2".to_owned()),
        ..report(&["toner-empty-error"], 0)
    };
    story.remote.reading.identity = Some("urn:uuid:2".to_owned());
    story.calm_pass(minutes(10));
    assert_eq!(status(&story).errors, []);
    let ready = find(&status(&story).conditions, ConditionType::Ready)
        .unwrap()
        .reason
        .clone();
    assert_eq!(ready, "IdentityMismatch");
}

#[test]
fn a_device_whose_model_has_no_errors_is_not_asked_for_its_status() {
    let mut story = Story::new();
    story.calm_pass(minutes(0));
    assert_eq!(story.remote.count("ReadStatus"), 0);
}
