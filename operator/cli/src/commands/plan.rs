//! `plan`: what the operator would do if files were applied now. It writes nothing.
//!
//! The objects of the cluster with those of the files over them are the world; the domain decides on it,
//! as in the operator.

mod effects;
mod read;
mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::rules;
use entente_crds::v1alpha1::{Connection, DeviceModel, SmartService};
use entente_domain::views::ChangePlan;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::effects::effects;
use self::read::{Cached, read};
use self::references::dangling;
use super::CommandError;
use crate::args::FilesArgs;
use crate::cluster::{Cluster, ClusterError};
use crate::judge::{Finding, Verdict, by_schema};
use crate::manifests::{self, Manifest};
use crate::outcome::{Code, Outcome};
use crate::render::{self, Shown};
use crate::screen::Screen;
use crate::world::Objects;

/// Effect of applying files.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    /// Each object of the files, beside that of the cluster.
    pub(crate) objects: Vec<Applied>,
    /// Faults of objects that are no contracts, such as a name that does not exist.
    pub(crate) faults: Vec<String>,
    /// Each contract that is in the files, or of which an amendment or notice is.
    pub(crate) contracts: Vec<ChangePlan>,
    /// Other contracts for which something would be different, the first ones.
    pub(crate) others: Vec<ChangePlan>,
    /// Number of other contracts that are not shown.
    pub(crate) more: usize,
}

/// An object of a file, beside that of the cluster.
#[derive(Debug, Serialize)]
pub(crate) struct Applied {
    /// Kind, namespace and name.
    pub(crate) object: String,
    /// True if the cluster does not have it.
    pub(crate) new: bool,
    /// Fields of its spec that differ from the cluster's.
    pub(crate) differs: Vec<String>,
    /// Of a SmartService: its settings and parameters that differ, and the number of users. Of a
    /// DeviceEnrollment: the number of its devices. Of a new Device: a machine that waits for it.
    pub(crate) details: Vec<String>,
}

pub(super) async fn run(
    cluster: &Cluster,
    args: &FilesArgs,
    screen: &Screen,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let manifests = manifests::read(&args.filename, cluster.namespace())?;
    let mut cached = read(cluster, &manifests.objects).await?;
    let verdict = judge(&manifests.objects, &cached);
    if !verdict.faults.is_empty() {
        let text = || Shown::Text(render::verdict(&verdict, "", screen));
        return Ok(render::outcome(&verdict, args.output, Code::Error, text));
    }
    let (before, _) = decoded(&cached);
    let mut objects = Vec::new();
    for manifest in &manifests.objects {
        objects.push(apply(manifest, &mut cached, now));
    }
    let (after, unread) = decoded(&cached);
    let unlisted = &cached.unlisted;
    let effects = effects(&manifests.objects, &before, &after, unlisted, now);
    let plan = Plan {
        faults: dangling(&manifests.objects, &after, unlisted, now),
        contracts: effects.named,
        others: effects.others,
        more: effects.more,
        objects,
    };
    let code = code(&plan, effects.breaks_others);
    let text = || Shown::Text(render::plan(&plan, screen));
    let outcome = render::outcome(&plan, args.output, code, text);
    Ok(outcome.with_notes(cached.unread.into_iter().chain(unread)))
}

/// Returns 3 if something of the files would be refused, 2 if something speaks against it here or for
/// another contract, else 0.
fn code(plan: &Plan, breaks_others: bool) -> Code {
    let mut all = plan.contracts.iter();
    if all.any(|it| !it.refused.is_empty() || !it.refused_parts.is_empty()) {
        Code::Failed
    } else if breaks_others
        || !plan.faults.is_empty()
        || plan.contracts.iter().any(ChangePlan::has_objections)
    {
        Code::InProgress
    } else {
        Code::Settled
    }
}

