//! One connection of a device: HTTP/1.1 over TLS, written out, so that a test knows of each request how far
//! it got.
//!
//! Clients of others repeat requests by themselves and tell nobody. This one repeats nothing; it reads the
//! answers of the gateway, which have a length or no body, and nothing else. Called by the devices of a
//! fleet.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Time in which a connection is made.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Time in which a request is answered that may be held for 30 seconds.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// Time in which a client sees that its request crossed the end of an idle connection. One that broke off
/// later had arrived.
const CROSSED_WITHIN: Duration = Duration::from_millis(500);

/// The address that devices dial, and the certificate that they trust.
#[derive(Clone)]
pub(super) struct Line {
    address: SocketAddr,
    connector: TlsConnector,
}

/// An open connection.
pub(super) struct Wire {
    stream: TlsStream<TcpStream>,
    /// True once a request was answered on it.
    is_used: bool,
}

/// A request without the headers that all have.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) token: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    /// True if no other request may be sent on its connection.
    pub(super) closes: bool,
    pub(super) body: Vec<u8>,
}

/// Reason why a request has no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// It crossed the end of an idle connection: it may be sent again (RFC 9112 section 9.3.1).
    Crossed,
    /// It had arrived, or may have.
    Lost(String),
}

impl Line {
    /// Returns the way to an address, whose certificate has this PEM.
    pub(super) fn new(address: SocketAddr, certificate: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        // Each device has made no connection before.
        config.resumption = Resumption::disabled();
        Self {
            address,
            connector: TlsConnector::from(Arc::new(config)),
        }
    }

    /// Makes a connection.
    pub(super) async fn open(&self) -> io::Result<Wire> {
        let open = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::from(self.address.ip());
            self.connector.connect(name, stream).await
        };
        let stream = timeout(CONNECT_WITHIN, open).await??;
        Ok(Wire {
            stream,
            is_used: false,
        })
    }
}

impl Wire {
    /// True if the other side has not closed it, as far as is known here: it sends nothing unasked.
    pub(super) fn is_open(&self) -> bool {
        let mut byte = [0];
        let peek = self.stream.get_ref().0.peek(&mut byte);
        peek.now_or_never().is_none()
    }

    /// Sends a request and reads its answer.
    pub(super) async fn exchange(&mut self, request: &Request) -> Result<Answer, Broken> {
        let sent = Instant::now();
        let mut received = Vec::new();
        let exchange = async {
            self.stream.write_all(&request.bytes()).await?;
            self.stream.flush().await?;
            read(&mut self.stream, &mut received).await
        };
        let answer = timeout(ANSWER_WITHIN, exchange).await;
        let answer = answer.unwrap_or_else(|late| Err(late.into()));
        let after = sent.elapsed();
        match answer {
            Ok(answer) => {
                self.is_used = true;
                Ok(answer)
            }
            Err(_) if self.is_used && received.is_empty() && after < CROSSED_WITHIN => {
                Err(Broken::Crossed)
            }
            Err(error) => Err(Broken::Lost(format!(
                "{} {} {:?}: {error} after {after:?}, {} bytes of an answer",
                request.method,
                request.path,
                request.headers,
                received.len()
            ))),
        }
    }
}

impl Request {
    fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: gateway\r\n",
            self.method, self.path
        );
        let authorization = ("authorization", format!("Bearer {}", self.token));
        let length = ("content-length", self.body.len().to_string());
        for (name, value) in self.headers.iter().chain([&authorization, &length]) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        format!("{head}\r\n{}", self.body).into_bytes()
    }
}

/// Reads an answer; `received` has what came of it, also if it is not whole.
async fn read(stream: &mut TlsStream<TcpStream>, received: &mut Vec<u8>) -> io::Result<Answer> {
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let head = loop {
        if let Some(end) = received.windows(4).position(|it| it == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(received).await? == 0 {
            return Err(ended());
        }
    };
    let text = String::from_utf8_lossy(&received[..head]).into_owned();
    let header = |wanted: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status: {text}")))?;
    let length: usize = match (status, header("content-length")) {
        (204 | 304, _) => 0,
        (_, Some(length)) => length.parse().map_err(io::Error::other)?,
        (_, None) => return Err(io::Error::other(format!("no length: {text}"))),
    };
    while received.len() < head + length {
        if stream.read_buf(received).await? == 0 {
            return Err(ended());
        }
    }
    Ok(Answer {
        status,
        etag: header("etag"),
        closes: header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close")),
        body: received[head..].to_vec(),
    })
}
