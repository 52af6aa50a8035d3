//! What must never happen, seen through the running operator: a connection that nobody allowed, a
//! secret or a foreign body where people read, a redirect that is followed.
//!
//! Each test that shows that nothing was sent also shows that something is sent once it is
//! allowed: otherwise a peer that is not reached at all would pass.

mod canary;
mod claim;
mod listener;
mod mutual_tls;
mod oauth2;
mod secret;
mod tenant;

use std::time::Duration;

use entente_crds::v1alpha1::{Connection, Contract, Device};
use entente_e2e::scene::read::Conditioned as _;
use entente_e2e::scene::{Scene, now};
use entente_simulators::PeerKind;
use serde_json::json;

use crate::standard::{Standard, contract_is, contract_says, reconciled, scene, subscription_says};
use listener::{Answers, Listener};

/// Long enough that no promise is missed within a test.
const ALLOWED: &str = "1h";
/// A Secret is read again after ten seconds, and a probe that failed is repeated ever less often.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the Device says that it may not be reached.
async fn device_is_not_allowed(scene: &Scene<'_>, name: &str) {
    let found = scene.soon("the Device is not allowed", async || {
        let device = scene.read_device(name).await?;
        (device.reason("Ready") == "NotAllowed" && device.is("Stalled")).then_some(())
    });
    found.await.unwrap();
}

/// A Device `outside` of which a listener keeps the place, the Connection that does not allow it,
/// and a contract that wants something of it.
async fn outside(title: &str, listener: &Listener) -> (Scene<'static>, Connection) {
    let scene = scene(title).await;
    let mut connection = scene.device_connection(listener.port());
    connection.spec.allow[0].networks = vec!["10.0.0.0/8".to_owned(), "127.255.0.0/16".to_owned()];
    scene.apply::<Connection>(&connection).await.unwrap();
    scene.apply(&scene.model()).await.unwrap();
    scene.apply(&scene.parts()).await.unwrap();
    scene
        .apply::<Device>(&at(&scene, "127.0.0.1"))
        .await
        .unwrap();
    let entry = scene.entry("parts", "parts-life", &["outside"], ALLOWED);
    scene
        .apply::<Contract>(&scene.contract("far", now(), vec![entry]))
        .await
        .unwrap();
    (scene, connection)
}

fn at(scene: &Scene<'_>, address: &str) -> Device {
    // One identity belongs to one Device in the cluster.
    scene.device_at("outside", address, scene.namespace())
}

// shows K4
#[tokio::test]
async fn an_address_outside_the_networks_is_never_dialled() {
    let listener = Listener::start(Answers::Nothing).await;
    let (scene, mut connection) = outside("networks", &listener).await;
    let parts = ["far", "parts", "outside"];
    let found = subscription_says(&scene, parts, "Ready", "NotAllowed").await;
    assert!(found.is("Stalled"), "{:?}", found.conditions());
    // A name that leads to the same place is judged by where it leads.
    scene
        .apply::<Device>(&at(&scene, "localhost"))
        .await
        .unwrap();
    judged(&scene, "outside").await;
    reconciled(&scene, "outside").await;
    let found = subscription_says(&scene, parts, "Ready", "NotAllowed").await;
    assert!(found.is("Stalled"), "{:?}", found.conditions());
    assert_eq!(listener.connections(), 0, "nobody allowed this address");

    connection.spec.allow[0].networks = vec!["127.0.0.0/8".to_owned()];
    scene.apply::<Connection>(&connection).await.unwrap();
    let dialled = scene.soon("the address is dialled once it is allowed", async || {
        (listener.connections() > 0).then_some(())
    });
    dialled.await.unwrap();
}

// shows K4
#[tokio::test]
async fn a_device_outside_the_networks_says_so_itself() {
    let listener = Listener::start(Answers::Nothing).await;
    let (scene, _) = outside("outside", &listener).await;
    device_is_not_allowed(&scene, "outside").await;
    assert_eq!(listener.connections(), 0, "nobody allowed this address");
}

/// Waits until the Device as it is now was judged.
async fn judged(scene: &Scene<'_>, name: &str) {
    let found = scene.soon("the Device as it is now was judged", async || {
        let device = scene.read_device(name).await?;
        let ready = device.condition("Ready")?;
        (ready.observed_generation == device.metadata.generation).then_some(())
    });
    found.await.unwrap();
}

