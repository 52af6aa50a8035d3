//! Content of requests, as the gateway of tests judges it, and problems.

use std::collections::BTreeSet;

use axum::response::Response;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::answers::{Asked, problem as refuse};

/// A fault at a place.
pub(crate) struct Fault {
    pointer: String,
    allowed: &'static str,
}

impl Fault {
    pub(crate) fn new(pointer: &str, allowed: &'static str) -> Self {
        let pointer = pointer.to_owned();
        Self { pointer, allowed }
    }
}

/// A problem in the form of the document.
pub(crate) fn problem(status: u16, reason: &str, detail: &str, faults: &[Fault]) -> Value {
    let kebab = entente_agent::check::rules::kebab(reason);
    let mut problem = json!({"type": format!("https://entente.dev/problems/{kebab}"),
        "title": reason, "status": status, "reason": reason, "detail": detail});
    if !faults.is_empty() {
        let errors: Vec<Value> = faults
            .iter()
            .map(|fault| json!({"pointer": fault.pointer, "detail": "wrong", "allowed": fault.allowed}))
            .collect();
        problem["errors"] = json!(errors);
    }
    problem
}

/// Reads a body, or refuses it.
pub(crate) fn json(asked: &Asked, media: &str) -> Result<Value, Box<Response>> {
    let found = asked.header("content-type").split(';').next().unwrap_or("");
    if found.trim() != media {
        return Err(Box::new(refuse(415, "UnsupportedMediaType")));
    }
    if asked.body.len() > 262_144 {
        return Err(Box::new(refuse(413, "TooLarge")));
    }
    match serde_json::from_slice::<Once>(&asked.body) {
        Ok(body) => Ok(body.0),
        Err(_) => Err(Box::new(refuse(400, "BadRequest"))),
    }
}

/// JSON in which no member is there twice.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((name, Once(value))) = map.next_entry::<String, Once>()? {
            if values.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a member twice"));
            }
        }
        Ok(Value::Object(values))
    }
}

/// A number that follows from a document.
pub(crate) fn digest(value: &Value) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Members that are not known, as faults.
pub(crate) fn unknown(body: &Value, at: &str, known: &[&str], faults: &mut Vec<Fault>) {
    for name in body.as_object().into_iter().flatten().map(|(name, _)| name) {
        if !known.contains(&&**name) {
            faults.push(Fault::new(&format!("{at}/{name}"), "no such member"));
        }
    }
}

/// Reason and faults of a registration.
#[allow(clippy::too_many_lines, reason = "a table of the fields of a body")]
pub(crate) fn registration(body: &Value) -> (&'static str, Vec<Fault>) {
    let mut faults = Vec::new();
    let known = [
        "serialNumber",
        "productName",
        "manufacturer",
        "uuid",
        "shipDestination",
        "timeZone",
        "languages",
        "area",
        "software",
        "capabilities",
        "consent",
    ];
    unknown(body, "", &known, &mut faults);
    unknown(
        &body["capabilities"],
        "/capabilities",
        &["ddi", "dataTypes", "supplies", "display"],
        &mut faults,
    );
    let display = &body["capabilities"]["display"];
    for name in ["columns", "lines"] {
        let size = display[name].as_u64();
        if !display.is_null() && !size.is_some_and(|size| (1..=512).contains(&size)) {
            let at = format!("/capabilities/display/{name}");
            faults.push(Fault::new(&at, "a number from 1 to 512"));
        }
    }
    for name in ["serialNumber", "productName", "shipDestination", "timeZone"] {
        let length = body[name].as_str().map_or(0, str::len);
        let most = if name == "shipDestination" { 2 } else { 64 };
        if length == 0 || length > most {
            faults.push(Fault::new(&format!("/{name}"), "a text"));
        }
    }
    let consent = &body["consent"];
    for name in ["by", "at", "textVersion"] {
        if !consent.is_null() && !consent[name].is_string() {
            faults.push(Fault::new(&format!("/consent/{name}"), "a text"));
        }
    }
    if !faults.is_empty() {
        return ("InvalidRequest", faults);
    }
    if consent.is_null() {
        return ("ConsentMissing", vec![Fault::new("/consent", "consent")]);
    }
    if body["timeZone"] == "Asia/Edo" {
        return (
            "UnknownTimeZone",
            vec![Fault::new("/timeZone", "a time zone")],
        );
    }
    if body["productName"] != "NW MFP 500" {
        return (
            "UnknownModel",
            vec![Fault::new("/productName", "NW MFP 500")],
        );
    }
    ("", faults)
}

