//! A broker that puts other ids behind the names of its catalogue: what a customer has stays.

use entente_crds::v1alpha1::{Connection, Timeouts};
use entente_e2e::scene::now;
use entente_e2e::scene::read::Conditioned as _;
use entente_simulators::{ServiceOffering, default_catalog};

use crate::standard::{Standard, subscription_is, subscription_says};

impl Standard<'_> {
    /// Puts another catalogue in place and edits the Connection, so that it is read at once.
    async fn offers(&self, services: Vec<ServiceOffering>, request_timeout: &str) {
        self.broker.set_services(services);
        let mut connection = self.scene.broker_connection(&self.broker.url());
        connection.spec.timeouts = Some(Timeouts {
            request: request_timeout.into(),
            ..Timeouts::default()
        });
        self.scene.apply::<Connection>(&connection).await.unwrap();
    }
}

// shows K2 K5
#[tokio::test]
async fn an_instance_survives_offerings_that_swap_their_names_and_a_plan_with_another_id() {
    let world = Standard::new("renamed", 1).await;
    let scene = &world.scene;
    let contract = world.backup_contract("renamed", now(), "15m");
    scene.apply(&contract).await.unwrap();
    let parts = ["renamed", "backup", world.name(0)];
    subscription_is(scene, parts, "Delivered").await;
    let before = world.broker.instances();
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
        world.offers(services, "8s").await;
        let said = subscription_says(scene, parts, "Stalled", "OfferingChanged").await;
        let message = said.message("Ready");
        assert!(message.contains(&format!("made with {id}:")), "{message}");
        assert_eq!(world.broker.instances(), before, "{id}");
        world.offers(default_catalog(), "9s").await;
        subscription_is(scene, parts, "Delivered").await;
    }
    assert_eq!(world.broker.instances(), before);
    let told = scene
        .events()
        .await
        .into_iter()
        .any(|event| event.reason.as_deref() == Some("OfferingChanged"));
    assert!(told, "no event");
    world.finish().await;
}
