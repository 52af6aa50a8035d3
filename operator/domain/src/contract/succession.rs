//! Succession: a contract takes over the services of the one that it renews (B1, B2).
//!
//! Decides whether `spec.succeeds` can be accepted, and that a subscription which another one continues
//! ends where that one begins. Nothing is written while the predecessor is not at hand, since a second
//! instance could not be taken back. Which subscription continues which is decided in `origins`.
//! Called by `resolve`, `acceptance` and `report`.

mod origins;
mod restored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Contract, ContractAmendment, ContractNotice, ResolvedTerm, Revision, ServiceSubscription,
    ServiceSubscriptionSpec, SmartService, StartOn,
};
use jiff::Timestamp;

use self::origins::Origins;
use self::restored::RestoredOrigins;
use super::subscription_state::SubscriptionState;
use super::{
    ContractWorld, DesiredSubscription, Fault, ResolvedContract, SubscriptionUpdate, Takeover,
    is_terminating, name_of, unsupported,
};
use crate::time::{in_words, zone};

/// The contracts before and after a contract, with their subscriptions.
#[derive(Clone, Debug, Default)]
pub struct Kin {
    /// The contracts to which `spec.succeeds` leads, nearest first. It ends before one that does not
    /// exist, and before one that is in it already or is this very contract.
    pub predecessors: Vec<Predecessor>,
    /// Subscriptions of the nearest of them, live and terminating.
    pub given: Vec<Arc<ServiceSubscription>>,
    /// Subscriptions of other contracts that succeed that one as well.
    pub siblings: Vec<Arc<ServiceSubscription>>,
    /// Subscriptions of the contracts that succeed this one, and of those that succeed these.
    pub heirs: Vec<Arc<ServiceSubscription>>,
    /// The SmartServices of `given`, those that exist.
    pub services: BTreeMap<String, Arc<SmartService>>,
    /// The object before it that cannot be read, if there is one, such as "Contract acme-2024".
    pub unreadable_predecessor: Option<String>,
    /// True if a subscription of a contract that succeeds this one cannot be read.
    pub unreadable_heir: bool,
}

/// A contract before another one, with its amendments and notices.
#[derive(Clone, Debug)]
pub struct Predecessor {
    /// The contract.
    pub contract: Arc<Contract>,
    /// The amendments that name it, in any order.
    pub amendments: Vec<Arc<ContractAmendment>>,
    /// The notices that name it, in any order.
    pub notices: Vec<Arc<ContractNotice>>,
}

impl Predecessor {
    fn facts(&self) -> ContractFacts {
        ContractFacts::from(&*self.contract)
    }
}

/// The part of a contract on which those that succeed it depend.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContractFacts {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The id of its customer.
    pub customer: String,
    /// Name of the contract that it succeeds, by [`predecessor_of`].
    pub succeeds: Option<String>,
    /// Start of its accepted term; `None` if it was never accepted.
    pub start: Option<Timestamp>,
}

impl ContractFacts {
    /// True if a subscription is this contract's, or becomes it now that it was restored.
    fn has(&self, found: &ServiceSubscription) -> bool {
        let spec = &found.spec;
        let restored = spec.contract.name == self.name && spec.customer.id == self.customer;
        spec.contract.uid == self.uid || restored && !is_terminating(found)
    }
}

impl From<&Contract> for ContractFacts {
    fn from(contract: &Contract) -> Self {
        let status = contract.status.as_ref();
        Self {
            name: name_of(contract).to_owned(),
            uid: contract.metadata.uid.clone().unwrap_or_default(),
            customer: contract.spec.customer.id.clone(),
            succeeds: predecessor_of(contract).map(str::to_owned),
            start: status
                .and_then(|status| status.term.as_ref())
                .map(|term| term.start),
        }
    }
}

/// Returns the name of the contract that another one succeeds: the accepted one, whatever the spec
/// names since; before that the one in its spec.
pub fn predecessor_of(contract: &Contract) -> Option<&str> {
    let status = contract.status.as_ref();
    let accepted = status.and_then(|status| status.succeeds.as_deref());
    accepted.or_else(|| predecessor(contract))
}

