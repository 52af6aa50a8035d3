//! Tests of the conditions of a Connection and of a DeviceModel, and of the list of orphans.

mod forgetting;
mod removals;
mod service;

use entente_crds::v1alpha1::{
    Condition, ConnectionSpec, DeviceModelSpec, DeviceSetting, IppSetting, Orphan, ServerInstance,
    ServerOperation, ServerOperationState, ServerOperationType, ServiceSubscription,
    ServiceSubscriptionSpec, ServiceSubscriptionStatus, ValueType, Via,
};

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Returns a subscription whose withdrawal was given up.
fn abandoned(instance: &str) -> ServiceSubscription {
    let mut subscription = ServiceSubscription::new("a.b.c", ServiceSubscriptionSpec::default());
    subscription.status = Some(ServiceSubscriptionStatus {
        server: Some(ServerInstance {
            instance_id: instance.to_owned(),
            orphaned: Some(NOW),
            ..ServerInstance::default()
        }),
        ..ServiceSubscriptionStatus::default()
    });
    subscription
}

fn left(abandoned: Vec<ServiceSubscription>) -> BrokerInstances {
    BrokerInstances {
        abandoned,
        ..BrokerInstances::default()
    }
}

fn listed(connection: &mut Connection, observed: &ObservedConnection) -> Vec<String> {
    let status = report_connection(connection, observed, NOW);
    let orphans = status.orphans.iter();
    let listed = orphans.map(|orphan| orphan.instance_id.clone()).collect();
    connection.status = Some(status);
    listed
}

// shows K5
#[test]
fn an_orphan_that_is_in_service_again_leaves_the_list() {
    let mut connection = Connection::new("northwind", ConnectionSpec::default());
    let given_up = ObservedConnection {
        instances: left(vec![abandoned("one"), abandoned("two")]),
        ..ObservedConnection::default()
    };
    assert_eq!(listed(&mut connection, &given_up), ["one", "two"]);
    let gone = ObservedConnection::default();
    assert_eq!(listed(&mut connection, &gone), ["one", "two"]);
    let adopted = ObservedConnection {
        instances: BrokerInstances {
            in_service: ["two".to_owned()].into(),
            ..BrokerInstances::default()
        },
        ..ObservedConnection::default()
    };
    assert_eq!(listed(&mut connection, &adopted), ["one"]);
}

// shows K2 K5
#[test]
fn new_words_of_the_same_failure_are_reported_when_they_are_due_and_another_failure_at_once() {
    let mut connection = Connection::new("northwind", ConnectionSpec::default());
    let mut said = |kind, words: &str, keeps_words| {
        let observed = ObservedConnection {
            probe: Some(Err(Failure::new(kind, words))),
            keeps_words,
            ..ObservedConnection::default()
        };
        let status = report_connection(&connection, &observed, NOW);
        let said = find(&status.conditions, ConditionType::Reachable).map(|it| it.message.clone());
        connection.status = Some(status);
        said.expect("a condition").to_string()
    };
    let failed = FailureKind::ProtocolError;
    assert_eq!(said(failed, "request 1", false), "Request 1.");
    assert_eq!(said(failed, "request 2", true), "Request 1.");
    assert_eq!(said(failed, "request 3", false), "Request 3.");
    assert_eq!(said(FailureKind::Busy, "later", true), "Later.");
}

/// True if a kind has all of these conditions.
fn is_of_kind(kind: &str, conditions: &[Condition]) -> bool {
    let types = ConditionType::ALL.iter();
    let of_kind: Vec<&str> = types
        .filter(|it| it.kinds().contains(&kind))
        .map(|it| it.as_str())
        .collect();
    conditions.iter().all(|it| of_kind.contains(&&*it.type_))
}

// shows C9 K2
#[test]
fn a_gateway_that_would_be_called_too_late_is_at_fault_until_a_person_corrects_it() {
    let mut connection = entente_crds::example::gateway();
    let agent = connection.spec.agent.as_mut().expect("it is called");
    agent.before = agent.poll.clone();
    let observed = ObservedConnection::default();
    let conditions = report_connection(&connection, &observed, NOW).conditions;
    assert!(is_of_kind("Connection", &conditions), "{conditions:?}");
    let stalled = find(&conditions, ConditionType::Stalled).expect("it is stated");
    assert_eq!(stalled.reason, "UnsupportedValue");
}

