//! Tests of the rule that nothing is made at a broker while its Connection or SmartService could be
//! deleted unnoticed.

use std::sync::Arc;

use entente_crds::{
    condition::ConditionType,
    example,
    v1alpha1::{Connection, SmartService},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pass_fixture::{Remote, ready, run, snapshot, status};
use crate::{
    condition::find,
    delivery::{DeviceSnapshot, Pass},
};

/// Returns the snapshot of the fixture with another Connection to its broker and another service.
fn with(connection: Connection, service: SmartService) -> DeviceSnapshot {
    let mut snapshot = snapshot();
    let connections = &mut snapshot.connections;
    connections.insert("northwind-services".into(), Arc::new(connection));
    let services = &mut snapshot.services;
    services.insert("data-backup".to_owned(), Arc::new(service));
    snapshot
}

/// Runs a pass; returns Ready with its message, and the requests to the broker.
fn pass(snapshot: DeviceSnapshot) -> (Pass, String, Vec<String>) {
    let mut remote = Remote::new();
    let (pass, object) = run(snapshot, &mut remote, |_| None);
    let conditions = status(&pass, &object).conditions;
    let message = find(&conditions, ConditionType::Ready).map(|it| it.message.to_string());
    let said = format!("{} {}", ready(&pass, &object), message.unwrap_or_default());
    let of_broker = remote.asked.into_iter();
    let of_broker = of_broker.filter(|it| !it.contains("Device") && it != "ReadCatalog");
    (pass, said, of_broker.collect())
}

// shows C10 K2
#[test]
fn nothing_is_made_at_a_broker_before_its_connection_and_service_are_kept_from_being_deleted() {
    let (connection, service) = (example::northwind_services(), example::data_backup());
    let held = || {
        (
            example::in_use(connection.clone()),
            example::in_use(service.clone()),
        )
    };
    let (_, said, asked) = pass(with(connection.clone(), held().1));
    assert_eq!(asked, [""; 0], "{said}");
    assert!(
        said.starts_with(
            "False(Waiting) The Connection northwind-services is not kept from being deleted yet"
        ),
        "{said}"
    );
    let (_, said, asked) = pass(with(held().0, service.clone()));
    assert_eq!(asked, [""; 0], "{said}");
    assert!(said.contains("The SmartService data-backup"), "{said}");
    let (_, said, asked) = pass(with(held().0, held().1));
    assert!(asked.contains(&"Provision".to_owned()), "{said} {asked:?}");

    let mut going = connection.clone();
    going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    let (_, said, asked) = pass(with(going, held().1));
    assert_eq!(asked, [""; 0], "{said}");
    assert!(said.contains("is being deleted"), "{said}");
}

// shows C10
#[test]
fn an_instance_that_is_there_goes_on_without_the_finalizer() {
    let mut remote = Remote::new();
    let (_, object) = run(snapshot(), &mut remote, |_| None);
    let mut open = with(example::northwind_services(), example::data_backup());
    let mut object = object;
    let server = object.status.as_mut().and_then(|it| it.server.as_mut());
    server.expect("it is recorded").sent_digest = Some(super::super::digest(&"sent"));
    open.subscriptions = vec![Arc::new(object)];
    let (_, object) = run(open, &mut remote, |_| None);
    assert!(object.status.is_some());
    assert_eq!(remote.count("Provision"), 1, "{:?}", remote.asked);
    let last = remote.asked.last().map(String::as_str);
    assert_eq!(last, Some("ReadInstance"), "{:?}", remote.asked);
}
