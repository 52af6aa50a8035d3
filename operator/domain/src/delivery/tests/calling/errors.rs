//! Of a device that calls: its errors become occurrences, and the messages about their orders stand in its
//! twin until it shows them (A1, A5 to A10).

use entente_crds::v1alpha1::{
    DeviceCapabilities, DeviceDisplay, DeviceError, DeviceStatus, DisplayedMessage, ErrorState,
    MessageState, ReportedMessage, ReportedMessageState, ServiceOrders, TwinError, TwinErrorState,
    TwinErrorTime, TwinMessage,
};
use jiff::Timestamp;

use super::*;
use crate::delivery::{Action, Answer, Blocked, model::backoffs::BackoffKey};
use crate::errors::{KnownLine, KnownOrder};
use crate::protocol::Place;
use crate::remote::{Failure, FailureKind, ReportedFault, StatusReport};

const ORDER: &str = "lobby-mfp.toner-empty.black-toner.1";

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Returns the error of a twin about the black toner.
fn error(state: TwinErrorState, since: Timestamp) -> TwinError {
    TwinError {
        key: "toner-empty/black-toner".into(),
        reason: "toner-empty".into(),
        subject: Some("black-toner".into()),
        state,
        since,
        impressions: Some(48213),
        ..TwinError::default()
    }
}

fn dead() -> Failure {
    Failure::new(FailureKind::Unreachable, "nobody is there")
}

impl Calling {
    /// Returns a registered device of a model that has errors, whose service orders supplies.
    fn with_errors() -> Self {
        let mut calling = Self::new();
        let snapshot = &mut calling.0.snapshot;
        let colour = example::mfp_520().spec;
        let model = Arc::make_mut(snapshot.model.as_mut().expect("a model"));
        model.spec.supplies = colour.supplies;
        model.spec.errors = colour.errors;
        for error in &mut model.spec.errors {
            error.settle = None;
        }
        for service in snapshot.services.values_mut() {
            Arc::make_mut(service).spec.orders = Some(ServiceOrders::default());
        }
        let text = example::toner_empty_text();
        let texts = [(text.spec.error_type.clone(), Arc::new(text))];
        snapshot.message_texts = texts.into();
        calling.pass(ZERO);
        calling.register(ZERO);
        calling.report(ZERO, |_| {});
        calling.pass(ZERO);
        calling.report(ZERO, |_| {});
        calling.pass(ZERO);
        calling
    }

    /// The device has another connection, by which it is dialled.
    fn is_dialled_too(&mut self) {
        let dialled = example::hq_ipp();
        let name = dialled.name_any();
        let connections = &mut self.0.snapshot.connections;
        connections.insert(name.as_str().into(), Arc::new(dialled));
        self.0.edit_device(|device| {
            device.spec.address = example::devices()[0].spec.address.clone();
            let mut connection = device.spec.connections[0].clone();
            connection.name = name;
            device.spec.connections.push(connection);
        });
    }

    /// A pass in which the connection by which the device is dialled reports so; it is dead without.
    fn dialled_pass(&mut self, after: SignedDuration, report: Option<&StatusReport>) {
        self.0.pass(after, |action| match action {
            Action::ReadDevice { request, .. } if request.identity == Place::Registration => None,
            Action::ReadDevice { .. } if report.is_none() => Some(Answer::DeviceRead {
                result: Err(dead()),
                claimed_by_another: None,
            }),
            Action::ReadStatus { .. } => Some(Answer::Status(report.cloned().ok_or_else(dead))),
            _ => None,
        });
    }

    fn faulted(&self) -> Option<String> {
        let conditions = self.status().conditions;
        find(&conditions, ConditionType::Faulted).map(|found| found.reason.clone())
    }

    fn has(&mut self, errors: Vec<TwinError>) {
        self.edit_twin(|twin| twin.status.get_or_insert_default().errors = errors);
    }

    fn status(&self) -> DeviceStatus {
        let device = self.0.snapshot.device.as_ref().expect("a device");
        device.status.clone().expect("a status")
    }

    /// Returns the one error of the Device.
    fn one(&self) -> DeviceError {
        let errors = self.status().errors;
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors.into_iter().next().expect("one")
    }

