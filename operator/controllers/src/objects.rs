//! The caches of every kind that the controllers read, with the indexes that they use.
//!
//! Built once by [`crate::run`]; every pass reads from here and never lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

use entente_crds::{
    bounded::Text,
    v1alpha1::{
        Compensation, Connection, Contract, ContractAmendment, ContractNotice, Device,
        DeviceEnrollment, DeviceModel, DeviceTwin, MessageText, ServiceSubscription, Site,
        SmartService, SupplyOrder,
    },
};
use entente_domain::{
    contract::predecessor_of,
    delivery::{endpoint_index, handles_of, known_identities},
    inventory,
    supply_order::is_open,
    unreadable::{Referent, UnreadableObjects},
};
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

use crate::{
    cache::{Cache, Cached, Sharing, Unreadable, Watched},
    context::Context,
    devices_at_sites, internal_errors,
    liveness::keep_running,
    readiness::Readiness,
    shutdown::Shutdown,
    status::Conditioned,
    unreadable,
};

/// Index of subscriptions and orders: "namespace/device".
pub(crate) const BY_DEVICE: &str = "device";
/// Index of amendments, notices, subscriptions and compensations: "namespace/contract".
pub(crate) const BY_CONTRACT: &str = "contract";
/// Index of subscriptions and compensations: "namespace/contract.service".
pub(crate) const BY_ENTRY: &str = "entry";
/// Index of subscriptions and contracts: the SmartServices that they name.
pub(crate) const BY_SERVICE: &str = "service";
/// Index of contracts: "namespace/contract" of the one that they succeed.
pub(crate) const BY_SUCCEEDS: &str = "succeeds";
/// Index of devices: the DeviceModel.
pub(crate) const BY_MODEL: &str = "model";
/// Index of devices and services: the Connections that they name. Index of subscriptions: the
/// Connection of the broker that has their instance, which their service need not name any more.
pub(crate) const BY_CONNECTION: &str = "connection";
/// Index of devices: the inputs of their endpoint.
pub(crate) const BY_ENDPOINT: &str = "endpoint";
/// Index of devices: the identity that their machine reported.
pub(crate) const BY_IDENTITY: &str = "identity";
/// Index of devices: "namespace/order" of each order that one of their errors names.
pub(crate) const BY_ORDER: &str = "order";
/// Index of compensations and orders: "namespace/subscription".
pub(crate) const BY_SUBSCRIPTION: &str = "subscription";
/// Index of orders: the serial number of their machine.
pub(crate) const BY_SERIAL_NUMBER: &str = "serialNumber";
/// Index by the enrolment by which a device registered.
pub(crate) const BY_ENROLLMENT: &str = "enrollment";

/// Name of this component in /readyz.
const COMPONENT: &str = "caches";

/// Begins a task, each time that it is called.
type Task = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Every kind with conditions is named here and nowhere else.
macro_rules! each_with_conditions {
    ($act:ident) => {
        $act!(
            connections,
            models,
            services,
            texts,
            sites,
            devices,
            enrollments,
            contracts,
            amendments,
            notices,
            subscriptions,
            compensations,
            orders
        )
    };
}

/// The caches.
pub(crate) struct Objects {
    pub(crate) namespaces: Arc<Cache<Namespace>>,
    pub(crate) connections: Arc<Cache<Connection>>,
    pub(crate) models: Arc<Cache<DeviceModel>>,
    pub(crate) services: Arc<Cache<SmartService>>,
    pub(crate) texts: Arc<Cache<MessageText>>,
    pub(crate) sites: Arc<Cache<Site>>,
    pub(crate) devices: Arc<Cache<Device>>,
    pub(crate) enrollments: Arc<Cache<DeviceEnrollment>>,
    pub(crate) contracts: Arc<Cache<Contract>>,
    pub(crate) amendments: Arc<Cache<ContractAmendment>>,
    pub(crate) notices: Arc<Cache<ContractNotice>>,
    pub(crate) subscriptions: Arc<Cache<ServiceSubscription>>,
    pub(crate) compensations: Arc<Cache<Compensation>>,
    pub(crate) orders: Arc<Cache<SupplyOrder>>,
    pub(crate) twins: Arc<Cache<DeviceTwin>>,
}

