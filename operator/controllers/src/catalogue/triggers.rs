//! The changes after which an object of the catalogue is reconciled again.
//!
//! A change by others of a status or of the finalizers is one of them: it is put right. Numbers of
//! users may lag: they are gathered for a while, so that applying a fleet does not write one status
//! per device. Only the first user of an object is counted at once, since it protects the object.

use std::{collections::BTreeSet, time::Duration};

use entente_crds::{
    ANNOTATION_FORGET_ORPHAN, FINALIZER_IN_USE,
    v1alpha1::{
        Connection, Device, DeviceModel, MessageText, ServerInstance, ServiceSubscription,
        SmartService,
    },
};
use entente_domain::{
    delivery::{handles_of, may_exist},
    gateway::artifacts::leads_to_file_of,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Catalogue, Subject, usage};
use crate::{
    cache::{Change, Key, UnreadableChange},
    objects::BY_CONNECTION,
    queue::Queue,
    status::has_finalizer,
    triggers::{differs, spec_differs},
};

/// Time for which changes of users are gathered.
const GATHER: Duration = Duration::from_secs(5);

pub(super) fn connection(
    catalogue: &Catalogue,
    queue: &Queue<Subject>,
    change: &Change<Connection>,
) {
    let name = &change.key.name;
    if differs(change, listed_orphans) && change.new.as_ref().is_some_and(|it| has_orphans(it)) {
        queue.add(Subject::Orphans(name.clone()));
    }
    let forget = |it: &Connection| it.annotations().get(ANNOTATION_FORGET_ORPHAN).cloned();
    if differs(change, forget) {
        queue.add(Subject::Connection(name.clone()));
    }
    if spec_differs(change) {
        queue.add(Subject::Connection(name.clone()));
        services_of(catalogue, queue, name);
    } else if change.by_others {
        queue.add(Subject::Connection(change.key.name.clone()));
    }
}

/// Wakes the services whose offering is in a catalog that is another one than before.
#[allow(
    clippy::ptr_arg,
    reason = "the shell hands over what the channel carries"
)]
pub(super) fn catalog(catalogue: &Catalogue, queue: &Queue<Subject>, connection: &String) {
    services_of(catalogue, queue, connection);
}

fn services_of(catalogue: &Catalogue, queue: &Queue<Subject>, connection: &str) {
    let services = &catalogue.objects.services;
    for service in services.by_index(BY_CONNECTION, connection) {
        queue.add(Subject::Service(service.name_any()));
    }
}

/// Returns the parts of a list of orphans on which the attempts to remove them depend.
fn listed_orphans(connection: &Connection) -> Vec<(String, Timestamp, bool, bool, bool)> {
    let orphans = connection.status.iter().flat_map(|it| &it.orphans);
    let wish = connection.annotations().get(ANNOTATION_FORGET_ORPHAN);
    orphans
        .map(|it| {
            let (is_removed, is_gone) = (it.removal.is_some(), it.gone.is_some());
            let id = it.instance_id.clone();
            (id, it.since, is_removed, is_gone, wish.is_some())
        })
        .collect()
}

fn has_orphans(connection: &Connection) -> bool {
    let mut orphans = connection.status.iter().flat_map(|it| &it.orphans);
    orphans.any(|orphan| orphan.gone.is_none())
}

/// Wakes the orphans of a Connection whose broker answers.
#[allow(
    clippy::ptr_arg,
    reason = "the shell hands over what the channel carries"
)]
pub(super) fn answered(catalogue: &Catalogue, queue: &Queue<Subject>, name: &String) {
    let found = catalogue.objects.connections.get(&Key::new("", name));
    if found.is_some_and(|found| has_orphans(&found)) {
        queue.add(Subject::Orphans(name.clone()));
    }
}

/// Wakes the orphans whose id a subscription comes to hold or to let go of.
fn held_orphans(
    catalogue: &Catalogue,
    queue: &Queue<Subject>,
    change: &Change<ServiceSubscription>,
) {
    let connections = catalogue.objects.connections.all();
    let with_orphans: Vec<_> = connections.iter().filter(|it| has_orphans(it)).collect();
    if with_orphans.is_empty() {
        return;
    }
    let part = |it: &ServiceSubscription| {
        let meta = &it.metadata;
        let deleted = meta.deletion_timestamp.clone();
        (meta.uid.clone(), meta.generation, deleted, handles(it))
    };
    if !differs(change, part) {
        return;
    }
    let versions = [&change.old, &change.new].into_iter().flatten();
    let ids: BTreeSet<String> = versions.flat_map(|it| usage::instance_ids(it)).collect();
    for connection in with_orphans {
        let mut orphans = connection.status.iter().flat_map(|it| &it.orphans);
        if orphans.any(|orphan| ids.contains(&orphan.instance_id)) {
            queue.add(Subject::Orphans(connection.name_any()));
        }
    }
}

