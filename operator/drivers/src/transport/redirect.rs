//! Direction of an answer that leads elsewhere (RFC 9110 section 15.4).
//!
//! Pure. Only tells it, so that a person can correct the URL; nothing follows it. Never gives back
//! user, path or query. Called by `transport` for every answer.

use http::StatusCode;
use http::header::{HeaderMap, LOCATION};
use url::Url;

/// Direction of a redirect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Redirect {
    /// To another host, with its name.
    Host(String),
    /// To the same host, over TLS.
    Tls,
    /// To another path or port of the same host.
    Path,
}

/// Returns the direction of an answer to a request for `asked`; `None` if it is no redirect or
/// leads nowhere.
pub(super) fn parse(status: StatusCode, headers: &HeaderMap, asked: &Url) -> Option<Redirect> {
    if !status.is_redirection() {
        return None;
    }
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let location = asked.join(location.trim()).ok()?;
    let host = location.host_str().filter(|host| !host.is_empty())?;
    Some(if Some(host) != asked.host_str() {
        Redirect::Host(host.to_owned())
    } else if matches!(location.scheme(), "https" | "ipps") && asked.scheme() == "http" {
        Redirect::Tls
    } else {
        Redirect::Path
    })
}

/// Returns the place where a request that was accepted is told of: that of 201 and 202. Nobody asks
/// there before it is known to be the same server.
pub(super) fn accepted_at(status: StatusCode, headers: &HeaderMap, asked: &Url) -> Option<Url> {
    if !matches!(status, StatusCode::CREATED | StatusCode::ACCEPTED) {
        return None;
    }
    let location = headers.get(LOCATION)?.to_str().ok()?;
    asked.join(location.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(status: u16, location: &str) -> Option<Redirect> {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        parse(status, &headers, &"http://mfp:631/ipp".parse().unwrap())
    }

    #[test]
    fn only_the_host_is_told_and_only_if_it_is_another() {
        let elsewhere = Some(Redirect::Host("login.example".to_owned()));
        let location = "https://user:secret@login.example/path?query";
        assert_eq!(direction(307, location), elsewhere);
        assert_eq!(direction(301, "//login.example/"), elsewhere);
        assert_eq!(direction(301, "https://mfp/ipp"), Some(Redirect::Tls));
        assert_eq!(direction(308, "ipps://mfp/ipp"), Some(Redirect::Tls));
        for same in ["/ipp/print", "http://MFP:8080/", "print"] {
            assert_eq!(direction(302, same), Some(Redirect::Path), "{same}");
        }
        for nowhere in ["", "http://", "data:x", "urn:x"] {
            let found = direction(302, nowhere);
            assert!(matches!(found, None | Some(Redirect::Path)), "{nowhere}");
        }
        assert_eq!(direction(200, location), None);
    }
}
