//! Says in an object that its newest version cannot be read (K7).
//!
//! Such an object is left as it is but for its conditions: no controller writes it, its finalizers
//! stay, and it is read again with its next version. The write carries the resourceVersion that
//! could not be read, so it never replaces what a person corrected. An event tells of it once. Decides
//! nothing else. Started for every kind with conditions by `objects`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use entente_crds::{condition::ConditionType, v1alpha1::Condition};
use entente_domain::condition::{find, of_undecodable};
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    cache::{Cache, Key, Unreadable},
    context::Context,
    events::EventReason,
    shutdown::Shutdown,
    status::{Conditioned, status_request},
};

/// Time after which a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Reports every object of a kind that cannot be read, until the shutdown is requested.
pub(crate) async fn report<K: Conditioned>(
    cache: Arc<Cache<K>>,
    context: Context,
    shutdown: Shutdown,
) {
    let mut changes = cache.subscribe_unreadable();
    let mut unwritten: BTreeMap<Key, Arc<Unreadable>> = BTreeMap::new();
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            change = changes.recv() => {
                let Some(change) = change else { return };
                let key = change.object.key.clone();
                if change.is_over {
                    unwritten.remove(&key);
                } else {
                    unwritten.insert(key, change.object);
                }
            }
            () = sleep(RETRY), if !unwritten.is_empty() => {}
        }
        let mut failed = BTreeMap::new();
        for (key, object) in unwritten {
            if let Err(error) = write::<K>(&context, &object).await {
                tracing::warn!(kind = cache.kind(), object = %key, %error, "it could not be said \
                    in the object that it cannot be read");
                failed.insert(key, object);
            }
        }
        unwritten = failed;
    }
}

/// Writes the conditions, if they differ. A version that is gone or replaced is no failure: the
/// next one is announced.
async fn write<K: Conditioned>(context: &Context, object: &Unreadable) -> Result<(), kube::Error> {
    let kind = K::kind(&());
    let meta = &object.metadata;
    let mut status = object.status.clone();
    if !status.is_object() {
        status = json!({});
    }
    let before: Vec<Condition> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|condition| serde_json::from_value(condition.clone()).ok())
        .collect();
    let after = of_undecodable(
        &before,
        &kind,
        meta.generation,
        &object.problem,
        context.clock.now(),
    );
    if before == after {
        return Ok(());
    }
    status["conditions"] = json!(after);
    status["observedGeneration"] = json!(meta.generation);
    let request = status_request::<K>(meta, &status).map_err(kube::Error::BuildRequest)?;
    match context.client.request::<Value>(request).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
        answer => drop(answer?),
    }
    // The same reason may be about an object that this one refers to.
    let said = |conditions: &[Condition]| {
        let ready = find(conditions, ConditionType::Ready);
        ready.map(|ready| (ready.reason.clone(), ready.message.clone()))
    };
    if said(&before) != said(&after) {
        let note = format!("This object cannot be read: {}.", object.problem);
        let (regarding, reason) = (reference::<K>(object), EventReason::ObjectUndecodable);
        context.events.publish(&regarding, reason, note, None);
    }
    Ok(())
}

fn reference<K: Conditioned>(object: &Unreadable) -> ObjectReference {
    let meta = &object.metadata;
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    }
}
