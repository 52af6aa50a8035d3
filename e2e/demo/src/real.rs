//! The demo's peers as software we did not write: cupsd for the good devices and the one that is
//! off, lprint for the one whose setting never takes effect, openbrokerapi as the service broker. Called by `peers`.
//!
//! lprint accepts printer-location without effect. No restart cures that: the model was wrong, and
//! is corrected to printer-geo-location, which lprint sets.

use std::collections::HashMap;

use entente_crds::v1alpha1::{
    AgentSetting, Connection, DeviceConnection, DeviceModel, DeviceSetting, IppOperation,
    IppSetting, IppSyntax, Limit, Limits, ServiceModel, SmartService, ValueType, Via,
    WantedSetting,
};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::peers::ipp_client::IppClient;
use entente_e2e::peers::{CupsServer, LprintServer, OpenBroker, OpenBrokerOptions, PeerError};
use jiff::Timestamp;

use super::DemoError;
use super::device::{Behaviour, names};
use super::peers::{Catalogue, LedgerFacts};

const LOOPBACK: &str = "127.0.0.1";
const SETTING: &str = "backup.place";
/// A place that is a valid text and a valid uri, as the two attributes want it.
const PLACE: &str = "geo:-23.5613,-46.6560";

/// The real peers.
pub(super) struct Real {
    good: CupsServer,
    off: CupsServer,
    lprint: LprintServer,
    broker: OpenBroker,
    /// printer-make-and-model of the queues of cupsd and of lprint.
    models: [String; 2],
}

impl Real {
    pub(super) async fn start() -> Result<Self, DemoError> {
        let failed = |source| DemoError::Peer { source };
        let queues = |behaviour| names(behaviour).collect::<Vec<_>>();
        let good = CupsServer::start(&queues(Behaviour::Good))
            .await
            .map_err(failed)?;
        let mut off = CupsServer::start(&queues(Behaviour::Offline))
            .await
            .map_err(failed)?;
        let lprint = LprintServer::start(&queues(Behaviour::NotEffective))
            .await
            .map_err(failed)?;
        let options = OpenBrokerOptions::default();
        let broker = OpenBroker::start(options).await.map_err(failed)?;
        let models = [
            product(&good.uri(first(Behaviour::Good))).await?,
            product(&lprint.uri(first(Behaviour::NotEffective))).await?,
        ];
        off.kill().await.map_err(failed)?;
        Ok(Self {
            good,
            off,
            lprint,
            broker,
            models,
        })
    }

    pub(super) fn catalogue(&self, namespace: &TestNamespace<'_>) -> Catalogue {
        let cups =
            |server: &CupsServer| format!("ipp://{{address}}:{}/printers/{{queue}}", server.port());
        let lprint = format!(
            "ipp://{{address}}:{}/ipp/print/{{queue}}",
            self.lprint.port()
        );
        let connections = vec![
            several_queues(namespace.ipp_connection("cups", &cups(&self.good))),
            namespace.ipp_connection("cups-off", &cups(&self.off)),
            namespace.ipp_connection("lprint", &lprint),
            namespace.broker_connection(&self.broker.url()),
        ];
        let on = |behaviour, connection: &'static str, model: &'static str| {
            names(behaviour).map(move |name| (name, connection, model))
        };
        let devices = on(Behaviour::Good, "cups", "queue")
            .chain(on(Behaviour::NotEffective, "lprint", "label-printer"))
            .chain(on(Behaviour::Offline, "cups-off", "queue"))
            .map(|(name, connection, model)| {
                let mut device = namespace.device_at(name, LOOPBACK, &format!("NW-{name}"));
                device.spec.model_ref = namespace.reference(model);
                device.spec.connections = vec![DeviceConnection {
                    name: namespace.named(connection),
                    queue: Some(name.to_owned()),
                    ..DeviceConnection::default()
                }];
                device
            });
        Catalogue {
            connections,
            models: vec![
                model(
                    namespace,
                    "queue",
                    &self.models[0],
                    "printer-location",
                    IppSyntax::Text,
                ),
                self.label_printer(namespace, "printer-location", IppSyntax::Text),
                calling_model(namespace),
            ],
            texts: Vec::new(),
            service: service(namespace),
            devices: devices.collect(),
        }
    }

    fn label_printer(
        &self,
        namespace: &TestNamespace<'_>,
        attribute: &str,
        syntax: IppSyntax,
    ) -> DeviceModel {
        model(
            namespace,
            "label-printer",
            &self.models[1],
            attribute,
            syntax,
        )
    }

