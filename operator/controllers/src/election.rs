//! The election of the replica that leads, and until when it may act.
//!
//! Performs the steps that [`Candidate`] decides: reads, creates and renews the Lease, and opens the
//! [`Fence`] for as long as this replica leads. It decides nothing itself. A replica that follows
//! keeps its caches and does nothing else. One that cannot renew in time acts no longer, and leads
//! again if nobody has led meanwhile; if somebody has, [`Election::run`] ends, and the process has to
//! begin anew, since what it decided may be old. Run by the binary.

mod lease;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use entente_domain::election::{Candidate, LEASE, Step};
use entente_drivers::Fence;
use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tracing::{info, warn};

use crate::{
    api_error,
    clock::{Clock, ClockSkew},
    metrics::Metrics,
    readiness::Readiness,
    shutdown::Shutdown,
};
use lease::{Changes, Holding, LeaseApi, Written};

pub use entente_domain::election::Terms;

/// Name of the election in [`Readiness`].
const COMPONENT: &str = "election";

/// Leadership of this replica, as the controllers see it.
#[derive(Clone, Debug)]
pub struct Leadership {
    begun: watch::Receiver<bool>,
    wanted: watch::Sender<bool>,
}

impl Leadership {
    /// Returns the leadership of the only replica.
    pub fn of_the_only_replica() -> Self {
        Self {
            begun: watch::channel(true).1,
            wanted: watch::Sender::new(true),
        }
    }

    /// Says that this replica is ready to lead, and waits until it has begun to.
    pub async fn begun(&self) {
        self.wanted.send_replace(true);
        if self.begun.clone().wait_for(|begun| *begun).await.is_err() {
            // The election is over, so this replica never leads.
            std::future::pending::<()>().await;
        }
    }
}

/// End of an election.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It was asked to stop, and gave the Lease back if it had it.
    Stopped,
    /// Another replica has led since, or a person removed the Lease.
    Lost,
}

/// Parts of the operator that an election uses.
#[derive(Clone)]
pub struct ElectionOptions {
    /// A client of its own: a renewal must not wait for the requests of the controllers.
    pub client: Client,
    /// The operator's own namespace, where the Lease is.
    pub namespace: String,
    /// Name of this replica, which no other process has at once.
    pub identity: String,
    /// Times of the election.
    pub terms: Terms,
    /// The wall clock, with its difference to that of the API server, in whose time the Lease is
    /// written.
    pub clock: Arc<dyn Clock>,
    /// Difference of that clock.
    pub skew: Arc<ClockSkew>,
    /// Metrics, which say that it leads.
    pub metrics: Arc<Metrics>,
    /// Readiness, which says that the Lease cannot be read or written.
    pub readiness: Arc<Readiness>,
}

/// News for the log.
#[derive(Eq, PartialEq)]
enum News {
    Leads,
    Follows(String),
    NobodyLeads,
}

/// The election, as one replica takes part in it.
pub struct Election {
    lease: LeaseApi,
    changes: Changes,
    candidate: Candidate,
    options: ElectionOptions,
    fence: Fence,
    leadership: watch::Sender<bool>,
    /// True once this replica is ready to lead: one that is not must not keep another from it.
    wanted: watch::Receiver<bool>,
    began: Instant,
    /// Transitions of the term that was begun last, and its beginning.
    acquired: Option<(i32, Timestamp)>,
    /// News that the log said last.
    said: Option<News>,
    /// Failures of requests in a row.
    failures: u32,
    /// Problem of the last one, which the log has.
    failing: Option<String>,
}

impl Election {
    /// Returns an election, the leadership that it announces and the fence that it opens. Sends
    /// nothing before it is [run](Self::run).
    pub fn new(options: ElectionOptions) -> (Self, Leadership, Fence) {
        let (leadership, begun) = watch::channel(false);
        let (wanted, is_wanted) = watch::channel(false);
        let fence = Fence::closed();
        let lease = LeaseApi::new(&options.client, &options.namespace);
        let election = Self {
            changes: Changes::of(&lease),
            lease,
            candidate: Candidate::new(options.identity.clone(), options.terms),
            options,
            fence: fence.clone(),
            leadership,
            wanted: is_wanted,
            began: Instant::now(),
            acquired: None,
            said: None,
            failures: 0,
            failing: None,
        };
        (election, Leadership { begun, wanted }, fence)
    }

