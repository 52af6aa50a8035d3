//! Resolve: the wants of every subscription on the device at `now`, with every error at once.
//!
//! Dates decide the intent; the catalogue decides the items. Never reads the answers of remote
//! sides. Called first in every round.

use std::collections::BTreeSet;

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        ActivationMode, CurrentRevision, LocalEnablement, Revision, ServiceSubscription,
        SmartService, SoftwarePart, StepType,
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::activation::MissingLeg;
use crate::delivery::{
    Blocked, DeviceSnapshot, Intent, ResolvedConnection, ResolvedDevice, ResolvedItem,
    ResolvedServer, ResolvedStep, ResolvedSubscription, digest, observations, previous,
    resolve::endpoint::{machine_digest, resolve_connections, target_digest, unreachable},
    resolve::instance::resolve_server,
    schedule::intent::{has_begun, intent},
    schedule::revision,
};
use crate::unreadable::Referent;

mod acceptance;
pub(super) mod asker;
mod data_types;
mod doubt;
pub(super) mod endpoint;
mod exchange;
pub(super) mod instance;
mod legs;
mod precedence;
pub(super) mod software;
mod succession;
pub(super) mod turns;
pub(super) mod values;

/// Time limit of a step if no service sets one.
const DEFAULT_STEP_TIMEOUT: SignedDuration = SignedDuration::from_hours(1);

/// Returns the wants of every subscription on the device.
pub(super) fn resolve(snapshot: &DeviceSnapshot, now: Timestamp) -> ResolvedDevice {
    let connections = resolve_connections(snapshot);
    let shared = Shared {
        unreachable: unreachable(snapshot, &connections),
        switches: legs::switches(snapshot, now),
        connections,
    };
    let mut subscriptions: Vec<ResolvedSubscription> = precedence::ordered(snapshot)
        .into_iter()
        .map(|subscription| resolve_subscription(snapshot, subscription, &shared, now))
        .collect();
    succession::hand_over(snapshot, &mut subscriptions, now);
    turns::give_turns(snapshot, &mut subscriptions, &shared, now);
    precedence::refuse_losers(&mut subscriptions);
    turns::end_those_without_precedence(snapshot, &mut subscriptions, now);
    doubt::defer_in_doubt(snapshot, &mut subscriptions);
    precedence::mark_settings(&mut subscriptions);
    software::merge(&mut subscriptions, now);
    ResolvedDevice {
        target_digest: target_digest(snapshot, &shared.connections),
        machine_digest: machine_digest(snapshot),
        connections: shared.connections,
        unreachable: shared.unreachable,
        switches: shared.switches,
        subscriptions,
    }
}

/// Resolved facts of the device itself, for all of its subscriptions.
pub(in crate::delivery) struct Shared {
    /// Connections to the device.
    connections: Vec<ResolvedConnection>,
    /// Obstacle to every connection of the device.
    unreachable: Option<Blocked>,
    /// Its local switches.
    switches: Vec<LocalEnablement>,
}

fn resolve_subscription(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    shared: &Shared,
    now: Timestamp,
) -> ResolvedSubscription {
    let now = revision::deciding_instant(snapshot, subscription, now);
    let begun = revision::begun_at(subscription).is_some()
        || has_begun(subscription, now)
        || observations::record::has_instance(subscription)
        || previous::holds(subscription);
    let intent = intent(snapshot, subscription, begun, now);
    let revision = revision::wanted_revision(subscription, now);
    let treatment = (intent, revision, begun);
    resolve_as(snapshot, subscription, treatment, (shared, &[]))
}

/// Returns the wants of a subscription that has ended and serves on, as they were until then. One that
/// was suspended is left alone on. `missing` has the legs that it lacks because the one that takes its
/// place does.
fn serving_on(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    (shared, missing): (&Shared, &[MissingLeg]),
) -> ResolvedSubscription {
    let last = revision::wanted_revision(subscription, Timestamp::MAX);
    let intent = if subscription.spec.contract.suspend {
        Intent::Suspended
    } else {
        Intent::SetUp
    };
    let treatment = (intent, last, true);
    resolve_as(snapshot, subscription, treatment, (shared, missing))
}

fn resolve_as(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    (intent, revision, begun): (Intent, Option<&Revision>, bool),
    (shared, missing): (&Shared, &[MissingLeg]),
) -> ResolvedSubscription {
    let mut resolved = ResolvedSubscription {
        name: subscription.name_any().into(),
        intent,
        refused: None,
        device_fault: None,
        steps: Vec::new(),
        step_timeout: DEFAULT_STEP_TIMEOUT,
        server: None,
        revision: None,
        claims: BTreeSet::new(),
        begun,
        release: None,
        handed_to: None,
        turn: None,
        exchange: None,
        missing_legs: missing.to_vec(),
        switched_on: None,
        begun_by_data: false,
    };
    let outcome = revision.map_or(Ok(()), |revision| {
        resolve_revision(snapshot, subscription, (revision, shared), &mut resolved)
    });
    resolved.refused = owner_gone(snapshot, subscription)
        .or_else(|| shared.unreachable.clone())
        .or_else(|| claimed(snapshot))
        .or_else(|| outcome.err());
    resolved.exchange = exchange::exchange_of(snapshot, subscription, &resolved);
    resolved.server = instance_to_serve(snapshot, subscription, &resolved.intent, resolved.server);
    resolved
}

