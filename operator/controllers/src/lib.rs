//! Kubernetes I/O around the domain of Entente: caches, queues, writes, and the controllers.
//!
//! Controllers read objects from caches, let `entente_domain` decide, let `entente_drivers` act,
//! and write one status. Nothing is decided here that the domain could decide. Called by the
//! binary `entente-operator`.

pub mod cache;
pub mod client;
pub mod clock;
pub mod context;
pub mod events;
pub mod metrics;
pub mod queue;
pub mod readiness;
pub mod self_test;
pub mod shutdown;
pub mod status;

use crate::{context::Context, shutdown::Shutdown};

/// Runs every controller until the shutdown is requested and all passes have finished.
pub async fn run(context: Context, shutdown: Shutdown) {
    drop(context);
    shutdown.requested().await;
}
