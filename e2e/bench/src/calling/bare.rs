//! A server that answers 304 to everything: what this machine can do without any gateway.
//!
//! It is a process of its own with the allocator, runtime, HTTP server, TLS and certificate of the
//! gateway. It must never read a header or look anything up: it is the limit that the gateway is
//! measured against.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum_server::tls_rustls::{RustlsConfig, from_tcp_rustls};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::problem;
use crate::BenchError;

/// A running server. Dropping it kills the process.
pub(super) struct Bare {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Bare {
    /// Starts this program as such a server, with the certificate and key of a directory.
    pub(super) async fn start(directory: &Path) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(problem)?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .arg("--bare-server")
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
pub async fn serve() -> Result<(), BenchError> {
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
    // The headers of an answer of the gateway, so that both send the same.
    let headers = [
        (header::ETAG, HeaderValue::from_static("\"1\"")),
        (
            HeaderName::from_static("entente-poll-next"),
            HeaderValue::from_static("PT24H"),
        ),
    ];
    let router =
        Router::new().fallback(move || std::future::ready((StatusCode::NOT_MODIFIED, headers)));
    let server = from_tcp_rustls(listener, tls).map_err(problem)?;
    let ended = server.http1_only().serve(router.into_make_service());
    ended.await.map_err(problem)
}