    pub(super) async fn mend(
        &mut self,
        behaviour: Behaviour,
        namespace: &TestNamespace<'_>,
    ) -> Result<&'static str, DemoError> {
        match behaviour {
            Behaviour::Good | Behaviour::Calls => Ok("was good all the time."),
            Behaviour::NotEffective => {
                let corrected =
                    self.label_printer(namespace, "printer-geo-location", IppSyntax::Uri);
                let applied = namespace.apply(&corrected).await;
                applied.map_err(|source| DemoError::Namespace { source })?;
                Ok("has its DeviceModel corrected to printer-geo-location, which lprint takes.")
            }
            Behaviour::Offline => {
                let started = self.off.start_again().await;
                started.map_err(|source| DemoError::Peer { source })?;
                Ok("is switched on: its cupsd runs again.")
            }
        }
    }

    /// Returns the facts in the broker's own ledger; cupsd and lprint keep none.
    pub(super) async fn ledger(&self, start: Timestamp) -> Result<LedgerFacts, DemoError> {
        let failed = |source: PeerError| DemoError::Peer { source };
        let entries = self.broker.ledger().await.map_err(failed)?;
        let mut facts = LedgerFacts {
            about: "from the broker's ledger; cupsd and lprint keep none",
            ..LedgerFacts::default()
        };
        let mut carried_out: HashMap<&str, &str> = HashMap::new();
        for entry in &entries {
            let probe = entry.path.ends_with("/v2/catalog");
            match (entry.at < start, probe) {
                (true, true) => facts.probes_before += 1,
                (true, false) => facts.others_before += 1,
                (false, _) => {}
            }
            if entry.method != "GET" {
                facts.writes += 1;
                let taken = entry.status.is_none_or(|status| status < 300);
                let before = carried_out.insert(&entry.path, &entry.body_sha256);
                if taken && before == Some(entry.body_sha256.as_str()) {
                    facts.duplicates += 1;
                }
            }
        }
        Ok(facts)
    }
}

/// Four of the devices are queues of one host, which the default of one request at a time is not
/// meant for.
fn several_queues(mut connection: Connection) -> Connection {
    connection.spec.limits = Some(Limits {
        per_host: Some(Limit {
            in_flight: 4,
            per_second: 100,
        }),
        total: None,
    });
    connection
}

fn first(behaviour: Behaviour) -> &'static str {
    names(behaviour)
        .next()
        .expect("every behaviour has a device")
}

async fn product(uri: &str) -> Result<String, DemoError> {
    let answer = IppClient::new().get(uri, &["printer-make-and-model"]).await;
    answer
        .ok()
        .and_then(|answer| answer.text("printer-make-and-model"))
        .ok_or_else(|| DemoError::Model {
            uri: uri.to_owned(),
        })
}

fn model(
    namespace: &TestNamespace<'_>,
    name: &str,
    product: &str,
    attribute: &str,
    syntax: IppSyntax,
) -> DeviceModel {
    let setting = DeviceSetting {
        name: SETTING.to_owned(),
        r#type: ValueType::String,
        max_length: Some(127),
        via: Via {
            ipp: Some(IppSetting {
                attribute: attribute.to_owned(),
                syntax,
                operation: IppOperation::SetPrinterAttributes,
            }),
            ..Via::default()
        },
        ..DeviceSetting::default()
    };
    namespace.model_of(name, product, setting)
}

/// Returns the model of the device that calls, which takes the setting by the gateway.
fn calling_model(namespace: &TestNamespace<'_>) -> DeviceModel {
    let mut model = namespace.model();
    let agent = AgentSetting {
        key: SETTING.to_owned(),
    };
    model.spec.settings = vec![DeviceSetting {
        name: SETTING.to_owned(),
        r#type: ValueType::String,
        max_length: Some(127),
        via: Via {
            agent: Some(agent),
            ..Via::default()
        },
        ..DeviceSetting::default()
    }];
    model
}

/// Returns the example service, with the one setting that all these devices can have.
fn service(namespace: &TestNamespace<'_>) -> SmartService {
    let mut service = namespace.backup();
    if let Some(device) = &mut service.spec.device {
        device.models = ["queue", "label-printer", "mfp-500"]
            .map(|model| ServiceModel {
                name: namespace.named(model),
                ..ServiceModel::default()
            })
            .to_vec();
        device.settings = vec![WantedSetting {
            name: SETTING.to_owned(),
            value: Some(PLACE.to_owned()),
            ..WantedSetting::default()
        }];
    }
    service
}
