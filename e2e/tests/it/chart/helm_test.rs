//! `helm test`: a Pod with the operator's own image that requests its pages, and what lets it in.

use std::ffi::OsStr;

use entente_crds::yaml;
use entente_e2e::control_plane::{ControlPlane, Options};
use serde_json::{Value, json};

use super::cluster::{NAMESPACE, Person, eventually, install};
use super::{chart, container, helm, named, of_kind, printed};

/// Returns the objects that the chart renders with these settings, those of `helm test` included.
async fn with_tests(settings: &[&str]) -> Vec<Value> {
    let chart = chart();
    let mut arguments = vec![
        OsStr::new("template"),
        OsStr::new("entente"),
        chart.as_os_str(),
    ];
    arguments.extend(["--namespace", "entente-system"].map(OsStr::new));
    for setting in settings {
        arguments.extend(["--set", setting].map(OsStr::new));
    }
    yaml::read_all(&printed(&helm(None, &arguments).await)).expect("helm renders YAML")
}

/// True if an object with these labels is one of those that a selector is about.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("a selector by labels");
    assert!(!wanted.is_empty(), "an empty selector is about everything");
    wanted.iter().all(|(label, value)| labels[label] == *value)
}

#[tokio::test]
async fn the_pod_of_helm_test_has_the_image_of_the_operator_whatever_names_that() {
    let digest = format!("sha256:{}", "5e".repeat(32));
    let pinned = format!("image.digest={digest}");
    let own = "image.repository=registry.example/entente";
    for (settings, expected) in [
        (vec![], "ghcr.io/entente-dev/entente:0.1.0".to_owned()),
        (
            vec![own, "image.tag=v7"],
            "registry.example/entente:v7".to_owned(),
        ),
        (
            vec![own, "image.tag=v7", &pinned],
            format!("registry.example/entente@{digest}"),
        ),
    ] {
        let objects = with_tests(&settings).await;
        assert_eq!(container(&objects)["image"], expected, "{settings:?}");
        let pod = named(&objects, "Pod", "entente-test").expect("a Pod");
        assert_eq!(
            pod["spec"]["containers"][0]["image"], expected,
            "{settings:?}"
        );
    }
}

#[tokio::test]
async fn what_helm_test_makes_is_made_by_nothing_else_and_is_no_operator() {
    let objects = with_tests(&["networkPolicy.metricsFrom[0].podSelector.matchLabels.a=b"]).await;
    let deployment = &of_kind(&objects, "Deployment")[0]["spec"];
    let operators = &deployment["selector"]["matchLabels"];
    let ours = ["Service", "NetworkPolicy", "Pod"].map(|kind| {
        named(&objects, kind, "entente-test").unwrap_or_else(|| unreachable!("{kind} is missing"))
    });
    for object in ours {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "test", "{object}");
    }
    let [service, policy, pod] = ours;
    let labels = &pod["metadata"]["labels"];
    assert!(!selects(operators, labels), "{labels}");
    assert_eq!(service["spec"]["selector"], *operators);
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"], *operators);
    let ingress = &policy["spec"]["ingress"];
    assert_eq!(ingress[0]["ports"], json!([{"port": "admin"}]));
    let let_in = &ingress[0]["from"][0]["podSelector"]["matchLabels"];
    assert!(selects(let_in, labels), "{let_in} {labels}");

    let open = with_tests(&["networkPolicy.enabled=false"]).await;
    assert_eq!(of_kind(&open, "NetworkPolicy").len(), 0);
}

/// No kubelet runs here, so the test sets the phase that a kubelet would.
#[tokio::test]
async fn helm_test_ends_as_its_pod_does_in_a_namespace_that_is_restricted() {
    let plane = ControlPlane::start(Options::default()).await;
    let plane = plane.expect("a control plane");
    install(&plane, "entente", &chart(), &[]).await;
    let administrator = Person::administrator(&plane);
    let kubectl = async |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        administrator.kubectl(&arguments, "").await
    };
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    let label = format!("label namespace {NAMESPACE} {restricted}");
    kubectl(&label).await.expect("labelled");
    let pods = format!("get pods,services -n {NAMESPACE} -o name");
    assert!(
        !kubectl(&pods)
            .await
            .expect("listed")
            .contains("entente-test")
    );

    for phase in ["Succeeded", "Failed"] {
        let test = ["test", "entente", "-n", NAMESPACE, "--timeout", "60s"];
        let test = helm(Some(plane.kubeconfig()), &test);
        let patch = format!(
            "patch pod entente-test -n {NAMESPACE} --subresource=status --type=merge -p \
             {{\"status\":{{\"phase\":\"{phase}\"}}}}"
        );
        let kubelet = eventually("helm test makes its Pod", async || {
            // One of the run before may be on its way out.
            let phase =
                format!("get pod entente-test -n {NAMESPACE} -o jsonpath={{.status.phase}}");
            match kubectl(&phase).await?.as_str() {
                "Pending" => kubectl(&patch).await.map(drop),
                other => Err(format!("the Pod is {other}")),
            }
        });
        let (output, ()) = tokio::join!(test, kubelet);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.success(),
            phase == "Succeeded",
            "{phase}: {said}"
        );
        let left = kubectl(&pods).await.expect("listed");
        // The Pod that failed is kept, so that its log can be read.
        let is_left = left.contains("pod/entente-test");
        assert_eq!(is_left, phase == "Failed", "{left}");
    }
}
