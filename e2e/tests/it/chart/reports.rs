//! Faults of the charts of other operators, as their users report them in public, tried with this
//! chart where its rendering decides.

use std::path::Path;

use entente_crds::yaml;
use serde_json::{Value, json};

use super::{chart, helm, named, of_kind, printed, rendered, repository};

/// A judgement of rendered objects: the fault that is there all the same.
type Judge = fn(&[Value]) -> Result<(), String>;

/// One report: the thread, what went wrong there, the values with which it went wrong, and what has
/// to hold here with the same values.
struct Report(&'static str, &'static str, &'static [&'static str], Judge);

fn ensure(holds: bool, fault: &dyn std::fmt::Display) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| fault.to_string())
}

fn pod(objects: &[Value]) -> &Value {
    &of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]
}

/// Calls `visit` with each value below a field of this name, at any depth.
fn each_below(value: &Value, field: &str, visit: &mut dyn FnMut(&Value)) {
    match value {
        Value::Object(fields) => {
            for (name, below) in fields {
                if name == field {
                    visit(below);
                }
                each_below(below, field, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_below(item, field, visit)),
        _ => {}
    }
}

const REPORTS: &[Report] = &[
    Report(
        "helm/charts#7127, DataDog/helm-charts#184",
        "a budget of one replica kept every node from being drained",
        &["replicas=1"],
        |objects| {
            let budgets = of_kind(objects, "PodDisruptionBudget").len();
            ensure(budgets == 0, &"there is a budget")
        },
    ),
    Report(
        "openshift/hypershift#9526",
        "minAvailable blocks drains once the replicas are scaled down by hand",
        &[],
        |objects| {
            let budget = &of_kind(objects, "PodDisruptionBudget")[0]["spec"];
            ensure(
                budget["minAvailable"].is_null() && budget["maxUnavailable"] == 1,
                budget,
            )
        },
    ),
    Report(
        "zalando/postgres-operator#2564, kubestellar/console#20824",
        "the fixed user could not be taken out, and OpenShift refused the Pods",
        &["podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null"],
        |objects| {
            let mut users = 0;
            for field in ["runAsUser", "runAsGroup", "fsGroup"] {
                each_below(pod(objects), field, &mut |_| users += 1);
            }
            let non_root = &pod(objects)["securityContext"]["runAsNonRoot"];
            ensure(users == 0 && *non_root == true, pod(objects))
        },
    ),
    Report(
        "redhat-cop/vault-config-operator#221, projectcapsule/capsule-proxy#199",
        "a ServiceMonitor by default made the first install fail",
        &[],
        |objects| {
            let foreign = objects.iter().find(|it| {
                it["apiVersion"]
                    .as_str()
                    .is_some_and(|version| version.starts_with("monitoring."))
            });
            ensure(foreign.is_none(), &format!("{foreign:?}"))
        },
    ),
    Report(
        "Kong/charts#478",
        "a ServiceMonitor that was asked for was left out without a word",
        &["metrics.serviceMonitor.enabled=true"],
        |objects| {
            ensure(
                named(objects, "ServiceMonitor", "entente").is_some(),
                &"it is left out",
            )
        },
    ),
    Report(
        "apecloud/kubeblocks#10888, opf/helm-charts#281, jetstack/version-checker#140",
        "more labels, or the version, came into selectors, which are immutable",
        &["commonLabels.team=print,podLabels.tier=two"],
        |objects| {
            let own = json!({"app.kubernetes.io/name": "entente", "app.kubernetes.io/instance": "entente"});
            let mut others = Vec::new();
            for object in of_kind(objects, "Deployment") {
                each_below(&object["spec"], "matchLabels", &mut |labels| {
                    if *labels != own {
                        others.push(labels.clone());
                    }
                });
            }
            ensure(others.is_empty(), &json!(others))
        },
    ),
    Report(
        "arkmq-org/arkmq-org-broker-operator#1382, fosrl/helm-charts#22",
        "egress that was held by default kept the operator from the API server",
        &[],
        |objects| {
            let policy = &of_kind(objects, "NetworkPolicy")[0]["spec"];
            ensure(policy["policyTypes"] == json!(["Ingress"]), policy)
        },
    ),
    Report(
        "cert-manager/cert-manager#5788, paradigmxyz/centaur#212",
        "egress let the port of the API server's Service, and not the one behind it",
        &[
            "networkPolicy.egress.enabled=true,networkPolicy.egress.to[0].to[0].ipBlock.cidr=10.0.0.0/8",
        ],
        |objects| {
            let rule = &of_kind(objects, "NetworkPolicy")[0]["spec"]["egress"][0];
            let lets = |port: u16| {
                rule["ports"]
                    .to_string()
                    .contains(&format!("\"port\":{port},"))
            };
            ensure(rule["to"].is_null() && lets(443) && lets(6443), rule)
        },
    ),
    Report(
        "stolostron/submariner-addon#2744",
        "one replica, none of which may be away: the next one must come before that ends",
        &["replicas=1"],
        |objects| {
            let strategy = &of_kind(objects, "Deployment")[0]["spec"]["strategy"]["rollingUpdate"];
            ensure(strategy["maxSurge"] == 1, strategy)
        },
    ),
    Report(
        "helm/charts#11309, pulumi/pulumi-kubernetes#2843",
        "numbers of a strategy that the API server filled in were in the way of another type",
        &[],
        |objects| {
            let strategy = &of_kind(objects, "Deployment")[0]["spec"]["strategy"];
            let numbers = strategy["rollingUpdate"]
                .as_object()
                .map(serde_json::Map::len);
            ensure(
                strategy["type"] == "RollingUpdate" && numbers == Some(2),
                strategy,
            )
        },
    ),
];

#[tokio::test]
async fn the_chart_repeats_no_mistake_that_others_report() {
    let mut repeated = Vec::new();
    for Report(threads, what, settings, judge) in REPORTS {
        if let Err(fault) = judge(&rendered(settings).await) {
            repeated.push(format!("{what} ({threads}): {fault}"));
        }
    }
    assert!(repeated.is_empty(), "{}", repeated.join("\n"));
}

/// argoproj/argo-helm#1114, cilium/cilium#33841, datawire/ambassador-chart#59: with `--reuse-values`
/// the values of the chart before are all that there is, and a new one is missing.
#[tokio::test]
async fn a_value_that_an_earlier_chart_did_not_have_may_be_missing() {
    let earlier = [
        "catalogueViewers",
        "commonLabels",
        "extraVolumeMounts",
        "extraVolumes",
        "metrics.serviceMonitor",
        "networkPolicy.egress",
        "operator.leaseDuration",
        "podDisruptionBudget",
        "podSecurityContext",
        "replicas",
        "securityContext",
        "topologySpreadConstraints",
    ]
    .map(|value| format!("{value}=null"));
    let settings: Vec<&str> = earlier.iter().map(String::as_str).collect();
    let (missing, whole) = (rendered(&settings).await, rendered(&[]).await);
    let of = |objects: &[Value]| {
        let mut deployment = of_kind(objects, "Deployment")[0]["spec"].clone();
        deployment["template"]["spec"]["topologySpreadConstraints"].take();
        deployment
    };
    assert_eq!(of(&missing), of(&whole), "the operator runs as it should");
}

/// hcengineering/huly-selfhost#321, sentry-kubernetes/charts#2245: what is random, or looked up in a
/// cluster, changes with each rendering by a tool of GitOps.
#[tokio::test]
async fn the_chart_renders_the_same_twice() {
    let all = [
        "events.enabled=true,events.tls.secretName=tls,metrics.serviceMonitor.enabled=true",
        "tenantSecrets.namespaces={acme}",
    ];
    let (once, twice) = (rendered(&all).await, rendered(&all).await);
    assert_eq!(once, twice);
    let roles = |objects: &[Value]| {
        let roles = of_kind(objects, "Role").into_iter();
        roles
            .filter(|it| it["metadata"]["namespace"] == "acme")
            .count()
    };
    assert_eq!(
        roles(&once),
        1,
        "without a cluster every namespace is taken as there"
    );
}

/// cert-manager/cert-manager#7334, losisin/helm-values-schema-json#254: a strict schema made the
/// chart useless as a dependency, where Helm adds `global` and the parent its condition.
#[tokio::test]
async fn the_chart_can_be_a_dependency_of_another_one() {
    let parent = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(parent.path().join(name), text).expect("written");
    };
    let about = "apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n  \
                 - {name: entente, version: 0.1.0, condition: entente.enabled}\n";
    write("Chart.yaml", about);
    write(
        "values.yaml",
        "global: {region: south}\nentente: {enabled: true, replicas: 3}\n",
    );
    let charts = parent.path().join("charts");
    std::fs::create_dir(&charts).expect("a directory");
    std::os::unix::fs::symlink(chart(), charts.join("entente")).expect("a link");
    let output = async |more: &[&str]| {
        let directory = parent.path().to_str().expect("UTF-8");
        let arguments = [&["template", "platform", directory], more].concat();
        let text = printed(&helm(None, &arguments).await);
        yaml::read_all::<Value>(&text).expect("YAML")
    };
    let objects = output(&[]).await;
    assert_eq!(of_kind(&objects, "Deployment")[0]["spec"]["replicas"], 3);
    assert_eq!(output(&["--set", "entente.enabled=false"]).await.len(), 0);
}

/// Templates that ask the cluster or draw lots cannot be rendered by those who have none.
#[test]
fn no_template_is_random_or_reads_the_clock() {
    fn templates(directory: &Path, visit: &mut dyn FnMut(&Path, &str)) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                templates(&path, visit);
            } else {
                visit(&path, &std::fs::read_to_string(&path).expect("text"));
            }
        }
    }
    let mut seen = 0;
    templates(
        &repository().join("charts/entente/templates"),
        &mut |path, text| {
            seen += 1;
            for function in [
                "rand",
                "genCA",
                "genSigned",
                "genSelfSigned",
                "genPrivateKey",
                "uuidv4",
                "now",
            ] {
                let actions = text
                    .split("{{")
                    .skip(1)
                    .filter_map(|rest| rest.split("}}").next());
                let found = actions
                    .filter(|action| !action.trim_start_matches(['-', ' ']).starts_with("/*"))
                    .any(|action| {
                        action
                            .split([' ', '(', '|'])
                            .any(|word| word.starts_with(function))
                    });
                assert!(!found, "{}: {function}", path.display());
            }
        },
    );
    assert!(seen > 15, "{seen} templates were read");
}

