//! The operator's requests to the API server, counted from the audit log.
//!
//! It must never count another user's request as the operator's: the user decides.

use std::collections::BTreeMap;

use entente_e2e::control_plane::AuditEvent;
use jiff::Timestamp;

use super::figure::count;

/// Service accounts of the operator's namespace; the dumb client uses the same.
const USER: &str = "system:serviceaccount:entente-system:";

/// Requests by kind, `create servicesubscriptions` or `update devices/status`.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    /// Requests that could change something.
    pub(super) writes: BTreeMap<String, usize>,
    /// Get, list, and questions about rights.
    pub(super) reads: BTreeMap<String, usize>,
    /// Watches that ended, as each does once a minute.
    pub(super) watches: usize,
    /// Instants of the first and the last write on subscriptions and devices.
    span: Option<(Timestamp, Timestamp)>,
}

impl Requests {
    /// Returns the requests of the operator; `measured` decides which of them bound the time.
    pub(super) fn of(events: &[AuditEvent], measured: impl Fn(&AuditEvent) -> bool) -> Self {
        let mut requests = Self::default();
        for event in events.iter().filter(|event| is_operators(event)) {
            requests.add(event);
            if event.is_write() && on_devices(event) && measured(event) {
                let (first, last) = requests
                    .span
                    .get_or_insert((event.received, event.received));
                *first = event.received.min(*first);
                *last = event.received.max(*last);
            }
        }
        requests
    }

    fn add(&mut self, event: &AuditEvent) {
        if event.stage != "ResponseComplete" {
            return;
        }
        let slash = if event.subresource.is_empty() {
            ""
        } else {
            "/"
        };
        let kind = format!(
            "{} {}{slash}{}",
            event.verb, event.resource, event.subresource
        );
        // A question about rights is a POST that stores nothing.
        if event.is_write() && event.group != "authorization.k8s.io" {
            *self.writes.entry(kind).or_default() += 1;
        } else if event.verb == "watch" {
            self.watches += 1;
        } else {
            *self.reads.entry(kind).or_default() += 1;
        }
    }

    /// Returns the number of writes.
    pub(super) fn written(&self) -> usize {
        self.writes.values().sum()
    }

    /// Returns the number of reads.
    pub(super) fn read(&self) -> usize {
        self.reads.values().sum()
    }

    /// Returns the instant of the last of the measured writes.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.span.map(|(_, last)| last)
    }

    /// Returns the instant of the first of the measured writes.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.span.map(|(first, _)| first)
    }
}

/// Returns counts as text, `create events 1.00, update devices/status 1.02`, each divided by
/// `devices`; counts below a hundredth for each are left out.
pub(super) fn each(counts: &BTreeMap<String, usize>, devices: usize) -> String {
    let shares = counts
        .iter()
        .map(|(kind, number)| (kind, count(*number) / count(devices)));
    let shown: Vec<String> = shares
        .filter(|(_, share)| *share >= 0.01)
        .map(|(kind, share)| format!("{kind} {share:.2}"))
        .collect();
    shown.join(", ")
}

/// Counts as text, `create events 3`.
pub(super) fn all(counts: &BTreeMap<String, usize>) -> String {
    let shown: Vec<String> = counts
        .iter()
        .map(|(kind, number)| format!("{kind} {number}"))
        .collect();
    shown.join(", ")
}

/// True if the operator sent it.
pub(super) fn is_operators(event: &AuditEvent) -> bool {
    event.user.starts_with(USER)
}

fn on_devices(event: &AuditEvent) -> bool {
    ["servicesubscriptions", "devices"].contains(&event.resource.as_str())
}
