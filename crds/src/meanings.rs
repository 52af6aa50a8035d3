//! The meaning of each value of a field with a fixed list of values, for `kubectl explain`.
//!
//! The schema of a CRD has room for the values alone, so their meanings, which the types say, are
//! added to the description of the field. Called by `manifest`; decides nothing else.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use schemars::{JsonSchema, schema_for};
use serde_json::Value;

/// Adds the meanings to each field below the schema of a type's spec that does not name its values by
/// itself.
pub(crate) fn tell<T: JsonSchema>(spec: &mut JSONSchemaProps) {
    let root = schema_for!(T).to_value();
    below(&root, &root, spec);
}

fn below(root: &Value, of: &Value, schema: &mut JSONSchemaProps) {
    let of = resolved(root, of);
    for (name, field) in schema.properties.iter_mut().flatten() {
        let its = &resolved(root, of)["properties"][name.as_str()];
        at(root, its, field);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &mut schema.items {
        at(root, &of["items"], item);
    }
}

fn at(root: &Value, of: &Value, schema: &mut JSONSchemaProps) {
    if schema.enum_.is_some() {
        let meanings = meanings(resolved(root, of));
        let description = schema.description.get_or_insert_default();
        let says = |(value, _): &(String, String)| names(description, value);
        if !meanings.is_empty() && !meanings.iter().all(says) {
            for (value, meaning) in meanings {
                description.extend([" ", &value, ": ", &meaning]);
            }
        }
    }
    below(root, of, schema);
}

/// True if a text has a value as a word.
fn names(text: &str, value: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric())
        .any(|word| word == value)
}

/// Returns each value with its meaning, where the type says it.
fn meanings(of: &Value) -> Vec<(String, String)> {
    let values = of["oneOf"].as_array().into_iter().flatten();
    let one = |value: &Value| {
        let name = value["const"]
            .as_str()
            .or_else(|| value["enum"][0].as_str())?;
        let meaning = value["description"].as_str()?;
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((name.to_owned(), meaning))
    };
    values.filter_map(one).collect()
}

/// Follows references, also where a value may be absent.
fn resolved<'a>(root: &'a Value, of: &'a Value) -> &'a Value {
    let inner = ["anyOf", "allOf"].iter().find_map(|key| {
        let mut parts = of[*key].as_array()?.iter();
        parts.find(|part| part["type"] != "null")
    });
    let reference = of["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    match (reference.and_then(|it| root.pointer(it)), inner) {
        (Some(target), _) => resolved(root, target),
        (None, Some(inner)) => resolved(root, inner),
        (None, None) => of,
    }
}
