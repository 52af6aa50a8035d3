//! The outbox: the events that wait until the gateway has them, in the order of the device.
//!
//! Decides which events make a batch, and what is left of it after an answer. The batch that is under way is
//! kept as it is until it is answered; nothing joins it, and none of it makes room for others. An id is made
//! of the number of the start and a count, and neither ever goes back. An event leaves the outbox because
//! the gateway has it, or refuses it, or it is counted as lost with the reason.

use std::collections::BTreeMap;

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Counts, ERROR, Event, Fate, Loss, Measures, Raised, Wants,
    counts::{MOST_KINDS, OTHERS},
    occurrence::STEP,
};
use crate::api::{Fault, RefusedEvent};

/// The most events of a batch.
pub(super) const MOST_EVENTS: usize = 256;
/// The most bytes of a batch.
pub(super) const MOST_BYTES: usize = 256 * 1024;
/// The most bytes of the data of one event.
pub(super) const MOST_EVENT: usize = 32 * 1024;
/// The most events that wait.
pub(super) const MOST_WAITING: usize = 1024;
/// The most bytes of all events that wait.
pub(super) const MOST_WAITING_BYTES: usize = 1024 * 1024;
/// The outbox, kept in `outbox.json`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outbox {
    /// Number of the start of the device in which events are made.
    pub boot: u64,
    /// Number of events that were made since.
    pub count: u64,
    /// Id of the device to which the events belong.
    pub printer_id: String,
    /// Time of the newest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<Timestamp>,
    /// Events that wait, the oldest first.
    pub waiting: Vec<Waiting>,
    /// Most events of a batch, where the gateway did not take more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<usize>,
    /// Instant before which nothing is sent, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// Sentence about the last failure, until a batch is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Last message of each kind on its period.
    pub last: BTreeMap<String, Timestamp>,
    /// Events that are over, by kind.
    pub counts: BTreeMap<String, Counts>,
    /// Values that the device measures.
    pub measures: Measures,
    /// Errors that the device has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Raised>,
}

/// An event that waits.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The event.
    pub event: Event,
    /// Bytes of its text.
    #[serde(default)]
    pub bytes: usize,
    /// True if it was sent and the answer is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub under_way: bool,
}

/// Content of an event that is added.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// Kind of data.
    pub kind: String,
    /// Part of the device that it is about.
    pub subject: Option<String>,
    /// Application id of the one service that it is for.
    pub application_id: Option<String>,
    /// Data.
    pub data: Value,
}

/// A batch to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Ids of its events, in its order.
    pub ids: Vec<String>,
    /// Body of the request.
    pub body: String,
}

/// An event that was dropped because of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Words about its fault.
    pub fault: String,
}

impl Outbox {
    /// Begins with a start of the device, whose number is higher than any before.
    pub fn begin(&mut self, boot: u64) {
        self.boot = boot;
        self.count = 0;
    }

    /// Begins with a registration: what belongs to another one is sent to nobody. Returns the number of
    /// events that were dropped.
    pub fn registered(&mut self, printer_id: &str) -> usize {
        let dropped = if self.printer_id == printer_id {
            0
        } else {
            self.empty(Loss::RegisteredAnew)
        };
        printer_id.clone_into(&mut self.printer_id);
        // Its gateway may be another one, and the kinds that it wants are not known yet.
        self.last.clear();
        self.answered();
        dropped
    }

    /// Adds an event, and returns its id. If there is no room the oldest goes that is not under way.
    pub fn add(&mut self, new: New, now: Timestamp) -> String {
        self.count += 1;
        let time = self.time(now);
        self.latest = Some(time);
        let id = format!("{}-{:07}", self.boot, self.count);
        let event = Event {
            id: id.clone(),
            kind: new.kind,
            time,
            subject: new.subject,
            application_id: new.application_id,
            sequence: format!("{:010}-{:010}", self.boot, self.count),
            data: new.data,
        };
        self.waiting.push(Waiting {
            bytes: event.text(&self.printer_id).len(),
            event,
            under_way: false,
        });
        self.make_room();
        id
    }

