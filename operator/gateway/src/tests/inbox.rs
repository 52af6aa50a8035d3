//! The inbox of a provider on loopback, which answers as the test says.
//!
//! It keeps an event by its source and id, as CloudEvents asks for, so that a double is dropped.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

/// The way in which a request is answered.
#[derive(Clone)]
pub(super) enum Reply {
    /// It is taken.
    Take,
    /// It is taken, and this is written, after which the connection ends.
    Say(String),
    /// It is taken, and the connection ends before the answer.
    TakeAndCut,
    /// It is taken once a permit is there.
    TakeAfter(Arc<Semaphore>),
    /// It is not taken, with this status line and header.
    Refuse(u16, &'static str),
    /// There is no answer.
    Hang,
}

type Replies = Box<dyn FnMut(&[Value]) -> Reply + Send>;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// The head, in lower case.
    pub(super) head: String,
    pub(super) events: Vec<Value>,
    /// The body.
    pub(super) text: String,
}

struct State {
    replies: Replies,
    /// Status that is answered to the head alone.
    early: Option<u16>,
    received: Vec<Received>,
    kept: Vec<(String, String)>,
}

/// The inbox. It ends with its value.
pub(super) struct Inbox {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inbox {
    /// Starts one that takes everything.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            replies: Box::new(|_| Reply::Take),
            early: None,
            received: Vec::new(),
            kept: Vec::new(),
        }));
        let of_task = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(answer(stream, Arc::clone(&of_task)));
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    /// Answers from now on as this says, by the events of a request.
    pub(super) fn answers(&self, replies: impl FnMut(&[Value]) -> Reply + Send + 'static) {
        self.state().replies = Box::new(replies);
    }

    /// Answers from now on with this status as soon as a head is there, and reads no body; or no longer.
    pub(super) fn answers_early(&self, status: Option<u16>) {
        self.state().early = status;
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/inbox/", self.address)
    }

    /// Returns the requests so far.
    pub(super) fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Returns the ids of the events that it has, each once, in the order in which they came.
    pub(super) fn kept(&self) -> Vec<String> {
        let state = self.state();
        state.kept.iter().map(|(_, id)| id.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn keep(&mut self, events: &[Value]) {
        for event in events {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let key = (text("source"), text("id"));
            if !self.kept.contains(&key) {
                self.kept.push(key);
            }
        }
    }
}

async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let early = state.lock().unwrap().early;
    if let Some(status) = early {
        let answer =
            format!("HTTP/1.1 {status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        _ = stream.write_all(answer.as_bytes()).await;
        return;
    }
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    let events: Vec<Value> = serde_json::from_slice(&body).unwrap();
    let reply = {
        let mut state = state.lock().unwrap();
        state.received.push(Received {
            head,
            events: events.clone(),
            text: String::from_utf8(body).unwrap(),
        });
        (state.replies)(&events)
    };
    let line = match reply {
        Reply::Hang => std::future::pending().await,
        Reply::Say(answer) => {
            state.lock().unwrap().keep(&events);
            _ = stream.write_all(answer.as_bytes()).await;
            _ = stream.shutdown().await;
            return;
        }
        Reply::Refuse(status, header) => format!("{status} No\r\n{header}"),
        Reply::TakeAndCut => {
            state.lock().unwrap().keep(&events);
            return;
        }
        Reply::Take => "202 Accepted\r\n".to_owned(),
        Reply::TakeAfter(permits) => {
            permits.acquire().await.unwrap().forget();
            "202 Accepted\r\n".to_owned()
        }
    };
    if line.starts_with("202") {
        state.lock().unwrap().keep(&events);
    }
    let answer = format!("HTTP/1.1 {line}Connection: close\r\nContent-Length: 0\r\n\r\n");
    _ = stream.write_all(answer.as_bytes()).await;
    _ = stream.shutdown().await;
}
