//! Succession: the subscription of a chain that gets the instance of the others (B1, B2).
//!
//! Subscriptions whose origin is one have one instance on the device. It belongs to the last of them
//! that is in force; while none is, it is kept, turned off, for the next one whose preparation has
//! begun. All others give it away, and none of them removes it. Decides nothing about requests, and
//! never reads the answers of remote sides. Called by resolve, before precedence.

use std::{cmp::Reverse, collections::BTreeMap};

use entente_crds::{condition::Reason, v1alpha1::ServiceSubscription};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::delivery::{
    Blocked, DeviceSnapshot, HandedTo, Intent, ResolvedSubscription, instance_id,
    observations::record, schedule::intent::has_begun, schedule::revision,
};
use crate::names::SubscriptionName;

/// A subscription of a chain: its place in the list, and its object.
type Member<'a> = (usize, &'a ServiceSubscription);

/// Marks every subscription that gives its instance to another one, and ends those in force that
/// another one in force succeeds.
pub(in crate::delivery) fn hand_over(
    snapshot: &DeviceSnapshot,
    subscriptions: &mut [ResolvedSubscription],
    now: Timestamp,
) {
    let mut objects = snapshot.subscriptions.iter();
    if objects.all(|object| object.spec.origin.is_none()) {
        return;
    }
    let mut chains: BTreeMap<String, Vec<Member<'_>>> = BTreeMap::new();
    for (index, subscription) in subscriptions.iter().enumerate() {
        // An instance that a subscription leaves goes to nobody.
        if subscription.name.is_leaving() {
            continue;
        }
        if let Some(object) = snapshot.subscription(&subscription.name) {
            let id = instance_id(&snapshot.namespace, object);
            chains.entry(id).or_default().push((index, object));
        }
    }
    for (id, chain) in chains.iter().filter(|(_, chain)| chain.len() > 1) {
        defer_early_steps(subscriptions, chain);
        let now = |object| revision::deciding_instant(snapshot, object, now);
        let heir = in_force(subscriptions, chain, now)
            .map(|heir| (heir, true))
            .or_else(|| Some((prepared(subscriptions, chain, now)?, false)));
        let heir = heir.filter(|((_, object), _)| !has_another(object, id));
        if let Some(((index, object), goes_on)) = heir {
            let begins = subscriptions[index].revision.as_ref();
            let heir = Heir {
                name: subscriptions[index].name.clone(),
                start: object.spec.contract.start,
                begins: begins.map_or_else(|| now(object), |revision| revision.effective),
                goes_on,
            };
            let others = chain.iter().filter(|(other, _)| *other != index);
            for (other, object) in others {
                let is_in_force = revision::is_in_force(object, now(object));
                heir.takes_from(&mut subscriptions[*other], object, is_in_force);
            }
        }
    }
}

/// The subscription that gets the instance.
struct Heir {
    name: SubscriptionName,
    /// Start of its contract.
    start: Timestamp,
    /// Start of its revision in force.
    begins: Timestamp,
    goes_on: bool,
}

impl Heir {
    fn takes_from(
        &self,
        other: &mut ResolvedSubscription,
        object: &ServiceSubscription,
        is_in_force: bool,
    ) {
        match other.intent {
            Intent::Withdraw { .. } => {}
            // It is left alone when it is deleted; its successor has it from now on.
            Intent::Detach if record::has_instance(object) => {}
            // Two that begin at once are one too many, as with any two contracts.
            Intent::SetUp | Intent::Suspended
                if is_in_force && self.goes_on && object.spec.contract.start == self.start =>
            {
                other.refused = Some(Blocked::new(
                    Reason::ConflictingContract,
                    format!(
                        "the subscription {} succeeds the same one on this device and comes \
                         first; end it in one of the two contracts",
                        self.name
                    ),
                ));
            }
            Intent::SetUp | Intent::Suspended if self.goes_on && is_in_force => {
                other.intent = Intent::Withdraw {
                    since: self.begins,
                    deleting: false,
                };
            }
            Intent::SetUp | Intent::Suspended | Intent::Scheduled { .. } | Intent::Detach => return,
        }
        other.handed_to = Some(HandedTo {
            heir: self.name.clone(),
            goes_on: self.goes_on,
        });
    }
}

/// Returns the last subscription of a chain that is in force, by the starts of their contracts; of
/// two that begin at once the older one.
fn in_force<'a>(
    subscriptions: &[ResolvedSubscription],
    chain: &[Member<'a>],
    now: impl Fn(&'a ServiceSubscription) -> Timestamp,
) -> Option<Member<'a>> {
    let in_force = chain.iter().filter(|(index, object)| {
        let may_be = matches!(
            subscriptions[*index].intent,
            Intent::SetUp | Intent::Suspended
        );
        may_be && revision::is_in_force(object, now(object))
    });
    let last_and_older = |(_, object): &&Member<'a>| {
        let (start, created, name) = order_of(object);
        (Reverse(start), created, name)
    };
    in_force.min_by_key(last_and_older).copied()
}

/// Returns the first subscription of a chain that begins next, and whose preparation has begun.
fn prepared<'a>(
    subscriptions: &[ResolvedSubscription],
    chain: &[Member<'a>],
    now: impl Fn(&'a ServiceSubscription) -> Timestamp,
) -> Option<Member<'a>> {
    let ahead = chain.iter().filter(|(index, object)| {
        let may_be = matches!(
            subscriptions[*index].intent,
            Intent::Scheduled { .. } | Intent::Suspended
        );
        may_be && has_begun(object, now(object))
    });
    ahead.min_by_key(|(_, object)| order_of(object)).copied()
}

/// Returns the place of a subscription in its chain.
fn order_of(object: &ServiceSubscription) -> (Timestamp, Timestamp, String) {
    let contract = &object.spec.contract;
    (contract.start, contract.created, object.name_any())
}

/// True if a subscription has an instance of another id, which it would lose.
fn has_another(object: &ServiceSubscription, id: &str) -> bool {
    let status = object.status.iter();
    let recorded = status.flat_map(|status| &status.server);
    let mut existing = recorded.filter(|recorded| record::may_exist(recorded));
    existing.any(|recorded| recorded.instance_id != id)
}

/// Lets early steps wait for their instant while another subscription of the chain has the instance:
/// they would change it under a contract that is still in force.
fn defer_early_steps(subscriptions: &mut [ResolvedSubscription], chain: &[Member<'_>]) {
    let has = |of: usize| {
        let mut others = chain.iter().filter(|(index, _)| *index != of);
        others.any(|(index, object)| {
            let is_in_force = subscriptions[*index].intent == Intent::SetUp;
            is_in_force || record::has_instance(object)
        })
    };
    let deferred: Vec<usize> = chain.iter().map(|it| it.0).filter(|it| has(*it)).collect();
    for index in deferred {
        if let Intent::Scheduled { early_from, .. } = &mut subscriptions[index].intent {
            *early_from = None;
        }
    }
}
