//! The reference page of the API: every field of every kind, from the schemas of the definitions.
//!
//! Decides how a field is shown: its path, its type, the values that are allowed, and its description.
//! Takes everything from the definitions and adds nothing. Called by `generate`.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

const INTRODUCTION: &str = "\
<!-- Written by crdgen from the types in crds/src/v1alpha1; change those, not this file. -->

# The API

Every field of every kind of `entente.dev/v1alpha1`, as `kubectl explain` has it.
A path with `[]` is that of each entry of a list, and one with `{}` that of each value of a map.
Rules that join several fields are in the [definitions](../../crds/manifests), and the API server says them when one is broken.
";

/// Returns the whole page as Markdown.
pub(super) fn text(definitions: &[CustomResourceDefinition]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n| kind | short name | scope | meaning |\n|---|---|---|---|\n");
    for definition in definitions {
        let names = &definition.spec.names;
        let short = names.short_names.as_deref().unwrap_or_default().join(", ");
        let schema = schema(definition);
        let _ = writeln!(
            page,
            "| [{0}](#{1}) | {short} | {2} | {3} |",
            names.kind,
            names.kind.to_lowercase(),
            definition.spec.scope,
            description(&schema),
        );
    }
    for definition in definitions {
        let schema = schema(definition);
        let _ = write!(page, "\n## {}\n", definition.spec.names.kind);
        for part in ["spec", "status"] {
            let fields = &schema["properties"][part];
            if fields.is_object() {
                let head = "| field | type | allowed | meaning |\n|---|---|---|---|";
                let _ = write!(
                    page,
                    "\n### {} of {}\n\n{head}\n",
                    part, definition.spec.names.kind
                );
                push_fields(&mut page, part, fields);
            }
        }
    }
    page
}

fn schema(definition: &CustomResourceDefinition) -> Value {
    let newest = definition.spec.versions.last();
    let schema = newest.and_then(|version| version.schema.as_ref());
    let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::to_value(schema).unwrap_or_default()
}

/// Adds a row for each field below a schema, depth first, in the order of names.
fn push_fields(page: &mut String, path: &str, schema: &Value) {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
    let properties = schema["properties"].as_object();
    for (name, field) in properties.into_iter().flatten() {
        let path = format!("{path}.{name}");
        let mark = if is_required(name) { ", required" } else { "" };
        let _ = writeln!(
            page,
            "| `{path}` | {}{mark} | {} | {} |",
            type_of(field),
            allowed(field),
            description(field),
        );
        let (suffix, below) = below(field);
        push_fields(page, &format!("{path}{suffix}"), below);
    }
}

/// Returns the schema that has the fields below a field, and what its path gets more.
fn below(field: &Value) -> (&'static str, &Value) {
    if field["items"].is_object() {
        return ("[]", &field["items"]);
    }
    match &field["additionalProperties"] {
        values if values.is_object() => ("{}", values),
        _ => ("", field),
    }
}

fn type_of(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("map of {}", type_of(&field["additionalProperties"]))
        }
        Some("string") => field["format"].as_str().unwrap_or("string").to_owned(),
        Some(plain) => plain.to_owned(),
        None => "any".to_owned(),
    }
}

/// Returns the values that are allowed, as far as the field alone says.
fn allowed(field: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(values) = field["enum"].as_array() {
        let values = values.iter().map(|it| format!("`{}`", plain(it)));
        parts.push(values.collect::<Vec<_>>().join(", "));
    }
    for (least, most, of) in [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ] {
        match (bound(&field[least]), bound(&field[most])) {
            (Some(least), Some(most)) => parts.push(format!("{least} to {most}{of}")),
            (None, Some(most)) => parts.push(format!("at most {most}{of}")),
            (Some(least), None) => parts.push(format!("at least {least}{of}")),
            (None, None) => {}
        }
    }
    if let Some(pattern) = field["pattern"].as_str() {
        parts.push(format!("`{}`", cell(pattern)));
    }
    if !field["default"].is_null() {
        parts.push(format!("default `{}`", plain(&field["default"])));
    }
    parts.join("; ")
}

/// Returns a bound as a person writes it: schemas have whole numbers as floating point numbers.
fn bound(value: &Value) -> Option<String> {
    let number = value.as_f64()?;
    Some(format!("{number}"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn description(schema: &Value) -> String {
    cell(schema["description"].as_str().unwrap_or_default())
}

/// Returns a text that stays within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
