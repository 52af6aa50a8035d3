//! The server of a vendor on loopback, which answers as the test says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use entente_crds::v1alpha1::{ClientAuthentication, SnmpVersion};
use entente_drivers::{ConnectionProfile, LimitValues, TrustProfile};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// An answer, and what follows it.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// End of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Close,
    Hang,
    /// The same bytes again, for ever.
    Repeat(&'static [u8]),
}

type Replies = Arc<dyn Fn(usize, &str) -> Reply + Send + Sync>;

/// The server. It ends with its value.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Vendor {
    /// Starts a server that answers the request of this number, from 0, with its head as text.
    pub(crate) async fn start(
        replies: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let replies: Replies = Arc::new(replies);
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (replies, seen) = (Arc::clone(&replies), Arc::clone(&seen));
                connections.spawn(answer(stream, replies, seen));
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    /// Starts a server that has this file, with ranges.
    pub(crate) async fn of(content: Vec<u8>) -> Self {
        Self::start(move |_, request| whole(&content, request)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/firmware/mfp-500-4.2.0.swu", self.address)
    }

    /// Returns the heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, replies: Replies, seen: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        request.push(byte);
    }
    let request = String::from_utf8(request).unwrap().to_lowercase();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let reply = replies(number, &request);
    let _ = stream.write_all(&reply.bytes).await;
    match reply.then {
        Then::Close => _ = stream.shutdown().await,
        Then::Hang => std::future::pending().await,
        Then::Repeat(bytes) => while stream.write_all(bytes).await.is_ok() {},
    }
}

/// Returns a file, or the part of it that is asked for.
pub(crate) fn whole(content: &[u8], request: &str) -> Reply {
    let lines = request.lines();
    let mut ranges = lines.filter_map(|line| line.strip_prefix("range: bytes="));
    let from = ranges
        .next()
        .and_then(|it| it.trim_end_matches('-').parse().ok());
    let is_valid = request.contains("if-range: \"v1\"");
    let from: usize = from.filter(|_| is_valid).unwrap_or_default();
    let length = content.len();
    let mut head = if from == 0 {
        "HTTP/1.1 200 OK\r\n".to_owned()
    } else {
        format!(
            "HTTP/1.1 206 P\r\nContent-Range: bytes {from}-{}/{length}\r\n",
            length - 1
        )
    };
    let rest = length - from;
    let more = format!("ETag: \"v1\"\r\nConnection: close\r\nContent-Length: {rest}\r\n\r\n");
    head.push_str(&more);
    Reply {
        bytes: [head.as_bytes(), &content[from..]].concat(),
        then: Then::Close,
    }
}

/// Returns an answer that is as it is.
pub(crate) fn text(text: &str, then: Then) -> Reply {
    Reply {
        bytes: text.as_bytes().to_vec(),
        then,
    }
}

/// Returns content of so many bytes, in which no part is like another.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let numbers = 0u32..;
    let bytes = numbers.flat_map(|it| it.wrapping_mul(2_654_435_761).to_be_bytes());
    bytes.take(length).collect()
}

/// Returns the profile of a Connection to loopback.
pub(crate) fn profile(request: Duration) -> Arc<ConnectionProfile> {
    let limit = LimitValues {
        in_flight: 8,
        per_second: 1000,
    };
    Arc::new(ConnectionProfile {
        name: "files".to_owned(),
        tenant: "acme".to_owned(),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        trust: TrustProfile::Verify { ca_pem: None },
        server_name: None,
        credentials: None,
        token_url: None,
        client_authentication: ClientAuthentication::Basic,
        connect_timeout: Duration::from_secs(5),
        request_timeout: request,
        per_host: limit,
        total: limit,
        snmp_version: SnmpVersion::default(),
        warnings: Vec::new(),
    })
}
