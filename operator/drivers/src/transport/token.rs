//! The request to a token endpoint, and the meaning of its answer (RFC 6749 sections 4.4 and 5).
//!
//! Pure: makes the request's headers and body, and reads the answer; never sends and never keeps.
//! An answer is never quoted, but for an error code that the RFC itself lists. Called by
//! `transport`, which sends it inside the bounds of the Connection.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use entente_crds::v1alpha1::ClientAuthentication;
use entente_domain::remote::{Failure, FailureKind};
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::credentials::AccessToken;

/// Time for which a token without `expires_in` is used.
const UNTOLD_LIFE: Duration = Duration::from_mins(5);
/// The longest time for which any token is used.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// Time before its end from which a token is not used any more; never more than a tenth of its
/// life.
const MARGIN: Duration = Duration::from_secs(30);

/// Credentials of the client at the token endpoint.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) scope: Option<&'a str>,
    pub(super) authentication: ClientAuthentication,
}

/// A token, and the time for which it may be used, from the moment of the request.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) token: AccessToken,
    pub(super) usable: Duration,
}

/// Returns the headers of the request. Id and secret are in one of them unless the endpoint wants
/// them in the body.
pub(super) fn headers(client: Client<'_>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        ),
    ]);
    if client.authentication == ClientAuthentication::Basic {
        headers.insert(AUTHORIZATION, basic(client)?);
    }
    Ok(headers)
}

fn basic(client: Client<'_>) -> Result<HeaderValue, Failure> {
    let encoded = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let (id, secret) = (encoded(client.id), encoded(client.secret));
    let pair = Zeroizing::new(format!("{}:{}", id.as_str(), secret.as_str()));
    let pair = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()));
    let basic = Zeroizing::new(format!("Basic {}", pair.as_str()));
    let mut login = HeaderValue::from_str(&basic)
        .map_err(|_| Failure::new(FailureKind::Unauthorized, "the client id cannot be sent"))?;
    login.set_sensitive(true);
    Ok(login)
}

/// Returns the body of the request, which is wiped when it was sent: it may hold the secret.
pub(super) fn body(client: Client<'_>) -> Bytes {
    // A character takes three at most, so that the text is never copied to grow.
    let scope = client.scope.map_or(0, str::len);
    let length = 100 + 3 * (client.id.len() + client.secret.len() + scope);
    let mut form = Serializer::new(String::with_capacity(length));
    form.append_pair("grant_type", "client_credentials");
    if client.authentication == ClientAuthentication::Body {
        form.append_pair("client_id", client.id);
        form.append_pair("client_secret", client.secret);
    }
    if let Some(scope) = client.scope {
        form.append_pair("scope", scope);
    }
    Bytes::from_owner(Zeroizing::new(form.finish().into_bytes()))
}

#[derive(Deserialize)]
struct GrantBody {
    access_token: String,
    token_type: String,
    /// Seconds; a number by the RFC, a text at some endpoints.
    #[serde(default)]
    expires_in: Value,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

/// Returns the token or the failure in the endpoint's answer. A body that was read to its end is
/// wiped.
pub(super) fn judge(
    status: StatusCode,
    body: Bytes,
    retry_after: Option<SignedDuration>,
) -> Result<Grant, Failure> {
    let judged = match status {
        StatusCode::OK => granted(&body),
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(refused(status, &body))
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Err(answered(FailureKind::Busy, status))
        }
        StatusCode::REQUEST_TIMEOUT => Err(answered(FailureKind::TimedOut, status)),
        _ => Err(answered(FailureKind::ProtocolError, status)),
    };
    if let Ok(mut body) = body.try_into_mut() {
        body.zeroize();
    }
    judged.map_err(|failure| Failure {
        retry_after,
        ..failure
    })
}

fn granted(body: &[u8]) -> Result<Grant, Failure> {
    let senseless = || {
        Failure::new(
            FailureKind::ProtocolError,
            "the answer of the token endpoint makes no sense",
        )
    };
    let body: GrantBody = serde_json::from_slice(body).map_err(|_| senseless())?;
    let token = Zeroizing::new(body.access_token);
    // RFC 6749 appendix A.12, without the space, which would end it in a header.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(senseless());
    }
    if !body.token_type.eq_ignore_ascii_case("bearer") {
        return Err(Failure::new(
            FailureKind::ProtocolError,
            "the token endpoint gave a token that is no Bearer token",
        ));
    }
    Ok(Grant {
        token: AccessToken::new(token),
        usable: usable(&body.expires_in),
    })
}