impl Objects {
    pub(crate) fn new(context: &Context) -> Self {
        let metrics = || Arc::clone(&context.metrics);
        let catalogue = || vec![of_catalogue(context)];
        let served = || of_served(context);
        let devices = devices(context).brought_by(served());
        let (devices, sites) =
            devices_at_sites::joined(devices, sites(context).brought_by(served()));
        Self {
            namespaces: Arc::new(Cache::new(metrics())),
            connections: Arc::new(connections(context).brought_by(catalogue())),
            models: Arc::new(models(context).brought_by(catalogue())),
            services: Arc::new(services(context).brought_by(catalogue())),
            texts: Arc::new(texts(context).brought_by(catalogue())),
            sites,
            devices,
            enrollments: Arc::new(enrollments(context).brought_by(served())),
            contracts: Arc::new(contracts(context).brought_by(served())),
            amendments: Arc::new(amendments(context).brought_by(served())),
            notices: Arc::new(notices(context).brought_by(served())),
            subscriptions: Arc::new(subscriptions(context).brought_by(served())),
            compensations: Arc::new(compensations(context).brought_by(served())),
            orders: Arc::new(orders(context).brought_by(served())),
            twins: Arc::new(twins(context).brought_by(served())),
        }
    }

    /// Returns the objects that cannot be read, of those that objects of a namespace may refer to.
    pub(crate) fn unreadable(&self, namespace: &str) -> UnreadableObjects {
        let named = |kind, found: Vec<Arc<Unreadable>>| {
            let found = found.into_iter();
            found.map(move |object| (kind, object.key.name.clone()))
        };
        let here = |mut found: Vec<Arc<Unreadable>>| {
            found.retain(|object| object.key.namespace == namespace);
            found
        };
        named(Referent::Connection, self.connections.unreadable())
            .chain(named(Referent::DeviceModel, self.models.unreadable()))
            .chain(named(Referent::SmartService, self.services.unreadable()))
            .chain(named(Referent::Device, here(self.devices.unreadable())))
            .chain(named(Referent::Site, here(self.sites.unreadable())))
            .collect()
    }

    /// Starts the watches, and returns when every object was listed once, or at the shutdown.
    pub(crate) async fn start(&self, context: &Context, shutdown: &Shutdown) {
        context
            .readiness
            .set_missing(COMPONENT, vec!["objects are being listed".to_owned()]);
        macro_rules! describe {
            ($($cache:ident),+) => {
                $(
                    let cache: Weak<Cache<_>> = Arc::downgrade(&self.$cache);
                    context.metrics.describe(cache);
                )+
            };
        }
        each_with_conditions!(describe);
        let keep = keep(context, shutdown);
        macro_rules! start {
            ($($cache:ident),+) => {
                $(
                    for watched in self.$cache.watched() {
                        let (cache, client) = (Arc::clone(&self.$cache), context.client.clone());
                        let (watched, end) = (watched.clone(), shutdown.clone());
                        let what = format!("the watch of {}", watched.namespace);
                        keep(what.trim_end(), self.$cache.kind(), Box::new(move || {
                            let cache = Arc::clone(&cache);
                            Box::pin(cache.run(client.clone(), watched.clone(), end.clone()))
                        }));
                    }
                    let (cache, readiness, end) = (
                        Arc::clone(&self.$cache),
                        Arc::clone(&context.readiness),
                        shutdown.clone(),
                    );
                    keep("the readiness of the watch of", self.$cache.kind(), Box::new(move || {
                        let (cache, readiness) = (Arc::clone(&cache), Arc::clone(&readiness));
                        Box::pin(follow_watch(cache, readiness, end.clone()))
                    }));
                )+
            };
        }
        macro_rules! wait {
            ($($cache:ident),+) => {
                $(tokio::select! {
                    () = self.$cache.ready() => {}
                    () = shutdown.requested() => return,
                })+
            };
        }
        start!(namespaces, twins);
        each_with_conditions!(start);
        wait!(namespaces, twins);
        each_with_conditions!(wait);
        context.readiness.set_ready(COMPONENT);
    }

