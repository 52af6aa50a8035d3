//! Report of a SmartService.
//!
//! Decides its conditions: whether its own fields can be used, and whether all that it names exists,
//! down to the offering and the plan in the broker's catalog. It must never ask a broker: the
//! catalogue controller has the catalog as it was last read. Called by that controller.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Connection, Protocol, ServerSide, SmartService, SmartServiceStatus, ValueSource, ValueType,
        When,
    },
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{RESOLVED, Users};
use crate::{
    condition::{ConditionSet, Status, Summary, Work, find, sentence},
    delivery::missing_offering,
    parameter::{Constraints, parse_value},
    promise::{WITHOUT_CREDIT, is_without_credit},
    remote::Catalog,
    unreadable::{Referent, UnreadableObjects},
};

/// Observations of the server of a SmartService, and of the destinations of its data and orders.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObservedServer<'a> {
    /// Its Connection, if that is at hand.
    pub connection: Option<&'a Connection>,
    /// The Connection of the data, if that is at hand.
    pub data: Option<&'a Connection>,
    /// The Connection of the orders, if that is at hand.
    pub orders: Option<&'a Connection>,
    /// The catalog behind it as it was last read; `None` before the first time.
    pub catalog: Option<&'a Catalog>,
}

/// State of the objects and the offering that a service names.
enum References {
    Found,
    Missing(Reason, String),
    /// The catalog was not read yet.
    Unread(String),
}

/// Returns the status of a SmartService. If a Connection that it names is not at hand, `unreadable` says
/// whether it exists.
pub fn report_service(
    service: &SmartService,
    server: ObservedServer<'_>,
    unreadable: &UnreadableObjects,
    users: &Users,
    now: Timestamp,
) -> SmartServiceStatus {
    let previous = service.status.clone().unwrap_or_default();
    let generation = service.metadata.generation;
    let fault = duration_fault(service)
        .or_else(|| parameter_fault(service))
        .or_else(|| remedy_fault(service))
        .or_else(|| protocol_fault("server", server.connection, Protocol::OSB))
        .or_else(|| protocol_fault("data", server.data, Protocol::HTTP))
        .or_else(|| protocol_fault("orders", server.orders, Protocol::HTTP));
    let references = references(service, server, unreadable);
    let refused = fault
        .clone()
        .map(|message| (Reason::UnsupportedValue, message));
    let set = ConditionSet::new(&previous.conditions, generation, now).with_fault(
        ConditionType::Accepted,
        refused,
        (Reason::Valid, "The service is valid."),
    );
    let condition = ConditionType::ResolvedRefs;
    let set = match &references {
        References::Found => set.with_fault(condition, None, RESOLVED),
        References::Missing(reason, message) => {
            set.with(condition, Status::False, *reason, message.clone())
        }
        References::Unread(message) => {
            set.with(condition, Status::Unknown, Reason::Pending, message.clone())
        }
    };
    let summary = users.or_wait(service_summary(fault, references), service);
    SmartServiceStatus {
        observed_generation: summary.observed_generation(generation, previous.observed_generation),
        conditions: summary.state(set).finish(),
        used_by: Some(users.count()),
    }
}

/// Returns the state of all that a service names.
fn references(
    service: &SmartService,
    server: ObservedServer<'_>,
    unreadable: &UnreadableObjects,
) -> References {
    let of_server = references_of_server(service, server, unreadable);
    let data = service.spec.data.as_ref().map(|it| &it.connection_ref);
    let orders = service.spec.orders.as_ref().map(|it| &it.connection_ref);
    let missing = data.filter(|_| server.data.is_none());
    let missing = missing.or_else(|| orders.filter(|_| server.orders.is_none()));
    match missing {
        Some(missing) if !matches!(of_server, References::Missing(..)) => {
            not_at_hand(&missing.name, unreadable)
        }
        _ => of_server,
    }
}

fn not_at_hand(connection: &str, unreadable: &UnreadableObjects) -> References {
    let (reason, message) = unreadable.not_at_hand(Referent::Connection, connection);
    References::Missing(reason, sentence(&message))
}

/// Returns the state of all that the server side of a service names. While its catalog was not read
/// since the start of the process, what was said of this spec before still holds.
fn references_of_server(
    service: &SmartService,
    server: ObservedServer<'_>,
    unreadable: &UnreadableObjects,
) -> References {
    let Some(side) = &service.spec.server else {
        return References::Found;
    };
    let name = &side.connection_ref.name;
    let Some(connection) = server.connection else {
        return not_at_hand(name, unreadable);
    };
    if connection.spec.protocol != Protocol::OSB {
        return References::Found;
    }
    match server.catalog {
        Some(catalog) => missing(catalog, side),
        None => said_before(service).unwrap_or_else(|| {
            References::Unread(format!("The catalog behind {name} was not read yet."))
        }),
    }
}

fn missing(catalog: &Catalog, side: &ServerSide) -> References {
    match missing_offering(catalog, side) {
        None => References::Found,
        Some(message) => {
            let message = format!("spec.server names what does not exist: {message}.");
            References::Missing(Reason::OfferingNotFound, message)
        }
    }
}

