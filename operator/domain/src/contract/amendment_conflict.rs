//! Two amendments of one instant that change the same (api section "ContractAmendment").
//!
//! Decides only whether they may stand together; the younger one is refused. Called by `timeline`.

use std::collections::BTreeSet;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{AmendedService, ContractAmendment};

use super::Fault;

/// Returns the fault of the younger one of two amendments of one instant.
pub(super) fn conflict(older: &ContractAmendment, younger: &ContractAmendment) -> Option<Fault> {
    let older_name = older.metadata.name.as_deref().unwrap_or_default();
    let (older, younger) = (&older.spec.services, &younger.spec.services);
    let conflict = younger.iter().find_map(|change| {
        let other = older.iter().find(|other| other.name == change.name)?;
        Some((change.name.as_str(), common_field(other, change)?))
    })?;
    let (entry, conflict) = conflict;
    let older = format!(
        "ContractAmendment {older_name}, which is older, or of the same second and first by name"
    );
    let what = match conflict {
        Conflict::Same(field) => {
            format!("spec.services[{entry}].{field} is changed at the same instant by {older}")
        }
        Conflict::Whole(field) => format!(
            "spec.services[{entry}].{field} is set, and that entry is changed at the same instant \
             by {older}"
        ),
        Conflict::WholeBefore(what) => format!(
            "spec.services[{entry}] is changed, and that entry {what} at the same instant by {older}"
        ),
    };
    Some(Fault {
        reason: Reason::AmendmentsConflict,
        message: format!("{what}: delete one of the two or give it another date"),
    })
}

/// The part of an entry that both change.
enum Conflict {
    /// Both set this field.
    Same(String),
    /// The younger one sets a field that stands for the whole entry.
    Whole(&'static str),
    /// The older one does so, and this is what becomes of the entry.
    WholeBefore(&'static str),
}

/// Returns the part of an entry that both change, if they cannot stand together.
fn common_field(older: &AmendedService, younger: &AmendedService) -> Option<Conflict> {
    // The entry ends, or becomes another one: nothing else can be said of it.
    let whole = [
        (older.end, younger.end, "end", "ends"),
        (
            older.service_ref.is_some(),
            younger.service_ref.is_some(),
            "serviceRef",
            "gets another service",
        ),
    ];
    for (before, after, field, what) in whole {
        match (before, after) {
            (true, true) => return Some(Conflict::Same(field.to_owned())),
            (false, true) => return Some(Conflict::Whole(field)),
            (true, false) => return Some(Conflict::WholeBefore(what)),
            (false, false) => {}
        }
    }
    // All names are replaced, so that the order would decide whether a device has the service.
    if replaces_names(older) && names_some(younger) || names_some(older) && replaces_names(younger)
    {
        return Some(Conflict::Same("devices".to_owned()));
    }
    let (one, other) = (fields(older), fields(younger));
    one.intersection(&other).next().cloned().map(Conflict::Same)
}

fn replaces_names(change: &AmendedService) -> bool {
    let devices = change.devices.as_ref();
    devices.is_some_and(|devices| !devices.names.is_empty())
}

fn names_some(change: &AmendedService) -> bool {
    let devices = change.devices.as_ref();
    devices.is_some_and(|devices| !devices.add.is_empty() || !devices.remove.is_empty())
}

/// Returns the fields that a change sets; of what is merged by key, each key.
fn fields(change: &AmendedService) -> BTreeSet<String> {
    let AmendedService {
        name: _,
        service_ref: _,
        devices,
        parameters,
        unset,
        overrides,
        secret_parameters,
        fee,
        service_level,
        remedies,
        elect,
        end: _,
    } = change;
    let secrets = secret_parameters.iter().map(|secret| &secret.name);
    let names = parameters.keys().chain(unset).chain(secrets);
    let mut fields: BTreeSet<String> = names.map(|name| format!("parameters.{name}")).collect();
    fields.extend(overrides.iter().map(|it| format!("overrides[{}]", it.name)));
    let whole = [
        ("fee", fee.is_some()),
        ("serviceLevel", service_level.is_some()),
        ("remedies", !remedies.is_empty() || elect.is_some()),
    ];
    fields.extend(
        whole
            .into_iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(field, _)| field.to_owned()),
    );
    if let Some(devices) = devices {
        let each = devices.add.iter().chain(&devices.remove);
        fields.extend(each.map(|device| format!("devices[{device}]")));
        let whole = [
            ("selector", devices.selector.is_some()),
            ("names", !devices.names.is_empty()),
            ("expect", devices.expect.is_some()),
        ];
        let whole = whole.into_iter().filter(|(_, is_set)| *is_set);
        fields.extend(whole.map(|(field, _)| format!("devices.{field}")));
    }
    fields
}
