//! A device behind a settings distribution server: what is in effect is what the device reported after
//! it saw what is wanted, whatever the copy of the server says.

use std::{collections::BTreeMap, sync::Arc};

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Cause, Connection, ConnectionSpec, HttpEndpoint, Item, ItemState, Protocol, ReleasedAs,
    },
};
use jiff::SignedDuration;

use super::pass_fixture::{Remote, Story, now, run, said, snapshot, weekdays};
use crate::{
    condition::find,
    delivery::{Action, Answer, DeviceSnapshot, SubscriptionReport},
    protocol::Place,
    remote::{
        AskedState, AskedValue, DeviceReadRequest, DeviceReading, Failure, FailureKind, Scalar,
        Value,
    },
};

mod schedules;

const ZERO: SignedDuration = SignedDuration::ZERO;
const SERVER: &str = "northwind-settings";
const DAYS: &str = "/settings/backup/weekdays";
const MODE: &str = "/settings/backup/mode";

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn place(path: &str) -> Place {
    Place::Http {
        path: path.to_owned(),
    }
}

fn text(text: &str) -> Vec<Scalar> {
    vec![Scalar::Text(text.to_owned())]
}

/// A server with a copy of what is wanted, and a device that comes to it when the test says so.
struct Server {
    wanted: BTreeMap<Place, Value>,
    version: u32,
    seen: u32,
    reported: Option<BTreeMap<Place, Vec<Scalar>>>,
    refused: Option<(Place, FailureKind)>,
    serial_number: String,
    /// True if it takes everything and keeps nothing.
    forgets: bool,
    /// The values that were sent, by place.
    sent: Vec<String>,
}

impl Server {
    fn new() -> Self {
        let reported = [
            ("/settings/backup/endpoint", text("")),
            (DAYS, text("sat")),
            (MODE, text("full")),
        ];
        Self {
            wanted: BTreeMap::new(),
            version: 1,
            seen: 1,
            reported: Some(reported.map(|(path, value)| (place(path), value)).into()),
            refused: None,
            serial_number: serial_number(&snapshot()),
            forgets: false,
            sent: Vec::new(),
        }
    }

    fn reading(&self, request: &DeviceReadRequest) -> Result<DeviceReading, Failure> {
        let Some(reported) = &self.reported else {
            return Err(Failure::new(FailureKind::NotHeardOf, "it has not reported"));
        };
        let mut reading = DeviceReading {
            product_name: Some("Northwind MFP 500".to_owned()),
            identity: Some("urn:uuid:1".to_owned()),
            serial_number: Some(self.serial_number.clone()),
            ..DeviceReading::default()
        };
        for place in &request.places {
            if let Some(values) = reported.get(place) {
                reading.values.insert(place.clone(), values.clone());
            }
            let Some(wanted) = self.wanted.get(place) else {
                continue;
            };
            let refused = self.refused.as_ref().filter(|(of, _)| of == place);
            let state = match refused {
                _ if self.seen != self.version => AskedState::Waiting,
                Some((_, kind)) => AskedState::Refused(Failure::new(*kind, "no")),
                None => AskedState::Taken,
            };
            if state == AskedState::Waiting {
                reading.outdated.insert(place.clone());
            }
            let asked = AskedValue {
                text: wanted.text(),
                digest: None,
                state,
            };
            reading.asked.insert(place.clone(), asked);
        }
        Ok(reading)
    }

    /// Takes a wanted value, of whomever.
    fn want(&mut self, place: Place, value: Value) {
        if !self.forgets {
            self.version += 1;
            self.wanted.insert(place, value);
        }
    }

    /// The device comes, sees what is wanted, takes it but for one place, and reports.
    fn report(&mut self, but: Option<(&str, &str)>) {
        let reported = self.reported.get_or_insert_default();
        for (place, value) in &self.wanted {
            let scalars = match value {
                Value::Words(words) => words.iter().cloned().map(Scalar::Text).collect(),
                other => text(&other.text().expect("no secret")),
            };
            reported.insert(place.clone(), scalars);
        }
        if let Some((path, value)) = but {
            reported.insert(place(path), text(value));
        }
        self.seen = self.version;
    }
}

