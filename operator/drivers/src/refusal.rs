//! The sentence for an HTTP answer in place of one of the protocol, by its remedy.
//!
//! Pure. Names the scheme of a login, the host of a redirect and the status; never quotes a body, a
//! path or a value of credentials. Called by the drivers of devices when the status of HTTP alone
//! says that a request failed.

use http::StatusCode;

use crate::credentials::CredentialsValue;
use crate::text::{PrivateTexts, quote};
use crate::transport::{Answer, Challenge, Redirect, can_be_answered};

/// Schemes that are named; the device chooses the words of all others.
const SCHEMES: [&str; 5] = ["Basic", "Bearer", "Digest", "Negotiate", "NTLM"];

/// Remote side that answered, in the words of a sentence.
#[derive(Clone, Copy)]
pub(crate) struct Speaker {
    name: &'static str,
    /// Scheme of its URLs over TLS.
    over_tls: &'static str,
}

/// A device that is dialled.
pub(crate) const DEVICE: Speaker = Speaker {
    name: "the device",
    over_tls: "ipps",
};

/// A settings distribution server.
pub(crate) const SETTINGS_SERVER: Speaker = Speaker {
    name: "the settings distribution server",
    over_tls: "https",
};

/// Returns the sentence for an answer to a request with these private texts.
pub(crate) fn of(speaker: Speaker, answer: &Answer, private: PrivateTexts<'_>) -> String {
    let credentials = private.credentials;
    let status = answer.status;
    let Speaker { name, over_tls } = speaker;
    match (status, &answer.redirect) {
        (StatusCode::UNAUTHORIZED, _) => of_login(name, &answer.challenges, credentials),
        (StatusCode::FORBIDDEN, _) if credentials.is_none() => {
            format!("{name} forbids the request (HTTP 403), which had no login")
        }
        (StatusCode::FORBIDDEN, _) => {
            format!("{name} forbids the request (HTTP 403) to this login")
        }
        (StatusCode::NOT_FOUND, _) => {
            format!("{name} has nothing at the path of the URL (HTTP 404)")
        }
        (StatusCode::UPGRADE_REQUIRED, _) => format!(
            "{name} answers over TLS only (HTTP 426): the Connection needs an {over_tls}:// URL"
        ),
        (_, Some(Redirect::Host(host))) => {
            let host = quote(host, private);
            format!("{name} redirects to {host}, and no redirect is followed")
        }
        (_, Some(Redirect::Tls)) => {
            format!("{name} redirects to TLS: the Connection needs an {over_tls}:// URL")
        }
        (_, Some(Redirect::Path)) => {
            format!("{name} redirects to another path, and no redirect is followed")
        }
        _ => format!("{name} answered HTTP {status}"),
    }
}

/// Returns the sentence for a login that is missing, refused or of another scheme (HTTP 401).
fn of_login(
    name: &str,
    challenges: &[Challenge],
    credentials: Option<&CredentialsValue>,
) -> String {
    let used = credentials.map(CredentialsValue::scheme);
    let Some(asked) = asked(challenges) else {
        return match used {
            None => format!("{name} asks for a login by no named scheme (HTTP 401)"),
            Some(used) => {
                format!("{name} refuses the login ({used}) and names no scheme (HTTP 401)")
            }
        };
    };
    match used {
        None => format!("{name} asks for a login by {asked}, and there is none"),
        Some("Digest") if is_digest(challenges) && !can_be_answered(challenges) => format!(
            "{name} asks for a login by Digest in a form that is not spoken: the algorithm is not \
             MD5, SHA-256 or SHA-512-256, or qop is not auth"
        ),
        Some(used) if challenges.iter().any(|asked| asked.is_of(used)) => {
            format!("{name} refuses the login ({used})")
        }
        Some(used) => {
            format!("{name} asks for a login by {asked}, and credentials.type is {used}")
        }
    }
}

fn is_digest(challenges: &[Challenge]) -> bool {
    challenges.iter().any(|asked| asked.is_of("Digest"))
}

/// Returns the schemes of the challenges, each once.
fn asked(challenges: &[Challenge]) -> Option<String> {
    let known = |challenge: &Challenge| {
        let found = SCHEMES.into_iter().find(|scheme| challenge.is_of(scheme));
        found.unwrap_or("a scheme that is not known")
    };
    let mut schemes: Vec<&str> = challenges.iter().map(known).collect();
    schemes.sort_unstable();
    schemes.dedup();
    (!schemes.is_empty()).then(|| schemes.join(" or "))
}
