//! The values that a service wants, from parameters, device and contract (B4, B5).
//!
//! Called by resolve for the device side and by `resolve_server` for the server side.

use entente_crds::{
    condition::Reason,
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{
        ConnectionSpec, ContractFact, Device, DeviceFact, DeviceModel, DeviceSetting, Revision,
        SecretKeyReference, ServiceSubscription, SmartService, ValueSource, ValueType,
        WantedSetting, When,
    },
};
use kube::ResourceExt as _;

use crate::delivery::{Blocked, DeviceSnapshot, ResolvedItem, Wanted, digest};
use crate::{
    parameter::{Constraints, parse_value, secret_value},
    protocol::{Manner, Place, carrier, obstacle},
    remote::Value,
    secret::SecretText,
    time::zone,
    unreadable::Referent,
};

/// Value that a service wants, before it gets its type.
#[derive(Clone, Debug)]
pub(in crate::delivery) enum RawValue {
    /// A text that everybody may read.
    Plain(String),
    /// Value of a Secret.
    Secret(SecretText),
}

/// Sources of values.
pub(in crate::delivery) struct Values<'a> {
    snapshot: &'a DeviceSnapshot,
    subscription: &'a ServiceSubscription,
    revision: &'a Revision,
}

impl<'a> Values<'a> {
    pub(in crate::delivery) fn new(
        snapshot: &'a DeviceSnapshot,
        subscription: &'a ServiceSubscription,
        revision: &'a Revision,
    ) -> Self {
        Self {
            snapshot,
            subscription,
            revision,
        }
    }

    /// Returns the wanted value; `None` if the setting is not controlled.
    pub(in crate::delivery) fn value(
        &self,
        name: &str,
        value: Option<&String>,
        source: Option<&ValueSource>,
        when: Option<&When>,
        otherwise: Option<&String>,
    ) -> Result<Option<RawValue>, Blocked> {
        if let Some(when) = when
            && !self.holds(when)
        {
            return Ok(otherwise.cloned().map(RawValue::Plain));
        }
        match (value, source) {
            (Some(value), _) => Ok(Some(RawValue::Plain(value.clone()))),
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

    fn of_parameter(
        &self,
        name: &str,
        parameter: &str,
        source: &ValueSource,
    ) -> Result<RawValue, Blocked> {
        let mut secrets = self.revision.secret_parameters.iter();
        if let Some(secret) = secrets.find(|secret| secret.name == parameter) {
            return self.of_secret(&secret.secret_key_ref).map(RawValue::Secret);
        }
        let value = self.revision.parameters.get(parameter).ok_or_else(|| {
            Blocked::new(
                Reason::UnsupportedValue,
                format!(
                    "{name} takes its value from the parameter {parameter}, which has none; set \
                     it in the contract"
                ),
            )
        })?;
        let mapped = source.map.iter().find(|mapping| mapping.from == *value);
        Ok(RawValue::Plain(mapped.map_or_else(
            || value.clone(),
            |mapping| mapping.to.clone(),
        )))
    }

    fn of_secret(&self, reference: &SecretKeyReference) -> Result<SecretText, Blocked> {
        match self.snapshot.secrets.0.get(reference) {
            Some(Ok(text)) => Ok(text.clone()),
            Some(Err((reason, message))) => Err(Blocked::new(*reason, message.clone())),
            None => Err(Blocked::new(
                Reason::SecretNotFound,
                format!("the Secret {} was not read yet", reference.name),
            )),
        }
    }

    /// Returns the zone of a device, which is that of its contract if it has none of its own.
    fn zone_of(&self, device: &Device) -> Result<String, Blocked> {
        let Some(own) = &device.spec.time_zone else {
            return Ok(self.subscription.spec.time_zone.clone());
        };
        zone(own).map_err(|fault| {
            let message = format!("spec.timeZone of the Device {}: {fault}", device.name_any());
            Blocked::new(Reason::UnknownZone, message)
        })?;
        Ok(own.clone())
    }

    fn of_source(&self, name: &str, source: &ValueSource) -> Result<RawValue, Blocked> {
        if let Some(parameter) = &source.parameter {
            return self.of_parameter(name, parameter, source);
        }
        let device = self.snapshot.device.as_ref();
        let fact = match (source.device, source.contract) {
            (Some(DeviceFact::Name), _) => Some(self.snapshot.device_name.clone()),
            (Some(DeviceFact::SerialNumber), _) => {
                device.map(|device| device.spec.serial_number.clone())
            }
            (Some(DeviceFact::Model), _) => device.map(|device| device.spec.model_ref.name.clone()),
            (Some(DeviceFact::TimeZone), _) => device.map(|it| self.zone_of(it)).transpose()?,
            (None, Some(ContractFact::Name)) => Some(self.subscription.spec.contract.name.clone()),
            (None, Some(ContractFact::CustomerID)) => {
                Some(self.subscription.spec.customer.id.clone())
            }
            (None, None) => None,
        };
        fact.map(RawValue::Plain)
            .ok_or_else(|| self.snapshot.device_not_at_hand())
    }
}

/// Returns the items of the step DeviceSettings.
pub(in crate::delivery) fn device_items(
    snapshot: &DeviceSnapshot,
    service: &SmartService,
    values: &Values<'_>,
) -> Result<Vec<ResolvedItem>, Blocked> {
    let Some(side) = &service.spec.device else {
        return Ok(Vec::new());
    };
    let (device, model) = able_model(snapshot, service)?;
    let model_name = &device.spec.model_ref.name;
    let service_name = service.metadata.name.as_deref().unwrap_or_default();
    let connections = connections_of(snapshot, device);
    side.settings
        .iter()
        .filter_map(|wanted| {
            let setting = model
                .spec
                .settings
                .iter()
                .find(|setting| setting.name == wanted.name);
            let Some(setting) = setting else {
                return Some(Err(Blocked::new(
                    Reason::UnsupportedByModel,
                    format!(
                        "DeviceModel {model_name} has no setting {}, which SmartService \
                         {service_name} configures",
                        wanted.name
                    ),
                )));
            };
            device_item(wanted, setting, &connections, values).transpose()
        })
        .collect()
}

/// Returns the device and its model, which has to be one that the service allows.
pub(in crate::delivery) fn able_model<'a>(
    snapshot: &'a DeviceSnapshot,
    service: &SmartService,
) -> Result<(&'a Device, &'a DeviceModel), Blocked> {
    let device = snapshot.device.as_deref();
    let device = device.ok_or_else(|| snapshot.device_not_at_hand())?;
    let model_name = &device.spec.model_ref.name;
    let service_name = service.metadata.name.as_deref().unwrap_or_default();
    let side = service.spec.device.as_ref();
    let models = side.map_or(&[][..], |side| &side.models);
    if !models.is_empty() && !models.iter().any(|model| model.name == *model_name) {
        return Err(Blocked::new(
            Reason::UnsupportedByModel,
            format!(
                "DeviceModel {model_name} is not among device.models of SmartService \
                 {service_name}"
            ),
        ));
    }
    let model = snapshot.model.as_deref();
    let model = model.ok_or_else(|| snapshot.not_at_hand(Referent::DeviceModel, model_name))?;
    Ok((device, model))
}

/// Returns the Connections of a device that exist, in the order of its spec.
pub(in crate::delivery) fn connections_of<'a>(
    snapshot: &'a DeviceSnapshot,
    device: &'a Device,
) -> Vec<(&'a str, &'a ConnectionSpec)> {
    let chosen = device.spec.connections.iter();
    let found = chosen.filter_map(|chosen| {
        let found = snapshot.connections.get(chosen.name.as_str())?;
        Some((chosen.name.as_str(), &found.spec))
    });
    found.collect()
}

