//! `check`: what the plugin and its user need in a cluster: definitions, rights, the operator, the
//! gateway, the Connections, and a clock that is right.
//!
//! Each check is well, bad, or unknown where the caller may not look; only what is bad makes the exit
//! code 1.

mod gateway;

use std::collections::BTreeMap;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::Connection;
use entente_domain::clocks::TOLERANCE;
use entente_domain::condition::find;
use entente_domain::election::LEASE;
use entente_domain::views::{Health, age, health};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde::Serialize;
use serde_json::Value;

use super::CommandError;
use crate::args::CheckArgs;
use crate::cluster::{Cluster, ClusterError, Listed, Place};
use crate::outcome::{Code, Outcome};
use crate::render::{self, Shown};
use crate::screen::Screen;

/// Result of a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    Well,
    Unknown,
    Bad,
}

/// One check.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Check {
    /// Name of the check.
    pub(crate) name: String,
    /// Its result.
    pub(crate) state: State,
    /// The finding in words, with what to do where it is bad.
    pub(crate) message: String,
}

impl Check {
    fn new(name: impl Into<String>, state: State, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state,
            message: message.into(),
        }
    }
}

/// A right that commands need.
struct Right {
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    /// True for a kind of the cluster.
    cluster: bool,
    commands: &'static str,
}

const fn right(resource: &'static str, verb: &'static str, commands: &'static str) -> Right {
    Right {
        group: entente_crds::GROUP,
        resource,
        verb,
        cluster: false,
        commands,
    }
}

const fn catalogue(resource: &'static str, verb: &'static str, commands: &'static str) -> Right {
    Right {
        cluster: true,
        ..right(resource, verb, commands)
    }
}

const RIGHTS: &[Right] = &[
    right("contracts", "get", "status"),
    right("contracts", "list", "status, starts, plan"),
    right("servicesubscriptions", "list", "status, late, plan"),
    right("compensations", "list", "owed, late"),
    right("contractamendments", "list", "plan"),
    right("contractnotices", "list", "plan"),
    right("devices", "list", "plan"),
    right("sites", "list", "plan"),
    right("devicetwins", "list", "plan"),
    right("deviceenrollments", "list", "plan"),
    right("contracts", "patch", "reconcile"),
    right("devices", "patch", "reconcile"),
    catalogue("smartservices", "list", "plan"),
    catalogue("devicemodels", "list", "plan, support-bundle"),
    catalogue("connections", "list", "plan, check"),
    Right {
        group: "",
        ..catalogue("namespaces", "list", "plan")
    },
    catalogue("connections", "patch", "reconcile"),
];

pub(super) async fn run(
    cluster: &Cluster,
    args: &CheckArgs,
    screen: &Screen,
) -> Result<Outcome, CommandError> {
    let mut checks = server(cluster).await?;
    checks.push(definitions(cluster).await?);
    checks.push(rights(cluster).await?);
    checks.push(operator(cluster, &args.operator_namespace).await?);
    let found = Connections::read(cluster).await?;
    if let Some(all) = &found.all {
        checks.extend(gateway::check(cluster, &args.operator_namespace, all).await?);
    }
    checks.extend(found.checks);
    let is_bad = checks.iter().any(|check| check.state == State::Bad);
    let code = if is_bad { Code::Error } else { Code::Settled };
    let text = || Shown::Text(render::checks(&checks, screen));
    Ok(render::outcome(&checks, args.output, code, text))
}

/// Checks that the server answers, and that the clocks agree.
async fn server(cluster: &Cluster) -> Result<Vec<Check>, ClusterError> {
    let sent = Timestamp::now();
    let answer = cluster.raw("/version").await?;
    let received = Timestamp::now();
    let version: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let version = version["gitVersion"]
        .as_str()
        .unwrap_or("of unknown version");
    let url = cluster.server();
    let status = answer.status();
    let mut checks = vec![if status.is_success() {
        Check::new("API server", State::Well, format!("{url}, {version}"))
    } else {
        let message = format!("{url} answers {status}: look at the user of the kubeconfig");
        Check::new("API server", State::Bad, message)
    }];
    let date = answer.headers().get(http::header::DATE);
    let date = date.and_then(|it| {
        DateTimeParser::new()
            .parse_timestamp(it.to_str().ok()?)
            .ok()
    });
    checks.push(match date {
        None => Check::new("clock", State::Unknown, "the API server tells no time"),
        Some(date) => clock(date, sent, received),
    });
    Ok(checks)
}

