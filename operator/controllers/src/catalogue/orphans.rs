//! A pass over the orphans of one Connection: sends the requests that remove them, one orphan after
//! another, and writes what became of them.
//!
//! The protocol that keeps an instance in service from being removed, and every decision, are those
//! of the domain's `Removals`. Here is the order: the decision to send is written, then the cache is
//! asked for a subscription that holds the instance, then the removal is sent. Never writes anything
//! else of a Connection's status than its list of orphans. Called by the catalogue controller, after
//! a probe that was answered and when the next attempt is due.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use entente_crds::v1alpha1::{Connection, Orphan, ServiceSubscription};
use entente_domain::{
    catalogue::{BrokerInstances, Removals, may_deprovision, report_orphans},
    delivery::{RemovalAnswer, RemovalRequest, outcome_at_server},
    remote::{Catalog, InstanceContext, InstanceKey},
};
use entente_drivers::{ServiceDriver, service::ServerTarget};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Resource as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Catalogue, usage};
use crate::{
    cache::Key,
    controller::Failed,
    delivery::{audit, fraction},
    events::EventReason,
    status::{WriteError, report_until_written},
};

/// Time after which a pass begins no further attempt.
const LONGEST: Duration = Duration::from_mins(1);

/// The memory of attempts, by Connection, and those who are told of probes that were answered.
#[derive(Default)]
pub(super) struct OrphanRemovals {
    removals: Mutex<HashMap<String, Removals>>,
    listeners: Mutex<Vec<UnboundedSender<String>>>,
}

impl OrphanRemovals {
    /// Returns the names of Connections as their brokers answer.
    pub(super) fn subscribe(&self) -> UnboundedReceiver<String> {
        let (listener, names) = unbounded_channel();
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
        names
    }

    /// Records the result of a probe.
    pub(super) fn probed(&self, name: &str, catalog: Option<Arc<Catalog>>) {
        let is_answer = catalog.is_some();
        self.with(name, |removals| removals.probed(catalog));
        if is_answer {
            let mut listeners = self
                .listeners
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            listeners.retain(|listener| listener.send(name.to_owned()).is_ok());
        }
    }

    /// Drops the memory of a Connection that was removed.
    pub(super) fn forget(&self, name: &str) {
        let mut removals = self.removals.lock().unwrap_or_else(PoisonError::into_inner);
        removals.remove(name);
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Removals) -> T) -> T {
        let mut removals = self.removals.lock().unwrap_or_else(PoisonError::into_inner);
        act(removals.entry(name.to_owned()).or_default())
    }
}

impl Catalogue {
    /// Does one pass over the orphans of a Connection. Returns the time of the next one.
    pub(super) async fn orphans(&self, name: &str) -> Result<Option<Timestamp>, Failed> {
        let Some(connection) = self.objects.connections.get(&Key::new("", name)) else {
            return Ok(None);
        };
        let now = self.context.clock.now();
        let holder = |id: &str| usage::holder(&self.objects, id, self.context.clock.now());
        let turn = self.orphans.with(name, |removals| {
            let turn = removals.turn(&connection, holder, now);
            removals.begin(&turn, now);
            turn
        });
        let at = turn.wake;
        let failed = |error| Failed { error, at };
        self.write_orphans(name).await.map_err(failed)?;
        let begun = Instant::now();
        for id in &turn.attempts {
            if begun.elapsed() < LONGEST {
                self.try_to_remove(name, id).await;
            }
        }
        if turn.attempts.is_empty() {
            return Ok(turn.wake);
        }
        // What may be let go of now is written with what became of the attempts.
        let Some(connection) = self.objects.connections.get(&Key::new("", name)) else {
            return Ok(None);
        };
        let now = self.context.clock.now();
        let next = self
            .orphans
            .with(name, |removals| removals.turn(&connection, holder, now));
        self.write_orphans(name).await.map_err(failed)?;
        // One pass does no more than a few.
        let more = (!next.attempts.is_empty()).then_some(now);
        Ok(more.into_iter().chain(next.wake).min())
    }

    /// Returns the time of the next pass over the orphans of a Connection, by those in its list.
    pub(super) fn next_removal(&self, name: &str) -> Option<Timestamp> {
        let connection = self.objects.connections.get(&Key::new("", name))?;
        let now = self.context.clock.now();
        let holder = |id: &str| usage::holder(&self.objects, id, now);
        let turn = self
            .orphans
            .with(name, |removals| removals.turn(&connection, holder, now));
        turn.wake.filter(|wake| *wake > now)
    }