fn device_item(
    wanted: &WantedSetting,
    setting: &DeviceSetting,
    connections: &[(&str, &ConnectionSpec)],
    values: &Values<'_>,
) -> Result<Option<ResolvedItem>, Blocked> {
    let key = ItemKey::device_setting(&wanted.name);
    let given = values.value(
        key.as_str(),
        wanted.value.as_ref(),
        wanted.value_from.as_ref(),
        wanted.when.as_ref(),
        wanted.otherwise.as_ref(),
    )?;
    let Some(given) = given else { return Ok(None) };
    let (connection, place, manner) = carrier(setting, connections).ok_or_else(|| {
        let why = obstacle(setting, connections);
        Blocked::new(
            Reason::UnsupportedByModel,
            format!(
                "no connection of the Device can carry {}: {}",
                wanted.name,
                why.as_deref()
                    .unwrap_or("its DeviceModel says no way to set it there")
            ),
        )
    })?;
    let value = typed(
        &wanted.name,
        given,
        setting.r#type,
        &Constraints::of_setting(setting),
    )?;
    Ok(Some(ResolvedItem {
        digest: setting_digest(&place, manner, &value),
        key,
        wanted: Wanted::DeviceSetting {
            connection: connection.into(),
            place,
            manner,
            takes_effect: setting.takes_effect,
            write_only: setting.write_only,
            value,
        },
        conflict: None,
        overridden: false,
    }))
}

/// Returns the digest of a value at a place of the device, by which it is known again.
pub(in crate::delivery) fn setting_digest(place: &Place, manner: Manner, value: &Value) -> Digest {
    digest(&(place, manner, value))
}

/// Returns the wanted value with its type. A secret goes into a setting of type Secret only: any
/// other could be read by everybody, and would be shown.
pub(in crate::delivery) fn typed(
    name: &str,
    given: RawValue,
    r#type: ValueType,
    constraints: &Constraints<'_>,
) -> Result<Value, Blocked> {
    let value = match (given, r#type) {
        (RawValue::Secret(text), ValueType::Secret) => secret_value(name, text, constraints),
        (RawValue::Plain(text), ValueType::Secret) => {
            secret_value(name, SecretText::of_catalogue(&text), constraints)
        }
        (RawValue::Plain(text), r#type) => parse_value(name, &text, r#type, constraints),
        (RawValue::Secret(_), other) => {
            let message = format!(
                "the setting {name} takes its value from a parameter of type Secret: must be of \
                 type Secret too, and is {other:?}"
            );
            return Err(Blocked::new(Reason::UnsupportedValue, message));
        }
    };
    value.map_err(|error| Blocked::new(Reason::UnsupportedValue, error.to_string()))
}
