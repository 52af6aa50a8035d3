//! A broker that gives other ids to the names of its catalog: a customer's instance stays.

use entente_crds::v1alpha1::{Connection, Timeouts};
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use entente_simulators::{ServiceOffering, default_catalog};

use crate::delivery_fixture::{DeliveryFixture, subscription_is, subscription_says};

impl DeliveryFixture<'_> {
    /// Puts another catalog in place and edits the Connection, so that it is read at once.
    async fn offers(&self, services: Vec<ServiceOffering>, request_timeout: &str) {
        self.broker.set_services(services);
        let mut connection = self.namespace.broker_connection(&self.broker.url());
        connection.spec.timeouts = Some(Timeouts {
            request: request_timeout.into(),
            ..Timeouts::default()
        });
        self.namespace
            .apply::<Connection>(&connection)
            .await
            .unwrap();
    }
}

// shows K2 K5
#[tokio::test]
async fn an_instance_survives_offerings_that_swap_their_names_and_a_plan_with_another_id() {
    let fixture = DeliveryFixture::new("renamed", 1).await;
    let namespace = &fixture.namespace;
    let contract = fixture.backup_contract("renamed", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    let parts = ["renamed", "backup", fixture.name(0)];
    subscription_is(namespace, parts, "Delivered").await;
    let before = fixture.broker.instances();
    let swapped = {
        let mut services = default_catalog();
        let name = std::mem::replace(&mut services[0].name, "document-cloud".to_owned());
        services[3].name = name;
        services
    };
    let moved = {
        let mut services = default_catalog();
        services[0].plans[0].id = "another-plan-id".to_owned();
        services
    };
    for (id, services) in [
        ("data-backup-id", swapped),
        ("data-backup-standard-id", moved),
    ] {
        fixture.offers(services, "8s").await;
        let said = subscription_says(namespace, parts, "Stalled", "OfferingChanged").await;
        let message = said.message("Ready");
        assert!(message.contains(&format!("made with {id}:")), "{message}");
        assert_eq!(fixture.broker.instances(), before, "{id}");
        fixture.offers(default_catalog(), "9s").await;
        subscription_is(namespace, parts, "Delivered").await;
    }
    assert_eq!(fixture.broker.instances(), before);
    let told = namespace
        .events()
        .await
        .into_iter()
        .any(|event| event.reason.as_deref() == Some("OfferingChanged"));
    assert!(told, "no event");
    fixture.finish().await;
}
