//! Plan: what to do next on the device and on the service servers, with no choices left.
//!
//! One round of a pass: the first step of every subscription that is not Effective. A side that
//! was not read is read first; only what differs is sent; what waits says for what. Called after
//! verify in every round; the pass ends when there is nothing to do.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    condition::Reason,
    v1alpha1::{ItemState, ServerOperationType, StepType, Updates},
};
use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::{
    Facts, ResolvedDevice, ResolvedSubscription, Verified, World,
    resolve::{Blocked, Intent, ResolvedItem, ResolvedStep, Wanted},
    resolve_server::ResolvedServer,
    withdraw,
};
use crate::{
    assessment::{Class, class_of_outcome},
    exchange::{
        DeviceReadRequest, DeviceWrite, InstanceContext, InstanceKey, InstanceReading, SettingWrite,
    },
    retry::{HoldKey, Holds},
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the device: its identity and the attributes that are needed.
    ReadDevice {
        /// What is asked.
        request: DeviceReadRequest,
    },
    /// Set one smallest group of attributes.
    WriteDevice {
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
        /// Whether the broker lets it be fetched.
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
        parameters: Map<String, Json>,
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
        /// For whom.
        context: InstanceContext,
        /// The parameters: all, or only what differs.
        parameters: Map<String, Json>,
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
    pub(super) fn wait(&mut self, subscription: &str, blocked: Blocked) {
        self.waits.entry(subscription.to_owned()).or_insert(blocked);
    }

    pub(super) fn read_catalogue(&mut self, connection: &str) {
        let action = Action::ReadCatalogue { connection: connection.to_owned() };
        if !self.actions.contains(&action) {
            self.actions.push(action);
        }
    }
}

/// What to do next.
pub fn plan(
    world: &World,
    resolved: &ResolvedDevice,
    verified: &BTreeMap<String, Verified>,
    facts: &Facts,
    holds: &Holds,
    now: Timestamp,
) -> Plan {
    let round = Round { world, resolved, verified, facts, holds, now };
    let mut plan = Plan::default();
    if round.device_read_is_due() {
        round.read_device(&mut plan);
    }
    // Set-up runs before withdrawal (api section 12).
    for subscription in resolved.subscriptions.iter().filter(|entry| entry.wants_set_up()) {
        round.set_up(subscription, &mut plan);
    }
    for subscription in &resolved.subscriptions {
        match &subscription.intent {
            Intent::Withdraw { .. } => withdraw::withdraw(&round, subscription, &mut plan),
            Intent::SetUp if subscription.refused.as_ref().is_some_and(loses) => {
                withdraw::withdraw(&round, subscription, &mut plan);
            }
            _ => {}
        }
    }
    plan
}

/// Whether what is refused must not stay active (api section 12).
pub(super) fn loses(refused: &Blocked) -> bool {
    refused.reason == Reason::ConflictingContract
}

pub(super) struct Round<'a> {
    pub(super) world: &'a World,
    pub(super) resolved: &'a ResolvedDevice,
    pub(super) verified: &'a BTreeMap<String, Verified>,
    pub(super) facts: &'a Facts,
    pub(super) holds: &'a Holds,
    pub(super) now: Timestamp,
}

