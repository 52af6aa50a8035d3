//! The order controller: one key for each order, which need not exist yet (A3, A4, A9).
//!
//! Makes the record that an error of a Device is owed, by POST under its name, after a GET; then drives
//! one [`OrderPass`] after another until the order is closed. It is the only writer of SupplyOrders,
//! and keeps nothing but the waits after failures in memory. One key for each order keeps a server
//! that hangs from holding up the orders at others. Decides nothing that the domain could decide.

mod facts;
mod publish;
#[cfg(test)]
mod tests;
mod triggers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use entente_crds::v1alpha1::{Device, DeviceError, SupplyOrder, SupplyOrderStatus};
use entente_domain::site::at_site;
use entente_domain::supply_order::{
    Attempts, Next, OrderAnswer, OrderPass, OrderRequest, RecordSources, record_for, wanted_orders,
};
use entente_drivers::ServerTarget;
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt as _};

use crate::{
    cache::Key,
    connection_profiles::ConnectionProfiles,
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    metrics::RemoteOperation,
    objects::{BY_ORDER, Objects, path},
    queue::Requeue,
    remote_requests::{About, told},
    status::{Created, Reported, WriteError, create, read, report_defect, report_until_written},
};

/// Interval until the next pass while an object is missing whose changes wake no order.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// Interval until the next pass after another writer came in between.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);

/// The order controller.
pub(crate) struct SupplyOrders {
    context: Context,
    objects: Arc<Objects>,
    profiles: Arc<ConnectionProfiles>,
    attempts: Mutex<HashMap<Key, Attempts>>,
}

impl Reconcile for SupplyOrders {
    const NAME: &'static str = "supply_order";
    type Key = Key;

    fn object(&self, key: &Key) -> PassObject {
        PassObject::of(&self.objects.orders, key.clone())
    }

    fn watch(&self, watches: &Watches<Self>) {
        watches.cache(&self.objects.devices, triggers::device);
        watches.cache(&self.objects.orders, triggers::order);
        watches.cache(&self.objects.connections, triggers::connection);
        watches.cache(&self.objects.subscriptions, triggers::subscription);
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        let wake = self.pass(key).await?;
        Ok(wake.map(Requeue::At))
    }

    async fn report_defect(&self, key: &Key, defect: &Defect) {
        let (cache, now) = (&self.objects.orders, self.context.clock.now());
        report_defect(&self.api(key), cache, key, defect, now).await;
    }

    fn next_instant(&self, key: &Key) -> Option<Timestamp> {
        let order = self.objects.orders.get(key)?;
        let status = order.status.as_ref()?;
        if status.closed.is_some() {
            return None;
        }
        // The next look at the server is due by then, whatever the pass had found.
        self.context.clock.now().checked_add(LOOK_AGAIN).ok()
    }
}

impl SupplyOrders {
    pub(crate) fn new(
        context: Context,
        objects: Arc<Objects>,
        profiles: Arc<ConnectionProfiles>,
    ) -> Self {
        Self {
            context,
            objects,
            profiles,
            attempts: Mutex::default(),
        }
    }

    fn api(&self, key: &Key) -> Api<SupplyOrder> {
        Api::namespaced(self.context.client.clone(), &key.namespace)
    }

    async fn pass(&self, key: &Key) -> Result<Option<Timestamp>, WriteError> {
        if self.objects.orders.is_unreadable(key) {
            return Ok(None);
        }
        match self.objects.orders.get(key) {
            Some(order) => self.work(key, &order).await,
            None => self.record(key).await,
        }
    }

    /// Makes the record of this name, if an error of a Device is owed one.
    async fn record(&self, key: &Key) -> Result<Option<Timestamp>, WriteError> {
        self.keep(key, Attempts::default());
        let Some((device, error)) = self.owed(key) else {
            return Ok(None);
        };
        let api = self.api(key);
        if let Some(existing) = read(&api, key).await? {
            self.objects.orders.put_written(existing);
            return Ok(self.soon(AT_ONCE));
        }
        let made = match self.made_of(&device, &error, key) {
            Ok(made) => made,
            Err(problem) => {
                self.tell_not_made(key, &device, &problem);
                return Ok(self.soon(LOOK_AGAIN));
            }
        };
        let created = match create(&api, &made).await {
            Err(WriteError::Refused { message, .. }) => {
                let problem = format!("the API server refuses it: {message}");
                self.tell_not_made(key, &device, &problem);
                return Ok(self.soon(LOOK_AGAIN));
            }
            created => created?,
        };
        match created {
            Created::New(made) => {
                self.tell_made(&made, &device);
                self.objects.orders.put_written(made);
            }
            Created::Existing(existing) => self.objects.orders.put_written(existing),
        }
        // The change of the cache wakes this key again.
        Ok(None)
    }

    /// Returns the error for which an order of this name is decided on, with its Device.
    fn owed(&self, key: &Key) -> Option<(Arc<Device>, DeviceError)> {
        let named = path(&key.namespace, &key.name);
        let devices = self.objects.devices.by_index(BY_ORDER, &named);
        devices.into_iter().find_map(|device| {
            let is_named = |error: &&DeviceError| {
                let order = error.order.as_ref();
                order.is_some_and(|order| order.name == key.name)
            };
            let error = wanted_orders(&device).find(is_named).cloned()?;
            Some((device, error))
        })
    }

