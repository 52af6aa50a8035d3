//! The controller of enrolments: one key for each DeviceEnrollment.
//!
//! It reads what an enrolment refers to, counts who registered by it, and removes registrations that
//! wait no longer. It is the only writer of the status of a DeviceEnrollment; it admits nobody, which is
//! the gateway's part.

use std::sync::Arc;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{Connection, DeviceEnrollment, DeviceTwin, SecretKeyReference};
use entente_domain::enrollment::{
    ObservedEnrollment, SHORTEST_TOKEN, TOKEN_KEY, is_forgotten, next_instant, report_enrollment,
};
use entente_domain::gateway::registration::pending_name;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};

use crate::{
    cache::{Change, Key, UnreadableChange},
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    objects::{BY_CONNECTION, BY_ENROLLMENT, Objects, path},
    queue::{Queue, Requeue},
    secrets::Secrets,
    status::{Deleted, WriteError, delete, report_defect, report_until_written},
    triggers::differs,
};

/// The time between two looks at the Secret of the token: no event tells that it was changed.
const LOOK: SignedDuration = SignedDuration::from_mins(10);

/// The time between two looks at one that cannot be used.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// The controller of enrolments.
pub(crate) struct Enrollments {
    context: Context,
    objects: Arc<Objects>,
    secrets: Arc<Secrets>,
}

impl Reconcile for Enrollments {
    const NAME: &'static str = "enrollment";
    type Key = Key;

    fn object(&self, key: &Key) -> PassObject {
        PassObject::of(&self.objects.enrollments, key.clone())
    }

    fn watch(&self, watches: &Watches<Self>) {
        let objects = &self.objects;
        watches.cache(&objects.enrollments, enrollment);
        watches.cache(&objects.twins, twin);
        watches.cache(&objects.connections, connection);
        watches.cache(&objects.namespaces, namespace);
        let unreadable = objects.connections.subscribe_unreadable();
        watches.channel(unreadable, unreadable_connection);
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        let now = self.context.clock.now();
        let Some(enrollment) = self.objects.enrollments.get(key) else {
            return Ok(None);
        };
        let token_fault = self.token_fault(&enrollment, now).await;
        let look = if token_fault.is_some() {
            LOOK_AGAIN
        } else {
            LOOK
        };
        let look = now.checked_add(look).ok();
        let forgotten = self.forget(key, now).await;
        let twins = self.twins(key);
        let twins: Vec<&DeviceTwin> = twins.iter().map(|twin| &**twin).collect();
        let next = next_instant(&enrollment, &twins, now);
        let at = [look, next].into_iter().flatten().min();
        let written = self.report(key, token_fault, &twins, now).await;
        match written.and(forgotten) {
            Ok(()) => Ok(at.map(Requeue::At)),
            Err(error) => Err(Failed { error, at }),
        }
    }

    async fn report_defect(&self, key: &Key, defect: &Defect) {
        let api: Api<DeviceEnrollment> =
            Api::namespaced(self.context.client.clone(), &key.namespace);
        let (cache, now) = (&self.objects.enrollments, self.context.clock.now());
        report_defect(&api, cache, key, defect, now).await;
    }

    fn next_instant(&self, key: &Key) -> Option<Timestamp> {
        let now = self.context.clock.now();
        self.objects.enrollments.get(key)?;
        now.checked_add(LOOK).ok()
    }
}

impl Enrollments {
    pub(crate) fn new(context: Context, objects: Arc<Objects>, secrets: Arc<Secrets>) -> Self {
        Self {
            context,
            objects,
            secrets,
        }
    }

    /// Returns the twins that registered by an enrolment.
    fn twins(&self, key: &Key) -> Vec<Arc<DeviceTwin>> {
        let by = path(&key.namespace, &key.name);
        self.objects.twins.by_index(BY_ENROLLMENT, &by)
    }

    /// Returns the fault of the Secret with the token.
    async fn token_fault(
        &self,
        enrollment: &DeviceEnrollment,
        now: Timestamp,
    ) -> Option<(Reason, String)> {
        let name = &enrollment.spec.token_secret_ref.name;
        let namespace = enrollment.namespace().unwrap_or_default();
        let reference = SecretKeyReference {
            name: name.clone(),
            key: TOKEN_KEY.to_owned(),
        };
        match self.secrets.tenant_text(&namespace, &reference, now).await {
            Err(unread) => Some(unread.into()),
            Ok(token) if token.chars().count() < SHORTEST_TOKEN => {
                let message = format!(
                    "the key {TOKEN_KEY} of the Secret {name} has fewer than {SHORTEST_TOKEN} \
                     characters; use a longer one, such as 32 random bytes in base64"
                );
                Some((Reason::SecretKeyMissing, message))
            }
            Ok(_) => None,
        }
    }

