//! Objects that exist and cannot be read, and what is said by those that refer to one.
//!
//! Decides the reason and the words for a reference to an object that is not at hand. One that cannot
//! be read must never be said to be missing: a person would create it. Decides nothing about the
//! object itself, whose own status names the field. Called by every stage that looks a reference up:
//! contract, catalogue and delivery.

use std::{collections::BTreeSet, fmt};

use entente_crds::condition::Reason;

/// Kind of an object that others refer to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Referent {
    /// Connection, of the cluster.
    Connection,
    /// Device, of the namespace of whoever refers to it.
    Device,
    /// DeviceModel, of the cluster.
    DeviceModel,
    /// Site, of the namespace of whoever refers to it.
    Site,
    /// SmartService, of the cluster.
    SmartService,
}

impl Referent {
    /// Returns the reason if there is no such object.
    fn not_found(self) -> Reason {
        match self {
            Self::Connection => Reason::ConnectionNotFound,
            Self::Device => Reason::DeviceNotFound,
            Self::DeviceModel => Reason::ModelNotFound,
            Self::Site => Reason::SiteNotFound,
            Self::SmartService => Reason::ServiceNotFound,
        }
    }
}

impl fmt::Display for Referent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The objects that exist and cannot be read, by kind and name. An older version of one may be at
/// hand all the same, and is used then.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnreadableObjects(BTreeSet<(Referent, String)>);

impl FromIterator<(Referent, String)> for UnreadableObjects {
    fn from_iter<I: IntoIterator<Item = (Referent, String)>>(objects: I) -> Self {
        Self(objects.into_iter().collect())
    }
}

impl UnreadableObjects {
    /// True if an object exists and cannot be read.
    pub fn contains(&self, kind: Referent, name: &str) -> bool {
        self.0.contains(&(kind, name.to_owned()))
    }

    /// Returns the reason and a clause about a reference to an object that is not at hand, without
    /// capital and full stop.
    pub fn not_at_hand(&self, kind: Referent, name: &str) -> (Reason, String) {
        if self.contains(kind, name) {
            let message = format!("the {kind} {name} {}", Self::CANNOT_BE_READ);
            return (Reason::Undecodable, message);
        }
        let message = format!("the {kind} {name} does not exist; create it");
        (kind.not_found(), message)
    }

    /// Words about an object that cannot be read, after its name.
    pub const CANNOT_BE_READ: &str = "cannot be read; correct the field that its status names";
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K2 K7
    #[test]
    fn what_cannot_be_read_is_not_said_to_be_missing_and_only_that() {
        let kinds = [
            Referent::Connection,
            Referent::Device,
            Referent::DeviceModel,
            Referent::Site,
            Referent::SmartService,
        ];
        for kind in kinds {
            let unreadable: UnreadableObjects = [(kind, "lobby".to_owned())].into_iter().collect();
            let (reason, message) = unreadable.not_at_hand(kind, "lobby");
            assert_eq!(reason, Reason::Undecodable);
            assert!(message.starts_with(&format!("the {kind} lobby cannot be read")));
            assert!(!message.contains("create"), "{message}");
            for (other, name) in kinds.into_iter().zip(["lobby"; 5]).chain([(kind, "other")]) {
                if (other, name) == (kind, "lobby") {
                    continue;
                }
                let (reason, message) = unreadable.not_at_hand(other, name);
                assert_eq!(reason, other.not_found());
                assert_eq!(
                    message,
                    format!("the {other} {name} does not exist; create it")
                );
            }
        }
    }
}
