//! Things that must never happen, tested through the running operator: a connection that nobody
//! allowed, a secret or a foreign body in a place that people read, a redirect that is followed.
//!
//! Each test that shows that nothing was sent also shows that something is sent once it is
//! allowed: otherwise a peer that is not reached at all would pass.

pub(crate) mod canary;
mod claim;
mod listener;
mod memory;
mod mutual_tls;
mod oauth2;
pub(crate) mod secret;
mod tenant;

use std::time::Duration;

use entente_crds::v1alpha1::{Connection, Contract, Device};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::PeerKind;
use serde_json::json;

use crate::delivery_fixture::{
    DeliveryFixture, contract_is, contract_says, reconciled, subscription_says, test_namespace,
};
use listener::{Answers, Listener};

/// An allowance long enough that no promise is missed within a test.
const ALLOWED: &str = "1h";
/// A Secret is read again after ten seconds, and a probe that failed is repeated ever less often.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the Device has the reason that it may not be reached.
async fn device_is_not_allowed(namespace: &TestNamespace<'_>, name: &str) {
    let found = namespace.soon("the Device is not allowed", async || {
        let device = namespace.read_device(name).await?;
        (device.reason("Ready") == "NotAllowed" && device.is("Stalled")).then_some(())
    });
    found.await.unwrap();
}

/// Makes a Device `outside` at the place of a listener, the Connection that does not allow it, and
/// a contract that wants something of it.
async fn outside(title: &str, listener: &Listener) -> (TestNamespace<'static>, Connection) {
    let namespace = test_namespace(title).await;
    let mut connection = namespace.device_connection(listener.port());
    connection.spec.allow[0].networks = vec!["10.0.0.0/8".to_owned(), "127.255.0.0/16".to_owned()];
    namespace.apply::<Connection>(&connection).await.unwrap();
    namespace.apply(&namespace.model()).await.unwrap();
    namespace.apply(&namespace.parts()).await.unwrap();
    namespace
        .apply::<Device>(&at(&namespace, "127.0.0.1"))
        .await
        .unwrap();
    let entry = namespace.entry("parts", "parts-life", &["outside"], ALLOWED);
    namespace
        .apply::<Contract>(&namespace.contract("far", now(), vec![entry]))
        .await
        .unwrap();
    (namespace, connection)
}

fn at(namespace: &TestNamespace<'_>, address: &str) -> Device {
    // One identity belongs to one Device in the cluster.
    namespace.device_at("outside", address, namespace.name())
}

// shows K4
#[tokio::test]
async fn an_address_outside_the_networks_is_never_dialled() {
    let listener = Listener::start(Answers::Nothing).await;
    let (namespace, mut connection) = outside("networks", &listener).await;
    let parts = ["far", "parts", "outside"];
    let found = subscription_says(&namespace, parts, "Ready", "NotAllowed").await;
    assert!(found.is("Stalled"), "{:?}", found.conditions());
    // A name that resolves to the same address is judged by that address.
    namespace
        .apply::<Device>(&at(&namespace, "localhost"))
        .await
        .unwrap();
    judged(&namespace, "outside").await;
    reconciled(&namespace, "outside").await;
    let found = subscription_says(&namespace, parts, "Ready", "NotAllowed").await;
    assert!(found.is("Stalled"), "{:?}", found.conditions());
    assert_eq!(listener.connections(), 0, "nobody allowed this address");

    connection.spec.allow[0].networks = vec!["127.0.0.0/8".to_owned()];
    namespace.apply::<Connection>(&connection).await.unwrap();
    let dialled = namespace.soon("the address is dialled once it is allowed", async || {
        (listener.connections() > 0).then_some(())
    });
    dialled.await.unwrap();
}

// shows K4
#[tokio::test]
async fn a_device_outside_the_networks_says_so_itself() {
    let listener = Listener::start(Answers::Nothing).await;
    let (namespace, _) = outside("outside", &listener).await;
    device_is_not_allowed(&namespace, "outside").await;
    assert_eq!(listener.connections(), 0, "nobody allowed this address");
}

/// Waits until the Device as it is now was judged.
async fn judged(namespace: &TestNamespace<'_>, name: &str) {
    let found = namespace.soon("the Device as it is now was judged", async || {
        let device = namespace.read_device(name).await?;
        let ready = device.condition("Ready")?;
        (ready.observed_generation == device.metadata.generation).then_some(())
    });
    found.await.unwrap();
}

// shows K4
#[tokio::test]
async fn a_namespace_that_no_entry_allows_reaches_neither_devices_nor_broker() {
    let fixture = DeliveryFixture::new("foreign", 1).await;
    let namespace = &fixture.namespace;
    let mut connections = [
        namespace.device_connection(fixture.fleet.port()),
        namespace.broker_connection(&fixture.broker.url()),
    ];
    for connection in &mut connections {
        let labels = &mut connection.spec.allow[0].namespaces.match_labels;
        *labels = [("team".to_owned(), namespace.name().to_owned())].into();
        namespace.apply::<Connection>(connection).await.unwrap();
    }
    device_is_not_allowed(namespace, fixture.name(0)).await;
    let before = namespace.ledger().last_sequence();
    namespace
        .apply::<Contract>(&fixture.backup_contract("foreign", now(), ALLOWED))
        .await
        .unwrap();
    let parts = ["foreign", "backup", fixture.name(0)];
    let found = subscription_says(namespace, parts, "Ready", "NotAllowed").await;
    assert!(found.is("Stalled"), "{:?}", found.conditions());
    contract_says(namespace, "foreign", "Ready", "DevicesNotProgressing").await;
    let sent = namespace.ledger().entries_since(before);
    // The operator's own probe of a broker's catalog serves no subscription.
    let on_behalf = sent
        .iter()
        .filter(|e| e.peer == PeerKind::Device || !e.probe);
    assert_eq!(on_behalf.count(), 0, "{sent:#?}");

    let label = format!("team={}", namespace.name());
    let output = namespace
        .plane()
        .kubectl(["label", "namespace", namespace.name(), &label])
        .await;
    assert!(output.unwrap().status.success());
    contract_is(namespace, "foreign", "Delivered").await;
}

