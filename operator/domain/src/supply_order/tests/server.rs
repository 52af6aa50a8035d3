//! An order server in memory for random schedules: it loses requests and answers, is late, and logs
//! every order that it makes.

use jiff::{SignedDuration, Timestamp};

use super::*;

/// Fate of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// It is carried out and answered.
    Answered,
    /// It does not arrive, and there is no answer.
    Lost,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is carried out, and answered with a server error.
    FailedAfter,
    /// It is answered with a server error, and not carried out.
    FailedBefore,
    /// The connection is refused.
    Refused,
    /// The server is busy: nothing is carried out.
    Busy,
    /// There is no answer, and it is carried out so many minutes later: less than the quiet time.
    Late(i64),
    /// A request with the key is at work, and makes the order.
    InFlight,
    /// It is accepted without a word of its operation, and carried out so many minutes later.
    Queued(i64),
    /// It is accepted, and an operation makes the order.
    Accepted,
    /// The network brings it twice.
    Doubled,
}

pub(super) struct Server {
    pub(super) terms: ServerTerms,
    pub(super) is_searchable: bool,
    /// Every order that was made, with its reference and the instant.
    pub(super) log: Vec<(ServerOrder, Timestamp)>,
    late: Vec<(Timestamp, OrderBody)>,
    operations: Vec<String>,
}

impl Server {
    pub(super) fn new(terms: ServerTerms, is_searchable: bool) -> Self {
        Self {
            terms,
            is_searchable,
            log: Vec::new(),
            late: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// Carries out what was late.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let (due, later) = self.late.drain(..).partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(Timestamp, OrderBody)> = due;
        for (at, body) in due {
            self.make(&body, at);
        }
    }

    fn make(&mut self, body: &OrderBody, now: Timestamp) -> ServerOrder {
        let known = self.log.iter().find(|(order, made)| {
            order.reference.as_ref() == Some(&body.reference)
                && now.duration_since(*made) < self.terms.kept_for
        });
        if let Some((known, _)) = known.filter(|_| self.terms.honours_key) {
            return known.clone();
        }
        let order = ServerOrder {
            id: format!("PO-{}", self.log.len() + 1),
            reference: Some(body.reference.clone()),
            placed: Some(now),
            serial_number: Some(body.device.serial_number.clone()),
            part_numbers: vec![body.lines[0].part_number.clone()],
            state: Some(entente_crds::v1alpha1::OrderState::Accepted),
            ..ServerOrder::default()
        };
        self.log.push((order.clone(), now));
        order
    }

    pub(super) fn answer(
        &mut self,
        request: &OrderRequest,
        fate: Fate,
        now: Timestamp,
    ) -> OrderAnswer {
        self.advance(now);
        let failed = |kind, doubtful: bool| {
            OrderAnswer::Failed(Failure {
                doubtful: doubtful && request.writes(),
                ..Failure::new(kind, "scripted")
            })
        };
        match fate {
            Fate::Lost => failed(FailureKind::TimedOut, true),
            Fate::FailedBefore => failed(FailureKind::ProtocolError, true),
            Fate::Refused => failed(FailureKind::Unreachable, false),
            Fate::Busy => failed(FailureKind::Busy, false),
            Fate::Late(minutes) => {
                self.postpone(request, minutes, now);
                failed(FailureKind::TimedOut, true)
            }
            Fate::InFlight if matches!(request, OrderRequest::Place(_)) => {
                self.postpone(request, 5, now);
                OrderAnswer::InFlight { retry_after: None }
            }
            Fate::Queued(minutes) if matches!(request, OrderRequest::Place(_)) => {
                self.postpone(request, minutes, now);
                OrderAnswer::UnderWay {
                    path: None,
                    retry_after: None,
                }
            }
            Fate::AnswerLost => {
                self.carry_out(request, now);
                failed(FailureKind::TimedOut, true)
            }
            Fate::FailedAfter => {
                self.carry_out(request, now);
                failed(FailureKind::ProtocolError, true)
            }
            Fate::Accepted if matches!(request, OrderRequest::Place(_)) => {
                let OrderAnswer::Order(order) = self.carry_out(request, now) else {
                    return OrderAnswer::Missing;
                };
                self.operations.push(order.id.clone());
                OrderAnswer::UnderWay {
                    path: Some(format!("v1/orders/operations/{}", order.id)),
                    retry_after: None,
                }
            }
            // Of a server without keys the network's double would be an order of its own, which nobody
            // on this side can prevent.
            Fate::Doubled if self.terms.honours_key => {
                self.carry_out(request, now);
                self.carry_out(request, now)
            }
            _ => self.carry_out(request, now),
        }
    }

    fn postpone(&mut self, request: &OrderRequest, minutes: i64, now: Timestamp) {
        if let OrderRequest::Place(body) = request {
            let at = now + SignedDuration::from_mins(minutes);
            self.late.push((at, (**body).clone()));
        }
    }

    fn carry_out(&mut self, request: &OrderRequest, now: Timestamp) -> OrderAnswer {
        let find = |log: &[(ServerOrder, Timestamp)], matches: &dyn Fn(&ServerOrder) -> bool| {
            let found = log.iter().filter(|(order, _)| matches(order));
            OrderAnswer::Orders(found.map(|(order, _)| order.clone()).collect())
        };
        let one = |log: &[(ServerOrder, Timestamp)], id: &str| {
            let found = log.iter().find(|(order, _)| order.id == id);
            found.map_or(OrderAnswer::Missing, |(order, _)| answered(order.clone()))
        };
        match request {
            OrderRequest::FindByReference { .. } | OrderRequest::FindOpen { .. }
                if !self.is_searchable =>
            {
                OrderAnswer::NotSearchable
            }
            OrderRequest::FindByReference { reference } => find(&self.log, &|order| {
                order.reference.as_ref() == Some(reference)
            }),
            OrderRequest::FindOpen { serial_number } => find(&self.log, &|order| {
                order.serial_number.as_ref() == Some(serial_number)
            }),
            OrderRequest::Place(body) => answered(self.make(body, now)),
            OrderRequest::Read { id } => one(&self.log, id),
            OrderRequest::ReadOperation { path } => {
                let id = path.rsplit('/').next().unwrap_or_default();
                one(&self.log, id)
            }
            OrderRequest::Cancel { .. } => OrderAnswer::UnderWay {
                path: None,
                retry_after: None,
            },
        }
    }
}
