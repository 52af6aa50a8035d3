//! Trust in the certificate of a remote side, by authorities or by its fingerprint, and the client
//! certificate that is shown to it, if there is one.
//!
//! There is no way here to accept a certificate without a check of the handshake's signature: the
//! server must hold the certificate's key, also if any certificate is accepted at first use. Called
//! by `transport` when it makes a client.

mod bundle;
mod public_key;

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::credentials::ClientCertificate;
use crate::profile::TrustProfile;
pub(crate) use bundle::read_bundle;
use public_key::PublicKey;

/// Returns the SHA-256 of a certificate (DER) in lower case hexadecimal.
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// Returns a fingerprint as people write it, in our form: lower case, without colons or spaces.
pub fn normalise_fingerprint(text: &str) -> String {
    text.chars()
        .filter(|character| *character != ':' && !character.is_whitespace())
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

/// The certificate shown is another one than that pinned.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the certificate is another one than that pinned")]
pub(crate) struct CertificateChangedError;

/// Fault of the key of a certificate, or of its use, that the TLS library does not tell apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeyError {
    /// Another key signed the handshake: the server does not hold that of the certificate.
    #[error("the TLS handshake is not signed with the key of the certificate")]
    Other,
    /// The RSA key is shorter than can be checked here.
    #[error(
        "the RSA key of the certificate has {bits} bits, which is too short (accepted are 2,048, and \
         1,024 under TLS 1.2 with tls.trust Pin or FirstUse)"
    )]
    Short {
        /// Length of its modulus.
        bits: usize,
    },
    /// No key can be found in the certificate.
    #[error("the key of the certificate cannot be read")]
    Unreadable,
    /// The certificate is of a version that no authority is asked about.
    #[error("the certificate is of X.509 version 1, which tls.trust Pin and FirstUse alone accept")]
    Version,
}

impl From<KeyError> for Error {
    fn from(fault: KeyError) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
    }
}

/// Returns the fault of a handshake whose signature was refused, with what is known of the key.
fn explained(refused: Error, certificate: &CertificateDer<'_>) -> Error {
    let bits = PublicKey::of(certificate).and_then(|key| key.rsa_bits());
    match (refused, bits) {
        (Error::InvalidCertificate(_), Some(bits)) if bits < SHORTEST_RSA => {
            KeyError::Short { bits }.into()
        }
        (Error::InvalidCertificate(CertificateError::BadSignature), _) => KeyError::Other.into(),
        (refused, _) => refused,
    }
}

/// The shortest RSA key, in bits, that TLS libraries accept today.
const SHORTEST_RSA: usize = 2048;

/// Reason why no TLS configuration could be made.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// The authorities cannot be read.
    #[error("the authorities of ca.crt cannot be read as PEM certificates")]
    Authorities,
    /// The name to be checked is not a name.
    #[error("tls.serverName is not a DNS name or an IP address")]
    ServerName,
    /// No fingerprint is pinned.
    #[error("the trust is Pin and no certificate is pinned")]
    NothingPinned,
    /// The TLS library refused the configuration.
    #[error("the TLS configuration was refused")]
    Refused,
}

/// Makes the TLS configuration of one trust profile and, for Pin and FirstUse, one fingerprint.
/// `shown` is the client certificate, for servers that ask for one.
pub(crate) fn client_config(
    trust: &TrustProfile,
    server_name: Option<&str>,
    pinned: Option<&str>,
    shown: Option<&ClientCertificate>,
) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        TrustProfile::Verify { ca_pem } => Arc::new(AuthorityVerifier::new(
            ca_pem.as_deref(),
            server_name,
            &provider,
        )?),
        TrustProfile::Pin if pinned.is_none() => return Err(TrustError::NothingPinned),
        TrustProfile::Pin | TrustProfile::FirstUse => Arc::new(FingerprintVerifier {
            expected: pinned.map(normalise_fingerprint),
            provider: Arc::clone(&provider),
        }),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TrustError::Refused)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown.certified())))
        }
    };
    if pinned.is_some() {
        // Such a configuration serves one device; the default store is made for hundreds.
        config.resumption = Resumption::in_memory_sessions(4);
    }
    Ok(config)
}

/// Returns the authorities of the system, read once. An empty store is no error: nobody is trusted
/// then.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!(
                ignored,
                "the system has no certificate authorities; trust Verify needs caConfigMapRef"
            );
        }
        Arc::new(roots)
    }))
}

/// Returns the authorities of a bundle that can be read. That there are some was checked when the
/// profile was made.
fn given_roots(pem: &str) -> Result<Arc<RootCertStore>, TrustError> {
    let roots = read_bundle(pem).roots;
    if roots.is_empty() {
        Err(TrustError::Authorities)
    } else {
        Ok(Arc::new(roots))
    }
}

/// Judges by authorities, for the name of the URL or another one.
#[derive(Debug)]
struct AuthorityVerifier {
    /// `None`: nobody is trusted.
    inner: Option<Arc<WebPkiServerVerifier>>,
    name: Option<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl AuthorityVerifier {
    fn new(
        ca_pem: Option<&str>,
        server_name: Option<&str>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TrustError> {
        let roots = ca_pem.map_or_else(|| Ok(system_roots()), given_roots)?;
        let inner = if roots.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
            Some(builder.build().map_err(|_| TrustError::Refused)?)
        };
        let name = server_name
            .map(|name| ServerName::try_from(name.to_owned()).map_err(|_| TrustError::ServerName))
            .transpose()?;
        Ok(Self {
            inner,
            name,
            provider: Arc::clone(provider),
        })
    }
}

impl ServerCertVerifier for AuthorityVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        if public_key::is_version_1(end_entity) {
            return Err(KeyError::Version.into());
        }
        let name = self.name.as_ref().unwrap_or(server_name);
        inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
            .map_err(|refused| explained(refused, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
            .map_err(|refused| explained(refused, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Judges by the fingerprint of the leaf alone: neither name nor dates, version nor length of the
/// key, which are wrong on devices that make their own certificates. Without an expected fingerprint
/// any leaf is accepted. That the server holds its key is checked in every case.
struct FingerprintVerifier {
    expected: Option<String>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for FingerprintVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FingerprintVerifier")
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for FingerprintVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.expected {
            Some(expected) if *expected != fingerprint(end_entity) => {
                let changed = OtherError(Arc::new(CertificateChangedError));
                Err(Error::InvalidCertificate(CertificateError::Other(changed)))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        PublicKey::of(certificate)
            .ok_or(KeyError::Unreadable)?
            .verify_tls12(message, signed, algorithms)
            .map_err(|refused| explained(refused, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        PublicKey::of(certificate)
            .ok_or(KeyError::Unreadable)?
            .verify_tls13(message, signed, algorithms)
            .map_err(|refused| explained(refused, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        public_key::schemes(&self.provider.signature_verification_algorithms)
    }
}
