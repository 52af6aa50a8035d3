//! Comparison of the definitions with those of the last release: every change that an object, a
//! client or a manifest of that release could meet.
//!
//! It decides what is additive: objects that were valid stay valid and mean the same, and nothing that
//! a client asks for goes away. New optional fields, wider bounds and other columns are additive. Where
//! it cannot tell, as with another text of a CEL rule, it reports the change, and a person decides
//! (`crds/released/accepted.txt`). It must never touch a file. Called by the program `crdgen`.

use std::collections::BTreeSet;

use serde_json::Value;

/// Fields of a schema of which every change counts.
const FIXED: [&str; 12] = [
    "type",
    "format",
    "default",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];

/// Fields of a schema that may go away, and may neither come nor change.
const LOOSENED: [&str; 5] = [
    "pattern",
    "multipleOf",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "uniqueItems",
];

/// Fields of a schema that allow more while they are true.
const ALLOWING: [&str; 2] = ["nullable", "x-kubernetes-preserve-unknown-fields"];

/// Least values; without one, that of a length is 0.
const LEAST: [&str; 4] = ["minItems", "minLength", "minProperties", "minimum"];
/// Greatest values.
const GREATEST: [&str; 4] = ["maxItems", "maxLength", "maxProperties", "maximum"];

/// Field of a schema with its rules in CEL.
const RULES: &str = "x-kubernetes-validations";

/// Returns each change from `old` to `new` definitions that is not additive, with its place, such as
/// `contracts spec.term: the field timeZone is gone`.
pub fn faults(old: &[Value], new: &[Value]) -> Vec<String> {
    let mut faults = Faults::default();
    for definition in old {
        let name = &definition["metadata"]["name"];
        match new.iter().find(|it| it["metadata"]["name"] == *name) {
            Some(now) => faults.definition(&definition["spec"], &now["spec"]),
            None => faults
                .0
                .push(format!("{}: the definition is gone", plain(name))),
        }
    }
    faults.0
}

/// Returns the changes that nobody accepted, and what is wrong with the list of those that somebody
/// did: each line is one change, in the words of [`faults`], below a comment (`#`) with the reason, which
/// holds until an empty line.
pub fn unaccepted(faults: &[String], accepted: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut taken = BTreeSet::new();
    let mut has_reason = false;
    for line in accepted.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            has_reason = !line.is_empty();
            continue;
        }
        if !has_reason {
            complaints.push(format!(
                "accepted without a reason in a comment above: {line}"
            ));
        }
        taken.insert(line.to_owned());
    }
    complaints.extend(
        faults
            .iter()
            .filter(|fault| !taken.contains(*fault))
            .cloned(),
    );
    let stale = taken.iter().filter(|line| !faults.contains(line));
    complaints.extend(stale.map(|line| format!("accepted, but no change: {line}")));
    complaints
}

/// Returns a definition as it is kept for later comparisons: without the texts for people.
pub fn kept(definition: &Value) -> Value {
    let mut kept = definition.clone();
    for version in kept["spec"]["versions"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if let Some(version) = version.as_object_mut() {
            version.remove("additionalPrinterColumns");
        }
        without_texts(&mut version["schema"]["openAPIV3Schema"]);
    }
    kept
}

fn without_texts(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    fields.remove("description");
    for rule in fields
        .get_mut(RULES)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(rule) = rule.as_object_mut() {
            rule.retain(|field, _| field == "rule" || field == "optionalOldSelf");
        }
    }
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(without_texts);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(below) = fields.get_mut(below) {
            without_texts(below);
        }
    }
}