    /// Starts what writes into the status of objects that no controller can work on. Only the
    /// replica that leads calls it.
    pub(crate) fn report(&self, context: &Context, shutdown: &Shutdown) {
        let keep = keep(context, shutdown);
        macro_rules! tell {
            ($($cache:ident),+) => {
                $(
                    let parts = || (Arc::clone(&self.$cache), context.clone(), shutdown.clone());
                    let (cache, shared, end) = parts();
                    keep("the report of unreadable objects of", self.$cache.kind(), Box::new(move || {
                        let cache = Arc::clone(&cache);
                        Box::pin(unreadable::report(cache, shared.clone(), end.clone()))
                    }));
                    let (cache, shared, end) = parts();
                    keep("the report of internal errors of", self.$cache.kind(), Box::new(move || {
                        let cache = Arc::clone(&cache);
                        Box::pin(internal_errors::report(cache, shared.clone(), end.clone()))
                    }));
                )+
            };
        }
        each_with_conditions!(tell);
    }
}

/// Returns a function that keeps a task running, which serves the cache of a kind.
fn keep<'a>(context: &'a Context, shutdown: &'a Shutdown) -> impl Fn(&str, &str, Task) + 'a {
    move |what, kind, task| {
        keep_running(&context.liveness, shutdown, format!("{what} {kind}"), task);
    }
}

/// Says in /readyz that a watch fails, until it works again: the operator is blind meanwhile.
async fn follow_watch<K: Cached>(
    cache: Arc<Cache<K>>,
    readiness: Arc<Readiness>,
    shutdown: Shutdown,
) {
    let component = format!("watch of {}", cache.kind());
    let mut broken = cache.broken();
    loop {
        let lines = problems(&broken.borrow_and_update());
        readiness.set_missing(&component, lines);
        tokio::select! {
            changed = broken.changed() => if changed.is_err() { return },
            () = shutdown.requested() => return,
        }
    }
}

/// Returns a line for each namespace whose watch fails.
fn problems(broken: &BTreeMap<String, String>) -> Vec<String> {
    let line = |(namespace, problem): (&String, &String)| {
        let problem = Text::<253>::from(problem.clone());
        match &**namespace {
            "" => problem.to_string(),
            namespace => format!("in namespace {namespace}: {problem}"),
        }
    };
    broken.iter().map(line).collect()
}

