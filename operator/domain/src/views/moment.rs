//! Moments: an instant as people read it, in the zone of a contract and by its distance from now.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::time::local_start;

/// An instant with its local text.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Moment {
    /// The instant.
    pub at: Timestamp,
    /// The local date that begins with it, such as `2027-04-01`, else the local time with the offset,
    /// such as `2027-04-01 14:30 -03`.
    pub local: String,
    /// Its distance from now, such as `in 12d` or `7m ago`.
    #[serde(skip)]
    pub relative: String,
}

impl Moment {
    /// Returns an instant as it is read at `now` in a zone.
    pub fn new(at: Timestamp, zone: &TimeZone, now: Timestamp) -> Self {
        let local = local_start(at, zone);
        let local = if local.contains('T') {
            at.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M %Z")
                .to_string()
        } else {
            local
        };
        let distance = now.duration_since(at);
        let relative = if distance.is_negative() {
            format!("in {}", age(-distance))
        } else {
            format!("{} ago", age(distance))
        };
        Self {
            at,
            local,
            relative,
        }
    }

    /// Returns both texts, such as `2027-04-01 (in 12d)`.
    pub fn in_full(&self) -> String {
        format!("{} ({})", self.local, self.relative)
    }
}

/// Returns a length of time in one or two units, as kubectl writes ages: `45s`, `12m`, `5h`, `12d`,
/// `2y31d`. What is negative is `0s`.
pub fn age(length: SignedDuration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let seconds = length.as_secs().max(0);
    match seconds {
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 2 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ => match (seconds / YEAR, seconds % YEAR / DAY) {
            (years, 0) => format!("{years}y"),
            (years, days) => format!("{years}y{days}d"),
        },
    }
}
