//! The names of records, and the keys under which they are booked.
//!
//! Decides what the record of a promise by a remedy is called, and the one that issues it again: a
//! crash between making a record and noting it makes no second one, since both are asked for by
//! name. The key says whose debt a record of that name is.

use entente_crds::v1alpha1::{Compensation, Record, Reissue, ServiceSubscription};
use jiff::Timestamp;
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

/// The most issues of one record: with the remedies that a revision may have, they are as many as a
/// promise's `emitted` holds (its schema).
const MOST_ISSUES: u32 = 8;

/// Returns the name of the compensation of a promise by a remedy, such as
/// `banco-sul.backup.lobby.20270401t030000z.credit`: at most 241 characters, since the name of a
/// subscription is three DNS labels.
pub fn compensation_name(subscription: &str, promised: Timestamp, remedy: &str) -> String {
    format!(
        "{subscription}.{}.{remedy}",
        promised.strftime("%Y%m%dt%H%M%Sz")
    )
}

/// Returns the number and the name of the record that has to follow one which a person asked to
/// issue again: that of the first issue with `.2`, `.3` and so on.
pub(crate) fn next_issue(voided: &Compensation) -> Option<(u32, String)> {
    if voided.spec.voided.as_ref()?.reissue != Reissue::Same {
        return None;
    }
    let (record, name) = (&voided.spec.record, voided.name_any());
    let first = compensation_name(
        &record.subscription.name,
        record.promised,
        &record.remedy.name,
    );
    let issue = issue_of(&name, &first)?;
    let issue = issue.checked_add(1).filter(|issue| *issue <= MOST_ISSUES)?;
    Some((issue, format!("{first}.{issue}")))
}

/// Returns the number of the issue that a name has, if it is one of this first issue's.
pub(crate) fn issue_of(name: &str, first: &str) -> Option<u32> {
    let suffix = name.strip_prefix(first)?;
    if suffix.is_empty() {
        return Some(1);
    }
    suffix.strip_prefix('.')?.parse().ok()
}

/// Returns the name of the record that has to follow a voided one; `None` where none has to.
pub fn successor_name(voided: &Compensation) -> Option<String> {
    next_issue(voided).map(|(_, name)| name)
}

/// Facts of a debt from which the key of its record follows. None of them can contain a line feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DebtFacts<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) contract: &'a str,
    pub(crate) customer: &'a str,
    pub(crate) service: &'a str,
    pub(crate) device: &'a str,
    pub(crate) promised: Timestamp,
    pub(crate) remedy: &'a str,
}

impl<'a> DebtFacts<'a> {
    /// Returns the debt of a record that stands in a namespace.
    pub(crate) fn of_record(namespace: &'a str, record: &'a Record) -> Self {
        Self {
            namespace,
            contract: &record.contract.name,
            customer: &record.customer.id,
            service: &record.service_name,
            device: &record.device.name,
            promised: record.promised,
            remedy: &record.remedy.name,
        }
    }

    /// Returns the debt of a subscription for a promised instant by a remedy.
    pub(crate) fn of_subscription(
        subscription: &'a ServiceSubscription,
        promised: Timestamp,
        remedy: &'a str,
    ) -> Self {
        let spec = &subscription.spec;
        let namespace = subscription.metadata.namespace.as_deref();
        Self {
            namespace: namespace.unwrap_or_default(),
            contract: &spec.contract.name,
            customer: &spec.customer.id,
            service: &spec.service_name,
            device: &spec.device_ref.name,
            promised,
            remedy,
        }
    }

    /// Returns the key under which an issue of its record is booked (1 for the first): the SHA-256,
    /// in hexadecimal, of the facts in their order and of the number of the issue, each followed by
    /// a line feed. Neither uid nor wall time is in it, so that a restored record is booked under
    /// its old key.
    pub(crate) fn booking_key(&self, issue: u32) -> String {
        let mut digest = Sha256::new();
        for part in [
            self.namespace,
            self.contract,
            self.customer,
            self.service,
            self.device,
            &self.promised.to_string(),
            self.remedy,
            &issue.to_string(),
        ] {
            digest.update(part.as_bytes());
            digest.update(b"\n");
        }
        hex::encode(digest.finalize())
    }
}

#[cfg(test)]
mod tests;
