//! The catalogue controller: Connection, DeviceModel, SmartService and MessageText.
//!
//! Probes brokers (by their catalog, for no subscription), counts users, keeps used objects from
//! being deleted, takes over orphans and removes them. It is the only writer of these kinds' status.

mod orphans;
mod probes;
mod triggers;
mod usage;

use std::{fmt, sync::Arc};

use entente_crds::{
    FINALIZER_IN_USE,
    condition::{ConditionType, Reason},
    v1alpha1::{Connection, DeviceModel, MessageText, Protocol, SmartService},
};
use entente_domain::{
    catalogue::{
        ObservedConnection, ObservedServer, Users, report_connection, report_model, report_service,
        report_text, texts_that_count,
    },
    condition::find,
    reconcile_wish::reconcile_wish,
    remote::{Catalog, Failure},
};
use entente_drivers::{ServiceDriver as _, profile::ConnectionProfile, service::ServerTarget};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, Resource as _, ResourceExt as _};

use crate::{
    broker_catalogs::BrokerCatalogs,
    cache::{Cache, Key},
    connection_profiles::ConnectionProfiles,
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    events::EventReason,
    objects::Objects,
    queue::{QueueKey, Requeue},
    status::{
        Conditioned, WriteError, Written, add_finalizer, has_finalizer, remove_finalizer,
        report_defect, report_until_written,
    },
};

use orphans::OrphanRemovals;
use probes::Probes;

/// The time between two probes of a broker that answers.
const PROBE: SignedDuration = SignedDuration::from_mins(10);

/// Object of the catalogue that a pass is about.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Subject {
    Connection(String),
    /// The orphans of a Connection.
    Orphans(String),
    Model(String),
    Service(String),
    Text(String),
}

impl QueueKey for Subject {
    fn namespace(&self) -> &'static str {
        ""
    }
}

/// The catalogue controller.
pub(crate) struct Catalogue {
    context: Context,
    objects: Arc<Objects>,
    profiles: Arc<ConnectionProfiles>,
    catalogs: Arc<BrokerCatalogs>,
    probes: Probes,
    orphans: OrphanRemovals,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(name) => write!(f, "Connection/{name}"),
            Self::Orphans(name) => write!(f, "Orphans/{name}"),
            Self::Model(name) => write!(f, "DeviceModel/{name}"),
            Self::Service(name) => write!(f, "SmartService/{name}"),
            Self::Text(name) => write!(f, "MessageText/{name}"),
        }
    }
}

impl Reconcile for Catalogue {
    const NAME: &'static str = "catalogue";
    type Key = Subject;

    fn object(&self, subject: &Subject) -> PassObject {
        let objects = &self.objects;
        match subject {
            Subject::Connection(name) | Subject::Orphans(name) => {
                PassObject::of(&objects.connections, Key::new("", name))
            }
            Subject::Model(name) => PassObject::of(&objects.models, Key::new("", name)),
            Subject::Service(name) => PassObject::of(&objects.services, Key::new("", name)),
            Subject::Text(name) => PassObject::of(&objects.texts, Key::new("", name)),
        }
    }

    fn watch(&self, watches: &Watches<Self>) {
        let objects = &self.objects;
        watches.cache(&objects.connections, triggers::connection);
        watches.cache(&objects.models, triggers::model);
        watches.cache(&objects.services, triggers::service);
        watches.cache(&objects.texts, triggers::text);
        watches.cache(&objects.devices, triggers::device);
        watches.cache(&objects.subscriptions, triggers::subscription);
        watches.channel(self.orphans.subscribe(), triggers::answered);
        watches.channel(self.catalogs.subscribe_from_first(), triggers::catalog);
        let connections = objects.connections.subscribe_unreadable();
        watches.channel(connections, triggers::unreadable_connection);
        for unreadable in [
            objects.models.subscribe_unreadable(),
            objects.services.subscribe_unreadable(),
            objects.devices.subscribe_unreadable(),
            objects.sites.subscribe_unreadable(),
            objects.subscriptions.subscribe_unreadable(),
        ] {
            watches.channel(unreadable, triggers::unreadable_user);
        }
    }

