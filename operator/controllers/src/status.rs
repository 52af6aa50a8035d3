//! Writes to the Kubernetes API, each guarded by the version of its decision.
//!
//! A status is replaced with the resourceVersion that was read; objects are created by POST under
//! a name that is known before; finalizers, specs and deletions carry UID and resourceVersion. So a
//! decision on something old is refused by the server and never does harm. Nothing here retries a
//! write whose outcome is not known: the next pass finds out. Called by the controllers.

mod report;

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions, Request},
    core::{
        object::{HasSpec, HasStatus},
        request::Error as RequestError,
    },
};
use serde::Serialize;
use serde_json::{Value, json};

pub use self::report::{Conditioned, Reported, report_until_written};
pub(crate) use self::report::{report_defect, written_alone};
use crate::{
    api_error,
    cache::{Cached, Key, Unmanaged},
    queue::keeping_slot,
};

/// Name of the operator in `managedFields`.
pub const FIELD_MANAGER: &str = "entente";

/// Reason why a write did not happen, or may not have happened.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another writer came in between, or an object of that name is being deleted: read again and
    /// decide again.
    #[error("{kind} {key} was changed in between")]
    Conflict {
        /// The kind.
        kind: String,
        /// Key of the object.
        key: Key,
    },
    /// It does not exist, or exists again with another UID.
    #[error("{kind} {key} does not exist any more")]
    Gone {
        /// The kind.
        kind: String,
        /// Key of the object.
        key: Key,
    },
    /// The API server refuses it and would again: not valid, not allowed, or its namespace is
    /// being deleted ([`WriteError::is_namespace_terminating`]).
    #[error("the API server refuses to write {kind} {key}: {message}")]
    Refused {
        /// The kind.
        kind: String,
        /// Key of the object.
        key: Key,
        /// The HTTP status.
        code: u16,
        /// The reason in the server's answer, such as `Invalid`.
        reason: String,
        /// The message in the server's answer.
        message: String,
    },
    /// A panic while it was decided or written: a defect of ours.
    #[error("{kind} {key} was not written: a panic, which is a defect of Entente")]
    Panicked {
        /// The kind.
        kind: String,
        /// Key of the object.
        key: Key,
    },
    /// The outcome is not known: no answer, or one that leaves it open.
    #[error("writing {kind} {key} failed: {}", api_error::words(source))]
    Unknown {
        /// The kind.
        kind: String,
        /// Key of the object.
        key: Key,
        /// The error of the request.
        source: Box<kube::Error>,
    },
}

impl WriteError {
    fn new<K: Resource<DynamicType = ()>>(key: &Key, error: kube::Error) -> Self {
        let kind = K::kind(&()).into_owned();
        let key = key.clone();
        match &error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Gone { kind, key },
                409 => Self::Conflict { kind, key },
                code if matches!(code, 400 | 401 | 403 | 405 | 413 | 415 | 422)
                    || is_too_large(&status.message) =>
                {
                    Self::Refused {
                        kind,
                        key,
                        code,
                        reason: status.reason.clone(),
                        message: status.message.clone(),
                    }
                }
                _ => Self::Unknown {
                    kind,
                    key,
                    source: Box::new(error),
                },
            },
            _ => Self::Unknown {
                kind,
                key,
                source: Box::new(error),
            },
        }
    }

    /// True if an object could not be created because its namespace is being deleted.
    pub fn is_namespace_terminating(&self) -> bool {
        // The API server gives this as a cause, and in its message since Kubernetes 1.0.
        matches!(self, Self::Refused { code: 403, message, .. } if message.contains("is being terminated"))
    }
}

/// True if a message of the API server is that of its store about an object that is too large. The
/// server answers 500 then, and would again: the limit is that of one request to etcd, or of one
/// message to it.
fn is_too_large(message: &str) -> bool {
    message.contains("etcdserver: request is too large")
        || message.contains("trying to send message larger than max")
}

/// Result of a creation.
#[derive(Debug)]
pub enum Created<K> {
    /// It was created now.
    New(K),
    /// It existed already: somebody else's, or ours from a pass whose answer was lost. Compare it.
    Existing(K),
}

/// Result of a deletion.
#[derive(Debug)]
pub enum Deleted<K> {
    /// It is gone.
    Gone,
    /// It waits for its finalizers.
    Terminating(Box<K>),
}

