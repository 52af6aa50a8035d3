//! The time after which a device calls again (C9).
//!
//! A device that calls once a day has to hold the next revision before its instant, and must not call
//! with all others at once. Decides the time from the instants that lie ahead, and a spread that
//! follows from the id of the device; also whether a call is worth a write. Called for each answer.

use std::time::Duration;

use entente_crds::v1alpha1::{AgentEndpoint, DeviceTwin, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// Time after which a device calls that has just registered.
pub const AFTER_REGISTRATION: SignedDuration = SignedDuration::from_secs(5);
/// The shortest time before an instant: calls are planned in whole seconds.
const SHORTEST_BEFORE: SignedDuration = SignedDuration::from_secs(2);
/// The shortest and the longest time between two calls.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Times by which devices of a Connection call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rhythm {
    /// The longest time between two calls.
    pub period: SignedDuration,
    /// Time before an instant in which a device calls once more.
    pub before: SignedDuration,
}

impl Rhythm {
    /// Returns the times of a Connection; the defaults where one is no length of time.
    pub fn of(agent: &AgentEndpoint) -> Self {
        let length = |found: &entente_crds::duration::Duration, other: SignedDuration| {
            found.length().unwrap_or(other)
        };
        let day = SignedDuration::from_hours(24);
        let period = length(&agent.poll, day).clamp(SHORTEST, LONGEST);
        Self {
            period,
            before: length(&agent.before, SignedDuration::from_mins(2))
                .clamp(SHORTEST_BEFORE, LONGEST),
        }
    }

    /// Returns the time after which a device calls again, in whole seconds: after the period, or
    /// earlier, so that it calls within `before` of each of these instants, and at the instant.
    pub fn next(
        self,
        instants: impl IntoIterator<Item = Timestamp>,
        printer_id: &str,
        now: Timestamp,
    ) -> SignedDuration {
        let before = self.before.max(SHORTEST_BEFORE);
        // The last quarter is for a device that comes late.
        let span = (before.as_secs() * 3 / 4).max(1);
        let spread = SignedDuration::from_secs(spread(printer_id) % span);
        let wait = |instant: Timestamp| {
            let last = instant.duration_since(now) - before + spread;
            if last > SignedDuration::ZERO {
                last
            } else {
                instant.duration_since(now)
            }
        };
        let ahead = instants.into_iter().filter(|instant| *instant > now);
        let wait = ahead.map(wait).min().unwrap_or(self.period);
        let whole = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
        let longest = self.period.as_secs().max(1);
        SignedDuration::from_secs(whole.clamp(1, longest))
    }
}

/// Returns a number that follows from the id of a device, and that no two have on purpose.
fn spread(printer_id: &str) -> i64 {
    let digest = Sha256::digest(printer_id.as_bytes());
    let mut start = [0; 8];
    start.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(start) & i64::MAX
}

/// Returns the time after the beginning of a drain after which a request of a device that is held is
/// answered: in its second half, when other gateways are called already, and spread, so that they are not
/// called by all devices at once.
pub fn answered_after(drain: Duration, printer_id: &str) -> Duration {
    let half = drain / 2;
    let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
    let late = spread(printer_id).unsigned_abs() % span;
    drain.saturating_sub(half) + Duration::from_millis(late)
}

/// Returns the instants that lie ahead for a device: those of its subscriptions, that of the next
/// document, and that at which the operator wants it to call.
pub fn instants<'a>(
    twin: &DeviceTwin,
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    now: Timestamp,
) -> Vec<Timestamp> {
    let of_services = subscriptions.into_iter().flat_map(|subscription| {
        let revisions = subscription.spec.revisions.iter();
        revisions.map(|revision| revision.effective)
    });
    let of_twin = twin.spec.next.iter().map(|next| next.effective);
    let all = of_services.chain(of_twin).chain(twin.spec.call_at);
    all.filter(|instant| *instant > now).collect()
}

/// Returns a length of time as ISO 8601 writes it, in hours, minutes and whole seconds.
pub fn iso(length: SignedDuration) -> String {
    SignedDuration::from_secs(length.as_secs()).to_string()
}

