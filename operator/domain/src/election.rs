//! The election of the one replica of the operator that leads, by a Lease object of Kubernetes
//! (coordination.k8s.io/v1).
//!
//! Decides what a candidate does next with the Lease, and until when it leads. Its time is a length
//! since any instant, by a clock that no one sets: times that other replicas wrote are never
//! compared with it, so clocks that differ do no harm. Never knows an API server, never ends a
//! process. Called by the election of the controllers, which performs each [`Step`] and tells the
//! candidate what came of it.
//!
//! Every write carries the version that was read, so that of two writes the API server refuses one.
//! A leader may act from its acquisition until [`Terms::hold`] after the *sending* of its last
//! renewal that was confirmed. Another candidate takes the Lease once it has seen it unchanged for
//! the whole duration, which is longer, so the leader has stopped before. A leader whose time has
//! passed ([`Candidate::leads_until`]) goes on trying: if nobody has taken the Lease in between,
//! it leads again, and else its term is over for good.

use std::time::Duration;

/// Name of the Lease, in the operator's own namespace.
pub const LEASE: &str = "entente";

/// Lengths of time of an election, all from the duration of the Lease.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Terms {
    /// Time for which nobody else takes a Lease that does not change.
    pub duration: Duration,
}

impl Terms {
    /// Time after the sending of a renewal for which a leader may act: two thirds. The rest is for
    /// clocks that run at different speeds, and for what was sent last to arrive.
    pub fn hold(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// Time between two renewals: a quarter, so that two may fail within the time to act.
    pub fn renew(&self) -> Duration {
        self.duration / 4
    }

    /// Time after which a candidate that follows looks again.
    pub fn look(&self) -> Duration {
        self.duration / 3
    }

    /// Time until a request is sent again that failed.
    pub fn retry(&self) -> Duration {
        self.duration / 12
    }

    /// Time limit of one request for the Lease: a sixth, so that one that is lost leaves time for
    /// another.
    pub fn request(&self) -> Duration {
        self.duration / 6
    }
}

/// Content of a Lease, apart from its version.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Record {
    /// The candidate that holds it; `None`: it was released.
    pub holder: Option<String>,
    /// Time for which it is held.
    pub duration: Duration,
    /// Number of changes of its holder.
    pub transitions: i32,
    /// Time of its renewal as the holder wrote it: compared with itself only.
    pub renewed: String,
}

/// A Lease as it was read.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Lease {
    /// The version by which the API server refuses a write on another one.
    pub version: String,
    /// Its content.
    pub record: Record,
}

/// Next act of a candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Read the Lease.
    Read,
    /// Write that this candidate holds it.
    Hold {
        /// The version to replace; `None`: create it.
        version: Option<String>,
        /// Transitions to write.
        transitions: i32,
    },
    /// Do nothing until then; look earlier if the Lease is known to have changed.
    Wait {
        /// Time at which to ask again what comes next.
        until: Duration,
    },
    /// Nothing: another candidate has led since, and this one is over.
    End,
}

/// A candidate: one process that leads, or would.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Candidate {
    identity: String,
    terms: Terms,
    role: Role,
    /// Earliest time of the next request, after one that failed.
    not_before: Duration,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Role {
    /// It has to read first, and knows of no Lease, or of this one.
    Looks(Option<Seen>),
    /// It knows the Lease, and that it is held by another.
    Follows(Seen),
    /// It led last.
    Leads(Term),
    Ended,
}

/// A Lease that is not ours.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Seen {
    /// The Lease; `None`: it was deleted.
    version: Option<String>,
    record: Record,
    /// Time at which it was first seen with this record.
    at: Duration,
    /// Time at which it was read last.
    read: Duration,
}

/// The time in which a candidate leads.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Term {
    /// The version to replace; `None`: the outcome of the last write is not known, read first.
    version: Option<String>,
    transitions: i32,
    /// Time at which the last confirmed write was sent.
    confirmed: Duration,
}

impl Candidate {
    /// Returns a candidate that knows nothing yet. No two processes may have one identity at once.
    pub fn new(identity: impl Into<String>, terms: Terms) -> Self {
        Self {
            identity: identity.into(),
            terms,
            role: Role::Looks(None),
            not_before: Duration::ZERO,
        }
    }

    /// Returns its identity.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns the other candidate that holds the Lease, as far as is known.
    pub fn follows(&self) -> Option<&str> {
        match &self.role {
            Role::Follows(seen) | Role::Looks(Some(seen)) => seen.record.holder.as_deref(),
            _ => None,
        }
    }

    /// Returns the version from which on it would hear of changes: that of the Lease of another.
    pub fn followed_version(&self) -> Option<&str> {
        match &self.role {
            Role::Follows(seen) => seen.version.as_deref(),
            _ => None,
        }
    }