    fn order(&mut self, id: Option<&str>) {
        self.0.snapshot.supply_orders = vec![KnownOrder {
            name: ORDER.to_owned(),
            lines: vec![KnownLine {
                supply: Some("black-toner".to_owned()),
                ..KnownLine::default()
            }],
            id: id.map(str::to_owned),
            is_open: true,
            ..KnownOrder::default()
        }];
    }

    fn asked_to_show(&self) -> &[TwinMessage] {
        &self.twin().spec.messages
    }

    fn message(&self) -> DisplayedMessage {
        let messages = self.status().messages;
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages.into_iter().next().expect("one")
    }

    fn shows(&mut self, state: ReportedMessageState, text: Option<&str>, after: SignedDuration) {
        let message = ReportedMessage {
            id: ORDER.into(),
            state,
            text: text.map(Into::into),
            detail: Some("its own words".into()),
            ..ReportedMessage::default()
        };
        self.report(after, |reported| reported.messages = vec![message]);
    }

    /// The black toner is empty, and an order for it is known.
    fn ordered(&mut self) {
        self.has(vec![error(TwinErrorState::Raised, now())]);
        self.pass(minutes(1));
        self.order(Some("PO-88123"));
        self.pass(minutes(2));
    }
}

// shows A1 A2 A5
#[test]
fn an_error_of_a_twin_is_an_occurrence_with_an_order_and_stays_one_however_often_it_is_read() {
    let mut calling = Calling::with_errors();
    assert_eq!(calling.status().errors, []);
    calling.has(vec![error(TwinErrorState::Raised, now())]);
    calling.pass(minutes(1));
    let found = calling.one();
    assert_eq!(found.key, "TonerEmpty/black-toner");
    assert_eq!((found.occurrence, found.state), (1, ErrorState::Open));
    assert_eq!(found.detail.as_deref(), Some("toner-empty"));
    assert_eq!(found.impressions, Some(48213));
    assert_eq!(found.order.expect("an order").name, ORDER);
    for later in 2..5 {
        calling.pass(minutes(later));
        assert_eq!(calling.one().occurrence, 1);
    }
    assert_eq!(calling.0.remote.count("ReadStatus"), 0, "it is not dialled");
}

// shows A9 A10
#[test]
fn an_error_that_is_cleared_ends_after_its_time_and_a_supply_that_was_replaced_is_known() {
    let mut calling = Calling::with_errors();
    calling.ordered();
    let mut cleared = error(TwinErrorState::Cleared, now());
    cleared.until = Some(now() + minutes(5));
    cleared.replaced = cleared.until;
    calling.has(vec![cleared.clone()]);
    calling.pass(minutes(5));
    assert_eq!(calling.one().state, ErrorState::Open, "it may flap");
    calling.pass(minutes(16));
    let ended = calling.one();
    assert_eq!(ended.state, ErrorState::Closed);
    assert_eq!(ended.replaced, Some(now() + minutes(5)));
    // It comes again: another occurrence.
    let mut again = error(TwinErrorState::Raised, now() + minutes(60));
    again.order_requested = true;
    calling.has(vec![again]);
    calling.pass(minutes(61));
    let next = calling.one();
    assert_eq!((next.occurrence, next.state), (2, ErrorState::Open));
    assert_eq!(next.replaced, None);
}

// shows A5 A9
#[test]
fn an_occurrence_begins_and_ends_when_the_device_says_also_while_nobody_looked() {
    let mut calling = Calling::with_errors();
    // The batch of a day without a network: twice empty, with an hour in between, and once flapping.
    let mut last = error(TwinErrorState::Raised, now() + minutes(95));
    last.before = Some(TwinErrorTime {
        since: now() + minutes(90),
        until: now() + minutes(92),
    });
    calling.has(vec![last.clone()]);
    calling.pass(minutes(120));
    let found = calling.one();
    assert_eq!(
        (found.occurrence, found.since),
        (1, now() + minutes(90)),
        "it flapped"
    );
    last.before = Some(TwinErrorTime {
        since: now() + minutes(10),
        until: now() + minutes(30),
    });
    let mut calling = Calling::with_errors();
    calling.has(vec![last.clone()]);
    calling.pass(minutes(120));
    let found = calling.one();
    assert_eq!((found.occurrence, found.since), (2, now() + minutes(95)));
    calling.pass(minutes(121));
    assert_eq!(calling.one(), found, "what is known is not told again");
    last.state = TwinErrorState::Cleared;
    last.until = Some(now() + minutes(125));
    calling.has(vec![last]);
    calling.pass(minutes(140));
    let found = calling.one();
    assert_eq!(found.state, ErrorState::Closed);
    assert_eq!(found.until, Some(now() + minutes(125)));
}

