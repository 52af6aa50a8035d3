//! Objects that only the operator writes: subscriptions, compensations, and orders but those by hand,
//! protected by admission policies.

use entente_crds::admission_cases::CaseKind;
use entente_crds::v1alpha1::Compensation;
use entente_e2e::control_plane::{ControlPlane, Options};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::chart;
use super::cluster::{NAMESPACE, Person, RESTORER, eventually, install, installed, own, refused};

const SUBSCRIPTIONS: &str = "only the operator writes ServiceSubscriptions";
const COMPENSATIONS: &str = "only the operator writes Compensations";
const ORDERS: &str = "only the operator makes SupplyOrders with cause Error or Compensation";

/// Returns the edits that a person with edit rights, who is not the operator, may try, each with
/// the message of its refusal.
fn forgeries() -> Vec<(Value, &'static str)> {
    let owner = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "gone",
        "uid": "00000000-0000-0000-0000-000000000000",
    }]);
    let labels = json!({"entente.dev/contract": "another"});
    let taken = json!({"entente.dev/contract": null});
    vec![
        (
            json!({"metadata": {"ownerReferences": owner}}),
            "ownerReferences",
        ),
        (
            json!({"metadata": {"labels": labels}}),
            "labels entente.dev/",
        ),
        (
            json!({"metadata": {"labels": taken}}),
            "labels entente.dev/",
        ),
        (
            json!({"metadata": {"finalizers": ["example.com/never"]}}),
            "can only be removed",
        ),
    ]
}

/// Makes a namespace, and waits until the policies are in force there.
async fn guarded(plane: &ControlPlane, prefix: &str) -> String {
    let namespace = plane.create_namespace(prefix).await.expect("a namespace");
    let administrator = Person::administrator(plane);
    for (kind, message) in [
        (CaseKind::ServiceSubscription, SUBSCRIPTIONS),
        (CaseKind::Compensation, COMPENSATIONS),
        (CaseKind::SupplyOrder, ORDERS),
    ] {
        let probe = own(kind, "probe", &namespace).to_string();
        eventually(message, async || {
            let dry = ["create", "--dry-run=server", "-f", "-"];
            let said = administrator.kubectl(&dry, &probe).await;
            match said {
                Err(said) if said.contains(message) => Ok(()),
                Ok(said) | Err(said) => Err(said),
            }
        })
        .await;
    }
    namespace
}

#[tokio::test]
async fn nobody_but_the_operator_makes_or_changes_a_subscription() {
    let plane = installed().await;
    let namespace = guarded(plane, "subscriptions").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-s", "edit", &namespace).await;
    let object = own(CaseKind::ServiceSubscription, "a.b.c", &namespace);
    refused(administrator.create(&object).await, SUBSCRIPTIONS);
    refused(editor.create(&object).await, "forbidden");
    operator
        .create(&object)
        .await
        .expect("the operator makes it");

    let what = "servicesubscriptions.entente.dev/a.b.c";
    let change = json!({"spec": {"leadTime": "1h"}});
    refused(
        administrator.merge(what, &namespace, &change).await,
        SUBSCRIPTIONS,
    );
    refused(editor.merge(what, &namespace, &change).await, "forbidden");
    operator
        .merge(what, &namespace, &change)
        .await
        .expect("the operator changes it");

    for (forgery, message) in forgeries() {
        refused(
            administrator.merge(what, &namespace, &forgery).await,
            message,
        );
    }
    let status = json!({"status": {"promises": []}});
    let said = administrator.merge_status(what, &namespace, &status).await;
    refused(
        said,
        "only the operator writes the status of ServiceSubscriptions",
    );
    // Others may change finalizers, too: the garbage collector and administrators need that.
    let finalizers = json!({"metadata": {"finalizers": ["entente.dev/withdraw"]}});
    operator
        .merge(what, &namespace, &finalizers)
        .await
        .expect("the operator holds it");
    let none = json!({"metadata": {"finalizers": null}});
    administrator
        .merge(what, &namespace, &none)
        .await
        .expect("an administrator lets it go");
    let delete = ["delete", what, "-n", &namespace];
    refused(editor.kubectl(&delete, "").await, "forbidden");
    administrator
        .kubectl(&delete, "")
        .await
        .expect("an administrator deletes it");
}

