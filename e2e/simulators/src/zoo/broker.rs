//! The broker that plays a row: the reply to each request, and what it heard.
//!
//! Pure: the instant of a request comes with it, and the caller sends the reply. Called by the
//! listener.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Asked, Given, HttpReply, Pace, Row, instances::Instances};

/// A request to a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The operation.
    pub asked: Asked,
    /// Id of the instance; empty for the catalog.
    pub id: String,
    /// Method and path with query.
    pub line: String,
    /// The body as text.
    pub body: String,
}

impl Request {
    /// Returns the request of a method and a path with query.
    pub fn new(method: &str, path: &str, body: String) -> Self {
        let route = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = route.trim_start_matches('/').split('/').collect();
        let (asked, id) = match (method, parts.as_slice()) {
            ("GET", ["v2", "catalog"]) => (Asked::Catalog, ""),
            ("PUT", ["v2", "service_instances", id]) => (Asked::Put, *id),
            ("PATCH", ["v2", "service_instances", id]) => (Asked::Patch, *id),
            ("GET", ["v2", "service_instances", id]) => (Asked::Get, *id),
            ("GET", ["v2", "service_instances", id, "last_operation"]) => (Asked::Poll, *id),
            ("DELETE", ["v2", "service_instances", id]) => (Asked::Delete, *id),
            _ => (Asked::Other, ""),
        };
        Self {
            asked,
            id: id.to_owned(),
            line: format!("{method} {path}"),
            body,
        }
    }

    /// Returns a member of the query, as it is in the line.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.line.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Returns a text of the body; empty if it has none.
    pub(super) fn member(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn parameters(&self) -> Map<String, Value> {
        let parameters = self.json()["parameters"].take();
        serde_json::from_value(parameters).unwrap_or_default()
    }

    /// Returns everything in it that a rule or a claim can look for.
    fn text(&self) -> String {
        format!("{} {}", self.line, self.body)
    }
}

/// A request that was heard, with its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Instant since the start.
    pub since_start: SignedDuration,
    /// The operation.
    pub asked: Asked,
    /// Number among those of the operation.
    pub number: usize,
    /// Line and body of the request.
    pub text: String,
    /// The reply in short.
    pub reply: String,
    /// Number of the line of the rule that decided it.
    pub rule: Option<usize>,
}

/// The reply to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer of HTTP.
    Http(HttpReply),
    /// Never answered.
    Hang,
    /// The connection is closed.
    Cut,
}

/// A broker that plays a row.
#[derive(Debug, Clone)]
pub struct ZooBroker {
    row: Row,
    pace: Pace,
    start: Timestamp,
    cured: bool,
    instances: Instances,
    /// Requests that are carried out later.
    late: Vec<(Timestamp, Request)>,
    heard: Vec<Heard>,
    matched: Vec<bool>,
}

