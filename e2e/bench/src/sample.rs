//! The requests of the dumb client: the operator's own requests and objects for one device, from a
//! run of its own, with placeholders for the names of the others.
//!
//! Every status that the operator writes is recorded by a watch, the owner included, so that the
//! dumb client writes the same bytes as often. It adds nothing and leaves nothing out but
//! repetitions: a device is read twice and each group of settings written once, an instance fetched
//! three times, provisioned and updated once.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use entente_crds::v1alpha1::{Contract, Device, ServiceSubscription};
use entente_e2e::control_plane::AuditEvent;
use entente_e2e::namespace;
use entente_simulators::{AttributeValue, Entry, PeerKind};
use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::customer::{Customer, contract_name};
use super::dumb::{Script, Setting, Target};
use super::{BenchError, NAMESPACE, QUIET, audit_failed, environment, operator_failed, say};

/// Lets the operator deliver one device, and returns its requests.
pub(super) async fn make() -> Result<Script, BenchError> {
    say("  one device by the operator, for the dumb client to copy");
    let mut environment = environment().await?;
    let (plane, view) = (&environment.plane, environment.operator.view());
    let customer = Customer::new(plane, view, NAMESPACE, 1, 0).await?;
    customer.apply().await?;
    customer.until_quiet(QUIET).await?;

    let contract = contract_name(0);
    let device = customer.names()[0].to_owned();
    let subscription = format!("{contract}.backup.{device}");
    let position = plane.audit_position().await.map_err(audit_failed)?;
    let of_subscription = Statuses::of(
        customer.namespace.api::<ServiceSubscription>(),
        &subscription,
    )
    .await?;
    let of_device = Statuses::of(customer.namespace.api::<Device>(), &device).await?;
    let contracts = customer.contracts(namespace::now());
    customer.apply_contracts(&contracts).await?;
    customer.until_delivered(&contracts, 0).await?;
    customer.until_quiet(QUIET).await?;

    let events = plane.audit_events_since(position).await;
    let events = events.map_err(audit_failed)?;
    let statuses = of_subscription.seen(&events)?;
    let device_statuses = of_device.seen(&events)?;
    let script = of(&customer, &subscription, statuses, device_statuses).await?;
    drop(customer);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(script)
}

async fn of(
    customer: &Customer<'_>,
    subscription: &str,
    statuses: Vec<Value>,
    device_statuses: Vec<Value>,
) -> Result<Script, BenchError> {
    let simulated = &customer.fleet.devices()[0];
    let name = simulated.name();
    let contract = contract_name(0);
    let namespace = &customer.namespace;
    let (object, owner) = tokio::join!(
        namespace.get::<ServiceSubscription>(subscription),
        namespace.get::<Contract>(&contract)
    );
    let (Some(object), Some(owner)) = (object, owner) else {
        return Err(lacking("the objects of the device"));
    };
    let entries = namespace.ledger().entries();
    let of_device = |operation: &str| {
        let of = |e: &&Entry| e.peer == PeerKind::Device && e.name == name && !e.probe;
        entries.iter().filter(of).find(|e| e.operation == operation)
    };
    let of_server = |operation: &str| {
        let of = |e: &&Entry| e.value("/context/instance_name") == Some(subscription);
        entries.iter().filter(of).find(|e| e.operation == operation)
    };
    let get = of_device("Get-Printer-Attributes").ok_or_else(|| lacking("a reading"))?;
    let sets = entries
        .iter()
        .filter(|entry| entry.name == name && entry.operation == "Set-Printer-Attributes");
    let provision = of_server("provision").ok_or_else(|| lacking("a provision"))?;
    let update = of_server("update").ok_or_else(|| lacking("an update"))?;
    Ok(Script {
        sample: Target {
            name: name.to_owned(),
            serial_number: simulated.serial_number(),
            address: simulated.address().to_string(),
            contract,
            contract_uid: owner.metadata.uid.unwrap_or_default(),
        },
        get: get.attributes.iter().map(|a| a.name.clone()).collect(),
        set: sets.map(|set| settings(&set.attributes)).collect(),
        provision: body(&provision.attributes),
        update: body(&update.attributes),
        subscription: as_created(object)?,
        statuses,
        device_statuses,
    })
}

/// The statuses that are written to one object, in their order.
struct Statuses {
    plural: String,
    name: String,
    seen: Arc<Mutex<Vec<Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Statuses {
    /// Watches the object of that name from now on; it need not exist yet.
    async fn of<K>(api: Api<K>, name: &str) -> Result<Self, BenchError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static,
    {
        let failed = |source: kube::Error| lacking(&format!("{name}: {source}"));
        let one = format!("metadata.name={name}");
        let found = api.list(&ListParams::default().fields(&one)).await;
        let found = found.map_err(failed)?;
        let version = found.metadata.resource_version.unwrap_or_default();
        let mut last = found.items.first().map(status).transpose()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let parameters = WatchParams::default().fields(&one);
            let Ok(stream) = api.watch(&parameters, &version).await else {
                return;
            };
            let mut stream = std::pin::pin!(stream);
            while let Some(Ok(event)) = stream.next().await {
                let (object, created) = match event {
                    WatchEvent::Added(object) => (object, true),
                    WatchEvent::Modified(object) => (object, false),
                    _ => continue,
                };
                let Ok(status) = status(&object) else { return };
                // What a create brings are the defaults of the schema.
                if !created && last.as_ref() != Some(&status) {
                    let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push(status.clone());
                }
                last = Some(status);
            }
        });
        Ok(Self {
            plural: K::plural(&()).into_owned(),
            name: name.to_owned(),
            seen,
            task,
        })
    }

    /// Returns the bodies of those of the writes that the audit log has.
    fn seen(self, events: &[AuditEvent]) -> Result<Vec<Value>, BenchError> {
        self.task.abort();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let written = events.iter().filter(|event| {
            event.is_write()
                && event.subresource == "status"
                && event.resource == self.plural
                && event.name == self.name
        });
        let written = written.count();
        if seen.is_empty() || seen.len() != written {
            let what = format!(
                "each of {written} statuses of {} ({})",
                self.name,
                seen.len()
            );
            return Err(lacking(&what));
        }
        Ok(seen.clone())
    }
}

fn status(object: &impl Serialize) -> Result<Value, BenchError> {
    Ok(json(object)?["status"].take())
}

/// Returns the object as the operator sends it first.
fn as_created(mut subscription: ServiceSubscription) -> Result<Value, BenchError> {
    subscription.status = None;
    let meta = subscription.meta_mut();
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

/// Returns a body made again from its leaves.
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
        // A leaf of the ledger is text: arrays and truth values are recognised by their form.
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