// shows K4 C2
#[tokio::test]
async fn nobody_but_the_operator_says_what_a_device_should_hold_and_nobody_but_the_gateway_what_it_said()
 {
    const TWINS: &str = "only the operator writes DeviceTwins";
    const STATUS: &str = "only the gateway writes the status of DeviceTwins";
    let plane = installed().await;
    let namespace = guarded(plane, "twins").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-t", "edit", &namespace).await;
    let object = own(CaseKind::DeviceTwin, "lobby", &namespace);
    refused(administrator.create(&object).await, TWINS);
    refused(editor.create(&object).await, "forbidden");
    let made = operator.create(&object).await;
    made.expect("the operator makes it");

    let what = "devicetwins.entente.dev/lobby";
    let change = json!({"spec": {"settings": null}});
    let said = administrator.merge(what, &namespace, &change).await;
    refused(said, TWINS);
    let said = operator.merge(what, &namespace, &change).await;
    said.expect("the operator changes it");
    let forged = json!({"status": {"reported": {"version": 7}}});
    let said = administrator.merge_status(what, &namespace, &forged).await;
    refused(said, STATUS);
    let said = operator.merge_status(what, &namespace, &forged).await;
    refused(said, "devicetwins/status");
    let delete = ["delete", what, "-n", &namespace];
    let said = administrator.kubectl(&delete, "").await;
    said.expect("an administrator deletes it");
}

// shows K4 A5
#[tokio::test]
async fn an_editor_makes_orders_by_hand_and_cancels_any_and_nobody_else_makes_the_others() {
    let plane = installed().await;
    let namespace = guarded(plane, "orders").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-o", "edit", &namespace).await;
    let viewer = Person::with_role(plane, "bob-o", "view", &namespace).await;
    let of_error = own(
        CaseKind::SupplyOrder,
        "lobby.toner-empty.black.1",
        &namespace,
    );
    for person in [&administrator, &editor] {
        refused(person.create(&of_error).await, ORDERS);
    }
    operator
        .create(&of_error)
        .await
        .expect("the operator makes it");

    let mut by_hand = own(CaseKind::SupplyOrder, "spare", &namespace);
    by_hand["metadata"]["labels"] = Value::Null;
    by_hand["spec"]["found"] = Value::Null;
    let record = &mut by_hand["spec"]["record"];
    record["cause"] = json!("Manual");
    record["error"] = Value::Null;
    record["reference"] = Value::Null;
    refused(viewer.create(&by_hand).await, "forbidden");
    editor
        .create(&by_hand)
        .await
        .expect("an editor orders by hand");

    let what = "supplyorders.entente.dev/lobby.toner-empty.black.1";
    let other = json!({"spec": {"record": {"provider": "Another"}}});
    // The record's own rule may answer first; both refuse.
    refused(editor.merge(what, &namespace, &other).await, "SupplyOrder");
    for (forgery, message) in forgeries() {
        refused(editor.merge(what, &namespace, &forgery).await, message);
    }
    let cancelled = json!({"spec": {"cancelled": {"reason": "not needed"}}});
    let said = editor.merge(what, &namespace, &cancelled).await;
    said.expect("an editor cancels it");
    let forged = json!({"status": {"order": {"id": "PO-1", "state": "Delivered", "at": "2027-05-12T10:00:00Z"}}});
    let said = administrator.merge_status(what, &namespace, &forged).await;
    refused(said, "only the operator writes the status of SupplyOrders");
}

