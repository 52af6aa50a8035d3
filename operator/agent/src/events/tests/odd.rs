//! Odd cases that others have met with buffers of devices and of collectors, each with the report that told
//! of it.

use jiff::SignedDuration;

use super::*;

/// A report, and the check that this device does not do the same.
type Row = (&'static str, &'static str, fn());

const ROWS: [Row; 10] = [
    (
        "Azure/azure-iot-sdk-c issue 1626",
        "a queue without a bound takes all memory while there is no network",
        a_bound,
    ),
    (
        "espressif/esp-mqtt issue 278",
        "old messages make room only while there is a connection",
        room_without_a_connection,
    ),
    (
        "iotblackbelt/node-red-contrib-azure-iot-device issue 10",
        "one message is queued anew with each try, and arrives four times",
        one_copy,
    ),
    (
        "dotnet/iot issue 2521",
        "events are replayed by a clock that was corrected meanwhile, and come out of order",
        order_without_a_clock,
    ),
    (
        "open-telemetry/opentelemetry-collector issue 6020",
        "a batch that was under way is not sent after a restart",
        under_way_over_a_start,
    ),
    (
        "open-telemetry/opentelemetry-collector issue 9451",
        "a queue that is fuller than its bound keeps the program from starting",
        fuller_than_its_bound,
    ),
    (
        "open-telemetry/opentelemetry-collector issue 12095",
        "one batch that fails for ever is sent for ever, and nothing after it",
        poison,
    ),
    (
        "fluent/fluent-bit issue 3495",
        "an entry that is refused for its size is kept and tried again for ever",
        too_large_alone,
    ),
    (
        "MicrosoftDocs/azure-docs issue 72820",
        "events expire by the clock while the power is off",
        no_expiry,
    ),
    (
        "cloudevents/spec pull request 1169",
        "one id is in a batch twice, or is used for two events",
        ids,
    ),
];

#[test]
fn none_of_what_others_have_met_happens_here() {
    for (report, what, check) in ROWS {
        let held = std::panic::catch_unwind(check);
        assert!(held.is_ok(), "{report}: {what}");
    }
}

fn a_bound() {
    let outbox = filled(MOST_WAITING * 2);
    assert_eq!(outbox.waiting.len(), MOST_WAITING);
    assert_eq!(dropped(&outbox, SUPPLIES, "Full"), MOST_WAITING as u64);
}

fn room_without_a_connection() {
    let mut outbox = filled(MOST_WAITING);
    outbox.put_off(noon(), "the gateway does not answer");
    let newest = add(&mut outbox, SUPPLIES, "black-toner");
    assert_eq!(waiting(&outbox).last(), Some(&newest));
    assert_eq!(waiting(&outbox)[0], "3-0000002");
}

fn one_copy() {
    let known = Known::toner();
    let mut outbox = filled(1);
    for _ in 0..4 {
        let batch = outbox.batch(&known.wants()).unwrap();
        assert_eq!(batch.ids, ["3-0000001"]);
        outbox.put_off(noon(), "no answer");
        outbox = reread(&outbox);
    }
    assert_eq!(outbox.waiting.len(), 1);
}

fn order_without_a_clock() {
    let known = Known::toner();
    let mut outbox = outbox();
    for hours in [0, 5, -8760, 1] {
        let new = New {
            kind: SUPPLIES.into(),
            ..New::default()
        };
        outbox.add(new, noon() + SignedDuration::from_hours(hours));
    }
    let batch = outbox.batch(&known.wants()).unwrap();
    let events: Vec<Value> = serde_json::from_str(&batch.body).unwrap();
    let sequences: Vec<&str> = events
        .iter()
        .map(|event| event["sequence"].as_str().unwrap())
        .collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    // A last message that lies ahead does not keep a kind from being sent for a year.
    outbox
        .last
        .insert(SUPPLIES.into(), noon() + SignedDuration::from_hours(8760));
    assert_eq!(outbox.due(&known.wants(), noon()), [SUPPLIES]);
}

fn under_way_over_a_start() {
    let known = Known::toner();
    let mut outbox = filled(2);
    let batch = outbox.batch(&known.wants());
    let mut outbox = reread(&outbox);
    outbox.begin(4);
    assert_eq!(outbox.batch(&known.wants()), batch);
}

fn fuller_than_its_bound() {
    let mut outbox = filled(MOST_WAITING);
    let one = outbox.waiting[0].clone();
    outbox
        .waiting
        .extend(std::iter::repeat_n(one, MOST_WAITING));
    let mut outbox = reread(&outbox);
    outbox.begin(4);
    add(&mut outbox, SUPPLIES, "black-toner");
    assert_eq!(outbox.waiting.len(), MOST_WAITING);
}

fn poison() {
    let known = Known::toner();
    let mut outbox = filled(8);
    let odd = "3-0000003".to_owned();
    let mut arrived = 0;
    while let Some(batch) = outbox.batch(&known.wants()) {
        if batch.ids.contains(&odd) {
            outbox.invalid(&batch, &[], "400");
        } else {
            outbox.taken(&batch, &[], noon());
            arrived += batch.ids.len();
        }
    }
    assert_eq!((arrived, dropped(&outbox, SUPPLIES, "Invalid")), (7, 1));
}

fn too_large_alone() {
    let known = Known::toner();
    let mut outbox = filled(1);
    let batch = outbox.batch(&known.wants()).unwrap();
    assert_eq!(outbox.too_large(&batch, "413").len(), 1);
    assert_eq!(dropped(&outbox, SUPPLIES, "TooLarge"), 1);
    assert_eq!(outbox.batch(&known.wants()), None);
}

fn no_expiry() {
    let known = Known::toner();
    let mut outbox = filled(3);
    outbox.purge(&known.wants());
    let later = noon() + SignedDuration::from_hours(8760);
    period(&mut outbox, &known.wants(), later);
    assert_eq!(outbox.batch(&known.wants()).unwrap().ids.len(), 4);
}

fn ids() {
    // Over starts, withdrawals and new registrations.
    let mut outbox = outbox();
    let mut seen = std::collections::BTreeSet::new();
    for boot in 4..8 {
        outbox.begin(boot);
        for _ in 0..3 {
            assert!(seen.insert(add(&mut outbox, SUPPLIES, "black-toner")));
        }
        outbox.empty(Loss::ConsentWithdrawn);
        outbox.registered(&format!("device-{boot}"));
        assert!(seen.insert(add(&mut outbox, SUPPLIES, "black-toner")));
    }
}
