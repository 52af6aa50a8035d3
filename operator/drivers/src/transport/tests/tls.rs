//! Tests of trust in certificates.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

pub(super) struct Authority {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
}

struct Leaf {
    acceptor: TlsAcceptor,
    fingerprint: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("authority")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.as_ref().pem()
    }

    fn leaf(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Leaf {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            fingerprint: fingerprint(certificate.der()),
        }
    }
}

async fn start(leaf: &Leaf) -> Server {
    Server::start_tls(
        Behaviour::Answer(OK.to_owned()),
        Some(leaf.acceptor.clone()),
    )
    .await
}

pub(super) fn https(server: &Server) -> String {
    format!("https://127.0.0.1:{}/", server.address.port())
}

pub(super) fn trusting(trust: TrustProfile) -> ConnectionProfile {
    ConnectionProfile { trust, ..profile() }
}

async fn get_pinned(
    profile: &ConnectionProfile,
    url: &str,
    pinned: Option<&str>,
) -> Result<Answer, Failure> {
    Transport::new()
        .send(Exchange {
            pinned,
            ..exchange(profile, url)
        })
        .await
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_trusted_at_its_name_alone() {
    let authority = Authority::new();
    let server = start(&authority.leaf("127.0.0.1")).await;
    let verify = trusting(TrustProfile::Verify {
        ca_pem: Some(authority.pem()),
    });
    assert_eq!(get(&verify, &https(&server)).await.unwrap().body, "ok");

    let other = start(&authority.leaf("mfp.example")).await;
    let failed = get(&verify, &https(&other)).await;
    assert_eq!(
        failed.as_ref().unwrap_err().message,
        "the certificate carries another name"
    );
    assert_eq!(kind(failed), (FailureKind::TlsFailed, false));
    let named = ConnectionProfile {
        server_name: Some("mfp.example".to_owned()),
        ..verify.clone()
    };
    assert_eq!(get(&named, &https(&other)).await.unwrap().body, "ok");
    assert_eq!(
        kind(get(&named, &https(&server)).await),
        (FailureKind::TlsFailed, false)
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let server = start(&Authority::new().leaf("127.0.0.1")).await;
    for ca_pem in [Some(Authority::new().pem()), None] {
        let failed = put(&trusting(TrustProfile::Verify { ca_pem }), &https(&server)).await;
        assert_eq!(
            failed.as_ref().unwrap_err().message,
            "the certificate is of an unknown issuer"
        );
        assert_eq!(kind(failed), (FailureKind::TlsFailed, false));
    }
    let garbage = trusting(TrustProfile::Verify {
        ca_pem: Some("garbage".to_owned()),
    });
    assert_eq!(
        kind(get(&garbage, &https(&server)).await),
        (FailureKind::TlsFailed, false)
    );
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_and_no_other() {
    let authority = Authority::new();
    let (leaf, other) = (authority.leaf("whatever"), authority.leaf("whatever"));
    let server = start(&leaf).await;
    let pin = trusting(TrustProfile::Pin);
    let answer = get_pinned(&pin, &https(&server), Some(&leaf.fingerprint))
        .await
        .unwrap();
    assert_eq!(
        answer.certificate_sha256.as_deref(),
        Some(leaf.fingerprint.as_str())
    );

    let colons: Vec<String> = leaf
        .fingerprint
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|b| String::from_utf8_lossy(b).into_owned())
        .collect();
    assert!(
        get_pinned(&pin, &https(&server), Some(&colons.join(":")))
            .await
            .is_ok()
    );

    let changed = get_pinned(&pin, &https(&server), Some(&other.fingerprint)).await;
    assert_eq!(kind(changed), (FailureKind::CertificateChanged, false));
    let unpinned = get_pinned(&pin, &https(&server), None).await;
    assert_eq!(kind(unpinned), (FailureKind::TlsFailed, false));
    assert_eq!(
        server.requests().len(),
        2,
        "nothing was asked of the others"
    );
}

#[tokio::test]
async fn the_certificate_seen_first_is_told_and_must_stay() {
    let authority = Authority::new();
    let first = start(&authority.leaf("a")).await;
    let trust = trusting(TrustProfile::FirstUse);
    let seen = get_pinned(&trust, &https(&first), None)
        .await
        .unwrap()
        .certificate_sha256;
    assert!(
        get_pinned(&trust, &https(&first), seen.as_deref())
            .await
            .is_ok()
    );
    let second = start(&authority.leaf("a")).await;
    let changed = get_pinned(&trust, &https(&second), seen.as_deref()).await;
    assert_eq!(kind(changed), (FailureKind::CertificateChanged, false));
    assert!(second.requests().is_empty(), "nothing was asked");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_gone() {
    let plain = Server::start(Behaviour::Greet("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let failed = put(&trusting(TrustProfile::FirstUse), &https(&plain)).await;
    assert_eq!(
        failed.as_ref().unwrap_err().message,
        "the remote side does not speak TLS"
    );
    assert_eq!(kind(failed), (FailureKind::TlsFailed, false));
}

#[tokio::test]
async fn a_handshake_that_hangs_leaves_no_doubt() {
    let silent = Server::start(Behaviour::Hang).await;
    let short = Duration::from_millis(300);
    let profile = ConnectionProfile {
        connect_timeout: short,
        request_timeout: short,
        ..trusting(TrustProfile::FirstUse)
    };
    let failed = kind(put(&profile, &https(&silent)).await);
    assert_eq!(failed, (FailureKind::Unreachable, false));
}

#[tokio::test]
async fn a_fleet_with_pins_does_not_keep_a_client_for_each_device_for_ever() {
    let api_server = Arc::from([]);
    let transport = Transport::new();
    let profile = trusting(TrustProfile::Pin);
    tokio::time::pause();
    for device in 0..50 {
        let pinned = format!("{device:064x}");
        transport
            .clients
            .get(&profile, Some(&pinned), &api_server)
            .unwrap();
    }
    assert_eq!(transport.held_clients(), 50);
    tokio::time::advance(Duration::from_secs(61)).await;
    transport
        .clients
        .get(&profile, Some("00"), &api_server)
        .unwrap();
    assert_eq!(transport.held_clients(), 1);
}
