//! The users of an object of the catalogue, and what an object says that is being deleted and waits
//! for them.
//!
//! It must never decide who uses an object: the catalogue controller looks that up. Called by the
//! reports of the three kinds.

use std::collections::BTreeSet;

use entente_crds::{
    FINALIZER_IN_USE,
    condition::{ConditionType, Reason},
};
use kube::{Resource, ResourceExt as _};

use crate::condition::{Summary, Work};
use crate::listing::some_of;

/// Number of users whose names are in a message.
const SHOWN: usize = 3;

/// The users of an object of the catalogue; each name is "namespace/name", of a model its name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Users {
    /// Names of Devices.
    pub devices: BTreeSet<String>,
    /// Names of ServiceSubscriptions.
    pub subscriptions: BTreeSet<String>,
    /// Names of DeviceModels with a file that is fetched through it.
    pub models: BTreeSet<String>,
    /// Objects that cannot be read and may use it, with their kind.
    pub unreadable: BTreeSet<String>,
    /// Error of the write that would keep the object from being deleted while it is used.
    pub unprotected: Option<String>,
}

impl Users {
    /// True if something uses the object that can be read.
    pub fn is_some(&self) -> bool {
        self.number() > 0
    }

    /// Returns `status.usedBy`.
    pub fn count(&self) -> i64 {
        i64::try_from(self.number()).unwrap_or(i64::MAX)
    }

    fn number(&self) -> usize {
        self.devices.len() + self.subscriptions.len() + self.models.len()
    }

    /// Returns a summary as it is of an object that stays and is kept, or the wait for users of one
    /// that is being deleted. What is still wrong with it stays said, except for words of a remote
    /// side.
    pub(super) fn or_wait<K>(&self, summary: Summary, object: &K) -> Summary
    where
        K: Resource<DynamicType = ()>,
    {
        // A kind without Reconciling has Ready alone.
        let tells_work = ConditionType::Reconciling.kinds().contains(&&*K::kind(&()));
        let work = |work| if tells_work { work } else { Work::Unknown };
        if let Some(error) = &self.unprotected {
            let message = format!(
                "It is used, and the finalizer that keeps it from being deleted meanwhile was not \
                 written, so that no first instance is made with it: {error}."
            );
            return Summary::open(Reason::ProgressingWithRetry, message, work(Work::Retrying));
        }
        let is_held = object.finalizers().iter().any(|it| it == FINALIZER_IN_USE);
        let is_deleted = object.meta().deletion_timestamp.is_some();
        let Some(message) = self.awaited().filter(|_| is_deleted && is_held) else {
            return summary;
        };
        let wait = Summary::open(Reason::InUse, message, work(Work::Progressing));
        if summary.is_ready() || Reason::OF_AN_ATTEMPT.contains(&summary.reason()) {
            wait
        } else {
            wait.and(summary.message())
        }
    }

    /// Returns a sentence that names those for which a deleted object waits.
    fn awaited(&self) -> Option<String> {
        let some = |number: usize, kind: &str| match number {
            0 => None,
            1 => Some(format!("1 {kind}")),
            more => Some(format!("{more} {kind}s")),
        };
        let numbers = [
            some(self.devices.len(), "Device"),
            some(self.subscriptions.len(), "subscription"),
            some(self.models.len(), "DeviceModel"),
        ];
        let numbers = numbers.into_iter().flatten().collect::<Vec<_>>();
        if numbers.is_empty() {
            let unreadable = some_of(self.unreadable.iter(), SHOWN);
            return (!unreadable.is_empty()).then(|| {
                format!("Waits for {unreadable}, which cannot be read and may use it; correct it.")
            });
        }
        let names = self.devices.iter().chain(&self.subscriptions);
        let names = names.chain(&self.models);
        Some(format!(
            "Waits for {}: {}; delete or move them.",
            numbers.join(" and "),
            some_of(names, SHOWN)
        ))
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::example;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_wait_says_how_many_of_each_kind_and_names_the_first_three() {
        let mut users = Users::default();
        assert_eq!(users.awaited(), None);
        users.unreadable = names(&["Device acme/odd"]);
        assert_eq!(
            users.awaited().as_deref(),
            Some("Waits for Device acme/odd, which cannot be read and may use it; correct it.")
        );
        users.subscriptions = names(&["acme/c.backup.lobby"]);
        assert_eq!(
            users.awaited().as_deref(),
            Some("Waits for 1 subscription: acme/c.backup.lobby; delete or move them.")
        );
        users.devices = names(&["b/4", "acme/2", "b/3", "acme/1"]);
        assert_eq!(
            users.awaited().as_deref(),
            Some(
                "Waits for 4 Devices and 1 subscription: acme/1, acme/2, b/3 and 2 more; delete or \
                 move them."
            )
        );
        let users = Users {
            models: names(&["mfp-510"]),
            ..Users::default()
        };
        let expected = "Waits for 1 DeviceModel: mfp-510; delete or move them.";
        assert_eq!(users.awaited().as_deref(), Some(expected));
        assert_eq!(users.count(), 1);
    }

    #[test]
    fn only_an_object_that_is_deleted_and_held_waits_and_it_still_says_what_is_wrong() {
        let mut model = example::mfp_500();
        let users = Users {
            devices: names(&["acme/1"]),
            ..Users::default()
        };
        let wrong = || Summary::open(Reason::UnsupportedValue, "It is wrong.", Work::Stalled);
        let off = || Summary::open(Reason::Unreachable, "Its own words.", Work::Retrying);
        model.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(users.or_wait(wrong(), &model), wrong(), "it is not held");
        model.metadata.finalizers = Some(vec![FINALIZER_IN_USE.to_owned()]);
        let said = |summary| users.or_wait(summary, &model).message().to_owned();
        let wait = "Waits for 1 Device: acme/1; delete or move them.";
        assert_eq!(said(wrong()), format!("{wait} It is wrong."));
        assert_eq!(said(off()), wait);
        assert_eq!(Users::default().or_wait(wrong(), &model), wrong());
        model.metadata.deletion_timestamp = None;
        assert_eq!(users.or_wait(wrong(), &model), wrong(), "it stays");
    }
}
