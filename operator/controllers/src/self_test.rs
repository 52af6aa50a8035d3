//! Rights and installed kinds that the operator needs in its cluster, checked before it works.
//!
//! It asks the API server (SelfSubjectAccessReview, discovery, OpenAPI) and reports missing parts
//! in [`Readiness`]; it waits until none is missing, and never ends the process: an operator that
//! is installed before its CRDs or its RBAC continues by itself when they come. Run by the binary.

use std::time::Duration;

use http::Request;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use serde_json::Value;
use tracing::{info, warn};

use crate::{
    election::LEASE, readiness::Readiness, secrets::DIGEST_KEY_SECRET, shutdown::Shutdown,
};

/// The name of the self test in [`Readiness`].
pub const COMPONENT: &str = "self-test";

/// Interval between two checks for missing parts.
const AGAIN: Duration = Duration::from_secs(3);
/// Interval between two looks at watched namespaces that are not served.
const LOOK: Duration = Duration::from_secs(30);

/// Scope of a right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Within {
    /// On a kind of the cluster.
    Cluster,
    /// In each namespace that is served.
    Served,
    /// In the namespace of the operator.
    OwnNamespace,
    /// On one object in the namespace of the operator.
    OwnObject(&'static str),
}

/// Place of the operator, and the namespaces that it is to serve.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// The operator's own namespace.
    pub namespace: &'a str,
    /// The namespaces that it is to serve; none: all.
    pub watched: &'a [String],
}

/// Verbs that are needed on a resource.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The plural, with the subresource behind a slash.
    pub resource: &'static str,
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// Scope of the right.
    pub within: Within,
}

const ENTENTE: &str = entente_crds::GROUP;
const LEASES: &str = "coordination.k8s.io";
const READ: &[&str] = &["get", "list", "watch"];
const READ_AND_PATCH: &[&str] = &["get", "list", "watch", "patch"];

const fn right(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    within: Within,
) -> Right {
    Right {
        group,
        resource,
        verbs,
        within,
    }
}

/// Every right that the operator needs; the chart grants these and no others.
pub const RIGHTS: &[Right] = &[
    // Users' objects: read, finalizers (patch), status.
    right(ENTENTE, "connections", READ_AND_PATCH, Within::Cluster),
    right(ENTENTE, "connections/status", &["update"], Within::Cluster),
    right(ENTENTE, "devicemodels", READ_AND_PATCH, Within::Cluster),
    right(ENTENTE, "devicemodels/status", &["update"], Within::Cluster),
    right(ENTENTE, "smartservices", READ_AND_PATCH, Within::Cluster),
    right(
        ENTENTE,
        "smartservices/status",
        &["update"],
        Within::Cluster,
    ),
    right(ENTENTE, "devices", READ, Within::Served),
    right(ENTENTE, "devices/status", &["update"], Within::Served),
    right(ENTENTE, "contracts", READ_AND_PATCH, Within::Served),
    right(ENTENTE, "contracts/status", &["update"], Within::Served),
    right(ENTENTE, "contractamendments", READ, Within::Served),
    right(
        ENTENTE,
        "contractamendments/status",
        &["update"],
        Within::Served,
    ),
    right(ENTENTE, "contractnotices", READ, Within::Served),
    right(
        ENTENTE,
        "contractnotices/status",
        &["update"],
        Within::Served,
    ),
    // A subscription blocks the deletion of its contract; some clusters require a right to that
    // (admission plugin OwnerReferencesPermissionEnforcement).
    right(ENTENTE, "contracts/finalizers", &["update"], Within::Served),
    // The operator's own objects.
    right(
        ENTENTE,
        "servicesubscriptions",
        &["get", "list", "watch", "create", "patch", "delete"],
        Within::Served,
    ),
    right(
        ENTENTE,
        "servicesubscriptions/status",
        &["update"],
        Within::Served,
    ),
    right(
        ENTENTE,
        "compensations",
        &["get", "list", "watch", "create"],
        Within::Served,
    ),
    right(ENTENTE, "compensations/status", &["update"], Within::Served),
    // A Connection allows namespaces by their labels.
    right("", "namespaces", READ, Within::Cluster),
    right(
        "events.k8s.io",
        "events",
        &["create", "patch"],
        Within::Served,
    ),
    // Credentials and certificates are read by name at use, never listed.
    right("", "secrets", &["get"], Within::OwnNamespace),
    right("", "configmaps", &["get"], Within::OwnNamespace),
    // The operator's own key for digests of secrets, which it makes once.
    right(
        "",
        "secrets",
        &["update"],
        Within::OwnObject(DIGEST_KEY_SECRET),
    ),
];

