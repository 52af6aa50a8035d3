//! The rights of the operator, and whether the API server grants them (SelfSubjectAccessReview).
//!
//! Says what the operator needs, right by right, as the chart grants it; decides nothing of what
//! follows from one that is missing. Called by the self test.

use entente_domain::election::LEASE;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};

use crate::secrets::DIGEST_KEY_SECRET;

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
    right(ENTENTE, "messagetexts", READ, Within::Cluster),
    right(ENTENTE, "messagetexts/status", &["update"], Within::Cluster),
    right(ENTENTE, "sites", READ, Within::Served),
    right(ENTENTE, "sites/status", &["update"], Within::Served),
    right(ENTENTE, "devices", READ, Within::Served),
    right(ENTENTE, "devices/status", &["update"], Within::Served),
    right(ENTENTE, "deviceenrollments", READ, Within::Served),
    right(
        ENTENTE,
        "deviceenrollments/status",
        &["update"],
        Within::Served,
    ),
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
    right(
        ENTENTE,
        "supplyorders",
        &["get", "list", "watch", "create"],
        Within::Served,
    ),
    right(ENTENTE, "supplyorders/status", &["update"], Within::Served),
    // The settings that devices that call should hold.
    right(
        ENTENTE,
        "devicetwins",
        &["get", "list", "watch", "create", "patch", "delete"],
        Within::Served,
    ),
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

/// Every right more that the operator needs while it serves the events endpoint. The board needs the
/// first two as well, and says so on its pages: it must never keep the operator from working.
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

/// A right, and the namespace in which it is needed; none: in the whole cluster.
pub(super) type Placed<'a> = (&'a Right, Option<&'a str>);

impl Right {
    /// Returns the right where it is needed if every namespace is served; this one is the operator's.
    pub(super) fn everywhere<'a>(&'a self, own_namespace: &'a str) -> Placed<'a> {
        let namespace = match self.within {
            Within::Cluster | Within::Served => None,
            Within::OwnNamespace | Within::OwnObject(_) => Some(own_namespace),
        };
        (self, namespace)
    }

    /// Returns the name of the one object that it is about, if it is about one.
    fn object(&self) -> Option<&'static str> {
        match self.within {
            Within::OwnObject(name) => Some(name),
            Within::Cluster | Within::Served | Within::OwnNamespace => None,
        }
    }
}

/// Returns a sentence for each right that is not granted.
pub(super) async fn refused<'a>(
    client: &Client,
    rights: impl Iterator<Item = Placed<'a>>,
) -> Result<Vec<String>, kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut refused = Vec::new();
    for placed in rights {
        for verb in placed.0.verbs {
            if !is_allowed(&reviews, placed, verb).await? {
                refused.push(sentence(placed, verb));
            }
        }
    }
    Ok(refused)
}

fn sentence((right, namespace): Placed<'_>, verb: &str) -> String {
    let group = if right.group.is_empty() {
        "core"
    } else {
        right.group
    };
    let place = namespace.map_or_else(
        || "the cluster".to_owned(),
        |namespace| format!("namespace {namespace}"),
    );
    let which = right.object().map(|name| format!(" {name}"));
    format!(
        "may not {verb} {}{} of group {group} in {place}",
        right.resource,
        which.unwrap_or_default()
    )
}

async fn is_allowed(
    reviews: &Api<SelfSubjectAccessReview>,
    (right, namespace): Placed<'_>,
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
                namespace: namespace.map(str::to_owned),
                name: right.object().map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
