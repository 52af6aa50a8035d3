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
    /// Writes of the Lease, as each replica that acts makes every few seconds.
    pub(super) renewals: usize,
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
        if is_lease(event) {
            self.renewals += 1;
        // A question about rights is a POST that stores nothing.
        } else if event.is_write() && event.group != "authorization.k8s.io" {
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

/// True if the operator or a gateway sent it because of some change: watches, renewals of the Lease and
/// the gateway's question whether the API server answers come all the time.
pub(super) fn is_work(event: &AuditEvent) -> bool {
    let is_question = event.user.ends_with(":entente-gateway")
        && (&*event.verb, &*event.resource) == ("get", "connections");
    is_operators(event) && event.verb != "watch" && !is_lease(event) && !is_question
}

fn is_lease(event: &AuditEvent) -> bool {
    event.group == "coordination.k8s.io" && event.resource == "leases"
}

fn on_devices(event: &AuditEvent) -> bool {
    ["servicesubscriptions", "devices"].contains(&event.resource.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(account: &str, verb: &str, group: &str, resource: &str) -> AuditEvent {
        AuditEvent {
            verb: verb.to_owned(),
            user: format!("{USER}{account}"),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: String::new(),
            namespace: String::new(),
            name: String::new(),
            code: 200,
            stage: "ResponseComplete".to_owned(),
            uri: String::new(),
            received: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_comes_all_the_time_is_no_work_and_the_lease_no_write() {
        let lease = event("entente", "update", "coordination.k8s.io", "leases");
        let question = event("entente-gateway", "get", "entente.dev", "connections");
        let watch = event("entente", "watch", "entente.dev", "devices");
        for event in [&lease, &question, &watch] {
            assert!(!is_work(event), "{event:?}");
        }
        let write = event("entente-gateway", "update", "entente.dev", "devicetwins");
        let read = event("entente", "get", "entente.dev", "connections");
        for event in [&write, &read] {
            assert!(is_work(event), "{event:?}");
        }
        let requests = Requests::of(&[lease, question, watch, write, read], |_| true);
        let counted = (requests.written(), requests.read(), requests.renewals);
        assert_eq!(counted, (1, 2, 1), "{requests:?}");
        assert_eq!(requests.watches, 1);
    }
}
