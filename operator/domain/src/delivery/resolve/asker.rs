//! The side to which the requests of a backoff's key go, told by its URL.
//!
//! A wait that one side asked for says nothing about another: one behind a Connection or an address
//! that was edited. Never looks at a wait. Called by the pass when a side asks for a wait, and by
//! plan before each request.

use entente_crds::digest::Digest;

use crate::{
    broker::broker_at,
    delivery::{DeviceSnapshot, ResolvedDevice, model::backoffs::BackoffKey},
};

/// Returns a digest of the URL to which the requests of a key go; `None` if they go nowhere now, or
/// if the key is one of an item: a side speaks of all of its items.
pub(in crate::delivery) fn asker(
    key: &BackoffKey,
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
) -> Option<Digest> {
    let broker = |connection: &str| {
        let connection = snapshot.connections.get(connection)?;
        Some(connection.spec.osb.as_ref()?.url.as_str())
    };
    let url = match key {
        BackoffKey::Status { .. }
        | BackoffKey::Twin { .. }
        | BackoffKey::Report { .. }
        | BackoffKey::Item { .. }
        | BackoffKey::Installation { .. } => None,
        BackoffKey::Device { connection } => {
            let endpoint = resolved.endpoint(connection);
            endpoint.map(|endpoint| endpoint.url.as_str())
        }
        BackoffKey::Catalog { connection } => broker(connection),
        BackoffKey::Server { subscription } | BackoffKey::Operation { subscription, .. } => {
            let server = resolved.subscription(subscription)?.server.as_ref()?;
            broker(&server.connection)
        }
    };
    url.map(|url| broker_at(url).url_digest)
}
