//! The objects that the delivery controller reads before it sends any request to a remote side.
//!
//! Filled by the controller's observe stage from its caches; read by every pure stage.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        Connection, Device, DeviceModel, DeviceTwin, DeviceTwinStatus, MessageText,
        ServiceSubscription, Site, SmartService, SubscriptionContract,
    },
};
use jiff::{SignedDuration, Timestamp};

use crate::names::{ConnectionName, SubscriptionName};
use crate::{
    delivery::{Blocked, CarriedItem, Claimant, UnwrittenStatus, twin::is_of},
    errors::KnownOrder,
    promise::{Circumstances, CompensationRecord},
    reconcile_wish::Wish,
    remote::{Catalog, PrinterEvent},
    secret::Secrets,
    unreadable::{Referent, UnreadableObjects},
};

/// Number of attempts at each item, by the uid of its subscription, where it is larger than the status
/// says that is stored.
pub type UnsaidAttempts = BTreeMap<String, BTreeMap<CarriedItem, i32>>;

/// The objects that delivery on one device depends on.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that was observed, and none excludes another"
)]
pub struct DeviceSnapshot {
    /// The namespace of the device and its subscriptions.
    pub namespace: String,
    /// The labels of the Namespace object, for `allow`.
    pub namespace_labels: BTreeMap<String, String>,
    /// True if the namespace is being deleted.
    pub namespace_terminating: bool,
    /// The name of the device, which need not exist.
    pub device_name: String,
    /// The device.
    pub device: Option<Arc<Device>>,
    /// The Site of the device, if it names one that exists. Its fields are in `device` already.
    pub site: Option<Arc<Site>>,
    /// The model that the device names.
    pub model: Option<Arc<DeviceModel>>,
    /// The twin of the device, if it calls.
    pub twin: Option<Arc<DeviceTwin>>,
    /// The Connections that are named by the device and by the services, those that exist.
    pub connections: BTreeMap<ConnectionName, Arc<Connection>>,
    /// Fault of each Connection whose Secret or authorities cannot be read, by name.
    pub connection_faults: BTreeMap<ConnectionName, (Reason, String)>,
    /// The SmartServices that the revisions name, those that exist.
    pub services: BTreeMap<String, Arc<SmartService>>,
    /// The objects that cannot be read, among those that the device and its subscriptions may refer to,
    /// and the device itself. One of which there is no older version is in no other field.
    pub unreadable: UnreadableObjects,
    /// The subscriptions on this device that exist and of which no version can be read.
    pub unreadable_subscriptions: BTreeSet<SubscriptionName>,
    /// The subscriptions on this device.
    pub subscriptions: Vec<Arc<ServiceSubscription>>,
    /// The uids of contracts that exist and are not being deleted.
    pub live_contracts: BTreeSet<String>,
    /// Their names.
    pub live_contract_names: BTreeSet<String>,
    /// Deletion time of contracts that still exist, by uid.
    pub deleted_contracts: BTreeMap<String, Timestamp>,
    /// The uids of contracts whose withdrawal a person gave up (annotation entente.dev/abandon).
    pub abandoned_contracts: BTreeSet<String>,
    /// `status.established` of the contracts, by uid.
    pub established: BTreeMap<String, Timestamp>,
    /// The connections of the device whose machine is another Device's: that one has the same
    /// endpoint or the same proven identity, and the older claim.
    pub claimed_by_another: BTreeMap<ConnectionName, Claimant>,
    /// Those of them whose very endpoint another Device has proved: what answers there is known
    /// without a request.
    pub proved_by_others: BTreeSet<ConnectionName>,
    /// Values of the parameters of type Secret.
    pub secrets: Secrets,
    /// The catalogs of brokers, as far as they were read.
    pub catalogs: BTreeMap<ConnectionName, Arc<Catalog>>,
    /// The connections through which the device has notified us since the last pass, each with what it was
    /// about: a reason to look there, and no fact.
    pub notified: BTreeMap<ConnectionName, BTreeSet<PrinterEvent>>,
    /// The orders of supplies for the device.
    pub supply_orders: Vec<KnownOrder>,
    /// The texts for panels, one for each type of error.
    pub message_texts: BTreeMap<String, Arc<MessageText>>,
    /// Compensations of these subscriptions.
    pub compensations: Vec<CompensationRecord>,
    /// Time by which the local clock is ahead of that of the API server, or behind if negative, if
    /// that is too much.
    pub clock_skew: Option<SignedDuration>,
    /// The last status of the device, if it could not be written.
    pub unwritten: Option<UnwrittenStatus>,
    /// Attempts that no status says yet: their number alone is no reason for a write, or the write of
    /// one failed.
    pub unsaid_attempts: UnsaidAttempts,
    /// Wishes of the contracts that a device is read now, by uid.
    pub contract_wishes: BTreeMap<String, Wish>,
    /// True if a person asked for a full read-back now: a wish was open when this was observed.
    pub reconcile_requested: bool,
    /// Time after which a withdrawal is given up.
    pub withdraw_deadline: SignedDuration,
    /// Instances of subscriptions that are in a Connection's list of orphans, by instance id.
    pub orphans_taken_over: BTreeSet<String>,
    /// The orphans of any Connection that may have a request to remove them under way, by instance
    /// id: nothing is sent about such an instance.
    pub orphans_being_removed: BTreeSet<String>,
    /// The orphans that are gone, or that a person forgot, by instance id.
    pub orphans_gone: BTreeSet<String>,
}

