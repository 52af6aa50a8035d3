//! Names of objects as types of their own, so that none is taken for another.
//!
//! Decides nothing. Made from objects by observe and resolve; the keys of what delivery knows.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use serde::{Serialize, Serializer};

macro_rules! name {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        ///
        /// Cheap to clone; ordered, shown and serialized as its text.
        #[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: AsRef<str>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.as_ref().into())
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, text: &str) -> bool {
                *self.0 == *text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a ServiceSubscription, in the namespace of its device.
    SubscriptionName
}

name! {
    /// The name of a Connection; a Device names each of its connections by it.
    ConnectionName
}

/// End of the key of the instance that a subscription leaves. No object has such a name.
const LEAVING: &str = "/leaving";

impl SubscriptionName {
    /// Returns the key of the instance that this subscription leaves: it has answers, backoffs and
    /// waits of its own, beside those of the instance that takes its place.
    #[must_use]
    pub fn leaving(&self) -> Self {
        format!("{self}{LEAVING}").into()
    }

    /// True if it is the key of an instance that a subscription leaves, and not the name of an object.
    pub fn is_leaving(&self) -> bool {
        self.ends_with(LEAVING)
    }

    /// Returns the name of the object that it is about.
    #[must_use]
    pub fn object(&self) -> Self {
        self.strip_suffix(LEAVING)
            .map_or_else(|| self.clone(), Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_name_is_found_shown_compared_and_written_as_its_text() {
        let name = SubscriptionName::from("c.backup.lobby");
        let map: BTreeMap<_, _> = [(name.clone(), 1)].into();
        assert_eq!(map.get("c.backup.lobby"), Some(&1));
        assert_eq!(name, *"c.backup.lobby");
        assert_eq!(
            format!("{name} {name:?}"),
            "c.backup.lobby \"c.backup.lobby\""
        );
        assert_eq!(format!("[{:>6}]", ConnectionName::from("ipp")), "[   ipp]");
        let json = serde_json::to_value(&name).expect("a text");
        assert_eq!(json, serde_json::json!("c.backup.lobby"));
    }

    #[test]
    fn an_instance_that_leaves_has_a_key_that_is_no_name_and_leads_back_to_the_object() {
        let name = SubscriptionName::from("c.backup.lobby");
        let leaving = name.leaving();
        assert_eq!(leaving, *"c.backup.lobby/leaving");
        assert!(leaving.is_leaving() && !name.is_leaving());
        assert_eq!(leaving.object(), name);
        assert_eq!(name.object(), name);
    }

    #[test]
    fn names_are_ordered_as_their_texts() {
        let texts = ["b", "", "a.b", "a", "B"];
        let mut names = texts.map(ConnectionName::from);
        names.sort();
        let mut sorted = texts;
        sorted.sort_unstable();
        assert_eq!(names.each_ref().map(ConnectionName::as_str), sorted);
    }
}
