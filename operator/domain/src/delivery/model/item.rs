//! One thing that has to be in effect on a device or on a service server.
//!
//! Decides nothing. Made by resolve; compared by verify, sent by plan, told by report.

use entente_crds::v1alpha1::{StepType, TakesEffect};

use crate::delivery::{Blocked, ServerValue};
use crate::{
    protocol::{Manner, Place},
    remote::Value,
};

/// One thing that has to be in effect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedItem {
    /// What it is, such as "DeviceSetting/backup.weekdays".
    pub key: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// A digest of what is wanted and of how it is carried: a corrected model is another digest.
    pub digest: String,
    /// Another service that wins with another value.
    pub conflict: Option<Blocked>,
    /// True if another subscription in force sets the same place to another value, while this one
    /// is not in force: what was proved of it does not last.
    pub overridden: bool,
}

/// The step that an item of a status belongs to, by its key.
pub fn step_of_item(key: &str) -> Option<StepType> {
    match key.split('/').next()? {
        "DeviceSetting" => Some(StepType::DeviceSettings),
        "ServerInstance" | "ServerSetting" => Some(StepType::ServerSettings),
        "Activation" => Some(StepType::Activation),
        _ => None,
    }
}

/// What is wanted of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// A setting of the device.
    DeviceSetting {
        /// The Connection of the device that it goes through.
        connection: String,
        /// Where it is.
        place: Place,
        /// How it is carried there.
        manner: Manner,
        /// When it takes effect.
        takes_effect: TakesEffect,
        /// True if the device never tells it.
        write_only: bool,
        /// The value.
        value: Value,
    },
    /// That the instance is there.
    ServerInstance,
    /// A setting on the service server.
    ServerSetting {
        /// Where it stands in the parameters (RFC 6901).
        pointer: String,
        /// True if the server never tells it.
        write_only: bool,
        /// The value.
        value: ServerValue,
    },
    /// That the service is on.
    Activation {
        /// Where it stands in the parameters (RFC 6901).
        pointer: String,
        /// The value while it is on.
        active: serde_json::Value,
    },
}
