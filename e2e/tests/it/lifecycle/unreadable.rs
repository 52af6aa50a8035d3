//! Objects of an older shape, which an older or an edited definition let in: they say which field
//! cannot be read, others of their kind go on, and nothing is lost until the field is corrected.
//!
//! Each test has a control plane of its own: a definition is one for all namespaces.

use entente_crds::v1alpha1::{Contract, Device, ServiceSubscription, SmartService};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::now;
use entente_e2e::operator::OperatorOptions;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde_json::{Value, json};

use crate::delivery_fixture::{
    DeliveryFixture, brief, contract_is, contract_says, subscription_is, subscription_says,
};

async fn own_environment() -> TestEnvironment {
    let options = OperatorOptions::default();
    TestEnvironment::start(options).await.unwrap()
}

/// Returns an object as the API server has it, whatever its shape.
async fn raw<K>(client: &Client, namespace: Option<&str>, name: &str) -> Value
where
    K: Resource<DynamicType = ()>,
{
    let request = Request::new(K::url_path(&(), namespace));
    let request = request.get(name, &kube::api::GetParams::default());
    client.request(request.unwrap()).await.unwrap()
}

/// Sets a field of an object to something of whatever type.
async fn set<K>(client: &Client, namespace: Option<&str>, name: &str, at: &str, value: &Value)
where
    K: Resource<DynamicType = ()>,
{
    // The API server takes some time to follow a definition.
    let set = entente_e2e::wait::wait_for(at, entente_e2e::namespace::SOON, async || {
        let replace = json!([{ "op": "replace", "path": at, "value": value }]);
        let replace = Patch::Json::<()>(serde_json::from_value(replace).unwrap());
        let request = Request::new(K::url_path(&(), namespace));
        let request = request.patch(name, &PatchParams::default(), &replace);
        let stored: Value = client.request(request.unwrap()).await.ok()?;
        (stored.pointer(at) == Some(value)).then_some(())
    });
    set.await.unwrap();
}

/// Returns the place of a field of the spec in a definition.
fn place(at: &str) -> String {
    let path = at.trim_start_matches('/').replace('/', "/properties/");
    format!("/spec/versions/0/schema/openAPIV3Schema/properties/{path}")
}