/// Returns the name in `spec.succeeds`.
fn predecessor(contract: &Contract) -> Option<&str> {
    contract.spec.succeeds.as_ref().map(|it| it.name.as_str())
}

/// True if the contract was accepted with what it succeeds, or with nothing, so that this cannot be
/// changed any more.
fn is_accepted(contract: &Contract) -> bool {
    let status = contract.status.as_ref();
    status.is_some_and(|status| status.succeeds.is_some() || status.established.is_some())
}

/// Returns the faults of `spec.succeeds`; `term` is the contract's own.
pub(super) fn faults(world: &ContractWorld, term: Option<&ResolvedTerm>) -> Option<Fault> {
    let contract = &world.contract;
    let named = predecessor(contract);
    if is_accepted(contract) {
        let status = contract.status.as_ref();
        let before = status.and_then(|status| status.succeeds.as_deref());
        return (before != named).then(|| changed(before, named));
    }
    let named = named?;
    if let Some(circle) = circle(world, named) {
        return Some(Fault {
            reason: Reason::CircularSuccession,
            message: format!("spec.succeeds leads back to where it began: {circle}"),
        });
    }
    let facts = world.kin.predecessors.first()?.facts();
    let customer = &contract.spec.customer.id;
    if facts.customer != *customer {
        return Some(Fault {
            reason: Reason::CustomerDiffers,
            message: format!(
                "spec.succeeds: the Contract {named} is for the customer \"{}\", and this one for \
                 \"{customer}\": must be one of the same customer",
                facts.customer
            ),
        });
    }
    let (start, before) = (term?.start, facts.start?);
    let zone = zone(&contract.spec.term.time_zone).ok()?;
    (before >= start).then(|| {
        unsupported(format!(
            "spec.succeeds: the Contract {named} begins {}, which is not before the start of this \
             one, {}: must be an earlier one",
            in_words(before, &zone),
            in_words(start, &zone)
        ))
    })
}

fn changed(before: Option<&str>, named: Option<&str>) -> Fault {
    let say = |name: Option<&str>| {
        name.map_or_else(|| "no contract".to_owned(), |name| format!("\"{name}\""))
    };
    Fault {
        reason: Reason::SuccessionChanged,
        message: format!(
            "spec.succeeds names {}, and the contract was accepted with {}: it cannot be changed",
            say(named),
            say(before)
        ),
    }
}

/// Returns the contracts of a circle as "a, b, a"; `None` if there is none.
fn circle(world: &ContractWorld, named: &str) -> Option<String> {
    let own = name_of(&world.contract);
    let chain = &world.kin.predecessors;
    let mut path: Vec<&str> = vec![own, named];
    let succeeds = chain.iter().filter_map(|it| predecessor_of(&it.contract));
    path.extend(succeeds);
    let (last, before) = path.split_last()?;
    before.contains(last).then(|| path.join(", "))
}

/// Checks that the contract that is succeeded is at hand, unless it was before: it may be deleted
/// once it was accepted. That it was is in the status, or in the subscriptions that came back from a
/// backup without it.
pub(super) fn predecessor_at_hand(world: &ContractWorld) -> Result<(), Vec<Fault>> {
    let contract = &world.contract;
    let has_taken_over = world.own().any(|found| found.spec.origin.is_some());
    let was_accepted = is_accepted(contract) || has_taken_over;
    let Some(named) = predecessor(contract).filter(|_| !was_accepted) else {
        return Ok(());
    };
    let fault = |reason, message| Err(vec![Fault { reason, message }]);
    if let Some(object) = &world.kin.unreadable_predecessor {
        let message = format!("spec.succeeds: the {object} cannot be read");
        return fault(Reason::Undecodable, message);
    }
    let reason = Reason::ContractNotFound;
    match world.kin.predecessors.first() {
        None => {
            let message = format!(
                "the Contract {named}, named by spec.succeeds, was not found: create it or correct \
                 spec.succeeds"
            );
            fault(reason, message)
        }
        Some(found) if found.facts().start.is_none() => {
            let why = match found.contract.spec.term.start_on {
                Some(StartOn::Notice) => "has not started: a ContractNotice starts it",
                None => "was never accepted: see its status",
            };
            let message = format!("the Contract {named}, named by spec.succeeds, {why}");
            fault(reason, message)
        }
        Some(_) => Ok(()),
    }
}

