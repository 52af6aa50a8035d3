//! Reads Retry-After (RFC 9110 section 10.2.3), as seconds or as a date.

use std::time::SystemTime;

use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use jiff::SignedDuration;

/// The longest wait that is kept. A longer one is cut: a broken clock must not silence us for
/// years.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Returns the time from now; `None` if the header is missing or makes no sense.
pub(super) fn parse(headers: &HeaderMap) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wish = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        text.parse().map_or(LONGEST, SignedDuration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        // The server's own clock decides if it is in the answer, so that a wrong one does no harm.
        let now = date(headers, &DATE).unwrap_or_else(SystemTime::now);
        match until.duration_since(now) {
            Ok(ahead) => SignedDuration::try_from(ahead).unwrap_or(LONGEST),
            Err(_) => SignedDuration::ZERO,
        }
    };
    Some(wish.min(LONGEST))
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
        assert_eq!(parsed("99999999", None), Some(LONGEST));
        assert_eq!(parsed("99999999999999999999999999", None), Some(LONGEST));
        assert_eq!(parsed("Wed, 21 Oct 2099 07:28:00 GMT", None), Some(LONGEST));
    }

    #[test]
    fn nonsense_is_no_wish() {
        for nonsense in ["", "soon", "-5", "1.5"] {
            assert_eq!(parsed(nonsense, None), None, "{nonsense}");
        }
    }
}
