//! Credentials, as a Secret holds them: checked, and wiped from memory when dropped.
//!
//! Pure. Debug never shows a value, and an error names the key and never its value. Made by
//! `controllers` from a Secret; used by `transport`, and by `text` to keep secrets out of messages.

mod snmp;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use entente_crds::v1alpha1::CredentialsType;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use snmp::{SnmpAuthentication, SnmpPrivacy, SnmpUser};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Reason why a Secret cannot be used as credentials.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CredentialsError {
    /// The Secret lacks a key.
    #[error("the Secret has no key {key}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// The value under a key cannot be sent in a header.
    #[error("the Secret's {key} is not printable text")]
    Unprintable {
        /// The key.
        key: &'static str,
    },
    /// The value under a key is not in the form that TLS needs.
    #[error("the Secret's {key} is not {wanted} in PEM")]
    NotPem {
        /// The key.
        key: &'static str,
        /// Description of the value that is needed.
        wanted: &'static str,
    },
    /// The value under a key is none of those that are used.
    #[error("the Secret's {key} must be {allowed}")]
    NotAllowed {
        /// The key.
        key: &'static str,
        /// Description of the values that are allowed.
        allowed: &'static str,
    },
    /// Certificate and private key do not belong together.
    #[error("the Secret's tls.key is not the key of the certificate in tls.crt")]
    KeyMismatch,
}

/// Credentials for a remote side.
#[derive(Clone)]
pub enum CredentialsValue {
    /// RFC 7617.
    Basic {
        /// The user.
        username: Zeroizing<String>,
        /// The password.
        password: Zeroizing<String>,
    },
    /// RFC 7616. Never sent as it is.
    Digest {
        /// The user.
        username: Zeroizing<String>,
        /// The password.
        password: Zeroizing<String>,
    },
    /// RFC 6750.
    Bearer {
        /// The token.
        token: Zeroizing<String>,
    },
    /// A certificate for the TLS handshake (RFC 8446 section 4.4.2), never in a header.
    ClientCertificate(ClientCertificate),
    /// Credentials with which a token is fetched (RFC 6749 section 4.4) at the profile's
    /// `token_url`.
    OAuth2ClientCredentials {
        /// Id of the client at the token endpoint.
        client_id: Zeroizing<String>,
        /// Secret of the client.
        client_secret: Zeroizing<String>,
        /// Scope of the token: words separated by spaces.
        scope: Option<Zeroizing<String>>,
    },
    /// A user of SNMPv3 (RFC 3414), whose passwords are never sent.
    SnmpUser(SnmpUser),
    /// A community of SNMPv2c (RFC 1901), which is sent as it is.
    SnmpCommunity {
        /// The community.
        community: Zeroizing<String>,
    },
}

impl fmt::Debug for CredentialsValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Basic { .. } => "Basic(redacted)",
            Self::Digest { .. } => "Digest(redacted)",
            Self::Bearer { .. } => "Bearer(redacted)",
            Self::ClientCertificate(_) => "ClientCertificate(redacted)",
            Self::OAuth2ClientCredentials { .. } => "OAuth2ClientCredentials(redacted)",
            Self::SnmpUser(_) => "SnmpUser(redacted)",
            Self::SnmpCommunity { .. } => "SnmpCommunity(redacted)",
        })
    }
}

