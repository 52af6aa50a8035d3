//! The delivery controller: one key per device, also for a device that does not exist.
//!
//! observe → resolve → verify → plan → execute, round by round, then report: the domain's `Pass`
//! decides the next request and the meaning of an answer, and this module only sends. It is the
//! only writer of the status of Device and ServiceSubscription. Outcomes are observations: if a
//! write loses a race only report runs again. Timers are in memory: the next instant of every
//! device waits in the queue, so nothing has to be written for work to begin.

mod attempts;
pub(crate) mod audit;
mod device_backoffs;
mod execute;
mod machines;
mod observe;
mod publish;
mod report;
mod rivals;
#[cfg(test)]
mod tests;
mod triggers;
mod twins;
mod unwritten;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use entente_crds::v1alpha1::Device;
use entente_domain::{
    delivery::{Pass, UnsaidAttempts, next_date},
    listening::Listened,
};
use jiff::Timestamp;

use crate::{
    broker_catalogs::BrokerCatalogs,
    cache::Key,
    connection_profiles::ConnectionProfiles,
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    listening::{Attention, Offer, ProfileKey},
    objects::{BY_DEVICE, Objects, path},
    queue::Requeue,
    secrets::Secrets,
    shutdown::Shutdown,
};
use attempts::Attempts;
use device_backoffs::DeviceBackoffs;
use machines::Machines;
use unwritten::UnwrittenStatuses;

/// The delivery controller.
pub(crate) struct Delivery {
    pub(crate) context: Context,
    pub(crate) objects: Arc<Objects>,
    secrets: Arc<Secrets>,
    pub(crate) profiles: Arc<ConnectionProfiles>,
    pub(crate) catalogs: Arc<BrokerCatalogs>,
    attention: Arc<Attention>,
    /// Once requested, a pass sends no more requests and reports what it knows.
    shutdown: Shutdown,
    backoffs: DeviceBackoffs,
    machines: Machines,
    unwritten: UnwrittenStatuses,
    attempts: Attempts,
}

impl Reconcile for Delivery {
    const NAME: &'static str = "delivery";
    /// Time limit of a pass: longer than all requests of a plan in turn.
    const PASS_LIMIT: Duration = Duration::from_mins(10);
    type Key = Key;

    fn object(&self, key: &Key) -> PassObject {
        PassObject::of(&self.objects.devices, key.clone())
    }

    fn concurrency(&self) -> usize {
        self.context.options.concurrency
    }

    fn watch(&self, watches: &Watches<Self>) {
        let objects = &self.objects;
        watches.cache(&objects.devices, triggers::device);
        watches.cache(&objects.subscriptions, triggers::subscription);
        watches.cache(&objects.twins, triggers::twin);
        watches.cache(&objects.models, triggers::model);
        watches.cache(&objects.services, triggers::service);
        watches.cache(&objects.texts, triggers::text);
        watches.cache(&objects.sites, triggers::site);
        watches.cache(&objects.connections, triggers::connection);
        watches.cache(&objects.contracts, triggers::contract);
        watches.cache(&objects.compensations, triggers::compensation);
        watches.cache(&objects.orders, triggers::supply_order);
        watches.cache(&objects.namespaces, triggers::namespace);
        watches.channel(self.catalogs.subscribe(), triggers::catalog);
        let first = self.catalogs.subscribe_from_first();
        watches.channel(first, triggers::catalog_without_the_wanted);
        watches.channel(self.context.skew.subscribe(), triggers::clock);
        watches.channel(self.attention.wakes(), triggers::notified);
        let unreadable = objects.devices.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::device);
        let unreadable = objects.subscriptions.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::subscription);
        let unreadable = objects.orders.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::supply_order);
        let unreadable = objects.models.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::model);
        let unreadable = objects.sites.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::site);
        let unreadable = objects.services.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::service);
        let unreadable = objects.connections.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::connection);
        let unreadable = objects.contracts.subscribe_unreadable();
        watches.channel(unreadable, triggers::unreadable::contract);
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        let snapshot = observe::snapshot(self, key).await;
        if snapshot.device.is_none() && snapshot.subscriptions.is_empty() {
            self.backoffs.forget(key);
            self.unwritten.written(key);
            self.attempts.keep(key, UnsaidAttempts::new());
            self.attention.forget(key);
            return Ok(None);
        }
        let looks = Looks {
            delivery: self,
            key,
        };
        let began = self.context.clock.now();
        let pass = Pass::new(snapshot, self.backoffs.of(key), began);
        // On the heap: its state is large, and most passes wait in it.
        let mut pass = Box::new(pass);
        while !self.shutdown.is_requested()
            && !self.is_outdated(&pass)
            && let Some(action) = pass.next(self.context.clock.now())
        {
            let effects = pass.effects(&action);
            let answer = execute::execute(self, &pass, &action).await;
            audit::log(&key.namespace, &key.name, &effects, &answer);
            pass.record(&action, answer, self.context.clock.now(), fraction());
        }
        pass.finish(self.context.clock.now(), fraction());
        let reported = report::write(self, &pass).await;
        // The claim is in the cache now.
        drop(looks);
        let passed = report::date_that_passed(self, &pass, began);
        self.attend(key, &pass).await;
        let next = [reported.wake, pass.wake(), passed];
        let next = next.into_iter().flatten().min();
        if pass.is_endless() {
            let (namespace, device) = (&key.namespace, &key.name);
            tracing::error!(namespace, device, "a pass did not come to an end");
        }
        self.backoffs.keep(key, pass.into_backoffs());
        match reported.failure {
            None => Ok(next.map(Requeue::At)),
            Some(error) => Err(Failed { error, at: next }),
        }
    }

    async fn report_defect(&self, key: &Key, defect: &Defect) {
        report::defective(self, key, defect).await;
    }

    fn next_instant(&self, key: &Key) -> Option<Timestamp> {
        let device = path(&key.namespace, &key.name);
        let subscriptions = self.objects.subscriptions.by_index(BY_DEVICE, &device);
        let now = self.context.clock.now();
        let dates = subscriptions.iter().filter_map(|it| next_date(it, now));
        dates.min()
    }
}

