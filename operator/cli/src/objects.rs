//! Reads of our kinds that several commands make.

use std::collections::BTreeSet;

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

/// Returns the error of a name in a filter that nothing of a place has; `None` if something has it, or if
/// that is not known. `names` are all that are there.
pub(crate) fn unknown_name<'a>(
    what: &str,
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
    place: &Place,
) -> Option<String> {
    const SHOWN: usize = 5;
    let names: BTreeSet<&str> = names.into_iter().collect();
    if names.contains(wanted) {
        return None;
    }
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let first: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    let instead = if first.is_empty() {
        String::new()
    } else {
        format!("; there are {}{more}", first.join(", "))
    };
    let place = place.within();
    Some(format!(
        "no Contract and no Compensation{place} has the {what} {wanted}{instead}"
    ))
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

#[cfg(test)]
mod tests {
    use super::{Place, unknown_name};

    #[test]
    fn a_name_that_nothing_has_is_told_with_some_that_there_are() {
        let unknown = |names: &[&str]| {
            let names = names.iter().copied();
            unknown_name("customer", "c-4711", names, &Place::Everywhere)
        };
        assert_eq!(unknown(&["C-1", "c-4711"]), None);
        let said = "no Contract and no Compensation in all namespaces has the customer c-4711";
        assert_eq!(unknown(&[]).as_deref(), Some(said));
        let one = unknown(&["C-4711", "C-4711"]);
        assert_eq!(one, Some(format!("{said}; there are C-4711")));
        let many = unknown(&["a", "b", "c", "d", "e", "f"]);
        let expected = format!("{said}; there are a, b, c, d, e and 1 more");
        assert_eq!(many, Some(expected));
    }
}
