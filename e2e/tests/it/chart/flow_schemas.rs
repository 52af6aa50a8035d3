//! FlowSchemas: the releases that have them, and the one by which a real API server ranks a request of
//! the operator.

use serde_json::{Value, json};

use super::cluster::{NAMESPACE, Person, eventually, installed};
use super::{named, of_kind, refusal, rendered};

const WATCH: &str = "watchNamespaces={acme}";

fn names(objects: &[Value]) -> Vec<&str> {
    let schemas = of_kind(objects, "FlowSchema").into_iter();
    schemas
        .filter_map(|it| it["metadata"]["name"].as_str())
        .collect()
}

#[tokio::test]
async fn a_release_for_the_cluster_ranks_its_lease_and_statuses_and_one_for_namespaces_only_if_told()
 {
    let cases: [(&[&str], &[&str]); 6] = [
        (&[], &["lease.entente.dev", "statuses.entente.dev"]),
        (
            &["flowSchemas.statusPriorityLevel="],
            &["lease.entente.dev"],
        ),
        (&["flowSchemas.enabled=false"], &[]),
        (&[WATCH], &[]),
        (
            &[WATCH, "flowSchemas.enabled=true"],
            &[
                "lease.entente-system.entente.dev",
                "statuses.entente-system.entente.dev",
            ],
        ),
        // As after an upgrade with --reuse-values from a chart that did not have these values.
        (&["flowSchemas=null"], &[]),
    ];
    for (settings, expected) in cases {
        assert_eq!(names(&rendered(settings).await), expected, "{settings:?}");
    }
    let settings = [
        "flowSchemas.precedence=700",
        "flowSchemas.statusPriorityLevel=desk",
    ];
    let objects = rendered(&settings).await;
    for (name, level) in [("lease", "leader-election"), ("statuses", "desk")] {
        let name = format!("{name}.entente.dev");
        let spec = &named(&objects, "FlowSchema", &name).expect("it is there")["spec"];
        assert_eq!(spec["matchingPrecedence"], 700, "{name}");
        assert_eq!(spec["priorityLevelConfiguration"], json!({"name": level}));
    }
    for (setting, named) in [
        ("flowSchemas.enabled=maybe", "/flowSchemas/enabled"),
        ("flowSchemas.precedence=10000", "/flowSchemas/precedence"),
        (
            "flowSchemas.statusPriorityLevel=Workload",
            "/flowSchemas/statusPriorityLevel",
        ),
    ] {
        let said = refusal(setting).await;
        assert!(said.contains(named), "{setting}: {said}");
    }
}

/// A kind whose status has no place in the list would be written in line with everybody's requests.
#[tokio::test]
async fn the_status_of_every_kind_that_the_operator_writes_is_ranked() {
    let objects = rendered(&[]).await;
    let statuses = named(&objects, "FlowSchema", "statuses.entente.dev").expect("it is there");
    let ranked = &statuses["spec"]["rules"][0]["resourceRules"][0];
    let role = named(&objects, "ClusterRole", "entente-operator").expect("it is there");
    let rules = role["rules"].as_array().expect("rules").iter();
    let mut written: Vec<&Value> = rules
        .filter(|rule| rule["verbs"] == ranked["verbs"])
        .flat_map(|rule| rule["resources"].as_array().expect("resources"))
        .collect();
    let mut ranked: Vec<&Value> = ranked["resources"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    let sorted = |list: &mut Vec<&Value>| list.sort_by_key(ToString::to_string);
    sorted(&mut written);
    sorted(&mut ranked);
    assert_eq!(ranked, written);
}

/// Returns the name of the FlowSchema by which the API server ranked the request of a person.
async fn ranked_by(administrator: &Person<'_>, person: &Person<'_>, request: &[&str]) -> String {
    let arguments = [request, &["-v=8"]].concat();
    // Found or not, the answer tells how the request was ranked.
    let (Ok(said) | Err(said)) = person.kubectl(&arguments, "{}").await;
    let said = said.to_lowercase();
    let uid = said
        .split_once("x-kubernetes-pf-flowschema-uid: ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no header of priority and fairness: {said}"));
    let list = ["get", "flowschemas", "-o", "json"];
    let list = administrator.kubectl(&list, "").await.expect("listed");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let mut schemas = list["items"].as_array().expect("a list").iter();
    schemas.find(|it| it["metadata"]["uid"] == uid).map_or_else(
        || format!("none of {list}"),
        |it| it["metadata"]["name"].as_str().expect("a name").to_owned(),
    )
}

#[tokio::test]
async fn an_api_server_ranks_the_lease_and_the_statuses_of_the_operator_and_nothing_else_of_it() {
    let plane = installed().await;
    let administrator = Person::administrator(plane);
    let operator = Person::operator(plane).await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces";
    let (own, other) = (
        format!("{leases}/{NAMESPACE}/leases/entente"),
        format!("{leases}/default/leases/entente"),
    );
    let kinds = "/apis/entente.dev/v1alpha1";
    let contract = format!("{kinds}/namespaces/acme/contracts/none");
    let (of_contract, of_model) = (
        format!("{contract}/status"),
        format!("{kinds}/devicemodels/none/status"),
    );
    let put = |path| ["replace", "--raw", path, "-f", "-"];
    let everybody = "service-accounts";
    let cases: [(&[&str], &str); 6] = [
        (&["get", "--raw", &own], "lease.entente.dev"),
        (&put(&own), "lease.entente.dev"),
        (&put(&of_contract), "statuses.entente.dev"),
        (&put(&of_model), "statuses.entente.dev"),
        (&["get", "--raw", &other], everybody),
        (&put(&contract), everybody),
    ];
    for (request, expected) in cases {
        eventually(
            &format!("{request:?} is ranked by {expected}"),
            async || {
                let found = ranked_by(&administrator, &operator, request).await;
                (found == expected).then_some(()).ok_or(found)
            },
        )
        .await;
    }
    // Its priority level is one that every cluster has.
    for name in ["lease.entente.dev", "statuses.entente.dev"] {
        let path = "jsonpath={.status.conditions[?(@.type==\"Dangling\")].status}";
        let get = ["get", "flowschema", name, "-o", path];
        eventually(&format!("{name} has its priority level"), async || {
            let found = administrator.kubectl(&get, "").await?;
            (found == "False").then_some(()).ok_or(found)
        })
        .await;
    }
}
