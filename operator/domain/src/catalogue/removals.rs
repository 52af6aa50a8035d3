//! The attempts to remove the orphans of one Connection: which one is due, and which must wait.
//!
//! The protocol by which an instance that is in service again is never removed:
//!
//! 1. Before the first removal of an orphan is sent, `removal` is written into its entry in the
//!    status of the Connection, and is in the cache.
//! 2. Immediately before each removal the cache is asked for a subscription that holds the id, by
//!    its names or by its status ([`may_deprovision`]); if there is one, nothing is sent.
//! 3. Delivery sends nothing about an instance whose orphan has a `removal`, and records none
//!    (`DeviceSnapshot::orphans_being_removed`, taken after the subscriptions were read).
//! 4. `removal` goes only when no request may be under way any more: the time after which a request
//!    whose answer was lost is not carried out any more is over, and the operation of the broker,
//!    also one that such a request may have begun, has ended or was polled for an hour.
//!
//! So one of both sees the other: a subscription that the cache did not have at 2 finds the
//! `removal` of 1 at 3. After a restart a `removal` in the status counts as one whose answer was
//! lost. What is in memory here is lost without harm: each orphan is tried once more.
//!
//! Never removes anything by itself, and never holds back a probe. Called by the catalogue
//! controller, one pass at a time for each Connection.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    digest::Digest,
    v1alpha1::{
        Connection, Orphan, OrphanRemoval, ServerOperation, ServerOperationState,
        ServerOperationType,
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::orphans::{MOST_BYTES_WITH_OPERATIONS, is_to_be_forgotten, size_of};
use crate::{
    backoff::{RetryPolicy, wait},
    broker::{another_broker, broker_at},
    delivery::{RemovalAttempt, RemovalEnd, late, poll_interval},
    remote::{Catalog, Failure, FailureKind},
};

/// Waits between two attempts to remove one orphan. The first follows this long after it was left
/// behind: a person may take it out of the list meanwhile, and no request that made it is left.
const RETRY: RetryPolicy = RetryPolicy {
    initial: SignedDuration::from_mins(1),
    max: SignedDuration::from_hours(1),
};

/// The most attempts of one pass.
pub const MOST_ATTEMPTS: usize = 8;

/// Wait for the next pass if there were more orphans to try than one pass does.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// Longest time for which a subscription waits for an operation that removes its instance.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// Time for which a broker that says that it removed an instance and still has it may be about to
/// remove it.
const MAY_STILL_GO: SignedDuration = SignedDuration::from_mins(5);

/// The attempts of one Connection, from one pass to the next.
#[derive(Clone, Debug, Default)]
pub struct Removals {
    entries: BTreeMap<String, Entry>,
    /// True if the broker answered when it was last asked.
    is_answering: bool,
    /// The instant before which a broker wants no request, and the digest of its URL.
    not_before: Option<(Timestamp, Option<Digest>)>,
    /// The catalog that the last probe brought.
    catalog: Option<std::sync::Arc<Catalog>>,
}

/// One orphan.
#[derive(Clone, Debug)]
struct Entry {
    /// The instant at which it became an orphan: one of the same id that is listed later is another.
    orphaned: Timestamp,
    /// The instant of the decision to send the first removal. `None`: no request is under way.
    begun: Option<Timestamp>,
    operation: Option<ServerOperation>,
    /// The instant until which a request whose answer was lost may be carried out.
    lost_until: Option<Timestamp>,
    /// The instant until which the attempt under way may last, should its end never be known.
    busy_until: Option<Timestamp>,
    failures: u32,
    /// The instant of the next attempt, and that of the next poll of its operation.
    due: Timestamp,
    poll_due: Timestamp,
    /// True if a subscription holds it, or a person wants it to be left alone.
    is_left_alone: bool,
    message: Option<String>,
    gone: Option<Timestamp>,
}

/// The attempts of one pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Turn {
    /// The orphans to try, by the ids of their instances.
    pub attempts: Vec<String>,
    /// The instant of the next pass, if nothing else changes.
    pub wake: Option<Timestamp>,
}

/// True if a removal may be sent: the status of the Connection, as it is in the cache, says so, no
/// subscription holds the instance, and no person wants it to be left alone.
pub fn may_deprovision(connection: &Connection, instance_id: &str, is_held: bool) -> bool {
    let orphans = connection.status.iter().flat_map(|it| &it.orphans);
    let mut marked = orphans.filter(|it| it.removal.is_some() && it.gone.is_none());
    !is_held
        && !is_to_be_forgotten(connection, instance_id)
        && marked.any(|orphan| orphan.instance_id == instance_id)
}

