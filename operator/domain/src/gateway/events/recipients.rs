//! The services of a device that get its events, and the places to which their providers have them sent.
//!
//! A service gets events while it is on. Of an exclusive group it is the service that acted when an event
//! occurred: the holder of the group then (docs/adr/0049-data-belong-to-the-holder-of-their-time.md), also
//! if another one has taken its place since. Decides nothing of single events. Called for each batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    ActivationMode, ActivationState, Device, DeviceTwin, ExclusiveHold, FormerHold,
    ServiceSubscription, SmartService, TwinLocal,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::gateway::activation::{activated, application, says};
use crate::gateway::holders::Holders;
use crate::gateway::services::{ended_at, is_in_force, service_of, state_of};

/// Objects that say who gets what.
#[derive(Clone, Copy)]
pub struct Knowledge<'a, S> {
    /// The twin of the device.
    pub twin: &'a DeviceTwin,
    /// The Device.
    pub device: Option<&'a Device>,
    /// Its subscriptions.
    pub subscriptions: &'a [Arc<ServiceSubscription>],
    /// True if the twin keeps the errors of the device.
    pub keeps_errors: bool,
    /// Finds a SmartService by its name.
    pub service: S,
    /// Instant of the decision.
    pub now: Timestamp,
}

/// Place to which a provider has its events sent.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Inbox {
    /// Name of the Connection.
    pub connection: String,
    /// Path after its URL.
    pub path: String,
}

/// A service of the device that gets events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Name of its subscription.
    pub application_id: String,
    /// Inbox of its provider.
    pub inbox: Inbox,
    pub(super) standing: Standing,
    kinds: BTreeSet<String>,
}

/// Standing of a service towards the data of its device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It gets them.
    On,
    /// It is off, and data of the device turn it on (C12).
    AwaitsData,
    /// It is being turned on. Data that another service gets do not wait for it.
    Comes,
    /// It has taken the place of another one and is being turned on: the data since then are its own.
    TakesThePlace,
}

/// The services of a device that get events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipients {
    /// Those that are of no exclusive group, and of one for which nobody acts yet, ordered by their ids.
    pub(super) alone: Vec<Recipient>,
    pub(super) groups: Vec<Group>,
    pub(super) now: Timestamp,
    /// True if the twin keeps the errors of the device.
    pub keeps_errors: bool,
}

/// An exclusive group for which somebody acts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Group {
    /// The application ids that are or were of the group.
    pub(super) members: BTreeSet<String>,
    /// Those that act and acted, the last one first.
    terms: Vec<Term>,
    /// Those that take the place of another one once their device has sent data (C12).
    pub(super) awaiting: Vec<Recipient>,
}

/// The time in which one service acted for a group.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Term {
    since: Timestamp,
    until: Timestamp,
    /// The service, if it gets data.
    recipient: Option<Recipient>,
}

impl Recipient {
    pub(super) fn wants(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }
}

impl Recipients {
    /// True if a service gets events now.
    pub fn has(&self, application_id: &str) -> bool {
        let now = self.now;
        let groups = self.groups.iter().filter_map(|group| group.at(now, now));
        let mut all = self.alone.iter().chain(groups);
        all.any(|it| it.application_id == application_id && it.standing == Standing::On)
    }
}

impl Group {
    /// Returns the service that acted at an instant. What occurred before anybody did, by a clock that is
    /// wrong or by one that is a little behind, is for the one that acts now.
    pub(super) fn at(&self, instant: Timestamp, now: Timestamp) -> Option<&Recipient> {
        let of = |at: Timestamp| {
            let mut terms = self.terms.iter();
            terms.find(|term| term.since <= at && at < term.until)
        };
        of(instant).or_else(|| of(now))?.recipient.as_ref()
    }
}

