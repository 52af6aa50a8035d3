//! Values that the device measures: the levels of its supplies, which fall, and its page counter.
//!
//! Decides the values in the data of an event. A reference device prints nothing, so that each look at a
//! value is also a little use of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Names of the supplies of a device, in the order of its part numbers.
const NAMES: [&str; 4] = ["black-toner", "cyan-toner", "magenta-toner", "yellow-toner"];
/// The most supplies of a device.
const MOST: usize = 16;
/// Level of a new supply, in percent.
const FULL: u8 = 100;
/// Pages between two looks at the counter.
const PAGES: u64 = 25;

/// Values of a device.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Measures {
    /// Supplies.
    pub supplies: Vec<Supply>,
    /// Pages that were ever printed.
    pub pages: u64,
}

/// A supply of a device.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Supply {
    /// Name, which is the subject of its events.
    pub name: String,
    /// Part number, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_number: Option<String>,
    /// Level in percent.
    pub level: u8,
}

impl Measures {
    /// Returns the values of a device that was just unpacked. `parts` are part numbers of its supplies.
    pub fn new(parts: &[String]) -> Self {
        let named = |(name, part): (&&str, Option<&String>)| Supply {
            name: (*name).to_owned(),
            part_number: part.cloned(),
            level: FULL,
        };
        let parts: Vec<Option<&String>> = parts.iter().map(Some).collect();
        let parts = if parts.is_empty() { vec![None] } else { parts };
        Self {
            supplies: NAMES.iter().zip(parts).map(named).collect(),
            pages: 0,
        }
    }

    /// Returns the level of a supply; none if there is no such one.
    pub fn level(&self, name: &str) -> Option<u8> {
        let mut supplies = self.supplies.iter();
        supplies.find(|it| it.name == name).map(|it| it.level)
    }

    /// Sets the level of a supply, which is added if the device has room for it.
    pub fn set(&mut self, name: &str, level: u8) {
        if let Some(supply) = self.supplies.iter_mut().find(|it| it.name == name) {
            supply.level = level;
        } else if self.supplies.len() < MOST {
            self.supplies.push(Supply {
                name: name.to_owned(),
                part_number: None,
                level,
            });
        }
    }

    /// Lets a supply fall by so many percent, down to nothing.
    pub fn consume(&mut self, name: &str, percent: u8) {
        let level = self.level(name).unwrap_or(FULL);
        self.set(name, level.saturating_sub(percent));
    }

    /// Returns the data of the level of a supply. `cause` is the occurrence; none if it is the period.
    pub fn supply(&self, name: &str, cause: Option<&str>) -> Value {
        let supply = self.supplies.iter().find(|it| it.name == name);
        let mut data = json!({"level": supply.map_or(FULL, |it| it.level), "unit": "Percent"});
        if let Some(part) = supply.and_then(|it| it.part_number.as_ref()) {
            data["partNumber"] = json!(part);
        }
        if let Some(cause) = cause {
            data["cause"] = json!(cause);
        }
        data
    }

    /// Returns the data of the page counter, after some more pages.
    pub fn counter(&mut self) -> Value {
        self.pages = self.pages.saturating_add(PAGES);
        json!({"impressions": self.pages})
    }
}
