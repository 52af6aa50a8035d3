//! Answers of remote sides in the pass under way.
//!
//! The controller records every answer here; a write makes the reading of that side void, so
//! that the next round reads back. Outcomes are facts: they stay until they are reported.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    bounded::Text,
    digest::Digest,
    item_key::{ItemKey, ItemKind},
    v1alpha1::{MAX_IDENTITY, ServerInstance},
};
use jiff::{SignedDuration, Timestamp};

pub use self::instance::InstanceObservation;
use self::record::Change;
pub use self::status::{PanelAnswer, StatusObservations};
use crate::names::{ConnectionName, SubscriptionName};
use crate::{
    delivery::{Action, CarriedItem, DeviceSnapshot, ResolvedDevice, ServedItem},
    identity::Identity,
    protocol::Place,
    remote::{Catalog, DeviceReading, Failure, InstanceReading, OperationState, ServerAnswer},
};

mod instance;
pub(super) mod record;
mod status;

/// One answer to a reading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading<T> {
    /// Instant of the answer.
    pub at: Timestamp,
    /// The answer.
    pub result: Result<T, Failure>,
}

/// One item that was sent, with its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// Instant of the answer.
    pub at: Timestamp,
    /// The digest of the value that was sent.
    pub digest: Digest,
    /// Success, or the failure.
    pub result: Result<(), Failure>,
}

/// Instant of an answer of a service server, and what its meaning depends on.
#[derive(Clone, Copy, Debug)]
pub struct ServerMoment<'a> {
    /// The catalog, where it is known: it has the names of plans.
    pub catalog: Option<&'a Catalog>,
    /// True if the catalog says that the instance can be fetched; `None` while it is not known.
    pub retrievable: Option<bool>,
    /// Time after which a request whose answer was lost will not be carried out any more.
    pub late: SignedDuration,
    /// Instant of the answer.
    pub at: Timestamp,
}

/// All answers of this pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observations {
    /// Readings of the device, by connection.
    devices: BTreeMap<ConnectionName, DeviceObservation>,
    /// Answers about each subscription, by name.
    subscriptions: BTreeMap<SubscriptionName, InstanceObservation>,
    /// Failed readings of catalogs, by connection.
    pub catalog_problems: BTreeMap<ConnectionName, (Timestamp, Failure)>,
    /// Status reports and messages of the device.
    pub status: StatusObservations,
}

/// Readings of a device through one connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceObservation {
    /// The last reading; none after a write.
    pub reading: Option<Reading<DeviceReading>>,
    /// The reading before the last write, or before the last one that failed: it proves the values
    /// that were not written since.
    pub before: Option<Reading<DeviceReading>>,
    /// Places whose values the last reading asked for.
    asked: BTreeSet<Place>,
    /// Items that were written since the last reading that was answered.
    unread: BTreeSet<(SubscriptionName, ItemKey)>,
}

impl DeviceObservation {
    /// Returns the last reading, if it asked for a place and no write came after it.
    pub fn reading_of(&self, place: &Place) -> Option<&Reading<DeviceReading>> {
        self.reading.as_ref().filter(|_| self.asked.contains(place))
    }

    /// Keeps the last reading that was answered, since it proves what was not written after it.
    fn keep_before(&mut self) {
        let before = self.reading.take();
        let answered = before.filter(|reading| reading.result.is_ok());
        self.before = answered.or_else(|| self.before.take());
    }

    /// True if an item was written after the last reading that was answered, so that no reading
    /// proves it.
    pub fn is_unread(&self, subscription: &SubscriptionName, item: &ItemKey) -> bool {
        let mut unread = self.unread.iter();
        unread.any(|(of, key)| of == subscription && key == item)
    }
}

impl Observations {
    /// Returns the readings through a connection of the device.
    pub fn through(&self, connection: &str) -> &DeviceObservation {
        const NOTHING: &DeviceObservation = &DeviceObservation {
            reading: None,
            before: None,
            asked: BTreeSet::new(),
            unread: BTreeSet::new(),
        };
        self.devices.get(connection).unwrap_or(NOTHING)
    }

