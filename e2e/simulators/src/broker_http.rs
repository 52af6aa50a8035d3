//! The HTTP side of the simulated broker (OSB 2.17).
//!
//! Decides routes, required headers, required fields and transport faults, and writes the ledger.
//! Ids in paths and queries are taken as they are: platforms use unreserved characters. Called by
//! the listener.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    broker::{Mode, Server, State},
    catalog::ServiceOffering,
    fault::{Effects, Subject},
    instance::{Ask, Pace, Verdict},
    ledger::{AttributeValue, Cause, PeerKind, Record},
    listener::{Answer, OwnPath, Received, Service, response},
};

const REQUEST_IDENTITY: HeaderName = HeaderName::from_static("x-broker-api-request-identity");

/// A request that has a place in the API.
struct Call<'a> {
    operation: &'static str,
    /// Empty for the catalog.
    id: &'a str,
    query: HashMap<&'a str, &'a str>,
    /// Null if the body is no JSON.
    body: Value,
}

impl Call<'_> {
    fn is_write(&self) -> bool {
        matches!(self.operation, "provision" | "update" | "deprovision")
    }

    fn accepts_incomplete(&self) -> bool {
        self.query.get("accepts_incomplete") == Some(&"true")
    }
}

impl Service for Server {
    fn answer(self: &Arc<Self>, request: Received) -> Answer {
        let Some(call) = route(&self.path, &request) else {
            let text = "{\"description\": \"not found\"}";
            return Answer::now(response(StatusCode::NOT_FOUND, "application/json", text));
        };
        let names: Vec<&str> = match &call.body["parameters"] {
            Value::Object(parameters) => parameters.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let subject = Subject {
            operation: call.operation,
            write: call.is_write(),
            names: &names,
        };
        let mut met = self.faults.meet(&subject);
        if !self.lets_in(request.header("authorization")) {
            met.http_status = Some((401, None));
        }
        let delay = self.latency + met.slow.unwrap_or_default();
        let mut answer = self.decide(&request, call, &met).after(delay);
        if let (Some(response), Some(identity)) =
            (&mut answer.response, request.headers.get(REQUEST_IDENTITY))
        {
            response
                .headers_mut()
                .insert(REQUEST_IDENTITY, identity.clone());
        }
        answer
    }
}

impl Server {
    fn decide(&self, request: &Received, call: Call<'_>, met: &Effects) -> Answer {
        let mut line = line(request, &call);
        if let Some((status, answer)) = Answer::of_fault(met) {
            line.http_status = status;
            self.ledger.append(line);
            return answer;
        }
        let mut state = self.state();
        let refused = wrong_version(request).or_else(|| refusal(&state, &call, met));
        let verdict = refused.unwrap_or_else(|| self.carry_out(&mut state, call, met));
        line.committed = verdict.committed;
        line.changed = verdict.changed;
        line.needed = verdict.needed && line.write;
        if !met.reset_after_commit {
            line.http_status = Some(verdict.status);
        }
        self.ledger.append(line);
        drop(state);
        if met.reset_after_commit {
            return Answer::dropped();
        }
        Answer::now(json_response(verdict.status, &verdict.body))
    }

    fn carry_out(&self, state: &mut State, call: Call<'_>, met: &Effects) -> Verdict {
        let ended_by_fault = met.never_ends || met.fails.is_some();
        let pace = match state.mode {
            Mode::Async {
                polls,
                milliseconds,
            } => Pace::Later {
                polls,
                delay: Duration::from_millis(milliseconds),
            },
            Mode::Sync if ended_by_fault && call.accepts_incomplete() => Pace::Later {
                polls: 0,
                delay: Duration::ZERO,
            },
            Mode::Sync => Pace::AtOnce,
        };
        let operation = call.query.get("operation").copied();
        let ask = serde_json::from_value::<Ask>(call.body).unwrap_or_default();
        match call.operation {
            "catalog" => {
                let mut services = json!(state.services);
                if met.not_retrievable {
                    for service in services.as_array_mut().into_iter().flatten() {
                        service["instances_retrievable"] = false.into();
                    }
                }
                Verdict::of(200, json!({ "services": services }))
            }
            "provision" => state.instances.provision(call.id, ask, pace, met),
            "update" => state
                .instances
                .update(call.id, ask, self.parameter_update, pace, met),
            "deprovision" => state.instances.deprovision(call.id, pace, met),
            "last_operation" => state.instances.last_operation(call.id, operation),
            _ => state.instances.fetch(call.id, met),
        }
    }
}

fn route<'a>(own: &OwnPath, request: &'a Received) -> Option<Call<'a>> {
    let path = own.rest(request.uri.path())?.strip_prefix("/v2/")?;
    let parts: Vec<&str> = path.split('/').collect();
    let (operation, id) = match (&request.method, parts.as_slice()) {
        (&Method::GET, ["catalog"]) => ("catalog", ""),
        (&Method::PUT, ["service_instances", id]) => ("provision", *id),
        (&Method::PATCH, ["service_instances", id]) => ("update", *id),
        (&Method::DELETE, ["service_instances", id]) => ("deprovision", *id),
        (&Method::GET, ["service_instances", id]) => ("fetch", *id),
        (&Method::GET, ["service_instances", id, "last_operation"]) => ("last_operation", *id),
        _ => return None,
    };
    let pairs = request.uri.query().unwrap_or_default().split('&');
    let query = pairs.filter_map(|pair| pair.split_once('=')).collect();
    let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    Some(Call {
        operation,
        id,
        query,
        body,
    })
}

