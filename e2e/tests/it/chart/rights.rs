//! Rights that RBAC alone cannot draw, drawn by admission policies: who abandons a withdrawal, and
//! what the operator changes of objects of people.

use entente_crds::ANNOTATION_ABANDON;
use entente_crds::admission_cases::CaseKind;
use entente_e2e::control_plane::ControlPlane;
use serde_json::{Value, json};

use super::cluster::{Person, eventually, installed, own, refused};

const ABANDON: &str = "only by those who have the right to update connections.entente.dev";

fn contract(name: &str, namespace: &str, annotations: &Value) -> Value {
    let mut contract = CaseKind::Contract.complete();
    contract["metadata"] =
        json!({"name": name, "namespace": namespace, "annotations": annotations});
    contract
}

/// Makes a user with edit rights in a namespace, and waits until abandoning is refused there.
async fn editor<'p>(plane: &'p ControlPlane, name: &str, namespace: &str) -> Person<'p> {
    let editor = Person::with_role(plane, name, "edit", namespace).await;
    let probe = contract("probe", namespace, &json!({ANNOTATION_ABANDON: "now"})).to_string();
    eventually(ABANDON, async || {
        let dry = ["create", "--dry-run=server", "-f", "-"];
        match editor.kubectl(&dry, &probe).await {
            Err(said) if said.contains(ABANDON) => Ok(()),
            Ok(said) | Err(said) => Err(said),
        }
    })
    .await;
    editor
}

/// Returns a user with edit rights in a namespace who may update Connections, too.
async fn platform_team<'p>(plane: &'p ControlPlane, name: &str, namespace: &str) -> Person<'p> {
    let administrator = Person::administrator(plane);
    let role = [
        "create",
        "clusterrole",
        name,
        "--verb=update",
        "--resource=connections.entente.dev",
    ];
    administrator.kubectl(&role, "").await.expect("a role");
    let role = format!("--clusterrole={name}");
    let user = format!("--user={name}");
    let binding = ["create", "clusterrolebinding", name, &role, &user];
    administrator.kubectl(&binding, "").await.expect("bound");
    Person::with_role(plane, name, "edit", namespace).await
}

#[tokio::test]
async fn who_may_not_update_connections_abandons_no_contract() {
    let plane = installed().await;
    let namespace = &plane.create_namespace("abandon").await.expect("one");
    let editor = editor(plane, "ana-a", namespace).await;
    let platform = platform_team(plane, "pia-a", namespace).await;
    let (abandoned, otherwise) = (
        json!({ANNOTATION_ABANDON: "now"}),
        json!({ANNOTATION_ABANDON: "later"}),
    );

    let object = contract("one", namespace, &abandoned);
    refused(editor.create(&object).await, ABANDON);
    let applied = ["apply", "--server-side", "-f", "-"];
    refused(editor.kubectl(&applied, &object.to_string()).await, ABANDON);
    let plain = contract("one", namespace, &json!({}));
    editor.create(&plain).await.expect("without it, it is let");
    let what = "contracts.entente.dev/one";
    let patch = |annotations: &Value| json!({"metadata": {"annotations": annotations}});
    let edit = |suspend: bool| json!({"spec": {"suspend": suspend}});
    refused(
        editor.merge(what, namespace, &patch(&abandoned)).await,
        ABANDON,
    );

    let set = platform.merge(what, namespace, &patch(&abandoned)).await;
    set.expect("who may update Connections sets it");
    refused(
        editor.merge(what, namespace, &patch(&otherwise)).await,
        ABANDON,
    );
    let edited = editor.merge(what, namespace, &edit(true)).await;
    edited.expect("a contract that has it is edited by everybody who may");
    let taken = editor
        .merge(what, namespace, &patch(&json!({ANNOTATION_ABANDON: null})))
        .await;
    taken.expect("and it is taken away by them");
    refused(
        editor.merge(what, namespace, &patch(&abandoned)).await,
        ABANDON,
    );
}

#[tokio::test]
async fn who_may_write_subscriptions_but_not_update_connections_abandons_none() {
    let plane = installed().await;
    let namespace = &plane.create_namespace("abandon-s").await.expect("one");
    // The policy is in force.
    editor(plane, "ana-b", namespace).await;
    let operator = Person::operator(plane).await;
    let object = own(CaseKind::ServiceSubscription, "a.b.c", namespace);
    operator.create(&object).await.expect("it makes one");
    let what = "servicesubscriptions.entente.dev/a.b.c";
    let abandon = json!({"metadata": {"annotations": {ANNOTATION_ABANDON: "now"}}});
    refused(operator.merge(what, namespace, &abandon).await, ABANDON);
    let administrator = Person::administrator(plane);
    let set = administrator.merge(what, namespace, &abandon).await;
    set.expect("an administrator may update Connections");
    let held = json!({"metadata": {"finalizers": ["entente.dev/withdraw"]}});
    let kept = operator.merge(what, namespace, &held).await;
    kept.expect("the operator works on with what an administrator abandoned");
}

const FINALIZERS: &str = "the operator writes finalizers and status of this kind, and nothing else";

#[tokio::test]
async fn of_objects_of_people_the_operator_writes_finalizers_and_status_and_nothing_else() {
    let plane = installed().await;
    let namespace = &plane.create_namespace("catalogue").await.expect("one");
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    for kind in [
        CaseKind::Contract,
        CaseKind::Connection,
        CaseKind::DeviceModel,
        CaseKind::SmartService,
    ] {
        let mut object = kind.complete();
        object["metadata"] = json!({"name": "held", "finalizers": ["example.com/theirs"]});
        if kind == CaseKind::Contract {
            object["metadata"]["namespace"] = json!(namespace);
        }
        administrator.create(&object).await.expect("it is made");
        let what = &format!("{}.entente.dev/held", kind.plural());
        let label = json!({"metadata": {"labels": {"desk": "south"}}});
        eventually("the policy is in force", async || {
            match operator.merge(what, namespace, &label).await {
                Err(said) if said.contains(FINALIZERS) => Ok(()),
                Ok(said) | Err(said) => Err(said),
            }
        })
        .await;
        let spec = match kind {
            CaseKind::Contract => json!({"spec": {"suspend": true}}),
            CaseKind::Connection => json!({"spec": {"sync": {"period": "2h"}}}),
            CaseKind::DeviceModel => json!({"spec": {"manufacturer": "Another"}}),
            _ => json!({"spec": {"provider": "Another"}}),
        };
        let annotation = json!({"metadata": {"annotations": {"entente.dev/abandon": "now"}}});
        for forged in [&spec, &annotation] {
            let said = operator.merge(what, namespace, forged).await;
            refused(said, "Forbidden");
        }
        let theirs = json!({"metadata": {"finalizers": ["entente.dev/in-use"]}});
        let said = operator.merge(what, namespace, &theirs).await;
        refused(said, "finalizers entente.dev/… only");
        for finalizers in [
            json!(["example.com/theirs", "entente.dev/in-use"]),
            json!(["example.com/theirs"]),
        ] {
            let own = json!({"metadata": {"finalizers": finalizers}});
            let held = operator.merge(what, namespace, &own).await;
            held.expect("the operator holds it and lets it go");
        }
        let free = json!({"metadata": {"finalizers": null, "labels": {"desk": "south"}}});
        let edited = administrator.merge(what, namespace, &free).await;
        edited.expect("people are not held to that");
        let edited = administrator.merge(what, namespace, &spec).await;
        edited.expect("nor in the spec");
    }
}
