//! Resolve: what every subscription on the device wants at `now`, with every error at once.
//!
//! Dates decide the intent; the catalogue decides the items. Never looks at what a remote side
//! said. Called first in every round.

use std::collections::BTreeSet;

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        CurrentRevision, IppOperation, IppSyntax, Revision, ServiceSubscription, SmartService,
        Step, StepType, TakesEffect,
    },
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    DeviceEndpoint, World, conflict,
    digest::digest,
    endpoint::device_endpoint,
    facts, in_force,
    intent::{has_begun, intent},
    resolve_server::{ResolvedServer, resolve_server},
    settings,
};
use crate::exchange::Value;

/// What keeps something from going on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocked {
    /// Why.
    pub reason: Reason,
    /// In one sentence: what failed, on what, what to do next.
    pub message: String,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

impl Blocked {
    /// Something that is not known to end by itself.
    pub fn new(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            until: None,
        }
    }

    /// Something that ends at an instant.
    pub fn until(reason: Reason, message: String, until: Timestamp) -> Self {
        Self {
            reason,
            message,
            until: Some(until),
        }
    }
}

/// What is to happen to a subscription at `now`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Intent {
    /// Its first instant lies ahead.
    Scheduled {
        /// The instant.
        effective: Timestamp,
        /// From when early steps may run; `None` where nothing was promised.
        early_from: Option<Timestamp>,
    },
    /// It is in force.
    SetUp,
    /// It is left alone: the contract or the device is suspended.
    Suspended,
    /// It has ended, or is being deleted: both sides are withdrawn in reverse order.
    Withdraw {
        /// Since when; the deadline counts from here.
        since: Timestamp,
        /// Whether the object is being deleted, and not only past its end.
        deleting: bool,
    },
    /// It is being deleted and there is nothing to withdraw.
    Forget,
}

/// What one device and its subscriptions want.
#[derive(Clone, Debug)]
pub struct ResolvedDevice {
    /// Where the device is reached.
    pub endpoint: Result<DeviceEndpoint, Blocked>,
    /// The attribute in which the device says who it is.
    pub identity_attribute: String,
    /// The subscriptions, in order of precedence.
    pub subscriptions: Vec<ResolvedSubscription>,
}

/// What one subscription wants.
#[derive(Clone, Debug)]
pub struct ResolvedSubscription {
    /// Its name.
    pub name: String,
    /// What is to happen to it.
    pub intent: Intent,
    /// What keeps it from being set up at all: a missing reference, another contract.
    pub refused: Option<Blocked>,
    /// The steps in their order.
    pub steps: Vec<ResolvedStep>,
    /// The service server, where the service or the handle in status names one.
    pub server: Option<ResolvedServer>,
    /// The revision in force or the next one, with a digest of what it wants.
    pub revision: Option<CurrentRevision>,
    /// The SmartService of that revision and its exclusive group, for conflicts.
    pub claims: BTreeSet<String>,
    /// Whether any revision has begun, so that something may stand on the server.
    pub begun: bool,
}

/// One step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedStep {
    /// What it sets up.
    pub r#type: StepType,
    /// Whether it may run early.
    pub early: bool,
    /// What has to be in effect.
    pub items: Vec<ResolvedItem>,
}

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
}

/// What is wanted of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// A setting of the device.
    DeviceSetting {
        /// The attribute.
        attribute: String,
        /// The syntax of its value.
        syntax: IppSyntax,
        /// The operation that sets it.
        operation: IppOperation,
        /// When it takes effect.
        takes_effect: TakesEffect,
        /// The value.
        value: Value,
    },
    /// That the instance is there.
    ServerInstance,
    /// A setting on the service server.
    ServerSetting {
        /// Where it stands in the parameters (RFC 6901).
        pointer: String,
        /// The value.
        value: serde_json::Value,
    },
    /// That the service is on.
    Activation {
        /// Where it stands in the parameters (RFC 6901).
        pointer: String,
        /// The value while it is on.
        active: serde_json::Value,
    },
}