// shows K4
#[tokio::test]
async fn a_broker_on_an_address_that_is_not_allowed_is_never_dialled() {
    let namespace = test_namespace("broker-networks").await;
    let listener = Listener::start(Answers::Catalog).await;
    let mut connection = namespace.broker_connection(&listener.url());
    connection.spec.allow[0].networks = vec!["10.0.0.0/8".to_owned()];
    namespace.apply::<Connection>(&connection).await.unwrap();
    connection_says(&namespace, "Ready", "NotAllowed").await;
    assert_eq!(listener.connections(), 0, "nobody allowed this address");
    connection.spec.allow[0].networks = vec!["127.0.0.0/8".to_owned()];
    namespace.apply::<Connection>(&connection).await.unwrap();
    connection_says(&namespace, "Ready", "Succeeded").await;
    assert!(listener.connections() > 0);
}

/// Waits until the Connection `broker` has this reason.
async fn connection_says(
    namespace: &TestNamespace<'_>,
    condition: &str,
    reason: &str,
) -> Connection {
    let what = format!("the Connection broker says {condition} {reason}");
    let found = namespace.within(PATIENCE, &what, async || {
        let api = namespace.catalogue::<Connection>();
        let connection = api
            .get_opt(&namespace.named("broker"))
            .await
            .ok()
            .flatten()?;
        (connection.reason(condition) == reason).then_some(connection)
    });
    found.await.unwrap()
}

// shows K4
#[tokio::test]
async fn a_redirect_is_not_followed_whatever_it_answers() {
    let elsewhere = Listener::start(Answers::Catalog).await;
    let namespace = test_namespace("redirected").await;
    let all = Listener::start(Answers::Redirect {
        to: elsewhere.url(),
        catalog: true,
    })
    .await;
    namespace
        .apply::<Connection>(&namespace.broker_connection(&all.url()))
        .await
        .unwrap();
    connection_says(&namespace, "Ready", "ProtocolError").await;
    assert!(all.connections() > 0, "the redirecting broker was asked");
    assert_eq!(elsewhere.connections(), 0, "the redirect was followed");

    // A broker that sends only writes elsewhere: they carry a body and the credentials.
    let writes = Listener::start(Answers::Redirect {
        to: elsewhere.url(),
        catalog: false,
    })
    .await;
    let fixture = DeliveryFixture::new("redirected-writes", 1).await;
    let namespace = &fixture.namespace;
    namespace
        .apply::<Connection>(&namespace.broker_connection(&writes.url()))
        .await
        .unwrap();
    connection_says(namespace, "Ready", "Succeeded").await;
    namespace
        .apply::<Contract>(&fixture.backup_contract("sent-away", now(), ALLOWED))
        .await
        .unwrap();
    let parts = ["sent-away", "backup", fixture.name(0)];
    subscription_says(namespace, parts, "ServerConfigured", "ProtocolError").await;
    reconciled(namespace, fixture.name(0)).await;
    let asked = writes.requests();
    assert!(
        asked
            .iter()
            .any(|request| request.contains("/v2/service_instances/")),
        "{asked:?}"
    );
    assert_eq!(elsewhere.connections(), 0, "the redirect was followed");
}

// shows K4
#[tokio::test]
async fn a_device_that_redirects_is_not_followed() {
    let elsewhere = Listener::start(Answers::Nothing).await;
    let listener = Listener::start(Answers::Redirect {
        to: elsewhere.url(),
        catalog: true,
    })
    .await;
    let namespace = test_namespace("redirecting-device").await;
    namespace
        .apply(&namespace.device_connection(listener.port()))
        .await
        .unwrap();
    namespace.apply(&namespace.model()).await.unwrap();
    namespace.apply(&namespace.parts()).await.unwrap();
    namespace
        .apply::<Device>(&namespace.device_at("sly", "127.0.0.1", "NW500-9998"))
        .await
        .unwrap();
    let entry = namespace.entry("parts", "parts-life", &["sly"], ALLOWED);
    namespace
        .apply::<Contract>(&namespace.contract("sly", now(), vec![entry]))
        .await
        .unwrap();
    subscription_says(
        &namespace,
        ["sly", "parts", "sly"],
        "Ready",
        "ProtocolError",
    )
    .await;
    assert!(listener.connections() > 0, "the device was asked");
    assert_eq!(elsewhere.connections(), 0, "the redirect was followed");
}

// shows K4
#[tokio::test]
async fn an_error_body_that_was_not_expected_is_never_quoted() {
    let marker = "stack-trace-with-a-canary";
    let listener = Listener::start(Answers::Failure {
        body: format!("<html>{marker}</html>"),
    })
    .await;
    let namespace = test_namespace("bodies").await;
    namespace
        .apply::<Connection>(&namespace.broker_connection(&listener.url()))
        .await
        .unwrap();
    let connection = connection_says(&namespace, "Ready", "ProtocolError").await;
    let told = json!(connection.conditions()).to_string();
    assert!(!told.contains(marker), "{told}");
    let found = canary::places_with(&namespace, &[marker.to_owned()]).await;
    assert_eq!(found, Vec::<String>::new());
    assert!(listener.connections() > 0);
}