/// Requirements of a write on a kind.
pub trait Written: Cached + Serialize {}

impl<K: Cached + Serialize> Written for K {}

/// Body of a status write: the identity of the object, and its status. The API server takes
/// everything else from its own copy, so sending more costs both sides time for nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusOnly<'a, S> {
    api_version: Cow<'static, str>,
    kind: Cow<'static, str>,
    metadata: ObjectMeta,
    status: &'a S,
}

/// Replaces the status of the object, if it still has the UID and the resourceVersion of `object`.
/// Nothing but the status is changed.
pub async fn write_status<K>(api: &Api<K>, object: &K, status: &K::Status) -> Result<K, WriteError>
where
    K: Written + HasStatus,
    K::Status: Serialize,
{
    let written = send(api, |_| status_request::<K>(object.meta(), status));
    written
        .await
        .map_err(|error| WriteError::new::<K>(&Key::of(object), error))
}

/// Returns the request that replaces the status of an object, if it still has the UID and the
/// resourceVersion of this metadata.
pub(crate) fn status_request<K: Cached>(
    meta: &ObjectMeta,
    status: &impl Serialize,
) -> Result<http::Request<Vec<u8>>, RequestError> {
    let name = meta.name.clone().unwrap_or_default();
    let wanted = StatusOnly {
        api_version: K::api_version(&()),
        kind: K::kind(&()),
        metadata: ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            ..ObjectMeta::default()
        },
        status,
    };
    let url = K::url_path(&(), meta.namespace.as_deref());
    Request::new(url).replace_subresource("status", &name, &post(), text(&wanted)?)
}

/// Reads an object from the API server itself; none if there is no such object.
pub async fn read<K: Written>(api: &Api<K>, key: &Key) -> Result<Option<K>, WriteError> {
    match send(api, |request| request.get(&key.name, &GetParams::default())).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(WriteError::new::<K>(key, error)),
    }
}

/// Adds a finalizer, if it is not there. The others stay as they are.
pub async fn add_finalizer<K: Written>(
    api: &Api<K>,
    object: &K,
    finalizer: &str,
) -> Result<K, WriteError> {
    if has_finalizer(object, finalizer) {
        return Ok(object.clone());
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(finalizer.to_owned());
    patch_finalizers(api, object, &finalizers).await
}

/// Removes a finalizer, if it is there. The others stay as they are. The answer to the last one of
/// a terminating object is the object as it was when it went; [`Cache::put_written`] knows that.
pub async fn remove_finalizer<K: Written>(
    api: &Api<K>,
    object: &K,
    finalizer: &str,
) -> Result<K, WriteError> {
    if !has_finalizer(object, finalizer) {
        return Ok(object.clone());
    }
    let rest: Vec<_> = object
        .finalizers()
        .iter()
        .filter(|existing| *existing != finalizer)
        .cloned()
        .collect();
    patch_finalizers(api, object, &rest).await
}

/// True if the object has the finalizer.
pub fn has_finalizer<K: Written>(object: &K, finalizer: &str) -> bool {
    let mut finalizers = object.finalizers().iter();
    finalizers.any(|existing| existing == finalizer)
}

async fn patch_finalizers<K: Written>(
    api: &Api<K>,
    object: &K,
    finalizers: &[String],
) -> Result<K, WriteError> {
    // A merge patch replaces the whole list, so it may only be applied to the version that the list
    // was read from; otherwise another writer's finalizer could be lost.
    let patch = json!({"metadata": {
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
    }});
    let patched = send(api, |request| {
        request.patch(&object.name_any(), &patch_params(), &Patch::Merge(&patch))
    });
    patched
        .await
        .map_err(|error| WriteError::new::<K>(&Key::of(object), error))
}

/// Creates an object under its own name, or finds that there is one.
pub async fn create<K: Written>(api: &Api<K>, object: &K) -> Result<Created<K>, WriteError> {
    let key = Key::of(object);
    let created = send(api, |request| request.create(&post(), text(object)?));
    match created.await {
        Ok(created) => Ok(Created::New(created)),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            match read(api, &key).await? {
                Some(existing) => Ok(Created::Existing(existing)),
                // It went in between; the next pass creates it.
                None => Err(WriteError::Conflict {
                    kind: K::kind(&()).into_owned(),
                    key,
                }),
            }
        }
        Err(error) => Err(WriteError::new::<K>(&key, error)),
    }
}

