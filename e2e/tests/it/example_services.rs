//! The example services, from the files of `examples/services/`: every option reaches the device or
//! the broker and is read there, one that is changed is written alone, and a service without a
//! server part reaches no server.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{
    Connection, Contract, Device, DeviceModel, ServiceSubscription, SmartService, Term,
};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::{
    Broker, BrokerOptions, Cause, FleetOptions, IppFleet, ParameterUpdate, PeerKind,
};
use kube::ResourceExt as _;
use serde_json::{Value as Json, json};

use crate::delivery_fixture::{brief, contract_is, test_namespace};

/// The objects of one file of `examples/services/`.
fn documents(file: &str) -> Vec<Json> {
    let path = format!("{}/../examples/services/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the example exists");
    entente_crds::yaml::read_all(&text).expect("the example is YAML")
}

/// The devices, models, services and contract of the example, at simulated peers.
struct ExampleServices {
    namespace: TestNamespace<'static>,
    fleets: [IppFleet; 2],
    broker: Broker,
    models: Vec<DeviceModel>,
    devices: Vec<Device>,
    contract: Contract,
}

impl ExampleServices {
    /// Applies all of the example but the contract, whose term begins now.
    async fn new(title: &str) -> Self {
        let namespace = test_namespace(title).await;
        let large = FleetOptions {
            names: vec!["head-office-1".to_owned(), "head-office-2".to_owned()],
            ..FleetOptions::of_product("Northwind MFP 700", 2)
        };
        let large = namespace.fleet_of(large).await.unwrap();
        let small = FleetOptions {
            names: vec!["warehouse-1".to_owned()],
            port: large.port(),
            ..FleetOptions::of_product("Southwind MFP 320", 1)
        };
        let small = namespace.fleet_of(small).await.unwrap();
        for (fleet, attribute) in [
            (&large, "nw-backup-last-run"),
            (&small, "sw-backup-last-run"),
        ] {
            let made = [(attribute.to_owned(), json!("ok"))].into();
            for device in fleet.devices() {
                device.set_attributes(&made).unwrap();
            }
        }
        let merging = BrokerOptions {
            parameter_update: ParameterUpdate::Merge,
            ..BrokerOptions::default()
        };
        let broker = Broker::start(merging, namespace.ledger().clone());
        let mut contract: Contract =
            serde_json::from_value(documents("3-contract.yaml").remove(0)).unwrap();
        contract.metadata.namespace = Some(namespace.name().to_owned());
        contract.spec.term = Term {
            start_time: Some(now().to_string()),
            time_zone: contract.spec.term.time_zone,
            ..Term::default()
        };
        for entry in &mut contract.spec.services {
            entry.service_ref = namespace.reference(&entry.service_ref.name);
        }
        let mut example = Self {
            broker: broker.await.unwrap(),
            fleets: [large, small],
            models: Vec::new(),
            devices: Vec::new(),
            namespace,
            contract,
        };
        example.apply_catalogue().await;
        example.apply_devices().await;
        example
    }

    async fn apply_catalogue(&mut self) {
        let namespace = &self.namespace;
        let devices = namespace.device_connection(self.fleets[0].port());
        namespace.apply::<Connection>(&devices).await.unwrap();
        let broker = namespace.broker_connection(&self.broker.url());
        namespace.apply::<Connection>(&broker).await.unwrap();
        for document in documents("1-catalogue.yaml") {
            if document["kind"] == "DeviceModel" {
                let mut model: DeviceModel = serde_json::from_value(document).unwrap();
                model.metadata.name = Some(namespace.named(&model.name_any()));
                let model = namespace.labelled(model);
                namespace.apply(&model).await.unwrap();
                self.models.push(model);
                continue;
            }
            let mut service: SmartService = serde_json::from_value(document).unwrap();
            service.metadata.name = Some(namespace.named(&service.name_any()));
            if let Some(server) = &mut service.spec.server {
                server.connection_ref = namespace.reference("broker");
            }
            if let Some(device) = &mut service.spec.device {
                for model in &mut device.models {
                    model.name = namespace.reference(&model.name).name;
                }
            }
            namespace.apply(&namespace.labelled(service)).await.unwrap();
        }
    }

