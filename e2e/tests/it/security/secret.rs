//! Secrets of Connections: missing, made, wrong and changed, all under one run of the operator.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Connection, Contract, Credentials, CredentialsType, LocalReference};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::{self, Broker, BrokerOptions};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};

use super::{ALLOWED, connection_says};
use crate::delivery_fixture::{DeliveryFixture, subscription_says};

/// Writes a Secret with user and password into the operator's namespace.
pub(crate) async fn apply_secret(
    namespace: &TestNamespace<'_>,
    name: &str,
    user: &str,
    password: &str,
) {
    apply_secret_of(
        namespace,
        name,
        &[("username", user), ("password", password)],
    )
    .await;
}

/// Writes a Secret with these keys into the operator's namespace.
pub(super) async fn apply_secret_of(
    namespace: &TestNamespace<'_>,
    name: &str,
    keys: &[(&str, &str)],
) {
    let environment = TestEnvironment::shared().await.unwrap();
    let api: kube::Api<Secret> =
        kube::Api::namespaced(namespace.client().clone(), environment.operator.namespace());
    let mut secret = Secret {
        string_data: Some(strings(keys)),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    let parameters = PatchParams::apply("kubectl").force();
    api.patch(name, &parameters, &Patch::Apply(&secret))
        .await
        .unwrap();
}

/// Keys and values as the objects of Kubernetes want them.
pub(super) fn strings(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let entries = entries.iter();
    entries
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Returns the Connection with the Secret of that name.
pub(crate) fn with_secret(mut connection: Connection, name: &str) -> Connection {
    connection.spec.credentials = Some(Credentials {
        r#type: CredentialsType::Basic,
        secret_ref: Some(LocalReference {
            name: name.to_owned(),
        }),
        ..Credentials::default()
    });
    connection
}

// shows K4
#[tokio::test]
async fn a_secret_that_is_missing_wrong_or_changed_heals_without_a_restart() {
    let environment = TestEnvironment::shared().await.unwrap();
    let process = environment.operator.process_id();
    let fixture = DeliveryFixture::new("secrets", 1).await;
    let namespace = &fixture.namespace;
    let credentials = entente_simulators::Credentials {
        user: "entente".to_owned(),
        password: "right".to_owned(),
    };
    let options = BrokerOptions {
        credentials: Some(credentials),
        ..BrokerOptions::default()
    };
    // With a ledger of its own: the broker without credentials, which is replaced here, got
    // requests.
    let ledger = entente_simulators::Ledger::new();
    let broker = Broker::start(options, ledger.clone()).await.unwrap();
    let name = namespace.named("login");
    let connection = with_secret(namespace.broker_connection(&broker.url()), &name);
    namespace.apply::<Connection>(&connection).await.unwrap();
    namespace
        .apply::<Contract>(&fixture.backup_contract("keyless", now(), ALLOWED))
        .await
        .unwrap();
    let parts = ["keyless", "backup", fixture.name(0)];

    let missing = connection_says(namespace, "ResolvedRefs", "SecretNotFound").await;
    let message = &missing
        .condition("ResolvedRefs")
        .expect("it is there")
        .message;
    assert!(
        message.contains(&name),
        "the message names the Secret: {message}"
    );
    subscription_says(namespace, parts, "ServerConfigured", "SecretNotFound").await;
    assert!(
        ledger.is_empty(),
        "it was asked without credentials: {:?}",
        ledger.entries()
    );

    apply_secret(namespace, &name, "entente", "wrong").await;
    connection_says(namespace, "Authenticated", "Unauthorized").await;
    subscription_says(namespace, parts, "ServerConfigured", "Unauthorized").await;
    assert!(broker.instances().is_empty());

    apply_secret(namespace, &name, "entente", "right").await;
    connection_says(namespace, "Ready", "Succeeded").await;
    let delivered = namespace.within(super::PATIENCE, "the contract is delivered", async || {
        namespace
            .read_contract("keyless")
            .await
            .filter(|contract| contract.is("Delivered"))
    });
    delivered.await.unwrap();
    assert_eq!(
        environment.operator.process_id(),
        process,
        "it was not restarted"
    );
    assert_eq!(broker.instances().len(), 1);
}

// shows K4
#[tokio::test]
async fn a_secret_without_the_key_that_is_needed_is_named_with_the_key() {
    let fixture = DeliveryFixture::new("secret-keys", 1).await;
    let namespace = &fixture.namespace;
    let name = namespace.named("login");
    apply_secret(namespace, &name, "entente", "").await;
    let connection = with_secret(namespace.broker_connection(&fixture.broker.url()), &name);
    namespace.apply::<Connection>(&connection).await.unwrap();
    let found = connection_says(namespace, "ResolvedRefs", "SecretKeyMissing").await;
    let message = &found
        .condition("ResolvedRefs")
        .expect("it is there")
        .message;
    assert!(
        message.contains(&name) && message.contains("password"),
        "{message}"
    );
}
