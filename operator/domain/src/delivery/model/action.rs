//! Actions as values: the result of plan and the orders of execute.
//!
//! Decides nothing: an action carries everything that execute needs.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{Artifact, SoftwarePart, TwinDataType, TwinMessage, TwinNext},
};
use jiff::Timestamp;

use crate::delivery::{Blocked, Parameters, SavedItem};
use crate::names::{ConnectionName, SubscriptionName};
use crate::protocol::Place;
use crate::reasons::Side;
use crate::remote::{DeviceReadRequest, DeviceWrite, DisplayRequest, InstanceContext, InstanceKey};

/// An item that a request carries.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CarriedItem {
    /// Key of the item.
    pub key: ItemKey,
    /// The digest of the value that is sent.
    pub digest: Digest,
}

/// An item that a write to the device serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServedItem {
    /// The subscription that wants it.
    pub subscription: SubscriptionName,
    /// The item.
    pub item: CarriedItem,
}

/// A change of the installation that a device is asked for. There is one at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InstallationOrder {
    /// Install a version.
    Install(Box<Installation>),
    /// End the one that was asked for last, which nobody wants any more.
    Cancel,
}

/// An installation that a device is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installation {
    /// Firmware or application.
    pub part: SoftwarePart,
    /// Its name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The file.
    pub artifact: Artifact,
    /// The instant at which the window closes in which it begins; `None`: it may begin any time.
    pub until: Option<Timestamp>,
    /// Items that are served; two services may want the same.
    pub items: Vec<ServedItem>,
}

