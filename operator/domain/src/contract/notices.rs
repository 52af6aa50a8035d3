//! Notices: what an outside contract system reports of a contract (B2, K4; api-contracts section 2).
//!
//! Decides the term of a contract: the start that the first notice reports where the term has no date,
//! and the end that one reports, with the verdict on each notice. A start that was accepted stays for
//! ever, and so does an end that has passed; `status.term` is the memory, and what the subscriptions say where that was
//! lost. It must never promise
//! anything backwards, nor take back what was owed before a notice came. Called by `parsed` and `wake`.

use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Contract, ContractNotice, NoticeType, ResolvedTerm, ServiceSubscription, StartOn,
};
use jiff::{SignedDuration, Timestamp};

use super::parsed::created;
use super::{Fault, is_own, is_terminating, name_of, unsupported};
use crate::time::{
    TermError, end_of_term, expected_until, instant, resolve_accepted_term, term_in_words, zone,
    zone_database,
};

/// Time between an event and its notice within which the instant of the event counts.
const IN_TIME: SignedDuration = SignedDuration::from_mins(5);
/// Length of a term that ends where it begins, and of one that never began: no term has none.
const SHORTEST: SignedDuration = SignedDuration::from_millis(1);

/// The instant from which a notice applies, or its fault.
pub type NoticeVerdict = Result<Timestamp, Fault>;

/// A contract whose start no notice has reported yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Awaited {
    /// The first instant after the last day on which it is expected to start.
    pub expected_until: Option<Timestamp>,
    /// The instant at which it is over although it has not started.
    pub over_at: Option<Timestamp>,
}

impl Awaited {
    /// True if the contract was expected to start before now.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.expected_until.is_some_and(|until| until <= now)
    }

    /// Returns the instants at which something changes without an event.
    pub(super) fn dates(&self) -> impl Iterator<Item = Timestamp> {
        [self.expected_until, self.over_at].into_iter().flatten()
    }
}

/// The term of a contract, as its spec and its notices say it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Noticed {
    /// `None` while the start is awaited.
    pub(super) term: Option<ResolvedTerm>,
    pub(super) awaited: Option<Awaited>,
    /// By name.
    pub(super) verdicts: BTreeMap<String, NoticeVerdict>,
}

/// Returns the term of a contract, and the verdict on each of its notices.
///
/// The order of the notices makes no difference.
///
/// # Errors
/// Returns the fault of the texts of the term.
pub(super) fn noticed<'a>(
    contract: &Contract,
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    notices: impl IntoIterator<Item = &'a ContractNotice>,
    now: Timestamp,
) -> Result<Noticed, TermError> {
    let mut found = Noticed::default();
    let mut reports = Vec::new();
    for notice in notices {
        if notice.metadata.deletion_timestamp.is_some() {
            continue;
        }
        match Report::new(notice, now) {
            Ok(report) => reports.push(report),
            Err(fault) => {
                let name = notice.metadata.name.clone().unwrap_or_default();
                found.verdicts.insert(name, Err(fault));
            }
        }
    }
    reports.sort_by_key(|it| (it.created, it.name));
    let status = contract.status.as_ref();
    Reading {
        contract,
        accepted: status.and_then(|status| status.term.as_ref()),
        begun: begun(contract, subscriptions, now),
        reports: &reports,
        now,
    }
    .fill(&mut found)?;
    Ok(found)
}

/// Returns the start that the subscriptions of a contract have, if it has come.
fn begun<'a>(
    contract: &Contract,
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    now: Timestamp,
) -> Option<Timestamp> {
    let subscriptions = subscriptions.into_iter();
    let own = subscriptions.filter(|found| is_own(contract, found) && !is_terminating(found));
    let starts = own.map(|found| found.spec.contract.start);
    starts.filter(|start| *start <= now).min()
}

/// True if a term is that of a contract that was over before any notice has started it.
pub(super) fn never_began(contract: &Contract, term: &ResolvedTerm) -> bool {
    contract.spec.term.start_on.is_some()
        && term.started_by.is_none()
        && term.end.is_some_and(|end| is_shortest(term.start, end))
}

/// True if a notice has ended a contract at its start, or before it.
pub(super) fn ends_at_start(term: &ResolvedTerm) -> bool {
    let end = term.end.filter(|_| term.ended_by.is_some());
    end.is_some_and(|end| is_shortest(term.start, end))
}

fn is_shortest(start: Timestamp, end: Timestamp) -> bool {
    end.duration_since(start) == SHORTEST
}

/// A notice with its instants.
#[derive(Clone, Copy)]
struct Report<'a> {
    name: &'a str,
    r#type: NoticeType,
    created: Timestamp,
    at: Timestamp,
}