    /// Time of a new event, in whole milliseconds: a little step back of the clock does not show in it.
    fn time(&self, now: Timestamp) -> Timestamp {
        let now = now.round(Unit::Millisecond).unwrap_or(now);
        let latest = self.latest.filter(|latest| {
            let ahead = latest.duration_since(now);
            ahead.is_positive() && ahead.unsigned_abs() <= STEP
        });
        latest.unwrap_or(now)
    }

    fn make_room(&mut self) {
        let mut bytes: usize = self.waiting.iter().map(|waiting| waiting.bytes).sum();
        while self.waiting.len() > MOST_WAITING || bytes > MOST_WAITING_BYTES {
            // Data go first: an error that nobody hears of is never ordered for.
            let may_go = |it: &&Waiting| !it.under_way;
            let is_data = |it: &Waiting| may_go(&it) && it.event.kind != ERROR;
            let mut waiting = self.waiting.iter();
            let oldest = waiting.position(is_data);
            let oldest = oldest.or_else(|| self.waiting.iter().position(|it| may_go(&it)));
            let Some(oldest) = oldest else { return };
            let gone = self.waiting.remove(oldest);
            bytes -= gone.bytes;
            self.lost(&gone.event.kind, Loss::Full);
        }
    }

    /// Drops the events that nobody may get. Returns their number by reason.
    pub fn purge(&mut self, wants: &Wants<'_>) -> BTreeMap<&'static str, usize> {
        let mut dropped = BTreeMap::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let event = &waiting.event;
            match wants.fate(&event.kind, event.application_id.as_deref()) {
                Fate::Drop(loss) => {
                    self.lost(&event.kind, loss);
                    *dropped.entry(loss.name()).or_default() += 1;
                }
                Fate::Send | Fate::Wait => self.waiting.push(waiting),
            }
        }
        // A kind that is wanted again begins anew.
        if wants.sends.is_some() {
            self.last
                .retain(|kind, _| !matches!(wants.fate(kind, None), Fate::Drop(_)));
        }
        dropped
    }

    /// Drops everything. Returns the number of events that waited.
    pub fn empty(&mut self, loss: Loss) -> usize {
        let waiting = std::mem::take(&mut self.waiting);
        for gone in &waiting {
            self.lost(&gone.event.kind, loss);
        }
        waiting.len()
    }

