//! An operator that serves named namespaces and a part of the catalogue, with the rights that the
//! chart gives it there and no others.

use std::fmt::Debug;
use std::time::Duration;

use entente_crds::v1alpha1::{Connection, Contract, Device, DeviceModel, SmartService};
use entente_e2e::control_plane::{ControlPlane, Options};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{SOON, TestNamespace, now};
use entente_e2e::operator::{Operator, OperatorOptions};
use entente_e2e::wait::wait_for;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::delivery_fixture::{DeliveryFixture, contract_is};

/// Name of the RoleBinding of the chart in each namespace that is served.
const BINDING: &str = "entente-tenant";

async fn fixture_in<'a>(
    plane: &'a ControlPlane,
    operator: &Operator,
    namespace: &str,
) -> DeliveryFixture<'a> {
    let namespace = TestNamespace::with_name(plane, operator.view(), namespace.to_owned());
    DeliveryFixture::on(namespace.await.unwrap(), 1).await
}

/// Applies a contract that has begun.
async fn apply_contract(fixture: &DeliveryFixture<'_>) {
    let contract = fixture.parts_contract("now", now(), "15m");
    fixture.namespace.apply(&contract).await.unwrap();
}

/// Removes the rights of the operator in a namespace. Returns what gives them back.
async fn without_rights(plane: &ControlPlane, namespace: &str) -> (Api<RoleBinding>, RoleBinding) {
    let client = plane.client().await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(client, namespace);
    let binding = bindings.get(BINDING).await.unwrap();
    bindings
        .delete(BINDING, &DeleteParams::default())
        .await
        .unwrap();
    let again = RoleBinding {
        metadata: ObjectMeta {
            name: binding.metadata.name,
            labels: binding.metadata.labels,
            ..ObjectMeta::default()
        },
        ..binding
    };
    (bindings, again)
}

// shows K4
#[tokio::test]
async fn it_serves_the_named_namespaces_that_give_it_rights_and_leaves_all_others_alone() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let acme = plane.create_namespace("acme").await.unwrap();
    let globex = plane.create_namespace("globex").await.unwrap();
    let other = plane.create_namespace("other").await.unwrap();
    let options = OperatorOptions {
        flags: vec![format!("--watch-namespaces={acme},{globex}")],
        chart_values: vec![format!("watchNamespaces={{{acme},{globex}}}")],
        ..OperatorOptions::default()
    };
    let mut operator = Operator::start(&plane, options).await.unwrap();
    operator.stop().await.unwrap();
    let (bindings, binding) = without_rights(&plane, &globex).await;
    operator.restart().await.unwrap();

    let of_acme = fixture_in(&plane, &operator, &acme).await;
    let of_globex = fixture_in(&plane, &operator, &globex).await;
    let of_other = fixture_in(&plane, &operator, &other).await;
    for fixture in [&of_other, &of_globex, &of_acme] {
        apply_contract(fixture).await;
    }
    contract_is(&of_acme.namespace, "now", "Delivered").await;
    let log = operator.log();
    // Which kind it asks for first does not matter.
    let refused = format!("of group entente.dev in namespace {globex}");
    let said = |line: &str| line.contains("may not get ") && line.contains(&refused);
    assert!(log.lines().any(said), "{log}");

    // The namespace gives its rights, and the process begins anew, as a kubelet would start it.
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    let status = operator.ended_within(Duration::from_mins(2)).await.unwrap();
    assert!(status.success(), "{}", operator.log());
    operator.restart().await.unwrap();
    contract_is(&of_globex.namespace, "now", "Delivered").await;

    let contract: Contract = of_other.namespace.get("now").await.unwrap();
    let status = contract.status.unwrap_or_default();
    assert!(
        status.conditions.iter().all(|it| it.status == "Unknown"),
        "{status:?}"
    );
    let device: Device = of_other.namespace.get(of_other.name(0)).await.unwrap();
    assert!(!device.is("Ready"));
    let written = of_other.namespace.ledger().writes();
    assert!(written.is_empty(), "{written:?}");
}

/// Gives every object of a kind the label that is selected.
async fn label_all<K>(plane: &ControlPlane)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let objects: Api<K> = Api::all(plane.client().await.unwrap());
    let labels = json!({"metadata": {"labels": {"team": "print"}}});
    for object in objects.list(&ListParams::default()).await.unwrap() {
        let labels = Patch::Merge(&labels);
        let name = object.name_any();
        objects
            .patch(&name, &PatchParams::default(), &labels)
            .await
            .unwrap();
    }
}

// shows K4
#[tokio::test]
async fn what_the_selector_does_not_select_does_not_exist_for_it() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let options = OperatorOptions {
        flags: vec!["--selector=team=print".to_owned()],
        ..OperatorOptions::default()
    };
    let operator = Operator::start(&plane, options).await.unwrap();
    let namespace = plane.create_namespace("selected").await.unwrap();
    let fixture = fixture_in(&plane, &operator, &namespace).await;
    apply_contract(&fixture).await;
    let refused = wait_for("its service is missing", SOON, async || {
        let contract: Contract = fixture.namespace.get("now").await?;
        let condition = contract.condition("ResolvedRefs")?.clone();
        (condition.reason == "ServiceNotFound").then_some(condition)
    });
    let condition = refused.await.unwrap();
    assert!(
        condition.message.contains("data-backup") || condition.message.contains("parts"),
        "{condition:?}"
    );

    label_all::<Connection>(&plane).await;
    label_all::<DeviceModel>(&plane).await;
    label_all::<SmartService>(&plane).await;
    contract_is(&fixture.namespace, "now", "Delivered").await;
}
