//! No missed wake-up: after random events everything comes to rest, and then one more run of every
//! controller over every key changes nothing.
//!
//! At rest nothing is ready and nothing runs; what waits, waits for an instant. Then objects,
//! instants and remote sides must be what a run over everything leaves as they are: a difference is
//! a change that woke nobody.
//!
//! Exceptions, each with its bound. What is not watched is looked at now and then:
//! - Secrets and ConfigMaps of Connections, and brokers, by the probe of the Connection, and the Secret of
//!   an enrolment: within [`NOT_WATCHED`] after they changed.
//! - A catalog counts for ten minutes, and no instant waits for their end: while a broker is off, the
//!   first run after that knows no catalog any more, or reads it in vain and begins its backoff. So
//!   with a broker that is off it is the next run that must change nothing.
//! - A Connection that cannot be read is not probed: that its Secret or its ConfigMap is gone shows when
//!   its Devices are looked at next. So there, too, it is the next run that must change nothing.

mod alike;
mod calling;
mod edits;
mod events;
mod objects;

use std::{collections::BTreeMap, fmt::Write as _};

use entente_crds::v1alpha1::{DeviceModel, SmartService};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use self::events::{Event, events};
use super::*;

/// Longest time after which a change of something that is not watched is seen: the longest backoff
/// of a probe, which is longer than the interval of those that are answered.
const NOT_WATCHED: Duration = Duration::from_mins(16);

/// Longest time after which an object that cannot be read says so, if its status is refused.
const STATED: Duration = Duration::from_mins(2);

/// Virtual time in which everything has to come to rest.
const TO_REST: Duration = Duration::from_hours(2);

/// The parts that a run over everything must leave as they are.
#[derive(Clone, Debug)]
struct Picture {
    objects: BTreeMap<String, Value>,
    instants: BTreeMap<String, Timestamp>,
    /// Requests that meant to change a remote side.
    sent: Vec<String>,
    /// Writes to the API server.
    writes: Vec<String>,
    /// True if the catalog of a broker that is off was read.
    read_in_vain: bool,
}

impl Picture {
    fn of(process: &InProcess) -> Self {
        let instants = process.queues.all();
        let instants = instants.iter().flat_map(|queue| queue.instants()).collect();
        let calls = process.world.ledger();
        let read_in_vain = calls.iter().any(|call| {
            call.operation == Operation::Catalog && process.world.server(&call.url).is_none()
        });
        let calls = calls.iter().filter(|call| call.operation.writes());
        let sent = calls
            .map(|call| format!("{:?} {} {:?}", call.operation, call.key, call.values))
            .collect();
        Self {
            objects: process.cluster.objects(),
            instants,
            sent,
            writes: process.cluster.writes(),
            read_in_vain,
        }
    }

    /// Returns the differences to a later picture.
    fn differences(&self, after: &Self) -> String {
        let mut said = String::new();
        let names: std::collections::BTreeSet<&String> =
            self.objects.keys().chain(after.objects.keys()).collect();
        for name in names {
            let (before, now) = (self.objects.get(name), after.objects.get(name));
            if before != now {
                let before = before.cloned().unwrap_or_default();
                let now = now.cloned().unwrap_or_default();
                let _ = write!(said, "\n{name}");
                differences(&mut said, "", &before, &now);
            }
        }
        for write in &after.writes {
            let _ = write!(said, "\nwritten: {write}");
        }
        for sent in &after.sent {
            let _ = write!(said, "\nsent: {sent}");
        }
        for (key, instant) in &after.instants {
            match self.instants.get(key) {
                None => _ = write!(said, "\n{key} waits for {instant}, and waited for nothing"),
                Some(before) if instant < before => {
                    let _ = write!(said, "\n{key} waits for {instant}, and waited for {before}");
                }
                Some(_) => {}
            }
        }
        said
    }
}

/// Adds the fields in which two values differ.
fn differences(said: &mut String, at: &str, before: &Value, after: &Value) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let fields: std::collections::BTreeSet<&String> =
                old.keys().chain(new.keys()).collect();
            for field in fields {
                let (old, new) = (&before[field], &after[field]);
                differences(said, &format!("{at}.{field}"), old, new);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                differences(said, &format!("{at}[{index}]"), old, new);
            }
        }
        _ if before != after => {
            let short = |value: &Value| value.to_string().chars().take(300).collect::<String>();
            let _ = write!(said, "\n  {at}: {} -> {}", short(before), short(after));
        }
        _ => {}
    }
}

/// Waits until nothing is ready, nothing runs and nothing waits but for an instant of the clock.
async fn rest(process: &InProcess) {
    let until = Instant::now() + TO_REST;
    loop {
        // No sleep of the wall: the clock of the runtime is paused, and goes on only when every task
        // waits. So the first lets all of them run as far as they can, and the second lets the time
        // of a request or of a watch pass; TO_REST is the deadline.
        sleep(Duration::from_millis(1)).await;
        let queues = process.queues.all();
        if queues.is_empty() || queues.iter().any(|queue| !queue.is_idle()) {
            sleep(Duration::from_millis(100)).await;
        } else if let Some(after) = queues.iter().filter_map(|queue| queue.next_after()).min() {
            sleep_until(after).await;
        } else if !objects::collect_garbage(process) {
            return;
        }
        assert!(Instant::now() < until, "it does not come to rest");
    }
}

