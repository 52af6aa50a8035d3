//! A printer of RFC 3995 in memory, with faults, and the loop around [`Listening`] on a clock of its own.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::listening::{Circumstances, Listening, Step};
use crate::remote::{
    Failure, FailureKind, FetchedEvent, FetchedEvents, NotificationAnswer, NotificationRequest,
    PrinterEvent,
};

/// A printer and its lies.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a lie of its own, and none excludes another"
)]
pub(super) struct Printer {
    pub(super) supports: BTreeSet<PrinterEvent>,
    pub(super) interval: Option<SignedDuration>,
    /// Time for which it holds an answer; none if it does not.
    pub(super) holds_for: Option<SignedDuration>,
    pub(super) grants: Grant,
    /// True if an answer that is waited for never ends.
    pub(super) never_ends_waits: bool,
    /// An operation, and the answer to it.
    pub(super) refuses: Option<(&'static str, Result<NotificationAnswer, Failure>)>,
    /// False if it repeats events that were fetched.
    pub(super) minds_numbers: bool,
    /// False if its events have no numbers.
    pub(super) tells_numbers: bool,
    /// Id of the subscription that its events are of, if that is not the one that is asked for.
    pub(super) mixes_in: Option<i32>,
    /// Name of its events, if that is not what happened.
    pub(super) renames: Option<&'static str>,
    /// True if it tells of an event when the next one has happened.
    pub(super) is_one_behind: bool,
    pub(super) last_id: i32,
    pub(super) subscriptions: BTreeSet<i32>,
    pub(super) events: Vec<(i32, &'static str)>,
    pub(super) first_number: i32,
    pub(super) next_number: i32,
}

/// Lease that a printer tells.
pub(super) enum Grant {
    AsAsked,
    Seconds(i64),
    Nothing,
}

impl Default for Printer {
    fn default() -> Self {
        Self {
            supports: PrinterEvent::ALL.into(),
            interval: Some(SignedDuration::from_secs(60)),
            holds_for: None,
            grants: Grant::AsAsked,
            never_ends_waits: false,
            refuses: None,
            minds_numbers: true,
            tells_numbers: true,
            mixes_in: None,
            renames: None,
            is_one_behind: false,
            last_id: 0,
            subscriptions: BTreeSet::new(),
            events: Vec::new(),
            first_number: 1,
            next_number: 1,
        }
    }
}

impl Printer {
    pub(super) fn happens(&mut self, keyword: &'static str) {
        self.events.push((self.next_number, keyword));
        self.next_number = self.next_number.saturating_add(1);
    }

    /// Forgets every subscription.
    pub(super) fn restart(&mut self) {
        self.subscriptions.clear();
        self.events.clear();
        self.next_number = 1;
    }

    fn lease(&self, asked: SignedDuration) -> Option<SignedDuration> {
        match self.grants {
            Grant::AsAsked => Some(asked),
            Grant::Seconds(seconds) => Some(SignedDuration::from_secs(seconds)),
            Grant::Nothing => None,
        }
    }

    /// Returns the answer, and the time for which it is held.
    fn answer(
        &mut self,
        request: &NotificationRequest,
    ) -> (Result<NotificationAnswer, Failure>, SignedDuration) {
        let at_once = SignedDuration::ZERO;
        if self.never_ends_waits
            && matches!(request, NotificationRequest::Fetch { waits: true, .. })
        {
            return (
                refused(FailureKind::TimedOut),
                SignedDuration::from_secs(70),
            );
        }
        if let Some((operation, answer)) = &self.refuses
            && *operation == operation_of(request)
        {
            return (answer.clone(), at_once);
        }
        let answer = match request {
            NotificationRequest::Support => NotificationAnswer::Support(self.supports.clone()),
            NotificationRequest::Subscribe { lease, .. } => {
                self.last_id += 1;
                self.subscriptions.insert(self.last_id);
                // One that is new has none of the events before it.
                self.events.clear();
                self.next_number = self.first_number;
                NotificationAnswer::Subscribed {
                    subscription: self.last_id,
                    lease: self.lease(*lease),
                }
            }
            NotificationRequest::Renew { subscription, .. }
            | NotificationRequest::Fetch { subscription, .. }
                if !self.subscriptions.contains(subscription) =>
            {
                NotificationAnswer::NoSuchSubscription
            }
            NotificationRequest::Renew { lease, .. } => NotificationAnswer::Renewed {
                lease: self.lease(*lease),
            },
            NotificationRequest::Cancel { subscription } => {
                self.subscriptions.remove(subscription);
                NotificationAnswer::Cancelled
            }
            NotificationRequest::Fetch {
                subscription,
                from,
                waits,
            } => {
                let fetched = self.fetch(*subscription, *from);
                let held = self
                    .holds_for
                    .filter(|_| *waits && fetched.events.is_empty());
                let answer = Ok(NotificationAnswer::Events(fetched));
                return (answer, held.unwrap_or(at_once));
            }
        };
        (Ok(answer), at_once)
    }

    fn fetch(&self, subscription: i32, from: i32) -> FetchedEvents {
        let is_wanted = |number: i32| !self.minds_numbers || number >= from;
        let told = self.events.len() - usize::from(self.is_one_behind).min(self.events.len());
        let events = self.events[..told].iter();
        let events = events.filter(|(number, _)| is_wanted(*number));
        let id = self.mixes_in.unwrap_or(subscription);
        let event = |(number, keyword): &(i32, &str)| FetchedEvent {
            subscription: Some(id),
            number: self.tells_numbers.then_some(*number),
            event: PrinterEvent::of_keyword(self.renames.unwrap_or(keyword)),
        };
        FetchedEvents {
            events: events.map(event).collect(),
            interval: self.interval,
            is_complete: false,
        }
    }
}

/// A device that is listened to.
pub(super) struct Story {
    pub(super) printer: Printer,
    pub(super) circumstances: Circumstances,
    listening: Option<Listening>,
    now: Timestamp,
    /// Seconds at which a pass was woken, and for what.
    pub(super) wakes: Vec<(i64, BTreeSet<PrinterEvent>)>,
    requests: Vec<(i64, NotificationRequest)>,
}

impl Story {
    pub(super) fn of(printer: Printer) -> Self {
        Self {
            printer,
            circumstances: Circumstances {
                period: SignedDuration::from_mins(5),
                devices: 1,
                may_wait: false,
                fraction: 1.0,
            },
            listening: None,
            now: Timestamp::UNIX_EPOCH,
            wakes: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Runs until this time is over.
    pub(super) fn run_for(&mut self, length: SignedDuration) {
        let end = self.now + length;
        let began = self.now;
        let circumstances = self.circumstances;
        self.listening
            .get_or_insert_with(|| Listening::new(circumstances, began));
        while self.now <= end {
            assert!(self.requests.len() < 10_000, "{:?}", &self.log()[..20]);
            let listening = self.listening.as_ref().unwrap();
            match listening.next(circumstances, self.now) {
                Step::Rest(until) if until > end => {
                    self.now = end;
                    return;
                }
                Step::Rest(until) => {
                    assert!(until > self.now, "it rests until an instant that is over");
                    self.now = until;
                }
                Step::Send(request) => self.send(&request),
            }
        }
    }

    fn send(&mut self, request: &NotificationRequest) {
        let sent = self.now;
        self.requests.push((sent.as_second(), request.clone()));
        let (answer, held) = self.printer.answer(request);
        self.now = sent + held;
        let listening = self.listening.as_mut().unwrap();
        let instants = (sent, self.now);
        let woken = listening.answered(request, answer, self.circumstances, instants);
        if !woken.is_empty() {
            self.wakes.push((self.now.as_second(), woken));
        }
    }

    /// Returns the requests as words, each with its second.
    pub(super) fn log(&self) -> Vec<String> {
        let words = |(at, request): &(i64, NotificationRequest)| match request {
            NotificationRequest::Subscribe { events, lease } => {
                let events = events.iter().map(|event| match event {
                    PrinterEvent::StateChanged => "state",
                    PrinterEvent::ConfigChanged => "config",
                });
                let events = events.collect::<Vec<_>>().join(" ");
                format!("{at} subscribe {events} {}", lease.as_secs())
            }
            NotificationRequest::Fetch { from, waits, .. } => {
                let waits = if *waits { " waits" } else { "" };
                format!("{at} fetch from {from}{waits}")
            }
            other => format!("{at} {}", operation_of(other)),
        };
        self.requests.iter().map(words).collect()
    }

    /// Returns the seconds of the requests of an operation.
    pub(super) fn times_of(&self, operation: &str) -> Vec<i64> {
        let of = |(_, request): &&(i64, NotificationRequest)| operation_of(request) == operation;
        self.requests.iter().filter(of).map(|(at, _)| *at).collect()
    }
}

pub(super) fn operation_of(request: &NotificationRequest) -> &'static str {
    match request {
        NotificationRequest::Support => "support",
        NotificationRequest::Subscribe { .. } => "subscribe",
        NotificationRequest::Renew { .. } => "renew",
        NotificationRequest::Cancel { .. } => "cancel",
        NotificationRequest::Fetch { .. } => "fetch",
    }
}

pub(super) fn state() -> BTreeSet<PrinterEvent> {
    BTreeSet::from([PrinterEvent::StateChanged])
}

pub(super) fn config() -> BTreeSet<PrinterEvent> {
    BTreeSet::from([PrinterEvent::ConfigChanged])
}

pub(super) fn refused(kind: FailureKind) -> Result<NotificationAnswer, Failure> {
    Err(Failure::new(kind, "refused"))
}
