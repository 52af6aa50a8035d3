//! Objects of files that name what does not exist, or that the operator would refuse for themselves.
//!
//! Of contracts that is said by their plans. Here are the others, which may have no contract yet.

use std::collections::BTreeSet;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{Device, DeviceConnection, DeviceModel, NameReference, SmartService};
use entente_domain::catalogue::{ObservedServer, Users, report_service};
use entente_domain::condition::find;
use entente_domain::contract::{contract_not_found, notice_of_no_contract};
use entente_domain::delivery::zone_fault;
use entente_domain::unreadable::UnreadableObjects;
use jiff::Timestamp;

use crate::judge::is_of;
use crate::manifests::Manifest;
use crate::own_rules;
use crate::world::Objects;

/// Returns a sentence about each fault, with its object.
pub(super) fn dangling(
    manifests: &[Manifest],
    after: &Objects,
    unlisted: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let mut found = Vec::new();
    for manifest in manifests {
        let faults = match &*manifest.kind {
            "Device" => {
                let device = after.device(&manifest.namespace, &manifest.name);
                device.map_or_else(Vec::new, |it| of_device(&it, after, unlisted))
            }
            "Site" => of_site(manifest, after, unlisted),
            "SmartService" => {
                let service = after.services.get(&manifest.name);
                service.map_or_else(Vec::new, |it| of_service(it, after, unlisted, now))
            }
            "Connection" => {
                let connection = after.connections.get(&manifest.name);
                connection.map_or_else(Vec::new, |it| own_rules::of_connection(it, now))
            }
            "DeviceModel" => {
                let model = after.models.get(&manifest.name);
                model.map_or_else(Vec::new, |it| of_model(it, after, unlisted, now))
            }
            "DeviceEnrollment" => of_enrollment(manifest, after, unlisted, now),
            "ContractAmendment" | "ContractNotice" => of_no_contract(manifest, after),
            _ => Vec::new(),
        };
        let title = manifest.title();
        found.extend(faults.into_iter().map(|it| format!("{title}: {it}")));
    }
    found
}

fn of_device(device: &Device, after: &Objects, unlisted: &BTreeSet<String>) -> Vec<String> {
    let mut faults: Vec<String> = zone_fault(device).into_iter().collect();
    let model = &device.spec.model_ref.name;
    if !unlisted.contains("DeviceModel") && !after.models.contains_key(model) {
        faults.push(format!("the DeviceModel {model} does not exist"));
    }
    let site = device.spec.site_ref.as_ref();
    let site = site.filter(|_| !unlisted.contains("Site") && after.site_of(device).is_none());
    faults.extend(site.map(|site| format!("the Site {} does not exist", site.name)));
    faults.extend(missing(&device.spec.connections, after, unlisted));
    let claimed = after.claimed(device).into_iter();
    faults.extend(claimed.map(|(connection, claimant)| {
        format!("{claimant} has the same machine through the Connection {connection}")
    }));
    faults
}

/// Returns a sentence about each Connection that does not exist.
fn missing(
    connections: &[DeviceConnection],
    after: &Objects,
    unlisted: &BTreeSet<String>,
) -> Vec<String> {
    let is_known = !unlisted.contains("Connection");
    let names = connections.iter().map(|chosen| &chosen.name);
    let missing = names.filter(|name| is_known && !after.connections.contains_key(*name));
    missing
        .map(|name| format!("the Connection {name} does not exist"))
        .collect()
}

/// Returns the faults of a Site itself. Those of its devices are told with their contracts.
fn of_site(manifest: &Manifest, after: &Objects, unlisted: &BTreeSet<String>) -> Vec<String> {
    let mut all = after.sites.iter();
    let site = all.find(|it| is_of(&it.metadata, manifest));
    site.map_or_else(Vec::new, |site| {
        missing(&site.spec.connections, after, unlisted)
    })
}

fn of_service(
    service: &SmartService,
    after: &Objects,
    unlisted: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let found = |named: Option<&NameReference>| {
        let connection = after.connections.get(&named?.name)?;
        Some(&**connection)
    };
    let spec = &service.spec;
    let server = ObservedServer {
        connection: found(spec.server.as_ref().map(|it| &it.connection_ref)),
        data: found(spec.data.as_ref().map(|it| &it.connection_ref)),
        orders: found(spec.orders.as_ref().map(|it| &it.connection_ref)),
        catalog: None,
    };
    let nobody = UnreadableObjects::default();
    let status = report_service(service, server, &nobody, &Users::default(), now);
    let kinds = [ConditionType::Accepted, ConditionType::ResolvedRefs];
    let said = kinds
        .iter()
        .filter_map(|kind| find(&status.conditions, *kind));
    let said = said.filter(|it| it.status == "False");
    let known = said.filter(|it| it.type_ != "ResolvedRefs" || !unlisted.contains("Connection"));
    let software = own_rules::without_software(service, after);
    let known = known.map(|it| it.message.to_string());
    known.chain(software).collect()
}

fn of_model(
    model: &DeviceModel,
    after: &Objects,
    unlisted: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let mut faults = own_rules::of_model(model, now);
    if !unlisted.contains("Connection") {
        faults.extend(own_rules::unfetchable(model, after));
    }
    faults
}

fn of_enrollment(
    manifest: &Manifest,
    after: &Objects,
    unlisted: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let mut all = after.enrollments.iter();
    let Some(enrollment) = all.find(|it| is_of(&it.metadata, manifest)) else {
        return Vec::new();
    };
    let name = &enrollment.spec.connection_ref.name;
    let connection = after.connections.get(name).map(|it| &**it);
    // Without the Namespaces their labels are not known.
    let is_known = !unlisted.contains("Namespace");
    let known = connection.filter(|it| is_known || it.spec.agent.is_none());
    let found = own_rules::of_enrollment(enrollment, known, after, now);
    let missing = (connection.is_none() && !unlisted.contains("Connection"))
        .then(|| format!("the Connection {name} does not exist"));
    let found = found.faults.into_iter().chain(found.notes);
    missing.into_iter().chain(found).collect()
}

fn of_no_contract(manifest: &Manifest, after: &Objects) -> Vec<String> {
    let namespace = manifest.namespace.as_str();
    let is_it = |it: &kube::core::ObjectMeta| is_of(it, manifest);
    let is_there = |contract: &str| after.contract(namespace, contract).is_some();
    let mut faults = Vec::new();
    if manifest.kind == "ContractAmendment" {
        let mut all = after.amendments.iter();
        let amendment = all.find(|it| is_it(&it.metadata));
        let of = amendment.filter(|it| !is_there(&it.spec.contract_ref.name));
        let verdict = of.and_then(|it| contract_not_found(it).err());
        faults.extend(verdict.into_iter().flatten().map(|it| it.message));
    } else {
        let mut all = after.notices.iter();
        let notice = all.find(|it| is_it(&it.metadata));
        let of = notice.filter(|it| !is_there(&it.spec.contract_ref.name));
        let verdict = of.and_then(|it| notice_of_no_contract(it).err());
        faults.extend(verdict.map(|it| it.message));
    }
    faults
}