/// True if a call is to be written down: it is the first, or half a period after the last that was.
pub fn is_news(last_heard: Option<Timestamp>, period: SignedDuration, now: Timestamp) -> bool {
    last_heard.is_none_or(|last| now < last || now.duration_since(last) >= period / 2)
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::{DeviceTwinSpec, TwinNext};
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn seconds(number: i64) -> SignedDuration {
        SignedDuration::from_secs(number)
    }

    const DAILY: Rhythm = Rhythm {
        period: SignedDuration::from_hours(24),
        before: SignedDuration::from_mins(2),
    };

    // shows C9
    #[test]
    fn without_an_instant_ahead_it_is_the_period_and_before_one_it_is_shortened() {
        let day = 86_400;
        let next = |instants: &[i64], now: Timestamp| {
            DAILY
                .next(instants.iter().map(|it| at(*it)), "id", now)
                .as_secs()
        };
        assert_eq!(next(&[], at(0)), day);
        assert_eq!(next(&[0, -5], at(0)), day, "what has come counts no more");
        assert_eq!(next(&[2 * day], at(0)), day, "there is a call in between");
        let last = next(&[day], at(0));
        assert!((day - 120..day - 30).contains(&last), "{last}");
        let at_it = next(&[day], at(last));
        assert_eq!(last + at_it, day, "the next call is at the instant");
        let tenth = at(0) + SignedDuration::from_millis(100);
        assert_eq!(next(&[10], tenth), 10, "never before it");
        assert_eq!(next(&[day], at(day)), day);
    }

    // shows C9
    #[test]
    fn requests_that_are_held_are_answered_in_the_second_half_of_a_drain_and_not_all_at_once() {
        let drain = Duration::from_secs(5);
        let after = |id: usize| answered_after(drain, &format!("id-{id}"));
        let half = Duration::from_millis(2500);
        assert!((0..1000).all(|id| after(id) >= half && after(id) < drain));
        for tenth in 0..10 {
            let begin = half + half / 10 * tenth;
            let of_it = begin..begin + half / 10;
            let count = (0..1000).filter(|id| of_it.contains(&after(*id))).count();
            assert!((60..140).contains(&count), "{count} in tenth {tenth}");
        }
        let shortest = Duration::from_nanos(1);
        assert_eq!(answered_after(shortest, "id"), shortest);
    }

    // shows C9
    #[test]
    fn devices_are_spread_over_the_time_before_an_instant_by_their_ids() {
        let calls: Vec<i64> = (0..1000)
            .map(|id| DAILY.next([at(3600)], &format!("id-{id}"), at(0)).as_secs())
            .collect();
        for part in 0..9 {
            let from = 3480 + part * 10;
            let number = calls
                .iter()
                .filter(|it| (from..from + 10).contains(*it))
                .count();
            assert!(number > 60, "{number} of 1000 from {from}");
        }
        assert_eq!(calls, calls.clone(), "the same each time");
        let again = DAILY.next([at(3600)], "id-7", at(0)).as_secs();
        assert_eq!(again, calls[7]);
    }

    proptest! {
        // shows C9
        #[test]
        fn no_instant_comes_without_a_call_before_it_and_no_wait_is_longer_than_the_period(
            instants in proptest::collection::vec(1i64..200_000, 0..6),
            period in 1i64..100_000,
            before in 2i64..10_000,
            begin in 0i64..1000,
            millis in 0i64..1000,
            id in "[a-z]{1,8}",
        ) {
            let rhythm = Rhythm { period: seconds(period), before: seconds(before) };
            let ahead: Vec<Timestamp> = instants.iter().map(|it| at(begin + it)).collect();
            let mut now = at(begin) + SignedDuration::from_millis(millis);
            let end = at(begin + 200_001);
            let mut calls = vec![now];
            // A device with a short period would call for ever: it is followed where instants are.
            while now < end && calls.len() < 20_000 {
                let wait = rhythm.next(ahead.iter().copied(), &id, now);
                prop_assert!(wait >= seconds(1) && wait <= seconds(period.max(1)), "{wait:?}");
                now += wait;
                calls.push(now);
            }
            let last = *calls.last().unwrap();
            // One that lies within a second of the first call has no whole second before it.
            let first = calls[0] + seconds(1);
            for instant in ahead.into_iter().filter(|it| *it > first && *it < last) {
                let from = instant - seconds(before);
                let is_kept = calls.iter().any(|call| *call >= from && *call < instant);
                prop_assert!(is_kept, "{instant}: {calls:?}");
                let at_it = calls.iter().any(|call| {
                    *call >= instant && *call < instant + seconds(1)
                });
                prop_assert!(at_it, "{instant}: {calls:?}");
            }
        }

        #[test]
        fn a_time_is_written_as_the_description_of_the_api_says(number in 0i64..10_000_000) {
            let text = iso(seconds(number));
            let mut rest = text.strip_prefix("PT").unwrap();
            let mut sum = 0;
            for (unit, factor) in [('H', 3600), ('M', 60), ('S', 1)] {
                if let Some((found, left)) = rest.split_once(unit) {
                    sum += factor * found.parse::<i64>().unwrap();
                    rest = left;
                }
            }
            prop_assert_eq!((sum, rest), (number, ""));
        }
    }

    // shows B6 C9
    #[test]
    fn the_next_document_and_the_opening_of_a_maintenance_window_are_instants_too() {
        let mut twin = DeviceTwin::new("mfp", DeviceTwinSpec::default());
        assert_eq!(instants(&twin, [], at(0)), []);
        twin.spec.call_at = Some(at(20));
        twin.spec.next = Some(TwinNext {
            effective: at(10),
            settings: Vec::new(),
        });
        assert_eq!(instants(&twin, [], at(0)), [at(10), at(20)]);
        assert_eq!(
            instants(&twin, [], at(10)),
            [at(20)],
            "one that has come is none"
        );
    }

    #[test]
    fn times_are_in_hours_minutes_and_seconds() {
        for (number, text) in [
            (86_400, "PT24H"),
            (5, "PT5S"),
            (83_520, "PT23H12M"),
            (0, "PT0S"),
        ] {
            assert_eq!(iso(seconds(number)), text);
        }
    }

    // shows C9
    #[test]
    fn a_call_is_written_down_twice_in_a_period_at_most() {
        let period = seconds(100);
        for (last, now, expected) in [
            (None, 0, true),
            (Some(0), 49, false),
            (Some(0), 50, true),
            (Some(10), 0, true),
        ] {
            assert_eq!(
                is_news(last.map(at), period, at(now)),
                expected,
                "{last:?} {now}"
            );
        }
    }

    #[test]
    fn a_connection_without_times_has_those_of_the_defaults() {
        assert_eq!(Rhythm::of(&AgentEndpoint::default()), DAILY);
        let odd = AgentEndpoint {
            poll: "often".into(),
            before: "500ms".into(),
            ..AgentEndpoint::default()
        };
        assert_eq!(
            Rhythm::of(&odd),
            Rhythm {
                before: SHORTEST_BEFORE,
                ..DAILY
            }
        );
    }
}
