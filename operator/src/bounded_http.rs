//! HTTP/1.1 for strangers: over TLS or plain, with bounds on connections, heads and silence.
//!
//! Closes a connection too many as it comes, and one that is silent for too long. It ends in two steps:
//! while it leaves it takes connections and requests as before, and each answer closes its connection;
//! at the shutdown it lets requests under way end. It decides nothing of a request, and tells it the
//! address of its sender. Used by the events endpoint, by the board, and by the gateway.

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, State},
    http::{HeaderValue, Request, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use axum_server::{
    Handle, Server,
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use entente_controllers::shutdown::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::Service;

/// Time in which a connection shows its certificate, a head or a body is whole, or the next request comes.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// Time in which requests under way may end after the signal to stop.
const GRACE: Duration = Duration::from_secs(15);
/// Most bytes of the head of a request: a token may have 16 KiB.
const HEAD: usize = 32 * 1024;

/// The two signals of the end of a server.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// From this one on each answer closes its connection, so that no client sends its next request on
    /// one that is about to be closed. New connections are accepted.
    pub(crate) leaving: Shutdown,
    /// From this one on no connection is accepted, and requests under way end.
    pub(crate) shutdown: Shutdown,
}

impl From<Shutdown> for End {
    /// Returns an end in one step.
    fn from(shutdown: Shutdown) -> Self {
        Self {
            leaving: shutdown.clone(),
            shutdown,
        }
    }
}

/// Serves a router until the shutdown is requested and requests under way have ended. `connections`
/// are open at most at once.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    router: Router,
    connections: usize,
    end: impl Into<End>,
) -> io::Result<()> {
    let End { leaving, shutdown } = end.into();
    let router = router.layer(from_fn_with_state(leaving, close_when_leaving));
    let connections = Connections {
        slots: Arc::new(Semaphore::new(connections)),
    };
    let handle = Handle::new();
    let server = Server::<SocketAddr>::from_listener(listener).handle(handle.clone());
    let answering = async {
        let service = router.into_make_service();
        if let Some(tls) = tls {
            let acceptor = RustlsAcceptor::new(tls)
                .handshake_timeout(SILENCE)
                .acceptor(connections);
            bounded(server.acceptor(acceptor)).serve(service).await
        } else {
            bounded(server.acceptor(connections)).serve(service).await
        }
    };
    let stop = async {
        shutdown.requested().await;
        handle.graceful_shutdown(Some(GRACE));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = answering => ended,
        () = stop => Ok(()),
    }
}

fn bounded<A>(server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let mut server = server.http1_only().first_request_timeout(SILENCE);
    server
        .http_builder()
        .http1()
        .header_read_timeout(SILENCE)
        .max_buf_size(HEAD);
    server
}

/// Has an answer close its connection once the server leaves.
async fn close_when_leaving(
    State(leaving): State<Shutdown>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if leaving.is_requested() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// The connections that are open. Each holds a place until it is closed.
#[derive(Clone)]
struct Connections {
    slots: Arc<Semaphore>,
}

impl Accept<TcpStream, Router> for Connections {
    type Stream = TcpStream;
    type Service = Connection<Router>;
    type Future = Ready<io::Result<(TcpStream, Connection<Router>)>>;

    fn accept(&self, stream: TcpStream, service: Router) -> Self::Future {
        let place = Arc::clone(&self.slots).try_acquire_owned();
        ready(match place {
            Ok(place) => {
                let connection = Connection {
                    peer: stream.peer_addr().ok(),
                    service,
                    _place: Arc::new(place),
                };
                Ok((stream, connection))
            }
            Err(_) => Err(io::Error::other("too many connections")),
        })
    }
}

/// The service of one connection, with the place that it holds.
#[derive(Clone)]
struct Connection<S> {
    service: S,
    peer: Option<SocketAddr>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Connection<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        self.service.call(request)
    }
}
