//! Resolve: the check by which a service counts as working (api section 3, `acceptance`).
//!
//! Decides where the setting is read and which value passes. It never makes anything that could be
//! written. Called by resolve for each revision.

use entente_crds::{
    condition::Reason,
    item_key::ItemKey,
    v1alpha1::{Acceptance, DeviceSetting, SmartService, StepType, ValueType},
};
use jiff::SignedDuration;

use crate::delivery::{
    Blocked, DeviceSnapshot, ResolvedItem, ResolvedStep, Wanted, digest,
    resolve::values::{RawValue, able_model, connections_of, typed},
};
use crate::{
    parameter::Constraints,
    protocol::{Place, carrier, obstacle},
    remote::Value,
};

/// Time in which the check may pass if the text of the service is no duration, which its status
/// reports.
const DEFAULT_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Returns the item that is checked; `None` if the service names no check. `settings` are those that
/// the service makes on the device.
pub(super) fn acceptance_item(
    snapshot: &DeviceSnapshot,
    service: &SmartService,
    settings: &[ResolvedItem],
) -> Result<Option<ResolvedItem>, Blocked> {
    let Some(acceptance) = &service.spec.acceptance else {
        return Ok(None);
    };
    let service_name = service.metadata.name.as_deref().unwrap_or_default();
    let field = format!("acceptance of the SmartService {service_name}");
    let (device, model) = able_model(snapshot, service)?;
    let model_name = &device.spec.model_ref.name;
    let name = &acceptance.setting;
    let mut known = model.spec.settings.iter();
    let setting = known.find(|setting| setting.name == *name).ok_or_else(|| {
        unsupported(format!(
            "{field} reads the setting {name}, which the DeviceModel {model_name} does not have: \
                 must be one of its settings"
        ))
    })?;
    if setting.write_only {
        let message = format!(
            "{field} reads the setting {name}, which is writeOnly in the DeviceModel {model_name}: \
             must be a setting that the device reports"
        );
        return Err(unsupported(message));
    }
    let connections = connections_of(snapshot, device);
    let (connection, place, _) = carrier(setting, &connections).ok_or_else(|| {
        let why = obstacle(setting, &connections);
        let why = why
            .as_deref()
            .unwrap_or("its DeviceModel says no way to it there");
        unsupported(format!(
            "{field} reads the setting {name}, which no connection of the Device can carry: {why}"
        ))
    })?;
    if let Some(written) = settings.iter().find(|item| is_at(item, &place)) {
        let message = format!(
            "{field} reads the setting {name}, which the DeviceModel {model_name} has at the same \
             place as {}: must be a setting that the service does not write",
            written.key
        );
        return Err(unsupported(message));
    }
    let value = passing_value(&field, acceptance, setting)?;
    Ok(Some(ResolvedItem {
        key: ItemKey::acceptance(name),
        digest: digest(&(&place, &value)),
        wanted: Wanted::Acceptance {
            connection: connection.into(),
            place,
            value,
            within: acceptance.within.length().unwrap_or(DEFAULT_WITHIN),
        },
        conflict: None,
        overridden: false,
    }))
}

fn is_at(item: &ResolvedItem, place: &Place) -> bool {
    matches!(&item.wanted, Wanted::DeviceSetting { place: written, .. } if written == place)
}

/// Returns the step that checks: it follows all others, and is never early.
pub(super) fn step_of(item: ResolvedItem) -> ResolvedStep {
    ResolvedStep {
        r#type: StepType::Acceptance,
        early: false,
        items: vec![item],
    }
}

/// Returns the value that passes, with the type of its setting.
fn passing_value(
    field: &str,
    acceptance: &Acceptance,
    setting: &DeviceSetting,
) -> Result<Value, Blocked> {
    // The value that passes is written in the catalogue, where everybody may read it.
    if setting.r#type == ValueType::Secret {
        let message = format!(
            "{field} reads the setting {}, which is of type Secret: must be of another type",
            setting.name
        );
        return Err(Blocked::new(Reason::UnsupportedValue, message));
    }
    let given = RawValue::Plain(acceptance.equals.clone());
    let constraints = Constraints::of_setting(setting);
    let value = typed(&setting.name, given, setting.r#type, &constraints);
    value.map_err(|fault| Blocked {
        message: format!("equals in {field} cannot be used: {}", fault.message),
        ..fault
    })
}

fn unsupported(message: String) -> Blocked {
    Blocked::new(Reason::UnsupportedByModel, message)
}
