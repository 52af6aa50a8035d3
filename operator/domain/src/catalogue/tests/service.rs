//! Tests of a SmartService's conditions.

use entente_crds::v1alpha1::{
    Acceptance, Connection, FeeCredit, NameReference, Remedy, ServiceData, ServiceLevel,
    SmartService, SmartServiceSpec, SmartServiceStatus, ValueType, When,
};

use super::*;
use crate::{
    remote::{Catalog, Offering, Plan},
    unreadable::{Referent, UnreadableObjects},
};

/// Returns the catalog behind the Connection of the example, with one plan of one offering.
fn catalog(offering: &str, plan: &str) -> Catalog {
    let plan = Plan {
        id: "p-1".to_owned(),
        name: plan.to_owned(),
        ..Plan::default()
    };
    let offering = Offering {
        id: "o-1".to_owned(),
        name: offering.to_owned(),
        plans: vec![plan],
        ..Offering::default()
    };
    Catalog {
        offerings: vec![offering],
        ..Catalog::default()
    }
}

fn report_of(
    service: &SmartService,
    connection_exists: bool,
    used_by: usize,
) -> SmartServiceStatus {
    let unreadable = UnreadableObjects::default();
    let connection = connection_exists.then(entente_crds::example::northwind_services);
    let side = service.spec.server.clone().unwrap_or_default();
    let server = ObservedServer {
        connection: connection.as_ref(),
        data: None,
        orders: None,
        catalog: Some(&catalog(&side.offering, &side.plan)),
    };
    report_service(service, server, &unreadable, &users(used_by), NOW)
}

/// Returns Accepted and ResolvedRefs of a service as `Status(Reason) message`.
fn service_says(service: &SmartService, connection_exists: bool) -> [String; 2] {
    let conditions = report_of(service, connection_exists, 3).conditions;
    [ConditionType::Accepted, ConditionType::ResolvedRefs].map(|kind| {
        let found = find(&conditions, kind).expect("it is stated");
        format!("{}({}) {}", found.status, found.reason, found.message)
    })
}

// shows K2
#[test]
fn a_service_whose_server_is_behind_a_connection_for_devices_says_which_and_what_is_allowed() {
    let service = entente_crds::example::data_backup();
    let devices = entente_crds::example::hq_ipp();
    let unreadable = UnreadableObjects::default();
    let server = ObservedServer {
        connection: Some(&devices),
        data: None,
        orders: None,
        catalog: None,
    };
    let conditions = report_service(&service, server, &unreadable, &users(0), NOW).conditions;
    let accepted = find(&conditions, ConditionType::Accepted).expect("it is stated");
    assert_eq!(
        format!(
            "{}({}) {}",
            accepted.status, accepted.reason, accepted.message
        ),
        "False(UnsupportedValue) spec.server.connectionRef names the Connection hq-ipp, which has \
         protocol IPP: must be one of protocol OSB."
    );
}

// shows C16 K2
#[test]
fn a_service_whose_data_has_no_connection_or_one_of_another_protocol_says_which_and_what_is_allowed()
 {
    let mut service = entente_crds::example::parts_life();
    service.spec.data = Some(ServiceData {
        connection_ref: NameReference {
            name: "northwind-files".to_owned(),
        },
        path: "/v1/events".to_owned(),
    });
    let unreadable = UnreadableObjects::default();
    let said = |data: Option<&Connection>| {
        let server = ObservedServer {
            data,
            orders: None,
            ..ObservedServer::default()
        };
        let conditions = report_service(&service, server, &unreadable, &users(0), NOW).conditions;
        let said = [ConditionType::Accepted, ConditionType::ResolvedRefs].map(|kind| {
            let found = find(&conditions, kind).expect("it is stated");
            format!("{}({}) {}", found.status, found.reason, found.message)
        });
        said.join(" ")
    };
    assert_eq!(
        said(None),
        "True(Valid) The service is valid. False(ConnectionNotFound) The Connection northwind-files \
         does not exist; create it."
    );
    let files = entente_crds::example::northwind_files();
    assert!(said(Some(&files)).contains("True(Resolved)"));
    let broker = entente_crds::example::northwind_services();
    let odd = said(Some(&broker));
    let expected = "False(UnsupportedValue) spec.data.connectionRef names the Connection \
                    northwind-services, which has protocol OSB: must be one of protocol HTTP.";
    assert!(odd.starts_with(expected), "{odd}");
}

