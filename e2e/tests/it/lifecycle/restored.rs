//! Everything comes back from a backup on another cluster, while devices and broker are the same: the
//! instance goes on, nothing is sent, and nothing is owed that was not owed before.

use std::time::Duration;

use entente_crds::v1alpha1::{
    AdoptedBy, Compensation, Connection, Contract, Device, DeviceModel, PromiseState,
    ServiceSubscription, SmartService,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::now;
use entente_e2e::operator::OperatorOptions;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::Request;
use kube::{Client, Resource};
use serde_json::{Value, json};

use crate::delivery_fixture::{
    DeliveryFixture, brief, calculated, contract_is, promise_state, subscription_is,
};

/// The objects of one kind, as a tool for backups keeps them.
struct Saved {
    url: String,
    objects: Vec<Value>,
}

/// Reads the objects of a kind, in a namespace where it has one.
async fn save<K: Resource<DynamicType = ()>>(client: &Client, namespace: Option<&str>) -> Saved {
    let url = K::url_path(&(), namespace);
    let request = Request::new(&url).list(&kube::api::ListParams::default());
    let found: Value = client.request(request.unwrap()).await.unwrap();
    let (api_version, kind) = (K::api_version(&()), K::kind(&()));
    let items = found["items"].as_array().unwrap().iter();
    let objects = items.map(|item| {
        let mut object = item.clone();
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        let metadata = &item["metadata"];
        object["metadata"] = json!({
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata["labels"],
        });
        object
    });
    Saved {
        url,
        objects: objects.collect(),
    }
}

impl Saved {
    /// Makes the objects again; their statuses with them, where those come back.
    async fn restore(&self, client: &Client, with_statuses: bool) {
        for object in &self.objects {
            let made = send(client, "POST", &self.url, object).await;
            if with_statuses {
                let mut object = object.clone();
                object["metadata"] = made["metadata"].clone();
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                let url = format!("{}/{name}/status", self.url);
                send(client, "PUT", &url, &object).await;
            }
        }
    }
}

async fn send(client: &Client, method: &str, url: &str, object: &Value) -> Value {
    let request = http::Request::builder()
        .method(method)
        .uri(url)
        .header("Content-Type", "application/json")
        .body(object.to_string().into_bytes());
    let sent = client.request(request.unwrap()).await;
    sent.unwrap_or_else(|error| panic!("{method} {url}: {error}\n{object:#}"))
}

/// A backup of one namespace and of what its objects refer to.
struct Backup {
    catalogue: [Saved; 3],
    devices: Saved,
    records: Saved,
    contracts: Saved,
    subscriptions: Saved,
}

impl Backup {
    async fn of(namespace: &TestNamespace<'_>) -> Self {
        let (client, name) = (namespace.client(), Some(namespace.name()));
        Self {
            catalogue: [
                save::<Connection>(client, None).await,
                save::<DeviceModel>(client, None).await,
                save::<SmartService>(client, None).await,
            ],
            devices: save::<Device>(client, name).await,
            records: save::<Compensation>(client, name).await,
            contracts: save::<Contract>(client, name).await,
            subscriptions: save::<ServiceSubscription>(client, name).await,
        }
    }

    /// Brings everything back in the order of docs/guide/backup-and-restore.md. `operator` is the client
    /// of somebody who may write what is the operator's own.
    async fn restore(&self, administrator: &Client, operator: &Client, namespace: &str) {
        let mut made = Namespace::default();
        made.metadata.name = Some(namespace.to_owned());
        let object = serde_json::to_value(&made).unwrap();
        send(administrator, "POST", "/api/v1/namespaces", &object).await;
        for saved in &self.catalogue {
            saved.restore(administrator, false).await;
        }
        self.devices.restore(administrator, false).await;
        self.records.restore(operator, true).await;
        self.contracts.restore(administrator, false).await;
        self.subscriptions.restore(operator, false).await;
    }
}

/// A contract that is delivered with an instance, and another that was missed and is settled.
async fn live(fixture: &DeliveryFixture<'_>) -> Compensation {
    let namespace = &fixture.namespace;
    let kept = fixture.backup_contract("kept", now(), "15m");
    namespace.apply(&kept).await.unwrap();
    contract_is(namespace, "kept", "Delivered").await;
    fixture.switch_off(1).await;
    let entry = namespace.entry("parts", "parts-life", &[fixture.name(1)], "1s");
    let late = namespace.contract("late", now(), vec![entry]);
    namespace.apply(&late).await.unwrap();
    namespace
        .soon("a record is made", async || {
            let records = namespace.compensations().await;
            (!records.is_empty()).then_some(())
        })
        .await
        .unwrap();
    fixture.device(1).clear_faults().await.unwrap();
    contract_is(namespace, "late", "Delivered").await;
    calculated(namespace).await
}

fn amount(of: &Compensation) -> Option<String> {
    of.status.as_ref()?.summary.clone()
}

// shows K5 C10
#[tokio::test]
async fn on_another_cluster_the_instance_goes_on_and_nothing_is_sent_or_owed_twice() {
    let mut first = TestEnvironment::start(OperatorOptions::default())
        .await
        .unwrap();
    let view = first.operator.view();
    let fixture = DeliveryFixture::on_plane(&first.plane, view, "restored", 2).await;
    let name = fixture.namespace.name().to_owned();
    let record = live(&fixture).await;
    let before = fixture.broker.instances();
    assert_eq!(before.len(), 1, "{before:?}");
    let backup = Backup::of(&fixture.namespace).await;
    first.operator.stop().await.unwrap();
    let sequence = fixture.namespace.ledger().last_sequence();

    let mut second = TestEnvironment::start(OperatorOptions::default())
        .await
        .unwrap();
    second.operator.stop().await.unwrap();
    let administrator = second.plane.client().await.unwrap();
    let operator = second
        .plane
        .client_for_service_account(second.operator.namespace(), "entente");
    let operator = operator.await.unwrap();
    backup.restore(&administrator, &operator, &name).await;
    second.operator.restart().await.unwrap();
    let view = second.operator.view();
    let namespace = TestNamespace::with_name(&second.plane, view, name).await;
    let namespace = namespace.unwrap();

    contract_is(&namespace, "kept", "Delivered").await;
    contract_is(&namespace, "late", "Delivered").await;
    let found = subscription_is(&namespace, ["kept", "backup", fixture.name(0)], "Delivered").await;
    assert_eq!(promise_state(&found), PromiseState::Closed);
    let contract = namespace.read_contract("kept").await.unwrap();
    let owner = &found.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(Some(&owner.uid), contract.metadata.uid.as_ref());
    let server = found.status.unwrap().server.expect("it has its instance");
    assert_eq!(server.instance_id, before[0].id);
    assert_eq!(server.adopted.map(|it| it.by), Some(AdoptedBy::Fetch));
    let after = fixture.broker.instances();
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].parameters, before[0].parameters);

    // An edit goes on where the other cluster left it.
    let mut edited = fixture.backup_contract("kept", contract_start(&contract), "15m");
    let parameters = &mut edited.spec.services[0].parameters;
    parameters.insert("weekdays".to_owned(), "mon".to_owned());
    let mut sent = fixture.namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write);
    assert_eq!(brief(&sent), Vec::<String>::new());
    namespace.apply(&edited).await.unwrap();
    let updated = fixture
        .namespace
        .ledger()
        .wait_for(Duration::from_secs(20), |entries| {
            let since = entries.iter().filter(|it| it.write);
            since.filter(|it| it.operation == "update").count() >= 1
        });
    updated.await.unwrap();

    let records = namespace.compensations().await;
    let [same] = &records[..] else {
        panic!("one record: {records:#?}");
    };
    assert_eq!(amount(same), amount(&record));
    assert_eq!(same.spec.record, record.spec.record);
}

fn contract_start(contract: &Contract) -> jiff::Timestamp {
    let start = contract.spec.term.start_time.as_ref().unwrap();
    start.parse().unwrap()
}
