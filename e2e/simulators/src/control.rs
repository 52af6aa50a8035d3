//! The control interface: simulators in another process are read and steered over HTTP.
//!
//! JSON on 127.0.0.1. It decides nothing; every route calls the library. Called by
//! [`super::SimulatorClient`] and by hand with curl.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, put},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Broker, Device, DeviceView, Entry, Fault, InstanceView, IppFleet, Ledger, Mode, SimulatorError,
    listener::OwnedTask,
};

/// A control interface that listens until this value is dropped.
#[derive(Debug)]
pub struct Control {
    port: u16,
    _server: OwnedTask,
}

#[derive(Clone)]
struct Steered {
    fleets: Arc<[IppFleet]>,
    broker: Option<Broker>,
    ledger: Ledger,
}

type Failure = (StatusCode, Json<Value>);
type Outcome<T> = Result<T, Failure>;

impl Control {
    /// Starts the interface on 127.0.0.1; port 0 takes a free one.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`].
    pub async fn start(
        port: u16,
        fleets: Vec<IppFleet>,
        broker: Option<Broker>,
        ledger: Ledger,
    ) -> Result<Self, SimulatorError> {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let failed = |source| SimulatorError::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let steered = Steered {
            fleets: fleets.into(),
            broker,
            ledger,
        };
        let server = OwnedTask::spawn(async move {
            // It ends with the task only; an error of the listener shows as refused connections.
            let _ = axum::serve(listener, routes(steered)).await;
        });
        Ok(Self {
            port,
            _server: server,
        })
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn routes(steered: Steered) -> Router {
    Router::new()
        .route("/devices", get(devices))
        .route("/devices/fault", put(fault_all).delete(clear_all))
        .route("/devices/{name}", get(device))
        .route(
            "/devices/{name}/fault",
            put(fault_device).delete(clear_device),
        )
        .route("/devices/{name}/attributes", put(change_attributes))
        .route("/devices/{name}/machine", put(replace_machine))
        .route("/ledger", get(ledger).delete(clear_ledger))
        .route(
            "/broker/fault",
            get(broker_faults).put(fault_broker).delete(clear_broker),
        )
        .route("/broker/mode", put(broker_mode))
        .route("/broker/instances", get(instances))
        .route(
            "/broker/instances/{id}",
            axum::routing::delete(lose_instance),
        )
        .route("/broker/instances/{id}/parameters", put(change_parameters))
        .with_state(steered)
}

impl Steered {
    fn device(&self, name: &str) -> Outcome<&Arc<Device>> {
        let found = self.fleets.iter().find_map(|fleet| fleet.device(name));
        found.ok_or_else(|| missing(&format!("no device {name}")))
    }

    fn broker(&self) -> Outcome<&Broker> {
        self.broker
            .as_ref()
            .ok_or_else(|| missing("there is no broker"))
    }
}

fn missing(message: &str) -> Failure {
    (StatusCode::NOT_FOUND, Json(json!({ "error": message })))
}

fn refused(error: &SimulatorError) -> Failure {
    let status = match error {
        SimulatorError::Attribute { .. } | SimulatorError::Fault { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(json!({ "error": error.to_string() })))
}

fn done(result: Result<(), SimulatorError>) -> Outcome<StatusCode> {
    result
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(|error| refused(&error))
}

async fn devices(State(steered): State<Steered>) -> Json<Vec<DeviceView>> {
    let devices = steered.fleets.iter().flat_map(IppFleet::devices);
    Json(devices.map(|device| device.view()).collect())
}

async fn device(State(s): State<Steered>, Path(name): Path<String>) -> Outcome<Json<DeviceView>> {
    Ok(Json(s.device(&name)?.view()))
}

async fn fault_all(State(s): State<Steered>, Json(fault): Json<Fault>) -> Outcome<StatusCode> {
    for fleet in s.fleets.iter() {
        done(fleet.set_fault(fault.clone()).await)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_all(State(s): State<Steered>) -> Outcome<StatusCode> {
    for fleet in s.fleets.iter() {
        done(fleet.clear_faults().await)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn fault_device(
    State(s): State<Steered>,
    Path(name): Path<String>,
    Json(fault): Json<Fault>,
) -> Outcome<StatusCode> {
    done(s.device(&name)?.set_fault(fault).await)
}

async fn clear_device(State(s): State<Steered>, Path(name): Path<String>) -> Outcome<StatusCode> {
    done(s.device(&name)?.clear_faults().await)
}

async fn change_attributes(
    State(s): State<Steered>,
    Path(name): Path<String>,
    Json(values): Json<BTreeMap<String, Value>>,
) -> Outcome<StatusCode> {
    done(s.device(&name)?.set_attributes(&values))
}

async fn replace_machine(
    State(s): State<Steered>,
    Path(name): Path<String>,
) -> Outcome<Json<DeviceView>> {
    let device = s.device(&name)?;
    device.replace_machine();
    Ok(Json(device.view()))
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn ledger(State(s): State<Steered>, Query(query): Query<Since>) -> Json<Vec<Entry>> {
    Json(s.ledger.entries_since(query.since))
}

async fn clear_ledger(State(s): State<Steered>) -> StatusCode {
    s.ledger.clear();
    StatusCode::NO_CONTENT
}

async fn broker_faults(State(s): State<Steered>) -> Outcome<Json<Vec<Fault>>> {
    Ok(Json(s.broker()?.faults()))
}

async fn fault_broker(State(s): State<Steered>, Json(fault): Json<Fault>) -> Outcome<StatusCode> {
    done(s.broker()?.set_fault(fault).await)
}

async fn clear_broker(State(s): State<Steered>) -> Outcome<StatusCode> {
    done(s.broker()?.clear_faults().await)
}

async fn broker_mode(State(s): State<Steered>, Json(mode): Json<Mode>) -> Outcome<StatusCode> {
    s.broker()?.set_mode(mode);
    Ok(StatusCode::NO_CONTENT)
}

async fn instances(State(s): State<Steered>) -> Outcome<Json<Vec<InstanceView>>> {
    Ok(Json(s.broker()?.instances()))
}

async fn lose_instance(State(s): State<Steered>, Path(id): Path<String>) -> Outcome<StatusCode> {
    if s.broker()?.remove_instance(&id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(missing(&format!("no instance {id}")))
}

async fn change_parameters(
    State(s): State<Steered>,
    Path(id): Path<String>,
    Json(parameters): Json<Map<String, Value>>,
) -> Outcome<StatusCode> {
    if s.broker()?.set_parameters(&id, parameters) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(missing(&format!("no instance {id}")))
}