/// Every right more that the operator needs while it serves the events endpoint.
pub const EVENTS_RIGHTS: &[Right] = &[
    right(
        "authentication.k8s.io",
        "tokenreviews",
        &["create"],
        Within::Cluster,
    ),
    right(
        "authorization.k8s.io",
        "subjectaccessreviews",
        &["create"],
        Within::Cluster,
    ),
    right(ENTENTE, "contracts", &["create"], Within::Served),
    right(ENTENTE, "contractamendments", &["create"], Within::Served),
    right(ENTENTE, "contractnotices", &["create"], Within::Served),
];

/// Every right more that the operator needs while several replicas elect one.
pub const ELECTION_RIGHTS: &[Right] = &[
    right(LEASES, "leases", &["create"], Within::OwnNamespace),
    right(
        LEASES,
        "leases",
        &["get", "watch", "update"],
        Within::OwnObject(LEASE),
    ),
];

/// Waits until nothing is missing, or until the shutdown is requested. Returns the namespaces that are
/// served (none: all): those watched in which the operator has its rights. One that does not exist,
/// or gives no rights, does not hold up the others.
pub async fn pass(
    client: &Client,
    installation: Installation<'_>,
    rights: &[Right],
    readiness: &Readiness,
    shutdown: &Shutdown,
) -> Vec<String> {
    let mut before = Vec::new();
    while !shutdown.is_requested() {
        let looked = tokio::select! {
            looked = look(client, installation, rights) => looked,
            () = shutdown.requested() => break,
        };
        let missing = match looked {
            Ok(Ok(served)) => {
                readiness.set_ready(COMPONENT);
                info!("permissions and custom resource definitions are verified");
                return served;
            }
            Ok(Err(missing)) => missing,
            Err(error) => vec![format!("the API server does not answer: {error}")],
        };
        readiness.set_missing(COMPONENT, missing.clone());
        if missing != before {
            warn!(?missing, "waiting for what is missing");
            before = missing;
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = shutdown.requested() => {}
        }
    }
    Vec::new()
}

/// Returns the namespaces that are served, or what is missing.
async fn look(
    client: &Client,
    installation: Installation<'_>,
    rights: &[Right],
) -> Result<Result<Vec<String>, Vec<String>>, kube::Error> {
    let missing = missing(client, installation, rights).await?;
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    let (served, refused) = servable(client, installation.watched, rights).await?;
    if served.is_empty() && !refused.is_empty() {
        return Ok(Err(refused));
    }
    if !refused.is_empty() {
        warn!(
            ?refused,
            ?served,
            "some watched namespaces are not served yet"
        );
    }
    Ok(Ok(served))
}

/// Waits until a watched namespace that is not served gives the operator its rights, or until the
/// shutdown is requested. Returns that namespace. With nothing to wait for it waits for the
/// shutdown.
pub async fn another_to_serve(
    client: &Client,
    installation: Installation<'_>,
    served: &[String],
    rights: &[Right],
    shutdown: &Shutdown,
) -> Option<String> {
    let mut waiting = installation.watched.to_vec();
    waiting.retain(|namespace| !served.contains(namespace));
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK), if !waiting.is_empty() => {}
            () = shutdown.requested() => return None,
        }
        let found = servable(client, &waiting, rights).await;
        if let Some(namespace) = found.ok().and_then(|(found, _)| found.into_iter().next()) {
            return Some(namespace);
        }
    }
}

/// Returns everything that is missing apart from what each watched namespace has to give, one
/// sentence each; kinds first.
pub async fn missing(
    client: &Client,
    installation: Installation<'_>,
    rights: &[Right],
) -> Result<Vec<String>, kube::Error> {
    let mut missing = missing_kinds(client).await?;
    let everywhere = installation.watched.is_empty();
    let rights = rights.iter();
    let rights = rights.filter(|right| everywhere || right.within != Within::Served);
    missing.extend(refused(client, installation.namespace, rights).await?);
    Ok(missing)
}

/// Returns the namespaces in which the operator has its rights, and the first right that it lacks in
/// each of the others.
async fn servable(
    client: &Client,
    watched: &[String],
    rights: &[Right],
) -> Result<(Vec<String>, Vec<String>), kube::Error> {
    let (mut served, mut lacking) = (Vec::new(), Vec::new());
    for namespace in watched {
        let rights = rights.iter().filter(|right| right.within == Within::Served);
        let here = rights.map(|right| Right {
            within: Within::OwnNamespace,
            ..*right
        });
        let here: Vec<Right> = here.collect();
        match refused(client, namespace, here.iter())
            .await?
            .into_iter()
            .next()
        {
            Some(sentence) => lacking.push(sentence),
            None => served.push(namespace.clone()),
        }
    }
    Ok((served, lacking))
}

