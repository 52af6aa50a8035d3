//! Odd printers, one row for each: public reports and what servers in the field do. A row says what comes of an
//! hour with such a printer; none may be asked often, and none may wake a pass for nothing.

use jiff::SignedDuration;

use super::fixture::{Grant, Printer, Story, refused};
use crate::remote::{FailureKind, NotificationAnswer};

/// One odd printer.
struct Odd {
    /// Words for it, and the report.
    report: &'static str,
    printer: Printer,
    /// True if its answers may be held.
    may_wait: bool,
    /// Requests within the hour, by operation: support, subscribe, renew, cancel, fetch.
    requests: [usize; 5],
    /// Passes that are woken by the two events of the hour, one of its state and one of a job.
    wakes: usize,
}

impl Odd {
    fn waiting(self) -> Self {
        Self {
            may_wait: true,
            ..self
        }
    }
}

fn row(report: &'static str, printer: Printer, requests: [usize; 5], wakes: usize) -> Odd {
    Odd {
        report,
        printer,
        may_wait: false,
        requests,
        wakes,
    }
}

fn plain() -> Printer {
    Printer::default()
}

fn granted(grants: Grant) -> Printer {
    Printer { grants, ..plain() }
}

fn every(interval: Option<i64>) -> Printer {
    Printer {
        interval: interval.map(SignedDuration::from_secs),
        ..plain()
    }
}

fn refusing(operation: &'static str, answer: Result<NotificationAnswer, FailureKind>) -> Printer {
    let answer = answer.or_else(refused);
    Printer {
        refuses: Some((operation, answer)),
        ..plain()
    }
}

fn renaming(keyword: &'static str) -> Printer {
    Printer {
        renames: Some(keyword),
        ..plain()
    }
}

fn leases() -> Vec<Odd> {
    let untold = Ok(NotificationAnswer::Renewed { lease: None });
    let unread = Err(FailureKind::ProtocolError);
    vec![
        row("a printer without a lie", plain(), [1, 1, 7, 0, 60], 1),
        row(
            "the lease is not told (OpenPrinting/cups#1204, gmuth/ipp-client-kotlin#25)",
            granted(Grant::Nothing),
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "the lease is not told when it is renewed (apple/cups#2346)",
            refusing("renew", untold),
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "it renews a lease only that is in another group (lprint 1.1 on PAPPL 1.3)",
            refusing("renew", unread),
            [1, 8, 1, 0, 66],
            1,
        ),
        row(
            "a lease of a day, whatever is asked for (apple/cups#5973)",
            granted(Grant::Seconds(86_400)),
            [1, 1, 0, 0, 60],
            1,
        ),
        row(
            "a lease for ever, which each start of the operator would leave behind (apple/cups#5973)",
            granted(Grant::Seconds(0)),
            [1, 1, 0, 1, 0],
            0,
        ),
        row(
            "a lease of two minutes",
            granted(Grant::Seconds(120)),
            [1, 1, 59, 0, 60],
            1,
        ),
        row(
            "a lease that is over before it could be renewed",
            granted(Grant::Seconds(5)),
            [1, 1, 0, 0, 0],
            0,
        ),
    ]
}

fn refusals() -> Vec<Odd> {
    let gone = Ok(NotificationAnswer::NoSuchSubscription);
    let full = Ok(NotificationAnswer::TooManySubscriptions);
    vec![
        row(
            "client-error-bad-request to a subscription (apple/cups#4420, apple/cups#2297)",
            refusing("subscribe", Err(FailureKind::ProtocolError)),
            [7, 7, 0, 0, 0],
            0,
        ),
        row(
            "ippget is in its attributes and the operation is not there",
            refusing("subscribe", Err(FailureKind::Unsupported)),
            [1, 1, 0, 0, 0],
            0,
        ),
        row(
            "events cannot be fetched after all",
            refusing("fetch", Err(FailureKind::Unsupported)),
            [1, 1, 0, 0, 1],
            0,
        ),
        row(
            "another user may not see the events (RFC 3996 section 5), or a login is wanted",
            refusing("fetch", Err(FailureKind::Unauthorized)),
            [1, 1, 0, 0, 1],
            0,
        ),
        row(
            "no more subscriptions are kept (MaxSubscriptions of cupsd, 100)",
            refusing("subscribe", full),
            [2, 2, 0, 0, 0],
            0,
        ),
        row(
            "each subscription is forgotten before the first request for events",
            refusing("fetch", gone),
            [7, 7, 0, 0, 7],
            0,
        ),
        row(
            "a request for events is never answered",
            refusing("fetch", Err(FailureKind::TimedOut)),
            [2, 2, 2, 0, 7],
            0,
        ),
    ]
}

