//! Tests of pinned certificates that no authority would accept, by whole handshakes. The fixtures
//! are of OpenSSL (`certificate/public_key/tests.rs` says how they were made).

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use super::tls::{https, trusting};
use super::*;

const RSA: (&str, &str) = (
    include_str!("../../certificate/fixtures/v1-rsa.pem"),
    include_str!("../../certificate/fixtures/v1-rsa.key"),
);
const EC: (&str, &str) = (
    include_str!("../../certificate/fixtures/v1-ec.pem"),
    include_str!("../../certificate/fixtures/v1-ec.key"),
);

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Starts a server that shows this certificate and signs with this key, whether they belong
/// together or not.
async fn start(
    pem: &str,
    key: PrivateKeyDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = CertifiedKey::new(vec![certificate(pem)], key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start_tls(Behaviour::Answer(OK.to_owned()), Some(acceptor)).await
}

fn key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Returns the answer with each trust that accepts a fingerprint, for the pin of this certificate.
async fn get_both(server: &Server, pem: &str) -> Vec<Result<Answer, Failure>> {
    let pin = fingerprint(&certificate(pem));
    let mut answers = Vec::new();
    for (trust, pinned) in [
        (TrustProfile::Pin, Some(pin.as_str())),
        (TrustProfile::FirstUse, None),
    ] {
        let (profile, url) = (trusting(trust), https(server));
        let exchange = Exchange {
            pinned,
            ..exchange(&profile, &url)
        };
        answers.push(Transport::new().send(exchange).await);
    }
    answers
}

// shows K7
#[tokio::test]
async fn a_pinned_certificate_of_version_1_is_trusted() {
    for version in [&TLS12, &TLS13] {
        for (pem, private) in [RSA, EC] {
            let server = start(pem, key(private), version).await;
            for answer in get_both(&server, pem).await {
                let answer = answer.unwrap();
                assert_eq!(answer.body, "ok");
                let shown = answer.certificate_sha256.unwrap();
                assert_eq!(shown, fingerprint(&certificate(pem)));
            }
            let verify = trusting(TrustProfile::Verify { ca_pem: None });
            let refused = get(&verify, &https(&server)).await.unwrap_err();
            assert_eq!(refused.kind, FailureKind::TlsFailed);
        }
    }
}

// shows K4
#[tokio::test]
async fn the_right_certificate_with_another_key_is_refused() {
    for version in [&TLS12, &TLS13] {
        let stranger = rcgen::KeyPair::generate().unwrap();
        let stranger = PrivateKeyDer::try_from(stranger.serialize_der()).unwrap();
        let server = start(EC.0, stranger, version).await;
        for answer in get_both(&server, EC.0).await {
            let refused = answer.unwrap_err();
            assert_eq!(refused.kind, FailureKind::TlsFailed);
            assert_eq!(
                refused.message,
                "the TLS handshake is not signed with the key of the certificate"
            );
        }
        assert!(server.requests().is_empty(), "nothing was asked");
    }
}