// shows K2 K4
#[test]
fn a_connection_whose_spec_cannot_be_used_says_so_and_nothing_of_what_it_refers_to() {
    let connection = Connection::new("hq", ConnectionSpec::default());
    let said = |reason: Reason| {
        let observed = ObservedConnection {
            fault: Some((reason, "it is so".to_owned())),
            ..ObservedConnection::default()
        };
        let conditions = report_connection(&connection, &observed, NOW).conditions;
        let kinds = [ConditionType::Ready, ConditionType::ResolvedRefs];
        kinds.map(|kind| {
            let found = find(&conditions, kind).expect("it is stated");
            format!("{} {}", found.status, found.reason)
        })
    };
    assert_eq!(
        said(Reason::UnsupportedValue),
        ["False UnsupportedValue", "Unknown Pending"]
    );
    assert_eq!(
        said(Reason::SecretNotFound),
        ["False SecretNotFound", "False SecretNotFound"]
    );
}

// shows K7
#[test]
fn what_is_left_out_of_the_authorities_is_said_beside_what_was_found() {
    let observed = ObservedConnection {
        warnings: vec!["certificate 2 of 3 is left out".to_owned()],
        ..ObservedConnection::default()
    };
    let connection = Connection::new("hq", ConnectionSpec::default());
    let conditions = report_connection(&connection, &observed, NOW).conditions;
    let found = find(&conditions, ConditionType::ResolvedRefs).expect("it is stated");
    assert_eq!(found.status, "True");
    assert_eq!(
        found.message,
        "Everything that is referred to was found. But certificate 2 of 3 is left out."
    );
}

// shows K2
#[test]
fn a_stored_model_whose_syntax_cannot_carry_its_type_names_both_and_what_is_allowed() {
    let setting = DeviceSetting {
        name: "duplex".to_owned(),
        r#type: ValueType::Boolean,
        via: Via {
            ipp: Some(IppSetting {
                attribute: "duplex".to_owned(),
                syntax: IppSyntax::Integer,
                ..IppSetting::default()
            }),
            ..Via::default()
        },
        ..DeviceSetting::default()
    };
    let spec = DeviceModelSpec {
        settings: vec![setting],
        ..DeviceModelSpec::default()
    };
    let conditions =
        report_model(&DeviceModel::new("mfp", spec), &Users::default(), NOW).conditions;
    assert!(is_of_kind("DeviceModel", &conditions), "{conditions:?}");
    let ready = find(&conditions, ConditionType::Ready).expect("it is stated");
    assert_eq!(
        format!("{}({}) {}", ready.status, ready.reason, ready.message),
        "False(UnsupportedValue) spec.settings[duplex].via.ipp.syntax is Integer: with type Boolean \
         it must be one of Boolean."
    );
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "so it said")
}

fn broker() -> Connection {
    entente_crds::example::northwind_services()
}

/// Returns the conditions of a Connection as `Type=Status(Reason)`, in the order of their types.
fn shown(connection: &Connection) -> Vec<String> {
    let status = connection.status.clone().unwrap_or_default();
    let conditions = status.conditions.iter();
    conditions
        .map(|it| format!("{}={}({})", it.type_, it.status, it.reason))
        .collect()
}

/// Reports a probe, as the controller does; shows the conditions then.
fn probe(connection: &mut Connection, answer: Option<Result<(), Failure>>) -> Vec<String> {
    let observed = ObservedConnection {
        probe: answer,
        ..ObservedConnection::default()
    };
    connection.status = Some(report_connection(connection, &observed, NOW));
    shown(connection)
}

// shows K2
#[test]
fn what_a_probe_met_is_said_of_reachability_and_login_apart() {
    for (answer, said) in [
        (
            None,
            &["Ready=Unknown(Pending)", "ResolvedRefs=True(Resolved)"][..],
        ),
        (
            Some(Ok(())),
            &[
                "Ready=True(Succeeded)",
                "ResolvedRefs=True(Resolved)",
                "Reachable=True(Answered)",
                "Authenticated=True(Answered)",
            ],
        ),
        (
            Some(Err(failure(FailureKind::Unauthorized))),
            &[
                "Ready=False(Unauthorized)",
                "Reconciling=True(ProgressingWithRetry)",
                "ResolvedRefs=True(Resolved)",
                "Reachable=True(Answered)",
                "Authenticated=False(Unauthorized)",
            ],
        ),
        (
            Some(Err(failure(FailureKind::TlsFailed))),
            &[
                "Ready=False(TlsFailed)",
                "Reconciling=True(ProgressingWithRetry)",
                "ResolvedRefs=True(Resolved)",
                "Reachable=False(TlsFailed)",
                "Authenticated=Unknown(NeverSeen)",
            ],
        ),
    ] {
        let mut found = probe(&mut broker(), answer);
        let mut said: Vec<String> = said.iter().map(|it| (*it).to_owned()).collect();
        found.sort();
        said.sort();
        assert_eq!(found, said);
    }
}