impl ResolvedSubscription {
    /// Every item in the order of the steps.
    pub fn items(&self) -> impl Iterator<Item = (&ResolvedStep, &ResolvedItem)> {
        self.steps
            .iter()
            .flat_map(|step| step.items.iter().map(move |item| (step, item)))
    }

    /// Whether it is being set up or may prepare.
    pub fn wants_set_up(&self) -> bool {
        matches!(self.intent, Intent::SetUp | Intent::Scheduled { .. })
    }

    /// Whether requests may leave now on behalf of a step.
    pub(super) fn may_ask(&self, step: &ResolvedStep, now: Timestamp) -> bool {
        self.refused.is_none()
            && match self.intent {
                Intent::SetUp => true,
                Intent::Scheduled {
                    effective,
                    early_from,
                } => early_from.filter(|_| step.early).unwrap_or(effective) <= now,
                Intent::Suspended | Intent::Withdraw { .. } | Intent::Forget => false,
            }
    }

    /// Whether a reading of the device that was taken earlier in this pass asked for the items of
    /// a step: one from before the instant did not.
    pub(super) fn was_asked(&self, step: &ResolvedStep, at: Timestamp, now: Timestamp) -> bool {
        let effective = self
            .revision
            .as_ref()
            .map_or(Timestamp::MIN, |it| it.effective);
        let began_between = at < effective && effective <= now;
        self.may_ask(step, at) && !(began_between && self.intent == Intent::SetUp && !step.early)
    }
}

/// What every subscription on the device wants.
pub fn resolve(world: &World, now: Timestamp) -> ResolvedDevice {
    let endpoint = device_endpoint(world);
    let identity_attribute = world
        .model
        .as_ref()
        .and_then(|model| model.spec.identity.as_ref()?.ipp.as_ref())
        .map_or_else(
            || "printer-uuid".to_owned(),
            |identity| identity.attribute.clone(),
        );
    let mut ordered: Vec<&ServiceSubscription> = world.subscriptions.iter().collect();
    ordered.sort_by_key(|subscription| precedence(subscription));
    let mut subscriptions: Vec<ResolvedSubscription> = ordered
        .into_iter()
        .map(|subscription| resolve_subscription(world, subscription, endpoint.as_ref().err(), now))
        .collect();
    conflict::refuse_losers(&mut subscriptions);
    conflict::mark_settings(&mut subscriptions);
    ResolvedDevice {
        endpoint,
        identity_attribute,
        subscriptions,
    }
}

/// Who wins: the earlier term start, then the older contract, then the name (api section 12).
fn precedence(subscription: &ServiceSubscription) -> (Timestamp, Timestamp, String, String) {
    let contract = &subscription.spec.contract;
    (
        contract.start,
        contract.created,
        contract.name.clone(),
        subscription.name_any(),
    )
}

fn resolve_subscription(
    world: &World,
    subscription: &ServiceSubscription,
    unreachable: Option<&Blocked>,
    now: Timestamp,
) -> ResolvedSubscription {
    let now = in_force::deciding_instant(world, subscription, now);
    let begun = in_force::begun_at(subscription).is_some() || has_begun(subscription, now);
    let intent = intent(world, subscription, begun, now);
    let revision = in_force::wanted_revision(subscription, now);
    let mut resolved = ResolvedSubscription {
        name: subscription.name_any(),
        intent,
        refused: None,
        steps: Vec::new(),
        server: None,
        revision: None,
        claims: BTreeSet::new(),
        begun,
    };
    let outcome = revision.map_or(Ok(()), |revision| {
        resolve_revision(world, subscription, revision, &mut resolved)
    });
    resolved.refused = owner_gone(world, subscription)
        .or_else(|| unreachable.cloned())
        .or_else(|| claimed(world))
        .or_else(|| outcome.err());
    resolved.server = instance_to_serve(world, subscription, &resolved.intent, resolved.server);
    resolved
}

