//! Judges objects of files: by schema and CEL rules each for itself, and by the operator's own rules
//! among each other. Nothing is sent anywhere.
//!
//! What the files do not have is no fault: it becomes a note about what was not judged.

mod calling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::rules;
use entente_crds::v1alpha1::{Connection, DeviceModel, SmartService};
use entente_domain::catalogue::{ObservedServer, Users, report_service};
use entente_domain::condition::find;
use entente_domain::contract::{Fault, ResolvedContract, resolve};
use entente_domain::unreadable::UnreadableObjects;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::manifests::{Manifest, Manifests};
use crate::own_rules;
use crate::world::Objects;

/// A fault of an object of a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// File, with the number of the document if there are several.
    pub(crate) file: String,
    /// Kind, namespace and name.
    pub(crate) object: String,
    /// The fault: the field, what was found and what is allowed.
    pub(crate) message: String,
}

impl Finding {
    /// Returns a fault of an object.
    pub(crate) fn new(of: &Manifest, message: impl Into<String>) -> Self {
        Self {
            file: of.source.clone(),
            object: of.title(),
            message: message.into(),
        }
    }
}

/// Verdict on the objects of files.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Number of objects.
    pub(crate) objects: usize,
    /// Every fault, in the order of the files.
    pub(crate) faults: Vec<Finding>,
    /// Parts that were not judged, in the order of the files.
    pub(crate) notes: Vec<Finding>,
}

/// Judges objects of files.
pub(crate) fn judge(manifests: &Manifests, now: Timestamp) -> Verdict {
    let mut verdict = Verdict {
        objects: manifests.objects.len(),
        ..Verdict::default()
    };
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for manifest in &manifests.objects {
        let mut messages = by_schema(manifest);
        if let Some(first) = seen.insert(manifest.title(), &manifest.source) {
            messages.push(format!("metadata.name: the same object is in {first} too"));
        }
        let faults = messages.into_iter();
        verdict
            .faults
            .extend(faults.map(|it| Finding::new(manifest, it)));
    }
    let faulty: BTreeSet<String> = verdict.faults.iter().map(|it| it.object.clone()).collect();
    let sound = manifests.objects.iter();
    let sound: Vec<&Manifest> = sound.filter(|it| !faulty.contains(&it.title())).collect();
    by_rules(&sound, &mut verdict, now);
    let order = |finding: &Finding| {
        let mut all = manifests.objects.iter();
        all.position(|it| it.source == finding.file && it.title() == finding.object)
    };
    verdict.faults.sort_by_key(order);
    verdict.notes.sort_by_key(order);
    verdict
}

/// Returns the faults that the API server would find.
pub(crate) fn by_schema(manifest: &Manifest) -> Vec<String> {
    let object = &manifest.object;
    let version = object["apiVersion"].as_str().unwrap_or_default();
    if version != "entente.dev/v1alpha1" {
        return vec![format!(
            "apiVersion: \"{version}\" is not known: must be \"entente.dev/v1alpha1\""
        )];
    }
    let not_applied = own_rules::not_applied(&manifest.kind, object);
    if !not_applied.is_empty() {
        return not_applied;
    }
    let Some(rules) = rules::of_kind(&manifest.kind) else {
        let kinds = rules::kinds().join(", ");
        return vec![format!(
            "kind: \"{}\" is not known: must be one of {kinds}",
            manifest.kind
        )];
    };
    let mut faults = Vec::new();
    if manifest.name.is_empty() {
        faults.push("metadata.name: required".to_owned());
    }
    let unknown = rules.unknown_fields(object).into_iter();
    faults.extend(unknown.map(|field| format!("{field}: unknown field")));
    faults.extend(rules.faults(object));
    faults
}

fn by_rules(sound: &[&Manifest], verdict: &mut Verdict, now: Timestamp) {
    let objects = objects(sound, now);
    for manifest in sound {
        match &*manifest.kind {
            "SmartService" => {
                service(manifest, sound, verdict, now);
                software(manifest, &objects, verdict);
            }
            "Connection" | "DeviceModel" | "Device" | "DeviceEnrollment" => {
                calling::judge(manifest, &objects, verdict, now);
            }
            "Contract" => {
                let found = objects.contracts.iter();
                let mut found = found.filter(|it| is_of(&it.metadata, manifest));
                let Some(contract) = found.next() else {
                    continue;
                };
                let resolved = resolve(&objects.world(contract), now);
                of_contract(manifest, sound, &resolved, verdict);
            }
            "ContractAmendment" | "ContractNotice" => {
                let name = &manifest.object["spec"]["contractRef"]["name"];
                let is_there = sound.iter().any(|it| {
                    it.kind == "Contract"
                        && it.namespace == manifest.namespace
                        && Some(&*it.name) == name.as_str()
                });
                if !is_there {
                    let note = format!("not judged: the contract {name} is in none of the files");
                    verdict.notes.push(Finding::new(manifest, note));
                }
            }
            _ => {}
        }
    }
}

