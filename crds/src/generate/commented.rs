//! Writes an object as YAML with the descriptions of its schema as comments.
//!
//! It decides layout, quoting and the place of each comment. Any reader of YAML 1.1 or 1.2 must
//! read the same value (tests compare), so every text that could be read as something else is
//! quoted. Called by `generate` for the examples.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kube::CustomResourceExt;
use serde::Serialize;
use serde_json::Value as Schema;
use serde_yaml::{Mapping, Value};

/// The width of a line with a comment.
const WIDTH: usize = 100;

/// The fields that were already explained, by kind and path.
pub(super) type Explained = BTreeSet<String>;

/// Returns one object as a YAML document.
pub(super) fn document<K: Serialize + CustomResourceExt>(
    object: &K,
    explained: &mut Explained,
) -> String {
    let crd = serde_json::to_value(K::crd()).expect("a CRD is plain data");
    let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    let kind = K::api_resource().kind;
    // Not through JSON: the fields keep the order in which the types document them.
    let value = serde_yaml::to_value(object).expect("an example is plain data");
    let mut writer = Writer {
        text: String::new(),
        explained,
    };
    if writer.explained.insert(kind.clone()) {
        push_comment(
            &mut writer.text,
            0,
            schema["description"].as_str().unwrap_or_default(),
        );
    }
    if let Value::Mapping(fields) = &value {
        writer.fields(0, "", fields, &schema, &kind);
    }
    writer.text
}

/// Appends a comment, broken into lines.
pub(super) fn push_comment(text: &mut String, indent: usize, comment: &str) {
    let mut line = String::new();
    for word in comment.split_whitespace() {
        if !line.is_empty() && indent + 2 + line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{:indent$}# {line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "{:indent$}# {line}", "");
    }
}

struct Writer<'e> {
    text: String,
    explained: &'e mut Explained,
}

impl Writer<'_> {
    /// Writes the fields of one mapping. `first` is written before the first of them: the dash of a
    /// list item.
    fn fields(&mut self, indent: usize, first: &str, of: &Mapping, schema: &Schema, path: &str) {
        let mut entries: Vec<(&str, &Value)> = of
            .iter()
            .filter_map(|(key, value)| Some((key.as_str()?, value)))
            .collect();
        if path.ends_with(".metadata") {
            entries.sort_by_key(|(key, _)| *key == "labels");
        }
        let mut lead = first;
        for (key, value) in entries {
            let path = format!("{path}.{key}");
            let own = &schema["properties"][key];
            let own = if own.is_null() {
                &schema["additionalProperties"]
            } else {
                own
            };
            // The description of the spec as a whole is at the head of the document.
            if key != "spec" && self.explained.insert(path.clone()) {
                let comment = explanation(own);
                push_comment(&mut self.text, indent - lead.len(), &comment);
            }
            let margin = indent - lead.len();
            let _ = write!(self.text, "{:margin$}{lead}{}:", "", scalar(key));
            lead = "";
            self.value(indent, value, own, &path);
        }
    }

    /// Writes the value after a key's colon.
    fn value(&mut self, indent: usize, value: &Value, schema: &Schema, path: &str) {
        match value {
            Value::Mapping(fields) if fields.is_empty() => self.text.push_str(" {}\n"),
            Value::Mapping(fields) => {
                self.text.push('\n');
                self.fields(indent + 2, "", fields, schema, path);
            }
            Value::Sequence(items) if items.is_empty() => self.text.push_str(" []\n"),
            Value::Sequence(items) if items.iter().all(is_scalar) => {
                let items: Vec<String> = items.iter().map(scalar_value).collect();
                let _ = writeln!(self.text, " [{}]", items.join(", "));
            }
            Value::Sequence(items) => {
                self.text.push('\n');
                for item in items {
                    if let Value::Mapping(fields) = item {
                        self.fields(indent + 4, "- ", fields, &schema["items"], path);
                    }
                }
            }
            other => {
                let _ = writeln!(self.text, " {}", scalar_value(other));
            }
        }
    }
}

/// Returns the description of a field, its allowed values and its default.
fn explanation(schema: &Schema) -> String {
    let mut text = schema["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let words: Vec<&str> = schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Schema::as_str)
        .collect();
    if words.len() > 1 && !words.iter().all(|word| text.contains(word)) {
        let _ = write!(text, " One of {}.", words.join(", "));
    }
    if let Some(default) = schema["default"]
        .as_str()
        .filter(|_| !text.contains("Default: "))
    {
        let _ = write!(text, " Default: {default}.");
    }
    text
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Mapping(_) | Value::Sequence(_))
}

fn scalar_value(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        _ => "null".to_owned(),
    }
}

/// Returns a text as YAML: quoted unless every reader takes it for a text.
fn scalar(text: &str) -> String {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " ./_-".contains(c))
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
