//! A simulated order server: one that honours keys and finds orders by their reference.
//!
//! Decides the answer to each request about an order, and keeps every order that it made. A request
//! with a key that was used is answered as the first one was. A test or a person moves an order on.
//! Called by the listener; tests and the demo start it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::{
    SimulatorError,
    listener::{Answer, OwnPath, OwnedTask, Received, Service, Switch, listen, response, serve},
};

/// The first number of an order.
const FIRST: usize = 88_123;

/// An order that the server has made.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedOrder {
    /// Its id.
    pub id: String,
    /// Key and reference of the request.
    pub reference: String,
    /// Its state: Accepted, Shipped, Delivered, Cancelled or Rejected.
    pub state: String,
    /// Number of requests that asked for it.
    pub requests: usize,
    /// The body of the first request.
    pub body: Value,
}

impl PlacedOrder {
    fn shown(&self) -> Value {
        json!({
            "orderId": self.id,
            "reference": self.reference,
            "state": self.state,
            "lines": self.body["lines"],
        })
    }
}

/// The part of the server that answers requests.
#[derive(Debug)]
struct Server {
    path: OwnPath,
    orders: Mutex<Vec<PlacedOrder>>,
}

/// A simulated order server that listens until the last clone of this value is dropped.
#[derive(Clone, Debug)]
pub struct OrderServer {
    address: SocketAddr,
    server: Arc<Server>,
    switch: Arc<Switch>,
    _listener: Arc<OwnedTask>,
}

impl OrderServer {
    /// Starts the server on a port of 127.0.0.1, 0 for a free one; it listens when this returns.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`].
    #[expect(
        clippy::unused_async,
        reason = "must be called inside a runtime, as Broker::start"
    )]
    pub async fn start(port: u16) -> Result<Self, SimulatorError> {
        let wanted: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        let failed = |source| SimulatorError::Listen {
            address: wanted,
            source,
        };
        let socket = listen(wanted).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let switch = Arc::new(Switch::new(address));
        let server = Arc::new(Server {
            path: OwnPath::for_port(port),
            orders: Mutex::default(),
        });
        let listener = OwnedTask::spawn(serve(socket, Arc::clone(&server), Arc::clone(&switch)));
        Ok(Self {
            address,
            server,
            switch,
            _listener: Arc::new(listener),
        })
    }

    /// Returns the URL to which `/v1/…` is added.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.server.path.as_str())
    }

    /// Returns the orders that were made, the first one first.
    pub fn orders(&self) -> Vec<PlacedOrder> {
        self.server.orders().clone()
    }

    /// Moves an order to a state; returns false if there is no such order.
    pub fn move_to(&self, id: &str, state: &str) -> bool {
        let mut orders = self.server.orders();
        let found = orders.iter_mut().find(|order| order.id == id);
        found
            .map(|order| state.clone_into(&mut order.state))
            .is_some()
    }

    /// Switches it on or off.
    ///
    /// # Errors
    /// [`SimulatorError::Switch`] if the listener does not follow in time.
    pub async fn switch(&self, on: bool) -> Result<(), SimulatorError> {
        self.switch.set(on).await
    }
}

impl Service for Server {
    fn answer(self: &Arc<Self>, request: Received) -> Answer {
        let (status, body) = self.decide(&request);
        let is_problem = status >= 400;
        let media_type = if is_problem {
            "application/problem+json"
        } else {
            "application/json"
        };
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = response(code, media_type, body.to_string());
        if status == 201
            && let Some(id) = body["orderId"].as_str()
            && let Ok(place) = HeaderValue::from_str(&format!("/v1/orders/{id}"))
        {
            response.headers_mut().insert(header::LOCATION, place);
        }
        Answer::now(response)
    }
}

impl Server {
    fn orders(&self) -> MutexGuard<'_, Vec<PlacedOrder>> {
        // No request leaves the list half changed.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, request: &Received) -> (u16, Value) {
        let path = self.path.rest(request.uri.path());
        let path = path.and_then(|path| path.strip_prefix("/v1/orders"));
        let Some(path) = path else {
            return refused(404, "NotFound", "no such place");
        };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (&request.method, &parts[..]) {
            (&Method::POST, []) => self.place(request),
            (&Method::GET, []) => self.list(request.uri.query().unwrap_or_default()),
            (&Method::GET, [id]) => self.one(id),
            (&Method::POST, [id, "cancellation"]) => self.cancel(id),
            _ => refused(404, "NotFound", "no such place"),
        }
    }

    fn place(&self, request: &Received) -> (u16, Value) {
        let Some(key) = request.header("idempotency-key") else {
            return refused(400, "InvalidRequest", "Idempotency-Key is missing");
        };
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let lines = body["lines"].as_array();
        if body["reference"] != key || lines.is_none_or(Vec::is_empty) {
            return refused(400, "InvalidRequest", "reference or lines are missing");
        }
        let mut orders = self.orders();
        if let Some(known) = orders.iter_mut().find(|order| order.reference == key) {
            known.requests += 1;
            if known.body != body {
                return refused(
                    422,
                    "IdempotencyKeyReused",
                    "the key was used with another body",
                );
            }
            return (200, known.shown());
        }
        let order = PlacedOrder {
            id: format!("PO-{}", FIRST + orders.len()),
            reference: key.to_owned(),
            state: "Accepted".to_owned(),
            requests: 1,
            body,
        };
        let shown = order.shown();
        orders.push(order);
        (201, shown)
    }

    fn list(&self, query: &str) -> (u16, Value) {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<(&str, &str)> = pairs.collect();
        let is_meant = |order: &PlacedOrder| {
            pairs.iter().all(|(name, value)| match *name {
                "reference" => order.reference == *value,
                "device" => order.body["device"]["serialNumber"] == *value,
                "open" => ["Accepted", "Shipped"].contains(&&*order.state),
                _ => true,
            })
        };
        let orders = self.orders();
        let found: Vec<Value> = orders
            .iter()
            .filter(|order| is_meant(order))
            .map(PlacedOrder::shown)
            .collect();
        (200, json!({ "orders": found }))
    }

    fn one(&self, id: &str) -> (u16, Value) {
        let orders = self.orders();
        let found = orders.iter().find(|order| order.id == id);
        found.map_or_else(
            || refused(404, "NotFound", "no such order"),
            |order| (200, order.shown()),
        )
    }

    fn cancel(&self, id: &str) -> (u16, Value) {
        let mut orders = self.orders();
        let Some(order) = orders.iter_mut().find(|order| order.id == id) else {
            return refused(404, "NotFound", "no such order");
        };
        if order.state != "Accepted" && order.state != "Cancelled" {
            return refused(409, "TooLate", "it is under way");
        }
        "Cancelled".clone_into(&mut order.state);
        (202, order.shown())
    }
}

fn refused(status: u16, reason: &str, detail: &str) -> (u16, Value) {
    let problem = json!({
        "type": "about:blank",
        "title": reason,
        "status": status,
        "reason": reason,
        "detail": detail,
    });
    (status, problem)
}