/// Returns the state that the status has of this spec by a catalog, if it has one.
fn said_before(service: &SmartService) -> Option<References> {
    let conditions = &service.status.as_ref()?.conditions;
    let before = find(conditions, ConditionType::ResolvedRefs)?;
    if before.observed_generation != service.metadata.generation {
        return None;
    }
    if before.reason == Reason::Resolved.as_str() {
        return Some(References::Found);
    }
    let message = before.message.to_string();
    let is_by_catalog = before.reason == Reason::OfferingNotFound.as_str();
    is_by_catalog.then_some(References::Missing(Reason::OfferingNotFound, message))
}

/// Returns the summary of a SmartService: its own fault comes before a missing reference.
fn service_summary(fault: Option<String>, references: References) -> Summary {
    match (fault, references) {
        (Some(message), _) => Summary::open(Reason::UnsupportedValue, message, Work::Stalled),
        (None, References::Missing(reason, message)) => {
            Summary::open(reason, message, Work::of(reason))
        }
        (None, References::Unread(message)) => Summary::unknown(Reason::Pending, message),
        (None, References::Found) => {
            Summary::done(Reason::Succeeded, "The service can be used by contracts.")
        }
    }
}

/// Returns the fault of a Connection that a member names and that has another protocol than it needs.
fn protocol_fault(
    member: &str,
    connection: Option<&Connection>,
    needed: Protocol,
) -> Option<String> {
    let connection = connection.filter(|it| it.spec.protocol != needed)?;
    Some(format!(
        "spec.{member}.connectionRef names the Connection {}, which has protocol {:?}: must be one of \
         protocol {needed:?}.",
        connection.name_any(),
        connection.spec.protocol
    ))
}

/// Returns the fault of a remedy by which nothing would ever be owed. The schema refuses it; one that
/// was stored before is said.
fn remedy_fault(service: &SmartService) -> Option<String> {
    let mut remedies = service.spec.remedies.iter();
    let found = remedies.find(|remedy| is_without_credit(remedy))?;
    Some(format!("spec.remedies[{}] {WITHOUT_CREDIT}.", found.name))
}

/// Returns the fault of a duration in the service's spec.
fn duration_fault(service: &SmartService) -> Option<String> {
    let level = service.spec.service_level.as_ref();
    let level = level.map(|level| ("serviceLevel.allowed", &level.allowed));
    let bounds = service.spec.bounds.as_ref();
    let bounds = bounds.map(|bounds| ("bounds.promisesBefore", &bounds.promises_before));
    let acceptance = service.spec.acceptance.as_ref();
    let within = acceptance.map(|acceptance| ("acceptance.within", &acceptance.within));
    let durations = [("stepTimeout", &service.spec.step_timeout)];
    durations
        .into_iter()
        .chain(within)
        .chain(level)
        .chain(bounds)
        .find_map(|(field, found)| {
            let error = found.length().err()?;
            Some(format!("spec.{field}: {error}."))
        })
}

/// Returns the fault of a parameter: a default that the parameter itself does not allow, or a value
/// from a parameter that does not exist.
fn parameter_fault(service: &SmartService) -> Option<String> {
    let parameters = &service.spec.parameters;
    for parameter in parameters {
        let Some(default) = &parameter.default else {
            continue;
        };
        let constraints = Constraints::of_parameter(parameter);
        if let Err(error) = parse_value(&parameter.name, default, parameter.r#type, &constraints) {
            return Some(format!(
                "The default of a parameter cannot be used: {error}."
            ));
        }
    }
    let device = service.spec.device.iter().flat_map(|side| &side.settings);
    let server = service.spec.server.iter().flat_map(|side| &side.settings);
    let named = device
        .map(|setting| (&setting.name, &setting.value_from, &setting.when))
        .chain(server.map(|setting| (&setting.name, &setting.value_from, &setting.when)));
    for (setting, source, when) in named {
        if let Some(fault) = secret_fault(service, setting, source.as_ref(), when.as_ref()) {
            return Some(fault);
        }
        let from = source.as_ref().and_then(|source| source.parameter.as_ref());
        for name in from
            .into_iter()
            .chain(when.as_ref().map(|when| &when.parameter))
        {
            if !parameters.iter().any(|parameter| parameter.name == *name) {
                return Some(format!(
                    "The setting {setting} names the parameter {name}, which the service does not \
                     have."
                ));
            }
        }
    }
    None
}

/// Returns the fault of a secret that decides something: the decision would reveal it.
fn secret_fault(
    service: &SmartService,
    setting: &str,
    source: Option<&ValueSource>,
    when: Option<&When>,
) -> Option<String> {
    let is_secret = |name: &str| {
        let mut parameters = service.spec.parameters.iter();
        parameters.any(|one| one.name == name && one.r#type == ValueType::Secret)
    };
    let asked = when.filter(|when| is_secret(&when.parameter));
    let mapped = source.filter(|source| {
        let parameter = source.parameter.as_deref().unwrap_or_default();
        !source.map.is_empty() && is_secret(parameter)
    });
    (asked.is_some() || mapped.is_some()).then(|| {
        format!(
            "The setting {setting} has a when or a map on a parameter of type Secret: must be a \
             parameter of another type."
        )
    })
}
