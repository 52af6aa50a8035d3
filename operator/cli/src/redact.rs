//! Redaction: objects without the values that somebody chose or that a device had.
//!
//! Names, dates, states and reasons stay, since they are what a reader of a bundle needs. A value is
//! replaced where it is, and in every other text that quotes it, such as a message. A field that this
//! version does not know is taken out whole: better too much than a secret. Pure.

use std::collections::BTreeMap;

use entente_crds::rules;
use serde_json::Value;

/// Text in place of a value.
pub(crate) const REDACTED: &str = "REDACTED";
/// The least number of characters of a value that is looked for in other texts: `on` and `15` are in
/// many messages, and are no secrets.
const QUOTED: usize = 5;
/// Annotations whose values stay.
const ANNOTATIONS: &str = "entente.dev/";

/// Fields below which every text is a value, by the kind.
const VALUES: &[(&str, &[&str])] = &[
    (
        "Contract",
        &[
            "spec.services[].parameters",
            "spec.services[].overrides[].parameters",
            "spec.exclusions[].reason",
        ],
    ),
    (
        "ContractAmendment",
        &[
            "spec.services[].parameters",
            "spec.services[].overrides[].parameters",
        ],
    ),
    (
        "ServiceSubscription",
        &[
            "spec.revisions[].parameters",
            "status.items[].previous.values",
        ],
    ),
    (
        "SmartService",
        &[
            "spec.description",
            "spec.parameters[].allowed",
            "spec.parameters[].default",
            "spec.device.settings[].value",
            "spec.device.settings[].otherwise",
            "spec.device.settings[].valueFrom.map",
            "spec.device.settings[].when.in",
            "spec.server.settings[].value",
            "spec.server.settings[].otherwise",
            "spec.server.settings[].valueFrom.map",
            "spec.server.settings[].when.in",
            "spec.server.activation.active",
            "spec.server.activation.inactive",
            "spec.acceptance.equals",
        ],
    ),
    (
        "DeviceTwin",
        &[
            "spec.settings[].value",
            "spec.next.settings[].value",
            "status.reported.settings[].value",
            "status.reported.messages[].text",
            "status.credential.sha256",
            "status.credential.previousSha256",
        ],
    ),
    ("Compensation", &["spec.voided.reason"]),
    ("Device", &["spec.shipTo"]),
    ("Site", &["spec.shipTo"]),
    (
        "SupplyOrder",
        &[
            "spec.record.shipTo",
            "spec.cancelled.reason",
            "status.order.tracking",
        ],
    ),
];

/// Redacts the objects of one bundle.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    /// Values that were taken out and are looked for in other texts, the longest first.
    values: Vec<String>,
    /// Names in place of customers, if that is asked for.
    customers: Option<BTreeMap<String, String>>,
}

impl Redactor {
    /// Begins a bundle that shows the ids and names of customers, or one that does not.
    pub(crate) fn new(shows_customers: bool) -> Self {
        Self {
            values: Vec::new(),
            customers: (!shows_customers).then(BTreeMap::new),
        }
    }

    /// Collects the values of an object. Every object has to be seen before the first is redacted.
    pub(crate) fn see(&mut self, kind: &str, object: &Value) {
        let mut found = Vec::new();
        walk("", object, &mut |path, text| {
            if is_value(kind, path) && text.chars().count() >= QUOTED {
                found.push(text.to_owned());
            }
        });
        self.values.extend(found);
        self.values
            .sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.values.dedup();
        let Some(customers) = &mut self.customers else {
            return;
        };
        let spec = &object["spec"];
        for customer in [&spec["customer"], &spec["record"]["customer"]] {
            for (field, word) in [("id", "customer"), ("name", "Customer")] {
                let number = customers.len() + 1;
                if let Some(text) = customer[field].as_str().filter(|it| !it.is_empty()) {
                    let shown = || format!("{word}-{number}");
                    customers.entry(text.to_owned()).or_insert_with(shown);
                }
            }
        }
    }

