//! A small HTTP server on loopback that does what the test commands. It ends when it is dropped.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Treatment of each request by the server.
#[derive(Clone)]
pub(super) enum Behaviour {
    /// This, at once.
    Answer(String),
    /// This, before anything is asked.
    Greet(&'static str),
    /// "ok", after this time.
    Slow(Duration),
    /// Nothing, for ever.
    Hang,
    /// One byte of the body now and then, for ever.
    Drip,
    /// A head that announces so many bytes, and then only the first so many of them.
    Stall(usize, usize),
    /// The connection ends.
    Reset,
    /// Answers with the result for the request: its head, and its body after the empty line.
    Reply(Reply),
}

pub(super) type Reply = Arc<dyn Fn(&str) -> String + Send + Sync>;

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    client_certificates: Mutex<Vec<Vec<u8>>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Seen>,
    connections: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(behaviour: Behaviour) -> Self {
        Self::start_tls(behaviour, None).await
    }

    pub(super) async fn start_tls(
        behaviour: Behaviour,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (count, connections) = watch::channel(0);
        let task = tokio::spawn(accept(listener, behaviour, tls, Arc::clone(&seen), count));
        Self {
            address,
            seen,
            connections,
            task,
        }
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    pub(super) async fn wait_for_connections(&self, wanted: usize) {
        let mut connections = self.connections.clone();
        let reached = connections.wait_for(|seen| *seen >= wanted);
        tokio::time::timeout(Duration::from_secs(10), reached)
            .await
            .unwrap_or_else(|_| panic!("{} of {wanted} connections", self.connections()))
            .unwrap();
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Returns the certificates (DER) that clients showed, one for each connection that showed any.
    pub(super) fn client_certificates(&self) -> Vec<Vec<u8>> {
        self.seen.client_certificates.lock().unwrap().clone()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.seen.most_at_once.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    behaviour: Behaviour,
    tls: Option<tokio_rustls::TlsAcceptor>,
    seen: Arc<Seen>,
    count: watch::Sender<usize>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        count.send_modify(|count| *count += 1);
        let (behaviour, seen, tls) = (behaviour.clone(), Arc::clone(&seen), tls.clone());
        connections.spawn(async move {
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        let shown = stream.get_ref().1.peer_certificates();
                        if let Some(shown) = shown.and_then(<[_]>::first) {
                            seen.client_certificates
                                .lock()
                                .unwrap()
                                .push(shown.to_vec());
                        }
                        serve(stream, behaviour, &seen).await;
                    }
                }
                None => serve::<TcpStream>(stream, behaviour, &seen).await,
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    behaviour: Behaviour,
    seen: &Seen,
) {
    if let Behaviour::Greet(greeting) = behaviour {
        let _ = stream.write_all(greeting.as_bytes()).await;
        let _ = stream.flush().await;
    }
    while let Some(request) = read_request(&mut stream).await {
        seen.requests.lock().unwrap().push(request.clone());
        let at_once = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let sent = match &behaviour {
            Behaviour::Answer(answer) => stream.write_all(answer.as_bytes()).await,
            Behaviour::Slow(time) => {
                tokio::time::sleep(*time).await;
                // Before the answer is seen, so that the next request is not counted beside it.
                seen.at_once.fetch_sub(1, Ordering::SeqCst);
                stream.write_all(super::OK.as_bytes()).await
            }
            Behaviour::Hang | Behaviour::Greet(_) => std::future::pending().await,
            Behaviour::Drip => drip(&mut stream).await,
            Behaviour::Stall(announced, sent) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n");
                let answer = [head.as_bytes(), &vec![b'x'; *sent]].concat();
                let _ = stream.write_all(&answer).await;
                std::future::pending().await
            }
            Behaviour::Reset => return,
            Behaviour::Reply(reply) => stream.write_all(reply(&request).as_bytes()).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn drip<S: AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        .await?;
    loop {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns one request as text.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    request.extend(body);
    String::from_utf8(request).ok()
}
