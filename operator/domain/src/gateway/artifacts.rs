//! Artifacts: files that devices install, which the gateway fetches and hands on.
//!
//! Decides through which Connection a file is fetched, which part of it answers a request (RFC 9110
//! section 14), and how long nobody asks again for one that could not be had. It must never lead to a
//! host that no Connection names. Called by the artifact service of the gateway.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Connection, DeviceModel, Protocol};
use jiff::SignedDuration;
use kube::ResourceExt as _;
use url::Url;

use crate::delivery::allows;

/// Wait after the first failure to fetch an artifact, and the longest one.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);
/// Number of failures after which the wait does not grow any more.
const MOST_DOUBLINGS: u32 = 10;

/// Returns the Connection through which a namespace may fetch a URL: of those of protocol HTTP that
/// allow the namespace, the one with the longest beginning of the URL; of several, the first by name.
pub fn connection_for<'a>(
    connections: impl IntoIterator<Item = &'a Connection>,
    namespace_labels: &BTreeMap<String, String>,
    url: &Url,
) -> Option<&'a Connection> {
    let usable = connections.into_iter().filter_map(|connection| {
        let length = length_of_beginning(connection, url)?;
        // One that is being deleted serves on: it is kept as long as a DeviceModel needs it.
        let is_usable = allows(connection, namespace_labels).is_some();
        is_usable.then_some((length, connection))
    });
    usable
        .max_by_key(|(length, connection)| (*length, std::cmp::Reverse(connection.name_any())))
        .map(|(_, connection)| connection)
}

/// True if a Connection leads to a file, for a namespace that it allows. What is no URL is nowhere.
pub fn leads_to(connection: &Connection, url: &str) -> bool {
    let url = Url::parse(url).ok();
    url.is_some_and(|url| length_of_beginning(connection, &url).is_some())
}

/// True if a Connection leads to a file of a model.
pub fn leads_to_file_of(connection: &Connection, model: &DeviceModel) -> bool {
    let firmware = model.spec.firmware.iter().map(|it| &it.artifact.url);
    let applications = model.spec.applications.iter();
    let mut urls = firmware.chain(applications.map(|it| &it.artifact.url));
    urls.any(|url| leads_to(connection, url))
}

/// Returns the length of the path by which a Connection of protocol HTTP leads to a URL.
fn length_of_beginning(connection: &Connection, url: &Url) -> Option<usize> {
    let is_http = connection.spec.protocol == Protocol::HTTP;
    let beginning = connection.spec.http.as_ref().filter(|_| is_http)?;
    let beginning = Url::parse(&beginning.url).ok()?;
    is_beginning(&beginning, url).then(|| beginning.path().len())
}

/// True if a URL lies below another one: the same scheme, host and port, and whole segments of its
/// path.
fn is_beginning(beginning: &Url, url: &Url) -> bool {
    let segments = beginning.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(segments);
    beginning.origin() == url.origin()
        && url.origin().is_tuple()
        && rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The bytes of a file that answer a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answered {
    /// All of them.
    Whole,
    /// Those from the first to the last, both included.
    Part(u64, u64),
    /// None: the range begins behind the end.
    Unsatisfiable,
}

/// Returns the bytes that answer a request with these headers, of a file with this ETag and size. What
/// cannot be read, several ranges and another unit are answered with the whole.
pub fn answered(range: Option<&str>, if_range: Option<&str>, etag: &str, size: u64) -> Answered {
    // A date is no strong validator of ours, and a weak tag is none at all.
    if if_range.is_some_and(|tag| tag.trim() != etag) {
        return Answered::Whole;
    }
    range
        .and_then(|range| part(range, size))
        .unwrap_or(Answered::Whole)
}

/// Reads a header Range; `None` if it is not one range of bytes.
fn part(range: &str, size: u64) -> Option<Answered> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let end = size.checked_sub(1);
    let (first, last) = match (first.trim(), last.trim()) {
        ("", "") => return None,
        ("", length) => match position(length)? {
            0 => return Some(Answered::Unsatisfiable),
            length => (size.saturating_sub(length), end),
        },
        (first, "") => (position(first)?, end),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            let last = end.map(|end| end.min(last)).filter(|_| first <= last);
            // One that ends before its beginning is none; one of an empty file has no end.
            if last.is_none() && end.is_some() {
                return None;
            }
            (first, last)
        }
    };
    Some(match last {
        Some(last) if first <= last => Answered::Part(first, last),
        _ => Answered::Unsatisfiable,
    })
}