    /// True if there is an event that may be sent, or that has to be dropped.
    pub fn has_work(&self, wants: &Wants<'_>) -> bool {
        let fate = |event: &Event| wants.fate(&event.kind, event.application_id.as_deref());
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| fate(&waiting.event) != Fate::Wait)
    }

    /// Returns the next batch: the one that is under way, or else a new one, which is under way then.
    pub fn batch(&mut self, wants: &Wants<'_>) -> Option<Batch> {
        if !self.waiting.iter().any(|waiting| waiting.under_way) {
            self.cut(wants);
        }
        let under_way = self.waiting.iter().filter(|waiting| waiting.under_way);
        let events: Vec<&Event> = under_way.map(|waiting| &waiting.event).collect();
        let texts = events.iter().map(|event| event.text(&self.printer_id));
        let texts: Vec<String> = texts.collect();
        (!events.is_empty()).then(|| Batch {
            ids: events.iter().map(|event| event.id.clone()).collect(),
            body: format!("[{}]", texts.join(",")),
        })
    }

    /// Marks the oldest events that may be sent. An event that has to wait keeps later ones of its subject
    /// from being sent before it.
    fn cut(&mut self, wants: &Wants<'_>) {
        let most = self.narrowed.unwrap_or(MOST_EVENTS).clamp(1, MOST_EVENTS);
        let (mut events, mut bytes) = (0, 1);
        let mut held: Vec<Option<String>> = Vec::new();
        for waiting in &mut self.waiting {
            let event = &waiting.event;
            let fate = wants.fate(&event.kind, event.application_id.as_deref());
            if fate != Fate::Send || event.subject.is_some() && held.contains(&event.subject) {
                held.push(event.subject.clone());
                continue;
            }
            // Each has a comma or the last bracket behind it.
            bytes += waiting.bytes + 1;
            if events == most || events > 0 && bytes > MOST_BYTES {
                return;
            }
            events += 1;
            waiting.under_way = true;
        }
    }

    /// Follows answer 202 to a batch. Events that it names as refused are counted as such, all others as
    /// taken. Ids that were not in the batch say nothing.
    pub fn taken(&mut self, batch: &Batch, refused: &[RefusedEvent], now: Timestamp) {
        for id in &batch.ids {
            let Some(event) = self.remove(id) else {
                continue;
            };
            let reason = refused.iter().find(|it| it.id == *id);
            if reason.is_none() {
                self.last.entry(event.kind.clone()).or_insert(now);
            }
            let reason = reason.map(|it| &*it.reason);
            self.counts(&event.kind).answered(reason);
        }
        // Twice as many as were taken, until it is the whole.
        let wider = self.narrowed.map(|most| most.saturating_mul(2));
        self.narrowed = wider.filter(|most| *most < MOST_EVENTS);
        self.answered();
    }

    /// Follows an answer that a batch is too large: half of it comes first; one event alone is dropped.
    pub fn too_large(&mut self, batch: &Batch, fault: &str) -> Vec<Dropped> {
        self.split(batch, Loss::TooLarge, fault)
    }

    /// Follows an answer that events of a batch have faults: those are dropped, and the others stay. A fault
    /// that is not one of an event is looked for by halves.
    pub fn invalid(&mut self, batch: &Batch, faults: &[Fault], fault: &str) -> Vec<Dropped> {
        let mut found: BTreeMap<usize, String> = BTreeMap::new();
        for fault in faults {
            if let Some(at) = place(&fault.pointer).filter(|at| *at < batch.ids.len()) {
                let words = found.entry(at).or_default();
                let words_of_fault = format!("{}: {}", fault.pointer, fault.detail);
                if words.len() < 400 {
                    let comma = if words.is_empty() { "" } else { "; " };
                    words.push_str(comma);
                    words.push_str(&words_of_fault);
                }
            }
        }
        if found.is_empty() {
            return self.split(batch, Loss::Invalid, fault);
        }
        let gone = found.into_iter();
        let gone: Vec<Dropped> = gone
            .filter_map(|(at, fault)| self.drop_one(&batch.ids[at], Loss::Invalid, fault))
            .collect();
        self.answered();
        gone
    }

    fn split(&mut self, batch: &Batch, loss: Loss, fault: &str) -> Vec<Dropped> {
        self.answered();
        for waiting in &mut self.waiting {
            waiting.under_way = false;
        }
        match batch.ids.as_slice() {
            [] => Vec::new(),
            [id] => self
                .drop_one(id, loss, fault.to_owned())
                .into_iter()
                .collect(),
            ids => {
                self.narrowed = Some(ids.len() / 2);
                Vec::new()
            }
        }
    }

    fn drop_one(&mut self, id: &str, loss: Loss, fault: String) -> Option<Dropped> {
        let event = self.remove(id)?;
        self.lost(&event.kind, loss);
        Some(Dropped {
            id: event.id,
            kind: event.kind,
            fault,
        })
    }

    /// Follows a failure: the batch stays as it is, and is not sent before an instant.
    pub fn put_off(&mut self, until: Timestamp, failure: &str) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(until);
        self.failure = Some(failure.chars().take(300).collect());
    }

    /// Forgets the failures: the gateway has answered something else.
    fn answered(&mut self) {
        self.failures = 0;
        self.not_before = None;
        self.failure = None;
    }

    fn remove(&mut self, id: &str) -> Option<Event> {
        let at = self.waiting.iter().position(|it| it.event.id == id)?;
        Some(self.waiting.remove(at).event)
    }

    fn lost(&mut self, kind: &str, loss: Loss) {
        self.counts(kind).lost(loss);
    }

    fn counts(&mut self, kind: &str) -> &mut Counts {
        let is_known = self.counts.contains_key(kind) || self.counts.len() < MOST_KINDS;
        let name = if is_known { kind } else { OTHERS };
        self.counts.entry(name.to_owned()).or_default()
    }
}

/// Place of an event in its batch, from the pointer to a fault such as `/3/time`.
fn place(pointer: &str) -> Option<usize> {
    pointer.strip_prefix('/')?.split('/').next()?.parse().ok()
}
