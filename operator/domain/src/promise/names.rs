//! The names of records.
//!
//! Decides what the record of a promise by a remedy is called, and the one that issues it again: a
//! crash between making a record and noting it makes no second one, since both are asked for by
//! name.

use entente_crds::v1alpha1::{Compensation, Reissue};
use jiff::Timestamp;
use kube::ResourceExt as _;

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
    let suffix = name.strip_prefix(&first)?;
    let issue: u32 = match suffix.strip_prefix('.') {
        Some(number) => number.parse().ok()?,
        None => 1,
    };
    let issue = issue.checked_add(1).filter(|issue| *issue <= MOST_ISSUES)?;
    Some((issue, format!("{first}.{issue}")))
}

/// Returns the name of the record that has to follow a voided one; `None` where none has to.
pub fn successor_name(voided: &Compensation) -> Option<String> {
    next_issue(voided).map(|(_, name)| name)
}

#[cfg(test)]
mod tests;
