//! Batches of events: their form, their ways and the answer.

use std::sync::Arc;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    ActivationMode, ActivationState, Condition, Connection, ConnectionSpec, ConsentWay, Device,
    DeviceSpec, DeviceStatus, DeviceTwin, DeviceTwinSpec, ExclusiveHold, FormerHold, HttpEndpoint,
    LocalEnablement, NameReference, Protocol, Revision, ServiceData, ServiceSubscription,
    ServiceSubscriptionSpec, ServiceSubscriptionStatus, SmartService, SmartServiceSpec,
    SubscriptionActivation, TwinDataType, TwinLocal, WantedDataType,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::*;

const PRINTER: &str = "0d3c9c3e-7d55-5a35-8c6e-6f1b5f4c9a01";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn level(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "type": "dev.entente.supplies.level"})
}

fn with(mut event: Value, member: &str, value: Value) -> Value {
    event[member] = value;
    event
}

fn read(body: &Value) -> Result<Batch, Problem> {
    Batch::read(body.to_string().as_bytes(), PRINTER)
}

// shows C8 K4
#[test]
fn every_fault_of_an_event_is_told_with_its_place_and_what_is_allowed() {
    let long = "x".repeat(129);
    for (member, value, pointer) in [
        ("specversion", json!("0.3"), "/1/specversion"),
        ("specversion", json!(1.0), "/1/specversion"),
        ("specversion", Value::Null, "/1/specversion"),
        ("id", json!(""), "/1/id"),
        ("id", json!(7), "/1/id"),
        ("id", json!(long), "/1/id"),
        ("id", Value::Null, "/1/id"),
        ("type", json!("com.example.level"), "/1/type"),
        ("type", json!("dev.entente."), "/1/type"),
        ("type", Value::Null, "/1/type"),
        (
            "source",
            json!("urn:uuid:0d3c9c3e-7d55-5a35-8c6e-6f1b5f4c9a02"),
            "/1/source",
        ),
        ("source", json!(""), "/1/source"),
        ("time", json!("yesterday"), "/1/time"),
        ("subject", json!("a\u{7}b"), "/1/subject"),
        ("subject", json!(["black-toner"]), "/1/subject"),
        ("applicationid", json!("Acme 2027"), "/1/applicationid"),
        ("sequence", json!(12), "/1/sequence"),
        ("datacontenttype", json!("text/csv"), "/1/datacontenttype"),
        ("data_base64", json!("AA=="), "/1/data_base64"),
        ("applicationId", json!("acme"), "/1/applicationId"),
        ("a/b~c", json!(1), "/1/a~1b~0c"),
    ] {
        let body = json!([level("1"), with(level("2"), member, value.clone())]);
        let problem = read(&body).unwrap_err();
        assert_eq!(problem.status(), 422, "{member} {value}");
        let body = problem.body();
        let errors = body["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{body}");
        assert_eq!(errors[0]["pointer"], pointer);
        assert!(errors[0]["allowed"].is_string(), "{body}");
    }
    let two = json!([with(level("1"), "id", json!("")), level("2"), [], "x"]);
    let body = read(&two).unwrap_err().body();
    let pointers: Vec<&Value> = body["errors"].as_array().unwrap().iter().collect();
    let pointers: Vec<&Value> = pointers.iter().map(|it| &it["pointer"]).collect();
    assert_eq!(pointers, ["/0/id", "/2", "/3"]);
}

