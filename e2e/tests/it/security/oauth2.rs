//! A broker that accepts the tokens of a token endpoint (RFC 6749 section 4.4).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use base64::Engine as _;
use entente_crds::v1alpha1::{Connection, Contract, Credentials, CredentialsType, LocalReference};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::{Broker, BrokerOptions, Ledger};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::secret::apply_secret_of;
use super::{ALLOWED, canary, connection_says};
use crate::delivery_fixture::{DeliveryFixture, contract_is, test_namespace};

const CLIENT: &str = "entente";
const PASSWORD: &str = "canary-client-secret-4c1d";
/// The endpoint numbers its tokens.
const TOKEN: &str = "canary-token-9e2b";

/// A token endpoint that knows one client. It ends with this value.
struct TokenEndpoint {
    url: String,
    given: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TokenEndpoint {
    async fn start(address: Ipv4Addr) -> Self {
        let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let given = Arc::new(AtomicUsize::new(0));
        let routes = Router::new()
            .route("/token", post(token))
            .with_state(Arc::clone(&given));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, given, task }
    }

    /// Returns the number of tokens that were issued.
    fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }
}

async fn token(
    State(given): State<Arc<AtomicUsize>>,
    headers: HeaderMap,
    form: String,
) -> (StatusCode, Json<Value>) {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:{PASSWORD}"));
    let login = headers.get("authorization").and_then(|it| it.to_str().ok());
    if login != Some(&format!("Basic {pair}")) {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({"error": "invalid_client"})),
        );
    }
    if form != "grant_type=client_credentials&scope=services" {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_scope"})),
        );
    }
    let number = given.fetch_add(1, Ordering::SeqCst) + 1;
    let granted = json!({
        "access_token": format!("{TOKEN}-{number}"), "token_type": "Bearer", "expires_in": 3600,
    });
    (StatusCode::OK, Json(granted))
}

/// Returns the Connection to that broker, with tokens of that endpoint.
fn connection(
    namespace: &TestNamespace<'_>,
    broker: &Broker,
    endpoint: &TokenEndpoint,
) -> Connection {
    let mut connection = namespace.broker_connection(&broker.url());
    connection.spec.credentials = Some(Credentials {
        r#type: CredentialsType::OAuth2ClientCredentials,
        secret_ref: Some(LocalReference {
            name: namespace.named("client"),
        }),
        token_url: Some(endpoint.url.clone()),
        ..Credentials::default()
    });
    connection
}

async fn apply_client(namespace: &TestNamespace<'_>, password: &str) {
    let keys = [
        ("client-id", CLIENT),
        ("client-secret", password),
        ("scope", "services"),
    ];
    apply_secret_of(namespace, &namespace.named("client"), &keys).await;
}

// shows K4
#[tokio::test]
async fn a_broker_is_used_with_tokens_that_are_fetched_once_and_anew_when_they_are_refused() {
    let fixture = DeliveryFixture::new("tokens", 1).await;
    let namespace = &fixture.namespace;
    let endpoint = TokenEndpoint::start(Ipv4Addr::LOCALHOST).await;
    let broker = Broker::start(BrokerOptions::default(), Ledger::new())
        .await
        .unwrap();
    broker.set_token(&format!("{TOKEN}-1"));
    let mut connection = connection(namespace, &broker, &endpoint);
    namespace.apply::<Connection>(&connection).await.unwrap();
    apply_client(namespace, "wrong").await;
    let refused = connection_says(namespace, "Authenticated", "Unauthorized").await;
    let message = &refused.condition("Authenticated").unwrap().message;
    assert!(message.contains("invalid_client"), "{message}");

    apply_client(namespace, PASSWORD).await;
    connection_says(namespace, "Ready", "Succeeded").await;
    namespace
        .apply::<Contract>(&fixture.backup_contract("tokens", now(), ALLOWED))
        .await
        .unwrap();
    contract_is(namespace, "tokens", "Delivered").await;
    assert_eq!(broker.instances().len(), 1);
    assert_eq!(endpoint.given(), 1, "one token served all requests");

    broker.set_token(&format!("{TOKEN}-2"));
    connection.spec.sync = Some(entente_crds::v1alpha1::Sync {
        period: "23h".into(),
        ..Default::default()
    });
    let generation = namespace
        .apply::<Connection>(&connection)
        .await
        .unwrap()
        .metadata
        .generation;
    let renewed = namespace.soon("the Connection as it is now was probed", async || {
        let api = namespace.catalogue::<Connection>();
        let connection = api
            .get_opt(&namespace.named("broker"))
            .await
            .ok()
            .flatten()?;
        let ready = connection.condition("Ready")?;
        (ready.observed_generation == generation && endpoint.given() == 2)
            .then(|| ready.reason.clone())
    });
    assert_eq!(renewed.await.unwrap(), "Succeeded");

    let secrets = [PASSWORD, TOKEN].map(str::to_owned);
    let found = canary::places_with(namespace, &secrets).await;
    assert_eq!(found, Vec::<String>::new());
}

// shows K4
#[tokio::test]
async fn a_token_endpoint_on_an_address_that_is_not_allowed_is_never_dialled() {
    let namespace = test_namespace("token-networks").await;
    let endpoint = TokenEndpoint::start(Ipv4Addr::new(127, 0, 0, 2)).await;
    let broker = Broker::start(BrokerOptions::default(), Ledger::new())
        .await
        .unwrap();
    broker.set_token(&format!("{TOKEN}-1"));
    apply_client(&namespace, PASSWORD).await;
    let mut connection = connection(&namespace, &broker, &endpoint);
    connection.spec.allow[0].networks = vec!["127.0.0.1/32".to_owned()];
    namespace.apply::<Connection>(&connection).await.unwrap();
    connection_says(&namespace, "Ready", "NotAllowed").await;
    assert_eq!(endpoint.given(), 0, "nobody allowed this address");

    connection.spec.allow[0]
        .networks
        .push("127.0.0.2/32".to_owned());
    namespace.apply::<Connection>(&connection).await.unwrap();
    connection_says(&namespace, "Ready", "Succeeded").await;
    assert_eq!(endpoint.given(), 1);
}