/// Stores an object in which a field is of another type, under a definition that allows it, and puts
/// the definition back.
async fn store_old_shape<K>(
    (client, writer): (&Client, &Client),
    namespace: Option<&str>,
    name: &str,
    (at, old): (&str, &Value),
) where
    K: Resource<DynamicType = ()>,
{
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = format!("{}.{}", K::plural(&()), K::group(&()));
    let before = serde_json::to_value(definitions.get(&definition).await.unwrap()).unwrap();
    let strict = before.pointer(&place(at)).expect("the field").clone();
    let loose = json!({ "x-kubernetes-preserve-unknown-fields": true });
    let replace = async |schema: &Value| {
        let patch = json!([{ "op": "replace", "path": place(at), "value": schema }]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
        let parameters = PatchParams::default();
        let patched = definitions.patch(&definition, &parameters, &patch).await;
        patched.unwrap();
    };
    replace(&loose).await;
    set::<K>(writer, namespace, name, at, old).await;
    replace(&strict).await;
}

/// Waits until Ready of an object is False with the reason Undecodable and such words.
async fn cannot_be_read<K>(namespace: &TestNamespace<'_>, of: Option<&str>, name: &str, words: &str)
where
    K: Resource<DynamicType = ()>,
{
    let kind = K::kind(&());
    let what = format!("{kind} {name} says: {words}");
    let said = namespace.soon(&what, async || {
        let object = raw::<K>(namespace.client(), of, name).await;
        let conditions = object["status"]["conditions"].as_array()?.clone();
        let ready = conditions.into_iter().find(|it| it["type"] == "Ready")?;
        let is_said = ready["status"] == "False"
            && ready["reason"] == "Undecodable"
            && ready["message"].as_str()?.contains(words);
        is_said.then_some(())
    });
    said.await.unwrap();
}

/// Waits until an event says that an object cannot be read.
async fn is_told<K>(namespace: &TestNamespace<'_>, of: Option<&str>, name: &str)
where
    K: Resource<DynamicType = ()>,
{
    let kind = K::kind(&());
    // Those about objects of the cluster are in the namespace `default`.
    let events: Api<k8s_openapi::api::events::v1::Event> =
        Api::namespaced(namespace.client().clone(), of.unwrap_or("default"));
    let what = format!("an event about {kind} {name}");
    let told = namespace.soon(&what, async || {
        let list = events.list(&kube::api::ListParams::default()).await.ok()?;
        let found = list.items.into_iter().any(|event| {
            let regarding = event.regarding.unwrap_or_default();
            event.reason.as_deref() == Some("ObjectUndecodable")
                && regarding.kind.as_deref() == Some(&*kind)
                && regarding.name.as_deref() == Some(name)
        });
        found.then_some(())
    });
    told.await.unwrap();
}

/// Asserts that no object of the namespace says of anything that it does not exist.
async fn nothing_is_said_to_be_missing(namespace: &TestNamespace<'_>) {
    let of = Some(namespace.name());
    for path in [
        Contract::url_path(&(), of),
        Device::url_path(&(), of),
        ServiceSubscription::url_path(&(), of),
    ] {
        let request = Request::new(path).list(&kube::api::ListParams::default());
        let list: Value = namespace.client().request(request.unwrap()).await.unwrap();
        for object in list["items"].as_array().into_iter().flatten() {
            let said = object["status"]["conditions"].to_string();
            for words in ["NotFound", "not exist", "not found"] {
                assert!(
                    !said.contains(words),
                    "{} {said}",
                    object["metadata"]["name"]
                );
            }
        }
    }
}

// shows K2 K5 K7
#[tokio::test]
async fn a_device_of_an_old_shape_is_named_others_go_on_and_it_is_delivered_once_corrected() {
    let mut environment = own_environment().await;
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "old-device", 2).await;
    let namespace = &fixture.namespace;
    let (of, first) = (Some(namespace.name()), fixture.name(0));
    let client = namespace.client();
    let contract = fixture.backup_contract("first", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "first", "Ready").await;
    let sequence = namespace.ledger().last_sequence();

    let at = "/spec/serialNumber";
    let serial = raw::<Device>(client, of, first).await["spec"]["serialNumber"].clone();
    store_old_shape::<Device>((client, client), of, first, (at, &json!(["NW", 500]))).await;
    cannot_be_read::<Device>(namespace, of, first, "spec.serialNumber: invalid type").await;
    is_told::<Device>(namespace, of, first).await;
    let others = [fixture.name(1)];
    let entry = namespace.entry("parts", "parts-life", &others, "15m");
    let contract = namespace.contract("running", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "running", "Ready").await;

    environment.operator.kill_hard().await.unwrap();
    environment.operator.restart().await.unwrap();
    let words = format!("The Device {first} cannot be read");
    let name = format!("first.backup.{first}");
    cannot_be_read::<ServiceSubscription>(namespace, of, &name, &words).await;
    contract_says(namespace, "first", "Ready", "DevicesNotProgressing").await;
    let entry = namespace.entry("backup", "data-backup", &others, "15m");
    let contract = namespace.contract("restarted", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "restarted", "Ready").await;
    nothing_is_said_to_be_missing(namespace).await;
    assert_eq!(fixture.broker.instances().len(), 2, "the first has its own");

    set::<Device>(client, of, first, at, &serial).await;
    subscription_is(namespace, ["first", "backup", first], "Ready").await;
    contract_is(namespace, "first", "Ready").await;
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write && entry.name == first);
    assert_eq!(brief(&sent), Vec::<String>::new(), "all was in effect");
    fixture.finish().await;
}

// shows K2 K5 K7
#[tokio::test]
async fn a_service_with_a_word_that_is_not_known_is_named_and_its_instances_stay() {
    let mut environment = own_environment().await;
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "old-service", 2).await;
    let namespace = &fixture.namespace;
    let client = namespace.client();
    let service = namespace.named("data-backup");
    let contract = fixture.backup_contract("first", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "first", "Ready").await;
    let sequence = namespace.ledger().last_sequence();

    // As a definition of a later version may have it.
    let at = "/spec/server/updates";
    let known =
        raw::<SmartService>(client, None, &service).await["spec"]["server"]["updates"].clone();
    store_old_shape::<SmartService>((client, client), None, &service, (at, &json!("Partial")))
        .await;
    let words = "spec.server.updates: unknown variant `Partial`";
    cannot_be_read::<SmartService>(namespace, None, &service, words).await;
    is_told::<SmartService>(namespace, None, &service).await;
    let parts = namespace.entry("parts", "parts-life", &[fixture.name(1)], "15m");
    let contract = namespace.contract("other", now(), vec![parts]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "other", "Ready").await;

    environment.operator.kill_hard().await.unwrap();
    environment.operator.restart().await.unwrap();
    let words = format!("SmartService {service}, named by services[backup], cannot be read");
    let of = Some(namespace.name());
    cannot_be_read::<Contract>(namespace, of, "first", &words).await;
    contract_says(namespace, "first", "ResolvedRefs", "Undecodable").await;
    let parts = ["first", "backup", fixture.name(0)];
    subscription_says(namespace, parts, "Ready", "Undecodable").await;
    nothing_is_said_to_be_missing(namespace).await;
    assert_eq!(fixture.broker.instances().len(), 1);

    set::<SmartService>(client, None, &service, at, &known).await;
    contract_is(namespace, "first", "Ready").await;
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write && entry.name != fixture.name(1));
    assert_eq!(brief(&sent), Vec::<String>::new(), "all was in effect");
    fixture.finish().await;
}