impl ZooBroker {
    /// Makes the broker of a row, whose story starts at this instant.
    pub fn new(row: &Row, pace: Pace, start: Timestamp) -> Self {
        Self {
            instances: Instances::new(
                row.setup.takes.map(|takes| takes.at(pace)),
                row.setup.strict,
            ),
            matched: vec![false; row.rules.len()],
            row: row.clone(),
            pace,
            start,
            cured: false,
            late: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Drops all rules: from now on it is a good broker.
    pub fn cure(&mut self) {
        self.cured = true;
    }

    /// Returns the requests so far.
    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// Returns the lines of rules that no request met.
    pub fn unmatched(&self) -> Vec<usize> {
        let rules = self.row.rules.iter().zip(&self.matched);
        let never = rules.filter(|(_, matched)| !**matched);
        never.map(|(rule, _)| rule.line).collect()
    }

    /// Returns the ids of the instances that exist.
    pub fn instances(&mut self, now: Timestamp) -> Vec<String> {
        self.carry_out_late(now);
        self.instances.ids().map(str::to_owned).collect()
    }

    /// Returns the reply to a request that came now.
    pub fn answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        self.carry_out_late(now);
        let since_start = now.duration_since(self.start);
        let earlier = self.heard.iter().filter(|it| it.asked == request.asked);
        let number = earlier.count() + 1;
        let text = request.text();
        let mut rules = self.row.rules.iter();
        let index = rules
            .position(|rule| rule.matches((request.asked, number), &text, since_start, self.pace));
        let index = index.filter(|_| !self.cured);
        let (given, rule) = match index {
            None => (Given::Well(None), None),
            Some(index) => {
                self.matched[index] = true;
                let rule = &self.row.rules[index];
                (rule.given.clone(), Some(rule.line))
            }
        };
        let reply = self.give(&given, request, now);
        self.heard.push(Heard {
            since_start,
            asked: request.asked,
            number,
            text,
            reply: in_short(&reply),
            rule,
        });
        reply
    }

    fn give(&mut self, given: &Given, request: &Request, now: Timestamp) -> Reply {
        match given {
            Given::Well(members) => {
                let mut reply = self.well(request, None, now);
                if let Some(members) = members {
                    merge_into(request.asked, &mut reply, members);
                }
                Reply::Http(reply)
            }
            Given::WellThen(then) => {
                self.well(request, None, now);
                self.give(then, request, now)
            }
            Given::WellLate(late) => {
                let at = now.checked_add(late.at(self.pace));
                self.late
                    .push((at.unwrap_or(Timestamp::MAX), request.clone()));
                Reply::Hang
            }
            Given::Ignore(parameter) => Reply::Http(self.well(request, Some(parameter), now)),
            Given::Hang => Reply::Hang,
            Given::Cut => Reply::Cut,
            Given::Http(reply) => Reply::Http(reply.clone()),
        }
    }

    fn well(&mut self, request: &Request, ignored: Option<&str>, now: Timestamp) -> HttpReply {
        if request.asked == Asked::Catalog {
            return HttpReply {
                status: 200,
                body: self.catalog().to_string().into_bytes(),
                ..HttpReply::default()
            };
        }
        self.instances.carry_out(request, ignored, now)
    }

    fn carry_out_late(&mut self, now: Timestamp) {
        let (due, late) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.late = late;
        let due: Vec<(Timestamp, Request)> = due;
        for (at, request) in due {
            self.instances.carry_out(&request, None, at);
        }
    }

    fn catalog(&self) -> Value {
        let setup = &self.row.setup;
        let mut first = offering();
        match &setup.offering {
            Some(Value::Object(members)) if members.contains_key("services") => {
                return Value::Object(members.clone());
            }
            Some(members) => merge(&mut first, members),
            None => {}
        }
        let mut all = vec![first];
        for members in &setup.further {
            let mut next = offering();
            merge(&mut next, members);
            all.push(next);
        }
        json!({ "services": all })
    }
}

/// Returns the offering of a broker without changes.
fn offering() -> Value {
    let plan = |name: &str| json!({ "id": format!("{name}-id"), "name": name, "description": "a plan", "free": true });
    json!({
        "id": "zoo-id",
        "name": "zoo",
        "description": "a service of the zoo",
        "bindable": false,
        "instances_retrievable": true,
        "plan_updateable": true,
        "plans": [plan("standard"), plan("premium")],
    })
}

/// Merges members into the body of a good answer; those of a catalog go into its first offering,
/// unless they are its services.
fn merge_into(asked: Asked, reply: &mut HttpReply, members: &Map<String, Value>) {
    let mut body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let members = Value::Object(members.clone());
    match (asked, members.get("services")) {
        (Asked::Catalog, None) => merge(&mut body["services"][0], &members),
        _ => merge(&mut body, &members),
    }
    reply.body = body.to_string().into_bytes();
}

/// Merges JSON as RFC 7396 does: `null` removes a member, and lists are replaced.
pub fn merge(into: &mut Value, members: &Value) {
    let Value::Object(members) = members else {
        *into = members.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Value::Object(into) = into else { return };
    for (name, value) in members {
        if value.is_null() {
            into.remove(name);
        } else {
            merge(into.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Characters of a body that are shown.
const SHOWN: usize = 120;

fn in_short(reply: &Reply) -> String {
    match reply {
        Reply::Hang => "never answered".to_owned(),
        Reply::Cut => "closed".to_owned(),
        Reply::Http(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            let mut shown: String = body.chars().take(SHOWN).collect();
            if shown.len() < body.len() {
                shown = format!("{shown}… ({} bytes)", reply.body.len());
            }
            let headers: Vec<String> = reply
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value} "))
                .collect();
            format!("{} {}{shown}", reply.status, headers.concat())
        }
    }
}
