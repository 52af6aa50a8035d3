//! The Open Service Broker driver against a broker on `openbrokerapi`.

use async_trait::async_trait;
use entente_crds::v1alpha1::Protocol;
use entente_drivers::conformance::{ServerSubject, judge_server};
use entente_drivers::{CredentialsValue, Drivers, ServerTarget, ServiceDriver};
use entente_e2e::peers::{OpenBroker, OpenBrokerOptions};
use entente_simulators::Mode;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::{REFUSED_PARAMETERS, assert_kept_but, profile};

const USER: &str = "entente";
const PASSWORD: &str = "open sesame";

struct Server {
    broker: Mutex<OpenBroker>,
    target: ServerTarget,
    drivers: Drivers,
    offering: (String, String),
}

impl Server {
    async fn start(mode: Mode) -> Self {
        let credentials = Some((USER.to_owned(), PASSWORD.to_owned()));
        let broker = OpenBroker::start(OpenBrokerOptions { credentials })
            .await
            .unwrap();
        broker.set_mode(mode).await.unwrap();
        let login = CredentialsValue::Basic {
            username: USER.to_owned().into(),
            password: PASSWORD.to_owned().into(),
        };
        let target = ServerTarget {
            secrets: entente_domain::secret::Secrets::default(),
            profile: profile(Protocol::OSB, Some(login)),
            url: broker.url(),
        };
        let drivers = Drivers::real();
        let offering = offering(&drivers, &target).await;
        Self {
            broker: Mutex::new(broker),
            target,
            drivers,
            offering,
        }
    }
}

/// Returns the ids behind the names, which only the broker knows.
pub(super) async fn offering(drivers: &Drivers, target: &ServerTarget) -> (String, String) {
    let catalog = drivers.service().catalog(target).await.unwrap();
    let named = |name: &str| {
        catalog
            .offerings
            .iter()
            .find(|offering| offering.name == name)
    };
    let offering = named("data-backup").expect("the broker offers it");
    (offering.id.clone(), offering.plans[0].id.clone())
}

/// Returns two sets of parameters of one shape.
pub(super) fn parameters() -> (Map<String, Value>, Map<String, Value>) {
    let of = |weekday: &str| Map::from_iter([("weekday".to_owned(), weekday.into())]);
    (of("Wed"), of("Sun"))
}

#[async_trait]
impl ServerSubject for Server {
    fn name(&self) -> &'static str {
        "openbrokerapi"
    }

    fn driver(&self) -> &dyn ServiceDriver {
        self.drivers.service()
    }

    fn target(&self) -> ServerTarget {
        self.target.clone()
    }

    fn offering(&self) -> (String, String) {
        self.offering.clone()
    }

    fn parameters(&self) -> (Map<String, Value>, Map<String, Value>) {
        parameters()
    }

    async fn freeze(&self) -> bool {
        self.broker.lock().await.freeze().await.is_ok()
    }

    async fn thaw(&self) {
        self.broker.lock().await.thaw().await.expect("it goes on");
    }

    async fn stop(&self) -> bool {
        self.broker.lock().await.kill().await.is_ok()
    }
}

#[tokio::test]
async fn the_osb_driver_keeps_its_promises_with_a_broker_that_does_all_at_once() {
    let report = judge_server(&Server::start(Mode::Sync).await).await;
    assert_kept_but(&report, &[REFUSED_PARAMETERS]);
}

#[tokio::test]
async fn the_osb_driver_keeps_its_promises_with_a_broker_that_takes_its_time() {
    let mode = Mode::Async {
        polls: 2,
        milliseconds: 0,
    };
    let report = judge_server(&Server::start(mode).await).await;
    assert_kept_but(&report, &[REFUSED_PARAMETERS]);
}