    /// Returns an object without values.
    pub(crate) fn redact(&self, kind: &str, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
            let annotations = metadata.get_mut("annotations");
            let annotations = annotations.and_then(Value::as_object_mut);
            for (name, value) in annotations.into_iter().flatten() {
                if !name.starts_with(ANNOTATIONS) {
                    *value = REDACTED.into();
                }
            }
        }
        if let Some(rules) = rules::of_kind(kind) {
            for part in ["spec", "status"] {
                hide_unknown(&rules.schema["properties"][part], &mut object[part]);
            }
            if object["status"].is_null() {
                object.as_object_mut().map(|it| it.remove("status"));
            }
        }
        self.hide(kind, "", &mut object);
        object
    }

    fn hide(&self, kind: &str, path: &str, value: &mut Value) {
        match value {
            Value::String(text) if is_value(kind, path) => REDACTED.clone_into(text),
            Value::String(text) if path.ends_with("message") || path == "note" => {
                *text = without_quotations(&self.text(text));
            }
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => {
                for item in items {
                    self.hide(kind, &format!("{path}[]"), item);
                }
            }
            Value::Object(fields) => {
                for (name, inner) in fields {
                    self.hide(kind, &below(path, name), inner);
                }
            }
            _ => {}
        }
    }

    /// Returns a text without the values that it quotes, and without logins in URLs.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = without_logins(text);
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), REDACTED);
            }
        }
        // The longest first, as an id may be a part of a name.
        let mut customers: Vec<_> = self.customers.iter().flatten().collect();
        customers.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, shown) in customers {
            text = text.replace(name.as_str(), shown);
        }
        text
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn walk(path: &str, value: &Value, each: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => each(path, text),
        Value::Array(items) => {
            for item in items {
                walk(&format!("{path}[]"), item, each);
            }
        }
        Value::Object(fields) => {
            for (name, inner) in fields {
                walk(&below(path, name), inner, each);
            }
        }
        _ => {}
    }
}

/// True if the text at a path is a value.
fn is_value(kind: &str, path: &str) -> bool {
    let fields = VALUES.iter().find(|(of, _)| *of == kind);
    let mut fields = fields.iter().flat_map(|(_, fields)| *fields);
    fields.any(|field| {
        let rest = path.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// Hides the fields that a schema does not have.
fn hide_unknown(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let further = &schema["additionalProperties"];
            for (name, inner) in fields {
                if let Some(schema) = schema["properties"].get(name) {
                    hide_unknown(schema, inner);
                } else if further.is_object() {
                    hide_unknown(further, inner);
                } else {
                    *inner = REDACTED.into();
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                hide_unknown(&schema["items"], item);
            }
        }
        _ => {}
    }
}

/// Returns a message without the texts in quotation marks: a message quotes what a remote side has read
/// back or answered, which may be a value that nobody else knows.
fn without_quotations(text: &str) -> String {
    let parts = text.split('"').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 1 { REDACTED } else { part });
    parts.collect::<Vec<_>>().join("\"")
}

/// Returns a text in which no URL has a login or a query, where secrets are put as well.
fn without_logins(text: &str) -> String {
    let Some(at) = text.find("://") else {
        return text.to_owned();
    };
    let (before, rest) = text.split_at(at + 3);
    let end = rest.find(|it: char| it.is_whitespace() || "\"'<>".contains(it));
    let (url, after) = rest.split_at(end.unwrap_or(rest.len()));
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    let url = match url[..authority].rfind('@') {
        Some(login) => format!("{REDACTED}{}", &url[login..]),
        None => url.to_owned(),
    };
    let url = match url.find(['?', '#']) {
        Some(query) => format!("{}?{REDACTED}", &url[..query]),
        None => url,
    };
    format!("{before}{url}{}", without_logins(after))
}

#[cfg(test)]
mod tests;
