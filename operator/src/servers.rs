//! The servers of the operator: the admin endpoints, and the events endpoint and the board if the flags say so.
//!
//! Binds addresses before anything is done, so that a wrong flag ends the process at once with a message
//! that names it. A certificate that is not there ends nothing. Called by `operator`.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum_server::tls_rustls::RustlsConfig;
use entente_controllers::{
    board::Board, contract_events::ContractEvents, liveness::Liveness, metrics::Metrics,
    readiness::Readiness, shutdown::Shutdown,
};
use kube::Client;
use tokio::net::TcpListener;
use tracing::{field::display, info};

use crate::{
    admin,
    args::Args,
    board::{self, Pages},
    certificate::{Certificate, Faults},
    events_endpoint,
};

/// Reason why the operator, or the gateway, does not serve.
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
    board: Option<(TcpListener, Option<PathBuf>)>,
}

/// Addresses that the servers listen on, for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    admin: Option<SocketAddr>,
    events: Option<SocketAddr>,
    board: Option<SocketAddr>,
}

impl Addresses {
    /// Logs that an operator of this version has started.
    pub(crate) fn tell(self, version: &str) {
        let (admin, events_endpoint) = (self.admin.map(display), self.events.map(display));
        let board = self.board.map(display);
        info!(version, admin, events_endpoint, board, "started");
    }
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
        let board = match args.board_address {
            Some(address) => {
                let listener = listen("--board-address", address).await?;
                Some((listener, args.board_tls_dir.clone()))
            }
            None => None,
        };
        Ok(Self {
            admin,
            events,
            board,
        })
    }

    /// Returns the addresses that they listen on.
    pub(crate) fn addresses(&self) -> Addresses {
        let of = |listener: &TcpListener| listener.local_addr().ok();
        let events = self.events.as_ref();
        let board = self.board.as_ref();
        Addresses {
            admin: of(&self.admin),
            events: events.and_then(|(listener, _)| of(listener)),
            board: board.and_then(|(listener, _)| of(listener)),
        }
    }

    /// Answers until the shutdown is requested, and until what came before it is answered.
    pub(crate) async fn serve(
        self,
        shown: Shown,
        client: Client,
        board: Option<Arc<Board>>,
        shutdown: Shutdown,
    ) -> Result<(), ServersError> {
        let stopped = |server| move |source| ServersError::Stopped { server, source };
        let metrics = Arc::clone(&shown.metrics);
        let admin = admin::serve(
            self.admin,
            Arc::clone(&metrics),
            (shown.liveness, shown.readiness),
            shutdown.clone(),
        );
        let events = async {
            let Some((listener, directory)) = self.events else {
                return Ok(());
            };
            let faults = Faults::new(Arc::clone(&metrics), "events");
            with_certificate(&directory, faults, &shutdown, |tls| {
                let events = Arc::new(ContractEvents::new(client, Arc::clone(&metrics)));
                events_endpoint::serve(listener, tls, events, shutdown.clone())
            })
            .await
        };
        let board = async {
            let Some((listener, directory)) = self.board else {
                return Ok(());
            };
            let Some(board) = board else { return Ok(()) };
            let pages = Pages::new(board, Arc::clone(&metrics), directory.is_some());
            let Some(directory) = directory else {
                return board::serve(listener, None, pages, shutdown.clone()).await;
            };
            let faults = Faults::new(Arc::clone(&metrics), "board");
            with_certificate(&directory, faults, &shutdown, |tls| {
                board::serve(listener, Some(tls), pages, shutdown.clone())
            })
            .await
        };
        let admin = async { admin.await.map_err(stopped("admin endpoints")) };
        let events = async { events.await.map_err(stopped("events endpoint")) };
        let board = async { board.await.map_err(stopped("board")) };
        tokio::try_join!(admin, events, board)?;
        Ok(())
    }
}

/// Serves with the certificate of a directory, from the moment at which it can be used, and follows it.
pub(crate) async fn with_certificate<F>(
    directory: &Path,
    mut faults: Faults,
    shutdown: &Shutdown,
    serve: impl FnOnce(RustlsConfig) -> F,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    let usable = Certificate::when_usable(directory, &mut faults, shutdown).await;
    let Some(certificate) = usable else {
        return Ok(());
    };
    let served = serve(certificate.tls.clone());
    let (served, ()) = tokio::join!(served, certificate.follow(faults, shutdown.clone()));
    served
}

pub(crate) async fn listen(
    flag: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, ServersError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServersError::Listen {
            flag,
            address,
            source,
        })
}
