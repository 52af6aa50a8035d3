//! The objects and rights that the chart renders for the events endpoint.

use serde_json::{Value, json};

use super::{container, named, of_kind, refusal, rendered};

const ON: [&str; 2] = ["events.enabled=true", "events.tls.secretName=events-tls"];

// shows K4
#[tokio::test]
async fn without_events_there_is_no_port_no_service_and_no_right_for_them() {
    let mut objects = rendered(&[]).await;
    // The words of a definition may have any number in them.
    objects.retain(|object| object["kind"] != "CustomResourceDefinition");
    let text = json!(objects).to_string();
    for part in ["8443", "events-tls", "entente-events", "tokenreviews"] {
        assert!(!text.contains(part), "{part}");
    }
}

// shows K4
#[tokio::test]
async fn with_events_the_operator_may_make_three_kinds_and_review_its_callers_and_nothing_else() {
    let objects = rendered(&ON).await;
    let role = named(&objects, "ClusterRole", "entente-operator-events").expect("a role");
    let create = json!(["create"]);
    let of = |group: &str, resources: Value| json!({"apiGroups": [group], "resources": resources, "verbs": create});
    let kinds = json!(["contracts", "contractamendments", "contractnotices"]);
    assert_eq!(role["rules"], json!([of("entente.dev", kinds)]));
    let reviews = named(&objects, "ClusterRole", "entente-operator-reviews").expect("a role");
    let expected = json!([
        of("authentication.k8s.io", json!(["tokenreviews"])),
        of("authorization.k8s.io", json!(["subjectaccessreviews"])),
    ]);
    assert_eq!(reviews["rules"], expected);
    let binding = named(&objects, "ClusterRoleBinding", "entente-operator-events");
    let subjects =
        json!([{"kind": "ServiceAccount", "name": "entente", "namespace": "entente-system"}]);
    assert_eq!(binding.expect("a binding")["subjects"], subjects);
}

#[tokio::test]
async fn the_certificate_is_the_secret_that_is_named_and_follows_it() {
    let objects = rendered(&[&ON[..], &["log.levelConfigMap="]].concat()).await;
    let container = container(&objects);
    let arguments = container["args"].to_string();
    for flag in [
        "--events-address=0.0.0.0:8443",
        "--events-tls-dir=/etc/entente/events-tls",
    ] {
        assert!(arguments.contains(flag), "{arguments}");
    }
    assert_eq!(container["ports"][1]["name"], "events");
    let mount =
        json!({"name": "events-tls", "mountPath": "/etc/entente/events-tls", "readOnly": true});
    // A file of it alone (subPath) would stay as it was when the Secret changes.
    assert_eq!(container["volumeMounts"], json!([mount]));
    let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
    let volume =
        json!({"name": "events-tls", "secret": {"optional": true, "secretName": "events-tls"}});
    assert_eq!(pod["volumes"], json!([volume]));
    let service = named(&objects, "Service", "entente-events").expect("a Service");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "events");
}

#[tokio::test]
async fn events_without_a_name_of_the_secret_are_refused_and_the_value_is_named() {
    // Also where a file of values has an empty `tls:`.
    for settings in ["events.enabled=true", "events.enabled=true,events.tls=null"] {
        let said = refusal(settings).await;
        assert!(said.contains("events.tls.secretName must be set"), "{said}");
    }
    for name in ["My_Secret", "a..b", "tls."] {
        let said = refusal(&format!("events.tls.secretName={name}")).await;
        assert!(said.contains("/events/tls/secretName"), "{said}");
    }
}

// shows K4
#[tokio::test]
async fn events_are_let_in_from_everybody_or_from_who_is_named() {
    let ingress = async |more: &[&str]| {
        let objects = rendered(&[&ON[..], more].concat()).await;
        of_kind(&objects, "NetworkPolicy")[0]["spec"]["ingress"][1].clone()
    };
    let ports = json!([{"port": "events"}]);
    assert_eq!(ingress(&[]).await, json!({"ports": ports}));
    let crm = "networkPolicy.eventsFrom[0].namespaceSelector.matchLabels.team=crm";
    let peer = json!({"namespaceSelector": {"matchLabels": {"team": "crm"}}});
    assert_eq!(
        ingress(&[crm]).await,
        json!({"from": [peer], "ports": ports})
    );
}