/// OSB 2.17, "API Version Header".
fn wrong_version(request: &Received) -> Option<Verdict> {
    let Some(version) = request.header("x-broker-api-version") else {
        return Some(Verdict::refused(412, "X-Broker-API-Version is missing"));
    };
    let number = |text: &str| text.parse::<u16>().ok();
    match version
        .split_once('.')
        .map(|(major, minor)| (number(major), number(minor)))
    {
        Some((Some(2), Some(_))) => None,
        Some((Some(_), Some(_))) => Some(Verdict::refused(412, "only version 2.x is supported")),
        _ => Some(Verdict::refused(
            400,
            "X-Broker-API-Version must be MAJOR.MINOR",
        )),
    }
}

/// Returns the refusal of a request by a fault or by its fields, before its instance is read.
fn refusal(state: &State, call: &Call<'_>, met: &Effects) -> Option<Verdict> {
    let bad = |description: &str| Some(Verdict::refused(400, description));
    if met.busy {
        return Some(Verdict::concurrency());
    }
    if met.reject.is_some() {
        return bad("refused by a simulated fault");
    }
    if !call.is_write() {
        return None;
    }
    let field = |name: &str| match call.operation {
        "deprovision" => call.query.get(name).copied(),
        _ => call.body[name].as_str(),
    };
    let Some(service_id) = field("service_id").filter(|id| !id.is_empty()) else {
        return bad("service_id is missing");
    };
    let plan_id = field("plan_id").filter(|id| !id.is_empty());
    if plan_id.is_none() && call.operation != "update" {
        return bad("plan_id is missing");
    }
    let Some(service) = state
        .services
        .iter()
        .find(|service| service.id == service_id)
    else {
        return bad("service_id is not in the catalog");
    };
    if plan_id.is_some_and(|id| service.plans.iter().all(|plan| plan.id != id)) {
        return bad("plan_id is not in the catalog");
    }
    if let Some(refused) = refusal_of_plan(state, call, service, plan_id) {
        return Some(refused);
    }
    if call.operation != "deprovision" && serde_json::from_value::<Ask>(call.body.clone()).is_err()
    {
        return bad("the body is not of the form that the specification asks for");
    }
    if call.operation == "provision"
        && ["organization_guid", "space_guid"]
            .iter()
            .any(|n| field(n).is_none_or(str::is_empty))
    {
        return bad("organization_guid and space_guid are required");
    }
    if matches!(state.mode, Mode::Async { .. }) && !call.accepts_incomplete() {
        let description = "this broker only works asynchronously";
        let body = json!({ "error": "AsyncRequired", "description": description });
        return Some(Verdict {
            needed: true,
            ..Verdict::of(422, body)
        });
    }
    None
}

/// Returns the refusal of a change of plan, or of a version that the catalog does not have.
fn refusal_of_plan(
    state: &State,
    call: &Call<'_>,
    service: &ServiceOffering,
    plan_id: Option<&str>,
) -> Option<Verdict> {
    let current = state
        .instances
        .plan(call.id)
        .filter(|_| call.operation == "update");
    if !service.plan_updateable && plan_id.is_some_and(|id| current.is_some_and(|c| c != id)) {
        let description = "the plan of this offering cannot be changed";
        return Some(Verdict::refused(400, description));
    }
    let version = call.body["maintenance_info"]["version"].as_str()?;
    let plan = plan_id.or(current);
    let mut plans = service.plans.iter();
    let plan = plans.find(|known| Some(known.id.as_str()) == plan);
    let known = plan.and_then(|plan| plan.maintenance_info.as_ref());
    (known.map(|info| info.version.as_str()) != Some(version)).then(Verdict::outdated)
}

fn line(request: &Received, call: &Call<'_>) -> Record {
    let mut attributes = Vec::new();
    if call.is_write() {
        leaves("", &call.body, &mut attributes);
        for name in ["service_id", "plan_id"] {
            if let Some(value) = call.query.get(name) {
                attributes.push(AttributeValue::new(format!("/{name}"), *value));
            }
        }
    }
    let mut content = format!("{} ", call.operation);
    canonical(&call.body, &mut content);
    if call.operation == "deprovision" {
        let ids = ["service_id", "plan_id"].map(|name| call.query.get(name).copied());
        content.push_str(&ids.map(Option::unwrap_or_default).join("/"));
    }
    let name = if call.id.is_empty() {
        "catalog"
    } else {
        call.id
    };
    let name: Arc<str> = name.into();
    Record {
        peer: PeerKind::Broker,
        cause: Cause::Request,
        name: Arc::clone(&name),
        operation: call.operation.into(),
        write: call.is_write(),
        probe: call.operation == "catalog",
        key: name,
        digest: Sha256::digest(content).into(),
        originating_identity: request
            .header("x-broker-api-originating-identity")
            .map(Arc::from),
        http_status: None,
        ipp_status: None,
        committed: false,
        changed: false,
        needed: false,
        attributes: attributes.into(),
    }
}

/// The leaves of a JSON object with their pointers (RFC 6901).
fn leaves(pointer: &str, value: &Value, found: &mut Vec<AttributeValue>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(&format!("{pointer}/{name}"), value, found);
            }
        }
        Value::Null => {}
        Value::String(text) => found.push(AttributeValue::new(pointer, text.as_str())),
        other => found.push(AttributeValue::new(pointer, other.to_string())),
    }
}

/// JSON with sorted names, so that the order of members does not alter a digest.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in members {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

fn json_response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, "application/json", body.to_string());
    response.headers_mut().insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    response
}
