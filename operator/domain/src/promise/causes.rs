//! The causes whose delays count (D9).
//!
//! Decides it for the judge, who merges delays, and for the calculation, which adds them up: time
//! merged into a cause that does not count would be a lost debt.

use entente_crds::v1alpha1::Cause;

/// Returns the causes that count: an empty list means Device, Server and Provider, which is what a
/// contract without `countedCauses` means.
pub fn counted_causes(causes: &[Cause]) -> &[Cause] {
    if causes.is_empty() {
        &[Cause::Device, Cause::Server, Cause::Provider]
    } else {
        causes
    }
}

/// True if a delay by a cause counts where these are the causes that a contract names.
pub(super) fn counts(cause: Cause, causes: &[Cause]) -> bool {
    counted_causes(causes).contains(&cause)
}