impl CredentialsValue {
    /// Returns the scheme by which they are sent, or their type where no header carries them.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "Basic",
            Self::Digest { .. } => "Digest",
            Self::Bearer { .. } | Self::OAuth2ClientCredentials { .. } => "Bearer",
            Self::ClientCertificate(_) => "ClientCertificate",
            Self::SnmpUser(_) => "SNMPv3",
            Self::SnmpCommunity { .. } => "SNMPv2c",
        }
    }

    /// Reads the credentials of a Secret: the keys are those that the documentation of
    /// `spec.credentials.type` names. White space at the end is dropped, since files and `base64`
    /// leave a line feed there.
    ///
    /// # Errors
    /// `MissingKey`, `Unprintable` where a value has control characters, `NotPem` or `KeyMismatch`.
    pub fn from_secret(
        kind: CredentialsType,
        data: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, CredentialsError> {
        match kind {
            CredentialsType::Basic => Ok(Self::Basic {
                username: text(data, "username")?,
                password: text(data, "password")?,
            }),
            CredentialsType::Digest => Ok(Self::Digest {
                username: text(data, "username")?,
                password: text(data, "password")?,
            }),
            CredentialsType::Bearer => Ok(Self::Bearer {
                token: text(data, "token")?,
            }),
            CredentialsType::ClientCertificate => {
                ClientCertificate::from_secret(data).map(Self::ClientCertificate)
            }
            CredentialsType::OAuth2ClientCredentials => Ok(Self::OAuth2ClientCredentials {
                client_id: text(data, "client-id")?,
                client_secret: text(data, "client-secret")?,
                scope: match text(data, "scope") {
                    Err(CredentialsError::MissingKey { .. }) => None,
                    scope => Some(scope?),
                },
            }),
            CredentialsType::SNMPv3 => SnmpUser::from_secret(data).map(Self::SnmpUser),
            CredentialsType::SNMPv2c => Ok(Self::SnmpCommunity {
                community: text(data, "community")?,
            }),
        }
    }
}

fn text(
    data: &BTreeMap<String, Vec<u8>>,
    key: &'static str,
) -> Result<Zeroizing<String>, CredentialsError> {
    let bytes = data.get(key).ok_or(CredentialsError::MissingKey { key })?;
    let text = std::str::from_utf8(bytes).map_err(|_| CredentialsError::Unprintable { key })?;
    let text = text.trim_end();
    if text.is_empty() {
        return Err(CredentialsError::MissingKey { key });
    }
    if text.chars().any(char::is_control) {
        return Err(CredentialsError::Unprintable { key });
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// A certificate that we show, with its key. Cheap to clone.
#[derive(Clone)]
pub struct ClientCertificate {
    certified: Arc<CertifiedKey>,
    digest: [u8; 32],
}

impl ClientCertificate {
    fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, CredentialsError> {
        let pem = |key| match data.get(key) {
            Some(bytes) if !bytes.trim_ascii().is_empty() => Ok(bytes),
            _ => Err(CredentialsError::MissingKey { key }),
        };
        let no_certificate = || CredentialsError::NotPem {
            key: CERTIFICATE,
            wanted: "a certificate",
        };
        let no_key = || CredentialsError::NotPem {
            key: KEY,
            wanted: "a private key (PKCS#8, PKCS#1 or SEC1) without a passphrase",
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem(CERTIFICATE)?)
            .collect::<Result<_, _>>()
            .map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let mut digest = Sha256::new();
        for certificate in &chain {
            digest.update(Sha256::digest(certificate));
        }
        let key = PrivateKeyDer::from_pem_slice(pem(KEY)?).map_err(|_| no_key())?;
        let key = rustls::crypto::ring::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| no_key())?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Self {
                certified: Arc::new(certified),
                digest: digest.finalize().into(),
            }),
            Err(Error::InconsistentKeys(_)) => Err(CredentialsError::KeyMismatch),
            Err(_) => Err(no_certificate()),
        }
    }

    /// Returns the certificate and key in the form that rustls needs.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// Returns the digest that distinguishes this certificate from every other one, also from a
    /// renewed one.
    pub(crate) fn digest(&self) -> &[u8] {
        &self.digest
    }
}

/// A token that a token endpoint gave (RFC 6749 section 5.1). Cheap to clone; wiped with the last
/// clone.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct AccessToken(Arc<Zeroizing<String>>);

impl AccessToken {
    pub(crate) fn new(token: Zeroizing<String>) -> Self {
        Self(Arc::new(token))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken(redacted)")
    }
}

#[cfg(test)]
mod tests;
