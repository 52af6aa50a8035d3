//! Occurrences, and those of them that become events.

use super::*;

fn happens(on: Option<On>) -> Cause {
    Cause {
        kind: SUPPLIES.into(),
        on,
        ..Cause::default()
    }
}

/// Lets something happen to a device whose toner is at a level, and returns the data of the event.
fn at(level: u8, cause: &Cause) -> Result<Value, String> {
    let known = Known::toner();
    let mut outbox = outbox();
    outbox.measures.set("black-toner", level);
    let id = occur(&mut outbox, &known.wants(), cause, noon());
    let id = id.map_err(|why| why.to_string())?;
    assert_eq!(waiting(&outbox), [id]);
    Ok(outbox.waiting[0].event.data.clone())
}

// shows C8
#[test]
fn an_occurrence_is_an_event_only_if_it_is_asked_for() {
    let on = |on: On| happens(Some(on));
    let data = at(60, &on(On::Consumed)).unwrap();
    assert_eq!(
        data,
        json!({"level": 55, "unit": "Percent", "cause": "Consumed"})
    );
    assert_eq!(at(60, &on(On::BelowThreshold)).unwrap()["level"], 19);
    assert_eq!(at(7, &on(On::BelowThreshold)).unwrap()["level"], 7);
    assert_eq!(at(60, &happens(None)).unwrap()["level"], 60);
    for wrong in [On::Replaced, On::Raised, On::Cleared] {
        let why = at(60, &on(wrong)).unwrap_err();
        let asked = format!(
            "supplies.level is not asked for on {}; it is sent: on Consumed, on BelowThreshold, each \
             PT6H",
            wrong.name()
        );
        assert_eq!(why, asked);
    }
}

#[test]
fn a_level_that_is_not_below_the_threshold_is_no_event() {
    let with = |level: Value| Cause {
        data: Some(json!({ "level": level })),
        ..happens(Some(On::BelowThreshold))
    };
    for (level, is_below) in [(json!(19), true), (json!(19.9), true), (json!(20), false)] {
        let made = at(60, &with(level.clone()));
        assert_eq!(made.is_ok(), is_below, "{level}: {made:?}");
    }
    let why = at(60, &with(json!(80))).unwrap_err();
    assert!(why.contains("below 20 %") && why.contains("80 %"), "{why}");
}

#[test]
fn a_supply_that_is_used_up_to_its_threshold_tells_so_where_only_that_is_asked_for() {
    let mut known = Known::toner();
    known.sends[0].on = vec!["BelowThreshold".into()];
    let mut outbox = outbox();
    outbox.measures.set("black-toner", 26);
    let cause = happens(Some(On::Consumed));
    let made: Vec<bool> = (0..3)
        .map(|_| occur(&mut outbox, &known.wants(), &cause, noon()).is_ok())
        .collect();
    // 21, 16 and 11 percent.
    assert_eq!(made, [false, true, true]);
    assert_eq!(outbox.waiting[0].event.data["cause"], "BelowThreshold");
}

#[test]
fn a_kind_that_is_not_sent_and_an_argument_that_cannot_be_are_told_with_what_is_allowed() {
    let deep = (0..17).fold(json!(1), |inner, _| json!([inner]));
    for (cause, parts) in [
        (
            Cause {
                kind: "events.error".into(),
                ..Cause::default()
            },
            ["events.error", "supplies.level"],
        ),
        (
            Cause {
                subject: Some(" black".into()),
                ..happens(None)
            },
            ["--subject", "1 to 127"],
        ),
        (
            Cause {
                application_id: Some("ACME".into()),
                ..happens(None)
            },
            ["--application-id", "status"],
        ),
        (
            Cause {
                application_id: Some("acme.other.x".into()),
                ..happens(None)
            },
            ["acme.other.x", "no service"],
        ),
        (
            Cause {
                data: Some(json!("x".repeat(40_000))),
                ..happens(None)
            },
            ["--data", "32768"],
        ),
        (
            Cause {
                data: Some(deep),
                ..happens(None)
            },
            ["--data", "16 levels"],
        ),
    ] {
        let why = at(60, &cause).unwrap_err();
        assert!(parts.iter().all(|part| why.contains(part)), "{why}");
    }
}

// shows C7
#[test]
fn a_kind_is_sent_when_it_begins_and_then_on_its_period() {
    let mut known = Known::toner();
    known.sends.push(kind(COUNTERS));
    known.sends.push(kind("events.error"));
    known.services.push(service("backup", "Active", COUNTERS));
    let mut outbox = outbox();
    // Nobody wants the third.
    assert_eq!(period(&mut outbox, &known.wants(), noon()), 2);
    for (after, made) in [(1, 0), (5, 0), (6, 2), (7, 0), (13, 2)] {
        let now = noon() + jiff::SignedDuration::from_hours(after);
        let wants = known.wants();
        assert_eq!(period(&mut outbox, &wants, now), made, "{after}");
        // A start in between changes nothing.
        outbox = reread(&outbox);
    }
    let values = |kind: &str, member: &str| -> Vec<Value> {
        let of_kind = outbox.waiting.iter().filter(|it| it.event.kind == kind);
        of_kind.map(|it| it.event.data[member].clone()).collect()
    };
    assert_eq!(values(SUPPLIES, "level"), [99, 98, 97].map(Value::from));
    assert_eq!(
        values(COUNTERS, "impressions"),
        [25, 50, 75].map(Value::from)
    );
    // A kind that ended and begins again is sent at once.
    let sends = known.sends.clone();
    known.sends.clear();
    outbox.purge(&known.wants());
    known.sends = sends;
    let later = noon() + jiff::SignedDuration::from_hours(14);
    assert_eq!(period(&mut outbox, &known.wants(), later), 2);
}

#[test]
fn a_clock_that_steps_back_a_little_sends_nothing_twice_and_shows_no_event_before_another() {
    let mut known = Known::toner();
    for (each, back, is_sent) in [
        ("PT6H", 1, false),
        ("PT6H", 6 * 3600, false),
        ("PT6H", 6 * 3600 + 1, true),
        ("PT1S", 1, false),
        ("PT1S", 11, true),
    ] {
        known.sends[0].period = serde_json::from_value(json!(each)).unwrap();
        let mut outbox = outbox();
        assert_eq!(period(&mut outbox, &known.wants(), noon()), 1);
        let now = noon() - jiff::SignedDuration::from_secs(back);
        let made = period(&mut outbox, &known.wants(), now);
        assert_eq!(made > 0, is_sent, "{each} {back}");
        add(&mut outbox, SUPPLIES, "black-toner");
        let cause = happens(None);
        occur(&mut outbox, &known.wants(), &cause, now).unwrap();
        let last = outbox.waiting.last().unwrap();
        assert_eq!(last.event.time < noon(), back > 10, "{each} {back}");
    }
}

#[test]
fn a_device_with_several_supplies_tells_the_level_of_each() {
    let parts = ["TN-500K", "TN-500C"].map(String::from);
    let mut outbox = outbox();
    outbox.measures = Measures::new(&parts);
    assert_eq!(period(&mut outbox, &Known::toner().wants(), noon()), 2);
    let told: Vec<(&str, &Value)> = outbox
        .waiting
        .iter()
        .map(|it| {
            let event = &it.event;
            (event.subject.as_deref().unwrap(), &event.data["partNumber"])
        })
        .collect();
    assert_eq!(
        told,
        [
            ("black-toner", &json!("TN-500K")),
            ("cyan-toner", &json!("TN-500C"))
        ]
    );
}