    /// Removes the twins of registrations that wait no longer.
    async fn forget(&self, key: &Key, now: Timestamp) -> Result<(), WriteError> {
        let waiting = self.twins(key);
        if !waiting.iter().any(|twin| twin.spec.device_ref.is_none()) {
            return Ok(());
        }
        let all = self.objects.twins.in_namespace(&key.namespace);
        let others: Vec<&DeviceTwin> = all.iter().map(|twin| &**twin).collect();
        let api: Api<DeviceTwin> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let cache = &self.objects.twins;
        for twin in waiting {
            if !is_forgotten(&twin, &others, now) {
                continue;
            }
            match delete(&api, &*twin).await {
                Ok(Deleted::Gone) => {
                    cache.put_deleted(&Key::of(&*twin), &twin.uid().unwrap_or_default());
                }
                Ok(Deleted::Terminating(twin)) => cache.put_written(*twin),
                Err(WriteError::Conflict { .. } | WriteError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn report(
        &self,
        key: &Key,
        token_fault: Option<(Reason, String)>,
        twins: &[&DeviceTwin],
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let objects = &self.objects;
        let namespace = objects.namespaces.get(&Key::new("", &*key.namespace));
        let labels = namespace.map(|it| it.labels().clone()).unwrap_or_default();
        let unreadable = objects.unreadable(&key.namespace);
        let others = objects.enrollments.in_namespace(&key.namespace);
        let others: Vec<&DeviceEnrollment> = others.iter().map(|it| &**it).collect();
        let api: Api<DeviceEnrollment> =
            Api::namespaced(self.context.client.clone(), &key.namespace);
        let decide = |enrollment: &DeviceEnrollment| {
            let name = &enrollment.spec.connection_ref.name;
            let connection = objects.connections.get(&Key::new("", name.clone()));
            let observed = ObservedEnrollment {
                connection: connection.as_deref(),
                namespace_labels: &labels,
                token_fault: token_fault.clone(),
                twins,
                enrollments: &others,
                unreadable: &unreadable,
            };
            Some(report_enrollment(enrollment, &observed, now))
        };
        report_until_written(&api, &objects.enrollments, key, now, decide)
            .await
            .map(|_| ())
    }
}

/// Wakes an enrolment, and those that have or had the same Secret: the oldest of them has its token.
fn enrollment(of: &Enrollments, queue: &Queue<Key>, change: &Change<DeviceEnrollment>) {
    let spec = differs(change, |it| (it.uid(), it.metadata.generation));
    if spec || change.by_others {
        queue.add(change.key.clone());
    }
    if !spec {
        return;
    }
    let secret = |it: &DeviceEnrollment| it.spec.token_secret_ref.clone();
    let named = [&change.old, &change.new].into_iter().flatten();
    let named: Vec<_> = named.map(|it| secret(it)).collect();
    for other in of.objects.enrollments.in_namespace(&change.key.namespace) {
        if named.contains(&secret(&other)) {
            queue.add(Key::of(&*other));
        }
    }
}

/// Wakes the enrolment by which a device registers, or registered before; and the one by which the same
/// machine waits, whose twin is forgotten with that.
fn twin(enrollments: &Enrollments, queue: &Queue<Key>, change: &Change<DeviceTwin>) {
    let registration = |twin: &DeviceTwin| twin.status.as_ref()?.registration.clone();
    let told = |twin: &DeviceTwin| {
        let registration = registration(twin)?;
        let by = (registration.enrollment, registration.printer_id);
        let who = (registration.serial_number, registration.product_name);
        Some((by, who, registration.at, twin.spec.device_ref.is_some()))
    };
    if !differs(change, told) {
        return;
    }
    let namespace = &change.key.namespace;
    let twins = &enrollments.objects.twins;
    let versions = [&change.old, &change.new].into_iter().flatten();
    for found in versions.filter_map(|twin| registration(twin)) {
        queue.add(Key::new(&**namespace, found.enrollment));
        let waiting = Key::new(&**namespace, pending_name(&found.serial_number));
        let waiting = twins.get(&waiting);
        if let Some(waiting) = waiting.and_then(|twin| registration(&twin)) {
            queue.add(Key::new(&**namespace, waiting.enrollment));
        }
    }
}

/// Wakes the enrolments of a namespace whose labels changed: a Connection may allow it now, or no more.
fn namespace(enrollments: &Enrollments, queue: &Queue<Key>, change: &Change<Namespace>) {
    if differs(change, |it| it.labels().clone()) {
        let cache = &enrollments.objects.enrollments;
        for enrollment in cache.in_namespace(&change.key.name) {
            queue.add(Key::of(&*enrollment));
        }
    }
}

fn connection(enrollments: &Enrollments, queue: &Queue<Key>, change: &Change<Connection>) {
    if differs(change, |it| (it.uid(), it.metadata.generation)) {
        of_connection(enrollments, queue, &change.key.name);
    }
}

fn unreadable_connection(enrollments: &Enrollments, queue: &Queue<Key>, change: &UnreadableChange) {
    of_connection(enrollments, queue, &change.object.key.name);
}

/// Wakes the enrolments that name a Connection.
fn of_connection(enrollments: &Enrollments, queue: &Queue<Key>, name: &str) {
    let cache = &enrollments.objects.enrollments;
    for enrollment in cache.by_index(BY_CONNECTION, name) {
        queue.add(Key::of(&*enrollment));
    }
}

#[cfg(test)]
mod tests;