/// Reads a position; one with more digits than a number has is far behind the end.
fn position(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Returns the time for which nobody asks for an artifact again that could not be had for the so
/// manieth time, beginning with 1. The server may ask for a longer one.
pub fn wait(failures: u32, asked: Option<SignedDuration>) -> SignedDuration {
    let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
    let own = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    own.max(asked.unwrap_or_default().min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::{AllowEntry, ConnectionSpec, HttpEndpoint};
    use proptest::prelude::*;

    use super::*;

    fn connection(name: &str, url: &str, tenant: &str) -> Connection {
        let mut allowed = AllowEntry::default();
        if !tenant.is_empty() {
            let label = ("tenant".to_owned(), tenant.to_owned());
            allowed.namespaces.match_labels = [label].into();
        }
        let spec = ConnectionSpec {
            protocol: Protocol::HTTP,
            http: Some(HttpEndpoint {
                url: url.to_owned(),
            }),
            allow: vec![allowed],
            ..ConnectionSpec::default()
        };
        Connection::new(name, spec)
    }

    // shows B6 K4
    #[test]
    fn a_file_is_fetched_through_the_longest_beginning_that_allows_the_namespace() {
        let connections = [
            connection("all", "https://files.example", ""),
            connection("firmware", "https://files.example/firmware/", "acme"),
            connection("second", "https://files.example/firmware", "acme"),
            connection("others", "https://files.example/firmware/mfp/", "globex"),
            connection("port", "https://files.example:8443/", ""),
        ];
        let acme = [("tenant".to_owned(), "acme".to_owned())].into();
        let chosen = |url: &str| {
            let found = connection_for(&connections, &acme, &url.parse().unwrap());
            found.map(kube::ResourceExt::name_any)
        };
        for (url, name) in [
            ("https://files.example/firmware/mfp/4.swu", Some("firmware")),
            ("https://files.example/firmware-evil/4.swu", Some("all")),
            ("https://files.example/firmware/../4.swu", Some("all")),
            ("https://files.example/firmware/%2e%2e/4.swu", Some("all")),
            ("https://FILES.example:443/4.swu", Some("all")),
            ("https://files.example:8443/4.swu", Some("port")),
            ("http://files.example/4.swu", None),
            ("https://files.example.evil.example/4.swu", None),
            ("https://files.example@evil.example/4.swu", None),
            ("https://evil.example/https://files.example/", None),
            ("file:///etc/passwd", None),
            ("data:text/plain,x", None),
        ] {
            assert_eq!(chosen(url).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn only_a_connection_of_protocol_http_fetches() {
        let mut other = connection("all", "https://files.example/", "");
        other.spec.protocol = Protocol::OSB;
        let url = "https://files.example/4.swu".parse().unwrap();
        assert!(connection_for(&[other], &BTreeMap::new(), &url).is_none());
    }

    const TAG: &str = "\"e3b0\"";

    // shows B6
    #[test]
    fn one_range_of_bytes_is_answered_and_everything_else_with_the_whole() {
        use Answered::{Part, Unsatisfiable, Whole};
        for (range, expected) in [
            ("bytes=0-", Part(0, 99)),
            ("bytes=40-", Part(40, 99)),
            ("bytes=0-0", Part(0, 0)),
            ("bytes=10-19", Part(10, 19)),
            ("bytes=90-1000", Part(90, 99)),
            ("Bytes = 10 - 19", Part(10, 19)),
            ("bytes=-1", Part(99, 99)),
            ("bytes=-1000", Part(0, 99)),
            ("bytes=99-99999999999999999999999", Part(99, 99)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=19-10", Whole),
            ("bytes=-", Whole),
            ("bytes=0-1,5-6", Whole),
            ("bytes=+1-2", Whole),
            ("items=0-1", Whole),
            ("bytes", Whole),
            ("", Whole),
        ] {
            assert_eq!(answered(Some(range), None, TAG, 100), expected, "{range}");
        }
        assert_eq!(answered(None, None, TAG, 100), Whole);
        assert_eq!(answered(Some("bytes=0-"), None, TAG, 0), Unsatisfiable);
    }

    // shows B6
    #[test]
    fn a_range_of_another_file_is_answered_with_the_whole() {
        for (if_range, expected) in [
            (TAG, Answered::Part(5, 99)),
            ("\"other\"", Answered::Whole),
            ("W/\"e3b0\"", Answered::Whole),
            ("e3b0", Answered::Whole),
            ("Wed, 31 Mar 2027 14:00:00 GMT", Answered::Whole),
        ] {
            let found = answered(Some("bytes=5-"), Some(if_range), TAG, 100);
            assert_eq!(found, expected, "{if_range}");
        }
        let behind = answered(Some("bytes=500-"), Some("\"other\""), TAG, 100);
        assert_eq!(behind, Answered::Whole);
    }

    // shows K5
    #[test]
    fn waits_double_from_five_seconds_to_a_quarter_of_an_hour() {
        let seconds: Vec<i64> = [1, 2, 3, 8, 9, 1000, u32::MAX]
            .map(|failures| wait(failures, None).as_secs())
            .into();
        assert_eq!(seconds, [5, 10, 20, 640, 900, 900, 900]);
        let asked = |seconds| Some(SignedDuration::from_secs(seconds));
        assert_eq!(wait(1, asked(60)).as_secs(), 60);
        assert_eq!(wait(4, asked(1)).as_secs(), 40);
        assert_eq!(wait(1, asked(1_000_000)).as_secs(), 900);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(range in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in 0u64..1000) {
            if let Answered::Part(first, last) = answered(Some(&range), None, TAG, size) {
                prop_assert!(first <= last && last < size, "{range}");
            }
        }
    }
}