    async fn apply_devices(&mut self) {
        for document in documents("2-devices.yaml") {
            let mut device: Device = serde_json::from_value(document).unwrap();
            let simulated = self.simulated(&device.name_any());
            device.spec.address = Some(simulated.address().ip().to_string());
            device.spec.serial_number = simulated.serial_number();
            device.spec.model_ref = self.namespace.reference(&device.spec.model_ref.name);
            device.spec.connections[0].name = self.namespace.named("devices");
            device.metadata.namespace = Some(self.namespace.name().to_owned());
            self.namespace.apply(&device).await.unwrap();
            self.devices.push(device);
        }
    }

    fn simulated(&self, name: &str) -> &entente_simulators::Device {
        let mut fleets = self.fleets.iter();
        fleets.find_map(|fleet| fleet.device(name)).unwrap()
    }

    /// Returns every setting of the device's model with the value that the device has.
    fn on_device(&self, device: &Device) -> BTreeMap<String, Json> {
        let simulated = self.simulated(&device.name_any());
        let mut models = self.models.iter();
        let model = models.find(|it| it.name_any() == device.spec.model_ref.name);
        let settings = &model.expect("its model was applied").spec.settings;
        let value = |attribute: &str| simulated.attribute(attribute).unwrap_or(Json::Null);
        settings
            .iter()
            .map(|it| {
                (
                    it.name.clone(),
                    value(&it.via.ipp.as_ref().unwrap().attribute),
                )
            })
            .collect()
    }

    /// Returns the parameters of every instance, by the entry and device that it is for.
    async fn at_broker(&self) -> BTreeMap<String, Json> {
        let subscriptions = self.namespace.list::<ServiceSubscription>().await;
        let instance = |it: &ServiceSubscription| {
            let server = it.status.as_ref()?.server.as_ref()?;
            let found = self.broker.instance(&server.instance_id)?;
            let key = format!("{} {}", it.spec.service_name, it.spec.device_ref.name);
            Some((key, found.parameters))
        };
        subscriptions.iter().filter_map(instance).collect()
    }

    /// Waits until every setting of every device and every parameter of every instance is as wanted.
    async fn is_in_effect(&self, wanted: &Wanted) {
        let name = self.contract.name_any();
        let mut found = (Vec::new(), BTreeMap::new());
        let seen = self.namespace.soon("all is in effect", async || {
            let contract = self.namespace.read_contract(&name).await?;
            let seen = contract.status.as_ref()?.observed_generation;
            let is_current = seen == contract.metadata.generation && contract.is("Delivered");
            let devices = self.devices.iter().map(|it| self.on_device(it)).collect();
            found = (devices, self.at_broker().await);
            (is_current && found == wanted.of(self)).then_some(())
        });
        let seen = seen.await;
        if let Err(late) = seen {
            let (wanted, late) = (wanted.of(self), late.to_string());
            panic!("found {found:#?}\nwanted {wanted:#?}\n{late}");
        }
    }

    /// Returns each value that was written since then: peer, name and value.
    fn written_since(&self, sequence: u64) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in self.namespace.ledger().entries_since(sequence) {
            if !entry.write || entry.cause != Cause::Request {
                continue;
            }
            for attribute in &entry.attributes {
                let value = attribute.value.as_deref().unwrap_or_default();
                match (entry.peer, attribute.name.strip_prefix("/parameters")) {
                    (PeerKind::Broker, Some(name)) => lines.push(format!("broker {name}={value}")),
                    (PeerKind::Broker, None) => {}
                    (PeerKind::Device, _) => {
                        lines.push(format!("{} {}={value}", entry.name, attribute.name));
                    }
                }
            }
        }
        lines.sort();
        lines
    }
}

/// The values that the contract asks for.
#[derive(Clone)]
struct Wanted {
    /// By the name of the setting.
    device: Json,
    /// The settings of models that can keep documents.
    documents: Json,
    /// By the entry of the contract, without the facts of device and customer.
    broker: Json,
}

