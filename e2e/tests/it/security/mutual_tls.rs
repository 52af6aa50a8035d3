//! A broker that accepts no client without a certificate of its authority.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use entente_crds::v1alpha1::{
    Connection, Contract, Credentials, CredentialsType, LocalReference, Tls, Trust,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::{Broker, BrokerOptions, Ledger};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::secret::{apply_secret_of, strings};
use super::{ALLOWED, PATIENCE, connection_says};
use crate::delivery_fixture::{DeliveryFixture, contract_is};

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate, key }
    }

    /// Asks every client for a certificate of this authority.
    fn acceptor(&self) -> TlsAcceptor {
        let Pair { certificate, key } = self.sign("127.0.0.1");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Ends TLS in front of a broker that knows none, and keeps the certificates that clients showed.
struct Gate {
    address: SocketAddr,
    shown: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    async fn start(acceptor: TlsAcceptor, behind: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&shown);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                connections.spawn(async move {
                    let Ok(mut inward) = acceptor.accept(stream).await else {
                        return;
                    };
                    let leaf = inward.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                    kept.lock().unwrap().push(leaf);
                    let mut outward = TcpStream::connect((Ipv4Addr::LOCALHOST, behind))
                        .await
                        .unwrap();
                    let _closed = copy_bidirectional(&mut inward, &mut outward).await;
                });
            }
        });
        Self {
            address,
            shown,
            task,
        }
    }

    fn saw(&self, pair: &Pair) -> bool {
        let shown = self.shown.lock().unwrap();
        shown
            .iter()
            .any(|leaf| *leaf == pair.certificate.der().as_ref())
    }
}

async fn apply_authority(namespace: &TestNamespace<'_>, name: &str, authority: &Authority) {
    let environment = TestEnvironment::shared().await.unwrap();
    let api: kube::Api<ConfigMap> =
        kube::Api::namespaced(namespace.client().clone(), environment.operator.namespace());
    let mut map = ConfigMap {
        data: Some(strings(&[("ca.crt", &authority.0.as_ref().pem())])),
        ..ConfigMap::default()
    };
    map.metadata.name = Some(name.to_owned());
    let parameters = PatchParams::apply("kubectl").force();
    api.patch(name, &parameters, &Patch::Apply(&map))
        .await
        .unwrap();
}

async fn apply_pair(namespace: &TestNamespace<'_>, certificate: &Pair, key: &str) {
    let certificate = certificate.certificate.pem();
    let keys = [("tls.crt", certificate.as_str()), ("tls.key", key)];
    apply_secret_of(namespace, &namespace.named("client"), &keys).await;
}

// shows K4
#[tokio::test]
async fn a_broker_behind_mutual_tls_is_used_with_the_certificate_of_the_secret_as_it_is_now() {
    let environment = TestEnvironment::shared().await.unwrap();
    let process = environment.operator.process_id();
    let fixture = DeliveryFixture::new("mutual-tls", 1).await;
    let namespace = &fixture.namespace;
    let broker = Broker::start(BrokerOptions::default(), Ledger::new())
        .await
        .unwrap();
    let authority = Authority::named("ours");
    let gate = Gate::start(authority.acceptor(), broker.port()).await;
    let trusted = namespace.named("authority");
    apply_authority(namespace, &trusted, &authority).await;

    let mut connection =
        namespace.broker_connection(&format!("https://{}{}", gate.address, broker.path()));
    connection.spec.tls = Some(Tls {
        trust: Trust::Verify,
        ca_config_map_ref: Some(LocalReference { name: trusted }),
        server_name: None,
    });
    connection.spec.credentials = Some(Credentials {
        r#type: CredentialsType::ClientCertificate,
        secret_ref: Some(LocalReference {
            name: namespace.named("client"),
        }),
        ..Credentials::default()
    });
    let pair = authority.sign("entente");
    apply_pair(namespace, &pair, "no key at all").await;
    namespace.apply::<Connection>(&connection).await.unwrap();
    let unusable = connection_says(namespace, "ResolvedRefs", "SecretKeyMissing").await;
    let message = &unusable.condition("ResolvedRefs").unwrap().message;
    assert!(message.contains("tls.key"), "{message}");

    let foreign = Authority::named("other").sign("entente");
    apply_pair(namespace, &foreign, &foreign.key.serialize_pem()).await;
    connection_says(namespace, "Authenticated", "Unauthorized").await;
    assert!(gate.shown.lock().unwrap().is_empty(), "nobody was let in");

    apply_pair(namespace, &pair, &pair.key.serialize_pem()).await;
    connection_says(namespace, "Ready", "Succeeded").await;
    namespace
        .apply::<Contract>(&fixture.backup_contract("mutual", now(), ALLOWED))
        .await
        .unwrap();
    contract_is(namespace, "mutual", "Delivered").await;
    assert!(gate.saw(&pair) && broker.instances().len() == 1);

    let renewed = authority.sign("entente");
    apply_pair(namespace, &renewed, &renewed.key.serialize_pem()).await;
    connection.spec.sync = Some(entente_crds::v1alpha1::Sync {
        period: "23h".into(),
        ..Default::default()
    });
    namespace.apply::<Connection>(&connection).await.unwrap();
    let seen = namespace.within(PATIENCE, "the renewed certificate is shown", async || {
        gate.saw(&renewed).then_some(())
    });
    seen.await.unwrap();
    connection_says(namespace, "Ready", "Succeeded").await;
    assert_eq!(
        environment.operator.process_id(),
        process,
        "it was not restarted"
    );
}
