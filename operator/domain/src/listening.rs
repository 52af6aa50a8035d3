//! Listening to a printer: which request about its notifications comes next, and whether an answer wakes
//! the pass of its Device (RFC 3995, RFC 3996 `ippget`).
//!
//! A notification is a reason to look and never a fact: what it says of the printer is not even kept, and
//! status reports are taken at their period whether it comes or not. So nothing here may fail loudly, and
//! nothing may ask a printer often: a printer that refuses, lies or forgets is left alone for a while, and
//! its reports go on. There is no clock and no request here; driven by the controller `listening`, one
//! [`Listening`] for each device.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::{
    backoff::{LONGEST_ASKED, RetryPolicy, wait},
    names::ConnectionName,
    remote::{
        Failure, FailureKind, FetchedEvent, FetchedEvents, NotificationAnswer, NotificationRequest,
        PrinterEvent,
    },
};

/// Lease that is asked for. It is short, so that what a replica leaves behind, which ends, or loses its Lease,
/// or whose device is deleted, ends by itself.
pub const LEASE: SignedDuration = SignedDuration::from_mins(15);
/// The shortest lease that is worth its renewals.
const SHORTEST_LEASE: SignedDuration = SignedDuration::from_mins(1);
/// The longest lease that is left behind: each start of the operator makes one more at each printer.
const LONGEST_LEASE: SignedDuration = SignedDuration::from_hours(24);
/// The shortest time between two requests for events, whatever the printer asks for.
pub const SHORTEST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// Time between two requests for events where the printer names none.
const USUAL_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// Requests for events in a second, over all devices: with many of them each is asked more rarely.
const MOST_IN_A_SECOND: i32 = 50;
/// Answers without an event, long before the end of the wait, after which none is waited for any more.
const MOST_EMPTY_WAITS: u32 = 3;
/// Rest after a printer has said that it has no notifications: its firmware may change.
const NOT_SUPPORTED: SignedDuration = SignedDuration::from_hours(24);
/// Rest after a printer has refused the login or the user, and where listening is of no use.
const OF_NO_USE: SignedDuration = SignedDuration::from_hours(1);
/// Rest after a printer has said that it keeps no further subscription. Ours of before end meanwhile.
const TOO_MANY: SignedDuration = SignedDuration::from_mins(30);
/// Waits after failures.
const RETRY: RetryPolicy = RetryPolicy {
    initial: SignedDuration::from_secs(30),
    max: SignedDuration::from_hours(1),
};

/// Connection through which a device is listened to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listened {
    /// Name of the Connection.
    pub connection: ConnectionName,
    /// Time between two status reports through it.
    pub period: SignedDuration,
}

/// Circumstances of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Time between two status reports of the device.
    pub period: SignedDuration,
    /// Number of devices that are listened to, this one included.
    pub devices: usize,
    /// True if the answer to a request may be held open.
    pub may_wait: bool,
    /// Number in 0..=1 that spreads waits.
    pub fraction: f64,
}

/// Next step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send a request.
    Send(NotificationRequest),
    /// Do nothing before an instant.
    Rest(Timestamp),
}

/// Memory of listening to one device.
#[derive(Clone, Debug)]
pub struct Listening {
    state: State,
    /// Failures in a row.
    failures: u32,
    /// Printer subscriptions in a row that the printer lost before they were renewed once.
    losses: u32,
    /// True if events may have been lost, since a printer subscription ended.
    has_gap: bool,
    /// False once the printer has refused to renew: it is subscribed to anew instead.
    renews: bool,
    /// False once the printer has shown that it does not hold its answers.
    holds: bool,
    /// Answers in a row that were held, and came early and without an event.
    empty_waits: u32,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing is asked before this instant; then it begins anew.
    Resting(Timestamp),
    /// A printer subscription to these events comes next.
    Subscribing(BTreeSet<PrinterEvent>),
    Subscribed(Subscribed),
    /// A printer subscription that would stay for ever is to be ended.
    Cancelling(i32),
}

#[derive(Clone, Debug)]
struct Subscribed {
    id: i32,
    events: BTreeSet<PrinterEvent>,
    /// End of the lease.
    until: Timestamp,
    renew_at: Timestamp,
    fetch_at: Timestamp,
    /// Number of the next event.
    next: i32,
    /// True if the printer has answered a request for its events.
    is_proved: bool,
}

