//! The life of the gateway that devices call: a process of its own, of the same program.
//!
//! It wires and decides nothing else: the client of the API server, the admin endpoints, TLS with a
//! certificate that changes, and the routes of `entente_gateway`.
//!
//! A signal to stop begins a drain: it is not ready any more, and works as before until no load balancer
//! sends it connections, since a load balancer learns only later that it is about to end. Each answer
//! closes its connection meanwhile, and requests that are held are answered. Then it listens no more, and
//! requests under way end. Called by `main`.

use std::{sync::Arc, time::Duration};

use entente_controllers::{
    client::{self, ClientOptions},
    clock::{ClockSkew, SystemClock},
    liveness::Liveness,
    metrics::Metrics,
    readiness::Readiness,
    shutdown::Shutdown,
};
use entente_drivers::Fetcher;
use entente_gateway::{COMPONENT, Gateway, Options, Parts};
use tracing::info;

use crate::{
    admin,
    args::GatewayFlags,
    bounded_http::{self, End},
    certificate::Faults,
    descriptors,
    operator::{GRACE, OperatorError, VERSION, stop_on_signals},
    servers::{ServersError, listen, with_certificate},
};

/// Name of the certificate in `/readyz`: without one nothing is served.
const CERTIFICATE: &str = "certificate";
/// Name of its end in `/readyz`.
const DRAIN: &str = "drain";
/// Word for the gateway in metrics.
const ENDPOINT: &str = "gateway";

/// Runs until a signal to stop, SIGTERM or SIGINT.
pub(crate) async fn run(flags: GatewayFlags) -> Result<(), OperatorError> {
    let (trigger, leaving) = Shutdown::channel();
    stop_on_signals(Arc::new(trigger))?;
    descriptors::raise(flags.connections);
    let parts = parts(&flags).await?;
    let end = drain(leaving, Arc::clone(&parts.readiness), flags.drain);
    let shutdown = end.shutdown.clone();
    let of_servers = |source| OperatorError::Servers { source };
    let admin = listen("--admin-address", flags.admin_address).await;
    let admin = admin.map_err(of_servers)?;
    let devices = listen("--listen", flags.listen).await.map_err(of_servers)?;
    info!(version = VERSION, admin = %flags.admin_address, devices = %flags.listen, "started");
    let shown = (Arc::clone(&parts.liveness), Arc::clone(&parts.readiness));
    let stopped = |server| move |source| ServersError::Stopped { server, source };
    let metrics = Arc::clone(&parts.metrics);
    let admin = admin::serve(admin, metrics, shown, shutdown.clone());
    let admin = async { admin.await.map_err(stopped("admin endpoints")) };
    let gateway = Gateway::new(parts.clone(), end.leaving.clone(), shutdown.clone());
    let serve = |tls| {
        parts.readiness.set_ready(CERTIFICATE);
        let connections = usize::try_from(flags.connections).unwrap_or(usize::MAX);
        bounded_http::serve(devices, tls, gateway.router(), connections, end.clone())
    };
    let devices = async {
        let served = match &flags.tls_dir {
            Some(directory) => {
                let faults = Faults::new(Arc::clone(&parts.metrics), ENDPOINT);
                with_certificate(directory, faults, &shutdown, |tls| serve(Some(tls))).await
            }
            None => serve(None).await,
        };
        served.map_err(stopped("gateway"))
    };
    let served = async {
        let ended = tokio::try_join!(admin, devices);
        ended.map(|_| ()).map_err(of_servers)
    };
    let late = async {
        shutdown.requested().await;
        tokio::time::sleep(GRACE).await;
    };
    let running = async {
        gateway.run().await;
        Ok(())
    };
    tokio::select! {
        ended = async { tokio::try_join!(served, running) } => { ended?; }
        () = late => return Err(OperatorError::Late),
    }
    info!("stopped");
    Ok(())
}

/// Returns the end of the gateway: the shutdown is so long after the signal that it leaves, and `/readyz`
/// says so from the latter on.
fn drain(leaving: Shutdown, readiness: Arc<Readiness>, drain: Duration) -> End {
    let (trigger, shutdown) = Shutdown::channel();
    let end = End {
        leaving: leaving.clone(),
        shutdown,
    };
    tokio::spawn(async move {
        leaving.requested().await;
        let line = "it is about to end, and other replicas are called".to_owned();
        readiness.set_missing(DRAIN, vec![line]);
        info!(
            ?drain,
            "leaving: connections are accepted until no more come"
        );
        tokio::time::sleep(drain).await;
        trigger.trigger();
    });
    end
}

async fn parts(flags: &GatewayFlags) -> Result<Parts, OperatorError> {
    let metrics = Arc::new(Metrics::new(VERSION));
    let clock = Arc::new(SystemClock);
    let options = ClientOptions {
        kubeconfig: flags.kubeconfig.clone(),
        timeout: flags.api_timeout,
        in_flight: flags.api_in_flight.into(),
        version: VERSION.to_owned(),
    };
    let skew = Arc::new(ClockSkew::default());
    let api_server = client::api_server_addresses(&options).await;
    let api_server = api_server.map_err(|source| OperatorError::Client { source })?;
    let client = client::connect(&options, clock.clone(), skew, Arc::clone(&metrics)).await;
    Ok(Parts {
        client: client.map_err(|source| OperatorError::Client { source })?,
        fetcher: Fetcher::beside(&api_server),
        clock,
        metrics,
        readiness: Arc::new(Readiness::waiting_for(&[COMPONENT, CERTIFICATE])),
        liveness: Arc::new(Liveness::default()),
        options: Options {
            connection: flags.connection.clone(),
            namespace: flags.namespace.clone(),
            served: flags.watch_namespaces.clone(),
            held: usize::try_from(flags.held).unwrap_or(usize::MAX),
            of_address: flags.address_requests,
            of_device: flags.device_requests,
            plain: flags.tls_dir.is_none(),
            artifacts: flags.artifact_dir.clone(),
            artifact_bytes: u64::from(flags.artifact_mebibytes) << 20,
            drain: flags.drain,
        },
    })
}

#[cfg(test)]
mod tests;
