//! Servers that do next to nothing: one answers 304 to everything, which is what this machine can do
//! without any gateway; the other is the inbox of a provider, which takes everything.
//!
//! Each is a process of its own with the allocator, runtime, HTTP server, TLS and certificate of the
//! gateway. They must never look anything up: they are the limit that the gateway is measured against,
//! and the other side that must not be one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use axum_server::tls_rustls::{RustlsConfig, from_tcp_rustls};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::problem;
use crate::BenchError;

/// Path under which an inbox says how many requests it has taken.
pub(super) const TAKEN: &str = "/taken";

/// Answers of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BareServer {
    /// 304 to everything, with the headers of an answer of the gateway.
    NotModified,
    /// 202 to everything, once its body is there.
    Inbox,
}

impl BareServer {
    /// Returns its word on the command line.
    fn word(self) -> &'static str {
        match self {
            Self::NotModified => "not-modified",
            Self::Inbox => "inbox",
        }
    }
}

/// A running server. Dropping it kills the process.
pub(super) struct Bare {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Bare {
    /// Starts this program as such a server, with the certificate and key of a directory.
    pub(super) async fn start(kind: BareServer, directory: &Path) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(problem)?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(["--bare-server", kind.word()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(problem)?;
        let mut input = child.stdin.take().expect("it was asked for");
        let told = directory.to_string_lossy().into_owned();
        input.write_all(told.as_bytes()).await.map_err(problem)?;
        drop(input);
        let output = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line).await;
        read.map_err(problem)?;
        let address = line.trim().parse().map_err(problem)?;
        Ok(Self { child, address })
    }

    /// Returns the process id.
    pub(super) fn process_id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

/// Runs the process: reads the directory on standard input, prints its address, and serves until it is
/// killed.
///
/// # Errors
/// [`BenchError`] if it cannot listen.
pub async fn serve(kind: BareServer) -> Result<(), BenchError> {
    // An earlier caller chose the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = std::io::read_to_string(std::io::stdin().lock()).map_err(problem)?;
    let directory = PathBuf::from(directory);
    let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
    let tls = RustlsConfig::from_pem_file(certificate, key).await;
    let tls = tls.map_err(problem)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(problem)?;
    listener.set_nonblocking(true).map_err(problem)?;
    println!("{}", listener.local_addr().map_err(problem)?);
    let router = match kind {
        BareServer::NotModified => not_modified(),
        BareServer::Inbox => inbox(),
    };
    let server = from_tcp_rustls(listener, tls).map_err(problem)?;
    let ended = server.http1_only().serve(router.into_make_service());
    ended.await.map_err(problem)
}

fn not_modified() -> Router {
    // The headers of an answer of the gateway, so that both send the same.
    let headers = [
        (header::ETAG, HeaderValue::from_static("\"1\"")),
        (
            HeaderName::from_static("entente-poll-next"),
            HeaderValue::from_static("PT24H"),
        ),
    ];
    Router::new().fallback(move || std::future::ready((StatusCode::NOT_MODIFIED, headers)))
}

fn inbox() -> Router {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let take = move |mut body: Body| {
        let taken = Arc::clone(&taken);
        async move {
            // All of it is read, and nothing is kept.
            while let Some(frame) = body.frame().await {
                if frame.is_err() {
                    return StatusCode::BAD_REQUEST;
                }
            }
            taken.fetch_add(1, Ordering::Relaxed);
            StatusCode::ACCEPTED
        }
    };
    let count = move || std::future::ready(counted.load(Ordering::Relaxed).to_string());
    Router::new().route(TAKEN, get(count)).fallback(take)
}
