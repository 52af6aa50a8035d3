//! The life of a device that calls, from its token to a service that is proved.

use std::time::Duration;

use entente_crds::v1alpha1::Device;
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use serde_json::json;

use super::fixture::CallingFixture;
use crate::delivery_fixture::contract_is;

/// Time within which everything is delivered; it needs a second.
const SOON: Duration = Duration::from_secs(60);

// shows B3 B6 B9 C1 C2 C9 D1
#[tokio::test]
async fn a_device_that_knows_one_url_and_one_token_registers_and_is_set_up_before_the_server() {
    let fixture = CallingFixture::new("calling", "24h").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device("behind", "NW5-0001");
    namespace.apply::<Device>(&device).await.unwrap();
    let contract = fixture.contract("now", "behind", now());
    namespace.apply(&contract).await.unwrap();
    let unregistered = async || {
        let device = namespace.read_device("behind").await?;
        (device.reason("Online") == "NotRegistered").then_some(())
    };
    let what = "the device is said not to have registered";
    namespace.within(SOON, what, unregistered).await.unwrap();
    let provisions = || fixture.broker.instances().len();
    assert_eq!(provisions(), 0, "the server waits for the device");

    let agent = fixture.agent("NW5-0001");
    contract_is(namespace, "now", "Delivered").await;
    let settings = agent.file("settings.json").expect("its settings");
    let expected = json!({
        "backup.endpoint": "https://backup.northwind.example/v1",
        "backup.mode": "full",
        "backup.weekdays": "sun",
    });
    assert_eq!(settings, expected);
    let twin = fixture.twin("behind").await.expect("the twin");
    let status = twin.status.expect("a status");
    let registration = status.registration.expect("a registration");
    assert_eq!(json!(registration.consent.map(|it| it.by)), json!("Panel"));
    let reported = status.reported.expect("a report");
    assert_eq!(reported.version, twin.metadata.generation);
}