// shows K2 K7
#[test]
fn a_catalog_with_odd_entries_is_answered_and_they_are_named() {
    let mut connection = broker();
    let observed = ObservedConnection {
        probe: Some(Ok(())),
        odd: ["the offering \"x\" has no id", "3 more"]
            .map(str::to_owned)
            .into(),
        ..ObservedConnection::default()
    };
    connection.status = Some(report_connection(&connection, &observed, NOW));
    let said = shown(&connection);
    assert!(
        said.contains(&"Ready=True(Succeeded)".to_owned()),
        "{said:?}"
    );
    let conditions = connection.status.unwrap_or_default().conditions;
    let ready = find(&conditions, ConditionType::Ready).expect("it is stated");
    assert_eq!(
        ready.message,
        "The last probe was answered. Its catalog is used as far as it can be: the offering \"x\" \
         has no id; 3 more."
    );
}

// shows K2
#[test]
fn a_login_that_was_proved_is_not_doubted_by_a_broker_that_is_off() {
    let mut connection = broker();
    probe(&mut connection, Some(Ok(())));
    let off = probe(
        &mut connection,
        Some(Err(failure(FailureKind::Unreachable))),
    );
    assert!(
        off.contains(&"Authenticated=True(Answered)".to_owned()),
        "{off:?}"
    );
    assert!(
        off.contains(&"Reachable=False(Unreachable)".to_owned()),
        "{off:?}"
    );
}

// shows K2
#[test]
fn every_failure_of_a_probe_has_a_reason_that_its_conditions_may_say() {
    for kind in [
        FailureKind::Unreachable,
        FailureKind::TimedOut,
        FailureKind::TlsFailed,
        FailureKind::CertificateChanged,
        FailureKind::Unauthorized,
        FailureKind::Busy,
        FailureKind::Concurrent,
        FailureKind::CatalogOutdated,
        FailureKind::RejectedValue,
        FailureKind::RejectedNotSettable,
        FailureKind::Unsupported,
        FailureKind::Conflict,
        FailureKind::ProtocolError,
    ] {
        // The builder of conditions ends this test where one may not.
        let said = probe(&mut broker(), Some(Err(failure(kind))));
        assert!(
            said.iter().any(|it| it.starts_with("Ready=False")),
            "{said:?}"
        );
    }
}

// shows C10 K2
#[test]
fn a_list_of_orphans_that_is_full_says_so_and_takes_the_rest_once_there_is_room() {
    let mut connection = broker();
    let ids: Vec<String> = (0..=MOST_ORPHANS / 4 * 3)
        .map(|id| format!("i-{id:04}"))
        .collect();
    let observed = ObservedConnection {
        instances: left(ids.iter().map(|id| abandoned(id)).collect()),
        probe: Some(Ok(())),
        ..ObservedConnection::default()
    };
    let first = listed(&mut connection, &observed);
    // One namespace alone gets three quarters.
    let most = MOST_ORPHANS / 4 * 3;
    assert_eq!(first, ids[..most]);
    let said = shown(&connection);
    assert!(
        said.contains(&"Ready=False(OrphansFull)".to_owned()),
        "{said:?}"
    );
    assert_eq!(
        listed(&mut connection, &observed),
        first,
        "nothing is pushed out"
    );
    let orphans = &mut connection.status.as_mut().expect("a status").orphans;
    orphans.remove(0);
    let gone = ObservedConnection {
        instances: left(observed.instances.abandoned[most..].to_vec()),
        ..observed
    };
    assert_eq!(listed(&mut connection, &gone), ids[1..]);
    let said = shown(&connection);
    assert!(
        said.contains(&"Ready=True(Succeeded)".to_owned()),
        "{said:?}"
    );
}

/// Returns a subscription of a namespace whose withdrawal was given up.
fn abandoned_in(namespace: &str, number: usize) -> ServiceSubscription {
    let mut subscription = abandoned(&format!("{namespace}-{number:04}"));
    subscription.metadata.namespace = Some(namespace.to_owned());
    subscription
}

fn listed_of(connection: &Connection, namespace: &str) -> usize {
    let orphans = connection.status.iter().flat_map(|it| &it.orphans);
    let of_namespace = |orphan: &&Orphan| {
        let left_by = orphan.subscription.as_ref();
        left_by.is_some_and(|left_by| left_by.namespace == namespace)
    };
    orphans.filter(of_namespace).count()
}

// shows C10 K2 K4
#[test]
fn a_namespace_that_leaves_any_number_of_orphans_does_not_fill_the_list_for_another() {
    let mut connection = broker();
    let mut abandoned: Vec<_> = (0..300).map(|number| abandoned_in("a", number)).collect();
    let observed = |abandoned: &[ServiceSubscription]| ObservedConnection {
        instances: left(abandoned.to_vec()),
        probe: Some(Ok(())),
        ..ObservedConnection::default()
    };
    listed(&mut connection, &observed(&abandoned));
    let before = listed_of(&connection, "a");
    abandoned.push(abandoned_in("b", 0));
    abandoned.push(abandoned_in("c", 0));
    listed(&mut connection, &observed(&abandoned));
    let of = |namespace| listed_of(&connection, namespace);
    assert_eq!((of("a"), of("b"), of("c")), (before, 1, 1));
    let status = connection.status.as_ref().expect("a status");
    let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
    let ready = ready.expect("it is stated");
    assert!(
        ready
            .message
            .contains("no room for more of the namespaces a;"),
        "{}",
        ready.message
    );
}

