//! The remote side's own words, made fit for a message.
//!
//! Cuts them, and removes what is not printable or private. Called wherever text from outside
//! enters a Failure.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use entente_domain::bounded::is_unseen;
use entente_domain::identity::Identity;
use entente_domain::protocol::Place;
use entente_domain::remote::Scalar;
use entente_domain::secret::{Redactions, Secrets};
use url::Url;
use zeroize::Zeroizing;

use crate::credentials::{AccessToken, CredentialsValue};

/// The largest number of bytes of the remote side's words in a message (design.md section 4).
const MOST_BYTES: usize = 256;

/// Texts that are known here and must not come back in the remote side's words.
#[derive(Clone, Copy)]
pub(crate) struct PrivateTexts<'a> {
    /// Credentials of the request: some servers echo those that they refused.
    pub credentials: Option<&'a CredentialsValue>,
    /// The token that was fetched with it, where one was.
    pub token: Option<&'a AccessToken>,
    /// URL of the request: some servers echo it (PAPPL does).
    pub url: &'a str,
    /// Values of the tenant's Secrets that the request may have carried.
    pub secrets: Option<&'a Secrets>,
}

impl PrivateTexts<'_> {
    /// True if a request that writes may have carried a tenant's secret.
    pub(crate) fn has_a_tenants_secret(&self) -> bool {
        self.secrets
            .is_some_and(|secrets| secrets.texts().next().is_some())
    }

    /// Returns everything that must not be shown, as texts.
    pub(crate) fn redactions(&self) -> Redactions {
        let own = self.credentials.map(own_texts).unwrap_or_default();
        let own = own.iter().map(|text| text.as_str());
        let token = self.token.map(AccessToken::as_str);
        let tenant = self.secrets.into_iter().flat_map(Secrets::texts);
        Redactions::new(own.chain(token).chain(tenant))
    }
}

impl<'a> PrivateTexts<'a> {
    /// Returns the gate for an answer of which much is quoted: the redactions are made once.
    pub(crate) fn gate(&self) -> Gate<'a> {
        let parsed = Url::parse(self.url).ok();
        Gate {
            redactions: self.redactions(),
            url: self.url,
            host: parsed.as_ref().and_then(Url::host_str).map(str::to_owned),
        }
    }
}

/// The words that are not shown of an odd answer to a request that carried a tenant's secret: it may
/// hold the secret in a spelling that nobody thought of.
pub(crate) const NOT_SHOWN: &str = "its words are not shown, since the request carried a secret";

/// Returns the texts of credentials, together with the user as a header carries them and alone.
fn own_texts(credentials: &CredentialsValue) -> Vec<Zeroizing<String>> {
    let pair = |user: &str, secret: &Zeroizing<String>| {
        let together = Zeroizing::new(format!("{user}:{}", secret.as_str()));
        vec![secret.clone(), together]
    };
    match credentials {
        CredentialsValue::Basic { username, password }
        | CredentialsValue::Digest { username, password } => pair(username, password),
        CredentialsValue::Bearer { token } => vec![token.clone()],
        CredentialsValue::OAuth2ClientCredentials {
            client_id,
            client_secret,
            ..
        } => pair(client_id, client_secret),
        CredentialsValue::SnmpUser(user) => vec![
            user.authentication_password.clone(),
            user.privacy_password.clone(),
        ],
        CredentialsValue::SnmpCommunity { community } => vec![community.clone()],
        // The private key of TLS never leaves this process.
        CredentialsValue::ClientCertificate(_) => Vec::new(),
    }
}

/// True if an identity has a secret in it: it is no identity then, since it would be pinned in a
/// status, and so would a digest that anybody can try guesses against. A short secret may be in a
/// UUID by chance.
pub(crate) fn is_an_echo(identity: &str, redactions: &Redactions) -> bool {
    let is_a_uuid = Identity::of(identity).is_some_and(|identity| identity.is_a_uuid());
    if is_a_uuid {
        redactions.reveal(identity)
    } else {
        redactions.hide(identity) != identity
    }
}

