//! Contracts from a repository, by the real programs: Flux's kustomize-controller, and the
//! gitops-engine of Argo CD with the health scripts that we ship. Both are built from their own
//! source (`e2e/judges`), know nothing of Entente and judge it from outside.
//!
//! What has gone wrong for others with an operator's objects, and where it is tried here:
//!
//! | public report | what went wrong | tried by |
//! |---|---|---|
//! | argoproj/argo-cd#28724 | defaults inside a list: for ever OutOfSync | `argo_cd/differences.rs`, `flux/differences.rs`, with an object for each such default |
//! | NVIDIA/gpu-operator#2795 | a default of a field that no manifest has: for ever OutOfSync | `argo_cd/differences.rs` |
//! | argoproj/argo-cd#6008 | the operator writes `8760h` as `8760h0m0s`: for ever OutOfSync | `argo_cd/differences.rs` |
//! | strimzi/strimzi-kafka-operator#9278, fluxcd/flux2#4346 | ready before the operator has seen the object | `flux/unseen.rs` |
//! | kedacore/http-add-on#1390 | three conditions Ready: never ready for Flux | `flux/kustomization.rs`: Flux becomes Ready |
//! | fluxcd/kustomize-controller#301 | pruning does not turn `dependsOn` round | `flux/prune.rs` |
//! | argoproj/argo-cd#9296 | pruned while the operator is away: never gone | `flux/unseen.rs` |
//! | argoproj/argo-cd#18672 | the operator makes children again during foreground deletion | `argo_cd/prune.rs` |
//! | crossplane/crossplane#2121, argoproj-labs/argocd-operator#2214 | a child has the marks of its parent and is pruned | `argo_cd/sync.rs` |
//! | argoproj/argo-cd#14442 | a wave does not wait for a kind without health | `argo_cd/sync.rs`, with and without our scripts |
//! | fluxcd/kustomize-controller#834 | `force` deletes an object whose edit is refused | `flux/force.rs`; docs/guide/gitops.md warns |
//! | fluxcd/kustomize-controller#1737 | an expression is not read while observedGeneration is behind | docs/guide/gitops.md: none is needed |

mod archive;
mod argo_cd;
mod examples;
mod flux;

use entente_crds::v1alpha1::{Contract, Device, ServiceSubscription};
use entente_crds::yaml;
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::TestNamespace;
use kube::ResourceExt;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::delivery_fixture::{DeliveryFixture, test_namespace};
use archive::Files;

/// Name of the source, in documents and here.
const SOURCE: &str = "contracts";

const CATALOGUE: &str = "catalogue/catalogue.yaml";
const DEVICES: &str = "devices/devices.yaml";
const CONTRACTS: &str = "contracts/contracts.yaml";

/// A value that a device has before any service sets another.
const OWN_MODE: &str = "differential";

/// Creates a namespace with a fleet and a broker, and nothing else: the rest comes from files.
async fn peers(title: &str, devices: usize) -> DeliveryFixture<'static> {
    let namespace = test_namespace(title).await;
    with_peers(namespace, devices).await
}