fn serial_number(snapshot: &DeviceSnapshot) -> String {
    let device = snapshot.device.as_ref().expect("a device");
    device.spec.serial_number.clone()
}

/// A device of the examples that is reached through the server alone, and passes over it.
struct Behind {
    story: Story,
    server: Server,
}

/// Returns objects in which the device is reached through the server alone.
fn behind(snapshot: &mut DeviceSnapshot) {
    let hq = snapshot.connections.values().next().expect("a Connection");
    let spec = ConnectionSpec {
        protocol: Protocol::HTTP,
        http: Some(HttpEndpoint {
            url: "https://settings.northwind.example".to_owned(),
        }),
        allow: hq.spec.allow.clone(),
        ..ConnectionSpec::default()
    };
    let connection = Arc::new(Connection::new(SERVER, spec));
    snapshot.connections.insert(SERVER.into(), connection);
    let device = Arc::make_mut(snapshot.device.as_mut().expect("a device"));
    device.spec.address = None;
    device.spec.connections.truncate(1);
    device.spec.connections[0].name = SERVER.to_owned();
}

impl Behind {
    fn new() -> Self {
        let mut story = Story::new();
        story.full_looks = false;
        behind(&mut story.snapshot);
        Self {
            story,
            server: Server::new(),
        }
    }

    fn pass(&mut self, after: SignedDuration) -> SubscriptionReport {
        let server = &mut self.server;
        server.sent.clear();
        self.story.pass(after, |action| answer(server, action))
    }

    /// Returns a device on which everything was delivered.
    fn delivered() -> Self {
        let mut behind = Self::new();
        behind.pass(ZERO);
        behind.server.report(None);
        let report = behind.pass(ZERO);
        assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
        behind
    }

    fn online(&self) -> String {
        let device = self.story.snapshot.device.as_ref().expect("a device");
        let status = device.status.as_ref().expect("a status");
        let found = find(&status.conditions, ConditionType::Online).expect("Online");
        format!("{}({})", found.status, found.reason)
    }

    fn end(&mut self) {
        self.story.snapshot.withdraw_deadline = hours(24);
        self.story
            .edit_revision(|revision| revision.until = Some(now() + hours(2)));
    }
}

fn answer(server: &mut Server, action: &Action) -> Option<Answer> {
    match action {
        Action::ReadDevice { request, .. } => Some(Answer::DeviceRead {
            result: server.reading(request),
            claimed_by_another: None,
        }),
        Action::WriteDevice { write, .. } => {
            let value = write.value.text().unwrap_or_default();
            server.sent.push(format!("{}={value}", write.place));
            server.want(write.place.clone(), write.value.clone());
            Some(Answer::DeviceWritten(Ok(())))
        }
        _ => None,
    }
}

fn ready(report: &SubscriptionReport) -> String {
    said(report, ConditionType::Ready)
}

fn mode(report: &SubscriptionReport) -> Item {
    let mut items = report.status.items.iter();
    let found = items.find(|it| it.key == "DeviceSetting/backup.mode");
    found.expect("an item of the examples").clone()
}

// shows B3 D1 D3
#[test]
fn what_the_server_took_is_in_effect_only_when_the_device_has_reported_it() {
    let mut behind = Behind::new();
    let report = behind.pass(ZERO);
    assert_eq!(behind.server.sent.len(), 3, "{:?}", behind.server.sent);
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
    assert_eq!(weekdays(&report).problem, None);
    assert_eq!(ready(&report), "False(WaitingForDevice)");
    let previous = weekdays(&report).previous.expect("the value from before");
    assert_eq!(previous.values, ["sat"]);

    let again = behind.pass(hours(1) / 2);
    assert!(behind.server.sent.is_empty(), "{:?}", behind.server.sent);
    assert_eq!(again.status.items, report.status.items);

    behind.server.report(None);
    let report = behind.pass(hours(1));
    assert!(behind.server.sent.is_empty(), "{:?}", behind.server.sent);
    assert_eq!(weekdays(&report).state, ItemState::Effective);
    assert_eq!(weekdays(&report).last_verified, Some(now() + hours(1)));
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    assert_eq!(behind.online(), "True(Answered)");
}

