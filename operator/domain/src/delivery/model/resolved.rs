//! Wants of subscriptions as values: the result of resolve and the input of every later stage.
//!
//! Decides nothing. Made by resolve; read by verify, plan and report.

use std::collections::BTreeSet;

use entente_crds::{
    condition::Reason,
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{CurrentRevision, LocalEnablement, Protocol, Release, StepType},
};
use jiff::{SignedDuration, Timestamp};

use crate::activation::MissingLeg;
use crate::delivery::{Blocked, DeviceEndpoint, ResolvedItem, ResolvedServer};
use crate::names::{ConnectionName, SubscriptionName};
use crate::reasons::Side;

/// Treatment of a subscription at `now`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Intent {
    /// Its first instant lies ahead.
    Scheduled {
        /// The instant.
        effective: Timestamp,
        /// Instant from which early steps may run; `None` if nothing was promised.
        early_from: Option<Timestamp>,
    },
    /// It is in force.
    SetUp,
    /// It is left alone: the contract or the device is suspended.
    Suspended,
    /// It has ended, or is being deleted: both sides are withdrawn in reverse order.
    Withdraw {
        /// Start of the withdrawal, from which the deadline counts.
        since: Timestamp,
        /// True if the object is being deleted, and not only past its end.
        deleting: bool,
    },
    /// It is being deleted and there is nothing to withdraw.
    Detach,
}

/// Wants of one device and of its subscriptions.
#[derive(Clone, Debug)]
pub struct ResolvedDevice {
    /// Connections to the device, in the order of its spec.
    pub connections: Vec<ResolvedConnection>,
    /// Obstacle to every connection of the device.
    pub unreachable: Option<Blocked>,
    /// A digest of the target of every proof: the URLs and the serial number.
    pub target_digest: Option<Digest>,
    /// A digest of the machine alone, which is the same at another address.
    pub machine_digest: Option<Digest>,
    /// Its local switches, after the newest word on each.
    pub switches: Vec<LocalEnablement>,
    /// The subscriptions, in order of precedence.
    pub subscriptions: Vec<ResolvedSubscription>,
}

/// One way to the device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedConnection {
    /// The name of the Connection.
    pub name: ConnectionName,
    /// Endpoint of the connection, or the obstacle to its use.
    pub endpoint: Result<DeviceEndpoint, Blocked>,
}

impl ResolvedConnection {
    /// True if the device calls by it, and it may be used.
    pub(in crate::delivery) fn is_called(&self) -> bool {
        let endpoint = self.endpoint.as_ref();
        endpoint.is_ok_and(|endpoint| endpoint.protocol == Protocol::Agent)
    }
}

impl ResolvedDevice {
    /// Returns the wants of the subscription of this name.
    pub fn subscription(&self, name: &SubscriptionName) -> Option<&ResolvedSubscription> {
        let mut all = self.subscriptions.iter();
        all.find(|subscription| subscription.name == *name)
    }

    /// Returns the endpoint of a connection of the device; `None` if it cannot be used.
    pub fn endpoint(&self, connection: &str) -> Option<&DeviceEndpoint> {
        let mut all = self.connections.iter();
        let found = all.find(|found| *found.name == *connection)?;
        found.endpoint.as_ref().ok()
    }
}

/// Wants of one subscription.
#[derive(Clone, Debug)]
pub struct ResolvedSubscription {
    /// Its name.
    pub name: SubscriptionName,
    /// Treatment of the subscription.
    pub intent: Intent,
    /// Obstacle to its set-up as a whole: a missing reference, another contract.
    pub refused: Option<Blocked>,
    /// Obstacle to its settings on the device: they could not be resolved, so that no step has one.
    pub device_fault: Option<Blocked>,
    /// The steps in their order.
    pub steps: Vec<ResolvedStep>,
    /// Time limit of a step, from its first request; a longer step is recorded as timed out.
    pub step_timeout: SignedDuration,
    /// The service server, if the service or the instance in status has one.
    pub server: Option<ResolvedServer>,
    /// The revision in force or the next one, with a digest of its wants.
    pub revision: Option<CurrentRevision>,
    /// The SmartService of that revision and its exclusive group, for conflicts.
    pub claims: BTreeSet<String>,
    /// True if any revision has begun, so that something may stand on the server.
    pub begun: bool,
    /// Treatment of its settings on the device when it ends; `None` while the service is not known.
    pub release: Option<Release>,
    /// Subscription to which its instance goes, if one succeeds it.
    pub handed_to: Option<HandedTo>,
    /// Its part in a change of provider in its exclusive group.
    pub turn: Option<Turn>,
    /// Fate of the instance in status, where a service of the same exclusive group takes the place of
    /// the one that it was made for.
    pub exchange: Option<Exchange>,
    /// Legs of its activation that the device misses, the one that has to come first at the front.
    pub missing_legs: Vec<MissingLeg>,
    /// The instant since which its local switch is on; `None` if it was never switched.
    pub switched_on: Option<Timestamp>,
    /// True if data of the device have turned it on: that they come is a better proof than a report
    /// that they would, so that its kinds of data hold nothing back (C12).
    pub begun_by_data: bool,
}

