//! Tests of the outbox: one device, its services, and a gateway that answers by hand.

use proptest::prelude::*;
use serde_json::json;

use super::{
    outbox::{MOST_BYTES, MOST_EVENTS, MOST_WAITING, MOST_WAITING_BYTES},
    *,
};
use crate::{
    api::{DataType, Fault, RefusedEvent},
    services::Kept,
};

mod occurrences;
mod odd;

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    instant("2027-04-01T12:00:00Z")
}

/// A kind of data as the gateway wants it.
fn kind(name: &str) -> DataType {
    let kind = json!({"name": name, "on": ["Consumed", "BelowThreshold"], "threshold": 20,
        "period": "PT6H"});
    serde_json::from_value(kind).unwrap()
}

/// A service that wants a kind of data.
fn service(id: &str, state: &str, kind: &str) -> Kept {
    let kept = json!({"serviceId": id, "description": id, "provider": "Northwind",
        "applicationId": format!("acme.{id}.x"), "state": state, "enabled": true,
        "activation": "ByDevice", "requires": {"dataTypes": [kind]}});
    serde_json::from_value(kept).unwrap()
}

/// Knowledge of a device.
struct Known {
    sends: Vec<DataType>,
    services: Vec<Kept>,
}

impl Known {
    /// A device whose toner service is on.
    fn toner() -> Self {
        Self {
            sends: vec![kind(SUPPLIES)],
            services: vec![service("toner", "Active", SUPPLIES)],
        }
    }

    fn wants(&self) -> Wants<'_> {
        Wants {
            sends: Some(&self.sends),
            services: &self.services,
        }
    }
}

/// An outbox after its third start.
fn outbox() -> Outbox {
    let mut outbox = Outbox {
        measures: Measures::new(&[]),
        ..Outbox::default()
    };
    outbox.begin(3);
    outbox.registered("0d5e4d0c-6f3b-5b0a-9c0e-3b7f6f4f1c11");
    outbox
}

fn add(outbox: &mut Outbox, kind: &str, subject: &str) -> String {
    let new = New {
        kind: kind.to_owned(),
        subject: Some(subject.to_owned()),
        application_id: None,
        data: json!({}),
    };
    outbox.add(new, noon())
}

fn filled(number: usize) -> Outbox {
    let mut outbox = outbox();
    for _ in 0..number {
        add(&mut outbox, SUPPLIES, "black-toner");
    }
    outbox
}

fn waiting(outbox: &Outbox) -> Vec<String> {
    let waiting = outbox.waiting.iter();
    waiting.map(|it| it.event.id.clone()).collect()
}

/// The same outbox after a loss of power.
fn reread(outbox: &Outbox) -> Outbox {
    serde_json::from_str(&serde_json::to_string_pretty(outbox).unwrap()).unwrap()
}

fn dropped(outbox: &Outbox, kind: &str, reason: &str) -> u64 {
    let counts = outbox.counts.get(kind);
    let number = counts.and_then(|counts| counts.dropped.get(reason));
    number.copied().unwrap_or(0)
}

// shows C8
#[test]
fn an_event_is_in_the_form_of_the_document_and_each_time_the_same_text() {
    let outbox = filled(1);
    let event = &outbox.waiting[0].event;
    let text = event.text(&outbox.printer_id);
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({"specversion": "1.0", "id": "3-0000001",
            "source": "urn:uuid:0d5e4d0c-6f3b-5b0a-9c0e-3b7f6f4f1c11",
            "type": "dev.entente.supplies.level", "time": "2027-04-01T12:00:00Z",
            "subject": "black-toner", "sequence": "0000000003-0000000001",
            "datacontenttype": "application/json", "data": {}})
    );
    assert_eq!(
        reread(&outbox).waiting[0].event.text(&outbox.printer_id),
        text
    );
}

// shows C8
#[test]
fn nothing_is_made_or_sent_for_a_service_that_is_not_on() {
    let mut known = Known::toner();
    for (state, activation, missing, is_sent) in [
        ("Active", "ByDevice", "", true),
        ("Pending", "ByDevice", "", false),
        ("Inactive", "ByDevice", "", false),
        ("Scheduled", "ByDevice", "", false),
        ("Inactive", "ByFirstData", "", true),
        ("Pending", "ByFirstData", "", true),
        ("Inactive", "ByFirstData", "ExclusiveGroupHeld", false),
        ("Scheduled", "ByFirstData", "NotInForce", false),
        ("Inactive", "AtMidnight", "", false),
    ] {
        let service = &mut known.services[0];
        service.state = state.into();
        service.activation = serde_json::from_value(json!(activation)).unwrap();
        service.missing = missing.split_terminator(',').map(String::from).collect();
        let mut empty = outbox();
        let made = period(&mut empty, &known.wants(), noon());
        assert_eq!(made > 0, is_sent, "{state} {activation}");
        let cause = Cause {
            kind: SUPPLIES.into(),
            ..Cause::default()
        };
        let made = occur(&mut empty, &known.wants(), &cause, noon());
        assert_eq!(made.is_ok(), is_sent, "{state} {activation}");
        // One that was made before waits.
        let mut full = filled(1);
        full.purge(&known.wants());
        assert_eq!(waiting(&full).len(), 1, "{state} {activation}");
        let batch = full.batch(&known.wants());
        assert_eq!(batch.is_some(), is_sent, "{state} {activation}");
    }
}