    /// Returns the answers about a subscription.
    pub fn of(&self, subscription: &SubscriptionName) -> &InstanceObservation {
        const NOTHING: &InstanceObservation = &InstanceObservation::NOTHING;
        self.subscriptions.get(subscription).unwrap_or(NOTHING)
    }

    /// Returns the last readings of the device, by connection.
    pub fn looks(&self) -> impl Iterator<Item = (&ConnectionName, &Reading<DeviceReading>)> {
        let devices = self.devices.iter();
        devices.filter_map(|(connection, device)| Some((connection, device.reading.as_ref()?)))
    }

    /// Returns the instant of the last of those.
    pub fn last_look(&self) -> Option<Timestamp> {
        self.looks().map(|(_, reading)| reading.at).max()
    }

    /// Returns the result of sending this very value of an item in this pass.
    pub fn sent(
        &self,
        subscription: &SubscriptionName,
        item: &ItemKey,
        digest: Digest,
    ) -> Option<&Sent> {
        let sent = self.of(subscription).sent.get(item);
        sent.filter(|sent| sent.digest == digest)
    }

    /// Returns the result of sending this very value of an item in this pass, or in an earlier one
    /// by an operation that ended in this one.
    pub fn sent_or_ended(
        &self,
        subscription: &SubscriptionName,
        item: &ItemKey,
        digest: Digest,
    ) -> Option<&Sent> {
        let ended = self.of(subscription).ended.get(item);
        let ended = ended.filter(|sent| sent.digest == digest);
        self.sent(subscription, item, digest).or(ended)
    }

    /// Adopts the instances that the status names, and for set-up those that are about to be named.
    /// Called after resolve in every round; an instance already known stays.
    pub fn adopt_instances(&mut self, snapshot: &DeviceSnapshot, resolved: &ResolvedDevice) {
        for subscription in &resolved.subscriptions {
            let recorded = snapshot
                .subscription(&subscription.name)
                .and_then(|object| object.status.as_ref()?.server.clone());
            self.about(&subscription.name)
                .adopt(snapshot, subscription, recorded);
        }
    }

    /// Records that a subscription has the instance of another one by now, as its status names it.
    pub(super) fn take_over(
        &mut self,
        subscription: &SubscriptionName,
        recorded: Option<ServerInstance>,
    ) {
        if let Some(recorded) = recorded.filter(record::may_exist) {
            self.about(subscription).recorded = Some(recorded);
        }
    }

    /// Records that the instance of a subscription was set aside, or that one which was set aside has
    /// its place again: the answers about each stay with it.
    pub(super) fn exchange(&mut self, subscription: &SubscriptionName) {
        let leaving = subscription.leaving();
        let mut own = self.subscriptions.remove(subscription).unwrap_or_default();
        let mut left = self.subscriptions.remove(&leaving).unwrap_or_default();
        let is_of_device = |key: &ItemKey| key.kind().is_some_and(ItemKind::stays_with_the_device);
        let sent = std::mem::take(&mut own.sent);
        let (of_device, of_server) = sent.into_iter().partition(|(key, _)| is_of_device(key));
        own.sent = of_server;
        left.sent.retain(|key, _| !is_of_device(key));
        left.sent.extend(of_device);
        self.subscriptions.insert(subscription.clone(), left);
        self.subscriptions.insert(leaving, own);
    }

    /// Forgets the answers about an instance that is gone.
    pub(super) fn forget(&mut self, subscription: &SubscriptionName) {
        self.subscriptions.remove(subscription);
    }

    /// Records that a subscription has no instance any more: another one has it.
    pub(super) fn give_away(&mut self, subscription: &SubscriptionName) {
        self.about(subscription).recorded = None;
    }

    /// Returns the instant of the first answer of this pass that can prove anything.
    pub(super) fn heard_from(&self) -> Option<Timestamp> {
        let devices = self.devices.values().flat_map(|device| {
            let readings = [&device.reading, &device.before];
            readings.into_iter().flatten().map(|reading| reading.at)
        });
        let instances = self.subscriptions.values();
        devices
            .chain(instances.flat_map(InstanceObservation::heard_at))
            .min()
    }