/// The changes found so far.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn definition(&mut self, old: &Value, new: &Value) {
        let plural = plain(&old["names"]["plural"]);
        for path in [
            "/group",
            "/scope",
            "/conversion",
            "/names/kind",
            "/names/plural",
            "/names/singular",
        ] {
            let (was, is) = (old.pointer(path), new.pointer(path));
            if was != is {
                self.changed(&plural, path.trim_start_matches('/'), was, is);
            }
        }
        for names in ["shortNames", "categories"] {
            for name in texts(&old["names"][names]).difference(&texts(&new["names"][names])) {
                self.0.push(format!("{plural}: {names}: {name} is gone"));
            }
        }
        for version in old["versions"].as_array().into_iter().flatten() {
            let name = &version["name"];
            let versions = new["versions"].as_array();
            match versions.and_then(|all| all.iter().find(|it| it["name"] == *name)) {
                Some(now) => self.version(&plural, version, now),
                None => self
                    .0
                    .push(format!("{plural}: the version {} is gone", plain(name))),
            }
        }
    }

    fn version(&mut self, plural: &str, old: &Value, new: &Value) {
        for mark in ["served", "storage"] {
            if old[mark] == true && new[mark] != true {
                let name = plain(&old["name"]);
                self.0.push(format!(
                    "{plural}: the version {name} has no longer {mark}: true"
                ));
            }
        }
        for name in ["status", "scale"] {
            if !old["subresources"][name].is_null()
                && old["subresources"][name] != new["subresources"][name]
            {
                self.0.push(format!(
                    "{plural}: the subresource {name} is gone or another"
                ));
            }
        }
        let paths = |version: &Value| -> BTreeSet<String> {
            let fields = version["selectableFields"].as_array().into_iter().flatten();
            fields.map(|field| plain(&field["jsonPath"])).collect()
        };
        for path in paths(old).difference(&paths(new)) {
            self.0
                .push(format!("{plural}: {path} cannot be selected by any longer"));
        }
        let (old, new) = (
            &old["schema"]["openAPIV3Schema"],
            &new["schema"]["openAPIV3Schema"],
        );
        self.schema(plural, old, new);
    }

    fn schema(&mut self, place: &str, old: &Value, new: &Value) {
        for field in FIXED {
            if old[field] != new[field] {
                self.changed(place, field, old.get(field), new.get(field));
            }
        }
        for field in LOOSENED {
            if !new[field].is_null() && new[field] != false && old[field] != new[field] {
                self.changed(place, field, old.get(field), new.get(field));
            }
        }
        for field in ALLOWING {
            if old[field] == true && new[field] != true {
                self.changed(place, field, old.get(field), new.get(field));
            }
        }
        self.bounds(place, old, new);
        self.values(place, old, new);
        self.fields(place, old, new);
        self.rules(place, old, new);
        for (field, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
            match (&old[field], &new[field]) {
                (was @ Value::Object(_), is @ Value::Object(_)) => {
                    self.schema(&format!("{place}{mark}"), was, is);
                }
                (was, is) if !was.is_null() && was != is => {
                    self.changed(place, field, Some(was), Some(is));
                }
                _ => {}
            }
        }
    }

    fn bounds(&mut self, place: &str, old: &Value, new: &Value) {
        for field in LEAST {
            let without = if field == "minimum" {
                f64::NEG_INFINITY
            } else {
                0.0
            };
            let of = |schema: &Value| schema[field].as_f64().unwrap_or(without);
            if of(new) > of(old) {
                self.changed(place, field, old.get(field), new.get(field));
            }
        }
        for field in GREATEST {
            let of = |schema: &Value| schema[field].as_f64().unwrap_or(f64::INFINITY);
            if of(new) < of(old) {
                self.changed(place, field, old.get(field), new.get(field));
            }
        }
    }

    fn values(&mut self, place: &str, old: &Value, new: &Value) {
        let Some(allowed) = new["enum"].as_array() else {
            return;
        };
        let Some(before) = old["enum"].as_array() else {
            return self.changed(place, "enum", None, new.get("enum"));
        };
        for value in before.iter().filter(|value| !allowed.contains(value)) {
            self.0
                .push(format!("{place}: the value {value} is no longer allowed"));
        }
    }

    fn fields(&mut self, place: &str, old: &Value, new: &Value) {
        let now = &new["properties"];
        for (name, was) in old["properties"].as_object().into_iter().flatten() {
            match &now[name] {
                Value::Null => self.0.push(format!("{place}: the field {name} is gone")),
                is => self.schema(&below(place, name), was, is),
            }
        }
        for name in texts(&new["required"]).difference(&texts(&old["required"])) {
            // A default is there before the API server asks for the field.
            if now[name]["default"].is_null() {
                self.0
                    .push(format!("{place}: the field {name} is required"));
            }
        }
    }

    fn rules(&mut self, place: &str, old: &Value, new: &Value) {
        let of = |schema: &Value| -> BTreeSet<String> {
            let rules = schema[RULES].as_array().into_iter().flatten();
            rules.map(|rule| plain(&rule["rule"])).collect()
        };
        for rule in of(new).difference(&of(old)) {
            if !is_about_new_field(rule, old, new) {
                self.0.push(format!("{place}: the rule is new: {rule}"));
            }
        }
    }

    fn changed(&mut self, place: &str, field: &str, was: Option<&Value>, is: Option<&Value>) {
        let text = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "absent".to_owned(),
            Some(value) => value.to_string(),
        };
        self.0.push(format!(
            "{place}: {field} is {}, was {}",
            text(is),
            text(was)
        ));
    }
}

/// Returns true for a rule that every object without a new field keeps: `!has(self.new) || …`, where
/// no conditional can take the `||` into its condition.
fn is_about_new_field(rule: &str, old: &Value, new: &Value) -> bool {
    let Some((name, rest)) = rule
        .strip_prefix("!has(self.")
        .and_then(|rest| rest.split_once(") || "))
    else {
        return false;
    };
    !rest.contains('?') && old["properties"][name].is_null() && new["properties"][name].is_object()
}

/// Returns the place of a field: `contracts spec`, then `contracts spec.term`.
fn below(place: &str, name: &str) -> String {
    let mark = if place.contains(' ') { '.' } else { ' ' };
    format!("{place}{mark}{name}")
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(plain).collect()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
