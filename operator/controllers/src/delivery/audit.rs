//! The audit log of delivery: a line for each effect that a request had, or was to have, on a device
//! or a service server.
//!
//! The domain decides what is told; here it becomes a line of the log, of the target
//! `entente_audit`, so that a filter can send it elsewhere or leave it out. A line has digests and
//! never values. Called by `execute`, for every request that changes something.

use entente_crds::{digest::Digest, item_key::ItemKey};
use entente_domain::{
    delivery::{Answer, Effect, outcome},
    names::ConnectionName,
};
use tracing::info;

/// Target of the lines.
pub(crate) const TARGET: &str = "entente_audit";

/// Writes the lines of the effects of one request.
pub(super) fn log(namespace: &str, device: &str, effects: &[Effect], answer: &Answer) {
    let outcome = outcome(answer);
    for effect in effects {
        let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        let (was, wanted) = (text(effect.was), text(effect.wanted));
        let revision = effect.revision.map(|at| at.to_string());
        info!(
            target: TARGET,
            namespace,
            device,
            operation = effect.operation,
            connection = effect.connection.as_ref().map(ConnectionName::as_str),
            instance = effect.instance,
            subscription = effect.subscription.as_str(),
            item = effect.item.as_ref().map(ItemKey::as_str),
            was,
            wanted,
            revision,
            outcome,
            "effect"
        );
    }
}
