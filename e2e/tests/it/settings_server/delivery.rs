//! Contracts on devices behind a settings distribution server, through the running operator.

use entente_crds::v1alpha1::{Connection, Contract, Device, ItemState, PromiseState};
use entente_e2e::namespace::read::SubscriptionFacts as _;
use entente_e2e::namespace::{TestNamespace, starting_in};
use entente_e2e::peers::{Prism, SettingsServer};
use entente_simulators::FaultKind;
use serde_json::json;

use super::{PASSWORD, USER, assert_as_documented, device, factory, judged_server};
use crate::delivery_fixture::{
    AHEAD, contract_is, promise_state, subscription_is, subscription_says, test_namespace,
};
use crate::security::secret::{apply_secret, with_secret};

const SERIAL: &str = "A1B2C3";
const UNIT: &str = "/settings/alert/unit";

/// A namespace with one device behind a server, and the judge between them.
struct Fixture {
    namespace: TestNamespace<'static>,
    server: SettingsServer,
    prism: Prism,
}

impl Fixture {
    async fn new(title: &str, reports: &str) -> Self {
        let namespace = test_namespace(title).await;
        let (server, prism) = judged_server().await;
        let behind = device(reports, &factory());
        server.put_device(SERIAL, &behind).await.unwrap();
        let login = namespace.named("login");
        apply_secret(&namespace, &login, USER, PASSWORD).await;
        let connection = with_secret(namespace.settings_connection(&prism.url()), &login);
        namespace.apply::<Connection>(&connection).await.unwrap();
        namespace.apply(&namespace.model()).await.unwrap();
        namespace.apply(&namespace.parts()).await.unwrap();
        let mut device = namespace.device_at("lobby", "127.0.0.1", SERIAL);
        device.spec.address = None;
        namespace.apply::<Device>(&device).await.unwrap();
        Self {
            namespace,
            server,
            prism,
        }
    }

    /// Applies a contract whose term begins soon.
    async fn start(&self, name: &str) {
        let entry = self
            .namespace
            .entry("parts", "parts-life", &["lobby"], "15m");
        let contract = self
            .namespace
            .contract(name, starting_in(AHEAD / 2), vec![entry]);
        self.namespace.apply::<Contract>(&contract).await.unwrap();
    }

    /// Waits until the server wants so many values.
    async fn until_wanted(&self, count: usize) {
        let asked = self.namespace.soon("the values are wanted", async || {
            (self.server.changes().len() >= count).then_some(())
        });
        asked.await.unwrap();
    }
}

/// Returns the parts of the name of a subscription of a contract.
fn parts_of(contract: &str) -> [&str; 3] {
    [contract, "parts", "lobby"]
}

// shows B3 B9 D1 D3
#[tokio::test]
async fn a_contract_is_delivered_when_the_device_reports_and_not_when_the_server_takes_it() {
    let fixture = Fixture::new("behind", "WhenTold").await;
    let namespace = &fixture.namespace;
    fixture.start("behind").await;
    fixture.until_wanted(3).await;
    let parts = parts_of("behind");
    let waits = subscription_says(namespace, parts, "Ready", "WaitingForDevice").await;
    let status = waits.status.expect("a status");
    let found: Vec<ItemState> = status.items.iter().map(|item| item.state).collect();
    assert_eq!(found, [ItemState::InProgress; 3]);
    let values = fixture.server.values(SERIAL).await.unwrap();
    assert_eq!(values[UNIT], json!("none"), "the device has not been there");

    fixture.server.report(SERIAL, json!({})).await.unwrap();
    contract_is(namespace, "behind", "Delivered").await;
    let delivered = subscription_is(namespace, parts, "Ready").await;
    assert_eq!(promise_state(&delivered), PromiseState::Kept);
    assert_eq!(fixture.server.changes().len(), 3, "each value once");
    assert_as_documented(&fixture.prism);
}

// shows D1 K2
#[tokio::test]
async fn a_device_that_reports_another_value_is_said_to_have_it_and_asked_again() {
    let fixture = Fixture::new("another", "WhenTold").await;
    let namespace = &fixture.namespace;
    fixture.start("another").await;
    fixture.until_wanted(3).await;
    let instead = json!({ UNIT: "another" });
    fixture.server.report(SERIAL, instead).await.unwrap();
    // It is asked again a moment later, so that an event alone tells for long.
    fixture.until_wanted(4).await;
    let said = namespace.soon("the other value is told", async || {
        let events = namespace.events().await;
        let words = "was accepted and is not in effect";
        let mut notes = events.iter().filter_map(|it| it.note.as_deref());
        notes.any(|note| note.contains(words)).then_some(())
    });
    said.await.unwrap();
    let last = fixture.server.changes().pop().expect("a request");
    assert_eq!(last.setting.as_deref(), Some(UNIT));
    fixture.server.report(SERIAL, json!({})).await.unwrap();
    contract_is(namespace, "another", "Delivered").await;
    assert_as_documented(&fixture.prism);
}

// shows D1 K2
#[tokio::test]
async fn a_value_that_the_device_refuses_is_a_refusal_of_the_device() {
    let fixture = Fixture::new("refuses", "WhenTold").await;
    let namespace = &fixture.namespace;
    fixture.start("refuses").await;
    fixture.until_wanted(3).await;
    fixture.server.refuse(SERIAL, UNIT).await.unwrap();
    let parts = parts_of("refuses");
    let refused = subscription_says(namespace, parts, "Ready", "RejectedValue").await;
    let item = refused.item("DeviceSetting/alert.unit");
    let problem = item.and_then(|item| item.problem.as_deref());
    let message = problem.map(|it| it.message.to_string()).unwrap_or_default();
    assert!(message.contains("not this one"), "{message}");
}

// shows B7 K2
#[tokio::test]
async fn a_server_that_is_killed_between_a_change_and_its_answer_is_asked_for_each_value_once() {
    let mut fixture = Fixture::new("killed", "WhenTold").await;
    let cut = FaultKind::ResetAfterCommit;
    fixture.server.set_fault(cut).await.unwrap();
    fixture.start("killed").await;
    fixture.until_wanted(1).await;
    fixture.server.kill().await.unwrap();
    // Its faults end with the process, and all that it had taken does not.
    fixture.server.start_again().await.unwrap();
    fixture.until_wanted(3).await;
    fixture.server.report(SERIAL, json!({})).await.unwrap();
    let namespace = &fixture.namespace;
    contract_is(namespace, "killed", "Delivered").await;
    let changes = fixture.server.changes();
    let settings: std::collections::BTreeSet<_> =
        changes.iter().map(|it| it.setting.clone()).collect();
    assert_eq!((changes.len(), settings.len()), (3, 3), "{changes:#?}");
    assert!(changes[0].cut, "{changes:#?}");
}

// shows B3 K2
#[tokio::test]
async fn a_server_that_takes_its_time_is_followed_by_what_it_says_of_its_operations() {
    let fixture = Fixture::new("slow", "AtOnce").await;
    fixture.server.set_delay(1.5).await.unwrap();
    fixture.start("slow").await;
    let namespace = &fixture.namespace;
    contract_is(namespace, "slow", "Delivered").await;
    assert_eq!(fixture.server.changes().len(), 3, "each value once");
    assert_as_documented(&fixture.prism);
}