impl Wanted {
    /// The values of the contract as it is in the file.
    fn of_the_file() -> Self {
        Self {
            device: json!({
                "backup.enabled": true,
                "backup.endpoint": "https://backup.northwind.example/v1",
                "backup.period-hours": 24,
                "backup.weekdays": ["sun", "wed"],
                "backup.mode": "differential",
                "backup.last-run": "ok",
                "alert.enabled": true,
                "alert.drum": false,
                "alert.fuser": true,
                "alert.feeder": false,
                "alert.threshold": 15,
                "supplies.enabled": true,
                "supplies.threshold": 25,
                "prediction.enabled": true,
                "prediction.days-ahead": 14,
                "maintenance.access": "repair",
                "usage.enabled": true,
                "usage.period": "weekly",
            }),
            documents: json!({
                "cloud.enabled": true,
                "cloud.endpoint": "https://cloud.northwind.example/v1",
                "cloud.automatic-backup": true,
                "cloud.deletion": "after-backup",
            }),
            broker: json!({
                "backup": {
                    "schedule": {"enabled": true, "periodHours": 24, "weekdays": ["sun", "wed"]},
                    "mode": "Differential",
                },
                "supplies": {
                    "enabled": true, "threshold": 25, "billing": {"method": "DirectDebit"},
                },
                "cloud": {"automaticBackup": true, "deletion": "AfterBackup"},
                "failures": {"daysAhead": 14},
                "maintenance": {"access": "Repair", "timeZone": "America/Sao_Paulo"},
                "usage": {"period": "Weekly"},
            }),
        }
    }

    /// Returns the values of each device and of each instance.
    fn of(
        &self,
        example: &ExampleServices,
    ) -> (Vec<BTreeMap<String, Json>>, BTreeMap<String, Json>) {
        let (mut devices, mut instances) = (Vec::new(), BTreeMap::new());
        for device in &example.devices {
            let keeps_documents = device.spec.model_ref.name.ends_with("mfp-700");
            let mut settings = self.device.as_object().unwrap().clone();
            if keeps_documents {
                settings.extend(self.documents.as_object().unwrap().clone());
            }
            devices.push(settings.into_iter().collect());
            for (entry, parameters) in self.broker.as_object().unwrap() {
                if entry == "cloud" && !keeps_documents {
                    continue;
                }
                let mut parameters = parameters.clone();
                parameters["device"] = json!(device.spec.serial_number);
                parameters["customer"] = json!("C-4711");
                parameters["active"] = json!(true);
                instances.insert(format!("{entry} {}", device.name_any()), parameters);
            }
        }
        (devices, instances)
    }
}

