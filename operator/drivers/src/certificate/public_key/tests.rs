//! Tests of keys and signatures that webpki does not read. The fixtures are of OpenSSL 3.0:
//!
//! - `short.pem`: `openssl req -x509 -newkey rsa:1024 -nodes -keyout short.key -subj /CN=mfp`
//! - `tiny.pem`: the same with `rsa:512`
//! - `v1-ec.pem`: `openssl req -new -key v1-ec.key -subj /CN=mfp | openssl x509 -req -signkey
//!   v1-ec.key`, which without extensions is of version 1; `v1-rsa.pem` the same with an RSA key
//! - `short-pkcs1-sha256.sig`: `printf handshake | openssl dgst -sha256 -sign short.key`, and so
//!   with sha512; `short-pss-sha256.sig` with `-sigopt rsa_padding_mode:pss -sigopt
//!   rsa_pss_saltlen:32`

use rustls::internal::msgs::codec::{Codec as _, Reader};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;

const MESSAGE: &[u8] = b"handshake";

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn short() -> CertificateDer<'static> {
    certificate(include_str!("../fixtures/short.pem"))
}

fn signed(scheme: SignatureScheme, signature: &[u8]) -> DigitallySignedStruct {
    let length = u16::try_from(signature.len()).unwrap();
    let scheme = u16::from(scheme).to_be_bytes();
    let bytes = [&scheme, &length.to_be_bytes(), signature].concat();
    DigitallySignedStruct::read(&mut Reader::init(&bytes)).unwrap()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}

#[test]
fn the_key_is_found_in_a_certificate_of_each_version() {
    for (pem, bits, is_first) in [
        (include_str!("../fixtures/v1-rsa.pem"), Some(2048), true),
        (include_str!("../fixtures/v1-ec.pem"), None, true),
        (include_str!("../fixtures/short.pem"), Some(1024), false),
        (include_str!("../fixtures/tiny.pem"), Some(512), false),
    ] {
        let certificate = certificate(pem);
        let key = PublicKey::of(&certificate).unwrap();
        assert_eq!(key.rsa_bits(), bits);
        assert_eq!(is_version_1(&certificate), is_first);
    }
}

#[test]
fn the_key_is_the_one_that_the_reader_of_version_3_finds() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["mfp".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let found = PublicKey::of(certificate.der()).unwrap();
    assert_eq!(
        found.info,
        rcgen::PublicKeyData::subject_public_key_info(&key)
    );
}

// shows K7
#[test]
fn a_certificate_that_is_cut_or_changed_anywhere_ends_in_no_panic() {
    let certificate = short();
    for end in 0..certificate.len() {
        assert!(PublicKey::of(&certificate[..end]).is_none(), "{end}");
    }
    for place in 0..certificate.len() {
        for octet in [0, 0x7F, 0x80, 0x84, 0x85, 0xFF] {
            let mut changed = certificate.to_vec();
            changed[place] = octet;
            let key = PublicKey::of(&changed);
            key.and_then(|key| key.rsa_bits());
            is_version_1(&changed);
        }
    }
}

#[test]
fn a_handshake_of_tls_1_2_is_checked_with_a_short_key() {
    let certificate = short();
    let key = PublicKey::of(&certificate).unwrap();
    let sha256 = include_bytes!("../fixtures/short-pkcs1-sha256.sig");
    let sha512 = include_bytes!("../fixtures/short-pkcs1-sha512.sig");
    let check = |scheme, signature: &[u8], message: &[u8]| {
        let signed = signed(scheme, signature);
        key.verify_tls12(message, &signed, &algorithms()).is_ok()
    };
    assert!(check(SignatureScheme::RSA_PKCS1_SHA256, sha256, MESSAGE));
    assert!(check(SignatureScheme::RSA_PKCS1_SHA512, sha512, MESSAGE));
    assert!(!check(SignatureScheme::RSA_PKCS1_SHA256, sha512, MESSAGE));
    assert!(!check(
        SignatureScheme::RSA_PKCS1_SHA256,
        sha256,
        b"another"
    ));
    assert!(!check(
        SignatureScheme::RSA_PKCS1_SHA256,
        &[0; 128],
        MESSAGE
    ));
    assert!(!check(
        SignatureScheme::ECDSA_NISTP256_SHA256,
        sha256,
        MESSAGE
    ));
}

#[test]
fn a_key_that_is_tiny_or_another_one_checks_nothing() {
    let sha256 = include_bytes!("../fixtures/short-pkcs1-sha256.sig");
    let signed = signed(SignatureScheme::RSA_PKCS1_SHA256, sha256);
    for pem in [
        include_str!("../fixtures/tiny.pem"),
        include_str!("../fixtures/v1-rsa.pem"),
        include_str!("../fixtures/v1-ec.pem"),
    ] {
        let certificate = certificate(pem);
        let key = PublicKey::of(&certificate).unwrap();
        assert!(key.verify_tls12(MESSAGE, &signed, &algorithms()).is_err());
    }
}

#[test]
fn a_short_key_checks_no_handshake_of_tls_1_3() {
    let certificate = short();
    let key = PublicKey::of(&certificate).unwrap();
    let pss = include_bytes!("../fixtures/short-pss-sha256.sig");
    let pkcs1 = include_bytes!("../fixtures/short-pkcs1-sha256.sig");
    for (scheme, signature) in [
        (SignatureScheme::RSA_PSS_SHA256, &pss[..]),
        (SignatureScheme::RSA_PKCS1_SHA256, pkcs1),
    ] {
        let signed = signed(scheme, signature);
        assert!(key.verify_tls13(MESSAGE, &signed, &algorithms()).is_err());
    }
}

#[test]
fn schemes_that_a_short_key_can_use_are_offered_first_and_none_is_lost() {
    let offered = schemes(&algorithms());
    let place = |wanted| offered.iter().position(|scheme| *scheme == wanted).unwrap();
    let pkcs1 = place(SignatureScheme::RSA_PKCS1_SHA256);
    assert!(pkcs1 < place(SignatureScheme::RSA_PSS_SHA512));
    assert_eq!(offered.len(), algorithms().supported_schemes().len());
}
