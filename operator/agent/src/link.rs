//! The one host to which the device sends its token: that of its gateway.
//!
//! Decides from a URL alone, before anything is dialled. A link of an answer that leads elsewhere is
//! refused, also when it leads to the same host by another scheme or port. Used by `http` before each
//! request.

use url::{Host, Url};

/// Reason for which a URL is not used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkFault {
    /// A text that is no URL.
    #[error("{text:?} is no URL")]
    NotAUrl {
        /// The text.
        text: String,
    },
    /// A scheme that is not allowed.
    #[error("{url} is not encrypted: http is for loopback only, else https")]
    NotEncrypted {
        /// The URL.
        url: String,
    },
    /// A URL with a name or a password.
    #[error("a URL of a gateway has no user, password or fragment")]
    HasUser,
    /// A URL of another host than the gateway's.
    #[error("{link} leads away from the gateway {gateway}")]
    LeadsAway {
        /// The link.
        link: String,
        /// The gateway.
        gateway: String,
    },
}

/// Reads the URL of a gateway: https, or http to loopback.
pub fn gateway(text: &str) -> Result<Url, LinkFault> {
    let url = Url::parse(text).map_err(|_| LinkFault::NotAUrl { text: text.into() })?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(LinkFault::HasUser);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(LinkFault::NotEncrypted { url: url.into() }),
        _ => Err(LinkFault::NotAUrl { text: text.into() }),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Returns the link, absolute, if it leads to the scheme, host and port of the gateway.
pub fn within(gateway: &Url, link: &str) -> Result<Url, LinkFault> {
    let url = gateway
        .join(link)
        .map_err(|_| LinkFault::NotAUrl { text: link.into() })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(LinkFault::HasUser);
    }
    if url.origin() != gateway.origin() {
        return Err(LinkFault::LeadsAway {
            link: link.into(),
            gateway: gateway.origin().ascii_serialization(),
        });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for fine in [
            "https://gw.example",
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:8080",
        ] {
            assert!(gateway(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "http://gw.example",
            "http://10.0.0.1",
            "http://localhost.example",
            "ftp://gw.example",
            "https://user@gw.example",
            "gw.example",
            "",
        ] {
            assert!(gateway(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_link_that_leads_away_is_refused() {
        let base = gateway("https://gw.example/").unwrap();
        for fine in [
            "https://gw.example/v1/devices/1/twin",
            "/v1/devices/1/twin",
            "https://gw.example:443/x",
            "https://GW.example/x",
        ] {
            assert!(within(&base, fine).is_ok(), "{fine}");
        }
        for wrong in [
            "https://files.example/x",
            "http://gw.example/x",
            "https://gw.example:8443/x",
            "//files.example/x",
            "https://gw.example.evil.example/x",
            "https://gw.example@evil.example/x",
            "javascript:1",
        ] {
            assert!(within(&base, wrong).is_err(), "{wrong}");
        }
    }
}
