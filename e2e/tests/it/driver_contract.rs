// Draft by the author of the drivers, which ran green against every peer: format, document and include it.
//! The real drivers judged against software that others wrote.
#![allow(clippy::unwrap_used, reason = "tests end at what they did not expect")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entente_crds::v1alpha1::{ConnectionSpec, IppOperation, IppSyntax, Protocol};
use entente_domain::exchange::{FailureKind, SettingWrite, Value};
use entente_drivers::contract_suite::{DeviceSubject, ServerSubject, judge_device, judge_server};
use entente_drivers::{
    ConnectionProfile, CredentialsValue, DeviceDriver, DeviceTarget, Drivers, ServerTarget,
    ServiceDriver,
};
use entente_e2e::peers::*;
use serde_json::{Map, json};
use tokio::sync::Mutex;

fn profile(protocol: Protocol, credentials: Option<CredentialsValue>) -> Arc<ConnectionProfile> {
    let spec = ConnectionSpec {
        protocol,
        ..ConnectionSpec::default()
    };
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let mut profile =
        ConnectionProfile::from_spec("hq", &spec, networks, None, credentials).unwrap();
    profile.request_timeout = Duration::from_secs(3);
    profile.into()
}

fn text(attribute: &str, value: &str) -> SettingWrite {
    SettingWrite {
        attribute: attribute.to_owned(),
        syntax: IppSyntax::Text,
        value: Value::Text(value.to_owned()),
    }
}

