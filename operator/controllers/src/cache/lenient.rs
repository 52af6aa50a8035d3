//! An object that may not be readable: so that one of them does not stop the watch of the others.
//!
//! `kube::core::DeserializeGuard` does the same over a generic value that it copies once more; this
//! one goes through JSON, without that copy. Used by `feed` only.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Value;

/// An object, or its metadata and why the rest could not be read.
#[derive(Clone, Debug)]
pub(super) enum Lenient<K> {
    /// It could be read.
    Object(Box<K>),
    /// It could not.
    Undecodable {
        /// Its metadata, without managed fields.
        metadata: Box<ObjectMeta>,
        /// What is wrong, in the words of serde.
        problem: String,
    },
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        // Two thirds of the memory of an object, and of no use here.
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        // What is read takes its texts from the value instead of copying each.
        let metadata = value.get("metadata").cloned();
        K::deserialize(value)
            .map(|object| Self::Object(Box::new(object)))
            .or_else(|error| {
                let metadata = metadata.ok_or_else(|| D::Error::custom("no metadata"))?;
                let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
                let problem = error.to_string();
                Ok(Self::Undecodable {
                    metadata: Box::new(metadata),
                    problem,
                })
            })
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Lenient<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Object(object) => object.meta(),
            Self::Undecodable { metadata, .. } => metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Object(object) => object.meta_mut(),
            Self::Undecodable { metadata, .. } => metadata,
        }
    }
}