fn of_contract(
    manifest: &Manifest,
    sound: &[&Manifest],
    resolved: &ResolvedContract,
    verdict: &mut Verdict,
) {
    let add = |manifest: &Manifest, faults: &[Fault], verdict: &mut Verdict| {
        for fault in faults {
            let finding = Finding::new(manifest, &*fault.message);
            // It waits for something, or names what may be in the cluster.
            if fault.reason == Reason::Pending {
                verdict.notes.push(finding);
            } else {
                verdict.faults.push(finding);
            }
        }
    };
    if let Err(faults) = &resolved.accepted {
        add(manifest, faults, verdict);
    }
    if let Err(missing) = &resolved.refs {
        for fault in missing {
            let note = format!("not judged against the files: {}", fault.message);
            verdict.notes.push(Finding::new(manifest, note));
        }
    }
    let amendments = resolved.amendments.iter();
    let amendments = amendments.filter_map(|(name, it)| Some((name, it.as_ref().err()?)));
    let notices = resolved.notices.iter();
    let notices = notices.filter_map(|(name, it)| Some((name, it.as_ref().err()?)));
    let of_kind = |kind: &str, name: &str| {
        sound
            .iter()
            .find(|it| it.kind == kind && it.name == name && it.namespace == manifest.namespace)
    };
    for (name, faults) in amendments {
        if let Some(of) = of_kind("ContractAmendment", name) {
            add(of, faults, verdict);
        }
    }
    for (name, fault) in notices {
        if let Some(of) = of_kind("ContractNotice", name) {
            add(of, std::slice::from_ref(fault), verdict);
        }
    }
}

fn service(manifest: &Manifest, sound: &[&Manifest], verdict: &mut Verdict, now: Timestamp) {
    let Some(service) = decoded::<SmartService>(manifest, now) else {
        return;
    };
    let find_connection = |name: &str| {
        let mut all = sound.iter().filter(|it| it.kind == "Connection");
        decoded::<Connection>(all.find(|it| it.name == name)?, now)
    };
    let of_server = service.spec.server.as_ref().map(|it| &it.connection_ref);
    let of_data = service.spec.data.as_ref().map(|it| &it.connection_ref);
    let of_orders = service.spec.orders.as_ref().map(|it| &it.connection_ref);
    let named = [of_server, of_data, of_orders];
    let [connection, data, orders] =
        named.map(|named| named.and_then(|it| find_connection(&it.name)));
    let server = ObservedServer {
        connection: connection.as_ref(),
        data: data.as_ref(),
        orders: orders.as_ref(),
        catalog: None,
    };
    let nobody = UnreadableObjects::default();
    let status = report_service(&service, server, &nobody, &Users::default(), now);
    let accepted = find(&status.conditions, ConditionType::Accepted);
    if let Some(refused) = accepted.filter(|it| it.status == "False") {
        let message = refused.message.as_str();
        verdict.faults.push(Finding::new(manifest, message));
    }
    let missing = named.into_iter().zip([connection, data, orders]);
    let missing = missing.filter_map(|(named, found)| named.filter(|_| found.is_none()));
    for name in missing.map(|it| &it.name) {
        let note = format!("not judged: the Connection {name} is in none of the files");
        verdict.notes.push(Finding::new(manifest, note));
    }
}

/// Notes the software that a service needs and that no model of the files can give to a device.
fn software(manifest: &Manifest, objects: &Objects, verdict: &mut Verdict) {
    let Some(service) = objects.services.get(&manifest.name) else {
        return;
    };
    let missing = own_rules::missing_models(service, objects).into_iter();
    let missing =
        missing.map(|name| format!("not judged: the DeviceModel {name} is in none of the files"));
    let notes = own_rules::without_software(service, objects);
    let notes = notes.into_iter().chain(missing);
    let notes = notes.map(|note| Finding::new(manifest, note));
    verdict.notes.extend(notes);
}

/// Returns the objects as if they had been applied now.
pub(crate) fn objects(manifests: &[&Manifest], now: Timestamp) -> Objects {
    let mut objects = Objects::default();
    for manifest in manifests {
        match &*manifest.kind {
            "Contract" => objects
                .contracts
                .extend(decoded(manifest, now).map(Arc::new)),
            "ContractAmendment" => objects
                .amendments
                .extend(decoded(manifest, now).map(Arc::new)),
            "ContractNotice" => objects.notices.extend(decoded(manifest, now).map(Arc::new)),
            "Device" => objects.devices.extend(decoded(manifest, now).map(Arc::new)),
            "Site" => objects.sites.extend(decoded(manifest, now).map(Arc::new)),
            "DeviceEnrollment" => objects
                .enrollments
                .extend(decoded(manifest, now).map(Arc::new)),
            "Connection" => {
                let found = decoded::<Connection>(manifest, now);
                let found = found.map(|it| (it.name_any(), Arc::new(it)));
                objects.connections.extend(found);
            }
            "DeviceModel" => {
                let found = decoded::<DeviceModel>(manifest, now);
                let found = found.map(|it| (it.name_any(), Arc::new(it)));
                objects.models.extend(found);
            }
            "SmartService" => {
                let service = decoded::<SmartService>(manifest, now);
                let service = service.map(|it| (it.name_any(), Arc::new(it)));
                objects.services.extend(service);
            }
            _ => {}
        }
    }
    objects.at_sites()
}

/// Reads an object with the defaults of its schema, as the API server would store it now. `None` for
/// one that the schema has a complaint about.
pub(crate) fn decoded<K>(manifest: &Manifest, now: Timestamp) -> Option<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let stored = rules::of_kind(&manifest.kind)?.stored(&manifest.object);
    let mut object: K = serde_json::from_value(stored).ok()?;
    let metadata = object.meta_mut();
    if !manifest.namespace.is_empty() {
        metadata.namespace = Some(manifest.namespace.clone());
    }
    metadata.creation_timestamp.get_or_insert(Time(now));
    metadata.generation.get_or_insert(1);
    let uid = format!("{} of {}", manifest.title(), manifest.source);
    metadata.uid.get_or_insert(uid);
    Some(object)
}

/// True if an object is the one of a manifest, of its kind.
pub(crate) fn is_of(metadata: &ObjectMeta, manifest: &Manifest) -> bool {
    metadata.name.as_deref() == Some(&*manifest.name)
        && metadata.namespace.as_deref() == Some(&*manifest.namespace)
}

#[cfg(test)]
mod tests;