impl Round<'_> {
    /// A device that was never read, and each sync period, is read although nothing is pending.
    fn device_read_is_due(&self) -> bool {
        let Some(device) = &self.world.device else { return false };
        if device.spec.suspend || self.resolved.endpoint.is_err() || self.facts.device.is_some() {
            return false;
        }
        self.sync_is_due(device)
    }

    fn sync_is_due(&self, device: &entente_crds::v1alpha1::Device) -> bool {
        self.world.reconcile_requested
            || super::report_device::next_sync(self.world, device).is_none_or(|at| at <= self.now)
    }

    fn set_up(&self, subscription: &ResolvedSubscription, plan: &mut Plan) {
        if let Some(refused) = &subscription.refused {
            plan.wait(&subscription.name, refused.clone());
            return;
        }
        if let Some(server) = &subscription.server
            && server.offering.is_none()
            && !self.read_missing_catalogue(subscription, server, plan)
        {
            return;
        }
        let Some(verified) = self.verified.get(&subscription.name) else { return };
        for step in &subscription.steps {
            let effective =
                verified.of_step(step.r#type).all(|item| item.state == ItemState::Effective);
            if effective && !self.server_sync_is_due(subscription, step) {
                continue;
            }
            if !effective && let Some(wait) = self.too_early(subscription, step) {
                plan.wait(&subscription.name, wait);
                return;
            }
            match step.r#type {
                StepType::DeviceSettings => self.device_step(subscription, step, verified, plan),
                StepType::ServerSettings | StepType::Activation => {
                    self.server_step(subscription, step, verified, plan);
                }
            }
            if !effective {
                return;
            }
        }
    }

    /// Reads the catalogue where it is missing; whether set-up may go on without it.
    pub(super) fn read_missing_catalogue(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        plan: &mut Plan,
    ) -> bool {
        let key = HoldKey::Catalogue { connection: server.connection.clone() };
        if let Some(until) = self.holds.until(&key, self.now) {
            let blocked = self
                .verified
                .get(&subscription.name)
                .and_then(|verified| verified.server_fault.clone())
                .unwrap_or_else(|| {
                    Blocked::new(
                        Reason::ProtocolError,
                        format!("the catalogue behind {} could not be read", server.connection),
                    )
                });
            plan.wait(&subscription.name, Blocked { until: Some(until), ..blocked });
            // The device side may go on: the steps before the server do not need the catalogue.
            return true;
        }
        if self.facts.catalogue_problems.contains_key(&server.connection) {
            return true;
        }
        plan.read_catalogue(&server.connection);
        false
    }

    /// No request on behalf of a subscription leaves before its instant, but for early steps.
    fn too_early(&self, subscription: &ResolvedSubscription, step: &ResolvedStep) -> Option<Blocked> {
        let Intent::Scheduled { effective, early_from } = subscription.intent else { return None };
        let begins = match early_from {
            Some(from) if step.early => from,
            _ => effective,
        };
        if self.world.clock_skewed && begins <= self.now {
            return Some(clock_skew());
        }
        (begins > self.now).then(|| {
            Blocked::until(Reason::NotStarted, "the start lies ahead".to_owned(), begins)
        })
    }

    fn server_sync_is_due(&self, subscription: &ResolvedSubscription, step: &ResolvedStep) -> bool {
        let Some(device) = &self.world.device else { return false };
        step.r#type == StepType::ServerSettings
            && matches!(subscription.intent, Intent::SetUp)
            && !step.items.is_empty()
            && !self.facts.servers.contains_key(&subscription.name)
            && !self.facts.server_problems.contains_key(&subscription.name)
            && self.facts.device.is_some()
            && self.sync_is_due(device)
    }

    pub(super) fn read_device(&self, plan: &mut Plan) {
        if self.holds.until(&HoldKey::Device, self.now).is_some()
            || plan.actions.iter().any(|action| matches!(action, Action::ReadDevice { .. }))
        {
            return;
        }
        let attributes: BTreeSet<String> = self
            .resolved
            .subscriptions
            .iter()
            .filter(|subscription| {
                subscription.refused.is_none()
                    && match subscription.intent {
                        Intent::SetUp => true,
                        Intent::Scheduled { early_from, .. } => {
                            early_from.is_some_and(|from| from <= self.now)
                        }
                        _ => false,
                    }
            })
            .flat_map(ResolvedSubscription::items)
            .filter_map(|(_, item)| match &item.wanted {
                Wanted::DeviceSetting { attribute, .. } => Some(attribute.clone()),
                _ => None,
            })
            .collect();
        plan.actions.insert(
            0,
            Action::ReadDevice {
                request: DeviceReadRequest {
                    identity_attribute: self.resolved.identity_attribute.clone(),
                    attributes,
                },
            },
        );
    }

    fn device_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        if self.world.clock_skewed {
            plan.wait(&subscription.name, clock_skew());
            return;
        }
        if let Some(fault) = &verified.device_fault {
            let until = self.holds.until(&HoldKey::Device, self.now);
            plan.wait(&subscription.name, Blocked { until, ..fault.clone() });
            return;
        }
        if self.facts.device.is_none() {
            let waits = step.items.iter().all(|item| self.rests(subscription, item, verified));
            if !waits {
                self.read_device(plan);
            }
            if let Some(until) = self.holds.until(&HoldKey::Device, self.now) {
                plan.wait(&subscription.name, self.device_held(verified, until));
            }
            return;
        }
        if let Some(until) = self.holds.until(&HoldKey::Device, self.now) {
            plan.wait(&subscription.name, self.device_held(verified, until));
            return;
        }
        for item in &step.items {
            self.write_item(subscription, item, verified, plan);
        }
    }

    fn device_held(&self, verified: &Verified, until: Timestamp) -> Blocked {
        let problem = verified.items.iter().find_map(|item| item.problem.as_ref());
        problem.map_or_else(
            || {
                Blocked::until(
                    Reason::Unreachable,
                    format!("the device {} did not answer", self.world.device_name),
                    until,
                )
            },
            |problem| {
                Blocked::until(
                    crate::assessment::reason_of_outcome(problem.outcome),
                    problem.message.clone(),
                    until,
                )
            },
        )
    }

    /// Whether nothing is to be done for an item now: it is done, held back, or needs a person.
    pub(super) fn rests(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        verified: &Verified,
    ) -> bool {
        let Some(proved) = verified.item(&item.key) else { return true };
        if matches!(proved.state, ItemState::Effective | ItemState::AwaitingRestart) {
            return true;
        }
        if item.conflict.is_some() {
            return true;
        }
        // What a person must change is not sent again for the same value and the same model.
        if proved.problem.as_ref().is_some_and(|p| class_of_outcome(p.outcome) == Class::Stalled) {
            return true;
        }
        let key = HoldKey::Item {
            subscription: subscription.name.clone(),
            item: item.key.clone(),
            digest: item.digest.clone(),
        };
        self.holds.until(&key, self.now).is_some()
    }

    fn write_item(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let Wanted::DeviceSetting { attribute, syntax, operation, value, .. } = &item.wanted else {
            return;
        };
        if let Some(conflict) = &item.conflict {
            plan.wait(&subscription.name, conflict.clone());
            return;
        }
        let sent = self.facts.sent.get(&(subscription.name.clone(), item.key.clone()));
        let sent = sent.is_some_and(|sent| sent.digest == item.digest);
        if sent || self.rests(subscription, item, verified) {
            return;
        }
        let write = DeviceWrite {
            operation: *operation,
            settings: vec![SettingWrite {
                attribute: attribute.clone(),
                syntax: *syntax,
                value: value.clone(),
            }],
        };
        let entry = (subscription.name.clone(), item.key.clone(), item.digest.clone());
        // Two services that want the same value share one write.
        let shared = plan.actions.iter_mut().find_map(|action| match action {
            Action::WriteDevice { write: planned, items } if *planned == write => Some(items),
            _ => None,
        });
        match shared {
            Some(items) => items.push(entry),
            None => plan.actions.push(Action::WriteDevice { write, items: vec![entry] }),
        }
    }

    fn server_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let Some(server) = &subscription.server else { return };
        if !self.world.catalogues.contains_key(&server.connection) {
            // Only the catalogue says whether instances can be fetched.
            let at_rest = step.items.iter().all(|item| self.rests(subscription, item, verified));
            if !at_rest {
                self.read_missing_catalogue(subscription, server, plan);
            }
            return;
        }
        let Some(instance) = server.key() else {
            if let Some(fault) = &verified.server_fault {
                plan.wait(&subscription.name, fault.clone());
            }
            return;
        };
        if self.world.clock_skewed {
            plan.wait(&subscription.name, clock_skew());
            return;
        }
        if let Some(until) = self.server_held(subscription) {
            plan.wait(&subscription.name, self.server_blocked(server, verified, subscription, until));
            return;
        }
        // What went wrong in this pass is tried again in a later one.
        if self.facts.server_problems.contains_key(&subscription.name)
            || self.facts.servers.get(&subscription.name).is_some_and(|reading| reading.result.is_err())
        {
            if let Some(fault) = &verified.server_fault {
                plan.wait(&subscription.name, fault.clone());
            }
            return;
        }
        let handle = self.facts.handles.get(&subscription.name);
        let operation = handle.and_then(|handle| handle.operation.as_ref());
        if let Some(operation) = operation.filter(|operation| !operation.doubtful) {
            self.poll(subscription, instance, operation.since, operation.id.clone(), plan);
            return;
        }
        let Some(reading) = self.facts.servers.get(&subscription.name) else {
            // A verified step that is only due for a sync, or one that is not effective: read.
            let at_rest = step.items.iter().all(|item| self.rests(subscription, item, verified))
                && !self.server_sync_is_due(subscription, step);
            if !at_rest {
                plan.actions.push(Action::ReadInstance {
                    subscription: subscription.name.clone(),
                    instance,
                    retrievable: server.offering.as_ref().is_none_or(|o| o.retrievable),
                });
            }
            return;
        };
        let Ok(reading) = &reading.result else { return };
        let missing = match reading {
            InstanceReading::Absent => true,
            InstanceReading::NotRetrievable => {
                handle.is_none_or(|handle| handle.sent_digest.is_none())
            }
            InstanceReading::Present { .. } => false,
        };
        if missing {
            self.provision(subscription, server, instance, plan);
        } else {
            self.update(subscription, server, (instance, step), verified, plan);
        }
    }

    pub(super) fn server_held(&self, subscription: &ResolvedSubscription) -> Option<Timestamp> {
        let key = HoldKey::Server { subscription: subscription.name.clone() };
        self.holds.until(&key, self.now)
    }

    pub(super) fn server_blocked(
        &self,
        server: &ResolvedServer,
        verified: &Verified,
        subscription: &ResolvedSubscription,
        until: Timestamp,
    ) -> Blocked {
        let handle = self.facts.handles.get(&subscription.name);
        let running = handle.and_then(|handle| handle.operation.as_ref()).is_some_and(|o| !o.doubtful);
        if running {
            return Blocked::until(
                Reason::OperationRunning,
                format!("an operation of the service server behind {} is under way", server.connection),
                until,
            );
        }
        let problem = verified.items.iter().filter(|item| item.step != StepType::DeviceSettings);
        problem.filter_map(|item| item.problem.as_ref()).next().map_or_else(
            || {
                Blocked::until(
                    Reason::ProtocolError,
                    format!("the service server behind {} failed", server.connection),
                    until,
                )
            },
            |problem| {
                Blocked::until(
                    crate::assessment::reason_of_outcome(problem.outcome),
                    problem.message.clone(),
                    until,
                )
            },
        )
    }

    pub(super) fn poll(
        &self,
        subscription: &ResolvedSubscription,
        instance: InstanceKey,
        since: Timestamp,
        operation: Option<String>,
        plan: &mut Plan,
    ) {
        let Some(server) = &subscription.server else { return };
        let maximum = server.offering.as_ref().map(|offering| offering.maximum_polling);
        let given_up = maximum.is_some_and(|maximum| self.now.duration_since(since) > maximum);
        let provision = self
            .facts
            .handles
            .get(&subscription.name)
            .and_then(|handle| handle.operation.as_ref())
            .is_some_and(|operation| operation.r#type == ServerOperationType::Provision);
        if given_up && provision {
            // OSB "Orphan Mitigation": a provision that never ends is removed, then made again.
            plan.actions.push(Action::Deprovision {
                subscription: subscription.name.clone(),
                instance,
                context: server.context.clone(),
            });
            return;
        }
        plan.actions.push(Action::PollOperation {
            subscription: subscription.name.clone(),
            instance,
            operation,
        });
    }

    fn provision(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        instance: InstanceKey,
        plan: &mut Plan,
    ) {
        let recorded = self
            .world
            .subscriptions
            .iter()
            .find(|object| object.metadata.name.as_deref() == Some(&subscription.name))
            .and_then(|object| object.status.as_ref()?.server.as_ref())
            .is_some_and(|handle| handle.instance_id == instance.instance_id);
        if !recorded {
            plan.actions
                .push(Action::RecordInstance { subscription: subscription.name.clone() });
            return;
        }
        let handle = self.facts.handles.get(&subscription.name);
        let doubtful = handle.and_then(|handle| handle.operation.as_ref());
        let maximum = server.offering.as_ref().map(|offering| offering.maximum_polling);
        if let (Some(operation), Some(maximum)) = (doubtful, maximum)
            && operation.doubtful
            && self.now.duration_since(operation.since) > maximum
        {
            plan.actions.push(Action::Deprovision {
                subscription: subscription.name.clone(),
                instance,
                context: server.context.clone(),
            });
            return;
        }
        let parameters = server.parameters(false);
        let items = subscription
            .items()
            .filter(|(step, _)| step.r#type == StepType::ServerSettings)
            .map(|(_, item)| (item.key.clone(), item.digest.clone()))
            .collect();
        plan.actions.push(Action::Provision {
            subscription: subscription.name.clone(),
            instance,
            context: server.context.clone(),
            digest: super::digest(&parameters),
            parameters,
            items,
        });
    }

    fn update(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        (instance, step): (InstanceKey, &ResolvedStep),
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let differing: Vec<&ResolvedItem> = step
            .items
            .iter()
            .filter(|item| item.wanted != Wanted::ServerInstance)
            .filter(|item| !self.rests(subscription, item, verified))
            .filter(|item| {
                let key = (subscription.name.clone(), item.key.clone());
                self.facts.sent.get(&key).is_none_or(|sent| sent.digest != item.digest)
            })
            .collect();
        if differing.is_empty() {
            return;
        }
        let activation_is_on = verified
            .of_step(StepType::Activation)
            .all(|item| item.state == ItemState::Effective);
        let active = step.r#type == StepType::Activation || activation_is_on;
        let full = server.parameters(active);
        let parameters = match server.updates {
            Updates::Replace => full.clone(),
            Updates::Merge => only(server, &differing, active),
        };
        plan.actions.push(Action::Update {
            subscription: subscription.name.clone(),
            instance,
            context: server.context.clone(),
            digest: super::digest(&full),
            parameters,
            items: differing
                .into_iter()
                .map(|item| (item.key.clone(), item.digest.clone()))
                .collect(),
        });
    }
}

/// The parameters of these items alone.
fn only(server: &ResolvedServer, items: &[&ResolvedItem], active: bool) -> Map<String, Json> {
    let keys: BTreeSet<&str> = items.iter().map(|item| item.key.as_str()).collect();
    let part = ResolvedServer {
        settings: server
            .settings
            .iter()
            .filter(|(key, ..)| keys.contains(key.as_str()))
            .cloned()
            .collect(),
        activation: server
            .activation
            .clone()
            .filter(|activation| keys.contains(activation.key.as_str())),
        ..server.clone()
    };
    part.parameters(active)
}

fn clock_skew() -> Blocked {
    Blocked::new(
        Reason::ClockSkew,
        "the local clock and that of the API server differ by more than 5 seconds; set the clock \
         of the operator's node"
            .to_owned(),
    )
}