#[test]
fn namespaces_that_leave_orphans_at_once_get_places_in_turn() {
    let mut connection = broker();
    let of_both = ["a", "b"].map(|namespace| (0..300).map(move |it| abandoned_in(namespace, it)));
    let observed = ObservedConnection {
        instances: left(of_both.into_iter().flatten().collect()),
        ..ObservedConnection::default()
    };
    listed(&mut connection, &observed);
    let (a, b) = (listed_of(&connection, "a"), listed_of(&connection, "b"));
    assert!(a.abs_diff(b) <= 1 && a > MOST_ORPHANS / 3, "{a} and {b}");
}

// shows C10 K7
#[test]
fn a_list_of_orphans_is_never_larger_than_what_the_api_server_stores() {
    for (ids, most) in [(36, MOST_ORPHANS), (1_024, MOST_ORPHANS - 1)] {
        let left_behind = |number: usize| {
            let mut left = abandoned(&format!("i-{number:04}"));
            let server = left.status.as_mut().and_then(|it| it.server.as_mut());
            let server = server.expect("an instance");
            server.service_id = "服".repeat(ids);
            server.plan_id = "服".repeat(ids);
            server.operation = Some(ServerOperation {
                r#type: ServerOperationType::Deprovision,
                id: Some("\u{1}".repeat(10_000)),
                to_plan: None,
                late_until: None,
                since: NOW,
                state: ServerOperationState::UnderWay,
            });
            left
        };
        let observed = ObservedConnection {
            instances: left((0..MOST_ORPHANS).map(left_behind).collect()),
            ..ObservedConnection::default()
        };
        let status = report_connection(&broker(), &observed, NOW);
        assert!(status.orphans[0].operation.is_some(), "while there is room");
        assert!((64..=most).contains(&status.orphans.len()));
        let text = serde_json::to_string(&status).expect("it is JSON");
        assert!(text.len() < 1_000_000, "{}", text.len());
    }
}

// shows C10
#[test]
fn an_orphan_is_told_by_its_ids_and_by_whose_it_was_and_one_in_service_is_none() {
    let mut given_up = abandoned("one");
    given_up.metadata.namespace = Some("acme".to_owned());
    let server = given_up.status.as_mut().and_then(|it| it.server.as_mut());
    let server = server.expect("an instance");
    server.service_id = "o-1".to_owned();
    server.plan_id = "p-1".to_owned();
    let mut stands = abandoned("two");
    let server = stands.status.as_mut().and_then(|it| it.server.as_mut());
    server.expect("an instance").orphaned = None;
    let observed = ObservedConnection {
        instances: left(vec![given_up, stands]),
        ..ObservedConnection::default()
    };
    let orphans = report_connection(&broker(), &observed, NOW).orphans;
    assert_eq!(orphans.len(), 1, "{orphans:?}");
    let orphan = &orphans[0];
    assert_eq!(
        (&orphan.service_id[..], &orphan.plan_id[..]),
        ("o-1", "p-1")
    );
    assert_eq!(orphan.since, NOW);
    assert_eq!(orphan.reason, "the withdrawal of acme/a.b.c was given up");
}

/// Returns this number of Devices as the users of an object.
fn users(number: usize) -> Users {
    Users {
        devices: (0..number).map(|it| format!("acme/{it}")).collect(),
        ..Users::default()
    }
}

// shows K3
#[test]
fn a_number_of_users_changes_no_condition_and_no_generation_is_spoken_of_too_early() {
    let mut model = entente_crds::example::mfp_500();
    model.metadata.generation = Some(4);
    let first = report_model(&model, &users(0), NOW);
    assert_eq!(
        (first.used_by, first.observed_generation),
        (Some(0), Some(4))
    );
    model.status = Some(first.clone());
    let later = NOW + jiff::SignedDuration::from_hours(1);
    let second = report_model(&model, &users(7), later);
    assert_eq!(
        second.conditions, first.conditions,
        "with the same instants"
    );
    assert_eq!(second.used_by, Some(7));
    let mut connection = broker();
    connection.metadata.generation = Some(4);
    let unknown = report_connection(&connection, &ObservedConnection::default(), NOW);
    assert_eq!(unknown.observed_generation, None);
}
