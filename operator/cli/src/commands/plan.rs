//! `plan`: what the operator would do if files were applied now. It writes nothing.
//!
//! The objects of the cluster with those of the files over them are the world; the domain decides on it,
//! as in the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::rules;
use entente_crds::v1alpha1::{
    Connection, Contract, ContractAmendment, ContractNotice, Device, DeviceModel,
    ServiceSubscription, SmartService,
};
use entente_domain::views::{ChangePlan, change_plan};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::CommandError;
use crate::args::FilesArgs;
use crate::cluster::{Cluster, ClusterError, Place};
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
    /// Each contract that is in the files, or for which something would happen.
    pub(crate) contracts: Vec<ChangePlan>,
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
    /// Of a SmartService: its settings and parameters that differ, and the number of users.
    pub(crate) details: Vec<String>,
}

/// Objects of the cluster by kind, namespace and name.
#[derive(Default)]
struct Cached {
    values: BTreeMap<(String, String, String), Value>,
    unread: Vec<String>,
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
    let mut objects = Vec::new();
    for manifest in &manifests.objects {
        objects.push(apply(manifest, &mut cached, now));
    }
    let (world, unread) = decoded(&cached);
    let plan = Plan {
        contracts: contracts(&manifests.objects, &world, now),
        objects,
    };
    let text = || Shown::Text(render::plan(&plan, screen));
    let outcome = render::outcome(&plan, args.output, code(&plan), text);
    Ok(outcome.with_notes(cached.unread.into_iter().chain(unread)))
}

/// Returns 3 if something would be refused, 2 if something speaks against a start in time, else 0.
fn code(plan: &Plan) -> Code {
    let all = || plan.contracts.iter();
    if all().any(|it| !it.refused.is_empty()) {
        Code::Failed
    } else if all().any(|it| it.is_late || !it.missing.is_empty() || !it.risks.is_empty()) {
        Code::InProgress
    } else {
        Code::Settled
    }
}

async fn read(cluster: &Cluster, manifests: &[Manifest]) -> Result<Cached, ClusterError> {
    let mut cached = Cached::default();
    let everywhere = Place::Everywhere;
    list::<SmartService>(cluster, &everywhere, &mut cached).await?;
    list::<DeviceModel>(cluster, &everywhere, &mut cached).await?;
    list::<Connection>(cluster, &everywhere, &mut cached).await?;
    let namespaces = manifests.iter().map(|it| it.namespace.as_str());
    let mut namespaces: BTreeSet<&str> = namespaces.filter(|it| !it.is_empty()).collect();
    if namespaces.is_empty() {
        namespaces.insert(cluster.namespace());
    }
    for namespace in namespaces {
        let place = Place::Namespace(namespace.to_owned());
        list::<Contract>(cluster, &place, &mut cached).await?;
        list::<ContractAmendment>(cluster, &place, &mut cached).await?;
        list::<ContractNotice>(cluster, &place, &mut cached).await?;
        list::<Device>(cluster, &place, &mut cached).await?;
        list::<ServiceSubscription>(cluster, &place, &mut cached).await?;
    }
    Ok(cached)
}

/// Lists a kind. Only a catalogue that the caller may not read is passed over, with a note: without the
/// others a plan would be wrong.
async fn list<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    place: &Place,
    cached: &mut Cached,
) -> Result<(), ClusterError> {
    let listed = cluster.list_values::<K>(place, ListParams::default()).await;
    let values = match listed {
        Err(error) if error.is_partial() && *place == Place::Everywhere => {
            cached.unread.push(error.to_string());
            return Ok(());
        }
        listed => listed?,
    };
    for value in values {
        let word = |field: &str| {
            value["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let key = (K::kind(&()).into_owned(), word("namespace"), word("name"));
        cached.values.insert(key, value);
    }
    Ok(())
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
        Some(old) => with_spec(old, manifest),
        None => created(manifest, now),
    };
    let applied = Applied {
        object: manifest.title(),
        new: old.is_none(),
        differs: old.map_or_else(Vec::new, |old| differing(&old["spec"], &new["spec"])),
        details: old.map_or_else(Vec::new, |old| details(manifest, old, &new)),
    };
    cached.values.insert(key(manifest), new);
    applied
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

/// Returns the settings and parameters of a SmartService that differ, with the number of its users.
fn details(manifest: &Manifest, old: &Value, new: &Value) -> Vec<String> {
    if manifest.kind != "SmartService" || old["spec"] == new["spec"] {
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
    let objects = Objects {
        contracts: all(cached, "Contract", &mut unread),
        amendments: all(cached, "ContractAmendment", &mut unread),
        notices: all(cached, "ContractNotice", &mut unread),
        devices: all(cached, "Device", &mut unread),
        subscriptions: all(cached, "ServiceSubscription", &mut unread),
        services: services.into_iter().map(|it| (it.name_any(), it)).collect(),
    };
    (objects, unread)
}

/// Returns the plan of each contract of the files, and of each other one for which something would happen.
fn contracts(manifests: &[Manifest], world: &Objects, now: Timestamp) -> Vec<ChangePlan> {
    let is_named = |namespace: &str, name: &str| {
        manifests.iter().any(|it| {
            let of = match &*it.kind {
                "Contract" => Some(it.name.as_str()),
                "ContractAmendment" | "ContractNotice" => {
                    it.object["spec"]["contractRef"]["name"].as_str()
                }
                _ => None,
            };
            it.namespace == namespace && of == Some(name)
        })
    };
    let plans = world.contracts.iter().map(|contract| {
        let namespace = contract.namespace().unwrap_or_default();
        let devices = world.devices.iter();
        let devices = devices.filter(|it| it.namespace().as_deref() == Some(&*namespace));
        let devices: Vec<Arc<Device>> = devices.cloned().collect();
        change_plan(&world.world(contract), &devices, now)
    });
    let mut plans: Vec<ChangePlan> = plans
        .filter(|it| !it.changes.is_empty() || is_named(&it.namespace, &it.name))
        .collect();
    plans.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    plans
}

#[cfg(test)]
mod tests;