/// Judges the objects as the API server would: each new one, and each change of one that is there.
fn judge(manifests: &[Manifest], cached: &Cached) -> Verdict {
    let mut verdict = Verdict {
        objects: manifests.len(),
        ..Verdict::default()
    };
    for manifest in manifests {
        let mut faults = by_schema(manifest);
        if let (Some(rules), Some(old), true) = (
            rules::of_kind(&manifest.kind),
            cached.values.get(&key(manifest)),
            faults.is_empty(),
        ) {
            let new = with_spec(old, manifest);
            let complaints = rules.complaints(Some(old), &new).into_iter();
            faults.extend(complaints.map(|it| format!("{}: {}", it.field_path, it.message)));
        }
        let faults = faults.into_iter();
        verdict
            .faults
            .extend(faults.map(|it| Finding::new(manifest, it)));
    }
    verdict
}

fn key(manifest: &Manifest) -> (String, String, String) {
    (
        manifest.kind.clone(),
        manifest.namespace.clone(),
        manifest.name.clone(),
    )
}

/// Returns the object of the cluster with spec and labels of the file.
fn with_spec(old: &Value, manifest: &Manifest) -> Value {
    let mut new = old.clone();
    new["spec"] = manifest.object["spec"].clone();
    for part in ["labels", "annotations"] {
        let more = manifest.object["metadata"][part].as_object();
        for (name, value) in more.into_iter().flatten() {
            new["metadata"][part][name] = value.clone();
        }
    }
    match rules::of_kind(&manifest.kind) {
        Some(rules) => rules.stored(&new),
        None => new,
    }
}

/// Puts an object of a file over that of the cluster.
fn apply(manifest: &Manifest, cached: &mut Cached, now: Timestamp) -> Applied {
    let old = cached.values.get(&key(manifest));
    let new = match old {
        Some(old) => edited(old, manifest),
        None => created(manifest, now),
    };
    let applied = Applied {
        object: manifest.title(),
        new: old.is_none(),
        differs: old.map_or_else(Vec::new, |old| differing(&old["spec"], &new["spec"])),
        details: match old {
            Some(old) => details(manifest, old, &new),
            None => waiting(manifest, cached).into_iter().collect(),
        },
    };
    cached.values.insert(key(manifest), new);
    applied
}

/// Returns an object of the cluster after the edit, with another generation if its spec differs.
fn edited(old: &Value, manifest: &Manifest) -> Value {
    let mut new = with_spec(old, manifest);
    let generation = old["metadata"]["generation"].as_i64();
    if let Some(generation) = generation.filter(|_| new["spec"] != old["spec"]) {
        new["metadata"]["generation"] = json!(generation + 1);
    }
    new
}

/// Returns an object as the API server would make it now.
fn created(manifest: &Manifest, now: Timestamp) -> Value {
    let mut new = manifest.object.clone();
    if !manifest.namespace.is_empty() {
        new["metadata"]["namespace"] = json!(manifest.namespace);
    }
    // The API server's clock has whole seconds.
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    new["metadata"]["creationTimestamp"] = json!(second);
    new["metadata"]["generation"] = json!(1);
    new["metadata"]["uid"] = json!(manifest.title());
    let rules = rules::of_kind(&manifest.kind);
    match rules {
        Some(rules) => rules.stored(&new),
        None => new,
    }
}

fn differing(old: &Value, new: &Value) -> Vec<String> {
    let fields = [old, new].into_iter().filter_map(Value::as_object);
    let fields: BTreeSet<&String> = fields.flat_map(|it| it.keys()).collect();
    let fields = fields
        .into_iter()
        .filter(|field| old[&**field] != new[&**field]);
    fields.map(|field| format!("spec.{field}")).collect()
}

/// Returns the settings and parameters of a SmartService that differ, with the number of its users; of a
/// DeviceEnrollment the number of its devices.
fn details(manifest: &Manifest, old: &Value, new: &Value) -> Vec<String> {
    if old["spec"] == new["spec"] {
        return Vec::new();
    }
    if manifest.kind == "DeviceEnrollment" {
        let count = |field: &str| old["status"][field].as_i64().unwrap_or_default();
        let (registered, waiting) = (count("registered"), count("pendingCount"));
        return vec![format!(
            "devices that are registered by it and stay so: {registered}; that wait: {waiting}"
        )];
    }
    if manifest.kind != "SmartService" {
        return Vec::new();
    }
    let mut details = Vec::new();
    for (words, pointer) in [
        ("settings of the device", "/spec/device/settings"),
        ("settings of the service server", "/spec/server/settings"),
        ("parameters", "/spec/parameters"),
    ] {
        let (old, new) = (by_name(old, pointer), by_name(new, pointer));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let differing = names
            .into_iter()
            .filter_map(|name| match (old.get(name), new.get(name)) {
                (None, Some(_)) => Some(format!("{name} (new)")),
                (Some(_), None) => Some(format!("{name} (gone)")),
                (old, new) => (old != new).then(|| name.clone()),
            });
        let differing: Vec<String> = differing.collect();
        if !differing.is_empty() {
            details.push(format!("{words}: {}", differing.join(", ")));
        }
    }
    let users = old["status"]["usedBy"].as_i64().unwrap_or_default();
    details.push(format!("subscriptions that use it: {users}"));
    details
}