/// Returns the time for which a token with this `expires_in` may be used.
fn usable(expires_in: &Value) -> Duration {
    let seconds = match expires_in {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let life = seconds
        .map_or(UNTOLD_LIFE, Duration::from_secs)
        .min(LONGEST_LIFE);
    life.saturating_sub(MARGIN.min(life / 10))
}

/// Returns the failure of a refusal: one in the words of RFC 6749 section 5.2 is about our id,
/// secret or scope; anything else with such a status is no answer of a token endpoint.
fn refused(status: StatusCode, body: &[u8]) -> Failure {
    const CODES: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let said = serde_json::from_slice::<ErrorBody>(body).ok();
    let code = said.and_then(|said| CODES.into_iter().find(|code| *code == said.error));
    match code {
        Some(code) => Failure::new(
            FailureKind::Unauthorized,
            format!("the token endpoint refused with {code}"),
        ),
        None if status == StatusCode::BAD_REQUEST => answered(FailureKind::ProtocolError, status),
        None => answered(FailureKind::Unauthorized, status),
    }
}

fn answered(kind: FailureKind, status: StatusCode) -> Failure {
    Failure::new(kind, format!("the token endpoint answered HTTP {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Result<Grant, Failure> {
        let Ok(status) = StatusCode::from_u16(status) else {
            panic!("no such status: {status}")
        };
        judge(status, Bytes::copy_from_slice(body.as_bytes()), None)
    }

    fn kind(status: u16, body: &str) -> FailureKind {
        let failure = judged(status, body).unwrap_err();
        assert!(!failure.doubtful, "nothing was asked of the remote side");
        assert!(!failure.message.contains("s3cr3t"), "{failure:?}");
        failure.kind
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        let usable = |expires_in: &str| {
            let body = format!(r#"{{"access_token":"t0k","token_type":"bearer"{expires_in}}}"#);
            judged(200, &body).unwrap().usable.as_secs()
        };
        assert_eq!(usable(r#","expires_in":3600"#), 3570);
        assert_eq!(usable(r#","expires_in":"3600""#), 3570);
        assert_eq!(usable(r#","expires_in":100"#), 90);
        assert_eq!(usable(r#","expires_in":0"#), 0);
        for untold in ["", r#","expires_in":null"#, r#","expires_in":-1"#] {
            assert_eq!(usable(untold), 270, "{untold}");
        }
        assert_eq!(usable(r#","expires_in":99999999999"#), 86370);
    }

    #[test]
    fn what_is_no_token_is_not_sent_on() {
        for body in [
            "",
            "[]",
            r#"{"token_type":"Bearer"}"#,
            r#"{"access_token":"s3cr3t"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cr3t\r\nX: y","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cr3t é","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cr3t","token_type":"mac"}"#,
        ] {
            assert_eq!(kind(200, body), FailureKind::ProtocolError, "{body}");
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_code_and_nothing_else_is_quoted() {
        let body = r#"{"error":"invalid_client","error_description":"s3cr3t is wrong"}"#;
        for status in [400, 401] {
            let refused = judged(status, body).unwrap_err();
            assert_eq!(refused.kind, FailureKind::Unauthorized);
            assert_eq!(
                refused.message,
                "the token endpoint refused with invalid_client"
            );
        }
        for (status, body, wanted) in [
            (401, "s3cr3t", FailureKind::Unauthorized),
            (403, r#"{"error":"s3cr3t"}"#, FailureKind::Unauthorized),
            (400, r#"{"error":"s3cr3t"}"#, FailureKind::ProtocolError),
            (400, "s3cr3t", FailureKind::ProtocolError),
            (302, "", FailureKind::ProtocolError),
            (404, "", FailureKind::ProtocolError),
            (408, "", FailureKind::TimedOut),
            (429, "", FailureKind::Busy),
            (500, "s3cr3t", FailureKind::ProtocolError),
            (503, "", FailureKind::Busy),
        ] {
            assert_eq!(kind(status, body), wanted, "{status} {body}");
        }
    }

    #[test]
    fn id_and_secret_are_encoded_before_they_become_a_header() {
        let client = Client {
            id: "a:b",
            secret: "c d%",
            scope: Some("one two"),
            authentication: ClientAuthentication::Basic,
        };
        let headers = headers(client).unwrap();
        let sent = headers[AUTHORIZATION].to_str().unwrap();
        let pair = base64::engine::general_purpose::STANDARD.encode("a%3Ab:c+d%25");
        assert_eq!(sent, format!("Basic {pair}"));
        assert!(headers[AUTHORIZATION].is_sensitive());
        assert_eq!(body(client), "grant_type=client_credentials&scope=one+two");
    }
}