// shows K1 K2
#[test]
fn the_services_of_the_examples_are_valid_and_say_which_connection_they_miss() {
    for service in [
        entente_crds::example::data_backup(),
        entente_crds::example::parts_life(),
    ] {
        let [accepted, resolved] = service_says(&service, true);
        assert_eq!(accepted, "True(Valid) The service is valid.");
        assert!(resolved.starts_with("True(Resolved)"), "{resolved}");
    }
    let [accepted, resolved] = service_says(&entente_crds::example::data_backup(), false);
    assert!(accepted.starts_with("True(Valid)"), "{accepted}");
    let missing = "False(ConnectionNotFound) The Connection northwind-services does not exist; \
                   create it.";
    assert_eq!(resolved, missing);
    // One without a server names no Connection that could be missing.
    let [_, resolved] = service_says(&entente_crds::example::parts_life(), false);
    assert!(resolved.starts_with("True(Resolved)"), "{resolved}");
}

// shows K2 K7
#[test]
fn a_connection_that_cannot_be_read_is_not_said_to_be_missing() {
    let service = entente_crds::example::data_backup();
    let broker = (Referent::Connection, "northwind-services".to_owned());
    let unreadable = UnreadableObjects::from_iter([broker]);
    let said = "The Connection northwind-services cannot be read; correct the field that its \
                status names.";
    let conditions = report_service(
        &service,
        ObservedServer::default(),
        &unreadable,
        &users(3),
        NOW,
    )
    .conditions;
    for (kind, status) in [
        (ConditionType::Ready, "False"),
        (ConditionType::Stalled, "True"),
        (ConditionType::ResolvedRefs, "False"),
    ] {
        let found = find(&conditions, kind).expect("it is stated");
        let found = (&*found.status, &*found.reason, &*found.message);
        assert_eq!(found, (status, "Undecodable", said));
    }
    // An older version of it is at hand.
    let side = service.spec.server.clone().unwrap_or_default();
    let server = ObservedServer {
        connection: Some(&entente_crds::example::northwind_services()),
        data: None,
        orders: None,
        catalog: Some(&catalog(&side.offering, &side.plan)),
    };
    let conditions = report_service(&service, server, &unreadable, &users(3), NOW).conditions;
    let ready = find(&conditions, ConditionType::Ready).expect("it is stated");
    assert_eq!(ready.status, "True");
}

// shows K1 K2
#[test]
fn a_fault_of_a_parameter_is_said_by_its_name_and_stalls_the_service() {
    type Edit = fn(&mut SmartServiceSpec);
    let cases: [(Edit, &str); 6] = [
        (
            |spec| spec.parameters[0].default = Some("someday".to_owned()),
            "The default of a parameter cannot be used: weekdays is \"someday\": must be one or \
             more of mon, tue, wed, thu, fri, sat, sun, separated by commas.",
        ),
        (
            |spec| spec.parameters.truncate(1),
            "The setting backup.mode names the parameter mode, which the service does not have.",
        ),
        (
            |spec| {
                spec.device = None;
                spec.parameters.truncate(1);
            },
            "The setting mode names the parameter mode, which the service does not have.",
        ),
        (
            |spec| {
                let device = spec.device.as_mut().expect("a side");
                device.settings[0].when = Some(When {
                    parameter: "folder".to_owned(),
                    r#in: vec!["a".to_owned()],
                });
            },
            "The setting backup.endpoint names the parameter folder, which the service does not \
             have.",
        ),
        (
            |spec| {
                spec.parameters[1].r#type = ValueType::Secret;
                spec.parameters[1].default = None;
            },
            "The setting backup.mode has a when or a map on a parameter of type Secret: must be a \
             parameter of another type.",
        ),
        (
            |spec| {
                spec.parameters[0].r#type = ValueType::Secret;
                spec.parameters[0].default = None;
                let server = spec.server.as_mut().expect("a side");
                server.settings[1].when = Some(When {
                    parameter: "weekdays".to_owned(),
                    r#in: vec!["a".to_owned()],
                });
            },
            "The setting mode has a when or a map on a parameter of type Secret: must be a \
             parameter of another type.",
        ),
    ];
    for (edit, message) in cases {
        let mut service = entente_crds::example::data_backup();
        edit(&mut service.spec);
        let [accepted, _] = service_says(&service, true);
        assert_eq!(accepted, format!("False(UnsupportedValue) {message}"));
        let conditions = report_of(&service, true, 3).conditions;
        let stalled = find(&conditions, ConditionType::Stalled).expect("a person is needed");
        assert_eq!(stalled.reason, "UnsupportedValue");
    }
}

// shows K2
#[test]
fn a_fault_of_its_own_is_said_before_a_connection_that_is_missing() {
    let mut service = entente_crds::example::data_backup();
    service.spec.step_timeout = "soon".into();
    let status = report_of(&service, false, 0);
    let ready = find(&status.conditions, ConditionType::Ready).expect("it is stated");
    assert_eq!(ready.reason, "UnsupportedValue");
    let resolved = find(&status.conditions, ConditionType::ResolvedRefs).expect("it is stated");
    assert_eq!(resolved.reason, "ConnectionNotFound", "both are told");
}