// shows A1 A9
#[test]
fn a_device_that_is_silent_or_whose_owner_has_withdrawn_the_consent_keeps_its_errors() {
    let mut calling = Calling::with_errors();
    calling.ordered();
    calling.pass(hours(24 * 30));
    assert_eq!(calling.one().state, ErrorState::Open);
    let message = calling.message();
    assert_eq!(
        message.state,
        MessageState::Pending,
        "it has not fetched it"
    );
    assert_eq!(message.reason, Some(Reason::DeviceOffline));
    calling.edit_twin(|twin| {
        let status = twin.status.as_mut().expect("a status");
        status.errors.clear();
        let registration = status.registration.as_mut().expect("a registration");
        registration.consent.as_mut().expect("consent").withdrawn = Some(now());
    });
    calling.pass(hours(24 * 31));
    calling.pass(hours(24 * 32));
    assert_eq!(calling.one().state, ErrorState::Open);
}

// shows A6 A7 A8
#[test]
fn the_message_of_an_order_stands_in_the_twin_once_and_is_shown_when_the_device_says_so() {
    let mut calling = Calling::with_errors();
    calling.has(vec![error(TwinErrorState::Raised, now())]);
    calling.pass(minutes(1));
    calling.order(None);
    calling.pass(minutes(2));
    assert_eq!(calling.asked_to_show(), [], "there is no id to show yet");
    calling.order(Some("PO-88123"));
    calling.pass(minutes(3));
    let [asked] = calling.asked_to_show() else {
        panic!("{:?}", calling.asked_to_show());
    };
    assert_eq!((&*asked.id, &*asked.language), (ORDER, "en"));
    assert!(asked.text.contains("PO-88123") && asked.short.contains("PO-88123"));
    let short = asked.short.clone();
    let waits = calling.message();
    assert_eq!((waits.state, waits.reason), (MessageState::Pending, None));
    calling.pass(minutes(4));
    assert_eq!(calling.0.remote.count("WriteTwin"), 0, "it is written once");
    for (said, text, expected) in [
        (ReportedMessageState::Pending, None, MessageState::Sent),
        (
            ReportedMessageState::Shown,
            Some("another text"),
            MessageState::Pending,
        ),
        (
            ReportedMessageState::Undeliverable,
            None,
            MessageState::Undeliverable,
        ),
        (
            ReportedMessageState::Shown,
            Some(&*short),
            MessageState::Shown,
        ),
    ] {
        calling.shows(said, text, minutes(5));
        calling.pass(minutes(5));
        let found = calling.message();
        assert_eq!(found.state, expected, "{said:?}");
        let is_refused = expected == MessageState::Undeliverable;
        assert_eq!(
            found.reason,
            is_refused.then_some(Reason::MessageRefused),
            "{said:?}"
        );
        assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    }
    let shown = calling.message();
    assert_eq!(shown.text.as_deref(), Some(&*short));
    assert_eq!(shown.problem, None);
}

// shows A8
#[test]
fn a_message_goes_with_its_error_and_is_cleared_when_the_device_has_taken_it_down() {
    let mut calling = Calling::with_errors();
    calling.ordered();
    calling.shows(ReportedMessageState::Shown, None, minutes(3));
    calling.pass(minutes(3));
    assert_eq!(calling.message().state, MessageState::Shown);
    calling.has(Vec::new());
    calling.pass(minutes(4));
    assert_eq!(calling.asked_to_show().len(), 1, "it may flap");
    calling.pass(minutes(15));
    calling.pass(minutes(16));
    assert_eq!(calling.asked_to_show(), []);
    assert_eq!(
        calling.message().state,
        MessageState::Shown,
        "nobody took it down yet"
    );
    calling.shows(ReportedMessageState::Cleared, None, minutes(17));
    calling.pass(minutes(17));
    assert_eq!(calling.message().state, MessageState::Cleared);
}