// shows C8 K4
#[test]
fn what_is_no_batch_is_refused_as_a_whole() {
    let many: Vec<Value> = (0..257).map(|id| level(&id.to_string())).collect();
    for (body, status, pointer) in [
        (json!(level("1")), 422, ""),
        (json!("events"), 422, ""),
        (json!(many), 422, ""),
    ] {
        let problem = read(&body).unwrap_err();
        assert_eq!(problem.status(), status);
        assert_eq!(problem.body()["errors"][0]["pointer"], pointer);
    }
    for (text, status) in [
        ("", 400),
        ("[{\"id\":\"1\",\"id\":\"2\"}]", 400),
        ("[{\"data\":{\"a\":1,\"a\":2}}]", 400),
        ("[] []", 400),
    ] {
        let problem = Batch::read(text.as_bytes(), PRINTER).unwrap_err();
        assert_eq!(problem.status(), status, "{text}");
    }
    let long = format!("[{}]", " ".repeat(262_144));
    let problem = Batch::read(long.as_bytes(), PRINTER).unwrap_err();
    assert_eq!(problem.status(), 413);
    let whole: Vec<Value> = (0..256).map(|id| level(&id.to_string())).collect();
    assert_eq!(read(&json!(whole)).unwrap().len(), 256);
    assert!(read(&json!([])).unwrap().is_empty());
}

/// A device with its services, as objects say them.
struct Known {
    twin: DeviceTwin,
    device: Device,
    subscriptions: Vec<Arc<ServiceSubscription>>,
    services: Vec<Arc<SmartService>>,
    keeps_errors: bool,
    now: Timestamp,
}

const TONER: &str = "acme.toner.lobby";
const PARTS: &str = "acme.parts.lobby";

/// Returns a device with two services of two providers: toner wants supplies.level, and parts wants
/// supplies.level and counters.total.
fn known() -> Known {
    let kind = |name: &str, wanted_by: &[&str]| TwinDataType {
        name: name.to_owned(),
        period: "24h".into(),
        wanted_by: wanted_by.iter().map(|&it| it.to_owned()).collect(),
        ..TwinDataType::default()
    };
    let twin = DeviceTwinSpec {
        data_types: vec![
            kind("counters.total", &[PARTS]),
            kind("supplies.level", &[PARTS, TONER]),
        ],
        ..DeviceTwinSpec::default()
    };
    Known {
        twin: DeviceTwin::new("lobby", twin),
        device: Device::new("lobby", DeviceSpec::default()),
        subscriptions: vec![subscription(TONER, "toner"), subscription(PARTS, "parts")],
        services: vec![
            service("toner", "northwind", "/toner"),
            service("parts", "fabrikam", "/in"),
        ],
        keeps_errors: true,
        now: at(10),
    }
}

fn service(name: &str, connection: &str, path: &str) -> Arc<SmartService> {
    let data = ServiceData {
        connection_ref: NameReference {
            name: connection.to_owned(),
        },
        path: path.to_owned(),
    };
    let spec = SmartServiceSpec {
        data: Some(data),
        ..SmartServiceSpec::default()
    };
    Arc::new(SmartService::new(name, spec))
}

fn subscription(id: &str, service: &str) -> Arc<ServiceSubscription> {
    let revision = Revision {
        effective: at(0),
        service_ref: NameReference {
            name: service.to_owned(),
        },
        ..Revision::default()
    };
    let spec = ServiceSubscriptionSpec {
        revisions: vec![Arc::new(revision)],
        ..ServiceSubscriptionSpec::default()
    };
    let mut subscription = ServiceSubscription::new(id, spec);
    subscription.status = Some(ServiceSubscriptionStatus {
        activation: Some(SubscriptionActivation {
            state: ActivationState::Active,
            since: at(1),
        }),
        ..ServiceSubscriptionStatus::default()
    });
    Arc::new(subscription)
}

impl Known {
    fn recipients(&self) -> Recipients {
        let find = |name: &str| {
            let mut services = self.services.iter();
            services
                .find(|it| it.metadata.name.as_deref() == Some(name))
                .cloned()
        };
        let knowledge = Knowledge {
            twin: &self.twin,
            device: Some(&self.device),
            subscriptions: &self.subscriptions,
            keeps_errors: self.keeps_errors,
            service: find,
            now: self.now,
        };
        knowledge.recipients()
    }

    fn ids(&self) -> Vec<String> {
        let recipients = self.recipients();
        let mut subscriptions: Vec<String> =
            self.subscriptions.iter().map(|it| it.name_any()).collect();
        subscriptions.sort();
        subscriptions.retain(|id| recipients.has(id));
        subscriptions
    }

