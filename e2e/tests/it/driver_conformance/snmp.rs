//! The SNMP driver against `snmpd` of net-snmp.

use std::collections::BTreeMap;

use async_trait::async_trait;
use entente_crds::v1alpha1::{
    ConnectionSpec, CredentialsType, IppSyntax, Protocol, SnmpEndpoint, SnmpType, SnmpVersion,
};
use entente_domain::protocol::{Manner, Place};
use entente_domain::remote::{
    DeviceWrite, DisplayRequest, FailureKind, FaultSource, FaultySupply, ReportedFault, Value,
};
use entente_drivers::conformance::{DeviceSubject, SettingWrite, judge_device};
use entente_drivers::{ConnectionProfile, CredentialsValue, DeviceDriver, DeviceTarget, Drivers};
use entente_e2e::peers::{Override, Snmpd, SnmpdLogin};
use tokio::sync::Mutex;

use super::{ABSENT, NO_EFFECT, REQUEST, assert_kept_but};

const LOCATION: &str = "1.3.6.1.2.1.1.6.0";
const SERIAL_NUMBER: &str = "1.3.6.1.2.1.43.5.1.1.17.1";
const LINE: &str = "1.3.6.1.2.1.43.16.5.1.2.1.";

/// Returns the Secret of a login, with changes.
fn credentials(login: SnmpdLogin, changes: &[(&str, &str)]) -> CredentialsValue {
    let own = login.secret();
    let data: BTreeMap<String, Vec<u8>> = own
        .iter()
        .chain(changes)
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    CredentialsValue::from_secret(CredentialsType::SNMPv3, &data).unwrap()
}

fn target(
    agent: &Snmpd,
    version: SnmpVersion,
    credentials: Option<CredentialsValue>,
) -> DeviceTarget {
    let port = agent.port();
    let spec = ConnectionSpec {
        protocol: Protocol::SNMP,
        snmp: Some(SnmpEndpoint {
            port: port.into(),
            version,
        }),
        ..ConnectionSpec::default()
    };
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let mut profile =
        ConnectionProfile::from_spec("hq", &spec, networks, None, credentials).unwrap();
    profile.request_timeout = REQUEST;
    DeviceTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile: profile.into(),
        url: format!("snmp://127.0.0.1:{port}"),
        printer_uri: None,
        pinned_certificate: None,
    }
}

fn place(oid: &str) -> Place {
    Place::Snmp {
        oid: oid.to_owned(),
        r#type: SnmpType::OctetString,
    }
}

fn setting(oid: &str, value: &str) -> SettingWrite {
    SettingWrite {
        attribute: oid.to_owned(),
        syntax: IppSyntax::Text,
        value: Value::Text(value.to_owned()),
    }
}

fn write(oid: &str, value: &str) -> DeviceWrite {
    DeviceWrite {
        place: place(oid),
        manner: Manner::Snmp,
        value: Value::Text(value.to_owned()),
    }
}

struct Agent {
    name: &'static str,
    snmpd: Mutex<Snmpd>,
    target: DeviceTarget,
    drivers: Drivers,
}

#[async_trait]
impl DeviceSubject for Agent {
    fn name(&self) -> &str {
        self.name
    }

    fn driver(&self) -> &dyn DeviceDriver {
        let driver = self.drivers.device(Protocol::SNMP);
        driver.expect("SNMP has devices")
    }

    fn target(&self) -> DeviceTarget {
        self.target.clone()
    }

    fn place(&self, name: &str) -> Place {
        // A name that is no OID is one that no device has.
        let is_oid = name.starts_with("1.3.");
        place(if is_oid {
            name
        } else {
            "1.3.6.1.4.1.99999.1.0"
        })
    }

    fn identity_place(&self) -> Place {
        place(SERIAL_NUMBER)
    }

    fn write(&self, setting: &SettingWrite) -> DeviceWrite {
        DeviceWrite {
            value: setting.value.clone(),
            ..write(&setting.attribute, "")
        }
    }

    fn settable(&self) -> Option<(SettingWrite, SettingWrite)> {
        Some((setting(LOCATION, "Lobby"), setting(LOCATION, "Büro 3")))
    }

    fn refused(&self) -> Option<(SettingWrite, Vec<FailureKind>)> {
        let kinds = vec![FailureKind::RejectedNotSettable];
        Some((setting(SERIAL_NUMBER, "another"), kinds))
    }

    async fn freeze(&self) -> bool {
        self.snmpd.lock().await.freeze().await.is_ok()
    }

    async fn thaw(&self) {
        self.snmpd.lock().await.thaw().await.expect("it goes on");
    }

    async fn stop(&self) -> bool {
        self.snmpd.lock().await.kill().await.is_ok()
    }
}

// shows B3 D1 K4
#[tokio::test]
async fn the_snmp_driver_keeps_its_promises_with_snmpd() {
    for (name, login) in [
        ("snmpd, SHA-256 and AES-128", SnmpdLogin::OPERATOR),
        ("snmpd, SHA-512 and AES-128", SnmpdLogin::OPERATOR_SHA_512),
    ] {
        let agent = Snmpd::start(&[]).await.unwrap();
        let login = credentials(login, &[]);
        let subject = Agent {
            name,
            target: target(&agent, SnmpVersion::V3, Some(login)),
            snmpd: Mutex::new(agent),
            drivers: Drivers::real(),
        };
        let report = judge_device(&subject).await;
        assert_kept_but(&report, &[NO_EFFECT, ABSENT]);
    }
}