/// Returns the server side to send requests to: the wanted one, or that of the instance in status
/// if it is on another broker or of another offering, and has to be removed first.
fn instance_to_serve(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    intent: &Intent,
    wanted: Option<ResolvedServer>,
) -> Option<ResolvedServer> {
    let recorded = subscription
        .status
        .as_ref()
        .and_then(|status| status.server.as_ref());
    let Some(recorded) = recorded else {
        return wanted;
    };
    let withdraws = matches!(intent, Intent::Withdraw { .. } | Intent::Detach);
    let left = ResolvedServer::from_record(snapshot, subscription, recorded);
    match wanted {
        Some(wanted) if !left.is_another_than(&wanted) => Some(wanted),
        Some(wanted) if !withdraws && !observations::record::may_exist(recorded) => Some(wanted),
        _ => Some(left),
    }
}

fn owner_gone(snapshot: &DeviceSnapshot, subscription: &ServiceSubscription) -> Option<Blocked> {
    let contract = &subscription.spec.contract;
    if snapshot.live_contracts.contains(&contract.uid) {
        return None;
    }
    let (name, is_ending) = (
        &contract.name,
        snapshot.deleted_contracts.contains_key(&*contract.uid),
    );
    let state = if is_ending {
        "is being deleted"
    } else {
        "that this subscription was made for is not there"
    };
    let message = format!("the Contract {name} {state}; nothing is set up for it");
    Some(Blocked::new(Reason::Waiting, message))
}

fn claimed(snapshot: &DeviceSnapshot) -> Option<Blocked> {
    let claimant = snapshot.claimed_by_another.values().next()?;
    Some(Blocked::new(
        Reason::AlreadyClaimed,
        format!(
            "{claimant} has the address or the identity of {}; correct spec.address",
            snapshot.device_name
        ),
    ))
}

fn resolve_revision(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    (revision, shared): (&Revision, &Shared),
    resolved: &mut ResolvedSubscription,
) -> Result<(), Blocked> {
    let name = &revision.service_ref.name;
    resolved.claims.insert(format!("service {name}"));
    let service = snapshot.services.get(name);
    let service = service.ok_or_else(|| snapshot.not_at_hand(Referent::SmartService, name))?;
    if let Some(group) = &service.spec.exclusive_group {
        resolved.claim_group(group);
    }
    let side = service.spec.device.as_ref();
    resolved.release = Some(side.map(|side| side.release).unwrap_or_default());
    // Not a value of the customer: the service's current one applies. The status of the
    // SmartService reports a text that is no duration.
    let timeout = service.spec.step_timeout.length();
    resolved.step_timeout = timeout.unwrap_or(DEFAULT_STEP_TIMEOUT);
    let values = values::Values::new(snapshot, subscription, revision);
    let server = resolve_server(snapshot, subscription, service, &values);
    let of_device = (&*shared.switches, &*shared.connections);
    let missing = legs::missing(snapshot, subscription, service, of_device);
    resolved.missing_legs.extend(missing);
    resolved.switched_on = legs::switched_on(name, &shared.switches);
    resolved.begun_by_data =
        service.spec.activation == ActivationMode::ByFirstData && !resolved.is_off();
    let (server, server_fault) = match server {
        Ok(server) if resolved.is_off() => (server.map(ResolvedServer::turned_off), None),
        Ok(server) => (server, None),
        Err(blocked) => (None, Some(blocked)),
    };
    let (device, device_fault) = match device_side(snapshot, service, &values) {
        // A device that must not act for the service sends nothing for it.
        Ok(items) if resolved.is_ended_by_a_leg() => (items.without_data(), None),
        Ok(items) => (items, None),
        Err(blocked) => (DeviceItems::default(), Some(blocked)),
    };
    resolved.device_fault.clone_from(&device_fault);
    resolved.steps = steps_of(service, device, server.as_ref());
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

/// Returns the steps of a service in their order, each with its items.
fn steps_of(
    service: &SmartService,
    device: DeviceItems,
    server: Option<&ResolvedServer>,
) -> Vec<ResolvedStep> {
    let of_server =
        |items: fn(&ResolvedServer) -> Vec<ResolvedItem>| server.map(items).unwrap_or_default();
    let steps = service.spec.ordered_steps().into_iter();
    let steps = steps.map(|step| ResolvedStep {
        early: step.early,
        items: match step.r#type {
            StepType::Firmware => device.firmware.clone(),
            StepType::Applications => device.applications.clone(),
            StepType::DeviceSettings => device.settings.clone(),
            StepType::ServerSettings => of_server(ResolvedServer::setting_items),
            StepType::DataTypes => device.data_types.clone(),
            StepType::Activation => of_server(ResolvedServer::activation_items),
            StepType::Acceptance => Vec::new(),
        },
        r#type: step.r#type,
    });
    steps.chain(device.check.map(acceptance::step_of)).collect()
}

/// Items of a service on the device.
#[derive(Default)]
struct DeviceItems {
    firmware: Vec<ResolvedItem>,
    applications: Vec<ResolvedItem>,
    settings: Vec<ResolvedItem>,
    data_types: Vec<ResolvedItem>,
    check: Option<ResolvedItem>,
}

impl DeviceItems {
    fn without_data(self) -> Self {
        Self {
            data_types: Vec::new(),
            ..self
        }
    }
}

fn device_side(
    snapshot: &DeviceSnapshot,
    service: &SmartService,
    values: &values::Values<'_>,
) -> Result<DeviceItems, Blocked> {
    let settings = values::device_items(snapshot, service, values)?;
    Ok(DeviceItems {
        check: acceptance::acceptance_item(snapshot, service, &settings)?,
        firmware: software::software_items(snapshot, service, SoftwarePart::Firmware)?,
        applications: software::software_items(snapshot, service, SoftwarePart::Application)?,
        data_types: data_types::data_items(snapshot, service)?,
        settings,
    })
}
