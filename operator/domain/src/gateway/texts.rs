//! Texts that devices send, and which of them are allowed (docs/api/gateway.yaml).
//!
//! Decides nothing but the form of a text: whether a place, a time zone or a product is there is decided
//! by others. Called by the readers of bodies and queries.

use entente_crds::v1alpha1::MAX_TWIN_TEXT;
use jiff::{SignedDuration, Timestamp};

/// A rule for a text.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// True for a text that is allowed.
    pub(super) is_allowed: fn(&str) -> bool,
    /// The rule in words.
    pub(super) allowed: &'static str,
    /// True if the text may be quoted.
    pub(super) may_be_quoted: bool,
}

fn is_long(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count())
}

fn is_word(text: &str, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| inner(*byte))
}

/// True for the name of a setting or of a piece of software.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 63
        && is_word(text, |byte| {
            byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
        })
}

fn is_plain(text: &str) -> bool {
    let is_blank = |found: char| found.is_control() || found == ' ';
    !text.chars().any(char::is_control) && !text.starts_with(is_blank) && !text.ends_with(is_blank)
}

fn is_zone(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    is_long(text, 1, 64)
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.split('/').all(is_part)
}

fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    text.len() <= 35
        && (2..=8).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_alphanumeric())
        })
}

fn is_uuid(text: &str) -> bool {
    let groups = text
        .strip_prefix("urn:uuid:")
        .unwrap_or_default()
        .split('-');
    let lengths: Vec<usize> = groups.clone().map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .flat_map(str::bytes)
            .all(|digit| digit.is_ascii_hexdigit())
}

/// Returns an instant (RFC 3339) that a status can have.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let is_short = text.len() <= 64 && !text.contains('[');
    let instant: Timestamp = is_short.then(|| text.parse().ok())??;
    let year = instant.to_zoned(jiff::tz::TimeZone::UTC).year();
    (1970..=9999).contains(&year).then_some(instant)
}

/// True if a text has the form of an instant (RFC 3339, section 5.6) and is no leap second: what ISO 8601 has
/// besides is read by some and refused by others, and so are leap seconds.
fn is_rfc_3339(text: &str) -> bool {
    let has_form = |text: &[u8], form: &[u8]| {
        let fits = |(found, form): (&u8, &u8)| match form {
            b'0' => found.is_ascii_digit(),
            _ => found.eq_ignore_ascii_case(form),
        };
        text.len() == form.len() && text.iter().zip(form).all(fits)
    };
    let Some((instant, rest)) = text.as_bytes().split_at_checked(19) else {
        return false;
    };
    let fraction = rest.strip_prefix(b".").map(|rest| {
        let digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        rest.split_at(digits)
    });
    let offset = match fraction {
        Some(([], _)) => return false,
        Some((_, offset)) => offset,
        None => rest,
    };
    has_form(instant, b"0000-00-00T00:00:00")
        && instant[17] < b'6'
        && [&b"Z"[..], b"+00:00", b"-00:00"]
            .iter()
            .any(|form| has_form(offset, form))
}

/// Returns a length of time (ISO 8601) in whole seconds, from one second to 366 days.
pub(super) fn period(text: &str) -> Option<SignedDuration> {
    let is_iso = text.len() <= 32 && text.starts_with('P');
    let length: SignedDuration = is_iso.then(|| text.parse().ok())??;
    let longest = SignedDuration::from_hours(366 * 24);
    let is_whole = length.subsec_nanos() == 0;
    (is_whole && length >= SignedDuration::from_secs(1) && length <= longest).then_some(length)
}

const fn rule(is_allowed: fn(&str) -> bool, allowed: &'static str) -> Rule {
    Rule {
        is_allowed,
        allowed,
        may_be_quoted: true,
    }
}