/// Artifact Hub ignores an annotation that it cannot read.
#[test]
fn the_annotations_for_artifact_hub_are_of_its_format() {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).expect("Chart.yaml");
    let metadata: Value = yaml::read(&text).expect("Chart.yaml is YAML");
    let annotation = |name: &str| {
        let value = &metadata["annotations"][format!("artifacthub.io/{name}")];
        value
            .as_str()
            .unwrap_or_else(|| panic!("{name} is no text"))
    };
    assert_eq!(annotation("operator"), "true");
    let levels = [
        "Basic Install",
        "Seamless Upgrades",
        "Full Lifecycle",
        "Deep Insights",
        "Auto Pilot",
    ];
    assert!(levels.contains(&annotation("operatorCapabilities")));
    assert_eq!(annotation("license"), "Apache-2.0");
    for truth in ["prerelease", "containsSecurityUpdates"] {
        assert!(["true", "false"].contains(&annotation(truth)), "{truth}");
    }
    let kinds = [
        "added",
        "changed",
        "deprecated",
        "removed",
        "fixed",
        "security",
    ];
    let changes: Vec<Value> = yaml::read(annotation("changes")).expect("a list");
    for change in &changes {
        let kind = change["kind"].as_str().expect("a kind");
        assert!(
            kinds.contains(&kind) && change["description"].is_string(),
            "{change}"
        );
    }
    assert!(!changes.is_empty());
    for definition in yaml::read::<Vec<Value>>(annotation("crds")).expect("a list") {
        for field in ["kind", "version", "name", "displayName", "description"] {
            assert!(definition[field].is_string(), "{field} of {definition}");
        }
    }
}
