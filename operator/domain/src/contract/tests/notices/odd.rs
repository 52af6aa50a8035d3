//! Odd events as receivers of other projects have met them, one row for each report.

use super::*;

/// A report, its events in the order in which they come, and what follows.
struct Odd {
    report: &'static str,
    /// Name, S for started or E for ended, the instant of the event, and that of its notice; all on
    /// one day.
    events: &'static [(&'static str, char, &'static str, &'static str)],
    term: &'static str,
    refused: &'static [(&'static str, Reason)],
}

const DAY: &str = "2027-04-12T";
const YEAR: &str = "2028-04-12T";

const ODD: &[Odd] = &[
    Odd {
        report: "stripe/stripe-cli#418: the event of the creation comes after the one behind it",
        events: &[
            ("ended", 'E', "10:00:00Z", "10:00:00Z"),
            ("started", 'S', "09:59:59Z", "10:00:01Z"),
        ],
        term: "never",
        refused: &[("started", Reason::PastEnd)],
    },
    Odd {
        report: "laravel/cashier-stripe#1201: two events of neighbouring seconds are swapped",
        events: &[
            ("started", 'S', "10:00:01Z", "10:00:02Z"),
            ("ended", 'E', "10:00:00Z", "10:00:01Z"),
        ],
        term: "10:00:01Z by started until 10:00:01.001Z by ended",
        refused: &[],
    },
    Odd {
        report: "spikonado/sprocket#74: events of one instant are applied in the order of arrival",
        events: &[
            ("b", 'S', "10:00:00Z", "10:00:00Z"),
            ("a", 'S', "10:00:00Z", "10:00:00Z"),
        ],
        term: "10:00:00Z by b until next year",
        refused: &[("a", Reason::AlreadyStarted)],
    },
    Odd {
        report: "Vexa-ai/vexa#519: one event comes under an id of its own each time",
        events: &[
            ("one", 'S', "10:00:00Z", "10:00:01Z"),
            ("two", 'S', "10:00:00Z", "10:00:31Z"),
            ("three", 'S', "10:00:00Z", "11:00:00Z"),
        ],
        term: "10:00:00Z by one until next year",
        refused: &[
            ("two", Reason::AlreadyStarted),
            ("three", Reason::AlreadyStarted),
        ],
    },
    Odd {
        report: "abarghoud/SentryGuard#210: the sender's clock is a minute and 20 seconds ahead",
        events: &[("ahead", 'S', "10:01:20Z", "10:00:00Z")],
        term: "10:01:20Z by ahead until next year",
        refused: &[],
    },
    Odd {
        report: "deliveroo/routemaster#96: a clock that is put right makes a past event a future one",
        events: &[
            ("ahead", 'S', "10:04:59Z", "10:00:00Z"),
            ("again", 'S', "10:00:10Z", "10:00:10Z"),
        ],
        term: "10:04:59Z by ahead until next year",
        refused: &[("again", Reason::AlreadyStarted)],
    },
    Odd {
        report: "cloudevents/spec#1205: after an outage a receiver gets all old events at once",
        events: &[
            ("old", 'S', "03:00:00Z", "10:00:00Z"),
            ("older", 'S', "02:00:00Z", "10:00:00Z"),
            ("cancelled", 'E', "09:00:00Z", "10:00:05Z"),
        ],
        term: "10:00:00Z by old until 10:00:05Z by cancelled",
        refused: &[("older", Reason::AlreadyStarted)],
    },
    Odd {
        report: "cloudevents/spec#445: the time is that of the message and not that of the event",
        events: &[("sent", 'S', "10:00:00Z", "10:00:00Z")],
        term: "10:00:00Z by sent until next year",
        refused: &[],
    },
    Odd {
        report: "strangerstudios/paid-memberships-pro#2055: an end that is known comes once more",
        events: &[
            ("started", 'S', "09:00:00Z", "09:00:00Z"),
            ("ended", 'E', "10:00:00Z", "10:00:00Z"),
            ("again", 'E', "10:00:00Z", "10:00:03Z"),
            ("restarted", 'S', "10:00:04Z", "10:00:04Z"),
        ],
        term: "09:00:00Z by started until 10:00:00Z by ended",
        refused: &[
            ("again", Reason::PastEnd),
            ("restarted", Reason::AlreadyStarted),
        ],
    },
    Odd {
        report: "pentacent/keila#56: the end is agreed before the start is known, and lies behind it",
        events: &[
            ("ends", 'E', "18:00:00Z", "08:00:00Z"),
            ("started", 'S', "10:00:00Z", "10:00:00Z"),
        ],
        term: "10:00:00Z by started until 18:00:00Z by ends",
        refused: &[],
    },
];

// shows B2
#[test]
fn odd_events_as_others_have_met_them_start_and_end_a_contract_once() {
    for odd in ODD {
        let mut world = awaiting();
        for (name, r#type, event, created) in odd.events {
            let r#type = match r#type {
                'S' => NoticeType::Started,
                _ => NoticeType::Ended,
            };
            let created = format!("{DAY}{created}");
            world.notify(name, r#type, &format!("{DAY}{event}"), &created);
            world.pass(&created);
        }
        world.pass("2027-04-12T12:00:00Z");
        let told = term(&world).replace(DAY, "");
        if odd.term == "never" {
            assert_eq!(
                said(&world, ConditionType::InForce),
                "False Ended",
                "{}",
                odd.report
            );
            assert!(world.subscriptions.is_empty(), "{}", odd.report);
        } else {
            let start = odd.term.split_once(' ').map_or("", |(start, _)| start);
            let expected = odd.term.replace("next year", &format!("{YEAR}{start}"));
            assert_eq!(told, expected, "{}", odd.report);
        }
        for (name, ..) in odd.events {
            let mut refused = odd.refused.iter();
            let reason = refused.find(|(refused, _)| refused == name);
            let expected = reason.map_or_else(
                || "True Valid".to_owned(),
                |(_, reason)| format!("False {reason}"),
            );
            assert_eq!(accepted(&world, name), expected, "{name}: {}", odd.report);
        }
    }
}
