//! Rights and installed kinds that the operator needs in its cluster, checked before it works.
//!
//! It asks the API server (SelfSubjectAccessReview, discovery, OpenAPI) and reports missing parts
//! in [`Readiness`]; it waits until none is missing, and never ends the process: an operator that
//! is installed before its CRDs or its RBAC continues by itself when they come. Run by the binary.

mod definitions;
mod rights;

use std::time::Duration;

use kube::Client;
use tracing::{info, warn};

use crate::{api_error, readiness::Readiness, shutdown::Shutdown};
use definitions::missing_kinds;
use rights::refused;

pub use rights::{ELECTION_RIGHTS, EVENTS_RIGHTS, RIGHTS, Right, Within};

/// The name of the self test in [`Readiness`].
pub const COMPONENT: &str = "self-test";

/// Interval between two checks for missing parts.
const AGAIN: Duration = Duration::from_secs(3);
/// Interval between two looks at watched namespaces that are not served.
const LOOK: Duration = Duration::from_secs(30);

/// Place of the operator, and the namespaces that it is to serve.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// The operator's own namespace.
    pub namespace: &'a str,
    /// The namespaces that it is to serve; none: all.
    pub watched: &'a [String],
}

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
            Err(error) => {
                let error = api_error::words(&error);
                vec![format!("the API server does not answer: {error}")]
            }
        };
        readiness.set_missing(COMPONENT, missing.clone());
        if missing != before {
            let said = missing.join("; ");
            warn!(missing = said, "waiting for what is missing");
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
        let (refused, served) = (refused.join("; "), served.join(", "));
        warn!(
            refused,
            served, "some watched namespaces are not served yet"
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
            // No event tells that a Role was made, and who may not read Roles cannot watch them.
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
    let rights = rights.map(|right| right.everywhere(installation.namespace));
    missing.extend(refused(client, rights).await?);
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
        let here = rights.map(|right| (right, Some(&**namespace)));
        match refused(client, here).await?.into_iter().next() {
            Some(sentence) => lacking.push(sentence),
            None => served.push(namespace.clone()),
        }
    }
    Ok((served, lacking))
}

#[cfg(test)]
mod tests;
