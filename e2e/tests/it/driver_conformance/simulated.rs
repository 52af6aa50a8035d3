//! Both drivers against our simulators, on which many other tests depend: the checks must be as
//! strict as for foreign software.

use std::sync::Arc;

use async_trait::async_trait;
use entente_crds::v1alpha1::{IppOperation, Protocol};
use entente_domain::remote::FailureKind;
use entente_drivers::conformance::SettingWrite;
use entente_drivers::conformance::{DeviceSubject, ServerSubject, judge_device, judge_server};
use entente_drivers::{DeviceDriver, DeviceTarget, Drivers, ServerTarget, ServiceDriver};
use entente_simulators::{
    Broker, BrokerOptions, Device, Fault, FaultKind, FleetOptions, IppFleet, Ledger, Mode,
    Rejection, WriteOperations,
};
use serde_json::{Map, Value};

use super::server::{offering, parameters};
use super::{NO_EFFECT, assert_kept_but, profile, text};

/// The attribute whose writes the simulated device ignores.
const IGNORED: &str = "printer-location";
const REFUSED: &str = "printer-organization";

struct Printer {
    _fleet: IppFleet,
    device: Arc<Device>,
    drivers: Drivers,
    operation: IppOperation,
    rejection: Rejection,
    kinds: Vec<FailureKind>,
}

impl Printer {
    async fn start(operation: IppOperation, rejection: Rejection, kinds: &[FailureKind]) -> Self {
        let cups = operation == IppOperation::CupsAddModifyPrinter;
        let writes = WriteOperations {
            set_printer_attributes: !cups,
            cups_add_modify_printer: cups,
        };
        let options = FleetOptions {
            writes,
            ..FleetOptions::of(1)
        };
        let fleet = IppFleet::start(options, Ledger::new()).await.unwrap();
        let printer = Self {
            device: Arc::clone(&fleet.devices()[0]),
            _fleet: fleet,
            drivers: Drivers::real(),
            operation,
            rejection,
            kinds: kinds.to_vec(),
        };
        printer.lie().await;
        printer
    }

    async fn lie(&self) {
        let attributes = vec![IGNORED.to_owned()];
        self.device
            .set_fault(FaultKind::NotEffective { attributes })
            .await
            .unwrap();
        let attributes = vec![REFUSED.to_owned()];
        let status = self.rejection;
        self.device
            .set_fault(FaultKind::Reject { attributes, status })
            .await
            .unwrap();
    }
}

#[async_trait]
impl DeviceSubject for Printer {
    fn name(&self) -> &'static str {
        "a simulated printer"
    }

    fn driver(&self) -> &dyn DeviceDriver {
        self.drivers.device(Protocol::IPP).expect("IPP has devices")
    }

    fn target(&self) -> DeviceTarget {
        DeviceTarget {
            secrets: entente_domain::secret::Secrets::default(),
            profile: profile(Protocol::IPP, None),
            url: self.device.uri(),
            printer_uri: None,
            pinned_certificate: None,
        }
    }

    fn operation(&self) -> IppOperation {
        self.operation
    }

    fn settable(&self) -> Option<(SettingWrite, SettingWrite)> {
        Some((text("printer-info", "one"), text("printer-info", "two")))
    }

    fn accepted_without_effect(&self) -> Option<SettingWrite> {
        Some(text(IGNORED, "Basement"))
    }

    fn refused(&self) -> Option<(SettingWrite, Vec<FailureKind>)> {
        Some((text(REFUSED, "Sales"), self.kinds.clone()))
    }

    fn elsewhere(&self) -> Option<DeviceTarget> {
        let url = self
            .device
            .uri()
            .replace("/ipp/print", "/ipp/print/no-such-queue");
        Some(DeviceTarget {
            secrets: entente_domain::secret::Secrets::default(),
            url,
            ..self.target()
        })
    }

    async fn freeze(&self) -> bool {
        self.device.set_fault(FaultKind::Hang).await.is_ok()
    }

    async fn thaw(&self) {
        self.device.clear_faults().await.unwrap();
        self.lie().await;
    }

    async fn stop(&self) -> bool {
        self.device.set_fault(FaultKind::Offline).await.is_ok()
    }
}

