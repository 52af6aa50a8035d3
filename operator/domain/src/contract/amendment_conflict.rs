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
    let field = younger.iter().find_map(|change| {
        let other = older.iter().find(|other| other.name == change.name)?;
        let field = common_field(other, change)?;
        Some(format!("services[{}].{field}", change.name))
    })?;
    Some(Fault {
        reason: Reason::AmendmentsConflict,
        message: format!(
            "spec.{field} is changed at the same instant by ContractAmendment {older_name}, which \
             is older, or of the same second and first by name: delete one of the two or give it \
             another date"
        ),
    })
}

/// Returns a field of an entry that both change.
fn common_field(one: &AmendedService, other: &AmendedService) -> Option<String> {
    for (field, is_whole) in [
        ("end", one.end || other.end),
        (
            "serviceRef",
            one.service_ref.is_some() || other.service_ref.is_some(),
        ),
    ] {
        // The entry ends, or becomes another one: nothing else can be said of it.
        if is_whole {
            return Some(field.to_owned());
        }
    }
    let (one, other) = (fields(one), fields(other));
    one.intersection(&other).next().cloned()
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
