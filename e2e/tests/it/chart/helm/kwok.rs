//! A rollout, evictions and a rollback of the operator's Deployment, on nodes whose kubelet is kwok.
//! Helm, the scheduler and the controllers of Deployments and disruption budgets are the real ones.
//!
//! No container runs here: a Pod is ready when a stage of `kwok/stages.yaml` writes so. Nothing of this
//! shows that the operator starts, that it answers its probes, or that it ends within its time.

mod pods;

use entente_e2e::control_plane::Options;
use entente_e2e::peers::Kwok;
use serde_json::{Value, json};

use super::super::cluster::{NAMESPACE, eventually};
use super::super::{chart, repository};
use super::Release;
use pods::WatchedPods;

/// Nodes by name, with their zone and their processors. Without its wish to be spread, a Pod would never
/// get the small one.
const NODES: [(&str, &str, &str); 3] = [("a-1", "a", "8"), ("a-2", "a", "8"), ("b-1", "b", "1")];

/// The release on nodes, with both Pods ready.
struct Installed {
    release: Release,
    kwok: Kwok,
}

impl Installed {
    /// Makes nodes, starts their kubelet and installs the chart; Helm waits until it is ready.
    async fn start() -> Self {
        let options = Options {
            workloads: true,
            ..Options::default()
        };
        let release = Release::none_on(options).await;
        for (name, zone, processors) in NODES {
            let resources = json!({"cpu": processors, "memory": "4Gi", "pods": "110"});
            let labels =
                json!({"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone});
            let node = json!({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
                "status": {"allocatable": resources, "capacity": resources},
            });
            let made = release.kubectl("create -f -", &node.to_string()).await;
            made.expect("a node");
        }
        let stages = repository().join("e2e/tests/it/chart/helm/kwok/stages.yaml");
        let kwok = Kwok::start(release.plane.kubeconfig(), &stages).await;
        let installed = Self {
            release,
            kwok: kwok.expect("a kubelet"),
        };
        let install = "--install --create-namespace --set metrics.service.enabled=true";
        installed.upgrade(install).await.expect("installed");
        installed
    }

    /// Runs `helm upgrade --wait` with these flags; its output, or its error.
    async fn upgrade(&self, flags: &str) -> Result<String, String> {
        let line = format!(
            "upgrade entente {} --reset-then-reuse-values --wait --timeout 60s {flags}",
            chart().display()
        );
        self.release.helm(&line).await
    }

    /// Watches the Pods from now on.
    async fn watch(&self) -> WatchedPods {
        let client = self.release.plane.client().await.expect("a client");
        WatchedPods::of(client)
    }

    async fn kubectl(&self, line: &str) -> String {
        self.release.kubectl(line, "").await.expect("kubectl")
    }

    /// Asserts that `kubectl rollout status` ends well.
    async fn is_rolled_out(&self) {
        let status = format!("rollout status deployment/entente -n {NAMESPACE} --timeout=60s");
        let said = self.kubectl(&status).await;
        assert!(said.contains("successfully rolled out"), "{said}");
    }

    /// Returns the image of the Deployment.
    async fn image(&self) -> Value {
        self.release.deployment().await["template"]["spec"]["containers"][0]["image"].take()
    }

    /// Asks for the eviction of a Pod, as a drain does.
    async fn evict(&self, pod: &str) -> Result<String, String> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction");
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": pod, "namespace": NAMESPACE},
        });
        let line = format!("create --raw {path} -f -");
        self.release.kubectl(&line, &eviction.to_string()).await
    }

    /// Waits until the Service of metrics leads to these addresses and to no others.
    async fn metrics_lead_to(&self, addresses: &[String]) {
        eventually("the Service of metrics leads to the Pods", async || {
            let slices = format!(
                "endpointslices -l kubernetes.io/service-name=entente-metrics -n {NAMESPACE}"
            );
            let path = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}";
            let found = self.kubectl(&format!("get {slices} -o {path}")).await;
            let mut found: Vec<&str> = found.split_whitespace().collect();
            found.sort_unstable();
            let same = found == addresses;
            same.then_some(())
                .ok_or_else(|| format!("{found:?}, Pods {addresses:?}"))
        })
        .await;
    }
}

#[tokio::test]
async fn an_upgrade_brings_new_pods_one_by_one_and_two_are_ready_all_the_time() {
    let installed = Installed::start().await;
    let pods = installed.watch().await;
    pods.are_two_of("0.1.0", &installed.kwok).await;
    assert!(pods.zones_are_both(), "{pods:?}");
    installed.metrics_lead_to(&pods.addresses()).await;

    installed
        .upgrade("--set image.tag=0.1.1")
        .await
        .expect("upgraded");
    installed.is_rolled_out().await;
    pods.are_two_of("0.1.1", &installed.kwok).await;
    assert_eq!(pods.fewest_ready(), 2, "{pods:?}");
    assert!(pods.zones_are_both(), "{pods:?}");
    installed.metrics_lead_to(&pods.addresses()).await;
}

#[tokio::test]
async fn a_second_pod_is_evicted_only_once_the_first_one_has_a_successor_that_is_ready() {
    let installed = Installed::start().await;
    let pods = installed.watch().await;
    pods.are_two_of("0.1.0", &installed.kwok).await;
    let [first, second] = pods.names();
    let budget = async || {
        eventually("the budget allows one eviction", async || {
            let path = "jsonpath={.status.disruptionsAllowed}";
            let allowed = format!("get pdb entente -n {NAMESPACE} -o {path}");
            let allowed = installed.kubectl(&allowed).await;
            (allowed == "1").then_some(()).ok_or(allowed)
        })
        .await;
    };
    budget().await;
    // A successor then has no node to be on.
    installed
        .kubectl("cordon --selector=kubernetes.io/hostname")
        .await;
    installed
        .evict(&first)
        .await
        .expect("the budget allows one");
    let said = installed
        .evict(&second)
        .await
        .expect_err("it allows no other");
    assert!(
        said.contains("violate the pod's disruption budget"),
        "{said}"
    );

    installed
        .kubectl("uncordon --selector=kubernetes.io/hostname")
        .await;
    pods.are_two_of("0.1.0", &installed.kwok).await;
    assert!(
        pods.names().contains(&second),
        "it is there all the time: {pods:?}"
    );
    assert_eq!(pods.fewest_ready(), 1, "{pods:?}");
    budget().await;
    installed
        .evict(&second)
        .await
        .expect("the budget allows it now");
}

#[tokio::test]
async fn an_upgrade_whose_pods_do_not_get_ready_is_rolled_back_and_two_are_ready_all_the_time() {
    let installed = Installed::start().await;
    let pods = installed.watch().await;
    pods.are_two_of("0.1.0", &installed.kwok).await;
    let before = installed.image().await;

    let bad = "--set image.tag=never-ready --rollback-on-failure --timeout 15s";
    let said = installed
        .upgrade(bad)
        .await
        .expect_err("it does not get ready");
    assert!(said.contains("has been rolled back"), "{said}");
    pods.are_two_of("0.1.0", &installed.kwok).await;
    assert_eq!(installed.image().await, before);
    assert_eq!(pods.fewest_ready(), 2, "{pods:?}");
    assert!(pods.most() > 2, "the bad one was tried: {pods:?}");
    let history = installed.release.helm("history entente -o json").await;
    let history: Vec<Value> = serde_json::from_str(&history.expect("a history")).expect("JSON");
    let states: Vec<&Value> = history.iter().map(|it| &it["status"]).collect();
    assert_eq!(states, ["superseded", "failed", "deployed"]);
    installed.is_rolled_out().await;
}
