//! The check of the gateway that devices call.
//!
//! Decides from the Deployment of the chart and from the Connections whether devices can be answered.
//! There is no row about a cluster without a gateway and without a Connection of protocol Agent. Called
//! by `check`.

use entente_crds::v1alpha1::{Connection, Protocol};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _};

use super::{Check, State};
use crate::cluster::{Cluster, ClusterError};

/// Name of the row.
const NAME: &str = "gateway";
/// Name of the Deployment that the chart installs.
const DEPLOYMENT: &str = "entente-gateway";
/// Beginning of the flag with the Connection that it serves.
const FLAG: &str = "--connection=";

/// The Deployment of the chart, as far as the caller may see it.
enum Reading {
    Forbidden,
    Absent,
    There(Box<Deployment>),
}

/// Checks that the gateway serves a Connection that there is.
pub(super) async fn check(
    cluster: &Cluster,
    namespace: &str,
    connections: &[Connection],
) -> Result<Option<Check>, ClusterError> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client().clone(), namespace);
    let reading = match deployments.get_opt(DEPLOYMENT).await {
        Ok(found) => found.map_or(Reading::Absent, |it| Reading::There(Box::new(it))),
        Err(kube::Error::Api(status)) if status.code == 403 => Reading::Forbidden,
        Err(error) => {
            let what = format!("the Deployment {DEPLOYMENT} of namespace {namespace}");
            return Err(cluster.refusal::<Connection>("get", what, error));
        }
    };
    Ok(judge(&reading, namespace, connections))
}

fn judge(reading: &Reading, namespace: &str, connections: &[Connection]) -> Option<Check> {
    let what = format!("the Deployment {DEPLOYMENT} of namespace {namespace}");
    let deployment = match reading {
        Reading::There(deployment) => deployment,
        Reading::Forbidden | Reading::Absent => {
            let of_agent = |it: &&Connection| it.spec.protocol == Protocol::Agent;
            let served = connections.iter().find(of_agent)?.name_any();
            let message = if matches!(reading, Reading::Forbidden) {
                format!(
                    "you may not read {what}, so it is not known what serves the Connection {served}"
                )
            } else {
                format!(
                    "{what} does not exist: nothing serves the Connection {served}, unless the gateway is \
                     in another namespace (--operator-namespace); gateway.enabled=true of the chart starts \
                     one"
                )
            };
            return Some(Check::new(NAME, State::Unknown, message));
        }
    };
    let Some(name) = served(deployment) else {
        let message = format!("{what} has no flag {FLAG}NAME, so it is not known what it serves");
        return Some(Check::new(NAME, State::Unknown, message));
    };
    let found = connections.iter().find(|it| it.name_any() == name);
    let fault = match found.map(|it| it.spec.protocol) {
        Some(Protocol::Agent) => return Some(replicas(deployment, name)),
        Some(other) => format!("has protocol {other:?} and not Agent"),
        None => "does not exist".to_owned(),
    };
    let message = format!(
        "the Connection {name} that it serves {fault}, so that devices are answered 503: apply a Connection \
         of protocol Agent with this name, or name another one by gateway.connection of the chart"
    );
    Some(Check::new(NAME, State::Bad, message))
}

/// Returns the name of the Connection that a Deployment of the gateway serves.
fn served(deployment: &Deployment) -> Option<&str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let flags = pod.containers.iter().flat_map(|it| &it.args).flatten();
    let mut named = flags.filter_map(|flag| flag.strip_prefix(FLAG));
    named.next()
}

fn replicas(deployment: &Deployment, served: &str) -> Check {
    let wanted = deployment.spec.as_ref().and_then(|it| it.replicas);
    let status = deployment.status.as_ref();
    let ready = status.and_then(|it| it.ready_replicas).unwrap_or(0);
    let wanted = wanted.unwrap_or(1);
    let message = format!("serves the Connection {served}; {ready} of {wanted} replicas are ready");
    if ready > 0 {
        Check::new(NAME, State::Well, message)
    } else {
        let message = format!("{message}: look at the pods of {DEPLOYMENT}");
        Check::new(NAME, State::Bad, message)
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::example;
    use serde_json::json;

    use super::*;

    fn deployment(flags: &[&str], ready: i32) -> Reading {
        let container = json!({"name": "gateway", "args": flags});
        let deployment = json!({
            "metadata": {"name": DEPLOYMENT},
            "spec": {"replicas": 2, "selector": {}, "template": {"spec": {"containers": [container]}}},
            "status": {"readyReplicas": ready},
        });
        Reading::There(serde_json::from_value(deployment).expect("a Deployment"))
    }

    fn connection(name: &str, protocol: Protocol) -> Connection {
        let mut connection = Connection::new(name, example::hq_ipp().spec);
        connection.spec.protocol = protocol;
        connection
    }

    #[test]
    fn a_gateway_is_well_if_it_serves_a_connection_of_protocol_agent_that_there_is() {
        let flags = ["gateway", "--log-format=json", "--connection=gw"];
        let agents = [connection("gw", Protocol::Agent)];
        let other = connection("gw", Protocol::HTTP);
        for (reading, connections, state, words) in [
            (
                deployment(&flags, 2),
                &agents[..],
                State::Well,
                "serves the Connection gw; 2 of 2 replicas are ready",
            ),
            (
                deployment(&flags, 0),
                &agents,
                State::Bad,
                "0 of 2 replicas are ready: look at the pods",
            ),
            (
                deployment(&flags, 2),
                &[connection("gateway", Protocol::Agent)],
                State::Bad,
                "the Connection gw that it serves does not exist",
            ),
            (
                deployment(&flags, 2),
                &[other],
                State::Bad,
                "has protocol HTTP and not Agent",
            ),
            (
                deployment(&flags[..2], 2),
                &agents,
                State::Unknown,
                "no flag --connection=NAME",
            ),
            (
                Reading::Absent,
                &agents,
                State::Unknown,
                "nothing serves the Connection gw",
            ),
            (
                Reading::Forbidden,
                &agents,
                State::Unknown,
                "you may not read the Deployment entente-gateway of namespace here",
            ),
        ] {
            let found = judge(&reading, "here", connections).expect("a row");
            assert_eq!(found.state, state, "{found:?}");
            assert!(found.message.contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_cluster_without_devices_that_call_has_no_row() {
        let none = [connection("files", Protocol::HTTP)];
        for reading in [Reading::Absent, Reading::Forbidden] {
            assert_eq!(judge(&reading, "here", &none), None);
        }
    }
}
