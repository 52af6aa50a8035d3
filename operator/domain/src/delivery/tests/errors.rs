//! Errors of a device in passes: a report becomes an entry of the status, an order that is known becomes a
//! message on the panel, and the message goes with the error.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    example,
    v1alpha1::{
        DeviceConnection, DeviceStatus, ErrorEnd, ErrorState, MessageState, NameReference,
        ServiceOrders,
    },
};
use jiff::SignedDuration;

use super::pass_fixture::{Story, now};
use crate::{
    condition::find,
    delivery::{Action, Answer, Blocked, model::backoffs::BackoffKey},
    errors::{KnownLine, KnownOrder},
    remote::{
        Failure, FailureKind, Panel, ReportedFault, ReportedSupply, StatusReport, SupplyLevel,
    },
};

/// A connection beside that of the examples.
const SIDE: &str = "hq-side";
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

// shows A1 A9
#[test]
fn an_error_that_one_connection_tells_of_is_not_over_by_a_report_of_another() {
    let mut story = story();
    let mut side = example::hq_ipp();
    side.metadata.name = Some(SIDE.to_owned());
    let connections = &mut story.snapshot.connections;
    connections.insert(SIDE.into(), Arc::new(side));
    let device = story.snapshot.device.as_mut().expect("a device");
    let connection = DeviceConnection {
        name: SIDE.to_owned(),
        ..DeviceConnection::default()
    };
    Arc::make_mut(device).spec.connections.push(connection);
    let tell = |on_side: &'static str| {
        move |action: &Action| {
            let Action::ReadStatus { connection, .. } = action else {
                return None;
            };
            let is_side = &**connection == SIDE;
            let reason = if is_side { on_side } else { "none" };
            Some(Answer::Status(Ok(report(&[reason], 0))))
        }
    };
    for at in [1, 10, 20, 30, 40, 50] {
        story.pass(minutes(at), tell("toner-empty-error"));
        // By itself it is asked much later than the other one.
        let why = Blocked::new(Reason::Waiting, "it is not due".to_owned());
        let key = BackoffKey::status(&SIDE.into());
        let due = now() + minutes(300);
        story.backoffs.wait_to_look(key, why, due);
        let error = &status(&story).errors[0];
        let found = (error.occurrence, error.state, error.gone);
        assert_eq!(found, (1, ErrorState::Open, None), "after {at} minutes");
    }
    for at in [60, 71] {
        story.pass(minutes(at), tell("none"));
    }
    assert_eq!(status(&story).errors[0].state, ErrorState::Closed);
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

/// The device has a second connection.
fn by_two_connections() -> Story {
    let mut story = story();
    let mut second = example::hq_ipp();
    second.metadata.name = Some("second".to_owned());
    story
        .snapshot
        .connections
        .insert("second".into(), Arc::new(second));
    story.edit_device(|device| {
        let mut connection = device.spec.connections[0].clone();
        "second".clone_into(&mut connection.name);
        device.spec.connections.push(connection);
    });
    story
}

// shows A9
#[test]
fn an_error_and_the_memory_of_a_machine_stay_while_the_site_with_the_connections_is_missing() {
    let mut story = by_two_connections();
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    let before = status(&story);
    assert_eq!(before.errors[0].state, ErrorState::Open);
    let pins = |status: &DeviceStatus| (status.identity.clone(), status.connections.clone());
    assert_eq!(
        before.connections.len(),
        1,
        "the second one has pins of its own"
    );
    let mut site = example::osasco_site();
    story.edit_device(|device| {
        site.spec.connections = std::mem::take(&mut device.spec.connections);
        let name = site.metadata.name.clone().expect("a name");
        device.spec.site_ref = Some(NameReference { name });
    });
    for at in [10, 30, 90] {
        story.calm_pass(minutes(at));
        let status = status(&story);
        assert_eq!(
            status.errors[0].state,
            ErrorState::Open,
            "after {at} minutes"
        );
        assert_eq!(pins(&status), pins(&before));
        assert_eq!(status.claim, None);
        let said = find(&status.conditions, ConditionType::ResolvedRefs);
        assert_eq!(said.expect("it is said").reason, "SiteNotFound");
    }
    // The Site is there, and none of its connections is: nobody will tell of the error any more.
    site.spec.connections.clear();
    story.snapshot.site = Some(Arc::new(site));
    for at in [100, 111] {
        story.calm_pass(minutes(at));
    }
    assert_eq!(status(&story).errors[0].state, ErrorState::Closed);
}

