//! The orphans of a Connection from pass to pass, beside a broker that answers as a table says.
//!
//! Decides nothing itself; used by the tests of removals.

use entente_crds::v1alpha1::{Orphan, Protocol};
use jiff::SignedDuration;

use super::super::*;
use crate::{
    catalogue::{Removals, Turn, may_deprovision, report_orphans},
    delivery::{RemovalAnswer, RemovalRequest},
    remote::{Catalog, InstanceReading, Offering, OperationState, ServerAnswer},
};

pub(super) fn orphan(id: &str) -> Orphan {
    Orphan {
        instance_id: id.to_owned(),
        service_id: "o-1".to_owned(),
        plan_id: "p-1".to_owned(),
        since: NOW,
        reason: "the withdrawal of acme/a.b.c was given up".into(),
        ..Orphan::default()
    }
}

/// One answer of a broker, in the words of the table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    /// 2xx or 410 to a removal, `succeeded` to a poll, 404 to a fetch.
    Yes,
    /// 202 with the operation `d`, `in progress`, or 200 to a fetch.
    NotYet,
    /// 404 to a removal, 410 to a poll.
    Unknown,
    /// `failed` to a poll.
    Failed,
    /// No such operation (404 to a poll).
    NoSuchOperation,
    Fails(FailureKind),
    /// A failure after which the broker may have acted.
    Lost(FailureKind),
    /// 429 or 503 with a Retry-After in minutes.
    Later(FailureKind, i64),
}

impl Says {
    fn failure(self) -> Option<Failure> {
        match self {
            Self::Fails(kind) => Some(Failure::new(kind, "scripted")),
            Self::Lost(kind) => Some(Failure {
                doubtful: true,
                ..Failure::new(kind, "scripted")
            }),
            Self::Later(kind, minutes) => Some(Failure {
                retry_after: Some(SignedDuration::from_mins(minutes)),
                ..Failure::new(kind, "scripted")
            }),
            Self::NoSuchOperation => Some(Failure::new(FailureKind::Unsupported, "scripted")),
            _ => None,
        }
    }

    pub(super) fn answer(self, request: &RemovalRequest) -> RemovalAnswer {
        let failure = self.failure();
        match request {
            RemovalRequest::Deprovision => RemovalAnswer::Server(match (failure, self) {
                (Some(failure), _) => Err(failure),
                (None, Self::NotYet) => Ok(ServerAnswer::UnderWay {
                    operation: Some("d".to_owned()),
                    retry_after: None,
                }),
                (None, Self::Unknown) => Ok(ServerAnswer::Absent {
                    message: "HTTP 404: no such instance".to_owned(),
                }),
                (None, _) => Ok(ServerAnswer::Done),
            }),
            RemovalRequest::Poll { .. } => RemovalAnswer::Operation(match (failure, self) {
                (Some(failure), _) => Err(failure),
                (None, Self::NotYet) => Ok(OperationState::InProgress { retry_after: None }),
                (None, Self::Unknown) => Ok(OperationState::Gone),
                (None, Self::Failed) => Ok(OperationState::Failed(Failure::of_operation("no"))),
                (None, _) => Ok(OperationState::Succeeded),
            }),
            RemovalRequest::Fetch { retrievable: false } => {
                RemovalAnswer::Instance(Ok(InstanceReading::NotRetrievable))
            }
            RemovalRequest::Fetch { .. } => RemovalAnswer::Instance(match (failure, self) {
                (Some(failure), _) => Err(failure),
                (None, Self::NotYet) => Ok(InstanceReading::Present {
                    service_id: None,
                    plan_id: None,
                    parameters: None,
                }),
                (None, _) => Ok(InstanceReading::Absent),
            }),
        }
    }
}

/// Answers in turn, by `DELETE`, `POLL` and `GET`; the last one of each repeats.
pub(super) struct Script {
    answers: [&'static [Says]; 3],
    asked: [usize; 3],
}

impl Script {
    pub(super) fn new(
        delete: &'static [Says],
        poll: &'static [Says],
        get: &'static [Says],
    ) -> Self {
        Self {
            answers: [delete, poll, get],
            asked: [0; 3],
        }
    }