/// The instance of a subscription, as far as the list of orphans of its Connection depends on it.
#[derive(PartialEq)]
struct Handle {
    connection: String,
    instance: String,
    orphaned: Option<Timestamp>,
    /// True if it is not given up, and may exist.
    is_in_service: bool,
}

fn handles(subscription: &ServiceSubscription) -> Vec<Handle> {
    handles_of(subscription).map(handle_of).collect()
}

fn handle_of(handle: &ServerInstance) -> Handle {
    Handle {
        connection: handle.connection_ref.name.clone(),
        instance: handle.instance_id.clone(),
        orphaned: handle.orphaned,
        is_in_service: handle.orphaned.is_none() && may_exist(handle),
    }
}

pub(super) fn model(catalogue: &Catalogue, queue: &Queue<Subject>, change: &Change<DeviceModel>) {
    if spec_differs(change) || change.by_others {
        queue.add(Subject::Model(change.key.name.clone()));
    }
    if !spec_differs(change) {
        return;
    }
    let versions = || [&change.old, &change.new].into_iter().flatten();
    let types = versions().flat_map(|model| &model.spec.errors);
    let types: BTreeSet<&str> = types.map(|error| error.r#type.as_str()).collect();
    texts_of(catalogue, queue, &types);
    for connection in catalogue.objects.connections.all() {
        if versions().any(|model| leads_to_file_of(&connection, model)) {
            let name = connection.name_any();
            count_users(catalogue, queue, Subject::Connection(name));
        }
    }
}

/// Wakes the text that changed, and those for the same type of error: which of them counts may have changed.
pub(super) fn text(catalogue: &Catalogue, queue: &Queue<Subject>, change: &Change<MessageText>) {
    if spec_differs(change) || change.by_others {
        queue.add(Subject::Text(change.key.name.clone()));
    }
    if spec_differs(change) {
        let versions = [&change.old, &change.new].into_iter().flatten();
        let types = versions.map(|text| text.spec.error_type.as_str()).collect();
        texts_of(catalogue, queue, &types);
    }
}

fn texts_of(catalogue: &Catalogue, queue: &Queue<Subject>, types: &BTreeSet<&str>) {
    for text in catalogue.objects.texts.all() {
        if types.contains(text.spec.error_type.as_str()) {
            queue.add_after(Subject::Text(text.name_any()), GATHER);
        }
    }
}

pub(super) fn service(_: &Catalogue, queue: &Queue<Subject>, change: &Change<SmartService>) {
    if spec_differs(change) {
        queue.add(Subject::Service(change.key.name.clone()));
        let versions = [&change.old, &change.new].into_iter().flatten();
        for name in versions.flat_map(|version| version.spec.connections()) {
            queue.add_after(Subject::Connection(name.to_owned()), GATHER);
        }
    } else if change.by_others {
        queue.add(Subject::Service(change.key.name.clone()));
    }
}

pub(super) fn device(catalogue: &Catalogue, queue: &Queue<Subject>, change: &Change<Device>) {
    if !differs(change, |device| {
        (
            device.uid(),
            device.spec.model_ref.clone(),
            device.spec.connections.clone(),
        )
    }) {
        return;
    }
    for device in [&change.old, &change.new].into_iter().flatten() {
        let model = device.spec.model_ref.name.clone();
        count_users(catalogue, queue, Subject::Model(model));
        for connection in &device.spec.connections {
            count_users(
                catalogue,
                queue,
                Subject::Connection(connection.name.clone()),
            );
        }
    }
}

pub(super) fn subscription(
    catalogue: &Catalogue,
    queue: &Queue<Subject>,
    change: &Change<ServiceSubscription>,
) {
    held_orphans(catalogue, queue, change);
    if differs(change, handles) {
        // A removed one counts, too: it held the Connection, whatever its service names now.
        let versions = [&change.old, &change.new].into_iter().flatten();
        for handle in versions.flat_map(|version| handles(version)) {
            let name = handle.connection;
            if handle.orphaned.is_some() || is_orphan(catalogue, &name, &handle.instance) {
                queue.add(Subject::Connection(name));
            } else if !names_the_connection(catalogue, change, &name) {
                count_users(catalogue, queue, Subject::Connection(name));
            }
        }
    }
    let services = |subscription: &ServiceSubscription| {
        let revisions = subscription.spec.revisions.iter();
        revisions
            .map(|revision| revision.service_ref.name.clone())
            .collect::<BTreeSet<_>>()
    };
    if differs(change, services) {
        for name in [&change.old, &change.new]
            .into_iter()
            .flatten()
            .flat_map(|s| services(s))
        {
            used_service(catalogue, queue, name);
        }
    }
}

/// True if the service of a subscription names a Connection, so that the subscription is counted
/// there whether it has an instance or not.
fn names_the_connection(
    catalogue: &Catalogue,
    change: &Change<ServiceSubscription>,
    connection: &str,
) -> bool {
    let mut revisions = change.new.iter().flat_map(|it| &it.spec.revisions);
    revisions.any(|revision| {
        let key = Key::new("", revision.service_ref.name.clone());
        let service = catalogue.objects.services.get(&key);
        service.is_some_and(|it| it.spec.connections().any(|name| name == connection))
    })
}

/// Wakes the services that name a Connection which cannot be read, or is no more so.
pub(super) fn unreadable_connection(
    catalogue: &Catalogue,
    queue: &Queue<Subject>,
    change: &UnreadableChange,
) {
    let services = &catalogue.objects.services;
    for service in services.by_index(crate::objects::BY_CONNECTION, &change.object.key.name) {
        queue.add(Subject::Service(service.name_any()));
    }
}

/// Wakes everything that a user may have held that could not be read and is gone.
pub(super) fn unreadable_user(
    catalogue: &Catalogue,
    queue: &Queue<Subject>,
    change: &UnreadableChange,
) {
    if !change.is_over {
        return;
    }
    let objects = &catalogue.objects;
    let connections = objects.connections.all().into_iter();
    let connections = connections.map(|it| Subject::Connection(it.name_any()));
    let models = objects.models.all().into_iter();
    let models = models.map(|it| Subject::Model(it.name_any()));
    let services = objects.services.all().into_iter();
    let services = services.map(|it| Subject::Service(it.name_any()));
    for subject in connections.chain(models).chain(services) {
        queue.add_after(subject, GATHER);
    }
}

/// True if a Connection lists an instance as an orphan.
fn is_orphan(catalogue: &Catalogue, connection: &str, instance: &str) -> bool {
    let found = catalogue.objects.connections.get(&Key::new("", connection));
    let orphans = found
        .iter()
        .flat_map(|found| &found.status)
        .flat_map(|it| &it.orphans);
    orphans
        .into_iter()
        .any(|orphan| orphan.instance_id == instance)
}

/// Wakes a service that got or lost a user, and the Connections that it names.
fn used_service(catalogue: &Catalogue, queue: &Queue<Subject>, name: String) {
    let service = catalogue.objects.services.get(&Key::new("", name.clone()));
    for connection in service.iter().flat_map(|it| it.spec.connections()) {
        let connection = Subject::Connection(connection.to_owned());
        count_users(catalogue, queue, connection);
    }
    count_users(catalogue, queue, Subject::Service(name));
}

/// Wakes an object that got or lost a user: one that nothing protects from being deleted yet at
/// once, so that it does not go while it is used, and every other when users were gathered.
fn count_users(catalogue: &Catalogue, queue: &Queue<Subject>, subject: Subject) {
    let objects = &catalogue.objects;
    let is_open = match &subject {
        Subject::Connection(name) => objects
            .connections
            .get(&Key::new("", name.clone()))
            .is_some_and(|it| !has_finalizer(&*it, FINALIZER_IN_USE)),
        Subject::Model(name) => objects
            .models
            .get(&Key::new("", name.clone()))
            .is_some_and(|it| !has_finalizer(&*it, FINALIZER_IN_USE)),
        Subject::Service(name) => objects
            .services
            .get(&Key::new("", name.clone()))
            .is_some_and(|it| !has_finalizer(&*it, FINALIZER_IN_USE)),
        Subject::Orphans(_) | Subject::Text(_) => false,
    };
    if is_open {
        queue.add(subject);
    } else {
        queue.add_after(subject, GATHER);
    }
}
