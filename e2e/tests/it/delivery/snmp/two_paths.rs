//! One printer with two ways to it, by IPP and by SNMP, which report the same empty toner: both at once, and
//! each alone in turn.

use std::collections::BTreeMap;

use entente_crds::example;
use entente_crds::v1alpha1::{
    Connection, Contract, Device, DeviceConnection, DeviceModel, ErrorState, LocalReference, Settle,
};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{OrderServer, OrderServerOptions, Snmpd};
use entente_simulators::{Cause, IppFleet};
use serde_json::json;

use super::errors::{ALERT, LEVEL, empty_toner, often};
use super::{SECRET, log_in};
use crate::delivery_fixture::{contract_is, reconciled, test_namespace};
use crate::orders::{add_supplies, id, until};
use crate::tenant_secrets::grant;

const DEVICE: &str = "both-ways";
const ORDER: &str = "both-ways.toner-empty.black-toner.1";
/// Looks at the printer that a person asks for, in each phase.
const LOOKS: usize = 12;
/// Looks at it that are made by themselves, in each phase.
const MORE_LOOKS: usize = 3;
const EMPTY: &str = "toner-empty-error";

/// The printer.
struct Printer {
    agent: Snmpd,
    fleet: IppFleet,
}

impl Printer {
    async fn start(namespace: &TestNamespace<'_>) -> Self {
        let printer = Self {
            agent: Snmpd::start(&empty_toner()).await.unwrap(),
            fleet: namespace.fleet(1).await.unwrap(),
        };
        let introduction = format!(
            "MFG:Northwind;MDL:MFP 500;SN:{};",
            printer.agent.serial_number()
        );
        let introduction = ("printer-device-id".to_owned(), json!(introduction));
        let device = &printer.fleet.devices()[0];
        device
            .set_attributes(&BTreeMap::from([introduction]))
            .unwrap();
        printer
    }

    /// Says whether its black toner is empty, by each way.
    async fn report(&self, by_ipp: bool, by_snmp: bool) {
        let device = &self.fleet.devices()[0];
        let reason = if by_ipp { EMPTY } else { "none" };
        device.set_black_toner(reason, 0).unwrap();
        // Ready to print: an alert that is no error of the model.
        let alert = if by_snmp { 1101 } else { 507 };
        self.agent.set_number(ALERT, alert).await.unwrap();
        self.agent.set_number(LEVEL, 0).await.unwrap();
    }
}

impl Printer {
    /// Waits until it was asked by IPP some more times, which nobody has wished for.
    async fn is_asked_again(&self, namespace: &TestNamespace<'_>) {
        let ledger = namespace.ledger();
        let since = ledger.last_sequence();
        let asked = namespace.soon("it is asked again", async || {
            let asked = ledger.entries_since(since);
            let asked = asked.iter().filter(|it| it.cause == Cause::Request);
            (asked.count() >= MORE_LOOKS).then_some(())
        });
        asked.await.unwrap();
    }
}

/// Applies the printer with both connections, and a contract of the service that orders at a URL.
async fn apply(namespace: &TestNamespace<'_>, printer: &Printer, url: &str) {
    log_in(namespace, None).await;
    grant(namespace).await;
    let by_snmp = often(namespace, &printer.agent);
    let by_ipp = namespace.ipp_connection("devices", &printer.fleet.devices()[0].uri());
    let by_ipp = Connection {
        spec: entente_crds::v1alpha1::ConnectionSpec {
            sync: by_snmp.spec.sync.clone(),
            ..by_ipp.spec.clone()
        },
        ..by_ipp
    };
    for connection in [&by_snmp, &by_ipp] {
        namespace.apply::<Connection>(connection).await.unwrap();
    }
    let example = example::mfp_520().spec;
    let mut model = namespace.model();
    model.spec.product_names.push(Snmpd::PRODUCT.to_owned());
    model.spec.supplies = example.supplies;
    model.spec.errors = example.errors;
    for error in &mut model.spec.errors {
        error.settle = Some(Settle {
            begin: "0s".into(),
            end: "0s".into(),
        });
    }
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let agent = &printer.agent;
    let mut device = namespace.device_at(DEVICE, agent.address(), &agent.serial_number());
    let login = LocalReference {
        name: SECRET.to_owned(),
    };
    device.spec.connections = [("devices", None), ("agents", Some(login))]
        .map(|(name, credentials_ref)| DeviceConnection {
            name: namespace.named(name),
            credentials_ref,
            ..DeviceConnection::default()
        })
        .into();
    namespace.apply::<Device>(&device).await.unwrap();
    add_supplies(namespace, url).await;
    let entry = namespace.entry("supplies", "supplies", &[DEVICE], "1h");
    let contract = namespace.contract("both-2027", now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
    contract_is(namespace, "both-2027", "Delivered").await;
    let online = namespace.soon("it answers by both ways", async || {
        let device = namespace.read_device(DEVICE).await?;
        // The one by which it is known has its identity in the status itself.
        let mut others = device.status.as_ref()?.connections.iter();
        let is_known = others.any(|it| it.identity.is_some());
        (is_known && device.is("Online")).then_some(())
    });
    online.await.unwrap();
}

// shows A1 A9
#[tokio::test]
async fn an_error_that_is_reported_by_two_ways_is_ordered_for_once() {
    let namespace = &test_namespace("both-ways").await;
    let server = OrderServer::start(OrderServerOptions::default());
    let server = server.await.unwrap();
    let printer = Printer::start(namespace).await;
    printer.report(false, false).await;
    apply(namespace, &printer, &server.url()).await;
    reconciled(namespace, DEVICE).await;
    assert_eq!(server.log(), []);

    // At each instant one of them reports it.
    let phases = [(true, true), (true, false), (true, true), (false, true)];
    for (by_ipp, by_snmp) in phases {
        printer.report(by_ipp, by_snmp).await;
        for _ in 0..LOOKS {
            reconciled(namespace, DEVICE).await;
        }
        printer.is_asked_again(namespace).await;
    }
    let placed = until(namespace, ORDER, "OrderPlaced").await;
    let device = namespace.read_device(DEVICE).await.expect("a Device");
    let errors = device.status.unwrap().errors;
    let [error] = &errors[..] else {
        panic!("not one error: {errors:?}");
    };
    assert_eq!((error.occurrence, error.state), (1, ErrorState::Open));
    let log = server.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0].order_id, id(&placed));

    // It is over when neither reports it.
    printer.report(false, false).await;
    let over = namespace.soon("the error is over", async || {
        let errors = namespace.read_device(DEVICE).await?.status?.errors;
        (errors[0].state == ErrorState::Closed).then_some(())
    });
    over.await.unwrap();
    assert_eq!(server.log().len(), 1);
}
