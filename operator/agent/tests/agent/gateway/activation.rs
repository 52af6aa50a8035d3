//! Activation at the gateway of tests: a provider that answers at once, or never.

use axum::response::Response;
use serde_json::{Value, json};

use super::{
    Inner,
    answers::{Asked, invalid, json_answer, plus, problem},
    content::{self, Fault},
};

impl Inner {
    /// Takes the word of the device on one of its services.
    pub(super) fn activation(&mut self, asked: &Asked, id: &str) -> Response {
        let word = match content::json(asked, "application/json") {
            Ok(word) => word,
            Err(response) => return *response,
        };
        let faults = word_faults(&word);
        if !faults.is_empty() && self.defect != "accepts-faults" {
            return invalid("InvalidRequest", &faults);
        }
        let mut services = self.services.as_array_mut().into_iter().flatten();
        let Some(service) = services.find(|service| service["applicationId"] == id) else {
            return problem(404, "ApplicationNotFound");
        };
        self.words.push((id.to_owned(), word.clone()));
        let is_able = word["supported"] != false;
        let legs: Vec<&str> = match (is_able, &word["active"]) {
            (false, _) => vec!["UnsupportedByDevice"],
            (true, active) if *active == false => vec!["DisabledLocally"],
            _ => Vec::new(),
        };
        let is_in_force = !["Scheduled", "Cancelled"].contains(&service["state"].as_str().unwrap());
        if is_in_force {
            let is_on = legs.is_empty() && !self.pends;
            service["state"] = json!(if is_on { "Active" } else { "Inactive" });
            service["missing"] = json!(legs);
        }
        if word["active"] == false {
            let again = self.words.iter().filter(|(known, _)| known == id).count() > 1;
            let state = if again && self.defect == "forgets-words" {
                "Pending"
            } else {
                "Inactive"
            };
            return self.state(200, &json!({ "state": state }));
        }
        let refusal = match (is_able, is_in_force) {
            (false, _) => Some("UnsupportedByDevice"),
            (true, false) => Some("NotInForce"),
            (true, true) => None,
        };
        match refusal {
            Some(reason) => {
                let mut body = content::problem(409, reason, "a test", &[]);
                body["missing"] = json!([reason]);
                json_answer(409, &body)
            }
            None if self.pends => {
                let pending =
                    json!({"state": "Pending", "reason": "ProviderPending", "next": "PT1S"});
                self.state(202, &pending)
            }
            None => self.state(
                200,
                &json!({"state": "Active", "since": "2027-04-01T00:00:02Z",
                "provider": {"reference": "NW-77"}}),
            ),
        }
    }

    fn state(&self, status: u16, body: &Value) -> Response {
        plus(
            json_answer(status, body),
            "entente-poll-next",
            self.poll_next,
        )
    }
}

/// Faults of a word.
fn word_faults(word: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !word.is_object() {
        return vec![Fault::new("", "an object")];
    }
    let known = ["active", "by", "supported", "unsupported"];
    content::unknown(word, "", &known, &mut faults);
    if !word["active"].is_boolean() {
        faults.push(Fault::new("/active", "true or false"));
    }
    if !["Panel", "Technician", "Command"].contains(&word["by"].as_str().unwrap_or_default()) {
        faults.push(Fault::new("/by", "a way"));
    }
    if !word["supported"].is_null() && !word["supported"].is_boolean() {
        faults.push(Fault::new("/supported", "true or false"));
    }
    let lacks = word["unsupported"].as_array().map_or(0, Vec::len);
    let is_odd = lacks > 16 || lacks > 0 && word["supported"] != false;
    if is_odd || !word["unsupported"].is_null() && !word["unsupported"].is_array() {
        faults.push(Fault::new("/unsupported", "a list of at most 16"));
    }
    faults
}