// shows A9
#[test]
fn an_error_that_one_connection_reports_stays_while_the_other_is_silent_or_it_is_not_there() {
    let mut story = by_two_connections();
    let mut asked = Vec::new();
    let mut pass = |story: &mut Story, at: i64, second: Result<StatusReport, Failure>| {
        asked.clear();
        story.pass(minutes(at), |action| {
            let Action::ReadStatus { connection, .. } = action else {
                return None;
            };
            asked.push(connection.to_string());
            Some(Answer::Status(match &**connection {
                "second" => second.clone(),
                _ => Ok(report(&["none"], 60)),
            }))
        });
        asked.sort();
        (asked.clone(), status(story).errors[0].clone())
    };
    let empty = || Ok(report(&["toner-empty-error"], 0));
    let (_, error) = pass(&mut story, 6, empty());
    assert_eq!(error.state, ErrorState::Open);
    assert_eq!(error.reported_by, ["second"]);
    assert_eq!(faulted(&story).as_deref(), Some("SuppliesEmpty"));
    for at in [12, 24, 36] {
        let (asked, error) = pass(&mut story, at, empty());
        assert_eq!(
            asked,
            ["hq-ipp", "second"],
            "what one is silent about the other may report"
        );
        assert_eq!((error.state, error.gone), (ErrorState::Open, None), "{at}");
    }
    for at in [48, 60] {
        let away = Failure::new(FailureKind::TimedOut, "it is away");
        let (_, error) = pass(&mut story, at, Err(away));
        assert_eq!((error.state, error.gone), (ErrorState::Open, None), "{at}");
        assert_eq!(faulted(&story).as_deref(), Some("SuppliesEmpty"), "{at}");
    }
    let fine = || Ok(report(&["none"], 60));
    let (_, error) = pass(&mut story, 90, fine());
    assert!(error.gone.is_some(), "{error:?}");
    let (_, error) = pass(&mut story, 102, fine());
    assert_eq!(
        (error.state, error.until),
        (
            ErrorState::Closed,
            Some(super::pass_fixture::now() + minutes(90))
        )
    );
    assert_eq!(faulted(&story), None);
}

// shows A9
#[test]
fn an_error_that_the_model_lists_no_more_ends_with_that_reason() {
    let mut story = story();
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    let model = Arc::make_mut(story.snapshot.model.as_mut().expect("a model"));
    model.spec.errors.clear();
    story.calm_pass(minutes(2));
    let [error] = &status(&story).errors[..] else {
        panic!("{:#?}", status(&story).errors);
    };
    assert_eq!(
        (error.state, error.end),
        (ErrorState::Closed, Some(ErrorEnd::TypeRemoved))
    );
    assert_eq!(story.remote.count("ReadStatus"), 0, "nobody asks for it");
}

// shows K2
#[test]
fn a_report_that_is_not_whole_does_not_end_what_the_device_said_before() {
    let mut story = story();
    story.remote.report = report(&["toner-empty-error"], 0);
    story.calm_pass(minutes(1));
    story.remote.report = StatusReport {
        is_partial: true,
        ..report(&["none"], 60)
    };
    story.calm_pass(minutes(10));
    assert!(story.remote.count("ReadStatus") > 0);
    assert_eq!(faulted(&story).as_deref(), Some("SuppliesEmpty"));
    story.remote.report = report(&["none"], 60);
    story.calm_pass(minutes(20));
    assert_eq!(faulted(&story), None);
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
