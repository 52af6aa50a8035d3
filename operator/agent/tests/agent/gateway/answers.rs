//! Answers of the gateway of tests: registration, services, twin, credential.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    response::Response,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    ENROLMENT, ID, Inner,
    content::{self, Fault},
};

/// A request whose body is whole.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    fn has_token(&self, scheme: &str, token: &str) -> bool {
        self.header("authorization") == format!("{scheme} {token}")
    }
}

/// An answer without headers.
pub(crate) fn json_answer(status: u16, body: &Value) -> Response {
    let media = if status >= 400 {
        "application/problem+json"
    } else {
        "application/json"
    };
    with(status, &[("content-type", media)], body.to_string().into())
}

pub(crate) fn with(status: u16, headers: &[(&'static str, &str)], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        response.headers_mut().insert(*name, value);
    }
    response
}

pub(crate) fn problem(status: u16, reason: &str) -> Response {
    json_answer(status, &content::problem(status, reason, "a test", &[]))
}

pub(crate) fn invalid(reason: &str, faults: &[Fault]) -> Response {
    let reason = if faults.len() > 1 {
        "InvalidRequest"
    } else {
        reason
    };
    json_answer(422, &content::problem(422, reason, "a test", faults))
}

/// Adds a header.
pub(crate) fn plus(mut response: Response, name: &'static str, value: &str) -> Response {
    let value = HeaderValue::from_str(value).unwrap();
    response.headers_mut().insert(name, value);
    response
}

pub(crate) fn not_allowed(allow: &str) -> Response {
    plus(problem(405, "MethodNotAllowed"), "allow", allow)
}

impl Inner {
    pub(crate) fn answer(&mut self, asked: &Asked) -> Response {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match &parts[..] {
            ["v1", "region"] if asked.method == Method::GET => self.region(query),
            ["v1", "region"] => not_allowed("GET"),
            ["v1", "registrations"] if asked.method == Method::POST => self.register(asked),
            ["v1", "registrations"] => not_allowed("POST"),
            ["v1", "registrations", id] => self.registration(asked, id),
            ["v1", "devices", id] => self.device(asked, id, &["DELETE"], "", query),
            ["v1", "devices", id, rest @ ("services" | "twin")] => {
                self.device(asked, id, &["GET"], rest, query)
            }
            ["v1", "devices", id, "services", service, "activation"] => {
                let rest = format!("activation/{service}");
                self.device(asked, id, &["PUT"], &rest, query)
            }
            ["v1", "devices", id, "events"] => self.device(asked, id, &["POST"], "events", query),
            ["v1", "devices", id, "credential"] => {
                self.device(asked, id, &["POST"], "credential", query)
            }
            ["v1", "devices", id, "twin", "reported"] => {
                self.device(asked, id, &["PATCH"], "reported", query)
            }
            [namespace, "controller", "v1", controller, rest @ ..] => {
                self.ddi(asked, namespace, controller, rest)
            }
            _ => problem(404, "NotFound"),
        }
    }

    fn region(&self, query: &str) -> Response {
        let countries: Vec<&str> = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("country="))
            .collect();
        let is_country =
            |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        match countries[..] {
            [country] if is_country(country) && country != "XX" => {
                let until = self.now() + SignedDuration::from_hours(1000);
                json_answer(
                    200,
                    &json!({"region": "test", "url": self.url, "validUntil": until}),
                )
            }
            ["XX"] => problem(404, "RegionUnknown"),
            _ => invalid("InvalidRequest", &[Fault::new("/country", "two letters")]),
        }
    }

    fn register(&mut self, asked: &Asked) -> Response {
        if !asked.has_token("Bearer", ENROLMENT) {
            return plus(
                problem(401, "EnrollmentTokenInvalid"),
                "www-authenticate",
                "Bearer realm=\"entente\"",
            );
        }
        let body = match content::json(asked, "application/json") {
            Ok(body) => body,
            Err(response) => return *response,
        };
        let (reason, faults) = content::registration(&body);
        if !faults.is_empty() && self.defect != "accepts-faults" {
            return invalid(reason, &faults);
        }
        if self.pending {
            let pending = json!({"registrationId": "r1", "interval": 1});
            let location = "/v1/registrations/r1";
            return plus(json_answer(202, &pending), "location", location);
        }
        let is_used = self.token.as_ref().is_some_and(|(_, used)| *used);
        if is_used && !self.withdrawn && self.defect != "takes-a-second-machine" {
            return problem(409, "AlreadyRegistered");
        }
        self.withdrawn = false;
        self.former = None;
        let credential = self.credential();
        let period = json!({"period": "PT24H", "next": self.poll_next});
        let url = &self.url;
        let mut links = json!({"services": format!("{url}/v1/devices/{ID}/services"),
            "twin": format!("{url}/v1/devices/{ID}/twin"),
            "events": format!("{url}/v1/devices/{ID}/events")});
        if body["capabilities"]["ddi"] == true {
            links["ddi"] = json!(format!("{url}/acme/controller/v1/lobby-mfp"));
        }
        if self.reported["software"].is_null() {
            self.reported["software"] = body["software"].clone();
        }
        let answer = json!({"printerId": ID, "device": "lobby-mfp", "namespace": "acme",
            "credential": credential, "poll": period, "links": links});
        let response = plus(
            json_answer(201, &answer),
            "location",
            &format!("/v1/devices/{ID}"),
        );
        plus(response, "cache-control", "no-store")
    }

    fn credential(&mut self) -> Value {
        self.tokens += 1;
        let token = format!("{:A>43}", self.tokens);
        let is_kept = self.defect != "forgets-tokens";
        self.token = is_kept.then(|| (token.clone(), false));
        json!({"type": "Token", "token": token, "renewAfter": self.renew_after})
    }

    fn registration(&self, asked: &Asked, id: &str) -> Response {
        if !asked.has_token("Bearer", ENROLMENT) {
            return problem(401, "EnrollmentTokenInvalid");
        }
        if id != "r1" {
            return problem(404, "RegistrationNotFound");
        }
        let state = if self.pending { "Pending" } else { "Ready" };
        json_answer(
            200,
            &json!({"registrationId": "r1", "state": state, "interval": 1}),
        )
    }

    /// True if the token is one of the device; it is used then.
    pub(crate) fn knows(&mut self, asked: &Asked, scheme: &str) -> bool {
        if let Some((token, used)) = &mut self.token
            && asked.has_token(scheme, token)
        {
            *used = true;
            self.former = None;
            return true;
        }
        let former = self.former.as_ref();
        let dead = self.defect == "keeps-dead-tokens" && !asked.header("authorization").is_empty();
        dead || former.is_some_and(|former| asked.has_token(scheme, former))
    }

    fn device(
        &mut self,
        asked: &Asked,
        id: &str,
        allowed: &[&str],
        rest: &str,
        query: &str,
    ) -> Response {
        if !allowed.contains(&asked.method.as_str()) {
            return not_allowed(allowed[0]);
        }
        if !self.knows(asked, "Bearer") {
            let realm = "Bearer realm=\"entente\"";
            return plus(problem(401, "CredentialInvalid"), "www-authenticate", realm);
        }
        if id != ID {
            let tells = self.defect == "tells-which-devices-there-are";
            return if tells {
                problem(404, "NotFound")
            } else {
                problem(403, "DeviceMismatch")
            };
        }
        if self.withdrawn && !rest.is_empty() {
            return problem(403, "ConsentWithdrawn");
        }
        match rest {
            "" => {
                if !query.contains("by=") {
                    return invalid("InvalidRequest", &[Fault::new("/by", "who")]);
                }
                self.withdrawn = true;
                with(204, &[], Body::empty())
            }
            "services" => self.services(asked),
            "twin" => self.twin(asked),
            "events" => self.events(asked),
            "credential" => {
                // The token that asks stays valid until the new one is used.
                let asking = asked.header("authorization").trim_start_matches("Bearer ");
                self.former = Some(asking.to_owned());
                let credential = self.credential();
                plus(json_answer(201, &credential), "cache-control", "no-store")
            }
            rest => match rest.strip_prefix("activation/") {
                Some(id) => self.activation(asked, id),
                None => self.report(asked),
            },
        }
    }

    /// An answer with a tag, or 304.
    fn tagged(&self, asked: &Asked, tag: &str, cache: &str, body: &Value) -> Response {
        let listed = asked.header("if-none-match").split(',');
        let is_same = listed
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == tag);
        let is_same = is_same && self.defect != "never-304";
        let held = asked.header("prefer").strip_prefix("wait=");
        let held = held.filter(|wait| is_same && wait.parse::<u64>().is_ok());
        let response = if is_same {
            with(304, &[], Body::empty())
        } else {
            json_answer(200, body)
        };
        let mut response = plus(plus(response, "etag", tag), "cache-control", cache);
        if self.defect != "no-poll-next" {
            response = plus(response, "entente-poll-next", self.poll_next);
        }
        match held {
            Some(wait) => plus(response, "preference-applied", &format!("wait={wait}")),
            None => response,
        }
    }

    fn services(&self, asked: &Asked) -> Response {
        let tag = format!("\"{}\"", content::digest(&self.services));
        let body = json!({"services": self.services, "poll": {"next": self.poll_next}});
        self.tagged(asked, &tag, "no-cache", &body)
    }

    fn twin(&self, asked: &Asked) -> Response {
        let tag = format!("\"{}\"", self.version);
        let mut desired = self.desired.clone();
        if desired["dataTypes"].is_null() {
            desired["dataTypes"] = json!([]);
        }
        if desired["messages"].is_null() {
            desired["messages"] = json!([]);
        }
        let messages = content::messages_delta(&desired["messages"], &self.reported["messages"]);
        let kinds = content::kinds_delta(&desired["dataTypes"], &self.reported["dataTypes"]);
        let body = json!({"version": self.version, "desired": desired,
            "reported": self.reported, "delta": {"settings": [], "dataTypes": kinds, "messages": messages},
            "poll": {"next": self.poll_next}});
        self.tagged(asked, &tag, "no-store", &body)
    }

    fn report(&mut self, asked: &Asked) -> Response {
        let patch = match content::json(asked, "application/merge-patch+json") {
            Ok(patch) => patch,
            Err(response) => return *response,
        };
        let tag = format!("\"{}\"", self.version);
        if !["", "*", &tag].contains(&asked.header("if-match")) {
            return plus(problem(412, "PreconditionFailed"), "etag", &tag);
        }
        let faults = content::report(&patch, self.version);
        if !faults.is_empty() && self.defect != "accepts-faults" {
            return invalid("InvalidRequest", &faults);
        }
        for (name, value) in patch.as_object().into_iter().flatten() {
            let name = if name == "desiredVersion" {
                "version"
            } else {
                name
            };
            let merges = match name {
                "settings" => self.defect != "replaces-settings",
                "messages" => self.defect != "replaces-messages" && !value.is_null(),
                _ => false,
            };
            if merges {
                if self.reported[name].is_null() {
                    self.reported[name] = json!({});
                }
                for (key, one) in value.as_object().into_iter().flatten() {
                    match one {
                        Value::Null => {
                            drop(self.reported[name].as_object_mut().unwrap().remove(key));
                        }
                        one => self.reported[name][key] = one.clone(),
                    }
                }
            } else if value.is_null() {
                self.reported.as_object_mut().unwrap().remove(name);
            } else {
                self.reported[name] = value.clone();
            }
        }
        if self.defect == "replaces-kinds-of-data" && patch["dataTypes"].is_null() {
            self.reported.as_object_mut().unwrap().remove("dataTypes");
        }
        let response = with(204, &[], Body::empty());
        let response = plus(response, "etag", &tag);
        plus(response, "entente-poll-next", self.poll_next)
    }
}
