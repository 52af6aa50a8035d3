//! An hour of a broker's life in milliseconds: the real driver over loopback, the real pass, and a
//! clock that jumps from one instant that matters to the next.
//!
//! Does what the delivery and the catalogue controller do with a device, a subscription and a
//! Connection, without Kubernetes. It decides nothing about the broker.

mod events;
mod requests;
mod surroundings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use entente_crds::v1alpha1::{ServiceSubscription, ServiceSubscriptionStatus};
use entente_domain::backoff::{RetryPolicy, wait};
use entente_domain::delivery::{
    Backoffs, DeviceSnapshot, Pass, SubscriptionReport, is_reconcile_requested,
};
use entente_domain::names::SubscriptionName;
use entente_domain::remote::{Catalog, Failure};
use entente_drivers::{Drivers, ServerTarget};
use entente_simulators::zoo::{Event, Pace, Row, ZooBroker, ZooListener};
use jiff::{SignedDuration, Timestamp};

use super::claims::Seen;
use surroundings::{CONNECTION, START};

/// Fraction of the jitter with which every wait is the longest possible.
const NO_JITTER: f64 = 1.0;
/// Time for which a catalog is used, and between two probes of a broker that answers.
const PROBE: SignedDuration = SignedDuration::from_mins(10);
/// Number of requests after which a story is taken for an endless loop.
const MOST_REQUESTS: usize = 2_000;
/// Number of instants after which a story is taken for an endless loop.
const MOST_INSTANTS: usize = 20_000;

/// A device with one subscription at a broker of the zoo.
pub(super) struct Life {
    now: Timestamp,
    ends: Timestamp,
    cure: Option<Timestamp>,
    events: Vec<(Timestamp, Event)>,
    /// The instant as the broker sees it, in milliseconds.
    clock: Arc<AtomicI64>,
    listener: ZooListener,
    drivers: Drivers,
    target: ServerTarget,
    snapshot: DeviceSnapshot,
    backoffs: Backoffs,
    /// The catalog that is known, and the end of its use.
    catalog: Option<(Arc<Catalog>, Timestamp)>,
    probe: Option<Result<(), Failure>>,
    probe_failures: u32,
    probe_due: Timestamp,
    wake: Option<Timestamp>,
    seen: Seen,
}

impl Life {
    /// Begins the life of a row's broker.
    pub(super) fn begin(row: &Row, drivers: Drivers) -> Self {
        let clock = Arc::new(AtomicI64::new(START.as_millisecond()));
        let broker = ZooBroker::new(row, Pace::Virtual, START);
        let read = Arc::clone(&clock);
        let listener = ZooListener::start(broker, 0, move || {
            Timestamp::from_millisecond(read.load(Ordering::SeqCst)).unwrap()
        });
        let listener = listener.unwrap();
        let snapshot = surroundings::snapshot(row, &listener.url());
        let target = surroundings::target(row, &snapshot, listener.url());
        let after = |span: jiff::SignedDuration| START + span;
        let events = row.story.iter().cloned();
        Self {
            now: START,
            ends: after(row.lasts.at(Pace::Virtual)),
            cure: row.cure.map(|cure| after(cure.at(Pace::Virtual))),
            events: events
                .map(|event| (after(event.at.at(Pace::Virtual)), event))
                .collect(),
            clock,
            listener,
            drivers,
            target,
            snapshot,
            backoffs: Backoffs::default(),
            catalog: None,
            probe: None,
            probe_failures: 0,
            probe_due: START,
            wake: Some(START),
            seen: Seen::default(),
        }
    }

    /// Lives until the end. Returns what was seen before the cure and at the end.
    pub(super) async fn live(mut self) -> Vec<Seen> {
        let mut phases = Vec::new();
        for _ in 0..MOST_INSTANTS {
            if let Some(cure) = self.cure.take_if(|cure| *cure <= self.now) {
                self.set_now(self.now.max(cure));
                phases.push(self.look());
                self.listener.broker().cure();
            }
            self.act();
            if self.probe_due <= self.now {
                self.connection().await;
            }
            if self.wake.is_some_and(|wake| wake <= self.now) {
                self.pass().await;
            }
            let next = self.next();
            if next >= self.ends || self.listener.broker().heard().len() > MOST_REQUESTS {
                break;
            }
            self.set_now(self.now.max(next));
        }
        self.set_now(self.now.max(self.ends));
        phases.push(self.look());
        phases
    }

