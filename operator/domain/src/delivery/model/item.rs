//! One thing that has to be in effect on a device or on a service server.
//!
//! Decides nothing. Made by resolve; compared by verify, sent by plan, told by report.

use entente_crds::{
    condition::Reason,
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{Artifact, DataEvent, SoftwarePart, TakesEffect},
};
use jiff::SignedDuration;

use crate::delivery::{Blocked, CarriedItem, ServerValue};
use crate::names::ConnectionName;
use crate::{
    protocol::{Manner, Place},
    remote::{DeviceWrite, Value},
};

/// One thing that has to be in effect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedItem {
    /// Key of the item, such as "DeviceSetting/backup.weekdays".
    pub key: ItemKey,
    /// Wanted state.
    pub wanted: Wanted,
    /// A digest of the wanted value and of the manner in which it is carried: a corrected model
    /// gives another digest.
    pub digest: Digest,
    /// Another service with precedence that wants another value.
    pub conflict: Option<Blocked>,
    /// True if another subscription in force sets the same place to another value, while this one
    /// is not in force: a proof of its value does not last.
    pub overridden: bool,
}

impl ResolvedItem {
    /// True if it waits for the switch of its exclusive group: the one that serves until then wants
    /// another value.
    pub fn moves_with_the_switch(&self) -> bool {
        let conflict = self.conflict.as_ref();
        conflict.is_some_and(|conflict| conflict.reason == Reason::HandingOver)
    }

    /// Returns the item as a request carries it.
    pub(in crate::delivery) fn carried(&self) -> CarriedItem {
        CarriedItem {
            key: self.key.clone(),
            digest: self.digest,
        }
    }
}

/// Wanted state of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// A setting of the device.
    DeviceSetting {
        /// Name of the Connection of the device that carries it.
        connection: ConnectionName,
        /// Place on the device.
        place: Place,
        /// Manner in which it is carried there.
        manner: Manner,
        /// Moment at which it takes effect.
        takes_effect: TakesEffect,
        /// True if the device never tells it.
        write_only: bool,
        /// The value.
        value: Value,
    },
    /// A version of the firmware or of an application, or a newer one.
    Software {
        /// Name of the Connection of the device through which it is installed and reported.
        connection: ConnectionName,
        /// Firmware or application.
        part: SoftwarePart,
        /// Its name.
        name: String,
        /// The oldest version that suffices.
        minimum: String,
        /// The version that is installed where the device has none that suffices; `None` if the model
        /// lists none.
        target: Option<Offer>,
        /// The versions that the model lists.
        listed: Vec<String>,
    },
    /// A kind of data that the device sends.
    DataType {
        /// Name of the Connection of the device through which it is asked for.
        connection: ConnectionName,
        /// The kind.
        data: WantedData,
    },
    /// The instance exists.
    ServerInstance,
    /// A setting on the service server.
    ServerSetting {
        /// Place in the parameters as a JSON pointer (RFC 6901).
        pointer: String,
        /// True if the server never tells it.
        write_only: bool,
        /// The value.
        value: ServerValue,
    },
    /// The service is turned on.
    Activation {
        /// Place in the parameters as a JSON pointer (RFC 6901).
        pointer: String,
        /// The value while it is on.
        active: serde_json::Value,
    },
    /// The device reports that the service works. It is only read, never written.
    Acceptance {
        /// Name of the Connection of the device through which it is read.
        connection: ConnectionName,
        /// Place on the device.
        place: Place,
        /// The value that it has when the service works.
        value: Value,
        /// Time after all else is in effect in which another value is no failure.
        within: SignedDuration,
    },
}

impl Wanted {
    /// Returns the request that sets it on a device; `None` if it is no setting of a device.
    pub(in crate::delivery) fn device_write(&self) -> Option<DeviceWrite> {
        let Self::DeviceSetting {
            place,
            manner,
            value,
            ..
        } = self
        else {
            return None;
        };
        Some(DeviceWrite {
            place: place.clone(),
            manner: *manner,
            value: value.clone(),
        })
    }
}

/// A kind of data that a device sends for a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WantedData {
    /// Its name in the DeviceModel.
    pub name: String,
    /// Events that send it, besides the period.
    pub on: Vec<DataEvent>,
    /// Percentage at which BelowThreshold sends it.
    pub threshold: Option<i32>,
    /// Longest time between two messages.
    pub period: SignedDuration,
}

/// A version of software that a device can install.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// The version.
    pub version: String,
    /// The file.
    pub artifact: Artifact,
    /// True if it takes the place of a newer version, too.
    pub downgrade: bool,
    /// Time that it takes, if that is known.
    pub takes: Option<SignedDuration>,
}

impl Wanted {
    /// True if the remote side never tells it, so that it counts as soon as it was accepted.
    pub(in crate::delivery) fn is_write_only(&self) -> bool {
        match self {
            Self::DeviceSetting { write_only, .. } | Self::ServerSetting { write_only, .. } => {
                *write_only
            }
            Self::ServerInstance
            | Self::Activation { .. }
            | Self::Acceptance { .. }
            | Self::Software { .. }
            | Self::DataType { .. } => false,
        }
    }

    /// True if it is read from the device, and not from the service server.
    pub(in crate::delivery) fn is_on_device(&self) -> bool {
        match self {
            Self::DeviceSetting { .. }
            | Self::Acceptance { .. }
            | Self::Software { .. }
            | Self::DataType { .. } => true,
            Self::ServerInstance | Self::ServerSetting { .. } | Self::Activation { .. } => false,
        }
    }

    /// True if the value comes from a Secret.
    pub(in crate::delivery) fn is_secret(&self) -> bool {
        match self {
            Self::DeviceSetting { value, .. } => matches!(value, Value::Secret(_)),
            Self::ServerSetting { value, .. } => matches!(value, ServerValue::Secret(_)),
            Self::ServerInstance
            | Self::Activation { .. }
            | Self::Acceptance { .. }
            | Self::Software { .. }
            | Self::DataType { .. } => false,
        }
    }
}
