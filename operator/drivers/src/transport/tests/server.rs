//! A small HTTP server on loopback that does as it is told. It ends when it is dropped.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the server does with each request.
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
    /// The connection ends.
    Reset,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
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
    while let Some(request) = read_head(&mut stream).await {
        seen.requests.lock().unwrap().push(request);
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
            Behaviour::Reset => return,
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

/// The head of one request; bodies of these tests are empty.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
