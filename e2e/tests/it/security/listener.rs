//! A server that counts connections, keeps the first line of every request, and answers in a few
//! ways in which no broker should.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use entente_simulators::default_catalog;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Enough for the head of every request of ours.
const MOST_BYTES: usize = 16 * 1024;

/// Form of its answers.
#[derive(Clone, Debug)]
pub(super) enum Answers {
    /// It closes the connection.
    Nothing,
    /// With a broker's catalog, to any request.
    Catalog,
    /// With a redirect that keeps method and body; the catalog too, or all but that.
    Redirect {
        /// The URL, without a path.
        to: String,
        /// True if a GET of the catalog is redirected as well.
        catalog: bool,
    },
    /// With 500 and this body.
    Failure {
        /// The body.
        body: String,
    },
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

/// The running server; it ends with this value.
#[derive(Debug)]
pub(super) struct Listener {
    port: u16,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    pub(super) async fn start(answers: Answers) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let port = socket.local_addr().expect("it listens").port();
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                kept.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, answers.clone(), Arc::clone(&kept)));
            }
        });
        Self { port, seen, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the number of connections.
    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Returns the first line of each request.
    pub(super) fn requests(&self) -> Vec<String> {
        self.seen
            .requests
            .lock()
            .expect("nobody panics with it")
            .clone()
    }
}

/// Answers one request and closes.
async fn serve(mut stream: TcpStream, answers: Answers, seen: Arc<Seen>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < MOST_BYTES {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    seen.requests
        .lock()
        .expect("nobody panics with it")
        .push(line);
    let Some(answer) = answer(&answers, &path) else {
        return;
    };
    // The client may be gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    // The rest of the request is read, so that closing does not reset the answer.
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
}

fn answer(answers: &Answers, path: &str) -> Option<String> {
    let of = |status: &str, header: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{header}\r\n{body}",
            body.len()
        )
    };
    let json = "Content-Type: application/json\r\n";
    let catalog = || {
        of(
            "200 OK",
            json,
            &json!({"services": default_catalog()}).to_string(),
        )
    };
    Some(match answers {
        Answers::Nothing => return None,
        Answers::Catalog => catalog(),
        Answers::Redirect { catalog: false, .. } if path.ends_with("/v2/catalog") => catalog(),
        Answers::Redirect { to, .. } => of(
            "307 Temporary Redirect",
            &format!("Location: {to}{path}\r\n"),
            "",
        ),
        Answers::Failure { body } => of(
            "500 Internal Server Error",
            "Content-Type: text/html\r\n",
            body,
        ),
    })
}
