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
    if is_instant || value.parse::<jiff::civil::Date>().is_ok() {
        format!("{key}: \"{value}\"")
    } else {
        line.to_owned()
    }
}