#[tokio::test]
async fn the_ipp_driver_keeps_its_promises_with_a_simulated_printer_however_it_refuses() {
    for (rejection, kinds) in [
        (Rejection::NotSupported, vec![FailureKind::RejectedValue]),
        (
            Rejection::NotSettable,
            vec![FailureKind::RejectedNotSettable],
        ),
        (
            Rejection::Silent,
            vec![FailureKind::RejectedValue, FailureKind::RejectedNotSettable],
        ),
    ] {
        let printer = Printer::start(IppOperation::SetPrinterAttributes, rejection, &kinds).await;
        println!("{rejection:?}");
        assert_kept_but(&judge_device(&printer).await, &[]);
    }
}

#[tokio::test]
async fn the_ipp_driver_keeps_its_promises_with_a_simulated_printer_of_the_cups_kind() {
    let kinds = [FailureKind::RejectedValue];
    let operation = IppOperation::CupsAddModifyPrinter;
    let printer = Printer::start(operation, Rejection::NotSupported, &kinds).await;
    assert_kept_but(&judge_device(&printer).await, &[]);
}

struct Server {
    broker: Broker,
    drivers: Drivers,
    offering: (String, String),
    retrievable: bool,
}

impl Server {
    async fn start(mode: Mode) -> Self {
        let options = BrokerOptions {
            mode,
            ..BrokerOptions::default()
        };
        let broker = Broker::start(options, Ledger::new()).await.unwrap();
        let drivers = Drivers::real();
        let mut server = Self {
            broker,
            drivers,
            offering: Default::default(),
            retrievable: true,
        };
        server.offering = offering(&server.drivers, &server.target()).await;
        server
    }
}

#[async_trait]
impl ServerSubject for Server {
    fn name(&self) -> &'static str {
        "a simulated broker"
    }

    fn driver(&self) -> &dyn ServiceDriver {
        self.drivers.service()
    }

    fn target(&self) -> ServerTarget {
        ServerTarget {
            secrets: entente_domain::secret::Secrets::default(),
            profile: profile(Protocol::OSB, None),
            url: self.broker.url(),
        }
    }

    fn offering(&self) -> (String, String) {
        self.offering.clone()
    }

    fn retrievable(&self) -> bool {
        self.retrievable
    }

    fn parameters(&self) -> (Map<String, Value>, Map<String, Value>) {
        parameters()
    }

    fn refused(&self) -> Option<Map<String, Value>> {
        Some(Map::from_iter([("refuse-this".to_owned(), true.into())]))
    }

    async fn freeze(&self) -> bool {
        self.broker
            .set_fault(Fault::new(FaultKind::Hang).on("provision"))
            .await
            .is_ok()
    }

    async fn thaw(&self) {
        self.broker.clear_faults().await.unwrap();
    }

    async fn stop(&self) -> bool {
        self.broker.set_fault(FaultKind::Offline).await.is_ok()
    }
}

#[tokio::test]
async fn the_osb_driver_keeps_its_promises_with_a_simulated_broker_in_every_mode() {
    let asynchronous = Mode::Async {
        polls: 2,
        milliseconds: 10,
    };
    for (mode, retrievable) in [
        (Mode::Sync, true),
        (asynchronous, true),
        (Mode::Sync, false),
    ] {
        let mut server = Server::start(mode).await;
        let attributes = vec!["refuse-this".to_owned()];
        let status = Rejection::NotSupported;
        let refuse = FaultKind::Reject { attributes, status };
        server.broker.set_fault(refuse).await.unwrap();
        if !retrievable {
            server.retrievable = false;
            server
                .broker
                .set_fault(FaultKind::NotRetrievable)
                .await
                .unwrap();
        }
        println!("{mode:?}, retrievable: {retrievable}");
        assert_kept_but(&judge_server(&server).await, &[]);
    }
}

#[tokio::test]
async fn the_suite_tells_a_driver_that_believes_what_it_is_told_from_one_that_reads_back() {
    let kinds = [FailureKind::RejectedValue];
    let operation = IppOperation::SetPrinterAttributes;
    let printer = Printer::start(operation, Rejection::NotSupported, &kinds).await;
    // The suite's settable attribute has no effect any more, and the ignored one still has none.
    let attributes = Vec::new();
    printer
        .device
        .set_fault(FaultKind::NotEffective { attributes })
        .await
        .unwrap();
    let report = judge_device(&printer).await;
    assert!(report.broken().contains(&super::READ_BACK), "{report}");
    assert!(!report.broken().contains(&NO_EFFECT), "{report}");
}