impl Delivery {
    /// True if the Device of a pass is not the one that it began with: deleted, made again, moved,
    /// suspended, or with other connections, be it by its Site. Nothing more is sent for it; the change starts another pass.
    fn is_outdated(&self, pass: &Pass) -> bool {
        let Some(known) = &pass.snapshot().device else {
            return false;
        };
        let found = self.objects.devices.get(&Key::of(&**known));
        let meant = |device: &Device| {
            let meta = &device.metadata;
            let is_deleted = meta.deletion_timestamp.is_some();
            let connections = device.spec.connections.clone();
            (meta.uid.clone(), meta.generation, is_deleted, connections)
        };
        found.is_none_or(|found| meant(&found) != meant(known))
    }

    /// Has the device listened to until its next pass, or not.
    async fn attend(&self, key: &Key, pass: &Pass) {
        let now = self.context.clock.now();
        let offer = match pass.listened(now) {
            Some(listened) => self.offer(pass, listened, now).await,
            None => None,
        };
        self.attention.offer(key, offer);
    }

    async fn offer(&self, pass: &Pass, listened: Listened, now: Timestamp) -> Option<Offer> {
        let snapshot = pass.snapshot();
        let endpoint = pass.resolved().endpoint(&listened.connection)?;
        let connection = snapshot.connections.get(&listened.connection)?;
        let profile = observe::profile(self, snapshot, connection, now)
            .await
            .ok()?;
        let login = observe::device_credentials(snapshot, &listened.connection);
        let of = ProfileKey {
            connection: listened.connection.clone(),
            namespace: snapshot.namespace.clone(),
            login: login.map(|(_, secret)| secret.name.clone()),
        };
        self.attention
            .keep_profile(of.clone(), profile, listened.period, now);
        Some(Offer {
            profile: of,
            url: endpoint.url.clone(),
            printer_uri: endpoint.printer_uri.clone(),
            pinned_certificate: endpoint.pinned_certificate.clone(),
            listened,
        })
    }

    pub(crate) fn new(
        context: Context,
        objects: Arc<Objects>,
        secrets: Arc<Secrets>,
        profiles: Arc<ConnectionProfiles>,
        catalogs: Arc<BrokerCatalogs>,
        attention: Arc<Attention>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            context,
            objects,
            secrets,
            profiles,
            catalogs,
            attention,
            shutdown,
            backoffs: DeviceBackoffs::default(),
            machines: Machines::default(),
            unwritten: UnwrittenStatuses::default(),
            attempts: Attempts::default(),
        }
    }
}

/// The machines that a pass has looked at; let go of in whatever way it ends.
struct Looks<'a> {
    delivery: &'a Delivery,
    key: &'a Key,
}

impl Drop for Looks<'_> {
    fn drop(&mut self) {
        self.delivery.machines.forget(self.key);
    }
}

/// Returns a number in 0..=1 that spreads waits; its quality does not matter. The same each time in
/// tests, which have to fail again in the same way.
pub(crate) fn fraction() -> f64 {
    if cfg!(test) {
        return 1.0;
    }
    let number = RandomState::new().hash_one(0u8);
    f64::from(u32::try_from(number >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