/// Returns the name that is accepted from now on.
pub(super) fn accepted_predecessor(
    contract: &Contract,
    resolved: &ResolvedContract,
) -> Option<String> {
    let known = contract.status.as_ref();
    let known = known.and_then(|status| status.succeeds.clone());
    let is_accepted = resolved.accepted.is_ok() && resolved.refs.is_ok();
    known.or_else(|| {
        let named = predecessor(contract).filter(|_| is_accepted);
        named.map(str::to_owned)
    })
}

/// Returns the states without those of subscriptions that another contract has taken over.
pub(super) fn without_succeeded(
    mut states: Vec<SubscriptionState>,
    resolved: &ResolvedContract,
    now: Timestamp,
) -> Vec<SubscriptionState> {
    let mut gone = taken_over(&resolved.succeeded);
    gone.retain(|_, at| *at <= now);
    states.retain(|state| !gone.contains_key(&(state.service.as_str(), state.device.as_str())));
    states
}

/// Returns the instants at which other contracts take services over, by entry and device.
pub(super) fn taken_over(
    succeeded: &BTreeMap<String, Takeover>,
) -> BTreeMap<(&str, &str), Timestamp> {
    let instants = succeeded.iter().filter_map(|(name, takeover)| {
        let mut labels = name.split('.').skip(1);
        Some(((labels.next()?, labels.next()?), takeover.at))
    });
    instants.collect()
}

/// Gives every wanted subscription its origin and ends those that are succeeded, and the writes that
/// follow.
pub(super) fn apply(world: &ContractWorld, resolved: &mut ResolvedContract, now: Timestamp) {
    let kin = &world.kin;
    let own = || world.own().filter(|found| !is_terminating(found));
    let is_alone = kin.given.is_empty()
        && kin.heirs.is_empty()
        && kin.predecessors.is_empty()
        && !kin.unreadable_heir;
    let is_first = |found: &ServiceSubscription| {
        found.spec.origin.is_none() && found.spec.succeeded_by.is_none()
    };
    if is_alone && own().all(is_first) {
        return;
    }
    let existing: BTreeMap<&str, &ServiceSubscription> = own()
        .map(|found| (found.metadata.name.as_deref().unwrap_or_default(), found))
        .collect();
    let mut origins = Origins::new(world, &existing, now).of(&resolved.desired);
    let restored = RestoredOrigins::new(world, now);
    let mut specs: BTreeMap<String, Arc<DesiredSubscription>> = BTreeMap::new();
    for desired in &mut resolved.desired {
        let origin = origins.remove(&desired.name).flatten();
        let live = existing.get(desired.name.as_str()).copied();
        let changed = Arc::make_mut(desired);
        changed.spec.origin = origin;
        if live.is_none() {
            restored.complete(&mut changed.spec);
        }
        if let Some(takeover) = succeed(kin, &mut changed.spec, live, now) {
            resolved.succeeded.insert(desired.name.clone(), takeover);
        }
        specs.insert(desired.name.clone(), Arc::clone(desired));
    }
    leave_out_what_is_over(resolved, &existing, now);
    let changes = &mut resolved.changes;
    for create in &mut changes.create {
        if let Some(desired) = specs.get(&create.name) {
            *create = Arc::clone(desired);
        }
    }
    // Those that are adopted and not wanted stay.
    changes
        .update
        .retain(|update| !specs.contains_key(&update.desired.name));
    let updates = existing.iter().filter_map(|(name, live)| {
        let desired = specs.get(*name)?;
        (desired.spec != live.spec).then(|| SubscriptionUpdate::new(&world.contract, live, desired))
    });
    changes.update.extend(updates);
    changes
        .update
        .sort_unstable_by(|a, b| a.handle.cmp(&b.handle));
}

/// The first subscription of a chain, as a key: contract, entry and device.
type Key = (String, String, String);

fn key(spec: &ServiceSubscriptionSpec) -> Key {
    let device = spec.device_ref.name.clone();
    match &spec.origin {
        Some(first) => (first.contract.clone(), first.service_name.clone(), device),
        None => (
            spec.contract.name.clone(),
            spec.service_name.clone(),
            device,
        ),
    }
}

