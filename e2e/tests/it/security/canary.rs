//! A secret with a recognisable value: everything that people and machines can read of the operator
//! is searched for it.

use base64::Engine as _;
use entente_crds::v1alpha1::{Connection, Contract};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::{Broker, BrokerOptions, Credentials, FaultKind};

use super::secret::{apply_secret, with_secret};
use super::{ALLOWED, connection_says};
use crate::board::Viewer;
use crate::delivery_fixture::{DeliveryFixture, contract_is};

/// Returns the places that contain one of these words: the operator's log, its metrics, every
/// object of ours and every event in the cluster, and the board with the pages of all contracts.
pub(crate) async fn places_with(namespace: &TestNamespace<'_>, words: &[String]) -> Vec<String> {
    let environment = TestEnvironment::shared().await.unwrap();
    let mut places = vec![
        ("log".to_owned(), environment.operator.log()),
        (
            "metrics".to_owned(),
            environment.operator.metrics().await.unwrap(),
        ),
    ];
    let kinds: Vec<String> = entente_crds::manifest::all()
        .into_iter()
        .map(|definition| format!("{}.{}", definition.spec.names.plural, definition.spec.group))
        .chain(["events".to_owned(), "events.events.k8s.io".to_owned()])
        .collect();
    for kind in kinds {
        let arguments = ["get", &kind, "--all-namespaces", "-o", "json"];
        let output = namespace.plane().kubectl(arguments).await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        places.push((kind, String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    places.push(("board".to_owned(), board(namespace).await));
    let mut found = Vec::new();
    for (place, text) in &places {
        assert!(!text.is_empty(), "{place} is empty");
        for word in words {
            if let Some(at) = text.find(word.as_str()) {
                let around: String = text[text.floor_char_boundary(at.saturating_sub(200))..]
                    .chars()
                    .take(500)
                    .collect();
                found.push(format!("{word} in {place}: {around}"));
            }
        }
    }
    found
}

/// Returns every page that the board has for this namespace.
async fn board(namespace: &TestNamespace<'_>) -> String {
    let viewer = Viewer::known(namespace).await;
    let mut text = viewer.read("/").await.text;
    for contract in namespace.list::<Contract>().await {
        let name = contract.metadata.name.unwrap_or_default();
        let path = format!("/namespaces/{}/contracts/{name}", namespace.name());
        text += &viewer.read_until(&path, &name).await.text;
    }
    text
}

/// Returns the word itself and every form in which a program might have written it.
fn forms(user: &str, password: &str) -> Vec<String> {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    vec![
        password.to_owned(),
        encode(password),
        encode(&format!("{user}:{password}")),
        format!("{:?}", password.as_bytes()),
    ]
}

// shows K4
#[tokio::test]
async fn a_password_is_nowhere_to_be_read_when_it_works_and_when_it_is_refused() {
    let (user, password) = ("canary-user", "canary-7f3a-never-to-be-seen");
    let fixture = DeliveryFixture::new("canary", 1).await;
    let namespace = &fixture.namespace;
    let credentials = Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    let options = BrokerOptions {
        credentials: Some(credentials),
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options, namespace.ledger().clone())
        .await
        .unwrap();
    let name = namespace.named("canary");
    apply_secret(namespace, &name, user, password).await;
    let connection = with_secret(namespace.broker_connection(&broker.url()), &name);
    namespace.apply::<Connection>(&connection).await.unwrap();
    namespace
        .apply::<Contract>(&fixture.backup_contract("quiet", now(), ALLOWED))
        .await
        .unwrap();
    contract_is(namespace, "quiet", "Delivered").await;
    connection_says(namespace, "Ready", "Succeeded").await;
    assert_eq!(
        places_with(namespace, &forms(user, password)).await,
        Vec::<String>::new()
    );

    // With every fault in which a program might reveal the request.
    for (fault, reason) in [
        (FaultKind::Unauthorized, "Unauthorized"),
        (FaultKind::http_500(), "ProtocolError"),
        (FaultKind::Offline, "Unreachable"),
    ] {
        broker.set_fault(fault).await.unwrap();
        let mut again = connection.clone();
        // Any change of the spec makes the operator look again at once.
        let retry = again
            .spec
            .retry
            .as_mut()
            .expect("every Connection of tests sets it");
        retry.max = format!("{}s", 10 + reason.len()).into();
        namespace.apply::<Connection>(&again).await.unwrap();
        connection_says(namespace, "Ready", reason).await;
        broker.clear_faults().await.unwrap();
    }
    assert_eq!(
        places_with(namespace, &forms(user, password)).await,
        Vec::<String>::new()
    );
}

// shows K4
#[tokio::test]
async fn the_search_for_a_canary_finds_what_is_there() {
    let fixture = DeliveryFixture::new("not-a-canary", 1).await;
    let namespace = &fixture.namespace;
    namespace
        .apply::<Contract>(&fixture.parts_contract("loud", now(), ALLOWED))
        .await
        .unwrap();
    contract_is(namespace, "loud", "Delivered").await;
    let words = [namespace.name().to_owned()];
    let found = places_with(namespace, &words).await;
    for place in [
        "contracts.entente.dev",
        "connections.entente.dev",
        "events",
        "board",
    ] {
        assert!(
            found.iter().any(|line| line.contains(place)),
            "{place} {found:#?}"
        );
    }
}