// shows B3 D9
#[test]
fn the_time_until_the_report_is_a_delay_of_the_device() {
    let mut behind = Behind::new();
    let report = behind.pass(ZERO);
    let delays: Vec<Cause> = report
        .status
        .promises
        .iter()
        .flat_map(|promise| promise.delays.iter().map(|delay| delay.cause))
        .collect();
    assert_eq!(delays.last(), Some(&Cause::Device), "{delays:?}");
    let said = find(&report.status.conditions, ConditionType::Ready).expect("Ready");
    assert!(
        said.message.contains("waits for a report of the device"),
        "{}",
        said.message
    );
}

// shows B3 D1
#[test]
fn a_report_from_before_the_write_proves_nothing_although_it_has_the_value() {
    let mut behind = Behind::new();
    behind.server.report(Some((MODE, "differential")));
    // Somebody else wants another value, which the device has not seen.
    behind
        .server
        .want(place(MODE), Value::Text("full".to_owned()));
    let report = behind.pass(ZERO);
    let sent = format!("{MODE}=differential");
    assert!(
        behind.server.sent.contains(&sent),
        "{:?}",
        behind.server.sent
    );
    assert_eq!(mode(&report).state, ItemState::InProgress);
    behind.server.report(None);
    let report = behind.pass(ZERO);
    assert_eq!(mode(&report).state, ItemState::Effective);
}

// shows B7 D1
#[test]
fn what_was_proved_stays_proved_while_another_setting_waits_for_the_device() {
    let mut behind = Behind::delivered();
    behind.story.edit_revision(|it| {
        it.parameters
            .insert("weekdays".to_owned(), "mon".to_owned());
    });
    let report = behind.pass(hours(1));
    assert_eq!(behind.server.sent, [format!("{DAYS}=mon")]);
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
    assert_eq!(mode(&report).state, ItemState::Effective);
    assert_eq!(mode(&report).last_verified, Some(now()));
    behind.server.report(None);
    let report = behind.pass(hours(1));
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}

// shows D1 K2
#[test]
fn what_the_device_has_seen_and_does_not_have_is_a_failure_and_is_asked_for_again() {
    let mut behind = Behind::new();
    behind.pass(ZERO);
    behind.server.report(Some((DAYS, "sat")));
    let report = behind.pass(ZERO);
    let problem = weekdays(&report).problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    assert!(behind.server.sent.is_empty(), "after a wait");
    // The fixture keeps no waits from one pass to the next.
    let report = behind.pass(hours(1));
    assert_eq!(behind.server.sent, [format!("{DAYS}=sun,wed")]);
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
}

// shows D1 K7
#[test]
fn a_server_that_takes_everything_and_keeps_nothing_is_found_out_at_once() {
    let mut behind = Behind::new();
    behind.server.forgets = true;
    let report = behind.pass(ZERO);
    let problem = weekdays(&report).problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
}

// shows D1 K2
#[test]
fn what_a_device_refuses_is_said_with_its_reason_and_words() {
    for (kind, reason) in [
        (FailureKind::RejectedValue, Reason::RejectedValue),
        (
            FailureKind::RejectedNotSettable,
            Reason::RejectedNotSettable,
        ),
        (FailureKind::Unsupported, Reason::Unsupported),
    ] {
        let mut behind = Behind::new();
        behind.pass(ZERO);
        behind.server.report(Some((DAYS, "sat")));
        behind.server.refused = Some((place(DAYS), kind));
        let report = behind.pass(ZERO);
        let problem = weekdays(&report).problem.expect("a problem");
        assert_eq!(problem.outcome, reason);
        assert!(behind.server.sent.is_empty(), "{:?}", behind.server.sent);
    }
}