enum Peer {
    Eve(IppEvePrinter),
    Lprint(LprintServer),
    Cups(CupsServer),
}
macro_rules! each {
    ($self:expr, $p:ident => $e:expr) => {
        match &*$self.peer.lock().await {
            Peer::Eve($p) => $e,
            Peer::Lprint($p) => $e,
            Peer::Cups($p) => $e,
        }
    };
}
macro_rules! each_mut {
    ($self:expr, $p:ident => $e:expr) => {
        match &mut *$self.peer.lock().await {
            Peer::Eve($p) => $e,
            Peer::Lprint($p) => $e,
            Peer::Cups($p) => $e,
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

#[async_trait]
impl DeviceSubject for Device {
    fn name(&self) -> &str {
        self.name
    }
    fn driver(&self) -> &dyn DeviceDriver {
        self.drivers.device(Protocol::IPP).unwrap()
    }
    fn target(&self) -> DeviceTarget {
        DeviceTarget {
            profile: profile(Protocol::IPP, None),
            url: self.uri.clone(),
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
        self.elsewhere.clone().map(|url| DeviceTarget {
            url,
            ..self.target()
        })
    }
    async fn freeze(&self) -> bool {
        each!(self, p => p.freeze().await).is_ok()
    }
    async fn thaw(&self) {
        each!(self, p => p.thaw().await).unwrap();
    }
    async fn stop(&self) -> bool {
        each_mut!(self, p => p.kill().await).is_ok()
    }
}

#[tokio::test]
async fn eve() {
    let peer = IppEvePrinter::start(IppEvePrinterOptions::default())
        .await
        .unwrap();
    let uri = peer.uri();
    let device = Device {
        name: "ippeveprinter",
        uri: uri.clone(),
        peer: Mutex::new(Peer::Eve(peer)),
        drivers: Drivers::real(),
        operation: IppOperation::SetPrinterAttributes,
        settable: None,
        ignored: None,
        refused: Some((
            text("printer-location", "x"),
            vec![FailureKind::Unsupported],
        )),
        elsewhere: None,
    };
    let report = judge_device(&device).await;
    eprintln!("{report}");
    report.assert_kept();
}

#[tokio::test]
async fn lprint() {
    let peer = LprintServer::start(&["lab1"]).await.unwrap();
    let uri = peer.uri("lab1");
    let other = peer.uri("nope");
    let geo = |v: &str| SettingWrite {
        attribute: "printer-geo-location".into(),
        syntax: IppSyntax::Uri,
        value: Value::Text(v.into()),
    };
    let device = Device {
        name: "lprint",
        uri,
        peer: Mutex::new(Peer::Lprint(peer)),
        drivers: Drivers::real(),
        operation: IppOperation::SetPrinterAttributes,
        settable: Some((geo("geo:1,1"), geo("geo:2,2"))),
        ignored: Some(text("printer-location", "Lobby")),
        refused: Some((
            text("printer-info", "x"),
            vec![
                FailureKind::RejectedValue,
                FailureKind::RejectedNotSettable,
                FailureKind::Unsupported,
            ],
        )),
        elsewhere: Some(other),
    };
    let report = judge_device(&device).await;
    eprintln!("{report}");
    report.assert_kept();
}

#[tokio::test]
async fn cups() {
    for operation in [
        IppOperation::SetPrinterAttributes,
        IppOperation::CupsAddModifyPrinter,
    ] {
        let peer = CupsServer::start(&["q1"]).await.unwrap();
        let uri = peer.uri("q1");
        let other = peer.uri("nope");
        let ignored = (operation == IppOperation::SetPrinterAttributes).then(|| SettingWrite {
            attribute: "print-quality-default".into(),
            syntax: IppSyntax::Enum,
            value: Value::Integer(5),
        });
        let device = Device {
            name: "cupsd",
            uri,
            peer: Mutex::new(Peer::Cups(peer)),
            drivers: Drivers::real(),
            operation,
            settable: Some((
                text("printer-location", "one"),
                text("printer-location", "two"),
            )),
            ignored,
            refused: None,
            elsewhere: Some(other),
        };
        let report = judge_device(&device).await;
        eprintln!("{operation:?} {report}");
        report.assert_kept();
    }
}

struct Broker {
    broker: Mutex<OpenBroker>,
    url: String,
    drivers: Drivers,
    offering: (String, String),
}
#[async_trait]
impl ServerSubject for Broker {
    fn name(&self) -> &str {
        "openbrokerapi"
    }
    fn driver(&self) -> &dyn ServiceDriver {
        self.drivers.service()
    }
    fn target(&self) -> ServerTarget {
        ServerTarget {
            profile: profile(
                Protocol::OSB,
                Some(CredentialsValue::Basic {
                    username: "op".to_owned().into(),
                    password: "open sesame".to_owned().into(),
                }),
            ),
            url: self.url.clone(),
        }
    }
    fn offering(&self) -> (String, String) {
        self.offering.clone()
    }
    fn parameters(
        &self,
    ) -> (
        Map<String, serde_json::Value>,
        Map<String, serde_json::Value>,
    ) {
        let of = |weekday: &str| json!({"weekday": weekday}).as_object().unwrap().clone();
        (of("Wed"), of("Sun"))
    }
    async fn freeze(&self) -> bool {
        self.broker.lock().await.freeze().await.is_ok()
    }
    async fn thaw(&self) {
        self.broker.lock().await.thaw().await.unwrap();
    }
    async fn stop(&self) -> bool {
        self.broker.lock().await.kill().await.is_ok()
    }
}

#[tokio::test]
async fn broker() {
    for mode in [Mode::sync(), Mode::asynchronous(2)] {
        let broker = OpenBroker::start(OpenBrokerOptions {
            credentials: Some(("op".into(), "open sesame".into())),
        })
        .await
        .unwrap();
        broker.set_mode(&mode).await.unwrap();
        let url = broker.url();
        let mut subject = Broker {
            broker: Mutex::new(broker),
            url,
            drivers: Drivers::real(),
            offering: Default::default(),
        };
        let catalogue = subject.driver().catalogue(&subject.target()).await.unwrap();
        let offering = catalogue
            .offerings
            .iter()
            .find(|o| o.name == "data-backup")
            .unwrap();
        subject.offering = (offering.id.clone(), offering.plans[0].id.clone());
        let report = judge_server(&subject).await;
        eprintln!("{mode:?} {report}");
        report.assert_kept();
    }
}

#[tokio::test]
async fn eve_tls() {
    use entente_domain::exchange::DeviceReadRequest;
    use entente_drivers::TrustProfile;
    let peer = IppEvePrinter::start(IppEvePrinterOptions::default()).await.unwrap();
    let url = peer.uri().replace("ipp://", "ipps://");
    let mut p = (*profile(Protocol::IPP, None)).clone();
    p.trust = TrustProfile::FirstUse;
    let drivers = Drivers::real();
    let d = drivers.device(Protocol::IPP).unwrap();
    let req = DeviceReadRequest { identity_attribute: "printer-uuid".into(), ..Default::default() };
    let mut target = DeviceTarget { profile: p.clone().into(), url, pinned_certificate: None };
    let r = d.observe(&target, &req).await; eprintln!("TLS first: {r:?}");
    let pin = r.unwrap().certificate_sha256; target.pinned_certificate = pin;
    eprintln!("TLS pinned: {:?}", d.observe(&target, &req).await.is_ok());
    p.trust = TrustProfile::Pin; target.profile = p.clone().into();
    eprintln!("TLS pin: {:?}", d.observe(&target, &req).await.is_ok());
    target.pinned_certificate = Some("00".repeat(32));
    eprintln!("TLS other: {:?}", d.observe(&target, &req).await);
    p.trust = TrustProfile::Verify { ca_pem: None }; target.profile = p.into();
    eprintln!("TLS verify: {:?}", d.observe(&target, &req).await);
}
