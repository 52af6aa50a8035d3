//! The Pods that the chart asks for: how many, where, as whom, with which volumes, and what of the
//! network they may reach.

use serde_json::{Value, json};

use super::{container, named, of_kind, refusal, rendered};

fn deployment(objects: &[Value]) -> &Value {
    &of_kind(objects, "Deployment")[0]["spec"]
}

fn pod(objects: &[Value]) -> &Value {
    &deployment(objects)["template"]["spec"]
}

#[tokio::test]
async fn two_operators_run_and_the_next_one_is_ready_before_one_ends() {
    let objects = rendered(&[]).await;
    assert_eq!(deployment(&objects)["replicas"], 2);
    let expected =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
    assert_eq!(deployment(&objects)["strategy"], expected);
    // A restore stops the operator by this.
    assert_eq!(deployment(&rendered(&["replicas=0"]).await)["replicas"], 0);
}

#[tokio::test]
async fn of_several_operators_one_may_be_drained_at_a_time_and_of_one_there_is_no_budget() {
    let objects = rendered(&[]).await;
    let budget = &of_kind(&objects, "PodDisruptionBudget")[0]["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    assert_eq!(budget["selector"], deployment(&objects)["selector"]);
    let half = rendered(&["replicas=4", "podDisruptionBudget.maxUnavailable=50%"]).await;
    let budget = &of_kind(&half, "PodDisruptionBudget")[0]["spec"];
    assert_eq!(budget["maxUnavailable"], "50%");
    for without in [
        "replicas=1",
        "replicas=0",
        "podDisruptionBudget.enabled=false",
    ] {
        let objects = rendered(&[without]).await;
        assert_eq!(
            of_kind(&objects, "PodDisruptionBudget").len(),
            0,
            "{without}"
        );
    }
    for none in ["0", "0%"] {
        let said = refusal(&format!("podDisruptionBudget.maxUnavailable={none}")).await;
        assert!(
            said.contains("/podDisruptionBudget/maxUnavailable"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_gateway_has_the_time_to_drain_and_to_end_requests_under_way() {
    let enabled = ["gateway.enabled=true", "gateway.tls.secretName=tls"];
    for (settings, drain, time) in [
        (&[][..], "--drain=5s", 30),
        (&["terminationGracePeriodSeconds=10"], "--drain=5s", 30),
        (&["terminationGracePeriodSeconds=90"], "--drain=5s", 90),
        (&["gateway.drainSeconds=60"], "--drain=60s", 85),
        // As after an upgrade with the values of a release that had no such value.
        (&["gateway.drainSeconds=null"], "--drain=5s", 30),
    ] {
        let objects = rendered(&[&enabled, settings].concat()).await;
        let gateway = named(&objects, "Deployment", "entente-gateway").unwrap();
        let pod = &gateway["spec"]["template"]["spec"];
        let flags = pod["containers"][0]["args"].as_array().unwrap();
        assert!(flags.contains(&json!(drain)), "{settings:?}: {flags:?}");
        assert_eq!(pod["terminationGracePeriodSeconds"], time, "{settings:?}");
    }
}

#[tokio::test]
async fn requests_to_a_gateway_are_limited_by_the_addresses_that_its_service_keeps() {
    let enabled = ["gateway.enabled=true", "gateway.tls.secretName=tls"];
    let balanced = "gateway.service.type=LoadBalancer";
    let local = "gateway.service.externalTrafficPolicy=Local";
    for (settings, policy, requests) in [
        (&[][..], Value::Null, Some("--address-requests=20")),
        (&[balanced], Value::Null, Some("--address-requests=20")),
        (
            &[balanced, local, "gateway.addressRequests=0"],
            json!("Local"),
            Some("--address-requests=0"),
        ),
        // As after an upgrade with the values of a release that had no such value.
        (&["gateway.addressRequests=null"], Value::Null, None),
    ] {
        let objects = rendered(&[&enabled, settings].concat()).await;
        let service = named(&objects, "Service", "entente-gateway").unwrap();
        assert_eq!(service["spec"]["externalTrafficPolicy"], policy);
        let gateway = named(&objects, "Deployment", "entente-gateway").unwrap();
        let flags = &gateway["spec"]["template"]["spec"]["containers"][0]["args"];
        let flags = flags.as_array().unwrap().iter().filter_map(Value::as_str);
        let found = flags.into_iter().find(|it| it.starts_with("--address-"));
        assert_eq!(found, requests, "{settings:?}");
    }
    for (wrong, place) in [
        (local, "gateway.service.type is ClusterIP"),
        (
            "gateway.service.externalTrafficPolicy=local",
            "/gateway/service/externalTrafficPolicy",
        ),
        ("gateway.addressRequests=-1", "/gateway/addressRequests"),
    ] {
        let said = refusal(wrong).await;
        assert!(said.contains(place), "{said}");
    }
}

#[tokio::test]
async fn the_pods_are_spread_over_nodes_and_zones_where_there_are_any() {
    let objects = rendered(&[]).await;
    let own = deployment(&objects)["selector"].clone();
    let over = |key: &str| {
        json!({
            "topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": own, "matchLabelKeys": ["pod-template-hash"],
        })
    };
    let expected = [
        over("kubernetes.io/hostname"),
        over("topology.kubernetes.io/zone"),
    ];
    assert_eq!(pod(&objects)["topologySpreadConstraints"], json!(expected));

    let rack = "topologySpreadConstraints[0].topologyKey=rack,topologySpreadConstraints[0].maxSkew=2,topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule,topologySpreadConstraints[0].labelSelector.matchLabels.a=b";
    let objects = rendered(&[rack]).await;
    let expected = json!([{
        "topologyKey": "rack", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"a": "b"}},
    }]);
    assert_eq!(pod(&objects)["topologySpreadConstraints"], expected);
    let objects = rendered(&["topologySpreadConstraints=null"]).await;
    assert_eq!(pod(&objects)["topologySpreadConstraints"], Value::Null);
}

#[tokio::test]
async fn authorities_of_a_company_are_a_volume_beside_that_of_the_events() {
    let volume = [
        "extraVolumes[0].name=authorities",
        "extraVolumes[0].configMap.name=company-ca",
        "extraVolumeMounts[0].name=authorities",
        "extraVolumeMounts[0].mountPath=/etc/ssl/certs",
        "extraVolumeMounts[0].readOnly=true",
    ];
    let expected = json!({"name": "authorities", "configMap": {"name": "company-ca"}});
    let mount = json!({"name": "authorities", "mountPath": "/etc/ssl/certs", "readOnly": true});
    let alone = [&volume[..], &["log.levelConfigMap="]].concat();
    let objects = rendered(&alone).await;
    assert_eq!(pod(&objects)["volumes"], json!([expected]));
    assert_eq!(container(&objects)["volumeMounts"], json!([mount]));

    let events = ["events.enabled=true", "events.tls.secretName=events-tls"];
    let objects = rendered(&[&alone[..], &events].concat()).await;
    assert_eq!(pod(&objects)["volumes"][0]["name"], "events-tls");
    assert_eq!(pod(&objects)["volumes"][1], expected);
    assert_eq!(container(&objects)["volumeMounts"][1], mount);
    for ours in ["board-tls", "events-tls", "log-level"] {
        let medium = "extraVolumes[0].emptyDir.medium=Memory";
        let said = refusal(&format!("extraVolumes[0].name={ours},{medium}")).await;
        assert!(said.contains("/extraVolumes/0/name"), "{said}");
    }
}

#[tokio::test]
async fn the_level_of_the_log_is_read_from_a_config_map_that_need_not_exist() {
    let level = |objects: &[Value]| {
        let args = container(objects)["args"].as_array().expect("a list");
        let mut args = args.iter().map(|it| it.as_str().expect("a text"));
        let file = args.find_map(|it| it.strip_prefix("--log-level-file="));
        (file.map(str::to_owned), pod(objects)["volumes"].clone())
    };
    let objects = rendered(&["log.levelConfigMap=loud"]).await;
    let source = json!({"name": "loud", "optional": true});
    let volumes = json!([{"name": "log-level", "configMap": source}]);
    let mounts = &container(&objects)["volumeMounts"];
    assert_eq!(mounts[0]["name"], "log-level");
    let directory = mounts[0]["mountPath"].as_str().expect("a path");
    assert_eq!(mounts[0].get("subPath"), None, "it follows a change");
    let file = format!("{directory}/level");
    assert_eq!(level(&objects), (Some(file), volumes));
    let none = rendered(&["log.levelConfigMap="]).await;
    assert_eq!(level(&none), (None, Value::Null));
}

#[tokio::test]
async fn common_labels_are_on_everything_and_those_of_the_pods_win_there() {
    let labels = [
        "commonLabels.team=print",
        "commonLabels.cost=7a",
        "podLabels.team=night",
    ];
    let all = [&labels[..], &["metrics.serviceMonitor.enabled=true"]].concat();
    let objects = rendered(&all).await;
    for object in &objects {
        let about = format!("{} {}", object["kind"], object["metadata"]["name"]);
        assert_eq!(object["metadata"]["labels"]["team"], "print", "{about}");
    }
    let template = &deployment(&objects)["template"]["metadata"]["labels"];
    assert_eq!(
        (&template["team"], &template["cost"]),
        (&json!("night"), &json!("7a"))
    );
    let chosen = deployment(&objects)["selector"]["matchLabels"]
        .as_object()
        .expect("labels");
    for (label, value) in chosen {
        assert_eq!(
            template[label], *value,
            "the Pods are those that are selected"
        );
    }
    for values in ["commonLabels", "podLabels", "metrics.serviceMonitor.labels"] {
        let said = refusal(&format!(r"{values}.app\.kubernetes\.io/instance=mine")).await;
        let named = format!("{values} has app.kubernetes.io/instance");
        assert!(said.contains(&named), "{said}");
    }
}

#[tokio::test]
async fn what_goes_out_is_held_only_where_it_is_said_and_never_dns_nor_the_api_server() {
    let policy = |objects: &[Value]| of_kind(objects, "NetworkPolicy")[0]["spec"].clone();
    assert_eq!(policy(&rendered(&[]).await).get("egress"), None);

    let devices = "networkPolicy.egress.to[0].to[0].ipBlock.cidr=10.20.0.0/16";
    let on = [
        "networkPolicy.egress.enabled=true",
        devices,
        "networkPolicy.egress.dnsPorts={53}",
    ];
    let policy = policy(&rendered(&on).await);
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let port = |port: u16, protocol: &str| json!({"port": port, "protocol": protocol});
    let always = [
        port(53, "UDP"),
        port(53, "TCP"),
        port(443, "TCP"),
        port(6443, "TCP"),
    ];
    let expected = json!([
        {"ports": always},
        {"to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}]},
    ]);
    assert_eq!(policy["egress"], expected);

    let said = refusal("networkPolicy.egress.enabled=true").await;
    assert!(
        said.contains("networkPolicy.egress.to must not be empty"),
        "{said}"
    );
}

#[tokio::test]
async fn a_service_monitor_brings_its_service_and_selects_nothing_else() {
    let settings = [
        "metrics.serviceMonitor.enabled=true",
        "metrics.serviceMonitor.labels.release=prometheus",
        "metrics.serviceMonitor.interval=1m30s",
        "events.enabled=true",
        "events.tls.secretName=events-tls",
    ];
    let objects = rendered(&settings).await;
    let monitor = named(&objects, "ServiceMonitor", "entente").expect("it is there");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(
        monitor["spec"]["endpoints"],
        json!([{"port": "metrics", "interval": "1m30s"}])
    );
    let selected = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .expect("labels");
    let services: Vec<&Value> = of_kind(&objects, "Service")
        .into_iter()
        .filter(|it| {
            selected
                .iter()
                .all(|(label, value)| it["metadata"]["labels"][label] == *value)
        })
        .map(|it| &it["metadata"]["name"])
        .collect();
    assert_eq!(services, ["entente-metrics"]);
    let service = named(&objects, "Service", "entente-metrics").expect("it is there");
    assert_eq!(service["spec"]["ports"][0]["name"], "metrics");
}