// shows K2
#[test]
fn a_service_with_a_text_that_is_no_duration_is_refused_by_its_field() {
    let said = |spec: SmartServiceSpec| {
        let service = SmartService::new("data-backup", spec);
        let conditions = report_of(&service, true, 0).conditions;
        let accepted = find(&conditions, ConditionType::Accepted).expect("it is stated");
        (accepted.reason.clone(), accepted.message.to_string())
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
    let acceptance = SmartServiceSpec {
        acceptance: Some(Acceptance {
            within: "soon".into(),
            ..Acceptance::default()
        }),
        ..SmartServiceSpec::default()
    };
    for (spec, field) in [
        (level, "serviceLevel.allowed"),
        (timeout, "stepTimeout"),
        (acceptance, "acceptance.within"),
    ] {
        let message = format!(
            "spec.{field}: \"soon\" must be a duration such as \"90s\", \"15m\" or \"336h\"."
        );
        assert_eq!(said(spec), ("UnsupportedValue".to_owned(), message));
    }
}

// shows K2 D5
#[test]
fn a_service_with_a_remedy_by_which_nothing_is_ever_owed_says_so() {
    let mut service = SmartService::new("data-backup", SmartServiceSpec::default());
    service.spec.remedies = vec![Remedy {
        name: "credit".into(),
        ..Remedy::default()
    }];
    let said = |service: &SmartService| {
        let conditions = report_of(service, true, 0).conditions;
        let accepted = find(&conditions, ConditionType::Accepted).expect("it is stated");
        format!("{} {}", accepted.reason, accepted.message)
    };
    assert_eq!(
        said(&service),
        "UnsupportedValue spec.remedies[credit] is a FeeCredit: it must have the member credit."
    );
    service.spec.remedies[0].credit = Some(FeeCredit::default());
    assert!(said(&service).starts_with("Valid "));
}

/// Returns Ready and ResolvedRefs of a service by a catalog as `Status(Reason) message`, and keeps
/// its status.
fn says_by(service: &mut SmartService, catalog: Option<&Catalog>) -> [String; 2] {
    let server = ObservedServer {
        connection: Some(&entente_crds::example::northwind_services()),
        data: None,
        orders: None,
        catalog,
    };
    let unreadable = UnreadableObjects::default();
    let status = report_service(service, server, &unreadable, &users(0), NOW);
    let said = [ConditionType::Ready, ConditionType::ResolvedRefs].map(|kind| {
        let found = find(&status.conditions, kind).expect("it is stated");
        format!("{}({}) {}", found.status, found.reason, found.message)
    });
    service.status = Some(status);
    said
}

// shows K2
#[test]
fn an_offering_or_a_plan_that_the_catalog_lacks_is_said_with_the_names_that_it_has() {
    let mut service = entente_crds::example::data_backup();
    for (known, lacking) in [
        (
            catalog("scan", "standard"),
            "the catalog behind northwind-services has nothing named data-backup (it has scan)",
        ),
        (
            catalog("data-backup", "large"),
            "the offering data-backup behind northwind-services has nothing named standard (it \
             has large)",
        ),
    ] {
        let said = says_by(&mut service, Some(&known));
        let expected =
            format!("False(OfferingNotFound) spec.server names what does not exist: {lacking}.");
        assert_eq!(said, [expected.clone(), expected]);
    }
    let [ready, resolved] = says_by(&mut service, Some(&catalog("data-backup", "standard")));
    assert!(ready.starts_with("True(Succeeded)"), "{ready}");
    assert!(resolved.starts_with("True(Resolved)"), "{resolved}");
}

// shows K2
#[test]
fn before_a_catalog_was_read_what_was_said_of_the_same_spec_holds_and_nothing_else() {
    let mut service = entente_crds::example::data_backup();
    service.metadata.generation = Some(1);
    let unread = "Unknown(Pending) The catalog behind northwind-services was not read yet.";
    assert_eq!(says_by(&mut service, None), [unread, unread]);
    for known in [
        catalog("data-backup", "standard"),
        catalog("scan", "standard"),
    ] {
        let by_catalog = says_by(&mut service, Some(&known));
        assert_eq!(says_by(&mut service, None), by_catalog);
    }
    // An edit may have corrected it.
    service.metadata.generation = Some(2);
    assert_eq!(says_by(&mut service, None), [unread, unread]);
    // A Connection that was missing says nothing of the catalog behind it.
    let missing = ObservedServer::default();
    let unreadable = UnreadableObjects::default();
    service.status = Some(report_service(
        &service,
        missing,
        &unreadable,
        &users(0),
        NOW,
    ));
    assert_eq!(says_by(&mut service, None), [unread, unread]);
}