/// Part of a subscription in a change of provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It has ended and serves until the switch; then it waits for the other one to be activated.
    Leaves {
        /// The one that takes its place.
        to: SubscriptionName,
        /// True after the switch.
        moved: bool,
    },
    /// It is set up but for its activation, and then the switch is made.
    Comes {
        /// The one that serves until then.
        from: SubscriptionName,
        /// The exclusive group of both.
        group: String,
    },
}

/// Fate of an instance that a service of the same exclusive group replaces within one subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exchange {
    /// It is set aside, and serves until the other one does.
    Leaves {
        /// The exclusive group of both.
        group: String,
        /// First instant of the revision that it was made for.
        effective: Timestamp,
    },
    /// It gives its place back to the instance that was set aside, which is wanted again.
    Returns,
    /// It serves by now, and the instance set aside is not gone yet: a third one waits.
    Waits,
}

/// Subscription to which an instance goes, instead of being removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HandedTo {
    /// The one that succeeds.
    pub heir: SubscriptionName,
    /// True if that one is in force, so that the instance goes on as it is; else it is turned off
    /// first.
    pub goes_on: bool,
}

/// One step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedStep {
    /// Part of the service that the step sets up.
    pub r#type: StepType,
    /// True if it may run early.
    pub early: bool,
    /// Items that have to be in effect.
    pub items: Vec<ResolvedItem>,
}

impl ResolvedSubscription {
    /// Returns every item in the order of the steps.
    pub fn items(&self) -> impl Iterator<Item = (&ResolvedStep, &ResolvedItem)> {
        self.steps
            .iter()
            .flat_map(|step| step.items.iter().map(move |item| (step, item)))
    }

    /// Returns the exclusive group of its service, as far as that is known.
    pub fn group(&self) -> Option<&str> {
        self.claims
            .iter()
            .find_map(|claim| claim.strip_prefix("group "))
    }

    /// Returns its SmartService, as far as that is known.
    pub fn service(&self) -> Option<&str> {
        self.claims
            .iter()
            .find_map(|claim| claim.strip_prefix("service "))
    }

    /// Adds the exclusive group of its service to what it claims.
    pub(in crate::delivery) fn claim_group(&mut self, group: &str) {
        self.claims.insert(format!("group {group}"));
    }

    /// True if a leg of its activation is missing, so that it is wanted turned off.
    pub fn is_off(&self) -> bool {
        !self.missing_legs.is_empty()
    }

    /// True if a leg is missing without which the device sends nothing for the service; one that only
    /// has to ask is told before what it will send.
    pub(in crate::delivery) fn is_ended_by_a_leg(&self) -> bool {
        let mut legs = self.missing_legs.iter();
        legs.any(|leg| leg.reason != Reason::WaitingForDevice)
    }

    /// Returns the obstacle of the first leg that is missing.
    pub(in crate::delivery) fn off(&self) -> Option<Blocked> {
        let leg = self.missing_legs.first()?;
        Some(Blocked::new(leg.reason, leg.message.clone()).on(Side::Device))
    }

    /// True if it takes the place of another one that still serves.
    pub fn comes(&self) -> bool {
        matches!(self.turn, Some(Turn::Comes { .. }))
    }

    /// True if an item waits for the switch of its exclusive group.
    pub fn keeps_for_the_switch(&self, key: &ItemKey) -> bool {
        let mut items = self.items().filter(|(_, item)| item.key == *key);
        self.comes() && items.any(|(_, item)| item.moves_with_the_switch())
    }

    /// True if it has ended and serves until another one does.
    pub fn serves_on(&self) -> bool {
        matches!(self.turn, Some(Turn::Leaves { moved: false, .. }))
    }

    /// True if it is being set up or may prepare.
    pub fn wants_set_up(&self) -> bool {
        matches!(self.intent, Intent::SetUp | Intent::Scheduled { .. })
    }

    /// True if requests may leave now on behalf of a step.
    pub fn may_ask(&self, step: &ResolvedStep, now: Timestamp) -> bool {
        self.refused.is_none()
            && match self.intent {
                Intent::SetUp => true,
                Intent::Scheduled {
                    effective,
                    early_from,
                } => early_from.filter(|_| step.early).unwrap_or(effective) <= now,
                Intent::Suspended | Intent::Withdraw { .. } | Intent::Detach => false,
            }
    }

    /// True if a reading of the device that was taken earlier in this pass asked for the items of
    /// a step: one from before the instant did not.
    pub(in crate::delivery) fn was_asked(
        &self,
        step: &ResolvedStep,
        at: Timestamp,
        now: Timestamp,
    ) -> bool {
        let effective = self
            .revision
            .as_ref()
            .map_or(Timestamp::MIN, |it| it.effective);
        let began_between = at < effective && effective <= now;
        self.may_ask(step, at) && !(began_between && self.intent == Intent::SetUp && !step.early)
    }
}
