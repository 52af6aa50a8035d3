//! Reads the objects of the cluster on which a plan depends.
//!
//! Only what the caller may not read is passed over, with a note: a contract, or a Device of a namespace
//! of the files, is needed, since without it a plan would be wrong.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{
    Connection, Contract, ContractAmendment, ContractNotice, Device, DeviceEnrollment, DeviceModel,
    DeviceTwin, ServiceSubscription, Site, SmartService,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::api::ListParams;
use serde_json::Value;

use crate::cluster::{Cluster, ClusterError, Place};
use crate::manifests::Manifest;

/// Kinds of the catalogue: contracts of every namespace may depend on their objects.
const CATALOGUE: [&str; 3] = ["SmartService", "DeviceModel", "Connection"];

/// Objects of the cluster by kind, namespace and name.
#[derive(Clone, Default)]
pub(super) struct Cached {
    pub(super) values: BTreeMap<(String, String, String), Value>,
    /// Kinds that the caller may not list.
    pub(super) unlisted: BTreeSet<String>,
    /// Notes about what was not read.
    pub(super) unread: Vec<String>,
}

/// Reads the catalogue, and the contracts with all that belongs to them: of all namespaces if the files
/// change the catalogue, else of those of the files.
pub(super) async fn read(
    cluster: &Cluster,
    manifests: &[Manifest],
) -> Result<Cached, ClusterError> {
    let mut cached = Cached::default();
    let everywhere = &Place::Everywhere;
    partly::<SmartService>(cluster, everywhere, &mut cached).await?;
    partly::<DeviceModel>(cluster, everywhere, &mut cached).await?;
    partly::<Connection>(cluster, everywhere, &mut cached).await?;
    partly::<Namespace>(cluster, everywhere, &mut cached).await?;
    let is_of_catalogue = |it: &Manifest| CATALOGUE.contains(&&*it.kind);
    if manifests.iter().any(is_of_catalogue) {
        match contracts_of(cluster, everywhere, &mut cached).await {
            Ok(()) => return Ok(cached),
            Err(error) if error.is_partial() => cached.unread.push(format!(
                "contracts of other namespaces were not looked at: {error}"
            )),
            Err(error) => return Err(error),
        }
    }
    let namespaces = manifests.iter().map(|it| it.namespace.as_str());
    let mut namespaces: BTreeSet<&str> = namespaces.filter(|it| !it.is_empty()).collect();
    if namespaces.is_empty() {
        namespaces.insert(cluster.namespace());
    }
    for namespace in namespaces {
        let place = Place::Namespace(namespace.to_owned());
        contracts_of(cluster, &place, &mut cached).await?;
    }
    Ok(cached)
}

async fn contracts_of(
    cluster: &Cluster,
    place: &Place,
    cached: &mut Cached,
) -> Result<(), ClusterError> {
    list::<Contract>(cluster, place, cached).await?;
    list::<ContractAmendment>(cluster, place, cached).await?;
    list::<ContractNotice>(cluster, place, cached).await?;
    list::<Device>(cluster, place, cached).await?;
    list::<ServiceSubscription>(cluster, place, cached).await?;
    // Without this one nothing is known of devices that have their connections by their Site.
    partly::<Site>(cluster, place, cached).await?;
    // Without these two only what devices said, and by what they may register, is not known.
    partly::<DeviceTwin>(cluster, place, cached).await?;
    partly::<DeviceEnrollment>(cluster, place, cached).await
}

/// Lists a kind, or notes that the caller may not.
async fn partly<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    place: &Place,
    cached: &mut Cached,
) -> Result<(), ClusterError> {
    match list::<K>(cluster, place, cached).await {
        Err(error) if error.is_partial() => {
            cached.unlisted.insert(K::kind(&()).into_owned());
            cached.unread.push(error.to_string());
            Ok(())
        }
        listed => listed,
    }
}

async fn list<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    place: &Place,
    cached: &mut Cached,
) -> Result<(), ClusterError> {
    let values = cluster
        .list_values::<K>(place, ListParams::default())
        .await?;
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
