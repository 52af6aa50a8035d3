//! The catalog of a broker (OSB "Catalog Management"), as far as the operator needs it.
//!
//! Decides which entries can be used, and names those that cannot; an odd one never costs the
//! others. Called by the driver.

use std::collections::BTreeSet;

use entente_domain::bounded::cut;
use entente_domain::remote::{Catalog, Offering, Plan};
use jiff::SignedDuration;
use serde_json::{Map, Value};

use crate::text::{Gate, PrivateTexts};

/// The largest number of characters of an id in the catalog that a status can hold. A name that is
/// longer cannot be wanted.
const MOST_ID: usize = 1_024;
/// The largest number of odd entries that are told.
const MOST_ODD: usize = 8;
/// The largest number of characters of the name of an odd entry that is told.
const MOST_NAME: usize = 64;

/// Returns the catalog; `None` if the answer has no list of offerings.
pub(super) fn read(body: &Map<String, Value>, private: PrivateTexts<'_>) -> Option<Catalog> {
    let services = body.get("services")?.as_array()?;
    let mut reader = Reader {
        gate: private.gate(),
        odd: Vec::new(),
        count: 0,
    };
    let offerings = reader.offerings(services);
    Some(Catalog {
        offerings,
        odd: reader.finish(),
    })
}

/// An entry of the catalog, with its place for people.
#[derive(Clone, Copy)]
struct Entry<'a> {
    kind: &'static str,
    /// Its number in its list, from one.
    number: usize,
    value: &'a Value,
    /// The offering of a plan.
    of: Option<&'a Entry<'a>>,
}

impl<'a> Entry<'a> {
    /// Returns the entry that is one of these values.
    fn all(
        kind: &'static str,
        values: &'a [Value],
        of: Option<&'a Self>,
    ) -> impl Iterator<Item = Self> {
        let numbered = values.iter().enumerate();
        numbered.map(move |(index, value)| Self {
            kind,
            number: index + 1,
            value,
            of,
        })
    }

    fn text(self, field: &str) -> Option<&'a str> {
        self.value
            .get(field)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    /// Returns the value of a field; `None` if it is missing or null.
    fn get(self, field: &str) -> Option<&'a Value> {
        self.value.get(field).filter(|value| !value.is_null())
    }

    /// Returns the id and the name.
    fn identity(self, known: &mut BTreeSet<&'a str>) -> Result<(String, String), &'static str> {
        let id = self.text("id").ok_or("has no id")?;
        let name = self.text("name").ok_or("has no name")?;
        let fits = |text: &str| text.chars().nth(MOST_ID).is_none();
        if !fits(id) {
            return Err("has an id of more than 1024 characters");
        }
        if !fits(name) {
            return Err("has a name of more than 1024 characters");
        }
        if !known.insert(id) {
            return Err("has the id of one before it");
        }
        Ok((id.to_owned(), name.to_owned()))
    }
}

/// The reader of one catalog.
struct Reader<'a> {
    gate: Gate<'a>,
    odd: Vec<String>,
    /// Number of odd entries, told or not.
    count: usize,
}

