//! Software that a device says it runs, as registrations and reports have it.
//!
//! Decides only whether a list is well formed. Called by the readers of bodies.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{ReportedSoftware, SoftwarePart};
use serde_json::Value;

use super::{
    members::{Faults, Members, list, pointer},
    texts::{NAME, VERSION},
};

/// The most pieces of software of a device.
const MOST: usize = 32;

/// Reads a list of software; a part and name may be there once. `None` if it is no list.
pub(super) fn read(value: &Value, at: &str, faults: &mut Faults) -> Option<Vec<ReportedSoftware>> {
    let items = list(value, at, MOST, faults)?;
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = pointer(at, &index.to_string());
        let Some(members) = Members::of(item, &at, &["part", "name", "version"], faults) else {
            continue;
        };
        let parts = [
            ("firmware", SoftwarePart::Firmware),
            ("application", SoftwarePart::Application),
        ];
        let part = members.word("part", &parts, faults);
        let name = members.required("name", NAME, faults);
        let version = members.required("version", VERSION, faults);
        let (Some(part), Some(name), Some(version)) = (part, name, version) else {
            continue;
        };
        if !seen.insert((part, name)) {
            faults.note(&at, "its part and name are there twice", "each once");
        }
        all.push(ReportedSoftware {
            part,
            name: name.into(),
            version: version.into(),
        });
    }
    Some(all)
}
