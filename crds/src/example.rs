//! The examples as typed values: a catalogue, a customer's devices, a contract, an amendment of it,
//! and a contract with the notice that starts it.
//!
//! `crdgen` writes them into `examples/`, tests and the demo start from them. They must stay valid
//! for the API server as they are, and show each kind once as people write it. What the operator
//! itself makes ([`service_subscription`], [`compensation`], [`supply_order`]) is here to be read in documents and
//! tests only and is never written into `examples/`, since nobody applies it.

mod calling;
mod catalogue;
mod customer;
mod derived;
mod orders;
pub mod services;
mod settings_server;
mod snmp;

use std::collections::BTreeMap;

pub use self::{
    calling::{
        calling_device, device_twin, enrollment, gateway, mfp_510, northwind_files, panel_contract,
        remote_panel,
    },
    catalogue::{data_backup, hq_ipp, mfp_500, northwind_services, parts_life},
    customer::{
        banco_sul_2027, banco_sul_2027_july, banco_sul_installed, banco_sul_lobby, devices,
    },
    derived::{compensation, service_subscription, supply_order},
    orders::{
        mfp_520, northwind_orders, osasco_device, osasco_site, toner_delivery, toner_empty_text,
    },
    settings_server::{branch_04_contract, branch_04_mfp, northwind_settings},
    snmp::{hq_snmp, label_7, label_printer},
};
use kube::Resource;

use crate::{FINALIZER_IN_USE, v1alpha1::NameReference};

/// The namespace of the example customer.
pub const NAMESPACE: &str = "banco-sul";

/// The names of the example devices, all in [`NAMESPACE`]. The first one has no label and is
/// named by the contract; the others are selected.
pub const DEVICES: [&str; 4] = [
    "lobby-mfp",
    "branch-01-mfp",
    "branch-02-mfp",
    "branch-03-mfp",
];

/// Returns an object of the catalogue as it is while something uses it.
#[must_use]
pub fn in_use<K: Resource>(mut object: K) -> K {
    object.meta_mut().finalizers = Some(vec![FINALIZER_IN_USE.to_owned()]);
    object
}

fn reference(name: &str) -> NameReference {
    NameReference {
        name: name.to_owned(),
    }
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