impl Listening {
    /// Begins to listen to a device. The first request is spread, so that a fleet does not come at once.
    pub fn new(circumstances: Circumstances, now: Timestamp) -> Self {
        let spread = spread(circumstances.devices).as_secs_f64() * circumstances.fraction;
        let spread = SignedDuration::try_from_secs_f64(spread).unwrap_or_default();
        Self {
            state: State::Resting(later(now, spread)),
            failures: 0,
            losses: 0,
            has_gap: false,
            renews: true,
            holds: true,
            empty_waits: 0,
        }
    }

    /// True if the printer keeps a subscription of ours, as far as is known.
    pub fn is_subscribed(&self) -> bool {
        matches!(self.state, State::Subscribed(_))
    }

    /// Returns the next step.
    pub fn next(&self, circumstances: Circumstances, now: Timestamp) -> Step {
        match &self.state {
            State::Resting(until) if now < *until => Step::Rest(*until),
            State::Cancelling(id) => Step::Send(NotificationRequest::Cancel { subscription: *id }),
            // A status report comes as soon as an event would.
            _ if least_pause(circumstances.devices) >= circumstances.period => {
                Step::Rest(later(now, OF_NO_USE))
            }
            State::Resting(_) => Step::Send(NotificationRequest::Support),
            State::Subscribing(events) => subscribe(events),
            State::Subscribed(subscribed) => self.of_subscribed(subscribed, circumstances, now),
        }
    }

    fn of_subscribed(
        &self,
        subscribed: &Subscribed,
        circumstances: Circumstances,
        now: Timestamp,
    ) -> Step {
        let Subscribed { id, until, .. } = *subscribed;
        if until <= now {
            return subscribe(&subscribed.events);
        }
        if self.renews && subscribed.renew_at <= now {
            return Step::Send(NotificationRequest::Renew {
                subscription: id,
                lease: LEASE,
            });
        }
        if subscribed.fetch_at <= now {
            return Step::Send(NotificationRequest::Fetch {
                subscription: id,
                from: subscribed.next,
                waits: self.holds && circumstances.may_wait,
            });
        }
        let renew_at = if self.renews {
            subscribed.renew_at
        } else {
            until
        };
        Step::Rest(subscribed.fetch_at.min(renew_at).min(until))
    }

    /// Takes the answer to a request that began at `sent`. Returns the events for which the device is
    /// looked at now; none if there is no reason to.
    pub fn answered(
        &mut self,
        request: &NotificationRequest,
        answer: Result<NotificationAnswer, Failure>,
        circumstances: Circumstances,
        (sent, now): (Timestamp, Timestamp),
    ) -> BTreeSet<PrinterEvent> {
        let moment = Moment {
            circumstances,
            sent,
            now,
        };
        match answer {
            Ok(NotificationAnswer::Support(events)) => self.supported(events, now),
            Ok(NotificationAnswer::Subscribed {
                subscription,
                lease,
            }) => return self.subscribed(subscription, lease, moment),
            Ok(NotificationAnswer::Renewed { lease }) => self.renewed(lease, moment),
            Ok(NotificationAnswer::Cancelled) => self.rest(NOT_SUPPORTED, now),
            Ok(NotificationAnswer::Events(fetched)) => {
                let waited = matches!(request, NotificationRequest::Fetch { waits: true, .. });
                return self.fetched(&fetched, waited, moment);
            }
            Ok(NotificationAnswer::NoSuchSubscription) => self.forgotten(moment),
            Ok(NotificationAnswer::TooManySubscriptions) => self.rest(TOO_MANY, now),
            Err(failure) => self.failed(request, &failure, moment),
        }
        BTreeSet::new()
    }

    fn supported(&mut self, events: BTreeSet<PrinterEvent>, now: Timestamp) {
        if events.contains(&PrinterEvent::StateChanged) {
            self.state = State::Subscribing(events);
        } else {
            self.rest(NOT_SUPPORTED, now);
        }
    }