    async fn reconcile(&self, subject: &Subject) -> Result<Option<Requeue>, Failed> {
        let wake = match subject {
            Subject::Connection(name) => self.connection(name).await?,
            Subject::Orphans(name) => self.orphans(name).await?,
            Subject::Model(name) => self.model(name).await.map(|()| None)?,
            Subject::Service(name) => self.service(name).await.map(|()| None)?,
            Subject::Text(name) => self.text(name).await.map(|()| None)?,
        };
        Ok(wake.map(Requeue::At))
    }

    async fn report_defect(&self, subject: &Subject, defect: &Defect) {
        match subject {
            Subject::Connection(name) | Subject::Orphans(name) => {
                self.say_defect(&self.objects.connections, name, defect)
                    .await;
            }
            Subject::Model(name) => self.say_defect(&self.objects.models, name, defect).await,
            Subject::Service(name) => self.say_defect(&self.objects.services, name, defect).await,
            Subject::Text(name) => self.say_defect(&self.objects.texts, name, defect).await,
        }
    }

    fn next_instant(&self, subject: &Subject) -> Option<Timestamp> {
        match subject {
            Subject::Connection(name) => {
                self.objects.connections.get(&Key::new("", name))?;
                self.probes.next(name, self.context.clock.now())
            }
            Subject::Orphans(name) => self.next_removal(name),
            Subject::Model(_) | Subject::Service(_) | Subject::Text(_) => None,
        }
    }
}

impl Catalogue {
    pub(crate) fn new(
        context: Context,
        objects: Arc<Objects>,
        profiles: Arc<ConnectionProfiles>,
        catalogs: Arc<BrokerCatalogs>,
    ) -> Self {
        Self {
            context,
            objects,
            profiles,
            catalogs,
            probes: Probes::default(),
            orphans: OrphanRemovals::default(),
        }
    }

    async fn say_defect<K>(&self, cache: &Cache<K>, name: &str, defect: &Defect)
    where
        K: Conditioned + kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>,
    {
        let api: Api<K> = Api::all(self.context.client.clone());
        let now = self.context.clock.now();
        report_defect(&api, cache, &Key::new("", name), defect, now).await;
    }

    async fn connection(&self, name: &str) -> Result<Option<Timestamp>, Failed> {
        let cache = &self.objects.connections;
        let Some(connection) = cache.get(&Key::new("", name)) else {
            self.probes.forget(name);
            self.orphans.forget(name);
            self.context.metrics.orphans(name, None);
            return Ok(None);
        };
        let now = self.context.clock.now();
        let generation = connection.metadata.generation;
        let asked_to_wait = self.probes.asked_to_wait(name, url(&connection), now);
        let mut users = usage::of_connection(&self.objects, name);
        // Before the broker is asked, which may take its time: first instances wait for this.
        let held = self.hold(cache, name, &mut users).await;
        let mut observed = ObservedConnection {
            users,
            instances: usage::of_instances(&self.objects, name),
            wish: reconcile_wish(&*connection),
            is_held_back: asked_to_wait.is_some(),
            ..ObservedConnection::default()
        };
        let profile = self.profiles.probe_profile(&connection, now).await;
        if let Ok(profile) = &profile {
            observed.warnings.clone_from(&profile.warnings);
        }
        match profile {
            Err(fault) => observed.fault = Some(fault),
            Ok(profile) if connection.spec.protocol == Protocol::OSB && asked_to_wait.is_none() => {
                let answer = self.probe(name, &target(&connection, profile)).await;
                self.orphans.probed(name, answer.as_ref().ok().cloned());
                observed.odd = answer
                    .as_ref()
                    .map_or_else(|_| Vec::new(), |it| it.odd.clone());
                observed.probe = Some(answer.map(|_| ()));
            }
            Ok(_) => {
                let failure = asked_to_wait.as_ref().map(|(failure, _)| failure.clone());
                observed.probe = failure.map(Err);
            }
        }
        let now = self.context.clock.now();
        let failed = matches!(observed.probe, Some(Err(_)));
        observed.keeps_words = failed && self.probes.keeps_words(name, now);
        let before = cache
            .get(&Key::new("", name))
            .unwrap_or_else(|| connection.clone());
        let written = self
            .write(cache, name, |object| {
                // What was observed is of the spec that was probed; an edit has woken the key.
                let is_probed = object.metadata.generation == generation;
                is_probed.then(|| report_connection(object, &observed, now))
            })
            .await;
        // Whatever became of its status.
        let released = self.release(cache, name, &observed.users).await;
        self.say_orphans(name, &before);
        // What it refers to may change before the broker may be asked again.
        let look = |(_, until): (Failure, Timestamp)| now.checked_add(PROBE).ok().min(Some(until));
        let look = asked_to_wait.and_then(look);
        // The answer is remembered, whatever became of the writes: with it a wait that the broker
        // asked for.
        let at = look.or_else(|| self.next_probe(&connection, &observed, now));
        let written = written.and(held).and(released);
        written.map_err(|error| Failed { error, at })?;
        Ok(at)
    }

