//! The caches of the gateway, with the indexes that it uses.
//!
//! Objects are kept without what the gateway never reads. Decides nothing. Read by every request.

use std::sync::Arc;

use entente_controllers::{
    cache::{Cache, Cached, Key, Sharing, Watched},
    devices_at_sites,
    liveness::keep_running,
    metrics::Metrics,
    shutdown::Shutdown,
};
use entente_crds::{
    ANNOTATION_REREGISTER,
    condition::ConditionType,
    v1alpha1::{
        Connection, Device, DeviceEnrollment, DeviceModel, DeviceSide, DeviceStatus, DeviceTwin,
        ServiceSubscription, Site, SiteSpec, SmartService, SmartServiceSpec,
    },
};
use entente_domain::gateway::admission::is_withdrawn;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

use crate::Parts;

/// Index of devices: "namespace/serial number".
pub(crate) const BY_SERIAL_NUMBER: &str = "serial number";
/// Index of twins: the SHA-256 of each token that may count.
pub(crate) const BY_TOKEN: &str = "token";
/// Index of twins: "namespace/enrolment" by which a device is registered.
pub(crate) const BY_ENROLLMENT: &str = "enrolment";
/// Index of twins: "namespace/enrolment" by which a device waits.
pub(crate) const BY_WAITING: &str = "waiting";
/// Index of subscriptions: "namespace/device".
pub(crate) const BY_DEVICE: &str = "device";

/// Every cache is named here and nowhere else.
macro_rules! each {
    ($act:ident) => {
        $act!(
            namespaces,
            connections,
            models,
            services,
            sites,
            devices,
            enrollments,
            twins,
            subscriptions
        )
    };
}
pub(crate) use each;

/// The caches.
pub(crate) struct Objects {
    pub(crate) namespaces: Arc<Cache<Namespace>>,
    pub(crate) connections: Arc<Cache<Connection>>,
    pub(crate) models: Arc<Cache<DeviceModel>>,
    pub(crate) services: Arc<Cache<SmartService>>,
    pub(crate) sites: Arc<Cache<Site>>,
    pub(crate) devices: Arc<Cache<Device>>,
    pub(crate) enrollments: Arc<Cache<DeviceEnrollment>>,
    pub(crate) twins: Arc<Cache<DeviceTwin>>,
    pub(crate) subscriptions: Arc<Cache<ServiceSubscription>>,
}

