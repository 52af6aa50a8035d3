//! The IPP driver against `ippeveprinter`, `lprint` and `cupsd`.

use async_trait::async_trait;
use entente_crds::v1alpha1::{IppOperation, IppSyntax, Protocol};
use entente_domain::remote::{FailureKind, Value};
use entente_drivers::conformance::SettingWrite;
use entente_drivers::conformance::{DeviceSubject, judge_device};
use entente_drivers::{DeviceDriver, DeviceTarget, Drivers};
use entente_e2e::peers::{CupsServer, IppEvePrinter, IppEvePrinterOptions, LprintServer};
use tokio::sync::Mutex;

use super::{ABSENT, NO_EFFECT, READ_BACK, REFUSED, SAME_AGAIN, assert_kept_but, profile, text};

enum Peer {
    IppEvePrinter(IppEvePrinter),
    Lprint(LprintServer),
    Cups(CupsServer),
}

macro_rules! of_each {
    ($peer:expr, $bound:ident => $expression:expr) => {
        match $peer {
            Peer::IppEvePrinter($bound) => $expression,
            Peer::Lprint($bound) => $expression,
            Peer::Cups($bound) => $expression,
        }
    };
}

struct Device {
    name: &'static str,
    peer: Mutex<Peer>,
    uri: String,
    drivers: Drivers,
    operation: IppOperation,
    settable: Option<(SettingWrite, SettingWrite)>,
    ignored: Option<SettingWrite>,
    refused: Option<(SettingWrite, Vec<FailureKind>)>,
    elsewhere: Option<String>,
}

impl Device {
    fn of(name: &'static str, uri: String, peer: Peer) -> Self {
        Self {
            name,
            peer: Mutex::new(peer),
            uri,
            drivers: Drivers::real(),
            operation: IppOperation::SetPrinterAttributes,
            settable: None,
            ignored: None,
            refused: None,
            elsewhere: None,
        }
    }
}

#[async_trait]
impl DeviceSubject for Device {
    fn name(&self) -> &str {
        self.name
    }

    fn driver(&self) -> &dyn DeviceDriver {
        self.drivers.device(Protocol::IPP).expect("IPP has devices")
    }

    fn target(&self) -> DeviceTarget {
        DeviceTarget {
            secrets: entente_domain::secret::Secrets::default(),
            profile: profile(Protocol::IPP, None),
            url: self.uri.clone(),
            printer_uri: None,
            pinned_certificate: None,
        }
    }

    fn operation(&self) -> IppOperation {
        self.operation
    }

    fn settable(&self) -> Option<(SettingWrite, SettingWrite)> {
        self.settable.clone()
    }

    fn accepted_without_effect(&self) -> Option<SettingWrite> {
        self.ignored.clone()
    }

    fn refused(&self) -> Option<(SettingWrite, Vec<FailureKind>)> {
        self.refused.clone()
    }

    fn elsewhere(&self) -> Option<DeviceTarget> {
        let url = self.elsewhere.clone()?;
        Some(DeviceTarget {
            secrets: entente_domain::secret::Secrets::default(),
            url,
            ..self.target()
        })
    }

    async fn freeze(&self) -> bool {
        of_each!(&*self.peer.lock().await, peer => peer.freeze().await).is_ok()
    }

    async fn thaw(&self) {
        of_each!(&*self.peer.lock().await, peer => peer.thaw().await).expect("it goes on");
    }

    async fn stop(&self) -> bool {
        of_each!(&mut *self.peer.lock().await, peer => peer.kill().await).is_ok()
    }
}

#[tokio::test]
async fn the_ipp_driver_keeps_its_promises_with_ippeveprinter_which_takes_no_settings() {
    let peer = IppEvePrinter::start(IppEvePrinterOptions::default())
        .await
        .unwrap();
    let device = Device {
        refused: Some((
            text("printer-location", "x"),
            vec![FailureKind::Unsupported],
        )),
        ..Device::of("ippeveprinter", peer.uri(), Peer::IppEvePrinter(peer))
    };
    // It answers at every path, and has no operation that sets anything.
    assert_kept_but(
        &judge_device(&device).await,
        &[READ_BACK, SAME_AGAIN, NO_EFFECT, ABSENT],
    );
}

#[tokio::test]
async fn the_ipp_driver_keeps_its_promises_with_lprint_which_says_success_and_does_nothing() {
    let peer = LprintServer::start(&["lab1"]).await.unwrap();
    let location = |value: &str| SettingWrite {
        attribute: "printer-geo-location".to_owned(),
        syntax: IppSyntax::Uri,
        value: Value::Text(value.to_owned()),
    };
    let refusals = vec![
        FailureKind::RejectedValue,
        FailureKind::RejectedNotSettable,
        FailureKind::Unsupported,
    ];
    let device = Device {
        settable: Some((location("geo:1,1"), location("geo:2,2"))),
        ignored: Some(text("printer-location", "Lobby")),
        refused: Some((text("printer-info", "x"), refusals)),
        elsewhere: Some(peer.uri("no-such-queue")),
        ..Device::of("lprint", peer.uri("lab1"), Peer::Lprint(peer))
    };
    assert_kept_but(&judge_device(&device).await, &[]);
}

#[tokio::test]
async fn the_ipp_driver_keeps_its_promises_with_the_system_service_of_lprint() {
    let peer = LprintServer::start(&["lab1"]).await.unwrap();
    let refusals = vec![
        FailureKind::RejectedValue,
        FailureKind::RejectedNotSettable,
        FailureKind::Unsupported,
    ];
    let device = Device {
        operation: IppOperation::SetSystemAttributes,
        settable: Some((
            text("system-location", "Lobby"),
            text("system-location", "Hall"),
        )),
        refused: Some((text("system-make-and-model", "x"), refusals)),
        elsewhere: Some(peer.uri("no-such-queue")),
        ..Device::of(
            "lprint, System Service",
            peer.uri("lab1"),
            Peer::Lprint(peer),
        )
    };
    assert_kept_but(&judge_device(&device).await, &[NO_EFFECT]);
}

#[tokio::test]
async fn the_ipp_driver_keeps_its_promises_with_cupsd_by_set_printer_attributes() {
    let device = cups("cupsd, Set-Printer-Attributes").await;
    let quality = SettingWrite {
        attribute: "print-quality-default".to_owned(),
        syntax: IppSyntax::Enum,
        value: Value::Integer(5),
    };
    let device = Device {
        ignored: Some(quality),
        ..device
    };
    assert_kept_but(&judge_device(&device).await, &[REFUSED]);
}

#[tokio::test]
async fn the_ipp_driver_keeps_its_promises_with_cupsd_by_cups_add_modify_printer() {
    let device = cups("cupsd, CUPS-Add-Modify-Printer").await;
    let device = Device {
        operation: IppOperation::CupsAddModifyPrinter,
        ..device
    };
    assert_kept_but(&judge_device(&device).await, &[NO_EFFECT, REFUSED]);
}

async fn cups(name: &'static str) -> Device {
    let peer = CupsServer::start(&["lab1"]).await.unwrap();
    Device {
        settable: Some((
            text("printer-location", "one"),
            text("printer-location", "two"),
        )),
        elsewhere: Some(peer.uri("no-such-queue")),
        ..Device::of(name, peer.uri("lab1"), Peer::Cups(peer))
    }
}