    /// Returns the time before which it may act as the leader; `None`: it does not lead.
    pub fn leads_until(&self) -> Option<Duration> {
        match &self.role {
            Role::Leads(term) => Some(term.confirmed + self.terms.hold()),
            _ => None,
        }
    }

    /// Returns the next act.
    pub fn next(&self, now: Duration) -> Step {
        match &self.role {
            Role::Ended => Step::End,
            _ if now < self.not_before => Step::Wait {
                until: self.not_before,
            },
            Role::Looks(_) | Role::Leads(Term { version: None, .. }) => Step::Read,
            Role::Follows(seen) => self.next_of_follower(seen, now),
            Role::Leads(term) => {
                let due = term.confirmed + self.terms.renew();
                if now < due {
                    return Step::Wait { until: due };
                }
                Step::Hold {
                    version: term.version.clone(),
                    transitions: term.transitions,
                }
            }
        }
    }

    fn next_of_follower(&self, seen: &Seen, now: Duration) -> Step {
        let free = self.free_from(seen);
        if now >= free {
            return Step::Hold {
                version: seen.version.clone(),
                transitions: seen.record.transitions.saturating_add(1),
            };
        }
        let look = seen.read + self.terms.look();
        if now >= look {
            return Step::Read;
        }
        Step::Wait {
            until: free.min(look),
        }
    }

    /// Returns the time from which the Lease may be taken.
    fn free_from(&self, seen: &Seen) -> Duration {
        let is_deleted = seen.version.is_none() && seen.record != self.never_held();
        let is_held = match seen.record.holder.as_deref() {
            None => false,
            // A process of this identity ran before this one, and does not any more.
            Some(holder) => holder != self.identity,
        };
        // Whoever took a Lease that was deleted since may act as if it were there.
        if is_held || is_deleted {
            seen.at.saturating_add(seen.record.duration)
        } else {
            seen.at
        }
    }

    /// Takes the Lease that was read at `now`, or that a watch brought; `None`: there is no Lease. It may be
    /// older than what it knows: the API server refuses what follows from that.
    pub fn read(&mut self, lease: Option<Lease>, now: Duration) {
        self.role = match std::mem::replace(&mut self.role, Role::Ended) {
            Role::Ended => Role::Ended,
            Role::Leads(term) => match lease {
                Some(lease) if self.is_of_term(&lease.record, &term) => Role::Leads(Term {
                    version: Some(lease.version),
                    ..term
                }),
                // Somebody else led, or a person removed it: what was decided in this term may be
                // old.
                _ => Role::Ended,
            },
            Role::Looks(before) => Role::Follows(self.seen(before, lease, now)),
            Role::Follows(before) => Role::Follows(self.seen(Some(before), lease, now)),
        };
    }

    fn is_of_term(&self, record: &Record, term: &Term) -> bool {
        record.holder.as_deref() == Some(self.identity.as_str())
            && record.transitions == term.transitions
    }

    fn seen(&self, before: Option<Seen>, lease: Option<Lease>, now: Duration) -> Seen {
        let (version, record) = match (lease, &before) {
            (Some(lease), _) => (Some(lease.version), lease.record),
            // Deleted: its holder may not know yet, and act as if it held it.
            (None, Some(before)) => (None, before.record.clone()),
            (None, None) => (None, self.never_held()),
        };
        // A deleted Lease may have been renewed after it was read last.
        let is_unchanged = |before: &Seen| {
            before.record == record && (version.is_some() || before.version.is_none())
        };
        let at = before.filter(is_unchanged).map_or(now, |before| before.at);
        Seen {
            version,
            record,
            at,
            read: now,
        }
    }

    fn never_held(&self) -> Record {
        Record {
            holder: None,
            duration: self.terms.duration,
            transitions: -1,
            renewed: String::new(),
        }
    }

    /// Notes that a write, sent at `sent`, was confirmed with this Lease.
    pub fn held(&mut self, lease: Lease, sent: Duration) {
        if self.role != Role::Ended {
            self.role = Role::Leads(Term {
                version: Some(lease.version),
                transitions: lease.record.transitions,
                confirmed: sent,
            });
        }
    }

    /// Notes that the API server refused a write because the Lease has changed.
    pub fn refused(&mut self) {
        self.look_again();
    }

    /// Notes that a request failed at `now`: it may have been carried out.
    pub fn failed(&mut self, now: Duration) {
        self.not_before = now + self.terms.retry();
        self.look_again();
    }

    fn look_again(&mut self) {
        self.role = match std::mem::replace(&mut self.role, Role::Ended) {
            Role::Follows(seen) => Role::Looks(Some(seen)),
            Role::Leads(term) => Role::Leads(Term {
                version: None,
                ..term
            }),
            other => other,
        };
    }

    /// Returns the version and the transitions to write when it gives the Lease back, if it leads.
    pub fn release(&self) -> Option<(String, i32)> {
        match &self.role {
            Role::Leads(term) => Some((term.version.clone()?, term.transitions)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