// shows K1 K5 K7
#[tokio::test]
async fn the_withdrawal_of_a_contract_waits_for_a_subscription_of_an_old_shape_and_says_so() {
    let mut environment = own_environment().await;
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "old-part", 2).await;
    let namespace = &fixture.namespace;
    let (of, client) = (Some(namespace.name()), namespace.client());
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("backup", "data-backup", &names, "15m");
    let contract = namespace.contract("part", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "part", "Ready").await;

    let name = format!("part.backup.{}", names[0]);
    let at = "/spec/timeZone";
    let old = json!({ "name": "America/Sao_Paulo" });
    // Nobody else may write what a subscription says.
    let operator = environment.operator.namespace();
    let writer = environment
        .plane
        .client_for_service_account(operator, "entente");
    let writer = writer.await.unwrap();
    let zone = raw::<ServiceSubscription>(client, of, &name).await["spec"]["timeZone"].clone();
    store_old_shape::<ServiceSubscription>((client, &writer), of, &name, (at, &old)).await;
    let words = "spec.timeZone: invalid type";
    cannot_be_read::<ServiceSubscription>(namespace, of, &name, words).await;
    is_told::<ServiceSubscription>(namespace, of, &name).await;

    namespace.delete::<Contract>(of, "part").await.unwrap();
    let waits = async || {
        let what = format!("the contract waits for {name} alone");
        let said = namespace.soon(&what, async || {
            let contract = raw::<Contract>(client, of, "part").await;
            let said = contract["status"]["conditions"].to_string();
            let words =
                format!("The subscription {name} cannot be read, so that it is not withdrawn");
            let is_alone = fixture.broker.instances().len() == 1;
            (said.contains(&words) && is_alone).then_some(())
        });
        said.await.unwrap();
    };
    waits().await;
    environment.operator.kill_hard().await.unwrap();
    environment.operator.restart().await.unwrap();
    // A contract that is delivered shows that the operator has seen everything.
    let contract = fixture.parts_contract("later", now(), "15m");
    let mut contract = contract;
    contract.spec.services[0].devices.names = vec![names[1].to_owned()];
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "later", "Ready").await;
    waits().await;

    set::<ServiceSubscription>(&writer, of, &name, at, &zone).await;
    let gone = namespace.soon("the contract is gone", async || {
        let left = namespace.read_contract("part").await;
        left.is_none().then_some(())
    });
    gone.await.unwrap();
    assert!(fixture.broker.instances().is_empty());
    fixture.finish().await;
}