impl Turn {
    fn wake_at(&mut self, at: Option<Timestamp>) {
        self.wake = self.wake.into_iter().chain(at).min();
    }
}

impl Removals {
    /// Records that a probe was answered with this catalog, or that it failed.
    pub fn probed(&mut self, catalog: Option<std::sync::Arc<Catalog>>) {
        self.is_answering = catalog.is_some();
        if catalog.is_some() {
            self.catalog = catalog;
        }
    }

    /// Returns the attempts to make now. `holder` returns a phrase about the subscription that holds
    /// an instance.
    pub fn turn(
        &mut self,
        connection: &Connection,
        holder: impl Fn(&str) -> Option<String>,
        now: Timestamp,
    ) -> Turn {
        let orphans = connection.status.iter().flat_map(|it| &it.orphans);
        let orphans: Vec<&Orphan> = orphans.collect();
        let late = late(connection.spec.timeouts.as_ref());
        let ids: BTreeSet<&String> = orphans.iter().map(|it| &it.instance_id).collect();
        self.entries.retain(|id, _| ids.contains(id));
        let mut turn = Turn::default();
        let not_before = self.not_before(connection);
        for orphan in orphans.into_iter().filter(|it| it.gone.is_none()) {
            let entry = self.entries.entry(orphan.instance_id.clone());
            let entry = entry.or_insert_with(|| Entry::of(orphan, late, now));
            if entry.orphaned != orphan.since {
                *entry = Entry::of(orphan, late, now);
            }
            let elsewhere = elsewhere(connection, orphan);
            let left_alone = if is_to_be_forgotten(connection, &orphan.instance_id) {
                Some("it is taken out of the list by the annotation".to_owned())
            } else {
                elsewhere.clone().or_else(|| holder(&orphan.instance_id))
            };
            let next = match left_alone {
                _ if entry.gone.is_some() => None,
                Some(why) => entry.next_poll(&why, now),
                None => entry.next_attempt(orphan, now),
            };
            // Nothing is asked about it at another broker.
            let next = next.filter(|_| elsewhere.is_none());
            let next = next.map(|due| not_before.map_or(due, |until| due.max(until)));
            // A poll for a subscription that waits is sent whether the broker answers or not.
            let may_ask = self.is_answering || entry.is_left_alone;
            match next {
                Some(due) if due > now => turn.wake_at(Some(due)),
                Some(_) if !may_ask => {}
                Some(_) if turn.attempts.len() < MOST_ATTEMPTS => {
                    turn.attempts.push(orphan.instance_id.clone());
                }
                Some(_) => turn.wake_at(now.checked_add(PAUSE).ok()),
                None => {}
            }
            turn.wake_at(entry.let_go_at(now));
        }
        turn
    }

