//! Cases of objects that the API server accepts or refuses, in one table.
//!
//! Every CEL rule has at least one case that meets it and one that breaks it. The table decides
//! nothing: the tests of this crate run it through the CEL engine of kube, the end-to-end tests
//! through a real API server, and both must come to the same verdicts. A case must name one thing
//! only, so that a failure tells which rule is meant.

#![allow(
    clippy::items_after_statements,
    clippy::too_many_lines,
    reason = "these are tables: the message of a rule stands right above the cases about it"
)]

mod calling;
mod connection;
mod contract;
mod contract_amendment;
mod contract_notice;
mod data;
mod data_types;
mod device;
mod device_model;
mod errors;
mod records;
mod scalar;
mod smart_service;
mod snmp;
mod software;
mod supply_order;

use serde_json::Value;

use crate::example;

/// Message of the rule of `maxUnavailable`, the only rule that kube's CEL engine cannot evaluate.
pub(crate) const UNAVAILABLE: &str =
    "must be a number of subscriptions such as 3, or a percentage such as \"2%\"";

/// One object, or one change of an object, and the expected answer of the API server.
#[derive(Clone, Debug)]
pub struct Case {
    /// The claim in words: the name of the test case.
    pub name: String,
    /// The kind of the object.
    pub kind: CaseKind,
    /// The object as it was before, for a change; none for a new object.
    pub old: Option<Value>,
    /// The object.
    pub new: Value,
    /// Expected answer of the API server.
    pub verdict: Verdict,
}

/// Expected answer of the API server to a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The object is accepted.
    Accepted,
    /// A CEL rule refuses it.
    Rejected {
        /// A part of the error message.
        message: &'static str,
    },
    /// The schema itself refuses it, before any rule is evaluated; only a real server can show it.
    RejectedBySchema {
        /// A part of the error message.
        message: &'static str,
    },
}

/// The kinds that have cases.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum CaseKind {
    /// [`crate::v1alpha1::Connection`]
    Connection,
    /// [`crate::v1alpha1::DeviceModel`]
    DeviceModel,
    /// [`crate::v1alpha1::SmartService`]
    SmartService,
    /// [`crate::v1alpha1::MessageText`]
    MessageText,
    /// [`crate::v1alpha1::Site`]
    Site,
    /// [`crate::v1alpha1::Device`]
    Device,
    /// [`crate::v1alpha1::DeviceEnrollment`]
    DeviceEnrollment,
    /// [`crate::v1alpha1::Contract`]
    Contract,
    /// [`crate::v1alpha1::ContractAmendment`]
    ContractAmendment,
    /// [`crate::v1alpha1::ContractNotice`]
    ContractNotice,
    /// [`crate::v1alpha1::ServiceSubscription`]
    ServiceSubscription,
    /// [`crate::v1alpha1::DeviceTwin`]
    DeviceTwin,
    /// [`crate::v1alpha1::Compensation`]
    Compensation,
    /// [`crate::v1alpha1::SupplyOrder`]
    SupplyOrder,
}

impl CaseKind {
    /// All kinds.
    pub const ALL: &'static [CaseKind] = &[
        Self::Connection,
        Self::DeviceModel,
        Self::SmartService,
        Self::MessageText,
        Self::Site,
        Self::Device,
        Self::DeviceEnrollment,
        Self::Contract,
        Self::ContractAmendment,
        Self::ContractNotice,
        Self::ServiceSubscription,
        Self::DeviceTwin,
        Self::Compensation,
        Self::SupplyOrder,
    ];

    /// Returns the plural name of the kind, as in URLs and manifests.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::DeviceModel => "devicemodels",
            Self::SmartService => "smartservices",
            Self::MessageText => "messagetexts",
            Self::Site => "sites",
            Self::Device => "devices",
            Self::DeviceEnrollment => "deviceenrollments",
            Self::DeviceTwin => "devicetwins",
            Self::Contract => "contracts",
            Self::ContractAmendment => "contractamendments",
            Self::ContractNotice => "contractnotices",
            Self::ServiceSubscription => "servicesubscriptions",
            Self::Compensation => "compensations",
            Self::SupplyOrder => "supplyorders",
        }
    }

    /// True if objects of the kind live in a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Connection | Self::DeviceModel | Self::SmartService | Self::MessageText
        )
    }

    /// Returns a valid object with every field set that a rule reads.
    pub fn complete(self) -> Value {
        match self {
            Self::Connection => connection::whole(),
            Self::DeviceModel => device_model::whole(),
            Self::SmartService => smart_service::whole(),
            Self::MessageText => errors::message_text(),
            Self::Site => errors::site(),
            Self::Device => device::whole(),
            Self::DeviceEnrollment => calling::enrollment(),
            Self::DeviceTwin => calling::twin(),
            Self::Contract => contract::complete(),
            Self::ContractAmendment => contract_amendment::complete(),
            Self::ContractNotice => plain(&example::banco_sul_installed()),
            Self::ServiceSubscription => records::subscription(),
            Self::Compensation => plain(&example::compensation()),
            Self::SupplyOrder => supply_order::whole(),
        }
    }
}