/// Compares the clock of this machine with a date that is cut to the second, and was written between
/// two instants.
fn clock(date: Timestamp, sent: Timestamp, received: Timestamp) -> Check {
    let second = SignedDuration::from_secs(1);
    let ahead = sent.duration_since(date).saturating_sub(second);
    let behind = date.duration_since(received);
    let (difference, word) = if ahead > behind {
        (ahead, "ahead of")
    } else {
        (behind, "behind")
    };
    if difference <= SignedDuration::ZERO {
        return Check::new("clock", State::Well, "agrees with that of the API server");
    }
    let message = format!(
        "this machine is {} {word} the API server",
        age(difference + second)
    );
    if difference <= TOLERANCE {
        Check::new("clock", State::Well, message)
    } else {
        let message = format!("{message}: times in answers are wrong by that; set the clock");
        Check::new("clock", State::Bad, message)
    }
}

/// Checks that every kind is served with the fields that this version knows.
async fn definitions(cluster: &Cluster) -> Result<Check, ClusterError> {
    let path = "/openapi/v3/apis/entente.dev/v1alpha1";
    let answer = cluster.raw(path).await?;
    let name = "definitions";
    if answer.status() == http::StatusCode::FORBIDDEN {
        let message = "you may not read the OpenAPI document of the API server";
        return Ok(Check::new(name, State::Unknown, message));
    }
    let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let schemas = &document["components"]["schemas"];
    let mut missing = Vec::new();
    let mut lacking = Vec::new();
    for kind in entente_crds::rules::kinds() {
        let installed = &schemas[format!("dev.entente.v1alpha1.{kind}")];
        if installed.is_null() {
            missing.push(kind.to_owned());
            continue;
        }
        let known = entente_crds::rules::of_kind(kind);
        for part in ["spec", "status"] {
            let known = known.map(|it| &it.schema["properties"][part]["properties"]);
            let known = known.and_then(Value::as_object);
            let there = &installed["properties"][part]["properties"];
            let fields = known.into_iter().flat_map(|it| it.keys());
            let fields = fields.filter(|field| there[&**field].is_null());
            lacking.extend(fields.map(|field| format!("{kind} {part}.{field}")));
        }
    }
    Ok(match (missing.as_slice(), lacking.as_slice()) {
        ([], []) => {
            let number = entente_crds::rules::kinds().len();
            let version = version(cluster).await?;
            let message =
                format!("{number} kinds of entente.dev/v1alpha1, with all fields{version}");
            Check::new(name, State::Well, message)
        }
        ([], lacking) => {
            let lacking = lacking.join(", ");
            let message = format!(
                "older than this plugin ({}): without {lacking}; upgrade the chart",
                env!("CARGO_PKG_VERSION")
            );
            Check::new(name, State::Bad, message)
        }
        (missing, _) => {
            let message = format!("not installed: {}; install the chart", missing.join(", "));
            Check::new(name, State::Bad, message)
        }
    })
}

/// Returns the version that the chart wrote beside a definition, if the caller may read it.
async fn version(cluster: &Cluster) -> Result<String, ClusterError> {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/contracts.entente.dev";
    let answer = cluster.raw(path).await?;
    let definition: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let version = definition["metadata"]["labels"]["app.kubernetes.io/version"].as_str();
    Ok(version.map_or_else(String::new, |version| format!(", of the chart {version}")))
}

/// Checks the caller's own rights.
async fn rights(cluster: &Cluster) -> Result<Check, ClusterError> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    let place = cluster.place();
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for right in RIGHTS {
        let namespace = match &place {
            Place::Namespace(name) if !right.cluster => Some(name.clone()),
            _ => None,
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(right.group.to_owned()),
                    resource: Some(right.resource.to_owned()),
                    verb: Some(right.verb.to_owned()),
                    namespace,
                    ..ResourceAttributes::default()
                }),
                non_resource_attributes: None,
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let what = || "your own rights".to_owned();
        let answer =
            answer.map_err(|error| cluster.refusal::<Connection>("read", what(), error))?;
        if !answer.status.is_some_and(|status| status.allowed) {
            let told = format!("{} {}", right.verb, right.resource);
            missing.entry(right.commands).or_default().push(told);
        }
    }
    let name = "rights";
    if missing.is_empty() {
        let place = place.within();
        let message = format!("you may do everything that the plugin does{place}");
        return Ok(Check::new(name, State::Well, message));
    }
    let missing = missing.into_iter();
    let missing =
        missing.map(|(commands, rights)| format!("{} (for {commands})", rights.join(", ")));
    let missing: Vec<String> = missing.collect();
    let message = format!("you may not{}: {}", place.of(), missing.join("; "));
    Ok(Check::new(name, State::Unknown, message))
}