    /// Returns the next instant that matters.
    fn next(&self) -> Timestamp {
        let events = self.events.first().map(|(at, _)| *at);
        let instants = [self.wake, self.cure, events];
        let next = instants.into_iter().flatten().min();
        next.map_or(self.probe_due, |next| next.min(self.probe_due))
    }

    fn set_now(&mut self, now: Timestamp) {
        self.now = now;
        self.clock.store(now.as_millisecond(), Ordering::SeqCst);
    }

    fn subscription(&self) -> Option<&Arc<ServiceSubscription>> {
        self.snapshot.subscriptions.first()
    }

    fn look(&self) -> Seen {
        let mut broker = self.listener.broker();
        Seen {
            subscription: self.snapshot.subscriptions.first().map(|it| (**it).clone()),
            connection: self
                .snapshot
                .connections
                .get(CONNECTION)
                .map(|it| (**it).clone()),
            heard: broker.heard().to_vec(),
            unmatched: broker.unmatched(),
            instances: broker.instances(self.now),
            ..self.seen.clone()
        }
    }

    /// Makes one pass over the device, as the delivery controller does.
    async fn pass(&mut self) {
        self.wake = None;
        let fresh = self.catalog.as_ref().filter(|(_, until)| *until > self.now);
        self.snapshot.catalogs = fresh
            .map(|(catalog, _)| (CONNECTION.into(), Arc::clone(catalog)))
            .into_iter()
            .collect();
        let snapshot = self.snapshot.clone();
        let mut pass = Box::new(Pass::new(snapshot, self.backoffs.clone(), self.now));
        while let Some(action) = pass.next(self.now) {
            let answer = self.answer(&pass, &action).await;
            pass.record(&action, answer, self.now, NO_JITTER);
        }
        pass.finish(self.now, NO_JITTER);
        self.report(&pass);
        self.backoffs = pass.into_backoffs();
    }

    fn report(&mut self, pass: &Pass) {
        let mut reports: BTreeMap<SubscriptionName, SubscriptionReport> = BTreeMap::new();
        for subscription in &self.snapshot.subscriptions {
            let name =
                SubscriptionName::from(subscription.metadata.name.clone().unwrap_or_default());
            if let Some(report) = pass.report_subscription(subscription, self.now) {
                reports.insert(name, report);
            }
        }
        let mut wakes: Vec<Timestamp> = pass.wake().into_iter().collect();
        if let Some(device) = &mut self.snapshot.device {
            let (status, next) = pass.report_device(device, &reports, self.now);
            let device = Arc::make_mut(device);
            device.status = Some(status);
            self.snapshot.reconcile_requested = is_reconcile_requested(device);
            wakes.extend(next);
        }
        for report in reports.into_values() {
            wakes.extend(report.wake_at);
            self.store(report.status);
            if report.finalizer_may_go {
                self.snapshot.subscriptions.clear();
            }
        }
        self.wake = wakes.into_iter().min().map(|wake| {
            // What is due already is done in the next pass, not in this instant for ever.
            wake.max(self.now + SignedDuration::from_millis(1))
        });
    }

    /// Stores a status, as the API server does; its Connection is looked at when it names an orphan.
    fn store(&mut self, status: ServiceSubscriptionStatus) {
        let orphaned = |status: &ServiceSubscriptionStatus| {
            status.server.as_ref().and_then(|server| server.orphaned)
        };
        let Some(object) = self.snapshot.subscriptions.first_mut() else {
            return;
        };
        let before = object.status.as_ref().and_then(orphaned);
        if before != orphaned(&status) {
            self.probe_due = self.now;
        }
        Arc::make_mut(object).status = Some(status);
        self.seen.subscription = Some((**object).clone());
        self.seen.remember();
    }

    /// Probes the broker and reports its Connection, as the catalogue controller does.
    async fn connection(&mut self) {
        let probe = self.ask_catalog().await;
        let policy = RetryPolicy::default();
        let pause = match &probe {
            Ok(_) => {
                self.probe_failures = 0;
                PROBE
            }
            Err(failure) => {
                self.probe_failures += 1;
                let own = wait(policy, self.probe_failures, NO_JITTER);
                failure.retry_after.unwrap_or_default().max(own)
            }
        };
        self.probe_due = self.now + pause;
        self.probe = Some(probe.map(|_| ()));
        self.report_connection();
    }
}