    /// Takes part, once this replica is ready to lead, until another one has led, or until `stop`, which
    /// has to come after everything that acts has ended: the Lease is given back then.
    pub async fn run(mut self, stop: Shutdown) -> Ended {
        tokio::select! {
            _ = self.wanted.wait_for(|wanted| *wanted) => {}
            () = stop.requested() => {}
        }
        loop {
            if stop.is_requested() {
                self.give_back().await;
                return Ended::Stopped;
            }
            match self.candidate.next(self.now()) {
                Step::Read => self.read().await,
                Step::Hold {
                    version,
                    transitions,
                } => self.hold(version, transitions).await,
                Step::Wait { until } => self.wait(until, &stop).await,
                Step::End => return Ended::Lost,
            }
            self.announce();
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns the time by the clock of the API server.
    fn server_time(&self) -> Timestamp {
        let ahead = self.options.skew.ahead();
        let now = self.options.clock.now();
        now.checked_sub(ahead).unwrap_or(now)
    }

    async fn wait(&mut self, until: Duration, stop: &Shutdown) {
        let until = self.began + until;
        let version = self.candidate.followed_version().map(str::to_owned);
        let change = async {
            match &version {
                Some(version) => self.changes.next(version).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.requested() => {}
            () = sleep_until(until) => {}
            lease = change => {
                let now = self.began.elapsed();
                self.candidate.read(lease, now);
            }
        }
    }

    async fn read(&mut self) {
        let read = timeout(self.options.terms.request(), self.lease.read()).await;
        match read {
            Ok(Ok(lease)) => {
                self.succeeded();
                let now = self.now();
                self.candidate.read(lease, now);
            }
            Ok(Err(problem)) => self.failed("read", &api_error::words(&problem)),
            Err(_) => self.failed("read", "the API server did not answer in time"),
        }
    }

    async fn hold(&mut self, version: Option<String>, transitions: i32) {
        let now = self.server_time();
        let acquired = match self.acquired {
            Some((term, acquired)) if term == transitions => acquired,
            _ => now,
        };
        let holding = Holding {
            holder: Some(&self.options.identity),
            duration: self.options.terms.duration,
            transitions,
            acquired,
            renewed: now,
        };
        let sent = self.now();
        let written = self.lease.write(version.as_deref(), holding);
        match timeout(self.options.terms.request(), written).await {
            Ok(Ok(Written::Done(lease))) => {
                self.succeeded();
                self.acquired = Some((transitions, acquired));
                self.candidate.held(lease, sent);
                self.open();
            }
            Ok(Ok(Written::Refused)) => self.candidate.refused(),
            Ok(Err(problem)) => self.failed("write", &api_error::words(&problem)),
            Err(_) => self.failed("write", "the API server did not answer in time"),
        }
    }

    /// Opens the fence until the end of the time for which it leads.
    fn open(&self) {
        let now = self.now();
        let until = self.candidate.leads_until().unwrap_or(now);
        self.fence.open_for(until.saturating_sub(now));
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.failing = None;
        self.options.readiness.set_ready(COMPONENT);
    }

    fn failed(&mut self, act: &str, problem: &str) {
        let now = self.now();
        self.candidate.failed(now);
        self.failures = self.failures.saturating_add(1);
        // It is tried again every second or so.
        if self.failing.replace(problem.to_owned()).as_deref() != Some(problem) {
            warn!(
                lease = LEASE,
                act, problem, "a request for the Lease failed; it is tried again"
            );
        }
        // Once is common.
        if self.failures > 1 {
            let namespace = &self.options.namespace;
            let line = format!("cannot {act} the Lease {namespace}/{LEASE}: {problem}");
            self.options.readiness.set_missing(COMPONENT, vec![line]);
        }
    }

    /// Says who leads, when that has changed.
    fn announce(&mut self) {
        let leads = self.fence.is_open();
        self.options.metrics.leader(leads);
        if leads {
            self.leadership
                .send_if_modified(|begun| !std::mem::replace(begun, true));
        }
        let news = match self.candidate.follows() {
            _ if leads => News::Leads,
            Some(leader) => News::Follows(leader.to_owned()),
            None => News::NobodyLeads,
        };
        if self.said.as_ref() == Some(&news) {
            return;
        }
        let replica = self.candidate.identity();
        match &news {
            News::Leads => info!(replica, "this replica leads"),
            News::Follows(leader) => info!(replica, leader, "this replica stands by"),
            News::NobodyLeads => info!(replica, "no replica is known to lead"),
        }
        self.said = Some(news);
    }

    /// Gives the Lease back, so that another replica need not wait until it expires. One failure
    /// costs that time and nothing else.
    async fn give_back(&mut self) {
        self.fence.close();
        self.options.metrics.leader(false);
        let Some((version, transitions)) = self.candidate.release() else {
            return;
        };
        let now = self.server_time();
        let holding = Holding {
            holder: None,
            duration: Duration::from_secs(1),
            transitions,
            acquired: now,
            renewed: now,
        };
        let written = self.lease.write(Some(&version), holding);
        match timeout(self.options.terms.request(), written).await {
            Ok(Ok(Written::Done(_))) => info!("the Lease is given back"),
            Ok(Ok(Written::Refused)) => info!("the Lease was changed by others"),
            Ok(Err(problem)) => {
                let problem = api_error::words(&problem);
                warn!(problem, "the Lease could not be given back");
            }
            Err(_) => warn!("the Lease could not be given back in time"),
        }
    }
}