/// Returns the places of a reading whose values have a secret in them.
pub(crate) fn places_with_a_secret(
    values: &BTreeMap<Place, Vec<Scalar>>,
    redactions: &Redactions,
) -> BTreeSet<Place> {
    let has_a_secret = |value: &Scalar| match value {
        Scalar::Text(text) | Scalar::Other(text) | Scalar::Malformed(text) => {
            redactions.hide(text) != *text
        }
        Scalar::Integer(_) | Scalar::Boolean(_) | Scalar::Digest(_) => false,
    };
    let private = values
        .iter()
        .filter(|(_, values)| values.iter().any(has_a_secret));
    private.map(|(place, _)| place.clone()).collect()
}

/// The gate for everything that is quoted of one answer.
pub(crate) struct Gate<'a> {
    redactions: Redactions,
    url: &'a str,
    host: Option<String>,
}

impl Gate<'_> {
    /// Returns at most 256 bytes of a text, cut on a character boundary, without control characters
    /// and private texts. Private texts are removed first, from the words as they came: after folding
    /// or cutting they are no longer found.
    pub(crate) fn quote(&self, text: &str) -> String {
        let text = self.redactions.hide(text);
        let text = replace(&text, self.url, "[url]");
        let host = self.host.as_deref().unwrap_or_default();
        cut(&replace(&text, host, "[host]"))
    }

    /// True if a text that must stay as it came, such as an id that is sent back, has a private text in
    /// it: eight bytes or more, since fewer may be there by chance.
    pub(crate) fn reveals(&self, text: &str) -> bool {
        self.redactions.reveal(text)
    }
}

/// Returns a text as its [`Gate`] quotes it.
pub(crate) fn quote(text: &str, private: PrivateTexts<'_>) -> String {
    private.gate().quote(text)
}

/// Replaces a text, unless it is shorter than four bytes: that would tear words apart.
fn replace<'a>(text: &'a str, hidden: &str, by: &str) -> Cow<'a, str> {
    if hidden.len() < 4 || !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(hidden, by))
}