/// Returns a sentence about a device that has called and waits for this new Device.
fn waiting(manifest: &Manifest, cached: &Cached) -> Option<String> {
    let serial_number = manifest.object["spec"]["serialNumber"].as_str();
    let mut twins = cached.values.iter().filter(|((kind, namespace, _), _)| {
        (&**kind, &*manifest.kind, namespace) == ("DeviceTwin", "Device", &manifest.namespace)
    });
    let registration = twins.find_map(|(_, twin)| {
        let registration = &twin["status"]["registration"];
        let is_it = twin["spec"]["deviceRef"].is_null()
            && serial_number.is_some()
            && registration["serialNumber"].as_str() == serial_number;
        is_it.then_some(registration)
    })?;
    let word = |field: &str| registration[field].as_str().unwrap_or_default();
    Some(format!(
        "a {} with its serial number waits since {}: it registers with its next call if its model has \
         that product name",
        word("productName"),
        word("at")
    ))
}

fn by_name<'a>(object: &'a Value, pointer: &str) -> BTreeMap<String, &'a Value> {
    let all = object.pointer(pointer).and_then(Value::as_array);
    let all = all.into_iter().flatten();
    let named = all.filter_map(|it| Some((it["name"].as_str()?.to_owned(), it)));
    named.collect()
}

/// Returns the objects as their types, and a sentence for each that this version cannot read.
fn decoded(cached: &Cached) -> (Objects, Vec<String>) {
    fn all<K: DeserializeOwned>(
        cached: &Cached,
        kind: &str,
        unread: &mut Vec<String>,
    ) -> Vec<Arc<K>> {
        let found = cached.values.iter().filter(|((of, ..), _)| of == kind);
        let mut objects = Vec::new();
        for ((kind, namespace, name), value) in found {
            match serde_json::from_value(value.clone()) {
                Ok(object) => objects.push(Arc::new(object)),
                Err(error) => {
                    let what = format!("{kind} {namespace}/{name}");
                    unread.push(ClusterError::unreadable(what, &error).to_string());
                }
            }
        }
        objects
    }
    let mut unread = Vec::new();
    let services: Vec<Arc<SmartService>> = all(cached, "SmartService", &mut unread);
    let models: Vec<Arc<DeviceModel>> = all(cached, "DeviceModel", &mut unread);
    let connections: Vec<Arc<Connection>> = all(cached, "Connection", &mut unread);
    let namespaces: Vec<Arc<Namespace>> = all(cached, "Namespace", &mut unread);
    let labels = namespaces
        .iter()
        .map(|it| (it.name_any(), it.labels().clone()));
    let objects = Objects {
        contracts: all(cached, "Contract", &mut unread),
        amendments: all(cached, "ContractAmendment", &mut unread),
        notices: all(cached, "ContractNotice", &mut unread),
        devices: all(cached, "Device", &mut unread),
        sites: all(cached, "Site", &mut unread),
        twins: all(cached, "DeviceTwin", &mut unread),
        enrollments: all(cached, "DeviceEnrollment", &mut unread),
        subscriptions: all(cached, "ServiceSubscription", &mut unread),
        services: services.into_iter().map(|it| (it.name_any(), it)).collect(),
        models: models.into_iter().map(|it| (it.name_any(), it)).collect(),
        connections: connections
            .into_iter()
            .map(|it| (it.name_any(), it))
            .collect(),
        namespaces: labels.collect(),
    };
    (objects.at_sites(), unread)
}

#[cfg(test)]
mod tests;
