//! The objects and rights that the chart renders for the board.

use serde_json::{Value, json};

use super::{container, named, of_kind, refusal, rendered};

const ON: &str = "board.enabled=true";
const TLS: &str = "board.tls.secretName=board-tls";

// shows K4
#[tokio::test]
async fn without_a_board_there_is_no_port_no_service_and_no_right_for_it() {
    for settings in [&[][..], &[TLS]] {
        let text = json!(rendered(settings).await).to_string();
        for part in ["8444", "board-tls", "entente-board", "tokenreviews"] {
            assert!(!text.contains(part), "{part}");
        }
    }
}

// shows K4
#[tokio::test]
async fn with_a_board_the_operator_may_review_its_viewers_and_nothing_else() {
    let before = rendered(&[]).await;
    let objects = rendered(&[ON, TLS]).await;
    let create = json!(["create"]);
    let of = |group: &str, resource: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": create});
    let expected = json!([
        of("authentication.k8s.io", "tokenreviews"),
        of("authorization.k8s.io", "subjectaccessreviews"),
    ]);
    let role = named(&objects, "ClusterRole", "entente-operator-reviews").expect("a role");
    assert_eq!(role["rules"], expected);
    for kind in ["ClusterRole", "Role"] {
        let more = of_kind(&objects, kind).len() - of_kind(&before, kind).len();
        assert_eq!(more, usize::from(kind == "ClusterRole"), "{kind}");
    }
}

// shows K4
#[tokio::test]
async fn a_board_without_a_certificate_listens_in_its_pod_alone() {
    let objects = rendered(&[ON]).await;
    let container = container(&objects);
    let arguments = container["args"].to_string();
    assert!(
        arguments.contains("--board-address=127.0.0.1:8444"),
        "{arguments}"
    );
    assert!(!arguments.contains("--board-tls-dir"), "{arguments}");
    assert_eq!(container["ports"].as_array().map(Vec::len), Some(1));
    assert!(named(&objects, "Service", "entente-board").is_none());
    let ingress = &of_kind(&objects, "NetworkPolicy")[0]["spec"]["ingress"];
    assert_eq!(ingress.as_array().map(Vec::len), Some(1), "{ingress}");
}

#[tokio::test]
async fn the_certificate_of_the_board_is_the_secret_that_is_named_beside_that_of_the_events() {
    let events = "events.enabled=true,events.tls.secretName=events-tls";
    let alone = "log.levelConfigMap=";
    let objects = rendered(&[ON, TLS, events, alone, "board.service.port=8080"]).await;
    let container = container(&objects);
    let arguments = container["args"].to_string();
    for flag in [
        "--board-address=0.0.0.0:8444",
        "--board-tls-dir=/etc/entente/board-tls",
    ] {
        assert!(arguments.contains(flag), "{arguments}");
    }
    assert_eq!(container["ports"][2]["name"], "board");
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a list");
        list.iter().map(|it| it["name"].to_string()).collect()
    };
    let both = ["\"events-tls\"", "\"board-tls\""];
    assert_eq!(names(&container["volumeMounts"]), both);
    let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(names(&pod["volumes"]), both);
    let secret = json!({"optional": true, "secretName": "board-tls"});
    assert_eq!(pod["volumes"][1]["secret"], secret);
    let service = named(&objects, "Service", "entente-board").expect("a Service");
    let port = &service["spec"]["ports"][0];
    assert_eq!(
        (&port["port"], &port["targetPort"]),
        (&json!(8080), &json!("board"))
    );
    let said = refusal("board.tls.secretName=My_Secret").await;
    assert!(said.contains("/board/tls/secretName"), "{said}");
}

// shows K4
#[tokio::test]
async fn the_board_is_reached_by_everybody_or_by_who_is_named() {
    let ingress = async |more: &[&str]| {
        let objects = rendered(&[&[ON, TLS], more].concat()).await;
        of_kind(&objects, "NetworkPolicy")[0]["spec"]["ingress"][1].clone()
    };
    let ports = json!([{"port": "board"}]);
    assert_eq!(ingress(&[]).await, json!({"ports": ports}));
    let desk = "networkPolicy.boardFrom[0].ipBlock.cidr=10.0.0.0/8";
    let peer = json!({"ipBlock": {"cidr": "10.0.0.0/8"}});
    assert_eq!(
        ingress(&[desk]).await,
        json!({"from": [peer], "ports": ports})
    );
}