    fn edit(&mut self, index: usize, edit: impl FnOnce(&mut ServiceSubscription)) {
        edit(Arc::make_mut(&mut self.subscriptions[index]));
    }

    fn say(&mut self, enabled: bool, second: i64, unsupported: &[&str]) {
        let said = TwinLocal {
            application_id: TONER.to_owned(),
            enabled,
            by: ConsentWay::Panel,
            at: at(second),
            unsupported: unsupported.iter().map(|&it| it.into()).collect(),
        };
        self.twin.status.get_or_insert_default().local = vec![said];
    }

    /// Routes a batch, and returns for each inbox its path with the ids and applications of its events,
    /// and the places of the refused ones.
    fn ways(&self, body: &Value) -> (Vec<String>, Vec<usize>) {
        let batch = read(body).unwrap();
        let routing = batch.route(&self.recipients(), PRINTER);
        let described = |delivery: &Delivery| {
            let body: Value = serde_json::from_str(&Delivery::body(&delivery.events)).unwrap();
            let events = body.as_array().unwrap().iter();
            let events: Vec<String> = events
                .map(|it| {
                    assert_eq!(it["source"], format!("urn:uuid:{PRINTER}"));
                    let (id, application) = (it["id"].as_str(), it["applicationid"].as_str());
                    format!("{}@{}", id.unwrap(), application.unwrap())
                })
                .collect();
            let Inbox { connection, path } = &delivery.inbox;
            format!("{connection}{path}: {}", events.join(" "))
        };
        let all_not_requested = routing
            .refused
            .iter()
            .all(|(_, reason)| *reason == Refusal::NotRequested);
        assert!(all_not_requested);
        let refused = routing.refused.iter().map(|it| it.0).collect();
        (routing.deliveries.iter().map(described).collect(), refused)
    }
}

fn total(id: &str) -> Value {
    with(level(id), "type", json!("dev.entente.counters.total"))
}

fn of(event: Value, application: &str) -> Value {
    with(event, "applicationid", json!(application))
}

// shows C8 C16
#[test]
fn an_event_goes_to_the_services_that_want_its_kind_in_the_order_of_the_device_and_to_nobody_else()
{
    let known = known();
    let unknown = with(level("5"), "type", json!("dev.entente.jobs.history"));
    let body = json!([
        level("1"),
        total("2"),
        of(level("3"), TONER),
        of(total("4"), TONER),
        unknown,
        of(level("6"), "globex.toner.lobby"),
        of(level("7"), PARTS),
        level("8"),
    ]);
    let (ways, refused) = known.ways(&body);
    assert_eq!(
        ways,
        [
            format!("fabrikam/in: 1@{PARTS} 2@{PARTS} 7@{PARTS} 8@{PARTS}"),
            format!("northwind/toner: 1@{TONER} 3@{TONER} 8@{TONER}"),
        ]
    );
    assert_eq!(refused, [3, 4, 5]);
}

// shows C16
#[test]
fn a_provider_with_two_services_behind_one_inbox_gets_an_event_once_for_both() {
    let mut known = known();
    known.services = vec![
        service("toner", "northwind", "/in"),
        service("parts", "northwind", "/in"),
    ];
    let body = json!([level("1"), total("2"), of(level("3"), TONER), level("1")]);
    let (ways, refused) = known.ways(&body);
    let both = format!("{PARTS},{TONER}");
    assert_eq!(
        ways,
        [format!("northwind/in: 1@{both} 2@{PARTS} 3@{TONER}")]
    );
    assert_eq!(
        refused,
        Vec::<usize>::new(),
        "one that is there twice is taken once"
    );
    let batch = read(&body).unwrap();
    let routing = batch.route(&known.recipients(), PRINTER);
    assert_eq!(routing.deliveries[0].events[0].places, [0, 3]);
    let mut other = service("parts", "northwind", "/other");
    Arc::make_mut(&mut other).spec.data.as_mut().unwrap().path = "/other".to_owned();
    known.services[1] = other;
    assert_eq!(
        known.ways(&body).0.len(),
        2,
        "another path is another inbox"
    );
}