/// Returns all cases of all kinds.
pub fn all() -> Vec<Case> {
    let mut table = Table(Vec::new());
    for kind in CaseKind::ALL {
        table.accepts(*kind, "with every field set", &[]);
    }
    scalar::case(&mut table);
    connection::case(&mut table);
    device_model::case(&mut table);
    smart_service::case(&mut table);
    device::case(&mut table);
    errors::case(&mut table);
    calling::case(&mut table);
    snmp::case(&mut table);
    software::case(&mut table);
    data_types::case(&mut table);
    data::case(&mut table);
    contract::case(&mut table);
    contract_amendment::case(&mut table);
    contract_notice::case(&mut table);
    records::case(&mut table);
    supply_order::case(&mut table);
    table.0
}

/// A change of an object: a JSON pointer (RFC 6901) and the value to set there. Null removes the
/// member; `-` as the last part appends to a list.
type Change<'a> = (&'a str, Value);

struct Table(Vec<Case>);

impl Table {
    fn accepts(&mut self, kind: CaseKind, name: &str, changes: &[Change<'_>]) {
        self.push(kind, name, None, changes, Verdict::Accepted);
    }

    fn rejects(
        &mut self,
        kind: CaseKind,
        name: &str,
        changes: &[Change<'_>],
        message: &'static str,
    ) {
        self.push(kind, name, None, changes, Verdict::Rejected { message });
    }

    fn rejects_by_schema(
        &mut self,
        kind: CaseKind,
        name: &str,
        changes: &[Change<'_>],
        message: &'static str,
    ) {
        self.push(
            kind,
            name,
            None,
            changes,
            Verdict::RejectedBySchema { message },
        );
    }

    fn accepts_update(
        &mut self,
        kind: CaseKind,
        name: &str,
        old: &[Change<'_>],
        new: &[Change<'_>],
    ) {
        self.push(kind, name, Some(old), new, Verdict::Accepted);
    }

    fn rejects_update(
        &mut self,
        kind: CaseKind,
        name: &str,
        old: &[Change<'_>],
        new: &[Change<'_>],
        message: &'static str,
    ) {
        self.push(kind, name, Some(old), new, Verdict::Rejected { message });
    }

    fn push(
        &mut self,
        kind: CaseKind,
        name: &str,
        old: Option<&[Change<'_>]>,
        new: &[Change<'_>],
        verdict: Verdict,
    ) {
        let name = format!("{kind:?}: {name}");
        let old = old.map(|changes| changed(kind, changes));
        self.0.push(Case {
            name,
            kind,
            old,
            new: changed(kind, new),
            verdict,
        });
    }
}

fn changed(kind: CaseKind, changes: &[Change<'_>]) -> Value {
    let mut object = kind.complete();
    for (pointer, value) in changes {
        put(&mut object, pointer, value.clone());
    }
    object
}

fn put(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer
        .rsplit_once('/')
        .expect("a pointer begins with a slash");
    let parent = object.pointer_mut(parent);
    match parent.expect("a case changes a place that the complete object has") {
        Value::Object(fields) if value.is_null() => {
            fields.remove(key);
        }
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index: usize = key.parse().expect("an index of a list is a number");
            items[index] = value;
        }
        other => unreachable!("nothing can be put into {other}"),
    }
}

fn plain<K: serde::Serialize>(object: &K) -> Value {
    serde_json::to_value(object).expect("an example is plain data")
}