/// Replaces the spec, if the object still has the UID and the resourceVersion of `object`. Labels,
/// annotations and owners stay as they are: caches do not keep all of them. Only for objects that
/// the operator owns.
pub async fn replace_spec<K>(api: &Api<K>, object: &K, spec: &K::Spec) -> Result<K, WriteError>
where
    K: Written + HasSpec<Spec: Serialize>,
{
    let replace = |path: &str, value| json!({"op": "replace", "path": path, "value": value});
    let operations = json!([
        replace("/metadata/uid", json!(object.uid())),
        replace(
            "/metadata/resourceVersion",
            json!(object.resource_version())
        ),
        replace("/spec", json!(spec)),
    ]);
    patch_operations(api, object, operations).await
}

async fn patch_operations<K: Written>(
    api: &Api<K>,
    object: &K,
    operations: Value,
) -> Result<K, WriteError> {
    let patch = serde_json::from_value(operations).map_err(RequestError::SerializeBody);
    let patched = send(api, |request| {
        request.patch(
            &object.name_any(),
            &patch_params(),
            &Patch::<()>::Json(patch?),
        )
    });
    patched
        .await
        .map_err(|error| WriteError::new::<K>(&Key::of(object), error))
}

/// Makes an object that exists one's own: `change` gets it as the API server has it, and its labels,
/// owners, finalizers and spec are written; if it still has the UID and the resourceVersion of
/// `object`. It is read first, since caches do not keep all of its metadata.
pub async fn adopt<K>(
    api: &Api<K>,
    object: &K,
    change: impl FnOnce(&mut K),
) -> Result<K, WriteError>
where
    K: Written + HasSpec<Spec: Serialize>,
{
    let key = Key::of(object);
    let found = read(api, &key).await?;
    let same = |found: &K| {
        found.uid() == object.uid() && found.resource_version() == object.resource_version()
    };
    let Some(mut found) = found.filter(same) else {
        return Err(WriteError::Conflict {
            kind: K::kind(&()).into_owned(),
            key,
        });
    };
    change(&mut found);
    let set = |path: &str, value| json!({"op": "add", "path": path, "value": value});
    let meta = found.meta();
    let operations = json!([
        set("/metadata/uid", json!(meta.uid)),
        set("/metadata/resourceVersion", json!(meta.resource_version)),
        set("/metadata/labels", json!(meta.labels)),
        set("/metadata/ownerReferences", json!(meta.owner_references)),
        set("/metadata/finalizers", json!(meta.finalizers)),
        set("/spec", json!(found.spec())),
    ]);
    patch_operations(api, object, operations).await
}

/// Deletes the object, if it still has the UID and the resourceVersion of `object`.
pub async fn delete<K: Written>(api: &Api<K>, object: &K) -> Result<Deleted<K>, WriteError> {
    let parameters = DeleteParams::background().preconditions(Preconditions {
        uid: object.uid(),
        resource_version: object.resource_version(),
    });
    match keeping_slot(api.delete(&object.name_any(), &parameters)).await {
        Ok(answer) => Ok(answer
            .left()
            .filter(|left| !left.finalizers().is_empty())
            .map_or(Deleted::Gone, |left| Deleted::Terminating(Box::new(left)))),
        Err(error) => match WriteError::new::<K>(&Key::of(object), error) {
            WriteError::Gone { .. } => Ok(Deleted::Gone),
            error => Err(error),
        },
    }
}

/// Sends a request of [`Api`] and reads its answer without managed fields, which [`Api`] cannot.
async fn send<K: Cached>(
    api: &Api<K>,
    build: impl FnOnce(&Request) -> Result<http::Request<Vec<u8>>, RequestError>,
) -> Result<K, kube::Error> {
    let request = build(&Request::new(api.resource_url())).map_err(kube::Error::BuildRequest)?;
    let client = api.clone().into_client();
    let Unmanaged(answer) = keeping_slot(client.request(request)).await?;
    Ok(answer)
}

fn text(body: &impl Serialize) -> Result<Vec<u8>, RequestError> {
    serde_json::to_vec(body).map_err(RequestError::SerializeBody)
}

fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn post() -> PostParams {
    PostParams {
        dry_run: false,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}

#[cfg(test)]
mod tests;