/// The server side to speak to: that which is wanted, or that of the instance in status where it
/// is on another broker or of another offering, and has to go first.
fn instance_to_serve(
    world: &World,
    subscription: &ServiceSubscription,
    intent: &Intent,
    wanted: Option<ResolvedServer>,
) -> Option<ResolvedServer> {
    let handle = subscription
        .status
        .as_ref()
        .and_then(|status| status.server.as_ref());
    let Some(handle) = handle else { return wanted };
    let withdraws = matches!(intent, Intent::Withdraw { .. } | Intent::Forget);
    let standing = ResolvedServer::from_handle(world, subscription, handle);
    match wanted {
        Some(wanted) if !standing.is_another_than(&wanted) => Some(wanted),
        Some(wanted) if !withdraws && !facts::may_stand(handle) => Some(wanted),
        _ => Some(standing),
    }
}

fn owner_gone(world: &World, subscription: &ServiceSubscription) -> Option<Blocked> {
    (!world
        .live_contracts
        .contains(&subscription.spec.contract.uid))
    .then(|| {
        Blocked::new(
            Reason::Waiting,
            format!(
                "the Contract {} that this subscription was made for is not there; nothing is set \
                 up for it",
                subscription.spec.contract.name
            ),
        )
    })
}

fn claimed(world: &World) -> Option<Blocked> {
    world.claimed_by_another.then(|| {
        Blocked::new(
            Reason::AlreadyClaimed,
            format!(
                "another Device has the address or the identity of {}; correct spec.address",
                world.device_name
            ),
        )
    })
}

fn resolve_revision(
    world: &World,
    subscription: &ServiceSubscription,
    revision: &Revision,
    resolved: &mut ResolvedSubscription,
) -> Result<(), Blocked> {
    let name = &revision.service_ref.name;
    resolved.claims.insert(format!("service {name}"));
    let service = world.services.get(name).ok_or_else(|| {
        Blocked::new(
            Reason::ServiceNotFound,
            format!("the SmartService {name} does not exist; create it"),
        )
    })?;
    if let Some(group) = &service.spec.exclusive_group {
        resolved.claims.insert(format!("group {group}"));
    }
    let values = settings::Values::new(world, subscription, revision);
    let server = resolve_server(world, subscription, service, &values);
    let (server, server_fault) = match server {
        Ok(server) => (server, None),
        Err(blocked) => (None, Some(blocked)),
    };
    let device_items = settings::device_items(world, service, &values);
    let (device_items, device_fault) = match device_items {
        Ok(items) => (items, None),
        Err(blocked) => (Vec::new(), Some(blocked)),
    };
    resolved.steps = steps(service)
        .into_iter()
        .map(|step| ResolvedStep {
            early: step.early,
            items: match step.r#type {
                StepType::DeviceSettings => device_items.clone(),
                StepType::ServerSettings => server
                    .as_ref()
                    .map(ResolvedServer::setting_items)
                    .unwrap_or_default(),
                StepType::Activation => server
                    .as_ref()
                    .map(ResolvedServer::activation_items)
                    .unwrap_or_default(),
            },
            r#type: step.r#type,
        })
        .collect();
    resolved.server = server;
    resolved.revision = Some(CurrentRevision {
        effective: revision.effective,
        digest: digest(
            &resolved
                .items()
                .map(|(_, item)| (&item.key, &item.digest))
                .collect::<Vec<_>>(),
        ),
    });
    device_fault.or(server_fault).map_or(Ok(()), Err)
}

/// The service's steps, or the three in their usual order.
fn steps(service: &SmartService) -> Vec<Step> {
    if !service.spec.steps.is_empty() {
        return service.spec.steps.clone();
    }
    [
        StepType::DeviceSettings,
        StepType::ServerSettings,
        StepType::Activation,
    ]
    .map(|r#type| Step {
        r#type,
        early: false,
    })
    .to_vec()
}