impl<'a> Report<'a> {
    fn new(notice: &'a ContractNotice, now: Timestamp) -> Result<Self, Fault> {
        let at = instant("at", &notice.spec.at).map_err(|error| unsupported(error.to_string()))?;
        let created = notice.metadata.creation_timestamp.as_ref();
        Ok(Self {
            name: notice.metadata.name.as_deref().unwrap_or_default(),
            r#type: notice.spec.r#type,
            created: created.map_or(now, |created| created.0),
            at,
        })
    }

    /// Returns the start that it reports: one that is reported late is promised from then on.
    fn start(&self) -> Timestamp {
        if self.created.duration_since(self.at).abs() <= IN_TIME {
            self.at
        } else {
            self.created
        }
    }

    /// Returns the end that it reports: one that is reported late takes nothing back.
    fn end(&self) -> Timestamp {
        self.at.max(self.created)
    }
}

/// Sources of the term of a contract.
struct Reading<'a> {
    contract: &'a Contract,
    /// The term that was accepted last.
    accepted: Option<&'a ResolvedTerm>,
    /// The start that has come by the subscriptions, which tell it when the status was lost.
    begun: Option<Timestamp>,
    /// In the order in which they were made.
    reports: &'a [Report<'a>],
    now: Timestamp,
}

impl<'a> Reading<'a> {
    fn of(&self, r#type: NoticeType) -> impl Iterator<Item = &'a Report<'a>> {
        self.reports.iter().filter(move |it| it.r#type == r#type)
    }

    fn fill(&self, found: &mut Noticed) -> Result<(), TermError> {
        let term = &self.contract.spec.term;
        match term.start_on {
            None => {
                let read = resolve_accepted_term(term, None, self.accepted, self.now)?;
                found.term = read.map(|read| self.with_memory(read));
            }
            Some(StartOn::Notice) => self.start(found)?,
        }
        self.end(found);
        self.judge_starts(found);
        Ok(())
    }

    /// Finds the start of a contract that has no date.
    fn start(&self, found: &mut Noticed) -> Result<(), TermError> {
        let term = &self.contract.spec.term;
        let resolve = |start| resolve_accepted_term(term, Some(start), self.accepted, self.now);
        let stays = |it: &&ResolvedTerm| it.started_by.is_some() || it.start <= self.now;
        if let Some(accepted) = self.accepted.filter(stays) {
            if never_began(self.contract, accepted) && accepted.of == Some(term_in_words(term)) {
                found.term = Some(accepted.clone());
                return Ok(());
            }
            let read = resolve(accepted.start)?;
            found.term = read.map(|read| self.with_memory(read));
            return Ok(());
        }
        if let Some(begun) = self.begun {
            let starts = || self.of(NoticeType::Started);
            let by = starts()
                .find(|it| it.start() == begun)
                .or_else(|| starts().next());
            found.term = resolve(begun)?.map(|read| ResolvedTerm {
                started_by: by.map(|it| it.name.into()),
                ..read
            });
            return Ok(());
        }
        self.await_start(found)
    }

    /// Finds the start of a contract without a date that has not begun.
    fn await_start(&self, found: &mut Noticed) -> Result<(), TermError> {
        let term = &self.contract.spec.term;
        // The faults of its texts.
        resolve_accepted_term(term, None, None, self.now)?;
        let zone = zone(&term.time_zone).map_err(|source| TermError::Zone { source })?;
        let made = created(self.contract, self.now);
        let noticed = self.earliest_end(made).map(|(end, by)| (end, Some(by)));
        let of_spec = end_of_term(term, None, &zone)?.map(|end| (end, None));
        let over = noticed
            .into_iter()
            .chain(of_spec)
            .min_by_key(|(end, _)| *end);
        let mut starts = self
            .of(NoticeType::Started)
            .map(|it| (it.start().max(made), it));
        let is_in_time = |start: Timestamp| over.is_none_or(|(over, _)| start < over);
        if let Some((start, report)) = starts.find(|(start, _)| is_in_time(*start)) {
            let read = resolve_accepted_term(term, Some(start), self.accepted, self.now)?;
            found.term = read.map(|read| ResolvedTerm {
                started_by: Some(report.name.into()),
                ..read
            });
            return Ok(());
        }
        match over.filter(|(over, _)| *over <= self.now) {
            Some((over, by)) => {
                found.term = Some(ResolvedTerm {
                    start: over.saturating_sub(SHORTEST).unwrap_or(Timestamp::MIN),
                    end: Some(over),
                    ended_by: by.map(Into::into),
                    of: Some(term_in_words(term)),
                    zone_database: Some(zone_database().into()),
                    ..ResolvedTerm::default()
                });
            }
            None => {
                found.awaited = Some(Awaited {
                    expected_until: expected_until(term)?,
                    over_at: over.map(|(over, _)| over),
                });
            }
        }
        Ok(())
    }

    /// Returns a term with the notices that are known of its instants.
    fn with_memory(&self, read: ResolvedTerm) -> ResolvedTerm {
        let accepted = |same: &dyn Fn(&ResolvedTerm) -> bool| self.accepted.filter(|it| same(it));
        let started = accepted(&|it| it.start == read.start);
        let ended = accepted(&|it| it.end == read.end && self.has_passed(it.end));
        ResolvedTerm {
            started_by: started.and_then(|it| it.started_by.clone()),
            ended_by: ended.and_then(|it| it.ended_by.clone()),
            ..read
        }
    }

    fn has_passed(&self, end: Option<Timestamp>) -> bool {
        end.is_some_and(|end| end <= self.now)
    }

    /// Returns the earliest end that is reported, `least` at the earliest, with the first notice of those
    /// that report it.
    fn earliest_end(&self, least: Timestamp) -> Option<(Timestamp, &'a str)> {
        let ends = self.of(NoticeType::Ended);
        let ends = ends.map(|it| (it.end().max(least), it.name));
        ends.min_by_key(|(end, _)| *end)
    }

    /// Ends a term by the notice that reports the earliest end, and judges those that report one.
    fn end(&self, found: &mut Noticed) {
        let Noticed {
            term,
            awaited,
            verdicts,
        } = found;
        let (end, by) = if let Some(term) = term {
            let is_kept = |it: &ResolvedTerm| it.end == term.end && self.has_passed(it.end);
            if !self.accepted.is_some_and(is_kept)
                && !never_began(self.contract, term)
                && let Some((end, name)) = self.earliest_end(shortly_after(term.start))
                && term.end.is_none_or(|before| end < before)
            {
                term.end = Some(end);
                term.ended_by = Some(name.into());
            }
            (term.end, term.ended_by.as_deref().map(ToOwned::to_owned))
        } else {
            let over = awaited.as_ref().and_then(|awaited| awaited.over_at);
            let by = self.earliest_end(created(self.contract, self.now));
            let by = by.filter(|(end, _)| Some(*end) == over);
            (over, by.map(|(_, name)| name.to_owned()))
        };
        for report in self.of(NoticeType::Ended) {
            let is_the_one = by.as_deref() == Some(report.name);
            let verdict = match end {
                Some(end) if is_the_one => Ok(end),
                _ => Err(self.past_end(by.as_deref())),
            };
            verdicts.insert(report.name.to_owned(), verdict);
        }
    }

    fn judge_starts(&self, found: &mut Noticed) {
        let term = found.term.as_ref();
        let by = term.and_then(|term| term.started_by.as_deref());
        let ended_by = term.and_then(|term| term.ended_by.as_deref());
        let is_by_date = self.contract.spec.term.start_on.is_none();
        let has_begun = term.is_some_and(|it| !never_began(self.contract, it));
        for report in self.of(NoticeType::Started) {
            let verdict = match term {
                Some(term) if by == Some(report.name) => Ok(term.start),
                _ if is_by_date => Err(self.not_expected()),
                _ if has_begun => Err(self.already_started(by)),
                _ => Err(self.past_end(ended_by)),
            };
            found.verdicts.insert(report.name.to_owned(), verdict);
        }
    }

    fn not_expected(&self) -> Fault {
        Fault {
            reason: Reason::NotExpected,
            message: format!(
                "spec.type is \"Started\", and Contract {} starts by its date: only one with \
                 term.startOn is started by a notice",
                name_of(self.contract)
            ),
        }
    }

    fn already_started(&self, by: Option<&str>) -> Fault {
        let by = by.map(|by| format!(" by ContractNotice {by}"));
        Fault {
            reason: Reason::AlreadyStarted,
            message: format!(
                "Contract {} was started before{}: the first report counts",
                name_of(self.contract),
                by.unwrap_or_default()
            ),
        }
    }

    fn past_end(&self, by: Option<&str>) -> Fault {
        let by = by.map(|by| format!(", by ContractNotice {by}"));
        Fault {
            reason: Reason::PastEnd,
            message: format!(
                "Contract {} has ended, or ends, before that{}: status.term of it has the instant",
                name_of(self.contract),
                by.unwrap_or_default()
            ),
        }
    }
}

fn shortly_after(start: Timestamp) -> Timestamp {
    start.saturating_add(SHORTEST).unwrap_or(Timestamp::MAX)
}