/// A serial number.
pub(super) const SERIAL_NUMBER: Rule = rule(
    |text| is_long(text, 1, 64) && is_plain(text),
    "1 to 64 characters without control characters and without blanks at the ends",
);
/// A text for people.
pub(super) const TEXT: Rule = rule(
    |text| is_long(text, 1, 127) && is_plain(text),
    "1 to 127 characters without control characters and without blanks at the ends",
);
/// A country.
pub(super) const COUNTRY: Rule = rule(
    |text| text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_uppercase()),
    "two capital letters (ISO 3166-1 alpha-2) such as JP",
);
/// A subdivision of a country.
pub(super) const SUBDIVISION: Rule = rule(
    |text| {
        (1..=3).contains(&text.len())
            && text
                .bytes()
                .all(|it| it.is_ascii_uppercase() || it.is_ascii_digit())
    },
    "1 to 3 capital letters and digits (ISO 3166-2 after the hyphen) such as 13",
);
/// A time zone.
pub(super) const ZONE: Rule = rule(
    is_zone,
    "a name of the time zone database such as Asia/Tokyo",
);
/// A language.
pub(super) const LANGUAGE: Rule = rule(is_language, "a language (BCP 47) such as ja");
/// A UUID.
pub(super) const UUID: Rule = rule(is_uuid, "urn:uuid: and a UUID (RFC 9562)");
/// A version.
pub(super) const VERSION: Rule = rule(
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic()),
    "1 to 64 characters of ASCII without blanks",
);
/// A name.
pub(super) const NAME: Rule = rule(
    is_name,
    "1 to 63 letters, digits and '.', '_', '-', with a letter or digit at both ends",
);
/// An instant.
pub(super) const INSTANT: Rule = rule(
    |text| instant(text).is_some(),
    "an instant (RFC 3339) of the years 1970 to 9999 such as 2027-03-20T01:02:03Z",
);
/// A length of time.
pub(super) const PERIOD: Rule = rule(
    |text| period(text).is_some(),
    "a length of time (ISO 8601) in hours, minutes and whole seconds such as PT24H",
);
/// The id of an event.
pub(super) const EVENT_ID: Rule = rule(
    |text| is_long(text, 1, 128) && !text.chars().any(char::is_control),
    "1 to 128 characters without control characters",
);
/// The time of an event. It is passed on as it is, so that it has to be what every reader of RFC 3339 takes.
pub(super) const EVENT_TIME: Rule = rule(
    |text| is_rfc_3339(text) && instant(text).is_some(),
    "an instant in the letters of RFC 3339 such as 2027-03-20T01:02:03Z, of 1970 to 9999, no leap second",
);
/// The type of an event.
pub(super) const EVENT_TYPE: Rule = rule(
    |text| text.strip_prefix(EVENT_TYPES).is_some_and(is_name),
    "dev.entente. and the name of a kind of data such as dev.entente.supplies.level",
);
/// Beginning of the types of events; the name of a kind of data follows.
pub(super) const EVENT_TYPES: &str = "dev.entente.";
/// The application id of a service.
pub(super) const APPLICATION_ID: Rule = rule(
    |text| {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        (1..=191).contains(&text.len()) && text.bytes().all(is_inner)
    },
    "an application id from the list of services",
);
/// The place of an event in an order.
pub(super) const SEQUENCE: Rule = rule(
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic()),
    "1 to 64 characters of ASCII without blanks, in whose order events are sorted, such as 0000012",
);
/// The id of a message.
pub(super) const MESSAGE_ID: Rule = rule(
    |text| {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        (1..=253).contains(&text.len()) && text.bytes().all(is_inner)
    },
    "the id of a message from the twin",
);
/// The text that a device shows.
pub(super) const SHOWN: Rule = rule(
    |text| is_long(text, 1, MAX_TWIN_TEXT),
    "1 to 1023 characters",
);
/// The media type of data.
pub(super) const JSON_TYPE: Rule = rule(
    |text| {
        let bare = text.split(';').next().unwrap_or_default().trim();
        let bare = bare.to_ascii_lowercase();
        text.len() <= 127 && (bare == "application/json" || bare.ends_with("+json"))
    },
    "application/json",
);
/// The schema of data.
pub(super) const SCHEMA: Rule = rule(
    |text| (1..=511).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic()),
    "a URI of at most 511 characters",
);
/// A value of a setting.
pub(super) const VALUE: Rule = Rule {
    is_allowed: |text| is_long(text, 0, 1023),
    allowed: "a text of at most 1023 characters",
    may_be_quoted: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_judges(rule: Rule, allowed: &[&str], refused: &[&str]) {
        for text in allowed {
            assert!((rule.is_allowed)(text), "{text}: {}", rule.allowed);
        }
        for text in refused {
            assert!(!(rule.is_allowed)(text), "{text}: {}", rule.allowed);
        }
    }

    #[test]
    fn texts_are_judged_as_the_description_of_the_api_says() {
        let long = "é".repeat(65);
        for (rule, allowed, refused) in [
            (
                SERIAL_NUMBER,
                vec!["A1 B2", "é"],
                vec!["", " A", "A ", "A\tB", &long],
            ),
            (COUNTRY, vec!["JP"], vec!["jp", "J", "JPN", "J1", "éa", ""]),
            (SUBDIVISION, vec!["13", "BY", "A1B"], vec!["", "ABCD", "by"]),
            (
                ZONE,
                vec!["UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"],
                vec!["", "/a", "a//b", "a/", "1a", "../etc/passwd", "a b"],
            ),
            (
                LANGUAGE,
                vec!["ja", "zh-Hant-TW"],
                vec!["j", "ja-", "ja_JP", ""],
            ),
            (
                UUID,
                vec!["urn:uuid:4509a320-00a0-008f-00b6-002507510eca"],
                vec![
                    "4509a320-00a0-008f-00b6-002507510eca",
                    "urn:uuid:4509a320-00a0-008f-00b6-002507510ec",
                    "urn:uuid:4509a320-00a0-008f-00b6-00250751éa",
                ],
            ),
            (VERSION, vec!["4.2.0", "v1~rc"], vec!["", "4 2", "é", "4\n"]),
            (
                NAME,
                vec!["a", "backup.endpoint"],
                vec!["", ".a", "a-", "a/b", "é"],
            ),
            (
                INSTANT,
                vec!["2027-03-20T01:02:03Z", "2027-03-20T01:02:03.5+09:00"],
                vec![
                    "2027-03-20",
                    "2027-03-20T01:02:03",
                    "1969-03-20T01:02:03Z",
                    "-009999-01-02T00:00:00Z",
                    "2027-02-30T00:00:00Z",
                    "2027-03-20T01:02:03Z[UTC]",
                    "now",
                ],
            ),
            (
                PERIOD,
                vec!["PT24H", "PT6H30M", "PT1S"],
                vec!["", "24h", "PT0S", "-PT1H", "PT0.5S", "P1Y", "PT9000H"],
            ),
        ] {
            assert_judges(rule, &allowed, &refused);
        }
    }

    #[test]
    fn texts_of_events_are_judged_as_the_description_of_the_api_says() {
        for (rule, allowed, refused) in [
            (
                EVENT_ID,
                vec!["77-0012", "é b"],
                vec!["", "a\n", &"7".repeat(129)],
            ),
            (
                EVENT_TYPE,
                vec!["dev.entente.supplies.level", "dev.entente.error"],
                vec![
                    "",
                    "dev.entente.",
                    "dev.entente..level",
                    "dev.entente.a b",
                    "Dev.Entente.error",
                    "com.example.error",
                    "supplies.level",
                ],
            ),
            (
                APPLICATION_ID,
                vec!["acme-2027.toner.lobby-mfp"],
                vec!["", "Acme", "a/b", "a b", &"a".repeat(192)],
            ),
            (
                SEQUENCE,
                vec!["0000012", "2027-03-20T01:02:03Z"],
                vec!["", "1 2", "é", &"7".repeat(65)],
            ),
            (
                JSON_TYPE,
                vec![
                    "application/json",
                    "Application/JSON; charset=utf-8",
                    "application/cloudevents+json",
                ],
                vec!["", "text/plain", "application/jsonp", "json"],
            ),
            (
                SCHEMA,
                vec!["https://schemas.example/supplies.json"],
                vec!["", "a b", &"7".repeat(512)],
            ),
        ] {
            assert_judges(rule, &allowed, &refused);
        }
    }

    #[test]
    fn the_time_of_an_event_is_in_the_letters_of_rfc_3339() {
        let allowed = [
            "2027-03-20T01:02:03Z",
            "2027-03-20t01:02:03.123456789z",
            "2027-03-20T01:02:03-07:00",
        ];
        let refused = [
            "",
            "2027-03-20",
            "2027-03-20 01:02:03Z",
            "2027-03-20T01:02:03",
            "2027-03-20T01:02Z",
            "2027-03-20T01:02:03.Z",
            "2027-03-20T01:02:03,5Z",
            "2027-03-20T01:02:03+0900",
            "2027-03-20T01:02:03+09",
            "2027-03-20T01:02:03Z[UTC]",
            "2027-03-20T25:02:03Z",
            "2016-12-31T23:59:60Z",
            "1969-03-20T01:02:03Z",
            "2027-03-20T01:02:0éZ",
        ];
        assert_judges(EVENT_TIME, &allowed, &refused);
    }
}
