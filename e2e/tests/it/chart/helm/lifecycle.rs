//! A release over its life on a real API server: upgraded from an earlier chart, rolled back, turned
//! into one for named namespaces, and the owner of definitions that were applied apart.
//!
//! The earlier chart is today's with files of the folder `earlier` in place of its own: the
//! Deployment and the values of the chart before there was an election of a leader.

use std::fs;
use std::path::Path;

use entente_crds::admission_cases::CaseKind;
use entente_crds::{manifest, yaml};
use serde_json::json;
use tempfile::TempDir;

use super::super::cluster::{NAMESPACE, Person, own};
use super::super::{chart, repository};
use super::Release;

/// The kind that the earlier chart does not have.
const NEW_KIND: &str = "contractnotices";
/// The field of a Contract's spec that the earlier chart does not have.
const NEW_FIELD: &str = "succeeds";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Returns the directory of an earlier chart.
fn earlier() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    copy(&chart(), root);
    copy(&repository().join("e2e/tests/it/chart/earlier"), root);
    let later = [
        "values.schema.json",
        "templates/disruption-budget.yaml",
        "templates/service-monitor.yaml",
        "templates/watched-namespaces.yaml",
        "templates/crds/contractnotices.yaml",
    ];
    for file in later {
        fs::remove_file(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let edit = |file: &str, change: &dyn Fn(&str) -> String| {
        let text = fs::read_to_string(root.join(file)).expect("text");
        let changed = change(&text);
        assert_ne!(changed, text, "{file}");
        fs::write(root.join(file), changed).expect("written");
    };
    edit("Chart.yaml", &|text| {
        text.replace("version: 0.1.0\nappVersion", "version: 0.0.9\nappVersion")
    });
    edit("templates/crds/contracts.yaml", &without_new_field);
    directory
}

/// Takes the new field out of the definition of Contracts, in a template or in a manifest.
fn without_new_field(text: &str) -> String {
    let head = format!("              {NEW_FIELD}:\n");
    let (before, rest) = text.split_once(&head).expect("the field is in the spec");
    let deeper = |line: &&str| line.starts_with("               ") || line.is_empty();
    let rest: Vec<&str> = rest.lines().skip_while(deeper).collect();
    format!("{before}{}\n", rest.join("\n"))
}

impl Release {
    /// Creates the contract `kept`, as an earlier definition knows it.
    async fn create_contract(&self) {
        let mut contract = own(CaseKind::Contract, "kept", NAMESPACE);
        let spec = contract["spec"].as_object_mut().expect("a spec");
        spec.remove(NEW_FIELD).expect("all fields are there");
        let created = self.kubectl("create -f -", &contract.to_string()).await;
        created.expect("a contract");
    }

    async fn has_new_field(&self) -> bool {
        let definition = self.object("crd/contracts.entente.dev").await;
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        definition
            .pointer(spec)
            .expect("a schema")
            .get(NEW_FIELD)
            .is_some()
    }

    async fn has_new_kind(&self) -> bool {
        !self
            .object(&format!("crd/{NEW_KIND}.entente.dev"))
            .await
            .is_null()
    }
}

// shows K4
/// NVIDIA/nodewright#464: a rollback deleted the definition that the earlier chart did not have, and
/// every object of it. helm/charts#11309: one to the type Recreate failed.
#[tokio::test]
async fn an_upgrade_from_an_earlier_chart_is_rolled_back_without_the_loss_of_an_object() {
    let release = Release::none().await;
    let (earlier, today) = (earlier(), chart());
    let (earlier, today) = (earlier.path().display(), today.display());
    let set = "--create-namespace --set log.level=debug,tenantSecrets.namespaces={default}";
    release
        .helm(&format!("install entente {earlier} {set}"))
        .await
        .expect("installed");
    release.create_contract().await;
    let before = release.object("contract/kept").await["metadata"]["uid"].take();
    assert_eq!(release.deployment().await["strategy"]["type"], "Recreate");
    assert!(!release.has_new_kind().await && !release.has_new_field().await);

    let upgrade = format!("upgrade entente {today} --reset-then-reuse-values");
    release.helm(&upgrade).await.expect("upgraded");
    let deployment = release.deployment().await;
    assert_eq!(deployment["replicas"], 2);
    assert_eq!(deployment["strategy"]["rollingUpdate"]["maxSurge"], 1);
    let arguments = deployment["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(
        arguments.contains("--log-level=debug"),
        "what was set is kept"
    );
    assert!(!release.object("pdb/entente").await.is_null());
    assert!(release.has_new_kind().await && release.has_new_field().await);
    let notice = own(CaseKind::ContractNotice, "kept", NAMESPACE).to_string();
    release
        .kubectl("create -f -", &notice)
        .await
        .expect("a notice");

    release
        .helm("rollback entente 1")
        .await
        .expect("rolled back");
    let deployment = release.deployment().await;
    assert_eq!(
        (&deployment["replicas"], &deployment["strategy"]),
        (&json!(1), &json!({"type": "Recreate"}))
    );
    assert!(release.object("pdb/entente").await.is_null());
    assert!(
        !release.has_new_field().await,
        "a definition goes back with its chart"
    );
    assert!(
        release.has_new_kind().await,
        "one that the chart did not have stays"
    );
    assert!(!release.object("contractnotice/kept").await.is_null());

    // argoproj/argo-helm#1114: no value that the earlier chart did not have is asked for.
    let reuse = format!("upgrade entente {today} --reuse-values");
    release
        .helm(&reuse)
        .await
        .expect("upgraded with old values alone");
    assert!(release.has_new_field().await);
    assert_eq!(release.deployment().await["replicas"], 2);
    let after = release.object("contract/kept").await["metadata"]["uid"].take();
    assert_eq!(after, before, "the contract is the same all the time");
}

/// openservicemesh/osm#5117: definitions that go back drop fields of objects.
#[tokio::test]
async fn an_earlier_operator_can_run_with_todays_definitions() {
    let release = Release::none().await;
    let (earlier, today) = (earlier(), chart());
    let install = format!("install entente {} --create-namespace", today.display());
    release.helm(&install).await.expect("installed");
    let back = format!(
        "upgrade entente {} --reset-then-reuse-values --set crds.enabled=false",
        earlier.path().display()
    );
    release
        .helm(&back)
        .await
        .expect("the earlier chart without its definitions");
    assert_eq!(release.deployment().await["strategy"]["type"], "Recreate");
    assert!(release.has_new_field().await && release.has_new_kind().await);
    let forth = format!(
        "upgrade entente {} --reset-then-reuse-values --set crds.enabled=true",
        today.display()
    );
    release
        .helm(&forth)
        .await
        .expect("today's again, with its definitions");
    assert_eq!(release.deployment().await["replicas"], 2);
    assert!(release.has_new_field().await && release.has_new_kind().await);
}

/// Applies the definitions without Helm; those of Contracts without the new field.
async fn apply_apart(release: &Release) {
    for definition in manifest::all() {
        let mut text = yaml::write(&definition).expect("plain data");
        if definition.spec.names.plural == "contracts" {
            text = without_new_field(&text);
        }
        let applied = release.kubectl("apply --server-side -f -", &text).await;
        applied.expect("applied");
    }
}

#[tokio::test]
async fn definitions_that_were_applied_apart_are_taken_over_when_it_is_asked_for_and_not_before() {
    let release = Release::none().await;
    apply_apart(&release).await;
    let today = chart();
    let today = today.display();
    let install = format!("install entente {today} --create-namespace");
    let said = release
        .helm(&install)
        .await
        .expect_err("they are somebody else's");
    assert!(
        said.contains("cannot be imported into the current release"),
        "{said}"
    );
    let apart =
        format!("upgrade --install entente {today} --create-namespace --set crds.enabled=false");
    release.helm(&apart).await.expect("without them");
    release.create_contract().await;

    let upgrade =
        format!("upgrade entente {today} --reset-then-reuse-values --set crds.enabled=true");
    let said = release
        .helm(&upgrade)
        .await
        .expect_err("still somebody else's");
    assert!(
        said.contains("cannot be imported into the current release"),
        "{said}"
    );
    assert!(!release.has_new_field().await);
    // Helm 4 applies on the server's side, where kubectl is the manager of each field.
    let take = format!("{upgrade} --take-ownership");
    let said = release.helm(&take).await.expect_err("they differ");
    assert!(
        said.contains("conflict with") && said.contains("kubectl"),
        "{said}"
    );
    let take = format!("{take} --force-conflicts");
    release.helm(&take).await.expect("taken over");
    assert!(release.has_new_field().await, "and upgraded");
    let definition = release.object("crd/contracts.entente.dev").await;
    let annotations = &definition["metadata"]["annotations"];
    assert_eq!(annotations["meta.helm.sh/release-name"], "entente");
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    release
        .helm(&upgrade)
        .await
        .expect("from now on without the flags");
    assert!(!release.object("contract/kept").await.is_null());
}

// shows K4
#[tokio::test]
async fn a_release_for_the_cluster_becomes_one_for_a_namespace_and_back() {
    let release = Release::none().await;
    let today = chart();
    let today = today.display();
    release
        .kubectl("create namespace acme", "")
        .await
        .expect("made");
    let upgrade =
        format!("upgrade --install entente {today} --create-namespace --reset-then-reuse-values");
    let operator = async |namespace: &str| {
        let operator = Person::operator(&release.plane).await;
        operator
            .can("patch", "contracts.entente.dev", namespace)
            .await
    };
    release.helm(&upgrade).await.expect("installed");
    assert!(operator("default").await && operator("acme").await);

    let narrow = format!("{upgrade} --set watchNamespaces={{acme}}");
    release.helm(&narrow).await.expect("narrowed");
    assert!(!operator("default").await && operator("acme").await);
    let policies = "get validatingadmissionpolicies,clusterroles -o name";
    let names = release.kubectl(policies, "").await.expect("listed");
    let ours = names.lines().filter(|name| name.contains("entente"));
    for name in ours {
        assert!(name.contains(NAMESPACE), "{name} is of the whole cluster");
    }

    let widen = format!("{upgrade} --set watchNamespaces=null");
    release.helm(&widen).await.expect("widened");
    assert!(operator("default").await);
    assert!(
        release
            .object("role/entente-tenant -n acme")
            .await
            .is_null()
    );
}