    pub(super) fn answer(&mut self, request: &RemovalRequest) -> RemovalAnswer {
        let kind = match request {
            RemovalRequest::Deprovision => 0,
            RemovalRequest::Poll { .. } => 1,
            RemovalRequest::Fetch { .. } => 2,
        };
        let answers = self.answers[kind];
        let said = answers[self.asked[kind].min(answers.len() - 1)];
        self.asked[kind] += 1;
        said.answer(request)
    }
}

/// The orphans of a Connection from pass to pass, as the controller drives them.
pub(super) struct Play {
    pub(super) connection: Connection,
    pub(super) removals: Removals,
    pub(super) holder: Option<String>,
    pub(super) instances: BrokerInstances,
    pub(super) now: Timestamp,
    /// The requests, each with the minute of its instant.
    pub(super) asked: Vec<(i64, String)>,
}

impl Play {
    pub(super) fn of(orphans: Vec<Orphan>) -> Self {
        let mut connection = broker();
        connection.status.get_or_insert_default().orphans = orphans;
        let mut play = Self {
            connection,
            removals: Removals::default(),
            holder: None,
            instances: BrokerInstances::default(),
            now: NOW,
            asked: Vec::new(),
        };
        play.probe(true);
        play
    }

    pub(super) fn probe(&mut self, retrievable: bool) {
        let offering = Offering {
            id: "o-1".to_owned(),
            instances_retrievable: retrievable,
            ..Offering::default()
        };
        let catalog = Catalog {
            offerings: vec![offering],
            odd: Vec::new(),
        };
        self.removals.probed(Some(catalog.into()));
    }

    pub(super) fn pass(
        &mut self,
        mut broker: impl FnMut(&RemovalRequest) -> RemovalAnswer,
    ) -> Turn {
        let holder = self.holder.clone();
        let turn = self
            .removals
            .turn(&self.connection, |_| holder.clone(), self.now);
        self.removals.begin(&turn, self.now);
        self.write();
        for id in &turn.attempts {
            let begun = self.removals.attempt(&self.connection, id, self.now);
            let Some((_, mut attempt)) = begun else {
                continue;
            };
            while let Some(request) = attempt.next(self.now) {
                let removes = request == RemovalRequest::Deprovision;
                if removes && !may_deprovision(&self.connection, id, self.holder.is_some()) {
                    break;
                }
                let minute = self.now.duration_since(NOW).as_secs() / 60;
                self.asked.push((minute, format!("{request:?} {id}")));
                attempt.record(broker(&request), self.now);
            }
            let end = attempt.end(self.now);
            self.removals
                .ended(&self.connection, id, end, self.now, 1.0);
        }
        let holder = self.holder.clone();
        let next = self
            .removals
            .turn(&self.connection, |_| holder.clone(), self.now);
        self.write();
        let more = (!next.attempts.is_empty()).then_some(self.now);
        Turn {
            wake: more.into_iter().chain(next.wake).min(),
            ..turn
        }
    }

    pub(super) fn write(&mut self) {
        let (connection, now) = (&self.connection, self.now);
        let status = report_orphans(connection, &self.instances, &self.removals, now);
        self.connection.status = Some(status);
    }

    /// Goes on for some time, with an answered probe every ten minutes.
    pub(super) fn go_on(&mut self, time: SignedDuration, retrievable: bool, broker: &mut Script) {
        let end = self.now + time;
        let mut probe = self.now + SignedDuration::from_mins(10);
        while self.now < end && !self.left().is_empty() {
            let turn = self.pass(|request| broker.answer(request));
            self.now = turn.wake.unwrap_or(end).min(probe).max(self.now);
            if self.now >= probe {
                self.probe(retrievable);
                probe = self.now + SignedDuration::from_mins(10);
            }
        }
    }

    pub(super) fn left(&self) -> Vec<&str> {
        let orphans = self.connection.status.iter().flat_map(|it| &it.orphans);
        let left = orphans.filter(|orphan| orphan.gone.is_none());
        left.map(|orphan| orphan.instance_id.as_str()).collect()
    }

    pub(super) fn message(&self) -> String {
        let mut orphans = self.connection.status.iter().flat_map(|it| &it.orphans);
        let message = orphans.find_map(|it| it.message.as_ref());
        message.map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn is_marked(&self) -> bool {
        let mut orphans = self.connection.status.iter().flat_map(|it| &it.orphans);
        orphans.any(|orphan| orphan.removal.is_some())
    }

    pub(super) fn removals_sent(&self) -> usize {
        let sent = self.asked.iter();
        sent.filter(|(_, it)| it.starts_with("Deprovision")).count()
    }
}

fn broker() -> Connection {
    let mut connection = Connection::new("northwind", ConnectionSpec::default());
    connection.spec.protocol = Protocol::OSB;
    connection
}
