//! Contracts as a flat list, one row each.

use entente_crds::v1alpha1::Contract;
use serde::Serialize;

use super::health::{Said, health};

/// One contract.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractRow {
    /// Namespace of the contract.
    pub namespace: String,
    /// Name of the contract.
    pub name: String,
    /// Id of the customer.
    pub customer: String,
    /// Health of the contract.
    pub ready: Said,
    /// Delivered and total, such as `4/6`.
    pub delivered: Option<String>,
    /// First day of the term, or how it starts.
    pub starts: Option<String>,
    /// The next change in words.
    pub next: Option<String>,
    /// The sum that is owed.
    pub owed: Option<String>,
}

/// Returns a row for each contract, by namespace and name.
pub fn contract_rows<'a>(contracts: impl IntoIterator<Item = &'a Contract>) -> Vec<ContractRow> {
    let mut rows: Vec<ContractRow> = contracts.into_iter().map(row).collect();
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    rows
}

fn row(contract: &Contract) -> ContractRow {
    let status = contract.status.clone().unwrap_or_default();
    ContractRow {
        namespace: contract.metadata.namespace.clone().unwrap_or_default(),
        name: contract.metadata.name.clone().unwrap_or_default(),
        customer: contract.spec.customer.id.clone(),
        ready: health(&contract.metadata, &status.conditions),
        delivered: status.subscriptions.map(|it| it.summary),
        starts: status.starts.map(|it| it.to_string()),
        next: status.next.map(|it| it.to_string()),
        owed: status.owed.map(|it| it.summary),
    }
}
