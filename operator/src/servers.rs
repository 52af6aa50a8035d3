//! The servers of the operator: the admin endpoints, and the events endpoint if the flags say so.
//!
//! Binds addresses before anything is done, so that a wrong flag ends the process at once with a message
//! that names it. A certificate that is not there ends nothing. Called by `operator`.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use entente_controllers::{
    contract_events::ContractEvents, liveness::Liveness, metrics::Metrics, readiness::Readiness,
    shutdown::Shutdown,
};
use kube::Client;
use tokio::net::TcpListener;

use crate::{
    admin,
    args::Args,
    events_endpoint::{
        self,
        certificate::{Certificate, Faults},
    },
};

/// Reason why the operator does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServersError {
    /// An address can not be listened on.
    #[error("can not listen on {flag} {address}: {source}")]
    Listen {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: SocketAddr,
        /// The error.
        source: io::Error,
    },
    /// A server stopped by itself.
    #[error("the {server} stopped: {source}")]
    Stopped {
        /// The server.
        server: &'static str,
        /// The error.
        source: io::Error,
    },
}

/// Parts of the operator that the servers show and count.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) readiness: Arc<Readiness>,
}

/// Servers that listen and do not answer yet.
pub(crate) struct Servers {
    admin: TcpListener,
    events: Option<(TcpListener, PathBuf)>,
}

impl Servers {
    /// Listens on the addresses of the flags.
    pub(crate) async fn listen(args: &Args) -> Result<Self, ServersError> {
        let admin = listen("--admin-address", args.admin_address).await?;
        let events = match (args.events_address, &args.events_tls_dir) {
            (Some(address), Some(directory)) => {
                let listener = listen("--events-address", address).await?;
                Some((listener, directory.clone()))
            }
            _ => None,
        };
        Ok(Self { admin, events })
    }

    /// Returns the addresses that they listen on: that of the admin endpoints, then of events.
    pub(crate) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let of = |listener: &TcpListener| listener.local_addr().ok();
        let events = self.events.as_ref();
        (
            of(&self.admin),
            events.and_then(|(listener, _)| of(listener)),
        )
    }

    /// Answers until the shutdown is requested, and until what came before it is answered.
    pub(crate) async fn serve(
        self,
        shown: Shown,
        client: Client,
        shutdown: Shutdown,
    ) -> Result<(), ServersError> {
        let stopped = |server| move |source| ServersError::Stopped { server, source };
        let admin = admin::serve(
            self.admin,
            Arc::clone(&shown.metrics),
            (shown.liveness, shown.readiness),
            shutdown.clone(),
        );
        let events = async {
            let Some((listener, directory)) = self.events else {
                return Ok(());
            };
            let mut faults = Faults::new(Arc::clone(&shown.metrics));
            let usable = Certificate::when_usable(&directory, &mut faults, &shutdown).await;
            let Some(certificate) = usable else {
                return Ok(());
            };
            let events = Arc::new(ContractEvents::new(client, shown.metrics));
            let tls = certificate.tls.clone();
            let (served, ()) = tokio::join!(
                events_endpoint::serve(listener, tls, events, shutdown.clone()),
                certificate.follow(faults, shutdown.clone()),
            );
            served
        };
        let admin = async { admin.await.map_err(stopped("admin endpoints")) };
        let events = async { events.await.map_err(stopped("events endpoint")) };
        tokio::try_join!(admin, events)?;
        Ok(())
    }
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ServersError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServersError::Listen {
            flag,
            address,
            source,
        })
}