async fn with_peers(namespace: TestNamespace<'_>, devices: usize) -> DeliveryFixture<'_> {
    let fleet = namespace.fleet(devices).await.unwrap();
    let broker = namespace.broker().await.unwrap();
    DeliveryFixture {
        namespace,
        fleet,
        broker,
    }
}

/// Returns the repository of a fixture: its catalogue, its devices and the contract.
fn repository(fixture: &DeliveryFixture<'_>, contract: &Contract) -> Files {
    let namespace = &fixture.namespace;
    let catalogue = [
        object(&namespace.device_connection(fixture.fleet.port())),
        object(&namespace.broker_connection(&fixture.broker.url())),
        object(&namespace.model()),
        object(&namespace.backup()),
        object(&namespace.parts()),
    ];
    let devices = fixture.fleet.devices().iter();
    let devices: Vec<Json> = devices.map(|it| object(&namespace.device(it))).collect();
    Files::from([
        (CATALOGUE.to_owned(), manifest(&catalogue)),
        (DEVICES.to_owned(), manifest(&devices)),
        (CONTRACTS.to_owned(), manifest(&[object(contract)])),
    ])
}

/// Returns an object as people write it: without the fields that a client leaves empty.
fn object(object: &impl Serialize) -> Json {
    let mut object = serde_json::to_value(object).unwrap();
    object.as_object_mut().expect("an object").remove("status");
    object
}

/// Returns a file with these objects.
fn manifest(objects: &[Json]) -> String {
    let texts = objects.iter().map(|it| yaml::write(it).unwrap());
    texts.collect::<Vec<_>>().join("---\n")
}

/// Returns a file with a ConfigMap that is there only to be later than something.
fn marker(name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// Waits until nothing of a fixture is there any more: neither objects nor instances.
async fn everything_is_gone(fixture: &DeliveryFixture<'_>) {
    let namespace = &fixture.namespace;
    let gone = namespace.soon("everything is gone", async || {
        let left = namespace.list::<Contract>().await.len()
            + namespace.list::<ServiceSubscription>().await.len()
            + namespace.list::<Device>().await.len()
            + catalogue_left(namespace).await.len();
        (left == 0).then_some(())
    });
    gone.await.unwrap();
    assert!(fixture.broker.instances().is_empty());
}

/// Returns the names of the objects of the catalogue that are still there.
async fn catalogue_left(namespace: &TestNamespace<'_>) -> Vec<String> {
    use entente_crds::v1alpha1::{Connection, DeviceModel, SmartService};
    let all = kube::api::ListParams::default();
    let mut names = Vec::new();
    let listed = namespace.catalogue::<Connection>().list(&all).await;
    names.extend(listed.unwrap().iter().map(ResourceExt::name_any));
    let listed = namespace.catalogue::<DeviceModel>().list(&all).await;
    names.extend(listed.unwrap().iter().map(ResourceExt::name_any));
    let listed = namespace.catalogue::<SmartService>().list(&all).await;
    names.extend(listed.unwrap().iter().map(ResourceExt::name_any));
    names.retain(|name| name.starts_with(&format!("{}-", namespace.name())));
    names
}

/// Returns the requests of a user since the position of the audit log that could change an object of
/// Entente; those that only ask for what would happen are none.
async fn writes_since(plane: &ControlPlane, user: &str, position: u64) -> Vec<String> {
    let mut events = plane.audit_events_since(position).await.unwrap();
    assert!(
        events.iter().any(|it| it.user == user),
        "{user} has asked nothing at all"
    );
    events.retain(|it| {
        it.user == user && it.is_write() && it.group == "entente.dev" && !it.uri.contains("dryRun")
    });
    let line = |it: &entente_e2e::control_plane::AuditEvent| {
        format!("{} {}/{}: {}", it.verb, it.resource, it.name, it.code)
    };
    events.iter().map(line).collect()
}

/// Annotation of Argo CD: the step of a sync in which an object is applied.
const WAVE: &str = "argocd.argoproj.io/sync-wave";

/// Returns the repository with a wave for each folder, and in the last one a ConfigMap `after`: of
/// the last wave, Argo CD does not wait for the health.
fn in_waves(fixture: &DeliveryFixture<'_>, contract: &Contract) -> Files {
    let mut files = repository(fixture, contract);
    for (folder, wave) in [("catalogue", "0"), ("devices", "1"), ("contracts", "2")] {
        let path = format!("{folder}/{folder}.yaml");
        let objects: Vec<Json> = entente_crds::yaml::read_all(&files[&path]).unwrap();
        let objects: Vec<Json> = objects.into_iter().map(|it| in_wave(it, wave)).collect();
        files.insert(path, manifest(&objects));
    }
    let after = in_wave(marker("after"), "3");
    files.insert("after.yaml".to_owned(), manifest(&[after]));
    files
}

fn in_wave(mut object: Json, wave: &str) -> Json {
    object["metadata"]["annotations"][WAVE] = json!(wave);
    object
}

/// Edits the contract `sul` by a merge patch, as `kubectl patch` does.
async fn edit(namespace: &TestNamespace<'_>, patch: &Json) {
    let patch = patch.to_string();
    let edit = ["patch", "contract/sul", "-n", namespace.name()];
    let edit = [edit.as_slice(), &["--type", "merge", "-p", &patch]].concat();
    let edited = namespace.plane().kubectl(edit).await.unwrap();
    assert!(edited.status.success(), "{edited:?}");
}

/// Value of a setting of the first device: what was there before any service was, or else.
fn mode(fixture: &DeliveryFixture<'_>) -> Json {
    let value = fixture.device(0).attribute("nw-backup-mode");
    value.expect("it has the setting")
}

/// Gives the first device a value that is somebody's own, and that the service sets to another.
fn give_own_value(fixture: &DeliveryFixture<'_>) {
    let value = [("nw-backup-mode".to_owned(), json!(OWN_MODE))];
    fixture.device(0).set_attributes(&value.into()).unwrap();
}
