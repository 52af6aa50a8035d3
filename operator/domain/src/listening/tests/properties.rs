//! Answers of a printer that nobody foresees: it is not asked often, and what does not end is cancelled.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::listening::{Circumstances, Listening, SHORTEST_PAUSE, Step};
use crate::remote::{
    Failure, FailureKind, FetchedEvent, FetchedEvents, NotificationAnswer, NotificationRequest,
    PrinterEvent,
};

fn length() -> impl Strategy<Value = Option<SignedDuration>> {
    let seconds = prop_oneof![
        Just(0_i64),
        1..100_i64,
        100..100_000_i64,
        Just(i64::from(i32::MAX))
    ];
    prop::option::of(seconds.prop_map(SignedDuration::from_secs))
}

fn events() -> impl Strategy<Value = BTreeSet<PrinterEvent>> {
    prop::collection::btree_set(prop::sample::select(&PrinterEvent::ALL[..]), 0..3)
}

fn fetched() -> impl Strategy<Value = NotificationAnswer> {
    let number = prop_oneof![Just(i32::MIN), -3..10, Just(i32::MAX)];
    let event = (
        prop::option::of(1..4),
        prop::option::of(number),
        prop::option::of(prop::sample::select(&PrinterEvent::ALL[..])),
    );
    let event = event.prop_map(|(subscription, number, event)| FetchedEvent {
        subscription,
        number,
        event,
    });
    let events = prop::collection::vec(event, 0..4);
    (events, length(), prop::bool::weighted(0.1)).prop_map(|(events, interval, is_complete)| {
        NotificationAnswer::Events(FetchedEvents {
            events,
            interval,
            is_complete,
        })
    })
}

fn kind() -> impl Strategy<Value = FailureKind> {
    prop::sample::select(vec![
        FailureKind::Unreachable,
        FailureKind::TimedOut,
        FailureKind::Unauthorized,
        FailureKind::Busy,
        FailureKind::RejectedValue,
        FailureKind::Unsupported,
        FailureKind::ProtocolError,
    ])
}

fn failure() -> impl Strategy<Value = Failure> {
    (kind(), length()).prop_map(|(kind, retry_after)| Failure {
        retry_after,
        ..Failure::new(kind, "")
    })
}

/// Answers that fit the request, most of the time.
#[derive(Clone, Debug)]
struct Answers {
    support: BTreeSet<PrinterEvent>,
    subscription: i32,
    lease: Option<SignedDuration>,
    fetched: NotificationAnswer,
    instead: Option<Result<NotificationAnswer, Failure>>,
    /// Milliseconds until the answer.
    took: i64,
}

fn answers() -> impl Strategy<Value = Answers> {
    let instead = prop_oneof![
        6 => Just(None),
        2 => failure().prop_map(|it| Some(Err(it))),
        1 => Just(Some(Ok(NotificationAnswer::NoSuchSubscription))),
        1 => Just(Some(Ok(NotificationAnswer::TooManySubscriptions))),
    ];
    let took = prop_oneof![Just(0), 1..60_000_i64];
    (events(), 1..4, length(), fetched(), instead, took).prop_map(
        |(support, subscription, lease, fetched, instead, took)| Answers {
            support,
            subscription,
            lease,
            fetched,
            instead,
            took,
        },
    )
}

impl Answers {
    fn to(&self, request: &NotificationRequest) -> Result<NotificationAnswer, Failure> {
        if let Some(instead) = &self.instead {
            return instead.clone();
        }
        let lease = self.lease;
        Ok(match request {
            NotificationRequest::Support => NotificationAnswer::Support(self.support.clone()),
            NotificationRequest::Subscribe { .. } => NotificationAnswer::Subscribed {
                subscription: self.subscription,
                lease,
            },
            NotificationRequest::Renew { .. } => NotificationAnswer::Renewed { lease },
            NotificationRequest::Cancel { .. } => NotificationAnswer::Cancelled,
            NotificationRequest::Fetch { .. } => self.fetched.clone(),
        })
    }
}

proptest! {
    // shows A1
    #[test]
    fn whatever_a_printer_answers_it_is_asked_rarely_and_only_events_wake(
        answers in prop::collection::vec(answers(), 1..80),
        may_wait in any::<bool>(),
        devices in prop_oneof![Just(1_usize), 1..30_000_usize],
        fraction in 0.0..=1.0_f64,
    ) {
        let circumstances = Circumstances {
            period: SignedDuration::from_mins(5),
            devices,
            may_wait,
            fraction,
        };
        let mut now = Timestamp::UNIX_EPOCH;
        let mut listening = Listening::new(circumstances, now);
        let mut sent: Vec<(Timestamp, NotificationRequest)> = Vec::new();
        for answers in &answers {
            // A rest ends, and there is something to do then.
            for _ in 0..3 {
                if let Step::Rest(until) = listening.next(circumstances, now) {
                    prop_assert!(until > now);
                    prop_assert!(until.duration_since(now) <= SignedDuration::from_hours(24));
                    now = until;
                }
            }
            let Step::Send(request) = listening.next(circumstances, now) else {
                prop_assert!(devices >= 15_000, "it rests for ever");
                return Ok(());
            };
            sent.push((now, request.clone()));
            let began = now;
            now += SignedDuration::from_millis(answers.took);
            let answer = answers.to(&request);
            let has_events = matches!(&answer, Ok(NotificationAnswer::Events(fetched))
                if !fetched.events.is_empty());
            let was_made = matches!(answer, Ok(NotificationAnswer::Subscribed { .. }));
            let woken = listening.answered(&request, answer, circumstances, (began, now));
            prop_assert!(woken.is_empty() || has_events || was_made);
        }
        // Of any six requests one at least has had to wait for its turn.
        for six in sent.windows(6) {
            let between = six[5].0.duration_since(six[0].0);
            prop_assert!(between >= SHORTEST_PAUSE, "{six:?}");
        }
        let fetches = sent.iter().filter(|(_, it)| matches!(it, NotificationRequest::Fetch { .. }));
        let fetches: Vec<Timestamp> = fetches.map(|(at, _)| *at).collect();
        for pair in fetches.windows(2) {
            prop_assert!(pair[1].duration_since(pair[0]) >= SHORTEST_PAUSE, "{sent:?}");
        }
    }
}
