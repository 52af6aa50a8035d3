//! A small HTTP server on loopback: reads whole requests, answers by a function. It ends when it
//! is dropped.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entente_crds::v1alpha1::{ConnectionSpec, Protocol};
use entente_drivers::{ConnectionProfile, CredentialsValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// Method and path with query.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Status with reason and further headers, and a body. An empty status closes the connection.
pub(crate) type Reply = (String, Vec<u8>);
type Answering = Arc<dyn Fn(&Arrived) -> Vec<u8> + Send + Sync>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Arrived) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_raw(move |request| {
            let (head, body) = answer(request);
            if head.is_empty() {
                return Vec::new();
            }
            let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        })
        .await
    }

    /// Answers by octets, and closes the connection if they do not say how long they are.
    pub(crate) async fn start_raw(
        answer: impl Fn(&Arrived) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Answering) = (Arc::clone(&arrived), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&answer), Arc::clone(&seen)));
            }
        });
        Self {
            address,
            arrived,
            task,
        }
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, answer: Answering, seen: Arc<Mutex<Vec<Arrived>>>) {
    while let Some(request) = read(&mut stream).await {
        seen.lock().unwrap().push(request.clone());
        let sent = answer(&request);
        let has_length = sent.windows(16).any(|it| it == b"Content-Length: ");
        if stream.write_all(&sent).await.is_err() || !has_length {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Arrived> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let arrived = Arrived {
        line,
        headers,
        body: Vec::new(),
    };
    let length = arrived
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Arrived { body, ..arrived })
}

pub(crate) fn profile(
    protocol: Protocol,
    credentials: Option<CredentialsValue>,
) -> Arc<ConnectionProfile> {
    let spec = ConnectionSpec {
        protocol,
        ..ConnectionSpec::default()
    };
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let mut profile =
        ConnectionProfile::from_spec("hq", &spec, networks, None, credentials).unwrap();
    profile.request_timeout = Duration::from_secs(5);
    profile.per_host.per_second = 1000;
    profile.into()
}