// shows B3 K4
#[test]
fn nothing_is_sent_before_the_device_has_reported_and_as_long_as_another_one_reports() {
    let mut behind = Behind::new();
    behind.server.reported = None;
    let report = behind.pass(ZERO);
    assert_eq!(ready(&report), "False(NotHeardOf)");
    assert_eq!(behind.online(), "False(NotHeardOf)");
    assert!(behind.server.sent.is_empty(), "{:?}", behind.server.sent);

    let mut behind = Behind::new();
    behind.server.serial_number = "ANOTHER".to_owned();
    let report = behind.pass(ZERO);
    assert_eq!(ready(&report), "False(IdentityMismatch)");
    let said = find(&report.status.conditions, ConditionType::Ready).expect("Ready");
    assert!(!said.message.contains("ANOTHER"), "{}", said.message);
    assert!(behind.server.sent.is_empty(), "{:?}", behind.server.sent);
}

// shows B3 K2
#[test]
fn the_next_report_is_looked_for_by_itself_after_a_failure_and_after_a_write() {
    let mut snapshot = snapshot();
    behind(&mut snapshot);
    for reports in [true, false] {
        let mut server = Server::new();
        if !reports {
            server.reported = None;
        }
        let mut remote = Remote::new();
        let (pass, _) = run(snapshot.clone(), &mut remote, |action| {
            answer(&mut server, action)
        });
        let wake = pass.wake().expect("it is looked for");
        let wait = wake.duration_since(now());
        assert!(wait <= SignedDuration::from_mins(5), "{reports}: {wait}");
    }
}

// shows D1
#[test]
fn what_a_device_never_tells_is_in_effect_as_soon_as_it_has_seen_it() {
    let mut behind = Behind::new();
    behind.story.edit_weekdays(|it| it.write_only = true);
    let report = behind.pass(ZERO);
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
    behind.server.report(None);
    let report = behind.pass(ZERO);
    assert_eq!(weekdays(&report).state, ItemState::Effective);
    assert!(
        weekdays(&report).proof.is_some(),
        "it says that it was taken"
    );
}

// shows C10
#[test]
fn a_value_from_before_is_back_only_when_the_device_has_reported_it() {
    let mut behind = Behind::delivered();
    behind.end();
    let report = behind.pass(hours(3));
    assert!(
        behind.server.sent.contains(&format!("{DAYS}=sat")),
        "{:?}",
        behind.server.sent
    );
    assert_eq!(weekdays(&report).released, None);
    let again = behind.pass(hours(4));
    assert!(behind.server.sent.is_empty(), "{:?}", behind.server.sent);
    assert_eq!(weekdays(&again).released, None);
    behind.server.report(None);
    let report = behind.pass(hours(5));
    assert_eq!(weekdays(&report).released, Some(ReleasedAs::Restored));
}

// shows C10
#[test]
fn a_service_that_ends_before_the_device_saw_it_is_taken_back_at_the_server() {
    let mut behind = Behind::new();
    behind.pass(ZERO);
    behind.end();
    let report = behind.pass(hours(3));
    assert!(
        behind.server.sent.contains(&format!("{DAYS}=sat")),
        "{:?}",
        behind.server.sent
    );
    assert_eq!(
        weekdays(&report).released,
        None,
        "the device may have seen it meanwhile"
    );
    behind.server.report(None);
    let report = behind.pass(hours(4));
    assert_eq!(weekdays(&report).released, Some(ReleasedAs::Restored));
}

// shows C10
#[test]
fn a_value_that_others_have_set_is_left_once_a_report_proves_it() {
    let mut behind = Behind::delivered();
    behind.server.report(Some((DAYS, "mon")));
    behind
        .server
        .want(place("/settings/other"), Value::Integer(1));
    behind.end();
    let report = behind.pass(hours(3));
    let sent = &behind.server.sent;
    assert!(!sent.iter().any(|it| it.starts_with(DAYS)), "{sent:?}");
    assert_eq!(weekdays(&report).released, None);
    behind.server.report(Some((DAYS, "mon")));
    let report = behind.pass(hours(4));
    assert_eq!(
        weekdays(&report).released,
        Some(ReleasedAs::ChangedByOthers)
    );
}