    /// Returns the time of the next probe, and tells of odd entries in the catalog.
    fn next_probe(
        &self,
        connection: &Connection,
        observed: &ObservedConnection,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let name = connection.name_any();
        match &observed.probe {
            _ if observed.fault.is_some() => self.probes.failed(&name, now),
            Some(Err(failure)) => self.probes.refused(&name, failure, url(connection), now),
            Some(Ok(())) => {
                if self.probes.answered(&name, &observed.odd) && !observed.odd.is_empty() {
                    let note = format!("The catalog has odd entries: {}.", observed.odd.join("; "));
                    let regarding = connection.object_ref(&());
                    let reason = EventReason::CatalogEntryUnusable;
                    self.context.events.publish(&regarding, reason, note, None);
                }
                now.checked_add(PROBE).ok()
            }
            // No event tells that a Secret or a ConfigMap was corrected or removed.
            None if refers_to_others(connection) => now.checked_add(PROBE).ok(),
            None => None,
        }
    }

    async fn probe(&self, name: &str, target: &ServerTarget) -> Result<Arc<Catalog>, Failure> {
        let result = self.context.brokers.catalog(target).await;
        let catalog = Arc::new(result?);
        self.catalogs.keep(name, &catalog, self.context.clock.now());
        Ok(catalog)
    }

    async fn model(&self, name: &str) -> Result<(), WriteError> {
        let mut users = usage::of_model(&self.objects, name);
        let now = self.context.clock.now();
        let cache: &Arc<Cache<DeviceModel>> = &self.objects.models;
        let held = self.hold(cache, name, &mut users).await;
        let written = self
            .write(cache, name, |object| {
                Some(report_model(object, &users, now))
            })
            .await;
        let released = self.release(cache, name, &users).await;
        written.and(held).and(released)
    }

    async fn service(&self, name: &str) -> Result<(), WriteError> {
        let mut users = usage::of_service(&self.objects, name);
        let now = self.context.clock.now();
        let cache: &Arc<Cache<SmartService>> = &self.objects.services;
        let held = self.hold(cache, name, &mut users).await;
        let written = self.write(cache, name, |object| {
            let server = object.spec.server.as_ref();
            let name = server.map_or("", |server| &*server.connection_ref.name);
            let connections = &self.objects.connections;
            let connection = connections.get(&Key::new("", name));
            let data = object.spec.data.as_ref();
            let data = data.and_then(|it| connections.get(&Key::new("", &*it.connection_ref.name)));
            let orders = object.spec.orders.as_ref();
            let orders =
                orders.and_then(|it| connections.get(&Key::new("", &*it.connection_ref.name)));
            let catalog = self.catalogs.last(name, now);
            let server = ObservedServer {
                connection: connection.as_deref(),
                data: data.as_deref(),
                orders: orders.as_deref(),
                catalog: catalog.as_deref(),
            };
            let unreadable = self.objects.unreadable("");
            Some(report_service(object, server, &unreadable, &users, now))
        });
        let written = written.await;
        let released = self.release(cache, name, &users).await;
        written.and(held).and(released)
    }