/// Lives through events, and returns what everything was like after each sequence of them, or the
/// differences that a run over everything makes.
async fn live(mut process: InProcess, sequences: &[Vec<Event>]) -> Result<Vec<Picture>, String> {
    let mut pictures = Vec::new();
    process.start_all();
    rest(&process).await;
    let mut is_unprobed = false;
    for sequence in sequences {
        for event in sequence {
            events::happen(&mut process, event).await;
            is_unprobed |= matches!(
                event,
                Event::Spoiled(objects::Subject::Connection(_) | objects::Subject::Gateway)
            );
        }
        rest(&process).await;
        if sequence.iter().any(Event::is_not_watched) {
            process.let_pass(NOT_WATCHED).await;
            rest(&process).await;
        }
        if sequence.iter().any(Event::is_spoiled) {
            process.let_pass(STATED).await;
            rest(&process).await;
        }
        pictures.push(Picture::of(&process));
        let (mut differences, read_in_vain) = run_all(&process).await;
        if read_in_vain || is_unprobed {
            (differences, _) = run_all(&process).await;
        }
        if !differences.is_empty() {
            return Err(format!("at {}{differences}", process.clock.now()));
        }
    }
    process.kill();
    Ok(pictures)
}

/// Runs every key once more. Returns the differences, and true if a catalog was read in vain.
async fn run_all(process: &InProcess) -> (String, bool) {
    process.cluster.forget_requests();
    process.world.clear_ledger();
    let before = Picture::of(process);
    for queue in process.queues.all() {
        queue.run_all();
    }
    rest(process).await;
    let after = Picture::of(process);
    (before.differences(&after), after.read_in_vain)
}

fn run(sequences: &[Vec<Event>]) -> Result<(), String> {
    run_in(objects::prepared, sequences).map(|_| ())
}

fn run_in(
    prepared: impl FnOnce() -> InProcess,
    sequences: &[Vec<Event>],
) -> Result<Vec<Picture>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async { live(prepared(), sequences).await })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(64, |it| it.parse().expect("a number")),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    // shows K2 K5
    #[test]
    fn after_any_events_one_more_run_of_every_controller_changes_nothing(
        sequences in prop::collection::vec(prop::collection::vec(events(), 1..5), 1..4),
    ) {
        if let Err(differences) = run(&sequences) {
            prop_assert!(false, "a missed wake-up: {differences}\nafter {sequences:#?}");
        }
    }
}

// shows K2 K5
#[test]
fn a_device_that_cannot_be_read_and_loses_its_label_leaves_its_contract() {
    let sequences = [
        vec![Event::Spoiled(objects::Subject::Device(2))],
        vec![Event::Labelled(2, false)],
    ];
    assert_eq!(run(&sequences), Ok(()));
}

// shows K2 K5
#[test]
fn a_service_that_was_edited_while_no_operator_ran_is_said_to_name_what_its_catalog_lacks() {
    let sequences = [vec![
        Event::Restarted,
        Event::Edited(objects::Subject::Service(0), 2),
    ]];
    assert_eq!(run(&sequences), Ok(()));
}

// shows K2 K5
#[test]
fn a_device_that_refuses_a_value_back_is_said_to_do_so_in_the_same_words_again() {
    let sequences = [
        vec![Event::Starts, Event::DeviceRefuses(2, 1)],
        vec![Event::Labelled(2, false)],
    ];
    assert_eq!(run(&sequences), Ok(()));
}

// shows K2 K5
#[test]
fn a_secret_of_a_connection_that_cannot_be_read_is_missed_by_the_next_look_at_its_devices() {
    let sequences = [
        vec![Event::Spoiled(objects::Subject::Connection(0))],
        vec![Event::AuthoritiesGone],
    ];
    assert_eq!(run(&sequences), Ok(()));
}

// shows K2 K5
#[test]
fn a_device_that_cannot_be_read_and_is_off_at_the_start_is_looked_at_when_it_is_due() {
    let sequences = [
        vec![Event::Spoiled(objects::Subject::Device(2))],
        vec![Event::Starts, Event::DeviceOff(2)],
    ];
    assert_eq!(run(&sequences), Ok(()));
}

// shows D1 K2 K5
#[test]
fn a_setting_that_somebody_changed_is_left_and_told_until_the_policy_is_edited() {
    let device = objects::Subject::Device(2);
    let sequences = [
        vec![
            Event::Edited(device, 6),
            Event::Starts,
            Event::Passes(Duration::from_mins(20)),
        ],
        vec![
            Event::DeviceChanged(2, 1),
            Event::ReconcileAsked(2, 1),
            Event::Restarted,
        ],
        vec![Event::Edited(device, 6)],
    ];
    assert_eq!(run(&sequences), Ok(()));
}
