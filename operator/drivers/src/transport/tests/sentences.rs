//! Each cause of a failure has its own sentence, since each has its own remedy.

use std::collections::BTreeMap;

use rustls::{AlertDescription, CertificateError, Error as Tls, PeerIncompatible, PeerMisbehaved};

use super::*;
use crate::certificate::{CertificateChangedError, KeyError};
use crate::refusal;
use crate::text::PrivateTexts;
use failure::of_tls;

fn challenge(scheme: &str) -> Challenge {
    Challenge {
        scheme: scheme.to_owned(),
        parameters: Vec::new(),
    }
}

/// Returns the sentence for an answer to a request with this login.
fn of(answer: &Answer, login: Option<&CredentialsValue>) -> String {
    let private = PrivateTexts {
        credentials: login,
        token: None,
        url: "ipp://mfp/ipp/print",
        secrets: None,
    };
    refusal::of(refusal::DEVICE, answer, private)
}

fn of_status(status: StatusCode, login: Option<&CredentialsValue>) -> String {
    let answer = Answer {
        status,
        ..Answer::default()
    };
    of(&answer, login)
}

fn of_login(asked: &[&str], login: Option<&CredentialsValue>) -> String {
    let answer = Answer {
        status: StatusCode::UNAUTHORIZED,
        challenges: asked.iter().map(|scheme| challenge(scheme)).collect(),
        ..Answer::default()
    };
    of(&answer, login)
}

fn of_redirect(redirect: Redirect) -> String {
    let answer = Answer {
        status: StatusCode::TEMPORARY_REDIRECT,
        redirect: Some(redirect),
        ..Answer::default()
    };
    of(&answer, None)
}

fn of_certificate(problem: CertificateError) -> String {
    of_tls(&Tls::InvalidCertificate(problem)).message
}

fn changed() -> CertificateError {
    CertificateError::Other(rustls::OtherError(Arc::new(CertificateChangedError)))
}

fn of_key(fault: KeyError) -> String {
    of_tls(&fault.into()).message
}

fn of_http() -> Vec<(&'static str, String)> {
    let basic = CredentialsValue::Basic {
        username: "entente".to_owned().into(),
        password: "s3cr3t".to_owned().into(),
    };
    let digest = CredentialsValue::Digest {
        username: "entente".to_owned().into(),
        password: "s3cr3t".to_owned().into(),
    };
    let (basic, digest) = (Some(&basic), Some(&digest));
    vec![
        ("no login", of_login(&["Basic"], None)),
        ("no login, Digest asked", of_login(&["digest"], None)),
        ("another scheme", of_login(&["Digest"], basic)),
        ("a scheme of none of ours", of_login(&["x-s3cr3t"], basic)),
        ("the same scheme", of_login(&["Digest", "BASIC"], basic)),
        ("Digest of no nonce", of_login(&["Digest"], digest)),
        ("Basic in place of Digest", of_login(&["Basic"], digest)),
        ("no scheme and a login", of_login(&[], basic)),
        ("no scheme and no login", of_login(&[], None)),
        ("forbidden to all", of_status(StatusCode::FORBIDDEN, None)),
        ("forbidden to it", of_status(StatusCode::FORBIDDEN, basic)),
        ("not found", of_status(StatusCode::NOT_FOUND, None)),
        ("upgrade", of_status(StatusCode::UPGRADE_REQUIRED, None)),
        (
            "another host",
            of_redirect(Redirect::Host("login.example".to_owned())),
        ),
        ("its TLS", of_redirect(Redirect::Tls)),
        ("its other path", of_redirect(Redirect::Path)),
        ("busy", of_status(StatusCode::SERVICE_UNAVAILABLE, None)),
        ("broken", of_status(StatusCode::INTERNAL_SERVER_ERROR, None)),
    ]
}

fn of_handshakes() -> Vec<(&'static str, String)> {
    let alert = |alert| of_tls(&Tls::AlertReceived(alert)).message;
    let scheme = PeerIncompatible::NoSignatureSchemesInCommon;
    vec![
        ("version", alert(AlertDescription::ProtocolVersion)),
        ("cipher", alert(AlertDescription::HandshakeFailure)),
        ("key", of_tls(&Tls::PeerIncompatible(scheme)).message),
        ("ours", alert(AlertDescription::BadCertificate)),
        ("alert", alert(AlertDescription::InternalError)),
        ("pin", of_certificate(changed())),
        ("another key", of_key(KeyError::Other)),
        ("a short key", of_key(KeyError::Short { bits: 1024 })),
        ("no key", of_key(KeyError::Unreadable)),
        ("version 1", of_key(KeyError::Version)),
        ("dates", of_certificate(CertificateError::Expired)),
        ("clock", of_certificate(CertificateError::NotValidYet)),
        ("issuer", of_certificate(CertificateError::UnknownIssuer)),
        ("name", of_certificate(CertificateError::NotValidForName)),
        ("form", of_certificate(CertificateError::BadEncoding)),
        ("purpose", of_certificate(CertificateError::InvalidPurpose)),
        ("revoked", of_certificate(CertificateError::Revoked)),
    ]
}

// shows K7
#[test]
fn each_cause_has_a_sentence_of_its_own() {
    let mut causes: BTreeMap<String, &str> = BTreeMap::new();
    for (cause, sentence) in of_http().into_iter().chain(of_handshakes()) {
        assert!(!sentence.contains("s3cr3t"), "{cause}: {sentence}");
        let same = causes.insert(sentence.clone(), cause);
        assert_eq!(same, None, "{cause} has the same sentence: {sentence}");
    }
}

#[test]
fn a_sentence_names_the_remedy() {
    let all: BTreeMap<&str, String> = of_http().into_iter().chain(of_handshakes()).collect();
    for (cause, part) in [
        ("no login, Digest asked", "by Digest, and there is none"),
        ("another scheme", "by Digest, and credentials.type is Basic"),
        ("the same scheme", "refuses the login (Basic)"),
        ("upgrade", "ipps://"),
        ("its TLS", "ipps://"),
        ("another host", "login.example"),
        ("version", "1.2 and 1.3"),
        ("cipher", "cipher"),
        ("key", "key"),
    ] {
        assert!(all[cause].contains(part), "{cause}: {}", all[cause]);
    }
}

#[test]
fn what_a_server_and_we_find_missing_is_told_in_the_same_words() {
    let alert = |alert| of_tls(&Tls::AlertReceived(alert)).message;
    let lacking = |lacking| of_tls(&Tls::PeerIncompatible(lacking)).message;
    let odd = |odd| of_tls(&Tls::PeerMisbehaved(odd)).message;
    assert_eq!(
        alert(AlertDescription::ProtocolVersion),
        lacking(PeerIncompatible::ServerDoesNotSupportTls12Or13)
    );
    assert_eq!(
        alert(AlertDescription::HandshakeFailure),
        odd(PeerMisbehaved::SelectedUnofferedCipherSuite)
    );
    assert_eq!(
        lacking(PeerIncompatible::NoSignatureSchemesInCommon),
        odd(PeerMisbehaved::SignedKxWithWrongAlgorithm)
    );
}