/// Leaves out those that were taken over and do not exist, and those that would not begin before: they
/// are made no more.
fn leave_out_what_is_over(
    resolved: &mut ResolvedContract,
    existing: &BTreeMap<&str, &ServiceSubscription>,
    now: Timestamp,
) {
    let is_over = |desired: &DesiredSubscription| {
        let takeover = resolved.succeeded.get(&desired.name);
        takeover.is_some_and(|takeover| {
            let mut revisions = desired.spec.revisions.iter();
            takeover.at <= now || revisions.all(|it| takeover.at <= it.effective)
        })
    };
    let over = resolved.desired.iter().filter(|desired| is_over(desired));
    let over = over.filter(|desired| !existing.contains_key(&*desired.name));
    let over: BTreeSet<String> = over.map(|desired| desired.name.clone()).collect();
    resolved.desired.retain(|it| !over.contains(&it.name));
    let changes = &mut resolved.changes;
    changes.create.retain(|it| !over.contains(&it.name));
    changes.waiting.retain(|name| !over.contains(name));
}

/// Ends a wanted subscription where another contract takes it over, and returns that takeover.
fn succeed(
    kin: &Kin,
    spec: &mut ServiceSubscriptionSpec,
    live: Option<&ServiceSubscription>,
    now: Timestamp,
) -> Option<Takeover> {
    if kin.unreadable_heir {
        // It may have taken this one over.
        if let Some(live) = live {
            spec.revisions.clone_from(&live.spec.revisions);
            spec.succeeded_by.clone_from(&live.spec.succeeded_by);
        }
        return None;
    }
    let takeover = past_takeover(live, now).or_else(|| takeover(kin, spec))?;
    end(&mut spec.revisions, live, takeover.at, now);
    spec.succeeded_by = Some(takeover.by.clone());
    Some(takeover)
}

/// Returns the takeover of a subscription that has come: it stays, whatever becomes of the contract that
/// has taken over. What that one gives up, or leaves when it is deleted, nobody has any more.
fn past_takeover(live: Option<&ServiceSubscription>, now: Timestamp) -> Option<Takeover> {
    let spec = &live?.spec;
    let by = spec.succeeded_by.clone()?;
    let last = spec.revisions.iter().max_by_key(|it| it.effective)?;
    let at = last.until.filter(|until| *until <= now)?;
    Some(Takeover { at, by })
}

/// Returns the takeover of a subscription by another contract.
fn takeover(kin: &Kin, spec: &ServiceSubscriptionSpec) -> Option<Takeover> {
    let own = key(spec);
    let heirs = kin.heirs.iter().filter(|heir| !is_terminating(heir));
    let heirs = heirs.filter(|heir| heir.spec.origin.is_some() && key(&heir.spec) == own);
    let takeover = |heir: &Arc<ServiceSubscription>| {
        let revisions = heir.spec.revisions.iter();
        Some(Takeover {
            at: revisions.map(|revision| revision.effective).min()?,
            by: heir.spec.contract.name.clone(),
        })
    };
    heirs.filter_map(takeover).min()
}

/// Ends revisions at an instant: nothing begins from then on, and what has begun all the same ends
/// as soon as it can. What has ended stays so.
fn end(
    revisions: &mut Vec<Arc<Revision>>,
    live: Option<&ServiceSubscription>,
    at: Timestamp,
    now: Timestamp,
) {
    let has_begun = |revision: &Revision| {
        let known = live.into_iter().flat_map(|live| &live.spec.revisions);
        let mut known = known.filter(|known| known.effective <= now);
        known.any(|known| known.effective == revision.effective)
    };
    let first = revisions.iter().map(|it| it.effective).min();
    revisions.retain(|it| it.effective < at || has_begun(it) || Some(it.effective) == first);
    let is_late = |it: &&mut Arc<Revision>| it.until.is_none_or(|until| until > at.max(now));
    for entry in revisions.iter_mut().filter(is_late) {
        let end = at.max(entry.effective);
        Arc::make_mut(entry).until = Some(end);
    }
}
