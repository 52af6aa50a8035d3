//! Effects: the requests of a pass that change a remote side, as lines of a record for people.
//!
//! Decides which actions have an effect, and the facts that are told of each: where it went, which
//! item, the digest of the value that was read before and that of the value that is wanted, and the
//! promise that it serves. It must never hold a value, only digests of values. Called by the delivery
//! controller, which writes the lines.

use std::collections::BTreeMap;

use entente_crds::{digest::Digest, item_key::ItemKey};
use jiff::Timestamp;

use super::{
    Action, Answer, CarriedItem, InstallationOrder, Pass, ResolvedDevice, ServedItem, Verified,
};
use crate::{
    names::{ConnectionName, SubscriptionName},
    remote::{Failure, InstanceKey, ServerAnswer},
};

/// An effect on one item. A request that carries several has one of each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effect {
    /// Operation: `write`, `install`, `provision`, `update` or `deprovision`.
    pub operation: &'static str,
    /// The Connection through which it was sent; `None` if it could not be sent anywhere.
    pub connection: Option<ConnectionName>,
    /// Id of the instance at a service server.
    pub instance: Option<String>,
    /// The subscription that wants it.
    pub subscription: SubscriptionName,
    /// The item; `None` of an instance that is removed as a whole.
    pub item: Option<ItemKey>,
    /// Digest of the value that was read last; `None` if none was read.
    pub was: Option<Digest>,
    /// Digest of the value that was sent; `None` if the item is removed.
    pub wanted: Option<Digest>,
    /// The instant of the revision that is served, which is that of its promise.
    pub revision: Option<Timestamp>,
}

impl Pass {
    /// Returns the effects of an action; none of one that only reads or records.
    pub fn effects(&self, action: &Action) -> Vec<Effect> {
        effects(self.resolved(), self.verified(), action)
    }
}

fn effects(
    resolved: &ResolvedDevice,
    verified: &BTreeMap<SubscriptionName, Verified>,
    action: &Action,
) -> Vec<Effect> {
    let of = |subscription: &SubscriptionName, item: Option<&CarriedItem>| {
        let resolved = resolved.subscription(subscription);
        let seen = verified.get(subscription).into_iter();
        let mut seen = seen.flat_map(|it| &it.items);
        let seen = item.and_then(|item| seen.find(|it| it.key == item.key));
        Effect {
            operation: "write",
            connection: None,
            instance: None,
            subscription: subscription.clone(),
            item: item.map(|item| item.key.clone()),
            was: seen.and_then(|seen| seen.observed_digest),
            wanted: item.map(|item| item.digest),
            revision: resolved.and_then(|it| it.revision.as_ref().map(|it| it.effective)),
        }
    };
    if let Action::WriteDevice {
        connection, items, ..
    } = action
    {
        let served = items.iter().map(|served| Effect {
            connection: Some(connection.clone()),
            ..of(&served.subscription, Some(&served.item))
        });
        return served.collect();
    }
    if let Some((connection, served)) = of_a_twin(action) {
        let effects = served.into_iter().map(|(operation, served)| Effect {
            operation,
            connection: Some(connection.clone()),
            ..of(&served.subscription, Some(&served.item))
        });
        return effects.collect();
    }
    let Some((operation, subscription, instance, items)) = at_a_server(action) else {
        return Vec::new();
    };
    let server = resolved.subscription(subscription);
    let server = server.and_then(|it| it.server.as_ref());
    let whole = items.is_empty().then_some(None);
    let parts = items.iter().map(Some).chain(whole);
    let effects = parts.map(|item| Effect {
        operation,
        connection: server.map(|server| server.connection.clone()),
        instance: Some(instance.instance_id.clone()),
        ..of(subscription, item)
    });
    effects.collect()
}

/// Returns the items that a write of a twin asks for, each with its operation.
fn of_a_twin(action: &Action) -> Option<(&ConnectionName, Vec<(&'static str, &ServedItem)>)> {
    let Action::WriteTwin {
        connection,
        writes,
        installation,
        data_items,
        ..
    } = action
    else {
        return None;
    };
    let settings = writes.iter().flat_map(|(_, items)| items);
    let written = settings.chain(data_items).map(|served| ("write", served));
    let installed = installation.iter().flat_map(InstallationOrder::items);
    let installed = installed.map(|served| ("install", served));
    Some((connection, written.chain(installed).collect()))
}

/// A change at a service server: operation, subscription, instance and items.
type Change<'a> = (
    &'static str,
    &'a SubscriptionName,
    &'a InstanceKey,
    &'a [CarriedItem],
);

/// Returns the change that an action makes at a service server, if it makes one.
fn at_a_server(action: &Action) -> Option<Change<'_>> {
    match action {
        Action::Provision {
            subscription,
            instance,
            items,
            ..
        } => Some(("provision", subscription, instance, items)),
        Action::Update {
            subscription,
            instance,
            items,
            ..
        } => Some(("update", subscription, instance, items)),
        Action::Deprovision {
            subscription,
            instance,
            ..
        } => Some(("deprovision", subscription, instance, &[])),
        Action::WriteDevice { .. }
        | Action::WriteTwin { .. }
        | Action::ReadDevice { .. }
        | Action::ReadStatus { .. }
        | Action::ShowMessages { .. }
        | Action::ReadCatalog { .. }
        | Action::RecordPrevious { .. }
        | Action::RecordInstance { .. }
        | Action::TakeOver { .. }
        | Action::Switch { .. }
        | Action::ReadInstance { .. }
        | Action::PollOperation { .. } => None,
    }
}

/// Returns the outcome of an action that has an effect, in a word: `Accepted`, `UnderWay`, or the
/// kind of the failure. Accepted says nothing of what is in effect: that is read back.
pub fn outcome(answer: &Answer) -> String {
    match answer {
        Answer::DeviceWritten(Ok(())) => "Accepted".to_owned(),
        Answer::DeviceWritten(Err(failure)) | Answer::TwinWritten(Err(failure)) => {
            outcome_of_failure(failure)
        }
        Answer::TwinWritten(Ok(_)) => "Asked".to_owned(),
        Answer::Server(answer) => outcome_at_server(answer),
        Answer::NotAsked(_) => "NotSent".to_owned(),
        _ => String::new(),
    }
}

/// Returns the outcome of a change at a service server, as [`outcome`] does.
pub fn outcome_at_server(answer: &Result<ServerAnswer, Failure>) -> String {
    let word = match answer {
        Ok(ServerAnswer::Done) => "Accepted",
        Ok(ServerAnswer::Existed) => "Existed",
        Ok(ServerAnswer::UnderWay { .. }) => "UnderWay",
        Ok(ServerAnswer::Absent { .. }) => "Absent",
        Err(failure) => return outcome_of_failure(failure),
    };
    word.to_owned()
}

fn outcome_of_failure(failure: &Failure) -> String {
    format!("{:?}", failure.kind)
}