/// An option of the contract, and the places that it is set at.
struct Change {
    entry: &'static str,
    parameter: (&'static str, &'static str),
    device: Option<(&'static str, Json)>,
    broker: Option<(&'static str, Json)>,
}

/// One option of each service.
fn changes() -> Vec<Change> {
    let change = |entry, parameter, device, broker| Change {
        entry,
        parameter,
        device,
        broker,
    };
    vec![
        change(
            "backup",
            ("mode", "Full"),
            Some(("backup.mode", json!("full"))),
            Some(("/mode", json!("Full"))),
        ),
        change(
            "parts",
            ("fuser", "false"),
            Some(("alert.fuser", json!(false))),
            None,
        ),
        change(
            "supplies",
            ("payment", "CreditCard"),
            None,
            Some(("/billing/method", json!("CreditCard"))),
        ),
        change(
            "cloud",
            ("deletion", "Never"),
            Some(("cloud.deletion", json!("never"))),
            Some(("/deletion", json!("Never"))),
        ),
        change(
            "failures",
            ("days-ahead", "21"),
            Some(("prediction.days-ahead", json!(21))),
            Some(("/daysAhead", json!(21))),
        ),
        change(
            "maintenance",
            ("access", "Diagnose"),
            Some(("maintenance.access", json!("diagnose"))),
            Some(("/access", json!("Diagnose"))),
        ),
        change(
            "usage",
            ("period", "Daily"),
            Some(("usage.period", json!("daily"))),
            Some(("/period", json!("Daily"))),
        ),
    ]
}

impl Change {
    /// Puts it into the contract and into what is wanted; returns the lines of
    /// [`ExampleServices::written_since`] that it makes.
    fn take_place(&self, example: &mut ExampleServices, wanted: &mut Wanted) -> Vec<String> {
        let mut entries = example.contract.spec.services.iter_mut();
        let entry = entries.find(|entry| entry.name == self.entry).unwrap();
        let (name, value) = self.parameter;
        entry.parameters.insert(name.to_owned(), value.to_owned());
        let text = |value: &Json| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let mut lines = Vec::new();
        for device in &example.devices {
            let keeps_documents = device.spec.model_ref.name.ends_with("mfp-700");
            if self.entry == "cloud" && !keeps_documents {
                continue;
            }
            let maker = if keeps_documents { "nw" } else { "sw" };
            if let Some((setting, value)) = &self.device {
                let attribute = format!("{maker}-{}", setting.replace('.', "-"));
                lines.push(format!("{} {attribute}={}", device.name_any(), text(value)));
            }
            if let Some((pointer, value)) = &self.broker {
                lines.push(format!("broker {pointer}={}", text(value)));
            }
        }
        if let Some((setting, value)) = &self.device {
            let places = [&mut wanted.documents, &mut wanted.device];
            places[usize::from(self.entry != "cloud")][*setting] = value.clone();
        }
        if let Some((pointer, value)) = &self.broker {
            let place = wanted.broker[self.entry].pointer_mut(pointer);
            *place.unwrap() = value.clone();
        }
        lines.sort();
        lines
    }
}

// shows B8 B7
#[tokio::test]
async fn every_option_of_the_example_services_is_set_and_one_that_is_changed_is_written_alone() {
    let mut example = ExampleServices::new("services").await;
    let mut wanted = Wanted::of_the_file();
    example.namespace.apply(&example.contract).await.unwrap();
    example.is_in_effect(&wanted).await;
    assert_eq!(example.broker.instances().len(), 17);

    for change in changes() {
        let sequence = example.namespace.ledger().last_sequence();
        let lines = change.take_place(&mut example, &mut wanted);
        example.namespace.apply(&example.contract).await.unwrap();
        example.is_in_effect(&wanted).await;
        assert_eq!(example.written_since(sequence), lines, "{}", change.entry);
    }
    let ledger = example.namespace.ledger();
    assert_eq!(brief(&ledger.duplicates()), Vec::<String>::new());
    assert_eq!(brief(&ledger.unneeded_writes()), Vec::<String>::new());
}

// shows B4
#[tokio::test]
async fn a_service_without_a_server_part_reaches_no_server_in_its_whole_life() {
    let mut example = ExampleServices::new("no-server").await;
    let namespace = example.namespace.clone();
    let mut contract = example.contract.clone();
    contract.spec.services.retain(|entry| entry.name == "parts");
    let name = contract.name_any();
    namespace.apply(&contract).await.unwrap();
    contract_is(&namespace, &name, "Delivered").await;
    for threshold in ["30", "40"] {
        let parameters = &mut contract.spec.services[0].parameters;
        parameters.insert("threshold".to_owned(), threshold.to_owned());
        namespace.apply(&contract).await.unwrap();
        let number: i64 = threshold.parse().unwrap();
        let set = namespace.soon("the devices have the threshold", async || {
            let has = |it: &Device| example.on_device(it)["alert.threshold"] == json!(number);
            example.devices.iter().all(has).then_some(())
        });
        set.await.unwrap();
        contract_is(&namespace, &name, "Delivered").await;
    }
    assert_eq!(example.at_broker().await, BTreeMap::new());
    let removed = namespace.delete::<Contract>(Some(namespace.name()), &name);
    removed.await.unwrap();
    let gone = namespace.soon("all of the contract is gone", async || {
        let left = namespace.list::<ServiceSubscription>().await;
        left.is_empty().then_some(())
    });
    gone.await.unwrap();
    // The Connection itself is probed by its catalog, whoever uses it.
    let mut asked = namespace.ledger().entries();
    asked.retain(|entry| entry.peer == PeerKind::Broker && entry.name != "catalog");
    assert_eq!(brief(&asked), Vec::<String>::new());

    // The same peers are reached by a service that has a server part.
    example.contract.metadata.name = Some("usage".to_owned());
    example
        .contract
        .spec
        .services
        .retain(|it| it.name == "usage");
    namespace.apply(&example.contract).await.unwrap();
    contract_is(&namespace, "usage", "Delivered").await;
    assert_eq!(example.at_broker().await.len(), 3);
}
