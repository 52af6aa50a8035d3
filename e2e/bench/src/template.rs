//! What the dumb client sends: the operator's own requests and objects for one device, taken from
//! the ledger and the API server, with names to be put in for the others.
//!
//! It adds nothing and leaves nothing out but repetitions: a device is read twice and each group of
//! settings written once, an instance fetched three times, provisioned and updated once.

use entente_crds::v1alpha1::ServiceSubscription;
use entente_simulators::{AttributeValue, Entry, PeerKind};
use kube::Resource as _;
use serde::Serialize;
use serde_json::{Map, Value};

use super::BenchError;
use super::customer::Customer;
use super::dumb::{Script, Setting};

/// The script of one device that was delivered by the operator.
pub(super) async fn of(customer: &Customer<'_>, contract: &str) -> Result<Script, BenchError> {
    let namespace = &customer.namespace;
    let simulated = &customer.fleet.devices()[0];
    let name = simulated.name();
    let (subscription, device) = tokio::join!(
        namespace.subscription(contract, "backup", name),
        namespace.read_device(name)
    );
    let (Some(subscription), Some(device)) = (subscription, device) else {
        return Err(lacking("the objects of the first device"));
    };
    let entries = namespace.ledger().entries();
    let of_device = |operation: &str| {
        let of = |e: &&Entry| e.peer == PeerKind::Device && e.name == name && !e.probe;
        entries.iter().filter(of).find(|e| e.operation == operation)
    };
    let subscription_name = subscription.metadata.name.clone().unwrap_or_default();
    let of_server = |operation: &str| {
        let of = |e: &&Entry| e.value("/context/instance_name") == Some(&subscription_name);
        entries.iter().filter(of).find(|e| e.operation == operation)
    };
    let get = of_device("Get-Printer-Attributes").ok_or_else(|| lacking("a reading"))?;
    let sets = entries
        .iter()
        .filter(|entry| entry.name == name && entry.operation == "Set-Printer-Attributes");
    let provision = of_server("provision").ok_or_else(|| lacking("a provision"))?;
    let update = of_server("update").ok_or_else(|| lacking("an update"))?;
    Ok(Script {
        name: name.to_owned(),
        serial_number: simulated.serial_number(),
        get: get.attributes.iter().map(|a| a.name.clone()).collect(),
        set: sets.map(|set| settings(&set.attributes)).collect(),
        provision: body(&provision.attributes),
        update: body(&update.attributes),
        device_status: json(&device.status)?,
        settled_status: json(&subscription.status)?,
        subscription: as_created(subscription)?,
    })
}

/// The object as the operator sends it first. Without its owner: the garbage collector would find
/// none where the dumb client works.
fn as_created(mut subscription: ServiceSubscription) -> Result<Value, BenchError> {
    subscription.status = None;
    let meta = subscription.meta_mut();
    meta.owner_references = None;
    meta.resource_version = None;
    meta.uid = None;
    meta.generation = None;
    meta.creation_timestamp = None;
    meta.managed_fields = None;
    json(&subscription)
}

fn settings(attributes: &[AttributeValue]) -> Vec<Setting> {
    let value = |attribute: &AttributeValue| attribute.value.clone().unwrap_or_default();
    attributes
        .iter()
        .map(|attribute| Setting {
            text: value(attribute).contains("://"),
            attribute: attribute.name.clone(),
            value: value(attribute),
        })
        .collect()
}

/// A body made again from its leaves.
fn body(leaves: &[AttributeValue]) -> Value {
    let mut body = Value::Object(Map::new());
    for leaf in leaves {
        let mut place = &mut body;
        for part in leaf.name.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[part];
        }
        let text = leaf.value.clone().unwrap_or_default();
        // A leaf of the ledger is text: arrays and truth values are told by their form.
        *place = match serde_json::from_str(&text) {
            Ok(value @ (Value::Bool(_) | Value::Array(_))) => value,
            _ => Value::String(text),
        };
    }
    body
}

fn json(value: &impl Serialize) -> Result<Value, BenchError> {
    serde_json::to_value(value).map_err(|source| BenchError::Json {
        what: "cannot write an object as JSON".to_owned(),
        source,
    })
}

fn lacking(what: &str) -> BenchError {
    BenchError::Dumb {
        problem: format!("the operator's run does not show {what}"),
    }
}