    fn made_of(
        &self,
        device: &Device,
        error: &DeviceError,
        key: &Key,
    ) -> Result<SupplyOrder, String> {
        let objects = &self.objects;
        let order = error.order.clone().unwrap_or_default();
        let of_namespace = |name: &str| Key::new(key.namespace.clone(), name);
        let model = objects
            .models
            .get(&Key::new("", &*device.spec.model_ref.name));
        let subscription = objects
            .subscriptions
            .get(&of_namespace(&order.subscription));
        let service = objects.services.get(&Key::new("", &*order.service));
        let twin = objects.twins.get(&of_namespace(&device.name_any()));
        let registration = twin.as_ref().and_then(|twin| twin.status.as_ref());
        let registration = registration.and_then(|status| status.registration.as_ref());
        let site = device.spec.site_ref.as_ref();
        let site = site.and_then(|site| objects.sites.get(&of_namespace(&site.name)));
        let device = at_site(device, site.as_deref());
        let sources = RecordSources {
            device: &device,
            model: model.as_deref(),
            subscription: subscription.as_deref(),
            service: service.as_deref(),
            printer_id: registration.and_then(|it| it.printer_id.as_deref()),
        };
        record_for(error, sources, &key.namespace).map_err(|(_, message)| message)
    }

    /// Drives a pass over an order to its end.
    async fn work(
        &self,
        key: &Key,
        order: &Arc<SupplyOrder>,
    ) -> Result<Option<Timestamp>, WriteError> {
        let facts = self.facts(key, order).await;
        let (target, looks_again) = (facts.target, facts.looks_again);
        let mut pass = OrderPass::new((**order).clone(), facts.known, self.attempts(key));
        let end = self.drive(key, &mut pass, target.as_ref()).await;
        // Also after a write that failed: what was learned is written by the next pass.
        self.keep(key, pass.attempts());
        self.tell(order, pass.order());
        let again = looks_again.then(|| self.soon(LOOK_AGAIN)).flatten();
        Ok(end?.into_iter().chain(again).min())
    }

    async fn drive(
        &self,
        key: &Key,
        pass: &mut OrderPass,
        target: Option<&ServerTarget>,
    ) -> Result<Option<Timestamp>, WriteError> {
        loop {
            match pass.next(self.context.clock.now()) {
                Next::Write(status) => match self.write(key, pass.order(), &status).await? {
                    Some(written) => pass.written((*written).clone()),
                    // Another writer came in between: decide again, on what it wrote.
                    None => return Ok(self.soon(AT_ONCE)),
                },
                Next::Send(request) => {
                    let answer = self.send(target, &request).await;
                    pass.answered(&request, answer, self.context.clock.now());
                }
                Next::Rest(at) => return Ok(at),
            }
        }
    }

    /// Writes a status on the version on which it was decided; `None` if that is not the newest one.
    async fn write(
        &self,
        key: &Key,
        decided: &SupplyOrder,
        status: &SupplyOrderStatus,
    ) -> Result<Option<Arc<SupplyOrder>>, WriteError> {
        let (cache, now) = (&self.objects.orders, self.context.clock.now());
        let api = self.api(key);
        let reported = report_until_written(&api, cache, key, now, |object| {
            let same = object.metadata.uid == decided.metadata.uid
                && object.metadata.generation == decided.metadata.generation
                && object.status == decided.status;
            same.then(|| status.clone())
        });
        Ok(match reported.await? {
            Reported::Written(written) => Some(written),
            Reported::Unchanged | Reported::Gone => None,
        })
    }

    async fn send(&self, target: Option<&ServerTarget>, request: &OrderRequest) -> OrderAnswer {
        let Some(target) = target else {
            // A pass without a server sends nothing.
            return OrderAnswer::Missing;
        };
        let about = About {
            connection: &target.profile.name,
            operation: operation(request),
            device: None,
        };
        let sent = self.context.drivers.orders().send(target, request);
        let sent = told(&self.context.metrics, about, sent);
        sent.await.unwrap_or_else(OrderAnswer::Failed)
    }

    fn attempts(&self, key: &Key) -> Attempts {
        let attempts = self.attempts.lock();
        let attempts = attempts.unwrap_or_else(PoisonError::into_inner);
        attempts.get(key).cloned().unwrap_or_default()
    }

    fn keep(&self, key: &Key, now: Attempts) {
        let attempts = self.attempts.lock();
        let mut attempts = attempts.unwrap_or_else(PoisonError::into_inner);
        if now == Attempts::default() {
            attempts.remove(key);
        } else {
            attempts.insert(key.clone(), now);
        }
    }

    fn soon(&self, wait: SignedDuration) -> Option<Timestamp> {
        self.context.clock.now().checked_add(wait).ok()
    }
}

fn operation(request: &OrderRequest) -> RemoteOperation {
    match request {
        OrderRequest::FindByReference { .. } | OrderRequest::FindOpen { .. } => {
            RemoteOperation::FindOrder
        }
        OrderRequest::Place(_) => RemoteOperation::PlaceOrder,
        OrderRequest::Read { .. } | OrderRequest::ReadOperation { .. } => {
            RemoteOperation::ReadOrder
        }
        OrderRequest::Cancel { .. } => RemoteOperation::CancelOrder,
    }
}