impl Reader<'_> {
    fn offerings(&mut self, values: &[Value]) -> Vec<Offering> {
        let mut known = BTreeSet::new();
        let mut known_plans = BTreeSet::new();
        let mut offerings = Vec::new();
        for entry in Entry::all("offering", values, None) {
            let (id, name) = match entry.identity(&mut known) {
                Ok(identity) => identity,
                Err(fault) => {
                    self.note(entry, fault);
                    continue;
                }
            };
            offerings.push(Offering {
                id,
                shown: self.shown(&name),
                name,
                instances_retrievable: self.flag(entry, "instances_retrievable") == Some(true),
                plans: self.plans(entry, &mut known_plans),
            });
        }
        offerings
    }

    /// Returns the plans of an offering. `elsewhere` has the ids of those of the offerings before it:
    /// an id must be unique in the world (OSB "Service Plan Object"), but the pair of both ids, which
    /// every request has, still names one plan.
    fn plans(&mut self, offering: Entry<'_>, elsewhere: &mut BTreeSet<String>) -> Vec<Plan> {
        let values = offering.get("plans").and_then(Value::as_array);
        let values = values.filter(|values| !values.is_empty());
        let Some(values) = values else {
            self.note(offering, "has no plans");
            return Vec::new();
        };
        let updateable = self.flag(offering, "plan_updateable") == Some(true);
        let mut known = BTreeSet::new();
        let mut plans = Vec::new();
        for entry in Entry::all("plan", values, Some(&offering)) {
            let (id, name) = match entry.identity(&mut known) {
                Ok(identity) => identity,
                Err(fault) => {
                    self.note(entry, fault);
                    continue;
                }
            };
            if elsewhere.contains(id.as_str()) {
                let id = cut(self.gate.quote(&id), MOST_NAME);
                self.note(
                    entry,
                    &format!("has the id \"{id}\" of a plan of another offering"),
                );
            }
            plans.push(Plan {
                id,
                shown: self.shown(&name),
                name,
                maximum_polling_duration: self.polling(entry),
                updateable: self.flag(entry, "plan_updateable").unwrap_or(updateable),
                maintenance_version: self.version(entry),
            });
        }
        elsewhere.extend(known.into_iter().map(str::to_owned));
        plans
    }

    /// Returns a name as it may be shown, if that is not the name itself.
    fn shown(&self, name: &str) -> Option<String> {
        let shown = self.gate.quote(name);
        (shown != name).then_some(shown)
    }

    /// Returns a flag; one that is neither true nor false is noted, and counts as missing.
    fn flag(&mut self, entry: Entry<'_>, field: &str) -> Option<bool> {
        let value = entry.get(field)?;
        if !value.is_boolean() {
            self.note(entry, &format!("has an unusable {field}"));
        }
        value.as_bool()
    }

    /// Returns the maximum polling duration: whole seconds, in whatever form of number.
    fn polling(&mut self, entry: Entry<'_>) -> Option<SignedDuration> {
        let field = "maximum_polling_duration";
        let seconds = entry.get(field)?.as_f64().unwrap_or_default();
        let is_usable = seconds.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&seconds);
        let duration = SignedDuration::try_from_secs_f64(seconds).ok();
        let duration = duration.filter(|_| is_usable);
        if duration.is_none() {
            self.note(entry, &format!("has an unusable {field}"));
        }
        duration
    }

    /// Returns the version of a plan (OSB `maintenance_info.version`).
    fn version(&mut self, entry: Entry<'_>) -> Option<String> {
        let version = entry.get("maintenance_info")?.get("version");
        let version = version.and_then(Value::as_str).map(str::to_owned);
        if version.is_none() {
            self.note(entry, "has an unusable maintenance_info");
        }
        version
    }

    fn note(&mut self, entry: Entry<'_>, fault: &str) {
        self.count += 1;
        if self.odd.len() < MOST_ODD {
            let place = self.place(entry);
            self.odd.push(format!("{place} {fault}"));
        }
    }

    /// Returns the name of an entry for people: its own, else its id, else its number.
    fn place(&self, entry: Entry<'_>) -> String {
        let kind = entry.kind;
        let named = entry.text("name").or_else(|| entry.text("id"));
        let place = match named {
            Some(name) => {
                let name = cut(self.gate.quote(name), MOST_NAME);
                format!("the {kind} \"{name}\"")
            }
            None => format!("the {kind} number {}", entry.number),
        };
        match entry.of {
            Some(offering) => format!("{place} of {}", self.place(*offering)),
            None => place,
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.count > MOST_ODD {
            self.odd.truncate(MOST_ODD - 1);
            let more = self.count - self.odd.len();
            self.odd.push(format!("{more} more"));
        }
        self.odd
    }
}

#[cfg(test)]
mod tests;