impl DeviceSnapshot {
    /// Returns the subscription of this name.
    pub fn subscription(&self, name: &SubscriptionName) -> Option<&ServiceSubscription> {
        let mut all = self.subscriptions.iter();
        let found = all.find(|object| object.metadata.name.as_deref() == Some(name))?;
        Some(&**found)
    }

    /// Returns the Site whose connections the device has. A list of its own that is the same counts as that
    /// of the Site: the words of whoever asks are about what stands there.
    pub(in crate::delivery) fn site_of_connections(&self) -> Option<&Site> {
        let device = self.device.as_deref()?;
        let site = self.site.as_deref()?;
        (site.spec.connections == device.spec.connections).then_some(site)
    }

    /// True if nobody knows the connections of the device: it has none of its own, and its Site is missing.
    pub(in crate::delivery) fn awaits_its_connections(&self) -> bool {
        let spec = self.device.as_deref().map(|device| &device.spec);
        let has_no =
            spec.is_some_and(|spec| spec.connections.is_empty() && spec.site_ref.is_some());
        has_no && self.site.is_none()
    }

    /// Returns the words of a device that calls, if the twin is its own.
    pub(in crate::delivery) fn said(&self) -> Option<&DeviceTwinStatus> {
        let device = self.device.as_deref()?;
        let twin = self.twin.as_deref().filter(|twin| is_of(twin, device))?;
        twin.status.as_ref()
    }

    /// True if the device has notified us through a connection that a setting of it changed.
    pub(in crate::delivery) fn has_notified_of_settings(&self, connection: &str) -> bool {
        let events = self.notified.get(connection);
        events.is_some_and(|events| events.contains(&PrinterEvent::ConfigChanged))
    }

    /// Returns the obstacle of a reference to an object that is not in the snapshot.
    pub(in crate::delivery) fn not_at_hand(&self, kind: Referent, name: &str) -> Blocked {
        let (reason, message) = self.unreadable.not_at_hand(kind, name);
        Blocked::new(reason, message)
    }

    /// Returns the obstacle of everything that needs the device, which is not in the snapshot.
    pub(in crate::delivery) fn device_not_at_hand(&self) -> Blocked {
        self.not_at_hand(Referent::Device, &self.device_name)
    }

    /// True if no contract has this uid, not even one that is being deleted.
    pub(in crate::delivery) fn contract_is_gone(&self, uid: &str) -> bool {
        !self.live_contracts.contains(uid) && !self.deleted_contracts.contains_key(uid)
    }

    /// True if a contract was restored from a backup: there is one of its name, and none of its uid. A
    /// subscription of the older one is deleted by the garbage collector; it is made again.
    pub(in crate::delivery) fn contract_came_back(&self, contract: &SubscriptionContract) -> bool {
        self.contract_is_gone(&contract.uid) && self.live_contract_names.contains(&contract.name)
    }

    /// Returns the circumstances by which the judge decides, besides a subscription.
    pub(in crate::delivery) fn circumstances(
        &self,
        subscription: &ServiceSubscription,
    ) -> Circumstances<'_> {
        let contract = &subscription.spec.contract.uid;
        Circumstances {
            established: self.established.get(contract).copied(),
            contract_deleted: self.deleted_contracts.get(contract).copied(),
            contract_is_gone: self.contract_is_gone(contract),
            clock_skewed: self.clock_skew.is_some(),
            records: &self.compensations,
        }
    }
}
