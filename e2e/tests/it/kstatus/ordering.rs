//! The situation of orders by hand: one that was placed, one that the order server does not know the part of,
//! and one for which there is no server; and what the panel and the site of a device are given.

use entente_crds::example;
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::peers::{OrderServer, OrderServerOptions};

use super::situation::Situation;
use crate::orders::{add_supplies, contracted, make, until};

/// Makes the situation. The orders are made one after another: the last one once its server is dead.
pub(super) async fn ordering(environment: &TestEnvironment) -> Situation<'_> {
    let namespace = TestNamespace::new(environment, "ordering").await.unwrap();
    let options = OrderServerOptions::default();
    let mut server = OrderServer::start(options).await.unwrap();
    add_supplies(&namespace, &server.url()).await;
    contracted(&namespace).await;
    make(&namespace, "placed", "TN-500K").await;
    make(&namespace, "strange", "UNKNOWN-1").await;
    until(&namespace, "placed", "OrderPlaced").await;
    until(&namespace, "strange", "ItemUnknown").await;
    server.kill().await.unwrap();
    make(&namespace, "waiting", "TN-500K").await;

    let mut text = example::toner_empty_text();
    text.metadata.name = Some(namespace.named("toner-empty"));
    "NeverReported".clone_into(&mut text.spec.error_type);
    namespace.apply(&text).await.unwrap();
    for (name, zone) in [("osasco", "America/Sao_Paulo"), ("nowhere", "Not/A_Zone")] {
        let mut site = example::osasco_site();
        site.metadata.name = Some(name.to_owned());
        site.metadata.namespace = Some(namespace.name().to_owned());
        site.spec.time_zone = Some(zone.to_owned());
        namespace.apply(&site).await.unwrap();
    }
    Situation::with_orders(namespace, server)
}