/// Returns a sentence for each right that is not granted.
async fn refused(
    client: &Client,
    namespace: &str,
    rights: impl Iterator<Item = &Right>,
) -> Result<Vec<String>, kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut refused = Vec::new();
    for right in rights {
        for verb in right.verbs {
            if !is_allowed(&reviews, namespace, *right, verb).await? {
                refused.push(sentence(namespace, *right, verb));
            }
        }
    }
    Ok(refused)
}

fn sentence(namespace: &str, right: Right, verb: &str) -> String {
    let group = if right.group.is_empty() {
        "core"
    } else {
        right.group
    };
    let place = match right.within {
        Within::Cluster | Within::Served => "the cluster".to_owned(),
        Within::OwnNamespace | Within::OwnObject(_) => format!("namespace {namespace}"),
    };
    let which = match right.within {
        Within::OwnObject(name) => format!(" {name}"),
        Within::Cluster | Within::Served | Within::OwnNamespace => String::new(),
    };
    format!(
        "may not {verb} {}{which} of group {group} in {place}",
        right.resource
    )
}

async fn is_allowed(
    reviews: &Api<SelfSubjectAccessReview>,
    namespace: &str,
    right: Right,
    verb: &str,
) -> Result<bool, kube::Error> {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource,
                verb: Some(verb.to_owned()),
                namespace: match right.within {
                    Within::Cluster | Within::Served => None,
                    Within::OwnNamespace | Within::OwnObject(_) => Some(namespace.to_owned()),
                },
                name: match right.within {
                    Within::OwnObject(name) => Some(name.to_owned()),
                    Within::Cluster | Within::Served | Within::OwnNamespace => None,
                },
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Kinds that are not served, or that lack fields which this operator knows. Needs no rights but
/// those of `system:discovery`.
async fn missing_kinds(client: &Client) -> Result<Vec<String>, kube::Error> {
    let served = match client
        .list_api_group_resources("entente.dev/v1alpha1")
        .await
    {
        Ok(list) => list
            .resources
            .into_iter()
            .map(|resource| resource.name)
            .collect(),
        // The group itself is unknown; the server says so in plain text, without a reason.
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut missing = Vec::new();
    let mut openapi = None;
    for crd in entente_crds::manifest::all() {
        let names = &crd.spec.names;
        if !served.contains(&names.plural) {
            missing.push(format!(
                "the kind {} is not installed (v1alpha1)",
                names.kind
            ));
            continue;
        }
        if openapi.is_none() {
            openapi = Some(schemas(client).await?);
        }
        let installed = openapi
            .as_ref()
            .and_then(|schemas| schemas.get(format!("dev.entente.v1alpha1.{}", names.kind)));
        let Some(installed) = installed else {
            missing.push(format!(
                "the schema of kind {} is not published yet",
                names.kind
            ));
            continue;
        };
        let lacks: Vec<String> = fields(&crd)
            .into_iter()
            .filter(|(part, field)| {
                let pointer = format!("/properties/{part}/properties/{field}");
                installed.pointer(&pointer).is_none()
            })
            .map(|(part, field)| format!("{part}.{field}"))
            .collect();
        if !lacks.is_empty() {
            let lacks = lacks.join(", ");
            missing.push(format!(
                "the installed kind {} is too old: it lacks {lacks}",
                names.kind
            ));
        }
    }
    Ok(missing)
}

async fn schemas(client: &Client) -> Result<Value, kube::Error> {
    let request = Request::get("/openapi/v3/apis/entente.dev/v1alpha1")
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    let mut document: Value = match client.request(request).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
        answer => answer?,
    };
    Ok(document
        .pointer_mut("/components/schemas")
        .map(Value::take)
        .unwrap_or_default())
}

/// Returns the fields below `spec` and `status` that this operator's version of a kind has.
fn fields(
    crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> Vec<(&'static str, String)> {
    let schemas = crd
        .spec
        .versions
        .iter()
        .filter_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let mut fields = Vec::new();
    for schema in schemas {
        for part in ["spec", "status"] {
            let properties = schema
                .properties
                .as_ref()
                .and_then(|properties| properties.get(part)?.properties.as_ref());
            fields.extend(
                properties
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| (part, name.clone())),
            );
        }
    }
    fields
}

#[cfg(test)]
mod tests;
