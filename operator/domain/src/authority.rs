//! The host and the port of a URL.
//!
//! Decides where one ends and the other begins, and whether anybody could dial them, by the rules of the schema. The API server refuses a URL
//! that they break; one from before those rules may be stored, and would otherwise fail at the
//! driver as if the remote side were away. Never resolves a name. Called by the resolve stage for
//! devices and brokers, and to tell one broker from another.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the fault of the host or the port of a URL, with what is allowed; `None` if there is none.
pub(crate) fn authority_fault(url: &str) -> Option<String> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, rest)| rest);
    let (host, port) = host_and_port(authority);
    if let Some(port) = port
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        return Some(format!(
            "the port \"{port}\": must be a number from 1 to 65535"
        ));
    }
    (!can_be_dialled(host)).then(|| {
        format!("the host \"{host}\": must be a name or an IP address such as 10.20.3.4 or fd00::1")
    })
}

/// Returns the host of an authority, with the brackets of an IPv6 address, and the text of its port;
/// `None` without a colon behind the host.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let after_host = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_host..].find(':') {
        Some(colon) => {
            let colon = after_host + colon;
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        None => (authority, None),
    }
}

/// True if a host is a name or an IP address. One whose last label is a number is an IPv4 address.
fn can_be_dialled(host: &str) -> bool {
    if let Some(bare) = host.strip_prefix('[') {
        let bare = bare.strip_suffix(']').unwrap_or_default();
        return bare.parse::<Ipv6Addr>().is_ok();
    }
    let name = host.trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_number = match digits {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|digit| digit.is_ascii_digit()),
    };
    !name.is_empty() && (!is_number || name.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K2
    #[test]
    fn only_what_can_be_dialled_is_no_fault() {
        for url in [
            "ipp://mfp.example/ipp/print",
            "ipps://10.20.3.4:65535/",
            "https://[fd00::1]:8443/osb",
            "https://7.example",
            "ipp://h/a:99999",
        ] {
            assert_eq!(authority_fault(url), None, "{url}");
        }
        for url in [
            "ipp://256.1.1.1:631/",
            "ipp://127.0.0.256/",
            "ipp://[:]/",
            "ipp://0x7f000001/",
            "ipp://10.20.3/",
            "https://h:99999/",
            "https://h:0",
            "https://h:/",
            "ipp:///x",
        ] {
            assert!(authority_fault(url).is_some(), "{url}");
        }
    }
}