// shows A6 A7
#[test]
fn a_message_is_in_the_language_of_the_device_and_its_short_form_has_room_on_the_display() {
    let mut calling = Calling::with_errors();
    calling.edit_twin(|twin| {
        let status = twin.status.as_mut().expect("a status");
        let registration = status.registration.as_mut().expect("a registration");
        registration.languages = vec!["ja-JP".into(), "en".into()];
        status.capabilities = Some(DeviceCapabilities {
            display: Some(DeviceDisplay {
                columns: 10,
                lines: 1,
            }),
            ..DeviceCapabilities::default()
        });
    });
    calling.ordered();
    let [asked] = calling.asked_to_show() else {
        panic!("{:?}", calling.asked_to_show());
    };
    assert_eq!(asked.language, "ja");
    assert!(asked.text.contains("PO-88123"));
    assert_eq!(asked.short, "PO-88123", "the id is never cut");
    calling.edit_twin(|twin| {
        let status = twin.status.as_mut().expect("a status");
        let able = status.capabilities.as_mut().expect("capabilities");
        able.display = Some(DeviceDisplay {
            columns: 6,
            lines: 1,
        });
    });
    calling.pass(minutes(3));
    assert_eq!(calling.asked_to_show(), []);
    let message = calling.message();
    assert_eq!(message.state, MessageState::Undeliverable);
    assert_eq!(message.reason, Some(Reason::NoText));
    assert!(message.problem.expect("words").contains("no room"));
}

// shows A1 A9
#[test]
fn a_connection_that_is_dead_mutes_no_error_that_the_device_itself_tells_of() {
    let mut calling = Calling::with_errors();
    calling.is_dialled_too();
    calling.dialled_pass(minutes(1), None);
    calling.has(vec![error(TwinErrorState::Raised, now() + minutes(2))]);
    calling.dialled_pass(minutes(5), None);
    let found = calling.one();
    assert_eq!((found.occurrence, found.state), (1, ErrorState::Open));
    assert_eq!(found.since, now() + minutes(2), "the device told when");
    assert_eq!(found.reported_by, ["gateway"]);
    assert_eq!(found.order.expect("an order").name, ORDER);
    assert_eq!(calling.faulted().as_deref(), Some("SuppliesEmpty"));
    let mut cleared = error(TwinErrorState::Cleared, now() + minutes(2));
    cleared.until = Some(now() + minutes(30));
    calling.has(vec![cleared]);
    calling.dialled_pass(minutes(31), None);
    calling.dialled_pass(minutes(45), None);
    let found = calling.one();
    assert_eq!(found.state, ErrorState::Closed);
    assert_eq!(found.until, Some(now() + minutes(30)));
    assert_eq!(calling.faulted(), None);
}

// shows A9
#[test]
fn an_error_that_is_told_when_the_device_is_dialled_is_not_over_by_what_it_tells_itself() {
    let mut calling = Calling::with_errors();
    calling.is_dialled_too();
    let told = StatusReport {
        identity: Some("urn:uuid:1".to_owned()),
        faults: vec![
            ReportedFault::state_reason("toner-empty"),
            ReportedFault::state_reason("cover-open"),
        ],
        ..StatusReport::default()
    };
    let mut told_of_black = told;
    told_of_black.supplies = crate::delivery::tests::errors::report(&[], 0).supplies;
    calling.dialled_pass(minutes(1), Some(&told_of_black));
    let found = calling.one();
    assert_eq!(found.reported_by, ["hq-ipp"]);
    assert_eq!(calling.faulted().as_deref(), Some("CoverOpen"));
    // Its calls are read in each pass, and it is asked now and then.
    calling.0.backoffs.wait_to_look(
        BackoffKey::status(&"hq-ipp".into()),
        Blocked::new(Reason::Waiting, "it is not due".to_owned()),
        now() + hours(5),
    );
    for minute in [10, 30, 60] {
        calling.dialled_pass(minutes(minute), Some(&told_of_black));
        assert_eq!(calling.0.remote.count("ReadStatus"), 0, "it is not due");
        let found = calling.one();
        assert_eq!((found.state, found.gone), (ErrorState::Open, None));
        assert_eq!(calling.faulted().as_deref(), Some("CoverOpen"), "{minute}");
    }
}
