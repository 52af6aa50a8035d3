//! Reads of our kinds that several commands make.

use entente_crds::LABEL_CONTRACT;
use entente_crds::v1alpha1::{Compensation, Contract, ServiceSubscription};
use kube::api::ListParams;

use crate::cluster::{Cluster, ClusterError, Listed, Place};

/// Returns the contracts of a place.
pub(crate) async fn contracts(
    cluster: &Cluster,
    place: &Place,
) -> Result<Listed<Contract>, ClusterError> {
    cluster.list(place, ListParams::default()).await
}

/// Returns the subscriptions of one contract, by their label. One that the caller may not read is a note,
/// and no error.
pub(crate) async fn subscriptions_of(
    cluster: &Cluster,
    contract: &str,
) -> Result<Listed<ServiceSubscription>, ClusterError> {
    let place = Place::Namespace(cluster.namespace().to_owned());
    partly(cluster.list(&place, is_of_contract(contract)).await)
}

/// Returns the parameters of a list of the subscriptions of one contract.
pub(crate) fn is_of_contract(contract: &str) -> ListParams {
    ListParams::default().labels(&format!("{LABEL_CONTRACT}={contract}"))
}

/// Returns the Compensations of a place.
pub(crate) async fn compensations(
    cluster: &Cluster,
    place: &Place,
) -> Result<Listed<Compensation>, ClusterError> {
    cluster.list(place, ListParams::default()).await
}

/// Makes a note of an error that is about one kind only.
pub(crate) fn partly<K>(
    listed: Result<Listed<K>, ClusterError>,
) -> Result<Listed<K>, ClusterError> {
    match listed {
        Err(error) if error.is_partial() => Ok(Listed {
            items: Vec::new(),
            unread: vec![error.to_string()],
        }),
        other => other,
    }
}