#[test]
fn an_event_that_nobody_may_get_is_dropped_and_counted() {
    let all = Known::toner();
    let unwanted = Known {
        sends: Vec::new(),
        ..Known::toner()
    };
    let mut off = Known::toner();
    off.services[0].enabled = false;
    let mut cancelled = Known::toner();
    cancelled.services[0].application_id = None;
    for (known, reason) in [
        (&unwanted, "NotWanted"),
        (&off, "SwitchedOff"),
        (&cancelled, "NotWanted"),
    ] {
        // Also one that was sent in vain: the owner's word is newer than the batch.
        let mut outbox = filled(3);
        let batch = outbox.batch(&all.wants()).unwrap();
        outbox.put_off(noon(), "busy");
        assert_eq!(
            outbox.purge(&known.wants()),
            [(reason, 3)].into_iter().collect()
        );
        assert_eq!(outbox.batch(&known.wants()), None);
        assert_eq!(dropped(&outbox, SUPPLIES, reason), 3);
        // An answer that comes after that changes nothing.
        let before = outbox.counts.clone();
        outbox.taken(&batch, &[], noon());
        assert_eq!(outbox.counts, before);
    }
    // Two want it, and one is off.
    off.services.push(service("backup", "Active", SUPPLIES));
    let mut outbox = filled(1);
    assert!(outbox.purge(&off.wants()).is_empty());
    // But what is for the one alone is for nobody.
    outbox.waiting[0].event.application_id = Some("acme.toner.x".into());
    assert_eq!(outbox.purge(&off.wants()).len(), 1);
}

#[test]
fn a_batch_has_at_most_256_events_and_256_kib_and_the_oldest_first() {
    let known = Known::toner();
    let mut outbox = filled(300);
    let all = waiting(&outbox);
    let batch = outbox.batch(&known.wants()).unwrap();
    assert_eq!(batch.ids, all[..MOST_EVENTS]);
    outbox.taken(&batch, &[], noon());
    assert_eq!(waiting(&outbox), all[MOST_EVENTS..]);
    let mut outbox = filled(0);
    for _ in 0..20 {
        let new = New {
            kind: SUPPLIES.into(),
            data: json!("x".repeat(32_000)),
            ..New::default()
        };
        outbox.add(new, noon());
    }
    let mut sizes = Vec::new();
    while let Some(batch) = outbox.batch(&known.wants()) {
        assert!(batch.body.len() <= MOST_BYTES, "{}", batch.body.len());
        let read: Vec<Value> = serde_json::from_str(&batch.body).unwrap();
        assert_eq!(read.len(), batch.ids.len());
        sizes.push(batch.ids.len());
        outbox.taken(&batch, &[], noon());
    }
    assert_eq!(sizes, [8, 8, 4]);
}

// shows C16
#[test]
fn the_same_batch_comes_again_until_it_is_answered_over_failures_news_and_starts() {
    let known = Known::toner();
    let mut outbox = filled(3);
    let first = outbox.batch(&known.wants()).unwrap();
    outbox.put_off(noon(), "busy");
    add(&mut outbox, SUPPLIES, "black-toner");
    assert_eq!(outbox.batch(&known.wants()), Some(first.clone()));
    let mut outbox = reread(&outbox);
    outbox.begin(4);
    let id = add(&mut outbox, SUPPLIES, "black-toner");
    assert_eq!(id, "4-0000001");
    assert_eq!(outbox.batch(&known.wants()), Some(first.clone()));
    outbox.taken(&first, &[], noon());
    assert_eq!(outbox.failures, 0);
    let second = outbox.batch(&known.wants()).unwrap();
    assert_eq!(second.ids, ["3-0000004", "4-0000001"]);
    // The order of characters is that of the device, over starts too.
    let sequences: Vec<&str> = outbox
        .waiting
        .iter()
        .map(|it| &*it.event.sequence)
        .collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
}

