//! Tests of a Connection's conditions and of its list of orphans.

use entente_crds::v1alpha1::{
    ConnectionSpec, ServerInstance, ServiceLevel, ServiceSubscriptionSpec,
    ServiceSubscriptionStatus, SmartServiceSpec,
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
        abandoned: vec![abandoned("one"), abandoned("two")],
        ..ObservedConnection::default()
    };
    assert_eq!(listed(&mut connection, &given_up), ["one", "two"]);
    let gone = ObservedConnection::default();
    assert_eq!(listed(&mut connection, &gone), ["one", "two"]);
    let adopted = ObservedConnection {
        in_service: ["two".to_owned()].into(),
        ..ObservedConnection::default()
    };
    assert_eq!(listed(&mut connection, &adopted), ["one"]);
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

// shows K2
#[test]
fn a_service_with_a_text_that_is_no_duration_is_refused_by_its_field() {
    let said = |spec: SmartServiceSpec| {
        let service = SmartService::new("data-backup", spec);
        let conditions = report_service(&service, true, 0, NOW).conditions;
        let accepted = find(&conditions, ConditionType::Accepted).expect("it is stated");
        (accepted.reason.clone(), accepted.message.clone())
    };
    let level = SmartServiceSpec {
        service_level: Some(ServiceLevel {
            allowed: "soon".into(),
            ..ServiceLevel::default()
        }),
        ..SmartServiceSpec::default()
    };
    let timeout = SmartServiceSpec {
        step_timeout: "soon".into(),
        ..SmartServiceSpec::default()
    };
    for (spec, field) in [(level, "serviceLevel.allowed"), (timeout, "stepTimeout")] {
        let message = format!(
            "spec.{field}: \"soon\" must be a duration such as \"90s\", \"15m\" or \"336h\"."
        );
        assert_eq!(said(spec), ("UnsupportedValue".to_owned(), message));
    }
}
