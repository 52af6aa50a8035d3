//! An error is noticed when a printer notifies us of it, and not at the next report, with a server that others
//! wrote: `cupsd`, which keeps subscriptions and answers Get-Notifications (RFC 3995, RFC 3996).

use std::time::Duration;

use entente_crds::example;
use entente_crds::v1alpha1::{Connection, Device, DeviceConnection, DeviceModel, Sync};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::peers::CupsServer;
use entente_e2e::peers::ipp_client::IppClient;

use crate::delivery_fixture::test_namespace;

const DEVICE: &str = "lobby";
const QUEUE: &str = "lobby";

/// Applies a device at a queue that is asked for its status once in an hour.
async fn apply(namespace: &TestNamespace<'_>, server: &CupsServer) {
    let mut connection = namespace.ipp_connection("devices", &server.uri(QUEUE));
    connection.spec.sync = Some(Sync {
        status: "1h".into(),
        ..Sync::default()
    });
    namespace.apply::<Connection>(&connection).await.unwrap();
    let asked = ["printer-make-and-model"];
    let printer = IppClient::new().get(&server.uri(QUEUE), &asked).await;
    let product = printer.unwrap().text(asked[0]).expect("it names its model");
    let mut model = example::mfp_520();
    model.metadata.name = Some(namespace.named("colour"));
    model.spec.product_names = vec![product];
    for error in &mut model.spec.errors {
        error.settle = None;
    }
    let model = namespace.labelled(model);
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let mut device = namespace.device_at(DEVICE, "127.0.0.1", "SN-1");
    device.spec.model_ref = namespace.reference("colour");
    device.spec.connections = vec![DeviceConnection {
        name: namespace.named("devices"),
        ..DeviceConnection::default()
    }];
    namespace.apply::<Device>(&device).await.unwrap();
}

/// Waits, long before the next report is due.
async fn soon<T>(
    namespace: &TestNamespace<'_>,
    what: &str,
    look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = namespace.within(Duration::from_mins(4), what, look).await;
    found.unwrap_or_else(|late| panic!("{late}"))
}

async fn is_subscribed(namespace: &TestNamespace<'_>, server: &CupsServer) {
    let kept = async || (server.subscriptions() == 1).then_some(());
    soon(namespace, "the server keeps one subscription", kept).await;
}

async fn has_error(namespace: &TestNamespace<'_>, r#type: &str) {
    let has = async || {
        let device = namespace.get::<Device>(DEVICE).await?;
        let errors = device.status?.errors;
        let has = errors.iter().any(|error| error.key.starts_with(r#type));
        has.then_some(())
    };
    soon(namespace, r#type, has).await;
}

// shows A1
#[tokio::test]
async fn an_error_is_noticed_by_its_notification_also_after_the_printer_was_restarted() {
    let mut server = CupsServer::start(&[QUEUE]).await.unwrap();
    let namespace = &test_namespace("notifications").await;
    apply(namespace, &server).await;
    is_subscribed(namespace, &server).await;

    server.report(QUEUE, "toner-empty").await.unwrap();
    has_error(namespace, "TonerEmpty").await;

    server.kill().await.unwrap();
    server.forget_subscriptions();
    server.start_again().await.unwrap();
    is_subscribed(namespace, &server).await;
    server.report(QUEUE, "media-jam").await.unwrap();
    has_error(namespace, "Jam").await;
}