    async fn try_to_remove(&self, name: &str, id: &str) {
        let Some(connection) = self.objects.connections.get(&Key::new("", name)) else {
            return;
        };
        let now = self.context.clock.now();
        let Ok(profile) = self.profiles.probe_profile(&connection, now).await else {
            // The next probe says so, or brings it back.
            self.orphans.with(name, |removals| removals.probed(None));
            return;
        };
        let target = super::target(&connection, profile);
        let begun = self
            .orphans
            .with(name, |removals| removals.attempt(&connection, id, now));
        let Some((orphan, mut attempt)) = begun else {
            return;
        };
        while let Some(request) = attempt.next(self.context.clock.now()) {
            if request == RemovalRequest::Deprovision && !self.may_deprovision(name, id) {
                break;
            }
            let instance = attempt.instance();
            let answer = self.ask_about(&target, &orphan, instance, request).await;
            attempt.record(answer, self.context.clock.now());
        }
        let now = self.context.clock.now();
        let end = attempt.end(now);
        self.orphans.with(name, |removals| {
            removals.ended(&connection, id, end, now, fraction());
        });
    }

    /// True if a removal may be sent, by the objects that are in the cache now.
    fn may_deprovision(&self, name: &str, id: &str) -> bool {
        let Some(connection) = self.objects.connections.get(&Key::new("", name)) else {
            return false;
        };
        let now = self.context.clock.now();
        let is_held = usage::holder(&self.objects, id, now).is_some();
        may_deprovision(&connection, id, is_held)
    }

    async fn ask_about(
        &self,
        target: &ServerTarget,
        orphan: &Orphan,
        instance: &InstanceKey,
        request: RemovalRequest,
    ) -> RemovalAnswer {
        let driver: &dyn ServiceDriver = &*self.context.brokers;
        match request {
            RemovalRequest::Poll { operation } => {
                let operation = operation.as_deref();
                let result = driver.last_operation(target, instance, operation).await;
                RemovalAnswer::Operation(result)
            }
            RemovalRequest::Deprovision => {
                let context = context_of(orphan);
                let result = driver.deprovision(target, instance, &context).await;
                tracing::info!(
                    target: audit::TARGET,
                    operation = "deprovision",
                    connection = target.profile.name,
                    instance = instance.instance_id,
                    outcome = outcome_at_server(&result),
                    "effect on an orphan"
                );
                RemovalAnswer::Server(result)
            }
            RemovalRequest::Fetch { retrievable } => {
                let result = driver.observe(target, instance, retrievable).await;
                RemovalAnswer::Instance(result)
            }
        }
    }

    async fn write_orphans(&self, name: &str) -> Result<(), WriteError> {
        let cache = &self.objects.connections;
        let key = Key::new("", name);
        let Some(before) = cache.get(&key) else {
            return Ok(());
        };
        let listed = before.status.iter().flat_map(|it| &it.orphans);
        let listed: Vec<Orphan> = listed.cloned().collect();
        let gone = self
            .orphans
            .with(name, |removals| removals.found_gone(&listed));
        let instances: BrokerInstances = usage::of_instances(&self.objects, name);
        let api: Api<Connection> = Api::all(self.context.client.clone());
        let now = self.context.clock.now();
        report_until_written(&api, cache, &key, now, |object| {
            self.orphans.with(name, |removals| {
                Some(report_orphans(object, &instances, removals, now))
            })
        })
        .await?;
        for orphan in gone {
            let note = format!(
                "The instance {} is gone: {}.",
                orphan.instance_id, orphan.reason
            );
            let regarding = before.object_ref(&());
            let events = &self.context.events;
            events.publish(
                &regarding,
                EventReason::InstanceRemoved,
                note,
                left_by(&orphan),
            );
        }
        self.say_orphans(name, &before);
        Ok(())
    }

    /// Publishes the orphans that are new in the list of a Connection, and sets their number.
    pub(super) fn say_orphans(&self, name: &str, before: &Connection) {
        let Some(after) = self.objects.connections.get(&Key::new("", name)) else {
            return;
        };
        let Some(status) = &after.status else { return };
        let known = |orphan: &Orphan| {
            let mut listed = before.status.iter().flat_map(|it| &it.orphans);
            listed.any(|it| it.instance_id == orphan.instance_id && it.since == orphan.since)
        };
        for orphan in status.orphans.iter().filter(|orphan| !known(orphan)) {
            let note = format!(
                "The instance {} is left on the broker: {}.",
                orphan.instance_id, orphan.reason
            );
            let regarding = after.object_ref(&());
            let events = &self.context.events;
            events.publish(
                &regarding,
                EventReason::InstanceOrphaned,
                note,
                left_by(orphan),
            );
        }
        self.context.metrics.orphans(name, status.orphan_count);
    }
}

/// Returns a reference to the subscription that left an orphan behind, which need not exist.
fn left_by(orphan: &Orphan) -> Option<ObjectReference> {
    let subscription = orphan.subscription.as_ref()?;
    Some(ObjectReference {
        api_version: Some(ServiceSubscription::api_version(&()).into_owned()),
        kind: Some(ServiceSubscription::kind(&()).into_owned()),
        namespace: Some(subscription.namespace.clone()),
        name: Some(subscription.name.clone()),
        ..ObjectReference::default()
    })
}

/// Returns the context of a removal, of which the broker sees the subscription's name.
fn context_of(orphan: &Orphan) -> InstanceContext {
    let left_by = orphan.subscription.clone().unwrap_or_default();
    InstanceContext {
        organization: String::new(),
        namespace: left_by.namespace,
        subscription: left_by.name,
    }
}