    fn about(&mut self, subscription: &SubscriptionName) -> &mut InstanceObservation {
        self.subscriptions.entry(subscription.clone()).or_default()
    }

    /// Records the places for which a reading of the device asks, before its answer is recorded.
    pub fn record_asked(&mut self, connection: &ConnectionName, places: &BTreeSet<Place>) {
        let device = self.devices.entry(connection.clone()).or_default();
        device.asked.clone_from(places);
    }

    /// Records an answer of the device, or its failure. The reported identity and product go
    /// into statuses: they get their one spelling, lose unseen characters and are cut to their limits
    /// here.
    pub fn record_device(
        &mut self,
        connection: &ConnectionName,
        mut result: Result<DeviceReading, Failure>,
        at: Timestamp,
    ) {
        if let Ok(reading) = &mut result {
            let identity = reading.identity.take();
            let identity = identity.and_then(|identity| Identity::of(&identity));
            reading.identity = identity.map(|identity| identity.to_string());
            let product = reading.product_name.take();
            reading.product_name = product
                .map(|product| Text::<MAX_IDENTITY>::from(product.trim()).trim().to_owned())
                .filter(|product| !product.is_empty());
        }
        let device = self.devices.entry(connection.clone()).or_default();
        if result.is_ok() {
            device.unread.clear();
        } else {
            device.keep_before();
        }
        device.reading = Some(Reading { at, result });
    }

    /// Records the answer to a write to the device.
    pub fn record_write(
        &mut self,
        connection: &ConnectionName,
        items: &[ServedItem],
        result: &Result<(), Failure>,
        at: Timestamp,
    ) {
        for ServedItem { subscription, item } in items {
            let sent = Sent {
                at,
                digest: item.digest,
                result: result.clone(),
            };
            let heard = self.about(subscription);
            heard.sent.insert(item.key.clone(), sent);
            let device = self.devices.entry(connection.clone()).or_default();
            let written = (subscription.clone(), item.key.clone());
            device.unread.insert(written);
        }
        // The values of the device must be read anew, also after a failure: the answer may have
        // been lost after the device accepted the value.
        if result.is_ok() || result.as_ref().is_err_and(|failure| failure.doubtful) {
            let device = self.devices.entry(connection.clone()).or_default();
            device.keep_before();
        }
    }

    /// Records that a request of an earlier pass has its answer now: the device has taken note of it.
    pub(super) fn record_ended(
        &mut self,
        subscription: &SubscriptionName,
        item: &CarriedItem,
        result: Result<(), Failure>,
        at: Timestamp,
    ) {
        let ended = Sent {
            at,
            digest: item.digest,
            result,
        };
        self.about(subscription)
            .ended
            .insert(item.key.clone(), ended);
    }

    /// Records the answer to a fetch of an instance.
    pub fn record_instance(
        &mut self,
        subscription: &SubscriptionName,
        result: Result<InstanceReading, Failure>,
        moment: ServerMoment<'_>,
    ) {
        self.about(subscription).record_fetch(result, moment);
    }

    /// Records the answer to a provision, update or deprovision.
    pub fn record_server(
        &mut self,
        action: &Action,
        result: Result<ServerAnswer, Failure>,
        moment: ServerMoment<'_>,
    ) {
        if let Some(change) = Change::of(action) {
            self.about(change.subscription)
                .record_change(&change, result, moment);
        }
    }

    /// Records the answer to a poll of an operation.
    pub fn record_operation(
        &mut self,
        subscription: &SubscriptionName,
        result: Result<OperationState, Failure>,
        moment: ServerMoment<'_>,
    ) {
        self.about(subscription).record_operation(result, moment);
    }

    /// Records that no request could be sent to the service server of a subscription.
    pub fn record_server_problem(
        &mut self,
        subscription: &SubscriptionName,
        failure: Failure,
        at: Timestamp,
    ) {
        self.about(subscription).problem = Some((at, failure));
    }
}
