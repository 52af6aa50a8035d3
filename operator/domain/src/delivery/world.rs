//! What the delivery controller knows before it asks any remote side: the objects.
//!
//! Filled by the controller's observe stage from its caches; read by every pure stage.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{Compensation, Connection, Device, DeviceModel, ServiceSubscription, SmartService},
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::{
    compensation::successor_name, condition::is_true, exchange::Catalogue, secret::Secrets,
    shared::Shared,
};

/// The objects that delivery on one device depends on.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that was observed, and none excludes another"
)]
pub struct World {
    /// The namespace of the device and its subscriptions.
    pub namespace: String,
    /// The labels of the Namespace object, for `allow`.
    pub namespace_labels: BTreeMap<String, String>,
    /// Whether the namespace is being deleted.
    pub namespace_terminating: bool,
    /// The name of the device, which need not exist.
    pub device_name: String,
    /// The device.
    pub device: Option<Shared<Device>>,
    /// The model that the device names.
    pub model: Option<Shared<DeviceModel>>,
    /// The Connections that are named by the device and by the services, those that exist.
    pub connections: BTreeMap<String, Shared<Connection>>,
    /// What keeps a Connection from being used: its Secret or CA cannot be had.
    pub connection_faults: BTreeMap<String, (Reason, String)>,
    /// The SmartServices that the revisions name, those that exist.
    pub services: BTreeMap<String, Shared<SmartService>>,
    /// The subscriptions on this device.
    pub subscriptions: Vec<Shared<ServiceSubscription>>,
    /// The uids of contracts that exist and are not being deleted.
    pub live_contracts: BTreeSet<String>,
    /// When contracts that exist were asked to go, by uid.
    pub deleted_contracts: BTreeMap<String, Timestamp>,
    /// The uids of contracts whose withdrawal a person gave up (annotation entente.dev/abandon).
    pub abandoned_contracts: BTreeSet<String>,
    /// `status.established` of the contracts, by uid.
    pub established: BTreeMap<String, Timestamp>,
    /// The connections of the device whose machine is another Device's: it has the same endpoint or
    /// the same proven identity, and comes first.
    pub claimed_by_another: BTreeSet<String>,
    /// What the parameters of type Secret hold.
    pub secrets: Secrets,
    /// The catalogues of brokers, as far as they were read.
    pub catalogues: BTreeMap<String, Shared<Catalogue>>,
    /// Compensations of these subscriptions.
    pub compensations: Vec<CompensationRecord>,
    /// Whether the local clock differs too much from that of the API server.
    pub clock_skewed: bool,
    /// Whether a person asked for a full read-back now.
    pub reconcile_requested: bool,
    /// How long a withdrawal may take before it is given up.
    pub withdraw_deadline: jiff::SignedDuration,
    /// Handles of subscriptions that stand in a Connection's list of orphans, by instance id.
    pub orphans_taken_over: BTreeSet<String>,
}

/// What delivery has to know of a Compensation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompensationRecord {
    /// Its name.
    pub name: String,
    /// The subscription it is about.
    pub subscription: String,
    /// The promised instant.
    pub promised: Timestamp,
    /// Whether its amount is final.
    pub calculated: bool,
    /// True if a person declared it wrong.
    pub voided: bool,
    /// The record that has to follow it, because a person voided it and asked for another.
    pub successor: Option<String>,
}

impl From<&Compensation> for CompensationRecord {
    fn from(compensation: &Compensation) -> Self {
        let record = &compensation.spec.record;
        let status = compensation.status.as_ref();
        Self {
            name: compensation.name_any(),
            subscription: record.subscription.name.clone(),
            promised: record.promised,
            calculated: status
                .is_some_and(|status| is_true(&status.conditions, ConditionType::Calculated)),
            voided: compensation.spec.voided.is_some(),
            successor: successor_name(compensation),
        }
    }
}