/// Faults of a report.
pub(crate) fn report(patch: &Value, version: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !patch.is_object() {
        return vec![Fault::new("", "an object")];
    }
    let known = [
        "desiredVersion",
        "settings",
        "dataTypes",
        "messages",
        "refused",
        "software",
        "restarted",
    ];
    unknown(patch, "", &known, &mut faults);
    if patch["desiredVersion"]
        .as_u64()
        .is_some_and(|found| found > version)
    {
        faults.push(Fault::new("/desiredVersion", "the current version"));
    }
    if patch["restarted"] == "now" {
        faults.push(Fault::new("/restarted", "an instant"));
    }
    let settings = patch["settings"].as_object();
    if settings.is_some_and(|settings| settings.len() > 128) {
        faults.push(Fault::new("/settings", "at most 128"));
        return faults;
    }
    for (name, setting) in settings.into_iter().flatten() {
        setting_faults(name, setting, &mut faults);
    }
    for (at, refused) in patch["refused"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if !["ReadOnly", "InvalidValue", "Unsupported", "Busy"]
            .map(|one| json!(one))
            .contains(&refused["reason"])
        {
            faults.push(Fault::new(&format!("/refused/{at}/reason"), "a reason"));
        }
    }
    kinds_faults(&patch["dataTypes"], &mut faults);
    messages_faults(&patch["messages"], &mut faults);
    let mut seen = BTreeSet::new();
    for (at, one) in patch["software"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if !seen.insert(format!("{}/{}", one["part"], one["name"])) {
            faults.push(Fault::new(&format!("/software/{at}"), "once"));
        }
    }
    faults
}

fn kinds_faults(kinds: &Value, faults: &mut Vec<Fault>) {
    if !kinds.is_null() && !kinds.is_array() {
        faults.push(Fault::new("/dataTypes", "a list"));
    }
    let mut seen = BTreeSet::new();
    for (at, kind) in kinds.as_array().into_iter().flatten().enumerate() {
        let at = format!("/dataTypes/{at}");
        unknown(kind, &at, &["name", "period"], faults);
        let name = kind["name"].as_str().unwrap_or_default();
        if name.is_empty() || !seen.insert(name) {
            faults.push(Fault::new(&format!("{at}/name"), "a name, once"));
        }
        let period = kind["period"].as_str();
        let is_odd = period.is_some_and(|period| !period.starts_with("PT") || period == "PT0S");
        if is_odd || !kind["period"].is_null() && period.is_none() {
            faults.push(Fault::new(&format!("{at}/period"), "a length of time"));
        }
    }
}

fn messages_faults(messages: &Value, faults: &mut Vec<Fault>) {
    if !messages.is_null() && !messages.is_object() {
        faults.push(Fault::new("/messages", "an object"));
    }
    for (id, said) in messages.as_object().into_iter().flatten() {
        let at = format!("/messages/{}", id.replace('~', "~0").replace('/', "~1"));
        if id.contains('/') {
            faults.push(Fault::new(&at, "an id"));
        }
        if said.is_null() {
            continue;
        }
        unknown(said, &at, &["state", "at", "text", "detail"], faults);
        let states = ["Pending", "Shown", "Cleared", "Undeliverable"].map(|one| json!(one));
        if !states.contains(&said["state"]) {
            faults.push(Fault::new(&format!("{at}/state"), "a state"));
        }
        let instant = said["at"].as_str();
        let is_instant = instant.is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok());
        if !said["at"].is_null() && !is_instant {
            faults.push(Fault::new(&format!("{at}/at"), "an instant"));
        }
    }
}

/// Ids of the messages to show, and of those to take down.
pub(crate) fn messages_delta(wanted: &Value, reported: &Value) -> Value {
    let wanted = wanted.as_array().into_iter().flatten();
    let wanted: BTreeSet<&str> = wanted.filter_map(|it| it["id"].as_str()).collect();
    let reported = reported.as_object().into_iter().flatten();
    let shown = reported.filter(|(_, said)| said["state"] == "Shown");
    let shown: BTreeSet<&str> = shown.map(|(id, _)| &**id).collect();
    let show: Vec<&&str> = wanted.difference(&shown).collect();
    let clear: Vec<&&str> = shown.difference(&wanted).collect();
    json!({"show": show, "clear": clear})
}

/// Names of the kinds of data to add, and of those to end.
pub(crate) fn kinds_delta(wanted: &Value, sent: &Value) -> Value {
    let names = |kinds: &Value| -> BTreeSet<String> {
        let kinds = kinds.as_array().into_iter().flatten();
        let names = kinds.filter_map(|kind| kind["name"].as_str());
        names.map(String::from).collect()
    };
    let (wanted, sent) = (names(wanted), names(sent));
    let add: Vec<&String> = wanted.difference(&sent).collect();
    let remove: Vec<&String> = sent.difference(&wanted).collect();
    json!({"add": add, "remove": remove})
}

fn setting_faults(name: &str, setting: &Value, faults: &mut Vec<Fault>) {
    if setting.is_null() {
        return;
    }
    let at = format!("/settings/{}", name.replace('~', "~0").replace('/', "~1"));
    if name.contains('/') {
        faults.push(Fault::new(&at, "a name"));
    }
    let sources = ["Server", "Panel", "Technician", "Default"].map(|one| json!(one));
    if !sources.contains(&setting["by"]) {
        faults.push(Fault::new(&format!("{at}/by"), "a source"));
    }
    let value = setting["value"].as_str();
    let is_secret = setting["secret"] == true;
    if is_secret == value.is_some() || value.is_some_and(|value| value.len() > 1023) {
        faults.push(Fault::new(&format!("{at}/value"), "a text"));
    }
}
