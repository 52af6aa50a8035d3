//! The values that a service wants, from parameters, device and contract (B4, B5).
//!
//! Called by resolve for the device side and by `resolve_server` for the server side.

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        ContractFact, DeviceFact, DeviceSetting, Revision, ServiceSubscription, SmartService,
        ValueSource, WantedSetting, When,
    },
};

use super::{
    World,
    digest::digest,
    resolved::{Blocked, ResolvedItem, Wanted},
};
use crate::parameter::{Constraints, parse_value};

/// Where values come from.
pub(super) struct Values<'a> {
    world: &'a World,
    subscription: &'a ServiceSubscription,
    revision: &'a Revision,
}

impl<'a> Values<'a> {
    pub(super) fn new(
        world: &'a World,
        subscription: &'a ServiceSubscription,
        revision: &'a Revision,
    ) -> Self {
        Self {
            world,
            subscription,
            revision,
        }
    }

    /// The text of a value; `None` where the setting is not controlled.
    pub(super) fn of(
        &self,
        name: &str,
        value: Option<&String>,
        source: Option<&ValueSource>,
        when: Option<&When>,
        otherwise: Option<&String>,
    ) -> Result<Option<String>, Blocked> {
        if let Some(when) = when
            && !self.holds(when)
        {
            return Ok(otherwise.cloned());
        }
        match (value, source) {
            (Some(value), _) => Ok(Some(value.clone())),
            (None, Some(source)) => self.of_source(name, source).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn holds(&self, when: &When) -> bool {
        self.revision
            .parameters
            .get(&when.parameter)
            .is_some_and(|value| when.r#in.contains(value))
    }

    fn of_source(&self, name: &str, source: &ValueSource) -> Result<String, Blocked> {
        if let Some(parameter) = &source.parameter {
            let value = self.revision.parameters.get(parameter).ok_or_else(|| {
                Blocked::new(
                    Reason::UnsupportedValue,
                    format!(
                        "{name} takes its value from the parameter {parameter}, which has none; \
                         set it in the contract"
                    ),
                )
            })?;
            let mapped = source.map.iter().find(|mapping| mapping.from == *value);
            return Ok(mapped.map_or_else(|| value.clone(), |mapping| mapping.to.clone()));
        }
        let device = self.world.device.as_ref();
        let fact = match (source.device, source.contract) {
            (Some(DeviceFact::Name), _) => Some(self.world.device_name.clone()),
            (Some(DeviceFact::SerialNumber), _) => {
                device.map(|device| device.spec.serial_number.clone())
            }
            (Some(DeviceFact::Model), _) => device.map(|device| device.spec.model_ref.name.clone()),
            (Some(DeviceFact::TimeZone), _) => device.map(|device| {
                device
                    .spec
                    .time_zone
                    .clone()
                    .unwrap_or_else(|| self.subscription.spec.time_zone.clone())
            }),
            (None, Some(ContractFact::Name)) => Some(self.subscription.spec.contract.name.clone()),
            (None, Some(ContractFact::CustomerID)) => {
                Some(self.subscription.spec.customer.id.clone())
            }
            (None, None) => None,
        };
        fact.ok_or_else(|| {
            Blocked::new(
                Reason::DeviceNotFound,
                format!(
                    "the Device {} does not exist; create it",
                    self.world.device_name
                ),
            )
        })
    }
}

/// The items of the step DeviceSettings.
pub(super) fn device_items(
    world: &World,
    service: &SmartService,
    values: &Values<'_>,
) -> Result<Vec<ResolvedItem>, Blocked> {
    let Some(side) = &service.spec.device else {
        return Ok(Vec::new());
    };
    let device = world.device.as_ref().ok_or_else(|| {
        Blocked::new(
            Reason::DeviceNotFound,
            format!("the Device {} does not exist; create it", world.device_name),
        )
    })?;
    let model_name = &device.spec.model_ref.name;
    if !side.models.is_empty() && !side.models.iter().any(|model| model.name == *model_name) {
        return Err(unsupported_by_model(service, model_name));
    }
    let model = world.model.as_ref().ok_or_else(|| {
        Blocked::new(
            Reason::ModelNotFound,
            format!("the DeviceModel {model_name} does not exist; create it"),
        )
    })?;
    side.settings
        .iter()
        .filter_map(|wanted| {
            let setting = model
                .spec
                .settings
                .iter()
                .find(|setting| setting.name == wanted.name);
            let Some(setting) = setting else {
                return Some(Err(unsupported_by_model(service, model_name)));
            };
            device_item(wanted, setting, values).transpose()
        })
        .collect()
}

fn device_item(
    wanted: &WantedSetting,
    setting: &DeviceSetting,
    values: &Values<'_>,
) -> Result<Option<ResolvedItem>, Blocked> {
    let key = format!("DeviceSetting/{}", wanted.name);
    let text = values.of(
        &key,
        wanted.value.as_ref(),
        wanted.value_from.as_ref(),
        wanted.when.as_ref(),
        wanted.otherwise.as_ref(),
    )?;
    let Some(text) = text else { return Ok(None) };
    let via = setting.via.ipp.as_ref().ok_or_else(|| {
        Blocked::new(
            Reason::UnsupportedByModel,
            format!("the DeviceModel says no way to set {} by IPP", wanted.name),
        )
    })?;
    let value = parse_value(
        &wanted.name,
        &text,
        setting.r#type,
        &Constraints::of_setting(setting),
    )
    .map_err(|error| Blocked::new(Reason::UnsupportedValue, error.to_string()))?;
    Ok(Some(ResolvedItem {
        digest: digest(&(&via.attribute, via.syntax, via.operation, &value)),
        key,
        wanted: Wanted::DeviceSetting {
            attribute: via.attribute.clone(),
            syntax: via.syntax,
            operation: via.operation,
            takes_effect: setting.takes_effect,
            value,
        },
        conflict: None,
    }))
}

fn unsupported_by_model(service: &SmartService, model: &str) -> Blocked {
    Blocked::new(
        Reason::UnsupportedByModel,
        format!(
            "the model {model} cannot do the service {}: its DeviceModel lacks what the service \
             needs",
            service.metadata.name.as_deref().unwrap_or_default()
        ),
    )
}
