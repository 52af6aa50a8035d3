//! Objects of a release that an upgrade or an uninstall keeps, changes or makes again.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use entente_crds::admission_cases::CaseKind;
use entente_crds::yaml;
use entente_e2e::control_plane::{ControlPlane, Options};
use serde_json::{Value, json};

use super::super::cluster::{NAMESPACE, Person, eventually, install, installed, own, refused};
use super::super::{chart, helm, printed};

/// A chart of one contract whose lists come from values, as a customer's own chart would be.
fn contract_chart(directory: &Path) {
    let mut contract = own(CaseKind::Contract, "wrapped", NAMESPACE);
    let service = contract["spec"]["services"][0]
        .as_object_mut()
        .expect("a service");
    service.remove("elect");
    service["devices"] = json!({"names": "NAMES"});
    service["remedies"] = json!("REMEDIES");
    contract["spec"]["countedCauses"] = json!("CAUSES");
    let mut template = yaml::write(&contract).expect("plain data");
    for (mark, value) in [
        ("NAMES", "names"),
        ("REMEDIES", "remedies"),
        ("CAUSES", "causes"),
    ] {
        template = template.replace(mark, &format!("{{{{ toJson .Values.{value} }}}}"));
    }
    std::fs::create_dir_all(directory.join("templates")).expect("a directory");
    let head = "apiVersion: v2\nname: wrapper\nversion: 1.0.0\n";
    std::fs::write(directory.join("Chart.yaml"), head).expect("written");
    std::fs::write(directory.join("templates/contract.yaml"), template).expect("written");
}

/// Helm 4 applies on the server's side; a defaulted list could never be made shorter there.
#[tokio::test]
async fn a_list_that_an_upgrade_makes_shorter_reads_back_as_it_was_set() {
    let plane = installed().await;
    let directory = tempfile::tempdir().expect("a directory");
    contract_chart(directory.path());
    let remedy =
        |name: &str| json!({"name": name, "type": "FeeCredit", "credit": {"basis": "FullDays"}});
    let steps = [
        (
            json!(["a", "b", "c"]),
            json!([remedy("x"), remedy("y")]),
            json!(["Device", "Server"]),
        ),
        (json!(["a", "c"]), json!([remedy("y")]), json!(["Server"])),
        (json!(["c", "d", "a"]), json!([]), json!([])),
    ];
    for (names, remedies, causes) in steps {
        let values = [
            format!("names={names}"),
            format!("remedies={remedies}"),
            format!("causes={causes}"),
        ];
        let values = [values[0].as_str(), values[1].as_str(), values[2].as_str()];
        install(plane, "wrapper", directory.path(), &values).await;
        let get = ["get", "contract", "wrapped", "-n", NAMESPACE, "-o", "json"];
        let read = Person::administrator(plane)
            .kubectl(&get, "")
            .await
            .expect("it is there");
        let read: Value = serde_json::from_str(&read).expect("kubectl writes JSON");
        let service = &read["spec"]["services"][0];
        assert_eq!(service["devices"]["names"], names);
        // A list by keys that becomes empty is dropped altogether.
        let found = service["remedies"].as_array().cloned().unwrap_or_default();
        assert_eq!(json!(found), remedies);
        assert_eq!(read["spec"]["countedCauses"], causes);
    }
}

