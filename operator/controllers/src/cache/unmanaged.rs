//! Reads an object without its `metadata.managedFields`: nearly half of its text, and read by
//! nobody here.
//!
//! The key is shown to the visitor of the metadata under a name that it does not know, so that the
//! visitor itself skips the value and nothing of it is allocated. It decides nothing else and
//! changes no other field. Used by `undecoded` and by `status`.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
    forward_to_deserialize_any,
};

/// An object without managed fields, also if its text has them.
pub(crate) struct Unmanaged<K>(pub(crate) K);

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Unmanaged<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        K::deserialize(Skipping(deserializer, Level::Object)).map(Self)
    }
}

/// The map that is being read.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Level {
    Object,
    Metadata,
}

/// A deserializer, visitor or seed that passes the rule on.
struct Skipping<T>(T, Level);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Skipping<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Skipping(visitor, self.1))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(Skipping(visitor, self.1))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Skipping(visitor, self.1))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = Skipping(visitor, self.1);
        self.0.deserialize_struct(name, fields, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Skipping<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Skipping(deserializer, self.1))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Entries {
            inner: entries,
            level: self.1,
            of_metadata: false,
        })
    }
}

/// The entries of one map.
struct Entries<A> {
    inner: A,
    level: Level,
    /// True if the next value is the metadata of the object.
    of_metadata: bool,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let of_metadata = Cell::new(false);
        let key = self.inner.next_key_seed(KeyOf {
            inner: seed,
            level: self.level,
            of_metadata: &of_metadata,
        });
        self.of_metadata = of_metadata.get();
        key
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        if self.of_metadata {
            self.inner.next_value_seed(Skipping(seed, Level::Metadata))
        } else {
            self.inner.next_value_seed(seed)
        }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Skipping<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Skipping(deserializer, self.1))
    }
}

/// The seed, the deserializer and the visitor of a key.
struct KeyOf<'a, T> {
    inner: T,
    level: Level,
    of_metadata: &'a Cell<bool>,
}

impl<'a, T> KeyOf<'a, T> {
    fn around<U>(&self, inner: U) -> KeyOf<'a, U> {
        KeyOf {
            inner,
            level: self.level,
            of_metadata: self.of_metadata,
        }
    }

    /// True if the key is not to be seen. Notes whether its value is the metadata.
    fn is_hidden(&self, key: &str) -> bool {
        self.of_metadata
            .set(self.level == Level::Object && key == "metadata");
        self.level == Level::Metadata && key == "managedFields"
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for KeyOf<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.deserialize(deserializer)
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for KeyOf<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.around(visitor);
        self.inner.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for KeyOf<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<V::Value, E> {
        let key = if self.is_hidden(key) { HIDDEN } else { key };
        self.inner.visit_str(key)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, key: &'de str) -> Result<V::Value, E> {
        let key = if self.is_hidden(key) { HIDDEN } else { key };
        self.inner.visit_borrowed_str(key)
    }
}

/// A key that no metadata has.
const HIDDEN: &str = "";

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::Unmanaged;

    fn read(text: &str) -> Result<ConfigMap, String> {
        let read: Result<Unmanaged<ConfigMap>, _> = serde_json::from_str(text);
        read.map(|Unmanaged(object)| object)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_managed_fields_of_the_metadata_are_left_out() {
        let text = r#"{"data": {"managedFields": "kept", "metadata": "kept"},
            "metadata": {"name": "a", "managedFields": ["not even", {"valid": 7}],
                         "labels": {"managedFields": "kept"}, "uid": "u1"}}"#;
        let object = read(text).unwrap();
        assert_eq!(object.metadata.managed_fields, None);
        assert_eq!(object.metadata.labels.unwrap()["managedFields"], "kept");
        assert_eq!(object.metadata.uid.as_deref(), Some("u1"));
        assert_eq!(object.data.unwrap().len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said_as_without_it() {
        for text in [
            r#"{"metadata": {"name": 7}}"#,
            r#"{"metadata": "a"}"#,
            r#"{"metadata": {"name": "a"}, "data": []}"#,
            "[]",
        ] {
            let plain = serde_json::from_str::<ConfigMap>(text).unwrap_err();
            assert_eq!(read(text).unwrap_err(), plain.to_string(), "{text}");
        }
        assert_eq!(read(r#"{"metadata": null}"#), Ok(ConfigMap::default()));
    }
}
