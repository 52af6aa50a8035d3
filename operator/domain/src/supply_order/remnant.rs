//! A SupplyOrder that cannot be read, such as one that a newer operator wrote: the parts of it that can be, so
//! that nothing is ordered a second time.
//!
//! Never takes such an order for closed unless it says so. Called by delivery.

use serde_json::Value;

use crate::errors::{KnownLine, KnownOrder};

/// Returns the device of an order that cannot be read: that of its record, else that of its name, which begins
/// with it if the order is for an error.
pub fn device_of<'a>(name: &'a str, spec: &'a Value) -> Option<&'a str> {
    let device = spec["record"]["device"]["name"].as_str();
    device.or_else(|| name.split('.').next())
}

/// Returns the parts of an order that cannot be read which can be. It has lines only if all of them can be read.
pub fn unreadable(name: &str, spec: &Value, status: &Value) -> KnownOrder {
    let lines = spec["record"]["lines"].as_array();
    let lines: Option<Vec<KnownLine>> = lines.and_then(|lines| lines.iter().map(line).collect());
    let id = status["order"]["id"].as_str();
    KnownOrder {
        name: name.to_owned(),
        lines: lines.unwrap_or_default(),
        id: id.map(str::to_owned),
        created: None,
        is_open: status["closed"].is_null(),
        is_void: matches!(
            status["closed"]["by"].as_str(),
            Some("Cancelled" | "Rejected")
        ),
        is_unreadable: true,
    }
}

fn line(line: &Value) -> Option<KnownLine> {
    let supply = &line["supply"];
    let supply = match supply {
        Value::Null => None,
        supply => Some(supply.as_str()?.to_owned()),
    };
    Some(KnownLine {
        supply,
        part_number: line["partNumber"].as_str()?.to_owned(),
    })
}