// shows D8
#[tokio::test]
async fn who_restores_a_backup_writes_records_and_their_status_and_nobody_else_does() {
    let plane = installed().await;
    let namespace = guarded(plane, "restored").await;
    let restorer = Person::with_role(plane, RESTORER, "cluster-admin", &namespace).await;
    let object = own(CaseKind::Compensation, "a.b.c.1.credit", &namespace);
    let administrator = Person::administrator(plane);
    refused(administrator.create(&object).await, COMPENSATIONS);
    restorer.create(&object).await.expect("it is restored");
    let what = "compensations.entente.dev/a.b.c.1.credit";
    let status = json!({"status": {"summary": "BRL 3.00"}});
    let said = restorer.merge_status(what, &namespace, &status).await;
    said.expect("its status is restored");
    let forged = json!({"status": {"summary": "BRL 9.00"}});
    let said = administrator.merge_status(what, &namespace, &forged).await;
    refused(said, "only the operator writes the status of Compensations");
}

/// Writes the status as the operator does, without reading it by its own path first.
async fn write_status(client: Client, namespace: &str, name: &str) -> kube::Result<Compensation> {
    let compensations: Api<Compensation> = Api::namespaced(client, namespace);
    let status = Patch::Merge(json!({"status": {"summary": "BRL 0.00"}}));
    compensations
        .patch_status(name, &PatchParams::default(), &status)
        .await
}

