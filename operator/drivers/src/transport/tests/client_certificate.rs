//! Tests of our client certificate: shown if it is asked for, and exchanged when the Secret is
//! renewed.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::CredentialsType;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, https, trusting};
use super::*;

impl Authority {
    /// Returns the content of a Secret of type kubernetes.io/tls, and the DER of its certificate.
    fn login(&self, name: &str) -> (CredentialsValue, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let data = BTreeMap::from([
            ("tls.crt".to_owned(), certificate.pem().into_bytes()),
            ("tls.key".to_owned(), key.serialize_pem().into_bytes()),
        ]);
        let value = CredentialsValue::from_secret(CredentialsType::ClientCertificate, &data);
        (value.unwrap(), certificate.der().to_vec())
    }

    /// Returns a server of this authority that asks clients for a certificate of this authority.
    fn asking(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.as_ref().der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn trusted_by(&self, credentials: Option<CredentialsValue>) -> ConnectionProfile {
        let ca_pem = Some(self.pem());
        ConnectionProfile {
            credentials,
            ..trusting(TrustProfile::Verify { ca_pem })
        }
    }
}

async fn start(acceptor: TlsAcceptor) -> Server {
    Server::start_tls(Behaviour::Answer(OK.to_owned()), Some(acceptor)).await
}

#[tokio::test]
async fn a_certificate_of_ours_is_taken_and_another_or_none_is_refused() {
    let (authority, other) = (Authority::named("ours"), Authority::named("other"));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = start(authority.asking(&[version])).await;
        let (login, _) = authority.login("entente");
        let profile = authority.trusted_by(Some(login));
        assert_eq!(get(&profile, &https(&server)).await.unwrap().body, "ok");
        assert_eq!(server.requests().len(), 1);
        let request = server.requests().remove(0).to_lowercase();
        assert!(!request.contains("authorization"), "{request}");

        let (foreign, _) = other.login("entente");
        for credentials in [Some(foreign), None] {
            let failed = get(&authority.trusted_by(credentials), &https(&server)).await;
            let failure = failed.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
            assert!(!failure.doubtful, "{failure:?}");
        }
        assert_eq!(server.requests().len(), 1, "the others asked nothing");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_at_once_and_the_old_client_is_dropped() {
    let authority = Authority::new();
    let server = start(authority.asking(rustls::ALL_VERSIONS)).await;
    let transport = Transport::new();
    let (old, _) = authority.login("entente");
    let (new, shown) = authority.login("entente");
    let (old, new) = (
        authority.trusted_by(Some(old)),
        authority.trusted_by(Some(new)),
    );
    let address = https(&server);
    for profile in [&old, &old] {
        transport.send(exchange(profile, &address)).await.unwrap();
    }
    assert_eq!((transport.held_clients(), server.connections()), (1, 1));
    transport.send(exchange(&new, &address)).await.unwrap();
    assert_eq!((transport.held_clients(), server.connections()), (2, 2));
    assert_eq!(server.client_certificates().last().unwrap(), &shown);

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    transport
        .clients
        .get(&new, None, &transport.api_server)
        .unwrap();
    assert_eq!(
        transport.held_clients(),
        1,
        "that of the old Secret is gone"
    );
}