// shows K4
#[tokio::test]
async fn a_login_that_the_agent_refuses_is_told_without_its_words() {
    let agent = Snmpd::start(&[]).await.unwrap();
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::SNMP).unwrap();
    let login = |changes: &[(&str, &str)]| Some(credentials(SnmpdLogin::OPERATOR, changes));
    for (login, said) in [
        (
            login(&[("username", "nobody-there")]),
            "does not know the user",
        ),
        (
            login(&[("authPassword", "a wrong password")]),
            "refuses authPassword",
        ),
        (
            login(&[("authProtocol", "SHA-384")]),
            "refuses authPassword",
        ),
        (None, "there is no login"),
    ] {
        let target = target(&agent, SnmpVersion::V3, login);
        let failure = driver
            .apply(&target, &write(LOCATION, "x"))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
        assert!(failure.message.contains(said), "{failure:?}");
        assert!(!failure.message.contains("password") || !failure.message.contains("wrong p"));
        assert!(!failure.doubtful, "{failure:?}");
    }
    let reader = Some(credentials(SnmpdLogin::READER, &[]));
    let target = target(&agent, SnmpVersion::V3, reader);
    let failure = driver
        .apply(&target, &write(LOCATION, "x"))
        .await
        .unwrap_err();
    assert_eq!(
        failure.kind,
        FailureKind::RejectedNotSettable,
        "{failure:?}"
    );
    assert_eq!(
        agent.get(LOCATION).await.unwrap(),
        "Unknown",
        "nothing was written"
    );
}

// shows K4
#[tokio::test]
async fn by_version_2c_a_device_is_read_and_never_written() {
    let agent = Snmpd::start(&printer()).await.unwrap();
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::SNMP).unwrap();
    let target = target(&agent, SnmpVersion::V2C, None);
    let report = driver.status(&target, &place(SERIAL_NUMBER)).await.unwrap();
    assert_eq!(report.identity, Some(agent.serial_number()));
    let lines = vec!["PO-88123".to_owned()];
    let refused = [
        driver.apply(&target, &write(LOCATION, "x")).await,
        driver.display(&target, &DisplayRequest { lines }).await,
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind, FailureKind::Unsupported);
    }
}

/// Returns the objects of a printer whose black toner is empty, with a Japanese panel of two lines.
fn printer() -> Vec<Override> {
    let object = |name: &str| format!("1.3.6.1.2.1.43.{name}");
    let number = |name: &str, value| Override::number(&object(name), value);
    let words = |name: &str, value| Override::text(&object(name), value);
    let line = |line: &str, value| Override::text(&format!("{LINE}{line}"), value).writable();
    vec![
        number("5.1.1.10.1", 1),
        number("5.1.1.12.1", 20),
        words("7.1.1.2.1.1", "ja"),
        number("7.1.1.4.1.1", 17),
        number("11.1.1.3.1.1", 1),
        number("11.1.1.4.1.1", 3),
        number("11.1.1.5.1.1", 3),
        number("11.1.1.8.1.1", 100),
        number("11.1.1.9.1.1", 0),
        words("12.1.1.4.1.1", "black"),
        line("1", "Ready"),
        line("2", ""),
        number("18.1.1.2.1.1", 3),
        number("18.1.1.4.1.1", 11),
        number("18.1.1.5.1.1", 1),
        number("18.1.1.7.1.1", 1101),
    ]
}

// shows A2
#[tokio::test]
async fn the_status_of_snmpd_names_the_supply_and_its_panel_shows_what_was_sent() {
    let agent = Snmpd::start(&printer()).await.unwrap();
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::SNMP).unwrap();
    let login = credentials(SnmpdLogin::OPERATOR, &[]);
    let target = target(&agent, SnmpVersion::V3, Some(login));
    let report = driver.status(&target, &place(SERIAL_NUMBER)).await.unwrap();
    let empty = ReportedFault {
        supply: Some(FaultySupply::Row(1)),
        ..ReportedFault::named(FaultSource::Alert, "markerTonerEmpty")
    };
    assert_eq!(report.faults, [empty]);
    assert_eq!(report.supplies[0].colorant.as_deref(), Some("black"));
    assert_eq!(report.language.as_deref(), Some("ja"));

    let lines = ["注文番号", "PO-88123"].map(str::to_owned).to_vec();
    let request = DisplayRequest {
        lines: lines.clone(),
    };
    driver.display(&target, &request).await.unwrap();
    let shown = agent.get(&format!("{LINE}2")).await.unwrap();
    assert_eq!(shown, "PO-88123", "the person reads it");
    let report = driver.status(&target, &place(SERIAL_NUMBER)).await.unwrap();
    let panel = report.panel.unwrap();
    assert_eq!(
        (panel.columns, panel.lines, panel.is_ascii),
        (Some(20), Some(2), false)
    );
    assert_eq!(panel.shown, Some(lines));

    for (lines, said) in [
        (vec!["a", "b", "c"], "has 2 lines, and 3"),
        (vec!["🖨"], "lacks a character"),
    ] {
        let lines = lines.into_iter().map(str::to_owned).collect();
        let failure = driver
            .display(&target, &DisplayRequest { lines })
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::RejectedValue);
        assert!(failure.message.contains(said), "{failure:?}");
    }
}