// shows K5: deletions of every kind come to their end
#[tokio::test]
async fn the_garbage_collector_may_do_its_work_on_what_only_the_operator_writes() {
    let plane = installed().await;
    let namespace = guarded(plane, "collected").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    for cascade in ["background", "foreground", "orphan"] {
        let mut contract = CaseKind::Contract.complete();
        contract["metadata"] = json!({"name": cascade, "namespace": namespace});
        administrator.create(&contract).await.expect("a contract");
        let of_contract = format!("contracts.entente.dev/{cascade}");
        let read = [
            "get",
            &of_contract,
            "-n",
            &namespace,
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        let uid = administrator.kubectl(&read, "").await.expect("it is there");
        let mut object = own(CaseKind::ServiceSubscription, cascade, &namespace);
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "entente.dev/v1alpha1", "kind": "Contract", "name": cascade,
            "uid": uid, "controller": true, "blockOwnerDeletion": true,
        }]);
        operator
            .create(&object)
            .await
            .expect("the operator makes it");
        let cascading = format!("--cascade={cascade}");
        let delete = [
            "delete",
            &of_contract,
            "-n",
            &namespace,
            &cascading,
            "--timeout=50s",
        ];
        let deleted = administrator.kubectl(&delete, "").await;
        deleted.expect("the contract goes");
        let what = format!("servicesubscriptions.entente.dev/{cascade}");
        let left = [
            "get",
            &what,
            "-n",
            &namespace,
            "-o",
            "jsonpath={.metadata.ownerReferences}",
        ];
        eventually(cascade, async || {
            match administrator.kubectl(&left, "").await {
                Ok(owners) if cascade == "orphan" && owners.is_empty() => Ok(()),
                Err(said) if cascade != "orphan" && said.contains("NotFound") => Ok(()),
                Ok(said) | Err(said) => Err(said),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn where_owners_that_block_a_deletion_need_a_right_the_operator_has_it() {
    let plane = ControlPlane::start(Options {
        admission_plugins: &["OwnerReferencesPermissionEnforcement"],
        ..Options::default()
    })
    .await
    .expect("a control plane");
    install(&plane, "entente", &chart(), &[]).await;
    let namespace = guarded(&plane, "owners").await;
    let (administrator, operator) = (
        Person::administrator(&plane),
        Person::operator(&plane).await,
    );
    let mut contract = CaseKind::Contract.complete();
    contract["metadata"] = json!({"name": "one", "namespace": namespace});
    administrator.create(&contract).await.expect("a contract");
    let of_contract = ["get", "contracts.entente.dev/one", "-n", &namespace];
    let read = [&of_contract[..], &["-o", "jsonpath={.metadata.uid}"]].concat();
    let uid = administrator.kubectl(&read, "").await.expect("it is there");
    let mut object = own(CaseKind::ServiceSubscription, "a.b.c", &namespace);
    let owner = |kind: &str, version: &str, name: &str, uid: &str| {
        json!([{
            "apiVersion": version, "kind": kind, "name": name, "uid": uid,
            "controller": true, "blockOwnerDeletion": true,
        }])
    };
    object["metadata"]["ownerReferences"] = owner(
        "Namespace",
        "v1",
        &namespace,
        "00000000-0000-0000-0000-000000000000",
    );
    refused(operator.create(&object).await, "blockOwnerDeletion");
    object["metadata"]["ownerReferences"] = owner("Contract", "entente.dev/v1alpha1", "one", &uid);
    operator.create(&object).await.expect("it has the right");
}

// shows D8: a person with edit rights on a record can neither hide it nor let it vanish
#[tokio::test]
async fn nobody_but_the_operator_changes_owners_labels_or_status_of_a_compensation() {
    let name = "a.b.c.t.credit";
    let plane = installed().await;
    let namespace = guarded(plane, "forged").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-f", "edit", &namespace).await;
    let object = own(CaseKind::Compensation, name, &namespace);
    let made = operator.create(&object).await;
    made.expect("the operator makes it");
    let what = &format!("compensations.entente.dev/{name}");
    for (forgery, message) in forgeries() {
        for person in [&administrator, &editor] {
            refused(person.merge(what, &namespace, &forgery).await, message);
        }
    }
    let note = json!({"metadata": {
        "annotations": {"seen-by": "ana"}, "labels": {"desk": "south"},
    }});
    let noted = editor.merge(what, &namespace, &note).await;
    noted.expect("what is nobody's may be changed");
    let status = json!({"status": {"summary": "BRL 0.00"}});
    let said = administrator.merge_status(what, &namespace, &status).await;
    refused(said, "only the operator writes the status of Compensations");
}

// shows D8: never edited afterwards, a wrong one is voided
#[tokio::test]
async fn an_editor_can_void_a_compensation_and_nothing_else() {
    let name = "a.b.c.t.credit";
    let plane = installed().await;
    let namespace = guarded(plane, "compensations").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-c", "edit", &namespace).await;
    let viewer = Person::with_role(plane, "bob-c", "view", &namespace).await;
    let object = own(CaseKind::Compensation, name, &namespace);
    refused(administrator.create(&object).await, COMPENSATIONS);
    refused(editor.create(&object).await, "forbidden");
    operator
        .create(&object)
        .await
        .expect("the operator makes it");

    let what = &format!("compensations.entente.dev/{name}");
    let record = json!({"spec": {"record": {"fee": {"amount": "13.00"}}}});
    let voided = json!({"spec": {"voided": {"reason": "wrong fee"}}});
    let both = json!({"spec": {
        "record": {"fee": {"amount": "13.00"}}, "voided": {"reason": "wrong fee"}
    }});
    for person in [&administrator, &editor] {
        for change in [&record, &both] {
            // The record's own rule may answer first; both refuse.
            refused(person.merge(what, &namespace, change).await, "ecord");
        }
    }
    let as_editor = plane.client_as("ana-c", &[]).await.expect("a client");
    let refusal = write_status(as_editor, &namespace, name).await;
    let refusal = refusal.expect_err("an editor cannot forge what was calculated");
    assert!(
        refusal.to_string().contains("compensations/status"),
        "{refusal}"
    );
    let as_operator = plane.client_for_service_account(NAMESPACE, "entente").await;
    write_status(as_operator.expect("a client"), &namespace, name)
        .await
        .expect("the operator writes the status");
    refused(viewer.merge(what, &namespace, &voided).await, "forbidden");
    // The operator makes records and never touches them again.
    refused(operator.merge(what, &namespace, &voided).await, "forbidden");
    editor
        .merge(what, &namespace, &voided)
        .await
        .expect("an editor voids it");
    let read = [
        "get",
        what,
        "-n",
        &namespace,
        "-o",
        "jsonpath={.spec.voided.reason}",
    ];
    assert_eq!(viewer.kubectl(&read, "").await.as_deref(), Ok("wrong fee"));
    refused(
        editor
            .kubectl(&["delete", what, "-n", &namespace], "")
            .await,
        "forbidden",
    );
}
