//! One HTTP/1.1 listener that can be closed and opened again while it runs.
//!
//! Decides nothing about requests: it hands them to a [`Service`]. While closed, connecting is
//! refused by the system and existing connections are cut. Called by the fleet and the broker.

use std::{
    convert::Infallible,
    io, iter,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{
    StreamExt as _, future,
    stream::{self, BoxStream},
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Either, Full, Limited, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{SimulatorError, fault::Effects, odd::Sent};

/// Largest request body that is read, in bytes.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// Time limit of opening or closing the listener.
const SWITCH_LIMIT: Duration = Duration::from_secs(10);
/// Time for which a request that is never answered is held.
const HANG_LIMIT: Duration = Duration::from_mins(1);
/// A connection without a request is closed after this.
const IDLE_LIMIT: Duration = Duration::from_mins(5);

/// A whole request.
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The path below which a broker is asked. One on a free port has a path that no other one had: the
/// system may give it the port of one that ended, which somebody goes on to ask.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnPath(String);

impl OwnPath {
    /// Returns the path of a broker that is started on this port; 0 is a free one.
    pub(super) fn for_port(port: u16) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        if port != 0 {
            return Self::default();
        }
        Self(format!("/{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns the rest of a path that leads below this one.
    pub(super) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.0)?;
        rest.starts_with('/').then_some(rest)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
pub(super) struct Dropped;

/// An answer, delayed if a fault demands it.
pub(super) struct Answer {
    /// `None`: the connection is closed without an answer.
    pub(super) response: Option<Response<Full<Bytes>>>,
    /// Delay of the answer.
    pub(super) after: Duration,
    /// End of the body.
    pub(super) end: End,
}

/// End of a body.
#[derive(Clone, Copy, Default)]
pub(super) enum End {
    /// As its length says.
    #[default]
    Proper,
    /// The connection is closed in the middle of it.
    Truncated,
    /// So many bytes come behind it, and then nothing for long.
    Stalled(usize),
}

impl Answer {
    pub(super) fn now(response: Response<Full<Bytes>>) -> Self {
        Self {
            response: Some(response),
            after: Duration::ZERO,
            end: End::Proper,
        }
    }

    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.after += delay;
        self
    }

    /// Returns the answer of a fault that comes before the peer decides anything, with its HTTP
    /// status if it has one.
    pub(super) fn of_fault(met: &Effects) -> Option<(Option<u16>, Self)> {
        if met.hang {
            return Some((None, Self::hang()));
        }
        if let Some(bytes) = met.stall {
            let begun = Self {
                end: End::Stalled(bytes),
                ..Self::now(Response::default())
            };
            return Some((Some(200), begun));
        }
        let (status, retry_after) = met.http_status?;
        Some((Some(status), Self::now(fault_response(status, retry_after))))
    }

    /// Returns an odd answer; a closed connection where it is none of HTTP.
    pub(super) fn odd(sent: Sent) -> Self {
        let Sent::Http {
            status,
            headers,
            body,
        } = sent
        else {
            return Self::dropped();
        };
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        for (name, value) in headers {
            let value = header::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        Self::now(response)
    }

    /// Returns the answer that closes the connection at once.
    pub(super) fn dropped() -> Self {
        Self {
            response: None,
            after: Duration::ZERO,
            end: End::Proper,
        }
    }

    /// Returns the answer that keeps the connection open without a word, then closes it.
    pub(super) fn hang() -> Self {
        Self {
            response: None,
            after: HANG_LIMIT,
            end: End::Proper,
        }
    }
}

/// The one that answers a listener's requests. Deciding takes no time; the delay is in the
/// [`Answer`].
pub(super) trait Service: Send + Sync + 'static {
    fn answer(self: &Arc<Self>, request: Received) -> Answer;
}

/// Makes a response with a body.
pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// Makes a response that a fault puts in place of the answer.
fn fault_response(status: u16, retry_after: Option<u32>) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, "text/plain", "a simulated fault\n");
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        let challenge = header::HeaderValue::from_static("Basic realm=\"simulator\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Body that is sent: whole, or one that ends too early or late.
type SentBody =
    Either<Full<Bytes>, StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// Opens and closes a listener.
#[derive(Debug)]
pub(super) struct Switch {
    address: SocketAddr,
    wanted: watch::Sender<bool>,
    actual: watch::Sender<bool>,
}

impl Switch {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            wanted: watch::Sender::new(true),
            actual: watch::Sender::new(true),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        *self.actual.borrow()
    }

    /// Asks for a state without waiting for it.
    pub(super) fn want(&self, open: bool) {
        self.wanted.send_replace(open);
    }

    /// Asks for a state and waits until it is there.
    pub(super) async fn set(&self, open: bool) -> Result<(), SimulatorError> {
        self.want(open);
        let mut actual = self.actual.subscribe();
        let reached = tokio::time::timeout(SWITCH_LIMIT, actual.wait_for(|a| *a == open)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(SimulatorError::Switch {
                address: self.address,
                wanted: if open { "online" } else { "offline" },
            }),
        }
    }
}

/// Listens on `address`; port 0 lets the system choose.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// A task that ends when this value is dropped.
#[derive(Debug)]
pub(super) struct OwnedTask(JoinHandle<()>);

impl OwnedTask {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves until the task is dropped; follows the switch.
pub(super) async fn serve<S: Service>(
    mut listener: TcpListener,
    service: Arc<S>,
    switch: Arc<Switch>,
) {
    let mut wanted = switch.wanted.subscribe();
    loop {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                steered = becomes(&mut wanted, false) => {
                    if !steered {
                        return;
                    }
                    break;
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, Arc::clone(&service)));
                    }
                    // Out of file descriptors, mostly: let connections end before the next try.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        connections.shutdown().await;
        switch.actual.send_replace(false);
        if !becomes(&mut wanted, true).await {
            return;
        }
        match listen_again(switch.address).await {
            Some(again) => listener = again,
            None => return,
        }
        switch.actual.send_replace(true);
    }
}

/// Waits for a state. Returns false if nobody can request one any more.
async fn becomes(wanted: &mut watch::Receiver<bool>, open: bool) -> bool {
    wanted.wait_for(|wanted| *wanted == open).await.is_ok()
}

async fn listen_again(address: SocketAddr) -> Option<TcpListener> {
    let started = Instant::now();
    while started.elapsed() < SWITCH_LIMIT {
        if let Ok(listener) = listen(address) {
            return Some(listener);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

async fn connection<S: Service>(stream: TcpStream, service: Arc<S>) {
    // Answers are single small packets; waiting to merge them only adds latency.
    let _ = stream.set_nodelay(true);
    let requests = service_fn(move |request| receive(Arc::clone(&service), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_LIMIT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), requests);
    // An error here is a client that left or a fault that cuts: both are in the ledger.
    let _ = served.await;
}

async fn receive<S: Service>(
    service: Arc<S>,
    request: Request<Incoming>,
) -> Result<Response<SentBody>, Dropped> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        let refused = response(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "too large\n");
        return Ok(refused.map(Either::Left));
    };
    let answer = service.answer(Received {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: body.to_bytes(),
    });
    if !answer.after.is_zero() {
        tokio::time::sleep(answer.after).await;
    }
    let response = answer.response.ok_or(Dropped)?;
    Ok(match answer.end {
        End::Proper => response.map(Either::Left),
        End::Truncated => truncated(response).await,
        End::Stalled(bytes) => response.map(|_| stalled(bytes)),
    })
}

/// Returns a body of so many bytes that does not end for long, and does not say its length.
fn stalled(bytes: usize) -> SentBody {
    static PIECE: [u8; 16 * 1024] = [0; 16 * 1024];
    let rest = Bytes::from_static(&PIECE[..bytes % PIECE.len()]);
    let pieces = iter::repeat_n(Bytes::from_static(&PIECE), bytes / PIECE.len()).chain([rest]);
    let pieces = stream::iter(pieces.map(|piece| Ok(Frame::data(piece))));
    // The silence is the fault that is simulated: nothing is waited for, and the reader gives up before.
    let silence = stream::once(tokio::time::sleep(HANG_LIMIT));
    let silence = silence.filter_map(|()| future::ready(None));
    Either::Right(StreamBody::new(pieces.chain(silence).boxed()))
}

/// Returns the response with a length that its body does not reach, after which the connection is
/// closed.
async fn truncated(response: Response<Full<Bytes>>) -> Response<SentBody> {
    let (mut head, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let length = header::HeaderValue::from(body.len() + 1);
    head.headers.insert(header::CONTENT_LENGTH, length);
    let frame = Ok(Frame::data(body));
    let body = StreamBody::new(stream::iter([frame]).boxed());
    Response::from_parts(head, Either::Right(body))
}