    /// Records the decision to make these attempts. What follows from it is in the status before the
    /// first request.
    pub fn begin(&mut self, turn: &Turn, now: Timestamp) {
        for id in &turn.attempts {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.begun.get_or_insert(now);
            }
        }
    }

    /// Begins an attempt to remove an orphan; `None` if the broker is not to be asked any more in
    /// this pass.
    pub fn attempt(
        &mut self,
        connection: &Connection,
        instance_id: &str,
        now: Timestamp,
    ) -> Option<(Orphan, RemovalAttempt)> {
        let waits = self.not_before(connection).is_some_and(|until| until > now);
        let entry = self.entries.get_mut(instance_id)?;
        let mut orphans = connection.status.iter().flat_map(|it| &it.orphans);
        let orphan = orphans.find(|it| it.instance_id == instance_id && it.since == entry.orphaned);
        let orphan =
            orphan.filter(|_| !waits && (self.is_answering || entry.operation.is_some()))?;
        entry.busy_until = now.checked_add(MAY_STILL_GO).ok();
        let attempt = RemovalAttempt::new(
            orphan,
            entry.operation.clone(),
            self.catalog.as_deref(),
            late(connection.spec.timeouts.as_ref()),
        );
        Some((orphan.clone(), attempt))
    }

    /// Records the end of an attempt. `fraction` lies in 0..=1 and spreads the waits.
    pub fn ended(
        &mut self,
        connection: &Connection,
        instance_id: &str,
        end: RemovalEnd,
        now: Timestamp,
        fraction: f64,
    ) {
        let late = late(connection.spec.timeouts.as_ref());
        let Some(entry) = self.entries.get_mut(instance_id) else {
            return;
        };
        let after = |wait| now.checked_add(wait).unwrap_or(Timestamp::MAX);
        entry.busy_until = None;
        let failure = match end {
            RemovalEnd::Gone => {
                entry.gone = Some(now);
                entry.begun = None;
                return;
            }
            RemovalEnd::NotSent => {
                entry.operation = None;
                entry.due = after(RETRY.initial);
                return;
            }
            RemovalEnd::UnderWay(operation, asked) => {
                let own = poll_interval(now.duration_since(operation.since));
                entry.due = after(asked.map_or(own, |asked| asked.max(own)));
                entry.poll_due = entry.due;
                entry.operation = Some(operation);
                entry.failures = 0;
                entry.message = Some("the broker has an operation on it under way".to_owned());
                return;
            }
            RemovalEnd::Stays(failure) => {
                entry.operation = None;
                entry.lost_until = Some(after(MAY_STILL_GO));
                failure
            }
            RemovalEnd::Failed(failure, operation) => {
                entry.operation = operation;
                if failure.doubtful {
                    entry.lost_until = Some(after(late));
                }
                // It is another one than that which was given up.
                if failure.doubtful || failure.kind == FailureKind::Concurrent {
                    entry.operation = Some(in_doubt(now));
                }
                let since = entry.operation.as_ref().map_or(now, |it| it.since);
                entry.poll_due = after(poll_interval(now.duration_since(since)));
                failure
            }
        };
        entry.failures = entry.failures.saturating_add(1);
        let asked = failure.retry_after.unwrap_or_default();
        entry.due = after(wait(RETRY, entry.failures, fraction));
        entry.message = Some(format!("the last attempt failed: {}", failure.message));
        if failure.retry_after.is_some() {
            self.not_before = Some((after(asked), broker_digest(connection)));
        }
        self.is_answering &= !is_about_the_broker(&failure);
    }

    /// Returns the instant before which the broker of a Connection wants no request: one at another
    /// URL did not ask.
    fn not_before(&self, connection: &Connection) -> Option<Timestamp> {
        let (until, asker) = self.not_before?;
        (broker_digest(connection) == asker).then_some(until)
    }

    /// Returns the orphans of a status with what is known of them here.
    pub(super) fn told(&self, mut orphans: Vec<Orphan>) -> Vec<Orphan> {
        for orphan in &mut orphans {
            if let Some(removal) = &mut orphan.removal {
                removal.operation = None;
            }
        }
        let mut bytes: usize = orphans.iter().map(size_of).sum();
        for orphan in &mut orphans {
            let Some(entry) = self.entries.get(&orphan.instance_id) else {
                continue;
            };
            if entry.orphaned != orphan.since || orphan.gone.is_some() {
                continue;
            }
            orphan.message = entry.message.clone().map(Into::into);
            orphan.gone = entry.gone;
            let operation = entry.operation.as_ref();
            let operation = operation.filter(|it| it.r#type == ServerOperationType::Deprovision);
            orphan.removal = entry.begun.map(|begun| OrphanRemoval {
                since: orphan.removal.as_ref().map_or(begun, |it| it.since),
                under_way_since: operation.map(|it| it.since),
                operation: operation.and_then(|it| it.id.clone()),
            });
            let id = orphan.removal.as_mut().and_then(|it| it.operation.as_mut());
            let length = id.map_or(0, |id| id.len());
            if bytes + length > MOST_BYTES_WITH_OPERATIONS
                && let Some(removal) = &mut orphan.removal
            {
                removal.operation = None;
            } else {
                bytes += length;
            }
        }
        orphans
    }

    /// Returns the orphans that were found gone, as they were listed.
    pub fn found_gone(&self, orphans: &[Orphan]) -> Vec<Orphan> {
        let is_gone = |orphan: &&Orphan| {
            let entry = self.entries.get(&orphan.instance_id);
            entry.is_some_and(|it| it.gone.is_some() && it.orphaned == orphan.since)
        };
        orphans
            .iter()
            .filter(|orphan| orphan.gone.is_none())
            .filter(is_gone)
            .cloned()
            .collect()
    }
}

fn broker_digest(connection: &Connection) -> Option<Digest> {
    let broker = connection.spec.osb.as_ref();
    broker.map(|broker| broker_at(&broker.url).url_digest)
}