#[test]
fn a_full_outbox_loses_its_oldest_events_but_for_those_under_way() {
    let known = Known::toner();
    let mut outbox = filled(MOST_WAITING);
    let batch = outbox.batch(&known.wants()).unwrap();
    for _ in 0..10 {
        add(&mut outbox, SUPPLIES, "black-toner");
    }
    assert_eq!(outbox.waiting.len(), MOST_WAITING);
    assert_eq!(dropped(&outbox, SUPPLIES, "Full"), 10);
    assert_eq!(waiting(&outbox)[..MOST_EVENTS], batch.ids);
    assert_eq!(waiting(&outbox)[MOST_EVENTS], "3-0000267");
    assert_eq!(waiting(&outbox).last().unwrap(), "3-0001034");
    // By bytes as well: 40 events of 32 KiB do not fit.
    let mut outbox = filled(0);
    for _ in 0..40 {
        let new = New {
            kind: SUPPLIES.into(),
            data: json!("x".repeat(32_000)),
            ..New::default()
        };
        outbox.add(new, noon());
    }
    let bytes = outbox.waiting.iter();
    let bytes: usize = bytes
        .map(|it| it.event.text(&outbox.printer_id).len())
        .sum();
    assert!(bytes <= MOST_WAITING_BYTES && outbox.waiting.len() < 40);
    assert_eq!(
        dropped(&outbox, SUPPLIES, "Full") + outbox.waiting.len() as u64,
        40
    );
}

#[test]
fn a_refused_event_is_over_and_counted_by_its_reason() {
    let known = Known::toner();
    let mut outbox = filled(4);
    let batch = outbox.batch(&known.wants()).unwrap();
    let refused = |id: &str, reason: &str| RefusedEvent {
        id: id.into(),
        reason: reason.into(),
    };
    let all = [
        refused(&batch.ids[1], "NotRequested"),
        refused(&batch.ids[2], "RefusedByProvider"),
        refused(&batch.ids[3], "a word that is as long as somebody likes"),
        refused("77-0009", "NotRequested"),
    ];
    outbox.taken(&batch, &all, noon());
    assert!(outbox.waiting.is_empty());
    let counts = &outbox.counts[SUPPLIES];
    assert_eq!(counts.taken, 1);
    let reasons: Vec<(&str, u64)> = counts
        .refused
        .iter()
        .map(|(reason, number)| (&**reason, *number))
        .collect();
    assert_eq!(
        reasons,
        [("NotRequested", 1), ("Other", 1), ("RefusedByProvider", 1)]
    );
}

#[test]
fn an_event_with_a_fault_is_dropped_by_its_pointer_and_the_others_are_sent() {
    let known = Known::toner();
    let mut outbox = filled(3);
    let batch = outbox.batch(&known.wants()).unwrap();
    let fault = |pointer: &str| Fault {
        pointer: pointer.into(),
        detail: "found 7".into(),
        allowed: None,
    };
    let faults = [fault("/1/time"), fault("/1/data/level"), fault("/9/time")];
    let gone = outbox.invalid(&batch, &faults, "422");
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].id, batch.ids[1]);
    assert_eq!(gone[0].fault, "/1/time: found 7; /1/data/level: found 7");
    assert_eq!(dropped(&outbox, SUPPLIES, "Invalid"), 1);
    let left = outbox.batch(&known.wants()).unwrap();
    assert_eq!(left.ids, [batch.ids[0].clone(), batch.ids[2].clone()]);
}

proptest! {
    /// A gateway that takes no more than so many events, and finds a fault in one of them without naming it:
    /// every other event arrives once and in order, and the device does not go on for ever.
    #[test]
    fn a_batch_is_split_until_only_the_event_at_fault_is_lost(
        number in 1_usize..200, at in 0_usize..200, most in 1_usize..300,
    ) {
        let known = Known::toner();
        let mut outbox = filled(number);
        let all = waiting(&outbox);
        let odd = all.get(at).cloned();
        let mut arrived: Vec<String> = Vec::new();
        let mut requests = 0;
        while let Some(batch) = outbox.batch(&known.wants()) {
            requests += 1;
            prop_assert!(requests < 1000, "{:?}", outbox);
            if batch.ids.len() > most {
                outbox.too_large(&batch, "413");
            } else if odd.as_ref().is_some_and(|odd| batch.ids.contains(odd)) {
                outbox.invalid(&batch, &[], "400");
            } else {
                outbox.taken(&batch, &[], noon());
                arrived.extend(batch.ids);
            }
        }
        let expected: Vec<String> = all.into_iter().filter(|id| Some(id) != odd.as_ref()).collect();
        prop_assert_eq!(arrived, expected);
    }
}