fn cut(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        // Line breaks and tabs separate words; other invisible characters are left out.
        let character = if character.is_whitespace() {
            ' '
        } else {
            character
        };
        if is_unseen(character) || (character == ' ' && quoted.ends_with(' ')) {
            continue;
        }
        if quoted.len() + character.len_utf8() > MOST_BYTES {
            break;
        }
        quoted.push(character);
    }
    quoted.trim().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use entente_crds::condition::Reason;
    use entente_crds::v1alpha1::SecretKeyReference;
    use entente_domain::secret::SecretText;
    use entente_domain::secret::echo::{Choices, Echo, OF_LINES, OF_ONE_LINE, OF_PEM, OF_WORDS};
    use proptest::prelude::*;

    use super::*;

    pub(crate) const NOTHING: PrivateTexts<'static> = PrivateTexts {
        credentials: None,
        token: None,
        url: "",
        secrets: None,
    };

    /// Returns the Secrets of a tenant with this one text.
    pub(crate) fn tenants_secret(text: &str) -> Secrets {
        let reference = SecretKeyReference {
            name: "scan".to_owned(),
            key: "password".to_owned(),
        };
        Secrets([(reference, Ok(SecretText::of_catalogue(text)))].into())
    }

    #[test]
    fn at_most_256_bytes_are_quoted_and_no_character_is_torn() {
        let quoted = quote(&"é".repeat(500), NOTHING);
        assert_eq!(quoted.len(), 256);
        assert_eq!(quote(&format!("a{}", "é".repeat(500)), NOTHING).len(), 255);
    }

    #[test]
    fn what_cannot_be_seen_is_taken_out() {
        let odd = "\u{1b}[31mred\u{7}\r\n\tand\u{202e}\u{200b} more\0";
        assert_eq!(quote(odd, NOTHING), "[31mred and more");
    }

    #[test]
    fn credentials_are_not_given_back() {
        let token = "s3cr3t-token".to_owned().into();
        let credentials = CredentialsValue::Bearer { token };
        let private = PrivateTexts {
            credentials: Some(&credentials),
            ..NOTHING
        };
        let said = "token s3cr3t-token is unknown";
        assert_eq!(quote(said, private), "token [redacted] is unknown");
        let fetched = AccessToken::new("s3cr3t-token".to_owned().into());
        let private = PrivateTexts {
            token: Some(&fetched),
            ..NOTHING
        };
        assert_eq!(quote(said, private), "token [redacted] is unknown");
    }

    // shows K4
    #[test]
    fn a_login_that_is_echoed_as_a_header_is_not_given_back_however_it_is_folded() {
        let credentials = CredentialsValue::Basic {
            username: "entente".to_owned().into(),
            password: "s3cr3t pass".to_owned().into(),
        };
        let private = PrivateTexts {
            credentials: Some(&credentials),
            ..NOTHING
        };
        let said = "got Authorization: Basic ZW50ZW50ZTpzM2NyM3QgcGFzcw== and s3cr3t\n  pass";
        assert_eq!(
            quote(said, private),
            "got Authorization: Basic [redacted]== and [redacted]"
        );
        let long = format!("{} s3cr3t pass", "x".repeat(250));
        assert!(!quote(&long, private).contains("s3cr"));
    }

    #[test]
    fn the_url_and_its_host_are_not_given_back() {
        let private = PrivateTexts {
            url: "ipp://10.1.2.3:631/ipp/print",
            ..NOTHING
        };
        assert_eq!(
            quote(
                "printer-uri ipp://10.1.2.3:631/ipp/print not found at 10.1.2.3.",
                private
            ),
            "printer-uri [url] not found at [host]."
        );
    }

    /// Returns a login of each type that is sent, with its secret.
    fn login(kind: u8, user: &str, secret: &str) -> Option<CredentialsValue> {
        let (username, password) = (user.to_owned().into(), secret.to_owned().into());
        Some(match kind {
            0 => CredentialsValue::Basic { username, password },
            1 => CredentialsValue::Digest { username, password },
            2 => CredentialsValue::Bearer { token: password },
            3 => CredentialsValue::OAuth2ClientCredentials {
                client_id: username,
                client_secret: password,
                scope: None,
            },
            // The secret of a client certificate is no text, and never leaves the process.
            _ => return None,
        })
    }

    /// Returns the Secrets of a tenant with these texts, and one that could not be read.
    fn tenants_secrets(texts: &[String]) -> Secrets {
        let reference = |key: usize| SecretKeyReference {
            name: "scan".to_owned(),
            key: key.to_string(),
        };
        let unread = Err((Reason::SecretNotFound, "it is missing".to_owned()));
        let read = texts.iter().map(|text| Ok(SecretText::of_catalogue(text)));
        let all = std::iter::once(unread).chain(read).enumerate();
        Secrets(all.map(|(key, read)| (reference(key), read)).collect())
    }

    // shows K4
    proptest! {
        #[test]
        fn the_gate_shows_no_eight_characters_of_any_secret_of_a_request(
            kind in 0..5_u8,
            user in "[a-z]{1,12}",
            password in prop_oneof![OF_ONE_LINE, "[A-Za-z0-9+/=_-]{12,40}"],
            token in proptest::option::of("[A-Za-z0-9_-]{12,40}(\\.[A-Za-z0-9_-]{12,40}){0,2}"),
            of_tenant in proptest::collection::vec(
                prop_oneof![OF_ONE_LINE, OF_LINES, OF_WORDS, OF_PEM],
                0..3,
            ),
            echoed in proptest::collection::vec((any::<usize>(), any::<Choices>()), 1..3),
            before in "[ .,]{0,260}",
            between in "[ -~é]{0,20}",
        ) {
            let credentials = login(kind, &user, &password);
            let secrets: Vec<String> = credentials.iter().map(|_| password.clone())
                .chain(token.clone())
                .chain(of_tenant.clone())
                .collect();
            prop_assume!(!secrets.is_empty());
            let fetched = token.map(|token| AccessToken::new(token.into()));
            let tenant = tenants_secrets(&of_tenant);
            let private = PrivateTexts {
                credentials: credentials.as_ref(),
                token: fetched.as_ref(),
                secrets: Some(&tenant),
                ..NOTHING
            };
            let echoes: Vec<(&String, Echo)> = echoed.iter().map(|(which, choices)| {
                let secret = &secrets[which % secrets.len()];
                (secret, Echo::new(secret, &user, *choices))
            }).collect();
            let words: Vec<&str> = echoes.iter().map(|(_, echo)| echo.words.as_str()).collect();
            let shown = quote(&format!("{before}{}", words.join(&between)), private);
            for (secret, echo) in &echoes {
                let found = echo.found_in(&shown, secret);
                prop_assert_eq!(found, None, "{:?} in {}", words, shown);
            }
        }
    }
}
