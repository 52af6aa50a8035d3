//! The driver of settings distribution servers under the conformance suite of all drivers.

use async_trait::async_trait;
use entente_crds::v1alpha1::{ConnectionSpec, IppSyntax, Protocol};
use entente_domain::protocol::{Manner, Place};
use entente_domain::remote::{DeviceWrite, FailureKind, Value as Wanted};
use entente_domain::secret::Secrets;
use entente_drivers::conformance::{DeviceSubject, SettingWrite, judge_device};
use entente_drivers::{ConnectionProfile, CredentialsValue, DeviceDriver, DeviceTarget, Drivers};
use entente_e2e::peers::SettingsServer;
use entente_simulators::FaultKind;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

use super::{PASSWORD, USER, assert_as_documented, device, judged_server};
use crate::driver_conformance::assert_kept_but;

const LOCATION: &str = "location";
const IGNORED: &str = "ignored";
const LOCKED: &str = "locked";

struct Behind {
    server: Mutex<SettingsServer>,
    url: String,
    drivers: Drivers,
}

fn path(name: &str) -> String {
    format!("/settings/{name}")
}

fn setting(name: &str, value: &str) -> SettingWrite {
    SettingWrite {
        attribute: name.to_owned(),
        syntax: IppSyntax::Text,
        value: Wanted::Text(value.to_owned()),
    }
}

fn profile() -> Arc<ConnectionProfile> {
    let spec = ConnectionSpec {
        protocol: Protocol::HTTP,
        ..ConnectionSpec::default()
    };
    let networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let credentials = CredentialsValue::Basic {
        username: USER.to_owned().into(),
        password: PASSWORD.to_owned().into(),
    };
    let profile = ConnectionProfile::from_spec("hq", &spec, networks, None, Some(credentials));
    let mut profile = profile.expect("a profile");
    profile.request_timeout = Duration::from_secs(2);
    Arc::new(profile)
}

#[async_trait]
impl DeviceSubject for Behind {
    fn name(&self) -> &'static str {
        "settings distribution server"
    }

    fn driver(&self) -> &dyn DeviceDriver {
        self.drivers
            .device(Protocol::HTTP)
            .expect("HTTP has devices")
    }

    fn target(&self) -> DeviceTarget {
        DeviceTarget {
            profile: profile(),
            url: format!("{}/v1/devices/A1", self.url),
            printer_uri: None,
            pinned_certificate: None,
            secrets: Secrets::default(),
        }
    }

    fn identity_place(&self) -> Place {
        Place::Http {
            path: "/uuid".to_owned(),
        }
    }

    fn place(&self, name: &str) -> Place {
        Place::Http { path: path(name) }
    }

    fn write(&self, setting: &SettingWrite) -> DeviceWrite {
        DeviceWrite {
            place: self.place(&setting.attribute),
            manner: Manner::Http,
            value: setting.value.clone(),
        }
    }

    fn settable(&self) -> Option<(SettingWrite, SettingWrite)> {
        Some((setting(LOCATION, "Lobby"), setting(LOCATION, "Cellar")))
    }

    fn accepted_without_effect(&self) -> Option<SettingWrite> {
        Some(setting(IGNORED, "Lobby"))
    }

    fn refused(&self) -> Option<(SettingWrite, Vec<FailureKind>)> {
        let kinds = vec![FailureKind::RejectedNotSettable];
        Some((setting(LOCKED, "Lobby"), kinds))
    }

    fn elsewhere(&self) -> Option<DeviceTarget> {
        let url = format!("{}/v1/devices/B2", self.url);
        Some(DeviceTarget {
            url,
            ..self.target()
        })
    }

    async fn freeze(&self) -> bool {
        self.server.lock().await.freeze().await.is_ok()
    }

    async fn thaw(&self) {
        self.server.lock().await.thaw().await.expect("it goes on");
    }

    async fn stop(&self) -> bool {
        self.server.lock().await.kill().await.is_ok()
    }
}

/// Puts the device of the suite behind a server.
async fn equip(server: &SettingsServer) {
    let settings = [LOCATION, IGNORED, LOCKED].map(path);
    let settings: Vec<_> = settings.iter().map(|it| (it.as_str(), json!(""))).collect();
    let mut device = device("AtOnce", &settings);
    device.read_only = vec![path(LOCKED)];
    server.put_device("A1", &device).await.unwrap();
    let ignores = FaultKind::NotEffective {
        attributes: vec![path(IGNORED)],
    };
    server.set_fault(ignores).await.unwrap();
}

// shows B3 K2
#[tokio::test]
async fn the_driver_keeps_its_promises() {
    for seconds in [None, Some(0.2)] {
        let server = SettingsServer::start(Some((USER, PASSWORD))).await.unwrap();
        equip(&server).await;
        if let Some(seconds) = seconds {
            server.set_delay(seconds).await.unwrap();
        }
        let behind = Behind {
            url: server.url(),
            server: Mutex::new(server),
            drivers: Drivers::real(),
        };
        assert_kept_but(&judge_device(&behind).await, &[]);
    }
}

// shows B3
#[tokio::test]
async fn each_request_of_the_driver_is_as_the_document_says() {
    let (server, prism) = judged_server().await;
    equip(&server).await;
    let behind = Behind {
        url: prism.url(),
        server: Mutex::new(server),
        drivers: Drivers::real(),
    };
    let driver = behind.driver();
    let target = behind.target();
    let words = ["mon", "sun"].map(str::to_owned);
    for value in [
        Wanted::Text("Lobby".to_owned()),
        Wanted::Integer(7),
        Wanted::Boolean(true),
        Wanted::Words(words.into()),
    ] {
        let write = DeviceWrite {
            value,
            ..behind.write(&setting(LOCATION, ""))
        };
        driver.apply(&target, &write).await.unwrap();
    }
    let server = behind.server.lock().await;
    server.set_delay(0.2).await.unwrap();
    let write = behind.write(&setting(LOCATION, "Cellar"));
    driver.apply(&target, &write).await.unwrap();
    let locked = behind.write(&setting(LOCKED, "x"));
    let refused = driver.apply(&target, &locked).await.unwrap_err();
    assert_eq!(
        refused.kind,
        FailureKind::RejectedNotSettable,
        "{refused:?}"
    );
    let questions = server.requests();
    let questions = questions
        .iter()
        .filter(|it| it.path.starts_with("/v1/operations/"));
    assert!(questions.count() > 0, "the operation was asked for");
    assert_as_documented(&prism);
}
