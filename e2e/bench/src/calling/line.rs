//! One connection of a device to a server: HTTP/1.1 over TLS, with a count of its bytes.
//!
//! It keeps as little as it can, since there are 10,000 of them in one process. The bytes are those of
//! TLS as the kernel takes and gives them; what TCP and IP add is not seen here. It decides nothing of
//! an answer. Called by the devices of this bench.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, client::Resumption};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::problem;
use crate::BenchError;

/// A server, with the certificate that its callers trust.
#[derive(Clone)]
pub(super) struct Server {
    connector: TlsConnector,
    address: SocketAddr,
}

/// Bytes of a connection so far, those of TLS included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Carried {
    /// Returns both ways together.
    pub(super) fn both(self) -> u64 {
        self.sent + self.received
    }

    /// Returns the bytes since an earlier count.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
        }
    }
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Returns the text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Server {
    /// Returns the server at an address, by the file with its certificate.
    ///
    /// Sessions are not resumed: each device is a machine of its own.
    pub(super) fn new(address: SocketAddr, certificate: &Path) -> Result<Self, BenchError> {
        let certificate = CertificateDer::from_pem_file(certificate).map_err(problem)?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(problem)?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            address,
        })
    }

    /// Returns `ADDRESS:PORT`, as the header Host has it.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Line, BenchError> {
        let stream = TcpStream::connect(self.address).await.map_err(problem)?;
        stream.set_nodelay(true).map_err(problem)?;
        let count = Arc::new(Count::default());
        let counted = Counted {
            stream,
            count: Arc::clone(&count),
        };
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = self.connector.connect(name, counted).await;
        let stream = TokioIo::new(stream.map_err(problem)?);
        let (sender, connection) = http1::handshake(stream).await.map_err(problem)?;
        let connection = tokio::spawn(async move {
            // The sender is told the same.
            let _ = connection.await;
        });
        Ok(Line {
            sender,
            count,
            connection,
        })
    }
}

/// An open connection. It is closed when it is dropped.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    count: Arc<Count>,
    connection: JoinHandle<()>,
}

impl Line {
    /// True while the server has not closed it.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Returns the bytes so far.
    pub(super) fn carried(&self) -> Carried {
        Carried {
            sent: self.count.sent.load(Ordering::Relaxed),
            received: self.count.received.load(Ordering::Relaxed),
        }
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, hyper::Error> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

#[derive(Debug, Default)]
struct Count {
    sent: AtomicU64,
    received: AtomicU64,
}

/// A stream that counts.
struct Counted {
    stream: TcpStream,
    count: Arc<Count>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        add(&self.count.received, read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, buffer))?;
        add(&self.count.sent, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn add(count: &AtomicU64, bytes: usize) {
    count.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}