    /// Takes a new printer subscription: the one before is forgotten, and ends with its lease.
    fn subscribed(
        &mut self,
        id: i32,
        lease: Option<SignedDuration>,
        moment: Moment,
    ) -> BTreeSet<PrinterEvent> {
        let now = moment.now;
        let events = match &mut self.state {
            State::Subscribing(events) => std::mem::take(events),
            State::Subscribed(before) => {
                self.has_gap |= before.is_proved;
                std::mem::take(&mut before.events)
            }
            State::Resting(_) | State::Cancelling(_) => return BTreeSet::new(),
        };
        if lease.is_some_and(|lease| lease.is_zero() || lease > LONGEST_LEASE) {
            self.state = State::Cancelling(id);
            return BTreeSet::new();
        }
        let lease = lease.unwrap_or(LEASE);
        if lease < SHORTEST_LEASE {
            self.rest(OF_NO_USE, now);
            return BTreeSet::new();
        }
        self.state = State::Subscribed(Subscribed {
            id,
            events,
            until: later(now, lease),
            renew_at: later(now, lease / 2),
            // What comes before the printer names an interval is fetched soon.
            fetch_at: later(now, least_pause(moment.circumstances.devices)),
            next: 1,
            is_proved: false,
        });
        let has_gap = std::mem::take(&mut self.has_gap);
        let missed = has_gap.then_some(PrinterEvent::StateChanged);
        missed.into_iter().collect()
    }

    fn renewed(&mut self, lease: Option<SignedDuration>, moment: Moment) {
        let now = moment.now;
        self.losses = 0;
        let State::Subscribed(subscribed) = &mut self.state else {
            return;
        };
        match lease {
            Some(lease) if lease.is_zero() || lease > LONGEST_LEASE => {
                self.state = State::Cancelling(subscribed.id);
            }
            Some(lease) if lease < SHORTEST_LEASE => self.rest(OF_NO_USE, now),
            lease => {
                let lease = lease.unwrap_or(LEASE);
                subscribed.until = later(now, lease);
                subscribed.renew_at = later(now, lease / 2);
            }
        }
    }

    fn fetched(
        &mut self,
        fetched: &FetchedEvents,
        waited: bool,
        moment: Moment,
    ) -> BTreeSet<PrinterEvent> {
        let State::Subscribed(subscribed) = &mut self.state else {
            return BTreeSet::new();
        };
        self.failures = 0;
        subscribed.is_proved = true;
        let events = subscribed.news(fetched);
        if waited {
            self.judge_wait(fetched, moment);
        }
        let pause = pause(fetched.interval, waited && self.holds, moment);
        if fetched.is_complete {
            self.forgotten(moment);
        } else if pause >= moment.circumstances.period {
            // The next status report comes before the next event could.
            self.rest(OF_NO_USE, moment.now);
        } else if let State::Subscribed(subscribed) = &mut self.state {
            subscribed.fetch_at = later(moment.sent, pause).max(moment.now);
            // Between the last events of the old subscription and the new one nothing happens.
            if !self.renews && subscribed.renew_at <= moment.now {
                self.state = State::Subscribing(std::mem::take(&mut subscribed.events));
            }
        }
        events
    }

    /// Decides whether the printer is asked once more to hold its answer.
    fn judge_wait(&mut self, fetched: &FetchedEvents, moment: Moment) {
        let was_held = moment.now.duration_since(moment.sent) >= SHORTEST_PAUSE;
        if was_held || !fetched.events.is_empty() {
            self.empty_waits = 0;
            return;
        }
        self.empty_waits += 1;
        // By naming an interval it says that it does not wait (RFC 3996 section 5.2).
        if fetched.interval.is_some() || self.empty_waits >= MOST_EMPTY_WAITS {
            self.holds = false;
        }
    }

    /// The printer does not have the subscription: a new one is made, at once if the old one gave answers
    /// and no other was lost before it.
    fn forgotten(&mut self, moment: Moment) {
        let State::Subscribed(subscribed) = &mut self.state else {
            self.back_off(None, moment);
            return;
        };
        self.has_gap |= subscribed.is_proved;
        self.losses = self.losses.saturating_add(1);
        if subscribed.is_proved && self.losses == 1 {
            self.state = State::Subscribing(std::mem::take(&mut subscribed.events));
        } else {
            let pause = wait(RETRY, self.losses, moment.circumstances.fraction);
            self.rest(pause, moment.now);
        }
    }

    fn failed(&mut self, request: &NotificationRequest, failure: &Failure, moment: Moment) {
        let now = moment.now;
        let asked = failure.retry_after.map(|asked| asked.min(LONGEST_ASKED));
        match (request, failure.kind) {
            // There is nothing more to do about it.
            (NotificationRequest::Cancel { .. }, _) => self.rest(NOT_SUPPORTED, now),
            (_, FailureKind::Unauthorized) => {
                self.rest(asked.unwrap_or_default().max(OF_NO_USE), now);
            }
            // It names an event that it does not take.
            (NotificationRequest::Subscribe { events, .. }, FailureKind::RejectedValue)
                if events.len() > 1 =>
            {
                self.state = State::Subscribing(BTreeSet::from([PrinterEvent::StateChanged]));
            }
            // Some printers keep the answer open for ever, or answer in parts that nobody reads.
            (
                NotificationRequest::Fetch { waits: true, .. },
                FailureKind::TimedOut | FailureKind::ProtocolError,
            ) => {
                self.holds = false;
                self.fetch_after(SHORTEST_PAUSE, now);
            }
            // It does not renew, or wants the lease elsewhere in the request.
            (
                NotificationRequest::Renew { .. },
                FailureKind::Unsupported | FailureKind::RejectedValue | FailureKind::ProtocolError,
            ) => self.renews = false,
            (_, FailureKind::Unsupported) => self.rest(NOT_SUPPORTED, now),
            _ => self.back_off(asked, moment),
        }
    }