/// Returns "namespace/name", the key in indexes of namespaced objects.
pub(crate) fn path(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Returns the Contract in the name of a subscription or of a Compensation.
pub(crate) fn contract_label(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

/// Returns the Device in the name of a subscription or of a Compensation.
pub(crate) fn device_label(name: &str) -> Option<&str> {
    name.split('.').nth(2)
}

/// Returns "contract.service" in the name of a subscription or of a Compensation, as
/// [`entry_of`] does of one that can be read.
pub(crate) fn entry_label(name: &str) -> Option<String> {
    let mut labels = name.split('.');
    let entry = labels.next().zip(labels.next());
    entry.map(|(contract, service)| format!("{contract}.{service}"))
}

/// Returns the watch of each kind of the catalogue.
fn of_catalogue(context: &Context) -> Watched {
    Watched {
        labels: context.options.selector.clone(),
        ..Watched::default()
    }
}

/// Returns the watches of each kind in namespaces: one for each that is served.
fn of_served(context: &Context) -> Vec<Watched> {
    let served = context.options.served.iter();
    let parts: Vec<Watched> = served
        .map(|namespace| Watched {
            namespace: namespace.clone(),
            ..Watched::default()
        })
        .collect();
    if parts.is_empty() {
        vec![Watched::default()]
    } else {
        parts
    }
}

fn connections(context: &Context) -> Cache<Connection> {
    Cache::new(Arc::clone(&context.metrics)).counted_by(inventory::of_connection)
}

fn models(context: &Context) -> Cache<DeviceModel> {
    Cache::new(Arc::clone(&context.metrics)).counted_by(conditions_of)
}

fn sites(context: &Context) -> Cache<Site> {
    Cache::new(Arc::clone(&context.metrics)).counted_by(conditions_of)
}

fn texts(context: &Context) -> Cache<MessageText> {
    Cache::new(Arc::clone(&context.metrics)).counted_by(conditions_of)
}

/// Returns the parts of an object in the gauges if only its conditions are counted.
fn conditions_of<K: Conditioned>(object: &K) -> Vec<inventory::Part> {
    inventory::of_conditions::<K>(K::said(object))
}

fn services(context: &Context) -> Cache<SmartService> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(conditions_of)
        .with_index(BY_CONNECTION, |service: &SmartService| {
            service.spec.connections().map(str::to_owned).collect()
        })
}

fn contracts(context: &Context) -> Cache<Contract> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(conditions_of)
        .with_index(BY_SERVICE, |contract: &Contract| {
            let entries = contract.spec.services.iter();
            entries
                .map(|entry| entry.service_ref.name.clone())
                .collect()
        })
        .with_index(BY_SUCCEEDS, |contract| {
            let namespace = contract.namespace().unwrap_or_default();
            let named = predecessor_of(contract).into_iter();
            named.map(|name| path(&namespace, name)).collect()
        })
}

fn devices(context: &Context) -> Cache<Device> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(conditions_of)
        .with_index(BY_MODEL, |device: &Device| {
            vec![device.spec.model_ref.name.clone()]
        })
        .with_index(BY_CONNECTION, |device| {
            device
                .spec
                .connections
                .iter()
                .map(|connection| connection.name.clone())
                .collect()
        })
        .with_index(BY_ORDER, |device| {
            let namespace = device.namespace().unwrap_or_default();
            let errors = device.status.iter().flat_map(|status| &status.errors);
            let orders = errors.filter_map(|error| error.order.as_ref());
            orders.map(|order| path(&namespace, &order.name)).collect()
        })
        .with_index(BY_ENDPOINT, endpoint_index)
        .with_index(BY_IDENTITY, |device| {
            let identities = known_identities(device).into_iter();
            identities.map(|identity| identity.to_string()).collect()
        })
}

fn amendments(context: &Context) -> Cache<ContractAmendment> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(conditions_of)
        // For people.
        .stored_as(|amendment: &mut ContractAmendment| amendment.metadata.labels = None)
        .with_index(BY_CONTRACT, |amendment| {
            vec![path(
                &amendment.namespace().unwrap_or_default(),
                &amendment.spec.contract_ref.name,
            )]
        })
        .with_index(BY_SERVICE, |amendment| {
            let changes = amendment.spec.services.iter();
            let services = changes.filter_map(|change| change.service_ref.as_ref());
            services.map(|service| service.name.clone()).collect()
        })
}

fn notices(context: &Context) -> Cache<ContractNotice> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(conditions_of)
        // For people.
        .stored_as(|notice: &mut ContractNotice| notice.metadata.labels = None)
        .with_index(BY_CONTRACT, |notice| {
            vec![path(
                &notice.namespace().unwrap_or_default(),
                &notice.spec.contract_ref.name,
            )]
        })
}

fn twins(context: &Context) -> Cache<DeviceTwin> {
    // Labels are for people.
    Cache::new(Arc::clone(&context.metrics))
        .stored_as(|twin: &mut DeviceTwin| twin.metadata.labels = None)
        .with_index(BY_ENROLLMENT, |twin| {
            let status = twin.status.as_ref();
            let registration = status.and_then(|status| status.registration.as_ref());
            let by = registration.map(|it| it.enrollment.as_str());
            let namespace = twin.namespace().unwrap_or_default();
            by.into_iter().map(|by| path(&namespace, by)).collect()
        })
}

