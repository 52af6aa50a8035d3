//! Kubernetes I/O around the domain of Entente: caches, queues, writes, and the controllers.
//!
//! Controllers read objects from caches, let `entente_domain` decide, let `entente_drivers` act,
//! and write one status. Nothing is decided here that the domain could decide. Called by the
//! binary `entente-operator`, and by the gateway for its caches, writes and Secrets.

pub mod api_error;
pub mod board;
mod broker_catalogs;
pub mod brokers;
pub mod cache;
pub mod callers;
mod catalogue;
pub mod client;
pub mod clock;
mod compensation;
pub mod connection_profiles;
pub mod context;
mod contract;
pub mod contract_events;
mod controller;
mod defect;
mod delivery;
pub mod devices_at_sites;
pub mod election;
mod enrollments;
pub mod events;
#[cfg(any(test, feature = "fake-api"))]
#[allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is compiled for tests only, and fails them"
)]
pub mod fake_api;
#[cfg(test)]
mod in_process;
mod internal_errors;
mod listening;
pub mod liveness;
pub mod metrics;
mod objects;
pub mod pass_ids;
pub mod queue;
pub mod readiness;
#[cfg(test)]
mod reference_page;
mod remote_requests;
pub mod secrets;
pub mod self_test;
pub mod shutdown;
mod sites;
pub mod status;
mod supply_orders;
#[cfg(test)]
mod tests;
mod triggers;
mod unreadable;

use std::sync::Arc;

use crate::{
    board::Board,
    broker_catalogs::BrokerCatalogs,
    catalogue::Catalogue,
    compensation::Compensations,
    connection_profiles::ConnectionProfiles,
    context::Context,
    contract::Contracts,
    delivery::Delivery,
    election::Leadership,
    enrollments::Enrollments,
    listening::{Attention, Listeners},
    objects::Objects,
    secrets::Secrets,
    shutdown::Shutdown,
    sites::Sites,
    supply_orders::SupplyOrders,
};

/// Keeps the caches, and once this replica leads runs every controller, until the shutdown is
/// requested and all passes have finished.
///
/// The board, if there is one, shows what is in the caches from the moment at which they are complete.
pub async fn run(
    context: Context,
    board: Option<Arc<Board>>,
    leadership: Leadership,
    shutdown: Shutdown,
) {
    let skew = clock::report_skew(&context.skew, &context.readiness, &shutdown);
    let objects = Arc::new(Objects::new(&context));
    let work = async {
        objects.start(&context, &shutdown).await;
        if let Some(board) = board {
            board.show(&objects);
        }
        run_controllers(&context, &objects, &leadership, &shutdown).await;
    };
    tokio::join!(skew, work);
}

async fn run_controllers(
    context: &Context,
    objects: &Arc<Objects>,
    leadership: &Leadership,
    shutdown: &Shutdown,
) {
    tokio::select! {
        () = leadership.begun() => {}
        () = shutdown.requested() => {}
    }
    if shutdown.is_requested() {
        return;
    }
    objects.report(context, shutdown);
    let secrets = Arc::new(Secrets::new(
        context.client.clone(),
        context.options.namespace.clone(),
    ));
    let profiles = Arc::new(ConnectionProfiles::new(Arc::clone(&secrets)));
    let catalogs = Arc::new(BrokerCatalogs::default());
    let attention = Arc::new(Attention::default());
    let enrollments = Enrollments::new(context.clone(), Arc::clone(objects), Arc::clone(&secrets));
    let delivery = Delivery::new(
        context.clone(),
        Arc::clone(objects),
        secrets,
        Arc::clone(&profiles),
        Arc::clone(&catalogs),
        Arc::clone(&attention),
        shutdown.clone(),
    );
    let listeners = Listeners::new(
        context.clone(),
        Arc::clone(objects),
        attention,
        shutdown.clone(),
    );
    let contracts = Contracts::new(context.clone(), Arc::clone(objects));
    let compensations = Compensations::new(context.clone(), Arc::clone(objects));
    let sites = Sites::new(context.clone(), Arc::clone(objects));
    let orders = SupplyOrders::new(context.clone(), Arc::clone(objects), Arc::clone(&profiles));
    let catalogue = Catalogue::new(context.clone(), Arc::clone(objects), profiles, catalogs);
    // Every controller is named here and nowhere else.
    tokio::join!(
        controller::run(delivery, context, shutdown),
        controller::run(contracts, context, shutdown),
        controller::run(compensations, context, shutdown),
        controller::run(catalogue, context, shutdown),
        controller::run(enrollments, context, shutdown),
        controller::run(sites, context, shutdown),
        controller::run(orders, context, shutdown),
        controller::run(listeners, context, shutdown),
    );
}