/// Uninstalling must never delete a contract, unless that was asked for.
#[tokio::test]
async fn an_uninstall_keeps_definitions_and_contracts_unless_told_otherwise() {
    // Only a control plane of our own has an audit log: no other cluster is emptied.
    let options = Options {
        audit: true,
        ..Options::default()
    };
    let plane = ControlPlane::start(options).await.expect("a control plane");
    let administrator = Person::administrator(&plane);
    let uninstall = ["uninstall", "entente", "--namespace", NAMESPACE];
    let definitions = ["get", "crd", "-o", "name"];
    let left = async || {
        let said = administrator
            .kubectl(&definitions, "")
            .await
            .expect("listed");
        let ours = said.lines().filter(|line| line.ends_with(".entente.dev"));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };

    install(&plane, "entente", &chart(), &[]).await;
    let contract = own(CaseKind::Contract, "kept", NAMESPACE);
    administrator.create(&contract).await.expect("created");
    printed(&helm(Some(plane.kubeconfig()), &uninstall).await);
    assert_eq!(left().await.len(), CaseKind::ALL.len());
    let get = ["get", "contract", "kept", "-n", NAMESPACE];
    administrator
        .kubectl(&get, "")
        .await
        .expect("the contract is still there");
    refused(
        administrator
            .kubectl(&["get", "deployment", "entente", "-n", NAMESPACE], "")
            .await,
        "not found",
    );

    install(&plane, "entente", &chart(), &[r#"crds={"keep":false}"#]).await;
    administrator
        .kubectl(&get, "")
        .await
        .expect("an install takes them over");
    let notes = ["get", "notes", "entente", "--namespace", NAMESPACE];
    let notes = printed(&helm(Some(plane.kubeconfig()), &notes).await);
    assert!(notes.contains("WARNING: crds.keep=false"), "{notes}");
    printed(&helm(Some(plane.kubeconfig()), &uninstall).await);
    let looks = AtomicUsize::new(0);
    eventually("the definitions are gone", async || {
        let left = left().await;
        if left.is_empty() {
            return Ok(());
        }
        // An API server that meets a definition whose storage is not ready yet forgets to try the
        // removal again, until the definition changes.
        let look = format!("look={}", looks.fetch_add(1, Ordering::Relaxed));
        let mut annotate = vec!["annotate", "--overwrite"];
        annotate.extend(left.iter().map(String::as_str));
        annotate.push(&look);
        if let Err(said) = administrator.kubectl(&annotate, "").await {
            assert!(
                said.contains("NotFound"),
                "one that has gone meanwhile: {said}"
            );
        }
        Err(left.join("\n"))
    })
    .await;
}

// shows K1, K4
#[tokio::test]
async fn an_upgrade_leaves_the_key_for_digests_as_it_is_and_makes_one_that_was_deleted_again() {
    let plane = ControlPlane::start(Options::default())
        .await
        .expect("a control plane");
    install(&plane, "entente", &chart(), &[]).await;
    let operator = Person::operator(&plane).await;
    let read = async || {
        let get = [
            "get",
            "secret",
            "entente-digest-key",
            "-n",
            NAMESPACE,
            "-o",
            "json",
        ];
        let said = operator.kubectl(&get, "").await.expect("it may read it");
        serde_json::from_str::<Value>(&said).expect("JSON")
    };
    let mut secret = read().await;
    assert_eq!(secret.get("data"), None, "the chart makes it empty");
    secret["data"] = json!({"key": "c2l4dGVlbiBieXRlcyBhbmQgYXMgbWFueSBhZ2Fpbg=="});
    let replace = ["replace", "-f", "-"];
    let written = operator.kubectl(&replace, &secret.to_string()).await;
    written.expect("it may write it");

    let granted = "tenantSecrets.namespaces=[\"default\"]";
    install(&plane, "entente", &chart(), &[granted]).await;
    assert_eq!(read().await["data"], secret["data"]);
    assert!(operator.can("get", "secrets", "default").await);
    assert!(!operator.can("list", "secrets", "default").await);

    // What a message and the guide name as the cure of a key that was deleted.
    let delete = ["delete", "secret", "entente-digest-key", "-n", NAMESPACE];
    let administrator = Person::administrator(&plane);
    let deleted = administrator.kubectl(&delete, "").await;
    deleted.expect("an administrator may delete it");
    install(&plane, "entente", &chart(), &[granted]).await;
    assert_eq!(read().await.get("data"), None, "an upgrade makes it again");
}
