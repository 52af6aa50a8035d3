//! The broker at which an instance was made.
//!
//! Decides whether a Connection still leads there: the handle of an instance means nothing at another
//! broker, or something else. Never looks at an instance. Called by resolve, by the observation of an
//! instance that was proved, and before an orphan is removed.

use entente_crds::v1alpha1::{InstanceBroker, OsbEndpoint};

use crate::{authority::host_and_port, delivery::digest};

/// Returns the broker at a URL (the schema of `spec.osb.url`). Case of scheme and host, a port that
/// is the default, and slashes at the end do not count.
pub fn broker_at(url: &str) -> InstanceBroker {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.to_ascii_lowercase();
    let default = if scheme == "http" { "80" } else { "443" };
    let (host, port) = host_and_port(&authority);
    let port = port.filter(|port| !port.is_empty()).unwrap_or(default);
    InstanceBroker {
        host: host.to_owned().into(),
        url_digest: digest(&(&scheme, host, port, path.trim_end_matches('/'))),
    }
}

/// Returns a sentence if a Connection leads to another broker than the one at which an instance was
/// made: one whose URL is neither its URL nor one that this broker had before it moved.
pub fn another_broker(
    connection: &str,
    endpoint: &OsbEndpoint,
    made_at: Option<&InstanceBroker>,
) -> Option<String> {
    let made_at = made_at?;
    let now = broker_at(&endpoint.url);
    let is_meant = |url: &String| broker_at(url).url_digest == made_at.url_digest;
    if now.url_digest == made_at.url_digest || endpoint.moved_from.iter().any(is_meant) {
        return None;
    }
    let (then, now) = (&made_at.host, now.host);
    let there = if *then == now {
        format!("another scheme, port or path of {now}")
    } else {
        now.to_string()
    };
    Some(format!(
        "the instance was made at the broker on {then}, and spec.osb.url of the Connection \
         {connection} leads to {there}: nothing is sent there about it. Set the URL back, or add the \
         former URL to spec.osb.movedFrom if the same broker has moved"
    ))
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::Orphan;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::{catalogue::Removals, remote::Catalog};

    fn at(url: &str, moved_from: &[&str]) -> OsbEndpoint {
        OsbEndpoint {
            url: url.to_owned(),
            moved_from: moved_from.iter().map(|url| (*url).to_owned()).collect(),
        }
    }

    // shows C11
    #[test]
    fn one_broker_has_one_digest_however_its_url_is_written_and_another_has_another() {
        let digest = |url: &str| broker_at(url).url_digest;
        let plain = digest("https://broker.example");
        for same in [
            "HTTPS://Broker.Example",
            "https://broker.example/",
            "https://broker.example:443",
            "https://broker.example:",
        ] {
            assert_eq!(digest(same), plain, "{same}");
        }
        for another in [
            "http://broker.example",
            "https://broker.example:8443",
            "https://broker.example/osb",
            "https://broker.example/OSB",
            "https://other.example",
        ] {
            assert_ne!(digest(another), plain, "{another}");
        }
        assert_eq!(digest("http://[::1]"), digest("http://[::1]:80/"));
        assert_ne!(digest("http://[::1]"), digest("http://[::2]"));
        assert_eq!(&*broker_at("http://[::1]:8080/osb").host, "[::1]");
    }

    // shows C11 K2
    #[test]
    fn an_instance_is_another_brokers_unless_that_one_has_moved_and_both_hosts_are_named() {
        let made_at = broker_at("https://old.example/osb");
        let said = |endpoint: OsbEndpoint| another_broker("hq", &endpoint, Some(&made_at));
        assert_eq!(said(at("https://old.example/osb/", &[])), None);
        assert_eq!(
            said(at("https://new.example", &["https://old.example/osb"])),
            None
        );
        let other = said(at("https://new.example", &["https://older.example"]));
        let other = other.expect("it is another one");
        assert!(other.contains("on old.example,") && other.contains("leads to new.example:"));
        let path = said(at("https://old.example/v2", &[])).expect("it is another one");
        assert!(
            path.contains("another scheme, port or path of old.example"),
            "{path}"
        );
        assert_eq!(
            another_broker("hq", &at("https://new.example", &[]), None),
            None
        );
    }

    // shows C11
    #[test]
    fn an_orphan_of_another_broker_is_left_alone() {
        let mut connection = entente_crds::example::northwind_services();
        let here = broker_at(&connection.spec.osb.as_ref().expect("a broker").url);
        let since = Timestamp::UNIX_EPOCH;
        let orphan = |id: &str, broker: Option<InstanceBroker>| Orphan {
            instance_id: id.to_owned(),
            service_id: "s".to_owned(),
            plan_id: "p".to_owned(),
            broker,
            since,
            ..Orphan::default()
        };
        let orphans = vec![
            orphan("here", Some(here)),
            orphan("there", Some(broker_at("https://there.example"))),
            orphan("unknown", None),
        ];
        connection.status.get_or_insert_default().orphans = orphans;
        let mut removals = Removals::default();
        removals.probed(Some(Catalog::default().into()));
        let now = since + SignedDuration::from_hours(1);
        // What was just listed waits for a while.
        removals.turn(&connection, |_| None, since);
        let turn = removals.turn(&connection, |_| None, now);
        assert_eq!(turn.attempts, ["here", "unknown"]);
    }
}
