//! The one place that knows which YAML library is used (see docs/adr/0004-yaml.md).
//!
//! YAML is converted through JSON values in both directions, so that enums and maps look as the API
//! server sees them.

use serde::{Serialize, de::DeserializeOwned};

/// Parse or conversion error of a YAML text, as serde reported it.
#[derive(Debug)]
pub struct YamlError(String);

impl std::fmt::Display for YamlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for YamlError {}

/// Reads a text of one document.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let value: serde_json::Value =
        serde_yaml::from_str(text).map_err(|error| YamlError(error.to_string()))?;
    serde_json::from_value(value).map_err(|error| YamlError(error.to_string()))
}

/// Reads every document of a stream that is not empty.
pub fn read_all<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, YamlError> {
    use serde::Deserialize as _;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            serde_json::Value::deserialize(document).map_err(|error| YamlError(error.to_string()))
        })
        .filter(|value| !matches!(value, Ok(serde_json::Value::Null)))
        .map(|value| serde_json::from_value(value?).map_err(|error| YamlError(error.to_string())))
        .collect()
}

/// Returns the first fault of the syntax of a text, in the library's own words with line and
/// column; `None` if its syntax is right. The words are never those of the text, which may be a secret.
pub fn syntax_fault(text: &str) -> Option<String> {
    use serde::de::{Deserialize as _, IgnoredAny};
    let mut documents = serde_yaml::Deserializer::from_str(text).map(IgnoredAny::deserialize);
    let fault = documents.find_map(Result::err);
    fault.map(|error| error.to_string())
}

/// Reads every document of a stream as a JSON value, as [`read_all`] does.
///
/// # Errors
/// They name line and column and quote nothing of the text: it may have a Secret in it.
pub fn values(text: &str) -> Result<Vec<serde_json::Value>, YamlError> {
    use serde::Deserialize as _;
    if let Some(fault) = syntax_fault(text) {
        return Err(YamlError(fault));
    }
    let mut values = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = serde_json::Value::deserialize(document).map_err(|error| {
            let place = error.location().map_or_else(String::new, |at| {
                format!(" at line {} column {}", at.line(), at.column())
            });
            YamlError(format!("a key or value has no counterpart in JSON{place}"))
        })?;
        if !value.is_null() {
            values.push(value);
        }
    }
    Ok(values)
}

/// Writes one document.
pub fn write<T: Serialize>(value: &T) -> Result<String, YamlError> {
    let value = serde_json::to_value(value).map_err(|error| YamlError(error.to_string()))?;
    let text = serde_yaml::to_string(&value).map_err(|error| YamlError(error.to_string()))?;
    let lines = text.lines().map(|line| quoted_time(line) + "\n");
    Ok(lines.collect::<Vec<_>>().concat())
}

/// Returns a line with its value in quotation marks if the value is an instant or a date: readers of
/// YAML 1.1, such as kustomize and with it Flux, make an instant of a plain one, and the API server
/// refuses that.
fn quoted_time(line: &str) -> String {
    let Some((key, value)) = line.rsplit_once(": ") else {
        return line.to_owned();
    };
    let is_instant = value.ends_with('Z') && value.parse::<jiff::Timestamp>().is_ok();
    // A number of eight digits is a date to ISO 8601 and none to YAML.
    let is_date = value.contains('-') && value.parse::<jiff::civil::Date>().is_ok();
    if is_instant || is_date {
        format!("{key}: \"{value}\"")
    } else {
        line.to_owned()
    }
}
