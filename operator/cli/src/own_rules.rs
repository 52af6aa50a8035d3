//! The operator's own rules for one object at a time, of files or of a cluster with files over it.
//!
//! Decides nothing: each fault is the message of a condition that the operator would write, or of a policy
//! of the chart. It reads no Secret. Called by `validate` and `plan`.

use std::collections::BTreeSet;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{
    AllowEntry, Condition, Connection, ConnectionSpec, Device, DeviceEnrollment, DeviceModel,
    Protocol, SmartService,
};
use entente_domain::catalogue::{ObservedConnection, Users, report_connection, report_model};
use entente_domain::condition::find;
use entente_domain::delivery::{allows, longer_than_a_week, too_long_for_windows, unserved};
use entente_domain::enrollment::{ObservedEnrollment, report_enrollment};
use entente_domain::gateway::artifacts::leads_to;
use entente_domain::unreadable::UnreadableObjects;
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value;

use crate::world::Objects;

/// Kinds that nobody applies, with the words of the policy of the chart that refuses them.
const WRITTEN_BY_THE_OPERATOR: [(&str, &str); 2] = [
    (
        "DeviceTwin",
        "only the operator writes DeviceTwins; change the Device or the Contract instead",
    ),
    (
        "ServiceSubscription",
        "only the operator writes ServiceSubscriptions; change the Contract instead",
    ),
];

/// The same of the status of a twin.
const STATUS_OF_A_TWIN: &str = "only the gateway writes the status of DeviceTwins";

/// Returns the faults of an object of a kind that nobody applies.
pub(crate) fn not_applied(kind: &str, object: &Value) -> Vec<String> {
    let mut all = WRITTEN_BY_THE_OPERATOR.iter();
    let Some((kind, words)) = all.find(|(of, _)| *of == kind) else {
        return Vec::new();
    };
    let of_status = *kind == "DeviceTwin" && object.get("status").is_some_and(Value::is_object);
    let status = of_status.then_some(STATUS_OF_A_TWIN);
    let all = [*words].into_iter().chain(status);
    all.map(str::to_owned).collect()
}

/// Returns the faults of a Connection that no schema knows.
pub(crate) fn of_connection(connection: &Connection, now: Timestamp) -> Vec<String> {
    let observed = ObservedConnection::default();
    let status = report_connection(connection, &observed, now);
    refusals(&status.conditions)
}

/// Returns the faults of a DeviceModel that no schema knows.
pub(crate) fn of_model(model: &DeviceModel, now: Timestamp) -> Vec<String> {
    let status = report_model(model, &Users::default(), now);
    refusals(&status.conditions)
}

/// Returns the messages of conditions that speak against an object.
fn refusals(conditions: &[Condition]) -> Vec<String> {
    let ready = find(conditions, ConditionType::Ready).filter(|it| it.status == "False");
    ready.iter().map(|it| it.message.to_string()).collect()
}

/// Returns a sentence about the files of a model to which no Connection leads; `None` if there is none.
pub(crate) fn unfetchable(model: &DeviceModel, objects: &Objects) -> Option<String> {
    let firmware = model.spec.firmware.iter().map(|it| &it.artifact.url);
    let applications = model.spec.applications.iter();
    let urls = firmware.chain(applications.map(|it| &it.artifact.url));
    let leads = |url: &String| objects.connections.values().any(|it| leads_to(it, url));
    let without: Vec<&String> = urls.filter(|url| !leads(url)).collect();
    let (first, others) = without.split_first()?;
    let more = match others.len() {
        0 => String::new(),
        number => format!(" and {number} more of its files"),
    };
    Some(format!(
        "no Connection of protocol HTTP leads to {first}{more}, so that the gateway cannot fetch that; \
         http.url of one must be a beginning of the URL"
    ))
}

/// Returns a sentence about software that a service needs and that no model can give to a device.
pub(crate) fn without_software(service: &SmartService, objects: &Objects) -> Vec<String> {
    let models = service.spec.device.iter().flat_map(|side| &side.models);
    let known = models.filter_map(|needs| Some((needs, objects.models.get(&needs.name)?)));
    known
        .flat_map(|(needs, model)| unserved(needs, model))
        .collect()
}

/// Returns a sentence about each maintenance window of a Device that is longer than one can be, and about
/// each installation for which they are too short.
pub(crate) fn odd_windows(device: &Device, objects: &Objects, now: Timestamp) -> Vec<String> {
    let mut found = longer_than_a_week(device);
    if let Some(model) = objects.models.get(&device.spec.model_ref.name) {
        found.extend(too_long_for_windows(device, model, now));
    }
    found
}

/// Verdict on a DeviceEnrollment.
#[derive(Debug, Default)]
pub(crate) struct OfEnrollment {
    /// Reasons for which nobody can register by it.
    pub(crate) faults: Vec<String>,
    /// Sentences about one that is as it should be, and lets nobody in: it has ended, or is suspended.
    pub(crate) notes: Vec<String>,
}

/// Judges a DeviceEnrollment. `None` for a connection that is not known: it counts as a gateway that the
/// namespace may use.
pub(crate) fn of_enrollment(
    enrollment: &DeviceEnrollment,
    connection: Option<&Connection>,
    objects: &Objects,
    now: Timestamp,
) -> OfEnrollment {
    let open = any_gateway(&enrollment.spec.connection_ref.name);
    let all: Vec<&DeviceEnrollment> = objects.enrollments.iter().map(|it| &**it).collect();
    let namespace = enrollment.namespace();
    let labels = objects.labels_of(namespace.as_deref().unwrap_or_default());
    let twins = objects
        .twins
        .iter()
        .filter(|it| it.namespace() == namespace);
    let twins = twins.filter(|twin| {
        let status = twin.status.as_ref();
        let registration = status.and_then(|status| status.registration.as_ref());
        registration.is_some_and(|it| it.enrollment == enrollment.name_any())
    });
    let twins: Vec<_> = twins.map(|it| &**it).collect();
    let observed = ObservedEnrollment {
        connection: Some(connection.unwrap_or(&open)),
        namespace_labels: &labels,
        token_fault: None,
        twins: &twins,
        enrollments: &all,
        unreadable: &UnreadableObjects::default(),
    };
    let status = report_enrollment(enrollment, &observed, now);
    let ready = find(&status.conditions, ConditionType::Ready);
    let lets_nobody_in = ready.filter(|it| it.status == "True" && it.reason != "Succeeded");
    OfEnrollment {
        faults: refusals(&status.conditions),
        notes: lets_nobody_in
            .iter()
            .map(|it| it.message.to_string())
            .collect(),
    }
}

fn any_gateway(name: &str) -> Connection {
    let spec = ConnectionSpec {
        protocol: Protocol::Agent,
        allow: vec![AllowEntry::default()],
        ..ConnectionSpec::default()
    };
    Connection::new(name, spec)
}

/// True if a Connection allows a namespace, by the labels of it that are known.
pub(crate) fn is_allowed(connection: &Connection, namespace: &str, objects: &Objects) -> bool {
    allows(connection, &objects.labels_of(namespace)).is_some()
}

/// Returns the names of the DeviceModels that a service names and that are not at hand.
pub(crate) fn missing_models<'a>(
    service: &'a SmartService,
    objects: &Objects,
) -> BTreeSet<&'a str> {
    let models = service.spec.device.iter().flat_map(|side| &side.models);
    let needs = models.filter(|it| it.minimum_firmware.is_some() || !it.applications.is_empty());
    let missing = needs.filter(|it| !objects.models.contains_key(&it.name));
    missing.map(|it| it.name.as_str()).collect()
}

#[cfg(test)]
mod tests;