impl<S: Fn(&str) -> Option<Arc<SmartService>>> Knowledge<'_, S> {
    /// Returns the services that get events.
    pub fn recipients(&self) -> Recipients {
        let holds = self.holds();
        let mut groups: Vec<Group> = holds.iter().map(|hold| self.group(hold)).collect();
        groups.retain(|group| group.terms.iter().any(|it| it.recipient.is_some()));
        let subscriptions = self.subscriptions.iter();
        let alone = subscriptions.filter(|it| self.hold_of(it).is_none());
        let mut alone: Vec<Recipient> = alone.filter_map(|it| self.alone(it)).collect();
        alone.sort_by(|one, other| one.application_id.cmp(&other.application_id));
        Recipients {
            alone,
            groups,
            now: self.now,
            keeps_errors: self.keeps_errors,
        }
    }

    fn holds(&self) -> &[ExclusiveHold] {
        let status = self.device.and_then(|device| device.status.as_ref());
        status.map_or(&[], |status| &status.exclusive)
    }

    /// Returns the entry of the exclusive group of a subscription.
    fn hold_of(&self, subscription: &ServiceSubscription) -> Option<&ExclusiveHold> {
        let name = service_of(subscription, self.now)?;
        let service = (self.service)(&name)?;
        let group = service.spec.exclusive_group.as_ref()?;
        self.holds().iter().find(|hold| hold.group == *group)
    }

    /// Returns a service that is of no group.
    fn alone(&self, subscription: &ServiceSubscription) -> Option<Recipient> {
        let application_id = subscription.name_any();
        let name = service_of(subscription, self.now)?;
        let service = (self.service)(&name)?;
        if self.is_switched_off(&application_id, &name) {
            return None;
        }
        let standing = if self.is_on(subscription) {
            Standing::On
        } else if self.is_awaiting(subscription, service.spec.activation) {
            Standing::AwaitsData
        } else if self.comes(subscription) || self.is_fresh(subscription, service.spec.activation) {
            Standing::Comes
        } else {
            return None;
        };
        let kinds = self.kinds(&application_id, &service, standing);
        recipient(application_id, &service, standing, kinds)
    }

    fn group(&self, hold: &ExclusiveHold) -> Group {
        let of_group = self.subscriptions.iter();
        let of_group = of_group.filter(|it| self.hold_of(it) == Some(hold));
        let mut members: BTreeSet<String> = of_group.clone().map(|it| it.name_any()).collect();
        let former = hold.before.iter().map(|former| &former.holder);
        // One that is of another group by now, or of none, is not meant.
        let is_elsewhere = |name: &String| {
            let found = application(self.subscriptions, name);
            found.is_some_and(|it| self.hold_of(it) != Some(hold))
        };
        let holders = former.chain([&hold.holder]);
        members.extend(holders.filter(|it| !is_elsewhere(it)).cloned());
        let before = hold.before.iter().map(|former| Term {
            since: former.since,
            until: former.until,
            recipient: self.former(hold, former),
        });
        let mut terms = self.present(hold);
        terms.extend(before);
        let awaiting = of_group.filter(|it| it.name_any() != hold.holder || !self.acts(hold, it));
        Group {
            members,
            terms,
            awaiting: awaiting.filter_map(|it| self.successor(it)).collect(),
        }
    }

    /// Returns the time of the holder, and that after its end, in which the next one is awaited.
    fn present(&self, hold: &ExclusiveHold) -> Vec<Term> {
        let term = |since: Timestamp, until: Timestamp, recipient: Option<Recipient>| Term {
            since,
            until,
            recipient,
        };
        let from = hold.since;
        let Some(holder) = application(self.subscriptions, &hold.holder) else {
            return vec![term(from, Timestamp::MAX, self.next(hold))];
        };
        let end = ended_at(holder, self.now).filter(|_| !self.holders().serves_on(holder));
        let Some(end) = end.map(|end| end.max(from)) else {
            return vec![term(from, Timestamp::MAX, self.holder(hold, holder))];
        };
        let present = service_of(holder, self.now);
        let former = hold.service.clone().or(present).map(|service| FormerHold {
            holder: hold.holder.clone(),
            service,
            since: from,
            until: end,
        });
        let former = former.and_then(|former| self.former(hold, &former));
        vec![
            term(end, Timestamp::MAX, self.next(hold)),
            term(from, end, former),
        ]
    }

    /// Returns the service that is to act once the holder has ended: the device keeps its data until then.
    fn next(&self, hold: &ExclusiveHold) -> Option<Recipient> {
        let mut subscriptions = self.subscriptions.iter();
        let next = subscriptions.find(|it| {
            let is_of_group = it.name_any() != hold.holder && self.hold_of(it) == Some(hold);
            is_of_group && is_in_force(it, self.now)
        })?;
        let (id, name) = (next.name_any(), service_of(next, self.now)?);
        if self.is_switched_off(&id, &name) || is_held(next) {
            return None;
        }
        let service = self.of_group(&name, hold)?;
        let kinds = kinds_of(&service);
        recipient(id, &service, Standing::TakesThePlace, kinds)
    }

    fn holders(&self) -> Holders<'_, S> {
        Holders {
            holds: self.holds(),
            subscriptions: self.subscriptions,
            service: &self.service,
            now: self.now,
        }
    }

    /// True if a holder acts with the service that it is of now, and not with the one before.
    fn acts(&self, hold: &ExclusiveHold, subscription: &ServiceSubscription) -> bool {
        let present = service_of(subscription, self.now);
        hold.service.is_none() || hold.service == present
    }

    /// Returns the service that acts for a group, if it gets data.
    fn holder(
        &self,
        hold: &ExclusiveHold,
        subscription: &ServiceSubscription,
    ) -> Option<Recipient> {
        let present = service_of(subscription, self.now)?;
        let name = hold.service.as_ref().unwrap_or(&present);
        // An ability that the next service needs says nothing of this one.
        let is_refused = if *name == present {
            self.is_switched_off(&hold.holder, &present)
        } else {
            self.has_switched_off(&hold.holder, &present)
        };
        if is_refused {
            return None;
        }
        let service = self.of_group(name, hold)?;
        let standing = if self.holders().serves_on(subscription) || self.is_on(subscription) {
            Standing::On
        } else if self.is_awaiting(subscription, service.spec.activation) {
            Standing::AwaitsData
        } else if self.comes(subscription) || says(subscription, &[Reason::ExclusiveGroupHeld]) {
            Standing::TakesThePlace
        } else {
            return None;
        };
        recipient(hold.holder.clone(), &service, standing, kinds_of(&service))
    }

    /// Returns a service that acted for a group, for what occurred then.
    fn former(&self, hold: &ExclusiveHold, former: &FormerHold) -> Option<Recipient> {
        if self.has_switched_off(&former.holder, &former.service) {
            return None;
        }
        let service = self.of_group(&former.service, hold)?;
        let kinds = kinds_of(&service);
        recipient(former.holder.clone(), &service, Standing::On, kinds)
    }

    /// Returns a service, if it still is of a group.
    fn of_group(&self, name: &str, hold: &ExclusiveHold) -> Option<Arc<SmartService>> {
        let service = (self.service)(name)?;
        let group = service.spec.exclusive_group.as_ref();
        (group == Some(&hold.group)).then_some(service)
    }

    /// Returns a service that waits for the first data of its device to take the place of another one.
    fn successor(&self, subscription: &ServiceSubscription) -> Option<Recipient> {
        let application_id = subscription.name_any();
        let service = (self.service)(&service_of(subscription, self.now)?)?;
        let waits = service.spec.activation == ActivationMode::ByFirstData
            && self.is_in_force(subscription)
            && says(subscription, &[Reason::WaitingForDevice]);
        let kinds = kinds_of(&service);
        let found = recipient(application_id, &service, Standing::AwaitsData, kinds);
        found.filter(|_| waits)
    }

    /// Returns the kinds of data that a service wants: those that the device is asked for, and those for
    /// which nobody has asked yet, of a service that is not on or that data turn on.
    fn kinds(
        &self,
        application_id: &str,
        service: &SmartService,
        standing: Standing,
    ) -> BTreeSet<String> {
        let asked = self.twin.spec.data_types.iter();
        let asked = asked.filter(|kind| kind.wanted_by.iter().any(|it| it == application_id));
        let mut kinds: BTreeSet<String> = asked.map(|kind| kind.name.clone()).collect();
        let is_by_data = service.spec.activation == ActivationMode::ByFirstData;
        if is_by_data || standing == Standing::Comes {
            kinds.extend(kinds_of(service));
        }
        kinds
    }

    /// True if data of the device turn a service on, as far as is known: also while the operator has not
    /// looked at it yet, or the service server has not turned it on.
    fn is_awaiting(&self, subscription: &ServiceSubscription, mode: ActivationMode) -> bool {
        mode == ActivationMode::ByFirstData
            && self.is_in_force(subscription)
            && !subscription.spec.contract.suspend
            && !is_held(subscription)
    }

    /// True if nothing is missing but what the operator and the service server do. A service that was on
    /// until its instance was set aside still has that reason.
    fn comes(&self, subscription: &ServiceSubscription) -> bool {
        let under_way = [Reason::Active, Reason::Waiting, Reason::ProviderPending];
        self.is_in_force(subscription) && says(subscription, &under_way)
    }

    /// True if nobody has looked at a service since it began. Data of its device wait for that, if
    /// nothing else has to be said for it.
    fn is_fresh(&self, subscription: &ServiceSubscription, mode: ActivationMode) -> bool {
        let is_unsaid =
            activated(subscription).is_none_or(|it| it.reason == Reason::NotInForce.as_str());
        mode == ActivationMode::ByOperator
            && is_unsaid
            && self.is_in_force(subscription)
            && !subscription.spec.contract.suspend
    }

    /// True if a service has begun, is not over, and is not on.
    fn is_in_force(&self, subscription: &ServiceSubscription) -> bool {
        ["Inactive", "Pending"].contains(&state_of(subscription, self.now))
    }

    /// True if a service is on, by its subscription, and in force at this very instant.
    fn is_on(&self, subscription: &ServiceSubscription) -> bool {
        let status = subscription.status.as_ref();
        let activation = status.and_then(|status| status.activation.as_ref());
        activation.is_some_and(|it| it.state == ActivationState::Active)
            && state_of(subscription, self.now) == "Active"
    }

    /// True if the device has switched a service off, or says that it cannot do it, whether or not the
    /// operator has seen that.
    fn is_switched_off(&self, application_id: &str, service: &str) -> bool {
        let said = self.said(application_id);
        said.is_some_and(|said| !said.unsupported.is_empty())
            || self.has_switched_off(application_id, service)
    }

    /// True if the device has switched a service off. A word at the panel that a later one of the operator
    /// has overruled counts no more.
    fn has_switched_off(&self, application_id: &str, service: &str) -> bool {
        let Some(said) = self.said(application_id) else {
            return false;
        };
        let switches = self.device.and_then(|device| device.status.as_ref());
        let mut switches = switches.into_iter().flat_map(|it| &it.local_enablement);
        let switch = switches.find(|it| it.service == service);
        let is_overruled = switch.is_some_and(|it| it.enabled && it.heard == Some(said.at));
        !said.enabled && !is_overruled
    }

    fn said(&self, application_id: &str) -> Option<&TwinLocal> {
        let status = self.twin.status.as_ref()?;
        let mut local = status.local.iter();
        local.find(|it| it.application_id == application_id)
    }
}

/// Returns a service that gets these kinds of data; `None` if nobody says where they go.
fn recipient(
    application_id: String,
    service: &SmartService,
    standing: Standing,
    kinds: BTreeSet<String>,
) -> Option<Recipient> {
    let data = service.spec.data.as_ref()?;
    Some(Recipient {
        application_id,
        inbox: Inbox {
            connection: data.connection_ref.name.clone(),
            path: data.path.clone(),
        },
        standing,
        kinds,
    })
}

/// Returns the kinds of data that a service wants.
fn kinds_of(service: &SmartService) -> BTreeSet<String> {
    let side = service.spec.device.as_ref();
    let kinds = side.map_or(&[][..], |side| &side.data_types);
    kinds.iter().map(|kind| kind.name.clone()).collect()
}

/// True if the operator has said of a service that something is missing which no data bring. NotInForce is
/// none of it: a status from before the start says so.
fn is_held(subscription: &ServiceSubscription) -> bool {
    let held = [
        Reason::ConsentWithdrawn,
        Reason::UnsupportedByDevice,
        Reason::DisabledLocally,
        Reason::ExclusiveGroupHeld,
    ];
    says(subscription, &held)
}