type Edit = Box<dyn Fn(&mut Known)>;

/// Checks whether the service toner gets events after an edit; the other one does.
fn assert_gets(name: &str, edit: &dyn Fn(&mut Known), is_on: bool) {
    let mut known = known();
    edit(&mut known);
    let both = [PARTS, TONER];
    let expected = if is_on { &both[..] } else { &both[..1] };
    assert_eq!(known.ids(), expected, "{name}");
}

// shows C5 C8 C16
#[test]
fn a_service_gets_nothing_while_it_is_off_for_whatever_reason() {
    let state = |state: ActivationState| {
        move |known: &mut Known| {
            known.edit(0, |it| {
                let status = it.status.get_or_insert_default();
                status.activation = Some(SubscriptionActivation {
                    state,
                    since: at(1),
                });
            });
        }
    };
    for (name, edit, is_on) in [
        ("as it is", Box::new(|_: &mut Known| {}) as Edit, true),
        (
            "inactive",
            Box::new(state(ActivationState::Inactive)),
            false,
        ),
        ("pending", Box::new(state(ActivationState::Pending)), false),
        (
            "not looked at",
            Box::new(|it| it.edit(0, |it| it.status = None)),
            false,
        ),
        (
            "it ends in this very second",
            Box::new(|it| {
                let now = it.now;
                it.edit(0, |it| {
                    Arc::make_mut(&mut it.spec.revisions[0]).until = Some(now);
                });
            }),
            false,
        ),
        (
            "it has not begun",
            Box::new(|it| {
                let now = it.now + SignedDuration::from_secs(1);
                it.edit(0, |it| {
                    Arc::make_mut(&mut it.spec.revisions[0]).effective = now;
                });
            }),
            false,
        ),
    ] {
        assert_gets(name, &*edit, is_on);
    }
}

// shows C8 C15 C16
#[test]
fn a_service_gets_nothing_that_the_device_has_off_or_that_nobody_says_where_to_send() {
    for (name, edit, is_on) in [
        (
            "switched off",
            Box::new(|it: &mut Known| it.say(false, 5, &[])) as Edit,
            false,
        ),
        ("switched on", Box::new(|it| it.say(true, 5, &[])), true),
        (
            "not able",
            Box::new(|it| it.say(true, 5, &["no colour"])),
            false,
        ),
        (
            "no destination",
            Box::new(|it| Arc::make_mut(&mut it.services[0]).spec.data = None),
            false,
        ),
        (
            "no SmartService",
            Box::new(|it| _ = it.services.remove(0)),
            false,
        ),
    ] {
        assert_gets(name, &*edit, is_on);
    }
}

// shows C15 C16
#[test]
fn a_word_at_the_panel_counts_at_once_and_until_a_later_command_overrules_it() {
    let mut known = known();
    known.say(false, 5, &[]);
    let heard = |enabled: bool, second: i64, heard: i64| {
        Some(DeviceStatus {
            local_enablement: vec![LocalEnablement {
                service: "toner".to_owned(),
                enabled,
                by: ConsentWay::Command,
                at: at(second),
                heard: Some(at(heard)),
                listed: false,
            }],
            ..DeviceStatus::default()
        })
    };
    for (status, is_on) in [
        (None, false),
        (heard(true, 3, 3), false),
        (heard(false, 5, 5), false),
        (heard(true, 8, 5), true),
    ] {
        known.device.status = status;
        let found = known.ids().contains(&TONER.to_owned());
        assert_eq!(found, is_on, "{:?}", known.device.status);
    }
    known.say(false, 9, &[]);
    assert_eq!(known.ids(), [PARTS], "the panel was used again");
}