    /// Waits after a failure. A printer subscription is kept as long as its lease.
    fn back_off(&mut self, asked: Option<SignedDuration>, moment: Moment) {
        self.failures = self.failures.saturating_add(1);
        let own = wait(RETRY, self.failures, moment.circumstances.fraction);
        let pause = own.max(asked.unwrap_or_default());
        let at = later(moment.now, pause);
        match &mut self.state {
            State::Subscribed(subscribed) if at < subscribed.until => {
                subscribed.renew_at = subscribed.renew_at.max(at);
                subscribed.fetch_at = subscribed.fetch_at.max(at);
            }
            state => {
                if let State::Subscribed(subscribed) = state {
                    self.has_gap |= subscribed.is_proved;
                }
                *state = State::Resting(at);
            }
        }
    }

    fn fetch_after(&mut self, pause: SignedDuration, now: Timestamp) {
        if let State::Subscribed(subscribed) = &mut self.state {
            subscribed.fetch_at = later(now, pause);
        }
    }

    fn rest(&mut self, length: SignedDuration, now: Timestamp) {
        self.state = State::Resting(later(now, length));
    }
}

impl Subscribed {
    /// Returns the events of an answer that are new. Those of other subscriptions are none of ours, and
    /// those with a number that was seen are repeated. Numbers that went back began anew at the printer.
    fn news(&mut self, fetched: &FetchedEvents) -> BTreeSet<PrinterEvent> {
        let is_own = |it: &&FetchedEvent| it.subscription.is_none_or(|id| id == self.id);
        let own: Vec<&FetchedEvent> = fetched.events.iter().filter(is_own).collect();
        let length = i32::try_from(own.len()).unwrap_or(i32::MAX);
        let highest = own.iter().filter_map(|it| it.number).max();
        // Those without numbers count as the next ones.
        let after = highest.map_or_else(
            || self.next.saturating_add(length),
            |highest| highest.saturating_add(1).max(1),
        );
        if own.is_empty() || after == self.next {
            return BTreeSet::new();
        }
        let began_anew = after < self.next;
        let is_new = |number: Option<i32>| number.is_none_or(|it| began_anew || it >= self.next);
        let new = own.iter().filter(|it| is_new(it.number));
        let found = new.filter_map(|it| it.event);
        let found = found.filter(|it| self.events.contains(it)).collect();
        self.next = after;
        found
    }
}

/// Instants and circumstances of an answer.
#[derive(Clone, Copy)]
struct Moment {
    circumstances: Circumstances,
    sent: Timestamp,
    now: Timestamp,
}

fn subscribe(events: &BTreeSet<PrinterEvent>) -> Step {
    Step::Send(NotificationRequest::Subscribe {
        events: events.clone(),
        lease: LEASE,
    })
}

/// Returns the time from one request for events to the next.
fn pause(named: Option<SignedDuration>, held: bool, moment: Moment) -> SignedDuration {
    let least = least_pause(moment.circumstances.devices);
    match named {
        Some(named) => named.max(least),
        // An answer that was held to its end names none, and is asked for again.
        None if held => SHORTEST_PAUSE,
        None => USUAL_PAUSE.max(least),
    }
}

/// Returns the shortest time between two requests for the events of a device in a fleet of this size.
fn least_pause(devices: usize) -> SignedDuration {
    spread(devices).max(SHORTEST_PAUSE)
}

/// Returns the time in which every device of a fleet is asked once.
fn spread(devices: usize) -> SignedDuration {
    let devices = i64::try_from(devices).unwrap_or(i64::MAX / 1000);
    SignedDuration::from_millis(devices.saturating_mul(1000)) / MOST_IN_A_SECOND
}

fn later(instant: Timestamp, length: SignedDuration) -> Timestamp {
    instant.checked_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