impl Entry {
    /// Returns the entry of an orphan whose status alone is known.
    fn of(orphan: &Orphan, late: SignedDuration, now: Timestamp) -> Self {
        let removal = orphan.removal.as_ref();
        let operation = removal.map(|removal| match removal.under_way_since {
            Some(since) => ServerOperation {
                r#type: ServerOperationType::Deprovision,
                id: removal.operation.clone(),
                since,
                ..in_doubt(now)
            },
            // Its last answer may have been lost with the process that waited for it.
            None => in_doubt(now),
        });
        let first = orphan.since.checked_add(RETRY.initial.max(late));
        Self {
            orphaned: orphan.since,
            begun: removal.map(|removal| removal.since),
            lost_until: removal.and_then(|_| now.checked_add(late).ok()),
            operation,
            busy_until: None,
            failures: 0,
            due: first.unwrap_or(Timestamp::MAX),
            poll_due: now,
            is_left_alone: false,
            message: orphan.message.as_ref().map(ToString::to_string),
            gone: None,
        }
    }

    /// Returns the instant of the next attempt; `None` if none can be made.
    fn next_attempt(&mut self, orphan: &Orphan, now: Timestamp) -> Option<Timestamp> {
        self.is_left_alone = false;
        if orphan.service_id.is_empty() || orphan.plan_id.is_empty() {
            self.message = Some(
                "not removed: the ids of its service and plan are not known; remove it at the \
                 broker, then set the annotation entente.dev/forget-orphan"
                    .to_owned(),
            );
            return None;
        }
        Some(self.due.max(self.quiet_until().unwrap_or(now)))
    }

    /// Leaves it alone for this reason, and returns the instant of the next poll of the operation
    /// that may remove it all the same. Once no request may be under way, it is let go of.
    fn next_poll(&mut self, why: &str, now: Timestamp) -> Option<Timestamp> {
        self.is_left_alone = true;
        self.message = Some(format!("not removed: {why}"));
        let is_over = |it: &ServerOperation| now.duration_since(it.since) >= LONGEST;
        self.operation.take_if(|it| is_over(it));
        if !self.is_under_way(now) {
            self.begun = None;
        }
        self.operation.as_ref()?;
        Some(self.poll_due.max(self.quiet_until().unwrap_or(now)))
    }

    /// Returns the instant at which it can be let go of at the latest, if it is to be left alone.
    fn let_go_at(&self, now: Timestamp) -> Option<Timestamp> {
        let operation = self.operation.as_ref();
        let over = operation.and_then(|it| it.since.checked_add(LONGEST).ok());
        let at = over.max(self.quiet_until());
        at.filter(|at| self.is_left_alone && *at > now)
    }

    /// Returns the instant until which a request that was sent may be carried out.
    fn quiet_until(&self) -> Option<Timestamp> {
        self.lost_until.max(self.busy_until)
    }

    /// True if a request to remove it may still be carried out.
    fn is_under_way(&self, now: Timestamp) -> bool {
        self.operation.is_some() || self.quiet_until().is_some_and(|until| until > now)
    }
}

/// Returns the operation that a removal may have begun whose answer was lost. It is polled without
/// an id, and proves nothing when it ends: what was polled may be an older one.
fn in_doubt(now: Timestamp) -> ServerOperation {
    ServerOperation {
        r#type: ServerOperationType::Update,
        id: None,
        to_plan: None,
        since: now,
        state: ServerOperationState::UnderWay,
        late_until: None,
    }
}

/// Returns a sentence if an orphan was left on another broker than the one to which its Connection
/// leads now: nothing is asked about it there.
fn elsewhere(connection: &Connection, orphan: &Orphan) -> Option<String> {
    let endpoint = connection.spec.osb.as_ref()?;
    another_broker(&connection.name_any(), endpoint, orphan.broker.as_ref())
}

/// True if a failure speaks of the broker, so that the other orphans wait for its next answer, too.
fn is_about_the_broker(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Unreachable
        | FailureKind::TimedOut
        | FailureKind::TlsFailed
        | FailureKind::CertificateChanged
        | FailureKind::AddressNotAllowed
        | FailureKind::Unauthorized
        | FailureKind::Busy => true,
        FailureKind::Concurrent
        | FailureKind::CatalogOutdated
        | FailureKind::RejectedValue
        | FailureKind::RejectedNotSettable
        | FailureKind::Unsupported
        | FailureKind::Conflict
        | FailureKind::ProtocolError
        // Of devices alone.
        | FailureKind::NotRegistered
        | FailureKind::NotHeardOf
        | FailureKind::ConsentWithdrawn => false,
    }
}