impl InstallationOrder {
    /// Returns the items that are served.
    pub fn items(&self) -> &[ServedItem] {
        match self {
            Self::Install(installation) => &installation.items,
            Self::Cancel => &[],
        }
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the device: its identity and the places that are needed.
    ReadDevice {
        /// The Connection.
        connection: ConnectionName,
        /// Places to read.
        request: DeviceReadRequest,
    },
    /// Take a status report of the device. A probe: it serves no subscription.
    ReadStatus {
        /// The Connection.
        connection: ConnectionName,
        /// Place of the device's identity.
        identity: Place,
    },
    /// Show messages on the panel of the device, or take them down.
    ShowMessages {
        /// The Connection.
        connection: ConnectionName,
        /// The lines.
        request: DisplayRequest,
        /// Names of the SupplyOrders whose messages these are.
        messages: Vec<String>,
    },
    /// Set one value.
    WriteDevice {
        /// The Connection.
        connection: ConnectionName,
        /// Value to write.
        write: DeviceWrite,
        /// Items that are served; two services may want the same.
        items: Vec<ServedItem>,
    },
    /// Write what a device that calls should hold into its twin, in one request for all values. The twin
    /// is made if there is none.
    WriteTwin {
        /// The Connection.
        connection: ConnectionName,
        /// Values that it is asked to take, each with the items that are served.
        writes: Vec<(DeviceWrite, Vec<ServedItem>)>,
        /// The settings that nobody wants any more.
        released: BTreeSet<String>,
        /// The change that comes next.
        next: Option<TwinNext>,
        /// Change of the installation that it is asked for, if there is one.
        installation: Option<InstallationOrder>,
        /// Instant at which it should call for an installation that waits for a window.
        call_at: Option<Timestamp>,
        /// Kinds of data that it should send, and no others.
        data_types: Vec<TwinDataType>,
        /// Items that these serve and that are asked for now.
        data_items: Vec<ServedItem>,
        /// Messages that it should show, and no others.
        messages: Vec<TwinMessage>,
    },
    /// Read a broker's catalog. A probe: it serves no subscription.
    ReadCatalog {
        /// The Connection.
        connection: ConnectionName,
    },
    /// Write the values that the device has into the status, before they are overwritten.
    RecordPrevious {
        /// The subscription.
        subscription: SubscriptionName,
        /// The items, each with the value that is kept.
        items: Vec<SavedItem>,
    },
    /// Write the record of the instance into status, before the first provision.
    RecordInstance {
        /// The subscription.
        subscription: SubscriptionName,
    },
    /// Write the instance of another subscription, which this one succeeds, into the status of this
    /// one. [`Action::RecordInstance`] of the other one then forgets it there.
    TakeOver {
        /// The subscription.
        subscription: SubscriptionName,
        /// The one that has the instance.
        from: SubscriptionName,
    },
    /// Write the subscription that acts for an exclusive group from now on into the status of the
    /// device: the switch of a change of provider.
    Switch {
        /// The exclusive group.
        group: String,
        /// The subscription.
        to: SubscriptionName,
    },
    /// Fetch an instance.
    ReadInstance {
        /// The subscription.
        subscription: SubscriptionName,
        /// The instance.
        instance: InstanceKey,
        /// True if the broker lets it be fetched.
        retrievable: bool,
    },
    /// Make an instance.
    Provision {
        /// The subscription.
        subscription: SubscriptionName,
        /// The instance.
        instance: InstanceKey,
        /// Customer and subscription of the instance.
        context: InstanceContext,
        /// The version of the plan in the catalog, if it has one.
        maintenance_version: Option<String>,
        /// Every parameter, inactive.
        parameters: Parameters,
        /// The digest of the parameters.
        digest: Digest,
        /// The items that it carries.
        items: Vec<CarriedItem>,
    },
    /// Change an instance.
    Update {
        /// The subscription.
        subscription: SubscriptionName,
        /// The instance.
        instance: InstanceKey,
        /// Id of the plan that it is moved to, if that is another one.
        to_plan: Option<String>,
        /// The version of that plan in the catalog, if it has one.
        maintenance_version: Option<String>,
        /// Customer and subscription of the instance.
        context: InstanceContext,
        /// The parameters: all, or only what differs.
        parameters: Parameters,
        /// The digest of the parameters.
        digest: Digest,
        /// The items that it carries.
        items: Vec<CarriedItem>,
    },
    /// Poll an operation of the service server.
    PollOperation {
        /// The subscription.
        subscription: SubscriptionName,
        /// The instance.
        instance: InstanceKey,
        /// The broker's id of the operation.
        operation: Option<String>,
    },
    /// Remove an instance.
    Deprovision {
        /// The subscription.
        subscription: SubscriptionName,
        /// The instance.
        instance: InstanceKey,
        /// Customer and subscription of the instance.
        context: InstanceContext,
    },
}

/// Next actions, and the reasons for which subscriptions wait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Actions in their order. Empty: the pass is over.
    pub actions: Vec<Action>,
    /// Reason for which each subscription waits, by name; those that do not wait are not in it.
    pub waits: BTreeMap<SubscriptionName, Blocked>,
    /// Installations that may be asked for now, of which one at a time is; and the opening of a window
    /// that others wait for. Both go into one write of the twin.
    pub(in crate::delivery) installations: Installations,
    /// Kinds of data that may be asked for now; they go into the same write.
    pub(in crate::delivery) data_items: Vec<ServedItem>,
}

/// Installations of a plan under construction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::delivery) struct Installations {
    /// Those that may be asked for now.
    pub(in crate::delivery) ready: Vec<Installation>,
    /// The next instant at which a window opens for one that waits.
    pub(in crate::delivery) call_at: Option<Timestamp>,
    /// True if the one that was asked for has to be taken back, since its window is closed and the
    /// device was not told of it.
    pub(in crate::delivery) is_to_be_taken_back: bool,
}

impl Plan {
    pub(in crate::delivery) fn wait(&mut self, subscription: &SubscriptionName, blocked: Blocked) {
        // The device comes first, as its step does, in whatever order the two were looked at: the
        // same obstacles give the same words.
        let is_behind = |found: &Blocked| {
            found.side == Some(Side::Server) && blocked.side == Some(Side::Device)
        };
        if self.waits.get(subscription).is_none_or(is_behind) {
            self.waits.insert(subscription.clone(), blocked);
        }
    }

    pub(in crate::delivery) fn read_catalog(&mut self, connection: &ConnectionName) {
        self.once(Action::ReadCatalog {
            connection: connection.clone(),
        });
    }

    /// Plans an action that several steps need, once.
    pub(in crate::delivery) fn once(&mut self, action: Action) {
        if !self.actions.contains(&action) {
            self.actions.push(action);
        }
    }
}