// shows C8
#[test]
fn an_event_is_forwarded_byte_for_byte_with_its_source_and_application_and_without_nulls() {
    let known = known();
    let text = r#"[{"data": {"level": 12345678901234567890123, "b":1.10, "a":"é"},
        "subject":"black-toner","id":"1","specversion":"1.0","type":"dev.entente.counters.total",
        "source":"urn:uuid:0D3C9C3E-7D55-5A35-8C6E-6F1B5F4C9A01","time":"2027-03-20T01:02:03.50+09:00",
        "sequence":"0000012","datacontenttype":"application/json","dataschema":null},
        {"specversion":"1.0","id":"2","type":"dev.entente.counters.total","data":null}]"#;
    let batch = Batch::read(text.as_bytes(), PRINTER).unwrap();
    let routing = batch.route(&known.recipients(), PRINTER);
    assert_eq!(
        Delivery::body(&routing.deliveries[0].events),
        format!(
            "[{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"urn:uuid:{PRINTER}\",\
             \"type\":\"dev.entente.counters.total\",\"time\":\"2027-03-20T01:02:03.50+09:00\",\
             \"subject\":\"black-toner\",\"applicationid\":\"{PARTS}\",\"sequence\":\"0000012\",\
             \"datacontenttype\":\"application/json\",\
             \"data\":{{\"level\": 12345678901234567890123, \"b\":1.10, \"a\":\"é\"}}}},\
             {{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"urn:uuid:{PRINTER}\",\
             \"type\":\"dev.entente.counters.total\",\"applicationid\":\"{PARTS}\"}}]"
        )
    );
}

#[test]
fn an_answer_has_each_refused_event_once_and_counts_the_others() {
    let batch = read(&json!([level("1"), level("2"), level("3")])).unwrap();
    let refused = [
        (2, Refusal::NotRequested),
        (0, Refusal::RefusedByProvider),
        (0, Refusal::RefusedByProvider),
    ];
    assert_eq!(
        batch.answer(&refused, &[TONER.to_owned()], "PT24H"),
        json!({
            "accepted": 1,
            "refused": [{"id": "1", "reason": "RefusedByProvider"},
                        {"id": "3", "reason": "NotRequested"}],
            "activations": [{"applicationId": TONER, "state": "Active"}],
            "poll": {"next": "PT24H"},
        })
    );
}

#[test]
fn only_a_status_that_is_about_the_content_costs_an_event() {
    for (statuses, expected) in [
        (&[200, 201, 202, 204, 299][..], Verdict::Taken),
        (&[400, 409, 413, 422], Verdict::Refused),
        (
            &[
                100, 301, 302, 308, 401, 403, 404, 405, 407, 408, 410, 411, 415, 421, 423, 425,
                426, 428, 429, 431, 451, 500, 502, 503, 504, 507,
            ],
            Verdict::Later,
        ),
    ] {
        for status in statuses {
            assert_eq!(verdict(*status), expected, "{status}");
        }
    }
}

#[test]
fn a_batch_is_posted_below_the_url_of_the_connection() {
    for (base, path, expected) in [
        (
            "https://in.example",
            "/v1/events",
            Some("https://in.example/v1/events"),
        ),
        (
            "https://in.example/",
            "/v1/events",
            Some("https://in.example/v1/events"),
        ),
        (
            "https://in.example:8443/a/",
            "/b/",
            Some("https://in.example:8443/a/b/"),
        ),
        ("http://[::1]:80/a", "/b", Some("http://[::1]/a/b")),
        ("https://in.example/a", "/../b", None),
        ("https://in.example/a", "/%2e%2e/b", None),
        ("in.example", "/b", None),
    ] {
        let spec = ConnectionSpec {
            protocol: Protocol::HTTP,
            http: Some(HttpEndpoint {
                url: base.to_owned(),
            }),
            ..ConnectionSpec::default()
        };
        let url = url_of(&Connection::new("inbox", spec), path);
        assert_eq!(url.as_ref().map(Url::as_str), expected, "{base} {path}");
    }
    assert_eq!(
        url_of(&Connection::new("inbox", ConnectionSpec::default()), "/"),
        None
    );
}

fn say_activated(
    subscription: &mut ServiceSubscription,
    state: ActivationState,
    reason: Reason,
    since: Timestamp,
) {
    let status = subscription.status.get_or_insert_default();
    status.activation = Some(SubscriptionActivation { state, since });
    status.conditions = vec![Condition {
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        message: "".into(),
        observed_generation: None,
        reason: reason.as_str().to_owned(),
        status: "False".to_owned(),
        type_: "Activated".to_owned(),
    }];
}

