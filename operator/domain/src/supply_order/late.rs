//! Lateness of an order server that has accepted a request and does not come to an end.
//!
//! Decides from when on an order that the server is still making, and a cancellation that it has taken,
//! are told as late, so that a person asks the provider. Never ends an operation: it is looked at further.
//! Called by the pass and by its report.

use entente_crds::v1alpha1::{CancellationState, SupplyOrderStatus};
use jiff::{SignedDuration, Timestamp};

/// Time within which an order server makes an order: as long as a step of a service, if nothing is said.
pub(super) const MAKES: SignedDuration = SignedDuration::from_hours(1);
/// Time within which an order server cancels an order: people may have to.
pub(super) const CANCELS: SignedDuration = SignedDuration::from_hours(24);

/// Returns the instant from which on an order that the server is making is late; `None` where it makes
/// none, and where a failure is told already.
pub(super) fn late_from(memory: &SupplyOrderStatus) -> Option<Timestamp> {
    if memory.order.is_some() || memory.closed.is_some() || memory.problem.is_some() {
        return None;
    }
    began(memory)?.checked_add(MAKES).ok()
}

/// Returns the words for an order that the server has not made in time.
pub(super) fn late(memory: &SupplyOrderStatus, reference: &str, now: Timestamp) -> Option<String> {
    late_from(memory).filter(|late| *late <= now)?;
    let began = began(memory)?;
    Some(format!(
        "the order server has been making the order since {began:.0}, and has not ended that within \
         {MAKES:#}; it is asked further: ask the provider for the order by its reference {reference}, \
         then set spec.found or spec.cancelled"
    ))
}

/// Returns the words for an order that the server has not cancelled in time.
pub(super) fn late_cancellation(memory: &SupplyOrderStatus, now: Timestamp) -> Option<String> {
    let requested = memory.cancellation.as_ref();
    let requested = requested.filter(|it| it.state == CancellationState::Requested)?;
    let is_late = now.duration_since(requested.at) >= CANCELS;
    is_late.then(|| {
        format!(
            "the order server took the cancellation at {:.0}, and has not cancelled the order within \
             {CANCELS:#}: ask the provider",
            requested.at
        )
    })
}

fn began(memory: &SupplyOrderStatus) -> Option<Timestamp> {
    let operation = memory.operation.as_ref().map(|operation| operation.since);
    operation.or(memory.intent)
}
