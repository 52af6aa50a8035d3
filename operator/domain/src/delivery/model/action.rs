//! What there is to do, as values: the result of plan and the orders of execute.
//!
//! Decides nothing: everything that execute has to know stands here.

use std::collections::BTreeMap;

use crate::delivery::{Blocked, Parameters};
use crate::remote::{DeviceReadRequest, DeviceWrite, InstanceContext, InstanceKey};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the device: its identity and the places that are needed.
    ReadDevice {
        /// The Connection.
        connection: String,
        /// What is asked.
        request: DeviceReadRequest,
    },
    /// Set one value.
    WriteDevice {
        /// The Connection.
        connection: String,
        /// What is set.
        write: DeviceWrite,
        /// For which subscriptions and items, with the digest of the value.
        items: Vec<(String, String, String)>,
    },
    /// Read a broker's catalogue. A probe: it is on behalf of nobody.
    ReadCatalogue {
        /// The Connection.
        connection: String,
    },
    /// Write the handle of the instance into status, before the first provision.
    RecordInstance {
        /// The subscription.
        subscription: String,
    },
    /// Fetch an instance.
    ReadInstance {
        /// The subscription.
        subscription: String,
        /// The instance.
        instance: InstanceKey,
        /// True if the broker lets it be fetched.
        retrievable: bool,
    },
    /// Make an instance.
    Provision {
        /// The subscription.
        subscription: String,
        /// The instance.
        instance: InstanceKey,
        /// For whom.
        context: InstanceContext,
        /// Every parameter, inactive.
        parameters: Parameters,
        /// The digest of the parameters.
        digest: String,
        /// The items that it carries, with the digest of their values.
        items: Vec<(String, String)>,
    },
    /// Change an instance.
    Update {
        /// The subscription.
        subscription: String,
        /// The instance.
        instance: InstanceKey,
        /// The plan that it is moved to, where it is of another one.
        to_plan: Option<String>,
        /// For whom.
        context: InstanceContext,
        /// The parameters: all, or only what differs.
        parameters: Parameters,
        /// The digest of the parameters.
        digest: String,
        /// The items that it carries, with the digest of their values.
        items: Vec<(String, String)>,
    },
    /// Ask how an operation stands.
    PollOperation {
        /// The subscription.
        subscription: String,
        /// The instance.
        instance: InstanceKey,
        /// The broker's id of the operation.
        operation: Option<String>,
    },
    /// Remove an instance.
    Deprovision {
        /// The subscription.
        subscription: String,
        /// The instance.
        instance: InstanceKey,
        /// For whom.
        context: InstanceContext,
    },
}

/// What to do next, and what waits for what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In this order. Empty: the pass is over.
    pub actions: Vec<Action>,
    /// What each subscription waits for, where it does.
    pub waits: BTreeMap<String, Blocked>,
}

impl Plan {
    pub(in crate::delivery) fn wait(&mut self, subscription: &str, blocked: Blocked) {
        self.waits.entry(subscription.to_owned()).or_insert(blocked);
    }

    pub(in crate::delivery) fn read_catalogue(&mut self, connection: &str) {
        let action = Action::ReadCatalogue {
            connection: connection.to_owned(),
        };
        if !self.actions.contains(&action) {
            self.actions.push(action);
        }
    }
}