/// Checks that an operator holds the Lease.
async fn operator(cluster: &Cluster, namespace: &str) -> Result<Check, ClusterError> {
    let leases: Api<Lease> = Api::namespaced(cluster.client().clone(), namespace);
    let name = "operator";
    let what = format!("the Lease {LEASE} of namespace {namespace}");
    let lease = match leases.get_opt(LEASE).await {
        Ok(lease) => lease,
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let message = format!("you may not read {what}");
            return Ok(Check::new(name, State::Unknown, message));
        }
        Err(error) => return Err(cluster.refusal::<Connection>("get", what, error)),
    };
    let Some(lease) = lease else {
        let message = format!(
            "{what} does not exist: the operator is in another namespace (--operator-namespace), is \
             of a version without leader election, or has never run"
        );
        return Ok(Check::new(name, State::Unknown, message));
    };
    Ok(holder(&lease, Timestamp::now()))
}

fn holder(lease: &Lease, now: Timestamp) -> Check {
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.filter(|it| !it.is_empty());
    let name = "operator";
    let (Some(holder), Some(renewed)) = (holder, spec.renew_time) else {
        return Check::new(
            name,
            State::Bad,
            "no operator holds the Lease: look at its pods",
        );
    };
    let idle = now.duration_since(renewed.0);
    let valid = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(15)));
    let message = format!("{holder} leads, renewed {} ago", age(idle));
    if idle <= valid {
        Check::new(name, State::Well, message)
    } else {
        let message = format!("{message}: the Lease has expired; look at the pods of the operator");
        Check::new(name, State::Bad, message)
    }
}

/// The Connections and their checks.
struct Connections {
    /// All of them; none if that is not known.
    all: Option<Vec<Connection>>,
    checks: Vec<Check>,
}

impl Connections {
    /// Checks every Connection.
    async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let listed = cluster.list::<Connection>(&Place::Everywhere, ListParams::default());
        let listed: Listed<Connection> = match listed.await {
            Ok(listed) => listed,
            Err(error) if error.is_partial() => {
                let check = Check::new("Connections", State::Unknown, error.to_string());
                return Ok(Self {
                    all: None,
                    checks: vec![check],
                });
            }
            Err(error) => return Err(error),
        };
        let mut checks: Vec<Check> = listed.items.iter().map(connection).collect();
        let are_read = listed.unread.is_empty();
        let unread = listed.unread.into_iter();
        checks.extend(unread.map(|it| Check::new("Connections", State::Unknown, it)));
        if checks.is_empty() {
            let message = "there is none yet";
            checks.push(Check::new("Connections", State::Unknown, message));
        }
        let all = are_read.then_some(listed.items);
        Ok(Self { all, checks })
    }
}

fn connection(found: &Connection) -> Check {
    let conditions = found.status.as_ref().map_or(&[][..], |it| &it.conditions);
    let said = health(&found.metadata, conditions);
    let name = found.metadata.name.clone().unwrap_or_default();
    let name = format!("Connection {name}");
    match said.health {
        Health::Settled if said.reason == Reason::PerDevice.as_str() => {
            Check::new(name, State::Well, "devices are reached one by one")
        }
        Health::Settled => Check::new(name, State::Well, said.message),
        _ if find(conditions, ConditionType::Ready).is_none_or(|it| it.status == "Unknown") => {
            Check::new(name, State::Unknown, said.message)
        }
        Health::InProgress | Health::Failed => {
            let step = said
                .next_step
                .map_or_else(String::new, |step| format!(" {step}"));
            let message = format!("{}: {}{step}", said.reason, said.message);
            Check::new(name, State::Bad, message)
        }
    }
}

#[cfg(test)]
mod tests;
