//! Printers that answer, refuse, lie and forget, as they are reported and as the specifications let them.

mod fixture;
mod odd;
mod properties;

use std::collections::BTreeSet;

use jiff::SignedDuration;

use self::fixture::{Printer, Story, config, refused, state};
use super::SHORTEST_PAUSE;
use crate::remote::FailureKind;

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

// shows A1
#[test]
fn a_printer_is_subscribed_to_once_and_asked_at_the_interval_that_it_names() {
    let mut story = Story::of(Printer::default());
    story.run_for(seconds(300));
    assert_eq!(
        story.log()[..2],
        ["0 support", "0 subscribe state config 900"]
    );
    assert_eq!(story.times_of("fetch"), [10, 70, 130, 190, 250]);
    assert_eq!(story.wakes, []);
}

// shows A1
#[test]
fn an_event_wakes_once_and_is_not_asked_for_again() {
    let mut story = Story::of(Printer::default());
    story.run_for(seconds(60));
    story.printer.happens("printer-state-changed");
    story.run_for(seconds(180));
    assert_eq!(story.wakes, [(70, state())]);
    assert_eq!(story.log().last().unwrap(), "190 fetch from 2");
}

// shows A1
#[test]
fn a_changed_setting_is_told_apart_from_a_changed_state() {
    let mut story = Story::of(Printer::default());
    story.run_for(seconds(60));
    story.printer.happens("printer-media-changed");
    story.run_for(seconds(60));
    assert_eq!(story.wakes, [(70, config())]);
}

// shows A1
#[test]
fn a_lease_is_renewed_when_half_of_it_is_over() {
    let mut story = Story::of(Printer::default());
    story.run_for(seconds(1860));
    assert_eq!(story.times_of("renew"), [450, 900, 1350, 1800]);
    assert_eq!(story.times_of("subscribe"), [0]);
}

// shows A1
#[test]
fn a_printer_that_was_restarted_is_subscribed_to_anew_and_looked_at_once() {
    let mut story = Story::of(Printer::default());
    story.run_for(seconds(120));
    story.printer.restart();
    story.run_for(seconds(180));
    assert_eq!(story.times_of("subscribe"), [0, 130]);
    assert_eq!(story.wakes, [(130, state())], "events may have been lost");
}

// shows A1
#[test]
fn a_printer_without_notifications_is_asked_for_them_once_a_day() {
    let mut story = Story::of(Printer {
        supports: BTreeSet::new(),
        ..Printer::default()
    });
    story.run_for(SignedDuration::from_hours(25));
    assert_eq!(story.log(), ["0 support", "86400 support"]);
}

// shows A1
#[test]
fn nothing_is_asked_where_a_status_report_comes_as_soon() {
    let mut story = Story::of(Printer::default());
    story.circumstances.period = SHORTEST_PAUSE;
    story.run_for(SignedDuration::from_hours(2));
    assert!(story.log().is_empty());
}

// shows A1
#[test]
fn a_large_fleet_is_asked_more_rarely_and_a_larger_one_not_at_all() {
    let mut story = Story::of(Printer::default());
    story.circumstances.devices = 10_000;
    story.run_for(seconds(720));
    let first = story.times_of("support");
    assert_eq!(first, [200], "the first requests are spread");
    assert_eq!(story.times_of("fetch"), [400, 600]);

    let mut story = Story::of(Printer::default());
    story.circumstances.devices = 20_000;
    story.run_for(SignedDuration::from_hours(3));
    assert!(story.log().is_empty());
}

// shows A1
#[test]
fn a_held_answer_is_asked_for_again_at_once() {
    let mut story = Story::of(Printer {
        holds_for: Some(seconds(30)),
        interval: None,
        ..Printer::default()
    });
    story.circumstances.may_wait = true;
    story.run_for(seconds(100));
    assert_eq!(story.times_of("fetch"), [10, 40, 70]);
    assert!(story.log().iter().skip(2).all(|it| it.ends_with("waits")));
}

// shows A1
#[test]
fn each_failure_has_its_rest() {
    let kinds = [
        (FailureKind::Unreachable, 30),
        (FailureKind::TimedOut, 30),
        (FailureKind::Busy, 30),
        (FailureKind::ProtocolError, 30),
        (FailureKind::Unauthorized, 3600),
        (FailureKind::Unsupported, 86_400),
    ];
    for (kind, rest) in kinds {
        let mut story = Story::of(Printer::default());
        story.printer.refuses = Some(("support", refused(kind)));
        story.run_for(seconds(rest + 1));
        assert_eq!(story.times_of("support"), [0, rest], "{kind:?}");
    }
}