// shows K4
#[tokio::test]
async fn a_namespace_that_no_entry_allows_reaches_neither_devices_nor_broker() {
    let world = Standard::new("foreign", 1).await;
    let scene = &world.scene;
    let mut connections = [
        scene.device_connection(world.fleet.port()),
        scene.broker_connection(&world.broker.url()),
    ];
    for connection in &mut connections {
        let labels = &mut connection.spec.allow[0].namespaces.match_labels;
        *labels = [("team".to_owned(), scene.namespace().to_owned())].into();
        scene.apply::<Connection>(connection).await.unwrap();
    }
    device_is_not_allowed(scene, world.name(0)).await;
    let before = scene.ledger().last_sequence();
    scene
        .apply::<Contract>(&world.backup_contract("foreign", now(), ALLOWED))
        .await
        .unwrap();
    let parts = ["foreign", "backup", world.name(0)];
    let found = subscription_says(scene, parts, "Ready", "NotAllowed").await;
    assert!(found.is("Stalled"), "{:?}", found.conditions());
    contract_says(scene, "foreign", "Ready", "DevicesNotProgressing").await;
    let sent = scene.ledger().entries_since(before);
    // The operator's own look at a broker's catalogue is on behalf of nobody.
    let on_behalf = sent
        .iter()
        .filter(|e| e.peer == PeerKind::Device || !e.probe);
    assert_eq!(on_behalf.count(), 0, "{sent:#?}");

    let label = format!("team={}", scene.namespace());
    let output = scene
        .plane()
        .kubectl(["label", "namespace", scene.namespace(), &label])
        .await;
    assert!(output.unwrap().status.success());
    contract_is(scene, "foreign", "Delivered").await;
}

// shows K4
#[tokio::test]
async fn a_broker_on_an_address_that_is_not_allowed_is_never_dialled() {
    let scene = scene("broker-networks").await;
    let listener = Listener::start(Answers::Catalogue).await;
    let mut connection = scene.broker_connection(&listener.url());
    connection.spec.allow[0].networks = vec!["10.0.0.0/8".to_owned()];
    scene.apply::<Connection>(&connection).await.unwrap();
    connection_says(&scene, "Ready", "NotAllowed").await;
    assert_eq!(listener.connections(), 0, "nobody allowed this address");
    connection.spec.allow[0].networks = vec!["127.0.0.0/8".to_owned()];
    scene.apply::<Connection>(&connection).await.unwrap();
    connection_says(&scene, "Ready", "Succeeded").await;
    assert!(listener.connections() > 0);
}

/// Waits until the Connection `broker` gives this reason.
async fn connection_says(scene: &Scene<'_>, condition: &str, reason: &str) -> Connection {
    let what = format!("the Connection broker says {condition} {reason}");
    let found = scene.within(PATIENCE, &what, async || {
        let api = scene.catalogue::<Connection>();
        let connection = api.get_opt(&scene.named("broker")).await.ok().flatten()?;
        (connection.reason(condition) == reason).then_some(connection)
    });
    found.await.unwrap()
}

// shows K4
#[tokio::test]
async fn a_redirect_is_not_followed_whatever_it_answers() {
    let elsewhere = Listener::start(Answers::Catalogue).await;
    let scene = scene("redirected").await;
    let all = Listener::start(Answers::Redirect {
        to: elsewhere.url(),
        catalogue: true,
    })
    .await;
    scene
        .apply::<Connection>(&scene.broker_connection(&all.url()))
        .await
        .unwrap();
    connection_says(&scene, "Ready", "ProtocolError").await;
    assert!(all.connections() > 0, "the redirecting broker was asked");
    assert_eq!(elsewhere.connections(), 0, "the redirect was followed");

    // A broker that sends only writes elsewhere: they carry a body and the credentials.
    let writes = Listener::start(Answers::Redirect {
        to: elsewhere.url(),
        catalogue: false,
    })
    .await;
    let world = Standard::new("redirected-writes", 1).await;
    let scene = &world.scene;
    scene
        .apply::<Connection>(&scene.broker_connection(&writes.url()))
        .await
        .unwrap();
    connection_says(scene, "Ready", "Succeeded").await;
    scene
        .apply::<Contract>(&world.backup_contract("sent-away", now(), ALLOWED))
        .await
        .unwrap();
    let parts = ["sent-away", "backup", world.name(0)];
    subscription_says(scene, parts, "ServerConfigured", "ProtocolError").await;
    reconciled(scene, world.name(0)).await;
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
        catalogue: true,
    })
    .await;
    let scene = scene("redirecting-device").await;
    scene
        .apply(&scene.device_connection(listener.port()))
        .await
        .unwrap();
    scene.apply(&scene.model()).await.unwrap();
    scene.apply(&scene.parts()).await.unwrap();
    scene
        .apply::<Device>(&scene.device_at("sly", "127.0.0.1", "NW500-9998"))
        .await
        .unwrap();
    let entry = scene.entry("parts", "parts-life", &["sly"], ALLOWED);
    scene
        .apply::<Contract>(&scene.contract("sly", now(), vec![entry]))
        .await
        .unwrap();
    subscription_says(&scene, ["sly", "parts", "sly"], "Ready", "ProtocolError").await;
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
    let scene = scene("bodies").await;
    scene
        .apply::<Connection>(&scene.broker_connection(&listener.url()))
        .await
        .unwrap();
    let connection = connection_says(&scene, "Ready", "ProtocolError").await;
    let told = json!(connection.conditions()).to_string();
    assert!(!told.contains(marker), "{told}");
    let found = canary::places_with(&scene, &[marker.to_owned()]).await;
    assert_eq!(found, Vec::<String>::new());
    assert!(listener.connections() > 0);
}
