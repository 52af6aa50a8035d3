//! Reads Retry-After (RFC 9110 section 10.2.3), as seconds or as a date.
//!
//! Takes what a server meant, and never less: seconds with a fraction, which the RFC does not
//! have and which servers send (getsentry/sentry#7919, opensearch-project/data-prepper#6927), are
//! rounded up, and of several wishes, such as a proxy's beside the server's, the longest counts.

use std::time::SystemTime;

use entente_domain::backoff::LONGEST_ASKED;
use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use jiff::SignedDuration;

/// Returns the time from now; `None` if the header is missing or makes no sense.
pub(super) fn parse(headers: &HeaderMap) -> Option<SignedDuration> {
    let texts = headers.get_all(RETRY_AFTER).iter();
    let wishes = texts.filter_map(|text| {
        let text = text.to_str().ok()?.trim();
        seconds(text).or_else(|| until_date(text, headers))
    });
    Some(wishes.max()?.min(LONGEST_ASKED))
}

/// Returns a number of seconds, rounded up; `None` if the text is no number.
fn seconds(text: &str) -> Option<SignedDuration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let more = i64::from(fraction.bytes().any(|digit| digit != b'0'));
    let whole = whole.parse::<i64>().unwrap_or(i64::MAX);
    Some(SignedDuration::from_secs(whole.saturating_add(more)))
}

/// Returns the time until a date; nothing if it has passed, `None` if the text is no date.
fn until_date(text: &str, headers: &HeaderMap) -> Option<SignedDuration> {
    let until = httpdate::parse_http_date(text).ok()?;
    // The server's own clock decides if it is in the answer, so that a wrong one does no harm.
    let now = date(headers, &DATE).unwrap_or_else(SystemTime::now);
    Some(
        until
            .duration_since(now)
            .map_or(SignedDuration::ZERO, |ahead| {
                SignedDuration::try_from(ahead).unwrap_or(LONGEST_ASKED)
            }),
    )
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(retry_after: &str, date: Option<&str>) -> Option<SignedDuration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        parse(&headers)
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(parsed("120", None), Some(SignedDuration::from_secs(120)));
        assert_eq!(parsed(" 0 ", None), Some(SignedDuration::ZERO));
    }

    #[test]
    fn a_fraction_of_a_second_is_waited_for_as_a_whole_one() {
        for (text, whole) in [
            ("2.0", 2),
            ("1.5", 2),
            ("0.001", 1),
            ("0.0", 0),
            ("292.052427053", 293),
        ] {
            let expected = Some(SignedDuration::from_secs(whole));
            assert_eq!(parsed(text, None), expected, "{text}");
        }
    }

    #[test]
    fn of_several_wishes_the_longest_counts_and_nonsense_hides_none() {
        let mut headers = HeaderMap::new();
        for wish in ["soon", "30", "120", "Wed, 21 Oct 2026 07:29:00 GMT"] {
            headers.append(RETRY_AFTER, wish.parse().unwrap());
        }
        let date = "Wed, 21 Oct 2026 07:28:00 GMT";
        headers.insert(DATE, date.parse().unwrap());
        assert_eq!(parse(&headers), Some(SignedDuration::from_secs(120)));
    }

    #[test]
    fn a_clock_that_is_hours_off_on_either_side_makes_no_difference() {
        for (date, until) in [
            (
                "Wed, 21 Oct 2009 03:00:00 GMT",
                "Wed, 21 Oct 2009 03:05:00 GMT",
            ),
            (
                "Wed, 21 Oct 2099 03:00:00 GMT",
                "Wed, 21 Oct 2099 03:05:00 GMT",
            ),
        ] {
            let wish = parsed(until, Some(date));
            assert_eq!(wish, Some(SignedDuration::from_mins(5)), "{date}");
        }
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_server() {
        let now = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(
            parsed("Wed, 21 Oct 2026 07:30:00 GMT", now),
            Some(SignedDuration::from_secs(120))
        );
        assert_eq!(
            parsed("Wed, 21 Oct 2026 07:00:00 GMT", now),
            Some(SignedDuration::ZERO)
        );
    }

    #[test]
    fn a_date_without_the_servers_own_counts_from_now() {
        let until = SystemTime::now() + std::time::Duration::from_mins(10);
        let wish = parsed(&httpdate::fmt_http_date(until), None).unwrap();
        assert!(wish > SignedDuration::from_secs(500) && wish <= SignedDuration::from_secs(600));
    }

    #[test]
    fn a_wish_is_never_longer_than_a_day() {
        assert_eq!(parsed("99999999", None), Some(LONGEST_ASKED));
        assert_eq!(
            parsed("99999999999999999999999999", None),
            Some(LONGEST_ASKED)
        );
        assert_eq!(
            parsed("99999999999999999999999999.9", None),
            Some(LONGEST_ASKED)
        );
        assert_eq!(
            parsed("Wed, 21 Oct 2099 07:28:00 GMT", None),
            Some(LONGEST_ASKED)
        );
    }

    #[test]
    fn nonsense_is_no_wish() {
        for nonsense in [
            "", "soon", "-5", "-1.5", "1.", ".5", "1.5.2", "1e9", "inf", "NaN", "2s",
        ] {
            assert_eq!(parsed(nonsense, None), None, "{nonsense}");
        }
    }
}
