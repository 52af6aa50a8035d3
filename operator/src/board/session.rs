//! The token of a viewer: in the header of a proxy, or in a cookie of a browser.
//!
//! Nothing is kept here, so that any replica answers any request: the cookie is the token itself, which
//! no script can read, no other site can send, and which the browser forgets when it ends.

use axum::http::{HeaderMap, HeaderValue, header};
use entente_controllers::board::bearer;

/// Most bytes of a token in a cookie: browsers drop a cookie beyond 4096 bytes with its name and its
/// attributes (RFC 6265, section 6.1).
const MOST: usize = 3800;

/// The kind of the cookies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// True if the board is served over TLS: the cookie is then sent over TLS alone.
    pub(super) is_tls: bool,
}

impl Session {
    /// Returns the name of the cookie. The prefix keeps one that a sibling domain sets from being taken
    /// for ours (RFC 6265bis, section 4.1.3.2).
    fn name(self) -> &'static str {
        if self.is_tls {
            "__Host-entente-board"
        } else {
            "entente-board"
        }
    }

    /// Returns the token of a request, and whether it came by the cookie.
    pub(super) fn token(self, headers: &HeaderMap) -> (Option<&str>, bool) {
        let header = headers.get(header::AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok());
        if let Some(token) = header.and_then(bearer) {
            return (Some(token), false);
        }
        let cookies = headers.get_all(header::COOKIE).iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';'));
        let found = pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.name()).then_some(value)
        });
        (found, found.is_some())
    }

    /// Returns the cookie that keeps a token, or why it cannot be kept.
    pub(super) fn begin(self, token: &str) -> Result<HeaderValue, String> {
        // A token is base64url in parts (RFC 7519), or what an API server's own list has (RFC 6750).
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(is_plain) {
            return Err("A token has only letters, digits and -._~+/=.".to_owned());
        }
        if token.len() > MOST {
            return Err(format!(
                "The token has {} bytes; a browser keeps {MOST}. Use one of a ServiceAccount.",
                token.len()
            ));
        }
        let cookie = format!("{}={token}; {}", self.name(), self.attributes());
        HeaderValue::try_from(cookie).map_err(|_| "The token cannot be kept.".to_owned())
    }

    /// Returns the cookie that ends a session.
    pub(super) fn end(self) -> HeaderValue {
        let cookie = format!("{}=; Max-Age=0; {}", self.name(), self.attributes());
        HeaderValue::try_from(cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn attributes(self) -> &'static str {
        if self.is_tls {
            "Path=/; HttpOnly; Secure; SameSite=Strict"
        } else {
            "Path=/; HttpOnly; SameSite=Strict"
        }
    }
}

/// True if a browser says that the page which sends a form is not ours
/// (<https://www.w3.org/TR/fetch-metadata/>).
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{MOST, Session};

    fn with(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::try_from(*value).unwrap());
        }
        map
    }

    #[test]
    fn a_token_is_found_in_the_header_before_the_cookie_of_this_board() {
        let plain = Session { is_tls: false };
        let tls = Session { is_tls: true };
        for (session, headers, found) in [
            (plain, with(&[]), (None, false)),
            (
                plain,
                with(&[("cookie", "a=b; entente-board=x.y=")]),
                (Some("x.y="), true),
            ),
            (
                plain,
                with(&[("cookie", "a=b"), ("cookie", "entente-board=x")]),
                (Some("x"), true),
            ),
            (tls, with(&[("cookie", "entente-board=x")]), (None, false)),
            (
                tls,
                with(&[("cookie", "__Host-entente-board=x")]),
                (Some("x"), true),
            ),
            (
                tls,
                with(&[
                    ("cookie", "__Host-entente-board=x"),
                    ("authorization", "bearer y"),
                ]),
                (Some("y"), false),
            ),
            (tls, with(&[("authorization", "Basic eDp5")]), (None, false)),
        ] {
            assert_eq!(session.token(&headers), found, "{headers:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_board_alone_and_one_that_no_browser_keeps_is_not_made() {
        let tls = Session { is_tls: true };
        let cookie = tls.begin("a.b-c").unwrap();
        assert_eq!(
            cookie,
            "__Host-entente-board=a.b-c; Path=/; HttpOnly; Secure; SameSite=Strict"
        );
        for wrong in ["", "a b", "a;b", "a\r\nb", "é", &"x".repeat(MOST + 1)] {
            assert!(tls.begin(wrong).is_err(), "{wrong}");
        }
        let end = tls.end();
        assert!(end.to_str().unwrap().contains("Max-Age=0"), "{end:?}");
    }
}