// shows C5 C8 C16
#[test]
fn data_wait_for_a_service_that_is_being_turned_on_unless_another_one_gets_them() {
    let mut known = known();
    for (reason, is_kept) in [
        (Reason::Waiting, true),
        (Reason::ProviderPending, true),
        (Reason::DisabledLocally, false),
        (Reason::UnsupportedByDevice, false),
        (Reason::WaitingForDevice, false),
    ] {
        known.edit(0, |it| {
            say_activated(it, ActivationState::Inactive, reason, at(1));
        });
        let routing = read(&json!([
            of(level("1"), TONER),
            level("2"),
            of(level("3"), PARTS)
        ]))
        .unwrap()
        .route(&known.recipients(), PRINTER);
        let taken: Vec<&str> = routing.deliveries[0]
            .events
            .iter()
            .map(|it| &*it.id)
            .collect();
        assert_eq!(taken, ["2", "3"], "{reason:?}");
        assert_eq!(routing.deferred, usize::from(is_kept), "{reason:?}");
        assert_eq!(routing.refused.len(), usize::from(!is_kept), "{reason:?}");
    }
}

// shows C8 C16
#[test]
fn data_of_a_service_that_has_just_begun_wait_for_the_operator() {
    for (name, reason, suspended, mode, is_kept) in [
        ("no status", None, false, ActivationMode::ByOperator, true),
        (
            "a status from before the start",
            Some(Reason::NotInForce),
            false,
            ActivationMode::ByOperator,
            true,
        ),
        (
            "suspended",
            Some(Reason::NotInForce),
            true,
            ActivationMode::ByOperator,
            false,
        ),
        (
            "the device has to ask",
            None,
            false,
            ActivationMode::ByDevice,
            false,
        ),
    ] {
        let mut known = known();
        let service = Arc::make_mut(&mut known.services[0]);
        service.spec.activation = mode;
        let wanted = WantedDataType {
            name: "supplies.level".to_owned(),
            ..WantedDataType::default()
        };
        service.spec.device.get_or_insert_default().data_types = vec![wanted];
        known.twin.spec.data_types.clear();
        known.edit(0, |it| {
            it.status = None;
            it.spec.contract.suspend = suspended;
            if let Some(reason) = reason {
                say_activated(it, ActivationState::Inactive, reason, at(1));
            }
        });
        let batch = read(&json!([of(level("1"), TONER)])).unwrap();
        let routing = batch.route(&known.recipients(), PRINTER);
        assert_eq!(routing.deferred, usize::from(is_kept), "{name}");
    }
}

mod change;
mod first_data;

// shows A1 C8
#[test]
fn an_error_needs_no_service_and_goes_to_those_that_want_it() {
    let data = json!({"state": "Raised", "reason": "toner-empty"});
    let error = with(
        json!({"specversion": "1.0", "id": "1", "type": "dev.entente.error"}),
        "data",
        data,
    );
    let batch = read(&json!([error, level("2")])).unwrap();
    let mut known = known();
    let refused = |known: &Known| batch.route(&known.recipients(), PRINTER).refused;
    assert_eq!(refused(&known), []);
    // The model of the device lists no errors.
    known.keeps_errors = false;
    assert_eq!(refused(&known), [(0, Refusal::NotRequested)]);
    known.twin.spec.data_types.push(TwinDataType {
        name: "error".to_owned(),
        period: "24h".into(),
        wanted_by: vec![TONER.to_owned()],
        ..TwinDataType::default()
    });
    for keeps_errors in [false, true] {
        known.keeps_errors = keeps_errors;
        let routing = batch.route(&known.recipients(), PRINTER);
        let events = routing.deliveries.iter().map(|it| it.events.len());
        assert_eq!(events.sum::<usize>(), 3, "the error once, the level twice");
        assert_eq!(routing.refused, []);
    }
}