/// Returns "namespace/name", the key in indexes.
pub(crate) fn path(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl Objects {
    pub(crate) fn new(parts: &Parts) -> Self {
        let metrics = &parts.metrics;
        let served = || of_served(&parts.options.served);
        let devices = devices(metrics).brought_by(served());
        let (devices, sites) =
            devices_at_sites::joined(devices, sites(metrics).brought_by(served()));
        Self {
            namespaces: Arc::new(of_cluster(metrics)),
            connections: Arc::new(of_cluster(metrics)),
            models: Arc::new(of_cluster(metrics)),
            services: Arc::new(services(metrics)),
            sites,
            devices,
            enrollments: Arc::new(of_cluster(metrics).brought_by(served())),
            twins: Arc::new(twins(metrics).brought_by(served())),
            subscriptions: Arc::new(subscriptions(metrics).brought_by(served())),
        }
    }

    /// Starts the watches.
    pub(crate) fn start(&self, parts: &Parts, shutdown: &Shutdown) {
        macro_rules! start {
            ($($cache:ident),+) => {
                $(
                    for watched in self.$cache.watched() {
                        let (cache, client) = (Arc::clone(&self.$cache), parts.client.clone());
                        let (watched, end) = (watched.clone(), shutdown.clone());
                        let name = format!("the watch of {}", cache.kind());
                        keep_running(&parts.liveness, shutdown, name, move || {
                            Arc::clone(&cache).run(client.clone(), watched.clone(), end.clone())
                        });
                    }
                )+
            };
        }
        each!(start);
    }

    /// Waits until every object was listed once.
    pub(crate) async fn ready(&self) {
        macro_rules! wait {
            ($($cache:ident),+) => { $(self.$cache.ready().await;)+ };
        }
        each!(wait);
    }

    /// True if every object was listed once.
    pub(crate) fn are_ready(&self) -> bool {
        macro_rules! ask {
            ($($cache:ident),+) => { [$(self.$cache.is_ready()),+] };
        }
        each!(ask).into_iter().all(|is_ready| is_ready)
    }
}

/// Returns the watches of a kind in namespaces: one for each that is served.
fn of_served(served: &[String]) -> Vec<Watched> {
    if served.is_empty() {
        return vec![Watched::default()];
    }
    let watched = |namespace: &String| Watched {
        namespace: namespace.clone(),
        ..Watched::default()
    };
    served.iter().map(watched).collect()
}

fn of_cluster<K: Cached>(metrics: &Arc<Metrics>) -> Cache<K> {
    Cache::new(Arc::clone(metrics))
}

fn services(metrics: &Arc<Metrics>) -> Cache<SmartService> {
    of_cluster(metrics).stored_as(|service: &mut SmartService| {
        let spec = std::mem::take(&mut service.spec);
        service.spec = SmartServiceSpec {
            provider: spec.provider,
            description: spec.description,
            activation: spec.activation,
            data: spec.data,
            exclusive_group: spec.exclusive_group,
            device: spec.device.map(|side| DeviceSide {
                settings: Vec::new(),
                ..side
            }),
            ..SmartServiceSpec::default()
        };
        service.status = None;
    })
}

fn sites(metrics: &Arc<Metrics>) -> Cache<Site> {
    of_cluster(metrics).stored_as(|site: &mut Site| {
        site.metadata.labels = None;
        site.metadata.annotations = None;
        site.spec = SiteSpec {
            connections: std::mem::take(&mut site.spec.connections),
            ..SiteSpec::default()
        };
        site.status = None;
    })
}

fn devices(metrics: &Arc<Metrics>) -> Cache<Device> {
    of_cluster(metrics)
        .stored_as(|device: &mut Device| {
            device.metadata.labels = None;
            let annotations = device.metadata.annotations.iter_mut();
            for annotations in annotations {
                annotations.retain(|name, _| name == ANNOTATION_REREGISTER);
            }
            device.status = device.status.take().map(|status| DeviceStatus {
                local_enablement: status.local_enablement,
                exclusive: status.exclusive,
                ..DeviceStatus::default()
            });
        })
        .with_index(BY_SERIAL_NUMBER, |device: &Device| {
            let namespace = device.namespace().unwrap_or_default();
            vec![path(&namespace, &device.spec.serial_number)]
        })
}

fn twins(metrics: &Arc<Metrics>) -> Cache<DeviceTwin> {
    of_cluster(metrics)
        .stored_as(|twin: &mut DeviceTwin| twin.metadata.labels = None)
        .with_index(BY_TOKEN, |twin: &DeviceTwin| {
            let credential = twin.status.as_ref().and_then(|it| it.credential.as_ref());
            let tokens = credential.into_iter().flat_map(|credential| {
                let previous = credential.previous_sha256.clone();
                [Some(credential.sha256.clone()), previous]
            });
            tokens.flatten().collect()
        })
        .with_index(BY_ENROLLMENT, |twin| of_enrollment(twin, false))
        .with_index(BY_WAITING, |twin| of_enrollment(twin, true))
}

/// Returns the enrolment of a twin whose device waits, or is registered. One whose consent was withdrawn
/// takes no place.
fn of_enrollment(twin: &DeviceTwin, is_waiting: bool) -> Vec<String> {
    let registration = twin.status.as_ref().and_then(|it| it.registration.as_ref());
    let counted = registration.filter(|registration| {
        registration.printer_id.is_none() == is_waiting && !is_withdrawn(registration)
    });
    let namespace = twin.namespace().unwrap_or_default();
    let counted = counted.into_iter();
    counted
        .map(|registration| path(&namespace, &registration.enrollment))
        .collect()
}

fn subscriptions(metrics: &Arc<Metrics>) -> Cache<ServiceSubscription> {
    let revisions = Sharing::new();
    of_cluster(metrics)
        .stored_as(move |subscription: &mut ServiceSubscription| {
            subscription.metadata.labels = None;
            for revision in &mut subscription.spec.revisions {
                revisions.share(revision);
            }
            let Some(status) = subscription.status.take() else {
                return;
            };
            let mut kept = entente_crds::v1alpha1::ServiceSubscriptionStatus {
                ended: status.ended,
                promises: status.promises,
                conditions: status.conditions,
                activation: status.activation,
                server: status.server,
                ..Default::default()
            };
            let told = [ConditionType::Delivered, ConditionType::Activated];
            kept.conditions
                .retain(|it| told.iter().any(|told| it.type_ == told.as_str()));
            for promise in &mut kept.promises {
                promise.delays = Vec::new();
                promise.emitted = Vec::new();
            }
            subscription.status = Some(kept);
        })
        .with_index(BY_DEVICE, |subscription: &ServiceSubscription| {
            let namespace = subscription.namespace().unwrap_or_default();
            vec![path(&namespace, &subscription.spec.device_ref.name)]
        })
}

/// Returns the key of the Device of a subscription.
pub(crate) fn device_of(subscription: &ServiceSubscription) -> Key {
    let namespace = subscription.namespace().unwrap_or_default();
    Key::new(namespace, &*subscription.spec.device_ref.name)
}