fn enrollments(context: &Context) -> Cache<DeviceEnrollment> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(conditions_of)
        .with_index(BY_CONNECTION, |enrollment: &DeviceEnrollment| {
            vec![enrollment.spec.connection_ref.name.clone()]
        })
}

fn subscriptions(context: &Context) -> Cache<ServiceSubscription> {
    let revisions = Sharing::new();
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(inventory::of_subscription)
        .with_index(BY_DEVICE, |subscription: &ServiceSubscription| {
            vec![path(
                &subscription.namespace().unwrap_or_default(),
                &subscription.spec.device_ref.name,
            )]
        })
        // There is one subscription for each service of each device. Labels are for people.
        .stored_as(move |subscription| {
            subscription.metadata.labels = None;
            for revision in &mut subscription.spec.revisions {
                revisions.share(revision);
            }
        })
        .with_index(BY_CONTRACT, |subscription| {
            vec![path(
                &subscription.namespace().unwrap_or_default(),
                &subscription.spec.contract.name,
            )]
        })
        .with_index(BY_ENTRY, |subscription| {
            vec![path(
                &subscription.namespace().unwrap_or_default(),
                &entry_of(subscription),
            )]
        })
        .with_index(BY_SERVICE, |subscription| {
            let revisions = subscription.spec.revisions.iter();
            revisions
                .map(|revision| revision.service_ref.name.clone())
                .collect()
        })
        .with_index(BY_CONNECTION, |subscription| {
            let handles = handles_of(subscription).map(|it| it.connection_ref.name.clone());
            let names: BTreeSet<String> = handles.collect();
            names.into_iter().collect()
        })
}

fn compensations(context: &Context) -> Cache<Compensation> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(inventory::of_compensation)
        .with_index(BY_CONTRACT, |compensation: &Compensation| {
            vec![path(
                &compensation.namespace().unwrap_or_default(),
                &compensation.spec.record.contract.name,
            )]
        })
        // For people; records are kept for years.
        .stored_as(|compensation| compensation.metadata.labels = None)
        .with_index(BY_SUBSCRIPTION, |compensation| {
            vec![path(
                &compensation.namespace().unwrap_or_default(),
                &compensation.spec.record.subscription.name,
            )]
        })
        .with_index(BY_ENTRY, |compensation| {
            let record = &compensation.spec.record;
            let entry = format!("{}.{}", record.contract.name, record.service_name);
            vec![path(&compensation.namespace().unwrap_or_default(), &entry)]
        })
}

fn orders(context: &Context) -> Cache<SupplyOrder> {
    Cache::new(Arc::clone(&context.metrics))
        .counted_by(inventory::of_order)
        // For people; records are kept for years.
        .stored_as(|order: &mut SupplyOrder| order.metadata.labels = None)
        .with_index(BY_DEVICE, |order| {
            let namespace = order.namespace().unwrap_or_default();
            vec![path(&namespace, &order.spec.record.device.name)]
        })
        .with_index(BY_SERIAL_NUMBER, |order| {
            vec![order.spec.record.device.serial_number.clone()]
        })
        .with_index(BY_SUBSCRIPTION, |order| {
            let namespace = order.namespace().unwrap_or_default();
            vec![path(&namespace, &order.spec.record.subscription.name)]
        })
        .with_index(BY_CONNECTION, |order| {
            let open = is_open(order).then(|| order.spec.record.connection_ref.name.clone());
            open.into_iter().collect()
        })
}

/// Returns "contract.service", the key under which compensations of one entry are calculated one by
/// one.
pub(crate) fn entry_of(subscription: &ServiceSubscription) -> String {
    format!(
        "{}.{}",
        subscription.spec.contract.name, subscription.spec.service_name
    )
}