    async fn text(&self, name: &str) -> Result<(), WriteError> {
        let now = self.context.clock.now();
        let cache: &Arc<Cache<MessageText>> = &self.objects.texts;
        self.write(cache, name, |object| {
            let r#type = &object.spec.error_type;
            let counting = texts_that_count(self.objects.texts.all());
            let elder = counting.get(r#type).map(|it| it.name_any());
            let elder = elder.filter(|elder| elder != name);
            let models = self.objects.models.all().into_iter();
            let has_the_type =
                |it: &Arc<DeviceModel>| it.spec.errors.iter().any(|error| error.r#type == *r#type);
            let used_by = models.filter(has_the_type).count();
            Some(report_text(object, elder.as_deref(), used_by, now))
        })
        .await
    }

    async fn write<K>(
        &self,
        cache: &Cache<K>,
        name: &str,
        decide: impl Fn(&K) -> Option<K::Status>,
    ) -> Result<(), WriteError>
    where
        K: Conditioned + kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>,
    {
        let key = Key::new("", name);
        if cache.get(&key).is_none() {
            return Ok(());
        }
        let api: Api<K> = Api::all(self.context.client.clone());
        let now = self.context.clock.now();
        let before = cache.get(&key);
        let written = report_until_written(&api, cache, &key, now, decide).await;
        self.say_wait(before.as_deref(), cache.get(&key).as_deref());
        written.map(|_| ())
    }

    /// Publishes that an object which is being deleted begins to wait for its users.
    fn say_wait<K>(&self, before: Option<&K>, after: Option<&K>)
    where
        K: Conditioned + kube::Resource<DynamicType = ()>,
    {
        let wait = |object: Option<&K>| {
            let ready = find(K::said(object?), ConditionType::Ready)?;
            (ready.reason == Reason::InUse.as_str()).then(|| ready.message.to_string())
        };
        let (None, Some(note), Some(after)) = (wait(before), wait(after), after) else {
            return;
        };
        let regarding = after.object_ref(&());
        let events = &self.context.events;
        events.publish(&regarding, EventReason::InUse, note, None);
    }

    /// Adds the finalizer to an object that is used, and notes the error if that is refused.
    async fn hold<K>(
        &self,
        cache: &Cache<K>,
        name: &str,
        users: &mut Users,
    ) -> Result<(), WriteError>
    where
        K: Written + kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>,
    {
        let Some(object) = writable(cache, name).filter(|_| users.is_some()) else {
            return Ok(());
        };
        let is_deleted = object.meta().deletion_timestamp.is_some();
        if is_deleted || has_finalizer(&*object, FINALIZER_IN_USE) {
            return Ok(());
        }
        let api: Api<K> = Api::all(self.context.client.clone());
        let held = kept(cache, add_finalizer(&api, &*object, FINALIZER_IN_USE).await);
        if let Err(error) = &held
            && !matches!(error, WriteError::Conflict { .. })
        {
            users.unprotected = Some(error.to_string());
        }
        held
    }

    /// Removes the finalizer from an object that is not used.
    async fn release<K>(
        &self,
        cache: &Cache<K>,
        name: &str,
        users: &Users,
    ) -> Result<(), WriteError>
    where
        K: Written + kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>,
    {
        let is_unused = !users.is_some() && users.unreadable.is_empty();
        let object = writable(cache, name).filter(|_| is_unused);
        let Some(object) = object.filter(|it| has_finalizer(&**it, FINALIZER_IN_USE)) else {
            return Ok(());
        };
        let api: Api<K> = Api::all(self.context.client.clone());
        kept(
            cache,
            remove_finalizer(&api, &*object, FINALIZER_IN_USE).await,
        )
    }
}

/// Returns an object whose newest version can be read.
fn writable<K: Written>(cache: &Cache<K>, name: &str) -> Option<Arc<K>> {
    let key = Key::new("", name);
    cache.get(&key).filter(|_| !cache.is_unreadable(&key))
}

/// Puts what was written into the cache; an object that is gone needs no finalizer.
fn kept<K: Written>(cache: &Cache<K>, written: Result<K, WriteError>) -> Result<(), WriteError> {
    match written {
        Ok(written) => {
            cache.put_written(written);
            Ok(())
        }
        Err(WriteError::Gone { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns the broker of a Connection, for requests on behalf of no subscription.
fn target(connection: &Connection, profile: Arc<ConnectionProfile>) -> ServerTarget {
    ServerTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile,
        url: url(connection).to_owned(),
    }
}

/// Returns the URL of the broker of a Connection; nothing if it has none.
fn url(connection: &Connection) -> &str {
    let broker = connection.spec.osb.as_ref();
    broker.map_or("", |broker| &broker.url)
}

/// True if a Connection refers to a Secret or a ConfigMap.
fn refers_to_others(connection: &Connection) -> bool {
    let spec = &connection.spec;
    let authorities = spec
        .tls
        .as_ref()
        .and_then(|it| it.ca_config_map_ref.as_ref());
    let login = spec.credentials.as_ref();
    let login = login.and_then(|it| it.secret_ref.as_ref());
    authorities.is_some() || login.is_some()
}

#[cfg(test)]
mod tests;
