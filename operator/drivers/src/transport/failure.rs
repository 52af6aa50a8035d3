//! Failures below HTTP, distinguished by walking the causes of an error.
//!
//! Messages are sentences of ours: an error's own text names URLs, hosts and certificates' names.

use std::error::Error;
use std::io;

use entente_domain::remote::{Failure, FailureKind};
use rustls::{AlertDescription, CertificateError, PeerIncompatible, PeerMisbehaved};

use super::networks::{AddressNotAllowedError, NameNotFoundError};
use crate::certificate::{CertificateChangedError, KeyError};

/// Returns the failure of an address that is not allowed: nothing was dialled.
pub(super) fn not_allowed(error: AddressNotAllowedError) -> Failure {
    Failure::new(FailureKind::AddressNotAllowed, error.to_string())
}

/// Returns the failure of a request whose time is over after it was sent.
pub(super) fn too_late(writes: bool) -> Failure {
    Failure {
        doubtful: writes,
        ..Failure::new(FailureKind::TimedOut, "no answer came in time")
    }
}

/// Returns the failure that an error of the client means. `writes`: true if the request was to
/// change anything.
pub(super) fn classify(error: &reqwest::Error, writes: bool) -> Failure {
    if let Some(known) = find(error, known_cause) {
        return known;
    }
    if error.is_connect() {
        return if error.is_timeout() {
            Failure::new(FailureKind::Unreachable, "no connection was made in time")
        } else {
            find(error, connection_cause)
                .unwrap_or_else(|| Failure::new(FailureKind::Unreachable, "no connection was made"))
        };
    }
    let (kind, message) = if error.is_timeout() {
        return too_late(writes);
    } else if error.is_builder() {
        return Failure::new(FailureKind::ProtocolError, "the request cannot be written");
    } else {
        (
            FailureKind::ProtocolError,
            "the connection ended before the answer did",
        )
    };
    Failure {
        doubtful: writes,
        ..Failure::new(kind, message)
    }
}

/// Walks the causes. An I/O error returns the source of its inner error and not the inner error
/// itself, so the walk visits that one too.
fn find<T>(
    error: &(dyn Error + 'static),
    of: impl Fn(&(dyn Error + 'static)) -> Option<T>,
) -> Option<T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = of(cause) {
            return Some(found);
        }
        let held = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => cause.source(),
        };
    }
    None
}

/// Returns the failure of a cause that means the same everywhere. All of these come before the
/// request is sent.
fn known_cause(cause: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(error) = cause.downcast_ref::<AddressNotAllowedError>() {
        return Some(not_allowed(*error));
    }
    if cause.is::<NameNotFoundError>() {
        return Some(Failure::new(
            FailureKind::Unreachable,
            NameNotFoundError.to_string(),
        ));
    }
    cause.downcast_ref::<rustls::Error>().map(of_tls)
}

pub(super) fn of_tls(error: &rustls::Error) -> Failure {
    use rustls::Error as Tls;

    if let Tls::InvalidCertificate(CertificateError::Other(other)) = error
        && let Some(fault) = other.0.downcast_ref::<KeyError>()
    {
        return Failure::new(FailureKind::TlsFailed, fault.to_string());
    }
    let message = match error {
        Tls::InvalidCertificate(CertificateError::Other(other))
            if other.0.is::<CertificateChangedError>() =>
        {
            let message = CertificateChangedError.to_string();
            return Failure::new(FailureKind::CertificateChanged, message);
        }
        Tls::InvalidCertificate(problem) => of_certificate(problem),
        Tls::AlertReceived(alert) if is_about_our_certificate(*alert) => {
            return Failure::new(
                FailureKind::Unauthorized,
                "the remote side refused the client certificate, or asks for one",
            );
        }
        Tls::InvalidMessage(_) => "the remote side does not speak TLS",
        Tls::AlertReceived(AlertDescription::ProtocolVersion) => VERSION,
        // What a server answers that accepts no cipher or group which it was offered.
        Tls::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        )
        | Tls::PeerMisbehaved(
            PeerMisbehaved::SelectedUnofferedCipherSuite | PeerMisbehaved::SelectedUnofferedKxGroup,
        ) => CIPHER,
        Tls::PeerMisbehaved(
            PeerMisbehaved::SignedKxWithWrongAlgorithm
            | PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme,
        ) => KEY,
        Tls::AlertReceived(_) => "the remote side refused the TLS handshake",
        Tls::PeerIncompatible(lacking) => of_incompatible(lacking),
        _ => "the TLS handshake failed",
    };
    Failure::new(FailureKind::TlsFailed, message)
}

const VERSION: &str = "the remote side speaks no TLS version of ours, which are 1.2 and 1.3";
const CIPHER: &str = "the remote side accepts no TLS cipher of ours";
const KEY: &str = "the remote side signs the TLS handshake in no way that is accepted, perhaps with \
                   SHA-1 or a key that is too short";

fn of_incompatible(lacking: &PeerIncompatible) -> &'static str {
    use PeerIncompatible as Lacking;

    match lacking {
        Lacking::ServerDoesNotSupportTls12Or13
        | Lacking::ServerTlsVersionIsDisabledByOurConfig
        | Lacking::SupportedVersionsExtensionRequired => VERSION,
        Lacking::NoCipherSuitesInCommon | Lacking::NoKxGroupsInCommon => CIPHER,
        Lacking::NoSignatureSchemesInCommon => KEY,
        _ => "the remote side speaks TLS in a way that is not ours",
    }
}

/// True if an alert of a server is about the certificate that we showed or did not show (RFC 8446
/// section 6.2). It comes before the server reads a request, though we may have sent one.
fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

fn of_certificate(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        // An authority of the same name with another key shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the certificate is of an unknown issuer"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate carries another name"
        }
        CertificateError::Revoked => "the certificate is revoked",
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => KEY,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "the certificate is signed in a way that is not accepted, perhaps with SHA-1"
        }
        CertificateError::BadEncoding => "the certificate cannot be read",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not one of a server"
        }
        _ => "the certificate is not acceptable",
    }
}

/// Returns the failure of a cause that means something only while a connection is being made.
fn connection_cause(cause: &(dyn Error + 'static)) -> Option<Failure> {
    let cause = cause.downcast_ref::<io::Error>()?;
    let (kind, message) = match cause.kind() {
        io::ErrorKind::ConnectionRefused => {
            (FailureKind::Unreachable, "the connection was refused")
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            (FailureKind::Unreachable, "there is no route")
        }
        io::ErrorKind::TimedOut => (FailureKind::Unreachable, "no connection was made in time"),
        // TCP itself refuses or times out; an end in the middle is the handshake's.
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::InvalidData => (FailureKind::TlsFailed, "the TLS handshake was cut off"),
        _ => return None,
    };
    Some(Failure::new(kind, message))
}
