//! A broker of the zoo behind a socket on loopback.
//!
//! Decides nothing: requests go to [`ZooBroker`], with the instant that the caller's clock gives.
//! Called by tests and by the program `simulators`.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;

use super::{HttpReply, Reply, Request, ZooBroker};
use crate::{
    SimulatorError,
    listener::{
        Answer, End, OwnPath, OwnedTask, Received, Service, Switch, listen, response, serve,
    },
};

type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

struct Server {
    path: OwnPath,
    broker: Mutex<ZooBroker>,
    clock: Clock,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    fn broker(&self) -> MutexGuard<'_, ZooBroker> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Server {
    fn answer(self: &Arc<Self>, request: Received) -> Answer {
        let path = request.uri.path_and_query().map_or("", |it| it.as_str());
        let Some(path) = self.path.rest(path) else {
            let text = "{\"description\": \"not found\"}";
            return Answer::now(response(StatusCode::NOT_FOUND, "application/json", text));
        };
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let asked = Request::new(request.method.as_str(), path, body);
        match self.broker().answer(&asked, (self.clock)()) {
            Reply::Hang => Answer::hang(),
            Reply::Cut => Answer::dropped(),
            Reply::Http(reply) => {
                let end = if reply.truncated {
                    End::Truncated
                } else {
                    End::Proper
                };
                Answer {
                    end,
                    ..Answer::now(of_http(reply))
                }
            }
        }
    }
}

fn of_http(reply: HttpReply) -> Response<Full<bytes::Bytes>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, "application/json", reply.body);
    for (name, value) in &reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value);
        // A header that HTTP does not have is a fault of the row, which never reaches anybody.
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A broker that listens until the last clone of this value is dropped.
#[derive(Debug, Clone)]
pub struct ZooListener {
    address: SocketAddr,
    server: Arc<Server>,
    _listener: Arc<OwnedTask>,
}

impl ZooListener {
    /// Starts it on a port of 127.0.0.1; 0 takes a free one. Must be called inside a runtime.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`].
    pub fn start(
        broker: ZooBroker,
        port: u16,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, SimulatorError> {
        let wanted: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        let failed = |source| SimulatorError::Listen {
            address: wanted,
            source,
        };
        let socket = listen(wanted).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let server = Arc::new(Server {
            path: OwnPath::for_port(port),
            broker: Mutex::new(broker),
            clock: Box::new(clock),
        });
        let switch = Arc::new(Switch::new(address));
        let listener = OwnedTask::spawn(serve(socket, Arc::clone(&server), switch));
        Ok(Self {
            address,
            server,
            _listener: Arc::new(listener),
        })
    }

    /// `http://127.0.0.1:PORT`, on a free port with a path of its own, to which a platform adds `/v2/…`.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.server.path.as_str())
    }

    /// Returns the broker, which answers nobody meanwhile.
    pub fn broker(&self) -> MutexGuard<'_, ZooBroker> {
        self.server.broker()
    }
}
