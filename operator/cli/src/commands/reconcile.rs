//! `reconcile`: asks the operator for a pass over an object now, and waits until it says that it has
//! made one. The only command that writes: one annotation.

use std::time::Duration;

use entente_crds::ANNOTATION_RECONCILE_AT;
use entente_crds::v1alpha1::{Connection, Contract, Device};
use jiff::Timestamp;
use kube::Resource;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::CommandError;
use crate::args::{ReconcileArgs, ReconcileKind};
use crate::cluster::{Cluster, Place};
use crate::outcome::{Code, Outcome};

/// Time between two looks at the object.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn run(cluster: &Cluster, args: &ReconcileArgs) -> Result<Outcome, CommandError> {
    let (kind, name) = &args.object;
    let place = Place::Namespace(cluster.namespace().to_owned());
    match kind {
        ReconcileKind::Device => of::<Device>(cluster, &place, name, args).await,
        ReconcileKind::Contract => of::<Contract>(cluster, &place, name, args).await,
        ReconcileKind::Connection => {
            of::<Connection>(cluster, &Place::Everywhere, name, args).await
        }
    }
}

async fn of<K>(
    cluster: &Cluster,
    place: &Place,
    name: &str,
    args: &ReconcileArgs,
) -> Result<Outcome, CommandError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let title = match place {
        Place::Namespace(namespace) => format!("{} {namespace}/{name}", K::kind(&())),
        Place::Everywhere => format!("{} {name}", K::kind(&())),
    };
    answers::<K>(cluster).await?;
    let asked = Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {ANNOTATION_RECONCILE_AT: asked}}});
    let url = K::url_path(&(), place.namespace());
    let parameters = PatchParams {
        field_manager: Some("kubectl-entente".to_owned()),
        ..PatchParams::default()
    };
    let request = Request::new(&*url)
        .patch(name, &parameters, &Patch::Merge(&patch))
        .map_err(kube::Error::BuildRequest);
    let sent = match request {
        Ok(request) => cluster.client().request::<Value>(request).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        if let kube::Error::Api(status) = &error
            && status.code == 404
        {
            cluster.get_in::<K>(place, name).await?;
        }
        return Err(cluster.refusal::<K>("patch", title, error).into());
    }
    if args.no_wait {
        return Ok(Outcome::new(format!("{title}: asked for\n"), Code::Settled));
    }
    let deadline = tokio::time::Instant::now() + args.timeout.unsigned_abs();
    loop {
        let object: Value = cluster.value_in::<K>(place, name).await?;
        if object["status"]["lastHandledReconcileAt"] == *asked {
            return Ok(Outcome::new(ended(&title, &object), Code::Settled));
        }
        if tokio::time::Instant::now() >= deadline {
            let message = format!(
                "{title}: asked for, and not made within {}: is the operator running? \
                 (kubectl entente check)\n",
                entente_domain::views::age(args.timeout)
            );
            return Ok(Outcome::new(message, Code::InProgress));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn ended(title: &str, object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|it| it["type"] == "Ready");
    let ready = ready.map_or_else(String::new, |ready| {
        let word = |field: &str| ready[field].as_str().unwrap_or_default();
        format!("; Ready is {}: {}", word("status"), word("reason"))
    });
    format!("{title}: made{ready}\n")
}

/// Checks that the installed kind says when it has handled a request: otherwise nobody would ever be
/// answered.
async fn answers<K: Resource<DynamicType = ()>>(cluster: &Cluster) -> Result<(), CommandError> {
    let answer = cluster.raw("/openapi/v3/apis/entente.dev/v1alpha1").await?;
    let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let schemas = &document["components"]["schemas"];
    let has = |kind: &str| {
        let installed = &schemas[format!("dev.entente.v1alpha1.{kind}")];
        let status = &installed["properties"]["status"]["properties"];
        !status["lastHandledReconcileAt"].is_null()
    };
    let kind = K::kind(&());
    // Without the document nothing is known, and the request is worth a try.
    if schemas.is_null() || has(&kind) {
        return Ok(());
    }
    let kinds = entente_crds::rules::kinds();
    let others: Vec<&str> = kinds.into_iter().filter(|kind| has(kind)).collect();
    Err(CommandError::Usage(format!(
        "the installed version cannot be asked for a reconcile of a {kind}: it has no \
         status.lastHandledReconcileAt; kinds that have it: {}",
        others.join(", ")
    )))
}