fn events() -> Vec<Odd> {
    vec![
        row(
            "an event of a state that it does not have (OpenPrinting/cups#1013): a reason to look",
            plain(),
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "events without numbers (apple/cups#1747)",
            Printer {
                tells_numbers: false,
                ..plain()
            },
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "events that were fetched come again with each answer",
            Printer {
                minds_numbers: false,
                ..plain()
            },
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "events of a subscription of somebody else",
            Printer {
                mixes_in: Some(4711),
                ..plain()
            },
            [1, 1, 7, 0, 60],
            0,
        ),
        row(
            "an event without a name (lprint 1.1 on PAPPL 1.3, when it is paused)",
            renaming(""),
            [1, 1, 7, 0, 60],
            2,
        ),
        row(
            "printer-stopped for each change of the state (apple/cups#2572, apple/cups#2680)",
            renaming("printer-stopped"),
            [1, 1, 7, 0, 60],
            2,
        ),
    ]
}

fn numbers_and_intervals() -> Vec<Odd> {
    vec![
        row(
            "an event is told when the next one has happened (lprint 1.1 on PAPPL 1.3)",
            Printer {
                is_one_behind: true,
                ..plain()
            },
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "the first event has the number 2 (ippserver of ippsample, lprint 1.1 on PAPPL 1.3)",
            Printer {
                first_number: 2,
                ..plain()
            },
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "numbers jump to the highest there is",
            Printer {
                first_number: i32::MAX - 1,
                ..plain()
            },
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "an interval of zero: who obeys it loads the server (apple/cups#5830)",
            every(Some(0)),
            [1, 1, 7, 0, 359],
            1,
        ),
        row(
            "an interval of a day: the next status report comes sooner",
            every(Some(86_400)),
            [1, 1, 0, 0, 1],
            0,
        ),
        row(
            "no interval where there is no event (lprint 1.1 on PAPPL 1.3)",
            every(None),
            [1, 1, 7, 0, 120],
            1,
        ),
    ]
}

fn waits() -> Vec<Odd> {
    let rows = [
        row(
            "it does not wait, and names an interval (apple/cups#2601)",
            plain(),
            [1, 1, 7, 0, 60],
            1,
        ),
        row(
            "it answers at once and names none (OpenPrinting/cups#341: a client without a pause)",
            every(None),
            [1, 1, 7, 0, 121],
            1,
        ),
        row(
            "it holds its answer for half a minute",
            Printer {
                holds_for: Some(SignedDuration::from_secs(30)),
                ..every(None)
            },
            [1, 1, 7, 0, 122],
            1,
        ),
        row(
            "its answer never ends, since it is sent in parts (RFC 3996 section 5.2)",
            Printer {
                never_ends_waits: true,
                ..plain()
            },
            [1, 1, 7, 0, 60],
            1,
        ),
    ];
    rows.into_iter().map(Odd::waiting).collect()
}

// shows A1
#[test]
fn an_odd_printer_is_neither_asked_often_nor_looked_at_for_nothing() {
    let tables = [
        leases(),
        refusals(),
        events(),
        numbers_and_intervals(),
        waits(),
    ];
    let mut wrong = Vec::new();
    for row in tables.into_iter().flatten() {
        let mut story = Story::of(row.printer);
        story.circumstances.may_wait = row.may_wait;
        story.run_for(SignedDuration::from_secs(1200));
        story.printer.happens("printer-state-changed");
        story.run_for(SignedDuration::from_secs(1200));
        story.printer.happens("job-completed");
        story.run_for(SignedDuration::from_secs(1199));
        let operations = ["support", "subscribe", "renew", "cancel", "fetch"];
        let requests = operations.map(|operation| story.times_of(operation).len());
        let (found, expected) = ((requests, story.wakes.len()), (row.requests, row.wakes));
        if found != expected {
            wrong.push(format!("{}: {found:?}, not {expected:?}", row.report));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// shows A1
#[test]
fn numbers_that_begin_anew_are_news_and_the_same_ones_again_are_not() {
    let mut story = Story::of(plain());
    story.run_for(SignedDuration::from_secs(1));
    for _ in 0..5 {
        story.printer.happens("printer-state-changed");
    }
    story.run_for(SignedDuration::from_secs(60));
    assert_eq!(story.wakes.len(), 1);
    story.printer.events.clear();
    story.printer.next_number = 1;
    story.printer.minds_numbers = false;
    story.printer.happens("printer-state-changed");
    story.run_for(SignedDuration::from_secs(600));
    assert_eq!(story.wakes.len(), 2, "{:?}", story.wakes);
}

// shows A1
#[test]
fn a_printer_that_is_restarted_again_and_again_is_not_subscribed_to_each_time() {
    let mut story = Story::of(plain());
    for _ in 0..60 {
        story.run_for(SignedDuration::from_secs(60));
        story.printer.restart();
    }
    let subscribed = story.times_of("subscribe").len();
    assert!((2..20).contains(&subscribed), "{:?}", story.log());
}
