//! An object as the API server sent it, of which only the metadata that tells versions apart is
//! read.
//!
//! So an object that cannot be decoded does not stop the watch of the others, and a version that
//! the cache has already is not decoded again. Decides nothing. Used by `feed`; what cannot be read
//! is kept as [`Unreadable`].

use std::{borrow::Cow, fmt, marker::PhantomData};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::NamespaceResourceScope};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Value, value::RawValue};

use super::{Key, unmanaged::Unmanaged};

/// An object that was received and not decoded.
pub(super) struct Undecoded<K> {
    metadata: ObjectMeta,
    text: Box<RawValue>,
    kind: PhantomData<fn() -> K>,
}

impl<K: DeserializeOwned> Undecoded<K> {
    /// Returns the object without its managed fields, or what can be read of it.
    pub(super) fn decode(&self) -> Result<K, Box<Unreadable>> {
        let decoded: Result<Unmanaged<K>, _> = serde_json::from_str(self.text.get());
        decoded
            .map(|Unmanaged(object)| object)
            .map_err(|error| Box::new(self.unreadable(&error.to_string())))
    }

    fn unreadable(&self, error: &str) -> Unreadable {
        let rest: Option<Rest> = serde_json::from_str(self.text.get()).ok();
        let Rest {
            metadata,
            spec,
            status,
        } = rest.unwrap_or_else(|| Rest {
            metadata: self.metadata.clone(),
            spec: Value::Null,
            status: Value::Null,
        });
        Unreadable {
            key: Key::of_meta(&metadata),
            metadata: ObjectMeta {
                managed_fields: None,
                ..metadata
            },
            problem: self.field_and_error().unwrap_or_else(|| error.to_owned()),
            spec,
            status,
        }
    }

    /// Returns the path of the field that cannot be read, with the error.
    fn field_and_error(&self) -> Option<String> {
        let mut text = serde_json::Deserializer::from_str(self.text.get());
        let decoded: Result<Unmanaged<K>, _> = serde_path_to_error::deserialize(&mut text);
        let error = decoded.err()?;
        let words = error.inner().to_string();
        // Line and column are those of a text that nobody sees.
        let words = words
            .rsplit_once(" at line ")
            .map_or(&*words, |(words, _)| words);
        Some(format!("{}: {words}", error.path()))
    }
}

/// A version of an object that cannot be read: all that is known of it.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Key of the object.
    pub key: Key,
    /// Its metadata, without managed fields.
    pub metadata: ObjectMeta,
    /// Path of the field, as in `spec.term.timeZone`, and the error in the words of serde.
    pub problem: String,
    /// Its spec as it was received; null if it has none.
    pub spec: Value,
    /// Its status as it was received; null if it has none.
    pub status: Value,
}

/// Returns a part of an object that cannot be read, if that part can.
pub(crate) fn part<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// Returns the entries of a list in an object that cannot be read, those that can be read.
pub(crate) fn entries<T: DeserializeOwned>(list: &Value) -> Vec<T> {
    let entries = list.as_array().into_iter().flatten();
    entries.filter_map(part).collect()
}

/// The parts that are still read of an object that cannot be read.
#[derive(Deserialize)]
struct Rest {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// The part of every object that is read at once.
#[derive(Deserialize)]
struct Head {
    metadata: HeadMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl<'de, K> Deserialize<'de> for Undecoded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let Head { metadata } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            ..ObjectMeta::default()
        };
        Ok(Self {
            metadata,
            text,
            kind: PhantomData,
        })
    }
}

impl<K> Clone for Undecoded<K> {
    fn clone(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            text: self.text.clone(),
            kind: PhantomData,
        }
    }
}

impl<K> fmt::Debug for Undecoded<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Undecoded").field(&self.metadata).finish()
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Undecoded<K> {
    type DynamicType = ();
    // Every path without a namespace is that of all of them, and of kinds of the cluster.
    type Scope = NamespaceResourceScope;

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
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
