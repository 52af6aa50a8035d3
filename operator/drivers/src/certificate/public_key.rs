//! The public key of a certificate of any version, and signatures that are checked with it.
//!
//! For certificates that are trusted by their fingerprint alone: what they say does not matter, and
//! that the server holds their key does. webpki reads version 3 only, and no RSA key under 2,048
//! bits; devices that made their certificates long ago have others. Never judges a certificate.
//! Called by `certificate`.

use ring::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaParameters, UnparsedPublicKey,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer,
    alg_id,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Tags of DER (X.690 section 8.1.2) that are met on the way to the key.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// Context-specific tag of the version, which a certificate of version 1 does not have (RFC 5280
/// section 4.1).
const VERSION: u8 = 0xA0;

/// Public key of a certificate.
#[derive(Debug)]
pub(super) struct PublicKey<'a> {
    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    info: &'a [u8],
    /// The content of its AlgorithmIdentifier.
    algorithm: &'a [u8],
    /// The key itself.
    key: &'a [u8],
}

/// One element of DER, and the bytes behind it.
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
    behind: &'a [u8],
}

/// Reads one element: a tag of one octet and a length of at most four.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let octets = match first {
        0..=0x7F => 0,
        0x81..=0x84 => usize::from(first & 0x7F),
        // No length, or one that no certificate has.
        _ => return None,
    };
    let (length, rest) = rest.split_at_checked(octets)?;
    let length = match octets {
        0 => usize::from(*first),
        _ => length
            .iter()
            .fold(0, |sum, octet| sum << 8 | usize::from(*octet)),
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some(Element {
        tag: *tag,
        whole: &bytes[..bytes.len() - behind.len()],
        content,
        behind,
    })
}

/// Reads an element of this tag.
fn expect(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    element(bytes).filter(|found| found.tag == tag)
}

/// Returns the fields of a certificate behind its version (RFC 5280 section 4.1: serial number,
/// signature, issuer, validity, subject, key), and true if it has no version, which is version 1.
fn fields(certificate: &[u8]) -> Option<(&[u8], bool)> {
    let certificate = expect(certificate, SEQUENCE)?;
    let to_be_signed = expect(certificate.content, SEQUENCE)?.content;
    let first = element(to_be_signed)?;
    Some(if first.tag == VERSION {
        (first.behind, false)
    } else {
        (to_be_signed, true)
    })
}

/// True for a certificate (DER) of version 1.
pub(super) fn is_version_1(certificate: &[u8]) -> bool {
    fields(certificate).is_some_and(|(_, is_version_1)| is_version_1)
}

impl<'a> PublicKey<'a> {
    /// Reads the key of a certificate (DER); `None` if it cannot be found.
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let (mut rest, _) = fields(certificate)?;
        rest = expect(rest, INTEGER)?.behind;
        for _signature_issuer_validity_subject in 0..4 {
            rest = expect(rest, SEQUENCE)?.behind;
        }
        let info = expect(rest, SEQUENCE)?;
        let algorithm = expect(info.content, SEQUENCE)?;
        let (unused, key) = expect(algorithm.behind, BIT_STRING)?
            .content
            .split_first()?;
        (*unused == 0).then_some(Self {
            info: info.whole,
            algorithm: algorithm.content,
            key,
        })
    }

    /// Returns the length of an RSA key in bits; `None` for a key of another kind.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        if self.algorithm != alg_id::RSA_ENCRYPTION.as_ref() {
            return None;
        }
        let modulus = expect(expect(self.key, SEQUENCE)?.content, INTEGER)?.content;
        let first = modulus.iter().position(|octet| *octet != 0)?;
        let unused = modulus[first].leading_zeros() as usize;
        Some((modulus.len() - first) * 8 - unused)
    }

    /// Checks the signature of a TLS 1.2 handshake (RFC 5246 section 7.4.3).
    pub(super) fn verify_tls12(
        &self,
        message: &[u8],
        signed: &DigitallySignedStruct,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<HandshakeSignatureValid, Error> {
        let mapping = algorithms.mapping.iter();
        let usual = mapping
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter().copied());
        let is_valid = usual
            .chain(short_rsa(signed.scheme))
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| {
                let signature = signed.signature();
                algorithm
                    .verify_signature(self.key, message, signature)
                    .is_ok()
            });
        if is_valid {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    /// Checks the signature of a TLS 1.3 handshake (RFC 8446 section 4.4.3), for which RSA is PSS,
    /// and no PSS of a short key can be checked.
    pub(super) fn verify_tls13(
        &self,
        message: &[u8],
        signed: &DigitallySignedStruct,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<HandshakeSignatureValid, Error> {
        let info = SubjectPublicKeyInfoDer::from(self.info);
        verify_tls13_signature_with_raw_key(message, &info, signed, algorithms)
    }
}

/// Returns the schemes that are offered to a server whose certificate is pinned: those of PKCS #1
/// before those of PSS, since a short key can be checked with them alone.
pub(super) fn schemes(algorithms: &WebPkiSupportedAlgorithms) -> Vec<SignatureScheme> {
    let is_pss = |scheme: &SignatureScheme| {
        matches!(
            scheme,
            SignatureScheme::RSA_PSS_SHA256
                | SignatureScheme::RSA_PSS_SHA384
                | SignatureScheme::RSA_PSS_SHA512
        )
    };
    let mut schemes = algorithms.supported_schemes();
    schemes.sort_by_key(is_pss);
    schemes
}

/// A signature with an RSA key of 1,024 bits or more (PKCS #1 version 1.5).
#[derive(Debug)]
struct ShortRsa(&'static RsaParameters, AlgorithmIdentifier);

static SHORT_SHA256: ShortRsa = ShortRsa(
    &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    alg_id::RSA_PKCS1_SHA256,
);
static SHORT_SHA512: ShortRsa = ShortRsa(
    &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    alg_id::RSA_PKCS1_SHA512,
);

fn short_rsa(scheme: SignatureScheme) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => Some(&SHORT_SHA256),
        SignatureScheme::RSA_PKCS1_SHA512 => Some(&SHORT_SHA512),
        _ => None,
    }
}

impl SignatureVerificationAlgorithm for ShortRsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.0, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.1
    }
}

#[cfg(test)]
mod tests;
